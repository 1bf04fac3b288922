"""A driver for asyncpg: https://github.com/MagicStack/asyncpg.

To have ``pg_lo_storage.open``, ``save`` and the others take its connections::

    register_async_driver("asyncpg.connection.Connection", "lo_asyncpg.AsyncpgDriver")
    register_async_driver("asyncpg.pool.PoolConnectionProxy", "lo_asyncpg.AsyncpgDriver")
"""

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, LiteralString, Protocol

from typing_extensions import override

from pg_lo_storage.aio import AsyncSQLDriver

if TYPE_CHECKING:
    from pg_lo_storage.aio import AsyncLargeObjectDriver

__all__ = ["AsyncpgDriver"]


class Connection(Protocol):
    """What the driver uses of an ``asyncpg.Connection``; asyncpg itself has no annotations."""

    async def fetch(self, query: str, /, *args: object) -> Sequence[Sequence[object]]: ...
    def is_in_transaction(self) -> bool: ...
    def is_closed(self) -> bool: ...


class AsyncpgDriver(AsyncSQLDriver):
    """Large objects over an ``asyncpg.Connection``.

    asyncpg knows autocommit only. With ``autocommit=False`` the driver begins a transaction before its first
    statement, as connections of the DB-API do; it is the user's to end.
    """

    def __init__(self, connection: Connection, *, autocommit: bool = True) -> None:
        self._connection = connection
        self._autocommit = autocommit

    @override
    async def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        if not self._autocommit and not self.in_transaction:
            await self._fetch("begin")
        return await self._fetch(query, *params)

    async def _fetch(self, query: LiteralString, *params: object) -> list[tuple[object, ...]]:
        # Where it is cancelled, asyncpg cancels the statement, and has the next one wait until that is done.
        return [tuple(row) for row in await self._connection.fetch(_numbered(query), *params)]

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return getattr(error, "sqlstate", None)

    @property
    @override
    def in_transaction(self) -> bool:
        return not self._connection.is_closed() and self._connection.is_in_transaction()

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
    def _(driver: AsyncpgDriver) -> AsyncLargeObjectDriver:
        return driver
