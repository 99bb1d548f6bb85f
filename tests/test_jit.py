"""Jitted functions, against the functions themselves."""

import copy
import itertools
import math
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd
from autograd import (
    Constant,
    Graph,
    Program,
    Value,
    context,
    cos,
    derivative,
    exp,
    fsum,
    grad,
    gradient,
    hessian,
    jit,
    log,
    maximum,
    no_grad,
    relu,
    sin,
    sqrt,
    sumprod,
    tanh,
    value_and_grad,
    where,
)
from autograd.context import comparisons
from nn import MLP, squared_error

numbers = st.floats(-3.0, 3.0).map(lambda x: round(x, 2))


def close(x: Any, y: Any) -> bool:
    """Whether two trees of numbers agree, in shape too; a nan with a nan."""
    if isinstance(x, (list, tuple)):
        return type(x) is type(y) and len(x) == len(y) and all(map(close, x, y))
    assert type(x) is float
    return x == pytest.approx(number(y), rel=1e-12, abs=1e-12, nan_ok=True)


def number(x: Any) -> float:
    return x.data if isinstance(x, Value) else float(x)


def eager(f: Callable[..., Any], *args: Any) -> Any:
    """f on Values, as floats."""

    def leaf(tree: Any, of: Callable[[Any], Any]) -> Any:
        return type(tree)(leaf(x, of) for x in tree) if isinstance(tree, (list, tuple)) else of(tree)

    return leaf(f(*[leaf(arg, Value) for arg in args]), number)


def variants(fast: Any) -> int:
    return sum(map(len, fast._variants.values()))


def loop(xs: list[Any], y: Any) -> Any:
    total = y
    for x in xs:
        total = tanh(total * x + 0.5)
    return total


def newton(a: Any) -> Any:
    """The root of a, by a loop that ends when it has converged."""
    a = a * a + 1.0
    x = a
    while abs(x * x - a) > 1e-9:
        x = 0.5 * (x + a / x)
    return x


def piecewise(x: Any, y: Any) -> Any:
    if x < -1.0:
        return -x - 0.5 + y
    if 0 < y <= x:
        return x * y
    return y * y if x >= y else sin(x) / (2.0 + y)


def absolute(x: Any) -> Any:
    return -x if x < 0.0 else x


def ranked(xs: list[Any]) -> Any:
    """The sum of the numbers, times their ranks."""
    return fsum([rank * x * x for rank, x in enumerate(sorted(xs), 1)])


def largest(x: Any, y: Any) -> Any:
    return max(x, y) * 2.0 + min(x, y, 0.5) ** 2


def truth(x: Any, y: Any) -> Any:
    return exp(x) if x else y and x + y


def safe_log(x: Any) -> Any:
    return log(x) if x > 0.0 else x


BRANCHY: list[tuple[Callable[..., Any], int]] = [
    (piecewise, 2),
    (largest, 2),
    (truth, 2),
    (absolute, 1),
    (newton, 1),
    (safe_log, 1),
    (lambda x: x if not x > 1 else x * x, 1),
    (lambda x, y: x if (x > y) == (y > 0.5) else y * x, 2),
]
STRAIGHT: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda x: x, (2.0,)),
    (lambda x: -x, (2,)),
    (lambda x, y: x**2 + x * y, (1.0, 2.0)),
    (loop, ([0.3, -0.2, 2.0], 0.1)),
    (loop, ([], 0.1)),
    (lambda w, x: sumprod(w, x) + w[0], ([1.0, 2.0], (3.0, 4.0))),
    (lambda m: m[0][0] * m[1][1] - m[0][1] * m[1][0], ([[1.0, 2.0], [3.0, 4.0]],)),
    (lambda x, y: relu(x) * maximum(x, y) + where(x, y, x), (0.0, 1.0)),
    (lambda x: Value(3.0) * x + Value(1.0), (2.0,)),
    (lambda x, y: y * 2.0, (2.0, 3.0)),
    (lambda x: 3.0, (2.0,)),
    (lambda x: Constant(3.0) * 2.0, (2.0,)),
    (lambda x: grad(lambda t: t**3 * x)(x), (2.0,)),
    (lambda x: sqrt(x), (0.0,)),
]


