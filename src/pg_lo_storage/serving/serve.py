"""Answers a request for a stored file, by RFC 9110."""

from collections.abc import Mapping
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, HttpResponseNotFound

from pg_lo_storage.catalogue import Found
from pg_lo_storage.content_types import UNKNOWN, content_type_of
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound, LargeObjectPermissionDenied
from pg_lo_storage.http.answer import Answer, answer
from pg_lo_storage.http.conditions import CONDITIONAL
from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.presentation import NO_STORE, Presentation, printable
from pg_lo_storage.serving.responses import response_of
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.storage.saving import SMALL

__all__ = ["METHODS", "answer_to", "facts_of", "not_found", "respond"]

METHODS: Final = ("GET", "HEAD", "OPTIONS")

# Bytes of a large file that are sent first: a new backend takes long to read more.
_START: Final = 64 * 1024
# Attempts to read a file that others keep changing; then the client is asked to come back.
_ATTEMPTS: Final = 3


def respond(request: HttpRequest, name: str, storage: DbFileStorage, presentation: Presentation) -> HttpResponseBase:
    """Answer the request with the file, a part of it, or an error; a name of no file is a 404."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS, headers=NO_STORE)
    if request.method == "OPTIONS":
        return HttpResponse(headers={"Allow": ", ".join(METHODS), "Content-Length": "0"} | NO_STORE)
    used_session = bool(getattr(getattr(request, "session", None), "accessed", False))
    needs_content = request.method == "GET" and not any(header in request.headers for header in CONDITIONAL)
    for _ in range(_ATTEMPTS):
        try:
            found = storage.find(name, SMALL, _START) if needs_content else storage.locate(name)
            made = answer_to(request.method, request.headers, name, found, presentation, used_session=used_session)
            return response_of(made, found)
        except (LargeObjectNotFound, LargeObjectPermissionDenied):
            return not_found()
        except LargeObjectConflict:
            # The file was changed between being found and its first block; nothing is promised yet.
            continue
    return HttpResponse(status=503, headers={"Retry-After": "1"} | NO_STORE)


def answer_to(
    method: str,
    headers: Mapping[str, str],
    name: str,
    found: Found,
    presentation: Presentation,
    *,
    used_session: bool = False,
) -> Answer:
    """Answer a ``GET`` or ``HEAD`` of the file ``name``."""
    # The session may have decided who reads the file.
    return answer(method, headers, facts_of(name, found), presentation, vary="Cookie" if used_session else None)


def facts_of(name: str, found: Found) -> FileFacts:
    """Return what is known of the file ``name``."""
    entry = found.entry
    if entry is None:
        return FileFacts(found.loid, found.size, name)
    content_type = content_type_of("", entry.content_type)
    if entry.extension is None and content_type == UNKNOWN:
        # DbFileIO made the object without a name: any extension names it, and the catalogue has no type.
        content_type = content_type_of(name)
    return FileFacts(
        found.loid,
        found.size,
        printable(entry.original_name) or name,
        content_type,
        entry.sha256,
        entry.version,
        entry.modified_at,
        written_once=entry.modified_at == entry.created_at,
        is_catalogued=True,
    )


def not_found() -> HttpResponseNotFound:
    """Return the answer for no file, or none that this user may read; no cache may repeat it to others."""
    return HttpResponseNotFound(headers=NO_STORE)
