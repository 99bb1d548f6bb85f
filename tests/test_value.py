"""Value at the REPL: habits of micrograd, numbers, errors, copies, and graphs of any depth."""

import contextvars
import copy
import gc
import math
import operator
import pickle
import pydoc
import sys
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from autograd import (
    Constant,
    Graph,
    Value,
    context,
    fsum,
    gradient,
    label_from,
    log,
    maximum,
    name_scope,
    no_grad,
    relu,
    sqrt,
    where,
)
from autograd import abs as abs_

DEPTH = 100_000  # ``make load`` takes a million


def chain(depth: int = DEPTH) -> tuple[Value, Value]:
    """The leaf and the end of a chain of additions, each of which depends on the one before."""
    x = y = Value(1.0, label="x")
    for _ in range(depth):
        y = y + x
    return x, y


# What micrograd's users expect.


def test_backward_twice_is_twice_and_zero_grad_starts_again() -> None:
    """x³ at 3: 27, then 54, and 27 again."""
    x = Value(3.0)
    y = x**3
    y.backward()
    assert x.grad == 27.0
    y.backward()
    assert x.grad == 54.0
    y.zero_grad()
    assert not x.has_grad
    y.backward()
    assert x.grad == 27.0


def test_backward_twice_doubles_every_node() -> None:
    """Also inner nodes, where micrograd's second pass starts from the first one's numbers."""
    a, b = Value(-2.0), Value(3.0)
    c = a * b
    d = c * c + c
    d.backward()
    once = [node.grad for node in Graph(d)]
    d.backward()
    assert [node.grad for node in Graph(d)] == [2.0 * g for g in once]


def test_a_second_pass_adds_nothing_where_nothing_arrives() -> None:
    """An adjoint of 0 is added like any other."""
    x, w = Value(2.0), Value(3.0)
    y = x * 0.0 + w
    for passes in (1.0, 2.0):
        y.backward()
        assert (x.grad, w.grad) == (0.0, passes)


