"""Many steps of mini-batch gradient descent in one call of machine code, which goes from program to program.

A step over a batch of n examples is (Goodfellow, Bengio & Courville, Algorithm 8.1; with the clipping of
Pascanu, Mikolov & Bengio 2013)

    g ← (1/n) Σ ∂L/∂p,    g ← g · min(1, c / (‖g‖ + 10⁻⁶)),    (p, kept) ← rule(p, kept, g)

The sum is one program, and the optimiser's rule is another, with a row per parameter. What is to be done
between them is the same for all graphs: it is compiled once in a process, and told where their codes are.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from autograd import operations as ops
from autograd.machine import Machine, linked, width
from autograd.register import Function, Module, Register, literal

#: What the code is told: where codes and arrays are, and counts.
POINTERS = (
    *("sums", "sums_space", "sums_constants", "rule", "rule_space", "rule_constants"),
    *("rows", "bounds", "rates", "tables", "gradient", "losses", "stretches", "found"),
)
COUNTS = ("between_rows", "between_inputs", "between_rates", "steps", "half", "n", "kept", "lengths")
#: Squared lengths outside of these have lost digits.
SMALLEST, LARGEST = 1e-300, 1e300


class Descent:
    """Steps of an optimiser on a program.

    The numbers of the optimiser are in a table with a line for the parameters, one for each number kept for
    them, and one for the gradient. There are two of them, and each step goes from one to the other.

    Args:
        sums: the loss of an example, and its gradient by all parameters in their order.
        rule: takes a column of the table, and gives what it is after the step.
        shape: that of the table: lines, and parameters.
        layers: the parameters whose gradient's length is to be found, for each length.
        clip_norm: c; infinite for no clipping.
    """

    def __init__(
        self, sums: Machine, rule: Machine, shape: tuple[int, int], layers: Sequence[slice], clip_norm: float
    ) -> None:
        import numpy as np

        self._sums, self._rule, self._clip = sums, rule, clip_norm
        columns, self._n = shape
        self._lanes = 4 * width()  # so many numbers are added up side by side, and some may be beyond the end
        self._tables = np.zeros((2, columns * self._n + self._lanes))
        self._lines = [table[: columns * self._n].reshape(columns, self._n) for table in self._tables]
        self._gradient = np.zeros(self._n + self._lanes)
        self._stretches = np.array([(x.start, x.stop - x.start) for x in [*layers, slice(0, self._n)]])

    def run(self, moved: Any, rows: Any, bounds: Any, rates: Any) -> tuple[Any, Any, Any]:
        """Steps over batches, up to the first in which a number is not finite.

        Args:
            moved: the parameters, and what is kept for them: the table without its last line.
            rows: all examples, as a program takes them.
            bounds: where each batch begins in them, and where the last one ends.
            rates: the parameters of the rule, for each step.

        Returns:
            For each step done, the sum of the losses, the length of each layer's gradient, and that of the whole;
            the table after the last of them; and its gradient, scaled.
        """
        import numpy as np

        lengths, given = len(self._stretches), np.ascontiguousarray(rates)
        found = np.empty((len(rates), 1 + lengths))
        losses = np.zeros(int(np.diff(bounds).max()) + self._lanes)
        self._lines[0][:-1] = moved
        task = [
            *(*self._sums.addresses(), *self._rule.addresses()),
            *[x.ctypes.data for x in (rows, bounds, given, self._tables, self._gradient, losses)],
            *(self._stretches.ctypes.data, found.ctypes.data),
            *(rows.strides[0] // 8, rows.strides[1] // 8, given.shape[1]),
            *(len(rates), self._tables.shape[1], self._n, len(moved), lengths),
        ]
        done = _code(self._lanes)((ctypes.c_int64 * len(task))(*task), self._clip)
        return found[:done], self._lines[done % 2][:-1].copy(), self._lines[1 - done % 2][-1].copy()


@functools.cache
def _code(lanes: int) -> Any:
    """The machine code, as a function."""
    code = linked(_text(lanes), ["descend"])
    descend: Any = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_double)(code["descend"])
    descend.code = code  # which would be freed
    return descend


def _text(lanes: int) -> str:
    module = Module()
    _write_sum(module, "total", lanes, lambda x: x)
    _write_sum(module, "sizes", lanes, abs)
    _write_sum(module, "squares", lanes, lambda x: x * x)
    scaled = Function(module, "internal void @scaled(ptr %x, i64 %n, double %scale, ptr %to)", lanes)
    with scaled.loop("%n", lanes) as each:
        x = scaled.load(scaled.at("%x", each.index))
        scaled.store(x * scaled.spread(Register(scaled, "%scale"), lanes), scaled.at("%to", each.index))
    scaled.end()
    _write_steps(module)
    return str(module)


def _write_sum(module: Module, name: str, lanes: int, term: Callable[[Any], Any]) -> None:
    """The sum of a term over an array, which has to be followed by as many numbers as there are lanes."""
    f = Function(module, f"internal double @{name}(ptr %x, i64 %n)", lanes)
    with f.loop("%n", lanes, f.type) as each:
        mask = f"llvm.get.active.lane.mask.v{lanes}i1.i64"
        inside = f.let(f"call <{lanes} x i1> @{mask}(i64 {each.index}, i64 %n)").name
        number = f.load(f.at("%x", each.index)).name
        x = f.let(f"select <{lanes} x i1> {inside}, {f.type} {number}, {f.type} zeroinitializer")
        each.values = [each.values[0] + term(x)]
    f.end(f"double {f.sum(each.values[0], lanes).name}")


def _write_steps(module: Module) -> None:
    f = Function(module, "i64 @descend(ptr %task, double %clip)", 1)
    kinds = dict.fromkeys(POINTERS, "ptr") | dict.fromkeys(COUNTS, "i64")
    for j, (name, kind) in enumerate(kinds.items()):
        f.do(f"%{name} = load {kind}, ptr {f.at('%task', j)}")
    with f.loop("%steps") as step:
        first, end = (_integer(f, "%bounds", f.plus(step.index, j)) for j in (0, 1))
        count = f.let(f"sub i64 {end}, {first}").name
        odd = f.let(f"and i64 {step.index}, 1").name
        table, other = (
            f.at("%tables", f.let(f"mul i64 {j}, %half").name) for j in (odd, f.let(f"xor i64 {odd}, 1").name)
        )
        rows = f.at("%rows", f.let(f"mul i64 {first}, %between_rows").name)
        given = f"ptr {rows}, i64 %between_rows, i64 %between_inputs, i64 {count}, ptr %losses, i64 {count}"
        _call(f, "sums", given, table, "%gradient")
        examples = Register(f, f.let(f"uitofp i64 {count} to double").name)
        scale = f.apply(ops.div, (1.0, examples))
        found = f.at("%found", f.let(f"mul i64 {step.index}, {f.plus('%lengths', 1)}").name)
        total = _sum(f, "total", "%losses", count)
        f.store(total, found)
        _stop_unless(f, _within(f, abs(total), -1.0, sys.float_info.max))
        with f.loop("%lengths", 1, "double") as layer:
            begin, size = (_integer(f, "%stretches", f.plus(f.times(layer.index, 2), j)) for j in (0, 1))
            g = f.at("%gradient", begin)
            squared = _sum(f, "squares", g, size)
            safe = _within(f, squared, SMALLEST, LARGEST)
            none = f.let(f"fcmp oeq double {_sum(f, 'sizes', g, size).name}, 0.0").name
            _stop_unless(f, f.let(f"or i1 {safe}, {none}").name)
            layer.values = [scale * f.apply(ops.sqrt, (squared,))]
            f.store(layer.values[0], f.at(f.at(found, layer.index), 1))
        clip = Register(f, "%clip") / (layer.values[0] + 1e-6)
        scale = scale * f.select("olt", clip, 1.0, clip, 1.0)
        line = f.at(table, f.let("mul i64 %kept, %n").name)
        f.do(f"call void @scaled(ptr %gradient, i64 %n, double {scale.name}, ptr {line})")
        rates = f.at("%rates", f.let(f"mul i64 {step.index}, %between_rates").name)
        _call(f, "rule", f"ptr {table}, i64 1, i64 %n, i64 %n, ptr {other}, i64 %n", rates, "null")
    f.do("ret i64 %steps")
    f.begin("stop")
    f.end(f"i64 {step.index}")


def _call(f: Function, code: str, rows: str, parameters: str, gradient: str) -> None:
    """Run a program over rows; where a number is not finite, stop."""
    others = f"ptr %{code}_space, ptr {parameters}, ptr %{code}_constants, ptr {gradient}"
    bad = f.let(f"call i64 %{code}({rows}, {others})").name
    _stop_unless(f, f.let(f"icmp eq i64 {bad}, 0").name)


def _stop_unless(f: Function, condition: str) -> None:
    """Leave the loop over the steps, before the one that is being done."""
    onward = f"onward{len(f.lines)}"
    f.do(f"br i1 {condition}, label %{onward}, label %stop")
    f.begin(onward)


def _within(f: Function, x: Register, low: float, high: float) -> str:
    """Whether a number is between others; nan is not."""
    above, below = (f.let(f"fcmp {how} double {x.name}, {literal(y)}").name for how, y in (("oge", low), ("ole", high)))
    return f.let(f"and i1 {above}, {below}").name


def _sum(f: Function, name: str, pointer: str, count: str) -> Register:
    return f.let(f"call double @{name}(ptr {pointer}, i64 {count})")


def _integer(f: Function, pointer: str, place: str | int) -> str:
    return f.let(f"load i64, ptr {f.at(pointer, place)}").name
