"""``manage.py largeobjects adopt``: files that rows name come into the catalogue."""

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from django.core.management.base import CommandError, CommandParser
from django.db import connections, models, router
from typing_extensions import override

from pg_lo_storage.databases import db_for_write
from pg_lo_storage.databases.columns import has_catalogue
from pg_lo_storage.databases.file_fields import file_fields, legacy_of, write_alias_of
from pg_lo_storage.maintenance import adoption, name_columns
from pg_lo_storage.maintenance.name_columns import NameColumn
from pg_lo_storage.maintenance.verdicts import Adopted, Verdict
from pg_lo_storage.management.arguments import add_dry_run, add_needless_yes, field_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.storage import db_file_storage

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]

__all__ = ["Adopt"]


class Adopt(Subcommand):
    """Enters the files that fields name into the catalogue."""

    help: ClassVar[str] = "Catalogue the files that rows name, and the catalogue lacks."
    by_database: ClassVar[str | None] = (
        "The database of the files. Default: each that a storage, a setting or a router has for files."
    )

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--model",
            nargs="+",
            action="extend",
            default=[],
            metavar="APP.MODEL.FIELD",
            help="Where the names are, in fields of any type. Default: in all file fields on large objects, less those"
            " of a TransitionalStorage.",
        )
        parser.add_argument(
            "--any-owner", action="store_true", help="Take large objects of other roles too, not only the role's own."
        )
        parser.add_argument("--show", action="store_true", help="Say of each name whether it is taken, and why not.")
        add_dry_run(parser)
        add_needless_yes(parser)

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        failed: list[str] = []
        for alias, fields in _wanted(options["model"], options["database"]).items():
            failed += _adopt_on(alias, _columns(fields, alias, required=bool(options["model"])), options, console)
        if failed:
            raise CommandError("\n".join(failed))
        return 0


def _adopt_on(alias: str, columns: list[NameColumn], options: dict[str, Any], console: Console) -> list[str]:
    """Adopt the files that the columns name; return what could not be done."""
    dry_run = bool(options["dry_run"])
    problems = {column: problem for column in columns if (problem := name_columns.unreadable(column))}
    columns = [column for column in columns if column not in problems]
    beside = adoption.readable_file_columns(alias)
    verdicts = adoption.adopt(columns, alias, beside=beside, any_owner=options["any_owner"], dry_run=dry_run)
    with closing(verdicts):
        outcomes = adoption.count(columns, _shown(alias, columns, verdicts, console, each=options["show"]))
    total = Adopted()
    for column, outcome in outcomes.items():
        total += outcome
        console.say(f"{alias}: {column}: {outcome}")
        console.record({"database": alias, "column": str(column), **vars(outcome)})
    console.say(f"{alias}: {total}{' (a dry run: nothing was changed)' if dry_run else ''}")
    # The user has decided on these columns: 'migrate' leaves them alone.
    if not dry_run and name_columns.may_settle(alias):
        name_columns.settle(alias, name_columns.settled_columns(alias).union(set(columns).intersection(beside)))
    return [f"{alias}: nothing was adopted from {column}: {problem}" for column, problem in problems.items()]


def _shown(
    alias: str, columns: list[NameColumn], verdicts: Iterable[Verdict], console: Console, *, each: bool
) -> Generator[Verdict]:
    """Pass the verdicts on; show ``each`` of them, or how far it is."""
    # Rows are counted only for the bar.
    rows = sum(map(name_columns.count_names, columns)) if console.shows_progress and not each else None
    with console.progress(alias, rows, "rows") as progress:
        for verdict in verdicts:
            if each:
                console.show(f"{alias}: {verdict}")
                named = {"database": alias, "column": str(verdict.column), "name": verdict.name}
                console.record(named | {"rows": verdict.rows, "outcome": verdict.outcome, "detail": verdict.detail})
            else:
                progress.advance(verdict.rows)
            yield verdict


def _wanted(labels: list[str], database: str | None) -> "dict[str, list[Field]]":
    """Return the fields to read names from, by the database of the files."""
    wanted: dict[str, list[Field]] = {}
    follows = db_file_storage.follows_rows
    for label in labels:
        field = field_of(label, "--model")
        rows: str = router.db_for_write(field.model)
        own = write_alias_of(field, rows) if isinstance(field, models.FileField) else None
        wanted.setdefault(database or own or (rows if follows else db_for_write()), []).append(field)
    if labels:
        return wanted
    aliases = [database] if database else connections
    # From the others files move: their names may be of the old place.
    wanted = {alias: [field for field in file_fields(alias) if legacy_of(field) is None] for alias in aliases}
    # A database is mentioned only where a router, or a storage, names it for files, or the user asks for it.
    named = {write_alias_of(field, router.db_for_write(field.model)) for field in file_fields()}
    return {alias: fields for alias, fields in wanted.items() if alias in {database, *named}}


def _columns(fields: "list[Field]", alias: str, *, required: bool) -> list[NameColumn]:
    """Return the fields' columns, after a check that all exists that adoption needs."""
    if connections[alias].vendor != "postgresql" or not has_catalogue(alias):
        message = f"the database {alias!r} has no catalogue: run 'manage.py migrate --database {alias}' first"
        raise CommandError(message)
    columns = name_columns.name_columns(fields, alias)
    found = {(column.table, column.column) for column in columns}
    lacking = [str(field) for field in fields if (field.model._meta.db_table, field.column) not in found]
    if required and lacking:
        message = f"the database {alias!r} has no column of {', '.join(lacking)}: run 'manage.py migrate' first"
        raise CommandError(message)
    return columns
