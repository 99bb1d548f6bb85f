"""Scalar reverse-mode automatic differentiation on a computational graph.

>>> from autograd import Value
>>> x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(6.88, label="b")
>>> o = (x * w + b).tanh()
>>> o.backward()
>>> round(x.grad, 4)
-1.5029
"""

# fmt: off
from autograd.calculus import derivative, grad, gradcheck, gradient, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from autograd.context import name_scope, no_grad
from autograd.graph import Graph
from autograd.jit import jit
from autograd.program import Program
from autograd.operations import (  # in the order of the table
    Operation, add, sub, mul, div, neg, pow, abs, sign, step, nonzero, maximum, minimum, where,
    exp, exp2, expm1, log, log2, log10, log1p, sqrt, cbrt, sin, cos, tan, asin, acos, atan, atan2,
    sinh, cosh, tanh, asinh, acosh, atanh, hypot, erf, erfc, sigmoid, relu, leaky_relu, softplus,
    fsum, sumprod, logsumexp, prod,
)
from autograd.symbol import Symbol
from autograd.value import Constant, Value, label_from

__all__ = [  # noqa: RUF022
    "Value", "Constant", "Graph", "Program", "Symbol", "no_grad", "name_scope", "label_from",
    "gradient", "grad", "value_and_grad", "derivative", "jacobian", "hessian", "jvp", "vjp", "hvp", "gradcheck", "jit",
    "Operation", "add", "sub", "mul", "div", "neg", "pow", "abs", "sign", "step", "nonzero", "maximum", "minimum", "where",
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "hypot", "erf", "erfc", "sigmoid", "relu", "leaky_relu", "softplus",
    "fsum", "sumprod", "logsumexp", "prod",
]


def __dir__() -> list[str]:
    return __all__
