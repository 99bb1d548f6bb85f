"""Neurons, layers and the multi-layer perceptron."""

from __future__ import annotations

import functools
import math
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict, Unpack

from autograd import Constant, Value, exp, logsumexp, name_scope, sumprod
from autograd.operations import Operation, real, table
from nn import initializers
from nn.checks import nearest, whole
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
        name: ``"linear"``, or any row of the table with one operand; further ones, which have defaults, in
            brackets, as in ``"leaky_relu(0.2)"``.

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
        return _linear
    rows = {name: op for name, op in table.items() if not op.nary and len(op.partials) - len(op.defaults) == 1}
    if row not in rows:
        raise ValueError(f"no activation is called {name!r}{nearest(row, ['linear', 'softmax', *rows])}")
    op = rows[row]
    try:
        operands = [real(float(x), name) for x in options.split(",")] if options else []
    except ValueError:
        operands = [math.nan]
    if not all(map(math.isfinite, operands)):
        raise ValueError(f"the operands of {name!r} must be numbers, such as in 'leaky_relu(0.2)'")
    if len(operands) > len(op.defaults):
        raise ValueError(f"{row} takes {len(op.defaults) or 'nothing'} besides its input, not {options!r}")
    return functools.partial(_applied, op, operands) if operands else op


# Functions of the module, unlike lambdas, can be pickled.


def _linear(a: Value) -> Value:
    return a


def _applied(op: Operation, operands: Sequence[float], a: Value) -> Value:
    y: Value = op(a, *operands)
    return y


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
            (Rumelhart, Hinton & Williams 1986), in everything a weight like the others.
        init: where the weights come from; see ``nn.initializers``.
        bias_init: where the bias comes from.
        expand: whether every product and every sum is a node of its own, as one draws it.
        name: labels the nodes: ``h1[3].w[2]``, ``h1[3].b``, pre-activation ``h1[3].a``, output ``h1[3]``.
        nout: the number of neurons in the layer, for initialisers that ask.
        rng: what the initialisers draw from; a generator common to all, if left out.

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
        nin = whole("nin", nin)
        if not isinstance(bias, bool) and bias != "input":
            raise ValueError(f"bias must be True, False or 'input', not {bias!r}")
        if bias is not True and bias_init is not zeros:
            raise ValueError(f"with bias={bias!r}, there is no b that bias_init could set")
        if not callable(activation) and not isinstance(activation, str):
            raise TypeError(f"activation must be a name, such as 'tanh', or a function, not {activation!r}")
        draw = functools.partial(_drawn, rng=rng or _rng, nin=nin, nout=nout)
        self.name, self.expand, self.bias = name, expand, bias
        self.activation = activation
        self._g = activation_named(activation) if isinstance(activation, str) else activation
        inputs = nin + (bias == "input")
        with name_scope(name):
            self.w = [Value(draw(init), label=f"{name}.w[{j}]") for j in range(inputs)]
            self.b = Value(draw(bias_init), label=f"{name}.b") if bias is True else None

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
        """a = w · x + b.

        >>> neuron = Neuron(2, "relu")
        >>> neuron.load_state_dict({"w[0]": 3.0, "w[1]": 4.0, "b": -20.0})
        >>> neuron.preactivation([1.0, 2.0]).data, neuron([1.0, 2.0]).data
        (-9.0, 0.0)
        """
        try:
            given = len(x)
        except TypeError:
            raise TypeError(f"{self.name} takes a list of {self.nin} inputs, not {x!r}") from None
        if given != self.nin:
            cure = ": it takes one example at a time" if given and hasattr(x[0], "__len__") else ""
            raise ValueError(f"{self.name} has {self.nin} inputs, but was given {given}{cure}")
        if self.bias == "input":
            x = [*x, 1.0]
        if self.expand:
            products = [w * v for w, v in zip(self.w, x, strict=True)]
            for j, product in enumerate(products):
                product.label = f"{self.name}.wx[{j}]"
            a = products[0]
            for j, product in enumerate(products[1:], start=2):
                a = a + product
                a.label = f"{self.name}.wx[:{j}]"
        else:
            a = sumprod(self.w, x)
        if self.b is not None:
            a.label = f"{self.name}.wx"
            a = a + self.b
        a.label = f"{self.name}.a"
        return a

    def _described(self) -> str:
        return f"Neuron({self.nin}, {self._options()})"

    def _options(self) -> str:
        name = self.activation if isinstance(self.activation, str) else _called(self.activation)
        bias = "" if self.bias is True else f", bias={self.bias!r}"
        return f"{name!r}{bias}{', expand=True' if self.expand else ''}"


#: What those draw from that are given no generator, so that they differ.
_rng = random.Random(0)


def _called(g: Activation) -> str:
    return g.name if isinstance(g, Operation) else getattr(g, "__qualname__", "…")


def _drawn(init: Initializer, rng: random.Random, nin: int, nout: int) -> float:
    """The number an initialiser gives."""
    if not callable(init):
        names = ", ".join(name for name in vars(initializers) if name.endswith(("form", "normal")))
        raise TypeError(f"an initialiser is one of nn.initializers, such as {names}, not {init!r}")
    try:
        return real(init(rng, nin, nout), "a weight")
    except TypeError as error:
        error.add_note(f"from the initialiser {init!r}: some are made by a call, such as uniform(-0.3, 0.3)")
        raise


class Layer(Module):
    """Neurons that see the same inputs: h = g(W x + b).

    Args:
        nin: the number of inputs.
        nout: the number of neurons.
        activation: g; ``"softmax"`` is over all the neurons of the layer.
        name: the neurons are called ``name[0]``, ``name[1]``, ….
        rng: what the initialisers draw from; a generator common to all, if left out.
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
        nout = whole("nout", nout)
        self.name, self.activation = name, activation
        each = "linear" if activation == "softmax" else activation
        self.neurons = [Neuron(nin, each, name=f"{name}[{j}]", nout=nout, rng=rng, **options) for j in range(nout)]

    def __call__(self, x: Sequence[Value | float]) -> list[Value]:
        """The outputs for one example, a list even of a single one."""
        if isinstance(x, (list, tuple)) and all(isinstance(v, (Value, float, int)) for v in x):
            x = [v if isinstance(v, Value) else Constant(v) for v in x]  # one for all neurons
        if self.activation != "softmax":
            return [neuron(x) for neuron in self.neurons]
        a = []
        for neuron in self.neurons:
            with name_scope(neuron.name):
                a.append(neuron.preactivation(x))
        with name_scope(self.name):
            outputs = softmax(a)
        for neuron, h in zip(self.neurons, outputs, strict=True):
            h.label = neuron.name
            if h.parents:  # none within no_grad
                (log_p,) = h.parents
                log_p.label, log_p.parents[1].label = f"{neuron.name}.log", f"{self.name}.logsumexp"
        return outputs

    @property
    def nin(self) -> int:
        """The number of inputs."""
        return self.neurons[0].nin

    def _described(self) -> str:
        options = self.neurons[0]._options()
        if self.activation == "softmax":
            options = options.replace("linear", "softmax")
        return f"Layer({self.nin}, {len(self.neurons)}, {options})"


class MLP(Module):
    """A multi-layer perceptron: hidden layers h1, h2, …, then the layer ``out``.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons in each layer; the last is the output.
        activation: of the hidden layers: a row of the table by name, such as ``"leaky_relu(0.2)"``, or a function.
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
        if not isinstance(nouts, Sequence) or isinstance(nouts, str) or not nouts:
            raise ValueError(f"nouts must be a list of the layers' sizes, such as [8, 3], not {nouts!r}")
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
