"""What mutation begins with: valid inputs of every target, the words of its language, and changes of JSON."""

import copy
import functools
import json
import math
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nn
from autograd.operations import table
from tests.fuzzing.targets import OPTIMIZERS, training

EXPRESSIONS = [
    "tanh(x*w + b)",
    "x**2 - 3·y/(1.5e-3 + z) − −z**-2",
    "n = x*y + 1; o = tanh(n)\np = o**2 # a comment\np/2",
    "fsum([x, y, z]) + sumprod([x, 2], [y, 3]) * logsumexp([x, y]) - prod([x, 4])",
    "where(x, maximum(y, z), leaky_relu(x, 0.1)) + abs(-(y)) + pi",
    "sqrt(x)*log(z)/exp(y)",
]


@functools.cache
def networks() -> list[bytes]:
    """Files of nn.save: whole networks, and parameters only."""
    models = [nn.MLP(2, [2, 1], "tanh"), nn.MLP(1, [2, 2], output="softmax"), nn.MLP(2, [1], bias="input", expand=True)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        return [nn.save(model, path).read_bytes() for model in (*models, nn.Layer(2, 2, rng=random.Random(0)))]


@functools.cache
def checkpoints() -> list[bytes]:
    """Files of nn.fit, one per optimiser."""
    files = []
    for optimizer in range(len(OPTIMIZERS)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint"
            training(path, optimizer, 2)
            files.append(path.read_bytes())
    return files


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "expression": lambda: [text.encode() for text in EXPRESSIONS],
    "command": lambda: (
        [
            "\0".join([text, "x=2", "w=-3", "b=6.88", *options]).encode()
            for text, options in zip(
                EXPRESSIONS, (["--check"], ["--explain", "x"], ["--tree"], ["--table"]), strict=False
            )
        ]
        + [b"x*y\0x=1\0y = 2", b"--\0-x\0x=1"]
    ),
    "network": networks,
    "checkpoint": checkpoints,
    "csv": lambda: [b"a,b,y\n1,2,p\n3,-4.5e1,q\n", 'a,y\r\n"1", "x ""q"" "\r\n2,é\r\n'.encode()],
}
_JSON = ["null", "true", "-1", "1e999", "NaN", "[]", "{}", "0.0", '""']
WORDS = {
    "expression": [*table, "prod", "pi", "**", "([", "])", "; ", "e-3", "\n"],
    "command": ["--explain", "--tree", "--table", "--check", "--title", "--version", "--help", "=inf", "=nan", *table],
    "network": _JSON,
    "checkpoint": _JSON,
    "csv": ['""', '","', "\r\n", "nan", "1e999"],
}
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    -1e308,
    10**400,
    2**63,
    float("nan"),
    float("inf"),
    "",
    "x" * 300,
    [],
    {},
    [[]],
]


def mutated_json(data: bytes, size: int, seed: int) -> bytes:
    """Another file: one thing in it is removed, doubled, renamed or something else; or bytes are changed."""
    import atheris

    rng = random.Random(seed)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or rng.random() < 0.3:
        return bytes(atheris.Mutate(data, size))
    changed(content, rng)
    return json.dumps(content).encode()[:size]


def changed(content: Any, rng: random.Random) -> None:
    """Change one thing in nested lists and dictionaries, in place."""
    places = [
        (held, key) for held in containers(content) for key in (held if isinstance(held, dict) else range(len(held)))
    ]
    if not places:
        return
    held, key = rng.choice(places)
    match rng.randrange(4):
        case 0:
            del held[key]
        case 1 if isinstance(held, list):
            held.append(copy.deepcopy(held[key]))
        case 1:
            held[rng.choice(["", "x", *map(str, held)])] = held.pop(key)
        case 2 if type(held[key]) in (int, float):
            held[key] = rng.choice([-held[key], 0, 1e300, math.nan, math.inf])
        case _:
            held[key] = copy.deepcopy(rng.choice(ODD))  # or it might be put into itself


def containers(content: Any) -> list[Any]:
    """All lists and dictionaries within one."""
    found = [content]
    for held in found:
        inner = held.values() if isinstance(held, dict) else held
        found += [x for x in inner if isinstance(x, (list, dict))]
    return found
