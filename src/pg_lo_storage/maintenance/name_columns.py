"""The columns with names of files, as adoption finds them, and which of them are settled.

A column is settled once ``migrate``, or ``manage.py largeobjects adopt``, has adopted from it. A comment on the
catalogue's table says so, since it lives exactly as long as the entries do.
"""

import json
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from django.apps import apps
from django.core.files.storage import Storage
from django.db import connections, models, router
from typing_extensions import override

from pg_lo_storage.databases.columns import ExistingColumn, FileColumn, ask, existing_columns
from pg_lo_storage.databases.file_fields import file_fields, follows_rows, legacy_of

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]

__all__ = [
    "NameColumn",
    "count_names",
    "has_names",
    "may_settle",
    "name_columns",
    "names_of",
    "old_places",
    "settle",
    "settled_columns",
    "unreadable",
    "unsettled_columns",
]

_MARK: Final = "Names of files were adopted from these columns: "


class NameColumn(NamedTuple):
    """A column with names of files: the alias of its rows, table and column, as Django has them."""

    alias: str
    table: str
    column: str

    @override
    def __str__(self) -> str:
        return f"{self.table}.{self.column}"

    def found(self) -> list[ExistingColumn]:
        """Return what the database knows of the column; an empty list where it has no such column."""
        return existing_columns(self.alias, [FileColumn(self.table, self.column)])


def name_columns(fields: "Iterable[Field]", alias: str, among: Collection[str] | None = None) -> list[NameColumn]:
    """Return the fields' columns that exist, for rows that name files on ``alias``.

    Rows may be on another database than their files, unless these follow them: look on both, or only on those that are
    in ``among``.
    """
    wanted = {
        NameColumn(rows, field.model._meta.db_table, cast("str", field.column))
        for field in fields
        for rows in ((alias,) if _follows(field) else (alias, router.db_for_write(field.model)))
        if among is None or rows in among
    }
    return sorted(column for column in wanted if column.found())


def unreadable(column: NameColumn) -> str | None:
    """Return why the role cannot read all of the column's rows; ``None`` where it can."""
    [found] = column.found()
    if not found.may_read:
        return "the role may not read it; grant it SELECT, or run 'largeobjects adopt' as the table's owner"
    if found.hides_rows:
        return "row-level security may hide rows; run 'largeobjects adopt' as a role that is exempt from it"
    return None


def names_of(column: NameColumn) -> str:
    """Return a query for the column's names, one for each row that has a name."""
    quote = connections[column.alias].ops.quote_name
    name = f"{quote(column.column)}::text"
    return f"select {name} as name from {quote(column.table)} where {name} <> ''"  # noqa: S608 -- quoted


def has_names(column: NameColumn) -> bool:
    """Tell whether a row of the column has a name."""
    return bool(_value(column.alias, f"select exists ({names_of(column)})"))


def count_names(column: NameColumn) -> int:
    """Return how many rows of the column have a name."""
    return int(_value(column.alias, f"select count(*) from ({names_of(column)}) as names"))  # noqa: S608 -- quoted


def settled_columns(alias: str) -> set[NameColumn]:
    """Return the columns that 'migrate' leaves alone when it adopts on ``alias``."""
    comment = _value(alias, "select obj_description('pg_lo_storage_file'::regclass::oid, 'pg_class')")
    if not isinstance(comment, str) or not comment.startswith(_MARK):
        return set()
    columns: list[list[str]] = json.loads(comment.removeprefix(_MARK))
    # A database's own alias is not in its comment: it may be renamed.
    return {NameColumn(rows or alias, table, column) for rows, table, column in columns}


def unsettled_columns(alias: str, among: Collection[str] | None = None) -> list[NameColumn]:
    """Return the columns with names of files on ``alias`` that are not settled, as :func:`name_columns` finds them.

    Columns from which files still move come later: nobody has moved the files of the other names yet.
    """
    left_out = settled_columns(alias).union(old_places(alias, among))
    return [column for column in name_columns(file_fields(alias), alias, among) if column not in left_out]


def old_places(alias: str, among: Collection[str] | None = None) -> dict[NameColumn, Storage]:
    """Return the storages in which files still are, by those columns whose names may be of either place."""
    return {
        column: legacy
        for field in file_fields(alias)
        if (legacy := legacy_of(field)) is not None
        for column in name_columns([field], alias, among)
    }


def may_settle(alias: str) -> bool:
    """Tell whether the role owns the catalogue's table, and so may comment on it."""
    query = "select pg_has_role(relowner, 'usage') from pg_class where oid = 'pg_lo_storage_file'::regclass::oid"
    return bool(_value(alias, query))


def settle(alias: str, settled: set[NameColumn]) -> None:
    """Write into the database that these columns, and no others, are settled: 'migrate' leaves them alone."""
    columns = sorted(("" if column.alias == alias else column.alias, column.table, column.column) for column in settled)
    # The editor would take a per cent sign for a parameter.
    comment = _MARK + json.dumps(columns).replace("%", "\\u0025")
    # This module can be imported before Django is set up, the model cannot.
    catalogue = apps.get_model("pg_lo_storage", "StoredFile")
    with connections[alias].schema_editor() as editor:
        editor.alter_db_table_comment(catalogue, "", comment)


def _value(alias: str, query: str) -> Any:
    return ask(alias, query)[0][0]


def _follows(field: "Field") -> bool:
    return isinstance(field, models.FileField) and follows_rows(field)
