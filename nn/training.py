"""The training loop: sample, forward, backward, update (Goodfellow, Bengio & Courville, Algorithm 8.1)."""

from __future__ import annotations

import functools
import importlib.util
import math
import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tqdm import tqdm

from autograd import Graph, Value, fsum
from autograd.algorithms import assign
from autograd.operations import real
from nn import storage
from nn.checks import CompileError, positive, whole
from nn.data import batches
from nn.module import Module
from nn.optimizers import Optimizer, clip_grad_norm_
from nn.schedules import Schedule

if TYPE_CHECKING:
    from nn.compiled import Compiled
    from nn.recording import Recording

Example = tuple[Any, Any]
Loss = Callable[[Any, Any], Value]
FORMAT, VERSION = "gradgraph checkpoint", 1
#: The seconds that the eager engine takes per operation and operand, and those that compiling is worth.
EAGER, WORTH = 1.5e-6, 2.0


@dataclass(repr=False)
class History:
    """What happened during training, a number per epoch in each list.

    >>> from nn import MLP, SGD, half_squared_error
    >>> model = MLP(1, [1], seed=0)
    >>> data = [([x], 2.0 * x + 1.0) for x in (-1.0, 0.0, 1.0)]
    >>> history = fit(model, half_squared_error, data, SGD(model.parameters(), lr=0.5), epochs=40, progress=False)
    >>> len(history.losses), history.losses[-1] < 1e-6
    (40, True)
    """

    #: The mean loss over the training examples, as each was met.
    losses: list[float] = field(default_factory=list)
    #: The mean loss over the validation examples, after the epoch.
    validation_losses: list[float] = field(default_factory=list)
    #: The metric, on the validation examples if there are any.
    metrics: list[float] = field(default_factory=list)
    #: Per layer, the mean over the batches of the gradient's Euclidean norm.
    gradient_norms: dict[str, list[float]] = field(default_factory=dict)
    #: Why training ended: "epochs", "early" or "interrupted".
    ended: str = ""
    #: How the batches were run, and why so: "compiled (llvm): …" or "eager: …".
    path: str = field(default="", compare=False)

    def __repr__(self) -> str:
        path = f", {self.path}" if self.path else ""
        losses = f", loss {self.losses[0]:.4g} → {self.losses[-1]:.4g}" if self.losses else ""
        return f"<History of {len(self.losses)} epochs{losses}, ended: {self.ended}{path}>"


