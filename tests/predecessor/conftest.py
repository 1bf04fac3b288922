"""The READMEs' models are apps that are installed for the tests of this folder, before tables are made."""

import pytest
from django.apps import apps
from django.conf import settings

APPS = ["tests.predecessor.lo_storage", "tests.predecessor.warehouse"]


# After the plugin that sets Django up.
@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *APPS]
    apps.set_installed_apps(settings.INSTALLED_APPS)
