"""fit with everything it can do, checkpoints, and networks in files."""

import _thread
import json
import math
import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from autograd import Operation, Value, algorithms, context, log
from nn import (
    MLP,
    SGD,
    Adam,
    AdamW,
    History,
    Layer,
    Module,
    Neuron,
    Optimizer,
    accuracy,
    cross_entropy,
    fit,
    hinge,
    l2,
    load,
    save,
    schedules,
    squared_error,
    storage,
    training,
)

XOR = [([0.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([1.0, 1.0], 0)]
LINE = [([x / 4.0], x / 2.0 + 1.0) for x in range(-8, 9)]


def network(seed: int = 3) -> MLP:
    """A small classifier."""
    return MLP(2, [4, 2], "tanh", seed=seed)


def train(model: MLP, optimizer: Optimizer, epochs: int = 6, **options: Any) -> History:
    """The classifier on the four cases, in batches of 3."""
    options = {"batch_size": 3, **options}
    return fit(model, cross_entropy, XOR, optimizer, epochs=epochs, progress=False, **options)


def test_history_has_a_number_per_epoch() -> None:
    """Losses, validation losses, metric and the gradient norm of each layer."""
    model = network()
    history = train(model, SGD(model.parameters(), lr=0.1), validation=XOR[:2], metric=accuracy)
    assert history.ended == "epochs"
    assert len(history.losses) == len(history.validation_losses) == len(history.metrics) == 6
    assert list(history.gradient_norms) == ["h1", "out"]
    assert all(len(norms) == 6 and min(norms) > 0.0 for norms in history.gradient_norms.values())
    assert set(history.metrics) <= {0.0, 0.5, 1.0}


def test_a_function_is_called_after_every_epoch(tmp_path: Path) -> None:
    """After the metric and before the checkpoint; of a training that goes on, for the epochs that are left."""
    path, told = tmp_path / "checkpoint.json", []
    states: list[dict[str, float]] = []

    def metric(model: Any, data: Any) -> float:
        told.append("metric")
        return 0.0

    def after(model: Module) -> None:
        told.append("after the first" if path.exists() else "after")
        states.append(model.state_dict())

    for epochs in (2, 3):
        model = network()
        history = train(
            model, SGD(model.parameters(), lr=0.1), epochs, checkpoint=path, metric=metric, after_epoch=after
        )
        assert len(states) == len(history.losses) == epochs
        assert states[-1] == model.state_dict() != states[-2]
    assert told == ["metric", "after", "metric", "after the first", "metric", "after the first"]


def test_gradient_norms_and_validation_by_hand() -> None:
    """Of a linear unit with one example: |∂L/∂(w, b)| = 2|y − d| √(x² + 1)."""
    model = MLP(1, [1], seed=0)
    w = model.layers[0].neurons[0].w[0].data
    history = fit(
        model,
        squared_error,
        [([2.0], 1.0)],
        SGD(model.parameters(), lr=0.01),
        epochs=1,
        validation=[([1.0], 0.0)],
        progress=False,
    )
    error = 2.0 * w - 1.0
    assert history.losses == [pytest.approx(error**2)]
    assert history.gradient_norms["out"] == [pytest.approx(2.0 * abs(error) * math.sqrt(5.0))]
    moved = w - 0.01 * 2.0 * error * 2.0 - 0.01 * 2.0 * error
    assert history.validation_losses == [pytest.approx(moved**2)]


def test_a_schedule_sets_the_rate_of_each_epoch() -> None:
    """As a factor of the rate that the optimiser began with."""
    model = network()
    optimizer = SGD(model.parameters(), lr=0.4)
    rates = []

    def measure(model: Any, data: Any) -> float:
        rates.append(optimizer.lr)
        return 0.0

    train(model, optimizer, schedule=schedules.step(2, 0.5), metric=measure)
    assert rates == [0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    assert optimizer.lr == 0.4


def test_a_penalty_is_part_of_the_objective() -> None:
    """With ½λ‖W‖² and no other gradient, weights shrink by 1 − ηλ, and biases do not."""
    model = MLP(1, [1], seed=1)
    w = model.layers[0].neurons[0].w[0].data
    fit(
        model,
        lambda y, d: y * 0.0,
        LINE,
        SGD(model.parameters(), lr=0.1),
        epochs=3,
        penalty=lambda model: 0.5 * l2(model),
        progress=False,
    )
    neuron = model.layers[0].neurons[0]
    assert neuron.w[0].data == pytest.approx(w * 0.95**3)
    assert neuron.b is not None
    assert neuron.b.data == 0.0


def test_patience_stops_and_restores_the_best() -> None:
    """A rate that diverges: the model keeps the parameters of its best epoch."""
    model = MLP(1, [1], seed=0)
    states = []

    def measure(model: Any, data: Any) -> float:
        states.append(model.state_dict())
        return 0.0

    history = fit(
        model,
        squared_error,
        LINE,
        SGD(model.parameters(), lr=1.2),
        epochs=50,
        validation=LINE,
        metric=measure,
        patience=3,
        progress=False,
    )
    best = history.validation_losses.index(min(history.validation_losses))
    assert history.ended == "early"
    assert len(history.losses) == best + 4
    assert model.state_dict() == states[best]


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_interrupted_training_ends_as_if_it_had_not_stopped(kind: Any, tmp_path: Path) -> None:
    """Resumed from its checkpoint in another model, to the bit: parameters, history and optimiser."""

    def run(epochs: int, path: Path | None) -> tuple[MLP, History, Any]:
        model = network()
        optimizer = kind(model.parameters(), lr=0.1, **({"momentum": 0.9} if kind is SGD else {}))
        options: dict[str, Any] = {"checkpoint": path, "schedule": schedules.cosine(10), "validation": XOR}
        history = train(model, optimizer, epochs, patience=20, metric=accuracy, **options)
        return model, history, optimizer.state_dict()

    whole, history, state = run(10, None)
    path = tmp_path / "checkpoint.json"
    run(4, path)
    resumed, again, state_again = run(10, path)
    assert resumed.state_dict() == whole.state_dict()
    assert again == history
    assert state_again == state
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b'{"format": "other"}',
        b"[" * 100_000,
        b'{"format": "gradgraph network"}',
        b"\xff\xfe",
    ],
)
def test_a_foreign_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    """With a clear error; model, optimiser and file are as they were."""
    path = tmp_path / "checkpoint.json"
    path.write_bytes(content)
    model = network()
    optimizer = Adam(model.parameters(), lr=0.1)
    before, state = model.state_dict(), optimizer.state_dict()
    with pytest.raises(ValueError, match="is not a gradgraph checkpoint"):
        train(model, optimizer, checkpoint=path)
    assert (model.state_dict(), optimizer.state_dict(), path.read_bytes()) == (before, state, content)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    """Other parameters, or another optimiser."""
    path = tmp_path / "checkpoint.json"
    model = network()
    train(model, SGD(model.parameters(), lr=0.1), checkpoint=path)
    other = MLP(2, [3, 2])
    cases = [
        (other, SGD(other.parameters(), lr=0.1), "model was MLP"),
        (model, Adam(model.parameters(), lr=0.1), "optimizer was SGD"),
        (model, SGD(model.parameters(), lr=0.2), "optimizer was SGD"),
        (model, SGD(model.parameters(), lr=0.1, momentum=0.5), "optimizer was SGD"),
    ]
    for trained, optimizer, message in cases:
        state = trained.state_dict()
        with pytest.raises(ValueError, match=f"is not a checkpoint of this training: {message}"):
            train(trained, optimizer, checkpoint=path)
        assert trained.state_dict() == state


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where a shell has had it ignored, as with ``pytest &``."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_returns_the_history_so_far() -> None:
    """Training ends between two updates, and the model can go on."""
    model = network()
    timer = threading.Timer(0.1, _thread.interrupt_main)

    def start(_: Any) -> None:
        """So that there is a history on a slow machine, too."""
        if timer.ident is None:
            timer.start()

    history = train(model, SGD(model.parameters(), lr=0.1), epochs=10**9, after_epoch=start)
    timer.join()
    assert history.ended == "interrupted"
    assert len(history.losses) == len(history.gradient_norms["h1"]) == len(history.gradient_norms["out"])
    assert train(model, SGD(model.parameters(), lr=0.1)).ended == "epochs"


class Recording(Adam):
    """An optimiser that keeps the parameters after each update."""

    states: list[list[float]]

    def step(self) -> None:
        super().step()
        self.states.append([p.data for p in self.params])


@pytest.mark.parametrize("validation", [[], XOR[:2]])
def test_ctrl_c_at_any_call_of_the_loss(validation: Any) -> None:
    """The parameters are those after a whole number of updates, and the history has whole epochs only."""

    def run(at: int) -> tuple[list[float], History, list[list[float]]]:
        model, calls = network(), 0
        optimizer = Recording(model.parameters(), lr=0.1)
        optimizer.states = [[p.data for p in model.parameters()]]

        def loss(y: Any, d: Any) -> Value:
            nonlocal calls
            calls += 1
            if calls == at:
                raise KeyboardInterrupt
            return cross_entropy(y, d)

        options: dict[str, Any] = {"validation": validation, "metric": accuracy, "batch_size": 3, "progress": False}
        history = fit(model, loss, XOR, optimizer, epochs=5, schedule=schedules.cosine(9), **options)
        assert optimizer.lr == 0.1
        return [p.data for p in model.parameters()], history, optimizer.states

    *_, states = run(-1)
    assert len(states) == 11
    checks, each = len(XOR) + len(validation), len(XOR) + len(validation)
    for call in (1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 17):
        parameters, history, _ = run(checks + call)
        epochs, done = divmod(call - 1, each)  # of an epoch, after 3 calls one update and after 4 both
        assert parameters == states[2 * epochs + (done >= 3) + (done >= 4)]
        assert history.ended == "interrupted"
        lists = [history.losses, history.metrics, *history.gradient_norms.values()]
        assert [len(held) for held in lists] == [epochs] * len(lists)
        assert len(history.validation_losses) == (epochs if validation else 0)
    with pytest.raises(KeyboardInterrupt):  # before training: there is no history yet
        run(checks)


def test_an_epoch_is_noted_whole() -> None:
    """Ctrl-C at any line of it: all lists of the history have an epoch more, and the best fits them, or nothing has."""

    def started() -> tuple[Any, MLP]:
        model = network()
        noting = training._Training(model, SGD(model.parameters(), lr=0.1), None)
        noting.norms = {"h1": 1.0, "out": 2.0}
        noting.note({"loss": 3.0, "validation": 2.0, "metric": 0.5})
        model.parameters()[0].data = 7.0
        return noting, model

    def state(noting: Any) -> tuple[int, Any]:
        history = noting.history
        lists = [history.losses, history.validation_losses, history.metrics, *history.gradient_norms.values()]
        assert len(set(map(len, lists))) == 1
        return len(lists[0]), noting.best

    at, first = 1, started()[0].best
    while True:
        noting, model = started()
        lines = 0

        def trace(frame: FrameType, event: str, argument: object, at: int = at) -> Any:
            nonlocal lines
            if frame.f_code.co_filename not in (training.__file__, algorithms.__file__):
                return None
            if event == "line":
                lines += 1
                if lines == at:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            noting.note({"loss": 2.0, "validation": 1.0, "metric": 0.75})
        except KeyboardInterrupt:
            assert state(noting) in ((1, first), (2, model.state_dict()))
        else:
            break
        finally:
            sys.settrace(before)
        at += 1
    assert state(noting) == (2, model.state_dict())
    assert at > 5


@pytest.mark.parametrize("call", [2, 7])
def test_ctrl_c_leaves_no_scope_open(call: int) -> None:
    """It may come while a scope is being opened, in the check before training or in training."""
    calls = []

    def loss(outputs: Any, target: Any) -> Value:
        calls.append(1)
        if len(calls) == call:
            context.scope.set("half open")
            raise KeyboardInterrupt
        return cross_entropy(outputs, target)

    model = network()
    with suppress(KeyboardInterrupt):
        fit(model, loss, XOR, SGD(model.parameters(), lr=0.1), epochs=3, progress=False)
    assert len(calls) == call
    assert Value(1.0).scope == ""


def test_an_error_names_the_example() -> None:
    """A domain error keeps its own note, and the parameters are those before the batch."""
    model = network()
    before = model.state_dict()
    data = [*XOR, ([1.0, 2.0], -1)]
    with pytest.raises(ValueError, match="target -1 is not one of the 2 classes") as caught:
        fit(model, cross_entropy, data, SGD(model.parameters(), lr=0.1), epochs=1, progress=False)
    assert caught.value.__notes__ == ["in example 4"]
    with pytest.raises(ValueError, match=r"math domain error|positive") as domain:
        fit(model, lambda y, d: log(y[0] * 0.0 - d), XOR, SGD(model.parameters(), lr=0.1), epochs=1, progress=False)
    assert domain.value.__notes__[-1].startswith("in example ")
    assert "in log(u), u = " in domain.value.__notes__[0]
    assert model.state_dict() == before


@pytest.mark.parametrize("compiled", [False, True])
def test_a_penalty_of_infinite_slope_is_told_from_the_examples(compiled: bool) -> None:
    """Whose own gradients are finite."""
    model = network()
    before, start = model.state_dict(), model.parameters()[0].data
    options: dict[str, Any] = {"penalty": lambda model: (model.parameters()[0] - start).sqrt(), "compiled": compiled}
    with pytest.raises(ArithmeticError, match=r"(?s)gradient.* the slope ∂.* is inf, in sqrt\(u\), u = 0\.0") as caught:
        train(model, SGD(model.parameters(), lr=0.1), **options)
    assert "in example" not in str(caught.value)
    assert model.state_dict() == before


def test_a_loss_that_gives_a_number() -> None:
    model = network()
    with pytest.raises(TypeError, match=r"the loss must return a Value, not float 1\.0") as caught:
        fit(model, lambda y, d: 1.0, XOR, SGD(model.parameters(), lr=0.1), epochs=1)  # type: ignore[arg-type,return-value]
    assert caught.value.__notes__ == ["in example 0"]


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (([1.0], 0), "has 2 inputs, but was given 1"),
        (([1.0, 2.0], 2), "target 2 is not one of the 2 classes"),
        (([1.0, 2.0], "iris"), "target 'iris' is not one of the 2 classes"),
        (([1.0, "x"], 1), "sumprod needs a real number, not str 'x'"),
        (([1.0, 2.0],), "an example is a pair of inputs and target"),
        (3, r"an example is a pair of inputs and target, such as from list\(zip\(X, y\)\), not 3"),
    ],
)
@pytest.mark.parametrize("held", ["training", "validation"])
def test_what_does_not_fit_is_found_before_training(example: Any, message: str, held: str) -> None:
    """The last of the examples, which is met last, and one to validate with: nothing has been learnt."""
    model = network()
    before, seen = model.state_dict(), []
    data = [*XOR, example]
    options: dict[str, Any] = {"validation": data} if held == "validation" else {}

    def penalty(model: Any) -> Value:
        seen.append(1)
        return l2(model)

    with pytest.raises((ValueError, TypeError), match=message) as caught:
        fit(
            model,
            cross_entropy,
            XOR if options else data,
            SGD(model.parameters(), lr=0.1),
            epochs=1,
            batch_size=1,
            penalty=penalty,
            progress=False,
            **options,
        )
    assert caught.value.__notes__[-1] == ("in validation example 4" if options else "in example 4")
    assert model.state_dict() == before
    assert seen == []


