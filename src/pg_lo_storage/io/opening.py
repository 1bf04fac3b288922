"""How a mode opens a large object: what it creates, in which transaction, and who waits for whom."""

from typing import TYPE_CHECKING

from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.queries import wait_for_append
from pg_lo_storage.drivers.transactions import begins_by_itself
from pg_lo_storage.exceptions import NoTransactionError

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver
    from pg_lo_storage.io.modes import Mode

__all__ = ["open_for_reading", "open_large_object"]


def open_large_object(driver: "LargeObjectDriver", oid: int, mode: "Mode") -> "tuple[int, LargeObject | None]":
    """Open or create an object; return its oid and its descriptor, ``None`` for reading outside a transaction."""
    mode.check_oid(oid)
    if mode.kind == "x" or not oid:
        _require_transaction(driver)
        oid = driver.create(oid)
    if mode.writable:
        descriptor = driver.open(oid, AccessMode.READ_WRITE if mode.readable else AccessMode.WRITE)
        if mode.kind == "a" and driver.sql is not None:
            # Finding the end and writing there are two steps, so appending transactions take turns.
            waiting = wait_for_append(oid)
            driver.sql.execute(waiting.query, waiting.params)
        return oid, descriptor
    if (opened := open_for_reading(driver, oid)) is None:
        driver.size(oid)  # a missing or forbidden object must show at opening
    return oid, opened


def open_for_reading(driver: "LargeObjectDriver", oid: int) -> "LargeObject | None":
    """Open a descriptor; outside a transaction send nothing and return ``None``."""
    try:
        return driver.open(oid, AccessMode.READ)
    except NoTransactionError:
        return None


def _require_transaction(driver: "LargeObjectDriver") -> None:
    """Raise NoTransactionError before autocommit can commit, and orphan, a new object."""
    if not begins_by_itself(driver):
        message = (
            "a large object is written in a transaction: turn autocommit off, or begin a transaction"
            " (in Django, wrap the code in transaction.atomic())"
        )
        raise NoTransactionError(message)
