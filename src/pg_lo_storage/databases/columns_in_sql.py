"""What must be known of a column before its rows are read, in SQL; see :mod:`pg_lo_storage.databases.names_in_sql`."""

from typing import Final

from pg_lo_storage.databases.names_in_sql import OID

__all__ = [
    "COLLATES_LOOSELY",
    "DEFAULT_OIDS",
    "FINDING",
    "IS_GUARDED",
    "IS_INDEXED",
    "OWN_TYPE",
    "READABLE",
    "readable",
]


def readable(*types: str) -> str:
    """Return SQL that tells whether column ``a`` of relation ``r`` is a table's stored column of one of the types."""
    listed = ",".join(f"pg_catalog.{name}" for name in types)
    return (
        "(r.relkind = any('{r,p}'::pg_catalog.\"char\"[]) and a.attgenerated <> 'v'::pg_catalog.\"char\""
        f" and a.atttypid = any('{{{listed}}}'::regtype[]::oid[]))"
    )


READABLE: Final = readable("text", "varchar", "bpchar", "name", "oid", "int4", "int8")
"""SQL that tells whether reading column ``a`` of relation ``r`` as text runs nobody's code but PostgreSQL's own.

A view's rule, a virtual column's expression, and another type's output or cast run their owner's code.
"""

COLLATES_LOOSELY: Final = (
    "exists (select from pg_collation as c where c.oid = a.attcollation and not c.collisdeterministic)"
)
"""SQL that tells whether the collation of column ``a`` takes different texts for equal."""

OWN_TYPE: Final = (
    "(a.attgenerated <> 'v'::pg_catalog.\"char\" and exists (select from pg_type as t where t.oid = a.atttypid"
    " and t.typnamespace = 'pg_catalog'::regnamespace::oid))"
)
"""SQL that tells whether column ``a`` has one of PostgreSQL's own types: its text runs nobody's code."""

IS_INDEXED: Final = (
    "exists (select from pg_index as i join pg_opclass as o on o.oid = i.indclass[0]"
    " join pg_opfamily as f on f.oid = o.opcfamily join pg_am as m on m.oid = f.opfmethod"
    " where i.indrelid = r.oid and i.indkey[0] = a.attnum and i.indcollation[0] = a.attcollation and i.indisvalid"
    " and i.indpred is null and m.amname::text = 'btree' and starts_with(f.opfname::text, case"
    " when a.atttypid = any('{pg_catalog.text,pg_catalog.varchar}'::regtype[]::oid[]) then 'text_pattern_ops'"
    " when a.atttypid = 'pg_catalog.oid'::regtype::oid then 'oid_ops' else 'integer_ops' end)"
    " and (not r.relhassubclass or r.relkind = 'p'::\"char\")"
    f" and not {COLLATES_LOOSELY})"
)
"""SQL that tells whether column ``a`` of relation ``r`` has an index that finds the rows that name an object."""

FINDING: Final = (
    "case when a.atttypid = 'pg_catalog.oid'::regtype::oid then 'oid'"
    " when a.atttypid = any('{pg_catalog.int4,pg_catalog.int8}'::regtype[]::oid[]) then 'int8'"
    f" when {IS_INDEXED} then 'index' else 'pass' end"
)
"""SQL for the key of ``FINDINGS`` by which the rows are found that name an object in column ``a`` of relation ``r``."""

IS_GUARDED: Final = (
    "exists (select from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid cross join lateral"
    " (select string_to_array(encode(t.tgargs, 'escape'), E'\\\\000') as given) as args where t.tgrelid = r.oid"
    " and starts_with(p.proname::text, 'pg_lo_storage_guard') and t.tgenabled <> 'D'::\"char\""
    " and (given[1] = a.attnum::text or given[3] = a.attname::text))"
)
"""SQL that tells whether triggers unlink the objects that column ``a`` of relation ``r`` names."""

DEFAULT_OIDS: Final = (
    "array(select m[1] from pg_attrdef as d"  # noqa: S608 -- of constants
    f" cross join regexp_matches(pg_get_expr(d.adbin, d.adrelid), '''({OID})[.'']', 'g') as m"
    " where d.adrelid = a.attrelid and d.adnum = a.attnum)"
)
"""SQL for the oids in the literals of column ``a``'s default, which is read and never evaluated."""
