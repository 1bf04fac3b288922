"""What a schema has in common with others of its database: files of its own instead, and the end of all its files.

A schema that was copied with its rows names the objects of the other. Both go by the names of tables and columns in
that schema, whatever the search path of the session. Each works in batches, each in a transaction of its own: what was
done stays done, and the next run does the rest. The per cent signs of names are doubled in queries, as parameters ask.
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.db import connections, transaction

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import as_array
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.catalogues import IS_OPEN, IS_OTHER, IS_RELATED_TABLE, NAME_LOCK, is_twin
from pg_lo_storage.databases.columns import ExistingColumn, FileColumn, ask, existing_columns
from pg_lo_storage.databases.names_in_sql import oid_in, stem_of
from pg_lo_storage.databases.references import naming_columns

__all__ = ["Schema", "SchemaError", "detach", "empty", "open_schema", "other_catalogues"]

BATCH: Final = 1_000
"""How many files are copied or unlinked in one transaction."""

_SMALL: Final = 1_048_576
"""Up to so many bytes are copied by the statement that measures; of more, so many at a time."""

_ENTRY: Final = "extension, original_name, content_type, size, sha256, created_at, modified_at"
_IDENTITY: Final = "(pg_identify_object('pg_catalog.pg_class'::regclass::oid, c.oid, 0)).identity"
# Further facts of a column: its type, and whether it is generated.
_TYPE: Final = "(select typname::text from pg_type as t where t.oid = a.atttypid)"
_IS_GENERATED: Final = "a.attgenerated <> ''::pg_catalog.\"char\""


class SchemaError(Exception):
    """What is asked for cannot be done in this schema, or by this role."""


class _Table(NamedTuple):
    """A catalogue, by its name in SQL."""

    name: str
    is_own: bool
    """Whether it is the schema's own."""

    @property
    def sql(self) -> str:
        """The name for queries."""
        return _doubled(self.name)


@dataclass(frozen=True)
class Schema:
    """A schema, its columns that name files, its catalogue, and queries for the objects that others have, or name."""

    alias: str
    columns: list[ExistingColumn]
    catalogue: _Table | None
    catalogues: list[str]
    """For what other catalogues have."""
    copies: list[str]
    """For what rows name in other schemas' tables of the same names, where no other catalogue is theirs."""
    guests: list[str]
    """For what rows name in those tables that only other schemas have: the search path of the schema finds them."""

    def shared(self) -> list[int]:
        """Return the objects that the columns name, and that another schema has, too."""
        return self._named("exists", self.catalogues + self.copies)

    def files(self) -> list[int]:
        """Return the files that are the schema's: those of its own catalogue, or that it alone names."""
        if self.catalogue is not None and self.catalogue.is_own:
            return self._oids(f"select loid from {self.catalogue.sql}")  # noqa: S608 -- quoted
        return self._named("not exists", self.catalogues + self.copies + self.guests)

    def found(self, oids: Collection[int], queries: Sequence[str]) -> set[int]:
        """Return those objects that one of the queries has."""
        given = f"'{as_array(oids)}'::oid[]"
        return set(self._oids(f"select e.oid from {_any_of(queries)} as e (oid) where e.oid = any({given})"))  # noqa: S608 -- quoted

    def _named(self, condition: str, others: Sequence[str]) -> list[int]:
        named = [_oids_of(self.alias, found) for found in self.columns]
        of_catalogue = "" if self.catalogue is None else f" join {self.catalogue.sql} as f on f.loid = m.oid"
        return self._oids(
            f"with named (oid) as {_any_of(named)}, elsewhere (oid) as materialized"  # noqa: S608 -- quoted
            f" (select oid from {_any_of(others)} as e (oid) where oid is not null)"
            f" select m.oid from pg_largeobject_metadata as m join named on named.oid = m.oid{of_catalogue}"
            f" where {condition} (select from elsewhere as e where e.oid = m.oid)"
        )

    def _oids(self, query: str) -> list[int]:
        # Without parameters no per cent sign is doubled.
        rows = ask(self.alias, f"select distinct oid::int8 from ({query}) as q (oid) order by 1".replace("%%", "%"))  # noqa: S608 -- quoted
        return [int(oid) for (oid,) in rows]


