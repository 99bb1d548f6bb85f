"""Diagrams in Graphviz's language; the only place that writes DOT."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import graphviz

from viz.curve import Curve, Point
from viz.diagram import Card, Diagram, Flow, Ribbon, Row
from viz.network import BARS, DECADES, EDGE, HEIGHT, LONGEST, TAG, UNITS, Layer, Network, Unit
from viz.palette import AMBER, AMBER_FILL, CELL, FILL, HAIRLINE, INK, MUTED, NUMBER, PAPER, RIBBON, SHADES, STROKE
from viz.text import number

#: How values and gradients run, and the sides where a ribbon leaves its parent and meets its child.
DIRECTIONS = {
    "LR": ("left to right", "left", "e", "w"),
    "RL": ("right to left", "right", "w", "e"),
    "TB": ("from top to bottom", "up", "s", "n"),
    "BT": ("from bottom to top", "down", "n", "s"),
}
#: The size of a curve's plot, in points.
PLOT = (58, 42)
#: The most frames one within the other.
DEEPEST = 12
#: Stands in a worksheet where the reader is to write.
BLANK = "\u00a0" * 9
#: A ribbon in a worksheet, which tells nothing of what flows: a grey of middling width.
UNKNOWN: Flow = (0, 0.05)
#: A row of a title that keeps it apart from what follows.
_GAP = ['<td height="14"></td>']
_FADED, _HALF = "30", "90"  # a fifth, and a good half, as the last two digits of a colour


def gradient_flow(graph: graphviz.Digraph, diagram: Diagram, *, rankdir: str = "LR") -> None:
    """Write a diagram of values into an empty graph."""
    _begin(graph, diagram, rankdir)
    _, _, out, into = DIRECTIONS[rankdir]
    # A frame without a line carries the legend, if there are frames.  Within one, Graphviz draws what is declared
    # first at the bottom of its rank, or at the left, and forgets the edges that would keep operands in their order.
    has_frames = any(card.scope for card in diagram.cards)
    step = -1 if has_frames and rankdir in ("LR", "RL") else 1
    legend = [[_cell(text, "left")]] if (text := _legend(diagram, rankdir)) else []
    rows = _title(diagram, rankdir) + ([] if has_frames else [*legend, _GAP])
    graph.attr(ordering="in", label=_table(rows, cellpadding=2, bare=True))
    with graph.subgraph(name="cluster_all" if has_frames else None) as frame:
        if has_frames:
            told = _table(legend, cellpadding=4, bare=True) if legend else ""
            frame.attr(peripheries="0", margin="14", labelloc="b", labeljust="l", label=told)
        framed: dict[str, str] = {}
        for card in diagram.cards[::step]:
            with _scope(frame, card.scope, framed) as place:
                _place(place, card)
        scopes = {card.id: card.scope for card in diagram.cards}
        at_op = {card.id for card in diagram.cards if card.op and into == "w"}
        for j, ribbon in list(enumerate(diagram.ribbons))[::step]:
            head = f"{ribbon.child}:op:w" if ribbon.child in at_op else f"{ribbon.child}:{into}"
            with _scope(frame, _common(scopes[ribbon.parent], scopes[ribbon.child]), framed) as place:
                _ribbon(place, ribbon, f"{ribbon.parent}:{out}", head, f"e{j}")
        if not has_frames:
            _side_by_side(graph, diagram)
        for seed in diagram.seeds:
            number = _font(seed.value, 13, _ink(NUMBER[seed.flow[0]], seed.faded), bold=True)
            text = _font(seed.text, 12, _ink(MUTED, seed.faded)) + number
            key = f"seed_{seed.output}"
            frame.node(key, _table([[text]], cellpadding=4), id=key)
            stroke = _stroke(seed.flow, seed.faded)
            frame.edge(f"{seed.output}:{out}", f"{key}:{into}", dir="back", id=f"{key}_down", **stroke)


def _side_by_side(graph: graphviz.Digraph, diagram: Diagram) -> None:
    """Keep the pills of every operation in the order of its operands, by edges that are not seen."""
    pills: dict[str, list[str]] = {}
    for j, ribbon in enumerate(diagram.ribbons):
        if ribbon.pill:
            pills.setdefault(ribbon.child, []).append(f"e{j}")
    for ids in pills.values():
        if ids[1:]:
            with graph.subgraph() as rank:
                rank.attr(rank="same")
                for above, below in itertools.pairwise(ids):
                    rank.edge(above, below, style="invis")


def groups(graph: graphviz.Digraph, diagram: Diagram, *, rankdir: str = "LR") -> None:
    """Write a diagram of groups into an empty graph: layers side by side, the neurons of each in their order."""
    _begin(graph, diagram, rankdir)
    rows = [*_title(diagram, rankdir), [_cell(_legend(diagram, rankdir) or "\u00a0", "left")], _GAP]
    graph.attr(label=_table(rows, cellpadding=2, bare=True))
    _, _, out, into = DIRECTIONS[rankdir]
    layers: dict[str, list[str]] = {}
    for card in diagram.cards:
        _place(graph, card)
        layers.setdefault(card.scope or card.id, []).append(card.id)
    for ribbon in diagram.ribbons:
        _ribbon(graph, ribbon, f"{ribbon.parent}:{out}", f"{ribbon.child}:{into}", thin=len(diagram.ribbons) > 100)
    for cards in layers.values():
        with graph.subgraph() as rank:  # not within a frame, where Graphviz forgets the edges that keep the order
            rank.attr(rank="same")
            for above, below in itertools.pairwise(cards):
                rank.edge(above, below, style="invis")


def _begin(graph: graphviz.Digraph, diagram: Diagram, rankdir: str) -> None:
    graph.attr(rankdir=rankdir, nodesep="0.25", ranksep=_ranksep(diagram), pad="0.4", splines="true")
    graph.attr(outputorder="edgesfirst", bgcolor="white", fontname="Arial", tooltip=_tooltip(diagram.title))
    graph.attr("node", shape="plain", fontname="Arial", fontcolor=INK)
    graph.attr("edge", fontname="Arial", arrowsize="0.55")
    graph.attr(labelloc="t", labeljust="l")


def _place(frame: graphviz.Digraph, card: Card) -> None:
    _write(frame, card.id, label=_card(card), id=card.id, tooltip=_tooltip(card.tooltip, twice=True))


def _write(frame: graphviz.Digraph, what: str, label: str = "", **attributes: str) -> None:
    """A node or an edge, with an HTML-like label, quoted in one go.

    ``frame.node`` asks of every word whether it needs quotes, which doubles the time of a large picture.
    """
    quoted = [name + '="' + value.replace('"', '\\"') + '"' for name, value in attributes.items()]
    frame.body.append(f"\t{what} [{' '.join([f'label={label}'] * bool(label) + quoted)}]\n")


def classic(graph: graphviz.Digraph, diagram: Diagram, *, rankdir: str = "LR") -> None:
    """Write a diagram as micrograd draws it: a record per value, an ellipse per operation."""
    graph.attr(rankdir=rankdir)
    for card in diagram.cards:
        fields = [shorten(card.name), *(f"{row.caption} {row.text}" for row in card.rows)]
        label = " | ".join(_record(field) for field in fields)
        graph.node(card.id, f"{{ {label} }}", shape="record", tooltip=_tooltip(card.tooltip, twice=True))
        if card.op:
            graph.node(f"{card.id}op", _record(shorten(card.op)))
            graph.edge(f"{card.id}op", card.id)
    computed = {card.id for card in diagram.cards if card.op}  # which groups are not
    for ribbon in diagram.ribbons:
        graph.edge(ribbon.parent, ribbon.child + "op" * (ribbon.child in computed), tooltip=_tooltip(ribbon.tooltip))


def _record(text: str) -> str:
    """Text in a record's label, in which some characters have a meaning, and spaces after ₁ would be lost."""
    text = escape(text, quote=False).replace(" ", "\u00a0")
    return "".join(f"\\{c}" if c in "{}|<>\\" else c for c in text)


