"""What a picture of a network shows, as plain data: units in layers, weights, and what each layer's gradient is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autograd import Constant, Value
from autograd.operations import printable
from viz.curve import FLAT
from viz.diagram import Flow, sign_of
from viz.neurons import Columns, Link, Neuron
from viz.text import number, pretty

#: A picture's size in points, 16 : 9 unless there are many layers, and the least distance between two of them.
WIDTH, HEIGHT, PITCH = 960.0, 540.0, 73.0
#: Where units and bars stand: from the bottom, up to; and what is left free at the left and at the right.
UNITS, BARS, EDGE, RIGHT = (160.0, 422.0), (48.0, 110.0), 24.0, 64.0
#: The largest circle, the room for a letter of an input's name, and how many letters are shown.
RADIUS, LETTER, LONGEST = 34.0, 8.5, 16
#: The height of a tag under a column's title.
TAG = 17.0
#: Of a layer with more units than this, the first and the last are shown.
FIRST, LAST = 8, 7
#: Sizes of gradients are shown on a log scale of so many factors of 10, below the largest.
DECADES = 4.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A neuron, or an input."""

    id: str
    name: str
    place: tuple[float, float]
    #: The mean over the examples; None where nothing was computed.
    activation: float | None
    #: The size of that, as a share of the largest in its layer.
    shade: float
    #: The sign of the mean gradient of its output, and the mean of its size, on the log scale.
    grad: Flow | None
    #: The mean of that size itself; None where there is no gradient.
    size: float | None
    #: "dead" or "saturated", if the activation is flat for all examples.
    state: str
    tooltip: str


@dataclass(frozen=True, slots=True)
class Connection:
    """A weight from one unit that is shown to another."""

    source: str
    target: str
    #: The gradient of the weight on the log scale; None for a weight that is a hairline only.
    grad: Flow | None
    #: The gradient itself; None before a backward pass.
    slope: float | None
    tooltip: str


