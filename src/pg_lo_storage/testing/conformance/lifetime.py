"""How long a descriptor is valid, and that it never reaches another object through a reused number."""

from collections.abc import Callable

import pytest

from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver
from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.testing.conformance.descriptors import LARGE
from pg_lo_storage.testing.conformance.sessions import (
    READ,
    READ_WRITE,
    WRITE,
    D,
    KitBase,
    Session,
    Sessions,
    content,
    opened,
    same,
)

__all__ = ["LifetimeTests"]

USES: dict[str, Callable[[LargeObject], object]] = {
    "read": lambda descriptor: descriptor.read(1),
    "read much": lambda descriptor: descriptor.read(3 << 20),
    "chunks": lambda descriptor: list(descriptor.chunks(10)),
    "write": lambda descriptor: descriptor.write(b"written by a stale descriptor"),
    "write nothing": lambda descriptor: descriptor.write(b""),
    "write_all": lambda descriptor: descriptor.write_all([b"written by a stale descriptor"]),
    "seek": lambda descriptor: descriptor.seek(3),
    "seek to the end": lambda descriptor: descriptor.seek(0, 2),
    "tell": lambda descriptor: descriptor.tell(),
    "truncate": lambda descriptor: descriptor.truncate(0),
}


def _assert_stale(descriptor: LargeObject) -> None:
    for name, use in USES.items():
        with pytest.raises(StaleLargeObject) as caught:
            use(descriptor)
        assert (name, caught.value.oid) == (name, descriptor.oid)
    descriptor.close()
    descriptor.close()


class LifetimeTests(KitBase[D]):
    """``close``, and what the end of transactions and savepoints does to descriptors."""

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    def test_a_descriptor_is_stale_after_its_transaction(
        self, session: Session[LargeObjectDriver], sessions: Sessions, end: str
    ) -> None:
        oid = sessions.committed()
        descriptors = [session.driver.open(oid, mode) for mode in (READ, WRITE, READ_WRITE)]
        getattr(session, end)()
        for descriptor in descriptors:
            _assert_stale(descriptor)
        assert not session.driver.in_transaction

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    def test_a_stale_descriptor_reaches_no_object_of_the_next_transaction(
        self, session: Session[LargeObjectDriver], sessions: Sessions, end: str
    ) -> None:
        oid, other = sessions.committed(), sessions.committed(b"other")
        stale = [session.driver.open(oid, mode) for mode in (READ, WRITE, READ_WRITE)]
        getattr(session, end)()
        session.begin()
        current = [session.driver.open(other, READ_WRITE) for _ in stale]
        for descriptor in stale:
            _assert_stale(descriptor)
        assert session.driver.in_transaction
        assert [descriptor.tell() for descriptor in current] == [0, 0, 0]
        assert [descriptor.read(100) for descriptor in current] == [b"other"] * 3

    def test_a_descriptor_is_stale_after_a_rollback_to_the_savepoint_it_was_opened_under(
        self, session: Session[LargeObjectDriver]
    ) -> None:
        oid = session.driver.from_bytes(b"content")
        session.savepoint("before_it")
        descriptors = [session.driver.open(oid, mode) for mode in (READ, WRITE, READ_WRITE)]
        session.rollback_to("before_it")
        for descriptor in descriptors:
            _assert_stale(descriptor)
        assert content(session.driver, oid) == b"content"

    def test_a_stale_descriptor_reaches_no_object_opened_since_the_rollback_to_the_savepoint(
        self, session: Session[LargeObjectDriver]
    ) -> None:
        driver = session.driver
        oid, other = driver.from_bytes(b"content"), driver.from_bytes(b"other")
        session.savepoint("before_it")
        stale = driver.open(oid, READ_WRITE)
        session.rollback_to("before_it")
        current = driver.open(other, READ_WRITE)
        _assert_stale(stale)
        assert current.read(100) == b"other"
        assert content(driver, oid) == b"content"

    def test_a_descriptor_opened_before_the_savepoint_stays_and_keeps_its_position(
        self, session: Session[LargeObjectDriver]
    ) -> None:
        descriptor = opened(session.driver, b"content")
        session.savepoint("after_it")
        assert descriptor.read(3) == b"con"
        descriptor.write(b"TENT")
        session.rollback_to("after_it")
        assert descriptor.tell() == 7
        assert descriptor.seek(3) == 3
        assert descriptor.read(10) == b"tent"

    def test_a_descriptor_outlives_the_release_of_its_savepoint(self, session: Session[LargeObjectDriver]) -> None:
        oid = session.driver.from_bytes(b"content")
        session.savepoint("before_it")
        descriptor = session.driver.open(oid, READ_WRITE)
        session.release("before_it")
        assert descriptor.read(3) == b"con"
        descriptor.write(b"TENT")
        assert content(session.driver, oid) == b"conTENT"

    def test_a_descriptor_is_stale_after_a_rollback_to_the_savepoint_around_its_released_one(
        self, session: Session[LargeObjectDriver]
    ) -> None:
        oid = session.driver.from_bytes(b"content")
        session.savepoint("outer_one")
        session.savepoint("inner_one")
        descriptor = session.driver.open(oid, READ_WRITE)
        session.release("inner_one")
        session.rollback_to("outer_one")
        _assert_stale(descriptor)
        assert content(session.driver, oid) == b"content"

    def test_an_iterator_notices_that_its_transaction_is_over(self, session: Session[LargeObjectDriver]) -> None:
        blocks = opened(session.driver, LARGE * 2).chunks(1 << 20)
        assert same(next(blocks), LARGE[: 1 << 20])
        session.rollback()
        session.begin()
        other = opened(session.driver, LARGE * 2)
        with pytest.raises(StaleLargeObject):
            list(blocks)
        assert other.tell() == 0

    def test_a_closed_descriptor_is_stale_and_the_transaction_stays_usable(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, b"content")
        descriptor.close()
        _assert_stale(descriptor)
        assert content(driver, descriptor.oid) == b"content"

    def test_a_closed_descriptor_reaches_no_object_opened_since(self, driver: LargeObjectDriver) -> None:
        first, second, third = (opened(driver, data) for data in (b"first", b"second", b"third"))
        second.close()
        fourth = opened(driver, b"fourth")
        _assert_stale(second)
        first.close()
        third.close()
        fifth = opened(driver, b"fifth")
        for closed in (first, second, third):
            _assert_stale(closed)
        assert (fourth.read(100), fifth.read(100)) == (b"fourth", b"fifth")

    def test_a_descriptor_is_stale_once_its_own_transaction_unlinked_the_object(
        self, driver: LargeObjectDriver
    ) -> None:
        unlinked, other = opened(driver, b"content"), opened(driver, b"other")
        assert driver.unlink(unlinked.oid)
        _assert_stale(unlinked)
        assert other.read(100) == b"other"
        assert not driver.exists(unlinked.oid)

    def test_a_forgotten_descriptor_closes_no_other(self, session: Session[LargeObjectDriver]) -> None:
        forgotten = opened(session.driver, b"forgotten")
        session.rollback()
        session.begin()
        current = opened(session.driver, b"current")
        del forgotten
        assert current.read(100) == b"current"

    def test_a_transaction_can_end_with_descriptors_open(
        self, session: Session[LargeObjectDriver], sessions: Sessions
    ) -> None:
        oid = sessions.keep(session.driver.create())
        descriptors = [session.driver.open(oid, READ_WRITE) for _ in range(5)]
        assert descriptors[0].write(b"content") == 7
        session.commit()
        assert content(session.driver, oid) == b"content"
