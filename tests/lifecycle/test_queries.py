"""What cleanup costs: nothing where no file changed, and a handful of statements however many rows there are."""

import pytest
from django.db import connection, connections, transaction
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext

from pg_lo_storage.databases.watching import Execute
from pg_lo_storage.lifecycle import deletions
from pg_lo_storage.storage import db_file_storage
from tests.lifecycle.papers.models import Contract, Folder, Letter, Paper, Picture, Receipt, Version
from tests.lifecycle.support import check, image, sql, upload
from tests.test_hops import ASKED_TWICE, BY_ITSELF_AND_IN_A_TRANSACTION, Around, hops


def captured() -> CaptureQueriesContext:
    return CaptureQueriesContext(connection)


@pytest.mark.once
@BY_ITSELF_AND_IN_A_TRANSACTION
def test_a_row_of_one_file_is_created_by_few_calls(around: Around) -> None:
    counted = hops(around, lambda: Version.objects.create(data=upload()))
    assert len(counted.calls) <= 80 + ASKED_TWICE, str(counted)


def test_a_save_that_changes_no_file_is_one_statement() -> None:
    created = Paper.objects.create(data=upload())
    for row in (created, Paper.objects.get()):
        with captured() as queries:
            row.title = "other"
            row.save()
            row.save(update_fields=["title"])
        assert len(queries) == 2


@pytest.mark.once
def test_a_save_of_two_tables_that_changes_no_file_tells_triggers_nothing() -> None:
    Contract.objects.create(data=upload(), signed=upload())
    row = Contract.objects.get()
    with captured() as queries:
        row.title = "other"
        row.save()
    assert [query["sql"].partition(" ")[0] for query in queries] == ["BEGIN", "UPDATE", "UPDATE", "COMMIT"]


def test_a_row_without_a_file_is_one_statement() -> None:
    with captured() as queries:
        Paper.objects.create()
        Receipt.objects.create()
    assert len(queries) == 2
    with captured() as queries:
        Paper.objects.get().save()
    assert len(queries) == 2


def test_a_key_that_is_declared_after_the_file_makes_no_difference() -> None:
    Letter.objects.create(code="a", data=upload())
    row = Letter.objects.get()
    with captured() as queries:
        row.save()
    assert len(queries) == 1


def test_rows_are_loaded_by_one_query() -> None:
    Paper.objects.bulk_create([Paper(data=db_file_storage.save("a.pdf", upload())) for _ in range(3)])
    with captured() as queries:
        assert all(row.data.name for row in Paper.objects.all())
        assert len(Paper.objects.in_bulk()) == 3
        rows = list(Paper.objects.defer("data"))
    assert len(queries) == 3
    assert all("data" in row.get_deferred_fields() for row in rows)
    with captured() as queries:
        rows[0].save()
    assert len(queries) == 1


def test_a_deferred_file_that_was_loaded_is_known() -> None:
    Paper.objects.create(data=upload())
    row = Paper.objects.defer("data").get()
    assert row.data.name
    with captured() as queries:
        row.save()
    assert len(queries) == 1


def test_an_image_is_not_opened_for_dimensions_that_are_known() -> None:
    Picture.objects.create(image=image(3, 4))
    row = Picture.objects.get()
    db_file_storage.delete(row.image.name or "")
    row.save()
    assert (row.width, row.height) == (3, 4)


def test_an_open_file_stays_with_its_row_when_that_is_saved() -> None:
    Paper.objects.create(data=upload())
    row = Paper.objects.get()
    with row.data.open() as file:
        row.save()
        assert row.data is file
        assert row.data.read() == b"first"


def verbs(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"].split()[0] for query in queries.captured_queries]


def test_a_row_without_a_file_is_deleted_by_djangos_statements_alone() -> None:
    for row in (Receipt.objects.create(), Receipt(pk=Receipt.objects.create().pk)):
        with captured() as queries:
            row.delete()
        assert verbs(queries) == ["BEGIN", "DELETE", "COMMIT"]


def test_what_files_a_row_names_is_told_by_the_statement_that_deletes_it(catalogue: bool) -> None:
    row = Receipt.objects.create(data=upload())
    with captured() as queries:
        row.delete()
    assert "SELECT" not in verbs(queries)  # Django's own; those of the library are written small
    check(catalogue=catalogue)


def test_statements_of_the_project_that_delete_rows_meanwhile_are_its_own(catalogue: bool) -> None:
    deleted = list[object]()

    def delete_another(**_signal: object) -> None:
        deleted.extend(sql('DELETE FROM "papers_receipt" WHERE true RETURNING id'))

    row, other = Receipt.objects.create(data=upload()), Receipt.objects.create(data=upload(b"other"))
    pk = other.pk
    post_delete.connect(delete_another, sender=Receipt)
    try:
        row.delete()
    finally:
        post_delete.disconnect(delete_another, sender=Receipt)
    assert deleted == [(pk,)]
    check(catalogue=catalogue, unnamed=[b"other"])


def test_what_the_project_wraps_statements_with_is_told_all_of_the_one_that_deletes_a_row() -> None:
    row = Receipt.objects.create(data=upload())
    told = list[tuple[str, bool, object]]()

    def wrapper(execute: Execute, sql: str, params: object, many: bool, context: dict[str, object]) -> object:
        told.append((sql.split(maxsplit=1)[0], many, context["connection"]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        row.delete()
    assert ("DELETE", False, connections["default"]) in told


def deleting(rows: int) -> CaptureQueriesContext:
    folder = Folder.objects.create()
    names = [db_file_storage.save("a.pdf", upload()) for _ in range(rows)]
    Paper.objects.bulk_create([Paper(folder=folder, data=name) for name in names])
    with captured() as queries:
        folder.delete()
    return queries


def test_a_thousand_rows_are_deleted_by_as_many_statements_as_a_hundred_but_for_djangos_own(catalogue: bool) -> None:
    few, many = len(deleting(100)), len(deleting(1000))
    # Django deletes a hundred rows by each of its statements, and looks for what cascades from them as often.
    assert many - few <= 9 * 4
    check(catalogue=catalogue)


def test_whether_so_many_files_have_room_is_asked_once_before_the_first_row_goes(
    monkeypatch: pytest.MonkeyPatch, catalogue: bool
) -> None:
    monkeypatch.setattr(deletions, "FEW", 2)
    told = verbs(deleting(201))  # a hundred by each statement
    first = told.index("DELETE")
    assert told[first - 3 : first + 3] == ["UPDATE", "select", "select", "DELETE", "DELETE", "DELETE"]
    check(catalogue=catalogue)


@pytest.mark.parametrize("rows", [2, 50])
def test_bulk_create_holds_files_by_one_query(rows: int, catalogue: bool) -> None:
    names = [db_file_storage.save("a.pdf", upload()) for _ in range(rows)]
    with captured() as queries:
        Paper.objects.bulk_create([Paper(data=name) for name in names])
    assert [query["sql"].split()[0] for query in queries.captured_queries if "INSERT" in query["sql"]] == ["INSERT"]
    # With the transaction's begin and end; without the catalogue there is a lock before the query.
    assert len(queries) == (4 if catalogue else 5)


def test_a_default_that_is_asked_for_leaves_nothing_in_doubt() -> None:
    row = Paper.objects.create(data=upload())
    with transaction.atomic():
        row.data = upload(b"second")
        row.save()  # Profile.called is called, and what it may have done is rolled back
        with captured() as queries:
            row.save()
    assert len(queries) == 1
