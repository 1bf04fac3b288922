from django.db import models

from pg_lo_storage.fields import DbFileField
from pg_lo_storage.storage import db_file_storage


class Invoice(models.Model):
    data = DbFileField(null=True, blank=True)
    or_just_so = models.FileField(storage=db_file_storage, null=True, blank=True)

    def __str__(self) -> str:
        return self.data.name or ""
