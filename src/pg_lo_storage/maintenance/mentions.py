"""Texts that are a file's name, in columns of which neither a field nor a setting tells.

They may be a history's versions, or of a project that shares the database and has other apps.
"""

from collections.abc import Collection
from typing import Final

from pg_lo_storage.databases.columns import ask, quoted

__all__ = ["mentions"]

_TOGETHER: Final = 50
"""So many columns are searched in one statement."""

_LONGEST: Final = 130
"""No stored file's name has more bytes: a longer text is not read."""

# What is in a schema with another catalogue names the files of that one. The admin's log describes rows.
_COLUMNS: Final = (
    "select (pg_identify_object('pg_catalog.pg_class'::regclass::oid, r.oid, 0)).identity, a.attname::text"
    " from pg_class as r join pg_namespace as n on n.oid = r.relnamespace join pg_attribute as a on a.attrelid = r.oid"
    " where a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'::\"char\""
    " and a.atttypid = any('{pg_catalog.text,pg_catalog.varchar}'::regtype[]::oid[])"
    " and r.relkind = any('{r,p,m}'::\"char\"[]) and r.relispopulated"
    " and (not r.relispartition or not has_table_privilege(pg_partition_root(r.oid)::oid, 'select'))"
    " and not starts_with(n.nspname::text, 'pg_') and n.nspname <> 'information_schema'::name"
    " and r.relname <> all('{pg_lo_storage_file,django_admin_log}'::name[])"
    " and has_schema_privilege(n.oid, 'usage') and has_column_privilege(r.oid, a.attnum, 'select')"
    " and not row_security_active(r.oid) and not exists (select from pg_class as k"
    " where k.relname = 'pg_lo_storage_file'::name and k.relnamespace = r.relnamespace"
    " and k.oid <> coalesce(to_regclass('pg_lo_storage_file')::oid, 0::oid)) order by 1, 2"
)


def mentions(alias: str, names: Collection[str]) -> dict[str, str]:
    """Return those of the names that are a text in any column that the role may read, with that column."""
    if not names:
        return {}
    columns = ask(alias, _COLUMNS)
    found: dict[str, str] = {}
    for n in range(0, len(columns), _TOGETHER):
        some = columns[n : n + _TOGETHER]
        selects: list[str] = []
        for i, (table, column) in enumerate(some):
            text = f"{quoted(column)}::text".replace("%", "%%")
            selects.append(
                f"select {i}, {text} from {table.replace('%', '%%')} where octet_length({text}) <= {_LONGEST}"  # noqa: S608 -- quoted
                f' and {text} collate pg_catalog."C" = any(%s::text[])'
            )
        for i, name in ask(alias, " union ".join(selects), *[sorted(names)] * len(selects)):
            found.setdefault(name, f"{some[i][0]}.{some[i][1]}")
    return found
