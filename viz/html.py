"""What every page of ours has: one file, that may run its own script and styles, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from autograd import files
from viz.palette import DARK

#: What would end the script that data stand in, or a line of it.
_INERT = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def written(path: Path, page: str) -> Path:
    """The file, once the whole page is in it.

    Raises:
        ValueError: if its suffix promises anything else.
    """
    if path.suffix.lower() not in (".html", ".htm") and not files.is_stream(path):
        raise ValueError(f"a page is HTML: {path.name!r} must end in .html; pictures are written by viz.save")
    files.replace(path, page.encode())
    return path


def filled(template: Path, parts: Mapping[str, str]) -> str:
    """A template with ``{{name}}`` replaced by the part of that name, and ``{{policy}}`` by what a browser may do.

    The policy allows the template's scripts and styles, known by their hashes: none that a part might bring along.
    """

    def fill(text: str, parts: Mapping[str, str]) -> str:
        # In one go, so that a label which looks like a place is not filled in turn.
        return re.sub(r"{{(\w+)}}", lambda found: parts.get(found[1], found[0]), text)

    text = template.read_text(encoding="utf-8")
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, content in re.findall(r"<(script|style)>(.*?)</\1>", text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(fill(content, parts).encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    allowed = "; ".join(f"{kind}-src {' '.join(found)}" for kind, found in hashes.items())
    policy = f"default-src 'none'; {allowed}; img-src data:; base-uri 'none'; form-action 'none'"
    return fill(text, {**parts, "policy": policy})


def in_script(data: object) -> str:
    """Data as JSON that can stand in a script, whatever the labels in it say."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_INERT)


def number_in_json(x: float) -> float | str:
    """A number; one for which JSON has no word is a text that JavaScript reads as one."""
    return x if math.isfinite(x) else "NaN" if math.isnan(x) else "Infinity" if x > 0.0 else "-Infinity"


def properties(colors: Mapping[str, str]) -> str:
    """Colours of the palette as custom properties of a style sheet, for the light and for the dark."""
    return "".join(f"--{name}:light-dark({color},{DARK[color]});" for name, color in colors.items())
