"""Which columns the database has, and what must be known of a column before its rows are read."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self, cast

from django.db import connections, models
from typing_extensions import override

from pg_lo_storage.databases.catalogues import IS_OPEN, IS_RELATED_TABLE, is_twin
from pg_lo_storage.databases.columns_in_sql import COLLATES_LOOSELY, DEFAULT_OIDS, FINDING, READABLE
from pg_lo_storage.drivers.qualified import qualified

__all__ = [
    "ExistingColumn",
    "FileColumn",
    "ask",
    "existing_columns",
    "has_catalogue",
    "quoted",
]


class FileColumn(NamedTuple):
    """A table and its column, by the names that Django has, not quoted."""

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
    """A column that the database has, and what is known of it."""

    column: FileColumn
    hides_rows: bool
    """Whether row-level security may hide rows from the role."""
    may_read: bool
    """Whether the role may read it."""
    is_readable: bool
    """Whether reading it as text runs nobody's code but PostgreSQL's own."""
    collates_loosely: bool
    """Whether its collation takes different texts for equal."""
    finding: str
    """How the rows are found that name an object: a key of ``FINDINGS``."""
    default_oids: list[str]
    """The oids that its default may name."""
    more: tuple[Any, ...]
    """The values of the SQL that the caller added."""

    def text(self, alias: str) -> str:
        """Return SQL for the column's value as text that is compared character by character."""
        name = connections[alias].ops.quote_name(self.column.column)
        return f'{name}::text collate pg_catalog."C"' if self.collates_loosely else f"{name}::text"

    def table_for_params(self, alias: str) -> str:
        """Return SQL for the table, in a query with parameters."""
        # In the name of one of another schema the per cent signs are doubled already.
        table = self.column.table
        return table if table.startswith('"') else connections[alias].ops.quote_name(table).replace("%", "%%")


# Further tables of a name, in other schemas: what the role cannot read there hides rows. The session's own schema may
# have none of that name, as the public one beside tenants'. The per cent signs of their names are doubled, as queries
# with parameters ask.
_TWINS: Final = (
    " union all select c.oid, not " + IS_OPEN + ", replace(concat('\"', replace(nspname::text, '\"', '\"\"'), '\".\"',"  # noqa: S608 -- of constants
    " replace(c.relname::text, '\"', '\"\"'), '\"'), '%%', '%%%%')"
    " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
)
_OWN: Final = (
    " join pg_class as own on own.oid = coalesce(to_regclass(relation)::oid, to_regclass('pg_lo_storage_file')::oid)"
    " where c.relname = (parse_ident(relation, false))[cardinality(parse_ident(relation, false))]::name"
    " and coalesce(c.oid <> own.oid, true) and "
)
_SHARING: Final = _TWINS + _OWN + is_twin("to_regclass('pg_lo_storage_file')::oid")
# Also where the session's own schema has neither table nor catalogue.
_ANYWHERE: Final = _TWINS + " left" + _OWN + IS_RELATED_TABLE


def existing_columns(
    alias: str,
    wanted: Sequence[FileColumn],
    *more: str,
    in_all_schemas: bool = False,
    whatever_catalogue: bool = False,
) -> list[ExistingColumn]:
    """Return those columns that the database has, in their order; none where it is not PostgreSQL.

    A table that is not migrated yet has none. ``more`` is further SQL about column ``a`` of relation ``r``. Where
    schemas share one catalogue, or have none, ``in_all_schemas`` finds the tables of the same names in all of them;
    with ``whatever_catalogue`` also in those with a catalogue of their own, whose rows may name the same objects, and
    the same old files.
    """
    connection = connections[alias]
    if not wanted or connection.vendor != "postgresql":
        return []
    facts = (
        "n",
        "twin",
        "hides or row_security_active(r.oid)",
        "has_column_privilege(r.oid, a.attnum, 'select')",
        READABLE,
        COLLATES_LOOSELY,
        FINDING,
        DEFAULT_OIDS,
    )
    twins = _ANYWHERE if whatever_catalogue else _SHARING
    query = (
        f"select {', '.join((*facts, *more))}"  # noqa: S608 -- of constants
        " from rows from (unnest(%s::text[]), unnest(%s::text[])) with ordinality as wanted (relation, attribute, n)"
        " cross join lateral (select to_regclass(relation)::oid as table_oid, false as hides, null::text as twin"
        f"{twins if in_all_schemas else ''}) as tables join pg_class as r on r.oid = table_oid"
        " join pg_attribute as a on a.attrelid = r.oid and a.attname = attribute::name"
        " where a.attnum > 0 and not a.attisdropped order by n"
    )
    tables = [connection.ops.quote_name(table) for table, _ in wanted]
    found: list[ExistingColumn] = []
    for n, twin, *row in ask(alias, query, tables, [column for _, column in wanted]):
        column = wanted[int(n) - 1] if twin is None else FileColumn(twin, wanted[int(n) - 1].column)
        found.append(ExistingColumn._make((column, *row[: len(facts) - 2], tuple(row[len(facts) - 2 :]))))
    return found


def has_catalogue(alias: str) -> bool:
    """Tell whether the database has the catalogue's table."""
    [(found,)] = ask(alias, "select to_regclass('pg_lo_storage_file') is not null")
    return bool(found)


def quoted(name: str) -> str:
    """Return the name of a column or table, as the server has it, as SQL.

    Django's ``quote_name`` is for names that the project gives: it lets quotation marks in a name end it.
    """
    return '"' + name.replace('"', '""') + '"'


def ask(alias: str, query: str, *params: Any) -> list[tuple[Any, ...]]:
    """Qualify the names in a query, so that each means PostgreSQL's own; run it and return its rows."""
    with connections[alias].cursor() as cursor:
        # Without parameters a per cent sign, as in a name, is not doubled.
        cursor.execute(qualified(query), params or None)
        return cast("list[tuple[Any, ...]]", cursor.fetchall())
