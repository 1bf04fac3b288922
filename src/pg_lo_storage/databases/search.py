"""Looking in columns for the names of objects: in SQL, and only where that runs nobody's code but PostgreSQL's own."""

import logging
from collections.abc import Collection
from typing import Final, NamedTuple, cast

from django.db import connections

__all__ = ["LITERAL_OIDS", "READABLE", "Cell", "FileColumn", "named_on", "names_on", "readable"]

logger: Final = logging.getLogger("pg_lo_storage")

# More than these are looked for in one pass over the table, fewer by an index where the column has one.
_FEW: Final = 20


def readable(*types: str) -> str:
    """Return SQL that tells whether column ``a`` of relation ``r`` is a table's own, of one of PostgreSQL's types."""
    listed = ",".join(f"pg_catalog.{name}" for name in types)
    return (
        "r.relkind operator(pg_catalog.=) any('{r,p}'::pg_catalog.\"char\"[])"
        " and a.attgenerated operator(pg_catalog.<>) 'v'::pg_catalog.\"char\" and a.atttypid operator(pg_catalog.=)"
        f" any('{{{listed}}}'::pg_catalog.regtype[]::pg_catalog.oid[])"
    )


READABLE: Final = readable("text", "varchar", "bpchar", "name", "oid", "int4", "int8")
"""SQL that tells whether reading column ``a`` of relation ``r`` as text runs nobody's code but PostgreSQL's own.

A view's rule, a virtual column's expression, and another type's output or cast are their owners'.
"""

LITERAL_OIDS: Final = (
    "array(select m[1] from pg_catalog.regexp_matches(pg_catalog.pg_get_expr(d.adbin, d.adrelid),"
    " '''([1-9][0-9]{0,9})[.'']', 'g') as m)"
)
"""SQL for the oids in the literals of a column's default ``d``, which is read and never evaluated."""


class FileColumn(NamedTuple):
    """A column of a table, both as Django has them, not quoted."""

    table: str
    column: str


class Cell(NamedTuple):
    """What a row has in a column; the row by the columns of its primary key, values as the database has them."""

    column: FileColumn
    key: dict[str, object]


class Found(NamedTuple):
    """A column that the database has, and what is to be known of it."""

    column: FileColumn
    hides_rows: bool
    may_read: bool
    is_readable: bool
    collates_loosely: bool
    default_oids: list[str]


def named_on(alias: str, wanted: list[FileColumn], loids: Collection[int], besides: Cell | None) -> set[int]:
    """Return those of the objects that rows on ``alias`` name in these columns, or may name."""
    if connections[alias].vendor != "postgresql":
        logger.warning(
            "kept large objects %s: %s is not PostgreSQL, and rows there may name them", sorted(loids), alias
        )
        return set(loids)
    columns = _existing(alias, wanted)
    for reason, some in (
        ("row-level security may hide rows of", [found.column for found in columns if found.hides_rows]),
        (
            "to read this is not safe, since it is no plain table's column of text or numbers:",
            [found.column for found in columns if not found.is_readable],
        ),
    ):
        if some:
            named = sorted(f"{table}.{column}" for table, column in some)
            logger.warning("kept large objects %s: %s %s", sorted(loids), reason, named)
            return set(loids)
    defaults = {int(loid) for found in columns for loid in found.default_oids}
    oids = (name.partition(".")[0] for name in _search(alias, columns, loids, besides))
    return ({int(oid) for oid in oids if oid.isdecimal()} | defaults) & set(loids)


def names_on(alias: str, wanted: list[FileColumn], loid: int) -> set[str]:
    """Return the names of the object in those rows on ``alias`` that the role may see."""
    if connections[alias].vendor != "postgresql":
        return set()
    columns = [found for found in _existing(alias, wanted) if found.may_read and found.is_readable]
    return _search(alias, columns, [loid])


def _search(alias: str, columns: list[Found], loids: Collection[int], besides: Cell | None = None) -> set[str]:
    """Return the names of the objects, as rows have them."""
    if not columns:
        return set()
    quote = connections[alias].ops.quote_name
    selects: list[str] = []
    params: list[object] = []
    for found in columns:
        collation = ' collate pg_catalog."C"' if found.collates_loosely else ""
        name = f"{quote(found.column.column)}::pg_catalog.text{collation}"
        condition, values = _naming(name, loids)
        if besides and besides.column == found.column:
            # It compares as the key's type does, wherever that is; no operator would, that is qualified.
            others = (f"pg_catalog.array_position(array[{quote(part)}], %s) is null" for part in besides.key)
            condition = f"({condition}) and ({' or '.join(others)})"
            values += besides.key.values()
        table = quote(found.column.table)
        selects.append(f"select {name} from {table} where {condition}")  # noqa: S608 -- quoted
        params += values
    with connections[alias].cursor() as cursor:
        cursor.execute(" union ".join(selects), cast("list[str]", params))
        return {name for (name,) in cursor.fetchall()}


def _existing(alias: str, columns: list[FileColumn]) -> list[Found]:
    """Return the columns that the database has: some may be of tables that are still to be migrated."""
    quote = connections[alias].ops.quote_name
    # Of several arrays, unnest() is PostgreSQL's own only where it is not qualified.
    query = (
        "select n, pg_catalog.row_security_active(a.attrelid),"  # noqa: S608 -- of constants
        " pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'select'), " + READABLE + ","
        " c.collisdeterministic is false, "
        + LITERAL_OIDS
        + " from unnest(%s::pg_catalog.text[], %s::pg_catalog.text[])"
        " with ordinality as wanted (relation, attribute, n)"
        " join pg_catalog.pg_attribute as a on a.attrelid operator(pg_catalog.=)"
        " pg_catalog.to_regclass(relation)::pg_catalog.oid"
        " and a.attname operator(pg_catalog.=) attribute::pg_catalog.name"
        " join pg_catalog.pg_class as r on r.oid operator(pg_catalog.=) a.attrelid"
        " left join pg_catalog.pg_collation as c on c.oid operator(pg_catalog.=) a.attcollation"
        " left join pg_catalog.pg_attrdef as d on d.adrelid operator(pg_catalog.=) a.attrelid"
        " and d.adnum operator(pg_catalog.=) a.attnum"
        " where a.attnum operator(pg_catalog.>) 0::pg_catalog.int2 and not a.attisdropped"
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(query, ([quote(table) for table, _ in columns], [column for _, column in columns]))
        return [Found(columns[int(n) - 1], *facts) for n, *facts in cursor.fetchall()]


def _naming(name: str, loids: Collection[int]) -> tuple[str, list[object]]:
    """Return the condition that the column names one of the objects, and its parameters."""
    if len(loids) > _FEW:
        condition = f"pg_catalog.split_part({name}, '.', 1) operator(pg_catalog.=) any(%s::pg_catalog.text[])"
        return condition, [[str(loid) for loid in loids]]
    # The operators of varchar_pattern_ops, of which is the second index that Django makes for db_index=True.
    one = (
        f"{name} operator(pg_catalog.=) %s::pg_catalog.text or {name} operator(pg_catalog.~>=~) %s::pg_catalog.text"
        f" and {name} operator(pg_catalog.~<~) %s::pg_catalog.text"
    )
    values: list[object] = []
    for loid in loids:
        values += [str(loid), f"{loid}.", f"{loid}/"]  # "/" is what follows "."
    return " or ".join([one] * len(loids)), values
