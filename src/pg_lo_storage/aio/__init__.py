"""Large objects over asynchronous connections: drivers, and :class:`AsyncLargeObjectIO`."""

from typing import TYPE_CHECKING

from pg_lo_storage.aio.base import AsyncLargeObject, AsyncLargeObjectDriver, AsyncSQLExecutor
from pg_lo_storage.aio.io import AsyncLargeObjectIO
from pg_lo_storage.aio.registry import AsyncDriverFactory, get_async_driver, register_async_driver
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.drivers.registry import load_factory
from pg_lo_storage.exceptions import DriverNotFound

if TYPE_CHECKING:
    from pg_lo_storage.aio.psycopg3 import Psycopg3AsyncDriver

__all__ = [
    "AsyncDriverFactory",
    "AsyncLargeObject",
    "AsyncLargeObjectDriver",
    "AsyncLargeObjectIO",
    "AsyncSQLDriver",
    "AsyncSQLExecutor",
    "Psycopg3AsyncDriver",
    "get_async_driver",
    "register_async_driver",
]


def __getattr__(name: str) -> object:
    # Loaded on first use: importing the package needs no psycopg.
    message = f"module {__name__!r} has no attribute {name!r}"
    if name != "Psycopg3AsyncDriver":
        raise AttributeError(message)
    try:
        return load_factory("pg_lo_storage.aio.psycopg3.Psycopg3AsyncDriver")
    except DriverNotFound as error:
        raise AttributeError(f"{message}: {error}") from error
