"""What one tenant does, with the catalogue where a project may have it."""

import asyncio
import os

import pytest
from django.core.checks import run_checks
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.test import RequestFactory
from django_tenants.utils import schema_context

from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve
from tests.serving.asgi import get, wait_for_readers
from tests.tenants.shop.models import Invoice, Scan
from tests.tenants.support import Clone, Oids, client, entries, named, stored


def invoice(schema: str, data: bytes) -> Invoice:
    with schema_context(schema):
        return Invoice.objects.create(data=ContentFile(data, "a.txt"))


def test_a_file_is_catalogued_where_its_tenant_looks(place: str) -> None:
    row = invoice("blue", b"blue")
    assert named("blue") == {row.data.name}
    assert row.data.name in entries("blue")
    assert (row.data.name in entries("green")) is (place == "shared")


@pytest.mark.parametrize("model", [Invoice, Scan])
def test_a_file_goes_with_its_row(model: type[Invoice | Scan], large_objects: Oids) -> None:
    with schema_context("blue"):
        model.objects.create(data=ContentFile(b"blue", "a.txt"))
        model.objects.get().delete()
    assert large_objects() == set()
    assert entries("blue") == set()


@pytest.mark.parametrize("model", [Invoice, Scan])
def test_what_a_clone_deletes_its_original_keeps(model: type[Invoice | Scan], cloned: Clone) -> None:
    with schema_context("blue"):
        name = model.objects.create(data=ContentFile(b"blue", "a.txt")).data.name
    cloned("blue", "teal")
    assert stored("teal", name) == b"blue"
    with schema_context("teal"):
        model.objects.get().delete()
    assert stored("blue", name) == b"blue"
    with schema_context("blue"):
        model.objects.get().delete()


def test_what_an_original_deletes_by_name_its_clone_keeps(place: str, cloned: Clone, large_objects: Oids) -> None:
    name = invoice("blue", b"blue").data.name
    cloned("blue", "teal")
    if place == "shared":
        return
    with schema_context("blue"):
        db_file_storage.delete(name)
        assert not db_file_storage.exists(name)
    assert stored("teal", name) == b"blue"
    with schema_context("teal"):
        db_file_storage.delete(name)
    assert large_objects() == set()


@pytest.mark.parametrize("path", ["/files/{}", "/awaited/{}", "/mine/{pk}"])
def test_a_view_gives_a_tenant_its_own(place: str, path: str) -> None:
    row = invoice("blue", b"blue")
    where = path.format(row.data.name, pk=row.pk)
    assert client("blue").get(where).getvalue() == b"blue"
    assert client("green").get(where).status_code == (200 if place == "shared" and "mine" not in path else 404)


def test_a_signed_url_is_of_one_tenant(cloned: Clone) -> None:
    name = str(invoice("blue", b"blue").data)
    cloned("blue", "teal")
    with schema_context("blue"):
        url = DbFileStorage("/signed/").signed_url(name)
    assert client("blue").get(url).getvalue() == b"blue"
    assert client("green").get(url).status_code == 403
    assert client("teal").get(url).status_code == 403


@pytest.mark.parametrize("path", ["/files/{}", "/awaited/{}", "/mine/{pk}"])
def test_a_large_download_of_a_tenant_is_whole_under_asgi(path: str) -> None:
    data = os.urandom(3_000_000)
    row = invoice("blue", data)
    invoice("green", b"green")
    answer = asyncio.run(get(path.format(row.data, pk=row.pk), host="blue.test"))
    assert answer.body == data
    wait_for_readers()
    assert client("blue").get(path.format(row.data, pk=row.pk)).getvalue() == data


def test_what_a_view_finds_in_another_tenant_is_read_there(place: str) -> None:
    data = os.urandom(3_000_000)
    name = str(invoice("blue", data).data)
    with schema_context("blue"):
        response = db_serve(RequestFactory().get("/"), name)
    with schema_context("green"):
        assert response.getvalue() == data
    assert place


def test_checks_are_silent_where_each_tenant_has_its_catalogue(place: str) -> None:
    for schema in ("public", "blue"):
        with schema_context(schema):
            assert "pg_lo_storage.W006" not in {each.id for each in run_checks(databases=["default"])}, schema
    with schema_context("blue"):
        if place == "in each tenant":
            connection.cursor().execute("alter table pg_lo_storage_file rename to renamed")
            assert "pg_lo_storage.W006" in {each.id for each in run_checks(databases=["default"])}
            connection.cursor().execute("alter table renamed rename to pg_lo_storage_file")


ROWS = 20_000
FILL = (
    "insert into shop_invoice (data, copy) select n || '.pdf', '' from generate_series(3000000001, %s) as n",
    "insert into shop_scan (data, remark) select n || '.pdf', '' from generate_series(3000000001, %s) as n",
)


@pytest.mark.parametrize("model", [Invoice, Scan])
def test_no_tenants_table_is_read_whole_for_a_file_that_goes(
    place: str, model: type[Invoice | Scan], large_objects: Oids
) -> None:
    assert place
    for schema in ("green", "blue"):
        with schema_context(schema), connection.cursor() as cursor:
            cursor.execute("alter table shop_scan disable trigger user")
            for statement in FILL:
                cursor.execute(statement, [3_000_000_000 + ROWS])
            cursor.execute("alter table shop_scan enable trigger user")
            cursor.execute("analyze shop_invoice, shop_scan")
    with schema_context("blue"):
        row, other = (model.objects.create(data=ContentFile(data, "a.txt")) for data in (b"1", b"2"))
        with transaction.atomic():
            before = scans()
            row.data = ContentFile(b"3", "b.txt")
            row.save()
            other.delete()
            assert scans() == before
    assert large_objects() == {row.data.loid}


def scans() -> int:
    """Count the passes over whole tables of any tenant that the transaction has made."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select sum(seq_scan)::int from pg_stat_xact_all_tables where relname in ('shop_invoice', 'shop_scan')"
        )
        [(count,)] = cursor.fetchall()
    return int(count)