def test_the_gradient_may_be_clipped() -> None:
    """A step has at most the length lr · clip_norm; below it, nothing changes."""
    lengths = []
    for clip_norm in (1e-3, 1e9, None):
        model = network()
        before = [p.data for p in model.parameters()]
        train(model, SGD(model.parameters(), lr=0.5), epochs=1, batch_size=4, clip_norm=clip_norm)
        lengths.append(math.dist(before, [p.data for p in model.parameters()]))
    assert lengths[0] == pytest.approx(0.5e-3, rel=1e-3)
    assert lengths[1] == lengths[2] > 1e-2
    with pytest.raises(ValueError, match="clip_norm must be positive, not 0"):
        train(network(), SGD(model.parameters(), lr=0.5), clip_norm=0.0)


def test_a_log_file_gets_ten_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With loss and metric, and nothing that overwrites; without progress, none. A notebook may be run from it."""
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(training, "tqdm", None)  # it takes a lock, which Ctrl-C may leave held, for a hidden bar, too
    model = network()
    for progress in (True, False):
        optimizer = SGD(model.parameters(), lr=0.1)
        fit(model, cross_entropy, XOR, optimizer, epochs=25, metric=accuracy, progress=progress)
        lines = capsys.readouterr().err.splitlines(keepends=True)
        assert len(lines) == (10 if progress else 0)
        assert all(re.fullmatch(r"epoch \d+ of 25: loss \d\.\d{4} metric \d\.\d{4}\n", line) for line in lines)


def test_a_notebook_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that is written over again, ending with the last loss."""
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", sys)
    model = network()
    history = fit(model, cross_entropy, XOR, SGD(model.parameters(), lr=0.1), epochs=3, metric=accuracy)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert f"3/3 [00:00<00:00, {shown.rpartition('<00:00, ')[2]}" in shown
    assert f"loss={history.losses[-1]:.4f}, metric={history.metrics[-1]:.4f}]\n" in shown