@pytest.mark.parametrize(("f", "args"), STRAIGHT)
@pytest.mark.parametrize("argnums", [0, -1, (0,), (0, -1)])
def test_what_a_function_gives(f: Callable[..., Any], args: tuple[Any, ...], argnums: Any) -> None:
    """The first time, and when it is run again."""
    fast = jit(f, argnums)
    value, slopes = value_and_grad(f, argnums)(*args)
    for _ in range(3):
        assert close(fast(*args), eager(f, *args))
        found = fast.value_and_grad(*args)
        assert close(found[0], value)
        assert close(found[1], slopes)
    assert variants(fast) == 1


@pytest.mark.parametrize(("f", "count"), BRANCHY)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_branch_is_the_functions_own(f: Callable[..., Any], count: int, data: Any) -> None:
    """At points in random order, with many on the borders."""
    every = range(count)
    fast = jit(f, every)
    points = st.lists(st.sampled_from([0.0, 1.0, 0.5, -1.0]) | numbers, min_size=count, max_size=count)
    for point in data.draw(st.lists(points, min_size=1, max_size=12)):
        assert close(fast(*point), eager(f, *point))
        value, slopes = value_and_grad(f, every)(*point)
        found, found_slopes = fast.value_and_grad(*point)
        assert close(found, value)
        assert close(found_slopes, slopes)


@settings(max_examples=30, deadline=None)
@given(lists=st.lists(st.lists(numbers, min_size=1, max_size=4), min_size=1, max_size=8))
def test_sorting(lists: list[list[float]]) -> None:
    """Lists of several lengths and orders, with ties."""
    fast = jit(ranked)
    for xs in lists:
        assert close(fast(xs), math.fsum(rank * x * x for rank, x in enumerate(sorted(xs), 1)))
        assert close(fast.value_and_grad(xs)[1], value_and_grad(ranked)(xs)[1])


def test_a_branch_is_recorded_once() -> None:
    """Comparisons of Values, with numbers on either side, and truth."""
    calls = []

    def f(x: Any, y: Any) -> Any:
        calls.append(x)
        if not x:
            return y
        if 0 < x and x >= y:  # noqa: SIM300  # the reflected one
            return x * y
        return x - y

    fast = jit(f)
    points = [(1.0, 0.5), (2.0, 1.0), (2.0, 3.0), (-1.0, 2.0), (0.0, 2.0), (3.0, 4.0), (-2.0, 1.0), (1.0, 1.0)]
    assert [fast(*point) for point in points * 3] == [0.5, 2.0, -1.0, -3.0, 2.0, -1.0, -3.0, 1.0] * 3
    assert len(calls) == variants(fast) == 4
    fast.value_and_grad(1.0, 0.5)
    assert len(calls) == 4


def test_the_number_of_variants_is_bounded() -> None:
    """The one used longest ago goes, and comes back."""
    calls = []

    def f(x: Any) -> Any:
        calls.append(0)
        n = 0
        while x > float(n):
            n += 1
        return x * n

    fast = jit(f)
    for _ in range(2):
        for n in range(1, 70):
            assert fast(n - 0.5) == (n - 0.5) * n
            assert fast(0.5) == 0.5  # used all the time, so it stays
    assert variants(fast) == 64
    assert len(calls) == 2 * 69 - 1
    fast(68.5)
    assert len(calls) == 2 * 69 - 1


def test_what_the_other_branch_avoids() -> None:
    """A wrong variant may fail; what counts is what f does."""
    fast = jit(safe_log)
    assert close(fast(2.0), math.log(2.0))
    assert fast(-2.0) == -2.0
    assert fast.value_and_grad(2.0) == (math.log(2.0), 0.5)
    assert jit(lambda x, y: x * x * y).value_and_grad(3.0, 5.0) == (45.0, 30.0)  # by the first, if left out
    assert fast.value_and_grad(-2.0) == (-2.0, 1.0)

    @jit
    def late(x: Any) -> Any:
        root = sqrt(x)
        return root if root > 1.0 else x

    assert late(4.0) == 2.0
    for _ in range(2):
        with pytest.raises(ValueError, match=r"math domain error|negative|positive") as info:
            late(-4.0)
        assert info.value.__notes__ == ['in sqrt(u), u = -4.0 ("x")']
    with pytest.raises(ZeroDivisionError):
        jit(lambda x: 1.0 / x)(0.0)
    inverse = jit(lambda x: 1.0 / x)
    assert inverse(2.0) == 0.5
    with pytest.raises(ZeroDivisionError):
        inverse.value_and_grad(0.0)
    assert inverse(4.0) == 0.25


