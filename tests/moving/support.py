"""Old files, rows that name them, and what there is afterwards."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.db import transaction

from tests.lifecycle.support import entries, sql
from tests.moving.letters.models import Letter

THEN: Final = datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LARGE: Final = bytes(range(256)) * 4096  # 1 MB: more than what one statement saves


def put(folder: Path, name: str, content: bytes = b"old", changed: datetime = THEN) -> Path:
    """Put a file into a folder as a file system storage does."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (changed.timestamp(), changed.timestamp()))
    return path


def row_of(name: str, **values: Any) -> Letter:
    """Make a row that names a file, past all that fields do, and load it."""
    [(key,)] = sql("insert into letters_letter (title, changed, data) values ('', '2020-01-01', %s) returning id", name)
    if values:
        Letter.objects.filter(pk=key).update(**values)
    return Letter.objects.get(pk=key)


def empty_tables() -> None:
    """Delete all rows of the app, the objects, and what the catalogue says of them."""
    for alias in ("default", "other"):
        with transaction.atomic(using=alias):
            # Those of children come last.
            for model in reversed(list(apps.get_app_config("letters").get_models())):
                if model._meta.managed:
                    sql(f'delete from "{model._meta.db_table}"', using=alias)
            sql("select lo_unlink(oid) from pg_largeobject_metadata limit 1000", using=alias)
            if entries(alias):
                sql("delete from pg_lo_storage_file", using=alias)
