"""Worksheets: what they ask, what they must not tell, and the keys."""

import copy
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograd import Constant, Graph, Value, label_from, log, maximum, relu, sqrt
from nn import MLP
from viz import Picture, worksheet
from viz.diagram import Diagram
from viz.dot import BLANK, UNKNOWN
from viz.flow import gradient_flow
from viz.palette import NUMBER, RIBBON
from viz.worksheet import KINDS, NUMBERS, askable, exercises, key, sheet

Places = dict[tuple[str, str], str]


def product() -> Value:
    """Both leaves are used twice."""
    a, b = Value(-2.0, label="a"), Value(3.0, label="b")
    f = (a * b) * (a + b)
    f.label = "f"
    return f


def neuron() -> Value:
    """The README's."""
    x, w, b = Value(2.0), Value(-3.0), Value(6.88)
    o = (x * w + b).tanh()
    label_from({"x": x, "w": w, "b": b, "o": o})
    return o


def network() -> Value:
    """The loss of a small network, in which every product and sum is a node."""
    y = MLP(2, [2, 1], "tanh", expand=True, seed=1)([Value(1.0, label="x1"), Value(2.0, label="x2")])
    assert isinstance(y, Value)
    loss = (y - 1.0) ** 2
    loss.label = "L"
    return loss


GRAPHS: list[Callable[[], Value]] = [product, neuron, network]
graphs = pytest.mark.parametrize("make", GRAPHS)


def read(text: str) -> float:
    """A number as it is drawn."""
    return float(text.removeprefix("×").replace("−", "-"))


def numbers(diagram: Diagram, *, asked: bool) -> Places:
    """The numbers that are asked, or those that are given, by their places."""
    found = {(card.id, row.caption): row.text for card in diagram.cards for row in card.rows if row.asked is asked}
    pills = {(f"e{j}", "pill"): r.pill for j, r in enumerate(diagram.ribbons) if r.pill and r.asked is asked}
    return found | pills


def leaves(value: Value, diagram: Diagram) -> dict[str, float]:
    """What the leaves are given, by their labels."""
    graph = Graph(value)
    ids = {f"v{i}": node for i, node in enumerate(graph.nodes, start=1)}
    given = numbers(diagram, asked=False)
    return {ids[id].label: read(x) for (id, what), x in given.items() if what == "data" and ids[id] in graph.leaves}


def snapshot(value: Value) -> list[Any]:
    """All that a graph holds."""
    return [(node, node.data, node.partials, node.grad, node.has_grad, node.label) for node in Graph(value)]


# What is asked.


def test_the_kinds_take_turns() -> None:
    """Gradients; slopes and gradients; values, with no gradient to be seen; half of everything."""
    asked = [set(numbers(answers, asked=True)) for _, answers in exercises(product(), 0, 8)]
    grads = {(f"v{i}", "grad") for i in (1, 2, 3, 4)}
    pills = {(f"e{j}", "pill") for j in range(6)}
    data = {(f"v{i}", "data") for i in (3, 4, 5)}
    assert asked[0] == asked[4] == grads
    assert asked[1] == asked[5] == grads | pills
    assert asked[2] == asked[6] == data
    assert asked[3] != asked[7]
    assert asked[3] | asked[7] < grads | pills | data
    assert len(asked[3]) == len(asked[7]) == 7
    forward, _ = [*exercises(product(), 0, 3)][2]
    assert not any(row.caption == "grad" for card in forward.cards for row in card.rows)
    assert forward.seeds == ()


def test_sheet_and_key_say_what_they_are() -> None:
    """The number of the exercise, what to do, and which is the key."""
    for number, (blank, answers) in enumerate(exercises(neuron(), 0, 4), start=1):
        assert (blank.title, answers.title) == (f"Exercise {number}", f"Key to exercise {number}")
        told = KINDS[number - 1][0]
        assert blank.notes == (f"{told} Two decimals are enough.", "o = tanh(x · w + b)")
        assert answers.notes[0] == f"{told} The answers are framed; a last digit may differ."


@graphs
def test_the_key_is_the_sheet_filled_in(make: Callable[[], Value]) -> None:
    """The same cards and ribbons, the same numbers given, and a number in each box."""
    for blank, answers in exercises(make(), 1, 4):
        assert [card.name for card in blank.cards] == [card.name for card in answers.cards]
        assert numbers(blank, asked=False) == numbers(answers, asked=False)
        open, filled = numbers(blank, asked=True), numbers(answers, asked=True)
        assert set(open) == set(filled)
        assert open
        assert set(open.values()) == {BLANK}
        assert BLANK not in filled.values()


