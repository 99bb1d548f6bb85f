"""Formulas: folding, brackets, names and numbers; the table's own rows are in test_operations."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from autograd import Symbol, exp, fsum, logsumexp, mul, prod, relu, sqrt, sumprod, tanh
from autograd import operations as ops
from autograd.operations import PRODUCT, SUM
from autograd.symbol import fill, latex_name, latex_number, rules

x, y = Symbol("x"), Symbol("y")


@pytest.mark.parametrize(
    ("formula", "text", "latex"),
    [
        (x + 0, "x", "x"),
        (0.0 + x, "x", "x"),
        (x - 0, "x", "x"),
        (1 * x * 1, "x", "x"),
        (x / 1, "x", "x"),
        (x**1, "x", "x"),
        (0 * x, "0.0", "0"),
        (x ** (3 - Symbol(1)), "x ** 2.0", "x^{2}"),
        (2 * x - y, "2.0 * x - y", r"2 \cdot x - y"),
        (x - (y - x), "x - (y - x)", r"x - \left(y - x\right)"),
        (x - y - x, "x - y - x", "x - y - x"),
        (x + (y + x), "x + (y + x)", "x + y + x"),
        (x * (y + 1), "x * (y + 1.0)", r"x \cdot \left(y + 1\right)"),
        (x / (y * x), "x / (y * x)", r"\frac{x}{y \cdot x}"),
        (x / y / x, "x / y / x", r"\frac{\frac{x}{y}}{x}"),
        ((x / y) ** 2, "(x / y) ** 2.0", r"\left(\frac{x}{y}\right)^{2}"),
        (x**y**2, "x ** (y ** 2.0)", "x^{y^{2}}"),
        ((x**y) ** 2, "(x ** y) ** 2.0", r"\left(x^{y}\right)^{2}"),
        ((-x) ** 2, "(-x) ** 2.0", r"\left(-x\right)^{2}"),
        (-(x**2), "-x ** 2.0", "-x^{2}"),
        (-(x + y), "-(x + y)", r"-\left(x + y\right)"),
        (ops.neg(-x), "-(-x)", r"-\left(-x\right)"),
        (-(x * y), "-x * y", r"-x \cdot y"),
        (x - -y, "x - (-y)", r"x - \left(-y\right)"),
        (x * -3, "x * (-3.0)", r"x \cdot \left(-3\right)"),
        (-3 * x, "-3.0 * x", r"-3 \cdot x"),
        (abs(x - y), "abs(x - y)", r"\operatorname{abs}\left(x - y\right)"),
        (exp(x) ** 2, "exp(x) ** 2.0", r"\left(e^{x}\right)^{2}"),
        (1.5e-7 * x, "1.5e-07 * x", r"1.5 \cdot 10^{-7} \cdot x"),
        (1.5e-7**x, "1.5e-07 ** x", r"\left(1.5 \cdot 10^{-7}\right)^{x}"),
        (2.0**x, "2.0 ** x", "2^{x}"),
        (x**1.5e7, "x ** 15000000.0", "x^{15000000}"),
        (sqrt(x) * tanh(y), "sqrt(x) * tanh(y)", r"\sqrt{x} \cdot \tanh\left(y\right)"),
        (fsum([x, y, -1.0]), "fsum([x, y, -1.0])", r"x + y + \left(-1\right)"),
        (sumprod([x, 2.0], [y, x]), "sumprod([x, 2.0], [y, x])", r"x \cdot y + 2 \cdot x"),
        (sumprod([x, 2.0], [y, x]) ** 2, "sumprod([x, 2.0], [y, x]) ** 2.0", r"\left(x \cdot y + 2 \cdot x\right)^{2}"),
        (logsumexp([x, y]), "logsumexp([x, y])", r"\ln\left(e^{x} + e^{y}\right)"),
        (prod([x, y, x]), "x * y * x", r"x \cdot y \cdot x"),
        (ops.where(x, y, 0.0), "where(x, y, 0.0)", r"\operatorname{where}\left(x, y, 0\right)"),
        (x * math.inf, "x * inf", r"x \cdot \infty"),
    ],
)
def test_formula(formula: Symbol, text: str, latex: str) -> None:
    """Constants folded, neutral elements dropped, brackets where the reading needs them and nowhere else."""
    assert (formula.text, formula.latex) == (text, latex)
    assert str(formula) == text
    assert repr(formula) == f"Symbol({text!r})"
    assert formula._repr_latex_() == f"${latex}$"


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("x", "x"),
        ("θ", "θ"),
        ("x1", "x_{1}"),
        ("x_12", "x_{12}"),
        ("x₁", "x_{1}"),
        ("w[2]", "w_{2}"),
        ("loss", r"\mathrm{loss}"),
        ("h1[3].w[2]", r"\mathrm{h1[3].w[2]}"),
        ("50% of $x_y${}", r"\mathrm{50\% of \$x\_y\$\{\}}"),
        ("a\\b^c~d", r"\mathrm{a\backslash b\wedge c\sim d}"),
        ("a\nb\x1b", r"\mathrm{ab}"),
    ],
)
def test_names_in_latex(name: str, latex: str) -> None:
    """Single letters with subscripts; longer names upright, with nothing that LaTeX would obey."""
    assert latex_name(name) == latex
    assert Symbol(name).latex == latex
    assert Symbol(name, r"\alpha").latex == r"\alpha"


def test_numbers_in_latex() -> None:
    """Exactly, whole numbers without a point."""
    written = [latex_number(z) for z in (3.0, -0.5, 1e22, math.inf, -math.inf, math.nan, 0.1 + 0.2)]
    assert written == ["3", "-0.5", r"1 \cdot 10^{22}", r"\infty", r"-\infty", r"\mathrm{nan}", "0.30000000000000004"]


def test_a_symbol_is_not_a_number() -> None:
    """It has no truth value and does not mix with text; a rule that branches is told what to do."""
    branches: list[Callable[[], Any]] = [lambda: x > 0.0, lambda: x <= y, lambda: 1.0 if x else 2.0, lambda: max(x, y)]
    for branch in branches:
        with pytest.raises(TypeError, match="must not branch on its operands; use step, sign or where"):
            branch()
    wrong: Any = "1"
    with pytest.raises(TypeError, match="a formula needs a real number, not str '1'"):
        x + wrong


@pytest.mark.parametrize(
    ("template", "filled"),
    [("{%s}", "{x + y}"), ("{%s z}", "{(x + y) z}"), ("{z %s}", "{z (x + y)}"), ("%s z", "(x + y) z")],
)
def test_only_what_fills_its_braces_needs_no_brackets(template: str, filled: str) -> None:
    """Braces group in LaTeX, but what stands beside an operand in them may bind it more tightly."""
    assert fill(template, [("x + y", SUM)], PRODUCT, "(%s)") == filled


def test_a_guard_is_dropped_where_the_number_is_known_not_to_be_zero() -> None:
    """Other operations are written out, whatever number they are at."""
    for data, nonzero in ((-2.0, "1.0"), (0.0, "nonzero(u)"), (None, "nonzero(u)")):
        u = Symbol("u")
        u.data = data
        assert (ops.nonzero(u).text, ops.sin(u).text) == (nonzero, "sin(u)")


def test_rules_are_formulas() -> None:
    """The derivative of a row, in x, y and z."""
    assert [rule.text for rule in rules(mul)] == ["y", "x"]
    assert [rule.latex for rule in rules(ops.div)] == [r"\frac{1}{y}", r"\frac{-z}{y}"]
    assert [rule.text for rule in rules(relu)] == ["step(x)"]
    assert rules(mul) is rules(mul)
