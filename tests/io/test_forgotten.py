"""Files that nobody closed: the garbage collector warns, and never reaches the server."""

import gc
import io
import os
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.io import LargeObjectIO
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire
from tests.io.files import execute

Hold = Callable[[LargeObjectIO], object]


def bare(file: LargeObjectIO) -> object:
    return file


def in_a_cycle(file: LargeObjectIO) -> object:
    cycle: list[object] = [file]
    cycle.append(cycle)
    return cycle


def cycle_of_its_own(file: LargeObjectIO) -> object:
    vars(file)["itself"] = file
    return file


def reader(file: LargeObjectIO) -> object:
    wrapper = io.BufferedReader(file)
    wrapper.read(1)
    return wrapper


def writer(file: LargeObjectIO) -> object:
    wrapper = io.BufferedWriter(file)
    wrapper.write(b"pending")
    return wrapper


def reader_and_writer(file: LargeObjectIO) -> object:
    wrapper = io.BufferedRandom(file)
    wrapper.read(1)
    wrapper.write(b"pending")
    return wrapper


def text_read(file: LargeObjectIO) -> object:
    wrapper = io.TextIOWrapper(file, encoding="utf-8")
    wrapper.readline()
    return wrapper


def text_written(file: LargeObjectIO) -> object:
    wrapper = io.TextIOWrapper(file, encoding="utf-8")
    wrapper.write("pending")
    return wrapper


def text_over_buffer(file: LargeObjectIO) -> object:
    wrapper = io.TextIOWrapper(io.BufferedWriter(file), encoding="utf-8")
    wrapper.write("pending")
    return wrapper


def wrapper_in_a_cycle(file: LargeObjectIO) -> object:
    return in_a_cycle_of(writer(file))


def text_in_a_cycle(file: LargeObjectIO) -> object:
    return in_a_cycle_of(text_over_buffer(file))


def wrapper_that_its_file_holds(file: LargeObjectIO) -> object:
    vars(file)["wrapper"] = writer(file)
    return file


def in_a_cycle_of(wrapper: object) -> object:
    cycle = [wrapper]
    cycle.append(cycle)
    return cycle


HOLDS: list[Hold] = [
    bare,
    in_a_cycle,
    cycle_of_its_own,
    reader,
    writer,
    reader_and_writer,
    text_read,
    text_written,
    text_over_buffer,
    wrapper_in_a_cycle,
    text_in_a_cycle,
    wrapper_that_its_file_holds,
]


