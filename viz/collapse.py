"""The picture of a network that is too large for a card per value: a card per neuron, or per layer."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection

from autograd import Constant, Graph, Value
from autograd.operations import printable
from viz.diagram import Card, Diagram, Ribbon, Role, Row, flow, shares, sign_of
from viz.text import number, pretty

#: What becomes one card, from fine to coarse.
LEVELS: dict[str, Callable[[str], str]] = {
    "neurons": lambda scope: scope,
    "layers": lambda scope: scope.partition("[")[0],
}


def collapsed(graph: Graph, level: str, most: int, hide: Collection[str] = ()) -> Diagram:
    """A card per name scope: how many values it has, its output, and the gradient that reaches its parameters.

    A ribbon adds up all gradients from one group to another: its width is the sum of their sizes, its
    colour the sign of their sum.

    Args:
        graph: what to draw.
        level: ``"neurons"`` for a card per scope, ``"layers"`` for one per scope without its index.
        most: the most cards that are drawn.
        hide: what to leave out: "data" or "grads".

    Raises:
        ValueError: if nothing has a scope, or there would be more cards.
    """
    groups = _groups(graph, LEVELS[level])
    if not any(node.scope for node in graph.nodes):
        raise ValueError("they have no name scopes that could be drawn as one card each")
    if len(groups) > most:
        raise ValueError(f"they have {len(groups)} {level}")
    ids = {name: f"g{i}" for i, name in enumerate(groups, start=1)}
    home = {node: name for name, nodes in groups.items() for node in nodes}
    flows: dict[tuple[str, str], list[float]] = defaultdict(list)
    for edge in graph.edges:
        ends = home[edge.parent], home[edge.child]
        if ends[0] != ends[1]:
            flowing = flow(edge.child, edge.position) if "grads" not in hide else None
            flows[ends] += [] if flowing is None else [flowing]
    share = shares(sum(map(abs, held)) for held in flows.values() if all(map(math.isfinite, held)))
    backward = "grads" not in hide and any(root.has_grad for root in graph.roots)
    ribbons = []
    for (parent, child), held in flows.items():
        if not held:
            ribbons.append(Ribbon(ids[parent], ids[child], f"{pretty(parent)} is used by {pretty(child)}"))
            continue
        total, size = sum(held), sum(map(abs, held))
        told = f"{len(held)} gradient{'s' * (len(held) != 1)} to {pretty(parent)} from {pretty(child)}: "
        told += f"their sum is {number(total)}, that of their sizes {number(size)}"
        stroke = (sign_of(total), share(size)[1])
        ribbons.append(Ribbon(ids[parent], ids[child], told, "", stroke, stroke))
    cards = [_card(name, ids[name], nodes, graph, backward, hide) for name, nodes in groups.items()]
    outputs = ", ".join(pretty(graph.name(root)) for root in graph.roots)
    title = f"How the gradient of {outputs} reaches every parameter" if backward else f"How {outputs} is computed"
    notes = (f"{len(graph):,} values, a card for each of the {level}",)
    return Diagram(title, notes, tuple(cards), tuple(ribbons))


_AROUND: dict[str, Role] = {"inputs": "input", "constants": "constant"}


def _groups(graph: Graph, of: Callable[[str], str]) -> dict[str, list[Value]]:
    """The values of each card, in topological order: by scope, and those without one by where they stand."""
    scoped = {node for node in graph.nodes if node.scope}
    after = set()  # what comes after some scope, such as the loss
    for node in graph.nodes:
        if not node.scope and any(parent in scoped or parent in after for parent in node.parents):
            after.add(node)
    groups: dict[str, list[Value]] = defaultdict(list)
    for node in graph.nodes:
        if node.scope:
            groups[of(node.scope)].append(node)
        elif node in after:
            groups["loss" if len(graph.roots) > 1 else graph.name(graph.roots[0])].append(node)
        else:
            groups["constants" if isinstance(node, Constant) else "inputs"].append(node)
    layers = list(dict.fromkeys(map(LEVELS["layers"], groups)))

    def place(name: str) -> tuple[int, int]:
        index = re.search(r"\[(\d+)\]$", name)
        return layers.index(LEVELS["layers"](name)), int(index[1]) if index else 0

    return {name: groups[name] for name in sorted(groups, key=place)}


def _card(name: str, key: str, nodes: list[Value], graph: Graph, backward: bool, hide: Collection[str]) -> Card:
    outputs = [n.data for n in nodes if n.label and n.scope.endswith(n.label)] or [
        n.data for n in nodes if n in graph.roots
    ]
    parameters = [node for node in nodes if node.scope and not node.op and not isinstance(node, Constant)]
    rows = [Row("values", f"{len(nodes):,}")]
    if outputs and "data" not in hide:
        low, high = number(min(outputs)), number(max(outputs))
        low_to_high = low if low == high else f"{low} … {high}"
        rows.append(Row("output", "nan" if any(map(math.isnan, outputs)) else low_to_high))
    if backward and parameters:
        rows.append(Row("|grad|", number(math.hypot(*[p.grad for p in parameters])), 0))
    told = f"{pretty(name)}: " + ", ".join(f"{row.caption} {row.text}" for row in rows)
    role: Role = "output" if any(root in nodes for root in graph.roots) else _AROUND.get(name, "group")
    layer = LEVELS["layers"](name)
    return Card(key, pretty(name), role, "", tuple(rows), told, scope=printable(layer) if layer != name else "")
