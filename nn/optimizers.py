"""How parameters follow their gradients."""

from __future__ import annotations

from collections.abc import Iterable

from autograd import Value
from autograd.algorithms import assign


class SGD:
    """Stochastic gradient descent with momentum, as PyTorch defines it.

        g ← ∂L/∂p + λp
        Δ ← μΔ + g
        p ← p − ηΔ          (Nesterov: p ← p − η(g + μΔ))

    Args:
        params: the parameters.
        lr: the learning rate η.
        momentum: μ.
        nesterov: whether to look ahead by one step of momentum.
        weight_decay: λ.

    Raises:
        ValueError: if a rate is out of range, or there is nothing to train.

    >>> p = Value(1.0)
    >>> optimizer = SGD([p], lr=0.1)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> p.data
    0.8
    """

    def __init__(
        self,
        params: Iterable[Value],
        lr: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.params = list(params)
        if not self.params:
            raise ValueError("SGD needs at least one parameter")
        if not lr > 0.0:
            raise ValueError(f"lr must be positive, not {lr!r}")
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum must be in [0, 1), not {momentum!r}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay must not be negative, but is {weight_decay!r}")
        if nesterov and not momentum:
            raise ValueError("nesterov looks ahead by the momentum, and momentum is 0")
        self.lr, self.momentum, self.nesterov, self.weight_decay = lr, momentum, nesterov, weight_decay
        self._velocity = [0.0] * len(self.params)

    def step(self) -> None:
        """Move every parameter once, or none if a number overflows on the way."""
        gradients = [p.grad + self.weight_decay * p.data for p in self.params]
        velocity = [self.momentum * v + g for v, g in zip(self._velocity, gradients, strict=True)]
        ahead = velocity
        if self.nesterov:
            ahead = [g + self.momentum * v for g, v in zip(gradients, velocity, strict=True)]
        moved = [p.data - self.lr * v for p, v in zip(self.params, ahead, strict=True)]
        assign(self.params, "data", moved)
        self._velocity = velocity

    def zero_grad(self) -> None:
        """Forget the ``grad`` of every parameter."""
        for p in self.params:
            p.zero_grad()
