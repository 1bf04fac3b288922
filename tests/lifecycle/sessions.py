"""A second session of Django's, in a thread with connections of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from django.db import connection, connections

from tests.lifecycle.support import sql

T = TypeVar("T")


class Session:
    """Runs what it is given, one thing after the other, in its own thread."""

    def __enter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1)
        self.pid = self.do(lambda: int(sql("select pg_backend_pid()")[0][0]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.submit(connections.close_all)
        self._thread.shutdown()

    def start(self, action: Callable[[], T]) -> "Future[T]":
        """Begin something, without waiting for it."""
        return self._thread.submit(action)

    def do(self, action: Callable[[], T]) -> T:
        """Do something, and wait for it."""
        return self.start(action).result(timeout=30)

    def waits(self, started: "Future[Any]") -> bool:
        """Wait until the session waits for a lock, or has done what it started; tell which."""
        tick = threading.Event()
        while not started.done():
            if (
                connection.connection is not None
                and sql("select cardinality(pg_blocking_pids(%s)) > 0", self.pid)[0][0]
            ):
                return True
            tick.wait(0.005)
        return False
