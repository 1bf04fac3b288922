"""The SQL that finds catalogued files, and what was found, of which blocks are read while it is still that file.

Statements join ``pg_largeobject_metadata``, so that an object which somebody unlinked behind the catalogue is a missing
file, and aborts nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, LiteralString, cast

from typing_extensions import Buffer

from pg_lo_storage.catalogue.entries import Entry
from pg_lo_storage.catalogue.queries import as_array
from pg_lo_storage.catalogue.whole import NOT_REMEMBERED, REMEMBER, WRITER, Remembered, new_token, remembered
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.queries import Rows
from pg_lo_storage.drivers.reading import start_of, started, streamed
from pg_lo_storage.drivers.values import BLOCK, as_bytes
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound

__all__ = ["Found", "find", "find_all", "locate", "missing", "names", "read", "stream_version"]

# Drivers give and take integers, strings and bytea. xmin is the version: every change of the row, whoever makes it,
# moves it.
_COLUMNS: Final = (
    "f.loid::int8, f.extension, f.original_name, f.content_type, f.size, f.sha256,"
    " (extract(epoch from f.created_at) * 1000000)::int8, (extract(epoch from f.modified_at) * 1000000)::int8,"
    " f.xmin::text"
)
_SIZE: Final = (
    "(select lo_lseek64(fd, 0, 2) + lo_close(fd) from (select lo_open(m.oid, 262144) as fd offset 0) as opened)"
)
_FROM: Final = " from pg_lo_storage_file as f join pg_largeobject_metadata as m on m.oid = f.loid"
_NAMED: Final = " where f.loid = %s::oid and coalesce(f.extension = %s::text, true)"
_FOUND: Final = _FROM + _NAMED


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it was found; ``start`` is all of a small one, where it was read at all.

    Without the catalogue ``entry`` is ``None``. ``remembered`` is what an atomic block's end is known by.
    """

    database: DatabaseDriver
    loid: int
    size: int
    start: bytes = b""
    entry: Entry | None = None
    remembered: Remembered = NOT_REMEMBERED

    @property
    def is_whole(self) -> bool:
        """Whether ``start`` is all of it."""
        return len(self.start) == self.size

    def read(self, wanted: range) -> list[bytes]:
        """Return these bytes in blocks, by one statement, in no transaction but the caller's.

        :raises LargeObjectNotFound: the file was deleted.
        :raises LargeObjectConflict: it is not the file that was found any more. Without a catalogue only a file that
            became shorter is noticed.
        """
        blocks: list[bytes] = []

        def take(block: Buffer) -> None:
            if data := as_bytes(block):
                blocks.append(data)

        if self.entry is None:
            self.database.stream(self.loid, wanted.start, len(wanted), take, BLOCK)
        else:
            stream_version(self.database, self.entry, wanted.start, len(wanted), take)
        if sum(map(len, blocks)) != len(wanted):
            message = f"large object {self.loid} was changed, replaced or deleted while it was served"
            raise LargeObjectConflict(message, oid=self.loid)
        return blocks


def find(database: DatabaseDriver, loid: int, extension: str) -> Entry | None:
    """Return the entry of the file that is so named, ``None`` where there is none."""
    query: LiteralString = "select " + _COLUMNS + _FOUND
    rows = database.run(query, (loid, extension), oid=loid)
    return Entry.of(rows[0]) if rows else None


def find_all(database: DatabaseDriver, loids: Collection[int]) -> dict[int, Entry]:
    """Return the entries of those of the objects that are files, by oid."""
    query: LiteralString = "select " + _COLUMNS + _FROM + " where f.loid = any(%s::text::oid[])"
    entries = (Entry.of(row) for row in database.run(query, (as_array(loids),)))
    return {entry.loid: entry for entry in entries}


def missing(name: object, loid: int | None = None) -> LargeObjectNotFound:
    """Return the error that no file has that name."""
    return LargeObjectNotFound(f"no stored file is named {name!r}", oid=loid)


def locate(database: DatabaseDriver, loid: int, extension: str) -> Found:
    """Return the file that is so named, and read nothing of it.

    :raises LargeObjectNotFound: there is none.
    """
    query: LiteralString = "select " + _COLUMNS + ", coalesce(f.size, " + _SIZE + ")" + _FOUND
    rows = database.run(query, (loid, extension), oid=loid)
    if not rows:
        raise missing(f"{loid}{extension}", loid)
    return Found(database, loid, cast("int", rows[0][-1]), entry=Entry.of(rows[0][:-1]))


def read(database: DatabaseDriver, loid: int, extension: str, whole: int, start: int) -> Found:
    """Return the file that is so named, all of up to ``whole`` bytes, of a larger one ``start`` bytes.

    :raises LargeObjectNotFound: there is none.
    """
    token = new_token(database)
    more: LiteralString = REMEMBER + ", case when age(f.xmin) <= 0 then " + WRITER + " end, " + _COLUMNS

    def result(rows: Rows) -> Found:
        if not rows:
            raise missing(f"{loid}{extension}", loid)
        size, data, rest = start_of(rows)
        return Found(database, loid, size, data, Entry.of(rest[3:]), remembered(token, rest[:3]))

    named, tokens = (loid, extension), (token, token)
    return database.perform(
        started(_FROM, _NAMED, named, result, oid=loid, whole=whole, start=start, more=more, more_params=tokens)
    )


def stream_version(database: DatabaseDriver, entry: Entry, offset: int, size: int, sink: Sink) -> bool:
    """Hand ``size`` bytes at ``offset`` to ``sink``, in one statement.

    ``False``, and nothing, where the file is not the version any more that ``entry`` tells.
    """
    is_version = " where f.loid = %s::oid and f.xmin::text = %s::text"
    version = (entry.loid, entry.version)
    return database.perform_streaming(
        streamed(_FROM, is_version, version, bool, oid=entry.loid, offset=offset, size=size, block=BLOCK), sink
    )


def names(database: DatabaseDriver) -> list[str]:
    """Return the name of each file, in the order of their oids."""
    query: LiteralString = "select f.loid::text || coalesce(f.extension, '')" + _FROM + " order by f.loid"
    rows = database.run(query, ())
    return [cast("str", name) for (name,) in rows]
