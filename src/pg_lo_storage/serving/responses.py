"""The responses with a file's content; a large file is read block by block, under WSGI and ASGI alike."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from typing_extensions import override

from pg_lo_storage.catalogue import Found
from pg_lo_storage.databases.watching import has_others
from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import BATCH, BLOCK
from pg_lo_storage.http.answer import Answer
from pg_lo_storage.http.batches import in_batches
from pg_lo_storage.http.ranges import Piece
from pg_lo_storage.serving.readers import READERS, needs_own_connection, release_connections, release_pooled_connections
from pg_lo_storage.serving.reading import read

__all__ = ["DbFileResponse", "FileResponseBase", "WholeResponse", "in_the_requests_thread", "response_of"]

_T = TypeVar("_T")


def response_of(made: Answer, found: Found) -> HttpResponseBase:
    """Return the response that sends an answer; read its first block now, before the client is promised anything.

    :raises LargeObjectNotFound: the file was deleted since it was found.
    :raises LargeObjectConflict: the file was changed since it was found.
    """
    pieces = list(made.pieces)
    for place, piece in enumerate(pieces):
        if isinstance(piece, range):
            # found.start has bytes only where the whole file is asked for.
            start = found.start or b"".join(read(found, piece[:BLOCK]))
            pieces[place : place + 1] = filter(None, (start, piece[len(start) :]))
            break
    response: HttpResponseBase
    # From a part in a WholeResponse, middlewares would make validators as if it were the file.
    if made.status == 206 or len(pieces) > 1:
        # found.start must not stay in memory for as long as a slow client reads.
        response = DbFileResponse(replace(found, start=b""), pieces, status=made.status, headers=made.headers)
    else:
        response = WholeResponse(*pieces, status=made.status, headers=made.headers)
    if "Content-Type" not in made.headers:  # without one Django says text/html
        del response.headers["Content-Type"]
    return response


class FileResponseBase(HttpResponseBase):
    """What the responses with files have in common."""

    @override
    def has_header(self, header: str) -> bool:
        """Tell whether there is such a header; claim a ``Content-Encoding`` where middlewares must not compress.

        Ranges and digests are those of the file, not of its compressed form.
        """
        if super().has_header(header):
            return True
        return header.lower() == "content-encoding" and (self.status_code == 206 or super().has_header("Repr-Digest"))

    __contains__ = has_header


class WholeResponse(FileResponseBase, HttpResponse):
    """Sends a small file, or only the headers of any file."""


class DbFileResponse(FileResponseBase, StreamingHttpResponse):
    """Sends ``pieces``; ranges are read from the file when their turn comes, each batch by one statement.

    Nothing is kept in between: no transaction, no descriptor, no connection of a pool, and under an asynchronous server
    no connection at all. Where a transaction is open on the request's connection, that connection is used, and sees
    what is not committed.

    Where the connection was lost between two batches, the next is read over a new one, if that sees the same file.

    The client was promised a length. So where the file is changed, replaced or deleted meanwhile, the server gets a
    :exc:`LargeObjectConflict` or :exc:`LargeObjectNotFound`, and cuts the connection.
    """

    if TYPE_CHECKING:
        _iterator: object  # Django's, replaced where a middleware replaces the body

    def __init__(self, found: Found, pieces: list[Piece], *, status: int, headers: Mapping[str, str]) -> None:
        self._found = found
        self._pieces = _given_away(pieces)
        self._most = BATCH
        self._body = self._read_here()
        super().__init__(self._body, status=status, headers=dict(headers))

    @override
    async def __aiter__(self) -> AsyncGenerator[bytes]:
        if self.is_async:  # a middleware replaced the body
            async for part in super().__aiter__():
                yield part
            return
        # There may be thousands of these downloads, each with a batch in memory.
        self._most = MAX_BLOCK
        own = self._iterator is self._body
        async with aclosing(self._read_elsewhere() if own else in_the_requests_thread(iter(self))) as blocks:
            async for block in blocks:
                yield block

    def _read_here(self) -> Iterator[bytes]:
        for batch in in_batches(self._pieces, self._most):
            blocks = [batch] if isinstance(batch, bytes) else read(self._found, batch)
            release_pooled_connections()
            yield from _given_away(blocks)

    async def _read_elsewhere(self) -> AsyncGenerator[bytes]:
        if await sync_to_async(self._is_bound)():
            async with aclosing(in_the_requests_thread(self._body)) as blocks:
                async for block in blocks:
                    yield block
            return
        with READERS.download():
            for batch in in_batches(self._pieces, self._most):
                if isinstance(batch, bytes):
                    yield batch
                else:
                    reading = READERS.submit(functools.partial(read, self._found, batch))
                    for block in _given_away(await asyncio.wrap_future(reading)):
                        yield block

    def _is_bound(self) -> bool:
        wrapper = self._found.database.wrapper
        # Whoever looks at the statements of the request's connection does not see those of other threads.
        is_watched = has_others(wrapper.execute_wrappers) or wrapper.force_debug_cursor
        if is_watched or needs_own_connection(self._found.database.alias, self._found.role):
            return True
        release_connections()
        return False


async def in_the_requests_thread(blocks: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the blocks, each taken in the thread that Django keeps for the request."""
    while (block := await sync_to_async(_next)(blocks)) is not None:
        yield block


def _given_away(parts: list[_T]) -> Iterator[_T]:
    """Yield the parts, and keep none that was yielded."""
    parts.reverse()
    while parts:
        yield parts.pop()


def _next(blocks: Iterator[bytes]) -> bytes | None:
    # StopIteration cannot be raised into a coroutine.
    return next(blocks, None)
