"""Files: every writer leaves the old one or the new one, whole; every reader says what is wrong."""

import ast
import copy
import errno
import functools
import json
import math
import os
import pickle
import random
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from autograd import Value, files
from nn import MLP, Adam, fit, load, save, squared_error
from nn.data import load_csv
from viz import __main__ as cli
from viz import draw, page, training_page, worksheet
from viz import save as save_picture
from viz.plots import loss_curve

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for package in ("autograd", "nn", "viz") for path in (ROOT / package).rglob("*.py"))
DATA = [([0.0], 0.5), ([1.0], -0.5)]
#: How many processes are killed: KILLS=5000 pytest tests/test_files.py -k killed
KILLS = int(os.environ.get("KILLS", "30"))


def network(seed: int = 0, width: int = 2) -> MLP:
    return MLP(1, [width, 1], "tanh", seed=seed)


def train(path: Path, epochs: int, model: MLP, optimizer: Adam, **options: Any) -> Any:
    return fit(
        model,
        squared_error,
        DATA,
        optimizer,
        epochs=epochs,
        checkpoint=path,
        validation=DATA[:1],
        metric=lambda model, data: 0.5,
        progress=False,
        compiled=False,
        **options,
    )


def trained(path: Path, epochs: int) -> None:
    """Write a checkpoint, or go on from the one that is there."""
    model = network(width=8)
    train(path, epochs, model, Adam(model.parameters(), lr=0.1))


def product(version: int) -> Value:
    x, w = Value(float(version), label="x"), Value(-3.0, label="w")
    y = x * w + 1.0
    y.backward()
    return y


def film(path: Path, version: int) -> None:
    model, states = network(), list[dict[str, float]]()
    history = fit(
        model,
        squared_error,
        DATA,
        Adam(model.parameters()),
        epochs=version,
        progress=False,
        after_epoch=lambda model: states.append(model.state_dict()),
    )
    training_page(model, history, path, states=states, data=DATA, loss=squared_error)


def command(path: Path, version: int) -> None:
    if cli.main(["x*w + 1", f"x={version}", "w=-3", "-o", str(path)]):
        raise OSError(f"it is told on stderr that {path} cannot be written")


def plot(version: int) -> Any:
    from nn import History

    return loss_curve(History(losses=[1.0, 1.0 / version]))


#: Everything that writes a file, by a file's name: the versions 1 and 2 differ.
WRITERS: dict[str, Callable[[Path, int], object]] = {
    "network.json": lambda path, version: save(network(width=4 * version), path),
    "checkpoint.json": trained,
    "a.svg": lambda path, version: save_picture(product(version), path),
    "a.png": lambda path, version: save_picture(product(version), path),
    "a.pdf": lambda path, version: save_picture(product(version), path),
    "a.dot": lambda path, version: draw(product(version)).save(path),
    "rendered.svg": lambda path, version: draw(product(version)).render(path.with_suffix(""), format="svg"),
    "page.html": lambda path, version: page(product(version), path),
    "film.html": film,
    "sheet.dot": lambda path, version: worksheet(product(1), path, seed=version),
    "plot.png": lambda path, version: plot(version).savefig(path),
    "plot.pdf": lambda path, version: plot(version).savefig(str(path)),
    "command.dot": command,
}


def held(folder: Path) -> dict[str, bytes]:
    """What is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def no_room(size: int = 100) -> Iterator[None]:
    """No file can grow beyond that; this needs no rights, unlike a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """A folder of somebody whom permissions concern, which root is not."""
    root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    if root:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


# Writers.

#: What can write, or make something that is written to.
WRITING = {"open", "fdopen", "write_text", "write_bytes", "savefig", "tofile", "dump", "mkstemp", "mkdir", "makedirs"}
WRITING |= {"NamedTemporaryFile", "TemporaryFile", "rename", "copyfile", "copy2", "symlink_to", "touch", "truncate"}


