"""The SVG that is published: well-formed, readable by everyone, in the light and in the dark."""

import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from autograd import Graph, Value, label_from, relu, tanh
from viz import Picture, draw
from viz.flow import gradient_flow
from viz.palette import DARK, NIGHT, PAPER
from viz.svg import polish

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</svg><script>alert(1)</script>",
    "\"'><a href='x'>",
    "]]>",
    "-->",
    "a & b;",
    "שלום",
    "😀",
    "url(#graph0)",
    "\\N",
    "&lt;&#1;",
    "&#xD800;",
]


def neuron() -> Graph:
    """Gradients of both signs, zeros, parameters and an output."""
    x1, x2, w1, w2, b = Value(2.0), Value(0.0), Value(-3.0), Value(1.0), Value(6.88)
    n = x1 * w1 + x2 * w2 + b
    o = tanh(n)
    label_from({"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "n": n, "o": o})
    o.backward()
    return Graph(o)


def reused() -> Graph:
    """Sums of gradients, constants and a dead end."""
    a, b = Value(-2.0, label="a"), Value(3.0, label="b")
    f = (a * b) * (a + b) ** 2 + relu(a)
    f.backward()
    return Graph(f)


def forward() -> Graph:
    """Before a backward pass."""
    x = Value(3.0, label="x")
    return Graph(x * 2.0)


GRAPHS = [neuron, reused, forward]


@pytest.fixture(
    params=[
        pytest.param("dot", marks=pytest.mark.skipif(not shutil.which("dot"), reason="there is no Graphviz")),
        "pygraphviz",
    ]
)
def raw(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Graph | Picture], str]:
    """Draws as Graphviz does: that of the system, or that in pygraphviz, which is used where there is no other."""
    if request.param == "pygraphviz":
        monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("viz.picture.polish", lambda svg, **_: svg)

    def svg(drawn: Graph | Picture) -> str:
        picture = drawn if isinstance(drawn, Picture) else draw(drawn, parameters=drawn.nodes[:2])
        source = str(picture.pipe("svg", encoding="utf-8"))
        assert source.startswith("<?xml")
        return source

    return svg


def polished(svg: str, title: str = "Title", description: str = "Description") -> tuple[str, ET.Element]:
    """The published picture, as text and as parsed."""
    text = polish(svg, title=title, description=description)
    return text, ET.fromstring(text)


@pytest.mark.parametrize("graph", GRAPHS)
def test_it_is_one_plain_element(raw: Callable[[Graph], str], graph: Callable[[], Graph]) -> None:
    """A file and a part of a page at once: no declaration, comments, prefixes or links; the same each time."""
    svg = raw(graph())
    text, root = polished(svg)
    assert text == polish(svg, title="Title", description="Description")
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg" ')
    assert text.count("xmlns") == 1
    assert not re.search(r"<!|<\?|ns\d:|xlink|<a\b|Arial\"|pt\"", text.replace("Helvetica, Arial, sans-serif", ""))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "g", "path", "polygon", "polyline", "ellipse", "circle", "text"),
    }
    written = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert written == ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_it_has_its_natural_size_or_less(raw: Callable[[Graph], str]) -> None:
    """In pixels, for images and files; no wider than the page; in proportion."""
    svg = raw(neuron())
    root = polished(svg)[1]
    points = re.search(r'width="(\d+)pt" height="(\d+)pt"', svg)
    assert points is not None
    assert [root.get("width"), root.get("height")] == [f"{int(side) * 4 / 3:.0f}" for side in points.groups()]
    assert root.get("style") == "max-width:100%;height:auto"
    x, y, width, height = root.get("viewBox", "").split()
    assert (x, y) == ("0", "0")
    assert [float(width), float(height)] == pytest.approx([int(side) for side in points.groups()], abs=1.0)


