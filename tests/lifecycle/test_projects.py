"""What projects do with models, and what only some of them do."""

import copy
import io
from collections.abc import Callable

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, models, transaction
from django.db.models.signals import post_save
from django.forms import modelform_factory
from django.utils.datastructures import MultiValueDict

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.lifecycle import leaving
from pg_lo_storage.storage import db_file_storage
from tests.lifecycle.papers.models import (
    Careful,
    Contract,
    Enclosure,
    Folder,
    Lent,
    Paper,
    Receipt,
    Remote,
    Sheet,
    Tag,
    Tagged,
    Unique,
)
from tests.lifecycle.support import FILES, check, column, named, upload


@pytest.fixture
def paper() -> Paper:
    return Paper.objects.create(data=upload())


def stored(content: bytes = b"second") -> str:
    return db_file_storage.save("b.pdf", upload(content))


def test_a_row_is_written_through_an_instance_that_was_not_loaded(paper: Paper, catalogue: bool) -> None:
    again = Paper(id=paper.pk, data=stored())
    again.save(update_fields=["title"])
    check(b"first", unnamed=[b"second"], catalogue=catalogue)
    again.save()
    check(b"second", catalogue=catalogue)


def test_a_file_that_another_field_of_the_row_names_stays(paper: Paper, catalogue: bool) -> None:
    paper.scan = paper.data.name
    paper.save()
    paper.data.delete(save=False)
    assert len(column(FILES)) == 1
    paper.save()
    check(b"first", catalogue=catalogue)


def test_a_form_checks_a_unique_file_and_constraints(catalogue: bool) -> None:
    form = modelform_factory(Unique, fields=["data"])(
        {}, MultiValueDict({"data": [SimpleUploadedFile("a.pdf", b"first")]})
    )
    assert form.is_valid(), form.errors
    form.save()
    check(b"first", catalogue=catalogue)


def test_a_form_replaces_and_clears(paper: Paper, catalogue: bool) -> None:
    form = modelform_factory(Paper, fields=["data"])
    form({}, MultiValueDict({"data": [SimpleUploadedFile("b.pdf", b"second")]}), instance=paper).save()
    check(b"second", catalogue=catalogue)
    form({"data-clear": "on"}, MultiValueDict(), instance=Paper.objects.get()).save()
    check(catalogue=catalogue)


@pytest.mark.parametrize("method", ["create", "update", "query"])
def test_bulk_statements_refuse_uploads(method: str, paper: Paper, catalogue: bool) -> None:
    paper.data = upload(b"second")
    statements: dict[str, Callable[[], object]] = {
        "create": lambda: Paper.objects.bulk_create([Paper(data=upload(b"second"))]),
        "update": lambda: Paper.objects.bulk_update([paper], ["data"]),
        "query": lambda: Paper.objects.update(data=paper.data),
    }
    with pytest.raises(ValueError, match="no stored name yet"):
        statements[method]()
    check(b"first", catalogue=catalogue)


def test_a_bulk_statement_that_failed_is_forgotten(paper: Paper) -> None:
    stale = Paper.objects.get()
    paper.delete()
    stale.pk = None
    with pytest.raises(ValueError, match="no stored name yet"):
        Paper.objects.bulk_create([stale, Paper(data=upload())])
    assert Folder.objects.count() == 0
    with pytest.raises(LargeObjectNotFound):
        Paper.objects.bulk_create([stale])
    assert not connection.execute_wrappers


def test_an_instance_is_saved_after_a_bulk_update(paper: Paper, catalogue: bool) -> None:
    first = paper.data.name
    again = Paper.objects.get()
    again.data = stored()
    Paper.objects.bulk_update([again], ["data"])
    again.data = first
    again.save()
    check(b"first", catalogue=catalogue)


def test_an_instance_is_cleared_or_deleted_after_a_bulk_create(catalogue: bool) -> None:
    cleared, deleted = Receipt(), Receipt()
    cleared.data, deleted.data = stored(b"first"), stored(b"second")
    Receipt.objects.bulk_create([cleared, deleted])
    cleared.data = None
    cleared.save()
    deleted.delete()
    check(catalogue=catalogue)


def test_an_instance_is_deleted_whose_row_was_given_a_file_since(catalogue: bool) -> None:
    row, other = Paper.objects.create(), Paper.objects.get()
    other.data = upload()
    other.save()
    row.delete()
    check(catalogue=catalogue)


@pytest.mark.parametrize("wrong", [b"content", io.BytesIO(b"content"), 7])
def test_what_is_no_file_is_refused(wrong: object, catalogue: bool) -> None:
    with pytest.raises(TypeError, match=r"Receipt.data takes a django.core.files.File, such as ContentFile"):
        Receipt(data=wrong).save()
    check(catalogue=catalogue)


