"""Putting large content together in an event loop; other tasks get a turn after each few megabytes."""

import asyncio
import io
from typing import Final

from pg_lo_storage.aio.base import AsyncLargeObject
from pg_lo_storage.drivers.values import BATCH, BLOCK

__all__ = ["TURN", "read_into", "write_all"]

TURN: Final = BATCH // BLOCK
"""The rows of BLOCK bytes after which other tasks get a turn."""


async def read_into(content: io.BytesIO, descriptor: AsyncLargeObject, size: int) -> None:
    """Read ``size`` bytes, fewer only at the end."""
    whole, rest = divmod(size, BLOCK)
    start = content.tell()
    async for block in descriptor.chunks(BLOCK, whole):
        content.write(block)
    if rest and content.tell() - start == size - rest:
        content.write(await descriptor.read(rest))


async def write_all(content: io.BytesIO, blocks: list[bytes]) -> None:
    """Write the blocks, and remove each from the list to free its memory."""
    blocks.reverse()
    while blocks:
        content.writelines(blocks.pop() for _ in range(min(TURN, len(blocks))))
        await asyncio.sleep(0)
