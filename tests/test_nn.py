"""A first nn: networks, the fused cross-entropy, SGD and the training loop."""

import copy
import math
import random
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from autograd import (
    Constant,
    Graph,
    Operation,
    Value,
    algorithms,
    fsum,
    gradcheck,
    leaky_relu,
    name_scope,
    no_grad,
    sigmoid,
    tanh,
)
from nn import (
    MLP,
    SGD,
    Adam,
    AdamW,
    Layer,
    Module,
    Neuron,
    Optimizer,
    accuracy,
    binary_cross_entropy,
    clip_grad_norm_,
    confusion,
    cross_entropy,
    cross_entropy_from_probabilities,
    fit,
    hinge,
    initializers,
    l1,
    l2,
    negative_log_likelihood,
    optimizers,
    predict,
    schedules,
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
    with no_grad():
        bare = logits(model, [0.5, -1.0, 2.0])
    assert [(x.data, x.label, x.parents) for x in bare] == [(x.data, x.label, ()) for x in p]


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


# Graphs of neurons and layers, with every name.


def labels(y: Value) -> dict[str, Value]:
    """The nodes with a label; no two have the same."""
    named = [node for node in Graph(y) if node.label]
    assert len({node.label for node in named}) == len(named)
    return {node.label: node for node in named}


def test_an_expanded_neuron_has_every_product_and_sum() -> None:
    """With a bias that is not 0: names, numbers and scopes of all nodes, by hand."""
    weights = iter([0.5, -1.0, 2.0])
    neuron = Neuron(
        3, "tanh", init=lambda *_: next(weights), bias_init=initializers.constant(0.3), expand=True, name="n"
    )
    nodes = labels(neuron([2.0, 3.0, 4.0]))
    expected = {"n.w[0]": 0.5, "n.w[1]": -1.0, "n.w[2]": 2.0, "n.b": 0.3}
    expected |= {"n.wx[0]": 1.0, "n.wx[1]": -3.0, "n.wx[2]": 8.0, "n.wx[:2]": -2.0, "n.wx": 6.0, "n.a": 6.3}
    assert {name: node.data for name, node in nodes.items()} == expected | {"n": math.tanh(6.3)}
    assert {node.scope for node in nodes.values()} == {"n"}
    assert {name: node.op.name for name, node in nodes.items() if node.op} == (
        dict.fromkeys(["n.wx[0]", "n.wx[1]", "n.wx[2]"], "mul")
        | dict.fromkeys(["n.wx[:2]", "n.wx", "n.a"], "add")
        | {"n": "tanh"}
    )


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize(
    ("nin", "bias", "a"), [(1, True, 2.3), (1, False, 2.0), (1, "input", 4.0), (2, True, 6.3), (2, "input", 8.0)]
)
def test_a_pre_activation_by_hand(nin: int, bias: Any, a: float, expand: bool) -> None:
    """Of weights 2 and inputs 1 and 2, with a bias of 0.3, a bias weight of 2, or none."""
    options: dict[str, Any] = {"bias_init": initializers.constant(0.3)} if bias is True else {}
    neuron = Neuron(nin, "sigmoid", bias=bias, init=initializers.constant(2.0), expand=expand, name="n", **options)
    nodes = labels(neuron([1.0, 2.0][:nin]))
    assert nodes["n.a"].data == pytest.approx(a)
    assert nodes["n"].data == pytest.approx(1.0 / (1.0 + math.exp(-a)))
    assert ("n.b" in nodes) == (bias is True)
    if bias is True:
        assert nodes["n.a"].parents == (nodes["n.wx"], nodes["n.b"])
        assert nodes["n.wx"].data == pytest.approx(a - 0.3)
    else:
        assert "n.wx" not in nodes


@pytest.mark.parametrize("expand", [False, True])
def test_the_nodes_of_a_softmax_layer(expand: bool) -> None:
    """Pre-activations belong to their units, what is over all of them to the layer; each has its name."""
    layer = Layer(2, 2, "softmax", name="out", expand=expand, bias_init=initializers.constant(0.3))
    with name_scope("net"):
        p = layer([1.0, -2.0])
    nodes = {node.label: node for node in Graph(*p) if node.label}
    a = [n.w[0].data - 2.0 * n.w[1].data + 0.3 for n in layer.neurons]
    total = math.log(math.fsum(map(math.exp, a)))
    assert nodes["out.logsumexp"].data == pytest.approx(total)
    assert nodes["out.logsumexp"].scope == "net.out"
    for k in (0, 1):
        assert nodes[f"out[{k}].a"].data == pytest.approx(a[k])
        assert nodes[f"out[{k}].log"].data == pytest.approx(a[k] - total)
        assert nodes[f"out[{k}]"] is p[k]
        assert {nodes[f"out[{k}]{part}"].scope for part in (".a", ".wx")} == {f"net.out[{k}]"}
        assert {nodes[f"out[{k}]{part}"].scope for part in ("", ".log")} == {"net.out"}
    assert [parent.label for parent in nodes["out[1].log"].parents] == ["out[1].a", "out.logsumexp"]
    assert all(node.label for node in Graph(*p) if node.op and node.op.name != "neg")


def test_initialisers_are_told_the_size_of_the_layer() -> None:
    """Inputs and outputs of each layer of a network, biases and bias inputs alike; never 1 for all."""

    def sizes(rng: random.Random, nin: int, nout: int) -> float:
        return 100.0 * nin + nout

    kinds: list[dict[str, Any]] = [{"bias_init": sizes}, {"bias": "input"}]
    for options in kinds:
        model = MLP(5, [4, 3], init=sizes, **options)
        drawn = [{p.data for p in layer.parameters()} for layer in model.layers]
        assert drawn == [{504.0}, {403.0}]


def test_xavier_through_a_network() -> None:
    """Variance 2/(nin + nout), and for the uniform one the bound that goes with it."""
    for init, bound in ((initializers.xavier_uniform, math.sqrt(6.0 / 70.0)), (initializers.xavier_normal, math.inf)):
        weights = [w.data for w in MLP(30, [40, 1], seed=2, init=init).layers[0].weights()]
        assert len(weights) == 1200
        assert statistics.pvariance(weights) == pytest.approx(2.0 / 70.0, rel=0.1)
        assert max(map(abs, weights)) <= bound
    assert max(w.data for w in MLP(30, [40, 1], init=initializers.xavier_uniform).layers[0].weights()) > 0.28


def test_layers_differ_without_a_generator() -> None:
    """So do neurons: what they draw from is common to all, and does not start over."""
    made = [Layer(2, 2), Layer(2, 2), Neuron(2), Neuron(2)]
    weights = [w.data for module in made for w in module.weights()]
    assert len(set(weights)) == len(weights) == 12


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"bias": "inputs"}, ValueError, "bias must be True, False or 'input', not 'inputs'"),
        ({"bias": None}, ValueError, "bias must be True, False or 'input', not None"),
        ({"bias": 1}, ValueError, "bias must be True, False or 'input', not 1"),
        ({"bias": False, "bias_init": initializers.constant(1.0)}, ValueError, "with bias=False, there is no b"),
        ({"bias": "input", "bias_init": initializers.constant(1.0)}, ValueError, "with bias='input', there is no b"),
        ({"init": "he_normal"}, TypeError, "one of nn.initializers, such as uniform, .*he_normal, not 'he_normal'"),
        ({"init": 0.5}, TypeError, "one of nn.initializers, .*, not 0.5"),
        ({"bias_init": "zeros"}, TypeError, "one of nn.initializers, .*, not 'zeros'"),
        ({"activation": None}, TypeError, "activation must be a name, such as 'tanh', or a function, not None"),
        ({"activation": 3}, TypeError, "activation must be a name, such as 'tanh', or a function, not 3"),
    ],
)
def test_neurons_refuse_wrong_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """In layers and networks too; each message says what it should be."""
    makes: list[Callable[..., Module]] = [
        lambda **given: Neuron(2, **given),
        lambda **given: Layer(2, 2, **given),
        lambda **given: MLP(2, [2, 2], **given),
    ]
    for make in makes:
        with pytest.raises(error, match=message):
            make(**options)


