"""The catalogue in the admin: found, seen, downloaded, and never changed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.contrib.admin import ModelAdmin, site
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import db_file_storage
from tests.catalogue.support import run, saved, uncatalogued
from tests.invoices.models import Invoice
from tests.storage.support import LARGE, body, content, loid_of

pytestmark = pytest.mark.django_db(transaction=True)

if TYPE_CHECKING:
    _InvoiceAdmin = ModelAdmin[Invoice]
else:
    _InvoiceAdmin = ModelAdmin

LIST = "/admin/pg_lo_storage/storedfile/"


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


def staff(*permissions: str) -> Client:
    """Return the client of a user of the admin who may do only that."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def page_of(name: str) -> str:
    return f"{LIST}{loid_of(name)}/change/"


def content_of(name: str, query: str = "") -> str:
    return f"{LIST}{loid_of(name)}/content/{query}"


def listed(client: Client, query: str = "") -> set[str]:
    """Return the names of the files that the list shows."""
    response = client.get(f"{LIST}{query}")
    assert response.status_code == 200
    return {stored_file.name for stored_file in response.context["cl"].result_list}


# The list.


def test_the_list_shows_what_the_catalogue_knows(admin: Client) -> None:
    name = saved("Réport <b>.pdf", b"x" * 2048)
    text = admin.get(LIST).text
    for shown in (name, "Réport &lt;b&gt;.pdf", "application/pdf", "2.0\xa0KB"):
        assert shown in text


def test_files_are_found_by_their_original_name_and_by_oid(admin: Client) -> None:
    first, second = saved("yearly report.pdf"), saved("letter.txt")
    loid = loid_of(first)
    for term, found in [
        ("REPORT", {first}),
        ("yearly+report", {first}),
        (f"{loid}", {first}),
        (first, {first}),
        (f"+{loid_of(second)}", {second}),
        ("nothing", set[str]()),
        ("4294967296", set[str]()),
        ("99999999999999999999", set[str]()),
    ]:
        assert listed(admin, f"?q={term}") == found


def test_an_oid_past_2_31_is_listed_found_shown_and_served(admin: Client) -> None:
    loid = uncatalogued(b"high", oid=2**32 - 1)
    StoredFile.objects.create(loid=loid, extension=".txt", original_name="a.txt")
    run("insert into invoices_invoice (data) values (%s)", f"{loid}.txt")
    name = f"{loid}.txt"
    assert listed(admin) == listed(admin, f"?q={loid}") == {name}
    assert len(references(admin, name)) == 1
    assert body(admin.get(content_of(name))) == b"high"


TYPED = ["%00", "a%00b", "%ED%A0%80", "%FF", "(", "9" * 30, "-1", "%C2%B2", "%27%22%5C", "%25", "x" * 5000, ""]
PARAMETERS = [
    *("q", "kind", "o", "p", "all", "e", "_popup", "_to_field", "_facets", "_changelist_filters", "unknown"),
    *("loid", "pk", "pk__in", "loid__range", "size", "size__gt", "size__in", "sha256", "extension__isnull"),
    *("original_name", "original_name__contains", "original_name__regex", "original_name__nothing", "content_type__in"),
    *("created_at", "created_at__year", "created_at__date", "modified_at__gte", "modified_at__week_day"),
]


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_nothing_that_is_typed_into_a_url_is_a_crash(parameter: str, admin: Client) -> None:
    name = saved("a.png")
    for typed in TYPED:
        assert admin.get(f"{LIST}?{parameter}={typed}").status_code in {200, 302, 400}, typed
    for url in (page_of(name), content_of(name), f"{LIST}{loid_of(name)}/history/"):
        assert admin.get(f"{url}?{parameter}=%00").status_code in {200, 400}, url


@pytest.mark.parametrize("query", ["kind=%00", "original_name__regex=(", "created_at__year=99999999999"])
def test_what_the_database_refuses_is_a_list_without_filters(query: str, admin: Client) -> None:
    saved()
    response = admin.get(f"{LIST}?{query}")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?e=1")
    with transaction.atomic():  # as by ATOMIC_REQUESTS: it goes on
        admin.get(f"{LIST}?{query}")
        assert StoredFile.objects.count() == 1


