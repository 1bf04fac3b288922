"""Aliases of one database are known by what their servers say."""

import pytest

from pg_lo_storage.databases import identity
from pg_lo_storage.databases.identity import is_same_database

pytestmark = pytest.mark.django_db(databases=["default", "other", "replica", "wired"])


@pytest.mark.parametrize(
    ("other", "expected"), [("default", True), ("replica", True), ("wired", True), ("other", False)]
)
def test_aliases_of_one_database(other: str, expected: bool) -> None:
    assert is_same_database("default", other) is expected
    assert is_same_database(other, "default") is expected


@pytest.mark.once
@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ((7, 1, "noon"), (7, 1, None), True),
        ((7, 1, "noon"), (8, 1, None), False),
        ((7, 1, "noon"), (7, 2, None), False),
        ((7, 1, "noon"), (7, 1, "later"), False),
        ((None, 1, "noon"), (7, 1, None), None),
        ((7, 1, "noon"), (None, 1, None), None),
    ],
    ids=["standby", "standby of another", "other database", "clone", "nobody says here", "nobody says there"],
)
def test_a_standby_is_its_primary_if_the_servers_say_so(
    monkeypatch: pytest.MonkeyPatch,
    here: tuple[int | None, int, str | None],
    there: tuple[int | None, int, str | None],
    expected: bool | None,
) -> None:
    """A standby does not tell when its primary started."""
    made = identity._Identity  # pyright: ignore[reportPrivateUsage]  # there is no standby here
    said = {"default": made(*here), "replica": made(*there)}
    monkeypatch.setattr(identity, "_identity_of", said.__getitem__)
    assert is_same_database("default", "replica") is expected
    assert is_same_database("replica", "default") is expected
