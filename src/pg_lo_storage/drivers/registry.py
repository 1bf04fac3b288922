"""Which driver serves a connection: the connection's type decides, at run time."""

import functools
import importlib
import importlib.metadata
import inspect
import operator
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast

from typing_extensions import get_protocol_members, is_protocol

from pg_lo_storage.drivers.base import LargeObjectDriver
from pg_lo_storage.drivers.naming import WHEN_REGISTERED, dotted, found, misplaced, register
from pg_lo_storage.exceptions import DriverNotFound

__all__ = [
    "ASYNC_ENTRY_POINTS",
    "ASYNC_REGISTERED",
    "AT_WORK",
    "DriverFactory",
    "entry_points",
    "factories_at_work",
    "factory_for",
    "get_driver",
    "load_factory",
    "made_by",
    "named_sources",
    "register_driver",
    "why_no_driver",
    "why_no_factory",
]

T = TypeVar("T")

DriverFactory: TypeAlias = Callable[..., LargeObjectDriver]
"""Takes a raw connection and returns its driver; usually the driver's class."""

ENTRY_POINTS: Final = "pg_lo_storage.drivers"
ASYNC_ENTRY_POINTS: Final = "pg_lo_storage.async_drivers"

_BUILT_IN: Final[dict[str, DriverFactory | str]] = {
    "psycopg.Connection": "pg_lo_storage.drivers.psycopg3.Psycopg3Driver",
    "psycopg2.extensions.connection": "pg_lo_storage.drivers.psycopg2.Psycopg2Driver",
    "sqlalchemy.engine.base.Connection": "pg_lo_storage.contrib.sqlalchemy.SQLAlchemyDriver",
    "sqlalchemy.orm.session.Session": "pg_lo_storage.contrib.sqlalchemy.SQLAlchemyDriver",
    "sqlalchemy.orm.scoping.scoped_session": "pg_lo_storage.contrib.sqlalchemy.SQLAlchemyDriver",
    "pg_lo_storage.testing.InMemoryConnection": "pg_lo_storage.testing.memory.driver.InMemoryDriver",
}
_DJANGO: Final = {"django.db.backends.base.base.BaseDatabaseWrapper", "django.utils.connection.ConnectionProxy"}
_CALLS: Final = get_protocol_members(LargeObjectDriver)
_registered: dict[str, DriverFactory | str] = {}
ASYNC_REGISTERED: Final[dict[str, Callable[..., object] | str]] = {}
"""What is registered for connections whose calls are awaited."""


@dataclass
class _Working:
    """A factory that is making the driver of a connection."""

    connection: object
    factory: Callable[..., object]
    is_over: bool = False


AT_WORK: Final = ContextVar[tuple[_Working, ...]]("AT_WORK", default=())
"""The factories that are making drivers, outermost first."""


def register_driver(connection_type: type | str, factory: DriverFactory | str | None) -> DriverFactory | str | None:
    """Have ``factory`` serve connections of that type and its subclasses, before any other driver.

    Either may be a dotted name, so that nothing is imported until such a connection appears. A connection's class has
    the name that its module gives it, and any other by which it is found in a module that was imported. A later call
    for the same type replaces the earlier one: the result is the factory that was registered before, or ``None``.
    Registering that again undoes the call. A factory that asks :func:`get_driver` for its own connection, to wrap that
    driver, gets the next one.
    """
    return register(_registered, connection_type, factory)


def get_driver(connection: object, *, driver: DriverFactory | str | None = None) -> LargeObjectDriver:
    """Return the driver of a raw DB-API connection.

    It is looked for in this order: ``driver``, a factory or its dotted name; :func:`register_driver`; entry points of
    the group ``pg_lo_storage.drivers``, whose names are dotted connection classes; the built-in drivers.

    :raises DriverNotFound: none of these serves the connection, or the one that does cannot be imported, or makes what
        is no driver.
    """
    if driver is not None:
        factory = load_factory(driver)
    else:
        # __class__, not type(): a tracing proxy there names the class of its connection.
        connection_type: type = connection.__class__
        at_work = factories_at_work(connection) if AT_WORK.get() else ()
        factory = _find_factory(connection_type, besides=at_work) if at_work else factory_for(connection_type)
    return made_by(factory, connection, LargeObjectDriver, _why_awaited)


def made_by(
    factory: Callable[..., T], connection: object, protocol: type, why_other: Callable[[type], str | None]
) -> T:
    """Return the driver that a factory makes; ``why_other`` says of a class why it is one of the other kind.

    :raises DriverNotFound: it makes none of that protocol.
    """
    reason = _why_no_class(factory, why_other) if isinstance(factory, type) else why_no_factory(factory)
    if reason is not None:
        message = f"{factory!r} makes no {protocol.__name__}: {reason}"
        raise DriverNotFound(message)
    with _at_work_on(connection, factory):
        made: T = factory(connection)
    kind: type = type(cast("object", made))
    reason = _why_not(kind, made, protocol) if _lacking_in_class(kind, protocol) else None
    if reason is None and kind is not factory:
        reason = why_other(kind)
    if reason is not None:
        message = f"{factory!r} makes a {dotted(kind)}, which is no {protocol.__name__}: {reason}"
        raise DriverNotFound(message)
    return made


@functools.cache
def _why_no_class(factory: type, why_other: Callable[[type], str | None]) -> str | None:
    return why_no_factory(factory) or why_other(factory)


def why_no_factory(factory: object) -> str | None:
    """Return why a driver cannot be made by this; ``None`` where only a call can tell."""
    if not callable(factory):
        return "it cannot be called"
    if isinstance(factory, type) and (inspect.isabstract(factory) or is_protocol(factory)):
        lacking = ", ".join(sorted(getattr(factory, "__abstractmethods__", ())))
        return f"it is an abstract class, which has no {lacking}" if lacking else "it is a protocol, which is abstract"
    return None


