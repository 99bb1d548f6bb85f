"""Plots of training: what is drawn, read back from the figures."""

import io
import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Text

from autograd import Value, no_grad, operations, sigmoid
from nn import MLP, History, accuracy, data, predict
from nn import confusion as counted
from viz.palette import INK, RIBBON
from viz.plots import Plot, activations, confusion, decision_boundary, gradient_norms, loss_curve

NAN, INF = math.nan, math.inf
CORNERS = [([-1.0, -1.0], 0), ([1.0, 1.0], 1)]


def line(axes: Axes, label: str) -> Line2D:
    """The one line of that label."""
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


def curve(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    """Its numbers."""
    drawn: Any = line(axes, label)
    return list(drawn.get_xdata()), list(drawn.get_ydata())


def best(axes: Axes) -> tuple[float, float]:
    """Where the mark of the best epoch is."""
    (mark,) = [line for line in axes.lines if line.get_marker() == "o" and line.get_markersize() == 11.0]
    drawn: Any = mark
    return drawn.get_xdata()[0], drawn.get_ydata()[0]


def texts(axes: Axes) -> list[str]:
    """What is written in the plot."""
    return [text.get_text() for text in axes.texts]


def assert_legible(plot: Plot) -> None:
    """No text lies on another, nor outside of the picture."""
    plot.draw_without_rendering()
    boxes = [
        Text.get_window_extent(text)  # of an annotation, without its arrow
        for axes in plot.axes
        for text in (*axes.texts, axes.xaxis.label, getattr(axes, "_left_title"))  # noqa: B009
        if text.get_text()
    ]
    assert boxes
    for box in boxes:
        assert plot.bbox.x0 <= box.x0 < box.x1 <= plot.bbox.x1
        assert plot.bbox.y0 <= box.y0 < box.y1 <= plot.bbox.y1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def pixels(plot: Plot) -> Any:
    """The picture as rows of colours, top row first."""
    file = io.BytesIO()
    plot.savefig(file, format="png")
    file.seek(0)
    return image.imread(file)


def colour_at(plot: Plot, picture: Any, x: float, y: float) -> tuple[float, ...]:
    """The colour of the picture at a place in the data."""
    column, row = plot.axes[0].transData.transform((x, y))
    return tuple(picture[picture.shape[0] - 1 - int(row), int(column)][:3])


def nearest_class(colour: tuple[float, ...]) -> int:
    """Of a tint: class 0 is the warm one."""
    return 0 if colour[0] > colour[2] else 1


# The loss.


def test_losses_are_drawn_as_they_are() -> None:
    """An epoch each from 1, named at their ends; the mark is at the lowest loss of validation."""
    history = History(losses=[0.9, 0.5, 0.3, 0.2], validation_losses=[0.8, 0.6, 0.7, 0.75])
    plot = loss_curve(history)
    (axes,) = plot.axes
    assert curve(axes, "training") == ([1, 2, 3, 4], history.losses)
    assert curve(axes, "validation") == ([1, 2, 3, 4], history.validation_losses)
    assert best(axes) == (2, 0.6)
    assert texts(axes) == ["best: epoch 2, 0.60", "training", "validation"]
    assert axes.get_yscale() == "linear"
    assert axes.get_legend() is None
    assert line(axes, "training").get_color() != line(axes, "validation").get_color()
    assert_legible(plot)


def test_without_validation_the_lowest_training_loss_is_best() -> None:
    """Of equal ones the first, whose parameters ``fit`` restores."""
    (axes,) = loss_curve(History(losses=[3.0, 1.0, 2.0, 1.0, 4.0])).axes
    assert best(axes) == (2, 1.0)
    assert texts(axes) == ["best: epoch 2, 1.00", "training"]


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([1.0, 0.01], "linear"),
        ([1.0, 0.0099], "log"),
        ([1.0, 0.0], "linear"),
        ([100.0, -1.0], "linear"),
        ([INF, 1.0, 0.5], "linear"),
        ([1e149, 1e-149], "log"),
        ([1e149, 1e148], "linear"),
        ([1e308, 1.0], "linear"),
    ],
)
def test_the_scale_is_logarithmic_beyond_two_decades(losses: list[float], scale: str) -> None:
    """And only if every loss is positive; what is not finite does not count."""
    plot = loss_curve(History(losses=losses))
    assert plot.axes[0].get_yscale() == scale
    assert_legible(plot)


