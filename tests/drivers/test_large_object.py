"""Reading, writing and moving in an open descriptor, on every driver."""

import array
import itertools
from collections.abc import Iterator

import pytest
from typing_extensions import Buffer

from pg_lo_storage.drivers import MAX_SIZE, LargeObjectDriver, get_driver
from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.exceptions import LargeObjectTooLarge
from tests.drivers.support import ALL_BYTES, READ, WRITE, content, is_aborted, opened
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire

GIGABYTE = 1 << 30
# No two blocks of it are alike, whatever their size.
FIVE_MB = b"".join(n.to_bytes(4) for n in range(5 << 18))


def test_read_returns_bytes_and_fewer_only_at_the_end(driver: LargeObjectDriver) -> None:
    descriptor = opened(driver, ALL_BYTES)
    first = descriptor.read(100)
    assert type(first) is bytes
    assert first == ALL_BYTES[:100]
    assert descriptor.read(0) == b""
    assert descriptor.read(100) == ALL_BYTES[100:200]
    assert descriptor.read(100) == ALL_BYTES[200:]
    assert descriptor.read(100) == b""


@pytest.mark.parametrize("size", [MAX_BLOCK, MAX_BLOCK + 1, len(FIVE_MB), 1 << 29, 1 << 40])
def test_read_takes_any_size(driver: LargeObjectDriver, size: int) -> None:
    descriptor = opened(driver, FIVE_MB, READ)
    data = descriptor.read(size)
    assert data == FIVE_MB[:size]
    assert descriptor.tell() == len(data)


@pytest.mark.parametrize("size", [1000, 256 * 1024, 3 << 20, 5 << 20, 6 << 20])
def test_chunks_are_full_but_the_last_and_none_is_empty(driver: LargeObjectDriver, size: int) -> None:
    descriptor = opened(driver, FIVE_MB, READ)
    assert list(descriptor.chunks(size)) == [FIVE_MB[start : start + size] for start in range(0, len(FIVE_MB), size)]
    assert list(descriptor.chunks(size)) == []


def test_chunks_gives_as_many_blocks_as_asked_for_from_the_position(driver: LargeObjectDriver) -> None:
    descriptor = opened(driver, ALL_BYTES)
    descriptor.seek(6)
    assert list(descriptor.chunks(100, 2)) == [ALL_BYTES[6:106], ALL_BYTES[106:206]]
    assert descriptor.tell() == 206
    assert list(descriptor.chunks(100, 0)) == []
    assert list(descriptor.chunks(100, 20)) == [ALL_BYTES[206:]]


@pytest.mark.parametrize("size", [1, 7])
def test_chunks_of_a_few_bytes_are_all_there(driver: LargeObjectDriver, size: int) -> None:
    data = FIVE_MB[:30_000]
    blocks = list(opened(driver, data, READ).chunks(size))
    assert b"".join(blocks) == data
    assert {len(block) for block in blocks[:-1]} == {size}


def test_an_empty_object_has_no_chunks(driver: LargeObjectDriver) -> None:
    assert list(opened(driver, b"").chunks(100)) == []


def test_the_connection_is_free_between_chunks(driver: LargeObjectDriver, connection: RawConnection) -> None:
    descriptor = opened(driver, FIVE_MB, READ)
    other = opened(driver, ALL_BYTES)
    received: list[bytes] = []
    for number, block in enumerate(descriptor.chunks(100_000)):
        assert run(connection, "select %s::int", [number]) == [(number,)]
        assert driver.exists(descriptor.oid)
        other.seek(number)
        assert other.read(1) == ALL_BYTES[number : number + 1]
        received.append(block)
    assert b"".join(received) == FIVE_MB


def test_two_iterations_can_take_turns(driver: LargeObjectDriver) -> None:
    descriptors = [opened(driver, data) for data in (FIVE_MB, FIVE_MB[::-1])]
    received: list[tuple[bytes, ...]] = list(zip(*(each.chunks(100_000) for each in descriptors), strict=True))
    assert b"".join(first for first, _ in received) == FIVE_MB
    assert b"".join(second for _, second in received) == FIVE_MB[::-1]


def test_chunks_can_be_left_early(driver: LargeObjectDriver, connection: RawConnection) -> None:
    descriptor = opened(driver, FIVE_MB)
    blocks = descriptor.chunks(1000)
    assert list(itertools.islice(blocks, 3)) == [FIVE_MB[n : n + 1000] for n in (0, 1000, 2000)]
    assert run(connection, "select 1") == [(1,)]
    assert descriptor.seek(4_000_000) == 4_000_000
    assert descriptor.read(10) == FIVE_MB[4_000_000:4_000_010]
    descriptor.close()
    connection.commit()


@pytest.mark.parametrize(
    "data",
    [
        ALL_BYTES,
        bytearray(ALL_BYTES),
        memoryview(ALL_BYTES)[5:],
        array.array("I", range(300)),
        b"\\000 '' \\\\",
        b"",
    ],
    ids=lambda data: type(data).__name__,
)
def test_write_takes_any_buffer_and_returns_its_bytes(driver: LargeObjectDriver, data: Buffer) -> None:
    descriptor = opened(driver, b".", WRITE)
    descriptor.seek(1)
    assert descriptor.write(data) == len(bytes(data))
    assert descriptor.tell() == 1 + len(bytes(data))
    assert content(driver, descriptor.oid) == b"." + bytes(data)


