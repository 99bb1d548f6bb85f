"""Programs on many examples: every size and kind of rows, what is refused, and which example an error names."""

import functools
import math
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from autograd import Graph, Value
from autograd import operations as ops
from tests.graphs import (
    PORTABLE,
    TOLERANCE,
    Build,
    Compiled,
    Recipe,
    Result,
    drawn,
    each_backend,
    eager,
    joined,
    network,
    of_function,
    of_row,
    outcome,
    points,
    rows_of,
    special_points,
    tolerances,
    within,
)

SIZES = (0, 1, 3, 7, 16, 31, 32, 33, 1001)


def graph_with_inputs(seed: int) -> Recipe:
    """A random graph of a few inputs and some of everything in ``wrt``."""
    recipes = (drawn(seed + 1000 * i, PORTABLE, 15) for i in range(100))
    return next(r for r in recipes if 2 <= len(r.inputs) < len(r.leaves) and len(r.wrt) > 3 and len(r.roots) == seed)


BUILDS: dict[str, tuple[Build, list[float]]] = {
    "network": (network, [math.sin(1.7 * i) for i in range(26)]),
    "one root": (graph_with_inputs(1), [*graph_with_inputs(1).leaves]),
    "three roots": (graph_with_inputs(3), [*graph_with_inputs(3).leaves]),
    "arithmetic": (of_function(lambda x, y, w: (x * w - y) / (1.0 + y * y), inputs=[0, 1]), [0.5, 1.5, -0.7]),
}
every_build = pytest.mark.parametrize("name", BUILDS)


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand and one rows are several."""
    monkeypatch.setattr("autograd.program.BLOCK", 300)


class Examples:
    """Rows for a build, and what the eager engine finds for each of them."""

    def __init__(self, build: Build, at: Sequence[float], count: int) -> None:
        recorded = build(at)
        places = [recorded.leaves.index(x) for x in recorded.inputs]
        rng = random.Random(count)
        self.rows: list[list[float]] = []
        self.results: list[Result] = []
        self.limits: list[Result] = []
        while len(self.rows) < count:
            moved = [*at]
            for i in places:
                moved[i] += rng.uniform(-0.5, 0.5)
            result = outcome(eager, build, moved)
            if isinstance(result, Result):
                self.rows.append([moved[i] for i in places])
                self.results.append(result)
                self.limits.append(tolerances(build, moved))

    def sums(self, size: int, scale: float = 1.0) -> tuple[Result, Result]:
        """The sums over the first examples, and how far from them a program may be."""
        if not size:
            empty = [[0.0] * len(xs) for xs in self.results[0]]
            return Result(*empty), Result(*empty)
        totals, bounds = [], []
        for kind in range(2):
            columns = [*zip(*(result[kind] for result in self.results[:size]), strict=True)]
            limits = zip(*(limit[kind] for limit in self.limits[:size]), strict=True)
            totals.append([scale * math.fsum(column) for column in columns])
            sizes = [math.fsum(map(abs, column)) for column in columns]
            bounds.append([scale * (sum(b) + TOLERANCE * s) for b, s in zip(limits, sizes, strict=True)])
        return Result(*totals), Result(*bounds)


@functools.cache
def examples(name: str) -> Examples:
    """A thousand and one rows for a build."""
    return Examples(*BUILDS[name], 1001)


@functools.cache
def program(name: str, backend: str) -> Compiled:
    """A build as a program."""
    return Compiled(*BUILDS[name], backend)


def unsigned(result: Result) -> Result:
    """Without a sign of zero, which a sum may have or not."""
    return Result(*([float(x) + 0.0 for x in xs] for xs in result))


@each_backend
@every_build
@pytest.mark.parametrize("size", SIZES)
def test_sizes(name: str, size: int, backend: Any) -> None:
    """Sums, means and values per example; gradients always reduced."""
    compiled, data = program(name, backend), examples(name)
    compiled.set(BUILDS[name][1])
    rows = np.array(data.rows[:size]).reshape(size, len(compiled.inputs))
    before = rows.copy()
    found = compiled.result(compiled.program.batch(rows))
    assert all(type(x) is float for x in found.values)
    assert within(unsigned(found), *map(unsigned, data.sums(size)))
    outputs, grads = compiled.program.batch(rows, per_example=True)
    outputs = outputs if len(data.results[0].values) > 1 else (outputs,)
    assert isinstance(outputs, tuple)
    for i, column in enumerate(outputs):
        assert column.shape == (size,)
        assert column.dtype == np.float64
        each = [result.values[i] for result in data.results[:size]]
        assert within(Result([*column], []), Result(each, []), Result([b.values[i] for b in data.limits[:size]], []))
    assert grads.shape == (len(compiled.program.wrt),)
    assert grads.dtype == np.float64
    assert within(unsigned(Result([], [*grads])), *(Result([], unsigned(r).grads) for r in data.sums(size)))
    if size:
        right, bound = data.sums(size, 1.0 / size)
        mean = compiled.result(compiled.program.batch(rows, reduction="mean"))
        assert within(unsigned(mean), unsigned(right), bound)
        values, grads = compiled.program.batch(rows, reduction="mean", per_example=True)
        assert np.array_equal(np.array(values), np.array(outputs if len(outputs) > 1 else outputs[0]))
        assert within(unsigned(Result([], [*grads])), Result([], unsigned(right).grads), Result([], bound.grads))
    assert np.array_equal(rows, before)


@each_backend
@pytest.mark.parametrize("group", range(25))
def test_random_graphs(group: int, backend: Any) -> None:
    """Twenty at a time in one program, their inputs side by side in each row."""
    recipes = [drawn(20 * group + i, rows_of(backend)) for i in range(20)]
    data = [Examples(recipe, recipe.leaves, 5) for recipe in recipes]
    together = joined(recipes)
    compiled = Compiled(together, together.leaves, backend)
    rows = [[x for one in data for x in one.rows[i]] for i in range(5)]
    values, grads = map(iter, compiled.result(compiled.program.batch(rows)))
    for recipe, one in zip(recipes, data, strict=True):
        right, bound = one.sums(5)
        found = Result([next(values) for _ in right.values], [next(grads) for _ in right.grads])
        assert within(unsigned(found), unsigned(right), bound), recipe
    assert not [*values, *grads]


@each_backend
def test_a_mean_of_no_examples(backend: Any) -> None:
    """Is an error, not nan."""
    compiled = program("network", backend)
    for per_example in (False, True):
        with pytest.raises(ValueError, match="mean"):
            compiled.program.batch(np.empty((0, 3)), reduction="mean", per_example=per_example)
    wrong: Any = "median"
    with pytest.raises(ValueError, match="median"):
        compiled.program.batch([[1.0, 2.0, 3.0]], reduction=wrong)


INTEGERS = np.arange(-30, 30).reshape(20, 3)
KINDS: dict[str, Any] = {
    "lists": INTEGERS.tolist(),
    "tuples": tuple(map(tuple, INTEGERS.tolist())),
    "lists of NumPy numbers": [[*map(np.float32, row)] for row in INTEGERS.tolist()],
    "rows in a list": [*INTEGERS.astype(float)],
    "float32": INTEGERS.astype(np.float32),
    "float16": INTEGERS.astype(np.float16),
    "int64": INTEGERS,
    "int8": INTEGERS.astype(np.int8),
    "the other byte order": INTEGERS.astype(">f8"),
    "Fortran order": np.asfortranarray(INTEGERS.astype(float)),
    "transposed": np.ascontiguousarray(INTEGERS.T.astype(float)).T,
    "negative strides": np.ascontiguousarray(INTEGERS[::-1, ::-1].astype(float))[::-1, ::-1],
    "every other row and column": np.repeat(np.repeat(INTEGERS.astype(float), 2, axis=0), 2, axis=1)[::2, ::2],
    "columns of a larger array": np.hstack([np.full((20, 2), np.nan), INTEGERS.astype(float), np.ones((20, 1))])[
        :, 2:5
    ],
    "not aligned": np.frombuffer(b"x" + INTEGERS.astype(float).tobytes(), dtype=float, offset=1).reshape(20, 3),
    "structured, one field": np.array([(row,) for row in INTEGERS.tolist()], dtype=[("x", float, 3)])["x"],
    "beside a byte": np.array([(1, row) for row in INTEGERS.tolist()], dtype=[("n", "i1"), ("x", float, 3)])["x"],
}


@each_backend
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_rows(kind: str, backend: Any) -> None:
    """Whatever holds the same numbers gives the same result, to the bit, and is left as it was."""
    compiled = program("network", backend)
    compiled.set(BUILDS["network"][1])
    plain = INTEGERS.astype(float)
    value, grads = compiled.program.batch(plain)
    rows = KINDS[kind]
    found, found_grads = compiled.program.batch(rows)
    assert (found, [*found_grads]) == (value, [*grads])
    assert np.array_equal(np.array(rows, dtype=float), plain)
    if isinstance(rows, np.ndarray):
        rows.flags.writeable = False
        assert compiled.program.batch(rows)[0] == value
        outputs, right = (compiled.program.batch(xs, per_example=True)[0] for xs in (rows, plain))
        assert np.array_equal(outputs, right)
    one = INTEGERS[:1].astype(float)
    broadcast = np.broadcast_to(one, (20, 3))
    assert compiled.program.batch(broadcast)[0] == compiled.program.batch(np.repeat(one, 20, axis=0))[0]


@each_backend
def test_results_are_arrays_of_their_own(backend: Any) -> None:
    """The next batch does not write over the gradient of the last, nor does a caller over the program's."""
    compiled = program("network", backend)
    compiled.set(BUILDS["network"][1])
    rows = INTEGERS / 30.0
    value, grads = compiled.program.batch(rows)
    single = compiled.program(*rows[0])[1]
    kept = [*grads], [*single]
    outputs, _ = compiled.program.batch(rows, per_example=True)
    kept_outputs = [*outputs]
    compiled.program.batch(-rows, per_example=True)
    compiled.program(*rows[1])
    assert ([*grads], [*single], [*outputs]) == (*kept, kept_outputs)
    grads[:], single[:], outputs[:] = math.nan, math.nan, math.nan
    assert compiled.program.batch(rows)[0] == value
    assert [*compiled.program.batch(rows)[1]] == kept[0]
    assert [*compiled.program(*rows[0])[1]] == kept[1]


