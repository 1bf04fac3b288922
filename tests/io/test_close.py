"""Closing: as often as one likes, in any state of the transaction, and never in the way of the error that matters."""

import io
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import BinaryIO

import pytest

from pg_lo_storage.drivers import get_driver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import BinaryMode
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire
from tests.io.files import Files, execute


class InFlightError(Exception):
    """The error that a user wants to see."""


@contextmanager
def under_try_finally(file: LargeObjectIO) -> Generator[BinaryIO]:
    try:
        yield file
    finally:
        file.close()


@contextmanager
def under_text_wrapper(file: LargeObjectIO) -> Generator[BinaryIO]:
    with io.TextIOWrapper(file, encoding="utf-8"):
        yield file


@contextmanager
def under_buffered_reader(file: LargeObjectIO) -> Generator[BinaryIO]:
    with io.BufferedReader(file):
        yield file


def itself(file: LargeObjectIO) -> AbstractContextManager[object]:
    return file


HOLDERS: dict[str, Callable[[LargeObjectIO], AbstractContextManager[object]]] = {
    "with": itself,
    "closing": closing,
    "try finally": under_try_finally,
    "TextIOWrapper": under_text_wrapper,
    "BufferedReader": under_buffered_reader,
}


@pytest.mark.parametrize("mode", ["rb", "rb+", "wb", "ab"])
def test_closing_twice_is_closing_once(files: Files, mode: BinaryMode) -> None:
    oid = files.stored(b"data")
    file = files.open(oid, mode)
    for _ in range(3):
        file.close()
        assert file.closed
    assert files.content(oid) == b"data"


@pytest.mark.parametrize("holder", HOLDERS)
def test_an_error_passes_through(files: Files, holder: str) -> None:
    file = files.open(files.stored(b"data"), "rb+")
    with pytest.raises(InFlightError) as caught, HOLDERS[holder](file):
        raise InFlightError
    assert file.closed
    assert caught.value.__context__ is None


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_error_that_aborted_the_transaction_passes_through(connection: RawConnection, holder: str) -> None:
    driver = get_driver(connection)
    file = LargeObjectIO(driver, driver.from_bytes(b"data"), "rb+")
    with pytest.raises(Exception, match="division by zero"), HOLDERS[holder](file):
        run(connection, "select 1 / 0")
    assert file.closed
    connection.rollback()
    assert not driver.exists(file.oid)


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_loss_of_the_connection_passes_through(connect: Connect, wire: Wire, holder: str) -> None:
    connection = connect(dsn=wire.dsn)
    driver = get_driver(connection)
    file = LargeObjectIO(driver, driver.from_bytes(b"data"), "rb+")

    def fail_offline() -> None:
        wire.drop()
        raise InFlightError

    with pytest.raises(InFlightError), HOLDERS[holder](file):
        fail_offline()
    assert file.closed


@pytest.mark.parametrize("mode", ["rb", "rb+"])
def test_losing_the_connection_while_reading_is_the_drivers_error(
    connect: Connect, wire: Wire, driver_name: str, mode: BinaryMode
) -> None:
    connection = connect(dsn=wire.dsn)
    driver = get_driver(connection)
    file = LargeObjectIO(driver, driver.from_bytes(b"data"), mode)
    wire.drop()
    with pytest.raises(Exception, match="connection") as caught, file:
        file.read()
    assert type(caught.value).__name__ == "OperationalError"
    assert type(caught.value).__module__.partition(".")[0] == driver_name
    assert file.closed


def test_a_file_is_closed_even_where_closing_fails(connect: Connect, wire: Wire) -> None:
    connection = connect(dsn=wire.dsn)
    driver = get_driver(connection)
    file = LargeObjectIO(driver, driver.from_bytes(b"data"), "rb+")
    wire.drop()
    with suppress(Exception):
        file.close()
    assert file.closed
    file.close()


def test_closing_in_an_aborted_transaction_is_silent(connection: RawConnection) -> None:
    driver = get_driver(connection)
    file = LargeObjectIO(driver, driver.from_bytes(b"data"), "rb+")
    with pytest.raises(Exception, match="division by zero"):
        run(connection, "select 1 / 0")
    file.close()
    assert file.closed
    connection.rollback()
    assert not driver.in_transaction


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_closing_after_the_transaction_is_silent_and_begins_none(connection: RawConnection, ending: str) -> None:
    driver = get_driver(connection)
    file = LargeObjectIO(driver, driver.from_bytes(b"data"), "rb+")
    getattr(connection, ending)()
    file.close()
    assert not driver.in_transaction


def test_closing_after_the_savepoint_is_silent(connection: RawConnection) -> None:
    driver = get_driver(connection)
    oid = driver.from_bytes(b"data")
    execute(connection, "savepoint s")
    file = LargeObjectIO(driver, oid, "rb+")
    execute(connection, "rollback to s")
    file.close()
    assert driver.get(oid, 0, 9) == b"data"


def test_closing_after_the_connection_is_silent(connect: Connect) -> None:
    connection = connect()
    driver = get_driver(connection)
    file = LargeObjectIO(driver, driver.from_bytes(b"data"), "rb+")
    connection.close()
    file.close()
    assert file.closed


def test_closing_frees_the_descriptor(connection: RawConnection) -> None:
    driver = get_driver(connection)
    file = LargeObjectIO(driver, driver.from_bytes(b"data"), "rb+")
    assert run(connection, "select lo_tell64(0)") == [(0,)]
    file.close()
    with pytest.raises(Exception, match="invalid large-object descriptor"):
        run(connection, "select lo_tell64(0)")


def test_what_was_written_is_there_without_closing(connect: Connect) -> None:
    connection = connect()
    file = LargeObjectIO(get_driver(connection), 0, "wb")
    file.write(b"data")
    connection.commit()
    assert get_driver(connect()).get(file.oid, 0, 9) == b"data"
    file.close()


@pytest.mark.parametrize("lost", [False, True])
def test_a_wrapper_whose_text_cannot_be_written_says_so(connect: Connect, wire: Wire, *, lost: bool) -> None:
    connection = connect(dsn=wire.dsn)
    file = LargeObjectIO(get_driver(connection), 0, "wb")
    text = io.TextIOWrapper(file, encoding="utf-8")
    text.write("pending")
    if lost:
        wire.drop()
    else:
        connection.rollback()
    with pytest.raises(Exception, match="connection" if lost else "transaction"):
        text.close()
    assert file.closed
