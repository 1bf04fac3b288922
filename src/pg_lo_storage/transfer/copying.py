"""The statement that copies a part of a large object within the server."""

from typing import Final, LiteralString, cast

from pg_lo_storage.drivers.guarded import IS_OPEN, GuardedDescriptor
from pg_lo_storage.drivers.queries import Rows, Statement

__all__ = ["STEP", "copy_step"]

# Bytes that the server has in memory at a time, and leaves out if they are all zeros; the query states them as well.
_BLOCK: Final = 65536
_BLOCKS: Final = 256

STEP: Final = _BLOCK * _BLOCKS
"""Bytes copied by one statement: few round trips, and a cancellation or timeout still gets in."""


def copy_step(source: GuardedDescriptor, target: GuardedDescriptor) -> Statement[int]:
    """Copy :data:`STEP` bytes from position to position; the result is how many there were.

    A block of zeros is skipped in the target, so that the holes of a sparse object stay holes. If it is the last block,
    the caller has to extend the target.
    """
    # "having": a stale descriptor reads nothing, which must not be taken for the end.
    query: LiteralString = (
        "select coalesce(sum(length(data)), 0)::int8, count(case when data ="  # noqa: S608 -- of constants
        " (case when length(data) = 65536 then decode(repeat('00', 65536), 'hex')"  # a constant to the planner
        " else decode(repeat('00', length(data)), 'hex') end)"
        " then lo_lseek64(%s::int4, length(data), 1) else lowrite(%s::int4, data) end)"
        " from (select loread(%s::int4, 65536) as data from generate_series(1, %s::int4)"
        f" where {IS_OPEN} and {IS_OPEN}) as blocks having {IS_OPEN} and {IS_OPEN}"
    )
    both = (*source.guard, *target.guard)

    def result(rows: Rows) -> int:
        if not rows:
            raise source.stale()
        return cast("int", rows[0][0])

    params = (target.fd, target.fd, source.fd, _BLOCKS, *both, *both)
    return Statement(query, params, result, source.oid, writing=True, descriptor=True)
