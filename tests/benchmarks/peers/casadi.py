"""CasADi: a Function of scalar expressions, run by its virtual machine."""

from __future__ import annotations

import struct
from typing import Any

import casadi as ca  # type: ignore[import-not-found]
import numpy as np

from peers.tasks import Job, Problem

VERSION = ca.__version__


def call(problem: Problem) -> Job:
    """One example, through the interface without copies."""
    assert problem.loss == "hinge"
    row, parameters = ca.SX.sym("x", len(problem.rows[0])), ca.SX.sym("p", len(problem.parameters))
    *h, t = ca.vertsplit(row)
    places = iter(ca.vertsplit(parameters))
    for layer, nout in enumerate(problem.sizes[1:], start=2):
        a = [sum((next(places) * x for x in h), start=ca.SX(0.0)) + next(places) for _ in range(nout)]
        h = [ca.fmax(x, 0.0) for x in a] if layer < len(problem.sizes) else a
    loss = ca.fmax(1.0 - t * h[0], 0.0)
    function = ca.Function("f", [row, parameters], [ca.densify(ca.vertcat(loss, ca.gradient(loss, parameters)))])
    given: Any
    inputs: Any
    found: Any
    given, inputs, found = np.array(problem.parameters), np.empty(row.numel()), np.empty(1 + parameters.numel())
    buffer, trigger = function.buffer()
    buffer.set_arg(0, memoryview(inputs))
    buffer.set_arg(1, memoryview(given))
    buffer.set_res(0, memoryview(found))
    fill, numbers = struct.Struct(f"{len(inputs)}d").pack_into, problem.rows[0]

    def run(_: Any = (buffer, given)) -> Any:  # of which the trigger has the addresses only
        fill(inputs, 0, *numbers)
        trigger()
        return float(found[0]), found[1:].copy()

    return Job(run, lambda found: [found[0], *found[1]], note=f"{function.n_instructions()} instructions")
