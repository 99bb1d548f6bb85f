"""A first nn: networks, the fused cross-entropy, SGD and the training loop."""

import math
import random
from typing import Any

import pytest

from autograd import Graph, Operation, Value, fsum, gradcheck
from nn import MLP, SGD, Module, Neuron, cross_entropy, fit

XOR = [([0.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([1.0, 1.0], 0)]


def logits(model: MLP, x: Any) -> list[Value]:
    """The outputs of a network with several."""
    outputs = model(x)
    assert isinstance(outputs, list)
    return outputs


def test_mlp_by_hand() -> None:
    """The network's outputs are those of its formula, written with plain lists."""
    model = MLP(3, [4, 2], "tanh", seed=5)
    x = [0.5, -1.0, 2.0]
    h = x
    for layer, g in zip(model.layers, [math.tanh, float], strict=True):
        h = [
            g(math.fsum(w.data * v for w, v in zip(n.w, h, strict=True)) + (n.b.data if n.b else 0.0))
            for n in layer.neurons
        ]
    assert [y.data for y in logits(model, x)] == pytest.approx(h, rel=1e-14)


def test_gradients_of_a_network() -> None:
    """Of the loss by the inputs and by every parameter, against finite differences."""
    model = MLP(2, [3, 3], "sigmoid", seed=1)
    assert gradcheck(lambda x: cross_entropy(logits(model, x), 1), [[0.3, -0.7]])
    loss = cross_entropy(logits(model, [0.3, -0.7]), 2)
    loss.backward()
    graph = Graph(loss)
    for parameter in model.parameters():
        w, slope = parameter.data, parameter.grad
        graph.forward({parameter: w + 1e-6})
        above = loss.data
        graph.forward({parameter: w - 1e-6})
        assert slope == pytest.approx((above - loss.data) / 2e-6, abs=1e-8)
        graph.forward({parameter: w})


def test_nodes_carry_scopes_and_labels() -> None:
    """Diagrams and derivations read off what the graph carries."""
    model = MLP(2, [2, 1], seed=0)
    y = model([1.0, 2.0])
    assert isinstance(y, Value)
    nodes = {node.label: node.scope for node in Graph(y) if node.label}
    assert {"h1[1].w[0]": "h1[1]", "h1[1].b": "h1[1]", "h1[1].a": "h1[1]", "h1[1]": "h1[1]"}.items() <= nodes.items()
    assert nodes["out[0]"] == "out[0]"
    assert [name for name, _ in model.named_parameters()][:3] == [
        "layers[0].neurons[0].w[0]",
        "layers[0].neurons[0].w[1]",
        "layers[0].neurons[0].b",
    ]


def test_parameters_are_counted_once() -> None:
    """Also where a module shares them; the order is that of the attributes."""

    class Twice(Module):
        def __init__(self) -> None:
            self.first = Neuron(2, name="n", rng=random.Random(0))
            self.second = self.first

    twice = Twice()
    assert twice.parameters() == [*twice.first.w, twice.first.b]
    fsum(twice.parameters()).backward()
    twice.zero_grad()
    assert not any(p.has_grad for p in twice.parameters())


def test_a_seed_gives_the_same_network() -> None:
    """Other seeds give others; weights are within ±1/√nin."""
    first, same, other = ([p.data for p in MLP(4, [3], seed=s).parameters()] for s in (1, 1, 2))
    assert first == same != other
    assert all(abs(w) <= 0.5 for w in first)


def test_activations_are_rows_by_name() -> None:
    """Any row with one operand, a user's own too; an unknown name suggests the nearest."""
    twist = Operation("twist", lambda x: x + math.sin(x), (lambda x, z: 1.0 + 0.0 * x,))
    rng = random.Random(0)
    for name in ("linear", "tanh", "leaky_relu", twist.name):
        assert isinstance(Neuron(1, name, name="n", rng=rng)([1.0]), Value)
    with pytest.raises(ValueError, match="no activation is called 'sigmod'; did you mean 'sigmoid'"):
        MLP(1, [1], output="sigmod")
    with pytest.raises(ValueError, match=r"h1\[0\] has 2 inputs, but was given 3"):
        MLP(2, [2, 1])([1.0, 2.0, 3.0])


def test_cross_entropy_is_fused_and_stable() -> None:
    """Its gradient is softmax(a) − y, and it is finite for logits of ±1e4."""
    a = [Value(0.5), Value(-1.0), Value(2.0)]
    loss = cross_entropy(a, 2)
    loss.backward()
    total = math.fsum(math.exp(x.data) for x in a)
    p = [math.exp(x.data) / total for x in a]
    assert loss.data == pytest.approx(-math.log(p[2]), rel=1e-14)
    assert [x.grad for x in a] == pytest.approx([p[0], p[1], p[2] - 1.0], rel=1e-13)
    assert cross_entropy([Value(1e4), Value(-1e4)], 1).data == 2e4
    for wrong in (2, -1, 0.5):
        with pytest.raises(ValueError, match="is not one of the 2 classes 0 … 1"):
            cross_entropy(a[:2], wrong)


def test_sgd_by_hand() -> None:
    """Three steps with momentum, Nesterov and weight decay, by PyTorch's formulas on plain floats."""
    for mu, nesterov, decay in ((0.0, False, 0.0), (0.9, False, 0.1), (0.9, True, 0.01)):
        p = Value(1.0)
        optimizer = SGD([p], lr=0.1, momentum=mu, nesterov=nesterov, weight_decay=decay)
        w, v = 1.0, 0.0
        for _ in range(3):
            optimizer.zero_grad()
            (p * p * 0.5).backward()
            optimizer.step()
            g = w + decay * w
            v = mu * v + g
            w -= 0.1 * (g + mu * v if nesterov else v)
            assert p.data == pytest.approx(w, rel=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "lr must be positive, not 0.0"),
        ({"lr": math.nan}, "lr must be positive, not nan"),
        ({"lr": 0.1, "momentum": 1.0}, r"momentum must be in \[0, 1\), not 1.0"),
        ({"lr": 0.1, "weight_decay": -1.0}, "weight_decay must not be negative"),
        ({"lr": 0.1, "nesterov": True}, "nesterov looks ahead by the momentum"),
    ],
)
def test_sgd_refuses_bad_rates(options: Any, message: str) -> None:
    """Before anything is trained."""
    with pytest.raises(ValueError, match=message):
        SGD([Value(1.0)], **options)
    with pytest.raises(ValueError, match="at least one parameter"):
        SGD([], lr=0.1)


