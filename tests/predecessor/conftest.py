"""The READMEs' models are apps that are installed for the tests of this folder, before tables are made."""

import pytest
from django.apps import apps
from django.conf import settings

from tests.fixtures.catalogue import with_and_without

APPS = ["tests.predecessor.lo_storage", "tests.predecessor.warehouse"]


# After the plugin that sets Django up.
@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *APPS]
    apps.set_installed_apps(settings.INSTALLED_APPS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without: a site may add the app, or not."""
    with_and_without(metafunc)


@pytest.fixture(autouse=True)
def _with_and_without(catalogue: bool) -> None:
    """Each test of this folder asks for the fixture."""
