"""Graph: the two algorithms, stepping, paths, and what it says about itself."""

import math
import os
import re
import subprocess
import sys

import pytest

from autograd import Constant, Graph, Value, fsum, label_from, log, sqrt, sumprod
from autograd.graph import BackwardStep, ForwardStep


def diamond() -> tuple[Graph, Value, Value, Value, Value, Value]:
    """f = (a · b) · (a + b), labelled."""
    a, b = Value(-2.0), Value(3.0)
    d = a * b
    e = a + b
    f = d * e
    label_from(locals())
    return Graph(f), a, b, d, e, f


def doubling(times: int) -> tuple[Value, Value]:
    """x, and x + x doubled again and again: 2**times paths."""
    x = y = Value(1.0)
    for _ in range(times):
        y = y + y
    return x, y


def test_nodes_come_after_their_parents_in_operand_order() -> None:
    """The order is that of the operands, whatever was made first."""
    b, a = Value(2.0), Value(1.0)
    y = (a - b) * sumprod([b, a], [a, 3.0])
    nodes = Graph(y).nodes
    assert [node.data for node in nodes] == [1.0, 2.0, -1.0, 3.0, 5.0, -5.0]
    place = {node: i for i, node in enumerate(nodes)}
    assert all(place[parent] < place[node] for node in nodes for parent in node.parents)
    assert Graph(y).leaves == (a, b)


def test_several_roots_are_one_graph() -> None:
    """Shared nodes once; backward adds up over the roots, of which one may lie below another."""
    x = Value(3.0)
    y = x * x
    z = y + x
    graph = Graph(z, y, z)
    assert graph.roots == (z, y)
    assert len(graph) == 3
    graph.backward(2.0)
    assert x.grad == 2.0 * (6.0 + 1.0) + 2.0 * 6.0
    assert len(Graph(y, x)) == 2
    graph.zero_grad()
    assert not any(node.has_grad for node in graph)


def test_a_graph_needs_values() -> None:
    """Anything else is a TypeError that shows it."""
    with pytest.raises(TypeError, match=r"Graph needs Values, not float 1\.0"):
        Graph(1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="at least one Value"):
        Graph()
    with pytest.raises(RuntimeError, match="nothing to differentiate"):
        Graph(Constant(1.0)).backward()


def test_forward_equals_recording_anew() -> None:
    """Data and partials of every node, after some leaves have moved."""
    graph, a, _, *_ = diamond()
    graph.forward({a: 5.0})
    b = Value(3.0)
    x = Value(5.0)
    fresh = Graph((x * b) * (x + b))
    assert [(n.data, n.partials) for n in graph] == [(n.data, n.partials) for n in fresh]
    a.data = 7.0
    graph.forward()
    assert graph.roots[0].data == 7.0 * 3.0 * 10.0


