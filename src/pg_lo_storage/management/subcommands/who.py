"""``manage.py largeobjects who``: which rows name a file, and what else is known of it."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance.files import KnownFile, who
from pg_lo_storage.maintenance.uses import MOST_ROWS, Row, naming_columns
from pg_lo_storage.management.arguments import databases_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.texts import record_of, size_of, text_of, time_of

__all__ = ["Who"]


class Who(Subcommand):
    """Shows all that is known of a file, and the rows that name it."""

    help: ClassVar[str] = (
        "Show which rows name a file, and its names, dates, owner; exit with 1 where there is nothing."
    )
    by_database: ClassVar[str | None] = "Default: each that a storage, a setting or a router has for files."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", metavar="OID|NAME|SHA256", help="An oid, a stored name, or a digest.")

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        found = False
        for alias in databases_of(options):
            for problem in naming_columns(alias, anywhere=True)[1]:
                console.warn(f"{alias}: {problem}")
            for file, rows in who(alias, options["what"]):
                found = True
                console.record(record_of(alias, file, rows))
                for line in _lines(alias, file, rows):
                    console.say(line)
        if not found:
            console.warn(f"there is no {options['what']!r}, and no row names it")
        return 0 if found else 1


def _lines(alias: str, file: KnownFile, rows: list[Row]) -> Iterator[str]:
    yield f"{alias}: {file.name or file.oid}"
    if file.role is None:
        yield "  there is no such object"
    else:
        yield f"  object {file.oid}, {size_of(file.size)}, of the role {file.role}"
    if file.created_at is not None and file.modified_at is not None:  # it has an entry
        times = f"saved {time_of(file.created_at)}, changed {time_of(file.modified_at)}"
        yield f"  entry {file.original_name!r}, {file.content_type}, {times}"
        yield f"  SHA-256 {file.sha256 or 'unknown'}"
    for row in rows:
        yield f"  row {text_of(row)}"
    if not rows:
        yield "  no row names it"
    if len(rows) >= MOST_ROWS:
        yield f"  of each column up to {MOST_ROWS:,} rows are shown"
