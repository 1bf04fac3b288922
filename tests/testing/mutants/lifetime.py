"""Descriptors that outlive their transaction or savepoint, end before it, or reach another object."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from typing_extensions import Buffer, override

from pg_lo_storage.drivers import AccessMode, LargeObject
from pg_lo_storage.exceptions import StaleLargeObject
from tests.testing.mutants.base import MutantDriver, MutantObject, abort, mutant

T = TypeVar("T")


class UsesWhatIsStale(MutantObject):
    """Goes on after StaleLargeObject on another descriptor, where ``rescue`` gives one."""

    def __init__(self, driver: MutantDriver, inner: LargeObject, mode: AccessMode) -> None:
        super().__init__(driver, inner, mode)
        self.transaction = driver.transactions_over
        self.closed = False

    def rescue(self) -> LargeObject | None:
        raise NotImplementedError

    def reopened(self) -> LargeObject:
        self.driver.session.begin()
        return self.driver.inner.open(self.oid, self.mode)

    def _try(self, use: Callable[[LargeObject], T]) -> T:
        try:
            return use(self.inner)
        except StaleLargeObject:
            if self.closed or (other := self.rescue()) is None:
                raise
            return use(other)

    @override
    def read(self, size: int) -> bytes:
        return self._try(lambda it: it.read(size))

    @override
    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        return iter(self._try(lambda it: list(it.chunks(size, count))))

    @override
    def write(self, data: Buffer) -> int:
        return self._try(lambda it: it.write(data))

    @override
    def write_all(self, blocks: Iterable[Buffer]) -> int:
        return sum(map(self.write, blocks))

    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        return self._try(lambda it: it.seek(offset, whence))

    @override
    def tell(self) -> int:
        return self._try(lambda it: it.tell())

    @override
    def truncate(self, size: int) -> None:
        self._try(lambda it: it.truncate(size))

    @override
    def close(self) -> None:
        self.closed = True
        super().close()


class StaleAfterCommitUnnoticed(UsesWhatIsStale):
    @override
    def rescue(self) -> LargeObject | None:
        return self.reopened() if self.transaction != self.driver.transactions_over else None


class StaleAfterRollbackToUnnoticed(UsesWhatIsStale):
    @override
    def rescue(self) -> LargeObject | None:
        return self.reopened() if self.transaction == self.driver.transactions_over else None


class StaleReachesTheNextTransaction(UsesWhatIsStale):
    """As descriptor numbers do, which are given out again."""

    @override
    def rescue(self) -> LargeObject | None:
        if self.transaction == self.driver.transactions_over or not self.driver.in_transaction:
            return None
        current = [
            each
            for each in self.driver.opened
            if isinstance(each, UsesWhatIsStale) and each.transaction == self.driver.transactions_over
        ]
        return current[0].inner if current else None


class StaleReachesWhatWasOpenedSince(UsesWhatIsStale):
    @override
    def rescue(self) -> LargeObject | None:
        opened = self.driver.opened
        later = opened[opened.index(self) + 1 :]
        return later[0].inner if later and self.driver.in_transaction else None


class ClosedReachesWhatWasOpenedSince(UsesWhatIsStale):
    @override
    def rescue(self) -> LargeObject | None:
        return None

    @override
    def tell(self) -> int:
        opened = self.driver.opened
        if self.closed and opened[-1] is not self:
            return opened[-1].inner.tell()
        return super().tell()


class StaleCloseRaises(MutantObject):
    @override
    def close(self) -> None:
        if not self.driver.in_transaction:
            message = "closed after its transaction"
            raise StaleLargeObject(message, oid=self.oid)
        super().close()


class EndsEarly(MutantObject):
    """Stale as soon as ``count`` has moved."""

    def __init__(self, driver: MutantDriver, inner: LargeObject, mode: AccessMode) -> None:
        super().__init__(driver, inner, mode)
        self.counted = self.count()

    def count(self) -> int:
        raise NotImplementedError

    @override
    def read(self, size: int) -> bytes:
        if self.counted != self.count():
            message = "ended early"
            raise StaleLargeObject(message, oid=self.oid)
        return super().read(size)


class StaleAtRelease(EndsEarly):
    @override
    def count(self) -> int:
        return self.driver.releases


class StaleAtAnyRollbackTo(EndsEarly):
    @override
    def count(self) -> int:
        return self.driver.rollbacks_to


class AbortsWhenStale(MutantObject):
    @override
    def tell(self) -> int:
        try:
            return super().tell()
        except StaleLargeObject:
            abort(self.driver)
            raise


STALE = "test_a_descriptor_is_stale_after_its_transaction"

MUTANTS = [
    mutant("stale after commit unnoticed", StaleAfterCommitUnnoticed, STALE),
    mutant(
        "stale after ROLLBACK TO unnoticed",
        StaleAfterRollbackToUnnoticed,
        "test_a_descriptor_is_stale_after_a_rollback_to_the_savepoint_it",
    ),
    mutant(
        "stale after ROLLBACK TO an outer savepoint unnoticed",
        StaleAfterRollbackToUnnoticed,
        "test_a_descriptor_is_stale_after_a_rollback_to_the_savepoint_around",
    ),
    mutant(
        "a used number reaches the next transaction",
        StaleReachesTheNextTransaction,
        "test_a_stale_descriptor_reaches_no_object_of_the_next_transaction",
    ),
    mutant(
        "a used number reaches what was opened since",
        StaleReachesWhatWasOpenedSince,
        "test_a_stale_descriptor_reaches_no_object_opened_since_the_rollback",
    ),
    mutant(
        "a closed number reaches what was opened since",
        ClosedReachesWhatWasOpenedSince,
        "test_a_closed_descriptor_reaches_no_object_opened_since",
    ),
    mutant("close of a stale descriptor raises", StaleCloseRaises, STALE),
    mutant("stale aborts the transaction", AbortsWhenStale, "test_a_stale_descriptor_reaches_no_object_of_the_next"),
    mutant("stale after RELEASE", StaleAtRelease, "test_a_descriptor_outlives_the_release_of_its_savepoint"),
    mutant("stale after any ROLLBACK TO", StaleAtAnyRollbackTo, "test_a_descriptor_opened_before_the_savepoint_stays"),
]
