"""Files on their way to another database: read in blocks, written, and read back there."""

import hashlib
from collections.abc import Iterator

from django.db import models

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import Entry, Found, Upload
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.names import extension_of
from pg_lo_storage.storage import lookup, saving

__all__ = ["TransferFiles"]


class TransferFiles:
    """The files of some rows, on their way from one database to another."""

    def __init__(self, source: str, target: str) -> None:
        self._source = DatabaseDriver(source)
        self._target = DatabaseDriver(target)
        self._digests: dict[str, str] = {}
        self.count: int = 0
        """How many files were copied."""
        self.bytes: int = 0
        """How many bytes they have."""
        self._entries: dict[int, Entry] = {}

    def hold(self, names: list[str]) -> None:
        """Have nobody write into the source's files until the transaction there ends; only the catalogue can."""
        if catalogue.is_installed():
            loids = {lookup.read_name(name).loid for name in names}
            catalogue.lock(self._source, loids)

    def measure(self, name: str) -> None:
        """Count a file of the source as if it were copied.

        :raises LargeObjectNotFound: there is no such file.
        """
        self.count += 1
        self.bytes += lookup.locate([self._source], name).size

    def copy(self, name: str, field: "models.FileField") -> str:
        """Copy a file of the source, in constant memory, and return the copy's name.

        :raises LargeObjectNotFound: there is no such file.
        """
        found, digest = _find(self._source, name), hashlib.sha256()
        original, extension = name, extension_of(name)

        def content() -> Iterator[bytes]:
            for block in _blocks(found):
                digest.update(block)
                yield block

        if found.entry is None:
            loid = saving.save(self._target, content())
            stored = f"{loid}{extension}"
            name = stored if field.max_length is None or len(stored) <= field.max_length else str(loid)
        else:
            entry = found.entry
            upload = Upload(entry.extension, entry.original_name, entry.content_type, field.max_length)
            loid, kept = saving.save_catalogued(self._target, content(), upload)
            name = f"{loid}{extension if entry.extension is None else kept}"
            self._entries[loid] = entry
        self._digests[original] = digest.hexdigest()
        self.count += 1
        self.bytes += found.size
        return name

    def keep_times(self) -> None:
        """Give the copies the times of the files that they are copies of."""
        times = {loid: (entry.created_at, entry.modified_at) for loid, entry in self._entries.items()}
        catalogue.keep_times(self._target, times)
        self._entries.clear()

    def is_copy(self, name: str, other: str) -> bool:
        """Tell, by the SHA-256 of all their bytes, whether a file of the target has the content of one of the source.

        :raises LargeObjectNotFound: the source has no such file.
        """
        if name not in self._digests:
            self._digests[name] = _digest(self._source, name)
        try:
            return _digest(self._target, other) == self._digests[name]
        except LargeObjectNotFound:
            return False


def _find(database: DatabaseDriver, name: str) -> Found:
    return lookup.find([database], lookup.read_name(name), saving.SMALL)


def _digest(database: DatabaseDriver, name: str) -> str:
    digest = hashlib.sha256()
    for block in _blocks(_find(database, name)):
        digest.update(block)
    return digest.hexdigest()


def _blocks(found: Found) -> Iterator[bytes]:
    if found.size <= saving.SMALL:
        yield found.start
        return
    for start in range(0, found.size, saving.PART):
        yield from found.read(range(start, min(start + saving.PART, found.size)))
