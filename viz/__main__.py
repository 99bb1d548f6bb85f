"""Draws an expression as a graph with the gradient of every value, and writes out the chain rule.

For example:
  python -m viz "tanh(x*w + b)" x=2 w=-3 b=6.88
  python -m viz "n = x*w + b; o = tanh(n)" x=2 w=-3 b=6.88 -o neuron.svg --parameters w,b
  echo "x = pi/6; sin(x)**2" | python -m viz - --explain x --check

An expression is made of numbers, names, + - * / ** as in Python, brackets, pi, and the functions below.
Assignments, with ; or a new line between them, name their values; a name that is assigned a number is a
variable, too. An expression that begins with - stands after all options and --.

exit codes: 0 done, 1 the check failed, 2 the expression or an option is wrong, 3 nothing could be drawn
"""

from __future__ import annotations

import argparse
import codecs
import io
import os
import sys
import textwrap
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from autograd import Graph, Value, files, gradcheck
from autograd.calculus import GradientCheck
from autograd.operations import printable, table
from viz.chain import explain
from viz.drawing import save
from viz.expression import CONSTANTS, LONGEST, PLAIN, names, nearest, parse
from viz.page import page
from viz.picture import FORMATS
from viz.table import graph_table
from viz.text import pretty
from viz.tree import tree

