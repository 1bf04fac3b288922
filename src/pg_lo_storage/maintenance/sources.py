"""The columns that name files on a database, wherever their rows are, and any other that may keep an object.

A column of type ``oid``, of a domain of it such as ``lo``, or of arrays of them, in any schema, keeps what it names, as
it does for ``vacuumlo``, whoever made it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from django.core.files.storage import Storage
from django.db import Error, connections, models

from pg_lo_storage.databases.atomic_blocks import apart
from pg_lo_storage.databases.catalogues import IS_RELATED_TABLE
from pg_lo_storage.databases.columns import ExistingColumn, FileColumn, ask, existing_columns, quoted
from pg_lo_storage.databases.columns_in_sql import COLLATES_LOOSELY, READABLE
from pg_lo_storage.databases.file_fields import file_fields, legacy_of, stores_large_objects
from pg_lo_storage.databases.references import fields_by_database
from pg_lo_storage.databases.search import Searched, is_forbidden

__all__ = ["Source", "Sources", "find_sources"]

Use: TypeAlias = Literal["file", "guarded", "listed", "oid", "twin"]
"""A file field; a column that triggers guard; one of ``PG_LO_STORAGE_REFERENCES``; one of oids; a file field's in a
table of the same name in another schema."""

# The columns of the primary key, and their types, where PostgreSQL's own functions write these as text.
_KEY: Final = (
    "array(select unnest(array[k.attname::text, t.typname::text]) from pg_index as i"
    " join pg_attribute as k on k.attrelid = i.indrelid and k.attnum = any(i.indkey::int2[])"
    " join pg_type as t on t.oid = k.atttypid where i.indrelid = r.oid and i.indisprimary and not exists (select"
    " from pg_attribute as o join pg_type as u on u.oid = o.atttypid where o.attrelid = i.indrelid"
    " and o.attnum = any(i.indkey::int2[]) and (u.typnamespace <> 'pg_catalog'::regnamespace::oid"
    " or u.typtype <> 'b'::\"char\" or u.typname !~ '^[a-z][a-z0-9]+$' or u.typname = 'char'::name))"
    " order by array_position(i.indkey::int2[], k.attnum))"
)
_MAY_CHANGE: Final = "(a.attgenerated = ''::\"char\" and has_column_privilege(r.oid, a.attnum, 'update'))"
_IDENTITY: Final = "(pg_identify_object('pg_catalog.pg_class'::regclass::oid, r.oid, 0)).identity"
# The domains of oid, such as lo, and arrays of either.
_OID_TYPES: Final = (
    "with recursive oids (type, is_array) as (select 'oid'::regtype::oid, false union select k.oid,"
    " oids.is_array or k.typtype <> 'd'::\"char\" from pg_type as k join oids on"
    " k.typtype = 'd'::\"char\" and k.typbasetype = oids.type"
    " or k.typcategory = 'A'::\"char\" and k.typelem = oids.type and not oids.is_array)"
)
_IS_OID: Final = "(oids.type is not null)"
# As in pg_lo_storage.operations: the arguments are the column's number, its table and its name.
_IS_GUARDED: Final = (
    "exists (select from pg_trigger as g join pg_proc as p on p.oid = g.tgfoid cross join lateral"
    " (select string_to_array(encode(g.tgargs, 'escape'), E'\\\\000') as given) as args"
    " where g.tgrelid = r.oid and starts_with(p.proname::text, 'pg_lo_storage_guard')"
    " and case when given[2] = r.oid::text then given[1] = a.attnum::text else given[3] = a.attname::text end"
    " and (pg_table_is_visible(r.oid) or p.pronamespace ="
    " (select relnamespace from pg_class as k where k.oid = to_regclass('pg_lo_storage_file')::oid)))"
)
# A table that the role cannot read counts where its owner may have anything to do with the role, as another catalogue
# does. Of a partitioned table the parent has all rows; a view that was never refreshed has none.
_OTHERS: Final = (
    f"{_OID_TYPES} select {_IDENTITY}, concat(n.nspname::text, '.', r.relname::text), a.attname::text,"  # noqa: S608 -- of constants
    f" r.oid::int8, {_IS_OID}, oids.is_array,"
    " has_schema_privilege(n.oid, 'usage') and has_column_privilege(r.oid, a.attnum, 'select'),"
    f" row_security_active(r.oid), a.attgenerated <> 'v'::\"char\" and ({_IS_OID} or {READABLE}), {COLLATES_LOOSELY},"
    f" {_KEY}, {_MAY_CHANGE}, not a.attnotnull"
    " from pg_class as r join pg_class as c on c.oid = r.oid join pg_namespace as n on n.oid = r.relnamespace"
    " join pg_attribute as a on a.attrelid = r.oid left join oids on oids.type = a.atttypid"
    " join pg_class as own on own.oid = coalesce(to_regclass('pg_lo_storage_file')::oid, r.oid)"
    " where a.attnum > 0 and not a.attisdropped and r.relkind = any('{r,p,m}'::\"char\"[]) and r.relispopulated"
    " and (not r.relispartition or not has_table_privilege(pg_partition_root(r.oid)::oid, 'select'))"
    " and not starts_with(n.nspname::text, 'pg_') and n.nspname <> 'information_schema'::name"
    f" and r.relname <> 'pg_lo_storage_file'::name and ({_IS_OID} or {_IS_GUARDED})"
    f" and ({IS_RELATED_TABLE} or has_schema_privilege(n.oid, 'usage')"
    " and has_column_privilege(r.oid, a.attnum, 'select') and not row_security_active(r.oid)) order by 1, 3"
)


@dataclass(frozen=True)
class Source:
    """A column whose rows may name files: ``table`` and ``text``, its value, are SQL, all other names are not."""

    alias: str
    table: str
    shown: str
    column: str
    relation: int
    text: str
    use: Use
    loid: str = ""
    """SQL for the object that the row names, where its value is no text; empty where the text says it."""
    key: tuple[tuple[str, str], ...] = ()
    """The columns of the primary key with their types; empty where a row is known by its place in the table only."""
    may_be_changed: bool = False
    may_be_null: bool = False
    may_be_blank: bool = False
    dimensions: tuple[str, ...] = ()
    """The columns of an image's width and height."""
    legacies: tuple[Storage, ...] = ()
    """The storages that a part of the names is of, until their files have moved."""

    @property
    def is_looked_through(self) -> bool:
        """Whether a name in it that is no file's is damage."""
        return self.use in {"file", "guarded", "listed"}

    def __str__(self) -> str:
        return f"{self.shown}.{self.column}"