@contextmanager
def one_warning() -> Generator[None]:
    """Expect one ResourceWarning, of the file or of what wraps it, at no line of its own, and nothing else."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert "unclosed file" in str(caught[0].message)
    assert isinstance(caught[0].source, io.IOBase)
    assert not caught[0].filename.endswith("lifecycle.py")


def opened(driver: LargeObjectDriver, oid: int, hold: Hold) -> list[object]:
    """Open a file and return the box that alone keeps it."""
    return [hold(LargeObjectIO(driver, oid, "rb+"))]


@pytest.mark.parametrize("hold", HOLDS)
def test_a_forgotten_file_is_a_warning_and_no_query(connect: Connect, wire: Wire, hold: Hold) -> None:
    driver = get_driver(connect(dsn=wire.dsn))
    oid = driver.from_bytes(b"one\ntwo\n")
    box = opened(driver, oid, hold)
    with wire.counting() as trips, one_warning():
        box.clear()
    assert trips.count == 0
    assert driver.get(oid, 0, 99) == b"one\ntwo\n"


@pytest.mark.parametrize("hold", [bare, in_a_cycle, reader, text_read])
def test_a_forgotten_file_of_no_transaction_is_a_warning_and_no_query(connect: Connect, wire: Wire, hold: Hold) -> None:
    driver = get_driver(connect(autocommit=True, dsn=wire.dsn))
    box = [hold(LargeObjectIO(driver, driver.from_bytes(b"one\ntwo\n")))]
    with wire.counting() as trips, one_warning():
        box.clear()
    assert trips.count == 0


@pytest.mark.parametrize("hold", [bare, writer, text_over_buffer])
def test_a_forgotten_file_whose_connection_is_lost_is_a_warning(connect: Connect, wire: Wire, hold: Hold) -> None:
    driver = get_driver(connect(dsn=wire.dsn))
    box = opened(driver, driver.from_bytes(b"data"), hold)
    wire.drop()
    with one_warning():
        box.clear()


@pytest.mark.parametrize("hold", [bare, writer, text_over_buffer])
def test_a_file_that_is_closed_is_forgotten_silently(connection: RawConnection, hold: Hold) -> None:
    driver = get_driver(connection)
    file = LargeObjectIO(driver, 0, "wb+")
    box = [hold(file)]
    closable = box[0]
    assert isinstance(closable, io.IOBase)
    closable.close()
    del closable, file
    # Any warning is an error here.
    box.clear()
    gc.collect()


@pytest.mark.parametrize("hold", HOLDS)
def test_another_file_on_the_reused_descriptor_stays_open_and_right(
    connection: RawConnection, driver: LargeObjectDriver, hold: Hold
) -> None:
    oid = driver.from_bytes(b"first")
    execute(connection, "savepoint s")
    box = opened(driver, oid, hold)
    execute(connection, "rollback to s")
    with LargeObjectIO(driver, driver.from_bytes(b"other"), "rb+") as other:
        other.seek(0, os.SEEK_END)
        assert run(connection, "select lo_tell64(0)") == [(5,)], "both had descriptor 0"
        with one_warning():
            box.clear()
        # What a driver keeps from the collector, it may let go of when it is used next.
        LargeObjectIO(driver, oid).close()
        assert run(connection, "select lo_tell64(0)") == [(5,)]
        other.write(b"!")
        other.seek(0)
        assert other.read() == b"other!"
    assert driver.get(oid, 0, 99) == b"first"


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_file_of_an_earlier_transaction_is_forgotten_in_a_later_one(
    connection: RawConnection, driver: LargeObjectDriver, end: str
) -> None:
    oid = driver.from_bytes(b"first")
    connection.commit()
    box = opened(driver, oid, writer)
    getattr(connection, end)()
    with LargeObjectIO(driver, oid, "rb+") as other:
        other.seek(0, os.SEEK_END)
        assert run(connection, "select lo_tell64(0)") == [(5,)], "both had descriptor 0"
        with one_warning():
            box.clear()
        LargeObjectIO(driver, oid).close()
        other.write(b"!")
        other.seek(0)
        assert other.read() == b"first!"


def test_a_closed_stale_file_never_closes_another_later(connection: RawConnection, driver: LargeObjectDriver) -> None:
    oid = driver.from_bytes(b"first")
    execute(connection, "savepoint s")
    stale = LargeObjectIO(driver, oid, "rb+")
    execute(connection, "rollback to s")
    with LargeObjectIO(driver, driver.from_bytes(b"other"), "rb+") as other:
        other.seek(0, os.SEEK_END)
        stale.close()
        del stale
        gc.collect()
        LargeObjectIO(driver, oid).close()
        assert run(connection, "select lo_tell64(0)") == [(5,)]
        other.seek(0)
        assert other.read() == b"other"


def test_many_forgotten_files_hold_no_transaction_up(connection: RawConnection, driver: LargeObjectDriver) -> None:
    oid = driver.from_bytes(b"data")
    for _ in range(5):
        box = opened(driver, oid, bare)
        with one_warning():
            box.clear()
        connection.commit()
    with LargeObjectIO(driver, oid) as file:
        assert run(connection, "select lo_tell64(0)") == [(0,)]
        assert file.read() == b"data"


def test_a_file_that_could_not_be_opened_is_forgotten_silently(driver: LargeObjectDriver) -> None:
    with pytest.raises(FileNotFoundError):
        LargeObjectIO(driver, 4_000_000_000)
    with pytest.raises(ValueError, match="mode"):
        LargeObjectIO(driver, 0, "rb")
    gc.collect()
