"""Exercises on paper: the picture of a graph with boxes to fill in, and beside it the key."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from autograd import Constant, Graph, Value, files
from viz import dot
from viz.diagram import Card, Diagram, Row
from viz.drawing import FULL
from viz.flow import gradient_flow
from viz.picture import Picture, format_of

#: A number of a diagram: the id of a card with the caption of a row, or ``e`` with the place of a ribbon with "pill".
Place = tuple[str, str]

#: What the exercises ask in turn, and the captions of what may be asked.
KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Fill in the gradients, from right to left.", ("grad",)),
    ("Fill in the local derivatives (×k), then the gradients, from right to left.", ("pill", "grad")),
    ("Fill in the values, from left to right.", ("data",)),
    (
        "Fill in what is missing: values from left to right, then gradients from right to left.",
        ("data", "pill", "grad"),
    ),
)
#: What leaves are given: easy to reckon with, and never 0, which would hide what a slope is.
NUMBERS = tuple(half / 2.0 for half in range(-6, 7) if half)
#: So often numbers are drawn, until some suit the graph; at first only such that no result is smaller than
#: ``LEAST``, unless it is 0: two decimals would not tell it, nor the slope of tanh where it is almost flat.
TRIES, LEAST = 300, 0.1


def worksheet(value: Value, path: str | Path, *, seed: int = 0, count: int = 1) -> list[Path]:
    """Write exercises with a graph: its picture with boxes instead of some numbers, and a key to each.

    On a page there is room to write for some fifteen values; more need a larger sheet, or a screen.

    Every exercise has small numbers of its own at the leaves, the constants aside; where none are
    found that suit the operations, the graph's own. What is asked changes in turn: the gradients; the
    local derivatives and the gradients; the values; a random half of all three. The same seed gives
    the same exercises. The graph is left as it is.

    Args:
        value: the output of the graph.
        path: the file; ``sheet.pdf`` is written with ``sheet-key.pdf`` beside it, and of several
            exercises the first is ``sheet-1.pdf``, with ``sheet-1-key.pdf``. The format is the suffix:
            svg, png, pdf or dot.
        seed: which exercises.
        count: how many.

    Returns:
        The files, each sheet followed by its key.

    Raises:
        TypeError: if ``value`` is not a Value.
        ValueError: if the suffix is another, the count is less than 1, or the graph has more than 40
            values or nothing to ask.
        FileNotFoundError: if the folder does not exist.
        RuntimeError: if Graphviz is not installed, fails, or takes too long. Then no file is written.

    >>> import tempfile
    >>> a, b = Value(2.0, label="a"), Value(3.0, label="b")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(*(path.name for path in worksheet(a * b + a, Path(folder, "sheet.dot"), seed=7, count=2)))
    sheet-1.dot sheet-1-key.dot sheet-2.dot sheet-2-key.dot
    """
    path = Path(path)
    format = format_of(path)
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"count must be a whole number of exercises, 1 or more, not {count!r}")
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.resolve().parent)!r} to write {path.name!r} in")
    drawn: dict[Path, bytes] = {}
    for number, pair in enumerate(exercises(value, seed, count), start=1):
        stem = path.stem if count == 1 else f"{path.stem}-{number}"
        for name, diagram in zip((stem, f"{stem}-key"), pair, strict=True):
            picture = _picture(diagram)
            content = picture.source.encode() if format == "dot" else picture.pipe(format)
            drawn[path.with_name(name + path.suffix)] = content
    for file, content in drawn.items():
        files.replace(file, content)
    return [*drawn]


def exercises(value: Value, seed: int, count: int) -> Iterator[tuple[Diagram, Diagram]]:
    """Sheets and keys as diagrams; see :func:`worksheet`."""
    if not isinstance(value, Value):
        raise TypeError(f"worksheet needs a Value, not {type(value).__name__} {value!r}")
    if value.op is None or isinstance(value, Constant):
        raise ValueError(f"there is nothing to ask about {value!r}: give a Value that is computed from others")
    if (size := len(Graph(value))) > FULL:
        raise ValueError(
            f"{size:,} values are too many for a worksheet, which has room for {FULL}: "
            "give the output of a part, such as one neuron, or make a smaller graph"
        )
    seen: list[dict[int, float]] = []
    for number in range(1, count + 1):
        # A generator's random() is the same in every version of Python; choice, sample and shuffle need not be.
        rng = random.Random(f"{seed}/{number}")
        graph = _renumbered(value, rng, seen)
        told, captions = KINDS[(number - 1) % len(KINDS)]
        diagram = gradient_flow(graph, hide=("grads",) if captions == ("data",) else ())
        places = askable(diagram, captions)
        if len(captions) == 3:
            places = sorted(places, key=lambda _: rng.random())[: (len(places) + 1) // 2]
        blank = replace(diagram, title=f"Exercise {number}", notes=(f"{told} Two decimals are enough.", *diagram.notes))
        notes = (f"{told} The answers are framed; a last digit may differ.", *diagram.notes)
        yield sheet(blank, places), key(replace(diagram, title=f"Key to exercise {number}", notes=notes), places)


def askable(diagram: Diagram, captions: Collection[str]) -> list[Place]:
    """The numbers that follow from those at the leaves: every value, local derivative and gradient but the first."""
    leaves, outputs = {card.id for card in diagram.cards if not card.op}, {seed.output for seed in diagram.seeds}
    given = {(id, "data") for id in leaves} | {(id, "grad") for id in outputs}
    rows = [(card.id, row.caption) for card in diagram.cards for row in card.rows]
    pills = [(f"e{j}", "pill") for j, ribbon in enumerate(diagram.ribbons) if ribbon.pill]
    return [place for place in rows + pills if place[1] in captions and place not in given]


def key(diagram: Diagram, asked: Collection[Place]) -> Diagram:
    """The diagram with a frame around each number that is asked.

    Args:
        diagram: the picture, complete.
        asked: the places of the numbers; see :func:`askable`.
    """
    cards = [
        replace(card, rows=tuple(replace(row, asked=(card.id, row.caption) in asked) for row in card.rows))
        for card in diagram.cards
    ]
    ribbons = [replace(ribbon, asked=(f"e{j}", "pill") in asked) for j, ribbon in enumerate(diagram.ribbons)]
    return replace(diagram, cards=tuple(cards), ribbons=tuple(ribbons))


def sheet(diagram: Diagram, asked: Collection[Place]) -> Diagram:
    """The diagram with a box for each number that is asked, and nothing else that tells it.

    Ribbons show no flow, gradients no sign, and tooltips only what is given. A curve with its tangent
    shows a value and a slope, so curves are drawn only where neither is asked anywhere.

    Args:
        diagram: the picture, complete.
        asked: the places of the numbers; see :func:`askable`.
    """
    curves = not {"data", "pill"} & {caption for _, caption in asked}
    names = {card.id: card.name for card in diagram.cards}

    def blank(card: Card) -> Card:
        rows = tuple(_blank(row) if (card.id, row.caption) in asked else _plain(row) for row in card.rows)
        given = ", ".join(f"{row.caption} {row.text}" for row in rows if not row.asked)
        told = f"{card.name}: {given}" if given else card.name
        return replace(card, rows=rows, tooltip=told, curve=card.curve if curves else None)

    ribbons = [
        replace(
            ribbon,
            pill=dot.BLANK if (open := (f"e{j}", "pill") in asked) else ribbon.pill,
            asked=open,
            tooltip=f"{names[ribbon.parent]} is used by {names[ribbon.child]}",
            upstream=ribbon.upstream and dot.UNKNOWN,
            downstream=ribbon.downstream and dot.UNKNOWN,
        )
        for j, ribbon in enumerate(diagram.ribbons)
    ]
    seeds = tuple(replace(seed, flow=dot.UNKNOWN) for seed in diagram.seeds)
    return replace(diagram, cards=tuple(map(blank, diagram.cards)), ribbons=tuple(ribbons), seeds=seeds)


def _blank(row: Row) -> Row:
    """A box for the number, and one for each term of the sum that it is, whatever the term's sign."""
    terms = re.split(" [+−] ", row.parts.removesuffix(" =\u00a0")) if row.parts else []
    boxes = " + ".join(term if term == "…" else dot.BLANK for term in terms)
    return replace(row, text=dot.BLANK, sign=None, parts=f"{boxes} =\u00a0" if terms else "", asked=True)


