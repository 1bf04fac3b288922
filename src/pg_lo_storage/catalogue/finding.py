"""The SQL that finds catalogued files, and that reads a file as long as it is the version that was found.

Statements join ``pg_largeobject_metadata``: an object that somebody unlinked behind the catalogue's back is a missing
file, and aborts no transaction.
"""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, LiteralString, cast

from typing_extensions import Buffer

from pg_lo_storage.catalogue.entries import Entry
from pg_lo_storage.catalogue.queries import as_array
from pg_lo_storage.catalogue.whole import NOT_REMEMBERED, REMEMBER, ROLE, WRITER, Remembered, new_token, remembered
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers import bulk
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.queries import Rows, Statement
from pg_lo_storage.drivers.reading import start_of, started, streamed
from pg_lo_storage.drivers.values import BLOCK, as_bytes
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound

__all__ = ["Found", "find", "find_all", "locate", "missing", "names", "read", "stream_version"]

# Drivers give and take integers, strings and bytea. xmin is the version: every change of the row changes it, whoever
# makes it.
_COLUMNS: Final = (
    "f.loid::int8, f.extension, f.original_name, f.content_type, f.size, f.sha256,"
    " (extract(epoch from f.created_at) * 1000000)::int8, (extract(epoch from f.modified_at) * 1000000)::int8,"
    " f.xmin::text"
)
# Where the entry is, whatever another session's search path is, and as which role; no role where row security decides.
_SEEN: Final = (
    ", (pg_identify_object('pg_catalog.pg_class'::regclass::oid, f.tableoid, 0)).identity,"
    " case when not row_security_active(f.tableoid) then " + ROLE + " end"
)
_SIZE: Final = (
    "(select lo_lseek64(fd, 0, 2) + lo_close(fd) from (select lo_open(m.oid, 262144) as fd offset 0) as opened)"
)
_TABLE: Final = "pg_lo_storage_file"
_JOINED: Final = " as f join pg_largeobject_metadata as m on m.oid = f.loid"
_FROM: Final = " from " + _TABLE + _JOINED
_NAMED: Final = " where f.loid = %s::oid and coalesce(f.extension = %s::text, true)"
_FOUND: Final = _FROM + _NAMED


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
    table: LiteralString = _TABLE
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
    query: LiteralString = "select " + _COLUMNS + _FOUND
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
    query: LiteralString = "select " + _COLUMNS + _FROM + " where f.loid = any(%s::text::oid[])"
    entries = (Entry.of(row) for row in database.run(query, (as_array(loids),)))
    return {entry.loid: entry for entry in entries}


def missing(name: object, loid: int | None = None) -> LargeObjectNotFound:
    """Return the error that no file has that name."""
    return LargeObjectNotFound(f"no stored file is named {name!r}", oid=loid)


def locate(database: DatabaseDriver, loid: int, extension: str) -> Found:
    """Find the file with this oid and extension, and read no content.

    :raises LargeObjectNotFound: there is no such file.
    """

    def result(rows: Rows) -> Found:
        if not rows:
            raise missing(f"{loid}{extension}", loid)
        *columns, size, table, role = rows[0]
        entry = Entry.of(tuple(columns))
        return Found(
            database, loid, cast("int", size), entry=entry, table=_in_sql(table), role=cast("str | None", role)
        )

    def without_sql() -> Found:
        entry = _entry(database, loid, extension)
        return Found(database, loid, database.size(loid) if entry.size is None else entry.size, entry=entry)

    query: LiteralString = "select " + _COLUMNS + ", coalesce(f.size, " + _SIZE + ")" + _SEEN + _FOUND
    return database.perform(Statement(query, (loid, extension), result, loid), without_sql)


def read(database: DatabaseDriver, loid: int, extension: str, whole: int, start: int) -> Found:
    """Find the file with this oid and extension; read all of up to ``whole`` bytes, else the first ``start`` bytes.

    :raises LargeObjectNotFound: there is no such file.
    """
    token = new_token(database)
    more: LiteralString = REMEMBER + ", case when age(f.xmin) <= 0 then " + WRITER + " end, " + _COLUMNS + _SEEN

    def result(rows: Rows) -> Found:
        if not rows:
            raise missing(f"{loid}{extension}", loid)
        size, data, rest = start_of(rows)
        *columns, table, role = rest[3:]
        entry, known = Entry.of(tuple(columns)), remembered(token, rest[:3])
        return Found(database, loid, size, data, entry, known, _in_sql(table), cast("str | None", role))

    def without_sql() -> Found:
        while True:
            entry = _entry(database, loid, extension)
            size, data, _ = bulk.get_start(database, loid, whole, start)
            if _is_version(database, entry):
                return Found(database, loid, size, data, entry)

    named, tokens = (loid, extension), (token, token)
    return database.perform(
        started(_FROM, _NAMED, named, result, oid=loid, whole=whole, start=start, more=more, more_params=tokens),
        without_sql,
    )


def stream_version(
    database: DatabaseDriver, entry: Entry, offset: int, size: int, sink: Sink, *, table: LiteralString = _TABLE
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

    is_version = " where f.loid = %s::oid and f.xmin::text = %s::text"
    version = (entry.loid, entry.version)
    return database.perform_streaming(
        streamed(
            " from " + table + _JOINED, is_version, version, bool, oid=entry.loid, offset=offset, size=size, block=BLOCK
        ),
        sink,
        without_sql,
    )


def _in_sql(table: object) -> LiteralString:
    """Return the table's name, which the server has quoted, for a query that has parameters."""
    return cast("LiteralString", table).replace("%", "%%")


def names(database: DatabaseDriver) -> list[str]:
    """Return the names of all files, in the order of their oids."""
    query: LiteralString = "select f.loid::text || coalesce(f.extension, '')" + _FROM + " order by f.loid"
    rows = database.run(query, ())
    return [cast("str", name) for (name,) in rows]
