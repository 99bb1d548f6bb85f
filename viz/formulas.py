"""Symbols for what a graph computes: names, numbers rounded for the eye, operations and their rules."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from autograd import Constant, Graph, Symbol, Value
from autograd.graph import Edge
from autograd.operations import PRODUCT
from viz.text import latex, pretty, short

#: So many terms of a sum, or factors of a product, are written out; of more, the first and the last three.
TERMS = 8
#: More paths than anyone counts: from here on, there are just "more".
MANY = 10**30

#: How values are called: by name, or by number.
Names = Callable[[Value], Symbol]


def called(graph: Graph, node: Value) -> Symbol:
    """A node's name as a symbol; an unlabelled constant's is its number."""
    name = pretty(graph.name(node))
    if isinstance(node, Constant) and not node.label:
        return _rounded(name)
    symbol = Symbol(name, latex(name))
    if re.search(r"[-+*/^=·]", name):  # a label such as x1*w1 + x2*w2, which ∂ and · would take apart
        symbol = Symbol(f"({name})", rf"\left({symbol.latex}\right)")
    symbol.data = node.data
    return symbol


def figure(x: float) -> Symbol:
    """A number that is rounded for the eye."""
    symbol = _rounded(short(x + 0.0, 5).replace("−", "-"))  # as Python writes it, so that brackets are set around it
    symbol.data = x
    return symbol


def _rounded(text: str) -> Symbol:
    mantissa, times, exponent = text.partition("e")
    written = mantissa.replace("∞", r"\infty ").replace("nan", r"\mathrm{nan}").replace("inf", r"\infty ")
    symbol = Symbol(text, rf"{written} \cdot 10^{{{int(exponent)}}}" if times else written)
    symbol.latex_level = PRODUCT if times else symbol.latex_level
    return symbol


#: A constant of a rule, such as log(2).
_DIGITS = re.compile(r"(?<![\w.])\d+\.\d{6,}(?![\w.])")


def rounded(written: Symbol) -> Symbol:
    """The same with the constants of its rule, such as log(2), rounded for the eye."""
    text, latex = (_DIGITS.sub(lambda x: short(float(x[0]), 5), s) for s in (written.text, written.latex))
    return Symbol(text, latex)


def formula(node: Value, name: Names) -> Symbol:
    """What a node computes, with its parents called by name or by number; a long one by its operation."""
    op = node.op
    assert op is not None
    if len(node.parents) <= 40:
        columns = op.columns([name(parent) for parent in node.parents])
        written: Symbol = op.latex(*columns) if callable(op.latex) else op(*columns)
        if len(written.text) <= 100:
            return written
    escaped = op.name.replace("_", r"\_")
    return Symbol(f"{op.name}(…)", rf"\operatorname{{{escaped}}}\left(\ldots\right)")


def local(edge: Edge, name: Names) -> Symbol:
    """The rule of a local derivative; its number where it has no formula."""
    child = edge.child
    assert child.op is not None
    # A constant as its number, so that 3 · x ** (3 − 1) is written 3 · x².
    operands = [Symbol(x.data) if isinstance(x, Constant) else name(x) for x in child.parents]
    try:
        slope = child.op.slope(edge.position, operands, name(child))
    except (ArithmeticError, ValueError):  # of constants, such as log(−2) in the slope of (−2) ** x
        slope = None
    if isinstance(slope, (Symbol, float, int)):
        return slope if isinstance(slope, Symbol) else Symbol(float(slope))
    return figure(child.partials[edge.position])


def fold(op: Any, items: Sequence[Any], write: Callable[[Any], Symbol], count: int = 0) -> Symbol:
    """A sum or a product of symbols; of many, the first and the last, and how many are left out."""
    count = max(count, len(items))
    if count <= TERMS:
        return functools.reduce(op, map(write, items))
    last = [*map(write, items[-3:])] if count == len(items) else []
    more = counted(count if count >= MANY else count - 3 - len(last))
    gap = Symbol(f"… {more} more …", rf"\cdots\text{{ {ascii_only(more)} more }}\cdots")
    return functools.reduce(op, [*map(write, items[:3]), gap, *last])


def counted(n: int) -> str:
    """A number of paths for people.

    >>> counted(2**20), counted(2**60), counted(2**4000)
    ('1,048,576', '1,152,921,504,606,846,976', 'more than 10³⁰')
    """
    return f"{n:,}" if n < MANY else "more than 10³⁰"


def ascii_only(text: str) -> str:
    """A sentence of ours for LaTeX's text mode."""
    return text.replace("10³⁰", "1e30").replace("−", "-").replace("…", "...")
