"""Adoption: entering into the catalogue the files that columns name already, so that adding the app loses no file.

A name alone proves little: a column that another storage used until now may have ``20240131.pdf``, and somebody's
object may have that oid. So each name is judged before it is taken. ``migrate`` takes all names of a column or none:
one that is no stored file's says that others, too, may be another storage's. ``manage.py largeobjects adopt`` takes
what it can.

Names are read through server-side cursors, object by object, and entered in batches: neither side keeps many in memory,
and the next run completes an interrupted one. Size and digest stay unknown: they would take reading every byte.
"""

import sys
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from heapq import merge
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from django.core.files.storage import Storage
from django.db import connections, transaction

from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.databases.columns import ask, has_catalogue
from pg_lo_storage.databases.file_fields import file_fields
from pg_lo_storage.databases.names_in_sql import digits_of
from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.maintenance.name_columns import (
    NameColumn,
    may_settle,
    name_columns,
    names_of,
    old_places,
    settle,
    settled_columns,
    unreadable,
    unsettled_columns,
)
from pg_lo_storage.maintenance.schemas import other_catalogues
from pg_lo_storage.maintenance.verdicts import Adopted, Outcome, Verdict
from pg_lo_storage.names import extension_of, parse_name
from pg_lo_storage.storage import elsewhere

__all__ = ["adopt", "adopt_after_migrate", "adopt_names", "count", "readable_file_columns"]

BATCH: Final = 1_000
"""How many objects are judged and entered at a time."""

# A superuser counts as a member of every role, but owns only its own objects.
_OWNED: Final = (
    "(select case when rolsuper then lomowner = r.oid else pg_has_role(lomowner, 'usage') end"
    " from pg_roles as r where rolname = current_user)"
)
# A stored file has one name. Of two for one object at least one is wrong, and nobody knows which.
# What the catalogue of another schema has is that schema's.
_JUDGE: Final = (
    "with elsewhere (loid) as materialized ({elsewhere}),"  # noqa: S608 -- of constants
    " judged as (select object, name, suffix, kind, wanted, case when m.oid is null then 'missing'"
    " when f.loid is not null then case when coalesce(f.extension = suffix, true) then 'present' else 'foreign' end"
    " when count(*) over (partition by object) > 1 then 'disputed'"
    " when %s::bool or exists (select from elsewhere as e where e.loid = m.oid) then 'elsewhere'"
    f" when %s::bool or {_OWNED} then 'adopted' else 'unowned' end as outcome,"
    " coalesce(f.loid::text || f.extension, pg_get_userbyid(lomowner)::text, '') as detail"
    " from rows from (unnest(%s::int8[]), unnest(%s::text[]), unnest(%s::text[]), unnest(%s::text[]),"
    " unnest(%s::bool[]))"
    " as given (object, name, suffix, kind, wanted)"
    " left join pg_largeobject_metadata as m on m.oid = object::oid"
    " left join pg_lo_storage_file as f on f.loid = m.oid),"
    " entered as (insert into pg_lo_storage_file (loid, extension, original_name, content_type)"
    " select object::oid, suffix, name, kind from judged where outcome = 'adopted' and wanted on conflict do nothing)"
    " select name, outcome, detail from judged"
)


class Output(Protocol):
    """What the handler writes to: a stream, or a command's ``stdout``."""

    def write(self, text: str, /) -> object:
        """Write a line, with its end."""
        ...


class _Use(NamedTuple):
    """A name that ``rows`` rows of a column have; ``stem`` is the number it begins with."""

    stem: str
    name: str
    column: NameColumn
    rows: int


class _Run(NamedTuple):
    """What :func:`adopt` is to do; ``elsewhere`` is a query for what other schemas have, less what ``is_unknown``."""

    alias: str
    wanted: Collection[NameColumn]
    any_owner: bool
    dry_run: bool
    elsewhere: str
    is_unknown: bool


