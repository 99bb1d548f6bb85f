"""How good a classifier is, in numbers that people understand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autograd import Value, sigmoid
from autograd.context import contained, recorded
from autograd.operations import real


@contained
def predict(model: Callable[[Any], Any], x: Any) -> int:
    """The class a model chooses.

    Of several outputs, the largest; of a single one, 1 if it is above the middle of its range: ½ for
    a sigmoid's, 0 for a logit, a tanh's or a score.

    >>> predict(lambda x: [Value(0.1), Value(x)], 2.0)
    1
    >>> predict(lambda x: sigmoid(Value(x)), -2.0)
    0
    """
    with recorded():  # so that the output knows its activation
        output = model(x)
    if isinstance(output, Value):
        return int(output.data > (0.5 if output.op is sigmoid else 0.0))
    return max(range(len(output)), key=output.__getitem__)


def accuracy(model: Callable[[Any], Any], data: Sequence[tuple[Any, int]]) -> float:
    """The share of examples whose class is predicted.

    Args:
        model: called with the inputs of each example; see :func:`predict`.
        data: examples whose targets are the numbers of classes; for a single output also −1 and 1.

    Raises:
        ValueError: if there are no examples, or a target is not a class.

    >>> accuracy(lambda x: Value(x), [(1.0, 1), (-1.0, 0), (2.0, 0), (3.0, 1)])
    0.75
    """
    if not data:
        raise ValueError("accuracy needs at least one example")
    return sum(predict(model, x) == _class(y) for x, y in data) / len(data)


def confusion(model: Callable[[Any], Any], data: Sequence[tuple[Any, int]], classes: int) -> list[list[int]]:
    """How many examples of each class (row) are predicted as each class (column).

    Args:
        model: called with the inputs of each example; see :func:`predict`.
        data: examples whose targets are the numbers of classes; for a single output also −1 and 1.
        classes: how many there are.

    Raises:
        ValueError: if a target or a prediction is not one of the classes.

    >>> confusion(lambda x: Value(x), [(1.0, 1), (-1.0, 0), (2.0, 0)], classes=2)
    [[1, 1], [0, 1]]
    """
    counts = [[0] * classes for _ in range(classes)]
    for x, y in data:
        row, column = _class(y), predict(model, x)
        if max(row, column) >= classes:
            raise ValueError(f"class {max(row, column)} is not one of the {classes} classes 0 … {classes - 1}")
        counts[row][column] += 1
    return counts


def _class(target: Any) -> int:
    """The number of a class; for those who write the two classes −1 and 1, −1 is class 0."""
    if target == -1:
        return 0
    number = real(target, "the target")
    if number < 0.0 or number % 1.0:
        raise ValueError(f"target {target!r} is not the number of a class")
    return int(number)
