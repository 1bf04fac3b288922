"""What the package's functions do on asynchronous connections only; all else is in ``tests/transfer``."""

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO, Any, Literal, LiteralString

import psycopg
import pytest

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.aio import AsyncLargeObjectIO, Psycopg3AsyncDriver
from tests.aio.support import asynchronous, connected
from tests.io.files import numbered_lines

LINES = numbered_lines(3_000_000)


@asynchronous
async def test_open_gives_a_file_to_enter_or_to_await(server: Server) -> None:
    async with connected(server.dsn()) as (connection, _):
        async with pg_lo_storage.open(connection, mode="wb") as file:
            await file.write(LINES)
        again = await pg_lo_storage.open(connection, file.oid)
        assert await again.read(10) == LINES[:10]
        await again.close()


@asynchronous
async def test_save_takes_an_asynchronous_iterable(server: Server) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, len(LINES), 7777):
            await asyncio.sleep(0)
            yield LINES[start : start + 7777]

    async with connected(server.dsn(), autocommit=True) as (connection, _):
        assert await pg_lo_storage.load(connection, await pg_lo_storage.save(connection, blocks())) == LINES


@asynchronous
async def test_save_takes_one_block_of_any_size(server: Server) -> None:
    async def block() -> AsyncIterator[bytes]:
        yield LINES

    async with connected(server.dsn(), autocommit=True) as (connection, _):
        assert await pg_lo_storage.load(connection, await pg_lo_storage.save(connection, block())) == LINES


@asynchronous
async def test_save_takes_a_file_whose_read_is_awaited_such_as_one_of_the_same_connection(server: Server) -> None:
    async with connected(server.dsn()) as (connection, driver):
        oid = await pg_lo_storage.save(connection, LINES)
        async with AsyncLargeObjectIO(driver, oid) as file:
            copied = await pg_lo_storage.save(connection, file)
        assert await pg_lo_storage.load(connection, copied) == LINES


@asynchronous
async def test_save_awaits_what_read_gives_whatever_kind_of_function_it_is(server: Server) -> None:
    class Wrapped:
        def __init__(self) -> None:
            self.blocks = [LINES[:100], LINES[100:], b""]

        def read(self, _size: int, /) -> Awaitable[bytes]:
            async def block() -> bytes:
                return self.blocks.pop(0)

            return block()

    async with connected(server.dsn()) as (connection, _):
        assert await pg_lo_storage.load(connection, await pg_lo_storage.save(connection, Wrapped())) == LINES


@asynchronous
async def test_other_files_are_read_in_a_thread(server: Server) -> None:
    class File:
        threads: list[int]

        def __init__(self) -> None:
            self.threads = []
            self.blocks = [LINES[:100], LINES[100:], b""]

        def read(self, _size: int, /) -> bytes:
            self.threads.append(threading.get_ident())
            return self.blocks.pop(0)

    async with connected(server.dsn()) as (connection, _):
        file = File()
        assert await pg_lo_storage.load(connection, await pg_lo_storage.save(connection, file)) == LINES
        assert threading.get_ident() not in file.threads


@pytest.mark.parametrize("statement", ["lo_from_bytea", "commit", "begin", "lo_create", "lowrite"])
@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
@asynchronous
async def test_a_save_cancelled_at_any_statement_in_autocommit_leaves_nothing(
    server: Server,
    large_objects: Callable[[], set[int]],
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    *,
    again: bool,
) -> None:
    execute = Psycopg3AsyncDriver.execute
    task: asyncio.Task[int] | None = None

    async def cancelling(
        self: Psycopg3AsyncDriver, query: LiteralString, params: Sequence[object] = ()
    ) -> list[tuple[object, ...]]:
        if statement in query and task is not None:
            asyncio.get_running_loop().call_soon(task.cancel)
            if again:
                asyncio.get_running_loop().call_later(0.001, task.cancel)
        return await execute(self, query, params)

    async with connected(server.dsn(), autocommit=True) as (connection, driver):
        monkeypatch.setattr(Psycopg3AsyncDriver, "execute", cancelling)
        task = asyncio.ensure_future(
            pg_lo_storage.save(connection, b"small" if statement == "lo_from_bytea" else LINES)
        )
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.undo()
        assert not driver.in_transaction
        assert not connection.closed
        assert large_objects() == set()


@asynchronous
async def test_a_cancelled_export_leaves_no_half_file_and_no_transaction(server: Server, tmp_path: Path) -> None:
    async with connected(server.dsn(), autocommit=True) as (connection, driver):
        oid = await pg_lo_storage.save(connection, LINES)
        task: asyncio.Task[int]

        def progress(_done: int, _total: int) -> None:
            task.cancel()

        task = asyncio.create_task(pg_lo_storage.lo_export(connection, oid, tmp_path / "file", progress=progress))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not driver.in_transaction
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


