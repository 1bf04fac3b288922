"""What an instance remembers of its row never undoes what others did, and no row comes to name a file that is gone."""

import pickle
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, cast

import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models.signals import post_save, pre_save
from django.forms import modelform_factory

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.lifecycle.known import known
from pg_lo_storage.storage import DbFileIO
from tests.lifecycle.guards import EVERY_GUARD, FIELD, TRIGGERS
from tests.lifecycle.papers.models import (
    BY_DATABASE,
    CALLED,
    DEFAULTS,
    LITERAL,
    Badge,
    Contract,
    Draft,
    Paper,
    Profile,
    Receipt,
    Version,
)
from tests.lifecycle.sessions import Session
from tests.lifecycle.support import FILES, check, column, read, sql, upload
from tests.storage.support import Stop, rolled_back


@pytest.fixture
def other() -> Iterator[Session]:
    with Session() as session:
        yield session


def replace(row: Paper, content: bytes = b"theirs") -> None:
    theirs = Paper.objects.get(pk=row.pk)
    theirs.data = upload(content)
    theirs.save()


def again(row: Paper) -> Paper:
    return Paper.objects.get(pk=row.pk)


# An instance that was last saved in a transaction that has ended since.


def saved_in_a_block(row: Paper) -> Paper:
    row = again(row)
    with transaction.atomic():
        row.title = "saved"
        row.save()
    return row


def saved_in_a_savepoint(row: Paper) -> Paper:
    row = again(row)
    with transaction.atomic(), transaction.atomic():
        row.title = "saved"
        row.save()
    return row


def saved_in_a_block_that_was_rolled_back(row: Paper) -> Paper:
    row = again(row)
    with rolled_back():
        row.title = "saved"
        row.save()
    return row


def saved_in_part_in_a_block(row: Paper) -> Paper:
    row = again(row)
    with transaction.atomic():
        row.save(update_fields=["data"])
    return row


def found_or_created(row: Paper) -> Paper:
    return Paper.objects.get_or_create(pk=row.pk)[0]


def updated_or_created(row: Paper) -> Paper:
    return Paper.objects.update_or_create(pk=row.pk, defaults={"title": "saved"})[0]


def pickled(row: Paper) -> Paper:
    return cast("Paper", pickle.loads(pickle.dumps(saved_in_a_block(row))))


def pickled_as_loaded(row: Paper) -> Paper:
    return cast("Paper", pickle.loads(pickle.dumps(again(row))))


def updated_in_bulk(row: Paper) -> Paper:
    row = again(row)
    Paper.objects.bulk_update([row], ["data"])
    return row


def updated_in_bulk_but_for_the_file(row: Paper) -> Paper:
    row = again(row)
    Paper.objects.bulk_update([row], ["title"])
    return row


def given_to_another_row(row: Paper) -> Paper:
    row, version = again(row), Version.objects.create()
    Version.objects.filter(pk=version.pk).update(data=row.data)
    Version.objects.filter(pk=version.pk).update(data=None)
    return row


def given_to_another_row_of_the_model(row: Paper) -> Paper:
    row, another = again(row), Paper.objects.create()
    Paper.objects.filter(pk=another.pk).update(data=row.data)
    Paper.objects.filter(pk=another.pk).delete()
    return row


def before_a_savepoint_that_was_rolled_back(row: Paper) -> Paper:
    row = again(row)
    row.save()
    with transaction.atomic(), rolled_back():
        Version.objects.create()
    return row


def refreshed(row: Paper) -> Paper:
    row = saved_in_a_block(row)
    row.refresh_from_db()
    return row


def deferred(row: Paper) -> Paper:
    row = Paper.objects.defer("data").get(pk=row.pk)
    assert row.data is not None
    return row


