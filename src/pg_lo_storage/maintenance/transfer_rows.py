"""Rows on their way to the same table of another database, as the texts of their columns.

Text, since it is exact for every type, and goes past what a field makes of a value. Columns are those that the tables
have, whether the model knows them or not; generated ones are left to the server.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from django.db import connections, models

from pg_lo_storage.databases.columns import ask, quoted
from pg_lo_storage.databases.file_fields import stored_fields

__all__ = ["Key", "Problem", "Table", "Values", "agree_on_texts", "tables_of"]

Key: TypeAlias = tuple[str, ...]
"""The texts of a row's primary key."""

Values: TypeAlias = dict[str, str | None]
"""The texts of a row's columns; ``None`` is NULL."""

# The same value has the same text on both sides, and that text means it. A commit that the server has confirmed is to
# survive the server's end: the row is deleted elsewhere because of it.
_SETTINGS: Final = (
    "select set_config('datestyle', 'ISO, YMD', true), set_config('intervalstyle', 'postgres', true),"
    " set_config('timezone', 'UTC', true), set_config('extra_float_digits', '1', true),"
    " set_config('bytea_output', 'hex', true), set_config('lc_monetary', 'C', true),"
    " case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', true) end"
)
_COLUMNS: Final = (
    "select a.attname::text, format_type(a.atttypid, a.atttypmod), pg_get_serial_sequence(%s::text, a.attname::text)"
    " from pg_attribute as a where a.attrelid = to_regclass(%s::text)::oid and a.attnum > 0"
    " and not a.attisdropped and a.attgenerated = '' order by a.attnum"
)


class Problem(Exception):
    """What hinders a move; the message says which row, and what to do."""


@dataclass(frozen=True)
class _Column:
    type: str
    sequence: str | None


class Table:
    """A model's own table, which two databases have alike.

    :raises Problem: they have not.
    """

    def __init__(self, model: type[models.Model], source: str, target: str) -> None:
        self.model = model
        self.name: str = model._meta.db_table
        self.keys: list[str] = [str(field.column) for field in model._meta.pk_fields]
        self.files: dict[str, models.FileField] = {str(field.column): field for field in stored_fields(model)}
        self._columns = {alias: self._columns_on(alias) for alias in (source, target)}
        there, here = self._columns[source], self._columns[target]
        if not there or set(there) != set(here):
            differing = ", ".join(sorted(set(there).symmetric_difference(here))) or "all"
            message = (
                f"the table {self.name} is not the same on {source!r} and {target!r}: {differing} of its columns are"
                " on one side only; run 'manage.py migrate' on both"
            )
            raise Problem(message)

    def _columns_on(self, alias: str) -> dict[str, _Column]:
        table = self._table(alias)
        return {name: _Column(kind, sequence) for name, kind, sequence in ask(alias, _COLUMNS, table, table)}

    def _table(self, alias: str) -> str:
        return connections[alias].ops.quote_name(self.name)

    def read(self, alias: str, keys: Collection[Key], *, lock: bool = False) -> dict[Key, Values]:
        """Return those of the rows that there are; with ``lock`` nobody changes them, or comes to refer to them."""
        if not keys:
            return {}
        columns = list(self._columns[alias])
        texts = ", ".join(f"t.{_doubled(quoted(column))}::pg_catalog.text" for column in columns)
        query = (
            f"select k.n, {texts} from {self._matching(alias)} order by k.n"  # noqa: S608 -- quoted
            f"{' for update of t' if lock else ''}"
        )
        given = list(keys)
        rows = _run(alias, query, list(zip(*given, strict=True)))
        return {given[int(n) - 1]: dict(zip(columns, values, strict=True)) for n, *values in rows}

    def insert(self, alias: str, rows: Collection[Values]) -> None:
        """Insert the rows as they are, and have no sequence give their numbers out again."""
        if not rows:
            return
        columns = self._columns[alias]
        given = ", ".join(f"v{n}" for n in range(len(columns)))
        casts = ", ".join(f"cast(v{n} as {_doubled(column.type)})" for n, column in enumerate(columns.values()))
        query = (
            f"insert into {_doubled(self._table(alias))} ({', '.join(_doubled(quoted(name)) for name in columns)})"  # noqa: S608 -- quoted
            f" overriding system value select {casts} from rows from ({_arrays(len(columns))}) as v ({given})"
        )
        _run(alias, query, [[row[name] for row in rows] for name in columns])
        for name, column in columns.items():
            numbers = [int(value) for row in rows if (value := row[name]) is not None] if column.sequence else []
            if numbers:
                _advance(alias, str(column.sequence), max(numbers))

    def delete(self, alias: str, keys: Collection[Key]) -> None:
        """Delete the rows, and none that refer to them."""
        matching = self._matching(alias, using=True)
        _run(alias, f"delete from {matching}", list(zip(*keys, strict=True)))  # noqa: S608 -- quoted

    def _matching(self, alias: str, *, using: bool = False) -> str:
        """Return SQL for the table ``t`` and those keys that are given as one array of texts for each column."""
        kinds = [self._columns[alias][key].type for key in self.keys]
        names = ", ".join(f"k{n}" for n in range(len(kinds)))
        on = " and ".join(
            f"t.{_doubled(quoted(key))} operator(pg_catalog.=) cast(k.k{n} as {_doubled(kind)})"
            for n, (key, kind) in enumerate(zip(self.keys, kinds, strict=True))
        )
        keys = f"rows from ({_arrays(len(kinds))}) with ordinality as k ({names}, n)"
        join, where = ("using", "where") if using else ("join", "on")
        return f"{_doubled(self._table(alias))} as t {join} {keys} {where} {on}"


def tables_of(model: type[models.Model], source: str, target: str) -> list[Table]:
    """Return the tables that have a part of the rows of a model that is no proxy, parents first."""
    chain = [*model._meta.all_parents, model]
    return [Table(each, source, target) for each in sorted(chain, key=lambda each: len(each._meta.all_parents))]


def agree_on_texts(alias: str) -> None:
    """Have values read as texts, in this transaction, as on every other database that agrees."""
    ask(alias, _SETTINGS)


def _advance(alias: str, sequence: str, number: int) -> None:
    # The condition keeps a sequence that others advance meanwhile from being set back.
    _run(
        alias,
        f"select pg_catalog.setval(%s::pg_catalog.text::pg_catalog.regclass, %s) from {_doubled(sequence)}"  # noqa: S608 -- quoted by the server
        " where last_value operator(pg_catalog.<) %s"
        " or last_value operator(pg_catalog.=) %s and not is_called",
        [sequence, number, number, number],
    )


def _arrays(count: int) -> str:
    return ", ".join(["pg_catalog.unnest(%s::pg_catalog.text[])"] * count)


def _doubled(name: str) -> str:
    return name.replace("%", "%%")


def _run(alias: str, query: str, params: Iterable[Sequence[str | None] | str | int]) -> list[tuple[Any, ...]]:
    # Not qualified as other statements are: the types are the server's own words.
    given: list[Any] = [list(param) if isinstance(param, tuple) else param for param in params]
    with connections[alias].cursor() as cursor:
        cursor.execute(query, given)
        return cast("list[tuple[Any, ...]]", cursor.fetchall() if cursor.description else [])
