"""The engine against PyTorch and JAX on random expressions, and against 50 digits at hard points.

``make conformance`` does on all of them what is done here on some: see :mod:`tests.conformance`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from autograd import Operation, Value, leaky_relu, logsumexp
from autograd.operations import BUILT_IN, table
from tests.conformance import (
    FAR,
    LOST,
    NEAR,
    ORDERS,
    REASONS,
    Expression,
    apart,
    calculus_agrees,
    expressions,
    found,
    programs_agree,
    samples,
    stored,
    worst,
)
from tests.graphs import bounds
from tests.hard_points import EPS, UNDERFLOW, derivatives, hard_points, ours

SOME = list(expressions(every=9))
TABLE = stored()


def depth(expression: Expression) -> int:
    """The length of the longest path."""
    depths = [0] * len(expression.recipe.leaves)
    for _, operands in expression.recipe.steps:
        depths.append(1 + max((depths[x] for x in operands if isinstance(x, int)), default=0))
    return depths[-1]


def test_the_expressions_are_many_and_of_all_kinds() -> None:
    """Every row in hundreds of them; one to three variables; depth 1 to 6 and more, with nodes used again."""
    everything = list(expressions())
    assert len(everything) >= 10_000
    assert min(Counter(name for x in everything for name in x.names)[name] for name in BUILT_IN) >= 500
    assert {len(x.recipe.leaves) for x in everything} == {1, 2, 3}
    assert {1, 2, 3, 4, 5, 6} <= set(map(depth, everything))
    for x in (everything, SOME):
        assert 0 < sum(one.kinks for one in x) < len(x) / 2


@pytest.mark.parametrize("first", range(10))
def test_expressions(first: int) -> None:
    """Value, gradient and Hessian are PyTorch's and JAX's, whichever function of calculus is asked."""
    for expression in SOME[first::10]:
        engine = found(expression.recipe)
        assert max(apart(expression, engine)) <= NEAR, expression
        assert calculus_agrees(expression, engine), expression


def test_programs_of_expressions() -> None:
    """Both backends give what ``backward`` gives."""
    for expression in SOME[::20]:
        assert programs_agree(expression.recipe), expression


@pytest.fixture
def slightly_wrong(op: Operation) -> Iterator[Operation]:
    """The row with slopes that are wrong by 1e-9 of themselves."""
    wrong = [lambda *xs, rule=rule: rule(*xs) * (1.0 + 1e-9) for rule in op.partials]
    name = f"wrong_{op.name}"
    yield Operation(name, op.forward, tuple(wrong), nary=op.nary)
    del table[name]


@pytest.mark.parametrize(
    "op", [table[x] for x in sorted(BUILT_IN - {"sign", "step", "nonzero"})], ids=lambda op: op.name
)
def test_a_slope_that_is_slightly_wrong_is_found(op: Operation, slightly_wrong: Operation) -> None:
    """By the comparison with PyTorch and JAX as it stands: it is not too tolerant."""

    def notices(expression: Expression) -> bool:
        steps = tuple((slightly_wrong if row is op else row, operands) for row, operands in expression.recipe.steps)
        return not max(apart(expression, found(replace(expression.recipe, steps=steps)))) <= NEAR

    assert any(notices(expression) for expression in SOME if op.name in expression.names)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_table_tells_the_truth(name: str) -> None:
    """At some of the points, errors against 50 digits are those that ``conformance.md`` states, or less."""
    stated = TABLE[name]
    measured = [*worst(name, samples(name, 2)).values(), *worst(name, hard_points(name)[::7]).values()]
    for order, error, bound in zip(ORDERS * 2, measured, stated, strict=False):
        assert error <= bound + 0.5, order  # another C library may round otherwise


def test_what_is_lost_has_a_reason() -> None:
    """The rows that lose digits are those of the list of reasons."""
    assert TABLE.keys() == BUILT_IN
    lost = {
        (name, order)
        for name, errors in TABLE.items()
        for order, x in zip(ORDERS, errors[3:6], strict=True)
        if x > LOST
    }
    assert lost == REASONS.keys()
    assert max(error for errors in TABLE.values() for error in (errors[0], errors[3])) < LOST  # no value is
    assert max(error for errors in TABLE.values() for error in errors[6:]) <= NEAR


@pytest.mark.parametrize(("name", "order"), [key for key, reason in REASONS.items() if FAR not in reason])
def test_what_is_lost_was_small(name: str, order: str) -> None:
    """It is four eps at most of the sum of absolute terms that the number is the result of."""
    for at in hard_points(name)[::3]:
        nodes = list(ours(table[name], at))
        for node, bound, told in zip(nodes, bounds(*nodes, tolerance=EPS), derivatives(name, at), strict=True):
            if ORDERS[told.order] == order:
                assert abs(node.data - told.number) <= max(4.0 * bound, UNDERFLOW), at


def test_small_terms_of_logsumexp_are_not_lost() -> None:
    """Added to 1, they would be (Blanchard, Higham and Higham 2021): log(1 + e**-40) is e**-40."""
    assert logsumexp([0.0, -40.0]) == logsumexp([-40.0, 0.0]) == math.exp(-40.0)
    assert logsumexp([-41.0, 0.0, -40.0]) == pytest.approx(math.exp(-40.0) + math.exp(-41.0), rel=1e-15)


def test_a_leaky_relu_passes_on_all_of_what_is_positive() -> None:
    """However steep it is below: its slope there is 1, not alpha + (1 - alpha)."""
    for alpha in (0.01, 0.1, 1e17, math.inf):
        assert leaky_relu(Value(2.0), alpha).partials[0] == 1.0


PI, INF, NAN = math.pi, math.inf, math.nan


@pytest.mark.parametrize(
    ("name", "x", "y", "z"),
    [
        # The sides of the cut (Kahan 1987; IEEE 754-2019, 9.2.1; C99, F.9.1.4)
        *[("atan2", sign * 0.0, -1.0, sign * PI) for sign in (1.0, -1.0)],
        *[("atan2", sign * 0.0, -0.0, sign * PI) for sign in (1.0, -1.0)],
        *[("atan2", sign * 0.0, 0.0, sign * 0.0) for sign in (1.0, -1.0)],
        *[("atan2", sign * 0.0, 1.0, sign * 0.0) for sign in (1.0, -1.0)],
        *[("atan2", sign, zero, sign * PI / 2) for sign in (1.0, -1.0) for zero in (0.0, -0.0)],
        *[("atan2", sign, -INF, sign * PI) for sign in (1.0, -1.0)],
        *[
            ("atan2", sign * INF, x, sign * y)
            for sign in (1.0, -1.0)
            for x, y in ((INF, PI / 4), (-INF, 3 * PI / 4), (1.0, PI / 2))
        ],
        # An infinite side, whatever the other (IEEE 754-2019, 9.2.1)
        *[("hypot", *pair, INF) for pair in ((INF, NAN), (NAN, -INF), (INF, 1.0), (1.0, -INF))],
        *[("hypot", sign * 0.0, -2.0, 2.0) for sign in (1.0, -1.0)],
        *[("hypot", 3.0 * 2.0**k, 4.0 * 2.0**k, 5.0 * 2.0**k) for k in (600, -600)],
        ("hypot", -0.0, -0.0, 0.0),
        # Powers (IEEE 754-2019, 9.2.1; C99, F.9.4.4)
        *[("pow", x, zero, 1.0) for x in (0.0, -0.0, 2.0, -2.0, INF, -INF, NAN) for zero in (0.0, -0.0)],
        *[("pow", 1.0, y, 1.0) for y in (INF, -INF, NAN, 1e300)],
        *[("pow", -1.0, y, 1.0) for y in (INF, -INF, 2.0**60)],
        *[("pow", x, y, z) for x in (0.5, -0.5) for y, z in ((INF, 0.0), (-INF, INF))],
        *[("pow", x, y, z) for x in (2.0, -2.0) for y, z in ((INF, INF), (-INF, 0.0))],
        *[("pow", -0.0, y, z) for y, z in ((3.0, -0.0), (2.0, 0.0), (0.5, 0.0))],
        *[("pow", -INF, y, z) for y, z in ((-3.0, -0.0), (-2.0, 0.0), (3.0, -INF), (2.0, INF))],
        *[("pow", INF, y, z) for y, z in ((-1.0, 0.0), (0.5, INF))],
        ("pow", -2.0, 1001.0, -(2.0**1001)),
    ],
)
def test_special_values_of_two_operands(name: str, x: float, y: float, z: float) -> None:
    """Infinities, nan and the sign of zero, as the standard has them."""
    found = table[name](x, y)
    assert (found, math.copysign(1.0, found)) == (z, math.copysign(1.0, z))
