"""Programs beside their peers: other engines, array libraries, and C from the same graph as the limit.

    python tests/benchmarks/programs.py [--only call,batch,…] [--json PATH]

Every peer runs in a process of its own (``worker.py``), after a check that all find the same numbers.
The samples of a peer and of ours take turns: a peer's ratio is the median of its samples by the median
of those of ours that were taken next to them, so other work on the machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import atexit
import csv
import functools
import gzip
import itertools
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any

import nn.data
from machine import RELATIONS, Spread, processor

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PEERS = ROOT / ".venv/peers/bin/python"  # an environment apart, which `make bench` makes
ROUNDS, SAMPLE, LIMIT = 7, 0.2, 20.0  # samples of each peer, seconds of a sample, seconds for a table
PATIENCE = 60.0  # seconds to wait for an answer: two threads on a busy machine may wait for each other for ever


# The processes.


class Worker:
    """The process of one peer, with so many threads."""

    def __init__(self, peer: str, threads: int) -> None:
        at_home = peer in ("ours", "c")
        environment = os.environ | {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
        eigen = "true" if threads > 1 else "false"
        environment["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
        if not at_home:
            environment.pop("PYTHONPATH", None)  # HIPS autograd is imported by the name of ours
        command = [sys.executable if at_home else str(PEERS), str(HERE / "worker.py"), peer]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
        try:
            self.process = subprocess.Popen(command, env=environment, **pipes)
        except OSError as error:
            self.missing, self.version = str(error), ""
            return
        atexit.register(self.process.kill)
        hello = self._answer()
        self.missing, self.version = hello.get("missing") or hello.get("error"), hello.get("version", "")

    def ask(self, do: str, **arguments: Any) -> Any:
        """The answer to a request; a failure is a dictionary that has an error."""
        if self.missing:
            return {"error": f"not installed: {self.missing}"}
        assert self.process.stdin is not None
        try:
            print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return {"error": "has ended"}
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        timer = Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        return json.loads(line) if line else {"error": f"has ended, or gave no answer for {PATIENCE:g} s"}


workers: dict[tuple[str, int], Worker] = {}


def worker(peer: str, threads: int = 1) -> Worker:
    """The process of a peer, which runs until the end."""
    if (peer, threads) not in workers:
        workers[peer, threads] = Worker(peer, threads)
    return workers[peer, threads]


# Tables and targets.


@dataclass
class Row:
    """One competitor in one table: microseconds, as multiples of ours too, and the processors that it kept busy."""

    name: str
    peer: str
    task: str
    threads: int = 1
    spread: Spread | None = None
    ratio: float | None = None
    least_ratio: float | None = None
    processors: float | None = None
    ready: float | None = None
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """What is printed."""
        if self.spread is None:
            return self.name, *[""] * 6, self.note
        numbers = (self.spread.median, self.ratio, self.spread.min, self.least_ratio, self.processors, self.ready)
        forms = (",.4g", ",.3g", ",.4g", ",.3g", ".1f", ".2f")
        return self.name, *map(format, numbers, forms), self.note


@dataclass
class Target:
    """A figure and what it is meant to be; None if it could not be measured."""

    what: str
    figure: float | None
    relation: str
    target: float
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.figure is not None and RELATIONS[self.relation](self.figure, self.target)

    def __str__(self) -> str:
        figure = "not measured" if self.figure is None else f"{self.figure:,.4g} {self.unit}"
        verdict = "met" if self.met else "MISSED"
        return f"  {self.what} {self.relation} {self.target:g} {self.unit}: {figure}, {verdict}"


@dataclass
class Part:
    """What one part of the benchmark found."""

    title: str
    rows: list[Row] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def ratio(self, slower: str, faster: str = "ours") -> float | None:
        """How many times as long one takes as the other."""
        ratios = {row.name: row.ratio for row in self.rows}
        over, under = ratios.get(slower), ratios.get(faster)
        return over / under if over and under else None

    def __str__(self) -> str:
        lines = [self.title]
        if self.rows:
            head = ("", "µs, median", "x ours", "min", "x ours", "cores", "ready s", "")
            cells = [head, *[row.cells() for row in self.rows]]
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            aligned = ["<", *">" * 6, "<"]
            form = [f"{way}{width}" for way, width in zip(aligned, widths, strict=True)]
            lines += ["  " + "  ".join(map(format, line, form)).rstrip() for line in cells]
        lines += [f"  {name}: {_readable(number)}" for name, number in self.numbers.items()]
        return "\n".join([*lines, *map(str, self.targets)])


def _readable(number: Any) -> str:
    return f"{number:,.4g}" if isinstance(number, float) else str(number)


def compete(title: str, problem: dict[str, Any], rows: Sequence[Row], per: int = 1) -> Part:
    """Measure all rows on a problem; ours is the first.

    Args:
        title: of the table.
        problem: see ``peers/tasks.py``.
        rows: who competes.
        per: how many of what is counted are in a run of the task.
    """
    found = {}
    for row in rows:
        answer = worker(row.peer, row.threads).ask("make", name=f"{title}: {row.name}", task=row.task, problem=problem)
        if "error" in answer:
            row.note = answer["error"].partition("\n")[0]
            continue
        found[row.name] = answer["numbers"]
        row.ready, row.note, row.figures = answer["ready"], answer["note"], answer["figures"]
    check(title, found)
    running = [row for row in rows if row.name in found]
    for threads in (1, 2):  # one after the other, since threads that wait may spin
        if some := [row for row in running if row.threads == threads]:
            _race(title, rows[0], some, per)
    return Part(title, list(rows))


def _race(title: str, ours: Row, rows: Sequence[Row], per: int) -> None:
    """Samples of all rows, each next to one of ours."""
    if ours.ready is None:
        return
    racing, times = [], {}
    for row in {id(row): row for row in [ours, *rows]}.values():
        try:
            times[row.name] = _calibrated(title, row)
            racing += [row] if row in rows else []
        except RuntimeError as error:
            row.note = str(error)
    samples: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {row.name: [] for row in racing}
    start, limit = time.perf_counter(), LIMIT if rows[0].threads == 1 else LIMIT / 2
    for _ in itertools.takewhile(lambda i: not i or time.perf_counter() - start < limit, range(ROUNDS)):
        for row in list(racing):
            try:
                one = _sample(title, row, times[row.name])
                beside = one if row is ours else _sample(title, ours, times[ours.name])
                samples[row.name].append((one, beside))
            except RuntimeError as error:
                row.note = str(error)
                racing.remove(row)
    for row in racing:
        theirs, of_ours = zip(*samples[row.name], strict=True)
        seconds, beside_them = ([x["seconds"] / per for x in some] for some in (theirs, of_ours))
        row.spread = Spread.of(seconds, 1e6)
        row.ratio = statistics.median(seconds) / statistics.median(beside_them)
        row.least_ratio = min(seconds) / min(beside_them)
        row.processors = statistics.median(x["processors"] / x["seconds"] for x in theirs)


def _sample(title: str, row: Row, times: int) -> dict[str, float]:
    """Seconds of a run, by the clock and of the processors."""
    answer = worker(row.peer, row.threads).ask("run", name=f"{title}: {row.name}", times=times)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return {name: x / times for name, x in answer.items()}


def _calibrated(title: str, row: Row) -> int:
    """How many runs fill a sample."""
    times = 1
    while True:
        seconds = times * _sample(title, row, times)["seconds"]
        if seconds > SAMPLE / 5:
            return max(1, round(times * SAMPLE / seconds))
        times *= 5


def check(title: str, found: dict[str, list[float]]) -> None:
    """Stop unless all have found the same numbers."""
    if not found:
        return
    (first, right), *others = found.items()
    scale = max(map(abs, right))
    for name, numbers in others:
        for x, y in zip(right, numbers, strict=True):
            if not math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12 * scale):
                raise ValueError(f"{title}: {first} finds {x!r} and {name} {y!r}")


def ask_ours(name: str, **arguments: Any) -> Any:
    """A figure that our worker measures; None, and a line that says why, if it cannot."""
    answer = worker("ours").ask("measure", name=name, **arguments)
    if isinstance(answer, dict) and "error" in answer:
        print(f"  {name}: {answer['error']}")
        return None
    return answer


# The problems.


def parameters(sizes: Sequence[int]) -> list[float]:
    """Weights in He's way, and small biases, neuron by neuron."""
    random = Random(1337)
    return [
        random.gauss(0.0, math.sqrt(2.0 / nin) if j < nin else 0.1)
        for nin, nout in itertools.pairwise(sizes)
        for _ in range(nout)
        for j in range(nin + 1)
    ]


