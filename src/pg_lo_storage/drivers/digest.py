"""The SHA-256 of what is saved, computed while the server writes it."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.values import BLOCK, kept

__all__ = ["Beside", "Digest"]

# The most blocks that wait for their digest.
_MOST_PENDING: Final = 4


class Digest:
    """The size and the SHA-256 of the blocks that it was given."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.size: int = 0

    def update(self, block: Buffer) -> None:
        """Add a block."""
        self._sha256.update(block)
        self.size += memoryview(block).nbytes

    def hexdigest(self) -> str:
        """Return the digest of all blocks."""
        return self._sha256.hexdigest()

    async def of_awaited(self, blocks: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        """Yield the blocks, and add each in a thread; the event loop goes on meanwhile."""
        thread = ThreadPoolExecutor(1, "pg_lo_storage digest")
        pending: deque[Future[None]] = deque()
        try:
            async for block in blocks:
                data = kept(block)
                if not self.size and not pending and len(data) <= BLOCK:  # often all there is: a thread costs more
                    self.update(data)
                else:
                    pending.append(thread.submit(self.update, data))
                while len(pending) > _MOST_PENDING:
                    await asyncio.wrap_future(pending.popleft())
                yield data
            while pending:
                await asyncio.wrap_future(pending.popleft())
        finally:
            thread.shutdown(wait=False)  # others have the event loop


class Beside:
    """Hands blocks to a sink in a thread, each beside a call that leaves Python's lock to others."""

    def __init__(self, sink: Sink | None) -> None:
        self._sink = sink
        self._thread = ThreadPoolExecutor(1, "pg_lo_storage digest")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.shutdown()

    def __call__(self, block: Buffer, call: Callable[[], object]) -> None:
        """Do both, and wait for both."""
        if self._sink is None:
            call()
            return
        try:
            taken = self._thread.submit(self._sink, block)
        except RuntimeError:  # the interpreter is ending: there are no more threads
            self._sink(block)
            call()
        else:
            call()
            taken.result()
