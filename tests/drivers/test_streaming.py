"""Large reads whose blocks are handed on while the server sends: what a sink is given, and what is left behind."""

import importlib
import io
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, LiteralString

import pytest
from typing_extensions import Buffer, override

from pg_lo_storage.drivers import AccessMode, LargeObjectDriver, get_driver
from pg_lo_storage.drivers.bulk import stream, stream_descriptor
from pg_lo_storage.exceptions import LargeObjectNotFound, StaleLargeObject
from tests.drivers.support import READ, READ_WRITE, is_aborted
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire

KB = 1024
DATA = bytes(range(256)) * 4 * 700  # 700 KB
BLOCK = 64 * KB


@pytest.fixture
def oid(driver: LargeObjectDriver) -> int:
    return driver.from_bytes(DATA)


def collected(read: Callable[[Callable[[Buffer], object]], int]) -> list[bytes]:
    """Return the blocks, once their number of bytes was compared with what the call told."""
    blocks: list[bytes] = []
    assert read(lambda block: blocks.append(bytes(block))) == sum(map(len, blocks))
    return blocks


@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (0, 0),
        (0, 1),
        (0, BLOCK),
        (0, len(DATA)),
        (0, 2**41),
        (5, BLOCK + 1),
        (len(DATA) - 1, 10),
        (len(DATA), 10),
        (2**41, 9),
    ],
)
def test_a_part_is_handed_on_in_blocks(driver: LargeObjectDriver, oid: int, offset: int, size: int) -> None:
    assert hasattr(type(driver), "stream")
    blocks = collected(lambda sink: stream(driver, oid, offset, size, sink, block=BLOCK))
    assert b"".join(blocks) == DATA[offset : offset + size]
    assert all(len(block) == BLOCK for block in blocks[:-1])
    assert all(blocks)


def test_it_takes_one_round_trip_also_in_autocommit(connect: Connect, wire: Wire) -> None:
    driver = get_driver(connect(autocommit=True, dsn=wire.dsn))
    oid = driver.from_bytes(DATA)
    with wire.counting() as trips:
        assert b"".join(collected(lambda sink: stream(driver, oid, 0, len(DATA), sink, block=BLOCK))) == DATA
    assert trips.count == 1


def test_a_missing_object_is_not_found_and_aborts_nothing(
    driver: LargeObjectDriver, connection: RawConnection, oid: int
) -> None:
    driver.unlink(oid)
    with pytest.raises(LargeObjectNotFound):
        stream(driver, oid, 0, 10, io.BytesIO().write)
    assert not is_aborted(connection)


def test_a_backend_that_is_killed_meanwhile_is_an_operational_error(connect: Connect) -> None:
    connection, other = connect(autocommit=True), connect(autocommit=True)
    driver = get_driver(connection)
    # Much more than what the sockets hold.
    oid = driver.from_bytes(DATA * 30)
    [(pid,)] = run(connection, "select pg_backend_pid()")
    killed: list[object] = []

    def kill(_block: Buffer) -> None:
        if not killed:
            killed.extend(run(other, "select pg_terminate_backend(%s, 10000)", [pid]))

    try:
        with pytest.raises(Exception, match=r"clos|terminat|lost") as caught:
            stream(driver, oid, 0, 2**41, kill, block=BLOCK)
    finally:
        get_driver(other).unlink(oid)
    assert "OperationalError" in {base.__name__ for base in type(caught.value).__mro__}
    assert connection.closed


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, TimeoutError])
@pytest.mark.parametrize("autocommit", [False, True])
def test_a_sink_that_is_interrupted_leaves_the_connection_fit_for_use(
    interruption: type[BaseException], autocommit: bool, connect: Connect
) -> None:
    """As by Ctrl-C, or by a signal of a task's time limit, which may raise anywhere."""
    connection = connect(autocommit=autocommit)
    driver = get_driver(connection)
    oid = driver.from_bytes(DATA * 30)

    def interrupt(_block: Buffer) -> None:
        raise interruption

    try:
        with pytest.raises(interruption):
            stream(driver, oid, 0, 2**41, interrupt, block=BLOCK)
        if not autocommit and is_aborted(connection):
            connection.rollback()
            oid = driver.from_bytes(DATA * 30)
        assert driver.size(oid) == 30 * len(DATA)
        assert b"".join(collected(lambda sink: stream(driver, oid, 5, 100, sink, block=BLOCK))) == DATA[5:105]
    finally:
        driver.unlink(oid)


def test_it_leaves_no_descriptor_open(driver: LargeObjectDriver, oid: int) -> None:
    first = driver.open(oid, AccessMode.READ)
    first.close()
    for _ in range(3):
        stream(driver, oid, 0, len(DATA), io.BytesIO().write)
    again = driver.open(oid, AccessMode.READ)
    assert getattr(again, "fd", None) == getattr(first, "fd", None)


