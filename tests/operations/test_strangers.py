"""What other roles and other people's objects in the database cannot do."""

import contextlib
import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import Error, OperationalError, ProgrammingError, connection, transaction
from django.test import override_settings

from pg_lo_storage.lifecycle.sharing import release
from pg_lo_storage.operations import GuardFromVacuum, ManageLargeObjects, templates, triggers
from tests.fixtures.connections import INSTALLED, Connect, RawConnection
from tests.operations.support import SQL_FILES, Project, files, loids, make_file, names, run, value

MANAGE = ManageLargeObjects("invoice", "data")
HELPERS = ["claim", "columns", "existing", "kept", "same", "settle", "truncating", "guard"]


@pytest.fixture
def stranger(committed: Project, connect: Connect) -> Iterator[RawConnection]:
    """Another role that may make things in the schema, but is nobody there."""
    session = connect(user="stranger", autocommit=True)
    committed.table("Invoice", {"data": names()})
    run("grant all on schema public to stranger")
    yield session
    owned = run(
        "select 'table ' || oid::regclass from pg_class where relkind = 'r' and relowner = 'stranger'::regrole"
        " union all select 'function ' || oid::regprocedure from pg_proc where proowner = 'stranger'::regrole"
    )
    for (what,) in owned:
        execute(session, f"drop {what} cascade")
    run("revoke all on schema public from stranger")
    run("revoke all on all tables in schema public from stranger")


def execute(session: RawConnection, query: str) -> None:
    cursor = session.cursor()
    try:
        cursor.execute(query)
    finally:
        cursor.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("helper", HELPERS)
def test_a_function_that_somebody_made_beforehand_is_refused(
    committed: Project, stranger: RawConnection, helper: str
) -> None:
    execute(stranger, f"create function public.pg_lo_storage_{helper}() returns int language sql as 'select 1'")
    with pytest.raises(
        ProgrammingError, match=rf"pg_lo_storage_{helper}\(\) belongs to role stranger.*\nHINT:  .*drop"
    ):
        committed.apply(MANAGE)
    assert value("select count(*) from pg_trigger where tgrelid = 'invoice'::regclass and not tgisinternal") == 0


@pytest.mark.django_db
@pytest.mark.parametrize("catalogue_table", [True], indirect=True)
@pytest.mark.parametrize("owner", [None, "app"])
def test_nobody_else_may_execute_a_function(project: Project, catalogue_table: bool, owner: str | None) -> None:
    assert catalogue_table
    project.table("Invoice", {"data": names()})
    project.apply(ManageLargeObjects("invoice", "data", owner=owner))
    granted = run(
        "select proname, grantee from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))"
        " where starts_with(proname, 'pg_lo_storage') and grantee <> proowner"
    )
    assert granted == []
    assert value("select count(distinct proowner) from pg_proc where starts_with(proname, 'pg_lo_storage')") == 1


@pytest.mark.django_db
@pytest.mark.parametrize("catalogue_table", [False], indirect=True)
@pytest.mark.parametrize("options", [{"owner": "app"}, {"same": ("scan",)}])
def test_an_owner_or_same_needs_the_catalogue(project: Project, catalogue_table: bool, options: dict[str, Any]) -> None:
    assert not catalogue_table
    project.table("Invoice", {"data": names(), "scan": names()})
    with pytest.raises(Error, match=r"need the catalogue of stored files\nHINT:"), transaction.atomic():
        project.apply(ManageLargeObjects("invoice", "data", **options))


FORGE = """
create function public.forge() returns trigger language plpgsql as $body$
declare
    item record;
begin
    for item in select 'pg_lo_storage_truncated_' || tgrelid || '_'
        || split_part(encode(tgargs, 'escape'), E'\\\\', 1) as memory
        from pg_trigger where tgrelid = 'invoice'::regclass and not tgisinternal
    loop
        perform set_config(replace(item.memory, 'storage_', 'storage.'), '{%(name)s}', true);
        begin
            execute format('insert into pg_temp.%%I values (''{%(name)s}'')', item.memory);
        exception when others then null;
        end;
        begin
            execute format('drop table pg_temp.%%I', item.memory);
        exception when others then null;
        end;
        begin
            execute format('create table pg_temp.%%I (files) as select ''{%(name)s}''::text[]', item.memory);
        exception when others then null;
        end;
    end loop;
    return null;
end
$body$;
create table public.a_trap (); create table public.z_trap ();
create trigger forge before truncate on public.a_trap execute function public.forge();
create trigger forge before truncate on public.z_trap execute function public.forge();
"""


