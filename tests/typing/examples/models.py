"""A model with files."""

from typing import assert_type

from django.core.files.base import ContentFile, File
from django.db import models
from django.db.models.fields.files import FileDescriptor, ImageFileDescriptor
from typing_extensions import override

from pg_lo_storage.fields import DbFieldFile, DbFileField, DbImageField, DbImageFieldFile
from pg_lo_storage.storage import DbFile, DbFileIO, DbFileStorage, db_file_storage


class Invoice(models.Model):
    data = DbFileField(null=True, blank=True)
    scan = DbImageField(blank=True)
    elsewhere = DbFileField("a name", max_length=20, storage=DbFileStorage("/elsewhere/"), unique=True)
    plain = models.FileField(storage=db_file_storage)

    @override
    def __str__(self) -> str:
        return self.data.name or "no file"


def an_instance_has_the_file(invoice: Invoice) -> None:
    assert_type(invoice.data, DbFieldFile)
    assert_type(invoice.elsewhere, DbFieldFile)
    assert_type(invoice.scan, DbImageFieldFile)
    assert_type(invoice.data.loid, int | None)
    assert_type(invoice.scan.loid, int | None)
    str(invoice.data.oid)  # E[django-stubs | pyright | pyrefly]: it is called loid


def the_class_has_the_descriptor() -> None:
    assert_type(Invoice.data, FileDescriptor)
    assert_type(Invoice.scan, ImageFileDescriptor)


def a_file_is_opened_and_read(invoice: Invoice) -> None:
    assert_type(invoice.data.open(), DbFieldFile)
    with invoice.data.open() as file:
        assert file.read(4) == b"%PDF"
    with invoice.scan.open("rb+") as image:
        assert_type(image, DbImageFieldFile)
    for chunk in invoice.data.chunks():
        assert len(chunk) > 0


def what_can_be_assigned(invoice: Invoice, file: DbFileIO, stored: DbFile) -> None:
    invoice.data = ContentFile(b"%PDF", name="march.pdf")
    invoice.data = ContentFile("text", name="march.txt")
    invoice.data = File(file, "march.pdf")
    invoice.data = stored
    invoice.data = "12.pdf"
    invoice.data = None
    invoice.scan = ContentFile(b"", name="a.png")
    invoice.scan = None
    invoice.data = invoice.scan
    invoice.data = 5  # E[django-stubs | pyright | pyrefly]: no file
    invoice.data = b"content"  # E[django-stubs | pyright | pyrefly]: wrap it in ContentFile
    invoice.data = file  # E[django-stubs | pyright | pyrefly]: wrap it in File
    invoice.scan = 5  # E[django-stubs | pyright | pyrefly]: no file
