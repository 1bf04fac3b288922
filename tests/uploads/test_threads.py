"""The end of a request finds its uploads, whichever thread and schema they were written in."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.core.signals import request_finished
from django.db import ProgrammingError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.utils.deprecation import MiddlewareMixin

from pg_lo_storage.catalogue import uploads
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.models import UnfinishedUpload
from pg_lo_storage.storage import DbUploadedFile, db_file_storage
from pg_lo_storage.uploadhandler import DbFileUploadHandler
from tests.storage.support import LARGE, content, stored
from tests.uploads.test_handler import received, upload

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class OfTenant(MiddlewareMixin):
    """Sets the search path for the view alone."""

    def process_request(self, _request: HttpRequest) -> None:
        with connection.cursor() as cursor:
            cursor.execute('set search_path = "a b%c", public')

    def process_response(self, _request: HttpRequest, response: HttpResponse) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute('select count(*) from "a b%c".pg_lo_storage_upload')
            assert cursor.fetchone() == (1,)
            cursor.execute("set search_path = public")
        return response


def test_a_view_may_save_it_in_another_thread() -> None:
    file = received()
    names = list[str]()

    def work() -> None:
        with transaction.atomic():
            names.append(db_file_storage.save("march.pdf", file))
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    request_finished.send(None)
    assert names == [f"{file.loid}.pdf"]
    assert stored(names[0]) == content(LARGE)


def test_what_another_thread_received_is_unlinked(site: Client, nothing_is_left: Callable[..., None]) -> None:
    """It lives on, as those of a pool do, and gets no signal."""
    assert site.post("/thread/", {"data": upload()}).json() == {"data": ["DbUploadedFile"]}
    nothing_is_left()


def test_the_end_of_another_request_takes_no_upload(site: Client, nothing_is_left: Callable[..., None]) -> None:
    """Under ASGI without a thread for each request, as in tests, two requests share a thread."""
    request = RequestFactory().post("/", {"data": upload()})
    request.upload_handlers = [DbFileUploadHandler(request)]
    assert isinstance(request.FILES["data"], DbUploadedFile)
    site.post("/look/", {"data": upload()})
    assert UnfinishedUpload.objects.count() == 1
    request.close()
    nothing_is_left()


def test_a_response_that_streams_may_read_the_upload(site: Client, nothing_is_left: Callable[..., None]) -> None:
    response = site.post("/echo/", {"data": upload()})
    assert b"".join(iter(response)) == content(LARGE)
    nothing_is_left()


@pytest.fixture
def customer() -> Iterator[None]:
    """A tenant's schema whose name has to be quoted."""
    with connection.cursor() as cursor:
        cursor.execute('create schema "a b%c"')
        for table in ("pg_lo_storage_upload", "pg_lo_storage_file"):
            cursor.execute(f'create table "a b%c".{table} (like public.{table} including all)')
    yield
    with connection.cursor() as cursor:
        cursor.execute("set search_path = public")
        cursor.execute('drop schema "a b%c" cascade')


@pytest.mark.usefixtures("customer")
@pytest.mark.parametrize("path", ["/look/", "/fail/"])
def test_what_a_tenant_received_is_unlinked(site: Client, path: str, nothing_is_left: Callable[..., None]) -> None:
    """The path that a middleware has set is gone by the end of the request."""
    with override_settings(MIDDLEWARE=["tests.uploads.test_threads.OfTenant"]):
        site.post(path, {"data": upload()})
    nothing_is_left()


@pytest.mark.usefixtures("customer")
def test_a_clone_unlinks_no_file_for_its_copy_of_an_upload(count_large_objects: Callable[..., int]) -> None:
    """The schema was cloned while the upload arrived; then it became a file of the first."""
    file = received()
    with connection.cursor() as cursor:
        cursor.execute('insert into "a b%c".pg_lo_storage_upload select * from public.pg_lo_storage_upload')
    name = db_file_storage.save("march.pdf", file)
    assert uploads.discard(DatabaseDriver("default"), [file.loid], '"a b%c"') == 1
    assert stored(name) == content(LARGE)
    assert count_large_objects() == 1


def test_a_database_that_was_not_migrated_says_so() -> None:
    with connection.cursor() as cursor:
        cursor.execute("alter table pg_lo_storage_upload rename to elsewhere")
    try:
        with pytest.raises(ProgrammingError, match=r"no table pg_lo_storage_upload.*manage\.py migrate"):
            received()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("alter table elsewhere rename to pg_lo_storage_upload")
