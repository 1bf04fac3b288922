"""Many tasks that read at the same time over a pool of few connections: bytes, memory, and what is left behind.

    uv run python -m benchmarks.readers [MEGABYTES]

The memory is this process's, at its highest, over what it was before the first read. Best on a machine that does
nothing else.
"""

import asyncio
import resource
import sys
import time

import psycopg
from psycopg_pool import AsyncConnectionPool
from tqdm import tqdm

import pg_lo_storage
from example.cluster import Server, open_server

READERS, CONNECTIONS = 200, 10
MEGABYTE = 1_000_000


def main(megabytes: int) -> None:
    """Read so many megabytes in all, and print the figures."""
    with open_server() as server:
        asyncio.run(read_all(server, megabytes // READERS * MEGABYTE))


async def read_all(server: Server, size: int) -> None:
    """Have each reader read one object as a whole, in blocks."""
    async with AsyncConnectionPool(
        server.dsn(), min_size=CONNECTIONS, max_size=CONNECTIONS, timeout=3600, open=False
    ) as pool:
        async with pool.connection() as connection:
            oid = await pg_lo_storage.save(connection, (b"0123456789abcdef" * 62_500 for _ in range(size // MEGABYTE)))
        before, begin = peak_memory(), time.perf_counter()
        with tqdm(total=READERS * size, unit="B", unit_scale=True, disable=None) as progress:

            async def read() -> int:
                total = 0
                async with pool.connection() as connection, pg_lo_storage.open(connection, oid) as file:
                    async for block in file.aiter_chunks():
                        total += len(block)
                        progress.update(len(block))
                return total

            totals = await asyncio.gather(*(read() for _ in range(READERS)))
        seconds, growth = time.perf_counter() - begin, peak_memory() - before
    assert totals == [size] * READERS  # noqa: S101 -- else the figures mean nothing
    print(f"{READERS} readers on {CONNECTIONS} connections: {sum(totals) / 1e9:.1f} GB in {seconds:.0f} s,", end=" ")
    print(f"{sum(totals) / MEGABYTE / seconds:.0f} MB/s, {growth / 2**20:+.1f} MB of memory")
    with psycopg.connect(server.dsn()) as watcher:
        query = "select count(*) from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()"
        left = watcher.execute(query).fetchone()
    print(f"{left[0] if left else 0} sessions left")


def peak_memory() -> int:
    """Return the most bytes that the process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
