"""The recursive chain rule, written out for the user's own graph and numbers."""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from autograd import Constant, Graph, Symbol, Value
from autograd.algorithms import leading_to
from autograd.graph import BackwardStep, Edge
from autograd.operations import PRODUCT, add, mul
from viz.derivation import Derivation, Line, Part
from viz.formulas import MANY, Names, called, counted, figure, fold, formula, local
from viz.text import short

#: So many values on the way are written out; of more, the first and the last ``ENDS``.
LINES, ENDS = 12, 5
#: So many paths are listed, and a product of so many links also stands in one line.
PATHS, LINKS = 20, 4
#: So many paths are kept while they are looked for, over all nodes.
ROOM = 2_000_000


def explain(y: Value, x: Value, *, paths: bool = False, check: bool = False) -> Derivation:
    """How ∂y/∂x follows from the chain rule, step by step.

    First what is computed on the way from x to y, then Algorithm 6.2 along the same way back: the
    derivative by each value is the sum over its children of the derivative by the child, times the
    local derivative, as its rule and as its number. Of more than 12 values on the way, only the
    first and the last are written out; a single path of up to 4 links is also written in one line.

    Args:
        y: the output.
        x: any value that y depends on.
        paths: whether to add the sum over all paths from y to x, of which the 20 largest are written.
        check: whether to add a central finite difference, and how near it is.

    Returns:
        The derivation: ``str()`` is text, ``.markdown()``, ``.latex()`` and ``.html()`` what they say.

    Raises:
        ValueError: if y does not depend on x, or x is a constant.

    >>> x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(7.0, label="b")
    >>> o = (x * w + b).tanh()
    >>> o.label = "o"
    >>> explain(o, x, check=True)
    ∂o/∂x by the chain rule
    <BLANKLINE>
    forward
      v₃ = x · w = 2 · (−3) = −6
      v₅ = v₃ + b = −6 + 7 = 1
      o  = tanh(v₅) = tanh(1) = 0.7616
    backward
      ∂o/∂o  = 1
      ∂o/∂v₅ = (1 − o) · (1 + o) = (1 − 0.7616) · (1 + 0.7616) = 0.4200
      ∂o/∂v₃ = ∂o/∂v₅ · ∂v₅/∂v₃ = 0.4200 · 1 = 0.4200
      ∂o/∂x  = ∂o/∂v₃ · ∂v₃/∂x = 0.4200 · w = 0.4200 · (−3) = −1.2599
    in one line
      ∂o/∂x = ∂o/∂v₅ · ∂v₅/∂v₃ · ∂v₃/∂x = (1 − o) · (1 + o) · w = 0.4200 · 1 · (−3) = −1.2599
    check
      Δo/Δx = −1.2599   (a finite difference, h = 1.2e−5 to both sides; relative error ...)
    """
    for node in (y, x):
        if not isinstance(node, Value):
            raise TypeError(f"explain needs two Values, the output and what to differentiate by, not {node!r}")
    graph = Graph(y)
    if isinstance(x, Constant):
        raise ValueError(f"nothing is differentiated with respect to a constant: {x!r}")
    if x not in graph:
        cure = ": give the output first, as in explain(y, x)" if y in Graph(x) else ""
        raise ValueError(f"{y!r} does not depend on {x!r}{cure}")
    leads_to = leading_to(graph, [x])
    way = [node for node in graph if node in leads_to]
    adjoint = {step.parent: step.total for step in graph.steps() if isinstance(step, BackwardStep)}
    children: dict[Value, list[Edge]] = defaultdict(list)
    for child in way:
        for j, parent in enumerate(child.parents):
            if parent in leads_to:
                children[parent].append(Edge(parent, child, j))
    writer = _Writer(y, adjoint, functools.cache(lambda node: called(graph, node)))
    middle = len(way) - 2 * ENDS if len(way) > LINES else 0
    gap = [f"… {middle:,} more values like these …"] * bool(middle)
    ends = (way[:ENDS], way[-ENDS:]) if middle else (way, [])
    first, last = ([writer.computed(node) for node in end if node.op] for end in ends)
    left, right = ([writer.differentiated(node, children[node]) for node in reversed(end)] for end in ends)
    parts = [Part("forward", (*first, *gap, *last)), Part("backward", (*right, *gap, *left))]
    if paths:
        parts.append(writer.by_paths(x, way, children))
    elif 1 < len(way) - 1 <= LINKS and all(len(children[node]) == 1 for node in way[:-1]):
        links = [children[node][0] for node in reversed(way[:-1])]
        parts.append(Part("in one line", (writer.product(links, writer.slope(y, x), adjoint[x], rule=True),)))
    value = adjoint.get(x, 1.0)
    if check:
        parts.append(Part("check", (writer.check(x, way, value),)))
    return Derivation(writer.slope(y, x), value, tuple(parts))


