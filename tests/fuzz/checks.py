"""What holds of every input; each check takes one."""

import gzip
import hashlib
import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Final, cast
from unittest.mock import patch
from urllib.parse import unquote, urljoin

from django.core.files.base import ContentFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.test import RequestFactory
from django.utils.http import parse_http_date_safe

from pg_lo_storage.catalogue import Entry
from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.fields import DbFieldFile
from pg_lo_storage.http import conditions
from pg_lo_storage.http.conditions import Validators
from pg_lo_storage.http.finding import facts_of
from pg_lo_storage.http.presentation import Presentation
from pg_lo_storage.http.ranges import MAX_RANGES, coalesce, multipart, parse_ranges
from pg_lo_storage.names import LONGEST_NAME, is_made, make_name, original_name_of, parse_name
from pg_lo_storage.storage import DbFileStorage, db_file_storage, signing
from pg_lo_storage.views import db_serve, db_serve_signed
from tests.fuzz import oracles
from tests.fuzz.inputs import Edit, Stored
from tests.invoices.models import Invoice
from tests.serving.reference import Asked, File, Tags, is_current, status_of_preconditions

__all__ = ["Served", "check_conditions", "check_name", "check_presentation", "check_ranges", "check_signature"]

ROW: Final = Invoice()
STORAGE: Final = DbFileStorage("/files/")
NOW: Final = 1_800_000_000
MOMENT: Final = datetime(2027, 1, 15, 8, tzinfo=UTC)
DIGEST: Final = hashlib.sha256(b"").hexdigest()
UNRESERVED: Final = oracles.ALPHA | oracles.DIGITS | frozenset("-._~")


def check_name(text: str) -> None:
    """A name is read as the contract says, made narrowly, and its URL stays where it is to be."""
    loid = parse_name(text)
    assert loid == oracles.read_name(text) == DbFieldFile(ROW, ROW.data.field, text).loid
    assert STORAGE.is_valid_name(text) == (loid is not None)
    url = STORAGE.url(text)
    segment = url.removeprefix("/files/")
    assert url == f"/files/{segment}"
    assert set(segment) <= UNRESERVED | {"%"}
    assert urljoin("https://example.org/other/", url) == f"https://example.org{url}"
    if loid is not None:
        assert unquote(segment, errors="strict") == text
    kept = oracles.extension(text)
    number = loid or 12
    made = make_name(number, text)
    assert made == f"{number}{kept}"
    assert made.isascii()
    assert len(made) <= LONGEST_NAME
    assert parse_name(made) == number
    assert is_made(made)
    assert is_made(text) == (loid is not None and text == make_name(loid, f"a{text.lstrip('0123456789')}"))
    for most in (10, 13, 20):
        assert make_name(number, text, max_length=most) == (made if len(made) <= most else str(number))
    original = original_name_of(text)
    original.encode()
    assert not set(original) & set("/\\\0")
    assert len(original) <= 1000
    if not any(one == "\0" or "\ud800" <= one <= "\udfff" for one in text):
        assert oracles.extension(original) == kept


def check_ranges(header: str, size: int) -> None:
    """Ranges are the RFC's, and what is sent of several is well formed."""
    found = parse_ranges(header, size)
    assert found == oracles.read_ranges(header, size, MAX_RANGES)
    if not found:
        return
    joined = coalesce(found)
    ordered = sorted(joined, key=lambda one: one.start)
    assert all(before.stop < after.start for before, after in itertools.pairwise(ordered))
    assert all(any(one.start >= all_.start and one.stop <= all_.stop for all_ in joined) for one in found)
    ends = {one.start for one in found}, {one.stop for one in found}
    assert all(one.start in ends[0] and one.stop in ends[1] for one in joined)
    content_type, pieces = multipart(joined, size, "text/plain")
    boundary = content_type.removeprefix("multipart/byteranges; boundary=")
    heads = [piece for piece in pieces if isinstance(piece, bytes)]
    assert [piece for piece in pieces if isinstance(piece, range)] == joined
    for head, one in zip(heads, joined, strict=False):
        expected = f"--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {one[0]}-{one[-1]}/{size}\r\n\r\n"
        assert head.decode().removeprefix("\r\n") == expected
    assert heads[-1].decode() == f"\r\n--{boundary}--\r\n"


