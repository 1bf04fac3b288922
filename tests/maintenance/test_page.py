"""The page of figures in the admin."""

import re
from contextlib import closing
from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.utils import translation

from example.cluster import Server
from pg_lo_storage.maintenance import pages
from pg_lo_storage.maintenance.statistics import Totals, totals
from pg_lo_storage.models import StoredFile
from tests.catalogue.support import run, saved
from tests.fixtures.connections import INSTALLED, open_connection
from tests.fixtures.connections import run as sql

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/pg_lo_storage/storedfile/"
PAGE = f"{LIST}statistics/"


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("<admin>"))
    return client


def test_the_list_leads_superusers_to_the_figures(admin: Client) -> None:
    saved("a.pdf", b"x" * 2048)
    assert f'href="{PAGE}"' in admin.get(LIST).text
    page = admin.get(PAGE)
    assert page.status_code == 200
    assert ("Files", "1") in page.context["figures"]
    assert ("Size", "2.0\xa0KB") in page.context["figures"]
    assert page.context["by"] == "month"


@pytest.mark.parametrize("by", ["month", "type", "field", "owner", "role"])
def test_a_chart_and_a_table_show_the_same(by: str, admin: Client) -> None:
    user = User.objects.get()
    run("insert into invoices_invoice (data, owner_id) values (%s, %s)", saved("a.pdf", b"x" * 2048), user.pk)
    page = admin.get(PAGE, {"by": by})
    [(label, files, size)] = page.context["rows"]
    assert (files, size) == ("1", "2.0\xa0KB")
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", page.text)
    assert drawn[-1] == "2.0\xa0KB, 1 file"
    assert drawn[-2] == label.replace("<", "&lt;").replace(">", "&gt;")
    assert "<admin>" not in page.text
    assert page.text.count('<strong aria-current="page">') == 1


def test_it_needs_no_inline_script_or_style(admin: Client) -> None:
    saved()
    page = admin.get(PAGE).text
    content = page.partition('<div id="content-main">')[2].partition("<footer")[0]
    assert "<svg" in content
    for forbidden in ("<script", "<style", "style=", "onclick", "http:", "https:"):
        assert forbidden not in content.replace("http://www.w3.org/2000/svg", "")
    assert 'fill="currentColor"' in content  # of a light theme and of a dark one


def test_without_files_there_is_no_chart(admin: Client) -> None:
    page = admin.get(PAGE).text
    assert "<svg" not in page.partition('<div id="content-main">')[2].partition("<footer")[0]
    assert "None." in page


@pytest.mark.parametrize("by", ["", "x", "%00", "month'"])
def test_nothing_that_is_typed_is_a_crash(by: str, admin: Client) -> None:
    assert admin.get(f"{PAGE}?by={by}").status_code == 200


def test_only_superusers_see_it() -> None:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_storedfile"))
    client = Client()
    assert client.get(PAGE).status_code == 302
    client.force_login(user)
    assert client.get(PAGE).status_code == 403
    listed = client.get(LIST)
    assert listed.status_code == 200
    assert PAGE not in listed.text


def test_it_is_in_the_users_language(admin: Client) -> None:
    saved("a.pdf", b"x" * 2048)
    with override_settings(LANGUAGE_CODE="de"), translation.override("de"):
        assert ("Size", "2,0\xa0KB") in admin.get(PAGE).context["figures"]


def test_what_cannot_be_read_is_told_of(admin: Client) -> None:
    run("revoke select on invoices_invoice from app; grant select (id, data, owner_id) on invoices_invoice to app")
    try:
        page = admin.get(PAGE, {"by": "field"})
    finally:
        run("grant select on invoices_invoice to app")
    assert "invoices.Invoice.plain: the role may not read it" in page.text


def test_files_that_the_role_may_not_measure_are_told_of(admin: Client, server: Server) -> None:
    with closing(open_connection(INSTALLED[0], server.dsn(user="stranger"), autocommit=True)) as connection:
        [(oid,)] = sql(connection, "select lo_from_bytea(0, 'abc')::int8")
    assert "Files of unknown size" not in dict(admin.get(PAGE).context["figures"])
    StoredFile.objects.create(loid=oid)
    assert dict(admin.get(PAGE).context["figures"])["Files of unknown size"] == "1"


@pytest.mark.parametrize(("share", "said"), [(None, None), (0.25, "25%")])
def test_the_dead_part_is_told_of_once_the_server_estimates_it(
    share: float | None, said: str | None, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estimated(alias: str) -> Totals:
        return replace(totals(alias), dead_share=share)

    monkeypatch.setattr(pages, "totals", estimated)
    figures = dict(admin.get(PAGE).context["figures"])
    assert figures.get("Part of their table that is dead, as estimated") == said


def test_files_without_a_digest_are_told_of(admin: Client) -> None:
    saved()
    run("update pg_lo_storage_file set sha256 = null, modified_at = '2024-01-15T12:00:00Z'")
    figures = dict(admin.get(PAGE).context["figures"])
    assert (figures["Files without a digest"], figures["The oldest of these"]) == ("1", "Jan. 15, 2024, 6 a.m.")