@pytest.mark.parametrize("init", [initializers.uniform, initializers.normal, initializers.constant])
def test_an_initialiser_that_was_not_called_gives_a_hint(init: Any) -> None:
    """Which of them are made by a call, as a note of Python's own error."""
    with pytest.raises(TypeError) as caught:
        Layer(2, 2, init=init)
    assert caught.value.__notes__ == [
        f"from the initialiser {init!r}: some are made by a call, such as uniform(-0.3, 0.3)"
    ]


def test_inputs_must_be_a_list() -> None:
    """A number, a Value or a generator is refused with the number of inputs."""
    model = MLP(2, [2, 1])
    wrong: list[Any] = [3.0, Value(1.0), None, (x for x in (1.0, 2.0))]
    for x in wrong:
        with pytest.raises(TypeError, match=r"h1\[0\] takes a list of 2 inputs, not "):
            model(x)
    assert model((1.0, 2.0)).data == model([1.0, 2.0]).data


# Optimisers.


@pytest.mark.parametrize(("kind", "decay"), [(Adam, 0.0), (AdamW, 0.01)])
def test_the_defaults_of_adam_are_those_of_pytorch(kind: Any, decay: float) -> None:
    """lr 1e-3, β 0.9 and 0.999, ε 1e-8, and a weight decay of 0.01 for AdamW only; on plain floats."""
    w, p = 1.0, Value(1.0)
    optimizer, m, v = kind([p]), 0.0, 0.0
    for t, g in enumerate([1e-8, -3e-8, 2e-8], start=1):  # as small as ε
        p.grad = g
        optimizer.step()
        m, v = 0.9 * m + (1.0 - 0.9) * g, 0.999 * v + (1.0 - 0.999) * g * g
        w -= 1e-3 * decay * w
        w -= 1e-3 * (m / (1.0 - 0.9**t)) / (math.sqrt(v / (1.0 - 0.999**t)) + 1e-8)
        assert p.data == pytest.approx(w, rel=1e-13)
    assert abs(1.0 - p.data) > 1e-5 * decay


