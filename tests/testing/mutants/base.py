"""A driver, its descriptors and its sessions that pass everything on: what the mutants change one thing of."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from typing_extensions import Buffer

from pg_lo_storage.drivers import AccessMode, LargeObject, LargeObjectDriver, SQLExecutor
from pg_lo_storage.testing import Session


class MutantObject:
    """Passes on to a descriptor of the driver that is mutated."""

    def __init__(self, driver: "MutantDriver", inner: LargeObject, mode: AccessMode) -> None:
        self.driver = driver
        self.inner = inner
        self.mode = mode

    @property
    def oid(self) -> int:
        return self.inner.oid

    def read(self, size: int) -> bytes:
        return self.inner.read(size)

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        return self.inner.chunks(size, count)

    def write(self, data: Buffer) -> int:
        return self.inner.write(data)

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        return self.inner.write_all(blocks)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.inner.seek(offset, whence)

    def tell(self) -> int:
        return self.inner.tell()

    def truncate(self, size: int) -> None:
        self.inner.truncate(size)

    def close(self) -> None:
        self.inner.close()


class MutantDriver:
    """Passes on to the driver of a session; its descriptors are of the class ``descriptor``."""

    descriptor: type[MutantObject] = MutantObject

    def __init__(self, session: Session[LargeObjectDriver], *, autocommit: bool) -> None:
        self.session = session
        self.inner = session.driver
        self.autocommit = autocommit
        self.transactions_over = 0
        self.releases = 0
        self.rollbacks_to = 0
        self.busy = False
        self.failed = False
        self.state_at_close: bool | None = None
        self.opened: list[MutantObject] = []

    def create(self, oid: int = 0) -> int:
        return self.inner.create(oid)

    def from_bytes(self, data: Buffer) -> int:
        return self.inner.from_bytes(data)

    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        descriptor = self.descriptor(self, self.inner.open(oid, mode), mode)
        self.opened.append(descriptor)
        return descriptor

    def unlink(self, oid: int) -> bool:
        return self.inner.unlink(oid)

    def exists(self, oid: int) -> bool:
        return self.inner.exists(oid)

    def size(self, oid: int) -> int:
        return self.inner.size(oid)

    def get(self, oid: int, offset: int, size: int) -> bytes:
        return self.inner.get(oid, offset, size)

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        self.inner.put(oid, offset, data)

    @property
    def in_transaction(self) -> bool:
        return self.inner.in_transaction

    @property
    def sql(self) -> SQLExecutor | None:
        return self.inner.sql


class MutantSession:
    """A session whose driver is a mutant's, which is told what became of transactions and savepoints."""

    def __init__(self, session: Session[LargeObjectDriver], driver: MutantDriver) -> None:
        self._session = session
        self.driver = driver
        self.begin = session.begin
        self.savepoint = session.savepoint

    def commit(self) -> None:
        self.driver.transactions_over += 1
        self._session.commit()

    def rollback(self) -> None:
        self.driver.transactions_over += 1
        self.driver.failed = False
        self._session.rollback()

    def rollback_to(self, name: str) -> None:
        self.driver.rollbacks_to += 1
        self.driver.failed = False
        self._session.rollback_to(name)

    def release(self, name: str) -> None:
        self.driver.releases += 1
        self.driver.failed = True
        self._session.release(name)
        self.driver.failed = False

    def close(self) -> None:
        self.driver.state_at_close = self.driver.inner.in_transaction
        self._session.close()


@dataclass(frozen=True)
class Mutant:
    """One broken promise."""

    name: str
    driver: type[MutantDriver]
    caught_by: str
    """The test of the kit that fails."""


def mutant(name: str, broken: type[MutantDriver] | type[MutantObject], caught_by: str) -> Mutant:
    """Name a mutant, and the test that catches it."""
    if issubclass(broken, MutantDriver):
        return Mutant(name, broken, caught_by)
    return Mutant(name, type(broken.__name__, (MutantDriver,), {"descriptor": broken}), caught_by)


def abort(driver: MutantDriver) -> None:
    """Have the server refuse all that follows in this transaction."""
    if driver.in_transaction:
        # Whatever the driver's own exception is.
        with contextlib.suppress(Exception):
            driver.session.release("no_such_savepoint")
