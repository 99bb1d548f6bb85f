"""Programs as objects: what they are made of, what they refuse, what they share, and how large they may be."""

import ast
import copy
import gc
import importlib
import linecache
import math
import pickle
import subprocess
import sys
import threading
import traceback
import warnings
import weakref
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd.program
from autograd import Constant, Graph, Operation, Program, Value
from autograd import operations as ops
from autograd.operations import table
from tests.graphs import (
    PORTABLE,
    Compiled,
    Recorded,
    Result,
    drawn,
    each_backend,
    eager,
    identical,
    joined,
    network,
    within,
)


def neuron() -> tuple[Value, Value, Value, Value]:
    """Input, weight, bias, output."""
    x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(6.88, label="b")
    return x, w, b, (x * w + b).tanh()


def right(x: float, w: float, b: float) -> tuple[float, list[float]]:
    """Value and slopes of the neuron by x, w, b."""
    z = math.tanh(x * w + b)
    slope = (1.0 - z) * (1.0 + z)
    return z, [slope * w, slope * x, slope]


def close(found: Any, value: float, grads: Sequence[float]) -> bool:
    """Whether a program's result is that."""
    return found[0] == pytest.approx(value, rel=1e-13) and [*found[1]] == pytest.approx([*grads], rel=1e-13)


# What comes out.


@each_backend
def test_results_are_floats_and_float64_arrays(backend: Any) -> None:
    """A value or a tuple of them; the gradient in the order of ``wrt``; without ``wrt`` the value alone."""
    x, w, b, o = neuron()
    value, grads = Graph(o).compile([x], backend=backend)(0.5)
    assert type(value) is float
    assert type(grads) is np.ndarray
    assert (grads.dtype, grads.shape) == (np.float64, (2,))
    values, grads = Graph(o, x * w).compile([x], [b, x, w], backend=backend)(0.5)
    assert type(values) is tuple
    assert [type(value) for value in values] == [float, float]
    z, (dx, dw, db) = right(0.5, -3.0, 6.88)
    assert values == pytest.approx((z, -1.5), rel=1e-13)
    assert [*grads] == pytest.approx([db, dx - 3.0, dw + 0.5], rel=1e-13)
    alone = Graph(o).compile([x], [], backend=backend)(0.5)
    assert type(alone) is float
    both = Graph(o, x * w).compile([x], [], backend=backend)(0.5)
    assert type(both) is tuple


@each_backend
@pytest.mark.parametrize("order", ["xwb", "bwx", "wxb", "b", "xb", "w"])
def test_any_order_of_wrt_and_inputs(order: str, backend: Any) -> None:
    """The gradient and the parameters follow ``wrt``, the call follows ``inputs``."""
    x, w, b, o = neuron()
    nodes = dict(zip("xwb", (x, w, b), strict=True))
    wrt = [nodes[c] for c in order]
    z, slopes = right(2.0, -3.0, 6.88)
    wanted = [dict(zip("xwb", slopes, strict=True))[c] for c in order]
    for inputs in ([], [x], [b, x], [w, b, x], [x, w, b]):
        program = Graph(o).compile(inputs, wrt, backend=backend)
        assert program.inputs == tuple(inputs)
        assert program.wrt == tuple(wrt)
        given = [leaf for leaf in wrt if leaf not in inputs]
        assert program.leaves == (*given, *(leaf for leaf in (x, w, b) if leaf not in given and leaf not in inputs))
        assert [*program.parameters] == [leaf.data for leaf in program.leaves]
        assert close(program(*(leaf.data for leaf in inputs)), z, wanted)


@each_backend
def test_what_a_program_says_of_itself(backend: Any) -> None:
    x, w, _, o = neuron()
    program = Graph(o).compile([x], [w], backend=backend)
    assert repr(program) == f"<Program ({backend}): 1 inputs, 2 parameters, {len(Graph(o))} values, gradient by 1>"


@each_backend
def test_without_wrt_all_that_is_no_input(backend: Any) -> None:
    """Variables in the order of the graph; constants are none, and a leaf that is an input is not one either."""
    x, w, b, o = neuron()
    program = Graph(o * 2.0).compile([w], backend=backend)
    assert program.wrt == program.leaves == (x, b)
    assert Graph(o).compile([x, w, b], backend=backend).wrt == ()


@each_backend
def test_inner_nodes(backend: Any) -> None:
    """Their adjoints, in any order beside leaves; the root's own is 1; an inner root adds its own 1."""
    x, w, b, o = neuron()
    (s, _) = o.parents[0].parents
    program = Graph(o).compile([x], [o, w, s, o.parents[0]], backend=backend)
    z, (_, dw, db) = right(0.5, -3.0, 6.88)
    assert close(program(0.5), z, [1.0, dw, db, db])
    assert program.leaves == (w, b)
    values, grads = Graph(o, s, w).compile([x], [s, w], backend=backend)(0.5)
    assert values == pytest.approx((z, -1.5, -3.0), rel=1e-13)
    assert [*grads] == pytest.approx([db + 1.0, dw + 0.5 + 1.0], rel=1e-13)


