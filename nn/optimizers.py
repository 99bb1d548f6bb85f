"""How parameters follow their gradients, with PyTorch's definitions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autograd import Value
from autograd.algorithms import assign


class Optimizer(ABC):
    """What optimisers share: parameters p, the learning rate η, and a step that is whole or not at all.

    Args:
        params: the parameters.
        lr: the learning rate η, which a schedule may change.
        weight_decay: λ.
    """

    def __init__(self, params: Iterable[Value], lr: float, *, weight_decay: float = 0.0) -> None:
        self.params = list(params)
        name = type(self).__name__
        if not self.params:
            raise ValueError(f"{name} needs at least one parameter")
        for p in self.params:
            if not isinstance(p, Value):
                raise TypeError(f"{name} needs Values, not {p!r}; for groups, make an optimiser for each")
        self.params = list(dict.fromkeys(self.params))  # one that is given twice moves once
        if not 0.0 < lr < math.inf:
            raise ValueError(f"lr must be positive, not {lr!r}")
        if not 0.0 <= weight_decay < math.inf:
            raise ValueError(f"weight_decay must not be negative, but is {weight_decay!r}")
        self.lr, self.weight_decay = float(lr), weight_decay

    def step(self) -> None:
        """Move every parameter once; Ctrl-C comes before or after."""
        moved = self._moved([p.data for p in self.params], [p.grad for p in self.params])
        assign(self.params, "_data", moved)

    @abstractmethod
    def _moved(self, ps: Sequence[float], gs: Sequence[float]) -> list[float]:
        """Where the parameters go from ps, with gradients gs."""

    def zero_grad(self) -> None:
        """Forget the ``grad`` of every parameter."""
        for p in self.params:
            p.zero_grad()

    #: The attributes that change from step to step.
    _state: tuple[str, ...] = ()

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on, apart from the parameters: numbers and lists of numbers."""
        return {name.strip("_"): getattr(self, name) for name in ("lr", *self._state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state_dict``.

        Raises:
            ValueError: if it is not that of such an optimiser with as many parameters.
        """
        for name, now in self.state_dict().items():
            then: Any = state.get(name)
            if type(then) is not type(now) or (isinstance(now, list) and len(then) != len(now)):
                raise ValueError(f"this is not the state of {type(self).__name__}: {name} is {str(then)[:40]}")
        for name in ("lr", *self._state):
            setattr(self, name, state[name.strip("_")])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum μ.

        g ← ∂L/∂p + λp
        Δ ← μΔ + g
        p ← p − ηΔ          (Nesterov: p ← p − η(g + μΔ))

    With −ηΔ for the change of p, this is Rumelhart's Δw(t) = −ε ∂E/∂w + αΔw(t−1) (1986, eq. 9).

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

    _state = ("_velocity",)

    def __init__(
        self,
        params: Iterable[Value],
        lr: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay=weight_decay)
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum must be in [0, 1), not {momentum!r}")
        if nesterov and not momentum:
            raise ValueError("nesterov looks ahead by the momentum, and momentum is 0")
        self.momentum, self.nesterov = momentum, nesterov
        self._velocity = [0.0] * len(self.params)

    def _moved(self, ps: Sequence[float], gs: Sequence[float]) -> list[float]:
        gs = [g + self.weight_decay * p for p, g in zip(ps, gs, strict=True)]
        velocity = [self.momentum * v + g for v, g in zip(self._velocity, gs, strict=True)]
        ahead = [g + self.momentum * v for g, v in zip(gs, velocity, strict=True)] if self.nesterov else velocity
        moved = [p - self.lr * v for p, v in zip(ps, ahead, strict=True)]
        self._velocity = velocity
        return moved


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, Algorithm 1).

        g ← ∂L/∂p + λp
        m ← β₁m + (1 − β₁)g
        v ← β₂v + (1 − β₂)g²
        p ← p − η m̂ / (√v̂ + ε),  m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)

    Args:
        params: the parameters.
        lr: the learning rate η.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: λ, added to the gradient.

    Raises:
        ValueError: if a rate is out of range, or there is nothing to train.

    >>> p = Value(1.0)
    >>> optimizer = Adam([p], lr=0.1)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> round(p.data, 6)
    0.9
    """

    _state = ("_steps", "_m", "_v")

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay=weight_decay)
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"betas must be in [0, 1), not {betas!r}")
        if not eps >= 0.0:
            raise ValueError(f"eps must not be negative, but is {eps!r}")
        self.betas, self.eps = betas, eps
        self._steps, self._m, self._v = 0, [0.0] * len(self.params), [0.0] * len(self.params)

    def _moved(self, ps: Sequence[float], gs: Sequence[float]) -> list[float]:
        gs = [g + self.weight_decay * p for p, g in zip(ps, gs, strict=True)]
        return self._adapted(ps, gs)

    def _adapted(self, ps: Sequence[float], gs: Sequence[float]) -> list[float]:
        beta1, beta2 = self.betas
        t = self._steps + 1
        m = [beta1 * m + (1.0 - beta1) * g for m, g in zip(self._m, gs, strict=True)]
        v = [beta2 * v + (1.0 - beta2) * g * g for v, g in zip(self._v, gs, strict=True)]
        rate, scale = self.lr / (1.0 - beta1**t), math.sqrt(1.0 - beta2**t)
        moved = [p - rate * m / (math.sqrt(v) / scale + self.eps) for p, m, v in zip(ps, m, v, strict=True)]
        self._steps, self._m, self._v = t, m, v
        return moved


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): first p ← p − ηλp, then Adam's step without λ.

    >>> p = Value(1.0)
    >>> optimizer = AdamW([p], lr=0.1, weight_decay=0.5)
    >>> optimizer.step()
    >>> p.data
    0.95
    """

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _moved(self, ps: Sequence[float], gs: Sequence[float]) -> list[float]:
        return self._adapted([p * (1.0 - self.lr * self.weight_decay) for p in ps], gs)


def clip_grad_norm_(params: Iterable[Value], max_norm: float) -> float:
    """Scale the gradients so that their Euclidean norm is at most ``max_norm``; returns the norm it was.

    >>> p, q = Value(0.0), Value(0.0)
    >>> p.grad, q.grad = 3.0, 4.0
    >>> clip_grad_norm_([p, q], 1.0), round(p.grad, 4)
    (5.0, 0.6)
    """
    params = list(params)
    norm = math.hypot(*[p.grad for p in params])
    scale = min(1.0, max_norm / (norm + 1e-6))  # PyTorch's, which avoids dividing by 0
    assign(params, "_grad", [p.grad * scale for p in params])
    return norm


def clip_grad_value_(params: Iterable[Value], clip_value: float) -> None:
    """Limit every gradient to [−clip_value, clip_value].

    >>> p = Value(0.0)
    >>> p.grad = -3.0
    >>> clip_grad_value_([p], 0.5); p.grad
    -0.5
    """
    params = list(params)
    assign(params, "_grad", [max(-clip_value, min(clip_value, p.grad)) for p in params])