@pytest.mark.parametrize("graph", GRAPHS)
def test_ids_are_of_this_picture(raw: Callable[[Graph], str], graph: Callable[[], Graph]) -> None:
    """Two pictures on a page share none, and what is referred to is there."""
    svg = raw(graph())
    text, root = polished(svg)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    key = ids[0]
    assert re.fullmatch("g[0-9a-f]{8}", key)
    assert len(ids) == len(set(ids)) > 5
    assert all(name.startswith(f"{key}-") for name in ids[1:])
    assert set(root.get("aria-labelledby", "").split()) <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)
    assert polished(svg, description="Another")[1].get("id") != key


def test_references_follow_their_ids(raw: Callable[[Picture], str]) -> None:
    """Such as to a gradient that a picture's owner has added; links that lead somewhere stay links."""
    picture = draw(forward())
    picture.node("more", style="filled", fillcolor="red:blue", URL="https://example.org", tooltip="More")
    text, root = polished(raw(picture))
    ids = {element.get("id") for element in root.iter()}
    (reference,) = re.findall(r'fill="url\(#([^)]*)\)"', text)
    assert reference in ids
    (link,) = root.iter(f"{SVG}a")
    assert (link.get("href"), link.get("title")) == ("https://example.org", "More")


@pytest.mark.parametrize("graph", GRAPHS)
def test_it_can_be_read_aloud_and_pointed_at(raw: Callable[[Graph], str], graph: Callable[[], Graph]) -> None:
    """A title and a description of the whole, and every card's and ribbon's sentence instead of internal names."""
    root = polished(raw(graph()), "How", "First,\nthen.")[1]
    assert root.get("role") == "img"
    assert [(part.tag, part.text) for part in root[:2]] == [(f"{SVG}title", "How"), (f"{SVG}desc", "First,\nthen.")]
    assert root.get("aria-labelledby") == f"{root[0].get('id')} {root[1].get('id')}"
    told: dict[str, list[str]] = {"node": [], "edge": []}
    for group in root.iter(f"{SVG}g"):
        titles = group.findall(f"{SVG}title")
        assert titles == [child for child in group[:1] if child.tag == f"{SVG}title"]
        told.setdefault(group.attrib["class"], []).extend(title.text or "" for title in titles)
    diagram = gradient_flow(graph())
    pills = [ribbon.tooltip for ribbon in diagram.ribbons if ribbon.pill]
    assert sorted(told["node"]) == sorted([card.tooltip for card in diagram.cards] + pills)
    assert sorted(told["edge"]) == sorted([ribbon.tooltip for ribbon in diagram.ribbons] + pills)
    assert set(told["graph"]) == {diagram.title}


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_and_titles_are_text(raw: Callable[[Graph], str], label: str) -> None:
    """Whatever they contain, they add no element, attribute or rule, and can be read."""
    x = Value(1.0, label=label)
    y = x * 2.0
    y.backward()
    text, root = polished(raw(Graph(y)), f"{label}\x00\ud800", f"{label}\x1b\ufffe\n\t")
    assert text.encode().decode() == text
    assert [root[0].text, root[1].text] == [label, f"{label}\n\t"]
    assert not {"script", "a"} & {element.tag.removeprefix(SVG) for element in root.iter()}
    assert [element.text for element in root.iter(f"{SVG}text")].count(label) == 1
    assert f"{label}: data 1.00, grad 2.00" in {element.text for element in root.iter(f"{SVG}title")}
    x.label = "x"
    (sheet,), (harmless,) = root.iter(f"{SVG}style"), polished(raw(Graph(y)))[1].iter(f"{SVG}style")
    assert re.sub("g[0-9a-f]{8}", "", sheet.text or "") == re.sub("g[0-9a-f]{8}", "", harmless.text or "")


def test_what_xml_cannot_write_is_dropped(raw: Callable[[Picture], str]) -> None:
    """Graphviz writes it all the same, if a tooltip asks for it."""
    picture = draw(forward())
    picture.node("more", tooltip="&#1;More")
    assert "More" in {element.text for element in polished(raw(picture))[1].iter(f"{SVG}title")}


