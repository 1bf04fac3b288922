"""A large object as a file on one of Django's databases, and Django's :class:`File` around it."""

import operator
import os
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Self, cast

from django.core.files import File
from typing_extensions import override

from pg_lo_storage import catalogue
from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.databases import DatabaseDriver, db_for_read, db_for_write
from pg_lo_storage.databases.aliases import Aliases
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound, StaleLargeObject
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import READING, BinaryMode, Mode, parse_mode
from pg_lo_storage.names import make_name, original_name_of
from pg_lo_storage.storage.lifetime import OfAtomicBlock, open_found
from pg_lo_storage.storage.lookup import require_own_name

if TYPE_CHECKING:
    from pg_lo_storage.catalogue import Found
    from pg_lo_storage.drivers import LargeObjectDriver

    _BinaryFile = File[bytes]
else:
    _BinaryFile = File

__all__ = ["DbFile", "DbFileIO", "open_stored"]


class DbFileIO(LargeObjectIO):
    """A large object as a binary file, on one of Django's databases; see :class:`LargeObjectIO`.

    ``loid=0`` with a mode that creates makes a new object, whose name has the extension of ``name``. A mode that writes
    uses the write alias. ``rb`` uses the read alias, or the write alias where the object is missing there, as on a
    replica that lags behind. ``alias`` replaces both aliases; ``driver`` replaces Django's connections.

    With the catalogue, an object that is created on an alias gets an entry, and the first write to an object removes
    size and digest from its entry.
    """

    __module__ = "pg_lo_storage.storage"

    _database: DatabaseDriver | None = None
    # Finds the file by the name that it was opened by, which need not be its own.
    _find: Callable[[], catalogue.Found] | None = None
    # The transaction in which the catalogue was told of a change.
    _changed_in: object = None

    reopens: bool = False
    """Whether the file opens itself again, at its position, once the transaction that it was opened in is over."""

    def __init__(
        self,
        loid: int = 0,
        mode: BinaryMode = "rb",
        name: str = "",
        alias: str | None = None,
        *,
        driver: "LargeObjectDriver | None" = None,
    ) -> None:
        parsed = parse_mode(mode)
        self._requested_alias: str | Aliases | None = alias
        used = driver or DatabaseDriver((db_for_write if parsed.writable else db_for_read)(alias)).of_transaction()
        try:
            self._open(used, operator.index(loid), parsed)
        except LargeObjectNotFound:
            fallback = db_for_write(alias)
            if not isinstance(used, DatabaseDriver) or used.alias == fallback:
                raise
            used = DatabaseDriver(fallback).of_transaction()
            self._open(used, operator.index(loid), parsed)
        self._driver, self._name = used, name if loid and name else make_name(self.oid, name)
        if not isinstance(used, DatabaseDriver):
            return
        self._database = used
        if self._object.descriptor is not None:
            self._lifetime = OfAtomicBlock(used, self.oid, self._object)
        if (not loid or parsed.kind == "x") and catalogue.is_installed():
            catalogue.add(used, self.oid, upload_of(name or None))
            self._changed_in = used.transaction_marker

    @classmethod
    def of_found(cls, find: "Callable[[], Found]", name: str, alias: str | Aliases | None) -> Self:
        """Open for reading the file that ``find`` returns; a small file is in memory already."""
        found = find()
        database, opened, lifetime = open_found(found)
        self = cls.__new__(cls)
        self._set_up(found.loid, READING, opened, lifetime)
        self._driver = self._database = database
        self._name, self._find, self._requested_alias = name, find, alias
        return self

    @property
    def loid(self) -> int:
        """The large object's oid."""
        return self.oid

    @property
    def alias(self) -> str | None:
        """The alias that the file was opened on; ``None`` where a driver was given."""
        return self._database.alias if self._database else None

    @property
    @override
    def name(self) -> str:
        """The name that the file was opened by; a new object's is ``<oid>.<extension>``."""
        return self._name

    def __str__(self) -> str:
        return self._name

    def reopened(self, mode: BinaryMode) -> "DbFileIO":
        """Open the same object again: to read on the same database, to write on the write alias."""
        if self._database is None:
            return DbFileIO(self.oid, mode, self._name, driver=self._driver)
        alias: str | None = self._database.alias
        if parse_mode(mode).writable:
            asked = self._requested_alias
            alias = asked.write if isinstance(asked, Aliases) else asked
            if self._find is not None:
                require_own_name(DatabaseDriver(db_for_write(alias)), self._name)
        # Only its own connection sees what a transaction of another thread has written.
        is_there = self._database.is_of_another_thread and db_for_write(alias) == self._database.alias
        file = DbFileIO(self.oid, mode, self._name, alias, driver=self._database if is_there else None)
        file._find = self._find
        return file

    @override
    def _before_change(self) -> None:
        # The mark is set once in each transaction, and again where a savepoint may have rolled it back.
        database = self._database
        if database is None or (marker := database.transaction_marker) is self._changed_in:
            return
        # Bytes that are written to an unlinked object are lost, and turn up in the next object of that oid.
        if catalogue.is_installed() and not (catalogue.mark_written(database, self.oid) or database.exists(self.oid)):
            message = f"large object {self.oid} was deleted since it was opened: nothing was written"
            raise LargeObjectConflict(message, oid=self.oid)
        self._changed_in = marker

    @override
    def _check(self) -> None:
        try:
            super()._check()
        except StaleLargeObject:
            if not self.reopens or self._find is None or self._pid != os.getpid():
                raise
            position, found = self._object.position, self._find()
            database, self._object, self._lifetime = open_found(found)
            self._driver = self._database = database
            self._object.seek(position)


