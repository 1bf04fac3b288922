"""Saves of rows as they are, as fixtures are loaded and older versions restored, and what an instance knows by them."""

import pytest

from pg_lo_storage.exceptions import LargeObjectNotFound
from tests.lifecycle.papers.models import Paper
from tests.lifecycle.support import check, upload
from tests.lifecycle.test_rollbacks import kept, stored
from tests.storage.support import rolled_back

pytestmark = pytest.mark.once

MISSING = "12.pdf"


@pytest.fixture
def paper() -> Paper:
    return Paper.objects.create(data=upload(b"first"))


@pytest.mark.usefixtures("catalogue")
def test_a_row_that_names_a_missing_file_is_saved_again_without_it() -> None:
    row = Paper(data=MISSING)
    row.save_base(raw=True)
    row.title = "saved"
    row.save()
    assert Paper.objects.get().title == "saved"
    assert Paper.objects.get().data.name == MISSING


def test_what_somebody_else_uploaded_since_stays(paper: Paper, catalogue: bool) -> None:
    row = Paper(pk=paper.pk, data=paper.data.name)
    row.save_base(raw=True)
    paper.data = upload(b"theirs")
    paper.save()
    row.title = "saved"
    row.save()
    check(b"theirs", catalogue=catalogue)


def test_an_instance_that_comes_to_be_another_row_takes_its_file_there(paper: Paper, catalogue: bool) -> None:
    other = Paper.objects.create(data=upload(b"other"))
    row = Paper(pk=paper.pk, data=paper.data.name)
    row.save_base(raw=True)
    row.pk = other.pk
    row.save()
    assert kept(other) == b"first"
    check(b"first", catalogue=catalogue)


def test_what_was_uploaded_in_between_goes_with_the_next_save(paper: Paper, catalogue: bool) -> None:
    for data in (b"second", b"third"):
        paper.data.save("b.pdf", upload(data), save=False)
    paper.save_base(raw=True)
    paper.save()
    check(b"third", unnamed=[b"first"], catalogue=catalogue)  # a raw save itself unlinks nothing


def test_what_was_saved_before_it_in_a_transaction_that_is_rolled_back_is_done_again(
    paper: Paper, catalogue: bool
) -> None:
    ours = stored(b"ours")
    with rolled_back():
        paper.data = ours
        paper.save()
        paper.save_base(raw=True)
    paper.save()
    assert kept(paper) == b"ours"
    check(b"ours", catalogue=catalogue)


def test_a_missing_file_does_not_replace_one_that_is_there(paper: Paper, catalogue: bool) -> None:
    paper.data = MISSING
    with pytest.raises(LargeObjectNotFound, match=rf"cannot name '{MISSING}'.*keeps '[0-9]+\.pdf'"):
        paper.save_base(raw=True)
    check(b"first", catalogue=catalogue)


@pytest.mark.parametrize("name", ["", None])
def test_a_file_may_be_cleared(name: str | None, paper: Paper, catalogue: bool) -> None:
    paper.data = name
    paper.save_base(raw=True)
    assert not Paper.objects.get().data
    check(unnamed=[b"first"], catalogue=catalogue)


@pytest.mark.usefixtures("catalogue")
def test_a_missing_file_may_replace_another_that_is_missing() -> None:
    row = Paper(data=MISSING)
    row.save_base(raw=True)
    row.data = f"1{MISSING}"
    row.save_base(raw=True)
    assert Paper.objects.get().data.name == f"1{MISSING}"


def test_afterwards_statements_for_many_rows_name_no_missing_file(paper: Paper, catalogue: bool) -> None:
    paper.save_base(raw=True)
    paper.data = MISSING
    with pytest.raises(LargeObjectNotFound):
        Paper.objects.bulk_update([paper], ["data"])
    check(b"first", catalogue=catalogue)
