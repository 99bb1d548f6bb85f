"""A ``Value`` is a node: a number that remembers the operation, the parents and the local partials it came from."""

from __future__ import annotations

import functools
import itertools
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from typing import Any, NoReturn, Self, SupportsIndex, TypeVar, overload

from autograd import context
from autograd import operations as ops
from autograd.algorithms import backward, topological_order, zero_grad
from autograd.ieee import Ieee
from autograd.operations import Operation, real
from autograd.symbol import rules

Unary = Callable[["Value"], "Value"]
Binary = Callable[["Value", "Value | float"], "Value"]

M = TypeVar("M", bound=Callable[..., Any])

_new = object.__new__


def _unary(op: Operation) -> Unary:
    """The method for an operation of one operand."""
    forward, (rule,) = op.forward, op.partials

    def method(self: Value) -> Value:
        if type(self) is Value and not context.no_grad_blocks:
            x = self._data
            try:
                z = forward(x)
                slope = rule(x, z)
            except (ArithmeticError, ValueError):
                pass  # the long way below explains the error, or finds the infinite slope
            else:
                return _node(op, z, self, slope)
        return _record(op, (self,))

    return _documented(method, op)


def _binary(op: Operation) -> tuple[Binary, Binary]:
    """The method for ``x ∘ y`` and its reflection for ``number ∘ x``.

    Recording is the hot path, so how each slope is read is settled here, once: constants (add) and
    bare operands (mul) directly, the others by calling their rule.
    """
    forward, (x_rule, y_rule) = op.forward, op.partials
    readings: Any = op.readings()
    constant = all(isinstance(how, float) for how in readings)
    crossed = readings == (1, 0)

    def method(self: Value, other: Value | float) -> Any:
        if type(self) is Value and not context.no_grad_blocks:
            kind, x = type(other), self._data
            try:
                if kind is Value:
                    y = other._data  # type: ignore[union-attr]
                    z = forward(x, y)
                    if crossed:
                        dx, dy = y, x
                    elif constant:
                        dx, dy = readings
                    else:
                        dx, dy = x_rule(x, y, z), y_rule(x, y, z)
                    node = _new(Value)  # as in _node below, without the call
                    node._data, node._grad, node.op = z, None, op
                    node._x, node._dx, node._y, node._dy = self, dx, other, dy
                    node.label, node.scope = "", context.scope.get() if context.scope_blocks else ""
                    return node
                if kind is float or kind is int:
                    y = float(other)
                    z = forward(x, y)
                    dx = y if crossed else readings[0] if constant else x_rule(x, y, z)
                    return _node(op, z, self, dx, _constant(y), 0.0)
            except (ArithmeticError, ValueError):
                pass  # the long way below explains the error, or finds the infinite slope
        if not isinstance(other, (Value, Real)):
            return NotImplemented
        return _record(op, (self, other))

    def reflected(self: Value, other: Value | float) -> Any:
        if type(self) is Value and type(other) in (float, int) and not context.no_grad_blocks:
            x, y = float(other), self._data
            try:
                z = forward(x, y)
                dy = x if crossed else readings[1] if constant else y_rule(x, y, z)
                return _node(op, z, _constant(x), 0.0, self, dy)
            except (ArithmeticError, ValueError):
                pass  # as above
        if not isinstance(other, Real):
            return NotImplemented
        return _record(op, (other, self))

    return _documented(method, op), _documented(reflected, op)


def _node(op: Operation, z: float, x: Any, dx: Any, y: Value | None = None, dy: float | None = None) -> Value:
    node = _new(Value)
    node._data, node._grad, node.op = z, None, op
    node._x, node._dx, node._y, node._dy = x, dx, y, dy
    node.label, node.scope = "", context.scope.get() if context.scope_blocks else ""
    return node


def _constant(x: float) -> Constant:
    node = _new(Constant)  # as Constant(x), without the check
    node._data, node.label, node.scope = x, "", context.scope.get() if context.scope_blocks else ""
    node._grad = node.op = node._x = node._y = node._dx = node._dy = None
    return node


