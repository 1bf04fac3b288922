"""Django's side of a large object: the file, and the storage that keeps and finds files by name.

Storage API: https://docs.djangoproject.com/en/stable/ref/files/storage/
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import Storage
from django.db import transaction
from django.utils.deconstruct import deconstructible
from django.utils.functional import LazyObject
from typing_extensions import Buffer, override

from pg_lo_storage.databases import DatabaseDriver, db_for_read, db_for_write
from pg_lo_storage.drivers import AccessMode
from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import BLOCK, byte_view
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.modes import BinaryMode, parse_mode
from pg_lo_storage.names import MAX_OID, make_name, parse_name

if TYPE_CHECKING:
    from typing import IO

    from pg_lo_storage.drivers import LargeObjectDriver

    _BinaryFile = File[bytes]
    _LazyStorage = LazyObject["DbFileStorage"]
else:
    _BinaryFile = File
    _LazyStorage = LazyObject

__all__ = ["DbFile", "DbFileIO", "DbFileStorage", "db_file_storage", "db_for_read", "db_for_write"]

SMALL: Final = BLOCK
"""Up to so many bytes are saved, and served, by one statement."""

_T = TypeVar("_T")


class DbFileIO(LargeObjectIO):
    """A large object as a binary file, on one of Django's databases; see :class:`LargeObjectIO`.

    ``loid=0`` with a mode that creates makes a new object, named after ``name``'s extension. Modes that write use
    the write alias, ``rb`` the read alias, and the write alias for an object that is missing there (a replica may
    lag behind); ``alias`` replaces both. ``driver`` is used instead of Django's connections where it is given.
    """

    def __init__(
        self,
        loid: int = 0,
        mode: BinaryMode = "rb",
        name: str = "",
        alias: str | None = None,
        *,
        driver: "LargeObjectDriver | None" = None,
    ) -> None:
        self._requested_alias = alias
        writing = parse_mode(mode).writable
        used = driver or DatabaseDriver((db_for_write if writing else db_for_read)(alias))
        try:
            super().__init__(used, loid, mode)
        except LargeObjectNotFound:
            fallback = db_for_write(alias)
            if not isinstance(used, DatabaseDriver) or used.alias == fallback:
                raise
            used = DatabaseDriver(fallback)
            super().__init__(used, loid, mode)
        self._database = used if isinstance(used, DatabaseDriver) else None
        self._marker = self._database.transaction_marker if self._database else None
        self._name = make_name(self.oid, name) if not loid else name or str(self.oid)

    @property
    def loid(self) -> int:
        """The large object's oid."""
        return self.oid

    @property
    def alias(self) -> str | None:
        """The database the file was opened on; ``None`` where a driver was given."""
        return self._database.alias if self._database else None

    @property
    @override
    def name(self) -> str:
        """The name it was opened by; of a new object ``<loid>.<extension>``."""
        return self._name

    def __str__(self) -> str:
        return self._name

    def reopened(self, mode: BinaryMode) -> "DbFileIO":
        """Return a fresh file on the same object: for reading on the same database, else on the write alias."""
        if self._database is None:
            return DbFileIO(self.oid, mode, self._name, driver=self._driver)
        alias = self._requested_alias if parse_mode(mode).writable else self._database.alias
        return DbFileIO(self.oid, mode, self._name, alias)

    @override
    def _check(self) -> None:
        super()._check()
        descriptor = self._object.descriptor
        if descriptor is None or self._database is None or self._abandoned:
            return
        marker = self._database.transaction_marker
        if marker is not self._marker:
            # A transaction or a savepoint ended since: what is buffered may be of neither. The server knows.
            self._object.drop()
            descriptor.tell()
            self._marker = marker


