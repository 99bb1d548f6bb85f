"""The curve of an operation around the point where it was applied: what a small plot on a card shows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autograd import Constant, Value

Point = tuple[float, float]

SAMPLES = 32
#: Below this slope a unit counts as saturated: a fifth of the sigmoid's steepest.
FLAT = 0.05


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve in the unit square, (0, 0) at its bottom left."""

    #: Each a Bézier curve: a start, and three points for each stretch.
    pieces: tuple[tuple[Point, ...], ...]
    #: Where the axes cross the square, if they do: the y of the x axis, and the x of the y axis.
    axes: tuple[float | None, float | None]
    #: The operating point.
    point: Point
    #: The ends of the tangent, whose slope is the local derivative; None where only values are shown.
    tangent: tuple[Point, Point] | None
    #: "dead" or "saturated" if the curve is flat at the point and around it.
    tag: str


def curve(node: Value) -> Curve | None:
    """The curve of a function of one variable, such as tanh or ``leaky_relu`` with its slope; None of any other.

    >>> curve(Value(-2.0).relu()).tag
    'dead'
    """
    op, u = node.op, node.parents[0].data if node.parents else 0.0
    if op is None or op.nary or not op.symbol.isidentifier():
        return None
    constants = [parent.data for parent in node.parents[1:] if isinstance(parent, Constant)]
    if len(constants) < len(node.parents) - 1 or not math.isfinite(u) or not math.isfinite(node.data):
        return None

    def at(x: float) -> tuple[float, float] | None:
        """Value and slope."""
        try:
            y = float(op.forward(x, *constants))
            slope = float(op.partials[0](x, *constants, y))
        except (ArithmeticError, ValueError):
            return None
        return (y, slope) if math.isfinite(y) and math.isfinite(slope) else None

    low, high = _window(u, at)
    step = (high - low) / SAMPLES
    samples = [(x, at(x)) for x in (low + i * step for i in range(SAMPLES + 1))]
    known = sorted(found[0] for _, found in samples if found)
    slope = node.partials[0]
    if len(known) < 2 or not math.isfinite(slope):
        return None
    # A pole would squeeze all else into a line: the steepest twentieth at either end may leave the square.
    cut = len(known) // 20
    bottom, top = min(known[cut], node.data), max(known[-1 - cut], node.data)
    margin = 0.12 * (top - bottom) or 1.0
    bottom, top = bottom - margin, top + margin

    def place(x: float, y: float) -> Point:
        return (x - low) / (high - low), (y - bottom) / (top - bottom)

    def within(y: float) -> bool:
        return bottom <= y <= top

    pieces: list[list[Point]] = [[]]
    before: tuple[float, float, float] | None = None
    for x, found in samples:
        now = (x, *found) if found and within(found[0]) else None
        if before and now:
            (x0, y0, s0), (x1, y1, s1) = before, now
            # The cubic with these ends and slopes; a jump, such as at a pole of tan, is not drawn.
            if abs((y1 - y0) / step) <= 4.0 * max(abs(s0), abs(s1)) or _close(y0, y1, top - bottom):
                pieces[-1] = pieces[-1] or [place(x0, y0)]
                pieces[-1] += [place(x0 + step / 3, y0 + s0 * step / 3), place(x1 - step / 3, y1 - s1 * step / 3)]
                pieces[-1].append(place(x1, y1))
            else:
                pieces.append([])
        elif pieces[-1]:
            pieces.append([])
        before = now
    here = place(u, node.data)
    return Curve(
        pieces=tuple(tuple(piece) for piece in pieces if piece),
        axes=(place(0.0, 0.0)[1] if within(0.0) else None, place(0.0, 0.0)[0] if low <= 0.0 <= high else None),
        point=here,
        tangent=_tangent(here, slope * (high - low) / (top - bottom)),
        tag=_tag(u, slope, high - low, at),
    )


def _close(y0: float, y1: float, height: float) -> bool:
    return abs(y1 - y0) < 0.05 * height


def _window(u: float, at: Callable[[float], tuple[float, float] | None]) -> tuple[float, float]:
    """What is shown of the x axis: 0 and the point, unless the curve turns too often between them."""
    width = max(2.5, 1.3 * abs(u))
    slopes = [found[1] for found in map(at, _between(-width, width)) if found]
    turns = sum(a * b < 0.0 for a, b in itertools.pairwise(slopes))
    return (-width, width) if turns <= 4 else (u - 4.0, u + 4.0)


def _between(low: float, high: float) -> Iterator[float]:
    return (low + i * (high - low) / SAMPLES for i in range(SAMPLES + 1))


def _tangent(point: Point, slope: float, length: float = 0.6) -> tuple[Point, Point]:
    """A stretch of the tangent around the point, each half cut where it would leave the square."""
    dx = length / 2 / math.hypot(1.0, slope)
    dy = slope * dx

    def end(side: int) -> Point:
        room = [1.0]
        for at, step in zip(point, (side * dx, side * dy), strict=True):
            if step:
                room.append(((0.96 if step > 0.0 else 0.04) - at) / step)
        return point[0] + side * dx * min(room), point[1] + side * dy * min(room)

    return end(-1), end(1)


def _tag(u: float, slope: float, width: float, at: Callable[[float], tuple[float, float] | None]) -> str:
    """At a stationary point, such as a cosine's, the slope is 0 and the curve is not flat: hence the neighbours."""
    around = [abs(found[1]) for found in map(at, (u - 0.05 * width, u, u + 0.05 * width)) if found]
    if not slope and not any(around):
        return "dead"
    return "saturated" if slope and max([abs(slope), *around[1:2]]) < FLAT and max(around) < 4.0 * FLAT else ""
