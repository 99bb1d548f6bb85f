"""A page that plays how a network learned: its units and weights, its decisions and its loss, epoch by epoch."""

from __future__ import annotations

import math
import random
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol

from autograd import Graph, Value, fsum, jit
from autograd.algorithms import assign
from autograd.context import contained, recorded
from viz import boundary, dot, html, palette
from viz.network import BARS, DECADES, HEIGHT, UNITS, Connection, Network, decades, of
from viz.neurons import of_graph
from viz.palette import RIBBON
from viz.picture import Picture
from viz.text import number

#: Over how many examples the gradients are means; how many are drawn as points; how many weights are drawn.
EXAMPLES, POINTS, WEIGHTS = 50, 400, 200
#: A network that is larger would take minutes for every frame.
LARGEST = 50_000
#: How many predictions along each side of the boundary's picture.
SIDE = 40
#: The width of the network, in points: less than that of a picture, so that it can be read beside others.
WIDTH = 620.0
#: Colours by the names that the page has for them.
NAMES = {name: getattr(palette, name.upper()) for name in ("ink", "muted", "hairline", "paper", "cell", "amber")}
NAMES |= {"positive": RIBBON[1], "negative": RIBBON[-1], "zero": RIBBON[0], "amber-fill": palette.AMBER_FILL}
NAMES |= {"edge": palette.STROKE[""], "parameter": palette.STROKE["parameter"]}
NAMES |= {f"shade{i}": shade for i, shade in enumerate(palette.SHADES)}
NAMES |= {f"class{i}": colour for i, colour in enumerate(boundary.COLOURS)}


class _History(Protocol):
    losses: list[float]
    validation_losses: list[float]


