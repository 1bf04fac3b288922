from typing import TYPE_CHECKING

from django.conf import settings
from django.core.files.storage import Storage
from django.db import models

from pg_lo_storage.fields import DbFileField, DbImageField
from pg_lo_storage.storage import DbFileStorage, db_file_storage

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Note(models.Model):
    """A row without a file: what must survive when something is amiss with a file."""

    text: "models.TextField[str, str]" = models.TextField()

    def __str__(self) -> str:
        return self.text


def choose_storage() -> Storage:
    return DbFileStorage("/chosen/")


class Invoice(models.Model):
    """A file in every kind of field that there may be."""

    owner: "models.ForeignKey[User | None, User | None]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    data = DbFileField(null=True, blank=True)
    scan = DbImageField(null=True, blank=True, width_field="scan_width", height_field="scan_height")
    scan_width: "models.IntegerField[int | None, int | None]" = models.IntegerField(null=True, blank=True)
    scan_height: "models.IntegerField[int | None, int | None]" = models.IntegerField(null=True, blank=True)
    plain = models.FileField(storage=db_file_storage, null=True, blank=True)
    elsewhere = DbFileField(storage=DbFileStorage("/elsewhere/"), null=True, blank=True)
    via_callable = models.FileField(storage=choose_storage, null=True, blank=True)
    short = DbFileField(max_length=10, null=True, blank=True)

    def __str__(self) -> str:
        return self.data.name or f"invoice {self.pk}"
