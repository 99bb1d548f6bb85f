"""The network that computed a graph: its neurons, known by the scopes and labels that ``nn`` gives."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from autograd import Constant, Graph, Value
from viz.curve import FLAT


@dataclass(slots=True, eq=False)
class Neuron:
    """What is known of a neuron, or of an input, before it is drawn."""

    name: str
    layer: str = ""
    index: int = 0
    #: By what follows the name in their labels: ``w[0]``, ``w[1]``, …, ``b``.
    parameters: dict[str, Value] = field(default_factory=dict)
    #: Of every example: the output, the slope of the activation, and by weight, what it was multiplied by.
    outputs: list[Value] = field(default_factory=list)
    slopes: list[float] = field(default_factory=list)
    operands: dict[Value, list[Value]] = field(default_factory=dict)

    @property
    def weights(self) -> list[Value]:
        """In their order."""
        return [self.parameters[name] for name in sorted((n for n in self.parameters if n != "b"), key=_index)]

    @property
    def state(self) -> str:
        """Dead if the slope is 0 for every example, saturated if it is small for every one."""
        sizes = [abs(slope) for slope in self.slopes]
        return "" if not sizes or max(sizes) >= FLAT else "saturated" if any(sizes) else "dead"


#: Layers, or inputs and layers, by name.
Columns = list[tuple[str, list[Neuron]]]
#: From which neuron to which by which weight.
Link = tuple[Neuron, Neuron, Value]

_NONE = (
    "network needs a graph made by nn layers, or with name_scope and labels as they make: "
    "a neuron h1[0] in the scope h1[0], with weights h1[0].w[0], h1[0].w[1], … and its output h1[0]"
)


def of_graph(graph: Graph) -> tuple[Columns, list[Link]]:
    """The network that computed a graph: inputs and layers, and what is connected.

    Raises:
        ValueError: if there is none, or two have the same names.
    """
    layers = _by_layer(_follow(graph, _neurons(graph.leaves)))
    if not layers:
        raise ValueError(_NONE)
    inputs, links = _links(layers)
    return [("inputs", inputs), *layers], links


def of_parameters(parameters: Iterable[Value]) -> tuple[Columns, list[Link]]:
    """The network that parameters make up, each layer taken to follow the one before it.

    Raises:
        ValueError: if they are not called as those of ``nn`` are, or a layer does not fit the one before.
    """
    layers = _by_layer(_neurons(parameters).values())
    inputs = [Neuron(f"x{j + 1}", "inputs") for j in range(max(len(unit.weights) for unit in layers[0][1]))]
    links: list[Link] = []
    columns = [("inputs", inputs), *layers]
    for (_, before), (name, units) in itertools.pairwise(columns):
        for unit in units:
            extra = len(unit.weights) - len(before)
            if extra not in (0, 1) or (extra and "b" in unit.parameters):
                raise ValueError(f"the units of {name} do not take those of the layer before: ask for network(loss)")
            if extra:  # with bias="input", which all layers then have
                inputs[-1].name = "1"
            links += [(source, unit, w) for source, w in zip(before, unit.weights, strict=False)]
    return columns, links


def _ends(scope: str, name: str) -> bool:
    return scope == name or scope.endswith(f".{name}")


def _index(name: str) -> int:
    found = re.search(r"\[(\d+)\]$", name)
    return int(found[1]) if found else 0


def _neurons(leaves: Iterable[Value]) -> dict[str, Neuron]:
    """Neurons by their scope, as their parameters are called."""
    neurons: dict[str, Neuron] = {}
    for leaf in leaves:
        found = re.fullmatch(r"(.+)\.(w\[\d+\]|b)", leaf.label, re.DOTALL)
        if found and _ends(leaf.scope, found[1]):
            layer = leaf.scope.removesuffix(f"[{_index(found[1])}]")
            neuron = neurons.setdefault(leaf.scope, Neuron(found[1], layer, _index(found[1])))
            if neuron.parameters.setdefault(found[2], leaf) is not leaf:
                raise ValueError(
                    f"two neurons are called {leaf.scope}: make one of the networks within a name_scope of its own"
                )
    if not any(neuron.weights for neuron in neurons.values()):
        raise ValueError(_NONE)
    return neurons


def _follow(graph: Graph, neurons: dict[str, Neuron]) -> Iterable[Neuron]:
    """Find the outputs of the neurons, and what each weight was multiplied by; the neurons as they come."""
    met: dict[Neuron, None] = {}
    names = {neuron.name for neuron in neurons.values()}
    owners = {w: neuron for neuron in neurons.values() for w in neuron.weights}

    @functools.cache
    def home(scope: str) -> Neuron | None:
        """The neuron of a scope; a network may be called in another scope than it was made in."""
        if scope in neurons:
            return neurons[scope]
        found = [neuron for neuron in neurons.values() if _ends(scope, neuron.name)]
        if len(found) > 1:
            raise _ambiguous(scope, len(found))
        return found[0] if found else None

    for node in graph.nodes:
        if not node.op or not node.scope:
            continue
        if node.label in names:
            # That of a softmax is in the scope of its layer.
            layer = node.label.removesuffix(f"[{_index(node.label)}]")
            scope = node.scope if _ends(node.scope, node.label) else node.scope.removesuffix(layer) + node.label
            neuron = home(scope)
            if neuron and _ends(scope, node.label):
                neuron.outputs.append(node)
                neuron.slopes.append(_slope(node, node.label, layer))
        if node.op.name in ("mul", "sumprod") and (neuron := home(node.scope)):
            left, right = node.op.columns(node.parents)
            for pair in zip(left, right, strict=True) if node.op.nary else [(left, right)]:
                w, operand = pair if pair[0] in owners else pair[::-1]
                if w in owners:
                    if owners[w] is not neuron and _ends(node.scope, owners[w].name):
                        raise _ambiguous(node.scope, 2)
                    met[neuron] = None
                    neuron.operands.setdefault(w, []).append(operand)
    return met


def _ambiguous(scope: str, count: int) -> ValueError:
    return ValueError(f"{scope} could be any of {count} neurons: call networks in the scope they are made in")


def _slope(h: Value, name: str, layer: str) -> float:
    """∂h/∂a of a unit's activation, from the nodes between its output h and its pre-activation a."""
    scope, found = h.scope[: h.scope.rindex(layer) + len(layer)], False

    @functools.cache
    def slope(node: Value) -> float:
        nonlocal found
        if node.label.endswith(".a"):  # of another unit, in a softmax
            found = found or node.label == f"{name}.a"
            return float(node.label == f"{name}.a")
        parents = zip(node.parents, node.partials, strict=True)
        return math.fsum([k * slope(parent) for parent, k in parents if parent.op and parent.scope.startswith(scope)])

    through = slope(h)
    return through if found else 1.0  # a linear unit's output is its pre-activation