# Colours.


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_colour_has_a_dark_one(raw: Callable[[Graph], str], graph: Callable[[], Graph]) -> None:
    """Each is in the palette, and has a rule that is for this picture only."""
    root = polished(raw(graph()))[1]
    dark = {light.lower(): night.lower() for light, night in DARK.items()}
    sheet = root.findtext(f"{SVG}style", "")
    for element in root.iter():
        for name in ("fill", "stroke"):
            color = element.get(name, "none")
            assert color == "none" or color in dark, f"{name} {color} is not in the palette"
            if color != "none":
                rule = f'#{root.get("id")} [{name}="{color}"]{{{name}:light-dark({color},{dark[color]})}}'
                assert sheet.count(rule) == 1
        assert element.tag != f"{SVG}text" or "fill" in element.attrib
    selectors = [line.split("{")[0] for line in sheet.split("\n") if line]
    assert all(f"#{root.get('id')}" in selector for selector in selectors)


def test_text_that_graphviz_leaves_black_is_ink(raw: Callable[[Picture], str]) -> None:
    """Or it could not be read in the dark."""
    picture = draw(forward())
    picture.node("more", label="more", fontcolor="black", color="black")
    root = polished(raw(picture))[1]
    (text,) = [element for element in root.iter(f"{SVG}text") if element.text == "more"]
    assert text.get("fill") == "#1b2430"
    assert "black" not in {element.get("stroke") for element in root.iter()}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(raw: Callable[[Graph], str], graph: Callable[[], Graph], theme: str) -> None:
    """At a contrast of 4.5 : 1 on what is behind it, and lines in the legend at 3 : 1, as WCAG 2.2 asks."""
    root = polished(raw(graph()))[1]
    dark = {light.lower(): night for light, night in DARK.items()}
    painted: list[tuple[tuple[float, float, float, float], str]] = []
    read = 0
    for element in root.iter():
        fill = element.get("fill", "none")
        color = fill if theme == "light" else dark.get(fill, "")
        if element.tag == f"{SVG}text" and (text := (element.text or "").strip()):
            x, y = float(element.attrib["x"]) + 1.0, float(element.attrib["y"]) - 3.0
            behind = [shade for (left, top, right, bottom), shade in painted if left < x < right and top < y < bottom]
            enough = 4.5 if text.strip("–━ ") else 3.0
            assert contrast(color, behind[-1]) >= enough, f"{text}: {color} on {behind[-1]}"
            read += 1
        elif fill != "none" and element.tag in (f"{SVG}polygon", f"{SVG}path"):
            if element.get("class") == "paper":
                color = PAPER if theme == "light" else NIGHT
            numbers = [float(x) for x in re.findall(r"-?[\d.]+", element.get("points") or element.get("d") or "")]
            xs, ys = numbers[::2], numbers[1::2]
            painted.append(((min(xs), min(ys), max(xs), max(ys)), color))
    assert read > 5


def contrast(one: str, other: str) -> float:
    """Of two colours, between 1 and 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    """How light a colour looks, between 0 and 1."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_measure_of_contrast() -> None:
    """At its ends, and at the grey that is known to be just enough on white."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert contrast(PAPER, PAPER) == 1.0


def test_the_paper_is_white_or_the_pages(raw: Callable[[Graph], str]) -> None:
    """No white box in the dark; where a picture cannot know its page, it brings dark paper along."""
    root = polished(raw(neuron()))[1]
    sheet, key = root.findtext(f"{SVG}style", ""), root.get("id")
    papers = [element for element in root.iter() if element.get("class") == "paper"]
    assert [(paper.tag, paper.get("fill")) for paper in papers] == [(f"{SVG}polygon", "#ffffff")]
    order = [
        f'[fill="{PAPER.lower()}"]',
        f"#{key} .paper{{fill:light-dark(#ffffff,transparent)}}",
        f"#{key}:root .paper",
    ]
    places = [sheet.index(rule) for rule in order]
    assert all(before < after for before, after in pairwise(places))
