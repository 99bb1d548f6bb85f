"""fit with everything it can do, checkpoints, and networks in files."""

import _thread
import json
import math
import random
import re
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from autograd import Operation, Value, log
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


def test_ctrl_c_returns_the_history_so_far() -> None:
    """Training ends between two updates, and the model can go on."""
    model = network()
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    history = train(model, SGD(model.parameters(), lr=0.1), epochs=10**9)
    timer.join()
    assert history.ended == "interrupted"
    assert abs(len(history.losses) - len(history.gradient_norms["out"])) <= 1
    assert train(model, SGD(model.parameters(), lr=0.1)).ended == "epochs"


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


def test_a_log_file_gets_ten_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """With loss and metric, and nothing that overwrites; without progress, none."""
    model = network()
    for progress in (True, False):
        optimizer = SGD(model.parameters(), lr=0.1)
        fit(model, cross_entropy, XOR, optimizer, epochs=25, metric=accuracy, progress=progress)
        lines = capsys.readouterr().err.splitlines(keepends=True)
        assert len(lines) == (10 if progress else 0)
        assert all(re.fullmatch(r"epoch \d+ of 25: loss \d\.\d{4} metric \d\.\d{4}\n", line) for line in lines)


def test_a_notebook_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that is written over again, ending with the last loss."""
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
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


# Networks in files.


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
