"""Neurons, layers and the multi-layer perceptron."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict, Unpack

from autograd import Value, exp, logsumexp, name_scope, sumprod
from autograd.operations import Operation, table
from nn.initializers import Initializer, fan_in, zeros
from nn.module import Module

Activation = Callable[[Value], Value]
Bias = bool | Literal["input"]


class NeuronOptions(TypedDict, total=False):
    """What all neurons of a network have in common; see :class:`Neuron`."""

    bias: Bias
    init: Initializer
    bias_init: Initializer
    expand: bool


def activation_named(name: str) -> Activation:
    """The activation function of that name.

    Args:
        name: ``"linear"``, or any row of the table with one operand; further operands in brackets, as in
            ``"leaky_relu(0.2)"``.

    Raises:
        ValueError: if there is none; it suggests the nearest.

    >>> activation_named("tanh")(Value(0.0))
    Value(data=0.0, op='tanh')
    >>> activation_named("leaky_relu(0.2)")(Value(-1.0)).data
    -0.2
    """
    found = re.fullmatch(r"(\w+)(?:\(([^()]+)\))?", name)
    row, options = found.groups() if found else (name, None)
    if row == "linear" and not options:
        return lambda a: a
    try:
        operands = [float(x) for x in options.split(",")] if options else []
    except ValueError:
        raise ValueError(f"the operands of {name!r} must be numbers, such as in 'leaky_relu(0.2)'") from None
    fitting = {op.name: op for op in table.values() if _operands_left(op) <= len(operands) < len(op.partials)}
    if row not in fitting:
        near = difflib.get_close_matches(row, ["linear", *fitting], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f": choose from linear, {', '.join(sorted(fitting))}"
        raise ValueError(f"no activation is called {name!r}{hint}")
    op = fitting[row]
    return lambda a: op(a, *operands)


def _operands_left(op: Operation) -> int:
    """How many operands a row needs besides the first; more than any name can give for columns."""
    return len(op.partials) if op.nary else len(op.partials) - len(op.defaults) - 1


def softmax(a: Sequence[Value | float]) -> list[Value]:
    """exp(a_k) / Σ exp(a_c) for each k, computed as exp(a_k − log Σ exp(a_c)), which does not overflow.

    >>> [round(p.data, 4) for p in softmax([Value(1.0), Value(2.0)])]
    [0.2689, 0.7311]
    """
    total = logsumexp(a)
    return [exp(x - total) for x in a]


class Neuron(Module):
    """h = g(w · x + b), with w · x as one node (Goodfellow, Bengio & Courville, ch. 6).

    Args:
        nin: the number of inputs.
        activation: g: a name, such as ``"tanh"`` or ``"leaky_relu(0.2)"``, or a function.
        bias: whether there is a b; ``"input"`` makes it the weight of an extra input that is always 1
            (Rumelhart, Hinton & Williams 1986).
        init: where the weights come from; see ``nn.initializers``.
        bias_init: where the bias comes from.
        expand: whether every product and every sum is a node of its own, as one draws it.
        name: labels the nodes: ``h1[3].w[2]``, ``h1[3].b``, pre-activation ``h1[3].a``, output ``h1[3]``.
        nout: the number of neurons in the layer, for initialisers that ask.
        rng: what the initialisers draw from.

    >>> neuron = Neuron(2, "tanh", name="n", rng=random.Random(0))
    >>> neuron
    Neuron(2, 'tanh')  # 3 parameters
    >>> neuron([1.0, 2.0]).op
    <operation tanh>
    """

    def __init__(
        self,
        nin: int,
        activation: str | Activation = "relu",
        *,
        bias: Bias = True,
        init: Initializer = fan_in,
        bias_init: Initializer = zeros,
        expand: bool = False,
        name: str = "neuron",
        nout: int = 1,
        rng: random.Random | None = None,
    ) -> None:
        if nin < 1:
            raise ValueError(f"a neuron needs at least one input, not {nin}")
        rng = rng or random.Random(0)
        self.name, self.expand, self.bias = name, expand, bias
        self.activation = activation
        self._g = activation_named(activation) if isinstance(activation, str) else activation
        inputs = nin + (bias == "input")
        with name_scope(name):
            self.w = [Value(init(rng, nin, nout), label=f"{name}.w[{j}]") for j in range(inputs)]
            self.b = Value(bias_init(rng, nin, nout), label=f"{name}.b") if bias is True else None

    @property
    def nin(self) -> int:
        """The number of inputs."""
        return len(self.w) - (self.bias == "input")

    def __call__(self, x: Sequence[Value | float]) -> Value:
        """The output for one example.

        Raises:
            ValueError: if there are not as many inputs as the neuron has.
        """
        with name_scope(self.name):
            h = self._g(self.preactivation(x))
        h.label = self.name
        return h

    def preactivation(self, x: Sequence[Value | float]) -> Value:
        """a = w · x + b."""
        if len(x) != self.nin:
            raise ValueError(f"{self.name} has {self.nin} inputs, but was given {len(x)}")
        if self.bias == "input":
            x = [*x, 1.0]
        if self.expand:
            a = self.w[0] * x[0]
            for w, v in zip(self.w[1:], x[1:], strict=True):
                a = a + w * v
        else:
            a = sumprod(self.w, x)
        if self.b is not None:
            a.label = f"{self.name}.wx"
            a = a + self.b
        a.label = f"{self.name}.a"
        return a

    def _described(self) -> str:
        return f"Neuron({self.nin}, {self.activation!r})"


class Layer(Module):
    """Neurons that see the same inputs: h = g(W x + b).

    Args:
        nin: the number of inputs.
        nout: the number of neurons.
        activation: g; ``"softmax"`` is over all the neurons of the layer.
        name: the neurons are called ``name[0]``, ``name[1]``, ….
        rng: what the initialisers draw from.
        options: of every :class:`Neuron`: ``bias``, ``init``, ``bias_init`` and ``expand``.

    >>> layer = Layer(2, 3, "softmax", name="out", rng=random.Random(0))
    >>> round(sum(p.data for p in layer([1.0, 2.0])), 9)
    1.0
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        activation: str | Activation = "relu",
        *,
        name: str = "layer",
        rng: random.Random | None = None,
        **options: Unpack[NeuronOptions],
    ) -> None:
        if nout < 1:
            raise ValueError(f"a layer needs at least one neuron, not {nout}")
        rng = rng or random.Random(0)
        self.name, self.activation = name, activation
        each = "linear" if activation == "softmax" else activation
        self.neurons = [Neuron(nin, each, name=f"{name}[{j}]", nout=nout, rng=rng, **options) for j in range(nout)]

    def __call__(self, x: Sequence[Value | float]) -> list[Value]:
        """The outputs for one example."""
        if self.activation != "softmax":
            return [neuron(x) for neuron in self.neurons]
        with name_scope(self.name):
            outputs = softmax([neuron.preactivation(x) for neuron in self.neurons])
        for neuron, h in zip(self.neurons, outputs, strict=True):
            h.label = neuron.name
        return outputs

    def _described(self) -> str:
        return f"Layer({self.neurons[0].nin}, {len(self.neurons)}, {self.activation!r})"


