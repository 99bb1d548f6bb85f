"""The picture of a network: as data against numbers made elsewhere, as DOT, and as drawn by both engines."""

import itertools
import math
import os
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from autograd import Graph, Value, fsum, name_scope, sigmoid, tanh
from nn import MLP, Layer, Module, Neuron, cross_entropy, half_squared_error, negative_log_likelihood
from nn.health import health
from nn.initializers import constant
from viz import Picture, network
from viz.network import DECADES, EDGE, HEIGHT, WIDTH, Network, of
from viz.neurons import of_graph, of_parameters
from viz.palette import DARK, INK, PAPER, SHADES

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [([0.5, -1.0], 1.0), ([2.0, 0.25], 0.0), ([-1.5, 1.0], 1.0)]


def loss_of(model: Any, loss: Any = half_squared_error, batch: Sequence[Any] = POINTS) -> Value:
    """The mean loss of a batch, after backward."""
    mean: Value = fsum([loss(model(x), target) for x, target in batch]) / len(batch)
    mean.label = "loss"
    mean.backward()
    return mean


def data(value: Any, most: int = 200) -> Network:
    """What is drawn, as plain data."""
    found = of_graph(Graph(value)) if isinstance(value, Value) else of_parameters(value.parameters())
    return of(*found, "loss", most, None)


def units(drawn: Network) -> dict[str, Any]:
    """The units by name."""
    return {unit.name: unit for unit in drawn.units}


def wide() -> Value:
    """A softmax layer, more units than are shown, dead and saturated ones, and odd names."""
    rng = random.Random(0)
    hidden = Layer(20, 40, "tanh", name='a.b<c>&"\\N{|}é', rng=rng, init=constant(2.0))
    out = Layer(40, 3, "softmax", name="out", rng=rng)
    x = [Value(rng.gauss(0.0, 1.0), label=f"<x>&{j}\\N") for j in range(20)]
    loss = negative_log_likelihood(out(hidden(x)), 1)
    loss.backward()
    return loss


def deep() -> Value:
    """A gradient that fades, in ten layers."""
    return loss_of(MLP(2, [6] * 10 + [1], "sigmoid", seed=1))


def single() -> Value:
    """One unit and one example, before backward."""
    return MLP(3, [1], "tanh")([1.0, -2.0, 3.0])  # type: ignore[no-any-return]


def dead() -> Value:
    """Most of its units are."""
    return loss_of(MLP(2, [12, 12, 1], "relu", bias_init=constant(-1.0), seed=5))


GRAPHS = [wide, deep, single, dead]


# What is drawn.


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "linear", lambda a: a * sigmoid(a)])
@pytest.mark.parametrize("options", [{}, {"expand": True}, {"bias": False}, {"bias": "input", "expand": True}])
@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_layers_are_as_in_the_health_report(activation: Any, options: Any, gain: float) -> None:
    """Mean |grad|, size, and how many units are dead or saturated."""
    model = MLP(2, [9, 7, 1], activation, "sigmoid", seed=3, **options)
    for parameter in model.parameters():
        parameter.data *= gain
    drawn = data(loss_of(model))
    report = health(model, half_squared_error, POINTS)
    assert [layer.name for layer in drawn.layers] == ["inputs", "h1", "h2", "out"]
    for layer, expected in zip(drawn.layers[1:], report.layers, strict=True):
        assert (layer.name, layer.size) == (expected.name, expected.units)
        assert (layer.dead, layer.saturated) == (expected.dead, expected.saturated)
        assert layer.mean == pytest.approx(expected.mean_grad, rel=1e-12, abs=1e-300)
        states = [unit.state for unit in drawn.units if unit.name.startswith(layer.name)]
        assert (states.count("dead"), states.count("saturated")) == (layer.dead, layer.saturated)


