"""The reference that is made from the docstrings: whole, without a network, and with every row of the table."""

import doctest
import re
import sys
from pathlib import Path

import pytest

import autograd
import nn
import viz
from autograd.operations import BUILT_IN, table
from examples.build_docs import build, described
from tests.browser import check_site, chromium, needs_browser

pytestmark = pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO leaves out docstrings")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "docs"
    build(folder)
    return folder


@pytest.mark.parametrize("package", [autograd, nn, viz], ids=lambda package: package.__name__)
def test_every_public_name_is_there(package: object, reference: Path) -> None:
    """With what its docstring says, if it is one; modules have pages of their own."""
    name, listed = package.__name__, package.__all__  # type: ignore[attr-defined]
    page = (reference / f"{name}.html").read_text(encoding="utf-8")
    found = set(re.findall(r'<section id="(\w+)"', page))
    pages = {path.stem for path in (reference / name).glob("*.html")}
    assert found | pages == {*listed, *({"module"} & found)}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_rows_describe_themselves(name: str) -> None:
    """A formula, a slope per operand, and an example that gives what is printed there."""
    text = described(table[name])
    assert text.startswith("z = ")
    assert text.count("∂z/∂") == len(table[name].partials)
    test = doctest.DocTestParser().get_doctest(text, {name: table[name]}, name, None, None)
    assert len(test.examples) == 1
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@needs_browser
def test_pages(reference: Path, tmp_path: Path) -> None:
    """In a browser: without errors and network, at any width; every link leads somewhere; the search finds."""
    browser = chromium(tmp_path)
    try:
        leads = check_site(browser, reference)
        assert {"autograd.html", "nn.html", "viz.html", "data.html"} <= leads["index.html"]
        browser.get(f"{(reference / 'index.html').as_uri()}?search=logsumexp")
        browser.implicitly_wait(20)
        assert browser.find_element("css selector", "main .doc a[href*=logsumexp], main a[href*=logsumexp]")
    finally:
        browser.quit()
