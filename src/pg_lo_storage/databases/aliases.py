"""Which of Django's databases have the files: an alias that was given, else the settings', else that of the row."""

import copy
from typing import Final, NamedTuple, Self

from django.conf import settings
from django.core import checks
from django.core.files.storage import Storage
from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["Aliases", "LargeObjectStorage", "aliases_of_database", "databases_of_row", "db_for_read", "db_for_write"]


# Two aliases with these in common are one database.
_DATABASE: Final = ("host", "port", "dbname", "service")


class Aliases(NamedTuple):
    """The databases of a file: where it is read first, and where it is written."""

    read: str
    write: str


def db_for_read(alias: str | None = None) -> str:
    """Return ``alias``, else the setting ``PG_LO_STORAGE_DB_FOR_READ``, else ``default``."""
    return alias or getattr(settings, "PG_LO_STORAGE_DB_FOR_READ", None) or DEFAULT_DB_ALIAS


def db_for_write(alias: str | None = None) -> str:
    """Return ``alias``, else the setting ``PG_LO_STORAGE_DB_FOR_WRITE``, else ``default``."""
    return alias or getattr(settings, "PG_LO_STORAGE_DB_FOR_WRITE", None) or DEFAULT_DB_ALIAS


def databases_of_row(model: type[models.Model], instance: models.Model | None, using: str | None) -> Aliases:
    """Return the databases of the files of a row on ``using``, or, without that, of one that is not saved yet.

    A row on a replica has its files there, and they are written where the routers would have the row written. A
    database counts as a replica where the routers read the row from one database, write it to another, and allow
    relations between that one and this: a router that has one database for each tenant reads where it writes.
    """
    write: str = router.db_for_write(model, instance=instance) if using is None or router.routers else using
    if using is None or using == write:
        return Aliases(write, write)
    if instance is None or router.db_for_read(model, instance=instance) == write:
        return Aliases(using, using)
    here, there = copy.copy(instance), copy.copy(instance)
    here._state.db, there._state.db = using, write
    return Aliases(using, write if router.allow_relation(here, there) else using)


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
