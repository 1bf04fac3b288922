"""What is particular to the in-memory driver; the rest of its behaviour is the kit's."""

import errno
import gzip
import io
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from pg_lo_storage.drivers import MAX_SIZE, AccessMode
from pg_lo_storage.exceptions import (
    LargeObjectConflict,
    LargeObjectTooLarge,
    NoTransactionError,
    StaleLargeObject,
)
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.testing import InMemoryConnection, InMemoryDriver, InMemoryError, InMemoryServer

pytestmark = pytest.mark.once

READ, WRITE, READ_WRITE = AccessMode.READ, AccessMode.WRITE, AccessMode.READ_WRITE


@pytest.fixture
def server() -> InMemoryServer:
    return InMemoryServer()


@pytest.fixture
def connection(server: InMemoryServer) -> InMemoryConnection:
    return InMemoryConnection(server)


@pytest.fixture
def driver(connection: InMemoryConnection) -> InMemoryDriver:
    return InMemoryDriver(connection)


def test_a_driver_alone_has_a_server_and_a_connection_of_its_own() -> None:
    driver = InMemoryDriver()
    oid = driver.from_bytes(b"content")
    assert driver.connection.server.oids == set()
    driver.connection.commit()
    assert driver.connection.server.oids == {oid}
    assert not InMemoryDriver().exists(oid)


def test_it_has_no_sql(driver: InMemoryDriver) -> None:
    assert driver.sql is None


def test_files_work_on_it(driver: InMemoryDriver, connection: InMemoryConnection) -> None:
    with LargeObjectIO(driver, mode="wb+") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", "content " * 50_000)
        oid = file.oid
    connection.commit()
    connection.autocommit = True
    with LargeObjectIO(driver, oid) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("a.txt") == b"content " * 50_000


def test_text_and_compressed_files_work_on_it(driver: InMemoryDriver) -> None:
    with LargeObjectIO(driver, mode="wb") as file, gzip.open(file, "wt") as text:
        text.writelines(f"line {number}\n" for number in range(5000))
    with LargeObjectIO(driver, file.oid) as file, gzip.open(file, "rt") as text:
        assert [line.strip() for line in text] == [f"line {number}" for number in range(5000)]


def test_a_file_belongs_to_its_transaction(driver: InMemoryDriver, connection: InMemoryConnection) -> None:
    file = LargeObjectIO(driver, mode="wb+")
    file.write(b"content")
    connection.commit()
    with pytest.raises(StaleLargeObject):
        file.read()
    file.close()
    connection.autocommit = True
    with pytest.raises(NoTransactionError):
        LargeObjectIO(driver, file.oid, "rb+")


def test_lines_are_read_as_from_any_file(driver: InMemoryDriver) -> None:
    with io.TextIOWrapper(LargeObjectIO(driver, mode="wb+"), encoding="utf-8") as text:
        text.write("äöü\nzweite\n")
        text.seek(0)
        assert list(text) == ["äöü\n", "zweite\n"]


