"""fit on compiled programs: the eager trajectory, whatever the model and the loss are; and where it has to be eager."""

import _thread
import itertools
import json
import math
import random
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autograd import Value, atan2, exp, fsum, log, logsumexp, maximum, no_grad, relu, sumprod, tanh
from autograd.descent import Descent
from autograd.machine import Machine
from nn import (
    MLP,
    SGD,
    Adam,
    AdamW,
    History,
    Layer,
    Module,
    Optimizer,
    accuracy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    fit,
    hinge,
    l2,
    negative_log_likelihood,
    schedules,
    squared_error,
    training,
)
from nn.compiled import Compiled
from nn.data import moons
from nn.recording import Recording

POINTS = moons(12, noise=0.1, seed=1)
SIDES = [(x, 2 * y - 1) for x, y in POINTS]
RNG = random.Random(0)
DIGITS = [([RNG.randrange(17) / 16.0 for _ in range(5)], i % 10) for i in range(20)]
CURVE = [([x / 5.0], math.sin(x)) for x in range(-7, 8)]


def close(a: Any, b: Any, tolerance: float = 1e-9) -> bool:
    """Whether nested numbers agree."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[name], b[name], tolerance) for name in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(close(x, y, tolerance) for x, y in zip(a, b, strict=True))
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def lists(history: History) -> list[Any]:
    """All that a history holds."""
    return [history.losses, history.validation_losses, history.metrics, history.gradient_norms]


def run(
    compiled: Any,
    make: Callable[[], Any],
    loss: Any,
    data: Sequence[Any],
    rule: Callable[[Any], Optimizer],
    epochs: int = 100,
    **options: Any,
) -> tuple[Any, Optimizer, History]:
    """A new model, trained."""
    model = make()
    optimizer = rule(model.parameters())
    return (
        model,
        optimizer,
        fit(model, loss, data, optimizer, epochs=epochs, progress=False, compiled=compiled, **options),
    )


def agree(*case: Any, path: str = "1 program", **options: Any) -> History:
    """Whether both paths go the same way: every number of the history, the parameters, their grads, the optimiser."""
    model, optimizer, history = run(False, *case, **options)
    again, other, compiled = run(True, *case, **options)
    assert history.path == "eager: compiled=False"
    if "for" not in path:
        path = rf"{path}s? for {len(case[2])} examples?"
    assert re.fullmatch(rf"compiled \(\w+\): {path}", compiled.path)
    assert close(lists(history), lists(compiled))
    assert history.ended == compiled.ended
    assert close(model.state_dict(), again.state_dict())
    assert close(optimizer.state_dict(), other.state_dict())
    assert close([p.grad for p in model.parameters()], [p.grad for p in again.parameters()])
    assert history.losses[-1] != history.losses[0]
    return compiled


def descend(**options: Any) -> Callable[[Any], Optimizer]:
    return lambda parameters: SGD(parameters, **{"lr": 0.05, **options})


def network(*sizes: int, activation: str = "tanh", **options: Any) -> Callable[[], MLP]:
    return lambda: MLP(sizes[0], sizes[1:], activation, seed=1, **options)


def weigh(model: Module) -> Value:
    return 1e-2 * l2(model)


def step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, no training takes many steps at once."""
    monkeypatch.setattr(Compiled, "_native", lambda self: None)


TASKS: dict[str, tuple[tuple[Any, ...], str]] = {
    "hinge": ((network(2, 4, 1), hinge, SIDES, descend()), "1 program"),
    "bce": ((network(2, 3, 1), binary_cross_entropy_with_logits, POINTS, descend()), "2 program"),
    "soft targets": (
        (network(2, 3, 1), binary_cross_entropy_with_logits, [(x, 0.1 + 0.5 * y) for x, y in POINTS], descend()),
        "1 program",
    ),
    "cross-entropy": ((network(5, 4, 10, activation="relu"), cross_entropy, DIGITS, descend()), "1 program"),
    "softmax": ((network(5, 4, 10, output="softmax"), negative_log_likelihood, DIGITS, descend()), "1 program"),
    "regression": ((network(1, 5, 1), squared_error, CURVE, descend()), "1 program"),
    "expand": ((network(2, 3, 1, expand=True), hinge, SIDES, descend()), "1 program"),
    "bias as input": ((network(2, 3, 1, bias="input"), hinge, SIDES, descend()), "1 program"),
    "all alike": ((network(2, 1), squared_error, [([1.0, 2.0], 0.5)] * 3, descend()), "1 program"),
}


@pytest.mark.parametrize("task", TASKS)
def test_tasks(task: str) -> None:
    """Labels of any kind; what depends on the example becomes an input, or another program."""
    case, path = TASKS[task]
    agree(*case, batch_size=5, path=path)