def _nary(op: Operation) -> Callable[..., Value]:
    """How a row of columns is recorded: their slopes are read by column, as in ``_binary``."""

    def record(*columns: Sequence[Value | float]) -> Value:
        operands = tuple(itertools.chain(*columns))
        if set(map(type, operands)) == {Value} and not context.no_grad_blocks:
            values: Any = [[x._data for x in column] for column in columns]  # type: ignore[union-attr]
            try:
                z = float(op.forward(*values))
                slopes = op.column_slopes(values, z)
            except (ArithmeticError, ValueError):
                pass  # the long way below explains the error, or finds the infinite slope
            else:
                return _node(op, z, operands, slopes)
        return _record(op, operands)

    return record


@functools.cache
def _recorder(op: Operation) -> Callable[..., Value]:
    """How a row is recorded: the built-in ones of one or two operands by the methods above."""
    if op.nary:
        return _nary(op)
    if op.name not in ops.BUILT_IN or len(op.partials) > 2:
        return lambda *operands: _record(op, operands)
    if len(op.partials) == 1:
        return _unary(op)
    method = _binary(op)[0]
    return lambda x, y: method(x, y) if type(x) is type(y) is Value else _record(op, (x, y))


def _documented(method: M, op: Operation) -> M:
    """A method that ``help`` shows with its derivative, which the table knows."""
    method.__name__ = method.__qualname__ = op.name
    method.__doc__ = f"A node {_written(op)}."
    return method


def _written(op: Operation) -> str:
    """A row as one reads it: ``z = tanh(x), with ∂z/∂x = (1.0 - z) * (1.0 + z)``."""
    n = len(op.partials)
    names = ["x", "y"][:n] if n <= 2 else [f"x{j}" for j in range(1, n + 1)]
    slopes = [f"∂z/∂{name} = {rule}" for name, rule in zip(names, rules(op), strict=True)]
    return f"z = {op.text % tuple(names)}, with {', '.join(slopes)}"


def _comparison(name: str) -> Callable[[Value, Value | float], bool]:
    compare = context.COMPARE[name]

    def method(self: Value, other: Value | float) -> Any:
        if isinstance(other, Value):
            outcome = compare(self._data, other._data)
        elif isinstance(other, Real):
            outcome = compare(self._data, other)
        else:
            return NotImplemented
        if context.comparison_blocks:
            context.compared(name, self, other, bool(outcome))
        return outcome

    return method


