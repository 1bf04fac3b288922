"""The triggers of :class:`~pg_lo_storage.operations.ManageLargeObjects` for tables that Django does not know.

They unlink the large objects that a column names, an ``oid`` or a stored file's name, once no row names them, whatever
changes the rows: docs/sqlalchemy.md. From Alembic::

    triggers.install(op.get_bind(), "letter", "scan")

The program ``python -m pg_lo_storage triggers letter scan`` prints the SQL, and runs it where ``--dsn`` is given.
"""

import argparse
import contextlib
import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from pg_lo_storage.drivers.base import LargeObjectDriver, SQLExecutor
from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.drivers.registry import get_driver
from pg_lo_storage.drivers.transactions import begins_by_itself, transaction
from pg_lo_storage.operations import triggers as scripts

__all__ = ["install", "remove", "statements"]

# What the triggers know already: columns by their present names, and files that are never unlinked.
_PLACE: Final = (
    "select p.pronamespace::regnamespace::text from pg_proc as p where p.proname = 'pg_lo_storage_columns'::name"
    " and exists (select from pg_proc as k where k.proname = 'pg_lo_storage_kept'::name"
    " and k.pronamespace = p.pronamespace) and p.pronamespace = coalesce((select c.relnamespace from pg_class as c"
    " where c.oid = to_regclass('pg_lo_storage_file')::oid), to_regnamespace(quote_ident(current_schema()::text))::oid)"
)
_LISTED: Final = (
    "select coalesce(r.oid::regclass::text, l.relation), coalesce(a.attname::text, l.attribute)"
    " from {place}.pg_lo_storage_columns() as l left join pg_class as r on r.oid = l.relid"
    " left join pg_attribute as a on a.attrelid = l.relid and a.attnum = l.attnum"
)
_KEPT: Final = "select kept::text from unnest({place}.pg_lo_storage_kept()) as kept"


def install(
    connection: object,
    table: str,
    column: str,
    *,
    owner: str | None = None,
    truncate: Literal["unlink", "keep"] = "unlink",
    beside: Sequence[tuple[str, str]] = (),
) -> None:
    """Make the triggers for a column, or bring them up to date, in the connection's transaction.

    ``table`` is a name as SQL has it, with its schema or quotes where it needs them, ``column`` a name without quotes.
    ``beside`` are further columns that name files, and have no triggers: what they name is kept. ``owner`` and
    ``truncate`` are those of :class:`~pg_lo_storage.operations.ManageLargeObjects`.

    :raises DriverNotFound: no driver serves the connection.
    :raises ValueError: its driver has no SQL.
    """
    driver, sql = _driver(connection)
    with contextlib.nullcontext() if begins_by_itself(driver) else transaction(driver):
        _run(sql, [_install(table, column, owner=owner, truncate=truncate)])
        listed, kept = {(table, column), *beside}, set[str]()
        for (place,) in _ask(sql, _PLACE):
            listed |= {(str(relation), str(name)) for relation, name in _ask(sql, _LISTED.format(place=place))}
            kept |= {str(oid) for (oid,) in _ask(sql, _KEPT.format(place=place))}
        _run(sql, [scripts.list_columns(_literal, sorted(listed), sorted(kept))])


def remove(connection: object, table: str, column: str) -> None:
    """Drop a column's triggers, and the functions that no trigger uses any more.

    :raises DriverNotFound: no driver serves the connection.
    :raises ValueError: its driver has no SQL.
    """
    _, sql = _driver(connection)
    _run(sql, [scripts.remove(_literal, table, column)])


def statements(
    columns: Iterable[tuple[str, str]], *, owner: str | None = None, truncate: Literal["unlink", "keep"] = "unlink"
) -> list[str]:
    """Return the SQL that makes the triggers for tables' columns, which must be all that name files in the database."""
    listed = list(columns)
    made = [_install(table, column, owner=owner, truncate=truncate) for table, column in listed]
    return [*made, scripts.list_columns(_literal, listed, [])]


def main(arguments: Sequence[str]) -> None:
    """Print the SQL, or run it."""
    parser = argparse.ArgumentParser(
        prog="python -m pg_lo_storage triggers",
        description="Triggers that unlink the large objects that columns name, once no row names them.",
        epilog="Without --dsn the SQL is printed, for a database in which no other column names large objects.",
    )
    parser.add_argument("columns", nargs="+", metavar="TABLE COLUMN", help="a table and its column; several may follow")
    parser.add_argument("--dsn", help="run it on the database of this connection string")
    parser.add_argument("--owner", metavar="ROLE", help="unlink with the rights of this role; needs the catalogue")
    parser.add_argument("--keep-on-truncate", action="store_true", help="TRUNCATE leaves the objects where they are")
    parser.add_argument("--remove", action="store_true", help="drop the triggers")
    options = parser.parse_args(arguments)
    if len(options.columns) % 2:
        parser.error("a table and its column, please")
    columns = list(zip(options.columns[::2], options.columns[1::2], strict=True))
    truncate: Literal["unlink", "keep"] = "keep" if options.keep_on_truncate else "unlink"
    if options.dsn is None:
        removing = [scripts.remove(_literal, table, column) for table, column in columns]
        printed = removing if options.remove else statements(columns, owner=options.owner, truncate=truncate)
        sys.stdout.writelines(f"{statement};\n" for statement in printed)
        return
    with contextlib.closing(_connected(options.dsn)) as connection:
        for table, column in columns:
            if options.remove:
                remove(connection, table, column)
            else:
                install(connection, table, column, owner=options.owner, truncate=truncate)
        connection.commit()


def _install(table: str, column: str, *, owner: str | None, truncate: str) -> str:
    return scripts.install(_literal, table, column, owner=owner, truncate=truncate == "unlink")


def _driver(connection: object) -> tuple[LargeObjectDriver, SQLExecutor]:
    driver = get_driver(connection)
    if (sql := driver.sql) is None:
        raise ValueError("the driver of this connection has no SQL, which triggers are made by")
    return driver, sql


def _ask(sql: SQLExecutor, query: str) -> list[tuple[object, ...]]:
    return sql.execute(qualified(query))  # pyright: ignore[reportArgumentType]  # of constants, and a schema


def _run(sql: SQLExecutor, queries: Iterable[str]) -> None:
    for query in queries:
        # A driver's statements have placeholders: a per cent sign is doubled.
        sql.execute(query.replace("%", "%%"))  # pyright: ignore[reportArgumentType]  # quoted by the scripts


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _connected(dsn: str) -> Any:
    try:
        return importlib.import_module("psycopg").connect(dsn)
    except ImportError:
        return importlib.import_module("psycopg2").connect(dsn)