@pytest.mark.parametrize("content", [None, b"first"], ids=["empty", "with a file"])
@pytest.mark.parametrize(
    "remembering",
    [
        again,
        before_a_savepoint_that_was_rolled_back,
        deferred,
        found_or_created,
        given_to_another_row,
        given_to_another_row_of_the_model,
        pickled,
        pickled_as_loaded,
        refreshed,
        saved_in_a_block,
        saved_in_a_block_that_was_rolled_back,
        saved_in_a_savepoint,
        saved_in_part_in_a_block,
        updated_in_bulk,
        updated_in_bulk_but_for_the_file,
        updated_or_created,
    ],
)
def test_a_save_of_other_columns_leaves_what_somebody_else_uploaded(
    remembering: Callable[[Paper], Paper], content: bytes | None, catalogue: bool
) -> None:
    row = remembering(Paper.objects.create(data=content and upload(content)))
    replace(row)
    row.title = "done"
    row.save()
    assert again(row).title == "done"
    check(b"theirs", catalogue=catalogue)


def created_in_a_block(content: bytes | None) -> Paper:
    with transaction.atomic():
        return Paper.objects.create(data=content and upload(content))


def created_by_looking_for_it(content: bytes | None) -> Paper:
    return Paper.objects.get_or_create(title="new", defaults={"data": content and upload(content)})[0]


def created_by_updating_it(content: bytes | None) -> Paper:
    return Paper.objects.update_or_create(title="new", defaults={"data": content and upload(content)})[0]


def created_in_bulk(content: bytes | None) -> Paper:
    row = Paper()
    if content:
        row.data.save("a.pdf", upload(content), save=False)
    return Paper.objects.bulk_create([row])[0]


def created_in_bulk_in_a_block(content: bytes | None) -> Paper:
    with transaction.atomic():
        return created_in_bulk(content)


@pytest.mark.parametrize("content", [None, b"first"], ids=["empty", "with a file"])
@pytest.mark.parametrize(
    "create",
    [
        created_by_looking_for_it,
        created_by_updating_it,
        created_in_a_block,
        created_in_bulk,
        created_in_bulk_in_a_block,
    ],
)
def test_a_save_of_a_new_instance_leaves_what_somebody_else_uploaded(
    create: Callable[[bytes | None], Paper], content: bytes | None, catalogue: bool
) -> None:
    row = create(content)
    replace(row)
    row.title = "done"
    row.save()
    assert again(row).title == "done"
    check(b"theirs", catalogue=catalogue)


@EVERY_GUARD
@pytest.mark.parametrize("content", [None, b"first"], ids=["empty", "with a file"])
def test_a_save_in_the_transaction_leaves_what_was_uploaded_after_another_savepoint(
    content: bytes | None, catalogue: bool
) -> None:
    row = again(Paper.objects.create(data=content and upload(content)))
    with transaction.atomic():
        row.title = "saved"
        row.save()
        with rolled_back():
            Version.objects.create()
        replace(row)
        row.title = "done"
        row.save()
    check(b"theirs", catalogue=catalogue)


def test_many_saves_in_one_transaction_are_remembered_as_quickly_as_few(catalogue: bool) -> None:
    row = Paper.objects.create()
    with transaction.atomic():
        for number in range(60):
            row.data.save("a.pdf", upload(b"%d" % number))
            with rolled_back():
                Version.objects.create()
        assert len(known(row, Paper.data.field).leaves("default")) <= 60
        copy = cast("Paper", pickle.loads(pickle.dumps(row)))
    copy.title = "done"
    copy.save()
    check(b"59", catalogue=catalogue)


@EVERY_GUARD
def test_a_key_that_is_there_before_the_row_is_no_difference(catalogue: bool) -> None:
    with transaction.atomic():
        row = Receipt.objects.create()
    theirs = Receipt.objects.get()
    theirs.data = upload(b"theirs")
    theirs.save()
    row.save()
    check(b"theirs", catalogue=catalogue)


# Files that change places within a row of two tables.


def contract(data: bytes | None = b"first", signed: bytes | None = None) -> Contract:
    return Contract.objects.create(data=data and upload(data), signed=signed and upload(signed))


@EVERY_GUARD
def test_a_file_moves_to_the_childs_table_where_another_takes_its_place(catalogue: bool) -> None:
    contract()
    row = Contract.objects.get()
    row.signed, row.data = row.data, upload(b"second")
    row.save()
    assert (read(Contract.objects.get().signed), read(Contract.objects.get().data)) == (b"first", b"second")
    check(b"first", b"second", catalogue=catalogue)


