"""What becomes of a statement whose task is cancelled.

If a statement were merely abandoned, its result would still be to come, and its connection of no use. So the server is
asked to stop, and its answer is awaited. A further cancellation must not interrupt that: some frameworks cancel again
and again (the cancel scopes of anyio, under Starlette and FastAPI).
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Final, TypeVar

__all__ = ["PATIENCE", "cleaned_up", "completed", "stopped_when_cancelled"]

T = TypeVar("T")

PATIENCE: Final = 20.0
"""Seconds that the server is given to end a statement that was cancelled."""


async def stopped_when_cancelled(
    call: Coroutine[object, object, T],
    stop: "Callable[[asyncio.Task[T]], Coroutine[object, object, None]]",
    give_up: Callable[[], object],
    *,
    patience: float = PATIENCE,
) -> T:
    """Run ``call``, which has ended when this returns or raises, however often this is cancelled.

    On cancellation ``stop`` makes the call end early. If that takes longer than ``patience`` seconds, ``give_up``
    closes the connection.
    """
    task = asyncio.create_task(call)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        stopping = asyncio.create_task(stop(task))
        if not await _ended(task, stopping, patience=patience):
            give_up()
            task.cancel()
            stopping.cancel()
            await _ended(task, stopping)
        raise
    return task.result()


async def completed(
    call: Coroutine[object, object, T], *, patience: float | None = PATIENCE
) -> tuple[T, asyncio.CancelledError | None]:
    """Run ``call`` to its end despite cancellation; return its result, and the cancellation if one came.

    It is for calls whose outcome must be known, such as a COMMIT. The caller raises the cancellation. It is raised here
    if ``call`` then fails, or takes longer than ``patience`` seconds and is cancelled.
    """
    task = asyncio.create_task(call)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError as cancellation:
        if not await _ended(task, patience=patience):
            task.cancel()
            await _ended(task)
        if task.cancelled():
            raise
        if (error := task.exception()) is not None:
            raise cancellation from error
        return task.result(), cancellation
    return task.result(), None


async def cleaned_up(call: Coroutine[object, object, object], *, patience: float | None = PATIENCE) -> None:
    """Run ``call``, which undoes what an error left, to its end despite cancellation, which is raised then.

    Where the transaction has failed, or the connection is lost, there is nothing to undo, and ``call`` may fail.
    """
    cancellation = None
    with contextlib.suppress(Exception):
        _, cancellation = await completed(call, patience=patience)
    if cancellation is not None:
        raise cancellation


async def _ended(*tasks: "asyncio.Task[T] | asyncio.Task[None]", patience: float | None = None) -> bool:
    """Wait until the tasks have ended, despite cancellation; return False after ``patience`` seconds."""
    loop = asyncio.get_running_loop()
    deadline = None if patience is None else loop.time() + patience
    while pending := [task for task in tasks if not task.done()]:
        remaining = None if deadline is None else deadline - loop.time()
        if remaining is not None and remaining <= 0:
            return False
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(pending, timeout=remaining)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # or asyncio complains that nobody retrieved it
    return True
