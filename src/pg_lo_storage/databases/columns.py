"""Which columns the database has, and what is to be known of one before its rows are looked at."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self, cast

from django.db import connections, models
from typing_extensions import override

from pg_lo_storage.databases.names_in_sql import OID
from pg_lo_storage.drivers.qualified import qualified

__all__ = [
    "COLLATES_LOOSELY",
    "DEFAULT_OIDS",
    "READABLE",
    "ExistingColumn",
    "FileColumn",
    "ask",
    "existing_columns",
    "has_catalogue",
    "readable",
]


def readable(*types: str) -> str:
    """Return SQL that tells whether column ``a`` of relation ``r`` is a table's own, of one of PostgreSQL's types."""
    listed = ",".join(f"pg_catalog.{name}" for name in types)
    return (
        "(r.relkind = any('{r,p}'::pg_catalog.\"char\"[]) and a.attgenerated <> 'v'::pg_catalog.\"char\""
        f" and a.atttypid = any('{{{listed}}}'::regtype[]::oid[]))"
    )


READABLE: Final = readable("text", "varchar", "bpchar", "name", "oid", "int4", "int8")
"""SQL that tells whether reading column ``a`` of relation ``r`` as text runs nobody's code but PostgreSQL's own.

A view's rule, a virtual column's expression, and another type's output or cast are their owners'.
"""

COLLATES_LOOSELY: Final = (
    "exists (select from pg_collation as c where c.oid = a.attcollation and not c.collisdeterministic)"
)
"""SQL that tells whether column ``a`` finds texts equal that are not the same."""

DEFAULT_OIDS: Final = (
    "array(select m[1] from pg_attrdef as d"  # noqa: S608 -- of constants
    f" cross join regexp_matches(pg_get_expr(d.adbin, d.adrelid), '''({OID})[.'']', 'g') as m"
    " where d.adrelid = a.attrelid and d.adnum = a.attnum)"
)
"""SQL for the oids in the literals of the default of column ``a``, which is read and never evaluated."""


class FileColumn(NamedTuple):
    """A column of a table, both as Django has them, not quoted."""

    table: str
    column: str

    @classmethod
    def of(cls, field: "models.Field[Any, Any]") -> Self:
        """Return the field's column."""
        return cls(field.model._meta.db_table, str(field.column))

    @override
    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


class ExistingColumn(NamedTuple):
    """A column that the database has, and what is to be known of it."""

    column: FileColumn
    hides_rows: bool
    """Whether row-level security may hide rows from the role."""
    may_read: bool
    """Whether the role has the right to."""
    is_readable: bool
    """Whether to read it as text runs nobody's code but PostgreSQL's own."""
    collates_loosely: bool
    """Whether it finds texts equal that are not the same."""
    default_oids: list[str]
    """The oids that its default may name."""
    more: tuple[Any, ...]
    """What else was asked."""

    def text(self, alias: str) -> str:
        """Return SQL for the column's value as text that is compared character by character."""
        name = connections[alias].ops.quote_name(self.column.column)
        return f'{name}::text collate pg_catalog."C"' if self.collates_loosely else f"{name}::text"


def existing_columns(alias: str, wanted: Sequence[FileColumn], *more: str) -> list[ExistingColumn]:
    """Return those of the columns that the database has, in their order; none where it is not PostgreSQL.

    Some may be of tables that are still to be migrated. ``more`` is SQL for what else is to be known of column ``a``
    of relation ``r``.
    """
    connection = connections[alias]
    if not wanted or connection.vendor != "postgresql":
        return []
    facts = (
        "row_security_active(r.oid)",
        "has_column_privilege(r.oid, a.attnum, 'select')",
        READABLE,
        COLLATES_LOOSELY,
        DEFAULT_OIDS,
        *more,
    )
    query = (
        f"select n, {', '.join(facts)}"  # noqa: S608 -- of constants
        " from rows from (unnest(%s::text[]), unnest(%s::text[])) with ordinality as wanted (relation, attribute, n)"
        " join pg_class as r on r.oid = to_regclass(relation)::oid"
        " join pg_attribute as a on a.attrelid = r.oid and a.attname = attribute::name"
        " where a.attnum > 0 and not a.attisdropped order by n"
    )
    tables = [connection.ops.quote_name(table) for table, _ in wanted]
    found: list[ExistingColumn] = []
    for n, hides, may_read, readable, loosely, defaults, *others in ask(alias, query, tables, [c for _, c in wanted]):
        found.append(ExistingColumn(wanted[int(n) - 1], hides, may_read, readable, loosely, defaults, tuple(others)))
    return found


def has_catalogue(alias: str) -> bool:
    """Tell whether the database has the catalogue's table."""
    [(found,)] = ask(alias, "select to_regclass('pg_lo_storage_file') is not null")
    return bool(found)


def ask(alias: str, query: str, *params: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query, which means PostgreSQL's own by all that it calls."""
    with connections[alias].cursor() as cursor:
        # Without parameters a per cent sign, in a name, is one.
        cursor.execute(qualified(query), params or None)
        return cast("list[tuple[Any, ...]]", cursor.fetchall())
