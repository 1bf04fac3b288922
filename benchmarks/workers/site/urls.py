"""An empty view, the contender's view of a stored file, and its view of a row's."""

from typing import cast

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path

from benchmarks.workers.site.models import STORE, Blob, Paper


def empty(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 -- Django's signature
    """Answer at once."""
    return HttpResponse(b"x")


def serve(request: HttpRequest, filename: str) -> HttpResponseBase:
    """Send a stored file."""
    # Both versions of the library have this view; other contenders do not serve.
    from pg_lo_storage.views import db_serve

    return db_serve(request, filename)


def new(request: HttpRequest, name: str) -> HttpResponse:  # noqa: ARG001 -- Django's signature
    """Make a row for a stored file, and tell its key; of a ``BinaryField`` the file is in a row already."""
    return HttpResponse(name if STORE == "bytea" else str(Paper.objects.create(data=name).pk))


def row(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the file of a row."""
    if STORE == "bytea":
        content = cast("bytes", get_object_or_404(Blob, pk=pk).content)
        return HttpResponse(bytes(content), headers={"Content-Length": str(len(content))})
    paper = get_object_or_404(Paper, pk=pk)
    if STORE in {"own", "predecessor"}:
        return serve(request, str(paper.data.name))
    if STORE == "db_file_storage":  # which does not tell how large a file is
        content = cast("bytes", paper.data.read())
        return HttpResponse(content, headers={"Content-Length": str(len(content))})
    return FileResponse(paper.data.open())


urlpatterns = [
    path("empty/", empty),
    path("files/<filename>", serve),
    path("new/<path:name>", new),
    path("row/<int:pk>", row),
]
if settings.JOB.store == "own":
    from pg_lo_storage.views import DbFileView

    urlpatterns.append(path("view/<int:pk>", DbFileView.as_view(model=Paper, field="data")))
