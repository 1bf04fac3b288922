"""The index that finds the rows which name a file, in the model's ``Meta.indexes``, as if the project had put it there.

So migrations have it by its name, and can make it with ``AddIndexConcurrently``. Django's ``db_index=True`` makes two.
"""

from collections.abc import Sequence
from typing import Final, cast

from django.apps import apps
from django.db import models

__all__ = ["bring_indexes"]

_CLASSES: Final = {"varchar_pattern_ops", "text_pattern_ops"}


class _Named(models.Index):
    """Has another name than an index that the project itself has for the column."""

    suffix = "lo"


def bring_indexes(model: type[models.Model], fields: "Sequence[models.Field[object, object]]") -> None:
    """Give the model an index for each of these fields that has none; a migration's models have those that it names."""
    meta = model._meta
    if meta.apps is not apps or not meta.managed:
        return
    indexed = {
        index.fields[0]
        for index in meta.indexes
        if index.fields and index.condition is None and _CLASSES.intersection(index.opclasses[:1])
    }
    brought: list[models.Index] = []
    for field in fields:
        if field.name not in indexed and not field.unique:  # which has one
            named = _Named(fields=[field.name])
            named.set_name_with_model(model)
            brought.append(models.Index(fields=[field.name], name=named.name, opclasses=["varchar_pattern_ops"]))
    if brought:
        meta.indexes = [*meta.indexes, *brought]
        # Migrations have only what the model itself has said.
        cast("dict[str, object]", vars(meta)["original_attrs"])["indexes"] = meta.indexes