def curve_plot(curve: Curve) -> str:
    """A curve as a graph of its own, for ``neato -n2``: lines are edges with given splines."""
    graph = graphviz.Digraph()
    graph.attr(pad="0", margin="0", bgcolor="transparent", outputorder="nodesfirst")
    graph.attr("node", shape="point", width="0.01", style="invis")

    def place(point: Point) -> str:
        return f"{point[0] * PLOT[0]:.2f},{point[1] * PLOT[1]:.2f}"

    for corner in ((0.0, 0.0), (1.0, 1.0)):
        graph.node(f"corner{corner[0]:g}", pos=place(corner))
    for j, (points, color, thickness) in enumerate(strokes(curve)):
        graph.node(f"a{j}", pos=place(points[0]))
        graph.node(f"b{j}", pos=place(points[-1]))
        graph.edge(f"a{j}", f"b{j}", pos=" ".join(map(place, points)), dir="none", color=color, penwidth=f"{thickness}")
    dot = {"style": "filled", "fillcolor": point_color(curve), "color": PAPER, "width": "0.09", "fixedsize": "true"}
    graph.node("point", shape="circle", label="", pos=place(curve.point), **dot)
    return str(graph.source)


def strokes(curve: Curve) -> Iterator[tuple[tuple[Point, ...], str, float]]:
    """What is drawn of a curve, from the back: Bézier points in the unit square, colour and width."""
    zero_y, zero_x = curve.axes
    if zero_y is not None:
        yield _straight((0.0, zero_y), (1.0, zero_y)), HAIRLINE, 0.8
    if zero_x is not None:
        yield _straight((zero_x, 0.0), (zero_x, 1.0)), HAIRLINE, 0.8
    for piece in curve.pieces:
        yield piece, INK, 1.4
    if curve.tangent:
        yield _straight(*curve.tangent), RIBBON[1], 1.6


