"""The members of LargeObjectDriver, each on every driver."""

import array
import ctypes
from collections.abc import Callable

import pytest
from typing_extensions import Buffer

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import (
    LargeObjectError,
    LargeObjectExists,
    LargeObjectNotFound,
    LargeObjectTooLarge,
    NoTransactionError,
)
from tests.drivers.support import ALL_BYTES, READ, READ_WRITE, WRITE, abort, content, execute, is_aborted
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire

GIGABYTE = 1 << 30
FREE_OID = 4_000_000_000


@pytest.fixture(params=[False, True], ids=["transaction", "autocommit"])
def either(request: pytest.FixtureRequest, connect: Connect) -> LargeObjectDriver:
    """A driver over a connection in autocommit, and one over a connection that is not."""
    return get_driver(connect(autocommit=request.param))


def test_create_makes_an_empty_object_of_an_oid_the_server_picks(either: LargeObjectDriver) -> None:
    oid, other = either.create(), either.create(0)
    assert oid != other
    assert content(either, oid) == content(either, other) == b""


@pytest.mark.parametrize("oid", [1, FREE_OID, 2**32 - 1])
def test_create_takes_an_oid(either: LargeObjectDriver, oid: int) -> None:
    assert either.create(oid) == oid
    assert either.exists(oid)


def test_a_taken_oid_is_refused_and_the_transaction_stays_usable(
    driver: LargeObjectDriver, connection: RawConnection, large_objects: Callable[[], set[int]]
) -> None:
    oid = driver.from_bytes(b"taken")
    with pytest.raises(LargeObjectExists) as caught:
        driver.create(oid)
    assert caught.value.oid == oid
    assert content(driver, oid) == b"taken"
    connection.commit()
    assert large_objects() == {oid}


@pytest.mark.parametrize("oid", [-5, 2**32, 2**40])
def test_create_refuses_what_is_no_oid(driver: LargeObjectDriver, connection: RawConnection, oid: int) -> None:
    with pytest.raises((LargeObjectError, ValueError)):
        driver.create(oid)
    assert not is_aborted(connection)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ALL_BYTES,
        bytearray(ALL_BYTES),
        memoryview(ALL_BYTES),
        memoryview(ALL_BYTES)[3:200],
        memoryview(ALL_BYTES).cast("B", (16, 16)),
        array.array("H", range(1000)),
        array.array("d"),
        (ctypes.c_uint32 * 3)(1, 2, 3),
        b"\\x00 '' \\000",
    ],
    ids=lambda data: type(data).__name__,
)
def test_from_bytes_and_put_store_the_bytes_of_any_buffer(either: LargeObjectDriver, data: Buffer) -> None:
    oid = either.from_bytes(data)
    assert content(either, oid) == bytes(data)
    either.put(oid, 10, data)
    assert either.get(oid, 10, len(bytes(data)) + 1) == bytes(data)


def test_a_str_is_no_buffer(driver: LargeObjectDriver, connection: RawConnection) -> None:
    text: Buffer = "text"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  what is refused
    for call in (lambda: driver.from_bytes(text), lambda: driver.put(FREE_OID, 0, text)):
        with pytest.raises(TypeError):
            call()
    assert not is_aborted(connection)


def test_descriptors_read_and_write_as_their_mode_says(driver: LargeObjectDriver) -> None:
    oid = driver.from_bytes(b"content")
    assert driver.open(oid, READ).read(100) == b"content"
    assert driver.open(oid, WRITE).write(b"CON") == 3
    both = driver.open(oid, READ_WRITE)
    assert both.read(4) == b"CONt"
    assert both.write(b"ENT") == 3
    assert content(driver, oid) == b"CONtENT"
    assert both.oid == oid


def test_open_outside_a_transaction_says_what_to_do_and_sends_nothing(connect: Connect, wire: Wire) -> None:
    driver = get_driver(connect(dsn=wire.dsn, autocommit=True))
    with wire.counting() as trips, pytest.raises(NoTransactionError, match="autocommit") as caught:
        driver.open(FREE_OID, READ)
    assert trips.count == 0
    assert caught.value.oid == FREE_OID


def test_open_begins_the_transaction_where_autocommit_is_off(
    connection: RawConnection, driver: LargeObjectDriver
) -> None:
    oid = driver.create()
    connection.commit()
    descriptor = driver.open(oid, WRITE)
    descriptor.write(b"in it")
    connection.commit()
    assert content(driver, oid) == b"in it"


