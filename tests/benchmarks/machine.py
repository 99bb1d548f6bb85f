"""What the benchmarks have in common: spreads, relations to a target, and what they run on."""

from __future__ import annotations

import importlib.metadata
import operator
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

RELATIONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Spread:
    """How far the runs of one measurement lie apart."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, samples: Sequence[float], scale: float = 1.0) -> Spread:
        """The spread of some samples, in another unit."""
        return cls(min(samples) * scale, statistics.median(samples) * scale, max(samples) * scale)

    def __str__(self) -> str:
        return " / ".join(f"{x:.4g}" for x in (self.min, self.median, self.max))


def version(package: str) -> str:
    """The version of a package, if it is installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "from source"


def processor() -> str:
    """The model of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
