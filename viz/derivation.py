"""The recursive chain rule, written out for the user's own graph and numbers."""

from __future__ import annotations

from collections import defaultdict

from autograd import Constant, Graph, Symbol, Value
from autograd.algorithms import leading_to
from autograd.graph import BackwardStep, Edge
from autograd.operations import PRODUCT
from viz.text import pretty, short, typeset


def explain(y: Value, x: Value) -> str:
    """How ∂y/∂x follows from the chain rule, step by step.

    First what is computed on the way from x to y, then Algorithm 6.2 along the same way back: the
    derivative by each value is the sum over its children of the derivative by the child, times the
    local derivative, as its rule and as its number.

    Args:
        y: the output.
        x: any value that y depends on.

    Returns:
        The derivation as text.

    Raises:
        ValueError: if y does not depend on x, or x is a constant.

    >>> x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(7.0, label="b")
    >>> o = (x * w + b).tanh()
    >>> o.label = "o"
    >>> print(explain(o, x))
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
    """
    graph = Graph(y)
    if isinstance(x, Constant):
        raise ValueError(f"nothing is differentiated with respect to a constant: {x!r}")
    if x not in graph:
        raise ValueError(f"{y!r} does not depend on {x!r}")
    leads_to = leading_to(graph, [x])
    way = [node for node in graph if node in leads_to]
    names = {node: pretty(graph.name(node)) for node in graph}
    numbers = {node: _number(node.data) for node in graph}
    adjoint = {step.parent: step.total for step in graph.steps() if isinstance(step, BackwardStep)}
    children = defaultdict(list)
    for edge in graph.edges:
        if edge.child in leads_to and edge.parent in leads_to:
            children[edge.parent].append(edge)

    def computed(node: Value) -> list[str]:
        return [names[node], _formula(node, names), _formula(node, numbers), _number(node.data)]

    def differentiated(node: Value) -> list[str]:
        """∂y/∂node as the sum over the node's children: as symbols, as rules, as numbers, and its value."""
        edges = children[node]
        symbols = [f"∂{names[y]}/∂{names[c]} * ∂{names[c]}/∂{names[node]}" for _, c, _ in edges]
        return [
            f"∂{names[y]}/∂{names[node]}",
            " + ".join(symbols) if edges[0].child is not y or edges[1:] else "",
            _total([_term(adjoint, edge, names) for edge in edges]),
            _total([_term(adjoint, edge, numbers) for edge in edges]),
            _number(adjoint[node]),
        ]

    forward = [computed(node) for node in way if node.op]
    back = [[f"∂{names[y]}/∂{names[y]}", "1"], *(differentiated(node) for node in reversed(way[:-1]))]
    lines = [
        f"∂{names[y]}/∂{names[x]} by the chain rule",
        "",
        "forward",
        *_written(forward),
        "backward",
        *_written(back),
    ]
    return "\n".join(lines)


def _number(x: float) -> str:
    return short(x, 5).replace("−", "-")  # as Python writes it, so that brackets are set around it


def _formula(node: Value, called: dict[Value, str]) -> str:
    """What a node computes, with its parents called by name or by number; a long one by its operation."""
    op = node.op
    assert op is not None
    columns = op.columns([Symbol(called[parent]) for parent in node.parents])
    written: str = (op.latex(*columns) if callable(op.latex) else op(*columns)).text
    return written if len(written) <= 100 else f"{op.name}(…)"


def _symbol(node: Value, called: dict[Value, str]) -> Symbol:
    """A node in a rule; a constant as its number, so that 3 · x ** (3 − 1) is written 3 · x²."""
    return Symbol(node.data if isinstance(node, Constant) and node.op is None else called[node])


def _term(adjoint: dict[Value, float], edge: Edge, called: dict[Value, str]) -> Symbol:
    """One child's share: its adjoint as a number, times the rule of the local derivative."""
    child = edge.child
    assert child.op is not None
    operands = [_symbol(parent, called) for parent in child.parents]
    slope = child.op.slope(edge.position, operands, Symbol(called[child]))
    if not isinstance(slope, Symbol) or slope.value is not None:
        slope = Symbol(_number(child.partials[edge.position]))
    if child not in adjoint:  # the output itself, whose adjoint is 1
        return slope
    term = Symbol(_number(adjoint[child])) * slope
    if slope.level == PRODUCT and not slope.text.startswith("-"):
        term.text = f"{_number(adjoint[child])} * {slope.text}"  # g · (a · b) reads as well without brackets
    return term


def _total(terms: list[Symbol]) -> str:
    return sum(terms[1:], terms[0]).text if terms else ""


def _written(rows: list[list[str]]) -> list[str]:
    """Chains of equations, ``a = b = c``, without steps that change nothing; a step a line where they are long."""
    width = max(len(typeset(row[0])) for row in rows) if rows else 0
    lines = []
    for first, *others in rows:
        steps = [
            typeset(step)
            for step, following in zip(others, [*others[1:], ""], strict=True)
            if step not in ("", following)
        ]
        head = f"  {typeset(first):<{width}} = "
        fits = len(head) + sum(len(step) + 3 for step in steps) <= 100
        lines.append(head + (" = " if fits else f"\n  {'':<{width}} = ").join(steps))
    return lines
