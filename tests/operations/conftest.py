from collections.abc import Generator, Iterator
from itertools import count

import pytest
from django.db import connections

from tests.fixtures.catalogue import with_and_without
from tests.operations.support import Project, run

TESTS = count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for it with the catalogue's table in the database and without."""
    for fixture in ("catalogue_table", "has_catalogue"):
        with_and_without(metafunc, fixture)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    # plpgsql keeps the functions of dropped triggers, hundreds of megabytes of all tests: a backend has a few of them.
    try:
        return (yield)
    finally:
        if next(TESTS) % 20 == 0:
            connections.close_all()


@pytest.fixture
def catalogue_table(request: pytest.FixtureRequest) -> bool:
    """Whether the database has the catalogue; its table is back when the test's transaction is rolled back."""
    if not request.param:
        run("alter table pg_lo_storage_file rename to pg_lo_storage_file_away")
    return bool(request.param)


@pytest.fixture
def project() -> Project:
    """A project without models, in a transaction that is rolled back."""
    return Project()


@pytest.fixture
def has_catalogue(request: pytest.FixtureRequest) -> bool:
    """Whether the database of ``committed`` has the catalogue."""
    return bool(request.param)


@pytest.fixture
def committed(has_catalogue: bool) -> Iterator[Project]:
    """A project whose tables other sessions see, for tests that run in no transaction."""
    if not has_catalogue:
        run("alter table pg_lo_storage_file rename to pg_lo_storage_file_away")
    project = Project()
    yield project
    for model in project.state.apps.get_models():
        run(f'drop table "{model._meta.db_table}" cascade')
    for (signature,) in run("select oid::regprocedure from pg_proc where starts_with(proname, 'pg_lo_storage')"):
        run(f"drop function {signature}")
    if not has_catalogue:
        run("alter table pg_lo_storage_file_away rename to pg_lo_storage_file")
