"""Batches in pieces, run by threads, processes and a Dask cluster: equal results, whoever dies."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import logging
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask.distributed import Client, LocalCluster

from autograd import Graph, Operation, Program, Value, distribution, log, tanh
from autograd.operations import table
from examples import cluster as example

SPAWN = multiprocessing.get_context("spawn")  # what every platform has; forks would share what must be sent


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two worker processes."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def executors(client: Client) -> Iterator[dict[str, Executor]]:
    with ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(2, SPAWN) as processes:
        yield {"threads": threads, "processes": processes, "dask": client.get_executor(pure=False)}


@pytest.fixture(params=["threads", "processes", "dask"])
def executor(request: pytest.FixtureRequest, executors: dict[str, Executor]) -> Executor:
    return executors[request.param]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "_least", lambda program: 7)


def graph() -> tuple[Graph, list[Value], list[Value]]:
    """Two roots of two inputs, the second of which must be positive, and two parameters."""
    x, y, w, b = (Value(data, label=label) for data, label in ((0.5, "x"), (2.0, "y"), (-1.5, "w"), (0.25, "b")))
    return Graph((tanh(w * x + b) - y) ** 2, log(y) * w), [x, y], [w, b]


def program() -> Program:
    whole, inputs, wrt = graph()
    return whole.compile(inputs, wrt)


def examples(n: int) -> Any:
    return np.random.default_rng(n).uniform(0.1, 2.0, size=(n, 2))


def eager(rows: Any) -> tuple[Any, Any]:
    """What the eager engine finds for each row: outputs and gradients, an example a row."""
    whole, inputs, wrt = graph()
    outputs, grads = np.zeros((len(rows), 2)), np.zeros((len(rows), 2))
    for i, row in enumerate(rows):
        whole.forward(dict(zip(inputs, row, strict=True)))
        whole.zero_grad()
        whole.backward()
        outputs[i], grads[i] = [root.data for root in whole.roots], [x.grad for x in wrt]
    return outputs, grads


class Recorder:
    """Stands for a program of a thousand values: notes which pieces it is asked for, and counts examples."""

    nodes = range(1000)

    def __init__(self) -> None:
        self.pieces: list[tuple[int, Any]] = []

    def _part(self, parameters: Any, rows: Any, first: int, per_example: bool) -> tuple[Any, Any]:
        self.pieces.append((first, rows))
        return np.array([len(rows)]), np.array([first])


# Results.


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("n", [0, 1, 6, 7, 8, 13, 14, 15, 1000])
def test_the_result_is_that_of_the_eager_engine(executor: Executor, n: int) -> None:
    """Whoever runs the pieces; and it is the same to the bit as with threads."""
    rows, parts = examples(n), program()
    outputs, grads = eager(rows)
    close = functools.partial(pytest.approx, rel=1e-12, abs=1e-12 * n)
    values, found = parts.batch(rows, executor=executor)
    assert values == close(outputs.sum(axis=0))
    assert found == close(grads.sum(axis=0))
    each, same = parts.batch(rows, per_example=True, executor=executor)
    assert np.array(each) == close(outputs.T)
    assert same.tolist() == found.tolist()
    if n:
        mean, slope = parts.batch(rows, reduction="mean", executor=executor)
        assert mean == close(outputs.mean(axis=0))
        assert slope == close(grads.mean(axis=0))
    with ThreadPoolExecutor(1) as thread:
        again, grad = parts.batch(rows, executor=thread)
    assert (again, grad.tolist()) == (values, found.tolist())


@pytest.mark.usefixtures("small_pieces")
def test_the_parameters_are_those_of_the_call(executor: Executor) -> None:
    """Though the program has been sent before they changed."""
    rows, parts = examples(40), program()
    before = parts.batch(rows, executor=executor)
    parts.parameters *= 2.0
    after = parts.batch(rows, executor=executor)
    assert after[0] == pytest.approx(parts.batch(rows)[0], rel=1e-12)
    assert after[0] != pytest.approx(before[0], rel=0.01)


@pytest.mark.usefixtures("small_pieces")
def test_without_a_gradient(executor: Executor) -> None:
    """A program with an empty ``wrt`` gives values alone."""
    whole, inputs, _ = graph()
    rows = examples(20)
    assert whole.compile(inputs, []).batch(rows, executor=executor) == pytest.approx(eager(rows)[0].sum(axis=0))


# Pieces.


@pytest.mark.parametrize("n", [5001, 10_000, 64 * 5000, 64 * 5000 + 1, 1_000_000])
def test_pieces_are_large_few_and_cover_the_batch(n: int) -> None:
    """In order, without gaps, and without copies."""
    recorder, rows = Recorder(), np.zeros((n, 1))
    with ThreadPoolExecutor(1) as thread:
        outputs, grads = distribution.run(recorder, None, rows, False, thread)
    firsts, lengths = [first for first, _ in recorder.pieces], [len(rows) for _, rows in recorder.pieces]
    assert firsts == [0, *itertools.accumulate(lengths[:-1])]
    assert outputs.tolist() == [sum(lengths)] == [n]
    assert grads.tolist() == [sum(firsts)]
    assert 2 <= len(lengths) <= 64
    assert min(lengths[:-1]) >= 5000
    assert all(np.shares_memory(part, rows) for _, part in recorder.pieces)


def test_one_piece_is_run_here() -> None:
    """Where it takes no time to hand over: the executor is not asked, and may be shut down."""
    recorder = Recorder()
    with ThreadPoolExecutor() as pool:
        pass
    distribution.run(recorder, None, np.zeros((5000, 1)), False, pool)
    assert [first for first, _ in recorder.pieces] == [0]
    with pytest.raises(RuntimeError, match="after shutdown"):
        distribution.run(recorder, None, np.zeros((5001, 1)), False, pool)


@pytest.mark.usefixtures("small_pieces")
def test_pieces_that_are_done_in_another_order_are_added_up_in_theirs() -> None:
    """The first piece waits for the last."""
    last = threading.Event()

    class Waiting(Recorder):
        def _part(self, parameters: Any, rows: Any, first: int, per_example: bool) -> tuple[Any, Any]:
            if first == 28:
                last.set()
            assert last.wait(60.0)
            return rows.T, np.array([{0: 1.0, 7: 1e100, 14: -1e100}.get(first, 1.0)])

    rows = np.arange(35.0).reshape(35, 1)
    with ThreadPoolExecutor(5) as pool:
        outputs, grads = distribution.run(Waiting(), None, rows, True, pool)
    assert outputs.tolist() == [list(range(35))]
    assert grads.tolist() == [2.0]  # 1 + 1e100 - 1e100 + 1 + 1, from the left


# Errors.


@pytest.mark.usefixtures("small_pieces")
def test_an_error_is_raised_as_itself(executor: Executor) -> None:
    """That of the first bad example, with the notes that it has without an executor, and its place in the batch."""
    rows, parts = examples(100), program()
    rows[43, 1] = rows[80, 1] = -1.0
    with pytest.raises(ValueError, match=r"math domain error|positive") as here:
        parts.batch(rows)
    with pytest.raises(ValueError, match=r"math domain error|positive") as there:
        parts.batch(rows, executor=executor)
    notes = "\n".join(there.value.__notes__)
    assert there.value.__notes__ == here.value.__notes__
    assert 'in log(u), u = -1.0 ("y")' in notes
    assert re.search(r"\b43\b", notes)
    assert parts.batch(rows[:43], executor=executor)[0]  # the executor is as good as before


@pytest.mark.usefixtures("small_pieces")
def test_after_an_error_the_other_pieces_are_cancelled() -> None:
    """Those that have not begun."""
    raised = threading.Event()

    class Failing(Recorder):
        def _part(self, parameters: Any, rows: Any, first: int, per_example: bool) -> tuple[Any, Any]:
            super()._part(parameters, rows, first, per_example)
            if first == 0:
                raise ZeroDivisionError
            assert raised.wait(60.0)
            return np.zeros(1), np.zeros(1)

    failing = Failing()
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ZeroDivisionError):
            distribution.run(failing, None, np.zeros((100, 1)), False, pool)
        raised.set()
    assert len(failing.pieces) <= 2


def test_what_is_no_executor(client: Client) -> None:
    """Such as the client of a cluster, or its class."""
    for wrong in (client, 4, ThreadPoolExecutor):
        with pytest.raises(TypeError, match=rf"needs a concurrent.futures.Executor.* not {type(wrong).__name__} "):
            program().batch(examples(3), executor=wrong)  # type: ignore[arg-type]


@pytest.mark.usefixtures("small_pieces")
def test_an_executor_that_drops_its_work() -> None:
    """As one that is shut down with ``cancel_futures``, or a cluster whose scheduler is gone."""

    class Dropping(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            return future

    with pytest.raises(RuntimeError, match="shut down, or lost its cluster"):
        program().batch(examples(20), executor=Dropping())


# Workers that die.


class Deadly(Program):
    """A program that kills the process it runs in, once: whoever removes the file dies."""

    file: Path

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"file": self.file}

    def _part(self, parameters: Any, rows: Any, first: int, per_example: bool) -> tuple[Any, Any]:
        if first >= 49:
            with contextlib.suppress(FileNotFoundError):
                self.file.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super()._part(parameters, rows, first, per_example)


@pytest.fixture
def deadly(tmp_path: Path, small_pieces: None) -> Deadly:
    whole, inputs, wrt = graph()
    deadly = Deadly(whole.roots, whole.nodes, inputs, wrt)
    deadly.file = tmp_path / "alive"
    deadly.file.touch()
    return deadly


def test_a_dask_worker_that_is_killed_loses_nothing(deadly: Deadly, client: Client) -> None:
    """The scheduler gives its pieces to the other one."""
    rows = examples(100)
    pids = set(client.run(os.getpid).values())
    with ThreadPoolExecutor(1) as thread:
        expected, grads = program().batch(rows, executor=thread)
    values, found = deadly.batch(rows, executor=client.get_executor(pure=False))
    assert (values, found.tolist()) == (expected, grads.tolist())
    assert not deadly.file.exists()
    client.wait_for_workers(2, timeout=60)
    assert len(pids & set(client.run(os.getpid).values())) == 1


def test_a_process_that_is_killed_loses_nothing(deadly: Deadly, caplog: pytest.LogCaptureFixture) -> None:
    """Its pool is broken: the rest is run here, and so are later batches; the log says so once for each."""
    rows = examples(100)
    with ThreadPoolExecutor(1) as thread:
        expected, grads = program().batch(rows, executor=thread)
    with caplog.at_level(logging.WARNING, "autograd"), ProcessPoolExecutor(2, SPAWN) as pool:
        for _ in range(2):
            values, found = deadly.batch(rows, executor=pool)
            assert (values, found.tolist()) == (expected, grads.tolist())
            assert not deadly.file.exists()
        with pytest.raises(BrokenExecutor):
            pool.submit(os.getpid)
    assert [record.message.partition(",")[0] for record in caplog.records] == ["the pool is broken"] * 2


# Programs on their way.


class Counting:
    """Stands for a program: counts how often this process has unpickled one."""

    arrivals = 0
    departures = 0
    nodes = range(1)

    def __getstate__(self) -> dict[str, Any]:
        self.departures += 1
        return {"new": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Counting.arrivals += 1

    def _part(self, parameters: Any, rows: Any, first: int, per_example: bool) -> tuple[Any, Any]:
        return np.full((1, len(rows)), Counting.arrivals), np.zeros(1)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("name", ["processes", "dask"])
def test_a_program_is_pickled_once_and_unpickled_once_by_each_process(
    name: str, executors: dict[str, Executor]
) -> None:
    """Over several batches; here, nothing arrives, and nothing is kept of a program that is gone."""
    counting, rows = Counting(), np.zeros((100, 1))
    counts = [distribution.run(counting, None, rows, True, executors[name])[0] for _ in range(3)]
    assert counting.departures == 1
    assert np.unique(counts).tolist() == [1]
    assert Counting.arrivals == 0
    gone = weakref.ref(counting)
    del counting
    gc.collect()
    assert gone() is None


@pytest.mark.usefixtures("small_pieces")
def test_threads_share_the_program_itself() -> None:
    """Nothing is pickled."""
    counting = Counting()
    with ThreadPoolExecutor(2) as pool:
        distribution.run(counting, None, np.zeros((100, 1)), True, pool)
    assert counting.departures == 0


def test_a_pickled_program_runs_in_a_fresh_process() -> None:
    """Without its graph, with its parameters, and with its constants as on the day it was made."""
    x, w = Value(0.5, label="x"), Value(2.0, label="w")
    y = tanh(w * x + 0.25)
    parts = Graph(y).compile([x])
    parts.parameters[0] = 3.0
    (constant,) = (node for node in Graph(y) if node.data == 0.25)
    constant.data = 100.0
    pickled, expected = pickle.dumps(parts), parts(0.1)
    del parts, y, x, w, constant
    script = "import sys, pickle; value, grads = pickle.load(sys.stdin.buffer)(0.1); print(value, *grads)"
    done = subprocess.run([sys.executable, "-c", script], input=pickled, capture_output=True, check=True)
    value, grad = map(float, done.stdout.split())
    assert value == pytest.approx(np.tanh(0.55), rel=1e-14)
    assert (value, [grad]) == (expected[0], expected[1].tolist())


def test_a_program_pickled_with_its_leaves_still_belongs_to_them() -> None:
    """``store`` reaches the copies."""
    x, w = Value(0.5), Value(2.0)
    parts = Graph(w * x).compile([x])
    leaf, copy = pickle.loads(pickle.dumps((w, parts)))
    copy.parameters[0] = 7.0
    copy.store()
    assert (leaf.data, w.data) == (7.0, 2.0)


def test_a_deep_program_is_pickled() -> None:
    """20,000 operations, one upon the other, with two roots."""
    x, w = Value(0.5), Value(0.999_99)
    y = x
    for _ in range(10_000):
        y = w * y + 1e-6
    parts = Graph(y, y * x).compile([x])
    copy = pickle.loads(pickle.dumps(parts))
    assert len(copy.nodes) > 30_000
    values, grads = copy(0.5)
    geometric = 0.5 * 0.999_99**10_000 + 1e-6 * (1 - 0.999_99**10_000) / (1 - 0.999_99)
    assert values == pytest.approx((geometric, geometric * 0.5), rel=1e-9)
    assert grads.tolist() == parts(0.5)[1].tolist()


def define_cube() -> Operation:
    return Operation("cubed", lambda x: x * x * x, (lambda x, z: 3.0 * x * x,))


@pytest.mark.usefixtures("small_pieces")
def test_rows_of_a_user_must_be_defined_where_they_are_run(executors: dict[str, Executor], client: Client) -> None:
    """Else the error says so, and no worker dies of it."""
    x, w = Value(1.0), Value(2.0)
    try:
        parts = Graph(define_cube()(w * x)).compile([x])
    finally:
        cube = table.pop("cubed")
    rows = np.linspace(0.0, 1.0, 30).reshape(30, 1)
    with pytest.raises(TypeError, match="another row of that name has replaced it"):
        parts.batch(rows, executor=executors["processes"])
    table["cubed"] = cube
    try:
        for name in ("processes", "dask"):
            with pytest.raises(LookupError, match="operation 'cubed' is not defined here: define it before unpickling"):
                parts.batch(rows, executor=executors[name])
        client.run(define_cube)
        loss, grads = parts.batch(rows, executor=executors["dask"])
    finally:
        del table["cubed"]
    assert loss == pytest.approx(((2.0 * rows) ** 3).sum(), rel=1e-12)
    assert grads == pytest.approx([(3.0 * 4.0 * rows**3).sum()], rel=1e-12)
    assert executors["processes"].submit(os.getpid).result() != os.getpid()


# The example.


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("given", [False, True])
def test_the_example(
    given: bool, client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In small, with workers of its own and at an address."""
    monkeypatch.setattr(example, "EXAMPLES", 100)
    monkeypatch.setattr(example, "STEPS", 40)
    example.main(*[client.scheduler_info()["address"]] * given)
    printed = capsys.readouterr().out
    difference, accuracy = re.search(r"differ by (\S+) of", printed), re.search(r"not seen: (\S+)", printed)
    assert "2 workers, 100 examples" in printed
    assert "step  40: loss" in printed
    assert difference is not None
    assert accuracy is not None
    assert float(difference[1]) <= 1e-12
    assert float(accuracy[1]) >= 0.9


def test_the_example_says_what_to_install() -> None:
    """Where there is no Dask."""
    script = "import sys; sys.modules['dask'] = None; import examples.cluster"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert "pip install 'gradgraph[fast,distributed]'" in done.stderr
    assert "Traceback" not in done.stderr
