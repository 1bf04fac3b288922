"""What changes or deletes a file takes its own name, and none that another package has derived from it."""

import asyncio

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction

from pg_lo_storage.storage import db_file_storage
from tests.invoices.models import Invoice
from tests.storage.support import loid_of, make_by_hand, rolled_back, stored

pytestmark = pytest.mark.django_db(transaction=True)

DATA = b"\x89PNG"
# As thumbnail packages make them: no name that save gives.
LONG = ["{name}.100x100_q85.jpg", "{loid}.thumb.jpg", "{loid}.100x100.jpg", "{loid}.", "{loid}..jpg", "{loid}.jpg.webp"]
# Such as save might have given, too.
SHORT = ["{loid}.webp", "{loid}", "{loid}.thumbnail", "{loid}.JPG"]
WRITING = ["rb+", "wb", "wb+", "ab", "ab+"]


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.jpg", ContentFile(DATA))


def derived(template: str, name: str) -> str:
    return template.format(name=name, loid=loid_of(name))


def insert(name: str, field: str = "data") -> None:
    """Insert a row that has the name, whatever it is, past the field."""
    with connection.cursor() as cursor:
        cursor.execute(f'insert into invoices_invoice ("{field}") values (%s)', [name])


def is_untouched_by(other: str, name: str) -> bool:
    """Try all that changes or deletes, by the other name."""
    db_file_storage.delete(other)
    asyncio.run(db_file_storage.adelete(other))
    for mode in WRITING:
        with pytest.raises(FileNotFoundError), transaction.atomic():
            db_file_storage.open(other, mode)
    with pytest.raises(FileNotFoundError):
        asyncio.run(db_file_storage.aopen(other, "wb"))
    return stored(name) == DATA


@pytest.mark.parametrize("template", LONG)
def test_a_name_that_save_does_not_make_reaches_nothing(template: str, name: str) -> None:
    assert is_untouched_by(derived(template, name), name)


@pytest.mark.parametrize("field", ["data", "scan", "plain", "elsewhere"])
@pytest.mark.parametrize("template", LONG + SHORT)
def test_a_file_that_a_row_names_has_that_name_alone(template: str, field: str, name: str) -> None:
    insert(name, field)
    assert is_untouched_by(derived(template, name), name)


def test_neither_does_it_before_the_row_is_committed(name: str) -> None:
    with transaction.atomic():
        Invoice.objects.create(data=name)
        db_file_storage.delete(derived("{loid}.webp", name))
        assert stored(name) == DATA


@pytest.mark.parametrize("template", LONG)
def test_a_name_that_a_row_has_is_the_files_own(template: str, name: str, catalogue: bool) -> None:
    other = derived(template, name)
    insert(other)
    if catalogue:  # which knows better than the row
        assert is_untouched_by(other, name)
        return
    with transaction.atomic(), db_file_storage.open(other, "rb+") as file:
        file.write(b"!")
    assert stored(other) == b"!PNG"
    db_file_storage.delete(name)
    assert db_file_storage.exists(name)
    db_file_storage.delete(other)
    assert not db_file_storage.exists(name)


@pytest.mark.parametrize("extension", [".v1.2.pdf", ".pdf.old", ".ünï"])
def test_a_longer_name_of_the_predecessor_is_a_rows_own(extension: str) -> None:
    make_by_hand(f"123456789{extension}", DATA)
    invoice = Invoice.objects.create(data=f"123456789{extension}")
    with transaction.atomic(), invoice.data.open("wb") as file:
        file.write(b"new")
    assert stored(f"123456789{extension}") == b"new"
    invoice.data.delete()
    assert not db_file_storage.exists(f"123456789{extension}")


def test_of_several_rows_each_may_have_a_name_for_it(name: str, catalogue: bool) -> None:
    other = derived("{loid}.v1.2.jpg", name)
    insert(name)
    insert(other, "plain")
    db_file_storage.delete(derived("{loid}.v1.3.jpg", name))
    assert stored(name) == DATA
    db_file_storage.delete(other)
    assert db_file_storage.exists(name) is catalogue


def test_a_row_of_another_file_says_nothing(name: str) -> None:
    insert(f"{loid_of(name)}0.webp")
    insert(f"{loid_of(name) + 1}.jpg", "plain")
    db_file_storage.delete(name)
    assert not db_file_storage.exists(name)


def test_without_rows_a_file_is_changed_and_deleted_by_the_name_that_save_gave(name: str) -> None:
    with transaction.atomic(), db_file_storage.open(name, "wb") as file:
        file.write(b"new")
    assert stored(name) == b"new"
    db_file_storage.delete(name)
    assert not db_file_storage.exists(name)


def test_a_file_that_is_read_by_another_name_is_not_opened_again_to_be_written(name: str, catalogue: bool) -> None:
    if catalogue:  # it is not even read
        return
    for template in LONG:
        with db_file_storage.open(derived(template, name)) as file:
            assert file.open().read() == DATA
            with pytest.raises(FileNotFoundError), transaction.atomic():
                file.open("wb")
    with transaction.atomic():
        db_file_storage.open(name).open("wb").close()
    assert stored(name) == b""


def test_a_field_file_that_was_given_another_name_opens_what_is_so_named(name: str) -> None:
    data = Invoice.objects.create(data=name).data
    assert data.read() == DATA
    data.name = derived("{loid}.webp", name)
    with pytest.raises(FileNotFoundError), transaction.atomic():
        data.open("wb")
    assert stored(name) == DATA


@pytest.mark.parametrize(
    "change",
    [
        "alter table invoices_invoice rename to not_there_yet",
        "alter table invoices_invoice rename column short to not_there_yet",
        "revoke select on invoices_invoice from current_user",
    ],
)
def test_columns_that_are_not_there_or_not_to_be_read_say_nothing(change: str, name: str) -> None:
    with rolled_back():
        with connection.cursor() as cursor:
            cursor.execute(change)
        for template in LONG:
            db_file_storage.delete(derived(template, name))
        assert stored(name) == DATA
        db_file_storage.delete(name)
        assert not db_file_storage.exists(name)
    assert stored(name) == DATA
