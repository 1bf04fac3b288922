"""What the author of an asynchronous driver provides, and how the tests use it."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.testing.portal import Portal

__all__ = ["A", "AsyncSession", "BlockingSession", "OpenAsyncSession"]

A = TypeVar("A", bound=AsyncLargeObjectDriver)
A_co = TypeVar("A_co", bound=AsyncLargeObjectDriver, covariant=True)


class AsyncSession(Protocol[A_co]):
    """One connection, its driver, and its transactions by the connection's own means; see :class:`Session`."""

    __module__: str = "pg_lo_storage.testing"

    @property
    def driver(self) -> A_co:
        """The driver under test, over this connection."""
        ...

    async def begin(self) -> None:
        """Begin a transaction on a connection in autocommit: ``BEGIN``."""
        ...

    async def commit(self) -> None:
        """End the transaction, if there is one, and keep what it did."""
        ...

    async def rollback(self) -> None:
        """End the transaction, if there is one, and undo what it did."""
        ...

    async def savepoint(self, name: str) -> None:
        """``SAVEPOINT name``."""
        ...

    async def rollback_to(self, name: str) -> None:
        """``ROLLBACK TO name``."""
        ...

    async def release(self, name: str) -> None:
        """``RELEASE name``; the server's error, if there is no such savepoint, fails the transaction."""
        ...

    async def close(self) -> None:
        """Close the connection, whatever state it is in; leaving its context changes nothing then."""
        ...


class OpenAsyncSession(Protocol[A_co]):
    """Opens a connection to the same database each time, and closes it when its context is left.

    With ``autocommit`` off the first statement begins a transaction, with it on only :meth:`AsyncSession.begin` does.
    """

    __module__: str = "pg_lo_storage.testing"

    def __call__(self, *, autocommit: bool = False) -> AbstractAsyncContextManager[AsyncSession[A_co]]:
        """Open a connection that is idle."""
        ...


class BlockingSession:
    """An asynchronous session as a :class:`Session`."""

    def __init__(self, portal: Portal, session: AsyncSession[AsyncLargeObjectDriver]) -> None:
        self._call = portal.call
        self._session = session
        self.driver: BlockingDriver = BlockingDriver(portal, session.driver)

    def begin(self) -> None:
        """See :meth:`Session.begin`."""
        self._call(self._session.begin())

    def commit(self) -> None:
        """See :meth:`Session.commit`."""
        self._call(self._session.commit())

    def rollback(self) -> None:
        """See :meth:`Session.rollback`."""
        self._call(self._session.rollback())

    def savepoint(self, name: str) -> None:
        """See :meth:`Session.savepoint`."""
        self._call(self._session.savepoint(name))

    def rollback_to(self, name: str) -> None:
        """See :meth:`Session.rollback_to`."""
        self._call(self._session.rollback_to(name))

    def release(self, name: str) -> None:
        """See :meth:`Session.release`."""
        self._call(self._session.release(name))

    def close(self) -> None:
        """See :meth:`Session.close`."""
        self._call(self._session.close())
