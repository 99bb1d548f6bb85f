"""What a picture of a graph shows, as plain data: nothing here knows how it is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from autograd import Constant, Graph, Symbol, Value
from viz.curve import Curve
from viz.text import pretty, typeset

Role = Literal["input", "parameter", "constant", "output", "group", ""]
#: How a gradient is drawn: its sign (1, −1 or 0), and its size as a share of the largest.
Flow = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One number on a card."""

    caption: str
    text: str
    #: The sign of a gradient, which is coloured; None of anything else, which is ink.
    sign: int | None = None
    #: The sum that a gradient is, ``3 − 6 = ``, where a value is used more than once.
    parts: str = ""
    #: Whether a worksheet asks for it: then it is in a box.
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One value, or a group of values."""

    id: str
    name: str
    role: Role
    #: The operation's sign or name; empty for a leaf and for a group.
    op: str
    rows: tuple[Row, ...]
    #: Says the same as a sentence.
    tooltip: str
    #: The operation's curve, where it is a function of one variable.
    curve: Curve | None = None
    #: The name scope, which is drawn as a frame around all of its cards; of a neuron, its layer.
    scope: str = ""
    #: Whether it stands back, behind what is highlighted.
    faded: bool = False


@dataclass(frozen=True, slots=True)
class Ribbon:
    """The gradient that flows along one operand; without flows, only values have flowed."""

    parent: str
    child: str
    tooltip: str
    #: ``×k``, the local partial, if it is shown.
    pill: str = ""
    #: What flows to the right of the pill, and to its left.
    upstream: Flow | None = None
    downstream: Flow | None = None
    faded: bool = False
    #: Whether a worksheet asks for the pill's number.
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Seed:
    """What the gradient of an output starts from."""

    output: str
    text: str
    value: str
    flow: Flow
    faded: bool = False


@dataclass(frozen=True, slots=True)
class Diagram:
    """Everything a picture shows; cards in topological order."""

    title: str
    #: The formulas of the outputs, where they fit on a line, and what is left out.
    notes: tuple[str, ...]
    cards: tuple[Card, ...]
    ribbons: tuple[Ribbon, ...]
    seeds: tuple[Seed, ...] = ()


def shares(flows: Iterable[float]) -> Callable[[float], Flow]:
    """How a flow is drawn, beside those given: its sign, and its size as a share of the largest."""
    largest = max((abs(flow) for flow in flows if math.isfinite(flow)), default=0.0)

    def share(flow: float) -> Flow:
        # However small beside the largest, what flows is not drawn as a zero; nor is an infinity, nor a nan.
        size = min(1.0, abs(flow) / largest or 1e-12) if largest and math.isfinite(flow) else 1.0
        return sign_of(flow), size if flow else 0.0

    return share


def sign_of(x: float) -> int:
    """1, −1, or 0 for zero and nan."""
    return (x > 0.0) - (x < 0.0)


def role(node: Value, graph: Graph, parameters: Iterable[Value]) -> Role:
    """What a value is for; a network's parameters are known by their scope."""
    if node in graph.roots:
        return "output"
    if isinstance(node, Constant):
        return "constant"
    if node.op is None:
        return "parameter" if node.scope or any(node is p for p in parameters) else "input"
    return ""


def flow(child: Value, position: int) -> float | None:
    """The gradient that flows from a child to one of its operands; None if none has, or ever will."""
    if not child.has_grad or isinstance(child.parents[position], Constant):
        return None
    return child.grad * child.partials[position] if child.grad else 0.0


def named(graph: Graph, longest: int, within: Collection[Value] | None = None) -> dict[Value, str]:
    """What each value, of some or of all, is called: by its label, by its formula up to a length, or by its number.

    >>> x = Value(2.0, label="x1")
    >>> list(named(Graph((x * 3.0).tanh()), longest=8).values())
    ['x₁', '3', 'x₁ · 3', 'v₄']
    """
    names: dict[Value, str] = {}
    formulas: dict[Value, Symbol] = {}
    numbered: set[Value] = set()

    def plain(node: Value) -> str:
        return pretty(graph.name(node)) or "…"  # of a label, nothing may be printable

    for node in graph.nodes:
        if within is not None and node not in within:
            continue
        name = plain(node)
        formula = Symbol(name, name)  # of which only the text is used
        if node.op and not node.label:
            operands = [formulas.get(parent, Symbol(plain(parent), "-")) for parent in node.parents]
            written = node.op(*node.op.columns(operands))
            if numbered.isdisjoint(node.parents) and len(typeset(written.text)) <= longest:
                name, formula = typeset(written.text), written
            else:
                numbered.add(node)  # a formula of numbers tells less than a number
        names[node], formulas[node] = name, formula
    return names


def formula_of(root: Value, names: dict[Value, str], longest: int) -> str:
    """The formula of an output in the leaves, or in values that have names; empty if it does not fit."""
    formulas: dict[Value, Symbol] = {}
    for node in Graph(root).nodes:
        formula = Symbol(names[node], names[node])
        if node.op and (node is root or not (node.scope and node.label)):  # a neuron goes by its name
            formula = node.op(*node.op.columns([formulas[parent] for parent in node.parents]))
            if len(formula.text) > longest:  # say what fits on a line, and call the rest by name
                formula = Symbol(names[node], names[node])
        formulas[node] = formula
    written = typeset(formulas[root].text)
    fits = max(len(written), len(names[root])) <= longest
    return f"{names[root]} = {written}" if written != names[root] and fits else ""