def test_unlink_tells_whether_there_was_an_object(either: LargeObjectDriver) -> None:
    oid = either.from_bytes(b"content")
    assert either.exists(oid)
    assert either.unlink(oid) is True
    assert not either.exists(oid)
    assert either.unlink(oid) is False


def test_size_counts_the_bytes_also_of_empty_and_sparse_objects(either: LargeObjectDriver) -> None:
    oid = either.create()
    assert either.size(oid) == 0
    either.put(oid, 0, b"abc")
    assert either.size(oid) == 3
    either.put(oid, 5 * GIGABYTE, b"xyz")
    assert either.size(oid) == 5 * GIGABYTE + 3
    assert either.get(oid, 5 * GIGABYTE - 1, 10) == b"\0xyz"


def test_get_and_put_take_any_part(either: LargeObjectDriver) -> None:
    oid = either.from_bytes(b"0123456789")
    assert either.get(oid, 2, 3) == b"234"
    assert either.get(oid, 8, 100) == b"89"
    assert either.get(oid, 10, 1) == either.get(oid, 5 * GIGABYTE, 1) == either.get(oid, 0, 0) == b""
    either.put(oid, 8, b"ABCD")
    assert content(either, oid) == b"01234567ABCD"
    assert type(either.get(oid, 0, 1)) is bytes


@pytest.mark.parametrize(
    ("offset", "error"), [(-1, ValueError), (2**42, LargeObjectTooLarge), (2**70, LargeObjectTooLarge)]
)
def test_a_position_no_object_has_is_refused_before_the_server_would_abort(
    driver: LargeObjectDriver, connection: RawConnection, offset: int, error: type[Exception]
) -> None:
    oid = driver.create()
    with pytest.raises(error):
        driver.get(oid, offset, 1)
    with pytest.raises(error):
        driver.put(oid, offset, b"x")
    assert not is_aborted(connection)


MISSING: list[Callable[[LargeObjectDriver, int], object]] = [
    lambda driver, oid: driver.open(oid, READ),
    lambda driver, oid: driver.open(oid, WRITE),
    lambda driver, oid: driver.size(oid),
    lambda driver, oid: driver.get(oid, 0, 10),
    lambda driver, oid: driver.put(oid, 0, b"data"),
]


@pytest.mark.parametrize("oid", [FREE_OID, 0, -5, 2**32, 2**32 + 7, 2**40])
def test_a_missing_object_never_aborts_the_transaction(
    driver: LargeObjectDriver,
    connection: RawConnection,
    large_objects: Callable[[], set[int]],
    oid: int,
) -> None:
    # Those which these oids would be in 32 bits.
    lookalikes = {driver.create(2**32 - 5), driver.create(7)}
    for call in MISSING:
        with pytest.raises(LargeObjectNotFound):
            call(driver, oid)
        assert not is_aborted(connection)
    assert driver.exists(oid) is False
    assert driver.unlink(oid) is False
    connection.commit()
    assert large_objects() == lookalikes


def test_in_transaction_is_the_servers_state(connect: Connect) -> None:
    connection = connect()
    driver = get_driver(connection)
    assert not driver.in_transaction
    run(connection, "select 1")
    assert driver.in_transaction
    abort(connection)
    assert driver.in_transaction
    connection.rollback()
    assert not driver.in_transaction


def test_in_transaction_sees_an_explicit_begin_under_autocommit(connect: Connect) -> None:
    connection = connect(autocommit=True)
    driver = get_driver(connection)
    run(connection, "select 1")
    assert not driver.in_transaction
    execute(connection, "begin")
    assert driver.in_transaction
    abort(connection)
    assert driver.in_transaction
    execute(connection, "rollback")
    assert not driver.in_transaction


def test_a_closed_connection_is_in_no_transaction(connection: RawConnection, driver: LargeObjectDriver) -> None:
    run(connection, "select 1")
    connection.close()
    assert not driver.in_transaction


def test_descriptors_work_within_an_explicit_begin_under_autocommit(connect: Connect) -> None:
    connection = connect(autocommit=True)
    driver = get_driver(connection)
    execute(connection, "begin")
    oid = driver.create()
    with_descriptor = driver.open(oid, READ_WRITE)
    with_descriptor.write(ALL_BYTES)
    assert with_descriptor.seek(10) == 10
    assert with_descriptor.read(20) == ALL_BYTES[10:30]
    with_descriptor.close()
    execute(connection, "commit")
    assert content(driver, oid) == ALL_BYTES
