"""``DbFileView``: rows decide who may read their files."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db import connection, models
from django.http import HttpResponseBase
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from typing_extensions import override

from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.views import DbFileView
from tests.invoices.models import Invoice, Note
from tests.storage.support import UNACCEPTABLE_NAMES, joined, loid_of, row_that_names, spelled

View = Callable[..., HttpResponseBase]

pytestmark = pytest.mark.django_db

OWNERS: View = DbFileView.as_view(model=Invoice, field="data", owner="owner")


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def invoice(owner: User) -> Invoice:
    return Invoice.objects.create(owner=owner, data=ContentFile(b"0123456789", name="a.pdf"))


def ask(
    view: View, user: User | AnonymousUser | None = None, method: str = "GET", **found_by: object
) -> HttpResponseBase:
    request = RequestFactory().generic(method, "/")
    request.user = user or AnonymousUser()
    return view(request, **found_by)


@pytest.mark.parametrize("by", ["filename", "pk"])
def test_the_owner_reads_a_file_and_for_all_others_there_is_none(by: str, invoice: Invoice, owner: User) -> None:
    found_by: dict[str, Any] = {by: invoice.data.name if by == "filename" else invoice.pk}
    response = ask(OWNERS, owner, **found_by)
    assert response.status_code == 200
    assert joined(response) == b"0123456789"
    stranger = User.objects.create_superuser("stranger")
    for other in (stranger, None):
        refused = ask(OWNERS, other, **found_by)
        assert (refused.status_code, joined(refused)) == (404, b"")
        assert refused.headers["Cache-Control"] == "no-store"


def test_a_row_without_an_owner_is_nobodys() -> None:
    made = Invoice.objects.create(data=ContentFile(b"data", name="a.pdf"))
    assert ask(OWNERS, pk=made.pk).status_code == 404


def test_one_line_in_the_urls_is_enough(invoice: Invoice, owner: User) -> None:
    client = Client()
    assert client.get(f"/mine/{invoice.data.name}").status_code == 404
    client.force_login(owner)
    assert client.get(f"/mine/{invoice.data.name}").status_code == 200
    assert client.get(f"/mine/{invoice.data.name}", headers={"range": "bytes=1-2"}).status_code == 206


def test_it_works_in_asynchronous_projects(invoice: Invoice, owner: User) -> None:
    client = AsyncClient()
    client.force_login(owner)
    response = async_to_sync(client.get)(f"/mine/{invoice.data.name}")
    assert response.content == b"0123456789"


def test_the_owner_may_be_found_over_other_rows(invoice: Invoice, owner: User) -> None:
    view = DbFileView.as_view(model=Invoice, field="data", owner="owner__pk")
    assert ask(view, owner, pk=invoice.pk).status_code == 200
    assert ask(view, User.objects.create_user("stranger"), pk=invoice.pk).status_code == 404


@pytest.mark.parametrize("template", UNACCEPTABLE_NAMES)
def test_an_unacceptable_name_is_not_found_without_a_query(template: str, invoice: Invoice) -> None:
    view = DbFileView.as_view(model=Invoice, field="data")
    with CaptureQueriesContext(connection) as queries:
        assert ask(view, filename=spelled(template, loid_of(str(invoice.data)))).status_code == 404
    assert not queries.captured_queries


@pytest.mark.parametrize("key", ["", "x", "\x00", "1.5", "-1", "9" * 30, "None", 2**70])
def test_an_unacceptable_key_is_not_found(key: object) -> None:
    assert ask(DbFileView.as_view(model=Invoice, field="data"), pk=key).status_code == 404


def test_no_row_an_empty_field_and_a_missing_file_are_not_found() -> None:
    view = DbFileView.as_view(model=Invoice, field="data")
    unnamed = db_file_storage.save("a.pdf", ContentFile(b"of no row"))
    empty, blank = Invoice.objects.create(), Invoice.objects.create(data="")
    gone = row_that_names("4294967295.pdf")
    assert ask(view, filename=unnamed).status_code == 404
    for key in (2**30, empty.pk, blank.pk, gone.pk):
        assert ask(view, pk=key).status_code == 404


def test_another_fields_file_is_not_found(invoice: Invoice) -> None:
    view = DbFileView.as_view(model=Invoice, field="scan")
    assert ask(view, filename=invoice.data.name).status_code == 404
    assert ask(view, pk=invoice.pk).status_code == 404


def test_rows_may_share_a_file(invoice: Invoice, owner: User) -> None:
    other = User.objects.create_user("other")
    Invoice.objects.create(owner=other, data=invoice.data.name)
    for user in (owner, other):
        assert ask(OWNERS, user, filename=invoice.data.name).status_code == 200
    view = DbFileView.as_view(model=Invoice, field="data")
    assert ask(view, filename=invoice.data.name).status_code == 200


def test_a_queryset_decides(invoice: Invoice) -> None:
    for rows, status in ((Invoice.objects.filter(pk=invoice.pk), 200), (Invoice.objects.none(), 404)):
        assert ask(DbFileView.as_view(queryset=rows, field="data"), pk=invoice.pk).status_code == status


def test_a_queryset_is_not_remembered(owner: User) -> None:
    view = DbFileView.as_view(queryset=Invoice.objects.all(), field="data")
    assert ask(view, pk=1).status_code == 404
    made = Invoice.objects.create(owner=owner, data=ContentFile(b"new", name="a.pdf"))
    assert ask(view, pk=made.pk).status_code == 200


def test_a_subclass_decides(invoice: Invoice) -> None:
    class NamedView(DbFileView):
        field = "data"

        @override
        def get_queryset(self) -> "models.QuerySet[models.Model]":
            return Invoice.objects.filter(owner__username=self.request.GET["name"])

    for name, status in (("owner", 200), ("nobody", 404)):
        request = RequestFactory().get("/", {"name": name})
        assert NamedView.as_view()(request, pk=invoice.pk).status_code == status


def test_a_sliced_queryset_is_a_mistake_rather_than_an_empty_one(invoice: Invoice) -> None:
    with pytest.raises(TypeError, match="slice"):
        ask(DbFileView.as_view(queryset=Invoice.objects.all()[:5], field="data"), pk=invoice.pk)


def test_the_owner_counts_whatever_a_subclass_decides(invoice: Invoice, owner: User) -> None:
    class AllInvoices(DbFileView):
        field = "data"
        owner = "owner"

        @override
        def get_queryset(self) -> "models.QuerySet[models.Model]":
            return Invoice.objects.all()

    assert ask(AllInvoices.as_view(), owner, pk=invoice.pk).status_code == 200
    assert ask(AllInvoices.as_view(), User.objects.create_user("other"), pk=invoice.pk).status_code == 404
    assert ask(AllInvoices.as_view(), pk=invoice.pk).status_code == 404


@pytest.mark.usefixtures("invoice")
def test_the_owner_counts_however_a_subclass_finds_the_row(owner: User) -> None:
    class LastInvoice(DbFileView):
        model = Invoice
        field = "data"
        owner = "owner"

        @override
        def get_row(self, **kwargs: object) -> models.Model | None:
            return self.get_queryset().last()

    assert ask(LastInvoice.as_view(), owner).status_code == 200
    assert ask(LastInvoice.as_view(), User.objects.create_user("other")).status_code == 404


def test_a_url_with_both_names_one_row(invoice: Invoice, owner: User) -> None:
    other = Invoice.objects.create(owner=owner, data=ContentFile(b"other", name="a.pdf"))
    view = DbFileView.as_view(model=Invoice, field="data")
    assert ask(view, pk=invoice.pk, filename=invoice.data.name).status_code == 200
    assert ask(view, pk=invoice.pk, filename=other.data.name).status_code == 404
    assert ask(view, pk="\x00", filename=other.data.name).status_code == 404


class ForUsers(LoginRequiredMixin, DbFileView):
    model = Invoice
    field = "data"
    owner = "owner"


class ForThePermitted(PermissionRequiredMixin, DbFileView):
    model = Invoice
    field = "data"
    permission_required = "invoices.view_invoice"
    raise_exception = False


def test_djangos_mixins_come_first(invoice: Invoice, owner: User) -> None:
    assert ask(ForUsers.as_view(), pk=invoice.pk).status_code == 302
    assert ask(ForUsers.as_view(), owner, pk=invoice.pk).status_code == 200
    assert ask(ForThePermitted.as_view(), pk=invoice.pk).status_code == 302
    owner.user_permissions.add(Permission.objects.get(content_type__app_label="invoices", codename="view_invoice"))
    assert ask(ForThePermitted.as_view(), User.objects.get(pk=owner.pk), pk=invoice.pk).status_code == 200


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("OPTIONS", 200), ("POST", 405), ("DELETE", 405)])
def test_methods_are_those_of_serving(method: str, status: int, invoice: Invoice, owner: User) -> None:
    response = ask(OWNERS, owner, method, pk=invoice.pk)
    assert response.status_code == status
    assert joined(response) == b""
    if method != "HEAD":
        assert {name.strip() for name in response.headers["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}


def test_the_arguments_of_db_serve_are_the_views_too(invoice: Invoice, owner: User) -> None:
    view = DbFileView.as_view(
        model=Invoice,
        field="data",
        as_attachment=True,
        download_name="b.pdf",
        content_type="text/x-own",
        headers={"Cache-Control": "no-store"},
    )
    response = ask(view, owner, pk=invoice.pk)
    assert response.headers["Content-Disposition"] == 'attachment; filename="b.pdf"'
    assert response.headers["Content-Type"] == "text/x-own"
    assert response.headers["Cache-Control"] == "no-store"


def test_the_fields_own_storage_is_used(owner: User) -> None:
    made = Invoice.objects.create(owner=owner, via_callable=ContentFile(b"content", name="a.txt"))
    view = DbFileView.as_view(model=Invoice, field="via_callable", owner="owner")
    assert joined(ask(view, owner, pk=made.pk)) == b"content"


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ({"field": "data"}, "^DbFileView needs model="),
        ({"model": Invoice}, "^DbFileView needs field="),
        ({"model": Note, "field": "text"}, "^DbFileView: field='text' is no file field"),
        ({"model": Note, "field": "other"}, "^DbFileView: field='other' is no file field"),
    ],
)
def test_what_is_not_said_is_asked_for(arguments: dict[str, object], missing: str) -> None:
    note = Note.objects.create(text="text")
    with pytest.raises(ImproperlyConfigured, match=missing):
        ask(DbFileView.as_view(**arguments), pk=note.pk)


def test_a_field_without_files_is_a_mistake_once_a_row_is_found() -> None:
    Note.objects.create(text="text")
    view = DbFileView.as_view(model=Note, field="text")
    assert [ask(view, filename=name).status_code for name in ("other", "te\x00xt")] == [404, 404]
    with pytest.raises(ImproperlyConfigured, match="no file field"):
        ask(view, filename="text")


def test_a_url_that_names_no_row_is_a_mistake() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^DbFileView is to be found by filename or pk"):
        ask(DbFileView.as_view(model=Invoice, field="data"), slug="x")


def test_owners_need_users(invoice: Invoice) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^DbFileView: owner= needs AuthenticationMiddleware"):
        OWNERS(RequestFactory().get("/"), pk=invoice.pk)


def test_a_field_on_another_storage_is_a_mistake_of_the_sites(
    invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Invoice._meta.get_field("data")
    monkeypatch.setattr(field, "storage", InMemoryStorage())
    with pytest.raises(ImproperlyConfigured, match=r"^DbFileView: the files of 'data' are not in a DbFileStorage"):
        ask(DbFileView.as_view(model=Invoice, field="data"), pk=invoice.pk)
