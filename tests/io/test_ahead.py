"""What the server is asked for: how much ahead, in blocks of which size, and when not again."""

import io
import os
import random
from collections.abc import Callable

import pytest
from typing_extensions import Buffer

from pg_lo_storage.drivers import LargeObjectDriver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.buffered import BufferedLargeObject
from pg_lo_storage.testing import InMemoryConnection, InMemoryDriver, InMemoryServer
from pg_lo_storage.testing.memory.driver import InMemoryLargeObject

pytestmark = pytest.mark.once

KB, MB = 1024, 1024 * 1024
BLOCK = 256 * KB
SIZE = 9 * MB
DATA = random.Random(18).randbytes(SIZE)
INSIDE_AND_OUTSIDE = pytest.mark.parametrize("autocommit", [False, True], ids=["in a transaction", "outside"])

Asked = list[tuple[int, int]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the server is asked for: from where, how many bytes; a descriptor that is moved, is asked for 0 bytes."""
    noted: Asked = []
    get, read, seek = InMemoryDriver.get, InMemoryLargeObject.read, InMemoryLargeObject.seek

    def noting_get(driver: InMemoryDriver, oid: int, offset: int, size: int) -> bytes:
        noted.append((offset, size))
        return get(driver, oid, offset, size)

    def noting_read(opened: InMemoryLargeObject, size: int) -> bytes:
        noted.append((opened.tell(), size))
        return read(opened, size)

    def noting_seek(opened: InMemoryLargeObject, offset: int, whence: int = os.SEEK_SET) -> int:
        position = seek(opened, offset, whence)
        noted.append((position, 0))
        return position

    monkeypatch.setattr(InMemoryDriver, "get", noting_get)
    monkeypatch.setattr(InMemoryLargeObject, "read", noting_read)
    monkeypatch.setattr(InMemoryLargeObject, "seek", noting_seek)
    return noted


def stored(data: bytes, *, autocommit: bool) -> tuple[LargeObjectDriver, int]:
    """Return a driver of a connection of its own, and the oid of a new object with that content."""
    connection = InMemoryConnection(InMemoryServer(), autocommit=autocommit)
    driver = InMemoryDriver(connection)
    return driver, driver.from_bytes(data)


def blocks(first: int, number: int, size: int = BLOCK) -> Asked:
    """Return ``number`` requests for blocks, one after the other."""
    return [(first + index * size, size) for index in range(number)]


def seek(position: int) -> Callable[[LargeObjectIO], object]:
    return lambda file: file.seek(position)


def read(size: int) -> Callable[[LargeObjectIO], object]:
    def reading(file: LargeObjectIO) -> None:
        position = file.tell()
        assert file.read(size) == DATA[position : position + size]
        assert file.tell() == min(position + size, SIZE)

    return reading


@INSIDE_AND_OUTSIDE
@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # From the start a block, then more and more, up to 4 MB.
        ([read(1)], [(0, BLOCK)]),
        ([read(1), read(BLOCK - 1)], [(0, BLOCK)]),
        ([read(1000)] * 263, blocks(0, 1 + 4)),
        ([read(1)] + [read(BLOCK)] * 21, blocks(0, 1 + 4 + 16 + 16)),
        # After a jump a few bytes, then more and more.
        ([seek(5 * MB), read(1)], [(5 * MB, 8 * KB)]),
        ([seek(5 * MB), read(8 * KB), read(1)], [(5 * MB, 8 * KB), (5 * MB + 8 * KB, 32 * KB)]),
        (
            [seek(MB), *[read(8 * KB)] * 22],
            [(MB, 8 * KB), (MB + 8 * KB, 32 * KB), (MB + 40 * KB, 128 * KB), *blocks(MB + 168 * KB, 2)],
        ),
        ([seek(5 * MB), read(1), seek(0), read(1)], [(5 * MB, 8 * KB), (0, BLOCK)]),
        # No jump is one within what is there, or to its end.
        ([read(1), seek(BLOCK - 1), read(1), seek(3), read(7)], [(0, BLOCK)]),
        ([read(1), seek(BLOCK), read(1)], blocks(0, 1 + 4)),
        (
            [seek(5 * MB), read(1), seek(5 * MB), read(1), seek(5 * MB - 1), read(1)],
            [(5 * MB, 8 * KB), (5 * MB - 1, 8 * KB)],
        ),
        # Blocks as large as the reader's own, of 64 KB to 1 MB.
        ([read(64 * KB)] * 5, [(0, BLOCK), *blocks(BLOCK, 16, 64 * KB)]),
        ([read(BLOCK), read(64 * KB - 1)], blocks(0, 1 + 4)),
        ([read(300 * KB)] * 2, blocks(0, 1 + 4, 300 * KB)),
        ([read(BLOCK + 1), read(1)], [(0, BLOCK + 1), *blocks(BLOCK + 1, 5)]),
        ([read(MB)], [(0, MB)]),
        ([read(MB), read(MB)], blocks(0, 1 + 4, MB)),
        ([seek(5 * MB), read(9 * KB)], [(5 * MB, 9 * KB)]),
        ([seek(5 * MB), read(BLOCK + 1)], [(5 * MB, BLOCK + 1)]),
        # What is more than that, is handed through.
        ([read(MB + 1)], [*blocks(0, 4), (MB, 1)]),
        ([read(1), read(2 * MB)], [(0, BLOCK), *blocks(BLOCK, 7), (2 * MB, 1)]),
        ([read(0)], []),
    ],
)
def test_it_grows_while_reading_is_sequential(
    steps: list[Callable[[LargeObjectIO], object]], expected: Asked, asked: Asked, *, autocommit: bool
) -> None:
    driver, oid = stored(DATA, autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        for step in steps:
            step(file)
    assert [request for request in asked if request[1]] == expected


@INSIDE_AND_OUTSIDE
def test_all_in_blocks_begins_with_a_megabyte(asked: Asked, *, autocommit: bool) -> None:
    driver, oid = stored(DATA, autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        iterator = file.chunks(64 * KB)
        assert next(iterator) == DATA[: 64 * KB]
        assert asked == blocks(0, 16, 64 * KB)
        assert b"".join(iterator) == DATA[64 * KB :]
    with LargeObjectIO(driver, oid) as file:
        assert b"".join(file.chunks()) == DATA


@INSIDE_AND_OUTSIDE
def test_a_descriptor_is_moved_only_where_it_is_elsewhere(asked: Asked, *, autocommit: bool) -> None:
    driver, oid = stored(DATA, autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        for step in (read(1), read(BLOCK), read(2 * MB), read(1), seek(MB), read(1)):
            step(file)
    assert [position for position, size in asked if not size] == ([] if autocommit else [MB])


@INSIDE_AND_OUTSIDE
@pytest.mark.parametrize("size", [1, 100, BLOCK - 1])
def test_a_small_object_is_read_at_once_and_its_end_is_known(size: int, asked: Asked, *, autocommit: bool) -> None:
    driver, oid = stored(DATA[:size], autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        assert file.read(size) == DATA[:size]
        assert file.read(1) == b""  # known without a question
        assert asked == [(0, BLOCK)]
        assert file.read(1) == b""  # it may have grown
        assert len(asked) == 2
        assert file.read(1) == b""
        assert len(asked) == 3
    with LargeObjectIO(driver, oid) as file:
        assert file.read(size + 1) == DATA[:size]
        assert len(asked) == 4


@INSIDE_AND_OUTSIDE
def test_to_ask_for_the_size_moves_nothing(asked: Asked, *, autocommit: bool) -> None:
    driver, oid = stored(DATA, autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        assert (file.size, file.tell()) == (SIZE, 0)
        read(BLOCK)(file)
        assert (file.size, file.tell()) == (SIZE, BLOCK)
        read(10)(file)
        assert file.seek(-5, os.SEEK_END) == SIZE - 5
        assert file.read() == DATA[-5:]
        assert (file.size, file.tell()) == (SIZE, SIZE)
    assert (0, BLOCK) in asked


@INSIDE_AND_OUTSIDE
def test_a_descriptor_is_asked_for_the_rest_at_the_end_too_for_it_may_be_stale(
    asked: Asked, *, autocommit: bool
) -> None:
    driver, oid = stored(DATA[:100], autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        assert (file.read(100), file.read()) == (DATA[:100], b"")
    assert (len(asked) > 1) is not autocommit


@INSIDE_AND_OUTSIDE
def test_read1_gives_what_is_there_and_asks_only_if_that_is_nothing(asked: Asked, *, autocommit: bool) -> None:
    driver, oid = stored(DATA, autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        assert (file.read1(0), asked) == (b"", [])
        assert (file.read1(5), file.read1(0), file.read1(1)) == (DATA[:5], b"", DATA[5:6])
        assert file.read1() == DATA[6:BLOCK]
        assert asked == [(0, BLOCK)]
        assert file.read1(None) == DATA[BLOCK : 2 * BLOCK]


@INSIDE_AND_OUTSIDE
def test_lines_are_found_across_blocks(asked: Asked, *, autocommit: bool) -> None:
    lines = [b"a" * BLOCK + b"\n", b"\n", b"b" * (BLOCK - 3) + b"\n", b"c\n", b"d"]
    driver, oid = stored(b"".join(lines), autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        assert [file.readline() for _ in range(6)] == [*lines, b""]
        assert asked[0] == (0, BLOCK)
    with LargeObjectIO(driver, oid) as file:
        assert file.readline(BLOCK + 5) == lines[0]
        assert file.readline(0) == b""
        assert file.readline(1) == b"\n"
        assert (file.readline(2), file.readline(BLOCK)) == (b"bb", lines[2][2:])


def test_what_is_written_is_read_and_what_was_read_ahead_is_forgotten() -> None:
    driver, oid = stored(b"0123456789" * 10, autocommit=False)
    with LargeObjectIO(driver, oid, "rb+") as file:
        assert file.read(5) == b"01234"
        assert file.write(b"abc") == 3
        assert (file.tell(), file.read(3)) == (8, b"890")
        file.seek(5)
        assert file.read(4) == b"abc8"
        file.seek(0, os.SEEK_END)
        file.write(b"end")
        assert (file.read(1), file.tell(), file.size) == (b"", 103, 103)
        file.seek(0)
        assert file.read(1) == b"0"
        assert file.truncate(4) == 4
        assert (file.tell(), file.read(), file.size) == (1, b"123", 4)


def test_short_lines_are_written_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, oid = stored(b"", autocommit=False)
    written: list[int] = []
    write = InMemoryLargeObject.write

    def noting_write(opened: InMemoryLargeObject, data: Buffer) -> int:
        written.append(write(opened, data))
        return written[-1]

    monkeypatch.setattr(InMemoryLargeObject, "write", noting_write)
    with LargeObjectIO(driver, oid, "wb+") as file:
        file.writelines([DATA[: BLOCK // 4]] * 9)
        assert written == [BLOCK, BLOCK, BLOCK // 4]
        file.seek(0)
        assert file.read() == DATA[: BLOCK // 4] * 9


@INSIDE_AND_OUTSIDE
def test_any_sequence_of_reads_is_that_of_a_file_in_memory(*, autocommit: bool) -> None:
    chosen = random.Random(7)
    data = b"".join(chosen.randbytes(chosen.randrange(3000)) + b"\n" for _ in range(500))
    driver, oid = stored(data, autocommit=autocommit)
    with LargeObjectIO(driver, oid) as file:
        theirs = io.BytesIO(data)
        for _ in range(1500):
            size = chosen.choice([0, 1, 100, 9000, BLOCK, -1, None])
            call = chosen.choice(["read", "readline", "readinto", "seek"])
            if call == "readinto":
                ours, expected = bytearray(size or 5 if size != -1 else 1), bytearray(size or 5 if size != -1 else 1)
                assert file.readinto(ours) == theirs.readinto(expected)
                assert ours == expected
            elif call == "seek":
                position = chosen.randrange(len(data) + 100)
                assert file.seek(position) == theirs.seek(position)
            else:
                assert getattr(file, call)(size) == getattr(theirs, call)(size)
            assert file.tell() == theirs.tell()


@pytest.mark.parametrize("size", [0, 1, 100, BLOCK, 3 * MB])
def test_of_a_file_that_was_read_when_it_was_opened_nothing_is_asked(size: int, asked: Asked) -> None:
    driver, oid = stored(DATA[:size], autocommit=True)
    opened = BufferedLargeObject(driver, oid, None)
    opened.filled_whole(DATA[:size])
    opened.content = DATA[:size]
    assert (opened.end(), opened.read(size + 1), opened.position) == (size, DATA[:size], size)
    assert (opened.read(1), opened.read_rest()) == (b"", b"")
    for position in (size // 2, 0, size, size + 10, size // 2 + 1):
        opened.seek(position)
        assert opened.read_rest() == DATA[position:size]
        assert opened.position == max(position, size)
        opened.seek(size + 10)
        opened.seek(position)
        read = list(iter(lambda: opened.read(100_000), b""))
        assert b"".join(read) == DATA[position:size]
        assert all(len(block) == 100_000 for block in read[:-1])
        opened.seek(size + 10)
        opened.seek(position)
        assert opened.read(2 * MB) == DATA[position : min(size, position + 2 * MB)]
    assert asked == []


def test_a_file_whose_bytes_came_with_opening_asks_past_its_end(asked: Asked) -> None:
    driver, oid = stored(b"", autocommit=True)
    opened = BufferedLargeObject(driver, oid, None)
    opened.filled_whole(b"")
    assert (opened.read(1), asked) == (b"", [])
    assert (opened.read(1), asked) == (b"", [(0, BLOCK)])
    opened.filled_whole(b"ab")
    assert (opened.take(0), opened.take(-1)) == (b"", b"")
    assert (opened.buffered, opened.read(1), opened.buffered) == (2, b"a", 1)
    assert (opened.take(0), opened.take(-1), opened.take(5), opened.take(5)) == (b"", b"", b"b", b"")
    assert len(asked) == 1