def test_the_validation_losses_decide_on_the_scale_as_well() -> None:
    """The curves share it."""
    assert loss_curve(History(losses=[1.0, 0.9], validation_losses=[1.0, 1e-4])).axes[0].get_yscale() == "log"


def test_one_epoch_is_a_dot() -> None:
    """With one number on the axis, in the middle."""
    plot = loss_curve(History(losses=[0.5]))
    (axes,) = plot.axes
    assert best(axes) == (1, 0.5)
    assert line(axes, "training").get_markevery() == [0]
    assert [x for x in axes.get_xticks() if 0.5 <= x <= 1.5] == [1.0]
    assert_legible(plot)


def test_losses_that_are_not_finite_are_gaps() -> None:
    """They are counted, do not become the best, and a loss between two of them is a dot."""
    plot = loss_curve(History(losses=[2.0, 1.5, NAN, 1.0, -INF, INF]))
    (axes,) = plot.axes
    _, ys = curve(axes, "training")
    assert [y if y == y else None for y in ys] == [2.0, 1.5, None, 1.0, None, None]
    assert line(axes, "training").get_markevery() == [3]
    assert best(axes) == (4, 1.0)
    assert axes.get_xlabel() == "epoch  (3 of 6 without a finite loss)"
    assert_legible(plot)


@pytest.mark.parametrize("losses", [[], [NAN], [INF, NAN]])
def test_without_any_loss_there_is_no_curve(losses: list[float]) -> None:
    """An error says what is missing."""
    with pytest.raises(ValueError, match="loss_curve needs at least one epoch with a finite loss"):
        loss_curve(History(losses=losses))


@pytest.mark.parametrize("place", range(12))
def test_the_best_epoch_is_legible_wherever_it_is(place: int) -> None:
    """Its text stays within the picture and apart from other texts."""
    losses = [1.0] * 12
    losses[place] = 0.5
    assert_legible(loss_curve(History(losses=losses, validation_losses=losses)))


# The gradients.


def test_gradient_norms_are_a_line_per_layer() -> None:
    """On a logarithmic scale, from ink at the input to light blue at the output."""
    norms = {"h1": [1e-6, 2e-6], "h2": [1e-3, 1e-3], "out": [1.0, 0.5]}
    plot = gradient_norms(History(gradient_norms=norms))
    (axes,) = plot.axes
    assert axes.get_yscale() == "log"
    assert {layer: curve(axes, layer) for layer in norms} == {layer: ([1, 2], ys) for layer, ys in norms.items()}
    assert texts(axes)[1:] == ["h1", "h2", "out"]
    assert "vanishes" in texts(axes)[0]
    assert to_hex(line(axes, "h1").get_color()) == INK.lower()
    shades = [sum(to_rgb(line(axes, layer).get_color())) for layer in norms]
    assert shades == sorted(shades)
    assert_legible(plot)


@pytest.mark.parametrize("layers", [1, 10, 40])
def test_layers_that_end_in_one_place_have_names_apart(layers: int) -> None:
    """However many there are, in the order of their lines."""
    norms = {f"h{j}": [1.0, 0.1 + 1e-9 * j] for j in range(layers)}
    plot = gradient_norms(History(gradient_norms=norms))
    assert_legible(plot)
    (axes,) = plot.axes
    heights = {text.get_text(): Text.get_window_extent(text).y1 for text in axes.texts[1:]}
    assert list(heights) == list(norms)
    assert list(heights.values()) == sorted(heights.values())


def test_names_stand_beside_their_lines_where_there_is_room() -> None:
    """Moved only as far as others require."""
    plot = gradient_norms(History(gradient_norms={"h1": [1e-4], "out": [1.0]}))
    (axes,) = plot.axes
    assert [getattr(text, "xyann")[1] for text in axes.texts[1:]] == pytest.approx([0.0, 0.0])  # noqa: B009


