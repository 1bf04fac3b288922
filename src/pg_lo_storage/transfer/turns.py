"""Turns for the calls of several tasks, or threads, on one connection: each may need a transaction of its own.

Without turns a call could get into the transaction that another began for itself, and end with its COMMIT or ROLLBACK.
In a transaction of the caller's, which all calls belong to, they take no turns. A call within a call, such as in an
iterable that is being saved, belongs to the outer call's turn.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.aio.opening import is_begun
from pg_lo_storage.drivers.base import LargeObjectDriver

__all__ = ["in_turn", "in_turn_of_threads"]

T = TypeVar("T")
L = TypeVar("L")


class _ThreadLock:
    """A lock that tells which thread has it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner: int | None = None


class _Turn:
    """A turn that was taken, and whether it goes on."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self.lock = lock
        self.goes_on = True


_thread_locks: Final[WeakKeyDictionary[object, _ThreadLock]] = WeakKeyDictionary()
_task_locks: Final[WeakKeyDictionary[object, asyncio.Lock]] = WeakKeyDictionary()
_locks_change: Final = threading.Lock()
# The turns that this task, or one that began it, has taken.
_taken: Final[ContextVar[tuple[_Turn, ...]]] = ContextVar("_taken", default=())


def in_turn_of_threads(connection: object, driver: LargeObjectDriver, call: Callable[[], T]) -> T:
    """Call ``call`` when no other thread's is under way on this connection."""
    turn = _lock_of(connection, _thread_locks, _ThreadLock)
    if turn is None or turn.owner == threading.get_ident() or (not turn.lock.locked() and driver.in_transaction):
        return call()
    with turn.lock:
        turn.owner = threading.get_ident()
        try:
            return call()
        finally:
            turn.owner = None


async def in_turn(
    connection: object, driver: AsyncLargeObjectDriver, call: Callable[[], Coroutine[object, object, T]]
) -> T:
    """Await ``call`` when no other task's is under way on this connection."""
    lock = _lock_of(connection, _task_locks, asyncio.Lock)
    if lock is None or any(taken.goes_on and taken.lock is lock for taken in _taken.get()):
        return await call()
    if not lock.locked() and await is_begun(driver) and not lock.locked():
        return await call()
    async with lock:
        taken = _Turn(lock)
        token = _taken.set((*_taken.get(), taken))
        try:
            return await call()
        finally:
            taken.goes_on = False
            _taken.reset(token)


def _lock_of(connection: object, locks: "WeakKeyDictionary[object, L]", new: Callable[[], L]) -> L | None:
    try:
        with _locks_change:
            return locks.setdefault(connection, new())
    except TypeError:
        # The connection takes no weak reference, as a proxy of asyncpg's pool: asyncpg itself refuses a second task.
        return None
