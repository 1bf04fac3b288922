"""What a file costs in round trips, which a network makes dear; counted on the wire, never timed.

Outside a transaction: 1 to open, at most 1 for each 64 KB and the rest, 1 where psycopg prepares the statement,
none to close. In a transaction BEGIN and closing come on top.
"""

from collections.abc import Callable

import pytest
from django.db import connections

from pg_lo_storage.drivers import get_driver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.storage import DbFileIO
from tests.fixtures.connections import Connect, RawConnection
from tests.fixtures.proxy import Wire
from tests.io.files import execute, numbered_lines

KB = 1024
OUTSIDE = 3
INSIDE = OUTSIDE + 2
# psycopg2 asks for the guard, opens a lobject, moves it, writes and closes; once it looks up the functions' numbers.
A_WRITE = {"psycopg": 1, "psycopg2": 5}


@pytest.fixture
def wired(connect: Connect, wire: Wire) -> RawConnection:
    """A connection through the proxy, in autocommit."""
    return connect(autocommit=True, dsn=wire.dsn)


def stored(connection: RawConnection, data: bytes) -> int:
    """Return the oid of a new object, in one transaction."""
    execute(connection, "begin")
    with LargeObjectIO(get_driver(connection), 0, "wb") as file:
        file.write(data)
    execute(connection, "commit")
    return file.oid


READERS: dict[str, Callable[[LargeObjectIO], list[bytes]]] = {
    "readline": lambda file: list(iter(file.readline, b"")),
    "iteration": list,
    "readlines": lambda file: file.readlines(),
}


@pytest.mark.parametrize("length", [20, 200, 800])
@pytest.mark.parametrize("reader", READERS)
def test_reading_5000_lines_outside_a_transaction(wired: RawConnection, wire: Wire, reader: str, length: int) -> None:
    data = numbered_lines(5000 * (length + 1), length)
    oid = stored(wired, data)
    with wire.counting() as trips, LargeObjectIO(get_driver(wired), oid) as file:
        lines = READERS[reader](file)
    assert len(lines) == 5000
    assert b"".join(lines) == data
    assert trips.count <= len(data) // (64 * KB) + OUTSIDE


@pytest.mark.parametrize("length", [20, 200, 800])
@pytest.mark.parametrize("reader", READERS)
def test_reading_5000_lines_in_a_transaction(wired: RawConnection, wire: Wire, reader: str, length: int) -> None:
    data = numbered_lines(5000 * (length + 1), length)
    oid = stored(wired, data)
    wired.autocommit = False
    with wire.counting() as trips, LargeObjectIO(get_driver(wired), oid) as file:
        lines = READERS[reader](file)
    assert b"".join(lines) == data
    assert trips.count <= len(data) // (64 * KB) + INSIDE


@pytest.mark.parametrize("autocommit", [True, False])
def test_small_reads_are_no_query_each(wired: RawConnection, wire: Wire, *, autocommit: bool) -> None:
    oid = stored(wired, numbered_lines(60 * KB))
    wired.autocommit = autocommit
    with LargeObjectIO(get_driver(wired), oid) as file:
        file.read(1)
        with wire.counting() as trips:
            for _ in range(1000):
                file.read(10)
                file.read1(10)
                file.readinto(bytearray(10))
        assert trips.count == 0


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("size", [0, 1, 64 * KB, 256 * KB])
def test_a_small_file_is_read_by_one_query(wired: RawConnection, wire: Wire, size: int, *, autocommit: bool) -> None:
    data = numbered_lines(size)
    oid = stored(wired, data)
    wired.autocommit = autocommit
    with LargeObjectIO(get_driver(wired), oid) as file, wire.counting() as trips:
        assert file.read() == data
    assert trips.count == 1


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_large_file_is_read_by_a_query_a_megabyte(wired: RawConnection, wire: Wire, *, autocommit: bool) -> None:
    data = numbered_lines(5 * KB * KB)
    oid = stored(wired, data)
    wired.autocommit = autocommit
    with LargeObjectIO(get_driver(wired), oid) as file, wire.counting() as trips:
        assert file.read() == data
    # One for the rest, and one where psycopg prepares the statement.
    assert trips.count <= len(data) // (KB * KB) + 2


def test_a_small_file_is_opened_and_read_in_two_round_trips(wired: RawConnection, wire: Wire) -> None:
    data = numbered_lines(256 * KB)
    oid = stored(wired, data)
    with wire.counting() as trips, LargeObjectIO(get_driver(wired), oid) as file:
        assert file.read() == data
    assert trips.count <= 2


@pytest.mark.django_db(databases=["default", "wired"], transaction=True)
def test_a_small_file_is_opened_and_read_in_two_round_trips_on_a_database_of_django(wire: Wire) -> None:
    data = numbered_lines(256 * KB)
    connections["wired"].ensure_connection()
    oid = get_driver(connections["wired"].connection).from_bytes(data)
    with wire.counting() as trips, DbFileIO(oid, alias="wired") as file:
        assert file.read() == data
    assert trips.count <= 2


@pytest.mark.parametrize("autocommit", [True, False])
def test_seek_and_tell_ask_nothing(wired: RawConnection, wire: Wire, *, autocommit: bool) -> None:
    oid = stored(wired, numbered_lines(300 * KB))
    wired.autocommit = autocommit
    with LargeObjectIO(get_driver(wired), oid) as file, wire.counting() as trips:
        for position in (5, 250_000, 0, 2**40, 7):
            assert file.seek(position) == position
            assert file.seek(3, 1) == file.tell() == position + 3
        assert trips.count == 0


def test_lines_are_written_in_blocks(wired: RawConnection, wire: Wire, driver_name: str) -> None:
    data = numbered_lines(1000 * KB)
    wired.autocommit = False
    with LargeObjectIO(get_driver(wired), 0, "wb+") as file:
        with wire.counting() as trips:
            file.writelines(data.splitlines(keepends=True))
        file.seek(0)
        assert file.read() == data
    # One more where psycopg prepares the statement.
    assert trips.count <= (len(data) // (256 * KB) + 1) * A_WRITE[driver_name] + 1
