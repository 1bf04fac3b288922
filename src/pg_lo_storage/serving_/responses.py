"""Large objects over HTTP: ranges, and a response whose body is read block by block."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from typing_extensions import override

from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import LargeObjectError

if TYPE_CHECKING:
    from pg_lo_storage.drivers import LargeObjectDriver

__all__ = ["DbFileResponse", "parse_range", "read_blocks"]

# RFC 9110, 14.1.1; more digits than any object has bytes are as good as a malformed range.
_RANGE: Final = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


def parse_range(header: str, size: int) -> range | None:
    """Return the bytes that a ``Range`` header asks for of ``size`` bytes; empty where it cannot be satisfied.

    ``None`` where the header is to be ignored: another unit, several ranges, or malformed.
    """
    if (match := _RANGE.fullmatch(header.strip())) is None:
        return None
    first, last = match.groups()
    if not first:
        return range(max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def read_blocks(driver: "LargeObjectDriver", oid: int, wanted: range) -> Iterator[bytes]:
    """Yield the wanted bytes of an object, each block a statement of its own: nothing is held in between.

    Raises :exc:`LargeObjectError` where the object became shorter, so that the server cuts the connection: the
    length is promised already.
    """
    position = wanted.start
    while position < wanted.stop:
        block = driver.get(oid, position, min(BLOCK, wanted.stop - position))
        if not block:
            message = f"large object {oid} became shorter while it was served"
            raise LargeObjectError(message, oid=oid)
        position += len(block)
        yield block


class DbFileResponse(StreamingHttpResponse):
    """Streams blocks; under ASGI too, where Django would collect a synchronous body in memory first."""

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.is_async:  # a middleware replaced the body
            async for part in super().__aiter__():
                yield part
            return
        blocks = iter(self)
        while (block := await sync_to_async(_next)(blocks)) is not None:
            yield block


def _next(blocks: Iterator[bytes]) -> bytes | None:
    # StopIteration cannot be raised into a coroutine.
    return next(blocks, None)
