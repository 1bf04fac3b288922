"""Files that several rows may name: a row that names one holds it, and only what no row names is unlinked.

Who names an existing file locks its catalogue row FOR KEY SHARE, who unlinks locks it FOR UPDATE before looking for
references: one of the two waits, and sees what the other did. Without the catalogue it is an advisory lock on the
oid. The triggers of :mod:`pg_lo_storage.operations` keep the same rule.
"""

from collections.abc import Collection, Iterable
from typing import Final, LiteralString, cast

from django.apps.registry import Apps
from django.db import transaction

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import UNLINK_GONE, as_array
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.lifecycle.references import Cell, referenced
from pg_lo_storage.names import extension_of, parse_name

__all__ = ["hold", "release"]

# The first key of the advisory locks on names: any number, but always the same.
_NAME_LOCK: Final = 0x706C6F74


def hold(alias: str, names: Iterable[str], *, required: Collection[str] = ()) -> None:
    """Keep the files from being unlinked until the transaction ends, in which rows come to name them.

    :raises LargeObjectNotFound: one was unlinked while this waited; or one that is ``required`` is no file.
    """
    wanted = {name: loid for name in names if (loid := parse_name(name)) is not None}
    if not wanted:
        return
    hold_in = catalogue.hold if catalogue.is_installed() else _hold_oids
    before, held = hold_in(DatabaseDriver(alias), set(wanted.values()))
    for name, loid in wanted.items():
        is_there = held.get(loid, "of no extension") in {None, extension_of(name)}
        if not is_there and (name in required or (loid in before and loid not in held)):
            message = f"a row cannot name {name!r}: there is no such file any more; save the file again"
            raise LargeObjectNotFound(message, oid=loid)


def release(
    alias: str, names: Iterable[str], *registries: Apps, using: str | None = None, besides: Cell | None = None
) -> None:
    """Unlink those of the files that no row names any more, ``besides`` one that does not count, all or nothing.

    The rows that left them are on ``using``.
    """
    wanted = {name: loid for name in names if (loid := parse_name(name)) is not None}
    if not wanted:
        return
    database = DatabaseDriver(alias)
    lock, unlink = (catalogue.lock, catalogue.unlink) if catalogue.is_installed() else (_lock_oids, _unlink)
    with transaction.atomic(using=alias, savepoint=False):
        isolation, locked = lock(database, set(wanted.values()))
        loids = {loid for loid, extension in locked.items() if extension is None or f"{loid}{extension}" in wanted}
        # With an earlier statement's snapshot the rows that others have committed since are not seen.
        if not loids or isolation not in {"read committed", "read uncommitted"}:
            return
        unlink(database, loids - referenced(alias, loids, *registries, using=using, besides=besides))


def _hold_oids(database: DatabaseDriver, loids: Collection[int]) -> tuple[set[int], dict[int, None]]:
    query: LiteralString = (
        "select oid::int8, pg_advisory_xact_lock_shared(%s::int4, (oid::int8 - 2147483648)::int4)"
        " from (select oid from pg_largeobject_metadata where oid = any(%s::text::oid[]) order by oid offset 0) as o"
    )
    before = {cast("int", row[0]) for row in database.run(query, (_NAME_LOCK, as_array(loids)))}
    # Asked again: a statement sees what was there when it began.
    query = "select oid::int8 from pg_largeobject_metadata where oid = any(%s::text::oid[])"
    return before, {cast("int", row[0]): None for row in database.run(query, (as_array(loids),))}


def _lock_oids(database: DatabaseDriver, loids: Collection[int]) -> tuple[str, dict[int, None]]:
    query: LiteralString = (
        "select oid::int8, current_setting('transaction_isolation'),"
        " pg_advisory_xact_lock(%s::int4, (oid::int8 - 2147483648)::int4)"
        " from (select oid from pg_largeobject_metadata where oid = any(%s::text::oid[]) order by oid offset 0) as o"
    )
    rows = database.run(query, (_NAME_LOCK, as_array(loids)))
    return (cast("str", rows[0][1]) if rows else ""), {cast("int", row[0]): None for row in rows}


def _unlink(database: DatabaseDriver, loids: Collection[int]) -> None:
    query: LiteralString = (
        "with gone as (select oid as loid from pg_largeobject_metadata where oid = any(%s::text::oid[]))" + UNLINK_GONE  # noqa: S608 -- of constants
    )
    database.run(query, (as_array(loids),), writing=True)
