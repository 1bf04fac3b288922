"""System checks that ask one database; docs/checks.md explains each of them.

``migrate`` runs them before it makes any table, so what is not there yet is no fault.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, NotSupportedError, connections, router, transaction

from pg_lo_storage import catalogue
from pg_lo_storage.checks.places import check_left_behind, check_names
from pg_lo_storage.databases.columns import ExistingColumn, ask, existing_columns
from pg_lo_storage.databases.columns_in_sql import IS_INDEXED
from pg_lo_storage.databases.names_in_sql import oid_in
from pg_lo_storage.databases.references import file_columns, naming_columns
from pg_lo_storage.maintenance.name_columns import has_names, unreadable, unsettled_columns

__all__ = ["check_server", "keeps_files"]

_SAMPLE: Final = 100
"""How many rows of each table are read, to learn who owns their objects."""

_FEW_ROWS: Final = 10_000
"""Up to so many rows a pass over the table is no matter."""

_ROWS: Final = (
    "greatest(r.reltuples, (select sum(p.reltuples) from pg_partition_tree(r.oid::regclass) as t"
    " join pg_class as p on p.oid = t.relid::oid and t.isleaf))::int8"
)
"""SQL for how many rows relation ``r`` had when it was analyzed; of a partitioned table maybe only its parts were."""

FUNCTIONS: Final = [
    f"pg_catalog.{function}"
    for function in (
        "lo_from_bytea(pg_catalog.oid,pg_catalog.bytea)",
        "lo_get(pg_catalog.oid,bigint,integer)",
        "lo_lseek64(integer,bigint,integer)",
    )
]
"""Functions that a server lacks which is compatible with PostgreSQL, but has no large objects."""

_WITHOUT_FILES: Final = {"CockroachDB": "CockroachDB", "-YB-": "YugabyteDB"}
"""Servers that have no large objects, whatever functions they have, by what ``version()`` says of them."""

_ABILITIES: Final = (
    "select to_regclass('pg_catalog.pg_largeobject_metadata') is not null"
    " and (select bool_and(to_regprocedure(f) is not null) from unnest(%s::text[]) as f),"
    " current_setting('default_transaction_isolation'), coalesce(current_setting('lo_compat_privileges', true), 'off'),"
    " to_regclass('pg_lo_storage_file') is not null, to_regclass('django_migrations') is not null, current_user::text"
)
_PUBLICATIONS: Final = (
    "(select array_agg(pubname::text order by pubname) from pg_publication_tables join pg_namespace as s"
    " on nspname = schemaname where s.oid = r.relnamespace and tablename = r.relname)"
)
# A generated column that vacuumlo reads guards the columns that it is generated from; any other column that vacuumlo
# reads may guard any column. Up to PostgreSQL 14 the column itself depends on them, since 15 its expression does.
_GUARDED: Final = (
    "exists (select from pg_attribute as g join pg_type as t on t.oid = g.atttypid"
    " where g.attrelid = r.oid and g.attnum > 0 and not g.attisdropped and typname = any('{oid,lo}'::name[])"
    " and (g.attgenerated = '' or exists (select from pg_depend left join pg_attrdef as e"
    " on classid = 'pg_catalog.pg_attrdef'::regclass::oid and e.oid = objid"
    " where refclassid = 'pg_catalog.pg_class'::regclass::oid and refobjid = r.oid and refobjsubid = a.attnum"
    " and (e.adrelid = r.oid and e.adnum = g.attnum"
    " or classid = 'pg_catalog.pg_class'::regclass::oid and objid = r.oid and objsubid = g.attnum))))"
)
# PUBLIC has no oid. Whoever may create in the database can make a schema of the path that does not exist.
_CREATORS: Final = (
    "with others as (select 0::oid as role, 'PUBLIC' as name union all select oid, rolname::text from pg_roles"
    " where not rolsuper and not starts_with(rolname::text, 'pg_') and not pg_has_role(oid, 'member'))"
    " select 'the schema ' || nspname::text, array_agg(name order by name) from pg_namespace as n"
    " join others on has_schema_privilege(role, n.oid, 'create') where nspname = any(current_schemas(false))"
    " and (role = 0 or not has_schema_privilege(0::oid, n.oid, 'create')) group by nspname"
    " union all select 'the database itself', array_agg(name order by name) from others"
    " where has_database_privilege(role, current_database()::text, 'create')"
    " and exists (select from string_to_table(current_setting('search_path'), ',') as s"
    " where to_regnamespace(replace(btrim(s), '\"$user\"', quote_ident(current_user::text))) is null)"
    " having count(*) > 0 order by 1"
)


def check_server(alias: str, asked: Collection[str]) -> list[checks.CheckMessage]:
    """Check the PostgreSQL database ``alias``; query no database that is not among ``asked``."""
    try:
        with transaction.atomic(using=alias):
            return list(_check(alias, asked))
    except NotSupportedError as error:
        return [_unable(alias, str(error))]
    except Error as error:
        return [
            checks.Warning(
                f"The database {alias!r} could not be checked: {str(error).strip()}",
                hint="Run 'manage.py check --database' again once it answers.",
                id="pg_lo_storage.W011",
            )
        ]


def keeps_files(alias: str, level: str) -> checks.CheckMessage:
    """Warn of an isolation level at which replaced and deleted files are kept."""
    return checks.Warning(
        f"Transactions on {alias!r} are {level}, where a file that was replaced, cleared or deleted is kept:"
        " rows that others have committed since, and that may name it, cannot be seen.",
        hint="Use READ COMMITTED, which is the default, or accept the orphans.",
        id="pg_lo_storage.W005",
    )


def _check(alias: str, asked: Collection[str]) -> Iterator[checks.CheckMessage]:
    [(version,)] = ask(alias, "select version()")
    if names := [name for mark, name in _WITHOUT_FILES.items() if mark in version]:
        yield _unable(alias, f"it is {names[0]}, which has no large objects")
        return
    [(able, isolation, compatible, has_catalogue, migrated, role)] = ask(alias, _ABILITIES, FUNCTIONS)
    if not able:
        yield _unable(alias, "it has no large objects, as some have not that are compatible otherwise")
        return
    if isolation in {"repeatable read", "serializable"}:
        yield keeps_files(alias, str(isolation).upper())
    if catalogue.is_installed() and migrated and not has_catalogue and not _has_tenants_catalogues(alias):
        yield checks.Warning(
            f"'pg_lo_storage' is in INSTALLED_APPS, and the database {alias!r} has no table pg_lo_storage_file: no file"
            " can be saved, opened or served there.",
            hint=f"Run 'manage.py migrate --database {alias}'.",
            id="pg_lo_storage.W006",
        )
    if catalogue.is_installed() and has_catalogue:
        yield from _check_adopted(alias, asked)
    yield from _check_creators(alias, str(role))
    columns = existing_columns(alias, file_columns(alias), _PUBLICATIONS, _GUARDED)
    yield from _check_columns(alias, columns, str(role))
    yield from _check_indexes(alias)
    yield from check_left_behind(alias)
    yield from check_names(alias)
    if compatible == "off":
        yield from _check_owners(alias, [found for found in columns if found.may_read], str(role))


def _has_tenants_catalogues(alias: str) -> bool:
    """Tell whether this schema is to have no catalogue, as the router says, and others have one."""
    if router.allow_migrate(alias, "pg_lo_storage"):
        return False
    [(found,)] = ask(alias, "select exists (select from pg_class where relname = 'pg_lo_storage_file'::name)")
    return bool(found)


def _check_creators(alias: str, role: str) -> Iterator[checks.CheckMessage]:
    places: list[tuple[str, list[str]]] = ask(alias, _CREATORS)
    if places:
        creators = "; ".join(f"in {place}: {', '.join(roles)}" for place, roles in places)
        yield checks.Warning(
            f"Other roles may create functions and operators on the search_path of the role {role!r} on {alias!r},"
            f" {creators}. What fits a call better than PostgreSQL's own runs in its place, as {role!r}, in the"
            " statements of Django and of the project.",
            hint=(
                "REVOKE CREATE ON SCHEMA public FROM PUBLIC, which is the default since PostgreSQL 15, or whatever else"
                " they have it by. Where such a role is yours, as one that only migrates, silence this."
            ),
            id="pg_lo_storage.W014",
        )


def _check_adopted(alias: str, asked: Collection[str]) -> Iterator[checks.CheckMessage]:
    new = [column for column in unsettled_columns(alias, asked) if not unreadable(column) and has_names(column)]
    if new:
        yield checks.Warning(
            f"Files that rows of {', '.join(map(str, new))} name may be missing in the catalogue of {alias!r}, and are"
            " not opened, served or deleted then: 'migrate' has not adopted them, as it does unless a name there is no"
            " stored file's.",
            hint=(
                f"Run 'manage.py migrate --database {alias}', which says why not; or 'manage.py largeobjects adopt"
                " --dry-run --show', and what it says without --dry-run."
            ),
            id="pg_lo_storage.W012",
        )


def _check_columns(alias: str, columns: list[ExistingColumn], role: str) -> Iterator[checks.CheckMessage]:
    unguarded = [found for found in columns if not found.more[1]]
    if unguarded and not catalogue.is_installed():
        yield checks.Warning(
            f"vacuumlo, run on the database {alias!r}, would delete every file of {_listed(unguarded)}.",
            hint=(
                "Add 'pg_lo_storage' to INSTALLED_APPS, or pg_lo_storage.operations.GuardFromVacuum(model, field) to a"
                " migration; or never run vacuumlo, and silence this."
            ),
            id="pg_lo_storage.W007",
        )
    published = [found for found in columns if found.more[0]]
    if published:
        publications = sorted({name for found in published for name in found.more[0]})
        yield checks.Warning(
            f"Logical replication publishes names, and never large objects: subscribers to {', '.join(publications)}"
            f" get the rows of {_listed(published)} without their files.",
            hint="Use a physical standby, copy the objects under their oids by other means, or leave the tables out.",
            id="pg_lo_storage.W008",
        )
    if hidden := [found for found in columns if found.hides_rows]:
        yield checks.Warning(
            f"Row-level security may hide rows of {_listed(hidden)} from the role {role!r}: files on {alias!r} that are"
            " replaced or deleted are kept, since a hidden row may name them.",
            hint=(
                "Unlink by triggers of a role that is exempt (pg_lo_storage.operations.ManageLargeObjects(owner=...)),"
                " or accept the orphans."
            ),
            id="pg_lo_storage.W010",
        )


def _check_indexes(alias: str) -> Iterator[checks.CheckMessage]:
    try:
        wanted = naming_columns(alias)
    except ImproperlyConfigured:  # another check says so
        wanted = file_columns(alias)
    columns = existing_columns(alias, wanted, IS_INDEXED, _ROWS)
    large = [found for found in columns if found.is_readable and not found.more[0] and found.more[1] > _FEW_ROWS]
    if large:
        yield checks.Warning(
            f"Each file that is replaced or deleted on {alias!r} has these tables read whole, since no index finds the"
            f" rows that name it: {', '.join(f'{found.column} ({found.more[1]} rows)' for found in large)}.",
            hint=(
                "Run 'manage.py makemigrations': a DbFileField without db_index=False brings an index. For another"
                " field add models.Index(fields=[...], name=..., opclasses=['varchar_pattern_ops']) to Meta.indexes, of"
                " numbers without opclasses. Make it with AddIndexConcurrently where the table is in use."
            ),
            id="pg_lo_storage.W015",
        )


def _check_owners(alias: str, columns: list[ExistingColumn], role: str) -> Iterator[checks.CheckMessage]:
    quote = connections[alias].ops.quote_name
    samples = [
        f"(select {found.text(alias)} as name from {quote(found.column.table)} limit {_SAMPLE})"  # noqa: S608 -- quoted
        for found in columns
    ]
    if not samples:
        return
    rows = ask(
        alias,
        "select rolname::text, count(distinct m.oid) from ("  # noqa: S608 -- quoted
        + " union all ".join(samples)
        + f") as names join pg_largeobject_metadata as m on m.oid = {oid_in('name')}"
        " join pg_roles as r on r.oid = lomowner where not pg_has_role(lomowner, 'usage')"
        " group by rolname order by rolname",
    )
    if rows:
        owners = ", ".join(f"{owner} owns {count}" for owner, count in rows)
        yield checks.Warning(
            f"The role {role!r} cannot unlink all files on {alias!r}, which only an object's owner may: of those looked"
            f" at, {owners}.",
            hint=(
                "ALTER LARGE OBJECT ... OWNER TO it, REASSIGN OWNED BY the owner, or GRANT it the owner's role: until"
                " then pg_dump as this role fails, too, where it may not read them. Where that role only migrates, and"
                " the owner runs the site, silence this."
            ),
            id="pg_lo_storage.W009",
        )


def _unable(alias: str, reason: str) -> checks.CheckMessage:
    return checks.Error(
        f"The server of the database {alias!r} cannot keep files: {reason}.",
        hint="Use PostgreSQL 14 or newer for the databases of files.",
        id="pg_lo_storage.E005",
    )


def _listed(columns: Iterable[ExistingColumn]) -> str:
    return ", ".join(str(found.column) for found in columns)