def test_a_reused_value_has_a_box_for_each_term() -> None:
    """Whatever the sign of the terms, and the key shows the sum."""
    blank, answers = next(exercises(product(), 0, 1))
    assert [row.parts for row in (blank.cards[0].rows[-1], blank.cards[1].rows[-1])] == [
        f"{BLANK} + {BLANK} =\u00a0"
    ] * 2
    assert re.fullmatch(r"−?[\d.]+ [+−] [\d.]+ =\u00a0", answers.cards[0].rows[-1].parts)
    c = Value(1.0, label="c")
    blank, _ = next(exercises(c + c + c + c, 0, 1))
    assert blank.cards[0].rows[-1].parts == f"{BLANK} + {BLANK} + {BLANK} + … =\u00a0"


# Nothing gives a solution away.


def disguised(diagram: Diagram, places: Places) -> Diagram:
    """A diagram with other answers: other numbers, signs, sums, flows and tooltips."""
    other = [
        replace(
            card,
            rows=tuple(
                replace(row, text="77.7", sign=-(row.sign or -1), parts=row.parts.translate(flip))
                if (card.id, row.caption) in places
                else row
                for row in card.rows
            ),
            tooltip="77.7",
            curve=card.curve if {what for _, what in places} == {"grad"} else None,
        )
        for card in diagram.cards
    ]
    ribbons = [
        replace(
            ribbon,
            pill="×77.7" if (f"e{j}", "pill") in places else ribbon.pill,
            tooltip="77.7",
            upstream=ribbon.upstream and (-ribbon.upstream[0], 0.77),
            downstream=ribbon.downstream and (-ribbon.downstream[0], 0.77),
        )
        for j, ribbon in enumerate(diagram.ribbons)
    ]
    seeds = tuple(replace(seed, flow=(-1, 0.77)) for seed in diagram.seeds)
    return replace(diagram, cards=tuple(other), ribbons=tuple(ribbons), seeds=seeds)


flip = str.maketrans({"−": "+", "+": "−"} | {str(d): str(9 - d) for d in range(10)})


@graphs
@pytest.mark.parametrize("captions", [captions for _, captions in KINDS])
def test_the_sheet_does_not_depend_on_the_answers(make: Callable[[], Value], captions: tuple[str, ...]) -> None:
    """Of two diagrams that differ in the answers alone, the sheets are equal."""
    value = make()
    value.backward()
    diagram = gradient_flow(Graph(value), hide=("grads",) if captions == ("data",) else ())
    places = dict.fromkeys(askable(diagram, captions), "")
    other = disguised(diagram, places)
    assert other != diagram
    assert sheet(other, places) == sheet(diagram, places)
    assert key(other, places) != key(diagram, places)


