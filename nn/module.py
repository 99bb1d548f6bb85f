"""Whatever has parameters."""

from __future__ import annotations

from collections.abc import Iterator

from autograd import Value


class Module:
    """A function with parameters: the Values, lists and Modules among its attributes.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope, self.offset = Value(2.0), Value(1.0)
    >>> dict(Line().named_parameters())
    {'slope': Value(data=2.0), 'offset': Value(data=1.0)}
    """

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Every parameter once, with its path, in the order of the attributes."""
        seen: set[Value] = set()
        for name, parameter in _named("", self):
            if parameter not in seen:
                seen.add(parameter)
                yield name, parameter

    def parameters(self) -> list[Value]:
        """Every parameter once."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the ``grad`` of every parameter."""
        for parameter in self.parameters():
            parameter.zero_grad()


def _named(path: str, held: object) -> Iterator[tuple[str, Value]]:
    if isinstance(held, Value):
        yield path, held
    elif isinstance(held, Module):
        for name, attribute in vars(held).items():
            yield from _named(f"{path}.{name}" if path else name, attribute)
    elif isinstance(held, (list, tuple)):
        for j, item in enumerate(held):
            yield from _named(f"{path}[{j}]", item)