@asynchronous
async def test_a_save_that_fails_is_rolled_back_also_where_it_is_cancelled_at_that_moment(
    server: Server, large_objects: Callable[[], set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = Psycopg3AsyncDriver.execute
    task: asyncio.Task[int] | None = None

    async def cancelling(
        self: Psycopg3AsyncDriver, query: LiteralString, params: Sequence[object] = ()
    ) -> list[tuple[object, ...]]:
        if query == "rollback" and task is not None:
            task.cancel()
        return await execute(self, query, params)

    async def blocks() -> AsyncIterator[bytes]:
        yield LINES
        yield LINES
        raise LookupError

    async with connected(server.dsn(), autocommit=True) as (connection, driver):
        monkeypatch.setattr(Psycopg3AsyncDriver, "execute", cancelling)
        task = asyncio.ensure_future(pg_lo_storage.save(connection, blocks()))
        with pytest.raises((asyncio.CancelledError, LookupError)):
            await task
        monkeypatch.undo()
        assert not driver.in_transaction
        assert large_objects() == set()


@asynchronous
async def test_calls_of_several_tasks_on_a_connection_in_autocommit_take_turns(
    server: Server, large_objects: Callable[[], set[int]]
) -> None:
    async def blocks(*, fail: bool) -> AsyncIterator[bytes]:
        for start in range(0, len(LINES), 300_000):
            await asyncio.sleep(0)
            yield LINES[start : start + 300_000]
        if fail:
            raise LookupError

    async with connected(server.dsn(), autocommit=True) as (connection, driver):
        kept = await pg_lo_storage.save(connection, LINES)
        *saved, failed, copied, small, loaded = await asyncio.gather(
            *(pg_lo_storage.save(connection, blocks(fail=False)) for _ in range(3)),
            pg_lo_storage.save(connection, blocks(fail=True)),
            pg_lo_storage.copy(connection, kept),
            pg_lo_storage.save(connection, b"small"),
            pg_lo_storage.load(connection, kept),
            return_exceptions=True,
        )
        assert isinstance(failed, LookupError)
        assert loaded == LINES
        assert large_objects() == {kept, copied, small, *saved}
        assert not driver.in_transaction
        for oid in (copied, *saved):
            assert isinstance(oid, int)
            assert await pg_lo_storage.load(connection, oid) == LINES


@asynchronous
async def test_a_statement_of_another_task_is_not_taken_for_a_transaction(server: Server) -> None:
    async with connected(server.dsn(), autocommit=True) as (connection, driver):
        running = asyncio.ensure_future(connection.execute("select pg_sleep(0.1)"))
        await asyncio.sleep(0)
        oid = await pg_lo_storage.save(connection, LINES)
        await running
        assert not driver.in_transaction
        assert await pg_lo_storage.load(connection, oid) == LINES


@pytest.mark.parametrize("autocommit", [False, True])
@asynchronous
async def test_a_call_within_a_call_does_not_wait_for_it(server: Server, *, autocommit: bool) -> None:
    async def nested() -> AsyncIterator[bytes]:
        yield await pg_lo_storage.load(connection, oid)
        async with asyncio.TaskGroup() as group:
            second = group.create_task(pg_lo_storage.load(connection, oid))
        yield await second

    async with connected(server.dsn(), autocommit=autocommit) as (connection, _):
        oid = await pg_lo_storage.save(connection, LINES)
        assert await pg_lo_storage.load(connection, await pg_lo_storage.save(connection, nested())) == 2 * LINES


@pytest.mark.parametrize("autocommit", [False, True])
@asynchronous
async def test_in_a_pipeline_large_values_are_sent_and_the_transaction_is_known(
    server: Server, *, autocommit: bool
) -> None:
    async with connected(server.dsn(), autocommit=autocommit) as (connection, _):
        async with connection.pipeline():
            await connection.execute("select 1")
            oid = await pg_lo_storage.save(connection, LINES)
            copied = await pg_lo_storage.copy(connection, oid)
            assert await pg_lo_storage.load(connection, copied) == LINES
            async with connection.transaction(), pg_lo_storage.open(connection, oid, "rb+") as file:
                await file.write(LINES[::-1])
        assert await pg_lo_storage.load(connection, oid) == LINES[::-1]


@asynchronous
async def test_an_import_that_is_cancelled_while_its_file_is_opened_closes_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large_objects: Callable[[], set[int]]
) -> None:
    (tmp_path / "file").write_bytes(LINES)
    loop, opened = asyncio.get_running_loop(), list[IO[bytes]]()
    open_file = Path.open

    def cancelling(path: Path, mode: Literal["rb"]) -> IO[bytes]:
        opened.append(open_file(path, mode))
        loop.call_soon_threadsafe(task.cancel)
        return opened[-1]

    async with connected(server.dsn()) as (connection, _):
        monkeypatch.setattr(Path, "open", cancelling)
        task = asyncio.create_task(pg_lo_storage.lo_import(connection, tmp_path / "file"))
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.undo()
        await connection.commit()
        assert opened[0].closed
        assert large_objects() == set()


@pytest.mark.parametrize("read", ["load", "file in autocommit", "file"])
@asynchronous
async def test_what_is_large_neither_holds_up_the_event_loop_nor_takes_its_size_twice(
    server: Server, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    size, batch = 40 << 20, 4 << 20
    turns, turns_at_answer, goes_on = 0, 0, True
    execute = psycopg.AsyncCursor.execute

    async def answered(*args: Any, **kwargs: Any) -> Any:
        nonlocal turns_at_answer
        try:
            return await execute(*args, **kwargs)
        finally:
            turns_at_answer = turns

    async def take_turns() -> None:
        nonlocal turns
        while goes_on:
            turns += 1
            await asyncio.sleep(0)

    async with connected(server.dsn(), autocommit=read != "file") as (connection, _):
        oid = await pg_lo_storage.save(connection, bytes(size))
        monkeypatch.setattr(psycopg.AsyncCursor, "execute", answered)
        other = asyncio.create_task(take_turns())
        tracemalloc.start()
        try:
            if read == "load":
                assert len(await pg_lo_storage.load(connection, oid)) == size
            else:
                async with pg_lo_storage.open(connection, oid) as file:
                    start = await file.read(10)
                    content = await file.read()
                    if read == "file in autocommit":  # where all has come with one answer
                        assert turns - turns_at_answer >= size // batch
                    assert len(start) + len(content) == size
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            goes_on = False
            await other
    assert peak < 1.5 * size
