"""What migrations are told of a field and its storage."""

import copy
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import Storage, default_storage
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings

from pg_lo_storage.fields import DbFileField, DbImageField
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from tests.invoices.models import choose_storage


class SubclassStorage(DbFileStorage):
    """A project's own, with an option of its own."""

    def __init__(self, base_url: str | None = None, *, shelf: int = 0) -> None:
        super().__init__(base_url)
        self.shelf = shelf


def choose_default_storage() -> Storage:
    """As a project does that decides by its settings."""
    return db_file_storage


def choose_djangos() -> Storage:
    return default_storage


def upload_to(_instance: models.Model, filename: str) -> str:
    return f"folder/{filename}"


FIELDS: list[models.FileField] = [
    DbFileField(),
    DbFileField(null=True, blank=True, max_length=200),
    DbFileField(storage=db_file_storage),
    DbFileField(storage=DbFileStorage("/x")),
    DbFileField(storage=DbFileStorage("/x", alias="other")),
    DbFileField(storage=choose_storage),
    DbFileField(storage=choose_default_storage),
    DbFileField(storage=choose_djangos),
    DbFileField(storage=DbFileStorage),
    DbFileField(storage=DbFileStorage()),
    DbFileField(storage=SubclassStorage("/x", shelf=5)),
    DbFileField(storage=SubclassStorage),
    DbFileField(storage=default_storage),
    DbFileField(max_length=10),
    DbFileField(max_length=100),
    DbFileField(max_length=255, storage=default_storage),
    DbFileField(upload_to=upload_to),
    DbFileField(upload_to="%Y/%m/"),
    DbFileField(cleanup=False),
    DbFileField("a name", None, "ignored/", DbFileStorage("/x")),
    DbImageField(width_field="width", height_field="height"),
    DbImageField(storage=DbFileStorage(alias="other")),
    DbImageField(storage=choose_default_storage, max_length=300),
    models.FileField(storage=db_file_storage),
    models.FileField(storage=DbFileStorage("/x")),
]


# FileField writes it always, though it has no effect here.
ALWAYS = {"upload_to": ""}


def serialized(field: "models.Field[Any, Any]") -> tuple[str, set[str]]:
    text, imports = MigrationWriter.serialize(field)
    return text, set(imports)


@pytest.mark.parametrize("field_class", [DbFileField, DbImageField])
def test_the_default_storage_is_left_out(field_class: type[DbFileField | DbImageField]) -> None:
    path = f"pg_lo_storage.fields.{field_class.__name__}"
    for field in (field_class(), field_class(storage=db_file_storage)):
        assert field.deconstruct()[1:] == (path, [], ALWAYS)
        assert serialized(field) == (f"{path}(upload_to='')", {"import pg_lo_storage.fields"})


def test_another_storage_is_kept() -> None:
    storage = DbFileStorage("/x", alias="other")
    assert DbFileField(storage=storage).deconstruct()[3] == ALWAYS | {"storage": storage}
    text, imports = serialized(DbFileField(storage=storage))
    expected = "pg_lo_storage.storage.DbFileStorage('/x', alias='other')"
    assert text == f"pg_lo_storage.fields.DbFileField(storage={expected}, upload_to='')"
    assert imports == {"import pg_lo_storage.fields", "import pg_lo_storage.storage"}


@pytest.mark.parametrize("field_class", [DbFileField, DbImageField])
@pytest.mark.parametrize("choose", [choose_storage, choose_default_storage, choose_djangos, DbFileStorage])
def test_a_callable_is_kept_whatever_it_returns(
    choose: Callable[[], Storage], field_class: type[DbFileField | DbImageField]
) -> None:
    field = field_class(storage=choose)
    for each in (field, field.clone(), copy.deepcopy(field), field.clone().clone()):
        assert each.deconstruct()[3] == ALWAYS | {"storage": choose}
    text, _imports = serialized(field)
    path = f"{choose.__module__}.{choose.__name__}"
    assert text == f"pg_lo_storage.fields.{field_class.__name__}(storage={path}, upload_to='')"


