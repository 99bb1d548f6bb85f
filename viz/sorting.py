"""Why there is a topological sort: plain recursion on the user's own graph, beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from autograd import Constant, Graph, Value
from autograd.graph import BackwardStep
from autograd.operations import printable
from viz import dot
from viz.diagram import Card, Diagram, Ribbon, Row, named, role
from viz.formulas import counted
from viz.picture import Picture
from viz.table import ROWS, Table
from viz.text import SIGNS, graph_of, pretty, short

#: The most values that a picture shows.
CARDS = 40


class Visited(NamedTuple):
    """One value: how often plain recursion comes to it, and the gradients found with and without the sort."""

    node: Value
    visits: int
    #: None if it takes too many visits to find out.
    recursion: float | None
    sorted: float

    @property
    def wrong(self) -> bool:
        """Whether recursion gets another number, not by rounding only."""
        found, right = self.recursion, self.sorted
        return found is not None and not math.isclose(found, right, rel_tol=1e-9) and not (found != found != right)


@dataclass(frozen=True, slots=True, repr=False)
class WhySort:
    """Plain recursion beside the topological order: prints as a table, shows itself in notebooks.

    >>> a = Value(1.0, label="a")
    >>> sort = why_sort(a + a)
    >>> sort.visits, sort.paths, sort.edges
    (3, 2, 2)
    """

    graph: Graph
    values: tuple[Visited, ...]
    visits: int
    #: From the outputs to the leaves.
    paths: int
    edges: int

    def table(self) -> Table:
        """A row per value, and two sentences.

        >>> a = Value(1.0, label="a")
        >>> sort = why_sort(a + a)
        >>> [row[0] for row in sort.table().rows]
        ['a', 'v₂']
        """
        rows = [
            (
                pretty(self.graph.name(value.node)),
                counted(value.visits),
                "1",
                _found(value),
                short(value.sorted, 5),
            )
            for value in self.values[:ROWS]
        ]
        if more := len(self.values) - len(rows):
            rows.append((f"… {more:,} more", "", "", "", ""))
        head = ("value", "visits, recursion", "visits, sorted", "grad, recursion", "grad, sorted")
        return Table("Why a topological sort?", head, tuple(rows), "<>>>>", self.sentences())

    def sentences(self) -> tuple[str, str]:
        """What the table shows.

        >>> a = Value(1.0, label="a")
        >>> sort = why_sort(a + a)
        >>> print(sort.sentences()[0])
        Recursion visits a value once per path to it: 3 visits to 2 values, along 2 paths; sorted, it takes 2 edges.
        """
        n = len(self.values)
        first = (
            f"Recursion visits a value once per path to it: {_plural(self.visits, 'visit')} to {_plural(n, 'value')},"
            f" along {_plural(self.paths, 'path')}; sorted, it takes {_plural(self.edges, 'edge')}."
        )
        wrong = sum(value.wrong for value in self.values)
        if any(value.recursion is None for value in self.values):
            return first, "Recursion was not run, as it needs over 100,000 visits; sorted, only the edges count."
        again = "A value that is visited again hands on again what it has handed on before"
        if wrong:
            return first, f"{again}: {wrong:,} of {n:,} gradients {'is' if wrong == 1 else 'are'} wrong (✗)."
        if any(value.visits > 1 and value.node.op for value in self.values):
            return first, f"{again}; at these numbers, no gradient becomes wrong by it."
        return first, "Here no gradient is wrong: at most leaves, which hand nothing on, are visited more than once."

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def markdown(self) -> str:
        """The table in Markdown.

        >>> a = Value(1.0, label="a")
        >>> sort = why_sort(a + a)
        >>> print(sort.markdown().splitlines()[0])
        **Why a topological sort?**
        """
        return self.table().markdown()

    def html(self) -> str:
        """The table in HTML.

        >>> a = Value(1.0, label="a")
        >>> sort = why_sort(a + a)
        >>> sort.html().count("<tr>")
        3
        """
        return self.table().html()

    _repr_html_ = html

    def picture(self) -> Picture:
        """The graph, with the visits and both gradients on each value's card.

        Raises:
            ValueError: if there are more than 40 values.

        >>> a = Value(1.0, label="a")
        >>> sort = why_sort(a + a)
        >>> sort.picture()
        <Picture: Why a topological sort?>
        """
        if len(self.values) > CARDS:
            raise ValueError(f"{len(self.values):,} values are too many for a picture, which shows up to {CARDS}")
        names = named(self.graph, longest=18)
        ids = {value.node: f"v{i}" for i, value in enumerate(self.values, start=1)}
        cards = []
        for value in self.values:
            node, visits = value.node, counted(value.visits)
            rows = (
                Row("visits", visits),
                Row("recursion", _found(value), -1 if value.wrong else None),
                Row("sorted", short(value.sorted, 5)),
            )
            op = printable(SIGNS.get(node.op.symbol, node.op.symbol)) if node.op else ""
            told = f"{names[node]}: {visits} visits, grad by recursion {_found(value)}, sorted {rows[-1].text}"
            cards.append(Card(ids[node], names[node], role(node, self.graph, ()), op, rows, told))
        ribbons = [
            Ribbon(ids[edge.parent], ids[edge.child], f"{names[edge.parent]} is used by {names[edge.child]}")
            for edge in self.graph.edges
            if edge.parent in ids
        ]
        picture = Picture("why_sort")
        diagram = Diagram("Why a topological sort?", self.sentences(), tuple(cards), tuple(ribbons))
        dot.gradient_flow(picture, diagram)
        picture.title, picture.description, picture.text = diagram.title, " ".join(diagram.notes), str(self)
        return picture


def why_sort(y: Value | Graph) -> WhySort:
    """Plain recursion beside the topological order, on this graph.

    Without a sort, ``backward`` would visit a value once per path, and hand on again what a first
    visit has handed on already: too slow, and wrong. The smallest example has three values.

    Args:
        y: the output, or a Graph.

    Returns:
        Visits and gradients of every value: ``str()`` is text, ``.picture()`` shows them on the graph.

    Raises:
        TypeError: if ``y`` is neither a Value nor a Graph.

    >>> a = Value(1.0, label="a")
    >>> b = a + a
    >>> c = b + b
    >>> b.label, c.label = "b", "c"
    >>> why_sort(c)
    Why a topological sort?
    <BLANKLINE>
    value  visits, recursion  visits, sorted  grad, recursion  grad, sorted
    ───────────────────────────────────────────────────────────────────────
    a                      4               1              8 ✗             4
    b                      2               1                2             2
    c                      1               1                1             1
    <BLANKLINE>
    Recursion visits a value once per path to it: 7 visits to 3 values, along 4 paths; sorted, it takes 4 edges.
    A value that is visited again hands on again what it has handed on before: 1 of 3 gradients is wrong (✗).
    """
    graph = graph_of(y, "why_sort")
    naive = graph.naive_backward_visits()
    found = naive.grads
    right = dict.fromkeys(graph.nodes, 0.0) | dict.fromkeys(graph.roots, 1.0)
    right |= {step.parent: step.total for step in graph.steps() if isinstance(step, BackwardStep)}
    nodes = [node for node in graph.nodes if not isinstance(node, Constant)]  # constants have no gradient
    return WhySort(
        graph,
        tuple(Visited(node, naive.visits[node], None if found is None else found[node], right[node]) for node in nodes),
        sum(naive.visits[node] for node in nodes),
        sum(naive.visits[node] for node in graph.leaves),
        sum(not isinstance(edge.parent, Constant) for edge in graph.edges),
    )


def _plural(n: int, noun: str) -> str:
    return f"{counted(n)} {noun}{'' if n == 1 else 's'}"


def _found(value: Visited) -> str:
    return "not run" if value.recursion is None else short(value.recursion, 5) + (" ✗" if value.wrong else "")
