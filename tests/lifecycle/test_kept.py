"""Files that fields keep though no row of a file field names them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Value
from django.test import override_settings

from pg_lo_storage.databases.references import default_names, referenced
from pg_lo_storage.storage import db_file_storage
from tests.fixtures.losing import Lose
from tests.lifecycle.papers.models import BY_DATABASE, CALLED, LITERAL, Folder, Paper, Version
from tests.lifecycle.support import check, sql, upload


def replace(paper: Paper) -> None:
    paper.data = upload(b"second")
    paper.save()


def clear(paper: Paper) -> None:
    paper.data = ""
    paper.save()


def delete(paper: Paper) -> None:
    paper.delete()


def delete_by_query(paper: Paper) -> None:
    Paper.objects.filter(pk=paper.pk).delete()


LEAVING = [replace, clear, delete, delete_by_query]


def left_of(leave: Callable[[Paper], None]) -> list[bytes]:
    return [b"second"] if leave is replace else []


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], None]:
    """Give the field of another model than the paper's a default."""

    def give(option: str, value: object) -> None:
        monkeypatch.setattr(Version._meta.get_field("data"), option, value)

    return give


@pytest.mark.parametrize("leave", LEAVING)
@pytest.mark.parametrize("kind", ["literal", "callable", "db_default", "db_default of a value"])
def test_a_default_is_never_unlinked(
    leave: Callable[[Paper], None], kind: str, default: Callable[[str, object], None], catalogue: bool
) -> None:
    paper = Paper.objects.create(data=upload())
    name = str(paper.data.name)
    options: dict[str, tuple[str, Any]] = {
        "literal": ("default", name),
        "callable": ("default", lambda: name),
        "db_default": ("db_default", name),
        "db_default of a value": ("db_default", Value(name)),
    }
    default(*options[kind])
    assert name in default_names("default")
    leave(paper)
    check(*left_of(leave), unnamed=[b"first"], catalogue=catalogue)


def test_a_default_that_the_database_has_is_never_unlinked(catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    sql(f"alter table papers_version alter data set default '{paper.data.name}'")
    try:
        paper.delete()
    finally:
        sql("alter table papers_version alter data drop default")
    check(unnamed=[b"first"], catalogue=catalogue)


def test_a_default_that_makes_files_leaves_none(default: Callable[[str, object], None], catalogue: bool) -> None:
    default("default", lambda: db_file_storage.save("a.txt", upload(b"made")))
    paper = Paper.objects.create(data=upload())
    paper.delete()
    check(catalogue=catalogue)


def test_where_a_default_raises_files_are_kept(default: Callable[[str, object], None], catalogue: bool) -> None:
    default("default", lambda: sql("select 1 / 0"))
    paper = Paper.objects.create(data=upload())
    paper.delete()
    check(unnamed=[b"first"], catalogue=catalogue)
    assert default_names("default") == {BY_DATABASE, CALLED, LITERAL}  # those of other models


def test_a_connection_that_is_lost_is_the_transactions_error(lose: Lose) -> None:
    with pytest.raises((OperationalError, InterfaceError)), transaction.atomic():  # noqa: PT012 -- the end of it, too
        lose()
        default_names("default")


def test_what_raises_around_a_default_reaches_the_caller(
    default: Callable[[str, object], None], catalogue: bool
) -> None:
    def rings(execute: Callable[..., object], statement: str, *arguments: object) -> object:
        if statement.startswith("SAVEPOINT") and armed:
            armed.clear()
            raise TimeoutError  # as a signal's handler may, at any moment
        return execute(statement, *arguments)

    default("default", lambda: "")
    paper = Paper.objects.create(data=upload())
    armed = [True]
    with pytest.raises(TimeoutError), transaction.atomic(), connection.execute_wrapper(rings):
        referenced("default", [paper.data.loid or 0])
    paper.delete()
    check(catalogue=catalogue)


@pytest.mark.parametrize("leave", LEAVING)
def test_columns_that_the_project_lists_keep_files(leave: Callable[[Paper], None], catalogue: bool) -> None:
    kept, gone = (Paper.objects.create(data=upload(data)) for data in (b"kept", b"gone"))
    Folder.objects.create(name=kept.data.name)
    with override_settings(PG_LO_STORAGE_REFERENCES=["papers.Folder.name"]):
        leave(kept)
        leave(gone)
    check(*left_of(leave) * 2, unnamed=[b"kept"], catalogue=catalogue)


@pytest.mark.parametrize(
    "path", ["papers.Folder", "papers.Nothing.name", "nothing.Folder.name", "papers.Folder.x", "auth.User.groups", 1]
)
def test_nothing_is_unlinked_where_the_setting_is_wrong(path: object, catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    with (
        override_settings(PG_LO_STORAGE_REFERENCES=[path]),
        pytest.raises(ImproperlyConfigured, match=r"PG_LO_STORAGE_REFERENCES: .* is no 'app\.Model\.field'"),
    ):
        paper.delete()
    check(b"first", catalogue=catalogue)


TYPES = {
    "an enum": ("create type papers_kind as enum ('a')", "drop type papers_kind", "papers_kind"),
    "a composite type": ("create type papers_kind as (a text)", "drop type papers_kind", "papers_kind"),
    "a domain": ("create domain papers_kind as text", "drop domain papers_kind", "papers_kind"),
    "an array": ("select 1", "select 1", "text[]"),
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_column_whose_type_is_somebody_elses_is_not_read(kind: str, catalogue: bool) -> None:
    create, drop, name = TYPES[kind]
    paper = Paper.objects.create(data=upload())
    sql(create)
    sql("alter table papers_version rename data to away")
    sql(f"alter table papers_version add column data {name}")
    try:
        paper.delete()
    finally:
        sql("alter table papers_version drop column data")
        sql("alter table papers_version rename away to data")
        sql(drop)
    check(unnamed=[b"first"], catalogue=catalogue)


def test_a_view_is_not_read(catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    sql("alter table papers_version rename to papers_versions")
    sql("create view papers_version as select * from papers_versions")
    try:
        paper.delete()
    finally:
        sql("drop view papers_version")
        sql("alter table papers_versions rename to papers_version")
    check(unnamed=[b"first"], catalogue=catalogue)
