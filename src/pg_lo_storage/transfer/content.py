"""What can be saved, as blocks: bytes, files and iterables, some of which are awaited."""

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from typing import Protocol, TypeAlias, cast

from typing_extensions import Buffer

from pg_lo_storage.drivers import sources
from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import BLOCK, byte_view

__all__ = ["AsyncContent", "AsyncReadable", "Content", "Readable", "async_blocks_of", "blocks_of", "is_apart"]


class Readable(Protocol):
    """A binary file, as far as it is read."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        ...


class AsyncReadable(Protocol):
    """A binary file whose ``read`` is awaited."""

    def read(self, size: int, /) -> Awaitable[bytes]:
        """Return up to ``size`` bytes, none at the end."""
        ...


Content: TypeAlias = Buffer | Readable | Iterable[Buffer]
"""Bytes, a binary file that is read from its position, or an iterable of bytes."""

AsyncContent: TypeAlias = Content | AsyncReadable | AsyncIterable[Buffer]
"""The same, or an asynchronous file or iterable."""


def blocks_of(content: Content) -> Iterator[Buffer]:
    """Yield the content in blocks that are worth a statement each; a block is valid until the next is asked for.

    :raises TypeError: it is text, or neither bytes, a binary file nor an iterable of bytes.
    """
    if (view := _view_of(content)) is not None:
        return _slices(view)
    if hasattr(content, "read"):
        return _gathered(_read(cast("Readable", content)))
    return _gathered(cast("Iterable[Buffer]", content))


def is_apart(content: Content) -> bool:
    """Tell whether content is surely taken without any connection."""
    return sources.is_apart(content) or _view_of(content) is not None


def async_blocks_of(content: AsyncContent) -> AsyncIterator[Buffer]:
    """Yield the content in blocks, as :func:`blocks_of`; a file that is not awaited is read in a thread."""
    if isinstance(content, AsyncIterable) and not hasattr(content, "read"):
        return _gathered_async(content)
    if hasattr(content, "read") and _view_of(content) is None:
        return _gathered_async(_read_async(cast("Readable | AsyncReadable", content)))
    return _gathered_async(_awaited(blocks_of(cast("Content", content))))


def _view_of(content: object) -> memoryview | None:
    if isinstance(content, str):
        message = "a large object holds bytes, not str: encode it"
        raise TypeError(message)
    try:
        return byte_view(cast("Buffer", content))
    except TypeError:
        return None


def _slices(view: memoryview) -> Iterator[Buffer]:
    for start in range(0, len(view), MAX_BLOCK):
        yield view[start : start + MAX_BLOCK]


def _read(file: Readable) -> Iterator[Buffer]:
    # byte_view() refuses text, also the empty "" of a text file.
    while block := byte_view(file.read(MAX_BLOCK)):
        yield block


def _gathered(blocks: Iterable[Buffer]) -> Iterator[Buffer]:
    gathering = _Gathering()
    for block in blocks:
        yield from gathering.add(block)
    if gathering.pending:
        yield gathering.pending


async def _awaited(blocks: Iterable[Buffer]) -> AsyncIterator[Buffer]:
    for block in blocks:
        yield block


async def _read_async(file: Readable | AsyncReadable) -> AsyncIterator[Buffer]:
    if inspect.iscoroutinefunction(file.read):
        while block := byte_view(await file.read(MAX_BLOCK)):
            yield block
        return
    # A disk, or whatever it reads from, must not hold up the event loop.
    while block := byte_view(await _awaited_if_need_be(await asyncio.to_thread(file.read, MAX_BLOCK))):
        yield block


async def _awaited_if_need_be(block: bytes | Awaitable[bytes]) -> bytes:
    # A function that returns an awaitable may be no coroutine function, but a decorator's wrapper, or Cython's.
    return await block if inspect.isawaitable(block) else block


async def _gathered_async(blocks: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    gathering = _Gathering()
    async for block in blocks:
        for ready in gathering.add(block):
            yield ready
    if gathering.pending:
        yield gathering.pending


class _Gathering:
    """Puts small blocks together until they are worth a statement, and cuts large ones that are worth several."""

    def __init__(self) -> None:
        self.pending = bytearray()

    def add(self, block: Buffer) -> Iterator[Buffer]:
        """Take a block; yield what is large enough to be written."""
        view = byte_view(block)
        if self.pending:
            missing = BLOCK - len(self.pending)
            self.pending += view[:missing]
            view = view[missing:]
            if len(self.pending) == BLOCK:
                ready, self.pending = self.pending, bytearray()
                yield ready
        if len(view) < BLOCK:
            self.pending += view
        else:
            yield from _slices(view)
