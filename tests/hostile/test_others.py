"""Awaited, and over the example drivers, the package calls nothing that somebody else made either."""

import importlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from example.cluster import Server
from example.drivers.lo_asyncpg import AsyncpgDriver
from example.drivers.lo_pg8000 import Pg8000Driver
from pg_lo_storage.aio import AsyncLargeObjectDriver, get_async_driver
from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.drivers import LargeObjectDriver, SQLExecutor
from pg_lo_storage.testing.portal import Portal
from tests.aio.test_asyncpg import connect
from tests.drivers.support import execute
from tests.drivers.test_pg8000 import Connections
from tests.fixtures.connections import INSTALLED, open_connection
from tests.hostile.overloads import PATHS, SCHEMA, create_overloads, functions_in, operators_in
from tests.hostile.uses import recording, use_awaited, use_driver, use_files, use_transfer

pytestmark = pytest.mark.once

KINDS = [name for name in ("psycopg", "asyncpg", "pg8000") if find_spec(name)]


@contextmanager
def session(kind: str, server: Server, *, autocommit: bool) -> Generator[LargeObjectDriver]:
    """Open a connection; those of psycopg and asyncpg are awaited, in a thread of their own."""
    if kind == "pg8000":
        with closing(Connections(server)) as connections:
            yield Pg8000Driver(connections.open(autocommit=autocommit))
        return
    with Portal() as portal:
        connection, driver = portal.call(_connect(kind, server, autocommit=autocommit))
        try:
            yield BlockingDriver(portal, driver)
        finally:
            portal.call(connection.close())


async def _connect(kind: str, server: Server, *, autocommit: bool) -> tuple[Any, AsyncLargeObjectDriver]:
    if kind == "asyncpg":
        connection: Any = await connect(server)
        return connection, AsyncpgDriver(connection, autocommit=autocommit)
    connection = await importlib.import_module("psycopg").AsyncConnection.connect(server.dsn(), autocommit=autocommit)
    return connection, get_async_driver(connection)


def use_all(driver: LargeObjectDriver, folder: Path, *, autocommit: bool) -> None:
    if autocommit:
        sql_of(driver).execute("begin")
    use_driver(driver)
    use_files(driver)
    sql_of(driver).execute("commit")
    if isinstance(driver, BlockingDriver):
        driver.portal.call(use_awaited(driver.awaited, folder))
    else:
        use_transfer(driver, folder)


def sql_of(driver: LargeObjectDriver) -> SQLExecutor:
    assert driver.sql is not None
    return driver.sql


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The driver's package."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def overloads(kind: str, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Overloads of all that the statements mention, which are recorded on an undisturbed session."""
    if not {"postgres", "stranger"} <= set(server.roles):
        pytest.skip("PG_LO_TEST_DSN gives no superuser to make the overloads as")
    recorded: list[str] = []
    for autocommit in (False, True):
        with session(kind, server, autocommit=autocommit) as driver, pytest.MonkeyPatch.context() as patch:
            driver_class: Any = type(driver.awaited if isinstance(driver, BlockingDriver) else driver)
            patch.setattr(driver_class, "execute", recording(driver_class.execute, recorded))
            use_all(driver, tmp_path_factory.mktemp("recorded"), autocommit=autocommit)
    assert {"lo_open", "loread", "lo_get", "lo_from_bytea", "generate_series"} <= functions_in(recorded)
    with closing(open_connection(INSTALLED[0], server.dsn(user="postgres"), autocommit=True)) as superuser:
        yield create_overloads(superuser, functions_in(recorded), operators_in(recorded))
        execute(superuser, f"drop schema {SCHEMA} cascade")


@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_no_overload_is_called(
    kind: str, server: Server, overloads: int, tmp_path: Path, path: str, *, autocommit: bool
) -> None:
    assert overloads > 1_000
    with session(kind, server, autocommit=autocommit) as driver:
        sql = sql_of(driver)
        sql.execute(f"set search_path = {path}")  # pyright: ignore[reportArgumentType]  # one of two
        if not autocommit:
            sql.execute("commit")
        use_all(driver, tmp_path, autocommit=autocommit)
        with pytest.raises(Exception, match="stranger"):
            sql.execute("select lo_create(0)")
