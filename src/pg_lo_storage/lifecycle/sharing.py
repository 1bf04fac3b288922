"""Files that several rows may name: a row that names one holds it, and only what no row names is unlinked.

Whoever writes the name of an existing file locks its entry FOR KEY SHARE. Whoever unlinks the file locks the entry FOR
UPDATE before looking for rows that name it. So one waits, and sees what the other did. Without the catalogue the lock
is an advisory one on the oid. A row on another database may be committed long after that lock is gone: its transaction
claims the file there, by an advisory lock, and whoever looks for rows there keeps a file that is claimed. The triggers
of :mod:`pg_lo_storage.operations` keep the same rule.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final, LiteralString, cast

from django.apps.registry import Apps
from django.db import connections, transaction

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import UNLINK_GONE, as_array
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.catalogues import NAME_LOCK
from pg_lo_storage.databases.references import referenced
from pg_lo_storage.databases.search import CLAIM_LOCK, CLAIM_LOCKS, Cell
from pg_lo_storage.exceptions import LargeObjectError, LargeObjectNotFound
from pg_lo_storage.lifecycle.old_files import hold_old
from pg_lo_storage.names import extension_of, parse_name
from pg_lo_storage.signals import announce_unlinked, file_unlinked
from pg_lo_storage.storage import TransitionalStorage

__all__ = ["FEW", "hold", "release", "require", "require_room"]

FEW: Final = 1_000
"""So many files have room in the lock table of any server, or it says itself that they have not."""


_SEEING: Final = {"read committed", "read uncommitted"}
"""The isolation levels at which a statement sees what others have committed before it."""


def hold(alias: str, names: Iterable[str]) -> set[str]:
    """Keep the files from being unlinked until the transaction ends; return those names that are files."""
    wanted = {name: oid for name in names if (oid := parse_name(name)) is not None}
    if not wanted:
        return set()
    hold_in = catalogue.hold if catalogue.is_installed() else _hold_oids
    held = hold_in(DatabaseDriver(alias), set(wanted.values()))
    return {name for name, oid in wanted.items() if held.get(oid, "of no extension") in {None, extension_of(name)}}


def require(
    alias: str,
    names: Collection[str],
    using: str,
    *,
    kept: str | None = None,
    raw: bool = False,
    storage: TransitionalStorage | None = None,
) -> None:
    """Hold the files that a row on ``using`` comes to name, in the place of ``kept``, until the transaction ends.

    A name that is no stored name is another storage's: it is refused only where ``kept`` is a file. With ``raw`` this
    is so for every name. Files that the ``storage`` has at an old place are held, too.

    :raises LargeObjectNotFound: a name is refused, since it is no file's.
    """
    if using != alias and connections[using].vendor == "postgresql":
        _claim(using, {oid for name in names if (oid := parse_name(name)) is not None})
    missing = set(names) - hold(alias, names)
    if missing and storage is not None:
        missing -= hold_old(using, storage, missing)
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

    :raises LargeObjectError: they are more than the server's lock table holds; none was unlinked.
    """
    wanted = {name: oid for name in names if (oid := parse_name(name)) is not None}
    if not wanted:
        return
    database = DatabaseDriver(alias)
    announcing = file_unlinked.has_listeners()
    has_catalogue = catalogue.is_installed()
    lock, unlink = (catalogue.lock, catalogue.unlink) if has_catalogue else (_lock_oids, _unlink)
    with transaction.atomic(using=alias, savepoint=False):
        if not has_catalogue:
            _require_room(database, wanted.values())
        isolation, locked = lock(database, set(wanted.values()))
        oids = _files(locked, wanted)
        # The snapshot of an earlier statement does not show the rows that others have committed since.
        if not oids or isolation not in _SEEING:
            return
        gone = oids - referenced(alias, oids, *registries, using=using, besides=besides)
        _require_room(database, gone, held=0 if has_catalogue else len(oids))
        entries = catalogue.find_all(database, gone) if announcing and has_catalogue else {}
        unlink(database, gone)
        for name, oid in wanted.items():
            if announcing and oid in gone and locked[oid] in {None, extension_of(name)}:
                announce_unlinked(alias, name, entries.get(oid))


