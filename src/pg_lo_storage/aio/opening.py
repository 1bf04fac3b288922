"""How a mode opens a large object: :mod:`pg_lo_storage.io.opening`, awaited."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, cast

from pg_lo_storage.aio.cancellation import cleaned_up, completed
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.queries import wait_for_append
from pg_lo_storage.drivers.transactions import cannot_begin
from pg_lo_storage.exceptions import NoTransactionError
from pg_lo_storage.names import MAX_OID

if TYPE_CHECKING:
    from pg_lo_storage.aio.base import (
        AsyncLargeObject,
        AsyncLargeObjectDriver,
        AsyncSQLExecutor,
        AsyncTransactionalDriver,
    )
    from pg_lo_storage.io.modes import Mode

__all__ = ["begins_by_itself", "is_begun", "open_large_object", "transaction"]

# Seconds that a cancellation waits for another task's statement to end: creating an object itself takes no time.
_PATIENCE: Final = 1.0


async def open_large_object(
    driver: "AsyncLargeObjectDriver", oid: int, mode: "Mode"
) -> "tuple[int, AsyncLargeObject | None]":
    """Open or create an object; return its oid and its descriptor, ``None`` for reading outside a transaction."""
    if mode.kind == "x" or not oid:
        # Autocommit would commit, and orphan, the new object.
        if not await begins_by_itself(driver):
            message = "a large object is written in a transaction: turn autocommit off, or begin a transaction"
            raise NoTransactionError(message)
        return await _open_new(driver, oid, mode)
    return await _open_existing(driver, oid, mode)


async def _open_new(driver: "AsyncLargeObjectDriver", oid: int, mode: "Mode") -> "tuple[int, AsyncLargeObject | None]":
    if oid:
        await driver.create(oid)
        return await _open_existing(driver, oid, mode)
    # After a cancellation half-way nobody would know the oid of an object that the transaction may commit.
    oid, cancellation = await completed(driver.create(), patience=_PATIENCE)
    try:
        if cancellation is not None:
            raise cancellation  # pragma: no cover -- tested; tracers do not see what goes on after one was thrown in
        return await _open_existing(driver, oid, mode)
    except asyncio.CancelledError:
        await cleaned_up(driver.unlink(oid), patience=_PATIENCE)
        raise


async def _open_existing(
    driver: "AsyncLargeObjectDriver", oid: int, mode: "Mode"
) -> "tuple[int, AsyncLargeObject | None]":
    if mode.writable:
        descriptor = await driver.open(oid, AccessMode.READ_WRITE if mode.readable else AccessMode.WRITE)
        if mode.kind == "a" and driver.sql is not None:
            # Finding the end and writing there are two steps, so appending transactions take turns.
            waiting = wait_for_append(oid)
            await driver.sql.execute(waiting.query, waiting.params)
        return oid, descriptor
    try:
        return oid, await driver.open(oid, AccessMode.READ)
    except NoTransactionError:
        await driver.size(oid)  # a missing or forbidden object must show at opening
        return oid, None


async def begins_by_itself(driver: "AsyncLargeObjectDriver") -> bool:
    """Tell whether there is a transaction; with autocommit off, begin it first."""
    if not await is_begun(driver):
        # With autocommit off any statement begins the transaction: one is tried.
        await driver.exists(MAX_OID)
        return await is_begun(driver)
    return True


async def is_begun(driver: "AsyncLargeObjectDriver") -> bool:
    """Tell whether there is a transaction once the current statements of other tasks have ended."""
    if hasattr(type(driver), "is_begun"):
        return await cast("AsyncSQLDriver", driver).is_begun()
    return driver.in_transaction


def transaction(driver: "AsyncLargeObjectDriver") -> AbstractAsyncContextManager[object]:
    """Return a transaction on a connection in autocommit; see :func:`pg_lo_storage.drivers.transactions.transaction`.

    :raises NoTransactionError: the driver has no way to begin one.
    """
    if hasattr(type(driver), "transaction"):
        return cast("AsyncTransactionalDriver", driver).transaction()
    sql = driver if isinstance(driver, AsyncSQLDriver) else driver.sql
    if sql is None:
        raise cannot_begin(driver)
    return _begun(sql)


@contextlib.asynccontextmanager
async def _begun(sql: "AsyncSQLExecutor") -> AsyncGenerator[None, None]:
    try:
        await sql.execute("begin")
        yield
    except BaseException:
        await cleaned_up(sql.execute("rollback"))
        raise
    await sql.execute("commit")