def test_an_infinite_gradient_stops_training() -> None:
    """Before it reaches the parameters; the error says where it arose."""
    model = MLP(1, [1], seed=0)
    before = model.state_dict()
    with pytest.raises(ArithmeticError, match=r"the gradient of out is not finite in example \d+: backward: the slope"):
        fit(model, lambda y, d: (y * 0.0).sqrt() + y, LINE, SGD(model.parameters(), lr=0.1), epochs=1, progress=False)
    assert model.state_dict() == before


def test_the_order_of_examples_depends_on_seed_and_epoch() -> None:
    """Each epoch shuffles anew; the same seed gives the same orders."""

    def orders(seed: int) -> list[list[float]]:
        seen: list[float] = []
        model = MLP(1, [1], seed=0)

        def loss(y: Value, d: float) -> Value:
            seen.append(d)
            return squared_error(y, d)

        fit(model, loss, LINE, SGD(model.parameters(), lr=0.001), epochs=3, batch_size=5, seed=seed, progress=False)
        return [seen[i : i + len(LINE)] for i in range(0, len(seen), len(LINE))]

    first = orders(1)
    assert first == orders(1) != orders(2)
    assert first[0] != first[1] != first[2]
    assert all(sorted(order) == sorted(d for _, d in LINE) for order in first)


