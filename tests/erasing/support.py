"""What the tests of this folder erase, and how they look at it."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import models

from pg_lo_storage.databases.file_fields import rows_of
from pg_lo_storage.maintenance.erased import Erased
from pg_lo_storage.maintenance.erasing import Erasure, Step
from pg_lo_storage.maintenance.receipts import Receipt, read
from tests.erasing.desk.models import Letter, Page


def letter(data: bytes = b"content", **values: Any) -> Letter:
    """Save a letter with a file."""
    return Letter.objects.create(data=ContentFile(data, "letter.pdf"), **values)


def page(of: Letter, data: bytes = b"page") -> Page:
    """Save a page with a file."""
    return Page.objects.create(letter=of, data=ContentFile(data, "page.png"))


def query(model: type[models.Model], alias: str = "default", **where: Any) -> "models.QuerySet[models.Model]":
    """Return rows as the command asks for them."""
    return rows_of(model, alias).filter(**where)


def erase(rows: "models.QuerySet[models.Model]", receipt: Receipt | None = None) -> list[Step]:
    """Erase rows."""
    return list(Erasure(rows.db, rows, receipt).run())


def examine(rows: "models.QuerySet[models.Model]") -> list[Step]:
    """See what would be erased."""
    return list(Erasure(rows.db, rows).examine())


def files(steps: Iterable[Step]) -> list[Erased]:
    """Return the files of all steps."""
    return [file for step in steps for file in step.files]


def states(steps: Iterable[Step]) -> dict[str, str]:
    """Return what became of each file, by its name."""
    return {file.name: file.state for file in files(steps)}


def kinds(path: Path) -> list[str]:
    """Return the kinds of a receipt's records."""
    return [record["kind"] for record in read(path)]


def largeobjects(*arguments: object) -> tuple[int, list[str]]:
    """Run the command; return its exit status and the lines that it prints."""
    stdout = io.StringIO()
    status = 0
    try:
        call_command("largeobjects", *map(str, arguments), stdout=stdout, stderr=stdout)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, stdout.getvalue().splitlines()


def records(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """Run the command with ``--json``; return its exit status and what it prints."""
    status, lines = largeobjects(*arguments, "--json")
    return status, [json.loads(line) for line in lines]
