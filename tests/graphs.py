"""What several tests draw their graphs from: every row of the table, kinks, and graphs of all rows at random.

A :data:`Build` records a graph on given numbers, again and again.  :func:`eager` says what the eager
engine finds on such a fresh graph, and how far from it a program may be (see :func:`bounds`).
"""

from __future__ import annotations

import math
import operator
import random
import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import autograd.kinks
from autograd import Constant, Graph, Operation, Value, gradient
from autograd import operations as ops
from autograd.operations import BUILT_IN, Domain, table

# Rows that a user might make: one operand, two, and columns; the last with a forward that returns an int.
cube = Operation("own_cube", lambda x: x * x * x, (lambda x, z: 3.0 * x * x,))
mixed = Operation(
    "mixed",
    lambda x, y: x * y + math.sin(x),
    (lambda x, y, z: y + ops.cos(x), lambda x, y, z: x),
    text="mixed(%s, %s)",
    latex=r"m\left(%s, %s\right)",
)
sumsquares = Operation("sumsquares", lambda xs: math.fsum(x * x for x in xs), (lambda x, z: 2.0 * x,), nary=True)
seven = Operation("seven", lambda x: 7, (lambda x, z: 0.0,))

ROWS = [table[name] for name in sorted(BUILT_IN)] + [cube, mixed, sumsquares, seven]
#: Those whose forward is arithmetic of any kind of number, or known to the machine.
PORTABLE = [op for op in ROWS if op not in (mixed, sumsquares)]
every_row = pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)


def rows_of(backend: str) -> list[Operation]:
    """The rows that a backend knows: a user's forward that calls ``math`` cannot become machine code."""
    return PORTABLE if backend == "llvm" else ROWS


def points(op: Operation, count: int = 12) -> list[list[float]]:
    """Points from the row's domain, flat; four operands to a column for an n-ary row."""
    rng = random.Random(op.name)
    domains = [domain for domain in op.domain for _ in range(4 if op.nary else 1)]
    return [[rng.uniform(*rng.choice(domain)) for domain in domains] for _ in range(count)]


def complaint(f: Callable[..., Any], *args: Any) -> str:
    """What Python says of numbers that f does not take: its words are others from 3.14 on."""
    with pytest.raises((ValueError, ArithmeticError)) as caught:
        f(*args)
    return str(caught.value)


def call(op: Operation, operands: Sequence[Any]) -> Any:
    """The row applied to flat operands."""
    return op(*op.columns(operands))


# Kinks and other points that are not ordinary.


def numbers(cell: str) -> list[float]:
    """A cell of the table of kinks."""
    return [float(x) for x in cell.split(",")]


def kinks() -> list[list[str]]:
    """The lines of the table of kinks, cell by cell."""
    text = Path(autograd.kinks.__file__).read_text(encoding="utf-8")  # python -OO keeps no docstrings
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


LARGEST_FLOAT, SMALLEST_NORMAL, SMALLEST = 1.7976931348623157e308, 2.2250738585072014e-308, 5e-324
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 1000.0, -1000.0, -720.0]
SPECIAL += [SMALLEST, -SMALLEST, 1e-310, -1e-310, SMALLEST_NORMAL, LARGEST_FLOAT, -LARGEST_FLOAT, 1e200, -1e200]


