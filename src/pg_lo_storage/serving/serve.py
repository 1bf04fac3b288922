"""What a request for a stored file is answered, of RFC 9110."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, HttpResponseNotFound
from django.utils.http import http_date

from pg_lo_storage.catalogue import Found
from pg_lo_storage.catalogue.content_types import UNKNOWN
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound, LargeObjectPermissionDenied
from pg_lo_storage.serving import conditions
from pg_lo_storage.serving.conditions import Validators
from pg_lo_storage.serving.presentation import NO_STORE, Presentation
from pg_lo_storage.serving.ranges import Piece, coalesce, content_range, multipart, parse_ranges
from pg_lo_storage.serving.responses import DbFileResponse, WholeResponse
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.storage.saving import SMALL

__all__ = ["METHODS", "not_found", "respond"]

METHODS: Final = ("GET", "HEAD", "OPTIONS")

# Bytes of a large file that are sent first: a backend that is new takes long for more.
_START: Final = 64 * 1024
# Of a file that others change all the time: then the client is asked to come back.
_ATTEMPTS: Final = 3
# RFC 9110, 15.4.5.
_NOT_MODIFIED: Final = {"cache-control", "content-location", "etag", "expires", "last-modified", "vary"}


def respond(request: HttpRequest, name: str, storage: DbFileStorage, presentation: Presentation) -> HttpResponseBase:
    """Answer the request with the file, a part of it, or why not; 404 for whatever is no file."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS, headers=NO_STORE)
    if request.method == "OPTIONS":
        return HttpResponse(headers={"Allow": ", ".join(METHODS), "Content-Length": "0"} | NO_STORE)
    for _ in range(_ATTEMPTS):
        try:
            return _respond(request, name, storage, presentation)
        except (LargeObjectNotFound, LargeObjectPermissionDenied):
            return not_found()
        except LargeObjectConflict:
            # Between its being found and its first block; nothing is promised yet.
            continue
    return HttpResponse(status=503, headers={"Retry-After": "1"} | NO_STORE)


def not_found() -> HttpResponseNotFound:
    """Return the answer for what is no file, or not for this user; no cache is to repeat it to others."""
    return HttpResponseNotFound(headers=NO_STORE)


def _respond(request: HttpRequest, name: str, storage: DbFileStorage, presentation: Presentation) -> HttpResponseBase:
    if request.method == "GET" and not any(header in request.headers for header in conditions.CONDITIONAL):
        found = storage.find(name, SMALL, _START)
    else:
        found = storage.locate(name)
    start, size = found.start, found.size
    validators = Validators.of(found.entry)
    headers = _headers(request, name, presentation, found, validators)
    if (status := conditions.evaluate(request, validators)) is not None:
        kept = {header: value for header, value in headers.items() if header.lower() in _NOT_MODIFIED}
        return _without_content(status, kept)
    wanted = None
    if request.method == "GET" and conditions.allows_range(request, validators):
        wanted = parse_ranges(request.headers.get("Range", ""), size, presentation.max_ranges)
    if wanted is None:
        headers["Content-Length"] = str(size)
        if request.method == "HEAD":
            return WholeResponse(b"", headers=headers)
        if size <= SMALL:
            whole = start if found.is_whole else b"".join(found.read(range(size)))
            return WholeResponse(whole, headers=headers)
        return _stream(found, [range(len(start), size)], 200, headers, start)
    if not wanted:
        headers = {header: headers[header] for header in ("Accept-Ranges", "Cache-Control") if header in headers}
        return _without_content(416, headers | {"Content-Range": f"bytes */{size}"})
    return _respond_in_part(found, coalesce(wanted), headers)


def _headers(
    request: HttpRequest,
    name: str,
    presentation: Presentation,
    found: Found,
    validators: Validators,
) -> dict[str, str]:
    headers = presentation.headers_of(name, found.entry) | {"Accept-Ranges": "bytes"}
    optional = {
        "ETag": validators.etag,
        "Last-Modified": None if validators.last_modified is None else http_date(validators.last_modified),
        "Repr-Digest": conditions.repr_digest(request, found.entry),
    }
    if getattr(getattr(request, "session", None), "accessed", False):
        headers["Vary"] = "Cookie"  # it decided, as far as anybody can tell
    headers |= {header: value for header, value in optional.items() if value is not None}
    return _changed(headers, presentation.headers)


def _changed(headers: dict[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    spelled = {header.lower(): header for header in headers}
    changed = {**headers, **{spelled.get(header.lower(), header): value for header, value in changes.items()}}
    return {header: value for header, value in changed.items() if value is not None}


def _without_content(status: int, headers: dict[str, str]) -> HttpResponse:
    response = HttpResponse(status=status, headers=headers)
    del response.headers["Content-Type"]  # Django's default
    return response


def _respond_in_part(found: Found, wanted: list[range], headers: dict[str, str]) -> HttpResponseBase:
    if len(wanted) == 1:
        pieces: list[Piece] = [*wanted]
        headers["Content-Range"] = content_range(wanted[0], found.size)
    else:
        content_type = headers.get("Content-Type", UNKNOWN)
        headers["Content-Type"], pieces = multipart(wanted, found.size, content_type)
    headers["Content-Length"] = str(sum(map(len, pieces)))
    return _stream(found, pieces, 206, headers)


def _stream(
    found: Found, pieces: list[Piece], status: int, headers: dict[str, str], start: bytes = b""
) -> DbFileResponse:
    rest = iter(pieces)
    first: list[Piece] = [start] if start else []
    while not start:
        # Read now, so that a file which is gone is not found, rather than promised.
        piece = next(rest)
        if isinstance(piece, bytes):
            first.append(piece)
        else:
            [start] = found.read(piece[:BLOCK])
            first += [start, piece[BLOCK:]]
    # What was read with it is not to stay in memory for as long as a slow client reads.
    without_start = dataclasses.replace(found, start=b"")
    return DbFileResponse(without_start, itertools.chain(first, rest), status=status, headers=headers)