def databases_errors() -> list[type[Exception]]:
    return [importlib.import_module(name).Error for name in INSTALLED]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_catalogue", [True], indirect=True)
@pytest.mark.parametrize("statement", ["a_trap, invoice", "invoice, a_trap", "a_trap, invoice, z_trap"])
@pytest.mark.parametrize("is_empty", [True, False])
def test_truncate_unlinks_only_what_was_in_the_table(
    committed: Project, stranger: RawConnection, statement: str, is_empty: bool
) -> None:
    committed.apply(ManageLargeObjects("invoice", "data", owner="app"))
    run("alter default privileges grant all on tables to stranger")
    run("grant truncate on invoice to stranger")
    other, orphan, named = make_file(), make_file(), make_file()
    run("delete from pg_lo_storage_file where loid = %s::oid", [other.partition(".")[0]])
    if not is_empty:
        run("insert into invoice (data) values (%s)", [named])
    execute(stranger, FORGE % {"name": f"{other},{orphan}"})
    try:
        # What the stranger made stands in the way, at most.
        with contextlib.suppress(*databases_errors()):
            execute(stranger, f"truncate {statement}")
    finally:
        run("alter default privileges revoke all on tables from stranger")
        run("truncate invoice")
        left = {found for (found,) in run("select oid::text from pg_largeobject_metadata")}
        run("select lo_unlink(%s::oid)", [other.partition(".")[0]])
    assert left >= loids(other, orphan)


def delete_by_sql(name: str) -> None:
    assert name
    run("delete from invoice")


def delete_as_a_field_does(name: str) -> None:
    run("alter table invoice disable trigger user")
    with transaction.atomic():
        run("delete from invoice")
        release("default", [name])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delete", [delete_by_sql, delete_as_a_field_does])
def test_advisory_locks_of_others_hold_up_deletes_without_the_catalogue_alone(
    committed: Project, stranger: RawConnection, has_catalogue: bool, delete: Callable[[str], None]
) -> None:
    committed.apply(MANAGE)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    execute(stranger, f"select pg_advisory_lock(1886154612, ({loids(name).pop()} - 2147483648)::int4)")
    run("set lock_timeout = '100ms'")
    apps = [app for app in settings.INSTALLED_APPS if has_catalogue or app != "pg_lo_storage"]
    with override_settings(INSTALLED_APPS=apps):
        if not has_catalogue:
            with pytest.raises(OperationalError, match="canceling statement due to lock timeout"):
                delete(name)
            assert (value("select data from invoice"), files()) == (name, loids(name))
            execute(stranger, "select pg_advisory_unlock_all()")
        delete(name)
    assert (value("select count(*) from invoice"), files()) == (0, set())


TYPES = {
    "an enum": "create type kind as enum ('1')",
    "a composite type": "create type kind as (a text)",
}


@pytest.mark.django_db
@pytest.mark.parametrize("catalogue_table", [True, False], indirect=True)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("column", ["letter.data", "invoice.scan", "invoice.data"])
@pytest.mark.parametrize("statement", ["delete from invoice", "truncate invoice", "update invoice set id = id + 9"])
def test_no_cast_of_somebody_elses_is_called(
    project: Project, catalogue_table: bool, kind: str, column: str, statement: str
) -> None:
    project.table("Invoice", {"data": names(), "scan": names()})
    project.table("Letter", {"data": names()})
    project.apply(MANAGE)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("insert into letter (data) values (%s)", [name])
    run(TYPES[kind])
    run("create function hostile(kind) returns text language plpgsql as 'begin raise ''called''; end'")
    run("create cast (kind as text) with function hostile(kind)")
    table, attribute = column.split(".")
    run(f"alter table {table} alter {attribute} type kind using case when id > 0 then null::kind end")
    if column == "invoice.data":
        run("insert into invoice (data) values (%s)", ["1" if kind == "an enum" else "(1)"])
    run(statement)
    assert catalogue_table is not None
    assert files() == loids(name)


@pytest.mark.django_db
@pytest.mark.usefixtures("catalogue_table")
def test_a_virtual_column_and_a_view_are_not_read(project: Project) -> None:
    project.table("Invoice", {"data": names()})
    project.table("Letter", {"data": names()}, create=False)
    run("create table letters (data varchar)")
    run("create view letter as select * from letters")
    project.apply(MANAGE)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("delete from invoice")
    assert files() == loids(name)


OPERANDS = '{text,name,oid,int2,int4,int8,bool,"char",oid[],text[],anycompatiblearray,anyarray}'


