"""Graphs as text for the terminal."""

import io
import math
import os
import re
import shutil
import sys
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.lib.pretty import pretty

from autograd import Constant, Graph, Operation, Value, fsum, label_from, sin, tanh
from nn import MLP
from viz import palette
from viz.text import number, short
from viz.tree import Text, tree

#: A line with its numbers: what stands before the name, the pill, the name with its operation, data, grad, bar.
LINE = re.compile(r"([│ ]*(?:[├└]─(?:(×[^─ ]+)?─+)? )?)(.*?)(?: +data +(\S+))?(?: +grad +(\S+)(?: (█*))?)?")
ESCAPE = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests says nothing about colours."""
    for name in ("NO_COLOR", "COLORTERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def neuron() -> Value:
    """The neuron that every learner of micrograd knows, before backward."""
    x1, x2, w1, w2, b = (Value(x) for x in (2.0, 0.0, -3.0, 1.0, 6.8813735870195432))
    n = x1 * w1 + x2 * w2 + b
    o = tanh(n)
    label_from({"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "n": n, "o": o})
    return o


def columns(text: str) -> int:
    """The columns of a terminal that a line takes."""
    seen = [c for c in text if unicodedata.category(c) not in ("Mn", "Me")]
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in seen)


def read(line: str) -> tuple[str, str, str, str, str, str]:
    """A line, taken apart."""
    found = LINE.fullmatch(line)
    assert found, line
    before, pill, name, data, grad, bar = found.groups(default="")
    return before, pill, name, data, grad, bar


def parsed(text: str) -> tuple[list[tuple[int, int, str, str]], list[str]]:
    """The edges that the lines say: (line of the child, line, pill, name); and the names."""
    edges, names, opened = [], [], {}
    for i, line in enumerate(text.splitlines()):
        before, pill, name, *_ = read(line)
        depth = len(re.sub(r"[├└].*", "", before)) // 3 + bool(before)
        opened[depth] = i
        names.append(name)
        if depth:
            edges.append((opened[depth - 1], i, pill, name))
    return edges, names


@st.composite
def graphs(draw: Any, most: int = 40) -> Graph:
    """Random graphs with reuse, constants, several roots, odd labels; with and without a backward pass."""
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    numbers = st.floats(-2.0, 2.0) | st.sampled_from([-0.0, 1e-300, 5e5])
    nodes = [Value(draw(numbers), label=draw(text)) for _ in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(1, most))):
        x, y = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        move = draw(st.integers(0, 4))
        nodes.append([x + y, sin(x) * y, x - 2.5, fsum([x, y, x, 1.5]), tanh(x)][move])
        nodes[-1].label = draw(st.just("") | text)
    graph = Graph(*nodes[-draw(st.integers(1, 3)) :])
    if draw(st.booleans()):
        graph.backward()
    return graph


# What is written.


def test_the_neuron() -> None:
    """As a teacher would write it: operands below, local partials on the branches, numbers in columns."""
    o = neuron()
    o.backward()
    assert tree(o, width=80).splitlines() == [
        "o = tanh            data  0.71  grad  1.00 ████████",
        "└─×0.50─ n = +      data  0.88  grad  0.50 ████",
        "   ├─×1─ v₇ = +     data −6.00  grad  0.50 ████",
        "   │  ├─×1─ v₃ = ×  data −6.00  grad  0.50 ████",
        "   │  │  ├─×−3─ x₁  data  2.00  grad −1.50 ████████████",
        "   │  │  └─×2── w₁  data −3.00  grad  1.00 ████████",
        "   │  └─×1─ v₆ = ×  data  0.00  grad  0.50 ████",
        "   │     ├─×1─ x₂   data  0.00  grad  0.50 ████",
        "   │     └─×0─ w₂   data  1.00  grad  0.00",
        "   └─×1─ b          data  6.88  grad  0.50 ████",
    ]


def test_before_backward_there_are_no_gradients() -> None:
    """Neither a column nor pills, which is different from zeros."""
    text = tree(neuron(), width=80)
    assert not re.search("grad|█", text)
    assert not any(pill for _, _, pill, _ in parsed(text)[0])
    assert text.splitlines()[5] == "   │  │  └─ w₁   data −3.00"


def test_a_value_used_twice_is_written_out_once() -> None:
    """And called ``(above)`` elsewhere, also under another root."""
    a = Value(1.0, label="a")
    b = a + a
    c = b + b
    c.backward()
    assert parsed(tree(c, width=80))[1] == ["v₃ = +", "v₂ = +", "a", "a (above)", "v₂ (above)"]
    d = b * 2.0
    assert parsed(tree(Graph(c, d, b), width=80))[1][5:] == ["v₅ = ×", "v₂ (above)", "2", "v₂ (above)"]


def test_constants_have_a_number_and_no_gradient() -> None:
    """A true minus, a branch without a pill that is as long as its sibling's, a blank for the gradient."""
    x = Value(3.0, label="x")
    y = x * -2.5
    y.backward()
    assert tree(y, width=80).splitlines() == [
        "v₃ = ×          data −7.50  grad  1.00 █████",
        "├─×−2.50─ x     data  3.00  grad −2.50 ████████████",
        "└──────── −2.5  data −2.50",
    ]
    folded = Constant(2.0, label="c") * 3.0
    assert parsed(tree(folded, width=80))[1] == ["v₃ = ×", "c", "3"]


