"""The connection of a filesystem, and its transactions and savepoints."""

import abc
import contextlib
import io
import os
import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, LiteralString, Protocol, TypeAlias

from typing_extensions import override

from pg_lo_storage.drivers.base import LargeObjectDriver, SQLExecutor
from pg_lo_storage.drivers.registry import get_driver
from pg_lo_storage.drivers.transactions import begins_by_itself, transaction

__all__ = ["Connection", "ConnectionSession", "End", "OwnSession", "Session", "sql_of"]

End: TypeAlias = Callable[[bool], None]
"""Ends what was begun: True keeps it, False undoes it."""


class Connection(Protocol):
    """A connection of psycopg's, psycopg2's, or any that a driver was registered for."""

    def commit(self) -> None:
        """Commit its transaction."""
        ...

    def rollback(self) -> None:
        """Roll its transaction back."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Session(abc.ABC):
    """Large objects of one database."""

    @property
    @abc.abstractmethod
    def lock(self) -> "threading.RLock":
        """Held while no other thread may use the connection: its statements would take part."""

    @property
    @abc.abstractmethod
    def driver(self) -> LargeObjectDriver:
        """The driver of the connection that is used now."""

    @abc.abstractmethod
    def begin(self, *, whole: bool = False) -> End:
        """Begin a transaction, or a savepoint where there is one.

        With autocommit off the connection begins a transaction itself, which the caller ends; with ``whole`` the result
        ends it.

        :raises NoTransactionError: the connection is in autocommit, and its driver has no way to begin a transaction.
        """

    @property
    def rows(self) -> SQLExecutor | None:
        """Runs SQL on the catalogue's rows, which holds no content; ``None`` if there is no way to."""
        return self.driver.sql

    @property
    @abc.abstractmethod
    def in_transaction(self) -> bool:
        """Whether an error of the next statement would abort a transaction."""

    @contextmanager
    def unit(self) -> Generator[LargeObjectDriver]:
        """Do all of the block or nothing of it."""
        with self.lock:
            end = self.begin()
            try:
                yield self.driver
            except BaseException:
                end(False)
                raise
            end(True)

    @contextmanager
    def guarded(self) -> Generator[LargeObjectDriver]:
        """Leave the transaction, if there is one, as it was if the block fails."""
        with self.lock, self.unit() if self.in_transaction else contextlib.nullcontext():
            yield self.driver

    @abc.abstractmethod
    def close(self) -> None:
        """Close what the session opened itself."""


class ConnectionSession(Session):
    """A connection of the caller's, who also has its transactions."""

    def __init__(self, connection: Connection) -> None:
        self._lock = threading.RLock()
        self._given = connection

    @property
    @override
    def lock(self) -> "threading.RLock":
        return self._lock

    @property
    def connection(self) -> Connection:
        """The connection that is used now."""
        return self._given

    @property
    @override
    def driver(self) -> LargeObjectDriver:
        return get_driver(self.connection)

    @property
    @override
    def in_transaction(self) -> bool:
        return begins_by_itself(self.driver)

    @override
    def begin(self, *, whole: bool = False) -> End:
        connection, driver = self.connection, self.driver
        if not driver.in_transaction:
            if not begins_by_itself(driver):
                return _entered(transaction(driver))
            if whole:
                return lambda keep: connection.commit() if keep else connection.rollback()
        if driver.sql is None and not whole:
            return _end_nothing  # after a failure the caller rolls the transaction back
        name: Final = "pg_lo_storage_fs"
        release: Final = "release savepoint " + name
        return _Statements(sql_of(driver), "savepoint " + name, (release,), ("rollback to savepoint " + name, release))

    @override
    def close(self) -> None:
        """Leave the connection to the caller."""


class OwnSession(ConnectionSession):
    """A connection of its own, in autocommit: opened when it is needed, and again when it was lost."""

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._lock = threading.RLock()
        self._open = open_connection
        self._pid = os.getpid()
        self._opened: Connection | None = None
        self._closing: Callable[[], object] | None = None
        self._begun = 0

    @property
    @override
    def connection(self) -> Connection:
        with self._lock:
            forked = self._pid != os.getpid()
            # A transaction ends with its connection: its second half must not run on another.
            if self._opened is not None and self._begun:
                if forked:
                    message = "this process was forked within a transaction, which is the parent's"
                    raise RuntimeError(message)
                return self._opened
            if self._opened is None or forked or getattr(self._opened, "closed", False):
                if self._closing is not None and not forked:
                    self._closing()
                self._opened, self._pid = self._open(), os.getpid()
                self._closing = weakref.finalize(self, _close, self._opened, self._pid)
            return self._opened

    @override
    def begin(self, *, whole: bool = False) -> End:
        end = super().begin(whole=whole)
        self._begun += 1

        def ended(keep: bool) -> None:
            self._begun -= 1
            if self._pid == os.getpid():  # a child process must not end its parent's
                end(keep)

        return ended

    @override
    def close(self) -> None:
        with self._lock:
            self._opened = None
            if self._closing is not None:
                self._closing()


def sql_of(driver: LargeObjectDriver) -> SQLExecutor:
    """Return the driver's SQL.

    :raises io.UnsupportedOperation: it has none.
    """
    if driver.sql is None:
        message = f"pglo:// needs SQL for this, which {type(driver).__name__} has none of"
        raise io.UnsupportedOperation(message)
    return driver.sql


def _entered(begun: AbstractContextManager[object]) -> End:
    """Begin a transaction; return what ends it."""
    begun.__enter__()

    def end(keep: bool) -> None:
        if keep:
            begun.__exit__(None, None, None)
            return
        # If the connection is lost, all is undone, and the error that led here is the one to raise.
        with contextlib.suppress(Exception):
            begun.__exit__(RuntimeError, RuntimeError("what the transaction was for has failed"), None)

    return end


class _Statements:
    """A savepoint, begun by one statement and ended by others."""

    def __init__(
        self,
        sql: SQLExecutor,
        begin: LiteralString,
        keep: tuple[LiteralString, ...],
        undo: tuple[LiteralString, ...],
    ) -> None:
        self._sql = sql
        self._keep = keep
        self._undo = undo
        sql.execute(begin)

    def __call__(self, keep: bool, /) -> None:
        if keep:
            for statement in self._keep:
                self._sql.execute(statement)
            return
        # If the connection is lost, all is undone, and the error that led here is the one to raise.
        with contextlib.suppress(Exception):
            for statement in self._undo:
                self._sql.execute(statement)


def _end_nothing(_keep: bool) -> None:
    """End nothing: the driver has no SQL, so nothing was begun."""


def _close(connection: Connection, pid: int) -> None:
    if pid == os.getpid():  # in a child process the socket is the parent's
        connection.close()
