"""Ctrl-C at random points: whatever is interrupted has happened as a whole or not at all, and no lock stays behind."""

import ast
import dis
import itertools
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import nn
import viz
from autograd import Graph, Program, Value, context, grad, hessian, jit, tanh
from autograd import operations as ops
from autograd.algorithms import topological_order
from autograd.locks import shared
from nn import MLP, SGD, cross_entropy, fit, half_squared_error

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer"),
    # One that comes within a finalizer is told of and goes no further: Python has it so.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def alarms() -> Iterator[None]:
    """An alarm is a Ctrl-C."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


def duration(work: Callable[[], object]) -> float:
    """How long it takes without an interrupt, at best."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def attempts(count: int, enough: Callable[[], bool]) -> Iterator[int]:
    """So many, and as many more as it takes: a busy machine may be faster now than when it was measured."""
    for i in range(20 * count):
        if i >= count and enough():
            return
        yield i


def interrupted(work: Callable[[], object], seconds: float) -> bool:
    """Whether an interrupt after so many seconds came while the work was being done."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        work()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    except KeyboardInterrupt:
        return True
    return False


def other_thread(work: Callable[[], Any]) -> Any:
    """What the work gives in another thread, which would wait for ever for a lock that was left behind."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(20.0)
    assert found, "another thread waits for a lock"
    return found[0]


def network() -> Value:
    """Mostly leaves, and nodes that no gradient reaches: what a pass does least for."""
    dead, y = Value(-1.0), Value(0.5)
    for _ in range(300):
        y = tanh(y * Value(-1.5) + Value(0.5)) + dead.relu() * Value(1.0)
    return y


def test_a_lock_is_held_by_its_block_or_free() -> None:
    """CPython 3.14 may leave one of the standard library's behind, before its block is entered."""
    lock = shared()

    def held() -> bool:
        with lock:
            return True

    def in_and_out() -> None:
        while held():
            pass

    for _ in range(200):
        assert interrupted(in_and_out, 1e-4)
    assert other_thread(held)


def test_backward_and_zero_grad() -> None:
    """All grads are the old ones or the new ones, and other threads can go on."""
    y, rng = network(), random.Random(0)
    order = topological_order(y)
    y.backward()
    right = [node.grad for node in order]
    seconds = duration(y.backward)
    hits: list[bool] = []
    for _ in attempts(300, lambda: sum(hits) > 50):
        times = rng.choice([0, 1])
        y.zero_grad()
        if times:
            y.backward()
        hits.append(interrupted(y.backward, rng.uniform(0.0, 1.3 * seconds)))
        assert [node.grad for node in order] in ([times * g for g in right], [(times + 1) * g for g in right])
        interrupted(y.zero_grad, rng.uniform(0.0, 0.3 * seconds))
        assert len({node.has_grad for node in order}) == 1
    assert sum(hits) > 50
    assert other_thread(lambda: Graph(network()).backward()) is None


def test_forward() -> None:
    """Data and partials are all old or all new, the leaf that was given included."""
    y, rng = network(), random.Random(1)
    graph = Graph(y)
    leaf = graph.leaves[0]

    def numbers() -> list[Any]:
        return [(node.data, node.partials) for node in graph]

    def work(x: float) -> None:
        graph.forward({leaf: x})

    states = []
    for x in (0.25, 0.5):
        work(x)
        states.append(numbers())
    seconds = duration(lambda: work(0.5))
    hits: list[bool] = []
    for i in attempts(100, lambda: sum(hits) > 20):
        hits.append(interrupted(lambda i=i: work((0.25, 0.5)[i % 2]), rng.uniform(0.0, 1.3 * seconds)))  # type: ignore[misc]
        assert numbers() in states
    assert sum(hits) > 20


XOR = [([a, b], int(a != b)) for a in (0.0, 1.0) for b in (0.0, 1.0)]


class Steps(SGD):
    """Remembers where each step led to."""

    def step(self) -> None:
        """One more."""
        super().step()
        self.states = [*getattr(self, "states", []), numbers_of(self)]


def numbers_of(optimizer: SGD) -> list[float]:
    """The parameters and what the optimiser keeps for each."""
    return [*(p.data for p in optimizer.params), *optimizer.state_dict()["velocity"]]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("file", [False, True])