@dataclass
class Sources:
    """All columns for the files of one database: where the files are, on other databases, and what cannot be read."""

    here: list[Source] = field(default_factory=list[Source])
    elsewhere: dict[str, list[Source]] = field(default_factory=dict[str, list[Source]])
    unread: list[str] = field(default_factory=list[str])
    """Why rows that name files may be missed."""


def find_sources(files: str) -> Sources:
    """Look for the columns that may name files on the database ``files``.

    :raises ImproperlyConfigured: the setting ``PG_LO_STORAGE_REFERENCES`` is wrong.
    """
    found, searched = Sources(), Searched(files)
    databases = fields_by_database(files)
    for alias in sorted(databases, key=files.__ne__):
        fields = {FileColumn.of(each): each for each in databases[alias]}
        # A file field's column may be listed as well.
        fields |= {FileColumn.of(each): each for each in databases[alias] if isinstance(each, models.FileField)}
        if alias == files:
            found.here = _of_fields(alias, fields, searched, found.unread)
            found.here += _of_others(alias, found)
            continue
        try:
            with apart(alias):
                sources = _of_fields(alias, fields, searched, found.unread)
        except (Error, AssertionError) as error:
            if is_forbidden(error):
                continue
            found.unread.append(f"the database {alias!r} does not answer: {str(error).strip()}")
            continue
        if sources:
            found.elsewhere[alias] = sources
    return found


