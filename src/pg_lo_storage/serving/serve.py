"""What a request for a stored file is answered, of RFC 9110."""

import itertools
from collections.abc import Mapping
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, HttpResponseNotFound
from django.utils.http import http_date

from pg_lo_storage.catalogue.content_types import UNKNOWN
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound, LargeObjectPermissionDenied
from pg_lo_storage.serving import conditions
from pg_lo_storage.serving.conditions import Validators
from pg_lo_storage.serving.presentation import NO_STORE, Presentation
from pg_lo_storage.serving.ranges import Piece, coalesce, content_range, multipart, parse_ranges
from pg_lo_storage.serving.representation import Representation, find, find_with_start
from pg_lo_storage.serving.responses import DbFileResponse, WholeResponse
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.storage.saving import SMALL

__all__ = ["METHODS", "not_found", "respond"]

METHODS: Final = ("GET", "HEAD", "OPTIONS")

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
        representation, start = find_with_start(storage, name)
    else:
        representation, start = find(storage, name), b""
    entry, size = representation.located.entry, representation.size
    validators = Validators.of(entry)
    headers = _headers(request, name, presentation, representation, validators)
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
            whole = start if len(start) == size else b"".join(representation.read(range(size)))
            return WholeResponse(whole, headers=headers)
        return _stream(representation, [range(len(start), size)], 200, headers, start)
    if not wanted:
        headers = {header: headers[header] for header in ("Accept-Ranges", "Cache-Control") if header in headers}
        return _without_content(416, headers | {"Content-Range": f"bytes */{size}"})
    return _respond_in_part(representation, coalesce(wanted), headers)


def _headers(
    request: HttpRequest,
    name: str,
    presentation: Presentation,
    representation: Representation,
    validators: Validators,
) -> dict[str, str]:
    entry = representation.located.entry
    headers = presentation.headers_of(name, entry) | {"Accept-Ranges": "bytes"}
    optional = {
        "ETag": validators.etag,
        "Last-Modified": None if validators.last_modified is None else http_date(validators.last_modified),
        "Repr-Digest": conditions.repr_digest(request, entry),
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


def _respond_in_part(representation: Representation, wanted: list[range], headers: dict[str, str]) -> HttpResponseBase:
    if len(wanted) == 1:
        pieces: list[Piece] = [*wanted]
        headers["Content-Range"] = content_range(wanted[0], representation.size)
    else:
        content_type = headers.get("Content-Type", UNKNOWN)
        headers["Content-Type"], pieces = multipart(wanted, representation.size, content_type)
    headers["Content-Length"] = str(sum(map(len, pieces)))
    return _stream(representation, pieces, 206, headers)


def _stream(
    representation: Representation, pieces: list[Piece], status: int, headers: dict[str, str], start: bytes = b""
) -> DbFileResponse:
    rest = iter(pieces)
    first: list[Piece] = [start] if start else []
    while not start:
        # Read now, so that a file which is gone is not found, rather than promised.
        piece = next(rest)
        if isinstance(piece, bytes):
            first.append(piece)
        else:
            [start] = representation.read(piece[:BLOCK])
            first += [start, piece[BLOCK:]]
    return DbFileResponse(representation, itertools.chain(first, rest), status=status, headers=headers)
