"""What tests find and what Hypothesis draws, and what happens where something is not installed."""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import autograd

# For ``tests.graphs`` and ``examples``: last, so that a wheel which is installed comes before the source tree.
sys.path.append(str(Path(__file__).parent.parent))
os.environ |= {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"}  # for programs that a test starts

#: Whole files of tests, by what they cannot do without.
NEEDS = {
    "dask": "distribution",
    "jupytext": "lessons",
    "llvmlite": "llvm load project stateful_graph",
    "matplotlib": "files plots project safety",
    "numpy": "compiled_fit distribution fuzzing jit program_batch program_structure source stateful_graph"
    " stateful_training vector_math",
    "pdoc": "docs",
}
missing = " ".join(files for package, files in NEEDS.items() if find_spec(package) is None).split()
left_out = sorted({f"test_{name}.py" for name in missing})
collect_ignore = ["fuzzing", "mutation.py", *left_out]
collect_ignore += ["graphs.py"]  # a second import would make its rows anew

# How much Hypothesis draws; in CI, by a profile of its own, the same every time. `make fuzz` draws anew,
# from seeds that it gives. A busy machine is no failure.
patient: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("tests", settings(), **patient)
settings.register_profile("fuzz", derandomize=False, print_blob=True, **patient)
settings.load_profile("tests")


def pytest_report_header() -> str:
    """Which library is tested, and by which files it is not."""
    return f"autograd: {autograd.__file__}\nleft out: {', '.join(left_out) or 'no file'}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """The one line that tells which extra to install skips a test; every other error fails it."""
    try:
        return (yield)
    except Exception as error:
        if "pip install 'gradgraph[" in str(error):
            pytest.skip(str(error))
        raise


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, where everything is installed, nothing may be skipped."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and (left_out or (reporter and reporter.stats.get("skipped"))):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
