"""Validators: what they are, and when there are none."""

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.test import RequestFactory
from django.utils.http import http_date

from pg_lo_storage.http import FileFacts
from pg_lo_storage.http.conditions import Validators, allows_range, evaluate
from pg_lo_storage.storage import DbFileIO, db_file_storage
from pg_lo_storage.views import db_serve
from tests.storage.support import loid_of

pytestmark = pytest.mark.django_db

DATA = b"0123456789"
LONG_AGO = datetime(2024, 2, 29, 12, 0, 0, 700_000, tzinfo=UTC)


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.pdf", ContentFile(DATA))


def etag_of(name: str) -> str | None:
    return db_serve(RequestFactory().head("/"), name).headers.get("ETag")


def rewrite(name: str, data: bytes) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
        file.write(data)


def test_the_etag_is_of_the_content(name: str, catalogue: bool) -> None:
    again = db_file_storage.save("b.pdf", ContentFile(DATA))
    other = db_file_storage.save("b.pdf", ContentFile(DATA + b"!"))
    if catalogue:
        assert etag_of(name) == f'"{hashlib.sha256(DATA).hexdigest()}"' == etag_of(again)
        assert etag_of(other) not in {None, etag_of(name)}
    else:
        assert etag_of(name) is None


def test_after_a_write_in_place_it_is_another_one_after_each(name: str, catalogue: bool) -> None:
    if not catalogue:
        return
    tags = [etag_of(name)]
    for data in (b"first", b"again"):
        rewrite(name, data)
        tags.append(etag_of(name))
    assert len(set(tags)) == 3
    assert all(tag and tag.startswith('"') for tag in tags)
    assert etag_of(name) == tags[-1]


def facts_of(modified: datetime, *, written_once: bool = True) -> FileFacts:
    return FileFacts(7, 10, version="99", modified=modified, written_once=written_once)


def test_without_a_digest_the_etag_is_of_oid_time_and_version() -> None:
    tag = Validators.of(facts_of(LONG_AGO)).etag
    later = Validators.of(facts_of(LONG_AGO + timedelta(microseconds=1))).etag
    assert tag
    assert later
    assert tag.startswith('"7-')
    assert tag.endswith('-99"')
    assert tag != later


def test_what_was_never_written_in_place_has_a_date_that_stands_for_its_content() -> None:
    validators = Validators.of(facts_of(LONG_AGO))
    assert validators.last_modified == int(LONG_AGO.timestamp())
    assert validators.is_date_strong
    just_now = datetime.now(UTC)
    assert Validators.of(facts_of(just_now)).last_modified == int(just_now.timestamp())


def test_a_date_does_not_stand_for_one_of_several_contents() -> None:
    written = Validators.of(facts_of(LONG_AGO, written_once=False))
    assert written.last_modified == int(LONG_AGO.timestamp())
    assert not written.is_date_strong


def test_a_write_in_place_has_no_date_before_others_of_its_second_are_over() -> None:
    just_now = datetime.now(UTC) - timedelta(seconds=2)
    assert Validators.of(facts_of(just_now, written_once=False)).last_modified is None


