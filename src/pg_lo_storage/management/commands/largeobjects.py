"""``manage.py largeobjects``: the maintenance of stored files."""

import os
import sys
from argparse import SUPPRESS
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from typing_extensions import override

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommands import SUBCOMMANDS

_INTERRUPTED: Final = 130
"""The exit status of a program that Ctrl-C has ended, as shells have it."""


_NO_READER: Final = 141
"""That of a program whose output nobody reads any more."""


class _CommonOptions(BaseCommand):
    """Makes a parser of the options that every command has; it keeps the values given before the subcommand."""

    @override
    def add_base_argument(self, parser: CommandParser, *args: Any, **kwargs: Any) -> None:
        # This default goes before the parser's own.
        super().add_base_argument(parser, *args, **kwargs | {"default": SUPPRESS})


class Command(BaseCommand):
    """The family of commands on stored files; its exit status is 1 where something was found, or was not done."""

    help = "Looks after stored files, which are PostgreSQL large objects."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True)
        # Django's own options are understood before the subcommand and after it.
        common = _CommonOptions().create_parser("", "", add_help=False, argument_default=SUPPRESS)
        for name, subcommand in SUBCOMMANDS.items():
            subcommand.add_to(subparsers.add_parser(name, help=subcommand.help, parents=[common]))

    @override
    def handle(self, *args: object, **options: Any) -> None:
        console = Console(self.stdout, self.stderr, verbosity=options["verbosity"], as_json=options["json"])
        try:
            status = SUBCOMMANDS[options["subcommand"]].run(options, console)
        except KeyboardInterrupt:
            message = "interrupted: what was done is done; run the command again to go on"
            raise CommandError(message, returncode=_INTERRUPTED) from None
        except Error as error:
            # As a time limit, a lost connection, a missing right or table: --traceback tells where.
            raise CommandError("; then: ".join(_told(error))) from error
        except LargeObjectError as error:
            raise CommandError(" ".join(str(error).split())) from error
        except BrokenPipeError:
            # Whoever reads it, such as head, has enough. What is still in the buffer goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(_NO_READER)
        if status:
            sys.exit(status)


def _told(error: BaseException | None) -> list[str]:
    """Return what the database's errors tell, the first one first.

    Where a server ends, Django begins its connection anew, and what is raised is that this fails.
    """
    told = list[str]()
    while error is not None:
        text = " ".join(str(error).split()).removesuffix(".")
        if isinstance(error, Error) and text not in told:
            told.insert(0, text)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told