@pytest.mark.parametrize(
    "rule",
    [
        descend(),
        descend(momentum=0.8),
        descend(momentum=0.8, nesterov=True, weight_decay=0.01),
        lambda ps: Adam(ps, lr=0.02),
        lambda ps: Adam(ps, lr=0.02, weight_decay=0.1, betas=(0.8, 0.9)),
        lambda ps: AdamW(ps, lr=0.02),
    ],
    ids=["sgd", "momentum", "nesterov", "adam", "decay", "adamw"],
)
def test_optimisers(rule: Any) -> None:
    """Each by the program of its one rule, with a schedule."""
    agree(network(2, 3, 1), hinge, SIDES, rule, batch_size=5, schedule=schedules.cosine(100))


@pytest.mark.parametrize("batch_size", [1, 7, None])
@pytest.mark.parametrize("loss", [hinge, lambda y, d: relu(1.0 - y) if d > 0 else y * y])
def test_batches(batch_size: int | None, loss: Any) -> None:
    """Of every size, on one program and on two."""
    agree(network(2, 3, 1), loss, SIDES, descend(), path=r"[12] program", batch_size=batch_size)


@pytest.mark.parametrize("clip_norm", [1e-2, 0.5])
def test_penalty_and_clipping(clip_norm: float) -> None:
    """Whether it clips always or now and then."""
    agree(network(2, 3, 1), hinge, SIDES, descend(), batch_size=5, penalty=weigh, clip_norm=clip_norm)


def test_validation_and_patience() -> None:
    """Training ends in the same epoch, with the best parameters."""
    options: dict[str, Any] = {"validation": DIGITS[:7], "patience": 3, "metric": accuracy, "batch_size": 6}
    history = agree(network(5, 6, 10), cross_entropy, DIGITS[7:], descend(lr=0.5), **options)
    assert history.ended == "early"


class Twice(Module):
    """One layer applied twice, and a parameter of another kind."""

    def __init__(self) -> None:
        self.layer, self.scale = Layer(2, 2, "tanh", rng=random.Random(0)), Value(0.5)

    def __call__(self, x: Any) -> Value:
        first, second = self.layer(self.layer(x))
        product: Value = self.scale * first * second
        return product


class Branching(Module):
    """Other formulas for other examples."""

    def __init__(self) -> None:
        self.w, self.words = Value(0.3), [Value(0.1 * j) for j in range(3)]

    def __call__(self, x: Any) -> Value:
        terms = [self.w * v for v in x if v > 0.0] or [self.w]
        chosen = self.words[int(abs(x[0]) * 10.0) % 3]  # as of a table of word vectors
        product: Value = exp(chosen) * maximum(terms[0], terms[-1])
        return product


def test_any_model() -> None:
    """With shared weights, Python that branches on the data, a part that does not move, numbers given as Values."""
    agree(Twice, squared_error, SIDES, descend(), batch_size=5)
    agree(Branching, squared_error, SIDES, descend(lr=0.01), batch_size=5, path=r"[2-5] program")
    agree(network(2, 3, 1), hinge, [([*map(Value, x)], y) for x, y in SIDES], descend(), batch_size=5)
    models = [network(2, 3, 1)() for _ in range(2)]
    for model, compiled in zip(models, (False, True), strict=True):
        optimizer = SGD(model.layers[1].parameters(), lr=0.1)
        fit(model, hinge, SIDES, optimizer, epochs=9, clip_norm=0.1, progress=False, compiled=compiled)
    assert close(models[0].state_dict(), models[1].state_dict())
    assert models[0].layers[0].neurons[0].w[0].data == network(2, 3, 1)().layers[0].neurons[0].w[0].data


def test_comparisons_of_what_does_not_move() -> None:
    """Inputs given as Values: which way an example goes is settled once."""

    class Folded(Slope):
        def __call__(self, x: Any) -> Value:
            folded: Value = self.w * x if x > 0.0 else -(self.w * x)
            return folded

    data = [(Value(0.1 * j - 0.45), 0.5) for j in range(10)]
    agree(Folded, squared_error, data, descend(), batch_size=3, path="2 program")


def test_a_table_of_many_words() -> None:
    """So many that one program does not choose among them all."""

    class Words(Module):
        def __init__(self) -> None:
            self.words = [Value(0.1 * j) for j in range(20)]

        def __call__(self, word: int) -> Value:
            return tanh(self.words[word])

    data = [(j, (-1.0) ** j) for j in range(20)]
    agree(Words, squared_error, data, descend(), epochs=20, batch_size=5, path="2 program")


def test_graphs_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Are said to be so, and are trained eagerly unless they have to be compiled."""
    monkeypatch.setattr("autograd.program.LARGEST", 15)  # that of the optimiser has 12
    case = network(2, 3, 1), hinge, SIDES, descend()
    with pytest.raises(ValueError, match=r"a graph of \d+ values is too large to compile"):
        run(True, *case, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr("nn.training.WORTH", 0.0)
        assert "is too large to compile" in run("auto", *case, epochs=1)[2].path


def test_validation_that_leaves_a_domain() -> None:
    """Once the parameter has moved: the eager engine's error."""

    def loss(y: Value, d: float) -> Value:
        return y if d > 0.0 else log(1.0 + y)

    for compiled in (False, True):
        with pytest.raises(ValueError, match=r"math domain error|positive") as caught:
            run(compiled, Slope, loss, [(1.0, 1.0)], descend(lr=3.0), epochs=9, validation=[(1.0, -1.0)])
        assert any(note.startswith("in log(u), u = -") for note in caught.value.__notes__)


