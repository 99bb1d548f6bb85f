"""The command line: what it prints, where it writes, and its exit codes."""

import io
import math
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd import operations as ops
from tests.graphs import complaint
from viz import __main__ as cli
from viz.expression import LONGEST

NEURON = ["o = tanh(x*w + b)", "x=2", "w=-3", "b=6.88"]


def told(*arguments: str) -> tuple[int, str, str]:
    """The exit code, and what is printed on stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(arguments)
    return code, out.getvalue(), err.getvalue()


def done(*arguments: str) -> str:
    """What is printed where all is well."""
    code, out, err = told(*arguments)
    assert (code, err) == (0, "")
    return out


# What is printed.


def test_the_value_the_gradients_and_the_tree() -> None:
    """Unless something else is asked for."""
    value, tree = done(*NEURON).split("\n\n")
    assert value.splitlines() == [
        "o     = 0.7064193204",
        "∂o/∂x = -1.502915231",
        "∂o/∂w = 1.001943488",
        "∂o/∂b = 0.5009717438",
    ]
    assert tree.startswith("o = tanh ")
    assert done(*NEURON, "--tree") == tree


def test_what_is_not_finite_is_said() -> None:
    """With the place where it arose."""
    assert 'the slope ∂v2/∂x is inf, in sqrt(u), u = 0.0 ("x")' in done("sqrt(x)", "x=0")


def test_numbers_without_variables() -> None:
    """Have a value and no gradient."""
    assert done("2*3").startswith("value = 6\n\n")
    for option in ("--check", "--explain"):
        code, _, err = told("2*3", option)
        assert (code, err) == (2, "there is nothing to differentiate: the expression has no variables\n")


def test_explain() -> None:
    """By one name, or by every variable."""
    assert done(*NEURON, "--explain", "w").startswith("∂o/∂w by the chain rule\n")
    everything = done(*NEURON, "--explain")
    assert [line for line in everything.splitlines() if "chain rule" in line] == [
        f"∂o/∂{name} by the chain rule" for name in "xwb"
    ]
    assert done("n = x*w; n**2", "x=2", "w=3", "--explain=n").endswith("2 · n = 2 · 6 = 12\n")


def test_explain_by_many_variables() -> None:
    """Is refused, since nobody could read it."""
    many = [f"a{i}" for i in range(1000)]
    code, _, err = told("+".join(many), *[f"{name}=1" for name in many], "--explain")
    assert (code, err) == (2, "--explain: there are 1,000 variables; name one of them\n")
    assert "∂v₁₉₉₉/∂a₇   = 1" in done("+".join(many), *[f"{name}=1" for name in many])


def test_check() -> None:
    """A table; exit code 1 if a gradient is none, and 2 where there are no differences."""
    assert "ok" in done(*NEURON, "--check")
    assert done("x = 0.5; w = 3; x*w**2", "--check").count("ok") == 2
    code, out, _ = told("relu(x)", "x=1e-7", "--check")
    assert code == 1
    assert "WRONG, near a kink" in out
    code, _, err = told("sqrt(x)", "x=0", "--check")
    assert code == 2
    assert err.endswith("the check needs the expression on both sides of every number\n")


def test_several_answers() -> None:
    """With a blank line between them."""
    out = done(*NEURON, "--check", "--tree", "--explain", "x")
    assert [part.split()[0] for part in out.split("\n\n")] == ["∂o/∂x", "forward", "o", "input"]


def test_options_and_numbers_in_any_order() -> None:
    """Negative numbers are no options; a true minus is one; - may begin an expression after --."""
    expected = done(*NEURON, "--tree")
    assert done("--tree", NEURON[0], "w=−3", "x=2", "b=6.88") == expected
    assert done(NEURON[0], "w = -3", "--tree", "x=+2.0", "b=6.88") == expected
    assert done("--tree", "--", *NEURON) == expected
    assert done("--", "-x**2", "x=2").splitlines()[0].endswith("= -4")


@pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO leaves out what help is made of")
def test_help_lists_every_row() -> None:
    """As it is called."""
    page = done("--help")
    for name, row in ops.table.items():
        assert f" {name}({'[…]' if row.nary else 'x'}" in page
    assert "leaky_relu(x, y=0.01)" in page
    assert page.count("\n  python -m viz") == 2
    assert max(map(len, page.splitlines())) <= 110
    assert done("--version").startswith("gradgraph")


# Files.


def test_pictures(tmp_path: Path) -> None:
    """As many as are asked for, drawn as the options say."""
    one, other = tmp_path / "a.svg", tmp_path / "b.DOT"
    out = done(*NEURON, "-o", str(one), "--output", str(other), "--parameters", "w, b", "--title", "A neuron")
    assert out == f"{one} is written\n{other} is written\n"
    assert one.read_text(encoding="utf-8").startswith("<svg")
    source = other.read_text(encoding="utf-8")
    assert "A neuron" in source
    assert source.count("parameter</font>") == 2
    options = ["--style=classic", "--rankdir=TB", "--highlight=x", "--hide=partials,formulas", "--detail=full"]
    done(*NEURON, "-o", str(other), *options)
    assert "rankdir=TB" in other.read_text(encoding="utf-8")


def test_nothing_is_written_if_something_is_wrong(tmp_path: Path) -> None:
    """Not even the first of two files."""
    path = tmp_path / "a.dot"
    code, out, err = told(*NEURON, "-o", str(path), "-o", str(tmp_path / "a.gif"))
    assert (code, out) == (2, "")
    assert "the suffix must be one of svg, png, pdf, dot" in err
    assert not path.exists()


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """Is told, with exit code 3."""
    code, _, err = told(*NEURON, "-o", str(tmp_path / "no" / "a.dot"))
    assert code == 3
    assert err.startswith("there is no folder")


def test_where_nothing_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is 3, and the message says what to install."""

    def save(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("drawing needs Graphviz")

    monkeypatch.setattr(cli, "save", save)
    assert told(*NEURON, "-o", "a.svg") == (3, "", "drawing needs Graphviz\n")


def test_the_table_is_that_of_the_library() -> None:
    """Both algorithms, a row per value."""
    table = done(*NEURON, "--table")
    assert table.count("\n") > 6
    assert "tanh(v₅)" in table
    assert "−1.50" in table


def test_a_page_is_live(tmp_path: Path) -> None:
    """With the parameters and the title that were given."""
    path = tmp_path / "neuron.html"
    assert done(*NEURON, "-o", str(path), "--parameters", "w,b", "--title", "One neuron") == f"{path} is written\n"
    page = path.read_text(encoding="utf-8")
    assert "<title>One neuron</title>" in page
    assert page.count("parameter<") == 2


# What is wrong.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], 'an expression is missing, such as in: python -m viz "x**2" x=3'),
        (["x*w", "x=2"], "no number for w\ngive one to each, such as w=1"),
        (["tanh(x*w + b)"], "no number for x, w, b\ngive one to each, such as x=1 w=1 b=1"),
        (["x1*w", "x=2", "w=3"], "no number for x1: did you mean x?\ngive one to each, such as x1=1"),
        (["x*w", "x=2", "w=3", "v=1"], "v is not in the expression"),
        (["rate*x", "rate=2", "x=3", "rat=1"], "rat is not in the expression: did you mean rate?"),
        (["x", "x=abc"], "'x=abc' gives x no number, such as x=2"),
        (["x", "x="], "'x=' is no NAME=NUMBER, such as x=2; is the expression in quotes?"),
        (["x*w", "+", "b"], "'+' is no NAME=NUMBER, such as x=2; is the expression in quotes?"),
        (["x", "x=1", "x=2"], "x is given twice"),
        (["x = 3; x", "x=1"], "x = 3; x\n^ x has a value already: assign to another name"),
        (["tanh(x*w + )"], "tanh(x*w + )\n           ^ an operand is missing here"),
        (["log(x)", "x=-1"], f'log(x)\n^ {complaint(math.log, -1.0)}\nin log(u), u = -1.0 ("x")'),
        (["9**9**9**9"], "9**9**9**9\n    ^ Numerical result out of range\nin u ** v, u = 9.0, v = 387420489.0"),
        (["tanh"], "tanh\n^ tanh is a function: write tanh(…)"),
        (["-x", "x=1"], "unrecognized arguments: -x; an expression that begins with - stands after --"),
        (["x", "x=1", "--explain", "y"], "--explain: no value is called 'y'; there are x"),
        (["alpha", "alpha=1", "--explain", "alhpa"], "--explain: no value is called 'alhpa': did you mean alpha?"),
        (["x", "x=1", "--title", "T"], "--title is about a picture: add -o FILE"),
        (["x", "x=1", "-o", "a"], "cannot draw to 'a': the suffix must be one of svg, png, pdf, dot, html"),
        (["x", "x=1", "-o", "a.dot", "--style", "x"], "style 'x' is not one of 'cards', 'classic'"),
        (["x", "x=1", "-o", "a.dot", "--highlight", "y"], "--highlight: no value is called 'y'; there are x"),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], message: str) -> None:
    """In one to three lines on stderr, with exit code 2."""
    assert told(*arguments) == (2, "", message + "\n")


