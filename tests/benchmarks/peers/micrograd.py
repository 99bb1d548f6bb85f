"""micrograd, which builds the graph again for every example."""

from __future__ import annotations

import importlib.metadata
import itertools
from typing import Any

import micrograd.nn

from peers.tasks import Job, Problem

VERSION = importlib.metadata.version("micrograd")


def call(problem: Problem) -> Job:
    """One example."""
    assert problem.loss == "hinge"
    nin, *nouts = problem.sizes
    model = micrograd.nn.MLP(nin, nouts)
    parameters = model.parameters()
    for p, number in zip(parameters, problem.parameters, strict=True):
        p.data = number
    *x, t = problem.rows[0]

    def run() -> Any:
        model.zero_grad()
        loss = (1.0 - t * model(x)).relu()
        loss.backward()
        return loss.data, [p.grad for p in parameters]

    return Job(run, lambda found: itertools.chain([found[0]], found[1]))
