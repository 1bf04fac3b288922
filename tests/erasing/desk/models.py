"""Rows with files that refer to each other in every way that a deletion has to know."""

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.db import models

from pg_lo_storage.fields import DbFileField
from pg_lo_storage.storage import DbFileStorage, TransitionalStorage, db_file_storage

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    _User = models.ForeignKey[User | None, User | None]
else:
    _User = models.ForeignKey


DISK: Final = FileSystemStorage()
"""The old place of files that move: MEDIA_ROOT."""


class Customer(models.Model):
    """A row without a file, with which letters go."""

    name: "models.TextField[str, str]" = models.TextField()

    def __str__(self) -> str:
        return self.name


class Letter(models.Model):
    """Files of each kind: one that goes with its row, and one that the field leaves alone."""

    customer: "models.ForeignKey[Customer | None, Customer | None]" = models.ForeignKey(
        Customer, on_delete=models.CASCADE, null=True
    )
    owner: _User = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    data = DbFileField(null=True)
    plain = models.FileField(storage=db_file_storage, null=True)

    def __str__(self) -> str:
        return str(self.data)


class Page(models.Model):
    """A file that goes with its letter."""

    letter: "models.ForeignKey[Letter, Letter]" = models.ForeignKey(Letter, on_delete=models.CASCADE)
    data = DbFileField()

    def __str__(self) -> str:
        return str(self.data)


class Note(models.Model):
    """What stays when its letter goes."""

    letter: "models.ForeignKey[Letter | None, Letter | None]" = models.ForeignKey(
        Letter, on_delete=models.SET_NULL, null=True
    )

    def __str__(self) -> str:
        return str(self.pk)


class Bill(models.Model):
    """What keeps its letter."""

    letter: "models.ForeignKey[Letter, Letter]" = models.ForeignKey(Letter, on_delete=models.PROTECT)

    def __str__(self) -> str:
        return str(self.pk)


class Version(models.Model):
    """What a letter was, which ``PG_LO_STORAGE_REFERENCES`` lists."""

    data: "models.TextField[str, str]" = models.TextField()

    def __str__(self) -> str:
        return self.data


class Remote(models.Model):
    """Files on another database than the row, and on a disk."""

    data = DbFileField(storage=DbFileStorage(alias="other"), null=True)
    disk = models.FileField(storage=FileSystemStorage("/nowhere"), null=True)

    def __str__(self) -> str:
        return str(self.data)


class Moving(models.Model):
    """Files that have moved, and others that are still on a disk."""

    data = DbFileField(storage=TransitionalStorage(legacy=DISK), null=True)

    def __str__(self) -> str:
        return str(self.data)


class Draft(models.Model):
    """A row of which nobody knows whose it is."""

    author: _User = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    editor: _User = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    data = DbFileField(null=True)

    def __str__(self) -> str:
        return str(self.data)


class Member(models.Model):
    """A user, where ``AUTH_USER_MODEL`` says so, whose row has a file of its own."""

    USERNAME_FIELD = "name"

    name: "models.TextField[str, str]" = models.TextField()
    photo = DbFileField()

    def __str__(self) -> str:
        return self.name


class Slip(models.Model):
    """A row with a key of two columns."""

    pk = models.CompositePrimaryKey("drawer", "number")
    drawer: "models.TextField[str, str]" = models.TextField()
    number: "models.IntegerField[int, int]" = models.IntegerField()
    data = DbFileField()

    def __str__(self) -> str:
        return f"{self.drawer} {self.number}"
