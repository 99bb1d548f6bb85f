"""Write reference.json: values and derivatives by PyTorch, which JAX has to confirm, to test autograd against.

    python tests/data/make_reference.py

The interpreter needs PyTorch and JAX; last run with torch 2.13.0 and jax 0.10.2, both in float64 on
the CPU.  Nothing here imports autograd: what an operation means is said once more, by each oracle.

An expression is data: the numbers at its leaves, and its nodes as ``[operation, operand, …]``.  An
operand is the index of an earlier leaf or node, or ``{"const": c}``.  The columns of an n-ary
operation stand end to end.  The last node is the output.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeVar

Operand = int | dict[str, float]
Node = list[Any]
Rows = dict[str, Callable[..., Any]]

SEED = 20
GRAPHS = 64
SMALLEST, LARGEST = 5, 200
LARGEST_WITH_SECOND = 60


# The oracles.


class Derivatives(NamedTuple):
    """What an oracle says about a function at a point."""

    value: float
    grad: list[float]
    second: list[float]  # the Hessian times (1, …, 1)


@dataclass(frozen=True)
class Oracle:
    """Operations as a framework has them, and how it differentiates a function of a list of its numbers."""

    rows: Rows
    derivatives: Callable[[Callable[[list[Any]], Any], Sequence[float]], Derivatives]


def columns(values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The two columns of a sumprod."""
    half = len(values) // 2
    return values[:half], values[half:]


def torch_oracle() -> Oracle:
    """PyTorch: the Hessian-vector product as the gradient of the sum of the gradient."""
    import torch  # type: ignore[import-not-found]

    torch.set_default_dtype(torch.float64)
    f = torch.nn.functional
    same_name = (
        "add sub mul div neg pow abs sign maximum minimum exp exp2 expm1 log log2 log10 log1p sqrt sin cos tan "
        "asin acos atan atan2 sinh cosh tanh asinh acosh atanh hypot erf erfc sigmoid relu"
    )
    rows = {name: getattr(torch, name) for name in same_name.split()} | {
        "cbrt": lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3),
        "fsum": lambda *xs: torch.stack(xs).sum(),
        "leaky_relu": lambda x, alpha: torch.where(x > 0, x, alpha * x),
        "logsumexp": lambda *xs: torch.logsumexp(torch.stack(xs), 0),
        "nonzero": lambda x: torch.abs(torch.sign(x)),
        "softplus": f.softplus,
        "step": lambda x: torch.relu(torch.sign(x)),
        "sumprod": lambda *xs: torch.dot(*map(torch.stack, columns(xs))),
        "where": lambda c, x, y: torch.where(c != 0, x, y),
    }

    def derivatives(function: Callable[[list[Any]], Any], at: Sequence[float]) -> Derivatives:
        xs = [torch.tensor(x, requires_grad=True) for x in at]
        z = function(xs)
        grad = torch.autograd.grad(z, xs, create_graph=True, materialize_grads=True)
        total = torch.stack(grad).sum()
        second = (
            torch.autograd.grad(total, xs, materialize_grads=True) if total.requires_grad else [0.0 * x for x in xs]
        )
        return Derivatives(z.item(), [g.item() for g in grad], [s.item() for s in second])

    return Oracle({name: numbers(row, torch.tensor) for name, row in rows.items()}, derivatives)


