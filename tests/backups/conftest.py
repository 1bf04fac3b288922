"""A server of these tests' own, with rows, notes and files, and databases to restore into."""

import itertools
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from example.cluster import Cluster, Server
from tests.fixtures.connections import INSTALLED, RawConnection, open_connection, run
from tests.fixtures.server import known_as, migrate
from tests.fixtures.tools import Tool

Fresh = Callable[..., AbstractContextManager[str]]


def page() -> str:
    """Return the text of docs/operations.md."""
    return (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True, scope="package")
def _unblocked(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="package")
def archive() -> Iterator[Path]:
    """The folder that the server archives its log in, from when it is made."""
    with TemporaryDirectory(prefix="pg-lo-archive-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server may be another user of the system
        yield folder / "log"


@pytest.fixture(scope="package")
def cluster(server: Server, archive: Path) -> Iterator[Cluster]:
    """The server, which has the files in its database ``app``, Django's ``source``."""
    # Not at the top: models cannot be imported before Django is set up.
    from tests.backups.papers import Writer

    options = {
        "archive_mode": "on",
        "autovacuum": "off",  # sizes are compared
        "archive_command": f"! test -d {archive} || cp %p {archive}/%f",
        "wal_level": "logical",
        "max_locks_per_transaction": "10",
        "max_connections": "20",
    }
    arguments = [f"-c{name}={value}" for name, value in options.items()]
    with Cluster(server.bindir, arguments) as cluster, known_as("source", cluster):
        migrate("source")
        connections["source"].close()
        with closing(connect(cluster)) as connection:
            execute(connection, "create database migrated template app")
        Writer("source", 0).fill()
        yield cluster


@pytest.fixture(scope="package")
def fresh(cluster: Cluster) -> Fresh:
    """``with fresh() as name``: an empty database, or one like ``migrated``; Django has its name as an alias."""
    numbers = itertools.count()

    @contextmanager
    def fresh(template: str = "template1") -> Generator[str]:
        name = f"fresh_{next(numbers)}"
        with closing(connect(cluster)) as connection:
            execute(connection, f"create database {name} owner app template {template}")
            try:
                with known_as(name, cluster, name):
                    yield name
            finally:
                execute(connection, f"drop database {name} with (force)")

    return fresh


@pytest.fixture(scope="package")
def dump(cluster: Cluster, tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Dump the database ``app`` while others change its files, once for the same options: ``dump("-Fc")``."""

    @cache
    def dump(*options: str) -> Path:
        from tests.backups.papers import writers

        path = tmp_path_factory.mktemp("dump") / "dump"
        with writers("source") as work, ThreadPoolExecutor() as pool, closing(connect(cluster, "app", "app")) as gate:
            # It waits for this table when it has its snapshot, and has read nothing yet.
            execute(gate, "begin", "lock table django_session in access exclusive mode")
            dumping = pool.submit(tool, "pg_dump", *options, "-f", path, "-d", cluster.dsn())
            while not run(gate, "select from pg_locks where relation = 'django_session'::regclass and not granted"):
                assert not dumping.done()
            work.wait_for(10)
            execute(gate, "rollback")
            work.wait_for(1)
            dumping.result()
        return path

    return dump


def connect(cluster: Cluster, dbname: str = "postgres", user: str = "postgres") -> RawConnection:
    """Open a connection in autocommit."""
    return open_connection(INSTALLED[0], cluster.dsn(dbname, user), autocommit=True)


def execute(connection: RawConnection, *statements: str) -> None:
    """Run statements that return nothing."""
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
