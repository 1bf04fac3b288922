"""``manage.py largeobjects transfer``: rows and their files move to another database."""

from typing import Any, ClassVar, Final

from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import Error, connections, reset_queries
from typing_extensions import override

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.maintenance import transfers
from pg_lo_storage.maintenance.transfers import MOST_FILES, Moved, Problem
from pg_lo_storage.management.arguments import add_dry_run, add_needless_yes, add_where, model_of, where_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand

__all__ = ["Transfer"]

_INTERRUPTED: Final = 130
"""The exit status of a program that Ctrl-C has ended, as shells have it."""


class Transfer(Subcommand):
    """Moves rows and their files to another database."""

    help: ClassVar[str] = "Move rows and their files to another database."
    by_database: ClassVar[str | None] = None

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        aliases = tuple(connections)
        parser.add_argument("label", metavar="APP.MODEL", help="The rows that are moved, with their files.")
        parser.add_argument("--from", dest="source", required=True, choices=aliases, help="The database they are on.")
        parser.add_argument(
            "--to", dest="target", required=True, choices=aliases, help="The database they are to be on."
        )
        add_where(parser)
        parser.add_argument("--keep", action="store_true", help="Copy: the rows and files stay where they are as well.")
        parser.add_argument(
            "--batch-size",
            type=_batch_size,
            default=MOST_FILES,
            metavar="ROWS",
            help=f"How many rows are moved in a transaction; at most {MOST_FILES} files are. Default: {MOST_FILES}.",
        )
        add_dry_run(parser)
        add_needless_yes(parser)

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        model, source, target = model_of(options["label"], "transfer"), options["source"], options["target"]
        keep, dry_run = options["keep"], options["dry_run"]
        title, done = f"{source} to {target}: {model._meta.label}", Moved()
        verb = "copied" if keep else "moved"
        try:
            where = where_of(options["where"])
            rows = transfers.Transfer(model, source, target, where, keep, options["batch_size"])
            total = rows.count()
            console.say(f"{title}: 0 of {total} rows")
            for moved in rows.examine() if dry_run else rows.run():
                done = done.plus(moved)
                reset_queries()  # which DEBUG keeps
                console.say(f"{title}: {done.rows} of {max(total, done.rows)} rows")
        except (Problem, Error, LargeObjectError, FieldError, ValidationError, ValueError) as error:
            text = " ".join(str(error).split())
            raise CommandError(f"{title}: {text}{_so_far(done, verb, options)}") from error
        except KeyboardInterrupt:
            message = f"{title}: interrupted{_so_far(done, verb, options)}"
            raise CommandError(message, returncode=_INTERRUPTED) from None
        if dry_run:
            console.say(f"{title}: {_said(done)} would be {verb} (a dry run: nothing was changed)")
        else:
            console.say(f"{title}: {_said(done)} {verb}")
        counts = {"rows": done.rows, "files": done.files, "bytes": done.bytes}
        console.record({"model": model._meta.label, "from": source, "to": target, "dry_run": dry_run, **counts})
        return 0


def _so_far(done: Moved, verb: str, options: dict[str, Any]) -> str:
    if not done.rows or options["dry_run"]:
        return ""
    return f" ({_said(done)} {verb} before; run the command again to go on)"


def _said(done: Moved) -> str:
    finished = f", {done.finished} of which an earlier run had copied," if done.finished else ""
    return f"{done.rows} rows{finished} with {done.files} files of {done.bytes} bytes"


def _batch_size(text: str) -> int:
    if not 0 < int(text) <= MOST_FILES:
        raise ValueError
    return int(text)