def test_there_is_no_date_in_the_future() -> None:
    validators = Validators.of(facts_of(datetime.now(UTC) + timedelta(seconds=60)))
    assert validators.last_modified is None
    assert not validators.is_date_strong
    assert validators.etag


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": '"x"', "if-unmodified-since": http_date(2e9), "if-none-match": '"e"'}, 412),
        ({"if-match": '"e"', "if-unmodified-since": http_date(0)}, None),
        ({"if-match": '"e"', "if-none-match": '"e"'}, 304),
        ({"if-match": 'W/"e"'}, 412),
        ({"if-match": "*"}, None),
        ({"if-unmodified-since": http_date(999), "if-none-match": '"e"'}, 412),
        ({"if-unmodified-since": http_date(1000)}, None),
        ({"if-none-match": 'W/"e"'}, 304),
        ({"if-none-match": '"x", W/"y" ,"e"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"', "if-modified-since": http_date(2e9)}, None),
        ({"if-modified-since": http_date(1000)}, 304),
        ({"if-modified-since": http_date(999)}, None),
        ({"if-modified-since": "Thursday, 01-Jan-70 00:16:40 GMT"}, 304),
        ({"if-modified-since": "nonsense"}, None),
    ],
)
def test_preconditions_are_evaluated_in_the_rfcs_order(headers: dict[str, str], status: int | None) -> None:
    assert evaluate(headers, Validators('"e"', 1000)) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": "*"}, None),
        ({"if-match": '"x"'}, 412),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, None),
        ({"if-none-match": "*\x0b"}, None),
        ({"if-modified-since": http_date(2e9)}, None),
        ({"if-unmodified-since": http_date(0)}, None),
    ],
)
def test_without_validators_only_the_files_existence_counts(headers: dict[str, str], status: int | None) -> None:
    assert evaluate(headers, Validators()) == status


@pytest.mark.parametrize(
    ("validator", "is_date_strong", "allowed"),
    [
        ('"e"', False, True),
        (' \t"e"\t ', False, True),
        ('\x0b"e"', False, False),
        ('X"e"', False, False),
        ('W/"e"', False, False),
        ('"x"', True, False),
        ('"e", "x"', True, False),
        ("*", True, False),
        ("e", True, False),
        ("", True, False),
        (http_date(1000), True, True),
        (http_date(1000), False, False),
        (http_date(999), True, False),
        (http_date(1001), True, False),
    ],
)
def test_a_range_counts_for_exactly_the_content_there_is(validator: str, is_date_strong: bool, allowed: bool) -> None:
    headers = {"if-range": validator}
    assert allows_range(headers, Validators('"e"', 1000, is_date_strong)) == allowed
    assert not allows_range(headers, Validators())


@pytest.mark.parametrize("rewritten", [False, True])
def test_a_download_is_resumed_only_of_the_content_that_was_begun(name: str, rewritten: bool, catalogue: bool) -> None:
    response = db_serve(RequestFactory().get("/"), name)
    begun = {key: response.headers.get(header) for key, header in (("etag", "ETag"), ("date", "Last-Modified"))}
    if rewritten:
        rewrite(name, b"other")
    for validator in begun.values():
        headers = {"range": "bytes=5-", "if-range": validator or '"x"'}
        expected = 206 if catalogue and not rewritten else 200
        assert db_serve(RequestFactory().get("/", headers=headers), name).status_code == expected


@pytest.mark.parametrize("wanted", ["sha-256=10", "sha-512=3, sha-256=1", "sha-256=0,sha-256=9", " sha-256=5 "])
@pytest.mark.parametrize("headers", [{}, {"range": "bytes=1-2"}])
def test_the_digest_of_the_whole_file_is_given_on_request(
    name: str, wanted: str, headers: dict[str, str], catalogue: bool
) -> None:
    request = RequestFactory().get("/", headers=headers | {"want-repr-digest": wanted})
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    expected = f"sha-256=:{digest}:" if catalogue else None
    assert db_serve(request, name).headers.get("Repr-Digest") == expected


@pytest.mark.parametrize(
    "wanted", ["", "sha-512=10", "sha-256=0", "sha-256", "sha-256=11", "sha-256=1,!", "sha-256=1.5"]
)
def test_no_other_request_for_a_digest_is_answered(name: str, wanted: str) -> None:
    request = RequestFactory().get("/", headers={"want-repr-digest": wanted})
    assert "Repr-Digest" not in db_serve(request, name).headers
    assert "Repr-Digest" not in db_serve(RequestFactory().get("/"), name).headers


def test_dates_are_those_of_the_server() -> None:
    # The tests above compare with this machine's clock.
    name = db_file_storage.save("a.pdf", ContentFile(DATA))
    last_modified = db_serve(RequestFactory().get("/"), name).headers.get("Last-Modified")
    assert last_modified in {None, *(http_date(time.time() - ago) for ago in range(10))}
