"""``manage.py largeobjects detach``: a schema gets files of its own."""

from typing import Any, ClassVar

from django.core.management.base import CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance import schemas
from pg_lo_storage.management.arguments import add_needless_yes
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.subcommands.schemas import add_schema, in_batches, of_uploads, schema_of

__all__ = ["Detach"]


class Detach(Subcommand):
    """Gives a schema copies of what it shares with others."""

    help: ClassVar[str] = "Give a schema copies of its own of the files that it shares with others, as a clone does."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        add_schema(parser)
        add_needless_yes(parser)

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        schema = schema_of(options)
        in_batches(options, console, schema.shared(), schemas.detach(schema), what="shared with others", done="copied")
        of_uploads(options, console, schema.alias, only_shared=True, done="left to others")
        return 0
