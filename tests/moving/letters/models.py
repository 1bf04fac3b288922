from datetime import datetime

from django.db import models
from typing_extensions import override

from pg_lo_storage.fields import DbFileField, DbImageField
from pg_lo_storage.storage import TransitionalStorage

OLD = TransitionalStorage(legacy="old")


class Letter(models.Model):
    """New files are large objects, old ones are read where they are."""

    title: "models.TextField[str, str]" = models.TextField(default="")
    changed: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(auto_now=True)
    data = DbFileField(storage=OLD, upload_to="letters/%Y", null=True, blank=True)
    scan = DbImageField(storage=OLD, width_field="width", height_field="height", null=True, blank=True)
    width: "models.IntegerField[int | None, int | None]" = models.IntegerField(null=True)
    height: "models.IntegerField[int | None, int | None]" = models.IntegerField(null=True)

    @override
    def __str__(self) -> str:
        return self.title


class Parcel(models.Model):
    """A row with a key of two columns, whose files no field of ours looks after."""

    pk = models.CompositePrimaryKey("street", "number")
    street: "models.CharField[str, str]" = models.CharField(max_length=20)
    number: "models.IntegerField[int, int]" = models.IntegerField()
    data = models.FileField(upload_to="parcels", db_column="Data")
    short = models.FileField(max_length=8)

    @override
    def __str__(self) -> str:
        return f"{self.street} {self.number}"


class Fax(models.Model):
    """Bytes in a column, with their name in another."""

    content: "models.BinaryField[bytes | memoryview | None, bytes | memoryview | None]" = models.BinaryField(null=True)
    filename: "models.TextField[str, str]" = models.TextField(default="")
    data = DbFileField(null=True, blank=True)

    @override
    def __str__(self) -> str:
        return self.filename