def test_numbers_that_are_not_finite() -> None:
    """They are written out; an infinite gradient has the longest bar, and leaves the others their own."""
    x, y, z, w = (Value(v, label=name) for v, name in ((math.nan, "x"), (math.inf, "y"), (-0.0, "z"), (1.0, "w")))
    o = fsum([x, y, z, w])
    for leaf, grad in ((x, math.nan), (y, -math.inf), (z, -0.0), (w, 1e-3)):
        leaf.grad = grad
    rows = [read(line)[3:] for line in tree(o, width=80).splitlines()[1:]]
    assert rows == [
        ("nan", "nan", ""),
        ("∞", "−∞", "█" * 12),
        ("−0.00", "0.00", ""),
        ("1.00", "0.0010", "█" * 12),
    ]


@settings(deadline=None, max_examples=60)
@given(graphs())
def test_every_value_and_every_edge_is_there(graph: Graph) -> None:
    """Without labels and with room: the lines are the edges and the roots, the pills are the partials."""
    for node in graph:
        node.label = ""
    text = tree(graph, width=2000)
    edges, names = parsed(text)
    assert len(names) == len(edges) + sum(not read(line)[0] for line in text.splitlines())
    if len(names) > 200:  # the last line counts the rest
        return
    assert len(names) == len(graph.edges) + len(graph.roots)
    plain = [name.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉−", "0123456789-")).split(" ")[0] for name in names]
    computed = {graph.name(node): node for node in graph if node.op}
    found: dict[str, list[tuple[str, str]]] = {}
    for child, parent, pill, _ in edges:
        found.setdefault(plain[child], []).append((plain[parent], pill))
    for name, node in computed.items():
        assert found[name] == [
            (graph.name(x), f"×{short(k)}" if node.has_grad and not isinstance(x, Constant) else "")
            for x, k in zip(node.parents, node.partials, strict=True)
        ]
    for line, name in zip(text.splitlines(), plain, strict=True):
        _, _, shown, data, grad, _ = read(line)
        node = next(node for node in graph if graph.name(node) == name)
        if "(above)" not in shown:
            assert data == number(node.data)
            assert grad == (number(node.grad) if node.has_grad else "")


@settings(deadline=None, max_examples=200)
@given(graphs(), st.integers(20, 200), st.booleans())
def test_no_line_is_longer_than_the_terminal(graph: Graph, width: int, color: bool) -> None:
    """At any width; no line more than the edges ask for; columns are aligned; colours change nothing else."""
    text = tree(graph, width=width, color=color)
    plain = tree(graph, width=width, color=False)
    assert ESCAPE.sub("", text) == plain
    lines = plain.split("\n")
    assert all(columns(line) <= width and line == line.rstrip() for line in lines)
    assert all(c.isprintable() for line in lines for c in line)
    assert len(lines) <= min(len(graph.edges) + len(graph.roots), 200) + 1
    for node in graph:
        node.label = ""
    numbered = [re.search(r"(  data +\S+)(  grad +\S+)", line) for line in tree(graph, width=width).splitlines()]
    assert len({found.span() for found in numbered if found}) <= 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.integers(80, 120))
