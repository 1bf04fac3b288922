"""The catalogue: a table with an entry for each file, in use where ``"pg_lo_storage"`` is in ``INSTALLED_APPS``."""

from pg_lo_storage.catalogue.entries import Upload, is_installed
from pg_lo_storage.catalogue.finding import Found, find, find_all, locate, names, read, stream_version
from pg_lo_storage.catalogue.queries import add, hold, keep_times, mark_written, save
from pg_lo_storage.catalogue.unlinking import UNLINK_GONE, as_array, extensions, lock, remove, unlink
from pg_lo_storage.catalogued import Entry, missing

__all__ = [
    "UNLINK_GONE",
    "Entry",
    "Found",
    "Upload",
    "add",
    "as_array",
    "extensions",
    "find",
    "find_all",
    "hold",
    "is_installed",
    "keep_times",
    "locate",
    "lock",
    "mark_written",
    "missing",
    "names",
    "read",
    "remove",
    "save",
    "stream_version",
    "unlink",
]
