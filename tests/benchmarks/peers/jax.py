"""JAX: ``jit`` of functions on matrices."""

from __future__ import annotations

from typing import Any

import jax  # type: ignore[import-not-found]
import jax.numpy as jnp  # type: ignore[import-not-found]
import numpy as np

from peers.adam import RATE
from peers.tasks import Job, Problem, flat, value_and_gradient

VERSION = jax.__version__

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_cpu_enable_async_dispatch", False)  # one thread is one thread


def total_loss(kind: str, parameters: list[Any], x: Any, t: Any) -> Any:
    """The sum of the losses."""
    for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = jax.nn.relu(x @ w + b)
    a = x @ parameters[-2] + parameters[-1]
    if kind == "hinge":
        return jax.nn.relu(1.0 - t * a).sum()
    return (jax.nn.logsumexp(a, axis=1) - (a * t).sum(axis=1)).sum()


def batch(problem: Problem) -> Job:
    """The sum of the losses over all examples, and its gradient."""
    parameters, (x, t) = jax.device_put(problem.matrices()), jax.device_put(problem.examples())
    compiled = jax.jit(jax.value_and_grad(lambda parameters, x, t: total_loss(problem.loss, parameters, x, t)))
    return Job(lambda: jax.block_until_ready(compiled(parameters, x, t)), value_and_gradient)


def call(problem: Problem) -> Job:
    """One example, whose numbers come from NumPy at every call."""
    parameters, (x, t) = jax.device_put(problem.matrices()), problem.examples()
    compiled = jax.jit(jax.value_and_grad(lambda parameters, x, t: total_loss(problem.loss, parameters, x, t)))
    return Job(lambda: jax.block_until_ready(compiled(parameters, x, t)), value_and_gradient)


def step(problem: Problem) -> Job:
    """An epoch of mini-batches with Adam; a step is one compiled function."""
    (x, t), orders = jax.device_put(problem.examples()), problem.orders()
    parameters = jax.device_put(problem.matrices())
    zeros = [jnp.zeros_like(p) for p in parameters]
    state = [parameters, zeros, zeros, jnp.zeros(())]

    def stepped(state: Any, rows: Any) -> Any:
        parameters, ms, vs, t_ = state
        grads = jax.grad(lambda p: total_loss(problem.loss, p, x[rows], t[rows]) / len(rows))(parameters)
        t_ = t_ + 1.0
        ms = [0.9 * m + 0.1 * g for m, g in zip(ms, grads, strict=True)]
        vs = [0.999 * v + 0.001 * g * g for v, g in zip(vs, grads, strict=True)]
        rate, scale = RATE / (1.0 - 0.9**t_), jnp.sqrt(1.0 - 0.999**t_)
        moved = [p - rate * m / (jnp.sqrt(v) / scale + 1e-8) for p, m, v in zip(parameters, ms, vs, strict=True)]
        return [moved, ms, vs, t_]

    compiled = jax.jit(stepped)

    def run() -> Any:
        for rows in problem.batches(next(orders).astype(np.int32)):
            state[:] = compiled(state, rows)
        return jax.block_until_ready(state)[0]

    return Job(run, flat)
