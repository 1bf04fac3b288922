"""The kit on the drivers of the package, exactly as it is shipped."""

import pytest

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.testing import (
    DriverConformance,
    InMemoryConnection,
    InMemoryDriver,
    InMemoryServer,
    OpenSession,
)
from tests.fixtures.connections import Connect
from tests.testing.sessions import InMemorySession, RawSession


class TestInMemoryDriver(DriverConformance[InMemoryDriver]):
    @pytest.fixture
    def open_session(self) -> OpenSession[InMemoryDriver]:
        server = InMemoryServer()

        def open_session(*, autocommit: bool = False) -> InMemorySession:
            return InMemorySession(InMemoryConnection(server, autocommit=autocommit))

        return open_session


class TestInstalledDriver(DriverConformance[LargeObjectDriver]):
    """``Psycopg3Driver`` and ``Psycopg2Driver``, each that is installed."""

    @pytest.fixture
    def open_session(self, connect: Connect) -> OpenSession[LargeObjectDriver]:
        def open_session(*, autocommit: bool = False) -> RawSession[LargeObjectDriver]:
            connection = connect(autocommit=autocommit)
            return RawSession(connection, get_driver(connection))

        return open_session
