"""Rows that a router has read from a replica, and rows of databases that a router only seems to replicate.

``replica`` is the primary by another name; where a replica lags behind, ``other`` stands for it.
"""

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError, connections, models, router, transaction
from django.test import RequestFactory, override_settings
from typing_extensions import override

from pg_lo_storage.databases import aliases
from pg_lo_storage.storage import DbFileIO, DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve_signed
from tests.lifecycle.papers.models import Folder, Paper
from tests.lifecycle.support import FILES, column, read, sql, upload
from tests.lifecycle.test_databases import nothing_but, paper, refuse, rolled_back, same_name

pytestmark = pytest.mark.usefixtures("catalogue")

SIGNED = DbFileStorage("/signed/", signed=True)


class Silent:
    """Reads from a replica, writes to the primary, and says nothing of relations."""

    def __init__(self, replica: str = "replica") -> None:
        self._replica = replica
        self.asked = 0

    def db_for_read(self, *_: object, **_hints: object) -> str:
        return self._replica

    def db_for_write(self, *_: object, **_hints: object) -> str:
        self.asked += 1
        return "default"


class Related(Silent):
    """The same, and relates rows of all databases, as Django's documentation has it."""

    def allow_relation(self, *_: object, **_hints: object) -> bool:
        return True


class Pinning(Silent):
    """Reads from the primary once it has written there."""

    @override
    def db_for_read(self, *args: object, **hints: object) -> str:
        return "default" if self.asked else super().db_for_read(*args, **hints)


ROUTERS = pytest.mark.parametrize("router_class", [Silent, Related, Pinning])


def routed(router_class: Callable[..., object] = Related, *args: str) -> override_settings:
    return override_settings(DATABASE_ROUTERS=[router_class(*args)])


def test_a_router_that_splits_reads_and_writes_does_not_make_other_databases_replicas(catalogue: bool) -> None:
    with routed():
        with rolled_back("other"):
            paper("other")
        nothing_but(catalogue)
        row = paper("other")
        nothing_but(catalogue, other=(b"first",))
        with transaction.atomic(using="other"), row.data.open("rb+") as file:
            file.write(b"FIR")
        row = Paper.objects.using("other").get()
        assert read(row.data) == b"FIRst"
        row.pk = None
        row.save()
        nothing_but(catalogue, default=(b"FIRst",), other=(b"FIRst",))


def test_what_such_a_router_leads_to_never_touches_a_file_of_the_same_name(catalogue: bool) -> None:
    here, _ = same_name()
    with routed():
        row = Paper.objects.using("other").get()
        with transaction.atomic(), transaction.atomic(using="other"), row.data.open("rb+") as file:
            file.write(b"XXXXX")
        assert (read(here.data), read(row.data)) == (b"here", b"XXXXX")
        row.pk = None
        row.save()
        nothing_but(catalogue, default=(b"here", b"XXXXX"), other=(b"XXXXX",))
        row = Paper.objects.using("other").get()
        row.data.delete(save=False)
        assert db_file_storage.exists(str(here.data.name))
        assert not column(FILES, using="other")


@ROUTERS
def test_a_title_is_saved_without_the_file(catalogue: bool, router_class: type[Silent]) -> None:
    created = paper("default")
    with routed(router_class):
        row = Paper.objects.get()
        assert row._state.db == "replica"
        for title in ("one", "two"):
            row.title = title
            row.save()
            assert row.data.name == created.data.name
        row = Paper.objects.using("replica").get()
        row.data = upload(b"second")
        row.save()
        nothing_but(catalogue, default=(b"second",))
        row = Paper.objects.using("replica").get()
        row.data.delete()
        nothing_but(catalogue)


@pytest.mark.once
def test_a_file_is_given_up_at_once() -> None:
    paper("default")
    with routed():
        Paper.objects.get().data.delete(save=False)
    assert not column(FILES)


@pytest.mark.once
def test_after_a_save_of_other_columns_what_somebody_else_uploaded_stays(catalogue: bool) -> None:
    paper("default")
    row = Paper.objects.using("replica").get()
    row.title = "saved"
    row.save(using="default", update_fields=["title"])
    theirs = Paper.objects.using("default").get()
    theirs.data = upload(b"theirs")
    theirs.save()
    row.save(using="default")
    nothing_but(catalogue, default=(b"theirs",))


def test_without_a_router_too(catalogue: bool) -> None:
    created = paper("default")
    row = Paper.objects.using("replica").get()
    row.title = "saved"
    row.save(using="default")
    assert row.data.name == created.data.name
    row = Paper.objects.using("replica").get()
    Paper.objects.bulk_update([row], ["data"])
    Paper.objects.filter(pk=Paper.objects.create(data=row.data).pk).delete()
    nothing_but(catalogue, default=(b"first",))
    row.data.delete(save=False)
    assert not column(FILES)


