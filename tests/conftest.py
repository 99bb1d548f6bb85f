"""In CI, where everything is installed, nothing may be skipped."""

import os
from typing import Any

import pytest

collect_ignore = ["graphs.py"]  # a second import would make the rows in it anew


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
