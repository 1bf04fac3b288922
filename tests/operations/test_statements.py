"""Which large objects and catalogue entries are left by each kind of statement that a table's rows may change by."""

from collections.abc import Mapping

import pytest
from django.db import models

from pg_lo_storage.operations import ManageLargeObjects
from tests.operations.support import Project, copy_in, files, loids, make_file, names, run, value

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_table")]


@pytest.fixture
def managed(project: Project) -> None:
    """Column ``data`` of ``invoice`` and of ``letter`` is managed; ``scan`` and ``copy.file`` are not."""
    project.table("Owner", {})
    project.table("Invoice", {"data": names(), "scan": names(), "owner_id": models.BigIntegerField(null=True)})
    project.table("Letter", {"data": names()})
    project.table("Copy", {"file": names()})
    run("alter table invoice add foreign key (owner_id) references owner on delete cascade deferrable")
    project.apply(ManageLargeObjects("invoice", "data"), ManageLargeObjects("letter", "data"))


@pytest.fixture
def file(managed: None) -> Mapping[str, str]:  # noqa: ARG001 -- the tables
    """Files a, b, c, d; a, b and c are named by invoices 1, 2 and 3 of owners 1, 2 and 2."""
    made = {key: make_file(f".{key}") for key in "abcd"}
    run("insert into owner select n from generate_series(1, 2) as n")
    run(
        "insert into invoice (id, data, owner_id) values (1, %s, 1), (2, %s, 2), (3, %s, 2)",
        [made["a"], made["b"], made["c"]],
    )
    run("select setval(pg_get_serial_sequence('invoice', 'id'), 100)")
    return made


MERGE = """merge into invoice using (values (1, '{d}'), (2, null), (9, '{c}')) as source (id, data)
    on invoice.id = source.id
    when matched and source.data is null then delete
    when matched then update set data = source.data
    when not matched then insert (id, data) values (source.id, source.data)"""
UPSERT = """insert into invoice (id, data) values (1, '{d}'), (4, '{b}')
    on conflict (id) do update set data = excluded.data"""

# The statements, and the files that they leave.
STATEMENTS: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "abcd"),
    "update to another": (["update invoice set data = '{d}' where id = 1"], "bcd"),
    "update to blank": (["update invoice set data = '' where id = 1"], "bcd"),
    "update to NULL": (["update invoice set data = null where id = 1"], "bcd"),
    "update from what is missing": (
        ["insert into invoice (data) values ('1.txt'), (''), ('a/b')", "update invoice set data = ''"],
        "d",
    ),
    "update to the same": (["update invoice set data = data"], "abcd"),
    "update of another column": (["update invoice set owner_id = 2"], "abcd"),
    "update that swaps": (["update invoice set data = (array['{b}', '{a}', '{c}'])[id]"], "abcd"),
    "update that passes on": (["update invoice set data = (array['{d}', '{a}', '{b}'])[id]"], "abd"),
    "update of all": (["update invoice set data = ''"], "d"),
    "delete": (["delete from invoice where id = 1"], "bcd"),
    "delete of all": (["delete from invoice"], "d"),
    "delete in a with": (["with gone as (delete from invoice returning id) select count(*) from gone"], "d"),
    "delete of what is missing": (["insert into invoice (data) values ('1.txt')", "delete from invoice"], "d"),
    "cascade": (["delete from owner where id = 2"], "ad"),
    "truncate": (["truncate invoice"], "d"),
    "truncate twice": (["truncate invoice", "truncate invoice"], "d"),
    "truncate cascade": (["truncate owner cascade"], "d"),
    "truncate rolled back": (["savepoint s", "truncate invoice", "rollback to s", "truncate letter"], "abcd"),
    "truncate, rows again, truncate": (
        ["truncate invoice", "insert into invoice (data) values ('{d}')", "truncate invoice"],
        "",
    ),
    "merge": ([MERGE], "cd"),
    "upsert": ([UPSERT], "bcd"),
    "delete rolled back": (["savepoint s", "delete from invoice", "rollback to s"], "abcd"),
    "delete in a savepoint": (["savepoint s", "delete from invoice", "release s"], "d"),
    "shared by two tables": (["insert into letter (data) values ('{a}')", "delete from invoice"], "ad"),
    "shared by two tables, and both go": (
        ["insert into letter (data) values ('{a}')", "delete from invoice", "delete from letter"],
        "d",
    ),
    "shared by two rows": (["update invoice set data = '{a}'", "delete from invoice where id = 1"], "ad"),
    "shared by two rows that go": (["update invoice set data = '{a}'", "delete from invoice"], "d"),
    "shared by two columns": (["update invoice set scan = data", "update invoice set data = ''"], "abcd"),
    "shared by two columns of rows that go": (["update invoice set scan = data", "delete from invoice"], "d"),
    "shared by tables truncated together": (
        ["insert into letter (data) select data from invoice", "truncate invoice, letter"],
        "d",
    ),
    "shared by a table that is not truncated": (
        ["insert into letter (data) values ('{a}')", "truncate invoice"],
        "ad",
    ),
    "shared by a column that is not managed": (
        ["insert into copy (file) values ('{a}')", "delete from invoice"],
        "ad",
    ),
    "shared under another extension": (
        ["insert into copy (file) values (split_part('{a}', '.', 1) || '.else')", "delete from invoice"],
        "ad",
    ),
    "shared without an extension": (
        ["insert into copy (file) values (split_part('{a}', '.', 1))", "delete from invoice"],
        "ad",
    ),
    "not shared, but the start of another": (
        ["insert into copy (file) values (replace('{a}', '.', '0.')), ('1{a}'), ('0')", "delete from invoice"],
        "d",
    ),
}


