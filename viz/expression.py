"""Expressions as text, read into a graph: a parser of its own, which can do nothing but arithmetic."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from autograd import Constant, Value, prod
from autograd.operations import POWER, PRODUCT, SUM, add, div, mul, neg, pow, sub, table

#: What an expression may have at most: characters, in all and in a name; levels of brackets, minuses and powers;
#: and operations.
LONGEST, LONGEST_NAME, DEEPEST, MOST = 10_000, 100, 100, 2_000
#: The names that have a number unless they are given another.
CONSTANTS = {"pi": math.pi, "π": math.pi}

#: A sign is read as the ASCII character in its place, so that positions stay what they are.
PLAIN = str.maketrans("·×−₀₁₂₃₄₅₆₇₈₉", "**-0123456789")
_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|\#[^\n]*)"
    r"|(?P<number>([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)"
    r"|(?P<name>\w+)"
    r"|(?P<sign>\*\*|[-+*/()\[\],=;\n])"
    r"|(?P<other>.)"
)
_UNARY = (PRODUCT + POWER) / 2  # a minus binds as in Python: -x**2 is -(x**2), and -x*y is (-x)*y
_BINARY = {"+": (add, SUM), "-": (sub, SUM), "*": (mul, PRODUCT), "/": (div, PRODUCT), "**": (pow, POWER)}
#: What to do instead where a character is not understood, or a token stands where it cannot.
_INSTEAD = {
    "^": "a power is written **",
    "²": "a square is written **2",
    "³": "a cube is written **3",
    "÷": "a quotient is written /",
    "|": "an absolute value is written abs(x)",
    ")": "there is no bracket that this one closes",
    "]": "there is no bracket that this one closes",
    "[": "a list stands in a call only, such as fsum([a, b])",
    "=": "only a name at the beginning can be assigned",
    ",": "a comma stands between the operands of a function only",
}


class ExpressionError(ValueError):
    """What is wrong with an expression, and where; prints as its line with a mark below the place.

    Args:
        message: what is wrong.
        text: the expression.
        position: the index of the character in it.

    >>> print(ExpressionError("an operand is missing here", "tanh(x*w + )", 11))
    tanh(x*w + )
               ^ an operand is missing here
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(message, text, position)
        self.message, self.text, self.position = message, text, position

    def __str__(self) -> str:
        start = self.text.rfind("\n", 0, self.position) + 1
        line = self.text[start:].partition("\n")[0]
        cut = max(0, self.position - start - 60)
        shown = "".join(c if c.isprintable() else " " for c in line[cut : cut + 100])
        before = shown[: self.position - start - cut].ljust(self.position - start - cut)
        wide = sum(unicodedata.east_asian_width(c) in "WF" for c in before)
        return f"{shown}\n{' ' * (len(before) + wide)}^ {self.message}"


def parse(text: str, values: Mapping[str, Value | float]) -> Value:
    """The graph of an expression.

    An expression is made of numbers, names, ``+ - * / **`` with Python's precedence, brackets, the rows of
    the table and ``prod`` by name, and assignments, with a semicolon or a new line between them. ``·``, ``×``
    and ``−`` may stand for ``*`` and ``-``, and ``x₁`` for ``x1``; a comment begins with ``#``.

    Args:
        text: the expression.
        values: its variables by name, as numbers or as Values. One that is used twice is one node.

    Returns:
        The last value. What is assigned is labelled with its name; a number that is assigned to a name is a
        variable like those given.

    Raises:
        ExpressionError: if the text is no expression, a name in it has no value, or an operation fails
            at these numbers, with the note of the operation; it points at the place.

    >>> parse("n = x*w + b; o = tanh(n)", {"x": 2, "w": -3, "b": 6.88})
    Value(data=0.706419..., op='tanh', label='o')
    >>> parse("log(x)", {"x": -1})
    Traceback (most recent call last):
        ...
    viz.expression.ExpressionError: log(x)
    ^ ...
    in log(u), u = -1.0 ("x")
    """
    names(text)  # an expression that is none is told before anything is computed
    _, output = _read(text, values)
    return output if isinstance(output, Value) else Constant(output)


