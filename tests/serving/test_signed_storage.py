"""A storage whose URLs are signed."""

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.db.migrations.writer import MigrationWriter
from django.http import HttpResponseBase
from django.test import RequestFactory

from pg_lo_storage.fields import DbFileField
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.views import db_serve_signed

pytestmark = pytest.mark.django_db

SIGNED = DbFileStorage("/signed/", signed=True, max_age=timedelta(minutes=5))


@pytest.fixture
def name() -> str:
    return SIGNED.save("a.pdf", ContentFile(b"0123456789"))


def serve(url: str, name: str, storage: DbFileStorage = SIGNED) -> HttpResponseBase:
    return db_serve_signed(RequestFactory().get(url), name, storage=storage)


def test_its_urls_carry_the_right_to_read(name: str) -> None:
    url = SIGNED.url(name)
    assert url.startswith(f"/signed/{name}?")
    assert serve(url, name).status_code == 200
    assert serve(DbFileStorage("/signed/").url(name), name).status_code == 403


def test_a_single_url_may_be_signed_otherwise(name: str) -> None:
    plain = DbFileStorage("/signed/")
    for as_attachment, disposition in ((True, "attachment"), (False, "inline")):
        url = plain.signed_url(name, max_age=10, as_attachment=as_attachment)
        assert serve(url, name).headers["Content-Disposition"].startswith(disposition)


@pytest.mark.parametrize("name", ["", ".", "..", "//evil.example", "a?b#c", "\ud800", "5.pdf\n"])
def test_no_name_leaves_the_base_url(name: str) -> None:
    url = SIGNED.url(name)
    path, _, query = url.partition("?")
    assert path.startswith("/signed/")
    assert "/" not in path.removeprefix("/signed/")
    assert query.startswith("signature=")


def test_it_is_the_same_in_a_migration() -> None:
    written, imports = MigrationWriter.serialize(DbFileField(storage=SIGNED))
    assert "signed=True" in written
    assert "timedelta" in written
    assert any("datetime" in line for line in imports)
