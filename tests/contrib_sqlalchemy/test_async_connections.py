"""Asynchronous connections and sessions of SQLAlchemy, as test_connections.py has those that are called."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, PendingRollbackError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.aio import AsyncDriverWrapper, AsyncSQLDriver, get_async_driver, register_async_driver, registry
from pg_lo_storage.drivers import AccessMode, get_driver
from pg_lo_storage.exceptions import DriverNotFound, LargeObjectNotFound, NoTransactionError, StaleLargeObject
from pg_lo_storage.http import afind_catalogued
from tests.contrib_sqlalchemy.conftest import url_of
from tests.contrib_sqlalchemy.support import LARGE, AsyncTarget

TARGETS: dict[str, Callable[[AsyncEngine], AsyncTarget]] = {
    "AsyncConnection": AsyncEngine.connect,
    "AsyncSession": AsyncSession,
    "async_scoped_session": lambda engine: async_scoped_session(async_sessionmaker(engine), asyncio.current_task),
}
Check: TypeAlias = Callable[[AsyncTarget, AsyncEngine], Coroutine[object, object, None]]
Run: TypeAlias = Callable[[Check], None]


@asynccontextmanager
async def opened(server: Server, driver: str = "psycopg") -> AsyncGenerator[AsyncEngine, None]:
    engine = create_async_engine(url_of(server, driver), pool_size=1, max_overflow=20)
    try:
        yield engine
    finally:
        await engine.dispose()


@pytest.fixture(params=list(TARGETS))
def run(request: pytest.FixtureRequest, server: Server) -> Run:
    """Run a test with a connection or a session of each kind, and its engine."""

    async def running(test: Check) -> None:
        async with opened(server) as engine:
            target: AsyncTarget = TARGETS[request.param](engine)
            if isinstance(target, AsyncConnection):
                await target
            try:
                await test(target, engine)
            finally:
                await target.close()

    return lambda test: asyncio.run(running(test))


async def is_committed(engine: AsyncEngine, oid: int) -> bool:
    async with engine.connect() as connection:
        return await get_async_driver(connection).exists(oid)


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["small", "large"])
def test_sqlalchemy_commits_and_rolls_back_what_is_saved(run: Run, content: bytes) -> None:
    async def test(target: AsyncTarget, engine: AsyncEngine) -> None:
        oid = await pg_lo_storage.save(target, content)
        assert not await is_committed(engine, oid)
        await target.commit()
        assert await is_committed(engine, oid)
        assert await pg_lo_storage.load(target, oid) == content
        second = await pg_lo_storage.copy(target, oid)
        await target.rollback()
        assert not await is_committed(engine, second)

    run(test)


def test_every_function_takes_it(run: Run, tmp_path: Path) -> None:
    source, copied = tmp_path / "source", tmp_path / "copied"
    source.write_bytes(LARGE)

    async def test(target: AsyncTarget, _: AsyncEngine) -> None:
        oid = await pg_lo_storage.lo_import(target, source)
        assert await pg_lo_storage.lo_export(target, await pg_lo_storage.copy(target, oid), copied) == len(LARGE)
        async with pg_lo_storage.open(target, oid) as file, pg_lo_storage.open(target, oid, "rb+") as same:
            await same.write(b"changed")
            assert await file.read(7) == LARGE[:7]
            assert await same.read(3) == LARGE[7:10]
        assert isinstance(get_async_driver(target).sql, AsyncSQLDriver)

    run(test)
    assert copied.read_bytes() == LARGE


def test_a_savepoint_that_is_rolled_back_takes_its_objects_along(run: Run) -> None:
    async def test(target: AsyncTarget, _: AsyncEngine) -> None:
        kept = await pg_lo_storage.save(target, b"kept")
        outer = await pg_lo_storage.open(target, kept)
        nested = await target.begin_nested()
        gone = await pg_lo_storage.save(target, b"gone")
        inner = await pg_lo_storage.open(target, gone)
        await nested.rollback()
        with pytest.raises(StaleLargeObject):
            await inner.read()
        assert await outer.read() == b"kept"
        with pytest.raises(LargeObjectNotFound):
            await pg_lo_storage.load(target, gone)
        await inner.close()
        await outer.close()

    run(test)


def test_a_file_is_stale_when_its_connection_is_back_in_the_pool(run: Run) -> None:
    async def test(target: AsyncTarget, engine: AsyncEngine) -> None:
        oid = await pg_lo_storage.save(target, LARGE)
        file = await pg_lo_storage.open(target, oid, "rb+")
        descriptor = await get_async_driver(target).open(oid, AccessMode.READ_WRITE)
        blocks = descriptor.chunks(1000)
        await anext(blocks)
        await target.close()
        async with engine.connect() as other:
            unrelated = await pg_lo_storage.open(other, await pg_lo_storage.save(other, b"unrelated"))
            for use in (file.read(), file.write(b"!"), descriptor.write(b"!"), descriptor.tell()):
                with pytest.raises(StaleLargeObject):
                    await use
            assert await unrelated.read() == b"unrelated"
            await unrelated.close()
        await file.close()
        await descriptor.close()

    run(test)


def test_after_a_commit_a_file_is_stale_and_a_driver_goes_on(run: Run) -> None:
    async def test(target: AsyncTarget, _: AsyncEngine) -> None:
        driver = get_async_driver(target)
        file = await pg_lo_storage.open(target, 0, "wb+")
        await file.write(b"content")
        assert not driver.in_transaction
        assert await driver.get(file.oid, 0, 10) == b"content"
        assert driver.in_transaction
        await target.commit()
        assert not driver.in_transaction
        with pytest.raises(StaleLargeObject):
            await file.read()
        await file.close()
        assert await driver.get(file.oid, 0, 10) == b"content"

    run(test)


def test_in_autocommit_each_call_is_committed_at_once(server: Server) -> None:
    async def test() -> None:
        async with opened(server) as engine, engine.connect() as connection:
            autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
            oid = await pg_lo_storage.save(autocommit, LARGE)
            assert await is_committed(engine, oid)
            with pytest.raises(NoTransactionError):
                await pg_lo_storage.open(autocommit, 0, "wb")
            async with pg_lo_storage.open(autocommit, oid) as file:
                assert await file.read() == LARGE

    asyncio.run(test())


def test_a_lost_connection_is_invalidated(run: Run) -> None:
    async def test(target: AsyncTarget, engine: AsyncEngine) -> None:
        file = await pg_lo_storage.open(target, await pg_lo_storage.save(target, LARGE), "rb+")
        pid = (await target.execute(text("select pg_backend_pid()"))).scalar()
        async with engine.connect() as other:
            await other.execute(text(f"select pg_terminate_backend({pid}, 10000)"))
        with pytest.raises(OperationalError) as caught:
            await file.write(LARGE)
        assert caught.value.connection_invalidated
        with pytest.raises(StaleLargeObject):
            await file.tell()
        await file.close()
        with pytest.raises(PendingRollbackError):
            await pg_lo_storage.save(target, b"content")
        await target.rollback()
        oid = await pg_lo_storage.save(target, b"content")
        await target.commit()
        assert await is_committed(engine, oid)

    run(test)


def test_the_sql_of_a_driver_is_one_itself(run: Run) -> None:
    async def test(target: AsyncTarget, engine: AsyncEngine) -> None:
        sql = get_async_driver(target).sql
        assert isinstance(sql, AsyncSQLDriver)
        assert (sql.in_transaction, sql.autocommit) == (False, False)
        oid = await sql.from_bytes(b"content")
        assert (sql.in_transaction, await sql.is_begun()) == (True, True)
        assert await (await sql.open(oid, AccessMode.READ)).read(10) == b"content"
        await target.rollback()
        assert not sql.in_transaction
        assert not await is_committed(engine, oid)

    run(test)


def test_within_run_sync_the_ordinary_functions_take_the_session(server: Server) -> None:
    def use(session: Session) -> int:
        oid = pg_lo_storage.save(session, LARGE)
        with pg_lo_storage.open(session, oid, "rb+") as file:
            assert file.read(10) == LARGE[:10]
            file.write(b"changed")
        assert pg_lo_storage.load(session, pg_lo_storage.copy(session, oid))[10:17] == b"changed"
        return oid

    async def test() -> None:
        async with opened(server) as engine, AsyncSession(engine) as session:
            oid = await session.run_sync(use)
            assert not await is_committed(engine, oid)
            await session.commit()
            assert await is_committed(engine, oid)

    asyncio.run(test())


def test_what_sqlalchemy_would_not_know_of_is_refused(server: Server) -> None:
    async def test() -> None:
        async with opened(server) as engine, engine.connect() as connection:
            raw = await connection.get_raw_connection()
            for other in (raw, raw.dbapi_connection, engine):
                with pytest.raises(DriverNotFound, match=r"Pass SQLAlchemy's Connection.* itself"):
                    get_driver(other)
            with pytest.raises(DriverNotFound, match=r"asynchronous.* of type"):
                get_async_driver(raw)

    asyncio.run(test())


@pytest.mark.parametrize("target", ["AsyncConnection", "AsyncSession"])
def test_a_driver_without_sql_has_no_catalogue(server: Server, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    async def test() -> None:
        async with opened(server) as engine:
            made = TARGETS[target](engine)
            if isinstance(made, AsyncConnection):
                await made
            with pytest.raises(ValueError, match="no SQL"):
                await afind_catalogued(made, "1.pdf")
            driver = get_async_driver(made)
            await driver.exists(1)
            assert driver.sql is None
            await made.close()

    monkeypatch.setattr(registry, "_registered", {})
    register_async_driver("psycopg.AsyncConnection", AsyncDriverWrapper)
    try:
        asyncio.run(test())
    finally:
        register_async_driver("psycopg.AsyncConnection", None)


def test_asyncpg_needs_a_driver_that_is_registered(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict[str, Any]())

    async def test() -> None:
        async with opened(server, "asyncpg") as engine, AsyncSession(engine) as session:
            with pytest.raises(DriverNotFound, match="asyncpg"):
                await pg_lo_storage.save(session, b"content")
            with pytest.raises(DriverNotFound, match="asyncpg"):
                await session.run_sync(lambda session: pg_lo_storage.save(session, b"content"))
            register_async_driver("asyncpg.connection.Connection", "example.drivers.lo_asyncpg.AsyncpgDriver")
            for content in (b"content", LARGE):
                oid = await pg_lo_storage.save(session, content)
                assert not await is_committed(engine, oid)
                await session.rollback()
                assert not await is_committed(engine, oid)
                oid = await pg_lo_storage.save(session, content)
                await session.commit()
                assert await is_committed(engine, oid)
                assert await pg_lo_storage.load(session, oid) == content

    asyncio.run(test())