def test_bars_are_shares_of_the_largest_gradient(grads: list[float], width: int) -> None:
    """To half a cell, and the sign is in the number."""
    xs = [Value(1.0) for _ in grads]
    y = fsum(xs)
    for x, g in zip(xs, grads, strict=True):
        x.grad = g
    rows = [read(line) for line in tree(y, width=width).splitlines()[1:]]
    largest = max(map(abs, grads))
    for g, (*_, grad, bar) in zip(grads, rows, strict=True):
        assert grad.startswith("−") == (g < 0.0)
        assert abs(len(bar) - 12 * abs(g) / (largest or 1.0)) <= 0.5 + 1e-9


def test_narrow_terminals_keep_the_numbers() -> None:
    """First bars become shorter, then data goes; a little is left of every name."""
    o = neuron()
    o.backward()
    texts = {width: tree(o, width=width) for width in range(20, 81)}
    bars = {width: text.count("█") for width, text in texts.items() if "data" in text}
    assert sorted(bars.values()) == list(bars.values())
    assert bars[80] > bars[min(bars)] == 0
    assert all("grad" in text and "x₁" in text for width, text in texts.items() if width >= 40)
    assert "\x1b" not in tree(o, width=20, color=True)
    long_names = fsum([Value(-1.2e-300, label="a long name " * 5)] * 2)
    assert "data" in tree(long_names, width=30)
    model = MLP(2, [3, 1], seed=1)
    loss = (model([1.0, -2.0]) - 1.0) ** 2
    loss.backward()
    for width in (40, 60, 80, 120):
        lines = tree(loss, width=width).splitlines()
        assert sum("grad" in line for line in lines) >= 8
        assert all("out" in line or "h1" in line or " = " in line for line in lines if "grad" in line)


# Size.


def test_a_chain_of_doublings_is_short() -> None:
    """2⁶⁰ paths, 121 lines; where the indentation ends, each value is still named once."""
    y = Value(1.0, label="x")
    for _ in range(60):
        y = y + y
    assert len(tree(y, width=1000).splitlines()) == 121
    lines = tree(y, width=80).splitlines()
    assert len(lines) < 40
    *_, last = lines
    hidden = re.fullmatch(r"… (\d+) more values", last)
    assert hidden
    assert int(hidden[1]) + sum("data" in line for line in lines) == 61
    assert sum(" = + … " in line for line in lines) == 1


def test_what_is_cut_off_deep_down_is_written_out_higher_up() -> None:
    """A value whose branch ended for want of room has its operands where it comes again with room."""
    x = Value(1.0, label="x")
    shared = sin(x)
    shared.label = "shared"
    deep = shared
    for _ in range(10):
        deep = sin(deep)
    names = parsed(tree(deep + shared, width=80))[1]
    assert names[-3:] == ["shared = sin …", "shared = sin", "x"]


@pytest.mark.parametrize("shape", ["deep", "wide"])
def test_a_million_values(shape: str) -> None:
    """In a few seconds, on a screen or three."""
    if shape == "deep":
        y = Value(1.0)
        for _ in range(1_000_000):
            y = sin(y)
    else:
        y = fsum([Value(1.0) for _ in range(1_000_000)])
    y.backward()
    start = time.perf_counter()
    *lines, last = tree(y, width=80).splitlines()
    assert time.perf_counter() - start < 10.0
    assert len(lines) == (12 if shape == "deep" else 200)
    assert last == f"… {1_000_001 - len(lines):,} more values"


def test_one_more_value_and_more_uses() -> None:
    """What is left out is always said, even if nothing but further uses of what is above."""
    xs = [Value(1.0) for _ in range(200)]
    assert tree(fsum(xs), width=80).splitlines()[-1] == "… 1 more value"
    assert tree(fsum(xs[:199]), width=80).splitlines()[-1].startswith("└─ v₁₉₉")
    assert tree(fsum([*xs[:199], xs[0]]), width=80).splitlines()[-1] == "…"


# Labels.


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "[31mred]0;title"),
        ("two\nlines\r\ttab\x0b\x85\u2028", "twolinestab"),
        ("\u202egnp.exe\u202c\u2066a\u2069", "gnp.exea"),
        ("日本語", "日本語"),
        ("ｗｉｄｅ", "ｗｉｄｅ"),
        ("🙂 e\u0301", "🙂 e\u0301"),
        ("\x9b31m", "31m"),
        ("%s {0} \\", "%s {0} \\"),
    ],
)
def test_labels_are_text(label: str, shown: str) -> None:
    """Nothing in them reaches the terminal as a command, and columns stay aligned."""
    x, y = Value(1.0, label=label), Value(2.0, label="y")
    o = x * y
    o.backward()
    lines = tree(o, width=80).split("\n")
    assert len(lines) == 3
    assert read(lines[1])[2] == shown
    assert len({columns(line[: line.index("data")]) for line in lines}) == 1


