"""Write expressions.json.gz: random expressions with all derivatives up to the second, by PyTorch and by JAX.

    python -m tests.data.make_expressions

A line is ``[leaves, nodes, told, apart]``.  A node is ``[operation, operand, …]``; an operand is the place
of an earlier leaf or node, or a float, which is a constant; columns stand end to end, and the last node is
the output.  ``told`` is what PyTorch says: the value, the gradient, and the Hessian's upper triangle, row by
row.  ``apart`` says by how many floats JAX's numbers lie above PyTorch's, so that both are there to the bit.

Three of four expressions keep a distance from kinks.  The others have small integers at their leaves and
between them and so meet kinks often, and there the conventions of the two libraries.
"""

from __future__ import annotations

import gzip
import json
import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.data.make_reference import DISTANCE, Node, Oracle, UnsuitableError, built, each, jax_oracle, torch_oracle

COUNT, SEED = 10_000, 7
DEEPEST = 6
LARGEST = 1e6

#: Where an operand has to be, and the nodes that bring it there from anywhere, as ``[operation, operand, …]``
#: with None for the operand or the node before.
Place = tuple[float, float, list[list[Any]]]
ANY: Place = (-LARGEST, LARGEST, [])
BOUNDED: Place = (-0.95, 0.95, [["tanh", None], ["mul", None, 0.9]])
MODERATE: Place = (-8.0, 8.0, [["asinh", None]])
ABOVE_MINUS_1: Place = (-0.95, LARGEST, [["abs", None]])
POSITIVE: Place = (0.05, LARGEST, [["mul", None, None], ["add", None, 0.25]])
NONZERO: Place = (0.05, LARGEST, [["cosh", None]])
LARGE: Place = (1.05, LARGEST, [["mul", None, None], ["add", None, 1.5]])

#: What each operation wants its operands to be; the n-ary ones take any number of them.
OPERANDS: dict[str, list[Place]] = each(
    ("neg abs sign step nonzero cbrt sin cos atan tanh asinh erf erfc sigmoid relu softplus", [ANY]),
    ("exp exp2 expm1 sinh cosh", [MODERATE]),
    ("log1p", [ABOVE_MINUS_1]),
    ("tan asin acos atanh", [BOUNDED]),
    ("log log2 log10 sqrt", [POSITIVE]),
    ("acosh", [LARGE]),
    ("add sub mul maximum minimum atan2 hypot", [ANY, ANY]),
    ("div", [ANY, POSITIVE]),
    ("pow", [POSITIVE, MODERATE]),
    ("leaky_relu", [ANY, BOUNDED]),
    ("where", [ANY, ANY, ANY]),
    ("fsum sumprod logsumexp", []),
)

KINKS = DISTANCE | each(
    ("sign nonzero", lambda x: abs(x)),
    ("where", lambda c, x, y: abs(c)),
    ("hypot atan2", lambda y, x: math.hypot(x, y)),
)


class Drawing:
    """An expression in the making, with the values of its nodes."""

    def __init__(self, rows: dict[str, Callable[..., Any]], random: Random, deck: list[str], kinks: bool) -> None:
        self.rows, self.random, self.deck, self.kinks = rows, random, deck, kinks
        self.leaves = [self.number() for _ in range(random.randint(1, 3))]
        self.nodes: list[Node] = []
        self.values = list(self.leaves)
        self.variable = [True] * len(self.leaves)  # not made of constants alone

    def number(self) -> float:
        """A leaf or a constant."""
        if self.kinks:
            return self.random.choice([-2.0, -1.0, 0.0, 0.0, 0.5, 1.0, 1.0, 3.0])
        if self.random.random() < 0.25:
            return float(f"{self.random.choice((-1, 1)) * 10 ** self.random.uniform(-4, 2):.4g}")
        return round(self.random.uniform(-3.0, 3.0), 4)

    def value(self, x: int | float) -> float:
        """Of an operand."""
        return self.values[x] if isinstance(x, int) else x

    def node(self, name: str, *operands: int | float) -> int:
        """A new node, by its place."""
        at = [self.value(x) for x in operands]
        z = float(self.rows[name](*at))
        distance = KINKS[name](*at) if name in KINKS else 1.0
        if not abs(z) < LARGEST or distance < 1e-3 * (not self.kinks or distance > 0.0):
            raise UnsuitableError
        self.nodes.append([name, *operands])
        self.values.append(z)
        self.variable.append(any(self.variable[x] for x in operands if isinstance(x, int)))
        return len(self.values) - 1

    def within(self, x: int | float, place: Place) -> int | float:
        """An operand brought to its place, if it is not there."""
        low, high, steps = place
        if not low <= self.value(x) <= high:
            for name, *operands in steps:
                x = self.node(name, *[x if y is None else y for y in operands])
        return x

    def expression(self, depth: int) -> int:
        """The next operation of the deck on expressions of less depth, on nodes that are there, and on constants."""
        if not self.deck:
            self.deck += self.random.sample(list(OPERANDS), len(OPERANDS))
        name = self.deck.pop()
        places = OPERANDS[name] or [ANY] * (2 * self.random.randint(1, 3))
        deep = self.random.randrange(len(places))
        operands = []
        for j, place in enumerate(places):
            kind = self.random.random()
            x: int | float = self.random.randrange(len(self.leaves))
            if depth > 1 and (j == deep or kind < 0.2):
                x = self.expression(depth - 1)
            elif j != deep and kind < 0.35:
                x = self.number()
            elif kind < 0.6:
                x = self.random.randrange(len(self.values))
            operands.append(self.within(x, place))
        return self.node(name, *operands)


