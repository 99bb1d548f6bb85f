"""Chromium, driven by tests."""

import html
import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


def chromium(folder: Path) -> WebDriver:
    """A browser that keeps its files in a folder, looks for nothing on its own, and logs what it asks for."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={folder}", "--window-size=1400,1000"),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return WebDriver(options=options, service=Service(str(DRIVER)))


def logged(browser: WebDriver, kind: str) -> list[dict[str, Any]]:
    """What the browser has logged since it was last asked."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


LINKS = """return [...document.querySelectorAll('[href], [src]')]
    .map(e => new URL(e.getAttribute('href') ?? e.getAttribute('src'), location).href)"""
#: What stands out of the page to the right, and is in no box that scrolls.
WIDE = """const root = document.documentElement; return root.scrollWidth <= root.clientWidth ? [] :
    [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > root.clientWidth + 1)
    .slice(0, 3).map(e => e.outerHTML.slice(0, 200))"""


def check_site(browser: WebDriver, folder: Path) -> dict[str, set[str]]:
    """Look at every page of a folder: nothing logged, nothing asked of a network, no dead link, nothing too wide.

    Returns:
        The names of the files that each page leads to.
    """
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        logged(browser, kind)  # what was before is no matter of these pages
    found = {}
    for page in sorted(folder.rglob("*.html")):
        browser.get(page.as_uri())
        assert browser.title, page
        assert browser.execute_script("return document.documentElement.lang"), page
        links = {urlsplit(link) for link in browser.execute_script(LINKS)}
        for link in links - {urlsplit("data:,")}:
            assert link.scheme in {"file", "data"}, (page, link.geturl())
            target = Path(unquote(link.path))
            if link.scheme == "file":
                assert target.is_file(), (page, link.geturl())
                assert not link.fragment or unquote(link.fragment) in places(target), (page, link.geturl())
        found[page.name] = {Path(unquote(link.path)).name for link in links if link.scheme == "file"}
        for width in (400, 1200):
            browser.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
            )
            assert browser.execute_script(WIDE) == [], (page, width)
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert [entry["message"] for entry in logged(browser, "browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "about", "chrome"}  # its own first page
    return found


@cache
def places(page: Path) -> set[str]:
    """What a link into a page may lead to."""
    return {html.unescape(name) for name in re.findall(r'\bid="([^"]*)"', page.read_text(encoding="utf-8"))}
