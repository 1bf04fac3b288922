"""The system checks: each fires where it should, names the fix, and is silent elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.core.files.storage import InMemoryStorage
from django.db import connections, models
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.test import override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.checks import (
    TAG,
    check_databases,
    check_fields,
    check_old_places,
    check_settings,
    register_checks,
)
from pg_lo_storage.checks.places import check_left_behind, may_have_files
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.fields import DbFileField
from pg_lo_storage.storage import DbFileStorage, TransitionalStorage
from tests.catalogue.support import numbers, run, text_of
from tests.fixtures.server import known_as

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

DOCS = Path(__file__).parents[2] / "docs" / "checks.md"
STORED = {"BACKEND": "pg_lo_storage.storage.DbFileStorage"}


# All of them.


def test_the_page_lists_what_there_is() -> None:
    source = Path(pg_lo_storage.__file__).parent
    used = {
        found for path in source.rglob("*.py") for found in re.findall(r'"(pg_lo_storage\.[EW]\d+)"', path.read_text())
    }
    listed = re.findall(r"^\| `([\w.]+)` \|", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(used) == listed


def test_they_are_registered_once_however_often_that_is_asked_for() -> None:
    before = len(checks.registry.registry.get_checks())
    register_checks()
    register_checks()
    assert len(checks.registry.registry.get_checks()) == before
    assert checks.registry.registry.tag_exists(TAG)


def test_a_project_that_has_nothing_amiss_hears_nothing() -> None:
    assert not check_settings()
    assert not check_databases(databases=["default", "other"])


def test_no_database_is_asked_unless_it_is_named() -> None:
    with CaptureQueriesContext(connections["default"]) as queries:
        assert not check_databases(databases=None)
        assert not check_databases(databases=["other"])
        check_settings()
        check_fields()
    assert not queries.captured_queries


def test_django_asks_a_database_by_its_own_tag() -> None:
    run("alter table invoices_invoice enable row level security, force row level security")
    try:
        found = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    finally:
        run("alter table invoices_invoice no force row level security, disable row level security")
    assert "pg_lo_storage.W010" in {message.id for message in found}


# Settings.


@pytest.mark.parametrize("name", ["PG_LO_STORAGE_DB_FOR_READ", "PG_LO_STORAGE_DB_FOR_WRITE"])
def test_a_setting_names_a_database(name: str) -> None:
    with override_settings(**{name: "nowhere"}):
        found = check_settings()
    assert numbers(found) == ["E001"]
    assert "'nowhere'" in text_of(found)
    assert name in text_of(found)


def test_a_storage_of_the_settings_names_a_database() -> None:
    with override_settings(STORAGES={"archive": STORED | {"OPTIONS": {"alias": "nowhere"}}}):
        found = check_settings()
    assert numbers(found) == ["E001"]
    assert "STORAGES['archive']" in text_of(found)


@pytest.mark.parametrize("backend", ["no.such.Storage", "django.core.files.storage.InMemoryStorage"])
def test_other_storages_are_none_of_ours(backend: str) -> None:
    with override_settings(STORAGES={"archive": {"BACKEND": backend, "OPTIONS": {"alias": "nowhere"}}}):
        assert not check_settings()


# Django's test case lets no alias connect that it was not told of, but by connect().
def test_a_database_that_does_not_answer_has_no_files(server: Server) -> None:
    with known_as("gone", server):
        connections["gone"].connect()
        assert may_have_files("gone")
        connections["gone"].connection.close()
        assert not may_have_files("gone")


def test_a_database_without_tables_of_files_has_none_left_behind(server: Server) -> None:
    with known_as("empty", server, "third"):
        connections["empty"].connect()
        assert not list(check_left_behind("empty"))


def test_a_field_names_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pg_lo_storage.checks.settings.written_to", lambda: {"app.Model.field": "nowhere"})
    found = check_settings()
    assert numbers(found) == ["E001"]
    assert "app.Model.field" in text_of(found)


@pytest.fixture
def sqlite(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An alias of a database that is not PostgreSQL."""
    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    monkeypatch.setitem(connections.settings, "sqlite", connections.configure_settings(databases)["default"])
    yield "sqlite"
    del connections["sqlite"]