def moons(n: int = 1000) -> dict[str, Any]:
    """The network of micrograd's demo."""
    sizes = [2, 16, 16, 1]
    rows = [[*x, 2.0 * kind - 1.0] for x, kind in nn.data.moons(n)]
    return {"sizes": sizes, "loss": "hinge", "parameters": parameters(sizes), "rows": rows}


@functools.cache
def digits() -> dict[str, Any]:
    """Handwritten digits: pixels from 0 to 1, and a column for each class."""
    sizes, rows = [64, 32, 10], []
    with gzip.open(ROOT / "examples/data/digits.csv.gz", "rt", encoding="ascii") as file:
        for *pixels, digit in csv.reader(file):
            rows.append([int(x) / 16.0 for x in pixels] + [float(int(digit) == k) for k in range(10)])
    return {"sizes": sizes, "loss": "cross-entropy", "parameters": parameters(sizes), "rows": rows}


# The parts.


def call() -> Part:
    """One example."""
    problem = moons()
    problem["rows"] = problem["rows"][:1]
    rows = [
        Row("ours", "ours", "call"),
        Row("ours, source", "ours", "source_call"),
        Row("C, called the same way", "c", "call"),
        Row("CasADi, its VM", "casadi", "call"),
        Row("micrograd, rebuilding", "micrograd", "call"),
        Row("HIPS autograd, matrices", "hips", "call"),
        Row("NumPy by hand", "numpy", "call"),
        Row("PyTorch, matrices", "torch", "call"),
        Row("jax.jit, matrices", "jax", "call"),
    ]
    part = compete("MLP 2-16-16-1, hinge, one example: value and 337 gradients, per call", problem, rows)
    c = part.ratio("C, called the same way")
    part.targets = [
        Target("micrograd / ours", part.ratio("micrograd, rebuilding"), ">=", 1000.0),
        Target("CasADi / ours", part.ratio("CasADi, its VM"), ">=", 3.0),
        Target("ours / C", c and 1.0 / c, "<=", 2.0),
        Target("micrograd / ours, source", part.ratio("micrograd, rebuilding", "ours, source"), ">=", 30.0),
    ]
    return part


