"""Pictures held to their contract: golden DOT, what an SVG shows, a browser's measure, and all that can go wrong.

``python tests/test_pictures.py`` writes the golden files again.
"""

import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any, get_args

import psutil
import pytest

import viz.picture
from autograd import (
    Constant,
    Graph,
    Operation,
    Value,
    exp,
    fsum,
    label_from,
    name_scope,
    relu,
    sigmoid,
    sin,
    sqrt,
    tanh,
)
from autograd.graph import BackwardStep
from autograd.operations import table
from nn import MLP, Neuron
from viz import Picture, draw, save
from viz.curve import curve
from viz.dot import strokes
from viz.drawing import COMPACT, FULL, MOST, Part
from viz.flow import PARTS, gradient_flow
from viz.palette import HAIRLINE

GOLDEN = Path(__file__).parent / "data" / "dot"
SVG = "{http://www.w3.org/2000/svg}"
BLUE, VERMILION, GREY = "#0072b2", "#d55e00", "#8792a0"
needs_dot = pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed on this system")
needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="there is no Chromium")


# Graphs.


def neuron(backward: bool = True) -> Value:
    """The neuron of the README."""
    x1, x2, w1, w2, b = (Value(x) for x in (2.0, 0.0, -3.0, 1.0, 6.8813735870195432))
    n = x1 * w1 + x2 * w2 + b
    o = tanh(n)
    label_from({"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "n": n, "o": o})
    if backward:
        o.backward()
    return o


def reuse() -> Value:
    """Gradients of both signs meet in a and b; every value has a label."""
    a, b = Value(-2.0), Value(3.0)
    d = a * b
    e = a + b
    f = d * e
    label_from({"a": a, "b": b, "d": d, "e": e, "f": f})
    f.backward()
    return f


def parallel() -> Value:
    """A value that is both operands of one operation, three times."""
    c = Value(3.0)
    d = c + c
    e = d - d
    g = d * d
    f = g + e
    label_from({"c": c, "d": d, "e": e, "f": f, "g": g})
    f.backward()
    return f


def flat() -> Value:
    """A dead relu, and a saturated sigmoid."""
    x, y = Value(-2.0, label="x"), Value(6.0, label="y")
    z = relu(x) + sigmoid(y)
    z.backward()
    return z


def nary() -> Value:
    """A neuron whose w · x is one node, with weights that are known."""
    h = Neuron(3, "tanh", name="h", init=given(0.5, -1.0, 0.25))([Value(x, label=f"x{i}") for i, x in enumerate(XS)])
    h.backward()
    return h


XS = (1.0, -0.5, 2.0)


def given(*weights: float) -> Callable[..., float]:
    """An initialiser that deals out numbers."""
    numbers = iter(weights)
    return lambda *_: next(numbers)


def expanded() -> Value:
    """A neuron with a node for every product and sum."""
    inputs = [Value(x, label=f"x{i}") for i, x in enumerate(XS)]
    h = Neuron(3, "sigmoid", name="h", init=given(0.5, -1.0, 0.25), expand=True)(inputs)
    h.backward()
    return h


def network() -> Value:
    """The loss of a small network, whose values have scopes."""
    model = MLP(2, [3, 1], "tanh", init=given(0.5, -0.25, 1.0, 0.75, -0.5, -1.0, 0.5, 1.5, -0.75))
    loss: Value = (model([Value(0.5, label="x1"), Value(-1.0, label="x2")]) - 1.0) ** 2
    loss.label = "loss"
    loss.backward()
    return loss


def powers() -> Value:
    """Constants of both signs, and powers."""
    x = Value(3.0, label="x")
    y = -2.5 * x**2 + x**-1 + 1e-7
    y.label = "y"
    y.backward()
    return y


def numbers() -> Graph:
    """All kinds of numbers, as data and as gradients."""
    xs = [Value(x, label=f"n{i}") for i, x in enumerate((1e300, -1.2e-7, math.nan, math.inf, -0.0, 5e-324, 123456.7))]
    y = fsum(x * 1.0 for x in xs)
    a, b, c, d = (Value(x, label=f"m{i}") for i, x in enumerate((1e300, 5e-324, -1.2e-7, 1e-300)))
    z = a * b + c * d - a * d
    zero = Value(0.0, label="zero")
    w = sqrt(zero)
    label_from({"y": y, "z": z, "w": w})
    for root in (y, z, w):
        root.backward()
    return Graph(y, z, w)


def labelled(*labels: str) -> Value:
    """A graph with these labels on leaves, operations and the output, and as scopes."""
    values = []
    for i, label in enumerate(labels):
        with name_scope(label):
            x = tanh(Value(0.1 * i + 0.2, label=label) * Value(1.5, label="w"))
            x.label = label
        values.append(x)
    y = fsum(values) * 2.0
    y.label = labels[0]
    y.backward()
    return y


def leaf(value: Value | Graph, label: str) -> Value:
    """The leaf of that name."""
    graph = value if isinstance(value, Graph) else Graph(value)
    (found,) = [node for node in graph.leaves if node.label == label]
    return found


PICTURES: dict[str, Callable[[], Picture]] = {
    "neuron-forward": lambda: draw(neuron(backward=False)),
    "neuron": lambda: draw(neuron()),
    "reuse": lambda: draw(reuse()),
    "parallel": lambda: draw(parallel()),
    "flat": lambda: draw(flat()),
    "nary": lambda: draw(nary()),
    "expanded": lambda: draw(expanded()),
    "network-full": lambda: draw(network(), detail="full"),
    "network-compact": lambda: draw(network(), detail="compact"),
    "network-neurons": lambda: draw(network(), detail="neurons"),
    "network-layers": lambda: draw(network(), detail="layers"),
    "powers": lambda: draw(powers()),
    "numbers": lambda: draw(numbers()),
    "highlight": lambda: draw(o := neuron(), highlight=leaf(o, "x2")),
    "focus": lambda: draw(o := expanded(), focus=leaf(o, "x1"), radius=2),
    "top-to-bottom": lambda: draw(neuron(), rankdir="TB"),
    "classic": lambda: draw(neuron(), style="classic"),
    **{f"without-{part}": lambda part=part: draw(neuron(), hide=part) for part in PARTS},  # type: ignore[misc]
}


def sources() -> dict[str, str]:
    """The DOT of every golden picture."""
    return {name: str(make().source) for name, make in PICTURES.items()}


def rewrite() -> None:
    """Write the golden files; with ``--print``, only what would be in them."""
    if "--print" in sys.argv:
        sys.stdout.buffer.write(json.dumps(sources()).encode())
        return
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    for name, source in sources().items():
        (GOLDEN / f"{name}.dot").write_bytes(source.encode())


# 1. Golden files.


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_dot_is_that_of_the_golden_files(seed: str) -> None:
    """Byte for byte, in other processes with other hash seeds; if it is meant to change, run this file."""
    done = subprocess.run(
        [sys.executable, __file__, "--print"],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    drawn = json.loads(done.stdout)
    stored = {path.stem: path.read_bytes().decode() for path in GOLDEN.glob("*.dot")}
    assert drawn.keys() == stored.keys()
    for name, source in stored.items():
        assert drawn[name] == source, name


# 2. What an SVG shows.


def parsed(picture: Picture) -> ET.Element:
    """The SVG, as a browser's parser of XML sees it."""
    return ET.fromstring(picture.pipe("svg"))


def groups(root: ET.Element, kind: str) -> list[tuple[str, ET.Element]]:
    """The nodes or the edges, with what their tooltip says."""
    found = [group for group in root.iter(f"{SVG}g") if group.get("class") == kind]
    return [(group.findtext(f"{SVG}title", ""), group) for group in found]


SENTENCE = re.compile(r"(\S+) to (\S+): (\S+) from (\S+), ×(\S+)")
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def plain(name: str) -> str:
    """A label as its user has written it."""
    return name.translate(SUBSCRIPTS)


def all_labelled() -> Value:
    """Many ribbons of many sizes, every one between two values with labels."""
    xs = [Value(0.3 * i - 0.7, label=f"x{i}") for i in range(5)]
    h = [tanh(xs[0] * xs[1]), exp(xs[1] - xs[2]), sin(xs[2] * xs[3]) * xs[3], relu(xs[4] - 2.0) * xs[0]]
    z = fsum(h) * h[0] + h[1] * 40.0
    for i, node in enumerate(Graph(z)):
        if not isinstance(node, Constant):
            node.label = node.label or f"u{i}"
    z.backward()
    return z


@needs_dot
@pytest.mark.parametrize("make", [reuse, parallel, all_labelled])
def test_every_value_and_every_operand_is_drawn(make: Callable[[], Value]) -> None:
    """A node per value and per pill; a ribbon in two pieces per operand, parallel ones too; a line per constant."""
    graph = Graph(make())
    root = parsed(draw(graph))
    told = [sentence for sentence, _ in groups(root, "node")]
    for node in graph:
        name = "" if isinstance(node, Constant) else node.label
        assert sum(plain(sentence).startswith(f"{name}: data") for sentence in told) == (1 if name else 0)
    edges = [edge for edge in graph.edges if not isinstance(edge.parent, Constant)]
    pairs = Counter((edge.parent.label, edge.child.label) for edge in edges)
    pills = Counter((plain(s[2]), plain(s[4])) for s in filter(None, map(SENTENCE.fullmatch, told)))
    assert pills == pairs
    drawn = [sentence for sentence, _ in groups(root, "edge")]
    ribbons = Counter((plain(s[2]), plain(s[4])) for s in filter(None, map(SENTENCE.fullmatch, drawn)))
    assert ribbons == Counter({pair: 2 * count for pair, count in pairs.items()})
    lines = [sentence for sentence in drawn if " is used by " in sentence]
    assert len(lines) == len(graph.edges) - len(edges)


def positions(picture: Picture) -> dict[str, tuple[float, float]]:
    """Where Graphviz has put each node: to the right, and upwards."""
    lines = [line.split() for line in picture.pipe("plain", encoding="utf-8").splitlines()]
    return {line[1]: (float(line[2]), float(line[3])) for line in lines if line[0] == "node"}


@needs_dot
@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
@pytest.mark.parametrize(
    "make",
    [
        neuron,
        reuse,
        parallel,
        flat,
        powers,
        all_labelled,
    ],
)
def test_operands_are_in_their_order(make: Callable[[], Value], rankdir: Any) -> None:
    """From top to bottom, or from left to right: the pills of every operation."""
    graph = Graph(make())
    at = positions(draw(graph, rankdir=rankdir))
    assert len(at) > len(graph)
    pills = defaultdict(list)
    for j, edge in enumerate(graph.edges):
        if f"e{j}" in at:
            across, up = at[f"e{j}"]
            pills[edge.child].append(-up if rankdir in ("LR", "RL") else across)
    for child, places in pills.items():
        assert places == sorted(places), child


@needs_dot
@pytest.mark.parametrize("make", [neuron, reuse, parallel, network, all_labelled])
@pytest.mark.parametrize("detail", ["full", "compact"])
def test_ribbons_are_as_wide_as_gradients_are_large(make: Callable[[], Value], detail: Any) -> None:
    """Strictly wider if larger, in the colour of the sign, dashed if zero: beside numbers from Algorithm 6.2."""
    graph = Graph(make())
    root = parsed(draw(graph, detail=detail))
    steps = [step for step in graph.steps() if isinstance(step, BackwardStep)]
    diagram = gradient_flow(graph)
    names = {node: card.name for node, card in zip(graph, diagram.cards, strict=True)}
    sentences = {(r.parent, r.child, r.pill): r.tooltip for r in diagram.ribbons}
    assert len(set(names.values())) > 3
    known: dict[str, tuple[float, float]] = {}
    ids = {node: f"v{i}" for i, node in enumerate(graph, start=1)}
    for step in steps:
        (sentence,) = {
            told
            for (parent, child, pill), told in sentences.items()
            if (parent, child) == (ids[step.parent], ids[step.child]) and close(pill, step.partial)
        }
        known[sentence] = step.contribution, step.adjoint
    seen: list[tuple[float, float]] = []
    for sentence, group in groups(root, "edge"):
        if sentence not in known:
            continue
        arrow = group.find(f"{SVG}polygon") is not None  # the piece that enters the operand, with what reaches it
        gradient = known[sentence][0 if arrow or detail == "compact" else 1]
        (path,) = group.findall(f"{SVG}path")
        color = GREY if not gradient else BLUE if gradient > 0.0 else VERMILION
        assert path.get("stroke") == color, sentence
        assert ("stroke-dasharray" in path.attrib) == (not gradient), sentence
        if gradient:
            seen.append((abs(gradient), float(path.get("stroke-width", "1"))))
    assert len(seen) >= 4
    largest = max(size for size, _ in seen)
    for (size, width), (more, wider) in itertools.pairwise(sorted(seen)):
        if more - size > 0.01 * largest:  # a hundredth of a point is the least that is written
            assert width < wider
        else:
            assert width <= wider


def close(pill: str, partial: float) -> bool:
    """Whether a pill says this number."""
    said = float(pill.removeprefix("×").replace("−", "-").replace("∞", "inf"))
    return math.isclose(said, partial, rel_tol=0.06, abs_tol=1e-12)


def test_nothing_but_zero_is_drawn_as_zero() -> None:
    """A gradient that vanishes beside the largest still flows; so do one that is infinite, and one that is nan."""
    a, b = Value(1e300, label="a"), Value(1e-300, label="b")
    z = a * b
    z.backward()
    assert "dashed" not in draw(z).source
    (small,) = [r for r in gradient_flow(Graph(z)).ribbons if r.parent == "v1"]
    assert small.downstream is not None
    assert small.downstream[0] == 1
    assert small.downstream[1] > 0.0
    x = Value(0.0, label="x")
    y = (sqrt(x) - sqrt(x)) * 1.0
    y.backward()
    source = draw(y).source
    assert "nothing flows" not in source
    w = Value(math.nan, label="w") * x
    w.backward()
    assert "or nan" in draw(w).source


# 3. In a browser.

MEASURE = """
const bad = [], seen = {};
const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
const written = e => {  // without the spaces at its ends
  const node = e.firstChild, all = node.data, range = document.createRange();
  range.setStart(node, all.length - all.trimStart().length);
  range.setEnd(node, all.trimEnd().length);
  return box(range);
};
const beyond = (a, b) => Math.max(b[0] - a[0], b[1] - a[1], a[2] - b[2], a[3] - b[3]);
const overlap = (a, b) => [Math.min(a[2], b[2]) - Math.max(a[0], b[0]), Math.min(a[3], b[3]) - Math.max(a[1], b[1])];
for (const svg of document.querySelectorAll("body > div > svg")) {
  const name = svg.parentNode.id, sheet = box(svg), nodes = [];
  const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim());
  for (const t of texts) if (beyond(written(t), sheet) > 0.5) bad.push([name, "off the sheet", t.textContent]);
  for (const group of svg.querySelectorAll("g.node")) {
    const within = texts.filter(t => group.contains(t));
    const shapes = [...group.querySelectorAll("polygon, path, ellipse")].filter(s => s.closest("svg") === svg);
    const boxes = (shapes.length ? shapes : within).map(box);
    const card = [0, 1, 2, 3].map(i => Math[i < 2 ? "min" : "max"](...boxes.map(b => b[i])));
    nodes.push([card, group.textContent]);
    within.forEach((t, i) => {
      if (shapes.length && beyond(written(t), card) > 0.5) bad.push([name, "wider than its box", t.textContent]);
      for (const other of within.slice(i + 1)) {
        const [across, down] = overlap(written(t), written(other));
        if (across > 1.5 && down > 4) bad.push([name, "text on text", t.textContent, other.textContent, across]);
      }
    });
  }
  nodes.forEach(([a, told], i) => nodes.slice(i + 1).forEach(([b, other]) => {
    if (Math.min(...overlap(a, b)) > 0.1) bad.push([name, "card on card", told, other]);
  }));
  seen[name] = [nodes.length, texts.length];
}
document.body.textContent = JSON.stringify({ bad, seen });
"""
LABELS = [
    "W" * 60,
    "i" * 60,
    "a mixed label of some words and more",
    "AVAVAVAV",
    "日本語のラベル",
    "😀😀😀",
    "שלום",
    "é" * 12,
]


def in_chromium(pictures: dict[str, Picture], folder: Path, script: str) -> Any:
    """What a script finds in a page with these pictures, each in its natural size."""
    drawn = {name: picture.pipe("svg", encoding="utf-8") for name, picture in pictures.items()}
    parts = [f'<div id="{name}" style="width: max-content">{svg}</div>' for name, svg in drawn.items()]
    style = "<style>svg { max-width: none !important }</style>"
    page = folder / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8">{style}<body>{"".join(parts)}<script>{script}</script></body>',
        encoding="utf-8",
    )
    flags = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
    flags += ["disable-component-update", "disable-sync", f"user-data-dir={folder / 'profile'}", "dump-dom"]
    done = subprocess.run(
        ["chromium", *(f"--{flag}" for flag in flags), page.as_uri()],
        capture_output=True,
        check=True,
        timeout=120,
        encoding="utf-8",
    )
    found = re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[:1000]
    return json.loads(unescape(found[1]))


@needs_dot
@needs_chromium
def test_every_text_fits_in_a_browser(tmp_path: Path) -> None:
    """As Chromium measures: no text is wider than its box or on another, no card is on another, all is on the sheet."""
    long, wide = labelled(*LABELS[:4]), labelled(*LABELS[4:])
    pictures = {
        "neuron": draw(neuron()),
        "forward": draw(neuron(backward=False)),
        "upright": draw(neuron(), rankdir="TB"),
        "flat": draw(flat()),
        "long": draw(long),
        "long-classic": draw(long, style="classic"),
        "long-groups": draw(long, detail="neurons"),
        "wide": draw(wide),
        "wide-classic": draw(wide, style="classic"),
        "numbers": draw(numbers()),
        "numbers-compact": draw(numbers(), detail="compact"),
        "numbers-classic": draw(numbers(), style="classic"),
        "network": draw(network(), detail="full"),
        "network-compact": draw(network(), detail="compact"),
        "network-neurons": draw(network(), detail="neurons"),
        "network-layers": draw(network(), detail="layers"),
    }
    found = in_chromium(pictures, tmp_path, MEASURE)
    assert found["bad"] == []
    assert found["seen"].keys() == pictures.keys()
    assert all(nodes >= 3 and texts >= 6 for nodes, texts in found["seen"].values())


@needs_chromium
def test_the_measure_finds_what_does_not_fit(tmp_path: Path) -> None:
    """A text wider than its box, one on another, and cards that overlap are each reported."""
    box = '<polygon points="10,10 60,10 60,40 10,40"/>'
    nodes = [f'{box}<text x="12" y="30">much too wide for this</text><text x="20" y="30">again</text>', box]
    drawn = "".join(f'<g class="node">{node}</g>' for node in nodes)
    picture = Picture()
    picture.pipe = lambda *_, **__: f'<svg width="90" height="50">{drawn}</svg>'  # type: ignore[method-assign]
    found = in_chromium({"bad": picture}, tmp_path, MEASURE)
    assert {kind for _, kind, *_ in found["bad"]} == {
        *("off the sheet", "wider than its box", "text on text", "card on card"),
    }


# 4. Hostile labels.

HOSTILE = [
    '"',
    "<b>",
    "<<b>bold</b>>",
    "</svg><script>alert(1)</script>",
    "\\N",
    "ends in \\",
    "|",
    "{}",
    "a\nb\r\nc",
    "x" * 10_000,
    "." * 300,
    "שלום עולם",
    "a\u202eb",
    "😀",
    "\x00\x07\x1b[31m\x7f",
    "\x07",
    "&lt;&#1;",
    "&#xD800;",
    "\ud800",
    "]]>",
    "-->",
    "%s",
    "",
    "   ",
    "all",
    "inputs",
    "[",
]


@pytest.fixture(params=[pytest.param("dot", marks=needs_dot), "pygraphviz"])
def engine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """With the system's Graphviz, and with the embedded one."""
    if request.param == "dot":
        monkeypatch.setitem(sys.modules, "pygraphviz", None)
    else:
        monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("bin")))
    return str(request.param)


