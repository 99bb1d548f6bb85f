"""The lectures' formulas with plain lists of numbers, against the gradients that the engine finds."""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from autograd import Graph, Value, fsum
from nn import (
    MLP,
    SGD,
    Neuron,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    fit,
    half_squared_error,
    l2,
)
from nn.health import batch_gradient, health, minibatch_gradients
from nn.initializers import constant, kaiming_normal, uniform, zeros

Vector = list[float]
Matrix = list[Vector]
Slope = Callable[[float], float]

#: Days of rain and Kdp, and the probability of rain.
WEATHER = [([3.0, 5.0], 0.99), ([1.0, 6.0], 0.59), ([0.0, 8.0], 0.19)]


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def affine(weights: Matrix, h: Vector, b: Vector) -> Vector:
    """W h + b."""
    return [math.fsum([c, *(w * x for w, x in zip(row, h, strict=True))]) for row, c in zip(weights, b, strict=True)]


def transposed(weights: Matrix, g: Vector) -> Vector:
    """Wᵀ g."""
    return [math.fsum(w * x for w, x in zip(column, g, strict=True)) for column in zip(*weights, strict=True)]


def matrices(model: MLP) -> list[Matrix]:
    """W of each layer, a row per neuron."""
    return [[[w.data for w in neuron.w] for neuron in layer.neurons] for layer in model.layers]


def biases(model: MLP) -> list[Vector]:
    """The b of each layer."""
    return [[n.b.data for n in layer.neurons if n.b is not None] for layer in model.layers]


def grads(model: MLP) -> Vector:
    """What backward has found, in the order of the parameters."""
    return [p.grad for p in model.parameters()]


def exactly(expected: Any) -> Any:
    """Equal up to the rounding of a few operations."""
    return pytest.approx(expected, rel=1e-12, abs=0.0)