@pytest.mark.parametrize("size", [0, 1, 300 * KB, len(DATA), 2**41])
@pytest.mark.parametrize("start", [0, 7, len(DATA), len(DATA) + 9])
def test_a_descriptor_hands_on_from_where_it_stands(driver: LargeObjectDriver, oid: int, start: int, size: int) -> None:
    descriptor = driver.open(oid, AccessMode.READ)
    assert hasattr(type(descriptor), "stream")
    descriptor.seek(start)
    assert b"".join(collected(lambda sink: stream_descriptor(descriptor, size, sink))) == DATA[start : start + size]
    assert descriptor.tell() == max(start, min(start + size, len(DATA)))


def test_a_descriptor_that_is_stale_hands_on_nothing(
    driver: LargeObjectDriver, connection: RawConnection, oid: int
) -> None:
    descriptor = driver.open(oid, AccessMode.READ)
    connection.commit()
    driver.exists(1)  # begins the next transaction
    with pytest.raises(StaleLargeObject):
        stream_descriptor(descriptor, 10, io.BytesIO().write)
    assert not is_aborted(connection)


@pytest.mark.parametrize("failing", [1, 2])
def test_what_a_sink_raises_leaves_the_transaction_usable(
    driver: LargeObjectDriver, connection: RawConnection, oid: int, failing: int
) -> None:
    taken: list[int] = []

    def sink(block: Buffer) -> None:
        taken.append(len(bytes(block)))
        if len(taken) == failing:
            raise OSError("disk full")

    descriptor = driver.open(oid, AccessMode.READ)
    reads: list[Callable[[], int]] = [
        lambda: stream(driver, oid, 0, len(DATA), sink),
        lambda: stream_descriptor(descriptor, 2**41, sink),
    ]
    for read in reads:
        taken.clear()
        with pytest.raises(OSError, match="disk full"):
            read()
        assert len(taken) == failing
        assert not is_aborted(connection)
    descriptor.seek(0)
    assert descriptor.read(10) == DATA[:10]


class Plain:
    """A driver with no more than the protocol asks for."""

    def __init__(self, driver: LargeObjectDriver) -> None:
        self._driver = driver

    def get(self, oid: int, offset: int, size: int) -> bytes:
        return self._driver.get(oid, offset, size)


@pytest.mark.parametrize("size", [0, 1, BLOCK, 3 * BLOCK, len(DATA), len(DATA) + 1])
def test_a_driver_without_it_is_asked_block_by_block(driver: LargeObjectDriver, oid: int, size: int) -> None:
    plain: LargeObjectDriver = Plain(driver)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  of which get() is used
    blocks = collected(lambda sink: stream(plain, oid, 0, size, sink, block=BLOCK))
    assert b"".join(blocks) == DATA[:size]


class Forwarding(Plain):
    """A wrapper that passes on what it has not itself, and changes what it reads."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._driver, name)

    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        return super().get(oid, offset, size).upper()


def test_a_wrapper_that_passes_it_on_is_not_bypassed(driver: LargeObjectDriver) -> None:
    oid = driver.from_bytes(b"content")
    forwarding: LargeObjectDriver = Forwarding(driver)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # passed on
    assert collected(lambda sink: stream(forwarding, oid, 0, 100, sink)) == [b"CONTENT"]


def _in_a_pipeline(connection: Any) -> AbstractContextManager[object]:
    context: AbstractContextManager[object] = connection.pipeline()
    return context


@contextmanager
def _waiting_by_a_callback(_connection: object) -> Generator[None]:
    extensions, extras = (importlib.import_module(f"psycopg2.{name}") for name in ("extensions", "extras"))
    before = extensions.get_wait_callback()
    extensions.set_wait_callback(extras.wait_select)
    try:
        yield
    finally:
        extensions.set_wait_callback(before)


@pytest.mark.parametrize("mode", [READ, READ_WRITE])
def test_where_a_driver_cannot_stream_little_is_in_memory_at_a_time(
    connect: Connect, driver_name: str, monkeypatch: pytest.MonkeyPatch, mode: AccessMode
) -> None:
    connection = connect()
    driver: Any = get_driver(connection)
    descriptor = driver.open(driver.from_bytes(DATA * 30), mode)
    execute, received = driver.execute, [0]

    def receiving(query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        rows: list[tuple[Any, ...]] = execute(query, params)
        received.append(sum(len(value) for row in rows for value in row if not isinstance(value, int | str)))
        return rows

    monkeypatch.setattr(driver, "execute", receiving)
    with _in_a_pipeline(connection) if driver_name == "psycopg" else _waiting_by_a_callback(connection):
        content = io.BytesIO()
        assert stream_descriptor(descriptor, 2**40, content.write) == len(DATA) * 30
    assert content.getvalue() == DATA * 30
    assert sum(received) == len(DATA) * 30
    assert max(received) <= 4 * KB * KB
