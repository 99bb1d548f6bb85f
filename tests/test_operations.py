"""Every row of the table, and rows made at the REPL, by the same tests: adding a row needs none."""

import copy
import itertools
import math
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from autograd import Graph, Operation, Symbol, Value, gradient, tanh
from autograd import operations as ops
from autograd.arrays import NUMPY
from autograd.ieee import Ieee
from autograd.operations import BUILT_IN, table
from autograd.symbol import rules
from tests.graphs import ROWS, call, cube, every_row, points

NAMESPACE = dict(table) | {"inf": math.inf, "nan": math.nan}


def difference(f: Callable[[Sequence[float]], float], at: Sequence[float], j: int) -> float:
    """The central difference, of order 4: error about 1e-11 for these rows."""
    h = 1e-3 * max(1.0, abs(at[j]))

    def moved(steps: int) -> float:
        return f([*at[:j], at[j] + steps * h, *at[j + 1 :]])

    return (8.0 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12.0 * h)


def close(x: float, y: float, tolerance: float = 1e-7) -> bool:
    """Equal but for the error of a finite difference."""
    return math.isclose(x, y, rel_tol=tolerance, abs_tol=tolerance)


@every_row
def test_value_is_a_float_of_every_kind_of_call(op: Operation) -> None:
    """On floats, on Values, and by ``forward`` itself, a row gives the same number."""
    for at in points(op):
        z = call(op, at)
        assert type(z) is float
        assert call(op, [Value(x) for x in at]).data == z
        assert op.forward(*op.columns(at)) == z


@every_row
def test_partials_are_the_finite_differences(op: Operation) -> None:
    """Every rule, at every sampled point, against central differences of ``forward``."""
    for at in points(op):
        node = call(op, [Value(x) for x in at])
        for j, partial in enumerate(node.partials):
            assert type(partial) is float
            assert close(partial, difference(lambda xs: call(op, xs), at, j)), (at, j)


@every_row
def test_second_derivatives_are_the_finite_differences_of_the_first(op: Operation) -> None:
    """A rule applied to Values is a node whose own gradient is right: the Hessian, column by column."""
    for at in points(op, 6):

        def slope(i: int) -> Callable[[Sequence[float]], float]:
            return lambda moved: float(call(op, [Value(x) for x in moved]).partials[i])

        xs = [Value(x) for x in at]
        first = gradient(call(op, xs), xs)
        for i, dy in enumerate(first):
            assert math.isclose(dy.data, slope(i)(at), rel_tol=1e-12, abs_tol=1e-15)
            for j, d2y in enumerate(gradient(dy, xs)):
                assert close(d2y.data, difference(slope(i), at, j), 1e-6), (at, i, j)


@every_row
def test_third_derivatives_exist(op: Operation) -> None:
    """The table is closed under differentiation: differentiating again never leaves it."""
    xs = [Value(x) for x in points(op, 1)[0]]
    y = call(op, xs)
    for _ in range(3):
        y = gradient(y, xs)[0]
    assert math.isfinite(y.data)
    assert all(node.op is None or table[node.op.name] is node.op for node in Graph(y))


@every_row
def test_rules_do_not_branch_and_use_the_table_only(op: Operation) -> None:
    """A rule applied to Symbols gives a formula whose every name is a row: no branch, nothing from ``math``."""
    for rule in rules(op):
        names = set(re.findall(r"[a-z_]\w*", re.sub(r"\d[\d.e-]*", "", rule.text)))
        assert names <= set(table) | {"x", "y", "z", "x1", "x2", "x3", "inf"}


@every_row
def test_text_of_row_and_rules_evaluates_to_the_same_numbers(op: Operation) -> None:
    """The Python text is the operation: evaluated, it gives the same number to the last bit."""
    for at in points(op):
        names = [f"a{j}" for j in range(len(at))]
        namespace = NAMESPACE | dict(zip(names, at, strict=True))
        written = call(op, [Symbol(name) for name in names])
        z = call(op, at)
        assert eval(written.text, namespace) == z
        node = call(op, [Value(x) for x in at])
        for j, partial in enumerate(node.partials):
            slope = op.slope(j, [Symbol(name) for name in names], Symbol("z"))
            assert eval(str(slope), namespace | {"z": z}) == partial


