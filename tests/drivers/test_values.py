"""The values that go to the server and come from it, and the blocks of a large write; without a database."""

import array
import ctypes
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident
from typing import Any, cast

import pytest
from typing_extensions import Buffer

from pg_lo_storage.drivers import MAX_SIZE, AccessMode
from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.digest import Beside, Digest
from pg_lo_storage.drivers.guarded import rows_of_batch
from pg_lo_storage.drivers.sources import Source, is_apart, parts_of
from pg_lo_storage.drivers.values import (
    as_bytes,
    byte_view,
    check_block,
    check_mode,
    check_offset,
    check_oid,
    integer,
    kept,
)
from pg_lo_storage.exceptions import LargeObjectNotFound, LargeObjectTooLarge
from pg_lo_storage.names import MAX_OID

pytestmark = pytest.mark.once

KB, MB = 1024, 1024 * 1024


@pytest.mark.parametrize("oid", [1, 2, MAX_OID, True])
def test_an_oid_is_a_plain_int(oid: int) -> None:
    assert check_oid(oid) == oid
    assert type(check_oid(oid)) is int


@pytest.mark.parametrize("oid", [0, -1, MAX_OID + 1, False])
def test_what_no_object_can_have_is_not_found(oid: int) -> None:
    with pytest.raises(LargeObjectNotFound) as caught:
        check_oid(oid)
    assert caught.value.oid == oid
    assert caught.value.strerror == f"no large object has oid {int(oid)}: it is between 1 and {MAX_OID}"


@pytest.mark.parametrize("offset", [0, 1, MAX_SIZE])
def test_an_offset_reaches_up_to_4_tib(offset: int) -> None:
    assert check_offset(offset, 12) == offset


def test_an_offset_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^negative position -1$"):
        check_offset(-1, 12)
    with pytest.raises(LargeObjectTooLarge) as caught:
        check_offset(MAX_SIZE + 1, 12)
    said = f"position {MAX_SIZE + 1} is beyond what large object 12 can hold, {MAX_SIZE} bytes"
    assert (caught.value.oid, caught.value.strerror) == (12, said)


def test_a_mode_is_one_of_three() -> None:
    modes = [AccessMode.READ, AccessMode.WRITE, AccessMode.READ_WRITE]
    assert [check_mode(mode) for mode in modes] == modes
    with pytest.raises(ValueError, match=r"^a descriptor is opened for READ, WRITE or READ_WRITE, not <AccessMode"):
        check_mode(AccessMode(0))


@pytest.mark.parametrize("size", [0, 1, 1 << 28])
def test_a_block_has_room_in_a_row(size: int) -> None:
    assert check_block(size) == size


@pytest.mark.parametrize("size", [-1, (1 << 28) + 1])
def test_a_block_that_has_none_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"^a block is between 0 and {1 << 28} bytes, not {size}$"):
        check_block(size)


@pytest.mark.parametrize(
    ("size", "rows"), [(0, 1), (1, 4096), (KB, 4096), (2 * KB, 2048), (4 * MB, 1), (5 * MB, 1), (3 * MB, 1)]
)
def test_a_statement_fetches_up_to_4_mb_and_4096_rows(size: int, rows: int) -> None:
    assert rows_of_batch(size) == rows


def test_any_buffer_is_a_view_of_bytes() -> None:
    for data in (b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), array.array("H", [0x6261, 0x6463])):
        view = byte_view(data)
        assert (view.format, view.ndim, bytes(view)) == ("B", 1, bytes(memoryview(data).cast("B")))
    for nothing in (array.array("H"), (ctypes.c_int * 0 * 3)()):
        assert bytes(byte_view(nothing)) == b""
    with pytest.raises(BufferError, match=r"^memoryview: underlying buffer is not C-contiguous$"):
        byte_view(memoryview(b"abcd")[::2])
    with pytest.raises(TypeError):
        byte_view(cast("Any", "abcd"))


def test_what_others_may_change_is_copied_and_nothing_else() -> None:
    data = b"abcd"
    assert kept(data) is data
    assert kept(memoryview(data)) is data
    part = kept(memoryview(data)[1:])
    assert isinstance(part, memoryview)
    assert (part.obj, bytes(part)) == (data, b"bcd")
    changing = bytearray(data)
    copies = kept(changing), kept(memoryview(changing)[1:])
    changing[:] = b"wxyz"
    assert copies == (b"abcd", b"bcd")
    assert as_bytes(data) is data
    assert as_bytes(memoryview(data)) == data


def test_an_integer_is_the_first_of_the_first_row() -> None:
    assert integer([(1, 2), (3, 4)]) == 1