@pytest.mark.parametrize("how", ["new row", "assigned", "copied"])
def test_a_file_of_a_row_that_was_deleted_since_is_not_named(how: str, paper: Paper, catalogue: bool) -> None:
    stale = Paper.objects.get()
    paper.delete()
    receipt = Receipt()
    if how == "new row":
        receipt = Receipt(data=stale.data)
    elif how == "assigned":
        receipt.data = stale.data
    row: Paper | Receipt = receipt
    if how == "copied":
        stale.pk = None
        row = stale
    with pytest.raises(LargeObjectNotFound, match="no such file any more"):
        row.save(force_insert=True)
    check(catalogue=catalogue)


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_object_is_of_one_instance(shared: bool, paper: Paper, catalogue: bool) -> None:
    assert paper.data.name
    other = Paper() if shared else copy.copy(paper)
    other.pk, other.data = None, paper.data
    other.data.save("b.pdf", upload(b"second"))
    paper.save()
    check(b"first", b"second", catalogue=catalogue)


def test_a_file_that_never_was_a_rows_goes_with_the_next_save(paper: Paper, catalogue: bool) -> None:
    first = paper.data.name
    paper.data.save("b.pdf", upload(b"second"), save=False)
    paper.data = first
    paper.save()
    check(b"first", catalogue=catalogue)


def test_a_key_of_two_columns(catalogue: bool) -> None:
    Sheet.objects.create(book=1, page=1, data=upload(b"kept"))
    sheet = Sheet.objects.create(book=1, page=2, data=upload())
    sheet.data = upload(b"second")
    sheet.save()
    check(b"kept", b"second", catalogue=catalogue)
    sheet.data.delete(save=False)
    assert len(column(FILES)) == 1
    sheet.save()
    Sheet.objects.all().delete()
    check(catalogue=catalogue)


def test_generic_relations_null_and_protect(paper: Paper, catalogue: bool) -> None:
    tagged = Tagged.objects.create()
    Tag.objects.create(kind=ContentType.objects.get_for_model(Tagged), key=tagged.pk, data=upload(b"tag"))
    loose = Enclosure.objects.create(loose=paper, data=upload(b"loose"))
    tagged.delete()
    check(b"first", b"loose", catalogue=catalogue)
    Enclosure.objects.create(fixed=paper)
    with pytest.raises(models.ProtectedError):
        paper.delete()
    check(b"first", b"loose", catalogue=catalogue)
    Enclosure.objects.exclude(pk=loose.pk).delete()
    paper.delete()
    check(b"loose", catalogue=catalogue)


def test_methods_of_ones_own(catalogue: bool) -> None:
    row = Careful.objects.create(data=upload())
    row.data = upload(b"second")
    row.save()
    check(b"second", catalogue=catalogue)
    row.delete()
    check(catalogue=catalogue)


def test_a_receiver_that_saves_again(paper: Paper, catalogue: bool) -> None:
    def save_again(instance: Paper, **_: object) -> None:
        if instance.title != "saved":
            instance.title = "saved"
            instance.data = upload(b"third")
            instance.save()

    post_save.connect(save_again, sender=Paper)
    try:
        paper.data = upload(b"second")
        paper.save()
    finally:
        post_save.disconnect(save_again, sender=Paper)
    check(b"third", catalogue=catalogue)


def test_a_receiver_that_fails(paper: Paper, catalogue: bool) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError

    post_save.connect(fail, sender=Paper)
    try:
        paper.data = upload(b"second")
        with pytest.raises(RuntimeError):
            paper.save()
    finally:
        post_save.disconnect(fail, sender=Paper)
    check(b"first", catalogue=catalogue)


def test_a_fixture(paper: Paper, catalogue: bool) -> None:
    fixture = serializers.serialize("json", [paper])
    for deserialized in serializers.deserialize("json", fixture):
        deserialized.save()
    check(b"first", catalogue=catalogue)
    Paper.objects.get().delete()
    check(catalogue=catalogue)


def test_another_storage() -> None:
    Lent.objects.bulk_create([Lent(data=upload())])
    row = Lent.objects.get()
    row.data = upload(b"second")
    row.save()
    row.delete()
    assert not column(FILES)


def test_a_row_that_is_saved_under_another_key_is_a_copy(paper: Paper, catalogue: bool) -> None:
    paper.pk += 1000
    paper.save()
    Paper.objects.earliest("pk").delete()
    check(b"first", catalogue=catalogue)
    assert len(named()) == 1


def test_what_fails_on_the_files_database_after_the_commit_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise OSError("the other database is away")

    row = Remote.objects.create(data=upload())
    monkeypatch.setattr(leaving, "release", fail)
    row.delete()
    assert not Remote.objects.exists()
    assert "the other database is away" in caplog.text
    assert len(column(FILES, using="other")) == 1


def test_autocommit_that_is_off(paper: Paper, catalogue: bool) -> None:
    transaction.set_autocommit(False)
    try:
        paper.data = upload(b"second")
        paper.save()
        transaction.rollback()
        check(b"first", catalogue=catalogue)
        Contract.objects.create(data=upload(b"third"))
        transaction.commit()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    check(b"first", b"third", catalogue=catalogue)
