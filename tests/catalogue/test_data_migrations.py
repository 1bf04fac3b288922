"""A migration that saves a file: on a fresh database it needs the catalogue's own migration before it."""

import importlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import ProgrammingError, connections, transaction
from django.test import override_settings

from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from tests.catalogue.support import run

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

SCHEMA = """
from django.db import migrations, models
import pg_lo_storage.fields

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Scan", [
            ("id", models.BigAutoField(primary_key=True)),
            ("data", pg_lo_storage.fields.DbFileField(storage=pg_lo_storage.storage.DbFileStorage(alias="other"))),
        ]),
    ]
"""
DATA = """
from django.core.files.base import ContentFile
from django.db import migrations

def save(apps, editor):
    scan = apps.get_model("invoices", "Scan")(data=ContentFile(b"data", name="a.pdf"))
    scan.save(using=editor.connection.alias)

class Migration(migrations.Migration):
    dependencies = [("invoices", "0001_initial"){more}]
    operations = [migrations.RunPython(save)]
"""
DEPENDENCY = '("pg_lo_storage", "0001_initial")'


@pytest.fixture
def fresh() -> Iterator[None]:
    """Have the alias "other" find nothing but an empty schema."""
    run("create schema fresh", using="other")
    run("set search_path to fresh", using="other")
    yield
    connections["other"].close()
    run("drop schema fresh cascade", using="other")


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Give the app ``invoices`` two migrations, of which the second saves a file, and has more dependencies."""
    folder = tmp_path / "data_migrations"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write(more: str) -> None:
        (folder / "__init__.py").touch()
        (folder / "0001_initial.py").write_text(SCHEMA)
        (folder / "0002_data.py").write_text(DATA.replace("{more}", more))
        importlib.invalidate_caches()

    with override_settings(MIGRATION_MODULES={"invoices": folder.name}):
        yield write
    for module in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[module]


def migrate() -> None:
    call_command("migrate", database="other", verbosity=0, stdout=io.StringIO(), skip_checks=True)


@pytest.mark.usefixtures("fresh")
def test_it_runs_where_it_depends_on_the_catalogues(migrations: Callable[[str], None]) -> None:
    migrations(f", {DEPENDENCY}")
    migrate()
    [(name,)] = run("select data from invoices_scan", using="other")
    assert StoredFile.objects.using("other").get().name == name
    with DbFileStorage(alias="other").open(name) as file:
        assert file.read() == b"data"


@pytest.mark.usefixtures("fresh")
def test_the_error_names_the_dependency_that_it_lacks(migrations: Callable[[str], None]) -> None:
    migrations("")
    with pytest.raises(ProgrammingError) as caught:
        migrate()
    assert "the database 'other' has no table pg_lo_storage_file" in str(caught.value)
    assert f"{DEPENDENCY} in its dependencies" in str(caught.value)
    assert run("select to_regclass('invoices_scan') is null", using="other") == [(False,)]


@pytest.fixture
def without_its_table() -> Iterator[None]:
    """The app is installed, and was never migrated."""
    run("alter table pg_lo_storage_file rename to not_migrated_yet")
    yield
    run("alter table not_migrated_yet rename to pg_lo_storage_file")


@pytest.mark.usefixtures("without_its_table")
@pytest.mark.parametrize(
    "call",
    [
        lambda: db_file_storage.save("a.pdf", ContentFile(b"data")),
        lambda: db_file_storage.save("a.pdf", ContentFile(bytes(1_000_000))),
        lambda: db_file_storage.open("12.pdf"),
        lambda: db_file_storage.open("12.pdf", "wb"),
        lambda: db_file_storage.exists("12.pdf"),
        lambda: db_file_storage.size("12.pdf"),
        lambda: db_file_storage.delete("12.pdf"),
        lambda: db_file_storage.listdir(""),
        lambda: db_file_storage.entries(["12.pdf"]),
    ],
    ids=["save", "save large", "open", "write", "exists", "size", "delete", "listdir", "entries"],
)
def test_whatever_is_done_says_what_is_missing(call: Callable[[], object]) -> None:
    with pytest.raises(ProgrammingError, match="run 'manage\\.py migrate --database default'") as caught:
        call()
    assert "relation" in str(caught.value.__cause__)
    with pytest.raises(ProgrammingError, match="0001_initial"), transaction.atomic():
        call()
    assert run("select 1") == [(1,)]
