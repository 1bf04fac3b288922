"""Drivers: those of the package, and one's own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, LiteralString, assert_type

import psycopg
import psycopg2
from typing_extensions import override

from pg_lo_storage.drivers import (
    AccessMode,
    DriverWrapper,
    LargeObject,
    LargeObjectDriver,
    LargeObjectWrapper,
    Psycopg2Driver,
    Psycopg3Driver,
    SQLDriver,
    SQLExecutor,
    get_driver,
    register_driver,
)
from pg_lo_storage.io import LargeObjectIO

if TYPE_CHECKING:
    # A driver that does not fit the protocol is an error here.
    ours: list[type[LargeObjectDriver]] = [Psycopg2Driver, Psycopg3Driver]


def each_takes_its_own_connection() -> None:
    with psycopg.connect("dbname=app") as connection:
        assert_type(Psycopg3Driver(connection), Psycopg3Driver)
        Psycopg2Driver(connection)  # E: psycopg 3's
        Psycopg3Driver("dbname=app")  # E: a connection, not where to find it
        Psycopg2Driver("dbname=app")  # E: a connection, not where to find it
    assert_type(Psycopg2Driver(psycopg2.connect("dbname=app")), Psycopg2Driver)
    Psycopg3Driver(psycopg2.connect("dbname=app"))  # E[psycopg2-stubs | pyright]: psycopg2's


async def an_asynchronous_connection_is_another_thing() -> None:
    async with await psycopg.AsyncConnection.connect("dbname=app") as connection:
        Psycopg3Driver(connection)  # E: asynchronous


def rows_may_be_of_any_kind(connection: psycopg.Connection[dict[str, Any]]) -> None:
    Psycopg3Driver(connection)


def a_driver_is_found(connection: object) -> None:
    driver = get_driver(connection)
    assert_type(driver, LargeObjectDriver)
    assert_type(get_driver(connection, driver=Psycopg3Driver), LargeObjectDriver)
    assert_type(get_driver(connection, driver="my.Driver"), LargeObjectDriver)
    get_driver(connection, Psycopg3Driver)  # E: by keyword
    with LargeObjectIO(driver, mode="wb") as file:
        file.write(b"kept with the rows of this transaction")


def what_a_driver_does(driver: LargeObjectDriver, oid: int, data: memoryview) -> None:
    assert_type(driver.create(), int)
    assert_type(driver.from_bytes(data), int)
    assert_type(driver.unlink(oid), bool)
    assert_type(driver.exists(oid), bool)
    assert_type(driver.size(oid), int)
    assert_type(driver.get(oid, 0, 100), bytes)
    driver.put(oid, 0, data)
    assert_type(driver.in_transaction, bool)
    assert_type(driver.sql, SQLExecutor | None)
    assert_type(driver.open(oid, AccessMode.READ | AccessMode.WRITE), LargeObject)
    driver.open(oid, "rb")  # E: an AccessMode
    driver.from_bytes("text")  # E: encode it
    if driver.sql:
        driver.sql.execute("select 1 where oid = %s", [oid])
        driver.sql.execute(input())  # E[pyright | pyrefly]: only literal SQL


def what_a_descriptor_does(descriptor: LargeObject) -> None:
    assert_type(descriptor.oid, int)
    assert_type(descriptor.read(10), bytes)
    assert_type(list(descriptor.chunks(1000)), list[bytes])
    assert_type(descriptor.write(bytearray(10)), int)
    assert_type(descriptor.write_all([b"a", memoryview(b"b")]), int)
    assert_type(descriptor.seek(0, 2), int)
    assert_type(descriptor.tell(), int)
    descriptor.truncate(0)
    descriptor.close()


class LoggingDriver(SQLDriver):
    """The README's."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @override
    def execute(self, query: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return []

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return None

    @property
    @override
    def in_transaction(self) -> bool:
        return False

    @property
    @override
    def autocommit(self) -> bool:
        return False


class Forgetful(SQLDriver):
    @override
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return []


class Keeping(DriverWrapper):
    """Deletes nothing."""

    @override
    def unlink(self, oid: int) -> bool:
        return False


class Slack:
    """Nearly a driver: one signature is another, and some are missing."""

    def __init__(self, connection: object) -> None: ...
    def create(self) -> None: ...
    def exists(self, oid: str) -> bool:
        return bool(oid)


def a_wrapper_is_a_driver(driver: Keeping, connection: object) -> LargeObjectDriver:
    register_driver("some.Connection", register_driver(psycopg.Connection, Keeping))
    assert_type(Keeping(connection, driver=Psycopg3Driver).wrapped, LargeObjectDriver)
    assert_type(driver.open(1, AccessMode.READ), LargeObjectWrapper)
    return driver


def what_is_lacking_is_named(driver: Slack) -> LargeObjectDriver:
    return driver  # E: the checker names the members


def ones_own_driver_is_checked(connection: object) -> None:
    fitting: LargeObjectDriver = LoggingDriver(connection)
    LargeObjectIO(fitting)
    register_driver("some.Connection", LoggingDriver)
    register_driver(psycopg.Connection, "my.Driver")
    get_driver(connection, driver=LoggingDriver)
    slack: LargeObjectDriver = Slack(connection)  # E: does not fit
    LargeObjectIO(Slack(connection))  # E: does not fit
    register_driver("some.Connection", Slack)  # E: does not fit
    get_driver(connection, driver=Slack)  # E: does not fit
    Forgetful()  # E: abstract
    slack.close()  # E: a driver closes nothing
