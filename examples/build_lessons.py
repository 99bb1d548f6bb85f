"""Make the course: every lesson is run as a notebook, and written as a page and a notebook to ``out/lessons/``.

Run it with ``make lessons``. The folder needs no network: put it on a web server or a memory stick.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

LESSONS = Path(__file__).resolve().parent / "lessons"
TITLE = "Back-propagation, seen"
SECONDS = 120  # for one cell, on a busy machine


def lessons() -> list[Path]:
    """Every lesson, in order."""
    return sorted(LESSONS.glob("[0-9][0-9]_*.py"))


def read(lesson: Path) -> Any:
    """A lesson as a notebook."""
    notebook = jupytext.read(lesson)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def heading(notebook: Any) -> tuple[str, str, str]:
    """A lesson's title, its first paragraph, and the line that says what of the lectures it covers."""
    title, what, *_, covers = notebook.cells[0].source.split("\n\n")
    return title.removeprefix("# "), what, covers


async def run(notebook: Any, name: str, folder: Path) -> None:
    """Run a notebook in a folder, with this Python, whatever other kernels are installed.

    Raises:
        RuntimeError: if a cell fails; it names the lesson and the cell.
    """
    kernels = {"KernelSpecManager": {"kernel_dirs": []}, "KernelManager": {"transport_encryption": "auto"}}
    try:
        await NotebookClient(notebook, timeout=SECONDS, config=Config(kernels)).async_execute(cwd=str(folder))
    except CellExecutionError as error:
        number, cell = next((i, cell) for i, cell in enumerate(notebook.cells, 1) if is_failed(cell))
        raise RuntimeError(
            f"{name}, cell {number} of {len(notebook.cells)}:\n\n{cell.source}\n\n{error.ename}: {error.evalue}"
        ) from None


async def run_all(notebooks: dict[str, Any], folder: Path) -> None:
    """Run notebooks, a few at a time: they wait for their kernels more than they compute."""
    places = asyncio.Semaphore(4)

    async def turn(name: str) -> None:
        async with places:
            await run(notebooks[name], name, folder)

    await asyncio.gather(*map(turn, notebooks))


def is_failed(cell: Any) -> bool:
    """Whether a cell ended with an error."""
    return any(output.output_type == "error" for output in cell.get("outputs", []))


def colours() -> str:
    """Pygments' style sheets, by day and by night."""
    day, night = (HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("default", "github-dark"))
    plain = ".highlight, .highlight pre { background: none !important; }"
    return f"{day}\n@media (prefers-color-scheme: dark) {{\n{night}\n}}\n{plain}"


def page(cells: Any, **resources: str) -> str:
    """A notebook as a page, by our own template."""
    together = {"CoalesceStreamsPreprocessor": {"enabled": True}}  # what was printed in a row, in however many pieces
    exporter = HTMLExporter(
        config=Config(together), template_name="template", extra_template_basedirs=[str(LESSONS)],
        exclude_input_prompt=True, exclude_output_prompt=True, exclude_anchor_links=True,
    )  # fmt: skip
    body, _ = exporter.from_notebook_node(cells, resources=resources | {"colours": colours()})
    return str(body)


def contents(notebooks: dict[str, Any], folder: Path) -> Any:
    """The first page, as a notebook too."""
    entries = [f"# {TITLE}", "One lesson is about ten minutes of a class. Each can be changed and run."]
    for name, notebook in notebooks.items():
        title, what, covers = heading(notebook)
        papers = [f"[notebook]({name}.ipynb)"]
        for key in sorted(folder.glob(f"{name[:2]}-*-key.svg")):
            papers += [f"[worksheet]({key.name.replace('-key', '')})", f"[its key]({key.name})"]
        entries += [f"## [{title}]({name}.html)", what, covers, ", ".join(papers)]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("\n\n".join(entries))])


def build(out: Path) -> None:
    """Make the whole course anew; if a lesson fails, the folder stays as it was."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".lessons-") as made:
        folder = Path(made, "out", "lessons")  # where lessons that are run in `made` put their pictures
        folder.mkdir(parents=True)
        for needed in (Path(made), folder):
            shutil.copy(LESSONS / "lesson.py", needed)
        notebooks = {lesson.stem: read(lesson) for lesson in lessons()}
        asyncio.run(run_all(notebooks, Path(made)))
        names = list(notebooks)
        for before, name, after in zip(["", *names], names, [*names[1:], ""], strict=False):
            notebook = notebooks[name]
            nbformat.write(notebook, folder / f"{name}.ipynb")
            text = page(notebook, title=heading(notebook)[0], notebook=f"{name}.ipynb", previous=before, next=after)
            (folder / f"{name}.html").write_text(text, encoding="utf-8")
        text = page(contents(notebooks, folder), title=TITLE)
        (folder / "index.html").write_text(text, encoding="utf-8")
        if out.exists():
            out.rename(Path(made, "old"))
        folder.rename(out)


if __name__ == "__main__":
    target = LESSONS.parents[1] / "out" / "lessons"
    try:
        build(target)
    except RuntimeError as error:
        sys.exit(str(error))
    print(f"\nThe course: {target / 'index.html'}")
