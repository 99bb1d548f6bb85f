"""A graph and its gradient as a program in C: the table's rules, spoken by numbers that append statements."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autograd import Graph, Value
from autograd import operations as ops
from autograd.algorithms import adjoints
from autograd.operations import Operation
from autograd.value import Constant

Method = Callable[["Number", "Number | float"], "Number"]

#: How n-ary rows are written; the others are as in Python.
WRITTEN: dict[Operation, Callable[..., str]] = {
    ops.fsum: " + ".join,
    ops.sumprod: lambda p, q: " + ".join(f"{x} * {y}" for x, y in zip(p, q, strict=True)),
}
AS_IN_PYTHON = {ops.add, ops.sub, ops.mul, ops.div, ops.neg, ops.relu, ops.step}


def _binary(op: Any) -> tuple[Method, Method]:
    return lambda x, y: op(x, y), lambda x, y: op(y, x)


class Number:
    """An operand in C; an operation on it appends a statement to the program that it belongs to."""

    def __init__(self, text: str, statements: list[str]) -> None:
        self.text, self.statements = text, statements

    @classmethod
    def _apply(cls, op: Operation, operands: Sequence[Any]) -> Number:
        statements = next(x.statements for x in op.flat(operands) if isinstance(x, cls))
        texts = op.columns([x.text if isinstance(x, cls) else f"({float(x)!r})" for x in op.flat(operands)])
        if op not in WRITTEN and op not in AS_IN_PYTHON:
            raise NotImplementedError(f"{op!r} in C")
        written = WRITTEN[op](*texts) if op in WRITTEN else op.text % tuple(texts)
        name = f"v{len(statements)}"
        statements.append(f"const number {name} = {written};")
        return cls(name, statements)

    __add__, __radd__ = _binary(ops.add)
    __sub__, __rsub__ = _binary(ops.sub)
    __mul__, __rmul__ = _binary(ops.mul)
    __truediv__, __rtruediv__ = _binary(ops.div)

    def __neg__(self) -> Number:
        return self._apply(ops.neg, [self])


SCALAR = """
typedef double number;
static inline number relu(number x) { return x <= 0.0 ? 0.0 : x; }
static inline number step(number x) { return x > 0.0 ? 1.0 : 0.0; }
"""

VECTOR = """
typedef double number __attribute__((vector_size(8 * LANES)));
typedef long long bits __attribute__((vector_size(8 * LANES)));
static inline number relu(number x) { return (number)((bits)x & ~(x <= 0.0)); }
static inline number step(number x) { return (number)((bits)(0.0 * (number){} + 1.0) & (x > 0.0)); }
"""

CALL = """
void call(const double *restrict w, const double *restrict x, double *restrict found) {
    %(statements)s
    %(stores)s
}
"""

BATCH = """
void batch(const double *restrict w, const double *restrict rows, double *restrict found, long n) {
    number sums[%(outputs)d] = {};
    for (long i = 0; i < n; i += LANES) {
        number x[%(inputs)d];
        for (int j = 0; j < %(inputs)d; j++)
            for (int lane = 0; lane < LANES; lane++)
                ((double *)&x[j])[lane] = rows[(i + lane) * %(inputs)d + j];
        %(statements)s
        %(sums)s
    }
    for (int j = 0; j < %(outputs)d; j++) {
        found[j] = 0.0;
        for (int lane = 0; lane < LANES; lane++)
            found[j] += ((double *)&sums[j])[lane];
    }
}
"""


def chain(g: Number, op: Operation, j: int, operands: Sequence[Any], z: Any) -> Any:
    """One term of the chain rule: the adjoint times the slope towards the j-th operand."""
    return g * op.slope(j, operands, z)


def written(template: str, loss: Value, inputs: Sequence[Value], wrt: Sequence[Value], lanes: int) -> str:
    """The program: the value and the gradient, of one example (``CALL``) or summed over many (``BATCH``)."""
    nodes, statements = Graph(loss).nodes, list[str]()
    numbers: dict[Value, Any] = {node: node.data for node in nodes if isinstance(node, Constant)}
    numbers |= {leaf: Number(f"x[{j}]", statements) for j, leaf in enumerate(inputs)}
    numbers |= {leaf: Number(f"w[{j}]", statements) for j, leaf in enumerate(wrt)}
    for node in nodes:
        if node not in numbers:
            assert node.op is not None
            numbers[node] = node.op(*node.op.columns([numbers[parent] for parent in node.parents]))
    found = [numbers[loss], *adjoints(nodes, numbers.__getitem__, {loss: 1.0}, wrt, chain)]
    blanks = {
        "inputs": len(inputs),
        "outputs": len(found),
        "statements": "\n".join(statements),
        "stores": "\n".join(f"found[{j}] = {x.text};" for j, x in enumerate(found)),
        "sums": "\n".join(f"sums[{j}] += {x.text};" for j, x in enumerate(found)),
    }
    types = SCALAR if lanes == 1 else VECTOR
    return f"#define LANES {lanes}\n{types}{template % blanks}"


def compiled(template: str, network: tuple[Value, list[Value], list[Value]], lanes: int = 1) -> ctypes.CDLL:
    """The program, as gcc makes it."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "program.c"), Path(folder, "program.so")
        source.write_text(written(template, *network, lanes), encoding="utf-8")
        options = ["-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run(["gcc", *options, "-o", str(library), str(source)], check=True)
        return ctypes.CDLL(str(library))