def test_the_database_is_postgresql(sqlite: str) -> None:
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE=sqlite):
        found = check_settings()
        assert not check_databases(databases=[sqlite])
    assert numbers(found) == ["E002"]
    assert "SQLite" in text_of(found)


def making_driver(raw: object) -> object:
    return get_driver(raw)


not_a_driver = "text"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("no_such_module.Driver", "no_such_module"),
        (f"{__name__}.no_such_driver", "no_such_driver"),
        ("nodots", "nodots"),
        (f"{__name__}.not_a_driver", "cannot be called"),
        ("collections.OrderedDict", "has no create, exists, from_bytes"),
        ("pg_lo_storage.drivers.SQLDriver", "abstract"),
        ("pg_lo_storage.drivers.LargeObjectDriver", "abstract"),
        ("pg_lo_storage.aio.AsyncSQLDriver", "abstract"),
        ("pg_lo_storage.aio.AsyncDriverWrapper", "asynchronous"),
        (5, "no dotted path"),
        ({"default": 5}, "PG_LO_STORAGE_DRIVER['default']"),
        ({"nowhere": f"{__name__}.making_driver"}, "names no database"),
    ],
)
def test_the_setting_names_a_driver(setting: object, told: str) -> None:
    with override_settings(PG_LO_STORAGE_DRIVER=setting):
        found = check_settings()
    assert numbers(found) == ["E003"]
    assert told in text_of(found)


