"""Drivers that are wrong about transactions, snapshots, pending results and what aborts."""

import contextlib
from collections.abc import Generator, Iterable, Iterator

from typing_extensions import Buffer, override

from pg_lo_storage.drivers import AccessMode, LargeObject
from pg_lo_storage.exceptions import LargeObjectExists, LargeObjectNotFound, NoTransactionError, StaleLargeObject
from tests.testing.mutants.base import MutantDriver, MutantObject, abort, mutant


class PendingResult(MutantObject):
    @override
    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        for block in super().chunks(size, count):
            self.driver.busy = True
            try:
                yield block
            finally:
                self.driver.busy = False


class WriteAllHoldsTheConnection(MutantObject):
    @override
    def write_all(self, blocks: Iterable[Buffer]) -> int:
        self.driver.busy = True
        try:
            return super().write_all(blocks)
        finally:
            self.driver.busy = False


class RefusesWhileBusy(MutantDriver):
    @override
    def create(self, oid: int = 0) -> int:
        self._check()
        return super().create(oid)

    @override
    def exists(self, oid: int) -> bool:
        self._check()
        return super().exists(oid)

    def _check(self) -> None:
        if self.busy:
            message = "another command is already in progress"
            raise RuntimeError(message)


class LeavesAResultPending(RefusesWhileBusy):
    descriptor = PendingResult


class RefusesDuringWriteAll(RefusesWhileBusy):
    descriptor = WriteAllHoldsTheConnection


class OpensInAutocommit(MutantDriver):
    @override
    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        try:
            return super().open(oid, mode)
        except NoTransactionError:
            self.session.begin()
            try:
                return super().open(oid, mode)
            finally:
                self.session.commit()


class OpensByBeginning(MutantDriver):
    @override
    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        try:
            return super().open(oid, mode)
        except NoTransactionError:
            self.session.begin()
            raise


class OpenNeedsAnEarlierStatement(MutantDriver):
    @override
    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        if not self.in_transaction:
            message = "no transaction"
            raise NoTransactionError(message, oid=oid)
        return super().open(oid, mode)


class InTransactionFromAutocommit(MutantDriver):
    @property
    @override
    def in_transaction(self) -> bool:
        return not self.autocommit


class InTransactionOverlooksBegin(MutantDriver):
    @property
    @override
    def in_transaction(self) -> bool:
        return not self.autocommit and super().in_transaction


class InTransactionOverlooksAFailedOne(MutantDriver):
    @property
    @override
    def in_transaction(self) -> bool:
        return not self.failed and super().in_transaction


class StaleInAFailedTransaction(MutantObject):
    @override
    def read(self, size: int) -> bytes:
        if self.driver.failed:
            message = "taken for over"
            raise StaleLargeObject(message, oid=self.oid)
        return super().read(size)


class NoTransactionAfterTheRollbackToASavepoint(MutantDriver):
    @property
    @override
    def in_transaction(self) -> bool:
        return super().in_transaction and not self.rollbacks_to


class InTransactionOnceClosed(MutantDriver):
    @property
    @override
    def in_transaction(self) -> bool:
        return super().in_transaction if self.state_at_close is None else self.state_at_close


class InFailedTransactionOnceClosed(MutantDriver):
    @property
    @override
    def in_transaction(self) -> bool:
        return super().in_transaction or (self.failed and self.state_at_close is not None)


class OwnTransaction(MutantDriver):
    """Begins and ends transactions by its session."""

    @property
    @override
    def sql(self) -> None:
        return None

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        self.session.begin()
        try:
            yield
        except Exception:
            self.end(kept=False)
            raise
        self.end(kept=True)

    def end(self, *, kept: bool) -> None:
        if kept:
            self.session.commit()
        else:
            self.session.rollback()


class OwnTransactionIsNotBegun(OwnTransaction):
    @override
    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        yield


class OwnTransactionKeepsWhatFailed(OwnTransaction):
    @override
    def end(self, *, kept: bool) -> None:
        super().end(kept=True)


class OwnTransactionIsNotCommitted(OwnTransaction):
    @override
    def end(self, *, kept: bool) -> None:
        super().end(kept=False)


class OwnTransactionIsLeftOpen(OwnTransaction):
    @override
    def end(self, *, kept: bool) -> None:
        if not kept:
            super().end(kept=False)


class FromBytesCommits(MutantDriver):
    @override
    def from_bytes(self, data: Buffer) -> int:
        oid = super().from_bytes(data)
        self.session.commit()
        return oid


