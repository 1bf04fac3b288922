"""``save`` and ``load`` on plain connections, and what all functions of the package do with transactions."""

import array
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.drivers import register_driver
from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.exceptions import DriverNotFound, LargeObjectNotFound
from pg_lo_storage.testing import InMemoryConnection, InMemoryDriver, InMemoryServer
from pg_lo_storage.transfer.content import Content, blocks_of
from tests.fixtures.connections import INSTALLED, open_connection
from tests.fixtures.proxy import Wire
from tests.transfer.places import LINES, SIZES, Failing, Place, parts


class Unseekable(io.RawIOBase):
    """A file that gives no more than it likes to, such as a socket's."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 100_000))


class Generous:
    """A file that gives all that it has, however little it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self, _size: int = -1, /) -> bytes:
        given, self._rest = self._rest, b""
        return given


def reused(data: bytes) -> Iterator[memoryview]:
    """Yield blocks in one buffer that is written again each time."""
    buffer = bytearray(300_000)
    for part in parts(data, 300_000):
        buffer[: len(part)] = part
        yield memoryview(buffer)[: len(part)]


CONTENTS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "file": io.BytesIO,
    "unseekable file": Unseekable,
    "generous file": Generous,
    "one block": lambda data: [data],
    "blocks": lambda data: parts(data, 100_000),
    "lines": lambda data: data.splitlines(keepends=True),
    "reused blocks": reused,
    "blocks with empty ones": lambda data: [b"", data[:10], b"", data[10:], b""],
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_save_takes_bytes_files_and_iterables_of_any_size(
    in_autocommit: Place, content: Callable[[bytes], Any], size: int
) -> None:
    oid = in_autocommit.save(content(LINES[:size]))
    assert in_autocommit.content(oid) == LINES[:size]
    assert not in_autocommit.driver.in_transaction


@pytest.mark.parametrize("size", SIZES)
def test_load_gives_the_content(place: Place, size: int) -> None:
    oid = place.driver.from_bytes(LINES[:size])
    assert place.load(oid) == LINES[:size]


def test_save_takes_any_buffer_s_bytes(in_autocommit: Place) -> None:
    numbers = array.array("I", range(1000))
    assert in_autocommit.load(in_autocommit.save(numbers)) == numbers.tobytes()