def test_nan_and_infinity() -> None:
    """Comparisons with nan are false, and bool(nan) is true."""
    fast = jit(lambda x: (x * 2.0 if x > 0.0 else -x) if x else x + 5.0)
    for x in (1.0, math.nan, -1.0, math.inf, math.nan, -math.inf, 0.0, -0.0):
        assert close(fast(x), eager(fast.__wrapped__, x))  # type: ignore[attr-defined]
    for f in (lambda x, y: where(x, y, 2.0) * x, lambda x, y: maximum(x, y) ** y):
        slopes = jit(f, (0, 1))
        for point in ((1.0, 2.0), (math.nan, 2.0), (1.0, math.nan), (math.inf, 0.0), (0.0, math.inf)):
            assert close(slopes.value_and_grad(*point), value_and_grad(f, (0, 1))(*point))
    within = jit(lambda x: 1.0 if x < math.nan else x * 3.0)
    assert [within(1.0), within(2.0)] == [3.0, 6.0]
    assert variants(fast) <= 4


def test_values_from_outside_are_read_at_every_call() -> None:
    """Parameters that train; comparisons with them are checked as well."""
    w, b = Value(2.0, label="w"), Value(1.0)
    fast = jit(lambda x: w * x + b if w > 0.0 else b * x)
    assert fast(3.0) == 7.0
    w.data = 5.0
    assert fast(3.0) == 16.0
    assert fast.value_and_grad(3.0) == (16.0, 5.0)
    assert list(fast.batch(np.array([1.0, 2.0]))) == [6.0, 11.0]
    w.data, b.data = -1.0, 4.0
    assert fast(3.0) == 12.0
    assert list(fast.batch(np.array([1.0, 2.0]))) == [4.0, 8.0]
    w.data = 1.0
    assert fast.value_and_grad(3.0) == (7.0, 1.0)
    assert variants(fast) == 2
    assert not w.has_grad


def test_a_model_between_steps() -> None:
    """The loss of a network is never that of yesterday."""
    model = MLP(2, [3, 1], activation="tanh", seed=1)

    def loss(x: Any, d: Any) -> Any:
        return squared_error(model(x), d)

    fast = jit(loss)
    for step in range(3):
        for p in model.parameters():
            p.data += 0.1 * step
        assert close(fast([0.5, -1.0], 0.3), loss([Value(0.5), Value(-1.0)], 0.3))
        value, slopes = value_and_grad(loss)([0.5, -1.0], 0.3)
        assert close(fast.value_and_grad([0.5, -1.0], 0.3), (number(value), [*map(number, slopes)]))


def test_nodes_from_outside_are_read_as_they_stand() -> None:
    """As f would: they are not computed again; those that f makes are."""
    w = Value(2.0)
    h = w * 10.0
    fast = jit(lambda x: x * h + w * w if h > 0.0 else x)
    assert fast(1.0) == 24.0
    w.data = 3.0
    assert fast(1.0) == eager(lambda x: x * h + w * w, 1.0) == 29.0
    h.data = 1.0
    assert fast(1.0) == 10.0
    assert fast.value_and_grad(1.0) == (10.0, 1.0)
    assert list(fast.batch(np.array([1.0, 2.0]))) == [10.0, 11.0]
    h.data = -1.0
    assert fast(7.0) == 7.0
    out = jit(lambda x: [w, h, x])
    assert [out(1.0), out(2.0)] == [[3.0, -1.0, 1.0], [3.0, -1.0, 2.0]]
    w.data, h.data = 6.0, 7.0
    assert out(1.0) == [6.0, 7.0, 1.0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x.data,
        lambda x: x * round(x, 1),
        lambda x: x * float(f"{x:.3f}"),
        lambda x: x * float(repr(x * 1.0).split("=")[1].split(",")[0]),
        lambda x: x * x.detach(),
        lambda x: x * copy.copy(x * 2.0).data,
        lambda x: x * copy.deepcopy([x])[0],
        lambda x: x * (x * x).partials[0],
        lambda x: _by_backward(x) * x,
        lambda x: x * _unrecorded(x),
        lambda x: x.data,
        lambda x: x * 2.0 if x.data > 0.0 else x,
    ],
)
def test_numbers_that_leave_the_graph_are_never_stale(f: Callable[[Any], Any]) -> None:
    """They cannot be compiled, so f itself is called."""
    fast = jit(f)
    for x in (2.0, 3.0, -1.0):
        assert close(fast(x), eager(f, x))
        value, slope = fast.value_and_grad(x)
        found = Value(x)
        y = f(found)
        assert close(value, y)
        if isinstance(y, Value):
            (expected,) = gradient(y, [found])
            assert close(slope, expected)
    assert variants(fast) == 0
    with pytest.raises(ValueError, match=r"takes a number out of the graph.*: u\.data, u = "):
        fast.batch(np.array([1.0, 2.0]))