def calls(path: Path) -> set[str]:
    """The names of what a module calls, of those that can write, and ``files.replace``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            whole = ast.unparse(node.func)
            if whole.rpartition(".")[2] in WRITING or whole == "files.replace":
                found.add(whole)
    return found


def test_every_module_writes_by_replacing() -> None:
    """But for what is written to a folder that only Graphviz reads, to memory and to nothing."""
    found = {f"{path.parent.name}.{path.stem}": calls(path) for path in SOURCES}
    writers = {name for name, called in found.items() if "files.replace" in called}
    assert writers == {"nn.storage", "viz.picture", "viz.html", "viz.worksheet", "viz.plots"}
    others = {name: called - {"files.replace"} for name, called in found.items()}
    assert {name: called for name, called in others.items() if called} == {
        "autograd.files": {"path.open", "unfinished.open", "target.open"},
        "viz.__main__": {"os.open"},  # /dev/null
        "viz.picture": {"path.write_bytes", "webbrowser.open"},  # the curves of a picture, in a temporary folder
        "viz.plots": {"super().savefig", "self.savefig"},  # into memory
    }


def test_the_writers_here_are_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come through every call of ``files.replace`` that there is."""
    lines: set[tuple[str, int]] = set()
    replace = files.replace

    def noted(path: Path, content: bytes) -> None:
        caller = sys._getframe(1)
        lines.add((Path(caller.f_code.co_filename).stem, caller.f_lineno))
        replace(path, content)

    monkeypatch.setattr(files, "replace", noted)
    for name, write in WRITERS.items():
        write(tmp_path / name, 1)
    expected = {
        (path.stem, node.lineno)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "files.replace"
    }
    assert lines == expected


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_replaces_all_or_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through a link, which stays one, with the file's permissions; on a full disk, nothing has changed."""
    write, here, there = WRITERS[name], tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    write(there / name, 1)
    (there / name).chmod(0o640)
    (here / name).symlink_to(Path("..") / "there" / name)
    before = held(there)
    with no_room(), pytest.raises(OSError, match=re.escape(name)):
        write(here / name, 2)
    assert held(there) == before
    assert os.listdir(here) == [name]
    write(here / name, 2)
    assert (here / name).is_symlink()
    assert held(there)[name] != before[name]
    assert held(there).keys() == before.keys()
    assert stat.S_IMODE((there / name).stat().st_mode) == 0o640
    capsys.readouterr()


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "checkpoint.json"])
def test_a_writer_into_a_folder_that_cannot_be_written_to(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Which /sys is for everybody: the error names the file that was asked for."""
    with pytest.raises(OSError, match=f"/sys/{name}|/sys/{name.partition('.')[0]}"):
        WRITERS[name](Path("/sys") / name, 1)
    capsys.readouterr()


def test_the_command_tells_in_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What, where, and what to do; with exit code 3."""
    path = tmp_path / "a.dot"
    with no_room():
        assert cli.main(["x", "x=1", "-o", str(path)]) == 3
    cure = "nothing was replaced: make room, or write to another place"
    assert capsys.readouterr().err == f"[Errno {errno.EFBIG}] File too large: '{path}'\n{cure}\n"
    assert held(tmp_path) == {}


def test_permissions(tmp_path: Path) -> None:
    """New files have those that files have here; old ones keep theirs; a protected file, or folder, stays as it is."""
    mask = os.umask(0o027)
    try:
        files.replace(tmp_path / "new", b"1")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    with ordinary_user() as folder:
        path = folder / "old"
        files.replace(path, b"old")
        for changed, mode in ((path, 0o444), (folder, 0o555)):
            changed.chmod(mode)
            with pytest.raises(PermissionError, match=f"'{path}'"):
                files.replace(path, b"new")
            assert held(folder) == {"old": b"old"}
            assert stat.S_IMODE(changed.stat().st_mode) == mode
        folder.chmod(0o755)
        path.chmod(0o600)
        files.replace(path, b"new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_secret_is_never_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unfinished file has the permissions before it has the content."""
    path, seen = tmp_path / "secret", list[int]()
    files.replace(path, b"old")
    path.chmod(0o600)

    def watched(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fsync", watched)
    files.replace(path, b"new")
    assert seen == [0o600]


ASCII = ["a b.txt", "x" * 255, "\udcff.txt", "new\nline", "-o", ".hidden"]
OTHERS = ["Ж–∂.txt", "é" * 127] if sys.getfilesystemencoding() == "utf-8" else []


@pytest.mark.parametrize("name", ASCII + OTHERS)
def test_names(name: str, tmp_path: Path) -> None:
    """Of any kind, and as long as they may be; one byte more is an error that has it."""
    for content in (b"1", b"22"):
        files.replace(tmp_path / name, content)
        assert held(tmp_path) == {name: content}
    with pytest.raises(OSError, match=r"File name too long: '.*xx'"):
        files.replace(tmp_path / ("x" * 256), b"3")
    assert held(tmp_path) == {name: b"22"}


def test_places_that_are_no_files(tmp_path: Path) -> None:
    """A folder, a file as a folder, a link to itself or into no folder; and a link that leads to no file yet."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "astray").symlink_to(tmp_path / "nowhere" / "file")
    (tmp_path / "new").symlink_to(tmp_path / "folder" / "file")
    before = sorted(tmp_path.rglob("*"))
    for name, error in {
        "folder": IsADirectoryError,
        "file/a": FileNotFoundError,
        "loop": OSError,
        "astray": FileNotFoundError,
    }.items():
        with pytest.raises(error, match=name.partition("/")[0].replace("astray", "nowhere")):
            files.replace(tmp_path / name, b"new")
    assert sorted(tmp_path.rglob("*")) == before
    files.replace(tmp_path / "new", b"new")
    assert (tmp_path / "folder" / "file").read_bytes() == b"new"
    assert (tmp_path / "new").is_symlink()


def test_a_hard_link_keeps_the_old_file(tmp_path: Path) -> None:
    """As the documentation says."""
    files.replace(tmp_path / "a", b"old")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    files.replace(tmp_path / "a", b"new")
    assert held(tmp_path) == {"a": b"new", "b": b"old"}


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """By any writer; it stays a pipe, and a device that is full is an error that names it."""
    path = tmp_path / "pipe.dot"
    os.mkfifo(path)
    with ThreadPoolExecutor() as threads:
        for write in (WRITERS["a.dot"], WRITERS["network.json"]):
            read = threads.submit(path.read_bytes)
            write(path, 1)
            write(tmp_path / "file.dot", 1)
            assert read.result(timeout=10) == (tmp_path / "file.dot").read_bytes()
    assert path.is_fifo()
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        save(network(), "/dev/full")


@pytest.mark.parametrize("way", ["|", ">", ">>"])
def test_standard_output_is_a_place_to_draw_to(way: str, tmp_path: Path) -> None:
    """In SVG, with nothing else in between, and nothing lost that was there before."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    path = tmp_path / "out"
    path.write_bytes(b"before" if way == ">>" else b"")
    with path.open("ab") as out:
        ended = subprocess.run(
            [sys.executable, "-m", "viz", "y = x*w", "x=2", "w=3", "--tree", "-o", "/dev/stdout"],
            stdout=subprocess.PIPE if way == "|" else out,
            stderr=subprocess.PIPE,
            env=environment,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, b"")
    told = ended.stdout if way == "|" else path.read_bytes()
    head, svg = told[: told.index(b"<svg")], told[told.index(b"<svg") :]
    assert head.startswith(b"before" if way == ">>" else b"y")
    assert svg.endswith(b"</svg>\n")
    assert held(tmp_path).keys() == {"out"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), OSError(errno.EIO, "Input/output error")])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupted_writer_leaves_nothing(
    call: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a new file nor the unfinished one."""

    def fails(*_: object) -> None:
        raise error

    files.replace(tmp_path / "a", b"old")
    monkeypatch.setattr(os, call, fails)
    for name in "ab":
        with pytest.raises(type(error)):
            files.replace(tmp_path / name, b"new")
    assert held(tmp_path) == {"a": b"old"}


def test_the_new_file_is_on_the_disk_before_the_old_one_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a power cut could leave an empty file under the name."""
    done: list[str] = []

    def noted(name: str, call: Callable[..., object], *arguments: Any) -> None:
        size = os.fstat(arguments[0]).st_size if name == "fsync" else 0
        done.append(f"{name} {size}")
        call(*arguments)

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, functools.partial(noted, name, getattr(os, name)))
    files.replace(tmp_path / "a", b"x" * 100_000)
    assert done == ["fsync 100000", "replace 0"]


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A small one of our own, where the system lets us have one; else it is the limit above that shows it."""
    program = """
import os, sys
from pathlib import Path
from autograd import files
path = Path(sys.argv[1], "a")
files.replace(path, b"old" * 10_000)
try:
    files.replace(path, b"new" * 20_000)
except OSError as error:
    print(error, error.__notes__)
print(path.read_bytes() == b"old" * 10_000, os.listdir(path.parent))
"""
    own = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'
    ended = (
        subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", own, "sh", tmp_path, sys.executable, program],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        if shutil.which("unshare")
        else None
    )
    if ended is None or (ended.returncode and "Traceback" not in ended.stderr):
        return
    cure = "nothing was replaced: make room, or write to another place"
    told = f"[Errno {errno.ENOSPC}] No space left on device: '{tmp_path / 'a'}' ['{cure}']\nTrue ['a']\n"
    assert (ended.stdout, ended.stderr) == (told, "")


# Killed, and at the same time.


def contents(folder: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """What each writer has written to each of its files, in two versions."""
    written: dict[Path, list[bytes]] = {}
    replace = files.replace

    def noted(path: Path, content: bytes) -> None:
        written.setdefault(path, []).append(content)
        replace(path, content)

    files.replace = noted
    with open(os.devnull, "w") as nothing:
        sys.stdout, out = nothing, sys.stdout
        for name, write in WRITERS.items():
            for version in (1, 2):
                write(folder / name, version)
        sys.stdout = out
        for content in (b"a" * 5_000_000, b"b" * 3_000_000):
            noted(folder / "large", content)
    files.replace = replace
    yield from written.items()


def forked(work: Callable[[], object]) -> int:
    """The id of a process that does this again and again."""
    if child := os.fork():
        return child
    while True:
        work()


def ended(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def killed(folder: Path, kills: int) -> None:
    """Kill writers at random points, and look at what they leave."""
    rng, cases = random.Random(), list(contents(folder))
    for i in range(kills):
        path, versions = cases[i % len(cases)]

        def work(path: Path = path, versions: list[bytes] = versions) -> None:
            for content in versions:
                files.replace(path, content)

        child = forked(work)
        time.sleep(rng.uniform(0.005, 0.04))
        ended(child)
        assert path.read_bytes() in versions, f"{path.name} is half-written"
    left = set(os.listdir(folder)) - {path.name for path, _ in cases}
    print(len(left), *[name for name in left if not re.fullmatch(r"\.unfinished-[0-9a-f]{16}", name)])


def at_once(folder: Path) -> None:
    """Three processes write the same file, and this one reads it."""
    path, versions = folder / "shared", [bytes([65 + i]) * 10**i for i in (4, 5, 6)]
    files.replace(path, versions[0])
    children = [forked(functools.partial(files.replace, path, content)) for content in versions]
    end, seen = time.monotonic() + 0.5, set[bytes]()
    while time.monotonic() < end:
        seen.add(path.read_bytes())
    for child in children:
        ended(child)
    print(seen <= set(versions), len(seen) > 1)


def in_a_process(what: str) -> str:
    """What a function of this module prints in a process of its own, which forks without warnings and threads."""
    program = f"from tests import test_files; from pathlib import Path; test_files.{what}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def test_a_writer_is_killed(tmp_path: Path) -> None:
    """At any moment: the file is one of the versions; what else there is has a name that tells."""
    left, *others = in_a_process(f"killed(Path({str(tmp_path)!r}), {KILLS})").split()
    assert others == []
    assert int(left) > 0, "none was killed while it was writing"


def test_several_processes_write_one_file(tmp_path: Path) -> None:
    """Whoever reads it finds that of one of them."""
    assert in_a_process(f"at_once(Path({str(tmp_path)!r}))") == "True True\n"


def test_several_threads_write_one_file(tmp_path: Path) -> None:
    """The same."""
    path, versions = tmp_path / "shared", [bytes([65 + i]) * 100_000 for i in range(8)]
    done = threading.Event()

    def write(content: bytes) -> None:
        while not done.is_set():
            files.replace(path, content)

    files.replace(path, versions[0])
    with ThreadPoolExecutor(8) as threads:
        writers = [threads.submit(write, content) for content in versions]
        seen = {path.read_bytes() for _ in range(300)}
        done.set()
        for writer in writers:
            writer.result()
    assert seen <= set(versions)
    assert held(tmp_path).keys() == {"shared"}


# Readers.


def read_network(path: Path) -> None:
    load(path)


def read_into_a_model(path: Path) -> None:
    model = network(4)
    before = model.state_dict()
    try:
        load(path, model)
    except (ValueError, OSError):
        assert model.state_dict() == before
        raise


def read_checkpoint(path: Path) -> None:
    """And go on, where it can be read."""
    model = network(4)
    optimizer = Adam(model.parameters(), lr=0.1)
    before = model.state_dict(), optimizer.state_dict()
    with suppress(ArithmeticError):  # where a number is so large that there is no next step
        try:
            train(path, 3, model, optimizer)
        except (ValueError, OSError):
            assert (model.state_dict(), optimizer.state_dict()) == before
            raise


def read_csv(path: Path) -> None:
    load_csv(path, target="kind")


READERS = {
    "a network": read_network,
    "a model": read_into_a_model,
    "a checkpoint": read_checkpoint,
    "a csv": read_csv,
}
JSON = [name for name in READERS if name != "a csv"]


@functools.cache
def good(name: str) -> bytes:
    """What the reader likes to read."""
    if name == "a csv":
        return "x,kind\n1.5,é\n-2e1,b\n".encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "good")
        if name == "a checkpoint":
            model = network()
            train(path, 2, model, Adam(model.parameters(), lr=0.1))
        else:
            save(network(), path)
        return path.read_bytes()


def refused(name: str, path: Path, content: bytes) -> str:
    """The message about this content."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        READERS[name](path)
    assert len(str(caught.value)) < 700 + len(str(path))
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("name", READERS)
def test_readers_take_what_editors_make_of_a_file(name: str, tmp_path: Path) -> None:
    """A mark at the start, other ends of lines; a link, or a pipe."""
    path, content = tmp_path / "file", good(name)
    for version in (content, b"\xef\xbb\xbf" + content, content.replace(b"\n", b"\r\n"), content + b"\n"):
        path.write_bytes(version)
        READERS[name](path)
    path.write_bytes(content)
    (tmp_path / "link").symlink_to(path)
    READERS[name](tmp_path / "link")
    if name != "a checkpoint":  # which is written again
        os.mkfifo(tmp_path / "pipe")
        with ThreadPoolExecutor() as threads:
            threads.submit((tmp_path / "pipe").write_bytes, content)
            READERS[name](tmp_path / "pipe")


@pytest.mark.parametrize("name", JSON)
def test_a_file_is_cut_anywhere(name: str, tmp_path: Path) -> None:
    """After every byte; of the longest, after every few."""
    content = good(name)
    for size in range(0, len(content), 1 + len(content) // 400):
        refused(name, tmp_path / "file", content[:size])


def test_a_csv_file_is_cut_anywhere(tmp_path: Path) -> None:
    """What is left are whole fields, whose last may be shorter, or an error with the line."""
    path, content = tmp_path / "file", good("a csv")
    for size in range(len(content)):
        path.write_bytes(content[:size])
        if content[:size].rstrip().endswith(("1.5,é".encode(), b"-2e1,b")):
            examples, labels = load_csv(path, target="kind")
            assert examples[0] == ([1.5], labels.index("é"))
        else:
            assert re.search(r"file, line \d", refused("a csv", path, content[:size]))


HOSTILE = {
    "nothing": b"",
    "zeros": b"\0" * 10,
    "bytes": b"\xff\xfe",
    "UTF-16": "x,kind\n1,b\n".encode("utf-16"),
    "UTF-16, no mark": "x,kind\n1,b\n".encode("utf-16-le"),
    "half a character": "x,kind\n1,é".encode()[:-1],
    "a pickle": pickle.dumps({"format": "gradgraph network"}),
    "lists": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "text": b"spam " * 1000,
    "many digits": b"9" * 5000,
    "a long line": b"9" * 1_000_000,
}


@pytest.mark.parametrize("content", HOSTILE)
@pytest.mark.parametrize("name", READERS)
def test_something_else_is_refused(name: str, content: str, tmp_path: Path) -> None:
    """Whatever it is."""
    refused(name, tmp_path / "file", HOSTILE[content])


@pytest.mark.parametrize("name", READERS)
def test_an_image_of_a_disk_is_refused_unread(name: str, tmp_path: Path) -> None:
    """A gigabyte of zeros takes no memory."""
    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, 2**30)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"huge.*not UTF-8"):
            READERS[name](path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", READERS)
def test_what_cannot_be_opened(name: str, tmp_path: Path) -> None:
    """Is the system's error, with the name, and before anything is trained."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "folder", tmp_path / "loop", tmp_path / "none" / "file"):
        with pytest.raises(OSError, match=r"folder|loop|none"):
            READERS[name](path)
    assert sorted(os.listdir(tmp_path)) == ["folder", "loop"]


def places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every node of JSON."""
    yield at
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield from places(tree[key], (*at, key))


def put(tree: Any, at: tuple[Any, ...], x: Any) -> Any:
    """JSON with something else there."""
    if not at:
        return x
    inner = tree = copy.deepcopy(tree)
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = x
    return tree


CODES = "\x1b[31m"
ODD: list[Any] = [None, "", CODES * 20_000, [], {}, [1], {CODES: "\n"}]
ODD += [-1, 0, -1.0, math.inf, math.nan, True, 10**400, 10**4000, 1e308]


@pytest.mark.parametrize("name", JSON)
def test_every_part_of_a_file_is_checked(name: str, tmp_path: Path) -> None:
    """Something else in any place is an error, unless it is as good as what was there."""
    path, content = tmp_path / "file", json.loads(good(name))
    for at in places(content):
        for x in ODD:
            changed = json.dumps(put(content, at, x)).encode()
            if as_good(name, ".".join(map(str, at)), x):
                path.write_bytes(changed)
                READERS[name](path)
            else:
                refused(name, path, changed)


def as_good(name: str, place: str, x: Any) -> bool:
    """Whether this could have been written there."""
    number = type(x) is float or (type(x) is int and abs(x) < 1e308)
    if place.startswith("architecture"):
        return name == "a model" or (x is True and place.endswith(("bias", "expand")))  # which a model is given for
    if re.match(r"(parameters|best)\.", place):
        return number and math.isfinite(x)
    if re.match(r"optimizer\.(steps|lr|v\.)", place):
        return number and 0 <= x < math.inf and type(x) is (int if "steps" in place else float)
    if re.match(r"optimizer\.m\.|history\.(validation_)?losses\.", place):
        return type(x) is float and math.isfinite(x)
    if re.match(r"history\.(metrics\.|gradient_norms\.\w+\.)", place):
        return type(x) is float
    same: dict[str, bool] = {
        "history.ended": isinstance(x, str),
        "history.metrics": x == [],
        "settings.clip_norm": x is None,
    }
    return same.get(place, (place, x) in (("settings.seed", 0), ("settings.validation", 1)))


@pytest.mark.parametrize("depth", [900, 990, 1010, 5000, 9_990, 100_000])
@pytest.mark.parametrize("name", JSON)
def test_deep_is_refused_everywhere(name: str, depth: int, tmp_path: Path) -> None:
    """Also where it is just not too deep to be read, but perhaps to be told."""
    content = json.loads(good(name))
    for at in [at for at in places(content) if len(at) < 3]:
        if name == "a model" and at[:1] == ("architecture",):
            continue
        for opened, closed in (("[", "]"), ('{"a":', "}")):
            text = json.dumps(put(content, at, "@")).replace('"@"', opened * depth + "1" + closed * depth)
            refused(name, tmp_path / "file", text.encode())


@pytest.mark.parametrize("name", JSON)
def test_what_is_there_twice_is_named(name: str, tmp_path: Path) -> None:
    """Which of the two was meant, nobody can tell."""
    key = "layers[0].neurons[0].b"
    text = good(name).decode().replace(f'"{key}"', f'"{key}": 0.0, "{key}"')
    assert f"'{key}' is there more than once" in refused(name, tmp_path / "file", text.encode())


def test_a_number_of_too_many_digits(tmp_path: Path) -> None:
    """Python reads up to 4,300 of them."""
    text = json.dumps(json.loads(good("a network"))).replace('"nin": 1', f'"nin": {"1" * 5000}')
    assert "4300 digits" in refused("a network", tmp_path / "file", text.encode())


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", READERS)
def test_nothing_is_run_by_reading(name: str, tmp_path: Path) -> None:
    """A pickle runs what it says; but only the executors, whose workers are our own, read any."""
    mark = tmp_path / "mark"
    trap = pickle.dumps(Trap(mark))
    refused(name, tmp_path / "file", trap)
    assert not mark.exists()
    pickle.loads(trap)
    assert mark.exists()
    imports = re.compile(r"^\s*(import|from) (pickle|shelve|marshal|dill)", re.MULTILINE)
    assert {path.stem for path in SOURCES if imports.search(path.read_text(encoding="utf-8"))} == {"distribution"}


def test_a_network_can_be_pickled() -> None:
    """Whatever its activations are called; it computes the same."""
    for activation in ("linear", "tanh", "leaky_relu(0.1)"):
        model = MLP(2, [3, 2], activation, output="softmax")
        again = pickle.loads(pickle.dumps(model))
        assert repr(again) == repr(model)
        assert [y.data for y in again([0.5, -2.0])] == [y.data for y in model([0.5, -2.0])]
