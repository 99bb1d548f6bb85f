"""The film of a training: its numbers against plain lists, what it leaves untouched, and the page in a browser."""

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograd import Value, fsum
from autograd.jit import Jitted
from nn import MLP, SGD, History, Layer, Module, binary_cross_entropy_with_logits, cross_entropy, fit, squared_error
from nn.data import blobs, moons
from viz import film, network, training_page
from viz.boundary import CODES
from viz.palette import DARK, SHADES

States = list[dict[str, float]]
Page = tuple[Path, dict[str, Any]]
DATA = [([0.5, -1.0], 1), ([2.0, 0.25], -1), ([-1.5, 1.0], 1)]


def trained(model: Any, loss: Any, data: Any, epochs: int, **options: Any) -> tuple[History, States]:
    """What the film is made of."""
    states: States = []
    optimizer = SGD(model.parameters(), lr=0.3)
    options |= {"progress": False, "after_epoch": lambda model: states.append(model.state_dict())}
    return fit(model, loss, data, optimizer, epochs=epochs, **options), states


def numbers(path: Path) -> Any:
    """The data in a page."""
    found = re.search(r'<script type="application/json" id="numbers">(.*?)</script>', path.read_text(encoding="utf-8"))
    assert found
    return json.loads(found[1])


def small(path: Path, epochs: int = 5, **options: Any) -> tuple[MLP, History, States]:
    """A film of a network 2-2-1."""
    model = MLP(2, [2, 1], "tanh", seed=1)
    history, states = trained(model, squared_error, DATA, epochs)
    given: dict[str, Any] = {"states": states, "data": DATA, "loss": squared_error}
    training_page(model, history, path, **given | options)
    return model, history, states


# The numbers.


