"""The fields: a row and its file."""

import hashlib
import io
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.images import ImageFile
from django.core.files.storage import default_storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models, transaction
from django.test import override_settings
from PIL import Image

from pg_lo_storage.fields import DbFieldFile, DbFileField, DbImageField, DbImageFieldFile, prefetch_stored_files
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from tests.invoices.models import Invoice, choose_storage
from tests.storage.support import LARGE, content, loid_of, stored

pytestmark = pytest.mark.django_db(transaction=True)


def saved(data: bytes = b"0123456789") -> Invoice:
    return Invoice.objects.create(data=ContentFile(data, name="a.txt"))


def test_a_row_is_saved_with_its_file() -> None:
    data = content(LARGE)
    invoice = Invoice(data=ContentFile(data, name="report.v1.2.pdf"))
    assert invoice.data.loid is None
    invoice.save()
    found = Invoice.objects.get()
    for field in (invoice.data, found.data):
        assert isinstance(field, DbFieldFile)
        assert field.loid == loid_of(field.name or "")
        assert field.name == f"{field.loid}.pdf"
        assert field.url == f"/files/{field.loid}.pdf"
        assert field.size == LARGE
        with field:
            assert field.read() == data


@pytest.mark.parametrize("name", [None, ""])
def test_an_empty_field_has_no_file(name: str | None) -> None:
    Invoice.objects.create(data=name)
    invoice = Invoice.objects.get()
    assert not invoice.data
    assert invoice.data.loid is None
    with pytest.raises(ValueError, match="no file"):
        invoice.data.open()


def test_a_field_of_garbage_has_no_oid() -> None:
    invoice = Invoice.objects.create(data="garbage.txt")
    assert invoice.data.loid is None
    assert invoice.data.url == "/files/garbage.txt"
    with pytest.raises(FileNotFoundError):
        invoice.data.open()


def test_a_replaced_file_is_another_object() -> None:
    invoice = saved(b"first")
    first = invoice.data.name
    invoice.data = SimpleUploadedFile("b.tar.gz", b"second")
    invoice.save()
    found = Invoice.objects.get()
    name = found.data.name or ""
    assert name != first
    assert name == f"{found.data.loid}.tar.gz"
    assert stored(name) == b"second"


def test_a_file_is_saved_and_deleted_through_the_field() -> None:
    invoice = Invoice.objects.create()
    invoice.data.save("a.txt", ContentFile(b"data"))
    name = Invoice.objects.get().data.name or ""
    assert stored(name) == b"data"
    invoice.data.delete()
    assert not Invoice.objects.get().data
    assert not db_file_storage.exists(name)


def test_of_what_the_catalogue_says_a_field_knows_the_content_type_without(catalogue: bool) -> None:
    upload = SimpleUploadedFile("März.pdf", b"", content_type="image/png")
    invoices = [Invoice.objects.create(data=upload)]
    prefetch_stored_files(invoices, "data")
    data = invoices[0].data
    assert data.content_type == "application/pdf"
    known = (data.original_name, data.sha256, data.created_at)
    assert known == (("März.pdf", hashlib.sha256().hexdigest(), data.created_at) if catalogue else (None, None, None))
    assert (data.created_at is not None) is catalogue


def test_open_is_a_fresh_handle_at_the_start() -> None:
    saved()
    data = Invoice.objects.get().data
    assert data.read() == b"0123456789"
    assert data.read() == b""
    assert data.open() is data
    assert data.read() == b"0123456789"
    data.close()
    with data.open() as file:
        assert file.read(3) == b"012"


def test_open_is_a_fresh_handle_where_the_transaction_of_the_last_is_over() -> None:
    saved()
    data = Invoice.objects.get().data
    with transaction.atomic():
        data.open("rb+")
        data.write(b"AB")
    with transaction.atomic():
        assert data.open().read() == b"AB23456789"
    with data.open():
        assert data.read() == b"AB23456789"


def test_open_in_wb_truncates() -> None:
    saved()
    with transaction.atomic(), Invoice.objects.get().data.open("wb") as file:
        file.write(b"new")
    with Invoice.objects.get().data.open() as file:
        assert file.read() == b"new"


