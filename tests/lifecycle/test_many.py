"""More files than the server's lock table holds in one transaction."""

from typing import Any

import pytest
from django.db import DatabaseError, models, transaction
from django.db.migrations.state import ModelState, ProjectState

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.fields import DbFileField
from pg_lo_storage.lifecycle import delete_in_batches
from tests.lifecycle.guards import BOTH, FIELD, TRIGGERS
from tests.lifecycle.papers.models import Paper, Remote, Version
from tests.lifecycle.support import FILES, column, entries, named, sql


def make(count: int, *, catalogue: bool, table: str = "papers_version", using: str = "default") -> None:
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
            + f" insert into {table} (data) select loid::text from made",
            using=using,
        )


def delete_by_django() -> None:
    Version.objects.all().delete()  # a hundred rows a statement


def delete_by_sql() -> None:
    sql("delete from papers_version")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("guard", [FIELD, TRIGGERS, pytest.param(BOTH, marks=pytest.mark.once)], indirect=True)
def test_more_files_than_the_lock_table_holds_are_refused_before_the_first_is_unlinked(
    guard: str, catalogue: bool
) -> None:
    make(7_000, catalogue=catalogue)
    changed = "select sum(n_tup_del) from pg_stat_xact_all_tables where relname = any(%s)"
    unlinked = ["pg_largeobject_metadata", "pg_lo_storage_file"]
    for delete in (delete_by_django, *([] if guard == FIELD else [delete_by_sql])):
        with transaction.atomic():
            before, rows = column(changed, unlinked), column(changed, ["papers_version"])
            with pytest.raises((LargeObjectError, DatabaseError)) as caught, transaction.atomic():
                delete()
            assert column(changed, unlinked) == before
            assert (column(changed, ["papers_version"]) == rows) == (delete is delete_by_django)
            assert Version.objects.count() == 7_000
        assert isinstance(caught.value, LargeObjectError) == (delete is delete_by_django)
        assert "in batches of 1,000" in str(caught.value)
        assert "pg_lo_storage.lifecycle.delete_in_batches" in str(caught.value)
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

    @transaction.atomic
    def delete() -> None:
        for _ in range(10):
            sql("delete from papers_version where id in (select id from papers_version limit 2000)")

    with pytest.raises(DatabaseError, match=r"HINT:.*pg_lo_storage\.lifecycle\.delete_in_batches"):
        delete()
    delete_in_batches(Version.objects.all())
    assert not column(FILES)


@pytest.mark.once
@pytest.mark.parametrize("guard", [FIELD, TRIGGERS], indirect=True)
@pytest.mark.usefixtures("guard")
def test_files_that_others_name_take_no_room(catalogue: bool) -> None:
    count = 8 if catalogue else 5  # an advisory lock has room, too, where there is no catalogue
    make(count * 1000, catalogue=catalogue)
    sql("alter table papers_paper disable trigger user")
    sql(f"insert into papers_paper (data, title, count) select data, '', 0 from papers_version where id % {count} <> 0")
    sql("alter table papers_paper enable trigger user")
    Version.objects.all().delete()
    assert len(column(FILES)) == (count - 1) * 1000
    delete_in_batches(Paper.objects.all())


@pytest.mark.once
@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
@pytest.mark.parametrize("guard", [FIELD, TRIGGERS], indirect=True)
@pytest.mark.parametrize("count", [1_000, 4_000])
@pytest.mark.usefixtures("guard")
def test_a_file_that_two_of_the_rows_name_takes_room_once(count: int, catalogue: bool) -> None:
    make(count, catalogue=catalogue)
    sql("alter table papers_version disable trigger user")
    sql("insert into papers_version (data) select data from papers_version")
    sql("alter table papers_version enable trigger user")
    Version.objects.all().delete()
    assert not column(FILES)


@pytest.mark.once
@pytest.mark.parametrize("guard", [TRIGGERS], indirect=True)
@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
@pytest.mark.usefixtures("guard")
def test_rows_whose_files_nobody_unlinks_take_no_room(catalogue: bool) -> None:
    make(7_000, catalogue=catalogue)
    sql("alter table papers_version disable trigger user")
    assert Version.objects.all().delete()[0] == 7_000
    sql("alter table papers_version enable trigger user")
    assert len(column(FILES)) == 7_000


@pytest.mark.once
@pytest.mark.timeout(300)
def test_rows_on_another_database_than_their_files_are_refused_before_the_first_is_deleted(catalogue: bool) -> None:
    make(7_000, catalogue=catalogue, table="papers_remote", using="other")
    names = [(f"{loid}",) for loid in column(FILES, using="other")]
    Remote.objects.using("default").bulk_create(Remote(data=name) for (name,) in names)
    sql("delete from papers_remote", using="other")
    deleted = "select n_tup_del from pg_stat_xact_all_tables where relname = 'papers_remote'"
    with transaction.atomic():
        before = column(deleted)
        with pytest.raises(LargeObjectError, match=r"in batches of 1,000"), transaction.atomic():
            Remote.objects.all().delete()
        assert column(deleted) == before
    delete_in_batches(Remote.objects.all())
    assert not column(FILES, using="other")


@pytest.mark.once
@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
def test_files_that_other_rows_of_a_migrations_model_name_take_no_room(catalogue: bool) -> None:
    state = ProjectState()
    fields: dict[str, models.Field[Any, Any]] = {"data": DbFileField(), "kept": models.BooleanField()}
    fields["id"] = models.BigAutoField(primary_key=True)
    state.add_model(ModelState("papers", "Former", fields, options={"db_table": "papers_former"}))
    former = state.apps.get_model("papers", "Former")
    sql("create table papers_former (id bigserial, data text, kept bool default true)")
    try:
        make(7_000, catalogue=catalogue, table="papers_former")
        sql("insert into papers_former (data, kept) select data, false from papers_former")
        former._default_manager.filter(kept=False).delete()
        assert len(column(FILES)) == 7_000
        delete_in_batches(former._default_manager.all())
        assert not column(FILES)
    finally:
        sql("drop table papers_former")


@pytest.mark.once
@pytest.mark.timeout(300)
@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
def test_twenty_thousand_files_are_deleted_in_batches(catalogue: bool) -> None:
    make(20_000, catalogue=catalogue)
    assert delete_in_batches(Version.objects.all()) == (20_000, {"papers.Version": 20_000})
    assert not column(FILES)
    assert not entries()
