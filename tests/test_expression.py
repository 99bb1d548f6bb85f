"""Expressions as text: Python reads them in the same way, and errors point at the place."""

import math
import operator
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd
from autograd import Constant, Graph, Symbol, Value
from autograd import operations as ops
from tests.graphs import complaint
from viz.expression import DEEPEST, LONGEST, MOST, ExpressionError, names, parse

AT = {"x": 0.75, "y": -1.25, "z": 2.0}
#: What Python needs to read an expression: the oracle.
FUNCTIONS = {name: getattr(autograd, name) for name in (*ops.BUILT_IN, "prod")}


def variables() -> dict[str, Value]:
    """A Value per name."""
    return {name: Value(x, label=name) for name, x in AT.items()}


def by_python(text: str, values: dict[str, Any]) -> Any:
    """What Python makes of an expression."""
    return eval(text, {"__builtins__": {}}, FUNCTIONS | values)


def error(text: str, values: dict[str, float] | None = None) -> ExpressionError:
    """The error of an expression; of values, those of AT if left out."""
    with pytest.raises(ExpressionError) as caught:
        parse(text, AT if values is None else values)
    return caught.value


# The same as Python.

UNARY = [
    lambda x: -x,
    lambda x: ops.tanh(x),
    lambda x: ops.sin(x) ** 2,
    lambda x: ops.sigmoid(x),
    lambda x: ops.leaky_relu(x),
    lambda x: abs(x),
    lambda x: 2.5 ** ops.tanh(x),
    lambda x: x * -3.0 + 1e-7,
]
BINARY = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (1.0 + y * y),
    lambda x, y: (1.0 + x * x) ** ops.tanh(y),
    lambda x, y: ops.maximum(x, y),
    lambda x, y: ops.where(x, y, 0.5),
    lambda x, y: ops.fsum([x, y, -1.5]),
    lambda x, y: ops.sumprod([x, y], [y, x]),
    lambda x, y: ops.logsumexp([ops.sin(x), ops.sin(y)]),
    lambda x, y: ops.prod([x, y, x]),
]
trees = st.recursive(
    st.sampled_from([*AT, 1.5, -2.0]),
    lambda inner: (
        st.tuples(st.sampled_from(UNARY), inner).map(lambda made: (made[0], [made[1]]))
        | st.tuples(st.sampled_from(BINARY), inner, inner).map(lambda made: (made[0], [made[1], made[2]]))
    ),
    max_leaves=30,
)


def grown(tree: Any, leaves: dict[str, Any]) -> Any:
    """A tree of moves, made of any kind of number."""
    if isinstance(tree, tuple):
        return tree[0](*[grown(inner, leaves) for inner in tree[1]])
    return leaves[tree] if isinstance(tree, str) else tree


@settings(deadline=None)
@given(trees)
def test_what_a_symbol_writes_is_read_as_python_reads_it(tree: Any) -> None:
    """To the same number and the same gradients, to the bit; both that of the graph that was written."""
    formula = grown(tree, {name: Symbol(name) for name in AT})
    text = formula.text if isinstance(formula, Symbol) else repr(formula)
    expected, found = variables(), variables()
    try:
        theirs = by_python(text, expected)
    except (ArithmeticError, ValueError):
        assert error(text)
        return
    ours = parse(text, found)
    if not isinstance(theirs, Value):
        assert isinstance(ours, Constant)
        assert ours.data == theirs
        return
    assert repr(ours.data) == repr(theirs.data)
    theirs.backward()
    ours.backward()
    assert [repr(leaf.grad) for leaf in found.values()] == [repr(leaf.grad) for leaf in expected.values()]
    direct = grown(tree, variables())
    if math.isfinite(direct.data):
        assert ours.data == pytest.approx(direct.data, rel=1e-9, abs=1e-9)