def special_points(op: Operation, most: int = 500) -> list[list[float]]:
    """Operands from the numbers above, in all combinations if these are few; the kinks of the row among them."""
    rng = random.Random(op.name)
    n = len(op.partials) * (4 if op.nary else 1)
    count = len(SPECIAL) ** n
    chosen: Iterable[int] = range(count) if count <= most else rng.sample(range(count), most)
    found = [[SPECIAL[i // len(SPECIAL) ** j % len(SPECIAL)] for j in range(n)] for i in chosen]
    if op.nary:  # else hardly any would be without a nan
        found += [[rng.choice([1.0, -2.0, 0.0, *rng.sample(SPECIAL, 1)]) for _ in range(n)] for _ in range(most // 4)]
        return found
    return found + [numbers(line[1]) for line in kinks() if line[0] == op.name]


# Recording.


class Recorded(NamedTuple):
    """A graph as it is recorded on some numbers, and how it shall be compiled."""

    leaves: list[Value]
    roots: list[Value]
    inputs: list[Value]
    wrt: list[Value]


Build = Callable[[Sequence[float]], Recorded]


@dataclass(frozen=True)
class Recipe:
    """A graph to be recorded on numbers: its steps name their operands by place, leaves first; a float is a constant.

    Attributes:
        leaves: the numbers that it was drawn at.
        steps: rows with their flat operands.
        roots, inputs, wrt: places of nodes; the inputs are leaves.
        constants: the leaves that are constants.
    """

    leaves: tuple[float, ...]
    steps: tuple[tuple[Operation, tuple[int | float, ...]], ...]
    roots: tuple[int, ...]
    inputs: tuple[int, ...] = ()
    wrt: tuple[int, ...] = ()
    constants: frozenset[int] = frozenset()

    def __call__(self, at: Sequence[float]) -> Recorded:
        """The graph, recorded afresh."""
        nodes = self.nodes(at)
        return Recorded(nodes[: len(at)], *([nodes[i] for i in which] for which in (self.roots, self.inputs, self.wrt)))

    def nodes(self, at: Sequence[float]) -> list[Value]:
        """All nodes by place."""
        nodes: list[Value] = [Constant(x) if i in self.constants else Value(x) for i, x in enumerate(at)]
        for op, operands in self.steps:
            nodes.append(call(op, [nodes[x] if isinstance(x, int) else x for x in operands]))
        return nodes

    def moved(self, rng: random.Random) -> list[float]:
        """Other numbers for the leaves, near those it was drawn at; of the constants, the same."""
        return [x if i in self.constants else x + rng.uniform(-0.2, 0.2) for i, x in enumerate(self.leaves)]


def of_row(op: Operation, at: Sequence[float], *, inputs: bool = True) -> Recipe:
    """A row alone, differentiated by all its operands."""
    n = len(at)
    return Recipe(tuple(at), ((op, tuple(range(n))),), (n,), tuple(range(n)) if inputs else (), tuple(range(n)))


def joined(recipes: Sequence[Recipe]) -> Recipe:
    """Several graphs as one with all their roots; the first is recorded first."""
    leaves = [x for recipe in recipes for x in recipe.leaves]
    steps: list[tuple[Operation, tuple[int | float, ...]]] = []
    places: list[list[int]] = [[], [], [], []]
    first = 0
    for recipe in recipes:
        mine = [*range(first, first + len(recipe.leaves))]
        first += len(mine)
        for op, operands in recipe.steps:
            steps.append((op, tuple(mine[x] if isinstance(x, int) else x for x in operands)))
            mine.append(len(leaves) + len(steps) - 1)
        for found, which in zip(
            places, (recipe.roots, recipe.inputs, recipe.wrt, sorted(recipe.constants)), strict=True
        ):
            found += [mine[i] for i in which]
    roots, inputs, wrt, constants = map(tuple, places)
    return Recipe(tuple(leaves), tuple(steps), roots, inputs, wrt, frozenset(constants))


class _Drawing:
    """A recipe in the making, with the numbers of its nodes."""

    def __init__(self, rng: random.Random, rows: Sequence[Operation], leaves: int) -> None:
        self.rng, self.rows = rng, rows
        self.leaves = [round(rng.uniform(-2.0, 2.0), 3) for _ in range(leaves)]
        self.constants = frozenset(i for i in range(leaves) if i and rng.random() < 0.1)
        self.values, self.steps = [*self.leaves], list[tuple[Operation, tuple[int | float, ...]]]()

    def take(self, op: Operation, *operands: int | float) -> int:
        """One more node: its place."""
        self.steps.append((op, operands))
        self.values.append(call(op, [self.values[x] if isinstance(x, int) else x for x in operands]))
        return len(self.values) - 1

    def place(self) -> int:
        """Some node, more often a late one."""
        n = len(self.values)
        return self.rng.randrange(max(0, n - 6), n) if self.rng.random() < 0.5 else self.rng.randrange(n)

    def within(self, domain: Domain) -> int | float:
        """An operand in a domain: a constant, a node that is in it, or a node squeezed into it."""
        lo, hi = self.rng.choice(domain)
        if self.rng.random() < 0.12:
            return round(self.rng.uniform(lo, hi), 2)
        i = self.place()
        if any(a <= self.values[i] <= b for a, b in domain):
            return i
        squeeze = self.rng.choice((ops.tanh, ops.sin, ops.erf))
        inner = self.take(ops.mul, self.take(squeeze, i), 0.45 * (hi - lo))
        return self.take(ops.add, inner, 0.5 * (lo + hi))

    def column(self, domain: Domain, size: int) -> list[int | float]:
        """Leaves in a row, as a neuron has them, or a mixture."""
        if self.rng.random() < 0.5 and size <= len(self.leaves):
            first = self.rng.randrange(len(self.leaves) - size + 1)
            return [*range(first, first + size)]
        return [self.within(domain) for _ in range(size)]

    def step(self) -> None:
        """A row on operands in its domain, one of them at least a node."""
        op = self.rng.choice(self.rows)
        size = self.rng.randint(1, 9)
        operands = (
            [x for domain in op.domain for x in self.column(domain, size)]
            if op.nary
            else [self.within(domain) for domain in op.domain]
        )
        if any(isinstance(x, int) for x in operands):
            self.take(op, *operands)


def drawn(seed: int, rows: Sequence[Operation] = ROWS, most: int = 40) -> Recipe:
    """A random graph of all rows, with reuse and constants, several roots, some inputs, and ``wrt`` of every kind."""
    rng = random.Random(seed)
    drawing = _Drawing(rng, rows, rng.randint(2, 10))
    for _ in range(rng.randint(1, most)):
        drawing.step()
    used = {x for _, operands in drawing.steps for x in operands if isinstance(x, int)}
    loose = [i for i in range(len(drawing.values)) if i not in used or i == 0]
    if rng.random() < 0.5:
        root = drawing.take(ops.fsum, *loose)
    else:
        root = loose[0]
        for i in loose[1:]:
            root = drawing.take(ops.add, root, i)
    recipe = Recipe(tuple(drawing.leaves), tuple(drawing.steps), (root,), constants=drawing.constants)
    nodes = recipe.nodes(recipe.leaves)
    below = set(Graph(nodes[root]))
    variables = [i for i, node in enumerate(nodes) if node in below and not isinstance(node, Constant)]
    leaves = [i for i in variables if i < len(recipe.leaves)]
    roots = dict.fromkeys([root, *rng.sample(variables, min(rng.randint(0, 2), len(variables)))])
    inputs = rng.sample(leaves, rng.randint(0, len(leaves)))
    candidates = leaves if rng.random() < 0.5 else variables
    wrt = rng.sample(candidates, rng.randint(0 if rng.random() < 0.1 else 1, len(candidates)))
    return replace(recipe, roots=tuple(roots), inputs=tuple(inputs), wrt=tuple(wrt))


def of_function(f: Callable[..., Any], *, inputs: Sequence[int] | None = None) -> Build:
    """A function of numbers as a graph, differentiated by all of them; all are inputs, if none are named."""

    def build(at: Sequence[float]) -> Recorded:
        xs = [Value(x, label=f"x{i}") for i, x in enumerate(at)]
        return Recorded(xs, [f(*xs)], [xs[i] for i in (range(len(xs)) if inputs is None else inputs)], xs)

    return build


def network(at: Sequence[float]) -> Recorded:
    """A small network with three inputs, hidden units and cross-entropy; 23 parameters."""
    leaves = [Value(x, label=f"p{i}") for i, x in enumerate(at)]
    xs, ws = leaves[:3], leaves[3:]
    hidden = [ops.tanh(ops.sumprod(ws[4 * i : 4 * i + 3], xs) + ws[4 * i + 3]) for i in range(2)]
    ends = [ws[8 + 5 * i : 12 + 5 * i] for i in range(3)]
    outputs = [ops.sumprod(end, [*hidden, *xs[:2]]) for end in ends]
    return Recorded(leaves, [ops.logsumexp(outputs) - outputs[1] + 0.01 * ops.sumprod(ws, ws)], xs, ws)


# The oracle.


class Result(NamedTuple):
    """Numbers per root and per node of ``wrt``; or how far from them a program may be."""

    values: list[float]
    grads: list[float]


def eager(build: Build, at: Sequence[float]) -> Result:
    """What the eager engine finds on a graph recorded afresh."""
    recorded = build(at)
    Graph(*recorded.roots).backward()
    return Result([root.data for root in recorded.roots], [node.grad for node in recorded.wrt])


#: What a program may be off by, relative to the sum of the absolute terms of each operation.
TOLERANCE = 1e-12

#: Rows of one rounding, whose results are right where they underflow too; others may be 0 there.
EXACT = {"add", "sub", "mul", "div", "neg", "abs", "sign", "step", "nonzero", "maximum", "minimum", "where"}
EXACT |= {"sqrt", "relu", "leaky_relu", "fsum", "sumprod"}


def terms(node: Value) -> float:
    """The sum of the absolute terms that an operation adds up, its own rounding in units of the last place."""
    assert node.op is not None
    operands = [abs(parent.data) for parent in node.parents]
    match node.op.name:
        case "add" | "sub" | "fsum":
            return sum(operands)
        case "sumprod":
            return float(sum(map(operator.mul, *node.op.columns(operands))))
        case "logsumexp":
            largest = max(parent.data for parent in node.parents)
            return abs(largest) + 1.0 + abs(node.data - largest)  # the largest, and the log of a sum of at least 1
    return abs(node.data)


def bounds(*roots: Value, tolerance: float = TOLERANCE) -> list[float]:
    """How far from the data of each root a program may be.

    Every operation may round: its own error is ``tolerance`` times the sum of its absolute terms (the
    result itself, where it adds up nothing), and never less than what underflow loses.  And it hands on
    the errors of its operands, by its partials (Wilkinson's running error analysis):

        error(z)  =  tolerance · terms(z)  +  Σ |∂z/∂x_j| · error(x_j),      error(leaf) = 0

    A gradient is bounded in the same way, as a root of the graph that :func:`autograd.gradient` makes.
    Its nodes are the products and sums of Algorithm 6.2 *and* the local partials as functions of the
    operands, so nothing has to be said about them here.  That graph serves for its error only: the
    numbers themselves are compared with those of ``backward``.

    Where the errors are amplified without limit, at a pole, the bound is inf or nan and says nothing.
    """
    error: dict[Value, float] = {}
    for node in Graph(*roots):
        if node.op is None:
            error[node] = 0.0
            continue
        own = tolerance * terms(node) + (4.0 * SMALLEST if node.op.name in EXACT else 2.0 * SMALLEST_NORMAL)
        pairs = zip(node.partials, node.parents, strict=True)
        error[node] = own + sum(abs(partial) * error[parent] for partial, parent in pairs if error[parent])
    return [error[root] for root in roots]


def tolerances(build: Build, at: Sequence[float]) -> Result:
    """How far from :func:`eager` a program may be, for values and gradients."""
    recorded = build(at)
    total = [0.0] * len(recorded.wrt)
    for root in recorded.roots if recorded.wrt else ():
        found = gradient(root, recorded.wrt)
        total = [x + y for x, y in zip(total, bounds(*found), strict=True)]
    return Result(bounds(*recorded.roots), total)


def outcome(run: Callable[..., Result], *operands: Any) -> Result | tuple[type, str, tuple[str, ...]]:
    """What a run gives: numbers, or an error with its message and its notes."""
    try:
        return run(*operands)
    except (ArithmeticError, ValueError) as error:
        return type(error), str(error), tuple(getattr(error, "__notes__", ()))


def agree(found: Any, expected: Any, build: Build, at: Sequence[float], backend: str) -> bool:
    """Whether a program's outcome is the eager engine's: the same error, or numbers as near as they must be."""
    if not (isinstance(found, Result) and isinstance(expected, Result)):
        return bool(found == expected)
    return identical(found, expected) if backend == "source" else within(found, expected, tolerances(build, at))


def bits(x: float) -> bytes:
    """A float to the last bit, the sign of zero too; every nan is the same."""
    return struct.pack("<d", math.nan if x != x else x)


def near(x: float, y: float, bound: float) -> bool:
    """Whether x is y, but for an error within the bound; nan, infinities and the sign of an exact 0 must agree."""
    if not (math.isfinite(x) and math.isfinite(y)):
        return bits(x) == bits(y)
    if x == y == 0.0:
        return bits(x) == bits(y)
    return not math.isfinite(bound) or abs(x - y) <= bound


def identical(found: Result, expected: Result) -> bool:
    """Whether all numbers are equal to the bit."""
    return [[*map(bits, xs)] for xs in found] == [[*map(bits, xs)] for xs in expected]


def within(found: Result, expected: Result, bound: Result) -> bool:
    """Whether all numbers are as near as they must be."""
    return all(
        len(xs) == len(ys) and all(map(near, xs, ys, limits))
        for xs, ys, limits in zip(found, expected, bound, strict=True)
    )


# Programs.


BACKENDS = ("source", "llvm")
each_backend = pytest.mark.parametrize("backend", BACKENDS)


class Compiled:
    """A program of a build, called with numbers for all leaves by place."""

    def __init__(self, build: Build, at: Sequence[float], backend: Any) -> None:
        recorded = build(at)
        place = {leaf: i for i, leaf in enumerate(recorded.leaves)}
        self.program = Graph(*recorded.roots).compile(recorded.inputs, recorded.wrt, backend=backend)
        self.inputs = [place[x] for x in recorded.inputs]
        self.parameters = [place[x] for x in self.program.leaves]

    def set(self, at: Sequence[float]) -> list[float]:
        """Set the parameters: what is left are the inputs."""
        self.program.parameters[:] = array("d", [at[i] for i in self.parameters])
        return [at[i] for i in self.inputs]

    def __call__(self, at: Sequence[float]) -> Result:
        """One call."""
        return self.result(self.program(*self.set(at)))

    def result(self, found: Any) -> Result:
        """What a call or a batch gave, in one form."""
        values, grads = found if self.program.wrt else (found, ())
        return Result([*values] if isinstance(values, tuple) else [values], [*grads])
