from django.db import models

from pg_lo_storage.fields import DbFileField, DbImageField
from pg_lo_storage.storage import DbFileStorage, db_file_storage


class Folder(models.Model):
    """What papers are deleted with."""

    name: "models.TextField[str, str]" = models.TextField(default="")


class Paper(models.Model):
    """Two files, and a column of another kind."""

    folder: "models.ForeignKey[Folder | None, Folder | None]" = models.ForeignKey(
        Folder, on_delete=models.CASCADE, null=True
    )
    title: "models.TextField[str, str]" = models.TextField(default="")
    data = DbFileField(null=True, blank=True)
    scan = DbImageField(null=True, blank=True)


class Contract(Paper):
    """A row in two tables, with files in both."""

    signed = DbFileField(null=True, blank=True)


class Draft(Paper):
    """The same row by another name."""

    class Meta:
        proxy = True


class Signed(models.Model):
    """A base without a table."""

    data = DbFileField(null=True, blank=True)

    class Meta:
        abstract = True


class Letter(Signed):
    """A child of one without a table."""

    code: "models.CharField[str, str]" = models.CharField(max_length=20, primary_key=True)


class Version(models.Model):
    """What a paper was: a copy of its row."""

    data = DbFileField(null=True, blank=True)


class Archived(models.Model):
    """A field that leaves its files alone, and one that is Django's own."""

    data = DbFileField(null=True, blank=True, cleanup=False)
    plain = models.FileField(storage=db_file_storage, null=True, blank=True)


class Remote(models.Model):
    """Files on another database than the rows."""

    data = DbFileField(storage=DbFileStorage(alias="other"), null=True, blank=True)


class HiddenManager(models.Manager["Hidden"]):
    """Shows nothing."""

    def get_queryset(self) -> "models.QuerySet[Hidden]":
        return super().get_queryset().none()


class Hidden(models.Model):
    """Rows that no manager shows."""

    data = DbFileField(null=True, blank=True)

    objects = HiddenManager()
    everything: "models.Manager[Hidden]" = models.Manager()

    class Meta:
        base_manager_name = "objects"