arithmetic = st.recursive(
    st.sampled_from(["2.0", "3.", ".5", "1e1", "7.25E-1", "x", "y"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", " - ", "*", " / ", "**", "**-"]), inner).map("".join)
        | inner.map(lambda text: f"-{text}")
        | inner.map(lambda text: f"({text})")
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(arithmetic)
def test_operators_bind_as_in_python(text: str) -> None:
    """Without regard to what they give: also where it is an error."""
    values = {"x": 1.5, "y": 0.25}
    try:
        expected = by_python(text, values)
    except ArithmeticError:
        assert error(text, values)
        return
    if isinstance(expected, complex):
        assert error(text, values)
    else:
        found = parse(text, values).data
        assert found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x**2", -4.0),
        ("2**-1", 0.5),
        ("2**3**2", 512.0),
        ("-2**-x", -0.25),
        ("--x", 2.0),
        ("+x - +1", 1.0),
        ("7 - x - 1", 4.0),
        ("8 / x / 2", 2.0),
        ("-x * 3", -6.0),
        ("x · 3 × 2 − 1", 11.0),
        ("1e-3*x", 0.002),
        ("1.5E+1", 15.0),
        ("pi", math.pi),
        ("π / x", math.pi / 2.0),
        ("pi = 3; pi * x", 6.0),
        ("leaky_relu(-x)", -0.02),
        ("leaky_relu(-x, 0.1)", -0.2),
        ("fsum([])", 0.0),
        ("prod([x, x, 3])", 12.0),
        ("(\n x + # the first\n 1\n)", 3.0),
        ("\n# nothing\n\nx;\n;", 2.0),
        ("h₁ = x + 1; h1 * h₁", 9.0),
        ("lambda = 3; lambda * x", 6.0),
        ("变量 = 3; 变量 * x", 6.0),
        ("tanh = 3\ntanh * x", 6.0),
    ],
)
def test_what_is_read(text: str, expected: float) -> None:
    """Python's precedence, signs of mathematics, comments, new lines, names of any script."""
    assert parse(text, {"x": 2}).data == pytest.approx(expected, rel=1e-15)


def test_every_row_can_be_called() -> None:
    """By its name, with as many operands as it has, at numbers of its domain."""
    for name, row in ops.table.items():
        point = [intervals[0][1] for intervals in row.domain]
        given = ", ".join(f"[{x}, {x}]" if row.nary else str(x) for x in point)
        expected = row(*[[x, x] if row.nary else x for x in point])  # type: ignore[arg-type]
        assert parse(f"{name}({given})", {}).data == expected
        if row.defaults:
            assert parse(f"{name}({point[0]})", {}).data == row(*point[: -len(row.defaults)])


def test_a_row_of_the_users_own_can_be_called() -> None:
    """As soon as it is in the table."""
    row = ops.Operation("thrice", lambda x: 3.0 * x, (lambda x, z: 3.0,))
    try:
        assert parse("thrice(x)", {"x": 2}).data == 6.0
    finally:
        del ops.table[row.name]


# The graph.


def test_a_name_is_one_node() -> None:
    """However often it is used; a number is a Constant."""
    y = parse("x*x + 3*x", {"x": 2})
    assert [leaf.label for leaf in Graph(y).leaves] == ["x"]
    assert sum(isinstance(node, Constant) for node in Graph(y)) == 1
    assert type(parse("2*3", {})) is Constant
    y.backward()
    assert Graph(y).leaves[0].grad == 7.0


def test_what_is_assigned_is_labelled() -> None:
    """A value by its name, a number as a variable; a further name of a value changes nothing."""
    o = parse("w = -3; n = x*w + 1; m = n; o = tanh(m)", {"x": 2})
    assert [node.label for node in Graph(o) if node.label] == ["x", "w", "n", "o"]
    assert [leaf.label for leaf in Graph(o).leaves] == ["x", "w"]


def test_values_are_used_as_they_are() -> None:
    """So that their gradients can be read; one without a label gets its name."""
    x, w = Value(2.0), Value(3.0, label="weight")
    parse("x * w", {"x": x, "w": w}).backward()
    assert (x.grad, x.label, w.label) == (3.0, "x", "weight")


def test_the_names_that_need_a_value() -> None:
    """In the order in which they stand, without functions and what is assigned."""
    assert names("n = w*x + b\no = tanh(n) * x * pi") == ["w", "x", "b", "pi"]


# Errors.


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "an expression is missing here"),
        (" # only this", 12, "an expression is missing here"),
        ("tanh(x*y + ) ", 11, "an operand is missing here"),
        ("x +", 3, "an operand is missing here"),
        ("x +\ny", 3, "an operand is missing here"),
        ("x * / y", 4, "an operand is missing here"),
        ("maximum(x, )", 11, "an operand is missing here"),
        ("()", 1, "an operand is missing here"),
        ("x y", 2, "an operator is missing here, such as *"),
        ("2x", 1, "an operator is missing here, such as *"),
        ("x (y)", 0, "there is no function x; a product is written x * (…)"),
        ("(x y)", 3, "an operator is missing here, such as *"),
        ("x (", 0, "there is no function x; a product is written x * (…)"),
        ("tanh(x", 4, "this bracket is never closed"),
        ("2 * (x + (y)", 4, "this bracket is never closed"),
        ("fsum([x, y", 5, "this bracket is never closed"),
        ("(x; y)", 0, "this bracket is never closed"),
        ("x)", 1, "there is no bracket that this one closes"),
        ("(x]", 2, "a ) is missing here"),
        ("fsum([x)", 7, "a ] is missing here"),
        ("x, y", 1, "a comma stands between the operands of a function only"),
        ("[x]", 0, "a list stands in a call only, such as fsum([a, b])"),
        ("a = b = x", 6, "only a name at the beginning can be assigned"),
        ("2 = x", 2, "only a name at the beginning can be assigned"),
        ("leaky_relu(x, alpha=2)", 19, "only a name at the beginning can be assigned"),
        ("x^2", 1, "a power is written **"),
        ("3 + x²", 5, "a square is written **2"),
        ("x ÷ y", 2, "a quotient is written /"),
        ("|x|", 0, "an absolute value is written abs(x)"),
        ("x.y", 1, "'.' is not understood"),
        ("a\x00b", 1, "'\\x00' is not understood"),
        ("½", 0, "'½' is not understood"),
        ("__import__('os')", 11, '"\'" is not understood'),
        ("__import__(x)", 0, "there is no function __import__; a product is written x * (…)"),
        ("1e999", 0, "this number is too large for a float"),
        ("2 * tnh(x)", 4, "there is no function tnh: did you mean tanh?"),
        ("ln(x)", 0, "there is no function ln: did you mean log?"),
        ("2 * tanh", 4, "tanh is a function: write tanh(…)"),
        ("x + alpha", 4, "alpha has no number"),
        ("alpha = x; x + alhpa", 15, "alhpa has no number: did you mean alpha?"),
        ("fsum(x, y)", 5, "fsum takes lists, such as [a, b]"),
        ("1 + tanh([x])", 9, "tanh takes no lists, such as [a, b]"),
        ("1 + tanh()", 4, "tanh takes 1 operand(s), not 0"),
        ("maximum(x)", 0, "maximum takes 2 operand(s), not 1"),
        ("leaky_relu(x, y, z)", 0, "leaky_relu takes 1 or 2 operand(s), not 3"),
        ("sumprod([x], [x, y])", 0, "sumprod needs columns of the same length, not 1 and 2"),
        ("prod([x], [y])", 0, "prod takes 1 list(s), not 2"),
        ("a = x; a = y", 7, "a has a value already: assign to another name"),
        ("x = 3", 0, "x has a value already: assign to another name"),
        ("a = a + 1", 0, "a has a value already: assign to another name"),
        ("x*y; tanh(x)", 0, "what is not the last needs a name, such as n = …"),
        ("x\n+ y", 0, "what is not the last needs a name, such as n = …"),
        ("1 + log(y)", 4, complaint(math.log, -1.25)),
        ("x + 1 / (x - x)", 6, complaint(operator.truediv, 1.0, 0.0)),
        ("9**9**9**9", 4, "Numerical result out of range"),
        ("1 + logsumexp([])", 4, "logsumexp needs at least one value"),
    ],
)
def test_errors_point_at_the_place(text: str, position: int, message: str) -> None:
    """And say what is missing there, or what was meant."""
    found = error(text)
    assert (found.position, found.message) == (position, message)


