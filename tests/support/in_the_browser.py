"""Runs tests of the checks with pytest in the Python of the browser; started by test_workbench.py.

There is no PyTorch, so a test that uses it is skipped, and so is one of Hypothesis, which would
take too long to start.
"""

import json
import sys
from types import ModuleType

import pytest


class Missing(type):
    """The type of everything in a module that is missing: its use skips the test."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Missing(name, (), {})

    def __call__(cls, *args, **kwargs):
        pytest.skip("needs PyTorch")


def missing(name):
    module = ModuleType(name)
    module.__getattr__ = lambda attribute: getattr(Missing("any", (), {}), attribute)
    return module


def strategy(*args, **kwargs):
    return strategy


def given(*args, **kwargs):
    return lambda test: pytest.mark.skip("needs Hypothesis")(lambda: None)


hypothesis, strategies = ModuleType("hypothesis"), ModuleType("hypothesis.strategies")
hypothesis.given = hypothesis.settings = given
hypothesis.strategies, strategies.__getattr__ = strategies, lambda name: strategy
STANDINS = {
    "torch": missing("torch"),
    "hypothesis": hypothesis,
    "hypothesis.strategies": strategies,
}


class Outcomes:
    """Counts what passes and is skipped, and lists what fails."""

    def __init__(self):
        self.count = {"passed": 0, "skipped": 0, "failed": []}

    def pytest_collection_finish(self):
        for name in STANDINS:  # the checks look whether there is PyTorch
            sys.modules.pop(name, None)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.count["failed"].append(f"{report.nodeid}: {report.longreprtext[-300:]}")
        elif report.skipped or report.when == "call":
            self.count[report.outcome] += 1

    def pytest_collectreport(self, report):
        if report.failed:
            self.count["failed"].append(f"{report.nodeid}: {report.longreprtext[-1500:]}")


def main(*files):
    """Run the files' fast tests and return the counts as JSON."""
    sys.modules |= STANDINS
    outcomes = Outcomes()
    options = ["-q", "-c", "/dev/null", "--import-mode=importlib", "--assert=plain", "-s"]
    for plugin in ("cacheprovider", "faulthandler", "threadexception", "unraisableexception"):
        options += ["-p", f"no:{plugin}"]
    options += ["-m", "not slow", "--no-header", "--no-summary", "-W", "ignore"]
    pytest.main([*options, *files], plugins=[outcomes])
    return json.dumps(outcomes.count)
