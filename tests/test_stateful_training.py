"""Trainings in any order of events: fitted, interrupted, resumed, saved, changed and copied.

Two oracles: a network of plain complex numbers, whose gradient is found by the complex step (Squire & Trapp
1998) and followed by optimisers written from their definitions; and the same training without interruptions,
which has to come out the same to the bit.
"""

import cmath
import copy
import math
import pickle
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import nn
from autograd import Value
from nn import schedules

ACTIVATIONS: dict[str, Callable[[complex], complex]] = {
    "linear": lambda a: a,
    "tanh": cmath.tanh,
    "sigmoid": lambda a: 1.0 / (1.0 + cmath.exp(-a)),
    "softplus": lambda a: cmath.log(1.0 + cmath.exp(a)),
    "relu": lambda a: a if a.real > 0.0 else 0.0 * a,
}
#: Losses of plain numbers; a target is a class, or a number.
LOSSES: dict[str, tuple[Any, Callable[[list[complex], int], complex]]] = {
    "squared_error": (
        lambda y, d: nn.squared_error(y, [d] * len(y) if isinstance(y, list) else d),
        lambda ys, d: sum((y - d) ** 2 for y in ys),
    ),
    "cross_entropy": (
        lambda y, d: nn.cross_entropy(y if isinstance(y, list) else [y, 0.0 * y], d),
        lambda ys, d: cmath.log(sum(map(cmath.exp, zs := ys if len(ys) > 1 else [ys[0], 0.0]))) - zs[d],
    ),
}
SCHEDULES = {
    "constant": schedules.constant(),
    "step": schedules.step(2, 0.5),
    "linear": schedules.linear(9, 0.1),
}
Step = Callable[[list[float], list[float], dict[str, Any], float], list[float]]


def sgd(p: list[float], g: list[float], kept: dict[str, Any], lr: float) -> list[float]:
    """Momentum 0.5."""
    kept["velocity"] = [0.5 * v + d for v, d in zip(kept.get("velocity", [0.0] * len(p)), g, strict=True)]
    return [x - lr * v for x, v in zip(p, kept["velocity"], strict=True)]


def adam(p: list[float], g: list[float], kept: dict[str, Any], lr: float) -> list[float]:
    """Kingma & Ba, Algorithm 1, with m̂ and v̂."""
    kept["t"] = t = kept.get("t", 0) + 1
    kept["m"] = [0.9 * m + 0.1 * d for m, d in zip(kept.get("m", [0.0] * len(p)), g, strict=True)]
    kept["v"] = [0.999 * v + 0.001 * d * d for v, d in zip(kept.get("v", [0.0] * len(p)), g, strict=True)]
    hats = [(m / (1.0 - 0.9**t), v / (1.0 - 0.999**t)) for m, v in zip(kept["m"], kept["v"], strict=True)]
    return [x - lr * m / (math.sqrt(v) + 1e-8) for x, (m, v) in zip(p, hats, strict=True)]


OPTIMIZERS: dict[str, tuple[Any, Step]] = {
    "sgd": (lambda params: nn.SGD(params, 0.05, momentum=0.5), sgd),
    "adam": (lambda params: nn.Adam(params, 0.05), adam),
}


class StoppedError(Exception):
    """What a loss or a callback may raise."""