def told(path: Path) -> list[str]:
    """Every text of a file that is for people: what is drawn, tooltips, title and description."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".svg":
        tags = ("text", "title", "desc")
        return [
            "".join(element.itertext())
            for element in ET.fromstring(content).iter()
            if element.tag.rpartition("}")[2] in tags
        ]
    return re.findall(r"<font[^>]*>(?:<b>)?([^<]*)", content) + re.findall(r'tooltip="([^"]*)"', content)


@graphs
@pytest.mark.parametrize("suffix", ["svg", "dot"])
def test_no_answer_is_found_in_the_files(make: Callable[[], Value], suffix: str, tmp_path: Path) -> None:
    """No number that is asked, unless the same is given elsewhere; no colour and no width of a gradient."""
    value = make()
    paths = worksheet(value, tmp_path / f"sheet.{suffix}", seed=2, count=4)
    hidden = 0
    for path, (blank, answers) in zip(paths[::2], exercises(value, 2, 4), strict=True):
        given = {read(x) for x in numbers(blank, asked=False).values()} | {1.0, 2.0}  # constants, and the start
        asked = {read(x) for x in numbers(answers, asked=True).values()}
        texts = [text for text in told(path) if not text.startswith(("Exercise", "e0", "gradient_flow"))]
        found = {
            read(x) for text in texts for x in re.findall(r"(?<![\w[.])−?\d+(?:\.\d+)?(?:e−?\d+)?(?![\w\]])", text)
        }
        assert found <= given
        hidden += len(asked - given)
        content = path.read_text(encoding="utf-8")
        if suffix == "dot" or "<circle" not in content:  # a curve is blue, whatever its slope
            for color in (RIBBON[1], RIBBON[-1], NUMBER[1], NUMBER[-1]):
                assert color.lower() not in content.lower()
        for other in ("positive", "negative", "nothing flows", "both signs", "dead", "saturated", "dashed"):
            assert other not in content.replace("stroke-dasharray", "")
        if suffix == "dot":
            widths = set(re.findall(r"penwidth=([\d.]+)", content))
            assert len(widths - {"1.2"}) == (0 if "Exercise 3" in content else 1)  # 1.2 where nothing flows back
    assert hidden >= 5


def test_a_sum_that_is_given_does_not_tell_its_terms() -> None:
    """Its terms are flows, and with them a slope that is asked would be read off."""
    f = product()
    f.backward()
    diagram = gradient_flow(Graph(f))
    assert diagram.cards[0].rows[-1].parts
    blank = sheet(diagram, [("e0", "pill")])
    assert not any(row.parts for card in blank.cards for row in card.rows)
    assert numbers(blank, asked=True) == {("e0", "pill"): BLANK}


def test_curves_are_drawn_where_they_tell_nothing() -> None:
    """The tangent shows the slope, and the point the value: both are given where only gradients are asked."""
    for number, (blank, answers) in enumerate(exercises(neuron(), 0, 4), start=1):
        assert (blank.cards[-1].curve is not None) == (number == 1)
        assert answers.cards[-1].curve is not None
        assert {r.upstream for r in blank.ribbons} <= {UNKNOWN, None}


# The numbers.


def test_the_key_of_a_product_by_hand() -> None:
    """f = a·b·(a + b), with ∂f/∂a = b (a + b) + a b and ∂f/∂b = a (a + b) + a b."""
    for seed in range(5):
        for _, answers in exercises(product(), seed, 8):
            a, b = leaves(product(), answers).values()
            expected = {
                ("v3", "data"): a * b,
                ("v4", "data"): a + b,
                ("v5", "data"): a * b * (a + b),
                ("v1", "grad"): b * (a + b) + a * b,
                ("v2", "grad"): a * (a + b) + a * b,
                ("v3", "grad"): a + b,
                ("v4", "grad"): a * b,
            }
            expected |= {(f"e{j}", "pill"): k for j, k in enumerate((b, a, 1.0, 1.0, a + b, a * b))}
            for place, text in numbers(answers, asked=True).items():
                assert read(text) == pytest.approx(expected[place], rel=0.006, abs=0.0051)


def plain_neuron(x: dict[str, float]) -> float:
    return math.tanh(x["x"] * x["w"] + x["b"])


def plain_network(x: dict[str, float]) -> float:
    h = [math.tanh(x[f"h1[{i}].w[0]"] * x["x1"] + x[f"h1[{i}].w[1]"] * x["x2"] + x[f"h1[{i}].b"]) for i in range(2)]
    return (x["out[0].w[0]"] * h[0] + x["out[0].w[1]"] * h[1] + x["out[0].b"] - 1.0) ** 2


@pytest.mark.parametrize(("make", "plain"), [(neuron, plain_neuron), (network, plain_network)])
def test_the_gradients_of_the_key_by_finite_differences(
    make: Callable[[], Value], plain: Callable[[dict[str, float]], float]
) -> None:
    """With the formula in plain Python, at the numbers on the sheet."""
    ids = {f"v{i}": node.label for i, node in enumerate(Graph(make()), start=1)}
    checked = 0
    for blank, answers in exercises(make(), 3, 6):
        x = leaves(make(), blank)
        for (id, what), text in numbers(answers, asked=True).items():
            if what == "grad" and ids[id] in x:
                up, down = (plain(x | {ids[id]: x[ids[id]] + step}) for step in (1e-6, -1e-6))
                assert read(text) == pytest.approx((up - down) / 2e-6, rel=0.006, abs=0.0051)
                checked += 1
            elif what == "data" and id == f"v{len(ids)}":
                assert read(text) == pytest.approx(plain(x), rel=0.006, abs=0.0051)
                checked += 1
    assert checked >= 10


def solved(value: Value, blank: Diagram) -> dict[tuple[str, str], float]:
    """All numbers from those on the sheet, as a student finds them: values, slopes, then gradients."""
    graph = Graph(value)
    ids = {node: f"v{i}" for i, node in enumerate(graph.nodes, start=1)}
    known = {place: read(text) for place, text in numbers(blank, asked=False).items()}
    for node in graph.nodes:
        if isinstance(node, Constant):
            known[ids[node], "data"] = node.data
        elif node.op:
            operands = [known[ids[parent], "data"] for parent in node.parents]
            known.setdefault((ids[node], "data"), node.op.forward(*operands))
    for j, (_, child, position) in enumerate(graph.edges):
        assert child.op
        if isinstance(child.parents[position], Constant):
            continue
        operands = [known[ids[parent], "data"] for parent in child.parents]
        known.setdefault((f"e{j}", "pill"), child.op.partials[position](*operands, known[ids[child], "data"]))
    edges = [*enumerate(graph.edges)]
    for node in reversed(graph.nodes[:-1]):
        if not isinstance(node, Constant):
            terms = [known[ids[e.child], "grad"] * known[f"e{j}", "pill"] for j, e in edges if e.parent is node]
            known.setdefault((ids[node], "grad"), sum(terms))
    return known


@graphs
@pytest.mark.parametrize("seed", range(3))
def test_every_sheet_can_be_solved(make: Callable[[], Value], seed: int) -> None:
    """From the numbers on it, rounded as they are; of gradients alone, from the slopes that are given."""
    value = make()
    for number, (blank, answers) in enumerate(exercises(value, seed, 8)):
        if number % 4 == 2:  # values only: there is no start to go back from
            blank = replace(blank, cards=(*blank.cards[:-1], _with_start(blank)))
        found = solved(value, blank)
        for place, text in numbers(answers, asked=True).items():
            assert found[place] == pytest.approx(read(text), rel=0.15, abs=0.05)


def _with_start(blank: Diagram) -> Any:
    last = blank.cards[-1]
    return replace(last, rows=(*last.rows, replace(last.rows[0], caption="grad", text="1.00", asked=False)))


def test_exercises_of_a_seed_differ() -> None:
    """In the numbers at the leaves, all small halves and not 0, and not those of the graph."""
    found = [tuple(leaves(neuron(), blank).values()) for blank, _ in exercises(neuron(), 0, 30)]
    assert len(set(found)) == 30
    x = Value(5.0, label="x")
    assert {leaves(x * x, blank)["x"] for blank, _ in exercises(x * x, 0, 12)} == set(NUMBERS)
    assert set(NUMBERS) == {x for numbers in found for x in numbers} == {n / 2 for n in range(-6, 7) if n}
    assert [tuple(leaves(neuron(), blank).values()) for blank, _ in exercises(neuron(), 1, 30)] != found


def test_the_same_seed_gives_the_same_exercises(tmp_path: Path) -> None:
    """With any hash seed, however many are asked for, and with every version of Python."""
    program = """
