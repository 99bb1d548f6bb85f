"""Small networks on top of autograd: layers, losses, optimisers and a training loop."""

# fmt: off
from nn import data, initializers, schedules
from nn.health import batch_gradient, health, minibatch_gradients
from nn.layers import MLP, Layer, Neuron, softmax
from nn.losses import (
    absolute_error, binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy,
    cross_entropy_from_probabilities, half_squared_error, hinge, l1, l2, negative_log_likelihood, squared_error,
)
from nn.metrics import accuracy, confusion, predict
from nn.module import Module
from nn.optimizers import SGD, Adam, AdamW, Optimizer, clip_grad_norm_, clip_grad_value_
from nn.storage import load, save
from nn.training import History, fit

__all__ = [  # noqa: RUF022  # in the order above
    "data", "initializers", "schedules", "MLP", "Layer", "Neuron", "softmax",
    "absolute_error", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy",
    "cross_entropy_from_probabilities", "half_squared_error", "hinge", "l1", "l2", "negative_log_likelihood",
    "squared_error", "accuracy", "confusion", "predict", "Module",
    "SGD", "Adam", "AdamW", "Optimizer", "clip_grad_norm_", "clip_grad_value_", "load", "save", "History", "fit",
    "health", "batch_gradient", "minibatch_gradients",
]


def __dir__() -> list[str]:
    return __all__
