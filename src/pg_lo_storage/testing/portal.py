"""An event loop in a thread, which runs coroutines for ordinary code."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Self, TypeVar

__all__ = ["Portal"]

T = TypeVar("T")


class Portal:
    """An event loop that runs in a thread of its own, from ``with`` until its block ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.call(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, coroutine: Coroutine[object, object, T]) -> T:
        """Run a coroutine in the loop, and wait for it; any other thread may do so at the same time."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
