"""The report of a network's layers, on networks whose numbers are made by hand."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from autograd import Value, tanh
from nn import MLP, Layer, Module, Neuron, cross_entropy, half_squared_error, negative_log_likelihood
from nn.health import LayerHealth, batch_gradient, health, minibatch_gradients
from nn.initializers import constant

BATCH = [([1.0], 0.0), ([2.0], 1.0)]


def units(activation: str | Callable[[Value], Value], biases: Sequence[float], xs: Sequence[float]) -> LayerHealth:
    """A hidden layer with pre-activations x + b, a unit for each b and an example for each x."""
    model = MLP(1, [len(biases), 1], activation, init=constant(1.0))
    for neuron, b in zip(model.layers[0].neurons, biases, strict=True):
        assert neuron.b is not None
        neuron.b.data = b
    return health(model, half_squared_error, [([x], 0.0) for x in xs]).layers[0]


def test_the_report_is_a_table() -> None:
    """A row per layer, aligned; ``repr`` is the same, so that a prompt shows it."""
    model = MLP(1, [4, 1], init=constant(1.0))
    for neuron, b in zip(model.layers[0].neurons, [-5.0, -3.0, -2.0, 0.0], strict=True):
        assert neuron.b is not None
        neuron.b.data = b
    report = health(model, half_squared_error, BATCH)
    # Of the unit alive, h = x, and so the slopes are 1.5 and 1 in both layers; all others are 0.
    assert str(report).splitlines() == [
        "layer  mean |grad|      norm          dead    saturated  pre-activations",
        "h1        3.12e-01  1.80e+00  3 of 4 (75%)  0 of 4 (0%)           -4 … 2",
        "out       5.00e-01  1.80e+00   0 of 1 (0%)  0 of 1 (0%)            1 … 2",
    ]
    assert repr(report) == str(report)


def test_gradients_are_of_the_mean_loss() -> None:
    """The mean of |∂L/∂p| and the Euclidean norm, for ŷ = v·tanh(w·x + b) + c, on plain numbers."""
    w, b, v, c = 0.5, -0.25, -1.5, 0.75
    model = MLP(1, [1, 1], "tanh")
    for p, number in zip(model.parameters(), [w, b, v, c], strict=True):
        p.data = number
    slopes = [0.0] * 4
    for (x,), d in BATCH:
        h = math.tanh(w * x + b)
        error = (v * h + c - d) / len(BATCH)
        inner = error * v * (1.0 - h * h)
        slopes = [s + t for s, t in zip(slopes, [inner * x, inner, error * h, error], strict=True)]
    hidden, out = health(model, half_squared_error, BATCH).layers
    for layer, gradient in ((hidden, slopes[:2]), (out, slopes[2:])):
        assert layer.mean_grad == pytest.approx(math.fsum(map(abs, gradient)) / 2, rel=1e-12)
        assert layer.norm == pytest.approx(math.hypot(*gradient), rel=1e-12)


def test_pre_activations_range_over_units_and_examples() -> None:
    """Their least and their greatest, also where a linear unit hands them on unnamed."""
    for activation in ("tanh", "linear"):
        layer = units(activation, [-5.0, 3.0], [-1.0, 2.0])
        assert (layer.low, layer.high) == (-6.0, 5.0)


def test_a_unit_is_dead_if_no_example_reaches_it() -> None:
    """Its slope is 0 for all, with a pre-activation of exactly 0 too; one example makes it alive."""
    layer = units("relu", [-4.0, -2.0, -1.5, 5.0], [1.0, 2.0])
    assert (layer.units, layer.dead, layer.saturated) == (4, 2, 0)


@pytest.mark.parametrize(
    ("activation", "edge"),
    [
        # Where the slope is 0.05: σ(1 − σ) = 0.05 and 1 − tanh² = 0.05.
        ("sigmoid", math.log((1.0 + math.sqrt(0.8)) / (1.0 - math.sqrt(0.8)))),
        ("tanh", math.atanh(math.sqrt(0.95))),
    ],
)
def test_a_unit_is_saturated_if_it_is_so_for_every_example(activation: str, edge: float) -> None:
    """On either side, and on both in turn, as long as no slope reaches 0.05."""
    just, inside = edge + 1e-6, edge - 1e-6
    layer = units(activation, [just, -just, inside, -inside, 0.0], [0.0])
    assert (layer.dead, layer.saturated) == (0, 2)
    assert units(activation, [0.0], [just, -just]).saturated == 1
    assert units(activation, [0.0], [just, -inside]).saturated == 0


def test_only_slopes_tell() -> None:
    """Linear units are neither; a leaky one is never dead; a sigmoid that has underflowed is."""
    for activation, dead, saturated in (
        ("linear", 0, 0),
        ("leaky_relu(0.01)", 0, 1),
        ("leaky_relu(0.2)", 0, 0),
        ("sigmoid", 1, 0),
    ):
        layer = units(activation, [-1000.0], [0.0, 1.0])
        assert (layer.dead, layer.saturated) == (dead, saturated)


def test_activations_of_several_nodes() -> None:
    """A user's own function, whose slope is the chain rule's through its nodes."""

    def scaled(a: Value) -> Value:
        return 0.01 * tanh(a) + a * 0.045

    # At 0 the slope is 0.055; far away it is 0.045.
    assert units(scaled, [0.0, 9.0], [0.0]).saturated == 1
    assert units(lambda a: -a, [0.0], [1.0]).saturated == 0


def test_softmax_units() -> None:
    """∂p_k/∂a_k = p_k(1 − p_k), of every output and not only of the one in the loss."""
    model = MLP(1, [3], output="softmax", init=constant(0.0))
    (even,) = health(model, negative_log_likelihood, [([1.0], 0)]).layers
    assert (even.units, even.dead, even.saturated) == (3, 0, 0)
    first = model.layers[0].neurons[0].b
    assert first is not None
    first.data = 6.0
    (sure,) = health(model, negative_log_likelihood, [([1.0], 0)]).layers
    assert (sure.dead, sure.saturated, sure.high) == (0, 3, 6.0)


def test_slopes_are_sought_within_the_layer() -> None:
    """Down to the inputs of this network there are 4²⁰ paths from every output."""
    model = MLP(4, [4] * 20, "tanh", "softmax", seed=1)
    assert len(health(model, negative_log_likelihood, [([1.0] * 4, 0)]).layers) == 20


def test_every_grad_is_left_alone() -> None:
    """What backward has found before stays, and so does that it has found nothing; of inputs, too."""
    model = MLP(1, [2, 2], "tanh", seed=1)
    first, second, *others = model.parameters()
    x = Value(2.0)
    first.grad, second.grad, x.grad = 7.0, 0.0, 5.0
    data = [([x], 0), ([1.0], 1)]
    before = health(model, cross_entropy, data)
    gradient = batch_gradient(model, cross_entropy, data)
    minibatch_gradients(model, cross_entropy, data, 1)
    assert (first.grad, second.grad, second.has_grad, x.grad) == (7.0, 0.0, True, 5.0)
    assert not any(p.has_grad for p in others)
    model.zero_grad()
    assert health(model, cross_entropy, data) == before
    assert batch_gradient(model, cross_entropy, data) == gradient


def test_an_error_leaves_every_grad_alone() -> None:
    """Such as a loss that is no Value, or one that depends on nothing."""
    model = MLP(1, [1])
    for p in model.parameters():
        p.grad = 3.0
    for function in (health, batch_gradient):
        with pytest.raises(RuntimeError, match="nothing to differentiate"):
            function(model, lambda y, d: y.detach() * 2.0, BATCH)
        with pytest.raises(ValueError, match=r"math domain error|positive"):
            function(model, lambda y, d: (d - 1.0 + 0.0 * y).log(), BATCH)
    assert [p.grad for p in model.parameters()] == [3.0, 3.0]


def test_parameters_out_of_the_loss_have_no_gradient() -> None:
    """Whatever their ``grad`` was before."""
    model = MLP(1, [2])
    for p in model.parameters():
        p.grad = 3.0
    assert batch_gradient(model, lambda y, d: y[0] * d, BATCH) == [2.0, 1.0, 0.0, 0.0]


def test_what_is_refused() -> None:
    """No examples, no such mini-batch, too many of them: before anything is computed."""

    def never(y: Value, d: float) -> Value:
        raise AssertionError("the loss was computed")

    model = MLP(1, [1])
    for function in (health, batch_gradient):
        with pytest.raises(ValueError, match=f"{function.__name__} needs at least one example"):
            function(model, never, [])
    with pytest.raises(ValueError, match="minibatch_gradients needs at least one example"):
        minibatch_gradients(model, never, [], 1)
    for size in (0, -1, 3):
        with pytest.raises(ValueError, match=f"a mini-batch of 2 examples has 1 … 2 of them, not {size}"):
            minibatch_gradients(model, never, BATCH, size)
    with pytest.raises(ValueError, match="15,504 mini-batches of 5 out of 20 examples: more than 10,000 are too many"):
        minibatch_gradients(model, never, BATCH * 10, 5)


class Twice(Module):
    """A layer used twice, v·g(w·g(w·x + b) + b) + c, with a head of its own."""

    def __init__(self, activation: str) -> None:
        self.shared = Layer(1, 1, activation, name="shared", init=constant(3.0), bias_init=constant(1.0))
        self.again = [self.shared]
        self.head = Layer(1, 1, "linear", name="head", init=constant(1.0))

    def __call__(self, x: Sequence[float]) -> Value:
        return self.head(self.again[0](self.shared(x)))[0]


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh"])
def test_a_shared_layer_is_one_row(activation: str) -> None:
    """Whose pre-activations are those of both uses, for x = −1 and 2: −2 and 7, then 3g(−2) + 1 and 3g(7) + 1."""
    shared, head = health(Twice(activation), half_squared_error, [([-1.0], 0.0), ([2.0], 0.0)]).layers
    assert (shared.name, shared.units, head.name) == ("shared", 1, "head")
    g = {"linear": float, "relu": lambda a: max(a, 0.0), "tanh": math.tanh}[activation]
    uses = [-2.0, 7.0, *(3.0 * g(a) + 1.0 for a in (-2.0, 7.0))]
    assert (shared.low, shared.high) == pytest.approx((min(uses), max(uses)))
    outputs = [g(a) for a in uses[2:]]
    assert (head.low, head.high) == pytest.approx((min(outputs), max(outputs)))
    assert (shared.dead, shared.saturated) == (0, 0)  # of four slopes, one at least is large


def test_the_layers_of_any_module() -> None:
    """In a list and a dictionary, next to parameters of its own and a neuron, which is no layer."""

    class Net(Module):
        def __init__(self) -> None:
            self.scale = Value(2.0)
            self.body = [Layer(1, 2, "relu", name="body", init=constant(1.0), bias_init=constant(-1.0))]
            self.ends = {"mean": Layer(2, 1, "tanh", name="mean", init=constant(0.5))}
            self.one = Neuron(1)

        def __call__(self, x: Sequence[float]) -> Value:
            (y,) = self.ends["mean"](self.body[0](x))
            return self.one([y]) * self.scale

    body, mean = health(Net(), half_squared_error, [([0.5], 0.0), ([1.0], 0.0)]).layers
    assert (body.name, body.units, body.dead, body.low, body.high) == ("body", 2, 2, -0.5, 0.0)
    assert (mean.name, mean.units, mean.dead, mean.low, mean.high) == ("mean", 1, 0, 0.0, 0.0)


def test_a_report_needs_layers_with_names_of_their_own() -> None:
    """A module without layers is refused, and so are two that could not be told apart."""

    class Pair(Module):
        def __init__(self, *names: str) -> None:
            self.layers = [Layer(1, 1, name=name) for name in names]

        def __call__(self, x: Any) -> Any:
            for layer in self.layers:
                x = layer(x)
            return x[0]

    for model in (Neuron(1), Pair()):
        with pytest.raises(ValueError, match="health looks at layers, and there is none in "):
            health(model, half_squared_error, BATCH)
    with pytest.raises(ValueError, match="two layers are called 'layer': name them apart"):
        health(Pair("layer", "layer"), half_squared_error, BATCH)
    assert len(health(Pair("one", "two"), half_squared_error, BATCH).layers) == 2


def test_an_activation_of_many_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty doublings are 2²⁰ paths, and every node is looked at once."""

    def doubled(a: Value) -> Value:
        for _ in range(20):
            a = a + a
        return a * 1e-7

    looked = 0
    partials: Any = Value.partials

    def counted(node: Value) -> tuple[float, ...]:
        nonlocal looked
        looked += 1
        assert looked < 1000, "the paths are followed one by one"
        return tuple(partials.fget(node))

    monkeypatch.setattr(Value, "partials", property(counted))
    layer = units(doubled, [0.0], [1.0])
    assert (layer.dead, layer.saturated) == (0, 0)  # 2²⁰ · 1e-7 = 0.105
    assert looked >= 20


def test_a_softmax_of_two_units_by_hand() -> None:
    """Pre-activations 0 and a: the slope σ(a)(1 − σ(a)) of both falls below 0.05 at the edge of a sigmoid's."""
    edge = math.log((1.0 + math.sqrt(0.8)) / (1.0 - math.sqrt(0.8)))
    for a, saturated in ((edge - 1e-6, 0), (edge + 1e-6, 2)):
        model = MLP(1, [2], output="softmax", init=constant(0.0))
        b = model.layers[0].neurons[1].b
        assert b is not None
        b.data = a
        (layer,) = health(model, negative_log_likelihood, [([1.0], 0)]).layers
        assert (layer.units, layer.dead, layer.saturated) == (2, 0, saturated)
        assert (layer.low, layer.high) == (0.0, a)