class Value:
    """A number in a computational graph, and the gradient that ``backward`` finds for it.

    Arithmetic on Values records the graph: every result is a new node that knows its operation,
    its parents (the operands) and the local partial derivatives at that point.

    Args:
        data: the number.
        label: a name, used in pictures, derivations and messages.

    Raises:
        TypeError: if ``data`` is not a real number.

    Good to know:
        * ``grad`` reads 0.0 until a ``backward`` has reached the node; ``repr`` leaves it out till then.
        * ``backward`` *adds* to ``grad``: call ``zero_grad`` before the next one.
        * A plain number becomes a ``Constant``: it is drawn, and never given a gradient.
        * ``<`` and ``>`` compare the numbers; ``==`` asks whether it is the same node.
        * ``float(x)`` and ``math.exp(x)`` are errors, since they would silently leave the graph:
          use ``x.data`` for the number, ``autograd.exp(x)`` or ``x.exp()`` for a node.
        * Partials are recorded when a node is made. After changing the ``data`` of a leaf, call
          ``Graph(y).forward()`` to compute everything above it again.

    >>> x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(6.88, label="b")
    >>> o = (x * w + b).tanh()
    >>> o
    Value(data=0.706419..., op='tanh')
    >>> o.backward()
    >>> x
    Value(data=2.0, grad=-1.502915..., label='x')
    """

    # Two slots for operands and two for partials rather than two tuples: a tuple is one more object
    # for the garbage collector to visit, and most operations have one or two operands.  An n-ary
    # node has a tuple of parents in _x and their partials in _dx.
    __slots__ = {  # the texts are what help() shows
        **dict.fromkeys(("_data", "_grad", "_x", "_y", "_dx", "_dy")),
        "op": "The operation, a row of the table; None for a leaf.",
        "label": "A name, used in pictures, derivations and messages.",
        "scope": "Where the node belongs, such as a layer: see ``name_scope``.",
    }

    _data: float
    _grad: float | None  # None: no backward pass has reached the node
    _x: Any
    _y: Any
    _dx: Any
    _dy: Any
    label: str
    op: Operation | None
    scope: str

    def __init__(self, data: float, *, label: str = "") -> None:
        if isinstance(data, Value):
            raise TypeError(f"{data!r} is a Value already: use it as it is, or detach() for a constant copy")
        self._data = real(data, type(self).__name__)
        self._grad = self.op = self._x = self._y = self._dx = self._dy = None
        self.label = label
        self.scope = context.scope.get() if context.scope_blocks else ""

    @property
    def data(self) -> float:
        """The number. Nodes that were computed from it are not: call ``Graph(y).forward()`` after a change."""
        if context.comparison_blocks:
            context.compared("data", self, None, self._data)
        return self._data

    @data.setter
    def data(self, x: float) -> None:
        self._data = real(x, "data")

    @property
    def grad(self) -> float:
        """∂root/∂self, added up over the backward passes since the last ``zero_grad``."""
        if context.comparison_blocks:
            context.compared("data", self, None, self._data)
        return self._grad or 0.0

    @grad.setter
    def grad(self, x: float | None) -> None:
        self._grad = None if x is None else real(x, "grad")  # None: as zero_grad does, and PyTorch's users

    @property
    def has_grad(self) -> bool:
        """Whether a backward pass has reached this node, which a ``grad`` of 0.0 does not tell."""
        return self._grad is not None

    @property
    def parents(self) -> tuple[Value, ...]:
        """The operands, in order and with multiplicity: ``a * a`` has two."""
        x, y = self._x, self._y
        if y is not None:
            return x, y
        return () if x is None else x if type(x) is tuple else (x,)

    @property
    def partials(self) -> tuple[float, ...]:
        """The local partial derivative towards each parent, as recorded; 0.0 towards a constant."""
        if context.comparison_blocks:
            context.compared("data", self, None, self._data)
        x, y = self._x, self._y
        if y is not None:
            return self._dx, self._dy
        return () if x is None else tuple(self._dx) if type(x) is tuple else (self._dx,)

    _prev = parents

    @property
    def _op(self) -> str:
        return self.op.symbol if self.op else ""

    def backward(self, gradient: float = 1.0) -> None:
        """Add ∂self/∂v to the ``grad`` of every node v that self depends on (Algorithm 6.2).

        Args:
            gradient: the seed, ∂self/∂self.

        >>> x = Value(3.0)
        >>> y = x**3
        >>> y.backward(); x.grad
        27.0
        >>> y.backward(); x.grad
        54.0
        """
        backward(topological_order(self), {self: self._seed(gradient)})

    def _seed(self, gradient: float) -> float:
        if isinstance(self, Constant):
            raise RuntimeError(f"nothing to differentiate: {self!r} is a number, detached, or made under no_grad()")
        return real(gradient, "backward")

    def zero_grad(self) -> None:
        """Forget the ``grad`` of this node and of everything below it.

        >>> x = Value(3.0)
        >>> y = x * x
        >>> y.backward(); y.zero_grad(); x.grad
        0.0
        """
        zero_grad(topological_order(self))

    def item(self) -> float:
        """The number, ``data``, by the name that PyTorch, JAX and NumPy give it.

        >>> Value(2.0).item()
        2.0
        """
        return self.data

    def detach(self) -> Constant:
        """The number as a constant, cut off from the graph.

        >>> x = Value(3.0)
        >>> y = x * x.detach()
        >>> y.backward(); x.grad
        3.0
        """
        return Constant(self.data, label=self.label)

    def _evaluate(self) -> None:
        """Compute data and partials from the parents' data."""
        op, x, y = self.op, self._x, self._y
        assert op is not None
        if type(x) is type(y) is Value:
            try:  # the most frequent case, without making lists
                u, v = x._data, y._data
                z = float(op.forward(u, v))
                self._dx, self._dy = float(op.partials[0](u, v, z)), float(op.partials[1](u, v, z))
                self._data = z
                return
            except (ArithmeticError, ValueError):
                pass  # the long way below explains the error, or finds the infinite slope
        parents = self.parents
        values = [parent._data for parent in parents]
        operands = op.columns(values) if op.nary else values
        try:
            z = float(op.forward(*operands))
        except (ArithmeticError, ValueError) as error:
            if not context.infinite.get():
                error.add_note(op.describe(operands, [parent.label for parent in parents]))
                raise
            z = float(op(*_ieee(operands, op.nary)))
        wanted = [type(parent) is not Constant for parent in parents] if Constant in map(type, parents) else None
        slopes = op.slopes(values, z, wanted)
        self._data = z
        if type(self._x) is tuple:
            self._dx, self._dy = slopes, None
        else:
            self._dx, self._dy = slopes if self._y is not None else (slopes[0], None)

    @classmethod
    def _apply(cls, op: Operation, operands: Sequence[Any]) -> Value:
        return _recorder(op)(*operands)

    # The operators, each one node; the table says what they do.

    __add__, __radd__ = _binary(ops.add)
    __sub__, __rsub__ = _binary(ops.sub)
    __mul__, __rmul__ = _binary(ops.mul)
    __truediv__, __rtruediv__ = _binary(ops.div)
    __pow__, __rpow__ = _binary(ops.pow)
    __neg__ = _unary(ops.neg)
    __abs__ = _unary(ops.abs)

    exp = _unary(ops.exp)
    log = _unary(ops.log)
    sqrt = _unary(ops.sqrt)
    sin = _unary(ops.sin)
    cos = _unary(ops.cos)
    tanh = _unary(ops.tanh)
    sigmoid = _unary(ops.sigmoid)
    relu = _unary(ops.relu)
    softplus = _unary(ops.softplus)

    __lt__ = _comparison("<")
    __le__ = _comparison("<=")
    __gt__ = _comparison(">")
    __ge__ = _comparison(">=")

    def __pos__(self) -> Value:
        return self

    def __bool__(self) -> bool:
        if context.comparison_blocks:
            context.compared("bool", self, None, self._data != 0.0)
        return self._data != 0.0

    def __float__(self) -> NoReturn:
        raise TypeError(
            "float() and the functions of math would silently leave the graph: use x.data for the number, "
            "or a function of autograd, such as autograd.exp(x), for a node"
        )

    __int__ = __complex__ = __float__

    @overload
    def __round__(self, digits: None = None) -> int: ...
    @overload
    def __round__(self, digits: SupportsIndex) -> float: ...
    def __round__(self, digits: SupportsIndex | None = None) -> float:
        return round(self.data, digits)

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else str(self)

    def __repr__(self) -> str:
        fields = [f"data={self.data!r}"]
        if self._grad is not None and not isinstance(self, Constant):
            fields.append(f"grad={self._grad!r}")
        if self.op:
            fields.append(f"op={self.op.symbol!r}")
        if self.label:
            fields.append(f"label={self.label!r}")
        return f"{type(self).__name__}({', '.join(fields)})"

    # Copies and pickles, at any depth: parents are always handled before their children.

    def __copy__(self) -> Any:
        return _rebuilt(*self._state())

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        for node in topological_order(self):
            if id(node) not in memo:
                *state, parents = node._state()
                memo[id(node)] = _rebuilt(*state, tuple([memo[id(parent)] for parent in parents]))
        return memo[id(self)]

    def _state(self) -> tuple[type[Self], tuple[Any, Any], tuple[Value, ...]]:
        slots = (self.data, self._grad, self.op, self._dx, self._dy, self.label, self.scope)
        return type(self), (slots, getattr(self, "__dict__", {})), self.parents

    def __reduce__(self) -> Any:
        # Pickle recurses from a node to its parents.  So the first node it meets brings along all that
        # is below it, in topological order, and each of those finds its parents already pickled.
        pending = _pickling.pending()
        if pending and id(self) in pending:
            return _rebuilt, self._state()
        below = topological_order(self)[:-1]
        ids = _Ids(map(id, below))
        _pickling.pending = weakref.ref(ids)
        return _rebuilt, (below, ids, *self._state())


