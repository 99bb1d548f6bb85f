"""C from the same graph, by gcc -O3: the limit of what a compiled graph can reach."""

from __future__ import annotations

import ctypes
import struct
import subprocess
from typing import Any

import numpy as np

from c_code import BATCH, CALL, compiled
from peers.ours import network
from peers.tasks import Job, Problem

VERSION = subprocess.run(["gcc", "-dumpfullversion"], check=True, capture_output=True, text=True).stdout.strip()


def call(problem: Problem) -> Job:
    """One example: the same wrapper as a program's, around a function in C."""
    library = compiled(CALL, network(problem))
    parameters = np.array(problem.parameters)
    inputs: Any = np.empty(len(problem.rows[0]))
    found = np.empty(1 + len(parameters))
    function = library.call
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (parameters, inputs, found)]
    fill, numbers = struct.Struct(f"{len(inputs)}d").pack_into, problem.rows[0]

    def run(_: Any = parameters) -> Any:
        fill(inputs, 0, *numbers)
        function(*pointers)
        return float(found[0]), found[1:].copy()

    return Job(run, lambda found: [found[0], *found[1]])


def batch(problem: Problem, lanes: int = 1) -> Job:
    """The sum over all examples."""
    library = compiled(BATCH, network(problem), lanes=lanes)
    parameters, rows = np.array(problem.parameters), np.tile(np.array(problem.rows), (problem.repeat, 1))
    assert len(rows) % lanes == 0

    def run() -> Any:
        found = np.empty(1 + len(parameters))
        addresses = [ctypes.c_void_p(array.ctypes.data) for array in (parameters, rows, found)]
        library.batch(*addresses, ctypes.c_long(len(rows)))
        return found

    return Job(run, np.ndarray.tolist)


def four_lanes(problem: Problem) -> Job:
    """The same, four examples at a time."""
    return batch(problem, lanes=4)
