"""Finds a file by its name, in the first database that has it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, LiteralString, TypeAlias, TypeVar, TypeVarTuple, cast

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import Entry, Found, missing
from pg_lo_storage.catalogue.whole import marks_for, remembered
from pg_lo_storage.catalogued import ROLE
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.aliases import Aliases
from pg_lo_storage.databases.references import reaches
from pg_lo_storage.drivers import bulk, reading
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.names import StoredName, parse_name, split_name

__all__ = [
    "Databases",
    "RowDatabases",
    "entries",
    "entry",
    "exists",
    "find",
    "locate",
    "names",
    "read_name",
    "require_catalogue",
    "require_own_name",
]

_Params = TypeVarTuple("_Params")
_T = TypeVar("_T")

_PAGE: Final = 1_000
"""Names that one query asks for."""

Databases: TypeAlias = Iterable[DatabaseDriver]
"""The databases that may have a file: the read alias, then the write alias, since a replica may lag behind."""


@dataclass(frozen=True)
class RowDatabases:
    """Those that may have a row's file; which the second is, if any, is asked where the first lacks the file."""

    aliases: Aliases

    def __iter__(self) -> Iterator[DatabaseDriver]:
        yield DatabaseDriver(self.aliases.read)
        if self.aliases.write != self.aliases.read:
            yield DatabaseDriver(self.aliases.write)


def read_name(name: object) -> StoredName:
    """Return the parts of a stored name.

    :raises LargeObjectNotFound: ``name`` is no stored name.
    """
    if (stored := split_name(name)) is None:
        raise missing(name)
    return stored


def require_catalogue() -> None:
    """Require the catalogue.

    :raises NotImplementedError: there is none; Django's storages raise it for what they do not support.
    """
    if not catalogue.is_installed():
        message = "this needs the catalogue of stored files: add 'pg_lo_storage' to INSTALLED_APPS, and migrate"
        raise NotImplementedError(message)


def require_own_name(database: DatabaseDriver, name: str) -> None:
    """Require that ``name`` is the file's own name, since only by that may it be changed.

    :raises LargeObjectNotFound: it is not.
    """
    loid, extension = read_name(name)
    is_own = (
        catalogue.find(database, loid, extension) is not None
        if catalogue.is_installed()
        else reaches(database.alias, name, loid)
    )
    if not is_own:
        raise missing(name, loid)


def find(databases: Databases, name: StoredName, whole: int, start: int = 0) -> Found:
    """Find and read the file, in one statement: all of up to ``whole`` bytes, else the first ``start`` bytes."""
    read = catalogue.read if catalogue.is_installed() else _uncatalogued
    return _first(databases, read, *name, whole, start)


def _uncatalogued(database: DatabaseDriver, loid: int, _extension: str, whole: int, start: int) -> Found:
    marks = marks_for(database)
    columns: LiteralString = marks.sql + ROLE
    statement = reading.get_start(loid, whole, start, columns, params=marks.params, columns=(*marks.types, str))
    size, data, known = database.perform(statement, lambda: bulk.get_start(database, loid, whole, start))
    *values, role = known or ("",)
    return Found(database, loid, size, data, remembered=remembered(marks, values), role=cast("str", role))


def locate(databases: Databases, name: str) -> Found:
    """Find the file and its size in bytes, in one statement that reads no content."""
    loid, extension = read_name(name)
    if catalogue.is_installed():
        return _first(databases, catalogue.locate, loid, extension)
    return _first(databases, lambda database: Found(database, loid, database.size(loid)))


def entry(databases: Databases, name: str) -> Entry:
    """Return the file's entry in the catalogue."""
    require_catalogue()
    loid, extension = read_name(name)
    for database in databases:
        if (found := catalogue.find(database, loid, extension)) is not None:
            return found
    raise missing(name, loid)


def entries(databases: Databases, names: Iterable[str]) -> dict[str, Entry]:
    """Return, by name, the entries of those names that are files, in one query per database."""
    require_catalogue()
    wanted = {name: loid for name in names if (loid := parse_name(name)) is not None}
    found: dict[str, Entry] = {}
    for database in databases if wanted else ():
        known = catalogue.find_all(database, {loid for name, loid in wanted.items() if name not in found})
        found |= {name: known[loid] for name, loid in wanted.items() if loid in known}
        if len(found) == len(wanted):
            break
    return {name: each for name, each in found.items() if each.is_named(name)}


def names(database: Callable[[], DatabaseDriver], after: str) -> Iterator[str]:
    """Return an iterator of the names of all catalogued files in the order of their oids, from ``after`` on.

    :raises ValueError: ``after`` is no stored name.
    """
    last = parse_name(after) if after else 0
    if last is None:
        message = f"{after!r} is no name of a stored file"
        raise ValueError(message)

    def pages(last: int) -> Iterator[str]:
        while page := catalogue.names(database(), last, _PAGE):
            yield from page
            last = read_name(page[-1]).loid

    return pages(last)


def exists(databases: Databases, name: str) -> bool:
    """Tell whether there is such a file."""
    if (stored := split_name(name)) is None:
        return False
    if catalogue.is_installed():
        return any(catalogue.find(database, *stored) for database in databases)
    return any(database.exists(stored.loid) for database in databases)


def _first(databases: Databases, ask: Callable[[DatabaseDriver, *_Params], _T], *params: *_Params) -> _T:
    following = iter(databases)
    database = next(following)
    while True:
        try:
            return ask(database, *params)
        except LargeObjectNotFound:
            if (other := next(following, None)) is None:
                raise
        database = other