def test_fit(compiled: bool, file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole number of steps is taken, by parameters and optimiser; a checkpoint leads to the same end."""
    path, rng = tmp_path / "checkpoint.json", random.Random(2)

    def prepared(kind: type[SGD] = SGD, compiled: bool = compiled) -> tuple[SGD, Callable[[], object]]:
        model = MLP(2, [3, 2], activation="tanh", seed=0)
        optimizer = kind(model.parameters(), lr=0.3, momentum=0.9)
        options: dict[str, Any] = {"checkpoint": path, "progress": True} if file else {"progress": False}
        options |= {"epochs": 4, "batch_size": 2, "schedule": lambda epoch: 0.9**epoch, "compiled": compiled}
        return optimizer, lambda: fit(model, cross_entropy, XOR, optimizer, **options)

    def whole() -> None:
        path.unlink(missing_ok=True)
        prepared()[1]()

    steps, train = prepared(Steps, compiled=False)
    states = [numbers_of(steps)]
    train()
    states += steps.states  # type: ignore[attr-defined]
    seconds, reached = duration(whole), set[int]()
    for _ in attempts(30, lambda: len(reached) > 2):
        path.unlink(missing_ok=True)
        optimizer, train = prepared()
        interrupted(train, rng.uniform(0.0, seconds))
        signal.setitimer(signal.ITIMER_REAL, 0.0)  # it may have come to nothing
        (step,) = [i for i, x in enumerate(states) if numbers_of(optimizer) == pytest.approx(x, rel=1e-9, abs=1e-12)]
        reached.add(step)
        assert optimizer.lr == 0.3
        if file:
            optimizer, train = prepared()
            interrupted(train, rng.uniform(0.0, seconds))  # perhaps within reading the checkpoint
            optimizer, train = prepared()
            train()
            assert numbers_of(optimizer) == pytest.approx(states[-1], rel=1e-9, abs=1e-12)
            assert [held.name for held in tmp_path.iterdir()] == [path.name]
    assert len(reached) > 2
    assert not context.scope_blocks | context.no_grad_blocks | context.comparison_blocks


@pytest.mark.parametrize("write", [nn.save, viz.save], ids=["nn", "viz"])
def test_save(write: Any, tmp_path: Path) -> None:
    """The old file or the new one, and nothing beside it."""
    path, rng = tmp_path / "file.dot", random.Random(3)
    contents = []
    things: list[Any] = [MLP(4, [8, 1], seed=i) for i in range(2)]
    if write is viz.save:
        things = [(Value(2.0) * 3.0).tanh() + x for x in (1.0, 2.0)]
    for thing in things:
        write(thing, path)
        contents.append(path.read_bytes())
    seconds, hits = duration(lambda: write(things[1], path)), list[bool]()
    for i in attempts(100, lambda: sum(hits) > 20):
        hits.append(interrupted(lambda i=i: write(things[i % 2], path), rng.uniform(0.0, 1.2 * seconds)))  # type: ignore[misc]
        assert path.read_bytes() in contents
        assert len([*tmp_path.iterdir()]) == 1
        assert not context.scope.get()
    assert sum(hits) > 20


@pytest.mark.parametrize("backend", ["source", "llvm"])
def test_programs(backend: Any) -> None:
    """Interrupted while it is made, compiled or run, for one example or many, the next run is right."""
    rng, hits = random.Random(4), list[bool]()

    def made(i: int) -> tuple[Program, list[float]]:
        x, w = Value(0.5), Value(1.5)
        y = w * x
        for j in range(i):  # a structure of its own for each, or the code would be there already
            y = tanh(y + x) * w if j % 2 else y + w
        y.backward()
        return Graph(y).compile([x], [w], backend=backend), [y.data, w.grad]

    def run(program: Program) -> list[list[float]]:
        one, many = program(0.5), program.batch([[0.5]])
        return [[float(value), float(grad[0])] for value, grad in (one, many)]

    seconds = min(duration(lambda i=i: run(made(100 + i)[0])) for i in range(2))  # type: ignore[misc]
    for i in attempts(40, lambda: sum(hits) > 20):
        hits.append(interrupted(lambda i=i: run(made(i)[0]), rng.uniform(0.0, seconds)))  # type: ignore[misc]
        program, right = made(i)
        hits.append(interrupted(lambda: run(program), rng.uniform(0.0, 0.3 * seconds)))  # noqa: B023
        assert run(program) == [pytest.approx(right, rel=1e-12)] * 2
    assert sum(hits) > 20
    assert other_thread(lambda: run(made(200)[0])) == [pytest.approx(made(200)[1], rel=1e-12)] * 2


def test_functions() -> None:
    """Of jit and of derivatives: no recording stays open, and the next call is right, in other threads too."""
    rng = random.Random(5)

    def f(x: Any, y: Any) -> Any:
        z = x
        for _ in range(10):
            z = tanh(z * y + x) if z < 0.7 else z * y
        return z

    def work() -> tuple[Any, ...]:
        fast = jit(f)
        return fast(0.5, 1.5), fast.value_and_grad(0.9, 0.5), grad(f)(0.5, 1.5), hessian(lambda v: f(*v))([0.5, 1.5])

    right, seconds = work(), duration(work)
    fast = jit(f)
    for _ in range(150):
        interrupted(work, rng.uniform(0.0, seconds))
        interrupted(lambda: fast(rng.random(), 1.5), rng.uniform(0.0, 0.2 * seconds))
        assert fast(0.5, 1.5) == pytest.approx(right[0], rel=1e-12)
        x = Value(2.0)
        assert ((x * x).op, (x * x).scope) == (ops.mul, "")
    assert work() == right
    assert other_thread(work) == right
    assert not context.scope_blocks | context.no_grad_blocks | context.comparison_blocks
    assert not context.recording.get(None)


def uncovered(path: Path) -> list[str]:
    """Loops in a block that must not be left unnoticed, whose jump back CPython has left out of the block."""
    source = path.read_text(encoding="utf-8")
    blocks = [
        (block.body[0].lineno, block.body[-1].end_lineno or 0)
        for block in ast.walk(ast.parse(source))
        if isinstance(block, ast.With)
        or (isinstance(block, ast.Try) and (block.finalbody or "BaseException" in map(_caught, block.handlers)))
    ]
    found = []
    for code in codes(compile(source, str(path), "exec")):
        bytecode = dis.Bytecode(code)
        inside = [(first, last) for first, last in blocks if first > code.co_firstlineno]
        for step in bytecode:
            line = (step.positions and step.positions.lineno) or 0
            covered = any(entry.start <= step.offset < entry.end for entry in bytecode.exception_entries)  # type: ignore[attr-defined]  # since 3.11
            if step.opname.startswith("JUMP_BACKWARD") and not covered:
                found += [f"{path.name}, line {line}" for first, last in inside if first <= line <= last]
    return found


def _caught(handler: ast.ExceptHandler) -> str:
    return ast.unparse(handler.type) if handler.type else "BaseException"


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code and those within it; but not comprehensions, whose caller stands in the block."""
    yield code
    for held in code.co_consts:
        if isinstance(held, CodeType) and held.co_name not in ("<listcomp>", "<genexpr>", "<setcomp>", "<dictcomp>"):
            yield from codes(held)


@pytest.mark.parametrize("package", ["autograd", "nn"])
def test_no_loop_stands_where_an_interrupt_would_pass_a_block_by(package: str) -> None:
    """A jump back looks for signals: where it is not covered, a lock would stay held, or a pass half done."""
    assert [hole for path in sorted((ROOT / package).glob("*.py")) for hole in uncovered(path)] == []


def test_such_loops_are_found(tmp_path: Path) -> None:
    """By the very loops that this library has had; CPython 3.11 covered one of them."""
    path = tmp_path / "module.py"
    path.write_text(
        "def f(order, lock):\n"
        "    with lock:\n"
        "        for node in reversed(order):\n"
        "            if node:\n"
        "                if node.x:\n"
        "                    node.y += 1\n"
        "                elif node.z is not None:\n"
        "                    node.z += 1\n",
        encoding="utf-8",
    )
    assert len(uncovered(path)) > 0 or sys.version_info < (3, 12)


def everywhere(work: Callable[[], object], file: str = "") -> Iterator[None]:
    """Interrupt the work at the first instruction of a file, then at the second, and so on until it ends."""
    countdown = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal countdown
        if not frame.f_code.co_filename.endswith(file):
            return None
        frame.f_trace_opcodes = True  # which early 3.12 leaves at lines
        countdown -= 1
        if not countdown:
            raise KeyboardInterrupt
        return trace

    for after in itertools.count(1):
        countdown, before = after, sys.gettrace()
        with suppress(KeyboardInterrupt):
            try:
                sys.settrace(trace)
                work()
            finally:
                sys.settrace(before)
        yield
        if countdown > 0:
            return


def test_the_text_of_a_network() -> None:
    """Interrupted anywhere, the next text is whole."""
    net = MLP(1, [1], seed=0)
    whole = repr(net)
    texts = [repr(net) for _ in everywhere(lambda: repr(net))]
    assert set(texts) == {whole}
    assert len(texts) > 50


def test_the_rate_of_a_training() -> None:
    """Interrupted anywhere, also while it is put back: it is what it was, whatever the schedule."""
    model = MLP(1, [1], seed=0)
    optimizer = SGD(model.parameters(), lr=0.25)

    def train() -> None:
        data, schedule = [([1.0], 1.0)], lambda epoch: 0.5**epoch
        fit(model, half_squared_error, data, optimizer, epochs=3, schedule=schedule, compiled=False, progress=False)

    rates = [optimizer.lr for _ in everywhere(train, file="training.py")]
    assert set(rates) == {0.25}
    assert len(rates) > 200
