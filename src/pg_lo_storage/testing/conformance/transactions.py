"""Large objects belong to transactions and savepoints, as rows do."""

from collections.abc import Callable

import pytest

from pg_lo_storage.drivers.base import AccessMode, LargeObjectDriver
from pg_lo_storage.drivers.transactions import transaction
from pg_lo_storage.exceptions import NoTransactionError, StaleLargeObject
from pg_lo_storage.testing.conformance.sessions import (
    READ,
    READ_WRITE,
    WRITE,
    D,
    KitBase,
    Session,
    Sessions,
    content,
    fail,
    free_oid,
    opened,
)

__all__ = ["TransactionTests"]

CHANGES: dict[str, Callable[[LargeObjectDriver, int], object]] = {
    "put": lambda driver, oid: driver.put(oid, 0, b"other data"),
    "write": lambda driver, oid: driver.open(oid, WRITE).write(b"other data"),
    "write_all": lambda driver, oid: driver.open(oid, WRITE).write_all([b"other", b" data"]),
    "truncate": lambda driver, oid: driver.open(oid, WRITE).truncate(3),
    "unlink": lambda driver, oid: driver.unlink(oid),
}


def _state(driver: LargeObjectDriver, oid: int) -> bytes | None:
    return content(driver, oid) if driver.exists(oid) else None


