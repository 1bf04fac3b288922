"""Other applications' objects, and files under another extension, do not exist for storage and views."""

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.test import Client, RequestFactory

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFileIO, DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve
from tests.catalogue.support import entries, run, saved, uncatalogued
from tests.catalogue.support_storage import REPLICA
from tests.fixtures.connections import Connect
from tests.fixtures.connections import run as run_on
from tests.invoices.models import Invoice, Note
from tests.storage.support import ending_once_we_wait, loid_of, row_that_names, stored

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "replica"])

DATA = b"0123456789"
MODES = ["rb", "rb+", "wb", "wb+", "ab", "ab+"]


def does_not_exist(name: str, storage: DbFileStorage = db_file_storage) -> None:
    """Have everything that takes a name say that there is no such file, and the transaction go on."""
    with transaction.atomic():
        assert not storage.exists(name)
        for mode in MODES:
            with pytest.raises(FileNotFoundError):
                storage.open(name, mode)
        for ask in (
            storage.size,
            storage.entry,
            storage.verify,
            storage.get_created_time,
            storage.get_modified_time,
        ):
            with pytest.raises(FileNotFoundError):
                ask(name)
        assert storage.entries([name]) == {}
        storage.delete(name)
        for headers in ({}, {"range": "bytes=0-1"}):
            for method in ("GET", "HEAD"):
                request = RequestFactory().generic(method, "/", headers=headers)
                assert db_serve(request, name, storage=storage).status_code == 404
        Note.objects.create(text="after")
    assert Note.objects.exists()


def is_missing_for_a_row_that_names_it(name: str) -> None:
    """Have a row's field say so too, and the row be deleted without taking anything along."""
    row = row_that_names(name)
    for read in (row.data.open, lambda: row.data.size, lambda: row.data.original_name, lambda: row.data.sha256):
        with pytest.raises(FileNotFoundError):
            read()
    row.delete()


# Other applications' objects.


@pytest.fixture(params=["ours", "another role's"])
def foreign(request: pytest.FixtureRequest, connect: Connect) -> int:
    """The oid of an object that an application has made for itself, by the same role or by another."""
    if request.param == "ours":
        return uncatalogued(DATA)
    [(loid,)] = run_on(connect(user="stranger", autocommit=True), "select lo_from_bytea(0, '0123456789')")
    return int(loid)


@pytest.mark.parametrize("extension", ["", ".", ".pdf", ".tar.gz"])
def test_another_applications_object_is_no_file(
    extension: str, foreign: int, large_objects: Callable[[], set[int]]
) -> None:
    does_not_exist(f"{foreign}{extension}")
    is_missing_for_a_row_that_names_it(f"{foreign}{extension}")
    assert large_objects() == {foreign}
    assert db_file_storage.listdir("") == ([], [])


def test_another_applications_object_is_as_it_was() -> None:
    loid = uncatalogued(DATA)
    does_not_exist(f"{loid}.pdf")
    assert run("select lo_get(%s) = %s", loid, DATA) == [(True,)]


def test_a_row_that_names_another_applications_object_does_not_take_it_along(
    foreign: int, large_objects: Callable[[], set[int]]
) -> None:
    invoice = row_that_names(f"{foreign}.pdf", "data", "plain")
    invoice.data = ContentFile(b"ours", name="b.pdf")
    invoice.save()
    assert large_objects() == {foreign, loid_of(invoice.data.name or "")}
    invoice.data.delete()
    row_that_names(f"{foreign}.pdf").delete()
    Invoice.objects.all().delete()
    assert large_objects() == {foreign}


def test_its_url_is_not_found(foreign: int) -> None:
    assert Client().get(f"/files/{foreign}.pdf").status_code == 404


