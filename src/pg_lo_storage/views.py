"""Views that serve stored files; who may read them is for the caller to decide, before."""

import itertools
from typing import Final

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseNotFound,
)
from django.utils.http import content_disposition_header

from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.exceptions import LargeObjectNotFound, LargeObjectPermissionDenied
from pg_lo_storage.http import DbFileResponse, parse_range, read_blocks
from pg_lo_storage.saving import SMALL
from pg_lo_storage.storage import DbFileStorage, db_file_storage

__all__ = ["db_serve"]

# What a browser shows without running anything in it. All else is offered for download.
_INLINE: Final = {
    "application/pdf",
    "text/plain",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
}
_INLINE_PREFIXES: Final = ("audio/", "video/")


def db_serve(
    request: HttpRequest,
    filename: str,
    *,
    storage: DbFileStorage = db_file_storage,
    as_attachment: bool | None = None,
    download_name: str | None = None,
) -> HttpResponseBase:
    """Serve a stored file by its name: GET and HEAD, whole or one range, 404 for whatever is no file.

    The body is read block by block, in no transaction. ``as_attachment`` offers it for download (default: all but
    images, audio, video, PDF and plain text), as ``download_name`` (default: ``filename``).
    """
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    try:
        response = _respond(request, storage, filename)
    except (LargeObjectNotFound, LargeObjectPermissionDenied):
        return HttpResponseNotFound()
    content_type = content_type_of(filename)
    if as_attachment is None:
        as_attachment = content_type not in _INLINE and not content_type.startswith(_INLINE_PREFIXES)
    shown_name = "".join(character for character in download_name or filename if character.isprintable())
    response.headers["Content-Type"] = content_type
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment, shown_name) or "inline"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private"
    response.headers["Accept-Ranges"] = "bytes"
    return response


def _respond(request: HttpRequest, storage: DbFileStorage, filename: str) -> HttpResponseBase:
    head = b""
    if request.method == "GET" and "Range" not in request.headers:
        # One byte more than is needed tells a small file from the start of a larger one.
        located, head = storage.read_block(filename, SMALL + 1)
        if len(head) <= SMALL:
            return HttpResponse(head, headers={"Content-Length": str(len(head))})
        size = located.database.size(located.loid)
    else:
        located, size = storage.locate(filename)
    wanted, status, headers = range(size), 200, {}
    # If-Range never matches: without a catalogue there is no validator to compare.
    if request.method == "GET" and "If-Range" not in request.headers:
        found = parse_range(request.headers.get("Range", ""), size)
        if found is not None and not found:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        if found is not None:
            wanted, status = found, 206
            headers["Content-Range"] = f"bytes {found.start}-{found.stop - 1}/{size}"
    headers["Content-Length"] = str(len(wanted))
    if request.method == "HEAD":
        return HttpResponse(headers=headers)
    blocks = itertools.chain([head] if head else [], read_blocks(located.database, located.loid, wanted[len(head) :]))
    return DbFileResponse(blocks, status=status, headers=headers)
