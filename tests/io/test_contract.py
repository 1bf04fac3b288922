"""The contract of a binary file: https://docs.python.org/3/library/io.html."""

import copy
import errno
import io
import os
import pickle
from array import array
from collections.abc import Callable, Iterator
from ctypes import c_int
from typing import Any, BinaryIO, cast

import pytest
from typing_extensions import Buffer

from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import BinaryMode
from tests.io.files import Files

Use = Callable[[LargeObjectIO], object]

READING: dict[str, Use] = {
    "read": lambda file: file.read(1),
    "read all": lambda file: file.read(),
    "readall": lambda file: file.readall(),
    "read1": lambda file: file.read1(1),
    "readinto": lambda file: file.readinto(bytearray(1)),
    "readinto nothing": lambda file: file.readinto(bytearray()),
    "readinto1": lambda file: file.readinto1(bytearray(1)),
    "readline": lambda file: file.readline(),
    "readlines": lambda file: file.readlines(),
    "next": next,
    "chunks": lambda file: next(file.chunks()),
}
WRITING: dict[str, Use] = {
    "write": lambda file: file.write(b"x"),
    "write nothing": lambda file: file.write(b""),
    "writelines": lambda file: file.writelines([b"x"]),
    "writelines nothing": lambda file: file.writelines([]),
    "truncate": lambda file: file.truncate(0),
}
ASKING: dict[str, Use] = {
    "seek": lambda file: file.seek(0),
    "tell": lambda file: file.tell(),
    "flush": lambda file: file.flush(),
    "isatty": lambda file: file.isatty(),
    "readable": lambda file: file.readable(),
    "writable": lambda file: file.writable(),
    "seekable": lambda file: file.seekable(),
    "size": lambda file: file.size,
    "iter": iter,
    "with": lambda file: file.__enter__(),
}
WRONG_TYPES: dict[str, Use] = {
    "read text": lambda file: file.read(cast("Any", "1")),
    "read float": lambda file: file.read(cast("Any", 1.0)),
    "read1 text": lambda file: file.read1(cast("Any", "1")),
    "readline float": lambda file: file.readline(cast("Any", 1.0)),
    "readlines text": lambda file: file.readlines(cast("Any", "1")),
    "readinto read-only": lambda file: file.readinto(cast("Any", b"xx")),
    "readinto1 read-only": lambda file: file.readinto1(cast("Any", b"xx")),
    "readinto text": lambda file: file.readinto(cast("Any", "xx")),
    "write text": lambda file: file.write(cast("Any", "text")),
    "write number": lambda file: file.write(cast("Any", 5)),
    "write nothing": lambda file: file.write(cast("Any", None)),
    "writelines text": lambda file: file.writelines(cast("Any", ["text"])),
    "writelines number": lambda file: file.writelines(cast("Any", 5)),
    "seek text": lambda file: file.seek(cast("Any", "1")),
    "seek nothing": lambda file: file.seek(cast("Any", None)),
    "whence text": lambda file: file.seek(0, cast("Any", "0")),
    "whence float": lambda file: file.seek(0, cast("Any", 1.0)),
    "whence nothing": lambda file: file.seek(0, cast("Any", None)),
    "truncate text": lambda file: file.truncate(cast("Any", "1")),
    "truncate float": lambda file: file.truncate(cast("Any", 1.0)),
}


@pytest.mark.parametrize("use", [*READING, *WRITING, *ASKING])
def test_a_closed_file_refuses_every_use(files: Files, use: str) -> None:
    file = files.open(files.stored(b"data"), "rb+")
    file.close()
    with pytest.raises(ValueError, match=r"^I/O operation on closed file\.?$"):
        (READING | WRITING | ASKING)[use](file)
    assert file.closed


@pytest.mark.parametrize("mode", ["wb", "ab"])
@pytest.mark.parametrize("use", READING)
def test_a_file_open_for_writing_cannot_be_read(files: Files, use: str, mode: BinaryMode) -> None:
    with files.open(files.stored(b"data"), mode) as file:
        assert not file.readable()
        with pytest.raises(io.UnsupportedOperation, match=r"^read"):
            READING[use](file)


@pytest.mark.parametrize("use", WRITING)
def test_a_file_open_for_reading_cannot_be_written(files: Files, use: str) -> None:
    oid = files.stored(b"data")
    with files.open(oid, "rb") as file:
        assert not file.writable()
        with pytest.raises(io.UnsupportedOperation, match=r"^(write|truncate)"):
            WRITING[use](file)
    assert files.content(oid) == b"data"


@pytest.mark.parametrize("use", WRONG_TYPES)
def test_arguments_of_wrong_types_change_nothing(files: Files, use: str) -> None:
    oid = files.stored(b"data")
    with files.open(oid, "rb+") as file:
        file.seek(2)
        with pytest.raises(TypeError):
            WRONG_TYPES[use](file)
        assert file.tell() == 2
    assert files.content(oid) == b"data"


def test_positions_before_the_start_are_einval_as_in_a_file(files: Files) -> None:
    moves: list[Use] = [
        lambda file: file.seek(-1),
        lambda file: file.seek(-3, os.SEEK_CUR),
        lambda file: file.seek(-5, os.SEEK_END),
        lambda file: file.truncate(-1),
    ]
    with files.open(files.stored(b"data"), "rb+") as file:
        file.seek(2)
        for move in moves:
            with pytest.raises(OSError, match="Invalid argument") as caught:
                move(file)
            assert caught.value.errno == errno.EINVAL
        assert file.tell() == 2


def test_unknown_whence_and_negative_length_are_value_errors(files: Files) -> None:
    with files.open(files.stored(b"data")) as file:
        with pytest.raises(ValueError, match="whence"):
            file.seek(0, 5)
        with pytest.raises(ValueError, match=r"^read length must be non-negative or -1$"):
            file.read(-2)


