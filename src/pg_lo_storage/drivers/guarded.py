"""The statements on a guarded descriptor; each of them also finds out whether the descriptor is stale."""

import io
from collections.abc import Callable
from typing import Final, LiteralString, TypeVar, cast

from pg_lo_storage.drivers.base import MAX_SIZE, AccessMode
from pg_lo_storage.drivers.queries import SETTINGS, Rows, Statement
from pg_lo_storage.drivers.values import BATCH, BLOCK, as_bytes, check_block, check_offset, integer
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectTooLarge, StaleLargeObject

__all__ = ["GUARD", "IN_FAILED_TRANSACTION", "IS_OPEN", "GuardedDescriptor", "rows_of_batch"]

T = TypeVar("T")

# The most rows one statement asks for when blocks are tiny.
_MOST_ROWS: Final = 4096

# A setting that is local to the transaction lives exactly as long as a descriptor opened beside it: it is gone
# at commit, rollback and ROLLBACK TO, and stays at RELEASE. Each use of the descriptor asks for its token.
IS_OPEN: Final = "strpos(current_setting(%s::text, true), %s::text) > 0"
GUARD: Final = "where " + IS_OPEN

_READ: Final = "select loread(%s::int4, %s::int4) from generate_series(1, %s::int4) " + GUARD  # noqa: S608 -- of constants

IN_FAILED_TRANSACTION: Final = "25P02"
"""SQLSTATE of any statement in a failed transaction, whose descriptors are gone."""


def rows_of_batch(size: int) -> int:
    """Return how many blocks of ``size`` bytes one statement fetches."""
    return max(1, min(BATCH // check_block(size), _MOST_ROWS)) if size else 1


class GuardedDescriptor:
    """A descriptor's number and token, and the statements that use them."""

    def __init__(self, oid: int, fd: int, token: str) -> None:
        self.oid: int = oid
        self.fd: int = fd
        self.guard: tuple[str, str] = (f"pg_lo_storage.fd{fd % SETTINGS}", token)

    def read(self, size: int, count: int) -> Statement[list[bytes]]:
        """Read ``count`` blocks; those at the end are shorter, or empty."""
        params = (self.fd, check_block(size), count)
        return self.guarded(_READ, params, lambda rows: [as_bytes(row[0]) for row in rows])

    def read_rows(self, size: int, count: int) -> Statement[int]:
        """Read ``count`` blocks, each in a row; the result is the number of rows."""
        return self.guarded(_READ, (self.fd, check_block(size), count), integer)

    def stream(self, size: int) -> Statement[int]:
        """Read ``size`` bytes in rows of BLOCK bytes and an empty last row; the result is the number of rows."""
        query: LiteralString = (
            "select loread(fd, least(block, till - start - (i * block))::int4)"  # noqa: S608 -- of constants
            " from (select fd, block, lo_lseek64(fd, start, 0) as start,"
            " greatest(start, least(start + size, till)) as till"
            " from (select fd, block, size, lo_tell64(fd) as start, lo_lseek64(fd, 0, 2) as till"
            f" from (select %s::int4 as fd, %s::int8 as block, %s::int8 as size {GUARD} offset 0) as asked offset 0)"
            " as measured offset 0) as placed,"
            " lateral generate_series(0, (till - start + block - 1) / block) as i"
        )
        return self.guarded(query, (self.fd, BLOCK, min(size, MAX_SIZE)), integer)

    def write(self, block: memoryview | bytes, more: int = 0) -> Statement[None]:
        """Write at the position, if ``more`` bytes have room after the block."""
        query: LiteralString = (
            f"select case when lo_tell64(%s::int4) <= %s::int8 then lowrite(%s::int4, %s::bytea) end {GUARD}"
        )

        size = len(block) + more  # of the block nothing else is to be kept

        def result(rows: Rows) -> None:
            if rows[0][0] is None:
                raise self.too_large(size)

        params = (self.fd, MAX_SIZE - size, self.fd, memoryview(block))
        return self.guarded(query, params, result, writing=True)

    def pass_over(self, size: int) -> Statement[int]:
        """Move past ``size`` bytes, which another descriptor will write; the result is where they begin."""
        query: LiteralString = (
            "select case when lo_tell64(%s::int4) <= %s::int8 then lo_lseek64(%s::int4, %s::int8, 1) end,"  # noqa: S608 -- of constants
            " (select lo_close(lo_open(oid, %s::int4)) from pg_largeobject_metadata where oid = %s::oid) " + GUARD
        )

        def result(rows: Rows) -> int:
            end, is_there = cast("tuple[int | None, int | None]", rows[0])
            if end is None:
                raise self.too_large(size)
            if is_there is None:
                message = f"another session unlinked large object {self.oid} at the same time; try again"
                raise LargeObjectConflict(message, oid=self.oid)
            return end - size

        params = (self.fd, MAX_SIZE - size, self.fd, size, int(AccessMode.WRITE), self.oid)
        return self.guarded(query, params, result, writing=True)

    def seek(self, offset: int, whence: int) -> Statement[int]:
        """Move to a position that must be in range; the result is the new position."""
        query: LiteralString = f"select lo_lseek64(%s::int4, %s::int8, %s::int4) {GUARD}"
        return self.guarded(query, (self.fd, offset, whence), integer)

    def tell(self) -> Statement[int]:
        """Ask for the position."""
        query: LiteralString = f"select lo_tell64(%s::int4) {GUARD}"
        return self.guarded(query, (self.fd,), integer)

    def truncate(self, size: int) -> Statement[int]:
        """Cut or extend."""
        query: LiteralString = f"select lo_truncate64(%s::int4, %s::int8) {GUARD}"
        return self.guarded(query, (self.fd, check_offset(size, self.oid)), integer, writing=True)

    def close(self) -> Statement[bool]:
        """Close it; the result is False where it is stale."""
        query: LiteralString = f"select lo_close(%s::int4) {GUARD}"
        return Statement(query, (self.fd, *self.guard), bool, self.oid, descriptor=True)

    def guarded(
        self, query: LiteralString, params: tuple[object, ...], result: Callable[[Rows], T], *, writing: bool = False
    ) -> Statement[T]:
        """Complete a query that ends in :data:`GUARD`: no row means stale."""

        def checked(rows: Rows) -> T:
            if not rows:
                raise self.stale()
            return result(rows)

        return Statement(query, (*params, *self.guard), checked, self.oid, writing=writing, descriptor=True)

    def stale(self) -> StaleLargeObject:
        """Return the error of a descriptor that is closed or whose transaction is over."""
        message = (
            f"large object {self.oid} was closed, or opened in a transaction or savepoint that is over:"
            " open it again in this one"
        )
        return StaleLargeObject(message, oid=self.oid)

    def too_large(self, size: int) -> LargeObjectTooLarge:
        """Return the error of a write past the limit."""
        message = f"{size} bytes more exceed what large object {self.oid} can hold, {MAX_SIZE} bytes"
        return LargeObjectTooLarge(message, oid=self.oid)

    def not_writable(self) -> io.UnsupportedOperation:
        """Return the error of writing to what is open for reading."""
        return io.UnsupportedOperation(f"large object {self.oid} is not open for writing")
