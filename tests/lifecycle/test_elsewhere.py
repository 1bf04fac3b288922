"""Where the rows are that keep a file, if an alias or a setting fixes its database: on every one that routers allow."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final
from unittest import mock

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models.signals import post_save
from django.test import override_settings, testcases

from tests.lifecycle.guards import BOTH, EVERY_GUARD, TRIGGERS
from tests.lifecycle.papers.models import Archived, Paper, Remote
from tests.lifecycle.support import FILES, column, entries, named, read, sql, upload
from tests.lifecycle.test_shards import ByThread, working_for

pytestmark = pytest.mark.usefixtures("catalogue")

FIXED: Final = {"PG_LO_STORAGE_DB_FOR_WRITE": "default"}


def paper(using: str = "default", data: object = None) -> Paper:
    return Paper.objects.using(using).create(data=data or upload())


@contextmanager
def alias(name: str, **changes: Any) -> Generator[str]:
    """Have Django know another alias: of ``default``'s database, but for ``changes``."""
    database = connections.settings["default"] | changes
    connections.settings[name] = connections.configure_settings({"default": database, name: database})[name]
    try:
        yield name
    finally:
        connections[name].close()
        del connections[name], connections.settings[name]


class Two(ByThread):
    """Allows no rows by the aliases that lead to the same database as ``default``, which only tests have."""

    def allow_migrate(self, db: str, *_: object, **_hints: object) -> bool:
        return db not in {"replica", "wired"}


class Pooled(ByThread):
    """Allows rows by an alias that leads to the same database as ``default`` over another port."""

    def allow_migrate(self, db: str, *_: object, **_hints: object) -> bool:
        return db != "replica"


@pytest.mark.parametrize(
    ("model", "settings"), [(Paper, {"PG_LO_STORAGE_DB_FOR_WRITE": "other"}), (Remote, {})], ids=["setting", "alias"]
)
def test_rows_on_default_count_where_files_are_on_another(model: type[Remote], settings: dict[str, str]) -> None:
    with override_settings(DATABASE_ROUTERS=[Two()], **settings):
        with working_for("default"):
            here = model.objects.create(data=upload(b"first"))
        with working_for("other"):
            model.objects.create(data=here.data.name).delete()
        assert len(column(FILES, using="other")) == 1
        with working_for("default"):
            assert read(model.objects.get().data) == b"first"
            model.objects.all().delete()
        assert not column(FILES, using="other")


@pytest.mark.parametrize("routers", [[], [Pooled()]], ids=["none", "pooled"])
def test_another_way_to_the_same_database_keeps_no_file(routers: list[object]) -> None:
    with override_settings(DATABASE_ROUTERS=routers, **FIXED):
        row = paper()
        row.data = upload(b"second")
        row.save()
        assert len(column(FILES)) == 1
        row.delete()
    assert not column(FILES)


@EVERY_GUARD
@pytest.mark.parametrize("here", ["default", "replica"])
def test_rows_by_two_aliases_of_one_database_share_a_file(guard: str, catalogue: bool, here: str) -> None:
    there = "replica" if here == "default" else "default"
    first = paper(here)
    second, third = (paper(there, first.data.name) for _ in range(2))
    first.data = upload(b"second")
    first.save()
    assert column(FILES) == named()
    assert read(Paper.objects.using(here).get(pk=second.pk).data) == b"first"
    second.delete()
    assert len(column(FILES)) == 2
    Paper.objects.using(here).get(pk=third.pk).delete()
    assert column(FILES) == named()
    assert len(column(FILES)) == 1
    assert entries() == (column(FILES) if catalogue else set()), guard
    Paper.objects.using(there).get(pk=first.pk).delete()
    assert not column(FILES)


@pytest.mark.parametrize("guard", [TRIGGERS, BOTH], indirect=True)
def test_triggers_refuse_a_file_that_another_aliass_transaction_stores(guard: str, catalogue: bool) -> None:
    with override_settings(**FIXED):
        row = paper()
        row.data = upload(b"second")
        with pytest.raises(IntegrityError, match="there is no such file"):
            row.save(using="replica")
        row.refresh_from_db()
        assert read(row.data) == b"first"
        assert column(FILES) == named(), (guard, catalogue)
        row.data = upload(b"second")
        row.save(using="default")
        assert column(FILES) == named()
        assert read(row.data) == b"second"
        row.delete()


def test_a_plain_field_is_searched_for_on_every_database() -> None:
    row = Archived.objects.create(plain=upload(b"plain"))
    name = str(row.plain.name)
    kept = Paper.objects.create(data=name)
    Archived.objects.using("other").create(plain=name)
    row.delete()
    kept.delete()
    assert len(column(FILES)) == 1
    Archived.objects.using("other").all().delete()
    kept = Paper.objects.create(data=name)
    kept.delete()
    assert not column(FILES)


def test_another_schema_of_the_same_database_has_other_rows() -> None:
    sql("create schema b; create table b.papers_paper (like public.papers_paper including all)")
    options = connections.settings["default"].get("OPTIONS", {}) | {"options": "-c search_path=b,public"}
    try:
        with alias("b", OPTIONS=options), override_settings(DATABASE_ROUTERS=[Two()], **FIXED):
            row = paper()
            paper("b", row.data.name)
            assert sql("select count(*) from b.papers_paper") == [(1,)]
            row.delete()
            assert len(column(FILES)) == 1
            Paper.objects.using("b").all().delete()
            assert not column(FILES)
    finally:
        sql("drop schema b cascade")


