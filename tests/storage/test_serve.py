"""``db_serve``: a whole file, its headers, and nothing for what is no file."""

import re
from collections.abc import Callable
from email.message import Message
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


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_another_method_is_not_allowed(method: str, name: str) -> None:
    response = getattr(Client(), method)(db_file_storage.url(name))
    assert response.status_code == 405
    assert {allowed.strip() for allowed in response.headers["Allow"].split(",")} == {"GET", "HEAD"}
    assert db_file_storage.exists(name)


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
        assert db_serve(request, unacceptable).status_code == 404
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


TYPES = [
    ("a.pdf", "application/pdf", "inline"),
    ("a.png", "image/png", "inline"),
    ("a.jpg", "image/jpeg", "inline"),
    ("a.gif", "image/gif", "inline"),
    ("a.txt", "text/plain", "inline"),
    ("a.mp4", "video/mp4", "inline"),
    ("a.mp3", "audio/mpeg", "inline"),
    ("a.html", "text/html", "attachment"),
    ("a.HTM", "text/html", "attachment"),
    ("a.xhtml", "application/xhtml+xml", "attachment"),
    ("a.svg", "image/svg+xml", "attachment"),
    ("a.xml", "", "attachment"),
    ("a.xsl", "", "attachment"),
    ("a.js", "", "attachment"),
    ("a.css", "", "attachment"),
    ("a.mhtml", "", "attachment"),
    ("a.zip", "application/zip", "attachment"),
    ("a.tar.gz", "application/gzip", "attachment"),
    ("a.tar.xz", "application/x-xz", "attachment"),
    ("a.svgz", "application/gzip", "attachment"),
    ("a.nothing", "application/octet-stream", "attachment"),
    ("a", "application/octet-stream", "attachment"),
]


@pytest.mark.parametrize(("original", "content_type", "disposition"), TYPES)
@pytest.mark.parametrize("headers", [{}, {"range": "bytes=1-2"}])
def test_only_what_runs_nothing_is_shown_in_the_browser(
    original: str, content_type: str, disposition: str, headers: dict[str, str]
) -> None:
    name = db_file_storage.save(original, ContentFile(b"<script>alert(1)</script>"))
    response = Client().get(db_file_storage.url(name), headers=headers)
    assert response.headers["Content-Disposition"].partition(";")[0] == disposition
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "private"
    assert "Content-Encoding" not in response.headers
    if content_type:
        assert response.headers["Content-Type"].partition(";")[0] == content_type
    body(response)


def offered(response: HttpResponseBase) -> tuple[str, str | None]:
    """Return the disposition and the file name, as a client reads them."""
    header = response.headers["Content-Disposition"]
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    return message.get_content_disposition() or "", message.get_filename()


def test_the_stored_name_is_offered(name: str) -> None:
    assert offered(serve(name)) == ("inline", name)


@pytest.mark.parametrize(("original", "by_default"), [("a.pdf", "inline"), ("a.zip", "attachment")])
def test_whether_to_show_or_download_can_be_said(original: str, by_default: str) -> None:
    name = db_file_storage.save(original, ContentFile(b"data"))
    assert offered(serve(name, as_attachment=None)) == (by_default, name)
    assert offered(serve(name, as_attachment=True)) == ("attachment", name)
    assert offered(serve(name, as_attachment=False)) == ("inline", name)


@pytest.mark.parametrize("as_attachment", [False, True])
@pytest.mark.parametrize(
    "download_name",
    ["invoice 2024.pdf", 'a "quoted" name.pdf', "back\\slash.pdf", "semi;colon=.pdf", "50%.pdf", "it's.pdf"],
)
def test_a_file_is_offered_under_another_name(download_name: str, as_attachment: bool, name: str) -> None:
    response = serve(name, as_attachment=as_attachment, download_name=download_name)
    assert offered(response) == ("attachment" if as_attachment else "inline", download_name)


@pytest.mark.parametrize(
    "download_name", ["naïve.pdf", "счёт.pdf", "請求書.pdf", "فاتورة.pdf", "🎉.pdf", "счёт\ud800.pdf"]
)
def test_the_other_name_may_be_of_any_script(download_name: str, name: str) -> None:
    response = serve(name, as_attachment=True, download_name=download_name)
    header = response.headers["Content-Disposition"]
    assert header.isascii()
    expected = quote("".join(filter(str.isprintable, download_name)))
    assert header == f"attachment; filename*=utf-8''{expected}"


@pytest.mark.parametrize("download_name", ["a\r\nSet-Cookie: b.pdf", "a\nb.pdf", "a\x00b.pdf", "a\u202efdp.exe"])
def test_the_other_name_cannot_add_a_header_nor_hide_itself(download_name: str, name: str) -> None:
    response = serve(name, as_attachment=True, download_name=download_name)
    header = response.headers["Content-Disposition"]
    assert not re.search(r"[\r\n\x00]|%0[0ad]|%E2%80%AE", header, re.IGNORECASE)
    assert "Set-Cookie" not in response.headers


def test_the_storage_can_be_said(name: str, count_large_objects: Callable[[], int]) -> None:
    assert body(serve(name, storage=DbFileStorage("/elsewhere/"))) == b"0123456789"
    assert count_large_objects() == 1
