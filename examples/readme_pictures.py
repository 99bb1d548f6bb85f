"""The pictures of the README, drawn into ``examples/pictures/`` by ``make pictures``."""

from pathlib import Path

from autograd import Value, fsum, label_from
from nn import MLP, binary_cross_entropy_with_logits, initializers
from nn.data import moons
from viz import network, save

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


def vanishing() -> None:
    """Ten layers of sigmoids: the gradient fades from layer to layer."""
    model = MLP(2, [6] * 9 + [1], "sigmoid", init=initializers.xavier_uniform, seed=1)
    losses = [binary_cross_entropy_with_logits(model(x), y) for x, y in moons(20)]
    loss = fsum(losses) / len(losses)
    loss.label = "loss"
    loss.backward()
    network(loss).save(FOLDER / "vanishing.svg")


def main() -> None:
    """Draw them all."""
    neuron()
    reuse()
    vanishing()


if __name__ == "__main__":
    main()
