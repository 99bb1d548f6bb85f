"""In CI, where everything is installed, nothing may be skipped; and Hypothesis draws the same every time."""

import os
from typing import Any

import pytest
from hypothesis import settings

collect_ignore = ["graphs.py", "fuzzing"]  # a second import would make the rows in it anew; and what is no test

# Hypothesis has a profile for CI, which draws the same every time. This one is for `make fuzz`.
settings.register_profile("fuzz", max_examples=1000, deadline=None, print_blob=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