class Slope(Module):
    """y = w x, from w = 0."""

    def __init__(self) -> None:
        self.w = Value(0.0)

    def __call__(self, x: float) -> Value:
        return self.w * x


def slopes(epochs: int) -> list[float]:
    """w after each epoch of going from 0 to 4 by gradient descent, ∂(w − 4)²/∂w = 2(w − 4)."""
    ws = [0.0]
    for _ in range(epochs):
        ws.append(ws[-1] - 0.05 * 2.0 * (ws[-1] - 4.0))
    return ws[1:]


def pass_by(model: Slope, epochs: int, **options: Any) -> History:
    """Train towards w = 4, past the w = 1 that is validated: 0.4, 0.76, 1.084, 1.3756, …."""
    options = {"validation": [(1.0, 1.0)], "progress": False, **options}
    return fit(model, squared_error, [(1.0, 4.0)], SGD(model.parameters(), lr=0.05), epochs=epochs, **options)


def test_patience_is_about_validation() -> None:
    """The loss of training goes down all the time; the best epoch is that of the lowest validation loss, by hand."""
    model = Slope()
    history = pass_by(model, 50, patience=2)
    assert history.ended == "early"
    assert history.losses == pytest.approx([(w - 4.0) ** 2 for w in [0.0, *slopes(4)]])
    assert history.validation_losses == pytest.approx([(w - 1.0) ** 2 for w in slopes(5)])
    assert model.w.data == pytest.approx(1.084)
    without = Slope()
    assert pass_by(without, 8, patience=2, validation=()).ended == "epochs"
    assert without.w.data == pytest.approx(slopes(8)[-1])


