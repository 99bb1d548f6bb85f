"""Networks in files: JSON with exact floats, never pickle."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar, overload

from autograd import files
from autograd.context import contained
from autograd.operations import printable
from nn.layers import MLP
from nn.module import Module

M = TypeVar("M", bound=Module)

FORMAT, VERSION = "gradgraph network", 1
_KINDS: dict[str, Any] = {
    "nin": int,
    "nouts": list,
    "activation": str,
    "output": str,
    "bias": (bool, str),
    "expand": bool,
}


def save(model: Module, path: str | Path) -> Path:
    """Write the parameters of a model, and the architecture of an :class:`MLP`; the file is replaced whole.

    Raises:
        ValueError: if a parameter is infinite or nan. Then the file is as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(MLP(2, [3, 1], seed=7), f"{folder}/model.json").name
    'model.json'
    """
    if not isinstance(model, Module):
        raise TypeError(f"nn.save writes a Module, not {str(model)[:80]}; pictures of values are written by viz.save")
    state = model.state_dict()
    for name, x in state.items():
        if not math.isfinite(x):
            raise ValueError(f"cannot save a model whose parameter {name} is {x}")
    content = {"architecture": _architecture(model), "parameters": state}
    return write(path, FORMAT, VERSION, content)


@overload
def load(path: str | Path) -> MLP: ...
@overload
def load(path: str | Path, model: M) -> M: ...
def load(path: str | Path, model: Module | None = None) -> Module:
    """The network that :func:`save` wrote.

    Args:
        path: the file.
        model: what to load the parameters into; it need not be given for an MLP as its class makes it.

    Raises:
        ValueError: if the file is something else, damaged, of another model, or written by a newer version.
            Then the model is as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = load(save(MLP(2, [3, 1], seed=7), f"{folder}/model.json"))
    >>> again.state_dict() == MLP(2, [3, 1], seed=7).state_dict()
    True
    """
    content = read(path, FORMAT, VERSION)
    try:
        parameters = numbers(content["parameters"])
        loaded = _built(content["architecture"], len(parameters)) if model is None else model
        loaded.load_state_dict(parameters)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} holds another network, or is damaged: {told(error)}") from None
    return loaded


def write(path: str | Path, format: str, version: int, content: dict[str, Any]) -> Path:
    """Write a file that says what it is."""
    text = json.dumps({"format": format, "version": version, **content}, indent=1)
    files.replace(Path(path), text.encode())
    return Path(path)


def read(path: str | Path, format: str, version: int) -> dict[str, Any]:
    """The content of such a file.

    Raises:
        ValueError: if it is something else, or of another version.
    """
    try:
        content = json.loads(files.read(Path(path)), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a {format}: {told(error)}") from None
    if not isinstance(content, dict) or content.get("format") != format:
        raise ValueError(f"{path} is not a {format}")
    if type(content.get("version")) is not int or content["version"] != version:
        found = repr(content.get("version"))[:40]
        raise ValueError(f"{path} is a {format} of version {found}, and this is version {version}: update gradgraph")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name!r} is there more than once")
    return content


def told(error: Exception) -> str:
    """What an error says about a file, in one line without control characters, which the file may have brought."""
    return printable(str(error)[:500])


def numbers(named: Any) -> dict[str, float]:
    """Finite numbers by name.

    Raises:
        ValueError: if there is something else among them.
    """
    if not isinstance(named, dict):
        raise ValueError(f"there should be numbers by name, not {str(named)[:40]}")
    for name, x in named.items():
        if type(x) not in (int, float) or not -sys.float_info.max <= x <= sys.float_info.max:
            raise ValueError(f"{name[:80]} is {str(x)[:40]}")
    return {name: float(x) for name, x in named.items()}


@contained
def _architecture(model: Module) -> dict[str, Any] | None:
    """The arguments that make such a network again; None if it was changed since, or has no such arguments."""
    if type(model) is not MLP:
        return None
    hidden, last = model.layers[0], model.layers[-1]
    neuron = hidden.neurons[0]
    arguments = {
        "nin": hidden.nin,
        "nouts": [len(layer.neurons) for layer in model.layers],
        "activation": hidden.activation,
        "output": last.activation,
        "bias": neuron.bias,
        "expand": neuron.expand,
    }
    if not isinstance(hidden.activation, str) or not isinstance(last.activation, str):
        return None
    again = MLP(**arguments)  # type: ignore[arg-type]
    return arguments if repr(again) == repr(model) and again.state_dict().keys() == model.state_dict().keys() else None


@contained
def _built(architecture: Any, parameters: int) -> MLP:
    if architecture is None:
        raise ValueError("it has the parameters only: make the model, and give it as load(path, model)")
    named = isinstance(architecture, dict) and architecture.keys() == _KINDS.keys()
    if not named or not all(isinstance(architecture[name], kind) for name, kind in _KINDS.items()):
        raise ValueError(f"its architecture is {str(architecture)[:80]}")
    # Before anything is built: a file that promises a huge network has to hold its parameters.
    sizes = [architecture["nin"], *architecture["nouts"]]
    whole = all(type(size) is int and size > 0 for size in sizes)
    if not whole or sum(a * b for a, b in itertools.pairwise(sizes)) > parameters:
        raise ValueError(f"its sizes are {str(sizes)[:40]}, and it holds {parameters} parameters")
    return MLP(**architecture)
