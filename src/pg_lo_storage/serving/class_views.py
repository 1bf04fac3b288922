"""The class-based view: rows decide who may read their files."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponseBase
from django.views.generic import View

from pg_lo_storage.http.presentation import INLINE_TYPES, Presentation
from pg_lo_storage.http.ranges import MAX_RANGES
from pg_lo_storage.serving.serve import METHODS, not_found, respond
from pg_lo_storage.storage import DbFileStorage

__all__ = ["DbFileView"]


class DbFileView(View):
    """Serves the file of a row that :meth:`get_queryset` has; any other row, or an empty field, is a 404.

    The URL names the row by ``filename``, by ``pk``, or by both. ``field`` is the file field. ``model`` or ``queryset``
    says which rows there are. ``owner`` is the path to a row's user, such as ``"owner"`` or ``"order__customer"``: with
    it nobody reads the file of another's row. The rest are the arguments of :func:`pg_lo_storage.views.db_serve`.
    """

    __module__ = "pg_lo_storage.views"

    model: type[models.Model] | None = None
    queryset: models.QuerySet[models.Model] | None = None
    field: str = ""
    owner: str | None = None
    as_attachment: bool | None = None
    download_name: str | None = None
    content_type: str | None = None
    inline_types: Collection[str] = INLINE_TYPES
    max_ranges: int = MAX_RANGES
    headers: Mapping[str, str | None] | None = None

    http_method_names: Sequence[str] = [method.lower() for method in METHODS]

    if TYPE_CHECKING:

        @classmethod
        def as_view(cls, **initkwargs: object) -> Callable[..., HttpResponseBase]:
            """Return the view; the arguments replace the class's attributes."""
            ...

    def get(self, request: HttpRequest, **kwargs: object) -> HttpResponseBase:
        """Serve the file of the row that the URL names."""
        if not self.field:
            message = f"{type(self).__name__} needs field=, the name of a file field"
            raise ImproperlyConfigured(message)
        response, moves = self._respond(request, **kwargs)
        # An old file may have moved since its row was read: then the row has another name.
        return self._respond(request, **kwargs)[0] if moves and response.status_code == 404 else response

    def _respond(self, request: HttpRequest, **kwargs: object) -> tuple[HttpResponseBase, bool]:
        """Return the response, and whether it is of a file that may move meanwhile."""
        row = self.get_row(**kwargs)
        file = None if row is None else self._file_of(row)
        if row is None or not file or not file.name:
            return not_found(), False
        storage: object = file.storage
        if not isinstance(storage, DbFileStorage):
            message = f"{type(self).__name__}: the files of {self.field!r} are not in a DbFileStorage"
            raise ImproperlyConfigured(message)
        return respond(request, file.name, storage, self.get_presentation(row)), storage.legacy is not None

    def get_queryset(self) -> "models.QuerySet[models.Model]":
        """Return the rows whose files this request may read."""
        if self.queryset is not None:
            return self._owned(self.queryset.all())
        if self.model is not None:
            return self._owned(self.model._default_manager.all())  # noqa: SLF001 -- as in Django's own views
        message = f"{type(self).__name__} needs model=, queryset= or get_queryset()"
        raise ImproperlyConfigured(message)

    def get_row(self, *, filename: object = None, pk: object = None, **_kwargs: object) -> models.Model | None:
        """Return the row that the URL names, ``None`` where there is none for this request."""
        lookup = {name: value for name, value in ((self.field, filename), ("pk", pk)) if value is not None}
        if not lookup:
            message = f"{type(self).__name__} is to be found by filename or pk: name one in the URL pattern"
            raise ImproperlyConfigured(message)
        if "\x00" in f"{filename}{pk}":  # PostgreSQL has no such text
            return None
        rows = self.get_queryset()
        if filename is not None and not self._may_be_name(rows.model, str(filename)):
            return None
        if type(self).get_queryset is not DbFileView.get_queryset:  # a subclass's may leave the owner out
            rows = self._owned(rows)
        try:
            rows = rows.filter(**lookup)
        except (ValueError, ValidationError):  # a key of another type
            return None
        # Rows may share a file: any of them will do.
        return next(iter(rows[:1]), None)

    def get_presentation(self, row: models.Model) -> Presentation:  # noqa: ARG002 -- for subclasses
        """Return how the row's file is presented."""
        return Presentation(
            self.as_attachment,
            self.download_name,
            self.content_type,
            self.inline_types,
            self.max_ranges,
            self.headers or {},
        )

    def _owned(self, rows: "models.QuerySet[models.Model]") -> "models.QuerySet[models.Model]":
        if self.owner is None:
            return rows
        user = getattr(self.request, "user", None)
        if user is None:
            message = f"{type(self).__name__}: owner= needs AuthenticationMiddleware"
            raise ImproperlyConfigured(message)
        return rows.filter(**{self.owner: user.pk}) if user.is_authenticated else rows.none()

    def _may_be_name(self, model: type[models.Model], filename: str) -> bool:
        storage: object = getattr(model._meta.get_field(self.field), "storage", None)
        return storage.is_valid_name(filename) if isinstance(storage, DbFileStorage) else True

    def _file_of(self, row: models.Model) -> FieldFile:
        file = getattr(row, self.field, None)
        if not isinstance(file, FieldFile):
            message = f"{type(self).__name__}: field={self.field!r} is no file field of {row._meta.label}"
            raise ImproperlyConfigured(message)
        return file
