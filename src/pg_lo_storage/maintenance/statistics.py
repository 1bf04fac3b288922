"""How many files there are, and how large, by one statement of SQL each: no query of these reads content.

With the catalogue, files are its entries whose objects are there. Without it they are all large objects of the
database that the role may read, another application's too; when they were made, and their type, is not known.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from django.conf import settings
from django.utils.translation import gettext as _

from pg_lo_storage import catalogue
from pg_lo_storage.databases.columns import ask, has_catalogue
from pg_lo_storage.databases.names_in_sql import oid_in
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.figures import FIGURES, FILES, FILES_AND_BYTES, OBJECTS, OBJECTS_AND_BYTES
from pg_lo_storage.maintenance.uses import naming_columns, usernames

__all__ = ["BY", "By", "Group", "NotCatalogued", "Totals", "groups", "is_catalogued", "orphans", "totals"]

By: TypeAlias = Literal["field", "owner", "month", "type", "role"]
BY: Final[tuple[By, ...]] = ("field", "owner", "month", "type", "role")
"""What files are grouped by."""

_FIGURES: Final = "count(*), coalesce(sum(f.size), 0)::int8"
_LARGEST_FIRST: Final = "group by 1 order by 3 desc, 2 desc, 1 limit %s::int8"
_KEYS: Final[dict[By, str]] = {
    "month": "to_char(timezone(%s::text, f.created_at), 'YYYY-MM')",
    "type": "f.content_type",
    "role": "pg_get_userbyid(f.lomowner)::text",
}


class NotCatalogued(Exception):
    """What is asked for only the catalogue tells, and the database has none."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The files of a database; sizes are in bytes.

    What is ``None`` only the catalogue tells.
    """

    database: str
    catalogued: bool
    files: int
    bytes: int
    """Without the files that :attr:`unmeasured` counts."""
    unmeasured: int
    """Files of unknown size: the catalogue has none, and the role may not read the object."""
    undigested: int | None
    """Files whose bytes cannot be verified, since no digest is known: adopted, or written in place."""
    oldest_undigested: datetime | None
    """The time of the oldest of these."""
    recent_files: int | None
    """Files of the last 30 days that are still there."""
    recent_bytes: int | None
    objects: int
    """All large objects of the database, also those of other applications."""
    disk_bytes: int
    """What ``pg_largeobject`` and its index take on disk: compressed, of all these objects, with the space that
    deleted ones left."""
    dead_share: float | None
    """The part of ``pg_largeobject``'s rows that are dead, 0 to 1, as the server estimates it; ``None`` where it has
    counted none yet."""


class Group(NamedTuple):
    """Files with something in common; ``bytes`` is without those of unknown size."""

    label: str
    files: int
    bytes: int


def totals(alias: str) -> Totals:
    """Return how many files the database has, and how large they are."""
    catalogued = is_catalogued(alias)
    [row] = ask(alias, FILES_AND_BYTES if catalogued else OBJECTS_AND_BYTES)
    figures = dict(zip(FIGURES, row, strict=True))
    if not catalogued:
        figures |= dict.fromkeys(("undigested", "oldest_undigested", "recent_files", "recent_bytes"))
    return Totals(alias, catalogued, **figures)


def orphans(alias: str) -> int | None:
    """Return how many catalogued files no row names, as ``check`` finds them: it compares all rows with the catalogue.

    ``None`` where that cannot be known: without the catalogue, or where rows may be missed.
    """
    check = Check(alias)
    if not check.has_catalogue or check.sources.unread:
        return None
    return sum(1 for _finding in check.findings("orphan"))


def groups(alias: str, by: By, limit: int | None = None) -> list[Group]:
    """Return the files by what they have in common: months in their order, others by their bytes, the most first.

    A file is counted for each field, or owner, whose rows name it. With ``limit``, only so many groups: the last
    months, or the largest. An owner is the one user that a row refers to.

    :raises NotCatalogued: the database has no catalogue, and only that knows.
    """
    if by in {"month", "type"} and not is_catalogued(alias):
        message = f"without the catalogue the {'times' if by == 'month' else 'types'} of files are not known"
        raise NotCatalogued(message)
    if by == "month":
        return _months(_grouped(alias, _KEYS[by], settings.TIME_ZONE))[-(limit or 0) :]
    if by in _KEYS:
        return _grouped(alias, _KEYS[by], limit=limit)
    return _by_rows(alias, by, limit)


def is_catalogued(alias: str) -> bool:
    """Tell whether the project has the catalogue, and the database its table."""
    return catalogue.is_installed() and has_catalogue(alias)


def _grouped(alias: str, key: str, *params: object, limit: int | None = None) -> list[Group]:
    files = FILES if is_catalogued(alias) else OBJECTS
    query = f"with files as ({files}) select {key}, {_FIGURES} from files as f {_LARGEST_FIRST}"  # noqa: S608 -- of constants
    return [Group(str(label), int(count), int(size)) for label, count, size in ask(alias, query, *params, limit)]


def _months(found: list[Group]) -> list[Group]:
    """Return the groups by month, with the months between that have no files."""
    by_label = {group.label: group for group in found}
    months: list[Group] = []
    label = min(by_label, default="")
    while label and label <= max(by_label):
        months.append(by_label.get(label, Group(label, 0, 0)))
        year, month = divmod(int(label[:-3]) * 12 + int(label[-2:]), 12)
        label = f"{year:04}-{month + 1:02}"
    return months


def _by_rows(alias: str, by: By, limit: int | None) -> list[Group]:
    columns, _problems = naming_columns(alias)
    uses, keys, oids = list[str](), list[str](), list[int]()
    labels = {str(column): str(n) for n, column in enumerate(columns)}
    for column in columns:
        key = f"'{labels[str(column)]}'::text" if by == "field" else f"coalesce({column.user}, '')"
        query = column.select(f"{key} as key, {oid_in(column.name)} as loid")
        if column.rows == alias:
            uses.append(query)
            continue
        # What another server has named must be brought here.
        for found, oid in ask(column.rows, f"select distinct key, loid::int8 from ({query}) as uses where %s", True):  # noqa: S608 -- quoted
            if oid is not None:
                keys.append(found)
                oids.append(int(oid))
    uses.append("select key, loid from rows from (unnest(%s::text[]), unnest(%s::text::oid[])) as given (key, loid)")
    query = (
        f"with files as materialized ({FILES if is_catalogued(alias) else OBJECTS}),"  # noqa: S608 -- quoted
        f" named as (select distinct key, loid from ({' union all '.join(uses)}) as uses)"
        f" select n.key, {_FIGURES} from files as f left join named as n on n.loid = f.loid {_LARGEST_FIRST}"
    )
    rows = ask(alias, query, keys, catalogue.as_array(oids), limit)
    if by == "field":
        labels = {n: label for label, n in labels.items()}
    else:
        labels = {"": _("no owner")}
        for other in dict.fromkeys(column.rows for column in columns):
            labels = usernames(other, (key for key, _count, _size in rows if key)) | labels
    return [
        Group(_("no row") if key is None else labels.get(key, str(key)), int(count), int(size))
        for key, count, size in rows
    ]
