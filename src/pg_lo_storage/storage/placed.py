"""The part of :class:`DbFileStorage` that knows its databases."""

import copy
from typing import Self

from django.conf import settings
from django.db import connections
from typing_extensions import override

from pg_lo_storage.databases import LargeObjectStorage, db_for_read, db_for_write
from pg_lo_storage.databases.aliases import Aliases

__all__ = ["PlacedStorage"]


class PlacedStorage(LargeObjectStorage):
    """A storage on the databases that it was given, or that the settings name."""

    def __init__(self, alias: str | None) -> None:
        self._alias = alias
        self._read_alias = alias
        # The databases of a row, where the storage is for its files.
        self._of_row: Aliases | None = None

    @property
    def read_alias(self) -> str:
        """The database that files are looked for first."""
        return db_for_read(self._read_alias)

    @property
    @override
    def write_alias(self) -> str:
        """The database that files are saved, changed and deleted on."""
        return self._of_row.write if self._of_row else db_for_write(self._alias)

    @property
    @override
    def follows_rows(self) -> bool:
        """Whether neither the storage nor the settings name a database: a field's files are then on their rows'."""
        # A subclass may say itself where it writes.
        if self._alias or type(self).write_alias is not PlacedStorage.write_alias:
            return False
        # One of the two is enough, since they go together.
        names = "PG_LO_STORAGE_DB_FOR_READ", "PG_LO_STORAGE_DB_FOR_WRITE"
        return not getattr(settings, names[0], None) and not getattr(settings, names[1], None)

    @override
    def on(self, databases: Aliases) -> Self:
        """Return the storage of a row's databases; the storage itself where it has no others."""
        if databases.model is None and databases.read == self.read_alias == self.write_alias:
            return self
        other = copy.copy(self)
        vars(other).update(_read_alias=databases.read, _of_row=databases)
        return other

    @property
    def row_alias(self) -> str | None:
        """The database of a row's files, where the storage is for these, and its own database is another."""
        alias = self.write_alias
        return None if self._of_row is None or alias == db_for_write(self._alias) else alias

    def for_row_on(self, alias: str) -> Self | None:
        """Return the storage of the files of rows on that database; ``None`` where it has no such files."""
        if self._of_row:
            return self if alias == self.write_alias else None
        if not self.follows_rows or alias == self.write_alias or alias not in connections:
            return None
        return self.on(Aliases(alias))
