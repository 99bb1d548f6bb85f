"""How near every row is to 50 digits, and to PyTorch and JAX: the table `conformance.md`.

    python -m tests.conformance

Two oracles.  *mpmath* (`hard_points.py`) says what a row and its derivatives are, at random points of its
domain and at the hard points of the literature.  *PyTorch and JAX* have computed 10,000 random expressions of all
rows with all derivatives up to the second (`data/make_expressions.py`).

Errors are in units of eps = 2**-52.  Against mpmath they are relative to the number q that is right, or to its
condition Σ |xⱼ ∂q/∂xⱼ| where that is larger: what an operand that is off by one eps would do to q.  Against
PyTorch and JAX they are relative to the sum of the absolute terms of the whole computation, as Wilkinson's running
error analysis adds them up (`bounds` in `graphs.py`).
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autograd import Graph, Value, grad, gradient, hessian, hvp
from autograd.operations import BUILT_IN, table
from tests.graphs import BACKENDS, Compiled, Recipe, bounds, call, eager, identical, points, tolerances, within
from tests.hard_points import EPS, derivatives, hard_points, ours

HERE = Path(__file__).parent
STORED = HERE / "conformance.md"
ORDERS = ("value", "slope", "second")

#: Two computations are equally good if they differ by less, in eps of the sum of absolute terms.
NEAR = 32.0
#: A row loses digits where it is off by more, in eps of the number or its condition.
LOST = 16.0

CANCELS = "two terms cancel that are correct to the last bit; against these, the error is an eps or two"
FAR = "an intermediate result overflows or underflows though the derivative does not"
#: Why rows lose digits, and a shorter or better rule was not found.
REASONS = {
    ("tanh", "slope"): "(1 - z)(1 + z) knows z only: it is off by an eps of 1, which is the slope at 0.  PyTorch's too",
    ("tanh", "second"): "as the slope in the tails; near 0, " + CANCELS,
    ("sigmoid", "slope"): "z(1 - z) knows z only: above 0 it is off by an eps of 1.  PyTorch's too, and the textbooks'",
    ("sigmoid", "second"): "as the slope above 0; near 0, " + CANCELS,
    ("softplus", "second"): "it is the slope of sigmoid",
    ("logsumexp", "second"): "p - p*p: where p is near 1, " + CANCELS,
    ("asin", "second"): "near 0, "
    + CANCELS
    + ".  With 1 - x*x it would be the slope that loses half its digits near 1",
    ("acos", "second"): "as asin",
    ("atanh", "second"): "as asin",
    ("hypot", "second"): "where one operand is small beside the other, " + CANCELS + ".  Below 1e-155, " + FAR,
    ("atan2", "second"): "below 1e-155, " + FAR,
    ("atan", "second"): "above 1e77, " + FAR,
    ("pow", "slope"): "with a base below 6e-309, " + FAR,
    ("pow", "second"): "with a base below 6e-309, " + FAR,
}


# Rows against mpmath.


def errors(name: str, at: Sequence[float]) -> Iterator[tuple[str, float]]:
    """The errors of a row at a point, by order; where the value overflows, it has to be an OverflowError."""
    told = derivatives(name, at)
    try:
        found = [node.data for node in ours(table[name], at)]
    except OverflowError:
        yield "value", 0.0 if math.isinf(float(told[0].number)) else math.inf
        return
    for one, number in zip(told, found, strict=True):
        yield ORDERS[one.order], one.error(number)[1]


def samples(name: str, count: int) -> list[list[float]]:
    """Random points of the row's domain; an n-ary one has two operands to a column, for there are n² derivatives."""
    n = len(table[name].partials)
    ats = points(table[name], count)
    return [[x for j in range(n) for x in at[4 * j : 4 * j + 2]] for at in ats] if table[name].nary else ats


def worst(name: str, ats: Sequence[Sequence[float]]) -> dict[str, float]:
    """The largest errors of a row at some points, by order."""
    found = dict.fromkeys(ORDERS, 0.0)
    for at in ats:
        for order, error in errors(name, at):
            found[order] = max(found[order], error)
    return found


# Expressions against PyTorch and JAX.


