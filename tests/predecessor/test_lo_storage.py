"""The README of pg-lo-storage 0.2.2: its model, signal handlers, view and ``write``."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import db_file_storage
from tests.predecessor.lo_storage.files import write
from tests.predecessor.lo_storage.models import Invoice
from tests.storage.support import LARGE, body, content, rolled_back, stored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.predecessor.urls")]

Count = Callable[[], int]


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def name(owner: User) -> str:
    """The name of the file of the only row."""
    invoice = Invoice.objects.create(owner=owner, data=SimpleUploadedFile("a.pdf", b"first"))
    return invoice.data.name or ""


def replace() -> str:
    invoice = Invoice.objects.get()
    invoice.data = SimpleUploadedFile("b.pdf", b"second")
    invoice.save()
    return invoice.data.name or ""


def test_a_row_is_created_with_its_file(name: str, owner: User) -> None:
    invoice = Invoice.objects.get(owner=owner, data=name)
    assert invoice.data.url == f"/invoice/{name}"
    assert invoice.data.size == 5
    with invoice.data.open() as file:
        assert file.read() == b"first"


def test_a_creation_rolls_back(owner: User, count_large_objects: Count) -> None:
    with rolled_back():
        Invoice.objects.create(owner=owner, data=ContentFile(content(LARGE), name="a.pdf"))
    assert not Invoice.objects.exists()
    assert count_large_objects() == 0


def test_a_replaced_file_is_gone(name: str, count_large_objects: Count) -> None:
    second = replace()
    assert Invoice.objects.get().data.name == second
    assert stored(second) == b"second"
    assert not db_file_storage.exists(name)
    assert count_large_objects() == 1


def test_a_replacement_rolls_back(name: str, count_large_objects: Count) -> None:
    with rolled_back():
        replace()
    assert Invoice.objects.get().data.name == name
    assert stored(name) == b"first"
    assert count_large_objects() == 1


def test_a_row_is_saved_twice_in_one_transaction(name: str, count_large_objects: Count) -> None:
    with transaction.atomic():
        invoice = Invoice.objects.get()
        invoice.data = SimpleUploadedFile("b.pdf", b"second")
        invoice.save()
        # The handler deletes the first file once more.
        invoice.save()
    second = Invoice.objects.get().data.name or ""
    assert stored(second) == b"second"
    assert not db_file_storage.exists(name)
    assert count_large_objects() == 1


def test_a_row_is_replaced_twice_in_one_transaction(name: str) -> None:
    with transaction.atomic():
        replace()
        third = replace()
    assert Invoice.objects.get().data.name == third
    assert stored(third) == b"second"
    assert not db_file_storage.exists(name)


@pytest.mark.parametrize("update_fields", [None, ["owner"]])
def test_a_file_stays_where_the_row_is_saved_without_touching_it(update_fields: list[str] | None, name: str) -> None:
    invoice = Invoice.objects.get()
    invoice.owner = User.objects.create_user("heir")
    invoice.save(update_fields=update_fields)
    assert Invoice.objects.get().owner.username == "heir"
    assert stored(name) == b"first"


def test_a_cleared_file_is_gone(name: str, count_large_objects: Count) -> None:
    invoice = Invoice.objects.get()
    assert invoice.data.name == name
    invoice.data = None
    invoice.save()
    assert count_large_objects() == 0


def test_a_deleted_row_takes_its_file_along(name: str, count_large_objects: Count) -> None:
    Invoice.objects.get().delete()
    assert not db_file_storage.exists(name)
    assert count_large_objects() == 0


def test_a_cascade_takes_the_files_along(name: str, owner: User) -> None:
    owner.delete()
    assert not Invoice.objects.exists()
    assert not db_file_storage.exists(name)


def test_a_deletion_rolls_back(name: str) -> None:
    with rolled_back():
        Invoice.objects.get().delete()
    assert Invoice.objects.get().data.name == name
    assert stored(name) == b"first"


def test_the_owner_is_served(name: str, owner: User) -> None:
    client = Client()
    client.force_login(owner)
    response = client.get(f"/invoice/{name}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/pdf"
    assert body(response) == b"first"


def test_a_large_file_is_served(owner: User) -> None:
    data = content(LARGE)
    invoice = Invoice.objects.create(owner=owner, data=ContentFile(data, name="a.pdf"))
    client = Client()
    client.force_login(owner)
    assert body(client.get(invoice.data.url)) == data


def test_others_are_forbidden(name: str) -> None:
    client = Client()
    client.force_login(User.objects.create_user("other"))
    response = client.get(f"/invoice/{name}")
    assert response.status_code == 403
    assert b"first" not in body(response)


def test_who_is_not_logged_in_is_sent_to_the_login(name: str) -> None:
    response = Client().get(f"/invoice/{name}")
    assert response.status_code == 302
    assert "login" in response.headers["Location"]


@pytest.mark.parametrize(("pos", "left"), [(0, b"NEWst"), (2, b"fiNEW"), (5, b"firstNEW"), (7, b"first\0\0NEW")])
def test_write_overwrites_in_place(pos: int, left: bytes, name: str) -> None:
    loid = int(name.partition(".")[0])
    assert write(loid, b"NEW", pos) == loid
    assert stored(name) == left


def test_a_file_that_was_overwritten_in_place_is_served(name: str, owner: User) -> None:
    client = Client()
    client.force_login(owner)
    write(int(name.partition(".")[0]), content(LARGE), 0)
    assert body(client.get(f"/invoice/{name}")) == content(LARGE)
    assert db_file_storage.size(name) == LARGE


def test_what_write_creates_may_be_named_by_a_row_and_served(owner: User, count_large_objects: Count) -> None:
    invoice = Invoice.objects.create(owner=owner, data=f"{write(0, b'NEW', 0)}.pdf")
    client = Client()
    client.force_login(owner)
    response = client.get(invoice.data.url)
    assert (response.headers["Content-Type"], body(response)) == ("application/pdf", b"NEW")
    invoice.delete()
    assert count_large_objects() == 0


def change_and_delete(owner: User) -> None:
    kept, replaced, deleted = (
        Invoice.objects.create(owner=owner, data=SimpleUploadedFile("a.pdf", b"data")) for _row in range(3)
    )
    replaced = Invoice.objects.get(pk=replaced.pk)  # the handlers go by what was read
    replaced.data = SimpleUploadedFile("b.pdf", b"other")
    replaced.save()
    deleted.delete()
    write(int((kept.data.name or "").partition(".")[0]), b"NEW", 0)
    write(0, b"NEW", 0)


def test_the_catalogue_where_there_is_one_has_every_object(
    owner: User, catalogue: bool, large_objects: Callable[[], set[int]]
) -> None:
    change_and_delete(owner)
    with rolled_back():
        change_and_delete(owner)
    assert len(large_objects()) == 3
    assert set(StoredFile.objects.values_list("loid", flat=True)) == (large_objects() if catalogue else set())


def test_write_creates(count_large_objects: Count) -> None:
    loid = write(0, b"NEW", 0)
    assert stored(str(loid)) == b"NEW"
    with rolled_back():
        write(0, b"NEW", 0)
    assert count_large_objects() == 1