@EVERY_GUARD
def test_a_file_moves_to_the_parents_table_where_another_takes_its_place(catalogue: bool) -> None:
    contract(None, b"first")
    row = Contract.objects.get()
    row.data, row.signed = row.signed, upload(b"second")
    row.save()
    assert (read(Contract.objects.get().data), read(Contract.objects.get().signed)) == (b"first", b"second")
    check(b"first", b"second", catalogue=catalogue)


@EVERY_GUARD
def test_a_file_moves_and_leaves_nothing(catalogue: bool) -> None:
    contract()
    row = Contract.objects.get()
    row.signed, row.data = row.data, None
    row.save()
    assert read(Contract.objects.get().signed) == b"first"
    assert not Contract.objects.get().data
    check(b"first", catalogue=catalogue)


@pytest.mark.once
@EVERY_GUARD
def test_a_file_moves_though_other_fields_are_not_saved(catalogue: bool) -> None:
    contract()
    row = Contract.objects.get()
    row.signed, row.data = row.data, None
    row.save(update_fields=["data", "signed"])
    assert read(Contract.objects.get().signed) == b"first"
    check(b"first", catalogue=catalogue)


@pytest.mark.once
@EVERY_GUARD
def test_a_file_goes_where_the_field_that_it_moved_to_is_not_saved(catalogue: bool) -> None:
    contract()
    row = Contract.objects.get()
    row.signed, row.data = row.data, None
    row.save(update_fields=["data"])
    check(catalogue=catalogue)


@pytest.mark.once
@EVERY_GUARD
def test_an_upload_by_the_name_of_a_file_is_not_that_file(catalogue: bool) -> None:
    row = contract(b"first", b"signed")
    row.data, row.signed = upload(b"second", row.signed.name or ""), None
    row.save()
    check(b"second", catalogue=catalogue)


@pytest.mark.once
@EVERY_GUARD
def test_a_row_goes_where_its_files_name_is_another_file(catalogue: bool) -> None:
    row = contract()
    there = Contract.objects.using("other").create(pk=row.pk)
    with transaction.atomic(using="other"), DbFileIO(row.data.loid or 0, "xb", "a.pdf", alias="other") as file:
        file.write(b"there")
    Contract.objects.using("other").update(data=row.data.name)
    assert read(Contract.objects.using("other").get(pk=there.pk).data) == b"there"
    row.save(using="other")
    check(b"first", catalogue=catalogue, using="other")


@EVERY_GUARD
def test_a_receiver_moves_a_file_between_the_tables(catalogue: bool) -> None:
    contract()
    row = Contract.objects.get()

    def move(instance: Contract, **_signal: object) -> None:
        instance.signed, instance.data = instance.data, None

    pre_save.connect(move, sender=Contract)
    try:
        row.save()
    finally:
        pre_save.disconnect(move, sender=Contract)
    assert read(Contract.objects.get().signed) == b"first"
    check(b"first", catalogue=catalogue)


@EVERY_GUARD
def test_what_a_receiver_refuses_to_move_goes_with_its_row(catalogue: bool) -> None:
    contract()
    row = Contract.objects.get()
    row.signed, row.data = row.data, None

    def refuse(**_signal: object) -> None:
        raise Stop

    pre_save.connect(refuse, sender=Contract)
    try:
        with transaction.atomic():
            with pytest.raises(Stop):
                row.save()
            Contract.objects.get().delete()
    finally:
        pre_save.disconnect(refuse, sender=Contract)
    check(catalogue=catalogue)


@EVERY_GUARD
def test_two_files_change_places(catalogue: bool) -> None:
    contract(b"first", b"second")
    row = Contract.objects.get()
    row.signed, row.data = row.data, row.signed
    row.save()
    assert (read(Contract.objects.get().signed), read(Contract.objects.get().data)) == (b"first", b"second")
    check(b"first", b"second", catalogue=catalogue)


# A file that was stored by FieldFile.save(save=False), and is gone when its row is saved.


def save(row: Paper) -> None:
    row.save()


def save_the_file(row: Paper) -> None:
    row.save(update_fields=["data"])


def save_in_bulk(row: Paper) -> None:
    Paper.objects.bulk_update([row], ["data"])


def save_by_an_update(row: Paper) -> None:
    Paper.objects.filter(pk=row.pk).update(data=row.data)


