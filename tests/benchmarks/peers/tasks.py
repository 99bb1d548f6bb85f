"""What every peer is given, and what it gives back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

#: What one run of a job finds, as the numbers that are compared.
Numbers = Callable[[Any], Iterable[float]]


@dataclass(frozen=True)
class Problem:
    """A network with ReLUs and a linear output, its loss, and examples.

    Attributes:
        sizes: inputs, then the neurons of each layer.
        loss: "hinge" of one output and a target of ±1, or "cross-entropy" of the softmax and a one-hot target.
        parameters: neuron by neuron, the weights and then the bias.
        rows: the inputs and then the targets of each example.
        repeat: how often the rows are repeated.
        size: examples in a mini-batch.
        order: of the examples, in the first epoch.
    """

    sizes: Sequence[int]
    loss: Literal["hinge", "cross-entropy"]
    parameters: Sequence[float]
    rows: Sequence[Sequence[float]]
    repeat: int = 1
    size: int = 0
    order: Sequence[int] = ()

    def matrices(self) -> list[Any]:
        """The parameters as arrays: W and b of each layer, for h ↦ h W + b."""
        import numpy as np

        arrays, flat = [], np.array(self.parameters)
        for nin, nout in itertools.pairwise(self.sizes):
            neurons, flat = np.split(flat, [(nin + 1) * nout])
            neurons = neurons.reshape(nout, nin + 1)
            arrays += [np.ascontiguousarray(neurons[:, :-1].T), neurons[:, -1].copy()]
        return arrays

    def examples(self) -> tuple[Any, Any]:
        """The inputs and the targets, each a matrix with a row per example."""
        import numpy as np

        rows = np.tile(np.array(self.rows), (self.repeat, 1))
        return np.ascontiguousarray(rows[:, : self.sizes[0]]), np.ascontiguousarray(rows[:, self.sizes[0] :])

    def orders(self) -> Iterator[Any]:
        """The order of the examples in every epoch: first the one that all peers have, then any."""
        import numpy as np

        rng = np.random.default_rng(0)
        yield np.array(self.order)
        while True:
            yield rng.permutation(len(self.rows))

    def batches(self, order: Any) -> Iterator[Any]:
        """The places of the examples of each mini-batch."""
        return (order[start : start + self.size] for start in range(0, len(order), self.size))


@dataclass(frozen=True)
class Job:
    """A task made ready to run many times."""

    run: Callable[[], Any]
    numbers: Numbers
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)


def flat(arrays: Sequence[Any]) -> list[float]:
    """W and b of each layer, neuron by neuron."""
    import numpy as np

    layers = zip(arrays[::2], arrays[1::2], strict=True)
    return [x for w, b in layers for x in np.vstack([np.asarray(w), np.asarray(b)]).T.ravel().tolist()]


def value_and_gradient(found: Any) -> list[float]:
    """A value, and a gradient by W and b of each layer."""
    value, arrays = found
    return [float(value), *flat(arrays)]
