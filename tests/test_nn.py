"""A first nn: networks, the fused cross-entropy, SGD and the training loop."""

import math
import random
import statistics
from typing import Any

import pytest

from autograd import Graph, Operation, Value, fsum, gradcheck, leaky_relu, no_grad, sigmoid, tanh
from nn import (
    MLP,
    SGD,
    Adam,
    Module,
    Neuron,
    accuracy,
    binary_cross_entropy,
    confusion,
    cross_entropy,
    fit,
    hinge,
    initializers,
    l1,
    l2,
    negative_log_likelihood,
    predict,
    softmax,
    squared_error,
)

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
        ({"lr": 0.1, "weight_decay": -1.0}, "weight_decay must be 0 or positive, not -1.0"),
        ({"lr": 0.1, "nesterov": True}, "nesterov looks ahead by the momentum"),
    ],
)
def test_sgd_refuses_bad_rates(options: Any, message: str) -> None:
    """Before anything is trained."""
    with pytest.raises(ValueError, match=message):
        SGD([Value(1.0)], **options)
    with pytest.raises(ValueError, match="at least one parameter"):
        SGD([], lr=0.1)
    groups: Any = [{"params": [Value(1.0)], "lr": 0.1}]
    with pytest.raises(TypeError, match="parameter groups are not supported: make an optimiser for each"):
        SGD(groups, lr=0.1)
    for wrong, text in (
        ({"betas": (0.9, 1.0)}, "betas must be two numbers in"),
        ({"eps": -1.0}, "eps must be positive, not -1.0"),
    ):
        with pytest.raises(ValueError, match=text):
            Adam([Value(1.0)], **wrong)


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
        with pytest.raises(ValueError, match="must be a whole number of at least 1, not 0"):
            fit(model, cross_entropy, [([1.0], 0)], optimizer, **options)


def parameters_of(**options: Any) -> MLP:
    """A network with the options to be compared."""
    return MLP(3, [4, 2], "tanh", seed=9, **options)


def test_products_and_sums_may_be_nodes_of_their_own() -> None:
    """``expand`` changes the graph, not what it computes; weights, labels and parameters stay."""
    x = [0.5, -1.0, 2.0]
    plain, expanded = parameters_of(), parameters_of(expand=True)
    assert plain.state_dict() == expanded.state_dict()
    ours, theirs = logits(plain, x), logits(expanded, x)
    assert [y.data for y in ours] == pytest.approx([y.data for y in theirs], rel=1e-14)
    names = {node.op.name for node in Graph(*theirs) if node.op}
    assert names == {"add", "mul", "tanh"}
    assert len(Graph(*theirs)) > len(Graph(*ours))
    assert {"h1[2]", "h1[2].a", "out[1]"} <= {node.label for node in Graph(*theirs)}


def test_a_bias_may_be_an_input_or_nothing() -> None:
    """An extra input of 1 with a weight (Rumelhart, Hinton & Williams 1986) computes the same as a bias."""
    with_bias, as_input = Neuron(2, "tanh", name="n"), Neuron(2, "tanh", bias="input", name="n")
    without = Neuron(2, "tanh", bias=False, name="n")
    assert with_bias.b is not None
    for w, v, u in zip(with_bias.w, as_input.w, without.w, strict=False):
        v.data = u.data = w.data
    with_bias.b.data = as_input.w[2].data = 0.75
    x = [0.5, -1.0]
    assert as_input(x).data == pytest.approx(with_bias(x).data, rel=1e-15)
    assert without(x).data == pytest.approx(math.tanh(math.atanh(with_bias(x).data) - 0.75))
    assert [len(n.parameters()) for n in (with_bias, as_input, without)] == [3, 3, 2]
    with pytest.raises(ValueError, match="n has 2 inputs, but was given 3"):
        as_input([1.0, 2.0, 3.0])


def test_softmax_is_over_the_layer() -> None:
    """Probabilities that add up to 1, without overflow; the loss on them is the fused one."""
    model = parameters_of(output="softmax")
    p = logits(model, [0.5, -1.0, 2.0])
    assert math.fsum(x.data for x in p) == pytest.approx(1.0)
    fused = cross_entropy(logits(parameters_of(), [0.5, -1.0, 2.0]), 1)
    assert negative_log_likelihood(p, 1).data == pytest.approx(fused.data)
    assert [x.data for x in softmax([Value(1e4), Value(-1e4)])] == [1.0, 0.0]
    assert [x.label for x in p] == ["out[0]", "out[1]"]


