"""With ``same=``, a row names only a file that no row with other values in these columns names."""

from collections.abc import Mapping
from typing import Any

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.core.files.base import ContentFile
from django.db import Error, IntegrityError, ProgrammingError, connection, migrations, models, transaction

from pg_lo_storage.operations import ManageLargeObjects, triggers
from tests.operations.support import Project, files, loids, make_file, names, run, value

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("catalogue_table"),
    pytest.mark.parametrize("catalogue_table", [True], indirect=True),
]

MANAGE = ManageLargeObjects("invoice", "data", same=("tenant", "year"))
RECEIPTS = ManageLargeObjects("receipt", "scan", same=["firm_id", "year"])
"""The columns are compared in their order, whatever their names and types."""
REFUSED = "cannot name '{}': it is no file, or one that a row with another {} names\nHINT:  "


def tables(project: Project) -> None:
    integer: models.Field[Any, Any] = models.IntegerField(null=True)
    project.table("Invoice", {"data": names(db_index=True), "tenant": integer, "year": models.CharField(null=True)})
    project.table("Receipt", {"scan": names(), "firm_id": models.BigIntegerField(null=True), "year": integer})
    project.table("Letter", {"data": names()})
    project.apply(MANAGE, RECEIPTS, ManageLargeObjects("letter", "data"))


@pytest.fixture
def file(project: Project) -> Mapping[str, str]:
    """Files a, b of invoices of tenants 1 and 2, c of a receipt of tenant 3, n of an invoice of none, d of no row."""
    tables(project)
    made = {key: make_file() for key in "abcdn"}
    run(
        "insert into invoice (id, data, tenant, year)"
        " values (101, %s, 1, '25'), (102, %s, 2, '25'), (103, %s, null, null)",
        [made["a"], made["b"], made["n"]],
    )
    run("insert into receipt (id, scan, firm_id, year) values (101, %s, 3, 25)", [made["c"]])
    return made


