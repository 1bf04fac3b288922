"""Aliases of one database are known by what their servers say."""

import pytest

from pg_lo_storage.databases.identity import is_same_database

pytestmark = pytest.mark.django_db(databases=["default", "other", "replica", "wired"])


@pytest.mark.parametrize(
    ("other", "expected"), [("default", True), ("replica", True), ("wired", True), ("other", False)]
)
def test_aliases_of_one_database(other: str, expected: bool) -> None:
    assert is_same_database("default", other) is expected
    assert is_same_database(other, "default") is expected
