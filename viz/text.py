"""How numbers, names and formulas are written for people."""

from __future__ import annotations

import math
import re

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(x: float, digits: int = 3) -> str:
    """A number with as many decimals as its size deserves, and a true minus.

    Args:
        x: the number.
        digits: significant digits of a number between 1 and 10.

    >>> [number(x) for x in (2.0, -1.5029, 0.0123, 1.24e-7, -31415.9)]
    ['2.00', '−1.50', '0.012', '1.2e−7', '−31416']
    """
    if not math.isfinite(x):
        return "nan" if math.isnan(x) else "∞" if x > 0 else "−∞"
    size = abs(x)
    if size and not 1e-4 <= size < 1e6:
        mantissa, exponent = f"{x:.{digits - 2}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    elif 0.0 < size < 0.1:
        text = f"{x:#.{digits - 1}g}"
    else:
        text = f"{x:.{max(0, digits - max(1, len(str(int(size)))))}f}"
    return text.replace("-", "−")


def short(x: float, digits: int = 3) -> str:
    """A number as a factor: whole numbers without decimals.

    >>> short(-3.0), short(0.5)
    ('−3', '0.50')
    """
    return f"{x:.0f}".replace("-", "−") if x.is_integer() and abs(x) < 1e4 else number(x, digits)


def printable(label: str) -> str:
    """A label without control characters, which could end a line or move a terminal's cursor."""
    return "".join(c for c in label if c.isprintable())


def pretty(name: str) -> str:
    """A variable's name, with the number of ``x1`` as a subscript.

    >>> pretty("x1"), pretty("h1[3].w[2]")
    ('x₁', 'h1[3].w[2]')
    """
    name = printable(name)
    if found := re.fullmatch(r"([^\W\d_])_?(\d+)", name):
        return found[1] + found[2].translate(_SUBSCRIPTS)
    return name


def typeset(formula: str) -> str:
    """A formula in Python as it is written on a blackboard.

    >>> typeset("(1.0 - z) * (1.0 + z)"), typeset("3.0 * x ** 2.0")
    ('(1 − z) · (1 + z)', '3 · x²')
    """
    formula = re.sub(r"\b(\d+)\.0\b(?!e)", r"\1", formula)
    formula = re.sub(r" \*\* (\d+)\b(?![.e])", lambda power: power[1].translate(_SUPERSCRIPTS), formula)
    formula = re.sub(r"(?<![^\s(\[,])-|(?<=\de)-(?=\d)", "−", formula)  # but not the hyphen of a name
    return formula.replace(" * ", " · ")


#: The signs of operators as they are drawn; functions go by their names.
SIGNS = {"*": "×", "-": "−", "/": "÷", "**": "^"}