def test_a_softmax_is_as_in_the_health_report() -> None:
    """Its units are in the scope of the layer; the picture has the outputs that the graph has."""
    model = MLP(2, [4, 3], "relu", "softmax", seed=2)
    batch = [(x, j) for j, (x, _) in enumerate(POINTS)]
    outputs = [model(x) for x, _ in batch]
    loss = fsum([negative_log_likelihood(p, k) for p, (_, k) in zip(outputs, batch, strict=True)]) / len(batch)
    loss.backward()
    drawn = of(*of_graph(Graph(loss, *itertools.chain(*outputs))), "loss", 200, None)
    for layer, expected in zip(drawn.layers[1:], health(model, negative_log_likelihood, batch).layers, strict=True):
        assert (layer.dead, layer.saturated) == (expected.dead, expected.saturated)
        assert layer.mean == pytest.approx(expected.mean_grad, rel=1e-12)
    for j in range(3):
        mean = sum(p[j].data for p in outputs) / len(batch)
        assert units(drawn)[f"out[{j}]"].activation == pytest.approx(mean, rel=1e-12)
    alone = units(data(loss))["out[0]"]
    assert alone.activation == pytest.approx(outputs[0][0].data)  # in this graph, of its own example only


def test_units_have_the_means_over_the_examples() -> None:
    """Activation, shade, and gradient, for h = tanh(w · x + b) on plain numbers."""
    model = MLP(2, [2, 1], "tanh", seed=1)
    drawn = units(data(loss_of(model)))
    hidden, (out,) = (layer.neurons for layer in model.layers)
    means, slopes = [], []
    for j, neuron in enumerate(hidden):
        (w1, w2), b = (w.data for w in neuron.w), neuron.b
        assert b is not None
        means.append(sum(math.tanh(w1 * x1 + w2 * x2 + b.data) for (x1, x2), _ in POINTS) / 3)
        slopes.append([(model(x).data - target) / 3 * out.w[j].data for x, target in POINTS])
        assert drawn[f"h1[{j}]"].activation == pytest.approx(means[j], rel=1e-12)
    assert [drawn[f"h1[{j}]"].shade for j in range(2)] == pytest.approx([abs(m) / max(map(abs, means)) for m in means])
    assert [drawn[f"x{c}"].activation for c in "₁₂"] == pytest.approx([1.0 / 3, 0.25 / 3])
    errors = [(model(x).data - target) / 3 for x, target in POINTS]
    sizes = [sum(map(abs, held)) / 3 for held in (*slopes, errors)]
    for j in range(2):
        sign, share = drawn[f"h1[{j}]"].grad
        assert sign == math.copysign(1, sum(slopes[j]))
        assert share == pytest.approx(1.0 + math.log10(sizes[j] / max(sizes)) / DECADES)
    assert drawn["x₁"].grad is None  # a number, not a Value


def test_ribbons_are_the_largest_gradients() -> None:
    """As many as are asked for, as many again as hairlines, the largest in front; a note says so."""
    model = MLP(2, [5, 4, 1], "tanh", seed=1)
    loss = loss_of(model)
    names = {unit.id: unit.name for unit in data(loss).units}
    sizes = sorted((abs(w.grad) for w in model.weights()), reverse=True)
    assert len(sizes) == 34
    drawn = data(loss, most=8)
    assert [link.grad is None for link in drawn.connections] == [True] * 8 + [False] * 8
    shares = [link.grad[1] for link in reversed(drawn.connections) if link.grad]
    expected = [max(0.0, 1.0 + math.log10(size / sizes[0]) / DECADES) for size in sizes]
    assert shares == pytest.approx(expected[:8])
    assert drawn.notes[1:] == (
        "means over 3 examples",
        "ribbons: the 8 largest of 34 gradients",
        "hairlines: the next 8",
    )
    everything = data(loss)
    assert everything.notes == ("44 weights and biases", "means over 3 examples")
    weights = {
        **{(f"x{'₁₂'[j]}", f"h1[{k}]"): n.w[j] for k, n in enumerate(model.layers[0].neurons) for j in range(2)},
        **{(f"h1[{j}]", f"h2[{k}]"): n.w[j] for k, n in enumerate(model.layers[1].neurons) for j in range(5)},
        **{(f"h2[{j}]", "out[0]"): w for j, w in enumerate(model.layers[2].neurons[0].w)},
    }
    assert {(names[link.source], names[link.target]) for link in everything.connections} == set(weights)
    for link in everything.connections:
        grad = weights[names[link.source], names[link.target]].grad
        assert link.grad is not None
        assert link.grad[0] == math.copysign(1, grad)
        assert link.grad[1] == pytest.approx(max(0.0, 1.0 + math.log10(abs(grad) / sizes[0]) / DECADES))