@pytest.mark.parametrize("max_length", [10, 34, 35, 99, 101, 255])
@pytest.mark.parametrize("storage", [None, default_storage], ids=["ours", "another"])
def test_the_length_of_the_column_is_kept(max_length: int, storage: Storage | None) -> None:
    field = DbFileField(max_length=max_length, storage=storage)
    for each in (field, field.clone(), copy.deepcopy(field)):
        assert each.deconstruct()[3]["max_length"] == max_length
        assert each.db_type(connection) == f"varchar({max_length})"


def test_the_column_is_as_long_as_djangos() -> None:
    for each in (DbFileField(), DbFileField(max_length=100), DbImageField(), DbFileField().clone()):
        assert each.deconstruct()[3] == ALWAYS
        assert each.db_type(connection) == "varchar(100)"


def test_djangos_default_storage_is_kept() -> None:
    field = DbFileField(storage=default_storage)
    assert field.clone().storage is default_storage
    text, _imports = serialized(field)
    assert text != serialized(DbFileField())[0]
    assert "FileSystemStorage" not in text  # which it is in these settings, not in all


def test_djangos_default_storage_is_written_as_what_the_settings_say_when_it_is_read() -> None:
    text, imports = serialized(DbFileField(storage=default_storage))
    namespace: dict[str, Any] = {}
    backend = {"BACKEND": "pg_lo_storage.storage.DbFileStorage", "OPTIONS": {"base_url": "/configured/"}}
    with override_settings(STORAGES=settings.STORAGES | {"default": backend}):
        exec("\n".join([*imports, f"field = {text}"]), namespace)
        assert namespace["field"].storage.base_url == "/configured/"
    assert not isinstance(namespace["field"].storage, DbFileStorage)


def test_the_lazy_default_storage_is_written_as_a_storage_without_arguments() -> None:
    text, imports = MigrationWriter.serialize(db_file_storage)
    assert text == "pg_lo_storage.storage.DbFileStorage()"
    assert set(imports) == {"import pg_lo_storage.storage"}


@pytest.mark.parametrize("number", range(len(FIELDS)))
def test_what_is_written_makes_an_equal_field(number: int) -> None:
    field = FIELDS[number]
    text, imports = serialized(field)
    namespace: dict[str, Any] = {}
    exec("\n".join([*imports, f"field = {text}"]), namespace)
    again = namespace["field"]
    assert type(again) is type(field)
    assert serialized(again)[0] == text
    assert isinstance(again.storage, DbFileStorage) == isinstance(field.storage, DbFileStorage)
    for attribute in ("base_url", "_alias", "max_length", "null"):
        for one, two in ((field, again), (field.storage, again.storage)):
            assert getattr(one, attribute, None) == getattr(two, attribute, None)


@pytest.mark.parametrize("number", range(len(FIELDS)))
def test_a_clone_is_equal(number: int) -> None:
    field = FIELDS[number]
    assert field.clone().deconstruct() == field.deconstruct()


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that ``makemigrations`` writes the app's migrations to."""
    folder = tmp_path / "made_migrations"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with override_settings(MIGRATION_MODULES={"invoices": folder.name}):
        yield folder
    for module in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[module]


@pytest.mark.django_db
def test_makemigrations_finds_nothing_to_change_in_what_it_wrote(migrations: Path) -> None:
    call_command("makemigrations", "invoices", verbosity=0)
    importlib.invalidate_caches()
    [path] = migrations.glob("0001_*.py")
    text = path.read_text()
    for line in (
        "('data', pg_lo_storage.fields.DbFileField(blank=True, null=True",
        "('scan', pg_lo_storage.fields.DbImageField(blank=True, height_field='scan_height', null=True",
        "storage=pg_lo_storage.storage.DbFileStorage('/elsewhere/')",
        "storage=tests.invoices.models.choose_storage",
    ):
        assert line in text
    # Exits with 1, an exception here, where there is something to write.
    call_command("makemigrations", "invoices", check_changes=True, dry_run=True, verbosity=0)
    assert len(list(migrations.glob("0*.py"))) == 1
