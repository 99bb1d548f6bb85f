"""The sort and the two algorithms, in the notation of Goodfellow, Bengio & Courville, *Deep Learning*.

The nodes u(1), …, u(n) of a graph stand in an order in which every node comes after its parents,
Pa(u(i)).  Then each u(i) can be computed from the ones before it (Algorithm 6.1), and each adjoint
∂u(n)/∂u(j) from the ones after it (Algorithm 6.2):

    ∂u(n)/∂u(j)  =  Σ over the children i of j  of  ∂u(n)/∂u(i) · ∂u(i)/∂u(j)

Nothing here knows any operation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

from autograd import locks

if TYPE_CHECKING:
    from autograd.operations import Operation
    from autograd.value import Value


def topological_order(*roots: Value) -> list[Value]:
    """All nodes that the roots depend on, each after its parents, which come in operand order.

    Depth-first with a stack of its own, so that no depth is too deep: on the stack, ``None``
    marks that all parents of the node below it are done.
    """
    order: list[Value] = []
    seen: set[Value] = set()
    stack: list[Any] = [*reversed(roots)]
    while stack:
        node = stack.pop()
        if node is None:
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            x, y = node._x, node._y
            if x is None:
                order.append(node)
            elif y is not None:
                stack += (node, None, y, x)
            elif type(x) is tuple:
                stack += (node, None, *reversed(x))
            else:
                stack += (node, None, x)
    return order


def leading_to(order: Iterable[Value], nodes: Iterable[Value]) -> set[Value]:
    """The nodes of a graph in topological order that depend on some of ``nodes``, and these themselves."""
    leads = set(nodes)
    for node in order:
        if not leads.isdisjoint(node.parents):
            leads.add(node)
    return leads


def forward(order: Sequence[Value], given: Mapping[Value, float]) -> None:
    """Algorithm 6.1: u(i) = f(i)(A(i)), for i in topological order; local partials along with it.

    If an operation fails, or the pass is interrupted, every node is as it was before.

    Args:
        order: the graph in topological order.
        given: new numbers for some of its leaves.
    """
    nodes = [*order] * 3
    slots = [slot for slot in ("_data", "_dx", "_dy") for _ in order]
    before = list(map(getattr, nodes, slots))
    try:
        _evaluate(order, given)
    except BaseException:
        assign(nodes, slots, before)
        raise


# The loops of both passes are functions of their own, outside of try and with: CPython may leave the end of a
# loop in such a block unguarded, and a KeyboardInterrupt that comes just there would skip what undoes the pass.


def _evaluate(order: Sequence[Value], given: Mapping[Value, float]) -> None:
    for leaf, x in given.items():
        leaf._data = float(x)
    for node in order:
        if node.op is not None:
            node._evaluate()


def adjoints(
    order: Sequence[Value],
    number: Callable[[Value], Any],
    seeds: Mapping[Value, Any],
    wrt: Iterable[Value],
    chain: Callable[[Any, Operation, int, Sequence[Any], Any], Any],
) -> list[Any]:
    """Algorithm 6.2 in any kind of number: the adjoint of each of ``wrt``, or None where nothing flows.

    Args:
        order: the graph in topological order.
        number: a node, spoken in that kind of number.
        seeds: the adjoints to start from, ∂u(n)/∂u(n) = 1 for one output.
        wrt: the nodes whose adjoints are wanted; other branches are not followed.
        chain: one term of the sum, ``g · op.slope(j, operands, z)``, or None if it is certainly zero.
    """
    wanted = list(wrt)
    leads_to = leading_to(order, wanted)
    adjoint: dict[Value, Any] = dict(seeds)
    for node in reversed(order):
        if node.op is None or node not in leads_to or node not in adjoint:
            continue
        parents = node.parents
        operands, z = [number(parent) for parent in parents], number(node)
        for j, parent in enumerate(parents):
            if parent in leads_to:
                term = chain(adjoint[node], node.op, j, operands, z)
                if term is not None:
                    adjoint[parent] = adjoint[parent] + term if parent in adjoint else term
    return [adjoint.get(node) for node in wanted]


def backward(order: Sequence[Value], seeds: Mapping[Value, float]) -> None:
    """Algorithm 6.2 in floats, with the recorded partials: adds ∂u(n)/∂u(j) to the ``grad`` of every node.

    If the pass is interrupted, every ``grad`` is as it was before.
    """
    with _one_sweep_at_a_time:
        saved = [node._grad for node in order]
        try:
            _accumulate(order, seeds)
            if any(saved):
                totals = [(node._grad or 0.0) + (old or 0.0) for node, old in zip(order, saved, strict=True)]
                assign(order, "_grad", totals)
        except BaseException:
            assign(order, "_grad", saved)
            raise


def _accumulate(order: Sequence[Value], seeds: Mapping[Value, float]) -> None:
    """The adjoints of one pass.

    The same sum as in :func:`adjoints`, unrolled for one and two parents because training lives
    here.  A node whose adjoint is exactly 0 hands nothing on, so that 0 · inf never becomes nan.
    """
    for node in order:
        node._grad = 0.0
    for node, seed in seeds.items():
        node._grad = seed
    for node in reversed(order):
        g = node._grad
        if g:
            x = node._x
            y = node._y
            if y is not None:
                x._grad += g * node._dx
                y._grad += g * node._dy
            elif type(x) is tuple:
                for parent, partial in zip(x, node._dx):  # noqa: B905  # same length by construction
                    parent._grad += g * partial
            elif x is not None:
                x._grad += g * node._dx


def zero_grad(nodes: Iterable[Value]) -> None:
    """Forget the ``grad`` of all these nodes, or, if it is interrupted, of none."""
    with _one_sweep_at_a_time:
        assign(nodes, "_grad", repeat(None))


# Two threads may share parameters, and so their adjoints.
_one_sweep_at_a_time = locks.shared()


def assign(objects: Iterable[Any], slots: str | Iterable[str], values: Iterable[Any]) -> None:
    """Set an attribute of every object, all or none: no KeyboardInterrupt comes within one call of C code."""
    deque(map(setattr, objects, repeat(slots) if isinstance(slots, str) else slots, values), maxlen=0)
