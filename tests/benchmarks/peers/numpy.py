"""NumPy: the gradient derived by hand, on matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers.adam import Adam
from peers.tasks import Job, Problem, flat, value_and_gradient

VERSION = np.__version__


def loss_and_gradient(kind: str, parameters: list[Any], x: Any, t: Any, grads: list[Any]) -> float:
    """The sum of the losses; its gradient is written into ``grads``."""
    hs = [x]
    for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        h = hs[-1] @ w
        h += b
        hs.append(np.maximum(h, 0.0, out=h))
    a = hs[-1] @ parameters[-2]
    a += parameters[-1]
    if kind == "hinge":
        margin = 1.0 - t * a
        value = np.maximum(margin, 0.0).sum()
        g = np.where(margin > 0.0, -t, 0.0)
    else:
        a -= a.max(axis=1, keepdims=True)
        e = np.exp(a)
        total = e.sum(axis=1, keepdims=True)
        value = np.log(total).sum() - np.vdot(a, t)
        e /= total
        g = np.subtract(e, t, out=e)
    for layer in reversed(range(len(hs))):
        np.matmul(hs[layer].T, g, out=grads[2 * layer])
        np.sum(g, axis=0, out=grads[2 * layer + 1])
        if layer:
            g = g @ parameters[2 * layer].T
            g *= hs[layer] > 0.0
    return float(value)


def batch(problem: Problem) -> Job:
    """The sum of the losses over all examples, and its gradient."""
    parameters, (x, t) = problem.matrices(), problem.examples()

    def run() -> Any:
        grads = list(map(np.empty_like, parameters))
        return loss_and_gradient(problem.loss, parameters, x, t, grads), grads

    return Job(run, value_and_gradient)


call = batch


def step(problem: Problem) -> Job:
    """An epoch of mini-batches with Adam; parameters and gradient are views into one array each."""
    arrays, (x, t), orders = problem.matrices(), problem.examples(), problem.orders()
    together = np.concatenate([array.ravel() for array in arrays])
    gradient = np.empty_like(together)
    parameters, grads = _views(together, arrays), _views(gradient, arrays)
    adam = Adam(together)

    def run() -> Any:
        for rows in problem.batches(next(orders)):
            loss_and_gradient(problem.loss, parameters, x[rows], t[rows], grads)
            adam.step(gradient / len(rows))
        return parameters

    return Job(run, flat)


def _views(together: Any, arrays: list[Any]) -> list[Any]:
    pieces = np.split(together, np.cumsum([array.size for array in arrays])[:-1])
    return [piece.reshape(array.shape) for piece, array in zip(pieces, arrays, strict=True)]
