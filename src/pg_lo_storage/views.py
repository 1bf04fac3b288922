"""Views that serve stored files; the caller decides beforehand who may read them."""

import functools
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Final, ParamSpec

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase, HttpResponseForbidden

from pg_lo_storage.http.presentation import INLINE_TYPES, NO_STORE, Presentation
from pg_lo_storage.http.ranges import MAX_RANGES
from pg_lo_storage.serving.class_views import DbFileView
from pg_lo_storage.serving.serve import respond
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.storage.signing import read_signature

__all__ = ["INLINE_TYPES", "DbFileView", "adb_serve", "db_serve", "db_serve_signed"]


_P = ParamSpec("_P")


def _awaited(view: Callable[_P, HttpResponseBase]) -> Callable[_P, Coroutine[object, object, HttpResponseBase]]:
    @functools.wraps(view)
    async def awaited(*args: _P.args, **kwargs: _P.kwargs) -> HttpResponseBase:
        return await sync_to_async(view)(*args, **kwargs)

    awaited.__name__ = awaited.__qualname__ = f"a{view.__name__}"
    awaited.__doc__ = f":func:`{view.__name__}`, awaited."
    return awaited


def db_serve(
    request: HttpRequest,
    filename: str,
    *,
    storage: DbFileStorage = db_file_storage,
    as_attachment: bool | None = None,
    download_name: str | None = None,
    content_type: str | None = None,
    inline_types: Collection[str] = INLINE_TYPES,
    max_ranges: int = MAX_RANGES,
    headers: Mapping[str, str | None] | None = None,
) -> HttpResponseBase:
    """Serve a stored file by RFC 9110: conditions, ranges, validators; a name of no file is a 404.

    The body is read block by block, in no transaction of its own. ``as_attachment`` offers the file for download
    (default: all types but ``inline_types``, in which ``"video/*"`` stands for all of a kind), as ``download_name``
    (default: the original name; without the catalogue, ``filename``). ``content_type`` replaces the catalogue's. A
    request for more than ``max_ranges`` ranges gets the whole file. ``headers`` replace the response's own; ``None``
    removes one.
    """
    presentation = Presentation(as_attachment, download_name, content_type, inline_types, max_ranges, headers or {})
    return respond(request, filename, storage, presentation)


adb_serve: Final = _awaited(db_serve)


def db_serve_signed(
    request: HttpRequest,
    filename: str,
    *,
    storage: DbFileStorage,
    as_attachment: bool | None = None,
    download_name: str | None = None,
    content_type: str | None = None,
    inline_types: Collection[str] = INLINE_TYPES,
    max_ranges: int = MAX_RANGES,
    headers: Mapping[str, str | None] | None = None,
) -> HttpResponseBase:
    """:func:`db_serve` for a URL that ``storage`` signed for this file, and that has not expired.

    Any other URL gets an empty 403, without a query, whether there is such a file or not. The URL's ``as_attachment``
    goes before the argument. While the URL is valid, browsers may keep the file, and pages of other sites may show it.
    """
    query: str = request.META.get("QUERY_STRING", "")
    grant = read_signature(query, filename, base_url=storage.base_url or "", alias=storage.write_alias)
    placed = storage if grant is None or grant.row_alias is None else storage.for_row_on(grant.row_alias)
    if grant is None or placed is None:
        return HttpResponseForbidden(headers=NO_STORE)
    if grant.as_attachment is not None:
        as_attachment = grant.as_attachment
    by_default = {
        "Cache-Control": f"private, max-age={grant.seconds_left}",
        "Cross-Origin-Resource-Policy": "cross-origin",
        # The URL is the key: pages that the file links to must not see it.
        "Referrer-Policy": "no-referrer",
    }
    replaced = {header.lower() for header in headers or ()}
    kept = {header: value for header, value in by_default.items() if header.lower() not in replaced}
    headers = kept | dict(headers or {})
    presentation = Presentation(as_attachment, download_name, content_type, inline_types, max_ranges, headers)
    return respond(request, filename, placed, presentation)