@contained
def training_page(
    model: Any,
    history: _History,
    path: str | Path,
    *,
    states: Sequence[Mapping[str, float]],
    data: Sequence[tuple[Any, Any]],
    loss: Callable[[Any, Any], Value],
    frames: int = 60,
) -> Path:
    """Write a page that plays the training of a network, in one HTML file that needs nothing else.

    It shows the network as :func:`network` draws it, with the gradient of the mean loss; of a model with two
    inputs, where it chooses which class; and the losses. Every scale is the same in all frames, so that what
    grows and what fades is seen. ``#frame=5`` at the end of the page's address opens its fifth frame.

    Args:
        model: a network of ``nn``; afterwards, its parameters and their gradients are as they were.
        history: what ``fit`` returned.
        path: the file; it is replaced only when the page is complete.
        states: the ``state_dict`` after each epoch.
        data: examples; if there are more than 50, gradients are means over 50 of them, chosen at random.
        loss: called with the model's output and the example's target.
        frames: how many epochs to show after the first one, evenly spaced, the last among them.

    Returns:
        The path.

    Raises:
        TypeError: if the model has no ``state_dict``, or the loss is not a function or returns no Value.
        ValueError: if there is nothing to show, the states are not one per epoch, or the model is not made
            of ``nn`` layers, or is larger than 50,000 parameters; nothing is written then.
        KeyError: if a state is of another model.
        RuntimeError: if Graphviz is not installed.

    >>> from nn import MLP, SGD, fit, squared_error
    >>> data, states = [([0.0, 1.0], 1), ([1.0, 0.0], -1)], []
    >>> model = MLP(2, [3, 1], "tanh", seed=0)
    >>> options = {"epochs": 3, "progress": False, "after_epoch": lambda model: states.append(model.state_dict())}
    >>> history = fit(model, squared_error, data, SGD(model.parameters(), lr=0.1), **options)
    >>> folder = getfixture("tmp_path")
    >>> training_page(model, history, folder / "film.html", states=states, data=data, loss=squared_error).name
    'film.html'
    """
    states, data, epochs = list(states), list(data), len(history.losses)
    if not (callable(model) and hasattr(model, "state_dict") and hasattr(model, "load_state_dict")):
        raise TypeError(f"training_page needs a network, such as nn.MLP, not {type(model).__name__} {model!r}")
    if not callable(loss):
        raise TypeError(f"loss must be a function, not {loss!r}")
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise ValueError(f"frames must be a whole number, at least 1, not {frames!r}")
    if not data or not epochs:
        raise ValueError("training_page needs at least one example and one epoch")
    if (count := len(model.state_dict())) > LARGEST:
        raise ValueError(f"training_page takes up to {LARGEST:,} parameters, not {count:,}: see viz.network(loss)")
    if len(states) != epochs:
        how = "states = []; fit(..., after_epoch=lambda model: states.append(model.state_dict()))"
        raise ValueError(f"states must be one per epoch, {epochs} as in the history, not {len(states)}: collect {how}")
    chosen = sorted({round((epochs - 1) * k / frames) for k in range(frames + 1)})
    examples, points = _some(data, EXAMPLES), _some(data, POINTS)
    sides = boundary.around([x for x, _ in data], SIDE) if all(map(boundary.on_a_plane, data)) else None
    scores = jit(lambda x, y: boundary.scores(model([x, y])))
    networks, choices, before = [], [], model.state_dict()
    try:
        for epoch in chosen:
            model.load_state_dict(states[epoch])
            with recorded():
                networks.append(_network(model, examples, loss))
            choices.append(_choices(scores, [(x, y) for y in sides[1] for x in sides[0]]) if sides else [])
    except Exception as error:
        error.add_note(f"in the state after epoch {epoch + 1}")
        raise
    finally:
        model.load_state_dict(before)

    stage, frame = _common(networks)
    told: dict[str, Any] = {
        "epochs": [epoch + 1 for epoch in chosen],
        "losses": [*map(_short, history.losses)],
        "validation": [*map(_short, history.validation_losses)],
        "examples": [len(examples), len(data)],
        "weights": len(networks[0].connections),
        "stage": {"radius": stage.radius, "decades": [DECADES, *stage.decades], "bars": BARS, "tags": UNITS[1]},
        "layers": [[layer.name, layer.x, layer.mean is not None] for layer in stage.layers],
        "units": [[unit.id, unit.name, *unit.place] for unit in stage.units],
        "links": [[link.source, link.target] for link in stage.connections],
        "frames": [frame(network) for network in networks],
    }
    if sides:
        texts, steps = boundary.coded(choices)
        shown = [[*map(_short, x), max(int(y), 0)] for x, y in points]
        told["plane"] = {"side": SIDE, "steps": steps, "codes": boundary.CODES, "frames": texts, "points": shown}
        told["plane"] |= {name: [side[0], side[-1]] for name, side in zip(("across", "up"), sides, strict=True)}
    title = f"{epochs:,} epochs of training: loss {number(history.losses[0])} → {number(history.losses[-1])}"
    return html.written(Path(path), _page(title if epochs > 1 else "One epoch of training", _svg(stage), told))


def _some(data: Sequence[Any], most: int) -> list[Any]:
    """As many examples, in their order; at random, for the classes of many data sets alternate, or are sorted."""
    places = range(len(data))
    return [data[i] for i in (sorted(random.Random(0).sample(places, most)) if len(data) > most else places)]


def _network(model: Any, examples: Sequence[tuple[Any, Any]], loss: Callable[[Any, Any], Value]) -> Network:
    """The network with the gradients of the mean loss; whatever had a gradient has the same afterwards."""
    losses = [loss(model(x), y) for x, y in examples]
    for value in losses:
        if not isinstance(value, Value):
            raise TypeError(f"the loss must return a Value, not {type(value).__name__} {value!r}")
    graph = Graph(fsum(losses) / len(losses))
    grads = [node._grad for node in graph.nodes]
    try:
        assign(graph.nodes, "_grad", repeat(None))
        graph.backward()
        columns, links = of_graph(graph)
        return of(columns, links, "loss", len(links), "", width=WIDTH)
    finally:
        assign(graph.nodes, "_grad", grads)


