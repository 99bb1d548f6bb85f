"""Locks between threads that a forked process finds free."""

from __future__ import annotations

import os
import threading
from typing import Any


def shared() -> Any:
    """A reentrant lock. A fork waits for it, or the child would wait for a thread that only its parent has."""
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


#: For programs, which are made and compiled one at a time.
making = shared()
