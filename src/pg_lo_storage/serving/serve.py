"""Answers a request for a stored file, by RFC 9110."""

from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, HttpResponseNotFound

from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound, LargeObjectPermissionDenied
from pg_lo_storage.http.answer import answer
from pg_lo_storage.http.conditions import CONDITIONAL, HEARD
from pg_lo_storage.http.finding import facts_of
from pg_lo_storage.http.presentation import NO_STORE, Presentation
from pg_lo_storage.serving.old_files import respond_old
from pg_lo_storage.serving.responses import response_of
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.storage.saving import SMALL

__all__ = ["METHODS", "not_found", "respond"]

METHODS: Final = ("GET", "HEAD", "OPTIONS")

# Where Django has a request's header.
_HEARD: Final = {name: f"HTTP_{name.replace('-', '_').upper()}" for name in HEARD}
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
    vary = "Cookie" if used_session else None  # it may have decided who reads the file
    # Not request.headers, which would be made of all that the client has sent.
    headers = {name: request.META[key] for name, key in _HEARD.items() if key in request.META}
    needs_content = request.method == "GET" and CONDITIONAL.isdisjoint(headers)
    for _ in range(_ATTEMPTS):
        try:
            found = storage.find(name, SMALL, _START) if needs_content else storage.locate(name)
            facts = facts_of(name, found.loid, found.size, found.entry)
            made = answer(request.method, headers, facts, presentation, vary=vary)
            return response_of(made, found)
        except (LargeObjectNotFound, LargeObjectPermissionDenied):
            old = respond_old(request, name, storage, presentation, vary) if storage.legacy is not None else None
            return old or not_found()
        except LargeObjectConflict:
            # The file was changed between being found and its first block; nothing is promised yet.
            continue
    return HttpResponse(status=503, headers={"Retry-After": "1"} | NO_STORE)


def not_found() -> HttpResponseNotFound:
    """Return the answer for no file, or none that this user may read; no cache may repeat it to others."""
    return HttpResponseNotFound(headers=NO_STORE)
