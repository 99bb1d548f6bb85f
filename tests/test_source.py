"""Programs in Python: the text, its names, and numbers equal to the eager engine's to the last bit."""

import ast
import gc
import itertools
import linecache
import math
import random
import re
import subprocess
import sys
import traceback
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from autograd import Constant, Graph, Operation, Value, source
from autograd import operations as ops
from autograd.arrays import on_arrays
from autograd.operations import BUILT_IN, table
from autograd.source import Source
from autograd.tape import Task

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-310, 1e200, -1e200, 710.0, -800.0, math.inf, -math.inf, math.nan]


def compiled(graph: Graph, inputs: Sequence[Value] = (), wrt: Sequence[Value] | None = None) -> Source:
    """A graph's code, with gradients by all its leaves if nothing else is said."""
    leaves = [x for x in graph.leaves if x not in inputs]
    wrt = graph.leaves if wrt is None else wrt
    constants: dict[Value, float] = {
        x: x.data for x in graph if isinstance(x, Constant) and x.op is None and x not in inputs
    }
    return Source(Task(graph.roots, graph.nodes, inputs, leaves, wrt, constants, len(graph.roots)))


def bits(numbers: Sequence[float]) -> list[str]:
    """Numbers such that equal means equal, also for -0.0."""
    return [float(x).hex() for x in numbers]


def check_one(graph: Graph, code: Source | None = None) -> bool:
    """Whether the code says something at the graph's own numbers; what it says has to be right."""
    found = (code or compiled(graph)).one([], array("d", [x.data for x in graph.leaves]))
    graph.zero_grad()
    graph.backward()
    if found is None:
        return False
    values, grads = found
    assert bits(values) == bits([root.data for root in graph.roots])
    assert bits(grads) == bits([x.grad for x in graph.leaves])
    return True


def neuron() -> Graph:
    x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(6.88, label="b")
    o = ops.tanh(x * w + b)
    o.label = "o"
    return Graph(o)