def save_a_copy(row: Paper) -> None:
    row.pk = None
    row._state.adding = True
    row.save()


def save_a_copy_in_bulk(row: Paper) -> None:
    row.pk = None
    row._state.adding = True
    Paper.objects.bulk_create([row])


SAVES = [save, save_the_file, save_in_bulk, save_by_an_update, save_a_copy, save_a_copy_in_bulk]


@pytest.mark.parametrize("how", SAVES)
def test_a_file_that_was_stored_and_rolled_back_is_refused(how: Callable[[Paper], None], catalogue: bool) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    with rolled_back():
        row.data.save("b.pdf", upload(b"second"), save=False)
    with pytest.raises(LargeObjectNotFound):
        how(row)
    check(b"first", catalogue=catalogue)
    assert Paper.objects.count() == 1


@pytest.mark.parametrize("how", SAVES)
def test_a_file_that_was_stored_and_deleted_is_refused(how: Callable[[Paper], None], catalogue: bool) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    row.data.save("b.pdf", upload(b"second"), save=False)
    row.data.storage.delete(str(row.data.name))
    with pytest.raises(LargeObjectNotFound):
        how(row)
    check(b"first", catalogue=catalogue)
    assert Paper.objects.count() == 1


def test_a_deleted_row_does_not_come_back_with_a_file_that_was_rolled_back(catalogue: bool) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    with rolled_back():
        row.data.save("b.pdf", upload(b"second"), save=False)
    row.delete()
    with pytest.raises(LargeObjectNotFound):
        row.save()
    check(catalogue=catalogue)
    assert not Paper.objects.exists()


def test_a_file_that_was_stored_is_named_by_the_row_that_is_saved(catalogue: bool) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    row.data.save("b.pdf", upload(b"second"), save=False)
    row.save()
    check(b"second", catalogue=catalogue)


# A file object that is assigned to another instance.


def given_to_a_version(row: Paper) -> models.Model:
    return Version(data=row.data)


def assigned_to_a_version(row: Paper) -> models.Model:
    version = Version()
    version.data = row.data
    return version


def given_to_another_field(row: Paper) -> models.Model:
    return Contract(signed=row.data)


def given_to_the_same_field(row: Paper) -> models.Model:
    return Paper(data=row.data)


@pytest.mark.parametrize(
    "give", [given_to_a_version, assigned_to_a_version, given_to_another_field, given_to_the_same_field]
)
def test_what_is_assigned_is_the_file_that_it_was_then(give: Callable[[Paper], models.Model], catalogue: bool) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    archived = give(row)
    row.data.save("b.pdf", upload(b"second"), save=False)
    archived.save()
    row.save()
    check(b"first", b"second", catalogue=catalogue)


# What a statement for other rows writes says nothing of the instance that the file came from.


@pytest.mark.parametrize("in_a_block", [False, True])
def test_giving_a_file_to_another_row_says_nothing_of_the_field_of_that_name(in_a_block: bool, catalogue: bool) -> None:
    contract(b"first", b"second")
    row, another = Contract.objects.get(), Contract.objects.create()
    with transaction.atomic() if in_a_block else nullcontext():
        Contract.objects.filter(pk=another.pk).update(signed=row.data)
    theirs = Contract.objects.get(pk=row.pk)
    theirs.signed = upload(b"theirs")
    theirs.save()
    row.title = "done"
    row.save()
    assert read(Contract.objects.get(pk=row.pk).signed) == b"theirs"
    check(b"first", b"theirs", catalogue=catalogue)


# An older file, from another instance of the same row.


def test_an_older_file_from_another_instance_is_written(catalogue: bool) -> None:
    stale = again(Paper.objects.create(data=upload(b"first")))
    Version.objects.create(data=stale.data)
    replace(stale)
    fresh = again(stale)
    fresh.data = stale.data
    fresh.save()
    assert read(again(fresh).data) == b"first"
    check(b"first", catalogue=catalogue)


def test_an_older_file_from_another_instance_that_is_gone_is_refused(catalogue: bool) -> None:
    stale = again(Paper.objects.create(data=upload(b"first")))
    replace(stale)
    fresh = again(stale)
    fresh.data = stale.data
    with pytest.raises(LargeObjectNotFound):
        fresh.save()
    check(b"theirs", catalogue=catalogue)


