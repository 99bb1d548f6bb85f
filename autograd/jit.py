"""Functions that run as programs: recorded once per branch, compiled, and checked at every call.

A recorded graph has no ``if``: it is what the function did at the numbers that it was recorded at.
So the comparisons that led there are recorded too, and their operands are further outputs of the
program.  If all of them turn out at other numbers as they did then, the function would have taken
the same way, step by step: the first comparison depends only on what was computed before it, and so
on.  If one does not, or an operation fails, the numbers are recorded anew.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Self

from autograd import context, locks
from autograd.algorithms import topological_order
from autograd.calculus import (
    Tree,
    as_value,
    gradient,
    map_tree,
    one_number,
    positions,
    shaped,
    tree_leaves,
    value_and_grad,
)
from autograd.operations import real
from autograd.program import Program, Reduction
from autograd.value import Constant, Value, label_from

#: How many branches are kept for each shape of the arguments.
LIMIT = 64

_keeping = locks.shared()


class _Found(NamedTuple):
    """What a function gives: its outputs, and the slopes of the first by the inputs asked for."""

    outputs: list[float]
    slopes: list[float]


def _varies(x: object) -> bool:
    return isinstance(x, Value) and not isinstance(x, Constant)


class _Variant:
    """One way through a function: its graph, the comparisons that led this way, and their programs.

    Attributes:
        leaves: those of the arguments.
        inputs: the place of each among them.
        output: what the function returned, a tree of Values and floats.
        comparisons: those that may turn out otherwise.
        path: how they turned out.
        reads: those that are numbers taken out of the graph, which no program would follow.
        roots: the nodes among outputs and operands, each once, and its place.
    """

    @context.contained
    def __init__(self, f: Callable[..., Any], name: str, args: Sequence[Tree], argnums: int | Sequence[int]) -> None:
        args = [map_tree(Value, arg) for arg in args]
        label_from(dict(zip(_parameters(f), args, strict=False)))
        self.name, self._argnums = name, argnums
        self._arguments = [list(tree_leaves(arg)) for arg in args]  # f may change its lists
        self.leaves = list(chain(*self._arguments))
        self.inputs = {x: j for j, x in enumerate(self.leaves)}
        with context.recorded(), context.nodes_made() as made, context.comparisons() as taken:
            output = f(*args)
        self.output = map_tree(lambda y: as_value(y, name), output)
        self.comparisons = [c for c in dict.fromkeys(taken) if _varies(c.x) or _varies(c.y)]
        self._cut(made)
        self.reads = [c for c in self.comparisons if c.name == "data"]
        self.path = tuple((c.name, c.outcome) for c in self.comparisons)
        asked = [x for c in self.comparisons for x in (c.x, c.y)]
        self.roots = {x: j for j, x in enumerate(dict.fromkeys(filter(_varies, [*tree_leaves(self.output), *asked])))}
        self._every = tuple(range(len(self.leaves)))
        self._programs: dict[Hashable, Program] = {}

    def _cut(self, made: set[Value]) -> None:
        """Put a leaf in the place of every node that was computed outside: the function reads it as it stands."""
        nodes = [x for c in self.comparisons for x in (c.x, c.y) if isinstance(x, Value)]
        order = topological_order(*tree_leaves(self.output), *nodes)
        outside = {x for x in order if x.op is not None and x not in made}
        self._outside = {Value(x._data, label=x.label): x for x in outside if _varies(x)}
        if self._outside:
            memo = {id(x): x for x in order if x.op is None} | {id(x): leaf for leaf, x in self._outside.items()}
            self.output = map_tree(lambda x: copy.deepcopy(x, memo), self.output)
            self.comparisons = [
                c._replace(x=copy.deepcopy(c.x, memo), y=copy.deepcopy(c.y, memo)) for c in self.comparisons
            ]

    @functools.cached_property
    def wrt(self) -> tuple[int, ...]:
        """The inputs to differentiate by; the function has to return one number."""
        one_number(self.output, self.name)
        chosen = positions(self._argnums, len(self._arguments), self.name)
        return tuple(self.inputs[x] for j in chosen for x in self._arguments[j])

    def _slopes(self, found: Mapping[Value, float]) -> list[float]:
        return [found.get(self.leaves[j], 0.0) for j in self.wrt]

    def program(self, inputs: tuple[int, ...], differentiated: bool) -> Program:
        """Outputs and operands as functions of some of the inputs, with the current numbers from outside."""
        wrt = self.wrt if differentiated and _varies(self.output) else ()
        program = self._programs.get((inputs, wrt))
        if program is None:
            nodes = topological_order(*self.roots)
            present = set(nodes)
            given = [self.leaves[j] for j in inputs if self.leaves[j] in present]
            asked = [self.leaves[j] for j in dict.fromkeys(wrt) if self.leaves[j] in present]
            program = Program(tuple(self.roots), nodes, given, asked, seeded=1)
            self._programs[inputs, wrt] = program
        for leaf, x in self._outside.items():
            leaf._data = x._data
        return program

    def pick(self, x: Any, found: Sequence[Any]) -> Any:
        """The number of an output or operand, or its column."""
        return found[self.roots[x]] if x in self.roots else x._data if isinstance(x, Value) else x

    def run(self, numbers: Sequence[float], differentiated: bool) -> _Found | None:
        """Outputs and slopes at other numbers, or None if the function may take another way there."""
        found: Any = ()
        grads: dict[Value, float] = {}
        if self.roots:
            program = self.program(self._every, differentiated)
            if program.leaves:
                program.load()
            try:
                found = program(*[numbers[self.inputs[x]] for x in program.inputs])
            except Exception:  # whatever it is: f at these numbers shall raise it, or avoid it
                return None
            if program.wrt:
                found, slopes = found
                grads = dict(zip(program.wrt, slopes.tolist(), strict=True))
            if len(self.roots) == 1:
                found = (found,)
            # A nan may be the 0 · inf of a recorded derivative, which is left out when it is recorded there.
            if any(x != x for x in found):
                return None
            for c in self.comparisons:
                if c.compare(self.pick(c.x, found), self.pick(c.y, found)) != c.outcome:
                    return None
        outputs = [self.pick(y, found) for y in tree_leaves(self.output)]
        return _Found(outputs, self._slopes(grads) if differentiated else [])

    def eager(self, differentiated: bool) -> _Found:
        """Outputs and slopes where the function was recorded."""
        grads: dict[Value, float] = {}
        if differentiated and _varies(self.output):
            slopes = gradient(self.output, self.leaves)
            grads = {x: slope._data for x, slope in zip(self.leaves, slopes, strict=True)}
        return _Found([y._data for y in tree_leaves(self.output)], self._slopes(grads) if differentiated else [])

    def over(self, leaves: Sequence[Any], differentiated: bool) -> tuple[list[Any], list[float], list[int]]:
        """Columns of outputs, the sums of the slopes, and the examples that seem to take another way."""
        import numpy as np

        columns = tuple(j for j, x in enumerate(leaves) if isinstance(x, np.ndarray))
        n = len(leaves[columns[0]])
        found: Any = ()
        grads: dict[Value, float] = {}
        if self.roots:
            program = self.program(columns, differentiated)
            rows = np.empty((n, len(program.inputs)))
            for j, leaf in enumerate(program.inputs):
                rows[:, j] = leaves[self.inputs[leaf]]
            numbers = [leaves[self.inputs[x]] if x in self.inputs else x._data for x in program.leaves]
            found, slopes = program._part(np.array(numbers, dtype=float), rows, 0, True)
            grads = dict(zip(program.wrt, slopes.tolist(), strict=True))
        other = np.zeros(n, dtype=bool)
        for c in self.comparisons:
            x, y = self.pick(c.x, found), self.pick(c.y, found)
            other |= np.asarray((c.compare(x, y) != c.outcome) | (x != x) | (y != y), dtype=bool)
        outputs = [np.array(np.broadcast_to(self.pick(y, found), n), dtype=float) for y in tree_leaves(self.output)]
        return outputs, self._slopes(grads) if differentiated else [], np.flatnonzero(other).tolist()


def _parameters(f: Callable[..., Any]) -> Iterator[str]:
    """The names of the arguments that f takes by position, as far as they can be known."""
    import inspect  # which takes longer to import than this whole package's table

    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return iter(())
    return (p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


def _structure(tree: Tree) -> Hashable:
    return (type(tree), *map(_structure, tree)) if isinstance(tree, (list, tuple)) else None


class Jitted:
    """A function that runs as a program; made by :func:`jit`."""

    def __init__(self, f: Callable[..., Any], argnums: int | Sequence[int]) -> None:
        if not callable(f):
            raise TypeError(f"jit needs a function, not {type(f).__name__} {f!r}")
        functools.update_wrapper(self, f, updated=())
        self._f, self._argnums = f, argnums
        self._name: str = getattr(f, "__name__", repr(f))
        self._variants: dict[Hashable, tuple[_Variant, ...]] = {}

    def __repr__(self) -> str:
        return f"<jit of {self._name}>"

    def __get__(self, instance: object, owner: type) -> Self:
        if instance is not None:
            raise TypeError(f"{self._name} is compiled without its object: write self.f = jit(self.f) in __init__")
        return self

    def __call__(self, *args: Tree, **named: Any) -> Tree:
        """f(…) as floats; if an argument is a Value, f itself is called.

        Raises:
            TypeError: if f does not return numbers, or an argument is none.
            ArithmeticError, ValueError: what f raises there, such as outside a domain.
        """
        leaves = self._leaves(args, named)
        if self._recorded(leaves):
            return self._f(*args)
        variant, found = self._at(args, leaves, False)
        return shaped(found.outputs, variant.output)

    def value_and_grad(self, *args: Tree, **named: Any) -> tuple[Any, Tree]:
        """f(…), one number, and its gradient, as :func:`autograd.value_and_grad` gives them."""
        leaves = self._leaves(args, named)
        if self._recorded(leaves):
            return value_and_grad(self._f, self._argnums)(*args)
        _, found = self._at(args, leaves, True)
        return found.outputs[0], self._like(args, found.slopes)

    def batch(self, *args: Tree) -> Any:
        """f at many examples.

        Args:
            args: as f takes them, with an array of n numbers in the place of each number that the
                examples differ in.

        Returns:
            An array of n numbers; a tree of arrays if f returns a tree.

        Raises:
            ValueError: if an example takes another branch than the first; or outside a domain.

        >>> import numpy as np
        >>> jit(lambda w, x: (w[0] * x + w[1]).tanh()).batch([1.0, 0.0], np.array([0.0, 0.5]))
        array([0.        , 0.46211716])
        """
        variant, leaves, outputs, _ = self._over(args, False)
        import numpy as np

        for i in np.flatnonzero(np.isnan(outputs).any(axis=0)).tolist():  # perhaps 0 · inf, as in _Variant.run
            one = tree_leaves(self(*shaped(_example(leaves, i), list(args))))
            for column, y in zip(outputs, one, strict=True):
                column[i] = y
        return shaped(outputs, variant.output)

    def value_and_grad_batch(self, *args: Tree, reduction: Reduction = "sum") -> tuple[float, Tree]:
        """The sum of f over many examples, and its gradient by an argument that all of them share.

        Args:
            args: as :meth:`batch` takes them; that of ``argnums`` without arrays.
            reduction: "sum" or "mean" over the examples.

        >>> import numpy as np
        >>> squared = jit(lambda w, x, d: (w * x - d) ** 2)
        >>> squared.value_and_grad_batch(1.0, np.array([1.0, 2.0]), np.array([2.0, 4.0]), reduction="mean")
        (2.5, -5.0)
        """
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction must be 'sum' or 'mean', not {reduction!r}")
        _, _, (values,), slopes = self._over(args, True)
        n = len(values) if reduction == "mean" else 1
        return float(values.sum()) / n, self._like(args, [slope / n for slope in slopes])

    def _leaves(self, args: Sequence[Tree], named: dict[str, Any]) -> list[Any]:
        if named:
            raise TypeError(f"{self._name} is compiled: give {', '.join(named)} by position, not by name")
        return list(tree_leaves(args))

    def _recorded(self, leaves: list[Any]) -> bool:
        """Whether the call is part of a graph that someone is recording."""
        inside = context.recording.get(None) or context.taken.get()
        return bool(inside) or any(isinstance(x, Value) for x in leaves)

    def _like(self, args: Sequence[Tree], slopes: Sequence[float]) -> Tree:
        """Slopes in the shape of the arguments ``argnums``."""
        argnums = self._argnums
        return shaped(slopes, args[argnums] if isinstance(argnums, int) else tuple(args[j] for j in argnums))

    def _at(self, args: Sequence[Tree], leaves: Sequence[Any], differentiated: bool) -> tuple[_Variant, _Found]:
        """The variant for these numbers, and what it gives."""
        numbers = [x if type(x) is float else real(x, f"an argument of {self._name}") for x in leaves]
        structure = tuple(map(_structure, args))
        for variant in self._variants.get(structure, ()):
            if found := variant.run(numbers, differentiated):
                self._keep(structure, variant)
                return variant, found
        variant = _Variant(self._f, self._name, shaped(numbers, list(args)), self._argnums)
        if variant.reads or not self._keep(structure, variant):
            return variant, variant.eager(differentiated)
        return variant, variant.run(numbers, differentiated) or variant.eager(differentiated)

    def _keep(self, structure: Hashable, variant: _Variant) -> bool:
        """Put a variant first; False if there is another for the same branch, which has just been tried in vain."""
        if (kept := self._variants.get(structure)) and kept[0] is variant:
            return True
        with _keeping:
            kept = self._variants.get(structure, ())
            if variant not in kept and variant.path in [other.path for other in kept]:
                return False
            self._variants[structure] = (variant, *(other for other in kept if other is not variant))[:LIMIT]
        return True

    def _over(self, args: Sequence[Tree], differentiated: bool) -> tuple[_Variant, list[Any], list[Any], list[float]]:
        """The variant of the first example, the leaves of the arguments, and outputs and slopes over all examples."""
        leaves = _columns(args, self._name)
        import numpy as np

        if self._recorded(leaves):
            raise TypeError(f"a batch of {self._name} gives arrays, which nothing can record or differentiate")
        first = shaped(_example(leaves, 0), list(args))
        try:
            variant, _ = self._at(first, list(tree_leaves(first)), differentiated)
        except Exception as error:
            error.add_note("in example 0")
            raise
        if variant.reads:
            raise ValueError(
                f"{self._name} takes a number out of the graph, which differs between examples: {variant.reads[0]};"
                " compute with the Value instead, or call the function on one example at a time"
            )
        if differentiated and not all(isinstance(leaves[j], float) for j in variant.wrt):
            raise ValueError(
                f"the gradient of {self._name} is summed over the examples, so argument {self._argnums} must be the"
                " same for all of them; for a gradient per example, use jit(grad(f)).batch"
            )
        try:
            outputs, slopes, others = variant.over(leaves, differentiated)
        except Exception:  # of an example that would take another branch, or a slope that is infinite when recorded
            examples = range(next(len(x) for x in leaves if not isinstance(x, float)))
            for i in examples:
                self._follow(variant, args, leaves, i)
            found = [self._at(args, _example(leaves, i), differentiated)[1] for i in examples]
            outputs = list(np.array([one.outputs for one in found]).T)
            slopes = np.array([one.slopes for one in found]).sum(axis=0).tolist()
        else:
            for i in others:
                self._follow(variant, args, leaves, i)
        return variant, leaves, outputs, slopes

    def _follow(self, variant: _Variant, args: Sequence[Tree], leaves: Sequence[Any], i: int) -> None:
        """Raise the error of one example, if there is one: that of f, or that it takes another branch."""
        try:
            here = _Variant(self._f, self._name, shaped(_example(leaves, i), list(args)), self._argnums)
        except Exception as error:
            error.add_note(f"in example {i}")
            raise
        for there, c in zip(variant.path, here.comparisons, strict=False):
            if there != (c.name, c.outcome):
                raise ValueError(
                    f"example {i} takes another branch of {self._name} than example 0: {c}, is {c.outcome} here;"
                    " use autograd.where to choose for each example, or call the function on one example at a time"
                )


def _columns(args: Sequence[Tree], name: str) -> list[Any]:
    """The leaves of the arguments of a batch: arrays of the same length, and numbers."""
    try:
        import numpy as np
    except ImportError as error:
        raise ImportError("batches need numpy: pip install 'gradgraph[fast]'") from error
    leaves: list[Any] = []
    for x in tree_leaves(args):
        if isinstance(x, np.ndarray):
            if x.ndim != 1:
                raise ValueError(
                    f"{name} needs an array of shape (n,) in the place of each number, not {x.shape}: give a list of"
                    " columns, such as list(rows.T), where the function takes a list"
                )
            if np.ma.is_masked(x):
                raise ValueError(f"a batch of {name} has masked numbers: say with filled() what they are")
            if x.dtype.kind not in "bfiu":
                raise TypeError(f"a batch of {name} needs real numbers, not an array of {x.dtype}")
            leaves.append(x.astype(float))
        else:
            leaves.append(real(x, f"a batch of {name}"))
    sizes = sorted({len(x) for x in leaves if isinstance(x, np.ndarray)})
    if len(sizes) != 1 or not sizes[0]:
        lists = ": a list stands for a list of the function, and numpy.array(xs) for a number of each example"
        found = " and ".join(map(str, sizes)) or f"none{lists}"
        raise ValueError(f"a batch of {name} needs arrays of one length, at least 1, not {found}")
    return leaves


def _example(leaves: Sequence[Any], i: int) -> list[float]:
    return [x if isinstance(x, float) else float(x[i]) for x in leaves]


def jit(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Jitted:
    """A function of numbers that is recorded once and runs as a compiled :class:`Program` from then on.

    A call returns f(…) as a float, or floats in the shape of f's result. ``fast.value_and_grad(…)`` gives
    the gradient too, ``fast.batch(…)`` and ``fast.value_and_grad_batch(…)`` take arrays of examples.

    Args:
        f: a function of numbers, or nested lists of numbers, that returns numbers. Whatever else it
            needs, such as a size to loop over, it gets from elsewhere: see ``functools.partial``.
        argnums: the position of the argument to differentiate by; several give a tuple.

    Good to know:
        * f is recorded again for arguments of another shape, and for every branch that it takes: what
          comparisons and ``bool`` said is checked at every call. The 64 branches used last are kept.
        * Values that f uses from outside, such as a model's parameters, are read at every call.
          Constants and plain numbers from outside are not: they are part of f.
        * If f takes a number out of the graph (``x.data``, ``x.grad``, ``round``, ``print``, ``detach``,
          ``no_grad``), no program could follow it, and f itself is called every time, which is right and
          slow. Compute with Values instead; ``x == y`` asks, as always, whether they are the same node.
        * What f does beside its result, such as appending to a list, is done only while it is recorded;
          and random numbers, the clock and global variables are what they were then: no comparison
          tells of them. Draw random numbers outside, and give them to f.
        * A method is compiled where its object is made: ``self.f = jit(self.f)``.
        * If an argument is a Value, f itself is called, as within ``grad`` or another ``jit``: so
          ``grad(jit(f))`` works, and ``jit(grad(f))`` is fast.

    >>> @jit
    ... def f(x, y):
    ...     return x * y if x > 0.0 else y**2
    >>> f(2.0, 3.0), f(-1.0, 3.0), f(4.0, 3.0)
    (6.0, 9.0, 12.0)
    >>> f.value_and_grad(2.0, 3.0)
    (6.0, 3.0)
    """
    return Jitted(f, argnums)
