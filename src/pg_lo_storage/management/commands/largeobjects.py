"""``manage.py largeobjects``: the maintenance of stored files."""

from argparse import SUPPRESS
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import connections, models, router
from typing_extensions import override

from pg_lo_storage.databases import db_for_write
from pg_lo_storage.databases.columns import has_catalogue
from pg_lo_storage.databases.file_fields import file_fields, write_alias_of
from pg_lo_storage.lifecycle import adoption, name_columns, schemas
from pg_lo_storage.lifecycle.name_columns import NameColumn
from pg_lo_storage.lifecycle.verdicts import Adopted, Verdict
from pg_lo_storage.management.transferring import add_transfer_arguments, transfer
from pg_lo_storage.storage import db_file_storage

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
        self._shown = ""

    def advance(self, count: int) -> None:
        """Show that ``count`` more are done."""
        self._done += count
        # Rows may have been inserted since they were counted.
        share = min(self._done / self._total, 1) if self._total else 1
        text = f"{self._label} [{'#' * int(share * _WIDTH):{_WIDTH}}] {share:4.0%}"
        if text != self._shown:
            self._show(text)
            self._shown = text

    def end(self) -> None:
        """Remove the bar."""
        if self._done:
            self._show(" " * (len(self._label) + _WIDTH + 8))
            self._show("")

    def _show(self, text: str) -> None:
        if self._stream.isatty():
            self._stream.write(f"\r{text}", str, "")
            self._stream.flush()


class _CommonOptions(BaseCommand):
    """Makes a parser of the options that every command has; it keeps the values given before the subcommand."""

    @override
    def add_base_argument(self, parser: CommandParser, *args: Any, **kwargs: Any) -> None:
        # This default goes before the parser's own.
        super().add_base_argument(parser, *args, **kwargs | {"default": SUPPRESS})


