"""``manage.py largeobjects top``: the largest files."""

from typing import Any, ClassVar

from django.core.management.base import CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance.files import largest, with_rows
from pg_lo_storage.maintenance.uses import naming_columns
from pg_lo_storage.management.arguments import databases_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.texts import record_of, size_of, text_of

__all__ = ["Top"]


class Top(Subcommand):
    """Shows the largest files, and the rows that name them."""

    help: ClassVar[str] = "Show the largest files, with the rows that name them."
    by_database: ClassVar[str | None] = "Default: each that a storage, a setting or a router has for files."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("-n", type=int, default=20, metavar="N", help="How many files. Default: 20.")

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        for alias in databases_of(options):
            for problem in naming_columns(alias)[1]:
                console.warn(f"{alias}: {problem}")
            for file, rows in with_rows(alias, largest(alias, options["n"])):
                console.record(record_of(alias, file, rows))
                named = "; ".join(map(text_of, rows[:3])) or "no row"
                more = f" and {len(rows) - 3} rows more" if len(rows) > 3 else ""
                title = f" {file.original_name!r}" if file.original_name else ""
                console.say(f"{alias}: {file.name or file.oid}  {size_of(file.size)}{title}  {named}{more}")
        return 0