def point_color(curve: Curve) -> str:
    """Of the operating point: that of its tangent, if there is one."""
    return RIBBON[1] if curve.tangent else INK


def _straight(a: Point, b: Point) -> tuple[Point, ...]:
    def between(t: float) -> Point:
        return a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])

    return a, between(1 / 3), between(2 / 3), b


@contextlib.contextmanager
def _scope(frame: graphviz.Digraph, scope: str, framed: dict[str, str]) -> Iterator[graphviz.Digraph]:
    """A frame for each part of a scope, one within the other; one that is named again goes on."""
    with contextlib.ExitStack() as stack:
        parts = _parts(scope)
        for depth, name in enumerate(parts, start=1):
            path = ".".join(parts[:depth])
            new = path not in framed
            frame = stack.enter_context(frame.subgraph(name=framed.setdefault(path, f"cluster_{len(framed)}")))
            if new:
                label = f"<{_font(shorten(name), 11, MUTED)}>"
                frame.attr(label=label, labelloc="t", labeljust="l", margin="12", peripheries="1")
                frame.attr(style="rounded", color=HAIRLINE, penwidth="1.2", tooltip=_tooltip(f"everything in {path}"))
        yield frame


def _parts(scope: str) -> list[str]:
    """The scopes that are one within the other, of which no more are drawn than anyone can read."""
    return scope.split(".", DEEPEST - 1) if scope else []


def _common(a: str, b: str) -> str:
    """The innermost scope that both are in."""
    both = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(_parts(a), _parts(b), strict=False))
    return ".".join(part for part, _ in both)


def _ranksep(diagram: Diagram) -> str:
    """Room between the ranks, in inches: more where many ribbons meet."""
    fan_in = max(Counter(ribbon.child for ribbon in diagram.ribbons).values(), default=0)
    return f"{0.5 + 0.15 * min(20, max(0, fan_in - 3)):.2f}"