@settings(deadline=None)
@given(st.lists(st.text(max_size=12) | st.sampled_from(["x=1", "x", "-", "--", "--check", "--explain"]), max_size=4))
def test_whatever_the_arguments(arguments: list[str]) -> None:
    """There is an exit code, and a message of a few lines, or an answer."""
    stdin, sys.stdin = sys.stdin, io.StringIO("x + 1")
    try:
        code, out, err = told(*[argument for argument in arguments if not argument.startswith("-o")])
    finally:
        sys.stdin = stdin
    assert code in (0, 1, 2)
    assert bool(err) == (code == 2)
    assert bool(out) == (code != 2)


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends it with the exit code that shells expect."""

    def interrupted(_: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert told("x") == (130, "", "")


# As a program.


def run(*arguments: str | bytes, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """The program in a process of its own."""
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"} | options.pop("env", {})
    command = [sys.executable, "-m", "viz", *arguments]
    return subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False, **options)


def test_from_standard_input() -> None:
    """An expression of several lines."""
    text = "# a neuron\nx = 2; w = -3\no = tanh(x*w + 6.88)  # its output\n"
    ended = run("-", input=text.encode())
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.decode().startswith("o     = 0.7064")


def test_standard_input_without_an_end_or_a_meaning() -> None:
    """Is read as far as an expression may go; bytes that are no text are an error."""
    ended = run("-", input=b"x" * 10 * LONGEST)
    assert ended.returncode == 2
    assert b"at most 10,000 characters" in ended.stderr
    ended = run("-", input=b"\xff")
    assert (ended.returncode, b"Traceback" in ended.stderr) == (2, False)


def test_where_there_are_no_signs_of_mathematics() -> None:
    """ASCII stands in for them, and ? for the rest."""
    arguments = [text.encode() for text in ("tanh(ü)", "ü=-6.5", "--explain", "--tree")]  # whatever the locale here
    ended = run(*arguments, env={"PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"})
    assert (ended.returncode, ended.stderr) == (0, b"")
    lines = ended.stdout.decode("ascii").splitlines()
    assert lines[0] == "dv2/d? by the chain rule"
    assert lines[-1].startswith("`-*")


def test_nobody_reads() -> None:
    """A pipe that is closed, as by ``| head``, is no error to tell."""
    command = [sys.executable, "-m", "viz", "--help"]
    environment = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_without_a_standard_output(tmp_path: Path) -> None:
    """As windows have none, where there is no terminal: a picture is written all the same."""
    path = tmp_path / "x.dot"
    closing = 'exec "$@" >&- 2>&-'
    command = ["sh", "-c", closing, "sh", sys.executable, "-m", "viz", "o = x**2", "x=3", "-o", str(path)]
    done = subprocess.run(command, timeout=60, check=False)
    assert done.returncode == 0
    assert "9" in path.read_text(encoding="utf-8")
