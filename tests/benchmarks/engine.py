"""The engine beside micrograd: how fast it trains, records and starts, and how much memory a node takes.

    python tests/benchmarks/engine.py [--json PATH]

Both engines run the same code in turns, in one process, after a check that they find the same
numbers.  A timed run includes collecting the garbage that it leaves.  The figure of a time is its
minimum, which other work on the machine disturbs least; the spread is printed beside it.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import math
import operator
import os
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from micrograd.engine import Value as Micrograd

from autograd import Value, sumprod
from machine import RELATIONS, Spread, processor, version

Number = Any  # a Value of either engine
Dot = Callable[[Sequence[Number], Sequence[Number], Number], Number]

SEED = 1337


# The network of micrograd's demo, for any Value.


def node_by_node(w: Sequence[Number], x: Sequence[Number], b: Number) -> Number:
    """The weighted sum w · x + b, every product and every sum a node."""
    return sum((wi * xi for wi, xi in zip(w, x, strict=True)), b)


def at_once(w: Sequence[Number], x: Sequence[Number], b: Number) -> Number:
    """The weighted sum w · x + b, with one node for w · x."""
    return sumprod(w, x) + b


class Neuron:
    """A weighted sum, with a ReLU unless it is in the last layer."""

    def __init__(self, number: type, weights: Iterator[float], inputs: int, relu: bool) -> None:
        self.w, self.b, self.relu = [number(next(weights)) for _ in range(inputs)], number(0.0), relu

    def __call__(self, x: Sequence[Number], dot: Dot) -> Number:
        a = dot(self.w, x, self.b)
        return a.relu() if self.relu else a


class MLP:
    """Layers of neurons, with one output."""

    def __init__(self, number: type, sizes: Sequence[int], weights: Iterator[float]) -> None:
        shapes = list(itertools.pairwise(sizes))
        self.layers = [
            [Neuron(number, weights, nin, relu=shape < len(shapes)) for _ in range(nout)]
            for shape, (nin, nout) in enumerate(shapes, start=1)
        ]
        self.parameters = [p for layer in self.layers for neuron in layer for p in (*neuron.w, neuron.b)]

    def __call__(self, x: Sequence[Number], dot: Dot) -> Number:
        for layer in self.layers:
            x = [neuron(x, dot) for neuron in layer]
        return x[0]


def moons(n: int) -> list[tuple[list[float], float]]:
    """Points on two half circles that interlock, with Gaussian noise, each with its class, ±1."""
    random = Random(SEED)
    points = []
    for j in range(n):
        angle = random.uniform(0.0, math.pi)
        x, y = math.cos(angle), math.sin(angle)
        at, kind = ((x, y), 1.0) if j % 2 else ((1.0 - x, 0.5 - y), -1.0)
        points.append(([c + random.gauss(0.0, 0.1) for c in at], kind))
    return points


class Training:
    """The demo, for one engine and one way to write a weighted sum."""

    def __init__(self, number: type, dot: Dot) -> None:
        random = Random(SEED)
        self.number, self.dot, self.points = number, dot, moons(100)
        self.model = MLP(number, [2, 16, 16, 1], iter(lambda: random.uniform(-1.0, 1.0), None))

    def differentiate(self) -> float:
        """The loss, max-margin with a penalty on the weights, and its gradient."""
        parameters = self.model.parameters
        margins = [(1 + -y * self.model([self.number(c) for c in x], self.dot)).relu() for x, y in self.points]
        loss = sum(margins) * (1.0 / len(margins)) + 1e-4 * sum(p * p for p in parameters)
        for p in parameters:
            p.grad = 0.0
        loss.backward()
        return float(loss.data)

    def step(self) -> None:
        """One step of gradient descent over all the points."""
        self.differentiate()
        for p in self.model.parameters:
            p.data -= 0.01 * p.grad

    def numbers(self) -> list[float]:
        """The loss and the gradient where the training stands."""
        return [self.differentiate(), *[p.grad for p in self.model.parameters]]


# A random expression, for any Value.

OPERATIONS: list[Callable[[Number, Number], Number]] = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    lambda x, y: x**3,
    lambda x, y: x.relu(),
]


class Expression:
    """Operations drawn in equal parts from + - * / **3 relu, on inputs where all values are well-scaled.

    As many branches as inputs grow side by side, by random operations with any earlier node, and
    are added up in the end: so the output depends on every node, at a depth that micrograd can bear.
    """

    def __init__(self, operations: int, inputs: int) -> None:
        random = Random(SEED)
        self.operations = operations
        self.inputs = [random.uniform(0.5, 2.0) for _ in range(inputs)]
        self.program: list[tuple[Callable[[Number, Number], Number], int, int]] = []
        branches, nodes = list(range(inputs)), [Value(x) for x in self.inputs]
        while len(self.program) < operations - inputs + 1:
            k, j, f = random.randrange(inputs), random.randrange(len(nodes)), random.choice(OPERATIONS)
            node = f(nodes[branches[k]], nodes[j])
            if 0.1 < abs(node.data) < 10.0:
                self.program.append((f, branches[k], j))
                branches[k] = len(nodes)
                nodes.append(node)
        total, *others = branches
        for branch in others:
            self.program.append((operator.add, total, branch))
            total = inputs + len(self.program) - 1

    def numbers(self, number: type) -> list[float]:
        """Record it and run backward: the value and the gradient."""
        inputs = [number(x) for x in self.inputs]
        nodes = list(inputs)
        for f, i, j in self.program:
            nodes.append(f(nodes[i], nodes[j]))
        nodes[-1].backward()
        return [nodes[-1].data, *[x.grad for x in inputs]]


# Measuring.


@dataclass(frozen=True)
class Row:
    """A line of the table: both engines, and the figure that has a target."""

    name: str
    unit: str
    autograd: Spread
    micrograd: Spread
    figure: float
    figure_unit: str
    relation: str
    target: float

    @property
    def met(self) -> bool:
        """Whether the figure is what it is meant to be."""
        return RELATIONS[self.relation](self.figure, self.target)

    def cells(self) -> tuple[str, ...]:
        """What is printed."""
        target = f"{self.relation} {self.target:g}"
        verdict = "met" if self.met else "MISSED"
        figure = f"{self.figure:.1f} {self.figure_unit}"
        return f"{self.name}, {self.unit}", str(self.autograd), str(self.micrograd), figure, target, verdict


def alternating(runs: int, *jobs: Callable[[], object]) -> list[list[float]]:
    """Seconds per run of each job; the jobs take turns."""
    samples: list[list[float]] = [[] for _ in jobs]
    for _ in range(runs):
        for job, times in zip(jobs, samples, strict=True):
            gc.collect()
            start = time.perf_counter()
            job()
            gc.collect()
            times.append(time.perf_counter() - start)
    return samples


def check(what: str, *results: Sequence[float]) -> None:
    """Stop unless all results are the same numbers."""
    for numbers in zip(*results, strict=True):
        if not all(math.isclose(x, numbers[0], rel_tol=1e-9, abs_tol=1e-9) for x in numbers):
            raise ValueError(f"{what}: the engines disagree, {numbers}")


def training_rows() -> list[Row]:
    """A training step, with a node per product and sum, and with a node per weighted sum."""
    trainings = [Training(Micrograd, node_by_node), Training(Value, node_by_node), Training(Value, at_once)]
    check("moons", *[training.numbers() for training in trainings])
    samples = alternating(9, *[training.step for training in trainings])
    peer, ours, fused = [Spread.of(times, 1e3) for times in samples]
    return [
        Row("moons step, a node per product and sum", "ms", ours, peer, peer.min / ours.min, "x", ">=", 12.0),
        Row("moons step, a sumprod per neuron", "ms", fused, peer, peer.min / fused.min, "x", ">=", 25.0),
    ]


def expression_rows() -> list[Row]:
    """Recording and backward, per operation of a random expression."""
    expression = Expression(operations=1000, inputs=40)
    check("expression", expression.numbers(Micrograd), expression.numbers(Value))
    repeats = 100  # collecting garbage looks through the whole process, at a cost to be shared

    def repeated(number: type) -> Callable[[], object]:
        return lambda: [expression.numbers(number) for _ in range(repeats)]

    samples = alternating(9, repeated(Micrograd), repeated(Value))
    peer, ours = [Spread.of(times, 1e9 / (repeats * expression.operations)) for times in samples]
    return [Row("record + backward, per operation", "ns", ours, peer, ours.min, "ns", "<=", 1300.0)]


def bytes_per_node(number: type) -> tuple[float, float]:
    """What a product takes once it is recorded, and after backward; from chains that micrograd can bear."""
    chains, length = 20, 500
    x, y = number(1.5), number(0.999)
    gc.collect()
    tracemalloc.start()
    roots = []
    for _ in range(chains):
        z = x
        for _ in range(length):
            z = z * y
        roots.append(z)
    recorded, _ = tracemalloc.get_traced_memory()
    for root in roots:
        root.backward()
    del root
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return recorded / (chains * length), after / (chains * length)


def memory_rows() -> list[Row]:
    """The bytes of a node."""
    return [
        Row(f"a product, {when}", "bytes", Spread.of([ours]), Spread.of([peer]), ours, "bytes", "<=", 220.0)
        for when, ours, peer in zip(
            ("recorded", "after backward"), bytes_per_node(Value), bytes_per_node(Micrograd), strict=True
        )
    ]


def import_rows() -> list[Row]:
    """What an import adds to the start of the interpreter; here the figure is the median."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}  # compiling is paid once, not by every start

    def interpreter(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, env=environment)

    jobs = [interpreter(code) for code in ("pass", "import autograd", "import micrograd.engine")]
    for job in jobs:
        job()  # compiles what is not yet
    bare, *samples = alternating(15, *jobs)
    base = statistics.median(bare)
    ours, peer = [Spread.of([x - base for x in times], 1e3) for times in samples]
    return [Row("import, more than the bare interpreter", "ms", ours, peer, ours.median, "ms", "<", 30.0)]


# Reporting.


def printed(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    head = ("min / median / max", "autograd", "micrograd", "figure", "target", "")
    lines = [head, *[row.cells() for row in rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main() -> None:
    """Measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, default=Path("out/benchmarks/engine.json"), metavar="PATH")
    path = parser.parse_args().json
    machine = {"cpus": os.cpu_count(), "processor": processor(), "system": platform.platform()}
    packages = {"gradgraph": version("gradgraph"), "micrograd": version("micrograd")}
    print(f"{machine['cpus']} x {machine['processor']}, {machine['system']}")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {v}" for name, v in packages.items()) + "\n")
    rows = [*training_rows(), *expression_rows(), *memory_rows(), *import_rows()]
    print(printed(rows))
    report = {
        "machine": machine,
        "packages": packages,
        "python": platform.python_version(),
        "rows": [asdict(row) | {"met": row.met} for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
