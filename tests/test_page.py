"""The live page in a real browser: its numbers are Python's, by keyboard, by mouse and without either."""

import base64
import hashlib
import html
import itertools
import json
import math
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from autograd import Graph, Operation, Value, label_from, name_scope, relu, tanh
from autograd import operations as ops
from autograd.graph import ForwardStep
from autograd.operations import BUILT_IN, table
from nn import MLP
from tests.browser import chromium, logged, needs_browser
from tests.graphs import kinks
from viz import Page, page
from viz.flow import gradient_flow
from viz.text import number, short

ROOT = Path(__file__).parent.parent
AXE = Path(os.environ.get("AXE_CORE", ROOT / ".venv" / "node_modules" / "axe-core" / "axe.min.js"))

cube = Operation("page_cube", lambda x: x * x * x, (lambda x, z: 3.0 * x * x,))
gate = Operation("gate", lambda x, y: x * ops.sigmoid(y) - 2, (lambda x, y, z: ops.sigmoid(y), lambda x, y, z: x * y))
squares = Operation("squares", lambda xs: sum(x * x for x in xs), (lambda x, z: 2.0 * x,), nary=True)
branching = Operation("branching", lambda x: x if x > 0 else 0.0, (lambda x, z: ops.step(x),))
foreign = Operation("foreign", lambda x: x, (lambda x, z: math.cos(x),))

