from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path

from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.views import DbFileView, adb_serve, db_serve, db_serve_signed
from tests.invoices.models import Invoice, Note


def empty(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.GET["html"])


def query(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(Note.objects.filter(pk=0))


urlpatterns = [
    path("admin/", admin.site.urls),
    path("files/<path:filename>", db_serve),
    path("others/<path:filename>", db_serve, {"storage": DbFileStorage("/others/", alias="other")}),
    path("signed/<path:filename>", db_serve_signed, {"storage": DbFileStorage("/signed/")}),
    path("awaited/<path:filename>", adb_serve),
    path("mine/<path:filename>", DbFileView.as_view(model=Invoice, field="data", owner="owner")),
    path(
        "unkept/<path:filename>",
        DbFileView.as_view(model=Invoice, field="data", owner="owner", headers={"Cache-Control": "no-store"}),
    ),
    path("empty/", empty),
    path("page/", page),
    path("query/", query),
]
