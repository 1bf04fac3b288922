"""Files that several rows may name: a row that names one holds it, and only what no row names is unlinked.

Whoever writes the name of an existing file locks its entry FOR KEY SHARE. Whoever unlinks the file locks the entry FOR
UPDATE before looking for rows that name it. So one waits, and sees what the other did. Without the catalogue the lock
is an advisory one on the oid. The triggers of :mod:`pg_lo_storage.operations` keep the same rule.
"""

from collections.abc import Collection, Iterable
from typing import LiteralString, cast

from django.apps.registry import Apps
from django.db import transaction

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import UNLINK_GONE, as_array
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.catalogues import NAME_LOCK
from pg_lo_storage.databases.references import referenced
from pg_lo_storage.databases.search import Cell
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.names import extension_of, parse_name
from pg_lo_storage.signals import announce_unlinked, file_unlinked

__all__ = ["hold", "release", "require"]


def hold(alias: str, names: Iterable[str]) -> set[str]:
    """Keep the files from being unlinked until the transaction ends; return those names that are files."""
    wanted = {name: oid for name in names if (oid := parse_name(name)) is not None}
    if not wanted:
        return set()
    hold_in = catalogue.hold if catalogue.is_installed() else _hold_oids
    held = hold_in(DatabaseDriver(alias), set(wanted.values()))
    return {name for name, oid in wanted.items() if held.get(oid, "of no extension") in {None, extension_of(name)}}


def require(alias: str, names: Iterable[str], *, kept: str | None = None, raw: bool = False) -> None:
    """Hold the files that a row comes to name, in the place of ``kept``, until the transaction ends.

    A name that is no stored name is another storage's: it is refused only where ``kept`` is a file. With ``raw`` this
    is so for every name.

    :raises LargeObjectNotFound: a name is refused, since it is no file's.
    """
    missing = set(names) - hold(alias, names)
    refused = {name for name in missing if parse_name(name) is not None and not raw}
    if missing - refused and kept and hold(alias, [kept]):
        refused = missing
    if refused:
        name = min(refused)
        keeps = f", and it keeps {kept!r}" if kept else ""
        message = (
            f"a row cannot name {name!r}: there is no such file any more{keeps}; save the file again, or"
            " refresh_from_db() the instance"
        )
        raise LargeObjectNotFound(message, oid=parse_name(name))


def release(
    alias: str, names: Iterable[str], *registries: Apps, using: str | None = None, besides: Cell | None = None
) -> None:
    """Unlink those files that no row names any more, all or nothing; the cell ``besides`` does not count.

    The rows that named them are on ``using``.
    """
    wanted = {name: oid for name in names if (oid := parse_name(name)) is not None}
    if not wanted:
        return
    database = DatabaseDriver(alias)
    announcing = file_unlinked.has_listeners()
    lock, unlink = (catalogue.lock, catalogue.unlink) if catalogue.is_installed() else (_lock_oids, _unlink)
    with transaction.atomic(using=alias, savepoint=False):
        isolation, locked = lock(database, set(wanted.values()))
        oids = {oid for oid, extension in locked.items() if extension is None or f"{oid}{extension}" in wanted}
        # The snapshot of an earlier statement does not show the rows that others have committed since.
        if not oids or isolation not in {"read committed", "read uncommitted"}:
            return
        gone = oids - referenced(alias, oids, *registries, using=using, besides=besides)
        entries = catalogue.find_all(database, gone) if announcing and catalogue.is_installed() else {}
        unlink(database, gone)
        for name, oid in wanted.items():
            if announcing and oid in gone and locked[oid] in {None, extension_of(name)}:
                announce_unlinked(alias, name, entries.get(oid))


def _hold_oids(database: DatabaseDriver, oids: Collection[int]) -> dict[int, None]:
    query: LiteralString = (
        "select pg_advisory_xact_lock_shared(%s::int4, (oid::int8 - 2147483648)::int4)"
        " from (select oid from pg_largeobject_metadata where oid = any(%s::text::oid[]) order by oid offset 0) as o"
    )
    database.run(query, (NAME_LOCK, as_array(oids)))
    # Asked again: the statement that waited sees only what existed when it began.
    query = "select oid::int8 from pg_largeobject_metadata where oid = any(%s::text::oid[])"
    return {cast("int", row[0]): None for row in database.run(query, (as_array(oids),))}


def _lock_oids(database: DatabaseDriver, oids: Collection[int]) -> tuple[str, dict[int, None]]:
    query: LiteralString = (
        "select oid::int8, current_setting('transaction_isolation'),"
        " pg_advisory_xact_lock(%s::int4, (oid::int8 - 2147483648)::int4)"
        " from (select oid from pg_largeobject_metadata where oid = any(%s::text::oid[]) order by oid offset 0) as o"
    )
    rows = database.run(query, (NAME_LOCK, as_array(oids)))
    return (cast("str", rows[0][1]) if rows else ""), {cast("int", row[0]): None for row in rows}


def _unlink(database: DatabaseDriver, oids: Collection[int]) -> None:
    query: LiteralString = (
        "with gone as (select oid as loid from pg_largeobject_metadata where oid = any(%s::text::oid[]))" + UNLINK_GONE  # noqa: S608 -- of constants
    )
    database.run(query, (as_array(oids),), writing=True, unlinks=oids)
