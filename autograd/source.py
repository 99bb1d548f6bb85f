"""Programs in Python: a graph and its backward pass as a function that one can read, and step through.

>>> from autograd import Graph, Value
>>> from autograd.tape import Task
>>> x, w, b = Value(2.0, label="x"), Value(-3.0, label="w"), Value(6.88, label="b")
>>> o = (x * w + b).tanh()
>>> o.label = "o"
>>> graph = Graph(o)
>>> code = Source(Task(graph.roots, graph.nodes, inputs=[x], leaves=[w, b], wrt=[w, b], constants={}))
>>> print(code.text)
from math import tanh
<BLANKLINE>
def program(inputs, parameters):
    [x] = inputs
    [w, b] = parameters
    # forward
    v3 = x * w
    v5 = v3 + b
    o = tanh(v5)
    # backward
    grad_v5 = grad_v3 = grad_b = (1.0 - o) * (1.0 + o)
    grad_w = grad_v3 * x
    return [o], [grad_w, grad_b]
<BLANKLINE>

The names of rows stand for their ``forward``; in a batch, for functions of arrays.
"""

from __future__ import annotations

import functools
import itertools
import keyword
import linecache
import math
import re
import unicodedata
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from autograd import operations as ops
from autograd.arrays import on_arrays
from autograd.operations import ATOM, BUILT_IN, PRODUCT, Operation
from autograd.symbol import fill
from autograd.tape import Lowered, Task, Term
from autograd.value import Value

#: How long, in characters, formulas and names may get; so brackets never nest too deep for Python.
FORMULA, NAME = 80, 40
#: Where a line is broken.
WIDTH = 100
#: A function no longer than this, in lines; a longer program is several, which share a list.
PART = 5000

#: Rows whose ``forward`` is what Python computes for their sign; ``**`` may give a complex number.
_OPERATORS = {ops.add, ops.sub, ops.mul, ops.div, ops.neg}
_RESERVED = {*keyword.kwlist, "__debug__", "program", "inputs", "parameters", "memory", "inf", "nan"}
_numbers = itertools.count(1)


