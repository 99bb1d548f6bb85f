"""A graph as text: what each value is computed from, and what each gradient is multiplied by."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from autograd import Constant, Graph, Value
from autograd.operations import printable
from viz.palette import RIBBON
from viz.text import SIGNS, columns, cut, graph_of, number, pretty, short, typeset

#: The most lines that are written before the rest is only counted.
LIMIT = 200
#: The cells of the longest bar.
BAR = 12


class Text(str):
    """Text that a prompt shows as it is printed, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def tree(value: Value | Graph, *, width: int | None = None, color: bool | None = None) -> Text:
    """A graph for the terminal: the output first, and below each value its operands.

    A branch carries ``×k``, the local partial by which the gradient is multiplied on its way down.
    A bar is as long as the gradient is large, next to the largest that is shown. A value that is used
    more than once is written out at one place, and elsewhere called ``(above)``.

    Args:
        value: what to write; of a Graph with several roots, one tree after the other.
        width: the columns there are, 20 or more; by default those of the terminal. Where they are few,
            names and bars become shorter, then ``data`` is left out; ``…`` is where a branch goes on.
        color: whether the sign of a gradient has a colour; by default in a terminal, unless the
            environment says NO_COLOR.

    Returns:
        The text, up to 200 lines and a count of the values that are not shown.

    Raises:
        TypeError: if ``value`` is neither a Value nor a Graph.

    >>> x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(7.0, label="b")
    >>> o = (x * w + b).tanh()
    >>> o.backward()
    >>> tree(o, width=80)
    v₆ = tanh        data  0.76  grad  1.00 ██████████
    └─×0.42─ v₅ = +  data  1.00  grad  0.42 ████
       ├─×1─ v₃ = ×  data −6.00  grad  0.42 ████
       │  ├─×−3─ x   data  2.00  grad −1.26 ████████████
       │  └─×2── w   data −3.00  grad  0.84 ████████
       └─×1─ b       data  7.00  grad  0.42 ████
    """
    graph = graph_of(value, "tree")
    width = max(20, shutil.get_terminal_size().columns if width is None else width)
    walk = _walk(graph, width)
    lines = list(islice(walk, LIMIT))
    written = _written(lines, width, _colorful() if color is None else color)
    if hidden := len(graph) - len({line.value for line in lines} - {None}):
        written.append(f"… {hidden:,} more value{'s' if hidden > 1 else ''}")
    elif next(walk, None):
        written.append("…")
    return Text("\n".join(written))


class _Line(NamedTuple):
    #: All that stands before the name.
    branch: str
    #: The name, and what it is: `` = ×``, or ``(above)``.
    name: str
    #: Whose numbers are written; None where they are written above.
    value: Value | None


def _walk(graph: Graph, width: int) -> Iterator[_Line]:
    """The lines from the output down, with a stack of its own; each value's operands come once."""
    deepest = width - min(45, 2 * width // 3)  # leaves room for a pill, a name and two numbers
    shown: set[Value] = set()
    opened: set[Value] = set()
    stack = [(root, "", "") for root in reversed(graph.roots)]
    while stack:
        node, branch, stems = stack.pop()
        name = pretty(graph.name(node))
        name = cut(typeset(name) if isinstance(node, Constant) else name, width // 3)  # −2.5 with a true minus
        closed = bool(node.parents) and len(stems) + 3 > deepest
        if node in opened or (closed and node in shown):
            yield _Line(branch, f"{name} (above)", None)
            continue
        if node.op:
            name += f" = {printable(SIGNS.get(node.op.symbol, node.op.symbol))}"
        yield _Line(branch, f"{name} …" if closed else name, node)
        shown.add(node)
        if closed:  # and opened where it comes again with less indentation
            continue
        opened.add(node)
        operands = list(islice(zip(node.parents, node.partials, strict=True), LIMIT))  # no more can be shown
        pills = [f"×{short(k)}" if node.has_grad and not isinstance(x, Constant) else "" for x, k in operands]
        wide = max(map(len, pills), default=0)
        corner, stem = "└─", "   "  # of the last, which goes onto the stack first
        for (operand, _), pill in zip(reversed(operands), reversed(pills), strict=True):
            rule = f"{pill:─<{wide}}─ " if wide else " "
            stack.append((operand, stems + corner + rule, stems + stem))
            corner, stem = "├─", "│  "


def _written(lines: list[_Line], width: int, color: bool) -> list[str]:
    """The lines in columns, no longer than ``width``."""
    values = [line.value for line in lines]
    grads = [None if value is None or not value.has_grad else value.grad for value in values]
    data = _column("data", ["" if value is None else number(value.data) for value in values])
    grad = _column("grad", ["" if g is None else number(g) for g in grads])
    # What is written above has the whole line for its name.
    heads = [(columns(line.branch), 0 if line.value is None else columns(line.name)) for line in lines]
    # Names give way to bars, bars to numbers, and data to grad; but a little is left of every name.
    least, little = (max(branch + min(name, most) for branch, name in heads) for most in (16, 4))
    if (least if grad[0] else little) + len(data[0]) + len(grad[0]) > width:
        data = [""] * len(lines)
    if little + len(data[0]) + len(grad[0]) > width:
        grad = [""] * len(lines)
    spare = width - len(data[0]) - len(grad[0])
    head = min(max(map(sum, heads)), spare, max(least, spare - BAR - 1) if grad[0] else spare)
    cells = min(BAR, spare - head - 1) if grad[0] else 0
    largest = max((abs(g) for g in grads if g is not None and math.isfinite(g)), default=0.0) or 1.0
    written = []
    for i, line in enumerate(lines):
        name = cut(line.name, (width if line.value is None else head) - heads[i][0])
        gap = " " * (head - heads[i][0] - columns(name))
        backward, g = grad[i], grads[i]
        if g and backward and not math.isnan(g):
            backward += " " + "█" * round(cells * min(1.0, abs(g) / largest))
            if color:  # a ribbon's, which can be read on black and on white
                backward = _painted(backward.rstrip(), RIBBON[1 if g > 0.0 else -1])
        written.append((line.branch + name + gap + data[i] + backward).rstrip())
    return written


def _column(word: str, numbers: list[str]) -> list[str]:
    """Numbers below each other, each after its word; of no width if there are none."""
    width = max(map(len, numbers))
    return [f"  {word} {x:>{width}}" if x else " " * (len(word) + width + 3) * (width > 0) for x in numbers]


def _colorful() -> bool:
    """Whether there is a terminal that shows colours, and a user who wants them."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _painted(text: str, color: str) -> str:
    """A text in a colour, or in a near one of the 256 that nearly every terminal has."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    if os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        code = "2;{};{};{}".format(*rgb)
    else:  # a cube of 6 × 6 × 6, with the levels 0, 95, 135, …, 255
        red, green, blue = (max(0, round((x - 55) / 40)) for x in rgb)
        code = f"5;{16 + 36 * red + 6 * green + blue}"
    return f"\x1b[38;{code}m{text}\x1b[0m"
