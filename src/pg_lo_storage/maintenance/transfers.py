"""Rows move to another database together with their files, batch by batch.

There is no transaction over two databases. A batch is locked in the source, copied to the target, read back there and
committed, and only then deleted from the source. Whatever ends the process in between, each row is where it was, or on
both sides. The next run finds it on both, compares all of it, files included, and finishes the move. It touches no row
that is not the same on both.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

from django.db import models
from django.db.models.functions import Cast
from django.db.transaction import atomic

from pg_lo_storage.databases.file_fields import concrete, follows_rows, rows_of
from pg_lo_storage.databases.references import default_names
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.lifecycle.expecting import expect
from pg_lo_storage.lifecycle.leaving import cleans, release_with
from pg_lo_storage.lifecycle.old_files import Place, is_old_name
from pg_lo_storage.maintenance.transfer_checks import require_no_referrers, require_references, require_two_tables
from pg_lo_storage.maintenance.transfer_files import TransferFiles
from pg_lo_storage.maintenance.transfer_rows import Key, Problem, Table, Values, agree_on_texts, tables_of
from pg_lo_storage.names import extension_of, parse_name

__all__ = ["MOST_FILES", "Moved", "Problem", "Transfer"]

MOST_FILES: Final = 1_000
"""Files in one transaction: each that is unlinked takes a lock, and the server's table of locks is small."""

_Place: TypeAlias = tuple[Key, ...]
"""Where a row is: its key in each of its tables."""

_Row: TypeAlias = dict[str, Values]
"""A row's values by table."""


class Moved(NamedTuple):
    """How much was moved; ``finished`` of the rows were in the target already, from an earlier run."""

    rows: int = 0
    finished: int = 0
    files: int = 0
    bytes: int = 0

    def plus(self, other: "Moved") -> "Moved":
        """Return both together."""
        return Moved(*map(sum, zip(self, other, strict=True)))


class _Cell(NamedTuple):
    """A column of a row that names a file."""

    table: str
    column: str
    field: "models.FileField"
    name: str


