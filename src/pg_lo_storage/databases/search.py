"""Searches columns for the names of objects: in SQL, and only where that runs nobody's code but PostgreSQL's own."""

import logging
from collections.abc import Collection
from typing import Final, NamedTuple

from django.db import Error, connections

from pg_lo_storage.databases.columns import ExistingColumn, FileColumn, ask, existing_columns
from pg_lo_storage.databases.names_in_sql import FINDINGS, naming

__all__ = ["Cell", "named_elsewhere", "named_on", "names_on"]

logger: Final = logging.getLogger("pg_lo_storage")


class Cell(NamedTuple):
    """One row's value in a column; ``key`` has the row's primary key, by column, with the database's values."""

    column: FileColumn
    key: dict[str, object]


def named_on(alias: str, wanted: list[FileColumn], oids: Collection[int], besides: Cell | None) -> set[int]:
    """Return those objects that rows on ``alias`` name, or may name, in these columns."""
    if connections[alias].vendor != "postgresql":
        logger.warning("kept large objects %s: %s is not PostgreSQL, and rows there may name them", sorted(oids), alias)
        return set(oids)
    columns = existing_columns(alias, wanted, in_all_schemas=True)
    for reason, some in (
        ("row-level security may hide rows of", [found.column for found in columns if found.hides_rows]),
        (
            "to read this is not safe, since it is no plain table's column of text or numbers:",
            [found.column for found in columns if not found.is_readable],
        ),
    ):
        if some:
            logger.warning("kept large objects %s: %s %s", sorted(oids), reason, sorted(map(str, some)))
            return set(oids)
    defaults = {int(oid) for found in columns for oid in found.default_oids}
    return (_named(alias, columns, oids, besides) | defaults) & set(oids)


def named_elsewhere(alias: str, wanted: list[FileColumn], oids: Collection[int]) -> set[int]:
    """Return those objects of another database that rows on ``alias`` name, or may name, if there are such rows.

    Rows on a replica are those of its primary, as they were a while ago: they do not count.
    """
    connection = connections[alias]
    try:
        if connection.vendor == "postgresql":
            [(is_replica,)] = ask(alias, "select pg_is_in_recovery()")
            return set() if is_replica else named_on(alias, wanted, oids, None)
        tables = connection.introspection.table_names()
        return named_on(alias, wanted, oids, None) if any(column.table in tables for column in wanted) else set()
    except AssertionError:  # how Django's test cases refuse databases that they do not declare
        return set()
    except Error:
        logger.exception("kept large objects %s: rows on %r may name them, and it does not answer", sorted(oids), alias)
        return set(oids)


def names_on(alias: str, wanted: list[FileColumn], oid: int) -> set[str]:
    """Return the names of the object in those rows on ``alias`` that the role may see."""
    quote = connections[alias].ops.quote_name
    selects: list[str] = []
    params: list[object] = []
    for found in existing_columns(alias, wanted):
        if found.may_read and found.is_readable:
            name = found.text(alias)
            condition, values = naming(name, [oid])
            selects.append(f"select {name} from {quote(found.column.table)} where {condition}")  # noqa: S608 -- quoted
            params += values
    return {name for (name,) in ask(alias, " union ".join(selects), *params)} if selects else set()


def _named(alias: str, columns: list[ExistingColumn], oids: Collection[int], besides: Cell | None) -> set[int]:
    """Return those objects that rows name."""
    if not columns:
        return set()
    quote = connections[alias].ops.quote_name
    selects: list[str] = []
    params: list[object] = []
    for found in columns:
        condition, values = "true", list[object]()
        if besides and besides.column == found.column:
            # array_position() finds the equality of the key's type in any schema; a qualified operator would not.
            others = (f"array_position(array[{quote(part)}], %s) is null" for part in besides.key)
            condition, values = f"({' or '.join(others)})", list(besides.key.values())
        select = FINDINGS[found.finding].format(
            table=quote(found.column.table),
            column=quote(found.column.column),
            collation=' collate pg_catalog."C"' if found.collates_loosely else "",
            oids="%s::text[]",
            condition=condition,
        )
        selects.append(select)
        params += [list(map(str, oids)), *values]
    stems = (stem for (stem,) in ask(alias, " union ".join(selects), *params))
    return {int(stem) for stem in stems if stem.isdecimal()}
