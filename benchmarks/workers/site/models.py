"""A row with a file, and the table of those storages that keep files in a column."""

import importlib

from django.conf import settings
from django.db import models

STORE: str = settings.JOB.store


class Paper(models.Model):
    """A row with a file in the default storage."""

    title: "models.CharField[str, str]" = models.CharField(max_length=100)
    data = models.FileField(
        max_length=255,
        upload_to="papers.Blob/content/filename/mimetype" if STORE == "db_file_storage" else "",
    )

    class Meta:
        """Each store has tables of its own."""

        db_table = f"papers_{STORE}"

    def __str__(self) -> str:
        return self.title


class Blob(models.Model):
    """What django-db-file-storage asks for, or a plain column of bytes."""

    filename: "models.CharField[str, str]" = models.CharField(max_length=255, db_index=True)
    mimetype: "models.CharField[str, str]" = models.CharField(max_length=50)
    content: "models.Field[object, object]" = models.TextField() if STORE == "db_file_storage" else models.BinaryField()

    class Meta:
        """Each store has tables of its own."""

        db_table = f"blobs_{STORE}"

    def __str__(self) -> str:
        return self.filename


if STORE == "own":
    # Models, whose fields stand in this library's environments only.
    importlib.import_module("benchmarks.workers.site.letters")
