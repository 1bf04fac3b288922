"""The driver for psycopg2: SQL functions, large reads by COPY, and large writes by native lobjects."""

import contextlib
import io
import re
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, LiteralString, Protocol, TypeVar, cast

import psycopg2
import psycopg2.errors
from psycopg2 import extensions as ext
from typing_extensions import override

from pg_lo_storage.drivers.base import MAX_SIZE, AccessMode, Sink
from pg_lo_storage.drivers.bulk import streams
from pg_lo_storage.drivers.descriptor import Part, SQLLargeObject
from pg_lo_storage.drivers.digest import Beside
from pg_lo_storage.drivers.errors import translate
from pg_lo_storage.drivers.psycopg2_copy import CopiedRows, rows_in, with_settings
from pg_lo_storage.drivers.psycopg2_values import Cursor, quotable
from pg_lo_storage.drivers.queries import Rows, Statement
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.drivers.watching import WATCHING
from pg_lo_storage.exceptions import DriverNotFound

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObjectDriver

__all__ = ["Psycopg2Driver"]

# Bytes of one write up to which SQL is as fast: it takes one round trip, a lobject five. More bytes must not stand in a
# statement's text, which the server logs when the statement fails.
_BY_SQL: Final = 8 * 1024

# What native calls mean, for those who watch: the protocol calls functions by their oids, and psycopg2 keeps the
# descriptor's number to itself.
_OPEN: Final = "select pg_catalog.lo_open(%s::oid, %s::int4) /* by a lobject */"
_SEEK: Final = "select pg_catalog.lo_lseek64(fd, %s::int8, 0) /* by the lobject of %s */"
_WRITE: Final = "select pg_catalog.lowrite(fd, %s::bytea) /* by the lobject of %s */"
_CLOSE: Final = "select pg_catalog.lo_close(fd) /* by the lobject of %s */"

_T = TypeVar("_T")

_locks: "weakref.WeakKeyDictionary[ext.connection, threading.RLock]" = weakref.WeakKeyDictionary()
_locks_lock = threading.Lock()
_IN_TRANSACTION = {ext.TRANSACTION_STATUS_INTRANS, ext.TRANSACTION_STATUS_INERROR, ext.TRANSACTION_STATUS_ACTIVE}
_COPY: Final = "copy ({}) to stdout (format binary)"
_INDEX_OF_PAGES: Final = "pg_largeobject_loid_pn_index"
_LOCK_MODE: Final = re.compile(r"\b[A-Z][A-Za-z]*Lock\b")
_INTERNAL_ERROR: Final = "XX000"
_ENDED: Final = {
    "due to lock timeout": "55P03",
    "due to statement timeout": "57014",
    "due to user request": "57014",
}


