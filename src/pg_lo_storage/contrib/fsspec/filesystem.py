"""The filesystem: large objects by name, all in one folder."""

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal, overload

from fsspec.callbacks import DEFAULT_CALLBACK
from typing_extensions import Buffer, override

from pg_lo_storage.contrib.fsspec import listing
from pg_lo_storage.contrib.fsspec.base import Callback
from pg_lo_storage.contrib.fsspec.opening import OpeningFileSystem
from pg_lo_storage.contrib.fsspec.paths import Info, details, existing, removable, writable
from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.names import parse_name
from pg_lo_storage.transfer import blocking
from pg_lo_storage.transfer.files import StrPath, replacing

__all__ = ["PgLoFileSystem"]


class PgLoFileSystem(OpeningFileSystem):
    """PostgreSQL's large objects: ``123`` and ``123.parquet`` name the object with the oid 123.

    It takes one of

    - ``dsn``, a connection string or URL, and libpq's keywords: it opens a connection of its own, by psycopg or else
      psycopg2, in autocommit, until :meth:`close`;
    - ``connection``, an open one: all calls belong to the caller's transaction, if there is one;
    - ``alias``, of a database of Django's.

    Writing to a name replaces the object, whole or not at all, or creates it if the oid is free. ``new`` and
    ``new.parquet`` create an object whose oid the server picks: its name is then the ``path`` of the file, the result
    of :meth:`pipe_file`, :meth:`put_file` and :meth:`cp_file`, and ``last_created``.

    Names of any other form do not exist. There are no folders. Errors are those of :mod:`pg_lo_storage.exceptions`;
    none of them leaves a transaction aborted.

    :raises OSError: a name of another form is written.
    """

    __module__ = "pg_lo_storage.contrib.fsspec"

    # What there is

    @overload
    def ls(self, path: StrPath, detail: Literal[True] = True, **_kwargs: object) -> list[Info]: ...
    @overload
    def ls(self, path: StrPath, detail: Literal[False], **_kwargs: object) -> list[str]: ...
    @overload
    def ls(self, path: StrPath, detail: bool = True, **_kwargs: object) -> list[Info] | list[str]: ...
    def ls(self, path: StrPath, detail: bool = True, **_kwargs: object) -> list[Info] | list[str]:
        """List one object, or for ``""`` all; ``size`` is ``None`` for an object that the role may not read.

        If the database has a catalogue, the names have its extensions.
        """
        if name := self._name(path):
            info = self.info(name)
            return [info] if detail else [name]
        with self.session.guarded() as driver:
            listed = [(f"{found.oid}{found.extension}", found) for found in listing.list_objects(driver, sizes=detail)]
        return (
            [details(name, found.oid, found.size) for name, found in listed] if detail else [name for name, _ in listed]
        )

    def info(self, path: StrPath, **_kwargs: object) -> Info:
        """Return ``name``, ``size`` in bytes, ``type`` and ``oid``, in one statement."""
        if not (name := self._name(path)):
            return {"name": "", "size": 0, "type": "directory"}
        oid = existing(name)
        with self.session.guarded() as driver:
            return details(name, oid, driver.size(oid))

    def exists(self, path: StrPath, **_kwargs: object) -> bool:
        """Tell whether there is such an object, readable or not; errors of the connection are raised."""
        if not (name := self._name(path)):
            return True
        if (oid := parse_name(name)) is None:
            return False
        with self.session.guarded() as driver:
            return driver.exists(oid)

    def isfile(self, path: StrPath) -> bool:
        """Tell whether there is such an object."""
        return bool(self._name(path)) and self.exists(path)

    def isdir(self, path: StrPath) -> bool:
        """Tell whether it is the one folder there is."""
        return not self._name(path)

    def created(self, path: StrPath) -> datetime:
        """Return when a catalogued object was created.

        :raises io.UnsupportedOperation: the object is not in the catalogue.
        """
        return self._times(path)[0]

    def modified(self, path: StrPath) -> datetime:
        """Return when a catalogued object was last written.

        :raises io.UnsupportedOperation: the object is not in the catalogue.
        """
        return self._times(path)[1]

    def ukey(self, path: StrPath) -> str:
        """Return the content's SHA-256, for which all is read: the server keeps no version of an object."""
        with self.session.unit(), self.open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def checksum(self, path: StrPath) -> int:
        """Return the content's SHA-256 as a number."""
        return int(self.ukey(path), 16)

    # Reading

    def cat_file(self, path: StrPath, start: int | None = None, end: int | None = None, **_kwargs: object) -> bytes:
        """Return the content, or a slice of it, as it is at one moment."""
        oid = existing(self._name(path))
        if start is None and end is None:
            with self.session.guarded() as driver:
                return blocking.load(driver, oid)
        if start is not None and end is not None and 0 <= start <= end <= start + MAX_BLOCK:
            with self.session.guarded() as driver:
                return driver.get(oid, start, end - start)
        with self.session.unit() as driver, LargeObjectIO(driver, oid) as file:
            first, last, _ = slice(start, end).indices(file.size)
            file.seek(first)
            return file.read(max(last - first, 0))

    def get_file(
        self,
        rpath: StrPath,
        lpath: "StrPath | BinaryIO | None" = None,
        callback: Callback = DEFAULT_CALLBACK,
        outfile: BinaryIO | None = None,
        **_kwargs: object,
    ) -> None:
        """Copy an object, as it is at one moment, to an open file, or to a local one whole or not at all.

        The folders above the file are made; ``""`` is copied as a folder.
        """
        target = outfile or lpath
        if not isinstance(target, str | os.PathLike):
            if target is None:
                message = "get_file() takes a path or a file to write to"
                raise TypeError(message)
            self._copy_to(rpath, target, callback)
        elif self.isdir(rpath):
            Path(target).mkdir(parents=True, exist_ok=True)
        else:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as file:
                self._copy_to(rpath, file, callback)

    # Writing

    def pipe_file(
        self, path: StrPath, value: Buffer, mode: Literal["overwrite", "create"] = "overwrite", **_kwargs: object
    ) -> str:
        """Set the content; return the object's name."""
        return self._store(self._name(path), value, "x" if mode == "create" else "w")

    def put_file(
        self,
        lpath: StrPath,
        rpath: StrPath,
        callback: Callback = DEFAULT_CALLBACK,
        mode: Literal["overwrite", "create"] = "overwrite",
        **_kwargs: object,
    ) -> str | None:
        """Set the content to a local file's; return the object's name, or ``None`` for a folder."""
        source = Path(lpath)
        if source.is_dir():
            return None
        with source.open("rb") as file:
            callback.set_size(os.fstat(file.fileno()).st_size)
            return self._store(self._name(rpath), _reported(file, callback), "x" if mode == "create" else "w")

    def cp_file(self, path1: StrPath, path2: StrPath, **_kwargs: object) -> str:
        """Copy an object and return the copy's name; for ``new`` the bytes stay in the server.

        :raises shutil.SameFileError: both paths name the same object.
        """
        source, path = existing(self._name(path1)), self._name(path2)
        target = writable(path)
        if source == target:
            message = f"{path1!r} and {path2!r} are the same large object"
            raise shutil.SameFileError(message)
        with self.session.unit() as driver:
            if not target:
                return self._created(blocking.copy(driver, source), path)
            with LargeObjectIO(driver, source) as file:
                return self._store(path, file, "w")

    @override
    def mv(self, path1: StrPath, path2: StrPath, **kwargs: object) -> None:
        """Copy an object and unlink the original, all or nothing."""
        with self.session.unit():
            super().mv(path1, path2, **kwargs)

    @override
    def rm(self, path: "StrPath | list[str]", recursive: bool = False, maxdepth: int | None = None) -> None:
        """Unlink objects, outside a transaction each in its own.

        :raises PermissionError: a path is ``""``, which is all objects.
        """
        if not all(self._name(each) for each in (path if isinstance(path, list) else [path])):
            message = "this would unlink every large object of the database: name them, or a pattern"
            raise PermissionError(errno.EPERM, message)
        super().rm(path, recursive=recursive, maxdepth=maxdepth)

    def _rm(self, path: StrPath) -> None:
        oid = removable(self._name(path))
        with self.session.unit() as driver:
            listing.remove(self.session.rows, oid)
            if not driver.unlink(oid):
                message = f"large object {oid} does not exist"
                raise LargeObjectNotFound(message, oid=oid)

    def _copy_to(self, path: StrPath, target: BinaryIO, callback: Callback) -> None:
        with self.session.unit(), self.open(path) as file:
            callback.set_size(file.size)
            for block in file.chunks(MAX_BLOCK):
                target.write(block)
                callback.relative_update(len(block))

    def _times(self, path: StrPath) -> tuple[datetime, datetime]:
        oid = existing(self._name(path))
        with self.session.guarded() as driver:
            if (found := listing.times(driver, oid)) is not None:
                return found
            driver.size(oid)  # which raises if the object is missing
        message = f"PostgreSQL keeps no times of large objects, and no catalogue of this database knows {oid}"
        raise io.UnsupportedOperation(message)


def _reported(file: BinaryIO, callback: Callback) -> Iterator[bytes]:
    while block := file.read(MAX_BLOCK):
        yield block
        callback.relative_update(len(block))