SHAPES: list[tuple[Any, str]] = [
    (np.ones((4, 2)), "(4, 2)"),
    (np.ones((4, 4)), "(4, 4)"),
    (np.ones((3, 4)), "(3, 4)"),
    (np.ones((0, 2)), "(0, 2)"),
    (np.ones((4, 0)), "(4, 0)"),
    (np.ones(3), "(3,)"),
    (np.ones((1, 4, 3)), "(1, 4, 3)"),
    (1.0, "()"),
    (math.nan, "()"),
    ([[]], "(1, 0)"),
    ([1.0, 2.0, 3.0], "(3,)"),
]


@each_backend
@pytest.mark.parametrize(("rows", "shape"), SHAPES, ids=[f"{type(rows).__name__}{shape}" for rows, shape in SHAPES])
def test_rows_of_a_wrong_shape(rows: Any, shape: str, backend: Any) -> None:
    """A ValueError that names what is expected, 3 columns, and the shape that came."""
    compiled = program("network", backend)
    for per_example in (False, True):
        with pytest.raises(ValueError, match=r"\b3\b") as caught:
            compiled.program.batch(rows, per_example=per_example)
        assert shape in str(caught.value)


@each_backend
def test_rows_of_different_lengths(backend: Any) -> None:
    """A ValueError that names the expected shape."""
    with pytest.raises(ValueError, match=r"\b3\b"):
        program("network", backend).program.batch([[1.0, 2.0, 3.0], [1.0, 2.0]])


