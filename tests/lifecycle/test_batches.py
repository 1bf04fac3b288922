"""Rows that are deleted in batches, each a transaction; with as many rows as fill the lock table in ``test_many``."""

from collections import Counter
from typing import Any

import pytest
from django.db import models, transaction
from django.db.models.signals import pre_delete
from django.test import override_settings

from pg_lo_storage.lifecycle import delete_in_batches
from tests.lifecycle.papers.models import Folder, Letter, Paper, Sheet, Version
from tests.lifecycle.support import check, sql, upload

DATA = [b"0", b"1", b"2", b"3", b"4"]


def make(using: str = "default") -> list[int]:
    """Make five rows; return their keys in order."""
    return [Paper.objects.using(using).create(data=upload(data)).pk for data in DATA]


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6])
def test_all_rows_of_the_query_go_and_are_counted_by_model(size: int, catalogue: bool) -> None:
    make()
    Version.objects.create(data=upload(b"stays"))
    folder = Folder.objects.create()
    Paper.objects.update(folder=folder)
    Folder.objects.create()
    assert delete_in_batches(Paper.objects.exclude(pk=0), size) == (5, {"papers.Paper": 5})
    check(b"stays", catalogue=catalogue)
    assert delete_in_batches(Paper.objects.all()) == (0, {})
    assert delete_in_batches(Folder.objects.all(), size) == (2, {"papers.Folder": 2})


def test_rows_go_by_their_key_wherever_it_stands(catalogue: bool) -> None:
    for code in "abc":
        Letter.objects.create(code=code, data=upload())
    for page in range(3):
        Sheet.objects.create(book=1, page=page, data=upload())
    assert delete_in_batches(Letter.objects.all(), 2) == (3, {"papers.Letter": 3})
    assert delete_in_batches(Sheet.objects.all(), 2) == (3, {"papers.Sheet": 3})
    check(catalogue=catalogue)


def test_what_goes_with_the_rows_is_counted_too(catalogue: bool) -> None:
    make()
    Paper.objects.update(folder=Folder.objects.create())
    assert delete_in_batches(Folder.objects.all()) == (6, {"papers.Folder": 1, "papers.Paper": 5})
    check(catalogue=catalogue)


def test_an_interruption_leaves_whole_batches_deleted(catalogue: bool) -> None:
    keys = make()

    def interrupt(instance: Paper, **_signal: Any) -> None:
        if instance.pk == keys[3]:
            raise KeyboardInterrupt

    pre_delete.connect(interrupt, sender=Paper)
    try:
        # Whatever the order of the query, rows go by their keys.
        with pytest.raises(KeyboardInterrupt):
            delete_in_batches(Paper.objects.order_by("-pk"), 2)
    finally:
        pre_delete.disconnect(interrupt, sender=Paper)
    assert list(Paper.objects.order_by("pk").values_list("pk", flat=True)) == keys[2:]
    check(*DATA[2:], catalogue=catalogue)


def test_a_batch_has_a_thousand_rows_unless_the_caller_says_otherwise() -> None:
    Folder.objects.bulk_create(Folder() for _ in range(1001))
    of_transactions = Counter[str]()

    def count(**_: Any) -> None:
        [(number,)] = sql("select txid_current()::text")
        of_transactions[number] += 1

    pre_delete.connect(count, sender=Folder)
    try:
        delete_in_batches(Folder.objects.all())
    finally:
        pre_delete.disconnect(count, sender=Folder)
    assert sorted(of_transactions.values()) == [1, 1000]


def test_a_transaction_that_is_open_already_is_refused(catalogue: bool) -> None:
    make()
    with transaction.atomic(), pytest.raises(RuntimeError):
        delete_in_batches(Paper.objects.all())
    check(*DATA, catalogue=catalogue)


def test_it_deletes_on_the_database_of_the_query(catalogue: bool) -> None:
    make()
    make("other")
    with transaction.atomic("default"):
        assert delete_in_batches(Paper.objects.using("other"), 2) == (5, {"papers.Paper": 5})
    check(catalogue=catalogue, using="other")
    check(*DATA, catalogue=catalogue)


class PapersElsewhere:
    """Writes papers to another database."""

    def db_for_write(self, model: type[models.Model], **_hints: object) -> str | None:
        return "other" if model is Paper else None


def test_it_deletes_where_the_models_rows_are_written(catalogue: bool) -> None:
    make()
    make("other")
    with override_settings(DATABASE_ROUTERS=[PapersElsewhere()]):
        assert delete_in_batches(Paper.objects.all(), 2) == (5, {"papers.Paper": 5})
    check(catalogue=catalogue, using="other")
    check(*DATA, catalogue=catalogue)
