"""exp, log and their kin in straight-line arithmetic, for numbers that are vectors of doubles.

The C library serves one lane per call.  These functions are arithmetic only, without a branch or a
table of numbers, so they run on vectors of any width.  The method is the classical one: reduce the
argument to a short interval, sum the power series there, undo the reduction (W. J. Cody and W. Waite,
*Software Manual for the Elementary Functions*, 1980; J.-M. Muller, *Elementary Functions*, 3rd ed., 2016).

| function | error, in ulp | at the edges                                                  |
|----------|---------------|---------------------------------------------------------------|
| exp      | < 0.95        | inf above 709.78, subnormal below -708.4, 0 below -745.13     |
| expm1    | < 2           | ±0 gives ±0; inf above 709.78; -inf gives -1                  |
| log      | < 0.95        | 0 gives -inf; below 0 nan; subnormal numbers are no worse     |
| log1p    | < 1.6         | ±0 gives ±0; -1 gives -inf; below -1 nan                      |
| tanh     | < 2.7         | ±0 gives ±0; ±inf gives ±1; odd to the last bit               |

nan gives nan.  The bounds hold whether or not ``fma`` rounds only once; results differ in the last bits.

A number ``x`` needs ``+ - * /``, negation and ``abs``, rounded to nearest and never reassociated, and six
methods, whose operands may be floats too.  In LLVM, for two lanes:

``x.fma(y, z)``: x y + z, rounded once or twice::

    %r = call <2 x double> @llvm.fmuladd.v2f64(<2 x double> %x, <2 x double> %y, <2 x double> %z)

``x.less(y, u, v)``: u where x < y, else v, also where x or y is nan; ``x.greater``: the same with x > y, ``ogt``::

    %c = fcmp olt <2 x double> %x, %y
    %r = select <2 x i1> %c, <2 x double> %u, <2 x double> %v

``x.copysign(y)``: the size of x with the sign of y::

    %r = call <2 x double> @llvm.copysign.v2f64(<2 x double> %x, <2 x double> %y)

``x.exponent()``: the k with 2**k <= x < 2**(k + 1) for normal x > 0, 1024 for inf; elsewhere, anything.
The bits or'ed in are those of 2**52, and what is subtracted is 2**52 + 1023::

    %b = bitcast <2 x double> %x to <2 x i64>
    %s = lshr <2 x i64> %b, <i64 52, i64 52>
    %i = or <2 x i64> %s, <i64 4841369599423283200, i64 4841369599423283200>
    %d = bitcast <2 x i64> %i to <2 x double>
    %r = fsub <2 x double> %d, <double 0x43300000000003FF, double 0x43300000000003FF>

``x.power()``: 2**x for integers -1022 <= x <= 1023; elsewhere, anything.  Adding 2**52 + 1023 leaves
the biased exponent in the low bits::

    %d = fadd <2 x double> %x, <double 0x43300000000003FF, double 0x43300000000003FF>
    %b = bitcast <2 x double> %d to <2 x i64>
    %i = shl <2 x i64> %b, <i64 52, i64 52>
    %r = bitcast <2 x i64> %i to <2 x double>
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

#: ln 2 in two parts; the high one has 42 bits, so that its product with an integer of 11 bits is exact.
LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42fefa38p-1"), float.fromhex("0x1.ef35793c7673p-45")
#: Where the unit in the last place is 1: adding and subtracting it rounds to an integer, half to even.
ROUNDER = 1.5 * 2.0**52

EXP = [1.0 / math.factorial(k) for k in range(2, 15)]  # (e**r - 1 - r) / r**2 in powers of r
ATANH = [2.0 / (2 * k + 1) for k in range(1, 11)]  # (2 atanh(s) - 2 s) / s**3 in powers of s**2


def exp(x: Any) -> Any:
    """e**x = 2**n (1 + p), with p = e**r - 1 and x = n ln 2 + r."""
    n, p = _reduced(_clipped(x, -746.0, 710.0))
    half = _integer(n, 0.5)  # 2**n itself may overflow, or be subnormal
    return (1.0 + p) * half.power() * (n - half).power()


def expm1(x: Any) -> Any:
    """e**x - 1 = 2**n p + (2**n - 1), halved up to the end, for 2**n may overflow."""
    n, p = _reduced(_clipped(x, -40.0, 710.0))
    half = (n - 1.0).power()
    return _unless_tiny(x, 2.0 * half.fma(p, half - 0.5))


def tanh(x: Any) -> Any:
    """tanh |x| = E / (E + 2), with E = e**(2 |x|) - 1; nothing cancels."""
    e = expm1(_clipped(2.0 * abs(x), 0.0, 44.0))
    return (e / (e + 2.0)).copysign(x)


def log(x: Any) -> Any:
    """log x = k ln 2 + log m, with x = 2**k m and sqrt(1/2) <= m < sqrt(2)."""
    k, a, b = _split(x)
    return _edges(x, _log_of_parts(k, (x * a).fma(b, -1.0)))


def log1p(x: Any) -> Any:
    """log(1 + x) = log(u + c), u being 1 + x rounded and c what that lost (Knuth's two-sum)."""
    u = 1.0 + x
    v = u - 1.0
    c = (1.0 - (u - v)) + (x - v)
    k, a, b = _split(u)
    return _unless_tiny(x, _edges(u, _log_of_parts(k, (c * a).fma(b, (u * a).fma(b, -1.0)))))


def _reduced(x: Any) -> tuple[Any, Any]:
    """Integer n and p with e**x = 2**n (1 + p), abs(p) < 1/2.

    x = n ln 2 + r + low, where low is what rounding r lost, and p = e**(r + low) - 1 = r + (r**2 / 2 + … + low).
    """
    n = _integer(x, 1.0 / math.log(2.0))
    high = n.fma(-LN2_HIGH, x)  # exact
    r = n.fma(-LN2_LOW, high)
    low = n.fma(-LN2_LOW, high - r)
    return n, r + (r * r).fma(_series(r, EXP), low)


def _split(x: Any) -> tuple[Any, Any, Any]:
    """An integer k, and two powers of two whose product is 2**-k, with sqrt(1/2) <= 2**-k x < sqrt(2).

    The first brings subnormal and huge numbers to where the second is a normal number.
    """
    a = x.less(1.0, 2.0**60, 2.0**-60)
    k = (x * a * math.sqrt(2.0)).exponent()
    return k + x.less(1.0, -60.0, 60.0), a, (-k).power()


def _log_of_parts(k: Any, f: Any) -> Any:
    """The sum k ln 2 + log(1 + f): with s = f / (2 + f), log(1 + f) = 2 atanh(s) = 2 s + s (2 s**2 / 3 + …).

    2 s = f - f**2 / 2 + s f**2 / 2 exactly, and f is the only large term of it and without error.
    """
    s = f / (2.0 + f)
    square = s * s
    h = 0.5 * f * f
    tail = s.fma(square.fma(_series(square, ATANH), h), k * LN2_LOW)
    return k.fma(LN2_HIGH, f - (h - tail))


def _edges(x: Any, inside: Any) -> Any:
    """The logarithm ``inside`` 0 < x < inf; -inf at 0, nan below it, and inf and nan as they are."""
    outside = x.less(0.0, math.nan, -math.inf)
    return x.less(math.inf, x.greater(0.0, inside, outside), x)


def _unless_tiny(x: Any, y: Any) -> Any:
    """The value y, or x where a function x + O(x**2) rounds to x; keeps the sign of 0."""
    return abs(x).less(2.0**-54, x, y)


def _clipped(x: Any, low: float, high: float) -> Any:
    """The nearest number between the bounds; nan stays nan."""
    x = x.less(low, low, x)
    return x.greater(high, high, x)


def _integer(x: Any, scale: float) -> Any:
    """The integer nearest to the product."""
    return x.fma(scale, ROUNDER) - ROUNDER


def _series(x: Any, terms: Sequence[Any]) -> Any:
    """The polynomial with these coefficients, by halves (Estrin): a chain of log2(n) steps, not n."""
    while len(terms) > 1:
        pairs = [x.fma(high, low) for low, high in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + list(terms[2 * len(pairs) :])
        x = x * x
    return terms[0]