@each_backend
def test_roots_of_every_kind(backend: Any) -> None:
    """A leaf, an input, a constant, constants only, the same twice."""
    x, w = Value(2.0, label="x"), Value(3.0, label="w")
    assert close(Graph(w).compile(backend=backend)(), 3.0, [1.0])
    assert close(Graph(x).compile([x], [x], backend=backend)(5.0), 5.0, [1.0])
    assert close(Graph(x).compile([x], [w], backend=backend)(5.0), 5.0, [0.0])
    assert Graph(x).compile([x], backend=backend)(5.0) == 5.0
    assert Graph(Constant(7.0)).compile(backend=backend)() == 7.0
    assert Graph(Constant(7.0) * 2.0 + 1.0).compile(backend=backend)() == 15.0
    assert close(Graph(Constant(7.0) * 2.0).compile([x], [w], backend=backend)(1.0), 14.0, [0.0])
    values, grads = Graph(Constant(7.0), x * w).compile([x], backend=backend)(5.0)
    assert (values, [*grads]) == ((7.0, 15.0), [5.0])
    y = x * w
    assert close(Graph(y, y).compile([x], backend=backend)(5.0), 15.0, [5.0])
    ends = Graph(math.nan * x, x * math.inf, x * -0.0).compile([x], [], backend=backend)(1.0)
    assert [str(z) for z in ends] == ["nan", "inf", "-0.0"]


@each_backend
def test_what_the_root_does_not_depend_on(backend: Any) -> None:
    """An input that is ignored, and ``wrt`` of nodes elsewhere: a gradient of 0."""
    x, w, b, o = neuron()
    other = Value(5.0, label="other")
    elsewhere = other * 2.0
    program = Graph(o).compile([other, x], [w, other, elsewhere], backend=backend)
    z, (_, dw, _) = right(0.5, -3.0, 6.88)
    assert close(program(math.nan, 0.5), z, [dw, 0.0, 0.0])
    assert program.leaves == (w, b)
    value, grads = program.batch([[math.inf, 0.5], [1.0, 0.5]])
    assert close((value, grads), 2.0 * z, [2.0 * dw, 0.0, 0.0])
    unused = Graph(o).compile([x], [other, w], backend=backend)
    assert close(unused(0.5), z, [0.0, dw])
    assert unused.leaves[0] is other
    step = Graph(ops.step(x) * 2.0 + w).compile([x], [x, w], backend=backend)
    assert [*step(0.5)[1]] == [0.0, 1.0]


@each_backend
def test_an_input_that_is_a_constant(backend: Any) -> None:
    """As the data of a loss often is; also where only constants are computed from it."""
    c, d, w = Constant(2.0, label="c"), Constant(5.0), Value(3.0)
    program = Graph(c * w + (c * c + d) * w).compile([c], [w], backend=backend)
    assert program.leaves == (w,)
    for at in (2.0, -1.5):
        assert close(program(at), at * 3.0 + (at * at + 5.0) * 3.0, [at + at * at + 5.0])
    assert close(program.batch([[2.0], [-1.5]]), 33.0 + 17.25, [11.0 + 5.75])
    power = Graph(w**c).compile([c], [w], backend=backend)
    assert close(power(2.0), 9.0, [6.0])


# What is refused.


def test_what_cannot_be_compiled_says_why() -> None:
    """Inputs that are computed, nodes that stand twice, what is no Value, a backend that does not exist."""
    x, w, _, o = neuron()
    inner = o.parents[0]
    inner.label = "weighted sum"
    graph = Graph(o)
    backend: Any
    for backend in ("source", "llvm", "auto"):
        with pytest.raises(ValueError, match="weighted sum"):
            graph.compile([x, inner], backend=backend)
        with pytest.raises(ValueError, match=r"label='w'|\bw\b"):
            graph.compile([x, w, w], backend=backend)
        with pytest.raises(ValueError, match=r"label='x'|\bx\b"):
            graph.compile([], [x, w, x], backend=backend)
        wrong: Any
        for wrong in ([1.0], ["x"], [None], [x, 2.0]):
            with pytest.raises(TypeError, match=r"float|str|None"):
                graph.compile(wrong, backend=backend)
            with pytest.raises(TypeError, match=r"float|str|None"):
                graph.compile([], wrong, backend=backend)
        with pytest.raises(TypeError, match=r"inputs must be a list of Values.* not Value"):
            graph.compile(x, backend=backend)  # type: ignore[arg-type]
    unknown: Any = "fortran"
    with pytest.raises(ValueError, match="fortran"):
        graph.compile([x], backend=unknown)