def _ribbon(
    frame: graphviz.Digraph, ribbon: Ribbon, tail: str, head: str, pill_id: str = "", *, thin: bool = False
) -> None:
    tooltip = _tooltip(ribbon.tooltip)
    ids = [{"id": f"{pill_id}_{part}"} if pill_id else {} for part in ("down", "up")]
    if ribbon.upstream is None or ribbon.downstream is None:
        line = {"color": _ink(STROKE[""], ribbon.faded), "penwidth": "1.2", "arrowsize": "0.6"}
        _write(frame, f"{tail} -> {head}", tooltip=tooltip, **ids[0], **line)
        return
    down = _stroke(ribbon.downstream, ribbon.faded, thin)
    if not ribbon.pill:
        _write(frame, f"{tail} -> {head}", dir="back", tooltip=tooltip, **ids[0], **down)
        return
    neutral = ribbon.pill == "×1" and not ribbon.asked
    dead = not (ribbon.downstream[0] or ribbon.downstream == UNKNOWN or ribbon.asked)
    ink, outline = (NUMBER[0], HAIRLINE) if neutral or dead else (INK, STROKE[""])
    size = 10 if neutral else 12
    if ribbon.asked:
        pill = _table([[_cell(_font("×", size, INK), "left"), _box(ribbon.pill.removeprefix("×"), 42)]], bare=True)[
            1:-1
        ]
    else:
        pill = _font(ribbon.pill, size, _ink(ink, ribbon.faded), bold=not neutral)
    outline = _ink(outline, ribbon.faded)
    label = _table([[pill]], border=1, cellpadding=3, style="rounded", color=outline, bgcolor="white")
    out, into = tail[-1], head[-1]  # as they leave and meet cards, they leave and meet pills
    _write(frame, pill_id, label=label, id=pill_id, tooltip=_tooltip(ribbon.tooltip, twice=True))
    # The weight keeps the last stretch straight, so that the arrow enters its card at a right angle.
    _write(frame, f"{tail} -> {pill_id}:{into}", dir="back", weight="12", tooltip=tooltip, **ids[0], **down)
    up = _stroke(ribbon.upstream, ribbon.faded)
    _write(frame, f"{pill_id}:{out} -> {head}", dir="none", tooltip=tooltip, **ids[1], **up)


def _stroke(flow: Flow, faded: bool, thin: bool = False) -> dict[str, str]:
    """Colour and width of a ribbon: the area of ink, not the width alone, follows the size."""
    sign, share = flow
    if not share:
        return {"color": _ink(RIBBON[0], faded), "penwidth": "0.5" if thin else "1.4", "style": "dashed"}
    color = _ink(RIBBON[sign], faded)
    if thin:  # so many that they would cover each other
        return {"color": color[:7] + _HALF, "penwidth": f"{0.2 + 3.8 * share**0.5:.2f}", "arrowsize": "0.3"}
    return {"color": color, "penwidth": f"{1.6 + 6.4 * share**0.5:.2f}"}


def _ink(color: str, faded: bool) -> str:
    return color + _FADED if faded else color


def _card(card: Card) -> str:
    ink, muted = _ink(INK, card.faded), _ink(MUTED, card.faded)
    # A formula that stands in for a name is longer, and smaller.
    title = [_font(shorten(card.name), 15 if len(card.name) <= 8 else 12.5, ink, bold=True)]
    # The group of all inputs is called so; it need not be said twice.
    told = "" if card.role in ("group", "") or card.name.startswith(card.role) else card.role
    if after := _room(card.name) + (f"\u00a0{told}" if told else ""):
        title.append(_font(after, 9, muted))
    beside = ["\u00a0\u00a0" + _number(row, card.faded) for row in card.rows if not row.caption]
    below = [row for row in card.rows if row.caption]
    heading = _cell(" ".join(title), "left", colspan=1 if beside else 2)
    rows = [[heading, *(_cell(number, "right") for number in beside)]]
    rows += [
        [_cell(_font(row.caption, 10, muted), "left", width=34), _cell(_number(row, card.faded), "right", width=46)]
        for row in below
    ]
    body = _cell(_table(rows, cellpadding=1, bare=True)[1:-1], "left", cellpadding=5)
    fill = PAPER if card.faded else FILL[card.role]
    border: dict[str, Any] = {
        "border": 2 if card.role == "output" else 1.3,
        "color": _ink(STROKE[card.role], card.faded),
    }
    return _table([[_op(card, ink), body]], style="rounded", bgcolor=fill, bare=True, **border)


