"""What training makes small.

Each loss is a function of one example's output and target.  With ``reduction="mean"`` or ``"sum"``
it takes a batch: a list of outputs and a list of targets.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from autograd import Value, fsum, log, log1p, logsumexp, relu, softplus, sumprod
from autograd import abs as abs_
from autograd.operations import real
from nn.module import Module

Output = Value | float | Sequence[Value | float]
Reduction = Literal["mean", "sum"]


def _reducible(loss: Callable[[Any, Any], Value]) -> Callable[..., Value]:
    """A loss of one example that also takes a batch."""

    @functools.wraps(loss)
    def reduced(outputs: Any, targets: Any, *, reduction: Reduction | None = None) -> Value:
        if reduction is None:
            return loss(outputs, targets)
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")
        if len(outputs) != len(targets) or not outputs:
            raise ValueError(f"{loss.__name__} needs a target for each output: {_count(outputs, targets)}")
        losses = [loss(output, target) for output, target in zip(outputs, targets, strict=True)]
        return fsum(losses) / len(losses) if reduction == "mean" else fsum(losses)

    return reduced


def _pairs(output: Output, target: Output, name: str) -> tuple[list[Value | float], list[Value | float]]:
    """Output and target as lists of the same length; a single number is a list of one."""
    ys, ds = _numbers(output, name), _numbers(target, name)
    if len(ys) != len(ds) or not ys:
        raise ValueError(f"{name} needs a target for each output: {_count(ys, ds)}")
    return ys, ds


def _count(outputs: Sequence[Any], targets: Sequence[Any]) -> str:
    return f"outputs: {len(outputs)}, targets: {len(targets)}"


def _numbers(given: Output, name: str) -> list[Value | float]:
    several = isinstance(given, Iterable) and not isinstance(given, str)
    return [x if isinstance(x, Value) else real(x, name) for x in (given if several else [given])]  # type: ignore[union-attr]


def _score(output: Value | float, name: str) -> Value:
    """The output of a network that has one."""
    if isinstance(output, Sequence):
        raise TypeError(f"{name} needs a single output, not {len(output)}; for a class each, use cross_entropy")
    return output  # type: ignore[return-value]


def _of_class(outputs: Sequence[Value], target: int, name: str) -> Value:
    """The output that belongs to the class, the target."""
    if not isinstance(outputs, Sequence):
        raise TypeError(
            f"{name} needs an output for each class, not a single one; for that, use binary_cross_entropy_with_logits"
        )
    if target not in range(len(outputs)):
        raise ValueError(f"target {target!r} is not one of the {len(outputs)} classes 0 … {len(outputs) - 1}")
    return outputs[int(target)]


@_reducible
def squared_error(output: Output, target: Output) -> Value:
    """‖y − d‖²; the mean over a batch is the mean squared error.

    >>> squared_error(Value(3.0), 1.0).data
    4.0
    """
    ys, ds = _pairs(output, target, "squared_error")
    errors = [y - d for y, d in zip(ys, ds, strict=True)]
    return sumprod(errors, errors)


@_reducible
def half_squared_error(output: Output, target: Output) -> Value:
    """½‖y − d‖², whose gradient is y − d (Rumelhart, Hinton & Williams 1986, eq. 3).

    >>> half_squared_error([Value(3.0), Value(1.0)], [1.0, 0.0]).data
    2.5
    """
    return 0.5 * squared_error(output, target)


@_reducible
def absolute_error(output: Output, target: Output) -> Value:
    """Σ|y − d|.

    >>> absolute_error([Value(3.0), Value(-1.0)], [1.0, 0.0]).data
    3.0
    """
    ys, ds = _pairs(output, target, "absolute_error")
    return fsum([abs_(y - d) for y, d in zip(ys, ds, strict=True)])


@_reducible
def cross_entropy(logits: Sequence[Value], target: int) -> Value:
    """−log softmax(a)_d = log Σ_k exp(a_k) − a_d.

    The softmax is part of the loss, as in PyTorch: its gradient is ∂L/∂a = softmax(a) − y, and it
    is finite for any finite logits.

    Args:
        logits: a, one per class.
        target: d, the number of the right class.
        reduction: for a batch.

    Raises:
        ValueError: if there is no such class.

    >>> a = [Value(1.0), Value(2.0)]
    >>> loss = cross_entropy(a, 1)
    >>> loss.backward()
    >>> [round(x.grad, 4) for x in a]
    [0.2689, -0.2689]
    """
    right = _of_class(logits, target, "cross_entropy")
    return logsumexp(logits) - right


@_reducible
def negative_log_likelihood(probabilities: Sequence[Value], target: int) -> Value:
    """−log p_d, from probabilities such as a softmax output's.

    >>> round(negative_log_likelihood([Value(0.2), Value(0.8)], 1).data, 4)
    0.2231
    """
    return -log(_of_class(probabilities, target, "negative_log_likelihood"))


@_reducible
def cross_entropy_from_probabilities(probabilities: Sequence[Value], target: Sequence[float]) -> Value:
    """−Σ_k y_k log p_k, for a distribution y; terms with y_k = 0 are left out.

    >>> round(cross_entropy_from_probabilities([Value(0.2), Value(0.8)], [0.5, 0.5]).data, 4)
    0.9163
    """
    ps, ys = _pairs(probabilities, target, "cross_entropy_from_probabilities")
    if not all(y >= 0.0 for y in ys) or not math.isclose(math.fsum(map(float, ys)), 1.0, abs_tol=1e-6):
        raise ValueError(f"target {target!r} is not a distribution: its numbers must be 0 or positive, with sum 1")
    return -fsum([y * log(p) for p, y in zip(ps, ys, strict=True) if y])


@_reducible
def binary_cross_entropy(probability: Value, target: float) -> Value:
    """−y log p − (1 − y) log(1 − p), from a probability such as a sigmoid output.

    >>> round(binary_cross_entropy(Value(0.8), 1).data, 4)
    0.2231
    """
    p = _score(probability, "binary_cross_entropy")
    return _binary(target, lambda: -log(p), lambda: -log1p(-p))


@_reducible
def binary_cross_entropy_with_logits(logit: Value, target: float) -> Value:
    """The same from a logit a: y softplus(−a) + (1 − y) softplus(a), finite for any finite a.

    >>> binary_cross_entropy_with_logits(Value(-1e4), 1).data
    10000.0
    """
    a = _score(logit, "binary_cross_entropy_with_logits")
    return _binary(target, lambda: softplus(-a), lambda: softplus(a))


def _binary(target: float, if_one: Callable[[], Value], if_zero: Callable[[], Value]) -> Value:
    """The mean of two losses, of which only those that count are computed."""
    if not 0.0 <= real(target, "the target") <= 1.0:
        raise ValueError(f"target {target!r} is not a probability: 0, 1 or between")
    if target in (0.0, 1.0):
        return if_one() if target else if_zero()
    return target * if_one() + (1.0 - target) * if_zero()


@_reducible
def hinge(score: Value, target: float) -> Value:
    """max(0, 1 − y·s), for a class y of ±1: the max-margin loss of a support vector machine.

    >>> hinge(Value(0.25), 1).data, hinge(Value(0.25), -1).data
    (0.75, 1.25)
    """
    if target not in (-1, 1):
        raise ValueError(f"target {target!r} must be 1 or -1")
    return relu(1.0 - target * _score(score, "hinge"))


def l2(weights: Module | Iterable[Value]) -> Value:
    """½‖W‖², whose gradient is W (Goodfellow, Bengio & Courville, eq. 7.2); of a module, the weights only.

    >>> l2([Value(3.0), Value(4.0)]).data
    12.5
    """
    ws = _weights(weights)
    return 0.5 * sumprod(ws, ws)


def l1(weights: Module | Iterable[Value]) -> Value:
    """Σ|w| (eq. 7.19); of a module, the weights only.

    >>> l1([Value(3.0), Value(-4.0)]).data
    7.0
    """
    return fsum([abs_(w) for w in _weights(weights)])


def _weights(weights: Module | Iterable[Value]) -> list[Value]:
    return weights.weights() if isinstance(weights, Module) else list(weights)
