"""nn against numbers that PyTorch computed in float64: see data/make_nn_reference.py."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import nn
from autograd import Value
from nn import MLP, clip_grad_norm_, clip_grad_value_, fit, initializers, schedules

REFERENCE = json.loads((Path(__file__).parent / "data" / "nn_reference.json").read_text(encoding="utf-8"))


def close(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Whether numbers agree to 1e-12, relative to those larger than 1e-3."""
    return all(abs(x - y) <= 1e-12 * max(1e-3, abs(y)) for x, y in zip(xs, ys, strict=True))


def flat(tree: Any) -> list[float]:
    """The numbers of nested lists."""
    return [x for branch in tree for x in flat(branch)] if isinstance(tree, list) else [tree]


def network(case: dict[str, Any]) -> MLP:
    """The network of a case, with its weights."""
    nin, *nouts = case["sizes"]
    model = MLP(nin, nouts, case["activation"], case["output"])
    for layer, rows, biases in zip(model.layers, case["weights"], case["biases"], strict=True):
        for neuron, row, bias in zip(layer.neurons, rows, biases, strict=True):
            for w, x in zip(neuron.w, row, strict=True):
                w.data = x
            assert neuron.b is not None
            neuron.b.data = bias
    return model


@pytest.mark.parametrize("case", REFERENCE["networks"], ids=lambda case: f"{case['sizes']}-{case['activation']}")
def test_network(case: dict[str, Any]) -> None:
    """Outputs, loss, and the gradients by weights, biases and inputs."""
    model, loss = network(case), getattr(nn, case["loss"])
    xs = [[Value(x) for x in example] for example in case["x"]]
    outputs = [model(x) for x in xs]
    assert close(flat([[y.data for y in ([o] if isinstance(o, Value) else o)] for o in outputs]), flat(case["outputs"]))
    mean = loss(outputs, case["targets"], reduction="mean")
    assert close([mean.data], [case["value"]])
    mean.backward()
    neurons = [neuron for layer in model.layers for neuron in layer.neurons]
    assert close([w.grad for neuron in neurons for w in neuron.w], flat(case["weight_grads"]))
    assert close([neuron.b.grad for neuron in neurons if neuron.b], flat(case["bias_grads"]))
    assert close([x.grad for example in xs for x in example], flat(case["input_grads"]))


@pytest.mark.parametrize("case", REFERENCE["losses"], ids=lambda case: case["name"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_loss(case: dict[str, Any], reduction: str) -> None:
    """Value and gradient of every loss over a batch, tails included."""

    def values(tree: Any) -> Any:
        return [values(branch) for branch in tree] if isinstance(tree, list) else Value(tree)

    inputs = values(case["inputs"])
    total = getattr(nn, case["name"])(inputs, case["targets"], reduction=reduction)
    assert close([total.data], [case[reduction]])
    total.backward()
    assert close([x.grad for x in flat(inputs)], flat(case[f"{reduction}_grads"]))  # type: ignore[attr-defined]


def schedule_of(options: dict[str, Any]) -> schedules.Schedule:
    """PyTorch's scheduler of that name."""
    return {
        "constant": lambda: schedules.constant(),
        "StepLR": lambda: schedules.step(options["step_size"], options["gamma"]),
        "ExponentialLR": lambda: schedules.exponential(options["gamma"]),
        "CosineAnnealingLR": lambda: schedules.cosine(options["T_max"]),
        "LinearLR": lambda: schedules.linear(options["total_iters"], options["end_factor"]),
    }[options["name"]]()


RUNS = REFERENCE["optimizers"]["runs"]


@pytest.mark.parametrize(
    "run", RUNS, ids=[f"{j}-{r['optimizer']['name']}-{r['schedule']['name']}" for j, r in enumerate(RUNS)]
)
def test_fifty_steps(run: dict[str, Any]) -> None:
    """Losses, rates and final parameters of 50 steps by ``fit``, from the same weights."""
    problem = REFERENCE["optimizers"]
    model = network(problem)
    options = dict(run["optimizer"])
    optimizer = getattr(nn, options.pop("name"))(model.parameters(), **options)
    rates: list[float] = []

    def measure(model: Any, data: Any) -> float:
        rates.append(optimizer.lr)
        return 0.0

    history = fit(
        model,
        getattr(nn, problem["loss"]),
        list(zip(problem["x"], problem["targets"], strict=True)),
        optimizer,
        epochs=50,
        schedule=schedule_of(run["schedule"]),
        metric=measure,
        progress=False,
    )
    assert close(rates, run["lrs"])
    assert close([history.losses[j] for j in problem["loss_steps"]], run["losses"])
    assert close([p.data for p in model.parameters()], run["parameters"])


def test_clipping() -> None:
    """By norm, which is returned, and by value."""
    case = REFERENCE["clipping"]

    def parameters() -> list[Value]:
        made = [Value(0.0) for _ in case["grads"]]
        for p, g in zip(made, case["grads"], strict=True):
            p.grad = g
        return made

    for norm in case["norm"]:
        ps = parameters()
        assert close([clip_grad_norm_(ps, norm["max_norm"])], [norm["total_norm"]])
        assert close([p.grad for p in ps], norm["clipped"])
    for value in case["value"]:
        ps = parameters()
        clip_grad_value_(ps, value["clip_value"])
        assert close([p.grad for p in ps], value["clipped"])


@pytest.mark.parametrize("case", REFERENCE["initializers"], ids=lambda case: case["name"])
def test_initialiser(case: dict[str, Any]) -> None:
    """The bound, or the standard deviation, that PyTorch draws with."""

    class Fixed:
        """A source of numbers that always gives the largest, or one standard deviation."""

        def uniform(self, low: float, high: float) -> float:
            return high

        def gauss(self, mean: float, deviation: float) -> float:
            return mean + deviation

    source: Any = Fixed()
    drawn = getattr(initializers, case["name"])(source, case["fan_in"], case["fan_out"])
    assert close([drawn], [case["bound"] if "bound" in case else case["std"]])
