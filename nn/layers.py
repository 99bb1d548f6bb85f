"""Neurons, layers and the multi-layer perceptron."""

from __future__ import annotations

import difflib
import math
import random
from collections.abc import Callable, Sequence

from autograd import Value, name_scope, sumprod
from autograd.operations import table
from nn.module import Module


def activation_named(name: str) -> Callable[[Value], Value]:
    """The activation function of that name: ``"linear"``, or any row of the table with one operand.

    Raises:
        ValueError: if there is none; it suggests the nearest.

    >>> activation_named("tanh")(Value(0.0))
    Value(data=0.0, op='tanh')
    """
    rows: dict[str, Callable[[Value], Value]] = {
        row.name: row for row in table.values() if len(row.partials) - len(row.defaults) == 1 and not row.nary
    }
    rows["linear"] = lambda a: a
    if name not in rows:
        near = difflib.get_close_matches(name, rows, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f": choose from {', '.join(sorted(rows))}"
        raise ValueError(f"no activation is called {name!r}{hint}")
    return rows[name]


class Neuron(Module):
    """h = g(w · x + b), the weighted sum as one node (Goodfellow, Bengio & Courville, ch. 6).

    Weights are drawn uniformly from ±1/√nin, and the bias is 0.

    Args:
        nin: the number of inputs.
        activation: g, by name.
        name: labels the nodes: ``h1[3].w[2]``, ``h1[3].b``, pre-activation ``h1[3].a`` and output ``h1[3]``.
        rng: where the weights come from.
    """

    def __init__(self, nin: int, activation: str = "relu", *, name: str, rng: random.Random) -> None:
        bound = 1.0 / math.sqrt(nin)
        self.name = name
        self.activation = activation_named(activation)
        with name_scope(name):
            self.w = [Value(rng.uniform(-bound, bound), label=f"{name}.w[{j}]") for j in range(nin)]
            self.b = Value(0.0, label=f"{name}.b")

    def __call__(self, x: Sequence[Value | float]) -> Value:
        """The output for one example.

        Raises:
            ValueError: if there are not as many inputs as weights.
        """
        if len(x) != len(self.w):
            raise ValueError(f"{self.name} has {len(self.w)} weights, but was given {len(x)} inputs")
        with name_scope(self.name):
            weighted = sumprod(self.w, x)
            a = weighted + self.b
            h = self.activation(a)
        weighted.label, a.label, h.label = f"{self.name}.wx", f"{self.name}.a", self.name
        return h


class Layer(Module):
    """Neurons that see the same inputs: h = g(W x + b)."""

    def __init__(self, nin: int, nout: int, activation: str = "relu", *, name: str, rng: random.Random) -> None:
        self.neurons = [Neuron(nin, activation, name=f"{name}[{j}]", rng=rng) for j in range(nout)]

    def __call__(self, x: Sequence[Value | float]) -> list[Value]:
        """The outputs for one example."""
        return [neuron(x) for neuron in self.neurons]


class MLP(Module):
    """A multi-layer perceptron: hidden layers h1, h2, …, then the layer ``out``.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons in each layer; the last is the output.
        activation: of the hidden layers: a row of the table with one operand, by name.
        output: of the last layer; ``"linear"`` leaves logits.
        seed: the same seed gives the same weights.

    >>> model = MLP(2, [3, 1], seed=1)
    >>> len(model.parameters())
    13
    >>> model([0.5, -1.0]).label
    'out[0]'
    """

    def __init__(
        self, nin: int, nouts: Sequence[int], activation: str = "relu", output: str = "linear", *, seed: int = 0
    ) -> None:
        rng = random.Random(seed)
        sizes = [nin, *nouts]
        names = [f"h{j}" for j in range(1, len(nouts))] + ["out"]
        kinds = [activation] * (len(nouts) - 1) + [output]
        self.layers = [Layer(sizes[j], sizes[j + 1], kinds[j], name=names[j], rng=rng) for j in range(len(nouts))]

    def __call__(self, x: Sequence[Value | float]) -> Value | list[Value]:
        """The outputs for one example; a single output is a Value, not a list."""
        first, *others = self.layers
        outputs = first(x)
        for layer in others:
            outputs = layer(outputs)
        return outputs[0] if len(outputs) == 1 else outputs
