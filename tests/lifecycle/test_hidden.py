"""What cannot be seen is not taken for unreferenced."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from django.db import ProgrammingError, transaction

from tests.lifecycle.papers.models import Archived, Hidden, Paper, Remote, Version
from tests.lifecycle.support import FILES, check, column, sql, upload


@contextmanager
def policy(table: str) -> Generator[None]:
    """Hide all rows of a table from its owner, too."""
    sql(f"alter table {table} enable row level security, force row level security")
    try:
        yield
    finally:
        sql(f"alter table {table} disable row level security, no force row level security")


@contextmanager
def isolation(level: str) -> Generator[None]:
    with transaction.atomic():
        sql(f"set transaction isolation level {level}")
        yield


def test_a_file_that_a_hidden_row_names_stays(catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    Version.objects.create(data=paper.data)
    with policy("papers_version"):
        assert not Version.objects.exists()
        paper.delete()
    check(b"first", catalogue=catalogue)


def test_a_file_that_no_manager_shows_stays(catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    Hidden.everything.create(data=paper.data)
    paper.delete()
    check(b"first", catalogue=catalogue)
    Hidden.everything.all().delete()
    check(catalogue=catalogue)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_file_that_another_may_have_come_to_name_since_stays(level: str, catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    with isolation(level):
        paper.delete()
    check(unnamed=[b"first"], catalogue=catalogue)


def test_read_uncommitted_is_read_committed_to_the_server(catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    with isolation("read uncommitted"):
        paper.delete()
    check(catalogue=catalogue)


def test_a_file_that_a_field_of_djangos_names_stays(catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    Archived.objects.create(plain=paper.data.name)
    paper.delete()
    check(b"first", catalogue=catalogue)


def test_a_field_without_cleanup_leaves_its_files(catalogue: bool) -> None:
    row = Archived.objects.create(data=upload())
    row.data = upload(b"second")
    row.save()
    row.delete()
    check(unnamed=[b"first", b"second"], catalogue=catalogue)


def test_a_table_that_is_not_migrated_yet_is_left_out() -> None:
    sql("alter table papers_hidden rename to papers_hidden_away")
    try:
        Paper.objects.create(data=upload()).delete()
        assert not column(FILES)
    finally:
        sql("alter table papers_hidden_away rename to papers_hidden")


def test_a_table_that_may_not_be_read_is_an_error(catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    sql("revoke select on papers_hidden from current_user")
    try:
        with pytest.raises(ProgrammingError, match="papers_hidden") as caught:
            paper.delete()
        assert "permission denied" in str(caught.value)
    finally:
        sql("grant select on papers_hidden to current_user")
    check(b"first", catalogue=catalogue)


def test_a_file_on_another_database_stays_while_a_row_names_it() -> None:
    first = Remote.objects.create(data=upload())
    second = Remote.objects.get()
    second.pk = None
    second.save()
    first.delete()
    assert len(column(FILES, using="other")) == 1
    second.delete()
    assert not column(FILES, using="other")


def test_a_file_on_another_database_goes_after_the_commit() -> None:
    row = Remote.objects.create(data=upload())
    with transaction.atomic():
        row.delete()
        assert len(column(FILES, using="other")) == 1
    assert not column(FILES, using="other")
