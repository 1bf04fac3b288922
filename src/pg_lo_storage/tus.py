"""Resumable uploads into the database, by the tus protocol 1.0: https://tus.io/protocols/resumable-upload.

A client goes on after a cut where it was, with another request. The bytes are appended to a large object that has a row
among the unfinished uploads, some at a time, each time in a transaction of its own: none is open while a slow client
sends. Its size is the offset, so that both are one. A form takes the finished upload over, in its row's transaction.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.core.exceptions import BadRequest, ImproperlyConfigured
from django.core.files.uploadedfile import UploadedFile
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.utils.datastructures import MultiValueDict
from django.views.generic import View
from typing_extensions import override

from pg_lo_storage.catalogue import uploads
from pg_lo_storage.catalogue.uploads import Announced, Resumable, Unfinished
from pg_lo_storage.databases.atomic_blocks import atomic
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.http import tus as protocol
from pg_lo_storage.http.tus import Refused
from pg_lo_storage.names import original_name_of
from pg_lo_storage.storage import DbUploadedFile
from pg_lo_storage.storage.saving import PART, begin_upload, continue_upload
from pg_lo_storage.storage.uploads import upload_database

if TYPE_CHECKING:
    _Files = MultiValueDict[str, UploadedFile[bytes]]
else:
    _Files = MultiValueDict

__all__ = ["TusUpload", "finished", "with_finished"]

_TOGETHER: Final = 4 * PART
"""Bytes that are appended in one transaction, and kept in memory until then."""

_READ: Final = 64 * 1024
"""Bytes that are read at a time: where the connection is reset, as many may be lost."""

_PARAMETER: Final = "upload"
_NOT_FOUND: Final = "there is no such upload"


class TusUpload(View):
    """Takes uploads that a client may interrupt and resume, each its user's own: ``path("up/", TusUpload.as_view())``.

    Who is not signed in gets 403, and of others' uploads 404. An upload's URL is the view's with a key in its query.
    :func:`finished` and :func:`with_finished` return what has arrived whole.
    """

    alias: str | None = None
    """The database; ``None`` is that of the settings. A file that is saved on another is copied there."""
    max_size: int | None = None
    """The most bytes that an upload may have; a larger one is refused with 413 when it is announced."""
    expires: timedelta = timedelta(days=1)
    """How long after its last bytes an upload expires; ``largeobjects prune`` unlinks it then."""
    max_unfinished: int = 100
    """The most uploads that a user may have which no form has taken over; one more is refused with 429."""

    http_method_names: Sequence[str] = ("options", "post", "head", "patch", "delete")

    @override
    @classmethod
    def as_view(cls, **initkwargs: object) -> Callable[..., HttpResponseBase]:
        """Return the view; the arguments replace the class's attributes. It is in no transaction of its requests."""
        view = super().as_view(**initkwargs)
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Answer, and say what the protocol wants in every answer."""
        try:
            if request.method in {"POST", "HEAD", "PATCH", "DELETE"}:
                protocol.require_version(request.headers.get("Tus-Resumable"))
                self._owner = _owner_of(request)
                self._database = upload_database(self.alias)
            response = super().dispatch(request, *args, **kwargs)
        except Refused as refusal:
            response = _refusal(refusal)
        except LargeObjectNotFound:  # somebody unlinked it past us
            response = _refusal(Refused(410, "the upload is gone"))
        response["Tus-Resumable"] = protocol.VERSION
        response["Cache-Control"] = "no-store"
        return response

    @override
    def options(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Tell what is spoken here."""
        return HttpResponse(status=204, headers=protocol.capabilities(self.max_size))

    def post(self, request: HttpRequest, *_args: object, **_kwargs: object) -> HttpResponse:
        """Begin an upload; a body has its first bytes."""
        length = protocol.parse_length("Upload-Length", request.headers.get("Upload-Length"))
        if self.max_size is not None and length > self.max_size:
            raise Refused(413, f"the upload is larger than {self.max_size:,} bytes")
        metadata = protocol.parse_metadata(request.headers.get("Upload-Metadata", ""))
        self._make_room()
        key = str(uuid.uuid4())
        about = Announced(key, self._owner, metadata.get("filename", ""), metadata.get("filetype", ""), length)
        loid = begin_upload(self._database, b"", self.expires, about).loid
        offset = 0
        if request.content_type == protocol.CHUNK_TYPE:
            try:
                offset = self._receive(self._find(key), key, 0)
            except Refused:
                uploads.discard(self._database, [loid])
                raise
        headers = {"Location": f"{request.path}?{_PARAMETER}={key}"}
        return self._answer(201, self._find(key), {**headers, "Upload-Offset": str(offset)})

    def head(self, request: HttpRequest, *_args: object, **_kwargs: object) -> HttpResponse:
        """Tell how far the upload has come."""
        upload = self._find(_key_of(request))
        told = {"Upload-Offset": str(self._database.size(upload.loid)), "Upload-Length": str(upload.length)}
        metadata = protocol.format_metadata({"filename": upload.original_name, "filetype": upload.content_type})
        return self._answer(200, upload, told | ({"Upload-Metadata": metadata} if metadata else {}))

    def patch(self, request: HttpRequest, *_args: object, **_kwargs: object) -> HttpResponse:
        """Append the body. Where the client is cut, what has arrived is kept."""
        protocol.require_chunk(request.content_type)
        key = _key_of(request)
        offset = protocol.parse_length("Upload-Offset", request.headers.get("Upload-Offset"))
        offset = self._receive(self._find(key), key, offset)
        return self._answer(204, self._find(key), {"Upload-Offset": str(offset)})

    def delete(self, request: HttpRequest, *_args: object, **_kwargs: object) -> HttpResponse:
        """Unlink the upload."""
        uploads.discard(self._database, [self._find(_key_of(request)).loid])
        return HttpResponse(status=204)

    def _make_room(self) -> None:
        """Unlink the user's expired uploads, and refuse one too many."""
        unfinished, expired = uploads.owned(self._database, self._owner)
        uploads.discard(self._database, expired, only_expired=True)
        if len(unfinished) >= self.max_unfinished:
            raise Refused(429, f"there are {self.max_unfinished} unfinished uploads: finish or delete one")

    def _find(self, key: str) -> Resumable:
        upload = uploads.find(self._database, key, self._owner)
        if upload is None:
            raise Refused(404, _NOT_FOUND)
        if upload.has_expired:
            raise Refused(410, "the upload has expired")
        return upload

    def _receive(self, upload: Resumable, key: str, offset: int) -> int:
        """Append what the request brings, and return the offset after it; with a checksum all of it, or nothing."""
        if self._database.size(upload.loid) != offset:
            raise Refused(409, "the upload has another offset: ask for it by HEAD")
        checksum = protocol.parse_checksum(self.request.headers.get("Upload-Checksum"))
        announced = protocol.parse_length("Content-Length", self.request.META.get("CONTENT_LENGTH") or "0")
        if self.request.headers.get("Transfer-Encoding"):  # Django reads no such body under WSGI
            raise Refused(411, "the request has to have a Content-Length")
        _require_fits(upload, offset + announced)
        if checksum is None:
            for block in _blocks(self.request):
                offset = self._append(upload, key, offset, block)
            return offset
        digest = hashlib.new(checksum.algorithm, usedforsecurity=False)
        with atomic(self._database.alias):
            for block in _blocks(self.request):
                digest.update(block)
                offset = self._append(upload, key, offset, block)
            checksum.verify(digest.digest())
        return offset

    def _append(self, upload: Resumable, key: str, offset: int, block: bytes) -> int:
        """Append a block in one transaction: another request may have gone on with the upload meanwhile."""
        # No client over HTTP/2 has to announce how much comes.
        _require_fits(upload, offset + len(block))
        with atomic(self._database.alias):
            if not uploads.hold(self._database, upload.loid, key, self.expires):
                self._find(key)
                raise Refused(423, "another request appends to the upload")
            if self._database.size(upload.loid) != offset:
                raise Refused(409, "another request has appended to the upload")
            continue_upload(self._database, upload.loid, offset, block)
        return offset + len(block)

    def _answer(self, status: int, upload: Resumable, headers: dict[str, str]) -> HttpResponse:
        expires = {"Upload-Expires": protocol.format_expires(upload.expires_at)}
        return HttpResponse(status=status, headers=headers | expires)


