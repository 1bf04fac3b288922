"""Few rows, which many sessions change at once."""

from django.db import models

from pg_lo_storage.fields import DbFileField
from pg_lo_storage.storage import DbFileStorage


class Hot(models.Model):
    """A file that is replaced, shared, written in place."""

    data = DbFileField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.data)


class Copy(models.Model):
    """Another table that names the same files."""

    data = DbFileField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.data)


class Remote(models.Model):
    """Files on another database than the rows."""

    data = DbFileField(storage=DbFileStorage(alias="other"), null=True, blank=True)

    def __str__(self) -> str:
        return str(self.data)
