"""Machine instructions: the kind of number that is a register, or a vector of them.

A row of the table applied to Registers appends LLVM instructions to the function that is being
written: one line for arithmetic, a call for what the C library computes, and otherwise the row's own
arithmetic (``lowering``, or a user's ``forward``) in other rows.  With several *lanes*, every register
holds as many examples.

Text, because LLVM parses it several times faster than Python builds its objects.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from autograd import operations as ops
from autograd import vector_math
from autograd.operations import Operation, real
from autograd.tape import TOTAL


def _binary(op: Operation) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    return lambda x, y: x.function.apply(op, (x, y)), lambda x, y: x.function.apply(op, (y, x))


class Register:
    """A register of a function in the making, by its name there."""

    __slots__ = ("function", "name")

    def __init__(self, function: Function, name: str) -> None:
        self.function, self.name = function, name

    @classmethod
    def _apply(cls, op: Operation, operands: Sequence[Any]) -> Any:
        flat = op.flat(operands)
        return next(x.function for x in flat if isinstance(x, Register)).apply(op, flat)

    __add__, __radd__ = _binary(ops.add)
    __sub__, __rsub__ = _binary(ops.sub)
    __mul__, __rmul__ = _binary(ops.mul)
    __truediv__, __rtruediv__ = _binary(ops.div)
    __pow__, __rpow__ = _binary(ops.pow)

    def __neg__(self) -> Any:
        return self.function.apply(ops.neg, (self,))

    def __abs__(self) -> Any:
        return self.function.apply(ops.abs, (self,))

    # What vector_math asks of a number, as described there.

    def fma(self, y: Any, z: Any) -> Register:
        """self * y + z, rounded once where the machine can."""
        return self.function.fma(self, y, z)

    def less(self, y: Any, then: Any, other: Any) -> Register:
        """``then`` where self < y, else ``other``."""
        return self.function.select("olt", self, y, then, other)

    def greater(self, y: Any, then: Any, other: Any) -> Register:
        """``then`` where self > y, else ``other``."""
        return self.function.select("ogt", self, y, then, other)

    def copysign(self, y: Any) -> Register:
        """The size of self with the sign of y."""
        return _copysign(self.function, self, y)

    def exponent(self) -> Register:
        """The k with 2**k <= self < 2**(k + 1), of a normal positive number."""
        f = self.function
        shifted = f.bits("lshr", f.let(f"bitcast {f.type} {self.name} to {f.integers}"), 52)
        biased = f.bits("or", shifted, _BITS_OF_2_TO_52)
        return f.let(f"bitcast {f.integers} {biased.name} to {f.type}") - _EXPONENT_BASE  # type: ignore[no-any-return]

    def power(self) -> Register:
        """2**self, of an integer from -1022 to 1023."""
        f = self.function
        biased = f.let(f"bitcast {f.type} {(self + _EXPONENT_BASE).name} to {f.integers}")
        return f.let(f"bitcast {f.integers} {f.bits('shl', biased, 52).name} to {f.type}")

    def __bool__(self, _: object = None) -> NoReturn:
        raise TypeError("a Register cannot be compared")

    __lt__ = __le__ = __gt__ = __ge__ = __bool__
    __eq__ = __ne__ = __bool__
    __hash__ = None  # type: ignore[assignment]


class Function:
    """An LLVM function in the making.

    Args:
        module: what it is a part of.
        head: its signature.
        lanes: how many examples a register holds.
    """

    def __init__(self, module: Module, head: str, lanes: int) -> None:
        self.module, self.lanes, self.type = module, lanes, vector(lanes)
        self.integers = self.type.replace("double", "i64")
        self.lines = [f"define {head} {{", "entry:"]
        self._count = 0
        self._block = "entry"
        self._users = 0  # how many users' rows are being written out
        #: What rows within them have given that may raise an error, as in ``Tape.raising``.
        self.raising: list[Any] = []

    def let(self, instruction: str) -> Register:
        """A register for the result of an instruction."""
        self._count = count = self._count + 1
        self.lines.append(f"%r{count} = {instruction}")
        return Register(self, f"%r{count}")

    def do(self, instruction: str) -> None:
        """An instruction without a result."""
        self.lines.append(instruction)

    def end(self, result: str = "void") -> None:
        """The end of the function."""
        self.module.text += [*self.lines, f"ret {result}", "}"]

    def write(self, x: Any, lanes: int | None = None) -> str:
        """A register or a number as an operand."""
        if type(x) is Register:
            return x.name
        return literal(real(x, "machine code"), lanes or self.lanes)

    def apply(self, op: Operation, operands: Sequence[Any]) -> Any:
        """A row of the table on registers and numbers."""
        if line := _LINES.get(op):
            found: Any = self.let(line.format(*map(self.write, operands), T=self.type))
        elif native := _NATIVE.get(op):
            found = native(self, *operands)
        elif op.name in LIBRARY and op.name in ops.BUILT_IN:
            found = self.call(op.name, operands)
        else:
            users = op.name not in ops.BUILT_IN
            self._users += users
            found = (op.lowering or op.forward)(*op.columns(list(operands)))
            self._users -= users
            found = found if isinstance(found, Register) else real(found, op.name)
        if self._users and op not in TOTAL:
            self.raising.append(found)
        return found

    def call(self, name: str, operands: Sequence[Any]) -> Register:
        """A function of the C library, lane by lane, or of :mod:`autograd.vector_math`."""
        typed = ", ".join(f"{self.type} {self.write(x)}" for x in operands)
        return self.let(f"call {self.type} @{self.module.callee(name, len(operands), self.lanes)}({typed})")

    def select(self, comparison: str, x: Any, y: Any, then: Any, other: Any) -> Register:
        """``then`` where ``x`` and ``y`` compare so, else ``other``; in the words of LLVM's fcmp."""
        condition = self.let(f"fcmp {comparison} {self.type} {self.write(x)}, {self.write(y)}")
        bits = "i1" if self.lanes == 1 else f"<{self.lanes} x i1>"
        return self.let(
            f"select {bits} {condition.name}, {self.type} {self.write(then)}, {self.type} {self.write(other)}"
        )

    def fma(self, x: Any, y: Any, z: Any, lanes: int | None = None) -> Register:
        """x * y + z, rounded once where the machine can."""
        kind, of = vector(lanes or self.lanes), suffix(lanes or self.lanes)
        a, b, c = [self.write(x, lanes) for x in (x, y, z)]
        return self.let(f"call {kind} @llvm.fmuladd.{of}({kind} {a}, {kind} {b}, {kind} {c})")

    def bits(self, instruction: str, x: Register, y: int) -> Register:
        """An instruction on the bits of a number."""
        return self.let(f"{instruction} {self.integers} {x.name}, {f'splat (i64 {y})' if self.lanes > 1 else y}")

    def pick(self, x: Register, places: Sequence[int], lanes: int) -> Register:
        """Some of the numbers in a register."""
        kind, numbers = vector(lanes), ", ".join(f"i32 {j}" for j in places)
        return self.let(f"shufflevector {kind} {x.name}, {kind} poison, <{len(places)} x i32> <{numbers}>")

    def transposed(self, rows: Sequence[Register]) -> list[Register]:
        """As many registers as each has numbers, with rows for columns: blocks of 1, 2, 4 … change places."""
        rows, n = list(rows), len(rows)
        for size in [1 << j for j in range(n.bit_length() - 1)]:
            low = [j - size + n if j & size else j for j in range(n)]
            for i in [i for i in range(n) if not i & size]:
                pair = f"{vector(n)} {rows[i].name}, {vector(n)} {rows[i + size].name}"
                for k, places in ((i, low), (i + size, [j + size for j in low])):
                    mask = ", ".join(f"i32 {j}" for j in places)
                    rows[k] = self.let(f"shufflevector {pair}, <{n} x i32> <{mask}>")
        return rows

    def sum(self, x: Register, lanes: int) -> Register:
        """The sum of the numbers in a register, by halves."""
        if lanes == 1:
            return x
        add = f"reassoc double @llvm.vector.reduce.fadd.{suffix(lanes)}"
        return self.let(f"call {add}(double -0.0, {vector(lanes)} {x.name})")

    def load(self, pointer: str, lanes: int | None = None) -> Register:
        """As many numbers as the function has lanes, or as given."""
        return self.let(f"load {vector(lanes or self.lanes)}, ptr {pointer}, align 8")

    def broadcast(self, pointer: str, lanes: int | None = None) -> Register:
        """One number, in all lanes."""
        return self.spread(self.load(pointer, 1), lanes or self.lanes)

    def spread(self, number: Register, lanes: int) -> Register:
        """The number of a register, in all lanes."""
        if lanes == 1:
            return number
        kind = vector(lanes)
        first = self.let(f"insertelement {kind} poison, double {number.name}, i64 0").name
        return self.let(f"shufflevector {kind} {first}, {kind} poison, <{lanes} x i32> zeroinitializer")

    def store(self, x: Any, pointer: str, lanes: int | None = None) -> None:
        """Store what :meth:`load` loads."""
        lanes = lanes or self.lanes
        self.do(f"store {vector(lanes)} {self.write(x, lanes)}, ptr {pointer}, align 8")

    def at(self, pointer: str, offset: str | int, lanes: int = 1) -> str:
        """A pointer to so many numbers, or vectors, further on."""
        return self.let(f"getelementptr {vector(lanes)}, ptr {pointer}, i64 {offset}").name if offset != 0 else pointer

    def plus(self, index: str | int, more: int) -> str | int:
        """An index further on."""
        if isinstance(index, int):
            return index + more
        return self.let(f"add i64 {index}, {more}").name if more else index

    def times(self, index: str | int, factor: int) -> str | int:
        """An index times a number."""
        return index * factor if isinstance(index, int) else self.let(f"mul i64 {index}, {factor}").name

    def choose(self, condition: str, then: Callable[[], None], other: Callable[[], None]) -> None:
        """What is done where a condition holds, and what where it does not."""
        self._count += 1
        name = f"choice{self._count}"
        self.do(f"br i1 {condition}, label %{name}.then, label %{name}.else")
        for label, body in (("then", then), ("else", other)):
            self.begin(f"{name}.{label}")
            body()
            self.do(f"br label %{name}.end")
        self.begin(f"{name}.end")

    def begin(self, block: str) -> None:
        """What follows is a block of this name."""
        self.do(f"{block}:")
        self._block = block

    @contextmanager
    def loop(self, stop: str | int, step: int = 1, *carried: str) -> Iterator[Loop]:
        """A loop whose body runs at least once, for 0, step, 2 step … < stop.

        Args:
            stop: the end.
            step: the step.
            carried: the types of values that a turn hands to the next; the first finds zeros.
        """
        self._count += 1
        head, before = f"loop{self._count}", self._block
        self.do(f"br label %{head}")
        self.begin(head)
        place = len(self.lines)
        loop = Loop(f"%{head}.i", [Register(self, f"%{head}.{j}") for j in range(len(carried))])
        self.lines += [""] * (1 + len(carried))  # what the turns hand on is known at the end of the body
        yield loop
        self.do(f"%{head}.n = add nuw nsw i64 {loop.index}, {step}")
        self.lines[place] = f"{loop.index} = phi i64 [ 0, %{before} ], [ %{head}.n, %{self._block} ]"
        for j, kind in enumerate(carried):
            handed = f"[ zeroinitializer, %{before} ], [ {loop.values[j].name}, %{self._block} ]"
            self.lines[place + 1 + j] = f"%{head}.{j} = phi {kind} {handed}"
        again = self.let(f"icmp ult i64 %{head}.n, {stop}")
        self.do(f"br i1 {again.name}, label %{head}, label %{head}.end")
        self.begin(f"{head}.end")


