"""The kit on the package's asynchronous driver for psycopg 3, exactly as it is shipped."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import pytest

from example.cluster import Server
from pg_lo_storage.aio import Psycopg3AsyncDriver
from pg_lo_storage.testing import AsyncDriverConformance, OpenAsyncSession
from tests.aio.sessions import RawAsyncSession


class TestPsycopg3AsyncDriver(AsyncDriverConformance[Psycopg3AsyncDriver]):
    @pytest.fixture
    def open_async_session(self, server: Server) -> OpenAsyncSession[Psycopg3AsyncDriver]:
        @asynccontextmanager
        async def open_session(
            *, autocommit: bool = False
        ) -> AsyncGenerator[RawAsyncSession[Psycopg3AsyncDriver], None]:
            connection = await psycopg.AsyncConnection.connect(server.dsn(), autocommit=autocommit)
            try:
                yield RawAsyncSession(connection, Psycopg3AsyncDriver(connection))
            finally:
                await connection.close()

        return open_session
