"""Batches in pieces: a program run by any ``concurrent.futures.Executor``, by threads, processes or a cluster.

Threads run the very program.  On the way to another process it becomes its pickle, made once, out of which that
process makes a program again, once.  Pickles run what they say: workers have to be trusted, see SECURITY.md.
"""

from __future__ import annotations

import functools
import logging
import pickle
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from autograd import locks

VALUES = 5_000_000  # in a piece, over all its examples: to hand over fewer takes longer than to compute them
PIECES = 64  # of a batch at most, since each costs the same to hand over

_logger = logging.getLogger("autograd")


class Runnable(Protocol):
    """What a batch is run by: a program."""

    @property
    def nodes(self) -> Sequence[Any]:
        """Its graph."""

    def _part(self, parameters: Any, rows: Any, first: int, per_example: bool) -> tuple[Any, Any]: ...


def run(program: Runnable, parameters: Any, rows: Any, per_example: bool, executor: Executor) -> tuple[Any, Any]:
    """What ``program._part`` gives for all rows, found in pieces and added up in their order.

    The pieces depend on the program and the number of rows alone, and so does the result. A batch of one
    piece is run here. Where a worker dies and takes its pool along, what is missing is run here as well.

    Raises:
        TypeError: if there is no executor.
        RuntimeError: if the executor is shut down.
        ArithmeticError, ValueError: as the program does, of the first piece that fails; the others are cancelled.
    """
    import numpy as np

    if not isinstance(executor, Executor):
        raise TypeError(
            "a batch needs a concurrent.futures.Executor, such as a ThreadPoolExecutor or the get_executor() of "
            f"a Dask client, not {type(executor).__name__} {executor!r}"
        )
    size = max(_least(program), -(-len(rows) // PIECES))
    if len(rows) <= size:
        return program._part(parameters, rows, 0, per_example)
    shared = _Shared(program)
    pieces = [(shared, parameters, rows[i : i + size], i, per_example) for i in range(0, len(rows), size)]
    outputs, grads = zip(*_results(pieces, executor), strict=True)
    return np.concatenate(outputs, axis=1) if per_example else np.sum(outputs, axis=0), np.sum(grads, axis=0)


def _least(program: Runnable) -> int:
    """How many examples make a piece at least."""
    return -(-VALUES // len(program.nodes))


def _results(pieces: Sequence[tuple[Any, ...]], executor: Executor) -> list[tuple[Any, Any]]:
    results: list[tuple[Any, Any]] = []
    futures: list[Future[tuple[Any, Any]]] = []
    broken = False
    try:
        for piece in pieces:
            futures.append(_submit(executor, piece))
        for future, piece in zip(futures, pieces, strict=True):
            try:
                results.append(future.result())
            except BrokenExecutor as error:
                if not broken:
                    _logger.warning("the pool is broken, what is missing of the batch is run here: %s", error)
                broken = True
                results.append(_run_piece(*piece))
            except CancelledError:
                raise RuntimeError("the executor has been shut down, or lost its cluster, within a batch") from None
    finally:
        for future in futures:
            future.cancel()  # after an error; those that are done do not mind
    return results


def _submit(executor: Executor, piece: tuple[Any, ...]) -> Future[tuple[Any, Any]]:
    try:
        return executor.submit(_run_piece, *piece)
    except BrokenExecutor as error:  # found dead now rather than later
        future: Future[tuple[Any, Any]] = Future()
        future.set_exception(error)
        return future


def _run_piece(shared: Callable[[], Runnable], *piece: Any) -> tuple[Any, Any]:
    return shared()._part(*piece)


class _Shared:
    """A call gives the program. Pickled, it is a call that gives the program over there.

    Only the call unpickles: an error there, such as a row that is not defined, is one of the piece, and
    does not end the worker.
    """

    def __init__(self, program: Runnable) -> None:
        self.program = program

    def __call__(self) -> Runnable:
        return self.program

    def __reduce__(self) -> Any:
        return functools.partial, (_arrived, _pickled(self.program))


_pickles: WeakKeyDictionary[Runnable, bytes] = WeakKeyDictionary()


def _pickled(program: Runnable) -> bytes:
    if program not in _pickles:
        _pickles[program] = zlib.compress(pickle.dumps(program), level=1)  # a graph shrinks to a third and less
    return _pickles[program]


def _arrived(pickled: bytes) -> Runnable:
    """The program of a pickle; threads that ask at the same time wait for the first."""
    with locks.making:
        return _unpickled(pickled)


@functools.lru_cache(maxsize=8)
def _unpickled(pickled: bytes) -> Runnable:
    program: Runnable = pickle.loads(zlib.decompress(pickled))
    return program
