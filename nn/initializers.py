"""Where weights start: each initialiser draws one weight, given the neuron's fan-in and fan-out."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

# fmt: off
__all__ = [
    "constant", "fan_in", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "kaiming_normal",
    "kaiming_uniform", "normal", "uniform", "xavier_normal", "xavier_uniform", "zeros",
]
# fmt: on


def __dir__() -> list[str]:
    return __all__


#: Draws a weight of a layer with ``nin`` inputs and ``nout`` outputs.
Initializer = Callable[[random.Random, int, int], float]


def uniform(low: float = -1.0, high: float = 1.0) -> Initializer:
    """U(low, high), as in Rumelhart's experiments and in micrograd.

    >>> uniform(0.5, 0.5)(random.Random(0), 4, 3)
    0.5
    """
    return lambda rng, nin, nout: rng.uniform(low, high)


def normal(std: float = 1.0, mean: float = 0.0) -> Initializer:
    """N(mean, std²).

    >>> normal(0.0, mean=2.0)(random.Random(0), 4, 3)
    2.0
    """
    return lambda rng, nin, nout: rng.gauss(mean, std)


def constant(value: float) -> Initializer:
    """The same for all: a small positive one for biases keeps ReLUs from starting dead.

    >>> constant(0.01)(random.Random(0), 4, 3)
    0.01
    """
    return lambda rng, nin, nout: value


zeros = constant(0.0)


def fan_in(rng: random.Random, nin: int, nout: int) -> float:
    """U(±1/√nin), PyTorch's default for a linear layer.

    >>> abs(fan_in(random.Random(0), 4, 3)) <= 0.5
    True
    """
    return rng.uniform(-1.0, 1.0) / math.sqrt(nin)


def xavier_uniform(rng: random.Random, nin: int, nout: int) -> float:
    """U(±√(6/(nin + nout))): keeps the variance of signals and gradients (Glorot & Bengio 2010, eq. 16).

    >>> abs(xavier_uniform(random.Random(0), 4, 2)) <= 1.0
    True
    """
    return rng.uniform(-1.0, 1.0) * math.sqrt(6.0 / (nin + nout))


def xavier_normal(rng: random.Random, nin: int, nout: int) -> float:
    """N(0, 2/(nin + nout)) (Glorot & Bengio 2010, eq. 12).

    >>> xavier_normal(random.Random(0), 1, 1) == random.Random(0).gauss(0.0, 1.0)
    True
    """
    return rng.gauss(0.0, 1.0) * math.sqrt(2.0 / (nin + nout))


def kaiming_uniform(rng: random.Random, nin: int, nout: int) -> float:
    """U(±√(6/nin)): the variance of the signals through ReLUs stays (He et al. 2015, eq. 10).

    >>> abs(kaiming_uniform(random.Random(0), 6, 3)) <= 1.0
    True
    """
    return rng.uniform(-1.0, 1.0) * math.sqrt(6.0 / nin)


def kaiming_normal(rng: random.Random, nin: int, nout: int) -> float:
    """N(0, 2/nin) (He et al. 2015, eq. 10).

    >>> kaiming_normal(random.Random(0), 2, 9) == random.Random(0).gauss(0.0, 1.0)
    True
    """
    return rng.gauss(0.0, 1.0) * math.sqrt(2.0 / nin)


# Each pair is also known by the other author's name.
glorot_uniform, glorot_normal = xavier_uniform, xavier_normal
he_uniform, he_normal = kaiming_uniform, kaiming_normal