def test_of_many_units_the_first_and_the_last_are_drawn() -> None:
    """Sixteen at most; the means and counts are of all of them."""
    drawn = data(wide())
    inputs, hidden, _ = drawn.layers
    assert (inputs.size, inputs.hidden, hidden.size, hidden.hidden) == (20, 5, 40, 25)
    assert [unit.name for unit in drawn.units[7:9]] == ["<x>&7\\N", "<x>&13\\N"]
    assert hidden.saturated + hidden.dead == 40
    assert len(drawn.units) == 15 + 15 + 3
    assert drawn.notes[-1].endswith("hairlines: the next 70") or "between the units shown" in " ".join(drawn.notes)


@pytest.mark.parametrize("bias", [True, False, "input"])
def test_a_model_is_drawn_without_activations(bias: Any) -> None:
    """The same weights between the same units; before backward, as lines only."""
    model = MLP(2, [3, 2, 1], "tanh", seed=1, bias=bias)
    before = data(model)
    assert before.title == "A network of 3 layers and 6 units"
    assert {unit.activation for unit in before.units} == {None}
    assert {unit.grad for unit in before.units} == {None}
    assert {link.grad for link in before.connections} == {None}
    drawn, expected = data(model), data(loss_of(model))
    drawn = data(model)
    assert [(unit.id, unit.name, unit.place) for unit in drawn.units] == [
        (unit.id, unit.name, unit.place) for unit in expected.units
    ]
    assert [layer.mean for layer in drawn.layers] == [layer.mean for layer in expected.layers]
    assert drawn.connections == expected.connections
    assert ("1" in units(drawn)) == (bias == "input")


def test_the_title_says_what_the_numbers_say() -> None:
    """Whether the gradient fades, explodes, ends, or is not a number."""
    model = MLP(2, [3, 3, 1], "tanh", seed=1)

    def title(*sizes: float) -> str:
        for layer, size in zip(model.layers, sizes, strict=True):
            for parameter in layer.parameters():
                parameter.grad = -size
        return data(model).title

    assert title(1.0, 1.0, 100.0) == "The gradient of loss reaches every layer"
    assert title(1e-3, 1e-2, 3.2167) == "The gradient fades: layer h1 gets 1/3,200 of what out gets"
    assert title(1e-12, 1e-2, 2.0) == "The gradient fades: layer h1 gets 5.0e−13 of what out gets"
    assert title(4.44, 1.0, 1e-3) == "The gradient explodes: layer h1 gets 4,400 times what out gets"
    assert title(0.0, 0.0, 1.0) == "The gradient ends: nothing of it reaches layer h2"
    assert title(1.0, math.inf, math.nan) == "The gradient is not finite: nan in layer out"
    assert network(model, title="Mine").title == "Mine"


def test_networks_that_are_not_chains() -> None:
    """What skips a layer, is dropped out, shared, or called again is connected as it was computed."""

    def links(loss: Value) -> set[tuple[str, str]]:
        drawn = data(loss)
        names = {unit.id: unit.name for unit in drawn.units}
        return {(names[link.source], names[link.target]) for link in drawn.connections}

    rng = random.Random(0)
    a, b = Layer(2, 2, "tanh", name="a", rng=rng), Layer(4, 1, "tanh", name="b", rng=rng)
    first = {("x₁", "a[0]"), ("x₂", "a[0]"), ("x₁", "a[1]"), ("x₂", "a[1]")}
    skipped = b([*a([0.1, 0.2]), 0.1, 0.2])[0]
    assert links(skipped) == first | {("a[0]", "b[0]"), ("a[1]", "b[0]"), ("x₁", "b[0]"), ("x₂", "b[0]")}
    model = MLP(2, [2, 1], "tanh", seed=0)
    kept = [2.0 * h for h in model.layers[0]([0.1, 0.2])]
    assert ("h1[1]", "out[0]") in links(model.layers[1](kept)[0])
    model.layers[1].neurons[0].w[0] = model.layers[0].neurons[0].w[1]
    assert len(links(model([0.1, 0.2]))) == 6
    again = Layer(2, 2, "tanh", name="r", rng=rng)
    assert len(links(again(again([0.1, 0.2]))[0])) == 4
    assert links(Neuron(1, "tanh", name="n", rng=rng)([0.5])) == {("x₁", "n")}