@each_backend
def test_masked_rows(backend: Any) -> None:
    """What is masked is no number, and is not computed with."""
    rows = np.ma.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    run = program("network", backend).program.batch
    expected = run(rows.data)
    assert (run(rows)[0], [*run(rows)[1]]) == (expected[0], [*expected[1]])
    rows[1, 2] = np.ma.masked
    with pytest.raises(ValueError, match="rows has masked numbers"):
        run(rows)


WRONG: dict[str, tuple[Any, str]] = {
    "None": (None, "None|object"),
    "a None": ([[1.0, None, 3.0]], "None|object"),
    "a string": ("abc", "str|<U3"),
    "numbers in strings": ([["1.0", "2.0", "3.0"]], "str|<U3"),
    "an array of strings": (np.array([["1.0", "2.0", "3.0"]]), "str|<U3"),
    "bytes": ([[b"1.0", b"2.0", b"3.0"]], "bytes|S3"),
    "complex numbers": (np.ones((2, 3)) * 1j, "complex"),
    "dates": (np.zeros((2, 3), dtype="M8[s]"), "datetime"),
    "nodes": ([[Value(1.0), Value(2.0), Value(3.0)]], "Value|object"),
    "a dictionary": ({"x": 1.0}, "dict|object"),
}


@each_backend
@pytest.mark.parametrize("kind", WRONG)
def test_rows_that_are_no_numbers(kind: str, backend: Any) -> None:
    """A TypeError that names what came."""
    rows, named = WRONG[kind]
    with pytest.raises(TypeError, match=named):
        program("network", backend).program.batch(rows)


