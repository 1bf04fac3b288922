"""Triggers find their column, and the others that name files, whatever becomes of tables and columns."""

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, migrations, models, transaction

from pg_lo_storage.operations import ManageLargeObjects
from tests.operations.support import Project, files, loids, make_file, names, run, trigger_names, value

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_table")]

MANAGE = ManageLargeObjects("invoice", "data")


@pytest.fixture
def invoice(project: Project) -> str:
    """A file that a row of a managed table names."""
    project.table("Invoice", {"data": names()})
    project.apply(MANAGE)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    return name


@pytest.mark.usefixtures("invoice")
def test_a_field_may_become_longer(project: Project) -> None:
    project.apply(migrations.AlterField("invoice", "data", names(max_length=300)))
    run("delete from invoice")
    assert files() == set()


@pytest.mark.usefixtures("invoice")
def test_a_field_is_renamed(project: Project) -> None:
    project.apply(migrations.RenameField("invoice", "data", "document"))
    kept = make_file()
    run("insert into invoice (document) values (%s), (%s)", [kept, kept])
    run("delete from invoice where id < 3")
    assert files() == loids(kept)
    run("truncate invoice")
    assert files() == set()


@pytest.mark.usefixtures("invoice")
def test_a_renamed_field_is_managed_once(project: Project) -> None:
    project.apply(
        migrations.RenameField("invoice", "data", "document"),
        ManageLargeObjects("invoice", "document"),
    )
    assert {name.rpartition("_")[2] for name in trigger_names("invoice")} == {"document"}
    run("delete from invoice")
    assert files() == set()


@pytest.mark.usefixtures("invoice")
def test_a_model_is_renamed(project: Project) -> None:
    project.apply(migrations.AlterModelTable("invoice", "Another table"))
    run('delete from "Another table"')
    assert files() == set()


@pytest.mark.usefixtures("invoice")
def test_a_schema_is_renamed() -> None:
    schema = value("select current_schema()")
    run("create schema another")
    for kind, name in (
        ("table", "invoice"),
        *(("function", name) for (name,) in run("select oid::regprocedure from pg_proc where proname ~ '^pg_lo_sto'")),
        *(("table", name) for (name,) in run("select to_regclass('pg_lo_storage_file')") if name),
    ):
        run(f"alter {kind} {name} set schema another")
    run("alter schema another rename to moved")
    run("delete from moved.invoice")
    run(f"set local search_path = {schema}, moved")
    assert files() == set()


@pytest.mark.usefixtures("invoice")
def test_another_column_takes_the_name(project: Project) -> None:
    project.apply(
        migrations.RenameField("invoice", "data", "document"),
        migrations.AddField("invoice", "data", models.TextField(null=True)),
    )
    with (
        pytest.raises(ProgrammingError, match=r"not the one any more.*\n*.*Apply .*ManageLargeObjects"),
        transaction.atomic(),
    ):
        run("delete from invoice")
    project.apply(ManageLargeObjects("invoice", "document"))
    run("update invoice set data = document")
    run("delete from invoice")
    assert files() == set()


def test_a_field_is_removed(project: Project, invoice: str) -> None:
    project.apply(migrations.RemoveField("invoice", "data"))
    run("delete from invoice")
    assert files() == loids(invoice)


def test_a_field_is_removed_and_added_again(project: Project, invoice: str) -> None:
    project.apply(migrations.RemoveField("invoice", "data"), migrations.AddField("invoice", "data", names()))
    with pytest.raises(ProgrammingError, match="not the one any more"), transaction.atomic():
        run("delete from invoice")
    project.apply(MANAGE)
    run("update invoice set data = %s", [invoice])
    run("delete from invoice")
    assert files() == set()


def test_a_model_is_deleted(project: Project, invoice: str) -> None:
    project.apply(migrations.DeleteModel("invoice"))
    assert files() == loids(invoice)


def restore(table: str) -> None:
    """Give the triggers of a table to a copy of it, which takes its name, as a dump does: with another oid."""
    run(f"create table restored (like {table} including all)")
    run(f"insert into restored select * from {table}")
    triggers = run("select pg_get_triggerdef(oid) from pg_trigger where tgrelid = %s::regclass", [table])
    run(f"alter table {table} rename to dumped")
    run("drop table dumped")
    run(f"alter table restored rename to {table}")
    for (definition,) in triggers:
        run(definition)