def test_names_move_apart_evenly_and_stay_beside_the_axes() -> None:
    """Half of the way each; at an edge, those further in give way."""
    (axes,) = gradient_norms(History(gradient_norms={"top": [100.0], "h1": [1.0], "h2": [1.001], "out": [1e-2]})).axes
    offsets = {text.get_text(): getattr(text, "xyann")[1] for text in axes.texts[1:]}  # noqa: B009
    assert offsets["h1"] == pytest.approx(-offsets["h2"], abs=0.2)
    assert offsets["h1"] == pytest.approx(-8.5, abs=0.2)
    (axes,) = gradient_norms(History(gradient_norms={f"h{j}": [0.0] for j in range(5)})).axes
    offsets = {text.get_text(): getattr(text, "xyann")[1] for text in axes.texts[1:]}  # noqa: B009
    assert list(offsets.values()) == pytest.approx([0.0, 17.0, 34.0, 51.0, 68.0])


def test_a_norm_of_zero_is_a_triangle_on_the_lower_edge() -> None:
    """A layer whose gradient is gone is named there."""
    plot = gradient_norms(History(gradient_norms={"h1": [0.1, 0.0, 0.0], "h2": [0.0] * 3, "out": [1.0, NAN, INF]}))
    (axes,) = plot.axes
    assert axes.get_xlabel() == "epoch  (▼ a norm of 0)"
    triangles: list[Any] = [line for line in axes.lines if line.get_marker() == "v"]
    assert [list(line.get_xdata()) for line in triangles] == [[2, 3], [1, 2, 3]]
    plot.draw_without_rendering()
    for drawn in triangles:
        ends = drawn.get_transform().transform([(1.0, y) for y in drawn.get_ydata()])[:, 1]
        assert all(0 <= y - axes.bbox.y0 < 0.05 * axes.bbox.height for y in ends)
    low, _ = axes.get_ylim()
    assert {text.get_text(): getattr(text, "xy")[1] for text in axes.texts[1:]} == {  # noqa: B009
        "h1": low,
        "h2": low,
        "out": 1.0,
    }
    assert_legible(plot)


@pytest.mark.parametrize("norms", [[0.0], [NAN, INF], [5e-324, 1e-320], [1e308], [7.0, 7.0]])
def test_extreme_norms_are_drawn(norms: list[float]) -> None:
    """No warning, no error, whole powers of ten at both ends."""
    plot = gradient_norms(History(gradient_norms={"h1": norms, "out": norms}))
    assert_legible(plot)
    for limit in plot.axes[0].get_ylim():
        assert math.log10(limit) == pytest.approx(round(math.log10(limit)))


@pytest.mark.parametrize("norms", [{}, {"h1": []}])
def test_without_epochs_there_are_no_norms(norms: dict[str, list[float]]) -> None:
    """An error says so."""
    with pytest.raises(ValueError, match="gradient_norms needs at least one epoch"):
        gradient_norms(History(gradient_norms=norms))


# The decision boundary.


def boundaries(plot: Plot) -> list[tuple[float, float]]:
    """The points of every boundary line."""
    lines = [drawn for drawn in plot.axes[0].collections if not getattr(drawn, "filled", True)]
    vertices: list[Any] = [path.vertices for drawn in lines for path in drawn.get_paths()]
    return [(float(x), float(y)) for points in vertices for x, y in points]


@pytest.mark.parametrize(
    "model",
    [
        lambda x: Value(2.0 * x[0] - 1.0 * x[1] + 0.25),
        lambda x: sigmoid(Value(2.0 * x[0] - 1.0 * x[1] + 0.25)),
        lambda x: [Value(0.0), Value(2.0 * x[0] - 1.0 * x[1] + 0.25)],
    ],
    ids=["score", "sigmoid", "two outputs"],
)
def test_a_linear_boundary_is_where_it_is(model: Any) -> None:
    """The line has 2x₁ − x₂ + ¼ = 0 and each side the colour of the class that is predicted."""
    with no_grad():  # which must not make a sigmoid's output a score
        plot = decision_boundary(model, CORNERS)
    points = boundaries(plot)
    assert len(points) == len(set(points)) > 10
    assert max(abs(2.0 * x - y + 0.25) for x, y in points) < 0.02
    picture = pixels(plot)
    for x in ([-0.5, 0.5], [0.0, -0.5], [0.5, -0.5], [-0.3, 0.0], [0.1, 0.0], [0.7, 0.9]):
        assert nearest_class(colour_at(plot, picture, *x)) == predict(model, x)