def test_networks_within_scopes() -> None:
    """One may be called in another scope than it was made in; of two, each has its own."""
    with name_scope("enc"):
        encoder = MLP(2, [3, 2], "tanh", "softmax", seed=1)
    with name_scope("app"):
        loss = cross_entropy(encoder([0.1, 0.2]), 0)
    assert [layer.name for layer in data(loss).layers] == ["inputs", "h1", "out"]
    assert units(data(loss))["out[1]"].activation is not None
    with name_scope("dec"):
        decoder = MLP(2, [2], "tanh", seed=2)
        y = fsum(decoder(encoder([0.1, 0.2])))
    with pytest.raises(ValueError, match=r"could be any of 2 neurons"):
        data(y)
    x = Value(1.0, label="x")
    with name_scope("elsewhere"):
        stray = x * 2.0
    stray.label = "out[1]"  # is no output of a neuron
    assert units(data(code := encoder([0.1, 0.2])[1]))["out[1]"] == units(data(code + stray))["out[1]"]
    nets = [encoder, MLP(2, [3, 2], "tanh", seed=3)]
    with name_scope("app.enc"), pytest.raises(ValueError, match=r"app\.enc\.\S+ could be any of 2 neurons"):
        data(fsum([out for net in nets for out in net([0.1, 0.2])]))
    with name_scope("enc"):
        code = encoder([0.1, 0.2])
    with name_scope("dec"):
        y = fsum(decoder(code))
    assert [layer.name for layer in data(y).layers] == ["inputs", "enc.h1", "enc.out", "dec.out"]


def test_bad_input_is_refused() -> None:
    """With what would do instead."""
    x = Value(2.0, label="x")
    with pytest.raises(ValueError, match="network needs a graph made by nn layers, or with name_scope and labels"):
        network(x * x)
    with pytest.raises(ValueError, match="network needs a graph made by nn layers"):
        network(Module())
    with pytest.raises(ValueError, match="network needs a graph made by nn layers"):
        network(fsum(MLP(2, [2]).parameters()))
    with pytest.raises(TypeError, match="network needs a Value, a Graph or a network, not int 3"):
        network(3)
    with pytest.raises(ValueError, match="most must be a whole number, not -1"):
        network(x, most=-1)
    a, b = MLP(2, [2], "tanh", seed=1), MLP(2, [2], "tanh", seed=2)
    with pytest.raises(ValueError, match="two neurons are called out"):
        network(fsum(b(a([0.1, 0.2]))))
    odd = MLP(2, [3, 1])
    odd.layers[1] = Layer(5, 1, name="out")
    with pytest.raises(ValueError, match=r"the units of out do not take those of the layer before: ask for network"):
        network(odd)


# Where it stands.


@pytest.mark.parametrize("graph", GRAPHS)
def test_nothing_overlaps(graph: Any) -> None:
    """No two circles, with their rings; columns are as far apart as they are named, and all within 16 : 9."""
    drawn = data(graph())
    for a, b in itertools.combinations(drawn.units, 2):
        assert math.dist(a.place, b.place) > 2.0 * drawn.radius + min(6.0, 0.4 * drawn.radius + 1.0)
    for unit in drawn.units:
        assert EDGE + drawn.radius < unit.place[0] < drawn.width - EDGE - drawn.radius
        assert drawn.radius < unit.place[1] < HEIGHT - 100.0
    assert drawn.width == WIDTH
    told = [unit.tooltip for unit in drawn.units] + [link.tooltip for link in drawn.connections]
    assert all(sentence.endswith(".") for sentence in told)


def test_bars_have_room() -> None:
    """From a power of 10 below the least to one that is not below the largest."""
    for value in (deep(), dead(), wide()):
        drawn = data(value)
        low, high = drawn.decades
        assert high - low >= 2
        assert all(10.0**low < layer.mean <= 10.0**high for layer in drawn.layers if layer.mean)


# As drawn.


