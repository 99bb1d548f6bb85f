"""The engine against values and derivatives that PyTorch and JAX computed: see data/make_reference.py."""

from __future__ import annotations

import builtins
import json
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from autograd import Graph, Value, hvp
from autograd.operations import BUILT_IN, Operation, table

REFERENCE = json.loads((Path(__file__).parent / "data" / "reference.json").read_text(encoding="utf-8"))
GRAPHS, MICROGRAD = REFERENCE["graphs"], REFERENCE["micrograd"]

Spelling = Callable[[str], Callable[..., Any]]

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "pow": operator.pow,
    "abs": builtins.abs,
}


def as_row(name: str) -> Callable[..., Any]:
    """An operation spelled ``mul(x, y)``, ``tanh(x)``, with its operands one after the other."""
    op: Operation = table[name]
    return lambda *operands: op(*op.columns(operands))


def as_method(name: str) -> Callable[..., Any]:
    """An operation spelled ``x * y``, ``x.tanh()``, where there is such a spelling: it records in another way."""
    return OPERATORS.get(name) or getattr(Value, name, None) or as_row(name)


def built(graph: dict[str, Any], leaves: Sequence[Any], spelling: Spelling = as_row) -> Value:
    """The output of a graph that is given as data, on the leaves."""
    nodes = list(leaves)
    for name, *operands in graph["nodes"]:
        nodes.append(spelling(name)(*[x["const"] if isinstance(x, dict) else nodes[x] for x in operands]))
    root: Value = nodes[-1]
    return root


def close(xs: Sequence[float], ys: Sequence[float], tolerance: float) -> bool:
    """Whether the numbers agree, relative to those larger than 1."""
    return all(abs(x - y) <= tolerance * max(1.0, abs(y)) for x, y in zip(xs, ys, strict=True))


def numbered(case: dict[str, Any]) -> str:
    """A graph's name in the list of tests: how large it is."""
    return f"{len(case['leaves']) + len(case['nodes'])}nodes"


def test_every_row_occurs() -> None:
    """In the graphs; all but those whose derivatives are 0."""
    assert BUILT_IN - {name for graph in GRAPHS for name, *_ in graph["nodes"]} == {"sign", "nonzero"}


@pytest.mark.parametrize("spelling", [as_row, as_method])
@pytest.mark.parametrize("graph", GRAPHS, ids=numbered)
def test_graph(graph: dict[str, Any], spelling: Spelling) -> None:
    """A random expression has the value and the gradient of the reference."""
    leaves = [Value(x) for x in graph["leaves"]]
    root = built(graph, leaves, spelling)
    root.backward()
    assert close([root.data], [graph["value"]], 1e-10)
    assert close([leaf.grad for leaf in leaves], graph["grad"], 1e-10)


@pytest.mark.parametrize("graph", [graph for graph in GRAPHS if "second" in graph], ids=numbered)
def test_hessian_vector_product(graph: dict[str, Any]) -> None:
    """A random expression has the second derivatives of the reference, summed over each row of the Hessian."""
    ones = [1.0] * len(graph["leaves"])
    (second,) = hvp(lambda leaves: built(graph, leaves), (graph["leaves"],), (ones,))
    assert close(second, graph["second"], 1e-8)


@pytest.mark.parametrize("graph", GRAPHS, ids=numbered)
def test_there_and_back(graph: dict[str, Any]) -> None:
    """Running a graph at other leaves gives what recording it there gives, and running it back what it gave before."""

    def numbers(root: Value, leaves: Sequence[Value]) -> list[float]:
        root.zero_grad()
        root.backward()
        return [root.data, *[leaf.grad for leaf in leaves]]

    leaves = [Value(x) for x in graph["leaves"]]
    root = built(graph, leaves)
    before = numbers(root, leaves)
    there = [0.25 - 0.5 * x for x in graph["leaves"]]
    Graph(root).forward(dict(zip(leaves, there, strict=True)))
    moved = numbers(root, leaves)
    fresh = [Value(x) for x in there]
    assert moved == numbers(built(graph, fresh), fresh) != before
    Graph(root).forward(dict(zip(leaves, graph["leaves"], strict=True)))
    assert numbers(root, leaves) == before


# As micrograd code is written.


def test_micrograd_readme() -> None:
    """The expression of micrograd's README, and of its test of more operations, gives the numbers printed there."""
    a = Value(-4.0)
    b = Value(2.0)
    s = a + b
    p = a * b + b**3
    s += s + 1
    s += 1 + s + (-a)
    p += p * 2 + (b + a).relu()
    p += 3 * p + (b - a).relu()
    square = (s - p) ** 2
    g = square / 2.0
    g += 10.0 / square
    g.backward()
    assert f"{g.data:.4f}, {a.grad:.4f}, {b.grad:.4f}" == "24.7041, 138.8338, 645.5773"
    known = MICROGRAD["readme"]
    assert close([g.data, a.grad, b.grad], [known["value"], *known["grad"]], 1e-12)


def test_micrograd_sanity_check() -> None:
    """The expression of micrograd's first test has PyTorch's value and gradient."""
    x = Value(-4.0)
    z = 2 * x + 2 + x
    y = z.relu() + z * x
    y += y * x
    y += (z * z).relu()
    y.backward()
    known = MICROGRAD["sanity_check"]
    assert [y.data, x.grad] == [known["value"], *known["grad"]]


def test_micrograd_attributes() -> None:
    """A walk over ``_prev`` finds all nodes, and ``_op`` says what made each."""
    a = Value(2.0)
    b = Value(-3.0)
    c = a * b
    d = c + a**3
    d += (-b).relu()
    assert set(c._prev) == {a, b}
    nodes, edges = set(), set()

    def build(v: Value) -> None:
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(d)
    assert len(nodes) == 9  # the exponent 3 is a node as well
    assert len(edges) == 10
    assert sorted(v._op for v in nodes) == ["", "", "", "*", "**", "+", "+", "-", "relu"]


def test_micrograd_training_step() -> None:
    """Parameters are reset, read and moved through ``grad`` and ``data``."""
    w = Value(1.0)
    losses = []
    for _ in range(3):
        loss = (w * 2 - 6) ** 2
        w.grad = 0
        loss.backward()
        w.data += -0.1 * w.grad
        losses.append(loss.data)
    assert losses == pytest.approx([16.0, 0.64, 0.0256])
