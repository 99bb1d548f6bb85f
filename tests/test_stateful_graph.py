"""Graphs in any order of events, against a mirror that knows no engine.

The mirror is a record per node.  Values are those of mpmath, local partials its difference quotients in 100
digits, and gradients are found in forward mode.  What was found right is kept to the bit, so that nothing
may change but by the event that changes it.
"""

import copy
import gc
import math
import operator
import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from mpmath.ctx_mp import MPContext

from autograd import Constant, Graph, Program, Value, gradient, name_scope, no_grad
from autograd.operations import BUILT_IN, table
from tests.graphs import Recorded, Result, agree, bits, eager, outcome, terms
from viz import explain, graph_table, tree

mp = MPContext()
mp.dps = 100  # also beside a number of 60 digits, the largest there is here, a small step is seen
#: Every row again.
FORMULAS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "neg", "pow", "abs")},
    **{name: getattr(mp, name) for name in ("sign", "exp", "expm1", "log", "log10", "log1p", "sqrt")},
    **{name: getattr(mp, name) for name in ("erf", "erfc", "fsum", "atan2", "hypot")},
    **{name: getattr(mp, name) for name in ("sin", "cos", "tan", "asin", "acos", "atan")},
    **{name: getattr(mp, name) for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")},
    "div": operator.truediv,
    "step": lambda x: mp.mpf(x > 0),
    "nonzero": lambda x: mp.mpf(x != 0),
    "maximum": max,
    "minimum": min,
    "where": lambda c, x, y: x if c else y,
    "exp2": lambda x: mp.mpf(2) ** x,
    "log2": lambda x: mp.log(x, 2),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "relu": lambda x: max(x, mp.mpf(0)),
    "leaky_relu": lambda x, alpha: x if x > 0 else alpha * x,
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "sumprod": lambda p, q: mp.fsum(map(operator.mul, p, q)),
    "logsumexp": lambda xs: mp.log(mp.fsum(map(mp.exp, xs))),
}
OPERATORS = ("add", "sub", "mul", "neg", "pow", "abs")
METHODS = [name for name in FORMULAS if hasattr(Value, name)]
#: Numbers beyond this are not computed with: what overflows silently is another test's.
LARGE = 1e60

numbers = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, -0.25]) | st.floats(-4.0, 4.0).map(lambda x: round(x, 3))
places = st.integers(0, 1000)
labels = st.sampled_from(["", "x", "v3", "%s", "{0}", "<b>&", '"', "\\", "\n", "\x00", "$_^", "é₁", "\ud800"])
scopes = st.lists(st.sampled_from(["h1", "h1[3]", "", "a.b", "<&>"]), max_size=2)
#: A row, its operands, the length of its columns, and whether it is a method or an operator.
operands = st.tuples(places, *[st.integers(0, 3) | places | numbers] * 5)
moves = st.tuples(st.sampled_from(sorted(FORMULAS)), operands, st.integers(1, 3), st.booleans())
backends = st.sampled_from(["source"] * 7 + ["llvm"])
copies = st.sampled_from(["", "copy", "deepcopy", "pickle"])


@dataclass
class Node:
    """What the mirror knows of a node."""

    op: str | None
    parents: tuple[int, ...]
    data: float
    partials: tuple[float, ...] = ()
    grad: float | None = None
    label: str = ""
    scope: str = ""
    constant: bool = False


def exactly(name: str, operands: Sequence[Any]) -> Any:
    """A row in 100 digits, or None where it has no real number."""
    try:
        z = FORMULAS[name](*table[name].columns([mp.mpf(x) for x in operands]))
    except (ArithmeticError, ValueError):
        return None
    z = mp.mpc(z)
    return z.real if z.imag == 0 and math.isfinite(float(z.real)) else None


def quotient(name: str, operands: Sequence[float], j: int) -> float | None:
    """The slope towards the j-th operand; None at a kink, or where there are no numbers around it."""
    h = mp.mpf(10) ** -15
    below, here, near, above = (
        exactly(name, [mp.mpf(x) + step * (i == j) for i, x in enumerate(operands)]) for step in (-h, 0, h / 8, h)
    )
    if below is None or here is None or near is None or above is None:
        return None
    left, right, nearer = (here - below) / h, (above - here) / h, (near - here) * 8 / h
    unsettled = max(abs(left - right), abs(nearer - right)) > 1e-6 * (abs(left) + abs(right))
    return None if unsettled else float((left + right) / 2)


