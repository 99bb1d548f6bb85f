"""A diagram laid out and drawn: by the system's Graphviz, or by the one that pygraphviz brings along."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import webbrowser
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import graphviz

from autograd import files
from viz import dot
from viz.curve import Curve
from viz.svg import polish

#: After so many seconds, Graphviz is stopped; pictures of a size that people can read take a tenth of one.
TIME_LIMIT = 20.0
#: Dots per inch of a PNG: sharp on a slide, too.
DPI = 192
#: What pictures are saved as.
FORMATS = ("svg", "png", "pdf", "dot")


class Picture(graphviz.Digraph):  # type: ignore[misc]  # graphviz has no types
    """A ``graphviz.Digraph`` that shows itself in notebooks, and needs no system Graphviz.

    ``source`` is its DOT, ``save("name.png")`` draws it to a file, and ``pipe("svg")`` gives its bytes in a
    format; ``render("name", format="png")`` and ``view()`` do what they do in graphviz.

    >>> from autograd import Value
    >>> from viz import draw
    >>> picture = draw(Value(3.0, label="x") ** 2, title="A square")
    >>> picture
    <Picture: A square>
    >>> picture.source.splitlines()[0]
    'digraph gradient_flow {'
    """

    #: For those who do not see the picture; set by what makes it.
    title = ""
    description = ""
    #: The same in plain text, shown where nothing can be drawn.
    text = ""
    #: The small plots, by the id of their card.
    curves: Mapping[str, Curve] = {}  # a default that is replaced, never changed

    def pipe(
        self, format: str | None = None, *, encoding: str | None = None, engine: str | None = None, quiet: bool = False
    ) -> Any:
        """The picture in a format such as ``svg`` or ``png``, as bytes, or as text in an encoding.

        Raises:
            RuntimeError: if Graphviz is not installed, fails, or takes too long.

        >>> from autograd import Value
        >>> from viz import draw
        >>> draw(Value(3.0)).pipe("svg")[:4], draw(Value(3.0)).pipe("png")[1:4]
        (b'<svg', b'PNG')
        """
        format, engine = format or self.format, engine or self.engine
        with tempfile.TemporaryDirectory() as folder:
            source = self._with_curves(Path(folder), format, engine)
            drawn = _laid_out(source, format, engine)
            if format == "svg":
                try:
                    text = self._with_inline_curves(drawn.decode())
                    drawn = polish(text, title=self.title, description=self.description).encode()
                except (ET.ParseError, UnicodeDecodeError) as error:
                    raise RuntimeError(f"Graphviz failed: what it wrote is not SVG: {error}") from None
        return drawn.decode(encoding) if encoding else drawn

    def render(
        self,
        filename: str | Path | None = None,
        directory: str | Path | None = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        engine: str | None = None,
        quiet: bool = False,
        quiet_view: bool = False,
    ) -> str:
        """Draw to ``filename`` with the format as a further suffix, beside the DOT unless ``cleanup`` is set.

        >>> from autograd import Value
        >>> from viz import draw
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     drawn = draw(Value(3.0)).render("x", folder, format="svg", cleanup=True)
        >>> drawn.endswith("x.svg")
        True
        """
        base = Path(directory or self.directory or "", filename or self.filename)
        path = base.with_name(f"{base.name}.{format or self.format}")
        files.replace(path, self.pipe(format, engine=engine))
        if not cleanup:
            files.replace(base, self.source.encode())
        if view:
            webbrowser.open(path.resolve().as_uri())
        return str(path)

    def save(self, filename: str | Path) -> Path:  # of graphviz, for whom a file is always DOT
        """Draw to a file, in the format that its suffix names: svg, png, pdf or dot.

        The file is replaced only when the picture is complete.

        Raises:
            ValueError: if the suffix is another.
            RuntimeError: if Graphviz is not installed, fails, or takes too long.

        >>> from autograd import Value
        >>> from viz import draw
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     draw(Value(3.0)).save(f"{folder}/x.svg").name
        'x.svg'
        """
        path = Path(filename)
        format = format_of(path)
        files.replace(path, self.source.encode() if format == "dot" else self.pipe(format))
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
        try:
            svg = self.pipe("svg", encoding="utf-8")
            return {"text/html": svg, "image/svg+xml": svg, "text/plain": self.text}
        except RuntimeError as error:
            return {"text/plain": f"{self.text}\n\n({error})"}

    def __repr__(self) -> str:
        return f"<Picture: {self.title}>" if self.title else super().__repr__()

    def _with_curves(self, folder: Path, format: str, engine: str) -> str:
        """The source, whose cells for curves show files with them."""
        source = str(self.source)
        kind = "svg" if format == "svg" else "png"
        for key, curve in self.curves.items():
            path = folder / f"{dot.plot_id(key)}.{kind}"
            path.write_bytes(_SVG_HEAD + _svg_plot(curve).encode() if kind == "svg" else _png_plot(curve))
            cell = re.compile(rf'<td id="{dot.plot_id(key)}"([^>]*)>')
            image = f'<img src="{escape(str(path))}" scale="true"/>'
            source = cell.sub(lambda found, image=image: f"<td{found[1]}>{image}", source)  # type: ignore[misc]
        return source

    def _with_inline_curves(self, svg: str) -> str:
        """Curves as part of the picture, so that the file stands alone."""
        for key, curve in self.curves.items():
            image = re.compile(
                rf'<image xlink:href="[^"]*{dot.plot_id(key)}\.svg" width="[^"]*" height="[^"]*"([^>]*)/>'
            )
            svg = image.sub(lambda found, curve=curve: _svg_plot(curve, found[1]), svg)  # type: ignore[misc]
        return svg


def format_of(path: Path) -> str:
    """The format that a file's suffix names; /dev/stdout, a pipe and the like get svg.

    Raises:
        ValueError: if there is no such format.
    """
    format = path.suffix.removeprefix(".").lower()
    if not format and files.is_stream(path):
        return "svg"
    if format not in FORMATS:
        cure = "; pages are written by viz.page" if format == "html" else ""
        raise ValueError(f"cannot draw to {path.name!r}: the suffix must be one of {', '.join(FORMATS)}{cure}")
    return format


_SVG_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'  # by which Graphviz knows an SVG


def _svg_plot(curve: Curve, place: str = "") -> str:
    width, height = dot.PLOT

    def at(x: float, y: float) -> str:
        return f"{x * width:.2f},{(1.0 - y) * height:.2f}"

    lines = [
        f'<path d="M{at(*points[0])}C{" ".join(at(*p) for p in points[1:])}" fill="none" stroke="{color.lower()}"'
        f' stroke-width="{thickness}" stroke-linecap="round"/>'
        for points, color, thickness in dot.strokes(curve)
    ]
    x, y = at(*curve.point).split(",")
    point = f'<circle cx="{x}" cy="{y}" r="3.2" fill="{dot.point_color(curve).lower()}"/>'
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    # Not preserveAspectRatio as Graphviz has it for images: the plot has the size of its cell.
    x_y = " ".join(re.findall(r'\b[xy]="[^"]*"', place))
    return f'<svg xmlns="http://www.w3.org/2000/svg" {x_y} {size} overflow="visible">{"".join(lines)}{point}</svg>'


def _png_plot(curve: Curve) -> bytes:
    return _laid_out(dot.curve_plot(curve), "png", "neato", "-n2", "-Gdpi=288")


def _laid_out(source: str, format: str, engine: str, *arguments: str) -> bytes:
    """What Graphviz makes of DOT."""
    if format == "png" and not arguments:
        arguments = (f"-Gdpi={DPI}",)
    try:
        command = ["dot", f"-K{engine}", f"-T{format}", *arguments]
        return _run(command, source)
    except OSError:  # there is none, or one that cannot be run here
        pass
    try:
        import pygraphviz
    except ImportError:
        raise RuntimeError(
            "drawing needs Graphviz: install its 'dot' program, or run: pip install 'gradgraph[embedded]'"
        ) from None
    if len(source) > LARGE:  # only another process can be stopped
        return _run([sys.executable, "-P", "-c", _CHILD, format, engine, *arguments], source)
    try:
        drawn: bytes = pygraphviz.AGraph(string=source).draw(format=format, prog=engine, args=" ".join(arguments))
    except Exception as error:  # it has several of its own
        raise RuntimeError(f"Graphviz failed: {' '.join(str(error).split())[:300]}") from None
    return drawn


#: More characters of DOT than any picture has that is drawn unasked.
LARGE = 500_000
_CHILD = """
import sys, pygraphviz
format, engine, *arguments = sys.argv[1:]
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=format, prog=engine, args=" ".join(arguments)))
"""


def _run(command: list[str], source: str) -> bytes:
    """The output of a program that is given some DOT."""
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(
            f"Graphviz had not finished after {TIME_LIMIT:g} seconds: draw less of the graph, such as with focus=value"
        ) from None
    if done.returncode or not done.stdout:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"Graphviz failed with exit code {done.returncode}: {' '.join(told[-3:])[:300]}")
    return done.stdout