class Expression(NamedTuple):
    """A random expression, and its value, gradient and upper Hessian as two libraries have computed them."""

    recipe: Recipe
    torch: list[float]
    jax: list[float]
    kinks: bool

    @property
    def names(self) -> set[str]:
        """The rows in it."""
        return {op.name for op, _ in self.recipe.steps}


def _moved(x: float, count: int) -> float:
    """The float that stands ``count`` places after x in their order."""
    (bits,) = struct.unpack("<q", struct.pack("<d", x if x == x else math.nan))
    place = (bits if bits >= 0 else -(bits & 0x7FFFFFFFFFFFFFFF)) + count
    (size,) = struct.unpack("<d", struct.pack("<q", abs(place)))
    return math.copysign(size, place)


def expressions(every: int = 1) -> Iterator[Expression]:
    """Every n-th of the stored expressions."""
    with gzip.open(HERE / "data" / "expressions.json.gz", "rt", encoding="utf-8") as lines:
        for i, line in enumerate(lines):
            if i % every == 0:
                leaves, nodes, told, apart = json.loads(line)
                steps = tuple((table[name], tuple(operands)) for name, *operands in nodes)
                n = len(leaves)
                recipe = Recipe(tuple(leaves), steps, (n + len(steps) - 1,), tuple(range(n)), tuple(range(n)))
                yield Expression(recipe, told, [_moved(x, k) for x, k in zip(told, apart, strict=True)], i % 4 == 3)


class Found(NamedTuple):
    """An expression by the engine: its numbers, and the sums of absolute terms that they are the results of."""

    numbers: list[float]
    terms: list[float]
    smooth: bool
    nodes: list[Value]


def found(recipe: Recipe) -> Found:
    """Value, gradient and upper Hessian as nodes of one graph."""
    nodes = recipe.nodes(recipe.leaves)
    xs = nodes[: len(recipe.leaves)]
    first = gradient(nodes[-1], xs)
    every = [nodes[-1], *first, *(h for i, g in enumerate(first) for h in gradient(g, xs)[i:])]
    terms = [bound / EPS for bound in bounds(*every, tolerance=EPS)]
    smooth = all(math.isfinite(d) for node in Graph(*every) for d in node.partials)
    return Found([node.data for node in every], terms, smooth, nodes)


def distance(x: float, y: float, terms: float) -> float:
    """How far two numbers are apart, in eps of the terms; 0 for the same infinity or two nans."""
    if not (math.isfinite(x) and math.isfinite(y)):
        return 0.0 if x == y or (math.isnan(x) and math.isnan(y)) else math.inf
    return abs(x - y) / max(EPS * terms, math.ulp(0.0)) if x != y else 0.0


def excused(expression: Expression, engine: Found) -> bool:
    """Whether PyTorch has a convention of its own somewhere in the expression: see ``autograd.kinks``."""
    if not engine.smooth:  # a slope that is infinite, or undefined
        return True
    values = [x.data if isinstance(x, Value) else x for x in engine.nodes]  # of constants alone, a float
    for op, operands in expression.recipe.steps:
        at = [values[x] if isinstance(x, int) else x for x in operands]
        if (op.name == "softplus" and at[0] > 20.0) or (op.name == "pow" and at[1] == 0.0):
            return True
    return False


def apart(expression: Expression, engine: Found) -> tuple[float, float]:
    """How far the engine is from PyTorch and from JAX; where these have conventions of their own, that is 0.

    At kinks, JAX's conventions are not ours.  Where PyTorch's are not, JAX has to be of our opinion, unless a slope is
    infinite or undefined: then all three may differ.
    """
    pairs = zip(engine.numbers, expression.torch, expression.jax, engine.terms, strict=True)
    both = [(distance(x, t, terms), distance(x, j, terms)) for x, t, j, terms in pairs]
    agreed = excused(expression, engine)
    torch = [t if t <= NEAR else 0.0 if agreed and (j <= NEAR or not engine.smooth) else math.inf for t, j in both]
    jax = [j if j <= NEAR else 0.0 if expression.kinks else math.inf for _, j in both]
    return max(torch), max(jax)


