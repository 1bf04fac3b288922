"""Lines and blocks of a file that is awaited: iterated, and written."""

from collections.abc import AsyncIterator, Iterator

import pytest

from example.cluster import Server
from pg_lo_storage.aio import AsyncLargeObjectIO
from pg_lo_storage.drivers.base import MAX_SIZE, AccessMode
from pg_lo_storage.exceptions import LargeObjectExists, LargeObjectTooLarge
from tests.aio.support import asynchronous, connected, content
from tests.fixtures.proxy import Wire
from tests.io.files import numbered_lines

LINES = numbered_lines(700_000)


@asynchronous
async def test_lines_are_iterated_in_few_queries(wire: Wire) -> None:
    async with connected(wire.dsn) as (_, driver):
        oid = await driver.from_bytes(LINES)
        with wire.counting() as trips:
            async with AsyncLargeObjectIO(driver, oid) as file:
                lines = [line async for line in file]
        assert b"".join(lines) == LINES
        assert lines == LINES.splitlines(keepends=True)
        # Opened, three blocks of 256 KB, asked once more at the end, closed.
        assert trips.count <= 6


@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize(
    ("size", "start", "stop"),
    [
        (100_000, None, None),
        (1, 699_990, None),
        (1 << 20, 0, None),
        (3, 5, 12),
        (300_000, 1, 600_001),
        (10, 20, 20),
        (10, 30, 20),
        (10, 700_000, None),
        (10, 10, 1 << 40),
    ],
)
@asynchronous
async def test_chunks_are_those_of_the_range(
    server: Server, size: int, start: int | None, stop: int | None, *, autocommit: bool
) -> None:
    async with connected(server.dsn(), autocommit=autocommit) as (_, driver):
        async with AsyncLargeObjectIO(driver, await driver.from_bytes(LINES)) as file:
            chunks = [chunk async for chunk in file.aiter_chunks(size, start=start, stop=stop)]
        wanted = LINES[start:stop]
        assert chunks == [wanted[begin : begin + size] for begin in range(0, len(wanted), size)]


@asynchronous
async def test_chunks_begin_at_the_position_and_leave_it_after_what_was_yielded(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver), AsyncLargeObjectIO(driver, mode="wb+") as file:
        await file.write(LINES)
        await file.seek(100)
        async for chunk in file.aiter_chunks(50):
            assert chunk == LINES[100:150]
            break
        assert await file.tell() == 150


@asynchronous
async def test_chunks_go_on_where_they_were_whatever_the_file_is_used_for_meanwhile(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        async with AsyncLargeObjectIO(driver, await driver.from_bytes(LINES)) as file:
            chunks: list[bytes] = []
            async for chunk in file.aiter_chunks(200_000):
                await file.seek(3)
                assert await file.read(4) == LINES[3:7]
                chunks.append(chunk)
        assert b"".join(chunks) == LINES


@asynchronous
async def test_chunks_refuse_what_is_no_range_at_once(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver), AsyncLargeObjectIO(driver, mode="wb+") as file:
        await file.write(LINES)
        with pytest.raises(ValueError, match="at least one byte"):
            file.aiter_chunks(0)
        with pytest.raises(OSError, match="Invalid argument"):
            file.aiter_chunks(start=-1)
        with pytest.raises(LargeObjectTooLarge):
            file.aiter_chunks(stop=MAX_SIZE + 1)


@asynchronous
async def test_lines_are_written_from_an_asynchronous_iterable_in_few_queries(wire: Wire) -> None:
    async def lines() -> AsyncIterator[bytes]:
        for line in LINES.splitlines(keepends=True):
            yield line

    async with connected(wire.dsn) as (_, driver):
        async with AsyncLargeObjectIO(driver, mode="wb") as file:
            with wire.counting() as trips:
                await file.writelines(lines())
        assert trips.count == 1 + len(LINES) // 262_144
        assert await content(driver, file.oid) == LINES


@asynchronous
async def test_lines_before_one_that_fails_are_written(server: Server) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"before"
        raise LookupError

    async with connected(server.dsn()) as (_, driver):
        async with AsyncLargeObjectIO(driver, mode="wb") as file:
            with pytest.raises(LookupError):
                await file.writelines(lines())
        assert await content(driver, file.oid) == b"before"


@asynchronous
async def test_where_the_lines_before_one_that_fails_cannot_be_written_the_error_notes_it(server: Server) -> None:
    def lines() -> Iterator[bytes]:
        yield b"before"
        raise LookupError

    async with connected(server.dsn()) as (connection, driver):
        file = await AsyncLargeObjectIO(driver, mode="wb")
        await connection.rollback()
        await driver.exists(1)
        with pytest.raises(LookupError) as caught:
            await file.writelines(lines())
        assert "opened in a transaction or savepoint that is over" in "".join(caught.value.__notes__)
        await file.close()


@asynchronous
async def test_lines_are_read_up_to_a_hint(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        oid = await driver.from_bytes(b"1\n22\n333\n")
        async with AsyncLargeObjectIO(driver, oid) as file:
            assert await file.readlines(2) == [b"1\n", b"22\n"]
            assert await file.readlines() == [b"333\n"]


@asynchronous
async def test_at_the_end_outside_a_transaction_the_server_is_not_asked_for_the_rest(wire: Wire) -> None:
    async with connected(wire.dsn, autocommit=True) as (_, driver):
        oid = await driver.from_bytes(b"content")
        async with AsyncLargeObjectIO(driver, oid) as file:
            assert await file.read(100) == b"content"
            with wire.counting() as trips:
                assert await file.read() == b""
            assert trips.count == 0


@pytest.mark.parametrize("awaited", [False, True])
@asynchronous
async def test_a_descriptor_takes_blocks_called_or_awaited(server: Server, *, awaited: bool) -> None:
    blocks = [b"first, ", b"second"]

    async def each() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    async with connected(server.dsn()) as (_, driver):
        oid = await driver.create()
        descriptor = await driver.open(oid, AccessMode.WRITE)
        assert await descriptor.write_all(each() if awaited else blocks) == 13
        assert await content(driver, oid) == b"first, second"


@asynchronous
async def test_a_free_oid_is_taken_by_x_and_a_taken_one_refused(server: Server) -> None:
    async with connected(server.dsn()) as (_, driver):
        oid = await driver.create()
        await driver.unlink(oid)
        async with AsyncLargeObjectIO(driver, oid, "xb") as file:
            await file.write(b"content")
        assert (file.oid, await content(driver, oid)) == (oid, b"content")
        with pytest.raises(LargeObjectExists):
            await AsyncLargeObjectIO(driver, oid, "xb")