def jax_oracle() -> Oracle:
    """JAX: the Hessian-vector product as the forward-mode derivative of the reverse-mode gradient."""
    import jax  # type: ignore[import-not-found]

    jax.config.update("jax_enable_x64", True)
    jnp, nn = jax.numpy, jax.nn
    same_name = (
        "abs sign maximum minimum exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan sinh cosh tanh hypot "
        "add divide subtract multiply negative power arcsin arccos arctan arctan2 arcsinh arccosh arctanh"
    )
    short = {"divide": "div", "subtract": "sub", "multiply": "mul", "negative": "neg", "power": "pow"}
    rows = {short.get(name, name.replace("arc", "a")): getattr(jnp, name) for name in same_name.split()} | {
        "erf": jax.scipy.special.erf,
        "erfc": jax.scipy.special.erfc,
        "fsum": lambda *xs: jnp.sum(jnp.stack(xs)),
        "leaky_relu": lambda x, alpha: jnp.where(x > 0, x, alpha * x),
        "logsumexp": lambda *xs: nn.logsumexp(jnp.stack(xs)),
        "nonzero": lambda x: jnp.abs(jnp.sign(x)),
        "relu": nn.relu,
        "sigmoid": nn.sigmoid,
        "softplus": nn.softplus,
        "step": lambda x: nn.relu(jnp.sign(x)),
        "sumprod": lambda *xs: jnp.dot(*map(jnp.stack, columns(xs))),
        "where": lambda c, x, y: jnp.where(c != 0, x, y),
    }

    def derivatives(function: Callable[[list[Any]], Any], at: Sequence[float]) -> Derivatives:
        xs = [jnp.asarray(x) for x in at]
        value = function(xs)
        grad, second = jax.jvp(jax.grad(function), (xs,), ([jnp.ones_like(x) for x in xs],))
        return Derivatives(float(value), [float(g) for g in grad], [float(s) for s in second])

    return Oracle({name: numbers(row, jnp.asarray) for name, row in rows.items()}, derivatives)


def numbers(row: Callable[..., Any], tensor: Callable[[float], Any]) -> Callable[..., Any]:
    """A row that also takes plain numbers."""
    return lambda *operands: row(*[tensor(x) if isinstance(x, float) else x for x in operands])


def built(rows: Rows, nodes: Sequence[Node], leaves: Sequence[Any]) -> list[Any]:
    """All nodes of an expression, leaves first, in the numbers that the leaves are."""
    found = list(leaves)
    for name, *operands in nodes:
        found.append(rows[name](*[x["const"] if isinstance(x, dict) else found[x] for x in operands]))
    return found


def at(oracle: Oracle, nodes: Sequence[Node], leaves: Sequence[float]) -> Derivatives:
    """What an oracle says about an expression."""
    return oracle.derivatives(lambda xs: built(oracle.rows, nodes, xs)[-1], leaves)


def confirmed(torch: Oracle, jax: Oracle, nodes: Sequence[Node], leaves: Sequence[float]) -> Derivatives:
    """PyTorch's numbers, once JAX has found the same."""
    told, again = at(torch, nodes, leaves), at(jax, nodes, leaves)
    for x, y in zip([told.value, *told.grad, *told.second], [again.value, *again.grad, *again.second], strict=True):
        assert abs(x - y) <= 1e-11 * max(1.0, abs(x)), (nodes, leaves, x, y)
    return told


# Random expressions.


class UnsuitableError(Exception):
    """A number that is too large, or too near a kink."""


ANY, BOUNDED, POSITIVE, LARGE, TRUTH = "any", "bounded", "positive", "large", "truth"

T = TypeVar("T")


def each(*groups: tuple[str, T]) -> dict[str, T]:
    """What is said of several operations at once, by operation."""
    return {name: said for names, said in groups for name in names.split()}


#: What each operation wants its operands to be; the n-ary ones take any number of them.
WANTS: dict[str, list[str]] = each(
    ("neg abs cbrt sin cos atan tanh asinh erf erfc sigmoid relu softplus", [ANY]),
    ("exp exp2 expm1 log1p tan asin acos sinh cosh atanh", [BOUNDED]),
    ("log log2 log10 sqrt", [POSITIVE]),
    ("acosh", [LARGE]),
    ("add sub mul maximum minimum atan2 hypot", [ANY, ANY]),
    ("div", [ANY, POSITIVE]),
    ("pow", [POSITIVE, BOUNDED]),
    ("leaky_relu", [ANY, BOUNDED]),
    ("where", [TRUTH, ANY, ANY]),
    ("fsum sumprod logsumexp", []),
)

#: How far an operand is from where the operation has a kink, a pole or a jump.
DISTANCE: dict[str, Callable[..., float]] = each(
    ("abs relu leaky_relu step cbrt", lambda x, *others: abs(x)),
    ("maximum minimum", lambda x, y: abs(x - y)),
    ("atan2 hypot", lambda y, x: abs(y)),
)


