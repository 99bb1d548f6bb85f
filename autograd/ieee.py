"""A float that never raises: the arithmetic of IEEE 754, for slopes that are infinite.

Python's floats raise where IEEE 754 has an answer: ``0.5 / 0.0`` is a ``ZeroDivisionError``, not
``inf``.  A forward pass should raise; but the *slope* of sqrt at 0 is ``inf``, and a rule that has
just raised is asked once more, in this kind of number.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograd.operations import Operation


def _divide(x: float, y: float) -> float:
    if y:
        return x / y
    return math.nan if x == 0.0 or math.isnan(x) else math.copysign(math.inf, x) * math.copysign(1.0, y)


def _power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except (ValueError, OverflowError):
        if x < 0.0 and not y.is_integer():
            return math.nan
        odd = y.is_integer() and math.fmod(y, 2.0) != 0.0
        return math.copysign(math.inf, x) if odd else math.inf


#: Rows that may overflow to either side.
_SIGNED: dict[str, Callable[..., float]] = {
    "sinh": lambda x: math.copysign(math.inf, x),
    "pow": _power,
    "fsum": sum,
    "sumprod": lambda p, q: sum(map(operator.mul, p, q)),
}
#: Points at the edge of a domain where IEEE 754 has an infinity.
_POLES = {
    **{(name, 0.0): -math.inf for name in ("log", "log2", "log10")},
    ("log1p", -1.0): -math.inf,
    **{("atanh", x): x * math.inf for x in (-1.0, 1.0)},
}


def _both(f: Callable[[float, float], float]) -> tuple[Callable[[Any, Any], Ieee], Callable[[Any, Any], Ieee]]:
    """The method for ``x ∘ y`` and its reflection for ``y ∘ x``."""
    return lambda x, y: Ieee(f(float(x), float(y))), lambda x, y: Ieee(f(float(y), float(x)))


class Ieee(float):
    """A float with IEEE 754 division and powers, whose results are ``Ieee`` again.

    >>> 0.5 / Ieee(0.0), Ieee(0.0) ** -0.5, Ieee(0.0) / 0.0
    (inf, inf, nan)
    """

    __slots__ = ()

    __add__, __radd__ = _both(operator.add)
    __sub__, __rsub__ = _both(operator.sub)
    __mul__, __rmul__ = _both(operator.mul)
    __truediv__, __rtruediv__ = _both(_divide)
    __pow__, __rpow__ = _both(_power)  # type: ignore[assignment]  # float's own has a third operand

    def __neg__(self) -> Ieee:
        return Ieee(-float(self))

    @classmethod
    def _apply(cls, op: Operation, operands: Sequence[Any]) -> Ieee:
        """A row of the table: overflow is inf, a point outside the domain is nan."""
        try:
            return cls(op.forward(*operands))
        except OverflowError:
            signed = _SIGNED.get(op.name)
            return cls(signed(*operands) if signed else math.inf)
        except ValueError:
            return cls(_POLES.get((op.name, *operands), math.nan))