def test_a_parameter_of_the_loss() -> None:
    """Which the optimiser moves, and the model does not hold."""
    found: list[Any] = []
    for compiled in (False, True):
        model, scale = network(2, 1)(), Value(1.0)
        optimizer = Adam([*model.parameters(), scale], lr=0.01)

        def loss(y: Value, d: float, scale: Value = scale) -> Value:
            return squared_error(scale * y, d)

        history = fit(model, loss, SIDES, optimizer, epochs=50, batch_size=5, progress=False, compiled=compiled)
        found.append([*lists(history), scale.data, model.state_dict()])
    assert close(*found)


def test_choices_that_depend_on_one_another() -> None:
    """Two nodes chosen by the data, one through the other; and nodes that are the same in both places."""

    def loss(y: Sequence[Value], d: tuple[int, int]) -> Value:
        i, j = d
        return sumprod([y[i], y[j]], [y[j], y[i]]) + exp(y[i] - y[j]) - y[j]

    data = [(x, (y % 3, k % 2)) for k, (x, y) in enumerate(DIGITS)]
    agree(network(5, 3), loss, data, descend(lr=0.01), batch_size=6, path=r"\d program")


def test_numbers_are_not_mixed_up() -> None:
    """Minus zero, equal numbers in one example that differ in the next, and those that only one kind of graph has."""
    data: list[Any] = [([0.0, 0.0], 0.0), ([-0.0, 0.0], 1.0), ([1.0, 1.0], 1.0), ([1.0, 2.0], 2.0), ([2.0, 1.0], -1.0)]

    def loss(y: Value, d: float) -> Value:
        return (y - d) ** 2 + (y * d if d > 0 else y * 3.0 + d)

    agree(network(2, 2, 1), loss, data, descend(lr=0.01), batch_size=2, path="2 program")
    zeros = [([1.0, 2.0], 0.0), ([1.0, 2.0], -0.0)]  # on the two sides of the cut, where the angle is π and -π
    agree(network(2, 2, 1), lambda y, d: atan2(d, -1.0 - y * y) + y * y, zeros, descend())


#: Nodes made of others, a number and a count.
MADE: list[Callable[[Callable[[], Value], float, int], Any]] = [
    lambda node, x, n: node() * x,
    lambda node, x, n: tanh(node()),
    lambda node, x, n: relu(node()),
    lambda node, x, n: node() - node(),
    lambda node, x, n: node() * node(),
    lambda node, x, n: sumprod([node() for _ in range(n)], [x] * n),
    lambda node, x, n: logsumexp([node() for _ in range(n)]),
]


