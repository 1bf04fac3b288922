"""What ``detach`` and ``empty`` have in common: batches of a schema's files, and its unfinished uploads."""

from collections.abc import Generator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pg_lo_storage.databases import db_for_write
from pg_lo_storage.maintenance import schemas
from pg_lo_storage.maintenance.schema_uploads import end_uploads
from pg_lo_storage.management.arguments import add_dry_run
from pg_lo_storage.management.console import Console

__all__ = ["add_schema", "in_batches", "of_uploads", "schema_of"]


def add_schema(parser: CommandParser) -> None:
    """Add the schema's name, and ``--dry-run``."""
    parser.add_argument("name", metavar="SCHEMA", help="The schema, as the database spells it.")
    add_dry_run(parser)


def schema_of(options: dict[str, Any]) -> schemas.Schema:
    """Return the schema that the options name.

    :raises CommandError: there is none, or it has no catalogue.
    """
    try:
        return schemas.open_schema(options["database"] or db_for_write(), options["name"])
    except schemas.SchemaError as error:
        raise CommandError(str(error)) from error


def in_batches(
    options: dict[str, Any], console: Console, files: list[int], batches: Generator[int], *, what: str, done: str
) -> None:
    """Do the batches, unless it is a dry run, and say how many files there are, and were ``done``."""
    name = options["name"]
    console.say(f"{name}: {len(files)} files {what}")
    total = 0
    if not options["dry_run"]:
        with console.progress(name, len(files)) as progress:
            for count in batches:
                total += count
                progress.advance(count)
        console.say(f"{name}: {total} {done}")
    console.record({"schema": name, "files": len(files), done: total})


def of_uploads(options: dict[str, Any], console: Console, alias: str, *, only_shared: bool, done: str) -> None:
    """End the schema's unfinished uploads, unless it is a dry run, and say how many there were."""
    name, dry_run = options["name"], options["dry_run"]
    if count := end_uploads(alias, name, only_shared=only_shared, dry_run=dry_run):
        console.say(f"{name}: {count} unfinished uploads {'would be ' * dry_run}{done}")
        console.record({"schema": name, "unfinished": count, done: 0 if dry_run else count})
