"""The fixtures are in ``tests/fixtures``, one module for each of the things that tests ask for."""

import gc

import pytest
from hypothesis import settings

# The same examples on every machine, however slow.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")

# Each stands below those that it imports: pytest warns of plugins that were imported before it saw them.
pytest_plugins = [
    "tests.fixtures.connections",
    "tests.fixtures.server",
    "tests.fixtures.sessions",
    "tests.fixtures.tools",
    "tests.fixtures.wire",
    "tests.fixtures.catalogue",
    "tests.fixtures.losing",
    "tests.fixtures.schemas",
    "tests.fixtures.large_objects",
]

# They run in environments that lack Django or a driver, or have other packages; see tests/run_all.py.
collect_ignore = [
    "without_driver",
    "without_django",
    "packages",
    "contrib_sqlalchemy",
    "pygresql",
    "site",
    "tenants",
    "documentation",
]


def pytest_configure(config: pytest.Config) -> None:
    # Of what is frozen below the collector tells nothing, so that hypothesis takes its own generator for lost.
    config.addinivalue_line(
        "filterwarnings", "ignore:It looks like .register_random:hypothesis.errors.HypothesisWarning"
    )


def pytest_collection_finish() -> None:
    # What is there for the whole run is not looked through again each time that a test collects garbage.
    gc.collect()
    gc.freeze()
