"""Which class a model of two inputs chooses where: what plots and films show, each in its own way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from autograd import Value, sigmoid
from viz.palette import INK, MUTED, RIBBON, STROKE

#: Of the classes: the sides of 0 as gradients have them.
COLOURS = [RIBBON[-1], RIBBON[1], STROKE["parameter"], INK, MUTED]
#: Beyond it, and below its inverse, the ticks of matplotlib overflow.
HUGE = 1e150
#: One character for every class and lead, and for what is not finite; no character that JSON or HTML escapes.
CODES, UNKNOWN = "".join(c for c in map(chr, range(35, 127)) if c not in "\\<>&'"), " "


def around(points: Sequence[Sequence[float]], count: int) -> tuple[list[float], list[float]]:
    """So many places along each side of a frame around all points."""
    sides = [[x[j] for x in points] for j in (0, 1)]
    margin = 0.08 * max(max(side) - min(side) for side in sides) or 1.0
    across, up = (evenly(min(side) - margin, max(side) + margin, count) for side in sides)
    return across, up


def evenly(low: float, high: float, count: int) -> list[float]:
    """So many numbers from one to another."""
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def scores(output: Any) -> list[Any]:
    """A score per class, for a model's output: the largest is chosen, as by ``nn.predict``.

    >>> [score.data for score in scores(Value(-2.0))]
    [1.0, -1.0]
    """
    if isinstance(output, Value):
        half = 0.5 * (output - 0.5 if output.op is sigmoid else output)
        return [-half, half]
    return list(output)


def leads(scores: list[float]) -> list[float]:
    """By how much each class is ahead of the best other one.

    >>> leads([1.0, -1.0]), leads([1.0, 4.0, 2.0])
    ([2.0, -2.0], [-3.0, 2.0, -2.0])
    """
    return finite([score - max(scores[:c] + scores[c + 1 :]) for c, score in enumerate(scores)])


def finite(xs: Iterable[Any]) -> list[float]:
    """Each number, or nan, where lines are broken, for one that is not finite or beyond what axes can show."""
    return [x if abs(x) < HUGE else math.nan for x in xs]


def on_a_plane(example: Any) -> bool:
    """Whether an example is two numbers and a class.

    >>> on_a_plane(([0.5, 2.0], 1)), on_a_plane(([0.5, 2.0], 0.3)), on_a_plane(("ab", 1))
    (True, False, False)
    """
    x, y = example
    two = isinstance(x, Sequence) and len(x) == 2 and all(isinstance(v, Real) and math.isfinite(v) for v in x)
    return two and isinstance(y, Real) and float(y) >= -1.0 and float(y).is_integer()


def choice(scores: list[float]) -> tuple[int, float]:
    """The class that is chosen, of equals the first, and by how much it is ahead; nan if that is not known."""
    ahead = leads(scores)
    c = max(range(len(ahead)), key=ahead.__getitem__)
    return c, math.nan if any(map(math.isnan, ahead)) else ahead[c]


def coded(choices: Sequence[Sequence[tuple[int, float]]]) -> tuple[list[str], int]:
    """Choices as texts, of which each character tells the class and the root of its lead, and the steps per class.

    A lead is a share of the largest of all; its root tells more near the boundary.

    >>> coded([[(0, 0.0), (1, 0.5)], [(1, 2.0), (1, math.nan)]])
    (['#h', '} '], 43)
    """
    known = [choice for each in choices for choice in each if choice[1] == choice[1]]
    largest, classes = max((lead for _, lead in known), default=0.0) or 1.0, 1 + max((c for c, _ in known), default=0)
    steps = len(CODES) // min(classes, 10)

    def code(c: int, lead: float) -> str:
        return UNKNOWN if lead != lead else CODES[c % 10 * steps + min(steps - 1, int(steps * (lead / largest) ** 0.5))]

    return ["".join(code(*each) for each in one) for one in choices], steps
