"""The example driver for asyncpg keeps the contract of an asynchronous driver, and serves the package's functions."""

import asyncio
import importlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

import pg_lo_storage
from example.cluster import Server
from example.drivers.lo_asyncpg import AsyncpgDriver
from pg_lo_storage.aio import get_async_driver, register_async_driver
from pg_lo_storage.exceptions import DriverNotFound
from pg_lo_storage.testing import AsyncDriverConformance, OpenAsyncSession
from tests.aio.sessions import RawAsyncSession

pytestmark = pytest.mark.once


class Connection(Protocol):
    """What the tests use of an ``asyncpg.Connection``, which has no annotations."""

    async def execute(self, query: str, /) -> str: ...
    async def fetch(self, query: str, /, *args: object) -> Sequence[Sequence[object]]: ...
    async def close(self) -> None: ...
    def is_in_transaction(self) -> bool: ...
    def is_closed(self) -> bool: ...


async def connect(server: Server) -> Connection:
    parameters = server.parameters()
    connection: Connection = await importlib.import_module("asyncpg").connect(
        host=parameters.get("host") or "localhost",
        port=int(parameters.get("port") or "5432"),
        user=parameters.get("user", "app"),
        database=parameters["dbname"],
        password=parameters.get("password"),
    )
    return connection


class TestAsyncpgDriver(AsyncDriverConformance[AsyncpgDriver]):
    @pytest.fixture
    def open_async_session(self, server: Server) -> OpenAsyncSession[AsyncpgDriver]:
        @asynccontextmanager
        async def open_session(*, autocommit: bool = False) -> AsyncGenerator[RawAsyncSession[AsyncpgDriver], None]:
            connection = await connect(server)
            try:
                yield RawAsyncSession(connection, AsyncpgDriver(connection, autocommit=autocommit))
            finally:
                await connection.close()

        return open_session


@pytest.fixture
def registered() -> Iterator[None]:
    name = "asyncpg.connection.Connection"
    before = register_async_driver(name, "example.drivers.lo_asyncpg.AsyncpgDriver")
    yield
    register_async_driver(name, before)


@pytest.mark.usefixtures("registered")
def test_registered_its_connections_are_taken_by_the_functions_of_the_package(server: Server) -> None:
    async def use() -> None:
        connection = await connect(server)
        oid = await pg_lo_storage.save(connection, (b"%06d\n" % number for number in range(200_000)))
        copied = await pg_lo_storage.copy(connection, oid)
        async with pg_lo_storage.open(connection, copied) as file:
            lines = [line async for line in file]
        assert (len(lines), lines[-1]) == (200_000, b"199999\n")
        assert not connection.is_in_transaction()
        await connection.close()

    asyncio.run(use())


def test_a_connection_that_nobody_serves_is_refused_with_what_to_do(server: Server) -> None:
    async def use() -> None:
        connection = await connect(server)
        for call in (get_async_driver, pg_lo_storage.open):
            with pytest.raises(DriverNotFound, match=r"asyncpg.*register_async_driver"):
                call(connection)
        await connection.close()

    asyncio.run(use())


def test_a_per_cent_sign_is_doubled_and_placeholders_are_numbered(server: Server) -> None:
    async def use() -> None:
        connection = await connect(server)
        driver = AsyncpgDriver(connection)
        assert await driver.execute("select 7 %% %s::int4, %s::text", (4, "a")) == [(3, "a")]
        assert await driver.execute("select 7 %% 4") == [(3,)]
        await connection.close()

    asyncio.run(use())
