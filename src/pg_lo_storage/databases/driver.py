"""Large objects over Django's connections: alias -> connection -> driver, with Django's rules about errors."""

import contextlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, LiteralString, TypeVar, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError, connections
from typing_extensions import Buffer

from pg_lo_storage.databases.atomic_blocks import guarded
from pg_lo_storage.drivers import AccessMode, LargeObject, LargeObjectDriver, SQLExecutor, bulk, get_driver, queries
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.errors import translate
from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.drivers.values import as_bytes, integer
from pg_lo_storage.exceptions import StaleLargeObject

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["DatabaseDriver"]


_T = TypeVar("_T")

_UNDEFINED_TABLE: Final = "42P01"
_CATALOGUE: Final = "pg_lo_storage_file"


class DatabaseDriver:
    """The :class:`LargeObjectDriver` of an alias: each call goes to the connection this thread has for it now.

    Given a ``wrapper``, a connection of Django's, it goes to that one, from whatever thread.

    Errors keep Django's rules: the driver's own surface as :mod:`django.db`'s, and one that leaves the server's
    transaction aborted marks the atomic block for rollback, as a failed query would.
    """

    def __init__(self, alias: str, wrapper: "BaseDatabaseWrapper | None" = None) -> None:
        self.alias = alias
        self._bound = wrapper

    @property
    def wrapper(self) -> "BaseDatabaseWrapper":
        """Django's connection that is used now."""
        return self._bound or connections[self.alias]

    def of_transaction(self) -> "DatabaseDriver":
        """Return what opens files: where there is, or will be, a transaction, a file stays on its connection."""
        wrapper = self.wrapper
        is_connected = wrapper.connection is not None
        autocommit = wrapper.get_autocommit() if is_connected else wrapper.settings_dict["AUTOCOMMIT"]
        return DatabaseDriver(self.alias, wrapper) if wrapper.in_atomic_block or not autocommit else self

    @property
    def is_of_another_thread(self) -> bool:
        """Whether it is of a transaction that is open over the connection of another thread."""
        return self.wrapper is not connections[self.alias] and self.in_transaction

    @property
    def transaction_marker(self) -> object:
        """An object that is replaced whenever Django ends a transaction or rolls a savepoint back."""
        wrapper = self.wrapper
        return wrapper.run_on_commit if wrapper.in_atomic_block else object()

    @property
    def is_in_atomic_block(self) -> bool:
        """Whether an atomic block is open."""
        return self.wrapper.in_atomic_block

    @property
    def in_transaction(self) -> bool:
        """See :attr:`LargeObjectDriver.in_transaction`."""
        raw = self.wrapper.connection
        return raw is not None and _driver_of(self.alias, raw).in_transaction

    @property
    def sql(self) -> SQLExecutor | None:
        """See :attr:`LargeObjectDriver.sql`."""
        with self._session() as driver:
            return None if driver.sql is None else _DatabaseSQL(self._session)

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
            return _DatabaseLargeObject(self.wrapper, driver.open(oid, mode))

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

    def get_start(
        self, oid: int, whole: int, start: int, more: LiteralString = "null", params: tuple[object, ...] = ()
    ) -> tuple[int, bytes, tuple[object, ...]]:
        """Return an object's size and, of one up to ``whole`` bytes, its content, of a larger one ``start`` bytes.

        The third are ``more`` columns, which take ``params``; of a driver without SQL there are none.
        """
        with self._session() as driver:
            if driver.sql is None:
                size = driver.size(oid)
                return size, driver.get(oid, 0, size if size <= whole else start), ()
        return self.perform(queries.get_start(oid, whole, start, more, params))

    def run(
        self,
        query: LiteralString,
        params: Sequence[object],
        *,
        oid: int | None = None,
        writing: bool = False,
        unlinks: Collection[int] = (),
    ) -> list[tuple[object, ...]]:
        """Run SQL that calls large-object functions; errors as those of the other methods.

        Of a driver without SQL, it is a cursor of the connection that runs it.
        """
        with self._session() as driver:
            try:
                return (driver.sql or _CursorSQL(self.wrapper)).execute(qualified(query), params)
            except Exception as error:
                sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
                if sqlstate == _UNDEFINED_TABLE and _CATALOGUE in query:
                    raise _without_catalogue(self.alias) from error
                translated = translate(sqlstate, oid, str(error), writing=writing, unlinks=unlinks)
                if translated is None:
                    raise
                raise translated from error

    def perform(self, statement: Statement[_T]) -> _T:
        """Run a statement as :meth:`run`, and return what it makes of its rows."""
        rows = self.run(
            statement.query,
            statement.params,
            oid=statement.oid,
            writing=statement.writing,
            unlinks=statement.unlinks,
        )
        return statement.result(rows)

    @property
    def is_streaming(self) -> bool:
        """See :attr:`SQLDriver.is_streaming`; ``False`` of other drivers."""
        with self._session() as driver:
            return isinstance(driver, SQLDriver) and driver.is_streaming

    def run_streaming(self, query: LiteralString, params: Sequence[object], sink: Sink, *, oid: int) -> int:
        """Run SQL whose rows are one bytea each, hand them to ``sink``, and return their number; as :meth:`run`."""
        with self._session() as driver:
            if isinstance(driver, SQLDriver):
                counted = Statement(query, tuple(params), lambda rows: integer(rows) if rows else 0, oid)
                return driver.perform_streaming(counted, sink)
        rows = self.run(query, params, oid=oid)
        for (value,) in rows:
            sink(as_bytes(value))
        return len(rows)

    @contextlib.contextmanager
    def _session(self) -> Generator[LargeObjectDriver]:
        wrapper = self.wrapper
        if wrapper.vendor != "postgresql":
            message = (
                f"the database {self.alias!r} is {wrapper.display_name}, and large objects need PostgreSQL: name"
                " another in PG_LO_STORAGE_DB_FOR_READ and PG_LO_STORAGE_DB_FOR_WRITE, or pass alias="
            )
            raise ImproperlyConfigured(message)
        # What Django checks before a query: health, threads, and, in place of the method, a test case's block.
        if wrapper is not connections[self.alias]:
            # A library reads the file in a thread of its own, while who opened it waits: in the same transaction.
            if wrapper.connection is None:
                message = "the connection that the file was opened on was closed, by the thread whose it is"
                raise StaleLargeObject(message)
        elif "cursor" in vars(wrapper):
            wrapper.cursor().close()
        else:
            wrapper.close_if_health_check_failed()
            wrapper.ensure_connection()
            wrapper.validate_thread_sharing()
        with guarded(wrapper):
            yield _driver_of(self.alias, wrapper.connection)


