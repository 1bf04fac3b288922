"""A large download is of the catalogue in which it was found, whatever session reads it then."""

import asyncio
from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.db import connections
from django.http import HttpRequest, HttpResponseBase
from django.test import RequestFactory, override_settings

from pg_lo_storage.serving.readers import needs_own_connection
from pg_lo_storage.serving.responses import DbFileResponse
from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.views import db_serve
from tests.fixtures.schemas import HOOKS, TENANT, tenant
from tests.serving.asgi import get, wait_for_readers
from tests.storage.support import LARGE, body, content

CATALOGUE = [True]
GetResponse = Callable[[HttpRequest], HttpResponseBase]

pytestmark = pytest.mark.django_db(transaction=True)


def by_the_backend(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        TENANT.schema = "blue"
        return get_response(request)

    return middleware


def by_sql(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        connections["default"].cursor().execute("set search_path = blue")
        return get_response(request)

    return middleware


def by_sql_for_the_view(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        with connections["default"].cursor() as cursor:
            cursor.execute("set search_path = blue")
            response = get_response(request)
            cursor.execute("reset search_path")
        return response

    return middleware


def under_row_security(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        with connections["default"].cursor() as cursor:
            cursor.execute("set search_path = blue")
            cursor.execute("set app.tenant = 'blue'")
        return get_response(request)

    return middleware


def saved_in_blue() -> str:
    with connections["default"].cursor() as cursor:
        cursor.execute("set search_path = blue")
        name = db_file_storage.save("a.pdf", ContentFile(content(LARGE)))
        cursor.execute("reset search_path")
    return name


@pytest.mark.usefixtures("schemas")
@pytest.mark.parametrize("how", ["by_sql", "by_sql_for_the_view", "under_row_security"])
def test_a_download_by_djangos_own_backend_is_whole(how: str) -> None:
    name = saved_in_blue()
    if how == "under_row_security":
        with connections["default"].cursor() as cursor:
            cursor.execute("alter table blue.pg_lo_storage_file enable row level security, force row level security")
            cursor.execute(
                "create policy own on blue.pg_lo_storage_file using (current_setting('app.tenant', true) = 'blue')"
            )
    connections.close_all()
    with override_settings(MIDDLEWARE=[f"{__name__}.{how}"]):
        assert asyncio.run(get(f"/files/{name}")).body == content(LARGE)
    assert asyncio.run(get(f"/files/{name}")).status == 404
    wait_for_readers()


# The connections of requests' threads are others than the test's.
@pytest.mark.parametrize("backend", [hook for hook in HOOKS if not hook.startswith("the connection")], indirect=True)
@pytest.mark.usefixtures("backend")
def test_a_download_by_another_backend_is_whole() -> None:
    with tenant("blue"):
        name = db_file_storage.save("a.pdf", ContentFile(content(LARGE)))
    with override_settings(MIDDLEWARE=[f"{__name__}.by_the_backend"]):
        assert asyncio.run(get(f"/files/{name}")).body == content(LARGE)
    wait_for_readers()


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.usefixtures("backend")
def test_what_was_found_is_read_when_the_view_has_left_the_tenant(awaited: bool) -> None:
    with tenant("blue"):
        name = db_file_storage.save("a.pdf", ContentFile(content(LARGE)))
        response = db_serve(RequestFactory().get("/"), name)

    async def awaited_body() -> bytes:
        assert isinstance(response, DbFileResponse)
        return b"".join([block async for block in response])

    assert (async_to_sync(awaited_body)() if awaited else body(response)) == content(LARGE)


@pytest.mark.usefixtures("schemas")
def test_a_role_that_the_session_took_reads_on_its_own_connection() -> None:
    name = db_file_storage.save("a.pdf", ContentFile(content(LARGE)))
    assert not needs_own_connection("default", db_file_storage.find(name, 0).role)
    with connections["default"].cursor() as cursor:
        cursor.execute("set role app")
    assert needs_own_connection("default", db_file_storage.find(name, 0).role)
    assert needs_own_connection("default", db_file_storage.locate(name).role)


def test_so_does_a_connection_whose_settings_were_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = connections["default"]
    monkeypatch.setattr(wrapper, "settings_dict", {**wrapper.settings_dict, "NAME": "another"})
    assert needs_own_connection("default")