def matrices(task: str) -> Iterator[Row]:
    """The array libraries, in one thread."""
    yield Row("NumPy by hand", "numpy", task)
    yield Row("PyTorch", "torch", task)
    yield Row("jax.jit", "jax", task)


def in_two_threads(rows: Sequence[Row]) -> list[Row]:
    """The same competitors, in two threads."""
    return [Row(f"{row.name}, 2 threads", row.peer, row.task, threads=2) for row in rows]


def batch() -> Part:
    """A thousand examples."""
    lanes = [Row("C, four lanes", "c", "four_lanes"), Row("C, a loop", "c", "batch")]
    ours, others = Row("ours", "ours", "batch"), list(matrices("batch"))
    rows = [ours, *lanes, *others, *in_two_threads([ours, *others])]
    part = compete("MLP 2-16-16-1, hinge, a batch of 1,000 examples: sum and its gradient", moons(), rows)
    c = part.ratio("C, four lanes")
    part.targets = [
        Target("ours / C, four lanes", c and 1.0 / c, "<=", 1.0),
        Target("NumPy / ours", part.ratio("NumPy by hand"), ">=", 2.0),
        Target("PyTorch / ours", part.ratio("PyTorch"), ">", 1.0),
        Target("jax.jit / ours", part.ratio("jax.jit"), ">", 1.0),
    ]
    return part


def digits_batch() -> Part:
    """All digits at once."""
    ours, others = Row("ours", "ours", "batch"), list(matrices("batch"))
    rows = [ours, *others, *in_two_threads([ours, *others])]
    part = compete("Digits 64-32-10, cross-entropy, a batch of 1,797 examples: sum and its gradient", digits(), rows)
    part.targets = [
        Target("NumPy / ours", part.ratio("NumPy by hand"), ">=", 1.1),
        Target("NumPy / ours", part.ratio("NumPy by hand"), ">=", 1.4),
        Target("from the graph to the first result", ours.figures.get("compile"), "<=", 0.6, "s"),
    ]
    return part


def steps() -> Part:
    """Training."""
    size, n = 32, len(digits()["rows"])
    order = list(range(n))
    Random("0/0").shuffle(order)  # as nn.fit does in its first epoch
    problem = digits() | {"size": size, "order": order}
    ours, by_hand = Row("ours", "ours", "fitted_step"), Row("ours, two programs", "ours", "step")
    others, fused = list(matrices("step")), Row("PyTorch, fused Adam", "torch", "fused_step")
    rows = [ours, by_hand, *others, fused, *in_two_threads(others)]
    title = "Digits 64-32-10, mini-batches of 32, Adam: a training step (ours is nn.fit, with all that it keeps)"
    part = compete(title, problem, rows, per=math.ceil(n / size))
    part.targets = [
        Target("PyTorch / ours", part.ratio("PyTorch"), ">=", 5.0),
        Target("NumPy / ours", part.ratio("NumPy by hand"), ">=", 2.0),
    ]
    return part


SIZES = (640, 10_000, 100_000)
SEEDS = {640: (1, 2, 3), 10_000: (1, 2, 3), 100_000: (1,)}  # another graph each time: a compiled one may be kept


def slope(points: dict[int, float]) -> float | None:
    """The exponent k of n ↦ c·nᵏ, fitted to numbers by size."""
    if len(points) < 2:
        return None
    return statistics.linear_regression(list(map(math.log, points)), list(map(math.log, points.values()))).slope


