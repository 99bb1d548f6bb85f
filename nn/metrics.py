"""How good a classifier is, in numbers that people understand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autograd import Value, no_grad


def predict(model: Callable[[Any], Any], x: Any) -> int:
    """The class a model chooses: of several outputs the largest, of one whether it is positive.

    >>> predict(lambda x: [Value(0.1), Value(x)], 2.0)
    1
    """
    with no_grad():
        output = model(x)
    if isinstance(output, Value):
        return int(output.data > 0.0)
    return max(range(len(output)), key=output.__getitem__)


def accuracy(model: Callable[[Any], Any], data: Sequence[tuple[Any, int]]) -> float:
    """The share of examples whose class is predicted.

    Raises:
        ValueError: if there are no examples.

    >>> accuracy(lambda x: Value(x), [(1.0, 1), (-1.0, 0), (2.0, 0), (3.0, 1)])
    0.75
    """
    if not data:
        raise ValueError("accuracy needs at least one example")
    return sum(predict(model, x) == y for x, y in data) / len(data)


def confusion(model: Callable[[Any], Any], data: Sequence[tuple[Any, int]], classes: int) -> list[list[int]]:
    """How many examples of each class (row) are predicted as each class (column).

    >>> confusion(lambda x: Value(x), [(1.0, 1), (-1.0, 0), (2.0, 0)], classes=2)
    [[1, 1], [0, 1]]
    """
    counts = [[0] * classes for _ in range(classes)]
    for x, y in data:
        counts[y][predict(model, x)] += 1
    return counts