@pytest.mark.parametrize("term", ["\x00", "a\x00b", "\ud800", "1\x00", "9" * 5000])
def test_what_is_no_text_finds_nothing(term: str) -> None:
    saved("a.pdf")
    model_admin = site.get_model_admin(StoredFile)
    request = RequestFactory().get("/")
    found, _ = model_admin.get_search_results(request, model_admin.get_queryset(request), term)
    assert list(found) == []


@pytest.mark.parametrize("query", ["?loid=99999999999", "?pk__gt=99999999999"])
def test_an_oid_that_there_cannot_be_is_no_crash(query: str, admin: Client) -> None:
    assert admin.get(f"{LIST}{query}").status_code == 400


def test_files_are_filtered_by_kind(admin: Client) -> None:
    image, document, unknown = saved("a.png"), saved("a.pdf"), saved("a")
    assert listed(admin, "?kind=image/") == {image}
    assert listed(admin, "?kind=application/pdf") == {document}
    assert listed(admin, "?kind=application/octet-stream") == {unknown}
    assert listed(admin) == {image, document, unknown}


def test_the_list_costs_as_many_queries_for_many_files_as_for_one(admin: Client) -> None:
    saved()
    with CaptureQueriesContext(connection) as of_one:
        admin.get(LIST)
    run(
        "insert into pg_lo_storage_file (loid, original_name, content_type)"
        " select n, 'a.pdf', 'application/pdf' from generate_series(1, 200) as n"
    )
    with CaptureQueriesContext(connection) as of_many:
        assert len(listed(admin)) == 100
    assert len(of_many) == len(of_one)
    counting = [query["sql"] for query in of_many.captured_queries if "COUNT(" in query["sql"]]
    assert len(counting) == 1


# The page of a file.


def test_a_page_shows_its_file_and_offers_no_change(admin: Client) -> None:
    name = saved("a.pdf")
    response = admin.get(page_of(name))
    entry = StoredFile.objects.get()
    for shown in (name, entry.sha256, "application/pdf", content_of(name)):
        assert str(shown) in response.text
    for control in ('name="_save"', 'type="file"', "deletelink", 'name="original_name"'):
        assert control not in response.text


def test_nothing_can_be_added_changed_or_deleted(admin: Client) -> None:
    name = saved("a.pdf")
    before = StoredFile.objects.values().get()
    for url in (f"{LIST}add/", page_of(name), f"{LIST}{loid_of(name)}/delete/"):
        assert admin.post(url, {"original_name": "b.pdf", "post": "yes"}).status_code == 403
    admin.post(LIST, {"action": "delete_selected", "_selected_action": [loid_of(name)], "post": "yes"})
    assert StoredFile.objects.values().get() == before
    assert db_file_storage.exists(name)


@pytest.mark.parametrize("object_id", ["0", "-5", "x", "4294967296", "99999999999999999999", "12.pdf", "+5", "3"])
def test_a_file_that_is_not_there_is_no_crash(object_id: str, admin: Client) -> None:
    assert admin.get(f"{LIST}{object_id}/change/").status_code == 302
    assert admin.get(f"{LIST}{object_id}/content/").status_code == 404


def test_an_adopted_file_of_any_extension_is_shown(admin: Client) -> None:
    loid = uncatalogued(b"kept")
    StoredFile.objects.create(loid=loid, extension=None, original_name=f"{loid}.pdf")
    assert admin.get(page_of(str(loid))).status_code == 200
    response = admin.get(content_of(str(loid)))
    assert body(response) == b"kept"
    assert response["Content-Type"] == "application/octet-stream"


def test_an_object_that_is_gone_is_no_crash(admin: Client) -> None:
    name = saved("a.png")
    run("select lo_unlink(%s)", loid_of(name))
    assert admin.get(LIST).status_code == admin.get(page_of(name)).status_code == 200
    assert admin.get(content_of(name)).status_code == 404


# The rows that name it.


def references(client: Client, name: str) -> dict[str, str | None]:
    """Return what the page says of the rows, with the links."""
    response = client.get(page_of(name))
    return {reference.text: reference.url for reference in response.context["references"]}


def insert(**columns: str) -> int:
    names = ", ".join(columns)
    [(key,)] = run(
        f"insert into invoices_invoice ({names}) values ({', '.join(['%s'] * len(columns))}) returning id",
        *columns.values(),
    )
    return int(key)