@every_row
def test_text_in_a_larger_formula_evaluates_to_the_same_number(op: Operation) -> None:
    """Brackets are set where they are needed: each row inside, and around, each operator."""
    at = points(op, 1)[0]
    for outer in (ops.add, ops.sub, ops.mul, ops.div, ops.pow):
        for x in (1.25, -1.25):
            names = [f"a{j}" for j in range(len(at))]
            namespace = NAMESPACE | dict(zip(names, at, strict=True)) | {"x": x}
            for first in (True, False):
                inner = call(op, [Symbol(name) for name in names])
                pair = (inner, Symbol("x")) if first else (Symbol("x"), inner)
                numbers = (call(op, at), x) if first else (x, call(op, at))
                try:
                    expected = outer(*numbers)
                except (ArithmeticError, ValueError):
                    continue
                assert eval(outer(*pair).text, namespace) == expected
    negative = call(op, [-Symbol("a") for _ in at])
    try:
        expected = call(op, [-at[0]] * len(at))
    except (ArithmeticError, ValueError):
        return
    assert eval(negative.text, NAMESPACE | {"a": at[0]}) == expected


def balanced(latex: str) -> bool:
    r"""Whether braces, ``\left`` and ``\right`` of LaTeX pair up."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    fences = re.findall(r"\\(left|right)\b", latex)
    return depth == 0 and fences.count("left") == fences.count("right")


@every_row
def test_latex_parses(op: Operation) -> None:
    """Braces and fences balance, in the row and in its rules, whatever the operands are called."""
    names = ["x1", "loss", "h1[3].w_2{", "a%b"] * len(op.partials)
    symbols = [Symbol(name) for name in (names if op.nary else names[: len(op.partials)])]
    sums = [x + 1.0 for x in symbols]
    for one in (call(op, symbols), call(op, sums), *rules(op)):
        for formula in (one, -one, one**2, one / (one + 1.5e-7)):
            assert balanced(formula.latex), formula.latex
            assert "%s" not in formula.latex


@every_row
def test_row_and_its_nodes_pickle_by_name(op: Operation) -> None:
    """A pickle holds the row's name, and finds the same row again."""
    assert pickle.loads(pickle.dumps(op)) is op
    node = call(op, [Value(x, label=f"x{j}") for j, x in enumerate(points(op, 1)[0])])
    again = pickle.loads(pickle.dumps(node))
    assert again.op is op
    assert (again.data, again.partials) == (node.data, node.partials)
    assert [p.label for p in again.parents] == [p.label for p in node.parents]


@every_row
def test_graph_forward_recomputes_the_row(op: Operation) -> None:
    """Algorithm 6.1 after moving the leaves equals recording at the new point."""
    before, after = points(op, 2)
    xs = [Value(x) for x in before]
    node = call(op, xs)
    Graph(node).forward(dict(zip(xs, after, strict=True)))
    fresh = call(op, [Value(x) for x in after])
    assert (node.data, node.partials) == (fresh.data, fresh.partials)


@every_row
def test_a_constant_operand_has_no_slope(op: Operation) -> None:
    """The slope towards a plain number is never computed: it is recorded as 0, and the others are unchanged."""
    at = points(op, 1)[0]
    if len(at) == 1:
        return
    node = call(op, [at[0], *(Value(x) for x in at[1:])])
    assert node.partials == (0.0, *call(op, [Value(x) for x in at]).partials[1:])


@pytest.mark.parametrize("op", [op for op in ROWS if op.lowering], ids=lambda op: op.name)
def test_lowering_is_the_same_function(op: Operation) -> None:
    """The second body, for numbers that follow IEEE 754, gives the first one's numbers, large ones included."""
    assert op.lowering is not None
    far = [[x] * (4 if op.nary else 1) for x in (-1000.0, -700.0, 0.0, 700.0, 1000.0)]
    for at in points(op) + far:
        lowered = op.lowering(*op.columns([Ieee(x) for x in at]))
        assert math.isclose(lowered, call(op, at), rel_tol=1e-14, abs_tol=1e-300)


