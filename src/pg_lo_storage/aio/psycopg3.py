"""The asynchronous driver for psycopg 3: SQL functions, server-side parameters, binary results."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, LiteralString, TypeAlias

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from typing_extensions import override

from pg_lo_storage.aio.cancellation import stopped_when_cancelled
from pg_lo_storage.aio.gathering import TURN
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.drivers.psycopg3_pipeline import sending
from pg_lo_storage.drivers.psycopg3_values import ADAPTERS
from pg_lo_storage.drivers.queries import Rows

if TYPE_CHECKING:
    from psycopg.abc import PQGen, Query

    from pg_lo_storage.aio.base import AsyncLargeObjectDriver

__all__ = ["Psycopg3AsyncDriver"]

_Row: TypeAlias = tuple[object, ...]

_IN_TRANSACTION = {TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE}
# Seconds until the server is asked again to cancel: it forgets a request that comes between two statements.
_AGAIN: Final = 0.2


class Psycopg3AsyncDriver(AsyncSQLDriver):
    """Large objects over a :class:`psycopg.AsyncConnection`; it keeps to the connection's ``prepare_threshold``.

    Statements go through a plain :class:`psycopg.AsyncCursor`, not the connection's ``cursor_factory``, and values
    are bound by the server. If a task is cancelled, the server cancels its statement and aborts the transaction. If the
    server does not answer, the connection is closed.
    """

    __module__ = "pg_lo_storage.aio"

    def __init__(self, connection: psycopg.AsyncConnection[object]) -> None:
        self._connection = connection

    @override
    async def execute(self, query: LiteralString, params: Sequence[object] = ()) -> Rows:
        cursor = _Cursor(self._connection, row_factory=tuple_row)

        async def stop(task: asyncio.Task[Rows]) -> None:
            # psycopg itself is not interrupted: in the middle of sending, it would have to close the connection.
            while cursor.running and not task.done():
                with contextlib.suppress(psycopg.Error):
                    await self._connection.cancel_safe()
                await asyncio.wait([task], timeout=_AGAIN)
            task.cancel()  # it waits for the connection's lock, or is done

        return await stopped_when_cancelled(self._execute(cursor, query, params), stop, self._connection.pgconn.finish)

    async def _execute(self, cursor: "_Cursor", query: LiteralString, params: Sequence[object]) -> Rows:
        async with cursor:
            await cursor.execute(query, params, binary=True)
            if self._connection.pgconn.pipeline_status:
                await self._synchronise()
            cursor.running = False
            rows: Rows = []
            while cursor.description:
                rows += (some := await cursor.fetchmany(TURN))
                if len(some) < TURN:
                    break
                await asyncio.sleep(0)
            return rows

    async def _synchronise(self) -> None:
        async with self._connection.lock:
            await self._connection.wait(sending(self._connection.pgconn))
        # The end of an inner pipeline synchronises both: then results are there.
        async with self._connection.pipeline():
            pass

    @override
    async def is_begun(self) -> bool:
        if self._connection.pgconn.pipeline_status:
            await self.execute("select 1")
        # Whoever has the lock runs a statement, and the transaction may be that statement's alone.
        async with self._connection.lock:
            return self.in_transaction

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return error.sqlstate if isinstance(error, psycopg.Error) else None

    @property
    @override
    def in_transaction(self) -> bool:
        # ACTIVE: another task runs a query, in a transaction or not. The server will tell.
        return self._connection.pgconn.transaction_status in _IN_TRANSACTION

    @property
    @override
    def autocommit(self) -> bool:
        return self._connection.autocommit


class _Cursor(psycopg.AsyncCursor[_Row]):
    """A plain cursor that adapts values as psycopg does by default.

    ``running`` tells whether its statement is the one that runs on the connection.
    """

    running = False

    @property
    @override
    def adapters(self) -> AdaptersMap:
        return ADAPTERS

    @override
    def _start_query(self, query: "Query | None" = None) -> "PQGen[None]":
        # psycopg calls this once it holds the connection's lock. If it no longer does, its own cancellation is used.
        self.running = True
        return super()._start_query(query)


if TYPE_CHECKING:
    _: type[AsyncLargeObjectDriver] = Psycopg3AsyncDriver
