"""The picture of reverse mode: a card per value, a ribbon per operand, a pill per local partial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace

from autograd import Graph, Value
from autograd.algorithms import leading_to
from autograd.operations import printable
from viz.curve import curve
from viz.diagram import Card, Diagram, Ribbon, Row, Seed, flow, formula_of, named, role, shares, sign_of
from viz.text import SIGNS, number, pretty, short, typeset, written_sum

#: What may be left out of a picture.
PARTS = ("data", "grads", "partials", "formulas", "curves")


def gradient_flow(
    graph: Graph,
    *,
    parameters: Collection[Value] = (),
    hide: Collection[str] = (),
    highlight: Value | None = None,
    within: Collection[Value] | None = None,
    compact: bool = False,
) -> Diagram:
    """What is computed, and how the gradient flows back; before a backward pass, the first only.

    Args:
        graph: what to draw.
        parameters: the leaves to call parameters; those of a network, which have a scope, are anyway.
        hide: what to leave out, any of ``PARTS``.
        highlight: a value; all that does not depend on it stands back.
        within: the part of the graph to draw; all of it, if left out.
        compact: whether to draw small cards, without pills.
    """
    nodes = [node for node in graph.nodes if within is None or node in within]
    ids = {node: f"v{i}" for i, node in enumerate(graph.nodes, start=1)}
    told_of = None if within is None else {*within, *graph.roots, *([] if highlight is None else [highlight])}
    names = named(graph, longest=0 if "formulas" in hide else 18, within=told_of)
    backward = "grads" not in hide and any(root.has_grad for root in graph.roots)
    lit = leading_to(graph.nodes, [highlight]) if highlight is not None else set(graph.nodes)
    edges = [edge for edge in graph.edges if within is None or (edge.parent in within and edge.child in within)]
    flows = {edge: flow(edge.child, edge.position) if backward else None for edge in graph.edges}
    share = shares([*(f for f in flows.values() if f is not None), *(root.grad for root in graph.roots)])
    parts: dict[Value, list[float]] = defaultdict(list)
    for edge, f in flows.items():
        if f is not None:
            parts[edge.parent].append(f)
    ribbons = []
    for edge in edges:
        parent, child, position = edge
        ends, faded = (ids[parent], ids[child]), not (parent in lit and child in lit)
        f = flows[edge]
        if f is None:
            ribbons.append(Ribbon(*ends, f"{names[parent]} is used by {names[child]}", faded=faded))
            continue
        factor = f"×{short(child.partials[position])}"
        told = f"{number(f + 0.0)} to {names[parent]}: {number(child.grad)} from {names[child]}, {factor}"
        pill = "" if compact or "partials" in hide else factor
        ribbons.append(Ribbon(*ends, told, pill, share(child.grad), share(f), faded))

    def card(node: Value) -> Card:
        is_ = role(node, graph, parameters)
        scope = printable(node.scope)
        name = names[node].removeprefix(f"{scope}.")  # which the frame says
        name = typeset(name) if is_ == "constant" else name  # a number, with a true minus
        op = SIGNS.get(node.op.symbol, node.op.symbol) if node.op else ""
        data, grad = number(node.data), number(node.grad) if backward and node.has_grad else ""
        rows = []
        if "data" not in hide and not (is_ == "constant" and not node.label):  # its name is its number
            rows.append(Row("data", data))
        if grad:
            rows.append(Row("grad", grad, sign_of(node.grad), "" if compact else written_sum(parts[node], node.grad)))
        if compact:
            rows = [Row("", row.text, row.sign) for row in rows[-1:]]
        plot = None if compact or "curves" in hide else curve(node)
        return Card(
            id=ids[node],
            name=name,
            role=is_,
            op=op,
            rows=tuple(rows),
            tooltip=f"{names[node]}: data {data}" + (f", grad {grad}" if grad else ""),
            curve=plot if backward or plot is None else replace(plot, tangent=None, tag=""),
            scope=scope,
            faded=node not in lit,
        )

    outputs = ", ".join(names[root] for root in graph.roots)
    whose = "of" if all(root.grad == 1.0 for root in graph.roots) else "at"
    title = f"How the gradient {whose} {outputs} reaches every input" if backward else f"How {outputs} is computed"
    formulas = [] if "formulas" in hide or within else [formula_of(root, names, longest=90) for root in graph.roots]
    notes = [*filter(None, formulas)]
    if len(nodes) < len(graph):
        notes.append(f"{len(graph):,} values, {len(nodes)} shown")
    if highlight is not None:
        title = f"How {outputs} depends on {names[highlight]}"
    brief = {root: names[root] if len(names[root]) <= 20 else f"{names[root][:19]}…" for root in graph.roots}
    seeds = [
        Seed(
            ids[root],
            _start(root, brief[root]),
            short(root.grad),
            share(root.grad),
            root not in lit,
        )
        for root in graph.roots
        if backward and root.has_grad and root in nodes
    ]
    return Diagram(title, tuple(notes), tuple(map(card, nodes)), tuple(ribbons), tuple(seeds))


def _start(root: Value, name: str) -> str:
    """What is said of the gradient that an output begins with."""
    if root.grad != 1.0:
        return "from what uses it:\u00a0"
    return f"start: ∂{name}/∂{name} =\u00a0" if root.label else "start:\u00a0"


def around(graph: Graph, value: Value, radius: int) -> set[Value]:
    """The values that are at most so many operands away from one, in either direction.

    Raises:
        ValueError: if the value is not part of the graph.
    """
    if value not in graph:
        raise ValueError(f"{pretty(value.label) or repr(value)} is not part of the picture's graph")
    neighbours: dict[Value, list[Value]] = defaultdict(list)
    for parent, child, _ in graph.edges:
        neighbours[parent].append(child)
        neighbours[child].append(parent)
    found, rim = {value}, {value}
    for _ in range(radius):
        rim = {near for node in rim for near in neighbours[node]} - found
        found |= rim
    return found