def expressions(rows: dict[str, Callable[..., Any]]) -> list[Drawing]:
    """Random expressions, in all of which every operation is the last one equally often."""
    random, decks = Random(SEED), [list[str](), list[str]()]
    found: list[Drawing] = []
    while len(found) < COUNT:
        kinks = len(found) % 4 == 3
        drawing = Drawing(rows, random, decks[kinks], kinks)
        try:
            drawing.expression(1 + len(found) // 4 % DEEPEST)
        except UnsuitableError:
            continue
        if drawing.variable[-1]:
            found.append(drawing)
    return found


def torch_derivatives(oracle: Oracle, nodes: Sequence[Node], leaves: Sequence[float]) -> list[float]:
    """Value, gradient and upper Hessian: reverse mode twice."""
    import torch  # type: ignore[import-not-found]

    def grad(y: Any) -> Sequence[Any]:
        if not y.requires_grad:
            return [torch.zeros(()) for _ in xs]
        gradient: Sequence[Any] = torch.autograd.grad(y, xs, create_graph=True, materialize_grads=True)
        return gradient

    xs = [torch.tensor(x, requires_grad=True) for x in leaves]
    y = built(oracle.rows, nodes, xs)[-1]
    first = grad(y)
    second = [d for i, g in enumerate(first) for d in grad(g)[i:]]
    return [x.item() for x in (y, *first, *second)]


def jax_derivatives(oracle: Oracle, nodes: Sequence[Node], leaves: Sequence[float]) -> list[float]:
    """Value, gradient and upper Hessian: forward mode over reverse mode."""
    import jax  # type: ignore[import-not-found]

    def f(xs: Any) -> Any:
        return built(oracle.rows, nodes, xs)[-1]

    xs = [jax.numpy.asarray(x) for x in leaves]
    second = []
    for i in range(len(xs)):
        unit = [jax.numpy.asarray(float(i == j)) for j in range(len(xs))]
        first, along = jax.jvp(jax.grad(f), (xs,), (unit,))
        second += along[i:]
    return [float(x) for x in (f(xs), *first, *second)]


def place(x: float) -> int:
    """The number of a float, counted from 0 in their order; a nan lies beyond the infinities."""
    bits: int = struct.unpack("<q", struct.pack("<d", x if x == x else math.nan))[0]
    return bits if bits >= 0 else -(bits & 0x7FFFFFFFFFFFFFFF)


def plain(node: Node) -> Node:
    """A node as test code reads it."""
    return [{"const": x} if isinstance(x, float) else x for x in node]


def main() -> None:
    """Write expressions.json.gz beside this file."""
    torch, jax = torch_oracle(), jax_oracle()
    lines = []
    for drawing in expressions(torch.rows):
        nodes = list(map(plain, drawing.nodes))
        told = torch_derivatives(torch, nodes, drawing.leaves)
        again = jax_derivatives(jax, nodes, drawing.leaves)
        apart = [place(y) - place(x) for x, y in zip(told, again, strict=True)]
        lines.append(json.dumps([drawing.leaves, drawing.nodes, told, apart], separators=(",", ":")) + "\n")
    path = Path(__file__).with_name("expressions.json.gz")
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


if __name__ == "__main__":
    main()