def test_the_table_has_every_row_that_was_promised() -> None:
    """The names of the design, as the math module spells them."""
    promised = """add sub mul div neg pow abs sign step maximum minimum where nonzero exp exp2 expm1 log log2 log10
        log1p sqrt cbrt sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh hypot erf erfc
        sigmoid relu leaky_relu softplus fsum sumprod logsumexp"""
    assert set(promised.split()) == BUILT_IN


def test_a_row_made_at_the_repl_differentiates_to_any_order() -> None:
    """Cube''' is 6."""
    x = Value(2.0)
    y = cube(x)
    slopes = []
    for _ in range(3):
        (y,) = gradient(y, [x])
        slopes.append(y.data)
    assert slopes == [12.0, 12.0, 6.0]


def test_rows_of_the_table_are_called_with_clear_errors() -> None:
    """Wrong numbers of operands, wrong kinds, columns that differ in length."""
    with pytest.raises(TypeError, match=r"tanh takes 1 operand\(s\), not 2"):
        tanh(1.0, 2.0)
    with pytest.raises(TypeError, match=r"atan2 takes 2 operand\(s\), not 1"):
        ops.atan2(1.0)
    wrong: Any = "0.5"
    with pytest.raises(TypeError, match=r"tanh needs a real number, not str '0\.5'"):
        tanh(wrong)
    with pytest.raises(ValueError, match="sumprod needs columns of the same length, not 1 and 2"):
        ops.sumprod([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="at least one value"):
        ops.logsumexp([])
    one: Any = Value(1.0)
    with pytest.raises(TypeError, match=r"fsum takes columns of numbers, such as \[x, y\], not Value\(data=1\.0\)"):
        ops.fsum(one)
    with pytest.raises(TypeError, match=r"fsum takes 1 column\(s\), not 2"):
        ops.fsum(one, one)
    assert ops.fsum([]) == 0.0
    assert ops.prod([]) == 1.0


def test_a_row_needs_a_name_of_its_own() -> None:
    """Built-in names are taken, a user's own may be defined again, and a name is an identifier."""
    with pytest.raises(ValueError, match="'tanh' is a built-in operation"):
        Operation("tanh", math.tanh, (lambda x, z: 1.0,))
    with pytest.raises(ValueError, match="must be a Python identifier, not 'a b'"):
        Operation("a b", math.tanh, (lambda x, z: 1.0,))
    rule: Any = lambda x, z: 1.0  # noqa: E731
    wrong: list[Any] = [rule, (), None]
    for partials in wrong:
        with pytest.raises(TypeError, match=r"again needs a tuple of rules, one per operand, such as"):
            Operation("again", lambda x: x, partials)
    assert "again" not in table
    old = Operation("again", lambda x: x, (lambda x, z: 1.0,))
    new = Operation("again", lambda x: 2.0 * x, (lambda x, z: 2.0,))
    assert table["again"] is new
    with pytest.raises(TypeError, match="cannot pickle operation 'again'"):
        pickle.dumps(old(Value(1.0)))
    del table["again"]


def test_rules_that_ask_about_their_operands_are_called() -> None:
    """A rule of a user may branch, whatever way it asks: it is never taken for a constant."""
    questions: list[Callable[[Any], bool]] = [
        bool,
        lambda x: x == 0.5,
        lambda x: x > 0.0,
        lambda x: x != 0.5,
        math.isnan,
    ]
    for ask in questions:
        total = Operation("asked", math.fsum, (lambda x, z, ask=ask: 2.0 if ask(x) else 3.0,), nary=True)
        xs = [Value(0.0), Value(0.5), Value(-1.0)]
        assert total(xs).partials == tuple(2.0 if ask(x.data) else 3.0 for x in xs)
    del table["asked"]


def test_a_copy_of_a_row_is_the_row() -> None:
    """Also of one that another has replaced, which no pickle could name."""
    replaced = Operation("replaced", lambda x: x, (lambda x, z: 1.0,))
    Operation("replaced", lambda x: -x, (lambda x, z: -1.0,))
    for row in (ops.tanh, replaced):
        assert copy.copy(row) is copy.deepcopy([row])[0] is row
    del table["replaced"]


def test_a_row_unknown_in_another_process_says_so() -> None:
    """A pickle of a user's row, loaded where the row is not defined."""
    program = "import sys, pickle; pickle.loads(sys.stdin.buffer.read())"
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(cube(Value(2.0))), capture_output=True)
    assert "operation 'own_cube' is not defined here: define it before unpickling" in done.stderr.decode()


