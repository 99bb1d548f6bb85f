"""The pictures of the README, drawn into ``examples/pictures/`` by ``make pictures``."""

from pathlib import Path

from autograd import Value, label_from
from viz import save

FOLDER = Path(__file__).parent / "pictures"


def neuron() -> None:
    """One neuron: every learner of micrograd knows its numbers."""
    x1, x2 = Value(2.0), Value(0.0)
    w1, w2, b = Value(-3.0), Value(1.0), Value(6.8813735870195432)
    n = x1 * w1 + x2 * w2 + b
    o = n.tanh()
    label_from(locals())
    o.backward()
    save(o, FOLDER / "neuron.svg", parameters=[w1, w2, b])


def reuse() -> None:
    """A value used twice collects both gradients."""
    a, b = Value(-2.0), Value(3.0)
    d = a * b
    e = a + b
    f = d * e
    label_from(locals())
    f.backward()
    save(f, FOLDER / "reuse.svg", title="A value used twice collects both gradients")


def main() -> None:
    """Draw them all."""
    neuron()
    reuse()


if __name__ == "__main__":
    main()
