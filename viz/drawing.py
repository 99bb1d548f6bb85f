"""What to draw of a graph, and how: the way in to all pictures of values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from autograd import Graph, Value
from autograd.operations import printable
from viz import dot
from viz.collapse import LEVELS, collapsed
from viz.diagram import Diagram
from viz.flow import PARTS, around, gradient_flow
from viz.network import described, of
from viz.neurons import of_graph, of_parameters
from viz.picture import Picture
from viz.text import graph_of, pretty
from viz.tree import tree

#: Up to so many values a picture has full cards; up to so many, small ones; and at the very most.
FULL, COMPACT, MOST = 40, 150, 1500

Part = Literal["data", "grads", "partials", "formulas", "curves"]


class Options(TypedDict, total=False):
    """How a picture is drawn; see :func:`draw`."""

    parameters: Collection[Value]
    detail: Literal["full", "compact", "neurons", "layers"]
    hide: Part | Collection[Part]
    highlight: Value
    focus: Value
    radius: int
    rankdir: Literal["LR", "RL", "TB", "BT"]
    style: Literal["cards", "classic"]
    title: str


def draw(value: Value | Graph, **options: Unpack[Options]) -> Picture:
    """The picture on which the chain rule can be read off: values left to right, gradients right to left.

    A *card* per value; a *ribbon* per operand, whose colour is the sign of the gradient that flows
    and whose width its size; on it a *pill* ×k, the local partial, by which the ribbon is multiplied
    on its way left. A value used more than once shows the sum. A function of one variable shows its
    curve, the point where it was applied, and the tangent, whose slope is the pill; an amber tag says
    where it is flat. Before a backward pass, only the forward half is drawn.

    Up to 40 values are drawn in full, and up to 150 as small cards; of more, a card per name scope:
    per neuron, or per layer.

    Args:
        value: what to draw.
        parameters: the leaves to show as parameters; those of a network are anyway.
        detail: "full", "compact", "neurons" or "layers", whatever the size.
        hide: what to leave out: any of "data", "grads", "partials", "formulas" and "curves".
        highlight: a value; what does not depend on it stands back, so that the paths to it stand out.
        focus: a value; only what is at most ``radius`` operands away from it is drawn.
        radius: 2, if left out.
        rankdir: "LR", "RL", "TB" or "BT": where the values run.
        style: "cards", or "classic" for the records that micrograd draws.
        title: what the picture is called.

    Returns:
        A ``graphviz.Digraph`` that displays itself in a notebook; its ``source`` is DOT.

    Raises:
        TypeError: if an option is of another kind.
        ValueError: if an option is unknown, or the graph is too large; it says what to ask for instead.

    >>> x = Value(3.0, label="x")
    >>> draw(x * x)
    <Picture: How x · x is computed>
    """
    graph = graph_of(value, "draw")
    rankdir, style = options.get("rankdir", "LR"), options.get("style", "cards")
    for name, (kind, what) in _KINDS.items():
        if options.get(name) is not None and not isinstance(options.get(name), kind):
            raise TypeError(f"{name} must be {what}, not {options.get(name)!r}")
    for name, given, known in (
        ("rankdir", rankdir, dot.DIRECTIONS),
        ("style", style, ("cards", "classic")),
        ("detail", options.get("detail"), (None, "full", "compact", *LEVELS)),
        *(("hide", part, PARTS) for part in _hidden(options)),
        *(("option", option, Options.__annotations__) for option in options),
    ):
        if given not in tuple(known):
            raise ValueError(f"{name} {given!r} is not one of {', '.join(repr(x) for x in known if x)}")
    for node in options.get("parameters", ()):
        if not isinstance(node, Value):
            raise TypeError(f"parameters must be Values, not {node!r}")
    diagram = _diagram(graph, options)
    if "radius" in options and "focus" not in options:
        raise ValueError("radius says how much is shown around a focus: give focus=value, too")
    picture = Picture("gradient_flow")
    picture.title = diagram.title
    picture.description = ". ".join(dot.shorten(card.tooltip, 400) for card in diagram.cards[:200])
    picture.text = str(tree(graph, width=100, color=False))
    grouped = any(card.role == "group" for card in diagram.cards)
    write = dot.classic if style == "classic" else dot.groups if grouped else dot.gradient_flow
    write(picture, diagram, rankdir=rankdir)
    if write is dot.gradient_flow:
        picture.curves = {card.id: card.curve for card in diagram.cards if card.curve}
    return picture


def draw_dot(value: Value | Graph, format: str = "svg", **options: Unpack[Options]) -> Picture:
    """:func:`draw` by the name, and with the format, that micrograd's users know: ``draw_dot(o).render("gout")``.

    >>> x = Value(3.0, label="x")
    >>> draw_dot(x * x, format="png").format
    'png'
    """
    picture = draw(value, **options)
    picture.format = format
    return picture


def save(value: Value | Graph, path: str | Path, **options: Unpack[Options]) -> Path:
    """Draw to a file, in the format that its suffix names: svg, png, pdf or dot.

    The file is replaced only when the picture is complete.

    Args:
        value: what to draw.
        path: the file.
        options: of :func:`draw`.

    Raises:
        ValueError: if the suffix or an option is another, or the graph is too large.
        RuntimeError: if Graphviz is not installed, fails, or takes too long.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Value(3.0) ** 2, f"{folder}/square.svg").name
    'square.svg'
    """
    return draw(value, **options).save(path)


_LIST = (Collection, "a collection")
_KINDS: dict[str, tuple[type, str]] = {"parameters": _LIST, "hide": _LIST, "radius": (int, "a whole number")}
_KINDS |= {"highlight": (Value, "a Value"), "focus": (Value, "a Value"), "title": (str, "a text")}


def _hidden(options: Options) -> tuple[str, ...]:
    hide = options.get("hide") or ()
    return (hide,) if isinstance(hide, str) else tuple(hide)


def _diagram(graph: Graph, options: Options) -> Diagram:
    """The view of a graph that suits its size, or that was asked for."""
    focus, highlight = options.get("focus"), options.get("highlight")
    radius = 2 if options.get("radius") is None else options["radius"]
    if radius < 0:
        raise ValueError(f"radius must be 0 or more, not {radius}")
    within = around(graph, focus, radius) if focus is not None else None
    if highlight is not None and highlight not in graph:
        raise ValueError(f"{highlight!r} is not part of the picture's graph")
    count = len(graph) if within is None else len(within)
    detail = options.get("detail") or ("full" if count <= FULL else "compact" if count <= COMPACT else "")
    if detail in ("full", "compact"):
        if count > MOST:
            raise ValueError(f"{count:,} values are too many for a picture, which shows up to {MOST:,}: {_CURE}")
        shown: dict[str, Any] = {"parameters": options.get("parameters") or (), "hide": _hidden(options)}
        diagram = gradient_flow(graph, **shown, highlight=highlight, within=within, compact=detail == "compact")
    elif within is not None and not detail:
        raise ValueError(f"{count:,} values are around the focus, too many for a picture: ask for a smaller radius")
    elif within is not None or highlight is not None:
        name = "highlight" if within is None else "focus"
        raise ValueError(f"{name} needs a card per value, and {count:,} values are drawn as groups: see detail=")
    else:
        diagram = _collapsed(graph, [detail] if detail else [*LEVELS], _hidden(options))
    return diagram if options.get("title") is None else replace(diagram, title=printable(options["title"]))


_CURE = "ask for focus=value, for the output of a part, or give the parts a name_scope, each of which becomes a card"


def _collapsed(graph: Graph, levels: list[str], hide: Collection[str]) -> Diagram:
    reasons = []
    for level in levels:
        try:
            return collapsed(graph, level, COMPACT, hide)
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError(
        f"{len(graph):,} values are too many for a card each, and {' and '.join(dict.fromkeys(reasons))}: {_CURE}"
    )


def network(value: Any, *, most: int = 200, title: str | None = None) -> Picture:
    """The picture of a network: its layers from left to right, a circle per unit, a ribbon per weight.

    Grey is forward, colour is backward. The fill of a unit is its mean activation over the examples,
    as a share of the largest in its layer; a minus marks a negative one. The ring is the gradient of
    its output, and a ribbon that of a weight: colour is the sign, and width the size, on a log scale of
    four powers of 10 below the largest. Below, each layer has a bar for the mean size of its
    parameters' gradients, so that a gradient that fades or explodes is seen. Amber dots mark units that
    are dead (the slope of their activation is 0 for all examples) or saturated (below 0.05).

    Of a layer with more than 16 units, the first 8 and the last 7 are drawn.

    Args:
        value: a value computed by networks of ``nn``, such as a loss over some examples, or its Graph;
            or a network, of which the weights and their gradients are drawn. Before a backward pass,
            there is the forward half only.
        most: how many of the weights' gradients to draw as ribbons, the largest first; as many again
            are drawn as hairlines.
        title: what the picture is called; what the gradients say, if left out.

    Returns:
        A picture that displays itself in a notebook; ``save`` draws it to a file.

    Raises:
        ValueError: if there is no network, or its names are ambiguous.

    >>> from autograd import name_scope
    >>> with name_scope("n[0]"):
    ...     x, w = Value(0.5, label="x1"), Value(2.0, label="n[0].w[0]")
    ...     y = (w * x).tanh()
    >>> y.label = "n[0]"
    >>> y.backward()
    >>> network(y)
    <Picture: The gradient of n[0] reaches every layer>
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise ValueError(f"most must be a whole number, not {most!r}")
    loss = ""
    if isinstance(value, (Value, Graph)):
        graph = value if isinstance(value, Graph) else Graph(value)
        columns, links = of_graph(graph)
        loss = pretty(graph.roots[0].label) if len(graph.roots) == 1 else ""
    elif hasattr(value, "named_parameters"):
        columns, links = of_parameters(parameter for _, parameter in value.named_parameters())
    else:
        raise TypeError(f"network needs a Value, a Graph or a network, not {type(value).__name__} {value!r}")
    drawn = of(columns, links, loss or "loss", most, title)
    picture = Picture("network", engine="neato")
    picture.title, picture.text = drawn.title, described(drawn)
    picture.description = picture.text.replace("\n", ". ")
    dot.network(picture, drawn)
    return picture