def drawn(seed: int, i: int, parameters: list[Value]) -> Value:
    """A random graph for the i-th example: its operations from the seed, numbers and some operands from the example."""
    plan, numbers, choices = random.Random(f"{seed}"), random.Random(f"{seed}/{i}"), random.Random(f"{seed}/{i % 3}")
    nodes = [*parameters]

    def node() -> Value:
        return (plan if plan.random() < 0.75 else choices).choice(nodes)

    for _ in range(plan.randrange(3, 12)):
        x = numbers.choice([0.0, -0.0, 1.0, numbers.random()])
        nodes.append(plan.choice(MADE)(node, x, plan.randrange(1, 4)))
    return fsum(nodes[-3:]) * 1.0


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs(seed: int) -> None:
    """In whatever groups, values and gradients are those of each example's own graph, at other parameters too."""
    rng = random.Random(seed)
    parameters = [Value(rng.gauss(0.0, 0.7)) for _ in range(rng.randrange(1, 4))]
    count = rng.randrange(2, 9)
    recording = Recording("", parameters)
    for i in range(count):
        recording.add(partial(drawn, seed, i, parameters))
    programs = recording.compile(parameters)
    for p in parameters:
        p.data = rng.gauss(0.0, 0.7)
    order = rng.sample(range(count), count)
    halves = [order[: count // 2], order[count // 2 :]]
    for j, half in enumerate(halves):
        found = [0.0] * (1 + len(parameters))
        for program, rows, bounds in programs.drawn(halves):
            program.load()
            value, grads = program.batch(rows[bounds[j] : bounds[j + 1]])
            found = [a + b for a, b in zip(found, (value, *grads), strict=True)]
        loss = fsum([drawn(seed, i, parameters) for i in half])
        for p in parameters:
            p.zero_grad()
        loss.backward()
        assert close(found, [loss.data, *[p.grad for p in parameters]])


def test_an_executor_runs_the_pieces() -> None:
    """With the same result."""
    options: dict[str, Any] = {"batch_size": 7, "validation": SIDES[:5]}
    model, _, history = run(False, network(2, 3, 1), hinge, SIDES, descend(), 20, **options)
    with ThreadPoolExecutor(2) as executor:
        again, _, other = run(True, network(2, 3, 1), hinge, SIDES, descend(), 20, executor=executor, **options)
    assert close([model.state_dict(), *lists(history)], [again.state_dict(), *lists(other)])


# Many steps at once.

RULES: dict[str, Callable[[Any], Optimizer]] = {
    "sgd": descend(),
    "momentum": descend(momentum=0.9),
    "nesterov": descend(momentum=0.9, nesterov=True, weight_decay=1e-2),
    "adam": lambda ps: Adam(ps, lr=0.01, weight_decay=1e-2),
    "adamw": lambda ps: AdamW(ps, lr=0.01),
}


@pytest.fixture
def descents(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many steps each call was to take, and how many it took."""
    pytest.importorskip("llvmlite")
    counts: list[tuple[int, int]] = []
    whole = Descent.run

    def counted(self: Descent, moved: Any, rows: Any, bounds: Any, rates: Any) -> Any:
        found = whole(self, moved, rows, bounds, rates)
        counts.append((len(bounds) - 1, len(found[0])))
        return found

    monkeypatch.setattr(Descent, "run", counted)
    return counts


@pytest.mark.parametrize("batch_size", [1, 7, 32, None])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_many_steps_at_once(
    rule: Any, batch_size: int | None, descents: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Are the same steps, and those of the eager engine."""
    data = [(x, 2 * y - 1) for x, y in moons(40, noise=0.1, seed=1)]
    case = network(2, 5, 1), squared_error, data, rule
    epochs = 10 if batch_size == 1 else 100
    options: dict[str, Any] = {"batch_size": batch_size, "validation": SIDES, "clip_norm": 0.5, "epochs": epochs}
    options["schedule"] = schedules.cosine(epochs)
    agree(*case, **options)
    steps = epochs * math.ceil(40 / (batch_size or 40))
    assert sum(done for _, done in descents) == steps
    assert batch_size is None or len(descents) < steps
    model, optimizer, history = run(True, *case, **options)
    step_by_step(monkeypatch)
    again, other, expected = run(True, *case, **options)
    assert close(lists(history), lists(expected), 1e-12)
    assert close(model.state_dict(), again.state_dict(), 1e-12)
    assert close(optimizer.state_dict(), other.state_dict(), 1e-12)
    assert close([p.grad for p in model.parameters()], [p.grad for p in again.parameters()], 1e-12)


def test_lengths_that_are_hard_to_find(descents: list[tuple[int, int]]) -> None:
    """Squares of a gradient may overflow or vanish; such a step is taken by itself. One that is 0 is none of these."""
    for numbers, alone in (([1.0, 0.0, 0.5], False), ([1.0, 1e170, 0.5], True), ([1.0, 1e-170, 0.5], True)):
        descents.clear()
        data = [([float(i)], d) for i, d in enumerate(numbers)]
        agree(network(1, 2, 1), lambda y, d: y * d, data, descend(lr=1e-3), clip_norm=1.0, batch_size=1)
        assert any(done < asked for asked, done in descents) == alone


def test_an_error_in_the_middle(descents: list[tuple[int, int]]) -> None:
    """Names the example; parameters and state are those before its batch."""
    data = [(0.1 * i, 1.0) for i in range(20)]
    data[11] = 1e155, 1.0
    found = []
    for compiled in (False, True):
        model = Slope()
        optimizer = Adam(model.parameters(), lr=0.01)
        with pytest.raises(ArithmeticError, match="the loss of example 11 is inf") as caught:
            fit(
                model,
                lambda y, d: (y * y) / 1e300 + y,
                data,
                optimizer,
                epochs=1,
                batch_size=1,
                compiled=compiled,
                progress=False,
            )
        found.append((str(caught.value)[:40], model.state_dict(), optimizer.state_dict()))
    assert found[0][0] == found[1][0]
    assert close(found[0][1:], found[1][1:], 1e-12)
    assert found[0][2]["steps"] == sum(done for _, done in descents) > 0


def test_ctrl_c_while_machine_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """From outside, at any time: model and optimiser are where as many steps by themselves lead."""
    data = [(x, 2 * y - 1) for x, y in moons(400, noise=0.1, seed=1)]
    timer = threading.Timer(0.1, _thread.interrupt_main)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it

    def schedule(epoch: int) -> float:
        if epoch == 1 and not timer.ident:
            timer.start()
        return 1.0

    case = network(2, 8, 1), squared_error, data, lambda ps: Adam(ps, lr=1e-3)
    try:
        model, optimizer, history = run(True, *case, epochs=10**4, batch_size=1, schedule=schedule)
    finally:
        signal.signal(signal.SIGINT, before)
    steps = optimizer.state_dict()["steps"]
    assert (history.ended, steps > 400) == ("interrupted", True)
    step_by_step(monkeypatch)
    moved, calls = Compiled._moved, itertools.count()

    def counted(self: Any, *batch: Any) -> Any:
        if next(calls) == steps:
            raise KeyboardInterrupt
        return moved(self, *batch)

    monkeypatch.setattr(Compiled, "_moved", counted)
    again, other, _ = run(True, *case, epochs=10**4, batch_size=1, schedule=schedule)
    assert close(model.state_dict(), again.state_dict(), 1e-10)
    assert close(optimizer.state_dict(), other.state_dict(), 1e-10)


# Where it has to be eager.


class Comparing(Module):
    def __init__(self) -> None:
        self.w = Value(0.5)
        self.how = "compares"

    def __call__(self, x: Any) -> Value:
        y = self.w * x[0]
        made: dict[str, Callable[[], Any]] = {
            "compares": lambda: y if y > 0.0 else 0.1 * y,
            "asks": lambda: y * 2.0 if y else y + 1.0,
            "reads": lambda: y * y.data,
            "rounds": lambda: y * round(y, 1),
            "detaches": lambda: y * y.detach(),
            "without": self._without,
            "parameter": lambda: y * self.w.data,
            "random": lambda: y * random.random(),
        }
        result: Value = made[self.how]()
        return result

    def _without(self) -> Value:
        with no_grad():
            z = self.w * 2.0
        product: Value = self.w * z
        return product


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("compares", "the model or the loss compares Values, so that its graph may change with the parameters"),
        ("asks", "the model or the loss compares Values, so"),
        ("reads", "the model or the loss reads the number of a Value, so"),
        ("parameter", "the model or the loss reads the number of a Value, so"),
        ("rounds", "the model or the loss reads the number of a Value, so"),
        ("detaches", "the model or the loss reads the number of a Value, so"),
        ("without", "the model or the loss reads the number of a Value, so"),
        ("random", "the model or the loss gave another graph the second time"),
    ],
)
def test_what_cannot_be_replayed(how: str, reason: str) -> None:
    """Is run eagerly, and the history says why; asked to be compiled, it is an error, and nothing has changed."""

    def make() -> Comparing:
        model = Comparing()
        model.how = how
        return model

    def loss(y: Value, d: float) -> Value:
        return squared_error(y, 0.1 * d)

    case = (make, loss, SIDES, descend())
    random.seed(1)
    _, _, history = run("auto", *case, epochs=10**6, after_epoch=interrupt)
    assert history.path.startswith(f"eager: {reason}")
    assert history.path in repr(history)
    model = make()
    before = model.state_dict()
    with pytest.raises(ValueError, match=f"this training cannot be compiled: {reason}"):
        fit(model, loss, SIDES, SGD(model.parameters(), lr=0.1), epochs=1, progress=False, compiled=True)
    assert model.state_dict() == before


def test_the_penalty_has_to_be_replayed_too() -> None:
    penalties: list[tuple[Any, str]] = [
        (lambda model: l2(model) if model.parameters()[0] > 0.0 else 2.0 * l2(model), "compares Values, so"),
        (lambda model: 0.5, "does not compute its result from the parameters"),
        (lambda model: Value(0.5), "does not compute its result from the parameters"),
    ]
    for penalty, reason in penalties:
        with pytest.raises(ValueError, match=f"cannot be compiled: the penalty {reason}"):
            run(True, network(2, 1), hinge, SIDES, descend(), penalty=penalty)


def test_nodes_of_another_example() -> None:
    """A model that goes on from what it computed for the example before."""

    class Remembering(Module):
        def __init__(self) -> None:
            self.w, self.state = Value(0.5), Value(1.0)

        def __call__(self, x: Any) -> Value:
            self.state = self.w * x[0] + (self.state if self.state.op else 0.0)
            return self.state

    with pytest.raises(ValueError, match="the loss uses nodes again that were computed for another example"):
        run(True, Remembering, squared_error, SIDES, descend())


def test_nodes_that_are_kept() -> None:
    """What was computed once stays what it was in the eager engine; what no parameter leads to may be kept."""

    class Keeping(Module):
        def __init__(self) -> None:
            self.w, self.kept = Value(0.5), dict[Any, Value]()

        def __call__(self, x: Any) -> Value:
            return self.kept.setdefault(tuple(x), self.w * x[0])

    class Features(Keeping):
        def __call__(self, x: Any) -> Value:
            return self.w * self.kept.setdefault(tuple(x), Value(x[0]).tanh())

    reason = "uses nodes again that were computed for another example, or another time"
    with pytest.raises(ValueError, match=f"the loss {reason}"):
        run(True, Keeping, squared_error, SIDES, descend())
    penalties: dict[Module, Value] = {}
    with pytest.raises(ValueError, match=f"the penalty {reason}"):
        run(True, network(2, 1), hinge, SIDES, descend(), penalty=lambda m: penalties.setdefault(m, l2(m)))
    agree(Features, squared_error, SIDES, descend())


def test_graphs_of_too_many_kinds() -> None:
    """As many sizes as examples."""
    data = [([1.0] * (j + 1), 1.0) for j in range(9)]

    class Adding(Slope):
        def __call__(self, x: Any) -> Value:
            return sumprod([self.w] * len(x), x)

    run(True, Adding, squared_error, data[:8], descend(), epochs=1)
    with pytest.raises(ValueError, match="cannot be compiled: 9 examples have graphs of 9 kinds"):
        run(True, Adding, squared_error, data, descend(), epochs=1)


def test_an_optimiser_with_a_step_of_its_own() -> None:
    """Is asked to make it."""

    class Counting(SGD):
        def step(self) -> None:
            super().step()
            steps.append(1)

    steps: list[int] = []
    _, _, history = run(
        "auto", network(2, 1), hinge, SIDES, lambda ps: Counting(ps, lr=0.1), 10**6, after_epoch=interrupt
    )
    assert history.path == "eager: the optimizer has a step of its own"
    assert len(steps) == len(history.losses) == 1

    class Bounded(SGD):
        def _rule(self, rates: Sequence[Any], p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
            return super()._rule(rates, p, min(g, 1.0), *kept)

    _, _, history = run(
        "auto", network(2, 1), hinge, SIDES, lambda ps: Bounded(ps, lr=0.1), 10**6, after_epoch=interrupt
    )
    assert history.path == "eager: the optimizer's rule looks at numbers"


def test_auto_compiles_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Depending on the size of the graphs and the number of epochs, and on numpy."""
    case = (network(2, 3, 1), hinge, SIDES, descend())
    assert run("auto", *case, epochs=8)[2].path == "eager: recording 8 epochs takes less than compiling"
    _, _, history = run("auto", *case, epochs=10**6, after_epoch=interrupt)
    assert re.fullmatch(r"compiled \(\w+\): 1 program for 12 examples", history.path)
    assert repr(history).endswith(f"ended: interrupted, {history.path}>")
    monkeypatch.setattr(training, "WORTH", 0.0)
    assert run("auto", *case, epochs=1)[2].path == history.path
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert run("auto", *case, epochs=1)[2].path.startswith("eager: numpy is not installed: pip install ")
    with pytest.raises(ValueError, match="this training cannot be compiled: numpy is not installed"):
        run(True, *case)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compiled": "always"}, "compiled must be True, False or 'auto', not 'always'"),
        ({"compiled": 1}, "compiled must be True, False or 'auto', not 1"),
        ({"compiled": False, "executor": object()}, "an executor runs programs, and compiled is False"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    model = network(2, 1)()
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(model, hinge, SIDES, SGD(model.parameters(), lr=0.1), epochs=1, progress=False, **options)


# What happens in between.


def interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_those_who_look_see_where_training_is() -> None:
    """The metric and the function after each epoch see the parameters and gradients of the eager path."""
    seen: dict[bool, list[Any]] = {False: [], True: []}
    for compiled, states in seen.items():

        def look(model: Any, data: Any = None, states: list[Any] = states) -> float:
            states.append([(p.data, p.grad) for p in model.parameters()])
            return 0.0

        run(compiled, network(2, 2, 1), hinge, SIDES, descend(), epochs=5, batch_size=5, metric=look, after_epoch=look)
    assert len(seen[True]) == 10
    assert close(seen[False], seen[True])


def test_what_is_changed_after_an_epoch_counts() -> None:
    """Other parameters, another momentum, another state of the optimiser: training goes on from there."""
    found: list[Any] = []
    for compiled in (False, True):
        model = network(2, 3, 1)()
        optimizer = SGD(model.parameters(), lr=0.05, momentum=0.5)

        def change(model: Module, optimizer: SGD = optimizer, epoch: Any = None) -> None:
            model.parameters()[0].data *= 1.01
            optimizer.momentum *= 0.99
            state = optimizer.state_dict()
            optimizer.load_state_dict({**state, "velocity": [0.9 * v for v in state["velocity"]]})

        history = fit(
            model,
            hinge,
            SIDES,
            optimizer,
            epochs=20,
            batch_size=5,
            after_epoch=change,
            progress=False,
            compiled=compiled,
        )
        assert history.path.startswith("compiled" if compiled else "eager")
        assert ";" not in history.path
        found.append([*lists(history), model.state_dict(), optimizer.state_dict()])
    assert close(*found)


def replace(model: MLP) -> None:
    model.layers[0] = Layer(2, 3, "tanh", rng=random.Random(5))


def bend(model: MLP) -> None:
    for neuron in model.layers[0].neurons:
        neuron._g = exp


@pytest.mark.parametrize("change", [replace, bend])
def test_a_model_that_is_changed_is_noticed(change: Any) -> None:
    """Another graph after the third epoch: from there on it is eager, and nothing is lost."""
    found: list[Any] = []
    for compiled in (False, True):
        epochs = itertools.count(1)

        def after(model: Any, epochs: Any = epochs) -> None:
            if next(epochs) == 3:
                change(model)

        model, optimizer, history = run(
            compiled, network(2, 3, 1), hinge, SIDES, descend(lr=0.01), 9, batch_size=5, after_epoch=after
        )
        found.append([*lists(history), model.state_dict(), optimizer.state_dict()])
    assert close(*found)
    assert history.path.endswith("; eager from epoch 4 on: the model or the loss gave another graph the second time")


def test_a_number_that_changes_is_noticed() -> None:
    """A weight of the loss, and one of the penalty; another parameter of the optimiser."""
    for where in ("loss", "penalty", "optimizer"):
        rate = {"loss": 1.0, "penalty": 1.0}

        model = network(2, 2, 1)()
        optimizer = SGD(model.parameters(), lr=0.05)

        def change(
            model: Any, where: str = where, rate: dict[str, float] = rate, optimizer: Optimizer = optimizer
        ) -> None:
            if where == "optimizer":
                optimizer.params = [*optimizer.params[:-1], Value(0.0)]
            else:
                rate[where] *= 0.5

        history = fit(
            model,
            lambda y, d, rate=rate: rate["loss"] * hinge(y, d),  # type: ignore[misc]
            SIDES,
            optimizer,
            epochs=4,
            penalty=lambda model, rate=rate: rate["penalty"] * l2(model),  # type: ignore[misc]
            after_epoch=change,
            compiled=True,
            progress=False,
        )
        reason = {"loss": "the model or the loss gave", "penalty": "the penalty gave", "optimizer": "the optimizer has"}
        assert f"; eager from epoch 2 on: {reason[where]} " in history.path


class Slope(Module):
    """y = w x, from w = 1."""

    def __init__(self) -> None:
        self.w = Value(1.0)

    def __call__(self, x: float) -> Value:
        return self.w * x


def falling(y: Value, d: float) -> Value:
    """∂/∂w = x, until the logarithm of w x ≤ d."""
    return y + 1e-3 * log(y - d)


def overflowing(y: Value, d: float) -> Value:
    return exp(-1e5 * y) + y


def infinite(y: Value, d: float) -> Value:
    return y + 1e200 * relu(-1e200 * y)


def steep(y: Value, d: float) -> Value:
    return (y * 0.0).sqrt() + y


@pytest.mark.parametrize(
    ("loss", "error"),
    [
        (falling, r"math domain error|expected a positive input"),
        (overflowing, "math range error"),
        (steep, r"the gradient of w is not finite in example \d: backward: the slope"),
        (infinite, r"the loss of example \d is inf: forward: "),
    ],
    ids=["domain", "overflow", "slope", "infinite"],
)
@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_errors_are_those_of_the_eager_path(loss: Any, error: str, batch_size: int | None) -> None:
    """The same message, naming the same example, with parameters and history as before that batch."""
    found: list[Any] = []
    data = [(1.0, -0.1), (2.0, 0.3), (0.5, 0.2)]
    for compiled in (False, True):
        model = Slope()
        states: list[float] = []
        optimizer = Adam(model.parameters(), lr=0.03)
        with pytest.raises((ArithmeticError, ValueError), match=error) as caught:
            fit(
                model,
                loss,
                data,
                optimizer,
                epochs=90,
                batch_size=batch_size,
                seed=4,  # whose first order is 2, 0, 1
                after_epoch=lambda model, states=states: states.append(model.w.data),  # type: ignore[misc]
                compiled=compiled,
                progress=False,
            )
        found.append((model.state_dict(), optimizer.state_dict(), states))
        found.append((str(caught.value), getattr(caught.value, "__notes__", [])))
    assert close(found[0], found[2])
    texts = [re.sub(r"\d+\.\d+(e[-+]\d+)?", "…", str(text)) for text in (found[1], found[3])]
    assert texts[0] == texts[1]


def test_an_update_that_overflows() -> None:
    """Is the eager path's error; parameters and state are those before it."""
    for rule, message in (
        (lambda ps: SGD(ps, lr=1e300), "the step would move Value"),
        (lambda ps: Adam(ps, lr=1.0), "the gradients are too large for Adam to square"),
    ):
        found = []
        for compiled in (False, True):
            model = Slope()
            optimizer = rule(model.parameters())
            with pytest.raises(OverflowError, match=message) as caught:
                fit(
                    model,
                    lambda y, d: y * 1e200,
                    [(1.0, 1.0)],
                    optimizer,
                    epochs=1,
                    compiled=compiled,
                    progress=False,
                )
            found.append((str(caught.value), model.state_dict(), optimizer.state_dict()))
        assert found[0] == found[1]


def test_what_only_a_program_finds_wrong_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is run eagerly, and then training is on programs again."""
    step_by_step(monkeypatch)
    moved, calls = Compiled._moved, itertools.count()

    def failing(self: Any, *batch: Any) -> Any:
        if next(calls) % 3 == 1:
            raise ArithmeticError
        return moved(self, *batch)

    monkeypatch.setattr(Compiled, "_moved", failing)
    path = "1 program for 12 examples; eager where a program met what is not finite"
    agree(network(2, 3, 1), hinge, SIDES, lambda ps: Adam(ps, lr=0.01), batch_size=5, path=path)
    assert next(calls) == 300


def test_a_nan_in_validation() -> None:
    """Stops training with the number of the example."""
    for compiled in (False, True):
        with pytest.raises(ArithmeticError, match=r"the loss of validation example 1 is -inf: forward: "):
            run(
                compiled,
                Slope,
                lambda y, d: (y - 1.0) * 1e160 * d + y if d > 1.0 else y,
                [(1.0, 1.0)],
                descend(lr=1e-3),
                validation=[(1.0, 1.0), (1.0, 1e154)],
                epochs=2,
            )


@pytest.mark.parametrize("at", range(1, 14))
def test_ctrl_c_between_whole_updates(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any of the programs' calls: parameters and state are those after whole updates, and can go on."""
    pytest.importorskip("llvmlite")
    states: list[Any] = []

    def look(model: Module) -> None:
        states.append((model.state_dict(), optimizer.state_dict()))

    # Every update is an epoch here: what is seen after them is all there is.
    model = network(2, 2, 1)()
    optimizer = Adam(model.parameters(), lr=0.01)
    look(model)
    fit(model, hinge, SIDES, optimizer, epochs=9, after_epoch=look, compiled=True, progress=False)
    step_by_step(monkeypatch)
    whole, calls = Machine.block, itertools.count(1)

    def interrupted(self: Machine, *given: Any) -> Any:
        found = whole(self, *given)
        if next(calls) == at:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(Machine, "block", interrupted)
    model = network(2, 2, 1)()
    optimizer = Adam(model.parameters(), lr=0.01)
    history = fit(model, hinge, SIDES, optimizer, epochs=9, compiled=True, progress=False)
    assert history.ended == "interrupted"
    assert len(history.losses) == (at - 1) // 2
    assert close((model.state_dict(), optimizer.state_dict()), states[(at - 1) // 2])
    assert fit(model, hinge, SIDES, optimizer, epochs=1, compiled=True, progress=False).ended == "epochs"


def test_ctrl_c_while_somebody_looks() -> None:
    """What the function after an epoch did before is kept."""

    def after(model: Any) -> None:
        model.parameters()[0].data = 7.0
        raise KeyboardInterrupt

    model, _, history = run(True, network(2, 2, 1), hinge, SIDES, descend(), after_epoch=after)
    assert (history.ended, len(history.losses)) == ("interrupted", 1)
    assert model.parameters()[0].data == 7.0


def test_parameters_and_state_are_stored_at_once() -> None:
    """Ctrl-C at any line of it: model, optimiser and record have moved, or none of them."""

    def started() -> tuple[Any, MLP, Adam]:
        model = network(2, 1)()
        optimizer = Adam(model.parameters(), lr=0.1)
        of = training._Training(model, optimizer, None, hinge, SIDES)
        examples, validation = (Recording("", model.parameters()) for _ in range(2))
        of.check(examples, validation)
        fast = Compiled(of, examples, validation, None)
        fast.start()
        with fast.epoch([[0, 1]]) as step:
            step([0, 1])
        return fast, model, optimizer

    fast, model, optimizer = started()
    before = model.state_dict(), optimizer.state_dict()
    fast.store()
    after = model.state_dict(), optimizer.state_dict()
    assert before != after
    assert after[1]["steps"] == 1
    for at in itertools.count(1):
        fast, model, optimizer = started()
        lines = 0

        def trace(frame: Any, event: str, argument: object, at: int = at) -> Any:
            nonlocal lines
            if event == "line":
                lines += 1
                if lines == at:
                    raise KeyboardInterrupt
            return trace

        old = sys.gettrace()
        sys.settrace(trace)
        try:
            fast.store()
        except KeyboardInterrupt:
            assert (model.state_dict(), optimizer.state_dict()) in (before, after)
            sys.settrace(old)
            fast.store()
        else:
            break
        finally:
            sys.settrace(old)
        assert (model.state_dict(), optimizer.state_dict()) == after
    assert at > 5


@pytest.mark.parametrize("first", [False, True])
def test_a_checkpoint_does_not_depend_on_the_path(first: bool, tmp_path: Path) -> None:
    """Written on one, training goes on from it on the other; the files hold the same."""
    case = (network(2, 3, 1), hinge, SIDES, lambda ps: Adam(ps, lr=0.02))
    options: dict[str, Any] = {
        "batch_size": 5,
        "validation": SIDES[:4],
        "schedule": schedules.cosine(40),
        "patience": 50,
    }
    whole, optimizer, history = run(not first, *case, epochs=30, **options)
    path = tmp_path / "checkpoint.json"
    run(first, *case, epochs=12, checkpoint=path, **options)
    content = json.loads(path.read_bytes())
    assert "path" not in content["history"]
    other = tmp_path / "other.json"
    run(not first, *case, epochs=12, checkpoint=other, **options)
    again = json.loads(other.read_bytes())
    assert content["settings"] == again["settings"]
    assert all(close(content[name], again[name]) for name in ("parameters", "best", "optimizer"))
    resumed, state, further = run(not first, *case, epochs=30, checkpoint=path, **options)
    assert close(whole.state_dict(), resumed.state_dict())
    assert close(optimizer.state_dict(), state.state_dict())
    assert close(lists(history), lists(further))
    done = run(True, *case, epochs=30, checkpoint=path, **options)[2]
    assert done.losses == further.losses
