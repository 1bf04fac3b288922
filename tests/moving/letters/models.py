from datetime import datetime
from uuid import UUID, uuid4

from django.db import models
from django.db.models.functions import Upper
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


class _NoneManager(models.Manager["Crate"]):
    @override
    def get_queryset(self) -> "models.QuerySet[Crate]":
        return super().get_queryset().none()


def _beside_its_key(crate: "Crate", name: str) -> str:
    return f"crates/{crate.pk}/{name}"


class Crate(models.Model):
    """A row that is odd in everything, and hidden by its manager."""

    id: "models.UUIDField[UUID, UUID]" = models.UUIDField(primary_key=True, default=uuid4, db_column="Its Key")
    data = DbFileField(storage=OLD, upload_to=_beside_its_key, db_column="Its Data")
    other = DbFileField(storage=OLD, blank=True, default="defaults/none.txt")
    upper = models.GeneratedField(expression=Upper("data"), output_field=models.TextField(), db_persist=True)

    objects = _NoneManager()

    @override
    def __str__(self) -> str:
        return str(self.id)


class Tin(Crate):
    """A proxy."""

    class Meta:
        proxy = True


class Box(Crate):
    """A row in two tables."""

    inner = DbFileField(storage=OLD, null=True)


class Note(models.Model):
    """A table of another schema, which a test makes."""

    data = DbFileField(storage=OLD, null=True)

    class Meta:
        managed = False
        db_table = '"another one"."letters_note"'

    @override
    def __str__(self) -> str:
        return str(self.pk)
