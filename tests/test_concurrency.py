"""Threads, tasks and processes: each sees its own blocks, shares what it may, and never waits for nobody."""

import asyncio
import copy
import multiprocessing
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autograd import Graph, Value, gradient, jit, name_scope, no_grad
from autograd.algorithms import topological_order
from nn import MLP, SGD, fit, half_squared_error
from viz import draw, explain, tree

ROOT = Path(__file__).parent.parent
fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


@pytest.fixture(autouse=True)
def _hurried() -> Any:
    """Threads take turns very often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], Any], count: int = 8) -> list[Any]:
    """What the work gives in so many threads, which start at the same time."""
    together = threading.Barrier(count)

    def run(i: int) -> Any:
        together.wait()
        return work(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def random_dag(seed: int) -> Value:
    """Each node of two that were there before."""
    rng = random.Random(seed)
    nodes = [Value(rng.uniform(-1.0, 1.0)) for _ in range(5)]
    for _ in range(200):
        x, y = rng.choice(nodes[-20:]), rng.choice(nodes)
        nodes.append(rng.choice([x + y, x * y, (x - y).tanh(), x * 0.5]))
    return nodes[-1]


def own(seed: int) -> list[Any]:
    """Everything about graphs of one's own: recording, both passes, blocks, derivatives, training."""
    found: list[Any] = []
    for part in range(3):
        y = random_dag(seed * 100 + part)
        y.backward()
        nodes = topological_order(y)
        found.append([(node.data, node.grad, node.partials) for node in nodes])
        graph = Graph(y)
        graph.forward({graph.leaves[0]: graph.leaves[0].data})
        found.append([node.data for node in nodes])
        with name_scope(f"thread{seed}"):
            x = Value(0.5) * seed
            with no_grad():
                constant = x * 2.0
        found.append((x.scope, (x * x).scope, type(constant).__name__, len(constant.parents)))
    model = MLP(2, [3, 1], activation="tanh", seed=seed)
    data = [([0.1 * i, 0.2], 0.3 * i) for i in range(4)]
    history = fit(model, half_squared_error, data, SGD(model.parameters(), lr=0.1), epochs=2, progress=False)
    (slope,) = gradient((x * x).tanh(), [x])
    return [*found, history.losses, model.state_dict(), slope.data]


def test_threads_with_graphs_of_their_own() -> None:
    """Eight find what one after the other finds, to the bit; each has its own scopes and ``no_grad``."""
    assert in_threads(own) == [own(seed) for seed in range(8)]


def shared() -> Value:
    """A graph for all."""
    a, b = Value(0.5, label="a"), Value(-1.5, label="b")
    y = a
    for _ in range(30):
        y = (y * b + a).tanh()
    return y


def test_threads_that_read_one_graph() -> None:
    """Pictures, formulas, texts, programs and derivatives of one graph, by all at the same time."""
    y = shared()
    y.backward()
    graph = Graph(y)
    a, b = graph.leaves
    programs = [graph.compile([a], [a, b], backend=backend) for backend in ("source", "llvm")]
    fast = jit(lambda x: (x * b).tanh() if x > 0.0 else x * a)

    def read(_: int) -> list[Any]:
        return [
            draw(y).source,
            tree(y, width=80),
            str(explain(y, b)),
            [str(step) for step in graph.steps()],
            graph.path_count(y, a),
            repr(graph),
            [dy.data for dy in gradient(y, [a, b])],
            *[(program(0.25)[0], program(0.25)[1].tolist()) for program in programs],
            *[program.batch([[0.1 * i] for i in range(50)])[1].tolist() for program in programs],
            [fast(0.1 * i - 0.4) for i in range(8)],
        ]

    alone = read(0)
    assert in_threads(read) == [alone] * 8


def test_threads_that_differentiate_one_graph() -> None:
    """Passes wait for each other: of 8 × 25 and as many by another root, none is lost; nor is a clearing one half."""
    y = shared()
    z, nodes = y * 2.0, topological_order(y)
    y.backward()
    once = [node.grad for node in nodes]
    y.zero_grad()

    def work(i: int) -> None:
        for _ in range(25):
            (y if i % 2 else z).backward()

    in_threads(work)
    assert [node.grad for node in nodes] == pytest.approx([300.0 * g for g in once], rel=1e-12)

    def clear(i: int) -> None:
        for _ in range(25):
            y.backward() if i % 2 else y.zero_grad()

    in_threads(clear)
    times = {round(node.grad / g, 6) for node, g in zip(nodes, once, strict=True) if g}
    assert len(times) == 1