def open_schema(alias: str, name: str) -> Schema:
    """Look up what the schema has.

    :raises SchemaError: there is no such schema, or the role cannot read all that matters.
    """
    if not ask(alias, "select 1 from pg_namespace where nspname = %s::text", name):
        message = f"the database {alias!r} has no schema {name!r}"
        raise SchemaError(message)
    wanted = naming_columns(alias)
    catalogue_ = _catalogue_of(alias, name)
    own_name = None if catalogue_ is None else catalogue_.name
    others = other_catalogues(alias, own_name)
    if closed := [table for table, is_open in others if not is_open]:
        message = f"the role cannot read {', '.join(closed)}, which may have the same files"
        raise SchemaError(message)
    columns = _readable(alias, [_in_schema(name, column) for column in wanted])
    rows: dict[bool, list[str]] = {True: [], False: []}
    for schema, table, is_copy in _tables_elsewhere(alias, name, own_name, [column.table for column in wanted]):
        there = [_in_schema(schema, column) for column in wanted if column.table == table]
        rows[is_copy] += [_oids_of(alias, found) for found in _readable(alias, there)]
    entries = [f"select loid from {_doubled(table)}" for table, _ in others]  # noqa: S608 -- quoted
    return Schema(alias, columns, catalogue_, entries, rows[True], rows[False])


def detach(schema: Schema) -> Generator[int]:
    """Give the schema copies of the files that it shares; yield, after each batch, how many it has got.

    Columns are changed by UPDATE, with the project's triggers.
    """
    shared = schema.shared()
    for n in range(0, len(shared), BATCH):
        with transaction.atomic(using=schema.alias):
            done = _copy_batch(schema, shared[n : n + BATCH])
        yield done


def empty(schema: Schema) -> Generator[int]:
    """Unlink the files of the schema, except those that others have; yield, after each batch, how many are gone.

    A file that only rows of another schema name, and no other catalogue has, stays in the catalogue. Rows keep their
    names: drop the schema then.
    """
    files = schema.files()
    for n in range(0, len(files), BATCH):
        with transaction.atomic(using=schema.alias):
            done = _unlink_batch(schema, files[n : n + BATCH])
        yield done


def _copy_batch(schema: Schema, oids: Sequence[int]) -> int:
    alias, table = schema.alias, schema.catalogue
    _lock(schema, oids)
    # Meanwhile the other may have given some up.
    held = schema.found(oids, schema.catalogues + schema.copies)
    made = _copies(alias, sorted(held))
    pairs = (as_array(made), as_array(made.values()))
    given = "rows from (unnest(%s::text::oid[]), unnest(%s::text::oid[])) as given (given_old, given_new)"
    if table is not None:
        ask(
            alias,
            f"insert into {table.sql} (loid, {_ENTRY}) select given_new, {_ENTRY} from {given}"  # noqa: S608 -- quoted
            f" join {table.sql} as f on f.loid = given_old returning 1",
            *pairs,
        )
    for found in schema.columns:
        kind, is_generated = found.more
        if not is_generated:
            (relation, column), text = _quoted(alias, found), _doubled(found.text(alias))
            name = f"concat(given_new::text, substr({text}, length(given_old::text) + 1))::pg_catalog.{kind}"
            condition = f"{stem_of(text)} = given_old::text"
            # No spaces: this equals sign is no operator.
            ask(alias, f"update {relation} set {column}={name} from {given} where {condition} returning 1", *pairs)  # noqa: S608 -- quoted
    if table is not None and table.is_own:
        _leave(alias, table, held - schema.found(held, schema.guests))
    return len(made)


