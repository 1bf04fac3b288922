"""A model for each package; models of the packages' own (filer's, wagtail's) are used as they come."""

import reversion
from django.db import models
from django_cleanup import cleanup
from easy_thumbnails.fields import ThumbnailerImageField
from imagekit.models import ImageSpecField, ProcessedImageField
from imagekit.processors import ResizeToFill
from polymorphic.models import PolymorphicModel
from safedelete.models import SOFT_DELETE, SafeDeleteModel
from simple_history.models import HistoricalRecords

from pg_lo_storage.fields import DbFileField, DbImageField
from pg_lo_storage.storage import TransitionalStorage, db_file_storage


class Paper(models.Model):
    """Of no package."""

    title = models.CharField(max_length=100, blank=True)
    file = DbFileField(null=True, blank=True)


class KeptHistory(models.Model):
    """With simple-history, each version keeps its file."""

    file = DbFileField(cleanup=False)
    history = HistoricalRecords()


class CountedHistory(models.Model):
    """With simple-history, whose column counts by PG_LO_STORAGE_REFERENCES."""

    file = DbFileField()
    history = HistoricalRecords()


@reversion.register()
class Versioned(models.Model):
    """With reversion."""

    file = DbFileField(cleanup=False)


@reversion.register()
class CleanedVersioned(models.Model):
    """With reversion, and without what its recipe asks for."""

    file = DbFileField()


@cleanup.select
class Cleaned(models.Model):
    """With django-cleanup, and with this package's own cleanup."""

    file = DbFileField(null=True)


@cleanup.select
class CleanedByOther(models.Model):
    """With django-cleanup alone, in both kinds of fields."""

    file = DbFileField(null=True, cleanup=False)
    plain = models.FileField(null=True, storage=db_file_storage)


class Photo(models.Model):
    """With the packages that make thumbnails."""

    image = DbImageField(null=True)
    small = ImageSpecField(source="image", processors=[ResizeToFill(8, 8)], format="PNG")


@cleanup.select
class Portrait(models.Model):
    """With fields of the packages that make thumbnails, and django-cleanup."""

    thumbed = ThumbnailerImageField(null=True, storage=db_file_storage)
    processed = ProcessedImageField(processors=[ResizeToFill(8, 8)], format="PNG", null=True, storage=db_file_storage)


class SoftDeleted(SafeDeleteModel):
    """With safedelete."""

    _safedelete_policy = SOFT_DELETE
    file = DbFileField()


class Document(PolymorphicModel):
    """With polymorphic, a file in the parent's table."""

    file = DbFileField()


class Contract(Document):
    """And another in the child's."""

    signature = DbFileField()


class Leaflet(models.Model):
    """With modeltranslation."""

    file = DbFileField(null=True, blank=True)


class Letter(models.Model):
    """With files that were another storage's until now."""

    data = DbFileField(storage=TransitionalStorage(legacy="disk"), upload_to="letters/%Y", max_length=300)


class LetterBytes(models.Model):
    """With django-db-file-storage, which keeps bytes as texts."""

    content = models.TextField()
    filename = models.CharField(max_length=300)
    mimetype = models.CharField(max_length=100)


class Fax(models.Model):
    """With bytes in a column, and their name in another."""

    content = models.BinaryField(null=True)
    filename = models.CharField(max_length=300)
    data = DbFileField(null=True, blank=True)


class Snapshot(models.Model):
    """With thumbnails of pictures of which some are still on a disk."""

    image = DbImageField(storage=TransitionalStorage(legacy="disk"), upload_to="snapshots")
    small = ImageSpecField(source="image", processors=[ResizeToFill(8, 8)], format="PNG")
