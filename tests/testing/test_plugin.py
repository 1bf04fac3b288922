"""The fixtures of the pytest plugin, seen from around a pytest in which tests use them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from example.cluster import Server
from pg_lo_storage.drivers import get_driver
from tests.fixtures.connections import INSTALLED, open_connection
from tests.testing.inner import run_pytest

PLUGINS = ["-ppytest_django.plugin", "-ppg_lo_storage.testing.plugin"]
LEAVING = Path(__file__).with_name("leaving.py")


class Outcomes:
    """A plugin that remembers the first thing that was not well in a test."""

    def __init__(self) -> None:
        self.wrong: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.wrong.setdefault(report.nodeid, f"{report.when}: {report.longrepr}")


@pytest.fixture
def leave(
    server: Server,
    django_db_setup: None,  # noqa: ARG001 -- the tables are there
    django_db_blocker: DjangoDbBlocker,
) -> Callable[[str], str]:
    """Run a test of ``leaving.py`` where an object is that nobody names; return what was wrong with it, if anything."""
    with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=True)) as connection:
        get_driver(connection).create()

    def leave(name: str) -> str:
        outcomes = Outcomes()
        with django_db_blocker.unblock():
            run_pytest(f"{LEAVING}::{name}", *PLUGINS, plugins=[outcomes])
        return "\n".join(outcomes.wrong.values())

    return leave


@pytest.fixture
def sqlite() -> Iterator[None]:
    """Another database, whose files are no large objects."""
    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    connections.settings["sqlite"] = connections.configure_settings(databases)["default"]
    yield
    if (opened := connections["sqlite"].connection) is not None:
        opened.close()  # Django leaves one in memory open
    del connections["sqlite"], connections.settings["sqlite"]


def test_other_databases_than_postgresql_have_none(leave: Callable[[str], str], sqlite: None) -> None:  # noqa: ARG001
    assert leave("TestNoOrphans::test_named_beside_sqlite") == ""


@pytest.mark.parametrize(
    "name",
    ["nothing", "named", "named_and_committed", "transaction_aborted", "transaction_aborted_beside_another"],
)
def test_a_test_that_leaves_no_orphans_passes(leave: Callable[[str], str], name: str) -> None:
    assert leave(f"TestNoOrphans::test_{name}") == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("without_a_row", "1 orphaned large objects are left on the database 'default': "),
        ("row_deleted", "1 orphaned large objects are left on the database 'default': "),
        ("without_a_row_and_committed", "12 orphaned large objects are left on the database 'default': "),
        ("without_a_row_elsewhere", "1 orphaned large objects are left on the database 'other': "),
    ],
)
def test_a_test_that_leaves_orphans_fails_and_says_where(leave: Callable[[str], str], name: str, message: str) -> None:
    assert leave(f"TestNoOrphans::test_{name}").startswith(f"teardown: {message}")


def test_orphans_are_seen_before_they_are_cleaned_up(
    leave: Callable[[str], str], large_objects: Callable[[], set[int]]
) -> None:
    assert leave("TestBoth::test_without_a_row").startswith("teardown: 1 orphaned large objects")
    assert len(large_objects()) == 1


@pytest.mark.parametrize("name", ["committed", "many", "rolled_back"])
def test_what_a_test_created_is_unlinked_and_nothing_else(
    leave: Callable[[str], str], large_objects: Callable[[], set[int]], name: str
) -> None:
    before = large_objects()
    assert len(before) == 1
    assert leave(f"TestClean::test_{name}") == ""
    assert large_objects() == before


@pytest.mark.once
def test_without_the_fixtures_the_plugin_imports_no_django(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("import sys\ndef test_it(): assert not {'django', 'psycopg', 'psycopg2'} & sys.modules.keys()\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:django", str(test)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.once
@pytest.mark.parametrize(("kit", "fixture"), [("Driver", "open_session"), ("AsyncDriver", "open_async_session")])
def test_a_kit_without_sessions_says_what_to_override(kit: str, fixture: str, tmp_path: Path) -> None:
    module = tmp_path / f"test_{kit}.py"
    module.write_text(
        f"from typing import Any\nfrom pg_lo_storage.testing import {kit}Conformance\n\n\n"
        f"class TestIt({kit}Conformance[Any]):\n    pass\n",
        encoding="utf-8",
    )
    outcomes = Outcomes()
    run_pytest(str(module), "--maxfail=1", plugins=[outcomes])
    assert f"TestIt has to override the fixture {fixture}" in "\n".join(outcomes.wrong.values())