def test_further_from_the_boundary_is_darker() -> None:
    """In four steps, on both sides."""
    plot = decision_boundary(lambda x: Value(x[0]), CORNERS)
    picture = pixels(plot)
    for sign in (-1.0, 1.0):
        light = [sum(colour_at(plot, picture, sign * x, 0.1)) for x in (0.15, 0.4, 0.7, 0.95)]
        assert light == sorted(light, reverse=True)
        assert len(set(light)) == 4


def test_of_several_outputs_the_largest_decides() -> None:
    """Three sectors; where all are equal, the first class has it."""
    examples = [([-1.0, -1.0], 0), ([1.0, -1.0], 1), ([0.0, 1.0], 2)]
    plot = decision_boundary(lambda x: [Value(-x[0] - x[1]), Value(x[0] - x[1]), Value(2.0 * x[1])], examples)
    picture = pixels(plot)
    red, green, blue = zip(
        *(colour_at(plot, picture, *x) for x in [(-0.8, -0.7), (0.8, -0.7), (0.1, 0.8)]), strict=True
    )
    assert red[0] == max(red[0], green[0], blue[0])  # vermilion
    assert blue[1] == max(red[1], green[1], blue[1])  # blue
    assert blue[2] == min(red[2], green[2], blue[2])  # gold
    tied = decision_boundary(lambda x: [Value(0.0), Value(0.0)], examples)
    assert nearest_class(colour_at(tied, pixels(tied), 0.2, 0.2)) == 0
    assert boundaries(tied) == []


def test_examples_differ_by_marker_and_colour() -> None:
    """Every example is drawn, and the key names its class."""
    examples = data.blobs(30, centers=3)
    (axes,) = decision_boundary(MLP(2, [3], seed=1), examples).axes
    for c, marker in enumerate("os^"):
        xs, ys = curve(axes, f"class {c}")
        assert list(zip(xs, ys, strict=True)) == [tuple(x) for x, y in examples if y == c]
        assert line(axes, f"class {c}").get_marker() == marker
    assert len({line(axes, f"class {c}").get_color() for c in range(3)}) == 3
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["class 0", "class 1", "class 2"]
    assert axes.get_aspect() == 1.0


def test_minus_one_is_class_zero() -> None:
    """It looks as class 0 does, under its own name."""
    (axes,) = decision_boundary(lambda x: Value(x[0]), [([-1.0, 0.0], -1), ([1.0, 0.0], 1)]).axes
    assert line(axes, "class −1").get_color() == RIBBON[-1]
    assert line(axes, "class 1").get_color() == RIBBON[1]


def test_a_model_that_always_says_the_same_has_no_boundary() -> None:
    """One region, no line; outputs that are not finite stay blank."""
    plot = decision_boundary(lambda x: Value(3.0), CORNERS)
    assert boundaries(plot) == []
    assert nearest_class(colour_at(plot, pixels(plot), 0.0, 0.0)) == 1
    blank = decision_boundary(lambda x: Value(NAN), CORNERS)
    assert colour_at(blank, pixels(blank), 0.1, 0.1) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "needs examples"),
        ([([1.0, 2.0], 0), ([1.0, 2.0, 3.0], 0)], r"two finite inputs, but example 1 has \[1.0, 2.0, 3.0\]"),
        ([([1.0, NAN], 0)], "two finite inputs, but example 0"),
        ([([1.0, 2.0], 0.5)], "target of example 0 is not the number of a class: 0.5"),
        ([([1.0, 2.0], [0.0, 1.0])], "target of example 0 is not the number of a class"),
    ],
)
def test_only_classes_of_two_inputs_can_be_drawn(examples: Any, message: str) -> None:
    """The error names the example."""
    with pytest.raises(ValueError, match=message):
        decision_boundary(lambda x: Value(0.0), examples)
    with pytest.raises(ValueError, match="a resolution of at least 2, not 1"):
        decision_boundary(lambda x: Value(0.0), CORNERS, resolution=1)


