"""A diagram as Graphviz draws it; the only place that writes DOT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from html import escape
from pathlib import Path
from typing import Any

import graphviz

from autograd import Graph, Value, files
from viz.diagram import Card, Diagram, Ribbon, gradient_flow
from viz.palette import FILL, HAIRLINE, INK, MUTED, NUMBER, RIBBON, STROKE

FORMATS = ("svg", "png", "pdf", "dot")


class Picture(graphviz.Digraph):  # type: ignore[misc]  # graphviz has no types
    """A ``graphviz.Digraph`` that is laid out by the system's ``dot``, or else by pygraphviz."""

    def pipe(self, format: str | None = None, *args: Any, encoding: str | None = None, **options: Any) -> Any:
        """The picture in a format such as ``svg`` or ``png``, as bytes, or as text in an encoding.

        Raises:
            RuntimeError: if neither ``dot`` nor pygraphviz is installed.
        """
        try:
            return super().pipe(format, *args, encoding=encoding, **options)
        except (graphviz.ExecutableNotFound, PermissionError):
            try:
                import pygraphviz
            except ImportError:
                raise RuntimeError(
                    "drawing needs Graphviz: install its 'dot' program, or run: pip install 'gradgraph[embedded]'"
                ) from None
            drawn: bytes = pygraphviz.AGraph(string=self.source).draw(format=format or self.format, prog="dot")
            return drawn.decode(encoding) if encoding else drawn

    def render(self, filename: str | None = None, *args: Any, format: str | None = None, **options: Any) -> str:
        """Draw to ``filename`` with the format as a further suffix, as graphviz does; see also :func:`save`."""
        try:
            return str(super().render(filename, *args, format=format, **options))
        except (graphviz.ExecutableNotFound, PermissionError):
            path = Path(f"{filename or self.filename}.{format or self.format}")
            files.replace(path, self.pipe(format or self.format))
            return str(path)


def draw(value: Value | Graph, *, parameters: Collection[Value] = ()) -> Picture:
    """The picture on which the chain rule can be read off: values left to right, gradients right to left.

    A *card* per value; a *ribbon* per operand, whose colour is the sign of the gradient that flows
    and whose width its size; on it a *pill* ×k, the local partial, by which the ribbon is multiplied
    on its way left. A value used more than once shows the sum.

    Args:
        value: what to draw, up to 40 values.
        parameters: the leaves to show as parameters; those of a network are anyway.

    Returns:
        A ``graphviz.Digraph`` that displays itself in a notebook; its ``source`` is DOT.

    Raises:
        ValueError: if there are more than 40 values.

    >>> x = Value(3.0, label="x")
    >>> draw(x * x).source.count("×")
    1
    """
    graph = value if isinstance(value, Graph) else Graph(value)
    return _picture(gradient_flow(graph, parameters))


draw_dot = draw  # the name that micrograd's users know


def save(value: Value | Graph, path: str | Path, *, parameters: Collection[Value] = ()) -> Path:
    """Draw to a file, in the format that its suffix names: svg, png, pdf or dot.

    The file is replaced only when the picture is complete.

    Raises:
        ValueError: if the suffix is another, or the graph is too large.
        RuntimeError: if Graphviz is not installed.
    """
    path = Path(path)
    format = path.suffix.removeprefix(".").lower()
    if format not in FORMATS:
        raise ValueError(f"cannot draw to {path.name!r}: the suffix must be one of {', '.join(FORMATS)}")
    picture = draw(value, parameters=parameters)
    files.replace(path, picture.source.encode() if format == "dot" else picture.pipe(format))
    return path


def _picture(diagram: Diagram) -> Picture:
    picture = Picture("gradient_flow")
    picture.attr(rankdir="LR", nodesep="0.25", ranksep=_ranksep(diagram), pad="0.4", splines="true", ordering="in")
    picture.attr(outputorder="edgesfirst", bgcolor="white", fontname="Arial", tooltip=graphviz.escape(diagram.title))
    picture.attr("node", shape="plain", fontname="Arial", fontcolor=INK)
    picture.attr("edge", fontname="Arial", arrowsize="0.55")
    picture.attr(label=_title(diagram), labelloc="t", labeljust="l")
    # A frame without a line carries the legend.  In it, Graphviz draws what is declared first at
    # the bottom, so everything is declared from the output back: operands then run top to bottom.
    with picture.subgraph(name="cluster_all") as frame:
        frame.attr(peripheries="0", margin="14", labelloc="b", labeljust="l")
        frame.attr(label=_legend() if diagram.seeds else "")
        for card in reversed(diagram.cards):
            frame.node(card.id, _card(card), tooltip=_twice_escaped(card.tooltip))
        ports = {card.id: f"{card.id}:op:w" if card.op else f"{card.id}:w" for card in diagram.cards}
        for j, ribbon in reversed(list(enumerate(diagram.ribbons))):
            _ribbon(frame, f"e{j}", ribbon, ports[ribbon.child])
        for seed in diagram.seeds:
            text = _font(seed.text, 12, MUTED) + _font(seed.value, 13, NUMBER[seed.flow[0]], bold=True)
            frame.node(f"seed_{seed.output}", _table([[text]], cellpadding=4))
            frame.edge(f"{seed.output}:e", f"seed_{seed.output}:w", dir="back", **_stroke(seed.flow))
    return picture


def _ranksep(diagram: Diagram) -> str:
    """Room between the ranks, in inches: more where many ribbons meet."""
    fan_in = max(Counter(ribbon.child for ribbon in diagram.ribbons).values(), default=0)
    return f"{0.5 + 0.15 * max(0, fan_in - 3):.2f}"