def names(text: str) -> list[str]:
    """The names that an expression needs values for, in order; constants such as pi are among them.

    Raises:
        ExpressionError: if the text is no expression.

    >>> names("n = x*w + b; o = tanh(n)")
    ['x', 'w', 'b']
    """
    needed, _ = _read(text, None)
    return needed


def _read(text: str, values: Mapping[str, Value | float] | None) -> tuple[list[str], Any]:
    """The names that need values, and the output; without values, nothing is computed."""
    parser = _Parser(text, values)
    try:
        return parser.program()
    except RecursionError:  # of a caller who has left little of the stack
        raise parser.error("this is nested too deeply", parser.token) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """A question after the known name that may have been meant; empty if there is none."""
    near = ["log"] if name == "ln" else difflib.get_close_matches(name, known, 1)
    return f": did you mean {near[0]}?" if near else ""


class _Token(NamedTuple):
    #: "number", "name", "end", or the sign itself.
    kind: str
    text: str
    position: int


def _tokens(text: str) -> Iterator[_Token]:
    if len(text) > LONGEST:
        raise ExpressionError(f"an expression has at most {LONGEST:,} characters", text, LONGEST)
    brackets = 0
    for found in _TOKEN.finditer(text.translate(PLAIN)):
        kind, word, at = str(found.lastgroup), found[0], found.start()
        if kind == "name" and not word.isidentifier():  # such as x²
            at += next(i for i in range(len(word)) if not word[: i + 1].isidentifier())
            kind = "other"
        if kind == "other":
            raise ExpressionError(_INSTEAD.get(text[at], f"{text[at]!r} is not understood"), text, at)
        if kind == "name" and len(word) > LONGEST_NAME:
            raise ExpressionError(f"a name has at most {LONGEST_NAME} characters", text, at)
        brackets += (word in "([") - (word in ")]" and brackets > 0)
        if kind != "space" and (word != "\n" or not brackets):  # an open bracket goes on in the next line
            yield _Token(word if kind == "sign" else kind, word, at)
    yield _Token("\n", "\n", len(text))
    yield _Token("end", "", len(text))


