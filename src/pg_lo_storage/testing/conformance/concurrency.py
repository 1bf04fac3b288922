"""Two sessions at one object: what each of them sees, and which of them learns of the other."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from pg_lo_storage.drivers.base import AccessMode, LargeObjectDriver
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound
from pg_lo_storage.testing.conformance.sessions import (
    READ,
    READ_WRITE,
    WRITE,
    D,
    KitBase,
    Session,
    Sessions,
    content,
    free_oid,
)

__all__ = ["ConcurrencyTests"]

Call = Callable[[LargeObjectDriver, int], object]

FIRST: dict[str, Call] = {
    "put": lambda driver, oid: driver.put(oid, 0, b"by the first"),
    "write": lambda driver, oid: driver.open(oid, WRITE).write(b"by the first"),
    "unlink": lambda driver, oid: driver.unlink(oid),
}
SECOND: dict[str, Call] = {
    "put": lambda driver, oid: driver.put(oid, 0, b"by the second"),
    "write": lambda driver, oid: driver.open(oid, WRITE).write(b"by the second"),
    "truncate": lambda driver, oid: driver.open(oid, WRITE).truncate(3),
    "unlink": lambda driver, oid: driver.unlink(oid),
}
# Seconds that a call has to reach its wait, on a driver without SQL, which cannot be asked.
_SECONDS = 1.0


class ConcurrencyTests(KitBase[D]):
    """Snapshots, and conflicts."""

    @pytest.fixture
    def others(self, sessions: Sessions) -> LargeObjectDriver:
        """The driver of another session, which commits at once."""
        return sessions.open(autocommit=True).driver

    def test_reading_keeps_the_snapshot_of_the_opening_while_others_write(
        self, driver: LargeObjectDriver, others: LargeObjectDriver, sessions: Sessions
    ) -> None:
        oid = sessions.committed()
        descriptor = driver.open(oid, READ)
        others.put(oid, 0, b"CONTENT, and more")
        assert descriptor.seek(0, 2) == 7
        assert descriptor.seek(0) == 0
        assert descriptor.read(100) == b"content"
        assert driver.open(oid, READ).read(100) == b"CONTENT, and more"

    def test_reading_keeps_the_snapshot_of_the_opening_while_others_unlink(
        self, driver: LargeObjectDriver, others: LargeObjectDriver, sessions: Sessions
    ) -> None:
        oid = sessions.committed()
        descriptor = driver.open(oid, READ)
        assert others.unlink(oid)
        assert not driver.exists(oid)
        assert list(descriptor.chunks(4)) == [b"cont", b"ent"]

    def test_reading_keeps_the_snapshot_of_the_opening_while_its_own_transaction_writes(
        self, driver: LargeObjectDriver
    ) -> None:
        oid = driver.from_bytes(b"content")
        before = driver.open(oid, READ)
        driver.put(oid, 0, b"CON")
        assert before.read(100) == b"content"
        assert driver.open(oid, READ).read(100) == b"CONtent"

    @pytest.mark.parametrize("mode", [WRITE, READ_WRITE])
    def test_what_can_write_sees_the_latest_that_is_committed(
        self, driver: LargeObjectDriver, others: LargeObjectDriver, sessions: Sessions, mode: AccessMode
    ) -> None:
        oid = sessions.committed()
        descriptor = driver.open(oid, mode)
        others.put(oid, 0, b"CONTENT, and more")
        assert descriptor.seek(0, 2) == 17

    def test_what_reads_and_writes_reads_the_latest(
        self, driver: LargeObjectDriver, others: LargeObjectDriver, sessions: Sessions
    ) -> None:
        oid = sessions.committed()
        descriptor = driver.open(oid, READ_WRITE)
        others.put(oid, 0, b"CON")
        assert descriptor.read(100) == b"CONtent"
        driver.put(oid, 0, b"own")
        assert descriptor.seek(0) == 0
        assert descriptor.read(100) == b"owntent"

    def test_single_statements_see_the_latest_that_is_committed(
        self, driver: LargeObjectDriver, others: LargeObjectDriver, sessions: Sessions
    ) -> None:
        oid = sessions.committed()
        assert content(driver, oid) == b"content"
        others.put(oid, 0, b"CONTENT, and more")
        assert content(driver, oid) == b"CONTENT, and more"
        others.unlink(oid)
        assert not driver.exists(oid)

    @pytest.mark.parametrize("change", FIRST.values(), ids=FIRST)
    def test_a_reader_waits_for_no_writer(
        self, driver: LargeObjectDriver, others: LargeObjectDriver, sessions: Sessions, change: Call
    ) -> None:
        oid = sessions.committed()
        change(driver, oid)
        assert content(others, oid) == b"content"

    @pytest.mark.parametrize("second", SECOND.values(), ids=SECOND)
    @pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
    def test_the_second_to_change_an_object_has_a_conflict(self, sessions: Sessions, first: Call, second: Call) -> None:
        oid = sessions.committed()
        winner, loser = sessions.open(), sessions.open()
        first(winner.driver, oid)
        error = _error_of_second(sessions, winner, loser, lambda: second(loser.driver, oid))
        assert isinstance(error, LargeObjectConflict)
        assert error.oid == oid
        assert error.__cause__ is not None
        loser.rollback()
        left = content(loser.driver, oid) if loser.driver.exists(oid) else None
        assert left == (b"by the first" if winner.driver.exists(oid) else None)

    def test_the_second_to_create_an_oid_has_a_conflict(self, sessions: Sessions) -> None:
        winner, loser = sessions.open(), sessions.open()
        oid = sessions.keep(free_oid(winner.driver))
        winner.rollback()
        winner.driver.create(oid)
        error = _error_of_second(sessions, winner, loser, lambda: loser.driver.create(oid))
        assert isinstance(error, LargeObjectConflict)
        loser.rollback()
        assert loser.driver.exists(oid)

    def test_after_a_conflict_the_change_can_be_tried_again(self, sessions: Sessions) -> None:
        oid = sessions.committed()
        winner, loser = sessions.open(), sessions.open()
        winner.driver.put(oid, 0, b"CON")
        loser.savepoint("before_the_change")
        error = _error_of_second(sessions, winner, loser, lambda: loser.driver.put(oid, 3, b"TENT"))
        assert isinstance(error, LargeObjectConflict)
        loser.rollback_to("before_the_change")
        loser.driver.put(oid, 3, b"TENT")
        loser.commit()
        assert content(winner.driver, oid) == b"CONTENT"

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    def test_there_is_no_conflict_with_a_transaction_that_is_over(self, sessions: Sessions, end: str) -> None:
        oid = sessions.committed()
        first, second = sessions.open(), sessions.open()
        assert content(second.driver, oid) == b"content"
        first.driver.put(oid, 0, b"CON")
        getattr(first, end)()
        assert second.driver.open(oid, WRITE).write(b"con") == 3
        second.commit()
        assert content(first.driver, oid) == b"content"

    def test_there_is_no_conflict_with_what_was_rolled_back_to_a_savepoint(self, sessions: Sessions) -> None:
        oid = sessions.committed()
        first, second = sessions.open(), sessions.open()
        first.savepoint("before_the_change")
        first.driver.put(oid, 0, b"first")
        first.rollback_to("before_the_change")
        second.driver.put(oid, 0, b"CON")
        second.commit()
        assert content(first.driver, oid) == b"CONtent"

    def test_what_another_session_has_unlinked_is_not_found(self, sessions: Sessions) -> None:
        oid = sessions.committed()
        first, second = sessions.open(), sessions.open()
        assert second.driver.exists(oid)
        assert first.driver.unlink(oid)
        first.commit()
        assert second.driver.unlink(oid) is False
        with pytest.raises(LargeObjectNotFound):
            second.driver.put(oid, 0, b"data")
        assert second.driver.exists(oid) is False

    def test_sessions_do_not_share_their_descriptors(self, sessions: Sessions) -> None:
        drivers = [sessions.open().driver for _ in range(2)]
        oids = [sessions.committed(data) for data in (b"first", b"second")]
        first, second = (driver.open(oid, READ) for driver, oid in zip(drivers, oids, strict=True))
        first.close()
        assert second.read(100) == b"second"


def _error_of_second(
    sessions: Sessions,
    winner: Session[LargeObjectDriver],
    loser: Session[LargeObjectDriver],
    call: Callable[[], object],
) -> BaseException | None:
    """Run a call of ``loser`` until it ends or waits, then commit ``winner``; return the call's error."""
    observer = sessions.open(autocommit=True).driver
    pid = loser.driver.sql.execute("select pg_backend_pid()")[0][0] if loser.driver.sql else None
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call)
        _until_it_waits(future, observer, pid)
        winner.commit()
        return future.exception()


def _until_it_waits(future: Future[object], observer: LargeObjectDriver, pid: object) -> None:
    if observer.sql is None:
        wait([future], _SECONDS)
        return
    # For a table it waits while the server's own vacuum has it.
    query = "select 1 from pg_locks where pid = %s::int4 and not granted and locktype <> all('{extend,page,relation}')"
    while not future.done() and not observer.sql.execute(query, (pid,)):
        pass
