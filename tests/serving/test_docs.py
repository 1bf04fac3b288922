"""The snippets of docs/serving.md run, and do what the text says."""

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.files.base import ContentFile
from django.http import Http404, HttpResponseBase
from django.test import RequestFactory
from django.urls import URLPattern

from tests.invoices.models import Invoice
from tests.serving.servers import ROOT
from tests.storage.support import joined

pytestmark = [pytest.mark.django_db, pytest.mark.once]

DOCUMENTATION = ROOT / "docs" / "serving.md"


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", DOCUMENTATION.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def ran(number: int) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "tests.serving.snippets", "Invoice": Invoice}
    exec(compile(snippets()[number], str(DOCUMENTATION), "exec"), namespace)
    return namespace


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def invoice(owner: User) -> Invoice:
    return Invoice.objects.create(owner=owner, data=ContentFile(b"%PDF-1.7", name="a.pdf"))


def ask(pattern: URLPattern, url: str, user: User | AnonymousUser | None = None) -> HttpResponseBase:
    request = RequestFactory().get(url)
    request.user = user or AnonymousUser()
    match = pattern.resolve(request.path.lstrip("/"))
    assert match, url
    response = match.func(request, *match.args, **match.kwargs)
    assert isinstance(response, HttpResponseBase)
    return response


def test_the_owner_reads_in_one_line(invoice: Invoice, owner: User) -> None:
    [pattern] = ran(0)["urlpatterns"]
    assert joined(ask(pattern, f"/media/{invoice.data.name}", owner)) == b"%PDF-1.7"
    assert ask(pattern, f"/media/{invoice.data.name}").status_code == 404


def test_a_queryset_decides(invoice: Invoice, owner: User) -> None:
    [pattern] = ran(1)["urlpatterns"]
    assert ask(pattern, f"/invoices/{invoice.pk}/file").status_code == 302
    reader = User.objects.create_user("reader")
    assert ask(pattern, f"/invoices/{invoice.pk}/file", reader).status_code == 404
    group = Group.objects.create(name="accounting")
    for user in (owner, reader):
        user.groups.add(group)
    assert ask(pattern, f"/invoices/{invoice.pk}/file", reader).status_code == 200


def test_a_function_decides(invoice: Invoice, owner: User) -> None:
    view = ran(2)["invoice_file"]
    request = RequestFactory().get("/")
    request.user = owner
    response = view(request, pk=invoice.pk)
    assert response.headers["Content-Disposition"] == f'inline; filename="invoice {invoice.pk}.pdf"'
    request.user = User.objects.create_user("stranger")
    with pytest.raises(Http404):
        view(request, pk=invoice.pk)


def test_all_is_adjustable(invoice: Invoice, owner: User) -> None:
    request = RequestFactory().get("/")
    request.user = owner
    response = ran(3)["view"](request, pk=invoice.pk)
    assert response.headers["Cache-Control"] == "private, max-age=60"


def test_no_example_takes_a_protection_away() -> None:
    for page in ("README.md", "docs/serving.md"):
        for snippet in re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL):
            assert not re.search(r"(Content-Security-Policy|X-Content-Type-Options)[\"']\s*:", snippet, re.IGNORECASE)


def test_a_url_carries_the_right_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = ran(4)
    [pattern], links = namespace["urlpatterns"], namespace["links"]
    name = links.save("a.pdf", ContentFile(b"%PDF-1.7"))
    url = links.url(name)
    assert joined(ask(pattern, url)) == b"%PDF-1.7"
    assert ask(pattern, url.partition("?")[0]).status_code == 403
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert ask(pattern, url).status_code == 403


def test_no_snippet_is_left_out() -> None:
    assert len(snippets()) == 5