def require_room(alias: str, going: Collection[str], *registries: Apps, using: str) -> None:
    """Refuse, before they are deleted, rows whose files are more than can be unlinked in one transaction.

    Each of the names ``going`` is in one cell of the rows, which are on ``using``.

    :raises LargeObjectError: they are more than the server's lock table holds.
    """
    database = DatabaseDriver(alias)
    wanted = {name: oid for name in going if (oid := parse_name(name)) is not None}
    has_catalogue = catalogue.is_installed()
    isolation, found = (catalogue.extensions if has_catalogue else _existing)(database, set(wanted.values()))
    oids = _files(found, wanted)
    if len(oids) <= FEW or isolation not in _SEEING:
        return
    if not has_catalogue:
        _require_room(database, oids)
    rows = Counter(wanted[name] for name in going if name in wanted)
    gone = oids - referenced(alias, oids, *registries, using=using, besides=rows)
    _require_room(database, gone, held=0 if has_catalogue else len(oids))


def _files(found: Mapping[int, str | None], wanted: Mapping[str, int]) -> set[int]:
    """Return those of the objects found, with their extensions if any, that are files of the names."""
    return {oid for oid, extension in found.items() if extension is None or f"{oid}{extension}" in wanted}


def _require_room(database: DatabaseDriver, oids: Iterable[int], *, held: int = 0) -> None:
    """Refuse to lock objects that are, with the locks that are held, more than the server's lock table holds."""
    oids = set(oids)
    if len(oids) + held <= FEW:
        return
    query: LiteralString = (
        "select current_setting('max_locks_per_transaction')::int8"
        " * (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8),"
        " (select count(*) from pg_largeobject_metadata where oid = any((select %s::text::oid[])::oid[]))"
    )
    room, count = cast("tuple[int, int]", database.run(query, (as_array(oids),))[0])
    if count + held > room:
        message = (
            f"{count} files are more than the server's lock table holds for one transaction: delete their rows in"
            " batches of 1,000, each in a transaction of its own, as pg_lo_storage.lifecycle.delete_in_batches does,"
            " or raise max_locks_per_transaction"
        )
        raise LargeObjectError(message)


def _claim(using: str, oids: Collection[int]) -> None:
    """Claim files of another database until the transaction on ``using`` ends; nobody waits for that.

    Files with the same remainder share a lock: all sessions share one table of locks, and a file more is kept.
    """
    query: LiteralString = (
        "select pg_advisory_xact_lock_shared(%s::int4, oid::int8::int4)"
        " from unnest((select %s::text::oid[])::oid[]) as o (oid)"
    )
    DatabaseDriver(using).run(query, (CLAIM_LOCK, as_array({oid % CLAIM_LOCKS for oid in oids})))


def _hold_oids(database: DatabaseDriver, oids: Collection[int]) -> dict[int, None]:
    query: LiteralString = (
        "select pg_advisory_xact_lock_shared(%s::int4, (oid::int8 - 2147483648)::int4)"
        " from (select oid from pg_largeobject_metadata where oid = any((select %s::text::oid[])::oid[])"
        " order by oid offset 0) as o"
    )
    database.run(query, (NAME_LOCK, as_array(oids)))
    # Asked again: the statement that waited sees only what existed when it began.
    query = "select oid::int8 from pg_largeobject_metadata where oid = any((select %s::text::oid[])::oid[])"
    return {cast("int", row[0]): None for row in database.run(query, (as_array(oids),))}


def _existing(database: DatabaseDriver, oids: Collection[int]) -> tuple[str, dict[int, None]]:
    query: LiteralString = (
        "select oid::int8, current_setting('transaction_isolation') from pg_largeobject_metadata"
        " where oid = any((select %s::text::oid[])::oid[])"
    )
    rows = database.run(query, (as_array(oids),))
    return (cast("str", rows[0][1]) if rows else ""), {cast("int", row[0]): None for row in rows}


def _lock_oids(database: DatabaseDriver, oids: Collection[int]) -> tuple[str, dict[int, None]]:
    query: LiteralString = (
        "select oid::int8, current_setting('transaction_isolation'),"
        " pg_advisory_xact_lock(%s::int4, (oid::int8 - 2147483648)::int4)"
        " from (select oid from pg_largeobject_metadata where oid = any((select %s::text::oid[])::oid[])"
        " order by oid offset 0) as o"
    )
    rows = database.run(query, (NAME_LOCK, as_array(oids)))
    return (cast("str", rows[0][1]) if rows else ""), {cast("int", row[0]): None for row in rows}


def _unlink(database: DatabaseDriver, oids: Collection[int]) -> None:
    query: LiteralString = (
        "with gone as (select oid as loid from pg_largeobject_metadata"  # noqa: S608 -- of constants
        " where oid = any((select %s::text::oid[])::oid[]))" + UNLINK_GONE
    )
    database.run(query, (as_array(oids),), writing=True, unlinks=oids)