def test_an_upload_that_is_not_saved_yet_is_rewound() -> None:
    invoice = Invoice(data=SimpleUploadedFile("a.txt", b"0123456789"))
    assert invoice.data.read(4) == b"0123"
    assert invoice.data.open().read() == b"0123456789"
    assert invoice.data.loid is None
    invoice.save()
    assert stored(invoice.data.name or "") == b"0123456789"


def test_a_stored_file_may_be_given_to_another_row() -> None:
    original = saved().data
    copy = Invoice.objects.create(data=ContentFile(original.read(), name="copy.txt")).data
    original.close()
    assert copy.loid != original.loid
    assert stored(copy.name or "") == b"0123456789"


def test_a_name_too_long_for_its_column_loses_its_extension() -> None:
    invoice = Invoice.objects.create(short=ContentFile(b"data", name="a." + "x" * 20))
    assert invoice.short.name == str(invoice.short.loid)
    assert stored(Invoice.objects.get().short.name or "") == b"data"


def picture(width: int, height: int) -> ImageFile:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    file.seek(0)
    return ImageFile(file, name="a.png")


def test_an_image_has_dimensions() -> None:
    invoice = Invoice.objects.create(scan=picture(30, 20))
    assert (invoice.scan_width, invoice.scan_height) == (30, 20)
    found = Invoice.objects.get()
    assert isinstance(found.scan, DbImageFieldFile)
    assert (found.scan_width, found.scan_height) == (30, 20)
    assert (found.scan.width, found.scan.height) == (30, 20)
    assert found.scan.name == f"{found.scan.loid}.png"
    with found.scan.open() as file, Image.open(file) as image:
        assert image.size == (30, 20)


def test_a_replaced_image_has_new_dimensions() -> None:
    invoice = Invoice.objects.create(scan=picture(30, 20))
    invoice.scan = picture(5, 6)
    invoice.save()
    found = Invoice.objects.get()
    assert (found.scan_width, found.scan_height) == (5, 6)
    assert (found.scan.width, found.scan.height) == (5, 6)


@pytest.mark.parametrize("field", ["plain", "elsewhere", "via_callable"])
def test_the_storage_may_be_given_in_every_way(field: str) -> None:
    Invoice.objects.create(**{field: ContentFile(b"data", name="a.txt")})
    file: Any = getattr(Invoice.objects.get(), field)
    base_url = {"plain": "/files/", "elsewhere": "/elsewhere/", "via_callable": "/chosen/"}[field]
    assert file.url == base_url + file.name
    assert file.read() == b"data"
    file.close()
    assert db_file_storage.exists(file.name)


def test_the_storage_that_is_given_comes_before_the_fields_own() -> None:
    given = DbFileStorage("/given/")
    for field_class in (DbFileField, DbImageField):
        assert field_class().storage is db_file_storage
        assert field_class(storage=given).storage is given
        assert isinstance(field_class(storage=choose_storage).storage, DbFileStorage)
        assert field_class(storage=default_storage).storage is default_storage
    assert DbFileField("data", None, "ignored/", given).storage is given
    assert DbFileField("data", None, "", None).storage is db_file_storage
    assert DbImageField("scan", None, "width", "height", storage=given).storage is given


def test_it_is_the_default_storage_of_a_project() -> None:
    configured = {
        "default": {
            "BACKEND": "pg_lo_storage.storage.DbFileStorage",
            "OPTIONS": {"base_url": "/configured", "alias": "default"},
        },
        "staticfiles": settings.STORAGES["staticfiles"],
    }
    with override_settings(STORAGES=configured):
        assert isinstance(storages["default"], DbFileStorage)
        name = default_storage.save("a.txt", ContentFile(b"data"))
        assert default_storage.url(name) == f"/configured/{name}"
        with default_storage.open(name) as file:
            assert file.read() == b"data"
        field = models.FileField()
        assert field.storage.exists(name)
    assert stored(name) == b"data"


def test_a_field_alone_takes_any_name_for_valid() -> None:
    field: Any = Invoice._meta.get_field("data")
    assert field.clean("4294967295.pdf", None) == "4294967295.pdf"
