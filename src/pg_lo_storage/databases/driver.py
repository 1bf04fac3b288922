"""Large objects over Django's connections: an alias's driver, with Django's rules about errors."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, LiteralString, TypeVar, cast

from django.db import ProgrammingError
from typing_extensions import Buffer

from pg_lo_storage.databases import descriptor
from pg_lo_storage.databases.connection import DatabaseConnection
from pg_lo_storage.drivers import AccessMode, LargeObject, LargeObjectDriver, SQLExecutor, bulk, queries
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.errors import sqlstate_of
from pg_lo_storage.drivers.queries import Rows, Statement
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.drivers.values import as_bytes
from pg_lo_storage.drivers.watching import WATCHING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["DatabaseDriver"]


_T = TypeVar("_T")

_UNDEFINED_TABLE: Final = "42P01"
# The newer first: where it is missing, the other may be there.
_TABLES: Final = {"pg_lo_storage_upload": "0002_unfinished_upload", "pg_lo_storage_file": "0001_initial"}


class DatabaseDriver(DatabaseConnection):
    """The :class:`LargeObjectDriver` of an alias: each call goes to the connection that is used now.

    Errors keep Django's rules. The driver's own become those of :mod:`django.db`. One that aborts the server's
    transaction marks the atomic block for rollback, as a failed query does.
    """

    @property
    def sql(self) -> SQLExecutor | None:
        """See :attr:`LargeObjectDriver.sql`."""
        with self._session() as driver:
            return None if driver.sql is None else self.rows

    @property
    def rows(self) -> SQLExecutor:
        """Runs SQL that holds no content of files: of a driver without SQL by a cursor of the connection."""
        return _DatabaseSQL(self._session, lambda: _CursorSQL(self.wrapper))

    def create(self, oid: int = 0) -> int:
        """See :meth:`LargeObjectDriver.create`."""
        with self._session() as driver:
            return driver.create(oid)

    def from_bytes(self, data: Buffer) -> int:
        """See :meth:`LargeObjectDriver.from_bytes`."""
        with self._session() as driver:
            return driver.from_bytes(data)

    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        """See :meth:`LargeObjectDriver.open`."""
        with self._session() as driver:
            return descriptor.over(self.wrapper, driver.open(oid, mode))

    def unlink(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.unlink`."""
        with self._session() as driver:
            return driver.unlink(oid)

    def exists(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.exists`."""
        with self._session() as driver:
            return driver.exists(oid)

    def size(self, oid: int) -> int:
        """See :meth:`LargeObjectDriver.size`."""
        with self._session() as driver:
            return driver.size(oid)

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`LargeObjectDriver.get`."""
        with self._session() as driver:
            return driver.get(oid, offset, size)

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        with self._session() as driver:
            driver.put(oid, offset, data)

    def stream(self, oid: int, offset: int, size: int, sink: Sink, block: int) -> int:
        """See :meth:`StreamingDriver.stream`."""
        with self._session() as driver:
            return bulk.stream(driver, oid, offset, size, sink, block=block)

    def perform(self, statement: Statement[_T], without_sql: Callable[[], _T] | None = None) -> _T:
        """Run a statement as :meth:`run` does, and return what it makes of its rows.

        With a driver that has no SQL, return what ``without_sql`` does: a statement that has none must hold no content
        of files, which only the driver knows how to store.
        """
        rows: Rows | None = None
        with self._session() as driver:
            sql = driver.sql
            if sql is not None or without_sql is None:
                try:
                    if statement.columns and isinstance(sql, SQLDriver):
                        rows = sql.rows_of(statement)
                    else:
                        rows = (sql or _CursorSQL(self.wrapper)).execute(statement.query, statement.params)
                except Exception as error:
                    if (known := self._translated(error, statement)) is None:
                        raise
                    raise known from error
        return without_sql() if rows is None and without_sql is not None else statement.result(rows or [])

    def run(
        self,
        query: LiteralString,
        params: Sequence[object],
        *,
        oid: int | None = None,
        writing: bool = False,
        unlinks: Collection[int] = (),
    ) -> list[tuple[object, ...]]:
        """Run SQL that calls large-object functions; it raises the same errors as the other methods.

        With a driver that has no SQL, a cursor of the connection runs it.
        """
        statement = Statement(query, tuple(params), list, oid, writing=writing, unlinks=unlinks)
        return self.perform(statement)

    @property
    def is_streaming(self) -> bool:
        """See :attr:`SQLDriver.is_streaming`; ``False`` for other drivers."""
        with self._session() as driver:
            return isinstance(sql := driver.sql, SQLDriver) and sql.is_streaming

    def perform_streaming(self, statement: Statement[_T], sink: Sink, without_sql: Callable[[], _T]) -> _T:
        """Run a statement whose rows are one bytea each and go to ``sink``; see :meth:`SQLDriver.perform_streaming`.

        Of a driver without SQL it is what ``without_sql`` returns.
        """
        with self._session() as driver:
            if isinstance(sql := driver.sql, SQLDriver):
                return sql.perform_streaming(statement, sink)
        if sql is None:
            return without_sql()
        rows = self.run(statement.query, statement.params, oid=statement.oid)
        for (value,) in rows:
            sink(as_bytes(value))
        return statement.result([(len(rows),)] if rows else [])

    def _translated(self, error: Exception, statement: Statement[object]) -> Exception | None:
        sqlstate = sqlstate_of(error)
        if sqlstate == _UNDEFINED_TABLE:
            for table, migration in _TABLES.items():
                if table in statement.query:
                    return _without_table(self.alias, table, migration)
        return queries.translated(sqlstate, error, statement)


class _DatabaseSQL:
    """SQL by the driver's own rules, errors by Django's."""

    def __init__(
        self, session: Callable[[], AbstractContextManager[LargeObjectDriver]], cursor: Callable[[], SQLExecutor]
    ) -> None:
        self._session = session
        self._cursor = cursor

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._session() as driver:
            return (driver.sql or self._cursor()).execute(query, params)


class _CursorSQL:
    """SQL on a bare cursor of Django's, which does not wrap errors."""

    def __init__(self, wrapper: "BaseDatabaseWrapper") -> None:
        self._wrapper = wrapper

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if (watcher := WATCHING.watcher) is not None:
            return watcher.show(self._wrapper.connection, query, params, self.execute)
        with self._wrapper.create_cursor() as cursor:
            cursor.execute(query, params)
            return cast("list[tuple[object, ...]]", cursor.fetchall() if cursor.description else [])


def _without_table(alias: str, table: str, migration: str) -> ProgrammingError:
    return ProgrammingError(
        f"the database {alias!r} has no table {table}, though 'pg_lo_storage' is in INSTALLED_APPS: run"
        f" 'manage.py migrate --database {alias}'; a migration that saves, opens or deletes files needs"
        f' ("pg_lo_storage", "{migration}") in its dependencies'
    )


if TYPE_CHECKING:
    _: type[LargeObjectDriver] = DatabaseDriver
