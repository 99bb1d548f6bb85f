"""The lessons: each runs as a script and as a notebook, and the course made of them is whole, without a network."""

import functools
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
import pytest
from filelock import FileLock
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By

import autograd
import nn
import viz
from examples import build_lessons
from examples.build_lessons import LESSONS, build, heading, lessons, read
from tests.browser import check_site, chromium, needs_browser

ROOT = Path(__file__).parent.parent
ALL = lessons()
pytestmark = pytest.mark.skipif(sys.flags.optimize > 0, reason="-O leaves out what lessons assert")
each = pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.stem)


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course, made once for all tests, also where several processes share them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "course" / "lessons"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"), pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONSAFEPATH", raising=False)  # a lesson imports what lies beside it
        if not folder.exists():
            build(folder)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


# As they are written.


def numbers(line: str) -> set[int]:
    """Those of the lectures that a line names: ``L1, L3–L5`` are 1, 3, 4 and 5."""
    found: set[int] = set()
    for first, last in re.findall(r"\bL(\d+)(?:\s?[–-]\s?L?(\d+))?", line):
        found |= {*range(int(first), int(last or first) + 1)}
    return found


def test_numbers() -> None:
    assert numbers("*L1, one; L3–L5, L16–18: H2O, XL9*") == {1, 3, 4, 5, 16, 17, 18}


