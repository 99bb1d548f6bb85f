"""Data sets against their geometry and counts, CSV files and their mistakes, and the parting of data."""

import itertools
import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nn.data import (
    Example,
    Standardizer,
    batches,
    blobs,
    circles,
    load_csv,
    moons,
    spirals,
    split,
    symmetry,
    weather,
    xor,
)

IRIS = Path(__file__).parent.parent / "examples" / "data" / "iris.csv"
TOYS: list[Callable[..., list[Example[int]]]] = [moons, circles, spirals, blobs]
CLASSES = {moons: 2, circles: 2, spirals: 2, blobs: 3}

#: Two inputs of different size, and a target that has to stay as it is.
ROWS: list[Example[int]] = [([1.0, 200.0], 0), ([2.5, -300.0], 1), ([4.0, 1000.0], 1), ([-7.0, 0.5], 0)]


def of_class(data: Sequence[Example[int]], c: int) -> list[tuple[float, float]]:
    """The points of one class."""
    return [(x, y) for (x, y), target in data if target == c]


# Toy problems.


def test_moons_lie_on_their_half_circles() -> None:
    """Around (0, 0) above, and around (1, ½) below, at even angles from one end to the other."""
    outer, inner = (of_class(moons(42, noise=0.0), c) for c in (0, 1))
    assert all(math.hypot(x, y) == pytest.approx(1.0, abs=1e-15) and y >= 0.0 for x, y in outer)
    assert all(math.hypot(x - 1.0, y - 0.5) == pytest.approx(1.0, abs=1e-15) and y <= 0.5 for x, y in inner)
    assert [math.atan2(y, x) for x, y in outer] == pytest.approx([math.pi * j / 20 for j in range(21)], abs=1e-14)
    assert [math.atan2(0.5 - y, 1.0 - x) for x, y in inner] == pytest.approx(
        [math.pi * j / 20 for j in range(21)], abs=1e-14
    )


def test_circles_lie_on_their_circles() -> None:
    """Of radius 1 and ``factor``, evenly all the way round: neighbours are a chord apart, also the last and first."""
    data = circles(61, noise=0.0, factor=0.3)
    for c, radius, count in ((0, 1.0, 31), (1, 0.3, 30)):
        points = of_class(data, c)
        assert all(math.hypot(*p) == pytest.approx(radius, rel=1e-15) for p in points)
        steps = [math.dist(p, q) for p, q in zip(points, [*points[1:], points[0]], strict=True)]
        assert steps == pytest.approx([2.0 * radius * math.sin(math.pi / count)] * count, rel=1e-12)


@pytest.mark.parametrize("turns", [0.5, 1.5, 3.0])
def test_spirals_are_two_arms_half_a_turn_apart(turns: float) -> None:
    """Each point of one arm is opposite to one of the other; along an arm, angle and radius grow together."""
    data = spirals(400, turns=turns, noise=0.0)
    first, second = of_class(data, 0), of_class(data, 1)
    assert [v for p in second for v in p] == pytest.approx([-v for p in first for v in p], abs=1e-12)
    radii = [math.hypot(*p) for p in first]
    assert radii == pytest.approx([(j + 1) / 200 for j in range(200)], rel=1e-12)
    angles = [math.atan2(y, x) for x, y in first]
    turned = math.fsum(math.remainder(b - a, 2.0 * math.pi) for a, b in itertools.pairwise(angles))
    assert turned == pytest.approx(2.0 * math.pi * turns * (radii[-1] - radii[0]), rel=1e-12)