def why_no_driver(kind: type) -> str | None:
    """Return why what is of this type is no driver; ``None`` where nothing speaks against."""
    return _why_not(kind, None, LargeObjectDriver) or _why_awaited(kind)


def _why_not(kind: type, made: object, protocol: type) -> str | None:
    lacking = [name for name in _lacking_in_class(kind, protocol) if not hasattr(made, name)]
    return f"it has no {', '.join(lacking)}" if lacking else None


def _why_awaited(kind: type) -> str | None:
    if not _is_awaited(kind):
        return None
    return (
        "it is asynchronous, so it is for register_async_driver(), or an entry point of the group"
        f" {ASYNC_ENTRY_POINTS!r}"
    )


@functools.cache
def _lacking_in_class(kind: type, protocol: type) -> list[str]:
    return sorted(get_protocol_members(protocol) - set(dir(kind)))


@functools.cache
def _is_awaited(kind: type) -> bool:
    return any(inspect.iscoroutinefunction(getattr(kind, name, None)) for name in _CALLS)


@contextmanager
def _at_work_on(connection: object, factory: Callable[..., object]) -> Generator[None]:
    """Have the factory, while it makes a driver of the connection, be given the next driver if it asks for one."""
    working = _Working(connection, factory)
    token = AT_WORK.set((*AT_WORK.get(), working))
    try:
        yield
    finally:
        AT_WORK.reset(token)
        working.is_over = True  # also in contexts that were copied meanwhile


def factories_at_work(connection: object) -> list[Callable[..., object]]:
    """Return the factories that are making drivers of this connection, which can ask for the next one only."""
    return [each.factory for each in AT_WORK.get() if each.connection is connection and not each.is_over]


def load_factory(factory: DriverFactory | str) -> DriverFactory:
    """Return ``factory``, imported if it is a dotted name.

    :raises DriverNotFound: it cannot be imported.
    """
    if not isinstance(factory, str):
        return factory
    module, _, name = factory.partition(":") if ":" in factory else factory.rpartition(".")
    try:
        return cast("DriverFactory", operator.attrgetter(name)(importlib.import_module(module)))
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # TypeError: a relative name
        message = f"the driver {factory!r} cannot be imported: {error}"
        raise DriverNotFound(message) from error


@functools.cache
def factory_for(connection_type: type) -> DriverFactory:
    """Return the driver factory for connections of that type.

    :raises DriverNotFound: there is none; the message has all that was tried.
    """
    return _find_factory(connection_type)


WHEN_REGISTERED.append(factory_for.cache_clear)


def _find_factory(connection_type: type, besides: Collection[Callable[..., object]] = ()) -> DriverFactory:
    tried: list[str] = []
    for source, factories in sources():
        for base in connection_type.__mro__:
            known = found(factories, base)
            if known is not None and (factory := load_factory(known)) not in besides:
                if factories is _BUILT_IN:
                    _refuse_misplaced(connection_type, base)
                return factory
        tried.append(f"{source}: {', '.join(factories) or 'none'}")
    message = (
        f"no driver serves connections of type {dotted(connection_type)!r}; known are, by {'; by '.join(tried)}."
        f" {_hint([dotted(base) for base in connection_type.__mro__])}"
    )
    raise DriverNotFound(message)


def _refuse_misplaced(connection_type: type, base: type) -> None:
    factory = misplaced(connection_type, base, (ASYNC_REGISTERED, entry_points(ASYNC_ENTRY_POINTS)))
    kind = load_factory(factory) if isinstance(factory, str) else factory
    # A driver that is awaited may well stand over such a connection; what a function makes only a call can tell.
    if isinstance(kind, type) and not _is_awaited(kind):
        message = (
            f"{factory!r} is registered for connections of type {dotted(connection_type)!r} among the asynchronous"
            " drivers, and their calls are not awaited: it is for register_driver(), or an entry point of the group"
            f" {ENTRY_POINTS!r}"
        )
        raise DriverNotFound(message)


def sources() -> Iterator[tuple[str, dict[str, DriverFactory | str]]]:
    """Yield the places where drivers are looked for, in order, each with its factories by connection class."""
    yield from named_sources()
    yield "the package itself", _BUILT_IN


def named_sources() -> Iterator[tuple[str, dict[str, DriverFactory | str]]]:
    """Yield those of them that users and packages fill."""
    yield "register_driver", _registered
    yield "entry points", {**entry_points(ENTRY_POINTS)}


def entry_points(group: str) -> dict[str, str]:
    """Return the dotted names of the factories that packages offer, by connection class."""
    points = importlib.metadata.entry_points(group=group)
    # An entry point's value may end in "[extra]", which is of no use here.
    return {point.name: point.value.partition("[")[0].strip() for point in points}


def _hint(bases: list[str]) -> str:
    if _DJANGO.intersection(bases):
        return "This is Django's wrapper: pass its .connection, or use DbFileIO(alias=...)"
    if "psycopg.AsyncConnection" in bases:
        return "An asynchronous connection needs an asynchronous driver; open a psycopg.Connection for this one"
    if bases[0].startswith("sqlalchemy."):
        return (
            "Pass SQLAlchemy's Connection, Session, AsyncConnection or AsyncSession itself, so that it knows of the"
            " transaction"
        )
    return (
        "Pass a psycopg.Connection (install 'pg-lo-storage[psycopg]') or a psycopg2 connection"
        f" (install 'pg-lo-storage[psycopg2]'), or name your own driver with register_driver({bases[0]!r}, ...) or"
        " driver="
    )