def test_slopes_are_infinite_as_ieee_754_says() -> None:
    """Poles of powers, logarithms and quotients, with their signs."""
    xlogx = Operation("xlogx", lambda x: x * math.log(x) if x else 0.0, (lambda x, z: ops.log(x) + 1.0,))
    assert xlogx(Value(0.0)).partials == (-math.inf,)
    assert (Value(-0.0) ** 0.5).partials == (math.inf, 0.0)
    assert Ieee(-0.0) ** -1.0 == -math.inf
    assert Ieee(-0.0) ** -2.0 == Ieee(0.0) ** -0.5 == math.inf
    assert Ieee(-1e200) ** 3.0 == -math.inf
    assert math.isnan(Ieee(-2.0) ** 0.5)
    assert math.isnan(Ieee(-0.5) ** 0.5)
    assert (Ieee(1.0) / -0.0, 1.0 / Ieee(0.0)) == (-math.inf, math.inf)
    del table["xlogx"]


@pytest.mark.parametrize("op", [*NUMPY, ops.div, ops.fsum, ops.sumprod], ids=lambda op: op.name)
def test_rows_at_the_edges_are_those_of_ieee_754(op: Operation) -> None:
    """Overflow to either side, poles, and points outside a domain, as NumPy's functions have them."""
    np = pytest.importorskip("numpy")
    numpy: Any = {ops.div: np.divide, ops.fsum: np.add, ops.sumprod: lambda x, y: x * 1e300 + y * 1e10}
    expected = numpy.get(op) or getattr(np, NUMPY[op])
    edges = [0.0, 0.7, 1.0, 3.0, 1e3, 1e200, 1e308, math.inf]
    count = 2 if op.nary else len(op.partials)
    for at in itertools.product([*edges, *[-x for x in edges], math.nan], repeat=count):
        numbers = [Ieee(x) for x in at]
        columns: list[Any] = [numbers, [1e300, 1e10]][: len(op.partials)] if op.nary else numbers
        found = op(*columns)
        with np.errstate(all="ignore"):
            there = float(expected(*map(np.float64, at)))
        assert type(found) is Ieee
        np.testing.assert_allclose(found, there, rtol=1e-14, err_msg=str(at))
        if there == 0.0 and not op.nary:  # fsum gives no -0.0
            assert math.copysign(1.0, found) == math.copysign(1.0, there), at


def test_a_slope_may_overflow_to_either_side() -> None:
    """A rule whose row raises is asked again, and gets the sign right."""
    steep = Operation("steep", math.asinh, (lambda x, z: ops.sinh(x),))
    assert [steep(Value(x)).partials for x in (1e3, -1e3)] == [(math.inf,), (-math.inf,)]
    del table["steep"]


def test_a_rule_that_is_not_written_in_rows_says_so() -> None:
    """Floats are all that the math module takes; what goes beyond them names the row and the cure."""
    floats = Operation("floats", math.exp, (lambda x, z: math.exp(x),))
    nary = Operation("floats_too", math.fsum, (lambda x, z: math.cos(x),), nary=True)
    try:
        assert floats(Value(2.0)).partials == (math.exp(2.0),)
        for op in (floats, nary):
            x = Value(2.0)
            y: Any = op([x]) if op.nary else op(x)
            for use in (lambda y=y, x=x: gradient(y, [x]), lambda y=y: Graph(y).compile(backend="source")()):
                with pytest.raises(TypeError) as caught:
                    use()
                note = f"in a rule of {op.name}: rules use operators and rows of the table, not the math module"
                assert note in caught.value.__notes__
    finally:
        del table["floats"], table["floats_too"]


