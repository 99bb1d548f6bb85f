"""Adam by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

RATE = 1e-3


class Adam:
    """Kingma & Ba 2015, Algorithm 1, on an array that is changed in place."""

    def __init__(self, parameters: Any) -> None:
        self.parameters, self.m, self.v = parameters, np.zeros_like(parameters), np.zeros_like(parameters)
        self.t = 0

    def step(self, g: Any) -> None:
        """Move the parameters against the gradient."""
        self.t += 1
        self.m += 0.1 * (g - self.m)
        self.v += 0.001 * (g * g - self.v)
        rate, scale = RATE / (1.0 - 0.9**self.t), (1.0 - 0.999**self.t) ** 0.5
        self.parameters -= rate * self.m / (np.sqrt(self.v) / scale + 1e-8)