def finished(request: HttpRequest, upload: str, *, alias: str | None = None) -> DbUploadedFile:
    """Return a finished upload of the request's user, which ``storage.save()`` or a form takes over without copying.

    ``upload`` is its URL, or the key that this ends with. Until its row's transaction is committed it stays what it is,
    so that a form that was invalid may be sent again.

    :raises BadRequest: it is none of this user's, has not arrived whole, or has expired.
    """
    database = upload_database(alias)
    try:
        key = str(uuid.UUID(upload.rpartition("=")[2]))
        found = uploads.find(database, key, _owner_of(request))
        size = -1 if found is None else database.size(found.loid)
    except (ValueError, Refused, LargeObjectNotFound):
        found, size = None, -1
    if found is None or found.has_expired or size != found.length:
        message = "the upload is not there, or not whole: it may have expired"
        raise BadRequest(message)
    unfinished = Unfinished(database.alias, "", found.loid)
    name, content_type = _name_of(found.original_name), found.content_type
    return DbUploadedFile(unfinished, None, set(), name=name, size=size, content_type=content_type)


def with_finished(request: HttpRequest, *fields: str, alias: str | None = None) -> _Files:
    """Return the request's files, and as files of ``fields`` the finished uploads that its other data name there.

    So any form takes both: ``InvoiceForm(request.POST, with_finished(request, "data"))``.

    :raises BadRequest: a field names what is none; see :func:`finished`.
    """
    files = request.FILES.copy()
    for field in fields:
        for upload in filter(None, request.POST.getlist(field)):
            files.appendlist(field, finished(request, upload, alias=alias))
    return files


def _name_of(original: str) -> str:
    """Return a file's name as Django takes it of a form: without folders, and what cannot be printed."""
    name = "".join(filter(str.isprintable, original_name_of(original))).strip()
    return name if name.strip(".") else "upload"


def _owner_of(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    if user is None:
        message = "resumable uploads belong to users: they need AuthenticationMiddleware"
        raise ImproperlyConfigured(message)
    if not user.is_authenticated:
        raise Refused(403, "sign in to upload")
    return str(user.pk)


def _require_fits(upload: Resumable, end: int) -> None:
    if end > upload.length:
        raise Refused(413, f"the upload was to have {upload.length:,} bytes")


def _key_of(request: HttpRequest) -> str:
    try:
        return str(uuid.UUID(request.GET.get(_PARAMETER, "")))
    except ValueError:
        raise Refused(404, _NOT_FOUND) from None


def _blocks(request: HttpRequest) -> Iterator[bytes]:
    """Yield the body; of a client that is cut, what has arrived."""
    gathered = bytearray()
    while data := _read(request):
        gathered += data
        if len(gathered) >= _TOGETHER:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _read(request: HttpRequest) -> bytes:
    try:
        return request.read(_READ)
    except UnreadablePostError:
        return b""


def _refusal(refusal: Refused) -> HttpResponse:
    content, headers = f"{refusal}\n", {"Content-Type": "text/plain; charset=utf-8", **refusal.headers}
    return HttpResponse(content, status=refusal.status, reason=refusal.reason, headers=headers)