def test_blobs_lie_around_a_circle() -> None:
    """Without spread they are the corners of a regular polygon; with it, mean and deviation are those asked for."""
    corners = sorted({(round(x, 9), round(y, 9)) for (x, y), _ in blobs(12, centers=4, std=0.0)})
    assert corners == [(-2.0, 0.0), (-0.0, -2.0), (0.0, 2.0), (2.0, 0.0)]
    xs, ys = zip(*of_class(blobs(12_000, std=0.5, seed=1), 0), strict=True)
    assert (statistics.mean(xs), statistics.mean(ys)) == pytest.approx((2.0, 0.0), abs=0.03)
    assert (statistics.stdev(xs), statistics.stdev(ys)) == pytest.approx((0.5, 0.5), abs=0.03)


@pytest.mark.parametrize("toy", [moons, circles, spirals])
def test_noise_is_gaussian(toy: Callable[..., list[Example[int]]]) -> None:
    """What it adds has mean 0 and the deviation asked for, and is within two of them 95 times of 100."""
    pairs = zip(toy(10_000, noise=0.2, seed=3), toy(10_000, noise=0.0), strict=True)
    added = [a - b for (noisy, _), (clean, _) in pairs for a, b in zip(noisy, clean, strict=True)]
    assert statistics.mean(added) == pytest.approx(0.0, abs=0.01)
    assert statistics.pstdev(added) == pytest.approx(0.2, abs=0.005)
    assert sum(abs(v) < 0.4 for v in added) / len(added) == pytest.approx(0.9545, abs=0.01)


@pytest.mark.parametrize("toy", TOYS)
def test_classes_take_turns(toy: Callable[..., list[Example[int]]]) -> None:
    """In equal numbers, or as equal as can be; so it is for the fewest examples."""
    k = CLASSES[toy]
    for n in (k, k + 1, 10 * k):
        assert [target for _, target in toy(n)] == [i % k for i in range(n)]
    assert set(Counter(target for _, target in toy(10 * k)).values()) == {10}
    assert all(len(x) == 2 and all(isinstance(v, float) for v in x) for x, _ in toy(k))


@pytest.mark.parametrize("toy", TOYS)
def test_a_seed_gives_the_same_data(toy: Callable[..., list[Example[int]]]) -> None:
    """Again and again, whatever the global generator does; another seed gives other data."""
    first = toy(30, seed=7)
    random.seed(0)
    assert toy(30, seed=7) == first != toy(30, seed=8)
    assert toy(30) == toy(30, seed=0)


def test_xor_is_the_parity_of_its_bits() -> None:
    """Of all four pairs, once each."""
    assert {tuple(x): y for x, y in xor()} == {(a, b): (a + b) % 2 for a in (0, 1) for b in (0, 1)}
    assert len(xor()) == 4


