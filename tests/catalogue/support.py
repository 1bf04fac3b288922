"""What the tests of the catalogue store, and how they look at it."""

import io
from typing import Any

from django.core import checks
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connections

from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFileStorage, db_file_storage


def run(query: str, *params: str | int | bytes, using: str = "default") -> list[tuple[Any, ...]]:
    """Run SQL as the ordinary role, and return its rows where it has some."""
    with connections[using].cursor() as cursor:
        cursor.execute(query, params or None)
        return cursor.fetchall() if cursor.description else []


def uncatalogued(data: bytes = b"content", oid: int = 0, using: str = "default") -> int:
    """Make an object as the predecessor did, and return its oid."""
    [(loid,)] = run("select lo_from_bytea(%s, %s)::int8", oid, data, using=using)
    return int(loid)


def entries(using: str = "default") -> dict[int, str | None]:
    """Return the extension of each catalogued file by its oid."""
    return dict(StoredFile.objects.using(using).values_list("loid", "extension"))


def saved(name: str = "a.pdf", data: bytes = b"content", storage: DbFileStorage = db_file_storage) -> str:
    """Return the stored name of a new file."""
    return storage.save(name, ContentFile(data))


def migrate(*arguments: str, verbosity: int = 1) -> str:
    """Run ``migrate``, and return what it prints."""
    stdout = io.StringIO()
    call_command("migrate", *arguments, verbosity=verbosity, stdout=stdout, stderr=io.StringIO())
    return stdout.getvalue()


def adopt(*arguments: str) -> str:
    """Run ``largeobjects adopt``, and return what it prints."""
    stdout = io.StringIO()
    call_command("largeobjects", "adopt", *arguments, stdout=stdout, stderr=io.StringIO())
    return stdout.getvalue()


def invoice(name: str, field: str = "data", using: str = "default") -> None:
    """Insert a row that names a file, past the field."""
    run(f"insert into invoices_invoice ({field}) values (%s)", name, using=using)


def numbers(messages: list[checks.CheckMessage]) -> list[str]:
    """Return the messages' ids without their prefix; each must name a fix."""
    assert all(message.hint and str(message.id).startswith("pg_lo_storage.") for message in messages)
    return [str(message.id).removeprefix("pg_lo_storage.") for message in messages]


def text_of(messages: list[checks.CheckMessage]) -> str:
    """Return what the messages say, with their hints."""
    return "\n".join(f"{message.msg} {message.hint}" for message in messages)