def test_tasks_see_their_own_blocks() -> None:
    """Tasks that take turns within ``name_scope`` and ``no_grad`` do not mix them; a child has those of its parent."""

    async def work(i: int) -> list[Any]:
        seen: list[Any] = []
        for _ in range(5):
            with name_scope(f"task{i}"):
                x = Value(2.0)
                await asyncio.sleep(0)
                y = x * x
                seen.append((x.scope, y.scope, type(y).__name__))
                if i % 2:
                    with no_grad():
                        await asyncio.sleep(0)
                        seen.append(type(x * x).__name__)
                        seen.append(await asyncio.create_task(child(x)))
            await asyncio.sleep(0)
            seen.append(((x * x).scope, type(x * x).__name__))
            y.backward()
            seen.append(x.grad)
        return seen

    async def child(x: Value) -> tuple[str, str]:
        await asyncio.sleep(0)
        return (x * x).scope, type(x * x).__name__

    async def together() -> list[Any]:
        return [*await asyncio.gather(*[work(i) for i in range(6)])]

    async def threads() -> list[Any]:
        with name_scope("outer"):
            return [*await asyncio.gather(*[asyncio.to_thread(lambda: Value(1.0).scope) for _ in range(3)])]

    for i, seen in enumerate(asyncio.run(together())):
        scope = f"task{i}"
        inside = ["Constant", (scope, "Constant")] if i % 2 else []
        assert seen == [(scope, scope, "Value"), *inside, ("", "Value"), 4.0] * 5
    assert asyncio.run(threads()) == ["outer"] * 3  # which asyncio gives their caller's context


@fork
@pytest.mark.parametrize("lock", ["algorithms._one_sweep_at_a_time", "locks.making", "jit._keeping"])
def test_a_child_finds_every_lock_free(lock: str) -> None:
    """Forked while another thread of its parent holds it: the child records, differentiates, compiles and jits."""
    code = f"""
import importlib, os, signal, threading
from autograd import Graph, Value, distribution, jit
import pickle, zlib
module, name = {lock!r}.split(".")
lock = getattr(importlib.import_module("autograd." + module), name)
x = Value(2.0)
program = Graph(x * x).compile([x], [x])
pickled, fast = distribution._pickled(program), jit(lambda x: x * x if x > 0.0 else -x)
held, done = threading.Event(), threading.Event()
def holding():
    with lock:
        held.set()
        done.wait(0.3)
thread = threading.Thread(target=holding)
thread.start()
held.wait()
if not (child := os.fork()):
    signal.alarm(30)
    y = x * x
    y.backward()
    y.zero_grad()
    right = [distribution._arrived(pickled)(3.0)[0], program(3.0)[0], fast(3.0), fast(-3.0)] == [9.0, 9.0, 9.0, 3.0]
    other = threading.Thread(target=y.backward)
    other.start()
    other.join()
    os._exit(not right or x.grad != 4.0)
thread.join()
assert (x * x).backward() is None and fast(-2.0) == 2.0 and program(2.0)[0] == 4.0
raise SystemExit(os.waitpid(child, 0)[1])
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, timeout=60).returncode == 0


@fork
def test_children_of_busy_threads() -> None:
    """Forked again and again while threads differentiate, compile and jit: every child can do all of it."""
    pytest.importorskip("llvmlite")
    code = """
import os, signal, threading
from tests.test_concurrency import everything
stop = threading.Event()
def busy(i):
    while not stop.is_set():
        everything(i)
right = everything(0)
threads = [threading.Thread(target=busy, args=(i,)) for i in range(4)]
[thread.start() for thread in threads]
failed = 0
for i in range(12):
    if not (child := os.fork()):
        signal.alarm(30)
        os._exit(everything(0) != right)
    failed += os.waitpid(child, 0)[1] != 0
stop.set()
[thread.join() for thread in threads]
raise SystemExit(failed)
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, timeout=200).returncode == 0


def everything(i: int) -> list[float]:
    """A graph, its derivatives, a program that has to be compiled, and a function with two branches."""
    x, w = Value(0.5 + i), Value(1.5)
    y = w * x
    for _ in range(3 + i):
        y = (y * w + x).tanh()
    y.backward()
    value, grads = Graph(y).compile([x], [w])(0.5 + i)
    fast = jit(lambda x: (x * w).tanh() if x > 0.0 else x)
    return [y.data, w.grad, float(value), float(grads[0]), fast(1.0), fast(-1.0)]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes(method: str) -> None:
    """Graphs, networks and programs go to processes of every kind and come back; batches are run there."""
    y = shared()
    y.backward()
    model = MLP(2, [3, 1], activation="leaky_relu(0.2)", seed=1)
    x, w = Value(0.0), Value(1.5)
    program = Graph(w * x * x).compile([x], [w])
    doubled, *_ = travelled(y, copy.deepcopy(model), program)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert list(pool.map(everything, range(3))) == [everything(i) for i in range(3)]
        moved, z, again = pool.submit(travelled, y, model, program).result()
    assert [(n.data, n.grad) for n in Graph(z)] == [(n.data, n.grad) for n in Graph(y)]
    assert moved([0.5, -0.25]).data == pytest.approx(doubled([0.5, -0.25]).data)
    assert moved.state_dict() == {name: 2.0 * p for name, p in model.state_dict().items()}
    assert (again(3.0)[0], again(3.0)[1].tolist()) == (13.5, [9.0])


def travelled(y: Value, model: MLP, program: Any) -> tuple[MLP, Value, Any]:
    """What a process does with what it has been given."""
    for p in model.parameters():
        p.data *= 2.0
    assert program(2.0)[0] == 6.0
    return model, y, program
