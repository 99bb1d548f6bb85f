"""Mutation testing: break one thing in ``autograd/``, and see whether a test notices.

cosmic-ray makes the mutants, but a new process for each would take days.  Here a process that has
loaded everything but this library forks once per mutant, and the child runs the tests that reach the
mutated line, until the first fails or hangs.  Printed are the mutants that no test has noticed, of
which mutation.md says why, and how many of each module were noticed.  The table of operations and what
stands on it take half an hour on two idle cores, the programs two hours more::

    make mutation
    python tests/mutation.py autograd/graph.py
"""

from __future__ import annotations

import ast
import gc
import importlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from heapq import nlargest
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import coverage
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators.provider import OperatorProvider

ROOT = Path(__file__).parent.parent
OUT = ROOT / "out" / "mutation"
TREE = OUT / "tree"  # a copy of the project: what is mutated and run
RECORDS = OUT / "records"  # which lines the tests of a file reach; made again when it or the engine has changed

OPTIONS = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
OPTIONS += ["--hypothesis-profile=ci"]  # that without randomness
SAMPLE = int(os.environ.get("SAMPLE", "0"))  # of all mutants, so many, the same each time; 0: all
LOADED = ["dask", "hypothesis", "llvmlite.binding", "mpmath", "numpy", "psutil"]
SLOW = 2.0  # seconds: a test that takes longer is run only where there is no other
LIMIT = 30.0  # seconds: all those together that are not in the two files that have noticed most
MEMORY = 8 << 30
DRAWING = ["test_concurrency", "test_files"]  # which draw too, but nothing else is about locks and files

# A replacement that Python refuses at once, such as + by << on floats, tells nothing about the tests: an
# operator is replaced by its neighbour, a comparison by its opposite and by its other edge.
ARITHMETIC = "Add_Sub Sub_Add Mul_Div Div_Mul Pow_Mul FloorDiv_Div Mod_FloorDiv BitOr_BitAnd BitAnd_BitOr"
COMPARISONS = "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is"
OPERATORS = [
    *(f"ReplaceBinaryOperator_{pair}" for pair in ARITHMETIC.split()),
    *(f"ReplaceComparisonOperator_{pair}" for pair in COMPARISONS.split()),
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "AddNot", "NumberReplacer"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    *("ExceptionReplacer", "RemoveDecorator"),
]


class Mutant(NamedTuple):
    """One change to one module: the ``occurrence``-th place where an operator of cosmic-ray applies."""

    module: str
    line: int
    operator: str
    occurrence: int

    def source(self) -> str:
        operator = OperatorProvider()[self.operator]()
        return str(MutationVisitor.mutate_code((TREE / self.module).read_text(), operator, self.occurrence))

    def __str__(self) -> str:
        before, after = (TREE / self.module).read_text().splitlines(), self.source().splitlines()
        was, now = next((pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]), ("", "(no change)"))
        return f"{self.module}:{self.line} {self.operator} {self.occurrence}\n  - {was.strip()}\n  + {now.strip()}"


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module, but those of code that does nothing when it runs."""
    source = (TREE / module).read_text()
    tree, idle = get_ast(source), list(idle_places(ast.parse(source)))
    for name in OPERATORS:
        operator = OperatorProvider()[name]()
        places = [(node, start) for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        for occurrence, (node, place) in enumerate(places):
            bare_star = getattr(node.parent, "type", "") == "parameters"  # which cosmic-ray takes for a product
            if not bare_star and not any(start <= place < end for start, end in idle):
                yield Mutant(module, place[0], name, occurrence)


def idle_places(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where nothing is run: annotations, overloads, imports for type checkers.

    Left out as well: what the tests sample of a row; and what changes no result, namely ``strict`` where things
    are of one length by construction, and caches.
    """
    for node in ast.walk(tree):
        parts: list[Any] = []
        match node:
            case ast.FunctionDef():
                decorators = {ast.unparse(decorator): decorator for decorator in node.decorator_list}
                parts = [*decorators.values(), node] if "overload" in decorators else [node.returns]
                parts += [decorators.get("functools.cache")]
            case ast.AnnAssign():
                parts = [node if ast.unparse(node.annotation) == "Domain" else node.annotation]
            case ast.arg():
                parts = [node.annotation]
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.keyword(arg="domain" | "strict"):
                parts = [node]
        for part in filter(None, parts):
            at_sign = part in getattr(node, "decorator_list", ())
            yield (part.lineno, part.col_offset - at_sign), (part.end_lineno, part.end_col_offset)


