"""The models are an app that is installed for the tests of this folder, before tables are made."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.test import override_settings

from tests.fixtures.catalogue import with_and_without


# After the plugin that sets Django up.
@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.erasing.desk"]
    apps.set_installed_apps(settings.INSTALLED_APPS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for it with the catalogue and without."""
    with_and_without(metafunc)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path) -> Iterator[None]:
    """Versions keep files; what has not moved is in a folder of the test's own."""
    with override_settings(PG_LO_STORAGE_REFERENCES=["desk.Version.data"], MEDIA_ROOT=tmp_path / "old"):
        yield