@pytest.mark.parametrize("size", [0, 1, MAX_BLOCK, MAX_BLOCK + 1, 2 * MAX_BLOCK, 2 * MAX_BLOCK + 1])
def test_a_large_block_goes_in_parts(size: int) -> None:
    data = bytes(size)
    parts = list(parts_of(data))
    assert [len(part) for part in parts] == [MAX_BLOCK] * (size // MAX_BLOCK) + [size % MAX_BLOCK] * bool(
        size % MAX_BLOCK
    )
    assert b"".join(parts) == data
    if 0 < size <= MAX_BLOCK:
        assert parts[0] is data


def no_limit(_size: int, _before: int) -> None:
    """There is room for all."""


def test_a_source_gives_as_many_blocks_as_are_wanted() -> None:
    source = Source([b"ab", bytearray(b"cd"), b"", b"efg", b"h"], no_limit)
    assert list(source.take(3)) == [b"ab", b"cd"]
    assert (source.taken, source.is_at_end, source.failure) == (4, False, None)
    assert list(source.take(3)) == [b"efg"]
    assert list(source.take(1)) == [b"h"]
    assert (source.taken, source.is_at_end) == (8, False)
    assert list(source.take(1)) == []
    assert (source.taken, source.is_at_end, source.failure) == (8, True, None)


def test_a_source_that_fails_gives_what_came_before() -> None:
    error = OSError("the disk")

    def failing() -> Iterator[Buffer]:
        yield b"ab"
        raise error

    source = Source(failing(), no_limit)
    assert list(source.take(10)) == [b"ab"]
    assert (source.taken, source.is_at_end, source.failure) == (2, True, error)


def test_a_source_asks_for_room_before_a_block_is_given() -> None:
    asked = list[tuple[int, int]]()
    error = OverflowError()

    def room(size: int, before: int) -> None:
        asked.append((size, before))
        if size + before > 4:
            raise error

    source = Source([b"abc", b"d", b"e"], room)
    assert list(source.take(10)) == [b"abc", b"d"]
    assert asked == [(3, 0), (1, 3), (1, 4)]
    assert (source.taken, source.failure) == (4, error)


def test_which_files_are_surely_read_without_a_connection(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    with path.open("rb") as buffered, path.open("rb", buffering=0) as raw, path.open("rb+") as random:
        assert [is_apart(file) for file in (buffered, raw, random, io.BytesIO())] == [True] * 4
        closed = buffered
    assert not is_apart(closed)

    class Own(io.BytesIO):
        pass

    replaced = tempfile.NamedTemporaryFile()  # noqa: SIM115 -- closed below
    assert is_apart(replaced)
    assert replaced.read() == b""
    assert is_apart(replaced)  # it keeps what it was asked for
    vars(replaced)["read"] = bytes  # as a program may
    assert not is_apart(replaced)
    replaced.close()
    with Path(os.devnull).open("rb") as device:
        assert not is_apart(device)
    assert not is_apart(Own())
    assert not is_apart([b"data"])
    with tempfile.SpooledTemporaryFile() as spooled:
        assert not is_apart(spooled)


def test_the_digest_is_of_all_blocks_and_counts_them() -> None:
    digest = Digest()
    for block in (b"ab", bytearray(b"c"), array.array("H", [1, 2])):
        digest.update(block)
    assert digest.size == 7
    assert digest.hexdigest() == hashlib.sha256(b"abc" + array.array("H", [1, 2]).tobytes()).hexdigest()


def test_a_sink_takes_a_block_in_another_thread_and_both_are_waited_for() -> None:
    taken = list[tuple[Buffer, bool]]()
    called = list[bool]()
    here = get_ident()
    with Beside(lambda block: taken.append((block, get_ident() == here))) as beside:
        beside(b"ab", lambda: called.append(get_ident() == here))
        assert (taken, called) == ([(b"ab", False)], [True])
    with Beside(None) as beside:
        beside(b"ab", lambda: called.append(get_ident() == here))
    assert called == [True, True]


def test_where_there_are_no_more_threads_a_sink_is_called_first() -> None:
    done = list[object]()
    with Beside(done.append) as beside:
        pass
    beside(b"ab", lambda: done.append("called"))
    assert done == [b"ab", "called"]


def test_what_a_sink_raises_is_raised_after_the_call() -> None:
    called = list[bool]()

    def failing(_block: Buffer) -> None:
        raise OSError("full")

    with Beside(failing) as beside, pytest.raises(OSError, match="full"):
        beside(b"ab", lambda: called.append(True))
    assert called == [True]