def test_parents_keep_order_and_multiplicity() -> None:
    """A + a has two parents, and two edges."""
    a = Value(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad == 4.0
    assert b.parents == b._prev == (a, a)
    assert c.parents == (b, b)
    assert b.partials == (1.0, 1.0)
    assert len(Graph(c).edges) == 4


def test_every_operator_is_one_node() -> None:
    """A difference is a sub, not an add of a neg."""
    x, y = Value(2.0), Value(3.0)
    made = [x + y, x - y, x * y, x / y, x**y, -x, abs(x)]
    assert [node._op for node in made] == ["+", "-", "*", "/", "**", "-", "abs"]
    assert all(set(node.parents) <= {x, y} for node in made)
    assert x._op == ""
    assert x.op is None
    assert +x is x


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
@pytest.mark.parametrize("number", [3, 3.0, True])
def test_reflected_operators_keep_the_order(op: Any, number: float) -> None:
    """2 − x is not x − 2, and 2 ** x is a node too."""
    x = Value(2.5)
    left, right = op(number, x), op(x, number)
    assert (left.data, right.data) == (op(float(number), 2.5), op(2.5, float(number)))
    assert [type(p) for p in left.parents] == [Constant, Value]
    assert [type(p) for p in right.parents] == [Value, Constant]
    assert left.partials[0] == right.partials[1] == 0.0


def test_in_place_operators_bind_the_name_anew() -> None:
    """X += 1 makes a node, and leaves the old one alone."""
    x = y = Value(1.0)
    x += 1
    x *= 3
    assert (x.data, y.data) == (6.0, 1.0)


def test_sum_of_many_squared_errors() -> None:
    """The builtin sum makes a chain of 30,000 nodes, which is no deeper than the engine likes."""
    w = Value(0.5)
    loss = sum((w * float(i % 7) - 1.0) ** 2 for i in range(10_000))
    assert isinstance(loss, Value)
    loss.backward()
    assert w.grad == pytest.approx(sum(2.0 * (0.5 * (i % 7) - 1.0) * (i % 7) for i in range(10_000)), rel=1e-12)


def test_leaves_may_change_before_backward() -> None:
    """Partials are recorded with the node, so they belong to the numbers it was computed from."""
    x = Value(3.0)
    y = x * x
    x.data = 100.0
    y.backward()
    assert x.grad == 6.0


# Numbers in and out.


def test_comparisons_are_of_numbers_and_equality_is_identity() -> None:
    """So that nodes can be keys, and max() works."""
    a, b = Value(1.0), Value(2.0)
    assert a < b
    assert a <= 1.0
    assert b > 1
    assert b >= a
    assert max([a, b]) is b
    assert a != Value(1.0)
    assert len({a, b, a}) == 2
    assert bool(Value(0.0)) is False
    assert bool(b) is True
    with pytest.raises(TypeError):
        operator.lt(a, "1")


def test_numbers_are_written_like_numbers() -> None:
    """f-strings and round use the number."""
    x = Value(3.14159)
    assert f"{x:.3f} {x:>8.2f}" == "3.142     3.14"
    assert round(x) == 3
    assert round(x, 2) == 3.14
    assert f"{x}" == "Value(data=3.14159)"


def test_leaving_the_graph_by_accident_is_an_error() -> None:
    """float(), int() and math would silently cut the graph; the message says what to use."""
    x = Value(1.0)
    escapes: list[Any] = [float, int, complex, math.exp]
    for escape in escapes:
        with pytest.raises(TypeError, match=r"silently leave the graph: use x.data .* autograd.exp\(x\)"):
            escape(x)


@pytest.mark.parametrize("wrong", ["3", 1j, None, [1.0], Decimal(1)])
def test_a_value_needs_a_real_number(wrong: Any) -> None:
    """Everything else is a TypeError that shows what it got."""
    with pytest.raises(TypeError, match="Value needs a real number, not"):
        Value(wrong)
    x = Value(1.0)
    with pytest.raises(TypeError, match="data needs a real number"):
        x.data = wrong
    if wrong is not None:  # which forgets it
        with pytest.raises(TypeError, match="grad needs a real number"):
            x.grad = wrong
    with pytest.raises(TypeError, match="backward needs a real number"):
        x.backward(wrong)
    for op in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
        with pytest.raises(TypeError):
            op(x, wrong)
        with pytest.raises(TypeError):
            op(wrong, x)
    assert x.data == 1.0
    assert not x.has_grad


def test_a_value_of_a_value_says_what_to_do() -> None:
    """Value(Value(1)) is a mistake; numbers of other kinds are not."""
    with pytest.raises(TypeError, match="is a Value already: use it as it is, or detach"):
        Value(Value(1.0))  # type: ignore[arg-type]
    assert Value(True).data == 1.0
    assert type(Value(3).data) is float
    with pytest.raises(OverflowError):
        Value(10**400)


# Constants.


def test_plain_numbers_become_constants() -> None:
    """They are part of the graph and never given a gradient, whatever the power rule says."""
    x = Value(-2.0)
    y = x**3 * 2
    y.backward()
    constants = [node for node in Graph(y) if isinstance(node, Constant)]
    assert [c.data for c in constants] == [3.0, 2.0]
    assert all(c.grad == 0.0 and not c.has_grad for c in constants)
    assert repr(constants[0]) == "Constant(data=3.0)"
    constants[0].grad = 1.0
    assert constants[0].grad == 0.0
    assert x.grad == 24.0


def test_operations_on_constants_are_constants() -> None:
    """So a detached part of a graph takes no gradient, however much is computed from it."""
    x = Value(2.0, label="x")
    c = x.detach()
    y = (c * c) * x
    y.backward()
    assert (type(c), c.label) == (Constant, "x")
    assert {type(z) for z in (c * c, c * 2.0, 2.0 * c, -c, c.tanh(), c**2, fsum([c, 1.0]))} == {Constant}
    assert x.grad == 4.0
    with pytest.raises(RuntimeError, match="nothing to differentiate: Constant"):
        (c * 2.0).backward()


def test_no_grad_records_nothing() -> None:
    """As a block and as a decorator, nested, and after an error."""
    x = Value(2.0)
    with no_grad():
        y = x * x + relu(x)
        with no_grad():
            pass
        assert (x * x).parents == ()
    assert (type(y), y.data, y.parents) == (Constant, 6.0, ())
    with no_grad():
        unrecorded = [2.0 * x, x - 1.0, fsum([x, x]), -x, x**2, where(x, x, x)]
    assert all(type(node) is Constant and not node.parents for node in unrecorded)
    assert no_grad()(lambda: x * x)().parents == ()
    with pytest.raises(ValueError, match=r"math domain error|positive"), no_grad():
        log(x - 3.0)
    assert len((x * x).parents) == 2


def test_no_operation_asks_for_blocks_when_none_is_open() -> None:
    """As many are closed as are opened, also by errors."""

    def open_blocks() -> tuple[int, int, int]:
        return len(context.no_grad_blocks), len(context.scope_blocks), len(context.comparison_blocks)

    assert open_blocks() == (0, 0, 0)
    with suppress(ZeroDivisionError), no_grad(), name_scope("a"), context.comparisons(), context.nodes_made():
        assert open_blocks() == (2, 1, 1)
        Value(1.0) / 0.0
    assert open_blocks() == (0, 0, 0)


def test_blocks_of_one_thread_do_not_reach_another() -> None:
    """no_grad and name_scope belong to the thread that opened them."""
    x = Value(2.0)
    seen: list[tuple[int, str]] = []
    with no_grad(), name_scope("mine"):
        thread = threading.Thread(target=lambda: seen.append((len((x * x).parents), (x * x).scope)))
        thread.start()
        thread.join()
    assert seen == [(2, "")]


# Names.


def test_a_scope_that_was_left_open_names_nothing() -> None:
    """As one is that Ctrl-C keeps from closing."""

    def left_open() -> None:
        name_scope("lost").__enter__()

    copied = contextvars.copy_context()
    copied.run(left_open)

    def later() -> tuple[str, str]:
        outside = Value(1.0).scope
        with name_scope("hidden"):
            return outside, Value(1.0).scope

    assert copied.run(later) == ("", "hidden")


def test_name_scopes_tag_the_nodes_made_inside() -> None:
    """Leaves too; scopes nest with a dot."""
    x = Value(1.0)
    with name_scope("hidden"):
        w = Value(2.0)
        with name_scope("unit"):
            y = w * x
            z = y * 2.0
    assert [node.scope for node in (x, w, y, y + x)] == ["", "hidden", "hidden.unit", ""]
    assert [node.scope for node in z.parents] == ["hidden.unit", "hidden.unit"]


def test_label_from_names_what_has_no_name() -> None:
    """Variables, lists of them, the first name wins; underscored and foreign things are passed over."""
    a, named = Value(1.0), Value(2.0, label="mine")
    xs = [Value(3.0), (Value(4.0), 5.0)]
    label_from({"_": a, "a": a, "b": a, "named": named, "xs": xs, "n": 3})
    assert (a.label, named.label) == ("a", "mine")
    assert [node.label for node in (xs[0], xs[1][0])] == ["xs[0]", "xs[1][0]"]  # type: ignore[index, union-attr]


@pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO leaves out what help is made of")
def test_repr_tells_what_is_known_and_help_what_confuses() -> None:
    """A gradient that is not computed is not shown as 0."""
    x = Value(2.0, label="x")
    y = x * 0.0
    assert repr(x) == "Value(data=2.0, label='x')"
    assert repr(y) == "Value(data=0.0, op='*')"
    y.backward()
    assert repr(x) == "Value(data=2.0, grad=0.0, label='x')"
    told = pydoc.plain(pydoc.render_doc(Value))
    for word in (
        "reads 0.0 until a ``backward`` has reached",
        "*adds* to ``grad``",
        "silently leave the graph",
        "Graph(y)",
    ):
        assert word in told


# Domain errors.


def notes(error: BaseException) -> str:
    """The notes that tell where an error arose."""
    return " ".join(getattr(error, "__notes__", []))


def test_domain_errors_are_pythons_and_say_where() -> None:
    """Type of the error as in Python; the note names operation, operands and labels."""
    u, zero = Value(-1.0, label="margin"), Value(0.0, label="z")
    with pytest.raises(ValueError, match=r"math domain error|positive") as caught:
        u.log()
    assert notes(caught.value) == 'in log(u), u = -1.0 ("margin")'
    with pytest.raises(ZeroDivisionError) as division:
        u / zero
    assert notes(division.value) == 'in u / v, u = -1.0 ("margin"), v = 0.0 ("z")'
    with pytest.raises(ZeroDivisionError) as power:
        zero**-1
    assert notes(power.value) == 'in u ** v, u = 0.0 ("z"), v = -1.0'
    with pytest.raises(OverflowError) as overflow:
        Value(1000.0).exp()
    assert notes(overflow.value) == "in exp(u), u = 1000.0"
    with pytest.raises(ValueError, match="math domain error") as root:
        u**0.5
    assert notes(root.value) == 'in u ** v, u = -1.0 ("margin"), v = 0.5'
    with pytest.raises(ValueError, match="-inf") as total:
        fsum([math.inf, Value(-math.inf), *[1.0] * 20])
    assert notes(total.value).startswith("in fsum of 22 values, u1 = inf, u2 = -inf, u3 = 1.0")
    with pytest.raises(OverflowError) as large:
        fsum([Value(1e308, label="x"), Value(1e308)])
    assert notes(large.value) == 'in fsum([u, v]), u = 1e+308 ("x"), v = 1e+308'


def test_a_failed_operation_leaves_no_node_behind() -> None:
    """Operands are as before, and hold nothing of the failed node."""
    x = Value(0.0)
    before = sys.getrefcount(x)
    failing: list[Callable[[], Value]] = [lambda: 1.0 / x, lambda: x / x, lambda: log(x), lambda: x**-2]
    for operation in failing:
        with pytest.raises((ValueError, ArithmeticError)):
            operation()
    gc.collect()
    assert sys.getrefcount(x) == before
    assert repr(x) == "Value(data=0.0)"


def test_infinite_slopes_are_numbers() -> None:
    """sqrt'(0) is inf without an error; an adjoint of exactly 0 does not meet it."""
    x, w = Value(0.0), Value(0.0)
    sqrt(x).backward()
    assert x.grad == math.inf
    x.zero_grad()
    (sqrt(x) * w).backward()
    assert (x.grad, w.grad) == (0.0, 0.0)


def test_nan_stays_nan() -> None:
    """Through relu, maximum, abs and where, for nodes and floats."""
    nan = math.nan
    for x in (Value(nan), nan):
        for y in (relu(x), maximum(x, 1.0), maximum(1.0, x), abs_(x), where(1.0, x, 2.0), where(x, 1.0, 2.0)):
            assert math.isnan(y.data if isinstance(y, Value) else y)


# Depth, memory, interruption.


def test_a_hundred_thousand_nodes_deep() -> None:
    """Built, sorted, differentiated, printed, compared, copied, deep-copied, pickled, zeroed and dropped."""
    x, y = chain()
    y.backward()
    assert x.grad == DEPTH + 1
    graph = Graph(y)
    assert "100001 values (1 leaf, 100000 operations), 200000 edges, depth 100000" in repr(graph)
    assert repr(y).startswith("Value(data=")
    for again in (copy.copy(y), copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        assert again is not y
        assert (again.data, again.grad) == (y.data, 1.0)
        assert len(Graph(again)) == len(graph)
    graph.forward({x: 2.0})
    assert y.data == 2.0 * (DEPTH + 1)
    assert graph.path_count(y, x) == DEPTH + 1
    assert sum(1 for _ in graph.steps()) == 3 * DEPTH
    assert graph.first_nonfinite() is None
    (slope,) = gradient(y, [x])
    assert slope.data == DEPTH + 1
    y.zero_grad()
    assert not x.has_grad
    del graph, again, y
    assert x.grad == 0.0


def test_copies_keep_what_is_shared() -> None:
    """Nodes that two pickled or copied things share are shared afterwards, in whichever order they come."""
    x = Value(2.0, label="x")
    h = x * x
    y = h + x
    for names in ({"x": x, "h": h, "y": y}, {"y": y, "h": h, "x": x}, {"h": h, "y": y, "x": x}):
        for again in (copy.deepcopy(names), pickle.loads(pickle.dumps(names)), pickle.loads(pickle.dumps(names, 0))):
            again["y"].backward()
            assert again["x"].grad == 5.0
            assert again["h"].parents == (again["x"],) * 2
            assert again["y"].parents == (again["h"], again["x"])
    assert copy.copy(y).parents == y.parents
    assert not x.has_grad


def test_pickles_after_a_failed_pickle() -> None:
    """A pickle that fails half-way leaves nothing that would harm the next one of a deep graph."""
    x, y = chain(5_000)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps([y, lambda: None])
    z = y * (lambda: None).__code__.co_argcount
    for node in (z, y, x):
        assert len(Graph(pickle.loads(pickle.dumps(node)))) == len(Graph(node))
    pickled = [pickle.loads(pickle.dumps(part)) for part in ([x, y, z], [z, y])]
    assert all(len(Graph(*part)) == len(Graph(z)) for part in pickled)


def test_nodes_make_no_reference_cycles() -> None:
    """With the collector off, dropping a graph frees every node of it."""
    gc.collect()
    gc.disable()
    try:
        x = Value(2.0)
        before = len(gc.get_objects())
        y = fsum([(x * float(i)).tanh() + fsum([x, 1.0, x]) for i in range(100)])
        y.backward()
        Graph(y).forward({x: 3.0})
        with pytest.raises(ZeroDivisionError):
            y / 0.0
        list(Graph(y).steps())
        del y
        assert len(gc.get_objects()) - before < 20
    finally:
        gc.enable()


def test_memory_per_binary_node() -> None:
    """At most 220 bytes, after backward too."""
    xs = [Value(float(i)) for i in range(2)]
    tracemalloc.start()
    try:
        y = xs[0]
        for _ in range(10_000):
            y = y * xs[1]
        y.backward()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / 10_000 <= 220


def test_threads_that_share_parameters_add_up() -> None:
    """Eight threads run backward on their own graphs over one parameter: no contribution is lost."""
    w = Value(1.0)

    def work() -> None:
        for _ in range(10):
            y = w
            for _ in range(2_000):
                y = y + w
            y.backward()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-4)  # so that they really take turns within a pass
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert w.grad == 8 * 10 * 2_001.0


def test_subclasses_keep_their_attributes() -> None:
    """In copies and pickles; what is computed from them is a Value."""
    x = Noted(2.0)
    x.note = "kept"
    for again in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert (type(again), again.data, again.note) == (Noted, 2.0, "kept")
    y = x * x
    y.backward()
    assert (type(y), x.grad) == (Value, 4.0)


class Noted(Value):
    """A Value with an attribute more."""

    note: str


def test_copies_of_every_kind_of_node_run_forward() -> None:
    """Leaves, nodes of one, two and many operands, with and without constants."""
    x = Value(2.0, label="x")
    for y in (x.tanh(), x * x, 3.0 - x, fsum([x]), fsum([x, x]), fsum([x, 1.0, x]), where(x, x, 1.0)):
        for again in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
            graph = Graph(again)
            graph.forward({graph.leaves[0]: 5.0})
            Graph(y).forward({x: 5.0})
            assert (again.data, again.partials) == (y.data, y.partials)
            Graph(y).forward({x: 2.0})
