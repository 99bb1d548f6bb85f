"""Programs against the eager engine: every row, hundreds of random graphs, and all numbers that are not ordinary.

A single call of the ``source`` backend gives the eager numbers to the bit; ``llvm``, and every batch, as near
as ``bounds`` in ``tests/graphs.py`` says.
"""

import copy
import functools
import gc
import math
import pickle
import random
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from autograd import Constant, Graph, Operation, Value, gradient
from autograd import operations as ops
from autograd.operations import table
from tests.graphs import (
    BACKENDS,
    PORTABLE,
    SMALLEST,
    SPECIAL,
    TOLERANCE,
    Build,
    Compiled,
    Recipe,
    Recorded,
    Result,
    agree,
    call,
    cube,
    drawn,
    each_backend,
    eager,
    identical,
    joined,
    kinks,
    mixed,
    network,
    numbers,
    of_function,
    of_row,
    outcome,
    points,
    rows_of,
    special_points,
    tolerances,
    within,
)

rows_and_backends = pytest.mark.parametrize(
    ("op", "backend"),
    [(op, backend) for backend in BACKENDS for op in rows_of(backend)],
    ids=lambda x: x if isinstance(x, str) else x.name,
)


@functools.cache
def row_program(op: Operation, backend: Any, inputs: bool) -> Compiled:
    """A row with all operands as inputs, or as parameters."""
    recipe = of_row(op, points(op, 1)[0], inputs=inputs)
    return Compiled(recipe, recipe.leaves, backend)


@functools.cache
def value_program(op: Operation, backend: str) -> Compiled:
    """A row that is not differentiated."""
    recipe = replace(of_row(op, points(op, 1)[0]), wrt=())
    return Compiled(recipe, recipe.leaves, backend)


@each_backend
def test_the_backend_is_the_one_that_was_asked_for(backend: Any) -> None:
    """And ``auto`` is machine code, where ``llvmlite`` is installed."""
    graph = Graph(Value(2.0).tanh())
    assert graph.compile(backend=backend).backend == backend
    assert graph.compile().backend == ("llvm" if find_spec("llvmlite") else "source")


@rows_and_backends
def test_every_row_in_its_domain(op: Operation, backend: Any) -> None:
    """Value and all slopes, of inputs and of parameters; an operand taken twice; a constant beside a variable."""
    for at in points(op):
        for inputs in (True, False):
            recipe = of_row(op, at, inputs=inputs)
            found = row_program(op, backend, inputs)(at)
            assert agree(found, eager(recipe, at), recipe, at, backend), at
    first, *others = points(op, 1)[0]
    n = len(others) + 1
    for shared in {j for j, domain in enumerate(op.domain) if domain == op.domain[0]} if not op.nary else {n - 1}:
        operands = [0, *others]
        operands[shared] = 0
        recipe = Recipe((first,), ((op, tuple(operands)),), (1,), (), (0,))
        found = Compiled(recipe, [first], backend)([first])
        assert agree(found, eager(recipe, [first]), recipe, [first], backend), recipe


@each_backend
@pytest.mark.parametrize("group", range(25))
def test_random_graphs(group: int, backend: Any) -> None:
    """Twenty at a time, all in one program with many roots, and each alone (in machine code: the first)."""
    recipes = [drawn(20 * group + i, rows_of(backend)) for i in range(20)]
    rng = random.Random(group)
    together = Compiled(joined(recipes), [x for recipe in recipes for x in recipe.leaves], backend)
    alone = [Compiled(recipe, recipe.leaves, backend) for recipe in recipes[: 1 if backend == "llvm" else 20]]
    checked = 0
    for moved in (False, True, True):
        at = [recipe.moved(rng) if moved else recipe.leaves for recipe in recipes]
        expected = [outcome(eager, *pair) for pair in zip(recipes, at, strict=True)]
        for i, found in enumerate(expected):
            if not isinstance(found, Result):  # it has left its domain: back to where it was drawn
                at[i] = recipes[i].leaves
                expected[i] = eager(recipes[i], at[i])
        everything = together([x for xs in at for x in xs])
        values, grads = map(iter, everything)
        for i, (recipe, xs, right) in enumerate(zip(recipes, at, expected, strict=True)):
            assert isinstance(right, Result)
            mine = Result([next(values) for _ in right.values], [next(grads) for _ in right.grads])
            assert agree(mine, right, recipe, xs, backend), (recipe, xs)
            if i < len(alone):
                assert agree(alone[i](xs), right, recipe, xs, backend), (recipe, xs)
            checked += len(right.values) + len(right.grads)
        assert not [*values, *grads]
    assert checked > 500


