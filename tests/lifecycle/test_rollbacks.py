"""What an instance knows of its row is of no use once that was rolled back."""

import copy
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.signals import post_save

from pg_lo_storage.exceptions import LargeObjectNotFound
from tests.lifecycle.papers.models import Letter, Paper, Version
from tests.lifecycle.support import FILES, check, column, contents, named, read, upload
from tests.storage.support import Stop, rolled_back


@pytest.fixture
def paper() -> Paper:
    return Paper.objects.create(data=upload(b"first"))


def clear(paper: Paper) -> None:
    paper.data = None
    paper.save()


def test_what_was_rolled_back_is_done_again(paper: Paper, catalogue: bool) -> None:
    with rolled_back():
        clear(paper)
    clear(paper)
    check(catalogue=catalogue)


def test_what_was_rolled_back_to_a_savepoint_is_done_again(paper: Paper, catalogue: bool) -> None:
    with transaction.atomic():
        with rolled_back():
            clear(paper)
        clear(paper)
    check(catalogue=catalogue)


def test_a_row_is_deleted_with_the_file_that_came_back(paper: Paper, catalogue: bool) -> None:
    with rolled_back():
        clear(paper)
    Paper.objects.filter(pk=paper.pk).delete()
    check(catalogue=catalogue)


def test_a_file_that_was_rolled_back_is_not_written(paper: Paper, catalogue: bool) -> None:
    with rolled_back():
        paper.data = upload(b"second")
        paper.save()
    with suppress(LargeObjectNotFound):
        paper.save()
    check(b"first", catalogue=catalogue)
    paper.data = upload(b"third")
    paper.save()
    check(b"third", catalogue=catalogue)


def test_a_row_that_was_rolled_back_is_refused_without_its_file(catalogue: bool) -> None:
    with rolled_back():
        paper = Paper.objects.create(data=upload(b"first"))
    with pytest.raises(LargeObjectNotFound, match="save the file again"):
        paper.save()
    check(catalogue=catalogue)
    paper.data = upload(b"second")
    paper.save()
    check(b"second", catalogue=catalogue)


def test_an_upload_whose_save_failed_is_saved_again(paper: Paper, catalogue: bool) -> None:
    paper.data = upload(b"second", name="b.txt")
    paper.pk, pk = -1, paper.pk
    with pytest.raises(DatabaseError):
        paper.save(force_update=True)
    assert paper.data.name == "b.txt"
    assert paper.data.loid is None
    check(b"first", catalogue=catalogue)
    paper.pk = pk
    paper.save()
    check(b"second", catalogue=catalogue)
    assert read(paper.data) == b"second"


def test_a_savepoint_of_the_users_own_is_a_rollback_too(paper: Paper, catalogue: bool) -> None:
    with transaction.atomic():
        savepoint = str(connection.savepoint())
        clear(paper)
        connection.savepoint_rollback(savepoint)
    clear(paper)
    check(catalogue=catalogue)


def pickled(paper: Paper) -> Paper:
    return cast("Paper", pickle.loads(pickle.dumps(paper)))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_of_an_instance_knows_what_the_instance_knew(
    duplicate: Callable[[Paper], Paper], paper: Paper, catalogue: bool
) -> None:
    with transaction.atomic():
        paper.data = upload(b"second")
        paper.save()
        again = duplicate(paper)
    Version.objects.create(data=paper.data)
    clear(again)
    check(b"second", catalogue=catalogue)
    assert len(named()) == 1


# What a row comes to name is the file of another row here, which is still there after a rollback.


def stored(data: bytes) -> str:
    return Version.objects.create(data=upload(data)).data.name or ""


def save(row: Paper, name: str) -> None:
    row.data = name
    row.save()


def replace(row: Paper, name: str) -> None:
    save(Paper.objects.get(pk=row.pk), name)


def kept(row: Paper) -> bytes:
    return read(Paper.objects.get(pk=row.pk).data)


@pytest.mark.once
def test_what_replaced_anothers_change_and_was_rolled_back_is_done_again(paper: Paper, catalogue: bool) -> None:
    ours, theirs = stored(b"ours"), stored(b"theirs")
    replace(paper, theirs)
    with rolled_back():
        save(paper, ours)
    paper.save()
    assert kept(paper) == b"ours"
    check(b"ours", b"theirs", catalogue=catalogue)


