"""The shortest of the histories in which a test of random ones found a fault."""

from collections.abc import Callable

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from pg_lo_storage.exceptions import LargeObjectNotFound
from tests.lifecycle.papers.models import Contract, Paper
from tests.lifecycle.support import check, read, upload


class Stop(Exception):
    """What a receiver fails with."""


def test_what_an_instance_was_made_with_is_the_users_still_after_its_save_failed(catalogue: bool) -> None:
    row = Contract.objects.create(data=upload(b"data"), signed=upload(b"signed"))
    made = Contract(pk=row.pk, id=row.pk, title="made", scan=upload(b"scan"))

    def fail(**_signal: object) -> None:
        raise Stop

    post_save.connect(fail, sender=Contract)
    try:
        with pytest.raises(Stop):
            made.save()
    finally:
        post_save.disconnect(fail, sender=Contract)
    check(b"data", b"signed", catalogue=catalogue)
    made.save()
    check(b"scan", catalogue=catalogue)


def test_what_an_instance_was_made_with_is_the_users_still_after_its_parent_was_left_out(catalogue: bool) -> None:
    row = Contract.objects.create(data=upload(b"data"), signed=upload(b"signed"))
    made = Contract(pk=row.pk, id=row.pk, title="made", signed=row.signed.name)
    made.save_base(raw=True)
    check(b"data", b"signed", catalogue=catalogue)
    made.save()
    check(b"signed", catalogue=catalogue)


def cleared(row: Paper) -> Paper:
    row.data = None
    Paper.objects.bulk_update([row], ["data"])
    return row


def created_without_it(row: Paper) -> Paper:
    row.pk, row.data = None, None
    row._state.adding = True
    Paper.objects.bulk_create([row])
    return row


IN_BULK = pytest.mark.parametrize("write", [cleared, created_without_it])


@IN_BULK
def test_what_a_bulk_statement_left_empty_may_be_given_the_file_again(
    write: Callable[[Paper], Paper], catalogue: bool
) -> None:
    row = Paper.objects.create(data=upload(b"data"))
    name = str(row.data.name)
    row = write(row)
    row.data = name
    row.save()
    assert Paper.objects.get(pk=row.pk).data == name
    check(b"data", catalogue=catalogue)


@IN_BULK
def test_what_a_bulk_statement_left_empty_is_not_cleared_again(write: Callable[[Paper], Paper]) -> None:
    row = write(Paper.objects.create(data=upload(b"data")))
    theirs = Paper.objects.get(pk=row.pk)
    theirs.data = upload(b"theirs")
    theirs.save()
    row.title = "mine"
    row.save()
    assert read(Paper.objects.get(pk=row.pk).data) == b"theirs"


def test_a_raw_save_that_was_refused_leaves_bulk_statements_holding_what_they_name(catalogue: bool) -> None:
    row = Paper.objects.create(data=upload(b"data"))
    theirs = Paper.objects.get()
    theirs.data = upload(b"theirs")
    theirs.save()
    with pytest.raises(LargeObjectNotFound):
        row.save_base(raw=True)
    with pytest.raises(LargeObjectNotFound):
        Paper.objects.bulk_update([row], ["data"])
    row.pk, row._state.adding = None, True
    with pytest.raises(LargeObjectNotFound):
        Paper.objects.bulk_create([row])
    check(b"theirs", catalogue=catalogue)


def test_what_was_cleared_is_cleared_though_its_row_came_back_with_a_rollback(catalogue: bool) -> None:
    row = Paper.objects.create(title="first", data=upload(b"data"))
    row.data = None
    with transaction.atomic():
        Paper.objects.all().delete()
        row.save()
        transaction.set_rollback(True)
    check(b"data", catalogue=catalogue)
    row.save()
    check(catalogue=catalogue)


def test_what_a_bulk_statement_did_not_write_goes_with_the_next_save(catalogue: bool) -> None:
    row = Paper.objects.create()
    row.data.save("a.pdf", upload(b"data"), save=False)
    row.data = None
    Paper.objects.bulk_update([row], ["data"])
    row.save()
    check(catalogue=catalogue)


def test_a_raw_save_in_a_block_that_is_rolled_back_makes_nothing_sure(catalogue: bool) -> None:
    row = Paper.objects.create()
    with transaction.atomic():
        row.data.save("a.pdf", upload(b"first"))
        row.save_base(raw=True)
        transaction.set_rollback(True)
    with pytest.raises(LargeObjectNotFound, match="save the file again"):
        row.save()
    check(catalogue=catalogue)