def calculus_agrees(expression: Expression, engine: Found) -> bool:
    """Whether ``backward``, ``grad``, ``hessian`` and ``hvp`` find what ``gradient`` has.

    Not where a slope is infinite: ``gradient`` drops what is a constant 0, which inf * 0 is not.
    """
    leaves = list(expression.recipe.leaves)
    n = len(leaves)

    def f(xs: Sequence[Any]) -> Any:
        values = list(xs)
        for op, operands in expression.recipe.steps:
            values.append(call(op, [values[x] if isinstance(x, int) else x for x in operands]))
        return values[-1]

    engine.nodes[-1].backward()
    first = engine.numbers[1 : n + 1]
    upper = dict(zip(itertools.combinations_with_replacement(range(n), 2), engine.numbers[n + 1 :], strict=True))
    square = [[upper[min(i, j), max(i, j)] for j in range(n)] for i in range(n)]
    told = [*first, *first, *itertools.chain(*square), *map(sum, square)]
    matrix, product = hessian(f)(leaves), hvp(f, (leaves,), ([1.0] * n,))[0]
    again = [*(node.grad for node in engine.nodes[:n]), *grad(f)(leaves), *itertools.chain(*matrix), *product]
    second = sum(engine.terms[n + 1 :])
    terms = [*engine.terms[1 : n + 1] * 2, *[second] * (n * n + n)]
    return not engine.smooth or max(map(distance, told, again, terms)) <= 8.0


def programs_agree(recipe: Recipe) -> bool:
    """Whether the expression as a program, by each backend, gives what ``backward`` gives."""
    at = recipe.leaves
    expected = eager(recipe, at)
    for backend in BACKENDS:
        run = Compiled(recipe, at, backend)(at)
        if not (identical(run, expected) if backend == "source" else within(run, expected, tolerances(recipe, at))):
            return False
    return True


# The table.


def cell(x: float) -> str:
    """An error, rounded up to two digits."""
    if not 1e-3 < x < math.inf:
        return "∞" if x == math.inf else "0"
    unit = 10.0 ** (math.floor(math.log10(x)) - 1)
    return f"{math.ceil(x / unit) * unit:.2g}"


def rows() -> dict[str, list[float]]:
    """The numbers of the table, by operation."""
    far: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for i, expression in enumerate(expressions()):
        engine = found(expression.recipe)
        distances = apart(expression, engine)
        assert max(distances) <= NEAR, (expression, distances)
        assert calculus_agrees(expression, engine), expression
        assert programs_agree(expression.recipe), expression
        for name in expression.names:
            far[name] = [max(pair) for pair in zip(far[name], distances, strict=True)]
        if i % 1000 == 999:
            print(f"{i + 1} expressions", flush=True)
    numbers = {}
    for name in sorted(BUILT_IN):
        sample, hard = worst(name, samples(name, 40)), worst(name, hard_points(name))
        numbers[name] = [*sample.values(), *hard.values(), *far[name]]
    return numbers


def written(numbers: dict[str, list[float]]) -> str:
    """The table as Markdown, with the reasons for what is lost."""
    assert __doc__ is not None
    lines = [
        "# Conformance",
        "",
        "Written by `make conformance`.\n\n" + __doc__.split("\n\n", 2)[2].strip(),
        "",
        "| operation | sample: value | slope | second | hard: value | slope | second | PyTorch | JAX |",
        "|---|---|---|---|---|---|---|---|---|",
        *(f"| {name} | {' | '.join(map(cell, found))} |" for name, found in numbers.items()),
        "",
        "Where digits are lost, at hard points:",
        "",
        *(f"- {name}, {order}: {reason}." for (name, order), reason in REASONS.items()),
        "",
        "Where conventions differ from PyTorch's: `autograd/kinks.py`.",
    ]
    return "\n".join(lines) + "\n"


def stored() -> dict[str, list[float]]:
    """The numbers of the table as they were last written."""
    lines = [line.split("|")[1:-1] for line in STORED.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return {name.strip(): [float(x.strip().replace("∞", "inf")) for x in found] for name, *found in lines[1:]}


def main() -> None:
    """Check everything, print the table and write it."""
    text = written(rows())
    print(text)
    STORED.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
