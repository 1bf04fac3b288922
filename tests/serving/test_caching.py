"""What browsers and proxies may keep of an answer, and show to whom."""

import time

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.http import HttpResponseBase
from django.test import Client, RequestFactory
from django.utils.cache import has_vary_header

from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.views import db_serve, db_serve_signed
from tests.invoices.models import Invoice
from tests.storage.support import LARGE, content

pytestmark = pytest.mark.django_db

SIGNED = DbFileStorage("/signed/", signed=True, max_age=600)


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def invoice(owner: User) -> Invoice:
    return Invoice.objects.create(owner=owner, data=ContentFile(b"0123456789", name="a.pdf"))


@pytest.fixture
def client(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def directives(response: HttpResponseBase) -> set[str]:
    return set(response.headers["Cache-Control"].split(", "))


def max_age(response: HttpResponseBase) -> int:
    [seconds] = [value for value in directives(response) if value.startswith("max-age=")]
    return int(seconds.removeprefix("max-age="))


ASKED: list[tuple[dict[str, str], int]] = [
    ({}, 200),
    ({"range": "bytes=1-2"}, 206),
    ({"range": "bytes=1-2,5-6"}, 206),
    ({"if-none-match": "*"}, 304),
    ({"if-match": '"other"'}, 412),
    ({"range": "bytes=99-"}, 416),
]


@pytest.mark.parametrize(("asked", "status"), ASKED)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whoever_loses_the_right_loses_what_was_kept(
    asked: dict[str, str], status: int, method: str, invoice: Invoice, client: Client
) -> None:
    url = f"/mine/{invoice.data.name}"
    response = client.generic(method, url, headers=asked)
    assert response.status_code == (200 if method == "HEAD" and "range" in asked else status)
    assert directives(response) == {"private", "no-cache"}
    assert has_vary_header(response, "Cookie")
    if response.status_code in {200, 206}:
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    client.logout()
    refused = client.generic(method, url, headers=asked)
    assert refused.status_code == 404
    assert directives(refused) == {"no-store"}


def test_a_large_file_is_kept_no_longer(owner: User, client: Client) -> None:
    invoice = Invoice.objects.create(owner=owner, data=ContentFile(content(LARGE), name="a.pdf"))
    response = client.get(f"/mine/{invoice.data.name}")
    assert directives(response) == {"private", "no-cache"}
    assert has_vary_header(response, "Cookie")


def test_the_session_is_named_wherever_it_was_asked(client: Client, invoice: Invoice) -> None:
    request = RequestFactory().get("/")
    request.session = client.session
    assert "Vary" not in db_serve(request, str(invoice.data)).headers
    assert request.session.get("_auth_user_id")
    assert db_serve(request, str(invoice.data)).headers["Vary"] == "Cookie"


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT"])
def test_no_answer_without_a_file_is_kept(method: str, invoice: Invoice) -> None:
    request = RequestFactory().generic(method, "/")
    assert directives(db_serve(request, str(invoice.data))) == {"no-store"}
    assert directives(db_serve_signed(request, str(invoice.data), storage=SIGNED)) == {"no-store"}


@pytest.mark.parametrize(("asked", "status"), ASKED)
def test_what_a_signed_url_gives_is_kept_until_it_ends(
    asked: dict[str, str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_800_000_000.25]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    name = SIGNED.save("a.pdf", ContentFile(b"0123456789"))
    url = SIGNED.url(name)

    def serve() -> HttpResponseBase:
        return db_serve_signed(RequestFactory().get(url, headers=asked), name, storage=SIGNED)

    expires = int(url.partition("=")[2].partition(".")[0])
    for moment in (*clock, expires - 1.5, expires - 0.5):
        clock[:] = [moment]
        response = serve()
        assert response.status_code == status
        assert expires - 1 < moment + max_age(response) <= expires
        assert "private" in directives(response)
        if status in {200, 206}:
            # It is for other sites' pages, too.
            assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    clock[0] = expires
    refused = serve()
    assert refused.status_code == 403
    assert directives(refused) == {"no-store"}


def test_what_a_signed_view_says_goes_before_what_it_would_say() -> None:
    name = SIGNED.save("a.pdf", ContentFile(b"0123456789"))
    headers = {"cache-control": "no-store", "cross-origin-resource-policy": None, "referrer-policy": "origin"}
    response = db_serve_signed(RequestFactory().get(SIGNED.url(name)), name, storage=SIGNED, headers=headers)
    assert directives(response) == {"no-store"}
    assert "Cross-Origin-Resource-Policy" not in response.headers
    assert response.headers["Referrer-Policy"] == "origin"