def test_a_file_is_its_own_iterator(files: Files) -> None:
    with files.open(files.stored(b"a\nb\nc")) as file:
        assert iter(file) is file
        assert next(file) == b"a\n"
        assert list(file) == [b"b\n", b"c"]


def test_reading_goes_on_where_an_iteration_broke_off(files: Files) -> None:
    with files.open(files.stored(b"a\nb\nc")) as file:
        for line in file:
            assert line == b"a\n"
            break
        assert file.tell() == 2
        assert file.read() == b"b\nc"


def test_writing_goes_on_where_an_iteration_broke_off(files: Files) -> None:
    oid = files.stored(b"a\nb\nc")
    with files.open(oid, "rb+") as file:
        assert next(file) == b"a\n"
        file.write(b"B")
        assert file.read() == b"\nc"
    assert files.content(oid) == b"a\nB\nc"


def test_there_is_no_file_descriptor_behind_it(files: Files) -> None:
    with files.open(files.stored(b"")) as file:
        assert not file.isatty()
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_open_file_cannot_be_copied(files: Files, duplicate: Callable[[object], object]) -> None:
    with files.open(files.stored(b"")) as file, pytest.raises(TypeError, match=f"'{type(file).__name__}'"):
        duplicate(file)


def test_a_with_block_gives_the_file_and_closes_it(files: Files) -> None:
    file = files.open(files.stored(b""))
    with file as entered:
        assert entered is file
        assert not file.closed
    assert file.closed


def test_it_shows_what_it_is(files: Files) -> None:
    oid = files.stored(b"")
    file = files.open(oid, "r+b")
    assert (file.oid, file.name, file.mode) == (oid, str(oid), "rb+")
    shown = f"<{type(file).__module__}.{type(file).__name__} oid={oid} mode='rb+'"
    assert repr(file) == f"{shown}>"
    file.close()
    assert repr(file) == f"{shown} closed>"
    assert (file.oid, file.name, file.mode) == (oid, str(oid), "rb+")


def first_line(file: BinaryIO) -> bytes:
    return file.readline()


def test_it_is_taken_for_a_binary_file(files: Files) -> None:
    with files.open(files.stored(b"a\nb")) as file:
        # The type checkers read this too: it is what a user's annotated function asks for.
        assert first_line(file) == b"a\n"
        assert isinstance(file, io.RawIOBase)


def test_its_size_is_the_objects_now(files: Files) -> None:
    with files.open(0, "wb+") as file:
        assert file.size == 0
        file.write(b"12345")
        file.seek(2)
        assert file.size == 5
        assert file.tell() == 2
        assert file.read(1) == b"3"
        file.truncate(4)
        assert file.size == 4


@pytest.mark.parametrize(
    "data",
    [bytearray(b"data"), memoryview(b"-data-")[1:5], array("H", [1, 2]), memoryview(b"data").cast("B", (2, 2))],
    ids=["bytearray", "slice", "array", "two dimensions"],
)
def test_whatever_has_bytes_can_be_written(files: Files, data: Buffer) -> None:
    with files.open(0, "wb") as file:
        assert file.write(data) == 4
        file.writelines([data, b"", data])
        assert files.content(file.oid) == memoryview(data).tobytes() * 3


def test_a_buffer_with_gaps_is_refused(files: Files) -> None:
    with files.open(0, "wb") as file:
        with pytest.raises(BufferError):
            file.write(memoryview(b"abcdef")[::2])
        assert file.write(memoryview(b"")) == 0
        assert file.size == 0


@pytest.mark.parametrize("method", ["readinto", "readinto1"])
def test_reading_into_a_buffer_of_wider_items(files: Files, method: str) -> None:
    target = array("I", [0, 0])
    with files.open(files.stored(array("I", [7, 8, 9]).tobytes())) as file:
        assert getattr(file, method)(target) == 8
        assert target == array("I", [7, 8])
        assert getattr(file, method)(target) == 4
        assert target == array("I", [9, 8])


@pytest.mark.parametrize("method", ["readinto", "readinto1"])
def test_a_buffer_to_read_into_is_writable_and_may_be_empty(files: Files, method: str) -> None:
    with files.open(files.stored(b"data")) as file:
        with pytest.raises(TypeError, match=rf"^{method}\(\) argument must be read-write"):
            getattr(file, method)(b"xx")
        for empty in (bytearray(), (c_int * 0 * 3)()):
            assert getattr(file, method)(empty) == 0
        assert file.tell() == 0


def test_a_block_has_at_least_one_byte(files: Files) -> None:
    with files.open(files.stored(b"abcde")) as file:
        assert list(file.chunks(2)) == [b"ab", b"cd", b"e"]
        file.seek(3)
        assert list(file.chunks(1)) == [b"d", b"e"]
        with pytest.raises(ValueError, match="block"):
            next(file.chunks(0))


def test_an_iterable_that_raises_is_heard_though_what_it_gave_cannot_be_written(files: Files) -> None:
    file = files.open(0, "wb")

    def lines() -> Iterator[bytes]:
        yield b"line\n"
        file.close()
        raise LookupError

    with pytest.raises(LookupError) as caught:
        file.writelines(lines())
    [note] = caught.value.__notes__
    assert "closed file" in note


def test_what_an_iterable_gave_before_it_raised_is_written(files: Files) -> None:
    def lines() -> Iterator[bytes]:
        yield b"line\n"
        raise LookupError

    with files.open(0, "wb") as file:
        with pytest.raises(LookupError):
            file.writelines(lines())
        assert files.content(file.oid) == b"line\n"
