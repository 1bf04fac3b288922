"""``manage.py largeobjects ls``: the names of files."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, ClassVar, Final

from django.core.management.base import CommandError, CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance.findings import escaped
from pg_lo_storage.maintenance.statistics import is_catalogued
from pg_lo_storage.management.arguments import databases_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.texts import size_of, time_of
from pg_lo_storage.storage import DbFileStorage, Entry

__all__ = ["Ls"]

_PAGE: Final = 1_000
"""How many files' entries are in memory."""


class Ls(Subcommand):
    """Lists the catalogued files in the order of their numbers."""

    help: ClassVar[str] = "List the catalogued files in the order of their numbers."
    by_database: ClassVar[str | None] = "Default: each that a storage, a setting or a router has for files."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "pattern",
            nargs="?",
            default="*",
            metavar="PATTERN",
            help="Whose stored or original name is like this, as '*.pdf'. Default: all.",
        )
        parser.add_argument("-l", "--long", action="store_true", help="With size, time and original name.")
        parser.add_argument("--after", default="", metavar="NAME", help="Only the files after this one.")

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        status = 0
        for alias in databases_of(options):
            if not is_catalogued(alias):
                console.warn(f"{alias}: without the catalogue the names of files are not known")
                status = 1
                continue
            # Names alone need no entries.
            if not options["long"] and not console.as_json and options["pattern"] == "*":
                for name in _names(alias, options["after"]):
                    console.show(name)
                continue
            for name, entry in _entries(alias, options["after"]):
                if any(fnmatchcase(each, options["pattern"]) for each in (name, entry.original_name)):
                    console.record(_record(alias, name, entry))
                    console.show(_line(name, entry) if options["long"] else name)
        return status


def _names(alias: str, after: str) -> Iterator[str]:
    try:
        return DbFileStorage(alias=alias).names(after=after)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _entries(alias: str, after: str) -> Iterator[tuple[str, Entry]]:
    names, storage = _names(alias, after), DbFileStorage(alias=alias)
    while page := list(islice(names, _PAGE)):
        entries = storage.entries(page)
        # Of the rest somebody has deleted the file meanwhile.
        yield from ((name, entries[name]) for name in page if name in entries)


def _line(name: str, entry: Entry) -> str:
    return f"{name}\t{size_of(entry.size)}\t{time_of(entry.created_at)}\t{escaped(entry.original_name)}"


def _record(alias: str, name: str, entry: Entry) -> dict[str, object]:
    facts = ("original_name", "content_type", "size", "sha256", "created_at", "modified_at")
    return {"database": alias, "name": name, **{fact: getattr(entry, fact) for fact in facts}}
