"""Written derivations, tables of the two passes, and recursion beside the sort."""

import copy
import functools
import json
import math
import os
import random
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import autograd
from autograd import Graph, Operation, Value, exp, fsum, label_from, log, relu, sqrt, tanh
from autograd import operations as ops
from autograd.graph import BackwardStep, ForwardStep
from viz import Derivation, explain, graph_table, why_sort
from viz.chain import largest
from viz.derivation import Line
from viz.formulas import figure
from viz.text import columns, latex, pretty, short, unlatex

KATEX = Path(__file__).parent.parent / ".venv" / "node_modules" / "katex"
MATH = "{http://www.w3.org/1998/Math/MathML}"
HOSTILE = [
    r"\end{aligned}",
    "$x$ & 50% #1 {y}_z^2 ~",
    "<script>alert(1)</script>",
    "a|b`c`*d* [e](javascript:f)",
    "line\nbreak\x1b[31m\u202e",
    "é数θς\"'x́",
    "$$",
    "ab}",
    "\\",
    "😀",
    "petal width-2",
]
_MATHML = ["math", "mrow", "mi", "mn", "mo", "mfrac", "msup", "msub", "msubsup", "msqrt", "mroot", "mtext"]

MOVES: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (1.5 + y * y),
    lambda x, y: -x,
    lambda x, y: 2.0 - x,
    lambda x, y: x**2,
    lambda x, y: (1.5 + x * x) ** tanh(y),
    lambda x, y: 1e-7 * x + y,
    lambda x, y: ops.maximum(x, y),
    lambda x, y: ops.where(x, y, 0.5),
    lambda x, y: ops.leaky_relu(x),
    lambda x, y: ops.atan2(x, 1.5 + y * y),
    lambda x, y: fsum([x, y, x, 1.5]),
    lambda x, y: ops.sumprod([x, y, 2.0], [y, x, x]),
    lambda x, y: ops.logsumexp([x, y, 0.0]),
    *(
        lambda x, y, op=op: op(0.5 + 0.4 * ops.sin(x))
        for name, op in sorted(ops.table.items())
        if name in ops.BUILT_IN and len(op.partials) == 1 and not op.nary and name != "acosh"
    ),
]


def expressions(count: int) -> Iterator[tuple[Value, Value]]:
    """Random outputs with a leaf that they depend on; labelled and not, with values used more than once."""
    rng = random.Random(5)
    while count:
        made = [Value(rng.uniform(-1.5, 1.5), label=f"x{j}" if rng.random() < 0.7 else "") for j in range(3)]
        leaves = made[:]
        for step in range(rng.randint(1, 9)):
            # Mostly from the latest, so that much is on the way.
            latest = rng.random() < 0.7
            made.append(rng.choice(MOVES)(made[-1] if latest else rng.choice(made), rng.choice(made)))
            if rng.random() < 0.3 and made[-1].op:
                made[-1].label = f"t{step}"
        graph = Graph(made[-1])
        known = [leaf for leaf in leaves if leaf in graph]
        if known and all(math.isfinite(node.data) and abs(node.data) < 1e3 for node in graph):
            count -= 1
            yield made[-1], rng.choice(known)


@functools.cache
def examples() -> list[tuple[Value, Value, Derivation]]:
    """Two hundred of them, explained."""
    return [(y, x, explain(y, x, paths=j % 2 == 0, check=j % 3 == 0)) for j, (y, x) in enumerate(expressions(200))]


def lines(derivation: Derivation) -> Iterator[Line]:
    """All lines that are equations."""
    for part in derivation.parts:
        yield from (line for line in part.lines if isinstance(line, Line))