def test_a_parameter_given_twice_moves_once() -> None:
    """For shared parameters, by every optimiser, as when it is given once."""
    for kind in (SGD, Adam, AdamW):
        once, twice, other = Value(1.0), Value(1.0), Value(2.0)
        alone, shared = kind([once], lr=0.1), kind([twice, other, twice], lr=0.1)
        assert shared.params == [twice, other]
        for _ in range(2):
            once.grad = twice.grad = 3.0
            alone.step()
            shared.step()
            assert once.data == twice.data != 1.0


def test_only_leaves_can_be_optimised() -> None:
    """Computed Values, Constants and numbers are no parameters, and a model is not a list of them."""
    x = Value(1.0)
    with no_grad():
        computed = x * 2.0
    wrong: list[Any] = [x * 2.0, computed, Constant(1.0), x.detach(), 1.0, "w"]
    for p in wrong:
        for kind in (SGD, Adam):
            with pytest.raises(TypeError, match="a parameter is a Value that was not computed, not "):
                kind([x, p], lr=0.1)
    model: Any = MLP(1, [1])
    with pytest.raises(TypeError, match=r"SGD needs the parameters, such as model.parameters\(\), not MLP"):
        SGD(model, lr=0.1)
    with pytest.raises(TypeError, match=r"AdamW needs the parameters, such as model.parameters\(\), not Value"):
        AdamW(x)  # type: ignore[arg-type]


def test_the_rate_is_checked_when_it_is_set() -> None:
    """A schedule may bring it to 0; less, infinite or nan is refused, and the old one stays."""
    optimizer = SGD([Value(1.0)], lr=0.1)
    for wrong in (-1e-9, math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="lr must be 0 or positive, not "):
            optimizer.lr = wrong
        assert optimizer.lr == 0.1
    with pytest.raises(TypeError, match="lr needs a real number, not str"):
        optimizer.lr = "0.1"  # type: ignore[assignment]
    optimizer.lr = 0.0
    assert optimizer.lr == 0.0