class DbFile(_BinaryFile):
    """What :meth:`DbFileStorage.open` gives: Django's :class:`File` around a :class:`DbFileIO`."""

    file: "IO[bytes] | None"

    if TYPE_CHECKING:  # Django's proxies, which its stubs give no type

        def __enter__(self) -> Self: ...
        def __iter__(self) -> Iterator[bytes]: ...
        @property
        def read(self) -> Callable[..., bytes]:
            """Return the file's bytes."""
            ...

    def __init__(self, file: DbFileIO, name: str | None = None) -> None:
        super().__init__(file, name or file.name)
        self.mode = file.mode

    @property
    def _stored(self) -> DbFileIO:
        return cast("DbFileIO", self.file)

    @property
    def loid(self) -> int:
        """The large object's oid."""
        return self._stored.loid

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]  # a file grows: not cached
        """The object's size in bytes, as the server has it now."""
        return self._stored.size

    @override
    def open(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # no path, no text
        self, mode: str | None = None
    ) -> Self:
        """Close this handle and open a fresh one, at the start, on the same database; ``w`` truncates."""
        self.close()
        self.file = file = _open_stored(self._stored.reopened, mode or self.mode)
        self.mode = file.mode
        return self

    @override
    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the whole file in blocks of ``chunk_size`` bytes."""
        self._stored.seek(0)
        return self._stored.chunks(chunk_size or BLOCK)


@deconstructible(path="pg_lo_storage.storage.DbFileStorage")
class DbFileStorage(Storage):
    """Files as large objects, each by the name ``<loid>.<original extension>``.

    ``base_url`` is where the view that serves them is mounted (default: ``MEDIA_URL``); ``alias`` replaces the
    settings' read and write databases. A name of any other form names no file.
    """

    def __init__(self, base_url: str | None = None, alias: str | None = None) -> None:
        self._base_url = base_url
        self._alias = alias

    @property
    def base_url(self) -> str | None:
        """Where the files' URLs begin, with a slash at its end."""
        base_url: str | None = settings.MEDIA_URL if self._base_url is None else self._base_url
        return base_url if base_url is None or base_url.endswith("/") else f"{base_url}/"

    @property
    def write_alias(self) -> str:
        """The database that files are saved, changed and deleted on."""
        return db_for_write(self._alias)

    @override
    def save(
        self,
        name: str | None,
        content: "File[bytes] | File[str] | IO[bytes] | IO[str]",  # Django's File is IO to its stubs only
        max_length: int | None = None,
    ) -> str:
        """Store ``content`` as a new object and return its name, all or nothing; text is encoded as UTF-8.

        Up to 256 KB take one statement, more a transaction, or a savepoint where one is open.

        :raises SuspiciousFileOperation: ``max_length`` characters cannot hold the name of every object.
        """
        if max_length is not None and max_length < len(str(MAX_OID)):
            message = f"max_length={max_length} cannot hold a stored name: use {len(str(MAX_OID))} or, better, 100"
            raise SuspiciousFileOperation(message)
        if name is None:
            name = cast("str | None", getattr(content, "name", None))
        if not hasattr(content, "chunks"):
            content = File(cast("IO[bytes]", content), name)
        stored = self._save(cast("str", name), cast("_BinaryFile", content))
        return make_name(int(stored.partition(".")[0]), stored, max_length=max_length)

    def _save(self, name: str, content: "_BinaryFile") -> str:
        database = DatabaseDriver(self.write_alias)
        blocks = _in_blocks(content.chunks())
        first, second = next(blocks, b""), next(blocks, None)
        if second is None:
            return make_name(database.from_bytes(first), name)
        with transaction.atomic(using=database.alias):
            loid = database.create()
            large_object = database.open(loid, AccessMode.WRITE)
            large_object.write_all(itertools.chain((first, second), blocks))
            large_object.close()
        return make_name(loid, name)

    @override
    def open(self, name: str, mode: str = "rb") -> DbFile:
        """Open a stored file; ``w`` truncates it, other than with :class:`DbFileIO`.

        :raises FileNotFoundError: there is no such file, whatever the mode.
        :raises ValueError: a text mode, or ``x``: only :meth:`save` makes a name.
        """
        return self._open(name, mode)

    def _open(self, name: str, mode: str = "rb") -> DbFile:
        loid = self._loid(name)
        return DbFile(_open_stored(lambda binary: DbFileIO(loid, binary, name, self._alias), mode), name)

    @override
    def delete(self, name: str) -> None:
        """Delete the file in the current transaction; does nothing where there is none."""
        if (loid := parse_name(name)) is not None:
            DatabaseDriver(self.write_alias).unlink(loid)

    @override
    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return (loid := parse_name(name)) is not None and any(db.exists(loid) for db in self._reading())

    @override
    def size(self, name: str) -> int:
        """Return the file's size in bytes."""
        return self.locate(name)[2]

    @override
    def url(self, name: str | None) -> str:
        """Return the URL of the file below ``base_url``, which it never leaves, whatever the name."""
        if self.base_url is None:
            message = "This file is not accessible via a URL: set MEDIA_URL, or pass base_url to DbFileStorage."
            raise ValueError(message)
        # "." and ".." mean something to a browser in any encoding.
        segment = name if name and name.strip(".") else ""
        return self.base_url + quote(segment, safe="", errors="replace")

    @override
    def generate_filename(self, filename: str | os.PathLike[str]) -> str:
        """Return ``filename`` as it is: only its extension is kept."""
        return os.fspath(filename)

    @override
    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return ``name`` as it is: every save makes a new object."""
        return name

    def is_valid_name(self, name: str) -> bool:
        """Tell whether ``name`` has the form of a stored name; no query."""
        return parse_name(name) is not None

    def read_block(self, name: str, size: int) -> tuple[DatabaseDriver, int, bytes]:
        """Return where the file is, its oid, and up to ``size`` bytes from its start, in one statement."""
        loid = self._loid(name)
        return self._found(lambda database: (database, loid, database.get(loid, 0, size)))

    def locate(self, name: str) -> tuple[DatabaseDriver, int, int]:
        """Return where the file is, its oid, and its size in bytes, in one statement."""
        loid = self._loid(name)
        return self._found(lambda database: (database, loid, database.size(loid)))

    def _loid(self, name: object) -> int:
        if (loid := parse_name(name)) is None:
            message = f"no stored file is named {name!r}"
            raise LargeObjectNotFound(message)
        return loid

    def _reading(self) -> list[DatabaseDriver]:
        aliases = dict.fromkeys((db_for_read(self._alias), self.write_alias))
        return [DatabaseDriver(alias) for alias in aliases]

    def _found(self, ask: Callable[[DatabaseDriver], _T]) -> _T:
        *others, last = self._reading()
        for database in others:
            try:
                return ask(database)
            except LargeObjectNotFound:
                continue
        return ask(last)


class DefaultDbFileStorage(_LazyStorage):
    """Makes :data:`db_file_storage` when it is first used: settings may not be there at import."""

    def _setup(self) -> None:
        self._wrapped = DbFileStorage()


db_file_storage: DbFileStorage = cast("DbFileStorage", DefaultDbFileStorage())
"""The default storage, on the settings' databases and ``MEDIA_URL``."""


def _open_stored(open_: Callable[[BinaryMode], DbFileIO], mode: str) -> DbFileIO:
    """Open by a storage's rules: ``w`` empties the file, ``x`` is refused."""
    parsed = parse_mode(mode)
    if parsed.kind == "x":
        message = f"mode {mode!r} cannot be used with a stored name: save() makes a new file and its name"
        raise ValueError(message)
    file = open_(parsed.name)
    if parsed.kind == "w":
        try:
            file.truncate(0)
        except BaseException:
            file.close()
            raise
    return file


def _in_blocks(chunks: Iterable[Buffer | str]) -> Iterator[bytes]:
    """Yield the same bytes in one block of SMALL, then blocks of MAX_BLOCK; the last is shorter."""
    block, size = bytearray(), SMALL
    for chunk in chunks:
        view = byte_view(chunk.encode() if isinstance(chunk, str) else chunk)
        while len(block) + len(view) >= size:
            room = size - len(block)
            yield bytes(block) + bytes(view[:room]) if block else bytes(view[:room])
            block, view, size = bytearray(), view[room:], MAX_BLOCK
        block += view
    if block:
        yield bytes(block)
