"""What is answered to a request, as data: without a request, a database or a response."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from pg_lo_storage.http import FileFacts, Presentation, answer
from pg_lo_storage.http.ranges import Piece

pytestmark = pytest.mark.once

MODIFIED = datetime(2024, 5, 6, 7, 8, 9, 999_999, tzinfo=UTC)
DATE, BEFORE, AFTER = (f"Mon, 06 May 2024 07:08:{second} GMT" for second in ("09", "08", "10"))
FACTS = FileFacts(7, 10, "a.pdf", sha256="ab" * 32, modified=MODIFIED, written_once=True)
ETAG = f'"{"ab" * 32}"'
SAID = {
    "Content-Type": "application/pdf",
    "Content-Disposition": 'inline; filename="a.pdf"',
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Accept-Ranges": "bytes",
    "Vary": "Cookie",
    "ETag": ETAG,
    "Last-Modified": DATE,
}
WHOLE = (200, SAID | {"Content-Length": "10"}, [range(10)])
UNCHANGED = (
    304,
    {"Cache-Control": "private, no-cache", "Vary": "Cookie", "ETag": ETAG, "Last-Modified": DATE},
    list[Piece](),
)
FAILED = (412, *UNCHANGED[1:])


def part(first: int, last: int) -> tuple[int, dict[str, str], list[Piece]]:
    """Return the answer with one range."""
    length = last + 1 - first
    headers = SAID | {"Content-Range": f"bytes {first}-{last}/10", "Content-Length": str(length)}
    return 206, headers, [range(first, last + 1)]


def answered(method: str, headers: dict[str, str], facts: FileFacts = FACTS, **more: Any) -> tuple[Any, ...]:
    """Return what is answered, as a tuple."""
    made = answer(method, headers, facts, vary="Cookie", **more)
    return made.status, made.headers, list(made.pieces)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, WHOLE),
        ({"Range": "bytes=0-9"}, part(0, 9)),
        ({"RANGE": "Bytes=2-5"}, part(2, 5)),
        ({"range": "bytes=2-5,4-6,7-7"}, part(2, 7)),
        ({"range": "bytes=-3"}, part(7, 9)),
        ({"range": "bytes=-99"}, part(0, 9)),
        ({"range": "bytes=9-99"}, part(9, 9)),
        ({"range": "bytes=5-4"}, WHOLE),
        ({"range": "bytes=5-004"}, WHOLE),
        ({"range": "bytes=004-5"}, part(4, 5)),
        ({"range": "bytes=-"}, WHOLE),
        ({"range": "bytes=,"}, WHOLE),
        ({"range": "Xbytes=1-2"}, WHOLE),
        ({"range": "\x0bbytes=1-2"}, WHOLE),
        ({"range": "bytes=1-2,\x0b4-5"}, WHOLE),
        ({"range": "bytes=1-2X"}, WHOLE),
        ({"range": "\tbytes=1-2 ,\t3-4 "}, part(1, 4)),
        ({"range": "bytes=0-3,x"}, WHOLE),
        ({"range": "lines=2-5"}, WHOLE),
        ({"range": "bytes=" + ",".join(["1-1"] * 64)}, part(1, 1)),
        ({"range": "bytes=" + ",".join(["1-1"] * 65)}, WHOLE),
        ({"range": "bytes=2-5", "if-range": ETAG}, part(2, 5)),
        ({"range": "bytes=2-5", "If-Range": DATE}, part(2, 5)),
        ({"range": "bytes=2-5", "if-range": AFTER}, WHOLE),
        ({"range": "bytes=2-5", "if-range": f"W/{ETAG}"}, WHOLE),
        ({"range": "bytes=2-5", "if-range": f" \t{ETAG}\t "}, part(2, 5)),
        ({"range": "bytes=2-5", "if-range": f"\x0b{ETAG}"}, WHOLE),
        ({"range": "bytes=2-5", "if-range": f"X{ETAG}"}, WHOLE),
        ({"range": "bytes=10-", "if-range": '"other"'}, WHOLE),
        ({"if-none-match": ETAG}, UNCHANGED),
        ({"if-none-match": f'"other", W/{ETAG}', "range": "bytes=2-5"}, UNCHANGED),
        ({"if-none-match": "*"}, UNCHANGED),
        ({"if-none-match": '"other"', "if-modified-since": DATE}, WHOLE),
        ({"if-modified-since": DATE}, UNCHANGED),
        ({"if-modified-since": AFTER}, UNCHANGED),
        ({"if-modified-since": BEFORE}, WHOLE),
        ({"if-modified-since": "yesterday"}, WHOLE),
        ({"if-match": ETAG, "if-unmodified-since": BEFORE}, WHOLE),
        ({"if-match": f"W/{ETAG}"}, FAILED),
        ({"if-match": '"other"', "if-none-match": ETAG}, FAILED),
        ({"if-match": "\x0b*"}, FAILED),
        ({"if-match": "X*"}, FAILED),
        ({"if-match": " *\t", "range": "bytes=0-"}, part(0, 9)),
        ({"if-unmodified-since": BEFORE}, FAILED),
        ({"if-unmodified-since": DATE}, WHOLE),
        ({"if-unmodified-since": "yesterday"}, WHOLE),
    ],
)
def test_conditions_come_first_then_ranges(headers: dict[str, str], expected: tuple[Any, ...]) -> None:
    assert answered("GET", headers) == expected
    # HEAD is answered as GET without a range.
    status, said, _ = WHOLE if expected[0] == 206 else expected
    assert answered("HEAD", headers) == (status, said, [])


def test_what_only_others_have_is_not_said() -> None:
    made = answer("GET", {"if-none-match": '"7"', "range": "bytes=10-"}, FileFacts(7, 10, "a.pdf"))
    assert made.headers == {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Range": "bytes */10",
    }
    assert (made.status, list(made.pieces)) == (416, [])
    plain = answer("GET", {}, FileFacts(7, 0, "a.pdf"))
    assert plain.headers.keys() & {"Vary", "ETag", "Last-Modified", "Repr-Digest"} == set()
    assert (plain.status, plain.headers["Content-Length"], list(plain.pieces)) == (200, "0", [])


def test_a_refused_range_says_how_it_may_be_kept_unless_that_was_taken_away() -> None:
    without = Presentation(headers={"accept-ranges": None, "CACHE-CONTROL": None})
    assert answered("GET", {"range": "bytes=10-"}, presentation=without) == (416, {"Content-Range": "bytes */10"}, [])


def test_no_other_method_is_answered_nor_kept() -> None:
    assert answered("PUT", {}) == (
        405,
        {"Allow": "GET, HEAD", "Content-Length": "0", "Cache-Control": "no-store"},
        [],
    )


def test_several_ranges_have_a_boundary_a_type_and_a_length_of_all() -> None:
    status, headers, pieces = answered("GET", {"range": "bytes=7-8,0-1"})
    assert (status, headers.keys() - SAID.keys()) == (206, {"Content-Length"})
    match = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-f]{32,})", headers["Content-Type"])
    assert match
    assert pieces == [
        f"--{match[1]}\r\nContent-Type: application/pdf\r\nContent-Range: bytes 7-8/10\r\n\r\n".encode(),
        range(7, 9),
        f"\r\n--{match[1]}\r\nContent-Type: application/pdf\r\nContent-Range: bytes 0-1/10\r\n\r\n".encode(),
        range(2),
        f"\r\n--{match[1]}--\r\n".encode(),
    ]
    assert headers["Content-Length"] == str(sum(map(len, pieces)))
    other = answered("GET", {"range": "bytes=7-8,0-1"})[1]["Content-Type"]
    assert other != headers["Content-Type"]


def test_parts_have_a_type_where_the_file_is_to_have_none() -> None:
    _, _, pieces = answered(
        "GET", {"range": "bytes=7-8,0-1"}, presentation=Presentation(headers={"content-type": None})
    )
    assert b"\r\nContent-Type: application/octet-stream\r\n" in pieces[0]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("sha-256=1", True),
        ("sha-256=10", True),
        ("sha-512=3, sha-256=1", True),
        ("sha-256=0", False),
        ("sha-256=11", False),
        ("sha-512=3", False),
        ("sha-256=1, ?", False),
        ("sha-256=1, sha-256=0", False),
    ],
)
def test_the_digest_is_given_to_those_who_ask(wanted: str, given: bool) -> None:
    digest = {"Repr-Digest": "sha-256=:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=:"}
    assert answered("GET", {"Want-Repr-Digest": wanted}) == (200, WHOLE[1] | (digest if given else {}), WHOLE[2])
    without = FileFacts(7, 10, "a.pdf")
    assert "Repr-Digest" not in answer("GET", {"Want-Repr-Digest": wanted}, without).headers


def test_headers_are_replaced_removed_and_added_in_any_spelling() -> None:
    changes = Presentation(headers={"vary": "X-Mine", "etag": None, "X-Own": "1"}, max_ranges=1)
    status, headers, _ = answered("GET", {"range": "bytes=0-0,5-5"}, presentation=changes)
    expected = WHOLE[1] | {"Vary": "X-Mine", "X-Own": "1"}
    del expected["ETag"]
    assert (status, headers) == (200, expected)


@pytest.mark.parametrize(
    ("facts", "date"),
    [
        ({"written_once": True}, True),
        ({"written_once": False}, True),  # long ago
        ({"modified": datetime(2999, 1, 1, tzinfo=UTC), "written_once": True}, False),
        ({"modified": None, "written_once": True}, False),
    ],
)
def test_a_date_is_said_once_it_stands_for_one_content(facts: dict[str, Any], date: bool) -> None:
    said: dict[str, Any] = {"oid": 7, "size": 10, "modified": MODIFIED}
    made = answer("GET", {}, FileFacts(**said | facts))
    assert ("Last-Modified" in made.headers) == date


@pytest.mark.parametrize(
    ("age", "written_once", "date"),
    [(0, True, True), (-0.5, True, False), (60, False, True), (59.5, False, False), (0, False, False)],
)
def test_what_may_be_written_again_within_a_second_has_a_date_after_a_minute(
    age: float, written_once: bool, date: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = FileFacts(7, 10, modified=MODIFIED, written_once=written_once)
    monkeypatch.setattr(time, "time", lambda: MODIFIED.timestamp() + age)
    assert answer("GET", {}, facts).headers.get("Last-Modified") == (DATE if date else None)


def test_a_date_resumes_a_download_only_of_what_was_written_once() -> None:
    rewritten = FileFacts(7, 10, "a.pdf", modified=MODIFIED)
    assert answer("GET", {"range": "bytes=2-5", "if-range": DATE}, rewritten).status == 200
    assert answer("GET", {"if-modified-since": DATE}, rewritten).status == 304


def test_a_tag_is_of_oid_time_and_version_where_there_is_no_digest() -> None:
    facts = FileFacts(7, 10, "a.pdf", version="9-x", modified=datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    assert answer("GET", {}, facts).headers["ETag"] == f'"7-{1_000_005:x}-9-x"'
    assert answer("GET", {}, FileFacts(7, 10, "a.pdf", version="9-x")).headers["ETag"] == '"7-9-x"'
