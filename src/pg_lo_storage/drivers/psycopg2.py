"""The driver for psycopg2: native lobjects, read in bulk by COPY, and SQL where a lobject cannot serve."""

import contextlib
import ctypes
import struct
import threading
import weakref
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, LiteralString, Protocol, cast

import psycopg2
from psycopg2 import extensions as ext
from typing_extensions import override

from pg_lo_storage.drivers.base import MAX_SIZE, AccessMode, Sink
from pg_lo_storage.drivers.descriptor import GUARD, SQLLargeObject
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.exceptions import LargeObjectConflict

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObjectDriver

__all__ = ["Psycopg2Driver"]

# A lobject that is collected closes its descriptor, which may be another object's by then, and runs a query
# inside the garbage collector. Those that cannot be closed wait here until psycopg2 knows their transaction over.
_kept: "list[tuple[ext.connection, ext.lobject[bytes]]]" = []
# The list itself is never freed: a forked child that ends must not close the descriptors of its parent.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_kept))

_locks: "weakref.WeakKeyDictionary[ext.connection, threading.RLock]" = weakref.WeakKeyDictionary()
_locks_lock = threading.Lock()
_IN_TRANSACTION = {ext.TRANSACTION_STATUS_INTRANS, ext.TRANSACTION_STATUS_INERROR, ext.TRANSACTION_STATUS_ACTIVE}
_BROKEN = 2  # of connection.closed
# Two sessions that change a page, and two that create it.
_CONFLICTS_OF_A_WRITE = ("tuple concurrently", "pg_largeobject_loid_pn_index")
_COPY_HEADER = len(b"PGCOPY\n\xff\r\n\0") + 4  # then the length of the header's extension
_FIELDS = struct.Struct("!h")
_LENGTH = struct.Struct("!i")


