"""Files whose tasks are cancelled: what they know of themselves afterwards, and that no connection is lost."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString, cast

import psycopg
import pytest
from psycopg.pq import TransactionStatus

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.aio import AsyncLargeObjectIO, Psycopg3AsyncDriver
from pg_lo_storage.aio.cancellation import completed
from pg_lo_storage.exceptions import StaleLargeObject
from tests.aio.support import Connection, asynchronous, connected, content
from tests.io.files import numbered_lines

LINES = numbered_lines(3_000_000)


async def cancelled(call: Coroutine[object, object, object], reached: asyncio.Event | None = None) -> None:
    """Cancel a call when ``reached`` is set, or else when it has begun."""
    task = asyncio.ensure_future(call)
    await (reached.wait() if reached is not None else asyncio.sleep(0))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Gate:
    """Holds up one of a driver's next statements for ever, before or after it was run."""

    def __init__(
        self, driver: Psycopg3AsyncDriver, monkeypatch: pytest.MonkeyPatch, *, number: int, after: bool
    ) -> None:
        self.reached = asyncio.Event()
        self._execute = driver.execute
        self._number, self._after = number, after
        monkeypatch.setattr(driver, "execute", self._gated)

    async def _gated(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        self._number -= 1
        held = self._number == 0
        if held and not self._after:
            await self._hold()
        rows = await self._execute(query, params)
        if held:
            await self._hold()
        return rows

    async def _hold(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


Call = Callable[[AsyncLargeObjectIO], Coroutine[object, object, object]]

CALLS: dict[str, Call] = {
    "read": lambda file: file.read(1_500_000),
    "read all": lambda file: file.read(),
    "read1": lambda file: file.read1(),
    "readinto": lambda file: file.readinto(bytearray(400_000)),
    "readline": lambda file: file.readline(),
    "size": lambda file: file.size(),
    "seek": lambda file: file.seek(0, 2),
}


@pytest.mark.parametrize("after", [False, True], ids=["before the statement", "after it"])
@pytest.mark.parametrize("transaction", [False, True], ids=["autocommit", "transaction"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@asynchronous
async def test_a_cancelled_read_leaves_the_file_where_it_was(
    server: Server, monkeypatch: pytest.MonkeyPatch, call: Call, *, after: bool, transaction: bool
) -> None:
    async with connected(server.dsn(), autocommit=not transaction) as (_, driver):
        data = LINES.replace(b"\n", b" ")
        oid = await driver.from_bytes(data)
        async with AsyncLargeObjectIO(driver, oid) as file:
            # All but read1 take what is left in the buffer, and then need more.
            start = 262_144 if call is CALLS["read1"] else 262_100
            await file.read(start)
            gate = Gate(driver, monkeypatch, number=1, after=after)
            await cancelled(call(file), gate.reached)
            assert await file.tell() == start
            assert await file.read(300_000) == data[start : start + 300_000]
            assert await file.read() == data[start + 300_000 :]


@pytest.mark.parametrize("after", [False, True], ids=["before the statement", "after it"])
@pytest.mark.parametrize("number", [1, 2])
@asynchronous
async def test_a_cancelled_write_makes_the_file_stale(
    server: Server, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool
) -> None:
    async with connected(server.dsn()) as (_, driver):
        file = await AsyncLargeObjectIO(driver, await driver.create(), "rb+")
        gate = Gate(driver, monkeypatch, number=number, after=after)
        await cancelled(file.write(LINES), gate.reached)
        for call in (lambda: file.write(b"x"), file.read, file.tell, file.truncate):
            with pytest.raises(StaleLargeObject, match="cancelled"):
                await call()
        await file.close()
        # The transaction itself is as usable as it was: what the server did is for another file to see.
        async with AsyncLargeObjectIO(driver, file.oid) as again:
            written = await again.read()
        assert LINES.startswith(written)
        assert len(written) == (number - 1 + after) * (1 << 20)


@asynchronous
async def test_what_is_created_by_opening_is_not_left_to_the_transaction_where_that_is_cancelled(
    server: Server, monkeypatch: pytest.MonkeyPatch, large_objects: Callable[[], set[int]]
) -> None:
    create = Psycopg3AsyncDriver.create

    async def cancelling(self: Psycopg3AsyncDriver, oid: int = 0) -> int:
        created = await create(self, oid)
        task.cancel()
        return created

    async with connected(server.dsn()) as (connection, driver):
        await driver.exists(1)
        with monkeypatch.context() as patch:
            patch.setattr(Psycopg3AsyncDriver, "create", cancelling)
            task = asyncio.create_task(AsyncLargeObjectIO(driver, mode="wb").__aenter__())
            with pytest.raises(asyncio.CancelledError):
                await task
        gate = Gate(driver, monkeypatch, number=2, after=False)
        await cancelled(AsyncLargeObjectIO(driver, mode="wb").__aenter__(), gate.reached)
        assert connection.info.transaction_status == TransactionStatus.INTRANS
        await connection.commit()
        assert large_objects() == set()


@asynchronous
async def test_a_cancelled_truncate_makes_the_file_stale(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(server.dsn()) as (_, driver), AsyncLargeObjectIO(driver, mode="wb+") as file:
        gate = Gate(driver, monkeypatch, number=1, after=False)
        await cancelled(file.truncate(3), gate.reached)
        with pytest.raises(StaleLargeObject, match="cancelled"):
            await file.read()


@asynchronous
async def test_a_failed_write_does_not_make_it_stale(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver), AsyncLargeObjectIO(driver, mode="wb") as file:
        with pytest.raises(TypeError):
            await file.write(cast("Any", "text"))
        assert await file.write(b"bytes") == 5


@asynchronous
async def test_a_statement_that_is_cancelled_at_the_server_aborts_its_transaction_and_a_savepoint_saves_it(
    server: Server,
) -> None:
    async with connected(server.dsn()) as (connection, driver), connected(server.dsn()) as (other, blocker):
        oid = await driver.from_bytes(LINES)
        await connection.commit()
        await blocker.put(oid, 0, b"in the way")
        file = await AsyncLargeObjectIO(driver, oid, "rb+")
        with pytest.raises(TimeoutError):
            async with connection.transaction(), asyncio.timeout(0.05):
                await file.write(b"waits for ever")
        assert connection.info.transaction_status == TransactionStatus.INTRANS
        with pytest.raises(StaleLargeObject):
            await file.tell()
        await file.close()
        await other.rollback()
        assert await content(driver, oid) == LINES


@asynchronous
async def test_a_call_that_waits_for_the_connection_leaves_the_other_task_s_statement_alone(server: Server) -> None:
    async with connected(server.dsn(), autocommit=True) as (connection, driver):
        oid = await driver.from_bytes(b"content")
        running = asyncio.ensure_future(connection.execute("select pg_sleep(0.2)"))
        await asyncio.sleep(0)
        await cancelled(driver.get(oid, 0, 7))
        await running
        assert await driver.get(oid, 0, 7) == b"content"


@pytest.mark.parametrize("in_transaction", [False, True], ids=["autocommit", "transaction"])
@asynchronous
async def test_what_undoes_a_failed_call_is_done_though_it_is_cancelled_and_the_cancellation_is_raised(
    server: Server, monkeypatch: pytest.MonkeyPatch, large_objects: Callable[[], set[int]], *, in_transaction: bool
) -> None:
    """A ROLLBACK that is cut off would leave a connection in autocommit in a transaction, for whoever has it next."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    execute = Psycopg3AsyncDriver.execute

    async def gated(
        self: Psycopg3AsyncDriver, query: LiteralString, params: Sequence[object] = ()
    ) -> list[tuple[object, ...]]:
        if "unlink" in query if in_transaction else query == "rollback":
            reached.set()
            await go_on.wait()
        return await execute(self, query, params)

    def failing() -> Iterator[bytes]:
        yield LINES
        yield LINES
        raise LookupError("the source's")

    monkeypatch.setattr(Psycopg3AsyncDriver, "execute", gated)
    async with connected(server.dsn(), autocommit=not in_transaction) as (connection, _):
        task = asyncio.ensure_future(pg_lo_storage.save(connection, failing()))
        await reached.wait()
        for _again in range(3):
            task.cancel()
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert "LookupError" in repr(caught.value.__context__)
        status = connection.info.transaction_status
        assert status == (TransactionStatus.INTRANS if in_transaction else TransactionStatus.IDLE)
        await connection.commit()
        assert large_objects() == set()


async def stream(connection: Connection, oid: int, _: random.Random) -> None:
    async with pg_lo_storage.open(connection, oid) as file:
        async for _block in file.aiter_chunks(100_000):
            pass


async def save(connection: Connection, _: int, chance: random.Random) -> int:
    return await pg_lo_storage.save(connection, LINES[: chance.choice([1000, 2_500_000])])


async def load(connection: Connection, oid: int, _: random.Random) -> None:
    await pg_lo_storage.load(connection, oid)


async def copy(connection: Connection, oid: int, _: random.Random) -> int:
    return await pg_lo_storage.copy(connection, oid)


@asynccontextmanager
async def in_transaction(connection: Connection) -> AsyncGenerator[None, None]:
    """A block of psycopg's own would be interrupted in its ROLLBACK by a second cancellation, and lose the connection.

    Before 3.3 psycopg also leaves a transaction open that was cancelled at its BEGIN.
    """
    driver = Psycopg3AsyncDriver(connection)
    try:
        await driver.execute("begin")
        yield
    except BaseException:
        await completed(driver.execute("rollback"))
        raise
    await completed(driver.execute("commit"))


async def write(connection: Connection, oid: int, chance: random.Random) -> None:
    async with in_transaction(connection), pg_lo_storage.open(connection, oid, "rb+") as file:
        await file.seek(chance.randrange(len(LINES)))
        await file.write(LINES[: chance.randrange(2_000_000)])


async def read(connection: Connection, oid: int, _: random.Random) -> None:
    async with in_transaction(connection), pg_lo_storage.open(connection, oid) as file:
        await file.readline()
        await file.seek(-10, 2)
        await file.read()


USES: list[Callable[[Connection, int, random.Random], Coroutine[object, object, int | None]]] = [
    stream,
    save,
    load,
    copy,
    write,
    read,
]


@pytest.mark.timeout(300)
@asynchronous
async def test_1000_random_cancellations_lose_no_connection_and_leave_no_transaction_and_no_orphan(
    server: Server, large_objects: Callable[[], set[int]]
) -> None:
    chance = random.Random(7)
    connections = [await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) for _ in range(4)]
    # Each has an object of its own, so that none is refused for a concurrent writer.
    oids = [await pg_lo_storage.save(connection, LINES) for connection in connections]
    pids = [connection.info.backend_pid for connection in connections]
    kept = set(oids)
    interrupted = 0

    async def work(connection: Connection, oid: int) -> None:
        nonlocal interrupted
        while interrupted < 1000:
            use = chance.choice(USES)
            task = asyncio.ensure_future(use(connection, oid, chance))
            await asyncio.wait([task], timeout=chance.random() * 0.02)
            while not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=chance.choice([0.0, 0.001, None]))
            interrupted += task.cancelled()
            if not task.cancelled() and (made := await task) is not None:
                kept.add(made)
            assert connection.info.transaction_status == TransactionStatus.IDLE

    async with asyncio.TaskGroup() as group:
        for connection, oid in zip(connections, oids, strict=True):
            group.create_task(work(connection, oid))
    assert large_objects() == kept
    assert [connection.closed for connection in connections] == [False] * 4
    async with connected(server.dsn(), autocommit=True) as (inspector, _):
        query = "select state from pg_stat_activity where pid = any(%s)"
        assert await (await inspector.execute(query, [pids])).fetchall() == [("idle",)] * 4
    for connection, oid in zip(connections, oids, strict=True):
        assert len(await pg_lo_storage.load(connection, oid)) >= len(LINES)
        await connection.close()
