"""Networks in files: JSON with exact floats, never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autograd import files
from nn.layers import MLP

FORMAT, VERSION = "gradgraph network", 1


def save(model: MLP, path: str | Path) -> Path:
    """Write a network's architecture and parameters; the file is replaced whole.

    Raises:
        ValueError: if an activation is a function, which has no name to write.
    """
    architecture = model.architecture
    for name in ("activation", "output"):
        if not isinstance(architecture[name], str):
            raise ValueError(
                f"cannot save {name}={architecture[name]!r}: make it a row of the table, and give its name"
            )
    content = {"format": FORMAT, "version": VERSION, "architecture": architecture, "parameters": model.state_dict()}
    files.replace(Path(path), json.dumps(content, indent=1).encode())
    return Path(path)


def load(path: str | Path) -> MLP:
    """The network that :func:`save` wrote.

    Raises:
        ValueError: if the file is something else, damaged, or written by a newer version.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = load(save(MLP(2, [3, 1], seed=7), f"{folder}/model.json"))
    >>> again.state_dict() == MLP(2, [3, 1], seed=7).state_dict()
    True
    """
    try:
        content = json.loads(Path(path).read_bytes())
        return _built(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not a network that can be loaded: {error}") from error


def _built(content: Any) -> MLP:
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {str(content['format'])[:40]!r}")
    if content["version"] != VERSION:
        raise ValueError(
            f"it has version {str(content['version'])[:40]}, and this is version {VERSION}: update gradgraph"
        )
    architecture, parameters = dict(content["architecture"]), dict(content["parameters"])
    nin, nouts = architecture.pop("nin"), list(architecture.pop("nouts"))
    # Before anything is built: a file that promises a huge network has to hold its parameters.
    sizes = [nin, *nouts]
    if not all(type(size) is int and size > 0 for size in sizes) or len(parameters) < max(sizes[1:], default=0):
        raise ValueError(f"its sizes are {str(sizes)[:40]}, and it holds {len(parameters)} parameters")
    if sum(a * b for a, b in zip(sizes, nouts, strict=False)) > len(parameters):
        raise ValueError(f"its sizes are {str(sizes)[:40]}, and it holds {len(parameters)} parameters")
    model = MLP(nin, nouts, **architecture)
    model.load_state_dict(parameters)
    return model
