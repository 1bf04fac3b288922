"""``manage.py largeobjects move``: files come in from another storage or a column, or go out to one."""

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.core.files.storage import InvalidStorageError, Storage, storages
from django.core.management.base import CommandError, CommandParser
from django.db import models, reset_queries, router
from typing_extensions import override

from pg_lo_storage.databases import LargeObjectStorage
from pg_lo_storage.databases.file_fields import legacy_of
from pg_lo_storage.databases.references import referring_field, referring_paths
from pg_lo_storage.maintenance.move_columns import BinaryColumn, BinaryMove
from pg_lo_storage.maintenance.move_places import Elsewhere, LargeObjects, Place
from pg_lo_storage.maintenance.moves import FileMove, Step
from pg_lo_storage.management.arguments import add_where, field_of, where_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.names import MAX_OID

if TYPE_CHECKING:
    from pg_lo_storage.management.arguments import Field

__all__ = ["Move"]


class Move(Subcommand):
    """Moves the files of a field to large objects, from them, or between two other storages."""

    help = "Move a field's files in from another storage or a BinaryField, or out to one."
    by_database: ClassVar[str | None] = "The database of the rows. Default: the one that routers write the model to."
    changes: ClassVar[bool] = True

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "label",
            metavar="APP.MODEL.FIELD",
            help="The field that names the files, or a column of text that PG_LO_STORAGE_REFERENCES lists.",
        )
        parser.add_argument(
            "--from",
            dest="source",
            metavar="STORAGE",
            help="The storage, of STORAGES, where they are. Default: large objects; with --to missing, too, that which"
            " the field's TransitionalStorage reads them from.",
        )
        parser.add_argument("--from-binary", metavar="FIELD", help="The BinaryField of the model where they are.")
        parser.add_argument("--name", metavar="FIELD", help="With --from-binary: the model's field with their names.")
        parser.add_argument(
            "--to", dest="target", metavar="STORAGE", help="The storage where they go. Default: large objects."
        )
        add_where(parser)
        parser.add_argument(
            "--delete-source",
            action="store_true",
            help="Delete each file at its old place, once it is moved and no row names it there.",
        )

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        move = _move_of(options)
        if not _reads(move.field, move.target):
            console.warn(_UNREAD.format(move.field))
        label, counts = f"{move.model._meta.label}.{move.field.name}", Counter[str]()
        size = 0
        with console.progress(label, move.count(), "rows") as progress:
            for step in move.run() if options["yes"] else move.examine():
                counts[step.outcome] += len(step.rows)
                counts[f"{step.outcome} files"] += 1
                size += step.size
                _tell(step, console)
                progress.advance(len(step.rows))
                reset_queries()  # which DEBUG keeps
        said = f"{counts['moved files']} files of {counts['moved']} rows, {size} bytes,"
        console.say(
            f"{label}: {said} {'moved' if options['yes'] else 'would be moved; nothing was changed, see --yes'}"
        )
        for outcome, words in _WORDS.items():
            if counts[outcome]:
                console.say(f"{label}: {counts[outcome]} rows {words}")
        return int(any(counts[outcome] for outcome in ("missing", "failed", "ambiguous")))


_WORDS = {
    "there": "have files at the new place already",
    "missing": "name files that are not there, and were left as they are",
    "failed": "were left as they are, since their files could not be moved",
    "ambiguous": "have a name that stands for a file at each place",
}


_UNREAD = (
    "{}: its storage does not read the files where they go, so that the site will not find them: give the field"
    " storage=TransitionalStorage(legacy=...) first, with the other storage"
)


def _reads(field: "Field", target: Place) -> bool:
    """Tell whether the field finds files at the place, as far as its storages tell where they keep them."""
    if not isinstance(field, models.FileField):
        return True  # another field reads them
    storage: object = field.storage
    if isinstance(target, LargeObjects):
        return isinstance(storage, LargeObjectStorage)
    other = cast("Elsewhere", target).storage
    return _is_same(storage, other) or _is_same(legacy_of(field), other)


def _is_same(storage: object, other: Storage) -> bool:
    """Tell whether two storages are one place: two disks, or two buckets, are of one class."""
    where = ("location", "bucket_name")
    return isinstance(storage, type(other)) and all(
        getattr(storage, name, None) == getattr(other, name, None) for name in where
    )


