"""The SQL that ends a file: its entry is deleted, and its object unlinked unless another schema's catalogue has it."""

from collections.abc import Collection, Iterable
from typing import Final, LiteralString, cast

from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.atomic_blocks import atomic
from pg_lo_storage.databases.catalogues import IS_OPEN, NAME_LOCK, OTHERS, OTHERS_THAN
from pg_lo_storage.drivers.queries import UNLINK

__all__ = ["UNLINK_GONE", "as_array", "discard", "extensions", "lock", "remove", "unlink", "uploads_in"]

_CATALOGUE: Final = "pg_lo_storage_file"
_UPLOADS: Final = "pg_lo_storage_upload"

_TOGETHER: Final = 50
"""So many other catalogues are asked in one statement."""

UNLINK_GONE: Final[LiteralString] = (
    " select " + UNLINK + " from gone join pg_largeobject_metadata as m on m.oid = gone.loid"  # noqa: S608 -- of constants
)
# Where there are other catalogues it changes nothing, and says so in its first row.
_BEGIN: Final[LiteralString] = (
    "with others as materialized (select exists (select" + OTHERS + ") as there),"  # noqa: S608 -- of constants
    " gone as (delete from pg_lo_storage_file where "
)
_END: Final[LiteralString] = (
    " and not (select there from others) returning loid) select 1, 0, 0::int8 from others where there"  # noqa: S608 -- of constants
    " union all select 0, unlinked.* from (" + UNLINK_GONE + ") as unlinked"
)
_NAMED: Final = "loid = %s::oid and coalesce(extension = %s::text, true)"
_ANY: Final = "loid = any((select %s::text::oid[])::oid[])"


def as_array(loids: Iterable[int]) -> str:
    """Return the oids as one string parameter, since drivers take no lists."""
    return "{" + ",".join(map(str, loids)) + "}"


def lock(database: DatabaseDriver, loids: Collection[int]) -> tuple[str, dict[int, str | None]]:
    """Lock the entries for deletion; return the transaction's isolation level, and the extensions by oid."""
    return _extensions(database, loids, " for update")


def extensions(database: DatabaseDriver, loids: Collection[int]) -> tuple[str, dict[int, str | None]]:
    """Return the transaction's isolation level, and the extensions by oid."""
    return _extensions(database, loids, "")


def remove(database: DatabaseDriver, loid: int, extension: str) -> bool:
    """End the file, in one statement where no other schema has a catalogue; return ``False`` where there is none.

    Where two sessions do so, the second waits for the first, and finds no file.
    """
    return _end(database, _NAMED, (loid, extension), (loid,))


def unlink(database: DatabaseDriver, loids: Collection[int]) -> None:
    """End the files, in one statement where no other schema has a catalogue."""
    _end(database, _ANY, (as_array(loids),), loids)


def discard(database: DatabaseDriver, loids: Collection[int], schema: str = "", *, only_expired: bool = False) -> int:
    """End those objects that are unfinished uploads; return how many were.

    ``schema`` is that of the uploads' table, as the server quotes it; without it the search path finds the table.
    """
    # A request that appends meanwhile is waited for, and has the upload expire later.
    where: LiteralString = _ANY + (" and expires_at < statement_timestamp()" if only_expired else "")
    with atomic(database.alias):
        _lock_objects(database, loids)
        place = _of(schema, _UPLOADS).replace("%", "%%")
        query: LiteralString = "delete from " + place + " where " + where + " returning loid::int8"  # noqa: S608
        gone = {cast("int", loid) for (loid,) in database.run(query, (as_array(loids),), writing=True)}
        if gone:
            # It may be a file by now: of a clone of the schema, or one that has the oid of an upload that was unlinked.
            files = _in_tables(database, gone, _of(schema, _CATALOGUE), itself=True)
            _unlink(database, gone - files - _in_tables(database, gone, _of(schema, _UPLOADS)))
        return len(gone)