import sys
sys.path.insert(0, "tests")
from test_worksheet import network, worksheet
for path in worksheet(network(), sys.argv[1], seed=5, count=4):
    print(path.read_text(encoding="utf-8"))
"""
    runs = []
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-c", program, str(tmp_path / "sheet.dot")]
        env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONUTF8": "1"}
        runs.append(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    assert runs[0] == runs[1]
    assert [*exercises(product(), 0, 2)] == [*exercises(product(), 0, 5)][:2]
    assert leaves(product(), next(exercises(product(), 0, 1))[0]) == {"a": 2.0, "b": -0.5}
    assert leaves(product(), next(exercises(product(), 9, 1))[0]) == {"a": -3.0, "b": -2.0}


def test_numbers_suit_the_operations() -> None:
    """Within the domain, away from kinks and jumps, with a gradient that is not 0."""
    a, b = Value(1.0, label="a"), Value(2.0, label="b")
    cases: list[tuple[Value, Callable[[float, float], bool]]] = [
        (log(a * b) + sqrt(a), lambda a, b: a > 0.0 and b > 0.0),
        (relu(a + b), lambda a, b: a + b > 0.0),
        (maximum(a, b) * a, lambda a, b: a != b),
        (a**b, lambda a, b: a > 0.0),
    ]
    for value, fine in cases:
        for blank, _ in exercises(value, 0, 20):
            x = leaves(value, blank)
            assert fine(x["a"], x["b"]), value


def test_where_no_numbers_suit_the_own_ones_stay() -> None:
    """Outside the domain, or without a gradient, at all small numbers; then with gradients from 1."""
    x = Value(14.0, label="x")
    for value in (log(x - 10.0), relu(x - 10.0)):
        value.backward(7.0)
        for number, (blank, answers) in enumerate(exercises(value, 0, 3)):
            assert leaves(value, blank) == {"x": 14.0}
            if number < 2:
                grads = {card.name: card.rows[-1].text for card in answers.cards if card.rows}
                assert read(grads["x"]) == (0.25 if value.op is log else 1.0)


def test_constants_and_the_users_graph_stay_as_they_are(tmp_path: Path) -> None:
    """Data, slopes and gradients of every node; constants are on every sheet what they were."""
    loss = network()
    loss.backward()
    before = snapshot(loss)
    worksheet(loss, tmp_path / "sheet.dot", count=5)
    assert snapshot(loss) == before
    assert not any(node.has_grad for node in Graph(neuron()))
    for blank, _ in exercises(loss, 0, 5):
        assert [card.name for card in blank.cards if card.role == "constant"] == ["1", "2"]
    fresh = neuron()
    worksheet(fresh, tmp_path / "sheet.dot")
    assert not any(node.has_grad for node in Graph(fresh))


# Files.


def test_files_and_formats(tmp_path: Path) -> None:
    """One exercise has no number; of several, each sheet is followed by its key."""
    for suffix, start in {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph"}.items():
        paths = worksheet(neuron(), tmp_path / f"sheet.{suffix}")
        assert [path.name for path in paths] == [f"sheet.{suffix}", f"sheet-key.{suffix}"]
        assert all(path.read_bytes().startswith(start) for path in paths)
    several = worksheet(neuron(), str(tmp_path / "few.dot"), count=2)
    assert [path.name for path in several] == ["few-1.dot", "few-1-key.dot", "few-2.dot", "few-2-key.dot"]
    assert several[0].read_bytes() == (tmp_path / "sheet.dot").read_bytes()
    assert "Key to exercise 2" in several[3].read_text(encoding="utf-8")


def test_answers_are_framed_on_paper(tmp_path: Path) -> None:
    """As many boxes on the key as on the sheet, but for the terms of sums; none without a worksheet."""
    blank, answers = worksheet(neuron(), tmp_path / "sheet.dot", count=2)[2:]
    boxes = [path.read_text(encoding="utf-8").count('height="21" border="1"') for path in (blank, answers)]
    assert boxes == [10, 10]  # five slopes, five gradients
    o = neuron()
    o.backward()
    assert not numbers(gradient_flow(Graph(o)), asked=True)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    """And no file is written."""
    x = Value(1.0, label="x")
    large = x
    for _ in range(40):
        large = large + x
    path = tmp_path / "sheet.svg"
    with pytest.raises(
        ValueError, match="41 values are too many for a worksheet, which has room for 40: give the output"
    ):
        worksheet(large, path)
    for count in (0, -1, 1.5):
        with pytest.raises(ValueError, match="count must be a whole number of exercises, 1 or more, not"):
            worksheet(x + x, path, count=count)  # type: ignore[arg-type]
    for name in ("sheet.gif", "sheet"):
        with pytest.raises(ValueError, match="the suffix must be one of svg, png, pdf, dot"):
            worksheet(x + x, tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        worksheet(x + x, tmp_path / "nowhere" / "sheet.svg")
    for nothing in (x, Constant(2.0) + 1.0):
        with pytest.raises(ValueError, match="there is nothing to ask"):
            worksheet(nothing, path)
    with pytest.raises(TypeError, match="worksheet needs a Value, not float"):
        worksheet(1.0, path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_all_files_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the last cannot be drawn, the first is not written, and an old one stays."""
    drawn: list[Picture] = []

    def fails_at_last(picture: Picture, format: str) -> bytes:
        drawn.append(picture)
        if len(drawn) == 4:
            raise RuntimeError("Graphviz failed")
        return b"new"

    monkeypatch.setattr(Picture, "pipe", fails_at_last)
    old = tmp_path / "sheet-1.svg"
    old.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="Graphviz failed"):
        worksheet(product(), tmp_path / "sheet.svg", count=2)
    assert len(drawn) == 4
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("sheet-1.svg", b"old")]


def test_a_copy_of_a_graph_gives_the_same_sheets() -> None:
    """Exercises depend on the graph and the seed alone."""
    o = neuron()
    assert [*exercises(copy.deepcopy(o), 4, 4)] == [*exercises(o, 4, 4)]
