"""How numbers, names and formulas are written for people."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from html import unescape

from autograd import Graph, Value
from autograd.operations import printable
from autograd.symbol import latex_name

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def graph_of(value: object, what: str) -> Graph:
    """The graph of a Value, or that which was given: what every view takes."""
    if isinstance(value, Graph):
        return value
    if isinstance(value, Value):
        return Graph(value)
    given = f"{type(value).__name__} {value!r}"
    if isinstance(value, (list, tuple)):
        given = f"{type(value).__name__}: pass one Value, or Graph(*values)"
    elif hasattr(value, "named_parameters"):
        given = f"{type(value).__name__}: pass what it computes, or see viz.network and nn.save"
    raise TypeError(f"{what} needs a Value or a Graph, not {given}")


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


def pretty(name: str) -> str:
    """A variable's name, with the number of ``x1`` as a subscript.

    >>> pretty("x1"), pretty("h1[3].w[2]")
    ('x₁', 'h1[3].w[2]')
    """
    name = printable(name)
    if found := re.fullmatch(r"([^\W\d_])_?(\d+)", name):
        return found[1] + found[2].translate(_SUBSCRIPTS)
    return name


def latex(name: str) -> str:
    r"""A variable's name in LaTeX that pdflatex and KaTeX read: Greek as commands, spaces kept.

    >>> latex("θ1"), latex("petal width")
    ('\\theta _{1}', '\\mathrm{petal\\ width}')
    """
    composed = unicodedata.normalize("NFC", name)
    written = latex_name("".join(c for c in composed if not unicodedata.combining(c)))
    written = re.sub(r"(?<!\\sim)(?<!\\wedge)(?<!\\backslash) ", r"\\ ", written)  # not those that end a command
    return re.sub(r"[^\x00-\x7f]", lambda found: _letter(found[0]), written)


def unlatex(name: str) -> str:
    r"""What :func:`latex` was given, from between the braces of its ``\mathrm{…}``.

    >>> unlatex(r"petal\ width\_\theta ")
    'petal width_θ'
    """

    def letter(found: re.Match[str]) -> str:
        word, other = found[1], found[2] or found[3]
        return other or _WORDS.get(word) or unescape(f"&{word};")

    return re.sub(r"\\([a-zA-Z]+) |\\text\{(.)\}|\\(.)", letter, name)


_WORDS = {"backslash": "\\", "wedge": "^", "sim": "~"}


def _letter(c: str) -> str:
    """A letter that is not ASCII; LaTeX has no commands for those Greek ones that look like Latin ones."""
    if c in "ΓΔΘΛΞΠΣΥΦΨΩ" or ("α" <= c <= "ω" and c not in "ος"):
        word = unicodedata.name(c).split()[-1].replace("LAMDA", "LAMBDA")
        return f"\\{word.capitalize() if c < 'α' else word.lower()} "
    return rf"\text{{{c}}}"


def typeset(formula: str) -> str:
    """A formula in Python as it is written on a blackboard.

    >>> typeset("(1.0 - z) * (1.0 + z)"), typeset("3.0 * x ** 2.0")
    ('(1 − z) · (1 + z)', '3 · x²')
    """
    formula = re.sub(r"\b(\d+)\.0\b(?!e)", r"\1", formula)
    formula = re.sub(r" \*\* (\d+)\b(?![.e])", lambda power: power[1].translate(_SUPERSCRIPTS), formula)
    formula = re.sub(r"(?<![^\s(\[,])-|(?<=\de)-(?=\d)", "−", formula)  # but not the hyphen of a name
    return formula.replace(" * ", " · ")


def written_sum(terms: Sequence[float], total: float, digits: int = 3) -> str:
    r"""``3 − 6 = ``; dots stand for terms beyond the third, and for what came from outside the picture.

    >>> written_sum([3.0, -6.0], -3.0), written_sum([5.0], 5.0)
    ('3 − 6 =\xa0', '')
    """
    terms = [x + 0.0 for x in terms]  # no −0
    complete = not terms or math.isnan(total) or math.isclose(sum(terms), total, rel_tol=1e-9, abs_tol=1e-12)
    if complete and len(terms) < 2:
        return ""
    first, *others = terms[:3]
    written = short(first, digits) + "".join(f" {'−' if x < 0.0 else '+'} {short(abs(x), digits)}" for x in others)
    return written + (" =\u00a0" if complete and len(terms) <= 3 else " + … =\u00a0")


def columns(text: str) -> int:
    """The columns that a terminal gives to a text: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    seen = [c for c in text if unicodedata.category(c) not in ("Mn", "Me")]
    return len(seen) + sum(unicodedata.east_asian_width(c) in "WF" for c in seen)


def cut(text: str, room: int) -> str:
    """A text in at most ``room`` columns; ``…`` stands for what is left out."""
    if len(text) <= 4 * room and columns(text) <= room:
        return text
    text = text[: 4 * room]  # however little room a heap of accents takes
    while text and columns(text) >= room:
        text = text[:-1]
    return text.rstrip("…") + "…"


#: The signs of operators as they are drawn; functions go by their names.
SIGNS = {"*": "×", "-": "−", "/": "÷", "**": "^"}
