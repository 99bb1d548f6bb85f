"""PyTorch: eager, on matrices."""

from __future__ import annotations

import os
from typing import Any

import torch  # type: ignore[import-not-found]

from peers.adam import RATE
from peers.tasks import Job, Problem, flat, value_and_gradient

VERSION = torch.__version__

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def total_loss(kind: str, parameters: list[Any], x: Any, t: Any) -> Any:
    """The sum of the losses."""
    for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = torch.relu(torch.addmm(b, x, w))
    a = torch.addmm(parameters[-1], x, parameters[-2])
    if kind == "hinge":
        return torch.relu(1.0 - t * a).sum()
    return (torch.logsumexp(a, dim=1) - (a * t).sum(dim=1)).sum()


def batch(problem: Problem) -> Job:
    """The sum of the losses over all examples, and its gradient."""
    parameters, (x, t) = _leaves(problem), map(torch.from_numpy, problem.examples())

    def run() -> Any:
        loss = total_loss(problem.loss, parameters, x, t)
        return loss.item(), torch.autograd.grad(loss, parameters)

    return Job(run, value_and_gradient)


call = batch


def step(problem: Problem, **options: bool) -> Job:
    """An epoch of mini-batches with Adam."""
    parameters, (x, t), orders = _leaves(problem), map(torch.from_numpy, problem.examples()), problem.orders()
    adam = torch.optim.Adam(parameters, lr=RATE, **options)

    def run() -> Any:
        for rows in problem.batches(torch.from_numpy(next(orders))):
            adam.zero_grad()
            (total_loss(problem.loss, parameters, x[rows], t[rows]) / len(rows)).backward()
            adam.step()
        return [p.detach() for p in parameters]

    return Job(run, flat)


def fused_step(problem: Problem) -> Job:
    """The same with the update in one kernel."""
    return step(problem, fused=True)


def _leaves(problem: Problem) -> list[Any]:
    return [torch.from_numpy(array).requires_grad_() for array in problem.matrices()]
