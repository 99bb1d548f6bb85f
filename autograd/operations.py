"""The table: every operation is one row, and nothing about an operation stands anywhere else.

A row says how to compute the operation on floats, one *rule* per operand for its local partial
derivative, how it is written, and where the tests sample it.  A rule is ordinary arithmetic in the
operands and the result ``z``, applied to whatever kind of number it is given: floats give a slope,
``Value`` gives a node (so a derivative can be differentiated again), ``Symbol`` gives a formula.
Rules therefore use operators and rows of this table only, and never branch on an operand: a kink
goes through ``step``, ``sign``, ``nonzero`` or ``where``, which are rows themselves.
"""

from __future__ import annotations

import functools
import itertools
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self, overload

from autograd.ieee import Ieee

if TYPE_CHECKING:
    from autograd.symbol import Symbol
    from autograd.value import Value

Rule = Callable[..., Any]
Interval = tuple[float, float]
Domain = tuple[Interval, ...]

# How tightly an operation binds its operands, loosest first; Python's order.
SUM, PRODUCT, POWER, ATOM = range(1, 5)


#: Every operation by name; a row adds itself when it is made.
table: dict[str, Operation] = {}


def real(x: object, what: str) -> float:
    """``x`` as a float, or a ``TypeError`` that names ``what`` wanted it.

    Accepts whatever Python counts as a real number: int, float, Fraction, NumPy scalars.
    """
    if type(x) is float:
        return x
    if isinstance(x, numbers.Real):
        return float(x)
    if isinstance(x, str):
        cure = ": convert it with float()"
    elif isinstance(x, (list, tuple)):
        cure = ": give its numbers one at a time"
    elif hasattr(x, "tolist"):
        cure = ": x.tolist() has plain numbers"
    else:
        cure = ": x.data is its number" if hasattr(x, "backward") else ""
    raise TypeError(f"{what} needs a real number, not {type(x).__name__} {x!r}{cure}")


def printable(label: str) -> str:
    """A label as messages show it: without control characters, which could end a line or move a terminal's cursor."""
    if not isinstance(label, str):
        raise TypeError(f"a label must be a text, such as {str(label)!r}, not {type(label).__name__} {label!r}")
    return label if label.isprintable() else "".join(c for c in label if c.isprintable())


