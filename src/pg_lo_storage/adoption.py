"""Adoption: entering into the catalogue what columns name already, so that adding the app makes no file disappear.

``migrate`` does it once for each column that holds names of files, after the migrations: the columns that were done
are remembered in the comment of the catalogue's table, which lives exactly as long as the entries do.
``manage.py largeobjects adopt`` does it on demand.

Names are read through a cursor of the server and entered in batches, so that neither side holds many. Size and digest
stay unknown: to know them every byte would have to be read.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self, TypeAlias, cast

from django.apps import apps
from django.db import connections, models, router, transaction

from pg_lo_storage.content_types import UNKNOWN, content_type_of
from pg_lo_storage.lifecycle.references import stored_fields, write_alias_of
from pg_lo_storage.models import StoredFile
from pg_lo_storage.names import extension_of, parse_name

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]

__all__ = [
    "Adopted",
    "NameColumn",
    "adopt",
    "adopt_after_migrate",
    "count_names",
    "file_fields",
    "has_catalogue",
    "name_columns",
    "unreadable",
]

BATCH: Final = 10_000
"""So many names are read and entered at a time."""

_MARK: Final = "Names of files were adopted from these columns: "

# What was adopted is called by its own name, and nobody knows its digest. Where names of one object differ in their
# extension it gets NULL, which is any: each of these files is to open. What storage.save() entered stays as it is.
_ADOPTED: Final = "f.size is null and f.sha256 is null and f.original_name = f.loid::text || coalesce(f.extension, '')"
_ENTER: Final = (
    "with named as (select oid, suffix, name, kind, object, case when oid is null then 'missing'"  # noqa: S608 -- of constants
    " when f.loid is null then 'adopted'"
    f" when f.extension is null or f.extension = suffix or {_ADOPTED} then 'present' else 'foreign' end as outcome"
    " from unnest(%s::int8[], %s::text[], %s::text[], %s::text[]) as given (object, suffix, name, kind)"
    " left join pg_largeobject_metadata on oid = object::oid"
    " left join pg_lo_storage_file as f on f.loid = oid),"
    " wanted as (select oid, count(*) = 1 as agreed, min(suffix) as suffix, min(name) as name, min(kind) as kind"
    " from named where outcome in ('adopted', 'present') group by oid),"
    " entered as (insert into pg_lo_storage_file as f (loid, extension, original_name, content_type)"
    " select oid, case when agreed then suffix end, name, case when agreed then kind else %s end from wanted"
    " on conflict (loid) do update set extension = null, content_type = %s"
    " where f.extension <> coalesce(excluded.extension, '/'))"
    " select object, name, outcome from named"
)


class NameColumn(NamedTuple):
    """A column that holds names of files: the database of its rows, table and column, as Django has them."""

    alias: str
    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass
class Adopted:
    """What became of the names in a column, counted by row; blank ones are not counted.

    ``adopted`` is entered now; ``present`` was catalogued before, or is named by several rows; ``missing`` has no large
    object; ``malformed`` is no stored file's name; ``foreign`` is catalogued under another extension, and stays so.
    """

    adopted: int = 0
    present: int = 0
    missing: int = 0
    malformed: int = 0
    foreign: int = 0

    @property
    def total(self) -> int:
        """How many names there were."""
        return self.adopted + self.present + self.missing + self.malformed + self.foreign

    def __iadd__(self, other: Self) -> Self:
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)
        return self

    def __str__(self) -> str:
        text = f"{self.adopted} adopted, {self.present} already there, {self.missing} without a large object"
        rarer = {"malformed": self.malformed, "catalogued under another extension": self.foreign}
        return text + "".join(f", {count} {what}" for what, count in rarer.items() if count)


class Output(Protocol):
    """What the handler writes to: a stream, or a command's ``stdout``."""

    def write(self, text: str, /) -> object:
        """Write a line, with its end."""
        ...


def file_fields(alias: str) -> "list[Field]":
    """Return the file fields of all models whose files are on ``alias``."""
    every = apps.get_models(include_auto_created=True, include_swapped=True)
    fields = {field for model in every for field in stored_fields(model)}
    return [field for field in fields if write_alias_of(field) == alias]


def name_columns(fields: "Iterable[Field]", alias: str) -> list[NameColumn]:
    """Return the columns of those fields that there are, of rows that name files on ``alias``.

    Rows may be in another database than their files: they are looked for in both.
    """
    wanted = {
        NameColumn(rows, field.model._meta.db_table, cast("str", field.column))
        for field in fields
        for rows in (alias, router.db_for_write(field.model))
    }
    return sorted(column for column in wanted if _is_there(column))


def has_catalogue(alias: str) -> bool:
    """Tell whether the database has the catalogue's table."""
    return bool(_ask(alias, "select to_regclass('pg_lo_storage_file') is not null"))


