"""What is recorded, and under which name: the blocks that a program opens around operations."""

from __future__ import annotations

import copy
import threading
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Any, Self

recording: ContextVar[bool] = ContextVar("recording", default=True)
scope: ContextVar[str] = ContextVar("scope", default="")
infinite: ContextVar[bool] = ContextVar("infinite", default=False)

# How many blocks are open, in all threads together.  While there is none, which is nearly always,
# an operation need not ask for its context.
no_grad_blocks = 0
scope_blocks = 0
_counting = threading.Lock()


class _Block(ContextDecorator):
    """A block in which a context variable has another value.

    Not a generator: what Ctrl-C leaves half open would be closed later, in a context that is not its own.
    """

    def __init__(self, variable: ContextVar[Any], value: Any) -> None:
        self._variable, self._value = variable, value

    def _recreate_cm(self) -> Self:
        return copy.copy(self)  # for every call of a function that it decorates

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._token)


class no_grad(_Block):  # noqa: N801  # as PyTorch's
    """A block, or a decorated function, in which nothing is recorded: results are constants.

    >>> from autograd import Value, no_grad
    >>> x = Value(2.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y
    Constant(data=4.0)
    """

    def __init__(self) -> None:
        super().__init__(recording, False)

    def __enter__(self) -> None:
        global no_grad_blocks
        super().__enter__()
        with _counting:
            no_grad_blocks += 1

    def __exit__(self, *_: object) -> None:
        global no_grad_blocks
        with _counting:
            no_grad_blocks -= 1
        super().__exit__()


class name_scope(_Block):  # noqa: N801  # as TensorFlow's
    """A block whose nodes belong together, such as a layer; scopes nest with a dot.

    >>> from autograd import Value, name_scope
    >>> with name_scope("hidden"), name_scope("unit1"):
    ...     x = Value(2.0)
    >>> x.scope
    'hidden.unit1'
    """

    def __init__(self, name: str) -> None:
        super().__init__(scope, name)

    def __enter__(self) -> None:
        global scope_blocks
        outer = scope.get()
        self._token = scope.set(f"{outer}.{self._value}" if outer else self._value)
        with _counting:
            scope_blocks += 1

    def __exit__(self, *_: object) -> None:
        global scope_blocks
        with _counting:
            scope_blocks -= 1
        super().__exit__()


def recorded() -> _Block:
    """A block in which operations are recorded, within ``no_grad`` too."""
    return _Block(recording, True)


def infinities() -> _Block:
    """A block in which operations follow IEEE 754 where Python would raise; for slopes, see ``gradient``."""
    return _Block(infinite, True)
