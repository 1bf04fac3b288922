"""What an instance knows of its row is of no use once that was rolled back."""

import copy
import pickle
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import cast

import pytest
from django.db import DatabaseError, connection, transaction

from pg_lo_storage.exceptions import LargeObjectNotFound
from tests.lifecycle.papers.models import Paper, Version
from tests.lifecycle.support import check, named, read, upload


class Stop(Exception):
    """What a block is left with, to roll it back."""


@contextmanager
def rolled_back() -> Generator[None]:
    with suppress(Stop), transaction.atomic():
        yield
        raise Stop


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
