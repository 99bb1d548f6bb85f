"""What SECURITY.md promises: no text of others is run, in Python, in a browser or in a terminal."""

import ast
import functools
import http.server
import io
import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import tokenize
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import autograd
import nn
import viz
from autograd import Graph, Operation, Value, files, fsum, gradcheck, name_scope, sqrt
from autograd import operations as ops
from autograd.operations import BUILT_IN, table
from autograd.register import LIBRARY
from autograd.source import FORMULA, identifier
from nn import SGD, Layer, Module, fit, squared_error
from tests.graphs import PORTABLE, drawn
from viz import (
    Page,
    draw,
    explain,
    graph_table,
    html,
    network,
    page,
    picture,
    plots,
    save,
    training_page,
    tree,
    why_sort,
    worksheet,
)
from viz import __main__ as cli
from viz.expression import ExpressionError, parse
from viz.script import javascript

ROOT = Path(__file__).parent.parent
SOURCES = [path for package in ("autograd", "nn", "viz") for path in sorted((ROOT / package).glob("*.py"))]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

HOSTILE = [
    "<script>hacked=1</script>",
    "</script></style></title></svg><script>hacked=1</script>",
    "]]>--!><img src=x onerror=hacked=1>",
    '" onload="hacked=1" x="',
    "' onload='hacked=1' x='",
    "javascript:hacked=1",
    "&lt;script&gt;&#60;img&#62;",
    "<<TABLE><TR><TD HREF='javascript:hacked=1'>x</TD></TR></TABLE>>",
    r"\N\G\l\E\T\H",
    'x"]; y [URL="javascript:hacked=1"]; z ["',
    "{{rows}}{{data}}{{policy}}",
    "[a](javascript:hacked=1) ![b](x) `c` *d* |e|",
    r"\input{/etc/passwd}\write18{id}\href{javascript:hacked=1}{x}",
    r"}\end{aligned}$$<b>",
    "gnp\u202eexe\u2066a\u2069",
    "\ud800",
    "\x1b[31mred\x1b]0;title\x07\x9b31m",
    "a\r\nb\x0bc\x0cd\x85e\u2028f\u2029g\x00h",
    "\nimport os; os.abort() #",
    "'''\"\"\"\\",
    "\ue000\ue400\ue800\uefff",
    "%s%(x)d{0}{x}",
    "x; import os",
    "<" * 10_000,
    "L" * 100_000,
    "\u0301" * 1_000,
]
#: As many values to a label, so that a page still shows them.
CHUNKS = [HOSTILE[:13], HOSTILE[13:]]
HARMLESS = ["x", "y1", "z[2]", "a b", "a-b", "a_b", "θ", "ñandú", "変数", "f(x)", "5", "", "o" * 60]


def graph(labels: Sequence[str]) -> Graph:
    """Each label on a leaf and on what is computed from it, and as a name scope."""
    units = []
    for j, label in enumerate(labels):
        with name_scope(label):
            x = Value(0.1 * j + 0.5, label=label)
            units.append((x * x).tanh())
            units[-1].label = label
    y = fsum(units)
    y.label = labels[0]
    y.backward()
    return Graph(y)


