"""The pytest plugin: fixtures for projects that keep files in Django's databases, with pytest-django.

Django is imported by the test that asks for a fixture, and by no other.
"""

from collections.abc import Iterator

import pytest

__all__ = ["clean_large_objects", "no_orphaned_large_objects"]


@pytest.fixture
def no_orphaned_large_objects(
    request: pytest.FixtureRequest,
    db: None,  # noqa: ARG001 -- it opens the databases
) -> Iterator[None]:
    """Fail a test that leaves large objects which no file field's row names.

    It counts objects that were not there before, on the databases the test may use, as the test's own connections see
    them when it ends: in its transaction, or before its tables are flushed. Every file field on a ``DbFileStorage`` is
    asked which of them it names, past custom managers. Rows hidden from the role (row-level security) name nothing.
    """
    from pg_lo_storage.testing.leftovers import Leftovers

    # Fixtures end in reverse order: the one that cleans up is set up first, to end after this one.
    if "clean_large_objects" in request.fixturenames:
        request.getfixturevalue("clean_large_objects")
    leftovers = Leftovers()
    yield
    for alias, oids in leftovers.orphaned().items():
        shown = ", ".join(map(str, sorted(oids)[:10])) + (", ..." if len(oids) > 10 else "")
        pytest.fail(f"{len(oids)} orphaned large objects are left on the database {alias!r}: {shown}", pytrace=False)


@pytest.fixture
def clean_large_objects(db: None) -> Iterator[None]:  # noqa: ARG001 -- it opens the databases
    """Unlink the large objects that were not there before the test, when it is over.

    For tests whose transactions are real (``transactional_db``, ``TransactionTestCase``, live servers): flushing the
    tables leaves the objects. In tests that are rolled back there is nothing to do.
    """
    from pg_lo_storage.testing.leftovers import Leftovers

    leftovers = Leftovers()
    yield
    leftovers.unlink()
