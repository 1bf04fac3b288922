"""A driver on the server's SQL functions, for any connection that can run a statement."""

import abc
from collections.abc import Sequence
from typing import LiteralString, TypeVar

from typing_extensions import Buffer

from pg_lo_storage.drivers import queries
from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.descriptor import SQLLargeObject
from pg_lo_storage.drivers.queries import Rows, Statement

__all__ = ["SQLDriver"]

T = TypeVar("T")


class SQLDriver(abc.ABC):
    """All of :class:`LargeObjectDriver`, given a way to run SQL.

    A subclass says how to run a statement, what the transaction's state is, and where its exceptions keep
    the SQLSTATE. Parameters are ``int``, ``str`` and ``memoryview`` (bytea); a row is a tuple of the same, bytea as
    any buffer. ``in_transaction`` is ``False`` on a connection that is closed or lost.
    """

    @abc.abstractmethod
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement with ``%s`` placeholders, all its rows as the result; exceptions untranslated."""

    @abc.abstractmethod
    def sqlstate(self, error: Exception) -> str | None:
        """Return the SQLSTATE that ``error`` carries, ``None`` where it is no error of the server."""

    @property
    @abc.abstractmethod
    def in_transaction(self) -> bool:
        """Whether the server is in a transaction now."""

    @property
    @abc.abstractmethod
    def autocommit(self) -> bool:
        """Whether the connection leaves it to the user to begin a transaction."""

    @property
    def sql(self) -> "SQLDriver":
        """The driver itself: see :meth:`execute`."""
        return self

    def run(
        self,
        query: LiteralString,
        params: Sequence[object],
        *,
        oid: int | None,
        writing: bool = False,
        descriptor: bool = False,
    ) -> Rows:
        """Run a large-object statement; raises the package's errors, with the driver's as the cause."""
        statement = Statement(query, tuple(params), lambda rows: rows, oid, writing=writing, descriptor=descriptor)
        return self.perform(statement)

    def perform(self, statement: Statement[T]) -> T:
        """Run a statement and return what it makes of its rows; raises the package's errors, as :meth:`run`."""
        try:
            rows = self.execute(statement.query, statement.params)
        except Exception as error:
            if (found := queries.translated(self.sqlstate(error), statement)) is not None:
                raise found from error
            raise
        return statement.result(rows)

    def create(self, oid: int = 0) -> int:
        """See :meth:`LargeObjectDriver.create`."""
        return self.perform(queries.create(oid))

    def from_bytes(self, data: Buffer) -> int:
        """See :meth:`LargeObjectDriver.from_bytes`."""
        return self.perform(queries.from_bytes(data))

    def unlink(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.unlink`."""
        return queries.is_oid(oid) and self.perform(queries.unlink(oid))

    def exists(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.exists`."""
        return queries.is_oid(oid) and self.perform(queries.exists(oid))

    def size(self, oid: int) -> int:
        """See :meth:`LargeObjectDriver.size`."""
        return self.perform(queries.size(oid))

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`LargeObjectDriver.get`."""
        return self.perform(queries.get(oid, offset, size))

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        self.perform(queries.put(oid, offset, data))

    def open(self, oid: int, mode: AccessMode) -> SQLLargeObject:
        """See :meth:`LargeObjectDriver.open`."""
        return SQLLargeObject(self, oid, mode, self.open_descriptor(oid, mode, keep=True))

    def open_descriptor(self, oid: int, mode: AccessMode, *, keep: bool) -> tuple[int, str]:
        """Open a guarded descriptor and return its number and token; ``keep=False`` closes it again.

        Closed again, its number is the lowest free one, which the next open in this session is given.
        """
        statement = queries.open_descriptor(oid, mode, keep=keep)
        queries.require_transaction(oid, autocommit=self.autocommit, in_transaction=self.in_transaction)
        return self.perform(statement)