def fit(
    model: Module,
    loss: Loss,
    data: Sequence[Example],
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int | None = None,
    seed: int = 0,
    schedule: Schedule | None = None,
    penalty: Callable[[Module], Value] | None = None,
    clip_norm: float | None = None,
    validation: Sequence[Example] = (),
    metric: Callable[[Any, Sequence[Example]], float] | None = None,
    after_epoch: Callable[[Module], object] | None = None,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    compiled: bool | Literal["auto"] = "auto",
    executor: Executor | None = None,
) -> History:
    """Make the mean loss over the data small: (1/m) Σ L(f(x), y) + Ω.

    Each batch is one graph, whose loss is the mean over its examples: its gradient is the mean of
    theirs.

    Where it pays, training runs on compiled programs instead, with the same results up to rounding. They
    are made from the graphs of all examples, which are recorded once, so model and loss must be the same
    functions all the time. Those that look at the numbers of Values, or draw random ones, are run eagerly.
    Whether something has changed since is found by recording an example again, at the start of each epoch
    (of long trainings without ``after_epoch``, of ever fewer); training then goes on eagerly.
    ``History.path`` tells.

    Args:
        model: called with the inputs of one example.
        loss: called with the model's output and the example's target.
        data: examples, pairs of inputs and target.
        optimizer: moves the model's parameters after each batch.
        epochs: how often all examples are seen.
        batch_size: examples per update; all at once if left out, 1 for online learning.
        seed: decides the order of the examples, which changes in every epoch.
        schedule: the factor of the learning rate in each epoch.
        penalty: Ω, called with the model, such as ``lambda model: 1e-4 * l2(model)``.
        clip_norm: what to scale the norm of the whole gradient down to, where it is more.
        validation: examples to measure on, not to train on.
        metric: called with the model and examples, such as ``accuracy``.
        after_epoch: called with the model, such as ``lambda model: states.append(model.state_dict())``.
        patience: after how many epochs without a new lowest loss (of validation, if there is any) to
            stop; the model then has the parameters of the best epoch.
        checkpoint: a file that is written after every epoch; if it is there, training goes on from it,
            and ends as if it had never stopped, provided that data, loss and schedule are the same.
        progress: whether to show a bar with the loss and the metric; in a log file, it is ten lines.
        compiled: whether to run on programs, which needs ``numpy``, and is fast with ``llvmlite``; "auto"
            for where the eager engine would take seconds.
        executor: what runs pieces of a compiled batch at the same time, such as a ``ThreadPoolExecutor``.

    Returns:
        The history. Ctrl-C ends training early, after a whole update.

    Raises:
        ValueError: if there is nothing to train on, a number is out of range, an example does not fit
            the model or the loss, the checkpoint is not of this training, or it should be compiled and
            cannot be; nothing has changed then.
        ArithmeticError: if a loss or a gradient is not finite, or an operation leaves its domain (the
            error of the operation): it tells the example, and the parameters are those before it.

    >>> from nn import MLP, SGD, half_squared_error
    >>> model = MLP(1, [1], seed=0)
    >>> data = [([x], 2.0 * x + 1.0) for x in (-1.0, 0.0, 1.0)]
    >>> history = fit(model, half_squared_error, data, SGD(model.parameters(), lr=0.5), epochs=40, progress=False)
    >>> [round(p.data, 3) for p in model.parameters()]
    [2.0, 1.0]
    """
    data, validation = list(data), list(validation)
    if not data:
        raise ValueError("fit needs at least one example")
    size = len(data) if batch_size is None else whole("batch_size", batch_size)
    whole("epochs", epochs)
    if patience is not None:
        whole("patience", patience)
    if clip_norm is not None:
        positive("clip_norm", clip_norm)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an Optimizer, such as SGD(model.parameters(), lr=0.1), not {optimizer!r}")
    if set(optimizer.params).isdisjoint(model.parameters()):
        raise ValueError("the optimizer has none of the model's parameters: make it with model.parameters()")
    if not callable(loss):
        raise TypeError(f"loss must be a function, such as squared_error, not {loss!r}")
    functions = {"schedule": schedule, "penalty": penalty, "metric": metric, "after_epoch": after_epoch}
    for name, option in functions.items():
        if option is not None and not callable(option):
            raise TypeError(f"{name} must be a function, not {option!r}")
    if compiled != "auto" and not isinstance(compiled, bool):
        raise ValueError(f"compiled must be True, False or 'auto', not {compiled!r}")
    if executor is not None and compiled is False:
        raise ValueError("an executor runs programs, and compiled is False")
    training = _Training(model, optimizer, clip_norm, loss, data, validation, penalty)
    # In a context of their own, this and the training: Ctrl-C may come while a name_scope is being opened.
    fast, why = copy_context().run(_checked, training, compiled, epochs, executor)
    training.wanted = patience is not None or checkpoint is not None
    training.settings |= {"seed": seed, "batch_size": size, "examples": len(data), "validation": len(validation)}
    if checkpoint is not None:
        checkpoint = Path(checkpoint)
        try:
            training.resume(checkpoint)
        except FileNotFoundError:
            if not checkpoint.parent.is_dir():
                raise FileNotFoundError(f"there is no folder {str(checkpoint.parent)!r} for checkpoints") from None
    history = training.history
    history.ended, history.path = "interrupted", "" if fast else f"eager: {why}"
    # A log file keeps what a bar would overwrite. (A notebook's kernel runs in kernelapp; nbconvert imports the rest.)
    log = progress and not (sys.stderr.isatty() or "ipykernel.kernelapp" in sys.modules)
    first = len(history.losses)
    # None where nobody sees it: tqdm has a lock that Ctrl-C may leave held.
    bar = tqdm(total=epochs, initial=first, desc="training", unit="epoch") if progress and not log else None

    def train() -> None:
        if fast and first < epochs:
            try:
                history.path = fast.start()
                training.fast = fast
            except CompileError as error:
                if compiled is True:
                    raise
                history.path = f"eager: {error}"
        for epoch in range(first, epochs):
            if patience is not None and training.stale >= patience:
                history.ended = "early"
                break
            optimizer.lr = training.rate * (schedule(epoch) if schedule else 1.0)
            rng = random.Random(f"{seed}/{epoch}")  # so that an epoch's order depends on no other
            if epoch % 2 ** max(0, epoch.bit_length() - 3) == 0 or after_epoch:  # 4 times while epochs double
                training.verify(random.Random(f"{seed}/{epoch}/verify").randrange(len(data)), epoch)
            # To programs, the order within a batch does not matter: one of all is shuffled when somebody looks.
            training.later = rng if training.fast and size >= len(data) else None
            drawn = list(batches(range(len(data)), size, rng=None if training.later else rng))
            numbers = {"loss": training.run(drawn)}
            if validation:
                numbers["validation"] = training.fast.measure() if training.fast else training.measure()
            if metric:
                training.store()
                numbers["metric"] = real(metric(model, validation or data), "the metric")
            training.note(numbers)
            if after_epoch:
                training.store()
                after_epoch(model)
            if training.fast and (metric or after_epoch):
                training.fast.load()
            if checkpoint is not None:
                training.save(checkpoint)
            shown = {name: f"{x:.4f}" for name, x in numbers.items()}
            if bar is not None:
                bar.set_postfix(shown, refresh=False)
                bar.update()
            if log and (epoch + 1) * 10 // epochs > epoch * 10 // epochs:
                print(f"epoch {epoch + 1} of {epochs}:", *map(" ".join, shown.items()), file=sys.stderr)
        else:
            history.ended = "epochs"

    def settle() -> None:
        optimizer.lr = training.rate
        training.store()
        if patience is not None and training.best:
            model.load_state_dict(training.best)

    try:
        try:
            with nullcontext() if bar is None else bar, suppress(KeyboardInterrupt):
                copy_context().run(train)
        finally:
            settle()
    finally:
        settle()  # in case Ctrl-C came within the other
    return history