def test_patience_of_a_loss_that_stays_the_same() -> None:
    """An equal loss is no new lowest one."""
    model = Slope()
    history = fit(
        model,
        lambda y, d: y * 0.0 + d,
        [(1.0, 4.0)],
        SGD(model.parameters(), lr=0.05),
        epochs=9,
        patience=2,
        progress=False,
    )
    assert (history.ended, history.losses) == ("early", [4.0] * 3)


def test_the_best_comes_from_the_checkpoint(tmp_path: Path) -> None:
    """An epoch before the interruption was the best: the resumed model ends with its parameters."""
    path = tmp_path / "checkpoint.json"
    pass_by(Slope(), 4, checkpoint=path, patience=10)
    assert json.loads(path.read_bytes())["parameters"] == {"w": pytest.approx(1.3756)}
    resumed = Slope()
    history = pass_by(resumed, 6, checkpoint=path, patience=10)
    assert len(history.losses) == 6
    assert resumed.w.data == pytest.approx(1.084)


def test_training_that_has_stopped_early_stays_so(tmp_path: Path) -> None:
    """From its checkpoint no further epoch is trained, and the best parameters are there again."""
    path, calls = tmp_path / "checkpoint.json", []

    def metric(model: Any, data: Any) -> float:
        calls.append(1)
        return 0.0

    first, again = Slope(), Slope()
    history = pass_by(first, 50, checkpoint=path, patience=2, metric=metric)
    assert (history.ended, len(calls)) == ("early", 5)
    content = path.read_bytes()
    assert pass_by(again, 50, checkpoint=path, patience=2, metric=metric) == history
    assert len(calls) == 5
    assert again.w.data == first.w.data == pytest.approx(1.084)
    assert path.read_bytes() == content


def test_a_nan_in_validation_stops_training() -> None:
    """At the epoch where it comes up, with the number of the example, and not as an epoch without progress."""
    model, calls = Slope(), []

    def loss(y: Value, d: float) -> Value:
        calls.append(d)
        # From the second epoch on, the loss of the last example is nan.
        return y * math.nan if d == 2.0 and calls.count(2.0) > 2 else squared_error(y, d)

    with pytest.raises(ArithmeticError, match="the loss of validation example 1 is nan: "):
        fit(
            model,
            loss,
            [(1.0, 4.0)],
            SGD(model.parameters(), lr=0.05),
            epochs=50,
            patience=3,
            validation=[(1.0, 1.0), (1.0, 2.0)],
            progress=False,
        )
    assert calls.count(2.0) == 3


def test_gradient_norms_are_means_over_the_batches() -> None:
    """Of slopes 1, 3 and 8 in batches of one, (1 + 3 + 8)/3; of all in one batch, their mean."""
    data = [(1.0, 1.0), (3.0, 1.0), (2.0, 4.0)]
    for batch_size, expected in ((1, 4.0), (2, None), (3, 4.0)):
        model = Slope()
        history = fit(
            model,
            lambda y, d: y * d,
            data,
            SGD(model.parameters(), lr=0.05),
            epochs=2,
            batch_size=batch_size,
            progress=False,
        )
        if expected:
            assert history.gradient_norms == {"w": pytest.approx([expected] * 2)}
        else:  # batches {a, b} and {c}: ((a + b)/2 + c)/2, which is one of three numbers
            assert all(round(norm, 9) in (5.0, 3.75, 3.25) for norm in history.gradient_norms["w"])


def test_what_the_optimizer_does_not_hold_starts_from_zero() -> None:
    """The gradient of a layer that is frozen does not add up over batches and epochs."""
    model = MLP(1, [1, 1], "linear", init=lambda *_: 1.0)
    optimizer = SGD(model.layers[1].parameters(), lr=1e-12)
    history = fit(
        model, lambda y, d: y * d, [([1.0], 1.0)] * 2, optimizer, epochs=3, batch_size=1, progress=False
    )  # ∂/∂(w, b) is (x, 1) in h1, and (h, 1) in out
    assert history.gradient_norms["h1"] == pytest.approx([math.sqrt(2.0)] * 3)
    assert history.gradient_norms["out"] == pytest.approx([math.sqrt(2.0)] * 3)
    assert model.layers[0].neurons[0].w[0].data == 1.0


def test_what_the_model_does_not_hold_starts_from_zero() -> None:
    """A parameter of the loss, which the optimiser moves too: by the gradient of each batch alone."""
    model, scale = Slope(), Value(1.0)
    fit(
        model,
        lambda y, d: y + scale * d,
        [(1.0, 3.0)] * 2,
        SGD([*model.parameters(), scale], lr=0.1),
        epochs=2,
        batch_size=1,
        progress=False,
    )
    assert scale.data == pytest.approx(1.0 - 4 * 0.1 * 3.0)
    assert model.w.data == pytest.approx(-4 * 0.1)