@each_backend
def test_programs_without_inputs_or_gradient_or_variables(backend: Any) -> None:
    """As many times the same value as there are rows; no gradient where none is asked for."""
    w = Value(3.0)
    bare = Graph(w * w).compile(backend=backend)
    value, grads = bare.batch(np.empty((5, 0)))
    assert (value, [*grads]) == (45.0, [30.0])
    outputs, grads = bare.batch(np.empty((5, 0)), reduction="mean", per_example=True)
    assert ([*outputs], [*grads]) == ([9.0] * 5, [6.0])
    x = Value(1.0)
    two = Graph(x * w, x).compile([x], [], backend=backend)
    assert two.batch([[2.0], [4.0]]) == (18.0, 6.0)
    first, second = two.batch([[2.0], [4.0]], per_example=True)
    assert ([*first], [*second]) == ([6.0, 12.0], [2.0, 4.0])
    assert two.batch(np.empty((0, 1))) == two.batch([]) == (0.0, 0.0)
    one = Graph(x * w).compile([x], [], backend=backend)
    assert one.batch([[2.0], [4.0]], reduction="mean") == 9.0
    assert [*one.batch([[2.0]], per_example=True)] == [6.0]
    itself = Graph(x).compile([x], [x, w], backend=backend)
    value, grads = itself.batch([[2.0], [4.0]])
    assert (value, [*grads]) == (6.0, [2.0, 0.0])


# Points that are not ordinary, in the middle of ordinary ones.


@each_backend
@pytest.mark.parametrize("op", PORTABLE, ids=lambda op: op.name)
def test_one_example_that_is_not_ordinary(op: Any, backend: Any) -> None:
    """Among ordinary ones, at any place: its numbers and theirs are right; or its error, with its number."""
    rng = random.Random(op.name)
    build = of_row(op, points(op, 1)[0])
    compiled = Compiled(build, build.leaves, backend)
    data = Examples(build, build.leaves, 32)
    for at in rng.sample(special_points(op), min(25, len(special_points(op)))):
        if len(at) != len(build.leaves):
            continue
        i = rng.randrange(33)
        rows = [*data.rows[:i], at, *data.rows[i:]]
        expected = outcome(eager, build, at)
        found = outcome(batch, compiled, rows, {"per_example": True})
        if not isinstance(expected, Result):
            named(found, expected, i)
            continue
        assert isinstance(found, Result), (at, found)
        results = [*data.results[:i], expected, *data.results[i:]]
        limits = [*data.limits[:i], tolerances(build, at), *data.limits[i:]]
        values = Result([result.values[0] for result in results], [])
        each: Any = found.values[0]  # an array
        assert within(Result([*each], []), values, Result([limit.values[0] for limit in limits], [])), at
        totals = [sum(column) + 0.0 for column in zip(*(result.grads for result in results), strict=True)]
        sizes = [sum(map(abs, column)) for column in zip(*(result.grads for result in results), strict=True)]
        bounds = [sum(column) for column in zip(*(limit.grads for limit in limits), strict=True)]
        bounds = [b + TOLERANCE * s for b, s in zip(bounds, sizes, strict=True)]
        assert within(unsigned(Result([], found.grads)), Result([], totals), Result([], bounds)), at


