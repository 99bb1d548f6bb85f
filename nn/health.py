"""How a network is: the gradient and the units of each layer, and the gradients of batches."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from autograd import Graph, Value, fsum
from autograd.algorithms import assign
from autograd.context import contained, recorded
from nn.layers import Layer
from nn.module import Module
from nn.training import Example, Loss

SATURATED = 0.05  # a fifth of the sigmoid's steepest slope, 1/4


class LayerHealth(NamedTuple):
    """One layer of a health report.

    A unit is *dead* if the slope of its activation is exactly 0 for every example of the batch, so
    that nothing flows through it; it is *saturated* if it is not dead, and that slope is below 0.05
    in size for every example. A linear unit is neither; a leaky one that is always negative is never
    dead, but saturated if it leaks less than that.
    """

    name: str
    #: The mean of |∂L/∂p| over the layer's parameters p, and √Σ(∂L/∂p)².
    mean_grad: float
    norm: float
    units: int
    dead: int
    saturated: int
    #: The range of the pre-activations, over the units and the examples.
    low: float
    high: float


class Health(NamedTuple):
    """The report of :func:`health`: prints as a table, one row per layer."""

    layers: tuple[LayerHealth, ...]

    def __str__(self) -> str:
        rows = [["layer", "mean |grad|", "norm", "dead", "saturated", "pre-activations"]]
        for layer in self.layers:
            grads = [f"{layer.mean_grad:.2e}", f"{layer.norm:.2e}"]
            counts = [f"{n} of {layer.units} ({n / layer.units:.0%})" for n in (layer.dead, layer.saturated)]
            rows.append([layer.name, *grads, *counts, f"{layer.low:.3g} … {layer.high:.3g}"])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        aligned = [f"<{widths[0]}", *(f">{width}" for width in widths[1:])]
        return "\n".join("  ".join(map(format, row, aligned)) for row in rows)

    def __repr__(self) -> str:
        return str(self)


@contained
def health(model: Any, loss: Loss, batch: Sequence[Example]) -> Health:
    """How the layers of a network fare on a batch: gradients, dead and saturated units, pre-activations.

    The gradient is that of the mean loss, (1/m) Σ L(f(x), y); on its way to a layer it is multiplied
    by the slope g′(a) of every unit that it passes (Goodfellow, Bengio & Courville, Algorithm 6.4),
    and so it fades where these are small. No activation is known by name: a slope is read from the
    graph, as the partials recorded between a unit's pre-activation and its output.

    Args:
        model: the network, with any :class:`Layer` among its parts.
        loss: called with the model's output and the example's target.
        batch: examples, pairs of inputs and target.

    Returns:
        A row per layer. Every ``grad`` is left alone.

    Raises:
        ValueError: if the batch is empty, or the model has no layer, or two of one name.

    >>> import nn
    >>> from nn import half_squared_error
    >>> from nn.initializers import constant
    >>> model = nn.MLP(1, [2, 1], init=constant(1.0), bias_init=constant(-2.0))
    >>> health(model, half_squared_error, [([1.0], 0.0), ([1.5], 0.0)])
    layer  mean |grad|      norm           dead    saturated  pre-activations
    h1        0.00e+00  0.00e+00  2 of 2 (100%)  0 of 2 (0%)        -1 … -0.5
    out       6.67e-01  2.00e+00    0 of 1 (0%)  0 of 1 (0%)          -2 … -2
    """
    _need_examples("health", batch)
    layers = [held for held in model.modules() if isinstance(held, Layer)]
    if not layers:
        raise ValueError(f"health looks at layers, and there is none in {model!r}")
    names = [layer.name for layer in layers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two layers are called {name!r}: name them apart, as in Layer(2, 3, name='h1')")
    with recorded():
        outputs = [model(x) for x, _ in batch]
        losses = [loss(output, target) for output, (_, target) in zip(outputs, batch, strict=True)]
        mean = fsum(losses) / len(losses)
    parameters = model.parameters()
    grads = dict(zip(parameters, _gradient(mean, parameters), strict=True))
    units = defaultdict(list)
    for node in Graph(mean, *itertools.chain(*[y if isinstance(y, list) else [y] for y in outputs])):
        units[node.label].append(node)
    return Health(tuple(_layer_health(layer, grads, units) for layer in layers))


def _layer_health(layer: Layer, grads: dict[Value, float], units: dict[str, list[Value]]) -> LayerHealth:
    sizes = [abs(grads[p]) for p in layer.parameters()]
    slopes, preactivations = [], []
    for neuron in layer.neurons:
        found = [_unit(h, neuron.name, layer.name) for h in units[neuron.name]]
        slopes.append([abs(slope) for slope, _ in found])
        preactivations += [a for _, a in found]
    dead = sum(not any(unit) for unit in slopes)
    small = sum(all(slope < SATURATED for slope in unit) for unit in slopes)
    counts = len(slopes), dead, small - dead
    mean, norm = math.fsum(sizes) / len(sizes), math.hypot(*sizes)
    low, high = min(preactivations, default=math.nan), max(preactivations, default=math.nan)
    return LayerHealth(layer.name, mean, norm, *counts, low, high)


def _unit(h: Value, name: str, layer: str) -> tuple[float, float]:
    """The slope ∂h/∂a of a unit's activation and its pre-activation a, from the nodes between them.

    They are in the layer's scope; of an activation that is one row, the slope is that row's partial.
    """
    scope = h.scope[: h.scope.rindex(layer) + len(layer)]
    found: list[Value] = []

    @functools.cache
    def slope(node: Value) -> float:
        if node.label.endswith(".a"):  # of another unit, in a softmax
            if node.label == f"{name}.a":
                found.append(node)
                return 1.0
            return 0.0
        parents = zip(node.parents, node.partials, strict=True)
        return math.fsum([k * slope(parent) for parent, k in parents if parent.op and parent.scope.startswith(scope)])

    through = slope(h)
    # A linear unit's output is its pre-activation, which then goes by the name of the unit.
    return (through, found[0].data) if found else (1.0, h.data)


def batch_gradient(model: Module, loss: Loss, batch: Sequence[Example]) -> list[float]:
    """The gradient of the sum of the examples' losses, as the sum of their gradients.

        ∇ Σ L(f(x), y)  =  Σ ∇ L(f(x), y)

    By linearity: one backward pass per example, added to a running gradient, needs the memory of
    one example only (Goodfellow, Bengio & Courville, sec. 5.9).

    Args:
        model: called with the inputs of one example.
        loss: called with the model's output and the example's target.
        batch: examples, pairs of inputs and target.

    Returns:
        ∂/∂p for each of ``model.parameters()``. Every ``grad`` is left alone.

    Raises:
        ValueError: if the batch is empty.

    >>> import nn
    >>> from nn import half_squared_error
    >>> model = nn.MLP(1, [1], bias=False, init=lambda rng, nin, nout: 3.0)
    >>> batch_gradient(model, half_squared_error, [([1.0], 0.0), ([2.0], 0.0)])
    [15.0]
    """
    _need_examples("batch_gradient", batch)
    return _sum(_gradients(model, loss, batch))


def minibatch_gradients(model: Module, loss: Loss, data: Sequence[Example], size: int) -> list[list[float]]:
    """The gradients of the sums of losses of all mini-batches S of a size, out of the data T.

        E_S[∇E(W; S)]  =  |S|/|T| ∇E(W)

    The mean of them is that share of the whole gradient: a mini-batch's is an unbiased estimate of it
    (Goodfellow, Bengio & Courville, sec. 8.1.3).

    Args:
        model: called with the inputs of one example.
        loss: called with the model's output and the example's target.
        data: examples, pairs of inputs and target.
        size: how many examples a mini-batch has.

    Returns:
        A gradient per mini-batch, in the order of ``itertools.combinations``. Every ``grad`` is left alone.

    Raises:
        ValueError: if there is no mini-batch of that size, or there are more than 10,000.

    >>> import nn
    >>> from nn import half_squared_error
    >>> model = nn.MLP(1, [1], bias=False, init=lambda rng, nin, nout: 1.0)
    >>> minibatch_gradients(model, half_squared_error, [([1.0], 0.0), ([2.0], 0.0), ([3.0], 0.0)], 2)
    [[5.0], [10.0], [13.0]]
    """
    _need_examples("minibatch_gradients", data)
    if not 1 <= size <= len(data):
        raise ValueError(f"a mini-batch of {len(data)} examples has 1 … {len(data)} of them, not {size}")
    count = math.comb(len(data), size)
    if count > 10_000:
        raise ValueError(f"{count:,} mini-batches of {size} out of {len(data)} examples: more than 10,000 are too many")
    return [_sum(batch) for batch in itertools.combinations(_gradients(model, loss, data), size)]


def _need_examples(name: str, examples: Sequence[Example]) -> None:
    if not examples:
        raise ValueError(f"{name} needs at least one example")


def _gradients(model: Any, loss: Loss, examples: Sequence[Example]) -> Iterator[list[float]]:
    parameters = model.parameters()
    return (_gradient(loss(model(x), target), parameters) for x, target in examples)


def _sum(gradients: Iterable[list[float]]) -> list[float]:
    return functools.reduce(lambda total, g: [*map(operator.add, total, g)], gradients)


def _gradient(y: Value, parameters: Sequence[Value]) -> list[float]:
    """∂y/∂p for each parameter, by a backward pass that leaves no trace."""
    graph = Graph(y)
    touched = {*graph.nodes, *parameters}
    before = [node._grad for node in touched]
    try:
        assign(touched, "_grad", itertools.repeat(None))
        graph.backward()
        return [p.grad for p in parameters]
    finally:
        assign(touched, "_grad", before)