def _by_layer(neurons: Iterable[Neuron]) -> Columns:
    """Layers in the order in which they come, called by what tells them apart."""
    layers: dict[str, list[Neuron]] = {}
    for neuron in neurons:
        layers.setdefault(neuron.layer, []).append(neuron)
    short = {layer: units[0].name.removesuffix(f"[{units[0].index}]") for layer, units in layers.items()}
    if len(set(short.values())) < len(short):
        short = {layer: layer for layer in layers}
    return [(short[layer], sorted(units, key=lambda unit: unit.index)) for layer, units in layers.items()]


def _links(layers: Columns) -> tuple[list[Neuron], list[Link]]:
    """The inputs, and all connections, from what the weights were multiplied by."""
    everything = [neuron for _, units in layers for neuron in units]
    made = {h: neuron for neuron in everything for h in neuron.outputs}
    inputs: dict[str, Neuron] = {}
    known: dict[Value, str] = {}
    links: list[Link] = []
    for neuron in everything:
        place = 0
        for w in sorted(neuron.operands, key=lambda w: _index(w.label)):
            operands = neuron.operands[w]
            sources = _sources(operands[0], made)
            links += [(source, neuron, w) for source in sources]
            if sources:
                continue
            place += 1
            ones = all(isinstance(x, Constant) and x.data == 1.0 for x in operands)
            bias = ones and "b" not in neuron.parameters and w is neuron.weights[-1] and len(neuron.operands) > 1
            if bias and neuron not in layers[0][1]:
                continue  # a line from the inputs across all columns would tell nothing
            labels = {x.label for x in operands}
            name = labels.pop() if len(labels) == 1 else ""
            key = known.get(operands[0]) or name or ("1" if bias else f"x{place}")
            known |= dict.fromkeys(operands, key)
            links.append((inputs.setdefault(key, Neuron(key, "inputs", outputs=operands)), neuron, w))
    return [*inputs.values()], links


def _sources(value: Value, made: dict[Value, Neuron]) -> list[Neuron]:
    """The neurons whose outputs a value is made of, such as by a dropout; none if it is an input."""
    found: dict[Neuron, None] = {}
    waiting, seen = [value], {value}
    while waiting:
        node = waiting.pop()
        if node in made:
            found[made[node]] = None
        elif node.op:
            waiting += [parent for parent in node.parents if parent not in seen]
            seen.update(node.parents)
    return [*found]