class DbFile(_BinaryFile):
    """What :meth:`DbFileStorage.open` returns: Django's :class:`File` around a :class:`DbFileIO`."""

    __module__ = "pg_lo_storage.storage"

    file: IO[bytes] | None

    if TYPE_CHECKING:  # Django's own, and its proxies, which its stubs give no type

        def __init__(self, file: DbFileIO, name: str | None = None) -> None: ...
        def __enter__(self) -> Self: ...
        def __iter__(self) -> Iterator[bytes]: ...
        @property
        def read(self) -> Callable[..., bytes]:
            """Return the file's bytes."""
            ...

    @property
    def stored(self) -> DbFileIO:
        """The large object below."""
        return cast("DbFileIO", self.file)

    @property
    def loid(self) -> int:
        """The large object's oid."""
        return self.stored.loid

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]  # a file grows: not cached
        """The object's size in bytes, as the server has it now."""
        return self.stored.size

    @override
    def open(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # no path, no text
        self, mode: str | None = None
    ) -> Self:
        """Close the file and open it again at its start; ``w`` empties it.

        :raises FileNotFoundError: there is no such file any more.
        :raises ValueError: ``mode`` is a text mode, or ``x``.
        """
        self.close()
        self.file = file = open_stored(self.stored.reopened, parse_mode(mode or self.mode))
        self.mode = file.mode
        return self

    @override
    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the whole file in blocks of ``chunk_size`` bytes."""
        self.stored.seek(0)
        return self.stored.chunks(chunk_size or BLOCK)


def open_stored(open_: Callable[[BinaryMode], DbFileIO], mode: Mode) -> DbFileIO:
    """Open by a storage's rules: ``w`` empties the file, ``x`` is refused."""
    if mode.kind == "x":
        message = f"mode {mode.name!r} cannot be used with a stored name: save() makes a new file and its name"
        raise ValueError(message)
    file = open_(mode.name)
    if mode.kind == "w":
        try:
            file.truncate(0)
        except BaseException:
            file.close()
            raise
    return file


def upload_of(name: object, declared_type: object = None, max_length: int | None = None) -> catalogue.Upload:
    """Return what the catalogue keeps of a file saved as ``name``; without a name the file has any extension."""
    original = original_name_of(name)
    extension = None if name is None else make_name(1, name)[1:]
    return catalogue.Upload(extension, original, content_type_of(original, declared_type), max_length)
