"""A graph as an object: run forward and backward, stepped through, counted and questioned."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from autograd import algorithms
from autograd.operations import printable, real
from autograd.program import Backend, Program
from autograd.symbol import Symbol
from autograd.value import Constant, Value


class Edge(NamedTuple):
    """One operand of one operation. ``a * a`` has two edges, told apart by their position."""

    parent: Value
    child: Value
    position: int


class ForwardStep(NamedTuple):
    """One operation of the forward pass: u(i) = f(i)(A(i))."""

    node: Value
    operands: tuple[float, ...]
    value: float
    graph: Graph

    def __repr__(self) -> str:
        return f"<ForwardStep {self}>"

    def __str__(self) -> str:
        name, op = self.graph.name, self.node.op
        assert op is not None
        symbols = op(*op.columns([Symbol(name(parent)) for parent in self.node.parents]))
        numbers = op(*op.columns([Symbol(f"{x:.4g}") for x in self.operands]))
        return f"{name(self.node)} = {symbols} = {numbers} = {self.value:.4g}"


class BackwardStep(NamedTuple):
    """One term of the backward pass: adjoint × local partial, added to what the parent has so far."""

    child: Value
    parent: Value
    position: int
    adjoint: float
    partial: float
    contribution: float
    total: float
    graph: Graph

    def __repr__(self) -> str:
        return f"<BackwardStep {self}>"

    def __str__(self) -> str:
        child, parent = self.graph.name(self.child), self.graph.name(self.parent)
        return (
            f"grad {parent} += grad {child} · ∂{child}/∂{parent} = {self.adjoint:.4g} · {self.partial:.4g}"
            f" = {self.contribution:.4g}, so far {self.total:.4g}"
        )


class Path(NamedTuple):
    """One way from an output down to a node; the product of its partials is its share of the derivative."""

    nodes: tuple[Value, ...]
    partials: tuple[float, ...]

    @property
    def product(self) -> float:
        """The product of the local partials along the path."""
        return math.prod(self.partials)


class NaiveVisits(NamedTuple):
    """What plain recursion without a sort would do: see :meth:`Graph.naive_backward_visits`."""

    visits: dict[Value, int]
    #: The gradients it would find, or None if it would take too long to find out.
    grads: dict[Value, float] | None

    @property
    def total(self) -> int:
        """All visits together; the sorted pass visits every node once."""
        return sum(self.visits.values())


class NonFinite(NamedTuple):
    """Where a nan or an infinity entered a graph."""

    node: Value
    phase: str
    message: str

    def __str__(self) -> str:
        return self.message


class Graph:
    """Everything that one or more values depend on, in topological order.

    Args:
        roots: the outputs.

    >>> x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(7.0, label="b")
    >>> graph = Graph((x * w + b).tanh())
    >>> graph
    <Graph of v6: 6 values (3 leaves, 3 operations), 5 edges, depth 3; backward has not been run>
    >>> graph.forward({x: 1.5})
    >>> graph.backward()
    >>> print(graph.nodes[-1].data, x.grad)
    0.98661... -0.07977...
    """

    def __init__(self, *roots: Value) -> None:
        if not roots:
            raise TypeError("Graph needs at least one Value, its output")
        for root in roots:
            if not isinstance(root, Value):
                raise TypeError(f"Graph needs Values, not {type(root).__name__} {root!r}")
        self.roots = tuple(dict.fromkeys(roots))
        self.nodes = tuple(algorithms.topological_order(*self.roots))

    @functools.cached_property
    def _places(self) -> dict[Value, int]:
        """i of each u(i)."""
        return {node: i for i, node in enumerate(self.nodes, start=1)}

    @functools.cached_property
    def _letter(self) -> str:
        """What numbers of nodes follow: v, unless labels such as v3 could be mistaken for them."""
        labels = "\n".join(node.label for node in self.nodes)
        return next((c for c in "vuzq" if not re.search(rf"^{c}_?\d+$", labels, re.MULTILINE)), "node")

    @property
    def leaves(self) -> tuple[Value, ...]:
        """The variables: nodes without parents that are not constants."""
        return tuple(node for node in self.nodes if node.op is None and not isinstance(node, Constant))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every operand of every operation, with multiplicity."""
        return tuple(Edge(parent, node, j) for node in self.nodes for j, parent in enumerate(node.parents))

    def name(self, node: Value) -> str:
        """What a node is called: its label, or u(i)'s number as ``v7``; a constant is called its value.

        Raises:
            ValueError: if the node is not part of the graph.

        >>> x = Value(3.0, label="x")
        >>> y = 2.0 * x
        >>> [Graph(y).name(node) for node in Graph(y)]
        ['2', 'x', 'v3']
        """
        if node not in self._places:
            raise ValueError(f"{node!r} is not a node of {self!r}")
        if label := printable(node.label):
            return label
        if isinstance(node, Constant) and node.op is None:
            return f"{node.data:.6g}"
        return f"{self._letter}{self._places[node]}"

    def forward(self, values: Mapping[Value, float] | None = None) -> None:
        """Algorithm 6.1: compute data and local partials again, in place.

        Args:
            values: new numbers for some leaves, constants included; the others are taken as they stand.

        Raises:
            ValueError: if a key is not a leaf of this graph, or an operation leaves its domain.
                Then nothing has changed, the leaves included.

        >>> x = Value(3.0)
        >>> y = x * x
        >>> Graph(y).forward({x: 5.0})
        >>> y.data, y.partials
        (25.0, (5.0, 5.0))
        """
        values = values or {}
        for leaf, x in values.items():
            real(x, f"forward, for {self.name(leaf)},")
            if leaf.op is not None:
                raise ValueError(f"{self.name(leaf)} is computed by {leaf.op.name}: only leaves can be given a number")
        algorithms.forward(self.nodes, values)

    def backward(self, gradient: float = 1.0) -> None:
        """Algorithm 6.2: add ∂root/∂v to the ``grad`` of every node v; of several roots, the sum over them.

        Args:
            gradient: the seed, ∂root/∂root.

        >>> x = Value(3.0)
        >>> Graph(x * x, 10.0 * x).backward(); x.grad
        16.0
        """
        algorithms.backward(self.nodes, {root: root._seed(gradient) for root in self.roots})

    def compile(
        self, inputs: Sequence[Value] = (), wrt: Sequence[Value] | None = None, *, backend: Backend = "auto"
    ) -> Program:
        """This graph as a program, which runs on other numbers at machine speed.

        Args:
            inputs: the leaves that every call of the program gives numbers for, constants included.
            wrt: the nodes to differentiate by, in the order of the gradient; all variables that are no
                inputs, if left out; an empty list for the value alone.
            backend: "llvm" for machine code (with ``llvmlite``), "source" for Python; the first that is there.

        Returns:
            A :class:`Program`. It does not change the graph, nor is it changed by it.

        Raises:
            ValueError: if an input is not a leaf, or a node stands twice.
            TypeError: if an input, or one of ``wrt``, is no Value.

        >>> x, w = Value(2.0, label="x"), Value(-3.0, label="w")
        >>> program = Graph((x * w).tanh()).compile(inputs=[x])
        >>> value, grads = program(0.5)
        >>> value, grads.tolist()
        (-0.905148..., [0.090353...])
        """
        return Program(self.roots, self.nodes, inputs, wrt, backend=backend)

    def zero_grad(self) -> None:
        """Forget the ``grad`` of every node.

        >>> x = Value(3.0)
        >>> graph = Graph(x * x)
        >>> graph.backward(); graph.zero_grad(); x.grad
        0.0
        """
        algorithms.zero_grad(self.nodes)

    def steps(self) -> Iterator[ForwardStep | BackwardStep]:
        """The two passes, one event at a time, at the recorded numbers; nothing is changed.

        Yields:
            A ``ForwardStep`` per operation, then a ``BackwardStep`` per operand, towards the leaves.

        >>> a = Value(3.0, label="a")
        >>> for step in Graph(a * a).steps():
        ...     print(step)
        v2 = a * a = 3 * 3 = 9
        grad a += grad v2 · ∂v2/∂a = 1 · 3 = 3, so far 3
        grad a += grad v2 · ∂v2/∂a = 1 · 3 = 3, so far 6
        """
        for node in self.nodes:
            if node.op is not None:
                yield ForwardStep(node, tuple(parent.data for parent in node.parents), node.data, self)
        adjoint = dict.fromkeys(self.nodes, 0.0) | dict.fromkeys(self.roots, 1.0)
        for child in reversed(self.nodes):
            g = adjoint[child]
            for j, (parent, partial) in enumerate(zip(child.parents, child.partials, strict=True)):
                if not isinstance(parent, Constant):
                    contribution = g * partial if g else 0.0
                    adjoint[parent] += contribution
                    yield BackwardStep(child, parent, j, g, partial, contribution, adjoint[parent], self)

    def path_count(self, output: Value, node: Value) -> int:
        """The number of paths from ``output`` down to ``node``; the sort makes each edge count once instead.

        >>> a = Value(1.0)
        >>> b = a + a
        >>> c = b + b
        >>> Graph(c).path_count(c, a)
        4
        """
        self.name(output), self.name(node)  # both must be of this graph
        return self._path_counts(output).get(node, 0)

    def _path_counts(self, *outputs: Value) -> dict[Value, int]:
        counts = dict.fromkeys(outputs, 1)
        for child in reversed(self.nodes):
            if child in counts:
                for parent in child.parents:
                    counts[parent] = counts.get(parent, 0) + counts[child]
        return counts

    def paths(self, output: Value, node: Value) -> Iterator[Path]:
        """Every path from ``output`` down to ``node``, with its partials; their products add up to the derivative.

        There may be exponentially many: ask ``path_count`` first.

        >>> x = Value(3.0)
        >>> y = x * x + 2.0 * x
        >>> [path.partials for path in Graph(y).paths(y, x)]
        [(1.0, 3.0), (1.0, 3.0), (1.0, 2.0)]
        """
        self.name(output), self.name(node)
        leads_to = algorithms.leading_to(self.nodes, [node])
        nodes: list[Value] = []
        partials: list[float] = []
        # Depth-first: the open nodes from the output down, each with the edges it has still to follow.
        following = [iter([(output, 1.0)])] if output in leads_to else []
        while following:
            step = next(following[-1], None)
            if step is None:
                following.pop()
                del nodes[-1:], partials[-1:]
                continue
            child, partial = step
            if child in leads_to:
                nodes.append(child)
                partials.append(partial)
                if child is node:
                    yield Path(tuple(nodes), tuple(partials[1:]))
                    nodes.pop()
                    partials.pop()
                else:
                    following.append(zip(child.parents, child.partials, strict=True))

    def naive_backward_visits(self) -> NaiveVisits:
        """What backward would do without a topological sort.

        Plain recursion, that is::

            def naive(node):
                for parent, partial in zip(node.parents, node.partials):
                    parent.grad += node.grad * partial
                for parent in node.parents:
                    naive(parent)

        It visits a node once per *path*, which grows exponentially where values are reused, and it
        is wrong there: a second visit hands on again what the first has handed on already.

        Returns:
            The visits of each node, and the gradients found (up to 100,000 visits).

        >>> a = Value(1.0)
        >>> b = a + a
        >>> c = b + b
        >>> naive = Graph(c).naive_backward_visits()
        >>> naive.visits[a], naive.grads[a]   # the right gradient is 4
        (4, 8.0)
        """
        visits = self._path_counts(*self.roots)
        if sum(visits.values()) > 100_000:
            return NaiveVisits(visits, None)
        grads = dict.fromkeys(self.nodes, 0.0) | dict.fromkeys(self.roots, 1.0)
        stack = [*reversed(self.roots)]
        while stack:
            node = stack.pop()
            for parent, partial in zip(node.parents, node.partials, strict=True):
                grads[parent] += grads[node] * partial if grads[node] else 0.0
            stack += reversed(node.parents)
        return NaiveVisits(visits, grads)

    def first_nonfinite(self) -> NonFinite | None:
        """Where a nan or an infinity entered first: in the forward pass, else in the backward pass, else None.

        >>> x = Value(0.0, label="x")
        >>> print(Graph(x.sqrt()).first_nonfinite())
        backward: the slope ∂v2/∂x is inf, in sqrt(u), u = 0.0 ("x")
        """
        for node in self.nodes:
            if not math.isfinite(node.data) and all(math.isfinite(parent.data) for parent in node.parents):
                return NonFinite(node, "forward", f"forward: {self.name(node)} is {node.data}, {self._origin(node)}")
        for step in self.steps():
            if isinstance(step, BackwardStep) and not math.isfinite(step.total):
                child, parent = self.name(step.child), self.name(step.parent)
                what = f"the grad of {parent} becomes {step.total}"
                if not math.isfinite(step.partial):
                    what = f"the slope ∂{child}/∂{parent} is {step.partial}"
                return NonFinite(step.child, "backward", f"backward: {what}, {self._origin(step.child)}")
        return None

    def _origin(self, node: Value) -> str:
        if node.op is None:
            return "a leaf"
        operands = node.op.columns([parent.data for parent in node.parents])
        return node.op.describe(operands, [self.name(parent) for parent in node.parents])

    def __repr__(self) -> str:
        depth: dict[Value, int] = {}
        for node in self.nodes:
            depth[node] = max((depth[parent] + 1 for parent in node.parents), default=0)
        operations = sum(node.op is not None for node in self.nodes)
        leaves = len(self.leaves)
        constants = len(self) - operations - leaves
        kinds = [
            (leaves, "leaf", "leaves"),
            (constants, "constant", "constants"),
            (operations, "operation", "operations"),
        ]
        shown = ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in kinds if n)
        state = "backward has been run" if any(root.has_grad for root in self.roots) else "backward has not been run"
        names = ", ".join(map(self.name, self.roots))
        edges = sum(len(node.parents) for node in self.nodes)
        return f"<Graph of {names}: {len(self)} values ({shown}), {edges} edges, depth {max(depth.values())}; {state}>"

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.nodes)

    def __contains__(self, node: object) -> bool:
        return node in self._places
