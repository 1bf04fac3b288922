"""The contract of an asynchronous driver as tests: what :mod:`pg_lo_storage.aio.base` says.

Subclass :class:`AsyncDriverConformance` in a test module and say how a session is opened; it is entered and left in
the kit's event loop, so neither a plugin for asynchronous tests nor a coroutine of your own is needed::

    @asynccontextmanager
    async def open_session(*, autocommit: bool = False) -> AsyncIterator[MySession]:
        async with await connect(autocommit=autocommit) as connection:
            yield MySession(connection)

    class TestMyAsyncDriver(AsyncDriverConformance[MyAsyncDriver]):
        @pytest.fixture
        def open_async_session(self) -> OpenAsyncSession[MyAsyncDriver]:
            return open_session

The tests are those of :class:`DriverConformance`, awaited, and those of cancellation.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Generic

import pytest

from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.testing.conformance import DriverConformance, OpenSession
from pg_lo_storage.testing.conformance.async_sessions import A, AsyncSession, BlockingSession, OpenAsyncSession
from pg_lo_storage.testing.conformance.cancellation import CancellationTests
from pg_lo_storage.testing.portal import Portal

__all__ = ["AsyncDriverConformance", "AsyncSession", "OpenAsyncSession"]


class AsyncDriverConformance(CancellationTests, DriverConformance[BlockingDriver], Generic[A]):
    """All tests of the contract, for a subclass that overrides the fixture ``open_async_session``.

    A type checker refuses a type that is no asynchronous driver in ``AsyncDriverConformance[MyAsyncDriver]``.
    """

    __module__ = "pg_lo_storage.testing"

    @pytest.fixture
    def open_async_session(self) -> OpenAsyncSession[A]:
        """Open a session; a subclass of the kit overrides this."""
        message = f"{type(self).__name__} has to override the fixture open_async_session"
        pytest.fail(message)

    @pytest.fixture
    def portal(self) -> Iterator[Portal]:
        """The event loop of this test."""
        with Portal() as portal:
            yield portal

    @pytest.fixture
    def open_session(
        self, portal: Portal, open_async_session: OpenAsyncSession[A]
    ) -> Iterator[OpenSession[BlockingDriver]]:
        """Open an asynchronous session for the tests of :class:`DriverConformance`."""
        stack = AsyncExitStack()

        def open_session(*, autocommit: bool = False) -> BlockingSession:
            manager = open_async_session(autocommit=autocommit)
            return BlockingSession(portal, portal.call(stack.enter_async_context(manager)))

        yield open_session
        portal.call(stack.aclose())
