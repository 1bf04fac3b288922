"""``manage.py largeobjects prune``: files that no row names, and uploads that were never finished, for cron."""

from datetime import timedelta
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from typing_extensions import override

from pg_lo_storage.catalogue import uploads
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.management.arguments import age_of, databases_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.subcommands.check import OF_FILES
from pg_lo_storage.management.subcommands.repair import prune

__all__ = ["Prune"]


class Prune(Subcommand):
    """Unlinks files that no row names, and unfinished uploads that have expired."""

    help: ClassVar[str] = (
        "Unlink catalogued files that no row has named for a while, 'repair --orphans' for cron, and unfinished"
        " uploads that have expired."
    )
    by_database: ClassVar[str | None] = OF_FILES
    changes: ClassVar[bool] = True

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=age_of,
            default=timedelta(days=7),
            metavar="7d",
            help="How old they have to be. Default: 7d.",
        )

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        status = 0
        for alias in databases_of(options):
            check = Check(alias)
            if not check.has_catalogue:
                message = f"the database {alias!r} has no catalogue, which tells files from other large objects"
                raise CommandError(message)
            status |= prune(check, options, console) | unfinished(alias, options, console)
        return status


def unfinished(alias: str, options: dict[str, Any], console: Console) -> int:
    """Unlink the uploads that have expired, or say how many would be; return the exit status."""
    database = DatabaseDriver(alias)
    loids = uploads.expired(database)
    count = uploads.discard(database, loids, only_expired=True) if options["yes"] else len(loids)
    if count:
        said = "unlinked" if options["yes"] else "would be unlinked, with --yes"
        console.say(f"{alias}: {count} unfinished uploads {said}")
        console.record({"database": alias, "unfinished": count, "unlinked": bool(options["yes"])})
    return int(bool(count) and not options["yes"])
