"""Uploads straight into the database: each is its tenant's, a clone's too, and goes with its schema."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from django_tenants.utils import schema_context

from pg_lo_storage.storage import DbUploadedFile, db_file_storage
from pg_lo_storage.uploadhandler import DbFileUploadHandler
from tests.tenants.shop.models import Invoice
from tests.tenants.support import Clone, Oids, client, stored

CONTENT = b"a" * 300_000


# In a table that all share nobody knows whose an upload is: that is as without tenants.
pytestmark = pytest.mark.parametrize("place", ["in each tenant", "in both"], indirect=True, scope="module")


def save(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Invoice.objects.create(data=request.FILES["data"]).data.name)


def look(request: HttpRequest) -> HttpResponse:
    return HttpResponse(type(request.FILES["data"]).__name__)


urlpatterns = [path("save/", save), path("look/", look)]


def upload() -> SimpleUploadedFile:
    return SimpleUploadedFile("march.pdf", CONTENT, "application/pdf")


def received() -> DbUploadedFile:
    """Return an upload that no request ends."""
    request = RequestFactory().post("/", {"data": upload()})
    request.upload_handlers = [DbFileUploadHandler(request)]
    file = request.FILES["data"]
    assert isinstance(file, DbUploadedFile)
    return file


def unfinished(schema: str) -> set[int]:
    with schema_context(schema), connection.cursor() as cursor:
        cursor.execute("select loid::int8 from pg_lo_storage_upload")
        return {loid for (loid,) in cursor.fetchall()}


def largeobjects(*args: str) -> str:
    output = io.StringIO()
    call_command("largeobjects", *args, stdout=output)
    return output.getvalue()


@override_settings(ROOT_URLCONF=__name__, FILE_UPLOAD_HANDLERS=["pg_lo_storage.uploadhandler.DbFileUploadHandler"])
def test_a_request_takes_it_over_or_unlinks_it(large_objects: Oids) -> None:
    assert client("blue").post("/look/", {"data": upload()}).content == b"DbUploadedFile"
    assert large_objects() == unfinished("blue") == set()
    name = client("blue").post("/save/", {"data": upload()}).content.decode()
    assert stored("blue", name) == CONTENT
    assert unfinished("blue") == set()
    assert len(large_objects()) == 1
    with schema_context("blue"):
        db_file_storage.delete(name)


def test_what_a_clone_discards_its_original_keeps(cloned: Clone, large_objects: Oids) -> None:
    """The schema was cloned while an upload arrived."""
    with schema_context("blue"):
        file = received()
    cloned("blue", "teal")
    for schema in ("teal", "blue"):
        assert large_objects() == unfinished(schema) == {file.loid}
        with schema_context(schema), connection.cursor() as cursor:
            cursor.execute("update pg_lo_storage_upload set expires_at = now()")
            largeobjects("prune", "--yes")
        assert unfinished(schema) == set()
    assert large_objects() == set()


def test_a_clone_leaves_uploads_to_its_original(cloned: Clone, large_objects: Oids) -> None:
    with schema_context("blue"):
        file = received()
    cloned("blue", "teal")
    with schema_context("teal"):
        own = received()
    assert "1 unfinished uploads would be left to others" in largeobjects("detach", "teal", "--dry-run")
    assert unfinished("teal") == {file.loid, own.loid}
    assert "1 unfinished uploads left to others" in largeobjects("detach", "teal", "--yes")
    assert unfinished("teal") == {own.loid}
    assert "unfinished" not in largeobjects("detach", "teal", "--yes")
    with schema_context("blue"):
        name = Invoice.objects.create(data=file).data.name or ""
    assert stored("blue", name) == CONTENT
    assert large_objects() == {file.loid, own.loid}
    largeobjects("empty", "teal", "--no-input")
    largeobjects("empty", "blue", "--no-input")
    assert large_objects() == set()


def test_a_tenant_goes_with_its_unfinished_uploads(cloned: Clone, large_objects: Oids) -> None:
    with schema_context("blue"):
        shared = received()
    cloned("blue", "teal")
    with schema_context("teal"):
        received()
    assert "2 unfinished uploads would be ended" in largeobjects("empty", "teal", "--dry-run", "--no-input")
    assert len(large_objects()) == 2
    assert "2 unfinished uploads ended" in largeobjects("empty", "teal", "--no-input")
    assert large_objects() == unfinished("blue") == {shared.loid}
    largeobjects("empty", "blue", "--no-input")
    assert large_objects() == set()