class Constant(Value):
    """A number that is part of a graph and never given a gradient: a plain number, or a detached Value.

    >>> y = 2.0 * Value(3.0)
    >>> y.parents
    (Constant(data=2.0), Value(data=3.0))
    >>> y.backward(); y.parents[0].grad
    0.0
    """

    __slots__ = ()

    @property
    def grad(self) -> float:
        """Always 0.0: nothing is differentiated with respect to a constant."""
        return 0.0

    @grad.setter
    def grad(self, x: float | None) -> None:
        pass  # a loop that resets the grad of every node may meet constants

    @property
    def has_grad(self) -> bool:
        """Always False."""
        return False


class _Ids(set[int]):
    """The nodes that pickle is about to save in topological order; gone as soon as pickle is done."""

    def __reduce__(self) -> Any:
        return set, ()


class _Pickling(threading.local):
    pending: Callable[[], _Ids | None] = staticmethod(lambda: None)


_pickling = _Pickling()


def _rebuilt(*state: Any) -> Any:
    """The node of a copy or a pickle. What stands before its state only had to be pickled first."""
    kind, (slots, more), parents = state[-3:]
    node = _new(kind)
    for name, attribute in more.items():  # of a subclass
        setattr(node, name, attribute)
    node._data, node._grad, node.op, node._dx, node._dy, node.label, node.scope = slots
    _link(node, parents)
    return node