def test_an_error_prints_its_line_with_a_mark() -> None:
    """Of several lines, the one; of a long one, a part; below wide characters as well."""
    assert str(error("tanh(x*y + )")) == "tanh(x*y + )\n           ^ an operand is missing here"
    assert str(error("n = x\nm = n +\nm")) == "m = n +\n       ^ an operand is missing here"
    assert str(error("变量 + 1", {})) == "变量 + 1\n^ 变量 has no number"
    assert str(error("变 = 1; 变 + )", {})).splitlines()[1].index("^") == 11 + 2
    line, mark = str(error("x + " * 500 + ")")).splitlines()
    assert len(line) <= 100
    assert line[mark.index("^")] == ")"
    assert "\x1b" not in str(error("\x1b[31mx"))
    again = pickle.loads(pickle.dumps(error("x +")))
    assert str(again) == str(error("x +"))


def test_an_error_of_arithmetic_keeps_the_note_of_the_operation() -> None:
    """Which has the numbers and the labels."""
    assert error("1 + log(y)").__notes__ == ['in log(u), u = -1.25 ("y")']


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * (LONGEST + 1), "an expression has at most 10,000 characters"),
        ("x" * LONGEST, "a name has at most 100 characters"),
        ("(" * LONGEST, "more than 100 levels of brackets, minuses and powers"),
        ("-" * LONGEST, "more than 100 levels of brackets, minuses and powers"),
        ("x**" * 3000 + "x", "more than 100 levels of brackets, minuses and powers"),
        ("x+" * (MOST + 1) + "x", "an expression has at most 2,000 operations"),
        (f"prod([{'x,' * (MOST + 1)}x])", "an expression has at most 2,000 operations"),
    ],
)
def test_an_expression_has_bounds(text: str, message: str) -> None:
    """Of its length, its depth and the graph that it makes."""
    assert error(text).message == message


