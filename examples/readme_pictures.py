"""The pictures and pages of the README, made in ``examples/pictures/`` by ``make pictures``."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from autograd import Value, fsum, label_from
from nn import MLP, Adam, binary_cross_entropy_with_logits, fit, initializers
from nn.data import moons
from viz import explain, network, page, save, training_page

FOLDER = Path(__file__).parent / "pictures"


def neuron(*, backward: bool = True) -> dict[str, Value]:
    """One neuron: every learner of micrograd knows its numbers."""
    x1, x2 = Value(2.0), Value(0.0)
    w1, w2, b = Value(-3.0), Value(1.0), Value(6.8813735870195432)
    n = x1 * w1 + x2 * w2 + b
    o = n.tanh()
    names = {"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "n": n, "o": o}
    label_from(names)
    if backward:
        o.backward()
    return names


def reuse() -> dict[str, Value]:
    """A value used twice collects both gradients."""
    a, b = Value(-2.0), Value(3.0)
    d = a * b
    e = a + b
    f = d * e
    names = {"a": a, "b": b, "d": d, "e": e, "f": f}
    label_from(names)
    f.backward()
    return names


def deep_loss(activation: str, init: initializers.Initializer) -> Value:
    """The mean loss of ten layers on twenty points."""
    model = MLP(2, [6] * 9 + [1], activation, init=init, seed=1)
    loss = fsum([binary_cross_entropy_with_logits(model(x), y) for x, y in moons(20)]) / 20
    loss.label = "loss"
    loss.backward()
    return loss


def film(path: Path) -> Path:
    """A training on the moons, epoch by epoch."""
    data, states = moons(100), []
    model = MLP(2, [8, 8, 1], activation="relu", seed=0)
    history = fit(
        model,
        binary_cross_entropy_with_logits,
        data,
        Adam(model.parameters(), lr=0.05),
        epochs=40,
        batch_size=10,
        after_epoch=lambda model: states.append(model.state_dict()),
        progress=False,
    )
    return training_page(model, history, path, states=states, data=data, loss=binary_cross_entropy_with_logits)


def screenshot(html: Path, png: Path, size: str, *, at: str = "", scale: int = 1) -> None:
    """A page as Chromium shows it, at a place that its address names."""
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        options += [f"--window-size={size}", f"--force-device-scale-factor={scale}", f"--screenshot={png.resolve()}"]
        address = html.resolve().as_uri() + at
        subprocess.run(["chromium", *options, address], check=True, capture_output=True, timeout=60)


def main() -> None:
    """Draw them all."""
    names, twice = neuron(), reuse()
    save(names["o"], FOLDER / "neuron.svg", parameters=[names["w1"], names["w2"], names["b"]])
    save(twice["f"], FOLDER / "reuse.svg", title="A value used twice collects both gradients")
    network(deep_loss("sigmoid", initializers.xavier_uniform)).save(FOLDER / "vanishing.svg")
    live = page(names["o"], FOLDER / "neuron.html", parameters=[names["w1"], names["w2"], names["b"]])
    played = film(FOLDER / "moons.html")
    if not shutil.which("chromium"):
        print("the .png files stay as they were: there is no chromium to look at the pages")
        return
    screenshot(live, FOLDER / "page.png", "1400,780", at="#live")
    screenshot(played, FOLDER / "moons.png", "1400,840", at="#frame=40")
    with tempfile.TemporaryDirectory() as folder:
        derivation = Path(folder) / "derivation.html"
        text = explain(twice["f"], twice["a"], paths=True).html()
        derivation.write_text(f'<meta charset="utf-8"><body style="margin: 20px">{text}', encoding="utf-8")
        screenshot(derivation, FOLDER / "derivation.png", "640,520", scale=2)


if __name__ == "__main__":
    main()