class Command(BaseCommand):
    """The family of commands on stored files; each subcommand is a method of its name."""

    help = "Looks after stored files, which are PostgreSQL large objects."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        subcommands = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True)
        # Django's own options are understood before the subcommand and after it.
        common = _CommonOptions().create_parser("", "", add_help=False, argument_default=SUPPRESS)
        adopt = subcommands.add_parser(
            "adopt", help="Catalogue the files that rows name, and the catalogue lacks.", parents=[common]
        )
        adopt.add_argument(
            "--database",
            choices=tuple(connections),
            help="The database of the files. Default: each that a storage, a setting or a router has for files.",
        )
        adopt.add_argument(
            "--model",
            nargs="+",
            action="extend",
            default=[],
            metavar="APP.MODEL.FIELD",
            help="Where the names are, in fields of any type. Default: in all file fields on large objects.",
        )
        adopt.add_argument(
            "--any-owner", action="store_true", help="Take large objects of other roles too, not only the role's own."
        )
        adopt.add_argument("--show", action="store_true", help="Say of each name whether it is taken, and why not.")
        adopt.add_argument("--dry-run", action="store_true", help="Say what would be done, and change nothing.")
        moving = subcommands.add_parser(
            "transfer", help="Move rows and their files to another database.", parents=[common]
        )
        add_transfer_arguments(moving)
        for name, help_text in (
            ("detach", "Give a schema copies of its own of the files that it shares with others, as a clone does."),
            ("empty", "Unlink the files of a schema that is to be dropped, but those that others have, too."),
        ):
            of_schema = subcommands.add_parser(
                name,
                help=help_text,
                parents=[common],
            )
            of_schema.add_argument("name", metavar="SCHEMA", help="The schema, as the database spells it.")
            of_schema.add_argument("--database", choices=tuple(connections), help="Default: that of the settings.")
            of_schema.add_argument("--dry-run", action="store_true", help="Say how many there are, and change nothing.")
            if name == "empty":
                of_schema.add_argument("--no-input", action="store_true", help="Do not ask first.")

    @override
    def handle(self, *args: object, **options: Any) -> None:
        subcommands = {
            "adopt": self.adopt,
            "detach": self.detach,
            "empty": self.empty,
            "transfer": self.transfer,
        }
        subcommands[options["subcommand"]](options)

    def detach(self, options: dict[str, Any]) -> None:
        """Give a schema copies of what it shares with others."""
        schema = self._schema(options)
        self._in_batches(options, schema.shared(), schemas.detach(schema), "shared with others", "copied")

    def empty(self, options: dict[str, Any]) -> None:
        """Unlink the files of a schema."""
        schema = self._schema(options)
        files = schema.files()
        if not (options["no_input"] or options["dry_run"]):
            self.stdout.write(f"{len(files)} files of the schema {options['name']!r} will be gone for ever.")
            if input("Type the schema's name to go on: ") != options["name"]:
                message = "nothing was changed"
                raise CommandError(message)
        self._in_batches(options, files, schemas.empty(schema), "of the schema", "unlinked")
        if not options["dry_run"] and (stay := schema.files()):
            self.stderr.write(
                f"{options['name']}: {len(stay)} files stay in its catalogue, since rows of other schemas name them,"
                " and no other catalogue has them: see docs/tenants.md"
            )

    def _schema(self, options: dict[str, Any]) -> schemas.Schema:
        try:
            return schemas.open_schema(options["database"] or db_for_write(), options["name"])
        except schemas.SchemaError as error:
            raise CommandError(str(error)) from error

    def _in_batches(
        self, options: dict[str, Any], files: list[int], batches: Generator[int], what: str, done: str
    ) -> None:
        self._say(f"{options['name']}: {len(files)} files {what}", options)
        if options["dry_run"]:
            return
        bar = Bar(self.stderr, options["name"], len(files))
        total = 0
        try:
            for count in batches:
                total += count
                bar.advance(count)
        finally:
            bar.end()
        self._say(f"{options['name']}: {total} {done}", options)

    def transfer(self, options: dict[str, Any]) -> None:
        """Move rows and their files to another database."""
        transfer(options, lambda text: self._say(text, options))

    def adopt(self, options: dict[str, Any]) -> None:
        """Enter the files that fields name into the catalogue."""
        failed: list[str] = []
        for alias, fields in _wanted(options["model"], options["database"]).items():
            failed += self._adopt_on(alias, _columns(fields, alias, required=bool(options["model"])), options)
        if failed:
            raise CommandError("\n".join(failed))

    def _adopt_on(self, alias: str, columns: list[NameColumn], options: dict[str, Any]) -> list[str]:
        """Adopt the files that the columns name; return what could not be done."""
        dry_run = bool(options["dry_run"])
        problems = {column: problem for column in columns if (problem := name_columns.unreadable(column))}
        columns = [column for column in columns if column not in problems]
        beside = adoption.readable_file_columns(alias)
        verdicts = adoption.adopt(columns, alias, beside=beside, any_owner=options["any_owner"], dry_run=dry_run)
        with closing(verdicts):
            outcomes = adoption.count(columns, self._shown(alias, columns, verdicts, options))
        total = Adopted()
        for column, outcome in outcomes.items():
            total += outcome
            self._say(f"{alias}: {column}: {outcome}", options)
        self._say(f"{alias}: {total}{' (a dry run: nothing was changed)' if dry_run else ''}", options)
        # The user has decided on these columns: 'migrate' leaves them alone.
        if not dry_run and name_columns.may_settle(alias):
            name_columns.settle(alias, name_columns.settled_columns(alias).union(set(columns).intersection(beside)))
        return [f"{alias}: nothing was adopted from {column}: {problem}" for column, problem in problems.items()]

    def _shown(
        self, alias: str, columns: list[NameColumn], verdicts: Iterable[Verdict], options: dict[str, Any]
    ) -> Generator[Verdict]:
        """Pass the verdicts on; show each of them where ``--show`` asks for it, else, on a terminal, a progress bar."""
        # Rows are counted only for the bar.
        is_seen = self.stderr.isatty() and not options["show"]
        bar = Bar(self.stderr, alias, sum(map(name_columns.count_names, columns)) if is_seen else 0)
        try:
            for verdict in verdicts:
                if options["show"]:
                    self.stdout.write(f"{alias}: {verdict}")
                elif is_seen:
                    bar.advance(verdict.rows)
                yield verdict
        finally:
            bar.end()

    def _say(self, text: str, options: dict[str, Any]) -> None:
        if options["verbosity"]:
            self.stdout.write(text)


def _wanted(labels: list[str], database: str | None) -> "dict[str, list[Field]]":
    """Return the fields to read names from, by the database of the files."""
    wanted: dict[str, list[Field]] = {}
    follows = db_file_storage.follows_rows
    for field in map(_field, labels):
        rows: str = router.db_for_write(field.model)
        own = write_alias_of(field, rows) if isinstance(field, models.FileField) else None
        wanted.setdefault(database or own or (rows if follows else db_for_write()), []).append(field)
    if labels:
        return wanted
    aliases = [database] if database else connections
    wanted = {alias: [*file_fields(alias)] for alias in aliases}
    # A database is mentioned only where a router, or a storage, names it for files, or the user asks for it.
    named = {write_alias_of(field, router.db_for_write(field.model)) for field in file_fields()}
    return {alias: fields for alias, fields in wanted.items() if alias in {database, *named}}


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