@each
def test_layout(lesson: Path) -> None:
    """A title, what one will be able to do and what of the lectures it is; prose in short lines; exercises; a sheet."""
    text = lesson.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= 120
    notebook = read(lesson)
    title, what, covers = heading(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert title.startswith(f"{int(lesson.name[:2])}. ")
    assert "can" in what or "know" in what
    assert re.fullmatch(r"\*From the lectures: [^*]*\.\*", covers.replace("\n", " "))
    assert numbers(covers)
    prose = [line for line in lines if line.startswith("#")]
    assert not [line for line in prose if len(line) > 120]
    assert not [line for line in lines if line not in prose and len(line) > 96]
    assert not [line for line in prose if "$" in line or "\\" in line]
    (exercises,) = [cell.source for cell in notebook.cells if "## Exercises" in cell.source]
    assert re.findall(r"^(\d+)\. ", exercises.partition("## Exercises")[2], re.MULTILINE) == ["1", "2", "3"]
    assert re.search(rf'^sheet\(.*"{lesson.name[:2]}-.*seed=\d+\)', notebook.cells[-1].source, re.MULTILINE | re.DOTALL)


@each
def test_jupytext_writes_what_it_reads(lesson: Path) -> None:
    """So that a lesson may be edited as a notebook, too."""
    text = lesson.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata["jupytext"] = {"notebook_metadata_filter": "-all", "cell_metadata_filter": "-all"}
    assert jupytext.writes(notebook, fmt="py:percent") == text


# As a script, from any folder.


@each
def test_script(lesson: Path, tmp_path: Path) -> None:
    """It ends well and without a warning, and writes nowhere but below the folder in which it is run."""
    environment = os.environ | {"PYTHONUTF8": "1", "MPLBACKEND": "agg", "PYTHONSAFEPATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", lesson],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [*tmp_path.iterdir()] == [tmp_path / "out"]
    assert {Path(name).name[:2] for name in re.findall(r"^out/lessons/.*", done.stdout, re.MULTILINE)} == {
        lesson.name[:2]
    }
    pictures = {path.name for path in (tmp_path / "out" / "lessons").glob("*.svg")}
    sheets = {name for name in pictures if name.endswith("-key.svg")}
    assert sheets
    assert {name.replace("-key", "") for name in sheets} < pictures
    for name in pictures:
        assert name.startswith(f"{lesson.name[:2]}-")
        assert ET.parse(tmp_path / "out" / "lessons" / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"


# The course.


@each
def test_notebook(lesson: Path, course: Path) -> None:
    """It can be opened and run again; its outputs are there, the key too, and nothing was written to stderr."""
    notebook = nbformat.read(course / f"{lesson.stem}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in read(lesson).cells
    ]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    assert not [output for output in outputs if output.get("name") == "stderr" or output.output_type == "error"]
    sheet = outputs[-1].data["text/html"]
    (key,) = re.findall("<details><summary>The key, (.*?)</summary>", sheet)
    assert sheet.endswith((course / key).read_text(encoding="utf-8") + "</details>")
    assert (course / "lesson.py").read_bytes() == (LESSONS / "lesson.py").read_bytes()


@needs_browser
def test_pages(course: Path, browser: WebDriver) -> None:
    """The first page leads to all there is, and each lesson to its neighbours and its notebook; its key unfolds."""
    leads = check_site(browser, course)
    names = [lesson.stem for lesson in ALL]
    files = {path.name for path in course.iterdir()}
    sheets = {name for key in files if key.endswith("-key.svg") for name in (key, key.replace("-key", ""))}
    assert sheets | {f"{name}{suffix}" for name in names for suffix in (".html", ".ipynb")} == leads["index.html"]
    around = ["index", *names, "index"]
    for before, name, after in zip(around, names, around[2:], strict=False):
        links = leads[f"{name}.html"]
        assert {f"{page}.html" for page in (before, after, "index")} | {f"{name}.ipynb", "lesson.py"} <= links
    browser.get((course / f"{names[0]}.html").as_uri())
    key = browser.find_element(By.CSS_SELECTOR, "details svg")
    assert not key.is_displayed()
    browser.find_element(By.TAG_NAME, "summary").click()
    assert key.is_displayed()
    browser.find_element(By.LINK_TEXT, "Next →").click()
    assert browser.title == heading(read(ALL[1]))[0]


@needs_browser
@each
def test_code_fits_a_page(lesson: Path, course: Path, browser: WebDriver) -> None:
    """Of 1,000 pixels: what was typed, and what was printed, can be read without scrolling sideways."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1000, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get((course / f"{lesson.stem}.html").as_uri())
    wide = (
        "return [...document.querySelectorAll('pre')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)"
    )
    assert browser.execute_script(wide) == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@needs_browser
def test_pages_follow_the_system(course: Path, browser: WebDriver) -> None:
    """Light or dark, as the reader has it."""
    paper = []
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        browser.get((course / f"{ALL[0].stem}.html").as_uri())
        paper.append(browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert paper == ["rgba(255, 255, 255, 1)", "rgba(20, 24, 29, 1)"]


def test_a_lesson_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the lesson and the cell, and the older course is whole."""
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    shutil.copy(LESSONS / "lesson.py", lessons)
    (lessons / "01_broken.py").write_text("# %% [markdown]\n# # 1. Broken\n\n# %%\nx = 0.0\n\n# %%\n1.0 / x\n")
    out = tmp_path / "out" / "lessons"
    out.mkdir(parents=True)
    (out / "index.html").write_text("older")
    monkeypatch.setattr(build_lessons, "LESSONS", lessons)
    message = r"01_broken, cell 3 of 3:\n\n1\.0 / x\n\nZeroDivisionError: (float )?division"
    with pytest.raises(RuntimeError, match=message):
        build(out)
    assert [path.name for path in out.parent.iterdir()] == ["lessons"]
    assert [path.read_text() for path in out.iterdir()] == ["older"]


# What they cover.


def coverage() -> dict[int, list[str]]:
    """The table of what is shown where: the cells by the number of the lectures' list."""
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| L")]
    return {int(number.removeprefix("L")): cells for number, *cells in rows}


def test_everything_is_covered() -> None:
    """Each of L1 to L32 is in the table once, with the lessons that say so of themselves."""
    rows = coverage()
    assert [*rows] == [*range(1, 33)]
    said: dict[int, set[str]] = {number: set() for number in rows}
    for lesson in ALL:
        for number in numbers(heading(read(lesson))[2]):
            said[number].add(lesson.name[:2])
    assert {number: set(cells[1].split(", ")) for number, cells in rows.items()} == said


def test_the_table_names_what_there_is() -> None:
    """Functions that one can import, and tests that one can run."""
    public = {name: getattr(module, name) for module in (autograd, nn, viz) for name in module.__all__}
    for _, _, functions, tests in coverage().values():
        for name in re.findall("`(.*?)`", functions):
            first, *rest = name.split(".")
            functools.reduce(getattr, rest, public[first])
        assert tests
        for name in re.findall("`(.*?)`", tests):
            file, test = name.split(".")
            assert f"def {test}(" in (ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8"), name