def check_conditions(headers: Mapping[str, str], validators: Validators) -> None:
    """Preconditions that are well formed are evaluated as the RFC says; others let no more be skipped than those."""
    sent = {header.lower(): value for header, value in headers.items()}
    file = File(b"", validators.etag, validators.last_modified)
    tags = {header: _tags(headers, header) for header in ("If-Match", "If-None-Match")}
    status = conditions.evaluate(sent, validators)
    assert status in {None, 304, 412}
    if all(value is None or value[1] is not None for value in tags.values()):
        asked = Asked(
            "GET",
            cast("tuple[str, Tags] | None", tags["If-Match"]),
            cast("tuple[str, Tags] | None", tags["If-None-Match"]),
            _date(headers, "If-Modified-Since"),
            _date(headers, "If-Unmodified-Since"),
            None,
            None,
        )
        assert status == status_of_preconditions(file, asked)
    elif status == 304 and (listed := headers.get("If-None-Match")) is not None:
        assert listed.strip(" \t") == "*" or (validators.etag is not None and validators.etag in listed)
    listed = headers.get("If-Range")
    meant = None if listed is None else _validator(listed.strip(" \t"))
    strong = file if validators.is_date_strong else File(b"", file.etag, None)
    assert conditions.allows_range(sent, validators) == (listed is None or is_current(meant, strong))
    digest = conditions.repr_digest(headers.get("Want-Repr-Digest", ""), DIGEST)
    assert digest in ({}, {"Repr-Digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"})
    assert not digest or "sha-256=" in headers["Want-Repr-Digest"]


def _tags(headers: Mapping[str, str], header: str) -> tuple[str, Tags | None] | None:
    return (headers[header], oracles.read_tags(headers[header])) if header in headers else None


def _date(headers: Mapping[str, str], header: str) -> tuple[str, int | None] | None:
    return (headers[header], parse_http_date_safe(headers[header])) if header in headers else None


def _validator(text: str) -> tuple[bool, str] | int | None:
    if text.endswith('"'):
        return text.startswith("W/"), text
    return parse_http_date_safe(text)


def check_presentation(stored: Stored) -> None:
    """Whatever is stored adds no header, runs nowhere, and is offered under a name that says what it is."""
    name = f"12{stored.extension}"
    original = original_name_of(stored.original)
    known = content_type_of(original, stored.declared)
    by_hand = stored.declared or ""  # as somebody may write it by SQL
    entries = [
        Entry(12, extension, original, content_type, 0, DIGEST, MOMENT, MOMENT, "1")
        for content_type, extension in ((known, stored.extension), (by_hand, None))
    ]
    for entry in (*entries, None):
        facts = facts_of(name, 12, 0, entry)
        headers = Presentation(stored.as_attachment, stored.download_name).headers_of(facts)
        check_headers(headers, stored, name, original if entry else "")


def check_headers(headers: Mapping[str, str], stored: Stored, name: str, original: str) -> None:
    """The part of it that is of the answer's headers."""
    assert all(" " <= one <= "~" for value in headers.values() for one in value)
    HttpResponse(headers=dict(headers))
    content_type = headers["Content-Type"]
    assert content_type == content_type.lower()
    assert content_type.count("/") == 1
    assert not set(content_type) & set(' ,;"\\()<>@:?={}[]')
    assert not oracles.is_run(content_type)
    disposition = oracles.read_disposition(headers["Content-Disposition"])
    names = (stored.download_name or "", original, name)
    assert disposition.filename == next(shown for each in names if (shown := oracles.printable(each)))
    inline = disposition.kind == "inline"
    assert inline == (oracles.is_passive(content_type) if stored.as_attachment is None else not stored.as_attachment)
    policy = headers.get("Content-Security-Policy", "").split("; ")
    assert (policy == [""]) == (inline and content_type == "application/pdf")
    if policy != [""]:
        assert "default-src 'none'" in policy
        played = inline and content_type.startswith(("audio/", "video/")) and oracles.is_passive(content_type)
        assert policy[0] == ("sandbox allow-same-origin" if played else "sandbox")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-cache"


