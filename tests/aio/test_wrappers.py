"""Asynchronous drivers that wrap another: they keep its contract, and each call is still all or nothing."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typing_extensions import Buffer, override

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.aio import (
    AsyncDriverWrapper,
    AsyncLargeObjectIO,
    AsyncLargeObjectWrapper,
    get_async_driver,
    register_async_driver,
    registry,
)
from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.drivers import AccessMode
from pg_lo_storage.exceptions import NoTransactionError
from pg_lo_storage.testing import DriverConformance, InMemoryConnection, InMemoryDriver, InMemoryServer, OpenSession
from pg_lo_storage.testing.portal import Portal
from tests.aio.support import asynchronous, connected
from tests.storage.flipping import flipped
from tests.testing.sessions import InMemorySession

LARGE = bytes(range(256)) * 8192


class Awaited:
    """The in-memory driver, or a descriptor of it, with calls that are awaited."""

    def __init__(self, called: Any) -> None:
        self._called = called

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._called, name)
        if not callable(value):
            return value

        async def call(*arguments: Any) -> Any:
            result = value(*arguments)
            return Awaited(result) if name == "open" else result

        return call

    async def chunks(self, size: int, count: int | None = None) -> AsyncIterator[bytes]:
        for block in self._called.chunks(size, count):
            yield block

    async def write_all(self, blocks: AsyncIterable[Buffer]) -> int:
        return sum([self._called.write(block) async for block in blocks])


class WrappedSession(InMemorySession):
    """A session whose driver is awaited, and wrapped."""

    def __init__(self, connection: InMemoryConnection, portal: Portal) -> None:
        super().__init__(connection)
        awaited: Any = Awaited
        self.driver: Any = BlockingDriver(portal, AsyncDriverWrapper(InMemoryDriver(connection), driver=awaited))


@pytest.mark.once
class TestAsyncDriverWrapper(DriverConformance[BlockingDriver]):
    @pytest.fixture
    def open_session(self) -> Iterator[OpenSession[BlockingDriver]]:
        server = InMemoryServer()
        with Portal() as portal:

            def open_session(*, autocommit: bool = False) -> WrappedSession:
                return WrappedSession(InMemoryConnection(server, autocommit=autocommit), portal)

            yield open_session


class Flipping(AsyncDriverWrapper):
    """What the server is given, and gives, is never what the caller is."""

    @override
    async def open(self, oid: int, mode: AccessMode) -> AsyncLargeObjectWrapper:
        return FlippingObject(await self.wrapped.open(oid, mode))

    @override
    async def from_bytes(self, data: Buffer) -> int:
        return await super().from_bytes(flipped(data))

    @override
    async def get(self, oid: int, offset: int, size: int) -> bytes:
        return flipped(await super().get(oid, offset, size))


class FlippingObject(AsyncLargeObjectWrapper):
    """A descriptor of the same."""

    @override
    async def read(self, size: int) -> bytes:
        return flipped(await super().read(size))

    @override
    async def write(self, data: Buffer) -> int:
        return await super().write(flipped(data))


class Bare:
    """Has no SQL, and nothing to begin a transaction by."""

    sql = None

    def __init__(self, connection: object) -> None:
        self._wrapped = get_async_driver(connection)

    def __getattr__(self, name: str) -> object:
        return getattr(self._wrapped, name)


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the registry as it was."""
    monkeypatch.setattr(registry, "_registered", dict[str, Any]())
    yield
    registry.factory_for_async.cache_clear()


async def failing() -> AsyncIterator[bytes]:
    yield LARGE
    yield LARGE
    raise LookupError