class Named(Module):
    """A network whose layers have these names."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.layers = [Layer(3 if j == 0 else 1, 1, "tanh", name=label) for j, label in enumerate(labels)]

    def __call__(self, x: Any) -> Any:
        return fsum(functools.reduce(lambda h, layer: layer(h), self.layers, x))


# 1. What runs code.

#: Each place that could run something, and why it does not run what someone else has written.
ALLOWED = {
    ("autograd/source.py", "compile"): "the program's own text: see test_a_program_is_made_of_known_names",
    ("autograd/source.py", "exec"): "the same",
    ("autograd/source.py", "linecache"): "tracebacks and debuggers show that text",
    ("autograd/machine.py", "parse_assembly"): "LLVM's text: see test_machine_code_knows_no_labels",
    ("autograd/machine.py", "ctypes"): "calls what was compiled from it",
    ("autograd/descent.py", "ctypes"): "the same",
    ("autograd/distribution.py", "pickle"): "to and from the workers of an executor that the caller trusts",
    ("viz/picture.py", "subprocess"): "Graphviz, as a list of arguments, none of them a label",
    ("viz/picture.py", "webbrowser"): "view() opens the file that was just written",
    ("autograd/program.py", "importlib"): "is there a llvmlite?",
    ("nn/training.py", "importlib"): "is there a numpy?",
    ("viz/__main__.py", "importlib"): "the version",
}
MODULES = {
    *("subprocess", "pickle", "marshal", "shelve", "dill", "cloudpickle", "ctypes", "importlib", "runpy", "code"),
    *("codeop", "pty", "multiprocessing", "socket", "urllib", "http", "requests", "webbrowser", "linecache", "yaml"),
}
CALLS = {
    *("eval", "exec", "compile", "__import__", "execfile", "breakpoint", "input", "parse_assembly", "parse_bitcode"),
    *("system", "popen", "startfile", "fork", "execv", "execve", "execvp", "spawnl", "spawnv", "posix_spawn"),
}


def dangers(source: str) -> set[str]:
    """What of that is imported or called."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0], *(name.name for name in node.names)} & MODULES
        elif isinstance(node, ast.Name):
            found |= {node.id} & CALLS
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of_graph_or_pattern = node.attr in ("compile", "eval") and node.value.id not in ("builtins", "__builtins__")
            found |= set() if of_graph_or_pattern else {node.attr} & CALLS
        elif isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
            found.add(node.arg)
    return found


def test_code_is_run_where_it_says() -> None:
    """And nowhere else."""
    found = {
        (path.relative_to(ROOT).as_posix(), danger) for path in SOURCES for danger in dangers(path.read_text("utf-8"))
    }
    assert found == ALLOWED.keys()
    hidden = "from os import system; system('x'); import pickle as p; (eval)('x'); np.load(f, allow_pickle=1)"
    assert dangers(hidden) == {"system", "pickle", "eval", "allow_pickle"}


def test_scripts_write_text_only() -> None:
    """The pages' own: nothing that takes a string for markup or for code, and nothing from elsewhere."""
    for path in sorted((ROOT / "viz").glob("*.html")):
        text = path.read_text("utf-8")
        sinks = r"innerHTML|outerHTML|insertAdjacent|createContextualFragment|document\.write|srcdoc|DOMParser"
        assert not re.findall(rf"{sinks}|\beval\b|\bFunction\(|import\(|fetch\(|XMLHttp|WebSocket|localStorage", text)
        tags = re.findall("<script[^>]*>", text)
        assert {re.sub(' type="application/json" id="[a-z]+"', "", tag) for tag in tags} == {"<script>"}
        assert not re.findall(r"\s(?:on\w+|style|src|action)=|javascript:|@import|url\(", text.partition("<script")[0])


