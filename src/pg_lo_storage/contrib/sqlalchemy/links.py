"""What a connection or a session of SQLAlchemy's uses at present: its connection, and the driver over it."""

import contextlib
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, Generic, TypeVar, cast

from sqlalchemy.engine import AdaptedConnection, Connection
from sqlalchemy.exc import DBAPIError, InvalidRequestError, PendingRollbackError
from sqlalchemy.orm import Session

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.aio.registry import find_async_driver
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.contrib.sqlalchemy.files import MAPPED
from pg_lo_storage.drivers.base import LargeObjectDriver
from pg_lo_storage.drivers.registry import get_driver
from pg_lo_storage.exceptions import StaleLargeObject

__all__ = ["Link", "Used", "blocking_driver", "is_autocommit", "raw_of"]

D = TypeVar("D", bound="LargeObjectDriver | AsyncLargeObjectDriver")
D_co = TypeVar("D_co", bound="LargeObjectDriver | AsyncLargeObjectDriver", covariant=True)
T = TypeVar("T")

_PROBE: Final = "select 1"


class Used(Generic[D_co]):
    """A connection that is checked out of its pool, and the driver over what it stands for."""

    def __init__(self, connection: Connection, driver: D_co) -> None:
        self.connection = connection
        self.driver = driver
        self._raw = raw_of(connection)

    @property
    def is_current(self) -> bool:
        """Whether the connection still has what it had: it was neither given back to the pool nor invalidated."""
        connection = self.connection
        return not connection.closed and not connection.invalidated and raw_of(connection) is self._raw

    @property
    def is_autocommit(self) -> bool:
        """See :func:`is_autocommit`."""
        return is_autocommit(self.connection)

    @property
    def needs_a_statement(self) -> bool:
        """Whether only SQLAlchemy can begin the transaction: the driver, as asyncpg's, knows autocommit alone."""
        driver = self.driver
        is_eager = isinstance(driver, AsyncSQLDriver) and driver.autocommit and not driver.in_transaction
        return is_eager and not self.is_autocommit

    def check(self, oid: int) -> None:
        """Raise StaleLargeObject where another may have the driver's connection by now."""
        if not self.is_current:
            message = f"the connection that large object {oid} was opened on went back to its pool: open it again"
            raise StaleLargeObject(message, oid=oid)

    def is_error_of_driver(self, error: BaseException) -> bool:
        """Tell whether the driver's package raised it."""
        return isinstance(error, self.connection.dialect.loaded_dbapi.Error)

    def is_lost(self, error: BaseException) -> bool:
        """Tell whether the connection was lost, by an error of the driver's."""
        raw = self.connection.connection.dbapi_connection if self.is_current else None
        return self.connection.dialect.is_disconnect(cast("Any", error), cast("Any", raw), None)

    def invalidate(self) -> None:
        """Have SQLAlchemy find out that the connection is lost, which it does by a statement of its own.

        It then invalidates the connection and its pool, and calls the handlers of errors.
        """
        with contextlib.suppress(DBAPIError):
            self.connection.exec_driver_sql(_PROBE)

    def wrapped(self, error: BaseException, *, is_lost: bool) -> BaseException:
        """Return SQLAlchemy's error for one of the driver's."""
        dialect = self.connection.dialect
        return DBAPIError.instance(
            None,
            None,
            error,
            dialect.loaded_dbapi.Error,
            connection_invalidated=is_lost,
            dialect=dialect,
        )

    @contextlib.contextmanager
    def handling_errors(self) -> Generator[None]:
        """Make SQLAlchemy's errors of the driver's; a connection that is lost is invalidated."""
        try:
            yield
        except Exception as error:
            if not self.is_error_of_driver(error):
                raise
            if is_lost := self.is_lost(error):
                self.invalidate()
            raise self.wrapped(error, is_lost=is_lost) from error


class Link(Generic[D]):
    """Finds what a connection or session uses, and begins its transaction, as its own statements do."""

    def __init__(self, target: Connection | Session, find_driver: Callable[[Connection], D]) -> None:
        self._target = target
        self._find_driver = find_driver
        self._used: Used[D] | None = None

    def begun(self) -> Used[D]:
        """Begin the transaction where there is none; return what is used in it.

        :raises InvalidRequestError: there is one that has to be rolled back first, or the connection is closed, or the
            session has several binds.
        """
        target = self._target
        if self._used is None and isinstance(target, Session):
            _require_one_bind(target)
        connection = target if isinstance(target, Connection) else target.connection()
        nested = connection.get_nested_transaction()
        if nested is not None and not nested.is_active:
            raise PendingRollbackError("the savepoint failed: roll it back before the next statement")
        if not connection.in_transaction():
            connection.begin()
        used = self._used
        if used is None or used.connection is not connection or not used.is_current:
            used = self._used = Used(connection, self._find_driver(connection))
        if used.needs_a_statement:
            connection.exec_driver_sql(_PROBE)
        return used

    def current(self) -> Used[D] | None:
        """Return what is used in the present transaction, ``None`` where there is none; none is begun."""
        if (known := self.known()) is not None or not self._target.in_transaction():
            return known
        try:
            return self.begun()
        except InvalidRequestError:
            return None

    def known(self) -> Used[D] | None:
        """Return what was used last, if it still is; nothing is connected."""
        return self._used if self._used is not None and self._used.is_current else None


def blocking_driver(connection: Connection) -> LargeObjectDriver:
    """Return the driver for what SQLAlchemy's connection stands for.

    Where that is asynchronous, the calls are awaited as SQLAlchemy does it within ``run_sync``.
    """
    dbapi_connection = connection.connection.dbapi_connection
    if isinstance(dbapi_connection, AdaptedConnection):
        found = find_async_driver(dbapi_connection.driver_connection)
        if found is not None:
            return BlockingDriver(_Greenlet(dbapi_connection), found)
    return get_driver(raw_of(connection))


def _require_one_bind(session: Session) -> None:
    """Raise InvalidRequestError where files of mapped rows are elsewhere than a statement of no class would go."""
    if type(session).get_bind is not Session.get_bind:
        return  # it has a rule of its own
    bind = session.get_bind()
    for mapper in list(MAPPED):
        if session.get_bind(mapper) is not bind:
            name = mapper.class_.__name__
            message = (
                f"the files of {name} are reached by another bind than the session's first: pass the connection that is"
                f' meant, session.connection(bind_arguments={{"mapper": {name}}})'
            )
            raise InvalidRequestError(message)


def is_autocommit(connection: Connection) -> bool:
    """Tell whether each statement is a transaction of its own: SQLAlchemy's isolation level ``AUTOCOMMIT``."""
    return bool(getattr(connection.connection.dbapi_connection, "autocommit", False))


def raw_of(connection: Connection) -> object:
    """Return the connection as the driver's package made it."""
    return connection.connection.driver_connection


class _Greenlet:
    """Runs coroutines for the greenlet in which SQLAlchemy calls ordinary code from a task."""

    def __init__(self, connection: AdaptedConnection) -> None:
        self._connection = connection

    def call(self, coroutine: Coroutine[object, object, T]) -> T:
        """See :class:`RunsCoroutines`."""
        return self._connection.run_async(lambda _: coroutine)