def _by_backward(x: Value) -> float:
    y = x * x
    x.zero_grad()
    y.backward()
    return x.grad


def _unrecorded(x: Value) -> Value:
    with no_grad():
        return x * 2.0 + exp(x)


@pytest.mark.parametrize("leave", [float, math.exp, math.floor, int, lambda x: [1, 2][x]])
def test_numbers_that_cannot_leave(leave: Callable[[Any], Any]) -> None:
    """Errors, as always with Values."""
    with pytest.raises(TypeError):
        jit(lambda x: leave(x) * 2.0)(1.0)


def test_derivatives_of_jitted_functions_and_jitted_derivatives() -> None:
    """To any order, and with branches."""

    def f(x: Any) -> Any:
        return x**3 * sin(x) if x > 0.0 else cos(x) * x

    for x in (0.7, -0.7, 1.5):
        assert close(derivative(jit(f), 2)(x), derivative(f, 2)(x))
        assert close(grad(jit(jit(f)))(x), grad(f)(x))
    fast, second = jit(grad(f)), jit(derivative(f, 2))
    for x in (0.7, -0.7, 1.5, -2.0):
        assert close(fast(x), grad(f)(x))
        assert close(fast.value_and_grad(x)[1], derivative(f, 2)(x))
        assert close(second(x), derivative(f, 2)(x))
    assert variants(fast) == variants(second) == 2

    def g(x: list[Any]) -> Any:
        return x[0] ** 2 * x[1] + tanh(x[0] * x[1]) if x[0] < x[1] else x[0] * x[1] ** 3

    assert close(hessian(jit(g))([1.0, 2.0]), hessian(g)([1.0, 2.0]))
    curvature = jit(hessian(g))
    for x, y in ((1.0, 2.0), (2.0, 1.0), (0.5, 3.0)):
        assert close(curvature([x, y]), hessian(g)([x, y]))
    leaf = Value(2.0)
    jit(f)(leaf).backward()
    assert leaf.grad == pytest.approx(grad(f)(2.0))


def test_inside_a_derivative_nothing_is_cut() -> None:
    """A jitted function that closes over the variables of an outer one."""

    def outer(w: Any) -> Any:
        return jit(lambda x: w * x if w > 0.0 else w * w * x)(3.0) * w

    for w in (2.0, -2.0):
        assert grad(outer)(w) == (12.0 if w > 0.0 else 36.0)
    fast = jit(outer)
    assert [fast(2.0), fast(-2.0), fast(3.0)] == [12.0, -24.0, 27.0]
    with comparisons() as taken:
        assert jit(lambda x: x if x > 1.0 else -x)(Value(2.0)).data == 2.0
    assert [str(c) for c in taken] == ["u > 1.0, u = 2.0", "u.data, u = 2.0"]


def test_derivatives_at_poles() -> None:
    """A recorded derivative leaves out what is 0 times an infinite slope; at other points it must not."""

    def f(x: Any, y: Any) -> Any:
        return sqrt(x * y) * y + x

    for order in ([0.0, 1.0, 0.0, 4.0], [4.0, 0.0, 1.0]):
        fast = jit(grad(f, (0, 1)))
        for x in order:
            for y in (0.0, 2.0):
                assert close(fast(x, y), grad(f, (0, 1))(x, y))

    def g(x: Any, y: Any) -> Any:
        return (x * y) ** 2

    fast = jit(grad(g))
    for point in ((1.0, 2.0), (0.0, math.inf), (math.inf, 0.0), (2.0, 0.0)):
        assert close(fast(*point), grad(g)(*point))