def _link(node: Value, parents: tuple[Value, ...]) -> None:
    if len(parents) > 2 or (node.op and node.op.nary):
        node._x, node._y = parents, None
    elif len(parents) == 2:
        node._x, node._y = parents
    else:
        node._x, node._y = parents[0] if parents else None, None


def _ieee(operands: Sequence[Any], nary: bool) -> Sequence[Any]:
    return [_ieee(column, False) for column in operands] if nary else [Ieee(x) for x in operands]


def _record(op: Operation, operands: Sequence[Value | float]) -> Value:
    """A new node, the long way: any operation, operands that may be numbers, and all that can go wrong."""
    recording = not context.no_grad_blocks or context.recording.get()
    if not recording:
        numbers = [x.data if isinstance(x, Value) else real(x, op.name) for x in operands]
        with suppress(ArithmeticError, ValueError):  # the rest below explains the error
            return Constant(float(op.forward(*op.columns(numbers))))
    parents = tuple([x if type(x) is Value or isinstance(x, Value) else _constant(real(x, op.name)) for x in operands])
    node = _new(Constant if set(map(type, parents)) == {Constant} else Value)
    node._grad, node.op, node.label = None, op, ""
    node.scope = context.scope.get() if context.scope_blocks else ""
    _link(node, parents)
    node._evaluate()
    if (made := context.made.get()) is not None:
        made.add(node)
    return node


def label_from(namespace: Mapping[str, object]) -> None:
    """Label the unnamed Values of a namespace after the variables that hold them.

    Args:
        namespace: such as ``locals()``; Values in lists and tuples are labelled ``x[0]``, ``x[1]``, ….
            Names with a leading underscore are passed over.

    >>> a, x = Value(1.0), [Value(2.0), Value(3.0)]
    >>> label_from({"a": a, "x": x})
    >>> a.label, x[1].label
    ('a', 'x[1]')
    """
    todo: list[tuple[str, object]] = [item for item in namespace.items() if not item[0].startswith("_")]
    for name, held in todo:  # grows while it is walked
        if isinstance(held, Value):
            held.label = held.label or name
        elif isinstance(held, (list, tuple)):
            todo += [(f"{name}[{j}]", x) for j, x in enumerate(held)]


for _row in map(ops.table.__getitem__, ops.BUILT_IN):  # what help() shows of a function
    _row.__doc__ = f"{_written(_row)}: a float of floats, a node of Values."