def uploads_in(database: DatabaseDriver, schema: str, *, only_shared: bool = False) -> set[int]:
    """Return the uploads of a schema, or those that other schemas have, or may have, as uploads or as files."""
    files, table = _of(schema, _CATALOGUE), _of(schema, _UPLOADS)
    query: LiteralString = "select loid::int8 from " + table.replace("%", "%%")  # noqa: S608
    loids = {cast("int", loid) for (loid,) in database.run(query, ())}
    if only_shared and loids:
        return _in_tables(database, loids, files) | _in_tables(database, loids, table)
    return loids


def _of(schema: str, table: str) -> LiteralString:
    # The server has quoted the name.
    name: object = f"{schema}.{table}" if schema else table
    return cast("LiteralString", name)


def _extensions(
    database: DatabaseDriver, loids: Collection[int], lock: LiteralString
) -> tuple[str, dict[int, str | None]]:
    query: LiteralString = (
        "select loid::int8, extension, current_setting('transaction_isolation') from pg_lo_storage_file"  # noqa: S608 -- of constants
        " where loid = any((select %s::text::oid[])::oid[]) order by loid" + lock
    )
    rows = database.run(query, (as_array(loids),))
    isolation = cast("str", rows[0][2]) if rows else ""
    return isolation, {cast("int", loid): cast("str | None", extension) for loid, extension, _ in rows}


def _end(database: DatabaseDriver, where: LiteralString, params: tuple[object, ...], loids: Collection[int]) -> bool:
    oid = next(iter(loids), None) if len(loids) == 1 else None
    rows = database.run(_BEGIN + where + _END, params, oid=oid, writing=True, unlinks=loids)
    if not rows or not rows[0][0]:
        return bool(rows)
    with atomic(database.alias):
        # Whoever ends the same object in another schema waits, and then sees this entry gone.
        lock(database, loids)
        _lock_objects(database, loids)
        query: LiteralString = "delete from pg_lo_storage_file where " + where + " returning loid::int8"  # noqa: S608
        gone = {cast("int", loid) for (loid,) in database.run(query, params, writing=True)}
        free = gone - _in_tables(database, gone, _CATALOGUE)
        return _unlink(database, free) or bool(gone - free)


def _lock_objects(database: DatabaseDriver, loids: Collection[int]) -> None:
    query: LiteralString = (
        "select pg_advisory_xact_lock(%s::int4, (loid::int8 - 2147483648)::int4)"
        " from (select loid from unnest(%s::text::oid[]) as loid order by loid offset 0) as given"
    )
    database.run(query, (NAME_LOCK, as_array(loids)))


def _unlink(database: DatabaseDriver, loids: Collection[int]) -> bool:
    oid = next(iter(loids), None) if len(loids) == 1 else None
    query: LiteralString = "with gone as (select unnest(%s::text::oid[]) as loid)" + UNLINK_GONE
    return bool(database.run(query, (as_array(loids),), oid=oid, writing=True, unlinks=loids))


def _in_tables(
    database: DatabaseDriver, loids: Collection[int], table: LiteralString, *, itself: bool = False
) -> set[int]:
    """Return those objects that other tables of the same name have, or may have, and those that it has ``itself``."""
    query: LiteralString = (
        "select (pg_identify_object('pg_catalog.pg_class'::regclass::oid, c.oid, 0)).identity,"
        " case when " + IS_OPEN + " then 1 else 0 end" + OTHERS_THAN
    )
    tables = database.run(query, (table,))
    if not all(is_open for _, is_open in tables):
        return set(loids)
    # The server has quoted the names.
    names = cast("list[LiteralString]", [*[table] * itself, *(name for name, _ in tables)])
    found = set[int]()
    for n in range(0, len(names), _TOGETHER):
        selects: list[LiteralString] = [
            "select loid::int8 from " + name.replace("%", "%%") + " where loid = any((select %s::text::oid[])::oid[])"  # noqa: S608
            for name in names[n : n + _TOGETHER]
        ]
        query = " union ".join(selects)
        found |= {cast("int", loid) for (loid,) in database.run(query, (as_array(loids),) * len(selects))}
    return found
