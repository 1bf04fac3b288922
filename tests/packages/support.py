"""What the tests upload, and how they look at what became of it."""

import io
from collections.abc import Callable

from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from PIL import Image

from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileStorage, db_file_storage

Oids = Callable[[], set[int]]


def text(content: str, name: str = "a.txt") -> ContentFile:
    return ContentFile(content.encode(), name)


def uploaded(content: str, name: str = "a.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode(), "text/plain")


def png(color: str, size: tuple[int, int] = (64, 48)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, color).save(data, "PNG")
    return data.getvalue()


def picture(color: str, name: str = "a.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, png(color), "image/png")


def color_of(data: bytes) -> tuple[int, ...]:
    with Image.open(io.BytesIO(data)) as image:
        pixel = image.convert("RGB").getpixel((2, 2))
    assert isinstance(pixel, tuple)
    return pixel


def stored(name: str | None) -> bytes:
    """Return the bytes of a stored file."""
    assert name
    with db_file_storage.open(name) as file:
        return file.read()


def oids_of(*names: str | None) -> set[int]:
    found = {parse_name(name) for name in names}
    assert None not in found, names
    return {oid for oid in found if oid is not None}


def named() -> set[int]:
    """Return the objects that the rows of all models name, of which none may be missing."""
    names = [
        name
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
        if isinstance(field, models.FileField) and isinstance(field.storage, DbFileStorage)
        for name in model._base_manager.values_list(field.attname, flat=True)
        if name
    ]
    missing = [name for name in names if not db_file_storage.exists(name)]
    assert not missing, f"rows name files that are not there: {missing}"
    return oids_of(*names)
