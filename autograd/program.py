"""Programs: a recorded graph, compiled once and run many times."""

from __future__ import annotations

import functools
import importlib.util
import struct
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from autograd import interpreter
from autograd.algorithms import assign
from autograd.operations import real
from autograd.tape import Task
from autograd.value import Constant, Value

# What only some programs need is imported when they do, for `import autograd` is to be quick.
if TYPE_CHECKING:
    from concurrent.futures import Executor

    from autograd.source import Source

Backend = Literal["auto", "llvm", "source"]
Reduction = Literal["sum", "mean"]

#: The nodes of the largest graph that is compiled; code for more would take minutes to make.
LARGEST = 250_000
#: How many examples run at a time, which bounds the memory that a batch takes.
BLOCK = 4096


class Program:
    """A graph that runs on numbers given to it, again and again; made by :meth:`Graph.compile`.

    The nodes of the graph are left alone: a program has its inputs from the call, its parameters from
    ``parameters``, and its constants from the day it was made.

    Args:
        roots: the outputs.
        nodes: the graph in topological order.
        inputs: the leaves that every call gives numbers for.
        wrt: the nodes to differentiate by.
        backend: "llvm", "source", or "auto" for the first that is there.
        seeded: how many of the roots are differentiated; all, if left out.

    Attributes:
        inputs: as given.
        wrt: as given, or all variables that are no inputs.
        leaves: the variables that are not inputs, those of ``wrt`` first and in its order.
        parameters: their numbers, a float64 array that may be changed in place or replaced.
        backend: "llvm" or "source".

    >>> from autograd import Graph
    >>> x, w = Value(2.0), Value(3.0)
    >>> program = Graph(w * x).compile(inputs=[x], wrt=[w], backend="source")
    >>> value, [slope] = program(5.0)
    >>> value, float(slope)
    (15.0, 5.0)
    """

    parameters: Any

    def __init__(
        self,
        roots: Sequence[Value],
        nodes: Sequence[Value],
        inputs: Sequence[Value] = (),
        wrt: Sequence[Value] | None = None,
        *,
        backend: Backend = "auto",
        seeded: int | None = None,
    ) -> None:
        if len(nodes) > LARGEST:
            raise ValueError(
                f"a graph of {len(nodes):,} values is too large to compile (up to {LARGEST:,}): run it with "
                "Graph.forward and backward, or compile the graph of one example and use batch"
            )
        self.roots, self.nodes = tuple(roots), tuple(nodes)
        self.inputs = _leaves("inputs", inputs)
        given = set(self.inputs)
        variables = [x for x in nodes if x.op is None and not isinstance(x, Constant)]
        self.wrt = _values("wrt", wrt) if wrt is not None else tuple(x for x in variables if x not in given)
        wanted = [x for x in self.wrt if x.op is None and not isinstance(x, Constant)]
        self.leaves = tuple(x for x in dict.fromkeys([*wanted, *variables]) if x not in given)
        self._constants: dict[Value, float] = {
            x: x.data for x in nodes if x.op is None and isinstance(x, Constant) and x not in given
        }
        self._seeded = len(self.roots) if seeded is None else seeded
        self._wanted = backend
        self._code = self._compiled(backend)
        self.load()

    def __getstate__(self) -> dict[str, Any]:
        """The graph and the numbers, never code. The roots come first, and bring along all below.

        A copy has parameters of its own.
        """
        names = "roots", "nodes", "inputs", "wrt", "leaves", "_constants", "_seeded", "_wanted"
        return {name: getattr(self, name) for name in names} | {"parameters": _float64(self.parameters)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._code = self._compiled(self._wanted)

    def _compiled(self, backend: Backend) -> Any:
        """The code, which is made when it first runs."""
        if backend not in ("auto", "llvm", "source"):
            raise ValueError(f"backend must be 'auto', 'llvm' or 'source', not {backend!r}")
        task = self._task()
        if backend == "llvm" or (backend == "auto" and all(map(_is_installed, ("llvmlite", "numpy")))):
            try:
                from autograd.machine import Machine

                self.backend = "llvm"
                return Machine(task)
            except ImportError as error:
                raise ImportError("backend 'llvm' needs numpy and llvmlite: pip install 'gradgraph[fast]'") from error
            except TypeError:  # an operation that is no arithmetic
                if backend == "llvm":
                    raise
        self.backend = "source"
        return _Python(task)

    def _task(self) -> Task:
        return Task(self.roots, self.nodes, self.inputs, self.leaves, self.wrt, self._constants, self._seeded)

    def load(self) -> None:
        """Copy the numbers of ``leaves`` into ``parameters``.

        >>> from autograd import Graph
        >>> w = Value(3.0)
        >>> program = Graph(w * w).compile(backend="source")
        >>> w.data = 4.0
        >>> program.load(); program()[0]
        16.0
        """
        self.parameters = _float64([x.data for x in self.leaves])

    def store(self) -> None:
        """Copy ``parameters`` back into the ``data`` of ``leaves``.

        >>> from autograd import Graph
        >>> w = Value(3.0)
        >>> program = Graph(w * w).compile(backend="source")
        >>> program.parameters[0] = 4.0
        >>> program.store(); w.data
        4.0
        """
        assign(self.leaves, "_data", self._task().checked(self.parameters).tolist())

    def __call__(self, *inputs: float) -> Any:
        """The outputs for one example, and their gradient.

        Returns:
            The value of the root (of several, a tuple), and an array with the gradient in the order of
            ``wrt``; if ``wrt`` is empty, the value alone. Of several roots, it is the gradient of their sum.

        Raises:
            TypeError: if the arguments are not one number for each input.
            ArithmeticError, ValueError: outside the domain of an operation, as in the eager engine.
        """
        try:
            found = self._code.one(inputs, self.parameters)
        except (struct.error, TypeError, ValueError, AttributeError):
            self._check_call(inputs)
            raise
        if found is None:
            values, gradient = self._interpreted(self.parameters, inputs)
            found = _of_roots(values), gradient
        return found if self.wrt else found[0]

    def _check_call(self, inputs: Sequence[float]) -> None:
        listed = [x for x in inputs if isinstance(x, Iterable) and not isinstance(x, str)]
        cure = "; give each as an argument of its own, as in program(*row), and several rows to batch" if listed else ""
        if len(inputs) != len(self.inputs):
            raise TypeError(f"this program takes {len(self.inputs)} input(s), not {len(inputs)}{cure}") from None
        if listed:
            raise TypeError(f"an input is a number, not {type(listed[0]).__name__} {listed[0]!r:.80}{cure}") from None
        for x in inputs:
            real(x, "a program")
        self._task().checked(self.parameters)

    def batch(
        self, rows: Any, *, reduction: Reduction = "sum", per_example: bool = False, executor: Executor | None = None
    ) -> Any:
        """The outputs and the gradient over many examples.

        Args:
            rows: a row per example, a column per input.
            reduction: "sum" or "mean" over the examples.
            per_example: whether the outputs are given for each example; the gradient is reduced all the same.
            executor: what runs pieces of the batch at the same time: a ``ThreadPoolExecutor``, a
                ``ProcessPoolExecutor``, or ``client.get_executor()`` of Dask for a cluster. The result depends on
                it only in the order of summation, and a worker that dies loses nothing.

        Returns:
            As a call does; with ``per_example``, arrays instead of numbers.

        Raises:
            ValueError: if the rows have not as many columns as there are inputs.
            TypeError: if they are not numbers, or ``executor`` is not one.
            RuntimeError: if the executor has been shut down.
            ArithmeticError, ValueError: at the first example outside the domain of an operation; it tells which.

        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from autograd import Graph
        >>> x, w = Value(0.0), Value(3.0)
        >>> program = Graph((w * x) ** 2).compile(inputs=[x])
        >>> with ThreadPoolExecutor() as threads:
        ...     loss, grads = program.batch([[1.0], [2.0]], reduction="mean", executor=threads)
        >>> loss, grads.tolist()
        (22.5, [15.0])
        """
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction must be 'sum' or 'mean', not {reduction!r}")
        rows = self._rows(rows)
        if reduction == "mean" and not len(rows):
            raise ValueError("the mean of no examples is not defined")
        parameters = self._task().checked(self.parameters)
        if executor is None:
            outputs, gradient = self._part(parameters, rows, 0, per_example)
        else:
            from autograd import distribution

            outputs, gradient = distribution.run(self, parameters, rows, per_example, executor)
        if reduction == "mean":
            gradient = gradient / len(rows)
            if not per_example:
                outputs = outputs / len(rows)
        value = _of_roots(list(outputs) if per_example else outputs.tolist())
        return (value, gradient) if self.wrt else value

    def _rows(self, rows: Any) -> Any:
        try:
            import numpy as np
        except ImportError as error:
            raise ImportError("batches need numpy: pip install 'gradgraph[fast]'") from error
        if np.ma.is_masked(rows):
            raise ValueError("rows has masked numbers: leave those examples out, or say with filled() what they are")
        try:
            rows = np.asarray(rows)
        except ValueError as error:  # rows of different lengths
            raise ValueError(f"rows must be a row of {len(self.inputs)} numbers per example") from error
        if rows.dtype.kind not in "bfiu" and rows.size:
            raise TypeError(f"rows must be real numbers, not of type {rows.dtype}: convert them with astype(float)")
        if rows.shape == (0,):
            rows = rows.reshape(0, len(self.inputs))
        if rows.ndim != 2 or rows.shape[1] != len(self.inputs):
            raise ValueError(
                f"rows must be of shape (examples, {len(self.inputs)}), not {rows.shape}: a row per example, "
                "a column per input"
            )
        return rows

    def _part(self, parameters: Any, rows: Any, first: int, per_example: bool) -> tuple[Any, Any]:
        """The sums over some examples of a batch, the first of which is number ``first``.

        Returns:
            The outputs, of shape (roots, examples) if ``per_example``, else their sums (roots,); and the sum of
            the gradients.
        """
        import numpy as np

        if len(rows) <= BLOCK:
            outputs, gradient = self._block(parameters, np.asarray(rows, dtype=float), first)
            return outputs if per_example else np.add.reduce(outputs, axis=1), gradient
        each, gradient = [], np.zeros(len(self.wrt))
        for start in range(0, len(rows), BLOCK):
            outputs, more = self._part(parameters, rows[start : start + BLOCK], first + start, per_example)
            each.append(outputs)
            gradient += more
        return np.concatenate(each, axis=1) if per_example else np.sum(each, axis=0), gradient

    def _block(self, parameters: Any, rows: Any, first: int) -> tuple[Any, Any]:
        """The same for a few rows, with all outputs; where the code gives up, the example is found by halving."""
        import numpy as np

        if not len(rows):
            return np.zeros((len(self.roots), 0)), np.zeros(len(self.wrt))
        found = self._code.block(rows, parameters)
        if found is not None:
            return found  # type: ignore[no-any-return]
        if len(rows) == 1:
            try:
                values, gradient = self._interpreted(parameters, rows[0].tolist())
            except (ArithmeticError, ValueError) as error:
                error.add_note(f"in example {first}")
                raise
            return np.array(values).reshape(-1, 1), gradient
        half = len(rows) // 2
        a, gradient_of_a = self._block(parameters, rows[:half], first)
        b, gradient_of_b = self._block(parameters, rows[half:], first + half)
        return np.concatenate([a, b], axis=1), gradient_of_a + gradient_of_b

    def _interpreted(self, parameters: Any, inputs: Iterable[float]) -> tuple[list[float], Any]:
        """What the eager engine would find, by the eager engine's rules."""
        data = dict(self._constants)
        data.update(zip(self.leaves, map(float, parameters), strict=True))
        data.update(zip(self.inputs, map(float, inputs), strict=True))
        interpreter.forward(self.nodes, data)
        roots = self.roots[: self._seeded]
        gradient = interpreter.backward(self.nodes, data, roots, self.wrt) if self.wrt else []
        return [data[root] for root in self.roots], _float64(gradient)

    def source(self, language: Literal["python", "llvm"] = "python") -> str:
        """The program as text: Python that can be read and run, or what LLVM is given to compile for one example.

        >>> from autograd import Graph
        >>> x, w = Value(2.0, label="x"), Value(-3.0, label="w")
        >>> print(Graph((x * w).tanh()).compile([x]).source())
        from math import tanh
        <BLANKLINE>
        def program(inputs, parameters):
            [x] = inputs
            [w] = parameters
            # forward
            v3 = x * w
            v4 = tanh(v3)
            # backward
            grad_v3 = (1.0 - v4) * (1.0 + v4)
            grad_w = grad_v3 * x
            return [v4], [grad_w]
        <BLANKLINE>
        """
        if language not in ("python", "llvm"):
            raise ValueError(f"a program's source is in 'python' or 'llvm', not {language!r}")
        if language == "llvm":
            from autograd.machine import Machine

            return Machine(self._task()).text()
        from autograd.source import Source

        return Source(self._task()).text

    def __repr__(self) -> str:
        counts = f"{len(self.inputs)} inputs, {len(self.leaves)} parameters, {len(self.nodes)} values"
        return f"<Program ({self.backend}): {counts}, gradient by {len(self.wrt)}>"


class _Python:
    """Backend ``source``; the code is made when it first runs."""

    def __init__(self, task: Task) -> None:
        self._task = task

    @functools.cached_property
    def code(self) -> Source:
        """The code."""
        from autograd.source import Source

        return Source(self._task)

    def one(self, inputs: Sequence[float], parameters: Any) -> tuple[Any, Any] | None:
        """The value (of several roots, a tuple) and the gradient; None if the interpreter has to be asked."""
        if len(inputs) != len(self._task.inputs):
            raise TypeError("other inputs")  # the program knows what to say
        # An array of doubles takes whatever is a number to machine code.
        found = self.code.one(array("d", inputs), self._task.checked(parameters))
        if found is None:
            return None
        values, gradient = found
        return _of_roots(values), _float64(gradient)

    def block(self, rows: Any, parameters: Any) -> tuple[Any, Any] | None:
        """The outputs for each row, of shape (roots, rows), and the sum of the gradients; None as above."""
        return self.code.block(rows, parameters)


def _of_roots(values: Sequence[Any]) -> Any:
    """What belongs to the root; of several, a tuple."""
    return values[0] if len(values) == 1 else tuple(values)


def _values(what: str, values: Sequence[Value]) -> tuple[Value, ...]:
    """A list of Values, none of them twice."""
    if not isinstance(values, Iterable):
        raise TypeError(f"{what} must be a list of Values, such as [x, y], not {type(values).__name__} {values!r}")
    found = tuple(values)
    for x in found:
        if not isinstance(x, Value):
            raise TypeError(f"{what} must be Values, not {type(x).__name__} {x!r}")
    if len(set(found)) < len(found):
        twice = next(x for x in found if found.count(x) > 1)
        raise ValueError(f"{what} has {twice!r} twice")
    return found


def _leaves(what: str, values: Sequence[Value]) -> tuple[Value, ...]:
    found = _values(what, values)
    for x in found:
        if x.op is not None:
            raise ValueError(f"{what} must be leaves, and {x!r} is computed by {x.op.name}")
    return found


def _float64(numbers: Sequence[float]) -> Any:
    """An array of doubles: NumPy's where it is installed."""
    if not _is_installed("numpy"):
        return array("d", numbers)
    import numpy as np

    return np.array(numbers, dtype=float)


@functools.cache  # to look for a package takes a lock of Python's, which Ctrl-C may leave behind
def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
