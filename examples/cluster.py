"""Train a network on a cluster: its workers find the gradient, each over a piece of the examples.

``python examples/cluster.py`` starts two workers on this machine. With the address of a Dask scheduler,
``python examples/cluster.py tcp://10.0.0.1:8786``, the same code runs on the workers of that cluster, which
need gradgraph installed, and nothing else: programs are sent to them as graphs, and compiled there.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import Executor
from typing import Any

try:
    import numpy as np
    from dask.distributed import Client, LocalCluster
except ImportError as missing:
    raise SystemExit(f"{missing}: this example needs pip install 'gradgraph[fast,distributed]'") from None

from autograd import Graph, Program, Value, softplus
from nn import MLP, accuracy, data

EXAMPLES, STEPS = 262_144, 20


def loss_program(model: MLP) -> Program:
    """The loss of one example, as a function of the example: its inputs x and y, and its class, 0 or 1.

    Of the logit z, the binary cross-entropy is −log σ(z) for class 1 and −log(1 − σ(z)) for class 0,
    which is softplus(z) − z · class for both.
    """
    x, y, target = (Value(0.0, label=name) for name in ("x", "y", "class"))
    z = model([x, y])
    return Graph(softplus(z) - z * target).compile(inputs=[x, y, target], wrt=model.parameters())


def train(program: Program, rows: Any, executor: Executor, steps: int) -> None:
    """Gradient descent with momentum, Δw(t) = −ε ∂E/∂w + α Δw(t − 1), over all examples at every step.

    The gradient of a sum is the sum of the gradients: each worker needs to send back one number per
    parameter only, however many examples it has seen.
    """
    change = np.zeros(len(program.parameters))
    for step in range(1, steps + 1):
        loss, grads = program.batch(rows, reduction="mean", executor=executor)
        change = -4.0 * grads + 0.8 * change
        program.parameters += change
        if step % 5 == 0:
            print(f"  step {step:3}: loss {loss:.4f}")


def main(address: str | None = None) -> None:
    """Compare a gradient, train, and test."""
    model = MLP(2, [8, 1], activation="tanh", seed=0)
    program = loss_program(model)
    rows = np.array([[*inputs, target] for inputs, target in data.moons(EXAMPLES, seed=0)])

    cluster = address or LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with Client(cluster) as client:
        print(f"{len(client.scheduler_info()['workers'])} workers, {EXAMPLES:,} examples, MLP 2-8-1, tanh")
        executor = client.get_executor(pure=False)  # a piece that is asked for again is run again

        # A worker compiles the program when it first sees it, so this also warms them up.
        there, here = program.batch(rows, executor=executor)[1], program.batch(rows)[1]
        print(f"the gradients there and here differ by {relative(there, here):.0e} of their size")

        start = time.perf_counter()
        train(program, rows, executor, STEPS)
        print(f"{STEPS} steps in {time.perf_counter() - start:.1f} s")
    if not isinstance(cluster, str):
        cluster.close()

    program.store()
    print(f"accuracy on examples it has not seen: {accuracy(model, data.moons(500, seed=2)):.3f}")


def relative(x: Any, y: Any) -> float:
    """The largest difference, in units of the largest number."""
    return float(np.abs(x - y).max() / np.abs(y).max())


if __name__ == "__main__":
    main(*sys.argv[1:2])