def stepped(kind: str, steps: int = 2) -> tuple[list[Value], Optimizer]:
    """Three parameters and an optimiser that has made steps."""
    ps = [Value(1.0), Value(-2.0), Value(3.0)]
    optimizer: Optimizer = SGD(ps, lr=0.1, momentum=0.9) if kind == "SGD" else Adam(ps, lr=0.1)
    for t in range(steps):
        for j, p in enumerate(ps):
            p.grad = 1.0 + j + t
        optimizer.step()
    return ps, optimizer


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("SGD", {"velocity": ["1", "2", "3"]}),
        ("SGD", {"velocity": "abc"}),
        ("SGD", {"velocity": [1.0, 2.0]}),
        ("SGD", {"velocity": [1.0, 2.0, 3.0, 4.0]}),
        ("SGD", {"velocity": [1.0, math.nan, 3.0]}),
        ("SGD", {"velocity": None}),
        ("SGD", {"velocity": 1.0}),
        ("SGD", {"lr": "0.1"}),
        ("SGD", {"lr": math.nan}),
        ("SGD", {"lr": -0.1}),
        ("SGD", {"lr": None}),
        ("Adam", {"v": [1.0]}),
        ("Adam", {"m": [1.0, 2.0, math.inf]}),
        ("Adam", {"steps": "3"}),
        ("Adam", {"steps": 3.0}),
        ("Adam", {"steps": True}),
        ("Adam", {"steps": [3]}),
        ("Adam", {"steps": 10**400}),
        ("Adam", {"lr": -0.1, "m": [0.0, 0.0, 0.0], "steps": 7}),
    ],
)
def test_a_state_that_does_not_fit_an_optimiser_changes_nothing(kind: str, changes: dict[str, Any]) -> None:
    """Texts, nan, other lengths and other kinds of number."""
    _, optimizer = stepped(kind)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=f"this is not the state of {kind}: |lr must be 0 or positive"):
        optimizer.load_state_dict(before | changes)
    assert optimizer.state_dict() == before
    with pytest.raises(ValueError, match=f"this is not the state of {kind}: "):
        optimizer.load_state_dict({"lr": 0.1})
    assert optimizer.state_dict() == before


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_state_dict_is_a_copy(kind: str) -> None:
    """Neither what is read nor what is loaded is shared with the optimiser."""
    _, optimizer = stepped(kind)
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    for held in state.values():
        if isinstance(held, list):
            held[0] = 77.0
    assert optimizer.state_dict() == before != state
    optimizer.load_state_dict(state)
    loaded = copy.deepcopy(state)
    for held in state.values():
        if isinstance(held, list):
            held[:] = [0.0]
    assert optimizer.state_dict() == loaded


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_step_that_overflows_changes_nothing(kind: str) -> None:
    """Neither parameters nor state: by a huge rate, or by a gradient that is nan or whose square is infinite."""
    cases = [(1e308, 3.0), (0.1, math.nan), (0.1, math.inf)] + [(0.1, 1e200)] * (kind == "Adam")
    for lr, grad in cases:
        ps, optimizer = stepped(kind)
        optimizer.lr = lr
        ps[0].grad = 0.5
        ps[1].grad = grad
        before = [p.data for p in ps], optimizer.state_dict()
        with pytest.raises(OverflowError, match=r"take a smaller lr than|clip them"):
            optimizer.step()
        assert ([p.data for p in ps], optimizer.state_dict()) == before


def interrupted(run: Callable[[], object], file: str, at: int) -> bool:
    """Whether Ctrl-C at that executed line of a file has stopped it."""
    lines = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in (file, algorithms.__file__):
            return None
        if event == "line":
            lines += 1
            if lines == at:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_step_is_whole_at_every_line(kind: str) -> None:
    """Ctrl-C anywhere in it: parameters and state are both the old ones or both the new ones."""

    def whole(ps: list[Value], optimizer: Optimizer) -> tuple[list[float], Any]:
        return [p.data for p in ps], optimizer.state_dict()

    old = whole(*stepped(kind))
    ps, optimizer = stepped(kind)
    optimizer.step()
    new = whole(ps, optimizer)
    assert old != new
    at = 1
    while True:
        ps, optimizer = stepped(kind)
        stopped = interrupted(optimizer.step, str(Path(optimizers.__file__)), at)
        assert whole(ps, optimizer) in ((old, new) if stopped else (new,)), f"line {at}"
        if not stopped:
            break
        at += 1
    assert at > 8


# Schedules.


def test_schedules_stay_at_their_end() -> None:
    """Beyond T; and as factors, in closed form."""
    cosine, linear = schedules.cosine(4), schedules.linear(4, 0.25)
    assert [cosine(t) for t in (4, 5, 6, 8, 100)] == [0.0] * 5
    assert cosine(1) == pytest.approx((2.0 + math.sqrt(2.0)) / 4.0)
    assert [linear(t) for t in (0, 1, 4, 5, 100)] == [1.0, 0.8125, 0.25, 0.25, 0.25]
    assert [schedules.exponential(0.5)(t) for t in range(4)] == [1.0, 0.5, 0.25, 0.125]
    assert [schedules.constant()(t) for t in (0, 9)] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.step(0), "size must be a whole number of at least 1, not 0"),
        (lambda: schedules.step(2.5), "size must be a whole number"),  # type: ignore[arg-type]
        (lambda: schedules.step(2, 0.0), "gamma must be positive, not 0"),
        (lambda: schedules.step(2, math.nan), "gamma must be positive, not nan"),
        (lambda: schedules.cosine(0), "total must be a whole number of at least 1, not 0"),
        (lambda: schedules.cosine(-3), "total must be a whole number of at least 1, not -3"),
        (lambda: schedules.linear(0), "total must be a whole number of at least 1, not 0"),
        (lambda: schedules.linear(3, -0.5), "end must be 0 or positive, not -0.5"),
        (lambda: schedules.exponential(-1), "gamma must be positive, not -1"),
        (lambda: schedules.exponential(math.inf), "gamma must be positive, not inf"),
    ],
)
def test_schedules_refuse_bad_numbers(make: Callable[[], object], message: str) -> None:
    """When they are made, not in the middle of training."""
    with pytest.raises(ValueError, match=message):
        make()


