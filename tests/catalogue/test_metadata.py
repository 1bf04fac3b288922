"""The original name and the content type; and what a row's field says of its file."""

import io
import tempfile
from pathlib import Path
from typing import cast

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import connections, models, transaction
from django.db.models import Value
from django.db.models.functions import Cast
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from pg_lo_storage.catalogue import Entry
from pg_lo_storage.fields import DbFieldFile, prefetch_stored_files
from pg_lo_storage.models import OidField, StoredFile
from pg_lo_storage.storage import DbFileIO, DbFileStorage, db_file_storage
from tests.catalogue.support import run, saved, uncatalogued
from tests.catalogue.support_storage import WIRED, digest, round_trips, row
from tests.fixtures.proxy import Wire
from tests.invoices.models import Invoice
from tests.storage.support import UNACCEPTABLE_NAMES, loid_of, row_that_names, spelled

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "wired"])

OCTETS = "application/octet-stream"


# The original name.


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("Straßenübersicht März.pdf", "Straßenübersicht März.pdf"),
        ("請求書 2024.pdf", "請求書 2024.pdf"),
        ("تقرير.pdf", "تقرير.pdf"),
        ("\u202e🎉.pdf", "\u202e🎉.pdf"),
        ('it\'s "quoted"; drop table x;--.pdf', 'it\'s "quoted"; drop table x;--.pdf'),
        ("100% %s %(x)s {y}.pdf", "100% %s %(x)s {y}.pdf"),
        ("folder/sub/a.pdf", "a.pdf"),
        ("C:\\folder\\a.pdf", "a.pdf"),
        ("../../etc/passwd", "passwd"),
        ("folder/", ""),
        ("..", ".."),
        (" a.pdf ", "a.pdf"),
        ("a\n\tb.pdf", "a\n\tb.pdf"),
        ("nul\0.p\0df", "nul.pdf"),
        ("lone\ud800\udfff.pdf", "lone.pdf"),
        ("\0\ud800", ""),
        ("", ""),
        (".hidden", ".hidden"),
        ("12.pdf", "12.pdf"),
        ("a" * 996 + ".pdf", "a" * 996 + ".pdf"),
        ("a" * 5000 + ".pdf", "a" * 996 + ".pdf"),
        ("é" * 1001, "é" * 1000),
    ],
)
def test_the_original_name_is_kept_without_its_path_and_what_text_cannot_hold(given_name: str, kept: str) -> None:
    name = saved(given_name)
    assert row(name).original_name == kept
    assert db_file_storage.entry(name).original_name == kept


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_no_name_is_too_odd_to_be_kept(original: str) -> None:
    entry = row(saved(original))
    assert not set(entry.original_name) & set("/\\\0")
    assert set(entry.original_name) <= set(original)
    assert entry.original_name == entry.original_name.encode(errors="replace").decode()


def test_a_file_without_a_name_has_none() -> None:
    for content in (ContentFile(b"data"), io.BytesIO(b"data")):
        assert row(db_file_storage.save(None, content)).original_name == ""
    with tempfile.TemporaryFile() as file:  # whose name is a number
        assert row(db_file_storage.save(None, file)).original_name == ""


def test_a_path_is_a_name() -> None:
    path = cast("str", Path("folder") / "März.pdf")
    assert row(db_file_storage.save(path, io.BytesIO())).original_name == "März.pdf"


# The content type.


@pytest.mark.parametrize(
    ("original", "declared", "content_type"),
    [
        ("a.pdf", None, "application/pdf"),
        ("a.PDF", None, "application/pdf"),
        ("a.pdf", "text/html", "application/pdf"),
        ("a.tar.gz", "text/html", "application/gzip"),
        ("data:text/html,x", None, OCTETS),
        ("a.unheard-of", None, OCTETS),
        ("a.unheard-of", "image/png", "image/png"),
        ("a", "IMAGE/PNG", "image/png"),
        ("a", "text/plain; charset=utf-7", "text/plain"),
        ("a", "text/plain ;\r\nSet-Cookie: x", "text/plain"),
        ("a", "application/vnd.x-y+z.1", "application/vnd.x-y+z.1"),
        ("a", "", OCTETS),
        ("a", "text", OCTETS),
        ("a", "text/", OCTETS),
        ("a", "/plain", OCTETS),
        ("a", "text/plain/x", OCTETS),
        ("a", " text/plain", OCTETS),
        ("a", "text/plain\r\nSet-Cookie: x", OCTETS),
        ("a", "text/plain\n", OCTETS),
        ("a", "text/pl\0ain", OCTETS),
        ("a", "text/pläin", OCTETS),
        ("a", "text/\ud800", OCTETS),
        ("a", "te xt/plain", OCTETS),
        ("a", "text/" + "x" * 128, OCTETS),
        ("a", b"text/plain", OCTETS),
        ("a", 5, OCTETS),
    ],
)
def test_the_content_type_is_the_extensions_else_the_uploads(
    original: str, declared: object, content_type: str
) -> None:
    upload = ContentFile(b"data")
    upload.content_type = declared  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  an upload's
    assert row(db_file_storage.save(original, upload)).content_type == content_type


