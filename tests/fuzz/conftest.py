"""The fuzzer's figures, at the end of pytest's report."""

import pytest

COUNTS = pytest.StashKey[dict[str, tuple[int, float]]]()


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> dict[str, tuple[int, float]]:
    """How many inputs each target had, and how many seconds they took."""
    return request.config.stash.setdefault(COUNTS, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := config.stash.get(COUNTS, None):
        each = ", ".join(f"{name} {count:,} in {seconds:.0f} s" for name, (count, seconds) in found.items())
        terminalreporter.write_line(f"fuzz: {sum(count for count, _ in found.values()):,} inputs: {each}")
