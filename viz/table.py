"""The forward and the backward pass of a graph as a table, and how a table is written."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from autograd import Constant, Graph, Value
from autograd.graph import BackwardStep
from viz.formulas import called, figure, formula
from viz.text import columns, cut, graph_of, short, typeset, written_sum

#: So many rows are written before the rest is only counted.
ROWS = 200
#: So many local partials of one operation are written.
PARTIALS = 6


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """Rows of cells under a caption: prints as text, shows itself in notebooks.

    >>> table = Table("Squares", ("x", "x²"), (("2", "4"), ("3", "9")), "<>")
    >>> table
    Squares
    <BLANKLINE>
    x  x²
    ─────
    2   4
    3   9
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    #: Per column, ``<`` or ``>``: where its cells stand.
    align: str
    #: Sentences below the table.
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        cells = [[cut(cell, 60) for cell in row] for row in (self.head, *self.rows)]
        widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
        lines = []
        for row in cells:
            gaps = [" " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)]
            placed = zip(row, gaps, self.align, strict=True)
            lines.append("  ".join(gap + cell if side == ">" else cell + gap for cell, gap, side in placed).rstrip())
        rule = "─" * (sum(widths) + 2 * len(widths) - 2)
        return "\n".join([self.caption, "", lines[0], rule, *lines[1:], *([""] if self.notes else []), *self.notes])

    __repr__ = __str__

    def markdown(self) -> str:
        """A table as GitHub and Jupyter read it.

        >>> table = Table("Squares", ("x", "x²"), (("2", "4"), ("3", "9")), "<>")
        >>> print(table.markdown())
        **Squares**
        <BLANKLINE>
        | x | x² |
        |:---|---:|
        | 2 | 4 |
        | 3 | 9 |
        <BLANKLINE>
        """
        rule = "|".join("---:" if side == ">" else ":---" for side in self.align)
        rows = [f"| {' | '.join(map(_markdown, row))} |" for row in (self.head, *self.rows)]
        notes = [_markdown(note) + "\n" for note in self.notes]
        return "\n".join([f"**{_markdown(self.caption)}**", "", rows[0], f"|{rule}|", *rows[1:], "", *notes])

    def html(self) -> str:
        """A table with a caption and headings that screen readers announce.

        >>> table = Table("Squares", ("x", "x²"), (("2", "4"), ("3", "9")), "<>")
        >>> table.html().count("<tr>")
        3
        """
        side = {"<": "left", ">": "right;white-space:nowrap"}

        def row(cells: tuple[str, ...], tag: str) -> Iterator[str]:
            for j, (cell, place) in enumerate(zip(cells, self.align, strict=True)):
                name = "th" if tag == "col" or j == 0 else "td"
                scope = f' scope="{tag}"' if name == "th" else ""
                text = escape(cell).replace(" = ", "\u00a0=\u00a0")  # an equation stays on its line
                yield f'<{name}{scope} style="text-align:{side[place]};padding:.2em .7em">{text}</{name}>'

        head = f"<thead><tr>{''.join(row(self.head, 'col'))}</tr></thead>"
        body = "".join(f"<tr>{''.join(row(cells, 'row'))}</tr>" for cells in self.rows)
        caption = f'<caption style="text-align:left;padding:.5em .7em"><b>{escape(self.caption)}</b></caption>'
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        # The classes keep MathJax from taking a dollar sign in a label for a formula's beginning.
        table = f'<table style="border-collapse:collapse">{caption}{head}<tbody>{body}</tbody></table>'
        return f'<div class="tex2jax_ignore mathjax_ignore" style="overflow-x:auto">{table}{notes}</div>'

    _repr_html_ = html


def graph_table(y: Value | Graph) -> Table:
    """Algorithms 6.1 and 6.2 as a table: a row per value, in topological order.

    From the top down, every value is computed from those above it; from the bottom up, every adjoint
    is the sum of what the values below it hand back. The adjoints are computed here: nothing of the
    graph changes, and it does not matter whether ``backward`` has been run.

    Args:
        y: the output, or a Graph.

    Returns:
        The table, up to 200 rows: ``str()`` is text, ``.markdown()`` and ``.html()`` what they say.

    Raises:
        TypeError: if ``y`` is neither a Value nor a Graph.

    >>> a = Value(3.0, label="a")
    >>> y = a * a - 6.0 * a
    >>> y.label = "y"
    >>> graph_table(y)
    y: values from the top down, derivatives from the bottom up
    <BLANKLINE>
    i  u(i)  operation  in numbers  value  local partials                 ∂y/∂u(i)
    ──────────────────────────────────────────────────────────────────────────────
    1  a     leaf                       3                           −6 + 3 + 3 = 0
    2  v₂    a · a      3 · 3           9  ∂v₂/∂a = 3, ∂v₂/∂a = 3                1
    3  6     constant                   6                                        —
    4  v₄    6 · a      6 · 3          18  ∂v₄/∂a = 6                           −1
    5  y     v₂ − v₄    9 − 18         −9  ∂y/∂v₂ = 1, ∂y/∂v₄ = −1               1
    """
    graph = graph_of(y, "graph_table")
    shown = graph.nodes[:ROWS]
    terms: dict[Value, list[float]] = defaultdict(list)
    adjoint = dict.fromkeys(graph.nodes, 0.0) | dict.fromkeys(graph.roots, 1.0)
    wanted = set(shown)
    for step in graph.steps():
        if isinstance(step, BackwardStep) and step.parent in wanted:
            terms[step.parent].append(step.contribution)
            adjoint[step.parent] = step.total
    name = functools.cache(lambda node: called(graph, node))
    number = functools.cache(lambda node: figure(node.data))

    def total(node: Value) -> str:
        return written_sum(terms[node], adjoint[node], 5).replace("\u00a0", " ")

    def cells(i: int, node: Value) -> tuple[str, ...]:
        constant = isinstance(node, Constant)
        own = typeset(name(node).text)
        edges = [edge for edge in zip(node.parents, node.partials, strict=True) if not isinstance(edge[0], Constant)]
        most = PARTIALS if len(edges) <= PARTIALS else PARTIALS - 1
        partials = [f"∂{own}/∂{typeset(name(parent).text)} = {short(k, 5)}" for parent, k in edges[:most]]
        if len(edges) > most:
            partials.append(f"… {len(edges) - most:,} more")
        return (
            str(i),
            own,
            typeset(formula(node, name).text) if node.op else "constant" if constant else "leaf",
            typeset(formula(node, number).text) if node.op else "",
            typeset(number(node).text),
            ", ".join(partials),
            "—" if constant else f"{total(node)}{short(adjoint[node] + 0.0, 5)}",
        )

    rows = [cells(i, node) for i, node in enumerate(shown, start=1)]
    if more := len(graph) - len(shown):
        rows.append(("…", f"{more:,} more", *[""] * 5))
    outputs = ", ".join(typeset(name(root).text) for root in graph.roots)
    head = ("i", "u(i)", "operation", "in numbers", "value", "local partials", f"∂({outputs})/∂u(i)")
    if len(graph.roots) == 1:
        head = (*head[:-1], f"∂{outputs}/∂u(i)")
    return Table(f"{outputs}: values from the top down, derivatives from the bottom up", head, tuple(rows), "><<<><>")


def _markdown(text: str) -> str:
    """Text in which nothing is markup, and no pipe ends a cell."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~$-])", r"\\\1", escape(text, quote=False))
