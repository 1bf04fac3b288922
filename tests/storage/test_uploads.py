"""What an upload is called: its own name counts, however long, and no ``upload_to``."""

import io
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from django import forms
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.forms.models import modelform_factory
from django.test import Client
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from PIL import Image

from pg_lo_storage.fields import DbFileField, DbImageField
from tests.invoices.models import Invoice
from tests.storage.support import stored

pytestmark = pytest.mark.django_db(transaction=True)

# Django cuts the names of uploads at 255 characters.
LONG = "a" * 246 + ".tar.gz"
Field = DbFileField | DbImageField


def refuse(_instance: models.Model, _filename: str) -> NoReturn:
    message = "it was called"
    raise AssertionError(message)


def in_a_folder(_instance: models.Model, filename: str) -> str:
    return f"folder/{filename}.exe"


@pytest.fixture(params=[refuse, in_a_folder, "folder/%Y/%m/", "100%", "folder.zip"], ids=ascii)
def upload_to(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the model's fields one."""
    for name in ("data", "scan"):
        monkeypatch.setattr(Invoice._meta.get_field(name), "upload_to", request.param)


def png() -> bytes:
    file = io.BytesIO()
    Image.new("1", (3, 2)).save(file, "PNG")
    return file.getvalue()


def form_with(upload: SimpleUploadedFile, field: str = "data", **options: Any) -> "forms.ModelForm[Invoice]":
    form = modelform_factory(Invoice, fields=[field], **options)
    return form({}, MultiValueDict({field: [upload]}))


def save_row(upload: SimpleUploadedFile) -> Invoice:
    return Invoice.objects.create(data=upload)


def save_file(upload: SimpleUploadedFile) -> Invoice:
    invoice = Invoice()
    invoice.data.save(upload.name or "", upload)
    return invoice


def save_form(upload: SimpleUploadedFile) -> Invoice:
    form = form_with(upload)
    assert form.is_valid(), form.errors
    return form.save()


def post_to_admin(upload: SimpleUploadedFile) -> Invoice:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    response = client.post(reverse("admin:invoices_invoice_add"), {"data": upload})
    assert response.status_code == 302, response.text
    return Invoice.objects.get()


SAVING = [save_row, save_file, save_form, post_to_admin]
Saving = Callable[[SimpleUploadedFile], Invoice]


@pytest.mark.usefixtures("upload_to")
@pytest.mark.parametrize("save", SAVING)
def test_the_uploads_own_name_counts(save: Saving, catalogue: bool) -> None:
    data = save(SimpleUploadedFile("März.v1.pdf", b"data")).data
    assert data.name == f"{data.loid}.pdf"
    assert data.original_name == ("März.v1.pdf" if catalogue else None)
    assert stored(data.name or "") == b"data"


@pytest.mark.usefixtures("upload_to")
def test_an_images_own_name_counts(catalogue: bool) -> None:
    scan = Invoice.objects.create(scan=SimpleUploadedFile("a.png", png())).scan
    assert scan.name == f"{scan.loid}.png"
    assert scan.original_name == ("a.png" if catalogue else None)


@pytest.mark.parametrize("given_name", ["/tmp/a.pdf", "../a.pdf", "folder/../a.pdf", "C:\\folder\\a.pdf"])
def test_of_a_path_the_last_part_counts(given_name: str, catalogue: bool) -> None:
    data = Invoice.objects.create(data=ContentFile(b"data", name=given_name)).data
    assert data.name == f"{data.loid}.pdf"
    assert data.original_name == ("a.pdf" if catalogue else None)


@pytest.mark.parametrize("save", SAVING)
def test_an_upload_may_have_any_name_however_long(save: Saving, catalogue: bool) -> None:
    data = save(SimpleUploadedFile(LONG, b"data")).data
    assert data.name == f"{data.loid}.tar.gz"
    assert data.original_name == (LONG if catalogue else None)


def test_so_may_an_image() -> None:
    form = form_with(SimpleUploadedFile("a" * 200 + ".png", png()), "scan")
    assert form.is_valid(), form.errors
    scan = form.save().scan
    assert scan.name == f"{scan.loid}.png"


def test_a_row_with_such_an_upload_is_valid() -> None:
    Invoice(data=SimpleUploadedFile(LONG, b"data"), short=SimpleUploadedFile(LONG, b"data")).full_clean()


def test_a_short_column_keeps_nobody_from_uploading_through_a_form(catalogue: bool) -> None:
    form = form_with(SimpleUploadedFile(LONG, b"data"), "short")
    assert form.is_valid(), form.errors
    short = form.save().short
    assert short.name in {str(short.loid), f"{short.loid}.tar.gz"}
    assert len(short.name or "") <= 10
    assert short.original_name == (LONG if catalogue else None)


def limits(**fields: Any) -> list[int | None]:
    """Return what the fields' forms, and those who ask the fields themselves, as serializers do, take for limits."""
    return [limit for field in fields.values() for limit in (field.formfield().max_length, field.max_length)]


@pytest.mark.parametrize("field_class", [DbFileField, DbImageField])
@pytest.mark.parametrize("max_length", [35, 100, 255])
def test_a_column_with_room_for_each_stored_name_is_no_limit(max_length: int, field_class: type[Field]) -> None:
    assert limits(default=field_class(), given=field_class(max_length=max_length)) == [None] * 4


def test_a_limit_that_a_form_is_given_holds() -> None:
    assert getattr(DbFileField().formfield(max_length=50), "max_length", None) == 50


def test_on_another_storage_all_is_as_django_has_it() -> None:
    field = DbFileField(storage=InMemoryStorage(), upload_to=in_a_folder)
    assert limits(field=field) == [100, 100]
    assert field.generate_filename(Invoice(), "a b.pdf") == "folder/a_b.pdf.exe"
