"""The models are an app that is installed for the tests of this folder, before tables are made."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from pytest_django import DjangoDbBlocker

from tests.fixtures.catalogue import installed, with_and_without


# After the plugin that sets Django up.
@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    # Once, though mutmut runs tests again and again in one process.
    settings.INSTALLED_APPS = list(dict.fromkeys([*settings.INSTALLED_APPS, "tests.lifecycle.papers"]))
    apps.set_installed_apps(settings.INSTALLED_APPS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without."""
    with_and_without(metafunc)


catalogue = pytest.fixture(installed, scope="module")


@pytest.fixture(scope="module", autouse=True)
def guard(
    request: pytest.FixtureRequest,
    catalogue: bool,
    django_db_setup: None,  # noqa: ARG001 -- the tables
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """Who looks after the files: the fields, but for tests that choose.

    It stays for all tests of a module that choose the same: to install triggers takes as long as twenty of them.
    """
    # Models cannot be imported before Django is set up.
    from tests.lifecycle.guards import FIELD, guarded

    name: str = getattr(request, "param", FIELD)
    with django_db_blocker.unblock(), guarded(name, catalogue=catalogue):
        yield name


@pytest.fixture(autouse=True)
def _tables(guard: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001 -- it is set up first
    """Let each test run in autocommit, and leave its tables empty: flush() takes as long as a hundred of them."""
    # Models cannot be imported before Django is set up.
    from tests.lifecycle.support import empty_tables

    with django_db_blocker.unblock():
        yield
        empty_tables()
