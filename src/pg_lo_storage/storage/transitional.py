"""A storage for the time in which files move: new ones are large objects, old ones are read where they are."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.utils.deconstruct import deconstructible
from typing_extensions import override

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import Found, missing
from pg_lo_storage.databases import LargeObjectStorage
from pg_lo_storage.databases.aliases import Aliases
from pg_lo_storage.databases.atomic_blocks import atomic
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.names import split_name
from pg_lo_storage.storage import elsewhere
from pg_lo_storage.storage.storage import DbFileStorage, db_file_storage

if TYPE_CHECKING:
    _BinaryFile = File[bytes]
else:
    _BinaryFile = File

__all__ = ["TransitionalStorage"]

_T = TypeVar("_T")

_STATE: Final = ("_base_url", "_alias", "_read_alias", "_of_row", "_signed", "_max_age")
"""What makes a storage of this package the one that it is."""


@deconstructible(path="pg_lo_storage.storage.TransitionalStorage")
class TransitionalStorage(DbFileStorage):
    """Saves files as ``new`` does, as large objects, and reads those that ``legacy`` still has.

    ``new`` defaults to :data:`db_file_storage`; ``legacy`` is an alias of ``STORAGES``, or a storage. Once ``manage.py
    largeobjects move`` has moved all files, ``new`` takes the place of this storage.

    The name of an old file may have the form of a stored file's, such as ``123.pdf``. What is there decides: the
    catalogue's file, else the old one; without the catalogue the old one, else the large object. A new file gets no
    name that an old one has.

    An old file that is deleted goes after the commit of the transaction that is open on ``write_alias``.
    """

    __module__ = "pg_lo_storage.storage"

    def __init__(self, new: DbFileStorage | None = None, legacy: Storage | str = "default") -> None:
        self._new: DbFileStorage = new or db_file_storage
        self._legacy = legacy
        super().__init__()
        vars(self).update({name: getattr(self._new, name) for name in _STATE})

    @property
    def new(self) -> DbFileStorage:
        """The storage of the new files."""
        return self._new

    @property
    @override
    def legacy(self) -> Storage:
        """The storage of the old files.

        :raises ImproperlyConfigured: its files are large objects, too.
        """
        found = storages[self._legacy] if isinstance(self._legacy, str) else self._legacy
        if isinstance(found, LargeObjectStorage):
            message = (
                f"TransitionalStorage(legacy={self._legacy!r}) is to be the storage that the files were in before, and"
                " its files are large objects: give that storage another alias in STORAGES, and name it here"
            )
            raise ImproperlyConfigured(message)
        return found

    @override
    def is_old(self, name: str) -> bool:
        if catalogue.is_installed() and split_name(name) is not None and self._new.exists(name):
            return False
        return elsewhere.exists(self.legacy, name)

    def old_among(self, names: Iterable[str]) -> set[str]:
        """Return those names that can only be of files which :attr:`legacy` has or had."""
        of_form = {name for name in names if split_name(name) is not None}
        return {name for name in names if name and (name not in of_form or self.is_old(name))}

    @property
    @override
    def write_alias(self) -> str:
        return self._new.write_alias

    @property
    @override
    def follows_rows(self) -> bool:
        return self._new.follows_rows

    @override
    def on(self, databases: Aliases) -> Self:
        other = super().on(databases)
        if other is not self:
            vars(other)["_new"] = self._new.on(databases)
        return other

    @override
    def save(
        self,
        name: str | None,
        content: "File[bytes] | File[str] | IO[bytes] | IO[str]",
        max_length: int | None = None,
    ) -> str:
        stored = self._new.save(name, content, max_length)
        while elsewhere.exists(self.legacy, stored):
            # Nobody could tell the two files apart.
            with atomic(self.write_alias), self._new.open(stored) as taken:
                if catalogue.is_installed():
                    entry = self._new.entry(stored)
                    name, vars(taken)["content_type"] = entry.original_name, entry.content_type
                before, stored = stored, self._new.save(name or stored, taken, max_length)
                self._new.delete(before)
        return stored

    @override
    def open(self, name: str, mode: str = "rb") -> "File[bytes]":  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # an old file is of the old storage's class
        """Open a stored file, or an old one.

        :raises FileNotFoundError: there is no such file.
        """
        return self._at_its_place(name, lambda new: new.open(name, mode), lambda old: _opened(old, name, mode))

    @override
    def delete(self, name: str) -> None:
        """Delete a stored file in the current transaction, or an old one after its commit."""
        if self.is_old(name):
            transaction.on_commit(partial(self.legacy.delete, name), using=self.write_alias)
        else:
            self._new.delete(name)

    @override
    def exists(self, name: str) -> bool:
        return self._new.exists(name) or elsewhere.exists(self.legacy, name)

    @override
    def size(self, name: str) -> int:
        return self._at_its_place(name, lambda new: new.size(name), lambda old: elsewhere.size_of(old, name))

    @override
    def path(self, name: str) -> str:
        """Return where an old file is on this machine's disk.

        :raises NotImplementedError: it is on none.
        """
        return self._at_its_place(name, lambda new: new.path(name), lambda old: old.path(name))

    @override
    def get_accessed_time(self, name: str) -> datetime:
        return self._at_its_place(
            name, lambda new: new.get_accessed_time(name), lambda old: old.get_accessed_time(name)
        )

    @override
    def get_created_time(self, name: str) -> datetime:
        return self._at_its_place(name, lambda new: new.get_created_time(name), lambda old: old.get_created_time(name))

    @override
    def get_modified_time(self, name: str) -> datetime:
        return self._at_its_place(
            name, lambda new: new.get_modified_time(name), lambda old: old.get_modified_time(name)
        )

    @override
    def url(self, name: str | None) -> str:
        """Return the URL of a view that serves both kinds of file, or the one that an old file has had.

        A name that may be a stored file's has that of the view, and with ``signed`` every name; neither takes a query.
        """
        if not name or split_name(name) is not None:
            return self._new.url(name)
        return super().url(name) if self._signed else self.legacy.url(name)

    @override
    def is_valid_name(self, name: str) -> bool:
        """Tell, without a query, whether ``name`` may be the name of a file, new or old."""
        return bool(name) and "\0" not in name

    @override
    def find(self, name: str, whole: int, start: int = 0) -> Found:
        self._require_new(name)
        return self._new.find(name, whole, start)

    @override
    def locate(self, name: str) -> Found:
        self._require_new(name)
        return self._new.locate(name)

    @override
    def _unsigned_url(self, name: str | None) -> str:
        parts = (name or "").split("/")
        if len(parts) == 1 or not all(part.strip(".") for part in parts):
            return super()._unsigned_url(name)
        return super()._unsigned_url("") + "/".join(quote(part, safe="", errors="replace") for part in parts)

    def _require_new(self, name: str) -> None:
        """Require that the name is no old file's, where the catalogue does not say that it is a stored one's.

        :raises LargeObjectNotFound: it is.
        """
        if not catalogue.is_installed() and split_name(name) is not None and self.is_old(name):
            raise missing(name)

    def _at_its_place(self, name: str, of_new: Callable[[DbFileStorage], _T], of_old: Callable[[Storage], _T]) -> _T:
        """Ask the storage that has the file; the new one where neither has."""
        if catalogue.is_installed() and split_name(name) is not None:
            try:
                return of_new(self._new)
            except LargeObjectNotFound:
                if not elsewhere.exists(self.legacy, name):
                    raise
        elif not elsewhere.exists(self.legacy, name):
            return of_new(self._new)
        try:
            return of_old(self.legacy)
        except Exception as error:
            # Between two questions the file may have moved; some storages say that in ways of their own.
            if elsewhere.exists(self.legacy, name):
                raise
            raise missing(name) from error


def _opened(old: Storage, name: str, mode: str) -> "File[bytes]":
    file = old.open(name, mode)
    if mode.startswith("r"):
        try:
            file.seek(0)  # what is fetched as a whole when it is first used is fetched here: later it may have moved
        except BaseException:
            file.close()
            raise
    return file
