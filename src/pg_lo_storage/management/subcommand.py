"""What each subcommand of ``manage.py largeobjects`` is."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.db import connections

from pg_lo_storage.management.console import Console

__all__ = ["Subcommand"]


class Subcommand(ABC):
    """One of the things that ``manage.py largeobjects`` does; its work stands in ``maintenance/``."""

    help: ClassVar[str]
    """What it does, in a sentence."""

    by_database: ClassVar[str | None] = "Default: that of the settings."
    """What it does without ``--database``; None where it has no such option."""

    changes: ClassVar[bool] = False
    """Whether it changes anything: then it says what it would do, and does it with ``--yes``."""

    def add_to(self, parser: CommandParser) -> None:
        """Add all of its arguments to the parser."""
        self.add_arguments(parser)
        if self.by_database is not None:
            parser.add_argument("--database", choices=tuple(connections), help=self.by_database)
        if self.changes:
            parser.add_argument("--yes", action="store_true", help="Do it. Without: say what would be done.")
        parser.add_argument("--json", action="store_true", help="Print each result as a line of JSON.")

    @abstractmethod
    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments that only this subcommand has."""

    @abstractmethod
    def run(self, options: dict[str, Any], console: Console) -> int:
        """Do it; return the exit status: 0, or 1 where something was found, or was not done.

        :raises CommandError: an argument is none, or it cannot be done; the message says why.
        """
