"""The functions for vectors of doubles, on NumPy arrays, against mpmath with 50 digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from autograd import vector_math

NAMES = ["exp", "expm1", "log", "log1p", "tanh"]
LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324


def split(x: Any) -> tuple[Any, Any]:
    """Two halves of 26 bits (Veltkamp)."""
    c = 134217729.0 * x
    high = c - (c - x)
    return high, x - high


def unfused(x: Any, y: Any, z: Any) -> Any:
    return x * y + z


def fused(x: Any, y: Any, z: Any) -> Any:
    """The sum x y + z with one rounding: Dekker's product and Knuth's sum keep what a rounding loses."""
    product = x * y
    (a, b), (c, d) = split(x), split(y)
    lost = ((a * c - product) + a * d + b * c) + b * d
    total = product + z
    v = total - product
    lost = lost + ((product - (total - v)) + (z - v))
    return np.where(np.isfinite(lost), total + lost, total)


class Lanes:
    """A number as the functions want it: an array, with the natives by NumPy."""

    fuse: Callable[[Any, Any, Any], Any] = staticmethod(unfused)

    def __init__(self, data: Any) -> None:
        self.data = np.asarray(data, dtype=float)

    def __add__(self, y: Lanes | float) -> Lanes:
        return Lanes(self.data + array(y))

    def __sub__(self, y: Lanes | float) -> Lanes:
        return Lanes(self.data - array(y))

    def __rsub__(self, y: float) -> Lanes:
        return Lanes(y - self.data)

    def __mul__(self, y: Lanes | float) -> Lanes:
        return Lanes(self.data * array(y))

    def __truediv__(self, y: Lanes | float) -> Lanes:
        return Lanes(self.data / array(y))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Lanes:
        return Lanes(-self.data)

    def __abs__(self) -> Lanes:
        return Lanes(np.abs(self.data))

    def fma(self, y: Lanes | float, z: Lanes | float) -> Lanes:
        return Lanes(self.fuse(self.data, array(y), array(z)))

    def less(self, y: Lanes | float, u: Lanes | float, v: Lanes | float) -> Lanes:
        return Lanes(np.where(self.data < array(y), array(u), array(v)))

    def greater(self, y: Lanes | float, u: Lanes | float, v: Lanes | float) -> Lanes:
        return Lanes(np.where(self.data > array(y), array(u), array(v)))

    def copysign(self, y: Lanes) -> Lanes:
        return Lanes(np.copysign(self.data, y.data))

    def exponent(self) -> Lanes:
        return Lanes((self.data.view(np.uint64) >> np.uint64(52)).astype(float) - 1023.0)

    def power(self) -> Lanes:
        bits = (self.data + (2.0**52 + 1023.0)).view(np.uint64)
        return Lanes((bits << np.uint64(52)).view(float))


def array(x: Lanes | float) -> Any:
    """What NumPy computes with; of a float, an array too."""
    return x.data if isinstance(x, Lanes) else np.float64(x)


def run(name: str, points: Any) -> Any:
    """A function of the module on an array."""
    with np.errstate(all="ignore"):
        return getattr(vector_math, name)(Lanes(points)).data


@pytest.fixture(params=[unfused, fused])
def fma(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an fma that rounds twice, and once."""
    monkeypatch.setattr(Lanes, "fuse", staticmethod(request.param))


def bounds() -> dict[str, float]:
    """The errors that the module's table states, in ulp."""
    text = Path(vector_math.__file__).read_text(encoding="utf-8")  # python -OO keeps no docstrings
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    return {row[1].strip(): float(row[2].replace("<", "")) for row in rows[2:]}


def points(name: str) -> Any:
    """Points where the function is finite: even ones, tiny ones, any bits, and around where the reduction jumps."""
    rng = np.random.default_rng(5)
    n = 3000
    tiny = np.exp2(rng.uniform(-1074.0, 0.0, n)) * rng.choice([-1.0, 1.0], n)
    anything = rng.integers(0, 0x7FF0000000000000, n).view(float) * rng.choice([-1.0, 1.0], n)
    steps = np.arange(-1080, 1024, 5) + 0.5
    jumps = {"exp": steps * math.log(2.0), "log": np.exp2(np.clip(steps, -1074.0, 1023.5))}
    jumps["expm1"], jumps["tanh"] = jumps["exp"], steps[abs(steps) < 70.0] * math.log(2.0) / 2.0
    jumps["log1p"] = np.exp2(np.arange(-20.0, 60.0) + 0.5) - 1.0
    jump = jumps[name]
    low, high, often = {
        "exp": (-746.0, 709.782, 1.0),
        "expm1": (-40.0, 709.782, 1.2),
        "log": (0.0, 10.0, 1.5),
        "log1p": (-1.0, 10.0, 0.6),
        "tanh": (-23.0, 23.0, 1.0),
    }[name]
    start = 0.5 if name == "log" else -often
    found = np.concatenate(
        [
            rng.uniform(low, high, n),
            rng.uniform(start, often, 3 * n),
            rng.uniform(0.34, 0.42, 2 * n),  # the hardest for expm1: where n becomes 1
            tiny,
            anything,
            jump,
            np.nextafter(jump, np.inf),
            np.nextafter(jump, -np.inf),
        ]
    )
    lowest = {"exp": -800.0, "log": SMALLEST, "log1p": -1.0 + 2.0**-53}.get(name, -LARGEST)
    return np.unique(found[(found >= lowest) & (found < (709.783 if name.startswith("exp") else np.inf))])


