"""A row that the database refuses: the instance goes on naming the file that its row names."""

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext

import pytest
from django.core.files.base import ContentFile
from django.db import DataError, transaction

from pg_lo_storage.storage import db_file_storage
from tests.invoices.models import Invoice
from tests.storage.support import LARGE, content, stored
from tests.storage.test_fields import picture

pytestmark = pytest.mark.django_db(transaction=True)

NEW = content(LARGE)
Oids = Callable[[], set[int]]


@pytest.fixture(params=["autocommit", "transaction"])
def invoice(request: pytest.FixtureRequest) -> Generator[Invoice]:
    """An invoice with a file, saved before the transaction, if any, that the test is in."""
    saved = Invoice.objects.create(data=ContentFile(b"old", name="old.txt"))
    with transaction.atomic() if request.param == "transaction" else nullcontext():
        yield saved


@contextmanager
def refused(invoice: Invoice) -> Generator[None]:
    """Have the database refuse the row: its name for a column of 10 characters is too long."""
    invoice.short = "x" * 11
    with pytest.raises(DataError):
        yield
    invoice.short = None


def save(invoice: Invoice) -> None:
    invoice.data.save("new.pdf", ContentFile(NEW))


def delete(invoice: Invoice) -> None:
    invoice.data.delete()


@pytest.mark.parametrize("use", [save, delete])
def test_the_instance_names_its_old_file_which_still_opens(
    invoice: Invoice, use: Callable[[Invoice], None], large_objects: Oids
) -> None:
    before, old = large_objects(), invoice.data.name
    with refused(invoice):
        use(invoice)
    assert invoice.data.name == old
    assert invoice.data.loid in before
    with invoice.data.open() as file:
        assert file.read() == b"old"
    invoice.save()
    assert Invoice.objects.get().data.name == old
    assert stored(old or "") == b"old"
    assert large_objects() == before


def test_saving_again_works(invoice: Invoice) -> None:
    with refused(invoice):
        save(invoice)
    save(invoice)
    name = Invoice.objects.get().data.name or ""
    assert name == invoice.data.name
    assert name == f"{invoice.data.loid}.pdf"
    assert stored(name) == NEW


def test_deleting_again_works(invoice: Invoice) -> None:
    old = invoice.data.name or ""
    with refused(invoice):
        delete(invoice)
    delete(invoice)
    assert not Invoice.objects.get().data
    assert not db_file_storage.exists(old)


def test_a_file_that_was_open_can_be_opened_again(invoice: Invoice) -> None:
    data = invoice.data
    assert data.read() == b"old"
    with refused(invoice):
        data.save("new.pdf", ContentFile(NEW))
    assert invoice.data is data
    with data.open() as file:
        assert file.read() == b"old"


def test_a_first_file_leaves_the_field_empty(count_large_objects: Callable[[], int]) -> None:
    invoice = Invoice()
    with refused(invoice):
        save(invoice)
    assert not invoice.data
    assert invoice.data.loid is None
    assert count_large_objects() == 0
    assert not Invoice.objects.exists()
    save(invoice)
    assert stored(Invoice.objects.get().data.name or "") == NEW
    assert count_large_objects() == 1


def test_an_image_keeps_its_dimensions() -> None:
    invoice = Invoice.objects.create(scan=picture(30, 20))
    old = invoice.scan.name
    with refused(invoice):
        invoice.scan.save("new.png", picture(5, 6))
    assert invoice.scan.name == old
    assert (invoice.scan_width, invoice.scan_height) == (30, 20)
    with refused(invoice):
        invoice.scan.delete()
    assert invoice.scan.name == old
    assert (invoice.scan_width, invoice.scan_height) == (30, 20)


def test_an_image_whose_file_is_missing_hides_no_error() -> None:
    invoice = Invoice.objects.create(scan=picture(30, 20))
    db_file_storage.delete(invoice.scan.name or "")
    with refused(invoice):
        invoice.scan.save("new.png", picture(5, 6))
    invoice.scan.save("new.png", picture(5, 6))
    assert (invoice.scan_width, invoice.scan_height) == (5, 6)


def test_a_field_that_is_saved_and_opened_again_has_the_new_file(invoice: Invoice) -> None:
    data = invoice.data
    assert data.open().read() == b"old"
    data.save("new.pdf", ContentFile(NEW))
    for field in (data, invoice.data):
        with field.open() as file:
            assert file.read() == NEW