class Loop:
    """A loop in the making: its index, and the values that it carries, which the body replaces."""

    def __init__(self, index: str, values: list[Register]) -> None:
        self.index, self.values = index, values


class Module:
    """The text of a module: functions, and what they call."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self._known: set[str] = set()

    def callee(self, name: str, count: int, lanes: int) -> str:
        """The name of a function of the C library for so many lanes; it is written when it is first asked for."""
        own = name if lanes == 1 else f"{name}.v{lanes}"
        if own not in self._known:
            self._known.add(own)
            if lanes == 1:
                self.text.append(f"declare double @{name}({', '.join(['double'] * count)})")
            elif name in _VECTOR:
                f = Function(self, f"internal {vector(lanes)} @{own}({vector(lanes)} %x)", lanes)
                f.end(f"{f.type} {_VECTOR[name](Register(f, '%x')).name}")
            else:
                self._write_by_lane(own, name, count, lanes)
        return own

    def write_once(self, name: str, text: str) -> None:
        """Something that several functions use."""
        if name not in self._known:
            self._known.add(name)
            self.text.append(text)

    def _write_by_lane(self, own: str, name: str, count: int, lanes: int) -> None:
        kind = vector(lanes)
        scalar = self.callee(name, count, 1)
        operands = [f"%x{j}" for j in range(count)]
        f = Function(self, f"internal {kind} @{own}({', '.join(f'{kind} {x}' for x in operands)}) noinline", lanes)
        with f.loop(lanes, 1, kind) as loop:
            xs = [f.let(f"extractelement {kind} {x}, i64 {loop.index}").name for x in operands]
            y = f.let(f"call double @{scalar}({', '.join(f'double {x}' for x in xs)})")
            loop.values = [f.let(f"insertelement {kind} {loop.values[0].name}, double {y.name}, i64 {loop.index}")]
        f.end(f"{kind} {loop.values[0].name}")

    def __str__(self) -> str:
        return "\n".join(self.text)


def vector(lanes: int) -> str:
    """The type of so many numbers."""
    return "double" if lanes == 1 else f"<{lanes} x double>"


def suffix(lanes: int) -> str:
    """How LLVM's own functions call that type."""
    return "f64" if lanes == 1 else f"v{lanes}f64"