def test_an_upload_on_disk_declares_its_type_as_one_in_memory() -> None:
    with TemporaryUploadedFile("a.unheard-of", "image/png", 0, None) as upload:
        assert row(db_file_storage.save(None, upload)).content_type == "image/png"
    in_memory = SimpleUploadedFile("a.unheard-of", b"", content_type="image/png")
    assert row(db_file_storage.save(None, in_memory)).content_type == "image/png"


def test_both_survive_a_form() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    upload = SimpleUploadedFile("請求書 “März”.scan", b"data", content_type="image/png; q=1")
    assert client.post("/admin/invoices/invoice/add/", {"data": upload}).status_code == 302
    data = Invoice.objects.get().data
    assert data.original_name == "請求書 “März”.scan"
    assert data.content_type == "image/png"
    assert data.name == f"{data.loid}.scan"


# What a row's field says.


def metadata(file: DbFieldFile) -> tuple[object, ...]:
    return file.original_name, file.content_type, file.sha256, file.created_at


def invoice(original: str) -> Invoice:
    return Invoice.objects.create(data=ContentFile(b"data", name=original))


def test_a_field_says_what_the_entry_says() -> None:
    for data in (invoice("März.tar.gz").data, Invoice.objects.get().data):
        created = row(data.name or "").created_at
        assert metadata(data) == ("März.tar.gz", "application/gzip", digest(b"data"), created)


def test_a_field_asks_once(django_assert_num_queries: DjangoAssertNumQueries, wire: Wire) -> None:
    invoice("a.pdf")
    with override_settings(PG_LO_STORAGE_DB_FOR_READ="wired"), django_assert_num_queries(1):
        data = Invoice.objects.get().data
        assert round_trips(wire, lambda: metadata(data)) == 1
        assert round_trips(wire, lambda: metadata(data)) == 0


