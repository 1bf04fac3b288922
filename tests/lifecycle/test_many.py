"""More files than the server's lock table holds in one transaction."""

import pytest
from django.db import DatabaseError, transaction

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.lifecycle import delete_in_batches
from tests.lifecycle.guards import FIELD, TRIGGERS
from tests.lifecycle.papers.models import Paper, Version
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
@pytest.mark.parametrize("guard", [FIELD, TRIGGERS], indirect=True)
def test_more_files_than_the_lock_table_holds_are_refused_before_the_first_is_unlinked(
    guard: str, catalogue: bool
) -> None:
    make(10_000, catalogue=catalogue)

    def delete() -> None:
        if guard == FIELD:
            Version.objects.all().delete()
        else:
            sql("delete from papers_version")

    unlinked = "select sum(n_tup_del) from pg_stat_xact_sys_tables where relname = 'pg_largeobject_metadata'"
    with transaction.atomic():
        before = column(unlinked)
        with pytest.raises((LargeObjectError, DatabaseError)) as caught, transaction.atomic():
            delete()
        assert column(unlinked) == before
    assert isinstance(caught.value, LargeObjectError) == (guard == FIELD)
    assert "in batches of 1,000" in str(caught.value)
    assert "pg_lo_storage.lifecycle.delete_in_batches" in str(caught.value)
    assert Version.objects.count() == 10_000
    assert named() == column(FILES)
    delete_in_batches(Version.objects.all())
    assert not column(FILES)


@pytest.mark.once
@pytest.mark.timeout(300)
@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
@pytest.mark.parametrize("guard", [TRIGGERS], indirect=True)
@pytest.mark.usefixtures("guard")
def test_statements_that_fill_the_lock_table_together_are_told_what_to_do(catalogue: bool) -> None:
    make(20_000, catalogue=catalogue)
    with pytest.raises(DatabaseError, match=r"HINT:.*pg_lo_storage\.lifecycle\.delete_in_batches"):
        Version.objects.all().delete()  # a hundred rows a statement
    delete_in_batches(Version.objects.all())
    assert not column(FILES)


@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
def test_files_that_others_name_take_no_room(catalogue: bool) -> None:
    make(8_000, catalogue=catalogue)
    sql("insert into papers_paper (data, title, count) select data, '', 0 from papers_version where id % 8 <> 0")
    Version.objects.all().delete()
    assert len(column(FILES)) == 7_000
    delete_in_batches(Paper.objects.all())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
def test_thirty_thousand_files_are_deleted_in_batches(catalogue: bool) -> None:
    make(30_000, catalogue=catalogue)
    assert delete_in_batches(Version.objects.all()) == (30_000, {"papers.Version": 30_000})
    assert not column(FILES)
    assert not entries()