@dataclass(frozen=True, slots=True)
class Layer:
    """A column."""

    name: str
    x: float
    size: int
    dead: int = 0
    saturated: int = 0
    #: How many units are left out, and where that is said.
    hidden: int = 0
    gap: tuple[float, float] = (0.0, 0.0)
    #: The mean of |∂loss/∂p| over its parameters p; None for inputs, and before a backward pass.
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Everything the picture shows; connections from the back to the front."""

    title: str
    notes: tuple[str, ...]
    loss: str
    layers: tuple[Layer, ...]
    units: tuple[Unit, ...]
    connections: tuple[Connection, ...]
    width: float
    radius: float
    #: The powers of 10 that the bars start from and reach up to.
    decades: tuple[int, int]


def of(
    columns: Columns, links: Sequence[Link], loss: str, most: int, title: str | None, *, width: float = WIDTH
) -> Network:
    """Everything at its place.

    Args:
        columns: the inputs, and the layers.
        links: the weights.
        loss: what the gradients are of.
        most: how many of the weights' gradients are ribbons; as many again are hairlines.
        title: what the numbers say, if left out.
        width: of the picture, unless its columns need more.
    """
    letters = max(len(pretty(unit.name)) for unit in columns[0][1])
    left = EDGE + RADIUS + 10.0 + LETTER * min(LONGEST, letters)
    width = max(width, left + PITCH * (len(columns) - 1) + RIGHT)
    step = (width - left - RIGHT) / max(1, len(columns) - 1)
    tags = max(len({unit.state for unit in units} - {""}) for _, units in columns)
    everything = [unit for _, units in columns for unit in units]
    parameters = dict.fromkeys(p for unit in everything for p in unit.parameters.values())
    backward = any(p.has_grad for p in parameters)
    bottom, top = UNITS[0] if backward else BARS[0], UNITS[1] - TAG * tags
    rows = max(min(len(units), FIRST + LAST + 1) for _, units in columns)
    pitch = min((top - bottom) / rows, 0.62 * step)
    grads = {unit: _grads(unit.outputs) for unit in everything}
    units_share = log_share(_mean_size(held) for held in grads.values())
    places: dict[Neuron, Unit] = {}
    layers = []
    for i, (name, units) in enumerate(columns):
        x = left + step * i
        shown = [*units] if len(units) <= FIRST + LAST + 1 else [*units[:FIRST], None, *units[-LAST:]]
        largest = max(
            size if math.isfinite(size) else 0.0 for size in (abs(_activation(unit) or 0.0) for unit in units)
        )
        gap = (0.0, 0.0)
        for row, unit in enumerate(shown):
            place = (x, (bottom + top) / 2 + ((len(shown) - 1) / 2 - row) * pitch)
            if unit is None:
                gap = place
                continue
            activation, held = _activation(unit), grads[unit]
            places[unit] = Unit(
                id=f"u{i}_{row}",
                name=pretty(unit.name) or "?",
                place=place,
                activation=activation,
                shade=min(1.0, abs(activation) / largest) if activation and largest else 0.0,
                grad=(sign_of(sum(held)), units_share(_mean_size(held))) if held else None,
                size=_mean_size(held) if held else None,
                state=unit.state,
                tooltip=_told(unit, activation, held),
            )
        states = [unit.state for unit in units]
        own = dict.fromkeys(p for unit in units for p in unit.parameters.values())
        mean = _mean_size([p.grad for p in own]) if backward and own else None
        counts = states.count("dead"), states.count("saturated")
        hidden = len(units) - FIRST - LAST if None in shown else 0
        layers.append(Layer(printable(name) or "?", x, len(units), *counts, hidden, gap, mean))
    connections, note = _connections(links, places, most)
    examples = max((len(unit.outputs) for unit in everything), default=0)
    over = [f"means over {examples:,} examples"] if examples > 1 else []
    return Network(
        title=_title(layers[1:], loss) if title is None else printable(title) or "\u00a0",
        notes=(f"{len(parameters):,} weights and biases", *over, *note),
        loss=loss,
        layers=tuple(layers),
        units=tuple(places.values()),
        connections=tuple(connections),
        width=width,
        radius=math.floor(2.0 * min(RADIUS, 0.38 * pitch)) / 2.0,  # older Graphviz rounds the width
        decades=decades([layer.mean for layer in layers]),
    )


def _grads(outputs: Iterable[Value]) -> list[float]:
    return [h.grad for h in outputs if h.has_grad and not isinstance(h, Constant)]


def _mean_size(numbers: Sequence[float]) -> float:
    return sum(map(abs, numbers)) / len(numbers) if numbers else 0.0


def _activation(unit: Neuron) -> float | None:
    return sum(h.data for h in unit.outputs) / len(unit.outputs) if unit.outputs else None


def log_share(sizes: Iterable[float]) -> Callable[[float], float]:
    """A size on a log scale: 1 for the largest, 0 for what is ``DECADES`` powers of 10 smaller, or more."""
    largest = max((size for size in sizes if math.isfinite(size)), default=0.0)

    def share(size: float) -> float:
        if not size or not largest or math.isnan(size):
            return 0.0
        return min(1.0, max(0.0, 1.0 + (math.log10(size) - math.log10(largest)) / DECADES))

    return share


def _told(unit: Neuron, activation: float | None, grads: list[float]) -> str:
    """What a unit does, in sentences."""
    kind = "Unit" if unit.parameters else "Input"
    over = f" on average over {len(unit.outputs):,} examples" if len(unit.outputs) > 1 else ""
    told = [f"{kind} {pretty(unit.name)}" + ("." if activation is None else f" is {number(activation)}{over}.")]
    if grads:
        size, total = _mean_size(grads), sum(grads)
        if math.isclose(size * len(grads), abs(total)):
            told.append(f"Its gradient is {number(total / len(grads))}{over}.")
        else:
            told.append(f"Its gradient is {number(size)} in size{over}, of both signs.")
    if bias := unit.parameters.get("b"):
        told.append(
            f"Its bias is {number(bias.data)}" + (f", with gradient {number(bias.grad)}." if bias.has_grad else ".")
        )
    if unit.state == "dead":
        told.append("It is dead: its slope is 0 for every example, and no gradient passes.")
    elif unit.state:
        told.append(f"It is saturated: its slope is below {FLAT:g} for every example.")
    return " ".join(told)


def _connections(links: Sequence[Link], places: Mapping[Neuron, Unit], most: int) -> tuple[list[Connection], list[str]]:
    """The weights between units that are shown, the largest gradients as ribbons, and what is said of the others."""
    shown = {}
    for source, target, w in links:
        a, b = places.get(source), places.get(target)
        if a and b and a.place[0] < b.place[0]:
            shown[a.id, b.id] = (a, b, w)
    backward = any(w.has_grad for _, _, w in shown.values())
    share = log_share(abs(w.grad) for _, _, w in shown.values())

    def size(link: tuple[Unit, Unit, Value]) -> float:
        w = link[2]
        return math.inf if math.isnan(w.grad) else abs(w.grad) if backward else abs(w.data)

    ranked = sorted(shown.values(), key=size, reverse=True)[: 2 * most]
    connections = []
    for rank, (a, b, w) in enumerate(ranked):
        told = f"The weight from {a.name} to {b.name} is {number(w.data)}"
        told += f", and its gradient is {number(w.grad)}." if backward else "."
        flow = (sign_of(w.grad), share(abs(w.grad))) if backward and rank < most else None
        connections.append(Connection(a.id, b.id, flow, w.grad if backward else None, told))
    lines, ribbons = len(ranked), min(most, len(ranked)) if backward else 0
    among = f"of {len(shown):,} {'gradients' if backward else 'weights'}"
    among += " between the units shown" if len(shown) < len(links) else ""
    said = []
    if backward and ribbons < len(shown):
        said.append(f"ribbons: the {ribbons:,} largest {among}")
    if lines > ribbons and (backward or lines < len(shown)):
        said.append(
            f"hairlines: the {'next' if backward else 'largest'} {lines - ribbons:,}{'' if backward else ' ' + among}"
        )
    return connections[::-1], said


def _title(layers: Sequence[Layer], loss: str) -> str:
    """What the numbers say."""
    means = [layer.mean for layer in layers if layer.mean is not None]
    if not means:
        return f"A network of {_count(len(layers), 'layer')} and {_count(sum(x.size for x in layers), 'unit')}"
    if broken := [layer for layer, mean in zip(layers, means, strict=True) if not math.isfinite(mean)]:
        return f"The gradient is not finite: {number(broken[-1].mean or 0.0)} in layer {broken[-1].name}"
    first, last = layers[0], layers[-1]
    if not first.mean or not last.mean:
        return f"The gradient ends: nothing of it reaches layer {[x.name for x in layers if not x.mean][-1]}"
    ratio = last.mean / first.mean
    if ratio > 100.0:
        share = f"1/{_times(ratio)}" if ratio < 1e6 else number(1.0 / ratio)
        return f"The gradient fades: layer {first.name} gets {share} of what {last.name} gets"
    if ratio < 0.01:
        return f"The gradient explodes: layer {first.name} gets {_times(1.0 / ratio)} times what {last.name} gets"
    return f"The gradient of {loss} reaches every layer"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _times(ratio: float) -> str:
    """Two digits are enough.

    >>> _times(3217.0), _times(8.123e12)
    ('3,200', '8.1e12')
    """
    return f"{float(f'{ratio:.1e}'):,.0f}" if ratio < 1e6 else number(ratio)


def decades(means: Iterable[float | None]) -> tuple[int, int]:
    """Powers of 10 around all that is positive, so that the least is a bar, too."""
    logs = [math.log10(mean) for mean in means if mean and math.isfinite(mean)]
    high = math.ceil(max(logs, default=0.0))
    return min(high - 2, math.floor(min(logs, default=0.0) - 0.2)), high


def described(network: Network) -> str:
    """The same in lines of text."""
    lines = [network.title]
    for layer in network.layers:
        told = [f"{layer.size:,}" if layer is network.layers[0] else _count(layer.size, "unit")]
        told += [f"{n} {state}" for n, state in ((layer.dead, "dead"), (layer.saturated, "saturated")) if n]
        told += (
            [f"mean |∂{network.loss}/∂w| {number(layer.mean) if layer.mean else 0}"] if layer.mean is not None else []
        )
        lines.append(f"{layer.name}: {', '.join(told)}")
    return "\n".join(lines)