@pytest.mark.parametrize("name", [None, ""])
def test_an_empty_field_says_nothing(name: str | None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    data = Invoice(data=name).data
    with django_assert_num_queries(0):
        assert metadata(data) == (None, None, None, None)


def test_an_upload_that_is_not_saved_yet_says_nothing_of_the_catalogues() -> None:
    data = Invoice(data=SimpleUploadedFile("a.pdf", b"data")).data
    assert metadata(data) == (None, "application/pdf", None, None)


@pytest.mark.parametrize("any_extension", [False, True])
def test_a_field_says_what_is_true_of_the_file_that_replaced_another(any_extension: bool) -> None:
    with transaction.atomic(), DbFileIO(0, "wb", name="" if any_extension else "old.pdf") as file:
        file.write(b"old")
    invoice = Invoice.objects.create(data=file.name)
    data = invoice.data
    assert data.original_name == ("" if any_extension else "old.pdf")
    data.save("new.pdf", ContentFile(b"new"))
    assert (data.original_name, data.sha256) == ("new.pdf", digest(b"new"))
    invoice.data = SimpleUploadedFile("newer.pdf", b"newer")
    invoice.save()
    assert invoice.data.original_name == "newer.pdf"


def test_a_field_opened_to_be_written_asks_again() -> None:
    data = invoice("a.pdf").data
    assert data.sha256 == digest(b"data")
    with transaction.atomic(), data.open("rb+") as file:
        file.write(b"DATA")
    assert data.sha256 is None
    assert data.original_name == "a.pdf"


# Of many files.


def test_entries_finds_those_that_are_files() -> None:
    names = [saved(f"{number}.pdf") for number in range(3)]
    with transaction.atomic(), DbFileIO(0, "wb") as file:
        pass
    anything = f"{file.loid}.html"
    wrong = [spelled(template, loid_of(names[0])) for template in UNACCEPTABLE_NAMES]
    wrong += ["4294967295.pdf", f"{loid_of(names[0])}.html", f"{loid_of(names[1])}", f"{uncatalogued()}.pdf"]
    wrong += cast("list[str]", [None, 5])
    found = db_file_storage.entries(name for name in [*names, *wrong, anything, names[0]])
    assert set(found) == {*names, anything}
    for name, entry in found.items():
        assert isinstance(entry, Entry)
        assert entry == db_file_storage.entry(name)


def test_entries_are_asked_for_at_once_and_not_where_there_is_nothing_to_ask(wire: Wire) -> None:
    names = [WIRED.save(f"{number}.pdf", ContentFile(b"data")) for number in range(30)]
    missing = [f"{loid}.pdf" for loid in range(4_000_000_000, 4_000_003_000)]
    assert round_trips(wire, lambda: WIRED.entries(names)) == 1
    assert round_trips(wire, lambda: WIRED.entries(names + missing)) == 1
    assert round_trips(wire, lambda: WIRED.entries([])) == 0
    assert round_trips(wire, lambda: WIRED.entries(["x", "../1"])) == 0
    assert set(WIRED.entries(names + missing)) == set(names)


def test_entries_missing_on_the_read_alias_are_looked_for_on_the_write_alias(wire: Wire) -> None:
    names = [saved(f"{number}.pdf") for number in range(3)]
    there = DbFileStorage(alias="other").save("there.pdf", ContentFile(b"data"))
    with override_settings(PG_LO_STORAGE_DB_FOR_READ="other", PG_LO_STORAGE_DB_FOR_WRITE="wired"):
        found = db_file_storage.entries([*names, there])
        assert set(found) == {*names, there}
        assert found[there].original_name == "there.pdf"
        assert round_trips(wire, lambda: db_file_storage.entries([*names, there])) == 1
        assert round_trips(wire, lambda: db_file_storage.entries([there])) == 0
    assert set(db_file_storage.entries([*names, there])) == set(names)


@pytest.mark.parametrize("rows", [1, 50])
def test_prefetched_rows_say_all_without_a_query(rows: int, wire: Wire) -> None:
    for number in range(rows):
        Invoice.objects.create(
            data=ContentFile(b"data", name=f"data {number}.pdf"), short=ContentFile(b"", name=f"short {number}.txt")
        )
    Invoice.objects.create()
    with override_settings(PG_LO_STORAGE_DB_FOR_READ="wired"):
        invoices = list(Invoice.objects.order_by("pk"))
        assert round_trips(wire, lambda: prefetch_stored_files(invoices, "data", "short")) == 1
        assert round_trips(wire, lambda: [metadata(each.data) + metadata(each.short) for each in invoices]) == 0
    *full, empty = invoices
    assert [each.data.original_name for each in full] == [f"data {number}.pdf" for number in range(rows)]
    assert [each.short.original_name for each in full] == [f"short {number}.txt" for number in range(rows)]
    assert metadata(empty.data) == (None, None, None, None)


def test_prefetching_asks_each_storage_once(wire: Wire) -> None:
    for _row in range(3):
        Invoice.objects.create(data=ContentFile(b"", name="a.pdf"), elsewhere=ContentFile(b"", name="b.pdf"))
    with override_settings(PG_LO_STORAGE_DB_FOR_READ="wired"):
        invoices = list(Invoice.objects.all())
        assert round_trips(wire, lambda: prefetch_stored_files(invoices, "data", "elsewhere")) <= 2
        assert round_trips(wire, lambda: [metadata(each.data) + metadata(each.elsewhere) for each in invoices]) == 0


def test_prefetching_leaves_out_what_is_missing() -> None:
    kept, gone = invoice("kept.pdf"), invoice("gone.pdf")
    swapped = row_that_names(f"{kept.data.loid}.html")
    garbage = Invoice.objects.create(data="garbage", plain=ContentFile(b"", name="plain.pdf"))
    upload = Invoice(data=SimpleUploadedFile("a.pdf", b""))
    run("select lo_unlink(%s)", cast("int", gone.data.loid))
    prefetch_stored_files(iter([kept, gone, swapped, garbage, upload]), "data", "plain")
    assert kept.data.original_name == "kept.pdf"
    for missing in (gone, swapped, garbage):
        with pytest.raises(FileNotFoundError):
            _ = missing.data.original_name


def test_prefetching_again_forgets_what_was_found_before() -> None:
    one = invoice("a.pdf")
    prefetch_stored_files([one], "data")
    with transaction.atomic(), db_file_storage.open(one.data.name or "", "ab") as file:
        file.write(b"more")
    assert one.data.sha256 == digest(b"data")
    prefetch_stored_files([one], "data")
    assert one.data.sha256 is None


def test_prefetching_nothing_asks_nothing(wire: Wire) -> None:
    with override_settings(PG_LO_STORAGE_DB_FOR_READ="wired", PG_LO_STORAGE_DB_FOR_WRITE="wired"):
        assert round_trips(wire, lambda: prefetch_stored_files([], "data")) == 0
        assert round_trips(wire, lambda: prefetch_stored_files([Invoice()], "data", "short")) == 0


@pytest.mark.parametrize("loid", [-1, 2**32, 2**70])
def test_an_oid_out_of_range_is_of_no_entry_and_takes_no_query(loid: int) -> None:
    with CaptureQueriesContext(connections["default"]) as queries:
        assert not StoredFile.objects.filter(loid=loid).exists()
    assert not queries.captured_queries


def test_what_refers_to_an_entry_and_what_is_cast_are_oids_too() -> None:
    name = db_file_storage.save("a.txt", ContentFile(b"x"))
    field = StoredFile._meta.pk
    assert field is not None
    assert models.ForeignKey(StoredFile, models.CASCADE).target_field is field
    assert field.rel_db_type(connections["default"]) == "oid"
    [loid] = StoredFile.objects.annotate(as_oid=Cast(Value(name.partition(".")[0]), OidField())).values_list(
        "as_oid", flat=True
    )
    assert f"{loid}.txt" == name
