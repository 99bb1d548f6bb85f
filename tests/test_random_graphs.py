"""Random graphs, up to a few hundred nodes, with reuse and constants: what must hold for all of them."""

import copy
import math
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograd import Graph, Value, gradient
from autograd import operations as ops

# Moves that stay in their domain, and whose slopes are tame; x and y are any earlier values.
MOVES: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x * 0.5 + 0.25,
    lambda x, y: 2 - x,
    lambda x, y: x / (1.0 + y * y),
    lambda x, y: (1.0 + x * x) ** ops.tanh(y),
    lambda x, y: -x,
    lambda x, y: ops.exp(ops.tanh(x)),
    lambda x, y: ops.expm1(ops.sin(x)),
    lambda x, y: ops.log(1.0 + x * x),
    lambda x, y: ops.log1p(x * x),
    lambda x, y: ops.sqrt(1.0 + x * x),
    lambda x, y: ops.cbrt(2.0 + ops.cos(x)),
    lambda x, y: ops.tanh(x),
    lambda x, y: ops.sigmoid(x),
    lambda x, y: ops.softplus(x - y),
    lambda x, y: ops.atan2(x, 1.0 + y * y),
    lambda x, y: ops.hypot(x, 1.0 + ops.tanh(y)),
    lambda x, y: ops.erf(x),
    lambda x, y: ops.asin(0.5 * ops.sin(x)),
    lambda x, y: ops.fsum([x, y, x, 1.5]),
    lambda x, y: ops.sumprod([x, y, 2.0], [y, x, x]),
    lambda x, y: ops.logsumexp([x, y, 0.0]),
]
KINKS: list[tuple[Callable[[Any, Any], Any], Callable[[float, float], float]]] = [
    (lambda x, y: ops.relu(x), lambda x, y: x),
    (lambda x, y: ops.leaky_relu(x), lambda x, y: x),
    (lambda x, y: abs(x) + 0.0, lambda x, y: x),
    (lambda x, y: ops.maximum(x, y), lambda x, y: x - y),
    (lambda x, y: ops.minimum(x, y), lambda x, y: x - y),
    (lambda x, y: ops.where(x, y, x * 0.5), lambda x, y: x),
]

Program = list[tuple[int, int, int]]
steps = st.tuples(st.integers(0, len(MOVES) + len(KINKS) - 1), st.integers(0, 400), st.integers(0, 400))
programs = st.integers(1, 300).flatmap(lambda n: st.lists(steps, min_size=n, max_size=n))
leaves = st.lists(st.floats(-2.0, 2.0).map(lambda x: round(x, 3)), min_size=1, max_size=5)
many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def number(x: Any) -> float:
    """The number of a Value or of a float."""
    return x.data if isinstance(x, Value) else float(x)


def plan(program: Program, at: Sequence[float]) -> list[tuple[Callable[[Any, Any], Any], int, int]]:
    """The moves a program makes: fixed at a point, so that they are one smooth function around it."""
    numbers, made = list(at), []
    for which, i, j in program:
        i, j = i % len(numbers), j % len(numbers)
        x, y = numbers[i], numbers[j]
        if which < len(MOVES):
            move = MOVES[which]
        else:
            move, distance = KINKS[which - len(MOVES)]
            if abs(distance(x, y)) < 0.05:
                move = MOVES[0]  # too near to the kink for a finite difference
        if abs(number(move(x, y))) > 4.0:
            move = lambda x, y: ops.tanh(x)  # noqa: E731  # keeps numbers small
        made.append((move, i, j))
        numbers.append(number(move(x, y)))
    return made


def run(moves: Sequence[tuple[Callable[[Any, Any], Any], int, int]], at: Sequence[Any]) -> Any:
    """The last value of a program, and a little of every tenth, so that much is used."""
    values = list(at)
    for move, i, j in moves:
        values.append(move(values[i], values[j]))
    return ops.fsum([values[-1], *values[:: max(1, len(values) // 10)]])


@many
@given(programs, leaves)
def test_gradients_are_the_finite_differences(program: Program, at: list[float]) -> None:
    """Wherever the difference quotient itself has settled."""
    moves = plan(program, at)
    xs = [Value(x) for x in at]
    y = run(moves, xs)
    y.backward()
    for j, x in enumerate(at):

        def quotient(h: float, j: int = j, x: float = x) -> float:
            def f(step: float) -> float:
                return number(run(moves, [*at[:j], x + step, *at[j + 1 :]]))

            return (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)

        try:
            coarse, fine = quotient(1e-4), quotient(5e-5)
        except (ArithmeticError, ValueError):
            continue
        scale = max(1.0, abs(fine))
        if abs(coarse - fine) < 1e-7 * scale:
            assert abs(xs[j].grad - fine) < 1e-6 * scale
    assert y.data == run(moves, at)
    for other, leaf in zip(gradient(y, xs), xs, strict=True):
        assert math.isclose(other.data, leaf.grad, rel_tol=1e-9, abs_tol=1e-9)


@many
@given(programs, leaves, st.randoms(use_true_random=False))
def test_forward_equals_building_anew(program: Program, at: list[float], random: Any) -> None:
    """To the last bit, data and partials of every node, after the leaves have moved."""
    moves = plan(program, at)
    xs = [Value(x) for x in at]
    graph = Graph(run(moves, xs))
    moved = [x + random.uniform(-0.01, 0.01) for x in at]
    graph.forward({x: new for x, new in zip(xs, moved, strict=True) if x in graph})
    fresh = Graph(run(moves, [Value(x) for x in moved]))
    assert [(n.data, n.partials) for n in graph] == [(n.data, n.partials) for n in fresh]


@many
@given(programs, leaves)
def test_backward_twice_is_exactly_twice(program: Program, at: list[float]) -> None:
    """Every node, to the last bit; also by the Graph; and a copy has the same numbers."""
    y = run(plan(program, at), [Value(x) for x in at])
    graph = Graph(y)
    y.backward()
    once = [node.grad for node in graph]
    for again in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        assert [(n.data, n.grad, n.partials) for n in Graph(again)] == [(n.data, n.grad, n.partials) for n in graph]
    graph.backward()
    assert [node.grad for node in graph] == [2.0 * g for g in once]


@many
@given(st.lists(steps, min_size=4, max_size=12), leaves)
def test_the_sum_over_paths_is_the_gradient(program: Program, at: list[float]) -> None:
    """Two ways to the same number: every path's product, added up, and Algorithm 6.2."""
    xs = [Value(x) for x in at]
    y = run(plan(program, at), xs)
    y.backward()
    graph = Graph(y)
    for x in xs:
        if x in graph and graph.path_count(y, x) < 5000:
            products = [path.product for path in graph.paths(y, x)]
            assert len(products) == graph.path_count(y, x)
            assert math.fsum(products) == pytest.approx(x.grad, rel=1e-9, abs=1e-9)
