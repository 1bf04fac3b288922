"""``manage.py largeobjects``: what is done to stored files from outside."""

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import connections, models, transaction
from typing_extensions import override

from pg_lo_storage import adoption
from pg_lo_storage.adoption import Adopted, NameColumn
from pg_lo_storage.databases import db_for_write
from pg_lo_storage.lifecycle.references import write_alias_of

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]

_WIDTH: Final = 30


class Bar:
    """A progress bar on a terminal, and nothing elsewhere."""

    def __init__(self, stream: OutputWrapper, label: str, total: int) -> None:
        self._stream = stream
        self._label = label
        self._total = total
        self._done = 0

    def advance(self, count: int) -> None:
        """Show that so many more are done."""
        self._done += count
        # Rows may have come since they were counted.
        share = min(self._done / self._total, 1) if self._total else 1
        self._show(f"{self._label} [{'#' * int(share * _WIDTH):{_WIDTH}}] {share:4.0%}")

    def end(self) -> None:
        """Remove the bar."""
        if self._done:
            self._show(" " * (len(self._label) + _WIDTH + 8))
            self._show("")

    def _show(self, text: str) -> None:
        if self._stream.isatty():
            self._stream.write(f"\r{text}", str, "")
            self._stream.flush()


class Command(BaseCommand):
    """The family of commands on stored files; each subcommand is a method of its name."""

    help = "Looks after stored files, which are PostgreSQL large objects."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        subcommands = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True)
        adopt = subcommands.add_parser("adopt", help="Catalogue the files that rows name, and the catalogue lacks.")
        adopt.add_argument(
            "--database", choices=tuple(connections), help="The database of the files. Default: each that has some."
        )
        adopt.add_argument(
            "--model",
            nargs="+",
            action="extend",
            default=[],
            metavar="APP.MODEL.FIELD",
            dest="fields",
            help="Where the names are, in fields of any type. Default: in all file fields on large objects.",
        )
        adopt.add_argument("--dry-run", action="store_true", help="Say what would be done, and change nothing.")

    @override
    def handle(self, *args: object, **options: Any) -> None:
        {"adopt": self.adopt}[options["subcommand"]](options)

    def adopt(self, options: dict[str, Any]) -> None:
        """Enter into the catalogue what fields name."""
        failed: list[str] = []
        for alias, fields in _wanted(options["fields"], options["database"]).items():
            failed += self._adopt_on(alias, _columns(fields, alias, required=bool(options["fields"])), options)
        if failed:
            raise CommandError("\n".join(failed))

    def _adopt_on(self, alias: str, columns: list[NameColumn], options: dict[str, Any]) -> list[str]:
        """Adopt from the columns; return what could not be done."""
        total, failed, dry_run = Adopted(), list[str](), bool(options["dry_run"])
        with transaction.atomic(using=alias) if dry_run else nullcontext():
            for column in columns:
                if reason := adoption.unreadable(column):
                    failed.append(f"{alias}: nothing was adopted from {column}: {reason}")
                    continue
                with self._bar(str(column), column) as bar:
                    outcome = adoption.adopt(column, alias, bar.advance)
                total += outcome
                self._say(f"{alias}: {column}: {outcome}", options)
            if dry_run:
                transaction.set_rollback(True, using=alias)
        self._say(f"{alias}: {total}{' (a dry run: nothing was changed)' if dry_run else ''}", options)
        return failed

    @contextmanager
    def _bar(self, label: str, column: NameColumn) -> Generator[Bar]:
        # Who sees no bar need not wait for the rows to be counted.
        bar = Bar(self.stderr, label, adoption.count_names(column) if self.stderr.isatty() else 0)
        try:
            yield bar
        finally:
            bar.end()

    def _say(self, text: str, options: dict[str, Any]) -> None:
        if options["verbosity"]:
            self.stdout.write(text)


def _wanted(labels: list[str], database: str | None) -> "dict[str, list[Field]]":
    """Return the fields to read names from, by the database that the files are on."""
    wanted: dict[str, list[Field]] = {}
    for field in map(_field, labels):
        own = write_alias_of(field) if isinstance(field, models.FileField) else None
        wanted.setdefault(database or own or db_for_write(), []).append(field)
    if not labels:
        wanted = {alias: adoption.file_fields(alias) for alias in ([database] if database else connections)}
        # Without a database asked for, those that have no files are not worth a word.
        wanted = {alias: fields for alias, fields in wanted.items() if fields or database}
    return wanted


def _field(label: str) -> "Field":
    """Return the field of that label."""
    app, _, rest = label.partition(".")
    model_name, _, name = rest.partition(".")
    try:
        model = apps.get_model(app, model_name)
    except (LookupError, ValueError) as error:
        message = f"--model takes app.Model.field, and {label!r} is none: {error}"
        raise CommandError(message) from error
    columns: dict[str, Field] = {field.name: field for field in model._meta.concrete_fields}
    if name not in columns:
        message = f"--model takes app.Model.field, and {label!r} is none: the fields are {', '.join(columns)}"
        raise CommandError(message)
    return columns[name]


def _columns(fields: "list[Field]", alias: str, *, required: bool) -> list[NameColumn]:
    """Return the fields' columns, once all is there that adoption needs."""
    if connections[alias].vendor != "postgresql" or not adoption.has_catalogue(alias):
        message = f"the database {alias!r} has no catalogue: run 'manage.py migrate --database {alias}' first"
        raise CommandError(message)
    columns = adoption.name_columns(fields, alias)
    found = {(column.table, column.column) for column in columns}
    lacking = [str(field) for field in fields if (field.model._meta.db_table, field.column) not in found]
    if required and lacking:
        message = f"the database {alias!r} has no column of {', '.join(lacking)}: run 'manage.py migrate' first"
        raise CommandError(message)
    return columns
