"""What arguments must be, said in one way everywhere."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any, SupportsIndex

from autograd.operations import real


class CompileError(ValueError):
    """Why a training does not run on programs."""


def whole(name: str, given: Any, least: int = 1) -> int:
    """A whole number of at least ``least``.

    >>> whole("epochs", 0)
    Traceback (most recent call last):
    ValueError: epochs must be a whole number of at least 1, not 0
    """
    if not isinstance(given, SupportsIndex) or isinstance(given, bool) or int(given) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {given!r}")
    return int(given)


def positive(name: str, given: Any, *, or_zero: bool = False) -> float:
    """A finite number above 0.

    >>> positive("lr", -1.0)
    Traceback (most recent call last):
    ValueError: lr must be positive, not -1.0
    """
    x = real(given, name)
    if not (0.0 < x < math.inf or (or_zero and x == 0.0)):
        raise ValueError(f"{name} must be {'0 or ' if or_zero else ''}positive, not {given!r}")
    return x


def nearest(name: str, names: Iterable[str]) -> str:
    """How an error about an unknown name ends: with the one that was probably meant, or with all.

    >>> nearest("ReLU", ["relu", "tanh"])
    "; did you mean 'relu'?"
    """
    names = list(names)
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; choose from {', '.join(map(repr, names))}"