def test_the_model_is_called_once_per_point_of_the_grid() -> None:
    """On a grid around the examples, which may be a single one."""
    seen: list[list[float]] = []

    def model(x: list[float]) -> Value:
        seen.append(x)
        return Value(x[0])

    decision_boundary(model, CORNERS, resolution=7)
    assert len(seen) == 49
    assert min(seen) < [-1.0, -1.0]
    assert max(seen) > [1.0, 1.0]
    assert decision_boundary(model, [([3.0, 4.0], 1)], resolution=3).axes


def test_a_small_network_is_drawn_at_once() -> None:
    """The usual one, 2-16-16-1: it is asked at a few thousand points."""
    model, calls = MLP(2, [16, 16, 1], seed=1), itertools.count()

    def counted(x: Any) -> Any:
        next(calls)
        return model(x)

    decision_boundary(counted, data.moons(100))
    assert 1000 < next(calls) < 10_000


# Activations.

SINGLE = [op for op in operations.table.values() if op.name in operations.BUILT_IN and len(op.partials) == 1]


@pytest.mark.parametrize("op", [op for op in SINGLE if not op.nary], ids=lambda op: op.name)
def test_functions_and_derivatives_of_every_row(op: Any) -> None:
    """The drawn derivative is the slope of the drawn function, by finite differences."""
    plot = activations(op.name)
    (axes,) = plot.axes
    xs, values = curve(axes, "f")
    _, slopes = curve(axes, "f′")
    checked = 0
    for x, value, slope in zip(xs, values, slopes, strict=True):
        if any(low <= x <= high for low, high in op.domain[0]):
            assert value == op(x)
            assert slope == pytest.approx((op(x + 1e-6) - op(x - 1e-6)) / 2e-6, rel=1e-5, abs=1e-8)
            checked += 1
    assert checked > 50
    assert to_hex(line(axes, "f").get_color()) == INK.lower()
    assert line(axes, "f′").get_linestyle() == "--"
    assert_legible(plot)


def test_the_usual_activations_share_their_scales() -> None:
    """So that a slope of ¼ looks smaller than a slope of 1."""
    plot = activations()
    titles = [axes.get_title(loc="left") for axes in plot.axes]
    assert titles == ["sigmoid", "tanh", "relu", "leaky_relu", "softplus"]
    assert len({axes.get_ylim() for axes in plot.axes}) == len({axes.get_xlim() for axes in plot.axes}) == 1
    _, slopes = curve(plot.axes[3], "f′")
    assert (slopes[0], slopes[-1]) == (0.01, 1.0)
    assert_legible(plot)


def test_kinks_are_gaps_with_a_dot() -> None:
    """No line joins the two sides of a jump; the dot is the convention relu′(0) = 0."""
    (axes,) = activations("relu").axes
    xs, slopes = curve(axes, "f′")
    at = xs.index(0.0)
    assert math.isnan(slopes[at])
    assert (slopes[at - 1], slopes[at + 1]) == (0.0, 1.0)
    (dot,) = [line for line in axes.lines if line.get_marker() == "o"]
    drawn: Any = dot
    assert (list(drawn.get_xdata()), list(drawn.get_ydata())) == ([0.0], [0.0])


def test_unknown_activations() -> None:
    """The error suggests the nearest, or lists all; an operation of two operands is not one."""
    with pytest.raises(ValueError, match="one operand is called 'sigmoyd'; did you mean 'sigmoid'"):
        activations("tanh", "sigmoyd")
    with pytest.raises(ValueError, match="'zzz': choose from abs, acos, "):
        activations("zzz")
    for name in ("hypot", "fsum"):
        with pytest.raises(ValueError, match=f"no operation of one operand is called '{name}'"):
            activations(name)


# Confusion.

ANIMALS = [[18, 1, 0], [0, 14, 3], [0, 1, 19]]


