"""What is done around saves: validation, stand-ins, muted signals, raw saves, bulk statements, receivers."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save, pre_save

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.signals import file_unlinked
from pg_lo_storage.storage import Entry, db_file_storage
from tests.lifecycle.papers.models import Archived, Folder, Paper, Receipt, Version
from tests.lifecycle.sessions import Session
from tests.lifecycle.support import check, read, sql, upload


@pytest.fixture
def paper() -> Paper:
    return Paper.objects.create(data=upload())


def replaced(paper: Paper) -> str:
    """Give the row another file, and return the name of the one that is gone."""
    name = paper.data.name
    paper.data = upload(b"second")
    paper.save()
    assert name
    return name


@pytest.mark.parametrize("save", [True, False])
def test_a_name_that_is_no_files_is_cleared_and_nothing_is_unlinked(save: bool, catalogue: bool) -> None:
    Paper.objects.create(data=upload())
    row = Paper.objects.create()
    sql("update papers_paper set data = 'scans/a.pdf' where id = %s", row.pk)
    row.refresh_from_db()
    row.data.delete(save)
    row.save()
    assert not Paper.objects.get(pk=row.pk).data
    check(b"first", catalogue=catalogue)


# Validation, which forms and the admin ask for.


@pytest.mark.usefixtures("paper")
@pytest.mark.parametrize("name", ["4294967295.pdf", "elsewhere.pdf"])
def test_validation_says_that_a_file_is_gone(name: str) -> None:
    row = Paper.objects.get()
    row.data = name
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    assert [error.code for error in caught.value.error_dict["data"]] == ["missing"]
    assert name in str(caught.value)


@pytest.mark.usefixtures("paper")
def test_validation_takes_what_is_there_what_the_row_has_already_and_uploads() -> None:
    row = Paper.objects.get()
    row.data = other = db_file_storage.save("b.pdf", upload(b"second"))
    row.full_clean()
    row.save()
    db_file_storage.delete(other)
    Paper.objects.get().full_clean()
    row.data = upload(b"third")
    row.full_clean()


# Stand-ins, which have no state.


class StandIn:
    """What packages that clean up hand to a field's file in place of its instance."""

    data: object = None
    plain: object = None


@pytest.mark.parametrize("model", [Paper, Archived])
def test_a_stand_in_deletes_a_file_that_no_row_names(model: type[Paper | Archived], catalogue: bool) -> None:
    row = model.objects.create(data=upload())
    file = row.data
    row_of_file = model.objects.filter(pk=row.pk)
    vars(file)["instance"] = StandIn()
    if model is Paper:
        file.delete(save=False)
        check(b"first", catalogue=catalogue)  # a row names it
        file = model.objects.get().data
        vars(file)["instance"] = StandIn()
    sql(f"delete from {row_of_file.model._meta.db_table}")
    file.delete(save=False)
    check(catalogue=catalogue)


# Signals that are muted.


@pytest.fixture
def muted() -> Any:
    receivers = post_delete.receivers
    post_delete.receivers = []
    post_delete.sender_receivers_cache.clear()
    yield
    post_delete.receivers = receivers
    post_delete.sender_receivers_cache.clear()


@pytest.mark.usefixtures("muted")
@pytest.mark.parametrize("rows", [1, 3, 250])
def test_files_go_with_their_rows_though_post_delete_is_muted(rows: int, catalogue: bool) -> None:
    folder = Folder.objects.create()
    for number in range(rows):
        Paper.objects.create(folder=folder, data=upload(b"%d" % number))
    stale = list(Paper.objects.all())
    folder.delete()
    check(catalogue=catalogue)
    stale[0].delete()  # of a row that is gone already
    check(catalogue=catalogue)


# Raw saves, as fixtures and tools that revert do.


def test_a_raw_save_does_not_put_a_gone_file_in_the_place_of_a_live_one(paper: Paper, catalogue: bool) -> None:
    [old] = serializers.deserialize("json", serializers.serialize("json", [paper]))
    name = replaced(paper)
    with pytest.raises(LargeObjectNotFound, match=rf"'{name}'.*'{paper.data.name}'"):
        old.save()
    check(b"second", catalogue=catalogue)
    assert read(Paper.objects.get().data) == b"second"


def test_a_raw_save_stores_what_is_there_and_rows_whose_files_are_not_there_yet(paper: Paper, catalogue: bool) -> None:
    [old] = serializers.deserialize("json", serializers.serialize("json", [paper]))
    Version.objects.create(data=paper.data)
    replaced(paper)
    old.save()
    assert read(Paper.objects.get().data) == b"first"
    check(b"first", unnamed=[b"second"], catalogue=catalogue)  # it stays: a row that comes later may name it
    [missing] = serializers.deserialize("python", [{"model": "papers.version", "pk": 77, "fields": {"data": "77.pdf"}}])
    missing.save()
    missing.save()
    assert Version.objects.get(pk=77).data.name == "77.pdf"