def named(found: Any, expected: Any, example: int) -> None:
    """The same error as eagerly, and which example it was."""
    assert not isinstance(found, Result), (found, expected)
    assert found[:2] == expected[:2] or (found[0] == expected[0] and expected[1] in found[1])
    told = " ".join([found[1], *found[2]])
    assert all(note in told for note in expected[2])
    assert re.search(rf"\bin example {example}\b", told), told


def batch(compiled: Compiled, rows: Any, options: dict[str, Any]) -> Result:
    """A batch's result in one form."""
    return compiled.result(compiled.program.batch(rows, **options))


# Errors.

ERRORS: dict[str, tuple[Callable[..., Any], tuple[float, ...], tuple[float, ...]]] = {
    "log": (lambda x, w: ops.log(x) * w, (1.0, 2.0), (-1.0, 2.0)),
    "log at 0": (lambda x, w: ops.log(x) * w, (1.0, 2.0), (0.0, 2.0)),
    "log, hidden by exp": (lambda x, w: ops.exp(ops.log(x)) * w, (1.0, 2.0), (0.0, 2.0)),
    "log, hidden by where": (lambda x, w: ops.where(0.0, ops.log(x), w), (1.0, 2.0), (-1.0, 2.0)),
    "log, hidden by its own condition": (lambda x, w: ops.where(x, ops.log(x), w), (1.0, 2.0), (0.0, 2.0)),
    "log, times zero": (lambda x, w: ops.log(x) * 0.0 + w, (1.0, 2.0), (0.0, 2.0)),
    "sqrt": (lambda x, w: ops.sqrt(x) * w, (1.0, 2.0), (-1e-300, 2.0)),
    "sqrt, hidden by relu": (lambda x, w: ops.relu(ops.sqrt(x)) * w, (1.0, 2.0), (-1.0, 2.0)),
    "division": (lambda x, w: w / x, (1.0, 2.0), (0.0, 2.0)),
    "division by -0.0": (lambda x, w: w / x, (1.0, 2.0), (-0.0, 2.0)),
    "0 / 0": (lambda x, w: w / x, (1.0, 0.0), (0.0, 0.0)),
    "division, hidden by atan": (lambda x, w: ops.atan(w / x), (1.0, 2.0), (0.0, 2.0)),
    "division, hidden by exp": (lambda x, w: ops.exp(-w / x), (1.0, 2.0), (0.0, 2.0)),
    "division of a constant": (lambda x, w: 1.0 / x + w, (1.0, 2.0), (0.0, 2.0)),
    "power, not real": (lambda x, w: x**w, (1.0, 0.5), (-8.0, 0.5)),
    "power, a pole": (lambda x, w: x**w, (1.0, -1.0), (0.0, -1.0)),
    "power, overflow hidden": (lambda x, w: 1.0 / x**w, (1.0, 400.0), (10.0, 400.0)),
    "power of a constant": (lambda x, w: w * 10.0**x, (1.0, 2.0), (400.0, 2.0)),
    "exp": (lambda x, w: ops.exp(x) * w, (1.0, 2.0), (1000.0, 2.0)),
    "exp, hidden by tanh": (lambda x, w: ops.tanh(ops.exp(x)) * w, (1.0, 2.0), (1000.0, 2.0)),
    "exp, hidden by division": (lambda x, w: w / ops.exp(x), (1.0, 2.0), (1000.0, 2.0)),
    "exp, hidden by minimum": (lambda x, w: ops.minimum(ops.exp(x), w), (1.0, 2.0), (1000.0, 2.0)),
    "exp, hidden by sigmoid": (lambda x, w: ops.sigmoid(ops.exp(x)) + w, (1.0, 2.0), (709.8, 2.0)),
    "exp2": (lambda x, w: ops.atan(ops.exp2(x)) * w, (1.0, 2.0), (1024.0, 2.0)),
    "expm1": (lambda x, w: ops.tanh(ops.expm1(x)) * w, (1.0, 2.0), (1000.0, 2.0)),
    "sinh": (lambda x, w: ops.step(ops.sinh(x)) * w, (1.0, 2.0), (-1000.0, 2.0)),
    "cosh": (lambda x, w: w / ops.cosh(x), (1.0, 2.0), (1000.0, 2.0)),
    "sin": (lambda x, w: ops.sin(x) * w, (1.0, 2.0), (math.inf, 2.0)),
    "cos of an overflow": (lambda x, w: ops.cos(x * w), (1.0, 2.0), (1e200, 1e200)),
    "tan": (lambda x, w: ops.tan(x) * w, (1.0, 2.0), (-math.inf, 2.0)),
    "asin": (lambda x, w: ops.asin(x) * w, (0.5, 2.0), (1.5, 2.0)),
    "acos, hidden by where": (lambda x, w: ops.where(1.0, w, ops.acos(x)), (0.5, 2.0), (-1.5, 2.0)),
    "acosh": (lambda x, w: ops.acosh(x) * w, (1.5, 2.0), (0.5, 2.0)),
    "atanh": (lambda x, w: ops.tanh(ops.atanh(x)) * w, (0.5, 2.0), (1.0, 2.0)),
    "log1p": (lambda x, w: ops.exp(ops.log1p(x)) * w, (0.5, 2.0), (-1.0, 2.0)),
    "log2": (lambda x, w: ops.exp2(ops.log2(x)) * w, (0.5, 2.0), (0.0, 2.0)),
    "log10": (lambda x, w: ops.log10(x) * w, (0.5, 2.0), (-0.0, 2.0)),
    "fsum of inf and -inf": (lambda x, w: ops.fsum([x, 1.0, -x * w]), (0.5, 1.0), (math.inf, 1.0)),
    "fsum, overflow": (lambda x, w: ops.tanh(ops.fsum([x, x, w])), (0.5, 1.0), (1.7e308, 1.0)),
    "sumprod, overflow": (lambda x, w: ops.tanh(ops.sumprod([x, x], [w, w])), (0.5, 1.0), (1.7e308, 1.0)),
    "sumprod of inf and -inf": (lambda x, w: ops.sumprod([x, x], [w, -w]), (0.5, 1.0), (math.inf, 1.0)),
    "two in a row": (lambda x, w: ops.log(ops.sqrt(x)) * w, (0.5, 1.0), (-1.0, 1.0)),
    "two side by side": (lambda x, w: ops.log(w * x) + ops.sqrt(x), (0.5, 1.0), (-1.0, 1.0)),
}
every_error = pytest.mark.parametrize("name", ERRORS)


