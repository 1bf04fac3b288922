"""Uploads go straight into the database: a request's files are written to large objects as they arrive.

Upload handlers: https://docs.djangoproject.com/en/stable/ref/files/uploads/

The first bytes of a file make an object and its row in the table of unfinished uploads; each further block is a
statement of its own, on the request's own connection. In autocommit each is a transaction: none stays open while a
slow client sends. In a transaction, as with ``ATOMIC_REQUESTS``, they belong to it. ``storage.save()`` makes the object
a file in the transaction of its row, and the upload's row goes with that. So whatever happens, an object either is a
file or has its row among the unfinished. A request knows its own, and these are unlinked when Django closes it, after
the response; what a crash leaves is unlinked by ``largeobjects prune``.
"""

import asyncio
import hashlib
import io
import logging
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import groupby
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SynchronousOnlyOperation
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.db import Error, connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin
from typing_extensions import override

from pg_lo_storage.catalogue import uploads
from pg_lo_storage.catalogue.uploads import Unfinished
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.storage import DbUploadedFile
from pg_lo_storage.storage.saving import PART, SMALL, begin_upload, continue_upload
from pg_lo_storage.storage.uploads import upload_database

__all__ = ["DbFileUploadHandler", "UploadTooLarge", "UploadTooLargeMiddleware"]

_LOGGER: Final = logging.getLogger(__name__)
# The request's attributes for its uploads, and for what was too large.
_UNFINISHED: Final = "_pg_lo_storage_unfinished"
_REFUSED: Final = "_pg_lo_storage_refused"


class UploadTooLarge(RequestDataTooBig):
    """An upload has more than ``max_size`` bytes: 400 by Django's rules, 413 by :class:`UploadTooLargeMiddleware`."""


class DbFileUploadHandler(FileUploadHandler):
    """Writes uploads to large objects while they arrive, without a temporary file; small ones stay in memory.

    Name it in ``FILE_UPLOAD_HANDLERS``, or put it into ``request.upload_handlers``. A subclass may set the attributes.

    :raises ImproperlyConfigured: ``"pg_lo_storage"`` is not in ``INSTALLED_APPS``.
    """

    alias: str | None = None
    """The database; ``None`` is that of the settings. A file that is saved on another is copied there."""
    max_size: int | None = None
    """The most bytes that a file may have; a larger one raises :class:`UploadTooLarge`."""
    expires: timedelta = timedelta(days=1)
    """After how long ``largeobjects prune`` may unlink what a process that was killed has left."""

    chunk_size: int = PART

    def __init__(
        self, request: HttpRequest | None = None, *, alias: str | None = None, max_size: int | None = None
    ) -> None:
        super().__init__(request)
        self._database = upload_database(alias or self.alias)
        self._limit = self.max_size if max_size is None else max_size
        # What files may still be kept in memory, of the whole request.
        self._memory = settings.FILE_UPLOAD_MAX_MEMORY_SIZE
        self._unfinished = set[Unfinished]() if request is None else _unfinished_of(request)
        self._begin_file()

    def _begin_file(self) -> None:
        self._buffer = bytearray()
        self._upload: Unfinished | None = None
        self._sent = 0
        self._sha256 = hashlib.sha256()

    @override
    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file; handlers that stand after this one get none."""
        super().new_file(*args, **kwargs)
        _refuse_in_event_loop()
        self._begin_file()
        raise StopFutureHandlers

    @override
    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Keep the bytes, and send a block once there is one.

        :raises UploadTooLarge: there are more than ``max_size``.
        """
        if self._limit is not None and start + len(raw_data) > self._limit:
            error = UploadTooLarge(f"the file is larger than {self._limit:,} bytes")
            if self.request is not None:
                setattr(self.request, _REFUSED, error)
            raise error
        self._buffer += raw_data
        if len(self._buffer) >= PART:
            self._send()

    @override
    def file_complete(self, file_size: int) -> "UploadedFile[bytes]":
        """Return the upload."""
        name, content_type = self.file_name, self.content_type
        charset, extra = self.charset, self.content_type_extra
        if self._upload is None and file_size <= min(SMALL, self._memory):
            self._memory -= file_size
            content = io.BytesIO(self._buffer)
            return InMemoryUploadedFile(content, self.field_name, name, content_type, file_size, charset, extra)
        return DbUploadedFile(
            self._send(),
            self._sha256.hexdigest(),
            self._unfinished,
            name=name,
            size=file_size,
            content_type=content_type,
            charset=charset,
            content_type_extra=extra,
        )

    def _send(self) -> Unfinished:
        data, self._buffer = bytes(self._buffer), bytearray()
        if self._upload is None:
            self._upload = begin_upload(self._database, data, self.expires)
            self._unfinished.add(self._upload)
            _HERE.unfinished = self._unfinished
        elif data:
            continue_upload(self._database, self._upload.loid, self._sent, data)
        self._sent += len(data)
        self._sha256.update(data)
        return self._upload


class UploadTooLargeMiddleware(MiddlewareMixin):
    """Answers 413 Content Too Large where an upload had more than ``max_size`` bytes. Put it first."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the response, or another one in the place of Django's 400."""
        error: UploadTooLarge | None = getattr(request, _REFUSED, None)
        if error is None or response.status_code != 400:
            return response
        return HttpResponse(f"{error}\n", status=413, content_type="text/plain")


class _Here(threading.local):
    """The uploads of the request whose body the thread has read last."""

    unfinished: set[Unfinished] = set()  # noqa: RUF012 -- it stays empty: each thread sets its own


_HERE: Final = _Here()


def _unfinished_of(request: HttpRequest) -> set[Unfinished]:
    """Return the request's uploads; from now on its end discards those that are in the set then."""
    attributes = vars(request)
    if _UNFINISHED not in attributes:
        unfinished = attributes[_UNFINISHED] = set[Unfinished]()
        # After a response Django calls this, whether a view has failed, and only once a streaming one is over.
        attributes["close"] = partial(_close, request.close, unfinished)
    found: set[Unfinished] = attributes[_UNFINISHED]
    return found


def _close(close: Callable[[], None], unfinished: set[Unfinished]) -> None:
    try:
        close()
    finally:
        _discard(unfinished)


def _refuse_in_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        message = (
            "an asynchronous view reads a body whose files go into the database: read it in a thread, as by"
            " 'await sync_to_async(lambda: request.FILES)()'"
        )
        raise SynchronousOnlyOperation(message)


def _discard(unfinished: set[Unfinished]) -> None:
    """Unlink those that have become no files."""
    left = sorted(unfinished)
    unfinished.clear()
    for (alias, schema), group in groupby(left, lambda upload: (upload.alias, upload.schema)):
        wrapper = connections[alias]
        was_closed = wrapper.connection is None
        try:
            uploads.discard(DatabaseDriver(alias), [upload.loid for upload in group], schema)
        except (Error, OSError):
            _LOGGER.warning("uploads on %r are left for 'largeobjects prune'", alias, exc_info=True)
        finally:
            if was_closed:
                wrapper.close()


def _discard_unclosed(sender: object, **_: object) -> None:
    """Discard the uploads of a request that Django has not closed.

    It closes none whose client was gone before there was a response, under ASGI, nor whose body was read by a response
    that streams. These servers give a thread, or a request's own one, one request at a time; test clients do not.
    """
    if isinstance(sender, type) and issubclass(sender, (ASGIHandler, WSGIHandler)):
        _discard(_HERE.unfinished)


request_finished.connect(_discard_unclosed, dispatch_uid=__name__)