def test_an_instance_is_saved_after_a_raw_save(paper: Paper, catalogue: bool) -> None:
    [again] = serializers.deserialize("json", serializers.serialize("json", [paper]))
    again.save()
    row = again.object
    assert isinstance(row, Paper)
    row.data = upload(b"second")
    row.save()
    check(b"second", catalogue=catalogue)


# What projects do with signals.


def test_a_receiver_of_one_rows_save_stores_a_file_for_another(catalogue: bool) -> None:
    index = Receipt.objects.create(data=upload(b"index"))

    def receive(instance: Paper, **_: object) -> None:
        index.data.save("index.pdf", upload(b"index of " + instance.title.encode()), save=False)

    pre_save.connect(receive, Paper)
    try:
        Paper.objects.create(title="all", data=upload(b"first"))
    finally:
        pre_save.disconnect(receive, Paper)
    index.save()
    check(b"first", b"index of all", catalogue=catalogue)


def test_a_signal_that_is_sent_by_hand_after_a_bulk_statement_changes_nothing(paper: Paper, catalogue: bool) -> None:
    [copy] = Paper.objects.bulk_create([Paper(data=paper.data.name)])
    post_save.send(Paper, instance=copy, created=True, raw=False, using="default", update_fields=None)
    assert read(copy.data) == b"first"
    paper.delete()
    check(b"first", catalogue=catalogue)


# Statements for many rows.

Statement = Callable[[Paper, str], object]


def query(paper: Paper, name: str) -> None:
    Paper.objects.filter(pk=paper.pk).update(data=name)


def bulk(paper: Paper, name: str) -> None:
    paper.data = name
    Paper.objects.bulk_update([paper], ["data"])


def create(_paper: Paper, name: str) -> None:
    Paper.objects.bulk_create([Paper(data=name)])


STATEMENTS = pytest.mark.parametrize("statement", [query, bulk, create])


@STATEMENTS
def test_who_deletes_a_file_waits_for_a_statement_that_names_it(statement: Statement, paper: Paper) -> None:
    receipt = Receipt.objects.create(data=upload(b"shared"))
    name = receipt.data.name or ""
    with Session() as other:
        with transaction.atomic():
            statement(paper, name)
            waiting = other.start(Receipt.objects.all().delete)
            assert other.waits(waiting)
        waiting.result(timeout=30)
    assert b"shared" in {read(row.data) for row in Paper.objects.all()}


def test_an_expression_is_the_servers_own(paper: Paper, catalogue: bool) -> None:
    Paper.objects.update(scan=models.F("data"))
    assert Paper.objects.get().scan.name == paper.data.name
    check(b"first", catalogue=catalogue)


# Who is told of it.


@pytest.fixture
def told() -> Any:
    """What receivers are told, in order."""
    received: list[tuple[str, str, str | None]] = []

    def receive(alias: str, name: str, entry: Entry | None, **_: object) -> None:
        received.append((alias, name, entry.original_name if entry else None))

    file_unlinked.connect(receive)
    yield received
    file_unlinked.disconnect(receive)


def unlink_by_replacing(paper: Paper) -> None:
    replaced(paper)


def unlink_by_deleting(_paper: Paper) -> None:
    Paper.objects.all().delete()


def unlink_through_the_field(paper: Paper) -> None:
    paper.data.delete()


def unlink_by_the_storage(paper: Paper) -> None:
    db_file_storage.delete(paper.data.name or "")


@pytest.mark.parametrize(
    "unlink", [unlink_by_replacing, unlink_by_deleting, unlink_through_the_field, unlink_by_the_storage]
)
def test_receivers_are_told_of_a_file_that_was_unlinked_after_the_commit(
    unlink: Callable[[Paper], None], paper: Paper, catalogue: bool, told: list[tuple[str, str, str | None]]
) -> None:
    name = paper.data.name
    with transaction.atomic():
        unlink(paper)
        assert not told
    assert told == [("default", name, "a.pdf" if catalogue else None)]


def test_nobody_is_told_of_what_was_rolled_back_or_is_still_named(
    paper: Paper, catalogue: bool, told: list[tuple[str, str, str | None]]
) -> None:
    Version.objects.create(data=paper.data)
    replaced(paper)
    with transaction.atomic():
        Paper.objects.all().delete()
        transaction.set_rollback(True)
    db_file_storage.delete("4294967295.pdf")
    assert not told
    check(b"first", b"second", catalogue=catalogue)
