"""What a row's file says of itself, and what that costs, once the catalogue has been asked."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import transaction

from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.fields import DbFieldFile, prefetch_stored_files
from pg_lo_storage.storage import DbFileIO
from tests.invoices.models import Invoice
from tests.storage.support import rolled_back

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("catalogue", [True], indirect=True),
    pytest.mark.usefixtures("catalogue"),
]

CONTENT = b"content"


def rows(count: int) -> list[Invoice]:
    for number in range(count):
        Invoice.objects.create(data=ContentFile(CONTENT * number, name=f"{number}.txt"))
    found = list(Invoice.objects.order_by("pk"))
    prefetch_stored_files(found, "data")
    return found


def row() -> Invoice:
    Invoice.objects.create(data=ContentFile(CONTENT, name="a.txt"))
    [found] = Invoice.objects.all()
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The statements that the package sends from now on."""
    sent: list[object] = []
    original = DatabaseDriver.perform

    def perform(self: DatabaseDriver, statement: Statement[Any], *arguments: Any) -> object:
        sent.append(statement.query)
        return original(self, statement, *arguments)

    monkeypatch.setattr(DatabaseDriver, "perform", perform)
    return sent


def test_the_sizes_of_many_rows_take_the_one_query_that_asked_the_catalogue(statements: list[object]) -> None:
    found = rows(20)
    del statements[:-1]
    assert [row.data.size for row in found] == [number * len(CONTENT) for number in range(20)]
    assert len(statements) == 1


def test_without_having_asked_it_each_takes_one(statements: list[object]) -> None:
    file = row().data
    del statements[:]
    assert (file.size, file.size) == (7, 7)
    assert len(statements) == 2
    assert (file.original_name, file.size, file.size) == ("a.txt", 7, 7)
    assert len(statements) == 3


WRITES: dict[str, Callable[[DbFieldFile], object]] = {
    "write": lambda file: file.write(b"CONTENT and more"),
    "truncate": lambda file: file.file.truncate(16),
}


@pytest.mark.parametrize("write", WRITES)
def test_what_was_written_through_the_file_shows_at_once(write: str) -> None:
    [invoice] = rows(1)
    file = invoice.data
    with transaction.atomic():
        file.open("rb+")
        assert (file.size, file.sha256) == (0, sha256(b""))
        WRITES[write](file)
        assert (file.size, file.sha256, file.original_name) == (16, None, "0.txt")
        file.close()
        assert (file.size, file.sha256) == (16, None)
    assert (file.size, file.sha256) == (16, None)


def test_what_was_written_and_taken_back_shows_no_more() -> None:
    file = row().data
    with transaction.atomic():
        with rolled_back(), file.open("rb+"):
            file.write(b"other content")
            assert (file.size, file.sha256) == (13, None)
        assert (file.size, file.sha256) == (7, sha256(CONTENT))
    with rolled_back(), file.open("wb"):
        assert (file.size, file.sha256) == (0, None)
    assert (file.size, file.sha256) == (7, sha256(CONTENT))


def test_another_file_in_its_place_is_asked_about() -> None:
    invoice = row()
    assert invoice.data.original_name == "a.txt"
    invoice.data.save("b.txt", ContentFile(b"longer content"))
    assert (invoice.data.size, invoice.data.original_name) == (14, "b.txt")
    invoice.data = ContentFile(b"an upload", name="c.txt")
    assert invoice.data.size == 9
    invoice.save()
    assert (invoice.data.size, invoice.data.original_name) == (9, "c.txt")


def test_a_size_that_the_catalogue_does_not_know_is_the_objects() -> None:
    invoice = row()
    with transaction.atomic(), DbFileIO(invoice.data.loid or 0, "rb+") as file:
        file.write(b"much longer content")
    prefetch_stored_files([invoice], "data")
    assert invoice.data.entry
    assert invoice.data.entry.size is None
    assert invoice.data.size == 19
