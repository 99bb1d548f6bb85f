"""Pictures as data, as DOT and as files, and written derivations."""

import itertools
import math
import os
import re
import shutil
import subprocess
import sys
import webbrowser
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from autograd import Graph, Value, fsum, label_from, log, logsumexp, name_scope, relu, sqrt, sumprod, tanh
from nn import MLP, cross_entropy
from viz import Picture, draw, draw_dot, explain, save
from viz.diagram import Card, Diagram
from viz.flow import gradient_flow
from viz.text import number, pretty, short, typeset

SVG = "{http://www.w3.org/2000/svg}"
needs_dot = pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed on this system")


def neuron() -> tuple[Value, dict[str, Value]]:
    """The neuron that every learner of micrograd knows, before backward."""
    x1, x2 = Value(2.0), Value(0.0)
    w1, w2, b = Value(-3.0), Value(1.0), Value(6.8813735870195432)
    n = x1 * w1 + x2 * w2 + b
    o = tanh(n)
    names = {"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "n": n, "o": o}
    label_from(names)
    return o, names


def cards(diagram: Diagram) -> dict[str, Any]:
    """The cards by name."""
    return {card.name: card for card in diagram.cards}


def text(card: Card, caption: str) -> str:
    """A number on a card, with the sum that it is; empty if it is not there."""
    return "".join(row.parts + row.text for row in card.rows if row.caption == caption)


# What is drawn.


def test_the_neuron_as_data() -> None:
    """Cards with the published numbers; pills with the local partials; one seed."""
    o, names = neuron()
    o.backward()
    diagram = gradient_flow(Graph(o), parameters=[names["w1"], names["w2"], names["b"]])
    assert diagram.title == "How the gradient of o reaches every input"
    assert diagram.notes == ("o = tanh(x₁ · w₁ + x₂ · w₂ + b)",)
    found = {
        name: (card.op, card.role, text(card, "data"), text(card, "grad"), card.rows[-1].sign)
        for name, card in cards(diagram).items()
    }
    assert found["x₁"] == ("", "input", "2.00", "−1.50", -1)
    assert found["w₁"] == ("", "parameter", "−3.00", "1.00", 1)
    assert found["w₂"] == ("", "parameter", "1.00", "0.00", 0)
    assert found["n"] == ("+", "", "0.88", "0.50", 1)
    assert found["o"] == ("tanh", "output", "0.71", "1.00", 1)
    ids = {card.id: card.name for card in diagram.cards}
    pills = {(ids[r.parent], ids[r.child]): r.pill for r in diagram.ribbons}
    assert pills["x₁", "x₁ · w₁"] == "×−3"
    assert pills["w₂", "x₂ · w₂"] == "×0"
    assert pills["n", "o"] == "×0.50"
    (seed,) = diagram.seeds
    assert seed.text + seed.value == "start: ∂o/∂o =\xa01"
    assert list(seed.flow) == pytest.approx([1, 1.0 / 1.5])


def test_ribbons_show_the_flow_before_and_after_the_pill() -> None:
    """Right of the pill the upstream gradient, left of it upstream × k, as shares of the largest."""
    o, _ = neuron()
    o.backward()
    diagram = gradient_flow(Graph(o))
    flow = {card.id: card for card in diagram.cards}
    first = next(r for r in diagram.ribbons if flow[r.parent].name == "x₁")
    assert first.upstream is not None
    assert list(first.upstream) == pytest.approx([1, 0.5 / 1.5])
    assert first.downstream == (-1, 1.0)
    dead = next(r for r in diagram.ribbons if flow[r.parent].name == "w₂")
    assert dead.downstream == (0, 0.0)
    assert "0.50 from x₂ · w₂, ×0" in dead.tooltip


def test_a_reused_value_shows_its_sum() -> None:
    """3 − 6 = −3.00, and parallel edges stay two edges."""
    a, b = Value(-2.0, label="a"), Value(3.0, label="b")
    f = (a * b) * (a + b)
    f.backward()
    found = cards(gradient_flow(Graph(f)))
    assert text(found["a"], "grad") == "3 − 6 =\xa0−3.00"
    assert text(found["b"], "grad") == "−2 − 6 =\xa0−8.00"
    c = Value(1.0, label="c")
    d = c + c
    d.backward()
    diagram = gradient_flow(Graph(d))
    assert [(r.parent, r.child, r.pill) for r in diagram.ribbons] == [("v1", "v2", "×1")] * 2
    assert text(cards(diagram)["c"], "grad") == "1 + 1 =\xa02.00"
    many = fsum([c] * 5)
    c.grad = 0.0
    many.backward()
    assert text(cards(gradient_flow(Graph(many)))["c"], "grad") == "1 + 1 + 1 + … =\xa05.00"


def test_a_part_of_a_graph_says_that_more_comes_from_outside() -> None:
    """The output of the part gets its gradient from what uses it; so do values that others use as well."""
    x, w = Value(2.0, label="x"), Value(3.0, label="w")
    h = x * w
    h.label = "h"
    y = h * h + x
    y.backward()
    diagram = gradient_flow(Graph(h))
    assert diagram.title == "How the gradient at h reaches every input"
    assert (diagram.seeds[0].text, diagram.seeds[0].value) == ("from what uses it:\xa0", "12")
    assert text(cards(diagram)["x"], "grad") == "36 + … =\xa037.0"
    assert cards(diagram)["w"].rows[-1].parts == ""


def test_before_backward_only_the_forward_half_is_drawn() -> None:
    """Not computed is blank, and different from a zero."""
    o, _ = neuron()
    diagram = gradient_flow(Graph(o))
    assert diagram.title == "How o is computed"
    assert not any(text(card, "grad") for card in diagram.cards)
    assert not any(ribbon.pill for ribbon in diagram.ribbons)
    assert diagram.seeds == ()
    assert "gradient" not in draw(o).source.replace("gradient_flow", "")


def test_constants_are_drawn_without_a_gradient() -> None:
    """A card with its number, and a line without a pill."""
    x = Value(3.0, label="x")
    y = x**2
    y.backward()
    diagram = gradient_flow(Graph(y))
    assert (cards(diagram)["2"].role, cards(diagram)["2"].rows) == ("constant", ())
    assert [r.pill for r in diagram.ribbons] == ["×6", ""]
    assert "−2.5" in cards(gradient_flow(Graph(x * -2.5)))


def test_parameters_of_a_network_are_known_by_their_scope() -> None:
    """Inputs have none."""
    x = Value(1.0, label="x")
    with name_scope("layer"):
        w = Value(2.0, label="w")
    y = w * x
    y.backward()
    found = cards(gradient_flow(Graph(y)))
    assert (found["w"].role, found["x"].role) == ("parameter", "input")


def test_infinite_and_undefined_gradients_are_drawn() -> None:
    """They are written out, and leave the widths of the others alone."""
    x, y = Value(0.0, label="x"), Value(math.nan, label="y")
    z = sqrt(x) + relu(y) + x
    z.backward()
    diagram = gradient_flow(Graph(z))
    assert (text(cards(diagram)["x"], "grad"), text(cards(diagram)["y"], "data")) == ("∞ + 1 =\xa0∞", "nan")
    assert all(0.0 <= share <= 1.0 for r in diagram.ribbons for _, share in filter(None, (r.upstream, r.downstream)))


def test_infinities_of_both_signs_meet() -> None:
    """Their sum is nan, which is drawn like any other number."""
    x = Value(0.0, label="x")
    z = sqrt(x) - sqrt(x)
    z.backward()
    found = cards(gradient_flow(Graph(z)))["x"]
    assert text(found, "grad") == "∞ − ∞ =\xa0nan"
    assert 'dir="none"' in draw(z).source


def test_long_formulas_are_abbreviated_by_name() -> None:
    """A graph whose formula doubles with every node is still described in a line."""
    y = Value(1.0, label="x")
    for _ in range(30):
        y = y + y
    assert max(map(len, gradient_flow(Graph(y)).notes), default=0) < 200


# DOT.


def test_the_same_graph_gives_the_same_dot() -> None:
    """In this process, in another, and with another hash seed."""
    program = """
import sys
sys.path.insert(0, "tests")
from test_viz import draw, neuron
o, _ = neuron()
o.backward()
print(draw(o).source)
"""
    command = [sys.executable, "-c", program]
    outputs = {
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    o, _ = neuron()
    o.backward()
    assert outputs == {(draw(o).source + "\n").encode()}
    assert draw_dot(o, format="png", rankdir="LR").source == draw(o).source
    assert (draw_dot(o).format, draw_dot(o, format="png").format) == ("svg", "png")


def test_dot_has_a_card_per_value_and_operands_in_order() -> None:
    """Declared in their order, with edges that are not seen between the pills of each operation."""
    o, _ = neuron()
    o.backward()
    source = draw(o).source
    declared = re.findall(r"^\t\tv(\d+) \[", source, re.MULTILINE)
    assert declared == [str(i) for i in range(1, 11)]
    assert source.count("style=invis") == 4
    assert source.count("arrowhead") == 0
    assert source.count('dir="none"') == len(Graph(o).edges)
    assert 'color="#D55E00" penwidth="8.00"' in source


@pytest.mark.parametrize("label", ["<b>&", '"', "\\N", "a\nb", "\x1b[31m", "日本", "]]>", "%s", "-->", "{x|y}"])
def test_labels_are_text(label: str) -> None:
    """Whatever they contain, they are drawn as they are, without control characters."""
    x = Value(1.0, label=label)
    y = x * 2.0
    y.backward()
    shown = "".join(c for c in label if c.isprintable())
    root = ET.fromstring(draw(y).pipe("svg"))
    assert ["".join(element.itertext()) for element in root.iter(f"{SVG}text")].count(shown) == 1
    tooltips = [element.text for element in root.iter(f"{SVG}title")]
    assert f"{shown}: data 1.00, grad 2.00" in tooltips


# Files.


@pytest.fixture(params=[pytest.param("dot", marks=needs_dot), "pygraphviz", "pygraphviz beside a dot that may not run"])
def engine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """With the system's Graphviz, and with none on the path, or one that is of no use."""
    if request.param == "dot":
        monkeypatch.setitem(sys.modules, "pygraphviz", None)
    else:
        pytest.importorskip("pygraphviz")
        folder = tmp_path_factory.mktemp("bin")
        monkeypatch.setenv("PATH", str(folder))
        if "beside" in request.param:
            (folder / "dot").touch(mode=0o644)
    return str(request.param)


def test_save_in_every_format(engine: str, tmp_path: Path) -> None:
    """The suffix decides; each file is what it says."""
    o, _ = neuron()
    o.backward()
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph"}
    for suffix, start in starts.items():
        path = save(o, tmp_path / f"neuron.{suffix}")
        assert path.read_bytes().startswith(start), engine
    assert sorted(p.name for p in tmp_path.iterdir()) == ["neuron.dot", "neuron.pdf", "neuron.png", "neuron.svg"]
    root = ET.parse(tmp_path / "neuron.svg").getroot()
    texts = {"".join(element.itertext()) for element in root.iter(f"{SVG}text")}
    assert {"x₁", "−1.50", "×−3", "tanh", "\xa0input", "start: ∂o/∂o =\xa0"} <= texts


def test_render_as_graphviz_does(engine: str, tmp_path: Path) -> None:
    """The habit of micrograd's users, with either engine."""
    o, _ = neuron()
    path = draw(o).render(str(tmp_path / "neuron"), format="svg", cleanup=True)
    assert path == str(tmp_path / "neuron.svg"), engine
    assert Path(path).read_bytes().startswith(b"<svg")
    assert [file.name for file in tmp_path.iterdir()] == ["neuron.svg"]


def test_render_keeps_the_dot_and_shows_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is asked to clean up; the picture is there before it is shown."""
    shown = []
    monkeypatch.setattr("webbrowser.open", lambda url: shown.append((url, (tmp_path / "o.png").stat().st_size > 0)))
    picture = draw(neuron()[0])
    assert picture.render("o", tmp_path, view=True, format="png") == str(tmp_path / "o.png")
    assert (tmp_path / "o").read_text(encoding="utf-8") == picture.source
    assert shown == [((tmp_path / "o.png").resolve().as_uri(), True)]


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(TypeError, match=r"draw needs a Value or a Graph, not float 3\.0"):
        draw(3.0)  # type: ignore[arg-type]


def test_a_picture_is_viewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with graphviz, which writes both files and opens the picture."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    path = draw(Value(2.0, label="x") * 3.0).view(tmp_path / "product")
    assert opened == [(tmp_path / f"product.{path.rpartition('.')[2]}").as_uri()]
    assert {item.name for item in tmp_path.iterdir()} == {"product", Path(path).name}


def test_a_notebook_shows_the_picture(engine: str) -> None:
    """Jupyter asks for a bundle of formats."""
    o, _ = neuron()
    bundle = draw(o)._repr_mimebundle_()
    assert bundle["image/svg+xml"] == bundle["text/html"], engine
    assert bundle["text/html"].startswith("<svg"), engine
    assert isinstance(draw(Graph(o)), Picture)


def test_without_graphviz_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And no file is left behind, nor an old one harmed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    o, _ = neuron()
    path = tmp_path / "neuron.svg"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"install its 'dot' program, or run: pip install 'gradgraph\[embedded\]'"):
        save(o, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert save(o, tmp_path / "neuron.dot").read_text(encoding="utf-8").startswith("digraph")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["neuron.dot", "neuron.svg"]


def test_save_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    """Unknown suffixes, folders that are not there; nothing half-written stays."""
    o, _ = neuron()
    for name in ("neuron.gif", "neuron", "neuron.svg.zip"):
        with pytest.raises(ValueError, match="the suffix must be one of svg, png, pdf, dot"):
            save(o, tmp_path / name)
    with pytest.raises(FileNotFoundError):
        save(o, tmp_path / "nowhere" / "neuron.dot")
    assert list(tmp_path.iterdir()) == []


@needs_dot
def test_no_card_overlaps_another() -> None:
    """As laid out by Graphviz: the boxes of cards and pills are apart."""
    model = MLP(4, [3, 2], "tanh", seed=0)
    logits = model([Value(x, label=f"x{i}") for i, x in enumerate((0.1, -0.4, 2.0, 1.0))])
    assert isinstance(logits, list)
    loss = cross_entropy(logits, 0)
    loss.backward()
    hidden = next(node for node in Graph(loss) if node.label == "h1[1]")
    for picture in (draw(hidden), draw(neuron()[0])):
        boxes = []
        for line in picture.pipe("plain", encoding="utf-8").splitlines():
            if line.startswith("node"):
                x, y, width, height = map(float, line.split()[2:6])
                boxes.append((x - width / 2, x + width / 2, y - height / 2, y + height / 2))
        for a, b in itertools.combinations(boxes, 2):
            assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]


# Text.


def test_numbers_have_the_decimals_they_deserve() -> None:
    """A true minus, no more digits than are of use, and no lone zeros in factors."""
    cases = {
        0.0: "0.00",
        -0.5: "−0.50",
        99.95: "100.0",
        123.4: "123",
        0.0999: "0.10",
        0.05: "0.050",
        0.00012: "0.00012",
    }
    cases |= {1e6: "1.0e6", -1.2e-7: "−1.2e−7", 12345.6: "12346", math.inf: "∞", -math.inf: "−∞"}
    assert {x: number(x) for x in cases} == cases
    assert number(math.nan) == "nan"
    assert [short(x) for x in (1.0, -3.0, 0.25, 1e5, math.inf)] == ["1", "−3", "0.25", "100000", "∞"]
    assert number(0.70710678, 5) == "0.7071"


def test_names_and_formulas_are_typeset() -> None:
    """As on a blackboard."""
    assert [pretty(name) for name in ("x1", "w_12", "loss", "h1[3].w[2]", "a\x07b")] == [
        "x₁",
        "w₁₂",
        "loss",
        "h1[3].w[2]",
        "ab",
    ]
    assert typeset("2.0 * x ** 2.0 - (-1.5)") == "2 · x² − (−1.5)"
    assert typeset("x ** 2.5 + 1e-07") == "x ** 2.5 + 1e−07"
    assert typeset("fsum([-petal-width, -2.0])") == "fsum([−petal-width, −2])"


# Derivations.


def test_the_derivation_of_the_neuron() -> None:
    """Symbols, then rules, then numbers, along the one way back."""
    o, names = neuron()
    text = str(explain(o, names["x1"]))
    assert text.splitlines()[-10:-3] == [
        "  ∂o/∂o  = 1",
        "  ∂o/∂n  = (1 − o) · (1 + o) = (1 − 0.7071) · (1 + 0.7071) = 0.5000",
        "  ∂o/∂v₇ = ∂o/∂n · ∂n/∂v₇ = 0.5000 · 1 = 0.5000",
        "  ∂o/∂v₃ = ∂o/∂v₇ · ∂v₇/∂v₃ = 0.5000 · 1 = 0.5000",
        "  ∂o/∂x₁ = ∂o/∂v₃ · ∂v₃/∂x₁ = 0.5000 · w₁ = 0.5000 · (−3) = −1.5000",
        "in one line",
        "  ∂o/∂x₁ = ∂o/∂n · ∂n/∂v₇ · ∂v₇/∂v₃ · ∂v₃/∂x₁",
    ]
    assert "  n  = v₇ + b = −6 + 6.8814 = 0.8814" in text


def test_the_derivation_of_a_power() -> None:
    """A negative base is in brackets, and a constant exponent is folded into the school's rule."""
    x = Value(-3.0, label="x")
    lines = str(explain(x**2, x)).splitlines()
    assert lines[3] == "  v₃ = x² = (−3)² = 9"
    assert lines[-1] == "  ∂v₃/∂x  = 2 · x = 2 · (−3) = −6"
    assert str(explain(x**3, x)).splitlines()[-1] == "  ∂v₃/∂x  = 3 · x² = 3 · (−3)² = 27"
    assert str(next(Graph(x**2).steps())) == "v3 = x ** 2 = (-3) ** 2 = 9"


def test_the_derivation_sums_over_children() -> None:
    """At a reused node, as in Algorithm 6.2; parallel edges are two terms."""
    a, b = Value(-2.0), Value(3.0)
    d = a * b
    e = a + b
    f = d * e
    label_from({"a": a, "b": b, "d": d, "e": e, "f": f})
    last = str(explain(f, a)).splitlines()[-1]
    assert last == "  ∂f/∂a = ∂f/∂d · ∂d/∂a + ∂f/∂e · ∂e/∂a = 1 · b + (−6 · 1) = 1 · 3 + (−6 · 1) = −3"
    c = Value(3.0, label="c")
    y = c * c
    y.label = "y"
    assert str(explain(y, c)).splitlines()[-1] == "  ∂y/∂c = ∂y/∂y · ∂y/∂c + ∂y/∂y · ∂y/∂c = c + c = 3 + 3 = 6"


def test_the_numbers_of_a_derivation_are_the_gradients() -> None:
    """For every node of a network's loss: the last number of its line is its gradient."""
    model = MLP(3, [2, 2], "sigmoid", seed=4)
    logits = model([Value(x, label=f"x{i}") for i, x in enumerate((0.5, -1.0, 2.0))])
    assert isinstance(logits, list)
    loss = cross_entropy(logits, 1)
    loss.label = "L"
    loss.backward()
    for parameter in model.parameters():
        text = str(explain(loss, parameter))
        shown = text.splitlines()[-1].rsplit("= ", 1)[1].replace("−", "-")
        assert float(shown) == pytest.approx(parameter.grad, rel=1e-3)
        assert text.startswith(f"∂L/∂{parameter.label} by the chain rule")
    assert "exp(out[0] − v" in str(explain(loss, model.parameters()[0]))


def test_n_ary_operations_are_written_out_while_they_fit() -> None:
    """A short sum of products as such, a long one by its name."""
    xs, ws = [Value(2.0, label=f"x{i}") for i in range(20)], [Value(3.0, label=f"w{i}") for i in range(20)]
    few = sumprod(ws[:2], xs[:2])
    assert "  v₅ = w₀ · x₀ + w₁ · x₁ = 3 · 2 + 3 · 2 = 12" in str(explain(few, ws[0]))
    assert "  v₄₁ = sumprod(…) = 120" in str(explain(sumprod(ws, xs), ws[0]))
    assert "log(exp(x₀) + exp(x₁))" in str(explain(logsumexp(xs[:2]), xs[0]))


def test_what_does_not_depend_has_no_derivation() -> None:
    """Strangers and constants; the derivative by itself is 1."""
    x = Value(3.0, label="x")
    y = log(x * 2.0)
    with pytest.raises(ValueError, match="does not depend on"):
        explain(y, Value(1.0))
    with pytest.raises(ValueError, match="nothing is differentiated with respect to a constant"):
        explain(y, Graph(y).nodes[1])
    assert str(explain(y, y)).splitlines()[-1].endswith("= 1")
    assert not x.has_grad


def test_options_that_would_do_nothing_are_refused() -> None:
    """A radius around nothing, and parameters that are no Values."""
    o, _ = neuron()
    with pytest.raises(ValueError, match="radius says how much is shown around a focus: give focus=value, too"):
        draw(o, radius=1)
    for name in ("highlight", "focus"):
        with pytest.raises(ValueError, match=rf"{name} needs a card per value, and \d+ values are drawn as groups"):
            draw(o, detail="layers", **{name: o})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="parameters must be"):
        draw(o, parameters=["w"])  # type: ignore[list-item]
