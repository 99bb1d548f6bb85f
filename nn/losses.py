"""What training makes small."""

from __future__ import annotations

from collections.abc import Sequence

from autograd import Value, logsumexp


def cross_entropy(logits: Sequence[Value], target: int) -> Value:
    """−log softmax(a)_d = log Σ_k exp(a_k) − a_d, for one example.

    The softmax is part of the loss, as in PyTorch: its gradient is ∂L/∂a = softmax(a) − y, and it
    is finite for any finite logits.

    Args:
        logits: a, one per class.
        target: d, the number of the right class.

    Raises:
        ValueError: if there is no such class.

    >>> a = [Value(1.0), Value(2.0)]
    >>> loss = cross_entropy(a, 1)
    >>> loss.backward()
    >>> [round(x.grad, 4) for x in a]
    [0.2689, -0.2689]
    """
    if target not in range(len(logits)):
        raise ValueError(f"target {target!r} is not one of the {len(logits)} classes 0 … {len(logits) - 1}")
    return logsumexp(logits) - logits[target]