def literal(x: float, lanes: int = 1) -> str:
    """A number, exactly."""
    bits = f"0x{struct.unpack('>Q', struct.pack('>d', x))[0]:016X}"
    return bits if lanes == 1 else f"splat (double {bits})"


#: What the C library computes, by the name it has there too.
LIBRARY = frozenset(
    [
        *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "pow", "hypot", "erf", "erfc"),
        *("sin", "cos", "tan", "asin", "acos", "atan", "atan2"),
        *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    ]
)

#: What needs no library for several lanes.
_VECTOR = {name: getattr(vector_math, name) for name in ("exp", "expm1", "log", "log1p", "tanh")}
_BITS_OF_2_TO_52, _EXPONENT_BASE = 4841369599423283200, 2.0**52 + 1023.0

#: Rows that are one instruction.
_LINES = {
    ops.add: "fadd {T} {0}, {1}",
    ops.sub: "fsub {T} {0}, {1}",
    ops.mul: "fmul {T} {0}, {1}",
    ops.div: "fdiv {T} {0}, {1}",
    ops.neg: "fneg {T} {0}",
}


def _intrinsic(name: str) -> Callable[..., Register]:
    def call(f: Function, *operands: Any) -> Register:
        typed = ", ".join(f"{f.type} {f.write(x)}" for x in operands)
        return f.let(f"call {f.type} @llvm.{name}.{suffix(f.lanes)}({typed})")

    return call