def test_sparse_objects_take_memory_for_what_was_written(driver: InMemoryDriver) -> None:
    tracemalloc.start()
    try:
        oid = driver.create()
        driver.put(oid, MAX_SIZE - 1, b"x")
        driver.open(oid, WRITE).truncate(MAX_SIZE // 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert driver.size(oid) == MAX_SIZE // 2
    assert peak < 1 << 20


def test_a_conflict_is_raised_at_once_and_aborts_the_transaction(
    server: InMemoryServer, driver: InMemoryDriver, connection: InMemoryConnection
) -> None:
    other = InMemoryDriver(InMemoryConnection(server, autocommit=True))
    oid = other.from_bytes(b"content")
    driver.put(oid, 0, b"CON")
    with pytest.raises(LargeObjectConflict) as caught:
        other.put(oid, 100_000, b"another page")
    assert (caught.value.oid, caught.value.errno) == (oid, errno.EBUSY)
    assert isinstance(caught.value.__cause__, InMemoryError)
    assert not other.in_transaction
    connection.commit()
    other.connection.begin()
    driver.put(oid, 0, b"new")
    with pytest.raises(LargeObjectConflict):
        other.unlink(oid)
    with pytest.raises(InMemoryError, match="aborted"):
        other.exists(oid)
    other.connection.commit()
    connection.commit()
    assert other.get(oid, 0, 10) == b"newtent"


def test_writing_what_another_session_has_unlinked_since_is_a_conflict(
    server: InMemoryServer, driver: InMemoryDriver
) -> None:
    other = InMemoryDriver(InMemoryConnection(server, autocommit=True))
    oid = other.from_bytes(b"content")
    descriptor = driver.open(oid, READ_WRITE)
    other.unlink(oid)
    assert descriptor.read(10) == b""
    with pytest.raises(LargeObjectConflict):
        descriptor.write(b"lost")


def test_what_the_transaction_itself_unlinks_has_no_descriptors_left(
    driver: InMemoryDriver, connection: InMemoryConnection
) -> None:
    oid = driver.from_bytes(b"content")
    descriptors = [driver.open(oid, mode) for mode in (READ, READ_WRITE)]
    connection.savepoint("before")
    driver.unlink(oid)
    for descriptor in descriptors:
        with pytest.raises(StaleLargeObject):
            descriptor.tell()
    connection.rollback_to("before")
    for descriptor in descriptors:
        with pytest.raises(StaleLargeObject):
            descriptor.tell()
    assert driver.get(oid, 0, 10) == b"content"


def test_a_position_beyond_the_limit_is_refused(
    driver: InMemoryDriver,
) -> None:
    descriptor = driver.open(driver.create(), WRITE)
    descriptor.seek(MAX_SIZE)
    refused: list[Callable[[], int]] = [
        lambda: descriptor.seek(1, 1),
        lambda: descriptor.seek(-1, 2),
        lambda: descriptor.write(b"x"),
    ]
    for wrong in refused:
        with pytest.raises((LargeObjectTooLarge, ValueError)):
            wrong()
        assert descriptor.tell() == MAX_SIZE


def test_an_aborted_transaction_is_rolled_back_by_commit(
    driver: InMemoryDriver, connection: InMemoryConnection, server: InMemoryServer
) -> None:
    descriptor = driver.open(driver.create(), WRITE)
    with pytest.raises(InMemoryError, match="no_such"):
        connection.release("no_such")
    with pytest.raises(InMemoryError, match="aborted"):
        connection.savepoint("any")
    assert driver.in_transaction
    descriptor.close()
    connection.commit()
    assert not driver.in_transaction
    assert server.oids == set()


def test_of_savepoints_that_share_a_name_the_last_one_counts(
    driver: InMemoryDriver, connection: InMemoryConnection
) -> None:
    oid = driver.create()
    for data in (b"1", b"2", b"3"):
        connection.savepoint("same")
        driver.put(oid, 0, data)
    connection.rollback_to("same")
    assert driver.get(oid, 0, 1) == b"2"
    connection.release("same")
    connection.rollback_to("same")
    assert driver.get(oid, 0, 1) == b"1"
    connection.release("same")
    connection.rollback_to("same")
    assert driver.get(oid, 0, 1) == b""


def test_savepoints_need_a_transaction(server: InMemoryServer) -> None:
    connection = InMemoryConnection(server, autocommit=True)
    with pytest.raises(InMemoryError, match="savepoints"):
        connection.savepoint("any")
    connection.begin()
    connection.savepoint("any")


def test_autocommit_cannot_change_within_a_transaction(connection: InMemoryConnection) -> None:
    connection.begin()
    with pytest.raises(InMemoryError, match="autocommit"):
        connection.autocommit = True


def test_close_rolls_back_and_ends_the_session(
    driver: InMemoryDriver, connection: InMemoryConnection, server: InMemoryServer
) -> None:
    oid = driver.create()
    descriptor = driver.open(oid, WRITE)
    connection.close()
    connection.close()
    assert connection.closed
    assert not driver.in_transaction
    assert server.oids == set()
    with pytest.raises(StaleLargeObject):
        descriptor.tell()
    with pytest.raises(InMemoryError, match="closed"):
        driver.exists(oid)


def test_a_with_block_commits_or_rolls_back_and_closes(server: InMemoryServer) -> None:
    with InMemoryConnection(server) as connection:
        oid = InMemoryDriver(connection).create()
    assert connection.closed
    with suppress(LookupError), InMemoryConnection(server) as connection:
        InMemoryDriver(connection).create()
        raise LookupError
    assert connection.closed
    assert server.oids == {oid}


def test_threads_share_a_server(server: InMemoryServer) -> None:
    def save(number: int) -> int:
        with InMemoryConnection(server) as connection:
            return InMemoryDriver(connection).from_bytes(b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        oids = list(pool.map(save, range(200)))
    assert server.oids == set(oids)
    reader = InMemoryDriver(InMemoryConnection(server))
    assert [reader.get(oid, 0, 10) for oid in oids] == [b"%d" % number for number in range(200)]


def test_importing_it_needs_neither_django_nor_a_driver_nor_pytest() -> None:
    blocked = {"django", "psycopg", "psycopg2", "pytest", "_pytest"}
    program = f"""
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
from pg_lo_storage.testing import InMemoryDriver
driver = InMemoryDriver()
assert driver.get(driver.from_bytes(b"content"), 0, 10) == b"content"
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_length_below_nothing_is_refused(driver: InMemoryDriver) -> None:
    oid = driver.from_bytes(b"content")
    with pytest.raises(ValueError, match="not -1"):
        driver.get(oid, 0, -1)


def test_much_is_read_at_once_whatever_is_left_of_a_block(driver: InMemoryDriver) -> None:
    data = bytes(range(251)) * 20_000
    with LargeObjectIO(driver, driver.from_bytes(data)) as file:
        assert file.read(7) == data[:7]
        assert file.read(4_000_001) == data[7:4_000_008]
        assert file.read(4_000_001) == data[4_000_008:]