# Moved on an instance whose file was replaced meanwhile.


def move(row: Contract) -> None:
    row.signed, row.data = row.data, None


def swap(row: Contract) -> None:
    row.signed, row.data = row.data, row.signed


def move_the_name(row: Contract) -> None:
    row.signed, row.data = row.data.name, None


@EVERY_GUARD
@pytest.mark.parametrize("change", [move, swap, move_the_name])
@pytest.mark.parametrize("signed", [None, b"second"])
def test_a_file_that_is_gone_does_not_move(
    change: Callable[[Contract], None], signed: bytes | None, catalogue: bool
) -> None:
    contract(b"first", signed)
    stale = Contract.objects.get()
    replace(stale)
    change(stale)
    with pytest.raises(LargeObjectNotFound):
        stale.save()
    check(b"theirs", *([signed] if signed else []), catalogue=catalogue)
    assert read(Contract.objects.get().data) == b"theirs"


# A statement that names a file waits for the session that is about to unlink it.


def update_with_the_file(row: Paper, version: Version) -> None:
    Version.objects.filter(pk=version.pk).update(data=row.data)


def update_with_the_name(row: Paper, version: Version) -> None:
    Version.objects.filter(pk=version.pk).update(data=row.data.name)


def update_in_bulk_with_the_file(row: Paper, version: Version) -> None:
    version.data = row.data
    Version.objects.bulk_update([version], ["data"])


def update_in_bulk_with_the_name(row: Paper, version: Version) -> None:
    version.data = row.data.name
    Version.objects.bulk_update([version], ["data"])


def create_in_bulk_with_the_name(row: Paper, version: Version) -> None:
    version.pk = None
    version.data = row.data.name
    Version.objects.bulk_create([version])


def save_with_the_name(row: Paper, version: Version) -> None:
    version.data = row.data.name
    version.save()


NAMING = [
    update_with_the_file,
    update_with_the_name,
    update_in_bulk_with_the_file,
    update_in_bulk_with_the_name,
    create_in_bulk_with_the_name,
    save_with_the_name,
]


@pytest.mark.parametrize("name_it", NAMING)
def test_who_names_a_file_waits_for_who_replaces_it(
    name_it: Callable[[Paper, Version], None], other: Session, catalogue: bool
) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    version = Version.objects.create()
    with transaction.atomic():
        replace(row)
        started = other.start(partial(name_it, row, version))
        assert other.waits(started)
    with pytest.raises(LargeObjectNotFound):
        started.result(timeout=30)
    check(b"theirs", catalogue=catalogue)


@pytest.mark.parametrize("name_it", NAMING)
def test_a_file_that_is_gone_is_not_named(name_it: Callable[[Paper, Version], None], catalogue: bool) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    version = Version.objects.create()
    replace(row)
    with pytest.raises(LargeObjectNotFound):
        name_it(row, version)
    check(b"theirs", catalogue=catalogue)


# A save that failed.


@contextmanager
def failing() -> Generator[None]:
    def fail(**_signal: object) -> None:
        raise Stop

    post_save.connect(fail)
    try:
        with pytest.raises(Stop):
            yield
    finally:
        post_save.disconnect(fail)


def test_a_deferred_field_of_a_failed_save_is_not_written_by_the_next(catalogue: bool) -> None:
    contract(b"first", b"second")
    row = Contract.objects.only("data").get()
    with failing():
        row.save(update_fields=["data", "signed"])
    theirs = Contract.objects.get()
    theirs.signed = upload(b"theirs")
    theirs.save()
    row.save()
    check(b"first", b"theirs", catalogue=catalogue)


@pytest.mark.parametrize("order", [1, -1])
def test_rows_of_one_statement_name_a_gone_file_in_two_ways(order: int, catalogue: bool) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    replace(row)
    with pytest.raises(LargeObjectNotFound):
        Version.objects.bulk_create([Version(data=row.data), Version(data=row.data.name)][::order])
    check(b"theirs", catalogue=catalogue)


