"""Large objects as Python's binary files."""

import io
import os
from typing import IO, BinaryIO, assert_type

from pg_lo_storage.drivers import LargeObjectDriver
from pg_lo_storage.exceptions import LargeObjectError, LargeObjectNotFound
from pg_lo_storage.io import BinaryMode, LargeObjectIO
from pg_lo_storage.names import make_name, parse_name
from pg_lo_storage.storage import DbFileIO


def takes_binary_io(file: BinaryIO) -> bytes:
    return file.read()


def takes_io(file: IO[bytes]) -> bytes:
    return file.read()


def takes_raw_io(file: io.RawIOBase) -> bytes | None:
    return file.read()


def takes_text(file: IO[str]) -> str:
    return file.read()


def both_go_where_a_binary_file_is_asked_for(file: DbFileIO, plain: LargeObjectIO) -> None:
    for each in (file, plain):
        takes_binary_io(each)
        takes_io(each)
        takes_raw_io(each)
    takes_text(file)  # E: bytes, not text
    takes_text(plain)  # E: bytes, not text


def modes_are_binary(loid: int, driver: LargeObjectDriver, mode: BinaryMode) -> None:
    DbFileIO()
    DbFileIO(loid)
    DbFileIO(loid, mode)
    DbFileIO(0, "wb+", name="letters.zip", alias="other")
    DbFileIO(loid, "r+b", driver=driver)
    LargeObjectIO(driver, loid, "+rb")
    LargeObjectIO(driver, mode="xb")
    DbFileIO(loid, "r")  # E: text mode
    DbFileIO(loid, "w+")  # E: text mode
    DbFileIO(loid, "rt")  # E: text mode
    DbFileIO(loid, "rwb")  # E: no mode of Python's
    DbFileIO(loid, os.fspath("rb"))  # E: any string
    DbFileIO("12.pdf")  # E: an oid is a number
    LargeObjectIO(driver, loid, "r")  # E: text mode
    LargeObjectIO(loid)  # E: a driver stands first


def methods_give_bytes(file: DbFileIO) -> None:
    with file as entered:
        assert_type(entered, DbFileIO)
    assert_type((file.loid, file.oid, file.size, file.name), tuple[int, int, int, str])
    assert_type(file.alias, str | None)
    assert_type(file.mode, BinaryMode)
    assert_type(file.read(), bytes)
    assert_type(file.read(10), bytes)
    assert_type(file.read1(), bytes)
    assert_type(file.readall(), bytes)
    assert_type(file.readline(), bytes)
    assert_type(file.readlines(), list[bytes])
    assert_type(file.readinto(bytearray(10)), int)
    assert_type(list(file.chunks()), list[bytes])
    assert_type(file.seek(0, os.SEEK_END), int)
    assert_type(file.tell(), int)
    assert_type(file.truncate(0), int)
    for line in file:
        assert_type(line, bytes)


def any_buffer_is_written(file: LargeObjectIO, view: memoryview) -> None:
    assert_type(file.write(b"data"), int)
    file.write(bytearray(b"data"))
    file.write(view)
    file.writelines([b"a", bytearray(b"b"), view])
    file.write("data")  # E: encode it
    file.writelines(["data"])  # E: encode it


def errors_are_os_errors(driver: LargeObjectDriver, oid: int) -> None:
    try:
        LargeObjectIO(driver, oid)
    except LargeObjectNotFound as error:
        missing: FileNotFoundError = error
        assert_type(error.oid, int | None)
        raise missing from None
    except LargeObjectError as error:
        os_error: OSError = error
        raise os_error from None


def names_are_made_and_read() -> None:
    assert_type(make_name(12, "letter.pdf", max_length=100), str)
    assert_type(parse_name("12.pdf"), int | None)
    make_name("12")  # E: an oid is a number
