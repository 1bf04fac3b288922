"""How long an open file may be used before it is closed."""

from typing import TYPE_CHECKING

from pg_lo_storage.exceptions import StaleLargeObject

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObjectDriver

__all__ = ["Lifetime", "OfTransaction", "over"]


class Lifetime:
    """A lifetime without an end: each block is read by a statement of its own."""

    def check(self) -> None:
        """Raise StaleLargeObject if the lifetime is over."""


class OfTransaction(Lifetime):
    """A descriptor's lifetime: the transaction. The end of its savepoint is found out only by using it."""

    def __init__(self, driver: "LargeObjectDriver", oid: int) -> None:
        self._driver = driver
        self._oid = oid

    def check(self) -> None:
        """Raise StaleLargeObject if there is no transaction; nothing is sent."""
        if not self._driver.in_transaction:
            raise over(self._oid)


def over(oid: int) -> StaleLargeObject:
    """Return the error of a file whose transaction is over."""
    return StaleLargeObject(f"the transaction that large object {oid} was opened in is over: open it again", oid=oid)
