"""Machine code: a lowered graph as the text of an LLVM module, for one example or several side by side.

The straight-line part of a tape becomes functions of limited length (one huge function would take LLVM
more than linear time); what one of them computes and another reads goes through a workspace.  Layers
become loops over slices of the parameters.  A *driver* runs all of it over the examples of a batch, as
many at a time as there are lanes, and adds up the gradients.

The workspace has numbered slots, each as wide as the lanes; sums over the examples follow.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from autograd import operations as ops
from autograd.register import Function, Module, Register, vector
from autograd.tape import Layer, Lowered, Term

#: Instructions of the tape to a function.
PART = 1000
SEED, FLAG, INPUTS = 0, 1, 2
POINTERS = "ptr noalias %ws, ptr noalias %parameters, ptr noalias %constants, ptr noalias %gradient"


class Target(NamedTuple):
    """What the code is for.

    Attributes:
        lanes: how many examples run side by side.
        width: how many numbers a register of the machine holds.
        tile: how many rows of a layer run side by side.
    """

    lanes: int
    width: int
    tile: int


class Slots(NamedTuple):
    """Where the vectors of a layer begin in the workspace: q, z, g, dq, and q for each example by itself."""

    column: int
    products: int
    adjoints: int
    pulled: int
    turned: int


class Writer:
    """The text of a program.

    Args:
        lowered: the tape.
        inputs: the number of inputs.
        places: for each of ``wrt``, its place in the gradient.
        size: that of the gradient; the first places belong to the parameters, in their order.
        target: the lanes and the machine.

    Attributes:
        text: the module.
        workspace: its size in doubles.
    """

    def __init__(self, lowered: Lowered, inputs: int, places: Sequence[int], size: int, target: Target) -> None:
        self.lowered, self.inputs, self.size, self.target = lowered, inputs, size, target
        self.lanes = target.lanes
        self.module = Module()
        self.slots = INPUTS + inputs
        self.outputs = self._reserve(len(lowered.outputs))
        # What happens to a term as soon as it is known.
        self.stored: dict[Term, list[int]] = {}
        self.added: dict[Term, list[int]] = {}
        self.checked = dict.fromkeys([*lowered.tape.checks, *lowered.tape.raising, *lowered.outputs])
        for j, term in enumerate(lowered.outputs):
            self._store(term, self.outputs + j)
        for term_or_none, place in zip(lowered.gradient, places, strict=True):
            if term_or_none is not None:
                self.added.setdefault(term_or_none, []).append(place)
        self.layers = {layer: self._slots_of(layer) for layer in lowered.layers}
        terms = self._live()
        parts: list[list[Term]] = [[]]
        for end, term in zip(itertools.accumulate(term.size for term in terms), terms, strict=True):
            if end > PART * len(parts):
                parts.append([])
            parts[-1].append(term)
        self._hand_over(parts)
        # With several lanes, what is added to the gradient is summed lane by lane, and over the lanes in the end.
        self.sums = {place: i for i, place in enumerate(dict.fromkeys(itertools.chain(*self.added.values())))}
        self.sums_at = self.slots * self.lanes
        self.workspace = self.sums_at + (len(self.sums) * target.width if self.lanes > 1 else 0)
        for number, part in enumerate(parts):
            self._write_part(number, part, last=number == len(parts) - 1)
        self._write_driver(len(parts))
        self.text = str(self.module)

    # What has to run, and where its results are.

    def _reserve(self, count: int) -> int:
        self.slots += count
        return self.slots - count

    def _store(self, term: Term, slot: int) -> None:
        self.stored.setdefault(term, []).append(slot)

    def _slots_of(self, layer: Layer) -> Slots:
        n, m = len(layer.column), len(layer.starts)
        kind, first = layer.elements[0].operands[:2] if layer.elements[0].op is None else ("", 0)
        if kind == "input" and all(x.operands == ("input", first + j) for j, x in enumerate(layer.elements)):
            column = INPUTS + first  # where they are already
        else:
            column = self._reserve(n)
            for j, x in enumerate(layer.elements):
                if x.op is not None:
                    self._store(x, column + j)
        pulled, turned = (n if layer.pulled_back else 0), (n if layer.wanted and self.lanes > 1 else 0)
        slots = Slots(column, *map(self._reserve, (m, m, pulled, turned)))
        for row, g in layer.adjoints.items():
            if g.op is not None:
                self._store(g, slots.adjoints + row)
        return slots

    def _live(self) -> list[Term]:
        """The instructions whose results are used, and the loops."""
        live = {*self.stored, *self.added, *self.checked}
        terms = [Term(self.lowered.tape, None, ("outer", x)) for x in self.layers if x.wanted and not x.pulled_back]
        for term in reversed(self.lowered.tape.terms):
            if term.op is None or term in live:
                terms.append(term)
                if term.op is not None:
                    live.update(term.operands)
        return terms[::-1]

    def _hand_over(self, parts: Sequence[Sequence[Term]]) -> None:
        """Give a slot to each term that another part reads."""
        for part in parts:
            own = set(part)
            for term in part:
                if term.op is not None:
                    for x in term.operands:
                        if x.op is not None and x not in own and x not in self.stored:
                            self._store(x, self._reserve(1))

    # The straight line.

    def _write_part(self, number: int, terms: Sequence[Term], *, last: bool) -> None:
        f = Function(self.module, f"internal void @part{number}({POINTERS})", self.lanes)
        known: dict[Term, Any] = {}
        bad: list[Any] = []

        def read(x: Term) -> Any:
            if x.value is not None:
                return x.value
            if x not in known:
                known[x] = self._loaded(f, x)
            return known[x]

        def finish(x: Term) -> None:
            for slot in self.stored.get(x, ()):
                f.store(read(x), f.at("%ws", slot, self.lanes))
            for place in self.added.get(x, ()):
                self._add(f, read(x), place)
            if x in self.checked:
                bad.append(read(x))

        for term in terms:
            if term.op is None:
                kind, layer = term.operands
                self._loop_over(f, kind, layer, read)
            else:
                known[term] = f.apply(term.op, [read(x) for x in term.operands])
                finish(term)
        if last:
            for x in {**self.stored, **self.added, **self.checked}:
                if x.op is None:
                    finish(x)
        flag = f.at("%ws", FLAG, self.lanes)
        for x in bad + f.raising:
            f.store(f.load(flag) + f.apply(ops.sub, (x, x)), flag)  # x - x is 0 if x is finite, else nan
        f.end()

    def _loaded(self, f: Function, x: Term) -> Any:
        """A term from elsewhere: a leaf, or the result of another part."""
        if x.op is not None:
            return f.load(f.at("%ws", self.stored[x][0], self.lanes))
        kind, number = x.operands
        if kind in ("parameter", "constant"):
            return f.broadcast(f.at(f"%{kind}s", number))
        if kind == "seed":
            return 1.0 if self.lanes == 1 else f.load(f.at("%ws", SEED, self.lanes))
        if kind == "input":
            slot = INPUTS + number
        else:
            layer, j = number
            slots = self.layers[layer]
            slot = j + (slots.products if kind == "product" else slots.pulled)
        return f.load(f.at("%ws", slot, self.lanes))

    def _add(self, f: Function, x: Any, place: int) -> None:
        """Add to the gradient."""
        if self.lanes == 1:
            pointer = f.at("%gradient", place)
            f.store(f.apply(ops.add, (f.load(pointer), x)), pointer)
            return
        width = self.target.width
        pointer = f.at("%ws", self.sums_at + self.sums[place] * width)
        total = f.load(pointer, width)
        for first in range(0, self.lanes, width):
            piece = f.write(x)
            if width < self.lanes:
                piece = f.pick(Register(f, piece), range(first, first + width), self.lanes).name
            total = f.let(f"fadd {vector(width)} {total.name}, {piece}")
        f.store(total, pointer, width)

    # Layers.

    def _loop_over(self, f: Function, kind: str, layer: Layer, read: Callable[[Term], Any]) -> None:
        """The call of a layer's loops, once its operands are all in the workspace."""
        slots = self.layers[layer]

        def fill(slot: int, terms: Iterable[Term | None]) -> None:
            for j, x in enumerate(terms, start=slot):
                if x is None or x.op is None:  # a result is stored as soon as it is known
                    f.store(0.0 if x is None else read(x), f.at("%ws", j, self.lanes))

        if kind == "forward":
            if slots.column >= INPUTS + self.inputs:
                fill(slots.column, layer.elements)
            f.do(f"call void @{self._product(layer, pulled=False)}(ptr %ws, ptr %parameters)")
            return
        fill(slots.adjoints, [layer.adjoints.get(row) for row in range(len(layer.starts))])
        if kind == "backward":
            f.do(f"call void @{self._product(layer, pulled=True)}(ptr %ws, ptr %parameters)")
        if layer.wanted:
            f.do(f"call void @{self._outer(layer)}(ptr %ws, ptr %gradient)")

    def _start(self, f: Function, layer: Layer, row: str | int) -> Register:
        """The number of a row's first parameter."""
        starts = self._table(f"@starts{list(self.layers).index(layer)}", layer.starts)
        return f.let(f"load i64, ptr {f.at(starts, row)}")

    def _table(self, name: str, numbers: Sequence[int]) -> str:
        """Integers that loops look up."""
        written = ", ".join(f"i64 {x}" for x in numbers)
        self.module.write_once(name, f"{name} = private constant [{len(numbers)} x i64] [{written}]")
        return name

    def _function(self, kind: str, layer: Layer, pointers: str) -> tuple[Function, str]:
        name = f"{kind}{list(self.layers).index(layer)}"
        return Function(
            self.module, f"internal void @{name}(ptr noalias %ws, ptr noalias {pointers})", self.lanes
        ), name

    def _product(self, layer: Layer, *, pulled: bool) -> str:
        """z = W q, or with ``pulled``, dq = Wᵀ g: a loop over results, several at a time, around one over operands."""
        f, name = self._function("backward" if pulled else "forward", layer, "%parameters")
        slots, lanes, width = self.layers[layer], self.lanes, self.target.width
        results, operands = len(layer.starts), len(layer.column)
        source, target = slots.column, slots.products
        if pulled:
            results, operands, source, target = operands, results, slots.adjoints, slots.pulled
        given, found = f.at("%ws", source, lanes), f.at("%ws", target, lanes)

        def several(first: str | int, count: int, along: int = 1) -> None:
            """So many results; with one lane, the vectors are ``along`` the row."""
            wide = lanes * along
            rows = (
                []
                if pulled
                else [f.at("%parameters", self._start(f, layer, f.plus(first, r)).name) for r in range(count)]
            )
            step = 1 if pulled else along
            stop = operands // step * step
            sums: list[Any] = [0.0] * count
            if stop:
                with f.loop(stop, step, *[vector(wide)] * count) as loop:
                    k = loop.index
                    row = f.at(f.at("%parameters", self._start(f, layer, k).name), first) if pulled else ""
                    v = (
                        f.load(f.at(given, k, lanes), wide)
                        if not pulled or lanes > 1
                        else f.broadcast(f.at(given, k), wide)
                    )
                    for r in range(count):
                        pointer = f.at(row, r * along) if pulled else f.at(rows[r], k)
                        w = f.load(pointer, wide) if along > 1 else f.broadcast(pointer, wide)
                        loop.values[r] = f.fma(w, v, loop.values[r], wide)
                sums = loop.values
            for r in range(count):
                if along > 1 and not pulled:
                    sums[r] = f.sum(sums[r], along) if stop else 0.0
                    for j in range(stop, operands):
                        sums[r] = f.fma(f.load(f.at(rows[r], j), 1), f.load(f.at(given, j), 1), sums[r])
                    f.store(sums[r], f.at(f.at(found, first), r))
                else:
                    f.store(sums[r], f.at(f.at(found, first, lanes), r * along, lanes), wide)

        if lanes > 1:
            self._tiled(f, results, 1, several)
        elif not pulled:
            self._tiled(f, results, 1, functools.partial(several, along=width))
        else:
            whole = results // width * width
            self._tiled(f, whole, width, functools.partial(several, along=width))
            if results > whole:
                several(whole, results - whole)
        f.end()
        return name

    def _tiled(self, f: Function, results: int, width: int, body: Callable[[str | int, int], None]) -> None:
        """A loop over results, each of so many numbers, several at a time; what is left over follows it."""
        step = self.target.tile * width
        whole = results // step * step
        if whole:
            with f.loop(whole, step) as loop:
                body(loop.index, self.target.tile)
        if results > whole:
            body(whole, (results - whole) // width)

    def _outer(self, layer: Layer) -> str:
        """dW = g qᵀ, added to the gradient: along the rows, whose parameters are side by side, and over the lanes."""
        f, name = self._function("outer", layer, "%gradient")
        slots, lanes, width, n = self.layers[layer], self.lanes, self.target.width, len(layer.column)
        column, adjoints = f.at("%ws", slots.column, lanes), f.at("%ws", slots.adjoints, lanes)
        turned = column if lanes == 1 else self._turned(f, column, f.at("%ws", slots.turned, lanes), n)

        def several(first: str | int, count: int) -> None:
            rows = [f.at("%gradient", self._start(f, layer, f.plus(first, r)).name) for r in range(count)]
            gs = [f.at(f.at(adjoints, first, lanes), r, lanes) for r in range(count)]

            def stretch(k: str | int, pieces: int, wide: int) -> None:
                """A few registers along each of the rows."""
                places = [f.at(f.at(row, k), j * wide) for row in rows for j in range(pieces)]

                def added(lane: str | int, sums: Sequence[Any]) -> list[Any]:
                    q = f.at(f.at(turned, f.times(lane, n)), k)
                    qs = [f.load(f.at(q, j * wide), wide) for j in range(pieces)]
                    each = [f.broadcast(f.at(g, lane), wide) for g in gs]
                    terms = [(g, q) for g in each for q in qs]
                    return [f.fma(g, q, total, wide) for (g, q), total in zip(terms, sums, strict=True)]

                if lanes == 1:
                    sums = added(0, [f.load(place, wide) for place in places])
                else:
                    with f.loop(lanes, 1, *[vector(wide)] * len(places)) as loop:
                        loop.values = added(loop.index, loop.values)
                    pairs = zip(places, loop.values, strict=True)
                    sums = [f.let(f"fadd {vector(wide)} {f.load(at, wide).name}, {x.name}") for at, x in pairs]
                for place, total in zip(places, sums, strict=True):
                    f.store(total, place, wide)

            done = n // width * width
            self._tiled(f, done, width, functools.partial(stretch, wide=width))
            while done < n:
                wide = 1 << (n - done).bit_length() - 1
                stretch(done, 1, wide)
                done += wide

        self._tiled(f, len(layer.starts), 1, several)
        f.end()
        return name

    def _turned(self, f: Function, column: str, to: str, n: int) -> str:
        """A copy of a vector in which its numbers for one example are side by side, made in squares."""
        lanes, width = self.lanes, self.target.width
        whole = n // width * width
        if whole:
            with f.loop(whole, width) as square:
                for lane in range(0, lanes, width):
                    source = f.at(f.at(column, square.index, lanes), lane)
                    rows = [f.load(f.at(source, j * lanes), width) for j in range(width)]
                    for j, row in enumerate(f.transposed(rows)):
                        f.store(row, f.at(f.at(to, (lane + j) * n), square.index), width)
        if n > whole:
            with f.loop(lanes) as each:
                for k in range(whole, n):
                    x = f.load(f.at(f.at(column, k * lanes), each.index), 1)
                    f.store(x, f.at(f.at(to, f.times(each.index, n)), k), 1)
        return to

    # The driver.

    def _write_driver(self, parts: int) -> None:
        lanes = self.lanes
        batch = (
            "ptr noalias %rows, i64 %between_rows, i64 %between_inputs, i64 %n, ptr noalias %out, i64 %between_outputs"
        )
        f = Function(self.module, f"i64 @batch({batch}, {POINTERS})", 1)
        sums = f.at("%ws", self.sums_at), self.workspace - self.sums_at
        for pointer, count in (("%gradient", self.size), sums, (f.at("%ws", FLAG * lanes), lanes)):
            f.do(f"call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {8 * count}, i1 false)")
        with f.loop("%n", lanes) as group:
            left = f.let(f"sub i64 %n, {group.index}").name
            whole = f.let(f"icmp uge i64 {left}, {lanes}").name
            beside = f.let("icmp eq i64 %between_rows, 1").name  # examples are neighbours, for each input
            f.choose(
                f.let(f"and i1 {whole}, {beside}").name,
                lambda: self._take_vectors(f, group.index),
                lambda: self._take_numbers(f, group.index),
            )
            for number in range(parts):
                f.do(f"call void @part{number}(ptr %ws, ptr %parameters, ptr %constants, ptr %gradient)")
            f.choose(
                whole,
                lambda: self._give(f, group.index, lanes),
                lambda: self._give_numbers(f, group.index, left),
            )
        if lanes > 1:
            self._add_up(f)
        bad = f.sum(f.load(f.at("%ws", FLAG * lanes), lanes), lanes)
        step = 4 * self.target.width
        for wide, first, stop in ((step, 0, self.size // step * step), (1, self.size // step * step, self.size)):
            if stop > first:
                begin = f.at("%gradient", first)
                with f.loop(stop - first, wide, vector(wide)) as each:
                    g = f.load(f.at(begin, each.index), wide).name
                    none = f.let(f"fsub {vector(wide)} {g}, {g}").name  # 0 if it is finite, else nan
                    each.values = [f.let(f"fadd {vector(wide)} {each.values[0].name}, {none}")]
                bad = bad + f.sum(each.values[0], wide)
        found = f.let(f"fcmp une double {bad.name}, 0.0").name
        f.end(f"i64 {f.let(f'zext i1 {found} to i64').name}")
        self._write_one()

    def _take_vectors(self, f: Function, first: str) -> None:
        """Copy the inputs of a whole group into the workspace, where those of its examples are side by side."""
        f.store(1.0, f.at("%ws", SEED * self.lanes), self.lanes)
        if self.inputs:
            given, taken = f.at("%rows", first), f.at("%ws", INPUTS * self.lanes)
            with f.loop(self.inputs) as column:
                x = f.load(f.at(given, f.let(f"mul i64 {column.index}, %between_inputs").name), self.lanes)
                f.store(x, f.at(taken, column.index, self.lanes), self.lanes)

    def _take_numbers(self, f: Function, first: str) -> None:
        """The same for any group, by numbers; lanes beyond the last example repeat it, but count for nothing."""
        lanes = self.lanes
        last = f.let("sub i64 %n, 1").name
        with f.loop(lanes) as lane:
            example = f.let(f"add i64 {first}, {lane.index}").name
            inside = f.let(f"icmp ult i64 {example}, %n").name
            seed = f.let(f"select i1 {inside}, double 1.0, double 0.0")
            f.store(seed, f.at("%ws", f.plus(lane.index, SEED * lanes)))
            nearest = f.let(f"select i1 {inside}, i64 {example}, i64 {last}").name
            row = f.at("%rows", f.let(f"mul i64 {nearest}, %between_rows").name)
            taken = f.at("%ws", f.plus(lane.index, INPUTS * lanes))
            if self.inputs:
                with f.loop(self.inputs) as column:
                    x = f.load(f.at(row, f.let(f"mul i64 {column.index}, %between_inputs").name))
                    f.store(x, f.at(taken, column.index, lanes))

    def _give_numbers(self, f: Function, first: str, count: str) -> None:
        """Copy the outputs of so many examples out of the workspace."""
        with f.loop(count) as lane:
            self._give(f, f.let(f"add i64 {first}, {lane.index}").name, 1, lane.index)

    def _give(self, f: Function, example: str, wide: int, lane: str | int = 0) -> None:
        """Copy outputs out of the workspace: of one example, or of a whole group."""
        for output in range(len(self.lowered.outputs)):
            y = f.load(f.at(f.at("%ws", (self.outputs + output) * self.lanes), lane), wide)
            f.store(y, f.at(f.at("%out", f.let(f"mul i64 {output}, %between_outputs").name), example), wide)

    def _add_up(self, f: Function) -> None:
        """Add the sums of all lanes to the gradient."""
        if self.sums:
            width, sums = self.target.width, f.at("%ws", self.sums_at)
            places = self._table("@places", list(self.sums))
            with f.loop(len(self.sums)) as each:
                total = f.sum(f.load(f.at(sums, each.index, width), width), width)
                pointer = f.at("%gradient", f.let(f"load i64, ptr {f.at(places, each.index)}").name)
                f.store(f.load(pointer) + total, pointer)

    def _write_one(self) -> None:
        """One example, in a frame: pointers to parameters, constants and workspace, then inputs, outputs, gradient."""
        f = Function(self.module, "i64 @one(ptr noalias %frame)", 1)
        pointers = [f.let(f"load ptr, ptr {f.at('%frame', j)}").name for j in range(3)]
        rows = f.at("%frame", 3)
        out = f.at(rows, self.inputs)
        gradient = f.at(out, len(self.lowered.outputs))
        one = f"ptr {rows}, i64 0, i64 1, i64 1, ptr {out}, i64 1"
        parameters, constants, ws = (f"ptr {name}" for name in pointers)
        bad = f.let(f"call i64 @batch({one}, {ws}, {parameters}, {constants}, ptr {gradient})")
        f.end(f"i64 {bad.name}")
