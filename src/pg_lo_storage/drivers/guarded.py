"""The statements on a guarded descriptor, which find out in themselves that it is stale."""

import io
from collections.abc import Callable
from typing import Final, LiteralString, TypeVar

from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.drivers.queries import Rows, Statement
from pg_lo_storage.drivers.values import as_bytes, check_block, check_offset, integer
from pg_lo_storage.exceptions import LargeObjectTooLarge, StaleLargeObject

__all__ = ["BATCH", "GUARD", "IN_FAILED_TRANSACTION", "GuardedDescriptor", "rows_of_batch"]

T = TypeVar("T")

BATCH: Final = 2 * 1024 * 1024
"""Bytes fetched by one statement in :meth:`LargeObject.chunks`: what memory an iteration takes."""

# The most rows one statement asks for when blocks are tiny.
_MOST_ROWS: Final = 4096

# A setting that is local to the transaction lives exactly as long as a descriptor opened beside it: it is gone
# at commit, rollback and ROLLBACK TO, and stays at RELEASE. Each use of the descriptor asks for its token.
GUARD: Final = "where current_setting(%s::text, true) = %s::text"

IN_FAILED_TRANSACTION: Final = "25P02"
"""SQLSTATE of any statement in a transaction that has failed: its descriptors are gone with it."""


def rows_of_batch(size: int) -> int:
    """Return how many blocks of ``size`` bytes one statement fetches."""
    return max(1, min(BATCH // check_block(size), _MOST_ROWS)) if size else 1


class GuardedDescriptor:
    """A descriptor's number and token, and the statements that use them."""

    def __init__(self, oid: int, fd: int, token: str) -> None:
        self.oid: int = oid
        self.fd: int = fd
        self.guard: tuple[str, str] = (f"pg_lo_storage.fd{fd}", token)

    def read(self, size: int, count: int) -> Statement[list[bytes]]:
        """Read ``count`` blocks; those at the end are shorter, or empty."""
        query: LiteralString = "select loread(%s::int4, %s::int4) from generate_series(1, %s::int4) " + GUARD  # noqa: S608
        params = (self.fd, check_block(size), count)
        return self.guarded(query, params, lambda rows: [as_bytes(row[0]) for row in rows])

    def write(self, block: memoryview) -> Statement[None]:
        """Write at the position."""
        query: LiteralString = (
            f"select case when lo_tell64(%s::int4) <= %s::int8 then lowrite(%s::int4, %s::bytea) end {GUARD}"
        )

        def result(rows: Rows) -> None:
            if rows[0][0] is None:
                raise self.too_large(len(block))

        return self.guarded(query, (self.fd, MAX_SIZE - len(block), self.fd, block), result, writing=True)

    def seek(self, offset: int, whence: int) -> Statement[int]:
        """Move, to where the server must not find out of range; the result is the new position."""
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