class Expression:
    """An expression that grows node by node, with its values so far."""

    def __init__(self, rows: Rows, random: Random, leaves: int) -> None:
        self.rows, self.random = rows, random
        self.leaves = [round(random.uniform(-2.0, 2.0), 4) for _ in range(leaves)]
        self.nodes: list[Node] = []
        self.values = list(self.leaves)

    def __len__(self) -> int:
        return len(self.values)

    def node(self, name: str, *operands: Operand) -> int:
        """A new node, by its index."""
        at = [x["const"] if isinstance(x, dict) else self.values[x] for x in operands]
        z = float(self.rows[name](*at))
        if abs(z) > 12.0 or (name in DISTANCE and DISTANCE[name](*at) < 0.05):
            raise UnsuitableError
        self.nodes.append([name, *operands])
        self.values.append(z)
        return len(self) - 1

    def such_that(self, x: int, wanted: str) -> int:
        """A node made from x that lies where it is wanted, wherever x lies."""
        if wanted == ANY:
            return x
        if wanted == TRUTH:
            return self.node("step", x)
        if wanted == BOUNDED:
            return self.node("mul", self.node("tanh", x), constant(0.9))
        return self.node("add", self.node("mul", x, x), constant(1.0 if wanted == POSITIVE else 1.5))

    def unused(self) -> list[int]:
        """The nodes that are no operand yet."""
        used = {x for _, *operands in self.nodes for x in operands if isinstance(x, int)}
        return [j for j in range(len(self)) if j not in used]

    def operand(self) -> int:
        """A node to build on: as likely an unused one as one that is reused."""
        unused = self.unused()
        return self.random.choice(unused if unused and self.random.random() < 0.5 else range(len(self)))

    def grow(self, name: str) -> None:
        """Add an operation, and before it the nodes that keep its operands in its domain."""
        random = self.random
        wants = WANTS[name] or [ANY] * (2 * random.randint(2, 3))
        operands: list[Operand] = [self.operand() for _ in wants]
        if len(wants) > 1 and random.random() < 0.3:
            operands[random.randrange(len(wants))] = constant(round(random.uniform(0.2, 0.9), 4))
        if name == "pow" and random.random() < 0.5:  # a negative base has a power, if it is a whole one
            self.node(name, self.operand(), constant(random.choice([2.0, 3.0])))
        else:
            pairs = zip(operands, wants, strict=True)
            self.node(name, *[self.such_that(x, wanted) if isinstance(x, int) else x for x, wanted in pairs])


def constant(c: float) -> Operand:
    """A number as an operand."""
    return {"const": c}


