"""The example driver for PyGreSQL keeps the contract of a driver, and reads by native large objects."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

import pytest

import pg_lo_storage
from example.cluster import Server
from example.drivers.lo_pygresql import MOST, MUCH, PyGreSQLDriver
from pg_lo_storage.drivers import get_driver, register_driver
from pg_lo_storage.testing import DriverConformance, OpenSession


class Connection(Protocol):
    """What the tests use of a ``pg.Connection``, which has no annotations."""

    def query(self, command: str, args: Sequence[object] = (), /) -> object: ...
    def transaction(self) -> int: ...
    def getlo(self, oid: int, /) -> Any: ...
    def close(self) -> None: ...


Connect = Callable[[], Connection]
LARGE = b"".join(number.to_bytes(4, "big") for number in range(600_000))


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    parameters = server.parameters()
    opened: list[Connection] = []

    def connect() -> Connection:
        connection: Connection = importlib.import_module("pg").connect(
            dbname=parameters["dbname"],
            host=parameters.get("host"),
            port=int(parameters.get("port") or "5432"),
            user=parameters.get("user", "app"),
            passwd=parameters.get("password"),
        )
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        with suppress(Exception):  # closed before
            connection.close()


class Session:
    """A session of the driver, whose transactions are begun and ended by SQL."""

    def __init__(self, connection: Connection, *, autocommit: bool) -> None:
        self._connection = connection
        self.driver = PyGreSQLDriver(connection, autocommit=autocommit)
        self.close = connection.close

    def begin(self) -> None:
        # With autocommit off the driver begins by itself, and would be warned of a second time.
        if self.driver.autocommit:
            self._connection.query("begin")

    def commit(self) -> None:
        self._end("commit")

    def rollback(self) -> None:
        self._end("rollback")

    def savepoint(self, name: str) -> None:
        self._within(f"savepoint {name}")

    def rollback_to(self, name: str) -> None:
        self._within(f"rollback to {name}")

    def release(self, name: str) -> None:
        self._within(f"release {name}")

    def _within(self, statement: str) -> None:
        # Through the driver, which begins the transaction where the connection does not.
        self.driver.execute(statement)  # pyright: ignore[reportArgumentType]  # the kit's names

    def _end(self, statement: str) -> None:
        if self.driver.in_transaction:
            self._connection.query(statement)


class TestPyGreSQLDriver(DriverConformance[PyGreSQLDriver]):
    @pytest.fixture
    def open_session(self, connect: Connect) -> OpenSession[PyGreSQLDriver]:
        def open_session(*, autocommit: bool = False) -> Session:
            return Session(connect(), autocommit=autocommit)

        return open_session


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("size", [MUCH - 1, MUCH, MOST, MOST + 1, len(LARGE), len(LARGE) + 1])
def test_much_is_read_as_little_is(connect: Connect, size: int, transaction: bool) -> None:
    driver = PyGreSQLDriver(connect(), autocommit=not transaction)
    oid = driver.from_bytes(LARGE)
    for offset in (0, 1000, len(LARGE) - 1000, len(LARGE), len(LARGE) + 1000, 1 << 31, 1 << 40):
        assert (driver.get(oid, offset, size) == LARGE[offset : offset + size]) is True
    driver.unlink(oid)


def test_registered_its_connections_are_taken_by_the_functions_of_the_package(connect: Connect) -> None:
    register_driver("pg.Connection", "example.drivers.lo_pygresql.PyGreSQLDriver")
    connection = connect()
    assert isinstance(get_driver(connection), PyGreSQLDriver)
    oid = pg_lo_storage.save(connection, (LARGE[start : start + 1000] for start in range(0, len(LARGE), 1000)))
    copied = pg_lo_storage.copy(connection, oid)
    with pg_lo_storage.open(connection, copied) as file:
        assert (file.read() == LARGE) is True
    assert not get_driver(connection).in_transaction
    for made in (oid, copied):
        get_driver(connection).unlink(made)