@pytest.mark.parametrize("loid", [2**31 - 1, 2**31, 2**32 - 1])
def test_oids_past_2_31_are_oids_as_any(loid: int, large_objects: Callable[[], set[int]]) -> None:
    uncatalogued(DATA, loid)
    does_not_exist(f"{loid}.pdf")
    run("select lo_unlink(%s::oid)", loid)
    with transaction.atomic(), DbFileIO(loid, "xb", name="a.pdf") as file:
        file.write(DATA)
    name = f"{loid}.pdf"
    with transaction.atomic(), db_file_storage.open(name, "ab") as again:
        again.write(b"!")
    assert entries() == {loid: ".pdf"}
    assert stored(name) == DATA + b"!"
    assert db_file_storage.size(name) == 11
    assert db_file_storage.listdir("") == ([], [name])
    assert db_file_storage.entry(name).loid == loid
    assert list(db_file_storage.entries([name])) == [name]
    does_not_exist(f"{loid}.txt")
    Invoice.objects.create(data=name).delete()
    assert not large_objects()
    assert not entries()


def test_an_object_of_another_database_is_no_file_there_nor_here() -> None:
    name = saved(data=DATA)
    other = DbFileStorage(alias="other")
    uncatalogued(b"other", loid_of(name), using="other")
    does_not_exist(name, other)
    assert stored(name) == DATA
    assert run("select lo_get(%s) = 'other'", loid_of(name), using="other") == [(True,)]


# Another extension.


@pytest.mark.parametrize(
    ("original", "extension"),
    [
        ("a.pdf", ""),
        ("a.pdf", "."),
        ("a.pdf", ".html"),
        ("a.pdf", ".PDF"),
        ("a.pdf", ".pdf.html"),
        ("a.pdf", ".pd"),
        ("a.pdf", ".%"),
        ("a.pdf", ".pdf "),
        ("a.tar.gz", ".gz"),
        ("a.tar.gz", ".tar"),
        ("a", ".html"),
        ("a", "."),
    ],
)
def test_a_file_does_not_exist_under_another_extension(original: str, extension: str) -> None:
    name = saved(original, DATA)
    before = StoredFile.objects.values().get()
    does_not_exist(f"{loid_of(name)}{extension}")
    is_missing_for_a_row_that_names_it(f"{loid_of(name)}{extension}")
    assert StoredFile.objects.values().get() == before
    assert stored(name) == DATA


# Two who delete one file.


@pytest.mark.parametrize("first_commits", [True, False])
def test_the_second_of_two_who_delete_a_file_waits_and_goes_on(
    first_commits: bool, connect: Connect, count_large_objects: Callable[[], int]
) -> None:
    name = saved(data=DATA)
    watcher = connect(autocommit=True)
    with transaction.atomic(using="replica"):
        REPLICA.delete(name)
        first = connections["replica"].connection
        with transaction.atomic():
            Note.objects.create(text="before")
            with ending_once_we_wait(first.commit if first_commits else first.rollback, watcher) as waited:
                db_file_storage.delete(name)
            assert waited.is_set()
            Note.objects.create(text="after")
    assert Note.objects.count() == 2
    assert not entries()
    assert count_large_objects() == 0


@pytest.mark.parametrize("committed", [False, True])
def test_who_writes_to_a_file_that_somebody_deletes_is_told(committed: bool, connect: Connect) -> None:
    name = saved(data=DATA)
    watcher = connect(autocommit=True)
    with transaction.atomic(using="replica"):
        commit = connections["replica"].connection.commit
        with transaction.atomic():
            Note.objects.create(text="before")
            with DbFileIO(loid_of(name), "rb+") as file:
                REPLICA.delete(name)
                if committed:
                    commit()
                with ending_once_we_wait(commit, watcher) as waited, pytest.raises(LargeObjectError) as caught:
                    file.write(b"lost")
            assert waited.is_set() is not committed
            assert caught.value.oid == loid_of(name)
            Note.objects.create(text="after")
    assert Note.objects.count() == 2
    # Nothing of it is left for the next object of that oid.
    with transaction.atomic(), DbFileIO(loid_of(name), "xb+") as again:
        assert again.read() == b""
