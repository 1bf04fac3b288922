"""The places that files move between: large objects, or any other of Django's storages."""

import hashlib
import os
import posixpath
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol, cast

from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage
from django.utils.text import get_valid_filename
from typing_extensions import override

from pg_lo_storage import catalogue
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.aliases import Aliases
from pg_lo_storage.drivers.values import BATCH
from pg_lo_storage.lifecycle.old_files import is_named
from pg_lo_storage.lifecycle.sharing import release
from pg_lo_storage.names import parse_name, split_name
from pg_lo_storage.storage import DbFile, DbFileStorage, TransitionalStorage, db_file_storage, elsewhere

if TYPE_CHECKING:
    _BinaryFile = File[bytes]
else:
    _BinaryFile = File

__all__ = ["Elsewhere", "LargeObjects", "Original", "Place", "digest_of", "usable_name"]

_LONGEST: Final = 240
"""Bytes in a name: file systems take 255, and Django adds some letters to one that is taken."""


@dataclass(frozen=True)
class Original:
    """What is known of a file that moves, beside its bytes."""

    name: str
    """Without folders, as its user called it."""
    content_type: str | None = None
    created: datetime | None = None
    modified: datetime | None = None
    sha256: str | None = None
    """The digest that was made when the file was saved, in hexadecimal."""
    path: str = ""
    """The name that it has where it is, where that may be its name at the new place, too."""


class Place(Protocol):
    """Where files are, or go."""

    def has(self, name: str) -> bool:
        """Tell whether there is such a file."""
        ...

    def size(self, name: str) -> int:
        """Return a file's size in bytes."""
        ...

    def open(self, name: str) -> "File[bytes]":
        """Open a file for reading."""
        ...

    def about(self, name: str, file: "File[bytes]") -> Original:
        """Return what is known of an opened file."""
        ...

    def save(self, content: "Hashed", original: Original, wanted: Callable[[], str], max_length: int | None) -> str:
        """Store a file under the name that is ``wanted`` or, as large objects, one of its own; return the name."""
        ...


class Hashed(_BinaryFile):
    """A file that makes the digest of what is read of it, block by block."""

    def __init__(self, file: "File[bytes]") -> None:
        super().__init__(file.file, file.name)
        self.opened = file
        self.size = 0  # pyright: ignore[reportIncompatibleVariableOverride]  # counted, and not asked for
        self._digest = hashlib.sha256()

    @override
    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        self.size, self._digest = 0, hashlib.sha256()
        self.opened.seek(0)
        while block := self.opened.read(chunk_size or BATCH):
            self.size += len(block)
            self._digest.update(block)
            yield block

    def hexdigest(self) -> str:
        """Return the digest of the blocks that were read."""
        return self._digest.hexdigest()

    def read_through(self) -> str:
        """Read all, keep nothing, and return the digest."""
        for _ in self.chunks():
            pass
        return self.hexdigest()


def digest_of(place: Place, name: str) -> str:
    """Return the SHA-256 of all bytes of a file, as they are read now."""
    with place.open(name) as file:
        return Hashed(file).read_through()


def usable_name(name: str) -> str:
    """Return what a file of that name is called in a folder, as Django has it; empty where that is nothing."""
    try:
        valid: str = get_valid_filename(name.replace("\\", "/").rpartition("/")[2])
    except SuspiciousFileOperation:
        return ""
    root, extension = posixpath.splitext(valid)
    room = _LONGEST - len(extension.encode())
    return root.encode()[:room].decode(errors="ignore") + extension if room > 0 else root