CASES = {
    "another tenant's, by an insert": "insert into invoice (data, tenant, year) values ('{a}', 2, '25')",
    "another year's": "insert into invoice (data, tenant, year) values ('{a}', 1, '26')",
    "a tenant's, for none": "insert into invoice (data) values ('{a}')",
    "a tenant's, for one of the values": "insert into invoice (data, tenant) values ('{a}', 1)",
    "nobody's, for a tenant": "insert into invoice (data, tenant, year) values ('{n}', 1, '25')",
    "another table's": "insert into invoice (data, tenant, year) values ('{c}', 1, '25')",
    "another table's, the other way": "insert into receipt (scan, firm_id, year) values ('{a}', 3, 25)",
    "for two at once": "insert into invoice (data, tenant, year) values ('{d}', 1, '25'), ('{d}', 2, '25')",
    "by an update": "update invoice set data = '{a}' where id = 102",
    "by an update of many": "update invoice set data = '{d}' where id in (101, 102)",
    "by an update from no file": (
        "insert into invoice (id, tenant, year) values (9, 5, '25'); update invoice set data = '{a}' where id = 9"
    ),
    "by an upsert": (
        "insert into invoice (id, data) values (102, '{a}') on conflict (id) do update set data = excluded.data"
    ),
    "under another extension": "insert into invoice (data, tenant, year) values ('{a}x', 1, '25')",
    "no file yet": "insert into invoice (data, tenant, year) values ('4000000000.txt', 1, '25')",
    "by a move away from another row": (
        "insert into invoice (id, data, tenant, year) values (9, '{a}', 1, '25');"
        " update invoice set tenant = 2 where id = 9"
    ),
    "by a move to null": (
        "insert into invoice (data, tenant, year) values ('{a}', 1, '25');"
        " update invoice set year = null where id = 101"
    ),
    "by a move away from another table's": (
        "insert into receipt (scan, firm_id, year) values ('{a}', 1, 25); update invoice set tenant = 2 where id = 101"
    ),
    "of more than are looked for one by one": (
        "insert into invoice (data, tenant, year) select make_file(), 7, '25' from generate_series(1, 30)"
        " union all select '{a}', 7, '25'"
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_of_others_is_refused(file: Mapping[str, str], case: str) -> None:
    run(
        "create function make_file() returns text language sql as $$insert into pg_lo_storage_file"
        " (loid, extension, original_name, content_type) values (lo_create(0), '', '', '') returning loid::text$$"
    )
    *before, statement = CASES[case].format(**file).split("; ")
    for each in before:
        run(each)
    query = "select id, data, tenant::text, year from invoice union all select id, scan, firm_id::text, year::text"
    rows, there = sorted(map(str, run(f"{query} from receipt"))), files()
    refused = pytest.raises(IntegrityError, match=r"cannot name '\d+\.txtx?': it is no file, or one that a row")
    with refused as caught, transaction.atomic():
        run(statement)
    cause = caught.value.__cause__
    assert (getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)) == "23503"
    assert sorted(map(str, run(f"{query} from receipt"))) == rows
    assert files() == there


ALLOWED = {
    "one's own": "insert into invoice (data, tenant, year) values ('{a}', 1, '25')",
    "one's own, of another table": "insert into receipt (scan, firm_id, year) values ('{a}', 1, 25)",
    "nobody's, for nobody": "insert into invoice (data) values ('{n}')",
    "a file that no row names": "insert into invoice (data, tenant, year) values ('{d}', 7, '25')",
    "no name of a file": "insert into invoice (data, tenant) values ('foo.txt', 1), ('foo.txt', 2), ('', 1), ('', 2)",
    "a move with the file": "update invoice set tenant = 7 where id = 101",
    "a move of all rows": (
        "insert into invoice (data, tenant, year) values ('{a}', 1, '25'); update invoice set tenant = 7"
        " where tenant = 1"
    ),
    "a move of two tables' rows in one statement": (
        "insert into receipt (scan, firm_id, year) values ('{a}', 1, 25);"
        " with i as (update invoice set tenant = 7 where tenant = 1) update receipt set firm_id = 7 where firm_id = 1"
    ),
    "an exchange": "update invoice set tenant = 3 - tenant where id in (101, 102)",
    "an exchange of names": (
        "update invoice set data = case id when 101 then '{b}' else '{a}' end where id in (101, 102)"
    ),
    "what leaves a file": "update invoice set data = '' where id = 101; update invoice set data = null where id = 102",
    "other columns": "update invoice set id = id + 100",
    "a table without same": "insert into letter (data) values ('{a}'), ('{b}'), ('4000000000.txt')",
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_ones_own_is_named(file: Mapping[str, str], case: str) -> None:
    for each in ALLOWED[case].format(**file).split("; "):
        run(each)


def test_the_error_says_what_is_wrong_and_nothing_of_the_others(file: Mapping[str, str]) -> None:
    message = REFUSED.format(file["c"], "tenant, year") + "Rows that name the same file have the same there"
    with pytest.raises(IntegrityError, match=message) as caught, transaction.atomic():
        run("insert into invoice (data, tenant, year) values (%s, 1, '25')", [file["c"]])
    with pytest.raises(IntegrityError) as missing, transaction.atomic():
        run("insert into invoice (data, tenant, year) values ('4000000000.txt', 1, '25')")
    told, of_none = (str(error.value).splitlines()[:2] for error in (caught, missing))
    assert told == [line.replace("4000000000.txt", file["c"]) for line in of_none]


def test_a_cascade_moves_the_rows_of_two_tables(file: Mapping[str, str]) -> None:
    run("create table tenant (id int primary key)")
    run("insert into tenant values (1), (2), (3)")
    run("insert into receipt (scan, firm_id, year) values (%s, 1, 25)", [file["a"]])
    run("alter table receipt alter firm_id type int")
    for column in ("invoice (tenant", "receipt (firm_id"):
        table, name = column.split(" (")
        run(f"alter table {table} add foreign key ({name}) references tenant on update cascade")
    run("update tenant set id = 7 where id = 1")
    assert value("select count(*) from invoice join receipt on scan = data and firm_id = 7 and tenant = 7") == 1


def test_a_fields_default_is_everybodys(project: Project) -> None:
    name, database = make_file(), make_file()
    project.table("Invoice", {"data": names(default=name), "tenant": models.IntegerField()})
    run(f"alter table invoice alter data set default '{database}'")
    project.apply(ManageLargeObjects("invoice", "data", same=("tenant",)))
    run("insert into invoice (data, tenant) values (%s, 1), (%s, 2)", [name, name])
    run("insert into invoice (tenant) values (1), (2)")


def test_a_save_by_django_is_refused_whole(project: Project, file: Mapping[str, str]) -> None:
    model = project.state.apps.get_model("guarded", "Invoice")
    row = model.objects.create(data=ContentFile(b"new", "a.txt"), tenant=5, year="25")
    other = model.objects.create(tenant=6, year="25")
    there = files()
    with pytest.raises(IntegrityError, match="cannot name"), transaction.atomic():
        model.objects.create(data=row.data.name, tenant=6, year="25")
    with pytest.raises(IntegrityError, match="cannot name"), transaction.atomic():
        model.objects.bulk_create([model(data=row.data.name, tenant=6, year="25")])
    other.data = row.data.name
    with pytest.raises(IntegrityError, match="cannot name"), transaction.atomic():
        other.save()
    assert (files(), model.objects.count()) == (there, 5)
    assert file


def test_columns_are_followed_when_they_are_renamed(project: Project, file: Mapping[str, str]) -> None:
    project.apply(migrations.RenameField("Invoice", "tenant", "it's \\1ä"))
    for _ in range(2):
        with pytest.raises(IntegrityError, match=r"a row with another .it's"), transaction.atomic():
            run("update invoice set data = %s where id = 102", [file["a"]])
        with connection.schema_editor() as editor:
            editor.execute(triggers.refresh(editor.quote_value), params=None)
    arguments = "select distinct pg_get_triggerdef(oid) like %s from pg_trigger where tgrelid = 'invoice'::regclass"
    assert run(arguments + " and not tgisinternal", ["%it''s%ä%"]) == [(True,)]
    run('update invoice set "it\'s \\1ä" = 7 where id = 101')


@pytest.mark.parametrize("table", ["invoice", "receipt"])
@pytest.mark.parametrize(
    "change",
    [
        "alter table invoice drop year",
        "alter table invoice alter year type mood using 'sad'",
        "alter table receipt alter scan type mood using 'sad'",
    ],
)
def test_a_column_that_cannot_be_compared_any_more_refuses_all(
    project: Project, file: Mapping[str, str], table: str, change: str
) -> None:
    run("create type mood as enum ('sad', '1')")
    run(change)
    column, name = ("data", file["d"]) if table == "invoice" else ("scan", "sad" if "scan" in change else file["d"])
    with pytest.raises(Error, match=r"cannot be told apart|is of no type of text"), transaction.atomic():
        run(f"insert into {table} ({column}) values ('{name}')")
    if "drop" in change:
        with pytest.raises(Error, match=r"cannot be told apart.*\n.*\nHINT:  Apply"), transaction.atomic():
            run("update invoice set data = %s where id = 101", [file["d"]])
        project.apply(ManageLargeObjects("invoice", "data", same=("tenant",)))
        run("insert into invoice (data, tenant) values (%s, 1)", [file["d"]])


def test_rows_that_are_there_are_looked_at(project: Project, file: Mapping[str, str]) -> None:
    project.apply(ManageLargeObjects("invoice", "data"))
    run("insert into invoice (data, tenant, year) values ('foo', 1, ''), ('foo', 2, ''), ('4000000000', 2, '')")
    project.apply(MANAGE)
    project.apply(ManageLargeObjects("invoice", "data"))
    run("insert into invoice (id, data, tenant) values (9, %s, 5)", [file["a"]])
    with pytest.raises(IntegrityError, match=f"cannot name '{loids(file['a']).pop()}'"), transaction.atomic():
        project.apply(MANAGE)
    run("delete from invoice where id = 9")
    project.apply(MANAGE)


def test_columns_of_another_number_share_nothing(project: Project, file: Mapping[str, str]) -> None:
    project.apply(ManageLargeObjects("receipt", "scan", same=("firm_id",)))
    run("insert into receipt (scan, firm_id) values (%s, 1)", [file["d"]])
    with pytest.raises(IntegrityError, match="cannot name"), transaction.atomic():
        run("insert into invoice (data, tenant) values (%s, 1)", [file["d"]])


@pytest.mark.parametrize(
    "statement", ["insert into {} (id, data, tenant) values (9, '{}', 2)", "update {} set tenant = 3 where id = 8"]
)
@pytest.mark.parametrize("table", ["invoice", "two"])
def test_partitions(project: Project, table: str, statement: str) -> None:
    project.table("Invoice", {"data": names(), "tenant": models.IntegerField()}, create=False)
    run("create table invoice (id int, data varchar, tenant int) partition by range (id)")
    run("create table one partition of invoice for values from (1) to (5)")
    run("create table two (unused int, tenant int, id int, data varchar)")  # its columns have other numbers
    run("alter table two drop column unused")
    run("alter table invoice attach partition two for values from (5) to (10)")
    project.apply(ManageLargeObjects("invoice", "data", same=("tenant",)))
    name = make_file()
    run("insert into invoice values (1, %s, 1), (8, %s, 1)", [name, name])
    with pytest.raises(IntegrityError, match=r"table public.invoice cannot name"), transaction.atomic():
        run(statement.format(table, name))
    run(f"insert into {table} (id, data, tenant) values (9, '{name}', 1)")
    run("update invoice set tenant = 3, id = 10 - id")


@pytest.mark.parametrize("table", ["invoice", "special"])
def test_inheritance(project: Project, table: str) -> None:
    project.table("Invoice", {"data": names(), "tenant": models.IntegerField()})
    run("create table special (tenant int not null, data varchar(100), id bigint not null)")
    run("alter table special inherit invoice")
    project.apply(ManageLargeObjects("invoice", "data", same=("tenant",)))
    name = make_file()
    run("insert into invoice (id, data, tenant) values (1, %s, 1)", [name])
    with pytest.raises(IntegrityError, match="cannot name"), transaction.atomic():
        run(f"insert into {table} (id, data, tenant) values (2, '{name}', 2)")
    run(f"insert into {table} (id, data, tenant) values (2, '{name}', 1)")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nothing", FieldDoesNotExist, "no field named 'nothing'"),
        ("copy", ValueError, "no other column of the table that has data"),
        ("many", ValueError, "no other column of the table that has data"),
        ("amount", ProgrammingError, "has no column amount of text, integers, uuid or boolean"),
        ("pages", ProgrammingError, "has no column pages of text, integers, uuid or boolean"),
    ],
)
def test_what_cannot_be_compared_is_refused(project: Project, name: str, error: type[Exception], message: str) -> None:
    fields: dict[str, models.Field[Any, Any]] = {
        "data": names(),
        "copy": names(db_column="data"),
        "amount": models.DecimalField(max_digits=5, decimal_places=2),
        "pages": models.IntegerField(),
        "many": models.ManyToManyField("self"),
    }
    project.table("Invoice", fields, create=False)
    run("create domain pages as int")
    run("create table invoice (id int, data varchar, amount numeric, pages pages)")
    with pytest.raises(error, match=message), transaction.atomic():
        project.apply(ManageLargeObjects("invoice", "data", same=(name,)))
