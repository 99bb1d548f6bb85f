"""Texts and files that nobody would write: expressions, command lines, saved networks, checkpoints and tables.

What is true of them is said in ``fuzzing/targets.py``, where atheris finds it too.
"""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autograd.operations import BUILT_IN, table
from tests.fuzzing.seeds import SEEDS, changed
from tests.fuzzing.targets import FUNCTIONS, TARGETS, by_python, command, expression

many = settings(max_examples=3 * settings().max_examples)
CRASHES = Path(__file__).parent / "data" / "crashes"
crashes = sorted(CRASHES.glob("*/*"))

# Text that is an expression, by a grammar; and what is left of it after some changes.

space = st.sampled_from(["", "", "", " ", "\t", "  "])
atoms = st.sampled_from(["x", "y", "z", "pi", "2", "0.5", "1e3", ".25", "3.", "007", "0", "1e-400"])
signs = st.sampled_from(["+", "-", "-", "*", "/", "/", "**", "·", "×", "−"])


def call(name: str, inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A function of as many operands as it takes."""
    row = table["fsum" if name == "prod" else name]
    operands = st.tuples(*[inner] * len(row.partials))
    if row.nary:
        size = st.integers(1, 3)
        columns = size.flatmap(lambda n: st.tuples(*[st.lists(inner, min_size=n, max_size=n)] * len(row.partials)))
        operands = columns.map(lambda made: tuple(f"[{', '.join(column)}]" for column in made))
    return operands.map(lambda made: f"{name}({', '.join(made)})")


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Larger expressions from smaller ones."""
    return (
        st.tuples(inner, space, signs, space, inner).map("".join)
        | st.tuples(inner, signs, inner, signs, inner).map("".join)
        | st.tuples(st.sampled_from(["-", "+", "− ", "--"]), inner).map("".join)
        | st.tuples(space, inner, space).map(lambda parts: f"({''.join(parts)})")
        | st.sampled_from(["abs", "tanh", "sin", "exp", "relu", "cbrt", *sorted(FUNCTIONS)]).flatmap(
            lambda name: call(name, inner)
        )
    )


expressions = st.recursive(atoms, grown, max_leaves=12)
separators = st.sampled_from(["; ", ";", "\n", " ;; ", "\n\n", " # why\n"])


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Assignments, and an expression that uses them."""
    names = ["n", "m", "o"][: draw(st.sampled_from([0, 0, 1, 3]))]
    parts = [f"{name}{draw(space)}= {draw(expressions)}{draw(separators)}" for name in names]
    return "".join([*parts, draw(expressions), *[draw(signs) + name for name in names]])


pieces = st.sampled_from([*"()[]+-*/=,;.^#_ 2exn\n\r\t\\²½é𝐱", "**", "//", "e5", "1_0", "0x1", "if", "lambda"])
words = st.sampled_from(["x=2", "w=-3", "y = 1e3", "z=nan", "--check", "--tree", "--table", "--explain"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A program, often a damaged one."""
    text = draw(programs())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2, 4]))):
        i = draw(st.integers(0, len(text)))
        text = text[:i] + draw(pieces | st.text(max_size=2)) + text[i + draw(st.integers(0, 3)) :]
    return text


@example("x + 1e999")
@given(texts())
@many
def test_expressions(text: str) -> None:
    """Are read as Python reads them, to the bit; or an error says where they are wrong."""
    expression(text.encode(errors="replace"))


@given(texts(), st.lists(words | pieces | st.text(max_size=2) | texts(), max_size=5))
@example("x", ["--explain", ""])
def test_command_lines(text: str, more: list[str]) -> None:
    """Are answered, or told what is wrong with them."""
    command("\0".join([text, *more]).encode(errors="replace"))


@pytest.mark.parametrize("name", ["network", "checkpoint", "csv"])
@given(data=st.data())
@many
def test_files(name: str, data: Any) -> None:
    """That are damaged are refused, and change nothing; others are what they seem to be."""
    file = data.draw(st.sampled_from(SEEDS[name]()))
    if name != "csv" and data.draw(st.booleans()):
        content = json.loads(file)
        for seed in data.draw(st.lists(st.integers(0, 10**6), max_size=3)):
            changed(content, random.Random(seed))
        file = json.dumps(content).encode()
    else:
        i = data.draw(st.integers(0, len(file)))
        file = file[:i] + data.draw(st.binary(max_size=4)) + file[i + data.draw(st.integers(0, 9)) :]
    TARGETS[name](file)


@pytest.mark.parametrize("path", crashes, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_broke_once(path: Path) -> None:
    """Every input that fuzzing found is kept."""
    TARGETS[path.parent.name](path.read_bytes())


def test_the_oracle_knows_every_function() -> None:
    """And reads what it should."""
    assert FUNCTIONS.keys() == {*BUILT_IN, "prod"}
    assert by_python("n = −x·2; tanh(n)**2 # what", lenient=False) == math.tanh(1.5) ** 2
