"""What is recorded, under which name, and who is told of it: the blocks that a program opens around operations."""

from __future__ import annotations

import copy
import functools
import operator
import weakref
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar, copy_context
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

from autograd.operations import printable

P = ParamSpec("P")
R = TypeVar("R")

recording: ContextVar[bool] = ContextVar("recording", default=True)
scope: ContextVar[str] = ContextVar("scope", default="")
infinite: ContextVar[bool] = ContextVar("infinite", default=False)
taken: ContextVar[tuple[list[Comparison], ...]] = ContextVar("taken", default=())
made: ContextVar[set[Any] | None] = ContextVar("made", default=None)

# Which blocks are open, in all threads together.  While there is none, which is nearly always, an operation
# need not ask for its context.  They are held weakly: one that Ctrl-C has left open is gone with its frame.
no_grad_blocks: set[Any] = set()  # and blocks that want to know of every node
scope_blocks: set[Any] = set()
comparison_blocks: set[Any] = set()


def contained(f: Callable[P, R]) -> Callable[P, R]:
    """f in a context of its own: the blocks that Ctrl-C leaves open in it are gone with it."""

    @functools.wraps(f)
    def run(*args: P.args, **named: P.kwargs) -> R:
        return copy_context().run(f, *args, **named)

    return run


class _Block(ContextDecorator):
    """A block in which a context variable has another value.

    Not a generator: what Ctrl-C leaves half open would be closed later, in a context that is not its own.
    """

    def __init__(self, variable: ContextVar[Any], value: Any) -> None:
        self._variable, self._value = variable, value

    def _recreate_cm(self) -> Self:
        return copy.copy(self)  # for every call of a function that it decorates

    def _entered(self) -> Any:
        return self._value

    def __enter__(self) -> Any:
        self._token = self._variable.set(self._entered())

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._token)


class _Listed(_Block):
    """A block that is listed while it is open."""

    _open: set[Any]

    def __enter__(self) -> Any:
        super().__enter__()
        self._open.add(weakref.ref(self, self._open.discard))

    def __exit__(self, *_: object) -> None:
        self._open.discard(weakref.ref(self))
        super().__exit__()


class no_grad(_Listed):  # noqa: N801  # as PyTorch's
    """A block, or a decorated function, in which nothing is recorded: results are constants.

    >>> from autograd import Value, no_grad
    >>> x = Value(2.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y
    Constant(data=4.0)
    """

    _open = no_grad_blocks

    def __new__(cls, f: Any = None) -> Any:
        """A block; or f itself, decorated without brackets."""
        return super().__new__(cls) if f is None else cls()(f)

    def __init__(self) -> None:
        super().__init__(recording, False)


class name_scope(_Listed):  # noqa: N801  # as TensorFlow's
    """A block whose nodes belong together, such as a layer; scopes nest with a dot.

    >>> from autograd import Value, name_scope
    >>> with name_scope("hidden"), name_scope("unit1"):
    ...     x = Value(2.0)
    >>> x.scope
    'hidden.unit1'
    """

    _open = scope_blocks

    def __init__(self, name: str) -> None:
        super().__init__(scope, name)

    def _entered(self) -> str:
        outer = scope.get() if scope_blocks else ""  # and not what a block that was left open has set
        return f"{outer}.{self._value}" if outer else self._value


class Comparison(NamedTuple):
    """A place where a function of Values may branch: a comparison, or a number that it has read.

    Attributes:
        name: "<", "<=", ">", ">=", "bool"; or "data" for a number taken out of the graph.
        x: the Value on the left.
        y: the Value or number on the right; None for "bool" and "data".
        outcome: what the comparison said; the number that was read.
    """

    name: str
    x: Any
    y: Any
    outcome: Any

    def compare(self, x: Any, y: Any) -> Any:
        """What the comparison says of other numbers, or of arrays of them."""
        return COMPARE[self.name](x, y)

    def at(self, x: float, y: float | None) -> str:
        """The comparison in words, with the numbers of its operands."""
        written = {"bool": "bool(u)", "data": "u.data"}.get(self.name)
        right = "v" if hasattr(self.y, "label") else repr(self.y)
        points = [("u", x, self.x)] + ([("v", y, self.y)] if right == "v" else [])
        numbers = [
            f"{name} = {z!r}" + (f' ("{printable(node.label)}")' if node.label else "") for name, z, node in points
        ]
        return ", ".join([written or f"u {self.name} {right}", *numbers])

    def __str__(self) -> str:
        return self.at(self.x._data, getattr(self.y, "_data", self.y))


#: The comparisons by name.
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "bool": lambda x, _: x != 0.0,
    "data": operator.eq,
}


class comparisons(_Listed):  # noqa: N801
    """A block that lists what the Values in it were asked: where a recorded graph might have been another.

    Listed are comparisons and ``bool(x)``; and numbers that left the graph, such as ``x.data``, ``x.grad``,
    ``round(x)``, ``f"{x}"``, ``x.detach()`` and results under ``no_grad``, which are read at ``x.data``.

    >>> from autograd import Value
    >>> x = Value(2.0, label="x")
    >>> with comparisons() as taken:
    ...     y = x * x if x > 0.0 else -x
    >>> print(taken[0], taken[0].outcome)
    u > 0.0, u = 2.0 ("x") True
    """

    _open = comparison_blocks

    def __init__(self) -> None:
        super().__init__(taken, None)

    def _entered(self) -> tuple[list[Comparison], ...]:
        return (*taken.get(), [])

    def __enter__(self) -> list[Comparison]:
        super().__enter__()
        return taken.get()[-1]


def compared(name: str, x: Any, y: Any, outcome: Any) -> None:
    """Tell every block that lists comparisons."""
    for found in taken.get():
        found.append(Comparison(name, x, y, outcome))


class nodes_made(_Listed):  # noqa: N801
    """A block that collects the nodes that operations make in it."""

    _open = no_grad_blocks

    def __init__(self) -> None:
        super().__init__(made, None)

    def _entered(self) -> set[Any]:
        return set()

    def __enter__(self) -> set[Any]:
        super().__enter__()
        found = made.get()
        assert found is not None
        return found


def recorded() -> _Block:
    """A block in which operations are recorded, within ``no_grad`` too."""
    return _Block(recording, True)


def infinities() -> _Block:
    """A block in which operations follow IEEE 754 where Python would raise; for slopes, see ``gradient``."""
    return _Block(infinite, True)