class Source:
    """A program in Python.

    Attributes:
        text: the code.
    """

    def __init__(self, task: Task) -> None:
        lowered = _Lowered(task)
        nodes, inputs, leaves = task.nodes, task.inputs, task.leaves
        names = {x: x.label or "unused" for x in (*inputs, *leaves)}  # of those that the graph does not have
        names |= {node: node.label or f"v{i}" for i, node in enumerate(nodes, start=1)}
        writer = _Writer(lowered, names)
        program = f"program {next(_numbers)}"
        self._functions, self._files = writer.functions, {}
        # A file for each function, since a file is compiled as a whole, in memory.
        for number, lines in enumerate(writer.program(inputs, leaves, task.wrt)):
            self._files[f"<{program}, {number}>"] = [line + "\n" for line in lines]
        self._codes = [compile("".join(lines), name, "exec", dont_inherit=True) for name, lines in self._files.items()]
        self._run = self._bound(_on_floats)
        # Tracebacks and debuggers find the lines here; without a time, they never look for a file.
        linecache.cache.update((name, (0, None, lines, name)) for name, lines in self._files.items())
        weakref.finalize(self, _forget, [*self._files]).atexit = False

    @property
    def text(self) -> str:
        """The code, with what it needs to run by itself."""
        functions = self._functions.items()
        known = [name for name, op in functions if getattr(math, name, None) is op.forward]
        rows = [f'{name} = table["{op.name}"].forward\n' for name, op in functions if name not in known]
        code = "".join(itertools.chain(*self._files.values()))
        known += [constant for constant in ("inf", "nan") if re.search(rf"\b{constant}\b", code)]
        head = [f"from math import {', '.join(known)}\n"] if known else []
        head += ["from autograd.operations import table\n", *rows] if rows else []
        return "".join([*head, "\n" * bool(head), code])

    def one(self, inputs: Sequence[float], parameters: Any) -> tuple[list[float], list[float]] | None:
        """The outputs and the gradient for one example; None where the interpreter has to be asked.

        Args:
            inputs: their numbers, floats.
            parameters: those of ``leaves``, an array of doubles.
        """
        try:
            found = self._run(inputs, parameters.tolist())
        except (ArithmeticError, ValueError):
            return None
        for numbers in found:
            if not math.isfinite(sum(numbers)):  # it is not if one of them is not
                return None
        values, grads = found[:2]
        return values, [g or 0.0 for g in grads]  # the eager engine leaves no -0.0

    def block(self, rows: Any, parameters: Any) -> tuple[Any, Any] | None:
        """The outputs for every row of an array, and the sums of the gradients; None as in :meth:`one`.

        Args:
            rows: a row per example, a column per input.
            parameters: those of ``leaves``, an array of doubles.

        Returns:
            Arrays of shape (roots, rows) and (wrt,).
        """
        import numpy as np

        # Where a float would raise, an array has an infinity, which need not show in the result: atan(1 / 0).
        with np.errstate(all="raise", under="ignore"):
            try:
                values, grads, *checks = self._run_on_arrays(list(np.ascontiguousarray(rows.T)), parameters.tolist())
                outputs = np.array([np.broadcast_to(x, len(rows)) for x in values])
                sums = np.array([np.sum(g) if np.ndim(g) else g * len(rows) for g in grads], dtype=float) + 0.0
            except (ArithmeticError, ValueError):
                return None
        finite = all(np.isfinite(x).all() for x in itertools.chain([outputs, sums], *checks))
        return (outputs, sums) if finite else None

    @functools.cached_property
    def _run_on_arrays(self) -> Any:
        return self._bound(on_arrays)

    def _bound(self, meaning: Callable[[Operation], Callable[..., Any]]) -> Any:
        """The function ``program``, its names bound to what the rows mean."""
        names: dict[str, Any] = {name: meaning(op) for name, op in self._functions.items()}
        names |= {"inf": math.inf, "nan": math.nan}
        for code in self._codes:
            exec(code, names)
        return names["program"]


def _forget(files: Iterable[str]) -> None:
    for name in files:
        linecache.cache.pop(name, None)


def _on_floats(op: Operation) -> Callable[..., Any]:
    """What computes a row on floats; a user's function may give any number."""
    forward = op.forward
    return forward if op.name in BUILT_IN else lambda *operands: float(forward(*operands))


class _Lowered(Lowered):
    """A tape that remembers whose adjoint a term is.

    Attributes:
        adjoints: pairs of a node's number and its adjoint; nodes that are computed alike share their number only.
        handed_on: products that hand an adjoint on, with its pair.
        turn: how many terms belong to the forward pass; None if there is no other.
    """

    def __init__(self, task: Task) -> None:
        self.adjoints: dict[tuple[Term, Term], None] = {}
        self.handed_on: dict[Term, tuple[Term, Term]] = {}
        self.turn: int | None = None
        places = task.places()
        super().__init__(task, places.get, machine=False)
        self.numbers |= {x: self.tape.leaf(*at) for x, at in places.items()}  # also those that nothing depends on
        for x, g in zip(task.wrt, self.gradient, strict=True):
            if g is not None:
                self.adjoints[self.numbers[x], g] = None

    def _chain(self, g: Term, op: Operation, j: int, operands: Sequence[Term], z: Term) -> Any:
        if self.turn is None:
            self.turn = len(self.tape.terms)
        self.adjoints[z, g] = None
        term = super()._chain(g, op, j, operands, z)
        if term is not None and term.op is ops.mul and term.operands[0] is g:
            self.handed_on.setdefault(term, (z, g))
        return term


