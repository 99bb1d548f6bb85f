"""The training loop: sample, forward, backward, update."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from autograd import Graph, Value, fsum
from nn.optimizers import SGD


@dataclass
class History:
    """What happened during training: the mean loss of each epoch."""

    losses: list[float] = field(default_factory=list)


def fit(
    model: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    data: Sequence[tuple[Any, Any]],
    optimizer: SGD,
    *,
    epochs: int,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> History:
    """Make the mean loss over the data small.

    Each batch is one graph: its loss is the mean over the examples, so that the gradient is the
    mean of theirs.

    Args:
        model: called with the inputs of one example.
        loss: called with the model's output and the example's target; returns a Value.
        data: examples, pairs of inputs and target.
        optimizer: moves the model's parameters after each batch.
        epochs: how often all examples are seen.
        batch_size: examples per update; all at once if left out, 1 for online learning.
        seed: decides the order of the examples, which changes in every epoch.
        progress: whether to show a bar, where there is a terminal to show it in.

    Returns:
        The history of the loss.

    Raises:
        ValueError: if there is no data, or a size is not positive.
        ArithmeticError: if a loss is nan or infinite. The parameters are those before that batch.
    """
    if not data:
        raise ValueError("fit needs at least one example")
    size = len(data) if batch_size is None else batch_size
    if size < 1 or epochs < 1:
        raise ValueError(f"epochs and batch_size must be positive, not {epochs} and {batch_size}")
    rng = random.Random(seed)
    examples = list(data)
    history = History()
    with tqdm(range(epochs), desc="training", unit="epoch", disable=None if progress else True) as bar:
        for epoch in bar:
            rng.shuffle(examples)
            total = 0.0
            for start in range(0, len(examples), size):
                batch = examples[start : start + size]
                losses: list[Value] = [loss(model(x), y) for x, y in batch]
                mean = fsum(losses) / len(batch)
                if not math.isfinite(mean.data):
                    raise ArithmeticError(
                        f"the loss is {mean.data} in epoch {epoch + 1}: {Graph(mean).first_nonfinite()}"
                    )
                optimizer.zero_grad()
                mean.backward()
                optimizer.step()
                total += mean.data * len(batch)
            history.losses.append(total / len(examples))
            bar.set_postfix(loss=f"{history.losses[-1]:.4f}")
    return history