Open = Callable[..., WebDriver]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """One session for all tests: starting it takes longer than they do."""
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def shown(browser: WebDriver, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a value; afterwards, nothing may have been logged as an error."""

    def opened(value: Value | Graph, mode: str = "", **options: Any) -> WebDriver:
        path = page(value, tmp_path / f"{mode or 'step'}.html", **options)
        browser.get(f"{path.as_uri()}{mode and '#'}{mode}")
        return browser

    logged(browser, "browser")
    yield opened
    assert [entry["message"] for entry in logged(browser, "browser")] == []


def neuron() -> tuple[Value, list[Value]]:
    """The README's."""
    x1, x2, w1, w2, b = Value(2.0), Value(0.0), Value(-3.0), Value(1.0), Value(6.88)
    n = x1 * w1 + x2 * w2 + b
    o = tanh(n)
    label_from({"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "n": n, "o": o})
    return o, [w1, w2, b]


def reused() -> Value:
    """A value used three times, a constant, a flat unit, an unnamed output."""
    a, b = Value(-2.0, label="a"), Value(3.0, label="b")
    return (a * b) * (a + b) ** 2 + relu(a)


def state(browser: WebDriver) -> dict[str, Any]:
    """What the page holds; numbers as JavaScript writes them, since JSON has no nan."""
    text = browser.execute_script(
        "return JSON.stringify(gradgraph.state(), (_, x) => typeof x === 'number' ? String(x) : x)"
    )
    found: dict[str, Any] = json.loads(text)
    return found


def same(written: str | None, x: float | None) -> bool:
    """Whether a number of the page is Python's, to 1e-12."""
    if written is None or x is None:
        return written is None and x is None
    y = float(written.replace("Infinity", "inf"))
    return x == y or (math.isnan(x) and math.isnan(y)) or math.isclose(x, y, rel_tol=1e-12)


def press(browser: WebDriver, key: str) -> None:
    ActionChains(browser).send_keys(key).perform()


def click(browser: WebDriver, selector: str) -> None:
    browser.find_element(By.CSS_SELECTOR, selector).click()


def say(browser: WebDriver) -> str:
    return browser.find_element(By.ID, "says").text


# Live.

EDGES = [
    0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    0.5,
    -0.5,
    3.0,
    1e-9,
    40.0,
    -40.0,
    800.0,
    -800.0,
    1e200,
    math.inf,
    -math.inf,
    math.nan,
]


def points(op: Operation, count: int) -> list[list[float]]:
    """In the row's domain, where it has kinks, and far outside."""
    rng = random.Random(op.name)
    domains = [domain for domain in op.domain for _ in range(count // len(op.partials))]
    sampled = [[rng.uniform(*rng.choice(domain)) for domain in domains] for _ in range(12)]
    for name, cell, *_ in kinks():
        at = cell.split(",")
        if name.strip() == op.name and len(at) == count:
            sampled.append([float(x) for x in at])
    if count <= 2:
        return sampled + [list(edge) for edge in itertools.product(EDGES, repeat=count)]
    return sampled + [[rng.choice(EDGES) for _ in range(count)] for _ in range(150)]


def expected(graph: Graph, at: Sequence[float]) -> tuple[list[float], list[list[float]], dict[Value, float]] | None:
    """Values, partials and gradients; None where Python raises."""
    try:
        graph.forward(dict(zip(graph.leaves, at, strict=True)))
    except (ArithmeticError, ValueError):
        return None
    graph.zero_grad()
    graph.backward()
    return [node.data for node in graph], [[*node.partials] for node in graph], {node: node.grad for node in graph}


@needs_browser
@pytest.mark.parametrize(
    "op", [*(table[name] for name in sorted(BUILT_IN)), cube, gate, squares], ids=lambda op: op.name
)
def test_every_number_is_pythons(op: Operation, shown: Open) -> None:
    """For each row, at ordinary points, kinks, poles and outside the domain: values, partials and gradients."""
    count = len(op.partials) * (3 if op.nary else 1)
    rng = random.Random(1)
    start = [rng.choice(domain)[1] for domain in op.domain for _ in range(count // len(op.partials))]
    leaves = [Value(x, label=f"x{j}") for j, x in enumerate(start)]
    z = op(*op.columns(leaves))
    graph = Graph(z)
    browser = shown(z, "live")
    ats = points(op, count)
    order = [leaves.index(leaf) for leaf in graph.leaves]
    asked = [[repr(at[j]).replace("inf", "Infinity").replace("nan", "NaN") for j in order] for at in ats]
    found = json.loads(
        browser.execute_script(
            "return JSON.stringify(arguments[0].map(at => { gradgraph.set(at); return gradgraph.state(); }),"
            " (_, x) => typeof x === 'number' ? String(x) : x)",
            asked,
        )
    )
    errors = 0
    for at, page_ in zip(ats, found, strict=True):
        truth = expected(graph, [at[j] for j in order])
        where = f"{op.name}{at}: {truth} is {page_['data']}, {page_['partials']}, {page_['grads']}"
        if truth is None:
            errors += 1
            assert list(page_["errors"]) == [str(len(graph) - 1)], where
            assert page_["data"][-1] is None, where
            assert set(page_["grads"]) == {None}, where
            continue
        data, partials, grads = truth
        assert not page_["errors"], where
        assert all(map(same, page_["data"], data)), where
        assert all(all(map(same, row, truth)) for row, truth in zip(page_["partials"], partials, strict=True)), where
        assert all(same(x, grads[node]) for x, node in zip(page_["grads"], graph, strict=True)), where
    assert errors < len(ats)


@needs_browser
def test_numbers_are_written_as_in_python(browser: WebDriver, shown: Open) -> None:
    """Also those half-way between two."""
    shown(Value(1.0, label="x") * 2.0)
    rng = random.Random(2)
    xs = [rng.choice([-1, 1]) * 10 ** rng.uniform(-9, 9) for _ in range(300)]
    xs += [k / 64 for k in range(-200, 200)] + [0.0, 2.5, 12.25, 1e6, 99999.5, 9.995, 0.09996, -1e-4, 123456.0]
    found = browser.execute_script("return arguments[0].map(x => [number(x), short(x)])", xs)
    assert found == [[number(x), short(x)] for x in xs]


@needs_browser
def test_dragging_typing_and_resetting(shown: Open) -> None:
    """A slider by the mouse, a field by keys; text, ribbons, pills, curve and formula follow; reset undoes all."""
    o, parameters = neuron()
    graph = Graph(o)
    browser = shown(o, "live", parameters=parameters)
    before = state(browser)
    picture = browser.execute_script("return document.querySelector('#picture').innerHTML")
    (slider,) = browser.find_elements(By.CSS_SELECTOR, '#live input[aria-label="x₁, slider"]')
    ActionChains(browser).click_and_hold(slider).move_by_offset(-40, 0).release().perform()
    field = browser.find_element(By.ID, "leaf0")
    x1 = float(str(field.get_property("value")))
    assert x1 != 2.0
    (b,) = (leaf for leaf in browser.find_elements(By.CSS_SELECTOR, "#live li") if leaf.text.startswith("b"))
    typed = b.find_element(By.CSS_SELECTOR, "input[type=number]")
    typed.send_keys(Keys.CONTROL, "a")
    typed.send_keys("7.25", Keys.ARROW_UP)
    waited(browser, "gradgraph.state().data[7] !== 6.88")
    x, w, bias = (next(leaf for leaf in graph.leaves if leaf.label == name) for name in ("x1", "w1", "b"))
    graph.forward({x: x1, bias: float(str(typed.get_property("value")))})
    assert bias.data > 7.25
    graph.backward()
    now = state(browser)
    assert all(map(same, now["data"], [node.data for node in graph]))
    assert all(map(same, now["grads"], [node.grad for node in graph]))
    texts = [text.text for text in browser.find_elements(By.CSS_SELECTOR, "text.data, text.grad")]
    assert sorted(texts) == sorted(number(x) for node in graph for x in (node.data, node.grad))
    pills = {pill.text for pill in browser.find_elements(By.CSS_SELECTOR, ".pill text")}
    assert {f"×{short(w.data)}", f"×{short(x.data)}", f"×{short(o.partials[0])}"} <= pills
    assert browser.find_element(By.CSS_SELECTOR, ".output").text.endswith(f"= {number(o.data)}")
    assert browser.execute_script("return document.querySelector('#picture').innerHTML") != picture
    click(browser, "#reset")
    assert state(browser)["data"] == before["data"]
    assert field.get_property("value") == "2"
    graph.forward({x: 2.0, bias: 6.88})


def waited(browser: WebDriver, condition: str) -> None:
    """Until a condition holds, a second at most."""
    holds = browser.execute_async_script(
        "const done = arguments[0], end = performance.now() + 1000;"
        f"(function look() {{ ({condition}) || performance.now() > end ? done({condition}) : setTimeout(look, 10) }})()"
    )
    assert holds, condition


@needs_browser
def test_outside_the_domain(shown: Open) -> None:
    """Said at the node and in a sentence; all that depends on it is blank; back inside, all is there again."""
    x = Value(2.0, label="x")
    y = (x.log() * 3.0).exp() + x
    browser = shown(y, "live")
    browser.execute_script("gradgraph.set([-1])")
    (wrong,) = browser.find_elements(By.CSS_SELECTOR, ".card.wrong")
    assert "outside its domain" in wrong.text
    values = [text.text for text in browser.find_elements(By.CSS_SELECTOR, "text.data")]
    assert sorted(values) == sorted(["−1.00", "outside its domain", "", "", ""])
    assert {text.text for text in browser.find_elements(By.CSS_SELECTOR, "text.grad")} == {""}
    waited(browser, "says.textContent.includes('nothing that depends on it has a value')")
    assert "log(−1.00)" in say(browser) or "(−1.00)" in say(browser)
    browser.execute_script("gradgraph.set([1e200])")
    assert "too large" in browser.find_element(By.CSS_SELECTOR, ".card.wrong").text
    click(browser, '[data-mode="predict"]')
    assert "too large" in say(browser)
    assert not browser.find_element(By.ID, "guess").is_displayed()
    click(browser, '[data-mode="live"]')
    browser.execute_script("gradgraph.set([2])")
    assert not browser.find_elements(By.CSS_SELECTOR, ".card.wrong")
    assert "" not in [text.text for text in browser.find_elements(By.CSS_SELECTOR, "text.data")]


@needs_browser
@pytest.mark.parametrize("op", [branching, foreign], ids=lambda op: op.name)
def test_no_live_mode_without_plain_arithmetic(op: Operation, shown: Open) -> None:
    """A sentence names the operation; steps are shown all the same."""
    browser = shown(op(Value(0.5, label="x")) * 2.0)
    click(browser, '[data-go="last"]')
    assert state(browser)["lit"]["nodes"] == ["1", "0"]
    click(browser, '[data-mode="live"]')
    assert f"the operation {op.name} is not written in plain arithmetic" in say(browser)
    assert not browser.find_element(By.ID, "live").is_displayed()


# Steps.


def check_step(browser: WebDriver, graph: Graph, k: int) -> None:
    """After k steps: what is lit, what is said, and that nothing is shown of what comes later."""
    places = {node: i for i, node in enumerate(graph)}
    steps = [*graph.steps()]
    now = state(browser)
    assert now["step"] == str(k)
    texts = browser.execute_script(
        "return [...document.querySelectorAll('.card')].map(card => [card.id, card.querySelector('text.data')"
        "?.textContent, card.querySelector('text.grad')?.lastElementChild.textContent])"
    )
    card = {graph.nodes[int(key.rpartition("-v")[2]) - 1]: rest for key, *rest in texts}
    computed = {step.node: number(step.value) for step in steps[:k] if isinstance(step, ForwardStep)}
    totals = {step.parent: number(step.total) for step in steps[:k] if not isinstance(step, ForwardStep)}
    for node in graph:
        if node.op is not None:
            assert card[node][0] == computed.get(node, "")
        if node not in graph.roots:
            assert (card[node][1] or "") == totals.get(node, "")
    lit = {str(x.get_attribute("id")).rpartition("-")[2] for x in browser.find_elements(By.CSS_SELECTOR, ".card.lit")}
    if not k:
        assert not lit
        return
    step = steps[k - 1]
    if isinstance(step, ForwardStep):
        assert lit == {f"v{places[step.node] + 1}"}
        assert say(browser).endswith(f" = {number(step.value)}")
        return
    assert lit == {f"v{places[step.child] + 1}", f"v{places[step.parent] + 1}"}
    flow = now["flows"][k - 1 - sum(isinstance(step, ForwardStep) for step in steps)]
    numbers = [step.adjoint, step.partial, step.contribution, step.total]
    assert [float(flow[name]) for name in ("adjoint", "partial", "flow", "total")] == numbers
    partial = f"({number(step.partial)})" if step.partial < 0 else number(step.partial)
    assert f" += {number(step.adjoint)} × {partial} = {number(step.contribution)}" in say(browser)
    edge = [(e.parent, e.child, e.position) for e in graph.edges].index((step.parent, step.child, step.position))
    (ribbon,) = browser.find_elements(By.CSS_SELECTOR, ".ribbon.lit")
    assert str(ribbon.get_attribute("id")).endswith(f"-e{edge}_down")


@needs_browser
@pytest.mark.parametrize("make", [lambda: neuron()[0], reused], ids=["neuron", "reused"])
def test_stepping_by_keyboard_alone(make: Callable[[], Value], shown: Open) -> None:
    """Arrows, Home and End, from wherever the page starts; Tab reaches all controls in order."""
    value = make()
    graph = Graph(value)
    browser = shown(value)
    total = len([*graph.steps()])
    for k in range(total + 1):
        check_step(browser, graph, k)
        press(browser, Keys.ARROW_RIGHT)
    check_step(browser, graph, total)
    press(browser, Keys.ARROW_LEFT)
    check_step(browser, graph, total - 1)
    press(browser, Keys.HOME)
    check_step(browser, graph, 0)
    press(browser, Keys.END)
    check_step(browser, graph, total)
    browser.refresh()
    order = []
    for _ in range(12):
        press(browser, Keys.TAB)
        order.append(browser.execute_script("const e = document.activeElement; return e.id || e.textContent.trim()"))
    assert order[:10] == [
        "picture",
        "Step",
        "Predict",
        "Live",
        "First",
        "◀\ufe0e Back",
        "Next ▶\ufe0e",
        "Last",
        "play",
        "where",
    ]
    press(browser, Keys.NULL)
    browser.find_element(By.ID, "where").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    check_step(browser, graph, 2)


@needs_browser
def test_stepping_by_mouse_alone(shown: Open) -> None:
    """Buttons, the slider, and the list of steps."""
    value = reused()
    graph = Graph(value)
    browser = shown(value)
    total = len([*graph.steps()])
    for k in range(total + 1):
        check_step(browser, graph, k)
        click(browser, '[data-go="next"]')
    click(browser, '[data-go="back"]')
    check_step(browser, graph, total - 1)
    click(browser, '[data-go="first"]')
    check_step(browser, graph, 0)
    click(browser, '[data-go="last"]')
    check_step(browser, graph, total)
    click(browser, "summary")
    click(browser, "#steps li:nth-child(3) button")
    check_step(browser, graph, 3)
    slider = browser.find_element(By.ID, "where")
    ActionChains(browser).move_to_element(slider).click().perform()
    check_step(browser, graph, total // 2)


@needs_browser
@pytest.mark.parametrize("make", [lambda: neuron()[0], reused], ids=["neuron", "reused"])
def test_the_last_step_is_the_picture_of_draw(make: Callable[[], Value], shown: Open) -> None:
    """The same numbers, sums, pills, widths and tooltips on the same cards and ribbons."""
    value = make()
    browser = shown(value)
    press(browser, Keys.END)
    value.backward()
    diagram = gradient_flow(Graph(value))
    for card in diagram.cards:
        (group,) = browser.find_elements(By.CSS_SELECTOR, f'.card[id$="-{card.id}"]')
        for row in card.rows:
            (text,) = group.find_elements(By.CSS_SELECTOR, f"text.{row.caption}")
            assert str(text.get_property("textContent")) == row.parts + row.text
        assert group.find_element(By.TAG_NAME, "title").get_property("textContent") == card.tooltip
        tags = {tag.text for tag in group.find_elements(By.CSS_SELECTOR, "text.tag")} - {""}
        assert tags == ({card.curve.tag} if card.curve and card.curve.tag else set())
    for j, ribbon in enumerate(diagram.ribbons):
        if ribbon.pill and ribbon.downstream:
            (pill,) = browser.find_elements(By.CSS_SELECTOR, f'.pill[id$="-e{j}"]')
            assert pill.text == ribbon.pill
            path = browser.find_element(By.CSS_SELECTOR, f'[id$="-e{j}_down"] path')
            sign, share = ribbon.downstream
            assert float(path.value_of_css_property("stroke-width").removesuffix("px")) == pytest.approx(
                1.6 + 6.4 * share**0.5 if share else 1.4, abs=1e-3
            )
            assert ({1: "plus", -1: "minus", 0: "zero"}[sign]) in str(
                browser.find_element(By.CSS_SELECTOR, f'[id$="-e{j}_down"]').get_attribute("class")
            )


@needs_browser
def test_playing(shown: Open) -> None:
    """Steps follow each other until it is stopped."""
    browser = shown(neuron()[0])
    browser.execute_script("const real = setInterval; setInterval = (f, t) => real(f, t / 100)")
    click(browser, "#play")
    waited(browser, "gradgraph.state().step === 14 && document.querySelector('#play').textContent === 'Play'")


@needs_browser
def test_steps_have_formulas(shown: Open) -> None:
    """In MathML, with the numbers of the page, also after they have changed."""
    browser = shown(neuron()[0])
    browser.execute_script("gradgraph.set([2, -3, 0, 1, 7.25])")
    click(browser, "summary")
    formulas = [
        "".join(item.split())
        for item in browser.execute_script(
            "return [...document.querySelectorAll('#steps math')].map(math => math.textContent)"
        )
    ]
    graph = Graph(neuron()[0])
    graph.forward({graph.nodes[7]: 7.25})
    assert graph.nodes[7].label == "b"
    assert len(formulas) == 14
    assert formulas[0] == "x1⋅w1=2.00⋅(−3.00)=−6.00".replace("⋅", formulas[0][2])
    assert formulas[4] == f"o=tanh(n)=tanh({number(graph.nodes[8].data)})={number(graph.nodes[9].data)}"
    slope = number(graph.nodes[9].partials[0])
    assert formulas[5].replace("·", "⋅") == f"∂o∂n=(1−o)⋅(1+o)={slope}"


# Predict.


@needs_browser
def test_predicting(shown: Open) -> None:
    """Enter submits; a hundredth is near enough; what is right is said; the score counts; nothing is revealed."""
    o, _ = neuron()
    browser = shown(o)
    click(browser, '[data-mode="predict"]')
    ask, guess = browser.find_element(By.ID, "ask"), browser.find_element(By.ID, "guess")
    score = browser.find_element(By.ID, "score")
    assert ask.text == "x₁ · w₁ = 2.00 · (−3.00) = ?"
    assert not browser.find_element(By.ID, "steps").is_displayed()
    guess.send_keys("six", Keys.ENTER)
    assert say(browser) == "Type a number, such as −1.5."
    guess.clear()
    guess.send_keys("−6,04", Keys.ENTER)
    assert say(browser) == "Right: x₁ · w₁ = 2.00 · (−3.00) = −6.00."
    assert score.text == "1 of 1 right"
    guess.send_keys("1", Keys.ENTER)
    assert say(browser) == "No, not 1: x₂ · w₂ = 0.00 · 1.00 = 0.00."
    assert score.text == "1 of 2 right"
    guess.send_keys("-6.07")
    click(browser, "#check")
    assert say(browser).startswith("No, not -6.07")
    steps = [*Graph(o).steps()][3:]
    for step in steps:
        x = step.value if isinstance(step, ForwardStep) else step.contribution
        assert ask.text.endswith("= ?")
        guess.send_keys(number(x).replace("−", "-"), Keys.ENTER)
    assert say(browser).endswith(f"The end: you had {len(steps) + 1} of {len(steps) + 3} right.")
    assert not guess.is_displayed()
    click(browser, "#reset")
    assert score.text == "0 of 0 right"


# The file.


def test_the_page_is_one_file_of_the_same_bytes(tmp_path: Path) -> None:
    """Small enough, without addresses, and whole; what is not the page's own may not run."""
    o, parameters = neuron()
    path = page(o, tmp_path / "neuron.html", parameters=parameters)
    first = path.read_bytes()
    assert path == tmp_path / "neuron.html"
    assert [*tmp_path.iterdir()] == [path]
    assert page(o, path, parameters=parameters).read_bytes() == first
    assert len(first) <= 100_000
    text = first.decode()
    assert set(re.findall(r"https?://[^\"\s)]*", text)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(
        r"\son\w+=|javascript:|\sstyle=|<link[^>]*href=\"(?!data:,)|src=", text.partition("<script")[0]
    )
    policy = html.unescape(str(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]))  # type: ignore[index]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind, content in re.findall(r"<(script|style)>(.*?)</\1>", text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert re.search(rf"{kind}-src [^;]*'sha256-{re.escape(digest)}'", policy)
    assert {node.has_grad for node in Graph(o)} == {False}


@needs_browser
def test_no_network(shown: Open) -> None:
    """The page asks for nothing but itself, and what it does not bring along cannot run."""
    logged(shown(Value(1.0)), "performance")  # what the browser does when it starts is no matter of the page
    browser = shown(neuron()[0])
    for mode in ("predict", "live", "step"):
        click(browser, f'[data-mode="{mode}"]')
    log = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    asked = {m["params"]["request"]["url"] for m in log if m["method"] == "Network.requestWillBeSent"}
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    ran = browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.ran = true';"
        "document.body.append(script); return Boolean(window.ran)"
    )
    assert ran is False
    assert "Content Security Policy" in str(logged(browser, "browser"))


HOSTILE = [
    "</script><script>hacked=1</script>",
    "<img src=x onerror=hacked=1>",
    "{{rows}}",
    "\u2028'\"&lt;",
    "--></svg>",
    "\ue000\ue800",
]


@needs_browser
@pytest.mark.parametrize("label", HOSTILE)
def test_labels_are_text(label: str, shown: Open) -> None:
    """In the title, on cards, in sentences, formulas and fields: shown, and inert."""
    x = Value(1.0, label=label)
    with name_scope("s"):
        y = (x * 2.0).tanh()
    y.label = label + "y"
    browser = shown(y, title=label)
    assert browser.execute_script("return typeof hacked") == "undefined"
    for mode in ("predict", "live", "step"):
        click(browser, f'[data-mode="{mode}"]')
        press(browser, Keys.END)
    assert browser.execute_script("return typeof hacked") == "undefined"
    assert not browser.find_elements(By.TAG_NAME, "img")
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 3
    assert len(browser.find_elements(By.CSS_SELECTOR, "math")) == 5
    visible = "".join(c for c in label if c.isprintable())
    if visible:
        assert visible in say(browser)
    assert browser.title.split() == (visible or "How the gradient of y reaches every input").split()


@needs_browser
@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm install --prefix .venv axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(scheme: str, shown: Open) -> None:
    """axe-core finds nothing, in any mode, wide and narrow, also with an error on the page."""
    x = Value(2.0, label="x")
    y = x.log() * x
    y.label = "y"
    for width in (1400, 420):
        browser = shown(y)
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.execute_script(AXE.read_text(encoding="utf-8"))
        for mode in ("step", "predict", "live"):
            click(browser, f'[data-mode="{mode}"]')
            if mode == "step":
                click(browser, "summary")
                press(browser, Keys.END)
            if mode == "live":
                browser.execute_script("gradgraph.set([-1])")
            found = browser.execute_async_script("axe.run().then(arguments[0], error => arguments[0](String(error)))")
            broken = [(x["id"], [node["html"][:200] for node in x["nodes"]]) for x in found["violations"]]
            assert broken == [], (mode, width)
            assert found["passes"]
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@needs_browser
def test_in_a_notebook(browser: WebDriver, shown: Open, tmp_path: Path) -> None:
    """A frame that may run scripts and nothing else, in which the page works."""
    made = Page(neuron()[0])
    assert repr(made) == "<Page: How the gradient of o reaches every input>"
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>Notebook</title>{made._repr_html_()}", encoding="utf-8")
    browser.get(path.as_uri())
    (frame,) = browser.find_elements(By.TAG_NAME, "iframe")
    assert frame.get_attribute("sandbox") == "allow-scripts"
    browser.switch_to.frame(frame)
    press(browser, Keys.TAB)
    click(browser, '[data-go="next"]')
    assert say(browser) == "x₁ · w₁ = 2.00 · (−3.00) = −6.00"
    click(browser, '[data-mode="predict"]')
    browser.find_element(By.ID, "guess").send_keys("-6", Keys.ENTER)
    assert say(browser).startswith("Right")
    browser.switch_to.default_content()


@needs_browser
def test_in_a_frame_that_is_seen_later(browser: WebDriver, tmp_path: Path) -> None:
    """A notebook may run the page before it lays it out; the picture and the pills are as they would have been."""
    measured = """
        const svg = document.querySelector("#picture > svg"), {width, height} = svg.getBoundingClientRect();
        return [width, height, ...[...svg.querySelectorAll("text")].map(text => Number(text.getAttribute("x")))];
    """
    places = []
    for style in ("", "display:none"):
        path = tmp_path / "later.html"
        path.write_text(
            f"<!doctype html><div style='{style}'>{Page(neuron()[0])._repr_html_()}</div>", encoding="utf-8"
        )
        browser.get(path.as_uri())
        frame = browser.find_element(By.TAG_NAME, "iframe")
        browser.switch_to.frame(frame)
        WebDriverWait(browser, 10).until(lambda driver: driver.execute_script("return 'gradgraph' in window"))
        browser.switch_to.default_content()
        browser.execute_script("document.querySelector('div').style.display = ''")
        browser.switch_to.frame(frame)
        browser.execute_async_script(
            "const [done] = arguments; requestAnimationFrame(() => requestAnimationFrame(done))"
        )
        places.append(browser.execute_script(measured))
        browser.switch_to.default_content()
    assert places[1] == pytest.approx(places[0], rel=0.01)


@needs_browser
def test_on_paper(shown: Open) -> None:
    """The picture and the list of steps, without the controls."""
    browser = shown(neuron()[0])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert state(browser)["step"] == "14"
    assert not browser.find_element(By.ID, "panel").is_displayed()
    assert browser.find_element(By.CSS_SELECTOR, "#picture svg").is_displayed()
    assert browser.execute_script("return document.querySelector('#steps').getBoundingClientRect().height") > 300
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@needs_browser
def test_forty_values_and_outputs_beside_each_other(shown: Open) -> None:
    """The largest graph there is a page for, with scopes; several outputs; an output alone."""
    model = MLP(2, [2, 1], activation="tanh", seed=1)
    value = model([Value(1.0, label="x1"), Value(2.0, label="x2")])
    outputs = Graph(value[0] if isinstance(value, list) else value)
    assert len(outputs) <= 40
    x = Value(3.0, label="x")
    y = x * x
    for graph in (outputs, Graph(y, y.relu()), Graph(x)):
        browser = shown(graph)
        press(browser, Keys.END)
        steps = [*graph.steps()]
        found = state(browser)
        assert found["step"] == str(len(steps))
        last = {step.parent: step.total for step in steps if not isinstance(step, ForwardStep)}
        for node, grad in zip(graph, found["grads"], strict=True):
            assert grad is None or float(grad) == last.get(node, 1.0)


def test_what_a_page_cannot_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than forty values, what is no value, and anything without Graphviz; then no file is left."""
    x = Value(1.0)
    for _ in range(40):
        x = x.tanh()
    with pytest.raises(ValueError, match="41 values are too many for a page, which shows up to 40"):
        page(x, tmp_path / "long.html")
    with pytest.raises(TypeError, match="needs a Value or a Graph, not float"):
        page(1.0, tmp_path / "float.html")  # type: ignore[arg-type]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "pygraphviz", None)
    with pytest.raises(RuntimeError, match="drawing needs Graphviz"):
        page(Value(1.0).tanh(), tmp_path / "none.html")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("latex", [r"\left(%s", r"\color{red}{%s}"], ids=["open", "coloured"])
def test_latex_that_is_not_plain_mathml(latex: str, tmp_path: Path) -> None:
    """Of a user's row: the step keeps its sentence, and the others their formulas."""
    strange = Operation("strange", lambda x: x, (lambda x, z: 1.0,), latex=latex)
    y = strange(Value(2.0, label="x"))
    z = y * 3.0
    y.label, z.label = "y", "z"
    text = page(z, tmp_path / "strange.html").read_text(encoding="utf-8")
    del table["strange"]
    steps = re.findall(r"<li>(<p>.*?</p>)(.*?)</li>", text)
    assert "strange(x)" in steps[0][0]
    assert [bool(formula) for _, formula in steps] == [False, *[True] * (len(steps) - 1)]


def test_a_formula_that_explodes(tmp_path: Path) -> None:
    """Forty squarings are 2^40 times the operand, which no page should hold."""

    def forward(x: Any) -> Any:
        for _ in range(40):
            x = x * x
        return x

    squared = Operation("squared_often", forward, (lambda x, z: z / x,))
    text = page(squared(Value(1.0, label="x")), tmp_path / "often.html").read_text(encoding="utf-8")
    del table["squared_often"]
    assert '"missing":"squared_often"' in text.replace(" ", "")
    assert len(text) < 200_000


@needs_browser
def test_a_row_that_is_more_than_its_operands(shown: Open) -> None:
    """Its JavaScript gives other numbers than Python recorded, so the page does not compute with it."""
    factor = [2.0]
    shifting = Operation("shifting", lambda x: x * factor[0], (lambda x, z: factor[0],))
    z = shifting(Value(1.0, label="x"))
    factor[0] = 3.0
    browser = shown(z, "live")
    assert "comes out differently here than in Python" in say(browser)
    assert not browser.find_element(By.ID, "live").is_displayed()


@needs_browser
def test_nothing_flows_where_nothing_arrives(shown: Open) -> None:
    """A gradient of 0 stays 0 where the slope is infinite, as in Python; of nan, nothing is made up."""
    x, w = Value(4.0, label="x"), Value(2.0, label="w")
    y = x.sqrt() * w
    graph = Graph(y)
    browser = shown(y, "live")
    for at in ([0.0, 0.0], [0.0, 1.0], [4.0, math.nan], [math.inf, 0.0]):
        browser.execute_script(
            "gradgraph.set(arguments[0])", [str(a).replace("inf", "Infinity").replace("nan", "NaN") for a in at]
        )
        truth = expected(graph, at)
        assert truth is not None
        assert all(same(x, truth[2][node]) for x, node in zip(state(browser)["grads"], graph, strict=True))
