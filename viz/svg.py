"""A picture as published: Graphviz's SVG, made to fit its page, to be read aloud, and to follow a dark theme."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from hashlib import sha256

from viz.palette import DARK, INK, NIGHT, PAPER

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"

#: What XML 1.0 has no way to write.
_INVALID = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: The names that Graphviz's versions write for a colour, or for none.
_COLORS = {"white": PAPER.lower(), "black": INK.lower(), "transparent": "none"}


def polish(svg: str, *, title: str, description: str) -> str:
    """The SVG to publish, from the one that Graphviz wrote.

    It starts with ``<svg``, so that it is at once a file and a part of an HTML page. There, it is as
    wide as it would naturally be, or as there is room. Every group has its tooltip as ``<title>``;
    the whole has the given title and description. All ids start with a hash of the content, and the
    same picture is always the same text.

    Colours follow the ``color-scheme`` in which the page around is shown, not the system's setting:
    a dark picture on a page that is always light could not be read. A page may also set the theme by
    ``data-theme="dark"`` or ``"light"`` on any element around.

    Args:
        svg: as Graphviz wrote it, whichever its version.
        title: a sentence, for those who do not see the picture.
        description: the same at length.
    """
    title, description, svg = (_INVALID.sub("", text) for text in (title, description, svg))
    key = "g" + sha256("\0".join((svg, title, description)).encode()).hexdigest()[:8]
    root = ET.fromstring(svg)
    for element in root.iter():
        _clean(element, key)
    for group in root.iter("g"):
        _tell(group)
    for group in root.iter("g"):
        _unwrap(group)
    root[:] = [  # with ids that no node has
        _element("title", title, id=f"{key}--title"),
        _element("desc", description, id=f"{key}--desc"),
        _element("style", _style(root, key)),
        *root,
    ]
    root.attrib = {
        "xmlns": SVG[1:-1],
        "id": key,
        "role": "img",
        "aria-labelledby": f"{key}--title {key}--desc",
        **_size(root),
        "font-family": "Helvetica, Arial, sans-serif",
    }
    return ET.tostring(root, encoding="unicode") + "\n"


def _clean(element: ET.Element, key: str) -> None:
    """Plain names, so that no prefix is needed; ids of this picture; colours as in the palette; one font."""
    element.tag = element.tag.removeprefix(SVG)
    attributes = {name.removeprefix(XLINK): value for name, value in element.items() if name != "font-family"}
    for name, value in attributes.items():
        if name == "id":
            attributes[name] = f"{key}-{value}"
        elif name in ("fill", "stroke"):
            attributes[name] = _COLORS.get(value, value).replace("url(#", f"url(#{key}-")
    if element.tag == "text":
        attributes.setdefault("fill", INK.lower())  # Graphviz leaves black out
    element.attrib = attributes


def _tell(group: ET.Element) -> None:
    """Replace a link to nowhere, in which Graphviz puts a tooltip, by a title."""
    link = group.find("a")
    if link is not None and "href" not in link.attrib:
        group[:] = [_element("title", link.get("title", "")), *link]


def _unwrap(group: ET.Element) -> None:
    """Move what the link wrapped to the node or edge itself, in place of the title there, an internal name."""
    if "class" not in group.attrib:
        return
    key, _, name = group.get("id", "").partition("-")
    children = [child for child in group if child.tag != "title"]
    group[:] = [part for child in children for part in (child if child.get("id") == f"{key}-a_{name}" else [child])]
    sheet = group.find("polygon")
    if group.get("class") in ("graph", "cluster") and sheet is not None and sheet.get("fill") == PAPER.lower():
        sheet.set("class", "paper")


def _style(root: ET.Element, key: str) -> str:
    """The style sheet: what is dark, and how each colour looks then; older browsers show the light picture.

    A page knows what is behind its pictures, so in the dark they have no paper of their own. As a file
    or an ``<img>``, a picture can be sure only of what it brings along.
    """
    used = {(name, element.get(name)) for element in root.iter() for name in ("fill", "stroke")}
    rules = [
        f"#{key}:root{{color-scheme:light dark}}",
        *(f'[data-theme="{theme}"] #{key}{{color-scheme:{theme}}}' for theme in ("light", "dark")),
        f"#{key} text{{font-variant-numeric:tabular-nums}}",
        *(
            f'#{key} [{name}="{light}"]{{{name}:light-dark({light},{dark.lower()})}}'
            for light, dark in ((light.lower(), dark) for light, dark in DARK.items())
            for name in ("fill", "stroke")
            if (name, light) in used
        ),
        f"#{key} .paper{{fill:light-dark({PAPER.lower()},transparent)}}",
        f"#{key}:root .paper{{fill:light-dark({PAPER.lower()},{NIGHT.lower()})}}",
    ]
    return "\n" + "\n".join(rules) + "\n"


def _size(root: ET.Element) -> dict[str, str]:
    """Natural size in pixels, for an ``<img>`` and a file; narrower where the page is."""
    box = " ".join(f"{float(x):g}" for x in root.get("viewBox", "").split())
    width, height = (f"{float(root.get(side, '').removesuffix('pt')) * 4 / 3:.0f}" for side in ("width", "height"))
    return {"viewBox": box, "width": width, "height": height, "style": "max-width:100%;height:auto"}


def _element(tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.Element(tag, attributes)
    element.text, element.tail = text, "\n"
    return element