@pytest.mark.parametrize(
    "setting",
    [
        None,
        {},
        f"{__name__}.making_driver",
        "pg_lo_storage.drivers.DriverWrapper",
        "pg_lo_storage.testing.memory.driver.InMemoryDriver",
        {"default": f"{__name__}.making_driver", "other": None},
    ],
)
def test_a_driver_that_can_be_used_is_not_complained_of(setting: object) -> None:
    with override_settings(PG_LO_STORAGE_DRIVER=setting):
        assert not check_settings()


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The OPTIONS of ``default``, to be changed."""
    changed = dict(connections["default"].settings_dict["OPTIONS"])
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", changed)
    return changed


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (IsolationLevel.REPEATABLE_READ, ["W005"]),
        (IsolationLevel.READ_COMMITTED, []),
        (IsolationLevel.SERIALIZABLE, ["W005"]),
    ],
)
def test_cleanup_needs_to_see_what_is_committed(
    options: dict[str, Any], level: IsolationLevel, expected: list[str]
) -> None:
    options["isolation_level"] = level
    assert numbers(check_settings()) == expected


class NoCatalogue:
    def allow_migrate(self, *where: str, **_hints: object) -> bool | None:
        return False if "pg_lo_storage" in where else None


def test_the_routers_let_the_catalogue_be_made() -> None:
    with override_settings(DATABASE_ROUTERS=[NoCatalogue()]):
        found = check_settings()
    assert set(numbers(found)) == {"W006"}
    assert "allow_migrate('default', 'pg_lo_storage')" in text_of(found)


class NothingOnReplica:
    def allow_migrate(self, *where: str, **_hints: object) -> bool | None:
        return False if "replica" in where else None


def test_a_replica_has_its_catalogue_from_elsewhere() -> None:
    with override_settings(DATABASE_ROUTERS=[NothingOnReplica()], PG_LO_STORAGE_DB_FOR_READ="replica"):
        assert not check_settings()


# Fields.


def messages_of(field: "models.FileField") -> list[checks.CheckMessage]:
    """Return what is said of a model with that field."""
    with isolate_apps("tests.invoices") as isolated:
        assert isolated
        type("Made", (models.Model,), {"__module__": "tests.invoices.models", "data": field})
        configs = [isolated.get_app_config("invoices")]
        return [*check_fields(app_configs=configs), *check_old_places(app_configs=configs)]


@pytest.mark.parametrize(
    ("max_length", "expected"), [(9, ["E004"]), (10, ["W003"]), (14, ["W003"]), (15, []), (100, []), (None, [])]
)
def test_a_column_holds_any_name(max_length: int | None, expected: list[str]) -> None:
    field = DbFileField() if max_length is None else DbFileField(max_length=max_length)
    found = messages_of(field)
    assert numbers(found) == expected
    assert all(message.obj is field for message in found)


def test_a_field_is_told_of_once_whatever_stands_for_its_model() -> None:
    with isolate_apps("tests.invoices") as isolated:
        assert isolated

        module = {"__module__": "tests.invoices.models"}
        narrow = type("Narrow", (models.Model,), {**module, "data": DbFileField(max_length=9)})
        type("Proxy", (narrow,), {**module, "Meta": type("Meta", (), {"proxy": True})})
        type("Child", (narrow,), module)
        assert numbers(check_fields(app_configs=[isolated.get_app_config("invoices")])) == ["E004"]


@pytest.mark.parametrize(
    ("legacy", "expected"),
    [("default", []), (InMemoryStorage(), []), ("nowhere", ["E008"]), (DbFileStorage(), ["E008"])],
)
def test_old_files_are_in_another_storage(legacy: Any, expected: list[str]) -> None:
    found = messages_of(DbFileField(storage=TransitionalStorage(legacy=legacy)))
    assert numbers(found) == expected
    assert all("TransitionalStorage(legacy=...)" in text_of([message]) for message in found)


def test_where_old_files_cannot_be_asked_for_migrate_says_so_and_asks_no_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    field = apps.get_model("invoices", "Invoice")._meta.get_field("data")
    monkeypatch.setattr(field, "storage", TransitionalStorage(legacy="nowhere"))
    found = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    assert numbers(found) == ["E008"]
    assert "'nowhere'" in text_of(found)


def test_rows_and_files_share_a_database() -> None:
    found = messages_of(DbFileField(storage=DbFileStorage(alias="other")))
    assert numbers(found) == ["W002"]
    assert "'default'" in text_of(found)
    assert "'other'" in text_of(found)


class EverythingElsewhere:
    def db_for_write(self, *_models: type[models.Model], **_hints: object) -> str:
        return "other"


def test_the_routers_say_where_rows_are() -> None:
    with override_settings(DATABASE_ROUTERS=[EverythingElsewhere()]):
        assert not messages_of(DbFileField())
        assert numbers(messages_of(DbFileField(storage=DbFileStorage(alias="default")))) == ["W002"]
        assert not messages_of(DbFileField(storage=DbFileStorage(alias="other")))


def test_a_field_on_another_storage_is_none_of_ours() -> None:
    assert not messages_of(models.FileField(max_length=5))


def test_a_field_on_a_storage_that_cannot_be_made_is_none_of_ours() -> None:
    with override_settings(STORAGES={"default": {"BACKEND": "no.such.Storage"}}):
        assert not messages_of(models.FileField())


def test_only_the_apps_that_are_asked_for_are_checked() -> None:
    assert numbers(check_fields(app_configs=[apps.get_app_config("invoices")])) == ["W003"]  # Invoice.short
    assert not check_fields(app_configs=[])


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ([], []),
        (["invoices.Note.text", "auth.Group.id", "auth.Group.name", "invoices.Invoice.data"], []),
        (["invoices.Note"], ["E006"]),
        (["invoices.Note.text", "invoices.Nothing.text", "nothing.Note.text", "invoices.Note.nothing"], ["E006"] * 3),
        (["auth.User.groups", "auth.User.date_joined", None], ["E006"] * 3),
        ("invoices.Note.text", []),
        (3, ["E006"]),
    ],
)
def test_columns_that_the_project_lists_name_files(references: object, expected: list[str]) -> None:
    with override_settings(PG_LO_STORAGE_REFERENCES=references):
        assert numbers(check_settings()) == expected


def test_a_storage_that_cannot_be_made_is_left_to_django() -> None:
    with override_settings(STORAGES={"archive": STORED | {"OPTIONS": {"nothing": 1}}}):
        assert not check_settings()
