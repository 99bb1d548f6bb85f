"""What to learn from: toy problems, CSV files, and how to split, standardise and batch them.

An example is a pair of its inputs, a list of floats, and its target.  A data set is a list of examples.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from autograd import files
from autograd.operations import real
from nn.checks import nearest, positive, whole

# fmt: off
__all__ = [
    "Standardizer", "batches", "blobs", "circles", "load_csv", "moons",
    "spirals", "split", "symmetry", "weather", "xor",
]
# fmt: on


def __dir__() -> list[str]:
    return __all__


T = TypeVar("T")
Example = tuple[list[float], T]
Classified = list[Example[int]]

#: Where the jth of so many examples of a class lies: (class, j, so many) to (x, y).
_Place = Callable[[int, int, int], tuple[float, float]]


def moons(n: int, *, noise: float = 0.1, seed: int = 0) -> Classified:
    """Two interlocking half circles: (cos t, sin t) and (1 − cos t, ½ − sin t) for t in [0, π], as in scikit-learn.

    Args:
        n: the number of examples; the classes 0 and 1 alternate.
        noise: the standard deviation of what is added to every coordinate.
        seed: the same seed gives the same noise.

    Raises:
        ValueError: if there are fewer examples than classes, or the noise is negative.

    >>> moons(4, noise=0.0)[:2]
    [([1.0, 0.0], 0), ([0.0, 0.5], 1)]
    """

    def place(c: int, j: int, count: int) -> tuple[float, float]:
        x, y = _polar(1.0, math.pi * j / max(count - 1, 1))
        return (1.0 - x, 0.5 - y) if c else (x, y)

    return _around(place, n, 2, "noise", noise, seed)


def circles(n: int, *, noise: float = 0.1, factor: float = 0.5, seed: int = 0) -> Classified:
    """A circle of radius 1, and one of radius ``factor`` within it, as in scikit-learn.

    Args:
        n: the number of examples; the classes 0 (the outer circle) and 1 alternate.
        noise: the standard deviation of what is added to every coordinate.
        factor: the radius of the inner circle.
        seed: the same seed gives the same noise.

    Raises:
        ValueError: if there are fewer examples than classes, or an option is out of range.

    >>> circles(4, noise=0.0)[:2]
    [([1.0, 0.0], 0), ([0.5, 0.0], 1)]
    """
    if not 0.0 < factor < 1.0:
        raise ValueError(f"factor must be between 0 and 1, not {factor!r}")
    return _around(lambda c, j, count: _polar(factor**c, 2.0 * math.pi * j / count), n, 2, "noise", noise, seed)


def spirals(n: int, *, turns: float = 1.5, noise: float = 0.05, seed: int = 0) -> Classified:
    """Two arms r(cos θ, sin θ), θ = 2π·turns·r + π·class, 0 < r ≤ 1 (after Lang & Witbrock 1988).

    Args:
        n: the number of examples; the classes 0 and 1 alternate.
        turns: how often each arm goes round.
        noise: the standard deviation of what is added to every coordinate.
        seed: the same seed gives the same noise.

    Raises:
        ValueError: if there are fewer examples than classes, or the noise is negative.

    >>> [([round(v, 9) for v in x], y) for x, y in spirals(4, turns=1.0, noise=0.0)]
    [([-0.5, 0.0], 0), ([0.5, -0.0], 1), ([1.0, -0.0], 0), ([-1.0, 0.0], 1)]
    """

    def place(c: int, j: int, count: int) -> tuple[float, float]:
        r = (j + 1) / count
        return _polar(r, math.pi * (2.0 * turns * r + c))

    return _around(place, n, 2, "noise", noise, seed)


def blobs(n: int, *, centers: int = 3, std: float = 0.5, seed: int = 0) -> Classified:
    """Gaussian clouds, whose centres are evenly on a circle of radius 2.

    Args:
        n: the number of examples; the classes 0, 1, …, one per cloud, take turns.
        centers: the number of clouds.
        std: the standard deviation of each coordinate within a cloud.
        seed: the same seed gives the same clouds.

    Raises:
        ValueError: if there are fewer examples than classes, or an option is out of range.

    >>> blobs(2, centers=1, std=0.0)
    [([2.0, 0.0], 0), ([2.0, 0.0], 0)]
    """
    whole("centers", centers, 1)
    return _around(lambda c, j, count: _polar(2.0, 2.0 * math.pi * c / centers), n, centers, "std", std, seed)


def _polar(r: float, angle: float) -> tuple[float, float]:
    return r * math.cos(angle), r * math.sin(angle)


def _around(place: _Place, n: int, k: int, name: str, std: float, seed: int) -> Classified:
    """The k classes in turn, each example at its place but for Gaussian noise."""
    whole("n", n, k)
    positive(name, std, or_zero=True)
    rng, counts = random.Random(seed), [len(range(c, n, k)) for c in range(k)]
    return [([rng.gauss(v, std) for v in place(i % k, i // k, counts[i % k])], i % k) for i in range(n)]


def xor() -> Classified:
    """Whether exactly one of two bits is 1: the smallest problem that needs a hidden layer.

    >>> xor()
    [([0.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([1.0, 1.0], 0)]
    """
    return [([a, b], int(a != b)) for a in (0.0, 1.0) for b in (0.0, 1.0)]


def symmetry(bits: int = 6) -> Classified:
    """Every vector of 0s and 1s; the target is 1 if it is its own mirror image (Rumelhart, Hinton & Williams 1986).

    Args:
        bits: how long the vectors are.

    Raises:
        ValueError: if there is nothing to mirror.

    >>> symmetry(2)
    [([0.0, 0.0], 1), ([0.0, 1.0], 0), ([1.0, 0.0], 0), ([1.0, 1.0], 1)]
    """
    whole("bits", bits, 2)
    return [(list(x), int(x == x[::-1])) for x in itertools.product((0.0, 1.0), repeat=bits)]


def weather() -> list[Example[float]]:
    """Three days as (days raining, Kdp), and the probability of rain (F. Goebels 2018).

    >>> weather()
    [([3.0, 5.0], 0.99), ([1.0, 6.0], 0.59), ([0.0, 8.0], 0.19)]
    """
    return [([3.0, 5.0], 0.99), ([1.0, 6.0], 0.59), ([0.0, 8.0], 0.19)]


def load_csv(path: str | Path, *, target: str, classes: Sequence[str] | None = None) -> tuple[Classified, list[str]]:
    r"""A CSV file with a header, in UTF-8, as examples to classify.

    Args:
        path: the file.
        target: the column with the label; all others are inputs, in their order. Spaces around fields do not count.
        classes: the labels of the classes 0, 1, …; if left out, those in the file, sorted as text.

    Returns:
        The examples, whose targets are the numbers of the classes; and the labels of the classes.

    Raises:
        ValueError: if there is no such column, or a row does not fit; it names the line and the column.
        FileNotFoundError: if there is no such file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "fruit.csv"
    ...     _ = path.write_text("weight,fruit\n150,pear\n120.5,apple\n")
    ...     load_csv(path, target="fruit")
    ([([150.0], 1), ([120.5], 0)], ['apple', 'pear'])
    """
    (top, header), *rows = _records(path)
    if header.count(target) != 1:
        found = "two columns are" if target in header else "no column is"
        fields = "; fields must be separated by commas" if len(header) == 1 else nearest(target, header)
        raise ValueError(f"{top}: {found} called {target!r}{fields}")
    for place, row in rows:
        if len(row) != len(header):
            column = min(len(row), len(header)) + 1
            raise ValueError(f"{place}, column {column}: the row has {len(row)} fields, but the header {len(header)}")
    at = header.index(target)
    labels = sorted({row[at] for _, row in rows} - {""}) if classes is None else [str(x) for x in classes]
    if len(set(labels)) < len(labels):
        raise ValueError(f"classes must differ: {labels}")
    examples = []
    for place, row in rows:
        if row[at] not in labels:
            raise ValueError(f"{place}, column {target!r}: no label is {row[at]!r}{nearest(row[at], labels)}")
        inputs = [_number(row[j], place, header[j]) for j in range(len(row)) if j != at]
        examples.append((inputs, labels.index(row[at])))
    return examples, labels


def _records(path: str | Path) -> list[tuple[str, list[str]]]:
    """The rows of a CSV file that are not blank, each with the place where it starts."""
    reader = csv.reader(io.StringIO(files.read(Path(path)), newline=""), strict=True)
    records, place = [], f"{path}, line 1"
    try:
        for row in reader:
            if row:
                records.append((place, [field.strip() for field in row]))
            place = f"{path}, line {reader.line_num + 1}"
    except csv.Error as error:
        raise ValueError(f"{place}: this is not CSV: {error}") from None
    if len(records) < 2:
        raise ValueError(f"{place}: the file ends here, but needs a header and at least one row below it")
    return records


def _number(field: str, place: str, column: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(float(field)):
            return float(field)
    raise ValueError(f"{place}, column {column!r}: {field!r} is not a finite number")


def split(data: Sequence[T], fraction: float = 0.8, *, seed: int = 0) -> tuple[list[T], list[T]]:
    """Shuffle the examples, and part them in those to train on and those to test with.

    Args:
        data: the examples.
        fraction: the share to train on.
        seed: decides which.

    Raises:
        ValueError: if the fraction is not between 0 and 1, or one part would be empty.

    >>> split(["a", "b", "c", "d"], 0.75, seed=1)
    (['b', 'c', 'a'], ['d'])
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction must be between 0 and 1, not {fraction!r}")
    size = round(fraction * len(data))
    if not 0 < size < len(data):
        raise ValueError(f"fraction {fraction!r} of {len(data)} examples is {size}, which leaves a part empty")
    shuffled = random.Random(seed).sample(data, len(data))
    return shuffled[:size], shuffled[size:]


class Standardizer:
    """z = (x − mean) / deviation of each input, with the mean and the deviation that it has in some data.

    Make it from the training examples, and use it for the test examples too.

    Args:
        data: the examples; the deviation is that of a population.

    Raises:
        ValueError: if there are no examples, they differ in length, or an input is not finite or has no spread.

    >>> standardize = Standardizer([([1.0, 10.0], 0), ([3.0, 30.0], 1)])
    >>> standardize.means, standardize.deviations
    ([2.0, 20.0], [1.0, 10.0])
    >>> standardize([([4.0, 20.0], 1)])
    [([2.0, 0.0], 1)]
    >>> standardize.inverse([([2.0, 0.0], 1)])
    [([4.0, 20.0], 1)]
    """

    def __init__(self, data: Sequence[tuple[Sequence[float], object]]) -> None:
        if not data:
            raise ValueError("Standardizer needs at least one example")
        columns = list(zip(*_inputs(data, len(data[0][0])), strict=True))
        self.means, self.deviations = list(map(statistics.mean, columns)), list(map(statistics.pstdev, columns))
        if 0.0 in self.deviations:
            j = self.deviations.index(0.0)
            raise ValueError(f"inputs[{j}] is {columns[j][0]!r} in every example, without spread: leave it out")

    def __call__(self, data: Sequence[tuple[Sequence[float], T]]) -> list[Example[T]]:
        """The examples with standardised inputs."""
        return self._moved(data, lambda v, m, s: (v - m) / s)

    def inverse(self, data: Sequence[tuple[Sequence[float], T]]) -> list[Example[T]]:
        """The examples with the inputs that they had before.

        >>> standardize = Standardizer([([1.0], 0), ([3.0], 1)])
        >>> standardize([([4.0], 1)]), standardize.inverse([([2.0], 1)])
        ([([2.0], 1)], [([4.0], 1)])
        """
        return self._moved(data, lambda z, m, s: z * s + m)

    def _moved(
        self, data: Sequence[tuple[Sequence[float], T]], move: Callable[[float, float, float], float]
    ) -> list[Example[T]]:
        inputs = _inputs(data, len(self.means))
        moved = ([*map(move, x, self.means, self.deviations)] for x in inputs)
        return [(x, y) for x, (_, y) in zip(moved, data, strict=True)]


def _inputs(data: Sequence[tuple[Sequence[float], object]], width: int) -> list[list[float]]:
    """The inputs of examples, as floats."""
    inputs = [[real(v, f"input {j} of example {i}") for j, v in enumerate(x)] for i, (x, _) in enumerate(data)]
    for i, x in enumerate(inputs):
        if len(x) != width or not all(map(math.isfinite, x)):
            raise ValueError(f"example {i} must have {width} finite inputs, not {x!r}")
    return inputs


def batches(data: Sequence[T], size: int, *, rng: random.Random | None = None) -> Iterator[list[T]]:
    """The examples in lists of ``size``; the last may be shorter.

    Args:
        data: the examples.
        size: how many at a time.
        rng: what shuffles them; they keep their order if left out.

    Raises:
        ValueError: if the size is not positive.

    >>> list(batches([1, 2, 3, 4, 5], 2))
    [[1, 2], [3, 4], [5]]
    """
    whole("size", size, 1)
    examples = list(data)
    if rng is not None:
        rng.shuffle(examples)
    return (examples[start : start + size] for start in range(0, len(examples), size))
