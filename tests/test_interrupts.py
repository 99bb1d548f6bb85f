"""Ctrl-C at random points: whatever is interrupted has happened as a whole or not at all, and no lock stays behind."""

import ast
import dis
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from autograd import Graph, Value, tanh
from autograd.algorithms import topological_order

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")


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


def test_backward_and_zero_grad() -> None:
    """All grads are the old ones or the new ones, and other threads can go on."""
    y, rng = network(), random.Random(0)
    order = topological_order(y)
    y.backward()
    right = [node.grad for node in order]
    seconds = duration(y.backward)
    hits = 0
    for _ in range(300):
        times = rng.choice([0, 1])
        y.zero_grad()
        if times:
            y.backward()
        hits += interrupted(y.backward, rng.uniform(0.0, 1.3 * seconds))
        assert [node.grad for node in order] in ([times * g for g in right], [(times + 1) * g for g in right])
        interrupted(y.zero_grad, rng.uniform(0.0, 0.3 * seconds))
        assert len({node.has_grad for node in order}) == 1
    assert hits > 50
    assert other_thread(lambda: Graph(network()).backward()) is None


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