def cells(plot: Plot) -> dict[tuple[float, float], tuple[str, Any]]:
    """What is written where, by row and column, with its colour behind it."""
    axes: Any = plot.axes[0]
    fills = {(p.get_y() + 0.5, p.get_x() + 0.5): p.get_facecolor()[:3] for p in axes.patches}
    written = {text.get_position()[::-1]: text.get_text() for text in axes.texts[1:]}
    assert written.keys() <= fills.keys()
    return {place: (written.get(place, ""), fill) for place, fill in fills.items()}


def luminance(colour: Any) -> float:
    """Of WCAG 2: 0 for black, 1 for white."""
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def names(plot: Plot) -> tuple[list[str], list[str]]:
    """Of the columns and of the rows."""
    axes = plot.axes[0]
    across, down = axes.get_xticklabels(), axes.get_yticklabels()
    return [text.get_text() for text in across], [text.get_text() for text in down]


def test_counts_are_where_they_belong() -> None:
    """Rows from the top down are true classes, columns predicted ones; a zero is left blank."""
    plot = confusion(ANIMALS, ["cat", "dog", "fox"])
    (axes,) = plot.axes
    assert axes.yaxis_inverted()
    assert not axes.xaxis_inverted()
    written = {place: text for place, (text, _) in cells(plot).items()}
    assert written == {(i, j): str(ANIMALS[i][j] or "") for i in range(3) for j in range(3)}
    assert names(plot) == (["cat", "dog", "fox"], ["cat", "dog", "fox"])
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    assert axes.get_title(loc="left") == "Confusion: accuracy 0.911"  # 51 of 56
    assert texts(axes)[0] == "5 of 56 are wrong; darker: more often"
    assert_legible(plot)


def test_errors_stand_out() -> None:
    """The more of them, the darker, and darker than all that is right, in grey as well; counts are read on them."""
    plot = confusion(ANIMALS)
    light = {place: luminance(fill) for place, (_, fill) in cells(plot).items()}
    assert light[1, 2] < light[0, 1] == light[2, 1] < min(light[i, i] for i in range(3)) < light[0, 2] == 1.0
    for text in plot.axes[0].texts[1:]:
        j, i = text.get_position()
        assert (text.get_fontweight() == "bold") == (i != j)
        assert (light[i, j] + 0.05) / (luminance(text.get_color()) + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("matrix", "title", "note"),
    [
        ([[3]], "1.000", "0 of 3 are wrong"),
        ([[0, 4], [0, 0]], "0.000", "4 of 4 are wrong"),
        ([[2, 1], [1, 2]], "0.667", "2 of 6 are wrong"),
        ([[7, 0], [1, 0]], "0.875", "1 of 8 is wrong"),
        ([[51234, 123], [7, 40000]], "0.999", "130 of 91,364 are wrong; darker: more often"),
    ],
)
def test_the_title_has_the_accuracy(matrix: list[list[int]], title: str, note: str) -> None:
    """And the note how many are wrong; darker means something only where there are two shades."""
    plot = confusion(matrix)
    assert plot.axes[0].get_title(loc="left") == f"Confusion: accuracy {title}"
    assert texts(plot.axes[0])[0] == note
    assert_legible(plot)


@pytest.mark.parametrize("n", [2, 3, 10, 25])
@pytest.mark.parametrize("name", ["{}", "versicolor {}", "between $5 and ${}", "a class with quite a long name {}"])
def test_names_do_not_touch(n: int, name: str) -> None:
    """Long ones are slanted below their columns, and a dollar is a dollar."""
    classes = [name.format(i) for i in range(n)]
    plot = confusion([[9999 if i == j else (i * j) % 3 for j in range(n)] for i in range(n)], classes)
    plot.draw_without_rendering()
    axes: Any = plot.axes[0]
    across, down = axes.get_xticklabels(), axes.get_yticklabels()
    assert names(plot) == (classes, classes)
    boxes = [text.get_window_extent() for text in (*down, axes.yaxis.label)]
    if across[0].get_rotation() == 0.0:
        boxes += [text.get_window_extent() for text in (*across, axes.xaxis.label)]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for text in (*across, *down, axes.xaxis.label, axes.yaxis.label):
        box = text.get_window_extent()
        assert plot.bbox.x0 <= box.x0 < box.x1 <= plot.bbox.x1
        assert plot.bbox.y0 <= box.y0 < box.y1 <= plot.bbox.y1
    side = axes.transData.transform((1.0, 0.0))[0] - axes.transData.transform((0.0, 0.0))[0]
    for text in axes.texts[1:]:
        assert Text.get_window_extent(text).width < side
    assert not any(text.get_parse_math() for text in (*across, *down))
    assert_legible(plot)


