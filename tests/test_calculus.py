"""Functions of functions, against closed forms and finite differences."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from autograd import (
    Constant,
    Graph,
    Operation,
    Value,
    derivative,
    exp,
    grad,
    gradcheck,
    gradient,
    hessian,
    hvp,
    jacobian,
    jit,
    jvp,
    log,
    logsumexp,
    no_grad,
    relu,
    sin,
    sqrt,
    sumprod,
    tanh,
    value_and_grad,
    vjp,
    where,
)
from autograd.operations import table


def rosenbrock(x: list[Any]) -> Any:
    """Everyone's banana."""
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def test_gradient_leaves_grad_alone_and_takes_any_node() -> None:
    """Leaves, inner nodes, the output itself, strangers; constants are zeros."""
    x, stranger = Value(2.0), Value(1.0)
    h = x * x
    y = h * x
    slopes = gradient(y, [x, h, y, stranger])
    assert [slope.data for slope in slopes] == [12.0, 2.0, 1.0, 0.0]
    assert [type(slope) for slope in slopes[2:]] == [Constant, Constant]
    assert not x.has_grad
    assert gradient(y, []) == []
    assert gradient(h * x, [h])[0] is x  # with no product by 1


def test_infinite_slopes_without_an_error() -> None:
    """sqrt'(0) as a Value, also beneath other functions."""
    x = Value(0.0)
    (slope,) = gradient(sqrt(x), [x])
    assert slope.data == math.inf
    assert gradient(sqrt(x) * 3.0 + x, [x])[0].data == math.inf
    assert gradient(tanh(sqrt(x)), [x])[0].data == math.inf
    with pytest.raises(ZeroDivisionError):
        1.0 / x  # the fallback is over


def test_zero_times_infinity_is_zero_and_the_rule_is_not_overdone() -> None:
    """A constant zero is dropped; a Value that happens to be zero has derivatives of its own."""
    x, w = Value(0.0), Value(0.0)
    assert [slope.data for slope in gradient(sqrt(x) * w, [x, w])] == [0.0, 0.0]
    assert gradient(sqrt(x) * 0.0, [x])[0].data == 0.0
    (first,) = gradient((x * 1) * (x * 1), [x])
    (second,) = gradient(first, [x])
    assert (first.data, second.data) == (0.0, 2.0)
    assert derivative(lambda t: t**3, 3)(0.0) == 6.0
    assert derivative(lambda t: t**2.0, 2)(0.0) == 2.0
    assert derivative(lambda t: t**4, 4)(0.0) == 24.0
    assert derivative(lambda t: t * t * t, 2)(0.0) == 0.0


def test_zero_times_a_slope_that_is_always_infinite() -> None:
    """As in backward; compiled, it is found again where the adjoint is another number."""
    wall = Operation("wall", lambda x: x, (lambda x, z: math.inf,))
    slope = grad(lambda x, w: wall(x) * w)
    for f in (slope, jit(slope)):
        assert [f(1.0, w) for w in (0.0, -2.0, 0.0)] == [0.0, -math.inf, 0.0]
    del table["wall"]


@pytest.mark.parametrize("n", range(7))
def test_derivatives_of_any_order(n: int) -> None:
    """Of sin, exp and a power, against the closed forms."""
    assert derivative(sin)(0.7) == math.cos(0.7)
    assert derivative(sin, n)(0.7) == pytest.approx(math.sin(0.7 + n * math.pi / 2.0), rel=1e-12)
    assert derivative(lambda x: exp(2.0 * x), n)(0.3) == pytest.approx(2.0**n * math.exp(0.6), rel=1e-12)
    assert derivative(lambda x: x**5, n)(2.0) == pytest.approx(math.perm(5, n) * 2.0 ** (5 - n), rel=1e-12)


def test_gradients_keep_the_shape_of_arguments() -> None:
    """Scalars, nested lists, several arguments, in the order of argnums."""

    def f(w: list[list[Any]], b: Any, x: tuple[Any, Any]) -> Any:
        return w[0][0] * x[0] + w[0][1] * x[1] ** 2 + b * w[1][0]

    args: Any = ([[1.0, 2.0], [3.0]], 4.0, (5.0, 6.0))
    assert grad(f)(*args) == [[5.0, 36.0], [4.0]]
    assert grad(f, argnums=(2, 1))(*args) == ((1.0, 24.0), 3.0)
    assert grad(f, argnums=-1)(*args) == (1.0, 24.0)
    assert value_and_grad(f, 1)(*args) == (89.0, 3.0)
    assert grad(lambda x: x * x, argnums=-1)(3.0) == 6.0
    assert grad(lambda x: 7.0)(1.0) == 0.0


