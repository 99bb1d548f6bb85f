"""The table of conventions in ``autograd/kinks.py``, line by line."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from autograd import Value, gradient
from autograd.operations import table
from tests.graphs import kinks, numbers

REFERENCE = json.loads((Path(__file__).parent / "data" / "reference.json").read_text(encoding="utf-8"))


LINES = kinks()


def same(xs: list[float], ys: list[float]) -> bool:
    """Whether numbers are equal, nan to nan."""
    return len(xs) == len(ys) and all(x == y or (math.isnan(x) and math.isnan(y)) for x, y in zip(xs, ys, strict=True))


@pytest.mark.parametrize(("name", "at", "value", "slopes", "remark"), LINES, ids=[f"{x[0]}({x[1]})" for x in LINES])
def test_line(name: str, at: str, value: str, slopes: str, remark: str) -> None:
    """The value and slopes that the line states, recorded, from backward and as Values."""
    op = table[name]
    xs = [Value(x) for x in numbers(at)]
    z = op(*op.columns(xs))
    z.backward()
    assert same([z.data], numbers(value))
    assert same(list(z.partials), numbers(slopes))
    assert same([x.grad for x in xs], numbers(slopes))
    assert same([slope.data for slope in gradient(z, xs)], numbers(slopes))


@pytest.mark.parametrize("kink", REFERENCE["kinks"], ids=lambda kink: f"{kink['op']}({kink['at']})")
def test_pytorch(kink: dict[str, Any]) -> None:
    """What PyTorch gives is what the table states, or what its remark says of PyTorch."""
    (line,) = [line for line in LINES if line[0] == kink["op"] and same(numbers(line[1]), list(map(float, kink["at"])))]
    _, _, value, slopes, remark = line
    stated = remark.removeprefix("PyTorch:") if remark.startswith("PyTorch:") else slopes
    assert same(numbers(value), [float(kink["value"])])
    assert same(numbers(stated), list(map(float, kink["slopes"])))