class Psycopg2Connection(Protocol):
    """What tells a psycopg2 connection from another's to a checker, also where psycopg2 has no stubs."""

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

    A lobject needs psycopg2's own transaction: within an explicit ``BEGIN`` under autocommit, and under a wait
    callback (gevent), the descriptor is driven by SQL instead.
    """

    def __init__(self, connection: Psycopg2Connection) -> None:
        self._connection = cast("ext.connection", connection)

    @override
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with lock_of(self._connection), self._connection.cursor(cursor_factory=ext.cursor) as cursor:
            cursor.execute(query, params)
            return cursor.fetchall() if cursor.description else []

    @override
    def execute_streaming(self, query: LiteralString, params: Sequence[object], sink: Sink) -> int:
        if ext.get_wait_callback() is not None:  # which COPY does without
            return super().execute_streaming(query, params, sink)
        rows = CopiedRows(sink)
        with lock_of(self._connection), self._connection.cursor(cursor_factory=ext.cursor) as cursor:
            copy = b"copy (" + cursor.mogrify(query, params) + b") to stdout (format binary)"
            try:
                cursor.copy_expert(copy, rows)
            except psycopg2.DatabaseError as error:
                if error.pgcode is None and self._connection.closed:
                    # Of which psycopg2 has no more to say than that it is in a COPY.
                    message = "the connection was lost while the server sent a large object"
                    raise psycopg2.OperationalError(message) from error
                raise
        return rows.count

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return error.pgcode if isinstance(error, psycopg2.Error) else None

    @property
    @override
    def in_transaction(self) -> bool:
        status = self._connection.info.transaction_status
        # ACTIVE is a query of another thread, in a transaction or not: the server will tell.
        return status in _IN_TRANSACTION

    @property
    @override
    def autocommit(self) -> bool:
        return self._connection.autocommit

    @override
    def open(self, oid: int, mode: AccessMode) -> SQLLargeObject:
        _release_kept()
        if self.autocommit or ext.get_wait_callback() is not None:
            return super().open(oid, mode)
        # psycopg2 tells neither the number of a lobject's descriptor nor SQLSTATEs: a guarded open by SQL finds
        # both out, and leaves the number free for the lobject to take.
        with lock_of(self._connection):
            return self._open_native(oid, mode)

    def _open_native(self, oid: int, mode: AccessMode) -> "Psycopg2LargeObject":
        descriptor = self.open_descriptor(oid, mode, keep=False)
        # Permission has been checked: only "large object {oid} does not exist", in any language, has the oid in it.
        with _conflicts(oid, str(oid)):
            native = self._connection.lobject(oid, "rwb" if AccessMode.WRITE & mode else "rb")
        return Psycopg2LargeObject(self, self._connection, native, mode, descriptor)


class Psycopg2LargeObject(SQLLargeObject):
    """A native lobject; positions, truncation and the guard are SQL on its descriptor."""

    def __init__(
        self,
        driver: Psycopg2Driver,
        connection: ext.connection,
        native: "ext.lobject[bytes]",
        mode: AccessMode,
        descriptor: tuple[int, str],
    ) -> None:
        super().__init__(driver, native.oid, mode, descriptor)
        self._connection = connection
        self._native = native

    # Bound here: module globals may be gone when the interpreter shuts down.
    def __del__(self, _keep: "list[tuple[ext.connection, ext.lobject[bytes]]]" = _kept) -> None:
        if not self._closed:
            _keep.append((self._connection, self._native))

    @override
    def _write_batch(self, batch: Sequence[memoryview | bytes]) -> None:
        size = sum(map(len, batch))
        if not size:
            return
        with lock_of(self._connection):
            if self.tell() + size > MAX_SIZE:
                raise self._statements.too_large(size)
            with _conflicts(self.oid):
                for block in batch:
                    self._native.write(bytes(block))

    @override
    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        released = False
        try:
            with lock_of(self._connection):
                if self._connection.info.transaction_status == ext.TRANSACTION_STATUS_INTRANS and self._guard_holds():
                    self._native.close()
                    released = True
        finally:
            if not released:
                _kept.append((self._connection, self._native))

    def _guard_holds(self) -> bool:
        return bool(self._driver.run(f"select 1 {GUARD}", self._guard, oid=self.oid))


def lock_of(connection: ext.connection) -> threading.RLock:
    """Return the lock that keeps threads on one connection apart.

    A native call and the guard before it are two steps, and psycopg2 does not lock COPY.
    """
    with _locks_lock:
        return _locks.setdefault(connection, threading.RLock())


def _release_kept() -> None:
    for pair in _kept.copy():
        connection, native = pair
        if connection.closed == _BROKEN:
            connection.close()  # or the lobject would print an error when it is collected
        if _is_over(native):
            _kept.remove(pair)  # not a new list: the collector may append meanwhile


def _is_over(native: "ext.lobject[bytes]") -> bool:
    """Tell, without a query, whether psycopg2 knows the lobject's transaction to be over: it then closes nothing."""
    try:
        native.write(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # refused in any case
    except TypeError:
        return False  # no bytes, but a valid lobject
    except psycopg2.Error:
        return True
    return False


@contextlib.contextmanager
def _conflicts(oid: int, *texts: str) -> Generator[None]:
    """Recognise a concurrent writer: native calls carry no SQLSTATE, but these texts the server never translates."""
    try:
        yield
    except psycopg2.Error as error:
        if any(text in str(error) for text in texts or _CONFLICTS_OF_A_WRITE):
            message = f"another session wrote large object {oid} at the same time; try again"
            raise LargeObjectConflict(message, oid=oid) from error
        raise


class CopiedRows:
    """What COPY is to write to, in binary: hands the one field of each row to a sink.

    Each write is one row, the first with the format's header before it, and the last with its trailer alone:
    https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._is_first = True
        self.count: int = 0

    def write(self, data: bytes) -> int:
        """Take a message."""
        row = memoryview(data)
        if self._is_first:
            self._is_first = False
            (extension,) = _LENGTH.unpack_from(row, _COPY_HEADER)
            row = row[_COPY_HEADER + _LENGTH.size + extension :]
        if len(row) > _FIELDS.size:
            self.count += 1
            self._sink(row[_FIELDS.size + _LENGTH.size :])
        return len(data)


if TYPE_CHECKING:
    _: type[LargeObjectDriver] = Psycopg2Driver
