"""A driver on the server's SQL functions, for any connection that can run a statement.

Functions: https://www.postgresql.org/docs/current/lo-funcs.html. Each statement joins
``pg_largeobject_metadata``, readable by every role, so that a missing object gives no row where the function
alone would raise and abort the transaction.
"""

import abc
import io
import operator
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, LiteralString, cast

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_BLOCK, MAX_SIZE, AccessMode
from pg_lo_storage.drivers.errors import translate
from pg_lo_storage.exceptions import (
    LargeObjectExists,
    LargeObjectNotFound,
    LargeObjectTooLarge,
    NoTransactionError,
    StaleLargeObject,
)
from pg_lo_storage.names import MAX_OID

__all__ = ["BATCH", "BLOCK", "GUARD", "SQLDriver", "SQLLargeObject", "byte_view", "check_mode", "check_offset"]

BLOCK: Final = 256 * 1024
"""Bytes a row when an object is read in bulk: larger blocks gain nothing, smaller ones cost the server calls."""

BATCH: Final = 2 * 1024 * 1024
"""Bytes fetched by one statement in :meth:`LargeObject.chunks`: what memory an iteration takes."""

# What the server can also send as text, two characters a byte, in its 1 GB.
_LARGEST_BLOCK: Final = 1 << 28

# The most rows one statement asks for when blocks are tiny.
_MOST_ROWS: Final = 4096

# A setting that is local to the transaction lives exactly as long as a descriptor opened beside it: it is gone
# at commit, rollback and ROLLBACK TO, and stays at RELEASE. Each use of the descriptor asks for its token.
GUARD: Final = "where current_setting(%s::text, true) = %s::text"


IN_FAILED_TRANSACTION: Final = "25P02"
"""Where the transaction has failed already, its descriptors are gone with it."""


def guard_name(fd: int) -> str:
    """Return the setting that says whose descriptor ``fd`` is."""
    return f"pg_lo_storage.fd{fd}"


def check_oid(oid: int) -> int:
    """Return ``oid`` where an object can have it; raises LargeObjectNotFound, before the server would abort."""
    oid = operator.index(oid)
    if not 0 < oid <= MAX_OID:
        message = f"no large object has oid {oid}: it is between 1 and {MAX_OID}"
        raise LargeObjectNotFound(message, oid=None)
    return oid


def check_mode(mode: AccessMode) -> AccessMode:
    """Return ``mode`` where it is one of the three; raises ValueError."""
    if mode not in {AccessMode.READ, AccessMode.WRITE, AccessMode.READ_WRITE}:
        message = f"a descriptor is opened for READ, WRITE or READ_WRITE, not {mode!r}"
        raise ValueError(message)
    return mode


def check_offset(offset: int, oid: int) -> int:
    """Return ``offset`` where an object can reach it; raises ValueError or LargeObjectTooLarge."""
    offset = operator.index(offset)
    if offset < 0:
        message = f"negative position {offset}"
        raise ValueError(message)
    if offset > MAX_SIZE:
        message = f"position {offset} is beyond what large object {oid} can hold, {MAX_SIZE} bytes"
        raise LargeObjectTooLarge(message, oid=oid)
    return offset