def random_graph(seed: int, size: int = 60) -> Graph:
    """Any rows, operands from anywhere, numbers kept small, some labels."""
    choice = random.Random(seed)
    values: list[Any] = [
        Value(choice.uniform(-2.0, 2.0), label=choice.choice(["", "x", "v3", "w[1]"])) for _ in range(4)
    ]
    values += [0.0, 1.0, -0.5, choice.uniform(-2.0, 2.0)]
    rows = [table[name] for name in sorted(BUILT_IN)]
    while len(values) < size:
        op = choice.choice(rows)
        columns = len(op.partials) * (choice.randint(1, 4) if op.nary else 1)
        try:
            made = op(*op.columns([choice.choice(values) for _ in range(columns)]))
        except (ArithmeticError, ValueError):
            continue
        if isinstance(made, Value) and abs(made.data) < 50.0:
            values.append(made)
    used = [x for x in values if isinstance(x, Value)]
    return Graph(ops.fsum(choice.sample(used, len(used) // 2)), *used[-2:])


def test_the_text_of_a_neuron() -> None:
    """As one would write it on a blackboard."""
    graph = neuron()
    x, w, b = graph.leaves
    code = compiled(graph, [x], [w, b])
    assert code.text.splitlines() == [
        "from math import tanh",
        "",
        "def program(inputs, parameters):",
        "    [x] = inputs",
        "    [w, b] = parameters",
        "    # forward",
        "    v3 = x * w",
        "    v5 = v3 + b",
        "    o = tanh(v5)",
        "    # backward",
        "    grad_v5 = grad_v3 = grad_b = (1.0 - o) * (1.0 + o)",
        "    grad_w = grad_v3 * x",
        "    return [o], [grad_w, grad_b]",
    ]


def test_the_text_of_a_longer_graph() -> None:
    """Sums of n operands, brackets, slopes that are used twice, leaves that are their own gradient, labels."""
    x, y = Value(0.5, label="x"), Value(2.0, label="y[0]")
    graph = Graph(ops.sumprod([x, y], [y, y - (x - -1.0)]), ops.atan2(x, y), -(x * 3.0))
    assert compiled(graph).text.splitlines() == [
        "from math import fsum, atan2, hypot",
        "",
        "def program(inputs, parameters):",
        "    [",
        "        x,",
        "        y_0,  # 'y[0]'",
        "    ] = parameters",
        "    # forward",
        "    v4 = x - (-1.0)",
        "    v5 = y_0 - v4",
        "    v6 = fsum([x * y_0, y_0 * v5])",
        "    v7 = atan2(x, y_0)",
        "    v9 = x * 3.0",
        "    v10 = -v9",
        "    # backward",
        "    t = hypot(x, y_0)",
        "    grad_y_0 = -x / t / t + v5 + x + y_0",
        "    grad_v4 = y_0 * (-1.0)",
        "    grad_x = -3.0 + y_0 / t / t + y_0 + grad_v4",
        "    return [v6, v7, v10], [grad_x, grad_y_0]",
    ]


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_rows_to_the_last_bit(name: str) -> None:
    """Where they are sampled, they say something; at special numbers, what they say is right."""
    op, choice = table[name], random.Random(name)
    count = 3 if op.nary else 1
    domains = [domain for domain in op.domain for _ in range(count)]
    for _ in range(20):
        xs = [Value(choice.uniform(*choice.choice(domain))) for domain in domains]
        assert check_one(Graph(op(*op.columns(xs))))
        assert check_one(Graph(op(*op.columns(xs)) * -0.0))
    for point in itertools.product(SPECIAL, repeat=min(len(domains), 2)):
        numbers = (point * len(domains))[: len(domains)]
        xs = [Value(0.5) for _ in domains]
        try:
            z = op(*op.columns([Value(x) for x in numbers]))
        except (ArithmeticError, ValueError):
            first = Graph(op(*op.columns([Value(choice.uniform(*domain[0])) for domain in domains])))
            assert compiled(first).one([], array("d", numbers)) is None
            continue
        graph = Graph(z)
        said = check_one(graph)
        finite = all(map(math.isfinite, [z.data, *z.partials]))
        assert said == finite
    del xs


@pytest.mark.parametrize("seed", range(250))
def test_random_graphs_to_the_last_bit(seed: int) -> None:
    """All rows together; where the code says nothing, a slope or a gradient is not finite."""
    graph = random_graph(seed)
    if not check_one(graph):
        assert not all(math.isfinite(x) for node in graph for x in (node.grad, *node.partials))


@pytest.mark.parametrize("seed", range(40))
def test_blocks(seed: int) -> None:
    """On arrays, the sums of what single examples give, to rounding."""
    graph = random_graph(seed)
    inputs, leaves = graph.leaves[:2], graph.leaves[2:]
    code = compiled(graph, inputs)
    near = np.random.default_rng(seed).uniform(-1e-3, 1e-3, (5, len(inputs)))
    rows, parameters = near + [x.data for x in inputs], np.array([x.data for x in leaves])
    found, ones = code.block(rows, parameters), [code.one(row, parameters) for row in rows.tolist()]
    assert (found is None) == (None in ones)
    if found is None:
        return
    outputs, grads = found
    assert outputs.shape == (3, 5)
    np.testing.assert_allclose(outputs, np.array([one[0] for one in ones if one]).T, rtol=1e-12, atol=1e-12)
    terms = np.array([one[1] for one in ones if one])
    scale = np.abs(terms).sum(axis=0).max()
    np.testing.assert_allclose(grads, terms.sum(axis=0), rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_rows_on_arrays(name: str) -> None:
    """What ``forward`` gives, also the sign of a zero, or an exception; nan where a nan comes in."""
    op = table[name]
    function = on_arrays(op)
    for point in itertools.product(SPECIAL, repeat=min(len(op.partials), 2)):
        numbers = (point * len(op.partials))[: len(op.partials)]
        rows = [[x, 0.25] if op.nary else x for x in numbers]
        arrays: Any = [[np.array([x]) for x in row] if isinstance(row, list) else np.array([row]) for row in rows]
        try:
            z = op.forward(*rows)
        except (ArithmeticError, ValueError):
            z = math.nan
            with np.errstate(all="raise", under="ignore"), pytest.raises((ArithmeticError, ValueError)):
                function(*arrays)
        if math.isfinite(z):
            found = float(function(*arrays)[0])
            assert found == pytest.approx(z, rel=1e-14, abs=1e-300)
            assert math.copysign(1.0, found) == math.copysign(1.0, z)


def test_an_error_that_does_not_show_in_the_result() -> None:
    """Floats raise in 1 / 0 and exp(1000); arrays go on, and atan(inf) or 1 / inf look innocent."""
    x, y = Value(1.0), Value(2.0)
    swallowed = [
        y * ops.atan(1.0 / x),
        y / (1.0 + ops.exp(1000.0 * (1.0 - x))),
    ]
    for z in swallowed:
        code, parameters, bad = compiled(Graph(z), [x], [y]), np.array([2.0]), 0.0
        with np.errstate(all="ignore"):
            assert np.isfinite(code._run_on_arrays([np.array([bad])], [2.0])).all()
        assert code.block(np.array([[1.0], [1.5]]), parameters) is not None
        assert code.block(np.array([[1.0], [bad]]), parameters) is None
        assert code.one([bad], parameters) is None


def test_gradients_that_are_the_same_for_all_rows() -> None:
    """They are counted for each; a leaf that is not part of the graph has a gradient of 0."""
    x, a, b, alone = Value(1.0), Value(2.0), Value(3.0), Value(4.0)
    graph = Graph(x + a * ops.tanh(b))
    code = Source(Task(graph.roots, graph.nodes, [x], [a, b, alone], [a, x, alone, *graph.nodes[-2:]], {}))
    found = code.block(np.array([[1.0], [2.0], [3.0]]), np.array([2.0, 3.0, 4.0]))
    assert found is not None
    np.testing.assert_allclose(found[1], [3.0 * math.tanh(3.0), 3.0, 0.0, 3.0, 3.0], rtol=1e-15)
    one = code.one([1.0], array("d", [2.0, 3.0, 4.0]))
    assert one == ([1.0 + 2.0 * math.tanh(3.0)], [math.tanh(3.0), 1.0, 0.0, 1.0, 1.0])


def test_some_roots_are_not_differentiated() -> None:
    """The first are; the others are outputs only. Without ``wrt`` there is no backward pass."""
    x, y = Value(0.5, label="x"), Value(2.0, label="y")
    graph = Graph(x * y, ops.exp(x))
    code = Source(Task(graph.roots, graph.nodes, [], [x, y], [x, y], {}, 1))
    assert code.one([], array("d", [0.5, 2.0])) == ([1.0, math.exp(0.5)], [2.0, 0.5])
    assert code.text.endswith("    grad_x = y\n    grad_y = x\n    return [v3, v4], [grad_x, grad_y]\n")
    value = Source(Task(graph.roots, graph.nodes, [], [x, y], [], {}, 1))
    assert value.one([], array("d", [0.5, 2.0])) == ([1.0, math.exp(0.5)], [])
    assert "backward" not in value.text


HOSTILE = [
    *("x\ny = 1", "'", '"""', "\\", "#", "class", "None", "lambda", "__debug__", "tanh", "fsum", "program", "inputs"),
    *("parameters", "memory", "inf", "nan", "v3", "v1", "grad_x", "x", "x", "x_2", "t", "t_2", "grad_v3", "2nd", ""),
    *("__import__('os').system('false')", "x" * 10_000, "'" * 10_000, "θ", "x₁", "ｖ３", "ﬁ", "é", "e\u0301", "∂u/∂v"),
    *("\ud800", "\0", "\r", "\u2028", "\x0c", "\u202e", "%s", "{x}", "part_0", "print", "_", "\N{BOM}", "ﷺ" * 99),
]


@pytest.mark.parametrize("size", [None, 5])
def test_hostile_labels(size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No label changes what is computed or gets out of its comment; all names differ."""
    monkeypatch.setattr(source, "PART", size or source.PART)
    values = [Value(0.01 * j + 0.3, label=label) for j, label in enumerate(HOSTILE)]
    for x, y, label in zip(values[:], reversed(values[:]), HOSTILE[::-1], strict=True):
        values.append(ops.tanh(x * y))
        values[-1].label = label
    graph = Graph(ops.fsum(values[-len(HOSTILE) :]))
    code = compiled(graph)
    assert check_one(graph, code)
    plain = Graph(*graph.roots)
    labels = [node.label for node in plain]
    for node in plain:
        node.label = ""
    without = compiled(plain)
    for node, label in zip(plain, labels, strict=True):
        node.label = label

    def shape(code: Source) -> set[str]:
        nodes = [*ast.walk(ast.parse(code.text))]
        called = {x.func.id for x in nodes if isinstance(x, ast.Call) and isinstance(x.func, ast.Name)}
        return {type(x).__name__ for x in nodes} | {name for name in called if not name.startswith("part_")}

    assert shape(code) == shape(without)
    assert all(line.isprintable() for line in code.text.split("\n"))
    if size is None:
        function = ast.parse(code.text)
        stores = [x.id for x in ast.walk(function) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)]
        again = [name for name in set(stores) if stores.count(name) > 1]
        assert all(f"    {name} = {name} + " in code.text for name in again)  # a sum that grows


def test_names_that_are_taken() -> None:
    """By another leaf, by Python, or by a row that the program calls: they get a number, from 2 on."""
    labels = ["x", "x", "x", "x_2", "program", "for", "tanh", "exp"]
    code = compiled(Graph(ops.tanh(ops.fsum([Value(0.1, label=label) for label in labels]))))
    names = re.findall(r"^        (\w+),", code.text.partition("]")[0], re.MULTILINE)
    assert names == ["x", "x_2", "x_3", "x_2_2", "program_2", "for_2", "tanh_2", "exp"]


@pytest.mark.parametrize("label", ["", "a", "a b", "0", *HOSTILE])
def test_identifiers(label: str) -> None:
    """What Python takes for one, and reads as it stands."""
    name = source.identifier(label)
    assert name.isidentifier()
    assert len(name) <= source.NAME + 1
    (statement,) = ast.parse(f"{name if name not in ('class', 'None', 'lambda', '__debug__') else 'x'} = 1").body
    assert isinstance(statement, ast.Assign)
    assert isinstance(statement.targets[0], ast.Name)
    assert statement.targets[0].id in (name, "x")


@pytest.mark.parametrize("name", ["inf", "grad_x", "memory", "lambda", "v3", "x", "ﬁ", "cubed"])
def test_rows_of_a_user(name: str) -> None:
    """Under their name, if it is free; their results are made floats; in a block, one element after the other."""
    try:
        row = Operation(name, lambda x: int(x) ** 3, (lambda x, z: 3.0 * x * x,))
        twin = Operation(name, lambda xs, ys: len(xs), (lambda x, y, z: y, lambda x, y, z: 0.0), nary=True)
        x, y = Value(-2.0, label="x"), Value(3.0)
        graph = Graph(row(x) / row(y) + twin([x, y], [y, x]) * math.inf**0 + (1.0 / row(x)))
        assert check_one(graph)
        code = compiled(graph, [x])
        found = code.block(np.array([[-2.0], [4.0]]), np.array([3.0]))
        assert found is not None
        np.testing.assert_allclose(found[0], [[-8 / 27 + 2 - 1 / 8, 64 / 27 + 2 + 1 / 64]])
    finally:
        table.pop(name)


@pytest.mark.parametrize("size", [2, 3, 7, 50])
def test_parts(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long program is several functions, and gives the same numbers to the last bit."""
    for seed in range(40):
        graph = random_graph(seed)
        numbers = array("d", [x.data for x in graph.leaves])
        with monkeypatch.context() as patch:
            whole = compiled(graph)
            patch.setattr(source, "PART", size)
            parts = compiled(graph)
        assert parts.text.count("def part_") > 1
        assert repr(parts.one([], numbers)) == repr(whole.one([], numbers))
        rows = np.tile(numbers, (3, 1))
        found = compiled(graph, graph.leaves).block(rows, np.array([]))
        assert (found is None) == (whole.one([], numbers) is None)


def test_lines_stay_short() -> None:
    """Also of operations on thousands of values, and of sums of thousands of terms."""
    xs = [Value(j / 5000.0) for j in range(5000)]
    graph = Graph(ops.sumprod(xs, [ops.tanh(xs[0]), *xs[1:]]), *[xs[0] * x for x in xs[1:300]])
    code = compiled(graph)
    assert check_one(graph, code)
    assert max(map(len, code.text.splitlines())) <= 130


def test_a_deep_sum_of_slopes() -> None:
    """What is used once stands inline, but never so deep that Python refuses it."""
    x = Value(0.5, label="x")
    graph = Graph(*[ops.tanh(x * j) for j in range(1, 400)])
    code = compiled(graph)
    assert check_one(graph, code)
    assert "    grad_x = grad_x + " in code.text


def test_a_traceback_shows_the_line() -> None:
    """And what Python knows of the code is gone with it."""

    def fail(x: float) -> float:
        raise RuntimeError("no number today")

    row = Operation("fails", fail, (lambda x, z: 1.0,))
    try:
        x = Value(1.0, label="x")
        graph = Graph(ops.tanh(x))
        graph.nodes[-1].op = row
        code = compiled(graph)
        (name,) = code._files
        assert code.text.endswith("\n\n" + "".join(linecache.getlines(name)))
        with pytest.raises(RuntimeError, match="no number today") as error:
            code.one([], array("d", [1.0]))
        assert "    v2 = fails(x)\n" in "".join(traceback.format_exception(error.value))
    finally:
        table.pop("fails")
    del code, error
    gc.collect()
    assert name not in linecache.cache


def test_single_examples_need_no_numpy() -> None:
    """Neither to be compiled nor to be run."""
    program = """
import sys
from array import array
from autograd import Graph, Value
from autograd.source import Source
from autograd.tape import Task
x = Value(2.0)
graph = Graph(x * x)
code = Source(Task(graph.roots, graph.nodes, [], [x], [x], {}))
print(code.one([], array("d", [3.0])), "numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "([9.0], [6.0]) False\n"
