"""The rows of the table on NumPy arrays: what the names in generated Python stand for when it runs on a batch.

Each does what the row's ``forward`` does to every element, up to rounding; nan, infinities and the sign
of a zero are the row's.  Rows that are not here, such as a user's, are asked element by element.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autograd import operations as ops
from autograd.operations import Operation

#: Rows for which NumPy has a function.
NUMPY = {
    **{row: row.name for row in (ops.exp, ops.exp2, ops.expm1, ops.log, ops.log2, ops.log10, ops.log1p, ops.sqrt)},
    **{row: row.name for row in (ops.cbrt, ops.sin, ops.cos, ops.tan, ops.sinh, ops.cosh, ops.tanh, ops.hypot)},
    **{row: "arc" + row.name[1:] for row in (ops.asin, ops.acos, ops.atan, ops.atan2, ops.asinh, ops.acosh, ops.atanh)},
    ops.pow: "power",
    ops.abs: "abs",
}


def on_arrays(op: Operation) -> Callable[..., Any]:
    """A row as a function of arrays and floats.

    >>> import numpy as np
    >>> on_arrays(ops.relu)(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    import numpy as np

    if op in NUMPY:
        return getattr(np, NUMPY[op])  # type: ignore[no-any-return]
    return _written().get(op) or functools.partial(_elementwise, op)


def _elementwise(op: Operation, *operands: Any) -> Any:
    """A row without a function of arrays: its ``forward``, element by element."""
    import numpy as np

    columns = np.broadcast_arrays(*op.flat(operands))
    rows = zip(*[column.ravel().tolist() for column in columns], strict=True)
    return np.array([float(op.forward(*op.columns(row))) for row in rows]).reshape(columns[0].shape)


@functools.cache
def _written() -> dict[Operation, Callable[..., Any]]:
    """Rows that branch, and n-ary ones: as the functions in ``operations``, with ``where`` for ``if``."""
    import numpy as np

    where, exp, nan = np.where, np.exp, np.isnan

    def sigmoid(x: Any) -> Any:
        e = exp(-abs(x))  # never overflows
        return where(x >= 0.0, 1.0, e) / (1.0 + e)

    def maximum(x: Any, y: Any) -> Any:
        return where((x > y) | nan(x), x, y)

    def relu(x: Any) -> Any:
        return where(x <= 0.0, 0.0, x)

    def fsum(values: Iterable[Any]) -> Any:
        return functools.reduce(operator.add, values, 0.0)  # as math.fsum, never -0.0

    def logsumexp(values: Sequence[Any]) -> Any:
        largest = functools.reduce(maximum, values)
        return largest + np.log(fsum([exp(x - largest) for x in values]))

    return {
        ops.sign: lambda x: where((x == 0.0) | nan(x), x, np.copysign(1.0, x)),
        ops.step: lambda x: where(nan(x), x, x > 0.0),
        ops.nonzero: lambda x: where(nan(x), x, x != 0.0),
        ops.maximum: maximum,
        ops.minimum: lambda x, y: where((x < y) | nan(x), x, y),
        ops.where: lambda c, x, y: where(nan(c), c, where(c != 0.0, x, y)),
        ops.relu: relu,
        ops.leaky_relu: lambda x, alpha: where(x <= 0.0, alpha, 1.0) * x,
        ops.sigmoid: sigmoid,
        ops.softplus: lambda x: relu(x) + np.log1p(exp(-abs(x))),
        ops.fsum: fsum,
        ops.sumprod: lambda p, q: fsum(map(operator.mul, p, q)),
        ops.logsumexp: logsumexp,
    }