@EVERY_GUARD
def test_what_a_rolled_back_save_left_goes_with_the_next(catalogue: bool, guard: str) -> None:
    row = again(Paper.objects.create(data=upload(b"first")))
    row.data.save("b.pdf", upload(b"second"), save=False)
    with rolled_back():
        row.save()
    row.data.save("c.pdf", upload(b"third"))
    # Without cleanup nobody knows of a file that no row has named.
    check(b"third", unnamed=[b"second"] if guard == TRIGGERS else [], catalogue=catalogue)


# An older name in the place of a live file.


def assigned_again(row: Paper, name: str) -> None:
    row.data = name
    row.save()


def saved_as_a_new_instance(row: Paper, name: str) -> None:
    Paper(pk=row.pk, data=name).save()


def saved_as_a_proxy(row: Paper, name: str) -> None:
    stale = Draft.objects.get(pk=row.pk)
    stale.data = name
    stale.save(update_fields=["data"])


def updated(row: Paper, name: str) -> None:
    Paper.objects.filter(pk=row.pk).update(data=name)


def updated_by_bulk_update(row: Paper, name: str) -> None:
    row.data = name
    Paper.objects.bulk_update([row], ["data"])


def updated_or_created_with_it(row: Paper, name: str) -> None:
    Paper.objects.update_or_create(pk=row.pk, defaults={"data": name})


@pytest.mark.parametrize(
    "revert",
    [
        assigned_again,
        saved_as_a_new_instance,
        saved_as_a_proxy,
        updated,
        updated_by_bulk_update,
        updated_or_created_with_it,
    ],
)
def test_the_name_of_an_older_file_does_not_take_a_live_ones_place(
    revert: Callable[[Paper, str], None], catalogue: bool
) -> None:
    row = again(Paper.objects.create(data=upload(b"one")))
    old = str(row.data.name)
    row.data = upload(b"two")
    row.save()
    now = str(row.data.name)
    with pytest.raises(LargeObjectNotFound) as refusal:
        revert(row, old)
    assert old in str(refusal.value)
    assert again(row).data.name == now
    check(b"two", catalogue=catalogue)


def test_a_form_says_that_the_older_file_is_gone(catalogue: bool) -> None:
    row = Paper.objects.create(data=upload(b"one"))
    old = row.data.name
    row.data = upload(b"two")
    row.save()
    form = modelform_factory(Paper, fields=["title", "data"])({"title": "x"}, instance=Paper(pk=row.pk, data=old))
    assert not form.is_valid()
    assert list(form.errors) == ["data"]
    check(b"two", catalogue=catalogue)


@EVERY_GUARD
def test_triggers_refuse_the_name_of_an_older_file(catalogue: bool, guard: str) -> None:
    row = Paper.objects.create(data=upload(b"one"))
    old = row.data.name
    row.data = upload(b"two")
    row.save()
    if guard != FIELD:
        with pytest.raises(IntegrityError):
            sql("update papers_paper set data = %s", old)
    check(b"two", catalogue=catalogue)


# What a field's default names.


@pytest.fixture
def defaults(catalogue: bool) -> None:
    for name in DEFAULTS:
        loid = int(name.partition(".")[0])
        sql("select lo_from_bytea(%s, %s)", loid, b"default")
        if catalogue:
            sql(
                "insert into pg_lo_storage_file (loid, extension, original_name, content_type, size, created_at,"
                " modified_at) values (%s, '.png', %s, 'image/png', 7, now(), now())",
                loid,
                name,
            )


def replaced(row: Profile) -> None:
    row.literal, row.called = upload(b"mine"), upload(b"mine")
    row.save()


def cleared(row: Profile) -> None:
    row.literal, row.called = upload(b"mine"), None
    row.save()


def replaced_through_the_field(row: Profile) -> None:
    row.literal.save("a.pdf", upload(b"mine"))
    row.called.save("a.pdf", upload(b"mine"))


def deleted(row: Profile) -> None:
    row.delete()


def deleted_by_a_query(_row: Profile) -> None:
    Profile.objects.all().delete()


def cleared_through_the_field(row: Profile) -> None:
    row.called.delete()


def cleared_through_the_field_at_once(row: Profile) -> None:
    row.called.delete(save=False)