class Psycopg2Connection(Protocol):
    """What a type checker knows a psycopg2 connection by, with or without stubs of psycopg2."""

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction of its own."""
        ...

    @property
    def lobject(self) -> Callable[..., object]:
        """Opens a large object."""
        ...


class Psycopg2Driver(SQLDriver):
    """Large objects over a :class:`psycopg2.extensions.connection`.

    SQL drives the descriptors. A native lobject makes writes of more than 8 KB, in half the time, but it needs
    psycopg2's own transaction: after an explicit ``BEGIN`` in autocommit, and under a wait callback (gevent), SQL makes
    them too.

    :raises DriverNotFound: the connection is asynchronous.
    """

    __module__ = "pg_lo_storage.drivers"

    def __init__(self, connection: Psycopg2Connection) -> None:
        if getattr(connection, "async_", False):
            message = (
                "no driver serves asynchronous connections of psycopg2 (async_=True): open an ordinary one, or a"
                " psycopg.AsyncConnection"
            )
            raise DriverNotFound(message)
        self._connection = cast("ext.connection", connection)

    @override
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if (watcher := WATCHING.watcher) is not None:
            return watcher.show(self._connection, query, params, partial(Psycopg2Driver.execute, self))
        with lock_of(self._connection), self._connection.cursor(cursor_factory=Cursor) as cursor:
            cursor.execute(query, quotable(self._connection, params))
            return cursor.fetchall() if cursor.description else []

    @property
    @override
    def is_streaming(self) -> bool:
        return ext.get_wait_callback() is None  # COPY cannot use one

    @override
    def execute_streaming(self, query: LiteralString, params: Sequence[object], sink: Sink) -> int:
        if not self.is_streaming:
            return super().execute_streaming(query, params, sink)
        rows = CopiedRows(sink)
        _shown(self._connection, _COPY.format(query), params, partial(self._copy, rows))
        return rows.count

    @override
    def rows_of(self, statement: Statement[object]) -> Rows:
        # As text each byte comes as two characters. Who watches is shown what is sent, and may know reads by "select".
        by_copy = bytes in statement.columns and self.is_streaming and WATCHING.watcher is None
        if not by_copy or not streams(type(self), "execute", "rows_of"):
            return super().rows_of(statement)
        copied = io.BytesIO()
        self._copy(copied, _COPY.format(statement.query), statement.params)
        return rows_in(copied.getbuffer(), statement.columns, self._connection)

    def _copy(self, file: CopiedRows | io.BytesIO, query: LiteralString, params: Sequence[object]) -> None:
        query, params = with_settings(query, params)
        with lock_of(self._connection), self._connection.cursor(cursor_factory=ext.cursor) as cursor:
            try:
                cursor.copy_expert(cursor.mogrify(query, quotable(self._connection, params)), file)
            except psycopg2.DatabaseError as error:
                if error.pgcode is None and self._connection.closed:
                    # psycopg2's own message says only that it is in a COPY.
                    message = "the connection was lost while the server sent a large object"
                    raise psycopg2.OperationalError(message) from error
                raise

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return error.pgcode if isinstance(error, psycopg2.Error) else None

    @property
    @override
    def in_transaction(self) -> bool:
        status = self._connection.info.transaction_status
        # ACTIVE: another thread runs a query, in a transaction or not. The server will tell.
        return status in _IN_TRANSACTION

    @property
    @override
    def autocommit(self) -> bool:
        return self._connection.autocommit

    @override
    def open(self, oid: int, mode: AccessMode) -> "Psycopg2LargeObject":
        return Psycopg2LargeObject(self, self._connection, oid, mode, self.open_descriptor(oid, mode))


class Psycopg2LargeObject(SQLLargeObject):
    """A descriptor driven by SQL; a native lobject makes its large writes."""

    _batch_of_a_write: ClassVar[int] = MAX_SIZE  # each block is waited for, so one lobject writes them all

    def __init__(
        self,
        driver: Psycopg2Driver,
        connection: ext.connection,
        oid: int,
        mode: AccessMode,
        descriptor: tuple[int, str],
    ) -> None:
        super().__init__(driver, oid, mode, descriptor)
        self._connection = connection

    @override
    def _write_batch(self, batch: Iterable[Part], size: int | None, sink: Sink | None = None) -> None:
        by_sql = size is not None and size <= _BY_SQL
        if by_sql or self._driver.autocommit or ext.get_wait_callback() is not None:
            super()._write_batch(batch, size, sink)
            return
        with lock_of(self._connection):
            start = self._perform(self._statements.pass_over(size or 0))
            written = 0
            with _translating(self.oid), _lobject(self._connection, self.oid) as native, Beside(sink) as beside:
                if start:
                    self._call(_SEEK, partial(native.seek, start), start)
                for part in batch:
                    beside(part, partial(self._call, _WRITE, partial(native.write, bytes(part)), part))
                    written += len(part)
                self._call(_CLOSE, native.close)
            if size is None:
                self._seek(written, 1)

    def _call(self, query: LiteralString, call: Callable[[], object], *params: object) -> None:
        _shown(self._connection, query, (*params, self.oid), lambda _query, _params: call())


def _shown(
    connection: ext.connection,
    query: LiteralString,
    params: Sequence[object],
    send: Callable[[LiteralString, Sequence[object]], _T],
) -> _T:
    watcher = WATCHING.watcher
    return send(query, params) if watcher is None else watcher.show(connection, query, params, send)


@contextlib.contextmanager
def _lobject(connection: ext.connection, oid: int) -> "Generator[ext.lobject[bytes]]":
    """Yield a native lobject to write to, which must not outlive the ``with`` block.

    When it is freed it closes its descriptor, whose number may be another object's by then. It also waits for its
    connection, which may be in a query of another thread.
    """

    def opened(_query: str, _params: Sequence[object]) -> "ext.lobject[bytes]":
        return connection.lobject(oid, "wb")

    native = _shown(connection, _OPEN, (oid, int(AccessMode.WRITE)), opened)
    try:
        yield native
    finally:
        if connection.closed:
            connection.close()  # on a lost one the lobject would print an error when it is freed
        with contextlib.suppress(psycopg2.Error):  # in a failed transaction
            native.close()


def lock_of(connection: ext.connection) -> threading.RLock:
    """Return the lock that keeps threads on one connection apart.

    A native call and the guard before it are two steps, and psycopg2 does not lock COPY.
    """
    with _locks_lock:
        return _locks.setdefault(connection, threading.RLock())


@contextlib.contextmanager
def _translating(oid: int) -> Generator[None]:
    """Raise for a native call's error what a statement that fails in the same way raises.

    Where that is an error of psycopg2's own, it is of the class in ``psycopg2.errors``, and has the SQLSTATE.
    """
    try:
        yield
    except psycopg2.Error as error:
        text = str(error)
        sqlstate = _sqlstate_in(text, oid)
        if (found := translate(sqlstate, oid, text, writing=True)) is not None:
            raise found from error
        if sqlstate == _INTERNAL_ERROR:
            raise
        same = psycopg2.errors.lookup(sqlstate)(text)
        same.__setstate__({"pgcode": sqlstate, "pgerror": text})  # the attributes cannot be set
        raise same from error


def _sqlstate_in(text: str, oid: int) -> str:
    """Return the SQLSTATE of a native call's error, which carries none, by what its text says.

    The object was there, and the role may write to it. So a message that has the oid says that the object is gone. One
    that names the index says that another session created the same page. No error but a deadlock's has names of lock
    modes. None of these is ever translated; of what ends a statement the server speaks its own language.
    """
    message = text.partition("\n")[0]
    if _LOCK_MODE.search(text):
        return "40P01"
    if _INDEX_OF_PAGES in message or str(oid) in re.findall("[0-9]+", message):
        return "23505"
    return next((sqlstate for said, sqlstate in _ENDED.items() if message.endswith(said)), _INTERNAL_ERROR)


if TYPE_CHECKING:
    _: type[LargeObjectDriver] = Psycopg2Driver
