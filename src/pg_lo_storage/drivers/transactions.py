"""Whether the next statement is part of a transaction, and a transaction for those that need one."""

import contextlib
from contextlib import AbstractContextManager
from types import TracebackType
from typing import cast

from pg_lo_storage.drivers.base import LargeObjectDriver, SQLExecutor, TransactionalDriver
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.exceptions import NoTransactionError
from pg_lo_storage.names import MAX_OID

__all__ = ["begins_by_itself", "cannot_begin", "transaction"]


def begins_by_itself(driver: LargeObjectDriver) -> bool:
    """Tell whether there is a transaction; with autocommit off, begin it first."""
    if driver.in_transaction:
        return True
    if isinstance(driver.sql, SQLDriver) and driver.sql.autocommit:
        return False
    # With autocommit off any statement begins the transaction. Other drivers do not tell: one is tried.
    driver.exists(MAX_OID)
    return driver.in_transaction


def transaction(driver: LargeObjectDriver) -> AbstractContextManager[object]:
    """Return a transaction on a connection in autocommit: the driver's own, or one that is begun by SQL.

    :raises NoTransactionError: the driver has neither.
    """
    if hasattr(type(driver), "transaction"):
        return cast("TransactionalDriver", driver).transaction()
    # A subclass may hide its SQL for what it does to bytes.
    sql = driver if isinstance(driver, SQLDriver) else driver.sql
    if sql is None:
        raise cannot_begin(driver)
    return _Begun(sql)


def cannot_begin(driver: object) -> NoTransactionError:
    """Return the error of a driver that has no way to begin a transaction."""
    message = (
        f"this takes a transaction, and {type(driver).__name__} has neither SQL nor a method transaction() to"
        " begin one: turn the connection's autocommit off, or begin a transaction yourself"
    )
    return NoTransactionError(message)


class _Begun:
    """A transaction by SQL; no generator, since the garbage collector would end that one in the database."""

    def __init__(self, sql: SQLExecutor) -> None:
        self._sql = sql

    def __enter__(self) -> None:
        self._sql.execute("begin")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._sql.execute("commit")
            return
        with contextlib.suppress(Exception):  # on a lost connection
            self._sql.execute("rollback")