def test_write_refuses_a_str_before_the_server_would_abort(
    driver: LargeObjectDriver, connection: RawConnection
) -> None:
    descriptor = opened(driver, b"content")
    text: Buffer = "text"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  what is refused
    with pytest.raises(TypeError):
        descriptor.write(text)
    assert not is_aborted(connection)
    assert content(driver, descriptor.oid) == b"content"


def test_a_large_write_goes_in_parts(connect: Connect, wire: Wire, driver_name: str) -> None:
    driver = get_driver(connect(dsn=wire.dsn))
    descriptor = driver.open(driver.create(), WRITE)
    with wire.counting() as trips:
        assert descriptor.write(FIVE_MB) == len(FIVE_MB)
    # One asks for the position. psycopg sends 4 MB without a wait; psycopg2 looks up the functions' numbers, moves the
    # descriptor on, opens a lobject, writes each MB, and closes it.
    assert trips.count == {"psycopg": 1 + 2, "psycopg2": 1 + 3 + 5 + 1}[driver_name]
    assert descriptor.tell() == len(FIVE_MB)
    descriptor.seek(0)
    assert descriptor.read(len(FIVE_MB) + 1) == FIVE_MB


def test_write_all_takes_blocks_that_come_from_the_same_connection(
    driver: LargeObjectDriver, connection: RawConnection
) -> None:
    source, target = opened(driver, FIVE_MB, READ), opened(driver, b"")

    def blocks() -> Iterator[Buffer]:
        for block in source.chunks(300_000):
            assert run(connection, "select 1") == [(1,)]
            yield memoryview(block)

    assert target.write_all(blocks()) == len(FIVE_MB)
    assert target.write_all([]) == 0
    assert target.tell() == len(FIVE_MB)
    assert content(driver, target.oid) == FIVE_MB


def test_write_all_writes_what_came_before_the_blocks_failed(driver: LargeObjectDriver) -> None:
    target = opened(driver, b"")

    def blocks() -> Iterator[Buffer]:
        yield b"before"
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        target.write_all(blocks())
    assert content(driver, target.oid) == b"before"


def test_where_that_cannot_be_written_either_the_error_notes_it(
    driver: LargeObjectDriver, connection: RawConnection
) -> None:
    target = opened(driver, b"")

    def blocks() -> Iterator[Buffer]:
        yield b"before"
        connection.rollback()
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more") as caught:
        target.write_all(blocks())
    assert "writing the blocks before failed as well" in "".join(caught.value.__notes__)


def test_seek_moves_from_start_position_and_end(driver: LargeObjectDriver) -> None:
    descriptor = opened(driver, ALL_BYTES)
    assert descriptor.tell() == 0
    assert descriptor.seek(10) == descriptor.tell() == 10
    assert descriptor.seek(5, 1) == descriptor.tell() == 15
    assert descriptor.seek(-5, 1) == descriptor.tell() == 10
    assert descriptor.seek(-6, 2) == descriptor.tell() == 250
    assert descriptor.seek(1000) == descriptor.tell() == 1000
    assert descriptor.read(10) == b""


@pytest.mark.parametrize(
    ("offset", "whence", "error"),
    [
        (-1, 0, ValueError),
        (0, 3, ValueError),
        (0, -1, ValueError),
        (MAX_SIZE + 1, 0, LargeObjectTooLarge),
        (2**70, 0, LargeObjectTooLarge),
    ],
)
def test_seek_refuses_what_is_no_position_before_the_server_would_abort(
    driver: LargeObjectDriver, offset: int, whence: int, error: type[Exception]
) -> None:
    descriptor = opened(driver, ALL_BYTES)
    with pytest.raises(error):
        descriptor.seek(offset, whence)
    assert descriptor.read(10) == ALL_BYTES[:10]


@pytest.mark.parametrize("position", [2 * GIGABYTE - 1, 2 * GIGABYTE + 1, 4 * GIGABYTE + 1, MAX_SIZE - 2])
def test_positions_have_64_bits(driver: LargeObjectDriver, position: int) -> None:
    descriptor = opened(driver, b"start")
    assert descriptor.seek(position) == descriptor.tell() == position
    assert descriptor.write(b"xy") == 2
    assert descriptor.tell() == descriptor.seek(0, 2) == driver.size(descriptor.oid) == position + 2
    assert descriptor.seek(-4, 1) == position - 2
    assert descriptor.read(10) == b"\0\0xy"
    assert driver.get(descriptor.oid, position, 10) == b"xy"
    descriptor.truncate(position + 1)
    assert driver.size(descriptor.oid) == position + 1


def test_truncate_cuts_and_extends_and_leaves_the_position(driver: LargeObjectDriver) -> None:
    descriptor = opened(driver, b"0123456789")
    descriptor.seek(6)
    descriptor.truncate(4)
    assert descriptor.tell() == 6
    assert content(driver, descriptor.oid) == b"0123"
    descriptor.truncate(8)
    assert content(driver, descriptor.oid) == b"0123\0\0\0\0"
    descriptor.write(b"x")
    assert content(driver, descriptor.oid) == b"0123\0\0x\0"
    descriptor.truncate(0)
    assert driver.size(descriptor.oid) == 0


@pytest.mark.parametrize(
    ("size", "error"), [(-1, ValueError), (MAX_SIZE + 1, LargeObjectTooLarge), (2**70, LargeObjectTooLarge)]
)
def test_truncate_refuses_a_size_no_object_has(driver: LargeObjectDriver, size: int, error: type[Exception]) -> None:
    descriptor = opened(driver, b"content")
    with pytest.raises(error):
        descriptor.truncate(size)
    assert descriptor.read(100) == b"content"
