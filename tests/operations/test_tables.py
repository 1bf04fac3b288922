"""Tables of every kind and name: partitioned, inherited, with any identifiers; too many files for the lock table."""

import pytest
from django.db import OperationalError, connection, transaction
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pg_lo_storage.drivers import get_driver
from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.operations import GuardFromVacuum, ManageLargeObjects
from tests.operations.support import Project, files, loids, make_file, names, run, trigger_names, value

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_table")]

MANAGE = ManageLargeObjects("invoice", "data")


@pytest.fixture
def partitioned(project: Project) -> None:
    project.table("Invoice", {"data": names()}, create=False)
    run("create table invoice (id int, unused int, data varchar) partition by range (id)")
    run("alter table invoice drop column unused")
    run("create table one partition of invoice for values from (1) to (10)")
    run("create table two (id int, data varchar)")  # its columns have other numbers
    run("alter table invoice attach partition two for values from (10) to (100)")
    project.apply(MANAGE)
    run("create table three partition of invoice for values from (100) to (1000)")


@pytest.mark.usefixtures("partitioned")
@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("delete from invoice", ""),
        ("delete from one", "bc"),
        ("delete from two", "ac"),
        ("update invoice set id = id + 9 where id = 1", "abc"),
        ("update invoice set id = id + 9, data = '' where id = 1", "bc"),
        ("truncate invoice", ""),
        ("truncate one", "bc"),
        ("truncate two", "ac"),
        ("alter table invoice rename data to document; delete from invoice", ""),
        ("alter table invoice rename data to document; delete from two", "ac"),
        ("alter table invoice detach partition one; delete from invoice", "a"),
        ("alter table invoice detach partition two; delete from two", "ac"),
    ],
)
def test_partitions(statement: str, left: str) -> None:
    made = {key: make_file() for key in "abc"}
    run("insert into invoice values (1, %s), (10, %s), (100, %s)", list(made.values()))
    for part in statement.split("; "):
        run(part)
    assert files() == loids(*(made[key] for key in left))


@pytest.mark.usefixtures("partitioned")
def test_a_partition_that_is_made_later_is_managed_through_its_table_or_by_applying_again(project: Project) -> None:
    first, second = make_file(), make_file()
    run("insert into invoice values (100, %s), (101, %s)", [first, second])
    run("delete from invoice where id = 100")
    assert files() == loids(second)
    assert trigger_names("three") == set()
    project.apply(MANAGE)
    run("delete from three")
    assert files() == set()


@pytest.fixture
def inherited(project: Project) -> None:
    project.table("Invoice", {"data": names()})
    run("create table special (data varchar, id int, total int)")
    run("alter table special alter id set not null, alter id type bigint, alter data type varchar(100)")
    run("alter table special inherit invoice")
    project.apply(MANAGE)


@pytest.mark.usefixtures("inherited")
@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("delete from invoice", "c"),
        ("delete from only invoice", "bc"),
        ("delete from special", "ac"),
        ("truncate invoice", "c"),
        ("truncate only invoice", "bc"),
        ("truncate special", "ac"),
        ("update invoice set data = ''", "c"),
        ("insert into special (id, data) select id + 9, data from invoice; delete from only invoice", "abc"),
    ],
)
def test_inheritance(statement: str, left: str) -> None:
    made = {key: make_file() for key in "abc"}
    run("insert into invoice (id, data) values (1, %s)", [made["a"]])
    run("insert into special (id, data) values (2, %s)", [made["b"]])
    for part in statement.split("; "):
        run(part)
    assert files() == loids(*(made[key] for key in left))


# Django takes a name that is in quotes already for one that needs none.
IDENTIFIERS = st.text(st.characters(codec="utf-8", exclude_characters='\0%"'), min_size=1).filter(
    lambda text: len(text.encode()) <= 63
)


