"""``manage.py largeobjects restore-check``: which oids of a dump are taken."""

from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from typing_extensions import override

from pg_lo_storage.databases import db_for_write
from pg_lo_storage.maintenance.dumps import BATCH, NoDump, Taken, oids_in, taken
from pg_lo_storage.management.arguments import databases_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand

__all__ = ["RestoreCheck"]


class RestoreCheck(Subcommand):
    """Says which large objects of a dump would meet others of their oid."""

    help: ClassVar[str] = "Say which oids of a dump are taken in the database; exit with 1 where some are."
    by_database: ClassVar[str | None] = "The one to restore into. Default: that of the settings."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dump", type=Path, metavar="DUMP", help="What pg_dump made, in any of its formats.")
        parser.add_argument(
            "--pg-restore", default="pg_restore", metavar="PROGRAM", help="Which reads archives. Default: pg_restore."
        )

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        path: Path = options["dump"]
        [alias] = databases_of({"database": options["database"] or db_for_write()})
        count = found = 0
        try:
            with console.progress(f"{alias}: {path}", None, "objects") as progress:
                oids = oids_in(path, options["pg_restore"])
                while batch := list(islice(oids, BATCH)):
                    count += len(batch)
                    progress.advance(len(batch))
                    for each in taken(alias, batch):
                        found += 1
                        console.record({"database": alias, **each._asdict()})
                        console.say(f"{alias}: {_text(each)}")
        except (NoDump, OSError) as error:
            raise CommandError(str(error)) from error
        console.say(f"{alias}: {found:,} of the {count:,} objects in {path} have an oid that is taken")
        return int(found > 0)


def _text(found: Taken) -> str:
    if found.name is None:
        return f"{found.oid} is taken by an object of the role {found.role}, which the catalogue does not know"
    return f"{found.oid} is taken by the file {found.name}, {found.original_name!r}, of the role {found.role}"
