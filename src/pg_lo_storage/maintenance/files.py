"""Single files, with all that is known of them: the largest, and those that somebody asks for."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from pg_lo_storage.catalogue import as_array
from pg_lo_storage.catalogued import MEASURED
from pg_lo_storage.databases.columns import ask
from pg_lo_storage.maintenance.figures import FILES, OBJECTS
from pg_lo_storage.maintenance.statistics import is_catalogued
from pg_lo_storage.maintenance.uses import Row, naming_columns, rows_in_oid_columns, rows_that_name, usernames
from pg_lo_storage.names import parse_name

__all__ = ["KnownFile", "find", "known", "largest", "who", "with_rows"]

BATCH: Final = 20
"""How many files with one digest are looked at together."""

_SHA256: Final = re.compile("[0-9a-fA-F]{64}")
_ENTRY: Final = (
    "f.loid::text || coalesce(f.extension, ''), f.original_name, f.content_type, f.sha256, f.created_at, f.modified_at"
)
_NO_ENTRY: Final = "null::text, null::text, null::text, null::text, null::timestamptz, null::timestamptz"


class KnownFile(NamedTuple):
    """What is known of a large object.

    ``size`` is in bytes, ``None`` where the role may not read the object; ``role`` is the object's owner, ``None``
    where there is no such object. The rest is the catalogue's: ``None`` where that has no entry.
    """

    oid: int
    size: int | None
    role: str | None
    name: str | None
    original_name: str | None
    content_type: str | None
    sha256: str | None
    created_at: datetime | None
    modified_at: datetime | None


def largest(alias: str, count: int) -> list[KnownFile]:
    """Return the largest files, the largest first; of equal ones the lowest oid first."""
    catalogued = is_catalogued(alias)
    query = (
        f"with files as ({FILES if catalogued else OBJECTS})"  # noqa: S608 -- of constants
        f" select f.loid::int8, f.size, pg_get_userbyid(f.lomowner)::text, {_ENTRY if catalogued else _NO_ENTRY}"
        " from files as f order by f.size desc nulls last, f.loid limit %s::int8"
    )
    return [KnownFile(*row) for row in ask(alias, query, count)]


def find(alias: str, what: str) -> Iterator[KnownFile]:
    """Yield what is known of the object with that oid or stored name, or of the files with that SHA-256.

    An object that there is not is yielded too, for rows may name it all the same.
    """
    if _SHA256.fullmatch(what):
        last = 0
        while oids := _with_digest(alias, what.lower(), last):
            yield from known(alias, oids)
            last = oids[-1]
    elif (oid := parse_name(what)) is not None:
        yield from known(alias, [oid])


def who(alias: str, what: str) -> Iterator[tuple[KnownFile, list[Row]]]:
    """Yield what :func:`find` finds, where there is anything, with the rows that name it in any column."""
    found = find(alias, what)
    while batch := list(islice(found, BATCH)):
        for file, rows in with_rows(alias, batch, anywhere=True):
            if rows or file.role is not None or file.name is not None:
                yield file, rows


def with_rows(
    alias: str, files: Collection[KnownFile], *, anywhere: bool = False
) -> Iterator[tuple[KnownFile, list[Row]]]:
    """Yield each file with the rows that name it; ``anywhere`` looks in all schemas and in all columns of
    type ``oid`` and ``lo``, too.
    """
    columns, _ = naming_columns(alias, anywhere=anywhere)
    oids = [file.oid for file in files]
    found = [*rows_that_name(columns, oids), *(rows_in_oid_columns(alias, columns, oids) if anywhere else ())]
    users = {
        database: usernames(database, (row.user for row in found if row.database == database))
        for database in {row.database for row in found}
    }
    rows: dict[int, list[Row]] = {oid: [] for oid in oids}
    for row in found:
        rows[row.oid].append(row._replace(user=users[row.database].get(row.user or "", row.user)))
    for file in files:
        yield file, rows[file.oid]


def _with_digest(alias: str, sha256: str, after: int) -> list[int]:
    if not is_catalogued(alias):
        return []
    query = (
        "select loid::int8 from pg_lo_storage_file where sha256 = %s::text and loid > %s::oid order by loid"
        " limit %s::int8"
    )
    return [int(oid) for (oid,) in ask(alias, query, sha256, after, BATCH)]


def known(alias: str, oids: Collection[int]) -> Iterator[KnownFile]:
    """Yield what is known of the objects, in the order of their oids."""
    catalogued = is_catalogued(alias)
    query = (
        f"select given.oid::int8, {MEASURED}, pg_get_userbyid(m.lomowner)::text, {_ENTRY if catalogued else _NO_ENTRY}"  # noqa: S608 -- of constants
        " from unnest(%s::text::oid[]) as given (oid) left join pg_largeobject_metadata as m on m.oid = given.oid"
        f"{' left join pg_lo_storage_file as f on f.loid = given.oid' if catalogued else ''} order by given.oid"
    )
    for row in ask(alias, query, as_array(oids)):
        yield KnownFile(*row)