@each_backend
def test_calls_with_wrong_numbers_of_inputs_or_no_numbers(backend: Any) -> None:
    """TypeErrors that say how many are taken, and what came."""
    x, w, _, o = neuron()
    program = Graph(o).compile([x, w], backend=backend)
    wrong: Any
    for wrong in ((), (1.0,), (1.0, 2.0, 3.0), ([1.0, 2.0],)):
        with pytest.raises(TypeError, match=rf"2 input.*not {len(wrong)}"):
            program(*wrong)
    with pytest.raises(TypeError, match=r"2 input.*not 1; .* program\(\*row\)"):
        program([1.0, 2.0])  # type: ignore[arg-type]
    for wrong in ("1.0", None, 1j, [1.0], Value(1.0), np.ones(2), b"1"):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            program(1.0, wrong)
    with pytest.raises(TypeError):
        program(1.0, w=2.0)  # type: ignore[call-arg]
    with pytest.raises(OverflowError):
        program(1.0, 10**400)


@each_backend
def test_calls_with_other_kinds_of_real_numbers(backend: Any) -> None:
    """Integers, booleans, fractions, decimals and NumPy scalars are numbers."""
    x, w, _, o = neuron()
    program = Graph(o).compile([x], [w], backend=backend)
    number: Any
    for number in (2, True, Fraction(1, 3), Decimal("0.1"), np.float32(0.1), np.int8(3), np.array(2.0)):
        value, _ = program(number)
        assert value == program(float(number))[0]


# Parameters.


@each_backend
def test_a_program_has_its_own_numbers(backend: Any) -> None:
    """Leaves that change do not reach it before ``load``; it reaches them by ``store`` only."""
    x, w, b, o = neuron()
    constant = Constant(10.0)
    program = Graph(o * constant).compile([x], [b, w], backend=backend)
    z, (_, dw, db) = right(0.5, -3.0, 6.88)
    w.data, b.data, x.data, constant.data = 0.1, 0.2, 77.0, 1.0
    assert close(program(0.5), 10.0 * z, [10.0 * db, 10.0 * dw])
    assert close(program.batch([[0.5]]), 10.0 * z, [10.0 * db, 10.0 * dw])
    program.load()
    assert [*program.parameters] == [0.2, 0.1]
    z, (_, dw, db) = right(0.5, 0.1, 0.2)
    assert close(program(0.5), 10.0 * z, [10.0 * db, 10.0 * dw])
    program.parameters[0] = -1.0
    z, (_, dw, db) = right(0.5, 0.1, -1.0)
    assert close(program(0.5), 10.0 * z, [10.0 * db, 10.0 * dw])
    program.parameters = np.array([0.3, 0.4])
    z, (_, dw, db) = right(0.5, 0.4, 0.3)
    assert close(program(0.5), 10.0 * z, [10.0 * db, 10.0 * dw])
    assert close(program.batch([[0.5], [0.5]]), 20.0 * z, [20.0 * db, 20.0 * dw])
    assert (w.data, b.data) == (0.1, 0.2)
    program.store()
    assert (w.data, b.data, x.data) == (0.4, 0.3, 77.0)
    assert type(w.data) is float
    program.parameters -= 0.1 * program(0.5)[1]
    assert [*program.parameters] == pytest.approx([0.3 - db, 0.4 - dw], rel=1e-12)


@each_backend
def test_a_program_leaves_the_graph_alone(backend: Any) -> None:
    """Data, partials and grads of every node are as before: runs, batches and failed runs change nothing."""
    x, w = Value(2.0, label="x"), Value(3.0, label="w")
    y = (x * w).log()
    y.backward()
    graph = Graph(y)
    before = [(node.data, node.grad, node.partials) for node in graph]
    program = graph.compile([x], [w], backend=backend)
    program(0.5)
    program.batch([[0.5], [1.0]])
    with pytest.raises(ValueError, match=r"domain error|positive"):
        program(-1.0)
    with pytest.raises(ValueError, match=r"domain error|positive"):
        program.batch([[1.0], [-1.0]])
    program.source()
    assert [(node.data, node.grad, node.partials) for node in graph] == before


@each_backend
@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(1),
        np.zeros(3),
        np.zeros((2, 1)),
        np.zeros(2, dtype=np.float32),
        np.zeros(2, dtype=int),
        np.zeros(2, dtype=complex),
        np.zeros(2, dtype=">f8"),
        np.array(["1", "2"]),
        np.ma.array([1.0, 2.0], mask=[False, True]),
        "ab",
        None,
        1.0,
    ],
    ids=lambda x: f"{type(x).__name__}-{getattr(x, 'dtype', '')}-{getattr(x, 'shape', '')}",
)
def test_parameters_of_the_wrong_kind(wrong: Any, backend: Any) -> None:
    """A clear error when they are set or when they are used, and never a wrong number; then all is well again."""
    x, _, _, o = neuron()
    program = Graph(o).compile([x], backend=backend)
    good = program.parameters.copy()
    expected = program(0.5)
    for run in (lambda: program(0.5), lambda: program.batch([[0.5]])):

        def attempt(run: Any = run) -> None:
            program.parameters = wrong
            run()

        with pytest.raises((TypeError, ValueError), match=r"float64|shape|\b2\b"):
            attempt()
    program.parameters = good
    assert close(program(0.5), expected[0], [*expected[1]])