@pytest.mark.parametrize("case", STATEMENTS)
def test_what_is_left(case: str, file: Mapping[str, str]) -> None:
    if case == "merge" and value("show server_version_num") < "150000":
        pytest.skip("MERGE came with PostgreSQL 15")
    statements, left = STATEMENTS[case]
    for statement in statements:
        # Deferred constraints would keep tables from being truncated.
        run("set constraints all immediate")
        run(statement.format(**file))
    assert files() == loids(*(file[key] for key in left))


def test_copy(file: Mapping[str, str]) -> None:
    copy_in("invoice (data)", [file["d"], "", "1.txt", "no name", "\\N"])
    run("delete from invoice where id <= 3")
    assert files() == loids(file["d"])
    run("delete from invoice")
    assert files() == set()


@pytest.mark.usefixtures("managed")
def test_many_are_looked_for_at_once() -> None:
    made = [make_file() for _ in range(50)]
    run("insert into invoice (data) select unnest(%s::text[])", [made])
    run("insert into letter (data) select unnest(%s::text[])", [made[:10]])
    run("insert into copy (file) select unnest(%s::text[])", [made[10:20]])
    run("delete from invoice")
    assert files() == loids(*made[:20])


@pytest.mark.usefixtures("managed")
def test_the_catalogue_may_be_truncated_in_the_same_statement(catalogue_table: bool) -> None:
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("truncate invoice" + ", pg_lo_storage_file" * catalogue_table)
    assert files() == set()


@pytest.mark.usefixtures("managed")
@pytest.mark.parametrize("catalogue_table", [True], indirect=True)
@pytest.mark.parametrize("statement", ["delete from invoice", "update invoice set data = ''", "truncate invoice"])
def test_what_the_catalogue_has_not_is_left_alone(statement: str) -> None:
    name, renamed = make_file(".pdf"), make_file(".pdf")
    run("delete from pg_lo_storage_file where loid = split_part(%s, '.', 1)::oid", [name])
    run("insert into invoice (data) values (%s), (%s)", [name, renamed.replace(".pdf", ".html")])
    run(statement)
    assert {loid for (loid,) in run("select oid::text from pg_largeobject_metadata")} == loids(name, renamed)
