"""Lowering: a graph and its backward pass as one straight line of instructions, in no language yet.

A :class:`Term` is the kind of number that is an instruction: a row of the table applied to Terms
appends itself to their tape.  So the forward pass is the graph's operations on Terms, the backward
pass is Algorithm 6.2 on Terms, and every local partial is the table's rule on Terms.  What comes
twice is shared, what is constant is computed, and ``x * 1`` and the like is x, wherever that is
exact in IEEE 754.

Straight-line code cannot branch, so it differs from the eager engine where that one raises an error
or where an adjoint of 0 meets an infinite slope.  Both show: some number is not finite that is in
``checks``, in the outputs or in the gradient.  Whoever runs the code looks, and asks the interpreter
instead where one is not.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from autograd import algorithms
from autograd import operations as ops
from autograd.operations import Operation
from autograd.value import Value


def _binary(op: Operation) -> tuple[Callable[[Any, Any], Term], Callable[[Any, Any], Term]]:
    return (
        lambda x, y: x.tape.apply(op, (x, x.tape.number(y))),
        lambda x, y: x.tape.apply(op, (x.tape.number(y), x)),
    )


class Term:
    """One instruction: an operation on earlier terms; or a leaf, which is a number known when the program runs.

    Attributes:
        tape: where it stands.
        op: the operation; None for a leaf.
        operands: the terms it is applied to, flat; of a leaf, its kind and number, such as ``("input", 2)``.
        value: the number, if it is a constant.
    """

    __slots__ = ("op", "operands", "tape", "value")

    def __init__(self, tape: Tape, op: Operation | None, operands: tuple[Any, ...], value: float | None = None) -> None:
        self.tape, self.op, self.operands, self.value = tape, op, operands, value

    @property
    def size(self) -> int:
        """How many instructions of two operands it comes to."""
        return max(1, len(self.operands) - 1)

    @classmethod
    def _apply(cls, op: Operation, operands: Sequence[Any]) -> Term:
        flat = op.flat(operands)
        tape = next(x.tape for x in flat if isinstance(x, Term))
        return tape.apply(op, tuple([tape.number(x) for x in flat]))

    __add__, __radd__ = _binary(ops.add)
    __sub__, __rsub__ = _binary(ops.sub)
    __mul__, __rmul__ = _binary(ops.mul)
    __truediv__, __rtruediv__ = _binary(ops.div)
    __pow__, __rpow__ = _binary(ops.pow)

    def __neg__(self) -> Term:
        return self.tape.apply(ops.neg, (self,))

    def __abs__(self) -> Term:
        return self.tape.apply(ops.abs, (self,))

    def __bool__(self, _: object = None) -> NoReturn:
        raise TypeError("a Term cannot be compared: a rule must not branch on its operands; use step, sign or where")

    __lt__ = __le__ = __gt__ = __ge__ = __bool__


class Tape:
    """Instructions in the order in which they can run.

    Attributes:
        terms: the instructions; leaves and constants are not among them.
        checks: adjoints that have to be finite for the code to be right.
        size: that of all terms.
        raising: results of rows that may raise an error, and are not finite where they do.
    """

    def __init__(self) -> None:
        self.terms: list[Term] = []
        self.checks: list[Term] = []
        self.raising: list[Term] = []
        self.size = 0
        self._known: dict[Any, Term] = {}

    def number(self, x: Any) -> Term:
        """A number as a term."""
        if type(x) is Term:
            return x
        x = float(x)
        key = (x, math.copysign(1.0, x))
        if (term := self._known.get(key)) is None:
            term = self._known[key] = Term(self, None, ("constant", x), x)
        return term

    def leaf(self, kind: str, number: Any) -> Term:
        """A number that is known when the program runs."""
        key = (kind, number)
        if (term := self._known.get(key)) is None:
            term = self._known[key] = Term(self, None, key)
        return term

    def apply(self, op: Operation, operands: tuple[Term, ...]) -> Term:
        """An operation on terms: a term that is known already, or a new instruction."""
        key = (op, operands)
        if (term := self._known.get(key)) is None:
            folded = self._folded(op, operands)
            term = self._known[key] = self._appended(op, operands) if folded is None else folded
        return term

    def event(self, kind: str, layer: Layer) -> None:
        """A loop over a layer, which runs at this point."""
        self.terms.append(Term(self, None, (kind, layer)))

    def _appended(self, op: Operation, operands: tuple[Term, ...]) -> Term:
        term = Term(self, op, operands)
        self.terms.append(term)
        self.size += term.size
        return term

    def _folded(self, op: Operation, operands: tuple[Term, ...]) -> Term | None:
        """What needs no instruction: an operation on constants, or with its neutral element."""
        constants = [x.value for x in operands]
        if constants.count(None) == 0:
            try:
                return self.number(op.forward(*op.columns(constants)))
            except (ArithmeticError, ValueError):
                return None  # it is infinite or undefined, and the machine will find so
        if len(operands) == 2 and not op.nary and constants.count(None) == 1:
            j = 0 if constants[0] is not None else 1
            if constants[j] == op.neutral[j] and _keeps_zeros(op, j, constants[j]):
                return operands[1 - j]
        return None


def _keeps_zeros(op: Operation, j: int, constant: Any) -> bool:
    """Whether an operation with its neutral element also keeps the sign of a zero: ``-0.0 + 0.0`` does not."""
    signs = [math.copysign(1.0, op.forward(*((constant, x) if j == 0 else (x, constant)))) for x in (0.0, -0.0)]
    return signs == [1.0, -1.0]


class Layer:
    """Weighted sums of one column of operands: the rows of a matrix of parameters times a vector, z = W q.

    As instructions of their own they would be many; as a matrix they are three loops: z = W q forward, and
    backward dq = Wᵀ g and dW = g qᵀ.  A layer stands in for the vectors q and W's rows, as a number that
    the rule of ``sumprod`` is applied to.

    Attributes:
        column: the operands q that the rows have in common.
        starts: the number of each row's first parameter; the others of the row follow it.
        parameters: the numbers of all of them; no two rows share one.
        wanted: the rows towards whose parameters a gradient is wanted.
        elements: q as terms.
        adjoints: g as terms, by the number of the row.
    """

    def __init__(self, column: tuple[Value, ...]) -> None:
        self.column = column
        self.rows: list[Value] = []
        self.starts: list[int] = []
        self.parameters: set[int] = set()
        self.wanted: set[int] = set()
        self.elements: list[Term] = []
        self.adjoints: dict[int, Term] = {}
        self.pulled_back = False

    def __add__(self, other: Layer) -> Layer:
        """The sum of two rows' adjoints of the column, which the layer adds up."""
        return self


