"""The scripts of :mod:`pg_lo_storage.operations`, each one ``DO`` statement.

A script looks up what it has to know of the database when it runs, so that ``sqlmigrate`` shows all that is done.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pg_lo_storage.operations import templates

__all__ = ["Quote", "add_guard_column", "claim", "install", "list_columns", "refresh", "remove", "remove_guard_column"]

Quote = Callable[[str], str]
"""Makes an SQL literal of a string."""

_GUARD: Final = "pg_lo_storage_guard"  # how the names of trigger functions begin
_IDENTIFIER: Final = 63  # bytes of one that PostgreSQL keeps
_EVENTS: Final = {
    "inserted": "after insert on %s referencing new table as pg_lo_new",
    "updated": "after update on %s referencing old table as pg_lo_old new table as pg_lo_new",
    "deleted": "after delete on %s referencing old table as pg_lo_old",
}
_HELPERS: Final = [
    f"pg_lo_storage_{name}" for name in ("columns", "existing", "kept", "settle", "truncating", "same", "claim")
]
_TRUNCATE_EVENTS: Final = {"truncating": "before truncate on %s", "truncated": "after truncate on %s"}


def install(
    quote: Quote, table: str, column: str, *, owner: str | None, truncate: bool, same: Sequence[str] = ()
) -> str:
    """Return the script that makes the triggers for a column, or brings them up to date; ``table`` is quoted.

    ``same`` are the columns in which rows that name the same file must be alike.
    """
    events = _EVENTS | _TRUNCATE_EVENTS if truncate else _EVENTS
    guard = _GUARD if owner is None else _identifier(f"{_GUARD}_as_", owner)
    *helpers, function = templates.functions()
    function = templates.fill(function, {"guard": f'"{guard}"'})
    if owner is not None:
        function = function.replace("security invoker", "security definer")
    return _script(
        "install",
        quote,
        table=table,
        column=column,
        guard=guard,
        owner=owner,
        definitions=[*helpers, function],
        same=list(same) or None,
        names=[_trigger(event, column) for event in events],
        events=list(events.values()),
        all_names=[_trigger(event, column) for event in _EVENTS | _TRUNCATE_EVENTS],
    )


def remove(quote: Quote, table: str, column: str) -> str:
    """Return the script that drops a column's triggers, and the functions that no trigger uses any more."""
    names = [_trigger(event, column) for event in _EVENTS | _TRUNCATE_EVENTS]
    return _script("remove", quote, table=table, column=column, all_names=names)


def claim(quote: Quote, table: str, column: str) -> str:
    """Return the script that raises where rows of the table name a file that is not theirs alone."""
    return _script("claim", quote, table=table, column=column)


def list_columns(quote: Quote, columns: Iterable[tuple[str, str]], kept: Iterable[str]) -> str:
    """Return the script that tells the triggers which columns name files: quoted tables with their columns.

    ``kept`` are the names of files that are never unlinked.
    """
    listed = list(columns)
    tables, names = [table for table, _ in listed], [name for _, name in listed]
    return _script("list_columns", quote, tables=tables, columns=names, kept=list(kept))


def refresh(quote: Quote) -> str:
    """Return the script that tells triggers the present names of their columns."""
    return _script("refresh", quote)


def add_guard_column(quote: Quote, table: str, column: str) -> str:
    """Return the script that adds the generated column with the oids that a column names."""
    return _script("add_guard_column", quote, table=table, column=column, name=_identifier("pg_lo_storage_", column))


def remove_guard_column(quote: Quote, table: str, column: str) -> str:
    """Return the script that drops that generated column."""
    return _script("remove_guard_column", quote, table=table, column=column)


def _trigger(event: str, column: str) -> str:
    return _identifier(f"pg_lo_storage_{event}_", column)


def _identifier(prefix: str, name: str) -> str:
    """Return an identifier for what belongs to ``name``, which may be any identifier itself."""
    whole = prefix + name
    if re.fullmatch("[a-z0-9_]+", name) and len(whole) <= _IDENTIFIER:
        return whole
    return prefix + hashlib.sha256(name.encode()).hexdigest()[: _IDENTIFIER - len(prefix)][:32]


def _script(file: str, quote: Quote, **values: str | list[str] | None) -> str:
    literals = {name: _literal(quote, value) for name, value in {"helpers": _HELPERS, **values}.items()}
    tag = "$do$"
    while any(tag in literal for literal in literals.values()):
        tag = f"${tag[1:-1]}_$"
    # A value may look like a mark: values come last, all at once.
    return templates.fill(templates.script(file).replace("$do$", tag), literals)


def _literal(quote: Quote, value: str | list[str] | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"array[{', '.join(_literal(quote, each) for each in value)}]::pg_catalog.text[]"
    if "\\" not in value:
        return quote(value)
    # This is read alike whatever the session's standard_conforming_strings; drivers quote for its present value.
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
