"""An object that is unlinked in the transaction that has it open."""

import pytest

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.drivers.base import AccessMode
from tests.drivers.support import READ, READ_WRITE, WRITE, abort, content, execute, is_aborted, opened
from tests.drivers.test_descriptor_lifetime import assert_stale
from tests.fixtures.connections import Connect, RawConnection, run


@pytest.fixture(params=["transaction", "explicit begin"])
def session(request: pytest.FixtureRequest, connect: Connect) -> RawConnection:
    """A connection in a transaction, which its driver or the user has begun."""
    explicit = request.param == "explicit begin"
    connection = connect(autocommit=explicit)
    execute(connection, "begin" if explicit else "select 1")
    return connection


@pytest.fixture
def driver(session: RawConnection) -> LargeObjectDriver:
    return get_driver(session)


@pytest.mark.parametrize("mode", [READ, WRITE, READ_WRITE])
def test_its_descriptor_is_stale_and_the_transaction_goes_on(
    session: RawConnection, driver: LargeObjectDriver, mode: AccessMode
) -> None:
    descriptor = opened(driver, b"content", mode)
    assert driver.unlink(descriptor.oid)
    assert_stale(descriptor)
    assert not is_aborted(session)
    descriptor.close()
    descriptor.close()
    assert_stale(descriptor)
    assert not is_aborted(session)


def test_all_of_its_descriptors_are_stale_and_no_others(session: RawConnection, driver: LargeObjectDriver) -> None:
    oid, other = driver.from_bytes(b"content"), driver.from_bytes(b"other")
    pairs = [(driver.open(oid, mode), driver.open(other, mode)) for mode in (READ, READ_WRITE, READ)]
    driver.unlink(oid)
    for unlinked, kept in pairs:
        assert_stale(unlinked)
        unlinked.close()
        assert kept.read(100) == b"other"
    assert not is_aborted(session)


def test_another_on_its_descriptors_number_is_neither_reached_nor_affected(
    session: RawConnection, driver: LargeObjectDriver
) -> None:
    unlinked = opened(driver, b"content")
    driver.unlink(unlinked.oid)
    current = opened(driver, b"current")
    current.seek(0, 2)
    assert run(session, "select lo_tell64(0)") == [(7,)], "both had descriptor 0"
    current.seek(0)
    assert_stale(unlinked)
    unlinked.close()
    assert current.read(3) == b"cur"
    current.write(b"RENT")
    assert content(driver, current.oid) == b"curRENT"


def test_one_that_was_opened_on_its_number_before_the_unlink_is_not_affected(
    session: RawConnection, driver: LargeObjectDriver
) -> None:
    closed = opened(driver, b"content")
    closed.close()
    current = opened(driver, b"current")
    current.seek(0, 2)
    assert run(session, "select lo_tell64(0)") == [(7,)], "both had descriptor 0"
    current.seek(0)
    driver.unlink(closed.oid)
    assert current.read(3) == b"cur"
    current.write(b"RENT")
    assert content(driver, current.oid) == b"curRENT"


def test_one_that_was_opened_on_its_number_after_a_savepoint_is_not_affected(
    session: RawConnection, driver: LargeObjectDriver
) -> None:
    oid = driver.from_bytes(b"content")
    execute(session, "savepoint s")
    stale = driver.open(oid, READ_WRITE)
    execute(session, "rollback to s")
    current = opened(driver, b"current")
    assert driver.unlink(oid)
    assert_stale(stale)
    assert current.read(100) == b"current"


def test_where_the_unlink_is_rolled_back_the_descriptor_is_not_to_be_trusted(
    session: RawConnection, driver: LargeObjectDriver
) -> None:
    descriptor = opened(driver, b"content")
    execute(session, "savepoint s")
    driver.unlink(descriptor.oid)
    execute(session, "rollback to s")
    current = opened(driver, b"current")
    assert_stale(descriptor)
    descriptor.close()
    execute(session, "savepoint after")
    assert content(driver, descriptor.oid) == b"content"
    assert current.read(100) == b"current"


def test_after_a_failed_transaction_it_may_be_opened_and_unlinked_again(
    session: RawConnection, driver: LargeObjectDriver
) -> None:
    descriptor = opened(driver, b"content")
    execute(session, "commit; begin")
    driver.unlink(descriptor.oid)
    abort(session)
    execute(session, "rollback; begin")
    again = driver.open(descriptor.oid, READ)
    assert again.read(100) == b"content"
    assert driver.unlink(descriptor.oid)
    assert_stale(again)
    assert not driver.exists(descriptor.oid)
