"""Plots of training, with matplotlib, which is the extra ``plot``.

Ink is forward, colour is backward here as well: losses are ink, gradients and slopes are blue.
"""

from __future__ import annotations

import difflib
import io
import itertools
import math
import os
import statistics
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

from autograd import files
from autograd.context import contained, recorded
from autograd.operations import Operation, printable, table
from viz.boundary import COLOURS, HUGE, around, evenly, finite, leads, scores
from viz.palette import FILL, HAIRLINE, INK, MUTED, PAPER, RIBBON, STROKE
from viz.text import number

try:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator, NullFormatter
except ModuleNotFoundError:
    raise ImportError("viz.plots needs matplotlib: pip install 'gradgraph[plot]'") from None

__all__ = ["Plot", "activations", "confusion", "decision_boundary", "gradient_norms", "loss_curve"]


def __dir__() -> list[str]:
    return __all__


#: A marker for each class, for colour alone says too little.
_MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
#: Of text, to be read on a slide.
_TEXT: dict[str, Any] = {"color": INK, "fontsize": 13.0}
_NOTE: dict[str, Any] = {"color": MUTED, "fontsize": 13.0}
#: How far from 0 activations are drawn.
_REACH = 3.0


class _History(Protocol):
    """What is read of a training history, such as ``nn.fit`` returns: a number per epoch in each list."""

    losses: list[float]
    validation_losses: list[float]
    gradient_norms: dict[str, list[float]]


