"""What is answered is what RFC 9110 says, for whatever headers; the RFC's answers are in :mod:`.reference`."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from django.core.files.base import ContentFile
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from pg_lo_storage.catalogue import Entry, Found
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.http.answer import Answer, answer
from pg_lo_storage.http.finding import facts_of
from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.views import db_serve
from tests.serving import reference
from tests.serving.reference import File, Sent, check, requests
from tests.storage.support import content, joined

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


def sent(made: Answer, data: bytes) -> Sent:
    pieces = [piece if isinstance(piece, bytes) else data[piece.start : piece.stop] for piece in made.pieces]
    return Sent(made.status, made.headers, b"".join(pieces))


@pytest.mark.django_db
@pytest.mark.parametrize("size", [0, 50])
def test_what_the_view_sends_is_the_rfcs(size: int, catalogue: bool) -> None:
    data = content(size)
    name = db_file_storage.save("a.pdf", ContentFile(data))
    etag, modified = None, None
    if catalogue:
        entry = db_file_storage.entry(name)
        etag, modified = f'"{entry.sha256}"', int(entry.modified_at.timestamp())
    file = File(data, etag, modified)

    @settings(max_examples=100)
    @given(requests(file))
    def compare(asked: reference.Asked) -> None:
        response = db_serve(RequestFactory().generic(asked.method, "/", headers=asked.headers()), name)
        check(Sent(response.status_code, response.headers, joined(response)), file, asked)

    compare()


@pytest.mark.parametrize("size", [0, 1, 50])
def test_the_answer_is_the_rfcs(size: int, catalogue: bool) -> None:
    data = content(size)
    found = found_file(data, catalogue=catalogue)
    file = file_of(data, found.entry)

    @settings(max_examples=250)
    @given(requests(file))
    def compare(asked: reference.Asked) -> None:
        made = answer(asked.method, asked.headers(), facts_of(NAME, 7, found.size, found.entry))
        check(sent(made, data), file, asked)

    compare()


def test_no_header_is_an_error(catalogue: bool) -> None:
    found = found_file(b"0123456789", catalogue=catalogue)

    @settings(max_examples=250)
    @given(st.sampled_from(["GET", "HEAD"]), st.dictionaries(st.sampled_from(HEADERS), st.text(), max_size=4))
    def ask(method: str, headers: dict[str, str]) -> None:
        made = answer(method, headers, facts_of(NAME, 7, found.size, found.entry))
        assert made.status in {200, 206, 304, 412, 416}
        HttpResponse(headers=made.headers)

    ask()