@pytest.mark.parametrize("autocommit", [True, False])
@asynchronous
async def test_each_call_passes_the_wrapper_and_is_all_or_nothing(
    server: Server, tmp_path: Path, large_objects: Callable[[], set[int]], autocommit: bool
) -> None:
    register_async_driver(psycopg.AsyncConnection, Flipping)
    async with connected(server.dsn(), autocommit=autocommit) as (connection, below):
        oid = await pg_lo_storage.save(connection, LARGE)
        made = {oid, await pg_lo_storage.copy(connection, oid)}
        assert await pg_lo_storage.lo_export(connection, oid, tmp_path / "file") == len(LARGE)
        made.add(await pg_lo_storage.lo_import(connection, tmp_path / "file"))
        for each in made:
            assert await below.get(each, 0, len(LARGE) + 1) == flipped(LARGE)
            assert await pg_lo_storage.load(connection, each) == LARGE
            async with pg_lo_storage.open(connection, each) as file:
                assert await file.read() == LARGE
        with pytest.raises(LookupError):
            await pg_lo_storage.save(connection, failing())
        assert below.in_transaction is not autocommit
        await connection.commit()
        assert large_objects() == made
        for each in made:
            await below.unlink(each)
        await connection.commit()


@asynchronous
async def test_a_call_that_is_cancelled_leaves_nothing(server: Server, large_objects: Callable[[], set[int]]) -> None:
    register_async_driver(psycopg.AsyncConnection, Flipping)
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield LARGE
            begun.set()

    async with connected(server.dsn(), autocommit=True) as (connection, below):
        task = asyncio.create_task(pg_lo_storage.save(connection, endless()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not below.in_transaction
        assert not large_objects()


@asynchronous
async def test_without_a_way_to_begin_one_the_error_says_what_is_lacking(
    server: Server, large_objects: Callable[[], set[int]]
) -> None:
    bare: Any = Bare
    register_async_driver(psycopg.AsyncConnection, bare)
    async with connected(server.dsn(), autocommit=True) as (connection, _):
        with pytest.raises(NoTransactionError, match=r"Bare has neither SQL nor a method transaction\(\)"):
            await pg_lo_storage.save(connection, LARGE)
    assert not large_objects()


@pytest.mark.parametrize("awaited", [False, True])
@asynchronous
async def test_a_descriptor_that_changes_bytes_changes_those_of_all_blocks(server: Server, *, awaited: bool) -> None:
    blocks = [b"first, ", b"second"]

    async def each() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    async with connected(server.dsn()) as (connection, below):
        wrapper = Flipping(connection)
        oid = await wrapper.create()
        descriptor = await wrapper.open(oid, AccessMode.READ_WRITE)
        assert await descriptor.write_all(each() if awaited else blocks) == 13
        assert await below.get(oid, 0, 20) == flipped(b"first, second")
        assert await descriptor.seek(0) == 0
        assert [block async for block in descriptor.chunks(7, 1)] == [b"first, "]


@asynchronous
async def test_a_file_without_a_descriptor_is_read_by_the_wrapper(server: Server) -> None:
    async with connected(server.dsn(), autocommit=True) as (connection, below):
        oid = await below.from_bytes(flipped(LARGE))
        async with AsyncLargeObjectIO(Flipping(connection), oid) as file:
            assert await file.read(300_000) == LARGE[:300_000]
            assert await file.read(1_000_000) == LARGE[300_000:1_300_000]
            assert await file.read() == LARGE[1_300_000:]


@pytest.mark.parametrize("autocommit", [True, False])
@asynchronous
async def test_what_a_wrapper_does_in_one_block_is_all_done_or_nothing(
    server: Server, large_objects: Callable[[], set[int]], *, autocommit: bool
) -> None:
    async with connected(server.dsn(), autocommit=autocommit) as (connection, below):
        wrapper = AsyncDriverWrapper(connection)

        async def failing() -> None:
            async with wrapper.atomic():
                await wrapper.create()
                raise LookupError

        with pytest.raises(LookupError):
            await failing()
        # With autocommit off it is the user's transaction, to be ended by him.
        assert below.in_transaction is not autocommit
        await connection.rollback()
        async with wrapper.atomic():
            made = {await wrapper.create(), await wrapper.create()}
        await connection.commit()
        assert large_objects() == made
