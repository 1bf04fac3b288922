"""Which columns hold the names of stored files, and which files they name.

A name refers to an object by its oid, whatever its extension.
"""

import logging
from collections import defaultdict
from collections.abc import Collection
from typing import Final, NamedTuple, cast

from django.apps import apps
from django.apps.registry import Apps
from django.db import connections, models, router
from django.db.models.query import QuerySet

from pg_lo_storage.storage import DbFileStorage

__all__ = [
    "Cell",
    "FileColumn",
    "concrete",
    "file_columns",
    "referenced",
    "rows_of",
    "stored_fields",
    "stored_fields_of",
    "write_alias_of",
]

logger: Final = logging.getLogger("pg_lo_storage")

# More than these are looked for in one pass over the table, fewer by an index where the column has one.
_FEW: Final = 20


class FileColumn(NamedTuple):
    """A column of a table, both as Django has them, not quoted."""

    table: str
    column: str


class Cell(NamedTuple):
    """What a row has in a column; the row by the columns of its primary key, values as the database has them."""

    column: FileColumn
    key: dict[str, object]


def write_alias_of(field: "models.FileField") -> str | None:
    """Return the database that a field's files are large objects of; ``None`` where they are none."""
    # A lazy storage is of the class that it stands for.
    storage = cast("object", field.storage)
    return storage.write_alias if isinstance(storage, DbFileStorage) else None


def concrete(model: type[models.Model]) -> type[models.Model]:
    """Return the model itself, of a proxy the one it stands for."""
    return cast("type[models.Model]", model._meta.concrete_model)


def stored_fields(model: type[models.Model]) -> "list[models.FileField]":
    """Return the file fields of the model's own table whose files are large objects."""
    return [
        field
        for field in concrete(model)._meta.local_concrete_fields
        if isinstance(field, models.FileField) and write_alias_of(field) is not None
    ]


def stored_fields_of(model: type[models.Model]) -> "list[models.FileField]":
    """Return the file fields of the model, in whichever of its tables, whose files are large objects."""
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.FileField) and write_alias_of(field) is not None
    ]


def rows_of(model: type[models.Model], using: str) -> "models.QuerySet[models.Model]":
    """Return all rows of the model's table, past its managers."""
    return QuerySet[models.Model](model, using=using)


def file_columns(alias: str, *registries: Apps) -> list[FileColumn]:
    """Return every column that holds names of files on ``alias``, of the project's models and of ``registries``.

    The models of a migration's state are in a registry of their own.
    """
    return sorted({column for _, column in _columns(alias, *registries)})


def _columns(alias: str, *registries: Apps) -> set[tuple[type[models.Model], FileColumn]]:
    return {
        (model, FileColumn(model._meta.db_table, str(field.column)))
        for registry in {apps, *registries}
        for model in registry.get_models(include_auto_created=True, include_swapped=True)
        for field in stored_fields(model)
        if write_alias_of(field) == alias
    }


def referenced(
    alias: str, loids: Collection[int], *registries: Apps, using: str | None = None, besides: Cell | None = None
) -> set[int]:
    """Return those of the objects of ``alias`` that some row names, or may name where row-level security hides rows.

    Asked in SQL, past any manager, of all tables that there are on ``alias``, on ``using``, and where the router has
    the models' rows; ``besides`` does not count.
    """
    columns: defaultdict[str, set[FileColumn]] = defaultdict(set)
    for model, column in _columns(alias, *registries):
        for rows in {alias, using or alias, router.db_for_write(model)}:
            columns[rows].add(column)
    found = set[int]()
    for rows, some in columns.items():
        found |= _referenced_on(rows, sorted(some), loids, besides)
    return found


def _referenced_on(alias: str, wanted: list[FileColumn], loids: Collection[int], besides: Cell | None) -> set[int]:
    if connections[alias].vendor != "postgresql":
        logger.warning(
            "kept large objects %s: %s is not PostgreSQL, and rows there may name them", sorted(loids), alias
        )
        return set(loids)
    columns = _existing(alias, wanted)
    hidden = sorted(column.table for column, hides in columns if hides)
    if hidden:
        logger.warning("kept large objects %s: row-level security may hide rows of %s", sorted(loids), hidden)
        return set(loids)
    if not columns:
        return set()
    quote = connections[alias].ops.quote_name
    selects: list[str] = []
    params: list[object] = []
    for column, _ in columns:
        name = quote(column.column)
        condition, values = _naming(name, loids)
        if besides and besides.column == column:
            key = ", ".join(map(quote, besides.key))
            condition = f"({condition}) and ({key}) <> ({', '.join(['%s'] * len(besides.key))})"
            values += besides.key.values()
        selects.append(f"select split_part({name}, '.', 1) from {quote(column.table)} where {condition}")  # noqa: S608 -- quoted
        params += values
    with connections[alias].cursor() as cursor:
        cursor.execute(" union ".join(selects), cast("list[str]", params))
        return {int(loid) for (loid,) in cursor.fetchall()} & set(loids)


def _existing(alias: str, columns: list[FileColumn]) -> list[tuple[FileColumn, bool]]:
    """Return the columns that the database has: some may be of tables that are still to be migrated.

    With each, whether row-level security is active for the role that asks.
    """
    quote = connections[alias].ops.quote_name
    query = (
        "select n, row_security_active(attrelid)"
        " from unnest(%s::text[], %s::text[]) with ordinality as wanted (relation, attribute, n)"
        " join pg_catalog.pg_attribute on attrelid = to_regclass(relation) and attname = attribute"
        " where attnum > 0 and not attisdropped"
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(query, ([quote(table) for table, _ in columns], [column for _, column in columns]))
        return [(columns[n - 1], hides) for n, hides in cursor.fetchall()]


def _naming(name: str, loids: Collection[int]) -> tuple[str, list[object]]:
    """Return the condition that the column names one of the objects, and its parameters."""
    if len(loids) > _FEW:
        return f"split_part({name}, '.', 1) = any(%s)", [[str(loid) for loid in loids]]
    # The operators of varchar_pattern_ops, of which is the second index that Django makes for db_index=True.
    one = f"{name} = %s or {name} ~>=~ %s and {name} ~<~ %s"
    values: list[object] = []
    for loid in loids:
        values += [str(loid), f"{loid}.", f"{loid}/"]  # "/" is what follows "."
    return " or ".join([one] * len(loids)), values
