"""``manage.py largeobjects stats``: how many files there are, and how large."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance import charts
from pg_lo_storage.maintenance.statistics import BY, Group, NotCatalogued, Totals, groups, orphans, totals
from pg_lo_storage.maintenance.uses import naming_columns
from pg_lo_storage.management.arguments import databases_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.texts import bar_of, count_of, size_of

__all__ = ["Stats"]


class Stats(Subcommand):
    """Says how many files there are, how large, and what they have in common."""

    help: ClassVar[str] = "Say how many files there are and how large, and draw a chart of them."
    by_database: ClassVar[str | None] = "Default: each that a storage, a setting or a router has for files."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--by", choices=BY, help="Draw a chart of the files by what they have in common.")
        parser.add_argument(
            "--no-orphans", action="store_true", help="Leave out how many no row names, which reads all rows that may."
        )
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="The most bars. Default: 20.")
        parser.add_argument("--svg", type=Path, metavar="FILE", help="Write the chart to a file, of one database.")

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        databases, by, file = databases_of(options), options["by"], options["svg"]
        if file and len(databases) > 1:
            message = f"--svg draws one database: add --database, which is one of {', '.join(databases)}"
            raise CommandError(message)
        status = 0
        for alias in databases:
            if by is None:
                _say_totals(totals(alias), None if options["no_orphans"] else (orphans(alias),), console)
            try:
                found = groups(alias, by or "month", options["limit"])
            except NotCatalogued as error:
                if by or file:
                    console.warn(f"{alias}: {error}")
                    status = 1
                continue
            if by in {"field", "owner"}:
                for problem in naming_columns(alias)[1]:
                    console.warn(f"{alias}: {problem}")
            _draw(alias, by, found, console)
            if file:
                title = f"{alias}: files by {by or 'month'}"
                file.write_text(charts.svg([bar_of(group) for group in found], title, "white"), encoding="utf-8")
        return status


def _draw(alias: str, by: str | None, found: list[Group], console: Console) -> None:
    if by is not None:
        console.say(f"{alias}: files by {by}")
        for group in found:
            console.record({"database": alias, "by": by, **group._asdict()})
    for line in charts.text([bar_of(group) for group in found]):
        console.say(f"  {line}")


def _say_totals(found: Totals, unnamed: tuple[int | None] | None, console: Console) -> None:
    """Say the totals, with how many files no row names where they were counted."""
    console.record(asdict(found) | ({"orphans": unnamed[0]} if unnamed else {}))
    console.say(f"{found.database}: {count_of(found.files)}, {size_of(found.bytes)}")
    if found.catalogued and unnamed:
        told = "not known, for rows may be missed: see check" if unnamed[0] is None else count_of(unnamed[0])
        console.say(f"  named by no row: {told}")
    for line in _notes(found):
        console.say(f"  {line}")


def _notes(found: Totals) -> list[str]:
    lines: list[str] = []
    if found.unmeasured:
        lines.append(f"{found.unmeasured} of them of unknown size: the role may not read them")
    if found.undigested and found.oldest_undigested:
        lines.append(f"{found.undigested} of them without a digest, the oldest of {found.oldest_undigested:%Y-%m-%d}")
    if found.recent_files is not None and found.recent_bytes is not None:
        lines.append(f"of the last 30 days: {count_of(found.recent_files)}, {size_of(found.recent_bytes)}")
    if not found.catalogued:
        lines.append("without the catalogue these are all objects that the role may read, of other applications too")
    dead = "" if found.dead_share is None else f", about {found.dead_share:.0%} of its rows dead"
    lines.append(f"on disk: {size_of(found.disk_bytes)} of pg_largeobject, for {found.objects} objects{dead}")
    return lines
