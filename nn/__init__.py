"""Small networks on top of autograd: layers, losses, optimisers and a training loop."""

from nn.layers import MLP, Layer, Neuron
from nn.losses import cross_entropy
from nn.module import Module
from nn.optimizers import SGD
from nn.training import History, fit

__all__ = ["MLP", "SGD", "History", "Layer", "Module", "Neuron", "cross_entropy", "fit"]
