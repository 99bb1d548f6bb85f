"""A graph run on numbers of one's own: what the eager engine would find, without touching a node.

Programs ask it wherever straight-line code cannot say what happens: at a point outside a domain it
raises the eager engine's error, at an infinite slope it gives the eager engine's numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autograd import algorithms
from autograd.operations import Operation
from autograd.value import Value


def forward(nodes: Iterable[Value], data: dict[Value, float]) -> None:
    """Algorithm 6.1 on ``data``, which holds the numbers of the leaves and is given those of the other nodes.

    Raises:
        ArithmeticError, ValueError: outside a domain; the note is that of the eager engine.
    """
    for node in nodes:
        if node not in data:
            op, parents = node.op, node.parents
            assert op is not None
            operands = op.columns([data[parent] for parent in parents])
            try:
                data[node] = float(op.forward(*operands))
            except (ArithmeticError, ValueError) as error:
                error.add_note(op.describe(operands, [parent.label for parent in parents]))
                raise


def backward(
    nodes: Sequence[Value], data: dict[Value, float], roots: Sequence[Value], wrt: Sequence[Value]
) -> list[float]:
    """Algorithm 6.2 on ``data``: the derivative of the sum of the roots by each of ``wrt``."""
    seeds = dict.fromkeys(roots, 1.0)
    found = algorithms.adjoints(nodes, data.__getitem__, seeds, wrt, _chain)
    return [x or 0.0 for x in found]  # never -0.0: the eager engine adds to 0.0


def _chain(g: float, op: Operation, j: int, operands: Sequence[float], z: float) -> float | None:
    return g * op.float_slope(j, operands, z) if g else None