def _copies(alias: str, oids: Sequence[int]) -> dict[int, int]:
    """Copy the objects within the server; return the copies' oids by the originals'."""
    rows = ask(
        alias,
        "select oid::int8, case when size <= %s::int8 then lo_from_bytea(0, lo_get(oid)) else lo_create(0) end::int8,"
        " size from (select oid, lo_lseek64(fd, 0, 2) as size, lo_close(fd) from"
        " (select oid, lo_open(oid, 262144) as fd from unnest(%s::text::oid[]) as oid offset 0) as opened"
        " offset 0) as measured",
        _SMALL,
        as_array(oids),
    )
    for old, new, size in rows:
        if size > _SMALL:
            ask(
                alias,
                "select lo_close(source), lo_close(target) from ("
                "select source, target, count(lowrite(target, loread(source, %s::int4)))"
                " from (select lo_open(%s::oid, 262144) as source, lo_open(%s::oid, 131072) as target offset 0)"
                " as opened cross join generate_series(1, %s::int8) group by source, target offset 0) as copied",
                _SMALL,
                old,
                new,
                -(-size // _SMALL),
            )
    return {int(old): int(new) for old, new, _ in rows}


def _unlink_batch(schema: Schema, oids: Sequence[int]) -> int:
    _lock(schema, oids)
    held = schema.found(oids, schema.catalogues)
    gone = set(oids) - held - schema.found(oids, schema.copies + schema.guests)
    if schema.catalogue is not None:
        _leave(schema.alias, schema.catalogue, gone | held if schema.catalogue.is_own else gone)
    query = "with gone as (select unnest(%s::text::oid[]) as loid)" + catalogue.UNLINK_GONE
    return len(DatabaseDriver(schema.alias).run(query, (as_array(gone),), writing=True, unlinks=gone))


def _leave(alias: str, table: _Table, oids: Collection[int]) -> None:
    """Delete the entries of these files."""
    ask(alias, f"delete from {table.sql} where loid = any(%s::text::oid[]) returning 1", as_array(oids))  # noqa: S608 -- quoted


def _lock(schema: Schema, oids: Sequence[int]) -> None:
    """Wait for whoever ends one of the files, in this schema or another."""
    if schema.catalogue is not None:
        table = schema.catalogue.sql
        query = f"select 1 from {table} where loid = any(%s::text::oid[]) order by loid for update"  # noqa: S608 -- quoted
        ask(schema.alias, query, as_array(oids))
    query = (
        "select pg_advisory_xact_lock(%s::int4, (loid::int8 - 2147483648)::int4)"
        " from (select loid from unnest(%s::text::oid[]) as loid order by loid offset 0) as given"
    )
    ask(schema.alias, query, NAME_LOCK, as_array(oids))


def _catalogue_of(alias: str, schema: str) -> _Table | None:
    """Return the catalogue of the schema, else the one that the search path finds."""
    query = (
        f"select {_IDENTITY}, nspname = %s::text from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"  # noqa: S608 -- of constants
        " where c.relname = 'pg_lo_storage_file'::name and c.relkind = any('{r,p}'::pg_catalog.\"char\"[])"
        " and (nspname = %s::text or c.oid = to_regclass('pg_lo_storage_file')::oid) order by 2 desc limit 1"
    )
    return next((_Table(name, is_own) for name, is_own in ask(alias, query, schema, schema)), None)


def other_catalogues(alias: str, own: str | None = "pg_lo_storage_file") -> list[tuple[str, bool]]:
    """Return the names, in SQL, of the catalogues of other schemas, and whether the role can read each."""
    return ask(
        alias,
        f"select {_IDENTITY}, {IS_OPEN} from pg_class as c"  # noqa: S608 -- of constants
        f" left join pg_class as own on own.oid = to_regclass(%s::text)::oid where {IS_OTHER}",
        own,
    )


def _tables_elsewhere(alias: str, schema: str, own: str | None, tables: list[str]) -> list[tuple[str, str, bool]]:
    """Return those tables of other schemas whose rows may name the schema's files, and whether each is a copy."""
    return ask(
        alias,
        "select nspname, relname, has_table from (select nspname::text, c.relname::text,"  # noqa: S608 -- of constants
        " exists (select from pg_class as mine join pg_namespace as place on place.oid = mine.relnamespace"
        f" where place.nspname = %s::text and mine.relname = c.relname), {is_twin('own.oid')}"
        " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " left join pg_class as own on own.oid = to_regclass(%s::text)::oid"
        f" where nspname <> %s::text and c.relname = any(%s::text[]) and {IS_RELATED_TABLE}"
        ") as found (nspname, relname, has_table, is_twin) where is_twin or not has_table",
        schema,
        own,
        schema,
        tables,
    )


def _readable(alias: str, wanted: Sequence[FileColumn]) -> list[ExistingColumn]:
    columns = existing_columns(alias, wanted, _TYPE, _IS_GENERATED)
    for found in columns:
        if found.hides_rows or not found.may_read or not found.is_readable:
            message = f"the role cannot read all of {found.column}, or not safely"
            raise SchemaError(message)
    return columns


def _in_schema(schema: str, column: FileColumn) -> FileColumn:
    doubled = (part.replace('"', '""') for part in (schema, column.table))
    return FileColumn('"' + '"."'.join(doubled) + '"', column.column)


def _doubled(name: str) -> str:
    return name.replace("%", "%%")


def _quoted(alias: str, found: ExistingColumn) -> tuple[str, str]:
    quote = connections[alias].ops.quote_name
    return _doubled(quote(found.column.table)), _doubled(quote(found.column.column))


def _oids_of(alias: str, found: ExistingColumn) -> str:
    return f"select {oid_in(_doubled(found.text(alias)))} from {_quoted(alias, found)[0]}"  # noqa: S608 -- quoted


def _any_of(queries: Sequence[str]) -> str:
    return f"({' union '.join(queries) or 'select null::oid'})"
