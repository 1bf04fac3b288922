"""Views that take uploads, as projects write them; a real server runs them too."""

import hashlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from django.core.files.storage import InMemoryStorage
from django.core.files.uploadedfile import UploadedFile
from django.db import connections, transaction
from django.forms.models import modelform_factory
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.uploadhandler import DbFileUploadHandler
from tests.invoices.models import Invoice
from tests.uploads import resumable


class Limited(DbFileUploadHandler):
    """One with a limit."""

    max_size = 1_000_000


def only(request: HttpRequest, field: str) -> "UploadedFile[bytes]":
    """Return the one file of a field."""
    [file] = request.FILES.getlist(field)
    return file


def form(request: HttpRequest) -> HttpResponse:
    """Save a row by its form."""
    bound = modelform_factory(Invoice, fields=["data", "plain", "elsewhere"])(request.POST, request.FILES)
    if not bound.is_valid():
        return JsonResponse(bound.errors, status=422)
    invoice = bound.save()
    return JsonResponse({"pk": invoice.pk, "data": invoice.data.name})


def look(request: HttpRequest) -> HttpResponse:
    """Read what came, and keep none of it."""
    return JsonResponse({key: [type(file).__name__ for file in files] for key, files in request.FILES.lists()})


def fail(request: HttpRequest) -> HttpResponse:
    """Save, and fail."""
    with transaction.atomic():
        form(request)
        raise RuntimeError


def killed(request: HttpRequest) -> HttpResponse:
    """Be killed with the body read, in autocommit, and the row not yet committed."""
    assert request.FILES
    with transaction.atomic():
        form(request)
        os.kill(os.getpid(), signal.SIGKILL)
    return HttpResponse()


def invalid(request: HttpRequest) -> HttpResponse:
    """Find the form invalid."""
    bound = modelform_factory(Invoice, fields=["data", "owner"])({"owner": "nobody"}, request.FILES)
    return JsonResponse(bound.errors, status=422)


def several(request: HttpRequest) -> HttpResponse:
    """Save several files, on several storages."""
    stored = InMemoryStorage()
    name = stored.save("march.pdf", only(request, "memory"))
    with stored.open(name) as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return JsonResponse(
        {
            "data": [db_file_storage.save(file.name, file) for file in request.FILES.getlist("data")],
            "other": DbFileStorage(alias="other").save("march.pdf", only(request, "other")),
            "memory": digest,
        }
    )


def twice(request: HttpRequest) -> HttpResponse:
    """Save a file in two rows' fields, and read it."""
    upload = only(request, "data")
    first, second = Invoice.objects.create(data=upload), Invoice.objects.create(plain=upload)
    digest = hashlib.sha256(b"".join(upload.chunks())).hexdigest()
    return JsonResponse([first.data.name, second.plain.name, digest], safe=False)


def again(request: HttpRequest) -> HttpResponse:
    """Save a file, roll that back, and save it again."""
    upload = only(request, "data")
    first = Invoice(data=upload)
    with suppress(ValueError), transaction.atomic():
        first.save()
        raise ValueError
    return JsonResponse([first.data.name, Invoice.objects.create(data=upload).data.name], safe=False)


def thread(request: HttpRequest) -> HttpResponse:
    """Read the body in a thread."""
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(look, request).result()
        pool.submit(connections.close_all).result()
    return response


def echo(request: HttpRequest) -> StreamingHttpResponse:
    """Send back what came."""
    return StreamingHttpResponse(only(request, "data").chunks())


def streamed(request: HttpRequest) -> HttpResponse:
    """Read the body as a stream, and then ask for its files."""
    return JsonResponse([len(request.read()) > 0, len(request.FILES)], safe=False)


def whole(request: HttpRequest) -> HttpResponse:
    """Read the body at once, and then save its form."""
    assert request.body
    return form(request)


VIEWS = (streamed, whole, form, look, fail, killed, invalid, several, twice, again, thread, echo)
urlpatterns = [*(path(f"{view.__name__}/", csrf_exempt(view)) for view in VIEWS), *resumable.urlpatterns]
