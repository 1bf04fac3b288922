"""What becomes of the files that the rows of a flush leave: unlinked is what no committed row names any more.

All else stays: an object that nothing names can be removed later, and what a row names cannot be had again. Where a
column has this library's triggers they decide alone, for they see all rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import Column, Connection, Table, event, select, text, type_coerce, union_all
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.sql.elements import quoted_name

from pg_lo_storage.contrib.sqlalchemy.files import LargeObjectType
from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.drivers.registry import get_driver

__all__ = ["note_columns", "unlink_unnamed"]

_columns: "WeakSet[Column[Any]]" = WeakSet()

# All tables of these names that have the column, in whatever schema. "own" is the one that a statement means.
_TABLES: Final = qualified(
    "select n, coalesce(r.oid = own, false), r.oid::int8,"
    " exists (select from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid cross join lateral"
    " (select string_to_array(encode(t.tgargs, 'escape'), E'\\\\000') as given) as args"
    " where t.tgrelid = r.oid and starts_with(p.proname::text, 'pg_lo_storage_guard')"
    " and (given[1] = a.attnum::text or given[3] = attribute)),"
    " not has_schema_privilege(r.relnamespace, 'usage') or not has_column_privilege(r.oid, a.attnum, 'select')"
    " or row_security_active(r.oid),"
    " array(select coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid)::int8"
    " from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid"
    " where starts_with(p.proname::text, 'pg_lo_storage_guard')),"
    " current_setting('transaction_isolation')"
    " from rows from (unnest(:schemas ::text[]), unnest(:tables ::text[]), unnest(:columns ::text[]))"
    " with ordinality as wanted (place, relation, attribute, n)"
    " cross join lateral (select case when place = '' then to_regclass(quote_ident(relation))::oid"
    " else (select c.oid from pg_class as c join pg_namespace as s on s.oid = c.relnamespace"
    " where s.nspname = place::name and c.relname = relation::name) end as own) as resolved"
    " join pg_class as r on r.relname = relation::name"
    " join pg_attribute as a on a.attrelid = r.oid and a.attname = attribute::name"
    " where a.attnum > 0 and not a.attisdropped and (r.oid = own or (r.relkind = any('{r,p}'::\"char\"[])"
    " and r.relpersistence <> 't'::\"char\" and a.atttypid = 'oid'::regtype::oid))"
)


@dataclass(frozen=True)
class _Found:
    """A table that the database has with one of the columns."""

    n: int
    is_own: bool
    oid: int
    is_guarded: bool
    hides_rows: bool
    guarded: list[int]
    isolation: str


def note_columns() -> None:
    """Have the columns of files known, of all tables that are made from now on, mapped or not."""
    event.listen(Column, "after_parent_attach", _attached)


def unlink_unnamed(connection: Connection, left: "Iterable[tuple[Column[Any], int]]") -> None:
    """Unlink the objects that rows of the columns have left, where certainly no committed row names them."""
    columns = {_named(connection, column): column for column in (*_columns, *(column for column, _ in left))}
    names = list(columns)
    found = [_Found(*row) for row in connection.execute(text(_TABLES), _parameters(names))]
    own = {names[each.n - 1]: each for each in found if each.is_own}
    guarded = {name for name, each in own.items() if each.is_guarded}
    oids = {oid for column, oid in left if _named(connection, column) not in guarded}
    oids -= {oid for column, oid in left if _named(connection, column) in guarded}
    if not oids or _may_miss_rows(found):
        return
    naming = [select(type_coerce(columns[name], OID)).where(columns[name].in_(oids)) for name in own]
    driver = get_driver(connection)
    for oid in sorted(oids - set(connection.scalars(union_all(*naming)))):
        driver.unlink(oid)


def _may_miss_rows(found: list[_Found]) -> bool:
    """Tell whether rows that name a file might not be found."""
    own = {each.oid for each in found if each.is_own}
    return any(
        # An earlier snapshot does not show what others have committed since.
        each.isolation not in {"read committed", "read uncommitted"}
        or (each.is_own and each.hides_rows)
        # Tables of another schema, as a tenant's, and such as this program does not know.
        or each.oid not in own
        or not own.issuperset(each.guarded)
        for each in found
    )


def _attached(column: "Column[Any]", table: object) -> None:
    if isinstance(table, Table) and isinstance(column.type, LargeObjectType):
        _columns.add(column)


def _named(connection: Connection, column: "Column[Any]") -> tuple[str, str, str]:
    """Return the names of a column's schema, empty where it is the search path's, of its table, and its own."""
    schema = connection.schema_for_object(column.table)
    return _name("" if schema is None else schema), _name(column.table.name), _name(column.name)


def _name(name: str) -> str:
    # SQLAlchemy quotes what is not in lower case, unless it is told not to.
    return name.lower() if isinstance(name, quoted_name) and name.quote is False else str(name)


def _parameters(names: list[tuple[str, str, str]]) -> dict[str, list[str]]:
    schemas, tables, columns = (list(each) for each in zip(*names, strict=True))
    return {"schemas": schemas, "tables": tables, "columns": columns}