@pytest.mark.parametrize(
    ("count", "note"),
    [
        (2, "in fsum([u, v]), u = inf, v = -inf"),
        (3, "in fsum([u, v, w]), u = inf, v = -inf, w = 0.0"),
        (4, "in fsum([u1, u2, u3, u4]), u1 = inf, u2 = -inf, u3 = 0.0, u4 = 0.0"),
        (
            8,
            "in fsum([u1, u2, u3, u4, u5, u6, u7, u8]), u1 = inf, u2 = -inf"
            + "".join(f", u{j} = 0.0" for j in range(3, 9)),
        ),
        (9, "in fsum of 9 values, u1 = inf, u2 = -inf" + "".join(f", u{j} = 0.0" for j in range(3, 8)) + ", …"),
    ],
)
def test_an_error_of_columns_shows_them_while_they_are_short(count: int, note: str) -> None:
    """All of eight numbers, the first seven of more."""
    with pytest.raises(ValueError, match="-inf") as caught:
        ops.fsum([math.inf, -math.inf, *[0.0] * (count - 2)])
    assert caught.value.__notes__ == [note]


def test_a_slope_that_sums_infinities_is_a_number_too() -> None:
    """A rule may use rows of columns where it has no value."""
    odd = Operation("odd", lambda x: 0.0, (lambda x, z: ops.fsum([1.0 / x, -2.0 / x, x]),))
    x = Value(0.0)
    assert math.isnan(odd(x).partials[0])
    assert math.isnan(gradient(odd(x), [x])[0].data)
    del table["odd"]


def test_a_new_operator_is_written_with_brackets() -> None:
    """Text that is not a call binds loosest, unless a level is given; it has a place for each operand."""
    plus = Operation("oplus", lambda x, y: x + y, (lambda x, y, z: 1.0, lambda x, y, z: 1.0), "%s (+) %s")
    x = Symbol("x")
    assert plus(x + 1.0, x * 2.0).text == "x + 1.0 (+) x * 2.0"
    assert (plus(x, x) * 2.0).text == "(x (+) x) * 2.0"
    with pytest.raises(ValueError, match="the text of bad needs 1 times %s, one per operand, not 'oops'"):
        Operation("bad", math.sin, (lambda x, z: x,), "oops")
    del table["oplus"]


def test_operands_that_are_left_out_have_their_defaults() -> None:
    """As in PyTorch, the slope of leaky_relu on the left is 0.01."""
    assert ops.leaky_relu(-2.0) == -0.02
    assert ops.leaky_relu(Value(-2.0)).partials == (0.01, 0.0)


def test_a_row_of_several_signs_goes_by_its_name() -> None:
    """On a card or in a repr, ``* +`` would tell nothing; a single sign does."""
    slopes = (lambda w, x, b, z: x, lambda w, x, b, z: w, lambda w, x, b, z: 1.0)
    affine = Operation("affine", lambda w, x, b: w * x + b, slopes, "%s * %s + %s")
    assert affine.symbol == "affine"
    assert repr(affine(Value(2.0), 3.0, 1.0)) == "Value(data=7.0, op='affine')"
    assert affine(Symbol("w"), Symbol("x"), Symbol("b")).text == "w * x + b"
    assert [ops.mul.symbol, ops.neg.symbol, ops.tanh.symbol] == ["*", "-", "tanh"]
    del table["affine"]


def test_prod_is_a_fold_of_mul() -> None:
    """With zeros among the factors, where a quotient would fail."""
    xs = [Value(2.0), Value(0.0), Value(5.0)]
    y = ops.prod(xs)
    y.backward()
    assert y.data == 0.0
    assert [x.grad for x in xs] == [0.0, 10.0, 0.0]
    assert ops.prod([2.0, 3.0]) == 6.0


def test_rows_take_real_numbers_of_other_kinds() -> None:
    """Integers, booleans, fractions and NumPy scalars."""
    numpy = pytest.importorskip("numpy")
    from fractions import Fraction

    twos: list[Any] = [2, Fraction(2), numpy.float32(2.0), numpy.int64(2)]
    for two in twos:
        assert ops.sqrt(two) == math.sqrt(2.0)
        y = two * Value(3.0)
        assert isinstance(y, Value)
        assert y.data == 6.0
        assert (Value(3.0) ** two).data == 9.0
    products = numpy.array([1.0, 2.0]) * Value(3.0)
    assert [type(z) for z in products] == [Value, Value]
    assert [z.data for z in products] == [3.0, 6.0]
