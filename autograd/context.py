"""What is recorded, and under which name: the blocks that a program opens around operations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

recording: ContextVar[bool] = ContextVar("recording", default=True)
scope: ContextVar[str] = ContextVar("scope", default="")
infinite: ContextVar[bool] = ContextVar("infinite", default=False)

# How many blocks are open, in all threads together.  While there is none, which is nearly always,
# an operation need not ask for its context.
no_grad_blocks = 0
scope_blocks = 0
_counting = threading.Lock()


@contextmanager
def no_grad() -> Iterator[None]:
    """A block, or a decorated function, in which nothing is recorded: results are constants.

    >>> from autograd import Value, no_grad
    >>> x = Value(2.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y
    Constant(data=4.0)
    """
    global no_grad_blocks
    token = recording.set(False)
    with _counting:
        no_grad_blocks += 1
    try:
        yield
    finally:
        with _counting:
            no_grad_blocks -= 1
        recording.reset(token)


@contextmanager
def recorded() -> Iterator[None]:
    """A block in which operations are recorded, within ``no_grad`` too."""
    token = recording.set(True)
    try:
        yield
    finally:
        recording.reset(token)


@contextmanager
def name_scope(name: str) -> Iterator[None]:
    """A block whose nodes belong together, such as a layer; scopes nest with a dot.

    >>> from autograd import Value, name_scope
    >>> with name_scope("hidden"), name_scope("unit1"):
    ...     x = Value(2.0)
    >>> x.scope
    'hidden.unit1'
    """
    global scope_blocks
    outer = scope.get()
    token = scope.set(f"{outer}.{name}" if outer else name)
    with _counting:
        scope_blocks += 1
    try:
        yield
    finally:
        with _counting:
            scope_blocks -= 1
        scope.reset(token)


@contextmanager
def infinities() -> Iterator[None]:
    """A block in which operations follow IEEE 754 where Python would raise; for slopes, see ``gradient``."""
    token = infinite.set(True)
    try:
        yield
    finally:
        infinite.reset(token)