def unreadable(column: NameColumn) -> str | None:
    """Return why the role cannot read each of the column's rows, ``None`` where it can."""
    table = connections[column.alias].ops.quote_name(column.table)
    if not _ask(column.alias, "select has_column_privilege(%s::text, %s::text, 'select')", table, column.column):
        return "the role may not read it; grant it SELECT, or run 'largeobjects adopt' as the table's owner"
    if _ask(column.alias, "select row_security_active(%s::text)", table):
        return "row-level security may hide rows; run 'largeobjects adopt' as a role that is exempt from it"
    return None


def count_names(column: NameColumn) -> int:
    """Return how many names the column holds."""
    return cast("int", _ask(column.alias, _select("count(*)", column)))


def adopt(column: NameColumn, alias: str, progress: Callable[[int], object] = int) -> Adopted:
    """Catalogue on ``alias`` the objects that the column names, all or nothing.

    ``progress`` is called after each batch, with how many names it had.
    """
    outcome = Adopted()
    rows = connections[column.alias]
    # The cursor needs a transaction of its rows' database too, where that is another one.
    with transaction.atomic(using=alias), transaction.atomic(using=column.alias), rows.chunked_cursor() as cursor:
        cursor.execute(_select("name", column))
        while batch := cursor.fetchmany(BATCH):
            outcome += _enter(alias, (name for (name,) in batch))
            progress(len(batch))
    return outcome


def adopt_after_migrate(
    *, using: str, verbosity: int = 1, stdout: Output | None = None, plan: object = None, **_kwargs: object
) -> None:
    """Adopt, on the database that was migrated, from the columns of which that was not done yet."""
    # "flush" sends this signal too, without a plan: of empty tables.
    if plan is None or connections[using].vendor != "postgresql" or not has_catalogue(using):
        return

    def say(text: str) -> None:
        if verbosity:
            (stdout or sys.stdout).write(f"  {text}\n")

    done = done_columns(using)
    new = [column for column in name_columns(file_fields(using), using) if column not in done]
    if new and not _ask(
        using, "select pg_has_role(relowner, 'usage') from pg_class where oid = 'pg_lo_storage_file'::regclass"
    ):
        say("Files were not adopted: another role owns pg_lo_storage_file; as that one run 'migrate' again.")
        return
    for column in new:
        if reason := unreadable(column):
            say(f"Files were not adopted from {column}: {reason}.")
            continue
        with transaction.atomic(using=using):
            outcome = adopt(column, using)
            done.add(column)
            remember(using, done)
        if outcome.total:
            say(f"Stored files of {column}: {outcome}.")


def _select(what: str, column: NameColumn) -> str:
    quote = connections[column.alias].ops.quote_name
    name = f"{quote(column.column)}::text"
    return f"select {what} from (select {name} as name from {quote(column.table)} where {name} <> '') as names"  # noqa: S608 -- quoted


def _enter(alias: str, names: Iterable[str]) -> Adopted:
    outcome = Adopted()
    counts = Counter(names)
    loids = {name: loid for name in counts if (loid := parse_name(name)) is not None}
    outcome.malformed = sum(count for name, count in counts.items() if name not in loids)
    suffixes = [extension_of(name) for name in loids]
    kinds = [content_type_of(suffix) for suffix in suffixes]
    entered: set[int] = set()
    with connections[alias].cursor() as cursor:
        cursor.execute(_ENTER, [list(loids.values()), suffixes, list(loids), kinds, UNKNOWN, UNKNOWN])
        for loid, name, told in cast("list[tuple[int, str, str]]", cursor.fetchall()):
            again = "present" if told == "adopted" else told
            setattr(outcome, again, getattr(outcome, again) + counts[name])
            if told == "adopted":
                entered.add(loid)
    outcome.adopted = len(entered)
    outcome.present -= len(entered)
    return outcome


def _is_there(column: NameColumn) -> bool:
    connection = connections[column.alias]
    query = (
        "select exists (select from pg_catalog.pg_attribute"
        " where attrelid = to_regclass(%s::text) and attname = %s::text and attnum > 0 and not attisdropped)"
    )
    table = connection.ops.quote_name(column.table)
    return connection.vendor == "postgresql" and bool(_ask(column.alias, query, table, column.column))


def done_columns(alias: str) -> set[NameColumn]:
    """Return the columns of which 'migrate' has entered the files into the database's catalogue."""
    comment = _ask(alias, "select obj_description('pg_lo_storage_file'::regclass, 'pg_class')")
    if not isinstance(comment, str) or not comment.startswith(_MARK):
        return set()
    columns: list[list[str]] = json.loads(comment.removeprefix(_MARK))
    # The database itself has no name in its own notes: an alias may be renamed.
    return {NameColumn(rows or alias, table, column) for rows, table, column in columns}


def remember(alias: str, done: set[NameColumn]) -> None:
    """Note the columns in the database, so that 'migrate' leaves them alone."""
    columns = sorted(("" if column.alias == alias else column.alias, column.table, column.column) for column in done)
    # The editor would take a per cent sign for a parameter.
    comment = _MARK + json.dumps(columns).replace("%", "\\u0025")
    with connections[alias].schema_editor() as editor:
        editor.alter_db_table_comment(StoredFile, "", comment)


def _ask(alias: str, query: str, *params: str) -> object:
    with connections[alias].cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()[0][0]
