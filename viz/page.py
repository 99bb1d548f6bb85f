"""The live page: a picture to step through, to be asked about, and to play with, in one HTML file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import latex2mathml.converter

from autograd import Constant, Graph, Symbol, Value
from autograd.graph import BackwardStep, ForwardStep
from autograd.operations import ATOM, Operation, printable
from viz import dot, html, palette
from viz.curve import curve
from viz.diagram import Card, Diagram, Ribbon, Row, Seed, formula_of, named, role
from viz.drawing import FULL
from viz.picture import Picture
from viz.script import javascript
from viz.text import SIGNS, graph_of, pretty, short, typeset

#: Names and numbers stand in formulas as single characters that no label can contain.
_NAME, _NUMBER, _BRACKET, _PARTIAL = 0xE000, 0xE400, 0xE800, 0xEFFF
_DIGITS = {0x2080 + i: 48 + i for i in range(10)}
#: Has the width that a card's numbers may have.
_WIDE = "−000000"
_MATHML = {"math", "mrow", "mi", "mn", "mo", "mtext", "mfrac", "msup", "msub", "msubsup", "msqrt", "mroot", "mspace"}
#: What is higher than a line.
_TALL = {"mfrac", "msup", "msubsup", "msqrt", "mroot"}


def page(
    value: Value | Graph, path: str | Path, *, parameters: Collection[Value] = (), title: str | None = None
) -> Path:
    """Write the graph of a value as a page to step through and play with: one HTML file, without a network.

    The picture is that of :func:`draw`; three modes work on it. *Step* walks through what
    ``Graph.steps()`` yields; *Predict* asks for the number of each step before it is shown; *Live*
    changes the leaves, and every number on the page with them. For that, the browser computes what
    the table's rows say. Where a row of your own is no plain arithmetic, the page has no live mode.

    Args:
        value: what to show, of up to 40 values; nothing of it is changed.
        path: the file. It is replaced only when the page is complete.
        parameters: the leaves to show as parameters; those of a network are anyway.
        title: what the page is called.

    Returns:
        The path.

    Raises:
        ValueError: if the graph is too large, or the file no .html.
        RuntimeError: if Graphviz is not installed, fails, or takes too long.

    >>> import tempfile
    >>> x, w = Value(2.0, label="x"), Value(-3.0, label="w")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(page((x * w).tanh(), f"{folder}/tanh.html", parameters=[w]).name)
    tanh.html
    """
    content = Page(value, parameters=parameters, title=title).html
    return html.written(Path(path), content)


class Page:
    """The page that :func:`page` writes, as text; the last line of a notebook's cell shows it.

    Args:
        value: what to show, of up to 40 values; nothing of it is changed.
        parameters: the leaves to show as parameters; those of a network are anyway.
        title: what the page is called.

    Raises:
        ValueError: if the graph is too large.
        RuntimeError: if Graphviz is not installed, fails, or takes too long.

    >>> x = Value(2.0, label="x")
    >>> Page(x * x)
    <Page: How the gradient of x · x reaches every input>
    """

    def __init__(self, value: Value | Graph, *, parameters: Collection[Value] = (), title: str | None = None) -> None:
        graph = graph_of(value, "a page")
        if len(graph) > FULL:
            raise ValueError(
                f"{len(graph):,} values are too many for a page, which shows up to {FULL}: give it the output of a part"
            )
        names = named(graph, longest=18)
        roots = ", ".join(names[root] for root in graph.roots)
        self.title = printable(title or "") or f"How the gradient of {roots} reaches every input"
        picture = _picture(graph, names, parameters, self.title)
        script, data = _program(graph, names)
        sheet = picture.find("style")  # beside the page's own, since the policy allows no others
        assert sheet is not None
        picture.remove(sheet)
        parts = {
            "title": escape(self.title),
            "formulas": "".join(
                f'<p class="output">{escape(formula_of(root, names, longest=90) or names[root])}'
                f" = {_slot(f'v{graph.nodes.index(root)}')}</p>"
                for root in graph.roots
            ),
            "sheet": str(sheet.text),
            "picture": ET.tostring(picture, encoding="unicode"),
            "steps": "".join(_steps(graph, names)),
            "colors": _colors(),
            "rows": script,
            "data": html.in_script(data),
        }
        self.html = html.filled(Path(__file__).with_suffix(".html"), parts)

    def _repr_html_(self) -> str:
        """A frame that can run the page's script, and reach nothing of the notebook around it."""
        return (
            f'<iframe title="{escape(self.title)}" srcdoc="{escape(self.html)}" sandbox="allow-scripts"'
            f' style="width:100%;height:720px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"<Page: {self.title}>"


def _colors() -> str:
    named = {
        **{name.lower(): getattr(palette, name) for name in ("INK", "MUTED", "HAIRLINE", "PAPER", "CELL", "AMBER")},
        "amber-fill": palette.AMBER_FILL,
        "line": palette.STROKE[""],
    }
    for sign, name in ((1, "plus"), (-1, "minus"), (0, "zero")):
        named |= {name: palette.RIBBON[sign], f"{name}-text": palette.NUMBER[sign]}
    return html.properties(named) + f"--page:light-dark({palette.PAPER},{palette.NIGHT});"


# The picture.


def _picture(graph: Graph, names: Mapping[Value, str], parameters: Collection[Value], title: str) -> ET.Element:
    """The gradient-flow picture, with room for other numbers, and classes by which the script finds its parts."""
    ids = {node: f"v{i}" for i, node in enumerate(graph, start=1)}
    uses = Counter(parent for parent, _, _ in graph.edges)
    cards, ribbons = [], []
    for node in graph:
        is_, plot, grown = role(node, graph, parameters), curve(node), not isinstance(node, Constant)
        rows = [Row("data", _WIDE)] if grown or node.label else []
        if grown:
            sums = " + ".join(["−0.00"] * min(3, uses[node])) + " = " if uses[node] > 1 else ""
            rows.append(Row("grad", _WIDE, 1, sums))
        scope = printable(node.scope)
        name = names[node].removeprefix(f"{scope}.")
        name = typeset(name) if is_ == "constant" else name
        op = SIGNS.get(node.op.symbol, node.op.symbol) if node.op else ""
        shown = replace(plot, tag="saturated") if plot else None
        cards.append(Card(ids[node], name, is_, op, tuple(rows), f"{names[node]}: ", shown, scope))
    for parent, child, j in graph.edges:
        assert child.op is not None
        reading = child.op.readings()[j * len(child.op.partials) // len(child.parents) if child.op.nary else j]
        pill = f"×{short(reading)}" if isinstance(reading, float) else "×−0.000"
        flows: dict[str, Any] = {"pill": pill, "upstream": (1, 1e-6), "downstream": (1, 1e-6)}
        ribbons.append(Ribbon(ids[parent], ids[child], "", **({} if isinstance(parent, Constant) else flows)))
    brief = {root: dot.shorten(names[root], 20) for root in graph.roots}
    seeds = [Seed(ids[root], f"start: ∂{name}/∂{name} =\u00a0", "1", (1, 1e-6)) for root, name in brief.items()]
    drawing = Picture("page")
    drawing.title, drawing.curves = title, {card.id: card.curve for card in cards if card.curve}
    dot.gradient_flow(drawing, Diagram("\u00a0", (), tuple(cards), tuple(ribbons), tuple(seeds)))
    svg = ET.fromstring(drawing.pipe("svg", encoding="utf-8"))
    for element in svg.iter():
        element.tag, element.tail = element.tag.rpartition("}")[2], None
        element.text = (element.text or "").strip("\n") or None
    svg.attrib = {name: x for name, x in svg.attrib.items() if name not in ("style", "width", "height")}
    groups = {group.get("id", "").partition("-")[2]: group for group in svg.iter("g")}
    for card in cards:
        _mark(groups[card.id], card)
    for key, group in groups.items():
        if key.endswith(("_down", "_up")):
            for shape in group:
                shape.attrib = {name: shape.attrib[name] for name in ("d", "points") if name in shape.attrib}
    return svg


def _mark(group: ET.Element, card: Card) -> None:
    """Make the texts of numbers empty, and end at the right; give a class to what is shown at times only."""
    texts, outline = group.findall("text"), str(group.findall("path")[-1].get("d"))
    right = max(map(float, re.findall(r"(-?[\d.]+),", outline))) - 8.0
    for row in reversed(card.rows):
        found = texts.pop()
        if row.parts:
            group.remove(texts.pop())
        texts.pop().set("class", f"of-{row.caption}")
        found.attrib = {"class": row.caption, "text-anchor": "end", "x": f"{right:g}", "y": found.get("y", "")}
        found.text = None
        ET.SubElement(found, "tspan", {"class": "sum"})
        ET.SubElement(found, "tspan")
    for element in group:
        if element.get("fill") in (palette.AMBER.lower(), palette.AMBER_FILL.lower()):
            element.set("class", "tag")
        elif element.tag == "svg":
            element.set("class", "plot")


# What the page computes with.


def _program(graph: Graph, names: Mapping[Value, str]) -> tuple[str, dict[str, Any]]:
    """The rows in JavaScript, and the graph as data; without rows, if one of them cannot be written so."""
    places = {node: i for i, node in enumerate(graph)}
    rows: dict[tuple[Operation, int], str] = {}
    nodes, missing = [], ""
    for node in graph:
        about: dict[str, Any] = {"name": names[node], "data": html.number_in_json(node.data)}
        if isinstance(node, Constant):
            about["constant"] = True
        if node.op is not None:
            key = (node.op, len(node.parents))
            try:
                rows[key] = rows.get(key) or javascript(*key)
            except ValueError:
                rows[key] = "null"
                missing = missing or node.op.name
            about |= {"row": [*rows].index(key), "parents": [places[parent] for parent in node.parents]}
            about |= {"partials": [*map(html.number_in_json, node.partials)], "columns": len(node.op.partials)}
            about["nary"] = node.op.nary
        nodes.append(about)
    roots = [places[root] for root in graph.roots]
    return f"const rows = [{', '.join(rows.values())}];", {"nodes": nodes, "roots": roots, "missing": missing}


# What the page says.


def _slot(key: str) -> str:
    """Where the script writes a number; ``b``: in brackets, if it is negative."""
    return f'<span data-n="{key}"></span>'


def _steps(graph: Graph, names: Mapping[Value, str]) -> Iterator[str]:
    """Each step as a sentence and a formula, with places for its numbers."""
    places = {node: i for i, node in enumerate(graph)}
    called = [*names.values()]
    symbols: dict[Value, Symbol] = {}
    for node in graph:
        symbols[node] = _place(_NAME, places[node])
        if isinstance(node, Constant) and not node.label:
            symbols[node] = Symbol(names[node])
        elif node.op and not node.label and names[node] != (pretty(graph.name(node)) or f"v{places[node] + 1}"):
            symbols[node] = _applied(node.op, [symbols[parent] for parent in node.parents])  # it is called so
    uses = Counter(parent for parent, _, _ in graph.edges)
    for k, step in enumerate(graph.steps()):
        if isinstance(step, ForwardStep):
            node = step.node
            assert node.op is not None
            formula = _applied(node.op, [symbols[parent] for parent in node.parents])
            chain = [formula, _with_numbers(node, symbols, places)]
            if symbols[node].text != formula.text:
                chain.insert(0, symbols[node])
            text = " = ".join(escape(typeset(part.text)) for part in chain)
            sentence = f'{text} = <b class="answer">{_slot(f"v{places[node]}")}</b>'
            latex = [*(part.latex for part in chain), _place(_NUMBER, places[node]).latex]
        else:
            child, parent = symbols[step.child], symbols[step.parent]
            sentence = f"grad of {escape(names[step.parent])} += {_slot(f'a{k}')} × {_slot(f'p{k} b')}"
            sentence += f' = <b class="answer">{_slot(f"c{k}")}</b>'
            sentence += f"; so far {_slot(f't{k}')}" if uses[step.parent] > 1 else ""
            latex = [rf"\frac{{\partial {_closed(child)}}}{{\partial {_closed(parent)}}}"]
            slope = _slope(step, symbols)
            latex += [slope.latex] if slope is not None else []
            latex += [] if slope is not None and slope.value is not None else [_place(_PARTIAL, 0).latex]
        yield f"<li><p>{_filled(sentence, called, k)}</p>{_filled(_mathml(' = '.join(latex)), called, k)}</li>\n"


def _place(kind: int, i: int) -> Symbol:
    return Symbol(chr(kind + i), rf"\mathrm{{{chr(kind + i)}}}")


def _applied(op: Operation, operands: Sequence[Symbol]) -> Symbol:
    formula: Symbol = op(*op.columns(operands))
    return formula


def _with_numbers(node: Value, symbols: Mapping[Value, Symbol], places: Mapping[Value, int]) -> Symbol:
    """The operation of a node on numbers; what would be in brackets if it is negative, has a place that says so."""
    assert node.op is not None
    fixed = [isinstance(parent, Constant) and not parent.label for parent in node.parents]
    operands = [symbols[x] if fix else _place(_NUMBER, places[x]) for x, fix in zip(node.parents, fixed, strict=True)]
    plain = _applied(node.op, operands)
    for j, (x, fix) in enumerate(zip(node.parents, fixed, strict=True)):
        negative = _applied(node.op, [*operands[:j], Symbol("-x"), *operands[j + 1 :]])
        if not fix and negative.text.count("(") > plain.text.count("("):
            operands[j] = _place(_BRACKET, places[x])
    return _applied(node.op, operands)


def _slope(step: BackwardStep, symbols: Mapping[Value, Symbol]) -> Symbol | None:
    """The rule as a formula; None of a user's rule that is none."""
    assert step.child.op is not None
    try:
        slope = step.child.op.slope(step.position, [symbols[x] for x in step.child.parents], symbols[step.child])
        return slope if isinstance(slope, Symbol) else Symbol(float(slope))
    except (ArithmeticError, TypeError, ValueError):
        return None


def _closed(x: Symbol) -> str:
    return x.latex if x.latex_level == ATOM else rf"\left({x.latex}\right)"


def _filled(markup: str, names: Sequence[str], k: int) -> str:
    """What stands for a name or a number of step k, replaced by it."""

    def fill(found: re.Match[str]) -> str:
        code = ord(found[2])
        if code < _NUMBER:
            name = names[code - _NAME]
            if found[1] and (parts := re.fullmatch("([^\\W\\d_])([₀-₉]+)", name)):
                return f"<msub><mi>{parts[1]}</mi><mn>{parts[2].translate(_DIGITS)}</mn></msub>"
            return f"{found[1]}{escape(name)}{found[3]}"
        key = f"p{k}" if code == _PARTIAL else f"v{code - _NUMBER}" if code < _BRACKET else f"v{code - _BRACKET} b"
        return f'<mn data-n="{key}"></mn>' if found[1] else _slot(key)

    return re.sub("(<mi>|)([\ue000-\uefff])(</mi>|)", fill, markup)


def _mathml(latex: str) -> str:
    """LaTeX as MathML; empty, if what a user has written for a row is too much for it."""
    try:
        root = ET.fromstring(latex2mathml.converter.convert(latex, display="block"))
    except Exception:  # it raises whatever its parser stumbles on
        return ""
    for element in root.iter():
        element.tag, element.attrib = element.tag.rpartition("}")[2], {}
        if element.tag not in _MATHML:
            return ""
    for row in root.iter("mrow"):
        if not any(part.tag in _TALL for part in row.iter()):  # some fonts would stretch brackets for the tail of a y
            for sign in row.findall("mo"):
                sign.set("stretchy", "false")
    root.set("display", "block")
    return ET.tostring(root, encoding="unicode")
