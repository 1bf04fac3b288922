"""``manage.py largeobjects transfer``: rows and their files move to another database."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import Error, connections, models, reset_queries

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.lifecycle.transfers import MOST_FILES, Moved, Problem, Transfer

__all__ = ["add_transfer_arguments", "transfer"]

_INTERRUPTED = 130
"""The exit status of a program that Ctrl-C has ended, as shells have it."""


def add_transfer_arguments(parser: CommandParser) -> None:
    """Add the arguments of the subcommand."""
    aliases = tuple(connections)
    parser.add_argument("label", metavar="APP.MODEL", help="The rows that are moved, with their files.")
    parser.add_argument("--from", dest="source", required=True, choices=aliases, help="The database they are on.")
    parser.add_argument("--to", dest="target", required=True, choices=aliases, help="The database they are to be on.")
    parser.add_argument(
        "--where",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=VALUE",
        help="Which rows, as filter() takes it; __in and __range take several values with commas. Default: all.",
    )
    parser.add_argument("--keep", action="store_true", help="Copy: the rows and files stay where they are as well.")
    parser.add_argument(
        "--batch-size",
        type=_batch_size,
        default=MOST_FILES,
        metavar="ROWS",
        help=f"How many rows are moved in a transaction; at most {MOST_FILES} files are. Default: {MOST_FILES}.",
    )
    parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and change nothing.")


def transfer(options: dict[str, Any], say: Callable[[str], object]) -> None:
    """Move the rows that the command's options tell, and ``say`` how far it is.

    :raises CommandError: they cannot be moved, not all of them were, or Ctrl-C came in between.
    """
    model, source, target, keep = _model(options["label"]), options["source"], options["target"], options["keep"]
    title, done = f"{source} to {target}: {model._meta.label}", Moved()
    verb = "copied" if keep else "moved"
    try:
        rows = Transfer(model, source, target, _where(options["where"]), keep, options["batch_size"])
        total = rows.count()
        say(f"{title}: 0 of {total} rows")
        for moved in rows.examine() if options["dry_run"] else rows.run():
            done = done.plus(moved)
            reset_queries()  # which DEBUG keeps
            say(f"{title}: {done.rows} of {max(total, done.rows)} rows")
    except (Problem, Error, LargeObjectError, FieldError, ValidationError, ValueError) as error:
        text = " ".join(str(error).split())
        raise CommandError(f"{title}: {text}{_so_far(done, verb, options)}") from error
    except KeyboardInterrupt:
        message = f"{title}: interrupted{_so_far(done, verb, options)}"
        raise CommandError(message, returncode=_INTERRUPTED) from None
    if options["dry_run"]:
        say(f"{title}: {_said(done)} would be {verb} (a dry run: nothing was changed)")
    else:
        say(f"{title}: {_said(done)} {verb}")


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


def _model(label: str) -> type[models.Model]:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        message = f"transfer takes app.Model, and {label!r} is none: {error}"
        raise CommandError(message) from error


def _where(conditions: list[str]) -> dict[str, object]:
    """Return the lookups of ``field=value`` conditions."""
    where: dict[str, object] = {}
    for condition in conditions:
        lookup, sign, value = condition.partition("=")
        if not (lookup and sign):
            message = f"--where takes field=value, and {condition!r} is none"
            raise CommandError(message)
        where[lookup] = _value(lookup, value)
    return where


def _value(lookup: str, value: str) -> object:
    match lookup.rpartition("__")[2]:
        case "isnull":
            return value.lower() in {"1", "t", "true", "yes"}
        case "in" | "range":
            return value.split(",")
        case _:
            return value
