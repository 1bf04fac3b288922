"""Invoices with their files, and the files that they had before."""

import datetime as dt

from django.contrib.auth.models import User
from django.core.files import File
from django.db import models, transaction
from django.urls import reverse

from pg_lo_storage.fields import DbFileField

MAX_SIZE = 200 * 1024 * 1024


class Invoice(models.Model):
    """An invoice, with the file that it has now."""

    owner: "models.ForeignKey[User, User]" = models.ForeignKey(User, models.CASCADE, related_name="invoices")
    data = DbFileField("file")
    uploaded_at: "models.DateTimeField[dt.datetime, dt.datetime]" = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-uploaded_at", "-pk")

    def __str__(self) -> str:
        return self.data.original_name or str(self.data)

    def get_absolute_url(self) -> str:
        return reverse("invoice", args=[self.pk])

    def replace(self, upload: "File[bytes]") -> None:
        """Store another file; the one it has becomes a version, which shares the object: no byte is copied."""
        with transaction.atomic():
            # Two who replace at once: the second finds the first one's file, and keeps that too.
            current = Invoice.objects.select_for_update().get(pk=self.pk)
            Version.objects.create(invoice=current, data=current.data)
            current.data = upload
            current.save()


class Version(models.Model):
    """A file that an invoice had."""

    invoice: "models.ForeignKey[Invoice, Invoice]" = models.ForeignKey(Invoice, models.CASCADE, related_name="versions")
    data = DbFileField("file")
    replaced_at: "models.DateTimeField[dt.datetime, dt.datetime]" = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-replaced_at", "-pk")

    def __str__(self) -> str:
        return self.data.original_name or str(self.data)