_fabs, _copysign = _intrinsic("fabs"), _intrinsic("copysign")


def _power(f: Function, x: Any, y: Any) -> Any:
    if isinstance(y, float) and y in (2.0, 3.0):
        square = f.apply(ops.mul, (x, x))
        return square if y == 2.0 else f.apply(ops.mul, (square, x))
    return f.call("pow", (x, y))


def _larger(comparison: str) -> Callable[..., Register]:
    return lambda f, x, y: f.select("uno", x, x, x, f.select(comparison, x, y, x, y))


def _total(f: Function, terms: Sequence[Any]) -> Any:
    """A sum; as that of ``math.fsum``, it is never -0.0."""
    return f.apply(ops.add, (_halved(f, terms), 0.0))


def _halved(f: Function, terms: Sequence[Any]) -> Any:
    """A sum by halves, which is exacter than one after the other, and shorter to wait for."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return f.apply(ops.add, (_halved(f, terms[:half]), _halved(f, terms[half:])))


def _weighted(f: Function, *operands: Any) -> Any:
    n = len(operands) // 2
    pairs = list(zip(operands[:n], operands[n:], strict=True))
    products = [
        f.fma(*pairs[j], f.apply(ops.mul, pairs[j + 1])) if j + 1 < n else f.apply(ops.mul, pairs[j])
        for j in range(0, n, 2)
    ]
    return _total(f, products)


#: Rows that are a few instructions; nan stays nan in each, as the table has it.
_NATIVE: dict[Operation, Callable[..., Any]] = {
    ops.abs: _fabs,
    ops.sqrt: _intrinsic("sqrt"),
    ops.sign: lambda f, x: f.select("one", x, 0.0, _copysign(f, 1.0, x), x),
    ops.step: lambda f, x: f.select("ogt", x, 0.0, 1.0, f.select("uno", x, x, x, 0.0)),
    ops.nonzero: lambda f, x: f.select("one", x, 0.0, 1.0, _fabs(f, x)),
    ops.maximum: _larger("ogt"),
    ops.minimum: _larger("olt"),
    ops.where: lambda f, c, x, y: f.select("uno", c, c, c, f.select("une", c, 0.0, x, y)),
    ops.relu: lambda f, x: f.select("ole", x, 0.0, 0.0, x),
    ops.leaky_relu: lambda f, x, alpha: f.select("ole", x, 0.0, f.apply(ops.mul, (alpha, x)), x),
    ops.pow: _power,
    ops.fsum: lambda f, *terms: _total(f, terms),
    ops.sumprod: _weighted,
}