@pytest.mark.parametrize(("batch_size", "lr"), [(None, 0.2), (1, 0.05), (3, 0.1)])
def test_fit_learns_xor(batch_size: int | None, lr: float) -> None:
    """Full batch, online and mini-batches; twice with one seed gives the same history."""

    def trained() -> tuple[MLP, list[float]]:
        model = MLP(2, [4, 2], "tanh", seed=3)
        optimizer = SGD(model.parameters(), lr=lr, momentum=0.8)
        history = fit(model, cross_entropy, XOR, optimizer, epochs=150, batch_size=batch_size, seed=1, progress=False)
        return model, history.losses

    model, losses = trained()
    assert losses == trained()[1]
    assert len(losses) == 150
    assert losses[-1] < 0.05 < losses[0]
    for x, y in XOR:
        a = logits(model, x)
        assert a[y] > a[1 - y]


def test_fit_is_gradient_descent_on_the_mean() -> None:
    """One full-batch epoch moves each parameter by −η times the mean of the examples' gradients."""
    model, other = MLP(2, [2, 2], "tanh", seed=3), MLP(2, [2, 2], "tanh", seed=3)
    fit(model, cross_entropy, XOR, SGD(model.parameters(), lr=0.5), epochs=1, progress=False)
    for x, y in XOR:
        cross_entropy(logits(other, x), y).backward()
    expected = [p.data - 0.5 * p.grad / len(XOR) for p in other.parameters()]
    assert [p.data for p in model.parameters()] == pytest.approx(expected, rel=1e-12)


def test_fit_stops_at_the_first_loss_that_is_no_number() -> None:
    """The error names the place, and the parameters are those before the batch."""
    model = MLP(1, [2])
    before = [p.data for p in model.parameters()]
    data = [([1.0], 0), ([math.inf], 1)]
    with pytest.raises(ArithmeticError, match="the loss of example 1 is nan: forward: inf is inf, a leaf"):
        fit(model, cross_entropy, data, SGD(model.parameters(), lr=0.1), epochs=1, progress=False)
    assert [p.data for p in model.parameters()] == before


def test_fit_refuses_nothing_to_do() -> None:
    """No data, no epochs, empty batches."""
    model = MLP(1, [2])
    optimizer = SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="at least one example"):
        fit(model, cross_entropy, [], optimizer, epochs=1)
    cases: list[dict[str, Any]] = [{"epochs": 0}, {"epochs": 1, "batch_size": 0}]
    for options in cases:
        with pytest.raises(ValueError, match="must be positive"):
            fit(model, cross_entropy, [([1.0], 0)], optimizer, **options)
