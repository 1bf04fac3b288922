"""Large-object calls on one database connection, whichever driver it belongs to."""

from typing import TYPE_CHECKING

from pg_lo_storage.drivers.base import (
    MAX_SIZE,
    AccessMode,
    LargeObject,
    LargeObjectDriver,
    Sink,
    SQLExecutor,
    StreamingDriver,
    StreamingLargeObject,
    TransactionalDriver,
)
from pg_lo_storage.drivers.lazy import leave_out_missing
from pg_lo_storage.drivers.registry import DriverFactory, get_driver, load_factory, register_driver
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.drivers.wrapper import DriverWrapper, LargeObjectWrapper
from pg_lo_storage.exceptions import DriverNotFound

if TYPE_CHECKING:
    from pg_lo_storage.drivers.psycopg2 import Psycopg2Driver
    from pg_lo_storage.drivers.psycopg3 import Psycopg3Driver

__all__ = [
    "MAX_SIZE",
    "AccessMode",
    "DriverFactory",
    "DriverNotFound",
    "DriverWrapper",
    "LargeObject",
    "LargeObjectDriver",
    "LargeObjectWrapper",
    "Psycopg2Driver",
    "Psycopg3Driver",
    "SQLDriver",
    "SQLExecutor",
    "Sink",
    "StreamingDriver",
    "StreamingLargeObject",
    "TransactionalDriver",
    "get_driver",
    "register_driver",
]
leave_out_missing(__all__, {"Psycopg2Driver": "psycopg2", "Psycopg3Driver": "psycopg"})

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