def error(x: float, y: float, exact: Callable[[Any], Any]) -> float:
    """How far y is from the exact value, in units in the last place of that value."""
    with mpmath.workdps(50):
        z = exact(mpmath.mpf(x))
        return float(abs(y - z) / math.ulp(float(z)))


@pytest.mark.usefixtures("fma")
@pytest.mark.parametrize("name", NAMES)
def test_accuracy(name: str) -> None:
    """The stated bounds hold, with either fma."""
    exact = getattr(mpmath, name)
    if name in ("expm1", "tanh"):  # at 1e300, mpmath takes its time
        exact = lambda x: getattr(mpmath, name)(max(min(x, 1e4), -1e4))  # noqa: E731
    xs = points(name)
    errors = [error(x, y, exact) for x, y in zip(xs.tolist(), run(name, xs).tolist(), strict=True)]
    worst = max(errors)
    assert len(errors) > 15000
    assert worst < bounds()[name], f"{name} is {worst} ulp off at {xs[errors.index(worst)]!r}"


@pytest.mark.usefixtures("fma")
@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        *[(name, math.nan, math.nan) for name in NAMES],
        *[(name, zero, zero) for name in ("expm1", "log1p", "tanh") for zero in (0.0, -0.0, SMALLEST, -SMALLEST)],
        *[("exp", x, 1.0) for x in (0.0, -0.0, SMALLEST, -SMALLEST)],
        *[(name, x, math.inf) for name in ("exp", "expm1") for x in (709.782712893385, 710.0, LARGEST, math.inf)],
        *[("exp", x, 0.0) for x in (-745.2, -1000.0, -LARGEST, -math.inf)],
        ("exp", -745.1, SMALLEST),
        *[("expm1", x, -1.0) for x in (-40.0, -1000.0, -LARGEST, -math.inf)],
        *[("log", x, math.nan) for x in (-SMALLEST, -1.0, -LARGEST, -math.inf)],
        *[("log", x, -math.inf) for x in (0.0, -0.0)],
        *[("log1p", x, math.nan) for x in (-1.0 - 2.0**-52, -2.0, -LARGEST, -math.inf)],
        ("log1p", -1.0, -math.inf),
        *[(name, math.inf, math.inf) for name in ("log", "log1p")],
        ("log", 1.0, 0.0),
        ("log", SMALLEST, math.log(SMALLEST)),
        *[(name, LARGEST, math.log(LARGEST)) for name in ("log", "log1p")],
        *[("tanh", sign * x, sign) for sign in (1.0, -1.0) for x in (22.0, 1000.0, LARGEST, math.inf)],
    ],
)
def test_edges(name: str, x: float, y: float) -> None:
    """Infinities, zeros with their sign, nan, overflow and underflow are those of IEEE 754."""
    result = float(run(name, [x])[0])
    assert repr(result) == repr(y) or (math.isnan(result) and math.isnan(y))


@pytest.mark.usefixtures("fma")
def test_tanh_is_odd() -> None:
    """To the last bit."""
    xs = points("tanh")
    assert np.array_equal(run("tanh", -xs), -run("tanh", xs))


def test_ln2_is_in_two_parts() -> None:
    """An integer of 11 bits times the high part is exact, and the low part is the rest."""
    assert (vector_math.LN2_HIGH * 2.0**42).is_integer()
    with mpmath.workdps(50):
        assert float(mpmath.ln(2) - vector_math.LN2_HIGH) == vector_math.LN2_LOW


def test_the_fused_fma_rounds_once() -> None:
    """It is the stand-in's only native that is not one line: x**2 - 1 - 2 e, for x = 1 + e, is e**2."""
    e = np.array([2.0**-30, 2.0**-40, 3.0 * 2.0**-45])
    assert np.array_equal(fused(1.0 + e, 1.0 + e, -1.0 - 2.0 * e), e * e)
    assert np.array_equal(unfused(1.0 + e, 1.0 + e, -1.0 - 2.0 * e), 0.0 * e)
