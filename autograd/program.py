"""Programs: a recorded graph, compiled once and run many times."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Any, Literal

from autograd import interpreter
from autograd.algorithms import assign
from autograd.operations import real
from autograd.value import Constant, Value

Backend = Literal["auto", "llvm", "source"]
Reduction = Literal["sum", "mean"]


class Program:
    """A graph that runs on numbers given to it, again and again; made by :meth:`Graph.compile`.

    The nodes of the graph are left alone: a program has its inputs from the call, its parameters from
    ``parameters``, and its constants from the day it was made.

    Attributes:
        inputs: the leaves that every call gives numbers for.
        wrt: the nodes that the gradient is taken with respect to.
        leaves: the variables that are not inputs, those of ``wrt`` first and in its order.
        parameters: their numbers, a float64 array that may be changed in place or replaced.
        backend: "llvm" or "source".
    """

    def __init__(
        self,
        roots: Sequence[Value],
        nodes: Sequence[Value],
        inputs: Sequence[Value] = (),
        wrt: Sequence[Value] | None = None,
        *,
        backend: Backend = "auto",
    ) -> None:
        self.roots, self.nodes, self.inputs = tuple(roots), tuple(nodes), tuple(inputs)
        variables = [node for node in nodes if node.op is None and not isinstance(node, Constant)]
        given = set(self.inputs)
        self.wrt = tuple(wrt) if wrt is not None else tuple(x for x in variables if x not in given)
        wanted = [x for x in self.wrt if x.op is None and not isinstance(x, Constant)]
        self.leaves = tuple(x for x in dict.fromkeys([*wanted, *variables]) if x not in given)
        self._constants: dict[Value, float] = {
            x: x.data for x in nodes if x.op is None and isinstance(x, Constant) and x not in given
        }
        self.backend = "source"
        self.parameters: Any = _float64(x.data for x in self.leaves)

    def load(self) -> None:
        """Copy the numbers of ``leaves`` into ``parameters``."""
        self.parameters = _float64(x.data for x in self.leaves)

    def store(self) -> None:
        """Copy ``parameters`` back into the ``data`` of ``leaves``."""
        assign(self.leaves, "data", map(float, self.parameters))

    def __call__(self, *inputs: float) -> Any:
        """The outputs for one example, and their gradient.

        Returns:
            The value of the root (of several, a tuple), and an array with the gradient in the order of
            ``wrt``; if ``wrt`` is empty, the value alone. Of several roots, it is the gradient of their sum.

        Raises:
            TypeError: if there are not as many numbers as inputs.
            ArithmeticError, ValueError: outside the domain of an operation, as in the eager engine.
        """
        if len(inputs) != len(self.inputs):
            raise TypeError(f"this program takes {len(self.inputs)} input(s), not {len(inputs)}")
        values, grads = self._interpreted(self.parameters, [real(x, "a program") for x in inputs])
        value = values[0] if len(values) == 1 else tuple(values)
        return (value, _float64(grads)) if self.wrt else value

    def batch(
        self, rows: Any, *, reduction: Reduction = "sum", per_example: bool = False, executor: Executor | None = None
    ) -> Any:
        """The outputs and the gradient over many examples.

        Args:
            rows: a row per example, a column per input.
            reduction: "sum" or "mean" over the examples.
            per_example: whether the outputs are given for each example; the gradient is reduced all the same.
            executor: what runs pieces of the batch at the same time, such as a ``ThreadPoolExecutor``.

        Returns:
            As a call does; with ``per_example``, arrays instead of numbers.
        """
        import numpy as np

        rows = np.asarray(rows, dtype=float)
        if executor is None:
            outputs, grads = self._part(self.parameters, rows, 0, per_example)
        else:
            raise NotImplementedError
        if not per_example:
            outputs = [float(x) for x in outputs]
        if reduction == "mean":
            scale = 1.0 / len(rows)
            outputs, grads = [x if per_example else x * scale for x in outputs], grads * scale
        value = outputs[0] if len(outputs) == 1 else tuple(outputs)
        return (value, grads) if self.wrt else value

    def _part(self, parameters: Any, rows: Any, first: int, per_example: bool) -> tuple[Any, Any]:
        """The sums over the examples of rows, the first of which is number ``first`` of the batch.

        Returns:
            An array of outputs: of shape (roots, examples) if ``per_example``, else their sums (roots,);
            and the sums of the gradients, of shape (wrt,).
        """
        import numpy as np

        found = [self._interpreted(parameters, row) for row in rows.tolist()]
        outputs = np.array([values for values, _ in found]).reshape(len(found), len(self.roots)).T
        grads = np.array([grads for _, grads in found]).reshape(len(found), len(self.wrt)).sum(axis=0)
        return outputs if per_example else outputs.sum(axis=1), grads

    def source(self, language: str = "python") -> str:
        """The straight-line forward and backward pass, readable."""
        raise NotImplementedError

    def _interpreted(self, parameters: Any, inputs: Iterable[float]) -> tuple[list[float], list[float]]:
        """What the eager engine would find, by the eager engine's rules."""
        data = dict(self._constants)
        data.update(zip(self.leaves, map(float, parameters), strict=True))
        data.update(zip(self.inputs, inputs, strict=True))
        interpreter.forward(self.nodes, data)
        grads = interpreter.backward(self.nodes, data, self.roots, self.wrt) if self.wrt else []
        return [data[root] for root in self.roots], grads


def _float64(numbers: Iterable[float]) -> Any:
    """An array of doubles: NumPy's where it is installed."""
    try:
        import numpy as np
    except ImportError:
        return array("d", numbers)
    return np.fromiter(numbers, dtype=float)
