"""Those who append to one object take turns, each for as long as its transaction lasts."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import BinaryMode
from tests.drivers.support import waiting_for_a_lock
from tests.fixtures.connections import Connect, RawConnection, run
from tests.io.files import execute

WRITERS, LINES = 4, 25


@pytest.fixture
def committed(connect: Connect) -> LargeObjectDriver:
    """A driver in autocommit."""
    return get_driver(connect(autocommit=True))


def append(connection: RawConnection, oid: int, data: bytes, mode: BinaryMode = "ab") -> None:
    with LargeObjectIO(get_driver(connection), oid, mode) as file:
        file.write(data)


def test_concurrent_appenders_lose_nothing(connect: Connect, committed: LargeObjectDriver) -> None:
    oid = committed.from_bytes(b"")
    connections = [connect() for _ in range(WRITERS)]

    def append_lines(writer: int) -> None:
        for number in range(LINES):
            append(connections[writer], oid, line(writer, number))
            connections[writer].commit()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append_lines, range(WRITERS)))
    lines = committed.get(oid, 0, committed.size(oid)).splitlines(keepends=True)
    for writer in range(WRITERS):
        own = [text for text in lines if text.startswith(b"%d " % writer)]
        assert own == [line(writer, number) for number in range(LINES)]
    assert len(lines) == WRITERS * LINES


def line(writer: int, number: int) -> bytes:
    # Longer by the writer: one that lands in another's place does not fit it.
    return b"%d %d %s\n" % (writer, number, b"x" * 30 * writer)


@pytest.mark.parametrize("mode", ["ab", "ab+"])
@pytest.mark.parametrize(("end", "expected"), [("commit", b"start one two"), ("rollback", b"start two")])
def test_the_second_appender_waits_for_the_end_of_the_firsts_transaction(
    connect: Connect, committed: LargeObjectDriver, mode: BinaryMode, end: str, expected: bytes
) -> None:
    oid = committed.from_bytes(b"start")
    first, second = connect(), connect()
    append(first, oid, b" one", mode)
    with waiting_for_a_lock(second, connect(autocommit=True), lambda: append(second, oid, b" two", mode)) as waiting:
        getattr(first, end)()
        waiting.result()
    second.commit()
    assert committed.get(oid, 0, 99) == expected


def test_an_appender_that_has_written_nothing_yet_is_waited_for(connect: Connect, committed: LargeObjectDriver) -> None:
    oid = committed.from_bytes(b"start")
    first, second = connect(), connect()
    file = LargeObjectIO(get_driver(first), oid, "ab")
    with waiting_for_a_lock(second, connect(autocommit=True), lambda: append(second, oid, b" two")) as waiting:
        file.write(b" one")
        file.close()
        first.commit()
        waiting.result()
    second.commit()
    assert committed.get(oid, 0, 99) == b"start one two"


def test_an_appender_whose_savepoint_is_rolled_back_is_waited_for_no_more(
    connect: Connect, committed: LargeObjectDriver
) -> None:
    oid = committed.from_bytes(b"start")
    first, second = connect(), connect()
    execute(first, "savepoint s")
    append(first, oid, b" one")
    execute(first, "rollback to s")
    execute(second, "set lock_timeout = '10s'")
    append(second, oid, b" two")
    second.commit()
    assert committed.get(oid, 0, 99) == b"start two"


@pytest.mark.parametrize("oid", [1, 2**31 - 1, 2**31, 2**32 - 1])
def test_every_oid_is_appended_to(connection: RawConnection, driver: LargeObjectDriver, oid: int) -> None:
    driver.create(oid)
    append(connection, oid, b"data")
    assert driver.get(oid, 0, 9) == b"data"


def test_appenders_to_different_objects_do_not_meet(connect: Connect, committed: LargeObjectDriver) -> None:
    oids = [committed.from_bytes(b"start") for _ in range(2)]
    connections = [connect() for _ in oids]
    for connection, oid in zip(connections, oids, strict=True):
        execute(connection, "set lock_timeout = '10s'")
        append(connection, oid, b"!")
    for connection in connections:
        connection.commit()
    assert [committed.get(oid, 0, 9) for oid in oids] == [b"start!"] * 2


def test_only_appending_is_locked(connection: RawConnection, driver: LargeObjectDriver) -> None:
    oid = driver.from_bytes(b"start")
    modes: list[BinaryMode] = ["rb", "rb+", "wb", "wb+"]
    for mode in modes:
        LargeObjectIO(driver, oid, mode).close()
    locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
    assert run(connection, locks) == [(0,)]