IMPORT = "import"


class Recorder:
    """A plugin of pytest: which lines a test reaches, and how long it takes."""

    def __init__(self) -> None:
        self.coverage = coverage.Coverage(data_file=None, source=["autograd"], config_file=False)
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @contextmanager
    def watched(self, context: str) -> Iterator[None]:
        self.coverage.start()  # anew for each, since some tests trace by themselves
        self.coverage.switch_context(context)
        yield
        self.coverage.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        with self.watched(file_of(collector.nodeid)):  # parameters of tests are computed here
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, bool, bool]:
        started = time.perf_counter()
        with self.watched(item.nodeid):
            done = yield
        self.seconds[item.nodeid] = time.perf_counter() - started
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":
            self.failed.add(report.nodeid)


def record(tests: str) -> None:
    """Run the tests of a file, or the examples of a package, and keep which lines of which modules they reach."""
    os.setsid()  # some tests send signals
    enter(TREE)
    recorder = Recorder()
    with recorder.watched(IMPORT):
        for path in TREE.glob("autograd/*.py"):
            importlib.import_module(f"autograd.{path.stem}")
    pytest.main([*OPTIONS, tests], [recorder])
    data = recorder.coverage.get_data()
    lines = {str(Path(file).relative_to(TREE)): data.contexts_by_lineno(file) for file in data.measured_files()}
    seconds = {test: spent for test, spent in recorder.seconds.items() if test not in recorder.failed}
    (RECORDS / f"{Path(tests).stem}.json").write_text(json.dumps({"lines": lines, "seconds": seconds}))


def enter(tree: Path) -> None:
    """Import from this copy of the project, here and in the processes that tests start."""
    os.chdir(tree)
    os.environ["PYTHONPATH"] = sys.path[0] = str(tree)


class Tester:
    """Runs tests against mutants, in a copy of the project of its own."""

    def __init__(self, trees: str) -> None:
        self.lines: defaultdict[tuple[str, int], set[str]] = defaultdict(set)  # the tests that reach a line of a module
        self.seconds: dict[str, float] = {}
        for path in RECORDS.glob("*.json"):
            recorded = json.loads(path.read_text())
            self.seconds |= recorded["seconds"]
            for module, lines in recorded["lines"].items():
                for line, contexts in lines.items():
                    self.lines[module, int(line)].update(contexts)
        self.kills: Counter[str] = Counter()  # by module and file of tests: who noticed before is asked first
        self.tree = Path(tempfile.mkdtemp(dir=trees))
        shutil.copytree(TREE, self.tree, dirs_exist_ok=True)

    def killer(self, mutant: Mutant) -> str | None:
        """The test that notices the mutant, or "" if none does; None if it is no Python."""
        try:
            source = mutant.source()
            ast.parse(source)
        except (AttributeError, SyntaxError):  # the first by cosmic-ray, for an exception with a dot in its name
            return None
        tests = self.tests(mutant)
        files = nlargest(2, {file_of(test) for test in tests}, key=lambda file: self.kills[mutant.module + file])
        others = [test for test in tests if file_of(test) not in files]
        spent = accumulate(self.seconds[test] for test in others)
        target = self.tree / mutant.module
        target.write_text(source)
        try:  # loading all files of tests takes longer than what most mutants survive
            found = self.run([test for test in tests if file_of(test) in files])
            found = found or self.run([test for test, total in zip(others, spent, strict=True) if total < LIMIT])
        finally:
            shutil.copy2(TREE / mutant.module, target)
        self.kills[mutant.module + file_of(found)] += 1
        return found

    def tests(self, mutant: Mutant) -> list[str]:
        """Those that reach the mutated line, the quickest first; if it runs on import, or in no test's process, any."""
        contexts = self.lines[mutant.module, mutant.line] or {IMPORT}
        reaching = [t for t in self.seconds if IMPORT in contexts or t in contexts or file_of(t) in contexts]
        quick = [test for test in reaching if self.seconds[test] < SLOW] or reaching
        return sorted(quick, key=self.seconds.__getitem__)

    def run(self, tests: list[str]) -> str:
        """Run tests in a child until one fails, and tell which, or why there was none."""
        note = self.tree / "killer"
        note.unlink(missing_ok=True)
        if not tests:
            return ""
        deadline = time.monotonic() + 30.0 + 5.0 * sum(self.seconds[test] for test in tests)
        child = os.fork()
        if not child:
            be_child(self.tree, tests, note)
        ended, status = 0, 0
        while not ended and time.monotonic() < deadline:
            time.sleep(0.01)
            ended, status = os.waitpid(child, os.WNOHANG)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # with what the tests may have left running
        if not ended:
            os.waitpid(child, 0)
            return "a hang"
        return note.read_text() if note.exists() else "a crash, or a file that cannot be loaded" if status else ""


