"""The SHA-256 of what is saved, computed in a thread while the server writes it."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

from typing_extensions import Buffer

from pg_lo_storage.drivers.values import BLOCK, kept

__all__ = ["Digest"]

# The most blocks that wait for their digest.
_MOST_PENDING: Final = 4


class Digest:
    """Takes blocks on their way; ``size`` is the bytes so far."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, "pg_lo_storage digest")
        self._pending: deque[Future[None]] = deque()
        self.size: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        # Without a wait: under asyncio others have the event loop.
        self._thread.shutdown(wait=False)

    def of(self, blocks: Iterable[Buffer]) -> Iterator[Buffer]:
        """Yield the blocks, and add each to the digest."""
        for block in blocks:
            data = kept(block)
            self._add(data)
            self._wait(_MOST_PENDING)
            yield data

    async def of_awaited(self, blocks: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        """Yield the blocks, and add each to the digest; the event loop goes on meanwhile."""
        async for block in blocks:
            data = kept(block)
            self._add(data)
            while len(self._pending) > _MOST_PENDING:
                await asyncio.wrap_future(self._pending.popleft())
            yield data
        while self._pending:
            await asyncio.wrap_future(self._pending.popleft())

    def hexdigest(self) -> str:
        """Return the digest of all blocks."""
        self._wait(0)
        return self._sha256.hexdigest()

    def _add(self, data: bytes | memoryview) -> None:
        is_small = not self.size and len(data) <= BLOCK
        self.size += len(data)
        if is_small:  # often all there is: a thread costs more
            self._sha256.update(data)
            return
        try:
            self._pending.append(self._thread.submit(self._sha256.update, data))
        except RuntimeError:  # the interpreter is ending: there are no more threads
            self._wait(0)
            self._sha256.update(data)

    def _wait(self, pending: int) -> None:
        while len(self._pending) > pending:
            self._pending.popleft().result()