@each_backend
def test_parameters_that_are_wrong_from_the_start(backend: Any) -> None:
    """Before the first call, nothing has been read yet that a wrong kind could differ from."""
    x, _, _, o = neuron()
    for wrong in (None, [1.0, 2.0], np.frombuffer(b"-" + bytes(16), offset=1)):
        program = Graph(o).compile([x], backend=backend)
        program.parameters = wrong
        with pytest.raises(ValueError, match="array of 2 float64 numbers"):
            program(0.5)


@each_backend
def test_parameters_in_an_array_of_the_standard_library(backend: Any) -> None:
    x, _, _, o = neuron()
    program = Graph(o).compile([x], backend=backend)
    expected = program(0.5)
    program.parameters = array("d", program.parameters)
    assert close(program(0.5), expected[0], [*expected[1]])
    assert close(program.batch([[0.5]]), expected[0], [*expected[1]])


def test_parameters_whose_type_changes_in_place() -> None:
    """The Python that reads them would take the bits of 2.0 for 4611686018427387904."""
    x, _, _, o = neuron()
    program = Graph(o).compile([x], backend="source")
    program(0.5)
    changed: Any = np.array([2.0, 3.0])
    program.parameters = changed
    program(0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of newer NumPys
        changed.dtype = np.dtype(np.int64)
    with pytest.raises(ValueError, match="array of 2 float64 numbers"):
        program(0.5)


@each_backend
def test_parameters_that_are_not_contiguous(backend: Any) -> None:
    """Are refused, and never read with their neighbours; a read-only array is as good as any."""
    x, w, b, o = neuron()
    program = Graph(o).compile([x], [w, b], backend=backend)
    z, (_, dw, db) = right(0.5, 0.4, 0.3)
    for view in (np.array([0.4, 9.0, 0.3, 9.0])[::2], np.array([0.3, 0.4])[::-1]):
        program.parameters = view
        with pytest.raises(ValueError, match="contiguous"):
            program(0.5)
        with pytest.raises(ValueError, match="contiguous"):
            program.batch([[0.5]])
    program.parameters = np.array([0.4, 0.3])
    program.parameters.flags.writeable = False
    assert close(program(0.5), z, [dw, db])
    assert close(program.batch([[0.5]]), z, [dw, db])


# Life and death.


@each_backend
def test_a_program_outlives_its_graph(backend: Any) -> None:
    """Nothing else holds the nodes, and all still works; a program that is dropped is gone at once."""

    def make() -> Program:
        x, _, _, o = neuron()
        return Graph(o * 1.0).compile([x], backend=backend)

    program = make()
    gc.collect()
    junk = [Value(float(i)) * 2.0 for i in range(1000)]
    z, (_, dw, db) = right(0.5, -3.0, 6.88)
    assert close(program(0.5), z, [dw, db])
    assert close(program.batch([[0.5]]), z, [dw, db])
    program.store()
    program.load()
    assert close(program(0.5), z, [dw, db])
    del junk
    gone = weakref.ref(program)
    again = make()
    del program
    gc.collect()
    assert gone() is None
    assert close(again(0.5), z, [dw, db])


@each_backend
def test_programs_do_not_share_numbers(backend: Any) -> None:
    """Graphs of one structure, with other parameters, constants and labels, one after the other and mixed."""
    programs = []
    for k in range(5):
        x, w = Value(1.0, label=f"x{k}"), Value(float(k), label=f"w{k}")
        programs.append(Graph((x * w + (10.0 + k)).log()).compile([x], backend=backend))
    for _ in range(2):
        for k, program in enumerate(programs):
            assert close(program(2.0), math.log(2.0 * k + 10.0 + k), [2.0 / (2.0 * k + 10.0 + k)])
    for k, program in enumerate(programs[1:], start=1):
        with pytest.raises(ValueError, match=r"domain error|positive") as caught:
            program(-100.0)
        assert f"u = {-100.0 * k + 10.0 + k!r}" in " ".join(caught.value.__notes__)
    x, w = Value(1.0), Value(3.0)
    for root, value, slope in (
        (x - w, -1.0, -1.0),
        (w - x, 1.0, 1.0),
        (x - x + w * 0.0, 0.0, 0.0),
        (x / w, 2.0 / 3.0, -2.0 / 9.0),
        (w / x, 1.5, 0.5),
        (ops.fsum([x, w, w]), 8.0, 2.0),
        (ops.fsum([x, x, w]), 7.0, 1.0),
        (ops.sumprod([x, w], [w, w]), 15.0, 8.0),
        (ops.sumprod([x, w], [w, x]), 12.0, 4.0),
    ):
        assert close(Graph(root).compile([x], [w], backend=backend)(2.0), value, [slope])


def compilations() -> int:
    """How many codes have been compiled so far."""
    return int(importlib.import_module("autograd.machine").compilations)


def test_graphs_of_one_structure_share_one_code() -> None:
    """A loop that records anew, with other data and labels, compiles once; another structure compiles again."""

    def program(k: int, f: Any = ops.cosh, swapped: bool = False) -> Program:
        x, w = Value(0.1 * k, label=f"x{k}"), Value(2.0 + k, label="w" * k)
        y = f(w * x - x if swapped else x - w * x) + ops.erfc(ops.sumprod([x, w, x], [w, w, x]))
        return Graph(y).compile([x], [w], backend="llvm")

    program(0)(0.5)
    before = compilations()
    for k in range(10):
        found = program(k)(0.3)
        w = Value(2.0 + k)
        y = ops.cosh(0.3 - w * 0.3) + ops.erfc(ops.sumprod([0.3, w, 0.3], [w, w, 0.3]))
        y.backward()
        assert close(found, y.data, [w.grad])
    assert compilations() == before
    program(0, ops.sinh)(0.5)
    assert compilations() > before
    before = compilations()
    program(0, swapped=True)(0.5)
    assert compilations() > before
    program(1).batch([[0.5]])
    before = compilations()
    program(2).batch([[0.5], [0.25]])
    assert compilations() == before


def test_structures_that_are_hard_to_tell_apart() -> None:
    """The number of inputs, the sign of an exponent of zero, and exponents beside places of nodes."""

    def squared(*unused: Value) -> tuple[Any, Any]:
        x, w = Value(0.5), Value(3.0)
        program = Graph(ops.cosh(w * x + w)).compile([x, *unused], backend="llvm")
        numbers = [0.25, *(9.0 for _ in unused)]
        return program(*numbers), program.batch([numbers, numbers])

    (one, batch), (other_one, other_batch) = squared(), squared(Value(1.0))
    assert close(one, math.cosh(3.75), [1.25 * math.sinh(3.75)])
    assert close(batch, 2 * math.cosh(3.75), [2.5 * math.sinh(3.75)])
    assert close(other_one, one[0], one[1])
    assert close(other_batch, batch[0], batch[1])

    for zero in (0.0, -0.0):
        x, e = Value(-1.0), Constant(zero)
        assert Graph(x**e + ops.atan2(e, x)).compile([x], backend="llvm")(-1.0) == 1.0 + math.copysign(math.pi, zero)

    x = Value(1.3)
    graph = Graph((x**3.0).sin())
    exponent, inner = graph.nodes[1], graph.nodes[3]
    assert graph.compile([x], [exponent], backend="llvm")(1.3)[1] != 1.0
    assert graph.compile([x], [inner], backend="llvm")(1.3)[1] == 1.0


@pytest.mark.parametrize("offsets", [(0, 0), (0, 1, 2, 3), (5, 0, 20, 5)])
@each_backend
def test_weighted_sums_of_one_column_may_share_weights(backend: Any, offsets: tuple[int, ...]) -> None:
    """As where a layer is called twice on the same Values, or a filter is moved along its weights."""
    x, w = [Value(0.1 * j - 0.5) for j in range(9)], [Value(0.3 - 0.02 * j) for j in range(29)]
    y = ops.fsum([ops.sumprod(w[k : k + 9], x) ** 2 + ops.sumprod(w[k : k + 9], x).tanh() for k in offsets])
    y.backward()
    program = Graph(y).compile(x, w, backend=backend)
    row = [v.data for v in x]
    assert close(program(*row), y.data, [v.grad for v in w])
    assert close(program.batch([row] * 5), 5 * y.data, [5 * v.grad for v in w])


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say what memory is held")
@each_backend
def test_many_graphs_in_one_process(backend: Any) -> None:
    """A hundred and sixty of different structure, made and dropped: a few may be kept, not all of them."""

    def run(k: int) -> None:
        x, w = Value(0.5), Value(0.25)
        y = x
        for bit in range(8):  # another chain of rows for every k
            y = ops.sin(y) if k >> bit & 1 else y * w
        value, grads = Graph(y).compile([x], [x, w], backend=backend)(0.5)
        y.backward()
        assert close((value, grads), y.data, [x.grad, w.grad])

    for k in range(40):
        run(k)
    gc.collect()
    before = resident()
    for k in range(40, 200):
        run(k)
    gc.collect()
    assert resident() - before < 64e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say what memory is held")
def test_nothing_is_left_of_code_that_is_dropped() -> None:
    """Of five hundred codes, less than a megabyte, where a linker for all would keep five."""
    pytest.importorskip("llvmlite")
    machine = importlib.import_module("autograd.machine")

    def make(count: int) -> int:
        for _ in range(count):
            machine.linked("define i64 @one() { ret i64 1 }", ["one"])
        gc.collect()
        return resident()

    before = make(100)
    assert make(500) - before < 1e6


def test_the_lines_of_dropped_programs_go_with_them() -> None:
    """Generated source is known to ``linecache`` while its program lives, not for ever."""
    before = len(linecache.cache)
    for k in range(300):
        x = Value(0.5)
        y = x
        for bit in range(9):
            y = ops.sin(y) if k >> bit & 1 else ops.cos(y)
        Graph(y).compile([x], [x], backend="source")(0.5)
    gc.collect()
    assert len(linecache.cache) - before < 200


# Threads.


@each_backend
@pytest.mark.parametrize("threads", [2, 8])
def test_threads_share_a_program(threads: int, backend: Any) -> None:
    """Calls and batches at once, each with the result that it has alone; errors go to whom they belong."""
    at = [math.sin(1.7 * i) for i in range(26)]
    compiled = Compiled(network, at, backend)
    compiled.set(at)
    program = compiled.program
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1.0, 1.0, (40, 3))
    single = [(value, [*grads]) for value, grads in (program(*row) for row in rows)]
    batches = [(value, [*grads]) for value, grads in (program.batch(rows[:n]) for n in range(1, 41))]
    barrier = threading.Barrier(threads)

    def work(first: int) -> bool:
        barrier.wait()
        for step in range(10):
            for i in range(first % 7, 40, 7):
                value, grads = program(*rows[i])
                assert (value, [*grads]) == single[i]
            n = (first * 5 + step * 3) % 40
            value, grads = program.batch(rows[: n + 1])
            assert (value, [*grads]) == batches[n]
        return True

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(threads) as pool:
            assert all(pool.map(work, range(threads)))
    finally:
        sys.setswitchinterval(interval)


