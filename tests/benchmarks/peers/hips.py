"""HIPS autograd, whose import name is ours: it must not be installed in our environment."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import autograd.numpy as np  # type: ignore[import-not-found]

import autograd
from peers.tasks import Job, Problem, value_and_gradient

VERSION = importlib.metadata.version("autograd")


def total_loss(kind: str, parameters: list[Any], x: Any, t: Any) -> Any:
    """The sum of the losses."""
    for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = np.maximum(x @ w + b, 0.0)
    a = x @ parameters[-2] + parameters[-1]
    if kind == "hinge":
        return np.sum(np.maximum(1.0 - t * a, 0.0))
    raise NotImplementedError(kind)


def call(problem: Problem) -> Job:
    """One example."""
    parameters, (x, t) = problem.matrices(), problem.examples()
    differentiated = autograd.value_and_grad(lambda p: total_loss(problem.loss, p, x, t))
    return Job(lambda: differentiated(parameters), value_and_gradient)
