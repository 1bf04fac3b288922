"""A driver for PyGreSQL: https://pygresql.github.io.

To have it serve the connections that ``pg.connect`` returns, and the ``.db`` of a ``pg.DB``::

    register_driver("pg.Connection", "lo_pygresql.PyGreSQLDriver")

PyGreSQL has large objects of its own, which read ten times as fast, since bytes of SQL are sent as text. They serve
where one call reads much within a transaction. Elsewhere they do not: their errors have no SQLSTATE, so that a conflict
of two writers is not told from another failure, they know no position from 2 GiB on, and one that is forgotten closes
what has its number then.
"""

import contextlib
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, LiteralString, Protocol

from typing_extensions import override

from pg_lo_storage.drivers import SQLDriver

if TYPE_CHECKING:
    from pg_lo_storage.drivers import LargeObjectDriver

__all__ = ["PyGreSQLDriver"]

INV_READ: Final = 0x40000
MUCH: Final = 64 * 1024
"""Bytes from which the six round trips of a native large object are worth their time."""
MOST: Final = 1 << 20
"""Bytes that are read by one call of it."""
IN_TRANSACTION: Final = {1, 2, 3}
"""``pg.TRANS_ACTIVE``, ``TRANS_INTRANS`` and ``TRANS_INERROR``."""


class NativeObject(Protocol):
    """What the driver uses of a ``pg.LargeObject``; PyGreSQL itself has no annotations here."""

    def open(self, mode: int, /) -> object: ...
    def seek(self, offset: int, whence: int, /) -> int: ...
    def read(self, size: int, /) -> bytes: ...
    def close(self) -> object: ...


class Connection(Protocol):
    """What the driver uses of a ``pg.Connection``."""

    def query(self, command: str, args: Sequence[object] = (), /) -> object: ...
    def transaction(self) -> int: ...
    def getlo(self, oid: int, /) -> NativeObject: ...


class PyGreSQLDriver(SQLDriver):
    """Large objects over a ``pg.Connection``.

    Such a connection knows autocommit only. With ``autocommit=False`` the driver begins a transaction before its first
    statement, as connections of the DB-API do; it is the user's to end.
    """

    def __init__(self, connection: Connection, *, autocommit: bool = True) -> None:
        self._connection = connection
        self._autocommit = autocommit

    @override
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if not self._autocommit and not self.in_transaction:
            self._connection.query("begin")
        # Bytes would be sent as if they were text.
        values = ["\\x" + value.hex() if isinstance(value, memoryview) else value for value in params]
        result = (
            self._connection.query(_numbered(query), values) if values else self._connection.query(_numbered(query))
        )
        rows: list[tuple[object, ...]] = getattr(result, "getresult", list)()
        return rows

    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        if size < MUCH or offset + size >= 1 << 31 or not self.in_transaction:
            return super().get(oid, offset, size)
        super().get(oid, offset, 1)  # a native call on an object that is missing or forbidden fails the transaction
        native = self._connection.getlo(oid)
        native.open(INV_READ)
        try:
            native.seek(offset, 0)
            reads = (native.read(min(MOST, offset + size - start)) for start in range(offset, offset + size, MOST))
            return b"".join(itertools.takewhile(bool, reads))
        finally:
            with contextlib.suppress(OSError):  # where the transaction has failed
                native.close()
            del native  # also from the traceback

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return getattr(error, "sqlstate", None)

    @property
    @override
    def in_transaction(self) -> bool:
        try:
            return self._connection.transaction() in IN_TRANSACTION
        except TypeError:  # what a closed connection raises
            return False

    @property
    @override
    def autocommit(self) -> bool:
        return self._autocommit


def _numbered(query: str) -> str:
    """Replace ``%s`` by ``$1``, ``$2``, ... and ``%%`` by ``%``."""
    numbers = itertools.count(1)
    return re.sub("%[s%]", lambda match: f"${next(numbers)}" if match[0] == "%s" else "%", query)


if TYPE_CHECKING:
    # A driver that does not fit the protocol is an error of the type checker, here.
    def _(driver: PyGreSQLDriver) -> LargeObjectDriver:
        return driver