class PutCommits(MutantDriver):
    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        super().put(oid, offset, data)
        self.session.commit()


class AbortsOnMissing(MutantDriver):
    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        try:
            return super().get(oid, offset, size)
        except LargeObjectNotFound:
            abort(self)
            raise


class AbortsOnTaken(MutantDriver):
    @override
    def create(self, oid: int = 0) -> int:
        try:
            return super().create(oid)
        except LargeObjectExists:
            abort(self)
            raise


class ReadSeesLaterWrites(MutantDriver):
    @override
    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        return super().open(oid, AccessMode.READ_WRITE)


class WriteSeesASnapshot(MutantObject):
    def __init__(self, driver: MutantDriver, inner: LargeObject, mode: AccessMode) -> None:
        super().__init__(driver, inner, mode)
        self.snapshot = driver.inner.open(inner.oid, AccessMode.READ)

    @override
    def read(self, size: int) -> bytes:
        self.snapshot.seek(super().tell())
        data = self.snapshot.read(size)
        super().seek(len(data), 1)
        return data


class OpensAtTheEnd(MutantDriver):
    @override
    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        descriptor = super().open(oid, mode)
        if mode is AccessMode.WRITE:
            descriptor.seek(0, 2)
        return descriptor


AUTOCOMMIT = "test_open_needs_a_transaction_where_autocommit_is_on"
FAILED = "test_a_failed_transaction_is_one_until_it_is_rolled_back"
OWN = "test_a_transaction_of_the_drivers_own"
SNAPSHOT = "test_reading_keeps_the_snapshot_of_the_opening_while"

MUTANTS = [
    mutant("a result is left pending", LeavesAResultPending, "test_no_result_is_pending_while_chunks_are_suspended"),
    mutant("write_all holds the connection", RefusesDuringWriteAll, "test_write_all_takes_blocks_that_come_from"),
    mutant("open in autocommit", OpensInAutocommit, AUTOCOMMIT),
    mutant("open begins a transaction in autocommit", OpensByBeginning, AUTOCOMMIT),
    mutant("open needs an earlier statement", OpenNeedsAnEarlierStatement, "test_open_begins_the_transaction_where"),
    mutant("in_transaction from autocommit", InTransactionFromAutocommit, "test_a_new_connection_is_in_no_transaction"),
    mutant("in_transaction overlooks BEGIN", InTransactionOverlooksBegin, "test_in_autocommit_only_begin_begins"),
    mutant("in_transaction overlooks a failed one", InTransactionOverlooksAFailedOne, FAILED),
    mutant("stale in a failed transaction", StaleInAFailedTransaction, FAILED),
    mutant(
        "no transaction after the rollback to a savepoint",
        NoTransactionAfterTheRollbackToASavepoint,
        "test_a_failed_transaction_goes_on_from_the_savepoint_before",
    ),
    mutant("in_transaction once closed", InTransactionOnceClosed, "test_a_connection_that_is_closed_is_in_no"),
    mutant("in a failed transaction once closed", InFailedTransactionOnceClosed, "test_a_connection_that_is_closed_in"),
    mutant("its own transaction is not begun", OwnTransactionIsNotBegun, OWN),
    mutant("its own transaction keeps what failed", OwnTransactionKeepsWhatFailed, OWN),
    mutant("its own transaction is not committed", OwnTransactionIsNotCommitted, OWN),
    mutant("its own transaction is left open", OwnTransactionIsLeftOpen, OWN),
    mutant("from_bytes commits", FromBytesCommits, "test_what_is_created_is_gone_after_a_rollback"),
    mutant("put commits", PutCommits, "test_a_change_is_undone_by_a_rollback"),
    mutant("a missing object aborts", AbortsOnMissing, "test_a_missing_object_is_not_found"),
    mutant("a taken oid aborts", AbortsOnTaken, "test_create_refuses_an_oid_that_is_taken"),
    mutant("READ sees what others write later", ReadSeesLaterWrites, SNAPSHOT + "_others_write"),
    mutant("READ sees what others unlink later", ReadSeesLaterWrites, SNAPSHOT + "_others_unlink"),
    mutant("READ sees its own later writes", ReadSeesLaterWrites, SNAPSHOT + "_its_own"),
    mutant("WRITE sees a snapshot", WriteSeesASnapshot, "test_what_reads_and_writes_reads_the_latest"),
    mutant("open at the end", OpensAtTheEnd, "test_a_descriptor_is_opened_at_the_start"),
]