def adopt(
    columns: Collection[NameColumn],
    alias: str,
    *,
    beside: Iterable[NameColumn] = (),
    any_owner: bool = False,
    dry_run: bool = False,
) -> Generator[Verdict]:
    """Enter on ``alias`` the objects that the columns name, and yield what becomes of each name.

    Names in the columns ``beside`` are not taken; they dispute another name of the same object. ``any_owner`` takes
    objects of other roles, too. ``dry_run`` changes nothing.
    """
    wanted, objects = set(columns), list[list[_Use]]()
    run, places = _Run(alias, wanted, any_owner, dry_run, *_elsewhere(alias)), old_places(alias)
    with closing(_uses(sorted(wanted.union(beside)))) as uses:
        for _, group in groupby(uses, key=attrgetter("stem")):
            named: list[_Use] = []
            for use, refused in _looked_at(list(group), wanted, places):
                if refused is None:
                    named.append(use)
                elif use.column in wanted:
                    yield Verdict(use.column, use.name, use.rows, refused)
            if any(use.column in wanted for use in named):
                objects.append(named)
            if len(objects) == BATCH:
                yield from _judge(objects, run)
                objects = []
        yield from _judge(objects, run)


def _looked_at(
    uses: Sequence[_Use], wanted: Collection[NameColumn], places: Mapping[NameColumn, Storage]
) -> Iterator[tuple[_Use, Outcome | None]]:
    """Yield the uses of an object's names, and why a name is of no object, whatever there is; ``None`` where it may be.

    What one column has of an old place, no column names an object by.
    """
    if not any(use.column in wanted for use in uses):
        return
    old = {use.name for use in uses if use.column in places and elsewhere.exists(places[use.column], use.name)}
    for use in uses:
        yield use, "old" if use.name in old else "malformed" if parse_name(use.name) is None else None


def count(columns: Iterable[NameColumn], verdicts: Iterable[Verdict]) -> dict[NameColumn, Adopted]:
    """Return what became of each column's names."""
    outcomes = {column: Adopted() for column in columns}
    for verdict in verdicts:
        outcomes[verdict.column].add(verdict.outcome, verdict.rows)
    return outcomes


def readable_file_columns(alias: str) -> list[NameColumn]:
    """Return the columns with names of files on ``alias`` of which the role sees all rows."""
    return [column for column in name_columns(file_fields(alias), alias) if not unreadable(column)]


def adopt_after_migrate(
    *, using: str, verbosity: int = 1, stdout: Output | None = None, plan: object = None, **_kwargs: object
) -> None:
    """Adopt, on the database that was migrated, from the columns that are not settled yet."""
    # "flush" sends this signal, too, without a plan, and its tables are empty.
    if plan is None or connections[using].vendor != "postgresql" or not has_catalogue(using):
        return
    for text in _adopt_new(using):
        if verbosity:
            (stdout or sys.stdout).write(f"  {text}\n")


def _adopt_new(alias: str) -> Generator[str]:
    """Adopt from each column that is not settled, all names or none; settle those taken, and yield what to say."""
    new = unsettled_columns(alias)
    if not new:
        return
    if not may_settle(alias):
        yield "Files were not adopted: another role owns pg_lo_storage_file; as that one run 'migrate' again."
        return
    for column in new:
        if reason := unreadable(column):
            yield f"Files were not adopted from {column}: {reason}."
    readable = readable_file_columns(alias)
    refused = _refused([column for column in new if column in readable], alias, readable)
    for column, verdict in sorted(refused.items()):
        yield (
            f"Files were not adopted from {column}: it has names that are no stored files', as if it had been another"
            f" storage's until now, such as {verdict.name!r}, {verdict.reason}."
            " 'manage.py largeobjects adopt --dry-run --show' judges each name; without --dry-run it takes the files."
        )
    beside = [column for column in readable if column not in refused]
    whole = [column for column in new if column in beside]
    for column, outcome in count(whole, adopt(whole, alias, beside=beside)).items():
        if outcome.total:
            yield f"Stored files of {column}: {outcome}."
    settle(alias, settled_columns(alias).union(whole))


