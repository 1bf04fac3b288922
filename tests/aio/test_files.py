"""What is particular to a file that is awaited; all else is the oracle's and the kit's."""

import asyncio
import gc
import io
import os
import pickle
from collections.abc import Callable
from typing import LiteralString

import psycopg
import pytest

from example.cluster import Server
from pg_lo_storage.aio import AsyncLargeObjectIO
from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.exceptions import (
    LargeObjectNotFound,
    LargeObjectPermissionDenied,
    LargeObjectTooLarge,
    NoTransactionError,
    StaleLargeObject,
)
from tests.aio.support import asynchronous, connected, content
from tests.fixtures.proxy import Wire
from tests.io.files import numbered_lines

LINES = numbered_lines(700_000)


@asynchronous
async def test_async_with_opens_and_closes(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        oid = await driver.from_bytes(b"content")
        async with AsyncLargeObjectIO(driver, oid, "br+") as file:
            assert (file.oid, file.name, file.mode, file.closed) == (oid, str(oid), "rb+", False)
            assert (file.readable(), file.writable(), file.seekable()) == (True, True, True)
            assert await file.read() == b"content"
            assert f"oid={oid} mode='rb+'>" in repr(file)
        assert file.closed
        assert repr(file).endswith(" closed>")


@asynchronous
async def test_a_negative_length_is_a_value_error(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        file = await AsyncLargeObjectIO(driver, await driver.from_bytes(b"content"))
        with pytest.raises(ValueError, match=r"^read length must be non-negative or -1$"):
            await file.read(-2)
        assert await file.read(-1) == b"content"
        await file.close()


@asynchronous
async def test_await_opens(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        file = await AsyncLargeObjectIO(driver, mode="wb")
        assert await file.write(b"content") == 7
        async with file as same:
            assert same is file
        await file.close()
        assert await content(driver, file.oid) == b"content"


@asynchronous
async def test_nothing_is_sent_before_it_is_opened_and_it_says_so(wire: Wire) -> None:
    async with connected(wire.dsn) as (_, driver):
        oid = await driver.from_bytes(b"content")
        with wire.counting() as trips:
            file = AsyncLargeObjectIO(driver, oid)
            with pytest.raises(ValueError, match="async with"):
                await file.read()
            with pytest.raises(ValueError, match="pass its oid"):
                AsyncLargeObjectIO(driver)
            await file.close()
            with pytest.raises(ValueError, match="closed"):
                await file
        assert trips.count == 0
        assert "not opened" in repr(AsyncLargeObjectIO(driver, oid))


@asynchronous
async def test_what_is_missing_is_not_found_when_it_is_opened(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        oid = await driver.create()
        await driver.unlink(oid)
        with pytest.raises(LargeObjectNotFound):
            async with AsyncLargeObjectIO(driver, oid):
                pass
        assert not await driver.exists(oid)


@asynchronous
async def test_writing_needs_a_transaction(server: Server, count_large_objects: Callable[..., int]) -> None:
    async with connected(server.dsn(), autocommit=True) as (connection, driver):
        with pytest.raises(NoTransactionError):
            await AsyncLargeObjectIO(driver, mode="wb")
        assert count_large_objects() == 0
        async with connection.transaction(), AsyncLargeObjectIO(driver, mode="wb") as file:
            await file.write(b"content")
        assert await content(driver, file.oid) == b"content"


@asynchronous
async def test_the_connection_begins_its_transaction_where_autocommit_is_off(server: Server) -> None:
    async with connected(server.dsn()) as (connection, driver):
        async with AsyncLargeObjectIO(driver, mode="wb") as file:
            await file.write(b"content")
        await connection.commit()
        assert await content(driver, file.oid) == b"content"


@pytest.mark.parametrize("end", ["commit", "rollback"])
@asynchronous
async def test_it_is_stale_after_its_transaction(server: Server, end: LiteralString) -> None:
    async with connected(server.dsn(), autocommit=True) as (connection, driver):
        oid, other = await driver.from_bytes(LINES), await driver.from_bytes(b"other")
        await connection.execute("begin")
        file = await AsyncLargeObjectIO(driver, oid, "rb+")
        await file.read(10)
        await connection.execute(end)
        with pytest.raises(StaleLargeObject):
            await file.read(10)
        async with connection.transaction(), AsyncLargeObjectIO(driver, other) as current:
            with pytest.raises(StaleLargeObject):
                await file.write(b"stale")
            await file.close()
            assert await current.read() == b"other"
        assert await content(driver, oid) == LINES


@asynchronous
async def test_who_appends_comes_after_who_appends_by_whatever_means(server: Server) -> None:
    """An asynchronous file waits for one that is not, and the other way round: they use the same lock."""
    from pg_lo_storage.drivers import Psycopg3Driver
    from pg_lo_storage.io import LargeObjectIO

    async with connected(server.dsn()) as (connection, driver), connected(server.dsn()) as (other, _):
        oid = await driver.create()
        await connection.commit()
        with psycopg.connect(server.dsn()) as blocking:
            with LargeObjectIO(Psycopg3Driver(blocking), oid, "ab") as first:
                appending = asyncio.ensure_future(AsyncLargeObjectIO(driver, oid, "ab").__aenter__())
                query = "select 1 from pg_locks where locktype = 'advisory' and pid = %s and not granted"
                while not await (await other.execute(query, [connection.info.backend_pid])).fetchall():
                    assert not appending.done()
                first.write(b"first, ")
            blocking.commit()
        async with await appending as second:
            await second.write(b"second")
        assert await content(driver, oid) == b"first, second"


@asynchronous
async def test_a_second_task_is_refused_while_a_call_is_under_way(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        oid = await driver.from_bytes(LINES)
        async with AsyncLargeObjectIO(driver, oid, "rb+") as file:
            reading = asyncio.ensure_future(file.read(500_000))
            await asyncio.sleep(0)
            for call in (file.read, file.tell, file.size, file.truncate, file.close, lambda: file.write(b"")):
                with pytest.raises(RuntimeError, match="one task at a time"):
                    await call()
            assert await reading == LINES[:500_000]
            assert await file.read(5) == LINES[500_000:500_005]
        assert await content(driver, oid) == LINES


@asynchronous
async def test_two_files_of_two_tasks_share_a_connection(server: Server) -> None:
    async def read(file: AsyncLargeObjectIO) -> bytes:
        return b"".join([chunk async for chunk in file.aiter_chunks(10_000)])

    async with connected(server.dsn()) as (_, driver):
        oids = await driver.from_bytes(LINES), await driver.from_bytes(LINES[::-1])
        async with AsyncLargeObjectIO(driver, oids[0]) as first, AsyncLargeObjectIO(driver, oids[1]) as second:
            forwards, backwards = await asyncio.gather(read(first), read(second))
        assert (forwards, backwards) == (LINES, LINES[::-1])


@asynchronous
async def test_an_error_in_the_block_is_not_hidden_by_closing(server: Server) -> None:
    async with connected(server.dsn()) as (connection, driver):
        oid = await driver.from_bytes(LINES)
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with AsyncLargeObjectIO(driver, oid):
                await connection.execute("select 1/0")


def lose(driver: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each further statement fail, as where the connection is lost."""

    async def perform(_statement: object) -> None:
        raise ConnectionError("lost")

    monkeypatch.setattr(driver, "perform", perform)


@asynchronous
async def test_an_error_in_flight_stays_where_closing_fails_and_notes_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(server.dsn()) as (_, driver):
        file = await AsyncLargeObjectIO(driver, await driver.from_bytes(LINES))
        lose(driver, monkeypatch)
        with pytest.raises(LookupError) as caught:
            async with file:
                raise LookupError
        assert "lost" in "".join(caught.value.__notes__)
        assert file.closed


@asynchronous
async def test_an_error_of_closing_is_raised_where_there_is_no_other(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(server.dsn()) as (_, driver):
        file = await AsyncLargeObjectIO(driver, await driver.from_bytes(LINES))
        lose(driver, monkeypatch)
        with pytest.raises(ConnectionError, match="lost"):
            await file.close()
        assert file.closed


@asynchronous
async def test_an_error_in_flight_stays_where_another_task_is_still_reading(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        file = await AsyncLargeObjectIO(driver, await driver.from_bytes(LINES))
        reading = asyncio.create_task(file.read())
        await asyncio.sleep(0)
        with pytest.raises(LookupError) as caught:
            async with file:
                raise LookupError
        assert "one task at a time" in "".join(caught.value.__notes__)
        assert file.closed
        assert await reading == LINES


@asynchronous
async def test_a_timeout_is_a_timeout_where_another_task_is_still_reading(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        file = await AsyncLargeObjectIO(driver, await driver.from_bytes(LINES))
        reading = asyncio.create_task(file.read())
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), file:
                await asyncio.Event().wait()
        assert await reading == LINES


@asynchronous
async def test_a_buffer_with_gaps_is_refused_before_anything_is_read(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver), AsyncLargeObjectIO(driver, mode="wb+") as file:
        await file.write(LINES)
        await file.seek(3)
        with pytest.raises(BufferError):
            await file.readinto(memoryview(bytearray(20))[::2])
        assert await file.tell() == 3


@asynchronous
async def test_a_forgotten_file_is_warned_of_and_sends_nothing(wire: Wire) -> None:
    async with connected(wire.dsn) as (_, driver):
        file = await AsyncLargeObjectIO(driver, await driver.from_bytes(LINES))
        with wire.counting() as trips, pytest.warns(ResourceWarning, match="unclosed file"):  # noqa: PT031
            del file
            gc.collect()
        assert trips.count == 0


@asynchronous
async def test_it_is_not_pickled(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver), AsyncLargeObjectIO(driver, mode="wb") as file:
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(file)


@asynchronous
async def test_wrong_directions_send_nothing(wire: Wire) -> None:
    async with connected(wire.dsn) as (_, driver):
        oid = await driver.from_bytes(b"content")
        async with AsyncLargeObjectIO(driver, oid) as reader, AsyncLargeObjectIO(driver, oid, "wb") as writer:
            with wire.counting() as trips:
                for call in (reader.truncate, lambda: reader.write(b"x"), lambda: reader.writelines([]), writer.read):
                    with pytest.raises(io.UnsupportedOperation):
                        await call()
                with pytest.raises(LargeObjectTooLarge):
                    await writer.seek(MAX_SIZE + 1)
                assert await writer.seek(MAX_SIZE) == MAX_SIZE
                with pytest.raises(LargeObjectTooLarge):
                    await writer.write(b"x")
            assert trips.count == 0
            assert await writer.seek(0, os.SEEK_END) == 7


@asynchronous
async def test_a_pipeline_of_the_user_s_is_left_open(server: Server) -> None:
    async with connected(server.dsn()) as (connection, driver), connection.pipeline():
        oid = await driver.from_bytes(LINES)
        async with AsyncLargeObjectIO(driver, oid, "rb+") as file:
            assert await file.read() == LINES
            await file.write(b"end")
        cursor = await connection.execute("select 1")
        assert await cursor.fetchone() == (1,)
        assert await driver.size(oid) == len(LINES) + 3


@asynchronous
async def test_the_error_of_a_missing_right_says_what_helps(server: Server) -> None:
    async with connected(server.dsn(), autocommit=True) as (_, driver):
        oid = await driver.from_bytes(b"content")
    async with connected(server.dsn(user="stranger"), autocommit=True) as (_, driver):
        with pytest.raises(LargeObjectPermissionDenied, match=f"ALTER LARGE OBJECT {oid} OWNER TO") as caught:
            await driver.unlink(oid)
        assert caught.value.oid == oid
        with pytest.raises(LargeObjectPermissionDenied, match=f"GRANT SELECT, UPDATE ON LARGE OBJECT {oid} TO"):
            await driver.get(oid, 0, 1)
