"""The operations as migrations have them: written, applied again, reversed, squashed, shown."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connection, connections, migrations, models
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.db.migrations.operations.base import Operation
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.writer import OperationWriter
from django.test import override_settings

from pg_lo_storage.operations import GuardFromVacuum, ManageLargeObjects, ShowStatistics
from pg_lo_storage.storage import DbFileStorage
from tests.operations.support import Project, files, loids, make_file, names, run, trigger_names, value

pytestmark = pytest.mark.django_db

MANAGE = ManageLargeObjects("invoice", "data")
GUARD = GuardFromVacuum("Invoice", "data")

WRITTEN: list[tuple[Operation, dict[str, Any]]] = [
    (MANAGE, {}),
    (ManageLargeObjects("Invoice", "data", truncate="unlink"), {}),
    (ManageLargeObjects("Invoice", "data", owner="files", truncate="keep"), {"owner": "files", "truncate": "keep"}),
    (ManageLargeObjects("Invoice", "data", same=["tenant_id"]), {"same": ("tenant_id",)}),
    (GUARD, {}),
]


@pytest.mark.parametrize(("operation", "kwargs"), WRITTEN)
def test_they_are_written_to_migrations(operation: Operation, kwargs: dict[str, Any]) -> None:
    assert operation.deconstruct()[2] == kwargs
    text, imports = OperationWriter(operation, indentation=0).serialize()
    namespace: dict[str, Any] = {}
    exec("\n".join([*imports, f"again = [{text}][0]"]), namespace)
    assert type(namespace["again"]) is type(operation)
    assert namespace["again"].deconstruct() == operation.deconstruct()


def test_they_say_what_they_do() -> None:
    assert MANAGE.describe() == "Manage the large objects of field data on invoice by triggers"
    assert GUARD.describe() == "Guard the large objects of field data on Invoice from vacuumlo"
    assert (MANAGE.migration_name_fragment, GUARD.migration_name_fragment) == (
        "manage_invoice_data",
        "guard_invoice_data",
    )
    assert ShowStatistics().describe() == "Show figures on stored files by the view pg_lo_storage_stats"
    assert ShowStatistics().migration_name_fragment == "show_statistics"


def test_truncate_is_one_of_two() -> None:
    with pytest.raises(ValueError, match='"unlink" or "keep"'):
        ManageLargeObjects("invoice", "data", truncate="drop")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # what is refused


@pytest.mark.parametrize("same", [(), "tenant", ("data",), ("tenant", "data")])
def test_same_is_a_tuple_of_other_fields(same: Sequence[str]) -> None:
    with pytest.raises(ValueError, match="same is a tuple of other fields' names, not "):
        ManageLargeObjects("invoice", "data", same=same)


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
@pytest.mark.parametrize(
    "later", [migrations.DeleteModel("Invoice"), migrations.RemoveField("Invoice", "data"), "the same again"]
)
def test_squashing_leaves_out_what_is_replaced(operation: Operation, later: Operation | str) -> None:
    last = operation if isinstance(later, str) else later
    between = migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))])
    assert MigrationOptimizer().optimize([operation, between, last], "guarded") == [between, last]


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
def test_squashing_keeps_the_order(operation: Operation) -> None:
    create = migrations.CreateModel("Invoice", [("data", names())])
    rename = migrations.RenameField("Invoice", "data", "document")
    assert MigrationOptimizer().optimize([create, operation, rename], "guarded") == [create, operation, rename]
    other = ManageLargeObjects("invoice", "scan")
    assert MigrationOptimizer().optimize([operation, other], "guarded") == [operation, other]


OTHER_FIELDS: "list[models.Field[Any, Any]]" = [models.CharField(max_length=10), models.FileField()]


@pytest.fixture
def invoice(project: Project) -> Project:
    project.table("Invoice", {"data": names(), "scan": names()})
    return project


def ours() -> set[str]:
    return {str(name) for (name,) in run("select proname from pg_proc where starts_with(proname, 'pg_lo_storage')")}


def state_of_the_database() -> object:
    columns = "select attname, attgenerated from pg_attribute where attrelid = 'invoice'::regclass and not attisdropped"
    triggers = "select tgname, pg_get_triggerdef(oid) from pg_trigger where tgrelid = 'invoice'::regclass"
    functions = "select proname, prosrc, proowner from pg_proc where starts_with(proname, 'pg_lo_storage')"
    return sorted(run(columns)), sorted(run(triggers)), sorted(run(functions))


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
def test_applied_and_reversed_they_leave_nothing(invoice: Project, operation: Operation) -> None:
    before = state_of_the_database()
    invoice.apply(operation)
    assert state_of_the_database() != before
    invoice.reverse(operation)
    assert state_of_the_database() == before
    invoice.reverse(operation)
    assert state_of_the_database() == before


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
def test_applied_twice_they_are_as_applied_once(invoice: Project, operation: Operation) -> None:
    invoice.apply(operation)
    once = state_of_the_database()
    invoice.apply(operation)
    assert state_of_the_database() == once


def test_an_older_version_is_brought_up_to_date(invoice: Project) -> None:
    invoice.apply(MANAGE)
    expected = state_of_the_database()
    run(
        "create or replace function pg_lo_storage_guard() returns trigger language plpgsql as"
        " 'begin raise ''old''; end'; create or replace trigger pg_lo_storage_deleted_data after delete on invoice"
        " for each row execute function pg_lo_storage_guard()"
    )
    invoice.apply(MANAGE)
    assert state_of_the_database() == expected


def test_functions_go_with_the_last_column(invoice: Project) -> None:
    scan = ManageLargeObjects("invoice", "scan")
    invoice.apply(MANAGE, scan)
    invoice.reverse(MANAGE)
    name = make_file()
    run("insert into invoice (scan) values (%s)", [name])
    run("delete from invoice")
    assert files() == set()
    invoice.reverse(scan)
    assert ours() == set()


def test_options_are_changed_by_applying_again(invoice: Project) -> None:
    invoice.apply(MANAGE)
    with_truncate = trigger_names("invoice")
    invoice.apply(ManageLargeObjects("invoice", "data", owner="app", truncate="keep"))
    assert len(trigger_names("invoice")) == len(with_truncate) - 2
    assert "pg_lo_storage_guard" not in ours()
    assert run("select prosecdef from pg_proc where proname = 'pg_lo_storage_guard_as_app'") == [(True,)]
    invoice.apply(MANAGE)
    assert trigger_names("invoice") == with_truncate
    assert "pg_lo_storage_guard_as_app" not in ours()
    before = state_of_the_database()
    invoice.apply(ManageLargeObjects("invoice", "data", same=("scan",)))
    assert state_of_the_database() != before
    invoice.apply(MANAGE)
    assert state_of_the_database() == before


def test_truncate_may_keep_large_objects(invoice: Project) -> None:
    invoice.apply(ManageLargeObjects("invoice", "data", truncate="keep"))
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("truncate invoice")
    assert files() == loids(name)


def test_a_generated_column_is_none_of_djangos(invoice: Project) -> None:
    invoice.apply(GUARD)
    name = make_file()
    model = invoice.state.apps.get_model("guarded", "Invoice")
    row = model(data=name)
    row.save()
    [row] = model.objects.bulk_create([model(data=name)])
    assert value("select count(*) from invoice where pg_lo_storage_data::text = split_part(data, '.', 1)") == 2
    row.data = ""
    row.save()
    assert value("select pg_lo_storage_data from invoice where id = %s", [row.pk]) is None


def test_the_generated_column_of_a_renamed_field_is_known(invoice: Project) -> None:
    invoice.apply(GUARD, migrations.RenameField("Invoice", "data", "document"))
    renamed = GuardFromVacuum("Invoice", "document")
    before = state_of_the_database()
    invoice.apply(renamed)
    assert state_of_the_database() == before
    invoice.reverse(renamed)
    assert value("select count(*) from pg_attribute where attrelid = 'invoice'::regclass and attgenerated = 's'") == 0


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
@pytest.mark.parametrize("field", OTHER_FIELDS)
def test_a_field_without_large_objects_is_refused(
    project: Project, operation: Operation, field: "models.Field[Any, Any]"
) -> None:
    project.table("Invoice", {"data": field})
    with pytest.raises(ValueError, match=r"guarded\.\w+\.data is no file field on large objects"):
        project.apply(operation)


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
def test_files_in_another_database_are_left_alone(project: Project, operation: Operation) -> None:
    project.table("Invoice", {"data": names(storage=DbFileStorage(alias="other"))})
    before = state_of_the_database()
    project.apply(operation)
    assert state_of_the_database() == before


def test_another_alias_of_the_same_database_is_the_same(project: Project) -> None:
    project.table("Invoice", {"data": names(storage=DbFileStorage(alias="replica"))})
    project.table("Copy", {"file": names(storage=DbFileStorage(alias="replica"))})
    project.apply(MANAGE)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("insert into copy (file) values (%s)", [name])
    run("delete from invoice")
    assert files() == loids(name)


class Nowhere:
    """A router that lets nothing be migrated."""

    def allow_migrate(self, *_: object, **__: object) -> bool:
        return False


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
def test_a_router_may_refuse(invoice: Project, operation: Operation) -> None:
    before = state_of_the_database()
    with override_settings(DATABASE_ROUTERS=[f"{__name__}.Nowhere"]):
        invoice.apply(operation)
    assert state_of_the_database() == before


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
def test_an_unmanaged_model_is_meant_where_it_is_named(project: Project, operation: Operation) -> None:
    project.table("Invoice", {"data": names()})
    project.apply(migrations.AlterModelOptions("Invoice", {"managed": False}))
    before = state_of_the_database()
    project.apply(operation)
    assert state_of_the_database() != before


def test_an_inherited_field_is_in_its_own_table(project: Project) -> None:
    project.table("Paper", {"data": names()})
    child = migrations.CreateModel("Invoice", [("total", models.IntegerField(null=True))], bases=("guarded.Paper",))
    project.apply(child, MANAGE)
    assert trigger_names("guarded_invoice") == set()
    name = make_file()
    run("insert into paper (data) values (%s)", [name])
    run("delete from paper")
    assert files() == set()


@pytest.fixture
def sqlite() -> Iterator[SQLite]:
    """A connection to a database of another kind."""
    wrapper = SQLite(connections.configure_settings({"x": {"NAME": ":memory:"}, "default": {}})["x"], "default")
    yield wrapper
    wrapper.close()


@pytest.mark.parametrize("operation", [MANAGE, GUARD, ShowStatistics()])
def test_other_databases_are_left_alone(invoice: Project, operation: Operation, sqlite: SQLite) -> None:
    editor = sqlite.schema_editor(collect_sql=True, atomic=False)
    operation.database_forwards("guarded", editor, invoice.state, invoice.state)
    operation.database_backwards("guarded", editor, invoice.state, invoice.state)
    assert editor.collected_sql == []


@pytest.mark.parametrize("operation", [MANAGE, GUARD])
def test_sqlmigrate_shows_what_can_be_run(invoice: Project, operation: Operation) -> None:
    assert operation.reduces_to_sql
    editor = connection.schema_editor(collect_sql=True, atomic=False)
    operation.database_forwards("guarded", editor, invoice.state, invoice.state)
    invoice.apply(operation)
    expected = state_of_the_database()
    invoice.reverse(operation)
    for statement in editor.collected_sql:
        run(statement)
    assert state_of_the_database() == expected


def test_same_names_columns_of_the_same_table(project: Project) -> None:
    project.table("Paper", {"total": models.IntegerField(null=True)})
    project.apply(migrations.CreateModel("Invoice", [("data", names())], bases=("guarded.Paper",)))
    with pytest.raises(ValueError, match=r"guarded\.Invoice\.total is no other column of the table that has data"):
        project.apply(ManageLargeObjects("Invoice", "data", same=["total"]))
