"""Who changes anything on a standby over an asynchronous connection is told that it is read-only."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from example.cluster import Cluster
from example.drivers.lo_asyncpg import AsyncpgDriver
from pg_lo_storage.aio import AsyncLargeObjectDriver, AsyncLargeObjectIO, Psycopg3AsyncDriver
from pg_lo_storage.exceptions import LargeObjectReadOnly
from tests.drivers.support import WRITE

pytestmark = [pytest.mark.server_tools, pytest.mark.once]

MUCH = bytes(300_000)
FREE = 4_000_000_000


async def _write(driver: AsyncLargeObjectDriver, oid: int, data: bytes) -> None:
    await (await driver.open(oid, WRITE)).write(data)


async def _truncate(driver: AsyncLargeObjectDriver, oid: int) -> None:
    await (await driver.open(oid, WRITE)).truncate(1)


async def _append(driver: AsyncLargeObjectDriver, oid: int) -> None:
    async with AsyncLargeObjectIO(driver, oid, "ab") as file:
        await file.write(MUCH)


AWAITED: dict[str, Callable[[AsyncLargeObjectDriver, int], Awaitable[object]]] = {
    "create": lambda driver, _: driver.create(),
    "create with an oid": lambda driver, _: driver.create(FREE),
    "from_bytes": lambda driver, _: driver.from_bytes(b"data"),
    "put": lambda driver, oid: driver.put(oid, 0, b"data"),
    "write": lambda driver, oid: _write(driver, oid, MUCH),
    "truncate": _truncate,
    "unlink": lambda driver, oid: driver.unlink(oid),
    "append to a file": _append,
}


@pytest.mark.parametrize("call", AWAITED.values(), ids=AWAITED)
def test_a_change_is_refused_as_read_only(
    standby: Cluster, oid: int, call: Callable[[AsyncLargeObjectDriver, int], Awaitable[object]]
) -> None:
    async def change() -> None:
        connection = await psycopg.AsyncConnection[object].connect(standby.dsn())
        try:
            with pytest.raises(LargeObjectReadOnly):
                await call(Psycopg3AsyncDriver(connection), oid)
        finally:
            await connection.close()

    asyncio.run(change())


@pytest.mark.parametrize("call", AWAITED.values(), ids=AWAITED)
def test_a_driver_of_somebody_elses_refuses_as_well(
    standby: Cluster, oid: int, call: Callable[[AsyncLargeObjectDriver, int], Awaitable[object]]
) -> None:
    connect: Any = importlib.import_module("asyncpg").connect

    async def change() -> None:
        connection = await connect(host=str(standby.folder), port=standby.port, user="app", database="app")
        try:
            with pytest.raises(LargeObjectReadOnly):
                await call(AsyncpgDriver(connection, autocommit=False), oid)
        finally:
            await connection.close()

    asyncio.run(change())
