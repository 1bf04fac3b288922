"""Rows and their files: what a checker knows of only with django-stubs."""

from typing import assert_type

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.files.base import ContentFile, File
from django.db import models
from django.http import HttpRequest, HttpResponseBase, HttpResponseForbidden
from django.urls import path

from pg_lo_storage.storage import DbFile
from pg_lo_storage.views import db_serve

from .models import Invoice


class OwnedInvoice(Invoice):
    # Without the plugin a checker must be told.
    owner: "models.ForeignKey[User, User]" = models.ForeignKey(User, on_delete=models.CASCADE)


def rows_are_made_found_and_saved(invoice: Invoice) -> None:
    assert_type(Invoice.objects.create(data=ContentFile(b"%PDF", name="march.pdf")), Invoice)
    Invoice(data="12.pdf", scan=ContentFile(b"", name="a.png")).save()
    if Invoice.objects.filter(data="12.pdf", scan__endswith=".png").exists():
        invoice.data.save("march.pdf", ContentFile(b"%PDF"))
        invoice.data.delete(save=True)
    assert_type(invoice.data.size, int)
    as_file: File[bytes] = invoice.data
    as_file.close()


def a_stored_file_is_djangos_file(stored: DbFile) -> None:
    as_file: File[bytes] = stored
    as_file.close()


@login_required
def serve_invoice(request: HttpRequest, filename: str) -> HttpResponseBase:
    mine = request.user.is_authenticated and OwnedInvoice.objects.filter(owner=request.user, data=filename)
    return db_serve(request, filename) if mine else HttpResponseForbidden()


urlpatterns = [path("media/<str:filename>", serve_invoice)]
