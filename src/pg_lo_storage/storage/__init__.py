"""Files in large objects as Django's storage: https://docs.djangoproject.com/en/stable/ref/files/storage/."""

from pg_lo_storage.catalogue import Entry
from pg_lo_storage.databases import db_for_read, db_for_write
from pg_lo_storage.storage.async_files import AsyncDbFile
from pg_lo_storage.storage.files import DbFile, DbFileIO
from pg_lo_storage.storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.storage.transitional import TransitionalStorage
from pg_lo_storage.storage.uploads import DbUploadedFile

__all__ = [
    "AsyncDbFile",
    "DbFile",
    "DbFileIO",
    "DbFileStorage",
    "DbUploadedFile",
    "Entry",
    "TransitionalStorage",
    "db_file_storage",
    "db_for_read",
    "db_for_write",
]
