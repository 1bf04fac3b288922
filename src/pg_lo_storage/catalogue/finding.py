"""Finds catalogued files, and reads a file as long as it is the version that was found."""

import contextlib
import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, LiteralString, cast

from typing_extensions import Buffer

from pg_lo_storage.catalogue.unlinking import as_array
from pg_lo_storage.catalogue.whole import NOT_REMEMBERED, Remembered, marks_for, remembered
from pg_lo_storage.catalogued import (
    COLUMN_TYPES,
    COLUMNS,
    FILES,
    IDENTITY,
    NAMED,
    SEEN_BY,
    TABLE,
    Entry,
    Located,
    as_number,
    as_table,
    located,
    missing,
    streamed_version,
)
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers import bulk
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.queries import WARM_UP, Rows, Statement
from pg_lo_storage.drivers.values import BLOCK, as_bytes
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound

__all__ = ["Found", "find", "find_all", "locate", "names", "read", "stream_version"]


# Where an object is measured, a new backend is also made to allocate what it will need.
_MEASURED: Final = (
    "(select lo_lseek64(fd, 0, 2) + length(loread(fd, " + as_number(WARM_UP) + ")) + lo_close(fd)"  # noqa: S608 -- of constants
    " from (select lo_open(m.oid, 262144) as fd offset 0) as opened)"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found; ``start`` is the whole content, or the beginning, or empty: as much as was read.

    Without the catalogue ``entry`` is ``None``. ``remembered`` tells later whether the atomic block has ended.
    ``table`` is the catalogue's, with its schema: what is read later is of the same one, whatever the search path is
    then. ``role`` is the one that the session had taken, as the setting ``role`` says it; ``None`` says that no other
    session may see the same, and an empty one is not known.
    """

    database: DatabaseDriver
    loid: int
    size: int
    start: bytes = b""
    entry: Entry | None = None
    remembered: Remembered = NOT_REMEMBERED
    table: LiteralString = TABLE
    role: str | None = ""

    def read(self, wanted: range) -> list[bytes]:
        """Return the ``wanted`` bytes in blocks, by one statement that begins no transaction.

        :raises LargeObjectNotFound: the file was deleted.
        :raises LargeObjectConflict: the file was changed since it was found. Without the catalogue only a file that
            became shorter is noticed.
        """
        blocks: list[bytes] = []

        def take(block: Buffer) -> None:
            if data := as_bytes(block):
                blocks.append(data)

        if self.entry is None:
            self.database.stream(self.loid, wanted.start, len(wanted), take, BLOCK)
        else:
            stream_version(self.database, self.entry, wanted.start, len(wanted), take, table=self.table)
        if sum(map(len, blocks)) != len(wanted):
            message = f"large object {self.loid} was changed, replaced or deleted while it was served"
            raise LargeObjectConflict(message, oid=self.loid)
        return blocks


def find(database: DatabaseDriver, loid: int, extension: str) -> Entry | None:
    """Return the entry of the file with this oid and extension, ``None`` where there is none."""
    query: LiteralString = "select " + COLUMNS + FILES + NAMED
    rows = database.run(query, (loid, extension), oid=loid)
    return Entry.of(rows[0]) if rows else None


def _entry(database: DatabaseDriver, loid: int, extension: str) -> Entry:
    if (entry := find(database, loid, extension)) is None:
        raise missing(f"{loid}{extension}", loid)
    return entry


def _is_version(database: DatabaseDriver, entry: Entry) -> bool:
    """Tell whether the file is still that version; what was read of it since it was found is then of no other."""
    now = find(database, entry.loid, entry.extension or "")
    return now is not None and now.version == entry.version


def find_all(database: DatabaseDriver, loids: Collection[int]) -> dict[int, Entry]:
    """Return, by oid, the entries of those objects that are files."""
    query: LiteralString = "select " + COLUMNS + FILES + " where f.loid = any((select %s::text::oid[])::oid[])"
    entries = (Entry.of(row) for row in database.run(query, (as_array(loids),)))
    return {entry.loid: entry for entry in entries}


def locate(database: DatabaseDriver, loid: int, extension: str) -> Found:
    """Find the file with this oid and extension, and read no content.

    :raises LargeObjectNotFound: there is no such file.
    """

    def without_sql() -> Located:
        entry = _entry(database, loid, extension)
        return Located(entry, database.size(loid))

    entry, size, table, role = database.perform(located(loid, extension), without_sql)
    return Found(database, loid, size, entry=entry, table=table, role=role)


def read(database: DatabaseDriver, loid: int, extension: str, whole: int, start: int) -> Found:
    """Find the file with this oid and extension; read all of up to ``whole`` bytes, else the first ``start`` bytes.

    :raises LargeObjectNotFound: there is no such file.
    """
    marks = marks_for(database, may_have_written="age(f.xmin) <= 0")

    def result(rows: Rows) -> Found:
        if not rows:
            raise missing(f"{loid}{extension}", loid)
        content, measured, table, role, *others = rows[0]
        data, entry = as_bytes(content), Entry.of(rows[0][-len(COLUMN_TYPES) :])
        if measured is not None:
            size = cast("int", measured)
        else:  # more than asked for only where somebody has written behind the catalogue's back
            size = len(data) if len(data) <= whole else database.size(loid)
        return Found(
            database,
            loid,
            size,
            data if size <= whole else data[:start],
            entry,
            remembered(marks, others),
            TABLE if table is None else as_table(table),
            cast("str | None", role),
        )

    def without_sql() -> Found:
        while True:
            entry = _entry(database, loid, extension)
            size, data, _ = bulk.get_start(database, loid, whole, start)
            if _is_version(database, entry):
                return Found(database, loid, size, data, entry)

    types = (bytes, int, str, str, *marks.types, *COLUMN_TYPES)
    values = (*marks.params, loid, extension)
    return database.perform(
        Statement(_reading(whole, start, marks.sql), values, result, loid, columns=types), without_sql
    )


@functools.cache
def _reading(whole: int, start: int, marks: LiteralString) -> LiteralString:
    """Return the query that finds a file and reads it.

    The entry tells a small file's size, and ``lo_get`` gives less than it is asked for at the object's end. So only
    what is large, or was written in place, is measured, and tells where else it is to be found when more is read.
    """
    is_large = "f.size > " + as_number(whole)
    wanted = "case when " + is_large + " then " + as_number(start) + " else " + as_number(whole + 1) + " end"
    query: LiteralString = "select lo_get(m.oid, 0, " + wanted + "), "
    for column in (_MEASURED, IDENTITY, SEEN_BY):
        query += "case when coalesce(" + is_large + ", true) then " + column + " end, "
    return query + marks + COLUMNS + FILES + NAMED


def stream_version(
    database: DatabaseDriver, entry: Entry, offset: int, size: int, sink: Sink, *, table: LiteralString = TABLE
) -> bool:
    """Hand ``size`` bytes at ``offset`` to ``sink``, in one statement.

    Hand over nothing and return ``False`` where the file's version is no longer that of ``entry``, which is in
    ``table``.
    """

    def without_sql() -> bool:
        # Kept until it is known which version's they are.
        blocks: list[Buffer] = []
        with contextlib.suppress(LargeObjectNotFound):
            bulk.stream(database, entry.loid, offset, size, lambda block: blocks.append(bytes(block)))
        is_version = _is_version(database, entry)
        for block in blocks if is_version else ():
            sink(block)
        return is_version

    return database.perform_streaming(
        streamed_version(entry.loid, entry.version, offset, size, bool, table=table), sink, without_sql
    )


def names(database: DatabaseDriver, after: int = 0, limit: int | None = None) -> list[str]:
    """Return the names of all files whose oids are larger than ``after``, or of the first of them, in their order."""
    query: LiteralString = (
        "select f.loid::text || coalesce(f.extension, '')"
        + FILES
        + " where f.loid > %s::oid order by f.loid limit %s::int8"
    )
    return [cast("str", name) for (name,) in database.run(query, (after, limit))]
