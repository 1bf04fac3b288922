"""An upload that is a large object already, and becomes a file without being copied."""

import hashlib
from collections.abc import Iterator, MutableSet
from functools import cached_property, partial
from typing import IO, TYPE_CHECKING, Self

from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from typing_extensions import override

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import uploads
from pg_lo_storage.databases import DatabaseDriver, db_for_write
from pg_lo_storage.drivers.sources import is_replaced
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.buffered import BufferedLargeObject
from pg_lo_storage.io.lifetime import Lifetime
from pg_lo_storage.io.modes import READING

if TYPE_CHECKING:
    _BinaryUpload = UploadedFile[bytes]
else:
    _BinaryUpload = UploadedFile

__all__ = ["DbUploadedFile", "upload_database"]


class _Reader(LargeObjectIO):
    """Reads an upload by a statement for each block: it has no transaction, and nothing to close."""

    def __init__(self, alias: str, loid: int) -> None:
        database = DatabaseDriver(alias)
        self._set_up(loid, READING, BufferedLargeObject(database, loid, None), Lifetime())
        self._opened = False


class DbUploadedFile(_BinaryUpload):
    """An upload that was written to a large object while it arrived; it is read as any upload is.

    ``alias`` is the database that it is on, ``size`` is in bytes. What is in a request's ``unfinished`` is unlinked at
    its end; a commit takes out what has become a file.
    """

    __module__ = "pg_lo_storage.storage"

    file: IO[bytes] | None
    loid: int
    alias: str

    def __init__(
        self,
        upload: uploads.Unfinished,
        sha256: str | None,
        unfinished: MutableSet[uploads.Unfinished],
        *,
        name: str | None,
        size: int,
        content_type: str | None = None,
        charset: str | None = None,
        content_type_extra: dict[str, bytes] | None = None,
    ) -> None:
        super().__init__(_reader(upload.alias, upload.loid), name, content_type, size, charset, content_type_extra)
        self.loid = upload.loid
        self.alias = upload.alias
        if sha256 is not None:
            self.sha256 = sha256
        self._upload = upload
        self._length = size
        self._unfinished = unfinished

    @cached_property
    def sha256(self) -> str:
        """The digest, in hexadecimal. What arrived in several requests is read for it, once."""
        return hashlib.file_digest(_Reader(self.alias, self.loid), "sha256").hexdigest()

    def become_file(self, database: DatabaseDriver, upload: catalogue.Upload) -> tuple[int, str] | None:
        """Make a file of the upload, in the transaction of ``database``; return the oid and the name's extension.

        ``None`` where it has to be copied: it is on another database, or a file already, or others read it in another
        way than it arrived.
        """
        is_as_it_arrived = isinstance(self.file, _Reader) and not is_replaced(self) and not is_replaced(self.file)
        if database.alias != self.alias or not is_as_it_arrived:
            return None
        taken = uploads.take_over(database, self.loid, upload, size=self._length, sha256=self.sha256)
        if taken is not None:
            transaction.on_commit(partial(self._unfinished.discard, self._upload), using=self.alias)
        return taken

    @override
    def open(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # no path, no text
        self, mode: str | None = None
    ) -> Self:
        """Go to the start; open the upload again where it was closed."""
        if self.closed:
            self.file: IO[bytes] | None = _reader(self.alias, self.loid)
        self.seek(0)
        return self

    @override
    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the whole upload in blocks of ``chunk_size`` bytes."""
        return super().chunks(chunk_size or BLOCK)


def upload_database(alias: str | None) -> DatabaseDriver:
    """Return the database that uploads are written to.

    :raises ImproperlyConfigured: ``"pg_lo_storage"`` is not in ``INSTALLED_APPS``.
    """
    if not catalogue.is_installed():
        message = "uploads into the database need 'pg_lo_storage' in INSTALLED_APPS, and 'manage.py migrate'"
        raise ImproperlyConfigured(message)
    return DatabaseDriver(db_for_write(alias))


def _reader(alias: str, loid: int) -> IO[bytes]:
    return _Reader(alias, loid)
