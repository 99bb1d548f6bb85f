"""Operations in JavaScript, for pages that compute: the kind of number that is a script.

A row's rule applied to Scripts gives its own JavaScript, as Symbols give a formula. But nothing is
folded or left out, because the numbers are to be Python's: ``0.0 * x`` stays, since it may be nan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from autograd.operations import BUILT_IN, Operation, real, table

#: A function this long was made by a loop, and doubles with each turn.
LONGEST = 20_000


def _binary(written: str) -> tuple[Callable[[Any, Any], Script], Callable[[Any, Any], Script]]:
    return lambda x, y: Script(written, x, y), lambda x, y: Script(written, y, x)


class Script:
    """An expression in JavaScript, in which ``F`` holds the operations of the table.

    >>> x = Script("x")
    >>> abs(x * 2.0 - 1.0).text
    'F.abs(((x * 2.0) - 1.0))'
    """

    __slots__ = ("text",)

    text: str

    def __init__(self, template: str, *operands: Script | float) -> None:
        written = [x.text if isinstance(x, Script) else _literal(real(x, "JavaScript")) for x in operands]
        self.text = template % tuple(written) if operands else template
        if len(self.text) > LONGEST:
            raise TypeError("a formula as long as this is no plain arithmetic")

    @classmethod
    def _apply(cls, op: Operation, operands: Sequence[Any]) -> Script:
        if not is_built_in(op):
            made = op.forward(*operands)
            return made if isinstance(made, Script) else cls("%s", made)
        columns = [", ".join(["%s"] * len(column)) for column in operands] if op.nary else []
        arguments = ", ".join(f"[{column}]" for column in columns) if op.nary else ", ".join(["%s"] * len(operands))
        return cls(f"F.{op.name}({arguments})", *op.flat(operands))

    # Python's floats do these as JavaScript does; division and powers have errors of their own.
    __add__, __radd__ = _binary("(%s + %s)")
    __sub__, __rsub__ = _binary("(%s - %s)")
    __mul__, __rmul__ = _binary("(%s * %s)")
    __truediv__, __rtruediv__ = _binary("F.div(%s, %s)")
    __pow__, __rpow__ = _binary("F.pow(%s, %s)")

    def __neg__(self) -> Script:
        return Script("F.neg(%s)", self)

    def __abs__(self) -> Script:
        return Script("F.abs(%s)", self)

    def __bool__(self, _: object = None) -> NoReturn:
        raise TypeError("a Script cannot be compared")

    __lt__ = __le__ = __gt__ = __ge__ = __bool__
    __eq__ = __ne__ = __bool__
    __hash__ = None  # type: ignore[assignment]


def _literal(x: float) -> str:
    text = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(repr(x), repr(x))
    return f"({text})" if text.startswith("-") else text


def is_built_in(op: Operation) -> bool:
    """Whether the page knows the operation; a user's row is computed by what its ``forward`` does."""
    return op.name in BUILT_IN and table[op.name] is op


def javascript(op: Operation, count: int) -> str:
    """A row as an object: ``f``, how it is computed from so many operands, and ``d``, its rules.

    Raises:
        ValueError: if ``forward`` or a rule is no plain arithmetic.

    >>> javascript(table["mul"], 2)
    '{f: (F, x0, x1) => F.mul(x0, x1), d: [(F, x0, x1, z) => x1, (F, x0, x1, z) => x0]}'
    """

    def names(n: int) -> list[str]:
        return [f"x{j}" for j in range(n)]

    def function(arguments: list[str], of: Callable[[Sequence[Any]], Any]) -> str:
        made = of([Script(name) for name in arguments])
        text = made.text if isinstance(made, Script) else _literal(real(made, op.name))
        return f"({', '.join(['F', *arguments])}) => {text}"

    try:
        forward = function(names(count), lambda xs: Script._apply(op, op.columns(xs)))
        slots = [*names(len(op.partials)), "z"]
        rules = [function(slots, lambda xs, rule=rule: rule(*xs)) for rule in op.partials]  # type: ignore[misc]
    except Exception as error:  # a user's function may fail in any way, given what is no float
        raise ValueError(f"{op.name} is not written in plain arithmetic: {error}") from error
    return f"{{f: {forward}, d: [{', '.join(rules)}]}}"
