"""Answers with files that a :class:`TransitionalStorage` still reads where they were, by the same rules as all others.

Nothing of such a file is a large object. Its validators are made of its size and of when it was changed, where the old
storage tells that.
"""

import posixpath
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from django.core.exceptions import SuspiciousOperation
from django.core.files import File
from django.core.files.storage import Storage
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from typing_extensions import override

from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.http.answer import Answer, answer
from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.presentation import Presentation
from pg_lo_storage.http.ranges import Piece
from pg_lo_storage.serving.responses import FileResponseBase, WholeResponse, in_the_requests_thread
from pg_lo_storage.storage import DbFileStorage, elsewhere
from pg_lo_storage.storage.saving import SMALL

if TYPE_CHECKING:
    _BinaryFile = File[bytes]
else:
    _BinaryFile = File

__all__ = ["respond_old"]

# What a storage says of a name that a folder has, or that no file can have.
_NO_FILE: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError, SuspiciousOperation)


def respond_old(
    request: HttpRequest, name: str, storage: DbFileStorage, presentation: Presentation, vary: str | None
) -> HttpResponseBase | None:
    """Answer with the old file of that name; ``None`` where there is none."""
    legacy = storage.legacy
    if legacy is None or not elsewhere.exists(legacy, name):
        return None
    try:
        facts = _facts_of(legacy, name)
        made = answer(request.method or "GET", request.headers, facts, presentation, vary=vary)
        return _response_of(made, legacy, name)
    except _NO_FILE:
        return None
    except Exception:
        # Others say it in ways of their own, and not before they read: between two questions the file may have moved.
        if elsewhere.exists(legacy, name):
            raise
        return None


def _facts_of(legacy: Storage, name: str) -> FileFacts:
    size, modified = elsewhere.size_of(legacy, name), elsewhere.modified_at(legacy, name)
    version = None if modified is None else f"{size:x}"
    return FileFacts(0, size, posixpath.basename(name), version=version, modified=modified)


def _response_of(made: Answer, legacy: Storage, name: str) -> HttpResponseBase:
    pieces = list(made.pieces)
    response: HttpResponseBase
    if not any(isinstance(piece, range) for piece in pieces):
        response = WholeResponse(*pieces, status=made.status, headers=made.headers)
    else:
        file = legacy.open(name)
        if made.status == 200 and sum(map(len, pieces)) <= SMALL:
            with file:
                content = b"".join(_blocks(file, pieces))
            response = WholeResponse(content, status=made.status, headers=made.headers)
        else:
            file.seek(0)  # what is fetched as a whole, when it is first used, is fetched here
            response = OldFileResponse(file, pieces, made)
    if "Content-Type" not in made.headers:  # without one Django says text/html
        del response.headers["Content-Type"]
    return response


class OldFileResponse(FileResponseBase, StreamingHttpResponse):
    """Sends pieces of an old file, read block by block when their turn comes; it is closed with the response."""

    if TYPE_CHECKING:
        _iterator: object  # Django's, replaced where a middleware replaces the body
        _resource_closers: list[object]

    def __init__(self, file: "File[bytes]", pieces: Sequence[Piece], made: Answer) -> None:
        self._body = _blocks(file, pieces)
        super().__init__(self._body, status=made.status, headers=dict(made.headers))
        self._resource_closers.append(file.close)

    @override
    async def __aiter__(self) -> AsyncGenerator[bytes]:
        if self.is_async:  # a middleware replaced the body
            async for part in super().__aiter__():
                yield part
            return
        async with aclosing(in_the_requests_thread(iter(self))) as blocks:
            async for block in blocks:
                yield block


def _blocks(file: "File[bytes]", pieces: Sequence[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        file.seek(piece.start)
        left = len(piece)
        while left:
            block = file.read(min(BLOCK, left))
            if not block:
                message = f"{file.name} has {left} bytes less than when it was opened"
                raise OSError(message)
            left -= len(block)
            yield block
