"""``manage.py largeobjects erase``: rows go with their files, and a receipt says what went."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import Error, models, reset_queries, router
from typing_extensions import override

from pg_lo_storage.databases.file_fields import concrete, rows_of
from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.maintenance.erasing import CannotErase, Erasure, Step, committed, settle
from pg_lo_storage.maintenance.owners import owned_by, user_named
from pg_lo_storage.maintenance.receipts import BadReceipt, Receipt, read
from pg_lo_storage.management.arguments import add_where, databases_of, model_of, where_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.texts import count_of, size_of

if TYPE_CHECKING:
    Rows: TypeAlias = models.QuerySet[models.Model]

__all__ = ["Erase"]

_ERRORS: Final = (BadReceipt, CannotErase, Error, LargeObjectError, FieldError, ValidationError, ValueError, OSError)
_REMAINS: Final = (
    "what was erased stays in dead rows until VACUUM, in the log and its archive, in backups and dumps: see"
    " docs/erasure.md for what removes it there"
)


class Erase(Subcommand):
    """Erases rows with their files."""

    help: ClassVar[str] = "Delete rows with their files, and keep a signed receipt; exit with 1 where a file was left."
    by_database: ClassVar[str | None] = (
        "Default: that of the model's rows; with --owner each that a storage, a setting or a router has for files."
    )
    changes: ClassVar[bool] = True

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("label", nargs="?", metavar="APP.MODEL", help="The rows that go, with --where.")
        add_where(parser, "Needed with APP.MODEL.")
        parser.add_argument(
            "--rows", nargs="+", metavar=("APP.MODEL", "FIELD=VALUE"), help="The same as APP.MODEL and --where in one."
        )
        parser.add_argument(
            "--owner", metavar="USER", help="Each row with files that refers to this user, by name, and to no other."
        )
        parser.add_argument("--receipt", type=Path, metavar="FILE", help="Write what was erased into a file.")
        parser.add_argument("--verify", type=Path, metavar="FILE", help="Only say whether a receipt is as written.")

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        if options["rows"]:
            label, *where = options["rows"]
            options = options | {"where": [*where, *options["where"]], "label": _only(label, options["label"])}
        try:
            return _verify(options["verify"], console) if options["verify"] else _erase(options, console)
        except _ERRORS as error:
            text = " ".join(str(error).split())
            raise CommandError(text) from error


def _only(label: str, other: str | None) -> str:
    if other:
        message = f"erase takes one model: {label} of --rows, or {other}"
        raise CommandError(message)
    return label


class _Tally:
    """What there is by now, of all rows and databases."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.files = 0
        self.bytes = 0
        self.left: set[tuple[str, str]] = set()
        self.unsure = 0

    def add(self, step: Step) -> None:
        self.rows += step.rows
        for file in step.files:
            if file.state == "erased":
                self.files += 1
                self.bytes += file.size or 0
                self.left.discard((file.database, file.name))
            elif file.state != "missing":
                self.left.add((file.database, file.name))

    def as_record(self) -> dict[str, object]:
        return {"rows": self.rows, "files": self.files, "bytes": self.bytes, "left": len(self.left)}

    def __str__(self) -> str:
        rows = ", ".join(f"{count:,} of {label}" for label, count in sorted(self.rows.items())) or "no rows"
        return f"{rows}; {count_of(self.files)} of {size_of(self.bytes)}"


def _erase(options: dict[str, Any], console: Console) -> int:
    tally, yes = _Tally(), options["yes"]
    chosen = list(_chosen(options, console, tally))
    with ExitStack() as stack:
        receipt = None
        if yes and options["receipt"]:
            query = {name: options[name] for name in ("label", "where", "owner", "database")}
            receipt = stack.enter_context(Receipt(options["receipt"], {"query": query}))
            if receipt.is_resumed:
                settle(receipt)
                for step in committed(read(receipt.path)):
                    tally.add(step)
                console.say(f"{receipt.path}: {tally} were erased before")
        for alias, rows in chosen:
            erasure = Erasure(alias, rows, receipt)
            with console.progress(f"{alias}: {rows.model._meta.label}", erasure.count(), "rows") as progress:
                for step in erasure.run() if yes else erasure.examine():
                    _show(step, console, tally)
                    progress.advance(step.rows[rows.model._meta.label])
                    reset_queries()  # which DEBUG keeps
        if receipt is not None:
            receipt.write("end", left=len(tally.left))
    console.record({**tally.as_record(), "done": yes})
    console.say(f"{tally} {'erased' if yes else 'would be erased, with --yes'}")
    if tally.left:
        console.say(f"{count_of(len(tally.left))} {'left' if yes else 'would be left'}, as said above")
    if yes and tally.files:
        console.say(_REMAINS)
    return int(bool(tally.left) or bool(tally.unsure))


def _chosen(options: dict[str, Any], console: Console, tally: _Tally) -> "Iterator[tuple[str, Rows]]":
    label, where, owner = options["label"], where_of(options["where"]), options["owner"]
    if (owner is None) == (label is None) or bool(where) != bool(label):
        message = "erase takes APP.MODEL with --where, or --owner USER (and for all rows --where pk__isnull=false)"
        raise CommandError(message)
    if label:
        model = concrete(model_of(label, "erase"))
        [alias] = databases_of({"database": options["database"] or router.db_for_write(model)})
        yield alias, rows_of(model, alias).filter(**where)
        return
    users = {alias: user_named(alias, owner) for alias in databases_of(options)}
    if not any(users.values()):
        message = f"there is no user {owner!r} on {', '.join(users)}"
        raise CommandError(message)
    for alias, user in users.items():
        for rows, unsure in owned_by(alias, user) if user else ():
            if unsure:
                tally.unsure += 1
                label = rows.model._meta.label
                console.warn(f"{alias}: {rows.count():,} of {label} left: {unsure}; erase {label} --where says which")
            else:
                yield alias, rows


def _show(step: Step, console: Console, tally: _Tally) -> None:
    tally.add(step)
    for field, count in step.updated.items():
        console.say(f"{step.database}: {count:,} rows refer to nothing any more by {field}")
    for file in step.files:
        console.record(file.as_record())
        if file.state != "erased":
            rows = ", ".join(f"{table} {key} {column}" for table, column, key in file.rows)
            console.say(f"{step.database}: {file.name} of {rows}: {file.state}, {file.why}")
        elif console.verbosity > 1:
            console.say(f"{step.database}: {file.name} {file.original_name or ''} {size_of(file.size)}")


def _verify(path: Path, console: Console) -> int:
    tally, kinds = _Tally(), [""]

    def records() -> Iterator[dict[str, Any]]:
        for record in read(path):
            kinds[0] = record["kind"]
            console.record(record)
            yield record

    for step in committed(records()):
        tally.add(step)
    console.say(f"{path}: each line is as this site wrote it")
    console.say(f"{tally} erased, {count_of(len(tally.left))} left")
    has_ended = kinds == ["end"]
    if not has_ended:
        console.warn(f"{path}: it has no end: run the same erase with this receipt again, which finishes it")
    return int(not has_ended)