def as_shown(label: str) -> str:
    """What is left of a label in a picture."""
    told = "".join(c for c in label if c.isprintable())
    return told if len(told) <= 40 else told[:39] + "…"


def squeezed(text: str) -> str:
    """A text whose spaces do not count."""
    return " ".join(text.split())


@pytest.mark.parametrize("label", HOSTILE, ids=lambda label: ascii(label[:12]))
def test_hostile_labels_are_text(engine: str, label: str) -> None:
    """As labels of leaves, operations and outputs, and as name scopes, in each style: shown, and nothing else."""
    value = labelled(label, "other")
    for options in ({}, {"style": "classic"}, {"detail": "neurons"}, {"title": label}):
        picture = draw(value, **options)  # type: ignore[arg-type]
        text = picture.pipe("svg", encoding="utf-8")
        root = ET.fromstring(text)
        assert not any("script" in element.tag or "onload" in element.attrib for element in root.iter()), engine
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cs", "Cf") and c not in "\n\t"], engine
        shown = Counter(squeezed("".join(element.itertext())) for element in root.iter(f"{SVG}text"))
        # With a scope, "h.h" is called "h"; at least the leaf, the unit, the output, and the frame are called so.
        least = 1 if options.get("detail") else 2
        if as_shown(label).strip() and options != {"detail": "neurons"}:
            assert shown[squeezed(as_shown(label))] >= least, (engine, options, shown)
        assert len(text) < 400_000