def _tell(step: Step, console: Console) -> None:
    if step.outcome != "there":
        console.record(step._asdict())
    if step.detail and step.outcome != "there":
        rows = ", ".join(map(str, step.rows[:5])) + (", ..." if len(step.rows) > 5 else "")
        console.warn(f"row {rows}: {step.name!r}: {step.outcome}: {step.detail}")


def _move_of(options: dict[str, Any]) -> FileMove:
    """Return the move that the options ask for.

    :raises CommandError: they ask for none.
    """
    found = field_of(options["label"], "move")
    model = _model_of(options["label"], found)
    using: str = options["database"] or router.db_for_write(model)
    _require_names(found)
    if options["from_binary"]:
        if options["source"]:
            message = "--from and --from-binary are two places"
            raise CommandError(message)
        return _from_binary(found, model, using, options)
    if options["name"]:
        message = "--name is for --from-binary"
        raise CommandError(message)
    old: Storage | None = legacy_of(found)
    source = _storage_of(options["source"], "--from")
    target = _storage_of(options["target"], "--to")
    if source is None and target is None:
        source = old
    if (other := source or target) is None:
        message = "say from where, with --from or --from-binary, or to where, with --to"
        raise CommandError(message)
    ends = [_place(each, other, found, using) for each in (source, target)]
    _require_room(found, ends[1])
    where = where_of(options["where"])
    return FileMove(model, found, using, ends[0], ends[1], where, options["delete_source"])


def _require_names(field: "Field") -> None:
    is_text = isinstance(field, models.CharField | models.TextField)
    is_listed = is_text and field in map(referring_field, referring_paths())
    if not (isinstance(field, models.FileField) or is_listed):
        message = (
            "move takes a file field, or a column of text that PG_LO_STORAGE_REFERENCES lists, as a history's, and"
            f" {field} is a {type(field).__name__}"
        )
        raise CommandError(message)


def _from_binary(field: "Field", model: type[models.Model], using: str, options: dict[str, Any]) -> BinaryMove:
    label = f"{model._meta.label}."
    content = field_of(label + options["from_binary"], "--from-binary")
    filename = field_of(label + options["name"], "--name") if options["name"] else None
    if not isinstance(content, models.BinaryField):
        message = f"--from-binary takes a BinaryField, and {content} is a {type(content).__name__}"
        raise CommandError(message)
    target = _storage_of(options["target"], "--to")
    place = _place(target, target or storages.create_storage({"BACKEND": _NOWHERE}), field, using)
    _require_room(field, place)
    column = BinaryColumn(content, filename, using)
    return BinaryMove(model, field, using, column, place, where_of(options["where"]), options["delete_source"])


_NOWHERE = "django.core.files.storage.InMemoryStorage"
"""A storage without files, for a place from which none come."""


def _place(storage: Storage | None, other: Storage, field: "Field", using: str) -> Place:
    if storage is not None:
        return Elsewhere(storage)
    legacy: Storage | None = legacy_of(field)
    return LargeObjects(getattr(field, "storage", None), using, legacy or other)


def _model_of(label: str, field: "Field") -> type[models.Model]:
    from django.apps import apps

    app, model, _ = label.split(".")
    return apps.get_model(app, model) or field.model


def _storage_of(alias: str | None, option: str) -> Storage | None:
    """Return another storage than one of large objects; ``None`` for these."""
    if alias is None:
        return None
    try:
        storage = storages[alias]
    except InvalidStorageError as error:
        message = (
            f"{option} takes an alias of STORAGES, and {alias!r} is none: there are {', '.join(storages.backends)}"
        )
        raise CommandError(message) from error
    if isinstance(storage, LargeObjectStorage):
        message = f"{option} {alias}: the files of this storage are large objects, which {option} missing stands for"
        raise CommandError(message)
    return storage


def _require_room(field: "Field", target: Place) -> None:
    length: int | None = vars(field)["max_length"]
    if isinstance(target, LargeObjects) and length is not None and length < len(str(MAX_OID)):
        message = (
            f"{field}: max_length={length} cannot hold the name of every large object: make it"
            f" {len(str(MAX_OID))} or, better, 100, and migrate"
        )
        raise CommandError(message)
