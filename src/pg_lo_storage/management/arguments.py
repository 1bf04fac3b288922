"""Arguments that several subcommands take: models, fields, and conditions on rows."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django.apps import apps
from django.core.management.base import CommandError, CommandParser
from django.db import connections, models

from pg_lo_storage.databases.file_fields import databases_with_files

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]

__all__ = [
    "add_dry_run",
    "add_needless_yes",
    "add_where",
    "age_of",
    "databases_of",
    "field_of",
    "model_of",
    "rate_of",
    "share_of",
    "where_of",
]

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_BYTES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def age_of(text: str) -> timedelta:
    """Return the time that ``7d`` is, or ``12h``, ``30m``, ``45s``, ``2w``.

    :raises ArgumentTypeError: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    if match is None and text != "0":
        raise ArgumentTypeError(f"{text!r} is no time such as 7d, 12h, 30m or 0")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]] if match else 0)


def rate_of(text: str) -> float:
    """Return the bytes a second that ``20MB/s`` is, or ``500kB/s``.

    :raises ArgumentTypeError: it is none.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kmg]?)b?(?:/s)?", text.lower())
    if match is None or not float(match[1]):
        raise ArgumentTypeError(f"{text!r} is no rate such as 20MB/s or 500kB/s")
    return float(match[1]) * _BYTES[match[2]]


def share_of(text: str) -> float:
    """Return the share that ``5%`` is.

    :raises ArgumentTypeError: it is none.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", text)
    if match is None or not 0 < float(match[1]) <= 100:
        raise ArgumentTypeError(f"{text!r} is no share such as 5%")
    return float(match[1]) / 100


def databases_of(options: dict[str, Any]) -> list[str]:
    """Return the database of ``--database``; else each that a storage, a setting or a router has for files.

    :raises CommandError: it is not PostgreSQL.
    """
    given: str | None = options["database"]
    found = [given] if given else databases_with_files()
    for alias in found:
        if connections[alias].vendor != "postgresql":
            message = f"the database {alias!r} is {connections[alias].display_name}, and large objects need PostgreSQL"
            raise CommandError(message)
    return found


def model_of(label: str, option: str) -> type[models.Model]:
    """Return the model of ``app.Model``.

    :raises CommandError: there is none, as the message says of ``option``.
    """
    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        message = f"{option} takes app.Model, and {label!r} is none: {error}"
        raise CommandError(message) from error


def field_of(label: str, option: str) -> "Field":
    """Return the field of ``app.Model.field``.

    :raises CommandError: there is none, as the message says of ``option``.
    """
    app, _, rest = label.partition(".")
    model_name, _, name = rest.partition(".")
    try:
        model = apps.get_model(app, model_name)
    except (LookupError, ValueError) as error:
        message = f"{option} takes app.Model.field, and {label!r} is none: {error}"
        raise CommandError(message) from error
    columns: dict[str, Field] = {field.name: field for field in model._meta.concrete_fields}
    if name not in columns:
        message = f"{option} takes app.Model.field, and {label!r} is none: the fields are {', '.join(columns)}"
        raise CommandError(message)
    return columns[name]


def add_dry_run(parser: CommandParser) -> None:
    """Add ``--dry-run``."""
    parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and change nothing.")


def add_needless_yes(parser: CommandParser) -> None:
    """Add ``--yes`` to what does at once what it is told, and gives nothing up: other subcommands need it."""
    parser.add_argument("--yes", action="store_true", help="Is understood, and not needed: no file is given up.")


def add_where(parser: CommandParser, otherwise: str = "Default: all.") -> None:
    """Add ``--where``, which says of which rows; its help tells what is so ``otherwise``."""
    parser.add_argument(
        "--where",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=VALUE",
        help=f"Which rows, as filter() takes it; __in and __range take several values with commas. {otherwise}",
    )


def where_of(conditions: list[str]) -> dict[str, object]:
    """Return what ``filter()`` takes for ``--where``.

    :raises CommandError: one is no condition.
    """
    where: dict[str, object] = {}
    for condition in conditions:
        lookup, sign, value = condition.partition("=")
        if not (lookup and sign):
            message = f"--where takes field=value, and {condition!r} is none"
            raise CommandError(message)
        where[lookup] = _value(lookup, value)
    return where


def _value(lookup: str, value: str) -> object:
    match lookup.rpartition("__")[2]:
        case "isnull":
            return value.lower() in {"1", "t", "true", "yes"}
        case "in" | "range":
            return value.split(",")
        case _:
            return value