@pytest.fixture
def _lagging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take ``other`` for a replica of ``default``, with an earlier file of the row."""
    monkeypatch.setattr(aliases, "is_same_database", Mock(return_value=True))


@pytest.fixture
def _silent_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no server say which database it has."""
    monkeypatch.setattr(aliases, "is_same_database", Mock(return_value=None))


def two_versions() -> Paper:
    """Return a row whose earlier file the other database still names."""
    row = paper("default", b"old")
    Paper.objects.using("other").create(pk=row.pk)
    with transaction.atomic(using="other"), DbFileIO(row.data.loid or 0, "xb", "a.pdf", alias="other") as file:
        file.write(b"old")
    sql("update papers_paper set data = %s", row.data.name, using="other")
    row.data = upload(b"new")
    row.save()
    return row


@pytest.mark.usefixtures("_lagging")
@ROUTERS
def test_a_row_of_a_replica_that_lags_restores_no_earlier_file(catalogue: bool, router_class: type[Silent]) -> None:
    two_versions()
    with routed(router_class, "other"):
        row = Paper.objects.get()
        assert row._state.db == "other"
        row.title = "saved"
        row.save()
    nothing_but(catalogue, default=(b"new",), other=(b"old",))
    found = Paper.objects.using("default").get()
    assert (found.title, read(found.data)) == ("saved", b"new")


@pytest.mark.usefixtures("_lagging")
def test_a_file_that_the_rows_replica_lacks_is_the_primarys(catalogue: bool) -> None:
    row = paper("default", b"first")
    Paper.objects.using("other").create(pk=row.pk)
    sql("update papers_paper set data = %s", row.data.name, using="other")
    with routed(Silent, "other"):
        found = Paper.objects.get().data
        assert (found.instance._state.db, found.size, read(found)) == ("other", 5, b"first")
        assert found.storage.exists(str(found.name))
    alone = Paper.objects.using("other").get().data
    assert not alone.storage.exists(str(alone.name))
    with pytest.raises(FileNotFoundError):
        read(alone)
    assert catalogue is not None


@pytest.mark.usefixtures("_silent_servers")
def test_where_no_server_says_so_routers_decide(catalogue: bool) -> None:
    two_versions()
    with routed(Silent, "other"):
        row = Paper.objects.get()
        row.title = "saved"
        row.save()
        nothing_but(catalogue, default=(b"new",), other=(b"old",))
    row = Paper.objects.using("other").get()
    row.save(using="default")
    nothing_but(catalogue, default=(b"old",), other=(b"old",))


def test_a_database_that_fails_is_none_that_says_so(catalogue: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aliases, "is_same_database", Mock(side_effect=OperationalError))
    paper("default")
    with routed(Silent):
        row = Paper.objects.get()
        row.title = "saved"
        row.save()
    nothing_but(catalogue, default=(b"first",))


def test_a_signed_url_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paper._meta.get_field("data"), "storage", SIGNED)
    created = paper("default")
    with routed():
        row = Paper.objects.get()
        assert row._state.db == "replica"
        for url in (row.data.url, created.data.url):
            response = db_serve_signed(RequestFactory().get(url), str(row.data.name), storage=SIGNED)
            assert response.status_code == 200
            response.close()


def test_a_files_url_and_bytes_ask_no_router(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder.objects.create()
    Paper.objects.create(data=upload(b"first"), folder=folder)
    with routed():
        row = Paper.objects.get()
        for question in ("db_for_read", "db_for_write", "allow_relation"):
            monkeypatch.setattr(router, question, refuse)
        with connections["default"].execute_wrapper(refuse), connections["replica"].execute_wrapper(refuse):
            assert row.data.url == f"/files/{row.data.name}"
        assert row.data.size == len(row.data.open().read())
        row.data.close()
        monkeypatch.undo()


def test_an_instances_own_state_is_not_asked_for() -> None:
    paper("default")
    with routed():
        row = Paper.objects.get()

        def state(_row: models.Model) -> dict[str, Any]:
            pytest.fail("the instance was copied")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Paper, "__getstate__", state)
            assert row.data.storage is not db_file_storage
            row.title = "saved"
            row.save()
        assert read(copy.copy(row).data) == read(pickle.loads(pickle.dumps(row)).data) == b"first"


def test_a_row_without_a_file_is_saved_though_its_database_is_gone_from_the_settings() -> None:
    row = Paper.objects.create()
    row._state.db = "gone"
    row.title = "saved"
    row.save(using="default")
    assert column("select title from papers_paper") == {"saved"}


def test_a_signed_url_is_made_in_a_coroutine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paper._meta.get_field("data"), "storage", SIGNED)
    paper("default")
    with routed():
        row = Paper.objects.get()

        async def url() -> str:
            return row.data.url

        assert asyncio.run(url()).startswith("/signed/")