class Plot(Figure):
    """A figure of matplotlib that shows itself in a notebook, and that ``pyplot`` knows nothing of."""

    def __init__(self, width: float, height: float) -> None:
        layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15)
        super().__init__(figsize=(width, height), dpi=144.0, facecolor=PAPER, layout=layout)

    def savefig(self, fname: Any, *, format: str | None = None, **options: Any) -> None:
        """Draw to a file as matplotlib does; it is replaced only when the picture is complete."""
        if not isinstance(fname, (str, os.PathLike)):
            super().savefig(fname, format=format, **options)
            return
        path = Path(fname)
        kind = format or path.suffix[1:] or self.canvas.get_default_filetype()
        file = io.BytesIO()
        super().savefig(file, format=kind, **options)
        named = path.suffix or format or files.is_stream(path)
        files.replace(path if named else path.with_name(f"{path.name}.{kind}"), file.getvalue())

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def loss_curve(history: _History) -> Plot:
    """The loss of every epoch, in training and validation, with the best epoch.

    The best is the lowest loss, of validation if there is any, as for the ``patience`` of ``nn.fit``. The
    scale is logarithmic where positive losses span more than two decades.

    Args:
        history: what happened during training.

    Returns:
        The plot; ``savefig`` writes it to a file.

    Raises:
        ValueError: if there is no epoch whose loss is finite.

    >>> from nn import History
    >>> plot = loss_curve(History(losses=[0.9, 0.4, 0.2, 0.1], validation_losses=[0.9, 0.5, 0.4, 0.6]))
    >>> [text.get_text() for text in plot.axes[0].texts]
    ['best: epoch 3, 0.40', 'training', 'validation']
    """
    curves = {"training": finite(history.losses), "validation": finite(history.validation_losses)}
    judged = curves["validation"] or curves["training"]
    known = [y for curve in curves.values() for y in curve if y == y]
    if all(map(math.isnan, judged)):
        raise ValueError("loss_curve needs at least one epoch with a finite loss")
    lowest = min(y for y in judged if y == y)
    best = judged.index(lowest) + 1  # of equals the first, which is the one that fit restores

    plot, axes = _plot("Loss", lines=1)
    lost = sum(map(math.isnan, judged))
    _over_epochs(axes, len(judged), f"  ({lost} of {len(judged)} without a finite loss)" if lost else "")
    if min(known) > 1.0 / HUGE and max(known) / 100.0 > min(known):
        _log_scale(axes, known)
    for name, curve in curves.items():
        if curve:
            _line(axes, name, curve, INK if curve is judged else RIBBON[0])
    axes.axvline(best, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
    axes.plot([best], [lowest], "o", color=INK, markeredgecolor=PAPER, markersize=11.0, zorder=3.0, clip_on=False)
    share = (best - 0.5) / len(judged)
    side = "left" if share < 0.3 else "right" if share > 0.7 else "center"
    text = f"best: epoch {best}, {number(lowest)}"
    axes.annotate(text, (best, 1.0), (0.0, 4.0), axes.get_xaxis_transform(), "offset points", ha=side, **_TEXT)
    _name_ends(plot, axes)
    return plot


def gradient_norms(history: _History) -> Plot:
    """The norm of every layer's gradient, epoch by epoch, on a logarithmic scale.

    A norm of exactly 0, which has no place there, is a triangle on the lower edge.

    Args:
        history: what happened during training.

    Returns:
        The plot; ``savefig`` writes it to a file.

    Raises:
        ValueError: if there is no epoch.

    >>> from nn import History
    >>> plot = gradient_norms(History(gradient_norms={"h1": [0.01, 0.02], "out": [1.0, 0.9]}))
    >>> [text.get_text() for text in plot.axes[0].texts][1:]
    ['h1', 'out']
    """
    norms = {
        layer: [0.0 if y < 1.0 / HUGE else y for y in finite(curve)] for layer, curve in history.gradient_norms.items()
    }
    epochs = max(map(len, norms.values()), default=0)
    if not epochs:
        raise ValueError("gradient_norms needs at least one epoch")
    note = (
        "Lines far apart: on its way back to the first layers the gradient\n"
        "vanishes (they are the lowest) or explodes (they are the highest)."
    )
    plot, axes = _plot("Norm of the gradient, layer by layer", note, lines=2, height=max(5.0, 2.0 + 0.25 * len(norms)))
    _over_epochs(axes, epochs, "  (▼ a norm of 0)" if any(0.0 in curve for curve in norms.values()) else "")
    _log_scale(axes, [y for curve in norms.values() for y in curve if y > 0.0])
    shades = _mixed(INK, RIBBON[1], "#6DB1DA")
    for j, (layer, curve) in enumerate(norms.items()):
        colour = shades(j / max(len(norms) - 1, 1))
        _line(axes, printable(layer), curve, colour)
        if zeros := [epoch for epoch, y in enumerate(curve, 1) if y == 0.0]:
            edge = axes.get_xaxis_transform()
            axes.plot(zeros, [0.02] * len(zeros), "v", color=colour, transform=edge, clip_on=False)
    _name_ends(plot, axes)
    return plot


@contained
def decision_boundary(
    model: Callable[[Any], Any], data: Sequence[tuple[Sequence[float], int]], *, resolution: int = 60
) -> Plot:
    """Where a model of two inputs chooses which class, and the examples.

    A class is chosen as by ``nn.predict``: of several outputs the largest; of a single one class 1 above
    ½ if it is a sigmoid's, else above 0. The further the output is from the boundary, the darker.

    Args:
        model: called with the two inputs of one example.
        data: examples whose targets are the numbers of classes; also −1, which is class 0.
        resolution: how often the model is called along each side.

    Returns:
        The plot; ``savefig`` writes it to a file.

    Raises:
        ValueError: if there are no examples, one has not two finite inputs or no class for a target, or
            the resolution is less than 2.

    >>> from autograd import Value
    >>> plot = decision_boundary(lambda x: Value(x[0] - x[1]), [([0.0, 1.0], 0), ([1.0, 0.0], 1)])
    >>> [text.get_text() for text in plot.axes[0].get_legend().get_texts()]
    ['class 0', 'class 1']
    """
    if not data or resolution < 2:
        raise ValueError(f"decision_boundary needs examples, and a resolution of at least 2, not {resolution}")
    for i, (x, y) in enumerate(data):
        if len(x) != 2 or not all(map(math.isfinite, x)):
            raise ValueError(f"decision_boundary needs two finite inputs, but example {i} has {x!r}")
        if not isinstance(y, Real) or y < -1 or y % 1:
            raise ValueError(f"the target of example {i} is not the number of a class: {y!r}")
    across, up = around([x for x, _ in data], resolution)
    with recorded():  # so that an output knows its activation
        ahead = [[leads([score.data for score in scores(model([x1, x2]))]) for x1 in across] for x2 in up]

    shape = (up[-1] - up[0]) / (across[-1] - across[0])
    note = "Darker: the output is further from the boundary."
    plot, axes = _plot("Decision boundary", note, lines=1, height=1.8 + 5.8 * min(max(shape, 0.4), 1.2))
    axes.set_aspect("equal")
    axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
    axes.grid(visible=False)
    for c in reversed(range(len(ahead[0][0]))):  # so that what is tied goes to the first class
        lead = [[point[c] for point in row] for row in ahead]
        known = [x for row in lead for x in row if x == x]
        if known and max(known) >= 0.0:
            tints = _mixed(PAPER, COLOURS[c % len(COLOURS)])
            levels = [share * (max(known) or 1.0) for share in (-1e-9, 0.25, 0.5, 0.75, 1.001)]
            axes.contourf(across, up, lead, levels, colors=[tints(share) for share in (0.14, 0.22, 0.30, 0.38)])
            if c and min(known) < 0.0 < max(known):  # the boundary of class 0 is that of others as well
                axes.contour(across, up, lead, [0.0], colors=[INK], linewidths=2.0)
    for y in sorted({int(y) for _, y in data}):
        colour, marker = (styles[max(y, 0) % len(styles)] for styles in (COLOURS, _MARKERS))
        places = [[x[j] for x, target in data if target == y] for j in (0, 1)]
        name = f"class {y}".replace("-", "−")
        axes.plot(*places, marker, color=colour, markersize=8.0, markeredgecolor=PAPER, label=name)
    axes.set_xlabel("x₁", **_NOTE)
    axes.set_ylabel("x₂", rotation=0.0, **_NOTE)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=13.0, labelcolor=INK)
    return plot


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str] | None = None) -> Plot:
    """How many examples of each class were taken for each: what is wrong stands out, what is right does not.

    Args:
        matrix: the counts, such as ``nn.confusion`` finds: a row for each true class, a column for each
            predicted one.
        names: of the classes; their numbers if left out.

    Returns:
        The plot; ``savefig`` writes it to a file.

    Raises:
        ValueError: if the matrix is not square or empty of examples, a count is not 0, 1, 2, …, or there
            is not a name for each class.

    >>> plot = confusion([[3, 1], [0, 4]], ["cat", "dog"])
    >>> plot.axes[0].get_title(loc="left"), [text.get_text() for text in plot.axes[0].texts]
    ('Confusion: accuracy 0.875', ['1 of 8 is wrong', '3', '1', '4'])
    """
    rows = [list(row) for row in matrix]
    n = len(rows)
    for i, row in enumerate(rows):
        if len(row) != n:
            raise ValueError(f"confusion needs a square matrix, but of its {n} rows, row {i} has {len(row)} counts")
        for j, count in enumerate(row):
            if not isinstance(count, Real) or count < 0 or count % 1:
                raise ValueError(f"the count in row {i}, column {j} is not 0, 1, 2, …: {count!r}")
    counts = {(i, j): int(rows[i][j]) for i in range(n) for j in range(n)}
    total = sum(counts.values())
    if not total:
        raise ValueError("confusion needs at least one example")
    if names is not None and len(names) != n:
        raise ValueError(f"confusion needs a name for each of the {n} classes, not {len(names)}: {list(names)!r}")
    labels = [printable(str(name)) for name in (range(n) if names is None else names)]
    errors = [count for (i, j), count in counts.items() if i != j and count]
    wrong, worst = sum(errors), max(errors, default=0)

    # In inches: a square with room for the longest count in each cell, and for the longest name beside it.
    side = max(3.8, n * max(0.55, 0.13 * len(str(max(counts.values())))))
    longest = 0.1 * max(map(len, labels))
    slanted = longest > 0.9 * side / n
    plot = Plot(side + 1.2 + longest, side + 1.9 + 0.7 * longest * slanted)
    note = f"{wrong:,} of {total:,} {'is' if wrong == 1 else 'are'} wrong"
    note += "; darker: more often" if worst > min(errors, default=0) else ""
    axes = _dressed(plot.add_subplot(), f"Confusion: accuracy {1.0 - wrong / total:.3f}", note, lines=1)
    tints = _mixed(PAPER, RIBBON[-1])
    for (i, j), count in counts.items():
        fill = FILL["input"] if i == j else tints(0.25 + 0.45 * count / worst) if count else PAPER
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1.0, 1.0, facecolor=fill, edgecolor=HAIRLINE))
        if count:
            style = _NOTE if i == j else {**_TEXT, "fontweight": "bold"}
            axes.text(j, i, str(count), ha="center", va="center", **style)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    slant: dict[str, Any] = {"rotation": 45.0, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks(range(n), labels, parse_math=False, **slant)
    axes.set_yticks(range(n), labels, parse_math=False)
    axes.set_xlabel("predicted class", **_NOTE)
    axes.set_ylabel("true class", **_NOTE)
    return plot


def activations(*names: str) -> Plot:
    """Operations of one operand beside each other: the function, and its derivative dashed.

    Both are drawn from the rows of the table. All share one scale, so that slopes can be compared. A dot
    is the slope at a kink, which is a convention: see ``autograd.kinks``.

    Args:
        names: of rows; five usual activation functions if left out.

    Returns:
        The plot; ``savefig`` writes it to a file.

    Raises:
        ValueError: if no row of one operand has that name; it suggests the nearest.

    >>> [axes.get_title(loc="left") for axes in activations("tanh", "relu").axes]
    ['tanh', 'relu']
    """
    fitting = {op.name: op for op in table.values() if not op.nary and len(op.partials) - len(op.defaults) <= 1}
    names = names or ("sigmoid", "tanh", "relu", "leaky_relu", "softplus")
    for name in names:
        if name not in fitting:
            near = difflib.get_close_matches(name, fitting, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f": choose from {', '.join(sorted(fitting))}"
            raise ValueError(f"no operation of one operand is called {name!r}{hint}")
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    plot = Plot(1.0 + 3.6 * columns, 0.4 + 3.0 * rows)
    seen = [0.0, 1.0]
    for j, name in enumerate(names, 1):
        axes, op = _dressed(plot.add_subplot(rows, columns, j), name), fitting[name]
        # Where the intervals that the tests sample leave a gap, there is a kink, at which lines are broken.
        kinks = [(left[1] + right[0]) / 2.0 for left, right in itertools.pairwise(op.domain[0])]
        xs = sorted({*evenly(-_REACH, _REACH, 301), *(x + side for x in kinks for side in (-1e-9, 0.0, 1e-9))})
        values, slopes = zip(*(_value_and_slope(op, math.nan if x in kinks else x) for x in xs), strict=True)
        axes.plot(xs, values, color=INK, linewidth=2.5, solid_capstyle="round", label="f")
        axes.plot(xs, slopes, color=RIBBON[1], linewidth=2.5, linestyle=(0, (3, 1.5)), label="f′")
        axes.plot(kinks, [_value_and_slope(op, x)[1] for x in kinks], "o", color=RIBBON[1])
        seen += [y for y in values + slopes if y == y]
    for axes in plot.axes:
        axes.set(xlim=(-_REACH, _REACH), ylim=(max(min(seen), -_REACH) - 0.15, min(max(seen), _REACH) + 0.15))
    for axes in plot.axes:
        _name_ends(plot, axes)
    return plot


def _value_and_slope(op: Operation, x: float) -> tuple[float, float]:
    operands = [x, *op.defaults[len(op.defaults) + 1 - len(op.partials) :]]
    try:
        z = op.evaluate(operands)
    except (ArithmeticError, ValueError):
        return math.nan, math.nan  # outside the domain
    value, slope = finite([z, op.slopes(operands, z)[0]])
    return value, slope


def _plot(title: str, note: str = "", *, lines: int, height: float = 5.0) -> tuple[Plot, Axes]:
    plot = Plot(8.0, height)
    return plot, _dressed(plot.add_subplot(), title, note, lines)


def _dressed(axes: Axes, title: str, note: str = "", lines: int = 0) -> Axes:
    """Axes with a title, room for so many lines below it, and no more ink than needed."""
    axes.set_title(title, loc="left", color=INK, fontsize=18.0, fontweight="bold", pad=8.0 + 18.0 * lines)
    if note:
        axes.annotate(note, (0.0, 1.0), (0.0, 8.0), "axes fraction", "offset points", **_NOTE)
    axes.set_facecolor(PAPER)
    axes.grid(color=HAIRLINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(STROKE["input"])
    axes.tick_params(which="both", length=0.0, labelsize=12.0, labelcolor=MUTED)
    return axes


def _over_epochs(axes: Axes, epochs: int, note: str) -> None:
    axes.set_xlabel("epoch" + note, **_NOTE)
    axes.set_xlim(*((1.0, epochs) if epochs > 1 else (0.5, 1.5)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _log_scale(axes: Axes, known: Sequence[float]) -> None:
    """From one power of ten to another, so that some have their numbers written."""
    axes.set_yscale("log", nonpositive="mask")
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = (math.log10(bound(known, default=1.0)) for bound in (min, max))
    axes.set_ylim(10.0 ** math.floor(low - 0.1), 10.0 ** math.ceil(high + 0.1))


def _line(axes: Axes, name: str, curve: Sequence[float], colour: Any) -> None:
    """A number per epoch, from 1; one between two gaps, which no line reaches, is a dot."""
    shown = [False, *(y > 0.0 if axes.get_yscale() == "log" else y == y for y in curve), False]
    alone = [i for i in range(len(curve)) if shown[i : i + 3] == [False, True, False]]
    (line,) = axes.plot(range(1, len(curve) + 1), curve, "-o", color=colour, linewidth=2.5, label=name)
    line.set(markevery=alone, clip_on=False)


def _name_ends(plot: Plot, axes: Axes) -> None:
    """Write the labels of the lines at the right edge, each beside the line's end, but not on each other."""
    plot.draw_without_rendering()  # so that the axes have their place
    point, (low, high) = plot.dpi / 72.0, axes.get_ylim()
    ends = []
    for line in axes.lines:
        if not str(line.get_label()).startswith("_"):  # as matplotlib calls lines without a label
            curve: Any = line.get_ydata()
            y = min(max(next((y for y in reversed(finite(curve)) if y == y), low), low), high)
            ends.append((axes.transData.transform((1.0, y))[1] / point, y, line))
    ends.sort(key=lambda end: end[0])
    places = _spread([end[0] for end in ends], 17.0, axes.bbox.ymin / point, axes.bbox.ymax / point)
    edge = axes.get_yaxis_transform()
    for (height, y, line), place in zip(ends, places, strict=True):
        stroke = {"arrowstyle": "-", "color": line.get_color(), "relpos": (0.0, 0.5), "shrinkA": 1.0, "shrinkB": 2.0}
        text, offset = str(line.get_label()), (16.0, place - height)
        axes.annotate(text, (1.0, y), offset, edge, "offset points", stroke, False, va="center", **_TEXT)


def _spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places between two limits as near as can be to those wanted, in their order and a gap apart."""
    blocks: list[list[float]] = []  # of neighbours that touch, and so move together
    for i, place in enumerate(wanted):
        blocks.append([place - i * gap])
        while len(blocks) > 1 and statistics.mean(blocks[-2]) > statistics.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    packed = [statistics.mean(block) for block in blocks for _ in block]
    return [max(low, min(place, high - (len(wanted) - 1) * gap)) + i * gap for i, place in enumerate(packed)]


def _mixed(*colours: str) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("mixed", list(colours))