class SQLDriver(abc.ABC):
    """All of :class:`LargeObjectDriver`, given a way to run SQL.

    A subclass says how to run a statement, what the transaction's state is, and where its exceptions keep
    the SQLSTATE. Parameters are ``int``, ``str`` and ``memoryview`` (bytea); a row is a tuple of the same, bytea as
    any buffer. ``in_transaction`` is ``False`` on a connection that is closed or lost.
    """

    @abc.abstractmethod
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement with ``%s`` placeholders, all its rows as the result; exceptions untranslated."""

    @abc.abstractmethod
    def sqlstate(self, error: Exception) -> str | None:
        """Return the SQLSTATE that ``error`` carries, ``None`` where it is no error of the server."""

    @property
    @abc.abstractmethod
    def in_transaction(self) -> bool:
        """Whether the server is in a transaction now."""

    @property
    @abc.abstractmethod
    def autocommit(self) -> bool:
        """Whether the connection leaves it to the user to begin a transaction."""

    @property
    def sql(self) -> "SQLDriver":
        """The driver itself: see :meth:`execute`."""
        return self

    def run(
        self,
        query: LiteralString,
        params: Sequence[object],
        *,
        oid: int | None,
        writing: bool = False,
        descriptor: bool = False,
    ) -> list[tuple[object, ...]]:
        """Run a large-object statement; raises the package's errors, with the driver's as the cause."""
        try:
            return self.execute(query, params)
        except Exception as error:
            translated = translate(self.sqlstate(error), oid, writing=writing, descriptor=descriptor)
            if translated is not None:
                raise translated from error
            raise

    def create(self, oid: int = 0) -> int:
        """See :meth:`LargeObjectDriver.create`."""
        if not oid:
            return _integer(self.run("select lo_create(0)", (), oid=None))
        rows = self.run(
            "select lo_create(%s::oid) where not exists (select from pg_largeobject_metadata where oid = %s::oid)",
            (check_oid(oid), oid),
            oid=oid,
            writing=True,
        )
        if not rows:
            message = f"large object {oid} exists already"
            raise LargeObjectExists(message, oid=oid)
        return _integer(rows)

    def from_bytes(self, data: Buffer) -> int:
        """See :meth:`LargeObjectDriver.from_bytes`."""
        return _integer(self.run("select lo_from_bytea(0, %s::bytea)", (byte_view(data),), oid=None, writing=True))

    def unlink(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.unlink`."""
        if not 0 < operator.index(oid) <= MAX_OID:
            return False
        # lo_unlink closes the session's own descriptors of the object: their guards are to say so.
        query: LiteralString = (
            "select lo_unlink(oid), (select count(set_config('pg_lo_storage.fd' || fd, '', true))"
            " from string_to_table(current_setting('pg_lo_storage.of' || oid, true), ' ') as fd"
            " where current_setting('pg_lo_storage.fd' || fd, true) like '%%-' || oid)"
            " from pg_largeobject_metadata where oid = %s::oid"
        )
        return bool(self.run(query, (oid,), oid=oid, writing=True))

    def exists(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.exists`."""
        if not 0 < operator.index(oid) <= MAX_OID:
            return False
        return bool(self.run("select 1 from pg_largeobject_metadata where oid = %s::oid", (oid,), oid=oid))

    def size(self, oid: int) -> int:
        """See :meth:`LargeObjectDriver.size`."""
        query: LiteralString = (
            "select lo_lseek64(fd, 0, 2), lo_close(fd) from"
            " (select lo_open(oid, 262144) as fd from pg_largeobject_metadata where oid = %s::oid offset 0) as opened"
        )
        return _integer(self._found(self.run(query, (check_oid(oid),), oid=oid), oid))

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`LargeObjectDriver.get`."""
        query: LiteralString = "select lo_get(oid, %s::int8, %s::int4) from pg_largeobject_metadata where oid = %s::oid"
        params = (check_offset(offset, oid), _block_size(size), check_oid(oid))
        return as_bytes(self._found(self.run(query, params, oid=oid), oid)[0][0])

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        view = byte_view(data)
        check_offset(offset + len(view), oid)
        query: LiteralString = (
            "select lo_put(oid, %s::int8, %s::bytea) from pg_largeobject_metadata where oid = %s::oid"
        )
        params = (check_offset(offset, oid), view, check_oid(oid))
        self._found(self.run(query, params, oid=oid, writing=True), oid)

    def open(self, oid: int, mode: AccessMode) -> "SQLLargeObject":
        """See :meth:`LargeObjectDriver.open`."""
        return SQLLargeObject(self, oid, mode, self.open_descriptor(oid, mode, keep=True))

    def open_descriptor(self, oid: int, mode: AccessMode, *, keep: bool) -> tuple[int, str]:
        """Open a guarded descriptor and return its number and token; ``keep=False`` closes it again.

        Closed again, its number is the lowest free one, which the next open in this session is given.
        """
        check_oid(oid)
        check_mode(mode)
        if self.autocommit and not self.in_transaction:
            message = (
                f"large object {oid} is opened outside a transaction: turn autocommit off, or begin a transaction"
                " (in Django, wrap the code in transaction.atomic())"
            )
            raise NoTransactionError(message, oid=oid)
        token = f"{secrets.token_hex(8)}-{oid}"
        query: LiteralString = (
            "select fd, set_config('pg_lo_storage.fd' || fd, %s::text, true), set_config('pg_lo_storage.of' || oid,"
            " concat_ws(' ', nullif(current_setting('pg_lo_storage.of' || oid, true), ''), fd), true),"
            " case when %s::int4 = 0 then lo_close(fd) end from"
            " (select oid, lo_open(oid, %s::int4) as fd from pg_largeobject_metadata where oid = %s::oid offset 0)"
            " as opened"
        )
        rows = self.run(query, (token, int(keep), int(mode), oid), oid=oid)
        return _integer(self._found(rows, oid)), token

    def _found(self, rows: list[tuple[object, ...]], oid: int) -> list[tuple[object, ...]]:
        if not rows:
            message = f"large object {oid} does not exist"
            raise LargeObjectNotFound(message, oid=oid)
        return rows


class SQLLargeObject:
    """A descriptor of the current transaction, driven by SQL; see :class:`LargeObject`."""

    def __init__(self, driver: SQLDriver, oid: int, mode: AccessMode, descriptor: tuple[int, str]) -> None:
        self._driver = driver
        self._oid = oid
        self._writable = bool(AccessMode.WRITE & mode)
        fd, token = descriptor
        self.fd: int = fd
        self._guard = (guard_name(self.fd), token)
        self._closed = False

    @property
    def oid(self) -> int:
        """The object's oid."""
        return self._oid

    def read(self, size: int) -> bytes:
        """See :meth:`LargeObject.read`."""
        if size <= MAX_BLOCK:
            return next(self._blocks(_block_size(size), 1), b"")
        whole, rest = divmod(size, BLOCK)
        parts = list(self.chunks(BLOCK, whole))
        if len(parts) == whole and len(parts[-1]) == BLOCK:
            parts.append(self.read(rest))
        return b"".join(parts)

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        """See :meth:`LargeObject.chunks`."""
        batch = max(1, min(BATCH // _block_size(size), _MOST_ROWS)) if size else 1
        done = 0
        while count is None or done < count:
            rows = batch if count is None else min(batch, count - done)
            for block in self._blocks(size, rows):
                if block:
                    yield block
                if len(block) < size or not size:
                    return
            done += rows

    def write(self, data: Buffer) -> int:
        """See :meth:`LargeObject.write`."""
        self._check_writable()
        view = byte_view(data)
        if not view:
            self.tell()  # nothing to send, but a stale descriptor must not go unnoticed
        for start in range(0, len(view), MAX_BLOCK):
            self._write_block(view[start : start + MAX_BLOCK])
        return len(view)

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        """See :meth:`LargeObject.write_all`."""
        return sum(map(self.write, blocks))

    def seek(self, offset: int, whence: int = 0) -> int:
        """See :meth:`LargeObject.seek`."""
        if whence not in {0, 1, 2}:
            message = f"whence value {whence} unsupported"
            raise ValueError(message)
        offset = operator.index(offset)
        if whence == 0:
            return self._seek(check_offset(offset, self._oid), 0)
        if not offset:
            return self._seek(0, whence)
        # Where it would end is found out first: out of range, the server would abort the transaction.
        position = self.tell()
        base = position if whence == 1 else self._seek(0, 2)
        try:
            target = check_offset(base + offset, self._oid)
        except (ValueError, LargeObjectTooLarge):
            self._seek(position, 0)
            raise
        return self._seek(target, 0)

    def _seek(self, offset: int, whence: int) -> int:
        query: LiteralString = f"select lo_lseek64(%s::int4, %s::int8, %s::int4) {GUARD}"
        return _integer(self._run(query, self.fd, offset, whence))

    def tell(self) -> int:
        """See :meth:`LargeObject.tell`."""
        query: LiteralString = f"select lo_tell64(%s::int4) {GUARD}"
        return _integer(self._run(query, self.fd))

    def truncate(self, size: int) -> None:
        """See :meth:`LargeObject.truncate`."""
        query: LiteralString = f"select lo_truncate64(%s::int4, %s::int8) {GUARD}"
        self._check_writable()
        self._run(query, self.fd, check_offset(size, self._oid), writing=True)

    def close(self) -> None:
        """See :meth:`LargeObject.close`."""
        if self._closed:
            return
        self._closed = True
        if self._driver.in_transaction:
            self._close_descriptor()

    def _close_descriptor(self) -> None:
        try:
            self._driver.run(
                f"select lo_close(%s::int4) {GUARD}", (self.fd, *self._guard), oid=self._oid, descriptor=True
            )
        except Exception as error:
            if self._driver.sqlstate(error) != IN_FAILED_TRANSACTION:
                raise

    def _blocks(self, size: int, count: int) -> Iterator[bytes]:
        query: LiteralString = "select loread(%s::int4, %s::int4) from generate_series(1, %s::int4) " + GUARD  # noqa: S608
        return (as_bytes(row[0]) for row in self._run(query, self.fd, size, count))

    def _write_block(self, block: memoryview) -> None:
        query: LiteralString = (
            f"select case when lo_tell64(%s::int4) <= %s::int8 then lowrite(%s::int4, %s::bytea) end {GUARD}"
        )
        if self._run(query, self.fd, MAX_SIZE - len(block), self.fd, block, writing=True)[0][0] is None:
            raise self._too_large(len(block))

    def _check_writable(self) -> None:
        if not self._writable:
            self.tell()  # stale comes first
            message = f"large object {self._oid} is not open for writing"
            raise io.UnsupportedOperation(message)

    def _too_large(self, size: int) -> LargeObjectTooLarge:
        message = f"{size} bytes more exceed what large object {self._oid} can hold, {MAX_SIZE} bytes"
        return LargeObjectTooLarge(message, oid=self._oid)

    def _run(self, query: LiteralString, *params: object, writing: bool = False) -> list[tuple[object, ...]]:
        self.check_usable()
        rows = self._driver.run(query, (*params, *self._guard), oid=self._oid, writing=writing, descriptor=True)
        if not rows:
            raise self.stale()
        return rows

    def check_usable(self) -> None:
        """Raise StaleLargeObject where it shows without asking the server."""
        if self._closed or not self._driver.in_transaction:
            raise self.stale()

    def stale(self) -> StaleLargeObject:
        """Return the error of a descriptor that is closed or whose transaction is over."""
        message = (
            f"large object {self._oid} was closed, or opened in a transaction or savepoint that is over:"
            " open it again in this one"
        )
        return StaleLargeObject(message, oid=self._oid)


def byte_view(data: Buffer) -> memoryview:
    """Return ``data`` as a flat view of its bytes; raises TypeError for str, BufferError where it has gaps."""
    view = memoryview(data)
    if not view.c_contiguous:
        message = "memoryview: underlying buffer is not C-contiguous"
        raise BufferError(message)
    return view.cast("B") if view.nbytes else memoryview(b"")


def as_bytes(value: object) -> bytes:
    """Return a bytea value as bytes, whatever the driver made of it."""
    return value if isinstance(value, bytes) else bytes(cast("Buffer", value))


def _integer(rows: list[tuple[object, ...]]) -> int:
    return cast("int", rows[0][0])


def _block_size(size: int) -> int:
    size = operator.index(size)
    if not 0 <= size <= _LARGEST_BLOCK:
        message = f"a block is between 0 and {_LARGEST_BLOCK} bytes, not {size}"
        raise ValueError(message)
    return size
