"""Learn to read handwritten digits with scalars: every image is a graph of 2,592 numbers.

Run it with ``pip install 'gradgraph[fast,plot]'`` and ``python examples/digits.py``.  Pictures go to ``out/``.
"""

from __future__ import annotations

import csv
import gzip
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from autograd import Graph, Value
from nn import MLP, Adam, History, accuracy, confusion, cross_entropy, data, fit, predict

HERE = Path(__file__).parent
EPOCHS, RATE = 30, 0.005  # chosen on the validation digits


def digits() -> tuple[data.Classified, data.Classified, data.Classified]:
    """Images to train on, to choose epochs and rate by, and to test with, for which nothing was chosen."""
    with gzip.open(HERE / "data" / "digits.csv.gz", "rt", encoding="utf-8") as file:
        rows = [[int(field) for field in row] for row in csv.reader(file)]
    images = [([ink / 16.0 for ink in pixels], digit) for *pixels, digit in rows]
    learning, test = data.split(images, 0.8, seed=0)
    training, validation = data.split(learning, 0.8, seed=1)
    return training, validation, test


def train(seed: int, training: data.Classified, validation: data.Classified) -> tuple[MLP, History, list[float]]:
    """A trained network, what happened, and when each epoch was over."""
    model = MLP(64, [32, 10], activation="relu", seed=seed)
    clock: list[float] = []
    history = fit(
        model,
        cross_entropy,
        training,
        Adam(model.parameters(), lr=RATE),
        epochs=EPOCHS,
        batch_size=32,
        seed=seed,
        validation=validation,
        compiled=True,
        after_epoch=lambda model: clock.append(time.perf_counter()),
    )
    return model, history, clock


def main() -> None:
    if missing := [name for name in ("numpy", "llvmlite", "matplotlib") if find_spec(name) is None]:
        sys.exit(f"this example needs {', '.join(missing)}: pip install 'gradgraph[fast,plot]'")
    from viz import plots

    training, validation, test = digits()
    print(f"Images of 8x8 pixels: {len(training):,} to train on, {len(validation)} to validate, {len(test)} to test")
    pixels, digit = training[0]
    model = MLP(64, [32, 10])
    values = len(Graph(cross_entropy(model([Value(ink) for ink in pixels]), digit)))
    print(f"MLP 64-32-10, relu, {len(model.parameters()):,} parameters; the loss of one image: {values:,} values")
    print(f"cross-entropy; Adam with rate {RATE}, mini-batches of 32, {EPOCHS} epochs\n")

    start = time.perf_counter()
    model, history, clock = train(0, training, validation)
    each = (clock[-1] - clock[0]) / (EPOCHS - 1)
    print(f"{history.path}; {clock[0] - start - each:.1f} s to record and compile, then {each * 1e3:.0f} ms per epoch")
    print(f"loss {history.losses[0]:.3f} -> {history.losses[-1]:.3f}, validation {history.validation_losses[-1]:.3f}")
    print(f"test accuracy {accuracy(model, test):.3f}\n")

    plots.confusion(confusion(model, test, classes=10)).savefig(out("digits-confusion.png"))
    read = [(pixels, digit, predict(model, pixels)) for pixels, digit in test]
    misread = [(pixels, f"{digit} read as {said}") for pixels, digit, said in read if digit != said]
    plot = plots.Plot(10.8, 2.0)
    for j, (pixels, title) in enumerate(misread[:6], 1):
        axes = plot.add_subplot(1, 6, j, title=title)
        axes.imshow([pixels[row : row + 8] for row in range(0, 64, 8)], cmap="Greys", vmin=0.0, vmax=1.0)
        axes.set_axis_off()
    plot.savefig(out("digits-misread.png"))
    print(f"Which were read as which: {out('digits-confusion.png')}")
    print(f"Some of the {len(misread)} misread:   {out('digits-misread.png')}")


def out(name: str) -> Path:
    """Where a result goes: the folder ``out`` beside this one."""
    folder = HERE.parent / "out"
    folder.mkdir(exist_ok=True)
    return (folder / name).relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder / name


if __name__ == "__main__":
    main()