def test_other_modules_are_not_those_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that lays out a large picture does not import what lies about."""
    for name in ("pygraphviz", "re"):
        (tmp_path / f"{name}.py").write_text("open('hacked', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(picture, "LARGE", 0)
    assert draw(Value(1.0, label="x")).pipe("svg").startswith(b"<svg")
    assert not (tmp_path / "hacked").exists()


# 2. Generated code.


def test_an_operation_has_the_name_of_an_identifier() -> None:
    """Which is what its name becomes in programs."""
    for name in (*("x; import os", "a b", "", "1", "x\n", "x#", 'x"', "a.b", "x(", "\ud800"), *HOSTILE[:20]):
        with pytest.raises(ValueError, match="an operation's name must be a Python identifier"):
            Operation(name, lambda x: x, (lambda x, z: 1.0,))
    assert not any(name not in BUILT_IN and not name.isidentifier() for name in table)


#: What a generated program consists of: no attribute but a row's, no string but its name.
NODES = (
    *(ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Assign, ast.AugAssign, ast.Return, ast.Expr),
    *(ast.Call, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.List, ast.Tuple, ast.ListComp),
    *(ast.comprehension, ast.Subscript, ast.Starred, ast.Name, ast.Constant, ast.expr_context, ast.ImportFrom),
    *(ast.alias, ast.Attribute),
)


def strange(text: str, labels: Sequence[str], rows: Sequence[str] = ()) -> list[str]:
    """What is in a program that the table and the labels' identifiers do not account for."""
    own = "|".join({re.escape(identifier(label)) for label in labels} | {r"v\d+", "unused"})
    rows = [*table, *map(identifier, rows)]
    known = rf"(grad_)*({own})(_\d+)*|t(_\d+)?|part_\d+|program|inputs|parameters|memory|i|inf|nan|table"
    allowed = re.compile(rf"{known}|({'|'.join(rows)})(_\d+)?")
    found = [repr(line) for line in text.split("\n") if not line.isprintable()]
    for node in ast.walk(ast.parse(text)):
        fine = isinstance(node, NODES)
        if isinstance(node, (ast.Name, ast.FunctionDef, ast.arg)):
            name = (
                node.id if isinstance(node, ast.Name) else node.name if isinstance(node, ast.FunctionDef) else node.arg
            )
            fine = bool(allowed.fullmatch(name))
        elif isinstance(node, ast.Constant):
            fine = type(node.value) in (float, int) or node.value in table
        elif isinstance(node, ast.Attribute):
            fine = node.attr == "forward" and isinstance(node.value, ast.Subscript)
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            fine = (node.module, names) == ("autograd.operations", {"table"}) or (
                node.module == "math" and names <= {*table, "inf", "nan"}
            )
        found += [] if fine else [ast.dump(node)]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and token.string not in ("# forward", "# backward"):
            shown = [label[:FORMULA] for label in labels]
            found += [] if ast.literal_eval(token.string[1:].strip()) in shown else [token.string]
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_program_is_made_of_known_names(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of random graphs with hostile labels, also in parts: names, numbers and comments are those that are expected."""
    if seed % 2:
        monkeypatch.setattr("autograd.source.PART", 4)
    recipe = drawn(seed)
    recorded = recipe(recipe.leaves)
    whole = Graph(*recorded.roots)
    labels = [HOSTILE[(j + 5 * seed) % len(HOSTILE)] for j in range(len(whole))]
    for node, label in zip(whole, labels, strict=True):
        node.label = node.scope = label
    program = whole.compile(recorded.inputs, recorded.wrt, backend="source")
    assert strange(program.source(), labels) == []
    assert strange(program.source(), labels[:0])  # the labels are there


def test_the_search_for_what_is_strange() -> None:
    """Finds what a label could bring about."""
    for text in ("import os", "os.abort()", "x = 'a'", "x = y.forward", "lambda: 0", "from math import pi", "# a\n"):
        if text == "# a\n":
            with pytest.raises(ValueError, match="malformed"):
                strange(text, ["x"])
        else:
            assert strange(text, ["x", "y"]), text


def test_numbers_in_generated_code() -> None:
    """What is no literal is a name that the text itself brings along; -0.0 keeps its sign."""
    x = Value(2.0, label="inf")
    numbers = [math.inf, -math.inf, math.nan, -0.0, 1e308, 5e-324, 0.1]
    text = Graph(*(x * n for n in numbers)).compile([x], backend="source").source()
    assert strange(text, ["inf"]) == []
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    values, _ = namespace["program"]([2.0], [])
    assert [str(v) for v in values] == [str(2.0 * n) for n in numbers]


@pytest.mark.parametrize("seed", range(3))
def test_machine_code_knows_no_labels(seed: int) -> None:
    """The text that LLVM is given is the same whatever a graph's values are called, and calls what it should."""
    recipe = drawn(seed, PORTABLE)
    texts = []
    for labels in ([""], HOSTILE):
        recorded = recipe(recipe.leaves)
        for j, node in enumerate(Graph(*recorded.roots)):
            node.label = node.scope = labels[j % len(labels)]
        texts.append(Graph(*recorded.roots).compile(recorded.inputs, recorded.wrt, backend="llvm").source("llvm"))
    assert texts[0] == texts[1]
    named = set(re.findall(r"@([^\s(]+)\(", texts[0]))
    own = r"(part|forward|backward|outer|starts)\d+|one|batch|program|run|driver|llvm\.[\w.]+"
    assert [x for x in named if not re.fullmatch(own, x) and x.partition(".")[0] not in LIBRARY] == []


def test_the_name_of_a_users_row_is_not_in_machine_code() -> None:
    """Its arithmetic is; and one that is no arithmetic is not compiled."""
    texts = []
    for name in ("safe", "exp_", "größe"):
        row = Operation(name, lambda x: x * x + 1.0, (lambda x, z: 2.0 * x,))
        texts.append(Graph(row(Value(2.0))).compile(backend="llvm").source("llvm"))
        del table[name]
    assert len(set(texts)) == 1
    foreign = Operation("foreign_to_llvm", lambda x: float(str(x)), (lambda x, z: 1.0,))
    with pytest.raises(TypeError, match="plain arithmetic"):
        Graph(foreign(Value(2.0))).compile(backend="llvm")
    del table["foreign_to_llvm"]


def test_javascript_is_made_of_known_names() -> None:
    """Every row, and one with the numbers for which JavaScript has other words."""
    odd = Operation("odd_numbers", lambda x: x * math.inf - -0.0 + math.nan, (lambda x, z: -math.inf * z,))
    token = re.compile(
        rf"F\.({'|'.join(BUILT_IN)})\b|x\d+|[fdzF]|Infinity|NaN|\d+(\.\d+)?(e[-+]?\d+)?|=>|[-+*(){{}}\[\],: ]"
    )
    for op in (*(table[name] for name in BUILT_IN), odd):
        text = javascript(op, 2 * len(op.partials) if op.nary else len(op.partials))
        assert token.sub("", text) == "", text
    assert "Infinity" in javascript(odd, 1)
    del table["odd_numbers"]


# 3. Views: what is shown of a label is text, and nothing else.


def errors(labels: Sequence[str]) -> Iterator[str]:
    """What is said where something goes wrong."""
    for label in labels:
        x = Value(-1.0, label=label)
        for fails in (x.log, lambda x=x: Graph(x.log()), lambda x=x: 1.0 / (x - x)):
            with pytest.raises((ValueError, ZeroDivisionError)) as caught:
                fails()
            yield "\n".join([str(caught.value), *caught.value.__notes__])
        program = Graph(Value(1.0, label=label).log() + x).compile([x])
        yield repr(program)
        zero = Value(0.0, label=label)
        yield str(Graph(sqrt(zero)).first_nonfinite())
        compiled = Graph(zero.exp().log()).compile([zero])
        with pytest.raises(ValueError, match=r"math domain error|positive") as caught:
            compiled(-1e9)
        yield "\n".join([str(caught.value), *caught.value.__notes__])
        yield str(gradcheck(lambda x: x * x, [x]))


TEXTS: dict[str, Callable[[Graph], Any]] = {
    "repr": lambda g: [repr(g), *map(repr, g)],
    "names": lambda g: map(g.name, g),
    "steps": lambda g: map(str, g.steps()),
    "paths": lambda g: [str(path) for leaf in g.leaves for path in g.paths(g.roots[0], leaf)],
    "errors": lambda g: errors([leaf.label for leaf in g.leaves]),
    "tree": lambda g: [str(tree(g, width=width)) for width in (40, 100)],
    "explain": lambda g: [str(explain(g.roots[0], x, paths=True, check=True)) for x in g.leaves],
    "table": lambda g: [str(graph_table(g)), graph_table(g).markdown()],
    "why": lambda g: [str(why_sort(g.roots[0])), why_sort(g.roots[0]).markdown()],
    "latex": lambda g: [explain(g.roots[0], x, paths=True).latex() for x in g.leaves],
    "source": lambda g: [g.compile(g.leaves, backend="source").source()],
    "page": lambda g: [repr(Page(g))],
    "picture": lambda g: [repr(draw(g)), draw(g).text, draw(g).source, draw(g, style="classic").source],
}


@pytest.mark.parametrize("view", TEXTS)
@pytest.mark.parametrize("chunk", range(2))
def test_text_has_no_control_characters(view: str, chunk: int) -> None:
    """Nothing reaches a terminal that moves its cursor, changes its colours, or turns the direction of reading."""
    for text in TEXTS[view](graph(CHUNKS[chunk])):
        assert [line[:200] for line in text.split("\n") if not re.sub("[\t\xa0]", "", line).isprintable()] == []


def commands(g: Graph) -> Counter[str]:
    """The commands in the LaTeX of all derivations."""
    written = " ".join(explain(g.roots[0], x, paths=True).latex() for x in g.leaves)
    assert re.sub(r"\\.", "", written).count("{") == re.sub(r"\\.", "", written).count("}")
    return Counter(re.findall(r"\\(?:[a-zA-Z]+|.)", written))


def test_latex_has_no_commands_of_a_label() -> None:
    """Neither one that reads a file, nor one that ends the environment."""
    escapes = {*(rf"\{c}" for c in r"{}$&#_% "), r"\backslash", r"\wedge", r"\sim", r"\text", r"\mathrm"}
    harmless = commands(graph(HARMLESS))
    for chunk in CHUNKS:
        found = commands(graph(chunk))
        assert found.keys() - harmless.keys() <= escapes
        assert found[r"\end"] == found[r"\begin"] == len(chunk)


def in_markdown(text: str) -> str:
    """What is left of Markdown without what is escaped."""
    return re.sub(r"\\.", "", text)


def test_markdown_has_no_markup_of_a_label() -> None:
    """No element, link, image, code or emphasis."""
    for chunk in CHUNKS:
        g = graph(chunk)
        for text in (graph_table(g).markdown(), why_sort(g.roots[0]).markdown()):
            assert not re.search(r"<|\]\(|`|\*(?!\*)(?<!\*\*)", in_markdown(text))


def pictures(labels: Sequence[str], folder: Path) -> Iterator[str]:
    """Every kind of SVG."""
    g, title = graph(labels), labels[0]
    for options in ({"title": title}, {"style": "classic"}, {"detail": "neurons"}):
        yield draw(g, **options).pipe("svg", encoding="utf-8")  # type: ignore[arg-type]
    for path in worksheet(g.roots[0], folder / "sheet.svg"):
        yield path.read_text("utf-8")
    loss = squared_error(Named(labels)([1.0, 2.0, 3.0]), 0.5)
    loss.label = labels[1]
    loss.backward()
    yield network(loss, title=title).pipe("svg", encoding="utf-8")
    yield why_sort(g.roots[0]).picture().pipe("svg", encoding="utf-8")


Parts = set[tuple[str, str]]


def parts_of_svg(text: str) -> Parts:
    """Its elements and their attributes; of those that could lead elsewhere, with what they say."""
    telling = ("style", "href", "src", "class", "role")
    found = set()
    for element in ET.fromstring(text).iter():
        tag = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
        found |= {(tag, ""), *((tag, f"{name}={x}" if name in telling else name) for name, x in element.items())}
    return found


@pytest.mark.skipif(not shutil.which("dot"), reason="there is no Graphviz")
def test_pictures_have_no_elements_of_a_label(tmp_path: Path) -> None:
    """No script, link, image or foreign object: what is in the picture of harmless labels, and no more."""
    harmless = set().union(*map(parts_of_svg, pictures(HARMLESS, tmp_path)))
    assert {tag for tag, _ in harmless} <= {
        *("svg", "g", "title", "desc", "style", "path", "polygon", "polyline", "ellipse", "circle", "text"),
    }
    for chunk in CHUNKS:
        for text in pictures(chunk, tmp_path):
            assert parts_of_svg(text) <= harmless
            assert "url(" not in text
            assert "@import" not in text


@pytest.mark.skipif(not shutil.which("dot"), reason="there is no Graphviz")
@pytest.mark.parametrize("style", ["cards", "classic"])
def test_dot_has_no_nodes_of_a_label(style: Any) -> None:
    """As Graphviz itself reads it: as many nodes and edges, with the same attributes."""

    def read(labels: Sequence[str]) -> list[list[str]]:
        source = draw(graph(labels), style=style).source
        done = subprocess.run(["dot", "-Tjson0"], input=source.encode(), capture_output=True, check=True, timeout=60)
        assert done.stderr == b""
        told = json.loads(done.stdout)
        return [sorted(part) for kind in ("objects", "edges") for part in told[kind]]

    harmless = read([f"h{j}" for j in range(13)])
    for chunk in CHUNKS:
        found = read(chunk)
        assert {key for part in found for key in part} <= {key for part in harmless for key in part}
        assert len(found) <= len(harmless)


def test_plots_show_names_as_they_are(tmp_path: Path) -> None:
    """Of classes: without what no font has, and not as formulas."""
    names = [label[:30] for label in HOSTILE[:22]]
    plots.confusion([[int(i == j) for i in names] for j in names], names).savefig(tmp_path / "a.svg")
    tags = {element.tag.partition("}")[2] for element in ET.parse(tmp_path / "a.svg").iter()}
    assert not tags & {"script", "a", "image", "foreignObject"}


# 4. In a browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, which remembers what its console says."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    folder = tmp_path_factory.mktemp("chromium")
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", f"user-data-dir={folder}"):
        options.add_argument(f"--{argument}")
    for argument in (
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        "force-prefers-reduced-motion",  # or a film begins to play
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driven = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driven
    driven.quit()


READ = """
const telling = ["style", "href", "src", "srcdoc", "action", "type", "http-equiv"];
const found = new Set(), page = new DOMParser().parseFromString(arguments[0], "text/html");
for (const element of page.querySelectorAll("*")) {
  found.add(element.localName);
  for (const {name, value} of element.attributes)
    found.add(`${element.localName} ${name}${telling.includes(name) ? "=" + value : ""}`);
}
return [[...found], page.querySelectorAll("script").length, page.querySelectorAll("style").length];
"""


def film(labels: Sequence[str], path: Path) -> Path:
    """A training of two epochs."""
    model, states = Named(labels), []
    data = [([0.0, 1.0, 2.0], 1.0), ([1.0, 0.0, 2.0], 0.0)]
    quiet: dict[str, Any] = {"epochs": 2, "progress": False, "compiled": False}
    optimizer = SGD(model.parameters(), lr=0.1)
    told = fit(model, squared_error, data, optimizer, after_epoch=lambda m: states.append(m.state_dict()), **quiet)
    return training_page(model, told, path, states=states, data=data, loss=squared_error)


def markup(labels: Sequence[str], folder: Path) -> dict[str, str]:
    """Every kind of HTML."""
    g = graph(labels)
    return {
        "explain": "".join(explain(g.roots[0], x, paths=True, check=True).html() for x in g.leaves),
        "table": graph_table(g).html(),
        "why": why_sort(g.roots[0]).html(),
        "page": page(g, folder / "page.html", title=labels[2]).read_text("utf-8"),
        "film": film(labels, folder / "film.html").read_text("utf-8"),
    }


def test_pages_have_no_elements_of_a_label(browser: Any, tmp_path: Path) -> None:
    """As a browser reads them; and opened, with all labels on them, they run nothing else, and work."""
    browser.get("about:blank")
    harmless = {name: browser.execute_script(READ, text) for name, text in markup(HARMLESS, tmp_path).items()}
    mathematics = {"math", "mrow", "mi", "mn", "mo", "mtext", "msub", "mfrac", "mspace", "mspace width"}
    for chunk in CHUNKS:
        browser.get("about:blank")
        for name, text in markup(chunk, tmp_path).items():
            found, scripts, styles = browser.execute_script(READ, text)
            assert {*found} - {*harmless[name][0]} <= mathematics, name
            assert [scripts, styles] == harmless[name][1:], name
        for name in ("page", "film"):
            browser.get((tmp_path / f"{name}.html").as_uri())
            assert browser.execute_script("return typeof hacked") == "undefined"
            assert browser.get_log("browser") == []
        assert browser.find_element("id", "told").text.startswith("epoch 1 of 2")


POLICY = re.compile(
    "default-src 'none'; script-src( 'sha256-[A-Za-z0-9+/]{43}=')+; style-src( 'sha256-[A-Za-z0-9+/]{43}=')+; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)
INJECTED = """<script>hacked=1</script><img src=x onerror="hacked=2"><style>body{color:rgb(1,2,3)}</style>
<p style="color:red"></p><svg onload="hacked=3"></svg><script src="data:text/javascript,hacked=4"></script>
<a href="javascript:hacked=5" id="link">x</a><base href="https://example.org/">
<iframe srcdoc="<script>parent.hacked=6</script>">
</iframe><object data="data:text/html,x"></object>
<form action="javascript:hacked=7"><button id="send">x</button></form>
"""


@pytest.mark.parametrize("kind", ["page", "film"])
def test_a_page_refuses_what_is_not_its_own(kind: str, browser: Any, tmp_path: Path) -> None:
    """Its policy stands before everything else; what was put in later does not run, and the page works all the same."""
    path = tmp_path / "a.html"
    if kind == "page":
        page(graph(["x", "y"]), path)
    else:
        film(["h", "o"], path)
    text = path.read_text("utf-8")
    found = re.fullmatch(r'.*?<meta http-equiv="Content-Security-Policy" content="([^"]*)">.*', text, re.DOTALL)
    assert found is not None
    assert POLICY.fullmatch(found[1])
    assert not re.search("<script|<style|<link|<title", text[: found.start(1)])
    assert "unsafe" not in found[1]
    path.write_text(text.replace("</h1>", f"</h1>{INJECTED}").replace("</body>", f"{INJECTED}</body>"), "utf-8")
    browser.get(path.as_uri())
    browser.execute_script("document.getElementById('link').click(); document.getElementById('send').click()")
    assert browser.execute_script("return typeof hacked") == "undefined"
    assert browser.execute_script("return getComputedStyle(document.body).color") != "rgb(1, 2, 3)"
    refused = " ".join(entry["message"] for entry in browser.get_log("browser"))
    for directive in ("script-src", "style-src", "form-action", "base-uri", "img-src"):
        assert directive in refused
    button = browser.find_element("css selector", "[data-go=next], #next")
    browser.execute_script("arguments[0].click()", button)
    told = browser.find_element("css selector", "#says, #told").text
    assert told.startswith(("x² = ", "epoch 2 of 2", "x · x = "))


def test_the_policy_has_no_hash_of_what_a_part_brings(tmp_path: Path) -> None:
    """Even if an escape were forgotten somewhere."""
    template = tmp_path / "a.html"
    template.write_text("{{policy}}<style>{{colour}}</style><p>{{label}}</p><script>{{rows}}</script>", "utf-8")
    parts = {"colour": "a{}", "rows": "f()", "label": "y"}
    (policy, _, _) = html.filled(template, parts).partition("<style>")
    assert POLICY.fullmatch(policy)
    told = html.filled(template, {**parts, "label": "<script>hacked=1</script><style>b{}</style>{{policy}}{{rows}}"})
    assert told.startswith(
        f"{policy}<style>a{{}}</style><p><script>hacked=1</script><style>b{{}}</style>{{{{policy}}}}"
    )


@pytest.mark.parametrize(
    ("policy", "refused", "dark"),
    [
        ("default-src 'none'; style-src 'unsafe-inline'", False, True),
        ("default-src 'none'", True, False),
    ],
)
def test_pictures_under_a_policy(policy: str, refused: bool, dark: bool, browser: Any, tmp_path: Path) -> None:
    """With styles alone, a picture is whole; without, it is there in its light colours. As an image, it may be both."""
    path = save(graph(["x", "y"]), tmp_path / "a.svg")
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            image = self.path.endswith(".svg")
            self.send_response(200)
            self.send_header("Content-Type", "image/svg+xml" if image else "text/html")
            self.send_header("Content-Security-Policy", policy if image else "default-src 'none'; img-src 'self'")
            self.end_headers()
            self.wfile.write(path.read_bytes() if image else b'<title>x</title><img src="/b.svg" id="img">')

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get_log("browser")
        browser.get(f"http://127.0.0.1:{server.server_port}/a.svg")
        log = [entry["message"] for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
        assert any("style" in message for message in log) is refused, log
        texts = "return [...document.querySelectorAll('text')].map(x => !x.textContent.trim() || x.getBBox().width > 0)"
        assert all(browser.execute_script(texts))
        ink = browser.execute_script("return getComputedStyle(document.querySelector('text[font-weight=bold]')).fill")
        assert (sum(map(int, re.findall(r"\d+", ink)[:3])) > 384) is dark, ink
        browser.get(f"http://127.0.0.1:{server.server_port}/page")
        assert (
            browser.execute_script("const x = document.getElementById('img'); return x.complete && x.naturalWidth")
            > 100
        )
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        server.shutdown()
    assert {"/a.svg", "/b.svg"} <= {*seen} <= {"/a.svg", "/b.svg", "/page", "/favicon.ico"}


# 5. The command line.


def test_an_expression_names_numbers_and_rows_only() -> None:
    """Whatever else has a name in Python: it is a variable, and nothing of that name is looked at or called."""
    names = {*dir(ops), *dir(autograd), *dir(__builtins__), *vars(Operation), "__class__", "table", "self"} - {
        *table,
        "prod",
    }
    for name in sorted(names):
        if name.isidentifier() and name != "pi":
            assert parse(f"2 * {name}", {name: 3.0}).data == 6.0
            with pytest.raises(ExpressionError, match="there is no function"):
                parse(f"{name}(1)", {name: 3.0})
            with pytest.raises(ExpressionError, match=r"'\.' is not understood"):
                parse(f"{name}.{name}", {name: 3.0})
    for text in ("'a'", '"a"', "x[0]", "{1}", "x if y else z", "lambda: 1", "x := 1", "[x for x in y]", "x @ y", "~x"):
        with pytest.raises(ExpressionError):
            parse(text, {"x": 1.0, "y": 1.0, "z": 1.0})


@pytest.mark.parametrize("name", ["ｔａｎｈ", "𝐭𝐚𝐧𝐡", "ᵗanh"])
def test_a_function_is_what_is_written(name: str) -> None:
    """Not what Unicode takes for the same."""
    with pytest.raises(ExpressionError, match="there is no function"):
        parse(f"{name}(1)", {})


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        "(" * 100_000 + "x" + ")" * 100_000,
        "-" * 9_000 + "x",
        "9**9**9**9",
        "2**" * 5_000 + "2",
        "1e999999",
        "9" * 9_000,
        "1e" + "9" * 9_000,
        "变" * 9_000,
        "１ + １",
        "٣",
        "fsum([" * 1_600,
        "x\ud800",
    ],
    ids=range(13),
)
def test_expressions_without_measure(text: str) -> None:
    """Are errors of one short line, and its mark."""
    with pytest.raises(ExpressionError) as caught:
        parse(text, {"x": 1.0})
    assert len(str(caught.value)) < 300


def doubled(times: int) -> str:
    """A value with as many paths to it as two to that power."""
    return "\n".join(["a0 = x + x", *(f"a{j} = a{j - 1} + a{j - 1}" for j in range(1, times))])


@pytest.mark.skipif(not shutil.which("dot"), reason="there is no Graphviz")
def test_the_largest_expressions_take_little(tmp_path: Path) -> None:
    """Every answer to those that grow fastest, within ten seconds of a processor and a gigabyte."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))

    wide = f"fsum([{','.join(['x'] * 4_900)}])"
    answers = ["--explain", "--tree", "--table", "--check"]
    for text, more in ((doubled(500), ["-o", "a.svg", "--detail", "compact"]), (wide, [])):
        command = [sys.executable, "-m", "viz", "-", "x=1e-160", *answers, *more]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            command,
            input=text.encode(),
            capture_output=True,
            cwd=tmp_path,
            env=environment,
            preexec_fn=limit,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert len(done.stdout) < 200_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["x", "x=1", "\x1b[31m=2"],
        ["x", "x=\x1b[31m"],
        ["x", "x=1", "--\x1b[31m"],
        ["x", "x=1", "--explain", "\x1b[31m"],
        ["x", "x=1", "\x1b[31m=2", "\x1b[31m=2"],
        ["\x1b[31m"],
        ["x", "x=1", "-o", "\x1b[31m"],
        ["x", "x=1", "-o", "\x1b[31m/a.dot"],
        ["x", "x=1", "-o", "\x1b[31m.dot"],
        ["x", "x=1", "--style", "\x1b[31m", "-o", "a.dot"],
    ],
)
def test_arguments_are_no_commands_of_the_terminal(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where they are repeated."""
    monkeypatch.chdir(tmp_path)
    cli.main(arguments)
    told = capsys.readouterr()
    assert all(line.isprintable() for line in (told.out + told.err).split("\n"))


# 6. Files.


def test_a_file_is_written_where_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that someone has put where the unfinished file will be, is not followed."""
    kept = tmp_path / "kept"
    kept.write_bytes(b"as it was")
    monkeypatch.setattr(os, "urandom", lambda n: bytes(n))
    (tmp_path / f".unfinished-{'00' * 8}").symlink_to(kept)
    with pytest.raises(FileExistsError):
        files.replace(tmp_path / "a.svg", b"new")
    assert kept.read_bytes() == b"as it was"
    assert not (tmp_path / "a.svg").exists()


def test_security_md_says_what_holds() -> None:
    """It is short, and names what is there."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert len(text.splitlines()) <= 40
    for name in re.findall(r"`(viz\.\w+|nn\.\w+|autograd\.\w+)`", text):
        module, _, attribute = name.partition(".")
        assert hasattr({"viz": viz, "nn": nn, "autograd": autograd}[module], attribute), name
