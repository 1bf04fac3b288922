"""A test case that forbids the database, as Django's own without one do, forbids its files too."""

from collections.abc import Callable, Iterator

import pytest
from django.core.files.base import ContentFile
from django.db import connections
from django.test import SimpleTestCase

from pg_lo_storage.storage import DbFileIO, db_file_storage
from tests.invoices.models import Note
from tests.storage.support import LARGE, content, loid_of, stored

pytestmark = pytest.mark.django_db(transaction=True)


class WithoutDatabase(SimpleTestCase):
    """Blocks every connection from ``setUpClass`` to its clean-up."""


@pytest.fixture
def name() -> str:
    """A file, and a connection that is open: the block is not only one against connecting."""
    return db_file_storage.save("a.txt", ContentFile(b"data"))


@pytest.fixture
def blocked(name: str) -> Iterator[str]:
    WithoutDatabase.setUpClass()
    yield name
    WithoutDatabase.doClassCleanups()
    assert stored(name) == b"data"


USES: dict[str, Callable[[str], object]] = {
    "a query": lambda _name: Note.objects.count(),
    "save": lambda _name: db_file_storage.save("b.txt", ContentFile(b"new")),
    "save much": lambda _name: db_file_storage.save("b.txt", ContentFile(content(LARGE))),
    "exists": db_file_storage.exists,
    "size": db_file_storage.size,
    "open": db_file_storage.open,
    "delete": db_file_storage.delete,
    "DbFileIO": lambda name: DbFileIO(loid_of(name)),
}


@pytest.mark.parametrize("use", USES)
def test_nothing_passes_the_block(blocked: str, use: str) -> None:
    assert connections["default"].connection is not None
    with pytest.raises(AssertionError, match="not allowed in SimpleTestCase"):
        USES[use](blocked)