@dataclass
class Transfer:
    """Rows of a model to move from one alias to another.

    ``where`` is lookups as ``QuerySet.filter()`` takes them. With ``keep`` the rows stay in the source as well.

    :raises Problem: the databases have not the same tables, or are one.
    """

    model: type[models.Model]
    source: str
    target: str
    where: Mapping[str, object] = field(default_factory=dict[str, object])
    keep: bool = False
    size: int = MOST_FILES

    def __post_init__(self) -> None:
        self.model = concrete(self.model)
        require_two_tables(self.model, self.source, self.target)
        self.tables: list[Table] = tables_of(self.model, self.source, self.target)
        files = sum(map(len, self._moving.values()))
        self.size = max(1, min(self.size, MOST_FILES // max(1, files)))

    def count(self) -> int:
        """Return how many rows there are to move."""
        return self._rows.values("pk").distinct().count()

    def run(self) -> Iterator[Moved]:
        """Transfer the rows, and yield after each batch how much that was.

        :raises Problem: a row cannot be moved; nothing of its batch was.
        """
        return map(self._move, self._batches())

    def examine(self) -> Iterator[Moved]:
        """Change nothing; look at all that would be moved, and yield for each batch how much that is.

        :raises Problem: a row could not be moved.
        """
        return map(self._examine, self._batches())

    @property
    def _rows(self) -> "models.QuerySet[models.Model]":
        return rows_of(self.model, self.source).filter(**self.where)

    @cached_property
    def _moving(self) -> "dict[str, dict[str, models.FileField]]":
        """The columns by table whose files go along; those of an alias of their own stay where they are."""
        return {
            table.name: {column: each for column, each in table.files.items() if follows_rows(each)}
            for table in self.tables
        }

    @cached_property
    def _defaults(self) -> set[str]:
        """The names that each database has by itself."""
        return default_names(self.target)

    def _batches(self) -> Iterator[dict[_Place, object]]:
        """Yield the primary keys of some rows at a time, by their places."""
        keys = [[part.attname for part in table.model._meta.pk_fields] for table in self.tables]
        texts = {name: f"pg_lo_{n}" for n, name in enumerate(dict.fromkeys(name for names in keys for name in names))}
        rows = self._rows.annotate(**{text: Cast(name, models.TextField()) for name, text in texts.items()})
        own = keys[-1]
        page = rows.order_by("pk").distinct().values(*own, *texts.values())
        found = list(page[: self.size])
        while found:
            batch: dict[_Place, object] = {}
            for row in found:
                place = tuple(tuple(str(row[texts[name]]) for name in names) for names in keys)
                batch[place] = row[own[0]] if len(own) == 1 else tuple(row[name] for name in own)
            yield batch
            *_, last = batch.values()
            found = list(page.filter(pk__gt=last)[: self.size])

    def _move(self, places: dict[_Place, object]) -> Moved:
        files = TransferFiles(self.source, self.target)
        with atomic(self.source, durable=True):
            with atomic(self.target, durable=True):
                rows, new = self._compared(places, files, lock=not self.keep)
                copies = [self._copied(row, files) for row in new.values()]
                files.keep_times()
                for table in self.tables:
                    table.insert(self.target, [row[table.name] for row in copies])
                self._require_same(new, self._read(self.target, new), files)
            # The target has committed.
            if not self.keep:
                self._leave(rows)
        return Moved(len(rows), len(rows) - len(new), files.count, files.bytes)

    def _examine(self, places: dict[_Place, object]) -> Moved:
        files = TransferFiles(self.source, self.target)
        with atomic(self.source), atomic(self.target):
            rows, new = self._compared(places, files, lock=False)
            for row in new.values():
                self._each_file(row, lambda cell: files.measure(cell.name))
        return Moved(len(rows), len(rows) - len(new), files.count, files.bytes)

    def _compared(
        self, places: dict[_Place, object], files: TransferFiles, *, lock: bool
    ) -> tuple[dict[_Place, _Row], dict[_Place, _Row]]:
        """Return the rows as they are now, and those of them that the target has not."""
        for alias in (self.source, self.target):
            agree_on_texts(alias)
        rows = self._read(self.source, places, lock=lock)
        # Somebody may have changed or deleted some before they were locked.
        are_wanted = set(self._rows.filter(pk__in=list(places.values())).values_list("pk", flat=True))
        rows = {place: row for place, row in rows.items() if places[place] in are_wanted}
        if lock:
            files.hold([cell.name for row in rows.values() for cell in self._cells(row)])
        there = self._read(self.target, rows)
        self._require_same({place: rows[place] for place in there}, there, files)
        new = {place: row for place, row in rows.items() if place not in there}
        require_references(self.tables, new.values(), self.source, self.target)
        if not self.keep:
            require_no_referrers(self.tables, rows.values(), self.source)
        return rows, new

    def _read(self, alias: str, places: Collection[_Place], *, lock: bool = False) -> dict[_Place, _Row]:
        rows: dict[_Place, _Row] = {}
        for n, table in enumerate(self.tables):
            found = table.read(alias, [place[n] for place in places], lock=lock)
            for place in places:
                if place[n] in found:
                    rows.setdefault(place, {})[table.name] = found[place[n]]
        return rows

    def _cells(self, row: _Row) -> Iterator[_Cell]:
        """Yield the cells whose files go along with the row."""
        for table, fields in self._moving.items():
            for column, each in fields.items():
                name = row[table][column]
                if name is None or parse_name(name) is None or name in self._defaults:
                    continue
                if not is_old_name(each, name):  # an old place is there for rows on any database
                    yield _Cell(table, column, each, name)

    def _each_file(self, row: _Row, action: Callable[[_Cell], object]) -> None:
        for cell in self._cells(row):
            try:
                action(cell)
            except LargeObjectNotFound as error:
                message = (
                    f"{self._said(row)} names {cell.name!r} in {cell.column}, and {self.source!r} has no such file:"
                    " clear it there, or save the file again"
                )
                raise Problem(message) from error

    def _copied(self, row: _Row, files: TransferFiles) -> _Row:
        """Copy the row's files, and return the row with the copies' names."""
        copied = {table: dict(values) for table, values in row.items()}

        def copy(cell: _Cell) -> None:
            copied[cell.table][cell.column] = files.copy(cell.name, cell.field)

        self._each_file(row, copy)
        return copied

    def _require_same(self, rows: Mapping[_Place, _Row], there: Mapping[_Place, _Row], files: TransferFiles) -> None:
        for place, row in rows.items():
            if difference := self._difference(row, there.get(place, {}), files):
                message = (
                    f"{self._said(row)} is not the same on {self.source!r} and {self.target!r}, by {difference}:"
                    " nothing was changed; delete the one that is wrong, or give it another key"
                )
                raise Problem(message)

    def _difference(self, row: _Row, other: _Row, files: TransferFiles) -> str | None:
        """Return the column in which the target's row is another, or its table where that has no such row."""
        if lacking := row.keys() - other.keys():
            return min(lacking)
        cells = {(cell.table, cell.column): cell for cell in self._cells(row)}
        for table, values in row.items():
            for column, value in values.items():
                if (table, column) not in cells and value != other[table][column]:
                    return column

        different: list[str] = []

        def compare(cell: _Cell) -> None:
            name = other[cell.table][cell.column]
            is_named = name is not None and extension_of(name) in {extension_of(cell.name), ""}
            if name is None or not is_named or not files.is_copy(cell.name, name):
                different.append(cell.column)

        self._each_file(row, compare)
        return different[0] if different else None

    def _leave(self, rows: Mapping[_Place, _Row]) -> None:
        """Delete the rows from the source, and unlink what they alone named."""
        self._expect_what_stays(rows.values())
        for n, table in reversed(list(enumerate(self.tables))):
            table.delete(self.source, [place[n] for place in rows])
        left = {cell.name for row in rows.values() for cell in self._cells(row) if cleans(cell.field)}
        release_with(self.source, {Place(self.source): left}, self.model)

    def _expect_what_stays(self, rows: Iterable[_Row]) -> None:
        """Have triggers keep those files that are the source's whatever database their rows are on."""
        names = {
            name
            for row in rows
            for table in self.tables
            for column in table.files.keys() - self._moving[table.name].keys()
            if (name := row[table.name][column])
        }
        if names:
            expect(self.source, names)

    def _said(self, row: _Row) -> str:
        """Return the row's model and key, for a message."""
        table = self.tables[-1]
        key = ", ".join(str(row[table.name][column]) for column in table.keys)
        return f"{self.model._meta.label} {key}"
