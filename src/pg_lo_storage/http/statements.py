"""Runs a statement by whatever a driver has for SQL, called and awaited."""

from typing import TypeVar

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.drivers.base import LargeObjectDriver
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.drivers.sql import SQLDriver

__all__ = ["perform", "perform_async"]

T = TypeVar("T")


def perform(driver: LargeObjectDriver, statement: Statement[T]) -> T:
    """Run the statement and return its result.

    :raises ValueError: the driver has no SQL.
    """
    if (sql := driver.sql) is None:
        raise _without_sql(driver)
    if isinstance(sql, SQLDriver):
        return sql.perform(statement)
    return statement.result(sql.execute(statement.query, statement.params))


async def perform_async(driver: AsyncLargeObjectDriver, statement: Statement[T]) -> T:
    """:func:`perform`, awaited."""
    if (sql := driver.sql) is None:
        raise _without_sql(driver)
    if isinstance(sql, AsyncSQLDriver):
        return await sql.perform(statement)
    return statement.result(await sql.execute(statement.query, statement.params))


def _without_sql(driver: object) -> ValueError:
    return ValueError(f"{type(driver).__name__} has no SQL, and so no catalogue: pass FileFacts of your own")