def test_an_alias_without_settings_has_no_rows() -> None:
    with alias("none", ENGINE="django.db.backends.dummy"), override_settings(**FIXED):
        paper().delete()
    assert not column(FILES)


def test_another_databases_transaction_goes_on_after_a_search_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(**FIXED):
        row = paper()
        sql("revoke select on papers_paper from current_user", using="other")
        try:
            with transaction.atomic(using="other"):
                sql("insert into papers_folder (name) values ('kept')", using="other")
                row.delete()
                sql("insert into papers_folder (name) values ('after')", using="other")
        finally:
            sql("grant select on papers_paper to current_user", using="other")
    assert column("select name from papers_folder", using="other") == {"kept", "after"}
    assert len(column(FILES)) == 1
    assert "does not answer" in caplog.text


# The stubs lack it.
FORBIDDEN: Final[type[Exception]] = vars(testcases)["DatabaseOperationForbidden"]


def refusing(error: type[Exception]) -> Any:
    def refuse(*_: object) -> None:
        raise error

    return connections["other"].execute_wrapper(refuse)


def test_only_what_a_test_may_not_ask_does_not_count() -> None:
    with override_settings(**FIXED):
        row = paper()
        with refusing(AssertionError):
            row.delete()
        assert len(column(FILES)) == 1
        row = paper()
        with refusing(FORBIDDEN):
            row.delete()
        assert len(column(FILES)) == 1


def in_another_thread(work: Callable[[], object]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_a_file_is_held_until_the_row_elsewhere_is_committed() -> None:
    default: Any = connections["default"]
    commit = default._commit

    def commit_and_delete() -> None:
        commit()
        in_another_thread(lambda: Paper.objects.using("default").get().delete())

    with override_settings(DATABASE_ROUTERS=[Two()], **FIXED):
        name = paper().data.name
        with mock.patch.object(default, "_commit", commit_and_delete):
            Paper(data=name).save(using="other")
        assert read(Paper.objects.using("other").get().data) == b"first"


NAMING: dict[str, Callable[[str], object]] = {
    "save": lambda name: Paper(data=name).save(using="other"),
    "bulk_create": lambda name: Paper.objects.using("other").bulk_create([Paper(data=name)]),
    "update": lambda name: Paper.objects.using("other").update(data=name),
}


@pytest.mark.parametrize("write", NAMING.values(), ids=NAMING)
@pytest.mark.parametrize("ends", [True, False], ids=["committed", "rolled back"])
def test_a_row_that_is_not_committed_yet_claims_its_file(write: Callable[[str], object], ends: bool) -> None:
    with override_settings(DATABASE_ROUTERS=[Two()], **FIXED):
        row = paper()
        Paper.objects.using("other").create()
        with transaction.atomic(using="other"):
            write(str(row.data.name))
            in_another_thread(row.delete)
            transaction.set_rollback(not ends, using="other")
        assert len(column(FILES)) == 1
        Paper.objects.using("other").all().delete()
        assert len(column(FILES)) == (0 if ends else 1)


def test_what_a_transaction_itself_names_and_drops_again_is_unlinked() -> None:
    with override_settings(DATABASE_ROUTERS=[Two()], **FIXED):
        row = paper()
        with transaction.atomic(using="other"):
            there = paper("other", row.data.name)
            there.data = None
            there.save()
            row.delete()
        assert not column(FILES)


def test_what_a_hook_of_the_rows_commit_does_undoes_no_file() -> None:
    row = Remote.objects.create(data=upload(b"first"))
    seen: list[set[object]] = []

    def hook() -> None:
        with alias("outsider", **connections.settings["other"]):
            seen.append(column(FILES, using="outsider"))
        raise ZeroDivisionError

    def register(**_: object) -> None:
        transaction.on_commit(hook)

    post_save.connect(register, sender=Remote)
    try:
        row.data = upload(b"second")
        with suppress(ZeroDivisionError):
            row.save()
    finally:
        post_save.disconnect(register, sender=Remote)
    [(name,)] = sql("select data from papers_remote")
    loid = int(name.partition(".")[0])
    assert loid in column(FILES, using="other")
    assert [loid in files for files in seen] == [True]


def test_an_alias_with_another_search_path_has_rows_and_files_of_its_own(catalogue: bool) -> None:
    sql("create schema b; create table b.papers_paper (like public.papers_paper including all)")
    if catalogue:
        sql("create table b.pg_lo_storage_file (like public.pg_lo_storage_file including all)")
    options = connections.settings["default"].get("OPTIONS", {}) | {"options": "-c search_path=b,public"}
    try:
        with alias("b", OPTIONS=options):
            row = paper(data=upload(b"first"))
            Paper(pk=row.pk, data=upload(b"there")).save(using="b")
            Paper.objects.get().save(using="b")
            assert read(Paper.objects.using("b").get().data) == b"first"
            assert Paper.objects.using("b").get().data.name != row.data.name
    finally:
        sql("drop schema b cascade")
