"""Machine code: layers of all shapes on all kinds of processor, parts of long programs, what graphs share."""

import math
import platform
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograd import (
    Graph,
    Operation,
    Program,
    Value,
    atan,
    descent,
    exp,
    fsum,
    llvm,
    logsumexp,
    machine,
    sin,
    sumprod,
    tanh,
)
from autograd.operations import table
from nn import MLP, Adam, fit, squared_error

PROCESSORS = {"host": machine.host(), "generic": ("", "")}
if platform.machine() in ("x86_64", "AMD64"):
    PROCESSORS |= {"AVX2": ("x86-64-v3", "+avx,+avx2,+fma"), "no AVX": ("x86-64", "")}


@pytest.fixture(params=PROCESSORS)
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Code is made for this processor, and none that was made before is used."""
    monkeypatch.setattr(machine, "host", lambda: PROCESSORS[request.param])
    machine._kept.clear()
    return str(request.param)


def agree(program: Program, rows: Any) -> None:
    """One example and a batch are what the interpreter finds, to 1e-12 of the largest numbers there."""
    expected = [program._interpreted(program.parameters, row) for row in rows]
    values = np.array([value for value, _ in expected]).T
    gradient = np.sum([gradient for _, gradient in expected], axis=0)
    found, slopes = program._code.one(rows[0].tolist(), program.parameters)
    assert np.allclose(np.atleast_1d(found), values[:, 0], rtol=1e-12, atol=1e-12)
    scale = max(1.0, *np.abs([gradient for _, gradient in expected]).ravel())
    assert np.allclose(slopes, expected[0][1], rtol=0.0, atol=1e-12 * scale)
    outputs, sums = program._code.block(rows, program.parameters)
    assert np.allclose(outputs, values, rtol=1e-12, atol=1e-12)
    assert np.allclose(sums, gradient, rtol=0.0, atol=1e-12 * scale * len(rows))


@pytest.mark.parametrize("seed", range(12))
def test_layers(seed: int, processor: str) -> None:
    """Shapes, activations, weights that are shared or stand alone too, any ``wrt``, any number of examples."""
    choice = random.Random(f"{seed}/{processor}")
    nin, nouts = choice.randrange(1, 19), [choice.randrange(1, 19) for _ in range(choice.randrange(1, 4))]
    kinds = ["tanh", "relu", "linear", "sigmoid", "softplus"]
    model = MLP(nin, nouts, choice.choice(kinds), seed=seed, bias=choice.choice([True, False, "input"]))
    x, other = ([Value(choice.uniform(-1.0, 1.0)) for _ in range(nin)] for _ in range(2))

    def outputs(given: list[Value]) -> list[Value]:
        found = model(given)
        return found if isinstance(found, list) else [found]

    y = outputs(x)
    if len(y) == nin and choice.random() < 0.7:
        y = outputs(y)  # the same layers twice, one upon the other
    if choice.random() < 0.5:
        y = [a * b for a, b in zip(y, outputs(other), strict=True)]  # and side by side
    loss = logsumexp(y) + 0.3 * y[0]
    if choice.random() < 0.5:
        weights = model.weights()
        loss = loss + 0.1 * sumprod(weights, weights)
    wrt = [p for p in model.parameters() + x if choice.random() < 0.8]
    if choice.random() < 0.4:
        choice.shuffle(wrt)
    graph = Graph(loss)
    program = graph.compile([v for v in x + other if v in graph], wrt)
    rows = np.random.default_rng(seed).uniform(-1.0, 1.0, (choice.choice([1, 2, 7, 9, 33, 70]), len(program.inputs)))
    agree(program, np.asfortranarray(rows) if choice.random() < 0.5 else rows)


@pytest.mark.parametrize("wanted", ["parameters", "inputs", "one neuron", "one weight and an input"])
def test_layers_whose_results_are_the_roots(wanted: str, processor: str) -> None:
    """Adjoints that are 1 beside one that is computed; columns of numbers of every kind; gradients not asked for."""
    model = MLP(4, [6, 4], "tanh", bias=False, seed=2)
    x = [Value(0.1), Value(-0.4), Value(0.7)]
    y = model([x[0], 0.5, x[1] * x[2], x[2]])
    w = model.parameters()
    wrt = {"parameters": w, "inputs": x, "one neuron": w[4:8], "one weight and an input": [w[7], x[1]]}
    program = Graph(*y[:3], exp(y[3])).compile(x, wrt[wanted])
    agree(program, np.random.default_rng(0).uniform(-1.0, 1.0, (21, 3)))


def test_programs_in_parts(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one function computes and another reads goes through the workspace."""
    monkeypatch.setattr(llvm, "PART", 7)
    model = MLP(3, [9, 2], "tanh", seed=1)
    x = [Value(0.1), Value(-0.4), Value(0.7)]
    y = model(x)
    z = y[0] * exp(y[1])
    for _ in range(12):
        z = sin(z) * x[0] + tanh(z + y[1])
    rows = np.random.default_rng(0).uniform(-1.0, 1.0, (21, 3))
    agree(Graph(z).compile(x, model.parameters()), rows)


