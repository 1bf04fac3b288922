"""A descriptor of the current transaction, driven by the server's SQL functions."""

import io
import operator
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, LiteralString

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_BLOCK, MAX_SIZE, AccessMode
from pg_lo_storage.drivers.values import BLOCK, as_bytes, byte_view, check_block, check_offset, integer
from pg_lo_storage.exceptions import LargeObjectTooLarge, StaleLargeObject

if TYPE_CHECKING:
    from pg_lo_storage.drivers.sql import SQLDriver

__all__ = ["BATCH", "GUARD", "SQLLargeObject"]

BATCH: Final = 2 * 1024 * 1024
"""Bytes fetched by one statement in :meth:`LargeObject.chunks`: what memory an iteration takes."""

# The most rows one statement asks for when blocks are tiny.
_MOST_ROWS: Final = 4096

# A setting that is local to the transaction lives exactly as long as a descriptor opened beside it: it is gone
# at commit, rollback and ROLLBACK TO, and stays at RELEASE. Each use of the descriptor asks for its token.
GUARD: Final = "where current_setting(%s::text, true) = %s::text"

# Where the transaction has failed already, its descriptors are gone with it.
_IN_FAILED_TRANSACTION: Final = "25P02"


class SQLLargeObject:
    """A descriptor of the current transaction, driven by SQL; see :class:`LargeObject`."""

    def __init__(self, driver: "SQLDriver", oid: int, mode: AccessMode, descriptor: tuple[int, str]) -> None:
        self._driver = driver
        self._oid = oid
        self._writable = bool(AccessMode.WRITE & mode)
        fd, token = descriptor
        self.fd: int = fd
        self._guard = (f"pg_lo_storage.fd{self.fd}", token)
        self._closed = False

    @property
    def oid(self) -> int:
        """The object's oid."""
        return self._oid

    def read(self, size: int) -> bytes:
        """See :meth:`LargeObject.read`."""
        if size <= MAX_BLOCK:
            return next(self._blocks(check_block(size), 1), b"")
        whole, rest = divmod(size, BLOCK)
        parts = list(self.chunks(BLOCK, whole))
        if len(parts) == whole and len(parts[-1]) == BLOCK:
            parts.append(self.read(rest))
        return b"".join(parts)

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        """See :meth:`LargeObject.chunks`."""
        batch = max(1, min(BATCH // check_block(size), _MOST_ROWS)) if size else 1
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
        return integer(self._run(query, self.fd, offset, whence))

    def tell(self) -> int:
        """See :meth:`LargeObject.tell`."""
        query: LiteralString = f"select lo_tell64(%s::int4) {GUARD}"
        return integer(self._run(query, self.fd))

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
            if self._driver.sqlstate(error) != _IN_FAILED_TRANSACTION:
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