@functools.cache
def failing(name: str, backend: str) -> tuple[Compiled, Any]:
    """A program, and the error of the eager engine where it fails."""
    f, good, bad = ERRORS[name]
    build = of_function(f, inputs=[0])
    recorded = build(good)

    def forward() -> Result:
        Graph(*recorded.roots).forward(dict(zip(recorded.leaves, bad, strict=True)))
        raise AssertionError("the eager engine finds nothing wrong")

    return Compiled(build, good, backend), outcome(forward)


@each_backend
@every_error
def test_errors_of_one_example(name: str, backend: Any) -> None:
    """As eagerly: type, message, and a note with operation, operands and labels; nothing changes, all goes on."""
    _, good, bad = ERRORS[name]
    compiled, expected = failing(name, backend)
    x, *_ = compiled.set(bad)
    parameters = compiled.program.parameters.copy()
    for _ in range(2):
        assert outcome(lambda: compiled.result(compiled.program(x))) == expected
    assert np.array_equal(compiled.program.parameters, parameters)
    right = eager(of_function(ERRORS[name][0]), good)
    assert within(compiled(good), right, tolerances(of_function(ERRORS[name][0]), good))


@each_backend
@every_error
def test_errors_of_a_batch(name: str, backend: Any) -> None:
    """The same, and the number of the example; nothing changes, and the next batch is right."""
    _, good, bad = ERRORS[name]
    compiled, expected = failing(name, backend)
    mixed_up = [good[0]] * 33
    for i in (0, 17, 32):
        rows = np.array([mixed_up]).T.copy()
        rows[i] = bad[0]
        before = rows.copy()
        compiled.set(bad)
        parameters = compiled.program.parameters.copy()
        for options in ({}, {"reduction": "mean"}, {"per_example": True}):
            named(outcome(batch, compiled, rows, options), expected, i)
        assert np.array_equal(compiled.program.parameters, parameters)
        assert np.array_equal(rows, before)
        compiled.set(good)
        value, grads = compiled.program.batch(np.full((33, 1), good[0]))
        one, slopes = compiled.program(good[0])
        assert value == pytest.approx(33.0 * one, rel=1e-12)
        assert [*grads] == pytest.approx([33.0 * slope for slope in slopes], rel=1e-12)


