"""A row and its file."""

from django.contrib.auth.models import User
from django.db import models

from pg_lo_storage.fields import DbFileField


class Invoice(models.Model):
    """An invoice; its file is kept in the same database and changes in the same transactions."""

    owner: "models.ForeignKey[User, User]" = models.ForeignKey(User, models.CASCADE)
    data = DbFileField()

    def __str__(self) -> str:
        return str(self.data)