class TransactionTests(KitBase[D]):
    """What commit, rollback and savepoints do, and what autocommit means."""

    @pytest.fixture
    def observer(self, sessions: Sessions) -> LargeObjectDriver:
        """A driver that sees what is committed."""
        return sessions.open(autocommit=True).driver

    def test_a_new_connection_is_in_no_transaction(self, sessions: Sessions) -> None:
        assert sessions.open(autocommit=False).driver.in_transaction is False
        assert sessions.open(autocommit=True).driver.in_transaction is False

    def test_with_autocommit_off_the_first_call_begins_a_transaction(self, sessions: Sessions) -> None:
        session = sessions.open()
        for end in (session.commit, session.rollback):
            session.driver.exists(1)
            assert session.driver.in_transaction is True
            end()
            assert session.driver.in_transaction is False

    def test_in_autocommit_only_begin_begins_a_transaction(self, sessions: Sessions) -> None:
        session = sessions.open(autocommit=True)
        sessions.keep(session.driver.create())
        assert session.driver.in_transaction is False
        for end in (session.commit, session.rollback):
            session.begin()
            assert session.driver.in_transaction is True
            end()
            assert session.driver.in_transaction is False

    def test_a_failed_transaction_is_one_until_it_is_rolled_back(self, session: Session[LargeObjectDriver]) -> None:
        descriptor = opened(session.driver, b"content")
        fail(session)
        assert session.driver.in_transaction is True
        with pytest.raises(Exception) as caught:  # noqa: PT011 -- the client library's own
            descriptor.read(1)
        assert not isinstance(caught.value, StaleLargeObject)
        descriptor.close()
        assert session.driver.in_transaction is True
        session.rollback()
        assert session.driver.in_transaction is False
        assert not session.driver.exists(descriptor.oid)

    def test_a_failed_transaction_goes_on_from_the_savepoint_before(self, session: Session[LargeObjectDriver]) -> None:
        descriptor = opened(session.driver, b"content")
        session.savepoint("before_it")
        fail(session)
        session.rollback_to("before_it")
        assert session.driver.in_transaction is True
        assert descriptor.read(100) == b"content"

    def test_a_connection_that_is_closed_is_in_no_transaction(
        self, session: Session[LargeObjectDriver], sessions: Sessions
    ) -> None:
        descriptor = opened(session.driver, b"content")
        sessions.end(session)
        assert session.driver.in_transaction is False
        with pytest.raises(StaleLargeObject):
            descriptor.read(1)
        descriptor.close()

    def test_a_connection_that_is_closed_in_a_failed_transaction_is_in_none(
        self, session: Session[LargeObjectDriver], sessions: Sessions
    ) -> None:
        opened(session.driver, b"content")
        fail(session)
        sessions.end(session)
        assert session.driver.in_transaction is False

    def test_a_transaction_of_the_drivers_own_is_committed_or_rolled_back_as_a_whole(
        self, sessions: Sessions, observer: LargeObjectDriver
    ) -> None:
        driver = sessions.open(autocommit=True).driver
        try:
            begun = transaction(driver)
        except NoTransactionError:
            assert driver.sql is None
            return
        with begun:
            assert driver.in_transaction is True
            kept = opened(driver, b"content").oid
            assert not observer.exists(kept)
        sessions.keep(kept)
        assert driver.in_transaction is False
        assert _state(observer, kept) == b"content"
        lost: list[int] = []

        def create_and_fail() -> None:
            lost.append(driver.create())
            raise LookupError

        with pytest.raises(LookupError), transaction(driver):
            create_and_fail()
        assert driver.in_transaction is False
        assert not observer.exists(lost[0])

    def test_open_begins_the_transaction_where_autocommit_is_off(self, sessions: Sessions) -> None:
        session, oid = sessions.open(), sessions.committed()
        assert session.driver.open(oid, WRITE).write(b"CON") == 3
        assert session.driver.in_transaction
        session.commit()
        assert content(session.driver, oid) == b"CONtent"

    @pytest.mark.parametrize("mode", [READ, WRITE, READ_WRITE])
    def test_open_needs_a_transaction_where_autocommit_is_on(self, sessions: Sessions, mode: AccessMode) -> None:
        session, oid = sessions.open(autocommit=True), sessions.committed()
        with pytest.raises(NoTransactionError) as caught:
            session.driver.open(oid, mode)
        assert caught.value.oid == oid
        assert not session.driver.in_transaction
        session.begin()
        assert session.driver.open(oid, mode).tell() == 0

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    def test_in_autocommit_each_call_is_committed_at_once(
        self, sessions: Sessions, observer: LargeObjectDriver, end: str
    ) -> None:
        session = sessions.open(autocommit=True)
        oid = sessions.keep(session.driver.from_bytes(b"0123456789"))
        assert _state(observer, oid) == b"0123456789"
        session.driver.put(oid, 5, b"abc")
        assert session.driver.get(oid, 4, 3) == b"4ab"
        getattr(session, end)()
        assert _state(observer, oid) == b"01234abc89"
        session.driver.unlink(oid)
        assert _state(observer, oid) is None

    def test_what_is_created_is_seen_by_others_after_the_commit(
        self, session: Session[LargeObjectDriver], sessions: Sessions, observer: LargeObjectDriver
    ) -> None:
        oids = [session.driver.create(), session.driver.from_bytes(b"content")]
        descriptor = session.driver.open(oids[0], WRITE)
        descriptor.write(b"content")
        assert [observer.exists(oid) for oid in oids] == [False, False]
        for oid in oids:
            sessions.keep(oid)
        session.commit()
        assert [_state(observer, oid) for oid in oids] == [b"content", b"content"]

    def test_what_is_created_is_gone_after_a_rollback(
        self, session: Session[LargeObjectDriver], observer: LargeObjectDriver
    ) -> None:
        chosen = free_oid(session.driver)
        oids = [session.driver.create(), session.driver.create(chosen), session.driver.from_bytes(b"content")]
        session.rollback()
        assert [session.driver.exists(oid) for oid in oids] == [False] * 3
        assert [observer.exists(oid) for oid in oids] == [False] * 3

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_change_is_seen_by_others_after_the_commit(
        self,
        session: Session[LargeObjectDriver],
        sessions: Sessions,
        observer: LargeObjectDriver,
        change: Callable[[LargeObjectDriver, int], object],
    ) -> None:
        oid = sessions.committed()
        change(session.driver, oid)
        changed = _state(session.driver, oid)
        assert changed != b"content"
        assert _state(observer, oid) == b"content"
        session.commit()
        assert _state(observer, oid) == changed

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_change_is_undone_by_a_rollback(
        self,
        session: Session[LargeObjectDriver],
        sessions: Sessions,
        observer: LargeObjectDriver,
        change: Callable[[LargeObjectDriver, int], object],
    ) -> None:
        oid = sessions.committed()
        change(session.driver, oid)
        session.rollback()
        assert _state(session.driver, oid) == _state(observer, oid) == b"content"

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_change_is_undone_by_a_rollback_to_its_savepoint(
        self, session: Session[LargeObjectDriver], change: Callable[[LargeObjectDriver, int], object]
    ) -> None:
        oid, before = session.driver.from_bytes(b"content"), session.driver.from_bytes(b"before")
        session.savepoint("before_the_change")
        change(session.driver, oid)
        created = session.driver.create()
        session.rollback_to("before_the_change")
        assert _state(session.driver, oid) == b"content"
        assert _state(session.driver, before) == b"before"
        assert not session.driver.exists(created)

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_change_outlives_the_release_of_its_savepoint(
        self, session: Session[LargeObjectDriver], change: Callable[[LargeObjectDriver, int], object]
    ) -> None:
        oid = session.driver.from_bytes(b"content")
        session.savepoint("outer_one")
        session.savepoint("inner_one")
        change(session.driver, oid)
        session.release("inner_one")
        assert _state(session.driver, oid) != b"content"
        session.rollback_to("outer_one")
        assert _state(session.driver, oid) == b"content"

    def test_nothing_a_driver_does_ends_the_transaction(self, session: Session[LargeObjectDriver]) -> None:
        driver = session.driver
        descriptor = opened(driver, b"content")
        driver.put(descriptor.oid, 0, b"CON")
        descriptor.write_all([b"1", b"2"])
        assert b"".join(descriptor.chunks(2)) == b"Ntent"
        descriptor.truncate(2)
        descriptor.close()
        assert driver.in_transaction
        session.rollback()
        assert not driver.exists(descriptor.oid)
