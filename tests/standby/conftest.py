"""A primary, and a standby that streams from it: two servers of these tests' own."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from example.cluster import Cluster, Server
from pg_lo_storage.drivers import get_driver
from tests.fixtures.connections import INSTALLED, Connect, RawConnection, open_connection, run

# These are of psycopg 3 and asyncpg.
collect_ignore = [] if "psycopg" in INSTALLED else ["test_awaited.py"]

# What the server translates is in another language than that of its source; where it has none, in that.
OTHER_LANGUAGE = ["-c", "lc_messages=C.UTF-8"]


@pytest.fixture(scope="package")
def primary(server: Server) -> Iterator[Cluster]:
    with Cluster(server.bindir) as primary:
        yield primary


@pytest.fixture(scope="package")
def oid(primary: Cluster) -> int:
    """An object that was made before the standby was."""
    with closing(open_connection(INSTALLED[0], primary.dsn(), autocommit=True)) as connection:
        return get_driver(connection).from_bytes(b"content")


@pytest.fixture(scope="package")
def standby(primary: Cluster, oid: int) -> Iterator[Cluster]:  # noqa: ARG001 -- the object is there first
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LANGUAGE", "de")
        standby = Cluster(primary.bindir, OTHER_LANGUAGE, primary)
        with standby:
            yield standby


def wait_for(standby: Cluster, primary: Cluster) -> None:
    """Wait until the standby has what the primary has now."""
    with (
        closing(open_connection(INSTALLED[0], primary.dsn(), autocommit=True)) as there,
        closing(open_connection(INSTALLED[0], standby.dsn(), autocommit=True)) as here,
    ):
        [(position,)] = run(there, "select pg_current_wal_lsn()::text")
        while run(here, "select pg_last_wal_replay_lsn() < %s::pg_lsn", [position]) != [(False,)]:
            pass


@pytest.fixture
def on_standby(connect: Connect, standby: Cluster) -> RawConnection:
    """A connection to the standby, not in autocommit."""
    return connect(dsn=standby.dsn())