def expression(rows: Rows, random: Random, size: int, names: list[str]) -> Expression:
    """A random expression of about ``size`` nodes, made of the next operations of an endless list."""
    found = Expression(rows, random, leaves=random.randint(2, min(size // 2, 6)))
    while len(found) < size - 1:
        before = len(found)
        try:
            found.grow(names[-1])
        except UnsuitableError:  # take other operands
            del found.nodes[before - len(found.leaves) :], found.values[before:]
        else:
            names.pop()
            if not names:
                names += random.sample(list(WANTS), len(WANTS))
    found.nodes.append([random.choice(["fsum", "logsumexp"]), *found.unused()])
    return found


def graphs(torch: Oracle, jax: Oracle) -> list[dict[str, Any]]:
    """Random expressions from small to large, in which every operation occurs often."""
    random = Random(SEED)
    names = list(WANTS)
    found: list[dict[str, Any]] = []
    for j in range(GRAPHS):
        size = round(SMALLEST * (LARGEST / SMALLEST) ** (j / (GRAPHS - 1)))
        drawn = expression(torch.rows, random, size, names)
        there = confirmed(torch, jax, drawn.nodes, drawn.leaves)
        assert max(map(abs, [there.value, *there.grad])) < 1e6
        graph = {"leaves": drawn.leaves, "nodes": drawn.nodes, "value": there.value, "grad": there.grad}
        found.append(graph | ({"second": there.second} if len(drawn) <= LARGEST_WITH_SECOND else {}))
    for name in WANTS:
        assert sum(any(node[0] == name for node in graph["nodes"]) for graph in found) >= 5, name
    return found


# Single operations, at the edges of their domain.


def alone(name: str, point: Sequence[float]) -> list[Node]:
    """The expression of one operation, with a leaf for each operand."""
    return [[name, *range(len(point))]]


KINKS: list[tuple[str, list[float]]] = [
    ("relu", [0.0]),
    ("leaky_relu", [0.0, 0.01]),
    ("abs", [0.0]),
    ("sign", [0.0]),
    ("step", [0.0]),
    ("nonzero", [0.0]),
    ("maximum", [1.0, 1.0]),
    ("minimum", [1.0, 1.0]),
    ("pow", [0.0, 0.0]),
    ("pow", [2.0, 0.0]),
    ("pow", [-2.0, 0.0]),
    ("pow", [0.0, 2.0]),
    ("pow", [0.0, 1.0]),
    ("pow", [0.0, 0.5]),
    ("pow", [-2.0, 3.0]),
    ("sqrt", [0.0]),
    ("where", [0.0, 2.0, 3.0]),
    ("where", [1.0, 2.0, 3.0]),
    ("hypot", [0.0, 0.0]),
    ("atan2", [0.0, 0.0]),
    ("atan2", [0.0, -1.0]),
    ("asin", [1.0]),
    ("asin", [-1.0]),
    ("acos", [1.0]),
    ("acos", [-1.0]),
    ("acosh", [1.0]),
    ("relu", [math.nan]),
    ("abs", [math.nan]),
    ("maximum", [math.nan, 1.0]),
    ("maximum", [1.0, math.nan]),
    ("minimum", [math.nan, 1.0]),
    ("minimum", [1.0, math.nan]),
]


def kinks(torch: Oracle) -> list[dict[str, Any]]:
    """PyTorch's conventions where a slope is one of several, infinite or undefined."""
    found = []
    for name, point in KINKS:
        there = at(torch, alone(name, point), point)
        found.append({"op": name, "at": point, "value": there.value, "slopes": there.grad})
    return found


# The expressions that micrograd is known by.


def readme(a: Any, b: Any) -> Any:
    """The example of micrograd's README, which is also its test of more operations."""
    c, d = a + b, a * b + b**3
    c = c + c + 1
    c = c + 1 + c - a
    d = d + 2 * d + (b + a).relu()
    d = d + 3 * d + (b - a).relu()
    f = (c - d) ** 2
    return f / 2.0 + 10.0 / f


def sanity_check(x: Any) -> Any:
    """The expression of micrograd's first test."""
    z = 3 * x + 2
    q = z.relu() + z * x
    return (z * z).relu() + q + q * x


def micrograd(torch: Oracle) -> dict[str, Any]:
    """Values and gradients of those expressions, where micrograd takes them."""

    def known(f: Callable[..., Any], *point: float) -> dict[str, Any]:
        there = torch.derivatives(lambda xs: f(*xs), point)
        return {"at": list(point), "value": there.value, "grad": there.grad}

    return {"readme": known(readme, -4.0, 2.0), "sanity_check": known(sanity_check, -4.0)}


def plain(x: Any) -> Any:
    """Data as JSON has it, which knows no nan and no infinities."""
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    if isinstance(x, list):
        return [plain(value) for value in x]
    return repr(x) if isinstance(x, float) and not math.isfinite(x) else x


def main() -> None:
    """Write reference.json beside this file."""
    torch, jax = torch_oracle(), jax_oracle()
    reference = {
        "graphs": graphs(torch, jax),
        "kinks": kinks(torch),
        "micrograd": micrograd(torch),
    }
    text = json.dumps(plain(reference), indent=1, sort_keys=True, allow_nan=False) + "\n"
    assert len(text) < 300_000, len(text)
    Path(__file__).with_name("reference.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
