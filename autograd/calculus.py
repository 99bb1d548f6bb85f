"""Functions of functions: derivatives of any order, Jacobians, products with them, and a check by differences.

All of them record the function on fresh Values and call :func:`gradient`, whose results are Values
again, so they nest to any order.  Arguments and results may be numbers or nested lists of numbers.
Results are floats, unless they depend on Values from outside: then they are Values, so that the
outside can be differentiated too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from autograd import algorithms, context
from autograd.algorithms import topological_order
from autograd.context import contained, infinities
from autograd.operations import Operation, printable, real
from autograd.value import Constant, Value

#: A number, or a list or tuple of trees.
Tree = Any


@contained
def gradient(y: Value, xs: Sequence[Value]) -> list[Value]:
    """∂y/∂x for each x, as Values that can be differentiated again.

    Args:
        y: the output.
        xs: nodes of any kind; one that y does not depend on gets a constant 0.

    Returns:
        A Value per x. ``grad`` of the nodes is left alone.

    >>> x = Value(2.0)
    >>> (dy,) = gradient(x**3, [x])
    >>> (d2y,) = gradient(dy, [x])
    >>> dy.data, d2y.data
    (12.0, 12.0)
    """
    if not isinstance(y, Value) or not isinstance(xs, Sequence) or not all(isinstance(x, Value) for x in xs):
        raise TypeError(f"gradient needs a Value and a list of Values, not {y!r} and {xs!r}")
    with context.recorded():
        found = algorithms.adjoints(topological_order(y), lambda node: node, {y: 1.0}, xs, _chain)
    return [x if isinstance(x, Value) else Constant(x or 0.0) for x in found]


def _chain(g: Value | float, op: Operation, j: int, operands: Sequence[Value], z: Value) -> Value | float | None:
    """G · slope as a node; None for a term that is zero for certain.

    Only a *constant* 0 is certain: a Value that happens to be 0 has derivatives of its own.
    """
    try:
        slope = op.slope(j, operands, z)
    except (ArithmeticError, ValueError):
        with infinities():
            slope = op.slope(j, operands, z)
    for factor, other in ((slope, g), (g, slope)):
        if not isinstance(factor, Value) or isinstance(factor, Constant):
            if _number(factor) == 0.0:
                return None
            if _number(factor) == 1.0:
                return other
    if _number(g) == 0.0 and not math.isfinite(_number(slope)):
        for x in (g, slope):
            if isinstance(x, Value):
                context.compared("data", x, None, x._data)  # at other numbers the graph is another
        return None  # as in backward: an adjoint of 0 hands nothing on, even through an infinite slope
    product: Value = g * slope
    return product


def _number(x: Value | float) -> float:
    return x._data if isinstance(x, Value) else x


# Trees: nested lists and tuples of numbers.


def tree_leaves(tree: Tree) -> Iterator[Any]:
    """The numbers of a tree, in order."""
    if isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from tree_leaves(branch)
    else:
        yield tree


def map_tree(f: Callable[[Any], Any], tree: Tree) -> Tree:
    """A tree of the same shape with f of each leaf."""
    if isinstance(tree, (list, tuple)):
        branches = [map_tree(f, branch) for branch in tree]
        return type(tree)(*branches) if hasattr(tree, "_fields") else type(tree)(branches)  # a namedtuple, or not
    return f(tree)


def shaped(leaves: Sequence[Any], tree: Tree) -> Tree:
    """The leaves in the shape of a tree."""
    following = iter(leaves)
    return map_tree(lambda _: next(following), tree)


class _Recording:
    """A function recorded on fresh variables: its output, and the variables to differentiate by."""

    @contained
    def __init__(self, f: Callable[..., Any], args: Sequence[Tree], named: Mapping[str, Any] | None = None) -> None:
        _function(f)
        # A Value from outside is multiplied by 1: the product is this recording's own variable, so
        # that an inner derivative does not see what the outer function does with the same Value.
        self.args = [map_tree(lambda x: x * 1.0 if isinstance(x, Value) else Value(x), arg) for arg in args]
        self.own = {x for x in tree_leaves(self.args) if x.op is None}
        with context.recorded():  # also where the caller records nothing
            self.output = f(*self.args, **(named or {}))
        self._name = getattr(f, "__name__", repr(f))

    def scalar(self) -> Value:
        """The output, which has to be one number."""
        return as_value(one_number(self.output, self._name), self._name)

    def variables(self, argnums: int | Sequence[int]) -> list[Value]:
        """The variables of some arguments."""
        return list(tree_leaves([self.args[j] for j in positions(argnums, len(self.args), self._name)]))

    def like(self, results: Sequence[Value], argnums: int | Sequence[int]) -> Tree:
        """Results in the shape of those arguments."""
        tree = self.args[argnums] if isinstance(argnums, int) else tuple(self.args[j] for j in argnums)
        return shaped(results, tree)

    def plain(self, tree: Tree) -> Tree:
        """A result as floats, unless something in it depends on Values from outside."""
        values = [x for x in tree_leaves(tree) if isinstance(x, Value)]
        outside = (x for x in topological_order(*values) if x.op is None and not isinstance(x, Constant))
        return map_tree(_number, tree) if all(x in self.own for x in outside) else tree


def _function(f: object) -> None:
    """Refuse what is no function: of Values, most likely."""
    if not callable(f):
        cure = ": for Values, there is gradient(y, [x])" if isinstance(f, Value) else ""
        raise TypeError(f"a function is differentiated, not {type(f).__name__} {f!r}{cure}")


def _arguments(given: object, what: str) -> None:
    if not isinstance(given, Iterable):
        raise TypeError(f"{what} must be a list of the function's arguments, such as [{given!r}], not {given!r}")


def one_number(output: Tree, name: str) -> Any:
    """What a function has returned, unless it is several numbers."""
    if isinstance(output, (list, tuple)):
        raise TypeError(f"{name} must return one number, not {len(output)}: use jacobian, or sum them")
    return output


def as_value(x: object, name: str) -> Value:
    """What a function has returned as a Value."""
    return x if isinstance(x, Value) else Constant(real(x, f"the result of {name}"))


def positions(argnums: int | Sequence[int], count: int, name: str) -> Sequence[int]:
    """The positions of some arguments among ``count``."""
    several = [argnums] if isinstance(argnums, int) else argnums
    for j in several:
        if not -count <= j < count:
            raise IndexError(f"argnums={argnums!r}, but {name} was called with {count} argument(s)")
    return several


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Any, Tree]]:
    """A function that returns f(…) and its gradient.

    Args:
        f: a function of numbers, or nested lists of numbers, that returns one number.
        argnums: the position of the argument to differentiate by; several give a tuple.

    Returns:
        A function of the same arguments; those given by name are handed on. The gradient has the shape
        of the argument.

    Raises:
        TypeError: if f is no function; when called, if it does not return one number.

    >>> value_and_grad(lambda w, x: w[0] * x + w[1])([2.0, 1.0], 3.0)
    (7.0, [3.0, 1.0])
    """
    _function(f)

    def value_and_gradient(*args: Tree, **named: Any) -> tuple[Any, Tree]:
        recording = _Recording(f, args, named)
        y = recording.scalar()
        slopes = recording.like(gradient(y, recording.variables(argnums)), argnums)
        result: tuple[Any, Tree] = recording.plain((y, slopes))
        return result

    return value_and_gradient


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Tree]:
    """The gradient of f, as a function of the same arguments; see :func:`value_and_grad`.

    >>> grad(lambda x, y: x**2 + x * y + y**2, argnums=(0, 1))(1.0, 2.0)
    (4.0, 5.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    """
    both = value_and_grad(f, argnums)
    return lambda *args, **named: both(*args, **named)[1]


def derivative(f: Callable[[Any], Any], n: int = 1) -> Callable[[Any], Any]:
    """The n-th derivative of a function of one number.

    >>> derivative(lambda x: x**4, 3)(2.0)
    48.0
    """
    _function(f)
    if n < 0:
        raise ValueError(f"derivative needs an order n >= 0, not {n}")

    def differentiated(x: Any) -> Any:
        recording = _Recording(f, [x])
        y = recording.scalar()
        for _ in range(n):
            (y,) = gradient(y, recording.variables(0))
        return recording.plain(y)

    return differentiated


def jacobian(f: Callable[..., Tree], argnums: int | Sequence[int] = 0) -> Callable[..., Tree]:
    """The Jacobian of f: the gradient of every number that f returns, in the shape of f's result.

    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    """
    _function(f)

    def matrix(*args: Tree, **named: Any) -> Tree:
        recording = _Recording(f, args, named)
        xs = recording.variables(argnums)
        name = getattr(f, "__name__", repr(f))
        row = map_tree(lambda y: recording.like(gradient(as_value(y, name), xs), argnums), recording.output)
        return recording.plain(row)

    return matrix


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Tree]:
    """The matrix of second derivatives of f: the Jacobian of its gradient.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([3.0, 2.0])
    [[4.0, 6.0], [6.0, 0.0]]
    """
    return jacobian(grad(f, argnums), argnums)


def vjp(f: Callable[..., Tree], *primals: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """f(*primals), and the function v ↦ vᵀJ: reverse mode.

    Returns:
        The value, and a function that takes adjoints in the shape of the value and returns a tuple
        with one gradient per argument.

    >>> y, pullback = vjp(lambda x, y: [x * y, x + y], 2.0, 3.0)
    >>> y, pullback([1.0, 10.0])
    ([6.0, 5.0], (13.0, 12.0))
    """
    recording = _Recording(f, primals)
    every = range(len(primals))

    @contained
    def pullback(adjoint: Tree) -> tuple[Tree, ...]:
        outputs, seeds = list(tree_leaves(recording.output)), list(tree_leaves(adjoint))
        if len(seeds) != len(outputs):
            raise ValueError(f"the pullback needs an adjoint for each of {len(outputs)} outputs, not {len(seeds)}")
        with context.recorded():
            total = sum((seed * y for seed, y in zip(seeds, outputs, strict=True)), Constant(0.0))
        result: tuple[Tree, ...] = recording.like(gradient(total, recording.variables(every)), every)
        return recording.plain(result)  # type: ignore[no-any-return]

    return recording.plain(recording.output), pullback


def _push(order: Sequence[Value], tangent: dict[Value, Any]) -> None:
    """The tangent of each node from those of its parents; none where nothing varies."""
    for node in order:
        if node.op is not None:
            parents = node.parents
            terms = [_chain(tangent[p], node.op, j, parents, node) for j, p in enumerate(parents) if p in tangent]
            if terms := [term for term in terms if term is not None]:
                tangent[node] = sum(terms[1:], terms[0])


@contained
def jvp(f: Callable[..., Tree], primals: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, Tree]:
    """f(*primals), and Jv for the direction v = tangents: forward mode.

    >>> jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0))
    (6.0, 23.0)
    """
    _arguments(primals, "primals")
    recording = _Recording(f, primals)
    variables, directions = recording.variables(range(len(primals))), list(tree_leaves(tangents))
    if len(variables) != len(directions):
        raise ValueError(f"jvp needs a tangent for each of {len(variables)} numbers, not {len(directions)}")
    tangent: dict[Value, Any] = dict(zip(variables, directions, strict=True))
    outputs = [y for y in tree_leaves(recording.output) if isinstance(y, Value)]
    with context.recorded():
        _push(topological_order(*outputs), tangent)
    result: tuple[Tree, Tree] = (recording.output, map_tree(lambda y: tangent.get(y, 0.0), recording.output))
    return recording.plain(result)  # type: ignore[no-any-return]


def hvp(f: Callable[..., Any], primals: Sequence[Tree], tangents: Sequence[Tree]) -> Tree:
    """The Hessian of f times a direction, without the Hessian: the jvp of the gradient.

    Returns:
        A tuple in the shape of ``primals``.

    >>> hvp(lambda x: x[0] ** 2 * x[1], ([3.0, 2.0],), ([1.0, 0.0],))
    ([4.0, 6.0],)
    """
    return jvp(grad(f, range(len(primals))), primals, tangents)[1]


class CheckedSlope(NamedTuple):
    """One line of a gradient check."""

    name: str
    value: float
    analytic: float
    numeric: float
    relative_error: float
    passed: bool
    near_kink: bool


class GradientCheck(NamedTuple):
    """The report of :func:`gradcheck`: prints as a table, and is false if a slope failed."""

    slopes: tuple[CheckedSlope, ...]

    def __bool__(self) -> bool:
        return all(slope.passed for slope in self.slopes)

    def __str__(self) -> str:
        rows = [("input", "value", "analytic", "numeric", "rel. error", "")]
        for s in self.slopes:
            verdict = ("ok" if s.passed else "WRONG") + (", near a kink" if s.near_kink else "")
            numbers = (f"{s.value:.6g}", f"{s.analytic:.9g}", f"{s.numeric:.9g}", f"{s.relative_error:.1e}")
            rows.append((s.name, *numbers, verdict))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{row[0]:<{widths[0]}}" + "".join(f"  {x:>{w}}" for x, w in zip(row[1:5], widths[1:5], strict=True))
            for row in rows
        ]
        return "\n".join(f"{line}  {row[5]}".rstrip() for line, row in zip(lines, rows, strict=True))

    def __repr__(self) -> str:
        return str(self)


def gradcheck(
    f: Callable[..., Any], inputs: Sequence[Tree], *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3
) -> GradientCheck:
    """Compare the gradient of f with central finite differences.

    A slope passes if |analytic − numeric| <= atol + rtol · |numeric|, PyTorch's criterion. Where the
    differences to the left and to the right disagree, the point is reported to be near a kink.

    Args:
        f: a function of numbers, or nested lists of numbers, that returns one number.
        inputs: its arguments: numbers or Values, whose labels name the lines of the report.
        eps: the step, relative to inputs larger than 1.
        atol: absolute tolerance.
        rtol: relative tolerance.

    Returns:
        A report, which prints as a table and is false if a slope is wrong.

    >>> gradcheck(lambda x, y: x * y**2, [3.0, 2.0])
    input  value  analytic  numeric  rel. error
    x1         3         4        4     0.0e+00  ok
    x2         2        12       12     1.9e-11  ok
    """
    _arguments(inputs, "inputs")
    points = [map_tree(_number, x) for x in inputs]
    labels = [printable(x.label) if isinstance(x, Value) else "" for x in tree_leaves(list(inputs))]
    recording = _Recording(f, points)
    y = recording.scalar().data
    analytic = [x.data for x in gradient(recording.scalar(), recording.variables(range(len(points))))]
    flat = [float(x) for x in tree_leaves(points)]

    def at(j: int, x: float) -> float:
        moved = shaped([*flat[:j], x, *flat[j + 1 :]], points)
        return _Recording(f, moved).scalar().data

    slopes = []
    for j, (x, slope) in enumerate(zip(flat, analytic, strict=True)):
        h = eps * max(1.0, abs(x))
        above, below = x + h, x - h
        y_above, y_below = at(j, above), at(j, below)
        numeric = (y_above - y_below) / (above - below)
        right, left = (y_above - y) / (above - x), (y - y_below) / (x - below)
        error = abs(slope - numeric)
        scale = max(abs(slope), abs(numeric))
        slopes.append(
            CheckedSlope(
                name=labels[j] or f"x{j + 1}",
                value=x,
                analytic=slope,
                numeric=numeric,
                relative_error=error / scale if scale else error,
                passed=error <= atol + rtol * abs(numeric),
                near_kink=abs(right - left) > 0.01 * max(1.0, abs(right), abs(left)),
            )
        )
    return GradientCheck(tuple(slopes))