def test_activations_take_operands_and_functions() -> None:
    """``leaky_relu(0.2)`` by name, any function of a Value; what does not fit is refused."""
    x = [-1.0]
    by_name = Neuron(1, "leaky_relu(0.2)", init=initializers.constant(1.0))
    by_function = Neuron(1, lambda a: leaky_relu(a, 0.2), init=initializers.constant(1.0))
    assert by_name(x).data == by_function(x).data == -0.2
    for wrong, message in {
        "leaky_relu(x)": "must be numbers, such as in 'leaky_relu\\(0.2\\)'",
        "fsum": "no activation is called 'fsum'",
        "add": "no activation is called 'add'",
        "tanh(1)": "tanh takes nothing besides its input, not '1'",
        "leaky_relu(0.1, 2)": "leaky_relu takes 1 besides its input, not '0.1, 2'",
        "leaky_relu(nan)": "must be numbers",
        "ReLU": "no activation is called 'ReLU'; did you mean 'relu'?",
        "__import__('os')": "no activation is called",
        "linear(2)": "no activation is called",
    }.items():
        with pytest.raises(ValueError, match=message):
            Neuron(1, wrong)


def test_sizes_must_be_positive() -> None:
    """Of inputs, layers and networks."""
    for make in (lambda: Neuron(0), lambda: MLP(2, []), lambda: MLP(2, [0]), lambda: MLP(0, [1])):
        with pytest.raises(ValueError, match=r"must be a (whole number of at least 1|list of the layers' sizes)"):
            make()


@pytest.mark.parametrize(
    ("init", "mean", "deviation", "bound"),
    [
        (initializers.uniform(-1.0, 3.0), 1.0, 4.0 / math.sqrt(12.0), 3.0),
        (initializers.normal(0.5, mean=2.0), 2.0, 0.5, math.inf),
        (initializers.fan_in, 0.0, 0.5 / math.sqrt(3.0), 0.5),
        (initializers.xavier_uniform, 0.0, math.sqrt(2.0 / 7.0), math.sqrt(6.0 / 7.0)),
        (initializers.glorot_normal, 0.0, math.sqrt(2.0 / 7.0), math.inf),
        (initializers.kaiming_uniform, 0.0, math.sqrt(2.0 / 4.0), math.sqrt(6.0 / 4.0)),
        (initializers.he_normal, 0.0, math.sqrt(2.0 / 4.0), math.inf),
        (initializers.zeros, 0.0, 0.0, 0.0),
        (initializers.constant(0.01), 0.01, 0.0, 0.01),
    ],
)
def test_initialisers_have_their_moments(init: Any, mean: float, deviation: float, bound: float) -> None:
    """Mean, standard deviation and bound of 20,000 weights of a layer with 4 inputs and 3 outputs."""
    rng = random.Random(1)
    drawn = [init(rng, 4, 3) for _ in range(20_000)]
    assert statistics.fmean(drawn) == pytest.approx(mean, abs=0.02)
    assert statistics.pstdev(drawn) == pytest.approx(deviation, abs=0.01)
    assert max(map(abs, drawn)) <= bound


def test_a_seed_gives_the_same_network_on_every_python() -> None:
    """Numbers written down once."""
    uniform = MLP(2, [1], seed=42).layers[0].neurons[0].w
    normal = MLP(2, [1], seed=42, init=initializers.he_normal).layers[0].neurons[0].w
    assert [w.data for w in uniform] == [0.19717926933739932, -0.6717362319454582]
    assert [w.data for w in normal] == [-0.14409032957792836, -0.1729036003315193]


def test_a_state_is_loaded_whole_or_not_at_all() -> None:
    """Missing and unknown names, wrong kinds: an error, and nothing has changed."""
    model, other = MLP(2, [2, 1], seed=0), MLP(2, [2, 1], seed=1)
    before, state = model.state_dict(), other.state_dict()
    first = next(iter(state))
    wrong: list[tuple[Any, type[Exception], str]] = [
        ({name: x for name, x in state.items() if name != first}, KeyError, "lacks layers"),
        (state | {"more": 1.0}, KeyError, "has unknown more"),
        (state | {list(state)[-1]: "1"}, TypeError, "needs a real number"),
    ]
    for bad, error, message in wrong:
        with pytest.raises(error, match=message):
            model.load_state_dict(bad)
        assert model.state_dict() == before
    model.load_state_dict(state)
    assert model.state_dict() == state