# Modules.


class Part(Module):
    """A module that knows what it is a part of, and remembers what it has given."""

    def __init__(self, whole: Module) -> None:
        self.whole, self.w, self.last = whole, Value(2.0), Value(0.0) * 1.0

    def __call__(self, x: Value | float) -> Value:
        self.last = self.w * x
        return self.last


class Whole(Module):
    """A module of parts in a list, in a dictionary and nested ones, with a constant and other attributes."""

    def __init__(self) -> None:
        self.line = Neuron(1, "linear", name="line")
        self.part = Part(self)
        self.named = {"a": Value(1.0), "b": [Value(3.0), self.part], 3: (Value(4.0),)}
        self.fixed, self.size, self.text = Constant(9.0), 3, "w"


def test_parameters_are_found_in_lists_dictionaries_and_parts() -> None:
    """Each once, by its path; no constants, no remembered results, and never round in circles."""
    model = Whole()
    part = model.part
    names = ["line.w[0]", "line.b", "part.w", "named['a']", "named['b'][0]", "named[3][0]"]
    for _ in range(2):
        assert [name for name, _ in model.named_parameters()] == names
        part(5.0)
    assert part.last.data == 10.0
    state = dict(zip(names, map(float, range(6)), strict=True))
    model.load_state_dict(state)
    assert model.state_dict() == state
    assert part.w.data == 2.0
    part.last.grad = 5.0
    part.w.grad = 7.0
    model.zero_grad()
    assert (part.last.grad, part.w.has_grad) == (5.0, False)


def test_modules_lists_every_part_once() -> None:
    """From the whole down, in the order of the attributes."""
    model = Whole()
    assert model.modules() == [model, model.line, model.part]
    assert model.part.modules() == [model.part, model, model.line]
    network = MLP(1, [2, 1])
    first, last = network.layers
    assert network.modules() == [network, first, *first.neurons, last, *last.neurons]


def test_a_module_shows_its_parts() -> None:
    """Indented, with the number of parameters; a part that leads back to the whole is cut short."""

    class Net(Module):
        def __init__(self) -> None:
            self.scale = Value(1.0)
            self.body = MLP(1, [2, 1], "tanh")
            self.heads = [Neuron(2, "relu"), Neuron(2, "linear")]

    assert repr(Net()).splitlines() == [
        "Net(",
        "  (body): MLP(",
        "    h1: Layer(1, 2, 'tanh')  # 4 parameters",
        "    out: Layer(2, 1, 'linear')  # 3 parameters",
        "  )  # 7 parameters",
        "  (heads[0]): Neuron(2, 'relu')  # 3 parameters",
        "  (heads[1]): Neuron(2, 'linear')  # 3 parameters",
        ")  # 14 parameters",
    ]
    assert repr(Whole()).splitlines() == [
        "Whole(",
        "  (line): Neuron(1, 'linear')  # 2 parameters",
        "  (part): Part(",
        "    (whole): …",
        "  )  # 6 parameters",
        ")  # 6 parameters",
    ]


@pytest.mark.parametrize("target", [[0.5, 0.6], [1.5, -0.5], [0.0, 0.0]])
def test_targets_that_are_no_distributions(target: list[float]) -> None:
    p = softmax([Value(0.3), Value(-0.2)])
    assert cross_entropy_from_probabilities(p, [0.5, 0.5]).data == pytest.approx(
        -0.5 * sum(math.log(x.data) for x in p)
    )
    with pytest.raises(ValueError, match="is not a distribution"):
        cross_entropy_from_probabilities(p, target)


@pytest.mark.parametrize("wrong", [math.inf, math.nan])
def test_a_gradient_that_cannot_be_clipped(wrong: float) -> None:
    """None of its parts is changed."""
    p, q = Value(1.0), Value(2.0)
    p.grad, q.grad = 3.0, wrong
    with pytest.raises(ArithmeticError, match=f"a gradient whose norm is {wrong} cannot be clipped"):
        clip_grad_norm_([p, q], 1.0)
    assert (p.grad, repr(q.grad)) == (3.0, repr(wrong))
