"""Until when an open file may be used, besides being closed."""

from typing import TYPE_CHECKING

from pg_lo_storage.exceptions import StaleLargeObject

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObjectDriver

__all__ = ["Lifetime", "OfTransaction", "over"]


class Lifetime:
    """Without an end: each block is read by a statement of its own."""

    def check(self) -> None:
        """Raise StaleLargeObject where the file is open no longer."""


class OfTransaction(Lifetime):
    """That of a descriptor: the transaction in which it was opened. What ends before shows when it is used."""

    def __init__(self, driver: "LargeObjectDriver", oid: int) -> None:
        self._driver = driver
        self._oid = oid

    def check(self) -> None:
        """Raise StaleLargeObject where it shows, without a query, that there is no transaction."""
        if not self._driver.in_transaction:
            raise over(self._oid)


def over(oid: int) -> StaleLargeObject:
    """Return the error of a file whose transaction is over."""
    return StaleLargeObject(f"the transaction that large object {oid} was opened in is over: open it again", oid=oid)
