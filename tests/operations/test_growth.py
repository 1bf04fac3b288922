"""References are looked for by an index, in tables of any size, for any number of files."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, migrations, models
from django.test.utils import CaptureQueriesContext, override_settings

from pg_lo_storage.databases.columns import FileColumn, existing_columns
from pg_lo_storage.databases.search import Cell, named_on
from pg_lo_storage.operations import ManageLargeObjects
from tests.operations.support import Project, files, loids, names, run, value

pytestmark = pytest.mark.django_db

ROWS = 200_000
NOTES = 50_000
LIKE = ["varchar_pattern_ops"]


def add_index(model: str) -> migrations.AddIndex:
    """As migrations have it for a field that brings its index."""
    return migrations.AddIndex(model, models.Index(fields=["data"], name=f"{model}_data_lo", opclasses=LIKE))


LARGE = ["letter", "copy", "invoices_note", "pg_attribute"]
"""Tables with many rows: the last has one for each column of the database."""


def scans(*tables: str) -> int:
    """Count the passes over whole tables that the transaction has made."""
    query = "select coalesce(sum(seq_scan), 0)::int from pg_stat_xact_all_tables where relname = any(%s)"
    return int(value(query, [list(tables or LARGE)]))


@pytest.fixture
def listed() -> Iterator[None]:
    """A large table with a column that the project lists."""
    run("create index on invoices_note (text varchar_pattern_ops)")
    run("insert into invoices_note (text) select 3000000000 + n || '.pdf' from generate_series(1, %s) as n", [NOTES])
    run("analyze invoices_note")
    with override_settings(PG_LO_STORAGE_REFERENCES=["invoices.Note.text"]):
        yield


@pytest.fixture(params=["fields", "triggers"])
def letters(request: pytest.FixtureRequest, project: Project, catalogue_table: bool) -> "models.Manager[Any]":
    """The rows of one of two large tables; some have files, most a name of none, or nothing."""
    assert catalogue_table
    request.getfixturevalue("listed")  # before the triggers, which learn of it when they are made
    for model in ("Letter", "Copy"):
        project.table(model, {"data": names(cleanup=request.param == "fields")})
        project.apply(add_index(model.lower()))
        if request.param == "triggers":
            project.apply(ManageLargeObjects(model.lower(), "data"))
    run("alter table letter disable trigger user")
    run(
        "with made as (insert into pg_lo_storage_file (loid, extension, original_name, content_type)"
        " select lo_from_bytea(0, 'content'), '.txt', '', '' from generate_series(1, 1100) returning loid)"
        " insert into letter (data) select loid || '.txt' from made",
    )
    run(
        "insert into letter (data) select case when n %% 10 = 0 then 3000000000 + n || '.pdf' when n %% 10 < 6 then ''"
        " end from generate_series(1, %s) as n",
        [ROWS],
    )
    run("alter table letter enable trigger user")
    run("alter table copy disable trigger user")
    run("insert into copy (data) select data from letter where id > 1100")
    run("alter table copy enable trigger user")
    run("analyze letter, copy")
    rows: models.Manager[Any] = project.state.apps.get_model("guarded", "Letter")._base_manager
    return rows


@pytest.mark.parametrize("catalogue_table", [True], indirect=True)
def test_no_table_is_read_whole_for_files_that_are_replaced_or_deleted(letters: "models.Manager[Any]") -> None:
    kept, noted = letters.get(id=1000).data.name, letters.get(id=1001).data.name
    run("insert into copy (data) values (%s)", [kept])
    run("insert into invoices_note (text) values (%s)", [noted])
    before = scans()
    cleared = letters.get(id=2)
    cleared.data = None
    cleared.save()
    assert scans() == before
    letters.filter(id=1).delete()
    assert scans() == before
    letters.filter(id__gte=10, id__lte=1009).delete()
    assert scans() == before
    left = run("select data from letter where id <= 1100 and data <> ''")
    assert files() == loids(kept, noted, *(name for (name,) in left))


@pytest.fixture
def columns() -> list[FileColumn]:
    """Columns of every type that may name files, each with its index, in one large table."""
    run(
        "create table letters as select n as id, case when n %% 10 = 0 then 3000000000 + n || '.pdf' else '' end"
        "::varchar(100) as data, (case when n %% 10 = 0 then 3000000000 + n || '' end)::text as note,"
        " ''::varchar as blank, null::varchar as nothing, (3000000000 + n)::oid as loid, 2000000 + n::int4 as small,"
        " 3000000000 + n as large from generate_series(1, %s) as n",
        [ROWS],
    )
    for column in ("data", "note", "blank", "nothing"):
        run(f"create index on letters ({column} varchar_pattern_ops)")
    for column in ("loid", "small", "large"):
        run(f"create index on letters ({column})")
    run("analyze letters")
    found = run("select attname::text from pg_attribute where attrelid = 'letters'::regclass and attnum > 1 order by 1")
    return [FileColumn("letters", name) for (name,) in found]


@pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
def test_every_plan_uses_an_index(columns: list[FileColumn], mode: str) -> None:
    for many, besides in ((1, None), (20, Cell(columns[0], {"id": 1})), (1000, None)):
        oids = [3_000_000_000 + 10 * n + 5 for n in range(many)]
        with CaptureQueriesContext(connection) as queries:
            assert named_on("default", columns, [*oids, 3_000_000_010], besides) == {*oids, 3_000_000_010}
        search = str(queries.captured_queries[-1]["sql"])
        run(f"set local plan_cache_mode = {mode}")
        run("prepare search (text[]) as " + re.sub(r"'\{[0-9,]+\}'", "$1", search))
        for _ in range(7):
            run("execute search (%s)", [[str(oid) for oid in oids]])
        plan = [line for (line,) in run("explain execute search (%s)", [[str(oid) for oid in oids]])]
        run("deallocate search")
        assert len([line for line in plan if "letters" in line]) >= len(columns)
        assert not [line for line in plan if "Seq Scan" in line]


def test_without_an_index_each_column_is_read_once(columns: list[FileColumn]) -> None:
    for (index,) in run("select indexrelid::regclass::text from pg_index where indrelid = 'letters'::regclass"):
        run(f"drop index {index}")
    for many in (1, 1000):
        before = scans("letters")
        oids = [3_000_000_000 + 10 * n for n in range(1, many + 1)]
        assert named_on("default", columns, oids, None) == set(oids)
        assert scans("letters") == before + len(columns)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("(data varchar_pattern_ops)", "index"),
        ("(data text_pattern_ops, id)", "index"),
        ("(id, data varchar_pattern_ops)", "pass"),
        ("(data)", "pass"),
        ("(data varchar_pattern_ops) where data <> ''", "pass"),
        ('(data collate "POSIX" varchar_pattern_ops)', "pass"),
        ("(lower(data) varchar_pattern_ops)", "pass"),
        ("using hash (data varchar_pattern_ops)", "pass"),
    ],
)
def test_an_index_that_would_not_serve_is_not_waited_for(index: str, expected: str) -> None:
    run("create table letters (id int, data varchar(100))")
    run(f"create index on letters {index}")
    [column] = existing_columns("default", [FileColumn("letters", "data")])
    assert column.finding == expected


@pytest.mark.parametrize("table", ["plain", "parted", "with children"])
def test_tables_of_tables_are_searched_whole(table: str) -> None:
    run("create table letters (id int, data varchar) " + ("partition by hash (id)" if table == "parted" else ""))
    run("create index on letters (data varchar_pattern_ops)")
    if table == "parted":
        for n in range(2):
            run(f"create table part{n} partition of letters for values with (modulus 2, remainder {n})")
    elif table == "with children":
        run("create table part () inherits (letters)")
    oids = range(100, 110)
    for n in oids:
        run(f"insert into {'part' if table == 'with children' else 'letters'} values (%s, %s)", [n, f"{n}.txt"])
    wanted = [FileColumn("letters", "data")]
    assert [column.finding for column in existing_columns("default", wanted)] == [
        "pass" if table == "with children" else "index"
    ]
    assert named_on("default", wanted, [*oids, 99], None) == set(oids)