def test_what_cannot_be_differentiated_says_so() -> None:
    """A list where a number is needed, a result that is no number, an argument that is not there."""
    with pytest.raises(TypeError, match=r"<lambda> must return one number, not 2: use jacobian"):
        grad(lambda x: [x, x])(1.0)
    with pytest.raises(TypeError, match=r"the result of <lambda> needs a real number, not NoneType"):
        grad(lambda x: None)(1.0)
    with pytest.raises(IndexError, match="argnums=1, but <lambda> was called with 1 argument"):
        grad(lambda x: x, argnums=1)(1.0)
    with pytest.raises(TypeError, match="Value needs a real number, not str"):
        grad(lambda x: x)("1")
    with pytest.raises(ValueError, match="n >= 0, not -1"):
        derivative(sin, -1)
    with pytest.raises(ValueError, match="a tangent for each of 1 numbers, not 2"):
        jvp(sin, (1.0,), (1.0, 2.0))
    with pytest.raises(ValueError, match="an adjoint for each of 1 outputs, not 2"):
        vjp(sin, 1.0)[1]([1.0, 2.0])


def test_nested_gradients_do_not_confuse_their_variables() -> None:
    """The inner derivative is by its own variable only, whatever the outer one is called with."""
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert grad(lambda x: grad(lambda y: x * y)(x))(3.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: y * y * x)(x))(3.0) == 54.0
    assert grad(lambda x: value_and_grad(lambda y: y**2)(x)[0])(3.0) == 6.0
    assert grad(lambda x: jvp(lambda y: x * y**2, (x,), (1.0,))[1])(3.0) == 12.0
    assert grad(lambda x: vjp(lambda y: x * y**2, x)[1](1.0)[0])(3.0) == 12.0
    assert grad(lambda x: derivative(lambda y: x * y**3, 2)(x))(2.0) == 24.0
    assert grad(lambda x: sumprod(hessian(rosenbrock)([x, x])[0], [1.0, 1.0]))(1.0) == pytest.approx(2400.0 - 800.0)


def test_results_that_depend_on_values_from_outside_are_values() -> None:
    """Otherwise they are floats."""
    w = Value(3.0)
    inner = grad(lambda x: w * x**2)(2.0)
    assert isinstance(inner, Value)
    assert inner.data == 12.0
    assert gradient(inner, [w])[0].data == 4.0
    assert type(grad(lambda x: x**2)(2.0)) is float
    assert isinstance(grad(lambda x: x**2)(Value(2.0)), Value)


def test_jacobian_and_hessian() -> None:
    """Polar coordinates, the banana, and the softmax, whose Jacobian is diag(p) − ppᵀ."""
    r, phi = 2.0, 0.5
    expected = [[math.cos(phi), -r * math.sin(phi)], [math.sin(phi), r * math.cos(phi)]]
    found = jacobian(lambda p: [p[0] * sin(p[1] + math.pi / 2.0), p[0] * sin(p[1])])([r, phi])
    for row, line in zip(found, expected, strict=True):
        assert row == pytest.approx(line)
    x, y = 1.5, -0.5
    (xx, xy), (yx, yy) = hessian(rosenbrock)([x, y])
    assert (xx, xy, yx, yy) == pytest.approx((2.0 - 400.0 * (y - 3.0 * x * x), -400.0 * x, -400.0 * x, 200.0))
    a = [0.1, 0.2, -0.3]
    p = grad(logsumexp)(a)
    for i, row in enumerate(hessian(logsumexp)(a)):
        assert row == pytest.approx([p[i] * ((i == j) - p[j]) for j in range(3)])
    assert jacobian(lambda x, y: {"no": x}["no"] * y, argnums=(0, 1))(2.0, 3.0) == (3.0, 2.0)
    assert jacobian(lambda x: [x, 1.0])(2.0) == [1.0, 0.0]
    assert jacobian(lambda x, y: x * x * y)(3.0, 5.0) == 30.0
    assert hessian(lambda x, y: x * x * y)(3.0, 5.0) == 10.0


def test_products_agree_with_the_matrices() -> None:
    """Jv, vᵀJ and Hv, against the Jacobian and the Hessian themselves."""

    def f(x: list[Any]) -> list[Any]:
        return [x[0] * x[1], tanh(x[1]), exp(x[0]) / x[2]]

    at, v = [0.5, -1.0, 2.0], [1.0, 2.0, 3.0]
    matrix = jacobian(f)(at)
    value, forward = jvp(f, (at,), (v,))
    assert forward == pytest.approx([math.fsum(j * t for j, t in zip(row, v, strict=True)) for row in matrix])
    same, pullback = vjp(f, at)
    assert same == value == [y.data for y in f([Value(x) for x in at])]
    (back,) = pullback(v)
    assert back == pytest.approx([math.fsum(v[i] * matrix[i][j] for i in range(3)) for j in range(3)])
    point = [1.5, -0.5]
    (product,) = hvp(rosenbrock, (point,), ([1.0, -2.0],))
    assert product == pytest.approx([row[0] - 2.0 * row[1] for row in hessian(rosenbrock)(point)])
    assert jvp(lambda x: 3.0, (1.0,), (1.0,)) == (3.0, 0.0)


