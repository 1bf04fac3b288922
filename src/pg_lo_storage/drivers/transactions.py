"""Whether the next statement is part of a transaction."""

from pg_lo_storage.drivers.base import LargeObjectDriver
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.names import MAX_OID

__all__ = ["begins_by_itself"]


def begins_by_itself(driver: LargeObjectDriver) -> bool:
    """Tell whether there is a transaction; with autocommit off, begin it first."""
    if driver.in_transaction:
        return True
    if isinstance(driver, SQLDriver) and driver.autocommit:
        return False
    # With autocommit off any statement begins the transaction. Other drivers do not tell: one is tried.
    driver.exists(MAX_OID)
    return driver.in_transaction
