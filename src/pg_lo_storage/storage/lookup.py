"""Finding a file by its name: in the first of some databases that has it."""

from collections.abc import Callable, Iterable, Sequence
from typing import LiteralString, TypeAlias, TypeVar

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import Entry, Found
from pg_lo_storage.catalogue.whole import REMEMBER, WRITER, new_token, remembered
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.references import reaches
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.names import extension_of, parse_name

__all__ = [
    "entries",
    "entry",
    "exists",
    "find",
    "locate",
    "missing",
    "oid_of",
    "require_catalogue",
    "require_own_name",
]

_T = TypeVar("_T")

Databases: TypeAlias = Sequence[DatabaseDriver]
"""Where it may be: that for reading, and, since a replica may not have it yet, that for writing."""


def oid_of(name: object) -> int:
    """Return the oid that the name stands for.

    :raises LargeObjectNotFound: it can be no stored file's name.
    """
    if (loid := parse_name(name)) is None:
        raise missing(name)
    return loid


def missing(name: object, loid: int | None = None) -> LargeObjectNotFound:
    """Return the error that says so."""
    return LargeObjectNotFound(f"no stored file is named {name!r}", oid=loid)


def require_catalogue() -> None:
    """Raise what Django's storages do for what they cannot tell, where there is no catalogue."""
    if not catalogue.is_installed():
        message = "this needs the catalogue of stored files: add 'pg_lo_storage' to INSTALLED_APPS, and migrate"
        raise NotImplementedError(message)


def require_own_name(database: DatabaseDriver, name: str) -> None:
    """Raise LargeObjectNotFound where a file would be changed by a name that is not its own."""
    loid = oid_of(name)
    is_own = (
        catalogue.find(database, loid, extension_of(name)) is not None
        if catalogue.is_installed()
        else reaches(database.alias, name, loid)
    )
    if not is_own:
        raise missing(name, loid)


def find(databases: Databases, name: str, whole: int, start: int = 0) -> Found:
    """Find the file and read all of up to ``whole`` bytes, or else the first ``start`` bytes, in one statement."""
    loid = oid_of(name)

    def read(database: DatabaseDriver) -> Found:
        if not catalogue.is_installed():
            return _uncatalogued(database, loid, whole, start)
        return _known(catalogue.read(database, loid, extension_of(name), whole, start), name)

    return _first(databases, read)


def _uncatalogued(database: DatabaseDriver, loid: int, whole: int, start: int) -> Found:
    token = new_token(database)
    columns: LiteralString = REMEMBER + ", " + WRITER
    size, data, known = database.get_start(loid, whole, start, columns, (token, token))
    return Found(database, loid, size, data, remembered=remembered(token, known))


def locate(databases: Databases, name: str) -> Found:
    """Find the file, and its size in bytes, in one statement that reads nothing of it."""
    loid = oid_of(name)

    def measure(database: DatabaseDriver) -> Found:
        if not catalogue.is_installed():
            return Found(database, loid, database.size(loid))
        return _known(catalogue.locate(database, loid, extension_of(name)), name)

    return _first(databases, measure)


def entry(databases: Databases, name: str) -> Entry:
    """Return what the catalogue says of the file."""
    require_catalogue()
    loid = oid_of(name)
    return _first(databases, lambda database: _known(catalogue.find(database, loid, extension_of(name)), name))


def entries(databases: Databases, names: Iterable[str]) -> dict[str, Entry]:
    """Return what the catalogue says of those of the names that are files, in one query a database."""
    require_catalogue()
    wanted = {name: loid for name in names if (loid := parse_name(name)) is not None}
    found: dict[str, Entry] = {}
    for database in databases:
        if lacking := {loid for name, loid in wanted.items() if name not in found}:
            known = catalogue.find_all(database, lacking)
            found |= {name: known[loid] for name, loid in wanted.items() if loid in known}
    return {name: each for name, each in found.items() if each.is_named(name)}


def exists(databases: Databases, name: str) -> bool:
    """Tell whether there is such a file."""
    if (loid := parse_name(name)) is None:
        return False
    if catalogue.is_installed():
        return any(catalogue.find(database, loid, extension_of(name)) for database in databases)
    return any(database.exists(loid) for database in databases)


def _first(databases: Databases, ask: Callable[[DatabaseDriver], _T]) -> _T:
    *others, last = databases
    for database in others:
        try:
            return ask(database)
        except LargeObjectNotFound:
            continue
    return ask(last)


def _known(found: _T | None, name: str) -> _T:
    if found is None:
        raise missing(name, parse_name(name))
    return found
