"""An empty view, and the contender's view of a stored file."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path


def empty(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 -- Django's signature
    """Answer at once."""
    return HttpResponse(b"x")


def serve(request: HttpRequest, filename: str) -> HttpResponseBase:
    """Send a stored file."""
    # Both versions of the library have this view; other contenders do not serve.
    from pg_lo_storage.views import db_serve

    return db_serve(request, filename)


urlpatterns = [path("empty/", empty), path("files/<filename>", serve)]