def test_metrics_count() -> None:
    """Classes predicted from logits and from a single output; the confusion matrix by hand."""
    data = [([1.0, 0.0], 0), ([0.0, 1.0], 1), ([2.0, 1.0], 1), ([0.0, 3.0], 1)]
    assert accuracy(lambda x: x, data) == 0.75
    assert confusion(lambda x: x, data, 2) == [[1, 0], [1, 2]]
    assert predict(lambda x: Value(-0.1), None) == 0
    with pytest.raises(ValueError, match="at least one example"):
        accuracy(lambda x: x, [])
    with pytest.raises(ValueError, match=r"target 0.5 is not the number of a class"):
        accuracy(lambda x: x, [([1.0, 0.0], 0.5)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="class 2 is not one of the 2 classes"):
        confusion(lambda x: x, [([1.0, 0.0, 3.0], 0)], 2)


def test_a_single_output_parts_two_classes() -> None:
    """At a probability of ½, or at a score of 0, also where nothing is recorded; −1 and 1 are classes 0 and 1."""
    scores = [([-2.0], 0), ([-0.5], 0), ([0.5], 1), ([2.0], 1)]
    margins = [(x, 2 * y - 1) for x, y in scores]
    with no_grad():
        for activation in (sigmoid, tanh, lambda a: a):
            assert accuracy(lambda x, g=activation: g(Value(x[0])), scores) == 1.0  # type: ignore[misc]
            assert confusion(lambda x, g=activation: g(Value(x[0])), margins, 2) == [[2, 0], [0, 2]]  # type: ignore[misc]


def test_penalties_are_on_weights() -> None:
    """Of a module without its biases, of a list as it is; the gradient of ½‖W‖² is W."""
    model = MLP(2, [2, 1], seed=0, bias_init=initializers.constant(5.0))
    weights = [p for name, p in model.named_parameters() if not name.endswith(".b")]
    assert l2(model).data == pytest.approx(0.5 * math.fsum(w.data**2 for w in weights))
    assert l1(model).data == pytest.approx(math.fsum(abs(w.data) for w in weights))
    assert l1(model.parameters()).data == pytest.approx(l1(model).data + 15.0)
    l2(model).backward()
    assert [w.grad for w in weights] == [w.data for w in weights]


def test_losses_refuse_what_does_not_fit() -> None:
    """Lengths, classes, labels and reductions, by name."""
    y = [Value(0.5), Value(0.25)]
    cases: list[tuple[Any, str]] = [
        (lambda: squared_error(y, [1.0]), "squared_error needs a target for each output: outputs: 2, targets: 1"),
        (lambda: negative_log_likelihood(y, 2), "target 2 is not one of the 2 classes"),
        (lambda: binary_cross_entropy(y[0], 2), "target 2 is not a probability"),
        (lambda: hinge(y[0], 0), "target 0 must be 1 or -1"),
        (lambda: squared_error(y, [1.0, 2.0], reduction="max"), "reduction must be 'mean' or 'sum', not 'max'"),
        (lambda: squared_error([], [], reduction="mean"), "needs a target for each output: outputs: 0, targets: 0"),
    ]
    for make, message in cases:
        with pytest.raises(ValueError, match=message):
            make()
    kinds: list[tuple[Any, str]] = [
        (lambda: squared_error(y[0], None), "squared_error needs a real number, not NoneType None"),
        (lambda: squared_error(y, "ab"), "squared_error needs a real number, not str 'ab'"),
        (lambda: cross_entropy(y[0], 1), "cross_entropy needs an output for each class, not a single one"),
        (lambda: hinge(y, 1), "hinge needs a single output, not 2"),
        (lambda: binary_cross_entropy(y, 1), "binary_cross_entropy needs a single output, not 2"),
        (lambda: binary_cross_entropy(y[0], "1"), "the target needs a real number, not str '1'"),
    ]
    for make, message in kinds:
        with pytest.raises(TypeError, match=message):
            make()
