"""How a mode opens a large object, as :mod:`pg_lo_storage.opening` does, awaited."""

from typing import TYPE_CHECKING

from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.queries import wait_for_append
from pg_lo_storage.exceptions import NoTransactionError
from pg_lo_storage.names import MAX_OID

if TYPE_CHECKING:
    from pg_lo_storage.aio.base import AsyncLargeObject, AsyncLargeObjectDriver
    from pg_lo_storage.modes import Mode

__all__ = ["begins_by_itself", "open_large_object"]


async def open_large_object(
    driver: "AsyncLargeObjectDriver", oid: int, mode: "Mode"
) -> "tuple[int, AsyncLargeObject | None]":
    """Open, or create, by that mode; the descriptor is ``None`` where it is read outside a transaction."""
    if mode.kind == "x" or not oid:
        # Before an object is created that would be committed, and orphaned, at once.
        if not await begins_by_itself(driver):
            message = "a large object is written in a transaction: turn autocommit off, or begin a transaction"
            raise NoTransactionError(message)
        oid = await driver.create(oid)
    if mode.writable:
        descriptor = await driver.open(oid, AccessMode.READ_WRITE if mode.readable else AccessMode.WRITE)
        if mode.kind == "a" and driver.sql is not None:
            # Finding the end and writing there are two steps: who appends comes after who appended.
            waiting = wait_for_append(oid)
            await driver.sql.execute(waiting.query, waiting.params)
        return oid, descriptor
    try:
        return oid, await driver.open(oid, AccessMode.READ)
    except NoTransactionError:
        await driver.size(oid)  # opening is where a missing or forbidden file must show
        return oid, None


async def begins_by_itself(driver: "AsyncLargeObjectDriver") -> bool:
    """Return whether there is a transaction; with autocommit off this begins it."""
    if not driver.in_transaction:
        # With autocommit off any statement begins the transaction; only trying tells.
        await driver.exists(MAX_OID)
    return driver.in_transaction