def test_save_reads_a_file_from_where_it_stands(in_autocommit: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(LINES)
    with (tmp_path / "file").open("rb") as file:
        file.seek(1000)
        assert in_autocommit.load(in_autocommit.save(file)) == LINES[1000:]


@pytest.mark.parametrize("driver_name", INSTALLED)
def test_a_file_that_gives_little_at_a_time_is_written_in_few_statements(driver_name: str, wire: Wire) -> None:
    class Dripping:
        file = io.BytesIO(LINES)

        def read(self, size: int, /) -> bytes:
            return self.file.read(min(size, 1000))

    with closing(open_connection(driver_name, wire.dsn, autocommit=True)) as connection, wire.counting() as trips:
        pg_lo_storage.save(connection, Dripping())
    assert trips.count < 40  # of 3,000,000 bytes in 1,000 at a time


@pytest.mark.parametrize("driver_name", INSTALLED)
def test_save_takes_a_large_object_of_the_same_connection(driver_name: str, server: Server) -> None:
    connection = open_connection(driver_name, server.dsn())
    with pg_lo_storage.open(connection, 0, "wb+") as file:
        file.write(LINES)
        file.seek(0)
        oid = pg_lo_storage.save(connection, file)
    assert pg_lo_storage.load(connection, oid) == LINES
    connection.close()


@pytest.mark.parametrize(
    "content", [lambda: "text", lambda: io.StringIO("text"), io.StringIO, lambda: ["text"], lambda: 5, lambda: None]
)
def test_save_refuses_what_is_not_bytes_and_leaves_nothing(
    place: Place, large_objects: Callable[[], set[int]], content: Callable[[], object]
) -> None:
    with pytest.raises(TypeError):
        place.save(content())
    assert place.driver.exists(1) is False
    assert large_objects() == set()


@pytest.mark.once
@pytest.mark.parametrize("content", [[LINES], [b"small", LINES], Generous(LINES)])
def test_a_block_of_any_size_is_written_in_parts_so_that_no_copy_takes_more(content: Content) -> None:
    sizes = [memoryview(block).nbytes for block in blocks_of(content)]
    assert max(sizes) <= MAX_BLOCK
    assert sum(sizes) >= len(LINES)


def fails_after(size: int) -> Iterator[bytes]:
    yield from parts(LINES[:size], 300_000)
    raise Failing


@pytest.mark.parametrize("size", [0, 600_000, len(LINES)])
def test_a_save_that_fails_leaves_nothing(place: Place, large_objects: Callable[[], set[int]], size: int) -> None:
    kept = place.save(b"before")
    with pytest.raises(Failing):
        place.save(fails_after(size))
    assert place.content(kept) == b"before"
    if not place.autocommit:
        assert place.driver.in_transaction
        place.execute("commit")
    assert not place.driver.in_transaction
    assert large_objects() == {kept}


@pytest.mark.parametrize("size", [10, len(LINES)])
def test_with_autocommit_off_all_is_the_user_s_to_commit(
    place: Place, large_objects: Callable[[], set[int]], size: int
) -> None:
    oid = place.save(LINES[:size])
    copied = place.copy(oid)
    assert place.driver.in_transaction is not place.autocommit
    assert large_objects() == ({oid, copied} if place.autocommit else set())
    if not place.autocommit:
        place.execute("rollback")
        assert not place.driver.exists(oid)


def test_within_a_transaction_of_the_user_s_nothing_is_committed(
    in_autocommit: Place, large_objects: Callable[[], set[int]], tmp_path: Path
) -> None:
    place = in_autocommit
    place.execute("begin")
    oid = place.save(LINES)
    copied = place.copy(oid)
    assert place.load(copied) == LINES
    assert place.lo_export(copied, tmp_path / "file") == len(LINES)
    place.lo_import(tmp_path / "file")
    assert place.driver.in_transaction
    assert large_objects() == set()
    place.execute("rollback")


def test_an_object_that_is_missing_is_not_found_and_the_transaction_stays_usable(place: Place, tmp_path: Path) -> None:
    missing = place.driver.create()
    place.driver.unlink(missing)
    calls: list[Callable[[], object]] = [
        lambda: place.load(missing),
        lambda: place.copy(missing),
        lambda: place.lo_export(missing, tmp_path / "file"),
    ]
    for call in calls:
        with pytest.raises(LargeObjectNotFound) as caught:
            call()
        assert caught.value.oid == missing
    assert list(tmp_path.iterdir()) == []
    assert not place.driver.exists(missing)
    assert place.driver.in_transaction is not place.autocommit


@pytest.mark.parametrize("driver_name", INSTALLED)
def test_calls_of_several_threads_on_a_connection_in_autocommit_take_turns(
    driver_name: str, server: Server, large_objects: Callable[[], set[int]]
) -> None:
    connection = open_connection(driver_name, server.dsn(), autocommit=True)
    kept = pg_lo_storage.save(connection, LINES)
    both = threading.Barrier(3, timeout=60)

    def save() -> int:
        both.wait()
        return pg_lo_storage.save(connection, parts(LINES, 300_000))

    def copy() -> int:
        both.wait()
        return pg_lo_storage.copy(connection, kept)

    def fail() -> int:
        both.wait()
        return pg_lo_storage.save(connection, fails_after(len(LINES)))

    with ThreadPoolExecutor(3) as pool:
        saved, copied, failed = pool.submit(save), pool.submit(copy), pool.submit(fail)
        assert isinstance(failed.exception(), Failing)
        made = {kept, saved.result(), copied.result()}
    assert large_objects() == made
    assert pg_lo_storage.load(connection, saved.result()) == LINES
    connection.close()


@pytest.mark.parametrize("driver_name", INSTALLED)
def test_a_call_within_a_call_does_not_wait_for_it(driver_name: str, server: Server) -> None:
    connection = open_connection(driver_name, server.dsn(), autocommit=True)
    oid = pg_lo_storage.save(connection, LINES)
    again = pg_lo_storage.save(connection, (pg_lo_storage.load(connection, oid) for _ in range(2)))
    assert pg_lo_storage.load(connection, again) == 2 * LINES
    connection.close()


def test_a_driver_without_sql_copies_through_the_client() -> None:
    connection = InMemoryConnection()
    oid = pg_lo_storage.save(connection, parts(LINES, 300_000))
    copied = pg_lo_storage.copy(connection, oid)
    assert pg_lo_storage.load(connection, copied) == LINES


@pytest.mark.parametrize("connection", [None, "dbname=app"])
def test_what_is_no_connection_is_refused(connection: Any) -> None:
    for call in (pg_lo_storage.open, pg_lo_storage.load, pg_lo_storage.copy):
        with pytest.raises(DriverNotFound):
            call(connection, 1)


class Proxy:
    """Stands for a connection, and takes no weak reference, as a proxy of a pool."""

    __slots__ = ("raw",)

    def __init__(self, raw: InMemoryConnection) -> None:
        self.raw = raw


@pytest.mark.once
def test_a_connection_that_takes_no_weak_reference_is_one_as_well() -> None:
    def served(proxy: Proxy) -> InMemoryDriver:
        return InMemoryDriver(proxy.raw)

    register_driver(Proxy, served)
    try:
        proxy = Proxy(InMemoryConnection(InMemoryServer(), autocommit=True))
        connection = cast("InMemoryConnection", proxy)
        assert pg_lo_storage.load(connection, pg_lo_storage.save(connection, b"content")) == b"content"
    finally:
        register_driver(Proxy, None)
