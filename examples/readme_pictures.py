"""The pictures and the page of the README, made in ``examples/pictures/`` by ``make pictures``."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from autograd import Value, fsum, label_from
from nn import MLP, binary_cross_entropy_with_logits, initializers
from nn.data import moons
from viz import network, page, save

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


def reuse() -> Value:
    """A value used twice collects both gradients."""
    a, b = Value(-2.0), Value(3.0)
    d = a * b
    e = a + b
    f = d * e
    label_from({"a": a, "b": b, "d": d, "e": e, "f": f})
    f.backward()
    return f


def deep_loss(activation: str, init: initializers.Initializer) -> Value:
    """The mean loss of ten layers on twenty points."""
    model = MLP(2, [6] * 9 + [1], activation, init=init, seed=1)
    loss = fsum([binary_cross_entropy_with_logits(model(x), y) for x, y in moons(20)]) / 20
    loss.label = "loss"
    loss.backward()
    return loss


def screenshot(html: Path, png: Path) -> None:
    """A page as Chromium shows it."""
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
        size = ["--window-size=1400,800", f"--screenshot={png.resolve()}", f"{html.resolve().as_uri()}#live"]
        subprocess.run(["chromium", *options, *size], check=True, capture_output=True, timeout=60)


def main() -> None:
    """Draw them all."""
    names = neuron()
    save(names["o"], FOLDER / "neuron.svg", parameters=[names["w1"], names["w2"], names["b"]])
    save(reuse(), FOLDER / "reuse.svg", title="A value used twice collects both gradients")
    network(deep_loss("sigmoid", initializers.xavier_uniform)).save(FOLDER / "vanishing.svg")
    live = page(names["o"], FOLDER / "neuron.html", parameters=[names["w1"], names["w2"], names["b"]])
    if shutil.which("chromium"):
        screenshot(live, FOLDER / "page.png")
    else:
        print("page.png stays as it was: there is no chromium to look at the page")


if __name__ == "__main__":
    main()