def _number(row: Row, faded: bool) -> str:
    if row.asked:
        pieces = filter(None, re.split(f"({BLANK})", row.parts))
        terms = [_box(BLANK, 42) if piece == BLANK else _cell(_font(piece, 10.5, MUTED), "right") for piece in pieces]
        return _table([[*terms, _box(row.text, 54)]], bare=True)[1:-1]
    if row.sign is None:
        return _font(row.text, 13, _ink(INK, faded))
    parts = _font(row.parts + _room(row.parts), 10.5, _ink(MUTED, faded)) if row.parts else ""
    return parts + _font(row.text, 13, _ink(NUMBER[row.sign], faded), bold=True)


def _box(text: str, width: int) -> str:
    """A cell to write in, or with the answer."""
    text = "\u00a0" if text == BLANK else text
    frame = {"width": width, "height": 21, "border": 1, "cellpadding": 2, "color": INK, "bgcolor": PAPER}
    return _cell(_font(text, 13, INK, bold=True), "center", **frame)


def _room(text: str) -> str:
    """Spaces between a text and the next: Graphviz rounds the widths of letters, and long texts get too little."""
    return "\u00a0" * max(0, min(len(text), 40) // 10 - 1)


def _op(card: Card, ink: str) -> str:
    """The cell of the operation: its sign, or its name with its curve."""
    if not card.op:
        return ""
    sign = len(card.op) == 1
    rows = [[_cell(_font(shorten(card.op), 24 if sign else 11, ink), "center")]]
    if card.curve:
        width, height = PLOT
        rows.insert(0, [f'<td id="{plot_id(card.id)}" fixedsize="true" width="{width}" height="{height}"></td>'])
        if card.curve.tag and not card.faded:
            rows.append([_cell(_font(card.curve.tag, 9, AMBER), "center", bgcolor=AMBER_FILL, cellpadding=2)])
    content = rows[0][0] if len(rows) == 1 else _cell(_table(rows, cellpadding=1, bare=True)[1:-1], "center")
    shade = {"port": "op", "bgcolor": CELL, "width": 36, "cellpadding": 4 if sign or card.curve else 7}
    return content.replace("<td", f"<td {_attributes(shade)}", 1)


def plot_id(card_id: str) -> str:
    """What marks a card's cell for its curve."""
    return f"plot_{card_id}"


def _title(diagram: Diagram, rankdir: str) -> list[list[str]]:
    run = DIRECTIONS[rankdir][0]
    backward = any(ribbon.downstream for ribbon in diagram.ribbons)
    told = f"values were computed {run}" + (f"; gradients flow {DIRECTIONS[rankdir[::-1]][0]}" if backward else "")
    return [
        [_cell(_font(shorten(diagram.title, 120), 19, INK, bold=True), "left")],
        *([_cell(_font(note, 12.5, MUTED), "left")] for note in diagram.notes),
        [_cell(_font(told, 12.5, MUTED), "left")],
    ]


def _legend(diagram: Diagram, rankdir: str) -> str:
    """What the signs mean that occur, as a line of text: a table would be spread out over the title's width."""
    meanings = [
        _font("━━━" if solid else "– – –", 12, color, bold=solid) + _font(f"\u00a0\u00a0{text}", 11.5, MUTED)
        for color, solid, text in _strokes_that_occur(diagram)
    ]
    if any(ribbon.pill for ribbon in diagram.ribbons):
        text = f"\u00a0\u00a0local derivative: the ribbon is multiplied by k on its way {DIRECTIONS[rankdir][1]}"
        meanings.append(_font("×k", 12, INK, bold=True) + _font(text, 11.5, MUTED))
    return _font("\u00a0" * 6, 11.5, MUTED).join(meanings)


def _strokes_that_occur(diagram: Diagram) -> list[tuple[str, bool, str]]:
    """The kinds of ribbons in a diagram: colour, whether solid, meaning."""
    flows = [flow for ribbon in diagram.ribbons for flow in (ribbon.upstream, ribbon.downstream) if flow]
    flows = [flow for flow in (*flows, *(seed.flow for seed in diagram.seeds)) if flow != UNKNOWN]
    kinds = {(sign, share > 0.0) for sign, share in flows}
    meanings = {
        (1, True): "positive gradient",
        (-1, True): "negative gradient",
        (0, False): "zero: nothing flows",
        (0, True): "gradients of both signs, with sum zero, or nan",
    }
    return [(RIBBON[sign], solid, text) for (sign, solid), text in meanings.items() if (sign, solid) in kinds]


def shorten(text: str, most: int = 40) -> str:
    """A text that is too long for a picture, cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _tooltip(text: str, *, twice: bool = False) -> str:
    """A tooltip, in which Graphviz decodes entities, and replaces escapes; in those of nodes, twice."""
    escaped = graphviz.escape(shorten(text, 400).replace("&", "&amp;"))
    told: str = graphviz.escape(escaped) if twice else escaped
    return told  # as it is, not as str, which graphviz would take for HTML if it is in angle brackets


def _font(text: str, size: float, color: str, bold: bool = False) -> str:
    text = escape(text or "\u00a0").replace("\\", "\\\\")  # or Graphviz would put a node's name for \N
    return f'<font point-size="{size}" color="{color}">{f"<b>{text}</b>" if bold else text}</font>'


def _cell(content: str, align: str, **attributes: Any) -> str:
    return f"<td {_attributes({'align': align, **attributes})}>{content}</td>"


def _attributes(named: Mapping[str, Any]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in named.items())


def _table(
    rows: list[list[str]], *, bare: bool = False, border: float = 0, cellpadding: int = 0, **attributes: Any
) -> str:
    """An HTML-like label; ``bare`` rows are made of cells already."""
    given = _attributes({"border": border, "cellborder": 0, "cellspacing": 0, "cellpadding": cellpadding, **attributes})
    body = "".join(f"<tr>{''.join(row if bare else [f'<td>{cell}</td>' for cell in row])}</tr>" for row in rows)
    return f"<<table {given}>{body}</table>>"


def network(graph: graphviz.Digraph, drawn: Network) -> None:
    """Write a network into an empty graph, for ``neato``; everything has its place, so that nothing is laid out."""
    graph.attr(bgcolor="white", tooltip=_tooltip(drawn.title), outputorder="edgesfirst", pad="0", splines="line")
    graph.attr("node", fontname="Arial", fontcolor=INK, label="", fixedsize="shape")
    graph.attr("edge", dir="none", headclip="false", tailclip="false")
    for corner, (x, y) in enumerate([(0.0, 0.0), (drawn.width, HEIGHT)]):
        graph.node(f"corner{corner}", shape="point", style="invis", width="0.01", pos=_at(x, y))
    _bars(graph, drawn)
    for unit in drawn.units:
        _unit(graph, unit, drawn.radius)
        x, y = unit.place
        if x == drawn.layers[0].x:
            room = x - drawn.radius - 10.0 - EDGE
            name = _font(shorten(unit.name, LONGEST), min(13.0, 9.0 + drawn.radius / 5), INK, bold=True)
            _text(graph, f"{unit.id}_name", (EDGE + room / 2, y), name, "right", room)
    for j, layer in enumerate(drawn.layers):
        _heading(graph, f"layer{j}", layer)
    size = 25 if len(drawn.title) <= 53 else 19 if len(drawn.title) <= 68 else 14.5
    width = drawn.width - 2 * EDGE
    rows = [
        [_cell(_font(shorten(drawn.title, 90), size, INK, bold=True), "left", width=width)],
        [_cell(_font(" · ".join(drawn.notes), 12, MUTED), "left")],
    ]
    _text(graph, "title", (drawn.width / 2, HEIGHT - 36.0), _table(rows, cellpadding=1, bare=True)[1:-1])
    _text(graph, "legend", (drawn.width / 2, 20.0), _key(drawn))
    for link in drawn.connections:
        line = _weight(link.grad, 1.2 + 0.12 * drawn.radius)
        told = _tooltip(link.tooltip)
        graph.edge(link.source, link.target, id=f"{link.source}-{link.target}", tooltip=told, **line)


def _at(x: float, y: float) -> str:
    """A fixed place, in inches."""
    return f"{x / 72:.4f},{y / 72:.4f}!"


def _block(graph: graphviz.Digraph, name: str, place: Point, size: Point, color: str, tooltip: str = "") -> None:
    width, height = (f"{side / 72:.4f}" for side in size)
    told = {"tooltip": _tooltip(tooltip, twice=True)} if tooltip else {}
    shape = {"shape": "box", "style": "filled", "penwidth": "0", "width": width, "height": height}
    graph.node(name, id=name, color=color, pos=_at(*place), **shape, **told)


def _text(graph: graphviz.Digraph, name: str, place: Point, text: str, align: str = "", width: float = 0) -> None:
    """Text around a place; with an alignment, in a cell of a given width."""
    if align:
        text = _table([[_cell(text, align, width=f"{width:g}")]], bare=True)[1:-1]
    elif not text.startswith("<table"):
        text = _table([[text]])[1:-1]
    graph.node(name, f"<{text}>", id=name, shape="plain", fixedsize="false", pos=_at(*place))


def _weight(grad: Flow | None, widest: float) -> dict[str, str]:
    if grad is None or not grad[1]:
        return {"color": STROKE[""] + "90", "penwidth": "0.4"}
    sign, share = grad
    return {"color": f"{RIBBON[sign]}{int(70 + 170 * share):02X}", "penwidth": f"{0.4 + widest * share**3:.2f}"}


def _unit(graph: graphviz.Digraph, unit: Unit, radius: float) -> None:
    """A circle: its fill is the activation, its ring the gradient."""
    level = 0 if not unit.shade else max(1, round(unit.shade * (len(SHADES) - 1)))
    ring = {"color": STROKE[""], "penwidth": "1"}
    if unit.grad:
        sign, share = unit.grad
        ring = {"color": RIBBON[sign], "penwidth": f"{1 + share * min(5.0, 0.4 * radius):.2f}"}
    ink = PAPER if level >= 4 else INK
    x = unit.activation
    label = "−" if x is not None and x < 0.0 else ""
    if x is not None and radius >= 16:
        label = number(x) if abs(x) >= 0.1 else f"{x:.2f}".replace("-", "−")
    size = min(max(10.0, 0.45 * radius), 2.9 * radius / max(1, len(label)))
    written = f"<{_font(label, size, ink, bold=True)}>" if label else ""
    side = f"{2 * radius / 72:.4f}"
    fill = {"style": "filled", "fillcolor": SHADES[level], "width": side, "height": side}
    told = _tooltip(unit.tooltip, twice=True)
    graph.node(unit.id, written, id=unit.id, shape="circle", pos=_at(*unit.place), tooltip=told, **fill, **ring)
    if unit.state:
        x, y = unit.place
        side = f"{max(8.0, 0.55 * radius) / 72:.4f}"
        dot = {"fillcolor": _DOT[unit.state], "color": _DOT["dead"], "penwidth": "1.2", "width": side, "height": side}
        place = _at(x + 0.8 * radius, y + 0.8 * radius)
        graph.node(f"{unit.id}_dot", shape="circle", style="filled", pos=place, tooltip=told, **dot)


_DOT = {"dead": STROKE["parameter"], "saturated": AMBER_FILL}


def _heading(graph: graphviz.Digraph, name: str, layer: Layer) -> None:
    """A column's name and size, and how many of its units have a problem."""
    y = UNITS[1]
    _text(graph, name, (layer.x, y + 39.0), _font(shorten(layer.name, 10), 16, INK, bold=True))
    _text(graph, f"{name}_size", (layer.x, y + 21.0), _font(f"{layer.size:,}", 13, MUTED))
    for state, count in (("dead", layer.dead), ("saturated", layer.saturated)):
        if count:
            tag = _table([[_font(f"{count:,} {state}", 10, AMBER)]], cellpadding=2, bgcolor=AMBER_FILL)
            _text(graph, f"{name}_{state}", (layer.x, y + 3.0), tag[1:-1])
            y -= TAG
    if layer.hidden:
        _text(graph, f"{name}_gap", layer.gap, _font(f"⋮ {layer.hidden:,} more", 10, MUTED))


def _bars(graph: graphviz.Digraph, drawn: Network) -> None:
    """For each layer, the mean size of its gradients, on lines that are a factor of 10 apart."""
    means = [(j, layer, layer.mean) for j, layer in enumerate(drawn.layers) if layer.mean is not None]
    if not means:
        return
    (low, high), (bottom, top) = drawn.decades, BARS
    step, left, right = -(-(high - low) // 6), EDGE + 44.0, drawn.width - EDGE
    for power in range(low, high + 1, step):
        y = bottom + (top - bottom) * (power - low) / (high - low)
        _block(graph, f"line{power - low}", ((left + right) / 2, y), (right - left, 0.75), HAIRLINE)
        tick = _font(f"1e{power}".replace("-", "−"), 10, MUTED)
        _text(graph, f"power{power - low}", (EDGE + 19.0, y), tick, "right", 38)
    told = f"mean |∂{shorten(drawn.loss, 20)}/∂w| per layer: from line to line, a factor of {10**step:,}"
    _text(graph, "caption", (drawn.width / 2, top + 29.0), _font(told, 13, MUTED), "left", drawn.width - 2 * EDGE)
    for j, layer, mean in means:
        share = (math.log10(mean) - low) / (high - low) if mean and math.isfinite(mean) else 0.0
        height = share * (top - bottom)
        said = f"The mean size of the gradients of layer {layer.name} is {number(mean)}."
        if height:
            _block(graph, f"bar{j}", (layer.x, bottom + height / 2), (30.0, height), RIBBON[0], said)
        written = _font(number(mean) if mean else "0", 13, INK, bold=True)
        _text(graph, f"mean{j}", (layer.x, bottom + height + 9.5), written)


def _key(drawn: Network) -> str:
    """What the marks mean that occur."""

    def swatch(*colors: str, width: int = 26, **attributes: Any) -> str:
        size = {"fixedsize": "true", "width": width, "height": 9, **attributes}
        return _table([[f"<td {_attributes({**size, 'bgcolor': color})}></td>" for color in colors]], bare=True)[1:-1]

    row = []
    if any(unit.activation is not None for unit in drawn.units):
        minus = ", − is negative" if any((unit.activation or 0.0) < 0.0 for unit in drawn.units) else ""
        row += [swatch(*SHADES[1:], width=10), f"mean activation{minus}"]
    flows = [*(unit.grad for unit in drawn.units), *(link.grad for link in drawn.connections)]
    signs = {flow[0] for flow in flows if flow}
    for sign, told in ((1, "positive gradient"), (-1, "negative gradient")):
        row += [swatch(RIBBON[sign]), told] if sign in signs else []
    row += [f"wider is larger, down to 1/{10**DECADES:,.0f}"] if signs - {0} else []
    for state in ("dead", "saturated"):
        if any(unit.state == state for unit in drawn.units):
            row += [swatch(_DOT[state], width=9, border=1, color=_DOT["dead"]), state]
    space = '<td width="12"></td>'
    cells = [f"<td>{x}</td>" if x[0] == "<" else _cell(_font(x, 11.5, MUTED), "left") + space for x in row]
    return _table([cells or [_cell("\u00a0", "left")]], cellpadding=3, bare=True)[1:-1]
