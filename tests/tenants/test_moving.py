"""``manage.py largeobjects move`` in one tenant's schema: the other tenants' rows and files stay as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import load_command_class
from django.db import connection
from django.test import override_settings
from django_tenants.utils import schema_context

from pg_lo_storage.storage import TransitionalStorage
from tests.tenants.shop.models import Invoice, Scan
from tests.tenants.support import Oids, named, stored

CONTENTS = {"a.txt": b"a", "deep/b.tar.gz": b"", "c.bin": bytes(range(256)) * 3000}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the storage ``disk``, which holds the old files of both models."""
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    with override_settings(STORAGES={**settings.STORAGES, "disk": backend}):
        for model in (Invoice, Scan):
            monkeypatch.setattr(model._meta.get_field("data"), "storage", TransitionalStorage(legacy="disk"))
        yield tmp_path


def name_old_files(schema: str) -> None:
    with schema_context(schema), connection.cursor() as cursor:
        for name, content in CONTENTS.items():
            if not storages["disk"].exists(name):
                storages["disk"].save(name, ContentFile(content))
            cursor.execute("insert into shop_invoice (data, copy) values (%s, '')", [name])


def move(schema: str, *args: str) -> None:
    """As docs/moving.md has it."""
    argv = [
        "manage.py",
        "tenant_command",
        "largeobjects",
        "move",
        "shop.Invoice.data",
        *args,
        "--yes",
        f"--schema={schema}",
    ]
    load_command_class("django_tenants", "tenant_command").run_from_argv(argv)


def test_one_tenant_moves_in_and_out_again(disk: Path, large_objects: Oids) -> None:
    for schema in ("blue", "green"):
        name_old_files(schema)
    before = large_objects()
    move("blue", "--from", "disk", "--delete-source")
    assert not named("blue") & set(CONTENTS)
    assert sorted(stored("blue", name) for name in named("blue")) == sorted(CONTENTS.values())
    assert len(large_objects() - before) == len(CONTENTS)
    # The other tenant's rows name the same files, which stay for them.
    assert named("green") == set(CONTENTS)
    assert {name: (disk / name).read_bytes() for name in CONTENTS} == CONTENTS

    move("green", "--from", "disk", "--delete-source")
    assert not [path for path in disk.rglob("*") if path.is_file()]
    assert sorted(stored("green", name) for name in named("green")) == sorted(CONTENTS.values())

    move("blue", "--to", "disk", "--delete-source")
    assert sorted(path.read_bytes() for path in disk.rglob("*") if path.is_file()) == sorted(CONTENTS.values())
    assert len(large_objects() - before) == len(CONTENTS)
    assert sorted(stored("green", name) for name in named("green")) == sorted(CONTENTS.values())


@pytest.mark.parametrize("change", ["delete", "replace"])
def test_an_old_file_goes_with_the_last_row_of_any_tenant(disk: Path, change: str) -> None:
    for schema in ("blue", "green"):
        name_old_files(schema)
    for schema, files_left in (("blue", set(CONTENTS)), ("green", set(CONTENTS) - {"a.txt"})):
        with schema_context(schema):
            row = Invoice.objects.get(data="a.txt")
            if change == "delete":
                row.delete()
            else:
                row.data = ContentFile(b"new", "new.txt")
                row.save()
        assert {path.relative_to(disk).as_posix() for path in disk.rglob("*") if path.is_file()} == files_left