def compiling() -> Part:
    """The time from a graph to the first result of its program."""
    part = Part("From the graph to the first result, s")
    expressions, unrolled = {}, {}
    for n in SIZES:
        found = [ask_ours("compile_random", operations=n, seed=seed) for seed in SEEDS[n]]
        if all(found):
            expressions[n] = statistics.median(found)
        if found := ask_ours("compile_unrolled", problem=moons(), examples=round(n / 640)):
            unrolled[found[0]] = found[1]
    for name, points in (("a random expression", expressions), ("an MLP loss unrolled", unrolled)):
        part.numbers |= {f"{name}, {n:,} operations": seconds for n, seconds in points.items()}
        part.numbers[f"{name}, exponent of size"] = slope(points)
        figures = [*points.values(), *[None] * len(SIZES)]
        part.targets += [
            Target(f"{name}, {n:,}", seconds, "<=", limit, "s")
            for n, seconds, limit in zip(SIZES, figures, (0.5, 2.0, 15.0), strict=False)
        ]
    return part


def examples_in(problem: dict[str, Any], n: int) -> int:
    """As many examples, or fewer if a batch of so many would take long."""
    return int(ask_ours("affordable", problem=problem, examples=n, seconds=2.0) or 1000)


def threads() -> Part:
    """Two threads against one."""
    problem = moons()
    n = examples_in(problem, 100_000)
    problem["repeat"] = max(1, n // 1000)
    one, two = Row("ours", "ours", "batch"), Row("ours, 2 threads", "ours", "batch", threads=2)
    load = os.getloadavg()[0]
    part = compete(f"MLP 2-16-16-1, a batch of {problem['repeat'] * 1000:,} examples", problem, [one, two])
    part.numbers |= {"load average": load, "processors": os.cpu_count()}
    part.targets = [Target("one thread / two", part.ratio("ours", "ours, 2 threads"), ">=", 1.5)]
    return part


def memory() -> Part:
    """What a batch needs beyond its rows."""
    n = examples_in(digits(), 200_000)
    part = Part("Digits 64-32-10: growth of memory in a batch, beyond its rows, MB")
    found = ask_ours("memory", problem=digits(), examples=[1000, n])
    few, many = [x / 1e6 for x in found] if found else [None, None]
    part.numbers = {"rows": 74 * 8e-6 * n, "1,000 examples": few, f"{n:,} examples": many}
    part.targets = [Target(f"{n:,} examples", many, "<=", 8.0, "MB")]
    return part


def growth() -> Part:
    """How the cost grows."""
    part = Part("How the cost grows")
    n = examples_in(moons(), 100_000)
    sizes = [n // 100, n // 10, n]
    measured = {
        "µs per call, by operations": {n: ask_ours("call_random", operations=n, seed=1) for n in SIZES},
        "µs per batch, by examples": {
            m: ask_ours("batch_seconds", problem=moons(), examples=m, threads=1) for m in sizes
        },
        f"µs per batch of {n:,}, by threads": {
            k: ask_ours("batch_seconds", problem=moons(), examples=n, threads=k) for k in (1, 2)
        },
    }
    for name, points in measured.items():
        known = {size: 1e6 * seconds for size, seconds in points.items() if seconds}
        written = ", ".join(f"{size:,}: {x:,.4g}" for size, x in known.items())
        k = slope(known)
        part.numbers[name] = written + ("" if k is None else f"; exponent {k:.2f}")
    return part


PARTS: dict[str, Callable[[], Part]] = {
    "call": call,
    "batch": batch,
    "digits": digits_batch,
    "steps": steps,
    "compile": compiling,
    "threads": threads,
    "memory": memory,
    "growth": growth,
}


def main() -> None:
    """Measure, print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", metavar="PARTS", help="with commas between them: " + ", ".join(PARTS))
    parser.add_argument("--json", type=Path, default=Path("out/benchmarks/programs.json"), metavar="PATH")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"there is no part called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    machine = {"cpus": os.cpu_count(), "processor": processor(), "system": platform.platform(), "load": os.getloadavg()}
    print(f"{machine['cpus']} x {machine['processor']}, {machine['system']}, load {os.getloadavg()[0]:.2f}")
    print(f"Python {platform.python_version()}; float64; one thread where nothing else is said\n")
    parts = {}
    for name in chosen:
        parts[name] = PARTS[name]()
        print(f"{parts[name]}\n", flush=True)
    versions = {peer: held.version or f"not installed: {held.missing}" for (peer, _), held in sorted(workers.items())}
    print("versions: " + ", ".join(f"{peer} {version}" for peer, version in versions.items()))
    report = {
        "machine": machine | {"load after": os.getloadavg()},
        "python": platform.python_version(),
        "versions": versions,
        "parts": {name: asdict(part) for name, part in parts.items()},
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"written to {options.json}")


if __name__ == "__main__":
    main()
