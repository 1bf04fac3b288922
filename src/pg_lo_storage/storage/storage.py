"""The storage: saves files as large objects, and finds them again by name.

Storage API: https://docs.djangoproject.com/en/stable/ref/files/storage/
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.utils.deconstruct import deconstructible
from django.utils.functional import LazyObject
from django.utils.timezone import get_default_timezone, make_naive
from typing_extensions import override

from pg_lo_storage import catalogue
from pg_lo_storage.aio.cancellation import completed
from pg_lo_storage.catalogue import Entry, Found
from pg_lo_storage.databases import DatabaseDriver, db_for_read
from pg_lo_storage.databases.references import reaches
from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.drivers.values import BATCH
from pg_lo_storage.io.modes import BinaryMode, parse_mode
from pg_lo_storage.names import MAX_OID, make_name, parse_name, split_name
from pg_lo_storage.signals import announce_unlinked, file_unlinked
from pg_lo_storage.storage import lookup, saving
from pg_lo_storage.storage.async_files import AsyncDbFile
from pg_lo_storage.storage.files import DbFile, DbFileIO, open_stored, upload_of
from pg_lo_storage.storage.lookup import read_name, require_catalogue, require_own_name
from pg_lo_storage.storage.saving import PART, SMALL
from pg_lo_storage.storage.uploads import DbUploadedFile
from pg_lo_storage.storage.urls import StorageWithURLs

if TYPE_CHECKING:
    from typing import IO

    _BinaryFile = File[bytes]
    _LazyStorage = LazyObject["DbFileStorage"]
else:
    _BinaryFile = File
    _LazyStorage = LazyObject

__all__ = ["DbFileStorage", "db_file_storage"]


@deconstructible(path="pg_lo_storage.storage.DbFileStorage")
class DbFileStorage(StorageWithURLs):
    """Keeps files as large objects named ``<oid>.<original extension>``; a name of another form names no file.

    ``base_url`` is the URL of the view that serves them (default: ``MEDIA_URL``). ``alias`` replaces the settings' read
    and write aliases.

    With ``signed`` a URL carries the right to read its file for ``max_age`` seconds;
    :func:`pg_lo_storage.views.db_serve_signed` serves it.
    """

    __module__ = "pg_lo_storage.storage"

    def __init__(
        self,
        base_url: str | None = None,
        alias: str | None = None,
        *,
        signed: bool = False,
        max_age: float | timedelta = 3600,
    ) -> None:
        super().__init__(base_url, alias, signed=signed, max_age=max_age)

    @override
    def save(
        self,
        name: str | None,
        content: "File[bytes] | File[str] | IO[bytes] | IO[str]",  # Django's File is IO to its stubs only
        max_length: int | None = None,
    ) -> str:
        """Store all of ``content``, or nothing, as a new object and return its name; text is encoded as UTF-8.

        Up to 256 KB take one statement; more takes a transaction, or a savepoint inside an open transaction. An upload
        that is on this database already (:class:`DbUploadedFile`) becomes the file in one statement, once.

        :raises SuspiciousFileOperation: ``max_length`` characters cannot hold the name of every object.
        """
        if max_length is not None and max_length < len(str(MAX_OID)):
            message = f"max_length={max_length} cannot hold a stored name: use {len(str(MAX_OID))} or, better, 100"
            raise SuspiciousFileOperation(message)
        if name is None:
            name = cast("str | None", getattr(content, "name", None))
        if not hasattr(content, "chunks"):
            content = File(cast("IO[bytes]", content), name)
        database = DatabaseDriver(self.write_alias)
        blocks = saving.in_blocks(_chunks(cast("_BinaryFile", content)))
        if not catalogue.is_installed():
            return make_name(saving.save(database, blocks, content), name, max_length=max_length)
        upload = upload_of(name or "", getattr(content, "content_type", None), max_length)
        taken_over = content.become_file(database, upload) if isinstance(content, DbUploadedFile) else None
        loid, extension = taken_over or saving.save_catalogued(database, blocks, upload, content)
        return f"{loid}{extension}"

    @override
    def open(self, name: str, mode: str = "rb") -> DbFile:
        """Open a stored file; ``w`` empties it, unlike with :class:`DbFileIO`.

        :raises FileNotFoundError: there is no such file, whatever the mode.
        :raises ValueError: ``mode`` is a text mode, or ``x``: only :meth:`save` makes a name.
        """
        return self._open(name, mode)

    def _open(self, name: str, mode: str = "rb") -> DbFile:
        stored, parsed = read_name(name), parse_mode(mode)
        if not parsed.writable:
            find = partial(lookup.find, self._databases(), stored, SMALL)
            return DbFile(DbFileIO.of_found(find, name, self._of_row or self._alias), name)

        def open_(binary: BinaryMode) -> DbFileIO:
            require_own_name(DatabaseDriver(self.write_alias), name)
            return DbFileIO(stored.loid, binary, name, self._of_row.write if self._of_row else self._alias)

        return DbFile(open_stored(open_, parsed), name)

    @override
    def delete(self, name: str) -> None:
        """Delete the file in the current transaction; do nothing where there is no such file."""
        if (stored := split_name(name)) is None:
            return
        database = DatabaseDriver(self.write_alias)
        announcing, entry = file_unlinked.has_listeners(), None
        if catalogue.is_installed():
            entry = catalogue.find(database, *stored) if announcing else None
            is_gone = catalogue.remove(database, *stored)
        else:
            is_gone = reaches(database.alias, name, stored.loid) and database.unlink(stored.loid)
        if is_gone and announcing:
            announce_unlinked(self.write_alias, name, entry)

    @override
    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return lookup.exists(self._databases(), name)

    @override
    def size(self, name: str) -> int:
        """Return the file's size in bytes."""
        return self.locate(name).size

    @override
    def get_created_time(self, name: str) -> datetime:
        """Return when the file was saved, from the catalogue."""
        return _in_settings_zone(self.entry(name).created_at)

    @override
    def get_modified_time(self, name: str) -> datetime:
        """Return when the file was saved or last written in place, from the catalogue."""
        return _in_settings_zone(self.entry(name).modified_at)

    @override
    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return no folders, and the names of all catalogued files, in one list; ``""`` is the only folder."""
        if path.strip("./"):
            message = f"there is no folder {path!r}: all files are in {''!r}"
            raise FileNotFoundError(message)
        require_catalogue()
        return [], catalogue.names(DatabaseDriver(self.read_alias))

    def names(self, after: str = "") -> Iterator[str]:
        """Yield the names of all catalogued files in the order of their numbers, those ``after`` a name alone.

        It takes a query for each thousand, and memory for as many.

        :raises ValueError: ``after`` is no stored name.
        :raises NotImplementedError: there is no catalogue.
        """
        require_catalogue()
        return lookup.names(lambda: DatabaseDriver(self.read_alias), after)

    def entry(self, name: str) -> Entry:
        """Return the file's entry in the catalogue.

        :raises FileNotFoundError: there is no such file.
        :raises NotImplementedError: there is no catalogue.
        """
        return lookup.entry(self._databases(), name)

    def entries(self, names: Iterable[str]) -> dict[str, Entry]:
        """Return, by name, the entries of those names that are files, in one query per database."""
        return lookup.entries(self._databases(), names)

    def verify(self, name: str) -> bool | None:
        """Read the whole file and tell, by its sha256, whether the bytes are those that were saved.

        ``None`` where the catalogue has no digest: after a write in place, and for an adopted file.

        :raises FileNotFoundError: there is no such file.
        :raises NotImplementedError: there is no catalogue.
        """
        require_catalogue()
        while True:
            found = self.locate(name)
            database, entry = found.database, found.entry
            if entry is None or entry.sha256 is None:
                return None
            digest = hashlib.sha256()
            step = MAX_SIZE if database.is_streaming else BATCH
            # Start again where somebody has changed the file meanwhile: the digest changed with it.
            if all(
                catalogue.stream_version(database, entry, start, step, digest.update)
                for start in range(0, found.size or 1, step)
            ):
                return digest.hexdigest() == entry.sha256

    @override
    def generate_filename(self, filename: str | os.PathLike[str]) -> str:
        """Return ``filename`` as it is: only its extension is kept."""
        return os.fspath(filename)

    @override
    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return ``name`` as it is: every save makes a new object."""
        return name

    async def asave(
        self,
        name: str | None,
        content: "File[bytes] | File[str] | IO[bytes] | IO[str]",
        max_length: int | None = None,
    ) -> str:
        """:meth:`save`, awaited; where it is cancelled the file is deleted again."""
        # The thread of a cancelled call still saves the file, and nobody else knows its name.
        saved, cancellation = await completed(sync_to_async(self.save)(name, content, max_length), patience=None)
        if cancellation is not None:
            with contextlib.suppress(Exception):
                await completed(self.adelete(saved), patience=None)
            raise cancellation
        return saved

    async def aopen(self, name: str, mode: str = "rb") -> AsyncDbFile:
        """:meth:`open`, awaited; the file's methods are awaited too."""
        file, cancellation = await completed(sync_to_async(self.open)(name, mode), patience=None)
        if cancellation is not None:
            with contextlib.suppress(Exception):
                await completed(sync_to_async(file.close)(), patience=None)
            raise cancellation
        return AsyncDbFile(file)

    async def adelete(self, name: str) -> None:
        """:meth:`delete`, awaited."""
        await sync_to_async(self.delete)(name)

    async def aexists(self, name: str) -> bool:
        """:meth:`exists`, awaited."""
        return await sync_to_async(self.exists)(name)

    async def asize(self, name: str) -> int:
        """:meth:`size`, awaited."""
        return await sync_to_async(self.size)(name)

    def is_valid_name(self, name: str) -> bool:
        """Tell, without a query, whether ``name`` has the form of a stored name."""
        return parse_name(name) is not None

    def find(self, name: str, whole: int, start: int = 0) -> Found:
        """Find and read the file, in one statement: all of up to ``whole`` bytes, else the first ``start`` bytes."""
        return lookup.find(self._databases(), read_name(name), whole, start)

    def locate(self, name: str) -> Found:
        """Find the file and its size in bytes, in one statement that reads no content."""
        return lookup.locate(self._databases(), name)

    def _databases(self) -> lookup.Databases:
        if self._of_row:
            return lookup.RowDatabases(self._of_row)
        aliases = dict.fromkeys((db_for_read(self._read_alias), self.write_alias))
        return list(map(DatabaseDriver, aliases))


def _chunks(content: "_BinaryFile") -> Iterable[bytes]:
    # Chunks of PART bytes need not be joined; a class with its own chunks() chooses their size.
    return content.chunks(PART) if getattr(type(content), "chunks", None) is _BinaryFile.chunks else content.chunks()


class DefaultDbFileStorage(_LazyStorage):
    """Makes :data:`db_file_storage` when it is first used: settings may not be there at import."""

    def _setup(self) -> None:
        self._wrapped = DbFileStorage()


db_file_storage: DbFileStorage = cast("DbFileStorage", DefaultDbFileStorage())
"""The default storage, on the settings' databases and ``MEDIA_URL``."""


def _in_settings_zone(moment: datetime) -> datetime:
    return moment if settings.USE_TZ else make_naive(moment, get_default_timezone())