class _DatabaseSQL:
    """SQL by the driver's own rules, errors by Django's."""

    def __init__(self, session: Callable[[], AbstractContextManager[LargeObjectDriver]]) -> None:
        self._session = session

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._session() as driver:
            return driver.sql.execute(query, params) if driver.sql else []


class _CursorSQL:
    """SQL over a cursor as Django makes them, below what logs queries, with the bytes of files, and wraps errors."""

    def __init__(self, wrapper: "BaseDatabaseWrapper") -> None:
        self._wrapper = wrapper

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._wrapper.create_cursor() as cursor:
            cursor.execute(query, params)
            return cast("list[tuple[object, ...]]", cursor.fetchall())


class _DatabaseLargeObject:
    """A descriptor that is used over the connection that opened it, in any thread."""

    def __init__(self, wrapper: "BaseDatabaseWrapper", wrapped: LargeObject) -> None:
        self._wrapper = wrapper
        self._wrapped = wrapped
        self._raw = wrapper.connection

    @property
    def oid(self) -> int:
        return self._wrapped.oid

    def read(self, size: int) -> bytes:
        with self._session():
            return self._wrapped.read(size)

    def stream(self, size: int, sink: Sink) -> int:
        with self._session():
            return bulk.stream_descriptor(self._wrapped, size, sink)

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        blocks = self._wrapped.chunks(size, count)
        while True:
            with self._session():
                block = next(blocks, None)
            if block is None:
                return
            yield block

    def write(self, data: Buffer) -> int:
        with self._session():
            return self._wrapped.write(data)

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        with self._session():
            return self._wrapped.write_all(blocks)

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._session():
            return self._wrapped.seek(offset, whence)

    def tell(self) -> int:
        with self._session():
            return self._wrapped.tell()

    def truncate(self, size: int) -> None:
        with self._session():
            self._wrapped.truncate(size)

    def close(self) -> None:
        if self._is_connected() and not self._wrapper.needs_rollback:
            with guarded(self._wrapper):
                self._wrapped.close()

    @contextlib.contextmanager
    def _session(self) -> Generator[None]:
        if not self._is_connected():
            message = f"the connection that large object {self.oid} was opened on was closed: open it again"
            raise StaleLargeObject(message, oid=self.oid)
        with guarded(self._wrapper):
            yield

    def _is_connected(self) -> bool:
        return self._raw is not None and self._wrapper.connection is self._raw


def _without_catalogue(alias: str) -> ProgrammingError:
    return ProgrammingError(
        f"the database {alias!r} has no table {_CATALOGUE}, though 'pg_lo_storage' is in INSTALLED_APPS: run"
        f" 'manage.py migrate --database {alias}'; a migration that saves, opens or deletes files needs"
        ' ("pg_lo_storage", "0001_initial") in its dependencies'
    )


def _driver_of(alias: str, raw: object) -> LargeObjectDriver:
    configured: str | dict[str, str] | None = getattr(settings, "PG_LO_STORAGE_DRIVER", None)
    return get_driver(raw, driver=configured.get(alias) if isinstance(configured, dict) else configured)


if TYPE_CHECKING:
    _driver: type[LargeObjectDriver] = DatabaseDriver
    _large_object: type[LargeObject] = _DatabaseLargeObject
