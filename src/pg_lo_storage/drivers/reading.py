"""Statements that find an object and read it in one: its start, or a part of it in rows.

A ``from`` and a ``where`` clause say which object that is; ``m`` is its row of ``pg_largeobject_metadata``. The clauses
may come from elsewhere, such as :mod:`pg_lo_storage.catalogue`. Only this file knows the order of parameters.
"""

from collections.abc import Callable
from typing import Final, LiteralString, TypeAlias, TypeVar, cast

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.drivers.queries import WARM_UP, Rows, Statement, found
from pg_lo_storage.drivers.values import BLOCK, as_bytes, check_block, check_offset, check_oid, integer

__all__ = ["Start", "get_blocks", "get_start", "stream", "streamed"]

T = TypeVar("T")

Start: TypeAlias = tuple[int, bytes, tuple[object, ...]]
"""An object's size, its content or the start of that, and the values of further columns."""

_OBJECT: Final = " from pg_largeobject_metadata as m"
_OF_OID: Final = " where m.oid = %s::oid"

# All of an object, or the start of a larger one; parameters: the largest size read whole, the bytes of a start.
_START: Final = "lo_get(m.oid, 0, case when measured.size <= %s::int8 then measured.size else %s::int8 end::int4)"
# Measures an object, and warms the backend up for a large one; parameters: the largest small size, WARM_UP.
_MEASURED: Final = (
    " lateral (select lo_lseek64(fd, 0, 2) as size,"
    " case when lo_lseek64(fd, 0, 2) > %s::int8 then loread(fd, %s::int4) end as warm, lo_close(fd) as closed"
    " from (select lo_open(m.oid, 262144) as fd offset 0) as opened offset 0) as measured"
)


def get_start(
    oid: int,
    whole: int,
    start: int,
    more: LiteralString,
    *,
    params: tuple[object, ...],
    columns: tuple[type[int | str], ...],
) -> Statement[Start]:
    """Measure an object and read all of it, if it has at most ``whole`` bytes, or else its first ``start`` bytes.

    ``params`` are for ``more``, which has such ``columns``; ``oid`` must be valid.
    """

    def result(rows: Rows) -> Start:
        size, data, *others = rows[0]
        return cast("int", size), bytes(cast("Buffer", data)), tuple(others)

    query: LiteralString = "select measured.size, " + _START + ", " + more + _OBJECT + "," + _MEASURED + _OF_OID
    values = (whole, start, *params, BLOCK, WARM_UP, oid)
    return Statement(query, values, found(oid, result), oid, columns=(int, bytes, *columns))


def streamed(
    from_: LiteralString,
    where: LiteralString,
    params: tuple[object, ...],
    result: Callable[[Rows], T],
    *,
    oid: int,
    offset: int,
    size: int,
    block: int,
) -> Statement[T]:
    """Read a part of an object in rows of ``block`` bytes, and an empty last row; ``params`` are for ``where``."""
    query: LiteralString = (
        "select case when i < blocks then loread(fd, least(block, till - start - (i * block))::int4)"  # noqa: S608 -- of constants
        " when lo_close(fd) = 0 then ''::bytea end"
        " from (select fd, block, start, till, (till - start + block - 1) / block as blocks"
        " from (select fd, block, lo_lseek64(fd, least(first, bytes), 0) as start, least(last, bytes) as till"
        + from_
        + ", lateral"
        " (select fd, lo_lseek64(fd, 0, 2) as bytes, loread(fd, %s::int4) as warm"
        " from (select lo_open(m.oid, 262144) as fd offset 0) as opened offset 0) as sized,"
        " (select %s::int8 as block, %s::int8 as first, %s::int8 as last) as asked"
        + where
        + " offset 0) as placed offset 0) as counted, lateral generate_series(0, blocks) as i"
    )
    values = (WARM_UP, check_block(block) or BLOCK, offset, min(offset + size, MAX_SIZE), *params)
    return Statement(query, values, result, oid)


def stream(oid: int, offset: int, size: int, block: int) -> Statement[int]:
    """Read as :func:`get_blocks` does, for rows that go to a sink; the result is their number."""
    return _streamed(oid, offset, size, block, integer)


def get_blocks(oid: int, offset: int, size: int, block: int) -> Statement[list[bytes]]:
    """Read a part of an object in rows as :func:`streamed` does; the result leaves the empty row out."""
    return _streamed(oid, offset, size, block, lambda rows: [as_bytes(row[0]) for row in rows if row[0]])


def _streamed(oid: int, offset: int, size: int, block: int, result: Callable[[Rows], T]) -> Statement[T]:
    offset, of = check_offset(offset, oid), (check_oid(oid),)
    return streamed(_OBJECT, _OF_OID, of, found(oid, result), oid=oid, offset=offset, size=size, block=block)
