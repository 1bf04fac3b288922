"""The README of older warehouse-py: its model, and a view that copies the file."""

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client

from tests.predecessor.warehouse.models import Invoice
from tests.storage.support import LARGE, body, content, stored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.predecessor.urls")]


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("user"))
    return client


def test_both_fields_keep_files() -> None:
    Invoice.objects.create(data=ContentFile(b"one", name="a.tar.gz"), or_just_so=ContentFile(b"two", name="b.txt"))
    invoice = Invoice.objects.get()
    assert (invoice.data.name or "").endswith(".tar.gz")
    assert stored(invoice.data.name or "") == b"one"
    assert stored(invoice.or_just_so.name or "") == b"two"


@pytest.mark.parametrize("data", [b"", b"one\ntwo\r\n\nthree", content(LARGE)])
@pytest.mark.parametrize("field", ["data", "or_just_so"])
def test_the_view_serves_the_whole_file(field: str, data: bytes, client: Client) -> None:
    invoice = Invoice.objects.create(**{field: ContentFile(data, name="a.pdf")})
    response = client.get(getattr(invoice, field).url)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/pdf"
    assert body(response) == data


def test_the_view_is_for_those_who_are_logged_in() -> None:
    invoice = Invoice.objects.create(data=ContentFile(b"data", name="a.pdf"))
    assert Client().get(invoice.data.url).status_code == 302
