"""Views that take resumable uploads, and a form that takes them over."""

from datetime import timedelta

from django.forms.models import modelform_factory
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from pg_lo_storage.tus import TusUpload, finished, with_finished
from tests.invoices.models import Invoice


def resumed(request: HttpRequest) -> HttpResponse:
    """Save a row by its form."""
    form = modelform_factory(Invoice, fields=["data", "owner"])(request.POST, with_finished(request, "data"))
    if not form.is_valid():
        return JsonResponse(form.errors, status=422)
    return JsonResponse({"data": form.save().data.name})


def from_other(request: HttpRequest) -> HttpResponse:
    """Save an upload that is on another database."""
    upload = finished(request, request.POST["data"], alias="other")
    return JsonResponse({"data": Invoice.objects.create(data=upload).data.name})


urlpatterns = [
    path("up/", TusUpload.as_view(expires=timedelta(hours=1))),
    path("limited/", TusUpload.as_view(max_size=1_000, max_unfinished=2)),
    path("other/", TusUpload.as_view(alias="other")),
    path("resumed/", resumed),
    path("from-other/", from_other),
]
