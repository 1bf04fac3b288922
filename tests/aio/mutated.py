"""The kit on drivers that get cancellation wrong; run by test_kit.py, in a pytest of its own."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg
import pytest
from psycopg.rows import tuple_row
from typing_extensions import override

from pg_lo_storage.aio import Psycopg3AsyncDriver
from pg_lo_storage.testing import AsyncDriverConformance, OpenAsyncSession
from tests.aio.sessions import RawAsyncSession

Rows = list[tuple[object, ...]]


class Waiting(Psycopg3AsyncDriver):
    """Waits until the statement is done, instead of cancelling it."""

    @override
    async def execute(self, query: LiteralString, params: Sequence[object] = ()) -> Rows:
        task = asyncio.ensure_future(super().execute(query, params))
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        return task.result()


class Interrupted(Psycopg3AsyncDriver):
    """Leaves it to psycopg, which has no answer to being cancelled again."""

    @override
    async def execute(self, query: LiteralString, params: Sequence[object] = ()) -> Rows:
        async with psycopg.AsyncCursor(self._connection, row_factory=tuple_row) as cursor:
            await cursor.execute(query, params, binary=True)
            rows: Rows = await cursor.fetchall() if cursor.description else []
            return rows


class TestMutant(AsyncDriverConformance[Psycopg3AsyncDriver]):
    @pytest.fixture(params=[Waiting, Interrupted])
    def open_async_session(self, request: pytest.FixtureRequest) -> OpenAsyncSession[Psycopg3AsyncDriver]:
        @asynccontextmanager
        async def open_session(
            *, autocommit: bool = False
        ) -> AsyncGenerator[RawAsyncSession[Psycopg3AsyncDriver], None]:
            connection = await psycopg.AsyncConnection.connect(os.environ["MUTATED_DSN"], autocommit=autocommit)
            await connection.execute("set statement_timeout = '2s'")
            if not autocommit:
                await connection.commit()
            try:
                yield RawAsyncSession(connection, request.param(connection))
            finally:
                await connection.close()

        return open_session