def test_random_graphs_have_every_row_and_are_judged_strictly() -> None:
    """A bound that lets everything pass would be no test: nearly all are within a thousandth of a millionth."""
    recipes = [drawn(seed) for seed in range(200)]
    assert {op.name for recipe in recipes for op, _ in recipe.steps} == {op.name for op in rows_of("source")}
    relative = sorted(
        bound / max(abs(x), 1e-3)
        for recipe in recipes
        for xs, bounds in zip(eager(recipe, recipe.leaves), tolerances(recipe, recipe.leaves), strict=True)
        for x, bound in zip(xs, bounds, strict=True)
    )
    assert relative[len(relative) // 2] < 10.0 * TOLERANCE
    assert relative[len(relative) * 95 // 100] < 1e-8
    assert relative[-1] < 1e-3


@each_backend
@pytest.mark.parametrize("broken", PORTABLE, ids=lambda op: op.name)
def test_a_wrong_slope_would_be_noticed(broken: Operation, backend: Any) -> None:
    """The judge is judged: the eager gradient with one slope off by a millionth does not pass."""
    recipe = of_row(broken, points(broken, 1)[0])
    right = eager(recipe, recipe.leaves)
    j = max(range(len(right.grads)), key=lambda j: abs(right.grads[j]))
    wrong = Result(right.values, [g * (1.0 + 1e-6 * (i == j)) for i, g in enumerate(right.grads)])
    assert agree(wrong, right, recipe, recipe.leaves, backend) == (right.grads[j] == 0.0)


# Numbers that are not ordinary.


@rows_and_backends
def test_every_row_at_numbers_that_are_not_ordinary(op: Operation, backend: Any) -> None:
    """nan, infinities, both zeros, denormals, the largest: the numbers of the eager engine, or its error."""
    for at in special_points(op):
        for inputs in (True, False):
            recipe = of_row(op, at, inputs=inputs)
            found = outcome(row_program(op, backend, inputs), at)
            expected = outcome(eager, recipe, at)
            assert agree(found, expected, recipe, at, backend), (at, found, expected)
        value = outcome(value_program(op, backend), at)  # no gradient that would show what is wrong
        if isinstance(expected, Result):
            expected = Result(expected.values, [])
        assert agree(value, expected, replace(recipe, wrt=()), at, backend), (at, value, expected)


def test_there_are_points_of_every_kind() -> None:
    """The numbers above make most rows fail somewhere, and give nan, infinities and zeros."""
    seen = set()
    for op in PORTABLE:
        for at in special_points(op):
            found = outcome(eager, of_row(op, at), at)
            seen |= {str(x) for xs in found for x in xs} if isinstance(found, Result) else {found[0].__name__}
    assert {"nan", "inf", "-inf", "0.0", "-0.0", "ValueError", "OverflowError", "ZeroDivisionError"} <= seen


@each_backend
@pytest.mark.parametrize("line", kinks(), ids=lambda line: f"{line[0]}({line[1]})")
def test_kinks(line: list[str], backend: Any) -> None:
    """Every line of the table of conventions."""
    op, at = table[line[0]], numbers(line[1])
    for inputs in (True, False):
        found = row_program(op, backend, inputs)(at) if not op.nary else call_nary(op, at, backend)
        right = Result(numbers(line[2]), numbers(line[3]))
        assert within(found, right, Result(*([TOLERANCE * abs(x) for x in xs] for xs in right)))


def call_nary(op: Operation, at: list[float], backend: Any) -> Result:
    """A row of columns of another length than those above."""
    recipe = of_row(op, at)
    return Compiled(recipe, at, backend)(at)


def moved(recipe: Recipe, at: Sequence[float]) -> Result:
    """What the eager engine finds on the graph recorded where it was drawn and moved: errors come in its order."""
    recorded = recipe(recipe.leaves)
    graph = Graph(*recorded.roots)
    graph.forward({leaf: x for leaf, x in zip(recorded.leaves, at, strict=True) if leaf in graph})
    graph.backward()
    return Result([root.data for root in recorded.roots], [node.grad for node in recorded.wrt])


@each_backend
@pytest.mark.parametrize("group", range(10))
def test_random_graphs_at_numbers_that_are_not_ordinary(group: int, backend: Any) -> None:
    """One or two leaves are nan, infinite, denormal or huge: what comes of it is what comes of it eagerly."""
    rng = random.Random(group)
    for seed in range(10 * group, 10 * group + (4 if backend == "llvm" else 10)):
        recipe = drawn(seed, rows_of(backend), 25)
        compiled = Compiled(recipe, recipe.leaves, backend)
        for _ in range(12):
            at = [*recipe.leaves]
            for i in rng.sample(range(len(at)), min(2, len(at))):
                at[i] = at[i] if i in recipe.constants else rng.choice(SPECIAL)
            found = outcome(compiled, at)
            expected = outcome(moved, recipe, at)
            assert agree(found, expected, recipe, at, backend), (recipe, at, found, expected)


@each_backend
def test_a_zero_that_is_added_is_not_left_out(backend: Any) -> None:
    """Since -0.0 + 0.0 is 0.0; what is left out, such as - 0.0, keeps the sign."""
    x = Value(1.0)
    program = Graph(ops.atan2(x + 0.0, -1.0), ops.atan2(x - 0.0, -1.0)).compile([x], backend=backend)
    assert program(-0.0) == (math.pi, -math.pi)


@each_backend
def test_denormals_are_not_taken_for_zero(backend: Any) -> None:
    """Amplified after they were read, added, multiplied, and as a constant."""
    x, w = Value(1e-310, label="x"), Value(SMALLEST)
    y = x * 1e300 + (w + x) * 1e300 + (x * 0.5) * 1e300 + Constant(3e-310) * 1e300 * x.detach() + w * 1e300
    program = Graph(y).compile([x], [x, w], backend=backend)
    value, grads = program(2e-310)
    assert value == pytest.approx((2e-310 + (SMALLEST + 2e-310) + 1e-310 + SMALLEST) * 1e300, rel=1e-12)
    assert [*grads] == pytest.approx([2.5e300, 2e300], rel=1e-12)


# Slopes that can be infinite.

INFINITE: dict[str, tuple[Callable[..., Any], tuple[float, ...]]] = {
    "sqrt times zero": (lambda x, w: ops.sqrt(x) * w, (0.0, 0.0)),
    "sqrt times constant zero": (lambda x: ops.sqrt(x) * 0.0, (0.0,)),
    "sqrt times -0.0": (lambda x, w: ops.sqrt(x) * w, (0.0, -0.0)),
    "sqrt alone": (lambda x: ops.sqrt(x), (0.0,)),
    "sqrt of -0.0": (lambda x: ops.sqrt(x), (-0.0,)),
    "fsum of -0.0": (lambda x, y: ops.fsum([x, y]), (-0.0, -0.0)),
    "sumprod of -0.0": (lambda x, y: ops.sumprod([x], [y]), (-0.0, 1.0)),
    "sqrt twice": (lambda x: ops.sqrt(ops.sqrt(x)), (0.0,)),
    "minus sqrt": (lambda x, w: -ops.sqrt(x) * w, (0.0, 2.0)),
    "cbrt": (lambda x, w: ops.cbrt(x) * w, (0.0, 0.0)),
    "cbrt of -0.0": (lambda x, w: ops.cbrt(x) * w, (-0.0, -1.0)),
    "pow": (lambda x, y, w: x**y * w, (0.0, 0.5, 0.0)),
    "pow of a constant exponent": (lambda x, w: x**0.5 * w, (0.0, 0.0)),
    "pow by its exponent": (lambda x, y, w: x**y * w, (-2.0, 3.0, 0.0)),
    "asin": (lambda x, w: ops.asin(x) * w, (1.0, 0.0)),
    "asin, other end": (lambda x, w: ops.asin(x) * w, (-1.0, 3.0)),
    "acos": (lambda x, w: ops.acos(x) * w, (-1.0, 0.0)),
    "acosh": (lambda x, w: ops.acosh(x) * w, (1.0, 0.0)),
    "hypot": (lambda x, y, w: ops.hypot(x, y) * w, (0.0, 0.0, 0.0)),
    "hypot alone": (lambda x, y, w: ops.hypot(x, y) * w, (0.0, 0.0, 1.0)),
    "atan2": (lambda x, y, w: ops.atan2(x, y) * w, (0.0, 0.0, 0.0)),
    "atan2 alone": (lambda x, y: ops.atan2(x, y), (0.0, -0.0)),
    "hidden by where": (lambda c, x, y: ops.where(c, ops.sqrt(x), y), (0.0, 0.0, 2.0)),
    "shown by where": (lambda c, x, y: ops.where(c, ops.sqrt(x), y), (1.0, 0.0, 2.0)),
    "hidden by a constant": (lambda x, y: ops.where(0.0, ops.sqrt(x), y), (0.0, 2.0)),
    "as a condition": (lambda x, y: ops.where(ops.sqrt(x), x, y), (0.0, 2.0)),
    "hidden by relu": (lambda x: ops.relu(-ops.sqrt(x)), (0.0,)),
    "hidden by step": (lambda x: ops.step(ops.sqrt(x)) + x, (0.0,)),
    "hidden by abs": (lambda x: abs(ops.sqrt(x)), (0.0,)),
    "hidden by leaky_relu": (lambda x, a: ops.leaky_relu(ops.cbrt(x), a), (0.0, 0.0)),
    "hidden by maximum": (lambda x, y: ops.maximum(ops.sqrt(x), y), (0.0, 1.0)),
    "shared by minimum": (lambda x, y: ops.minimum(ops.cbrt(x), ops.cbrt(y)), (0.0, 0.0)),
    "squared": (lambda x: ops.sqrt(x) ** 2, (0.0,)),
    "of a square": (lambda x: ops.sqrt(x * x), (0.0,)),
    "taken from itself": (lambda x: ops.sqrt(x) - ops.sqrt(x), (0.0,)),
    "in a sumprod": (lambda x, w: ops.sumprod([ops.sqrt(x), x], [w, 3.0]), (0.0, 0.0)),
    "in an fsum": (lambda x, w: ops.fsum([ops.sqrt(x) * w, x, ops.cbrt(x)]), (0.0, 0.0)),
    "in a logsumexp": (lambda x: ops.logsumexp([ops.sqrt(x) - 1000.0, 0.0]), (0.0,)),
    "beside a finite path": (lambda x, w: ops.sqrt(x) * w + 2.0 * x, (0.0, 0.0)),
    "an adjoint that underflows": (lambda x, w: ops.sqrt(x) * w * 1e-200 * 1e-200, (0.0, 1.0)),
    "two adjoints that cancel": (lambda x, w: (lambda r: r * w - r * w)(ops.sqrt(x)), (0.0, 2.0)),
    "an infinite adjoint": (lambda x, w: ops.sqrt(x) * w * x, (0.0, math.inf)),
    "a large slope": (lambda x, w: ops.sqrt(x) * w, (SMALLEST, 0.0)),
    "a nan beside": (lambda x, w: ops.sqrt(x) * w, (0.0, math.nan)),
}


@each_backend
@pytest.mark.parametrize("name", INFINITE)
def test_infinite_slopes(name: str, backend: Any) -> None:
    """An adjoint of exactly 0 meets no slope, whatever it is; others do."""
    f, at = INFINITE[name]
    build = of_function(f)
    compiled = Compiled(build, at, backend)
    expected = eager(build, at)
    assert agree(compiled(at), expected, build, at, backend), (compiled(at), expected)
    for size, i in ((1, 0), (33, 17)):
        rows = [[(1.5 if "acosh" in name else 0.5) + 0.01 * j] * len(at) for j in range(size)]
        rows[i] = [*at]
        results = [eager(build, row) for row in rows]
        limits = [tolerances(build, row) for row in rows]
        values, *rest = compiled.program.batch(rows, per_example=True)
        assert within(
            Result([*values], []),
            Result([r.values[0] for r in results], []),
            Result([limit.values[0] for limit in limits], []),
        )
        totals = [sum(column) for column in zip(*(r.grads for r in results), strict=True)]
        bounds = [sum(column) + 1e-10 for column in zip(*(limit.grads for limit in limits), strict=True)]
        assert within(Result([], [*rest[0]]), Result([], totals), Result([], bounds))


# Derivatives of derivatives.


def hessian_times_vector(build: Build, inputs: Sequence[int] = ()) -> Build:
    """∇(∇f · v), recorded with ``gradient``: roots are ∇f · v and the first of the gradient."""

    def second(at: Sequence[float]) -> Recorded:
        recorded = build(at)
        slopes = gradient(recorded.roots[0], recorded.wrt)
        dot = ops.fsum([slope * (0.3 * i - 1.0) for i, slope in enumerate(slopes)])
        products = gradient(dot, recorded.wrt)
        return Recorded(recorded.leaves, [dot, *products[:3]], recorded.inputs, recorded.wrt)

    return second


SMOOTH: dict[str, tuple[Build, list[float]]] = {
    "network": (network, [math.sin(1.7 * i) for i in range(26)]),
    "rosenbrock": (of_function(lambda x, y: (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2, inputs=[0]), [-1.2, 1.0]),
    "quotients": (of_function(lambda x, y: ops.sqrt(x / y) * ops.log(x + y) + ops.atan2(x, y)), [1.5, 0.7]),
    "cube": (of_function(lambda x, y: cube(ops.sin(x) * y)), [1.5, 0.7]),
}


@each_backend
@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives(name: str, backend: Any) -> None:
    """A graph made with ``gradient`` is a graph: Hessian-vector products compile, and their derivatives are right."""
    build, at = SMOOTH[name]
    second = hessian_times_vector(build)
    compiled = Compiled(second, at, backend)
    for scale in (1.0, 0.9, 1.1):
        moved_to = [scale * x for x in at]
        assert agree(compiled(moved_to), eager(second, moved_to), second, moved_to, backend)


@each_backend
def test_the_second_derivative_of_a_square_at_zero(backend: Any) -> None:
    """2: an adjoint that happens to be 0 has a derivative of its own."""
    x = Value(0.0)
    (slope,) = gradient((x * 1.0) * (x * 1.0), [x])
    assert Graph(slope).compile([x], [x], backend=backend)(0.0)[1][0] == 2.0


# Rows of a user.


@each_backend
def test_a_users_row_in_arithmetic(backend: Any) -> None:
    """Is as good as a built-in one; one of the same name that replaces it is another."""
    x = Value(2.0)
    program = Graph(cube(x) + 1.0).compile([x], [x], backend=backend)
    assert program.backend == backend
    value, (slope,) = program(3.0)
    assert (value, slope) == pytest.approx((28.0, 27.0), rel=1e-14)
    for factor in (2.0, 3.0):
        again = Operation("again", lambda x, k=factor: k * x, (lambda x, z, k=factor: k,))
        value, (slope,) = Graph(again(x)).compile([x], [x], backend=backend)(5.0)
        assert (value, slope) == (5.0 * factor, factor)
    del table["again"]


@each_backend
def test_a_users_row_with_absolute_values(backend: Any) -> None:
    """Python's own abs, in a row and in its rule."""
    x = Value(2.0)
    bent = Operation("bent", lambda x: x * abs(x), (lambda x, z: 2.0 * abs(x),))
    program = Graph(bent(x)).compile([x], [x], backend=backend)
    for at in (-3.0, 3.0):
        value, (slope,) = program(at)
        assert (value, slope) == (at * 3.0, 6.0)
    del table["bent"]


@pytest.mark.parametrize("language", ["python", "llvm"])
def test_what_a_rule_computes_in_vain_is_left_out(language: Any) -> None:
    """Nobody uses it, and so it is not in the program."""
    x = Value(2.0)
    vain = Operation("vain", lambda x: x * x, (lambda x, z: (ops.cosh(x), 2.0 * x)[1],))
    used = Operation("used", lambda x: x * x, (lambda x, z: 2.0 * x + ops.cosh(x),))
    for row, found in ((used, True), (vain, False)):
        program = Graph(row(x)).compile([x], [x], backend="llvm" if language == "llvm" else "source")
        assert ("cosh" in program.source(language)) == found
    assert [*program(3.0)[1]] == [6.0]
    del table["vain"], table["used"]


def test_a_users_rule_that_branches() -> None:
    """No program can have it, and the error says what to write instead."""
    x = Value(2.0)
    turning = Operation("turning", lambda x: abs(x), (lambda x, z: 1.0 if x > 0.0 else -1.0,))
    graph = Graph(turning(x))
    with pytest.raises(TypeError, match="turning cannot be compiled"):
        graph.compile([x], [x], backend="llvm")
    with pytest.raises(TypeError, match="a rule must not branch on its operands; use step, sign or where"):
        graph.compile([x], [x])(1.0)
    del table["turning"]


def test_a_users_row_that_is_not_arithmetic() -> None:
    """Machine code cannot have it and says so; ``auto`` takes the source, and the numbers are right."""
    branching = Operation("branching", lambda x: x if x > 0.0 else -2.0 * x, (lambda x, z: z / x,))
    x, y = Value(1.5), Value(0.5)
    for op, root in ((mixed, mixed(x, y) * y), (branching, branching(x) * y)):
        graph = Graph(root)
        with pytest.raises(TypeError, match=rf"\b{op.name}\b"):
            graph.compile([x], [x, y], backend="llvm")
        program = graph.compile([x], [x, y])
        assert program.backend == "source"
        for at in (1.5, -2.0):
            fresh = [Value(at), Value(0.5)]
            (op(*fresh) * fresh[1] if op is mixed else op(fresh[0]) * fresh[1]).backward()
            assert [*program(at)[1]] == [leaf.grad for leaf in fresh]
    del table["branching"]


@each_backend
def test_every_row_in_one_program(backend: Any) -> None:
    """All at once, with a root for each, to the numbers of each alone."""
    recipes = [of_row(op, points(op, 1)[0]) for op in rows_of(backend)]
    everything = joined(recipes)
    found = Compiled(everything, everything.leaves, backend)(everything.leaves)
    each = [eager(recipe, recipe.leaves) for recipe in recipes]
    expected = Result([x for r in each for x in r.values], [x for r in each for x in r.grads])
    assert agree(found, expected, everything, everything.leaves, backend)
    assert len(found.grads) == sum(len(recipe.leaves) for recipe in recipes)


def test_identical_means_to_the_bit() -> None:
    """The comparison tells zeros and neighbours apart, and takes any nan for nan."""
    one = Result([0.0, math.nan], [1.0])
    assert identical(one, Result([0.0, -math.nan], [1.0]))
    assert not identical(one, Result([-0.0, math.nan], [1.0]))
    assert not identical(one, Result([0.0, math.nan], [math.nextafter(1.0, 2.0)]))
    assert not identical(one, Result([0.0], [math.nan, 1.0]))
    assert call(ops.add, [1.0, 2.0]) == 3.0


@each_backend
def test_a_copy_of_a_program_has_parameters_of_its_own(backend: Any) -> None:
    """However it is copied."""
    w = Value(3.0)
    program = Graph(w * w).compile(backend=backend)
    for other in (copy.copy(program), copy.deepcopy(program), pickle.loads(pickle.dumps(program))):
        other.parameters[0] = 5.0
        assert (program()[0], other()[0]) == (9.0, 25.0)


@each_backend
def test_a_program_is_freed_when_nobody_has_it(backend: Any) -> None:
    """At once: it is in no circle that only the garbage collector would break."""
    gc.disable()
    try:
        program = Graph(Value(3.0) * 2.0).compile(backend=backend)
        program()
        gone = weakref.ref(program)
        del program
        assert gone() is None
    finally:
        gc.enable()