def test_rows_of_every_file_field_are_linked(admin: Client) -> None:
    name = saved("a.pdf")
    loid = loid_of(name)
    one, two = insert(data=name, plain=f"{loid}.txt"), insert(elsewhere=str(loid))
    insert(data=f"{loid}1.pdf", plain=f"1{loid}.pdf", short=f"{loid}x")
    link = "/admin/invoices/invoice/{}/change/"
    assert references(admin, name) == {
        f"invoice {one}: data": link.format(one),
        f"invoice {one}: plain": link.format(one),
        f"invoice {two}: elsewhere": link.format(two),
    }
    assert f'href="{link.format(one)}"' in admin.get(page_of(name)).text


def test_rows_that_the_admin_does_not_show_have_no_link() -> None:
    name = saved("a.pdf")
    row = insert(data=name)
    before = type(site.get_model_admin(Invoice))
    site.unregister(Invoice)
    try:
        assert references(staff("view_storedfile", "view_invoice"), name) == {f"invoice {row}: data": None}
    finally:
        site.register(Invoice, before)


def test_rows_that_the_user_may_not_view_are_not_told_of() -> None:
    name = saved("a.pdf")
    insert(data=name)
    assert references(staff("view_storedfile"), name) == {"invoice …: data": None}


class OwnInvoices(_InvoiceAdmin):
    """Shows users their own invoices, and none that is paid."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        return super().get_queryset(request).exclude(plain="hidden")

    def has_view_permission(self, request: HttpRequest, obj: Invoice | None = None) -> bool:
        return super().has_view_permission(request, obj) and (obj is None or obj.elsewhere != "paid")


@pytest.fixture
def own_invoices() -> Iterator[None]:
    """Have that class show invoices."""
    before = type(site.get_model_admin(Invoice))
    site.unregister(Invoice)
    site.register(Invoice, OwnInvoices)
    yield
    site.unregister(Invoice)
    site.register(Invoice, before)


@pytest.mark.usefixtures("own_invoices")
def test_rows_that_their_admin_hides_are_not_told_of(admin: Client) -> None:
    name = saved("a.pdf")
    shown = insert(data=name)
    hidden, paid = insert(data=name, plain="hidden"), insert(data=name, elsewhere="paid")
    assert references(admin, name) == {
        f"invoice {shown}: data": f"/admin/invoices/invoice/{shown}/change/",
        "invoice …: data": None,
    }
    page = admin.get(page_of(name)).text
    for key in (hidden, paid):
        assert f"invoice {key}:" not in page
        assert f"/invoice/{key}/" not in page


def test_a_page_costs_three_queries_for_the_rows_however_many_there_are(admin: Client) -> None:
    name = saved("a.pdf")
    admin.get(page_of(name))  # Django remembers some things from the first page on
    with CaptureQueriesContext(connection) as of_none:
        admin.get(page_of(name))
    for _ in range(60):
        insert(data=name, plain=name)
    with CaptureQueriesContext(connection) as of_many:
        assert len(references(admin, name)) == 100  # 50 of each column
    assert len(of_many) == len(of_none) + 1  # which of them the user may view
    assert len([query for query in of_many.captured_queries if "invoices_invoice" in query["sql"]]) == 3


def test_tables_that_are_not_there_or_not_readable_are_left_out(admin: Client) -> None:
    name = saved("a.pdf")
    insert(data=name)
    run("revoke select on invoices_invoice from app")
    try:
        assert references(admin, name) == {}
    finally:
        run("grant select on invoices_invoice to app")
    run("alter table invoices_invoice rename column data to moved")
    try:
        assert references(admin, name) == {}
    finally:
        run("alter table invoices_invoice rename column moved to data")
    assert len(references(admin, name)) == 1


HOSTILE = {
    "a view": (
        "alter table invoices_invoice rename to moved; create view invoices_invoice as select id, data from moved",
        "drop view invoices_invoice; alter table moved rename to invoices_invoice",
    ),
    "a file column of another type": (
        (
            "create type kind as enum ('a'); alter table invoices_invoice rename data to away;"
            " alter table invoices_invoice add column data kind"
        ),
        (
            "alter table invoices_invoice drop column data; drop type kind;"
            " alter table invoices_invoice rename away to data"
        ),
    ),
    "a key of another type": (
        (
            "create domain kind as bigint; alter table invoices_invoice alter id drop identity;"
            " alter table invoices_invoice alter id type kind"
        ),
        (
            "alter table invoices_invoice alter id type bigint; drop domain kind;"
            " alter table invoices_invoice alter id add generated by default as identity"
        ),
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_may_run_its_owners_code_is_not_read(case: str, admin: Client) -> None:
    name = saved("a.pdf")
    insert(data=name)
    change, undo = HOSTILE[case]
    run(change)
    try:
        assert references(admin, name) == {}
    finally:
        run(undo)


# Its content.


@pytest.mark.parametrize("size", [0, 1000, LARGE])
def test_a_file_is_downloaded_under_its_original_name(size: int, admin: Client) -> None:
    name = saved("résumé.html", content(size))
    response = admin.get(content_of(name))
    assert body(response) == content(size)
    assert response["Content-Disposition"] == "attachment; filename*=utf-8''r%C3%A9sum%C3%A9.html"
    assert response["X-Content-Type-Options"] == "nosniff"


def disposition(response: HttpResponseBase) -> str:
    return response["Content-Disposition"].partition(";")[0]


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "avif"])
def test_an_image_is_previewed(kind: str, admin: Client) -> None:
    # Python knows not all of the extensions, in every version.
    upload = SimpleUploadedFile(f"a.{kind}", b"pixels", content_type=f"image/{kind}")
    name = db_file_storage.save(f"a.{kind}", upload)
    assert content_of(name, "?preview") in admin.get(page_of(name)).text
    response = admin.get(content_of(name, "?preview"))
    assert body(response) == b"pixels"
    assert (response["Content-Type"], disposition(response)) == (f"image/{kind}", "inline")
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert disposition(admin.get(content_of(name))) == "attachment"


@pytest.mark.parametrize(
    ("asked", "status"),
    [({}, 200), ({"range": "bytes=0-1"}, 206), ({"range": "bytes=0-1,4-5"}, 206), ({"if-none-match": "*"}, 304)],
)
def test_a_preview_is_told_for_what_it_is(asked: dict[str, str], status: int, admin: Client) -> None:
    name = saved("a.png", b"pixels")
    response = admin.get(content_of(name, "?preview"), headers=asked)
    several = "," in asked.get("range", "")
    assert response.status_code == status
    if status != 304:
        assert response["Content-Type"].partition(";")[0] == ("multipart/byteranges" if several else "image/png")
    if several:
        assert body(response).count(b"Content-Type: image/png\r\n") == 2
    assert "no-cache" in response["Cache-Control"]


@pytest.mark.parametrize("original", ["a.svg", "a.html", "a.pdf", "a.txt", "a.xml", "a"])
@pytest.mark.parametrize("declared", ["image/svg+xml", "text/html", "application/pdf"])
def test_nothing_else_is_shown_in_the_sites_own_name(original: str, declared: str, admin: Client) -> None:
    script = b"<script>alert(1)</script>"
    name = db_file_storage.save(original, SimpleUploadedFile(original, script, content_type=declared))
    assert "?preview" not in admin.get(page_of(name)).text
    assert disposition(admin.get(content_of(name, "?preview"))) == "attachment"


@pytest.mark.parametrize(
    ("permissions", "expected"), [((), 403), (("view_invoice",), 403), (("view_storedfile",), 200)]
)
def test_who_may_view_files_may_have_them(permissions: tuple[str, ...], expected: int) -> None:
    name = saved("a.png")
    client = staff(*permissions)
    for url in (LIST, page_of(name), content_of(name), content_of(name, "?preview")):
        assert client.get(url).status_code == expected


def test_who_is_not_logged_in_is_asked_to() -> None:
    response = Client().get(content_of(saved("a.png")))
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("admin:login"))


def test_a_part_is_served(admin: Client) -> None:
    name = db_file_storage.save("a.bin", ContentFile(b"0123456789"))
    response = admin.get(content_of(name), headers={"range": "bytes=2-4"})
    assert (response.status_code, body(response)) == (206, b"234")