def updated_by_a_query(_row: Profile) -> None:
    Profile.objects.update(called=None)


@EVERY_GUARD
@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize(
    "change",
    [
        cleared,
        cleared_through_the_field,
        cleared_through_the_field_at_once,
        deleted,
        deleted_by_a_query,
        replaced,
        replaced_through_the_field,
        updated_by_a_query,
    ],
)
def test_the_file_of_a_default_stays(change: Callable[[Profile], None], guard: str) -> None:
    if guard == TRIGGERS and "through_the_field" in change.__name__ and "replaced" not in change.__name__:
        return  # without cleanup delete() deletes, as with every other FileField
    row = Profile.objects.create()
    assert (row.literal.name, row.called.name) == (LITERAL, CALLED)
    change(Profile.objects.get())
    there = column(FILES)
    assert {int(name.partition(".")[0]) for name in DEFAULTS} <= there
    fresh = Profile.objects.create()
    assert (read(fresh.literal), read(fresh.called)) == (b"default", b"default")


def badge_replaced(row: Badge) -> None:
    row.data = upload(b"mine")
    row.save()


def badge_deleted(row: Badge) -> None:
    row.delete()


def badge_deleted_by_sql(_row: Badge) -> None:
    sql("delete from papers_badge")


@EVERY_GUARD
@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("change", [badge_replaced, badge_deleted, badge_deleted_by_sql])
def test_the_file_of_a_default_of_the_database_stays(change: Callable[[Badge], None]) -> None:
    sql("insert into papers_badge (title) values ('by SQL')")
    row = Badge.objects.get()
    assert row.data.name == BY_DATABASE
    change(row)
    sql("insert into papers_badge (title) values ('by SQL again')")
    assert read(Badge.objects.get(title="by SQL again").data) == b"default"


# A row that was deleted, and inserted again while it is saved.


@EVERY_GUARD
@pytest.mark.parametrize("through_the_field", [True, False])
def test_a_row_that_comes_back_while_it_is_saved_has_one_sessions_file_and_columns(
    through_the_field: bool, other: Session, catalogue: bool
) -> None:
    mine, theirs = (again(Paper.objects.create(data=upload(b"first"))) for _ in range(2))
    theirs = again(mine)
    Paper.objects.all().delete()
    mine.title, theirs.title = "mine", "theirs"
    theirs.data = upload(b"theirs")
    waiting = [theirs.save]

    def come_back(execute: Callable[..., Any], query: str, *rest: Any) -> Any:
        if waiting and query.startswith('UPDATE "papers_paper"'):
            other.do(waiting.pop())
        return execute(query, *rest)

    with connection.execute_wrapper(come_back), suppress(DatabaseError, LargeObjectNotFound):
        if through_the_field:
            mine.data.save("mine.txt", upload(b"mine"))
        else:
            mine.data = upload(b"mine")
            mine.save()
    assert not waiting
    row = Paper.objects.get()
    assert read(row.data) == row.title.encode()
    check(row.title.encode(), catalogue=catalogue)


# A new row that is given the name of a file that is gone.


def created(name: str) -> None:
    Version.objects.create(data=name)


def created_with_a_key(name: str) -> None:
    Receipt.objects.create(data=name)


def created_or_found(name: str) -> None:
    Version.objects.get_or_create(data=name)


def created_or_updated(name: str) -> None:
    Version.objects.update_or_create(pk=-1, defaults={"data": name})


def created_by_bulk_create(name: str) -> None:
    Version.objects.bulk_create([Version(data=name)])


def created_as_a_child(name: str) -> None:
    Contract.objects.create(signed=name)


@pytest.mark.parametrize(
    "create",
    [created, created_with_a_key, created_or_found, created_or_updated, created_by_bulk_create, created_as_a_child],
)
def test_a_new_row_does_not_name_a_file_that_is_gone(create: Callable[[str], None], catalogue: bool) -> None:
    row = Paper.objects.create(data=upload(b"first"))
    name = str(row.data.name)
    replace(row)
    with pytest.raises(LargeObjectNotFound):
        create(name)
    check(b"theirs", catalogue=catalogue)
    assert not Version.objects.exists()
    assert not Receipt.objects.exists()
    assert not Contract.objects.exists()
