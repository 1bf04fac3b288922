"""What the asynchronous tests share."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ParamSpec

import psycopg

from pg_lo_storage.aio import Psycopg3AsyncDriver

P = ParamSpec("P")

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


def asynchronous(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@asynccontextmanager
async def connected(
    dsn: str, *, autocommit: bool = False
) -> AsyncGenerator[tuple[Connection, Psycopg3AsyncDriver], None]:
    """A connection, closed without a commit, and its driver."""
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=autocommit)
    try:
        yield connection, Psycopg3AsyncDriver(connection)
    finally:
        await connection.close()


async def content(driver: Psycopg3AsyncDriver, oid: int) -> bytes:
    """Return what an object holds, read without a file."""
    return await driver.get(oid, 0, await driver.size(oid))
