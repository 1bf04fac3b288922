"""What is answered is what RFC 9110 says, for whatever headers; the RFC's answers are in :mod:`.reference`."""

from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from hashlib import sha256

import pytest
from django.http import HttpResponse
from django.utils.http import http_date
from hypothesis import given, settings
from hypothesis import strategies as st

from pg_lo_storage.catalogue import Entry, Found
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.http.answer import Answer
from pg_lo_storage.http.presentation import Presentation
from pg_lo_storage.serving.serve import answer_to
from tests.serving import reference
from tests.serving.reference import File, requests
from tests.storage.support import content

pytestmark = pytest.mark.once

NAME = "7.pdf"
SAVED = datetime(2024, 2, 29, 12, 0, 0, 700_000, tzinfo=UTC)
HEADERS = [
    *("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"),
    *("want-repr-digest", "accept", "accept-encoding", "host-of-nobody", "content-length", "cookie"),
]


def found_file(data: bytes, *, catalogue: bool) -> Found:
    digest = sha256(data).hexdigest()
    entry = Entry(7, ".pdf", "a.pdf", "application/pdf", len(data), digest, SAVED, SAVED, "99")
    return Found(DatabaseDriver("default"), 7, len(data), entry=entry if catalogue else None)


def file_of(data: bytes, entry: Entry | None) -> File:
    return File(data, None, None) if entry is None else File(data, f'"{entry.sha256}"', int(SAVED.timestamp()))


def body(made: Answer, data: bytes) -> bytes:
    return b"".join(part if isinstance(part, bytes) else data[part.start : part.stop] for part in made.pieces)


def sent(made: Answer, data: bytes) -> list[tuple[str, bytes]]:
    """Return the ranges that are sent, and their bytes."""
    content_type = made.headers["Content-Type"]
    received = body(made, data)
    assert int(made.headers["Content-Length"]) == len(received)
    if not content_type.startswith("multipart/"):
        return [(made.headers["Content-Range"], received)]
    assert "Content-Range" not in made.headers
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


def check(made: Answer, file: File, asked: reference.Asked) -> None:
    expected = reference.answer(file, asked)
    size = len(file.data)
    assert made.status == expected.status
    if expected.status in {200, 206, 304, 412}:
        assert made.headers.get("ETag") == file.etag
        last_modified = None if file.modified is None else http_date(file.modified)
        assert made.headers.get("Last-Modified") == last_modified
        assert made.headers["Cache-Control"] == "private, no-cache"
    assert made.headers.get("Accept-Ranges") == ("bytes" if expected.status in {200, 206, 416} else None)
    if expected.status == 206:
        ranges = [(f"bytes {first}-{last}/{size}", file.data[first : last + 1]) for first, last in expected.parts]
        assert sent(made, file.data) == ranges
        return
    content_range = f"bytes */{size}" if expected.status == 416 else None
    assert made.headers.get("Content-Range") == content_range
    if expected.status == 200:
        assert made.headers["Content-Length"] == str(size)
    assert body(made, file.data) == (file.data if expected.status == 200 and asked.method == "GET" else b"")


@pytest.mark.parametrize("size", [0, 1, 50])
def test_the_answer_is_the_rfcs(size: int, catalogue: bool) -> None:
    data = content(size)
    found = found_file(data, catalogue=catalogue)
    file = file_of(data, found.entry)

    @settings(max_examples=250)
    @given(requests(file))
    def compare(asked: reference.Asked) -> None:
        made = answer_to(asked.method, asked.headers(), NAME, found, Presentation())
        check(made, file, asked)

    compare()


def test_no_header_is_an_error(catalogue: bool) -> None:
    found = found_file(b"0123456789", catalogue=catalogue)

    @settings(max_examples=250)
    @given(st.sampled_from(["GET", "HEAD"]), st.dictionaries(st.sampled_from(HEADERS), st.text(), max_size=4))
    def ask(method: str, headers: dict[str, str]) -> None:
        made = answer_to(method, headers, NAME, found, Presentation())
        assert made.status in {200, 206, 304, 412, 416}
        HttpResponse(headers=made.headers)

    ask()
