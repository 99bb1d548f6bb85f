# pyright: strict
"""A user's program, for ``mypy --strict`` and strict ``pyright`` against the installed wheel; it also runs."""

import tempfile
from pathlib import Path
from typing import Any, assert_type

import autograd as ag
import nn
import viz
from autograd import Graph, Operation, Program, Symbol, Value
from autograd.graph import BackwardStep, Edge, ForwardStep, NonFinite
from nn.data import blobs, split

x, w = Value(2.0, label="x"), Value(-3.0, label="w")
y = (1.0 - x * w) ** 2 / (2.0 + abs(x)) + ag.hypot(x, 3.0)
assert_type(y, Value)
assert_type(y.data, float)
assert_type(y.parents, tuple[Value, ...])
assert_type(y.partials, tuple[float, ...])
assert_type(y.op, Operation | None)
assert_type(x < w, bool)
assert_type(y.detach(), ag.Constant)
assert_type(y.tanh().exp(), Value)
assert_type(ag.tanh(0.5), float)
assert_type(ag.tanh(x), Value)
assert_type(ag.tanh(Symbol("x")), Symbol)
assert_type(ag.sumprod([x, w], [1.0, 2.0]), Value)
assert_type(ag.fsum([1.0, 2.0]), float)
y.backward()
assert_type(w.grad, float)

graph = Graph(y)
graph.forward({x: 1.5})
assert_type(graph.nodes, tuple[Value, ...])
assert_type(graph.leaves, tuple[Value, ...])
assert_type(graph.edges, tuple[Edge, ...])
assert_type([*graph.steps()], list[ForwardStep | BackwardStep])
assert_type(graph.path_count(y, x), int)
assert_type(graph.first_nonfinite(), NonFinite | None)
assert_type(ag.gradient(y, [x, w]), list[Value])
with ag.no_grad(), ag.name_scope("unrecorded"):
    assert_type(x + 1, Value)


def square(t: Any) -> Any:
    """A function to differentiate."""
    return t * t


def cubed(t: Any) -> Any:
    """What a new row computes."""
    return t * t * t


def slope_of_cubed(t: Any, _: Any) -> Any:
    """And its rule."""
    return 3.0 * t * t


def area(sides: Any) -> Any:
    """A function of a list."""
    return sides[0] ** 2 * sides[1]


cube = Operation("cubed", cubed, (slope_of_cubed,))
assert_type(cube(2.0), float)
slope: float = ag.derivative(square)(2.0)
value, gradients = ag.value_and_grad(square)(2.0)
curvature: list[list[float]] = ag.hessian(area)([3.0, 2.0])
assert_type(bool(ag.gradcheck(square, [3.0])), bool)
assert_type(graph.compile(inputs=[x], wrt=[w], backend="source"), Program)
assert_type(graph.compile(backend="source").source(), str)
again: float = ag.jit(square)(2.0)

data = blobs(12, centers=2, seed=1)
train, test = split(data, 0.5, seed=1)
model = nn.MLP(2, [3, 2], activation="tanh", seed=0)
assert_type(model.parameters(), list[Value])
assert_type(model.state_dict(), dict[str, float])
assert_type(nn.Layer(2, 3)([1.0, x]), list[Value])
assert_type(nn.softmax([x, 1.0]), list[Value])
optimizer = nn.AdamW(model.parameters(), lr=0.01)
history = nn.fit(model, nn.cross_entropy, train, optimizer, epochs=2, validation=test, progress=False)
assert_type(history, nn.History)
assert_type(history.losses, list[float])
assert_type(nn.accuracy(model, test), float)
assert_type(nn.cross_entropy([x, w], 0), Value)
assert_type(nn.l2(model), Value)
assert_type(nn.clip_grad_norm_(model.parameters(), 1.0), float)

print(viz.tree(y))
assert_type(viz.explain(y, x), viz.Derivation)
assert_type(viz.explain(y, x).latex(), str)
assert_type(viz.graph_table(y), viz.Table)
assert_type(viz.why_sort(y), viz.WhySort)
assert_type(viz.draw(y, highlight=w, rankdir="TB"), viz.Picture)
source: str = viz.draw(graph).source
with tempfile.TemporaryDirectory() as folder:
    assert_type(viz.save(y, Path(folder, "y.dot")), Path)
    nn.save(model, Path(folder, "model.json"))
    assert_type(nn.load(Path(folder, "model.json")), nn.MLP)