@pytest.mark.parametrize(("bits", "count"), [(2, 2), (3, 4), (5, 8), (6, 8), (7, 16)])
def test_symmetry_counts_as_many_as_halves(bits: int, count: int) -> None:
    """A symmetric vector is chosen by one half and the bit in the middle: 2³ of 64 for six bits."""
    data = symmetry(bits)
    assert len({tuple(x) for x, _ in data}) == len(data) == 2**bits
    assert {v for x, _ in data for v in x} == {0.0, 1.0}
    assert sum(y for _, y in data) == count
    pairs = [(j, bits - 1 - j) for j in range(bits // 2)]
    assert all(y == (not any(x[i] != x[j] for i, j in pairs)) for x, y in data)
    assert symmetry() == symmetry(6)


def test_data_is_made_afresh() -> None:
    """Changing what one call returned does not change what the next returns."""
    for make in (xor, symmetry, weather):
        make()[0][0][0] = 9.0
        assert make()[0][0][0] != 9.0
    assert weather() == [([3.0, 5.0], 0.99), ([1.0, 6.0], 0.59), ([0.0, 8.0], 0.19)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: moons(1), "n must be a whole number of at least 2, not 1"),
        (lambda: circles(0), "n must be a whole number of at least 2, not 0"),
        (lambda: spirals(2.5), "n must be a whole number of at least 2, not 2.5"),  # type: ignore[arg-type]
        (lambda: blobs(4, centers=5), "n must be a whole number of at least 5, not 4"),
        (lambda: blobs(4, centers=0), "centers must be a whole number of at least 1, not 0"),
        (lambda: moons(4, noise=-0.1), "noise must be 0 or positive, not -0.1"),
        (lambda: circles(4, noise=math.nan), "noise must be 0 or positive, not nan"),
        (lambda: spirals(4, noise=math.inf), "noise must be 0 or positive, not inf"),
        (lambda: blobs(4, std=-1.0), "std must be 0 or positive, not -1.0"),
        (lambda: circles(4, factor=1.0), "factor must be between 0 and 1, not 1.0"),
        (lambda: symmetry(1), "bits must be a whole number of at least 2, not 1"),
        (lambda: batches([1], 0), "size must be a whole number of at least 1, not 0"),
        (lambda: batches([1], "2"), "size must be a whole number of at least 1, not '2'"),  # type: ignore[arg-type]
        (lambda: split([1, 2], 1.0), "fraction must be between 0 and 1, not 1.0"),
        (lambda: split([1, 2], 0.0), "fraction must be between 0 and 1, not 0.0"),
        (lambda: split([1, 2], math.nan), "fraction must be between 0 and 1, not nan"),
        (lambda: split([1, 2], 0.9), "fraction 0.9 of 2 examples is 2, which leaves a part empty"),
        (lambda: split([1, 2], 0.1), "fraction 0.1 of 2 examples is 0, which leaves a part empty"),
        (lambda: split([]), "fraction 0.8 of 0 examples is 0, which leaves a part empty"),
    ],
)
def test_bad_arguments_are_named(make: Callable[[], Any], message: str) -> None:
    """With what they must be, and what they are; at the call, also of an iterator."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        make()
    assert str(caught.value) == message


# CSV files.


def written(folder: Path, content: str | bytes) -> Path:
    """A file with that content."""
    path = folder / "some.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_iris() -> None:
    """150 flowers, 50 of each species, and the mean sepal and petal that Fisher's table has."""
    data, labels = load_csv(IRIS, target="species")
    assert labels == ["setosa", "versicolor", "virginica"]
    assert Counter(target for _, target in data) == {0: 50, 1: 50, 2: 50}
    assert data[0] == ([5.1, 3.5, 1.4, 0.2], 0)
    means = [statistics.mean(column) for column in zip(*(x for x, y in data if y == 0), strict=True)]
    assert means == pytest.approx([5.006, 3.428, 1.462, 0.246], abs=1e-9)
    assert load_csv(str(IRIS), target="species") == (data, labels)


def test_csv_in_many_dialects(tmp_path: Path) -> None:
    """Quotes, spaces, blank lines, a mark at the start, any end of line, the target in any column."""
    expected = [([1.5, -20.0], 1), ([0.25, 3.0], 0)], ["a, or b", "ç"]
    plain = 'x,label,y\n1.5,ç,-2e1\n.25,"a, or b",3\n'
    for content in (plain, "\ufeff" + plain, plain.replace("\n", "\r\n"), plain.replace("\n", "\r"), plain[:-1]):
        assert load_csv(written(tmp_path, content), target="label") == expected
    spacious = ' x ,label , y\n\n 1.5 , ç ,-2e1\n\n"0.25","a, or b", 3 \n\n'
    assert load_csv(written(tmp_path, spacious), target="label") == expected
    assert load_csv(written(tmp_path, "\ufefflabel,x\nb,1\n"), target="label") == ([([1.0], 0)], ["b"])
    two_lines = 'x,label\n1,"two\nlines"\n2,b\n'
    assert load_csv(written(tmp_path, two_lines), target="label")[1] == ["b", "two\nlines"]


