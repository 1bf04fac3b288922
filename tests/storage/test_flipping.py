"""A driver that changes bytes: right ones come back on every path, and the server is never given one."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.http import HttpResponseBase
from django.test import Client, override_settings

from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.drivers import get_driver, registry
from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFileIO, db_file_storage
from pg_lo_storage.transfer import copy, lo_export, lo_import, load, save
from pg_lo_storage.transfer import open as whole
from tests.fixtures.connections import Connect
from tests.invoices.models import Invoice
from tests.storage.flipping import FlippingDriver, flipped
from tests.storage.support import LARGE, SIZES, content, joined, loid_of, stored

pytestmark = pytest.mark.django_db(transaction=True)

Around = Callable[[], AbstractContextManager[object]]
CURSOR = "pg_lo_storage.databases.driver._CursorSQL.execute"

in_and_out_of_transactions = pytest.mark.parametrize(
    "around", [nullcontext, transaction.atomic], ids=["autocommit", "atomic"]
)


@pytest.fixture(autouse=True)
def _flipping(monkeypatch: pytest.MonkeyPatch) -> object:
    """Use the driver, and see that no content passes it by, over a cursor of Django's."""

    def execute(_self: object, query: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with connection.create_cursor() as cursor:
            cursor.execute(query, params)
            rows: list[tuple[object, ...]] = cursor.fetchall() if cursor.description else []
        values = [*params, *(value for row in rows for value in row)]
        assert all(isinstance(value, int | str | bool | None) for value in values), query
        return rows

    monkeypatch.setattr(CURSOR, execute)
    with override_settings(PG_LO_STORAGE_DRIVER="tests.storage.flipping.FlippingDriver"):
        yield


def in_the_server(loid: int) -> bytes:
    """Return the bytes of the object as they are, by the driver that is below."""
    connection.ensure_connection()
    driver = get_driver(connection.connection)
    return driver.get(loid, 0, driver.size(loid))


def saved(data: bytes) -> str:
    name = db_file_storage.save("a.pdf", ContentFile(data))
    assert in_the_server(loid_of(name)) == flipped(data)
    return name


def assert_holds(name: str, data: bytes) -> None:
    """See that the file holds these bytes for all who ask, and the server others."""
    assert in_the_server(loid_of(name)) == flipped(data)
    assert stored(name) == data
    assert db_file_storage.size(name) == len(data)
    with db_file_storage.open(name) as file:
        assert b"".join(file.chunks(100_000)) == data
        file.seek(len(data) // 2)
        assert file.read(10) == data[len(data) // 2 :][:10]
    url = db_file_storage.url(name)
    assert joined(cast("HttpResponseBase", Client().get(url))) == data
    assert Client().head(url).headers["Content-Length"] == str(len(data))


@in_and_out_of_transactions
@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_saved_and_read(size: int, around: Around, catalogue: bool) -> None:
    data = content(size)
    with around():
        name = saved(data)
        assert_holds(name, data)
        if catalogue:
            entry = db_file_storage.entry(name)
            assert (entry.size, entry.original_name) == (size, "a.pdf")
            assert db_file_storage.verify(name) is True
        with db_file_storage.open(name) as file:
            copied = db_file_storage.save("copy.pdf", file)
        assert_holds(copied, data)
        db_file_storage.delete(name)
        assert not db_file_storage.exists(name)
    assert_holds(copied, data)


@pytest.mark.parametrize("size", [1000, LARGE])
def test_ranges_are_served(size: int) -> None:
    data = content(size)
    url = db_file_storage.url(saved(data))
    response = Client().get(url, headers={"range": f"bytes=3-{size - 5}"})
    assert (response.status_code, joined(cast("HttpResponseBase", response))) == (206, data[3 : size - 4])
    response = Client().get(url, headers={"range": "bytes=0-9,500-599"})
    assert response.status_code == 206
    parts = joined(cast("HttpResponseBase", response))
    assert data[:10] in parts
    assert data[500:600] in parts


@in_and_out_of_transactions
@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_file_is_written_in_place(size: int, around: Around, catalogue: bool) -> None:
    data = content(size)
    with around():
        name = saved(data)
        with transaction.atomic():
            with db_file_storage.open(name, "rb+") as file:
                file.seek(5)
                file.write(b"in place")
            with db_file_storage.open(name, "ab") as file:
                file.write(b"at the end")
        assert_holds(name, data[:5] + b"in place" + data[13:] + b"at the end")
        if catalogue:
            assert db_file_storage.verify(name) is None
        with transaction.atomic(), DbFileIO(0, "wb", name="made.txt") as made:
            made.write(data)
        assert_holds(made.name, data)


def test_a_file_has_a_url_for_other_libraries(catalogue: bool) -> None:
    name, fs = saved(b"content"), PgLoFileSystem(alias="default")
    assert fs.cat_file(name) == b"content"
    fs.pipe_file(name, b"another content")
    assert_holds(name, b"another content")
    if catalogue:
        assert db_file_storage.verify(name) is None
    fs.rm(name)
    assert not db_file_storage.exists(name)
    assert not StoredFile.objects.exists()


@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_file_lives_and_dies_with_its_row(size: int, count_large_objects: Callable[[], int]) -> None:
    first, second = content(size), content(size + 1)
    invoice = Invoice.objects.create(data=ContentFile(first, name="a.pdf"))
    assert_holds(invoice.data.name or "", first)
    with Invoice.objects.get().data.open() as file:
        assert file.read() == first
    invoice.data = ContentFile(second, name="b.pdf")
    invoice.save()
    assert_holds(Invoice.objects.get().data.name or "", second)
    assert count_large_objects() == 1
    invoice.delete()
    assert count_large_objects() == 0


@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_file_that_cannot_be_entered_is_not_saved(
    size: int, catalogue: bool, count_large_objects: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(*_: object, **__: object) -> None:
        raise LookupError

    for place in ("pg_lo_storage.catalogue.add", "pg_lo_storage.catalogue.queries.add"):
        monkeypatch.setattr(place, add)
    with pytest.raises(LookupError) if catalogue else nullcontext():
        db_file_storage.save("a.pdf", ContentFile(content(size)))
    assert count_large_objects() == int(not catalogue)


@pytest.mark.parametrize("size", [1000, LARGE])
def test_what_is_told_of_a_file_is_of_the_bytes_that_are_given(
    size: int, catalogue: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, measure = saved(content(size)), FlippingDriver.size

    def changed_meanwhile(self: FlippingDriver, oid: int) -> int:
        monkeypatch.setattr(FlippingDriver, "size", measure)
        with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
            file.write(b"changed")
        return measure(self, oid)

    monkeypatch.setattr(FlippingDriver, "size", changed_meanwhile)
    found = db_file_storage.find(name, LARGE)
    assert found.start[:7] == b"changed"
    assert (found.entry is None) is not catalogue
    assert found.entry is None or found.entry.sha256 is None


@pytest.mark.parametrize("autocommit", [True, False])
def test_whole_files_pass_a_driver_that_is_registered_for_what_it_wraps(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autocommit: bool
) -> None:
    data, path = content(LARGE), tmp_path / "file"
    raw = connect(autocommit=autocommit)
    below = get_driver(raw)
    monkeypatch.setattr(registry, "_registered", dict[str, Any]())
    registry.register_driver(type(raw), FlippingDriver)
    try:
        oid = save(raw, data)
        assert load(raw, oid) == data
        assert lo_export(raw, oid, path) == LARGE
        assert path.read_bytes() == data
        for made in (oid, copy(raw, oid), lo_import(raw, path)):
            assert below.get(made, 0, LARGE + 1) == flipped(data)
            with whole(raw, made) as file:
                assert file.read() == data
            below.unlink(made)
        assert below.in_transaction is not autocommit
    finally:
        monkeypatch.undo()
        registry.factory_for.cache_clear()  # pyright: ignore[reportPrivateUsage]  # what a driver was looked for before


@pytest.mark.parametrize("size", SIZES)
def test_a_subclass_reads_by_its_own_methods_alone(size: int) -> None:
    data = content(size)
    with override_settings(PG_LO_STORAGE_DRIVER="tests.storage.flipping.by_inheritance"):
        name = db_file_storage.save("a.bin", ContentFile(data))
        with db_file_storage.open(name) as file:
            assert file.read() == data
        with db_file_storage.open(name) as file:
            assert b"".join(file.chunks()) == data
        with transaction.atomic(), DbFileIO(loid_of(name)) as file:
            assert file.read() == data
        with DbFileIO(loid_of(name)) as file:
            assert file.read() == data
    assert in_the_server(loid_of(name)) == flipped(data)
