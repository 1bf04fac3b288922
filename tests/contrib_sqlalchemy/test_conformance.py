"""The kit on connections and sessions of SQLAlchemy, called and awaited."""

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager
from importlib.util import find_spec

import pytest
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from example.cluster import Server
from pg_lo_storage.aio import get_async_driver
from pg_lo_storage.contrib.sqlalchemy import AsyncSQLAlchemyDriver, SQLAlchemyDriver
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.testing import AsyncDriverConformance, DriverConformance, OpenAsyncSession, OpenSession
from tests.contrib_sqlalchemy.conftest import url_of

# Each kit takes half a minute: all of them run with PG_LO_TEST_KITS=all.
EVERY = os.environ.get("PG_LO_TEST_KITS") == "all"
CALLED = ["Connection psycopg2", "Session psycopg", *(["Connection psycopg", "Session psycopg2"] if EVERY else ())]
AWAITED = ["AsyncSession", *(["AsyncConnection"] if EVERY else ())]


def test_there_is_no_django() -> None:
    assert find_spec("django") is None


class KitSession:
    """A session of the kit over a connection or session of SQLAlchemy's."""

    def __init__(self, target: Connection | Session, *, autocommit: bool) -> None:
        driver = get_driver(target)
        assert isinstance(driver, SQLAlchemyDriver)
        self.driver: SQLAlchemyDriver = driver
        self._target = target
        self._autocommit = autocommit

    def begin(self) -> None:
        if self._autocommit:
            self._run("begin")

    def commit(self) -> None:
        self._end("commit")

    def rollback(self) -> None:
        self._end("rollback")

    def savepoint(self, name: str) -> None:
        self._run(f"savepoint {name}")

    def rollback_to(self, name: str) -> None:
        self._run(f"rollback to {name}")

    def release(self, name: str) -> None:
        self._run(f"release {name}")

    def close(self) -> None:
        self._target.close()
        if isinstance(self._target, Session) and isinstance(self._target.bind, Connection):
            self._target.bind.close()

    def _end(self, statement: str) -> None:
        # What an explicit BEGIN began in autocommit, SQLAlchemy does not know of.
        if self._autocommit and self.driver.in_transaction:
            self._run(statement)
        getattr(self._target, statement)()

    def _run(self, statement: str) -> None:
        target = self._target
        connection = target if isinstance(target, Connection) else target.connection()
        connection.exec_driver_sql(statement)


class TestCalled(DriverConformance[SQLAlchemyDriver]):
    @pytest.fixture(params=CALLED)
    def open_session(self, request: pytest.FixtureRequest, server: Server) -> Iterator[OpenSession[SQLAlchemyDriver]]:
        kind, driver = request.param.split()
        engine = create_engine(url_of(server, driver), poolclass=NullPool)
        with ExitStack() as stack:

            def open_session(*, autocommit: bool = False) -> KitSession:
                connection = stack.enter_context(engine.connect())
                if autocommit:
                    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                if kind == "Connection":
                    return KitSession(connection, autocommit=autocommit)
                # A transaction that is begun by SQL in autocommit does not outlast the session's own connection.
                session = Session(connection) if autocommit else Session(engine)
                return KitSession(stack.enter_context(session), autocommit=autocommit)

            yield open_session


class AsyncKitSession:
    """The same, awaited."""

    def __init__(self, target: AsyncConnection | AsyncSession, *, autocommit: bool) -> None:
        driver = get_async_driver(target)
        assert isinstance(driver, AsyncSQLAlchemyDriver)
        self.driver: AsyncSQLAlchemyDriver = driver
        self._target = target
        self._autocommit = autocommit

    async def begin(self) -> None:
        if self._autocommit:
            await self._run("begin")

    async def commit(self) -> None:
        await self._end("commit")

    async def rollback(self) -> None:
        await self._end("rollback")

    async def savepoint(self, name: str) -> None:
        await self._run(f"savepoint {name}")

    async def rollback_to(self, name: str) -> None:
        await self._run(f"rollback to {name}")

    async def release(self, name: str) -> None:
        await self._run(f"release {name}")

    async def close(self) -> None:
        await self._target.close()
        if isinstance(self._target, AsyncSession) and isinstance(self._target.bind, AsyncConnection):
            await self._target.bind.close()

    async def _end(self, statement: str) -> None:
        if self._autocommit and self.driver.in_transaction:
            await self._run(statement)
        await getattr(self._target, statement)()

    async def _run(self, statement: str) -> None:
        target = self._target
        connection = target if isinstance(target, AsyncConnection) else await target.connection()
        await connection.exec_driver_sql(statement)


class TestAwaited(AsyncDriverConformance[AsyncSQLAlchemyDriver]):
    @pytest.fixture(params=AWAITED)
    def open_async_session(
        self, request: pytest.FixtureRequest, server: Server
    ) -> OpenAsyncSession[AsyncSQLAlchemyDriver]:
        @asynccontextmanager
        async def open_session(*, autocommit: bool = False) -> AsyncGenerator[AsyncKitSession, None]:
            engine = create_async_engine(url_of(server, "psycopg"), poolclass=NullPool)
            if autocommit:
                engine = engine.execution_options(isolation_level="AUTOCOMMIT")
            async with engine.connect() as connection:
                if request.param == "AsyncConnection":
                    yield AsyncKitSession(connection, autocommit=autocommit)
                    return
                async with AsyncSession(connection) as session:
                    yield AsyncKitSession(session, autocommit=autocommit)

        return open_session