class Trainings(RuleBasedStateMachine):
    """A model on its way, and where it would be without all that happens to it."""

    @initialize(
        nin=st.integers(1, 2),
        nouts=st.lists(st.integers(1, 3), min_size=1, max_size=2),
        activation=st.sampled_from(sorted(ACTIVATIONS)),
        loss=st.sampled_from(sorted(LOSSES)),
        optimizer=st.sampled_from(sorted(OPTIMIZERS)),
        schedule=st.sampled_from(sorted(SCHEDULES)),
        bias=st.sampled_from([True, True, False, "input"]),
        size=st.integers(1, 5),
        batch_size=st.none() | st.integers(1, 6),
        seed=st.integers(0, 99),
        frozen=st.integers(0, 3),
        validated=st.booleans(),
    )
    def begin(
        self,
        nin: int,
        nouts: list[int],
        activation: str,
        loss: str,
        optimizer: str,
        schedule: str,
        bias: Any,
        size: int,
        batch_size: int | None,
        seed: int,
        frozen: int,
        validated: bool,
    ) -> None:
        """A network, and what it learns from; some parameters may be frozen, that is, not the optimiser's."""
        rng = random.Random(seed)
        classes = nouts[-1] if nouts[-1] > 1 else 2
        self.data = [([rng.gauss(0.0, 1.0) for _ in range(nin)], rng.randrange(classes)) for _ in range(size)]
        self.nouts, self.activation, self.bias, self.seed = nouts, activation, bias, seed
        self.loss, self.plain_loss = LOSSES[loss]
        self.make_optimizer, self.plain_step = OPTIMIZERS[optimizer]
        self.model = nn.MLP(nin, nouts, activation, bias=bias, seed=seed)
        self.frozen = frozen if frozen < len(self.model.parameters()) else 0
        self.optimizer = self.make_optimizer(self.model.parameters()[self.frozen :])
        self.options: dict[str, Any] = {"batch_size": batch_size, "seed": seed, "schedule": SCHEDULES[schedule]}
        self.options |= {"validation": self.data[:1] if validated else [], "progress": False, "compiled": False}
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "checkpoint"
        self.epochs = self.compilations = 0
        #: After how many epochs since the last change by hand, from where.
        self.start = copy.deepcopy((self.model, self.optimizer))
        #: Where the plain training is after each step, by epoch.
        self.steps = [[self.numbers()]]
        self.kept: dict[str, Any] = {}

    # What the rules are made of.

    def numbers(self) -> list[float]:
        """The parameters."""
        return [*self.model.state_dict().values()]

    def state(self) -> Any:
        """All that a training depends on."""
        return self.model.state_dict(), self.optimizer.state_dict()

    def outputs(self, numbers: Sequence[complex], x: Sequence[complex]) -> list[complex]:
        """The network, on plain numbers."""
        held = iter(numbers)
        for j, nout in enumerate(self.nouts):
            g = ACTIVATIONS[self.activation if j < len(self.nouts) - 1 else "linear"]
            outputs = []
            for _ in range(nout):
                inputs = [*x, 1.0] if self.bias == "input" else x
                a = sum((next(held) * v for v in inputs), 0j)
                outputs.append(g(a + next(held) if self.bias is True else a))
            x = outputs
        return outputs

    def mean_loss(self, numbers: Sequence[complex], batch: Sequence[int]) -> complex:
        """Of a batch."""
        return sum(self.plain_loss(self.outputs(numbers, self.data[i][0]), self.data[i][1]) for i in batch) / len(batch)

    def plain_epoch(self) -> None:
        """One more epoch of the plain training."""
        at, epoch, h = self.steps[-1][-1], len(self.steps) - 1, 1e-30
        rate = 0.05 * self.options["schedule"](epoch)
        order = [*range(len(self.data))]
        random.Random(f"{self.options['seed']}/{epoch}").shuffle(order)
        size = self.options["batch_size"] or len(order)
        states = []
        for start in range(0, len(order), size):
            batch, gradient = order[start : start + size], []
            for j in range(len(at)):
                moved: list[complex] = [*at]
                moved[j] += h * 1j
                gradient.append(self.mean_loss(moved, batch).imag / h)
            moving = self.plain_step(at[self.frozen :], gradient[self.frozen :], self.kept, rate)
            at = [*at[: self.frozen], *moving]
            states.append(at)
        self.steps.append(states)

    def fit(self, epochs: int, model: Any = None, optimizer: Any = None, **options: Any) -> nn.History:
        """Train until there were so many epochs."""
        options = {"checkpoint": self.path, **self.options, **options}
        loss = options.pop("loss", self.loss)
        return nn.fit(model or self.model, loss, self.data, optimizer or self.optimizer, epochs=epochs, **options)

    def uninterrupted(self, **options: Any) -> tuple[Any, nn.History]:
        """Where the training would be, had it gone through."""
        model, optimizer = copy.deepcopy(self.start)
        history = self.fit(self.epochs, model, optimizer, checkpoint=None, **options)
        return (model.state_dict(), optimizer.state_dict()), history

    def restart(self) -> None:
        """From what there is now, since it was changed by hand."""
        self.path.unlink(missing_ok=True)
        self.epochs, self.steps, self.kept = 0, [[self.numbers()]], {}
        self.optimizer = self.make_optimizer(self.optimizer.params)
        self.start = copy.deepcopy((self.model, self.optimizer))

    # Rules.

    @precondition(lambda self: self.epochs < 8)
    @rule(more=st.integers(1, 3))
    def train(self, more: int) -> None:
        """On from the checkpoint: as without it, to the bit; and as the plain training."""
        self.epochs += more
        history = self.fit(self.epochs)
        expected, straight = self.uninterrupted()
        assert self.state() == expected
        assert history == straight
        assert len(history.losses) == self.epochs
        while len(self.steps) <= self.epochs:
            self.plain_epoch()
        assert self.numbers() == pytest.approx(self.steps[-1][-1], rel=1e-6, abs=1e-8)

    @precondition(lambda self: self.epochs < 8)
    @rule(more=st.integers(1, 3), calls=st.integers(0, 12), where=st.sampled_from(["loss", "after_epoch", "metric"]))
    def interrupt(self, more: int, calls: int, where: str) -> None:
        """An error or Ctrl-C in somebody's function: whole steps are done, and whole epochs in the checkpoint."""
        kind = KeyboardInterrupt if calls % 2 else StoppedError
        calls += (len(self.data) + len(self.options["validation"])) * (where == "loss")  # the first look at the data
        left = calls

        def counted(*given: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise kind
            return self.loss(*given) if where == "loss" else 0.0

        try:
            assert (self.fit(self.epochs + more, **{where: counted}).ended == "interrupted") == (left < 0)
        except StoppedError:
            assert left < 0
        while len(self.steps) <= self.epochs + more:
            self.plain_epoch()
        assert any(self.numbers() == pytest.approx(at, rel=1e-6, abs=1e-8) for states in self.steps for at in states)
        if not self.path.exists():
            self.model, self.optimizer = copy.deepcopy(self.start)
        if where == "metric":
            self.restart()  # for the history tells of the metric
            return
        self.epochs += more
        self.fit(self.epochs)
        assert self.state() == self.uninterrupted()[0]

    @rule(into=st.booleans())
    def save_and_load(self, into: bool) -> None:
        """A file holds the parameters to the bit."""
        path = nn.save(self.model, Path(self.folder.name) / "model")
        fresh = nn.MLP(self.model.layers[0].nin, self.nouts, self.activation, bias=self.bias)
        again = nn.load(path, fresh) if into else nn.load(path)
        assert again.state_dict() == self.model.state_dict()
        assert repr(again) == repr(self.model)
        x = self.data[0][0]
        assert outputs_of(again(x)) == outputs_of(self.model(x))

    @rule(other=st.lists(st.integers(1, 3), min_size=1, max_size=2))
    def other_shapes(self, other: list[int]) -> None:
        """Are refused, and nothing has changed."""
        if other == self.nouts:
            return
        model = nn.MLP(self.model.layers[0].nin, other, self.activation, bias=self.bias)
        before, mine = model.state_dict(), self.state()
        path = nn.save(self.model, Path(self.folder.name) / "model")
        with pytest.raises(ValueError, match="holds another network"):
            nn.load(path, model)
        with pytest.raises(KeyError):
            model.load_state_dict(self.model.state_dict())
        if self.path.exists():
            with pytest.raises(ValueError, match="not a checkpoint of this training"):
                self.fit(
                    self.epochs + 1, model, self.make_optimizer(model.parameters()), loss=lambda y, d: sum(outputs(y))
                )
        if len(before) != len(self.optimizer.params):
            with pytest.raises(ValueError, match="not the state of"):
                self.optimizer.load_state_dict(self.make_optimizer(model.parameters()).state_dict())
        assert (model.state_dict(), self.state()) == (before, mine)

    @rule(which=st.integers(0, 100), x=st.floats(-1.0, 1.0), replaced=st.booleans())
    def change(self, which: int, x: float, replaced: bool) -> None:
        """A parameter by hand, or all by a state: another training begins."""
        parameters = self.model.parameters()
        if replaced:
            state = self.model.state_dict()
            name = [*state][which % len(state)]
            state[name] = x
            self.model.load_state_dict(state)
        else:
            parameters[which % len(parameters)].data = x
        assert self.numbers()[which % len(parameters)] == x
        self.restart()

    @rule(pickled=st.booleans())
    def copied(self, pickled: bool) -> None:
        """Model and optimiser together: the copy goes on as they would, and they stay where they are."""
        given = self.model, self.optimizer
        model, optimizer = pickle.loads(pickle.dumps(given)) if pickled else copy.deepcopy(given)
        assert (model.state_dict(), optimizer.state_dict()) == self.state()
        assert [*optimizer.params] == model.parameters()[self.frozen :]
        before = self.state()
        self.fit(1, model, optimizer, checkpoint=None)
        assert self.state() == before
        self.model, self.optimizer = copy.deepcopy(given)

    @rule()
    def state_of_the_optimizer(self) -> None:
        """There and back; a state with a number too few is refused."""
        state = self.optimizer.state_dict()
        other = self.make_optimizer(self.optimizer.params)
        other.load_state_dict(state)
        assert other.state_dict() == state
        name = next(name for name, held in state.items() if isinstance(held, list))
        for bad in (state[name][1:], [math.nan, *state[name][1:]], None, [None, *state[name][1:]]):
            with pytest.raises(ValueError, match="not the state of"):
                other.load_state_dict({**state, name: bad})
        assert other.state_dict() == state

    @precondition(lambda self: self.compilations < 1)
    @rule(epochs=st.integers(1, 3))
    def compiled(self, epochs: int) -> None:
        """A compiled training agrees with the eager one."""
        self.compilations += 1
        results = []
        for compiled in (False, True):
            model, optimizer = copy.deepcopy((self.model, self.optimizer))
            history = self.fit(epochs, model, optimizer, checkpoint=None, compiled=compiled)
            results.append([*model.state_dict().values(), *history.losses, *history.validation_losses])
        assert results[1] == pytest.approx(results[0], rel=1e-9, abs=1e-9)

    # What always holds.

    @invariant()
    def consistent(self) -> None:
        """The optimiser moves the model's parameters, and its rate is what it was."""
        if not hasattr(self, "model"):
            return
        assert [*self.optimizer.params] == self.model.parameters()[self.frozen :]
        assert self.optimizer.lr == 0.05
        assert all(map(math.isfinite, self.numbers()))
        assert repr(self.model)
        assert not [*Path(self.folder.name).glob(".*")]  # what is half written

    def teardown(self) -> None:
        """Nothing is left."""
        if hasattr(self, "folder"):
            self.folder.cleanup()


def outputs(y: Any) -> list[Value]:
    """As a list, also of a single one."""
    return y if isinstance(y, list) else [y]


def outputs_of(y: Any) -> list[float]:
    """The numbers of outputs."""
    return [x.data for x in outputs(y)]


TestTrainings = Trainings.TestCase
TestTrainings.settings = settings(stateful_step_count=12)
