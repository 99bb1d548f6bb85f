"""Backend ``llvm``: graphs compiled to machine code by llvmlite; graphs of one structure share one code."""

from __future__ import annotations

import ctypes
import functools
import itertools
import struct
import threading
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from autograd import locks
from autograd import operations as ops
from autograd.llvm import Target, Writer
from autograd.operations import Operation
from autograd.register import Function, Module, Register
from autograd.tape import Lowered, Tape, Task
from autograd.value import Value

#: Instructions of a tape up to which LLVM optimises, and several examples run side by side.
LARGEST_OPTIMISED = 15_000
#: How many nodes the graphs may have in all whose codes are kept for others of their structure.
KEPT = 100_000
#: What a code takes besides, in nodes.
OVERHEAD = 500
#: How many codes this process has compiled.
compilations = 0

_P, _I = ctypes.c_void_p, ctypes.c_int64
_BATCH = ctypes.CFUNCTYPE(_I, _P, _I, _I, _I, _P, _I, _P, _P, _P, _P)  # lets other threads run meanwhile
_ONE = ctypes.CFUNCTYPE(_I, _P)


class Machine:
    """A graph as machine code.

    Raises:
        TypeError: if an operation is no arithmetic that machine code can do.
    """

    def __init__(self, task: Task) -> None:
        import llvmlite  # noqa: F401  # not needed before the first call, but missed now
        import numpy as np

        roots, nodes, inputs, leaves, wrt, constants, seeded = self._task = task
        for op in {node.op for node in nodes if node.op}:
            if op.name not in ops.BUILT_IN:
                _check(op)
        # Other numbers are data too, so that graphs that differ in them share their code; but x**2 is not x**y.
        exponents = {node.parents[1] for node in nodes if node.op is ops.pow}
        data = [x for x in constants if x not in exponents]
        self._places = task.places() | {x: ("constant", j) for j, x in enumerate(data)}
        self._constants = np.array([constants[x] for x in data], dtype=float)
        # The gradient by parameters has their order, with a place for each; what else is in wrt follows.
        kinds = [self._places.get(x, ("", 0)) for x in wrt]
        parameters = len(leaves) if any(kind == "parameter" for kind, _ in kinds) else 0
        others = itertools.count(parameters)
        self._order = [j if kind == "parameter" else next(others) for kind, j in kinds]
        self._in_order = self._order == list(range(len(wrt)))  # and what follows is not asked for
        self._inputs, self._roots = len(inputs), len(roots)
        self._size = next(others)
        # As text, for -0.0 is equal to 0.0.
        kinds_of_leaves = {x: constants[x].hex() for x in exponents & constants.keys()} | self._places
        structure = _structure(roots, nodes, len(inputs), wrt, kinds_of_leaves, seeded)
        self._codes = _codes_of(structure, len(nodes))
        self._constants_at = self._constants.ctypes.data
        self._frames: list[Frame] = []  # those not in use; a list's append and pop are safe in threads

    def text(self, lanes: int = 1) -> str:
        """The LLVM module for so many lanes."""
        return self._written(self._lowered(), lanes).text

    def one(self, inputs: Sequence[float], parameters: Any) -> tuple[Any, Any] | None:
        """The value (of several roots, a tuple) and the gradient of one example; None: the interpreter has to be asked.

        Raises:
            struct.error: if ``inputs`` are not so many numbers.
        """
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._frame()
        if frame.parameters is not parameters:
            frame.bind(self._task.checked(parameters))
        frame.take(*inputs)
        bad = frame.run()
        value = frame.values[0] if self._roots == 1 else tuple(frame.values)
        gradient = frame.gradient.copy()
        self._frames.append(frame)
        return None if bad else (value, gradient if self._in_order else gradient[self._order])

    def _frame(self) -> Frame:
        code = self._codes.one or self._compile_one()
        frame = Frame(code, self._constants, self._inputs, self._roots, self._size)
        if self._in_order:
            frame.gradient = frame.gradient[: len(self._order)]
        return frame

    def block(self, rows: Any, parameters: Any) -> tuple[Any, Any] | None:
        """The outputs for each row, of shape (roots, rows), and the sum of the gradients; None as above."""
        import numpy as np

        code = self._codes.batch or self._compile_batch()
        count = len(rows)
        between_rows, between_inputs = rows.strides
        if between_rows % 8 or between_inputs % 8:
            return self.block(rows.copy(), parameters)
        found = np.empty(self._roots * count + self._size)
        to = _address(found)
        bad = code.batch(
            *(rows.ctypes.data, between_rows // 8, between_inputs // 8, count, to, count),
            *(code.space(), _address(parameters), self._constants_at, to + 8 * self._roots * count),
        )
        if bad:
            return None
        split = self._roots * count
        gradient = found[split:]
        gradient = gradient[: len(self._order)] if self._in_order else gradient[self._order]
        return found[:split].reshape(self._roots, count), gradient

    def addresses(self) -> tuple[int, int, int]:
        """Where the code for many examples is, this thread's workspace for it, and the constants."""
        code = self._codes.batch or self._compile_batch()
        return code.address, code.space(), self._constants_at

    def _compile_one(self) -> Code:
        with locks.making:
            if not self._codes.one:
                lowered = self._lowered()
                self._codes.one = Code(self._written(lowered, 1), lowered.tape.size <= LARGEST_OPTIMISED)
            return self._codes.one

    def _compile_batch(self) -> Code:
        with locks.making:
            if not self._codes.batch:
                lowered = self._lowered()
                if lowered.tape.size > LARGEST_OPTIMISED:
                    self._codes.batch = self._compile_one()
                else:
                    lanes = width() * (4 if lowered.layers else 1)
                    self._codes.batch = Code(self._written(lowered, lanes), optimised=True)
            return self._codes.batch

    def _lowered(self) -> Lowered:
        return Lowered(self._task, self._places.get, machine=True)

    def _written(self, lowered: Lowered, lanes: int) -> Writer:
        target = Target(lanes, width(), tile=4 if width() == 8 else 2)
        return Writer(lowered, self._inputs, self._order, self._size, target)


class Frame:
    """The memory of one call: three pointers, then the inputs, outputs and gradient of an example."""

    __slots__ = ("_code", "_held", "_memory", "gradient", "parameters", "run", "take", "values")

    def __init__(self, code: Code, constants: Any, inputs: int, roots: int, sums: int) -> None:
        import numpy as np

        outputs = 3 + inputs
        space = outputs + roots + sums
        self._code = code
        self._memory = memory = np.zeros(space + code.workspace + 8)
        address = memory.ctypes.data
        memory.view("u8")[:3] = 0, constants.ctypes.data, (address + 8 * space + 63) // 64 * 64
        self.parameters: Any = memory  # nobody else has it, so that all others are bound
        self.take = functools.partial(struct.Struct(f"{inputs}d").pack_into, memory.data, 24)
        self.run = functools.partial(code.one, address)
        self.values = memoryview(memory[outputs : outputs + roots])  # type: ignore[arg-type]
        self.gradient = memory[outputs + roots : space]

    def bind(self, parameters: Any) -> None:
        """Read these parameters from now on."""
        self._memory.view("u8")[0] = _address(parameters)
        self._held = memoryview(parameters)  # or they could grow, and be elsewhere then
        self.parameters = parameters


class Codes:
    """What graphs of one structure share: code for one example, and for many."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.one: Code | None = None
        self.batch: Code | None = None


_kept: OrderedDict[Any, Codes] = OrderedDict()


def _codes_of(structure: Any, nodes: int) -> Codes:
    """The codes for a structure; those used least recently are forgotten, unless a program still holds them."""
    with locks.making:
        codes = _kept.setdefault(structure, Codes(nodes))
        _kept.move_to_end(structure)
        _forget()
        return codes


def _forget() -> None:
    while sum(held.nodes + OVERHEAD for held in list(_kept.values())) > KEPT and len(_kept) > 1:
        _kept.popitem(last=False)


class Code:
    """Machine code for so many lanes; it lives as long as this object.

    Attributes:
        one: runs one example, in a :class:`Frame`.
        batch: runs any number of examples.
        address: where ``batch`` is.
        workspace: how many doubles they need.
    """

    def __init__(self, writer: Writer, optimised: bool) -> None:
        global compilations
        self._linked = linked(writer.text, ["one", "batch"], 1 if optimised else 0)
        self.address = self._linked["batch"]
        self.batch, self.one = _BATCH(self._linked["batch"]), _ONE(self._linked["one"])
        self.workspace = writer.workspace
        self._spaces = threading.local()
        compilations += 1

    def space(self) -> int:
        """The address of this thread's workspace."""
        try:
            return self._spaces.address  # type: ignore[no-any-return]
        except AttributeError:
            import numpy as np

            self._spaces.array = space = np.empty(self.workspace + 8)
            self._spaces.address = (space.ctypes.data + 63) // 64 * 64
        return int(self._spaces.address)


def linked(text: str, names: Sequence[str], level: int = 1) -> Any:
    """The addresses of functions of an LLVM module; their code is freed with this object."""
    import llvmlite.binding as llvm

    # Without LLVM's passes on its instructions: the text leaves them nothing worth their time.
    with locks.making:
        code = _compiler(*host(), level).emit_object(llvm.parse_assembly(text))
        library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name in names:
            library.export_symbol(name)
        # By a linker of its own: one that has linked many keeps 10 kB of each that is gone.
        return library.link(llvm.create_lljit_compiler(), "code")


def _address(array: Any) -> int:
    """Where the numbers of a contiguous array are: a shorter way than ``array.ctypes.data``."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # read-only, or empty
        import numpy as np

        return int(np.asarray(array).ctypes.data)


@functools.cache
def _check(op: Operation) -> None:
    """Whether a user's row is arithmetic, its rules too."""
    count = len(op.partials)
    f, tape = Function(Module(), "void @f()", 1), Tape()
    registers = [Register(f, f"%x{j}") for j in range(count)]
    terms = [tape.leaf("operand", j) for j in range(count + 1)]
    try:
        f.apply(op, registers)
        for rule in op.partials:
            tape.number(rule(*terms))
    except Exception as error:  # a user's function may fail in any way, given what is no float
        raise TypeError(
            f"{op.name} cannot be compiled, since it is not written in plain arithmetic: {error}"
        ) from error


@functools.cache
def _compiler(cpu: str, features: str, level: int) -> Any:
    """What makes code for a processor."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    options = {"cpu": cpu, "features": features, "opt": level, "reloc": "pic", "codemodel": "small", "jit": True}
    return llvm.Target.from_default_triple().create_target_machine(**options)


@functools.cache
def host() -> tuple[str, str]:
    """The machine's processor, and what it can do."""
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def width() -> int:
    """How many doubles one of its registers holds."""
    features = host()[1].split(",")
    return 8 if "+avx512f" in features else 4 if "+avx" in features else 2


def _structure(
    roots: Sequence[Value],
    nodes: Sequence[Value],
    inputs: int,
    wrt: Sequence[Value],
    leaves: Mapping[Value, Any],
    seeded: int,
) -> Any:
    """What graphs have in common that share a code: all but the numbers of their leaves."""
    number = {node: i for i, node in enumerate(nodes)}
    kinds = [node.op or leaves[node] for node in nodes]
    edges = array("q", [number[x] for node in nodes for x in node.parents])
    counts = array("q", [len(node.parents) for node in nodes])
    targets = [number.get(x, leaves.get(x)) for x in wrt]
    outputs = [number[x] for x in roots]
    return tuple(kinds), edges.tobytes(), counts.tobytes(), inputs, tuple(outputs), tuple(targets), seeded
