"""docs/packages.md: django-cleanup."""

import logging
from collections.abc import Iterator

import pytest

from tests.packages.shop.models import Cleaned, CleanedByOther
from tests.packages.support import Oids, named, stored, text

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_error_is_swallowed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    # django-cleanup logs what it could not delete.
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_the_fields_own_cleanup_has_left_nothing_to_do(large_objects: Oids) -> None:
    row = Cleaned.objects.create(file=text("one"))
    row.file = text("two")
    row.save()
    assert stored(row.file.name) == b"two"
    assert large_objects() == named()

    other = Cleaned.objects.create(file=row.file.name)
    row.delete()
    assert stored(other.file.name) == b"two"
    other.file = None
    other.save()
    assert large_objects() == set()


@pytest.mark.parametrize("field", ["file", "plain"])
def test_it_cleans_where_the_field_does_not(field: str, large_objects: Oids) -> None:
    row = CleanedByOther(**{field: text("one")})
    row.save()
    setattr(row, field, text("two"))
    row.save()
    assert stored(getattr(row, field).name) == b"two"
    assert large_objects() == named()
    row.delete()
    assert large_objects() == set()


def test_what_it_deletes_another_row_may_still_name() -> None:
    row = CleanedByOther.objects.create(plain=text("one"))
    other = CleanedByOther.objects.create(plain=row.plain.name)
    row.delete()
    assert not other.plain.storage.exists(other.plain.name)