def _plain(row: Row) -> Row:
    """A number that is given: without the terms of its sum, which may be asked elsewhere."""
    return replace(row, sign=None, parts="")


def _picture(diagram: Diagram) -> Picture:
    picture = Picture("gradient_flow")
    picture.title, picture.description = diagram.title, ". ".join(card.tooltip for card in diagram.cards)
    picture.curves = {card.id: card.curve for card in diagram.cards if card.curve}
    dot.gradient_flow(picture, diagram)
    return picture


def _renumbered(value: Value, rng: random.Random, seen: list[dict[int, float]]) -> Graph:
    """A copy with new numbers at the leaves, others than those seen, after a backward pass from 1."""
    for least in [LEAST] * (TRIES * 2 // 3) + [0.0] * (TRIES // 3):
        graph = Graph(copy.deepcopy(value))
        places = [i for i, node in enumerate(graph.nodes) if node in graph.leaves]
        drawn = {i: NUMBERS[int(rng.random() * len(NUMBERS))] for i in places}
        if drawn not in seen and _suits(graph, {graph.nodes[i]: x for i, x in drawn.items()}, least):
            seen.append(drawn)
            return graph
    graph = Graph(copy.deepcopy(value))
    graph.forward()
    graph.zero_grad()
    graph.backward()
    return graph


def _suits(graph: Graph, numbers: Mapping[Value, float], least: float) -> bool:
    """Run both passes at these numbers, and tell whether all goes well, away from kinks, and some gradient is not 0."""
    around = []
    try:
        # At a kink or a jump, a small step to either side makes a large difference; leaves differ in their
        # steps, or a tie between two would remain one.
        for step in (1e-7, -1e-7, 0.0):
            graph.forward({leaf: x + step * j for j, (leaf, x) in enumerate(numbers.items(), start=1)})
            around.append([x for node in graph.nodes for x in (node.data, *node.partials)])
        graph.zero_grad()
        graph.backward()
    except (ArithmeticError, ValueError):
        return False
    results = [*around[-1], *(node.grad for node in graph.nodes)]
    legible = all(not x or least <= abs(x) < 1000.0 for x in results)  # nan is not
    smooth = all(math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-3) for a, b in zip(*around[:2], strict=True))
    return legible and smooth and any(leaf.grad for leaf in numbers)