def test_shapes() -> None:
    """Each is recorded for itself; results keep theirs."""

    class Pair(NamedTuple):
        first: Any
        second: Any

    fast = jit(lambda xs: Pair(fsum(xs), [x * x for x in xs] + [1]))
    for xs in ([1.0], [1.0, 2.0], (1.0, 2.0), [3.0, 4.0], []):
        found = fast(xs)
        assert isinstance(found, Pair)
        assert found == Pair(sum(xs), [x * x for x in xs] + [1.0])
    assert len(fast._variants) == 4
    pair = jit(lambda p, s: p.first * p.second * s, (0, 1))
    for _ in range(2):
        assert pair.value_and_grad(Pair(2.0, 3.0), 1.0) == (6.0, (Pair(3.0, 2.0), 6.0))
    same = jit(lambda x, y: [x, x, [y, (x,)], 2])
    assert same(1.0, 5) == same(1.0, 5) == [1.0, 1.0, [5.0, (1.0,)], 2.0]
    assert jit(lambda: 2.0)() == 2.0


def test_arguments_that_f_changes_are_its_own() -> None:
    """A list is handed over as a copy."""

    def f(xs: list[Any]) -> Any:
        xs.sort()
        xs.append(xs[0] * xs[-1])
        return xs.pop() - xs[0]

    fast, given = jit(f), [3.0, 1.0, 2.0]
    assert [fast(given), fast(given), fast([2.0, 4.0, 5.0])] == [2.0, 2.0, 8.0]
    assert given == [3.0, 1.0, 2.0]
    assert fast.value_and_grad(given) == (2.0, [1.0, 2.0, 0.0])


def test_numbers_of_other_kinds() -> None:
    """What counts as a real number does."""
    fast = jit(lambda x: x * 2.0)
    assert [fast(1), fast(np.float64(2.0)), fast(np.int64(3)), fast(True)] == [2.0, 4.0, 6.0, 2.0]
    assert all(type(fast(x)) is float for x in (1, np.float32(2.0)))


def test_errors_name_the_function() -> None:
    def wrong(x: Any) -> Any:
        return "text"

    def several(x: Any) -> Any:
        return [x, x]

    def f(x: Any, y: Any) -> Any:
        return x * y

    with pytest.raises(TypeError, match="the result of wrong needs a real number, not str 'text'"):
        jit(wrong)(1.0)
    with pytest.raises(TypeError, match="the result of wrong needs a real number, not str 'text'"):
        jit(wrong).value_and_grad(1.0)
    with pytest.raises(TypeError, match="the result of <lambda> needs a real number, not NoneType"):
        jit(lambda x: None)(1.0)
    for _ in range(2):
        with pytest.raises(TypeError, match="several must return one number, not 2: use jacobian"):
            jit(several).value_and_grad(1.0)
    fast = jit(f)
    for _ in range(2):
        with pytest.raises(TypeError, match="an argument of f needs a real number, not str '1'"):
            fast("1", 2.0)
        assert fast(1.0, 2.0) == 2.0
    with pytest.raises(TypeError, match="an argument of f needs a real number, not ndarray"):
        fast(np.array([1.0]), 2.0)
    with pytest.raises(TypeError, match="f is compiled: give y by position"):
        fast(1.0, y=2.0)
    with pytest.raises(TypeError, match="f is compiled: give x, y by position"):
        fast.value_and_grad(x=1.0, y=2.0)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        fast(1.0)
    with pytest.raises(IndexError, match="argnums=2, but f was called with 2"):
        jit(f, 2).value_and_grad(1.0, 2.0)
    with pytest.raises(TypeError, match="jit needs a function, not int 3"):
        jit(3)  # type: ignore[arg-type]


def test_rows_that_raise_what_they_like() -> None:
    """A row of one's own in the wrong branch."""

    def forward(x: float) -> float:
        if x < 0.0:
            raise LookupError("no such x")
        return x

    row = autograd.Operation("looked_up", forward, (lambda x, z: 1.0,))
    fast = jit(lambda x: row(x) if x > 0.0 else -x)
    assert [fast(1.0), fast(-2.0), fast(3.0)] == [1.0, 2.0, 3.0]


def test_an_error_that_comes_once() -> None:
    """A row that fails at some call: the error is told, or f is asked again, and no number is wrong."""
    points, told = np.array([0.5, 1.0, -2.0]), []
    for call in range(7):
        calls = itertools.count()

        def forward(x: float, call: int = call, calls: Iterator[int] = calls) -> float:
            if next(calls) == call:
                raise LookupError("not now")
            return math.exp(x)

        row = autograd.Operation("unsteady", forward, (lambda x, z: z,))
        try:
            found = jit(lambda x, row=row: row(x) * 2.0).batch(points)
        except LookupError:
            told.append(call)
        else:
            assert found == pytest.approx(2.0 * np.exp(points), rel=1e-15)
    assert 0 < len(told) < 7
    del autograd.operations.table["unsteady"]