def _choices(scores: Any, places: list[tuple[float, float]]) -> list[tuple[int, float]]:
    """What a compiled model chooses at each place: at all of them together, if it is the same program there."""
    try:
        import numpy as np

        found = np.array(scores.batch(*np.array(places).T)).T.tolist()
    except (ImportError, ValueError):
        found = [scores(x, y) for x, y in places]
    return [boundary.choice(each) for each in found]


def _common(networks: Sequence[Network]) -> tuple[Network, Callable[[Network], Mapping[str, Any]]]:
    """What all frames have in common, with room for every tag; and what gives the numbers of one, in that order."""

    def links(network: Network) -> list[Connection]:
        return sorted(network.connections, key=lambda link: (link.source, link.target))

    sizes = [[abs(link.slope or 0.0) for link in links(network)] for network in networks]
    largest = [max(filter(math.isfinite, each), default=0.0) for each in zip(*sizes, strict=True)]
    shown = sorted(range(len(largest)), key=largest.__getitem__)[-WEIGHTS:]  # the largest are drawn last, in front
    stage = min(networks, key=lambda network: max(unit.place[1] for unit in network.units))
    layers = [replace(layer, dead=0, saturated=0, mean=layer.mean and 0.0) for layer in stage.layers]
    units = [replace(unit, activation=None, shade=0.0, grad=None, state="", tooltip=unit.name) for unit in stage.units]
    stage = replace(
        stage,
        layers=tuple(layers),
        units=tuple(units),
        connections=tuple(replace(links(stage)[i], grad=None) for i in shown),
        decades=decades(layer.mean for network in networks for layer in network.layers),
    )

    def frame(network: Network) -> Mapping[str, Any]:
        return {
            "units": [[_short(u.activation), _short(u.size), u.grad and u.grad[0], u.state] for u in network.units],
            "weights": [_short(links(network)[i].slope) for i in shown],
            "layers": [[_short(layer.mean), layer.dead, layer.saturated] for layer in network.layers],
        }

    return stage, frame


def _short(x: float | None) -> float | str | None:
    """As many digits as anyone can see."""
    return None if x is None else html.number_in_json(float(f"{x:.5g}"))


def _svg(stage: Network) -> str:
    """The picture without its title and legend, which are text of the page, and without styles, which it has, too."""
    picture = Picture("network", engine="neato")
    dot.network(picture, stage)
    root = ET.fromstring(picture.pipe("svg", encoding="utf-8").replace(' xmlns="http://www.w3.org/2000/svg"', "", 1))
    names = {colour: name for name, colour in NAMES.items()}
    top = UNITS[1] + 50.0
    box = f"0 {HEIGHT - top:g} {stage.width:g} {top - BARS[0] + 14.0:g}"
    root.attrib = {"id": "net", "role": "img", "viewBox": box}
    for element in [*root.iter()]:
        if element is root or element.get("class") == "graph":
            element[:] = [child for child in element if child.tag == "g" and not _is_told_elsewhere(child)]
        for name, value in element.items():
            if name == "id" and element is not root:
                element.set("id", f"net-{value.partition('-')[2]}")
            elif value.upper() in names:
                element.set(name, f"var(--{names[value.upper()]})")
    return ET.tostring(root, encoding="unicode")


def _is_told_elsewhere(group: ET.Element) -> bool:
    return group.get("id", "").endswith(("-title", "-legend"))


def _page(title: str, svg: str, told: Mapping[str, Any]) -> str:
    colours = html.properties(NAMES) + f"--page:light-dark({palette.CELL},{palette.NIGHT});"
    parts = {"title": escape(title), "network": svg, "numbers": html.in_script(told), "palette": colours}
    return html.filled(Path(__file__).with_suffix(".html"), parts)
