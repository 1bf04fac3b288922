"""Calls that are cancelled: the server stops, and the connection stays usable."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

import pytest

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.drivers.base import LargeObjectDriver
from pg_lo_storage.testing.conformance.descriptors import LARGE
from pg_lo_storage.testing.conformance.sessions import (
    READ,
    WRITE,
    KitBase,
    OpenSession,
    Session,
    Sessions,
    content,
    same,
)

__all__ = ["CancellationTests"]

Call = Callable[[AsyncLargeObjectDriver, int], Coroutine[object, object, object]]
How = Callable[["asyncio.Task[object]"], Coroutine[object, object, None]]


async def _read(driver: AsyncLargeObjectDriver, oid: int) -> None:
    await (await driver.open(oid, READ)).read(len(LARGE))


async def _chunks(driver: AsyncLargeObjectDriver, oid: int) -> None:
    async for _ in (await driver.open(oid, READ)).chunks(100_000):
        pass


async def _write(driver: AsyncLargeObjectDriver, oid: int) -> None:
    await (await driver.open(oid, WRITE)).write(LARGE[::-1])


async def _put(driver: AsyncLargeObjectDriver, oid: int) -> None:
    await driver.put(oid, 0, b"by the second")


async def _unlink(driver: AsyncLargeObjectDriver, oid: int) -> None:
    await driver.unlink(oid)


async def _by_cancelling(task: asyncio.Task[object]) -> None:
    task.cancel()


async def _by_cancelling_again_and_again(task: asyncio.Task[object]) -> None:
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def _by_a_timeout(task: asyncio.Task[object]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            await task


async def _by_a_failing_group(task: asyncio.Task[object]) -> None:
    async def join() -> None:
        await task

    async def fail() -> None:
        raise LookupError

    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(join())
            group.create_task(fail())


CALLS: Final[dict[str, Call]] = {"read": _read, "chunks": _chunks, "write": _write, "put": _put, "unlink": _unlink}
WAITING: Final[dict[str, Call]] = {"put": _put, "unlink": _unlink}
HOWS: Final[dict[str, How]] = {
    "once": _by_cancelling,
    "again and again": _by_cancelling_again_and_again,
    "timeout": _by_a_timeout,
    "group": _by_a_failing_group,
}
# Seconds after which a call is cancelled: from before its first statement is sent.
_MOMENTS: Final = [number / 2000 for number in range(12)]
# Seconds that a call has to reach its wait, on a driver without SQL, which cannot be asked.
_SECONDS: Final = 1.0


class CancellationTests(KitBase[BlockingDriver]):
    """Tasks that are cancelled in the middle of a call."""

    @pytest.fixture
    def other(self, sessions: Sessions) -> Session[LargeObjectDriver]:
        """A session that is in the way of ``own``."""
        return sessions.open()

    @pytest.fixture(params=[False, True], ids=["transaction", "autocommit"])
    def own(
        self,
        request: pytest.FixtureRequest,
        open_session: OpenSession[BlockingDriver],
        sessions: Sessions,  # noqa: ARG002 -- they end after this one, whose locks would be in their way
    ) -> Iterator[Session[BlockingDriver]]:
        """The session whose calls are cancelled."""
        session = open_session(autocommit=request.param)
        yield session
        session.rollback()

    @pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
    @pytest.mark.parametrize("call", WAITING.values(), ids=WAITING)
    def test_a_call_that_waits_for_another_session_is_cancelled_at_the_server(
        self,
        sessions: Sessions,
        other: Session[LargeObjectDriver],
        own: Session[BlockingDriver],
        call: Call,
        how: How,
    ) -> None:
        oid = sessions.committed()
        other.driver.put(oid, 0, b"by the first")
        observer = sessions.open(autocommit=True).driver
        pid = own.driver.sql.execute("select pg_backend_pid()")[0][0] if own.driver.sql else None

        async def until_it_waits() -> None:
            query = "select 1 from pg_locks where pid = %s::int4 and not granted"
            if observer.sql is None:
                await asyncio.sleep(_SECONDS)
            else:
                while not await asyncio.to_thread(observer.sql.execute, query, (pid,)):
                    pass

        async def cancelled() -> bool:
            task = asyncio.ensure_future(call(own.driver.awaited, oid))
            await until_it_waits()
            await how(task)
            await asyncio.wait([task])
            return task.cancelled()

        assert own.driver.portal.call(cancelled())
        own.rollback()
        assert not own.driver.in_transaction
        assert content(own.driver, oid) == b"content"
        other.commit()
        own.rollback()
        assert content(own.driver, oid) == b"by the first"

    @pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_a_call_is_cancelled_at_any_moment(
        self, sessions: Sessions, open_session: OpenSession[BlockingDriver], call: Call, how: How
    ) -> None:
        oid = sessions.committed(LARGE)
        own = open_session()

        async def cancelled(moment: float) -> None:
            task = asyncio.ensure_future(call(own.driver.awaited, oid))
            await asyncio.sleep(moment)
            await how(task)
            await asyncio.wait([task])

        for moment in _MOMENTS:
            own.driver.portal.call(cancelled(moment))
            own.rollback()
            assert not own.driver.in_transaction
            assert same(content(own.driver, oid), LARGE)
        own.rollback()
