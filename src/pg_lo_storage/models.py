"""The catalogue as a model, and the uploads that are no files yet; :mod:`pg_lo_storage.catalogue` writes both."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now
from django.db.models.lookups import IntegerFieldExact
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from pg_lo_storage.names import MAX_OID

if TYPE_CHECKING:
    _IntegerField = models.BigIntegerField[int, int]
    _Exact = IntegerFieldExact
else:
    _IntegerField = models.BigIntegerField
    _Exact = IntegerFieldExact

__all__ = ["OidField", "StoredFile", "UnfinishedUpload"]


class OidField(_IntegerField):
    """A column of type ``oid``, 0 to 4294967295, which tells ``vacuumlo`` that an object is in use."""

    if not TYPE_CHECKING:  # of the type that the base declares
        description = _("Object identifier")
    default_validators: "list[Callable[[Any], None]]" = [  # noqa: RUF012 -- as Django has it
        MinValueValidator(0),
        MaxValueValidator(MAX_OID),
    ]

    @override
    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "oid"

    @override
    def rel_db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "oid"

    @override
    def cast_db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "oid"


@OidField.register_lookup
class OidExact(_Exact):
    """Matches no row where the oid is out of range; the server is not asked, since it would raise."""

    @override
    def process_rhs(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        if isinstance(self.rhs, int) and not 0 <= self.rhs <= MAX_OID:
            raise EmptyResultSet
        return super().process_rhs(compiler, connection)


class StoredFile(models.Model):
    """A large object that is a file: its name, type, size, digest and times."""

    loid: OidField = OidField(_("large object"), primary_key=True)
    extension: "models.CharField[str | None, str | None]" = models.CharField(  # noqa: DJ001 -- NULL is unknown
        _("extension"),
        max_length=101,
        null=True,
        blank=True,
        help_text=_("What follows the oid in the file's name, with its dot; NULL where any extension does."),
    )
    original_name: "models.TextField[str, str]" = models.TextField(_("original name"), blank=True, default="")
    content_type: "models.TextField[str, str]" = models.TextField(
        _("content type"), blank=True, default="application/octet-stream"
    )
    size: "models.BigIntegerField[int | None, int | None]" = models.BigIntegerField(
        _("size in bytes"), null=True, blank=True, help_text=_("NULL after a write in place: the object tells.")
    )
    sha256: "models.CharField[str | None, str | None]" = models.CharField(  # noqa: DJ001 -- NULL is unknown
        _("SHA-256"), max_length=64, null=True, blank=True, help_text=_("Hexadecimal; NULL after a write in place.")
    )
    created_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(
        _("created at"), db_default=Now(), editable=False
    )
    modified_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(
        _("modified at"), db_default=Now(), editable=False
    )

    class Meta:
        """The table's name is part of the public contract."""

        db_table = "pg_lo_storage_file"
        if not TYPE_CHECKING:  # whose type is django-stubs' own
            verbose_name = _("stored file")
            verbose_name_plural = _("stored files")

    @override
    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name that file fields have and the storage takes."""
        return f"{self.loid}{self.extension or ''}"


class UnfinishedUpload(models.Model):
    """A large object that is no file yet: an upload that still arrives, or that no row has taken over.

    When it becomes a file this row goes, in the transaction of the file's entry. What is left is unlinked at the end of
    the request, or after ``expires_at`` by ``manage.py largeobjects prune``.
    """

    loid: OidField = OidField(_("large object"), primary_key=True)
    key: "models.UUIDField[uuid.UUID, uuid.UUID]" = models.UUIDField(
        _("key"), default=uuid.uuid4, unique=True, editable=False, help_text=_("What the URL of the upload ends with.")
    )
    owner: "models.TextField[str, str]" = models.TextField(
        _("owner"), blank=True, default="", help_text=_("Whose it is; empty for a form's, which lasts for its request.")
    )
    original_name: "models.TextField[str, str]" = models.TextField(_("original name"), blank=True, default="")
    content_type: "models.TextField[str, str]" = models.TextField(_("content type"), blank=True, default="")
    length: "models.BigIntegerField[int | None, int | None]" = models.BigIntegerField(
        _("announced size in bytes"), null=True, blank=True
    )
    created_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(
        _("created at"), db_default=Now(), editable=False
    )
    expires_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("expires at"))

    class Meta:
        """Its name goes with that of the catalogue's table."""

        db_table = "pg_lo_storage_upload"
        if not TYPE_CHECKING:  # whose type is django-stubs' own
            verbose_name = _("unfinished upload")
            verbose_name_plural = _("unfinished uploads")

    @override
    def __str__(self) -> str:
        return self.original_name or str(self.loid)
