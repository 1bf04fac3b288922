"""What rows name and what there is, asked in SQL; and files to put into them."""

import io
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, cast

from django.apps import apps
from django.core.files.base import ContentFile
from django.db import connections, models, transaction
from PIL import Image

from pg_lo_storage.databases.file_fields import write_alias_of
from pg_lo_storage.fields import DbFieldFile
from pg_lo_storage.storage import DbFileStorage

FILES: Final = "select oid::int8 from pg_largeobject_metadata"
ENTRIES: Final = "select loid::int8 from pg_lo_storage_file"


def upload(content: bytes = b"first", name: str = "a.pdf") -> "ContentFile[bytes]":
    """Return a file to be stored."""
    return ContentFile(content, name=name)


def image(width: int, height: int) -> "ContentFile[bytes]":
    """Return an image to be stored."""
    data = io.BytesIO()
    Image.new("1", (width, height)).save(data, "PNG")
    return ContentFile(data.getvalue(), name="a.png")


def sql(query: str, *params: object, using: str = "default") -> list[tuple[Any, ...]]:
    """Run SQL as the ordinary role; return its rows where it has some."""
    with connections[using].cursor() as cursor:
        cursor.execute(query, cast("tuple[str, ...]", params) or None)
        return cursor.fetchall() if cursor.description else []


def column(query: str, *params: object, using: str = "default") -> set[Any]:
    """Return the values of a query of one column."""
    return {value for (value,) in sql(query, *params, using=using)}


def file_fields() -> "list[models.FileField]":
    """Return the file fields of the app's own tables whose files are large objects."""
    return [
        field
        for model in apps.get_app_config("papers").get_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, models.FileField) and isinstance(field.storage, DbFileStorage)
    ]


def named(using: str = "default", files: str = "default") -> set[int]:
    """Return the oids that rows on ``using`` name, of the files on ``files``."""
    fields = [field for field in file_fields() if write_alias_of(field, using) == files]
    selects = (f'select "{field.column}" from "{field.model._meta.db_table}"' for field in fields)
    return {int(name.partition(".")[0]) for name in column(" union ".join(selects), using=using) if name}


def contents(loids: Iterable[int], using: str = "default") -> Counter[bytes]:
    """Return the bytes of the objects."""
    return Counter(bytes(sql("select lo_get(%s)", loid, using=using)[0][0]) for loid in loids)


def read(file: object) -> bytes:
    """Return what a row's file holds."""
    assert isinstance(file, DbFieldFile)
    with file.open() as opened:
        data: bytes = opened.read()
        return data


def check(*left: bytes, catalogue: bool, unnamed: Iterable[bytes] = (), using: str = "default") -> None:
    """Check that rows name files of exactly these bytes, and that besides ``unnamed`` there are no others."""
    objects, names = column(FILES, using=using), named(using, files=using)
    assert names <= objects, "a row names a file that is not there"
    assert contents(names, using) == Counter(left)
    assert contents(objects - names, using) == Counter(unnamed)
    assert entries(using) == (objects if catalogue else set())


def entries(using: str = "default") -> set[int]:
    """Return the oids that the catalogue has; none where there is no such table."""
    [(has_table,)] = sql("select to_regclass('pg_lo_storage_file') is not null", using=using)
    return column(ENTRIES, using=using) if has_table else set()


def empty_tables(aliases: Iterable[str] = ("default", "other")) -> None:
    """Delete all rows of the app, the objects, and what the catalogue says of them."""
    tables = [model._meta.db_table for model in apps.get_app_config("papers").get_models()]
    for alias in aliases:
        with transaction.atomic(using=alias):
            sql(";".join(f"delete from {table}" for table in tables), using=alias)
            sql("select lo_unlink(oid) from pg_largeobject_metadata limit 1000", using=alias)
            if entries(alias):
                sql("delete from pg_lo_storage_file", using=alias)