_SUFFIXES = (*FORMATS, "html")
#: The most variables by which the chain rule is written out unasked.
_MANY = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for.

    Args:
        argv: the arguments; those of the process, if left out.

    Returns:
        The exit code, as in ``--help``; 130 after Ctrl-C, and 141 where nobody reads what is printed.
    """
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        print(end="", flush=True)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except (ValueError, ArithmeticError) as error:
        return _told(error, 2)
    except (OSError, RuntimeError) as error:
        return _told(error, 3)
    return code


def _told(error: Exception, code: int) -> int:
    lines = "\n".join([str(error), *getattr(error, "__notes__", ())]).split("\n")
    print(*map(printable, lines), sep="\n", file=sys.stderr)  # an argument may hold what moves a terminal's cursor
    return code


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """An error for main to tell, without the usage, in which it would be lost."""
        hint = "; an expression that begins with - stands after --" if message.startswith("unrec") else ""
        raise ValueError(printable(message)[:300] + hint)


def _parser() -> argparse.ArgumentParser:
    usage = 'python -m viz "EXPRESSION" [NAME=NUMBER …] [options]'
    look: Any = {"formatter_class": argparse.RawDescriptionHelpFormatter, "add_help": False, "allow_abbrev": False}
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = _Arguments(usage=usage, description=about, epilog=f"{more}\nfunctions:\n{_functions()}", **look)
    add = parser.add_argument
    add("words", nargs="*", metavar="EXPRESSION", help="the expression, or - to read it; and its NAME=NUMBER")
    add("--explain", nargs="?", const="", metavar="NAME", help="the chain rule, by NAME or by every variable")
    add("--tree", action="store_true", help="the graph as a tree")
    add("--table", action="store_true", help="every value, slope and gradient in a table")
    add("--check", action="store_true", help="the gradients next to finite differences")
    suffixes = f"a picture, or a live page: {', '.join(_SUFFIXES)}"
    add("-o", "--output", action="append", default=[], metavar="FILE", help=suffixes)
    for name, (metavar, help) in _DRAWING.items():
        add(f"--{name}", metavar=metavar, help=help)
    add("-h", "--help", action="store_true", help="this page")
    add("--version", action="store_true", help="the version")
    return parser


#: The options of pictures, which are those of viz.draw.
_DRAWING = {
    "parameters": ("NAME,…", "variables to draw as parameters"),
    "highlight": ("NAME", "draw what does not depend on it in the background"),
    "hide": ("PART,…", "leave out data, grads, partials, formulas or curves"),
    "detail": ("HOW", "full, compact, neurons or layers, whatever the size"),
    "rankdir": ("WAY", "LR, RL, TB or BT: where the values run"),
    "style": ("STYLE", "cards or classic"),
    "title": ("TEXT", "what the picture is called"),
}


def _functions() -> str:
    """The rows of the table as they are called."""
    calls = ["prod([…])"]
    for row in table.values():
        operands = ["[…]"] * len(row.partials) if row.nary else list("xyzuvw"[: len(row.partials)])
        for j, default in enumerate(reversed(row.defaults), start=1):
            operands[-j] += f"={default:g}"
        calls.append(f"{row.name}({','.join(operands)})")  # without spaces, where a line could end
    return textwrap.fill("  ".join(calls), 96, initial_indent="  ", subsequent_indent="  ").replace(",", ", ")


def _run(argv: list[str]) -> int:
    end = argv.index("--") if "--" in argv else len(argv)
    parser = _parser()
    options = parser.parse_intermixed_args(argv[:end])
    words = options.words + argv[end + 1 :]
    if options.help or options.version:
        print(parser.format_help() if options.help else _version(), end="")
        return 0
    if not words:
        raise ValueError('an expression is missing, such as in: python -m viz "x**2" x=3')
    for path in options.output:
        suffix = Path(path).suffix.removeprefix(".").lower()
        if suffix not in _SUFFIXES and (suffix or not files.is_stream(Path(path))):
            raise ValueError(f"cannot draw to {path!r}: the suffix must be one of {', '.join(_SUFFIXES)}")
    # One character more than there may be tells that there are too many, however many come.
    text = sys.stdin.read(LONGEST + 1) if words[0] == "-" else words[0]
    y = _computed(text, words[1:])
    graph = Graph(y)
    if graph.leaves:
        graph.backward()
    elif options.check or options.explain is not None:
        raise ValueError("there is nothing to differentiate: the expression has no variables")
    drawing = _drawing(options, graph)
    parts: list[object] = []
    if options.explain is not None:
        by = [_find(graph, "explain", options.explain)] if options.explain else graph.leaves
        if len(by) > _MANY:
            raise ValueError(f"--explain: there are {len(by):,} variables; name one of them")
        parts += [explain(y, x) for x in by]
    if options.tree:
        parts.append(tree(graph))
    if options.table:
        parts.append(graph_table(y))
    failed = False
    if options.check:
        parts.append(report := _checked(graph))
        failed = not report
    if not parts and not options.output:
        parts = [_summary(graph), tree(graph)]
    print(*parts, sep="\n\n", end="\n" if parts else "", flush=True)
    for path in options.output:
        if path.lower().endswith(".html"):
            page(y, path, parameters=drawing.get("parameters", ()), title=drawing.get("title"))
        else:
            save(graph, path, **drawing)
        if not files.is_stream(Path(path)):  # what reads the picture there shall read nothing else
            print(f"{printable(path)} is written")
    return int(failed)


def _version() -> str:
    try:
        return f"gradgraph {metadata.version('gradgraph')}\n"
    except metadata.PackageNotFoundError:
        return "gradgraph, not installed\n"


def _computed(text: str, words: Sequence[str]) -> Value:
    """The expression at the numbers that were given, exactly one for each name that needs it."""
    needed = names(text)
    numbers: dict[str, float] = {}
    for word in words:
        name, _, number = (part.strip() for part in word.translate(PLAIN).partition("="))
        if not name.isidentifier() or not number:
            raise ValueError(f"{word[:60]!r} is no NAME=NUMBER, such as x=2; is the expression in quotes?")
        if name in numbers:
            raise ValueError(f"{name:.60} is given twice")
        try:
            numbers[name] = float(number)
        except ValueError:
            raise ValueError(f"{word[:60]!r} gives {name:.60} no number, such as {name:.60}=2") from None
    known = {*numbers, *CONSTANTS, *table, "prod"}  # a function without its operands is told by the expression
    if missing := [name for name in needed if name not in known]:
        near = nearest(missing[0], [name for name in numbers if name not in needed])
        example = " ".join(f"{name}=1" for name in missing[:5])
        raise ValueError(f"no number for {', '.join(missing[:10])}{near}\ngive one to each, such as {example}")
    y = parse(text, numbers)
    for name in numbers:
        if name not in needed:
            raise ValueError(f"{name:.60} is not in the expression{nearest(name, needed)}")
    return y


def _find(graph: Graph, option: str, name: str) -> Value:
    """The value of a name that was given to an option."""
    named = {node.label: node for node in graph if node.label}
    if name.translate(PLAIN) not in named:
        told = nearest(name, named) or f"; there are {', '.join([*named][:10])}"
        raise ValueError(f"--{option}: no value is called {name[:60]!r}{told}")
    return named[name.translate(PLAIN)]


def _drawing(options: argparse.Namespace, graph: Graph) -> Any:
    """The options of pictures, as viz.draw takes them."""
    drawing: dict[str, Any] = {name: x for name, x in vars(options).items() if name in _DRAWING and x is not None}
    if drawing and not options.output:
        raise ValueError(f"--{next(iter(drawing))} is about a picture: add -o FILE")
    if "highlight" in drawing:
        drawing["highlight"] = _find(graph, "highlight", drawing["highlight"])
    for name in {"hide", "parameters"} & drawing.keys():
        drawing[name] = drawing[name].replace(" ", "").split(",")
    if "parameters" in drawing:
        drawing["parameters"] = [_find(graph, "parameters", name) for name in drawing["parameters"]]
    return drawing


def _checked(graph: Graph) -> GradientCheck:
    """The gradients next to finite differences of the same operations."""

    def again(*numbers: Any) -> Any:
        at: dict[Value, Any] = dict(zip(graph.leaves, numbers, strict=True))
        for node in graph:
            if node.op:
                at[node] = node.op(*node.op.columns([at.get(parent, parent) for parent in node.parents]))
        return at[graph.roots[0]]

    try:
        return gradcheck(again, graph.leaves)
    except (ValueError, ArithmeticError) as error:
        error.add_note("the check needs the expression on both sides of every number")
        raise


def _summary(graph: Graph) -> str:
    """The value and the gradients, with more digits than pictures have."""
    (y,) = graph.roots
    name = pretty(graph.name(y)) if y.op or y.label else "value"
    rows = [(name, y.data), *((f"∂{name}/∂{pretty(graph.name(x))}", x.grad) for x in graph.leaves)]
    width = max(len(head) for head, _ in rows)
    lines = [f"{head:<{width}} = {x:.10g}" for head, x in rows]
    found = graph.first_nonfinite()
    return "\n".join([*lines, str(found)] if found else lines)


#: For terminals and files whose encoding has no signs of mathematics.
_ASCII = dict(zip("−·×÷∂│├└─█…₀₁₂₃₄₅₆₇₈₉", "-**/d||`-#~0123456789", strict=True)) | {"∞": "inf", "²": "^2", "³": "^3"}


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_ASCII.get(c, "?") for c in error.object[error.start : error.end]), error.end


if __name__ == "__main__":
    codecs.register_error("spelt", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelt")
    code = main()
    try:
        print(end="", flush=True)
    except OSError:  # told by main; what is left would be told again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