def test_within_the_bounds_all_is_well() -> None:
    """Lists in lists, brackets and powers up to the depth, operations up to their number."""
    depth = DEEPEST - 1
    assert parse("(" * depth + "x" + ")" * depth, {"x": 2}).data == 2.0
    assert parse("fsum([" * (depth // 2) + "x" + "])" * (depth // 2), {"x": 2}).data == 2.0
    assert parse("1**" * depth + "x", {"x": 2}).data == 1.0
    assert parse("x+" * MOST + "x", {"x": 1}).data == MOST + 1.0


def test_no_recursion_error() -> None:
    """Also of a caller who has used up most of the stack."""

    def deeper(n: int) -> Any:
        return deeper(n - 1) if n else error("fsum([1+2*-" * 40 + "x").message

    told = set()
    for n in range(300, 1000, 20):
        try:
            told.add(deeper(n))
        except RecursionError:
            break  # of the caller's own
    assert told == {"this is nested too deeply", "this bracket is never closed"}


pieces = st.lists(
    st.sampled_from([*"xyz+-*/()[],=;# \n", "**", "1.5", "tanh(", "fsum([", "log", "prod([", "·", "²"]), max_size=25
)


@settings(deadline=None)
@given(st.text(max_size=40) | pieces.map("".join))
def test_whatever_is_written(text: str) -> None:
    """There is a Value, or an ExpressionError with its place, in two lines without control characters."""
    try:
        found: Value | ExpressionError = parse(text, AT)
    except ExpressionError as raised:
        found = raised
    if isinstance(found, ExpressionError):
        assert 0 <= found.position <= len(text)
        lines = str(found).split("\n")
        assert len(lines) == 2
        assert all(line.isprintable() for line in lines)