class MLP(Module):
    """A multi-layer perceptron: hidden layers h1, h2, …, then the layer ``out``.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons in each layer; the last is the output.
        activation: of the hidden layers: a row of the table with one operand, by name, or a function.
        output: of the last layer; ``"linear"`` leaves logits, ``"softmax"`` gives probabilities.
        seed: the same seed gives the same weights.
        options: of every :class:`Neuron`: ``bias``, ``init``, ``bias_init`` and ``expand``.

    >>> model = MLP(2, [3, 1], seed=1)
    >>> model
    MLP(
      h1: Layer(2, 3, 'relu')  # 9 parameters
      out: Layer(3, 1, 'linear')  # 4 parameters
    )  # 13 parameters
    >>> model([0.5, -1.0]).label
    'out[0]'
    """

    def __init__(
        self,
        nin: int,
        nouts: Sequence[int],
        activation: str | Activation = "relu",
        output: str | Activation = "linear",
        *,
        seed: int = 0,
        **options: Unpack[NeuronOptions],
    ) -> None:
        if not nouts:
            raise ValueError("MLP needs the sizes of its layers, such as [8, 3]")
        #: What a file has to say to build the network again; the parameters replace what was drawn.
        self.architecture = {"nin": nin, "nouts": list(nouts), "activation": activation, "output": output}
        self.architecture |= {"bias": options.get("bias", True), "expand": options.get("expand", False)}
        rng = random.Random(seed)
        names = [f"h{j}" for j in range(1, len(nouts))] + ["out"]
        kinds = [activation] * (len(nouts) - 1) + [output]
        layers = zip([nin, *nouts[:-1]], nouts, kinds, names, strict=True)
        self.layers = [Layer(a, b, g, name=name, rng=rng, **options) for a, b, g, name in layers]

    def __call__(self, x: Sequence[Value | float]) -> Any:
        """The outputs for one example: a list of Values, or of a single output, the Value."""
        first, *others = self.layers
        outputs = first(x)
        for layer in others:
            outputs = layer(outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _described(self) -> str:
        lines = [f"  {layer.name}: {layer!r}" for layer in self.layers]
        return "\n".join(["MLP(", *lines, ")"])
