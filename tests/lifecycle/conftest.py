"""The models are an app that is installed for the tests of this folder, before tables are made."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from pytest_django import DjangoDbBlocker


# After the plugin that sets Django up.
@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.lifecycle.papers"]
    apps.set_installed_apps(settings.INSTALLED_APPS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without."""
    chosen = {marker.args[0] for marker in metafunc.definition.iter_markers("parametrize")}
    if "catalogue" in metafunc.fixturenames and "catalogue" not in chosen:
        metafunc.parametrize("catalogue", [False, True], ids=["bare", "catalogue"], indirect=True)


@pytest.fixture(autouse=True)
def _tables(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let each test run in autocommit, and leave its tables empty: flush() takes as long as a hundred of them."""
    # Models cannot be imported before Django is set up.
    from tests.lifecycle.support import empty_tables

    request.getfixturevalue("django_db_setup")
    with django_db_blocker.unblock():
        yield
        empty_tables()


@pytest.fixture(autouse=True)
def _with_and_without(_tables: None, catalogue: bool) -> None:
    """Each test of this folder asks for the fixture."""