def test_the_numbers_are_those_of_plain_lists(tmp_path: Path) -> None:
    """Activations, gradients of units and weights, and each layer's mean, by the chain rule written out."""
    _, history, states = small(tmp_path / "a.html")
    told = numbers(tmp_path / "a.html")
    assert [told["epochs"], told["losses"]] == [[1, 2, 3, 4, 5], pytest.approx(history.losses, rel=1e-4)]
    names = [unit[1] for unit in told["units"]]
    assert names == ["x₁", "x₂", "h1[0]", "h1[1]", "out[0]"]
    for state, frame in zip(states, told["frames"], strict=True):
        w1, b1, w2, b2 = [[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0], [0.0, 0.0], 0.0
        flat = [*state.values()]  # by neurons: two weights and a bias
        (w1[0][0], w1[0][1], b1[0]), (w1[1][0], w1[1][1], b1[1]), (w2[0], w2[1], b2) = flat[:3], flat[3:6], flat[6:]
        hs: list[list[float]] = []
        dhs: list[list[float]] = []
        dws: list[list[float]] = []
        outs: list[float] = []
        douts: list[float] = []
        for x, y in DATA:
            h = [math.tanh(w1[j][0] * x[0] + w1[j][1] * x[1] + b1[j]) for j in (0, 1)]
            out = w2[0] * h[0] + w2[1] * h[1] + b2
            dout = 2.0 * (out - y) / len(DATA)
            dh = [dout * w for w in w2]
            da = [dh[j] * (1.0 - h[j] ** 2) for j in (0, 1)]
            dws.append([da[0] * x[0], da[0] * x[1], da[0], da[1] * x[0], da[1] * x[1], da[1]])
            dws[-1] += [dout * h[0], dout * h[1], dout]
            hs.append(h)
            dhs.append(dh)
            outs.append(out)
            douts.append(dout)
        grads = [sum(column) for column in zip(*dws, strict=True)]

        def mean(xs: Any) -> float:
            return float(sum(xs) / len(DATA))

        units = [[mean(x[j] for x, _ in DATA), None, None, ""] for j in (0, 1)]
        for values, slopes in (*([[h[j] for h in hs], [dh[j] for dh in dhs]] for j in (0, 1)), (outs, douts)):
            total = sum(slopes)
            units.append([mean(values), mean(map(abs, slopes)), (total > 0.0) - (total < 0.0), ""])
        for shown, expected in zip(frame["units"], units, strict=True):
            assert [x is None for x in shown] == [x is None for x in expected]
            for a, b in zip(shown[:3], expected[:3], strict=True):
                assert a is None or a == pytest.approx(b, rel=1e-4, abs=1e-12)
            assert shown[3] == expected[3]
        place = {("u0_0", "u1_0"): 0, ("u0_1", "u1_0"): 1, ("u0_0", "u1_1"): 3, ("u0_1", "u1_1"): 4}
        place |= {("u1_0", "u2_0"): 6, ("u1_1", "u2_0"): 7}
        weights = [grads[place[source, target]] for source, target in told["links"]]
        assert frame["weights"] == pytest.approx(weights, rel=1e-4, abs=1e-12)
        means = [sum(map(abs, held)) / len(held) for held in (grads[:6], grads[6:])]
        assert [layer[0] for layer in frame["layers"][1:]] == pytest.approx(means, rel=1e-4)


def test_the_plane_tells_the_class_that_is_predicted(tmp_path: Path) -> None:
    """At every place, and a lead that is larger where the output is further from the boundary."""
    _, _, states = small(tmp_path / "a.html")
    plane = numbers(tmp_path / "a.html")["plane"]
    model, side = MLP(2, [2, 1], "tanh"), plane["side"]
    across, up = ([low + (high - low) * i / (side - 1) for i in range(side)] for low, high in map(plane.get, _SIDES))
    for state, cells in zip(states, plane["frames"], strict=True):
        model.load_state_dict(state)
        outputs = [model([x, y]).data for y in up for x in across]
        codes = [CODES.index(cell) for cell in cells]
        assert [code // plane["steps"] for code in codes] == [int(output > 0.0) for output in outputs]
        ranked = sorted((abs(output), code % plane["steps"]) for output, code in zip(outputs, codes, strict=True))
        assert [step for _, step in ranked] == sorted(step for _, step in ranked)
    assert plane["points"] == [[*x, max(y, 0)] for x, y in DATA]


class Bent(MLP):
    """Another branch on either side of a line."""

    def __call__(self, x: Any) -> Any:
        y = super().__call__(x)
        return y if x[0] > 0.25 else y - 0.5


def no_batch(*_: object) -> None:
    raise ImportError("batches need numpy: pip install 'gradgraph[fast]'")


def test_a_model_that_branches_is_asked_at_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where there is no NumPy: what would be done at once is done one by one."""
    found = []
    for name, missing in (("a.html", False), ("b.html", True)):
        model = Bent(2, [2, 1], "tanh", seed=1)
        history, states = trained(model, squared_error, DATA, 2)
        if missing:
            monkeypatch.setattr(Jitted, "batch", no_batch)
        path = training_page(model, history, tmp_path / name, states=states, data=DATA, loss=squared_error)
        found.append(numbers(path)["plane"])
    plane, side = found[0], found[0]["side"]
    assert found[1] == plane
    model.load_state_dict(states[-1])
    across, up = ([low + (high - low) * i / (side - 1) for i in range(side)] for low, high in map(plane.get, _SIDES))
    classes = [int(model([x, y]).data > 0.0) for y in up for x in across]
    assert [CODES.index(cell) // plane["steps"] for cell in plane["frames"][-1]] == classes
    assert 0 < sum(classes) < len(classes)


_SIDES = ("across", "up")


@pytest.mark.parametrize(
    ("epochs", "frames", "expected"),
    [(1, 60, [1]), (2, 60, [1, 2]), (5, 2, [1, 3, 5]), (10, 3, [1, 4, 7, 10]), (61, 60, [*range(1, 62)])],
)
def test_frames_are_evenly_spaced(epochs: int, frames: int, expected: list[int], tmp_path: Path) -> None:
    """The first epoch, and so many more, the last among them."""
    model, data = MLP(1, [2, 1], "tanh", seed=1), [([0.5], 1)]
    history, states = trained(model, squared_error, data, epochs)
    options: dict[str, Any] = {"states": states, "data": data, "loss": squared_error, "frames": frames}
    told = numbers(training_page(model, history, tmp_path / "a.html", **options))
    assert told["epochs"] == expected
    assert len(told["frames"]) == len(expected)


def test_without_two_inputs_there_is_no_plane(tmp_path: Path) -> None:
    """Nor where targets are not classes; several outputs and classes have one."""
    cases: list[tuple[Any, Any, Any, bool]] = [
        (MLP(3, [2, 1], "tanh", seed=0), squared_error, [([0.0, 1.0, 2.0], 1)], False),
        (MLP(2, [2, 1], "tanh", seed=0), squared_error, [([0.0, 1.0], 0.5), ([1.0, 1.0], 2.0)], False),
        (MLP(2, [4, 3], "tanh", seed=0), cross_entropy, blobs(9), True),
    ]
    for model, loss, data, shown in cases:
        history, states = trained(model, loss, data, 2)
        path = training_page(model, history, tmp_path / "a.html", states=states, data=data, loss=loss)
        assert ("plane" in numbers(path)) == shown


def test_what_is_not_finite_is_told(tmp_path: Path) -> None:
    """A loss that is infinite or nan in the history is no reason to fail."""
    model = MLP(2, [2, 1], "tanh", seed=1)
    history = History(losses=[math.inf, math.nan], validation_losses=[1.0, -math.inf])
    states = [model.state_dict()] * 2
    path = training_page(model, history, tmp_path / "a.html", states=states, data=DATA, loss=squared_error)
    told = numbers(path)
    assert (told["losses"], told["validation"]) == (["Infinity", "NaN"], [1.0, "-Infinity"])


# What it leaves as it was.


@pytest.mark.parametrize("fails", [False, True])
def test_model_and_gradients_are_as_they_were(fails: bool, tmp_path: Path) -> None:
    """To the bit, also after an error in the middle, and those of a Value among the inputs."""
    model, shared = MLP(2, [2, 1], "tanh", seed=1), Value(0.25, label="x1")
    history, states = trained(model, squared_error, DATA, 3)
    data: list[tuple[list[Any], int]] = [([shared, 0.5], 1), ([2.0, 0.25], -1), ([-1.5, 1.0], 1)]
    (model(data[0][0]) * 3.0).backward()
    model.parameters()[0]._grad = None
    model.parameters()[1].data = -0.0
    held = [*model.parameters(), shared]
    before = [(p.data.hex(), p._grad) for p in held]
    calls = 0

    def loss(output: Any, target: Any) -> Value:
        nonlocal calls
        calls += 1
        if fails and calls == 5:
            raise RuntimeError("no more")
        return squared_error(output, target)

    path = tmp_path / "a.html"
    if fails:
        with pytest.raises(RuntimeError, match="no more") as caught:
            training_page(model, history, path, states=states, data=data, loss=loss)
        assert caught.value.__notes__ == ["in the state after epoch 2"]
        assert not path.exists()
    else:
        training_page(model, history, path, states=states, data=data, loss=loss)
    assert [(p.data.hex(), p._grad) for p in held] == before


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    """And nothing is written."""
    model = MLP(2, [2, 1], "tanh", seed=1)
    history, states = trained(model, squared_error, DATA, 3)
    wrong = [{**states[0], "more": 1.0}, *states[1:]]
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"states": states[1:]}, ValueError, r"one per epoch, 3 .*, not 2: .*after_epoch=lambda model: states.append"),
        ({"states": wrong}, KeyError, "unknown more"),
        ({"data": []}, ValueError, "at least one example"),
        ({"history": History()}, ValueError, "one epoch"),
        ({"frames": 0}, ValueError, "frames must be a whole number, at least 1, not 0"),
        ({"frames": True}, ValueError, "frames must be"),
        ({"loss": "mse"}, TypeError, "loss must be a function, not 'mse'"),
        ({"loss": lambda output, target: 1.0}, TypeError, "must return a Value, not float"),
        ({"model": lambda x: x}, TypeError, "needs a network, such as nn.MLP"),
        ({"path": tmp_path / "no" / "a.html"}, FileNotFoundError, "there is no folder"),
        ({"model": MLP(2, [12_500, 1])}, ValueError, r"takes up to 50,000 parameters, not 50,001: see viz.network"),
    ]
    given = {"model": model, "history": history, "path": tmp_path / "a.html"}
    given |= {"states": states, "data": DATA, "loss": squared_error}
    make: Callable[..., Path] = training_page
    for changed, error, message in cases:
        with pytest.raises(error, match=message):
            make(**given | changed)
    assert [*tmp_path.iterdir()] == []


# The page.


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """Nothing is loaded, nothing but its own script may run, and it is small."""
    data, model = moons(60, seed=0), MLP(2, [8, 1], "tanh", seed=0)
    history, states = trained(model, binary_cross_entropy_with_logits, data, 61)
    options: dict[str, Any] = {"states": states, "data": data, "loss": binary_cross_entropy_with_logits}
    text = training_page(model, history, tmp_path / "a.html", frames=5, **options).read_text(encoding="utf-8")
    assert len(text.encode()) < 100_000
    assert "default-src 'none'; script-src 'sha256-" in text
    assert not re.search(r"unsafe|\b(src|href)=|url\(|@import|style=|\son\w+=", text)
    assert re.findall(r"https?://[^\"']*", text) == ["http://www.w3.org/2000/svg"]  # the name of a language


def test_the_same_film_is_the_same_bytes(tmp_path: Path) -> None:
    """Also where examples are chosen at random."""
    pages = []
    for name in ("a.html", "b.html"):
        model, data = MLP(3, [3, 1], "tanh", seed=1), [([j / 60.0, 0.5, 1.0], j % 2) for j in range(60)]
        history, states = trained(model, squared_error, data, 3)
        path = training_page(model, history, tmp_path / name, states=states, data=data, loss=squared_error)
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]


def test_labels_are_inert(tmp_path: Path) -> None:
    """Whatever a layer is called."""
    name = "</script><img src=x onerror=alert(1)>\u2028<!--numbers-->"

    class Hostile(Module):
        def __init__(self) -> None:
            self.layer = Layer(2, 2, "tanh", name=name)

        def __call__(self, x: Any) -> Value:
            return fsum(self.layer(x))

    model = Hostile()
    history, states = trained(model, squared_error, DATA, 2)
    path = training_page(model, history, tmp_path / "a.html", states=states, data=DATA, loss=squared_error)
    text = path.read_text(encoding="utf-8")
    assert "<img" not in text
    assert "\u2028" not in text
    assert text.count("</script>") == 2
    assert numbers(path)["layers"][1][0].startswith("</script><img src=x")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, that remembers what its console says."""
    webdriver = pytest.importorskip("selenium.webdriver")
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
    if not driver or not chromium:
        pytest.skip("there is no chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", "force-prefers-reduced-motion"):
        options.add_argument(f"--{argument}")
    for argument in ("disable-background-networking", "disable-component-update", "disable-sync"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driven = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield driven
    driven.quit()


LOOKS = """return [...document.querySelectorAll("#net .node ellipse, #net .edge path, #net .bar")].map((e) => [
  e.style.fill, e.style.stroke, e.style.strokeWidth, e.style.strokeOpacity, e.getAttribute("height")])"""


def at(browser: Any, path: Path, fragment: str) -> tuple[str, list[list[Any]]]:
    """The sentence, and what the marks look like."""
    browser.get("about:blank")
    browser.get(path.as_uri() + fragment)
    return browser.find_element("id", "told").text, browser.execute_script(LOOKS)


def test_the_film_in_a_browser(browser: Any, tmp_path: Path) -> None:
    """The address selects a frame; buttons and keys move; frames differ; and the console is silent."""
    path = tmp_path / "a.html"
    _, history, _ = small(path, 30, frames=10)
    epochs = numbers(path)["epochs"]
    seen = [at(browser, path, f"#frame={frame}") for frame in (1, 5, 11, 99)]
    assert [told.split(":")[0] for told, _ in seen] == [f"epoch {n} of 30" for n in (1, epochs[4], 30, 30)]
    assert seen[0][0].endswith(f": loss {history.losses[0]:.2f}")
    for column in (0, 1, 2, 3, 4):
        assert [look[column] for look in seen[0][1]] != [look[column] for look in seen[2][1]]
    body = browser.find_element("tag name", "body")
    key = pytest.importorskip("selenium.webdriver").Keys
    for pressed, epoch in ((key.HOME, 1), (key.ARROW_RIGHT, epochs[1]), (key.ARROW_LEFT, 1), (key.END, 30)):
        body.send_keys(pressed)
        assert browser.find_element("id", "told").text.startswith(f"epoch {epoch} of")
    for button, epoch in (("first", 1), ("next", epochs[1]), ("back", 1), ("last", 30)):
        browser.find_element("id", button).click()
        assert browser.find_element("id", "told").text.startswith(f"epoch {epoch} of")
    play = browser.find_element("id", "play")
    play.click()
    assert (play.get_attribute("aria-label"), browser.find_element("id", "slider").get_attribute("value")) != (
        "Play",
        "11",
    )
    play.click()
    assert play.get_attribute("aria-label") == "Play"
    assert browser.get_log("browser") == []


def test_a_film_of_one_frame_is_the_picture(browser: Any, tmp_path: Path) -> None:
    """With its fills, rings and ribbons, as Graphviz draws them."""
    model = MLP(2, [4, 1], "tanh", seed=4)
    history, states = trained(model, squared_error, DATA, 1)
    path = training_page(model, history, tmp_path / "a.html", states=states, data=DATA, loss=squared_error)
    _, looks = at(browser, path, "")
    model.load_state_dict(states[0])
    loss = fsum([squared_error(model(x), y) for x, y in DATA]) / len(DATA)
    model.zero_grad()
    loss.backward()
    svg = network(loss).pipe("svg", encoding="utf-8")
    names = {colour.lower(): name for name, colour in film.NAMES.items() if not name.startswith("class")}
    fills = {shade.lower(): f"shade{i}" for i, shade in enumerate(SHADES)}
    drawn = []
    for fill, stroke, rest in re.findall(r'<(?:ellipse|path) fill="(.*?)" stroke="(.*?)"(.*?)/>', svg):
        width, opacity = (re.search(rf'stroke-{name}="(.*?)"', rest) for name in ("width", "opacity"))
        values = [float(found[1]) if found else 1.0 for found in (width, opacity)]
        drawn.append((fills.get(fill, ""), names[stroke], *(round(value, 2) for value in values)))
    shown = []
    for fill, stroke, width, opacity, height in looks:
        if height is None:
            colours = [colour.removeprefix("var(--").removesuffix(")") for colour in (fill, stroke)]
            shown.append((*colours, round(float(width), 2), round(float(opacity or 1.0), 2)))
    assert sorted(shown) == sorted(drawn)


def test_every_colour_of_the_page_has_a_dark_one() -> None:
    """Those of the palette."""
    assert set(film.NAMES.values()) <= set(DARK)


def test_the_template_is_part_of_the_package() -> None:
    """Beside the module, where an installation has it."""
    done = subprocess.run([sys.executable, "-c", "import viz.film"], capture_output=True, check=True)
    assert done.stderr == b""
    template = Path(film.__file__).with_suffix(".html").read_text(encoding="utf-8")
    script = template.partition("<script>")[2]
    assert (
        len([line for line in script.splitlines() if line.strip() and not line.strip().startswith(("//", "/**"))])
        <= 250
    )
