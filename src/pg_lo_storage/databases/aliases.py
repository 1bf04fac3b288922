"""Which of Django's databases have the files: an alias that was given, else the settings', else that of the row."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

from django.conf import settings
from django.core import checks
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files.storage import Storage
from django.db import DEFAULT_DB_ALIAS, Error, connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper

from pg_lo_storage.databases.identity import is_same_database, is_same_table

__all__ = ["Aliases", "LargeObjectStorage", "aliases_of_database", "db_for_read", "db_for_write", "is_one_database"]


# Two aliases with these in common are one database.
_DATABASE: Final = ("host", "port", "dbname", "service")


@dataclass(frozen=True, eq=False)
class Aliases:
    """The databases of a row's file: where it is read first, and where it is written.

    Nobody is asked for the second, neither routers nor servers, before it is needed.
    """

    read: str
    """The database of the row; it may be a replica."""
    model: type[models.Model] | None = None
    """The row's model; ``None`` where the file is written where it is read."""
    instance: models.Model | None = None
    """The row, which routers may ask for."""

    @cached_property
    def write(self) -> str:
        """The database where the routers would have the row written, if the row's is a replica of that; or the row's.

        What routers say is no proof: they send rows of any other database there, too.
        """
        if self.model is None or not router.routers:
            return self.read
        alias: str = router.db_for_write(self.model, instance=self.instance)
        return alias if is_one_database(self.model, self.read, alias) else self.read


def db_for_read(alias: str | None = None) -> str:
    """Return ``alias``, else the setting ``PG_LO_STORAGE_DB_FOR_READ``, else ``default``."""
    return alias or getattr(settings, "PG_LO_STORAGE_DB_FOR_READ", None) or DEFAULT_DB_ALIAS


def db_for_write(alias: str | None = None) -> str:
    """Return ``alias``, else the setting ``PG_LO_STORAGE_DB_FOR_WRITE``, else ``default``."""
    return alias or getattr(settings, "PG_LO_STORAGE_DB_FOR_WRITE", None) or DEFAULT_DB_ALIAS


def is_one_database(model: type[models.Model], read: str, write: str) -> bool:
    """Tell whether both aliases have the model's rows in one table: a replica, perhaps, and its primary.

    Where no server says so, or none may be asked, it is a replica if the routers read the model there, and write it
    here.
    """
    if read == write:
        return True
    if not {read, write}.issubset(connections):
        return False  # an instance from a cache may be of a database that the settings no longer have
    try:
        is_same = is_same_database(read, write)
        if is_same and _path_of(read) != _path_of(write):
            is_same = is_same_table(model._meta.db_table, read, write)
    except (Error, SynchronousOnlyOperation):
        is_same = None
    if is_same is not None:
        return is_same
    return bool(router.routers) and router.db_for_read(model) == read and router.db_for_write(model) == write


def _path_of(alias: str) -> object:
    """Return what an alias is set to look for tables by, as far as its settings tell."""
    return connections[alias].settings_dict["OPTIONS"].get("options")


class LargeObjectStorage(Storage):
    """The base of every storage of large objects, by which modules below the storage recognise it."""

    @property
    def write_alias(self) -> str:
        """The database that files are saved, changed and deleted on."""
        raise NotImplementedError

    @property
    def follows_rows(self) -> bool:
        """Whether neither the storage nor the settings name a database: a field's files are then on their rows'."""
        raise NotImplementedError

    def on(self, databases: Aliases) -> Self:
        """Return the storage of these databases; the storage itself where it has no others."""
        raise NotImplementedError

    @property
    def legacy(self) -> Storage | None:
        """The storage that still has files which are to become large objects; ``None`` where there is none."""
        return None

    def is_old(self, name: str) -> bool:  # noqa: ARG002 -- for subclasses
        """Tell whether the name is that of a file which :attr:`legacy` has, and of no stored one."""
        return False


def aliases_of_database(connection: BaseDatabaseWrapper) -> list[str]:
    """Return every alias of the connection's database; none where it is not PostgreSQL."""

    def identity(of: BaseDatabaseWrapper) -> list[object]:
        parameters = of.get_connection_params()
        return [parameters.get(name) for name in _DATABASE]

    if connection.vendor != "postgresql":
        return []
    others = (other for other in connections.all() if other.vendor == "postgresql")
    return [connection.alias, *(other.alias for other in others if identity(other) == identity(connection))]


@checks.register("pg_lo_storage")
def check_renamed_settings(**_options: object) -> list[checks.CheckMessage]:
    """Warn of each setting of warehouse-py that is still there, and name its replacement."""
    renamed = {f"WAREHOUSE_{name}": f"PG_LO_STORAGE_{name}" for name in ("DB_FOR_READ", "DB_FOR_WRITE")}
    return [
        checks.Warning(
            f"The setting {old} of warehouse-py has no effect: it is called {new} now.",
            hint=f"Rename {old} to {new} in the settings.",
            id="pg_lo_storage.W001",
        )
        for old, new in renamed.items()
        if hasattr(settings, old)
    ]