class _Node:
    """A node of a graph in which layers stand in for their weighted sums: what Algorithm 6.2 asks of a Value."""

    __slots__ = ("op", "parents")

    def __init__(self, op: Any, parents: Iterable[_Node] = ()) -> None:
        self.op, self.parents = op, tuple(parents)


class _Column:
    """The operation that makes a vector of its elements; the adjoint of the j-th is the j-th of the adjoint."""

    def slope(self, j: int, operands: Sequence[Any], z: Layer) -> int:
        return j


_COLUMN = _Column()


class Task(NamedTuple):
    """What a program computes.

    Attributes:
        roots: the outputs.
        nodes: the graph in topological order.
        inputs: the leaves whose numbers come with each example.
        leaves: the other variables, whose numbers are parameters.
        wrt: the nodes to differentiate by.
        constants: the numbers of all leaves that are neither.
        seeded: how many of the roots are differentiated.
    """

    roots: Sequence[Value]
    nodes: Sequence[Value]
    inputs: Sequence[Value]
    leaves: Sequence[Value]
    wrt: Sequence[Value]
    constants: Mapping[Value, float]
    seeded: int = 1

    def places(self) -> dict[Value, tuple[str, int]]:
        """The kind and number of each leaf that is no constant."""
        inputs = {x: ("input", j) for j, x in enumerate(self.inputs)}
        return inputs | {x: ("parameter", j) for j, x in enumerate(self.leaves)}

    def checked(self, parameters: Any) -> Any:
        """The parameters, if they are what programs read."""
        try:
            held = memoryview(parameters)
        except TypeError:
            held = memoryview(b"")
        double, n = held.format == "d" and held.c_contiguous and not hasattr(parameters, "mask"), len(self.leaves)
        if not double or held.shape != (n,):
            raise ValueError(f"parameters must be a contiguous array of {n} float64 numbers, as load() makes")
        return parameters


