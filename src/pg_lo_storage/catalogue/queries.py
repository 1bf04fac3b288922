"""The SQL that changes the catalogue: each file has an entry, written in the object's own transaction."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, LiteralString, cast

from pg_lo_storage.catalogue.entries import Upload
from pg_lo_storage.catalogue.unlinking import as_array
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.atomic_blocks import atomic
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.names import MAX_OID

__all__ = ["add", "enter_from", "hold", "keep_times", "mark_written", "save"]

# Where a new object's oid has an entry already, that entry is about an older object: the new entry replaces it.
_ENTER: Final = (
    "insert into pg_lo_storage_file"
    " (loid, extension, original_name, content_type, size, sha256, created_at, modified_at) "
)
_REST: Final = ", %s::text, %s::text, %s::int8, %s::text, statement_timestamp(), statement_timestamp()"
_ENTERED: Final = (
    " on conflict (loid) do update set extension = excluded.extension, original_name = excluded.original_name,"
    " content_type = excluded.content_type, size = excluded.size, sha256 = excluded.sha256,"
    " created_at = excluded.created_at, modified_at = excluded.modified_at"
    " returning loid::int8, coalesce(extension, '')"
)
_ENTER_MADE: Final = (
    _ENTER  # noqa: S608 -- of constants
    + "select loid, case when length(loid::text) <= %s::int4 then %s::text else '' end"
    + _REST
    + " from made"
    + _ENTERED
)


def save(
    database: DatabaseDriver, upload: Upload, data: bytes | memoryview, sha256: str, *, make: LiteralString
) -> tuple[int, str]:
    """Make an object of ``data``, and its entry, in one statement; return the oid and the entry's extension.

    ``make`` is MAKE or MAKE_FAST. A driver without SQL makes the object itself, in the entry's transaction.
    """
    query: LiteralString
    if upload.most_digits is None:
        # The server plans VALUES faster.
        query = _ENTER + "values (" + make + ", %s::text" + _REST + ")" + _ENTERED
        about = (upload.original_name, upload.content_type, len(data), sha256)
        params: tuple[object, ...] = (memoryview(data), upload.extension, *about)
    else:
        query = "with made as (select " + make + " as loid) " + _ENTER_MADE
        params = (memoryview(data), *_of_made(upload, len(data), sha256))

    def without_sql() -> list[tuple[object, ...]]:
        with atomic(database.alias):
            loid = database.from_bytes(data)
            return [(loid, add(database, loid, upload, size=len(data), sha256=sha256))]

    [row] = database.perform(Statement(query, params, list, writing=True), without_sql)
    return cast("tuple[int, str]", row)


def enter_from(
    database: DatabaseDriver,
    made: LiteralString,
    params: tuple[object, ...],
    upload: Upload,
    *,
    size: int,
    sha256: str,
) -> tuple[int, str] | None:
    """Make the entry of the object that the WITH clause calls ``made``; return its oid and its entry's extension."""
    rows = database.run(made + _ENTER_MADE, (*params, *_of_made(upload, size, sha256)), writing=True)
    return cast("tuple[int, str]", rows[0]) if rows else None


def _of_made(upload: Upload, size: int, sha256: str) -> tuple[object, ...]:
    most_digits = len(str(MAX_OID)) if upload.most_digits is None else upload.most_digits
    return (most_digits, upload.extension, upload.original_name, upload.content_type, size, sha256)


def add(
    database: DatabaseDriver, loid: int, upload: Upload, *, size: int | None = None, sha256: str | None = None
) -> str:
    """Make the entry of an object that was made in this transaction; return the entry's extension."""
    query: LiteralString = _ENTER + "values (%s::oid, %s::text" + _REST + ")" + _ENTERED
    is_short = upload.most_digits is None or len(str(loid)) <= upload.most_digits
    params = (loid, upload.extension if is_short else "", upload.original_name, upload.content_type, size, sha256)
    [(_, extension)] = database.run(query, params, oid=loid, writing=True)
    return cast("str", extension)


def mark_written(database: DatabaseDriver, loid: int) -> bool:
    """Mark the entry of an object that is written in place; return ``False`` where the object has no entry.

    Until the transaction ends nobody else can delete the file.
    """
    query: LiteralString = (
        "update pg_lo_storage_file set size = null, sha256 = null, modified_at = clock_timestamp()"
        " where loid = %s::oid returning 1"
    )
    return bool(database.run(query, (loid,), oid=loid, writing=True))


def keep_times(database: DatabaseDriver, times: Mapping[int, tuple[datetime, datetime]]) -> None:
    """Give entries the times, by oid, when their files were made and changed elsewhere."""
    if not times:
        return
    query: LiteralString = (
        "update pg_lo_storage_file as f set created_at = given.created, modified_at = given.modified"
        " from rows from (unnest(%s::text::oid[]), unnest(%s::text::timestamptz[]), unnest(%s::text::timestamptz[]))"
        " as given (loid, created, modified) where f.loid = given.loid"
    )
    created, modified = zip(*times.values(), strict=True)
    arrays = ("{" + ",".join(f'"{moment.isoformat()}"' for moment in some) + "}" for some in (created, modified))
    database.run(query, (as_array(times), *arrays), writing=True)


def hold(database: DatabaseDriver, loids: Collection[int]) -> dict[int, str | None]:
    """Lock the entries against deletion; return, by oid, the extensions of those that exist."""
    query: LiteralString = (
        "with held as materialized (select loid, extension from pg_lo_storage_file"
        " where loid = any((select %s::text::oid[])::oid[]) order by loid for key share)"
        " select held.loid::int8, held.extension from held join pg_largeobject_metadata as m on m.oid = held.loid"
    )
    rows = database.run(query, (as_array(loids),))
    return {cast("int", loid): cast("str | None", extension) for loid, extension in rows}
