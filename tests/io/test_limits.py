"""Offsets of 64 bits; objects are sparse, so that they cost nothing."""

import errno
import os
from collections.abc import Callable

import pytest

from pg_lo_storage.drivers import MAX_SIZE, get_driver
from pg_lo_storage.exceptions import LargeObjectTooLarge
from pg_lo_storage.io import LargeObjectIO
from tests.fixtures.connections import Connect
from tests.io.files import Files

OFFSETS = [2**31 - 2, 2**31 + 1, 2**32 - 2, 2**32 + 1, 2**41, MAX_SIZE - 5]
TOO_FAR: dict[str, Callable[[LargeObjectIO], object]] = {
    "seek": lambda file: file.seek(MAX_SIZE + 1),
    "seek from here": lambda file: file.seek(4, os.SEEK_CUR),
    "seek from the end": lambda file: file.seek(1, os.SEEK_END),
    "write": lambda file: file.write(b"1234"),
    "writelines": lambda file: file.writelines([b"12", b"34"]),
    "truncate": lambda file: file.truncate(MAX_SIZE + 1),
    "seek beyond 64 bits": lambda file: file.seek(2**70),
    "truncate beyond 64 bits": lambda file: file.truncate(2**70),
}


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_far_offset_is_written_and_read(files: Files, offset: int) -> None:
    with files.open(0, "wb+") as file:
        assert file.seek(offset) == offset
        assert file.write(b"ab\ncd") == 5
        assert file.tell() == file.size == offset + 5
        file.seek(-2, os.SEEK_CUR)
        assert file.read() == b"cd"
        file.seek(-5, os.SEEK_END)
        assert file.readline() == b"ab\n"
        assert file.tell() == offset + 3
        assert file.truncate() == offset + 3
        assert file.size == offset + 3


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_far_offset_is_read_outside_a_transaction(connect: Connect, offset: int) -> None:
    writer = connect()
    with LargeObjectIO(get_driver(writer), 0, "wb") as file:
        file.seek(offset)
        file.write(b"ab\ncd")
    writer.commit()
    with LargeObjectIO(get_driver(connect(autocommit=True)), file.oid) as reader:
        assert reader.size == offset + 5
        reader.seek(offset - 1)
        assert reader.readline() == b"\0ab\n"
        assert reader.tell() == offset + 3
        assert reader.read() == b"cd"


READING: dict[str, Callable[[LargeObjectIO], object]] = {
    "read": lambda file: file.read(),
    "read much": lambda file: file.read(1 << 31),
    "read a little": lambda file: file.read(1),
    "read1": lambda file: file.read1(),
    "readline": lambda file: file.readline(),
    "readinto": lambda file: bytes(file.readinto(bytearray(1 << 21))),
}


@pytest.mark.parametrize("offset", [*OFFSETS, 8 * 2**30])
@pytest.mark.parametrize("read", READING.values(), ids=READING)
def test_far_beyond_the_end_there_is_nothing_to_read(
    files: Files, offset: int, read: Callable[[LargeObjectIO], object]
) -> None:
    with files.open(0, "wb") as written:
        written.write(b"small")
    with files.open(written.oid) as file:
        file.seek(offset)
        assert read(file) == b""
        assert file.tell() == offset
        file.seek(0)
        assert file.read() == b"small"


def test_a_far_offset_is_appended_to(files: Files) -> None:
    with files.open(0, "wb") as file:
        file.truncate(2**32)
    with files.open(file.oid, "ab+") as file:
        assert file.tell() == 2**32
        file.write(b"x")
        file.seek(-2, os.SEEK_END)
        assert file.read() == b"\0x"


def test_the_last_byte_of_4_tib_is_usable(files: Files) -> None:
    with files.open(0, "wb+") as file:
        file.seek(MAX_SIZE - 1)
        file.write(b"x")
        assert file.tell() == file.size == MAX_SIZE
        assert file.seek(MAX_SIZE) == MAX_SIZE
        assert file.read(1) == file.read() == file.readline() == b""
        assert file.write(b"") == 0
        file.seek(-1, os.SEEK_END)
        assert file.read() == b"x"


@pytest.mark.parametrize("step", TOO_FAR)
def test_past_4_tib_is_a_clear_error_that_changes_nothing(files: Files, step: str) -> None:
    with files.open(0, "wb+") as file:
        file.truncate(MAX_SIZE)
        file.seek(MAX_SIZE - 3)
        with pytest.raises(LargeObjectTooLarge, match=str(MAX_SIZE)) as caught:
            TOO_FAR[step](file)
        assert caught.value.errno == errno.EFBIG
        assert caught.value.oid == file.oid
        assert file.tell() == MAX_SIZE - 3
        assert file.read() == bytes(3)
        assert file.size == MAX_SIZE


def test_what_has_no_room_is_named_with_its_place(files: Files) -> None:
    with files.open(0, "wb") as file:
        file.seek(MAX_SIZE - 3)
        with pytest.raises(LargeObjectTooLarge, match=f" 4 bytes at {MAX_SIZE - 3} exceed"):
            file.write(b"1234")
        with pytest.raises(LargeObjectTooLarge, match=f" position {MAX_SIZE + 1} exceeds"):
            file.truncate(MAX_SIZE + 1)


def test_an_object_that_is_full_cannot_be_appended_to(files: Files) -> None:
    with files.open(0, "wb") as file:
        file.truncate(MAX_SIZE)
    with files.open(file.oid, "ab") as file:
        with pytest.raises(LargeObjectTooLarge):
            file.write(b"x")
        assert file.size == MAX_SIZE