def check_signature(name: str, base_url: str, changes: list[Edit], seconds: int, later: int) -> None:
    """A signature counts as it was written, for the file it was written for, until its time: else nothing is told."""
    attachment = (None, True, False)[seconds % 3]
    with patch.object(signing, "time", SimpleNamespace(time=lambda: NOW)):
        url = signing.signed_url(
            "/u", name, base_url=base_url, alias="default", max_age=seconds, as_attachment=attachment
        )
    query = url.removeprefix("/u?")
    expires = int(query.partition("=")[2].partition(".")[0])
    assert NOW + seconds * 0.9 - 1 <= expires <= NOW + seconds
    changed, other_name, other_url = query, name, base_url
    for place, edit in enumerate(changes):
        if place % 3 == 0:
            changed = edit.of(changed)
        elif place % 3 == 1:
            other_name = edit.of(name)
        else:
            other_url = edit.of(base_url)

    def granted(query: str, name: str, base_url: str, alias: str = "default") -> signing.Grant | None:
        return signing.read_signature(query, name, base_url=base_url, alias=alias)

    with patch.object(signing, "time", SimpleNamespace(time=lambda: NOW + later)):
        grant = granted(query, name, base_url)
        assert grant == (signing.Grant(attachment, expires - NOW - later) if NOW + later < expires else None)
        assert granted(query, name, base_url, "other") is None
        for one in ((changed, name, base_url), (query, other_name, base_url), (query, name, other_url)):
            assert (granted(*one) is not None) == (grant is not None and _same(one, (query, name, base_url)))
        if changed != query:
            request = RequestFactory().get("/")
            request.META["QUERY_STRING"] = changed
            response = db_serve_signed(request, name, storage=DbFileStorage(base_url))  # the database is closed to it
            assert (response.status_code, cast("HttpResponse", response).content) == (403, b"")
            assert response.headers["Cache-Control"] == "no-store"


def _same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    # To JSON a pair of surrogates is the character that it stands for in UTF-16. No URL has such a pair, and no name.
    return [text.encode("utf-16", "surrogatepass") for text in one] == [
        text.encode("utf-16", "surrogatepass") for text in other
    ]


class Served:
    """A few files that are stored, for requests of all kinds; to be used in one transaction."""

    def __init__(self) -> None:
        self.data = {size: bytes(range(256))[:size] * max(size // 256, 1) for size in (0, 1, 64, 512)}
        self.names = {size: db_file_storage.save("a.txt", ContentFile(data)) for size, data in self.data.items()}

    def check_request(self, method: str, size: int, name: str | None, headers: Mapping[str, str]) -> None:
        """What is sent is what there is, or the part that the answer says, or nothing."""
        request = RequestFactory().generic(method, "/", headers=dict(headers))
        wanted = self.names[size] if name is None else name
        response = GZipMiddleware(_unused).process_response(request, db_serve(request, wanted))
        assert all(one not in value for _, value in response.items() for one in "\r\n\0")
        sent = _body(response)
        status = response.status_code
        encoded = response.headers.get("Content-Encoding")
        assert status in ({200, 206, 304, 412, 416} if name is None else {404, 200, 206, 304, 412, 416})
        if status == 404 or name is not None:
            assert sent == b"" or name in self.names.values()
            return
        data = self.data[size]
        assert method == "GET" or sent == b""
        if encoded is not None:
            assert (encoded, status) == ("gzip", 200)
            assert "gzip" in headers["Accept-Encoding"].lower()
            assert not response.headers.get("ETag", "W/").startswith('"')
            sent = gzip.decompress(sent) if sent else sent
        if status in {304, 412, 416}:
            assert sent == b""
        elif status == 200:
            assert method == "HEAD" or sent == data
        elif "Content-Range" in response.headers:
            first, last = response.headers["Content-Range"].removeprefix("bytes ").partition("/")[0].split("-")
            assert sent == data[int(first) : int(last) + 1]
        else:
            assert response.headers["Content-Type"].startswith("multipart/byteranges")
        assert status != 206 or int(response.headers["Content-Length"]) == len(sent)


def check_stored(stored: Stored) -> None:
    """What is stored is found again under its name, as it was, and then is gone."""
    upload = ContentFile(b"data", name="a")
    upload.content_type = stored.declared  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  as uploads have it
    name = db_file_storage.save(stored.original, upload)
    assert is_made(name)
    assert name.lstrip("0123456789") == oracles.extension(stored.original)
    entry = db_file_storage.entry(name)
    assert entry.original_name == original_name_of(stored.original)
    assert entry.content_type == content_type_of(entry.original_name, stored.declared)
    response = db_serve(
        RequestFactory().get("/"), name, as_attachment=stored.as_attachment, download_name=stored.download_name
    )
    assert (response.status_code, _body(response)) == (200, b"data")
    check_headers(dict(response.headers), stored, name, entry.original_name)
    db_file_storage.delete(name)
    assert not db_file_storage.exists(name)
    for other in (stored.original, stored.extension):
        assert not db_file_storage.exists(other)
        db_file_storage.delete(other)


def _body(response: HttpResponseBase) -> bytes:
    # Not closed: that would close the connection, and the test's transaction with it.
    return b"".join(cast("Iterable[bytes]", response))


def _unused(_request: HttpRequest) -> HttpResponseBase:
    raise AssertionError