def test_forward_that_fails_halfway_changes_nothing() -> None:
    """Leaves, data, partials and gradients are as they were, and the error says where it arose."""
    x, y = Value(2.0, label="x"), Value(3.0, label="y")
    z = (x * y).tanh() + log(x - y + 4.0)
    z.backward()
    graph = Graph(z)
    before = [(n.data, n.partials, n.grad) for n in graph]
    with pytest.raises(ValueError, match=r"math domain error|positive") as caught:
        graph.forward({x: -5.0, y: 8.0})
    assert "in log(u), u = -9.0" in caught.value.__notes__
    assert [(n.data, n.partials, n.grad) for n in graph] == before
    with pytest.raises(TypeError, match="forward, for y, needs a real number, not str '1'"):
        graph.forward({x: 1.0, y: "1"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="v3 is computed by mul: only leaves can be given a number"):
        graph.forward({x: 1.0, graph.nodes[2]: 1.0})
    with pytest.raises(ValueError, match="is not a node of <Graph of"):
        graph.forward({Value(1.0): 1.0})
    assert [(n.data, n.partials, n.grad) for n in graph] == before


def test_steps_are_the_two_passes() -> None:
    """A forward step per operation; the totals of the backward steps are the gradients."""
    graph, *_ = diamond()
    steps = list(graph.steps())
    forward = [step for step in steps if isinstance(step, ForwardStep)]
    backward = [step for step in steps if isinstance(step, BackwardStep)]
    assert [str(step) for step in forward] == [
        "d = a * b = -2 * 3 = -6",
        "e = a + b = -2 + 3 = 1",
        "f = d * e = -6 * 1 = -6",
    ]
    assert repr(forward[-1]) == "<ForwardStep f = d * e = -6 * 1 = -6>"
    assert str(backward[-1]) == "grad b += grad d · ∂d/∂b = 1 · -2 = -2, so far -8"
    assert repr(backward[-1]) == f"<BackwardStep {backward[-1]}>"
    assert not any(node.has_grad for node in graph)
    graph.backward()
    totals = {step.parent: step.total for step in backward}
    assert totals == {node: node.grad for node in graph if node not in graph.roots}
    assert all(step.contribution == step.adjoint * step.partial for step in backward)
    assert {type(p) for p in (backward[0].parent, backward[0].child)} == {Value}


def test_paths_add_up_to_the_derivative() -> None:
    """Each path is a product of partials; parallel edges are different paths."""
    graph, a, b, d, e, f = diamond()
    paths = list(graph.paths(f, a))
    assert [path.nodes for path in paths] == [(f, d, a), (f, e, a)]
    assert [path.partials for path in paths] == [(1.0, 3.0), (-6.0, 1.0)]
    assert math.fsum(path.product for path in paths) == -3.0
    assert graph.path_count(f, b) == 2
    assert [path.nodes for path in graph.paths(d, b)] == [(d, b)]
    assert next(graph.paths(f, f)).product == 1.0
    assert list(graph.paths(a, f)) == []
    assert graph.path_count(a, f) == 0
    with pytest.raises(ValueError, match="is not a node of"):
        graph.path_count(f, Value(1.0))
    with pytest.raises(ValueError, match="is not a node of"):
        next(graph.paths(Value(1.0), a))


def test_paths_of_a_deep_graph_are_those_that_a_recursion_finds() -> None:
    """In the order of the operands, each with its partials."""
    x = Value(0.5)
    u = x.sin()
    v = u * x + u.exp()
    y = v * u - v / x

    def walked(node: Value) -> list[tuple[tuple[Value, ...], tuple[float, ...]]]:
        if node is x:
            return [((x,), ())]
        steps = zip(node.parents, node.partials, strict=True)
        return [((node, *nodes), (k, *ks)) for parent, k in steps for nodes, ks in walked(parent)]

    assert [tuple(path) for path in Graph(y).paths(y, x)] == walked(y)
    assert max(len(nodes) for nodes, _ in walked(y)) == 6


def test_paths_are_counted_where_they_cannot_be_walked() -> None:
    """2**100 paths over 100 nodes; the first of them come at once."""
    x, y = doubling(100)
    graph = Graph(y)
    assert graph.path_count(y, x) == 2**100
    assert next(graph.paths(y, x)).product == 1.0
    y.backward()
    assert x.grad == 2.0**100


def test_naive_recursion_is_wrong_or_exponential() -> None:
    """b = a + a; c = b + b: 7 visits instead of 3, and 8 instead of 4."""
    a, c = doubling(2)
    naive = Graph(c).naive_backward_visits()
    assert naive.total == 7
    assert list(naive.visits.values()) == [1, 2, 4]
    assert naive.grads is not None
    assert naive.grads[a] == 8.0

    def recursive(node: Value, grads: dict[Value, float]) -> int:
        for parent, partial in zip(node.parents, node.partials, strict=True):
            grads[parent] = grads.get(parent, 0.0) + grads[node] * partial
        return 1 + sum(recursive(parent, grads) for parent in node.parents)

    graph, *_, f = diamond()
    grads = {f: 1.0}
    visits = recursive(f, grads)
    naive = graph.naive_backward_visits()
    assert naive.total == visits
    assert naive.grads == grads

    x, y = doubling(40)
    naive = Graph(y).naive_backward_visits()
    assert naive.visits[x] == 2**40
    assert naive.grads is None
    wide = [Graph(fsum([x] * edges)).naive_backward_visits() for edges in (99_999, 100_000)]
    assert wide[0].total == 100_000
    assert wide[0].grads is not None  # the last that is walked
    assert wide[1].grads is None


def test_where_nan_and_infinity_enter() -> None:
    """The first node of the forward pass, else the first slope of the backward pass, else nothing."""
    graph, *_ = diamond()
    assert graph.first_nonfinite() is None
    x = Value(1e200, label="x")
    found = Graph((x * x - 1.0).tanh()).first_nonfinite()
    assert found is not None
    assert (found.phase, found.node.op and found.node.op.name) == ("forward", "mul")
    assert str(found) == 'forward: v2 is inf, in u * v, u = 1e+200 ("x"), v = 1e+200 ("x")'
    leaf = Graph(Value(math.nan, label="y") + 1.0).first_nonfinite()
    assert str(leaf) == "forward: y is nan, a leaf"
    zero = Value(0.0, label="z")
    assert (
        str(Graph(sqrt(zero) + 1.0).first_nonfinite()) == 'backward: the slope ∂v2/∂z is inf, in sqrt(u), u = 0.0 ("z")'
    )
    assert Graph(sqrt(zero) * 0.0).first_nonfinite() is None
    steep = Graph(Value(1e-160, label="t") ** 2.0 * 1e200 * 1e200).first_nonfinite()
    assert steep is not None
    assert str(steep).startswith("backward: the grad of v")


def test_the_repr_says_what_state_the_graph_is_in() -> None:
    """Counts, depth, and whether there are gradients."""
    graph, *_ = diamond()
    assert repr(graph) == (
        "<Graph of f: 5 values (2 leaves, 3 operations), 6 edges, depth 2; backward has not been run>"
    )
    graph.backward()
    assert repr(graph).endswith("; backward has been run>")
    assert repr(Graph(fsum([Value(1.0), 2.0]))).startswith("<Graph of v3: 3 values (1 leaf, 1 constant, 1 operation)")


def test_names_are_labels_numbers_or_places() -> None:
    """A constant goes by its number, an unnamed node by its place in the order."""
    x = Value(2.0, label="x")
    y = x * 3.0 + 1.0
    graph = Graph(y)
    assert [graph.name(node) for node in graph] == ["x", "3", "v3", "1", "v5"]
    unnamed = Graph(Value(2.0) * Constant(3.0).exp())
    assert [unnamed.name(node) for node in unnamed] == ["v1", "3", "v3", "v4"]
    with pytest.raises(ValueError, match="is not a node of"):
        graph.name(Value(1.0))


def test_results_do_not_depend_on_the_hash_seed() -> None:
    """The same order, names, sums and text in processes with different hash seeds."""
    program = """
from autograd import *
import random
rng = random.Random(1)
xs = [Value(rng.uniform(-1, 1)) for _ in range(9)]
for _ in range(200):
    xs.append(rng.choice([add, mul, sub, hypot, atan2])(rng.choice(xs), rng.choice(xs)).tanh())
y = fsum(xs)
y.backward()
print([x.grad.hex() for x in xs], Graph(y), *Graph(y).steps())
print([d.data.hex() for d in gradient(y, xs[:9])])
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(outputs) == 1
    assert re.search(rb"\d{3} values", outputs.pop())


def test_plain_recursion_hands_on_nothing_where_nothing_arrives() -> None:
    """As backward does: 0 times an infinite slope is not nan."""
    s = Value(0.0, label="s")
    naive = Graph(s.sqrt() * s).naive_backward_visits()
    assert naive.grads is not None
    assert naive.grads[s] == 0.0
    contributions = [step.contribution for step in Graph(s.sqrt() * s).steps() if isinstance(step, BackwardStep)]
    assert contributions == [0.0, 0.0, 0.0]
