"""A connection to an in-memory server, with the transactions of a DB-API connection."""

import contextlib
from collections.abc import Generator
from types import TracebackType
from typing import Self

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.testing.memory.server import InMemoryError, InMemoryServer, Transaction

__all__ = ["InMemoryConnection"]


class InMemoryConnection:
    """One session on an :class:`InMemoryServer`, by default a new server; it starts idle.

    Transactions are those of a DB-API connection: with ``autocommit`` off the first statement begins one, with it
    on only :meth:`begin` does. An error of the server aborts the transaction until it, or the savepoint before
    the error, is rolled back.
    """

    __module__ = "pg_lo_storage.testing"

    def __init__(self, server: InMemoryServer | None = None, *, autocommit: bool = False) -> None:
        self.server: InMemoryServer = server or InMemoryServer()
        """The server of this connection; pass it to the next connection."""
        self._autocommit = autocommit
        self._transaction: Transaction | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit, or roll back after an exception, and close, as psycopg 3 does."""
        if exc is None and not self._closed:
            self.commit()
        self.close()

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction of its own.

        :raises InMemoryError: it is changed within a transaction.
        """
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if self.in_transaction:
            message = "autocommit cannot be changed within a transaction"
            raise InMemoryError(message)
        self._autocommit = value

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, be it an aborted one."""
        return self._transaction is not None

    def begin(self) -> None:
        """Begin a transaction whatever ``autocommit`` says; does nothing within one."""
        with self.server.lock:
            self._check_open()
            self._transaction = self._transaction or Transaction(self.server)

    def commit(self) -> None:
        """End the transaction, if there is one, and keep what it did; an aborted one is rolled back."""
        with self.server.lock:
            self._check_open()
            transaction, self._transaction = self._transaction, None
            if transaction is not None:
                transaction.commit()

    def rollback(self) -> None:
        """End the transaction, if there is one, and undo what it did."""
        with self.server.lock:
            self._check_open()
            transaction, self._transaction = self._transaction, None
            if transaction is not None:
                transaction.rollback()

    def savepoint(self, name: str) -> None:
        """Begin a subtransaction."""
        with self._in_block() as transaction:
            transaction.savepoint(name)

    def release(self, name: str) -> None:
        """End a subtransaction and keep what it did."""
        with self._in_block() as transaction:
            transaction.release(name)

    def rollback_to(self, name: str) -> None:
        """Undo a subtransaction, and begin it again; an aborted transaction is usable afterwards."""
        with self._in_block(aborted=True) as transaction:
            transaction.rollback_to(name)

    def close(self) -> None:
        """Roll back and end the session; does nothing the second time."""
        if not self._closed:
            self.rollback()
            self._closed = True

    @contextlib.contextmanager
    def statement(self, *, aborted: bool = False) -> Generator[Transaction]:
        """Run a statement in the current transaction, in one that it begins, or (autocommit) in its own.

        :raises InMemoryError: the connection is closed, or the transaction is aborted and ``aborted`` is not given.
        """
        with self.server.lock:
            self._check_open()
            transaction = self._transaction or Transaction(self.server)
            if not self._autocommit:
                self._transaction = transaction
            if transaction.aborted and not aborted:
                message = "the transaction is aborted: nothing is done until it is rolled back"
                raise InMemoryError(message)
            try:
                yield transaction
            except Exception as error:
                if isinstance(error.__cause__ if isinstance(error, LargeObjectError) else error, InMemoryError):
                    transaction.aborted = True
                if transaction is not self._transaction:
                    transaction.rollback()
                raise
            if transaction is not self._transaction:
                transaction.commit()

    @contextlib.contextmanager
    def _in_block(self, *, aborted: bool = False) -> Generator[Transaction]:
        with self.statement(aborted=aborted) as transaction:
            if transaction is not self._transaction:
                message = "savepoints are for transactions: turn autocommit off, or begin one"
                raise InMemoryError(message)
            yield transaction

    def _check_open(self) -> None:
        if self._closed:
            message = "the connection is closed"
            raise InMemoryError(message)
