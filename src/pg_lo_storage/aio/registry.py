"""Which asynchronous driver serves a connection: the connection's type decides, at run time."""

import itertools
from collections.abc import Callable
from typing import Final, TypeAlias, cast

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.drivers.registry import at_work_on, factories_at_work, load_factory
from pg_lo_storage.exceptions import DriverNotFound

__all__ = ["AsyncDriverFactory", "find_async_driver", "get_async_driver", "register_async_driver"]

AsyncDriverFactory: TypeAlias = Callable[..., AsyncLargeObjectDriver]
"""Takes a connection and returns its driver; usually the driver's class."""

_BUILT_IN: Final[dict[str, AsyncDriverFactory | str]] = {
    "psycopg.AsyncConnection": "pg_lo_storage.aio.psycopg3.Psycopg3AsyncDriver",
}
_registered: dict[str, AsyncDriverFactory | str] = {}


def register_async_driver(connection_type: type | str, factory: AsyncDriverFactory | str) -> None:
    """Have ``factory`` serve connections of that type and its subclasses, before any other driver.

    Either may be a dotted name, so that nothing is imported until such a connection appears. A later call for
    the same type replaces the earlier one. A factory that asks :func:`get_async_driver` for its own connection, to wrap
    that driver, gets the next one.
    """
    _registered[connection_type if isinstance(connection_type, str) else _dotted(connection_type)] = factory


def get_async_driver(connection: object) -> AsyncLargeObjectDriver:
    """Return the driver of an asynchronous connection: what was registered for it, or the one for psycopg 3.

    :raises DriverNotFound: there is none, or it cannot be imported.
    """
    if (driver := find_async_driver(connection)) is not None:
        return driver
    known = ", ".join({**_BUILT_IN, **_registered})
    message = (
        f"no asynchronous driver serves connections of type {_dotted(connection.__class__)!r}; known are {known}."
        " Pass a psycopg.AsyncConnection (install 'pg-lo-storage[psycopg]'), or name your own driver with"
        " register_async_driver()"
    )
    raise DriverNotFound(message)


def find_async_driver(connection: object) -> AsyncLargeObjectDriver | None:
    """Return the driver of an asynchronous connection; ``None`` for all else."""
    at_work = factories_at_work(connection)
    # __class__, not type(): a tracing proxy there names the class of its connection.
    for base, known in itertools.product(connection.__class__.__mro__, (_registered, _BUILT_IN)):
        if (factory := known.get(_dotted(base))) is not None:
            # A dotted name has no type: its protocol is that of the function that registered it.
            loaded = cast("AsyncDriverFactory", load_factory(factory)) if isinstance(factory, str) else factory
            if loaded in at_work:
                continue
            with at_work_on(connection, loaded):
                return loaded(connection)
    return None


def _dotted(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