def identifier(label: str) -> str:
    """A label as a name in Python: an underscore stands in for what cannot be part of one.

    >>> identifier("h1[3].w[2]"), identifier("x₁"), identifier("2nd")
    ('h1_3_w_2', 'x1', '_2nd')
    """
    normal = unicodedata.normalize("NFKC", label[:NAME])[:NAME]  # as Python reads names
    name = "_".join("".join([c if ("_" + c).isidentifier() else " " for c in normal]).split())
    return name if name.isidentifier() else "_" + name


class _Names:
    """Names that are all different."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._count = dict.fromkeys(taken, 1)

    def new(self, base: str) -> str:
        """The name itself or, if it is taken, with a number."""
        name = base
        while name in self._count:
            self._count[base] += 1
            name = f"{base}_{self._count[base]}"
        self._count[name] = 1
        return name


class _Formula(NamedTuple):
    """A term as text: how tightly it binds, and the terms that it names."""

    text: str
    level: int
    reads: tuple[Term, ...]


class _Line(NamedTuple):
    """A statement: what it reads, and what it makes."""

    text: str
    reads: tuple[Term, ...] = ()
    makes: Term | None = None


class _Writer:
    """A lowered graph as text.

    Nodes and adjoints have a line each, and so have other terms that are used twice; what is used once
    stands within the line that uses it.

    Attributes:
        functions: the rows, by the names that they are called by.
    """

    def __init__(self, lowered: _Lowered, labels: dict[Value, str]) -> None:
        self.lowered, self.results = lowered, _results(lowered)
        self.uses = Counter(dict.fromkeys(itertools.chain(*self.results), 2))  # so that they are lines
        for term in reversed(lowered.tape.terms):
            if term in self.uses:
                self.uses.update(term.operands)
        self.terms = [term for term in lowered.tape.terms if term in self.uses]
        self.in_parts = len(self.terms) > PART
        self.names: dict[Term, str] = {}
        self.lines: list[_Line] = []
        self.inline: dict[Term, _Formula] = {}

        names = _Names(_RESERVED)
        self.new_name = names.new
        rows = dict.fromkeys(ops.fsum if term.op is ops.sumprod else term.op for term in self.terms)
        self.calls = {op: names.new(identifier(op.name)) for op in rows if op and op not in _OPERATORS}
        self.functions = {name: op for op, name in self.calls.items()}
        self._name_nodes(labels)
        self._name_adjoints()

    def _name_nodes(self, labels: dict[Value, str]) -> None:
        self.comments: dict[Term | None, str] = {}
        for node, label in labels.items():
            term = self.lowered.numbers[node]
            if term.value is None and term not in self.names:
                self.names[term] = self.new_name(identifier(label))
                if node.label not in ("", self.names[term]):
                    self.comments[term] = f"  # {node.label[:FORMULA]!a}"

    def _name_adjoints(self) -> None:
        """Adjoints are named after their nodes; one may belong to several, as a sum hands its own to its operands."""
        pairs = [(z, g) for z, g in self.lowered.adjoints if z in self.names]
        # From the leaves up, so that of nodes with one number it is the leaf that has its name.
        self.grad_names: dict[Any, str] = {(z, g): self.new_name(f"grad_{self.names[z]}") for z, g in reversed(pairs)}
        self.adjoints: dict[Any, str] = {}
        self.targets: dict[Term, list[str]] = {}
        for z, g in pairs:
            targets = self.targets.get(g, [])
            new = g.value is None and g not in self.names
            if new or (targets and not self.in_parts and sum(map(len, targets)) < FORMULA):
                self.adjoints[z, g] = self.grad_names[z, g]
                self.names.setdefault(g, self.grad_names[z, g])
                self.targets[g] = [*targets, self.grad_names[z, g]]
        # A sum too long for one line grows under its own name, a line at a time.
        self.partial_sums: dict[Term, str] = {}
        for term in self.targets:
            name = self.names[term]
            while term.op is ops.add:
                term = term.operands[0]
                if term in self.names or self.uses[term] > 1:
                    break
                self.partial_sums[term] = name

    def program(self, inputs: Sequence[Value], leaves: Sequence[Value], wrt: Sequence[Value]) -> Iterator[list[str]]:
        """The lines of each function; the last is the program."""
        self._write()
        numbers = self.lowered.numbers
        if self.in_parts:
            yield from self._parts([numbers[x] for x in (*inputs, *leaves)])
        else:
            yield [*self._whole([numbers[x] for x in inputs], [numbers[x] for x in leaves], map(numbers.get, wrt))]

    def _whole(self, inputs: Sequence[Term], leaves: Sequence[Term], wrt: Iterable[Term | None]) -> Iterator[str]:
        """One function for all."""
        yield "def program(inputs, parameters):"
        yield from self._unpacked(inputs, "inputs")
        yield from self._unpacked(leaves, "parameters")
        for line in self.lines:
            yield from self._statement(line)
        outputs, gradient, *checks = [[self._operand(x).text for x in terms] for terms in self.results]
        for j, (z, g) in enumerate(zip(wrt, self.results[1], strict=True)):
            if z in self.names:
                name = self.grad_names.get((z, g)) or self.new_name(f"grad_{self.names[z]}")
                if (z, g) not in self.adjoints:
                    yield f"    {name} = {gradient[j]}"
                gradient[j] = name
        lists = ", ".join(map(_list, (outputs, gradient, *checks)))
        yield from _wrapped(f"    return {lists}" if len(lists) < WIDTH - 11 else f"    return ({lists})")

    def _statement(self, line: _Line) -> Iterator[str]:
        return _wrapped(line.text, self.comments.get(line.makes, ""))

    def _unpacked(self, terms: Sequence[Term], argument: str) -> Iterator[str]:
        """The line that gives numbers their names; a line per name, if there is more to say than the name."""
        if any(x in self.comments for x in terms):
            yield "    ["
            yield from (f"        {self.names[x]},{self.comments.get(x, '')}" for x in terms)
            yield f"    ] = {argument}"
        elif terms:
            yield from _wrapped(f"    {_list(self.names[x] for x in terms)} = {argument}")

    def _parts(self, given: Sequence[Term]) -> Iterator[list[str]]:
        """Functions that hand on to each other, in a list called memory, what later ones read."""
        results = [*itertools.chain(*self.results)]
        constants = [x for x in dict.fromkeys(results) if x.value is not None]
        places = {x: j for j, x in enumerate([*given, *constants])}
        parts = [self.lines[j : j + PART] for j in range(0, len(self.lines), PART)]
        last = {x: number for number, part in enumerate(parts) for line in part for x in line.reads}
        last |= dict.fromkeys(results, len(parts))
        for number, part in enumerate(parts):
            kept = [x for line in part if (x := line.makes) is not None and last[x] > number]
            yield [*self._part(number, part, places, kept)]
            places |= {x: len(places) + j for j, x in enumerate(kept)}
        first = _list(["*inputs", "*parameters", *[repr(x.value) for x in constants]])
        calls = [f"    part_{number}(memory)" for number in range(len(parts))]
        lists = ", ".join([_taken(places[x] for x in terms) for terms in self.results])
        yield [
            "def program(inputs, parameters):",
            *_wrapped(f"    memory = {first}"),
            *calls,
            *_wrapped(f"    return ({lists})"),
        ]

    def _part(
        self, number: int, lines: Sequence[_Line], places: dict[Term, int], kept: Sequence[Term]
    ) -> Iterator[str]:
        made = {line.makes for line in lines}
        read = [x for x in dict.fromkeys(x for line in lines for x in line.reads) if x not in made]
        yield f"def part_{number}(memory):"
        yield from _wrapped(f"    {_list(self.names[x] for x in read)} = {_taken(places[x] for x in read)}")
        for line in lines:
            yield from self._statement(line)
        yield from _wrapped(f"    memory += {_list(self.names[x] for x in kept)}")
        yield ""

    def _write(self) -> None:
        """The two passes, as statements."""
        terms, turn = self.lowered.tape.terms, self.lowered.turn
        backward = itertools.islice(terms, turn, None) if turn is not None else ()
        first = next((term for term in backward if term in self.uses), None)
        self.lines.append(_Line("    # forward"))
        for term in self.terms:
            if term is first:
                self.lines.append(_Line("    # backward"))
            formula = self._formula(term)
            if term not in self.names and self.uses[term] == 1 and len(formula.text) <= FORMULA:
                self.inline[term] = formula
            else:
                self._assign(term, formula)

    def _assign(self, term: Term, formula: _Formula) -> None:
        if term not in self.names:
            self.names[term] = self.partial_sums.get(term) or self.new_name("t")
        targets = " = ".join(self.targets.get(term) or [self.names[term]])
        text = f"    {targets} = {formula.text}"
        self.lines.append(_Line(text, formula.reads, term))

    def _formula(self, term: Term) -> _Formula:
        """A term in names and in what stands inline; if that gets long, the latter is given names."""
        while True:
            operands = [self._operand(x) for x in term.operands]
            if name := self.adjoints.get(self.lowered.handed_on.get(term)):
                operands[0] = operands[0]._replace(text=name)
            assert term.op is not None
            text, level = self._text(term.op, operands)
            long = next((x for x in term.operands if x in self.inline), None) if len(text) > FORMULA else None
            if long is None:
                for x in term.operands:
                    self.inline.pop(x, None)
                return _Formula(text, level, tuple(itertools.chain.from_iterable([x.reads for x in operands])))
            self._assign(long, self.inline.pop(long))

    def _operand(self, x: Term) -> _Formula:
        if x.value is not None:
            text = repr(x.value)
            return _Formula(text, PRODUCT if text.startswith("-") else ATOM, ())
        if x in self.names:
            return _Formula(self.names[x], ATOM, (x,))
        return self.inline[x]

    def _text(self, op: Operation, operands: list[_Formula]) -> tuple[str, int]:
        if op in _OPERATORS:
            return fill(op.text, [(x.text, x.level) for x in operands], op.level, "(%s)"), op.level
        if op is ops.sumprod:  # written out, which is what it computes, and faster
            products = [self._text(ops.mul, [x, y]) for x, y in zip(*op.columns(operands), strict=True)]
            return self._text(ops.fsum, [_Formula(text, level, ()) for text, level in products])
        texts = op.columns([x.text for x in operands])
        arguments = map(_list, texts) if op.nary else texts
        return f"{self.calls[op]}({', '.join(arguments)})", ATOM


def _results(lowered: _Lowered) -> list[list[Term]]:
    """What a program returns: the outputs, the gradient and, if there is more, what has to be finite."""
    zero = lowered.tape.number(0.0)
    gradient = [zero if g is None else g for g in lowered.gradient]
    known = {*lowered.outputs, *gradient}
    unknown = [x for x in dict.fromkeys(lowered.tape.checks) if x not in known]
    checks = [x for x in unknown if x.value is None or not math.isfinite(x.value)]
    return [lowered.outputs, gradient, checks] if checks else [lowered.outputs, gradient]


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(texts)}]"


def _taken(places: Iterable[int]) -> str:
    return f"[memory[i] for i in {_list(map(str, places))}]"


def _wrapped(line: str, comment: str = "") -> Iterator[str]:
    """A long line as several, broken after commas, which stand within brackets only."""
    start, indent = 0, ""
    while len(line) - start > WIDTH:
        cut = line.rfind(", ", start, start + WIDTH)
        cut = cut if cut > start else line.find(", ", start + WIDTH)
        if cut < 0:
            break
        yield indent + line[start : cut + 1]
        start, indent = cut + 2, " " * 8
    yield indent + line[start:] + comment