class _Writer:
    """Writes lines about one output."""

    def __init__(self, y: Value, adjoint: dict[Value, float], name: Names) -> None:
        self.y, self.adjoint, self.name = y, adjoint, name
        self.number: Names = functools.cache(lambda node: figure(node.data))

    def slope(self, y: Value, x: Value) -> Symbol:
        """∂y/∂x, as a symbol."""
        above, below = self.name(y), self.name(x)
        return Symbol(f"∂{above.text}/∂{below.text}", rf"\frac{{\partial {above.latex}}}{{\partial {below.latex}}}")

    def computed(self, node: Value) -> Line:
        """What a node is computed from."""
        return Line(self.name(node), None, formula(node, self.name), formula(node, self.number), node.data)

    def differentiated(self, node: Value, edges: Sequence[Edge]) -> Line:
        """∂y/∂node as the sum over the node's children: as symbols, as rules, as numbers, and its value."""
        what = self.slope(self.y, node)
        if not edges:
            return Line(what, None, None, None, 1.0)
        symbols = fold(add, edges, lambda edge: self.slope(self.y, edge.child) * self.slope(edge.child, node))
        rule, numbers = (fold(add, edges, functools.partial(self._term, name)) for name in (self.name, self.number))
        own = len(edges) == 1 and edges[0].child is self.y
        return Line(what, None if own else symbols, rule, numbers, self.adjoint[node])

    def _term(self, name: Names, edge: Edge) -> Symbol:
        """One child's share: its adjoint as a number, times the rule of the local derivative."""
        rule = local(edge, name)
        if rule.value is not None:
            rule = figure(edge.child.partials[edge.position])
        if edge.child not in self.adjoint:  # the output itself, whose adjoint is 1
            return rule
        g = figure(self.adjoint[edge.child])
        term = g * rule
        if rule.level == PRODUCT and not rule.text.startswith("-"):
            term.text = f"{g.text} * {rule.text}"  # g · (a · b) reads as well without brackets
        return term

    def product(
        self, links: Sequence[Edge], what: Symbol, value: float, remark: str = "", *, rule: bool = False
    ) -> Line:
        """The product of the local derivatives along one path."""
        symbols = fold(mul, links, lambda edge: self.slope(edge.child, edge.parent))
        numbers = fold(mul, links, lambda edge: figure(edge.child.partials[edge.position]))
        rules = fold(mul, links, lambda edge: local(edge, self.name)) if rule else None
        if rules is not None and rules.value is not None:  # a number, which the next step shows with its factors
            rules = None
        return Line(what, symbols, rules, numbers, value, remark)

    def by_paths(self, x: Value, way: Sequence[Value], children: dict[Value, list[Edge]]) -> Part:
        """The derivative as the sum over all paths."""
        count, found = largest(way, children)
        lines = []
        for i, (value, links) in enumerate(found, start=1):
            what = Symbol(f"path {i}", rf"\text{{path {i}}}")
            # Of equal ones, none dominates; nor of those of which no second is known.
            remark = "dominant" if i == 1 and len(found) > 1 and abs(value) > abs(found[1][0]) else ""
            lines.append(self.product(links, what, value, remark) if links else Line(what, None, None, None, value))
        total = fold(add, found, lambda path: figure(path[0]), count)
        lines.append(Line(self.slope(self.y, x), None, None, total, self.adjoint.get(x, 1.0)))
        shown = f"; {len(found)} shown" if count > len(found) else ""
        title = f"by paths ({counted(count)}{shown}; the largest first)" if count > 1 else "by paths (there is one)"
        return Part(title, tuple(lines))

    def check(self, x: Value, way: Sequence[Value], value: float) -> Line | str:
        """A central difference, computed beside the graph, which stays as it is."""
        h = 6e-6 * max(1.0, abs(x.data))

        def at(moved: float) -> float:
            data = {x: moved}
            for node in way:
                if node is not x and node.op is not None:
                    data[node] = node.op.evaluate(node.op.columns([data.get(p, p.data) for p in node.parents]))
            return data[self.y]

        name, parameter = self.name(self.y), self.name(x)
        try:
            numeric = (at(x.data + h) - at(x.data - h)) / ((x.data + h) - (x.data - h))
        except (ArithmeticError, ValueError):
            return f"no finite difference: not defined within h = {short(h)} of this point"
        error = abs(numeric - value) / (max(abs(numeric), abs(value)) or 1.0)
        told = f"a finite difference, h = {short(h)} to both sides; relative error {short(error, 2)}"
        what = rf"\frac{{\Delta {name.latex}}}{{\Delta {parameter.latex}}}"
        return Line(Symbol(f"Δ{name.text}/Δ{parameter.text}", what), None, None, None, numeric, told)


def largest(way: Sequence[Value], children: dict[Value, list[Edge]]) -> tuple[int, list[tuple[float, list[Edge]]]]:
    """The number of paths (or ``MANY``), and the largest by absolute value, each with its links from the output down.

    Every node keeps the best few paths that lead to it: those to its parent are among them, since a
    product with the same factor does not change their order. Nothing is enumerated.
    """
    most = max(1, min(PATHS, ROOM // len(way)))
    counts: dict[Value, int] = {way[-1]: 1}
    best: dict[Value, list[tuple[float, Any]]] = {way[-1]: [(1.0, None)]}  # a product, and its links as a linked list
    for node in reversed(way[:-1]):
        counts[node], best[node] = 0, []
        for edge in reversed(children[node]):
            partial = edge.child.partials[edge.position]
            counts[node] = min(MANY, counts[node] + counts[edge.child])
            best[node] += [(g * partial if g else 0.0, (edge, links)) for g, links in best[edge.child]]
            best[node] = sorted(best[node], key=_rank)[:most]
    found = []
    for product, links in best[way[0]]:
        edges = []
        while links:
            edge, links = links
            edges.append(edge)
        found.append((product, edges[::-1]))
    return counts[way[0]], found


def _rank(path: tuple[float, Any]) -> float:
    return -math.inf if math.isnan(path[0]) else -abs(path[0])  # first what makes the sum nan
