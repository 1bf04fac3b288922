"""The file fields whose files are large objects, and the databases that have the files."""

from collections.abc import Iterable
from typing import cast

from django.apps import apps
from django.apps.registry import Apps
from django.db import models
from django.db.models.query import QuerySet

from pg_lo_storage.databases.aliases import LargeObjectStorage

__all__ = [
    "concrete",
    "file_fields",
    "rows_of",
    "stored_fields",
    "stored_fields_of",
    "stores_large_objects",
    "write_alias_of",
]


def write_alias_of(field: "models.FileField") -> str | None:
    """Return the database of a field's files; ``None`` where they are not large objects."""
    # isinstance() takes a lazy storage for what it stands for.
    storage = cast("object", field.storage)
    return storage.write_alias if isinstance(storage, LargeObjectStorage) else None


def stores_large_objects(field: "models.FileField") -> bool:
    """Tell whether a field's files are large objects."""
    return isinstance(cast("object", field.storage), LargeObjectStorage)


def concrete(model: type[models.Model]) -> type[models.Model]:
    """Return the model, or, for a proxy, the model that it stands for."""
    return cast("type[models.Model]", model._meta.concrete_model)


def stored_fields(model: type[models.Model]) -> "list[models.FileField]":
    """Return the file fields of the model's own table whose files are large objects."""
    return _stored(concrete(model)._meta.local_concrete_fields)


def stored_fields_of(model: type[models.Model]) -> "list[models.FileField]":
    """Return the file fields of the model, in all of its tables, whose files are large objects."""
    return _stored(model._meta.concrete_fields)


def file_fields(alias: str | None = None, *registries: Apps) -> "list[models.FileField]":
    """Return the file fields whose files are large objects, of all models of the project and of ``registries``.

    With ``alias``, only those whose files are on that database. A migration's state has its own registry of models.
    """
    fields = {
        field: write_alias_of(field)
        for registry in (apps, *registries)
        for model in registry.get_models(include_auto_created=True, include_swapped=True)
        for field in stored_fields(model)
    }
    return [field for field, files in fields.items() if alias in {None, files}]


def rows_of(model: type[models.Model], using: str) -> "models.QuerySet[models.Model]":
    """Return all rows of the model's table, past its managers."""
    return QuerySet[models.Model](model, using=using)


def _stored(fields: "Iterable[models.Field[object, object]]") -> "list[models.FileField]":
    return [field for field in fields if isinstance(field, models.FileField) and stores_large_objects(field)]
