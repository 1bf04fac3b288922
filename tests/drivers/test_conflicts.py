"""Two sessions at one object at the same time: which of them learns what."""

import errno
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.drivers.errors import sqlstate_of
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound
from tests.drivers.support import WRITE, content, driver_error, execute, is_aborted, opened, waiting_for_a_lock
from tests.fixtures.connections import Connect, RawConnection

Call = Callable[[LargeObjectDriver, int], object]


@dataclass
class Sessions:
    """Two sessions, neither in autocommit, and an object that is committed."""

    first: RawConnection
    second: RawConnection
    observer: RawConnection
    oid: int

    def first_does(self, call: Call) -> None:
        call(get_driver(self.first), self.oid)

    def second_does(self, call: Call) -> None:
        call(get_driver(self.second), self.oid)

    def second_waits_in(self, call: Call) -> AbstractContextManager[Future[None]]:
        """Have the second session wait for the first, in a thread, within the block."""
        return waiting_for_a_lock(self.second, self.observer, lambda: self.second_does(call))

    def content(self) -> bytes:
        return content(get_driver(self.observer), self.oid)

    def assert_conflict(self, error: BaseException | None) -> None:
        """Check the error of the second session, and that it can go on after a rollback."""
        assert isinstance(error, LargeObjectConflict)
        assert isinstance(error.__cause__, driver_error(self.second))
        assert (error.oid, error.errno) == (self.oid, errno.EBUSY)
        assert str(self.oid) in str(error)
        assert is_aborted(self.second)
        self.second.rollback()
        assert opened(get_driver(self.second), b"content").read(10) == b"content"


@pytest.fixture
def sessions(connect: Connect) -> Sessions:
    observer = connect(autocommit=True)
    return Sessions(connect(), connect(), observer, get_driver(observer).from_bytes(b"content"))


def write(driver: LargeObjectDriver, oid: int) -> object:
    return driver.open(oid, WRITE).write(b"written")


def write_much(driver: LargeObjectDriver, oid: int) -> object:
    return driver.open(oid, WRITE).write(b"written" * 10_000)


def truncate(driver: LargeObjectDriver, oid: int) -> None:
    driver.open(oid, WRITE).truncate(3)


def put(driver: LargeObjectDriver, oid: int) -> None:
    driver.put(oid, 0, b"written")


def unlink(driver: LargeObjectDriver, oid: int) -> object:
    return driver.unlink(oid)


def create(driver: LargeObjectDriver, oid: int) -> object:
    return driver.create(oid)


@pytest.mark.parametrize("call", [write, write_much, truncate, put])
@pytest.mark.parametrize("other", [write, write_much, put, unlink])
def test_the_second_at_a_page_that_another_session_changed_has_a_conflict(
    sessions: Sessions, call: Call, other: Call
) -> None:
    sessions.first_does(other)
    with sessions.second_waits_in(call) as waiting:
        sessions.first.commit()
        error = waiting.exception()
    sessions.assert_conflict(error)


@pytest.mark.parametrize(
    ("call", "result"), [(write, b"written"), (write_much, b"written" * 10_000), (truncate, b"con"), (put, b"written")]
)
@pytest.mark.parametrize("other", [write, write_much, put, unlink])
def test_where_the_first_rolls_back_the_second_goes_on(
    sessions: Sessions, call: Call, result: bytes, other: Call
) -> None:
    sessions.first_does(other)
    with sessions.second_waits_in(call) as waiting:
        sessions.first.rollback()
        waiting.result()
    sessions.second.commit()
    assert sessions.content() == result


@pytest.mark.parametrize("call", [write, write_much, truncate, put])
def test_of_two_that_wait_for_each_other_one_has_the_sqlstate_of_a_deadlock(sessions: Sessions, call: Call) -> None:
    other = get_driver(sessions.observer).from_bytes(b"content")
    sessions.first_does(call)
    call(get_driver(sessions.second), other)
    errors: list[BaseException | None] = []
    with sessions.second_waits_in(call) as waiting:
        try:
            call(get_driver(sessions.first), other)
        except driver_error(sessions.first) as error:
            errors.append(error)
            sessions.first.rollback()
        errors.append(waiting.exception())
    (deadlock,) = filter(None, errors)
    assert sqlstate_of(deadlock) == "40P01"
    assert type(deadlock).__name__ == "DeadlockDetected"
    assert "deadlock" in str(deadlock)


@pytest.mark.parametrize(
    ("limit", "sqlstate"), [("lock_timeout", "55P03"), ("statement_timeout", "57014")], ids=lambda value: value
)
@pytest.mark.parametrize("call", [write, write_much, put])
def test_who_waits_too_long_has_the_sqlstate_of_the_limit(
    sessions: Sessions, call: Call, limit: str, sqlstate: str
) -> None:
    sessions.first_does(call)
    execute(sessions.second, f"set local {limit} = '30ms'")
    with pytest.raises(driver_error(sessions.second), match="timeout") as caught:
        sessions.second_does(call)
    assert sqlstate_of(caught.value) == sqlstate


def test_two_that_write_the_first_bytes_have_a_conflict(sessions: Sessions) -> None:
    sessions.oid = get_driver(sessions.observer).create()
    sessions.first_does(put)
    with sessions.second_waits_in(put) as waiting:
        sessions.first.commit()
        error = waiting.exception()
    sessions.assert_conflict(error)


def test_two_that_create_the_same_oid_have_a_conflict(sessions: Sessions) -> None:
    sessions.oid = 4_000_000_000
    sessions.first_does(create)
    with sessions.second_waits_in(create) as waiting:
        sessions.first.commit()
        error = waiting.exception()
    sessions.assert_conflict(error)


def test_the_second_to_unlink_has_a_conflict(sessions: Sessions) -> None:
    sessions.first_does(unlink)
    with sessions.second_waits_in(unlink) as waiting:
        sessions.first.commit()
        error = waiting.exception()
    sessions.assert_conflict(error)
    assert get_driver(sessions.second).unlink(sessions.oid) is False


def test_after_the_other_has_committed_there_is_no_conflict(sessions: Sessions) -> None:
    driver = get_driver(sessions.second)
    assert driver.exists(sessions.oid)
    sessions.first_does(unlink)
    sessions.first.commit()
    assert driver.unlink(sessions.oid) is False
    with pytest.raises(LargeObjectNotFound):
        put(driver, sessions.oid)
    assert not is_aborted(sessions.second)


def test_writers_of_different_pages_do_not_meet(sessions: Sessions) -> None:
    sessions.first_does(put)
    get_driver(sessions.second).put(sessions.oid, 10_000, b"second")
    sessions.first.commit()
    sessions.second.commit()
    assert sessions.content() == b"written" + bytes(10_000 - 7) + b"second"


def test_a_reader_waits_for_no_writer(sessions: Sessions) -> None:
    sessions.first_does(put)
    assert content(get_driver(sessions.second), sessions.oid) == b"content"


def test_a_conflict_can_be_caught_as_an_oserror_and_tried_again(sessions: Sessions) -> None:
    sessions.first_does(put)
    with sessions.second_waits_in(write) as waiting:
        sessions.first.commit()
        with pytest.raises(OSError, match="try again"):
            waiting.result()
    sessions.second.rollback()
    sessions.second_does(write)
    sessions.second.commit()
    assert sessions.content() == b"written"
