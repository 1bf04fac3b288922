"""Asynchronous files and drivers, and the functions of the package on connections of every kind."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import psycopg
import psycopg2

import pg_lo_storage
from pg_lo_storage.aio import (
    AsyncLargeObject,
    AsyncLargeObjectDriver,
    AsyncLargeObjectIO,
    AsyncSQLDriver,
    Psycopg3AsyncDriver,
    get_async_driver,
    register_async_driver,
)
from pg_lo_storage.drivers import AccessMode, Psycopg3Driver
from pg_lo_storage.io import LargeObjectIO

if TYPE_CHECKING:
    # A driver that does not fit the protocol is an error here.
    ours: type[AsyncLargeObjectDriver] = Psycopg3AsyncDriver
    blocking: type[AsyncLargeObjectDriver] = Psycopg3Driver  # E: not asynchronous


def calls_return_where_the_connection_s_do(connection: psycopg.Connection[dict[str, Any]], path: Path) -> None:
    assert_type(pg_lo_storage.open(connection, 12), LargeObjectIO)
    assert_type(pg_lo_storage.open(connection, mode="wb"), LargeObjectIO)
    assert_type(pg_lo_storage.save(connection, b"data"), int)
    assert_type(pg_lo_storage.save(connection, b"data", digest=True), pg_lo_storage.Saved)
    assert_type(pg_lo_storage.lo_import(connection, path, digest=True).sha256, str)
    flag = bool(path.suffix)
    assert_type(pg_lo_storage.save(connection, b"data", digest=flag), int | pg_lo_storage.Saved)
    assert_type(pg_lo_storage.lo_import(connection, path, digest=flag), int | pg_lo_storage.Saved)
    assert_type(pg_lo_storage.load(connection, 12), bytes)
    assert_type(pg_lo_storage.copy(connection, 12), int)
    assert_type(pg_lo_storage.lo_export(connection, 12, path), int)
    assert_type(pg_lo_storage.lo_import(connection, "file", progress=print), int)
    pg_lo_storage.open(connection, 12, "r")  # E: text mode
    pg_lo_storage.load(connection, "12.pdf")  # E: an oid is a number


def on_psycopg2_as_well() -> None:
    pg_lo_storage.save(psycopg2.connect("dbname=app"), b"data")


async def calls_are_awaited_where_the_connection_s_are(path: Path) -> None:
    async with await psycopg.AsyncConnection.connect("dbname=app") as connection:
        assert_type(pg_lo_storage.open(connection, 12), AsyncLargeObjectIO)
        assert_type(await pg_lo_storage.save(connection, b"data"), int)
        assert_type(await pg_lo_storage.save(connection, b"data", digest=True), pg_lo_storage.Saved)
        assert_type(await pg_lo_storage.lo_import(connection, path, digest=True), pg_lo_storage.Saved)
        flag = bool(path.suffix)
        assert_type(await pg_lo_storage.save(connection, b"data", digest=flag), int | pg_lo_storage.Saved)
        assert_type(await pg_lo_storage.lo_import(connection, path, digest=flag), int | pg_lo_storage.Saved)
        assert_type(await pg_lo_storage.load(connection, 12), bytes)
        assert_type(await pg_lo_storage.copy(connection, 12), int)
        assert_type(await pg_lo_storage.lo_export(connection, 12, path, progress=print), int)
        assert_type(await pg_lo_storage.lo_import(connection, path), int)
        async with asyncio.TaskGroup() as group:
            assert_type(group.create_task(pg_lo_storage.load(connection, 12)), asyncio.Task[bytes])


def many_things_are_saved(connection: psycopg.Connection, path: Path, view: memoryview, file: LargeObjectIO) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"block"

    pg_lo_storage.save(connection, bytearray(10))
    pg_lo_storage.save(connection, view)
    pg_lo_storage.save(connection, [b"a", b"b"])
    pg_lo_storage.save(connection, blocks())
    pg_lo_storage.save(connection, io.BytesIO())
    pg_lo_storage.save(connection, file)
    with path.open("rb") as real:
        pg_lo_storage.save(connection, real)
    pg_lo_storage.save(connection, "text")  # E: encode it
    pg_lo_storage.save(connection, ["text"])  # E: encode it
    pg_lo_storage.save(connection, io.StringIO())  # E: text
    pg_lo_storage.save(connection, path)  # E: lo_import


async def and_more_is_awaited(connection: psycopg.AsyncConnection, file: AsyncLargeObjectIO) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield b"block"

    await pg_lo_storage.save(connection, blocks())
    await pg_lo_storage.save(connection, file)
    await pg_lo_storage.save(connection, io.BytesIO())
    await pg_lo_storage.save(connection, "text")  # E: encode it


def but_not_on_a_connection_that_is_not(connection: psycopg.Connection, file: AsyncLargeObjectIO) -> None:
    pg_lo_storage.save(connection, file)  # E: asynchronous


async def a_file_is_opened_by_entering_or_awaiting_it(driver: AsyncLargeObjectDriver, buffer: bytearray) -> None:
    async with AsyncLargeObjectIO(driver, 12) as entered:
        assert_type(entered, AsyncLargeObjectIO)
    file = await AsyncLargeObjectIO(driver, mode="wb+")
    assert_type(file, AsyncLargeObjectIO)
    assert_type(await file.read(), bytes)
    assert_type(await file.readinto(buffer), int)
    assert_type(await file.readline(), bytes)
    assert_type(await file.readlines(), list[bytes])
    assert_type(await file.write(b"data"), int)
    assert_type(await file.seek(0), int)
    assert_type(await file.tell(), int)
    assert_type(await file.size(), int)
    assert_type(await file.truncate(), int)
    assert_type([line async for line in file], list[bytes])
    assert_type([chunk async for chunk in file.aiter_chunks(100, start=0, stop=10)], list[bytes])
    await file.close()
    await file.write("text")  # E: encode it
    with file:  # E: async with
        pass
    AsyncLargeObjectIO(driver, 12, "r")  # E: text mode


async def drivers_are_found_and_registered(connection: psycopg.AsyncConnection, plain: psycopg.Connection) -> None:
    driver = get_async_driver(connection)
    assert_type(driver, AsyncLargeObjectDriver)
    assert_type(await driver.open(12, AccessMode.READ), AsyncLargeObject)
    assert_type(await driver.unlink(12), bool)
    Psycopg3AsyncDriver(plain)  # E: not asynchronous
    LargeObjectIO(driver)  # E: asynchronous
    AsyncLargeObjectIO(Psycopg3Driver(plain))  # E: not asynchronous
    register_async_driver("some.Connection", Psycopg3AsyncDriver)
    register_async_driver("some.Connection", Psycopg3Driver)  # E: not asynchronous
    AsyncSQLDriver()  # E: abstract
