"""Which columns hold the names of stored files, and which of some files they name.

A name refers to an object by its oid, whatever its extension. Rows are looked for in SQL, past any manager; where
row-level security may hide some, or a row that is not committed yet could name the file, see :func:`unreferenced`.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, LiteralString, NamedTuple, cast

from django.apps import apps
from django.apps.registry import Apps
from django.db import connections, models

from pg_lo_storage.storage import DbFileStorage

if TYPE_CHECKING:
    AnyFileField = models.FileField
else:
    AnyFileField = models.FileField

__all__ = ["FileColumn", "file_columns", "stored_fields"]


class FileColumn(NamedTuple):
    """A column of a table, both as Django has them, not quoted."""

    table: str
    column: str


def stored_fields(model: type[models.Model], alias: str | None = None) -> list[models.FileField]:
    """Return the model's own file fields whose files are large objects (of that alias)."""
    return [
        field
        for field in model._meta.concrete_model._meta.local_concrete_fields
        if isinstance(field, models.FileField) and is_stored(field, alias)
    ]


def is_stored(field: models.FileField, alias: str | None = None) -> bool:
    """Tell whether a field's files are large objects (of that alias)."""
    # A lazy storage is of the class that it stands for.
    storage = cast("object", field.storage)
    return isinstance(storage, DbFileStorage) and alias in {None, storage.write_alias}


def file_columns(alias: str, *registries: Apps) -> list[FileColumn]:
    """Return every column that holds names of files on ``alias``, of all models of the project and ``registries``.

    Models of a migration's state are in a registry of their own.
    """
    return sorted(
        {
            FileColumn(model._meta.db_table, field.column)
            for registry in (apps, *registries)
            for model in registry.get_models(include_auto_created=True, include_swapped=True)
            for field in stored_fields(model, alias)
        }
    )
