"""Write nn_reference.json: networks, losses and training by PyTorch, to test nn against.

    python tests/data/make_nn_reference.py

The interpreter needs PyTorch; last run with Python 3.11.7 and torch 2.13.0, in float64 on the CPU.
Nothing here imports autograd or nn: what they should compute is said once more, by PyTorch.

Weights are a list of rows for each layer, a row for each neuron.  A network's outputs are a list for each
example, also of a single number.  Everything stays away from kinks, and no gradient of a network is nearly 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

Tensor = Any
Loss = Callable[[Tensor, Any], Tensor]
Json = dict[str, Any]

SEED = 6
SLOPE = 0.01  # of leaky_relu, where it is negative
STEPS = 50
LOSS_STEPS = [0, 9, 19, 29, 39, 49]
DRAWS = 200_000


def float64_torch() -> Any:
    """PyTorch, such that it computes the same every time."""
    import torch  # type: ignore[import-not-found]

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    return torch


def draw(random: Random, *shape: int, low: float = -1.0, high: float = 1.0) -> Any:
    """Random numbers of four decimals, nested as the shape says."""
    if not shape:
        return round(random.uniform(low, high), 4)
    return [draw(random, *shape[1:], low=low, high=high) for _ in range(shape[0])]


# Losses.


def losses_of_one(torch: Any) -> dict[str, Loss]:
    """Each loss of one example: a function of the output, a tensor, and the target, as data."""
    f = torch.nn.functional

    def like(y: Tensor, target: Any) -> Tensor:
        return torch.tensor(target, dtype=y.dtype).reshape(y.shape)

    def binary_cross_entropy_with_logits(a: Tensor, target: float) -> Tensor:
        # PyTorch's own subtracts equal numbers in the tails, where this keeps every digit.
        d = like(a, target)
        loss = -(d * f.logsigmoid(a) + (1.0 - d) * f.logsigmoid(-a)).sum()
        assert torch.allclose(loss, f.binary_cross_entropy_with_logits(a, d), rtol=1e-14, atol=1e-14)
        return loss

    return {
        "absolute_error": lambda y, d: f.l1_loss(y, like(y, d), reduction="sum"),
        "binary_cross_entropy": lambda p, d: f.binary_cross_entropy(p, like(p, d), reduction="sum"),
        "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
        "cross_entropy": lambda a, d: f.cross_entropy(a, torch.tensor(d)),
        "cross_entropy_from_probabilities": lambda p, d: -torch.dot(like(p, d), torch.log(p)),
        "half_squared_error": lambda y, d: 0.5 * f.mse_loss(y, like(y, d), reduction="sum"),
        "hinge": lambda s, d: f.margin_ranking_loss(s, torch.zeros_like(s), like(s, d), margin=1.0),
        "negative_log_likelihood": lambda p, d: f.nll_loss(torch.log(p), torch.tensor(d)),
        "squared_error": lambda y, d: f.mse_loss(y, like(y, d), reduction="sum"),
    }


#: Batches: name, outputs, targets.
BATCHES: list[tuple[str, list[Any], list[Any]]] = [
    ("half_squared_error", [0.5, -1.25, 2.0, 0.3], [1.0, -0.5, 1.7, -0.4]),
    ("half_squared_error", [[0.5, -1.2, 0.9], [1.5, 0.1, -0.7], [-0.3, 0.8, 1.1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    ("squared_error", [0.5, -1.25, 2.0, 0.3], [1.0, -0.5, 1.7, -0.4]),
    ("squared_error", [[0.5, -1.2], [1.5, 0.1], [-0.3, 0.8]], [[0.2, -0.9], [1.1, 0.6], [-1.3, 0.4]]),
    ("absolute_error", [0.5, -1.25, 2.0, 0.3], [1.0, -0.5, 1.7, -0.4]),
    ("absolute_error", [[0.5, -1.2], [1.5, 0.1], [-0.3, 0.8]], [[0.2, -0.9], [1.1, 0.6], [-1.3, 0.4]]),
    ("cross_entropy", [[0.2, -1.1, 0.7], [1.5, 0.4, -0.3], [-2.0, 0.0, 2.0], [3.1, 2.9, 3.0]], [2, 1, 0, 1]),
    ("cross_entropy", [[0.6, -0.6], [-1.4, 0.9], [2.2, 2.5], [0.0, 0.0], [-3.0, 1.0]], [0, 0, 1, 1, 1]),
    ("cross_entropy", [[1e4, 0.0, -1e4], [1e4, 0.0, -1e4], [-1e4, -1e4, -9999.0]], [0, 2, 1]),
    (
        "cross_entropy_from_probabilities",
        [[0.2, 0.5, 0.3], [0.7, 0.1, 0.2], [0.05, 0.05, 0.9]],
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
    ),
    (
        "cross_entropy_from_probabilities",
        [[0.2, 0.5, 0.3], [0.7, 0.1, 0.2], [0.05, 0.05, 0.9], [0.25, 0.25, 0.5]],
        [[0.1, 0.6, 0.3], [0.8, 0.2, 0.0], [0.1, 0.2, 0.7], [0.0, 0.0, 1.0]],
    ),
    ("negative_log_likelihood", [[0.2, 0.5, 0.3], [0.7, 0.1, 0.2], [0.05, 0.05, 0.9], [0.4, 0.5, 0.1]], [1, 2, 0, 1]),
    ("negative_log_likelihood", [[0.2, 0.8], [0.65, 0.35], [0.999, 0.001]], [1, 1, 1]),
    ("binary_cross_entropy", [0.2, 0.8, 0.55, 0.01, 0.97], [0, 1, 0, 1, 1]),
    ("binary_cross_entropy_with_logits", [0.3, -1.2, 2.5, 0.0, -0.7], [1, 0, 0, 1, 1]),
    ("binary_cross_entropy_with_logits", [50.0, -50.0, 50.0, -50.0], [1, 0, 0, 1]),
    ("binary_cross_entropy_with_logits", [50.0, -50.0, 37.0, -37.0], [1, 0, 1, 0]),
    ("binary_cross_entropy_with_logits", [1e4, -1e4, 1e4, -1e4], [1, 0, 0, 1]),
    ("binary_cross_entropy_with_logits", [1e4, -1e4, 0.5], [1, 0, 1]),
    ("hinge", [0.25, 0.25, -1.5, 1.75, -2.0], [1, -1, 1, 1, -1]),
]


def losses(torch: Any) -> list[Json]:
    """Each loss of batches, reduced to the mean and to the sum, with the gradients of both."""
    of_one = losses_of_one(torch)
    found = []
    for name, inputs, targets in BATCHES:
        case: Json = {"name": name, "inputs": inputs, "targets": targets}
        for reduction in ("mean", "sum"):
            outputs = [torch.tensor(y, requires_grad=True) for y in inputs]
            each = torch.stack([of_one[name](y, d) for y, d in zip(outputs, targets, strict=True)])
            reduced = getattr(each, reduction)()
            reduced.backward()
            case[reduction] = reduced.item()
            case[f"{reduction}_grads"] = [y.grad.tolist() for y in outputs]
        found.append(case)
    assert {case["name"] for case in found} == set(of_one)
    return found


# Networks.


class Network:
    """A multi-layer perceptron and its data."""

    def __init__(self, torch: Any, case: Json) -> None:
        f = torch.nn.functional
        self.torch, self.case = torch, case
        self.weights = [torch.tensor(w, requires_grad=True) for w in case["weights"]]
        self.biases = [torch.tensor(b, requires_grad=True) for b in case["biases"]]
        self.x = torch.tensor(case["x"], requires_grad=True)
        self.preactivations: list[Tensor] = []  # of the hidden layers, in the last forward pass
        functions = {
            "leaky_relu": lambda a: f.leaky_relu(a, SLOPE),
            "linear": lambda a: a,
            "relu": f.relu,
            "sigmoid": torch.sigmoid,
            "softmax": lambda a: f.softmax(a, dim=1),
            "softplus": f.softplus,
            "tanh": torch.tanh,
        }
        self.activation, self.output = functions[case["activation"]], functions[case["output"]]
        self.loss_of_one = losses_of_one(torch)[case["loss"]]

    def parameters(self) -> list[Tensor]:
        """Weights and biases, layer by layer."""
        return [p for layer in zip(self.weights, self.biases, strict=True) for p in layer]

    def flat_parameters(self) -> list[float]:
        """All numbers: layer by layer, neuron by neuron, its weights and then its bias."""
        layers = zip(self.weights, self.biases, strict=True)
        return [p for w, b in layers for row, c in zip(w.tolist(), b.tolist(), strict=True) for p in [*row, c]]

    def outputs(self) -> Tensor:
        """The outputs for all examples."""
        linear = self.torch.nn.functional.linear
        h, self.preactivations = self.x, []
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            self.preactivations.append(linear(h, w, b))
            h = self.activation(self.preactivations[-1])
        return self.output(linear(h, self.weights[-1], self.biases[-1]))

    def loss(self, outputs: Tensor) -> Tensor:
        """The mean loss over the examples."""
        pairs = zip(outputs, self.case["targets"], strict=True)
        return self.torch.stack([self.loss_of_one(y, d) for y, d in pairs]).mean()


def drawn(random: Random, sizes: list[int], activation: str, output: str, loss: str, examples: int) -> Json:
    """A network with random numbers."""
    layers = list(pairwise(sizes))
    targets: dict[str, Callable[[], Any]] = {
        "half_squared_error": lambda: draw(random, sizes[-1]),
        "cross_entropy": lambda: random.randrange(sizes[-1]),
        "negative_log_likelihood": lambda: random.randrange(sizes[-1]),
        "binary_cross_entropy": lambda: random.randrange(2),
    }
    return {
        "sizes": sizes,
        "activation": activation,
        "output": output,
        "loss": loss,
        "weights": [draw(random, nout, nin) for nin, nout in layers],
        "biases": [draw(random, nout, low=-0.5, high=0.5) for _, nout in layers],
        "x": draw(random, examples, sizes[0], low=-2.0, high=2.0),
        "targets": [targets[loss]() for _ in range(examples)],
    }


def differentiated(torch: Any, case: Json) -> Json | None:
    """The network with its outputs, loss and gradients; nothing if a number is unsuitable."""
    network = Network(torch, case)
    outputs = network.outputs()
    value = network.loss(outputs)
    value.backward()
    grads = [p.grad for p in [*network.parameters(), network.x]]
    sizes = torch.cat([g.abs().flatten() for g in grads])
    distances = [a.abs().min() for a in network.preactivations if case["activation"] in ("relu", "leaky_relu")]
    if min(distances, default=1.0) < 0.02 or sizes.min() < 1e-3 or sizes.max() > 10.0:
        return None
    if len({str(d) for d in case["targets"]}) == 1:
        return None
    return case | {
        "outputs": outputs.tolist(),
        "value": value.item(),
        "weight_grads": [w.grad.tolist() for w in network.weights],
        "bias_grads": [b.grad.tolist() for b in network.biases],
        "input_grads": network.x.grad.tolist(),
    }


def suitable(torch: Any, random: Random, *case: Any) -> Json:
    """A network drawn again until all its numbers are suitable."""
    while not (found := differentiated(torch, drawn(random, *case))):
        pass
    return found


#: Sizes, activation of the hidden layers, output, loss, number of examples.
NETWORKS: list[tuple[list[int], str, str, str, int]] = [
    ([1, 1], "tanh", "linear", "half_squared_error", 3),
    ([1, 1], "tanh", "sigmoid", "binary_cross_entropy", 3),
    ([2, 3, 1], "tanh", "linear", "half_squared_error", 4),
    ([2, 3, 1], "softplus", "sigmoid", "binary_cross_entropy", 4),
    ([2, 3, 1], "leaky_relu", "sigmoid", "binary_cross_entropy", 4),
    ([3, 4, 2], "sigmoid", "linear", "half_squared_error", 4),
    ([3, 4, 2], "sigmoid", "sigmoid", "half_squared_error", 4),
    ([3, 4, 2], "relu", "softmax", "negative_log_likelihood", 4),
    ([4, 8, 3], "relu", "linear", "cross_entropy", 5),
    ([4, 8, 3], "tanh", "softmax", "negative_log_likelihood", 5),
    ([2, 5, 5, 2], "leaky_relu", "linear", "cross_entropy", 5),
    ([2, 5, 5, 2], "relu", "linear", "half_squared_error", 5),
    ([2, 5, 5, 2], "softplus", "softmax", "negative_log_likelihood", 5),
    ([3, 4, 4, 4, 1], "sigmoid", "linear", "half_squared_error", 4),
]


def networks(torch: Any) -> list[Json]:
    """Networks of several shapes, with all their gradients."""
    random = Random(SEED)
    return [suitable(torch, random, *case) for case in NETWORKS]


# Training.

OPTIMIZERS: list[Json] = [
    {"name": "SGD", "lr": 0.1},
    {"name": "SGD", "lr": 0.1, "momentum": 0.9},
    {"name": "SGD", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"name": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    {"name": "Adam", "lr": 0.01},
    {"name": "Adam", "lr": 0.01, "weight_decay": 0.01},
    {"name": "AdamW", "lr": 0.01, "weight_decay": 0.01},
    {"name": "Adam", "lr": 0.01, "betas": [0.8, 0.99], "eps": 1e-6},
]

SCHEDULES: list[Json] = [
    {"name": "constant"},
    {"name": "StepLR", "step_size": 10, "gamma": 0.5},
    {"name": "ExponentialLR", "gamma": 0.95},
    {"name": "CosineAnnealingLR", "T_max": 50},
    {"name": "LinearLR", "start_factor": 1.0, "end_factor": 0.1, "total_iters": 50},
]


def named(module: Any, of: Any, options: Json) -> Any:
    """An optimiser of parameters, or a schedule of an optimiser, with its options."""
    return getattr(module, options["name"])(of, **{key: option for key, option in options.items() if key != "name"})


def run(torch: Any, problem: Json, optimizer_options: Json, schedule_options: Json) -> Json:
    """A training of some steps, each with all examples."""
    network = Network(torch, problem)
    optimizer = named(torch.optim, network.parameters(), optimizer_options)
    constant = schedule_options["name"] == "constant"
    schedule = None if constant else named(torch.optim.lr_scheduler, optimizer, schedule_options)
    seen, lrs = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = network.loss(network.outputs())
        loss.backward()
        seen.append(loss.item())
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule:
            schedule.step()
    assert seen[-1] < seen[0]
    return {
        "optimizer": optimizer_options,
        "schedule": schedule_options,
        "losses": [seen[t] for t in LOSS_STEPS],
        "lrs": lrs,
        "parameters": network.flat_parameters(),
    }


def optimizers(torch: Any) -> Json:
    """One small problem, and every optimiser with every schedule on it."""
    problem = drawn(Random(SEED), [2, 3, 1], "tanh", "linear", "half_squared_error", 6)
    runs = [run(torch, problem, optimizer, schedule) for optimizer in OPTIMIZERS for schedule in SCHEDULES]
    return problem | {"loss_steps": LOSS_STEPS, "runs": runs}


# Clipping.

GRADS = [0.3, -1.2, 2.5, -0.05, 0.0, 0.7, -3.1]


def clipped(torch: Any, name: str, limit: float) -> tuple[Any, list[float]]:
    """What a clipping function returns for parameters with those gradients, and their gradients after it."""
    parameters = [torch.zeros((), requires_grad=True) for _ in GRADS]
    for p, g in zip(parameters, GRADS, strict=True):
        p.grad = torch.tensor(g)
    returned = getattr(torch.nn.utils, name)(parameters, limit)
    return returned, [p.grad.item() for p in parameters]


def clipping(torch: Any) -> Json:
    """Gradients clipped by their norm and by value."""
    by_norm = []
    for max_norm in (1.0, 100.0):
        norm, grads = clipped(torch, "clip_grad_norm_", max_norm)
        by_norm.append({"max_norm": max_norm, "total_norm": norm.item(), "clipped": grads})
    _, grads = clipped(torch, "clip_grad_value_", 0.5)
    return {"grads": GRADS, "norm": by_norm, "value": [{"clip_value": 0.5, "clipped": grads}]}


# Initialisers.


def initializers(torch: Any) -> list[Json]:
    """Bounds and standard deviations by PyTorch's formulas, once what it draws agrees."""
    init = torch.nn.init
    fan_in, fan_out = 4, 3
    xavier, kaiming = float(init.calculate_gain("linear")), float(init.calculate_gain("relu"))
    xavier_std, kaiming_std = xavier * math.sqrt(2.0 / (fan_in + fan_out)), kaiming / math.sqrt(fan_in)
    relu = {"a": 0, "mode": "fan_in", "nonlinearity": "relu"}
    rows: list[tuple[str, float, str, float, Json]] = [
        ("xavier_uniform", xavier, "bound", math.sqrt(3.0) * xavier_std, {}),
        ("xavier_normal", xavier, "std", xavier_std, {}),
        ("kaiming_uniform", kaiming, "bound", math.sqrt(3.0) * kaiming_std, relu),
        ("kaiming_normal", kaiming, "std", kaiming_std, relu),
    ]
    found = []
    for name, gain, measure, expected, options in rows:
        fill = getattr(init, f"{name}_")
        layers = [fill(torch.empty(fan_out, fan_in), **options) for _ in range(DRAWS // (fan_in * fan_out) + 1)]
        weights = torch.stack(layers)
        seen = weights.abs().max() if measure == "bound" else weights.std()
        assert abs(seen / expected - 1.0) < 0.01, (name, seen, expected)
        found.append({"name": name, "fan_in": fan_in, "fan_out": fan_out, "gain": gain, measure: expected})
    return found


def main() -> None:
    """Write nn_reference.json beside this file."""
    torch = float64_torch()
    reference = {
        "networks": networks(torch),
        "losses": losses(torch),
        "optimizers": optimizers(torch),
        "clipping": clipping(torch),
        "initializers": initializers(torch),
    }
    text = json.dumps(reference, indent=1, sort_keys=True, allow_nan=False) + "\n"
    assert len(text) < 400_000, len(text)
    Path(__file__).with_name("nn_reference.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
