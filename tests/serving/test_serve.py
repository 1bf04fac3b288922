"""``db_serve``: a whole file, its headers, and nothing for what is no file."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.http import HttpResponseBase
from django.test import Client, RequestFactory

from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve
from tests.fixtures.connections import Connect, run
from tests.storage.support import (
    SIZES,
    UNACCEPTABLE_NAMES,
    UNACCEPTABLE_OBJECTS,
    body,
    content,
    loid_of,
    spelled,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[False, True], ids=["autocommit", "ATOMIC_REQUESTS"])
def _atomic_requests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", request.param)


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.pdf", ContentFile(b"0123456789"))


def serve(
    name: str,
    *,
    storage: DbFileStorage = db_file_storage,
    as_attachment: bool | None = None,
    download_name: str | None = None,
) -> HttpResponseBase:
    request = RequestFactory().get("/")
    return db_serve(request, name, storage=storage, as_attachment=as_attachment, download_name=download_name)


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_served_whole(size: int) -> None:
    data = content(size)
    name = db_file_storage.save("a.pdf", ContentFile(data))
    response = Client().get(db_file_storage.url(name))
    assert response.status_code == 200
    assert response.headers["Content-Length"] == str(size)
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert body(response) == data


@pytest.mark.parametrize("size", SIZES)
def test_head_is_get_without_the_body(size: int) -> None:
    name = db_file_storage.save("a.pdf", ContentFile(content(size)))
    head = Client().head(db_file_storage.url(name))
    get = Client().get(db_file_storage.url(name))
    assert head.status_code == 200
    assert body(head) == b""
    assert dict(head.headers) == dict(get.headers)
    assert len(body(get)) == size


def allowed_by(response: HttpResponseBase) -> set[str]:
    return {allowed.strip() for allowed in response.headers["Allow"].split(",")}


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "trace"])
def test_another_method_is_not_allowed(method: str, name: str) -> None:
    response = getattr(Client(), method)(db_file_storage.url(name))
    assert response.status_code == 405
    assert allowed_by(response) == {"GET", "HEAD", "OPTIONS"}
    assert db_file_storage.exists(name)


def test_options_says_what_is_allowed(name: str) -> None:
    response = Client().options(db_file_storage.url(name))
    assert response.status_code == 200
    assert allowed_by(response) == {"GET", "HEAD", "OPTIONS"}
    assert body(response) == b""


REQUESTS: list[tuple[str, dict[str, str]]] = [
    ("GET", {}),
    ("GET", {"range": "bytes=0-0"}),
    ("GET", {"range": "nonsense"}),
    ("HEAD", {}),
]


@pytest.mark.parametrize("template", UNACCEPTABLE_NAMES)
def test_an_unacceptable_name_is_not_found(template: str, name: str) -> None:
    unacceptable = spelled(template, loid_of(name))
    for method, headers in REQUESTS:
        request = RequestFactory().generic(method, "/", headers=headers)
        response = db_serve(request, unacceptable)
        assert (response.status_code, response.headers["Cache-Control"]) == (404, "no-store")
        # A lone surrogate has no place in a URL.
        path = quote(unacceptable.replace("\ud800", "\x00"))
        assert Client().generic(method, f"/files/{path}", headers=headers).status_code == 404


@pytest.mark.parametrize("unacceptable", UNACCEPTABLE_OBJECTS)
def test_what_is_no_string_is_not_found(unacceptable: str) -> None:
    assert serve(unacceptable).status_code == 404


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize("missing", ["4294967295", "4294967295.pdf"])
@pytest.mark.parametrize(("method", "headers"), REQUESTS)
def test_a_missing_file_is_not_found(missing: str, method: str, headers: dict[str, str]) -> None:
    response = Client().generic(method, f"/files/{missing}", headers=headers)
    assert response.status_code == 404


@pytest.mark.usefixtures("_atomic_requests")
def test_a_forbidden_file_is_not_found(connect: Connect) -> None:
    stranger = connect(user="stranger", autocommit=True)
    [(loid,)] = run(stranger, "select lo_from_bytea(0, 'secret')")
    for method, headers in REQUESTS:
        response = Client().generic(method, f"/files/{loid}.pdf", headers=headers)
        assert response.status_code == 404
        assert b"secret" not in body(response)


def test_a_file_that_is_not_committed_is_served_in_its_transaction() -> None:
    with transaction.atomic():
        name = db_file_storage.save("a.pdf", ContentFile(b"uncommitted"))
        assert body(serve(name)) == b"uncommitted"


def test_the_storage_can_be_said(name: str, count_large_objects: Callable[[], int]) -> None:
    assert body(serve(name, storage=DbFileStorage("/elsewhere/"))) == b"0123456789"
    assert count_large_objects() == 1
