"""``db_serve`` and the Range header: RFC 9110, section 14."""

import itertools
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from django.core.files.base import ContentFile
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from pg_lo_storage.http.ranges import MAX_RANGES, coalesce, parse_ranges
from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.storage.saving import SMALL
from pg_lo_storage.views import db_serve
from tests.storage.support import LARGE, body, content

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

SIZE = 10
RANGES = st.tuples(st.integers(0, 50), st.integers(1, 10)).map(lambda drawn: range(drawn[0], sum(drawn)))


@pytest.fixture
def url() -> str:
    return db_file_storage.url(db_file_storage.save("a.pdf", ContentFile(b"0123456789")))


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=9-9", 9, 9),
        ("bytes=0-9", 0, 9),
        ("bytes=2-5", 2, 5),
        ("bytes=2-", 2, 9),
        ("bytes=9-", 9, 9),
        ("bytes=0-", 0, 9),
        ("bytes=-1", 9, 9),
        ("bytes=-3", 7, 9),
        ("bytes=-10", 0, 9),
        ("bytes=-11", 0, 9),
        ("bytes=5-999999999999", 5, 9),
        ("bytes=0002-0005", 2, 5),
        ("BYTES=2-5", 2, 5),
        ("bytes=2-" + "9" * 5000, 2, 9),
        ("bytes=-" + "9" * 5000, 0, 9),
        ("bytes=" + "0" * 5000 + "2-5", 2, 5),
        ("bytes=2-5,", 2, 5),
        ("bytes= ,\t2-5 , ", 2, 5),
        ("  bytes=2-5  ", 2, 5),
    ],
)
def test_one_range_is_served(header: str, first: int, last: int, url: str) -> None:
    response = Client().get(url, headers={"range": header})
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert response.headers["Content-Length"] == str(last - first + 1)
    assert response.headers["Content-Type"] == "application/pdf"
    assert body(response) == b"0123456789"[first : last + 1]


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=10-20", "bytes=999999999999-", "bytes=-0", "bytes=10-,-0", f"bytes={'9' * 5000}-"]
)
def test_a_range_past_the_end_cannot_be_satisfied(header: str, url: str) -> None:
    response = Client().get(url, headers={"range": header})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"
    assert body(response) == b""


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_no_range_of_an_empty_file_can_be_satisfied(header: str) -> None:
    url = db_file_storage.url(db_file_storage.save("a.pdf", ContentFile(b"")))
    response = Client().get(url, headers={"range": header})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == "bytes */0"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=--1",
        "bytes=5-2",
        "bytes=5-004",
        "\x0bbytes=1-2",
        "bytes=1-2\x0b",
        "bytes=\x0b1-2,4-5",
        "Xbytes=1-2",
        "bytes=1-2X,4-5",
        "bytes=a-b",
        "bytes=1.5-2",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes=1-2x",
        "bytes=0x1-2",
        "bytes=1_0-",
        "bytes=\u0661-\u0662",
        "bytes 1-2",
        "bytes:1-2",
        "bytes=" + "9" * 5000 + "-" + "8" * 5000,
        "bytes =1-2",
        "bytes=1-2,x",
        "bytes=1-2,5-4",
        "bytes=,",
        "bytes=" + ",".join(f"{first}-" for first in range(MAX_RANGES + 1)),
        "lines=1-2",
        "items=0-0",
        "none",
        "\x00",
    ],
)
def test_a_range_that_is_malformed_or_of_another_unit_is_ignored(header: str, url: str) -> None:
    response = Client().get(url, headers={"range": header})
    assert response.status_code == 200
    assert "Content-Range" not in response.headers
    assert body(response) == b"0123456789"


def parts_of(response: HttpResponseBase) -> list[tuple[str, str, bytes]]:
    """Return the content type, range and bytes of each part, as Python's own reader of multipart finds them."""
    raw = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode() + body(response)
    assert int(response.headers["Content-Length"]) == len(raw.partition(b"\r\n\r\n")[2])
    message = BytesParser(policy=HTTP).parsebytes(raw)
    assert message.get_content_type() == "multipart/byteranges"
    found: list[tuple[str, str, bytes]] = []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((part.get_content_type(), part["Content-Range"], content))
    return found


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-1,3-4", [(0, 1), (3, 4)]),
        ("bytes=0-1 ,\t3-4", [(0, 1), (3, 4)]),
        ("bytes=0-0,-1", [(0, 0), (9, 9)]),
        ("bytes=-1,0-0", [(9, 9), (0, 0)]),
        ("bytes=8-,0-1,20-", [(8, 9), (0, 1)]),
        ("bytes=6-7,0-1,5-6,1-2,20-", [(5, 7), (0, 2)]),
        ("bytes=0-1,7-8,2-3", [(0, 3), (7, 8)]),
    ],
)
def test_several_ranges_are_served_as_parts(header: str, expected: list[tuple[int, int]], url: str) -> None:
    response = Client().get(url, headers={"range": header})
    assert response.status_code == 206
    assert "Content-Range" not in response.headers
    assert parts_of(response) == [
        ("application/pdf", f"bytes {first}-{last}/{SIZE}", b"0123456789"[first : last + 1]) for first, last in expected
    ]


