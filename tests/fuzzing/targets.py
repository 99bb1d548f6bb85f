"""What is fuzzed: every target takes bytes, and raises an error that is not documented if something is wrong."""

import ast
import io
import math
import re
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import nn
from autograd import Value
from autograd.operations import BUILT_IN, table
from nn.data import load_csv
from viz.__main__ import main
from viz.expression import CONSTANTS, PLAIN, ExpressionError, names, parse

#: Numbers for the names in an expression.
AT = {"x": 0.75, "y": -1.25, "z": 2.0}
#: The most characters that an oracle reads, whose stack is Python's.
READABLE = 600


# Expressions.


#: The functions of an expression; that their numbers are right is tested elsewhere.
FUNCTIONS: dict[str, Callable[..., float]] = {name: table[name].forward for name in BUILT_IN} | {"prod": math.prod}
_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}


class UnreadableError(Exception):
    """Python reads something that is no expression of ours, or nothing."""


def by_python(text: str, *, lenient: bool) -> float:
    """The value of an expression as Python's own parser reads it.

    Args:
        text: the expression.
        lenient: whether empty statements may stand between others, as they may not in Python.

    Raises:
        UnreadableError: if Python does not read an expression of numbers, names and functions there.
        ArithmeticError, ValueError: where it has no value.
    """
    text = re.sub(r"[\t\r]", " ", text.translate(PLAIN))
    text = re.sub(r"(?<![\w.])[^\W\d]\w*", lambda found: f"n{found[0].encode().hex()}", re.sub(r"#[^\n]*", "", text))
    if lenient:
        text = re.sub(r"(?<![\w.])0+(?=\d)", "", text)  # 007
        text = "\n".join(re.sub(r"\s*(;\s*)+", ";", line).strip("; ") for line in text.split("\n"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as of 1or 2
        try:
            program = ast.parse(text)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise UnreadableError from None
    return _Reading(text).program(program)


class _Reading:
    """The value of a tree, if there is nothing in it but what an expression may have."""

    def __init__(self, text: str) -> None:
        self.lines = text.encode().split(b"\n")
        self.known: dict[str, float] = dict(AT)
        self.read = set[str]()

    def program(self, tree: ast.Module) -> float:
        if not tree.body:
            raise UnreadableError
        for i, statement in enumerate(tree.body):
            match statement:
                case ast.Assign(targets=[ast.Name() as target]) if target.col_offset == statement.col_offset:
                    value = self.value(statement.value)
                    name = self.name(target.id)
                    if name in self.known or name in self.read:
                        raise UnreadableError
                    self.known[name] = value
                case ast.Expr() if i == len(tree.body) - 1:
                    value = self.value(statement.value)
                case _:
                    raise UnreadableError
        return float(value)

    def name(self, written: str) -> str:
        try:
            return bytes.fromhex(written.removeprefix("n")).decode()
        except ValueError:  # of a digit before it
            raise UnreadableError from None

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise UnreadableError
            case ast.Constant(value=(int() | float()) as x):
                written = self.lines[node.lineno - 1][node.col_offset : node.end_col_offset]
                if not re.fullmatch(rb"[0-9.]+([eE][+-]?[0-9]+)?", written) or x > 1.7e308:
                    raise UnreadableError
                return float(x)
            case ast.Name():
                name = self.name(node.id)
                self.read.add(name)
                if name not in self.known and name not in CONSTANTS:
                    raise UnreadableError
                return self.known.get(name, CONSTANTS.get(name))
            case ast.UnaryOp(op=ast.UAdd()):
                return self.value(node.operand)
            case ast.UnaryOp(op=ast.USub()):
                return -self.value(node.operand)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
                operands = self.value(node.left), self.value(node.right)
                return FUNCTIONS[_BINARY[type(node.op)]](*operands)
            case ast.Call(func=ast.Name() as called, keywords=[]) if called.col_offset == node.col_offset:
                name = self.name(called.id)
                row = table.get("fsum" if name == "prod" else name)
                if name not in FUNCTIONS or row is None:
                    raise UnreadableError
                if not len(row.partials) - len(row.defaults) <= len(node.args) <= len(row.partials):
                    raise UnreadableError
                columns = [self.column(x) if row.nary else self.value(x) for x in node.args]
                columns += row.defaults[len(columns) + len(row.defaults) - len(row.partials) :]
                if row.nary and len(set(map(len, columns))) > 1:
                    raise ValueError("columns of different lengths")
                return FUNCTIONS[name](*columns)
            case _:
                raise UnreadableError

    def column(self, node: ast.expr) -> list[float]:
        if not isinstance(node, ast.List):
            raise UnreadableError
        return [self.value(x) for x in node.elts]


def _at_its_limits(text: str) -> bool:
    """Whether Python reads more than an expression may have: other signs, trailing commas, brackets around lists."""
    odd = re.search(r"\\|\f|,\s*[\])]|[(,]\s*\(\s*\[|[^\W\d]\s+\(|^\s|\n\s", text)
    return bool(odd) or len(text) > READABLE or max(map(len, re.findall(r"\w+", text)), default=0) > 100


def readable(error: ExpressionError, text: str) -> None:
    """An error has a place in the text, and is told in a few short lines."""
    assert 0 <= error.position <= len(text)
    lines = "\n".join([str(error), *getattr(error, "__notes__", ())]).split("\n")
    assert 2 <= len(lines) <= 4
    assert lines[1].lstrip(" ").startswith("^ ")
    assert max(map(len, lines)) <= 400, lines


def expression(data: bytes) -> None:
    """Read as Python reads it, to the bit; or a clear error, and then Python finds no value either."""
    text = data.decode(errors="replace")
    try:
        found = parse(text, AT)
    except ExpressionError as error:
        readable(error, text)
        if not _at_its_limits(text):
            try:
                expected = by_python(text, lenient=False)
            except (UnreadableError, ArithmeticError, ValueError, RecursionError):
                return
            deep = re.search(r"levels of brackets", error.message)
            assert deep, f"Python finds {expected}"
        return
    assert isinstance(found, Value)
    assert set(names(text)) <= {*AT, *CONSTANTS}
    if len(text) <= READABLE:
        expected = by_python(text, lenient=True)
        assert repr(found.data + 0.0) == repr(expected + 0.0), (found.data, expected)  # 0.0 may be -0.0


def command(data: bytes) -> None:
    """Arguments with NUL between them: an answer, or a few lines that say what is wrong."""
    arguments = [
        argument
        for argument in data.decode(errors="replace").split("\0")
        if not argument.startswith(("-o", "--output"))
    ]
    if arguments[:1] == ["-"]:
        return  # it reads what is typed
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(arguments)
    assert code in (0, 1, 2)
    assert bool(out.getvalue()) == (code != 2)
    assert bool(err.getvalue()) == (code == 2)
    lines = err.getvalue().split("\n")
    assert len(lines) <= 5, lines
    assert max(map(len, lines)) <= 700, lines
    assert "Traceback" not in err.getvalue()


# Files.


def _in_a_file(data: bytes, read: Callable[[Path], Any]) -> None:
    """Nothing but a result or a ValueError of a few lines, which names the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        try:
            read(path)
        except ValueError as error:
            assert str(path) in str(error)
            assert len(str(error)) <= 1000, str(error)


def network(data: bytes) -> None:
    """A network that can be saved, run and loaded again; or an error. One that is given is as it was after an error."""

    def check(path: Path) -> None:
        again = Path(f"{path}.again")
        model = nn.load(path)
        state = model.state_dict()
        assert all(map(math.isfinite, state.values()))
        assert nn.load(nn.save(model, again)).state_dict() == state
        repr(model)

    def into(path: Path) -> None:
        model = nn.MLP(2, [2, 1], "tanh", seed=1)
        before = model.state_dict()
        try:
            assert nn.load(path, model) is model
        except ValueError:
            assert model.state_dict() == before
            raise
        assert all(map(math.isfinite, model.state_dict().values()))

    _in_a_file(data, check)
    _in_a_file(data, into)


OPTIMIZERS: list[Callable[[Any], nn.Optimizer]] = [
    lambda params: nn.SGD(params, 0.1, momentum=0.5),
    lambda params: nn.Adam(params, 0.1),
]
DATA = [([0.0, 1.0], 1.0), ([1.0, -1.0], 0.0), ([0.5, 0.5], 0.5)]


def training(path: Path, optimizer: int, epochs: int) -> tuple[nn.MLP, nn.Optimizer]:
    """A training that goes on from a file; its errors leave everything as it was, unless numbers grow too large."""
    model = nn.MLP(2, [2, 1], "tanh", seed=1)
    moves = OPTIMIZERS[optimizer](model.parameters())
    before = model.state_dict(), moves.state_dict()
    try:
        nn.fit(model, nn.squared_error, DATA, moves, epochs=epochs, checkpoint=path, progress=False, compiled=False)
    except ValueError:
        assert (model.state_dict(), moves.state_dict()) == before
        raise
    except ArithmeticError as error:
        assert not isinstance(error, ZeroDivisionError)
        assert max(map(abs, (*model.state_dict().values(), *_kept(moves)))) > 1e10
    assert all(map(math.isfinite, (*model.state_dict().values(), *_kept(moves))))
    return model, moves


def _kept(optimizer: nn.Optimizer) -> list[float]:
    """The numbers that an optimiser keeps."""
    return [x for held in optimizer.state_dict().values() if isinstance(held, list) for x in held]


def checkpoint(data: bytes) -> None:
    """A training that goes on; or an error, after which everything is as it was."""
    for optimizer in range(len(OPTIMIZERS)):
        _in_a_file(data, lambda path, optimizer=optimizer: training(path, optimizer, 3))  # type: ignore[misc]


def csv(data: bytes) -> None:
    """Examples of finite numbers and known classes, or an error that names the line."""

    def check(path: Path) -> None:
        try:
            examples, labels = load_csv(path, target="y")
        except ValueError as error:
            assert re.search(r", line \d+", str(error))
            raise
        assert examples
        assert len(set(labels)) == len(labels)
        assert len({len(x) for x, _ in examples}) == 1
        assert all(math.isfinite(v) for x, _ in examples for v in x)
        assert all(y in range(len(labels)) for _, y in examples)

    _in_a_file(data, check)


#: By name, as in ``tests/data/crashes``.
TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (expression, command, network, checkpoint, csv)
}
