"""The admin shows what is in the table, whatever the stored names look like."""

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from pg_lo_storage.storage import db_file_storage
from tests.invoices.models import Invoice
from tests.storage.support import loid_of, row_that_names, stored

pytestmark = pytest.mark.django_db(transaction=True)

ODD_NAMES = [
    "{loid}.pdf",
    "{loid}.v1.2.pdf",
    "{loid}.tar.gz",
    "4294967295.pdf",
    "99999999999999999999.pdf",
    "garbage",
    "../../etc/passwd",
    "//evil.example/12.txt",
    "javascript:alert(1)",
    "-5",
    ".",
    " ",
    "{loid}.<script>",
    "{loid}.日本",
    "x" * 100,
]


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


@pytest.fixture
def loid() -> int:
    return loid_of(db_file_storage.save("a.pdf", ContentFile(b"0123456789")))


@pytest.mark.parametrize("field", ["data", "plain", "elsewhere", "via_callable"])
@pytest.mark.parametrize("odd_name", ODD_NAMES)
def test_a_row_of_any_stored_name_is_listed_and_shown(odd_name: str, field: str, admin: Client, loid: int) -> None:
    name = odd_name.replace("{loid}", str(loid))
    invoice = row_that_names(name, field)
    for url in (
        reverse("admin:invoices_invoice_changelist"),
        reverse("admin:invoices_invoice_change", args=[invoice.pk]),
        reverse("admin:invoices_invoice_delete", args=[invoice.pk]),
    ):
        response = admin.get(url)
        assert response.status_code == 200
        assert 'href="//' not in response.text
        assert 'href="javascript' not in response.text
        assert "<script>/" not in response.text


def test_a_file_is_uploaded_and_replaced_and_cleared(admin: Client) -> None:
    url = reverse("admin:invoices_invoice_add")
    assert admin.post(url, {"data": SimpleUploadedFile("a.tar.gz", b"first")}).status_code == 302
    invoice = Invoice.objects.get()
    assert stored(invoice.data.name or "") == b"first"

    url = reverse("admin:invoices_invoice_change", args=[invoice.pk])
    assert admin.post(url, {"data": SimpleUploadedFile("b.pdf", b"second")}).status_code == 302
    invoice = Invoice.objects.get()
    name = invoice.data.name or ""
    assert name == f"{invoice.data.loid}.pdf"
    assert stored(name) == b"second"

    assert admin.post(url, {}).status_code == 302
    assert Invoice.objects.get().data == invoice.data
    assert admin.post(url, {"data-clear": "on"}).status_code == 302
    assert not Invoice.objects.get().data
