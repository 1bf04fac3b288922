"""What the tests of the drivers share."""

import importlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest

from pg_lo_storage.drivers import AccessMode, LargeObject, LargeObjectDriver
from tests.fixtures.connections import RawConnection, run

T = TypeVar("T")

READ, WRITE, READ_WRITE = AccessMode.READ, AccessMode.WRITE, AccessMode.READ_WRITE
ALL_BYTES = bytes(range(256))


def execute(connection: RawConnection, statement: str, params: Sequence[object] | None = None) -> None:
    """Run a statement that returns nothing."""
    cursor = connection.cursor()
    try:
        cursor.execute(statement, params)
    finally:
        cursor.close()


def is_aborted(connection: RawConnection) -> bool:
    """Tell whether the server refuses to go on with the transaction."""
    try:
        return run(connection, "select 1") != [(1,)]
    except driver_error(connection):
        return True


def abort(connection: RawConnection) -> None:
    """Have the server abort the transaction."""
    with pytest.raises(driver_error(connection)):
        execute(connection, "select 1 / 0")


def driver_error(connection: RawConnection) -> type[Exception]:
    """Return the class of all errors of the connection's DB-API driver."""
    module = next(
        base.__module__.partition(".")[0] for base in type(connection).__mro__ if base.__module__.startswith("psycopg")
    )
    error: type[Exception] = importlib.import_module(module).Error
    return error


def server_version(connection: RawConnection) -> int:
    """Return the server's major version."""
    [(number,)] = run(connection, "select current_setting('server_version_num')::int / 10000")
    version: int = number
    return version


def content(driver: LargeObjectDriver, oid: int) -> bytes:
    """Return an object's bytes in one statement."""
    return driver.get(oid, 0, driver.size(oid))


def opened(driver: LargeObjectDriver, data: bytes, mode: AccessMode = READ_WRITE) -> LargeObject:
    """Return a descriptor of a new object."""
    return driver.open(driver.from_bytes(data), mode)


@contextmanager
def waiting_for_a_lock(
    connection: RawConnection, observer: RawConnection, call: Callable[[], T]
) -> Generator[Future[T]]:
    """Run ``call`` in a thread; the block is entered once its session waits for a lock of another one."""
    [(pid,)] = run(connection, "select pg_backend_pid()")
    # The server's own vacuum, for which it may wait a moment, is nobody's.
    waits = "select 1 from pg_stat_activity where pid = any(pg_blocking_pids(%s)) and usename is not null"
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call)
        while not run(observer, waits, [pid]):
            if future.done():
                pytest.fail(f"it did not wait: {future.exception() or future.result()}")
        yield future
