"""How long a descriptor lives, what it sees meanwhile, and that it never reaches another object."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from pg_lo_storage.drivers import LargeObject, LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import StaleLargeObject
from tests.drivers.support import (
    READ,
    READ_WRITE,
    WRITE,
    abort,
    content,
    driver_error,
    execute,
    is_aborted,
    opened,
)
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire

USES: dict[str, Callable[[LargeObject], object]] = {
    "read": lambda descriptor: descriptor.read(1),
    "read much": lambda descriptor: descriptor.read(3 << 20),
    "chunks": lambda descriptor: list(descriptor.chunks(10)),
    "write": lambda descriptor: descriptor.write(b"written by a stale descriptor"),
    "write nothing": lambda descriptor: descriptor.write(b""),
    "write_all": lambda descriptor: descriptor.write_all([b"written by a stale descriptor"]),
    "seek": lambda descriptor: descriptor.seek(3),
    "tell": lambda descriptor: descriptor.tell(),
    "truncate": lambda descriptor: descriptor.truncate(0),
}


def assert_stale(descriptor: LargeObject) -> None:
    for name, use in USES.items():
        with pytest.raises(StaleLargeObject) as caught:
            use(descriptor)
        assert caught.value.oid == descriptor.oid, name


@pytest.fixture(params=["transaction", "explicit begin"])
def session(request: pytest.FixtureRequest, connect: Connect) -> RawConnection:
    """A connection in a transaction, which its driver or the user has begun."""
    explicit = request.param == "explicit begin"
    connection = connect(autocommit=explicit)
    execute(connection, "begin" if explicit else "select 1")
    return connection


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_descriptor_is_stale_after_its_transaction(
    connection: RawConnection, driver: LargeObjectDriver, end: str
) -> None:
    descriptor = opened(driver, b"content")
    getattr(connection, end)()
    assert_stale(descriptor)
    assert not driver.in_transaction
    descriptor.close()


@pytest.mark.parametrize("end", ["commit; begin", "rollback; begin", "commit and chain", "rollback and chain"])
def test_a_stale_descriptor_never_reaches_the_object_that_has_its_number_now(session: RawConnection, end: str) -> None:
    driver = get_driver(session)
    stale = [opened(driver, b"before", mode) for mode in (READ, WRITE, READ_WRITE)]
    execute(session, end)
    current = [opened(driver, b"content") for _ in stale]
    for descriptor in stale:
        assert_stale(descriptor)
        descriptor.close()
    assert not is_aborted(session)
    assert [descriptor.tell() for descriptor in current] == [0, 0, 0]
    assert [descriptor.read(100) for descriptor in current] == [b"content"] * 3


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_stale_descriptor_does_not_reach_the_next_transaction_of_the_driver(
    connection: RawConnection, driver: LargeObjectDriver, end: str
) -> None:
    stale = [opened(driver, b"before") for _ in range(3)]
    getattr(connection, end)()
    current = [opened(driver, b"content") for _ in stale]
    for descriptor in stale:
        assert_stale(descriptor)
        descriptor.close()
    assert not is_aborted(connection)
    assert [descriptor.read(100) for descriptor in current] == [b"content"] * 3


def test_a_descriptor_ends_with_the_savepoint_it_was_opened_under(session: RawConnection) -> None:
    driver = get_driver(session)
    oid = driver.from_bytes(b"content")
    before = driver.open(oid, READ_WRITE)
    execute(session, "savepoint inner_one")
    under = driver.open(oid, READ_WRITE)
    execute(session, "rollback to inner_one")
    current = opened(driver, b"current")
    assert_stale(under)
    under.close()
    assert not is_aborted(session)
    assert current.read(100) == b"current"
    assert before.read(100) == b"content"


def test_a_descriptor_survives_the_release_of_its_savepoint(session: RawConnection) -> None:
    driver = get_driver(session)
    oid = driver.from_bytes(b"content")
    execute(session, "savepoint inner_one")
    descriptor = driver.open(oid, READ_WRITE)
    execute(session, "release inner_one")
    assert descriptor.read(3) == b"con"
    descriptor.write(b"TENT")
    assert content(driver, oid) == b"conTENT"


def test_a_descriptor_ends_with_the_savepoint_around_the_released_one(session: RawConnection) -> None:
    driver = get_driver(session)
    oid = driver.from_bytes(b"content")
    for statement in ("savepoint outer_one", "savepoint inner_one"):
        execute(session, statement)
    descriptor = driver.open(oid, READ_WRITE)
    execute(session, "release inner_one")
    execute(session, "rollback to outer_one")
    assert_stale(descriptor)
    assert content(driver, oid) == b"content"


def test_an_iterator_notices_that_its_transaction_is_over(connection: RawConnection, driver: LargeObjectDriver) -> None:
    blocks = opened(driver, bytes(5 << 20)).chunks(1 << 20)
    assert next(blocks) == bytes(1 << 20)
    connection.commit()
    opened(driver, b"x" * (10 << 20))
    with pytest.raises(StaleLargeObject):
        list(blocks)


def test_descriptors_opened_and_closed_in_between_are_kept_apart(session: RawConnection) -> None:
    driver = get_driver(session)
    first, second, third = (opened(driver, data) for data in (b"first", b"second", b"third"))
    second.close()
    fourth = opened(driver, b"fourth")
    second.close()
    assert_stale(second)
    first.close()
    third.close()
    fifth = opened(driver, b"fifth")
    for closed in (first, second, third):
        assert_stale(closed)
        closed.close()
    assert (fourth.read(100), fifth.read(100)) == (b"fourth", b"fifth")


def test_close_in_an_aborted_transaction_does_not_raise(session: RawConnection) -> None:
    driver = get_driver(session)
    descriptor = opened(driver, b"content")
    abort(session)
    descriptor.close()
    descriptor.close()
    execute(session, "rollback; begin")
    assert opened(driver, b"content").read(100) == b"content"


def test_an_aborted_transaction_shows_as_the_drivers_own_error(
    connection: RawConnection, driver: LargeObjectDriver
) -> None:
    descriptor = opened(driver, b"content")
    abort(connection)
    for use in USES.values():
        with pytest.raises(driver_error(connection)):
            use(descriptor)


def test_a_descriptor_is_stale_when_its_connection_is_closed(
    connection: RawConnection, driver: LargeObjectDriver
) -> None:
    descriptor = opened(driver, b"content")
    connection.close()
    assert_stale(descriptor)
    descriptor.close()


def test_a_forgotten_descriptor_sends_nothing_and_closes_no_other(connect: Connect, wire: Wire) -> None:
    connection = connect(dsn=wire.dsn)
    driver = get_driver(connection)
    forgotten = opened(driver, b"forgotten")
    execute(connection, "commit; begin")
    current = opened(driver, b"current")
    with wire.counting() as trips:
        del forgotten
        gc.collect()
    assert trips.count == 0
    assert current.read(100) == b"current"


def test_read_keeps_its_snapshot_while_others_write(connect: Connect, driver: LargeObjectDriver) -> None:
    others = get_driver(connect(autocommit=True))
    oid = others.from_bytes(b"content")
    descriptor = driver.open(oid, READ)
    others.put(oid, 0, b"CON")
    assert descriptor.read(100) == b"content"
    assert driver.open(oid, READ).read(100) == b"CONtent"
    descriptor.seek(0)
    assert descriptor.read(100) == b"content"


def test_read_keeps_its_snapshot_while_others_unlink(connect: Connect, driver: LargeObjectDriver) -> None:
    others = get_driver(connect(autocommit=True))
    oid = others.from_bytes(b"content")
    descriptor = driver.open(oid, READ)
    assert others.unlink(oid)
    assert not driver.exists(oid)
    assert list(descriptor.chunks(4)) == [b"cont", b"ent"]
    assert descriptor.seek(0, 2) == 7
    descriptor.close()


def test_what_can_write_sees_the_latest(connect: Connect, driver: LargeObjectDriver) -> None:
    others = get_driver(connect(autocommit=True))
    oid = others.from_bytes(b"content")
    descriptors = [driver.open(oid, mode) for mode in (WRITE, READ_WRITE)]
    others.put(oid, 0, b"CONTENT, and more")
    for descriptor in descriptors:
        assert descriptor.seek(0, 2) == 17
    descriptors[1].seek(0)
    assert descriptors[1].read(100) == b"CONTENT, and more"


def test_a_descriptor_sees_what_its_own_transaction_writes(driver: LargeObjectDriver) -> None:
    descriptor = opened(driver, b"content")
    driver.put(descriptor.oid, 0, b"CON")
    assert descriptor.read(100) == b"CONtent"


def test_two_drivers_of_one_connection_keep_their_descriptors_apart(connection: RawConnection) -> None:
    first, second = get_driver(connection), get_driver(connection)
    one, two = opened(first, b"one"), opened(second, b"two")
    one.close()
    three = opened(second, b"three")
    assert_stale(one)
    assert (two.read(9), three.read(9)) == (b"two", b"three")
    assert run(connection, "select 1") == [(1,)]


def test_one_that_somebody_closed_by_its_number_is_stale(driver: LargeObjectDriver, connection: RawConnection) -> None:
    descriptor: Any = opened(driver, b"content")
    run(connection, f"select lo_close({descriptor.fd})")
    with pytest.raises(StaleLargeObject, match="behind its open file"):
        descriptor.read(1)
    assert is_aborted(connection)
