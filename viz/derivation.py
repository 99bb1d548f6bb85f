"""A derivation as plain data, and how it is written: as text, LaTeX, Markdown and HTML."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from autograd import Symbol
from viz.formulas import ascii_only, figure, rounded
from viz.text import columns, typeset, unlatex


class Line(NamedTuple):
    """An equation in steps: ∂o/∂x = ∂o/∂n · ∂n/∂x = 0.5 · w = 0.5 · (−3) = −1.5."""

    what: Symbol
    #: The same in symbols, by the rules of the local derivatives, and in numbers; None where there is no such step.
    symbols: Symbol | None
    rule: Symbol | None
    numbers: Symbol | None
    value: float
    #: Said after it.
    remark: str = ""

    @property
    def steps(self) -> list[Symbol]:
        """What stands between the equals signs, without steps that change nothing; the value comes last."""
        steps = [step for step in (self.symbols, self.rule, self.numbers) if step is not None] + [figure(self.value)]
        return [rounded(a) for a, b in zip(steps, [*steps[1:], None], strict=True) if b is None or a.text != b.text]


class Part(NamedTuple):
    """Lines under a title; a text stands for lines that are left out, or cannot be given."""

    title: str
    lines: tuple[Line | str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Derivation:
    """How a derivative follows from the chain rule: plain data, which prints as text and shows itself in notebooks.

    >>> from autograd import Value
    >>> from viz import explain
    >>> x = Value(3.0, label="x")
    >>> y = x * x
    >>> y.label = "y"
    >>> found = explain(y, x)
    >>> found.value, [part.title for part in found.parts]
    (6.0, ['forward', 'backward'])
    """

    #: ∂y/∂x.
    what: Symbol
    value: float
    parts: tuple[Part, ...]

    def __str__(self) -> str:
        blocks = [[f"{typeset(self.what.text)} by the chain rule", ""]]
        blocks += [[part.title, *_written(part.lines)] for part in self.parts]
        return "\n".join(line for block in blocks for line in block)

    __repr__ = __str__

    def latex(self) -> str:
        """An ``aligned`` environment, for LaTeX's mathematics mode with amsmath, and for KaTeX and MathJax.

        >>> from autograd import Value
        >>> from viz import explain
        >>> x = Value(3.0, label="x")
        >>> y = x * x
        >>> y.label = "y"
        >>> "{aligned}" in explain(y, x).latex()
        True
        """
        rows = [rf"&{self.what.latex}\text{{ by the chain rule}}"]
        for part in self.parts:
            rows.append(rf"&\textit{{{ascii_only(part.title)}}}")
            for line in part.lines:
                if isinstance(line, str):
                    rows.append(f"&{_latex_text(line)}")
                    continue
                steps = [f"= {step.latex}" for step in line.steps]
                if line.remark:
                    steps[-1] += rf"\quad {_latex_text(line.remark)}"
                rows.append(f"{line.what.latex} &{(' ' if _fits(line) else rf' {NEXT}& ').join(steps)}")
        return "\\begin{aligned}\n" + f" {NEXT}\n".join(rows) + "\n\\end{aligned}"

    def markdown(self) -> str:
        """The formulas between ``$$``, which Jupyter and GitHub typeset.

        >>> from autograd import Value
        >>> from viz import explain
        >>> x = Value(3.0, label="x")
        >>> y = x * x
        >>> y.label = "y"
        >>> explain(y, x).markdown().splitlines()[0]
        '$$'
        """
        return f"$$\n{self.latex()}\n$$"

    def html(self) -> str:
        """HTML with MathML, which browsers and screen readers know, without any script.

        >>> from autograd import Value
        >>> from viz import explain
        >>> x = Value(3.0, label="x")
        >>> y = x * x
        >>> y.label = "y"
        >>> "<math" in explain(y, x).html()
        True
        """
        style = "display:grid;grid-template-columns:max-content 1fr;gap:.5em .4em;align-items:baseline"
        rows = []
        for part in self.parts:
            cells = []
            for line in part.lines:
                if isinstance(line, str):
                    cells.append(f'<div style="grid-column:2">{escape(line)}</div>')
                    continue
                steps = " ".join(_mathml(f"= {step.latex}") for step in line.steps)
                remark = f" <span>({escape(line.remark)})</span>" if line.remark else ""
                cells.append(
                    f'<div style="text-align:right">{_mathml(line.what.latex)}</div><div>{steps}{remark}</div>'
                )
            rows.append(
                f'<p style="margin:.8em 0 .4em"><i>{part.title}</i></p><div style="{style}">{"".join(cells)}</div>'
            )
        # The classes keep MathJax from taking a dollar sign in a label for a formula's beginning.
        title = f"<p><b>{_mathml(self.what.latex)} by the chain rule</b></p>"
        return f'<div class="tex2jax_ignore mathjax_ignore">{title}{"".join(rows)}</div>'

    _repr_html_ = html

    def _repr_latex_(self) -> str:
        return self.markdown()


def _fits(line: Line) -> bool:
    return len(line.what.text) + sum(len(step.text) + 3 for step in line.steps) <= 96


def _written(lines: Iterable[Line | str]) -> Iterator[str]:
    """Chains of equations, ``a = b = c``; a step a line where they are long."""
    lines = list(lines)
    width = max((columns(typeset(line.what.text)) for line in lines if isinstance(line, Line)), default=0)
    for line in lines:
        if isinstance(line, str):
            yield f"  {line}"
            continue
        between = " = " if _fits(line) else f"\n  {'':<{width}} = "
        steps = between.join(typeset(step.text) for step in line.steps)
        what = typeset(line.what.text)
        remark = f"   ({line.remark})" if line.remark else ""
        yield f"  {what}{' ' * (width - columns(what))} = {steps}{remark}"


#: Ends a row of LaTeX, with room for fractions.
NEXT = r"\\[4pt]"


def _latex_text(text: str) -> str:
    return rf"\text{{{ascii_only(text)}}}"


@functools.lru_cache(maxsize=1024)
def _mathml(written: str) -> str:
    """LaTeX as MathML: names as one identifier, not letter by letter, and a sign close to its number."""
    from latex2mathml.converter import convert  # only where there is a notebook or a page

    names: list[str] = []

    def hidden(found: re.Match[str]) -> str:
        names.append(unlatex(found[1]))
        return chr(_PRIVATE + len(names) - 1)

    math = convert(_NAME.sub(hidden, written)).replace('display="inline"', 'display="inline" displaystyle="true"', 1)
    math = _SIGN.sub(r'\1<mo form="prefix">', math)
    math = _LOW.sub(r'stretchy="false"\1stretchy="false"', math)
    return re.sub("[\ue000-\uf8ff]", lambda found: escape(names[ord(found[0]) - _PRIVATE]), math)


#: Where Unicode has characters for private use, which no label keeps.
_PRIVATE = 0xE000
_NAME = re.compile(r"\\mathrm\{((?:\\text\{[^}]*\}|\\.|[^{}\\])*)\}")
#: Brackets around what is no higher than a line: some fonts would stretch them for the tail of a y.
_LOW = re.compile(r'stretchy="true"([^>]*form="prefix"(?:(?!stretchy|<mfrac|<msup|<mroot|<msqrt).)*)stretchy="true"')
#: A minus after an opening bracket or another sign.
_SIGN = re.compile(r'(<mo[^>]*form="prefix">&#x00028;</mo>|<mo>&#x000(?:3D|B7|2B);</mo>)<mo>(?=&#x02212;)')