Place = Callable[[Value], tuple[str, int] | None]


class Lowered:
    """A graph and its backward pass as a tape.

    Args:
        task: the graph.
        place: the kind and number of a leaf; None if its number is part of the code.
        machine: whether the code is for a machine that never raises: then an adjoint of 0 hands nothing on
            through a slope that may be infinite, and weighted sums of parameters become layers.

    Attributes:
        tape: the instructions.
        numbers: the nodes as terms.
        outputs: the roots as terms.
        gradient: the adjoints of ``wrt`` as terms, None where nothing flows; what layers add to them is not in it.
        layers: the layers.
    """

    def __init__(self, task: Task, place: Place, *, machine: bool) -> None:
        roots, nodes, _, _, wrt, self.constants, seeded = task
        self.tape, self.machine = Tape(), machine
        members = _layers(nodes, place) if machine else {}
        self.layers = list(dict.fromkeys(layer for layer, _ in members.values()))
        # With layers, the graph is written anew; `order` holds the nodes of either.
        order: list[Any] = []
        known: dict[Value, Any] = {}
        self.numbers: dict[Any, Any] = {}
        columns: dict[Layer, _Node] = {}
        weights: dict[_Node, tuple[Layer, int]] = {}
        for node in nodes:
            if node in members:
                layer, row = members[node]
                if layer not in columns:
                    column = columns[layer] = _Node(_COLUMN, [known[x] for x in layer.column])
                    layer.elements = [self.numbers[x] for x in column.parents]
                    self.numbers[column] = layer
                    order.append(column)
                    self.tape.event("forward", layer)
                known[node] = dot = _Node(ops.sumprod, [_Node(None), columns[layer]])
                weights[dot.parents[0]] = layer, row
                self.numbers |= {dot.parents[0]: layer, dot: self.tape.leaf("product", (layer, row))}
                self.tape.raising.append(self.numbers[dot])
                order += [dot.parents[0], dot]
                continue
            known[node] = _Node(node.op, [known[x] for x in node.parents]) if members else node
            order.append(known[node])
            self.numbers[known[node]] = self._term(node, place, known)
        self.outputs = [self.numbers[known[root]] for root in roots]
        parameters = {number for kind, number in filter(None, map(place, wrt)) if kind == "parameter"}
        for layer, row in weights.values():
            start = layer.starts[row]
            if not parameters.isdisjoint(range(start, start + len(layer.column))):
                layer.wanted.add(row)
        seed = self.tape.leaf("seed", 0) if machine else self.tape.number(1.0)
        seeds = dict.fromkeys([known[root] for root in roots[:seeded]], seed)
        wanted: list[Any] = [known.get(x) for x in wrt] + [
            w for w, (layer, row) in weights.items() if row in layer.wanted
        ]
        found = algorithms.adjoints(order, self.numbers.__getitem__, seeds, wanted, self._chain)
        self.gradient: list[Term | None] = found[: len(wrt)]

    def _term(self, node: Value, place: Place, known: Mapping[Value, Any]) -> Term:
        if node.op is not None:
            term = self._sum(node.op, tuple([self.numbers[known[x]] for x in node.parents]))
            if node.op not in TOTAL:
                self.tape.raising.append(term)
            return term
        leaf = place(node)
        return self.tape.leaf(*leaf) if leaf else self.tape.number(self.constants[node])

    def _sum(self, op: Operation, operands: tuple[Term, ...]) -> Term:
        """An operation; for a machine, a long sum is one of shorter ones, since it would take long to compile."""
        columns = op.columns(operands)
        if not self.machine or op not in (ops.fsum, ops.sumprod) or len(columns[0]) <= LONGEST_SUM:
            return self.tape.apply(op, operands)
        parts = []
        for i in range(0, len(columns[0]), LONGEST_SUM):
            part = [x for column in columns for x in column[i : i + LONGEST_SUM]]
            parts.append(self.tape.apply(op, tuple(part)))
        return self._sum(ops.fsum, tuple(parts))

    def _chain(self, g: Any, op: Operation, j: int, operands: Sequence[Any], z: Any) -> Any:
        """One term of the chain rule, the adjoint times the slope, as an instruction."""
        slope = op.slope(j, operands, z)
        if g.__class__ is Layer:  # the adjoint of a column
            if not g.pulled_back:
                g.pulled_back = True
                self.tape.event("backward", g)
            return self.tape.leaf("adjoint", (g, slope))
        if slope.__class__ is Layer:  # of a row: by its weights, or by the column
            slope.adjoints[z.operands[1][1]] = g
            return slope
        slope = self.tape.number(slope)
        if slope.value == 0.0:
            self.tape.checks.append(g)  # inf * 0 would not be 0
            return None
        if self.machine and slope.value is None and may_be_infinite(op, j, len(operands)):
            return ops.where(g, g * slope, 0.0)
        return g * slope


