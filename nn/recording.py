"""The graphs of many examples as a few programs: what differs between them becomes the programs' input.

Nothing is assumed of a model or a loss.  The graph of every example is recorded once and compared with
those before it: the numbers that differ, such as inputs and targets, are columns of numbers; where
another node is meant, such as the logit of the right class, it is chosen by columns of 0 and 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd import Constant, Graph, Operation, Program, Value, where
from autograd.algorithms import leading_to, topological_order
from autograd.context import comparisons, infinities, recorded
from nn.checks import CompileError

NUMBER = -1
#: The operations of a graph, each with its operands: a parameter's place, an operation's, or a NUMBER.
Steps = tuple[tuple[Operation, tuple[int, ...]], ...]

ALTERNATIVES = 16  # up to so many nodes, an operand is chosen; beyond, the graphs are of different groups
GROUPS, SHARE = 8, 0.1  # more programs than that, and than that share of the examples, do not pay


class Recording:
    """The graphs of a number of examples.

    Args:
        what: whose graphs these are, for messages.
        parameters: the leaves that training moves; every other leaf is a number.
    """

    def __init__(self, what: str, parameters: Sequence[Value]) -> None:
        self.what, self.parameters = what, parameters
        self.obstacle = ""
        #: How many operations and operands there are, which is what the eager engine's time goes by.
        self.size = 0
        self._places = {p: i for i, p in enumerate(parameters)}
        self._shapes: dict[Steps, _Shape] = {}
        self._rows: list[tuple[_Shape, int]] = []  # of each example
        #: The nodes of the first example's graph, and of the last one's.
        self._first: set[Value] = set()
        self._last: set[Value] = set()

    def add(self, make: Callable[[], Value]) -> None:
        """The next example, whose graph ``make`` returns the root of; if it cannot be replayed, that is an obstacle."""
        try:
            steps, numbers = self._linear(make)
        except CompileError as error:
            self.obstacle = self.obstacle or str(error)
            return
        self.size += sum(1 + len(operands) for _, operands in steps)
        shape = self._shapes.setdefault(steps, _Shape(steps, len(numbers)))
        self._rows.append((shape, len(shape.rows)))
        shape.add(numbers)

    def changed(self, i: int, make: Callable[[], Value]) -> str:
        """What is different now about the graph of the i-th example, if anything is."""
        shape, row = self._rows[i]
        try:
            steps, numbers = self._linear(make)
        except CompileError as error:
            return str(error)
        if steps == shape.steps and np.array_equal(_bits(numbers), _bits(shape.rows[row][shape.column])):
            return ""
        return f"{self.what} gave another graph the second time"

    def _linear(self, make: Callable[[], Value]) -> tuple[Steps, list[float]]:
        """What a graph does, in an order in which every operation comes after its operands."""
        with comparisons() as taken:
            root = make()
        for found in taken:
            if any(map(self._moves, (found.x, found.y))):
                does = "reads the number of a Value" if found.name == "data" else "compares Values"
                raise CompileError(f"{self.what} {does}, so that its graph may change with the parameters")
        if not isinstance(root, Value) or isinstance(root, Constant) or root.op is None:
            raise CompileError(f"{self.what} does not compute its result from the parameters")
        places = self._places.copy()
        steps: list[tuple[Operation, tuple[int, ...]]] = []
        numbers: list[float] = []
        stack: list[Any] = [root]
        while stack:
            node = stack[-1]
            if node not in places:
                parents = node.parents
                below = [x for x in parents if x.op is not None and x not in places and not isinstance(x, Constant)]
                if below:
                    stack += reversed(below)
                    continue
                operands = tuple([places.get(x, NUMBER) for x in parents])
                numbers += [x._data for x, place in zip(parents, operands, strict=True) if place == NUMBER]
                places[node] = len(places)
                steps.append((node.op, operands))
            stack.pop()
        made = places.keys() - self._places.keys()
        again = (made & self._first) | (made & self._last)
        if again & leading_to(topological_order(*again), self.parameters):
            raise CompileError(f"{self.what} uses nodes again that were computed for another example, or another time")
        self._first = self._first or made
        self._last = made
        return tuple(steps), numbers

    def _moves(self, x: object) -> bool:
        """Whether a number may change in training."""
        return isinstance(x, Value) and not isinstance(x, Constant) and (x.op is not None or x in self._places)

    def groups(self) -> list[_Group]:
        """The examples in groups that run on one program each.

        Raises:
            CompileError: if there is an obstacle, or there are too many groups.
        """
        if self.obstacle:
            raise CompileError(self.obstacle)
        groups: list[_Group] = []
        for shape in self._shapes.values():
            steps, order = _canonical(shape.steps, len(self.parameters))
            if not any(group.join(shape, steps, order) for group in groups):
                groups.append(_Group(shape, steps, order))
        if len(groups) > max(GROUPS, SHARE * len(self._rows)):
            raise CompileError(f"{len(self._rows):,} examples have graphs of {len(groups):,} kinds")
        return groups

    def compile(self, wrt: Sequence[Value]) -> Programs:
        """All examples as programs, which find the gradient with respect to ``wrt``."""
        programs, home = [], {}
        for k, group in enumerate(self.groups()):
            programs.append(group.compile(self.parameters, wrt))
            first = 0
            for shape in group.shapes:
                home[shape] = k, first
                first += len(shape.rows)
        places = np.array([(home[shape][0], home[shape][1] + row) for shape, row in self._rows], int).reshape(-1, 2)
        return Programs(programs, places)


class Programs:
    """Examples that run on programs.

    Attributes:
        programs: each program with its numbers: a line per input, a column per example.
    """

    def __init__(self, programs: list[tuple[Program, Any]], places: Any) -> None:
        self.programs = programs
        self._kind, self._column = places.T

    def __len__(self) -> int:
        return len(self._kind)

    def drawn(self, batches: Sequence[Sequence[int]]) -> list[tuple[Program, Any, Any]]:
        """Each program, with the rows for all batches in turn, and where in them each begins; and the last ends."""
        order = np.fromiter(itertools.chain.from_iterable(batches), int)
        ends = [0, *itertools.accumulate(map(len, batches))]
        drawn = []
        for k, (program, numbers) in enumerate(self.programs):
            mine = np.flatnonzero(self._kind[order] == k)
            rows = np.take(numbers, self._column[order[mine]], axis=1).T
            drawn.append((program, rows, np.searchsorted(mine, ends)))
        return drawn


class _Shape:
    """Examples whose graphs differ in their numbers only; numbers that are equal in each of them are one column."""

    def __init__(self, steps: Steps, numbers: int) -> None:
        self.steps = steps
        self.rows: list[Any] = []
        self.column = np.zeros(numbers, int)  # of each number
        self._first = np.zeros(min(numbers, 1), int)  # the first number of each column

    def add(self, numbers: list[float]) -> None:
        bits = _bits(numbers)
        if not np.array_equal(bits[self._first][self.column], bits):
            # Not np.unique by axis, out of which a KeyboardInterrupt may come as a TypeError.
            order = np.lexsort([bits, self.column])
            both = np.stack([self.column, bits])[:, order]
            new = np.append(True, (both[:, 1:] != both[:, :-1]).any(axis=0))
            self._first = order[new]
            self.rows = [row[self.column[self._first]] for row in self.rows]
            self.column = np.empty_like(order)
            self.column[order] = np.cumsum(new) - 1
        self.rows.append(bits[self._first].view(float))


def _bits(numbers: Any) -> Any:
    """Floats as integers: a nan is equal to itself, and -0.0 is not 0.0."""
    return np.asarray(numbers, dtype=float).view(np.int64)


def _canonical(steps: Steps, parameters: int) -> tuple[Steps, list[int]]:
    """The same steps in an order that does not depend on where they are used; and where each number stood before.

    By height above the leaves, operation and operands: of a softmax, say, the topological order depends on
    which of the outputs the loss is about, and this order does not.
    """
    heights: list[int] = []
    for _, operands in steps:
        heights.append(1 + max([heights[x - parameters] for x in operands if x >= parameters], default=0))
    first = [0, *itertools.accumulate(operands.count(NUMBER) for _, operands in steps)]
    places: dict[int, int] = {}

    def renamed(i: int) -> tuple[Operation, tuple[int, ...]]:
        op, operands = steps[i]
        return op, tuple([places.get(x, x) for x in operands])

    def key(i: int) -> tuple[str, tuple[int, ...]]:
        op, operands = renamed(i)
        return op.name, operands

    for _, level in itertools.groupby(sorted(range(len(steps)), key=heights.__getitem__), heights.__getitem__):
        for i in sorted(level, key=key):
            places[parameters + i] = parameters + len(places)
    order = [x - parameters for x in places]
    return tuple(map(renamed, order)), [j for i in order for j in range(first[i], first[i + 1])]


class _Group:
    """Shapes with the same operations, which differ at most in which node an operand is."""

    def __init__(self, shape: _Shape, steps: Steps, order: list[int]) -> None:
        self.shapes, self._steps, self._orders = [shape], [steps], [order]
        self._alternatives: list[list[tuple[int, ...]]] = [[(x,) for x in operands] for _, operands in steps]

    def join(self, shape: _Shape, steps: Steps, order: list[int]) -> bool:
        """Take up another shape, if it fits."""
        pairs = list(zip(steps, self._steps[0], strict=False))
        if len(steps) != len(self._steps[0]) or any(a is not b or len(x) != len(y) for (a, x), (b, y) in pairs):
            return False
        joined = [
            [held if x in held else (*held, x) for held, x in zip(alternatives, operands, strict=True)]
            for alternatives, (_, operands) in zip(self._alternatives, steps, strict=True)
        ]
        if any(len(held) > (1 if NUMBER in held else ALTERNATIVES) for operands in joined for held in operands):
            return False
        self.shapes.append(shape)
        self._steps.append(steps)
        self._orders.append(order)
        self._alternatives = joined
        return True

    def compile(self, parameters: Sequence[Value], wrt: Sequence[Value]) -> tuple[Program, Any]:
        """The program for all examples of the group, and their numbers: a line per input, a column per example."""
        lines: list[Any] = []
        leaves: dict[bytes, Value] = {}

        def leaf(line: Any) -> Value:
            """A constant, or the input that has these numbers."""
            bits = _bits(line)
            if (bits == bits[0]).all():
                return Constant(float(line[0]))
            known = bits.tobytes()
            if known not in leaves:
                leaves[known] = Value(float(line[0]), label=f"input[{len(lines)}]")
                lines.append(line)
            return leaves[known]

        def chosen(i: int, j: int, among: tuple[int, ...]) -> Value:
            """The j-th operand of the i-th step."""
            *others, last = among
            found = nodes[last]
            for x in others:
                picked = [float(steps[i][1][j] == x) for steps in self._steps]
                found = where(leaf(np.repeat(picked, sizes)), nodes[x], found)
            return found

        sizes = [len(shape.rows) for shape in self.shapes]
        rows = [np.array(shape.rows) for shape in self.shapes]
        columns = [shape.column[order].tolist() for shape, order in zip(self.shapes, self._orders, strict=True)]
        # Numbers that are in one column in every shape are in one line.
        alike: dict[tuple[int, ...], Value] = {}
        numbers = []
        for key in zip(*columns, strict=True):
            if key not in alike:
                alike[key] = leaf(np.concatenate([held[:, k] for held, k in zip(rows, key, strict=True)]))
            numbers.append(alike[key])
        remaining = iter(numbers)
        nodes = list(parameters)
        with recorded(), infinities():  # at these numbers, an operation may be outside its domain
            for i, (op, _) in enumerate(self._steps[0]):
                operands = [
                    next(remaining) if among == (NUMBER,) else chosen(i, j, among)
                    for j, among in enumerate(self._alternatives[i])
                ]
                nodes.append(op(*op.columns(operands)))
        try:
            program = Graph(nodes[-1]).compile(list(leaves.values()), wrt)
        except ValueError as error:  # too large
            raise CompileError(str(error)) from error
        return program, np.array(lines).reshape(len(lines), sum(sizes))
