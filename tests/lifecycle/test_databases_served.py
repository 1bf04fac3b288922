"""Routers, views and signed URLs of files that are on the databases of their rows."""

from collections.abc import Iterable
from typing import cast

import pytest
from django.db import models, transaction
from django.http import HttpResponseBase
from django.test import RequestFactory, override_settings

from pg_lo_storage.storage import DbFileIO, DbFileStorage, db_file_storage
from pg_lo_storage.views import DbFileView, db_serve, db_serve_signed
from tests.lifecycle.papers.models import Paper
from tests.lifecycle.support import FILES, column, read, sql, upload

pytestmark = pytest.mark.usefixtures("catalogue")

SIGNED = DbFileStorage("/signed/", signed=True)


class WithReplica:
    """Reads from a replica, as Django's documentation has it."""

    def db_for_read(self, *_: object, **_hints: object) -> str:
        return "replica"

    def db_for_write(self, *_: object, **_hints: object) -> str:
        return "default"

    def allow_relation(self, *rows: models.Model, **_hints: object) -> bool | None:
        return True if {row._state.db for row in rows} <= {"default", "replica"} else None


class OfTenant:
    """Sends all to one tenant's database, whatever the row is, and relates all rows."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def db_for_read(self, *_: object, **_hints: object) -> str:
        return self._alias

    db_for_write = db_for_read

    def allow_relation(self, *_: object, **_hints: object) -> bool:
        return True


def on_both() -> tuple[Paper, Paper]:
    """Return a row on each database, whose files have one name."""
    here = Paper.objects.using("default").create(data=upload(b"here"))
    there = Paper.objects.using("other").create(pk=here.pk)
    with transaction.atomic(using="other"), DbFileIO(here.data.loid or 0, "xb", "a.pdf", alias="other") as file:
        file.write(b"there")
    sql("update papers_paper set data = %s", here.data.name, using="other")
    there.refresh_from_db(using="other")
    return here, there


def body(response: HttpResponseBase) -> bytes:
    data = b"".join(cast("Iterable[bytes]", response))
    response.close()
    return data


def test_a_row_of_a_replica_is_read_there_and_written_on_its_primary() -> None:
    with override_settings(DATABASE_ROUTERS=[WithReplica()]):
        Paper.objects.create(data=upload(b"first"))
        row = Paper.objects.get()
        assert row._state.db == "replica"
        with on(row, "replica").open(str(row.data.name)) as opened:
            assert opened.stored.alias == "replica"
        with transaction.atomic(), row.data.open("rb+") as file:
            file.write(b"FIR")
        assert read(row.data) == b"FIRst"
        row.title = "no copy"
        row.save()
        assert len(column(FILES)) == 1
        row = Paper.objects.get()
        row.data = upload(b"second")
        row.save()
        row = Paper.objects.get()
        row.data.delete()
        assert not column(FILES)


def test_what_a_replica_lacks_is_read_from_its_primary() -> None:
    with override_settings(DATABASE_ROUTERS=[WithReplica()]):
        row = Paper.objects.create()
        row._state.db = "replica"
        with transaction.atomic():
            row.data.save("a.pdf", upload(b"first"), save=False)
            row = Paper(pk=row.pk, data=row.data.name)
            row._state.db = "replica"
            assert read(row.data) == b"first", "it is not committed, and so not on the replica"


def test_a_tenants_row_is_read_from_its_own_database_whoever_the_thread_works_for() -> None:
    here, there = on_both()
    with override_settings(DATABASE_ROUTERS=[OfTenant("other")]):
        assert read(here.data) == b"here"
        db_file_storage.delete(str(here.data.name))
        with pytest.raises(FileNotFoundError):
            read(here.data)
        assert read(there.data) == b"there"


def test_a_row_that_no_database_has_yet_is_where_the_router_will_write_it() -> None:
    with override_settings(DATABASE_ROUTERS=[OfTenant("other")]):
        row = Paper()
        row.data.save("a.pdf", upload(b"first"), save=False)
        assert read(row.data) == b"first"
        assert (len(column(FILES)), len(column(FILES, using="other"))) == (0, 1)
        row.save()
        row.delete()
        assert not column(FILES, using="other")


def test_a_view_serves_the_file_of_the_row_that_it_found() -> None:
    here, _ = on_both()
    for using, expected in (("default", b"here"), ("other", b"there")):
        view = DbFileView.as_view(queryset=Paper.objects.using(using), field="data")
        for asked in ({"pk": here.pk}, {"filename": here.data.name}):
            assert body(view(RequestFactory().get("/"), **asked)) == expected
    assert body(db_serve(RequestFactory().get("/"), str(here.data.name))) == b"here"


def signed(monkeypatch: pytest.MonkeyPatch, row: Paper, storage: DbFileStorage = SIGNED) -> str:
    monkeypatch.setattr(Paper._meta.get_field("data"), "storage", storage)
    url: str = Paper.objects.using(row._state.db).get().data.url
    return url


def test_a_signed_url_is_of_the_files_database(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = on_both()
    name = str(here.data.name)
    for row, expected in ((here, b"here"), (there, b"there")):
        url = signed(monkeypatch, row)
        assert body(db_serve_signed(RequestFactory().get(url), name, storage=SIGNED)) == expected
        assert body(db_serve_signed(RequestFactory().get(url), name, storage=on(row))) == expected
    Paper.objects.using("other").all().delete()
    url = signed(monkeypatch, here)
    assert not url.endswith(".default"), "as those that were signed before"
    assert body(db_serve_signed(RequestFactory().get(url), name, storage=SIGNED)) == b"here"


def on(row: Paper, using: str | None = None) -> DbFileStorage:
    """Return the storage of the row's file."""
    storage: object = Paper.objects.using(using or row._state.db).get().data.storage
    assert isinstance(storage, DbFileStorage)
    return storage


def test_a_signed_url_reads_one_database_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = on_both()
    name = str(here.data.name)
    url = signed(monkeypatch, there)
    moved = [
        url.removesuffix(".other"),
        url.replace(".other", ".default"),
        url.replace(".other", ".nowhere"),
        f"{url}.",
    ]
    moved += [f"{signed(monkeypatch, here)}.{alias}" for alias in ("other", "default", "wired")]
    for changed in moved:
        assert db_serve_signed(RequestFactory().get(changed), name, storage=SIGNED).status_code == 403, changed
    # A storage that has one database serves no other's.
    for storage in (DbFileStorage("/signed/", alias="default"), DbFileStorage("/signed/", alias="other")):
        assert db_serve_signed(RequestFactory().get(url), name, storage=storage).status_code == 403
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="default"):
        assert db_serve_signed(RequestFactory().get(url), name, storage=SIGNED).status_code == 403
    there.delete()
    db_serve_signed(RequestFactory().get(url), name, storage=SIGNED).close()
    assert db_serve_signed(RequestFactory().get(url), name, storage=SIGNED).status_code == 404
