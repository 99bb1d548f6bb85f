"""Write the reference, from the docstrings, to ``out/docs/``.

Run it with ``make docs``. A row of the table has no docstring of its own: what it computes and its slopes are
written here, by the row itself.
"""

import shutil
import tomllib
import types
from pathlib import Path
from typing import Any

import pdoc
from pygments.formatters import HtmlFormatter

import autograd
import nn
import viz
from autograd import Operation
from autograd.symbol import rules
from viz.text import typeset

ROOT = Path(__file__).resolve().parent.parent


def modules() -> dict[str, pdoc.doc.Module]:
    """The packages, and those of their modules that are public themselves."""
    found = []
    for package in (autograd, nn, viz):
        parts = (getattr(package, name) for name in package.__all__)
        found += [package, *(part for part in parts if isinstance(part, types.ModuleType))]
    documented = {module.__name__: pdoc.doc.Module(module) for module in found}
    for variable in documented["autograd"].variables:
        row = getattr(autograd, variable.name)
        if isinstance(row, Operation):
            variable.docstring = described(row)
    for module in documented.values():
        for class_ in module.classes:  # pdoc would link to members of other packages' classes, which it does not show
            class_.members = {member.name: member for member in class_.own_members}
    return documented


def described(row: Operation) -> str:
    """What a row computes, its slopes, and an example."""
    count = len(row.partials)
    names = ["x", "y"][:count] if count <= 2 else [f"x{j}" for j in range(1, count + 1)]
    operands: Any = [0.5, 2.0, 3.0][: count - len(row.defaults)]
    if row.nary:
        operands = [[x, 2.0 * x] for x in operands]
    elif row is autograd.acosh:
        operands = [2.0]
    index, inside = ("ᵢ", [f"{name}₁, {name}₂, …" for name in names]) if row.nary else ("", names)
    slopes = [f"∂z/∂{name}{index} = {typeset(rule.text)}" for name, rule in zip(names, rules(row), strict=True)]
    example = f"{row.name}({', '.join(map(repr, operands))})"
    return f"""z = {typeset(row.text % tuple(inside))}, with {", ".join(slopes)}.

    >>> {example}
    {row(*operands)!r}"""


def build(out: Path) -> None:
    """Write the whole reference anew."""
    documented = modules()
    pdoc.render.configure(docformat="google", template_directory=Path(__file__).parent / "reference")
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    night = HtmlFormatter(style="github-dark").get_style_defs(".pdoc-code")
    pdoc.render.env.globals.update(about=about["description"], night=night)
    shutil.rmtree(out, ignore_errors=True)
    for name, module in documented.items():
        page = out / f"{name.replace('.', '/')}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(pdoc.render.html_module(module, documented), encoding="utf-8")
    (out / "index.html").write_text(pdoc.render.html_index(documented), encoding="utf-8")
    (out / "search.js").write_text(pdoc.render.search_index(documented), encoding="utf-8")


if __name__ == "__main__":
    target = ROOT / "out" / "docs"
    build(target)
    print(f"The reference: {target / 'index.html'}")
