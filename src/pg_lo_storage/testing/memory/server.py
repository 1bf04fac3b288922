"""Large objects in memory: what is committed, and the transactions that change it.

The rules are those of READ COMMITTED, but nobody waits: where PostgreSQL has a second writer wait for the first one's
transaction, there is a :exc:`LargeObjectConflict` at once. The unit is the object, not its page.
"""

import itertools
import threading
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from pg_lo_storage.drivers.base import LargeObject
from pg_lo_storage.exceptions import LargeObjectConflict
from pg_lo_storage.testing.memory.content import Content

__all__ = ["InMemoryError", "InMemoryServer", "Transaction"]

# PostgreSQL's FirstNormalObjectId: smaller oids are its own.
_FIRST_OID: Final = 16384


class InMemoryError(Exception):
    """An error of the in-memory server, as ``psycopg.Error`` is one of PostgreSQL's.

    It aborts the transaction, and is the ``__cause__`` of the package's errors that do.
    """

    __module__ = "pg_lo_storage.testing"


class InMemoryServer:
    """The committed large objects that any number of connections share, in any number of threads."""

    __module__ = "pg_lo_storage.testing"

    def __init__(self) -> None:
        self.lock: AbstractContextManager[object] = threading.RLock()
        """Held during each statement."""
        self._committed: dict[int, Content] = {}
        self._writers: dict[int, Transaction] = {}
        self._numbers = itertools.count(_FIRST_OID)

    @property
    def oids(self) -> frozenset[int]:
        """The oids of all objects that are committed."""
        with self.lock:
            return frozenset(self._committed)

    def committed(self, oid: int) -> Content | None:
        """Return the committed content of an object, ``None`` where there is none."""
        return self._committed.get(oid)

    def new_oid(self) -> int:
        """Return an oid that no object has, not even in an open transaction."""
        return next(oid for oid in self._numbers if oid not in self._committed and oid not in self._writers)

    def claim(self, oid: int, transaction: "Transaction") -> None:
        """Let only ``transaction`` change the object.

        :raises LargeObjectConflict: another transaction is changing it.
        """
        if self._writers.setdefault(oid, transaction) is not transaction:
            message = f"another session is changing large object {oid} at the same time; try again"
            raise LargeObjectConflict(message, oid=oid) from InMemoryError("tuple concurrently updated")

    def release(self, oids: set[int]) -> None:
        """Let others change these objects again."""
        for oid in oids:
            del self._writers[oid]

    def store(self, oid: int, content: Content | None) -> None:
        """Make an object's new content, or with ``None`` its removal, visible to all."""
        if content is None:
            self._committed.pop(oid, None)
        else:
            self._committed[oid] = content


class _Savepoint(NamedTuple):
    name: str
    changes: dict[int, Content | None]
    descriptors: set[LargeObject]


class Transaction:
    """What one transaction has changed, and the descriptors it has open."""

    def __init__(self, server: InMemoryServer) -> None:
        self.aborted: bool = False
        """Whether only a rollback can follow."""
        self.descriptors: set[LargeObject] = set()
        """The open descriptors; any other is closed, or its savepoint is over."""
        self._server = server
        self._changes: dict[int, Content | None] = {}
        self._savepoints: list[_Savepoint] = []

    def find(self, oid: int) -> Content | None:
        """Return an object's content as this transaction sees it now, ``None`` where there is no object."""
        return self._changes[oid] if oid in self._changes else self._server.committed(oid)

    def change(self, oid: int, content: Content | None) -> None:
        """Create, write or (``None``) unlink an object."""
        self._server.claim(oid, self)
        self._changes[oid] = content
        if content is None:
            # The server closes its own descriptors of what it unlinks.
            self.descriptors = {descriptor for descriptor in self.descriptors if descriptor.oid != oid}

    def commit(self) -> None:
        """Make the changes visible to all; those of an aborted transaction are lost, as in PostgreSQL."""
        if not self.aborted:
            for oid, content in self._changes.items():
                self._server.store(oid, content)
        self.rollback()

    def rollback(self) -> None:
        """Forget the changes, and let others write those objects."""
        self._server.release(set(self._changes))
        self._changes = {}
        self._savepoints = []
        self.descriptors = set()

    def savepoint(self, name: str) -> None:
        """See https://www.postgresql.org/docs/current/sql-savepoint.html."""
        self._savepoints.append(_Savepoint(name, dict(self._changes), set(self.descriptors)))

    def release(self, name: str) -> None:
        """Forget the savepoint and those within it; their changes and descriptors stay."""
        del self._savepoints[self._position(name) :]

    def rollback_to(self, name: str) -> None:
        """Undo what was changed under the savepoint, and end the descriptors that were opened under it."""
        position = self._position(name)
        savepoint = self._savepoints[position]
        del self._savepoints[position + 1 :]
        self._server.release(self._changes.keys() - savepoint.changes.keys())
        self._changes = dict(savepoint.changes)
        self.descriptors &= savepoint.descriptors
        self.aborted = False

    def _position(self, name: str) -> int:
        for position in reversed(range(len(self._savepoints))):
            if self._savepoints[position].name == name:
                return position
        message = f"savepoint {name!r} does not exist"
        raise InMemoryError(message)