def _checked(
    training: _Training, compiled: bool | str, epochs: int, executor: Executor | None
) -> tuple[Compiled | None, str]:
    """Look at every example before anything changes, and whether the training is to be compiled; if not, why not."""
    if compiled is False:
        training.check()
        return None, "compiled=False"
    try:
        if importlib.util.find_spec("numpy") is None:
            training.check()
            raise CompileError("numpy is not installed: pip install 'gradgraph[fast]'")
        from nn.compiled import Compiled
        from nn.recording import Recording

        parameters = [*dict.fromkeys([*training.optimizer.params, *training.model.parameters()])]
        examples, validation = (Recording("the model or the loss", parameters) for _ in range(2))
        training.check(examples, validation)
        seconds = (examples.size + validation.size) * epochs * EAGER
        if compiled == "auto" and seconds < WORTH and not examples.obstacle and not validation.obstacle:
            raise CompileError(f"recording {epochs:,} epochs takes less than compiling")
        return Compiled(training, examples, validation, executor), ""
    except CompileError as error:
        if compiled is True:
            raise CompileError(f"this training cannot be compiled: {error}") from None
        return None, str(error)


class _Training:
    """A model on its way: what a checkpoint holds, and the eager steps."""

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        clip_norm: float | None,
        loss: Loss | None = None,
        data: Sequence[Example] = (),
        validation: Sequence[Example] = (),
        penalty: Callable[[Module], Value] | None = None,
    ) -> None:
        self.model, self.optimizer, self.clip_norm = model, optimizer, clip_norm
        self.loss, self.data, self.validation, self.penalty = loss, data, validation, penalty
        self.fast: Compiled | None = None
        #: What still has to shuffle the batch before the eager step.
        self.later: random.Random | None = None
        self.rate = optimizer.lr
        self.history = History()
        #: The parameters of the best epoch, if somebody wants them.
        self.best: dict[str, float] = {}
        self.wanted = True
        self.layers: dict[str, list[Value]] = {}
        for name, parameter in model.named_parameters():
            layer = parameter.scope.partition("[")[0] or name.partition(".")[0]
            self.layers.setdefault(layer, []).append(parameter)
        self.norms: dict[str, float] = {}
        #: What has to be the same for training to go on as if it had never stopped.
        self.settings = {"model": repr(model), "optimizer": repr(optimizer), "clip_norm": clip_norm}

    def example(self, i: int) -> Value:
        """The loss of the i-th example."""
        return _loss_of_example(self.model, self.loss, self.data[i], f"example {i}")

    def validation_example(self, i: int) -> Value:
        """The loss of the i-th example to validate with."""
        return _loss_of_example(self.model, self.loss, self.validation[i], f"validation example {i}")

    def the_penalty(self) -> Value:
        """Ω."""
        assert self.penalty is not None
        return self.penalty(self.model)

    def check(self, examples: Recording | None = None, validation: Recording | None = None) -> None:
        """Whatever does not fit is an error before anything has changed, not in the middle of an epoch."""
        given = (self.example, len(self.data), examples), (self.validation_example, len(self.validation), validation)
        for make, count, recording in given:
            for i in range(count):
                if recording:
                    recording.add(functools.partial(make, i))
                else:
                    make(i)

    def run(self, drawn: Sequence[Sequence[int]]) -> float:
        """One epoch over batches of examples; returns their mean loss, and leaves the gradient norms."""
        losses: list[float] = []
        lengths = []
        with self.fast.epoch(drawn) if self.fast else nullcontext(self.step) as step:
            for batch in drawn:
                values, of_layers = step(batch)
                losses += values
                lengths.append(of_layers)
        norms = [math.fsum(column) / len(drawn) for column in zip(*lengths, strict=True)]
        self.norms = dict(zip(self.layers, norms, strict=True))
        return math.fsum(losses) / sum(map(len, drawn))

    def step(self, batch: Sequence[int]) -> tuple[list[float], list[float]]:
        """One update; returns the losses, and the length of each layer's gradient."""
        losses = [_finite(self.example(i), f"example {i}") for i in batch]
        objective = fsum(losses) / len(losses)
        if self.penalty:
            objective = objective + self.penalty(self.model)
            if not math.isfinite(objective.data):
                raise ArithmeticError(f"the penalty makes the loss {objective.data}")
        self._zero_grad()
        objective.backward()
        for name, parameters in self.layers.items():
            if not all(math.isfinite(p.grad) for p in parameters):
                raise ArithmeticError(f"the gradient of {name} is not finite{self._where(objective, losses, batch)}")
        lengths = [math.hypot(*[p.grad for p in parameters]) for parameters in self.layers.values()]
        if self.clip_norm is not None:
            clip_grad_norm_(self.optimizer.params, self.clip_norm)
        self.optimizer.step()
        return [x.data for x in losses], lengths

    def measure(self) -> float:
        """The mean loss of the validation examples."""
        several = range(len(self.validation))
        losses = [_finite(self.validation_example(i), f"validation example {i}").data for i in several]
        return math.fsum(losses) / len(losses)

    def verify(self, i: int, epoch: int) -> None:
        """Go on eagerly if the i-th example no longer has the graph that was compiled."""
        self.store()
        why = self.fast.changed(i) if self.fast else ""
        if why:
            self.history.path += f"; eager from epoch {epoch + 1} on: {why}"
            self.fast = None

    def store(self) -> None:
        """Tell the model and the optimiser where training is, if that is not where it is done."""
        if self.fast:
            self.fast.store()

    def _zero_grad(self) -> None:
        self.model.zero_grad()
        self.optimizer.zero_grad()  # which may have parameters that are not the model's

    def _where(self, objective: Value, losses: Sequence[Value], batch: Sequence[int]) -> str:
        """Which example's gradient is not finite, and in which node it arises."""
        for value, number in zip(losses, batch, strict=True):
            self._zero_grad()
            value.backward()
            if not all(math.isfinite(p.grad) for p in self.model.parameters()):
                return f" in example {number}: {Graph(value).first_nonfinite()}"
        self._zero_grad()
        objective.backward()
        return f": {Graph(objective).first_nonfinite() or 'it overflows in the sum over the examples'}"

    @property
    def stale(self) -> int:
        """How many epochs ago the loss was lowest for the first time."""
        losses = self.history.validation_losses or self.history.losses
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def note(self, numbers: dict[str, float]) -> None:
        """Add an epoch to the history and keep the best parameters, all of it or nothing."""
        old, norms = self.history, self.history.gradient_norms
        losses = [*old.losses, numbers["loss"]]
        validated = old.validation_losses + [numbers[name] for name in ("validation",) if name in numbers]
        new: dict[str, Any] = {
            "losses": losses,
            "validation_losses": validated,
            "metrics": old.metrics + [numbers[name] for name in ("metric",) if name in numbers],
            "gradient_norms": {name: [*norms.get(name, []), norm] for name, norm in self.norms.items()},
        }
        *earlier, last = validated or losses
        best = self.best
        if self.wanted and last < min(earlier, default=math.inf):
            self.store()
            best = self.model.state_dict()
        assign([*repeat(old, len(new)), self], [*new, "best"], [*new.values(), best])

    def save(self, path: Path) -> None:
        """Write a checkpoint: floats exactly, and the file whole or not at all."""
        self.store()
        history = asdict(self.history)
        del history["path"]
        state = {
            "settings": self.settings,
            "parameters": self.model.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "history": history,
        }
        storage.write(path, FORMAT, VERSION, state)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint; if it does not fit, nothing has changed."""
        state = storage.read(path, FORMAT, VERSION)
        optimizer, parameters = self.optimizer.state_dict(), self.model.state_dict()
        try:
            self._load(state)
        except BaseException as error:
            self.optimizer.load_state_dict(optimizer)
            self.model.load_state_dict(parameters)
            if isinstance(error, (ValueError, TypeError, KeyError, AttributeError)):
                raise ValueError(f"{path} is not a checkpoint of this training: {storage.told(error)}") from None
            raise

    def _load(self, state: dict[str, Any]) -> None:
        for name, now in self.settings.items():
            if state["settings"][name] != now:
                raise ValueError(f"{name} was {str(state['settings'][name])[:200]}, and is {now}")
        parameters, best = storage.numbers(state["parameters"]), storage.numbers(state["best"])
        history = History(**state["history"])
        if not self._could_be(history):
            raise ValueError("its history is damaged")
        if best.keys() != parameters.keys():
            raise ValueError("its best parameters are damaged")
        self.optimizer.load_state_dict(state["optimizer"])
        self.optimizer.lr = self.rate
        self.model.load_state_dict(parameters)
        self.history, self.best = history, best

    def _could_be(self, history: History) -> bool:
        """Whether that is the history of such a training, as far as one can tell."""
        losses, validated, norms = history.losses, history.validation_losses, history.gradient_norms
        lists = [losses, validated, history.metrics, *norms.values()]
        return (
            all(isinstance(held, list) and all(type(x) is float for x in held) for held in lists)
            and all(map(math.isfinite, losses + validated))
            and norms.keys() == self.layers.keys()
            and bool(losses)
            and all(len(held) == len(losses) for held in norms.values())
            and len(validated) == len(losses) * bool(self.validation)
            and len(history.metrics) <= len(losses)
            and isinstance(history.ended, str)
        )


def _loss_of_example(model: Any, loss: Any, example: Example, name: str) -> Value:
    """The loss of one example; whatever goes wrong says which one it was."""
    try:
        if not isinstance(example, (tuple, list)) or len(example) != 2:
            raise TypeError(f"an example is a pair of inputs and target, such as from list(zip(X, y)), not {example!r}")
        x, y = example
        value = loss(model(x), y)
        if not isinstance(value, Value):
            raise TypeError(f"the loss must return a Value, not {type(value).__name__} {value!r}")
    except Exception as error:
        error.add_note(f"in {name}")
        raise
    return value


def _finite(value: Value, name: str) -> Value:
    if not math.isfinite(value.data):
        raise ArithmeticError(f"the loss of {name} is {value.data}: {Graph(value).first_nonfinite()}")
    return value