def _refused(columns: list[NameColumn], alias: str, beside: list[NameColumn]) -> dict[NameColumn, Verdict]:
    """Return those columns that have a name which is no stored file's, with the first such name."""
    certain, disputed = dict[NameColumn, Verdict](), dict[NameColumn, Verdict]()
    for verdict in adopt(columns, alias, beside=beside, dry_run=True):
        if verdict.is_refused:
            (disputed if verdict.outcome == "disputed" else certain).setdefault(verdict.column, verdict)
    if certain and disputed:
        # The names of refused columns do not dispute those of the others.
        rest, others = ([column for column in some if column not in certain] for some in (columns, beside))
        return certain | _refused(rest, alias, others)
    return certain | disputed


def adopt_names(alias: str, names: Collection[str], *, dry_run: bool = False) -> dict[str, tuple[Outcome, str]]:
    """Enter the objects of stored names, which must be all that rows have for them; return what becomes of each."""
    run = _Run(alias, (), False, dry_run, *_elsewhere(alias))
    return _decide(dict.fromkeys(names, not dry_run), run)


def _judge(objects: Sequence[Sequence[_Use]], run: _Run) -> Generator[Verdict]:
    """Enter the objects, each given by the uses of its names, and yield what becomes of the names that are wanted."""
    names = {use.name: False for uses in objects for use in uses}
    names |= {use.name: not run.dry_run for uses in objects for use in uses if use.column in run.wanted}
    judged = _decide(names, run)
    for uses in objects:
        taken = False
        for use in uses:
            if use.column not in run.wanted:
                continue
            outcome, detail = judged[use.name]
            if outcome == "disputed":
                detail = " and ".join(sorted({use.name for use in uses}))
            yield Verdict(use.column, use.name, use.rows, "present" if taken else outcome, detail)
            taken = outcome == "adopted"


def _decide(names: Mapping[str, bool], run: _Run) -> dict[str, tuple[Outcome, str]]:
    """Decide about each name, and enter those objects whose name says so."""
    suffixes = [extension_of(name) for name in names]
    kinds = [content_type_of(suffix) for suffix in suffixes]
    oids = [parse_name(name) for name in names]
    query, given = _JUDGE.replace("{elsewhere}", run.elsewhere), (list(names), suffixes, kinds, list(names.values()))
    rows = ask(run.alias, query, run.is_unknown, run.any_owner, oids, *given)
    return {name: (outcome, detail) for name, outcome, detail in rows}


def _elsewhere(alias: str) -> tuple[str, bool]:
    """Return a query for the objects that other schemas' catalogues have, and whether some cannot be read."""
    others = other_catalogues(alias)
    # The server has quoted the names, and a per cent sign is doubled in a query with parameters.
    selects = [f"select loid from {name.replace('%', '%%')}" for name, is_open in others if is_open]  # noqa: S608 -- quoted
    return " union ".join(selects) or "select null::oid", len(selects) < len(others)


def _uses(columns: Iterable[NameColumn]) -> Generator[_Use]:
    """Yield the names that the columns have, ordered by object."""
    with ExitStack() as stack:
        streams = [
            stack.enter_context(closing(_uses_on(alias, list(some))))
            for alias, some in groupby(columns, key=attrgetter("alias"))
        ]
        yield from merge(*streams, key=attrgetter("stem"))


def _uses_on(alias: str, columns: Sequence[NameColumn]) -> Generator[_Use]:
    connection = connections[alias]
    every = " union all ".join(
        f"select {n} as n, name from ({names_of(column)}) as c{n}"  # noqa: S608 -- quoted
        for n, column in enumerate(columns)
    )
    query = (
        f"select {digits_of('name')} as stem, name, n, count(*)"  # noqa: S608 -- quoted
        f" from ({every}) as names group by n, name order by stem, n, name"
    )
    # A cursor outside a transaction survives the transactions that enter files. Where a pooler forbids such cursors,
    # one transaction does it all.
    is_pooled = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    with transaction.atomic(using=alias) if is_pooled else nullcontext(), connection.chunked_cursor() as cursor:
        cursor.execute(qualified(query))
        while rows := cursor.fetchmany(BATCH):
            for stem, name, n, count_of_rows in rows:
                yield _Use(stem, name, columns[int(n)], int(count_of_rows))