def test_a_model_is_confused_as_it_is_accurate() -> None:
    """The matrix of ``nn.confusion``, or an array of NumPy."""
    flowers = data.blobs(40, centers=4, std=1.0, seed=1)
    model = MLP(2, [4], seed=0)
    matrix = counted(model, flowers, classes=4)
    plot = confusion(matrix)
    assert plot.axes[0].get_title(loc="left") == f"Confusion: accuracy {accuracy(model, flowers):.3f}"
    assert cells(confusion(np.array(matrix))) == cells(plot)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 2, 3], [4, 5, 6]], "square matrix, but of its 2 rows, row 0 has 3 counts"),
        ([[1, 2], [3]], "square matrix, but of its 2 rows, row 1 has 1 counts"),
        ([], "at least one example"),
        ([[0, 0], [0, 0]], "at least one example"),
        ([[1, -2], [0, 3]], "row 0, column 1 is not 0, 1, 2, …: -2"),
        ([[1, 2], [0.5, 3]], "row 1, column 0 is not 0, 1, 2, …: 0.5"),
        ([[NAN]], "row 0, column 0 is not 0, 1, 2, …: nan"),
        ([[INF]], "row 0, column 0 is not 0, 1, 2, …: inf"),
        ([["7"]], "row 0, column 0 is not 0, 1, 2, …: '7'"),
        ([[None]], "row 0, column 0 is not 0, 1, 2, …: None"),
    ],
)
def test_what_is_not_a_confusion_matrix(matrix: Any, message: str) -> None:
    """It is said where."""
    with pytest.raises(ValueError, match=message):
        confusion(matrix)


def test_a_name_for_each_class() -> None:
    """No more, no less."""
    with pytest.raises(ValueError, match=r"a name for each of the 2 classes, not 3: \['a', 'b', 'c'\]"):
        confusion([[1, 0], [0, 1]], ["a", "b", "c"])


# The figures themselves.


def test_plots_show_themselves_and_leave_nothing_open() -> None:
    """A notebook asks for a PNG; ``pyplot`` is not even imported."""
    assert loss_curve(History(losses=[1.0]))._repr_png_().startswith(b"\x89PNG")
    program = """
import sys
from nn import History
from viz.plots import *
history = History(losses=[1.0], gradient_norms={"h1": [1.0]})
for plot in (loss_curve(history), gradient_norms(history), activations("sin")):
    plot._repr_png_()
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("format", ["svg", "pdf", "png"])
def test_plots_are_saved(format: str) -> None:
    """In the formats of slides and papers."""
    file = io.BytesIO()
    gradient_norms(History(gradient_norms={"h1": [1.0, 2.0]})).savefig(file, format=format)
    assert len(file.getvalue()) > 1000


def test_a_plot_without_a_suffix_is_a_png(tmp_path: Path) -> None:
    """As with matplotlib, which adds it; a format that is given adds none."""
    plot = gradient_norms(History(gradient_norms={"h1": [1.0, 2.0]}))
    plot.savefig(tmp_path / "plot")
    plot.savefig(str(tmp_path / "other"), format="pdf")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "other").read_bytes().startswith(b"%PDF")
    assert len([*tmp_path.iterdir()]) == 2


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And ``viz`` itself does without."""
    monkeypatch.delitem(sys.modules, "viz.plots")
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as caught:
        __import__("viz.plots")
    assert str(caught.value) == "viz.plots needs matplotlib: pip install 'gradgraph[plot]'"
    assert caught.value.__suppress_context__
    program = "import sys, viz; print('viz.plots' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "False False\n"