@pytest.mark.once
def test_what_replaced_anothers_change_within_the_transaction_is_done_again(paper: Paper, catalogue: bool) -> None:
    first, ours, theirs = stored(b"again"), stored(b"ours"), stored(b"theirs")
    with transaction.atomic():
        save(paper, first)
        replace(paper, theirs)
        with rolled_back():
            save(paper, ours)
        paper.save()
    assert kept(paper) == b"ours"
    check(b"again", b"ours", b"theirs", catalogue=catalogue)


@pytest.mark.once
def test_the_last_of_two_saves_that_were_rolled_back_is_done_again(paper: Paper, catalogue: bool) -> None:
    one, two = stored(b"one"), stored(b"two")
    with rolled_back():
        save(paper, one)
        save(paper, two)
    paper.save()
    assert kept(paper) == b"two"
    check(b"one", b"two", catalogue=catalogue)


@pytest.mark.once
@pytest.mark.parametrize("is_cleared", [False, True])
def test_a_save_of_other_columns_that_was_rolled_back_takes_no_side(
    is_cleared: bool, paper: Paper, catalogue: bool
) -> None:
    ours, theirs = stored(b"ours"), "" if is_cleared else stored(b"theirs")
    with rolled_back():
        save(paper, ours)
    replace(paper, theirs)
    for _ in range(2):
        with rolled_back():
            paper.title = "saved"
            paper.save()
    paper.save()
    assert Paper.objects.get().data.name == theirs
    check(b"ours", *([] if is_cleared else [b"theirs"]), catalogue=catalogue)


@pytest.mark.once
def test_what_an_earlier_transaction_did_in_vain_somebody_else_may_do(paper: Paper, catalogue: bool) -> None:
    one, two = stored(b"one"), stored(b"two")
    with rolled_back():
        save(paper, one)
    with rolled_back():
        save(paper, two)
    replace(paper, one)
    paper.title = "saved"
    paper.save()
    assert kept(paper) == b"one"
    check(b"one", b"two", catalogue=catalogue)


@pytest.mark.once
def test_what_a_receiver_that_failed_undid_is_done_again(paper: Paper, catalogue: bool) -> None:
    ours = stored(b"ours")

    def fail(**_signal: object) -> None:
        raise Stop

    post_save.connect(fail, sender=Paper)
    try:
        with pytest.raises(Stop):
            save(paper, ours)
    finally:
        post_save.disconnect(fail, sender=Paper)
    assert kept(paper) == b"first"
    paper.save()
    assert kept(paper) == b"ours"
    check(b"ours", catalogue=catalogue)


@pytest.mark.once
def test_what_a_pickled_instance_had_committed_somebody_else_may_undo(paper: Paper, catalogue: bool) -> None:
    one, two = stored(b"one"), stored(b"two")
    save(paper, one)
    with transaction.atomic():
        save(paper, two)
    again = pickled(paper)
    replace(paper, one)
    again.title = "saved"
    again.save()
    assert kept(paper) == b"one"
    check(b"one", b"two", catalogue=catalogue)


@pytest.mark.once
def test_receivers_see_that_the_earlier_file_is_gone(paper: Paper, catalogue: bool) -> None:
    seen: list[bytes] = []

    def look(**_signal: object) -> None:
        seen.extend(contents(column(FILES)))

    post_save.connect(look, sender=Paper)
    try:
        paper.data = upload(b"second")
        paper.save()
    finally:
        post_save.disconnect(look, sender=Paper)
    assert seen == [b"second"]
    check(b"second", catalogue=catalogue)


@pytest.mark.once
def test_what_fails_as_it_is_committed_is_done_again(catalogue: bool) -> None:
    row, ours = Version.objects.create(data=upload(b"first")), stored(b"ours")
    row.data, row.previous = ours, Version(pk=-1)  # the reference is checked at the end of the transaction
    with pytest.raises(IntegrityError):
        row.save()
    check(b"first", b"ours", catalogue=catalogue)
    row.previous = None
    row.save()
    check(b"ours", catalogue=catalogue)


@pytest.mark.once
@pytest.mark.parametrize("is_loaded", [False, True])
def test_an_instance_that_comes_to_be_another_row_takes_its_file_there(is_loaded: bool, catalogue: bool) -> None:
    """The key of its model is declared after the file."""
    one = Letter.objects.create(code="one", data=upload(b"one"))
    two = Letter.objects.create(code="two", data=upload(b"two"))
    if is_loaded:
        one = Letter.objects.get(code="one")
    one.code = two.code
    one.save()
    assert read(Letter.objects.get(code="two").data) == b"one"
    check(b"one", catalogue=catalogue)