class LargeObjects(Place):
    """A storage of large objects on one database; ``other`` is the storage at the other end of the way."""

    def __init__(self, storage: object, using: str, other: Storage) -> None:
        new = storage.new if isinstance(storage, TransitionalStorage) else storage
        found = new if isinstance(new, DbFileStorage) else db_file_storage
        self.alias: str = using if found.follows_rows else found.write_alias
        placed = found.on(Aliases(self.alias))
        self.storage: TransitionalStorage = TransitionalStorage(placed, other)

    def among(self, names: Collection[str], other: Place) -> set[str]:
        """Return those names that are of files here, and not rather of files of the other place."""
        if catalogue.is_installed():
            return set(self.storage.new.entries(names))
        return {name for name in names if split_name(name) and self.has(name) and not other.has(name)}

    @override
    def has(self, name: str) -> bool:
        return self.storage.new.exists(name)

    @override
    def size(self, name: str) -> int:
        return self.storage.new.size(name)

    @override
    def open(self, name: str) -> DbFile:
        return self.storage.new.open(name)

    @override
    def about(self, name: str, file: "File[bytes]") -> Original:
        if not catalogue.is_installed():
            return Original(name)
        entry = self.storage.new.entry(name)
        called = usable_name(entry.original_name) or name
        return Original(called, entry.content_type, entry.created_at, entry.modified_at, entry.sha256)

    @override
    def save(self, content: Hashed, original: Original, wanted: Callable[[], str], max_length: int | None) -> str:
        vars(content)["content_type"] = original.content_type
        name = self.storage.save(original.name, content, max_length)
        created, modified = original.created or original.modified, original.modified or original.created
        if catalogue.is_installed() and created is not None and modified is not None:
            catalogue.keep_times(DatabaseDriver(self.alias), {cast("int", parse_name(name)): (created, modified)})
        return name

    def release(self, names: Collection[str], using: str) -> None:
        """Unlink the files that no row names any more, in the current transaction."""
        release(self.alias, names, using=using)


class Elsewhere(Place):
    """Any other storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @override
    def has(self, name: str) -> bool:
        return elsewhere.exists(self.storage, name)

    @override
    def size(self, name: str) -> int:
        return elsewhere.size_of(self.storage, name)

    @override
    def open(self, name: str) -> "File[bytes]":
        return self.storage.open(name)

    @override
    def about(self, name: str, file: "File[bytes]") -> Original:
        created, modified = (ask(self.storage, name) for ask in (elsewhere.created_at, elsewhere.modified_at))
        return Original(posixpath.basename(name), elsewhere.declared_type(file), created, modified, path=name)

    @override
    def save(self, content: Hashed, original: Original, wanted: Callable[[], str], max_length: int | None) -> str:
        name = self.storage.generate_filename(wanted())
        if split_name(name) is not None:
            name = f"f{name}"  # nobody is to take it for a stored file's
        sha256 = original.sha256 or content.read_through()
        # An earlier run that was interrupted may have left it.
        is_free = name == original.path or not is_named(name)
        if not (is_free and self._is_there(name, content.opened, sha256)):
            vars(content.opened)["content_type"] = original.content_type
            content.opened.seek(0)
            name = self._saved(name, content.opened, max_length)
        if isinstance(self.storage, FileSystemStorage):
            with suppress(NotImplementedError):
                _settle(self.storage.path(name), original.modified)
        return name

    def _saved(self, name: str, file: "File[bytes]", max_length: int | None) -> str:
        """Save a file; of one that cannot be written, as on a full disk, no part keeps the name from the next run."""
        if not isinstance(self.storage, FileSystemStorage):
            return self.storage.save(name, file, max_length)
        storage, chunks = copy(self.storage), file.chunks
        free, begun = list[str](), list[str]()

        def get_available_name(name: str, max_length: int | None = None) -> str:
            # It is asked again where another process came first.
            found = self.storage.get_available_name(name, max_length)
            free[:] = [] if self.storage.exists(found) else [found]
            return found

        def begin(chunk_size: int | None = None) -> Iterator[bytes]:
            begun[:] = free  # nobody else has opened a file of this name
            return chunks(chunk_size)

        vars(storage)["get_available_name"], vars(file)["chunks"] = get_available_name, begin
        try:
            return storage.save(name, file, max_length)
        except BaseException:
            for part in begun:
                with suppress(OSError):
                    storage.delete(part)
            raise

    def _is_there(self, name: str, file: "File[bytes]", sha256: str) -> bool:
        return self.has(name) and self.size(name) == file.size and digest_of(self, name) == sha256


def _settle(path: str, modified: datetime | None) -> None:
    """Give a file its time, and have it survive the machine's end: its object may be unlinked because of it."""
    if modified is not None:
        os.utime(path, (modified.timestamp(), modified.timestamp()))
    for written in (path, os.path.dirname(path)):  # noqa: PTH120 -- a text
        with suppress(PermissionError):  # Windows opens no folder
            descriptor = os.open(written, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
