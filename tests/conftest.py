"""In CI, where everything is installed, nothing may be skipped; and Hypothesis draws the same every time."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

collect_ignore = ["graphs.py", "fuzzing"]  # a second import would make the rows in it anew; and what is no test

# How much Hypothesis draws; in CI, by a profile of its own, the same every time. `make fuzz` draws anew,
# from seeds that it gives. A busy machine is no failure.
patient: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("tests", settings(), **patient)
settings.register_profile("fuzz", derandomize=False, print_blob=True, **patient)
settings.load_profile("tests")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