@each_backend
def test_threads_fail_apart(backend: Any) -> None:
    """Half of them leave the domain all the time: the others never see it."""
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    program = Graph(ops.log(x) * w).compile([x], backend=backend)

    def work(k: int) -> set[str]:
        seen = set()
        for _ in range(50):
            try:
                seen.add(repr(program(float(k))[0]))
                seen.add(repr(program.batch([[float(k)]])[0]))
            except ValueError as error:
                seen.add(error.__notes__[0])
        return seen

    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(work, range(-3, 5))]
    for k, seen in zip(range(-3, 5), found, strict=True):
        if k <= 0:
            assert seen == {f'in log(u), u = {float(k)!r} ("x")'}
        else:
            assert [float(one) for one in seen] == pytest.approx([2.0 * math.log(k)] * len(seen), rel=1e-13)


# Size.


def chain_of(n: int) -> Any:
    """N operations, one after the other, of five kinds."""

    def build(at: Sequence[float]) -> Recorded:
        x, w, b = leaves = [Value(value) for value in at]
        y = x
        for i in range(n // 5):
            y = ops.sin(y * w + b) - 0.001 * i if i % 2 else ops.sin(w * y - b) / 1.5 + y
        return Recorded(leaves, [y], [x], leaves)

    return build


@each_backend
def test_a_chain_of_twenty_thousand_operations(backend: Any) -> None:
    """No recursion, no time that grows with the square; numbers as eagerly."""
    build = chain_of(20_000)
    at = [0.4, 0.3, -0.2]
    compiled = Compiled(build, at, backend)
    expected = eager(build, at)
    found = compiled(at)
    assert len(compiled.program.nodes) >= 20_000
    if backend == "source":
        assert identical(found, expected)
    assert within(found, expected, Result([1e-9], [1e-9 * (1.0 + abs(g)) for g in expected.grads]))
    outputs, _ = compiled.program.batch([[0.4], [0.5], [0.4]], per_example=True)
    assert outputs[0] == outputs[2] == pytest.approx(expected.values[0], rel=1e-9)


@each_backend
def test_wide_sums(backend: Any) -> None:
    """Three thousand operands, as one node and as a chain of sums; parameters, inputs and both mixed."""
    n = 3000

    def build(at: Sequence[float]) -> Recorded:
        leaves = [Value(x) for x in at]
        xs, ws = leaves[:50], leaves[50:]
        chained = xs[0]
        for w in ws:
            chained = chained + w
        mixed = [leaf for pair in zip(ws, xs * 60, strict=True) for leaf in pair]
        roots = [
            ops.fsum(ws),
            ops.sumprod(ws, xs * 60),
            ops.sumprod(ws, ws),
            ops.fsum(mixed),
            chained,
            ops.logsumexp(ws),
        ]
        return Recorded(leaves, roots, xs, [*ws, *xs])

    at = [math.sin(0.7 * i) for i in range(n + 50)]
    compiled = Compiled(build, at, backend)
    expected = eager(build, at)
    sizes = Result([math.fsum(map(abs, at)) * 60.0] * 6, [1e3] * len(expected.grads))
    assert within(compiled(at), expected, Result(*([1e-12 * x for x in xs] for xs in sizes)))
    if backend == "source":
        assert identical(compiled(at), expected)
    rows = [at[:50], [0.5 * x for x in at[:50]]]
    value, grads = compiled.program.batch(rows)
    half = eager(build, [*rows[1], *at[50:]])
    both = Result(
        [x + y for x, y in zip(expected.values, half.values, strict=True)],
        [x + y for x, y in zip(expected.grads, half.grads, strict=True)],
    )
    assert within(Result([*value], [*grads]), both, Result(*([2e-12 * x for x in xs] for xs in sizes)))


@each_backend
def test_a_graph_that_is_too_large_is_refused(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its size and the limit; one that is just as large as allowed is not."""
    monkeypatch.setattr(autograd.program, "LARGEST", 12)
    x = Value(1.0)
    y = x
    for _ in range(11):
        y = ops.sin(y)
    assert len(Graph(y)) == 12
    Graph(y).compile([x], backend=backend)(0.5)
    with pytest.raises(ValueError, match=r"\b13\b.*\b12\b"):
        Graph(ops.sin(y)).compile([x], backend=backend)


# Without the packages that make programs fast.

BLOCKED = """
import sys

from importlib.machinery import PathFinder

class WithoutThem(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {blocked!r} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutThem
from autograd import Graph, Value, log

x, w = Value(2.0, label="x"), Value(-3.0, label="w")
graph = Graph((x * w).tanh() + log(x))
for backend in ("auto", "source"):
    program = graph.compile([x], backend=backend)
    assert program.backend == "source", program.backend
    value, grads = program(0.5)
    print(value, *grads, len(grads), program.wrt == (w,))
    program.parameters[0] = 1.5
    print(program(0.5)[0])
    program.load()
    program.store()
    try:
        program(-1.0)
    except ValueError as error:
        print(error.__notes__)
    program.source()
    try:
        print(program.batch([[0.5], [1.0]])[0])
    except ImportError as error:
        print("batch:", error)
try:
    graph.compile([x], backend="llvm")
except ImportError as error:
    print("llvm:", error)
"""


@pytest.mark.parametrize("blocked", [("numpy", "llvmlite"), ("llvmlite",)], ids="+".join)
def test_without_the_packages_for_speed(blocked: tuple[str, ...]) -> None:
    """Single calls work; a batch needs NumPy, machine code both, and the errors say what to install."""
    program = BLOCKED.format(blocked=set(blocked))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8")
    assert not done.stderr
    lines = done.stdout.splitlines()
    z = math.tanh(-1.5)
    for part in (lines[:4], lines[4:8]):
        value, slope, *rest = part[0].split()
        assert float(value) == z + math.log(0.5)
        assert float(slope) == (1.0 - z) * (1.0 + z) * 0.5
        assert rest == ["1", "True"]
        assert float(part[1]) == math.tanh(0.75) + math.log(0.5)
        assert part[2] == """['in log(u), u = -1.0 ("x")']"""
        if "numpy" in blocked:
            assert part[3].startswith("batch:")
            assert "gradgraph[fast]" in part[3]
        else:
            assert float(part[3]) == pytest.approx(z + math.tanh(-3.0) + math.log(0.5), rel=1e-12)
    assert lines[8].startswith("llvm:")
    assert "gradgraph[fast]" in lines[8]
    assert len(lines) == 9


# The source.


def executed(program: Program, inputs: Sequence[float]) -> Result:
    """What the text of a program gives on its own: it imports what it needs, and defines ``program``."""
    namespace: dict[str, Any] = {}
    exec(compile(program.source(), "<text of a program>", "exec"), namespace)
    values, grads, *_ = namespace["program"](inputs, [float(x) for x in program.parameters])
    return Result([*values], [g + 0.0 for g in grads])  # the eager engine adds to 0.0


@each_backend
def test_the_source_is_python_that_gives_the_numbers(backend: Any) -> None:
    """To the bit those of the eager engine, whatever the backend, for all rows and random graphs."""
    recipes = [drawn(seed, PORTABLE, 20) for seed in range(20) if drawn(seed, PORTABLE, 20).wrt]
    for recipe in recipes if backend == "source" else [joined(recipes[:3])]:
        compiled = Compiled(recipe, recipe.leaves, backend)
        text = compiled.program.source()
        ast.parse(text)
        assert text == compiled.program.source("python")
        if backend == "source":
            assert identical(executed(compiled.program, compiled.set(recipe.leaves)), eager(recipe, recipe.leaves))
    unknown: Any = "fortran"
    with pytest.raises(ValueError, match="fortran"):
        compiled.program.source(unknown)


HOSTILE = [
    "\n",
    "a\nimport os\n",
    "\r\x0b\x0c\x00\x1b[31m\u2028\u2029",
    "'",
    '"',
    '"""',
    "'''",
    "\\",
    "#",
    "x = 1",
    "%s {0} {x}",
    "lambda",
    "class",
    "None",
    "import",
    "tanh",
    "mul",
    "math",
    "float",
    "inputs",
    "parameters",
    "program",
    "__builtins__",
    "__import__('os')",
    "'); __import__('autograd').hacked = 1 #",
    '"); __import__("autograd").hacked = 1 #',
    "\n__import__('autograd').hacked = 1\n",
    "Ωμέγα",
    "ﬁ",
    "µ",
    "μ",
    "变量",
    "🙂",
    "\ud800",
    " ",
    "1",
    "v1",
    "u1",
    "x" * 10_000,
    "(" * 1_000,
    "__debug__",
    "_",
]


@each_backend
def test_hostile_labels(backend: Any) -> None:
    """On inputs, parameters and inner nodes, each alone and all at once: never run, never in the way."""

    def build(names: Sequence[str]) -> tuple[list[Value], list[Value], Value]:
        xs = [Value(0.1 * i + 0.5, label=name) for i, name in enumerate(names)]
        ws = [Value(0.2 * i - 0.5, label=name) for i, name in enumerate(names)]
        y = ops.sumprod(ws, xs)
        for name, x, w in zip(names, xs, ws, strict=True):
            y = ops.tanh(x * w) + y
            y.label = y.parents[0].label = name
        return xs, ws, y

    for names in [HOSTILE, *([name] for name in (HOSTILE if backend == "source" else HOSTILE[:3]))]:
        xs, ws, y = build(names)
        program = Graph(y).compile(xs, ws, backend=backend)
        value, grads = program(*(x.data for x in xs))
        y.backward()
        assert value == pytest.approx(y.data, rel=1e-13)
        assert [*grads] == pytest.approx([w.grad for w in ws], rel=1e-12, abs=1e-13)
        ast.parse(program.source())
        if backend == "source":
            assert executed(program, [x.data for x in xs]).values == [y.data]
    assert not hasattr(autograd, "hacked")


@each_backend
@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_labels_in_errors(label: str, backend: Any) -> None:
    """Shown as the eager engine shows them."""
    x = Value(1.0, label=label)
    graph = Graph(x.log())
    program = graph.compile([x], backend=backend)
    with pytest.raises(ValueError, match=r"domain error|positive") as eagerly:
        graph.forward({x: -1.0})
    with pytest.raises(ValueError, match=r"domain error|positive") as caught:
        program(-1.0)
    assert caught.value.__notes__ == eagerly.value.__notes__


def test_a_traceback_shows_the_line_of_the_source() -> None:
    """An error that is none of arithmetic comes from the generated line, which can be read there."""

    def fussy_forward(x: float) -> float:
        if x > 2.0:
            raise RuntimeError("too much")
        return x

    fussy = Operation("fussy", fussy_forward, (lambda x, z: 1.0,))
    x, w = Value(1.0), Value(0.5)
    program = Graph(fussy(x * w) + w).compile([x], backend="source")
    assert program(1.0)[0] == 1.0
    with pytest.raises(RuntimeError, match="too much") as caught:
        program(10.0)
    frames = traceback.extract_tb(caught.value.__traceback__)
    generated = [frame for frame in frames if frame.filename.startswith("<")]
    assert generated
    assert "fussy" in str(generated[-1].line)
    assert str(generated[-1].line).strip() in program.source()
    del table["fussy"]


@each_backend
def test_a_copy_of_a_graph_compiles_to_the_same(backend: Any) -> None:
    """Deep copies have nodes of their own, and the same numbers."""
    recipe = drawn(11, PORTABLE)
    recorded = recipe(recipe.leaves)
    roots, inputs, wrt = copy.deepcopy((recorded.roots, recorded.inputs, recorded.wrt))
    first = Graph(*recorded.roots).compile(recorded.inputs, recorded.wrt, backend=backend)
    second = Graph(*roots).compile(inputs, wrt, backend=backend)
    at = [leaf.data for leaf in inputs]
    assert str(first(*at)) == str(second(*at))


@each_backend
def test_programs_pickle(backend: Any) -> None:
    """With the graph and the parameters, changed ones too; the copy has its own."""
    x, _, _, o = neuron()
    program = Graph(o).compile([x], backend=backend)
    program.parameters[:] = [0.4, 0.3]
    again = pickle.loads(pickle.dumps(program))
    assert again.backend == program.backend
    assert [*again.parameters] == [0.4, 0.3]
    program.parameters[:] = math.nan
    z, (_, dw, db) = right(0.5, 0.4, 0.3)
    assert close(again(0.5), z, [dw, db])
    assert close(again.batch([[0.5], [0.5]]), 2.0 * z, [2.0 * dw, 2.0 * db])
