"""``db_serve`` answers what RFC 9110 says, for whatever headers; the RFC's answers are in :mod:`.reference`."""

from collections.abc import Iterable
from email.parser import BytesParser
from email.policy import HTTP
from typing import cast

import pytest
from django.core.files.base import ContentFile
from django.http import HttpResponseBase
from django.test import RequestFactory
from django.utils.http import http_date
from hypothesis import given, settings
from hypothesis import strategies as st

from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.views import db_serve
from tests.serving.reference import Asked, File, answer, requests
from tests.storage.support import content

pytestmark = [pytest.mark.django_db, pytest.mark.once]

HEADERS = [
    *("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"),
    *("want-repr-digest", "accept", "accept-encoding", "host-of-nobody", "content-length", "cookie"),
]


def stored_file(size: int, *, catalogue: bool) -> tuple[str, File]:
    name = db_file_storage.save("a.pdf", ContentFile(content(size)))
    if not catalogue:
        return name, File(content(size), None, None)
    entry = db_file_storage.entry(name)
    return name, File(content(size), f'"{entry.sha256}"', int(entry.modified_at.timestamp()))


def body(response: HttpResponseBase) -> bytes:
    # Not closed: at the end of a request Django would close the connection, and the test's transaction with it.
    return b"".join(cast("Iterable[bytes]", response))


def sent(response: HttpResponseBase) -> list[tuple[str, bytes]]:
    """Return the ranges that were sent, and their bytes."""
    content_type = response.headers["Content-Type"]
    received = body(response)
    assert int(response.headers["Content-Length"]) == len(received)
    if not content_type.startswith("multipart/"):
        return [(response.headers["Content-Range"], received)]
    assert "Content-Range" not in response.headers
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + received)
    parts = list(message.iter_parts())
    assert len(parts) > 1
    found: list[tuple[str, bytes]] = []
    for part in parts:
        assert part.get_content_type() == "application/pdf"
        decoded = part.get_payload(decode=True)
        assert isinstance(decoded, bytes)
        found.append((part["Content-Range"], decoded))
    return found


def check(response: HttpResponseBase, file: File, asked: Asked) -> None:
    expected = answer(file, asked)
    size = len(file.data)
    assert response.status_code == expected.status
    if expected.status in {200, 206, 304, 412}:
        assert response.headers.get("ETag") == file.etag
        last_modified = None if file.modified is None else http_date(file.modified)
        assert response.headers.get("Last-Modified") == last_modified
        assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers.get("Accept-Ranges") == ("bytes" if expected.status in {200, 206, 416} else None)
    if expected.status == 206:
        ranges = [(f"bytes {first}-{last}/{size}", file.data[first : last + 1]) for first, last in expected.parts]
        assert sent(response) == ranges
        return
    content_range = f"bytes */{size}" if expected.status == 416 else None
    assert response.headers.get("Content-Range") == content_range
    if expected.status == 200:
        assert response.headers["Content-Length"] == str(size)
    assert body(response) == (file.data if expected.status == 200 and asked.method == "GET" else b"")


@pytest.mark.parametrize("size", [0, 1, 50])
def test_the_answer_is_the_rfcs(size: int, catalogue: bool) -> None:
    name, file = stored_file(size, catalogue=catalogue)

    @settings(max_examples=250)
    @given(requests(file))
    def compare(asked: Asked) -> None:
        request = RequestFactory().generic(asked.method, "/", headers=asked.headers())
        check(db_serve(request, name), file, asked)

    compare()


def test_no_header_is_an_error() -> None:
    name = db_file_storage.save("a.pdf", ContentFile(b"0123456789"))

    @settings(max_examples=250)
    @given(st.sampled_from(["GET", "HEAD"]), st.dictionaries(st.sampled_from(HEADERS), st.text(), max_size=4))
    def ask(method: str, headers: dict[str, str]) -> None:
        response = db_serve(RequestFactory().generic(method, "/", headers=headers), name)
        assert response.status_code in {200, 206, 304, 412, 416}
        body(response)

    ask()
