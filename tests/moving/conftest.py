"""The models are an app that is installed for the tests of this folder, before tables are made."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.fixtures.catalogue import installed, with_and_without

FILE_SYSTEM = "django.core.files.storage.FileSystemStorage"


# After the plugin that sets Django up.
@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    # Once, though mutmut runs tests again and again in one process.
    settings.INSTALLED_APPS = list(dict.fromkeys([*settings.INSTALLED_APPS, "tests.moving.letters"]))
    apps.set_installed_apps(settings.INSTALLED_APPS)
    # Tests of other folders may run in the same process.
    settings.STORAGES = settings.STORAGES | {"old": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without."""
    with_and_without(metafunc)


catalogue = pytest.fixture(installed, scope="module")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of the old files, which ``STORAGES["old"]`` has."""
    folder = tmp_path / "old"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _places(old: Path, tmp_path: Path) -> Iterator[None]:
    on_disk = {"default": old, "old": old, "disk": tmp_path / "disk"}
    storages = {
        alias: {"BACKEND": FILE_SYSTEM, "OPTIONS": {"location": str(folder), "base_url": f"/{alias}/"}}
        for alias, folder in on_disk.items()
    }
    with override_settings(STORAGES=settings.STORAGES | storages):
        yield


@pytest.fixture(autouse=True)
def _tables(
    catalogue: bool,  # noqa: ARG001 -- first
    django_db_setup: None,  # noqa: ARG001 -- the tables
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """Let each test run in autocommit, and leave its tables empty: flush() takes as long as a hundred of them."""
    # Models cannot be imported before Django is set up.
    from tests.moving.support import empty_tables

    with django_db_blocker.unblock():
        yield
        empty_tables()