@each_backend
@pytest.mark.parametrize("examples", [[0], [15], [16, 15, 900], [17, 18], [31, 32, 33], [999], [1000], [1000, 7]])
def test_the_first_failing_example_is_named(examples: list[int], backend: Any) -> None:
    """Whichever operation it is that fails there, and wherever in a group of examples it stands."""
    x, margin, w = Value(1.0, label="x"), Value(1.0, label="margin"), Value(2.0, label="w")
    program = Graph(ops.log(margin) * w + ops.sqrt(x)).compile([x, margin], backend=backend)
    rows = np.random.default_rng(0).uniform(0.5, 2.0, (1001, 2))
    for n, i in enumerate(examples):
        rows[i, n % 2] = -2.0 - n
    with pytest.raises(ValueError, match=r"domain error|nonnegative|positive") as caught:
        program.batch(rows)
    first = examples.index(min(examples))
    told = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    kind = 'in log(u), u = {} ("margin")' if first % 2 else 'in sqrt(u), u = {} ("x")'
    assert kind.format(-2.0 - first) in told
    assert re.findall(r"in example (\d+)", told) == [str(min(examples))]


@each_backend
def test_the_part_says_the_number_in_the_whole_batch(backend: Any) -> None:
    """A piece of a batch counts from its first example; sums are not reduced."""
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    program = Graph(ops.log(x) * w, x * w).compile([x], backend=backend)
    rows = np.linspace(1.0, 2.0, 40).reshape(40, 1)
    outputs, grads = program._part(program.parameters, rows, 100, False)
    assert outputs.shape == (2,)
    assert [*outputs] == pytest.approx([2.0 * np.log(rows).sum(), 2.0 * rows.sum()], rel=1e-13)
    assert [*grads] == pytest.approx([np.log(rows).sum() + rows.sum()], rel=1e-13)
    outputs, grads = program._part(program.parameters * 2.0, rows, 100, True)
    assert outputs.shape == (2, 40)
    assert [*outputs[1]] == pytest.approx([*(4.0 * rows[:, 0])], rel=1e-13)
    rows[21] = 0.0
    with pytest.raises(ValueError, match=r"domain error|positive") as caught:
        program._part(program.parameters, rows, 100, False)
    assert "in example 121" in " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


@each_backend
def test_a_result_that_overflows_without_an_error_eagerly_does_here_too(backend: Any) -> None:
    """Products and sums of two become infinite, quotients by denormals too: no error, in neither engine."""
    build = of_function(lambda x, y: x * y + (x + x) + x / (1.0 / y), inputs=[0])
    compiled = Compiled(build, [1.0, 2.0], backend)
    for at in ([1e200, 1e200], [1.7e308, 1.0], [-1e300, 1e10]):
        assert within(compiled(at), eager(build, at), Result([math.inf], [math.inf] * 2))
        value, _ = compiled.program.batch([[1.0], at[:1]])
        assert value == eager(build, at).values[0]
