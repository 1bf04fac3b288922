"""Other packages that keep files, in an environment that has them all; see ``tests/run_all.py``."""

import os
import tempfile
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.test import Client
from pytest_django import DjangoDbBlocker

from tests.fixtures.catalogue import with_and_without

pytest_plugins = [
    "tests.fixtures.connections",
    "tests.fixtures.server",
    "tests.fixtures.large_objects",
]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Not at the top: pytest warns of plugins that were imported before it saw them.
    from tests.fixtures.server import SETTINGS

    config.stash[SETTINGS] = "tests.packages.settings"
    # What the packages derive from files is on a disk.
    folder = tempfile.TemporaryDirectory(prefix="pg-lo-derived-")
    config.add_cleanup(folder.cleanup)
    os.environ["PG_LO_TEST_DERIVED"] = folder.name
    # Wagtail's, where it makes a rendition.
    config.addinivalue_line("filterwarnings", "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Make all tables; in this project none has a migration but the catalogue's."""
    with django_db_blocker.unblock():
        call_command("migrate", run_syncdb=True, verbosity=0)
        yield
        connections.close_all()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without."""
    with_and_without(metafunc, choices=(True, False))


@pytest.fixture(autouse=True)
def catalogue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether ``"pg_lo_storage"`` is in ``INSTALLED_APPS``.

    Not by ``override_settings``, which makes every app ready again: not all of the packages can be.
    """
    from pg_lo_storage.admin import StoredFileAdmin

    installed: bool = request.param
    if not installed:
        # The admin does not list what is not installed; its URLs were made when all was.
        monkeypatch.setattr(StoredFileAdmin, "has_module_permission", lambda *_: False)
        monkeypatch.delitem(apps.app_configs, "pg_lo_storage")
    apps.clear_cache()
    return installed


@pytest.fixture
def editor(client: Client) -> Client:
    """A client that may do everything in every admin."""
    client.force_login(get_user_model().objects.create_superuser("editor"))
    return client
