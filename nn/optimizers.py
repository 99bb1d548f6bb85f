"""How parameters follow their gradients, with PyTorch's definitions.

An optimiser is a rule for one parameter, in ordinary arithmetic and rows of the table: on floats it is
a step, and on Values it records the program that compiled training makes its steps with.
"""

from __future__ import annotations

import copy
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from autograd import Constant, Value, sqrt
from autograd.algorithms import assign, zero_grad
from nn.checks import positive

State = dict[str, Any]


class Optimizer(ABC):
    """What optimisers share: parameters p, the learning rate η, and a step that is whole or not at all.

    ``_state`` has a list for each number that is kept per parameter, and may count the ``steps``.

    Args:
        params: the parameters.
        lr: the learning rate η, which a schedule may change.
        weight_decay: λ.

    >>> issubclass(SGD, Optimizer), issubclass(Adam, Optimizer)
    (True, True)
    """

    #: What in the state is never below zero.
    _never_negative: tuple[str, ...] = ("lr", "steps")

    def __init__(self, params: Iterable[Value], lr: float, *, weight_decay: float = 0.0) -> None:
        name = type(self).__name__
        if not isinstance(params, Iterable):
            raise TypeError(f"{name} needs the parameters, such as model.parameters(), not {params!r}")
        self.params = list(dict.fromkeys(map(_parameter, params)))  # one that is given twice moves once
        if not self.params:
            raise ValueError(f"{name} needs at least one parameter")
        self._lr = positive("lr", lr)
        self.weight_decay = positive("weight_decay", weight_decay, or_zero=True)
        self._state: State = {}

    @property
    def lr(self) -> float:
        """The learning rate η; a schedule may bring it to 0."""
        return self._lr

    @lr.setter
    def lr(self, rate: float) -> None:
        self._lr = positive("lr", rate, or_zero=True)

    def step(self) -> None:
        """Move every parameter once; Ctrl-C comes before or after.

        Raises:
            OverflowError: if a parameter, or what the next step goes on from, would be infinite or nan. Then
                nothing has moved.

        >>> w = Value(3.0)
        >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
        >>> (w * w).backward()
        >>> optimizer.step(); round(w.data, 6)
        2.4
        """
        numbers, rates = [(p.data, p.grad) for p in self.params], self._rates()
        rows = [self._rule(rates, *pg, *kept) for pg, kept in zip(numbers, self._kept(), strict=True)]
        moved, *columns = zip(*rows, strict=True)
        state = self._state_of(map(list, columns))
        for p, x in zip(self.params, moved, strict=True):
            if not math.isfinite(x):
                raise OverflowError(f"the step would move {p!r} to {x}: take a smaller lr than {self.lr}")
        if not all(math.isfinite(x) for held in state.values() if isinstance(held, list) for x in held):
            raise OverflowError(f"the gradients are too large for {type(self).__name__} to square: clip them")
        assign([*self.params, self], [*repeat("_data", len(moved)), "_state"], [*moved, state])

    @abstractmethod
    def _rates(self, ahead: int = 1) -> Sequence[float]:
        """What the next step, or that so many steps ahead, has in common for all parameters."""

    @abstractmethod
    def _rule(self, rates: Sequence[Any], p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        """Where p goes with the gradient g; and what is kept for the next step, in the order of ``_state``."""

    def _kept(self) -> Iterable[tuple[float, ...]]:
        """What is kept for each parameter."""
        columns = [held for held in self._state.values() if isinstance(held, list)]
        return zip(*columns, strict=True) if columns else repeat((), len(self.params))

    def _state_of(self, columns: Iterable[list[float]], steps: int = 1) -> State:
        """The state so many steps later, when these are the numbers kept."""
        held = iter(columns)
        return {name: next(held) if isinstance(x, list) else x + steps for name, x in self._state.items()}

    def zero_grad(self) -> None:
        """Forget the ``grad`` of every parameter.

        >>> w = Value(3.0)
        >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
        >>> (w * w).backward()
        >>> optimizer.zero_grad(); w.grad
        0.0
        """
        zero_grad(self.params)

    def state_dict(self) -> State:
        """What the next step depends on, apart from the parameters: numbers and lists of numbers.

        >>> w = Value(3.0)
        >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
        >>> (w * w).backward()
        >>> optimizer.step(); optimizer.state_dict()
        {'lr': 0.1, 'velocity': [6.0]}
        """
        return copy.deepcopy({"lr": self.lr, **self._state})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state_dict``.

        Raises:
            ValueError: if it is not that of such an optimiser with as many parameters; nothing has changed then.

        >>> w = Value(3.0)
        >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
        >>> (w * w).backward()
        >>> optimizer.step()
        >>> again = SGD([w], lr=0.5, momentum=0.9)
        >>> again.load_state_dict(optimizer.state_dict()); again.lr
        0.1
        """
        for name, now in self.state_dict().items():
            then: Any = state.get(name)
            lists = (now, then) if isinstance(now, list) else ([now], [then])
            fits = isinstance(lists[1], list) and [*map(type, lists[0])] == [*map(type, lists[1])]
            least = 0.0 if name in self._never_negative else -sys.float_info.max
            if not fits or not all(least <= x <= sys.float_info.max for x in lists[1]):
                raise ValueError(f"this is not the state of {type(self).__name__}: {name} is {str(then)[:40]}")
        held = copy.deepcopy({name: state[name] for name in self._state})
        assign([self, self], ["_lr", "_state"], [state["lr"], held])

    def __repr__(self) -> str:
        options = {name.strip("_"): x for name, x in vars(self).items() if name not in ("params", "_state")}
        written = ", ".join(f"{name}={x!r}" for name, x in options.items() if x or name == "lr")
        return f"{type(self).__name__}({written})  # {len(self.params)} parameters"


def _parameter(p: Any) -> Value:
    if isinstance(p, dict):
        raise TypeError("parameter groups are not supported: make an optimiser for each group")
    if not isinstance(p, Value) or p.op is not None or isinstance(p, Constant):
        raise TypeError(f"a parameter is a Value that was not computed, not {str(p)[:80]}")
    return p


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
        self._state = {"velocity": [0.0] * len(self.params)}

    def _rates(self, ahead: int = 1) -> Sequence[float]:
        return self.lr, self.momentum, self.weight_decay

    def _rule(self, rates: Sequence[Any], p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        (lr, momentum, decay), (velocity,) = rates, kept
        g = g + decay * p
        velocity = momentum * velocity + g
        ahead = g + momentum * velocity if self.nesterov else velocity
        return p - lr * ahead, velocity


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

    _never_negative = ("lr", "steps", "v")  # v is a mean of squares

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
        if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"betas must be two numbers in [0, 1), not {betas!r}")
        self.betas, self.eps = betas, positive("eps", eps)
        self._state = {"steps": 0, "m": [0.0] * len(self.params), "v": [0.0] * len(self.params)}

    def _rates(self, ahead: int = 1) -> Sequence[float]:
        (beta1, beta2), t = self.betas, self._state["steps"] + ahead
        rate, scale = self.lr / (1.0 - beta1**t), math.sqrt(1.0 - beta2**t)
        return rate, scale, beta1, beta2, self.eps, self.weight_decay

    def _rule(self, rates: Sequence[Any], p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        return self._adapted(rates, p, g + rates[-1] * p, *kept)

    @staticmethod
    def _adapted(rates: Sequence[Any], p: Any, g: Any, m: Any, v: Any) -> tuple[Any, ...]:
        rate, scale, beta1, beta2, eps, _ = rates
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * g * g
        return p - rate * m / (sqrt(v) / scale + eps), m, v


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

    def _rates(self, ahead: int = 1) -> Sequence[float]:
        *rates, decay = super()._rates(ahead)
        return *rates, 1.0 - self.lr * decay

    def _rule(self, rates: Sequence[Any], p: Any, g: Any, *kept: Any) -> tuple[Any, ...]:
        return self._adapted(rates, p * rates[-1], g, *kept)


def clip_grad_norm_(params: Iterable[Value], max_norm: float) -> float:
    """Scale the gradients so that their Euclidean norm is at most ``max_norm``; returns the norm it was.

    Raises:
        ValueError: if ``max_norm`` is not positive.
        ArithmeticError: if the norm is not finite. Then nothing has changed.

    >>> p, q = Value(0.0), Value(0.0)
    >>> p.grad, q.grad = 3.0, 4.0
    >>> clip_grad_norm_([p, q], 1.0), round(p.grad, 4)
    (5.0, 0.6)
    """
    params = list(params)
    norm = math.hypot(*[p.grad for p in params])
    if not math.isfinite(norm):
        raise ArithmeticError(f"a gradient whose norm is {norm} cannot be clipped")
    scale = min(1.0, positive("max_norm", max_norm) / (norm + 1e-6))  # PyTorch's, which avoids dividing by 0
    assign(params, "_grad", [p.grad * scale for p in params])
    return norm


def clip_grad_value_(params: Iterable[Value], clip_value: float) -> None:
    """Limit every gradient to [−clip_value, clip_value].

    Raises:
        ValueError: if ``clip_value`` is not positive.

    >>> p = Value(0.0)
    >>> p.grad = -3.0
    >>> clip_grad_value_([p], 0.5); p.grad
    -0.5
    """
    params, limit = list(params), positive("clip_value", clip_value)
    assign(params, "_grad", [max(-limit, min(limit, p.grad)) for p in params])