def python(text: str, names: dict[str, float]) -> float:
    """What a formula evaluates to, with subscripts as digits."""
    known: dict[str, Any] = {name: ops.table[name] for name in ops.BUILT_IN}
    known |= {"inf": math.inf, "nan": math.nan}
    return float(eval(text.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")), known | names))


def doublings(n: int) -> tuple[Value, Value]:
    """A value that is doubled so often, along 2ⁿ paths."""
    x = y = Value(0.5, label="x")
    for _ in range(n):
        y = y + y
    return y, x


def smallest() -> tuple[Value, Value]:
    """Three values with four paths."""
    a = Value(1.0)
    b = a + a
    c = b + b
    label_from({"a": a, "b": b, "c": c})
    return c, a


# What is written is right.


def test_the_last_number_is_the_gradient() -> None:
    """To the digits shown, and exactly in the data; and so is the last number of every other part."""
    for y, x, derivation in examples():
        Graph(y).zero_grad()
        y.backward()
        assert derivation.value == x.grad
        for part in derivation.parts:
            if part.title != "forward" and part.title != "check":
                line = part.lines[-1]
                assert isinstance(line, Line)
                assert line.value == x.grad
                assert line.steps[-1].text == short(x.grad + 0.0, 5).replace("−", "-")
        text = str(explain(y, x))
        assert text.rsplit("= ", 1)[1].split("\n")[0] == short(x.grad + 0.0, 5)


def test_every_formula_evaluates_to_its_number() -> None:
    """As Python: the forward rules and the one-liners nearly exactly, what has rounded numbers in it, roughly."""
    evaluated = 0
    for y, _, derivation in examples():
        graph = Graph(y)
        adjoint = {y: 1.0} | {s.parent: s.total for s in graph.steps() if isinstance(s, BackwardStep)}
        scale: dict[str, float] = defaultdict(float)  # of the terms of a sum, which may cancel
        for parent, child, j in graph.edges:
            scale[f"∂{pretty(graph.name(y))}/∂{pretty(graph.name(parent))}"] += abs(adjoint[child] * child.partials[j])
        names = {graph.name(node): node.data for node in graph if graph.name(node).isidentifier()}
        adjoints = {part.title: part for part in derivation.parts}
        for part in (adjoints["forward"], adjoints["backward"], adjoints.get("in one line")):
            for line in part.lines if part else ():
                if not isinstance(line, Line):
                    continue
                for formula in (line.rule, line.numbers):
                    if formula is None or "…" in formula.text:
                        continue
                    if formula is line.rule:
                        room = 6e-4 * scale[line.what.text] if part is adjoints["backward"] else 1e-9
                    else:  # numbers that are rounded within a formula
                        numbers = [abs(float(n)) for n in re.findall(r"\d+\.?\d*(?:e-?\d+)?", formula.text)]
                        room = 2e-3 * max(1.0, *numbers, abs(line.value)) * max(1.0, *map(abs, names.values()))
                    assert python(formula.text, names) == pytest.approx(line.value, abs=room), formula
                    evaluated += 1
    assert evaluated > 1500


def test_the_closing_line_is_the_chain_rule_of_the_lectures() -> None:
    """∂o/∂x = ∂o/∂n · ∂n/∂x = … · w = 0.5 · (−3) = −1.5."""
    x, w = Value(2.0, label="x"), Value(-3.0, label="w")
    n = x * w
    o = tanh(n + 6.8813735870195432)
    label_from({"n": n, "o": o})
    last = explain(o, x).parts[-1]
    assert last.title == "in one line"
    (line,) = last.lines
    assert isinstance(line, Line)
    assert [step.text for step in line.steps] == [
        "∂o/∂v₅ * ∂v₅/∂n * ∂n/∂x",
        "(1.0 - o) * (1.0 + o) * w",
        "0.5000 * 1 * (-3)",
        "-1.5000",
    ]
    assert line.steps[1].latex == r"\left(1 - o\right) \cdot \left(1 + o\right) \cdot w"
    assert [part.title for part in explain(n, x).parts] == ["forward", "backward"]
    chain = functools.reduce(lambda y, _: y.sin(), range(5), x)
    assert [part.title for part in explain(chain, x).parts] == ["forward", "backward"]


def test_the_paths_are_those_of_the_graph() -> None:
    """Their number, the largest of them, and their sum, against what Graph enumerates."""
    several = 0
    for y, x, derivation in examples():
        for part in derivation.parts:
            if not part.title.startswith("by paths"):
                continue
            graph = Graph(y)
            products = sorted((abs(path.product) for path in graph.paths(y, x)), reverse=True)
            several += len(products) > 1
            *found, total = [line for line in part.lines if isinstance(line, Line)]
            assert [abs(line.value) for line in found] == pytest.approx(products[:20], rel=1e-9, abs=1e-300)
            assert math.fsum(path.product for path in graph.paths(y, x)) == pytest.approx(total.value, abs=1e-9)
            assert part.title.split("(")[1].startswith(f"{len(products)};" if len(products) > 1 else "there is one")
            unique = len(products) > 1 and products[0] > products[1] * (1 + 1e-9)
            if unique:
                assert [line.remark for line in found] == ["dominant", *[""] * (len(found) - 1)]
    assert several > 30


def test_twenty_paths_of_many() -> None:
    """The dominant one among 2⁴⁰ is found; of more paths than anyone counts, this is said."""
    a = Value(1.0, label="a")
    y = a
    for _ in range(40):
        y = y * 0.5 + y * -0.75
    part = explain(y, a, paths=True).parts[-1]
    assert part.title == "by paths (1,099,511,627,776; 20 shown; the largest first)"
    first, *_, last = [line for line in part.lines if isinstance(line, Line)]
    assert first.value == pytest.approx(0.75**40)
    assert first.remark == "dominant"
    assert last.value == pytest.approx(0.25**40)
    assert last.numbers is not None
    assert "… 1,099,511,627,773 more …" in last.numbers.text
    y, a = doublings(60)
    first, *_, last = [line for line in explain(y, a, paths=True).parts[-1].lines if isinstance(line, Line)]
    assert (first.value, first.remark, last.value) == (1.0, "", 2.0**60)
    y, a = doublings(2000)
    assert "by paths (more than 10³⁰; 20 shown" in str(explain(y, a, paths=True))


def test_the_dominant_path_may_be_infinite_or_nan() -> None:
    """0 · ∞ hands nothing on, as in Algorithm 6.2; what is nan stands first."""
    x = Value(0.0, label="x")
    derivation = explain(sqrt(x) * 0.0 + x, x, paths=True, check=True)
    assert [line.value for line in derivation.parts[2].lines if isinstance(line, Line)] == [1.0, 0.0, 1.0]
    assert derivation.parts[3].lines == ("no finite difference: not defined within h = 6.0e−6 of this point",)
    bad = explain(sqrt(x) - sqrt(x) + x, x, paths=True)
    assert "nan" in str(bad)
    assert r"\infty" in bad.latex()
    assert r"\mathrm{nan}" in bad.latex()
    ET.fromstring(bad.html())
    a, b = Value(math.nan, label="a"), Value(math.inf, label="b")
    for y, of in ((a * b, a), (a + b, b)):
        ET.fromstring(explain(y, of, paths=True, check=True).html())


def test_a_rule_without_a_formula_is_its_number() -> None:
    """The slope of (−2) ** x has the logarithm of a negative constant, which no formula says."""
    x = Value(2.0, label="x")
    y = (-2.0) ** x
    assert str(explain(y, x)).endswith("∂v₃/∂x  = nan")


def test_a_finite_difference_beside_the_graph() -> None:
    """Of leaves and of values between; with the relative error."""
    for y, x, derivation in examples():
        if derivation.parts[-1].title == "check":
            (line,) = derivation.parts[-1].lines
            assert isinstance(line, Line)
            assert "relative error" in line.remark
            kinks = {"step", "sign", "nonzero", "relu", "abs", "where", "maximum", "minimum", "leaky_relu"}
            if not kinks & {node.op.name for node in Graph(y) if node.op}:
                assert line.value == pytest.approx(derivation.value, rel=1e-4, abs=1e-6), (y, x)
    x = Value(2.0, label="x")
    middle = x * 3.0
    y = exp(middle) * x
    (line,) = explain(y, middle, check=True).parts[-1].lines
    assert isinstance(line, Line)
    assert line.value == pytest.approx(2.0 * math.exp(6.0))
    assert line.what.text == "Δv₅/Δv₃"
    assert explain(x, x, check=True).value == 1.0


def test_nothing_changes() -> None:
    """Neither numbers nor gradients nor labels, whatever is asked."""
    for y, x in expressions(20):
        graph = Graph(y)
        graph.backward()
        x.grad = 7.0
        before = [(node.data, node.grad, node.partials, node.label) for node in graph]
        derivation = explain(y, x, paths=True, check=True)
        derivation.html(), derivation.markdown(), str(derivation)
        str(graph_table(y)), str(why_sort(y))
        assert [(node.data, node.grad, node.partials, node.label) for node in graph] == before
    fresh = copy.deepcopy(y)
    graph_table(fresh), why_sort(fresh)
    assert all(node.has_grad == old.has_grad for node, old in zip(Graph(fresh), Graph(y), strict=True))


# How it is written.


@pytest.mark.skipif(
    not KATEX.exists() and "CI" not in os.environ, reason="needs: npm install --no-save --prefix .venv katex@0.16"
)
def test_katex_reads_all_latex() -> None:
    """Strictly: two hundred random expressions, every row of the table, hostile labels, nan and infinity."""
    formulas = [derivation.latex() for _, _, derivation in examples()]
    formulas += [explain(y, x, paths=True, check=True).latex() for y, x in rows()]
    formulas += [explain(y, x, paths=True, check=True).latex() for y, x in (doublings(60), doublings(2000))]
    zero = Value(0.0, label="z")
    formulas += [explain(sqrt(zero) - sqrt(zero) + zero, zero, paths=True, check=True).latex()]
    assert len(formulas) > 250
    tolerated = [explain(y, x, paths=True, check=True).latex() for y, x in map(named_badly, HOSTILE)]
    program = """
const katex = require(process.argv[1]);
const [strict, tolerated] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const unknown = (code) => (code === "unknownSymbol" ? "ignore" : "error");  // an emoji is in no font of KaTeX
for (const tex of strict) katex.renderToString(tex, {displayMode: true, throwOnError: true, strict: "error"});
for (const tex of tolerated) katex.renderToString(tex, {displayMode: true, throwOnError: true, strict: unknown});
console.log(strict.length + tolerated.length);
"""
    node = shutil.which("node")
    assert node
    given = json.dumps([formulas, tolerated])
    done = subprocess.run(
        [node, "-e", program, str(KATEX)], input=given, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(formulas) + len(tolerated)


def rows() -> Iterator[tuple[Value, Value]]:
    """Every row of the table, by every operand; and a row of a user's."""
    mine = Operation("my_row", lambda x: x * x, (lambda x, z: 2.0 * x,))
    for op in [*map(ops.table.__getitem__, sorted(ops.BUILT_IN)), mine]:
        leaves = [Value(sum(domain[-1]) / 2 or 0.5, label=f"x{j}") for j, domain in enumerate(op.domain)]
        y = op(*([leaf, leaf * 0.5] for leaf in leaves)) if op.nary else op(*leaves)
        for leaf in leaves:
            yield y, leaf
    del ops.table["my_row"]


def named_badly(label: str) -> tuple[Value, Value]:
    """A small graph with such a label on a leaf and on its output."""
    x = Value(0.5, label=label)
    y = exp(x * x) / x
    y.label = label
    return y, x


def test_html_is_well_formed_mathml() -> None:
    """For all examples; names are whole, and the numbers those of the text."""
    for _, _, derivation in examples():
        page = ET.fromstring(derivation.html())
        assert {math.tag for math in page.iter() if math.tag.startswith(MATH)} <= {MATH + tag for tag in _MATHML}
        written = "".join(page.itertext())
        assert "\\" not in written
        assert "by the chain rule" in written
        shown = figure(derivation.value)
        assert shown.text.partition("e")[0].lstrip("-").replace("∞", "") in written
    assert examples()[0][2]._repr_html_() == examples()[0][2].html()
    assert str(examples()[0][2]._repr_latex_()).startswith("$$\n\\begin{aligned}")


def test_brackets_are_as_high_as_what_is_in_them() -> None:
    """Around names and numbers plain, so that no font stretches them for a y's tail; around powers they grow."""
    x = Value(0.5, label="x")
    y = x.sin()
    z = y.sin()
    y.label, z.label = "y", "z"
    z.backward()
    assert 'stretchy="true"' not in explain(z, x).html()
    total = ops.logsumexp([x, y])
    total.backward()
    assert 'stretchy="true"' in explain(total, x).html()


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_text(label: str) -> None:
    """Nothing in a label is obeyed: not by LaTeX, not by Markdown, not by HTML."""
    y, x = named_badly(label)
    derivation = explain(y, x, paths=True, check=True)
    page = ET.fromstring(derivation.html())
    tags = {element.tag for element in page.iter()}
    assert not {tag for tag in tags if not tag.startswith(MATH)} - {"div", "p", "b", "i", "span"}
    visible = "".join(c for c in label if c.isprintable())
    if not re.search(r"[^\x00-\x7f]", label):
        assert visible in {"".join(mi.itertext()) for mi in page.iter(MATH + "mi")}
    for table in (graph_table(y), why_sort(y)):
        page = ET.fromstring(table.html())
        assert {element.tag for element in page.iter()} <= {
            *["div", "table", "caption", "b", "thead", "tbody", "tr", "th", "td", "p"]
        }
        assert visible in "".join(page.itertext()).replace("\xa0", " ")
        cells = [line for line in table.markdown().splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in cells}) == 1
        assert not re.search(r"(?<!\\)[`$<]", table.markdown())
        assert all(line.isprintable() for line in str(table).splitlines())
    written = derivation.latex()
    assert len(re.findall(r"(?<!\\)\{", written)) == len(re.findall(r"(?<!\\)\}", written))
    assert not re.search(r"(?<!\\)[$%#~]", written)
    assert written.count(r"\end{aligned}") == 1
    assert derivation.markdown() == f"$$\n{written}\n$$"
    assert all(line.isprintable() for line in str(derivation).splitlines())
    name = latex(visible)
    if name.startswith(r"\mathrm{") and label.isascii():
        assert unlatex(name.removeprefix(r"\mathrm{").removesuffix("}")) == visible


def test_names_in_latex_for_every_engine() -> None:
    """Greek letters are commands, which pdflatex needs; what else is not ASCII is text."""
    assert [latex(name) for name in ("θ", "λ2", "Ω", "ο", "Δw", "größe", "a b")] == [
        r"\theta ",
        r"\lambda _{2}",
        r"\Omega ",
        r"\text{ο}",
        r"\mathrm{\Delta w}",
        r"\mathrm{gr\text{ö}\text{ß}e}",
        r"\mathrm{a\ b}",
    ]


def test_powers_of_ten_are_in_brackets() -> None:
    """Where a power is taken of them; a minus always is one number with what follows."""
    x = Value(-1.25e-7, label="x")
    assert r"v_{3} &= x^{2} = \left(-1.250 \cdot 10^{-7}\right)^{2} = 1.562 \cdot 10^{-14}" in explain(x**2, x).latex()
    y = Value(1.25e-7, label="y")
    assert r"= \left(1.250 \cdot 10^{-7}\right)^{2} =" in explain(y**2, y).latex()
    assert '<mo form="prefix">&#x02212;</mo><mn>1.250</mn>' in explain(x**2, x).html()


def test_long_ways_are_abbreviated() -> None:
    """The first and the last of a hundred thousand values, by paths and with a check, and the sum over ten thousand."""
    x = y = Value(0.5, label="x")
    for _ in range(100_000):
        y = y.sin()
    text = str(explain(y, x, check=True))
    assert text.count("… 99,991 more values like these …") == 2
    assert len(text.splitlines()) < 40
    assert "= cos(x) = cos(0.5000)" not in text.splitlines()[-3]
    thirteen = functools.reduce(lambda y, _: y.sin(), range(12), x)
    assert "… 3 more values like these …" in str(explain(thirteen, x))
    twelve = functools.reduce(lambda y, _: y.sin(), range(11), x)
    assert "more values" not in str(explain(twelve, x))
    wide = fsum([Value(float(i)) * x for i in range(10_000)])
    derivation = explain(wide, x, paths=True)
    assert "fsum(…)" in str(derivation)
    assert "… 9,994 more …" in str(derivation)
    assert len(str(derivation)) < 8000
    assert len(derivation.latex()) < 20000


def test_many_paths_through_a_long_way_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six thousand reused values, as many paths are kept as there is room for."""
    monkeypatch.setattr("viz.chain.ROOM", 200_000)
    y = Value(0.5, label="x")
    for _ in range(6_000):
        y = y * 0.5 + y
    graph = Graph(y)
    children: dict[Value, list[autograd.graph.Edge]] = {}
    for edge in graph.edges:
        children.setdefault(edge.parent, []).append(edge)
    way = [node for node in graph if not isinstance(node, autograd.Constant)]
    count, found = largest(way, children)
    assert count == 10**30
    assert len(found) == 200_000 // len(way) == 16
    assert found[0][0] == 1.0  # the other way is half as much


def test_a_derivation_prints_itself() -> None:
    """The prompt shows what print shows."""
    y, x = smallest()
    derivation = explain(y, x)
    assert repr(derivation) == str(derivation)
    assert f"{derivation}\n".startswith("∂c/∂a by the chain rule\n\nforward\n")


# Tables.


def test_the_table_has_the_numbers_of_the_steps() -> None:
    """Value, partials and adjoint of every node, for random graphs."""
    for y, _, _ in examples()[:60]:
        graph = Graph(y)
        table = graph_table(y)
        steps = [*graph.steps()]
        values = {step.node: step.value for step in steps if isinstance(step, ForwardStep)}
        totals = {step.parent: step.total for step in steps if isinstance(step, BackwardStep)} | {y: 1.0}
        assert len(table.rows) == len(graph)
        for i, (node, row) in enumerate(zip(graph, table.rows, strict=True), start=1):
            assert row[0] == str(i)
            assert row[4] == short(values.get(node, node.data) + 0.0, 5)
            terms = [s.contribution for s in steps if isinstance(s, BackwardStep) and s.parent is node]
            assert row[6].rsplit("= ")[-1] == (short(totals[node] + 0.0, 5) if node in totals else "—")
            assert ("= " in row[6]) == (len(terms) > 1)
            shown = [s.partial for s in steps if isinstance(s, BackwardStep) and s.child is node]
            if len(node.parents) <= 6:
                found = [cell.rsplit("= ")[1] for cell in row[5].split(", ") if cell]
                assert found == [short(partial, 5) for partial in shown]


def test_the_smallest_table() -> None:
    """By hand, with the sums at reused values; before any backward."""
    y, _ = smallest()
    assert graph_table(y).rows == (
        ("1", "a", "leaf", "", "1", "", "2 + 2 = 4"),
        ("2", "b", "a + a", "1 + 1", "2", "∂b/∂a = 1, ∂b/∂a = 1", "1 + 1 = 2"),
        ("3", "c", "b + b", "2 + 2", "4", "∂c/∂b = 1, ∂c/∂b = 1", "1"),
    )
    assert not y.has_grad


def test_tables_are_aligned_by_what_a_terminal_shows() -> None:
    """Wide letters take two columns; every cell of a column ends or begins at one place."""
    x, w = Value(2.0, label="数据"), Value(-3.0, label="w")
    head, rule, *body = str(graph_table(x * w)).splitlines()[2:]
    at = head.index("operation")
    operations = zip(body, ("leaf", "leaf", "数据 ·"), strict=True)
    assert [columns(line[: line.index(operation)]) for line, operation in operations] == [at] * 3
    assert columns("\u302a变e\u0301") == 3  # a mark that is wide takes no column either
    assert {columns(line) for line in (rule, *body)} == {columns(rule)}
    equations = [line for line in str(explain(exp(x * w), x)).splitlines() if line.startswith("  ∂")]
    assert len({columns(line[: line.index(" = ")]) for line in equations[:3]}) == 1


def test_tables_end_where_nobody_reads_on() -> None:
    """After 200 rows, with the number of the others; long formulas by their operation."""
    x = y = Value(0.5, label="x")
    for _ in range(1000):
        y = y.sin()
    table = graph_table(y)
    assert len(table.rows) == 201
    assert table.rows[-1][:2] == ("…", "801 more")
    assert why_sort(y).table().rows[-1][0] == "… 801 more"
    leaves = [Value(1.0, label=f"x{j}") for j in range(50)]
    row = graph_table(fsum(leaves)).rows[-1]
    assert row[2] == "fsum(…)"
    assert row[5].endswith("∂v₅₁/∂x₄ = 1, … 45 more")
    assert graph_table(fsum([*[2.0] * 20, x])).rows[-1][5] == "∂v₂₂/∂x = 1"
    many = graph_table(Graph(x * 2.0, x * 3.0))
    assert many.head[-1] == "∂(v₃, v₅)/∂u(i)"
    assert many.rows[0][-1] == "3 + 2 = 5"


def test_tables_are_announced() -> None:
    """A caption, and headings of columns and rows."""
    page = ET.fromstring(graph_table(smallest()[0]).html())
    assert page.find(".//caption") is not None
    assert {cell.get("scope") for cell in page.iterfind(".//thead/tr/th")} == {"col"}
    assert [cell.get("scope") for cell in page.iterfind(".//tbody/tr/th")] == ["row"] * 3


@pytest.mark.parametrize("function", [graph_table, why_sort])
def test_tables_are_of_values(function: Callable[[Any], Any]) -> None:
    """Other things are named."""
    with pytest.raises(TypeError, match="needs a Value or a Graph, not float"):
        function(1.0)


# Recursion beside the sort.


def test_the_smallest_graph_that_needs_a_sort() -> None:
    """7 visits to 3 values, 8 instead of 4."""
    y, _ = smallest()
    why = why_sort(y)
    assert (why.visits, why.paths, why.edges) == (7, 4, 4)
    assert [(v.visits, v.recursion, v.sorted, v.wrong) for v in why.values] == [
        (4, 8.0, 4.0, True),
        (2, 2.0, 2.0, False),
        (1, 1.0, 1.0, False),
    ]
    assert "1 of 3 gradients is wrong" in str(why)
    assert repr(why) == str(why)
    assert "| a | 4 | 1 | 8 ✗ | 4 |" in why.markdown()
    picture = why.picture()
    cards = [line.split()[0] for line in picture.source.splitlines() if "recursion" in line and "8 ✗" in line]
    assert cards == ["v1"]
    assert picture.source.count("v1:e -> v2:op:w") == 2
    assert picture.text == str(why)


def test_recursion_that_is_right_or_never_ends() -> None:
    """Reused leaves do no harm; wrong numbers may hide behind zeros; what takes too long is not run."""
    x = Value(3.0, label="x")
    assert str(why_sort(x * x)).endswith("at most leaves, which hand nothing on, are visited more than once.")
    dead = relu(Value(-3.0))
    assert str(why_sort(dead + dead)).endswith("at these numbers, no gradient becomes wrong by it.")
    y, _ = doublings(60)
    why = why_sort(y)
    assert "1,152,921,504,606,846,976 paths; sorted, it takes 120 edges." in str(why)
    assert "Recursion was not run" in str(why)
    assert not any(value.wrong for value in why.values)
    with pytest.raises(ValueError, match="61 values are too many for a picture, which shows up to 40"):
        why.picture()
    assert "0 visits to 0 values" in str(why_sort(x.detach()))
    assert "along 1 path; sorted, it takes 1 edge." in str(why_sort(log(x)))


def test_recursion_on_random_graphs() -> None:
    """What is not marked is right; with values used once, nothing is marked."""
    for y, _, _ in examples()[:60]:
        why = why_sort(y)
        assert all(v.wrong or v.recursion == pytest.approx(v.sorted, rel=1e-8, nan_ok=True) for v in why.values)
        if all(value.visits == 1 or not value.node.op for value in why.values):
            assert not any(value.wrong for value in why.values)


def test_numbers_of_values_are_not_taken_for_labels() -> None:
    """Where a label is v3, unlabelled values go by another letter; a label with operators is in brackets."""
    u = Value(1.0, label="v3")
    told = str(explain(u * 2.0 + 1.0, u))
    assert "u₃ = v₃ · 2 = 1 · 2 = 2" in told
    s = Value(3.0, label="a+b")
    told = str(explain(s * s, s))
    assert "(a+b) · (a+b)" in told
    assert "∂(a+b)" in told


def test_rules_are_written_for_reading() -> None:
    """Without what makes them right at 0, where nothing is 0; constants rounded; no minus zero."""
    x, p = Value(2.0, label="x"), Value(3.0, label="p")
    assert "p · x ** (p − 1)" in str(explain(x**p, x))
    told = str(explain(2.0**x, x))
    assert "0.6931" in told
    assert "0.69314" not in told
    a = Value(-1.0, label="a")
    y = -(a.relu() + a.relu())
    assert "−0 +" not in str(graph_table(y))