@pytest.mark.parametrize(
    "header", ["bytes=2-3,4-5", "bytes=2-4,3-5", "bytes=2-5,2-5", "bytes=2-5,20-", "bytes=4-5,2-4"]
)
def test_what_is_one_range_in_the_end_is_served_as_one(header: str, url: str) -> None:
    response = Client().get(url, headers={"range": header})
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes 2-5/{SIZE}"
    assert body(response) == b"2345"


def test_parts_of_a_large_file_are_read_in_blocks() -> None:
    data = content(3 * LARGE)
    url = db_file_storage.url(db_file_storage.save("a.pdf", ContentFile(data)))
    response = Client().get(url, headers={"range": f"bytes={LARGE}-{3 * LARGE - 2},0-{LARGE - 2}"})
    assert isinstance(response, StreamingHttpResponse)
    assert [part for *_, part in parts_of(response)] == [data[LARGE:-1], data[: LARGE - 1]]


@pytest.mark.parametrize(("allowed", "status"), [(1, 200), (2, 206)])
def test_how_many_ranges_are_served_can_be_said(allowed: int, status: int, url: str) -> None:
    request = RequestFactory().get("/", headers={"range": "bytes=0-1,3-4"})
    assert db_serve(request, url.rpartition("/")[2], max_ranges=allowed).status_code == status


def test_two_range_headers_are_ignored(url: str) -> None:
    # A server joins two headers of one name by a comma.
    response = Client().get(url, headers={"range": "bytes=0-1,bytes=3-4"})
    assert response.status_code == 200
    assert body(response) == b"0123456789"


@pytest.mark.parametrize("validator", ['"abc"', 'W/"abc"', "Wed, 21 Oct 2015 07:28:00 GMT", "nonsense", ""])
def test_with_if_range_the_whole_file_is_served(validator: str, url: str) -> None:
    for header in ("bytes=2-5", "bytes=99-"):
        response = Client().get(url, headers={"range": header, "if-range": validator})
        assert response.status_code == 200
        assert body(response) == b"0123456789"


@pytest.mark.parametrize("header", ["bytes=2-5", "bytes=99-", "nonsense"])
def test_a_range_means_something_to_get_only(header: str, url: str) -> None:
    response = Client().head(url, headers={"range": header})
    assert response.status_code == 200
    assert response.headers["Content-Length"] == str(SIZE)
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize("first", [0, 1, SMALL - 1, SMALL, SMALL + 1, LARGE - 1])
@pytest.mark.parametrize("length", [1, SMALL, SMALL + 1, LARGE])
def test_a_range_of_a_large_file_is_served(first: int, length: int) -> None:
    data = content(LARGE)
    url = db_file_storage.url(db_file_storage.save("a.pdf", ContentFile(data)))
    last = min(first + length, LARGE) - 1
    response = Client().get(url, headers={"range": f"bytes={first}-{first + length - 1}"})
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{LARGE}"
    assert response.headers["Content-Length"] == str(last - first + 1)
    assert body(response) == data[first : last + 1]


@given(header=st.text(alphabet="bytes=-,0123456789 \t") | st.text(), size=st.integers(0, 2**42))
def test_no_header_asks_for_bytes_that_there_are_not(header: str, size: int) -> None:
    for found in parse_ranges(header, size) or []:
        assert 0 <= found.start < found.stop <= size
        assert found.step == 1


@given(size=st.integers(1, 2**42), data=st.data())
def test_every_well_formed_range_is_understood(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, 2**42))
    assert parse_ranges(f"bytes={first}-{last}", size) == [range(first, min(last + 1, size))]


@given(st.lists(RANGES))
def test_joined_ranges_have_the_same_bytes_and_neither_overlap_nor_touch(ranges: list[range]) -> None:
    joined = coalesce(ranges)
    assert {place for one in joined for place in one} == {place for one in ranges for place in one}
    ordered = sorted(joined, key=lambda one: one.start)
    assert all(before.stop < after.start for before, after in itertools.pairwise(ordered))
    firsts = [next(place for place, one in enumerate(ranges) if one.start in whole) for whole in joined]
    assert firsts == sorted(firsts)