def test_gradcheck_reports_each_input() -> None:
    """A right gradient passes, line by line, with the labels as names."""
    report = gradcheck(lambda w, x: tanh(w[0] * x + w[1]), [[Value(0.5, label="w"), 0.1], 2.0])
    assert report
    assert [line.name for line in report.slopes] == ["w", "x2", "x3"]
    assert all(line.relative_error < 1e-8 for line in report.slopes)
    assert str(report).splitlines()[0].split() == ["input", "value", "analytic", "numeric", "rel.", "error"]
    assert all(line.endswith("  ok") for line in str(report).splitlines()[1:])


def test_gradcheck_prints_columns_as_wide_as_what_stands_in_them() -> None:
    """Names to the left, numbers to the right."""
    report = gradcheck(lambda x, y: 0.0 * x + 0.0 * y, [Value(0.5, label="bandwidth"), -1234.5])
    assert str(report).splitlines() == [
        "input        value  analytic  numeric  rel. error",
        "bandwidth      0.5         0        0     0.0e+00  ok",
        "x2         -1234.5         0        0     0.0e+00  ok",
    ]


def test_gradcheck_finds_a_wrong_rule() -> None:
    """A row with a slope that is off by a factor is reported, and the report is false."""
    from autograd import Operation

    wrong = Operation("wrong", lambda x: x * x, (lambda x, z: x,))
    report = gradcheck(wrong, [3.0])
    assert not report
    assert "WRONG" in repr(report)
    assert report.slopes[0].analytic == 3.0
    assert report.slopes[0].numeric == pytest.approx(6.0)
    nearly = Operation("nearly", lambda x: x * x, (lambda x, z: 2.02 * x,))
    assert [bool(gradcheck(nearly, [x])) for x in (1.0, 1e-4)] == [False, True]  # by 1 %, and by less than 1e-5
    nan = Operation("nowhere", lambda x: x, (lambda x, z: x * math.nan,))
    assert not gradcheck(nan, [1.0])


def test_gradcheck_warns_near_a_kink() -> None:
    """Where left and right differ, either slope may be meant."""
    assert gradcheck(relu, [0.0]).slopes[0].near_kink
    assert not gradcheck(relu, [0.1]).slopes[0].near_kink
    assert not gradcheck(lambda x: x * x, [0.0]).slopes[0].near_kink  # small slopes differ, but by little
    assert not gradcheck(lambda x: 1e4 * x * x, [1.0]).slopes[0].near_kink  # by more, but little of large ones
    assert "near a kink" in str(gradcheck(abs, [1e-8]))
    assert gradcheck(lambda x: where(x > 0.0, x, -x), [3.0])


def test_gradcheck_says_which_step_left_the_domain() -> None:
    """The error of the function itself, where it is evaluated."""
    with pytest.raises(ValueError, match=r"math domain error|positive") as caught:
        gradcheck(log, [1e-7])
    assert "in log(u)" in caught.value.__notes__[0]


def test_derivatives_are_taken_under_no_grad_too() -> None:
    """As in torch.func: the block is about the caller's graph, not about what a derivative needs."""
    with no_grad():
        assert grad(lambda x: x * x)(3.0) == 6.0
        assert hessian(rosenbrock)([1.0, 1.0]) == [[802.0, -400.0], [-400.0, 200.0]]
        assert jvp(lambda x: x * x, (3.0,), (1.0,)) == (9.0, 6.0)
        value, pullback = vjp(lambda x: x * x, 3.0)
        assert (value, pullback(2.0)) == (9.0, (12.0,))
        assert derivative(lambda x: x**3, 2)(2.0) == 12.0
        assert gradcheck(lambda x: x * x, [3.0])


def test_mixed_derivatives_of_a_power_at_exponent_zero() -> None:
    """∂²/∂x∂y of x**y at y = 0 is 1/x, whichever comes first."""
    (xx, xy), (yx, yy) = hessian(lambda v: v[0] ** v[1])([2.0, 0.0])
    assert (xx, xy, yx, yy) == pytest.approx((0.0, 0.5, 0.5, math.log(2.0) ** 2))
    powers: list[Callable[[Any], Any]] = [lambda x: x**0, lambda x: x**1, lambda x: x**2, lambda x: x**3]
    for n, power in enumerate(powers):
        slopes = [derivative(power, k)(0.0) for k in range(5)]
        assert slopes == [float(math.factorial(n)) if n == k else 0.0 for k in range(5)]


def test_namedtuples_are_arguments() -> None:
    """The gradient has the same fields."""
    point = NamedTuple("point", [("x", Any), ("y", Any)])  # noqa: UP014
    assert grad(lambda p: p.x * p.y)(point(2.0, 3.0)) == point(3.0, 2.0)


def test_gradient_needs_values() -> None:
    """And a list of them."""
    x = Value(1.0)
    wrong: list[Any] = [(3.0, [x]), (x, x), (x, [1.0])]
    for arguments in wrong:
        with pytest.raises(TypeError, match="gradient needs a Value and a list of Values, not"):
            gradient(*arguments)


def test_no_grad_and_graph_work_inside() -> None:
    """A function may use the rest of the engine while it is differentiated."""

    def f(x: Any) -> Any:
        with no_grad():
            scale = (x * x).data
        assert len(Graph(x * scale)) == 3
        return x * scale

    assert grad(f)(3.0) == 9.0
