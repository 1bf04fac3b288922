"""The models are an app that is installed for the tests of this folder, before tables are made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest
from django.apps import apps
from django.conf import settings
from django.test import override_settings

from example.cluster import Server
from tests.fixtures.connections import INSTALLED, RawConnection, open_connection

if TYPE_CHECKING:
    from tests.damage.planting import Damage

COUNT: Final = int(os.environ.get("PG_LO_TEST_DAMAGE", "200").partition(",")[0])


# After the plugin that sets Django up.
@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.damage.shelf"]
    apps.set_installed_apps(settings.INSTALLED_APPS)


@pytest.fixture(autouse=True)
def _nothing_moves() -> Iterator[None]:
    """Leave the apps away that have a storage in transition: while files move, less is mended."""
    moving = ("tests.erasing", "tests.moving")
    apps.set_installed_apps([app for app in settings.INSTALLED_APPS if not app.startswith(moving)])
    yield
    apps.unset_installed_apps()


@pytest.fixture
def superuser(server: Server) -> Iterator[RawConnection]:
    """A connection in autocommit, for what the ordinary role cannot plant."""
    if "postgres" not in server.roles:
        pytest.skip("PG_LO_TEST_DSN gives no superuser")
    with closing(open_connection(INSTALLED[0], server.dsn("app", "postgres"), autocommit=True)) as connection:
        yield connection


@pytest.fixture
def other(server: Server) -> Iterator[RawConnection]:
    """A program that knows nothing of files, in a transaction."""
    with closing(open_connection(INSTALLED[0], server.dsn())) as connection:
        yield connection


@pytest.fixture
def damage(superuser: RawConnection) -> Iterator[Damage]:
    """A database with damage of every kind; ``PG_LO_TEST_DAMAGE`` says how many files there are."""
    from tests.damage.planting import Damage

    damage = Damage(COUNT, superuser)
    with override_settings(PG_LO_STORAGE_REFERENCES=["shelf.Version.data"]):
        damage.plant()
        yield damage
    damage.clear()
