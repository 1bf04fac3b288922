"""Threads that read blocks for asynchronous servers, and when a connection may be given back between two blocks.

Under ASGI a thread for each download would keep a connection open for as long as the client reads. So a few threads,
which all downloads of the process share, read what any connection can read.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar, cast

from django.conf import settings
from django.db import connections

from pg_lo_storage.databases.backends import is_alike_in_threads
from pg_lo_storage.databases.connection import DatabaseConnection

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["READERS", "BlockReaders", "needs_own_connection", "release_connections", "release_pooled_connections"]

_T = TypeVar("_T")

DEFAULT_THREADS: Final = 4
"""So many blocks are read at a time; each thread has a connection for each database that it reads from."""

THREAD_NAME: Final = "pg_lo_storage reader"

_LINGER: Final = 1.0  # seconds that a thread keeps its connection without work, while there are downloads


def needs_own_connection(alias: str, role: str | None = "") -> bool:
    """Tell whether only this thread's connection may see the file as it was found, by a session of that role.

    A transaction may be open on it; its session may have taken another role than those of other threads; or its backend
    is not known. ``role`` is that of :class:`~pg_lo_storage.catalogue.Found`.
    """
    wrapper = connections[alias]
    # Django's own: https://docs.djangoproject.com/en/stable/ref/databases/#role
    usual = wrapper.settings_dict["OPTIONS"].get("assume_role") or "none"
    return not (_is_free(wrapper) and is_alike_in_threads(wrapper) and role in {"", usual})


def release_connections() -> None:
    """Close this thread's connections as Django does at the end of a request, except those in a transaction."""
    for wrapper in connections.all(initialized_only=True):
        if _is_free(wrapper):
            wrapper.close_if_unusable_or_obsolete()


def release_pooled_connections() -> None:
    """Give this thread's pooled connections back to their pools, except those in a transaction."""
    for wrapper in connections.all(initialized_only=True):
        if getattr(wrapper, "pool", None) is not None and _is_free(wrapper):
            wrapper.close()


def _is_free(wrapper: "BaseDatabaseWrapper") -> bool:
    return not DatabaseConnection(wrapper.alias, wrapper).is_in_or_begins_transaction


class BlockReaders:
    """A few threads that start when there is work; with the last download they end, and close their connections.

    ``PG_LO_STORAGE_READ_THREADS`` says how many. A ThreadPoolExecutor would keep its threads, and so their connections,
    for ever.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all threads: a forked process has none of them."""
        self._changed = threading.Condition()
        self._work: deque[tuple[Future[object], Callable[[], object]]] = deque()
        self._threads = self._idle = self._downloads = 0

    @contextmanager
    def download(self) -> Generator[None]:
        """Keep the threads alive for a download."""
        with self._changed:
            self._downloads += 1
        try:
            yield
        finally:
            with self._changed:
                self._downloads -= 1
                if not self._downloads:
                    self._changed.notify_all()

    def submit(self, read: Callable[[], _T]) -> "Future[_T]":
        """Have one of the threads call ``read``."""
        # Without a thread the caller would wait for ever.
        limit = max(1, getattr(settings, "PG_LO_STORAGE_READ_THREADS", DEFAULT_THREADS))
        future: Future[_T] = Future()
        with self._changed:
            self._work.append((cast("Future[object]", future), read))
            if self._idle >= len(self._work):
                self._changed.notify()
            elif self._threads < limit:
                self._threads += 1
                # A daemon, since nobody waits for its block once the process ends.
                threading.Thread(target=self._run, name=THREAD_NAME, daemon=True).start()
        return future

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                future, read = work
                if future.set_running_or_notify_cancel():
                    _call(future, read)
                # A thread that waits must not keep a block in memory.
                del work, future, read
        finally:
            connections.close_all()

    def _next(self) -> tuple["Future[object]", Callable[[], object]] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._work or not self._downloads, _LINGER)
            self._idle -= 1
            if self._work:
                return self._work.popleft()
            self._threads -= 1
            return None


def _call(future: "Future[object]", read: Callable[[], object]) -> None:
    try:
        result = read()
        release_pooled_connections()
    except BaseException as error:  # noqa: BLE001 -- it is raised where the block is awaited
        connections.close_all()
        future.set_exception(error)
    else:
        future.set_result(result)


READERS: Final = BlockReaders()
"""The threads of this process."""

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=READERS.reset)
