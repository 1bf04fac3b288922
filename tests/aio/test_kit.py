"""The kit fails where a driver gets cancellation wrong."""

from pathlib import Path

import pytest

from example.cluster import Server
from tests.testing.inner import run_pytest


class Failures:
    """Which tests failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid)


@pytest.mark.parametrize("mutant", ["Waiting", "Interrupted"])
def test_the_kit_catches(server: Server, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    monkeypatch.setenv("MUTATED_DSN", server.dsn())
    failures = Failures()
    tests = f"cancelled and {mutant}"
    assert run_pytest(str(Path(__file__).with_name("mutated.py")), "-x", "-k", tests, plugins=[failures]) == 1
    assert "cancelled" in failures.names[0]
