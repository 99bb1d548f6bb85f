"""Our programs."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Semaphore
from typing import Any

import numpy as np

import nn
from autograd import Graph, Value, logsumexp, relu, sqrt, sumprod
from autograd import operations as ops
from autograd.operations import Operation
from autograd.program import Backend, Program
from peers.adam import RATE
from peers.tasks import Job, Problem

VERSION = "this checkout"

Network = tuple[Value, list[Value], list[Value]]


def mlp(problem: Problem) -> nn.MLP:
    """The network with its parameters."""
    nin, *nouts = problem.sizes
    model = nn.MLP(nin, nouts)
    for p, x in zip(model.parameters(), problem.parameters, strict=True):
        p.data = x
    return model


def network(problem: Problem) -> Network:
    """The loss of one example, its inputs (the targets among them), and the parameters."""
    model, nin = mlp(problem), problem.sizes[0]
    parameters = model.parameters()
    inputs = [Value(x) for x in problem.rows[0]]
    targets = inputs[nin:]
    outputs: Any = model(inputs[:nin])
    if problem.loss == "hinge":
        return relu(1.0 - targets[0] * outputs), inputs, parameters
    return logsumexp(outputs) - sumprod(targets, outputs), inputs, parameters


# The tasks.


def call(problem: Problem, backend: Backend = "auto") -> Job:
    """One example."""
    program, note, figures = _compiled(problem, backend)
    run = functools.partial(program, *problem.rows[0])
    return Job(run, lambda found: [found[0], *found[1]], note, figures)


def source_call(problem: Problem) -> Job:
    """One example, by generated Python."""
    return call(problem, "source")


def batch(problem: Problem) -> Job:
    """The sum over all examples, in as many threads as the worker is to use."""
    program, note, figures = _compiled(problem, at_once=True)
    rows = np.tile(np.array(problem.rows), (problem.repeat, 1))
    threads = int(os.environ["OMP_NUM_THREADS"])
    executor = ThreadPoolExecutor(threads) if threads > 1 else None
    run = functools.partial(program.batch, rows, executor=executor)
    return Job(run, lambda found: [found[0], *found[1]], note, figures)


def step(problem: Problem) -> Job:
    """An epoch of mini-batches with Adam, whose update of one parameter is a graph too."""
    program, note, figures = _compiled(problem, at_once=True)
    rows, orders, steps = np.array(problem.rows), problem.orders(), itertools.count(1)
    p, m, v, g, rate, eps = (Value(1.0) for _ in range(6))
    new_m, new_v = m + 0.1 * (g - m), v + 0.001 * (g * g - v)
    moved = p - rate * new_m / (sqrt(new_v) + eps)  # both sides of the fraction times the root of 1 - 0.999**t
    update = Graph(moved, new_m, new_v).compile([p, m, v, g], [])
    table = np.zeros((4, len(program.parameters)))

    def run() -> Any:
        for places in problem.batches(next(orders)):
            _, gradient = program.batch(rows[places], reduction="mean")
            t = next(steps)
            scale = (1.0 - 0.999**t) ** 0.5
            update.parameters = np.array([RATE * scale / (1.0 - 0.9**t), 1e-8 * scale])
            table[0], table[3] = program.parameters, gradient
            program.parameters, table[1], table[2] = update.batch(table.T, per_example=True)
        return program.parameters

    return Job(run, np.ndarray.tolist, note, figures)


def fitted_step(problem: Problem) -> Job:
    """An epoch of ``nn.fit``, which waits in a thread of its own until the next one is asked for."""
    nin = problem.sizes[0]
    data = [(row[:nin], row[nin:].index(1.0)) for row in problem.rows]
    asked, done = Semaphore(0), Semaphore(0)

    def wait(epoch: int) -> float:
        """The schedule, which is asked before every epoch."""
        if epoch:
            done.release()
        asked.acquire()
        return 1.0

    def train(**options: Any) -> list[float]:
        model = mlp(problem)
        adam = nn.Adam(model.parameters(), lr=RATE)
        fixed: Any = {"batch_size": problem.size, "compiled": True, "progress": False}
        nn.fit(model, nn.cross_entropy, data, adam, **fixed, **options)
        return [p.data for p in model.parameters()]

    training = ThreadPoolExecutor().submit(train, epochs=1_000_000, schedule=wait)
    training.add_done_callback(lambda _: done.release())

    def run() -> None:
        asked.release()
        done.acquire()
        if training.done():
            training.result()  # raises what went wrong

    return Job(run, lambda _: train(epochs=1))


def _compiled(
    problem: Problem, backend: Backend = "auto", *, at_once: bool = False
) -> tuple[Program, str, dict[str, float]]:
    """The program of a network, and the seconds from its graph to the first result, of a call or of a small batch."""
    loss, inputs, parameters = network(problem)
    rows = np.array(problem.rows[:100])

    def first(program: Program) -> object:
        return program.batch(rows) if at_once else program(*problem.rows[0])

    program, seconds = _first_result(loss, inputs, parameters, first, backend)
    return program, f"{program.backend}, {len(Graph(loss))} nodes", {"compile": seconds}


def _first_result(
    root: Value,
    inputs: list[Value],
    wrt: list[Value],
    first: Callable[[Program], object],
    backend: Backend = "auto",
) -> tuple[Program, float]:
    _warm()
    gc.collect()
    start = time.perf_counter()
    program = Graph(root).compile(inputs, wrt, backend=backend)
    first(program)
    return program, time.perf_counter() - start


@functools.cache
def _warm() -> None:
    """Import what programs need, and start the backend."""
    x = Value(1.0)
    Graph(x * x).compile([x], [x])(2.0)


# What only we measure.


OPERATIONS = (ops.add, ops.sub, ops.mul, ops.div, ops.pow, ops.tanh, ops.exp, ops.log)
INPUTS = 40


@functools.cache
def random_program(operations: int, seed: int) -> tuple[Program, float]:
    """Operations drawn in equal parts, on operands from anywhere before, where all values are well-scaled.

    What nobody has used is added up in the end, so that the output depends on every node.
    """
    random = Random(seed)
    inputs = [Value(random.uniform(0.5, 2.0)) for _ in range(INPUTS)]
    nodes, unused, done = list(inputs), dict.fromkeys(inputs), 0
    while done + len(unused) - 1 < operations:
        op = random.choice(OPERATIONS)
        operands = random.choices(nodes, k=len(op.partials))
        if _well_scaled(op, [x.data for x in operands]):
            node = op(*operands)
            nodes.append(node)
            for x in operands:
                unused.pop(x, None)
            unused[node] = None
            done += 1
    root = functools.reduce(ops.add, unused)
    return _first_result(root, inputs, inputs, lambda program: program(*[x.data for x in inputs]))


def _well_scaled(op: Operation, numbers: list[float]) -> bool:
    try:
        return 0.1 < abs(op.forward(*numbers)) < 10.0
    except (ArithmeticError, ValueError):
        return False


def compile_random(operations: int, seed: int) -> float:
    """Seconds from the graph to the first result."""
    return random_program(operations, seed)[1]


def call_random(operations: int, seed: int) -> float:
    """Seconds of a call."""
    program, _ = random_program(operations, seed)
    return _seconds(functools.partial(program, *[x.data for x in program.inputs]))


def compile_unrolled(problem: dict[str, Any], examples: int) -> tuple[int, float]:
    """The number of operations of a loss over so many examples, every product and sum a node; and the seconds."""
    given = Problem(**problem)
    nin, *nouts = given.sizes
    model = nn.MLP(nin, nouts, expand=True)
    total: Any = 0.0
    for *x, t in given.rows[:examples]:
        total = total + relu(1.0 - t * model(x))
    operations = sum(node.op is not None for node in Graph(total))
    return operations, _first_result(total, [], model.parameters(), lambda program: program())[1]


def affordable(problem: dict[str, Any], examples: int, seconds: float) -> int:
    """As many examples, or as many hundreds as a batch can do in this time."""
    given = Problem(**problem)
    program, _, _ = _compiled(given, at_once=True)
    once = _seconds(functools.partial(program.batch, np.array(given.rows[:100])))
    return min(examples, 100 * max(1, int(seconds / once)))


def memory(problem: dict[str, Any], examples: Sequence[int]) -> list[float]:
    """The bytes by which memory grows at most during a batch of so many examples, beyond its rows."""
    given = Problem(**problem)
    program, _, _ = _compiled(given, at_once=True)
    program.batch(np.array(given.rows[:100]))
    growth = []
    for n in examples:
        rows = np.resize(np.array(given.rows), (n, len(given.rows[0])))
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak from here on
        before = _status("VmRSS")
        program.batch(rows)
        growth.append(_status("VmHWM") - before)
    return growth


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith(field))


def batch_seconds(problem: dict[str, Any], examples: int, threads: int) -> float:
    """Seconds of a batch."""
    given = Problem(**problem)
    program, _, _ = _compiled(given, at_once=True)
    rows = np.resize(np.array(given.rows), (examples, len(given.rows[0])))
    with ThreadPoolExecutor(threads) as executor:
        return _seconds(functools.partial(program.batch, rows, executor=executor if threads > 1 else None))


def _seconds(run: Callable[[], object], limit: float = 0.2) -> float:
    """The fastest of some runs."""
    times: list[float] = []
    for _ in itertools.takewhile(lambda _: sum(times) < limit, itertools.count()):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
