"""A driver on the server's SQL functions, for any connection that can run a statement."""

import abc
import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import LiteralString, TypeVar, cast

from typing_extensions import Buffer

from pg_lo_storage.drivers import queries, reading
from pg_lo_storage.drivers.base import AccessMode, Sink
from pg_lo_storage.drivers.bulk import Receiver
from pg_lo_storage.drivers.descriptor import SQLLargeObject
from pg_lo_storage.drivers.queries import Rows, Statement

__all__ = ["SQLDriver"]

T = TypeVar("T")


class SQLDriver(abc.ABC):
    """All of :class:`LargeObjectDriver`, given a way to run SQL.

    A subclass says how to run a statement, what the transaction's state is, and where its exceptions keep
    the SQLSTATE. Parameters are ``int``, ``str``, ``memoryview`` (bytea) and ``None`` (null); a row is a tuple of the
    same, bytea as any buffer. ``in_transaction`` is ``False`` on a connection that is closed or lost.
    """

    __module__ = "pg_lo_storage.drivers"

    @abc.abstractmethod
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement with ``%s`` placeholders and return all its rows; exceptions pass untranslated."""

    def rows_of(self, statement: Statement[object]) -> Rows:
        """Run a statement that tells its columns' types, by :meth:`execute`; override this if there is a faster way."""
        return self.execute(statement.query, statement.params)

    def execute_all(self, statements: Iterable[tuple[LiteralString, Sequence[object]]]) -> list[Rows]:
        """Run statements in turn, each by :meth:`execute`; override this if they need not wait for each other.

        Send each before the next is taken: that may take a while, in which the server has something to do.
        """
        return [self.execute(query, params) for query, params in statements]

    @property
    def is_streaming(self) -> bool:
        """Whether :meth:`execute_streaming` at present hands each row on before the next has come."""
        return False

    def execute_streaming(self, query: LiteralString, params: Sequence[object], sink: Sink) -> int:
        """Run a statement whose rows are one bytea each, hand them to ``sink`` and return their number.

        ``sink`` never raises. Override this together with :attr:`is_streaming`.
        """
        rows = self.execute(query, params)
        for (value,) in rows:
            sink(cast("Buffer", value))
        return len(rows)

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

    def perform(self, statement: Statement[T]) -> T:
        """Run a statement and return its result.

        :raises LargeObjectError: the server refuses it; the driver's exception is the cause.
        """
        with self._translating(statement):
            rows = self.rows_of(statement) if statement.columns else self.execute(statement.query, statement.params)
        return statement.result(rows)

    def perform_all(self, statements: Iterable[Statement[T]]) -> list[T]:
        """Run statements of one kind in turn and return their results; errors are those of :meth:`perform`.

        Each is sent before the next is taken.
        """
        following = iter(statements)
        if (first := next(following, None)) is None:
            return []
        results: list[Callable[[Rows], T]] = []

        def sent() -> Iterator[tuple[LiteralString, Sequence[object]]]:
            for statement in itertools.chain((first,), following):
                results.append(statement.result)
                yield statement.query, statement.params

        with self._translating(first):
            found = self.execute_all(sent())
        return [result(rows) for result, rows in zip(results, found, strict=True)]

    def perform_streaming(self, statement: Statement[T], sink: Sink) -> T:
        """Run a statement whose rows go to ``sink``; the statement makes its result of one row, their number.

        An exception of ``sink`` is raised when the statement has ended: stopped half-way, it would abort the
        transaction.
        """
        receiver = sink if isinstance(sink, Receiver) else Receiver(sink, with_empty=True)
        with self._translating(statement):
            count = self.execute_streaming(statement.query, statement.params, receiver)
        if receiver.failure is not None:
            raise receiver.failure
        return statement.result([(count,)] if count else [])

    @contextlib.contextmanager
    def _translating(self, statement: Statement[object]) -> Generator[None]:
        try:
            yield
        except Exception as error:
            if (found := queries.translated(self.sqlstate(error), error, statement)) is not None:
                raise found from error
            raise

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

    def stream(self, oid: int, offset: int, size: int, sink: Sink, block: int) -> int:
        """See :meth:`StreamingDriver.stream`."""
        receiver = Receiver(sink)
        self.perform_streaming(reading.stream(oid, offset, size, block), receiver)
        return receiver.total

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        self.perform(queries.put(oid, offset, data))

    def open(self, oid: int, mode: AccessMode) -> SQLLargeObject:
        """See :meth:`LargeObjectDriver.open`."""
        return SQLLargeObject(self, oid, mode, self.open_descriptor(oid, mode))

    def open_descriptor(self, oid: int, mode: AccessMode) -> tuple[int, str]:
        """Open a guarded descriptor and return its number and token."""
        statement = queries.open_descriptor(oid, mode)
        queries.require_transaction(oid, autocommit=self.autocommit, in_transaction=self.in_transaction)
        return self.perform(statement)