def _ribbon(frame: graphviz.Digraph, pill_id: str, ribbon: Ribbon, port: str) -> None:
    tooltip = graphviz.escape(ribbon.tooltip)
    if not ribbon.pill:
        line = {"color": STROKE[""], "penwidth": "1.2", "arrowsize": "0.6"}
        frame.edge(f"{ribbon.parent}:e", port, tooltip=tooltip, **line)
        return
    neutral, dead = ribbon.pill == "×1", not ribbon.downstream[0]
    ink, outline = (NUMBER[0], HAIRLINE) if neutral or dead else (INK, STROKE[""])
    pill = [[_font(ribbon.pill, 10 if neutral else 12, ink, bold=not neutral)]]
    label = _table(pill, border=1, cellpadding=3, style="rounded", color=outline, bgcolor="white")
    frame.node(pill_id, label, tooltip=_twice_escaped(ribbon.tooltip))
    # The weight keeps the last stretch straight, so that the arrow enters its card horizontally.
    arrow = {"dir": "back", "weight": "12", **_stroke(ribbon.downstream)}
    frame.edge(f"{ribbon.parent}:e", f"{pill_id}:w", tooltip=tooltip, **arrow)
    frame.edge(f"{pill_id}:e", port, dir="none", tooltip=tooltip, **_stroke(ribbon.upstream))


def _twice_escaped(tooltip: str) -> str:
    """A node's tooltip, in which Graphviz replaces escapes twice."""
    return str(graphviz.escape(graphviz.escape(tooltip)))


def _stroke(flow: tuple[int, float]) -> dict[str, str]:
    """Colour and width of a ribbon: the area of ink, not the width alone, follows the size."""
    sign, share = flow
    if not sign:
        return {"color": RIBBON[0], "penwidth": "1.4", "style": "dashed"}
    return {"color": RIBBON[sign], "penwidth": f"{1.6 + 6.4 * share**0.5:.2f}"}


def _card(card: Card) -> str:
    name = _font(card.name, 15, INK, bold=True)
    role = _font(f"\u00a0{card.role}", 9, MUTED) if card.role else ""
    rows = [[f'<td align="left" colspan="2">{name}{" " + role if role else ""}</td>']]
    rows.append([_cell(_font("data", 10, MUTED), "left", 34), _cell(_font(card.data, 13, INK), "right", 46)])
    if card.grad:
        grad = _font(card.grad, 13, NUMBER[card.sign], bold=True)
        parts = _font(card.parts, 10.5, MUTED) if card.parts else ""
        rows.append([_cell(_font("grad", 10, MUTED), "left", 34), _cell(parts + grad, "right", 46)])
    body = f'<td align="left" cellpadding="5">{_table(rows, cellpadding=1, bare=True)[1:-1]}</td>'
    op = ""
    if card.op:
        size = 24 if len(card.op) == 1 else 11
        room = 4 if len(card.op) == 1 else 7
        shade = f'bgcolor="#F3F5F8" width="36" cellpadding="{room}"'
        op = f'<td port="op" align="center" {shade}>{_font(card.op, size, INK)}</td>'
    border = 2 if card.role == "output" else 1.3
    return _table(
        [[op + body]], border=border, style="rounded", color=STROKE[card.role], bgcolor=FILL[card.role], bare=True
    )


def _title(diagram: Diagram) -> str:
    rows = [
        [_cell(_font(diagram.title, 19, INK, bold=True), "left")],
        [_cell(_font(diagram.subtitle, 12.5, MUTED), "left")],
    ]
    return _table(rows, cellpadding=2, bare=True)


def _legend() -> str:
    def swatch(color: str) -> str:
        bar = f'<td fixedsize="true" width="34" height="7" bgcolor="{color}"></td>'
        return f"<td>{_table([[bar]], bare=True)[1:-1]}</td>"

    def told(text: str) -> str:
        return _cell(_font(text, 11.5, MUTED), "left") + '<td width="14"></td>'

    dashes = f"<td>{_font('– – –', 13, RIBBON[0])}</td>"
    pill = _table(
        [[_font("×k", 11, INK, bold=True)]], border=1, cellpadding=3, style="rounded", color=STROKE[""], bgcolor="white"
    )
    row = [
        *(swatch(RIBBON[1]), told("positive gradient"), swatch(RIBBON[-1]), told("negative gradient")),
        *(dashes, told("zero: nothing flows")),
        *(f"<td>{pill[1:-1]}</td>", told("local derivative: the ribbon is multiplied by k on its way left")),
    ]
    return _table([row], cellpadding=4, bare=True)


def _font(text: str, size: float, color: str, bold: bool = False) -> str:
    text = escape(text).replace("\\", "\\\\")  # or Graphviz would put a node's name for \N
    return f'<font point-size="{size}" color="{color}">{f"<b>{text}</b>" if bold else text}</font>'


def _cell(content: str, align: str, width: int = 0) -> str:
    return f'<td align="{align}"{f" width={chr(34)}{width}{chr(34)}" if width else ""}>{content}</td>'


def _table(
    rows: list[list[str]], *, bare: bool = False, border: float = 0, cellpadding: int = 0, **attributes: str
) -> str:
    """An HTML-like label; ``bare`` rows are made of cells already."""
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    body = "".join(f"<tr>{''.join(row if bare else [f'<td>{cell}</td>' for cell in row])}</tr>" for row in rows)
    return f'<<table border="{border}" cellborder="0" cellspacing="0" cellpadding="{cellpadding}"{more}>{body}</table>>'
