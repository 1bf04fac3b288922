"""The command that moves rows and files, and how the tests look at both sides."""

import io
from typing import Any

from django.core.management import call_command
from django.db import models

from pg_lo_storage import catalogue
from pg_lo_storage.management.commands.largeobjects import Command
from pg_lo_storage.names import parse_name
from tests.lifecycle.papers.models import Paper
from tests.lifecycle.support import ENTRIES, FILES, column, sql

LARGE = bytes(range(256)) * 4000


def transfer(*arguments: str, source: str = "default", target: str = "other") -> str:
    """Run the command, and return what it prints."""
    stdout = io.StringIO()
    call_command(Command(), "transfer", "--from", source, "--to", target, *arguments, stdout=stdout)
    return stdout.getvalue()


def rows(model: type[models.Model], using: str) -> dict[Any, dict[str, Any]]:
    """Return the model's rows by key, with the bytes of files in the place of their names."""
    files = [field.attname for field in model._meta.concrete_fields if isinstance(field, models.FileField)]
    found = {row["pk"]: row for row in model._base_manager.using(using).values("pk", *_names(model))}
    for row in found.values():
        for file in files:
            if (loid := parse_name(row[file])) is not None:
                row[file] = bytes(sql("select lo_get(%s)", loid, using=using)[0][0])
    return found


def _names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def objects(using: str) -> int:
    """Return how many objects there are; with the catalogue each has its entry, and each entry its object."""
    found = column(FILES, using=using)
    assert not catalogue.is_installed() or column(ENTRIES, using=using) == found
    return len(found)


def paper(**values: Any) -> Paper:
    return Paper.objects.create(**values)
