"""Many tasks that read through few connections, in bounded memory."""

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.aio import AsyncLargeObjectIO, Psycopg3AsyncDriver
from tests.aio.support import Connection, asynchronous
from tests.io.files import numbered_lines

READERS, CONNECTIONS, SIZE = 200, 10, 1_000_000


@asynchronous
async def test_200_readers_on_10_connections_need_memory_for_their_blocks_only(server: Server) -> None:
    data = numbered_lines(SIZE)
    pool: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        pool.put_nowait(await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True))

    @asynccontextmanager
    async def borrowed() -> AsyncGenerator[Connection, None]:
        connection = await pool.get()
        try:
            yield connection
        finally:
            pool.put_nowait(connection)

    async with borrowed() as connection:
        oid = await pg_lo_storage.save(connection, data)

    async def read() -> int:
        # As a web server does: a connection for each block, none while a slow client takes it.
        position = 0
        while True:
            async with borrowed() as connection, AsyncLargeObjectIO(Psycopg3AsyncDriver(connection), oid) as file:
                await file.seek(position)
                block = await file.read(65_536)
            if not block:
                return position
            assert data.startswith(block, position)
            position += len(block)

    async def stream() -> int:
        total = 0
        async with (
            borrowed() as connection,
            connection.transaction(),
            pg_lo_storage.open(connection, oid) as file,
        ):
            async for block in file.aiter_chunks(65_536):
                total += len(block)
        return total

    tracemalloc.start()
    try:
        totals = await asyncio.gather(
            *([read() for _ in range(READERS // 2)] + [stream() for _ in range(READERS // 2)])
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert totals == [SIZE] * READERS
    # 200 MB went through; at most a block of 256 KB and the server's messages for each connection are held.
    assert peak < 40_000_000
    while not pool.empty():
        await pool.get_nowait().close()
