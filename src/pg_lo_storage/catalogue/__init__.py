"""Catalogued files: the table that says what each is, in use where ``"pg_lo_storage"`` is in ``INSTALLED_APPS``."""

from pg_lo_storage.catalogue.entries import Entry, Upload, is_installed
from pg_lo_storage.catalogue.queries import (
    UNLINK_GONE,
    Found,
    add,
    as_array,
    find,
    find_all,
    find_sized,
    hold,
    lock,
    mark_written,
    names,
    read,
    remove,
    save,
    stream_version,
    unlink,
)

__all__ = [
    "UNLINK_GONE",
    "Entry",
    "Found",
    "Upload",
    "add",
    "as_array",
    "find",
    "find_all",
    "find_sized",
    "hold",
    "is_installed",
    "lock",
    "mark_written",
    "names",
    "read",
    "remove",
    "save",
    "stream_version",
    "unlink",
]
