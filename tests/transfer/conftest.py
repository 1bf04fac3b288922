"""The connections that the package's functions take: of each driver, and asynchronous; in autocommit and not."""

from collections.abc import Awaitable, Iterator
from contextlib import closing
from importlib.util import find_spec

import pytest

from example.cluster import Server
from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.testing.portal import Portal
from tests.fixtures.connections import INSTALLED, open_connection
from tests.transfer.places import Place, T

KINDS = [*INSTALLED, *(["psycopg, async"] if find_spec("psycopg") else [])]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A driver's name, and ``psycopg, async``."""
    name: str = request.param
    return name


@pytest.fixture(params=[True, False], ids=["autocommit", "transaction"])
def autocommit(request: pytest.FixtureRequest) -> bool:
    """Whether the connection is in autocommit."""
    value: bool = request.param
    return value


@pytest.fixture
def place(kind: str, server: Server, *, autocommit: bool) -> Iterator[Place]:
    """A connection of that kind."""
    yield from open_place(kind, server, autocommit=autocommit)


@pytest.fixture
def in_autocommit(kind: str, server: Server) -> Iterator[Place]:
    """A connection in autocommit."""
    yield from open_place(kind, server, autocommit=True)


def open_place(kind: str, server: Server, *, autocommit: bool) -> Iterator[Place]:
    """Open a connection of that kind."""
    if kind != "psycopg, async":
        with closing(open_connection(kind, server.dsn(), autocommit=autocommit)) as connection:
            yield Place(connection, get_driver(connection), lambda result: result, autocommit=autocommit)
        return
    import psycopg

    from pg_lo_storage.aio import Psycopg3AsyncDriver

    async def result_of(result: Awaitable[T]) -> T:
        return await result

    with Portal() as portal:
        awaited = portal.call(psycopg.AsyncConnection.connect(server.dsn(), autocommit=autocommit))
        driver = BlockingDriver(portal, Psycopg3AsyncDriver(awaited))
        yield Place(awaited, driver, lambda result: portal.call(result_of(result)), autocommit=autocommit)
        portal.call(awaited.close())