def mentioned() -> set[str]:
    """Return every word that stands before a parenthesis in the SQL of the triggers and of their scripts."""
    sources = [path.read_text(encoding="utf-8") for path in SQL_FILES.rglob("*.sql")]
    sources += [*templates.functions(), templates.script("add_guard_column")]
    return {word for source in sources for word in re.findall(r"\b([a-z_0-9]+)\(", source)}


@pytest.fixture
def hostile(project: Project) -> None:
    """Overloads of each function and operator of PostgreSQL's, before its own in the search path, that raise."""
    project.table("Invoice", {"data": names()})
    project.table("Letter", {"data": names()})
    run("create schema hostile")
    schema = value("select current_schema()")
    body = "language plpgsql as $$begin raise exception 'a stranger''s code was called'; end$$"
    functions = run(
        "select quote_ident(proname), pg_get_function_identity_arguments(oid), pg_get_function_result(oid) from pg_proc"
        " where pronamespace = 'pg_catalog'::regnamespace and prokind in ('f', 'a', 'w') and proname = any(%s)",
        [sorted(mentioned())],
    )
    made = 0
    for name, arguments, result in functions:
        made += attempt(f"create function hostile.{name}({arguments}) returns {result} {body}")
    operators = run(
        "select oprname, oprleft::regtype, oprright::regtype from pg_operator where oprleft <> 0 and oprright <> 0"
        " and oprnamespace = 'pg_catalog'::regnamespace and oprname = any('{=,<>,||,~,<,<=,>,~>=~,~<~}')"
        " and oprleft = any(%s::regtype[]) and oprright = any(%s::regtype[])",
        [OPERANDS, OPERANDS],
    )
    pairs = {(name, left, right) for name, left, right in operators}
    pairs |= {
        ("=", "oid", "regclass"),
        ("=", "regclass", "oid"),
        ("=", "oid", "regnamespace"),
        ("=", "name", "text"),
        ("||", "text", "integer"),
        ("<=", "bigint", "integer"),
    }
    for name, left, right in sorted(pairs):
        made += attempt(
            f"create function hostile.called(a {left}, b {right}) returns {'text' if name == '||' else 'bool'} {body};"
            f"create operator hostile.{name} (leftarg = {left}, rightarg = {right}, function = hostile.called)"
        )
    for name in ("text", "oid", "name", "int2", "int4", "regclass", "regnamespace", "record"):
        made += attempt(f"create domain hostile.{name} as pg_catalog.bytea check (value is null)")
    assert made > 100
    run(f"set local search_path = hostile, {schema}, pg_catalog")


def attempt(statement: str) -> bool:
    try:
        with transaction.atomic():
            run(statement)
    except Error:
        return False
    return True


@pytest.mark.django_db
@pytest.mark.usefixtures("catalogue_table", "hostile")
def test_only_functions_of_postgresqls_own_are_called(project: Project) -> None:
    def ask(query: str, *params: Any) -> Any:
        path = "pg_catalog.current_setting('search_path')"
        [(before,)] = run(f"select {path}")
        run("set local search_path = pg_catalog, public")
        try:
            return run(query, params or None)
        finally:
            run(f"set local search_path = {before}")

    guard = GuardFromVacuum("invoice", "data")
    operations = [MANAGE, ManageLargeObjects("letter", "data"), guard]
    project.apply(*operations, MANAGE)
    with connection.schema_editor() as editor:
        editor.execute(triggers.refresh(editor.quote_value), params=None)
    for _ in range(2):
        ask("insert into public.invoice (data) select lo_from_bytea(0, 'a')::text from generate_series(1, 3)")
    run("update public.invoice set data = '' where true")
    run("truncate public.invoice")
    run("insert into public.invoice (data) values ('1.txt')")
    run("delete from public.invoice")
    for operation in reversed(operations):
        project.reverse(operation)
    assert ask("select count(*) from pg_proc where starts_with(proname, 'pg_lo_storage')") == [(0,)]


@pytest.mark.django_db
@pytest.mark.usefixtures("catalogue_table")
def test_backslashes_mean_what_they_do_elsewhere(project: Project) -> None:
    run("set local standard_conforming_strings = off")
    project.table("Invoice", {"data": names(db_column="it's \\1")})
    project.apply(MANAGE)
    assert value("show standard_conforming_strings") == "off"
    name = make_file()
    run("insert into invoice (\"it's \\1\") values (%s), ('12/scan.pdf')", [name])
    run("delete from invoice")
    assert files() == set()
