from django.db import models

from pg_lo_storage.fields import DbFileField


class Invoice(models.Model):
    data = DbFileField()
    copy = DbFileField(blank=True)


class Scan(models.Model):
    """Its files follow by triggers."""

    data = DbFileField(cleanup=False, db_index=True)
    remark = models.TextField(blank=True)
