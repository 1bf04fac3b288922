"""The driver for psycopg 3: SQL functions, server-side parameters, binary results."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.rows import tuple_row
from typing_extensions import override

from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.psycopg3_lock import check_no_query_of_this_thread
from pg_lo_storage.drivers.psycopg3_pipeline import can_pipeline, pipeline_of, run_all, sending, settle, stream_rows
from pg_lo_storage.drivers.psycopg3_values import ADAPTERS
from pg_lo_storage.drivers.queries import Rows
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.drivers.watching import WATCHING

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObjectDriver

__all__ = ["Psycopg3Driver"]


_IN_TRANSACTION = {TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE}


class Psycopg3Driver(SQLDriver):
    """Large objects over a :class:`psycopg.Connection`; it keeps to the connection's ``prepare_threshold``.

    Statements go through a plain :class:`psycopg.Cursor`, not the connection's ``cursor_factory``: no file
    bytes reach what that shows to others, and values are bound by the server.
    """

    __module__ = "pg_lo_storage.drivers"

    def __init__(self, connection: psycopg.Connection[object]) -> None:
        self._connection = connection

    @override
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if (watcher := WATCHING.watcher) is not None:
            return watcher.show(self._connection, query, params, partial(Psycopg3Driver.execute, self))
        if self._connection.lock.locked():
            check_no_query_of_this_thread(self._connection)
        with _Cursor(self._connection, row_factory=tuple_row) as cursor:
            try:
                cursor.execute(query, params, binary=True)
            except BaseException:
                settle(self._connection)
                raise
            if pipeline_of(self._connection) is not None:
                self._synchronise()
            # The description is an object for each column.
            result = cursor.pgresult
            return cursor.fetchall() if result is not None and result.status == ExecStatus.TUPLES_OK else []

    @override
    def execute_all(self, statements: Iterable[tuple[LiteralString, Sequence[object]]]) -> list[Rows]:
        # Whoever watches is shown one statement at a time.
        if WATCHING.watcher is not None or not can_pipeline(self._connection):
            return super().execute_all(statements)
        return run_all(self._connection, statements)

    @property
    @override
    def is_streaming(self) -> bool:
        return can_pipeline(self._connection)

    @override
    def execute_streaming(self, query: LiteralString, params: Sequence[object], sink: Sink) -> int:
        if not can_pipeline(self._connection):
            return super().execute_streaming(query, params, sink)
        if (watcher := WATCHING.watcher) is not None:
            send = partial(stream_rows, self._connection, sink=sink)
            return watcher.show(self._connection, query, params, send)
        return stream_rows(self._connection, query, params, sink)

    def _synchronise(self) -> None:
        with self._connection.lock:
            self._connection.wait(sending(self._connection.pgconn))
        # The end of an inner pipeline synchronises both: then results are there, and the status is settled.
        with self._connection.pipeline():
            pass

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return error.sqlstate if isinstance(error, psycopg.Error) else None

    @property
    @override
    def in_transaction(self) -> bool:
        if pipeline_of(self._connection) is not None:
            self._synchronise()
        # ACTIVE: another thread runs a query, in a transaction or not. The server will tell.
        return self._connection.pgconn.transaction_status in _IN_TRANSACTION

    @property
    @override
    def autocommit(self) -> bool:
        return self._connection.autocommit


class _Cursor(psycopg.Cursor[tuple[object, ...]]):
    """A plain cursor that adapts values as psycopg does by default."""

    @property
    @override
    def adapters(self) -> AdaptersMap:
        return ADAPTERS


if TYPE_CHECKING:
    _: type[LargeObjectDriver] = Psycopg3Driver
