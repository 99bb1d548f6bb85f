"""What a picture of a graph shows, as plain data: nothing here knows how it is drawn."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from autograd import Constant, Graph, Symbol, Value
from autograd.graph import Edge
from viz.text import SIGNS, number, pretty, short, typeset

Role = Literal["input", "parameter", "constant", "output", ""]

#: The most values that are drawn in full: beyond, no reader follows.
LIMIT = 40


@dataclass(frozen=True, slots=True)
class Card:
    """One value."""

    id: str
    name: str
    role: Role
    #: The operation's sign or name; empty for a leaf.
    op: str
    data: str
    #: Empty if no backward pass has reached the value, or none ever will.
    grad: str
    #: The sum that the gradient is, ``3 − 6 = ``, where a value is used more than once.
    parts: str
    #: The sign of the gradient: 1, −1 or 0.
    sign: int
    #: Says the same as a sentence.
    tooltip: str


@dataclass(frozen=True, slots=True)
class Ribbon:
    """The gradient that flows along one operand; without a pill, only values have flowed."""

    parent: str
    child: str
    #: ``×k``, the local partial.
    pill: str
    #: What flows to the right of the pill, as sign and share of the largest gradient, and to its left.
    upstream: tuple[int, float]
    downstream: tuple[int, float]
    tooltip: str


@dataclass(frozen=True, slots=True)
class Seed:
    """What the gradient of an output starts from."""

    output: str
    text: str
    value: str
    flow: tuple[int, float]


@dataclass(frozen=True, slots=True)
class Diagram:
    """Everything a picture shows; cards in topological order."""

    title: str
    subtitle: str
    cards: tuple[Card, ...]
    ribbons: tuple[Ribbon, ...]
    seeds: tuple[Seed, ...]


def gradient_flow(graph: Graph, parameters: Collection[Value] = ()) -> Diagram:
    """The picture of reverse mode: a card per value, a ribbon per operand, a pill per local partial.

    Before a backward pass, only the forward half.

    Args:
        graph: what to draw.
        parameters: the leaves to call parameters; those of a network, which have a scope, are anyway.

    Raises:
        ValueError: if the graph has more than 40 values.
    """
    if len(graph) > LIMIT:
        raise ValueError(
            f"a picture shows up to {LIMIT} values in full, and this graph has {len(graph)}: "
            "draw a part of it, such as one neuron's output"
        )
    ids = {node: f"v{i}" for i, node in enumerate(graph.nodes, start=1)}
    names = {node: pretty(graph.name(node)) for node in graph.nodes}
    flows = {edge: _flow(edge) for edge in graph.edges if _carries(edge)}
    share = _shares([*flows.values(), *(root.grad for root in graph.roots)])
    ribbons, parts = [], defaultdict(list)
    for edge in graph.edges:
        parent, child, position = edge
        pill, told = "", f"{names[parent]} is used by {names[child]}"
        upstream, flow = child.grad, flows.get(edge, 0.0)
        if edge in flows:
            parts[parent].append(flow)
            pill = f"×{short(child.partials[position])}"
            told = f"{number(flow)} to {names[parent]}: {number(upstream)} from {names[child]}, {pill}"
        ribbons.append(Ribbon(ids[parent], ids[child], pill, share(upstream), share(flow), told))
    seeds = [
        Seed(
            ids[root],
            f"start: ∂{names[root]}/∂{names[root]} = " if root.grad == 1.0 else "from what uses it: ",
            short(root.grad),
            share(root.grad),
        )
        for root in graph.roots
        if root.has_grad
    ]
    cards = [_card(node, ids[node], names[node], _role(node, graph, parameters), parts[node]) for node in graph.nodes]
    outputs = ", ".join(names[root] for root in graph.roots)
    backward = any(root.has_grad for root in graph.roots)
    whose = "of" if all(root.grad == 1.0 for root in graph.roots) else "at"
    title = f"How the gradient {whose} {outputs} reaches every input" if backward else f"How {outputs} is computed"
    return Diagram(title, _subtitle(graph, names, backward), tuple(cards), tuple(ribbons), tuple(seeds))


def _role(node: Value, graph: Graph, parameters: Collection[Value]) -> Role:
    if node in graph.roots:
        return "output"
    if isinstance(node, Constant):
        return "constant"
    if node.op is None:
        return "parameter" if node.scope or any(node is p for p in parameters) else "input"
    return ""


def _card(node: Value, key: str, name: str, role: Role, parts: list[float]) -> Card:
    op = SIGNS.get(node.op.symbol, node.op.symbol) if node.op else ""
    data = number(node.data)
    grad = number(node.grad) if node.has_grad else ""
    told = f"{name}: data {data}" + (f", grad {grad}" if grad else "")
    sign = (node.grad > 0.0) - (node.grad < 0.0)
    name = typeset(name) if role == "constant" else name  # a number, with a true minus
    return Card(key, name, role, op, data, grad, _sum(parts, node.grad) if grad else "", sign, told)


def _sum(terms: list[float], total: float) -> str:
    """``3 − 6 = ``; dots stand for terms beyond the third, and for what came from outside the picture."""
    complete = not terms or math.isnan(total) or math.isclose(sum(terms), total, rel_tol=1e-9, abs_tol=1e-12)
    if complete and len(terms) < 2:
        return ""
    first, *others = terms[:3]
    written = short(first) + "".join(f" {'−' if x < 0.0 else '+'} {short(abs(x))}" for x in others)
    return written + (" =\u00a0" if complete and len(terms) <= 3 else " + … =\u00a0")


def _subtitle(graph: Graph, names: dict[Value, str], backward: bool) -> str:
    told = "values were computed left to right" + ("; gradients flow right to left" if backward else "")
    formulas: dict[Value, Symbol] = {}
    for node in graph.nodes:
        formula = Symbol(names[node])
        if node.op:
            formula = node.op(*node.op.columns([formulas[parent] for parent in node.parents]))
            if len(formula.text) > 80:  # say what fits on a line, and call the rest by name
                formula = Symbol(names[node])
        formulas[node] = formula
    written = [f"{names[root]} = {typeset(formulas[root].text)}" for root in graph.roots if root.op]
    return "  ·  ".join([*(text for text in written if len(text) <= 100), told])


def _carries(edge: Edge) -> bool:
    """Whether a gradient has flowed along an edge."""
    return edge.child.has_grad and not isinstance(edge.parent, Constant)


def _flow(edge: Edge) -> float:
    upstream = edge.child.grad
    return upstream * edge.child.partials[edge.position] if upstream else 0.0


def _shares(flows: Iterable[float]) -> Callable[[float], tuple[int, float]]:
    """How a flow is drawn: its sign, and its size as a share of the largest."""
    largest = max((abs(flow) for flow in flows if math.isfinite(flow)), default=0.0)

    def share(flow: float) -> tuple[int, float]:
        sign = (flow > 0.0) - (flow < 0.0)
        return sign, min(1.0, abs(flow) / largest) if largest and sign else 0.0

    return share