@pytest.fixture(
    params=[
        pytest.param("dot", marks=pytest.mark.skipif(not shutil.which("dot"), reason="there is no Graphviz")),
        "pygraphviz",
    ]
)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Graphviz of the system, or that in pygraphviz, which is used where there is no other."""
    if request.param == "pygraphviz":
        monkeypatch.setenv("PATH", str(tmp_path))
    return str(request.param)


@pytest.mark.parametrize("graph", GRAPHS)
def test_both_engines_draw_it(engine: str, graph: Any) -> None:
    """Every circle where the data say, with a tooltip that is a sentence, in colours that have dark ones."""
    value = graph()
    drawn, picture = data(value), network(value)
    root = ET.fromstring(picture.pipe("svg", encoding="utf-8"))
    _, _, width, height = (float(x) for x in root.get("viewBox", "").split())
    assert [width, height] == pytest.approx([drawn.width, HEIGHT], abs=12.0)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > len(drawn.units)
    told = {group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")}
    assert told >= {unit.tooltip for unit in drawn.units}
    assert told >= {link.tooltip for link in drawn.connections}
    circles = [e for e in root.iter(f"{SVG}ellipse") if math.isclose(float(e.get("rx", "")), drawn.radius, abs_tol=0.1)]
    assert len(circles) == len(drawn.units)
    left = min(float(e.get("cx", "")) for e in circles) - min(unit.place[0] for unit in drawn.units)
    base = max(float(e.get("cy", "")) + unit.place[1] for e, unit in zip(circles, drawn.units, strict=True))
    for circle, unit in zip(circles, drawn.units, strict=True):
        place = float(circle.get("cx", "")) - left, base - float(circle.get("cy", ""))
        assert place == pytest.approx(unit.place, abs=0.2)
    dark = {light.lower() for light in DARK}
    used = {element.get(name, "none") for element in root.iter() for name in ("fill", "stroke")}
    assert used <= dark | {"none", "transparent"}
    assert picture.pipe("png").startswith(b"\x89PNG")


@pytest.mark.parametrize("title", ["", "\x07", "</svg>&\\N]]>" * 30, "😀"])
def test_any_title_can_be_drawn(title: str) -> None:
    """Also an empty one, and names that are not printable."""
    layer = Layer(1, 2, "tanh", name="\n", rng=random.Random(0))
    y = fsum(layer([Value(0.5, label="\x07")]))
    y.backward()
    ET.fromstring(network(y, title=title).pipe("svg", encoding="utf-8"))


@pytest.mark.parametrize("theme", [lambda color: color, DARK.__getitem__])
def test_numbers_can_be_read_on_every_shade(theme: Any) -> None:
    """At a contrast of 4.5 : 1, as WCAG 2.2 asks."""

    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for level, shade in enumerate(SHADES):
        a, b = sorted(luminance(theme(color)) for color in (shade, INK if level < 4 else PAPER))
        assert (b + 0.05) / (a + 0.05) >= 4.5


def test_the_picture_says_it_in_words() -> None:
    """For those who do not see it."""
    loss = dead()
    picture = network(loss)
    assert isinstance(picture, Picture)
    lines = picture.text.splitlines()
    assert lines[0] == picture.title
    assert lines[1] == "inputs: 2"
    assert re.fullmatch(r"h2: 12 units, \d+ dead, mean \|∂loss/∂w\| .+", lines[3])
    assert picture.description.startswith(picture.title + ". inputs")


def test_the_same_network_is_the_same_picture() -> None:
    """Whatever the hash seed."""
    program = "from tests.test_network import *; print(*(network(graph()).source for graph in GRAPHS))"
    sources = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
        ).stdout
        for seed in ("0", "1")
    }
    assert len(sources) == 1


def test_save_goes_by_the_suffix(tmp_path: Path) -> None:
    """Of any picture; another suffix is refused, and writes nothing."""
    x = Value(0.5, label="x1")
    with name_scope("n"):
        h = tanh(x * Value(2.0, label="n.w[0]"))
    h.label = "n"
    picture = network(h)
    for name, start in (("a.svg", b"<svg"), ("a.PNG", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.dot", b"digraph")):
        path = picture.save(tmp_path / name)
        assert path.read_bytes().startswith(start)
    with pytest.raises(ValueError, match="the suffix must be one of svg, png, pdf, dot"):
        picture.save(str(tmp_path / "a.gif"))
    assert len([*tmp_path.iterdir()]) == 4