def test_large_programs_run_one_example_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are not optimised, which would take more than linear time."""
    monkeypatch.setattr(machine, "LARGEST_OPTIMISED", 10)
    machine._kept.clear()
    levels, linked = [], machine.linked

    def noted(text: str, names: list[str], level: int) -> Any:
        levels.append(level)
        return linked(text, names, level)

    monkeypatch.setattr(machine, "linked", noted)
    x, w = Value(0.3), Value(0.7)
    z = x * w
    Graph(z).compile([x]).batch([[0.5]])
    assert levels == [1]
    for _ in range(9):
        z = tanh(z + w)
    program = Graph(z).compile([x])
    agree(program, np.random.default_rng(0).uniform(-1.0, 1.0, (11, 1)))
    assert program._code._codes.batch is program._code._codes.one
    assert levels == [1, 0]


def test_codes_that_are_not_used_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used first; programs that have one keep it."""
    machine._kept.clear()
    monkeypatch.setattr(machine, "KEPT", 3 * machine.OVERHEAD)

    def compiled(length: int) -> Program:
        z = x = Value(0.5)
        for _ in range(length):
            z = tanh(z)
        return Graph(z).compile([], [x])

    before = machine.compilations
    first = compiled(1)
    values = [first()[0], *[compiled(length)()[0] for length in range(2, 6)]]
    assert len(machine._kept) <= 3
    assert machine.compilations == before + 5
    assert [compiled(length)()[0] for length in (4, 5)] == values[-2:]
    assert machine.compilations == before + 5
    assert compiled(1)()[0] == values[0] == first()[0]
    assert machine.compilations == before + 6


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("clip_norm", [None, 0.3])
def test_many_steps_at_once(clip_norm: float | None) -> None:
    """Layers of all lengths: what the eager engine does."""
    descent._code.cache_clear()
    found = []
    data = [([x / 7.0, (x * x % 5) / 5.0], float(x % 3)) for x in range(13)]
    for compiled in (False, True):
        model = MLP(2, [7, 12, 1], "tanh", seed=1)
        adam = Adam(model.parameters(), lr=0.01)
        options: dict[str, Any] = {"epochs": 5, "batch_size": 3, "clip_norm": clip_norm, "progress": False}
        history = fit(model, squared_error, data, adam, compiled=compiled, **options)
        norms = [x for norms in history.gradient_norms.values() for x in norms]
        found.append([*history.losses, *norms, *[p.data for p in model.parameters()]])
    assert np.allclose(found[0], found[1], rtol=1e-11, atol=1e-12)
    assert descent._code.cache_info().misses == 1
    descent._code.cache_clear()


def test_the_text() -> None:
    """What LLVM is given can be read, and has both entrances."""
    x, w = Value(0.5), Value(2.0)
    text = Graph(tanh(x * w)).compile([x]).source("llvm")
    assert "define i64 @batch(" in text
    assert "define i64 @one(" in text
    assert "call double @tanh(double" in text


@pytest.mark.parametrize("count", [15, 16])
def test_weights_become_loops_where_they_are_many(count: int) -> None:
    """Fewer are cheaper as instructions; many would take long to compile."""
    w, x = ([Value(0.1 * j) for j in range(count)] for _ in range(2))
    text = Graph(sumprod(w, x)).compile(x, w).source("llvm")
    assert ("@forward0(" in text) == (count >= 16)


def test_long_sums_compile_in_linear_time() -> None:
    """As sums of sums; the numbers are the same up to rounding."""
    w = Value(0.5)
    xs = [Value(j * 1e-3) for j in range(20_000)]
    program = Graph(sumprod(xs, [w] * len(xs)) + fsum(xs)).compile(xs, [w])
    value, gradient = program(*[x.data for x in xs])
    total = math.fsum(x.data for x in xs)
    assert value == pytest.approx(1.5 * total, rel=1e-12)
    assert gradient[0] == pytest.approx(total, rel=1e-12)


def test_a_users_row_raises_what_rows_within_it_raise() -> None:
    """Also where the result does not show it: atan(1 / 0) is a number."""
    steep = Operation("steep", lambda x: atan(1.0 / x), (lambda x, z: -1.0 / (1.0 + x * x),))
    try:
        x = Value(2.0, label="x")
        program = Graph(steep(x) * 1.0).compile([x], [x])
        assert program(4.0)[0] == pytest.approx(math.atan(0.25), rel=1e-15)
        runs: list[Callable[[], object]] = [lambda: program(0.0), lambda: program.batch([[1.0], [0.0], [2.0]])]
        for run in runs:
            with pytest.raises(ZeroDivisionError) as error:
                run()
            assert 'in steep(u), u = 0.0 ("x")' in error.value.__notes__
    finally:
        table.pop("steep")
