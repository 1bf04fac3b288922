"""Large objects over asynchronous connections: drivers, and :class:`AsyncLargeObjectIO`."""

from typing import TYPE_CHECKING

from pg_lo_storage.aio.base import (
    AsyncLargeObject,
    AsyncLargeObjectDriver,
    AsyncSQLExecutor,
    AsyncTransactionalDriver,
)
from pg_lo_storage.aio.io import AsyncLargeObjectIO
from pg_lo_storage.aio.registry import AsyncDriverFactory, get_async_driver, register_async_driver
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.aio.wrapper import AsyncDriverWrapper, AsyncLargeObjectWrapper
from pg_lo_storage.drivers.lazy import leave_out_missing
from pg_lo_storage.drivers.registry import load_factory
from pg_lo_storage.exceptions import DriverNotFound

if TYPE_CHECKING:
    from pg_lo_storage.aio.psycopg3 import Psycopg3AsyncDriver

__all__ = [
    "AsyncDriverFactory",
    "AsyncDriverWrapper",
    "AsyncLargeObject",
    "AsyncLargeObjectDriver",
    "AsyncLargeObjectIO",
    "AsyncLargeObjectWrapper",
    "AsyncSQLDriver",
    "AsyncSQLExecutor",
    "AsyncTransactionalDriver",
    "Psycopg3AsyncDriver",
    "get_async_driver",
    "register_async_driver",
]
leave_out_missing(__all__, {"Psycopg3AsyncDriver": "psycopg"})


def __getattr__(name: str) -> object:
    # Loaded on first use: importing the package needs no psycopg.
    message = f"module {__name__!r} has no attribute {name!r}"
    if name != "Psycopg3AsyncDriver":
        raise AttributeError(message)
    try:
        return load_factory("pg_lo_storage.aio.psycopg3.Psycopg3AsyncDriver")
    except DriverNotFound as error:
        raise AttributeError(f"{message}: {error}") from error
