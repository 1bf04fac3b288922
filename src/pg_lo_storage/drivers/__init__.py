"""Large-object calls on one database connection, whichever driver it belongs to."""

from typing import TYPE_CHECKING

from pg_lo_storage.drivers.base import MAX_SIZE, AccessMode, LargeObject, LargeObjectDriver, SQLExecutor
from pg_lo_storage.drivers.registry import DriverFactory, get_driver, load_factory, register_driver
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.exceptions import DriverNotFound

if TYPE_CHECKING:
    from pg_lo_storage.drivers.psycopg2 import Psycopg2Driver
    from pg_lo_storage.drivers.psycopg3 import Psycopg3Driver

__all__ = [
    "MAX_SIZE",
    "AccessMode",
    "DriverFactory",
    "DriverNotFound",
    "LargeObject",
    "LargeObjectDriver",
    "Psycopg2Driver",
    "Psycopg3Driver",
    "SQLDriver",
    "SQLExecutor",
    "get_driver",
    "register_driver",
]

# Loaded on first use: importing the package needs neither psycopg nor psycopg2.
_LAZY = {
    "Psycopg2Driver": "pg_lo_storage.drivers.psycopg2.Psycopg2Driver",
    "Psycopg3Driver": "pg_lo_storage.drivers.psycopg3.Psycopg3Driver",
}


def __getattr__(name: str) -> DriverFactory:
    message = f"module {__name__!r} has no attribute {name!r}"
    if name not in _LAZY:
        raise AttributeError(message)
    try:
        return load_factory(_LAZY[name])
    except DriverNotFound as error:
        raise AttributeError(f"{message}: {error}") from error