def test_an_operations_sign_is_text_too() -> None:
    """That of a row of one's own, without control characters."""
    join = Operation("join", lambda x, y: x + y, (lambda x, y, z: 1.0, lambda x, y, z: 1.0), text="%s \x1b⊕\n %s")
    assert tree(join(Value(1.0), Value(2.0)), width=80).splitlines()[0] == "v₃ = ⊕  data 3.00"


def test_what_is_cut_ends_in_one_ellipsis() -> None:
    """Even where a name was cut before its line was."""
    x = Value(1.0, label="a long name " * 5)
    assert tree(x + x, width=30).splitlines() == [
        "v₂ = +         data 2.00",
        "├─ a long na…  data 1.00",
        "└─ a long na… (above)",
    ]
    x.data = -1.2e-300
    assert "data −1.2e−300" in tree(x + x, width=30)
    assert "……" not in tree(x + x, width=30)


@pytest.mark.parametrize("letter", ["a", "日", "🙂", "\u0301", "e\u0301"])
def test_endless_labels_are_cut(letter: str) -> None:
    """Wide letters and heaps of accents too; operation and numbers keep their place."""
    x = Value(1.0, label=letter * 10_000)
    o = x * 2.0
    o.label = letter * 10_000
    o.backward()
    for width in (40, 80, 200):
        lines = tree(o, width=width).splitlines()
        assert all(columns(line) <= width and len(line) < 5 * width for line in lines)
        assert all("…" in line and "grad" in line for line in lines[:2])
        assert width == 40 or letter == "\u0301" or "… = ×" in lines[0]


# The terminal.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_the_sign_of_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the palette's colours, or near ones of the 256; nothing else is coloured."""
    o = neuron()
    o.backward()

    def painted() -> dict[str, str]:
        text = tree(o, width=80, color=True)
        found = re.findall(r"─ (\S+)(?: = \S+)? +data +[^\s\x1b]+(?:\x1b\[([\d;]+)m(.*?)\x1b\[0m)?", text)
        assert all(re.fullmatch(r"  grad +\S+ █+", text) for _, code, text in found if code)
        return {name: code for name, code, _ in found}

    assert {painted()[name] for name in ("b", "w₁", "x₂")} == {"38;5;25"}
    assert (painted()["x₁"], painted()["w₂"]) == ("38;5;166", "")
    monkeypatch.setenv("COLORTERM", "truecolor")
    expected = [";".join(str(x) for x in bytes.fromhex(palette.RIBBON[sign][1:])) for sign in (1, -1)]
    assert [painted()["b"], painted()["x₁"]] == [f"38;2;{rgb}" for rgb in expected]


@pytest.mark.parametrize(
    ("stream", "environment", "colorful"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
        (None, {}, False),
    ],
)
def test_colour_only_where_it_is_wanted(
    stream: Any, environment: dict[str, str], colorful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal, unless the environment says otherwise; the argument has the last word."""
    o = neuron()
    o.backward()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        texts = [tree(o), tree(o, color=True), tree(o, color=False)]
    assert ["\x1b" in text for text in texts] == [colorful, True, False]


def test_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is given; less than 20 columns are taken as 20."""
    o = neuron()
    o.backward()
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((50, 20)))
    assert tree(o) == tree(o, width=50) != tree(o, width=80)
    assert tree(o, width=3) == tree(o, width=20)


def test_a_prompt_shows_the_tree_itself() -> None:
    """Python's and IPython's: the repr is the text, and IPython takes a subclass's own repr."""
    text = tree(neuron(), width=80)
    assert repr(text) == str(text) == text
    assert isinstance(text, Text)
    assert type(str(text)) is str
    assert pretty(text) == text


@pytest.mark.parametrize("value", [[Value(1.0)], 1.0, None, "x"])
def test_anything_else_is_refused(value: Any) -> None:
    """With what to do instead."""
    with pytest.raises(TypeError, match=r"tree needs a Value or a Graph, not (list: pass one|float|NoneType|str)"):
        tree(value)