def _layers(nodes: Sequence[Value], place: Place) -> dict[Value, tuple[Layer, int]]:
    """The weighted sums whose weights are consecutive parameters: their layer, and their row of it."""
    layers: dict[tuple[Value, ...], Layer] = {}
    for node in nodes:
        if node.op is ops.sumprod:
            p, q = ops.sumprod.columns(node.parents)
            for weights, column in ((p, q), (q, p)):
                kind, start = place(weights[0]) or ("", 0)
                if kind == "parameter" and all(place(w) == (kind, start + j) for j, w in enumerate(weights)):
                    layer = layers.setdefault(tuple(column), Layer(tuple(column)))
                    numbers = range(start, start + len(weights))
                    if layer.parameters.isdisjoint(numbers):  # the loops add to several rows of dW at a time
                        layer.rows.append(node)
                        layer.starts.append(start)
                        layer.parameters.update(numbers)
                        break
    worthwhile = [layer for layer in layers.values() if len(layer.rows) * len(layer.column) >= SMALLEST_LAYER]
    return {node: (layer, row) for layer in worthwhile for row, node in enumerate(layer.rows)}


LONGEST_SUM = 200
#: Fewer weights than this are cheaper as instructions.
SMALLEST_LAYER = 16

#: Rows that never raise an error, in the eager engine.
TOTAL = {
    *(ops.add, ops.sub, ops.mul, ops.neg, ops.abs, ops.sign, ops.step, ops.nonzero, ops.maximum, ops.minimum),
    *(ops.where, ops.relu, ops.leaky_relu, ops.atan, ops.atan2, ops.tanh, ops.asinh, ops.erf, ops.erfc),
    *(ops.sigmoid, ops.softplus),
}

#: Rows whose results are finite where their operands are, apart from overflow.
FINITE = {
    *(ops.add, ops.sub, ops.mul, ops.neg, ops.abs, ops.sign, ops.step, ops.nonzero, ops.maximum, ops.minimum),
    *(ops.where, ops.relu, ops.leaky_relu, ops.exp, ops.sin, ops.cos, ops.sinh, ops.cosh, ops.atan, ops.tanh),
    *(ops.asinh, ops.erf, ops.erfc, ops.sigmoid, ops.softplus, ops.cbrt, ops.fsum, ops.sumprod, ops.logsumexp),
}


def may_be_infinite(op: Operation, j: int, count: int) -> bool:
    """Whether the slope towards operand j of ``count`` may be infinite where operands and result are finite."""
    return _may_be_infinite(op, j // (count // len(op.partials)) if op.nary else j)


@functools.cache
def _may_be_infinite(op: Operation, column: int) -> bool:
    tape = Tape()
    op.partials[column](*[tape.leaf("operand", k) for k in range(len(op.partials) + 1)])
    return any(term.op not in FINITE for term in tape.terms)
