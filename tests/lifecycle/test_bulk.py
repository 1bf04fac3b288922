"""Statements for many rows: what they name, and what instances know when they are executed."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.storage import db_file_storage
from tests.lifecycle.papers.models import Paper, Receipt
from tests.lifecycle.support import check, read, upload

GONE = "4294000009.pdf"


def stored(content: bytes) -> str:
    return db_file_storage.save("a.pdf", upload(content))


def test_what_a_conflict_kept_from_being_written_is_written_by_the_next_save(catalogue: bool) -> None:
    receipt = Receipt.objects.create(data=upload())
    row = Receipt(pk=receipt.pk, data=stored(b"second"))
    Receipt.objects.bulk_create([row], ignore_conflicts=True)
    row.save()
    assert read(Receipt.objects.get().data) == b"second"
    check(b"second", catalogue=catalogue)


def test_what_a_conflict_had_written_is_not_written_again(catalogue: bool) -> None:
    receipt = Receipt.objects.create()
    row = Receipt(pk=receipt.pk, data=stored(b"second"))
    Receipt.objects.bulk_create([row], update_conflicts=True, update_fields=["data"], unique_fields=["id"])
    row.save()
    with CaptureQueriesContext(connection) as queries:
        row.save()
    assert len(queries) == 1
    check(b"second", catalogue=catalogue)


def test_rows_that_were_never_inserted_ask_nothing_of_the_next() -> None:
    with pytest.raises(ValueError, match="upload"):
        Paper.objects.bulk_create([Paper(data=GONE), Paper(data=upload())])
    Paper.objects.create(title="another")
    with pytest.raises(LargeObjectNotFound):
        Paper.objects.bulk_create([Paper(data=GONE)])


def test_rows_that_were_never_updated_ask_nothing_of_the_next() -> None:
    one, two = Paper.objects.bulk_create([Paper(), Paper()])
    one.data, two.data = GONE, upload()
    with pytest.raises(ValueError, match="upload"):
        Paper.objects.bulk_update([one, two], ["data"])
    Paper.objects.update(title="another")
    assert {row.title for row in Paper.objects.all()} == {"another"}
    with pytest.raises(LargeObjectNotFound):
        Paper.objects.bulk_update([one], ["data"])
