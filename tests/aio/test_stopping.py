"""Statements whose tasks are cancelled: the server is given a time to answer, and some are completed."""

import asyncio

import pytest

from pg_lo_storage.aio.cancellation import completed, stopped_when_cancelled
from tests.aio.support import asynchronous


@asynchronous
async def test_where_the_server_does_not_answer_the_connection_is_closed() -> None:
    closed: list[bool] = []

    async def stuck() -> None:
        await asyncio.Event().wait()

    async def stop(_task: object) -> None:
        await asyncio.Event().wait()

    call = stopped_when_cancelled(stuck(), stop, lambda: closed.append(True), patience=0.01)
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


@asynchronous
async def test_what_is_to_be_completed_is_and_the_cancellation_comes_with_its_result() -> None:
    go = asyncio.Event()

    async def commit() -> str:
        await go.wait()
        return "committed"

    task = asyncio.ensure_future(completed(commit()))
    for _ in range(5):
        await asyncio.sleep(0)
        task.cancel()
    go.set()
    result, cancellation = await task
    assert (result, type(cancellation)) == ("committed", asyncio.CancelledError)
    assert await completed(commit()) == ("committed", None)


@asynchronous
async def test_the_failure_of_what_is_to_be_completed_is_the_cause_of_the_cancellation() -> None:
    go = asyncio.Event()

    async def commit() -> None:
        await go.wait()
        raise ConnectionError("lost")

    task = asyncio.ensure_future(completed(commit()))
    await asyncio.sleep(0)
    task.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, ConnectionError)


@asynchronous
async def test_what_is_not_completed_in_time_is_cancelled() -> None:
    stopped: list[bool] = []

    async def commit() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    task = asyncio.ensure_future(completed(commit(), patience=0.01))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == [True]
