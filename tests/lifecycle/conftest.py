"""The models are an app that is installed for the tests of this folder, before tables are made."""

import pytest
from django.apps import apps
from django.conf import settings


# After the plugin that sets Django up.
@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.lifecycle.papers"]
    apps.set_installed_apps(settings.INSTALLED_APPS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without."""
    if "catalogue" in metafunc.fixturenames:
        metafunc.parametrize("catalogue", [False, True], ids=["bare", "catalogue"], indirect=True)


@pytest.fixture(autouse=True)
def _with_and_without(catalogue: bool) -> None:
    """Each test of this folder asks for the fixture."""