def test_a_function_that_does_not_tell_its_parameters() -> None:
    """One that is written in C; it branches as any other."""
    fast = jit(max)
    assert [fast(1.0, 2.0), fast(2.0, 1.0), fast(-1.0, 3.0)] == [2.0, 2.0, 3.0]
    assert fast.value_and_grad(2.0, 1.0) == (2.0, 1.0)


def test_a_gradient_of_a_jitted_gradient() -> None:
    """At Values, value_and_grad gives Values: (x³)'' = 6x."""
    fast = jit(lambda x: x**3)
    assert derivative(lambda x: fast.value_and_grad(x)[1])(2.0) == 12.0


def test_only_some_roots_are_differentiated() -> None:
    """A program of several outputs may be seeded at the first ones."""
    x = Value(3.0)
    y, z = x * x, x * 5.0
    nodes = Graph(y, z).nodes
    assert [list(Program((y, z), nodes, [x], [x], seeded=n)(2.0)[1]) for n in (1, 2)] == [[4.0], [9.0]]


def test_a_row_of_comparisons_in_no_grad() -> None:
    """Where nobody records, a jitted function still does."""
    fast = jit(absolute)
    with no_grad():
        assert [fast(2.0), fast(-2.0), fast(-3.0)] == [2.0, 2.0, 3.0]
        assert fast.value_and_grad(-3.0) == (3.0, -1.0)
    assert variants(fast) == 2


def test_an_error_of_f_leaves_nothing_behind() -> None:
    """Nobody is recording any more, and the function works."""
    fast = jit(lambda x: 1.0 / (x - 1.0) if x > 0.0 else x)
    with pytest.raises(ZeroDivisionError):
        fast(1.0)
    assert not context.no_grad_blocks | context.comparison_blocks
    assert context.recording.get(None) is None
    assert variants(fast) == 0
    assert [fast(2.0), fast(-2.0)] == [1.0, -2.0]


@pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO leaves out the text of functions")
def test_the_decorator() -> None:
    """The function keeps its name and its text."""

    @jit
    def area(width: Any, height: Any) -> Any:
        """Width times height."""
        return width * height

    assert (area.__name__, area.__doc__) == ("area", "Width times height.")  # type: ignore[attr-defined]
    assert area(2.0, 3.0) == 6.0

    class Model:
        def __init__(self) -> None:
            self.w = Value(2.0)

        def predict(self, x: Any) -> Any:
            return self.w * x

    model = Model()
    fast = jit(model.predict)
    assert fast(3.0) == 6.0
    model.w.data = 4.0
    assert fast(3.0) == 12.0
    net = MLP(2, [2, 1], seed=0)
    assert close(jit(net)([0.5, 1.0]), net([Value(0.5), Value(1.0)]))
    assert jit(autograd.tanh)(0.5) == pytest.approx(math.tanh(0.5), rel=1e-15)


def test_batches() -> None:
    """Per example, with arrays among numbers, in lists; and trees of results."""
    x, y = np.linspace(-2.0, 2.0, 9), np.linspace(0.5, 1.0, 9)

    def f(w: list[Any], x: Any, y: Any) -> Any:
        return (w[0] * x + w[1]).tanh() * y

    fast, w = jit(f), [0.5, 0.1]
    expected = np.tanh(0.5 * x + 0.1) * y
    assert fast.batch(w, x, y) == pytest.approx(expected, rel=1e-12)
    assert fast.batch(w, x, 2) == pytest.approx(np.tanh(0.5 * x + 0.1) * 2.0, rel=1e-12)
    assert fast.batch([x, y], 1.0, 2.0) == pytest.approx(np.tanh(x + y) * 2.0, rel=1e-12)
    assert fast.batch(w, x.astype(int), 1.0) == pytest.approx([fast(w, int(i), 1.0) for i in x], rel=1e-12)
    total, slopes = fast.value_and_grad_batch(w, x, y)
    one = [fast.value_and_grad(w, *pair) for pair in zip(x, y, strict=True)]
    assert total == pytest.approx(sum(value for value, _ in one), rel=1e-12)
    assert slopes == pytest.approx([sum(g[j] for _, g in one) for j in range(2)], rel=1e-12)
    mean, slope = jit(f, 0).value_and_grad_batch(w, x, y, reduction="mean")
    assert mean == pytest.approx(total / 9, rel=1e-12)
    assert slope == pytest.approx([g / 9 for g in slopes], rel=1e-12)
    tree = jit(lambda x, y: (x * y, [x, 3.0, y]))
    product, (same, three, shared) = tree.batch(x, 2.0)
    assert (product.tolist(), same.tolist()) == ((x * 2.0).tolist(), x.tolist())
    assert (three.tolist(), shared.tolist()) == ([3.0] * 9, [2.0] * 9)
    assert jit(grad(lambda x: x**3)).batch(x) == pytest.approx(3.0 * x**2, rel=1e-12)
    assert jit(lambda x: 3.0).batch(x).tolist() == [3.0] * 9
    assert jit(lambda w, x: 3.0).value_and_grad_batch([1.0], x) == (27.0, [0.0])
    assert jit(lambda w, x: w * w).value_and_grad_batch(2.0, x) == (36.0, 36.0)