def close(x: float, y: float, scale: float = 0.0) -> bool:
    """Whether two numbers are the same up to rounding."""
    return math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9 * scale + 1e-280)


def live() -> int:
    """How many Values there are in memory since it was frozen."""
    return sum(isinstance(x, Value) for x in gc.get_objects())


class Graphs(RuleBasedStateMachine):
    """Some Values in hand, all that they were made of, and programs."""

    def __init__(self) -> None:
        super().__init__()
        gc.disable()
        gc.freeze()  # what is here already is not counted
        self.nodes: dict[int, Node] = {}
        self.hands: dict[int, Value] = {}
        self.programs: list[tuple[Program, list[int]]] = []  # with their nodes

    # What the rules are made of.

    def add(self, node: Node, hand: Value | None = None) -> int:
        """One more node."""
        i = len(self.nodes)
        self.nodes[i] = node
        if hand is not None:
            self.hands[i] = hand
        return i

    def pick(self, place: int) -> int:
        """One of the Values in hand; 0 is the last, so that graphs grow deep."""
        return [*self.hands][-1 - place % len(self.hands)]

    def below(self, *roots: int) -> list[int]:
        """What some nodes were made of, and themselves, in the order of their making."""
        found, todo = set(roots), [*roots]
        for i in todo:
            new = set(self.nodes[i].parents) - found
            found |= new
            todo += new
        return sorted(found)

    def identified(self) -> dict[Value, int]:
        """All nodes that can be reached; the mirror must have each once, in the same places."""
        found: dict[Value, int] = {}
        todo = [*self.hands.items()]
        for program, places in self.programs:
            todo += zip(places, program.nodes, strict=True)
        for i, node in todo:
            assert found.get(node, i) == i, f"{node!r} should be {self.nodes[i]}"
            if node not in found:
                found[node] = i
                todo += zip(self.nodes[i].parents, node.parents, strict=True)
        assert len(set(found.values())) == len(found)
        return found

    def computed(self, i: int, node: Value) -> None:
        """Look at the data and the partials of a node that has just been computed, and keep them."""
        mine = self.nodes[i]
        assert mine.op is not None
        operands = [self.nodes[j].data for j in mine.parents]
        expected = exactly(mine.op, operands)
        assert expected is not None
        assert abs(node.data - expected) <= 1e-12 * terms(node) + 1e-300
        for j, (parent, partial) in enumerate(zip(mine.parents, node.partials, strict=True)):
            if self.nodes[parent].constant:
                assert partial == 0.0
            elif (slope := quotient(mine.op, operands, j)) is not None:
                assert close(partial, slope, 1e-3 * abs(partial) + 1e-3)
        mine.data, mine.partials = node.data, node.partials

    # Rules.

    @initialize(leaves=st.lists(numbers, min_size=1, max_size=4), moves=st.lists(moves, min_size=4, max_size=12))
    def first(self, leaves: list[float], moves: list[Any]) -> None:
        """A graph to begin with."""
        for i, x in enumerate(leaves):
            self.leaf(x, f"x{i}", [], False)
        self.apply(moves, [], True)

    @rule(x=numbers, label=labels, inside=scopes, constant=st.booleans())
    def leaf(self, x: float, label: str, inside: list[str], constant: bool) -> None:
        """A variable or a constant."""
        with ExitStack() as stack:
            for name in inside:
                stack.enter_context(name_scope(name))
            made = (Constant if constant else Value)(x, label=label)
        self.add(Node(None, (), x, label=label, scope=nested(inside), constant=constant), made)

    @rule(moves=st.lists(moves, min_size=1, max_size=4), inside=scopes, recorded=st.integers(0, 7).map(bool))
    def apply(self, moves: list[Any], inside: list[str], recorded: bool) -> None:
        """Rows: as functions, as operators or as methods; of Values and numbers."""
        for name, operands, size, method in moves:
            self.apply_one(name, operands, size, method, inside, recorded)

    def apply_one(
        self, name: str, operands: tuple[int | float, ...], size: int, method: bool, inside: list[str], recorded: bool
    ) -> None:
        """One row."""
        op = table[name]
        flat = operands[: len(op.partials) * (size if op.nary else 1)]
        chosen = [self.pick(x) if isinstance(x, int) else x for x in flat]
        data = [self.nodes[x].data if isinstance(x, int) else x for x in chosen]
        expected = exactly(name, data)
        if not any(isinstance(x, int) for x in chosen) or (name == "atan2" and 0.0 in data):  # mpmath has no -0.0
            return
        if max(map(abs, [*data, expected or 0.0])) > LARGE:
            return
        given = op.columns([self.hands[x] if isinstance(x, int) else x for x in chosen])
        function: Any = op
        if method and name in OPERATORS:
            function = getattr(operator, name)
        elif method and name in METHODS:
            function = getattr(Value, name)
        with ExitStack() as stack:
            for scope in inside:
                stack.enter_context(name_scope(scope))
            if not recorded:
                stack.enter_context(no_grad())
            if expected is None:
                assert notes(function, given).startswith("in ")
                return
            made = function(*given)
        scope = nested(inside)
        if not recorded:
            assert type(made) is Constant
            assert abs(made.data - expected) <= 1e-9 * (1.0 + sum(map(abs, data)) ** 2 + abs(expected))
            self.add(Node(None, (), made.data, scope=scope, constant=True), made)
            return
        parents = tuple(
            x if isinstance(x, int) else self.add(Node(None, (), x, scope=scope, constant=True)) for x in chosen
        )
        constant = all(self.nodes[x].constant for x in parents)
        self.computed(self.add(Node(name, parents, made.data, scope=scope, constant=constant), made), made)

    @rule(place=places, x=numbers)
    def change(self, place: int, x: float) -> None:
        """The number of a node, which changes nothing above it until the next forward pass."""
        i = self.pick(place)
        self.hands[i].data = x
        self.nodes[i].data = x

    @rule(place=places, roots=st.lists(places, min_size=1, max_size=2), values=st.lists(numbers, max_size=3))
    def forward(self, place: int, roots: list[int], values: list[float]) -> None:
        """Algorithm 6.1, with new numbers for some leaves; if it fails, all is as it was."""
        found = self.identified()
        graph = Graph(*[self.hands[self.pick(root)] for root in roots])
        leaves = [node for node in graph if node.op is None]
        given = dict(zip(leaves[place % len(leaves) :], values, strict=False))
        data = {found[node]: node.data for node in graph} | {found[node]: x for node, x in given.items()}
        failing = False
        for i in map(found.__getitem__, graph):
            mine = self.nodes[i]
            if mine.op is None or failing:
                continue
            operands = [data[j] for j in mine.parents]
            z = exactly(mine.op, operands)
            if max(map(abs, [*operands, z or 0.0])) > LARGE or (mine.op == "atan2" and 0.0 in operands):
                return
            failing = z is None
            data[i] = float(z or 0.0)
        try:
            graph.forward(given)
        except (ArithmeticError, ValueError):
            assert failing or max(map(abs, data.values())) > 1e9  # where rounding decides
            return
        assert not failing
        for node, x in given.items():
            self.nodes[found[node]].data = x
        for node in graph:
            if node.op is not None:
                self.computed(found[node], node)

    @rule(place=places, values=st.lists(numbers, max_size=3))
    def forward_fails(self, place: int, values: list[float]) -> None:
        """At the last node, when all others have been computed: they are as they were."""
        x = Value(1.0)
        graph = Graph(self.hands[self.pick(place)], x.log())
        leaves = [node for node in graph if node.op is None and node is not x]
        with pytest.raises((ArithmeticError, ValueError)):
            graph.forward({**dict(zip(leaves, values, strict=False)), x: -1.0})
        assert x.data == 1.0

    @rule(roots=st.lists(places, min_size=1, max_size=3), seed=numbers, several=st.booleans())
    def backward(self, roots: list[int], seed: float, several: bool) -> None:
        """Algorithm 6.2, which adds; of several roots, their sum."""
        chosen = [*dict.fromkeys(map(self.pick, roots if several else roots[:1]))]
        graph = Graph(*[self.hands[i] for i in chosen])
        run = graph.backward if several else self.hands[chosen[0]].backward
        if any(self.nodes[i].constant for i in chosen):
            with pytest.raises(RuntimeError, match="nothing to differentiate"):
                run(seed)
            return
        run(seed)
        found = self.identified()
        order = self.below(*chosen)
        assert {*order} == {found[node] for node in graph}
        for node in graph:
            mine = self.nodes[found[node]]
            if mine.constant:
                continue
            before = mine.grad or 0.0
            total, scale = self.tangent(found[node], chosen, order, seed)
            if abs(before) + scale < 1e200:  # else there are infinities, or nan
                assert close(node.grad, before + total, 1e-3 * (abs(before) + scale))
            mine.grad = node.grad

    def tangent(self, by: int, roots: Sequence[int], order: Sequence[int], seed: float) -> tuple[float, float]:
        """The derivative of some nodes by another in forward mode, and the sum of its absolute terms."""
        tangents = {by: (seed, abs(seed))}
        for i in order:
            pairs = [
                (slope, tangents[j])
                for slope, j in zip(self.nodes[i].partials, self.nodes[i].parents, strict=True)
                if j in tangents
            ]
            if i != by and pairs:
                tangents[i] = sum(d * t for d, (t, _) in pairs), sum(abs(d) * s for d, (_, s) in pairs)
        ends = [tangents[root] for root in roots if root in tangents]
        return sum(t for t, _ in ends), sum(s for _, s in ends)

    @rule(place=places, whole=st.booleans())
    def zero_grad(self, place: int, whole: bool) -> None:
        """Of a node and all below it."""
        i = self.pick(place)
        (Graph(self.hands[i]) if whole else self.hands[i]).zero_grad()
        for j in self.below(i):
            self.nodes[j].grad = None

    @rule(place=places, x=numbers)
    def set_grad(self, place: int, x: float) -> None:
        """As optimisers' users do; of a constant, it is ignored."""
        i = self.pick(place)
        self.hands[i].grad = x
        if not self.nodes[i].constant:
            self.nodes[i].grad = x

    @rule(place=places, label=labels | st.text(max_size=5))
    def rename(self, place: int, label: str) -> None:
        """To whatever."""
        i = self.pick(place)
        self.hands[i].label = self.nodes[i].label = label

    @rule(place=places)
    def detach(self, place: int) -> None:
        """The number alone."""
        i = self.pick(place)
        mine, made = self.nodes[i], self.hands[i].detach()
        self.add(Node(None, (), mine.data, label=mine.label, scope=made.scope, constant=True), made)

    @rule(place=places)
    def copied(self, place: int) -> None:
        """A node with the same operands."""
        i = self.pick(place)
        self.add(replace(self.nodes[i]), copy.copy(self.hands[i]))

    @rule(roots=st.lists(places, min_size=1, max_size=3), pickled=st.booleans())
    def copied_whole(self, roots: list[int], pickled: bool) -> None:
        """Several nodes at once, with all below them, which they may share."""
        chosen = [*map(self.pick, roots)]
        given = [self.hands[i] for i in chosen]
        try:
            made = pickle.loads(pickle.dumps(given)) if pickled else copy.deepcopy(given)
        except UnicodeEncodeError:
            assert any("\ud800" in self.nodes[i].label for i in self.below(*chosen))
            return
        new: dict[int, int] = {}
        for i in self.below(*chosen):
            mine = self.nodes[i]
            new[i] = self.add(replace(mine, parents=tuple(new[j] for j in mine.parents)))
        for i, node in zip(chosen, made, strict=True):
            self.hands[new[i]] = node

    @rule(place=places, which=places)
    def parent(self, place: int, which: int) -> None:
        """An operand is taken in hand."""
        i = self.pick(place)
        if parents := self.nodes[i].parents:
            self.hands[parents[which % len(parents)]] = self.hands[i].parents[which % len(parents)]

    @precondition(lambda self: len(self.hands) > 1)
    @rule(which=st.lists(places, min_size=1, max_size=4))
    def drop(self, which: list[int]) -> None:
        """What nobody can reach is gone, at once."""
        for place in which[: len(self.hands) - 1]:
            del self.hands[self.pick(place)]
        assert live() == len(self.identified())

    @rule(place=places, wrt=st.lists(places, min_size=1, max_size=3))
    def differentiate(self, place: int, wrt: list[int]) -> None:
        """Graphs of gradients, which leave the graph as it is; their numbers are those of a pass."""
        root, by = self.hands[self.pick(place)], [self.hands[self.pick(i)] for i in wrt]
        if isinstance(root, Constant) or any(isinstance(x, Constant) for x in by):
            return
        again, others = copy.deepcopy((root, by))
        graph = Graph(again)
        graph.zero_grad()
        for x in others:
            x.zero_grad()
        try:
            graph.forward()
            found = gradient(again, others)
        except (ArithmeticError, ValueError):
            return
        graph.backward()
        scale = max(abs(node.grad) if math.isfinite(node.grad) else math.inf for node in graph)
        if scale < LARGE:
            assert all(close(x.data, y.grad, 1e-2 * scale) for x, y in zip(found, others, strict=True))

    @precondition(lambda self: len(self.programs) < 2)
    @rule(roots=st.lists(places, min_size=1, max_size=2), split=places, backend=backends)
    def compile(self, roots: list[int], split: int, backend: Any) -> None:
        """A program of the graph as it is; some of its leaves are inputs."""
        found, graph = self.identified(), Graph(*[self.hands[self.pick(root)] for root in roots])
        inputs = graph.leaves[: split % (len(graph.leaves) + 1)]
        program = graph.compile(inputs, backend=backend)
        self.programs.append((program, [found[node] for node in program.nodes]))

    @precondition(lambda self: self.programs)
    @rule(
        which=places,
        xs=st.lists(numbers, min_size=40, max_size=40),
        how=copies,
    )
    def run(self, which: int, xs: list[float], how: str) -> None:
        """A program at other numbers gives what the eager engine gives; so does its copy, which is another one."""
        program, _ = self.programs[which % len(self.programs)]
        if len(program.inputs) + len(program.leaves) > len(xs):
            return
        inputs, given = xs[: len(program.inputs)], xs[len(program.inputs) :][: len(program.leaves)]
        constants = dict(program._constants)
        kept = program.parameters.tolist()
        one = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": repickled}.get(how, lambda x: x)(program)
        one.parameters[:] = given
        if how:
            assert program.parameters.tolist() == kept

        def build(_: Any) -> Recorded:
            roots, leaves, ins, wrt, fixed = copy.deepcopy(
                (program.roots, program.leaves, program.inputs, program.wrt, [*constants])
            )
            graph = Graph(*roots)
            graph.zero_grad()
            numbers = zip((*leaves, *ins, *fixed), (*given, *inputs, *constants.values()), strict=True)
            graph.forward({leaf: x for leaf, x in numbers if leaf in graph})
            return Recorded([], list(roots), [], list(wrt))

        def called(*inputs: float) -> Result:
            found = one(*inputs)
            values, grads = found if one.wrt else (found, ())
            return Result([*values] if isinstance(values, tuple) else [values], [*map(float, grads)])

        variable = [root for root in program.roots if not isinstance(root, Constant)]
        if len(variable) == len(program.roots):
            found, expected = outcome(called, *inputs), outcome(eager, build, [])
            assert agree(found, expected, build, [], one.backend), (found, expected)

    @precondition(lambda self: self.programs)
    @rule(which=places, store=st.booleans())
    def exchange(self, which: int, store: bool) -> None:
        """Parameters go to the leaves, or come from there."""
        program, _ = self.programs[which % len(self.programs)]
        found = self.identified()
        if store:
            program.store()
            for leaf, x in zip(program.leaves, program.parameters.tolist(), strict=True):
                self.nodes[found[leaf]].data = x
        else:
            program.load()
            assert program.parameters.tolist() == [self.nodes[found[leaf]].data for leaf in program.leaves]

    @precondition(lambda self: self.programs)
    @rule()
    def forget(self) -> None:
        """A program that nobody has any more."""
        del self.programs[0]

    @rule(place=places, name=st.sampled_from(["fsum", "tanh", "add", "where", "sumprod", "leaky_relu"]))
    def refused(self, place: int, name: str) -> None:
        """What is no operand changes nothing."""
        x: Any = self.hands[self.pick(place)]
        row: Any = table[name]
        foreign: Any = Value(0.0)
        bad: Any
        for bad in ("1", None, 1j, [x], object(), ""):
            for attempt, given in ((operator.add, (x, bad)), (pow, (bad, x)), (row, (x, bad)), (Value, (x,))):
                with pytest.raises((TypeError, ValueError)):
                    attempt(*given)
            for name in ("data", "grad"):
                # None empties grad, and a Constant takes any, as it keeps none.
                if name == "data" or not (bad is None or isinstance(x, Constant)):
                    with pytest.raises(TypeError):
                        setattr(x, name, bad)
            with pytest.raises(TypeError):
                Graph(x).forward({next(iter(Graph(x))): bad})
            with pytest.raises((TypeError, RuntimeError)):
                x.backward(bad)
        with pytest.raises(TypeError):
            float(x)
        if x.op:
            with pytest.raises(ValueError, match="only leaves"):
                Graph(x).forward({x: 1.0})
            with pytest.raises(ValueError, match="leaves"):
                Graph(x).compile([x])
        with pytest.raises(ValueError, match="twice"):
            Graph(x).compile(wrt=[x, x])
        with pytest.raises(ValueError, match="not a node"):
            Graph(x).forward({foreign: 1.0})

    @rule(place=places, width=st.sampled_from([None, 20, 80]))
    def look(self, place: int, width: int | None) -> None:
        """Every text about a graph can be made, whatever its labels and numbers are."""
        x = self.hands[self.pick(place)]
        graph = Graph(x)
        assert repr(graph)
        assert f"{x}" == repr(x)
        assert f"{x:.3g}" == f"{x.data:.3g}"
        assert round(x, 2) == round(x.data, 2)
        assert all(map(str, graph.steps()))
        assert len(graph.edges) == sum(len(node.parents) for node in graph)
        assert graph.path_count(x, graph.nodes[0]) >= 1
        if len(graph) < 40:
            assert str(tree(x, width=width))
            assert graph_table(x).markdown()
            if graph.leaves:
                assert explain(x, graph.leaves[0]).latex()

    # What always holds.

    @invariant()
    def as_mirrored(self) -> None:
        """Every node that can be reached is as the mirror has it, to the bit."""
        for node, i in self.identified().items():
            mine = self.nodes[i]
            assert (node.op.name if node.op else None) == mine.op
            assert (node.label, node.scope, isinstance(node, Constant)) == (mine.label, mine.scope, mine.constant)
            assert [*map(bits, (node.data, *node.partials))] == [*map(bits, (mine.data, *mine.partials))]
            assert node.has_grad == (mine.grad is not None)
            assert bits(node.grad) == bits(mine.grad or 0.0)

    @invariant()
    def in_topological_order(self) -> None:
        """Every node once, after its parents."""
        if not self.hands:
            return
        graph, seen = Graph(*self.hands.values()), set[Value]()
        for node in graph:
            assert seen.issuperset(node.parents)
            assert node not in seen
            seen.add(node)
        assert len(graph) == len(seen)

    def teardown(self) -> None:
        """Nothing is left."""
        self.hands.clear()
        self.programs.clear()
        left = live()
        gc.unfreeze()
        gc.enable()
        assert left == 0 or sys.exc_info()[0]  # an error that is on its way holds what it was about


def nested(inside: Iterable[str]) -> str:
    """The scope within blocks within blocks."""
    found = ""
    for name in inside:
        found = f"{found}.{name}" if found else name
    return found


def notes(function: Callable[..., Any], operands: Sequence[Any]) -> str:
    """Those of the error that a row has to raise; the error itself would keep the operands."""
    try:
        function(*operands)
    except (ArithmeticError, ValueError) as error:
        return "\n".join(error.__notes__)
    raise AssertionError(f"{function} of {operands} has no number")


def repickled(x: Any) -> Any:
    """What a pickle makes of it."""
    return pickle.loads(pickle.dumps(x))


def test_the_mirror_knows_every_row() -> None:
    """A new row needs a formula here."""
    assert FORMULAS.keys() == BUILT_IN


TestGraphs = Graphs.TestCase
TestGraphs.settings = settings(stateful_step_count=40, max_examples=3 * settings().max_examples)
