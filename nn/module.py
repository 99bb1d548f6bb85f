"""Whatever has parameters."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

from autograd import Constant, Value
from autograd.algorithms import assign, zero_grad
from autograd.context import contained
from autograd.operations import real

#: The modules whose text is being made. Not reprlib's, which after Ctrl-C takes a module for one of them for ever.
_shown: ContextVar[frozenset[int]] = ContextVar("shown", default=frozenset())


class Module:
    """A function with parameters: the leaves among its attributes, also in lists, dictionaries and Modules.

    A parameter that is reached in two ways is one parameter, and goes by the first name.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope, self.offset = Value(2.0), Value(1.0)
    >>> dict(Line().named_parameters())
    {'slope': Value(data=2.0), 'offset': Value(data=1.0)}
    >>> Line()
    Line()  # 2 parameters
    """

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Every parameter once, with its path, in the order of the attributes.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.w, self.b = Value(2.0), Value(1.0)
        >>> [name for name, _ in Line().named_parameters()]
        ['w', 'b']
        """
        return ((name, held) for name, held in _held("", self, set()) if isinstance(held, Value))

    def modules(self) -> list[Module]:
        """This module, and those it is made of.

        >>> class Pair(Module):
        ...     def __init__(self):
        ...         self.left, self.right = Module(), Module()
        >>> len(Pair().modules())
        3
        """
        return [held for _, held in _held("", self, set()) if isinstance(held, Module)]

    def parameters(self) -> list[Value]:
        """Every parameter once.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.w, self.b = Value(2.0), Value(1.0)
        >>> Line().parameters()
        [Value(data=2.0), Value(data=1.0)]
        """
        return [parameter for _, parameter in self.named_parameters()]

    def weights(self) -> list[Value]:
        """The parameters that are not biases, that is, not called b: what a penalty is usually on.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.w, self.b = Value(2.0), Value(1.0)
        >>> Line().weights()
        [Value(data=2.0)]
        """
        return [parameter for name, parameter in self.named_parameters() if name.rpartition(".")[2] != "b"]

    def zero_grad(self) -> None:
        """Forget the ``grad`` of every parameter.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.w, self.b = Value(2.0), Value(1.0)
        >>> model = Line()
        >>> (model.w * model.b).backward()
        >>> model.zero_grad(); model.w.grad
        0.0
        """
        zero_grad(self.parameters())

    def state_dict(self) -> dict[str, float]:
        """The numbers of the parameters, by name.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.w, self.b = Value(2.0), Value(1.0)
        >>> Line().state_dict()
        {'w': 2.0, 'b': 1.0}
        """
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Set the parameters to the numbers of a ``state_dict``.

        Raises:
            KeyError: if a name is missing, or is not known here. Then nothing has changed.
            TypeError: if something is not a number. Then nothing has changed.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> line = Line()
        >>> line.load_state_dict({"slope": 3.0, "offset": 0.0})
        >>> line.slope.data
        3.0
        """
        named = dict(self.named_parameters())
        for kind, names in (("lacks", named.keys() - state.keys()), ("has unknown", state.keys() - named.keys())):
            if names:
                shown = ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "")
                raise KeyError(f"the state {kind} {shown}")
        assign(named.values(), "_data", [real(state[name], f"parameter {name}") for name in named])

    def _described(self) -> str:
        parts = [(name, held) for name, held in _held("", self, set(), depth=1) if held is not self]
        lines = [f"  ({name}): {held!r}".replace("\n", "\n  ") for name, held in parts if isinstance(held, Module)]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"]) if lines else f"{type(self).__name__}()"

    @contained
    def __repr__(self) -> str:
        if id(self) in _shown.get():  # a part knows what it is a part of
            return "…"
        _shown.set(_shown.get() | {id(self)})
        count = len(self.parameters())
        return f"{self._described()}  # {count} parameter{'' if count == 1 else 's'}"


def _held(path: str, held: object, seen: set[int], depth: int = sys.maxsize) -> Iterator[tuple[str, Value | Module]]:
    """Every parameter and every module once, in the order of the attributes, down to a depth of modules."""
    if isinstance(held, (Value, Module)):
        if id(held) in seen or isinstance(held, Constant):
            return
        seen.add(id(held))
    if isinstance(held, Value):
        if held.op is None:  # a result that a module remembers is not a parameter
            yield path, held
    elif isinstance(held, Module):
        yield path, held
        if depth:
            for name, attribute in vars(held).items():
                yield from _held(f"{path}.{name}" if path else name, attribute, seen, depth - 1)
    elif isinstance(held, (list, tuple, dict)):
        for key, item in held.items() if isinstance(held, dict) else enumerate(held):
            yield from _held(f"{path}[{key!r}]", item, seen, depth)
