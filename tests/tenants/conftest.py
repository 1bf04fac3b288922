"""Tenants with a schema each, by django-tenants, in an environment that has it; see ``tests/run_all.py``."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker

pytest_plugins = [
    "tests.fixtures.connections",
    "tests.fixtures.server",
    "tests.fixtures.large_objects",
]
APP = "pg_lo_storage"
PLACES = {
    "in each tenant": ([], [APP]),
    "shared": ([APP], []),
    "in both": ([APP], [APP]),
}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Not at the top: pytest warns of plugins that were imported before it saw them.
    from tests.fixtures.server import SETTINGS

    config.stash[SETTINGS] = "tests.tenants.settings"


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Where the catalogue is, in a database that has three tenants."""
    # Not at the top: models cannot be imported before Django is set up.
    from django.conf import settings

    from tests.tenants.support import drop_schema, make_tenant

    shared, tenant = PLACES[request.param]

    changed: dict[str, Any] = {
        "SHARED_APPS": [app for app in settings.SHARED_APPS if app != APP] + shared,
        "TENANT_APPS": [app for app in settings.TENANT_APPS if app != APP] + tenant,
    }
    with django_db_blocker.unblock(), override_settings(**changed):
        call_command("migrate_schemas", shared=True, verbosity=0)
        for schema in ("blue", "green", "red"):
            make_tenant(schema)
        yield request.param
        for schema in ("blue", "green", "red"):
            drop_schema(schema)
        with connections["default"].cursor() as cursor:
            cursor.execute("drop table if exists public.pg_lo_storage_file, public.pg_lo_storage_upload")
            cursor.execute("delete from django_migrations where app in ('pg_lo_storage', 'shop')")
            cursor.execute("truncate customers_customer cascade")
        connections.close_all()


@pytest.fixture(autouse=True)
def _empty(place: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """After each test no tenant has rows or files; pytest-django's own flush would take the tenants."""
    from tests.tenants.support import empty, tenant_names

    assert place in PLACES
    with django_db_blocker.unblock():
        yield
        for name in tenant_names():
            empty(name)


@pytest.fixture
def cloned() -> Iterator[Any]:
    """``cloned(source, schema)`` makes a clone of a tenant, which is dropped after the test."""
    from tests.tenants.support import clone, drop_schema

    made: list[str] = []

    def make(source: str, schema: str) -> None:
        made.append(schema)
        clone(source, schema)

    yield make
    for schema in made:
        drop_schema(schema)
