"""Asynchronous sessions, as the author of a driver writes them for the kit."""

from typing import Generic, LiteralString, Protocol, TypeVar

from pg_lo_storage.aio import AsyncSQLDriver

A = TypeVar("A", bound=AsyncSQLDriver)


class Connection(Protocol):
    """What a session uses of a connection of either driver."""

    async def execute(self, query: LiteralString, /) -> object: ...
    async def close(self) -> None: ...


class RawAsyncSession(Generic[A]):
    """A session of a driver over a connection with ``execute``; transactions are ended by SQL, whoever began them."""

    def __init__(self, connection: Connection, driver: A) -> None:
        self.connection = connection
        self.driver = driver

    async def begin(self) -> None:
        # With autocommit off the driver begins by itself, and would be warned of a second time.
        if self.driver.autocommit:
            await self.connection.execute("begin")

    async def commit(self) -> None:
        await self._end("commit")

    async def rollback(self) -> None:
        await self._end("rollback")

    async def savepoint(self, name: str) -> None:
        await self._within("savepoint", name)

    async def rollback_to(self, name: str) -> None:
        await self._within("rollback to", name)

    async def release(self, name: str) -> None:
        await self._within("release", name)

    async def close(self) -> None:
        await self.connection.close()

    async def _within(self, statement: LiteralString, name: str) -> None:
        # Through the driver, which begins the transaction where the connection does not.
        await self.driver.execute(f"{statement} {name}")  # pyright: ignore[reportArgumentType]  # the kit's names

    async def _end(self, statement: LiteralString) -> None:
        if self.driver.in_transaction:
            await self.connection.execute(statement)
