"""Formulas: the kind of number that is text.

A rule of the table applied to Symbols gives its own formula, so nobody writes the text or the
LaTeX of a derivative: it is the rule, spoken by symbols.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from autograd import operations as ops
from autograd.operations import ATOM, POWER, PRODUCT, Operation

#: How many characters an operand may have: of a node that is used twice there are two, of the next four, and so on.
LONGEST = 300_000

Method = Callable[["Symbol", "Symbol | float"], "Symbol"]


def _binary(op: Operation) -> tuple[Method, Method]:
    return lambda x, y: op(x, y), lambda x, y: op(y, x)


class Symbol:
    r"""A formula, in Python (``text``) and in LaTeX (``latex``).

    Constants are folded (``x ** (3 - 1)`` is written ``x ** 2.0``), neutral elements dropped
    (``1.0 * x`` is ``x``) and brackets set where, and only where, the reading needs them.

    Args:
        name: the name of a variable, or a number.
        latex: how it looks in LaTeX; made from the name if left out.

    >>> x, y = Symbol("x"), Symbol("y")
    >>> (x - (y + 1.0)) * x ** 2
    Symbol('(x - (y + 1.0)) * x ** 2.0')
    >>> print((ops.tanh(x) / (1.0 - y)).latex)
    \frac{\tanh\left(x\right)}{1 - y}
    """

    __slots__ = ("data", "latex", "latex_level", "level", "text", "value")

    text: str
    latex: str
    #: How tightly the outermost operation binds in each writing; ``ATOM`` never needs a bracket.
    level: int
    latex_level: int
    #: The number, if the formula is a constant.
    value: float | None
    #: The number that a variable stands for here, if it is known: what is not 0 needs no guard.
    data: float | None

    def __init__(self, name: str | float, latex: str = "") -> None:
        self.data = None
        if isinstance(name, str):
            self.text, self.latex, self.value = name, latex or latex_name(name), None
            self.level = self.latex_level = PRODUCT if name.startswith("-") else ATOM  # a number, rounded for the eye
        else:
            self.value = ops.real(name, "Symbol")
            self.text, self.latex = repr(self.value), latex_number(self.value)
            self.level = PRODUCT if self.text.startswith("-") else ATOM
            self.latex_level = PRODUCT if "cdot" in self.latex else self.level

    @classmethod
    def _apply(cls, op: Operation, operands: Sequence[Any]) -> Symbol:
        columns: Any = [[_symbol(x) for x in c] for c in operands] if op.nary else [_symbol(x) for x in operands]
        symbols: Sequence[Symbol] = op.flat(columns)
        if all(x.value is not None for x in symbols):
            return cls(op.evaluate(op.columns([x.value for x in symbols])))
        if op.guard and symbols[0].data:
            return cls(1.0)
        if len(symbols) == 2 and not op.nary:
            for x, other, neutral in zip(symbols, reversed(symbols), op.neutral, strict=True):
                if x.value is not None and x.value == neutral:
                    return other
                if x.value is not None and x.value == op.absorbing:
                    return x
        if (length := max([len(x.text) for x in symbols], default=0)) > LONGEST:
            raise ValueError(
                f"{length:,} characters are too many for an operand of {op.name}: give its parts names, as Symbol(name)"
            )
        self = cls.__new__(cls)
        self.value = self.data = None
        self.level, self.latex_level = ATOM if op.text.endswith(")") else op.level, op.level
        if op.nary:
            self.text = op.text % tuple(", ".join(x.text for x in column) for column in columns)
            if callable(op.latex):
                written = op.latex(*columns)
                self.latex, self.latex_level = written.latex, written.latex_level
            else:
                self.latex = op.latex % tuple(", ".join(x.latex for x in column) for column in columns)
        else:
            # a + (b + c) differs from a + b + c by rounding in Python, and by nothing to the eye.
            associative = op.neutral[0] is not None
            latex, bracket = str(op.latex), r"\left(%s\right)"
            self.text = fill(op.text, [(x.text, x.level) for x in symbols], self.level, "(%s)")
            self.latex = fill(latex, [(x.latex, x.latex_level) for x in symbols], op.level, bracket, associative)
        return self

    __add__, __radd__ = _binary(ops.add)
    __sub__, __rsub__ = _binary(ops.sub)
    __mul__, __rmul__ = _binary(ops.mul)
    __truediv__, __rtruediv__ = _binary(ops.div)
    __pow__, __rpow__ = _binary(ops.pow)

    def __neg__(self) -> Symbol:
        return ops.neg(self)

    def __abs__(self) -> Symbol:
        return ops.abs(self)

    def __bool__(self, _: object = None) -> NoReturn:
        raise TypeError("a Symbol cannot be compared: a rule must not branch on its operands; use step, sign or where")

    __lt__ = __le__ = __gt__ = __ge__ = __bool__

    def __repr__(self) -> str:
        return f"Symbol({self.text!r})"

    def __str__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"


def _symbol(x: Symbol | float) -> Symbol:
    return x if isinstance(x, Symbol) else Symbol(ops.real(x, "a formula"))


def fill(template: str, operands: list[tuple[str, int]], level: int, bracket: str, associative: bool = False) -> str:
    """A template with its operands, in brackets where they bind more loosely than their place.

    Args:
        template: what is written, with a ``%s`` per operand.
        operands: the text of each, and how tightly its outermost operation binds.
        level: how tightly the template binds.
        bracket: a template for brackets.
        associative: whether operands that bind equally need no brackets.

    >>> from autograd.operations import SUM
    >>> fill("%s * %s", [("x + y", SUM), ("z", ATOM)], PRODUCT, "(%s)")
    '(x + y) * z'
    """
    pieces = template.split("%s")
    written = []
    for j, (text, own) in enumerate(operands):
        leading = j == 0 and not pieces[0]
        closed = level == ATOM or (pieces[j].endswith("{") and pieces[j + 1].startswith("}"))
        equal = level < POWER and (leading or associative or len(operands) == 1)
        fits = own > level or (own == level and equal)
        written.append(text if closed or (fits and (leading or not text.startswith("-"))) else bracket % text)
    return template % tuple(written)


#: What LaTeX's mathematics mode would take for a command.
_ESCAPES = str.maketrans({c: "\\" + c for c in "{}$&#_%"} | {"\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim "})
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def latex_name(name: str) -> str:
    r"""A variable's name in LaTeX: ``x1``, ``x_1``, ``x₁`` and ``x[1]`` with a subscript, long names upright.

    >>> latex_name("x1"), latex_name("w[2]"), latex_name("loss")
    ('x_{1}', 'w_{2}', '\\mathrm{loss}')
    """
    name = ops.printable(name)
    if found := re.fullmatch(r"([^\W\d_])(?:_?(\d+)|\[(\d+)\])", name.translate(_SUBSCRIPTS)):
        return f"{found[1]}_{{{found[2] or found[3]}}}"
    return name if len(name) == 1 and name.isalpha() else rf"\mathrm{{{name.translate(_ESCAPES)}}}"


def latex_number(x: float) -> str:
    r"""A number in LaTeX, exactly.

    >>> latex_number(3.0), latex_number(1.5e-7)
    ('3', '1.5 \\cdot 10^{-7}')
    """
    if not math.isfinite(x):
        return r"\mathrm{nan}" if math.isnan(x) else r"\infty" if x > 0 else r"-\infty"
    mantissa, _, exponent = repr(x).partition("e")
    mantissa = mantissa.removesuffix(".0")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


@functools.cache
def rules(op: Operation) -> tuple[Symbol, ...]:
    """The formulas of a row's partial derivatives, one per operand (or column), in x, y, … and z.

    >>> rules(ops.mul), rules(ops.tanh)
    ((Symbol('y'), Symbol('x')), (Symbol('(1.0 - z) * (1.0 + z)'),))
    """
    n = len(op.partials)
    names = ["x", "y"][:n] if n <= 2 else [f"x{j}" for j in range(1, n + 1)]
    symbols = [*map(Symbol, names), Symbol("z")]
    return tuple(_symbol(partial(*symbols)) for partial in op.partials)