def examples(count: int, nin: int, nout: int = 1, seed: int = 0) -> list[tuple[Vector, Vector]]:
    """Random inputs in ±1 and targets in 0 … 1."""
    rng = random.Random(seed)
    return [([rng.uniform(-1, 1) for _ in range(nin)], [rng.random() for _ in range(nout)]) for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_algorithms_6_3_and_6_4(seed: int) -> None:
    """Forward and backward through three layers, with ½‖y − d‖² + α½‖W‖² (Goodfellow, Bengio & Courville)."""
    alpha = 0.1
    model = MLP(4, [5, 3, 2], "tanh", bias_init=uniform(), seed=seed)
    ((x, target),) = examples(1, 4, 2, seed)
    weights, b = matrices(model), biases(model)

    h, slopes = [x], []
    for k, g in enumerate([math.tanh, math.tanh, float]):
        a = affine(weights[k], h[-1], b[k])
        h.append([g(z) for z in a])
        slopes.append([1.0 - math.tanh(z) ** 2 if g is math.tanh else 1.0 for z in a])
    expected: Vector = []
    gradient = [y - d for y, d in zip(h[-1], target, strict=True)]
    for k in (2, 1, 0):
        gradient = [g * slope for g, slope in zip(gradient, slopes[k], strict=True)]
        layer: Vector = []
        for row, error in zip(weights[k], gradient, strict=True):
            layer += [error * v + alpha * w for w, v in zip(row, h[k], strict=True)] + [error]
        expected = layer + expected
        gradient = transposed(weights[k], gradient)

    inputs = [Value(v) for v in x]
    loss = half_squared_error(model(inputs), target) + alpha * l2(model)
    loss.backward()
    penalty = math.fsum(w * w for w in itertools.chain(*itertools.chain(*weights)))
    squares = math.fsum((y - d) ** 2 for y, d in zip(h[-1], target, strict=True))
    assert loss.data == exactly(0.5 * squares + alpha * 0.5 * penalty)
    assert grads(model) == exactly(expected)
    assert [v.grad for v in inputs] == exactly(gradient)


@pytest.mark.parametrize(
    ("name", "g", "slope"),
    [
        ("sigmoid", sigmoid, lambda a: sigmoid(a) * (1.0 - sigmoid(a))),
        ("tanh", math.tanh, lambda a: 1.0 - math.tanh(a) ** 2),
        ("relu", lambda a: max(a, 0.0), lambda a: float(a > 0.0)),
    ],
)
def test_delta_recursion(name: str, g: Slope, slope: Slope) -> None:
    """δ_K = ∂L/∂h_K ⊙ g′(a_K), δ_k = Wᵀδ_(k+1) ⊙ g′(a_k): each δ is the grad of a pre-activation."""
    model = MLP(3, [4, 4, 3, 2], name, name, bias_init=uniform(), seed=2)
    ((x, target),) = examples(1, 3, 2)
    weights, b = matrices(model), biases(model)
    h, a = [x], []
    for row, offset in zip(weights, b, strict=True):
        a.append(affine(row, h[-1], offset))
        h.append([g(z) for z in a[-1]])
    back = [y - d for y, d in zip(h[-1], target, strict=True)]
    deltas: Matrix = []
    for k in (3, 2, 1, 0):
        delta = [v * slope(z) for v, z in zip(back, a[k], strict=True)]
        deltas.insert(0, delta)
        back = transposed(weights[k], delta)

    loss = half_squared_error(model(x), target)
    loss.backward()
    found = {node.label: node.grad for node in Graph(loss)}
    expected: Vector = []
    for layer, delta, inputs in zip(model.layers, deltas, h[:-1], strict=True):
        assert any(delta)
        assert [found[f"{neuron.name}.a"] for neuron in layer.neurons] == exactly(delta)
        for error in delta:
            expected += [error * v for v in inputs] + [error]
    assert grads(model) == exactly(expected)


def rumelhart(w: list[Matrix], cases: Sequence[tuple[Vector, Vector]]) -> tuple[float, list[Matrix]]:
    """E and ∂E/∂w by equations (1) to (7), over all cases; the last weight of a unit is of the input 1."""
    first, second = w
    total, d_first, d_second = 0.0, [[0.0] * len(row) for row in first], [[0.0] * len(row) for row in second]
    for inputs, desired in cases:
        y0 = [*inputs, 1.0]
        y1 = [sigmoid(sum(y * w for y, w in zip(y0, row, strict=True))) for row in first]  # (1), (2)
        y1.append(1.0)
        y2 = [sigmoid(sum(y * w for y, w in zip(y1, row, strict=True))) for row in second]
        total += 0.5 * sum((y - d) ** 2 for y, d in zip(y2, desired, strict=True))  # (3)
        by_y2 = [y - d for y, d in zip(y2, desired, strict=True)]  # (4)
        by_x2 = [e * y * (1.0 - y) for e, y in zip(by_y2, y2, strict=True)]  # (5)
        by_y1 = [sum(e * row[i] for e, row in zip(by_x2, second, strict=True)) for i in range(len(first))]  # (7)
        by_x1 = [e * y * (1.0 - y) for e, y in zip(by_y1, y1, strict=False)]
        for j, i in itertools.product(range(len(second)), range(len(y1))):
            d_second[j][i] += by_x2[j] * y1[i]  # (6)
        for j, i in itertools.product(range(len(first)), range(len(y0))):
            d_first[j][i] += by_x1[j] * y0[i]
    return total, [d_first, d_second]


@pytest.mark.parametrize("seed", range(3))
def test_rumelharts_equations_1_to_7(seed: int) -> None:
    """E = ½ΣΣ(y − d)² and ∂E/∂w over all cases, with biases as weights of an input that is always 1."""
    model = MLP(3, [4, 2], "sigmoid", "sigmoid", bias="input", init=uniform(), seed=seed)
    cases = examples(5, 3, 2, seed)
    error, expected = rumelhart(matrices(model), cases)
    total = fsum([half_squared_error(model(x), d) for x, d in cases])
    total.backward()
    assert total.data == exactly(error)
    assert grads(model) == exactly([slope for layer in expected for row in layer for slope in row])


@pytest.mark.parametrize("alpha", [0.0, 0.9])
def test_rumelharts_equations_8_and_9(alpha: float) -> None:
    """Δw(t) = −ε ∂E/∂w(t) + αΔw(t−1) moves the weights as SGD with momentum does; with α = 0 it is (8)."""
    epsilon = 0.5
    model = MLP(2, [3, 1], "sigmoid", "sigmoid", bias="input", init=uniform(), seed=4)
    optimizer = SGD(model.parameters(), lr=epsilon, momentum=alpha)
    cases = examples(4, 2)
    w = matrices(model)
    change = [[[0.0] * len(row) for row in layer] for layer in w]
    for _ in range(5):
        slopes = rumelhart(w, cases)[1]
        for k, layer in enumerate(w):
            for j, i in itertools.product(range(len(layer)), range(len(layer[0]))):
                change[k][j][i] = -epsilon * slopes[k][j][i] + alpha * change[k][j][i]
                layer[j][i] += change[k][j][i]
        optimizer.zero_grad()
        fsum([half_squared_error(model(x), d) for x, d in cases]).backward()
        optimizer.step()
        assert [p.data for p in model.parameters()] == exactly([v for layer in w for row in layer for v in row])


def weather_model(seed: int) -> MLP:
    return MLP(2, [3, 1], "sigmoid", "sigmoid", bias=False, init=uniform(), seed=seed)


def weather_by_hand(model: MLP, x: Vector, target: float) -> tuple[float, Matrix, Vector]:
    """C = ½(y − d)², ∂C/∂W₁ (2×3: from input i to hidden unit j) and ∂C/∂W₂ (3×1)."""
    rows, (second,) = matrices(model)
    h = [sigmoid(row[0] * x[0] + row[1] * x[1]) for row in rows]
    y = sigmoid(h[0] * second[0] + h[1] * second[1] + h[2] * second[2])
    delta = (y - target) * y * (1.0 - y)
    first = [[delta * second[j] * h[j] * (1.0 - h[j]) * x[i] for j in range(3)] for i in range(2)]
    return 0.5 * (y - target) ** 2, first, [delta * h[j] for j in range(3)]


@pytest.mark.parametrize("seed", range(3))
def test_weather_gradients(seed: int) -> None:
    """∂C/∂W₁ and ∂C/∂W₂ for each case and summed over the batch, and the total error before training."""
    model = weather_model(seed)
    hidden, (out,) = (layer.neurons for layer in model.layers)
    total, summed = 0.0, [0.0] * 9
    for x, target in WEATHER:
        error, first, second = weather_by_hand(model, x, target)
        model.zero_grad()
        loss = half_squared_error(model(x), target)
        loss.backward()
        assert loss.data == exactly(error)
        for i in range(2):
            assert [neuron.w[i].grad for neuron in hidden] == exactly(first[i])
        assert [w.grad for w in out.w] == exactly(second)
        total += error
        case = [first[i][j] for j in range(3) for i in range(2)] + second  # in the order of the parameters
        summed = [s + slope for s, slope in zip(summed, case, strict=True)]
    assert fsum([half_squared_error(model(x), d) for x, d in WEATHER]).data == exactly(total)
    assert batch_gradient(model, half_squared_error, WEATHER) == exactly(summed)


def test_weather_learns() -> None:
    """After training, each prediction is within 0.05 of its target."""
    model = weather_model(0)
    before = math.fsum(weather_by_hand(model, x, target)[0] for x, target in WEATHER)
    fit(model, half_squared_error, WEATHER, SGD(model.parameters(), lr=3.0, momentum=0.9), epochs=200, progress=False)
    assert all(abs(model(x).data - target) < 0.05 for x, target in WEATHER)
    assert math.fsum(weather_by_hand(model, x, target)[0] for x, target in WEATHER) < 0.01 * before


@pytest.mark.parametrize("seed", range(3))
def test_gradients_vanish_through_sigmoids(seed: int) -> None:
    """Towards the input of ten sigmoid layers mean |grad| falls in every layer, by more than 4 on average."""
    model = MLP(4, [8] * 10 + [1], "sigmoid", seed=seed)
    sizes = [layer.mean_grad for layer in health(model, half_squared_error, examples(8, 4)).layers[:-1]]
    assert all(above > 2.0 * below for below, above in itertools.pairwise(sizes))
    assert sizes[-1] / sizes[0] > max(4.0**9, 1e4)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_survive_relus(seed: int) -> None:
    """With He's initial weights, mean |grad| in the ten layers stays within a factor of 100."""
    model = MLP(4, [8] * 10 + [1], "relu", init=kaiming_normal, seed=seed)
    sizes = [layer.mean_grad for layer in health(model, half_squared_error, examples(8, 4)).layers[:-1]]
    assert max(sizes) < 1e2 * min(sizes)


def test_dead_units_and_their_cure() -> None:
    """ReLUs far below 0 get no gradient at all; leaky ones do."""
    batch = examples(8, 2)
    model = MLP(2, [6, 1], bias_init=constant(-10.0), seed=1)
    hidden = health(model, half_squared_error, batch).layers[0]
    assert (hidden.dead, hidden.norm) == (6, 0.0)
    assert not any(batch_gradient(model, half_squared_error, batch)[:18])
    leaky = MLP(2, [6, 1], "leaky_relu(0.01)", bias_init=constant(-10.0), seed=1)
    assert health(leaky, half_squared_error, batch).layers[0].dead == 0
    assert all(batch_gradient(leaky, half_squared_error, batch)[:18])


def test_a_small_positive_bias_keeps_units_alive() -> None:
    """Where inputs are positive, a ReLU with negative weights starts dead at bias 0, and not at bias 0.1."""
    batch = [([0.1, 0.02], [1.0]), ([0.02, 0.1], [1.0])]
    rows = matrices(MLP(2, [16, 1], seed=0))[0]
    expected = sum(all(row[0] * x[0] + row[1] * x[1] <= 0.0 for x, _ in batch) for row in rows)
    assert expected > 0
    for bias_init, dead in ((zeros, expected), (constant(0.1), 0)):
        model = MLP(2, [16, 1], bias_init=bias_init, seed=0)
        assert matrices(model)[0] == rows
        assert health(model, half_squared_error, batch).layers[0].dead == dead


@pytest.mark.parametrize("a", [-10.0, -5.0, 0.0])
def test_squared_error_saturates_where_cross_entropy_does_not(a: float) -> None:
    """On a sigmoid output of target 1, squared error has y(1 − y) times the gradient, which is y − 1."""
    y = sigmoid(a)

    def slope(loss: Callable[[Value, float], Value], activation: str) -> float:
        neuron = Neuron(1, activation, init=constant(a))
        loss(neuron([1.0]), 1.0).backward()
        return neuron.w[0].grad

    assert slope(binary_cross_entropy_with_logits, "linear") == exactly(y - 1.0)
    assert slope(binary_cross_entropy, "sigmoid") == exactly(y - 1.0)
    ratio = slope(half_squared_error, "sigmoid") / slope(binary_cross_entropy, "sigmoid")
    assert ratio == exactly(y * (1.0 - y))


def test_squared_error_punishes_what_is_too_correct() -> None:
    """A linear output of 3 for the target 1 is pulled back by y − d = 2, and by cross-entropy pushed on."""
    squared, entropy = Value(3.0), Value(3.0)
    half_squared_error(squared, 1.0).backward()
    binary_cross_entropy_with_logits(entropy, 1).backward()
    assert squared.grad == 2.0
    assert entropy.grad == exactly(-1.0 / (1.0 + math.exp(3.0)))


def test_the_batch_gradient_is_the_sum_of_the_examples_gradients() -> None:
    """One backward per example, added up by hand, and one backward of one graph of all losses: the same."""
    model, batch = MLP(3, [4, 2], "tanh", seed=3), examples(6, 3, 2)
    running = [0.0] * len(model.parameters())
    for x, target in batch:
        model.zero_grad()
        half_squared_error(model(x), target).backward()
        running = [total + g for total, g in zip(running, grads(model), strict=True)]
    model.zero_grad()
    fsum([half_squared_error(model(x), target) for x, target in batch]).backward()
    assert grads(model) == pytest.approx(running, rel=1e-12)
    assert batch_gradient(model, half_squared_error, batch) == pytest.approx(running, rel=1e-12)


@pytest.mark.parametrize("size", range(1, 7))
def test_minibatch_gradients_are_unbiased(size: int) -> None:
    """E_S[∇E(W; S)] = |S|/|T| ∇E(W) by enumeration, though single ones are far from it."""
    model, data = MLP(3, [4, 2], "tanh", seed=3), examples(6, 3, 2)
    found = minibatch_gradients(model, half_squared_error, data, size)
    for batch, gradient in zip(itertools.combinations(data, size), found, strict=True):
        model.zero_grad()
        fsum([half_squared_error(model(x), target) for x, target in batch]).backward()
        assert gradient == pytest.approx(grads(model), rel=1e-12)
    model.zero_grad()
    fsum([half_squared_error(model(x), target) for x, target in data]).backward()
    mean = [math.fsum(slopes) / len(found) for slopes in zip(*found, strict=True)]
    assert mean == pytest.approx([size / len(data) * g for g in grads(model)], rel=1e-12)
    if size < len(data):
        assert max(math.dist(gradient, mean) for gradient in found) > 0.1 * math.hypot(*mean)
