"""Which asynchronous driver serves a connection: the connection's type decides, at run time."""

import functools
from collections.abc import Callable, Collection
from typing import Final, TypeAlias, cast

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.drivers.naming import WHEN_REGISTERED, dotted, found, misplaced, register
from pg_lo_storage.drivers.registry import (
    ASYNC_ENTRY_POINTS,
    ASYNC_REGISTERED,
    AT_WORK,
    entry_points,
    factories_at_work,
    factory_for,
    load_factory,
    made_by,
    named_sources,
)
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.drivers.wrapper import DriverWrapper
from pg_lo_storage.exceptions import DriverNotFound

__all__ = ["AsyncDriverFactory", "factory_for_async", "find_async_driver", "get_async_driver", "register_async_driver"]

AsyncDriverFactory: TypeAlias = Callable[..., AsyncLargeObjectDriver]
"""Takes a connection and returns its driver; usually the driver's class."""

_BUILT_IN: Final[dict[str, AsyncDriverFactory | str]] = {
    "psycopg.AsyncConnection": "pg_lo_storage.aio.psycopg3.Psycopg3AsyncDriver",
    "sqlalchemy.ext.asyncio.engine.AsyncConnection": "pg_lo_storage.contrib.sqlalchemy.AsyncSQLAlchemyDriver",
    "sqlalchemy.ext.asyncio.session.AsyncSession": "pg_lo_storage.contrib.sqlalchemy.AsyncSQLAlchemyDriver",
    "sqlalchemy.ext.asyncio.scoping.async_scoped_session": "pg_lo_storage.contrib.sqlalchemy.AsyncSQLAlchemyDriver",
}
_AMONG_THE_OTHERS: Final = (
    "among the drivers whose calls are not awaited: an asynchronous one is for register_async_driver(), or an entry"
    f" point of the group {ASYNC_ENTRY_POINTS!r}"
)
# There, where the drivers that are not awaited are found, nothing knows of these types.
_registered = cast("dict[str, AsyncDriverFactory | str]", ASYNC_REGISTERED)


def register_async_driver(
    connection_type: type | str, factory: AsyncDriverFactory | str | None
) -> AsyncDriverFactory | str | None:
    """Have ``factory`` serve connections of that type and its subclasses, before any other driver.

    Names, what is returned, and wrappers are as in :func:`register_driver`; a factory that asks
    :func:`get_async_driver` for its own connection gets the next one.
    """
    return register(_registered, connection_type, factory)


def get_async_driver(connection: object) -> AsyncLargeObjectDriver:
    """Return the driver of an asynchronous connection.

    It is looked for in this order: :func:`register_async_driver`; entry points of the group
    ``pg_lo_storage.async_drivers``, whose names are dotted connection classes; the driver for psycopg 3.

    :raises DriverNotFound: there is none, or it cannot be imported, or what it makes is no asynchronous driver.
    """
    if (driver := find_async_driver(connection)) is not None:
        return driver
    kind: type = connection.__class__
    known = ", ".join({**_BUILT_IN, **entry_points(ASYNC_ENTRY_POINTS), **_registered})
    message = (
        f"no asynchronous driver serves connections of type {dotted(kind)!r}; known are {known}."
        " Pass a psycopg.AsyncConnection (install 'pg-lo-storage[psycopg]'), or name your own driver with"
        f" register_async_driver({dotted(kind)!r}, ...)"
    )
    try:
        blocking = factory_for(kind)
    except DriverNotFound:
        raise DriverNotFound(message) from None
    message += f"; {blocking!r} is registered {_AMONG_THE_OTHERS}"
    raise DriverNotFound(message)


def find_async_driver(connection: object) -> AsyncLargeObjectDriver | None:
    """Return the driver of an asynchronous connection; ``None`` for all else.

    :raises DriverNotFound: it cannot be imported, or what it makes is no asynchronous driver.
    """
    # __class__, not type(): a tracing proxy there names the class of its connection.
    kind: type = connection.__class__
    at_work = factories_at_work(connection) if AT_WORK.get() else ()
    factory = _find_factory(kind, besides=at_work) if at_work else factory_for_async(kind)
    if factory is None:
        return None
    return made_by(factory, connection, AsyncLargeObjectDriver, _why_not_awaited)


@functools.cache
def factory_for_async(kind: type) -> AsyncDriverFactory | None:
    """Return the driver factory for connections of that type, ``None`` for those that are not asynchronous."""
    return _find_factory(kind)


WHEN_REGISTERED.append(factory_for_async.cache_clear)


def _find_factory(kind: type, besides: Collection[Callable[..., object]] = ()) -> AsyncDriverFactory | None:
    for factories in (_registered, entry_points(ASYNC_ENTRY_POINTS), _BUILT_IN):
        for base in kind.__mro__:
            if (known := found(factories, base)) is not None:
                # A dotted name has no type: its protocol is that of the function that registered it.
                factory = cast("AsyncDriverFactory", load_factory(known)) if isinstance(known, str) else known
                if factory not in besides:
                    if factories is _BUILT_IN:
                        _refuse_misplaced(kind, base)
                    return factory
    return None


def _refuse_misplaced(kind: type, base: type) -> None:
    factory = misplaced(kind, base, (factories for _, factories in named_sources()))
    driver = load_factory(factory) if isinstance(factory, str) else factory
    # A function may make a driver that is not awaited over such a connection on purpose.
    if isinstance(driver, type):
        message = f"{factory!r} is registered for connections of type {dotted(kind)!r} {_AMONG_THE_OTHERS}"
        raise DriverNotFound(message)


def _why_not_awaited(kind: type) -> str | None:
    # Of others a class does not tell: also a function that is no "async def" may return what is awaited.
    if issubclass(kind, SQLDriver | DriverWrapper):
        return "its calls are not awaited, so it is for register_driver(), or an entry point of 'pg_lo_storage.drivers'"
    return None