@pytest.mark.parametrize(
    ("factor", "error", "message"),
    [
        (-1.0, ValueError, "lr must be 0 or positive, not -0.1"),
        (math.nan, ValueError, "lr must be 0 or positive, not nan"),
        (math.inf, ValueError, "lr must be 0 or positive, not inf"),
        (None, TypeError, "unsupported operand|real number"),
        ("1", TypeError, "can't multiply|real number"),
    ],
)
def test_a_schedule_gives_factors(factor: Any, error: type[Exception], message: str) -> None:
    """Anything else stops training before an update, and the rate is the one at the start."""
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    before = model.state_dict()
    with pytest.raises(error, match=message):
        train(model, optimizer, schedule=lambda t: factor)
    assert model.state_dict() == before
    assert optimizer.lr == 0.1


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_an_update_that_overflows_stops_training(kind: Any) -> None:
    """Parameters and state are those before it; so they are where the penalty is no number."""
    options = {"momentum": 0.9} if kind is SGD else {}
    model = MLP(1, [1], seed=0)
    optimizer = kind(model.parameters(), lr=0.01, **options)
    fit(model, squared_error, LINE, optimizer, epochs=2, progress=False)
    optimizer.lr = 1e308
    before, state = model.state_dict(), optimizer.state_dict()
    with pytest.raises(OverflowError, match="take a smaller lr than 1e\\+308"):
        fit(model, squared_error, LINE, optimizer, epochs=1, progress=False)
    assert (model.state_dict(), optimizer.state_dict()) == (before, state)
    for x in (math.nan, math.inf):
        with pytest.raises(ArithmeticError, match=f"the penalty makes the loss {x}"):
            fit(
                model,
                squared_error,
                LINE,
                optimizer,
                epochs=1,
                penalty=lambda model, x=x: Value(x),  # type: ignore[misc]
                progress=False,
            )
        assert (model.state_dict(), optimizer.state_dict()) == (before, state)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"schedule": 0.5}, TypeError, "schedule must be a function, not 0.5"),
        ({"metric": "accuracy"}, TypeError, "metric must be a function, not 'accuracy'"),
        ({"after_epoch": []}, TypeError, r"after_epoch must be a function, not \[\]"),
        ({"penalty": 1e-4}, TypeError, "penalty must be a function, not 0.0001"),
        ({"optimizer": None}, TypeError, "optimizer must be an Optimizer, such as SGD.*, not None"),
        ({"optimizer": SGD}, TypeError, "optimizer must be an Optimizer, such as SGD.*, not <class"),
        ({"optimizer": "other"}, ValueError, "the optimizer has none of the model's parameters"),
        ({"epochs": 0}, ValueError, "epochs must be a whole number of at least 1, not 0"),
        ({"epochs": 2.5}, ValueError, "epochs must be a whole number of at least 1, not 2.5"),
        ({"patience": 0}, ValueError, "patience must be a whole number of at least 1, not 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1, not 0"),
        ({"clip_norm": math.nan}, ValueError, "clip_norm must be positive, not nan"),
        ({"checkpoint": "nowhere/checkpoint.json"}, FileNotFoundError, "there is no folder 'nowhere' for checkpoints"),
    ],
)
def test_fit_refuses_wrong_options(
    options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is trained."""
    monkeypatch.chdir(tmp_path)
    model = network()
    before = model.state_dict()
    options = {"optimizer": SGD(model.parameters(), lr=0.1), "epochs": 1, **options}
    if options["optimizer"] == "other":
        options["optimizer"] = SGD(network().parameters(), lr=0.1)
    with pytest.raises(error, match=message):
        fit(model, cross_entropy, XOR, progress=False, **options)
    assert model.state_dict() == before
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("given", [None, "0.5", [0.5]])
def test_a_metric_is_a_number(given: Any, tmp_path: Path) -> None:
    """Anything else is refused before it is in the history or in the checkpoint."""
    model, path = network(), tmp_path / "checkpoint.json"
    with pytest.raises(TypeError, match="the metric needs a real number, not "):
        train(model, SGD(model.parameters(), lr=0.1), checkpoint=path, metric=lambda model, data: given)
    assert not path.exists()


def test_a_metric_may_count(tmp_path: Path) -> None:
    """A whole number is in the history as a float, and training goes on from its checkpoint."""
    path = tmp_path / "checkpoint.json"
    for epochs in (2, 3):
        model = network()
        history = train(
            model, SGD(model.parameters(), lr=0.1), epochs, checkpoint=path, metric=lambda model, data: len(data)
        )
        assert history.metrics == [4.0] * epochs


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, "seed was 0, and is 1"),
        ({"batch_size": 2}, "batch_size was 3, and is 2"),
        ({"batch_size": None}, "batch_size was 3, and is 4"),
        ({"clip_norm": 1.0}, "clip_norm was None, and is 1.0"),
        ({"data": XOR[:3]}, "examples was 4, and is 3"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    """What decides how training goes on; model, optimiser and file are as they were."""
    path, model = tmp_path / "checkpoint.json", network()
    train(model, Adam(model.parameters(), lr=0.1), checkpoint=path)
    content, other = path.read_bytes(), network(4)
    optimizer = Adam(other.parameters(), lr=0.1)
    before = other.state_dict(), optimizer.state_dict()
    options = {"data": XOR, "batch_size": 3, "epochs": 9, "checkpoint": path, "progress": False, **changed}
    with pytest.raises(ValueError, match=f"is not a checkpoint of this training: {message}"):
        fit(other, cross_entropy, optimizer=optimizer, **options)
    assert (other.state_dict(), optimizer.state_dict(), path.read_bytes()) == (*before, content)


def renamed(content: dict[str, Any]) -> None:
    """Other names of the parameters, in both places, which only the model can tell."""
    for held in (content["parameters"], content["best"]):
        held["other"] = held.pop("layers[0].neurons[0].w[0]")


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "names": renamed,
    "a nan": lambda content: content["parameters"].update({"layers[0].neurons[0].w[0]": math.nan}),
    "best": lambda content: content["best"].popitem(),
    "no best": lambda content: content.update(best={}),
    "a text as best": lambda content: content.update(best="x"),
    "state": lambda content: content["optimizer"].update(m=[1.0]),
    "steps": lambda content: content["optimizer"].update(steps=10**400),
    "no optimizer": lambda content: content.pop("optimizer"),
    "settings": lambda content: content.update(settings=None),
    "no losses": lambda content: content["history"].update(losses=[]),
    "a text as losses": lambda content: content["history"].update(losses="123"),
    "losses by name": lambda content: content["history"].update(losses={"1": 1.0}),
    "a text as loss": lambda content: content["history"].update(losses=[1.0, "2"]),
    "a number as losses": lambda content: content["history"].update(losses=3),
    "metrics": lambda content: content["history"].update(metrics=[None]),
    "validation losses": lambda content: content["history"].update(validation_losses="1"),
    "norms": lambda content: content["history"].update(gradient_norms=[1.0]),
    "a norm": lambda content: content["history"]["gradient_norms"].update(h1=[True]),
    "more": lambda content: content["history"].update(more=[]),
    "no history": lambda content: content.update(history=None),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused(damage: str, tmp_path: Path) -> None:
    """Wherever it is damaged: an error, and nothing has changed, the optimiser neither."""
    path, model = tmp_path / "checkpoint.json", network()
    train(model, Adam(model.parameters(), lr=0.1), checkpoint=path, metric=accuracy)
    content = json.loads(path.read_bytes())
    DAMAGE[damage](content)
    path.write_text(json.dumps(content))
    other = network(4)
    optimizer = Adam(other.parameters(), lr=0.1)
    before = other.state_dict(), optimizer.state_dict()
    with pytest.raises(ValueError, match="is not a checkpoint of this training: "):
        train(other, optimizer, 9, checkpoint=path, metric=accuracy)
    assert (other.state_dict(), optimizer.state_dict()) == before


def test_a_history_shows_in_one_line() -> None:
    """However long it is."""
    long = History([3.0] + [0.5] * 999, [1.0] * 1000, [1.0] * 1000, {"h1": [1.0] * 1000}, "early")
    assert repr(long) == "<History of 1000 epochs, loss 3 → 0.5, ended: early>"
    assert repr(History()) == "<History of 0 epochs, ended: >"


# Networks in files.


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it points to is replaced, in its own folder, whether it was there or not; no file is left over."""
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "link.json", tmp_path / "far" / "model.json"
    link.symlink_to(Path("far") / "model.json")
    for seed in (1, 2):
        model = MLP(2, [1], seed=seed)
        save(model, link)
        assert link.is_symlink()
        assert link.readlink() == Path("far") / "model.json"
        assert load(link).state_dict() == load(target).state_dict() == model.state_dict()
        assert sorted(os.listdir(tmp_path)) == ["far", "link.json"]
        assert os.listdir(target.parent) == ["model.json"]


def test_only_models_are_saved(tmp_path: Path) -> None:
    """The other save is for pictures."""
    with pytest.raises(TypeError, match=r"nn.save writes a Module, not Value\(data=1\.0\); pictures .* by viz\.save"):
        save(Value(1.0), tmp_path / "model.json")  # type: ignore[arg-type]
    assert not [*tmp_path.iterdir()]


def test_there_must_be_a_folder_for_a_file(tmp_path: Path) -> None:
    """It is not made; the error names it."""
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*nowhere' to write 'model.json' in"):
        save(MLP(1, [1]), tmp_path / "nowhere" / "model.json")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("sizes", [(2, [10**9, 1]), (10**9, [1]), (1, [3, 3]), (1, [1] * 9), (2, [2, 0]), (2, [-1, 1])])
def test_a_promised_network_is_not_built(
    sizes: tuple[int, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose sizes need more weights than it holds is refused at once."""
    path = save(MLP(2, [2, 1]), tmp_path / "model.json")
    content = json.loads(path.read_bytes())
    content["architecture"] |= {"nin": sizes[0], "nouts": sizes[1]}
    if sizes == (1, [1] * 9):
        content["parameters"] = {f"p{j}": 0.0 for j in range(7)}
    path.write_text(json.dumps(content))

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was built")

    monkeypatch.setattr(storage, "MLP", never)
    with pytest.raises(ValueError, match="holds another network, or is damaged: its sizes are "):
        load(path)


def test_a_network_survives_a_file(tmp_path: Path) -> None:
    """Exactly: architecture, parameters, and what it computes."""
    rng = random.Random(0)
    for options in ({}, {"bias": False}, {"bias": "input", "expand": True}, {"output": "softmax"}):
        model = MLP(3, [4, 2], "leaky_relu(0.1)", seed=5, **{"output": "tanh", **options})  # type: ignore[arg-type]
        for p in model.parameters():
            p.data = rng.gauss(0.0, 1e-3) * 10.0 ** rng.randint(-200, 2)
        again = load(save(model, tmp_path / "model.json"))
        assert again.state_dict() == model.state_dict()
        assert repr(again) == repr(model)
        x = [0.1, -2.0, 3.0]
        assert [y.data for y in again(x)] == [y.data for y in model(x)]


def test_what_a_file_cannot_build_is_loaded_into_a_model(tmp_path: Path) -> None:
    """A function as activation, a layer that is shared or was replaced, any other module: only the parameters."""

    class Scaled(Module):
        def __init__(self) -> None:
            self.scale, self.line = Value(0.5), Layer(2, 2)

    tied = MLP(2, [2, 2])
    tied.layers[1] = tied.layers[0]
    changed = MLP(2, [2, 2, 1])
    changed.layers[1] = Layer(2, 2, "tanh", name="h2")
    for model in (MLP(1, [1, 1], lambda a: a * a), tied, changed, Scaled()):
        path = save(model, tmp_path / "model.json")
        with pytest.raises(ValueError, match=r"make the model, and give it as load\(path, model\)"):
            load(path)
        state = model.state_dict()
        for p in model.parameters():
            p.data = 0.0
        assert load(path, model) is model
        assert model.state_dict() == state
        with pytest.raises(ValueError, match="holds another network, or is damaged: "):
            load(path, Neuron(7))
    row = Operation("doubled", lambda x: 2.0 * x, (lambda x, z: 2.0,))
    assert repr(load(save(MLP(1, [1, 1], row.name), tmp_path / "model.json"))) == repr(MLP(1, [1, 1], row.name))


def test_a_broken_model_is_not_saved(tmp_path: Path) -> None:
    """The file that was there stays."""
    path = save(MLP(1, [1]), tmp_path / "model.json")
    before, model = path.read_bytes(), MLP(1, [1])
    model.parameters()[0].data = math.nan
    with pytest.raises(ValueError, match=r"cannot save a model whose parameter layers\[0\].neurons\[0\].w\[0\] is nan"):
        save(model, path)
    assert path.read_bytes() == before


def test_a_damaged_network_is_refused(tmp_path: Path) -> None:
    """Truncated anywhere, foreign, newer, huge, deeply nested, or with other numbers: a clear error."""
    path = save(MLP(2, [2, 1], seed=0), tmp_path / "model.json")
    good = path.read_bytes()
    content = json.loads(good)

    def changed(**changes: Any) -> bytes:
        return json.dumps(content | changes).encode()

    architecture = content["architecture"]
    bad = [good[:n] for n in range(0, len(good) - 1, 37)]
    bad += [b"[]", b"3", b'"x"', b"[" * 200_000, b"\x80\x04N.", changed(format="other"), changed(version=2)]
    bad += [
        changed(architecture=architecture | {"nouts": [10**9, 1]}),
        changed(architecture=architecture | {"nin": -1}),
    ]
    bad += [
        changed(architecture=architecture | {"nouts": [2] * 10**5}),
        changed(architecture=architecture | {"extra": 1}),
    ]
    kinds: list[dict[str, Any]] = [
        {"activation": 5},
        {"activation": None},
        {"expand": "no"},
        {"seed": 3},
        {"nin": True},
    ]
    bad += [changed(architecture=architecture | wrong) for wrong in kinds] + [
        changed(architecture=3),
        changed(version=True),
    ]
    first = "layers[0].neurons[0].b"
    bad += [changed(parameters=content["parameters"] | {first: x}) for x in (math.nan, math.inf, 10**400, None, True)]
    bad += [changed(architecture=architecture | {"activation": "__import__('os')"}), changed(parameters={})]
    bad += [changed(parameters=content["parameters"] | {"layers[0].neurons[0].b": "1"}), changed(parameters=[1, 2])]
    for damaged in bad:
        path.write_bytes(damaged)
        with pytest.raises(
            ValueError, match=r"is not a gradgraph network|update gradgraph|holds another network, or is damaged"
        ):
            load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.json")


def test_solved_with_a_hinge() -> None:
    """A scalar output and classes of ±1, as in micrograd's demo."""
    model = MLP(2, [6, 1], "tanh", seed=0)
    data = [(x, 2 * y - 1) for x, y in XOR]
    fit(model, hinge, data, Adam(model.parameters(), lr=0.05), epochs=200, progress=False)
    assert accuracy(model, XOR) == 1.0
