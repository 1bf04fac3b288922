"""More files than the server's lock table holds in one transaction."""

import pytest

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.lifecycle import delete_in_batches
from tests.lifecycle.papers.models import Version
from tests.lifecycle.support import FILES, column, entries, named, sql


def make(count: int, *, catalogue: bool) -> None:
    """Make rows with empty files, in transactions that the lock table holds."""
    made = "select lo_create(0) as loid from generate_series(1, 1000)"
    entered = (
        "insert into pg_lo_storage_file (loid, extension, original_name, content_type) select loid, '', '', ''"
        " from made"
    )
    for _ in range(count // 1000):
        sql(
            f"with made as materialized ({made})"
            + (f", entered as ({entered})" if catalogue else "")
            + " insert into papers_version (data) select loid::text from made"
        )


@pytest.mark.timeout(300)
def test_ten_thousand_files_are_deleted_at_once_or_not_at_all(catalogue: bool) -> None:
    make(10_000, catalogue=catalogue)
    refused = ""
    try:
        Version.objects.all().delete()
    except LargeObjectError as error:
        refused = str(error)
    if refused:
        assert "in batches of 1,000" in refused
        assert Version.objects.count() == 10_000
        assert named() == column(FILES)
    else:
        assert not column(FILES)
        assert not entries()
    delete_in_batches(Version.objects.all())
    assert not column(FILES)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
def test_thirty_thousand_files_are_deleted_in_batches(catalogue: bool) -> None:
    make(30_000, catalogue=catalogue)
    assert delete_in_batches(Version.objects.all()) == (30_000, {"papers.Version": 30_000})
    assert not column(FILES)
    assert not entries()