def test_a_batch_takes_one_branch() -> None:
    """An example that would take another is named, with the comparison and the cure."""
    fast = jit(absolute)
    assert fast.batch(np.array([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert fast.batch(np.array([-1.0, -2.0])).tolist() == [1.0, 2.0]
    message = (
        r'example 2 takes another branch of absolute than example 0: u < 0\.0, u = -3\.0 \("x"\), is True here;.*where'
    )
    with pytest.raises(ValueError, match=message):
        fast.batch(np.array([1.0, 2.0, -3.0, -4.0]))
    shared = jit(lambda w, x: w * x if x > w else x)
    with pytest.raises(ValueError, match=r'example 1 .*u > v, u = 1\.0 \("x"\), v = 2\.0 \("w"\), is False here'):
        shared.value_and_grad_batch(2.0, np.array([3.0, 1.0]))
    assert shared.value_and_grad_batch(2.0, np.array([3.0, 4.0])) == (14.0, 7.0)
    truthy = jit(lambda x: x if x else x + 1.0)
    with pytest.raises(ValueError, match=r"example 1 .*bool\(u\), u = 0\.0"):
        truthy.batch(np.array([1.0, 0.0]))
    assert jit(lambda x: where(x, x, 1.0)).batch(np.array([2.0, 0.0])).tolist() == [2.0, 1.0]
    nan = fast.batch(np.array([1.0, math.nan]))  # nan < 0 is false as well
    assert nan[0] == 1.0
    assert math.isnan(nan[1])
    logs = jit(safe_log)
    with pytest.raises(ValueError, match=r"example 1 takes another branch of safe_log.*u > 0\.0, u = -1\.0"):
        logs.batch(np.array([1.0, -1.0]))
    for points in ([1.0, -1.0], [-1.0, 1.0]):
        with pytest.raises(ValueError, match=r"math domain error|negative|positive") as info:
            jit(log).batch(np.array(points))
        assert f"in example {points.index(-1.0)}" in info.value.__notes__


def test_a_batch_at_poles() -> None:
    """Examples that straight-line code gets wrong."""
    fast = jit(grad(lambda x, y: (x * y) ** 2))
    x, y = np.array([1.0, 0.0, math.inf, 2.0]), np.array([2.0, math.inf, 0.0, 0.0])
    expected = [grad(lambda x, y: (x * y) ** 2)(*map(float, point)) for point in zip(x, y, strict=True)]
    assert fast.batch(x, y).tolist() == pytest.approx(expected, nan_ok=True)


def test_a_batch_where_a_recorded_slope_is_infinite() -> None:
    """The derivative of sqrt at 0, which a program finds by a division, is infinite and no error."""
    fast = jit(grad(lambda x, w: sqrt(x) * w, (0, 1)))
    slopes, roots = fast.batch(np.array([4.0, 0.0]), np.array([2.0, 3.0]))
    assert (slopes.tolist(), roots.tolist()) == ([0.5, math.inf], [2.0, 0.0])
    shared = jit(grad(lambda x, w: sqrt(x) * w**2), 1)
    assert shared.value_and_grad_batch(np.array([4.0, 0.0]), 3.0) == (math.inf, math.inf)


def test_batches_need_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ImportError, match=r"batches need numpy: pip install 'gradgraph\[fast\]'"):
        jit(lambda x: x).batch([1.0])


def test_wrong_batches() -> None:
    fast = jit(lambda w, x: w * x)
    for args in ((1.0, 2.0), (np.ones(2), np.ones(3)), (1.0, np.ones(0))):
        with pytest.raises(ValueError, match="needs arrays of one length, at least 1, not"):
            fast.batch(*args)
    with pytest.raises(ValueError, match=r"not none: a list stands for a list .* numpy\.array\(xs\) for a number"):
        fast.batch([1.0, 2.0], [3.0, 4.0])
    with pytest.raises(ValueError, match=r"shape \(n,\) in the place of each number, not \(2, 2\).*list\(rows\.T\)"):
        fast.batch(1.0, np.ones((2, 2)))
    with pytest.raises(TypeError, match="a batch of <lambda> needs a real number, not Value"):
        fast.batch(Value(1.0), np.ones(2))
    with pytest.raises(TypeError, match="a batch of <lambda> needs real numbers, not an array of complex128"):
        fast.batch(1.0, np.array([1j]))
    with pytest.raises(ValueError, match="a batch of <lambda> has masked numbers"):
        fast.batch(1.0, np.ma.array([1.0, 2.0], mask=[False, True]))
    with pytest.raises(TypeError, match="a batch of <lambda> gives arrays, which nothing can record"):
        grad(lambda w: w * jit(lambda x: w.data * x).batch(np.ones(2))[0])(2.0)
    with pytest.raises(ValueError, match="argument 0 must be the same for all"):
        fast.value_and_grad_batch(np.ones(2), 1.0)
    with pytest.raises(ValueError, match="'sum' or 'mean', not 'max'"):
        fast.value_and_grad_batch(1.0, np.ones(2), reduction="max")  # type: ignore[arg-type]


def test_threads() -> None:
    """Many at once, on the same function, its branches and its batches."""
    fast = jit(piecewise, (0, 1))
    points = [(x / 4.0, y / 4.0) for x in range(-8, 9, 3) for y in range(-8, 9, 3)]
    expected = [value_and_grad(piecewise, (0, 1))(*point) for point in points]
    batched = jit(lambda w, x: w * x)
    wrong: list[Any] = []
    start = threading.Barrier(4)

    def work(shift: int) -> None:
        start.wait()
        try:
            for i in range(len(points)):
                j = (i + shift * 9) % len(points)
                if not close(fast.value_and_grad(*points[j]), expected[j]):
                    wrong.append(points[j])
                if batched.batch(float(j), np.ones(2)).tolist() != [j, j]:
                    wrong.append(j)
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work, args=(shift,)) for shift in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert variants(fast) == 4


def test_comparisons_are_listed_in_their_block() -> None:
    """Nested, in words, and nowhere else."""
    x, y = Value(2.0, label="x"), Value(3.0)
    with comparisons() as outer:
        assert x < y
        with comparisons() as inner:
            assert 1 <= x  # noqa: SIM300
            assert bool(y)
        assert not x >= 2.5
        round(y, 2)
        assert x != y  # which is not about numbers
    assert x < y
    assert [(c.name, c.outcome) for c in inner] == [(">=", True), ("bool", True)]
    assert list(map(str, outer)) == [
        'u < v, u = 2.0 ("x"), v = 3.0',
        'u >= 1, u = 2.0 ("x")',
        "bool(u), u = 3.0",
        'u >= 2.5, u = 2.0 ("x")',
        "u.data, u = 3.0",
    ]
    assert outer[0].x is x
    assert outer[0].y is y
    assert not context.comparison_blocks
    seen: list[int] = []
    with comparisons() as taken:
        other = threading.Thread(target=lambda: seen.append(x > 1.0))
        other.start()
        other.join()
    assert (taken, seen) == ([], [True])


def test_an_array_for_a_number_says_what_to_give() -> None:
    """A function takes lists of numbers; an array of them has a method for that."""
    fast = jit(lambda x: x[0] * x[1])
    with pytest.raises(TypeError, match=r"x\.tolist\(\) has plain numbers"):
        fast(np.array([1.0, 2.0]))
    assert fast(np.array([3.0, 2.0]).tolist()) == 6.0


def test_a_batch_asks_again_for_the_example_that_is_nan() -> None:
    """And for no other: where c is 0, nothing flows on to x, even through an infinite slope."""
    slope = jit(grad(lambda x, c, y: c * (x * y)))
    assert slope.batch(1.0, np.array([1.0, 1.0, 0.0]), np.array([2.0, 3.0, math.inf])).tolist() == [2.0, 3.0, 0.0]