def be_child(tree: Path, tests: list[str], note: Path) -> None:
    """Run tests until one fails, and note its name."""

    class Noticed:
        @staticmethod
        def pytest_runtest_logreport(report: pytest.TestReport) -> None:
            if report.failed:
                note.write_text(report.nodeid)

    status = 1
    try:
        os.setsid()
        multiprocessing.current_process().daemon = False  # which tests that start processes could not be
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        enter(tree)
        os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True
        tests.sort(key=lambda test: not test.startswith("tests"))  # examples last, as always: they make rows anew
        status = pytest.main([*OPTIONS, "-x", *tests], [Noticed()])
    finally:
        os._exit(status)


def file_of(test: str) -> str:
    return test.partition("::")[0]


tester: Tester


def start(trees: str) -> None:
    global tester
    tester = Tester(trees)


def ask(mutant: Mutant) -> tuple[Mutant, str | None]:
    return mutant, tester.killer(mutant)


def prepare() -> None:
    """Copy the project, and run the tests that have changed since they were recorded, or all if the engine has."""
    shutil.rmtree(TREE, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for file in listed.stdout.splitlines():
        (TREE / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, TREE / file)
    RECORDS.mkdir(exist_ok=True)
    engine = max(path.stat().st_mtime for path in ROOT.glob("autograd/*.py"))
    for path in [ROOT / "autograd", ROOT / "nn", *ROOT.glob("tests/test_*.py")]:
        kept = RECORDS / f"{path.stem}.json"
        if path.is_file() and path.stem not in DRAWING and "viz" in path.read_text():
            continue  # slow: it is about pictures
        if not kept.exists() or kept.stat().st_mtime < max(engine, path.stat().st_mtime):
            recording = multiprocessing.get_context("fork").Process(target=record, args=[str(path.relative_to(ROOT))])
            recording.start()
            recording.join()


def main(modules: list[str]) -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a fork has no other thread
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # or a child's first collection would copy every page of these modules
    prepare()
    chosen = modules or sorted(str(path.relative_to(TREE)) for path in TREE.glob("autograd/*.py"))
    drawn = [mutant for module in chosen for mutant in mutants(module)]
    drawn = random.Random(SAMPLE).sample(drawn, SAMPLE) if SAMPLE else drawn
    made, killed = Counter[str](), Counter[str]()
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(dir=OUT) as trees, fork.Pool(initializer=start, initargs=[trees]) as pool:
        whole = Tester(trees)
        if failed := whole.run([test for test, seconds in whole.seconds.items() if seconds < SLOW]):
            sys.exit(f"with nothing broken, there is {failed}: mend that, and remove {OUT}")
        for mutant, killer in pool.imap_unordered(ask, drawn):
            if killer is not None:
                made[mutant.module] += 1
                killed[mutant.module] += bool(killer)
            if killer == "":
                print(mutant, flush=True)
    for module in made:
        print(f"| {module} | {killed[module]} / {made[module]} | {killed[module] / made[module]:.1%} |")


if __name__ == "__main__":
    main(sys.argv[1:])
