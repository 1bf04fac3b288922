"""Large objects on Django's databases: alias, connection, driver, and the columns that name files there."""

from typing import TYPE_CHECKING

from pg_lo_storage.drivers.lazy import loaded

if TYPE_CHECKING:
    from pg_lo_storage.databases.aliases import LargeObjectStorage, db_for_read, db_for_write
    from pg_lo_storage.databases.driver import DatabaseDriver

__all__ = ["DatabaseDriver", "LargeObjectStorage", "db_for_read", "db_for_write"]

# Loaded on first use: what is SQL alone, the triggers need without Django.
_MODULES = dict.fromkeys(__all__, "aliases") | {"DatabaseDriver": "driver"}


def __getattr__(name: str) -> object:
    return loaded(__name__, _MODULES, name)
