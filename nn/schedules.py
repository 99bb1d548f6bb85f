"""How the learning rate changes: each schedule gives the factor of the initial rate in epoch t, from 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from nn.checks import positive, whole

__all__ = ["constant", "cosine", "exponential", "linear", "step"]


def __dir__() -> list[str]:
    return __all__


Schedule = Callable[[int], float]


def constant() -> Schedule:
    """Always 1, as without a schedule.

    >>> [constant()(t) for t in range(3)]
    [1.0, 1.0, 1.0]
    """
    return lambda t: 1.0


def step(size: int, gamma: float = 0.1) -> Schedule:
    """Times γ after every ``size`` epochs.

    >>> [step(2, 0.5)(t) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    whole("size", size)
    positive("gamma", gamma)
    return lambda t: gamma ** (t // size)


def exponential(gamma: float) -> Schedule:
    """γᵗ.

    >>> [exponential(0.5)(t) for t in range(3)]
    [1.0, 0.5, 0.25]
    """
    positive("gamma", gamma)
    return lambda t: gamma**t


def cosine(total: int) -> Schedule:
    """½(1 + cos πt/T), down to 0 at T (Loshchilov & Hutter 2017, eq. 5).

    >>> [round(cosine(4)(t), 4) for t in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """
    whole("total", total)
    return lambda t: 0.5 * (1.0 + math.cos(math.pi * min(t, total) / total))


def linear(total: int, end: float = 0.0) -> Schedule:
    """From 1 to ``end`` in T epochs, in a straight line.

    >>> [linear(4, 0.5)(t) for t in (0, 2, 4, 9)]
    [1.0, 0.75, 0.5, 0.5]
    """
    whole("total", total)
    positive("end", end, or_zero=True)
    return lambda t: 1.0 + (end - 1.0) * min(t, total) / total
