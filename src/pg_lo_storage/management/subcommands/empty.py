"""``manage.py largeobjects empty``: the end of a schema's files."""

from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance import schemas
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.subcommands.schemas import add_schema, in_batches, of_uploads, schema_of

__all__ = ["Empty"]


class Empty(Subcommand):
    """Unlinks the files of a schema."""

    help: ClassVar[str] = "Unlink the files of a schema that is to be dropped, but those that others have, too."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        add_schema(parser)
        parser.add_argument("--no-input", "--yes", dest="yes", action="store_true", help="Do not ask first.")

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        schema, name, dry_run = schema_of(options), options["name"], options["dry_run"]
        files = schema.files()
        if not (options["yes"] or dry_run):
            console.warn(f"{len(files)} files of the schema {name!r} will be gone for ever.")
            if _typed() != name:
                message = "nothing was changed, for nobody typed the schema's name; see --yes"
                raise CommandError(message)
        in_batches(options, console, files, schemas.empty(schema), what="of the schema", done="unlinked")
        of_uploads(options, console, schema.alias, only_shared=False, done="ended")
        if not dry_run and (stay := schema.files()):
            console.warn(
                f"{name}: {len(stay)} files stay in its catalogue, since rows of other schemas name them,"
                " and no other catalogue has them: see docs/tenants.md"
            )
        return 0


def _typed() -> str:
    try:
        return input("Type the schema's name to go on: ")
    except EOFError:  # as in cron
        return ""
