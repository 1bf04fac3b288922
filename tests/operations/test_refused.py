"""An update does not put what is no file in the place of one that there is: the row and its file stay as they were."""

from collections.abc import Mapping

import pytest
from django.db import IntegrityError, transaction

from pg_lo_storage.operations import ManageLargeObjects
from tests.operations.support import Project, files, loids, make_file, names, run, value

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_table")]

TO_A = "update invoice set data = '{a}' where id = 2"


@pytest.fixture
def file(project: Project) -> Mapping[str, str]:
    """Files a, b, c; a and b are named by invoices 1 and 2, while 3, 4 and 5 name none that there is."""
    project.table("Invoice", {"data": names()})
    project.table("Letter", {"data": names()})
    project.apply(ManageLargeObjects("invoice", "data"))
    made = {key: make_file(f".{key}") for key in "abc"}
    gone = make_file(".gone")
    run("insert into invoice (id, data) values (1, %s), (2, %s), (6, %s)", [made["a"], made["b"], gone])
    run("delete from invoice where id = 6")
    run("insert into invoice (id, data) values (3, ''), (4, null), (5, '2.txt')")
    return {**made, "gone": gone}


REFUSED = {
    "a file that never was": ("update invoice set data = '1.txt' where id = 1", "1.txt", "a"),
    "a file that was": ("update invoice set data = '{gone}' where id = 1", "{gone}", "a"),
    "what is no name of a file": ("update invoice set data = 'foo.txt' where id = 1", "foo.txt", "a"),
    "a path": ("update invoice set data = 'invoices/{b}' where id = 1", "invoices/{b}", "a"),
    "a blank that is not empty": ("update invoice set data = ' ' where id = 1", " ", "a"),
    "another row's dangling name": (
        "update invoice set data = (select data from invoice where id = 5) where id = 1",
        "2.txt",
        "a",
    ),
    "one of many": (
        "update invoice set data = case id when 1 then '{c}' when 2 then '1.txt' else data end",
        "1.txt",
        "b",
    ),
    "a file that another row keeps": (
        "insert into letter (data) values ('{a}'); update invoice set data = '1.txt' where id = 1",
        "1.txt",
        "a",
    ),
    "the file that this transaction unlinked": (
        "update invoice set data = '' where id = 1; update invoice set data = '{a}' where id = 2",
        "{a}",
        "b",
    ),
    "by a merge": (
        """merge into invoice using (values (1, '1.txt')) as source (id, data) on invoice.id = source.id
        when matched then update set data = source.data when not matched then insert (id) values (9)""",
        "1.txt",
        "a",
    ),
    "by an upsert": (
        "insert into invoice (id, data) values (1, '1.txt') on conflict (id) do update set data = excluded.data",
        "1.txt",
        "a",
    ),
    "with another key": ("update invoice set id = 9, data = '1.txt' where id = 1", "1.txt", "a"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_name_without_a_file_takes_no_place(case: str, file: Mapping[str, str]) -> None:
    if case == "by a merge" and value("show server_version_num") < "150000":
        pytest.skip("MERGE came with PostgreSQL 15")
    statements, missing, present = REFUSED[case]
    *before, statement = statements.format(**file).split("; ")
    for each in before:
        run(each)
    rows, there = run("select * from invoice order by id"), files()
    message = rf"data of table public.invoice cannot name '{missing.format(**file)}' in the place of '{file[present]}'"
    refused = pytest.raises(IntegrityError, match=rf"{message}: there is no such file\nHINT:  .*NULL")
    with refused as caught, transaction.atomic():
        run(statement)
    cause = caught.value.__cause__
    assert (getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)) == "23503"
    assert run("select * from invoice order by id") == rows
    assert files() == there


ALLOWED = {
    "a row that names nothing": ("update invoice set data = '1.txt' where id = 3", "abc"),
    "a row with NULL": ("update invoice set data = 'foo.txt' where id = 4", "abc"),
    "a row whose file is missing": ("update invoice set data = '1.txt' where id = 5", "abc"),
    "a new row": ("insert into invoice (id, data) values (7, '1.txt'), (8, 'foo.txt')", "abc"),
    "a row that gives its file up": ("update invoice set data = '' where id = 1", "bc"),
    "a row that gives its file up for NULL": ("update invoice set data = null where id = 1", "bc"),
    "another row than that which gives its file up": (
        "update invoice set data = case id when 1 then '' when 5 then '3.txt' else data end",
        "bc",
    ),
    "a row that keeps its name": ("update invoice set data = data, id = id + 100", "abc"),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_any_name_may_come_where_no_file_is_replaced(case: str, file: Mapping[str, str]) -> None:
    statement, left = ALLOWED[case]
    run(statement)
    assert files() == loids(*(file[key] for key in left))


def test_a_file_is_no_file_under_another_extension(file: Mapping[str, str], catalogue_table: bool) -> None:
    statement = "update invoice set data = split_part(data, '.', 1) || '.else' where id = 1"
    if catalogue_table:
        with pytest.raises(IntegrityError, match="there is no such file"), transaction.atomic():
            run(statement)
    else:
        run(statement)
    assert files() == loids(file["a"], file["b"], file["c"])


def test_a_file_that_is_made_by_the_statement_takes_the_place(file: Mapping[str, str], catalogue_table: bool) -> None:
    make = "select lo_from_bytea(0, 'new') as loid"
    if catalogue_table:
        make = (
            "insert into pg_lo_storage_file (loid, extension, original_name, content_type)"
            f" {make}, '.new', '', '' returning loid"
        )
    run(f"with made as ({make}) update invoice set data = loid || '.new' from made where id = 1")
    [(name,)] = run("select data from invoice where id = 1")
    assert files() == loids(name, file["b"], file["c"])


@pytest.mark.parametrize("catalogue_table", [True], indirect=True)
def test_another_applications_object_is_no_file(file: Mapping[str, str]) -> None:
    run("update invoice set data = %s where id = 3", [file["c"]])
    run("delete from pg_lo_storage_file where loid = split_part(%s, '.', 1)::oid", [file["c"]])
    run("update invoice set data = 'foo.txt' where id = 3")
    with pytest.raises(IntegrityError, match="there is no such file"), transaction.atomic():
        run("update invoice set data = %s where id = 1", [file["c"]])
