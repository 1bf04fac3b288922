"""Sessions of each kind, as the author of a driver writes them for the kit."""

from typing import Generic, TypeVar

from pg_lo_storage.drivers import LargeObjectDriver
from pg_lo_storage.testing import InMemoryConnection, InMemoryDriver
from tests.fixtures.connections import RawConnection

D = TypeVar("D", bound=LargeObjectDriver)


class InMemorySession:
    """A session of the in-memory driver."""

    def __init__(self, connection: InMemoryConnection) -> None:
        self.driver = InMemoryDriver(connection)
        self.begin = connection.begin
        self.commit = connection.commit
        self.rollback = connection.rollback
        self.savepoint = connection.savepoint
        self.rollback_to = connection.rollback_to
        self.release = connection.release
        self.close = connection.close


class RawSession(Generic[D]):
    """A session of a driver over a DB-API connection."""

    def __init__(self, connection: RawConnection, driver: D) -> None:
        self.connection = connection
        self.driver = driver

    def begin(self) -> None:
        # With autocommit off the driver begins by itself, and would be warned of a second time.
        if self.connection.autocommit:
            self._execute("begin")

    def commit(self) -> None:
        self._end("commit")

    def rollback(self) -> None:
        self._end("rollback")

    def savepoint(self, name: str) -> None:
        self._execute(f"savepoint {name}")

    def rollback_to(self, name: str) -> None:
        self._execute(f"rollback to {name}")

    def release(self, name: str) -> None:
        self._execute(f"release {name}")

    def close(self) -> None:
        self.connection.close()

    def _end(self, statement: str) -> None:
        # Neither driver's own methods end what an explicit BEGIN began under autocommit.
        if not self.connection.autocommit:
            getattr(self.connection, statement)()
        elif self.driver.in_transaction:
            self._execute(statement)

    def _execute(self, statement: str) -> None:
        cursor = self.connection.cursor()
        cursor.execute(statement)
        cursor.close()