def test_classes_may_be_given(tmp_path: Path) -> None:
    """Then they decide the numbers, also of classes that do not occur."""
    path = written(tmp_path, "x,y\n1,no\n2,yes\n3,no\n")
    assert load_csv(path, target="y") == ([([1.0], 0), ([2.0], 1), ([3.0], 0)], ["no", "yes"])
    classes = ("yes", "perhaps", "no")
    assert load_csv(path, target="y", classes=classes) == ([([1.0], 2), ([2.0], 0), ([3.0], 2)], list(classes))
    with pytest.raises(ValueError, match=r"classes must differ: \['no', 'yes', 'no'\]"):
        load_csv(path, target="y", classes=("no", "yes", "no"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the file ends here, but needs a header and at least one row below it"),
        ("\n\n", "line 3: the file ends here, but needs a header and at least one row below it"),
        ("a,b,kind\n", "line 2: the file ends here, but needs a header and at least one row below it"),
        ("a,b,kinds\n1,2,x\n", "line 1: no column is called 'kind'; did you mean 'kinds'?"),
        ("a;b;target\n1;2;x\n", "line 1: no column is called 'kind'; fields must be separated by commas"),
        ("\na,b\n1,2\n", "line 2: no column is called 'kind'; choose from 'a', 'b'"),
        ("kind,kind,b\nx,y,2\n", "line 1: two columns are called 'kind'; did you mean 'kind'?"),
        ("a,b,kind\n1,2,x\n1,two,x\n", "line 3, column 'b': 'two' is not a finite number"),
        ("a,b,kind\n\n1,2,x\n\n,2,x\n", "line 5, column 'a': '' is not a finite number"),
        ("a,b,kind\n1,nan,x\n", "line 2, column 'b': 'nan' is not a finite number"),
        ("a,b,kind\n1,-1e999,x\n", "line 2, column 'b': '-1e999' is not a finite number"),
        ("a,b,kind\n1,2,x\n1,2\n", "line 3, column 3: the row has 2 fields, but the header 3"),
        ("a,b,kind\n1,2,x,4,5\n", "line 2, column 4: the row has 5 fields, but the header 3"),
        ("a,b,kind\n1,2,x\n1,2,\n", "line 3, column 'kind': no label is ''; choose from 'x'"),
        ('a,b,kind\n1,2,"x\ny"\n1,two,x\n', "line 4, column 'b': 'two' is not a finite number"),
        ('a,b,kind\n1,2,x\n1,2,"x\n3,4,x\n', "line 3: this is not CSV: unexpected end of data"),
        (b"a,b,kind\n1,2,x\n1,2,\xe7\n", "line 3: this is not UTF-8; save the file as UTF-8 text"),
        (b"\n\xe7\n", "line 2: this is not UTF-8; save the file as UTF-8 text"),
        ("a,b,kind\n1,2,x\n".encode("utf-16"), "line 1: this is not UTF-8; save the file as UTF-8 text"),
    ],
)
def test_csv_mistakes_are_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    """With the file, the line, and the column if there is one."""
    path = written(tmp_path, content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_csv(path, target="kind")
    assert str(caught.value) == f"{path}, {message}"


def test_unknown_labels_are_named(tmp_path: Path) -> None:
    """With the nearest that is known; and a file that is not there is the usual error."""
    path = written(tmp_path, "x,y\n1,setosa\n2,virginca\n")
    with pytest.raises(ValueError, match="line 3, column 'y': no label is 'virginca'; did you mean 'virginica'"):
        load_csv(path, target="y", classes=["setosa", "virginica"])
    with pytest.raises(FileNotFoundError, match=r"missing\.csv"):
        load_csv(tmp_path / "missing.csv", target="y")


# Parting and scaling.


@pytest.mark.parametrize(("n", "fraction", "size"), [(150, 0.8, 120), (10, 0.25, 2), (2, 0.5, 1), (7, 0.9, 6)])
def test_split_is_a_partition(n: int, fraction: float, size: int) -> None:
    """Every example is in one part, once; the seed decides in which, and the data stay as they are."""
    data = list(range(n))
    training, test = split(data, fraction, seed=4)
    assert len(training) == size
    assert sorted(training + test) == data == list(range(n))
    assert split(data, fraction, seed=4) == (training, test)
    assert len({tuple(split(data, fraction, seed=seed)[0]) for seed in range(20)}) > 1


def test_standardised_inputs_have_mean_0_and_deviation_1() -> None:
    """Of flowers and of rows; targets and the data themselves stay as they are."""
    for data in (load_csv(IRIS, target="species")[0], ROWS):
        before = [(list(x), y) for x, y in data]
        standardised = Standardizer(data)(data)
        assert [y for _, y in standardised] == [y for _, y in data]
        for column in zip(*(x for x, _ in standardised), strict=True):
            assert math.fsum(column) / len(column) == pytest.approx(0.0, abs=1e-12)
            assert math.fsum(v * v for v in column) / len(column) == pytest.approx(1.0, rel=1e-12)
        assert data == before


def test_inverse_restores() -> None:
    """To 1e-12, also examples that the standardizer has not seen."""
    standardize = Standardizer(ROWS)
    for data in (ROWS, [([1e6, -1e6], 5)]):
        for (x, y), (known, target) in zip(standardize.inverse(standardize(data)), data, strict=True):
            assert x == pytest.approx(known, rel=1e-12, abs=1e-12)
            assert y == target


def test_the_training_data_set_the_scale() -> None:
    """Not the data that are standardised; no data at all are fine then."""
    standardize = Standardizer([([0.0], "a"), ([4.0], "b")])
    assert (standardize.means, standardize.deviations) == ([2.0], [2.0])
    assert standardize([([10.0], "c")]) == [([4.0], "c")]
    assert standardize([]) == standardize.inverse([]) == []


def test_what_cannot_be_standardised_is_named() -> None:
    """No data, no spread, other lengths, values that are not finite."""
    with pytest.raises(ValueError, match="Standardizer needs at least one example"):
        Standardizer([])
    with pytest.raises(ValueError, match=r"inputs\[1\] is 0.1 in every example, without spread: leave it out"):
        Standardizer([([float(j), 0.1], 0) for j in range(10)])
    with pytest.raises(ValueError, match=r"example 1 must have 2 finite inputs, not \[1.0\]"):
        Standardizer([([1.0, 2.0], 0), ([1.0], 0)])
    with pytest.raises(ValueError, match=r"example 1 must have 1 finite inputs, not \[nan\]"):
        Standardizer([([1.0], 0), ([math.nan], 0)])
    for use in (Standardizer(ROWS), Standardizer(ROWS).inverse):
        with pytest.raises(ValueError, match=r"example 0 must have 2 finite inputs, not \[1.0, 2.0, 3.0\]"):
            use([([1.0, 2.0, 3.0], 0)])


@pytest.mark.parametrize(
    ("n", "size", "lengths"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 5, [2]), (3, 1, [1] * 3), (0, 2, [])]
)
def test_batches_cover_everything_once(n: int, size: int, lengths: list[int]) -> None:
    """In order, or shuffled by a generator; the data stay as they are."""
    data = list(range(n))
    assert [v for batch in batches(data, size) for v in batch] == data
    for rng in (None, random.Random(5)):
        parts = list(batches(data, size, rng=rng))
        assert list(map(len, parts)) == lengths
        assert sorted(v for part in parts for v in part) == data == list(range(n))


def test_batches_are_shuffled_by_the_generator() -> None:
    """The same seed gives the same order, and every epoch another one."""
    data = list(range(20))
    rng, same = random.Random(5), random.Random(5)
    epochs = [list(batches(data, 4, rng=rng)) for _ in range(3)]
    assert epochs == [list(batches(data, 4, rng=same)) for _ in range(3)]
    assert len({str(epoch) for epoch in epochs}) == 3
