"""Finds what is to be known of a file: of any large object its size, of a catalogued file all."""

from typing import LiteralString

from pg_lo_storage.aio.registry import get_async_driver
from pg_lo_storage.catalogued import Entry, Located, located, missing
from pg_lo_storage.content_types import UNKNOWN, content_type_of
from pg_lo_storage.drivers.registry import get_driver
from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.presentation import printable
from pg_lo_storage.http.statements import perform, perform_async
from pg_lo_storage.names import StoredName, split_name

__all__ = ["afind", "afind_catalogued", "facts_of", "find", "find_catalogued"]


def find(connection: object, oid: int, name: str = "") -> FileFacts:
    """Return the facts of a large object: there is its size, and ``name`` as you know it.

    :raises LargeObjectNotFound: there is no such object.
    """
    return FileFacts(oid, get_driver(connection).size(oid), name)


async def afind(connection: object, oid: int, name: str = "") -> FileFacts:
    """:func:`find`, awaited."""
    return FileFacts(oid, await get_async_driver(connection).size(oid), name)


def find_catalogued(connection: object, name: str) -> FileFacts:
    """Return the facts of the file ``name``, such as ``"12.pdf"``, in the catalogue of a Django project.

    :raises LargeObjectNotFound: there is no such file, or ``name`` is none of a file.
    :raises LargeObjectPermissionDenied: the role may not read its object.
    :raises ValueError: the connection's driver has no SQL.
    """
    return _facts_of(name, perform(get_driver(connection), located(*_read(name))))


async def afind_catalogued(connection: object, name: str) -> FileFacts:
    """:func:`find_catalogued`, awaited."""
    return _facts_of(name, await perform_async(get_async_driver(connection), located(*_read(name))))


def facts_of(name: str, oid: int, size: int, entry: Entry | None, catalogue: LiteralString | None = None) -> FileFacts:
    """Return the facts of the stored file ``name``; ``catalogue`` is the table that its entry is in."""
    if entry is None:
        return FileFacts(oid, size, name)
    original, content_type = entry.original_name, entry.content_type
    if not original.isprintable():
        original = printable(original)
    if entry.extension is None and content_type_of("", content_type) == UNKNOWN:
        # DbFileIO made the object without a name: any extension names it, and the catalogue has no type.
        content_type = content_type_of(name)
    # Otherwise somebody has changed it behind the catalogue, and it is not what was saved.
    is_as_saved = entry.size in {None, size}
    return FileFacts(
        oid,
        size,
        original or name,
        content_type,
        entry.sha256 if is_as_saved else None,
        entry.version,
        entry.modified_at,
        written_once=is_as_saved and entry.modified_at == entry.created_at,
        catalogue=catalogue,
    )


def _facts_of(name: str, found: Located) -> FileFacts:
    return facts_of(name, found.entry.loid, found.size, found.entry, found.table)


def _read(name: str) -> StoredName:
    if (stored := split_name(name)) is None:
        raise missing(name)
    return stored