class _Parser:
    """Precedence climbing, which computes what it reads; without values, it reads only."""

    def __init__(self, text: str, values: Mapping[str, Value | float] | None) -> None:
        self.text, self.tokens = text, [*_tokens(text)]
        self.place = self.depth = self.operations = 0
        self.dry = values is None
        self.known: dict[str, Any] = {name: _variable(x, name) for name, x in (values or {}).items()}
        self.read: dict[str, None] = {}

    @property
    def token(self) -> _Token:
        """The one that comes next."""
        return self.tokens[self.place]

    def take(self, *kinds: str) -> _Token | None:
        """The next token if it is of one of these kinds; then it has been read."""
        token = self.token
        self.place += token.kind in kinds
        return token if token.kind in kinds else None

    def error(self, message: str, token: _Token) -> ExpressionError:
        """An error at a token."""
        return ExpressionError(message, self.text, token.position)

    def misplaced(self) -> ExpressionError:
        """An error at a token that cannot follow what stands before it."""
        return self.error(_INSTEAD.get(self.token.kind, "an operator is missing here, such as *"), self.token)

    def program(self) -> tuple[list[str], Any]:
        """Assignments, and the output: the names that were used without having been assigned, and its value."""
        output = start = unnamed = None
        while self.token.kind != "end":
            if self.take(";", "\n"):
                continue
            if unnamed:
                raise self.error("what is not the last needs a name, such as n = …", unnamed)
            start = self.token
            if start.kind == "name" and self.tokens[self.place + 1].kind == "=":
                self.place += 2
                output = self.assign(start)
            else:
                unnamed, output = start, self.expression()
            if self.token.kind not in (";", "\n"):
                raise self.misplaced()
        if not start:
            raise self.error("an expression is missing here", self.token)
        return list(self.read), output

    def assign(self, name: _Token) -> Any:
        """The value of a name, which is a variable if it is a number."""
        value = self.expression()
        if name.text in self.known or name.text in self.read:
            raise self.error(f"{name.text} has a value already: assign to another name", name)
        self.known[name.text] = None if self.dry else _variable(value, name.text)
        return self.known[name.text]

    def expression(self, least: float = SUM, deeper: int = 1) -> Any:
        """One whose operators bind at least so tightly."""
        self.depth += deeper
        if self.depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} levels of brackets, minuses and powers", self.token)
        if sign := self.take("-", "+"):
            value = self.expression(_UNARY)
            value = self.apply(neg, [value], sign) if sign.kind == "-" else value
        else:
            value = self.operand()
        while self.token.kind in _BINARY and _BINARY[self.token.kind][1] >= least:
            sign = self.tokens[self.place]
            self.place += 1
            row, level = _BINARY[sign.kind]
            # A power's exponent goes on to the right, and may have a minus; the others go from left to right.
            right = self.expression(_UNARY) if row is pow else self.expression(level + 0.5, deeper=0)
            value = self.apply(row, [value, right], sign)
        self.depth -= deeper
        return value

    def operand(self) -> Any:
        """A number, a name, a call, or an expression in brackets."""
        if number := self.take("number"):
            if math.isinf(value := float(number.text)):
                raise self.error("this number is too large for a float", number)
            return value
        if name := self.take("name"):
            opening = self.take("(")
            return self.call(name, opening) if opening else self.look_up(name)
        if opening := self.take("("):
            value = self.expression()
            self.close(")", opening)
            return value
        raise self.misplaced() if self.token.kind in "[=" else self.error("an operand is missing here", self.token)

    def look_up(self, token: _Token) -> Any:
        """The value of a name."""
        name = token.text
        if name in self.known:
            return self.known[name]
        self.read.setdefault(name)
        if self.dry or name in CONSTANTS:
            return CONSTANTS.get(name)
        if name in table or name == "prod":
            raise self.error(f"{name} is a function: write {name}(…)", token)
        raise self.error(f"{name} has no number{nearest(name, self.known)}", token)

    def call(self, name: _Token, opening: _Token) -> Any:
        """A row of the table, or prod, applied to its operands."""
        row = table.get("fsum" if name.text == "prod" else name.text)  # prod is read as fsum is
        if row is None:
            near = nearest(name.text, [*table, "prod"]) or "; a product is written x * (…)"
            raise self.error(f"there is no function {name.text}{near}", name)
        operands = self.several(")", opening, partial(self.argument, name.text, row.nary))
        least, most = len(row.partials) - len(row.defaults), len(row.partials)
        if not least <= len(operands) <= most:
            wanted, kind = f"{least} or {most}" if least < most else most, "list" if row.nary else "operand"
            raise self.error(f"{name.text} takes {wanted} {kind}(s), not {len(operands)}", name)
        return self.apply(prod if name.text == "prod" else row, operands, name)

    def argument(self, called: str, nary: bool) -> Any:
        """An operand of a function: for one that takes columns, a list."""
        token, opening = self.token, self.take("[")
        if bool(opening) != nary:
            raise self.error(f"{called} takes {'' if nary else 'no '}lists, such as [a, b]", token)
        return self.several("]", opening, self.expression) if opening else self.expression()

    def several(self, closing: str, opening: _Token, item: Callable[[], Any]) -> list[Any]:
        """Items with commas between them, up to a bracket."""
        if self.take(closing):
            return []
        items = [item()]
        while self.take(","):
            items.append(item())
        self.close(closing, opening)
        return items

    def close(self, closing: str, opening: _Token) -> None:
        """The bracket that closes another."""
        if self.token.kind in (";", "\n"):
            raise self.error("this bracket is never closed", opening)
        if self.token.kind in ")]" and self.token.kind != closing:
            raise self.error(f"a {closing} is missing here", self.token)
        if not self.take(closing):
            raise self.misplaced()

    def apply(self, function: Callable[..., Any], operands: list[Any], token: _Token) -> Any:
        """A function of what was read; its errors point at it."""
        self.operations += len(operands[0]) if function is prod else 1  # a product is as many operations
        if self.operations > MOST:
            raise self.error(f"an expression has at most {MOST:,} operations", token)
        if self.dry:
            return None
        try:
            return function(*operands)
        except (ArithmeticError, ValueError) as error:
            *_, message = error.args or (type(error).__name__,)
            pointed = self.error(str(message), token)
            for note in getattr(error, "__notes__", ()):
                pointed.add_note(note)
            raise pointed from None


def _variable(x: Value | float, name: str) -> Value:
    value = x if isinstance(x, Value) else Value(x)
    value.label = value.label or name
    return value