def test_a_table_is_restored_from_a_dump(project: Project) -> None:
    project.table("Invoice", {"before": names(), "data": names()})
    project.apply(migrations.RemoveField("invoice", "before"), MANAGE)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    restore("invoice")
    run("delete from invoice")
    assert files() == set()


@pytest.mark.usefixtures("invoice")
def test_a_field_of_a_restored_table_is_renamed(project: Project) -> None:
    restore("invoice")
    project.apply(migrations.RenameField("invoice", "data", "document"))
    with pytest.raises(ProgrammingError, match="not the one any more"), transaction.atomic():
        run("delete from invoice")
    project.apply(ManageLargeObjects("invoice", "document"))
    run("delete from invoice")
    assert files() == set()


@pytest.mark.usefixtures("invoice")
def test_a_renamed_field_is_in_a_dump_after_migrate(project: Project) -> None:
    column = "it's \\1 & \\000"
    project.apply(migrations.RenameField("invoice", "data", "document"))
    project.apply(migrations.AlterField("invoice", "document", names(db_column=column)))
    call_command("migrate", verbosity=0)
    restore("invoice")
    run("delete from invoice")
    assert files() == set()


@pytest.mark.usefixtures("invoice")
def test_a_restored_table_follows_renames_after_migrate(project: Project) -> None:
    restore("invoice")
    call_command("migrate", verbosity=0)
    project.apply(migrations.RenameField("invoice", "data", "document"))
    run("delete from invoice")
    assert files() == set()


@pytest.fixture
def copied(project: Project) -> str:
    """A file that a row of a managed table and one of a table that is not managed name."""
    project.table("Invoice", {"data": names()})
    project.table("Copy", {"file": names()})
    project.apply(MANAGE)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("insert into copy (file) values (%s)", [name])
    return name


@pytest.mark.parametrize(
    "statement",
    [
        "alter table copy rename to another",
        "alter table copy rename file to another",
        "create schema another; alter table copy set schema another",
    ],
)
def test_a_column_that_is_not_managed_is_moved(copied: str, statement: str) -> None:
    run(statement)
    run("delete from invoice")
    assert files() == loids(copied)


def test_a_copy_in_another_schema_keeps_files(invoice: str) -> None:
    run("create schema another; create table another.invoice (like invoice)")
    run("insert into another.invoice select * from invoice")
    run("delete from invoice")
    assert files() == loids(invoice)


@pytest.mark.parametrize("statement", ["drop table copy", "alter table copy drop file"])
@pytest.mark.usefixtures("copied")
def test_a_column_that_is_not_managed_is_dropped(statement: str) -> None:
    run(statement)
    run("delete from invoice")
    assert files() == set()


@pytest.mark.parametrize("db_table", ["later", "Later 1.2", 'public"."later'])
def test_a_table_that_is_made_later(project: Project, db_table: str) -> None:
    project.table("Invoice", {"data": names()})
    project.table("Later", {"file": names()}, db_table=db_table, create=False)
    project.apply(MANAGE)
    name, other = make_file(), make_file()
    run("insert into invoice (data) values (%s), (%s)", [name, other])
    project.create("Later")
    quoted = f'"{db_table}"'
    run(f"insert into {quoted} (file) values (%s)", [name])
    run("delete from invoice")
    assert files() == loids(name)


def test_migrate_lists_the_columns_of_models_that_came(invoice: str) -> None:
    run(
        "create or replace function pg_lo_storage_columns() returns table (relation text, attribute text,"
        " relid oid, attnum int2) language sql as 'select null, null, null::oid, null::int2 where false'"
    )
    call_command("migrate", verbosity=0)
    run("insert into invoices_invoice (short) values (%s)", [invoice])
    run("delete from invoice")
    assert files() == loids(invoice)


def test_a_column_counts_though_it_is_not_listed(invoice: str) -> None:
    run(
        "create or replace function pg_lo_storage_columns() returns table (relation text, attribute text,"
        " relid oid, attnum int2) language sql as 'select null, null, null::oid, null::int2 where false'"
    )
    run("insert into invoice (data) values (%s)", [invoice])
    run("delete from invoice where id = 1")
    assert files() == loids(invoice)
