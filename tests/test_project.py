"""The project itself: README, imports, size, the public interface, the examples and the commands."""

import ast
import doctest
import gzip
import io
import math
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import autograd
import nn
import viz
from autograd.operations import BUILT_IN
from examples import digits, readme_pictures
from tests.graphs import complaint

ROOT = Path(__file__).parent.parent
PACKAGES = {"autograd": autograd, "nn": nn, "viz": viz}
FOLDERS = {name: Path(str(module.__file__)).parent for name, module in PACKAGES.items()}
SOURCES = sorted(path for folder in FOLDERS.values() for path in folder.rglob("*.py"))

#: From the bottom up: a module may import those before it.
ORDER = {
    package: names.split()
    for package, names in {
        "autograd": "files locks ieee vector_math operations symbol algorithms context value tape register llvm machine"
        " descent arrays source interpreter distribution program graph calculus jit kinks",
        "nn": "checks module initializers layers losses metrics optimizers schedules data storage recording compiled"
        " training health",
        "viz": "palette html boundary text tree curve diagram flow collapse neurons network svg dot picture drawing"
        " film worksheet formulas derivation chain table sorting expression script page plots __main__",
    }.items()
}


@pytest.mark.parametrize(
    ("name", "count", "files"),
    [("README.md", 27, ["moons.html", "neuron.html", "neuron.svg"]), ("GUIDE.md", 54, [])],
)
def test_examples(name: str, count: int, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example gives what is printed there, and writes what it says."""
    monkeypatch.chdir(tmp_path)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    text = (ROOT / name).read_text(encoding="utf-8")
    Path(name).write_text(text.replace("math domain error", complaint(math.log, -1.0)), encoding="utf-8")
    results = doctest.testfile(name, module_relative=False, optionflags=flags)
    assert results.attempted >= count
    assert results.failed == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, *files]


def imports(path: Path) -> set[str]:
    """The modules that a file imports when it runs; those only for the type checker aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_imports_run_one_way(path: Path) -> None:
    """Within a package from the bottom up; ``nn`` and ``viz`` import ``autograd`` and not each other."""
    package, module = path.parent.name, path.stem
    assert module == "__init__" or module in ORDER[package]
    found = imports(path)
    above = ORDER[package][ORDER[package].index(module) :] if module != "__init__" else []
    assert not {f"{package}.{name}" for name in above} & found
    allowed = {
        "autograd": {"numpy", "llvmlite"},  # once a program is made
        "nn": {"autograd", "tqdm", "numpy"},  # as above
        "viz": {"autograd", "graphviz", "latex2mathml", "pygraphviz", "matplotlib", "numpy"},  # numpy as above
    }[package]
    outside = {name.split(".")[0] for name in found} - {package} - sys.stdlib_module_names
    assert outside <= allowed


def code_lines(path: Path) -> int:
    """Lines of code: no comments, no docstrings, no blank lines."""
    text = path.read_text(encoding="utf-8")
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def test_the_code_stays_small() -> None:
    """A budget per package; it is raised with a reason only."""
    sizes = {path: code_lines(path) for path in SOURCES}
    for package, budget in {"autograd": 3850, "nn": 1750, "viz": 3700}.items():
        assert sum(size for path, size in sizes.items() if path.parent.name == package) <= budget
    core = ("operations.py", "algorithms.py", "value.py", "graph.py")
    assert sum(sizes[FOLDERS["autograd"] / name] for name in core) <= 1010


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_interface_is_one_list(package: str) -> None:
    """What is in ``__all__`` exists, and what is imported is in it."""
    module = PACKAGES[package]
    listed = set(module.__all__)
    assert len(listed) == len(module.__all__)
    assert all(hasattr(module, name) for name in listed)
    tree = ast.parse((FOLDERS[package] / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == listed
    assert (FOLDERS[package] / "py.typed").exists()


def test_every_row_is_exported() -> None:
    """As a function of the package."""
    assert {
        name for name in autograd.operations.BUILT_IN if getattr(autograd, name) is autograd.operations.table[name]
    } == (autograd.operations.BUILT_IN)


def public_callables() -> Iterator[tuple[str, object]]:
    """The public functions, classes and methods; what is inherited or made from the table is documented there."""
    listed = [(package, name) for package in PACKAGES.values() for name in package.__all__]
    for package, name in [*listed]:
        module = getattr(package, name)
        if isinstance(module, ModuleType):
            listed += [(module, name) for name, thing in vars(module).items() if is_from(thing, module)]
    for module, name in listed:
        thing = getattr(module, name)
        if isinstance(thing, (FunctionType, type)) and thing.__name__ == name:  # another name of it is not asked
            yield f"{module.__name__}.{name}", thing
        for method, code in vars(thing).items() if isinstance(thing, type) else ():
            made = thing is autograd.Value and method in BUILT_IN
            if isinstance(code, FunctionType) and not method.startswith("_") and not made:
                yield f"{module.__name__}.{name}.{method}", code


def is_from(thing: object, module: ModuleType) -> bool:
    """Whether a module has made a function or class, and has not imported it."""
    return getattr(thing, "__module__", "") == module.__name__ and not getattr(thing, "__name__", "_").startswith("_")


EVERY = dict(public_callables())


@pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO leaves out docstrings")
@pytest.mark.parametrize("name", EVERY)
def test_what_is_public_has_an_example(name: str) -> None:
    """Its docstring begins with a sentence, and holds a doctest."""
    doc = EVERY[name].__doc__ or ""
    assert doc.split("\n")[0].strip()
    assert doctest.DocTestParser().get_examples(doc)


def test_examples_are_asked_of_the_whole_interface() -> None:
    """Of functions, classes and methods, and of the public modules."""
    assert {"autograd.grad", "autograd.Graph.forward", "nn.fit", "nn.data.moons", "viz.Picture.save"} <= {*EVERY}
    assert len(EVERY) >= 140


def test_import_needs_the_standard_library_only() -> None:
    """``import autograd`` loads no other package."""
    program = "import sys; before = set(sys.modules); import autograd; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded - sys.stdlib_module_names == {"autograd"}


def run_example(name: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """A copy of an example, run as a script; what it writes is in the folder ``out``."""
    example = tmp_path / "demo"
    example.mkdir()
    (example / name).write_text((ROOT / "examples" / name).read_text(encoding="utf-8"), encoding="utf-8")
    (example / "data").symlink_to(ROOT / "examples" / "data")
    return subprocess.run(
        [sys.executable, f"demo/{name}"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONUTF8": "1"},
    )


def test_the_demo(tmp_path: Path) -> None:
    """The main job on the real data: accuracy, picture, derivation, and the check of its number."""
    done = run_example("iris.py", tmp_path)
    assert "150 flowers" in done.stdout
    accuracies = [float(x) for x in re.findall(r"test accuracy ([\d.]+)", done.stdout)]
    mean = re.search(r"mean of 5: ([\d.]+)", done.stdout)
    assert len(accuracies) == 5
    assert mean is not None
    assert float(mean[1]) == pytest.approx(sum(accuracies) / 5, abs=1e-3)
    assert float(mean[1]) >= 0.93
    check = re.search(r"backward found (-?[\d.]+), finite differences (-?[\d.]+)", done.stdout)
    assert check is not None
    assert float(check[1]) == pytest.approx(float(check[2]), abs=1e-7)
    assert "out/iris-neuron.svg" in done.stdout
    assert (tmp_path / "out" / "iris-neuron.svg").read_text(encoding="utf-8").startswith("<svg")
    derivation = (tmp_path / "out" / "iris-derivation.txt").read_text(encoding="utf-8")
    assert derivation.strip() in done.stdout
    shown = derivation.strip().rsplit("= ", 1)[1].replace("−", "-")
    assert float(shown) == pytest.approx(float(check[1]), rel=1e-3)


def test_the_digits(tmp_path: Path) -> None:
    """Compiled training on real images: accuracy, what was misread, and the pictures of it."""
    done = run_example("digits.py", tmp_path)
    assert "1,150 to train on, 288 to validate, 359 to test" in done.stdout
    assert "compiled (llvm)" in done.stdout
    share, misread = (re.search(text, done.stdout) for text in (r"test accuracy ([\d.]+)", r"of the (\d+) misread"))
    assert share is not None
    assert misread is not None
    assert float(share[1]) >= 0.95
    assert float(share[1]) == pytest.approx(1.0 - int(misread[1]) / 359, abs=1e-3)
    assert "epoch 30 of 30: loss" in done.stderr
    for name in ("out/digits-confusion.png", "out/digits-misread.png"):
        assert name in done.stdout
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_digits_are_parted_once() -> None:
    """Each image is in one part, as it was, in the ink of 0 to 1."""
    parts = digits.digits()
    with gzip.open(ROOT / "examples" / "data" / "digits.csv.gz", "rt", encoding="utf-8") as file:
        lines = sorted(file.read().split())
    assert sorted(",".join(f"{16 * x:.0f}" for x in (*image, y / 16)) for part in parts for image, y in part) == lines
    assert {y for _, y in parts[2]} == set(range(10))


def test_digits_tell_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is run that would take an hour."""
    monkeypatch.setattr(digits, "find_spec", lambda name: None if name == "llvmlite" else name)
    with pytest.raises(SystemExit, match=r"this example needs llvmlite: pip install 'gradgraph\[fast,plot\]'"):
        digits.main()


def test_the_pictures_of_the_readme_are_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that the script draws is shown, and has the numbers that it draws today."""
    monkeypatch.setattr(readme_pictures, "FOLDER", tmp_path)
    readme_pictures.main()
    made = {path.name: path for path in tmp_path.iterdir()}
    shown = re.findall(r"(?:\]\(|src=\")(examples/pictures/[^)\"]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {Path(name).name for name in shown} == made.keys()
    for name in shown:
        if not name.endswith(".png"):
            assert texts(ROOT / name) == texts(made[Path(name).name]), f"{name} is not what is drawn today"


def texts(path: Path) -> set[str]:
    """What is written in a picture, wherever Graphviz has put it."""
    return set(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8")))


def test_the_readme_names_the_commands_that_exist() -> None:
    """And the version is said once."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"make (\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {"demo", "test"} <= named <= targets
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