@needs_dot
@pytest.mark.parametrize("style", ["cards", "classic"])
def test_dot_of_hostile_labels_is_read_without_a_warning(style: Any) -> None:
    """By Graphviz itself, all of them in one graph."""
    picture = draw(labelled(*HOSTILE), style=style, detail="full")
    done = subprocess.run(["dot", "-Tdot"], input=picture.source.encode(), capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout.startswith(b"digraph")


@pytest.mark.parametrize("style", ["cards", "classic"])
def test_hostile_labels_in_other_formats(engine: str, style: Any, tmp_path: Path) -> None:
    """As PNG and as DOT, all of them in one graph."""
    value = labelled(*HOSTILE)
    assert save(value, tmp_path / "a.png", style=style, detail="compact").read_bytes().startswith(b"\x89PNG"), engine
    dot = save(value, tmp_path / "a.dot", style=style, detail="full").read_text(encoding="utf-8")
    assert not [c for c in dot if unicodedata.category(c) in ("Cc", "Cs", "Cf") and c not in "\n\t"]


def test_hostile_names_of_operations(engine: str) -> None:
    """Which must be identifiers, but may be long and foreign."""
    for name in ("f" * 10_000, "données"):
        op = Operation(name, lambda x: x, (lambda x, z: 1.0,))
        y = op(Value(1.0, label="x"))
        y.label = "y"
        for style in ("cards", "classic"):
            texts = ["".join(e.itertext()) for e in parsed(draw(y, style=style)).iter(f"{SVG}text")]
            assert as_shown(name) in texts, engine
        del table[name]


# 5. Numbers at the edges.


def shown(picture: Picture) -> dict[str, list[str]]:
    """The texts on each card, by its tooltip's beginning: the name."""
    return {
        told.partition(":")[0]: [squeezed("".join(text.itertext())) for text in group.iter(f"{SVG}text")]
        for told, group in groups(parsed(picture), "node")
    }


def test_numbers_at_the_edges_are_legible(engine: str) -> None:
    """As written by hand: with a true minus, an exponent, ∞ and nan."""
    cards = shown(draw(numbers(), detail="full"))
    expected = {
        "n₀": "1.0e300",
        "n₁": "−1.2e−7",
        "n₂": "nan",
        "n₃": "∞",
        "n₄": "−0.00",
        "n₅": "4.9e−324",
        "n₆": "123457",
    }
    for name, text in expected.items():
        assert cards[name][-4:] == ["data", text, "grad", "1.00"], engine
    assert cards["y"][-3:] == ["nan", "grad", "1.00"]
    assert cards["m₀"][-1] == "−1.0e−300"
    assert cards["m₁"][-3:] == ["4.9e−324", "grad", "1.0e300"]
    assert cards["zero"][-4:] == ["data", "0.00", "grad", "∞"]
    small = shown(draw(numbers(), detail="compact"))
    assert [small[name][-1] for name in ("m₁", "zero", "n₂")] == ["1.0e300", "∞", "1.00"]
    forward = numbers()
    forward.zero_grad()
    small = shown(draw(forward, detail="compact"))
    assert {name: small[name][-1] for name in expected} == expected


@pytest.mark.parametrize(
    ("x", "output", "grad"),
    [
        (math.nan, "nan", "nan"),
        (1e300, "1.0e300", "1.0e300"),
        (-0.0, "−0.00", "0.00"),
        (5e-324, "4.9e−324", "4.9e−324"),
    ],
)
def test_groups_at_the_edges_are_legible(x: float, output: str, grad: str) -> None:
    """A nan among the outputs is not hidden by those that are numbers; sums that overflow are infinite."""
    with name_scope("h"):
        w = Value(1.0, label="w")
        h, other = w * x, w * 1.0
    h.label = other.label = "h"
    y = h * 1.0
    y.backward()
    cards = shown(draw(y, detail="neurons"))
    assert cards["h"][-4:] == ["output", output, "|grad|", grad]
    if math.isnan(x):
        z = h + other
        z.backward()
        assert shown(draw(z, detail="layers"))["h"][3:5] == ["output", "nan"]


def test_groups_whose_gradients_overflow() -> None:
    """The sum of sizes is beyond every float, and drawn all the same."""
    with name_scope("h"):
        hs = [Value(1.0, label="w") * 1.0 for _ in range(3)]
    y = hs[0] * 1e308 - hs[1] * 1e308 + hs[2] * 1e308
    y.backward()
    told = [sentence for sentence, _ in groups(parsed(draw(y, detail="neurons")), "edge")]
    assert "3 gradients to h from v₁₇: their sum is 1.0e308, that of their sizes ∞" in told


# 6. What can go wrong.


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot"])
def test_where_nothing_can_be_written(tmp_path: Path, suffix: str) -> None:
    """No folder, a file instead of a folder, a folder instead of a file: an OSError, and nothing is left behind."""
    (tmp_path / "file").write_text("old")
    (tmp_path / f"folder.{suffix}").mkdir()
    x = Value(1.0, label="x")
    for path in (f"nowhere/a.{suffix}", f"file/a.{suffix}", f"folder.{suffix}"):
        with pytest.raises(OSError, match=re.escape(path.partition("/")[0])):
            save(x * 2.0, tmp_path / path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", f"folder.{suffix}"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("name", ["a.gif", "a", "a.", "a.svg.gz", ".svg", "a.SVGZ"])
def test_suffixes_that_are_unknown(tmp_path: Path, name: str) -> None:
    """The message names the file, and what there is."""
    with pytest.raises(ValueError, match=rf"{re.escape(repr(name))}.*svg, png, pdf, dot"):
        save(neuron(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "options", "named"),
    [
        (ValueError, {"hide": "pills"}, "'pills'.*'partials'"),
        (ValueError, {"hide": ["data", 3]}, "hide 3 is not one of"),
        (TypeError, {"hide": 3}, "hide .*3"),
        (ValueError, {"style": "torchviz"}, "style 'torchviz'.*'classic'"),
        (ValueError, {"detail": "tiny"}, "detail 'tiny'.*'compact'.*'layers'"),
        (ValueError, {"rankdir": "lr"}, "rankdir 'lr'.*'LR'"),
        (ValueError, {"rankdir": []}, r"rankdir \[\]"),
        (ValueError, {"colour": "red"}, "option 'colour'.*'highlight'"),
        (TypeError, {"title": 3}, "title .*3"),
        (TypeError, {"parameters": 3}, "parameters .*3"),
        (TypeError, {"focus": "x1"}, "focus .*'x1'"),
        (TypeError, {"highlight": "x1"}, "highlight .*'x1'"),
        (ValueError, {"focus": Value(1.0)}, "not part of the picture's graph"),
        (ValueError, {"highlight": Value(1.0)}, "not part of the picture's graph"),
        (TypeError, {"radius": "2"}, "radius .*'2'"),
        (ValueError, {"radius": -1}, "radius .*-1"),
    ],
    ids=str,
)
def test_options_that_are_unknown(error: type[Exception], options: Any, named: str) -> None:
    """Each is named, with what there is."""
    with pytest.raises(error, match=named):
        draw(neuron(), **options)


FAKES = {
    "crashes": ("echo oh no >&2; exit 1", "exit code 1: oh no"),
    "prints nothing": ("cat > /dev/null", "exit code 0"),
    "is killed": ("kill -9 $$", "exit code -9"),
    "prints half a picture": ("echo '<svg><g>'", "not SVG"),
    "prints bytes": (r"printf '\\377\\376\\000'", "not SVG"),
    "hangs": ("exec sleep 60", "not finished after 0.5 seconds.*focus="),
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Puts a program called dot before all others on the path."""
    folder = tmp_path_factory.mktemp("bin")
    monkeypatch.setattr(viz.picture, "TIME_LIMIT", 0.5)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)

    def put(script: str) -> None:
        (folder / "dot").write_text(script)
        (folder / "dot").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.parametrize("kind", FAKES)
def test_a_dot_that_fails(kind: str, fake: Callable[[str], None], tmp_path: Path) -> None:
    """A RuntimeError of one line; the old file is whole, no other is there, and no process is left."""
    script, message = FAKES[kind]
    fake(f"#!/bin/sh\n{script}\n")
    path = tmp_path / "a.svg"
    path.write_text("old")
    started, children = time.perf_counter(), psutil.Process().children()
    with pytest.raises(RuntimeError, match=message) as caught:
        save(neuron(), path)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - started < 20.0
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.svg"]
    assert psutil.Process().children() == children  # all others have been waited for


@pytest.mark.parametrize("kind", FAKES)
def test_a_notebook_shows_the_tree_instead(kind: str, fake: Callable[[str], None]) -> None:
    """With the reason below."""
    script, message = FAKES[kind]
    fake(f"#!/bin/sh\n{script}\n")
    bundle = draw(neuron())._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert bundle["text/plain"].startswith("o = tanh")
    assert re.search(message, bundle["text/plain"].splitlines()[-1])


def test_a_dot_that_is_no_program(fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """As of another machine: like none at all; pygraphviz takes its place, if it is there."""
    fake("\x00\x01 not a program")
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(os.pathsep)[0])
    with pytest.raises(RuntimeError, match="drawing needs Graphviz"):
        draw(neuron()).pipe("svg")
    monkeypatch.delitem(sys.modules, "pygraphviz")
    assert draw(neuron()).pipe("svg").startswith(b"<svg")


def test_without_any_engine_a_notebook_shows_the_tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    bundle = draw(neuron())._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert bundle["text/plain"].startswith("o = tanh")
    assert "pip install 'gradgraph[embedded]'" in bundle["text/plain"].splitlines()[-1]
    for suffix in ("svg", "png", "pdf"):
        with pytest.raises(RuntimeError, match="drawing needs Graphviz"):
            save(neuron(), tmp_path / f"a.{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_what_an_engine_refuses(engine: str) -> None:
    """Formats and layouts that it does not know are errors of the same kind, whichever it is."""
    picture = draw(neuron())
    with pytest.raises(RuntimeError, match="Graphviz failed"):
        picture.pipe("png2")
    with pytest.raises(RuntimeError, match="Graphviz failed"):
        picture.pipe("svg", engine="tidy")
    assert engine


# 7. Large graphs.


def chain(values: int) -> Value:
    """A deep graph of so many values, without scopes."""
    x = Value(0.5)
    for _ in range(values - 1):
        x = -x
    return x


def test_the_size_decides_the_detail() -> None:
    """Full cards, then small ones, then no more unasked; and no more at all."""

    def small(picture: Picture) -> bool:
        return ">data<" not in picture.source

    assert (FULL, COMPACT, MOST) == (40, 150, 1500)
    assert not small(draw(chain(40)))
    assert small(draw(chain(41)))
    assert small(draw(chain(150)))
    for value, options in ((chain(151), {}), (chain(1501), {"detail": "compact"}), (chain(1501), {"detail": "full"})):
        with pytest.raises(ValueError, match=r"1,?5\d*1 values.*focus=.*name_scope"):
            draw(value, **options)  # type: ignore[arg-type]
    assert small(draw(chain(1500), detail="compact"))
    assert not small(draw(chain(1500), detail="full"))
    assert len(Graph(chain(1500))) == 1500


def test_networks_of_too_many_neurons() -> None:
    """Say how many there are; their layers are drawn."""
    loss = fsum(MLP(1, [COMPACT + 1], "tanh")([0.5]))
    with pytest.raises(ValueError, match=rf"they have {COMPACT + 3} neurons"):
        draw(loss, detail="neurons")
    assert draw(loss, detail="layers").source


@pytest.mark.parametrize(("at", "axes"), [(0.5, 2), (50.0, 1)])
def test_axes_are_drawn_where_they_are_in_sight(at: float, axes: int) -> None:
    """Of sin near 0, both; far from it, the vertical one is not."""
    plot = curve(Value(at).sin())
    assert plot is not None
    assert [color for _, color, _ in strokes(plot)].count(HAIRLINE) == axes
    assert sum(axis is not None for axis in plot.axes) == axes


def test_networks_are_drawn_by_their_neurons() -> None:
    """A loss of 64,000 values takes seconds at most: a card for each layer and neuron, with all gradients added up."""
    model = MLP(2, [16, 16, 1], "tanh", expand=True)
    losses = [(model([math.sin(i), math.cos(2 * i)]) - math.sin(3 * i)) ** 2 for i in range(100)]
    loss = fsum(losses) / 100.0
    loss.label = "loss"
    loss.backward()
    graph = Graph(loss)
    assert len(graph) > 64_000
    started = time.perf_counter()
    picture = draw(graph)
    assert time.perf_counter() - started < 30.0
    root = parsed(picture)
    names = {sentence.partition(":")[0] for sentence, _ in groups(root, "node")}
    assert {f"h1[{j}]" for j in range(16)} | {f"h2[{j}]" for j in range(16)} | {"out[0]", "loss"} <= names
    assert f"{len(graph):,} values, a card for each of the neurons" in {text.text for text in root.iter(f"{SVG}text")}
    for detail in ("full", "compact"):
        with pytest.raises(ValueError, match=r"6\d,\d{3} values are too many.*1,500.*focus="):
            draw(graph, detail=detail)
    near = draw(graph, focus=model.parameters()[0], radius=1)
    assert "201 shown" not in near.source
    with pytest.raises(ValueError, match=r"around the focus.*smaller radius"):
        draw(graph, focus=model.parameters()[0], radius=9)


@pytest.mark.parametrize("deep", [False, True])
def test_large_graphs_without_scopes_are_refused(deep: bool) -> None:
    """At once, however deep or wide they are; a part of them can be drawn."""
    value = chain(100_000) if deep else fsum([Value(1.0) * 2.0 for _ in range(33_333)])
    graph = Graph(value)
    assert len(graph) == 100_000
    started = time.perf_counter()
    with pytest.raises(ValueError, match=r"100,000 values.*focus=.*name_scope"):
        draw(graph)
    assert time.perf_counter() - started < 30.0
    part = draw(graph, focus=graph.nodes[3], radius=1)
    assert "100,000 values, 3 shown" in part.source or not deep


def test_the_embedded_engine_is_stopped_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Large pictures are laid out by a process of their own, which ends at the time limit."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(viz.picture, "LARGE", 100)
    assert draw(neuron()).pipe("svg").startswith(b"<svg")
    picture, children = draw(chain(1500), detail="full"), psutil.Process().children()
    monkeypatch.setattr(viz.picture, "TIME_LIMIT", 0.05)
    path = tmp_path / "a.pdf"
    path.write_text("old")
    with pytest.raises(RuntimeError, match=r"not finished after 0\.05 seconds"):
        picture.render(str(tmp_path / "a"), format="pdf", cleanup=True)
    assert os.listdir(tmp_path) == ["a.pdf"]
    assert path.read_text() == "old"
    assert psutil.Process().children() == children


# 8. Options.


def parts_of(source: str) -> set[str]:
    """What a picture of the neuron shows."""
    signs = {"data": ">data<", "grads": ">grad<", "partials": ">×−3<", "formulas": ">x₁ · w₁<", "curves": "plot_v"}
    return {part for part, sign in signs.items() if sign in source}


@pytest.mark.parametrize("most", range(len(PARTS) + 1))
def test_what_is_hidden_is_not_there(most: int) -> None:
    """In every combination; without gradients, there is nothing to multiply either. In every style."""
    for hide in itertools.combinations(get_args(Part), most):
        expected = set(PARTS) - set(hide) - ({"partials"} if "grads" in hide else set())
        picture = draw(neuron(), hide=hide)
        assert parts_of(picture.source) == expected
        if shutil.which("dot"):
            subprocess.run(["dot", "-Tdot"], input=picture.source.encode(), capture_output=True, check=True)
        classic = draw(neuron(), hide=set(hide), style="classic").source
        assert ("data\u00a0" in classic, "grad\u00a0" in classic) == ("data" in expected, "grads" in expected)
        groups_ = draw(network(), hide=list(hide), detail="neurons").source
        assert (">output<" in groups_, ">|grad|<" in groups_) == ("data" in expected, "grads" in expected)
        draw(network(), hide=hide, detail="compact")


@needs_dot
def test_what_is_hidden_hides_in_the_svg() -> None:
    """Without gradients a picture after backward is the picture before it."""
    before, after = neuron(backward=False), neuron()
    assert draw(before).source == draw(after, hide="grads").source
    assert parsed(draw(after, hide=get_args(Part))) is not None


@pytest.mark.parametrize("name", ["x1", "x2", "w1", "b"])
def test_highlight_fades_what_does_not_depend(name: str) -> None:
    """All else, and only that; x2 is zero."""
    value = neuron()
    graph = Graph(value)
    chosen = leaf(value, name)
    lit = {chosen}
    for node in graph:  # by definition: what has an operand that is lit
        if any(parent in lit for parent in node.parents):
            lit.add(node)
    diagram = gradient_flow(graph, highlight=chosen)
    assert [not card.faded for card in diagram.cards] == [node in lit for node in graph]
    assert [not r.faded for r in diagram.ribbons] == [e.parent in lit and e.child in lit for e in graph.edges]
    picture = draw(value, highlight=chosen)
    assert picture.title == f"How o depends on {name[0]}" + name[1:].translate(str.maketrans("12", "₁₂"))
    faint = [line for line in picture.source.splitlines() if re.search(r'color="#[0-9A-F]{6}30"', line)]
    assert len(faint) > 0


def distances(graph: Graph, start: Value) -> dict[Value, int]:
    """How many operands away each value is, breadth first."""
    near: dict[Value, int] = {start: 0}
    queue = [start]
    for node in queue:
        beside = [*node.parents, *(child for child in graph if node in child.parents)]
        for other in beside:
            if other not in near:
                near[other] = near[node] + 1
                queue.append(other)
    return near


@pytest.mark.parametrize("make", [neuron, expanded, all_labelled])
@pytest.mark.parametrize("radius", [0, 1, 2, 3, 50])
def test_focus_shows_what_is_near(make: Callable[[], Value], radius: int) -> None:
    """Exactly the values within the radius, and the ribbons between them."""
    graph = Graph(make())
    for start in (graph.nodes[0], graph.nodes[-1], graph.nodes[len(graph) // 2]):
        near = {node for node, distance in distances(graph, start).items() if distance <= radius}
        source = draw(graph, focus=start, radius=radius).source
        declared = set(re.findall(r"^\t+(v\d+) \[", source, re.MULTILINE))
        assert declared == {f"v{i}" for i, node in enumerate(graph, start=1) if node in near}
        edges = [e for e in graph.edges if e.parent in near and e.child in near]
        lines = re.findall(r"^\t+v\d+(?::\w+)* -> (?:e|v)\d+", source, re.MULTILINE)
        assert len(lines) == len(edges)
        assert ("shown" in source) == (len(near) < len(graph))
    two = draw(graph, focus=graph.nodes[0]).source
    assert two == draw(graph, focus=graph.nodes[0], radius=2).source


def test_the_title_is_the_one_given(engine: str) -> None:
    """In the picture, for those who hear it, and of the object."""
    picture = draw(neuron(), title="A <neuron> & its gradients")
    root = parsed(picture)
    assert root.findtext(f"{SVG}title") == "A <neuron> & its gradients", engine
    assert "A <neuron> & its gradients" in {text.text for text in root.iter(f"{SVG}text")}
    assert repr(picture) == "<Picture: A <neuron> & its gradients>"


@needs_dot
@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
@pytest.mark.parametrize("backward", [False, True])
def test_values_run_where_rankdir_says(rankdir: Any, backward: bool) -> None:
    """Every operand lies before its operation, and so says the line below the title."""
    graph = Graph(neuron(backward))
    picture = draw(graph, rankdir=rankdir)
    at = positions(picture)
    along: dict[str, Callable[[tuple[float, float]], float]] = {
        "LR": lambda p: p[0],
        "RL": lambda p: -p[0],
        "TB": lambda p: -p[1],
        "BT": lambda p: p[1],
    }
    ids = {node: f"v{i}" for i, node in enumerate(graph, start=1)}
    for edge in graph.edges:
        assert along[rankdir](at[ids[edge.parent]]) < along[rankdir](at[ids[edge.child]])
    ways = {"LR": "left to right", "RL": "right to left", "TB": "from top to bottom", "BT": "from bottom to top"}
    told = f"values were computed {ways[rankdir]}"
    told += f"; gradients flow {ways[rankdir[::-1]]}" if backward else ""
    assert told in {text.text for text in parsed(picture).iter(f"{SVG}text")}


if __name__ == "__main__":
    rewrite()
