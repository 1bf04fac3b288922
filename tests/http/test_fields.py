"""Header fields that need more than a look."""

from datetime import UTC, datetime

import pytest
from typing_extensions import override

from pg_lo_storage.http import FileFacts, answer, fields
from pg_lo_storage.http.fields import entity_tags, parse_date

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("now", "year", "expected"),
    [
        (2026, "26", 2026),
        (2026, "76", 2076),
        (2026, "77", 1977),
        (2026, "99", 1999),
        (2026, "00", 2000),
        (2099, "99", 2099),
        (2099, "00", 2000),
        (2049, "99", 2099),
        (2048, "99", 1999),
    ],
)
def test_a_year_of_two_digits_is_at_most_fifty_years_from_now(
    now: int, year: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        @override
        @classmethod
        def now(cls, tz: object = None) -> "Clock":
            return cls(now, 6, 1, tzinfo=UTC)

    monkeypatch.setattr(fields, "datetime", Clock)
    moment = parse_date(f"Sunday, 06-Nov-{year} 08:49:37 GMT")
    assert moment == datetime(expected, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("listed", "tags"), [('"a","b"', ['"a"', '"b"']), (' W/"a" ,\t"b c",x,', ['W/"a"', '"b c"']), ('"a" "b"', [])]
)
def test_a_list_of_tags_is_parted_by_commas(listed: str, tags: list[str]) -> None:
    assert entity_tags(listed) == tags


def test_no_two_answers_of_several_parts_have_the_same_boundary() -> None:
    answers = [answer("GET", {"Range": "bytes=0-1,5-6"}, FileFacts(7, 10)) for _ in range(2)]
    first, second = (made.headers["Content-Type"].partition("boundary=")[2] for made in answers)
    assert first != second
    assert min(len(first), len(second)) == 32


@pytest.mark.parametrize(("listed", "status"), [("*", 304), (" *\t", 304), ("X*", 200), ("*X", 200), ("", 200)])
def test_any_tag_is_a_star_alone(listed: str, status: int) -> None:
    assert answer("GET", {"If-None-Match": listed}, FileFacts(7, 10, sha256="ab" * 32)).status == status