@pytest.mark.parametrize("catalogue_table", [True], indirect=True)
@given(table=IDENTIFIERS, column=IDENTIFIERS)
@example(table="invoice", column="data")
@example(table="UPPER lower", column="se'lect")
@example(table="a.b", column="c.d")
@example(table="$do$", column="$body$")
@example(table="@table@", column="@column@")
@example(table="'; drop table x; --", column="\\000")
@example(table="x" * 63, column="y" * 63)
@example(table="ä" * 31, column="ö" * 31)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_identifiers(table: str, column: str) -> None:
    assume(column != "id" and not table.startswith("pg_"))
    with transaction.atomic():
        project = Project()
        project.table("Invoice", {"data": names(db_column=column)}, db_table=table)
        project.table("Copy", {"data": names(db_column=column)}, db_table="copy" if table != "copy" else "other")
        guard = GuardFromVacuum("invoice", "data")
        project.apply(MANAGE, MANAGE, guard, guard)
        model = project.state.apps.get_model("guarded", "Invoice")
        copy = project.state.apps.get_model("guarded", "Copy")
        before = files()
        shared, name = make_file(), make_file()
        model(data=name).save()
        model(data=shared).save()
        copy(data=shared).save()
        model._base_manager.all()._raw_delete("default")
        assert files() == before | loids(shared)
        project.reverse(guard)
        project.reverse(MANAGE)
        assert value("select count(*) from pg_proc where starts_with(proname, 'pg_lo_storage')") == 0
        transaction.set_rollback(True)


@pytest.mark.parametrize("catalogue_table", [True], indirect=True)
def test_identifiers_with_quotes(project: Project) -> None:
    project.table("Invoice", {"data": names()}, create=False, db_table='"public"."it""s"')
    run('create table "it""s" (id bigint, data varchar)')
    project.apply(MANAGE, GuardFromVacuum("invoice", "data"))
    run('insert into "it""s" values (1, %s)', [make_file()])
    run('delete from "it""s"')
    assert files() == set()
    project.reverse(MANAGE)


@pytest.fixture
def invoice(project: Project) -> None:
    project.table("Invoice", {"data": names()})
    project.apply(MANAGE)


def capacity() -> int:
    settings = (int(value(f"show {name}")) for name in ("max_connections", "max_prepared_transactions"))
    return int(value("show max_locks_per_transaction")) * sum(settings)


@pytest.mark.usefixtures("invoice")
@pytest.mark.parametrize("statement", ["delete from invoice", "truncate invoice", "update invoice set data = ''"])
def test_more_files_than_the_lock_table_holds_are_refused(statement: str, catalogue_table: bool) -> None:
    # Without a catalogue row to lock each takes two locks.
    count = capacity() + 1 if catalogue_table else capacity() // 2 + 1
    run("insert into invoice (data) select lo_create(0)::text from generate_series(1, %s)", [count])
    if catalogue_table:
        run(
            "insert into pg_lo_storage_file (loid, extension, original_name, content_type)"
            " select data::oid, '', '', '' from invoice"
        )
    message = f"{count} large objects of table public.invoice are more than the lock table holds"
    with pytest.raises(OperationalError, match=rf"{message}\nHINT:  .* batches of 1,000"), transaction.atomic():
        run(statement)
    assert value("select count(*) from invoice where data <> ''") == count
    assert len(files()) == count
    run("delete from invoice where id in (select id from invoice limit 1000)")
    assert len(files()) == count - 1000


@pytest.mark.usefixtures("invoice")
def test_an_open_descriptor_of_an_unlinked_file_is_stale() -> None:
    name, kept = make_file(), make_file()
    run("insert into invoice (data) values (%s)", [name])
    driver = get_driver(connection.connection)
    with LargeObjectIO(driver, int(name.partition(".")[0])) as gone, LargeObjectIO(driver, int(*loids(kept))) as other:
        assert gone.read(3) == b"con"
        run("delete from invoice")
        gone.seek(0)
        with pytest.raises(StaleLargeObject):
            gone.read()
        assert other.read() == b"content"
