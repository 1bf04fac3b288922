"""System checks on databases that no setting and no router names, and that have rows with files nevertheless."""

from collections.abc import Iterator
from typing import Final

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction

from pg_lo_storage.databases.columns import ExistingColumn, FileColumn, ask, existing_columns
from pg_lo_storage.databases.file_fields import file_fields, follows_rows, legacy_of
from pg_lo_storage.databases.names_in_sql import is_name, oid_in
from pg_lo_storage.databases.references import file_columns

__all__ = ["check_left_behind", "check_names", "may_have_files"]

_SAMPLE: Final = 100
"""How many rows of each table are read."""

_FIRST_ROWS: Final = 10_000
"""How many rows of each table are looked at for names."""


def may_have_files(alias: str) -> bool:
    """Tell whether the database has tables with file fields."""
    try:
        with transaction.atomic(using=alias):
            return bool(existing_columns(alias, file_columns(alias)))
    except Error:  # nobody said that it has files
        return False


def check_left_behind(alias: str) -> Iterator[checks.CheckMessage]:
    """Warn where rows name files that are not there: until 0.2 all files were on ``default``, wherever their rows."""
    fields = (field for field in file_fields(alias) if follows_rows(field) and legacy_of(field) is None)
    following = {FileColumn.of(field) for field in fields}
    if alias == DEFAULT_DB_ALIAS or not following:
        return
    quote = connections[alias].ops.quote_name
    columns = [found for found in existing_columns(alias, sorted(following)) if found.may_read and found.is_readable]
    samples = [
        f"(select {found.text(alias)} as name from {quote(found.column.table)}"  # noqa: S608 -- quoted
        f" where {quote(found.column.column)}::text <> '' limit {_SAMPLE})"
        for found in columns
    ]
    if not samples:
        return
    names = ask(
        alias,
        f"select name from ({' union all '.join(samples)}) as names where {oid_in('name')} is not null"  # noqa: S608 -- quoted
        f" and not exists (select from pg_largeobject_metadata as m where m.oid = {oid_in('name')}) limit 1",
    )
    for (name,) in names:
        yield checks.Warning(
            f"Rows on {alias!r} name files that are not there, such as {name!r}. Files are on the database of their"
            f" rows now; until 0.2 they were on {DEFAULT_DB_ALIAS!r}, wherever the rows were.",
            hint=(
                f"Where they are on {DEFAULT_DB_ALIAS!r}, set PG_LO_STORAGE_DB_FOR_WRITE = {DEFAULT_DB_ALIAS!r}: all"
                " files stay there. Where they are lost, clear the fields of those rows."
            ),
            id="pg_lo_storage.W016",
        )


def check_names(alias: str) -> Iterator[checks.CheckMessage]:
    """Warn where rows have names that are no stored file's, though their field's storage has no other files."""
    fields = {FileColumn.of(field) for field in file_fields() if legacy_of(field) is None}
    fields -= {FileColumn.of(field) for field in file_fields() if legacy_of(field) is not None}
    columns = [found for found in existing_columns(alias, sorted(fields)) if found.may_read and found.is_readable]
    firsts = [
        f"(select {n}, name from ({_some_names(alias, found)}) as names (name)"  # noqa: S608 -- quoted
        f" where name <> '' and not coalesce({is_name('name')}, false) limit 1)"
        for n, found in enumerate(columns)
    ]
    rows = ask(alias, " union all ".join(firsts)) if firsts else []
    if rows:
        named = ", ".join(f"{columns[int(n)].column} (as {name!r})" for n, name in rows)
        yield checks.Warning(
            f"Rows on {alias!r} have names that are no stored file's: those of {named}. These files are not opened,"
            " served or deleted, as if they were not there.",
            hint=(
                "Where another storage has them, give the field TransitionalStorage(legacy=...), which reads them"
                " there, and run 'manage.py largeobjects move'; else clear these rows."
            ),
            id="pg_lo_storage.W017",
        )


def _some_names(alias: str, found: ExistingColumn) -> str:
    """Return a query for names of a column, as many of a table of any size.

    The oldest rows mostly come first. Where there is an index for names, it has those that begin with no digit at one
    of its ends.
    """
    quote = connections[alias].ops.quote_name
    table, column = quote(found.column.table), f"{quote(found.column.column)}::text"
    queries = [
        f"(select {column} from {table} where {column} ~>~ '' order by {column} using {order} limit 1)"  # noqa: S608 -- quoted
        for order in (("~<~", "~>~") if found.finding == "index" else ())
    ]
    name = found.text(alias)
    queries.append(f"(select {name} from {table} limit {_FIRST_ROWS})")  # noqa: S608 -- quoted
    return " union all ".join(queries)
