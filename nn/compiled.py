"""Training on programs: the same steps as the eager loop's, with the numbers in arrays."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from autograd import Graph, Program, Value
from autograd.algorithms import assign
from autograd.context import comparisons, recorded
from autograd.descent import Descent
from autograd.machine import Machine
from autograd.program import BLOCK
from nn.checks import CompileError
from nn.data import batches
from nn.optimizers import Optimizer
from nn.recording import Recording

if TYPE_CHECKING:
    from nn.training import _Training

T = TypeVar("T")
#: The seconds, about, for which Ctrl-C may wait.
INTERVAL = 0.05


class _Now(NamedTuple):
    """Where training is; replaced as a whole, so that Ctrl-C finds it before an update or after it."""

    parameters: Any
    #: The sum of the gradients of a batch, and what it is scaled by.
    gradient: tuple[Any, float]
    #: What the optimiser moves and keeps, a column per parameter: its number, and what is kept for it.
    moved: Any
    #: How many steps there were since the optimiser was told.
    steps: int


class Compiled:
    """The steps of a training, on programs.

    The numbers live in arrays. The model and the optimiser are told them by :meth:`store`, before anybody
    looks, and what has been done to them is taken over by :meth:`load`.

    Raises:
        CompileError: if the graphs cannot be replayed, or the optimiser does not move by its rule alone.
    """

    def __init__(
        self, training: _Training, examples: Recording, validation: Recording, executor: Executor | None
    ) -> None:
        self._training, self._executor = training, executor
        self._optimizer, self._params = training.optimizer, list(training.optimizer.params)
        if getattr(self._optimizer.step, "__func__", None) is not Optimizer.step:
            raise CompileError("the optimizer has a step of its own")
        self._rule, self._common = _rule(self._optimizer)
        self._recordings = [examples, validation]
        examples.groups(), validation.groups()
        self._penalty = Recording("the penalty", examples.parameters)
        if training.penalty:
            self._penalty.add(training.the_penalty)
            self._penalty.groups()
        self._all = examples.parameters
        why = self.changed(0)
        if why:
            raise CompileError(why)

    def start(self) -> str:
        """Compile; returns a sentence about it."""
        examples, validation = self._recordings
        self._examples, self._validation = examples.compile(self._all), validation.compile([])
        penalties = self._penalty.compile(self._all).programs
        self._penalised = penalties[0][0] if penalties else None
        self._table = np.empty((len(self._rule.inputs), len(self._params)))  # a row of the rule is a column of it
        places = {p: i for i, p in enumerate(self._all)}
        self._layers = [_stretch([places[p] for p in layer]) for layer in self._training.layers.values()]
        self._seen_by = [[places[p] for p in program.leaves] for program, _ in self._validation.programs]
        self._descent, self._chunk = self._native(), 1
        self.load()
        count, several = len(self._examples.programs), len(self._examples)
        programs = f"{count} program{'s' if count > 1 else ''} for {several:,} example{'s' if several > 1 else ''}"
        return f"compiled ({self._rule.backend}): {programs}"

    def _native(self) -> Descent | None:
        """What takes many steps at once, if these are steps of the plainest kind."""
        (program, _), *others = self._examples.programs
        sums, rule = program._code, self._rule._code
        plain = not (others or self._penalised or self._executor) and len(self._params) == len(self._all)
        layers = [layer for layer in self._layers if isinstance(layer, slice)]
        if not plain or layers != self._layers or not isinstance(sums, Machine) or not isinstance(rule, Machine):
            return None
        return Descent(sums, rule, self._table.shape, layers, self._training.clip_norm or math.inf)

    def changed(self, i: int) -> str:
        """What is not as it was compiled: the i-th example's graph, the penalty's, or the optimiser; "" if all is."""
        training = self._training
        if self._optimizer.params != self._params:
            return "the optimizer has other parameters"
        try:
            return self._recordings[0].changed(i, lambda: training.example(i)) or (
                self._penalty.changed(0, training.the_penalty) if training.penalty else ""
            )
        except Exception:
            return ""  # it is an error of training, if training gets there

    def load(self) -> None:
        """Take over what model and optimiser hold."""
        parameters = np.array([p.data for p in self._all])
        gradient = np.array([p.grad for p in self._all])
        moved = [parameters[: len(self._params)], *zip(*self._optimizer._kept(), strict=True)]
        self._now = self._told = _Now(parameters, (gradient, 1.0), np.array(moved), 0)

    def store(self) -> None:
        """Tell model and optimiser where training is, all of it or nothing."""
        parameters, gradient, moved, steps = self._now
        if self._now is not self._told:
            state = self._optimizer._state_of(moved[1:].tolist(), steps)
            now, n = _Now(parameters, gradient, moved, 0), len(self._all)
            assign(
                [*self._all, *self._all, self._optimizer, self, self],
                [*repeat("_data", n), *repeat("_grad", n), "_state", "_now", "_told"],
                [*parameters.tolist(), *(gradient[0] * gradient[1]).tolist(), state, now, now],
            )

    @contextmanager
    def epoch(self, drawn: Sequence[Sequence[int]]) -> Iterator[Callable[[Sequence[int]], tuple[list[float], Any]]]:
        """An epoch over batches: gives the step to take with each of them in turn."""
        self._drawn, self._begun = self._examples.drawn(drawn), 0
        self._ahead: deque[list[float]] = deque()  # the results of steps that have been taken already
        self._many = self._descent if max(map(len, drawn)) <= BLOCK else None
        with np.errstate(all="ignore"):  # a number that is not finite is noticed
            yield self._step

    def _step(self, batch: Sequence[int]) -> tuple[list[float], list[float]]:
        """One update; returns the sum of the losses, and the length of each layer's gradient."""
        if self._many and not self._ahead:
            self._descend(self._many)
        if self._ahead:
            total, *lengths, _ = self._ahead.popleft()
            return [total], lengths
        begun, self._begun = self._begun, self._begun + 1
        try:
            now, total, lengths = self._moved(begun, len(batch))
        except (ArithmeticError, ValueError):  # the eager step tells what and where, or finds nothing wrong
            (batch,) = batches(batch, len(batch), rng=self._training.later)
            return self._eagerly(lambda: self._training.step(batch))
        self._now = now
        return [total], lengths

    def _descend(self, many: Descent) -> None:
        """Take the next steps at once, up to one that is not finite, and not so many that Ctrl-C has to wait."""
        now, started = self._now, time.perf_counter()
        ((_, rows, bounds),) = self._drawn
        bounds = bounds[self._begun : self._begun + self._chunk + 1]
        try:
            steps = [self._optimizer._rates(now.steps + j) for j in range(1, len(bounds))]
            rates = np.array([[rates[i] for i in self._common] for rates in steps], dtype=float)
        except (ArithmeticError, ValueError):  # the step by itself tells
            return
        found, moved, gradient = many.run(now.moved, rows, bounds, rates)
        if len(found):
            self._now = _Now(moved[0], (gradient, 1.0), moved, now.steps + len(found))
        self._begun += len(found)
        self._ahead.extend(found.tolist())
        self._chunk = max(1, int(len(found) * INTERVAL / (time.perf_counter() - started)))

    def _moved(self, begun: int, examples: int) -> tuple[_Now, float, list[float]]:
        parameters, (gradient, scale), moved, steps = self._now
        total, gradient = 0.0, None
        for program, rows, bounds in self._drawn:
            first, end = bounds[begun : begun + 2]
            if first == end:
                continue
            loss, part = self._sums(program, parameters, rows[first:end])
            total, gradient = total + loss, part if gradient is None else gradient + part
        objective, scale = total / examples, 1.0 / examples
        if self._penalised:
            self._penalised.parameters = parameters
            penalty, part = self._penalised()
            objective, gradient, scale = objective + penalty, gradient * scale + part, 1.0
        lengths = [scale * _length(gradient[layer]) for layer in self._layers]
        n = len(self._params)
        if self._training.clip_norm is not None:
            length = scale * _length(gradient[:n])
            scale *= min(1.0, self._training.clip_norm / (length + 1e-6))  # as clip_grad_norm_ does
        table, rates = self._table, self._optimizer._rates(steps + 1)
        table[:-1] = moved
        np.multiply(gradient[:n], scale, out=table[-1])
        found = self._rule._code.block(table.T, np.array([rates[i] for i in self._common]))
        if found is None or not all(map(math.isfinite, (objective, *lengths))):
            raise ArithmeticError("not finite")
        moved = found[0]
        parameters = moved[0] if n == len(parameters) else np.concatenate([moved[0], parameters[n:]])
        return _Now(parameters, (gradient, scale), moved, steps + 1), total, lengths

    def _sums(self, program: Program, parameters: Any, rows: Any) -> tuple[float, Any]:
        """The loss and the gradient, summed over the rows."""
        if self._executor:
            program.parameters = parameters
            loss, gradient = program.batch(rows, executor=self._executor)
            return loss, gradient
        (loss,), gradient = program._part(parameters, rows, 0, False)
        return float(loss), gradient

    def measure(self) -> float:
        """The mean loss of the validation examples."""
        parameters, total = self._now.parameters, 0.0
        try:
            for (program, numbers), seen in zip(self._validation.programs, self._seen_by, strict=True):
                program.parameters = parameters[seen]
                total += program.batch(numbers.T, executor=self._executor)
        except (ArithmeticError, ValueError):
            total = math.nan
        if math.isfinite(total):
            return total / len(self._validation)
        return self._eagerly(self._training.measure)

    def _eagerly(self, work: Callable[[], T]) -> T:
        self.store()
        done = work()
        self.load()
        history, note = self._training.history, "; eager where a program met what is not finite"
        history.path = history.path.removesuffix(note) + note
        return done


def _rule(optimizer: Optimizer) -> tuple[Program, list[int]]:
    """An optimiser's rule as a program with a row per parameter; and which of the rates its parameters are."""
    rates = [Value(x) for x in optimizer._rates()]
    p, *kept, g = row = [Value(x) for x in (optimizer.params[0].data, *next(iter(optimizer._kept())), 0.0)]
    with recorded(), comparisons() as taken:
        moved = optimizer._rule(rates, p, g, *kept)
    if taken:
        raise CompileError("the optimizer's rule looks at numbers")
    program = Graph(*moved).compile(row, [])
    return program, [rates.index(x) for x in program.leaves]


def _stretch(places: list[int]) -> Any:
    """The places as a slice, where they are consecutive: its numbers need not be copied."""
    first, end = places[0], places[0] + len(places)
    return slice(first, end) if places == [*range(first, end)] else places


def _length(gradient: Any) -> float:
    """The Euclidean norm; by ``hypot`` where the squares would overflow or vanish."""
    length = math.sqrt(gradient @ gradient)
    return length if 1e-150 < length < 1e150 else math.hypot(*gradient.tolist())
