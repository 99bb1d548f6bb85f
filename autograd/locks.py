"""Locks between threads that a forked process finds free."""

from __future__ import annotations

import os
from _thread import RLock


class Lock(RLock):  # type: ignore[misc]  # final to type checkers only
    """A reentrant lock that Ctrl-C leaves either held by its block or free.

    From Python 3.14 on, an interrupt may come after ``__enter__`` has been called and before its block is
    entered; but not between two instructions that are no calls.
    """

    def __enter__(self) -> bool:  # type: ignore[override]  # there it is acquire, with its arguments
        [held] = map(self.acquire, [True])
        return held


def shared() -> Lock:
    """A lock. A fork waits for it, or the child would wait for a thread that only its parent has."""
    lock = Lock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


#: For programs, which are made and compiled one at a time.
making = shared()