def _of_fields(
    alias: str, fields: "dict[FileColumn, models.Field[Any, Any]]", searched: Searched, unread: list[str]
) -> list[Source]:
    connection = connections[alias]
    if connection.vendor != "postgresql":
        tables = set(connection.introspection.table_names())
        if any(column.table in tables for column in fields):
            unread.append(f"the database {alias!r} is not PostgreSQL")
        return []
    more = ("r.oid::int8", "pg_is_in_recovery()", _KEY, _IDENTITY, _MAY_CHANGE, "not a.attnotnull")
    columns = existing_columns(alias, sorted(fields), *more, in_all_schemas=True)
    # Rows on a replica are those of its primary.
    columns = searched.take(alias, [found for found in columns if not found.more[1]])
    sources: list[Source] = []
    for found in columns:
        if reason := _unread(found.may_read, found.hides_rows, found.is_readable):
            unread.append(f"{alias}: {reason} {found.column}")
        else:
            sources.append(_source(alias, found, fields.get(found.column)))
    return sources


def _source(alias: str, found: ExistingColumn, of: "models.Field[Any, Any] | None") -> Source:
    is_file = isinstance(of, models.FileField) and stores_large_objects(of)
    quote = connections[alias].ops.quote_name
    relation, _, key, identity, may_be_changed, may_be_null = found.more
    return Source(
        alias,
        quote(found.column.table),
        found.column.table if of is not None else identity,
        found.column.column,
        int(relation),
        found.text(alias),
        "twin" if of is None else "file" if is_file else "listed",
        key=_pairs(key),
        may_be_changed=may_be_changed,
        may_be_null=may_be_null,
        may_be_blank=is_file and of is not None and of.blank,
        dimensions=_dimensions_of(of) if isinstance(of, models.ImageField) else (),
        legacies=() if of is None else _legacies_of(of),
    )


def _of_others(alias: str, found: Sources) -> list[Source]:
    """Return the columns of oids, and those that triggers guard, which no field has."""
    fields = {(source.relation, source.column) for source in found.here}
    known = {source.relation: source.shown for source in found.here}
    sources: list[Source] = []
    for row in ask(alias, _OTHERS):
        table, shown, column, relation, is_oid, is_array, may_read, hides_rows, is_safe, *more = row
        loosely, key, may_be_changed, may_be_null = more
        if (int(relation), column) in fields:
            continue
        if reason := _unread(may_read, hides_rows, is_safe):
            found.unread.append(f"{alias}: {reason} {shown}.{column}")
            continue
        loid = "lo_each" if is_array else f"{quoted(column)}::oid" if is_oid else ""
        text = f"{loid or quoted(column)}::text"
        source = Source(
            alias,
            f"{table} cross join unnest({quoted(column)}::oid[]) as lo_each" if is_array else table,
            known.get(int(relation), str(shown)),
            column,
            int(relation),
            f'{text} collate pg_catalog."C"' if loosely else text,
            "oid" if is_oid else "guarded",
            loid,
            _pairs(key),
            may_be_changed=may_be_changed,
            may_be_null=may_be_null,
        )
        sources.append(source)
    return sources


def _unread(may_read: bool, hides_rows: bool, is_safe: bool) -> str | None:
    if not may_read:
        return "the role may not read"
    if hides_rows:
        return "row-level security may hide rows of"
    return None if is_safe else "it is not safe to read, being no plain table's column of text or numbers,"


def _pairs(key: Iterable[str]) -> tuple[tuple[str, str], ...]:
    values = list(key)
    return tuple(zip(values[::2], values[1::2], strict=True))


def _dimensions_of(of: "models.ImageField") -> tuple[str, ...]:
    """Return the columns of the same table that Django empties when the field is emptied, and that take ``NULL``."""
    names: set[object] = {vars(of).get("width_field"), vars(of).get("height_field")}
    own = of.model._meta.local_concrete_fields
    return tuple(str(each.column) for each in own if each.name in names and each.null)


def _legacies_of(of: "models.Field[Any, Any]") -> tuple[Storage, ...]:
    """Return the storages whose names the column may have; one that is listed may have copies of any field's."""
    fields = [of] if isinstance(of, models.FileField) and stores_large_objects(of) else file_fields()
    return tuple(legacy for field in fields if (legacy := legacy_of(field)) is not None)
