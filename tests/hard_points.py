"""Every row once more, in mpmath with as many digits as it takes, and the points where its kin lose digits.

The oracle knows no rule of the table: a derivative is a central difference of the function, of so many digits
that those of half as many agree with it to 40 (:func:`derivatives`).

The points are those of the literature:

- D. Goldberg, "What every computer scientist should know about floating-point arithmetic", 1991: ``log1p``,
  cancellation, hypot without overflow;
- W. Kahan, "Branch cuts for complex elementary functions, or: much ado about nothing's sign bit", 1987: the sides
  of the cut of ``atan2``; ``acosh`` near 1, ``asin`` near ±1;
- N. J. Higham, *Accuracy and stability of numerical algorithms*, 2nd ed., 2002, chapters 1 and 27: ``expm1`` near 0,
  sums that cancel, ``hypot``;
- J.-M. Muller et al., *Handbook of floating-point arithmetic*, 2nd ed., 2018, and J.-M. Muller, *Elementary
  functions*, 3rd ed., 2016: arguments near multiples of π/2, huge arguments of ``sin``, where ``exp`` becomes
  subnormal and where it overflows, powers near 1 with a huge exponent;
- M. Mächler, "Accurately computing log(1 − exp(−|a|))", 2012: the thresholds −37, 18 and 33.3 of ``softplus``;
- P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and softmax functions", 2021:
  ``logsumexp`` of one large and many tiny terms, of equal ones, of large ones with both signs;
- IEEE 754-2019, section 9.2, and C99, Annex F: the special values of ``pow``, ``hypot`` and ``atan2``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from mpmath import mp

from autograd import Operation, Value, gradient

Function = Callable[[Sequence[Any]], Any]


def _unary(f: Callable[[Any], Any]) -> Function:
    return lambda xs: f(xs[0])


def _binary(f: Callable[[Any, Any], Any]) -> Function:
    return lambda xs: f(*xs)


def _dot(xs: Sequence[Any]) -> Any:
    half = len(xs) // 2
    return sum(x * y for x, y in zip(xs[:half], xs[half:], strict=True))


def _zero_one(x: Any) -> Any:
    return mp.mpf(1 if x > 0 else 0)


#: The functions, of flat operands.
ORACLE: dict[str, Function] = {
    "add": _binary(lambda x, y: x + y),
    "sub": _binary(lambda x, y: x - y),
    "mul": _binary(lambda x, y: x * y),
    "div": _binary(lambda x, y: x / y),
    "neg": _unary(lambda x: -x),
    "pow": _binary(lambda x, y: x**y),
    "abs": _unary(abs),
    "sign": _unary(mp.sign),
    "step": _unary(_zero_one),
    "nonzero": _unary(lambda x: abs(mp.sign(x))),
    "maximum": _binary(max),
    "minimum": _binary(min),
    "where": lambda xs: xs[1] if xs[0] else xs[2],
    "exp": _unary(mp.exp),
    "exp2": _unary(lambda x: mp.exp(x * mp.ln(2))),
    "expm1": _unary(lambda x: mp.exp(x) - 1),
    "log": _unary(mp.ln),
    "log2": _unary(lambda x: mp.ln(x) / mp.ln(2)),
    "log10": _unary(lambda x: mp.ln(x) / mp.ln(10)),
    "log1p": _unary(lambda x: mp.ln(1 + x)),
    "sqrt": _unary(mp.sqrt),
    "cbrt": _unary(lambda x: mp.sign(x) * mp.exp(mp.ln(abs(x)) / 3)),
    "sin": _unary(mp.sin),
    "cos": _unary(mp.cos),
    "tan": _unary(lambda x: mp.sin(x) / mp.cos(x)),
    "asin": _unary(mp.asin),
    "acos": _unary(mp.acos),
    "atan": _unary(mp.atan),
    "atan2": _binary(mp.atan2),
    "sinh": _unary(lambda x: (mp.exp(x) - mp.exp(-x)) / 2),
    "cosh": _unary(lambda x: (mp.exp(x) + mp.exp(-x)) / 2),
    "tanh": _unary(lambda x: 1 - 2 / (mp.exp(2 * x) + 1)),
    "asinh": _unary(lambda x: mp.sign(x) * mp.ln(abs(x) + mp.sqrt(x * x + 1))),
    "acosh": _unary(lambda x: mp.ln(x + mp.sqrt(x * x - 1))),
    "atanh": _unary(lambda x: mp.ln((1 + x) / (1 - x)) / 2),
    "hypot": _binary(lambda x, y: mp.sqrt(x * x + y * y)),
    "erf": _unary(mp.erf),
    "erfc": _unary(mp.erfc),
    "sigmoid": _unary(lambda x: 1 / (1 + mp.exp(-x))),
    "relu": _unary(lambda x: x * _zero_one(x)),
    "leaky_relu": _binary(lambda x, alpha: x if x > 0 else alpha * x),
    "softplus": _unary(lambda x: mp.ln(1 + mp.exp(x))),
    "fsum": sum,
    "sumprod": _dot,
    "logsumexp": lambda xs: mp.ln(sum(map(mp.exp, xs))),
}

#: Smaller numbers are as good as 0: in computing them, others became subnormal and lost digits.
UNDERFLOW = 1e-290
TINY, NORMAL, HUGE, EPS = 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 2.0**-52
BELOW_1, ABOVE_1 = math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0)


def _both(*xs: float) -> list[float]:
    """With either sign."""
    return [sign * x for x in xs for sign in (1.0, -1.0)]


_SMALL = _both(TINY, 1e-310, NORMAL, 1e-200, 1e-100, 1e-20, 1e-17, 1e-16, 3e-9, 1e-8, 1e-5, 0.01)
_NEAR_1 = [BELOW_1, 1.0 - 1e-12, 1.0 - 1e-8, 1.0 - 1e-4, 0.999]
_MIDDLE = _both(0.1, 0.5, math.log(2.0), 1.0, 2.0, math.pi, 10.0)
_TAILS = _both(18.0, 33.3, 36.5, 37.0, 40.0, 100.0, 700.0, 708.3, 709.7, 720.0, 745.0, 1000.0)
_LARGE = _both(1e5, 1e8, 1e16, 1e77, 1e100, 1e154, 1e200, 1e300, HUGE)
_LOGARITHM = [abs(x) for x in (*_SMALL[::2], *_MIDDLE[::2], *_LARGE[::2])] + [*_NEAR_1, ABOVE_1, 1 + 1e-9, 1.5]
#: Near multiples of π/2, the last one being the nearest of all doubles (Muller 2016, section 11.3); and huge ones.
_ANGLES = _both(*(k * math.pi / 2 for k in (1, 2, 3, 4, 100)), 1e5, 1e22, 2.0**1000, 6381956970095103.0 * 2.0**797)
_ONE: dict[str, Sequence[float]] = {
    **dict.fromkeys(("neg", "abs", "sign", "step", "nonzero", "relu", "cbrt"), (*_SMALL, *_MIDDLE, *_LARGE)),
    **dict.fromkeys(("exp", "expm1", "sigmoid", "softplus", "tanh", "sinh", "cosh"), (*_SMALL, *_MIDDLE, *_TAILS)),
    "exp2": [*_SMALL, *_MIDDLE, *_both(100.0, 1000.0, 1021.9, 1023.9), -1074.0, -1080.0],
    **dict.fromkeys(("log", "log2", "log10", "sqrt"), _LOGARITHM),
    "log1p": [*_SMALL, *_MIDDLE[::2], *_LARGE[::2], *(-x for x in _NEAR_1), -0.5],
    **dict.fromkeys(("sin", "cos", "tan"), (*_SMALL, *_MIDDLE, *_ANGLES)),
    **dict.fromkeys(("asin", "acos", "atanh"), (*_SMALL, *_both(0.1, 0.5, 0.9, *_NEAR_1))),
    **dict.fromkeys(("atan", "asinh"), (*_SMALL, *_MIDDLE, *_LARGE)),
    "acosh": [ABOVE_1, 1 + 1e-12, 1 + 1e-8, 1.0001, 1.5, 2.0, 10.0, *_LARGE[::2]],
    "erf": [*_SMALL, *_MIDDLE[:-2], *_both(5.0, 5.9, 6.0, 26.0, 27.2)],
    "erfc": [*_SMALL, *_MIDDLE[:-2], *_both(5.0, 5.9, 6.0, 26.0, 26.5)],
}
_PAIRS: list[tuple[float, float]] = [
    *itertools.product(_both(1.0), _both(1.0)),
    *itertools.product((1.0, -2.0), _both(TINY, 1e-200, 1e-9, 1e-17, 1e9, 1e17, 1e200)),
    *[(y, x) for x, y in itertools.product((1.0, -2.0), _both(TINY, 1e-200, 1e-9, 1e-17, 1e9, 1e17, 1e200))],
    (1e200, 1e-200),
    (1e-200, 1e200),
    (1e200, 1e200),
    (1e-200, 1e-200),
    (3e-310, 4e-310),
    (1.0, ABOVE_1),
    (1.0, BELOW_1),
    (3.0, 4.0),
]
_POWERS: list[tuple[float, float]] = [
    *[(x, y) for x in (2.0, 0.5, 10.0, 1e-5) for y in (0.5, -0.5, 3.0, -3.0, 1.0, 2.0, 1e-17, -1e-17, 60.0)],
    *[(ABOVE_1, y) for y in (1e15, 1e17, -1e17, 1e18, 3.0)],
    *[(BELOW_1, y) for y in (1e15, 1e17, -1e17, 1e18, 3.0)],
    *[(-2.0, y) for y in (3.0, 2.0, -3.0, -2.0, 1.0, 1001.0)],
    *[(1e308, y) for y in (1.0, -1.0, 0.5, 1e-20, -1.0)],
    *[(TINY, y) for y in (1.0, 0.5, 0.1, -0.5, 1e-20)],
    *[(1e-200, y) for y in (1.5, -1.5, 1.6)],
    (2.0, 1023.9),
    (2.0, -1073.0),
    (2.0, -1060.5),
]
_TWO: dict[str, Sequence[tuple[float, float]]] = {
    **dict.fromkeys(("add", "sub", "mul", "maximum", "minimum", "hypot", "atan2"), _PAIRS),
    "div": [*_PAIRS, (1.0, 1e308), (1e-300, 1e-300), (1e300, 1e300), (1e-310, 3.0)],
    "pow": _POWERS,
    "leaky_relu": [(x, a) for x in _both(TINY, 1e-8, 1.0, 1e200) for a in (0.01, 0.1, 0.3, 1e-20, 2.0, 1e17)],
}
_MANY: dict[str, Sequence[Sequence[float]]] = {
    "where": [(c, 2.0, 3.0) for c in _both(TINY, 1.0, 1e300)],
    "fsum": [(1.0, 1e100, 1.0, -1e100), (0.1,) * 10, (1.0, EPS / 2, EPS / 2), (1e308, -1e308, TINY), (3.0,)],
    "sumprod": [(1e100, 1.0, -1e100, 1.0, 1.0, 1.0), (1e200, 1e-200, 1e-200, 1e200), (0.1, 0.2, 0.3, 0.7), (3.0, 2.0)],
    "logsumexp": [
        *[(0.0, x) for x in (-1e-17, -1.0, -18.0, -36.0, -37.0, -40.0, -700.0, -745.0, -1000.0)],
        *[(-40.0, 0.0, -41.0), (1000.0, 1000.0), (-1000.0, -1000.0), (1000.0, -1000.0), (1e8, 1e8, 1.0)],
        *[(709.0, 709.5, 710.0), (-745.0, -746.0), (3.0,), (1e-300,), (-1.0, -1.0, -1.0, -1.0), (0.1, 0.2, 0.3)],
        *[(1e300, -1e300), (-math.log(2.0), -math.log(2.0)), (-math.log(3.0), math.log(2.0 / 3.0) + 1e-9)],
    ],
}


def hard_points(name: str) -> list[tuple[float, ...]]:
    """The hard points of a row, flat; none lies on a kink."""
    if name in _ONE:
        return [(x,) for x in _ONE[name]]
    points = _TWO[name] if name in _TWO else _MANY[name]
    smooth = [p for p in points if not (name in ("maximum", "minimum") and p[0] == p[1])]
    return [tuple(p) for p in smooth]


#: First derivatives in closed form, where the difference would take minutes.
SLOPES: dict[str, Function] = {
    "erf": _unary(lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "erfc": _unary(lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
}


class Told(NamedTuple):
    """One number of a row at a point: its order, what it is, and its condition Σ |xⱼ ∂q/∂xⱼ|, when asked."""

    order: int
    number: Any
    condition: Callable[[], Any]

    def error(self, found: float) -> tuple[float, float]:
        """How far a number is off, in eps = 2**-52: relative to what it should be, and to the condition if larger."""
        if mp.isnan(self.number) or not math.isfinite(expected := float(self.number)) or not math.isfinite(found):
            wrong = math.isnan(found) != bool(mp.isnan(self.number)) or not (math.isnan(found) or found == expected)
            return (math.inf, math.inf) if wrong else (0.0, 0.0)
        off, size = abs(found - self.number) / EPS, max(abs(self.number), mp.mpf(UNDERFLOW))
        return float(off / size), float(off / (size if off < size else max(size, self.condition())))


def _difference(f: Function, j: int) -> Function:
    """The central difference of f by its j-th operand."""

    def slope(xs: Sequence[Any]) -> Any:
        h = mp.mpf(10) ** -(mp.dps // 5) * (min(abs(xs[j]), 1) or 1)
        after, before = ([*xs[:j], xs[j] + side * h, *xs[j + 1 :]] for side in (1, -1))
        return (f(after) - f(before)) / (2 * h)

    return slope


def _settled(f: Function, at: Sequence[float]) -> Any:
    """The value of f, with twice the digits until 40 of them stay; 0 if they never do, nan if it is not real."""
    last = mp.mpf(0)
    for digits in (150, 300, 600, 1200, 2400, 4800):
        with mp.workdps(digits):
            z = f([mp.mpf(x) for x in at])
            if isinstance(z, mp.mpc):
                return mp.nan
            if z and abs(z - last) <= abs(z) * mp.mpf(10) ** -40:
                return z
            last = z
    return mp.mpf(0)


def derivatives(name: str, at: Sequence[float]) -> list[Told]:
    """Value, slopes and upper second derivatives."""
    n, f = len(at), ORACLE[name]
    firsts = [SLOPES[name]] if name in SLOPES else [_difference(f, j) for j in range(n)]
    wanted = [(0, f), *((1, g) for g in firsts)]
    wanted += [(2, _difference(firsts[i], j)) for i in range(n) for j in range(i, n)]

    def told(order: int, q: Function) -> Told:
        def condition() -> Any:
            moved = [abs(x * _settled(_difference(q, j), at)) for j, x in enumerate(at)]
            return sum(x for x in moved if not mp.isnan(x))

        return Told(order, _settled(q, at), condition)

    return [told(order, q) for order, q in wanted]


def ours(op: Operation, at: Sequence[float]) -> Iterator[Any]:
    """The same numbers by the engine, as nodes."""
    xs = [Value(x) for x in at]
    z = op(*op.columns(xs))
    firsts = gradient(z, xs)
    yield from (z, *firsts)
    for i, g in enumerate(firsts):
        yield from gradient(g, xs)[i:]
