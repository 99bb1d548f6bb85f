"""Train a classifier on 150 real flowers, draw one neuron's gradient flow, and write out the chain rule.

Run it with ``make demo``, or ``python examples/iris.py``.  Pictures go to ``out/``.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from autograd import Graph, Value
from nn import MLP, SGD, accuracy, cross_entropy, data, fit
from viz import explain, save

HERE = Path(__file__).parent
FEATURES = ["sepal length", "sepal width", "petal length", "petal width"]
FLOWERS, SPECIES = data.load_csv(HERE / "data" / "iris.csv", target="species")


def prepared(seed: int) -> tuple[list[data.Example[int]], list[data.Example[int]]]:
    """120 flowers to train on and 30 to test, standardised by the mean and deviation of the former."""
    training, test = data.split(FLOWERS, 0.8, seed=seed)
    standardise = data.Standardizer(training)
    return standardise(training), standardise(test)


def train(seed: int) -> tuple[MLP, float]:
    """A trained network and its accuracy on the test flowers."""
    training, test = prepared(seed)
    model = MLP(4, [8, 3], activation="tanh", seed=seed)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(model, cross_entropy, training, optimizer, epochs=40, batch_size=16, seed=seed)
    return model, accuracy(model, test)


def check(loss: Value, weight: Value) -> float:
    """∂loss/∂weight by finite differences: the same graph, run forward with the weight moved both ways."""
    graph, w, h = Graph(loss), weight.data, 1e-5
    graph.forward({weight: w + h})
    above = loss.data
    graph.forward({weight: w - h})
    below = loss.data
    graph.forward({weight: w})
    return (above - below) / (2.0 * h)


def main() -> None:
    print(f"{len(FLOWERS)} flowers, {len(FEATURES)} measurements, species: {', '.join(SPECIES)}")
    print("MLP 4-8-3, tanh, cross-entropy; SGD with momentum 0.9, mini-batches of 16, 40 epochs\n")
    models, accuracies = zip(*(train(seed) for seed in range(5)), strict=True)
    for seed, share in enumerate(accuracies):
        print(f"  seed {seed}: test accuracy {share:.3f}")
    print(f"  mean of {len(accuracies)}: {statistics.mean(accuracies):.3f}\n")

    # One flower, the one that the first network finds hardest, and the gradient of its loss.
    model, (_, test) = models[0], prepared(0)
    measurements, target = max(test, key=lambda example: cross_entropy(model(example[0]), example[1]).data)
    inputs = [Value(x, label=name) for x, name in zip(measurements, FEATURES, strict=True)]
    loss = cross_entropy(model(inputs), target)
    loss.label = "loss"
    model.zero_grad()
    loss.backward()
    graph = Graph(loss)
    hidden = {neuron.name: neuron for neuron in model.layers[0].neurons}
    output = max((node for node in graph if node.label in hidden), key=lambda node: abs(node.grad))

    picture = save(output, out("iris-neuron.svg"))
    weight = max(hidden[output.label].w, key=lambda w: abs(w.grad))
    print(f"One {SPECIES[target]}, {graph!r}\n")
    derivation = explain(loss, weight)
    out("iris-derivation.txt").write_text(f"{derivation}\n", encoding="utf-8")
    print(derivation)
    numeric = check(loss, weight)
    print(f"\ncheck: backward found {weight.grad:.10f}, finite differences {numeric:.10f}")
    print(f"the difference is {abs(weight.grad - numeric):.1e}\n")
    print(f"The gradient flow through {output.label}: {picture}")
    print(f"The derivation:                {out('iris-derivation.txt')}")


def out(name: str) -> Path:
    """Where a result goes: the folder ``out`` beside this one."""
    folder = HERE.parent / "out"
    folder.mkdir(exist_ok=True)
    return (folder / name).relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder / name


if __name__ == "__main__":
    main()