class Operation:
    r"""One row of the table: an operation with its local partial derivatives.

    A row made by a user is as good as a built-in one: it can be called on floats, Values and
    Symbols, differentiated to any order, drawn, explained and pickled by its name.

    Args:
        name: what it is called, in the table and in pickles.
        forward: the operation on floats; it raises Python's errors outside its domain.
        partials: one rule per operand, ``rule(*operands, z)``, giving ∂z/∂operand.
        text: how it is written in Python, a ``%s`` per operand; ``name(%s, …)`` if left out.
        latex: the same in LaTeX; for an n-ary row, a function of Symbols that writes it out.
        level: how tightly its ``%s`` bind, for brackets (``SUM`` … ``ATOM``).
        domain: per operand, the intervals that the tests sample.
        nary: whether the operands are *columns*: sequences of one length, with a rule per column.
        defaults: values for operands that a call leaves out.
        neutral: per operand, the value at which the operation gives back the other operand.
        absorbing: the value that makes the result equal to it, whatever the other operand.
        guard: whether it is 1 of any number but 0, and formulas at such a number need not say so.
        lowering: a second way to compute it, from rows that exist as machine instructions, for
            numbers that follow IEEE 754; only where ``forward`` has to branch.

    >>> cube = Operation("cube", lambda x: x * x * x, (lambda x, z: 3.0 * x * x,))
    >>> cube(2.0)
    8.0
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., float],
        partials: tuple[Rule, ...],
        text: str = "",
        latex: str | Callable[..., Any] = "",
        level: int = ATOM,
        domain: tuple[Domain, ...] = (),
        *,
        nary: bool = False,
        defaults: tuple[float, ...] = (),
        neutral: tuple[float | None, float | None] = (None, None),
        absorbing: float | None = None,
        guard: bool = False,
        lowering: Callable[..., Any] | None = None,
    ) -> None:
        if not name.isidentifier():
            raise ValueError(f"an operation's name must be a Python identifier, not {name!r}")
        if name in BUILT_IN:
            raise ValueError(f"{name!r} is a built-in operation; choose another name")
        if not isinstance(partials, tuple) or not partials:
            raise TypeError(
                f"{name} needs a tuple of rules, one per operand, such as (lambda x, z: 1.0,), not {partials!r}"
            )
        if text and text.count("%s") != len(partials):
            raise ValueError(f"the text of {name} needs {len(partials)} times %s, one per operand, not {text!r}")
        if text and level == ATOM and not text.endswith(")"):
            level = SUM  # a new operator: in brackets wherever it might be misread
        blanks = ["%s"] * len(partials)
        written = ", ".join(["[%s]"] * len(partials) if nary else blanks)
        self.name, self.forward, self.partials = name, forward, partials
        self.text = text or f"{name}({written})"
        self.latex = latex or rf"\operatorname{{{name}}}\left({', '.join(blanks)}\right)"
        self.level, self.domain = level, domain or (REAL,) * len(partials)
        self.nary, self.defaults, self.lowering = nary, defaults, lowering
        self.neutral, self.absorbing, self.guard = neutral, absorbing, guard
        table[name] = self

    # The overloads overlap where all operands are floats; there the first of them holds.
    @overload
    def __call__(self, *operands: float) -> float: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *operands: Value | float) -> Value: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *operands: Symbol | float) -> Symbol: ...
    @overload
    def __call__(self, *operands: Iterable[float]) -> float: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *operands: Iterable[Value | float]) -> Value: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *operands: Iterable[Symbol | float]) -> Symbol: ...
    def __call__(self, *operands: Any) -> Any:
        """The operation applied to numbers of any kind: floats give a float, Values a node."""
        if len(operands) == len(self.partials) == 1 and type(operands[0]) is float and not self.nary:
            return self.evaluate(operands)  # what rules ask for most
        if len(operands) != len(self.partials):
            missing = len(self.partials) - len(operands)
            if not 0 < missing <= len(self.defaults):
                kind = "column" if self.nary else "operand"
                raise TypeError(f"{self.name} takes {len(self.partials)} {kind}(s), not {len(operands)}")
            operands += self.defaults[-missing:]
        if self.nary:
            for column in operands:
                if not isinstance(column, Iterable):
                    raise TypeError(f"{self.name} takes columns of numbers, such as [x, y], not {column!r}")
            operands = tuple(map(tuple, operands))
            if len(set(map(len, operands))) > 1:
                sizes = " and ".join(str(len(column)) for column in operands)
                raise ValueError(f"{self.name} needs columns of the same length, not {sizes}")
        for x in itertools.chain(*operands) if self.nary else operands:
            if type(x) is not float and (apply := getattr(type(x), "_apply", None)):
                return apply(self, operands)  # a kind of number says what a row applied to it gives
        if self.nary:
            return self.evaluate([[real(x, self.name) for x in column] for column in operands])
        return self.evaluate([real(x, self.name) for x in operands])

    def flat(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The operands one after the other: an n-ary row's columns joined end to end.

        >>> sumprod.flat([[1.0, 2.0], [3.0, 4.0]])
        [1.0, 2.0, 3.0, 4.0]
        """
        return [x for column in operands for x in column] if self.nary else operands

    def columns(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The reverse of :meth:`flat`: what ``forward`` takes.

        >>> sumprod.columns([1.0, 2.0, 3.0, 4.0])
        [[1.0, 2.0], [3.0, 4.0]]
        """
        if not self.nary:
            return operands
        n = len(operands) // len(self.partials)
        return [operands[i * n : (i + 1) * n] for i in range(len(self.partials))]

    def evaluate(self, operands: Sequence[Any]) -> float:
        """``forward`` on floats; an error of arithmetic gets a note that says where it arose.

        >>> atan2.evaluate([0.0, 1.0])
        0.0
        """
        try:
            return float(self.forward(*operands))
        except (ArithmeticError, ValueError) as error:
            error.add_note(self.describe(operands))
            raise

    def slope(self, j: int, operands: Sequence[Any], z: Any) -> Any:
        """∂z/∂(j-th of the flat operands), in the kind of number that the operands are.

        >>> mul.slope(0, [2.0, 3.0], 6.0)
        3.0
        """
        rows = len(operands) // len(self.partials) if self.nary else 1
        column, row = divmod(j, rows)
        try:
            return self.partials[column](*(operands[row::rows] if self.nary else operands), z)
        except TypeError as error:
            error.add_note(f"in a rule of {self.name}: rules use operators and rows of the table, not the math module")
            raise

    def slopes(self, operands: Sequence[float], z: float, wanted: Sequence[bool] | None = None) -> list[float]:
        """The slopes towards the flat operands as floats, ``inf`` where that is what they are; 0 where not wanted.

        >>> mul.slopes([2.0, 3.0], 6.0), sqrt.slopes([0.0], 0.0)
        ([3.0, 2.0], [inf])
        """
        try:
            if self.nary:
                slopes = self.column_slopes(self.columns(operands), z)
                return [d if want else 0.0 for d, want in zip(slopes, wanted, strict=True)] if wanted else slopes
            wants = wanted or [True] * len(operands)
            return [float(rule(*operands, z)) if want else 0.0 for rule, want in zip(self.partials, wants, strict=True)]
        except (ArithmeticError, ValueError):
            pass  # Python raises where IEEE 754 has an infinity
        return [self.float_slope(j, operands, z) if not wanted or wanted[j] else 0.0 for j in range(len(operands))]

    def column_slopes(self, columns: Sequence[Sequence[float]], z: float) -> list[float]:
        """The slopes towards all operands of an n-ary row, read column by column.

        >>> sumprod.column_slopes([[1.0, 2.0], [3.0, 4.0]], 11.0)
        [3.0, 4.0, 1.0, 2.0]
        """
        slopes: list[float] = []
        for read in self.readings():
            if isinstance(read, int):
                slopes += columns[read]
            elif isinstance(read, float):
                slopes += [read] * len(columns[0])
            else:
                slopes += [float(read(*row, z)) for row in zip(*columns, strict=True)]
        return slopes

    def float_slope(self, j: int, operands: Sequence[float], z: float) -> float:
        """The slope towards the j-th of the flat operands as a float, ``inf`` where that is what it is.

        >>> sqrt.float_slope(0, [4.0], 2.0), sqrt.float_slope(0, [0.0], 0.0)
        (0.25, inf)
        """
        try:
            return float(self.slope(j, operands, z))
        except (ArithmeticError, ValueError):
            return float(self.slope(j, [Ieee(x) for x in operands], Ieee(z)))

    def readings(self) -> tuple[float | int | Rule, ...]:
        """How each rule is read fastest: a constant (float), a bare operand (its number), or by a call.

        >>> add.readings(), mul.readings()
        ((1.0, 1.0), (1, 0))
        """
        return _readings(self)

    def describe(self, operands: Sequence[Any], labels: Sequence[str] = ()) -> str:
        """Where an error arose, such as ``in log(u), u = -1.0 ("margin")``.

        >>> log.describe([-1.0], ["margin"])
        'in log(u), u = -1.0 ("margin")'
        """
        values = self.flat(operands)
        names = ["u", "v", "w"][: len(values)] if len(values) <= 3 else [f"u{j}" for j in range(1, len(values) + 1)]
        columns = self.columns(names)
        written = self.text % tuple([", ".join(column) for column in columns] if self.nary else columns)
        points = [f"{name} = {value!r}" for name, value in zip(names, values, strict=True)]
        for j, label in enumerate(labels):
            points[j] += f' ("{printable(label)}")' if label else ""
        if len(points) > 8:
            written, points = f"{self.name} of {len(points)} values", [*points[:7], "…"]
        return "in " + ", ".join([written, *points])

    @property
    def symbol(self) -> str:
        """The sign of an operator, the name of a function: ``*``, ``tanh``; of several signs, the name, too."""
        return self.name if self.text.endswith(")") or len(self.partials) > 2 else self.text.replace("%s", "").strip()

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __reduce__(self) -> Any:
        if table.get(self.name) is not self:
            raise TypeError(f"cannot pickle operation {self.name!r}: another row of that name has replaced it")
        return _named, (self.name,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def _named(name: str) -> Operation:
    """The row that a pickle refers to."""
    try:
        return table[name]
    except KeyError:
        raise LookupError(f"operation {name!r} is not defined here: define it before unpickling") from None


class _Mark:
    """An operand that knows no arithmetic and cannot be asked anything."""

    def __bool__(self, _: object = None) -> bool:
        raise TypeError("a mark has no value")

    __eq__ = __bool__
    __hash__ = None  # type: ignore[assignment]


@functools.cache
def _readings(op: Operation) -> tuple[float | int | Rule, ...]:
    """Each rule applied once to marks: one that needs to know more of its operands must be called."""

    def reading(rule: Rule) -> float | int | Rule:
        marks = [_Mark() for _ in range(len(op.partials) + 1)]
        try:
            slope = rule(*marks)
            places = [j for j, mark in enumerate(marks[:-1]) if mark is slope]
            return places[0] if places else float(slope)
        except TypeError:
            return rule

    return tuple(map(reading, op.partials))


# What the tests sample.
REAL: Domain = ((-3.0, 3.0),)
POSITIVE: Domain = ((0.1, 4.0),)
NONZERO: Domain = ((-3.0, -0.2), (0.2, 3.0))
UNIT: Domain = ((-0.9, 0.9),)

BUILT_IN: frozenset[str] = frozenset()  # names that a user's row may not take; filled below


def _function(name: str, forward: Callable[..., float], *partials: Rule, latex: str = "", **facts: Any) -> Operation:
    """A row written as a function call; ``latex`` is the name of the function there."""
    if latex:
        latex += rf"\left({', '.join(['%s'] * len(partials))}\right)"
    return Operation(name, forward, partials, latex=latex, **facts)


# Forward functions that the standard library does not have.  Comparisons with nan are false, so
# each is written so that nan stays nan.


def _power(x: float, y: float) -> float:
    return x**y if x >= 0.0 else math.pow(x, y)  # math.pow: an error, never a complex number


def _sign(x: float) -> float:
    return x if x == 0.0 or x != x else math.copysign(1.0, x)


def _step(x: float) -> float:
    return x if x != x else float(x > 0.0)


def _nonzero(x: float) -> float:
    return x if x != x else float(x != 0.0)


def _maximum(x: float, y: float) -> float:
    return x if x > y or x != x else y


def _minimum(x: float, y: float) -> float:
    return x if x < y or x != x else y


def _where(c: float, x: float, y: float) -> float:
    return c if c != c else x if c else y


def _relu(x: float) -> float:
    return 0.0 if x <= 0.0 else x


def _leaky_relu(x: float, alpha: float) -> float:
    return alpha * x if x <= 0.0 else x


def _sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)  # may underflow, where exp(-x) would overflow
    return e / (1.0 + e)


def _softplus(x: float) -> float:
    return _relu(x) + math.log1p(math.exp(-math.fabs(x)))


def _sumprod(p: Iterable[float], q: Iterable[float]) -> float:
    return math.fsum(map(operator.mul, p, q))


def _logsumexp(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("logsumexp needs at least one value")
    largest = functools.reduce(_maximum, values)
    if not math.isfinite(largest):
        return largest
    # log(1 + …), since the other terms may be too small to be seen beside 1 (Blanchard, Higham & Higham 2021)
    return largest + math.log1p(math.fsum([-1.0, *[math.exp(x - largest) for x in values]]))


def _total(terms: Iterable[Any]) -> Any:
    """Terms written as a sum, a + b + …."""
    return functools.reduce(add, terms)


def _two_sided_sigmoid(x: Any) -> Any:
    e = exp(-abs(x))
    return where(step(x), 1.0, e) / (1.0 + e)


def _shifted_logsumexp(values: Sequence[Any]) -> Any:
    largest = functools.reduce(maximum, values)
    return largest + log(fsum([exp(x - largest) for x in values]))


LN2, LN10, TWO_BY_ROOT_PI = math.log(2.0), math.log(10.0), 2.0 / math.sqrt(math.pi)

# Rules may name rows that stand further down.
nonzero: Operation
sign: Operation
step: Operation
where: Operation
log: Operation
cos: Operation
cosh: Operation
hypot: Operation

# fmt: off
add = Operation("add", operator.add,     (lambda x, y, z: 1.0,     lambda x, y, z: 1.0),    "%s + %s",  "%s + %s",       SUM,     neutral=(0.0, 0.0))
sub = Operation("sub", operator.sub,     (lambda x, y, z: 1.0,     lambda x, y, z: -1.0),   "%s - %s",  "%s - %s",       SUM,     neutral=(None, 0.0))
mul = Operation("mul", operator.mul,     (lambda x, y, z: y,       lambda x, y, z: x),      "%s * %s",  r"%s \cdot %s",  PRODUCT, neutral=(1.0, 1.0), absorbing=0.0)
div = Operation("div", operator.truediv, (lambda x, y, z: 1.0 / y, lambda x, y, z: -z / y), "%s / %s",  r"\frac{%s}{%s}", PRODUCT, (REAL, NONZERO), neutral=(None, 1.0))
neg = Operation("neg", operator.neg,     (lambda x, z: -1.0,),                              "-%s",      "-%s",           PRODUCT)
pow = Operation("pow", _power, (                                     # x**0 has slope 0, also at 0
    lambda x, y, z: y * (x + (1.0 - nonzero(x)) * (1.0 - nonzero(y))) ** (y - 1.0),
    lambda x, y, z: z * log(x + (1.0 - nonzero(x))),                 # 0**y has slope 0 in y
),                                                                                          "%s ** %s", "%s^{%s}",       POWER,   (POSITIVE, REAL), neutral=(None, 1.0))

abs     = _function("abs",     operator.abs, lambda x, z: sign(x), latex=r"\operatorname{abs}",        domain=(NONZERO,))
sign    = _function("sign",    _sign,        lambda x, z: 0.0,     latex=r"\operatorname{sign}",       domain=(NONZERO,))
step    = _function("step",    _step,        lambda x, z: 0.0,     latex=r"\operatorname{step}",       domain=(NONZERO,))
nonzero = _function("nonzero", _nonzero,     lambda x, z: 0.0,     latex=r"\operatorname{nonzero}",    domain=(NONZERO,), guard=True)
maximum = _function("maximum", _maximum,     lambda x, y, z: 0.5 + 0.5 * sign(x - y),
                                             lambda x, y, z: 0.5 - 0.5 * sign(x - y), latex=r"\max",   domain=(((-3.0, -1.2), (1.2, 3.0)), UNIT))
minimum = _function("minimum", _minimum,     lambda x, y, z: 0.5 - 0.5 * sign(x - y),
                                             lambda x, y, z: 0.5 + 0.5 * sign(x - y), latex=r"\min",   domain=(((-3.0, -1.2), (1.2, 3.0)), UNIT))
where   = _function("where",   _where,       lambda c, x, y, z: 0.0,
                                             lambda c, x, y, z: nonzero(c),
                                             lambda c, x, y, z: 1.0 - nonzero(c),                      domain=(NONZERO, REAL, REAL))

exp   = Operation("exp",   math.exp,  (lambda x, z: z,),                  latex="e^{%s}", level=POWER)
exp2  = Operation("exp2",  math.exp2, (lambda x, z: z * LN2,),  latex="2^{%s}", level=POWER)
expm1 = _function("expm1", math.expm1, lambda x, z: exp(x))
log   = _function("log",   math.log,   lambda x, z: 1.0 / x,                    latex=r"\ln",        domain=(POSITIVE,))
log2  = _function("log2",  math.log2,  lambda x, z: 1.0 / (x * LN2),  latex=r"\log_{2}",   domain=(POSITIVE,))
log10 = _function("log10", math.log10, lambda x, z: 1.0 / (x * LN10), latex=r"\log_{10}",  domain=(POSITIVE,))
log1p = _function("log1p", math.log1p, lambda x, z: 1.0 / (1.0 + x),                                 domain=(((-0.9, 4.0),),))
sqrt  = Operation("sqrt",  math.sqrt, (lambda x, z: 0.5 / z,),             latex=r"\sqrt{%s}",       domain=(POSITIVE,))
cbrt  = Operation("cbrt",  math.cbrt, (lambda x, z: 1.0 / (3.0 * z * z),), latex=r"\sqrt[3]{%s}",    domain=(NONZERO,))

sin   = _function("sin",   math.sin,   lambda x, z: cos(x),             latex=r"\sin")
cos   = _function("cos",   math.cos,   lambda x, z: -sin(x),            latex=r"\cos")
tan   = _function("tan",   math.tan,   lambda x, z: 1.0 + z * z,        latex=r"\tan",    domain=(((-1.3, 1.3),),))
asin  = _function("asin",  math.asin,  lambda x, z: 1.0 / sqrt((1.0 - x) * (1.0 + x)),  latex=r"\arcsin", domain=(UNIT,))
acos  = _function("acos",  math.acos,  lambda x, z: -1.0 / sqrt((1.0 - x) * (1.0 + x)), latex=r"\arccos", domain=(UNIT,))
atan  = _function("atan",  math.atan,  lambda x, z: 1.0 / (1.0 + x * x),                latex=r"\arctan")
atan2 = _function("atan2", math.atan2, lambda y, x, z: x / hypot(y, x) / hypot(y, x),   # twice: no overflow
                                       lambda y, x, z: -y / hypot(y, x) / hypot(y, x),  domain=(NONZERO, REAL))
sinh  = _function("sinh",  math.sinh,  lambda x, z: cosh(x),            latex=r"\sinh")
cosh  = _function("cosh",  math.cosh,  lambda x, z: sinh(x),            latex=r"\cosh")
tanh  = _function("tanh",  math.tanh,  lambda x, z: (1.0 - z) * (1.0 + z), latex=r"\tanh")  # exact near ±1
asinh = _function("asinh", math.asinh, lambda x, z: 1.0 / hypot(1.0, x),                      latex=r"\operatorname{arsinh}")
acosh = _function("acosh", math.acosh, lambda x, z: 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)),    latex=r"\operatorname{arcosh}", domain=(((1.1, 4.0),),))
atanh = _function("atanh", math.atanh, lambda x, z: 1.0 / ((1.0 - x) * (1.0 + x)),            latex=r"\operatorname{artanh}", domain=(UNIT,))
hypot = _function("hypot", math.hypot, lambda x, y, z: x / z, lambda x, y, z: y / z,          domain=(NONZERO, REAL))
erf   = _function("erf",   math.erf,   lambda x, z: TWO_BY_ROOT_PI * exp(-x * x))
erfc  = _function("erfc",  math.erfc,  lambda x, z: -TWO_BY_ROOT_PI * exp(-x * x))

sigmoid    = _function("sigmoid",    _sigmoid,    lambda x, z: z * (1.0 - z), latex=r"\sigma", lowering=_two_sided_sigmoid)
relu       = _function("relu",       _relu,       lambda x, z: step(x),                        domain=(NONZERO,))
leaky_relu = _function("leaky_relu", _leaky_relu, lambda x, alpha, z: where(step(x), 1.0, alpha),
                                                  lambda x, alpha, z: x * (1.0 - step(x)),     domain=(NONZERO, ((0.01, 0.3),)), defaults=(0.01,))
softplus   = _function("softplus",   _softplus,   lambda x, z: sigmoid(x), lowering=lambda x: relu(x) + log1p(exp(-abs(x))))

fsum      = Operation("fsum",      math.fsum,  (lambda x, z: 1.0,),        nary=True, latex=_total)
sumprod   = Operation("sumprod",   _sumprod,   (lambda x, y, z: y, lambda x, y, z: x), nary=True, latex=lambda p, q: _total(map(mul, p, q)))
logsumexp = Operation("logsumexp", _logsumexp, (lambda x, z: exp(x - z),), nary=True, latex=lambda xs: log(_total(map(exp, xs))), lowering=_shifted_logsumexp)
# fmt: on

BUILT_IN = frozenset(table)


@overload
def prod(values: Iterable[float]) -> float: ...  # type: ignore[overload-overlap]
@overload
def prod(values: Iterable[Value | float]) -> Value: ...  # type: ignore[overload-overlap]
@overload
def prod(values: Iterable[Symbol | float]) -> Symbol: ...
def prod(values: Iterable[Any]) -> Any:
    """The product of numbers of any kind, a fold of ``mul`` (an n-ary slope would need all the others).

    >>> prod([2.0, 3.0, 4.0])
    24.0
    """
    factors = list(values)
    return functools.reduce(mul, factors) if factors else 1.0
