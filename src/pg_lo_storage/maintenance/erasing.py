"""Deletes rows with their files, in batches, and keeps a receipt.

Rows go as Django deletes them, with what it deletes by cascade. A file goes where no row names it any more, also one of
a field that leaves its files alone. In a batch's transaction its rows are locked, and read, and deleted; then it is
looked which files are gone. That is what the receipt says, before the commit and after it: see :mod:`.receipts`.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from django.db import DataError, connections, models, transaction
from django.db.models.deletion import Collector, ProtectedError, RestrictedError

from pg_lo_storage.databases.atomic_blocks import noticing_loss
from pg_lo_storage.databases.columns import ask
from pg_lo_storage.databases.file_fields import concrete, rows_of
from pg_lo_storage.databases.locking import see_what_is_committed
from pg_lo_storage.lifecycle.sharing import release
from pg_lo_storage.maintenance.erased import Cell, Erased, Files, cells_of, delete_old, judged, key_of, naming_fields
from pg_lo_storage.maintenance.moves import key_in, keys_of
from pg_lo_storage.maintenance.receipts import Receipt

__all__ = ["MOST", "CannotErase", "Erasure", "Step", "committed", "settle"]

MOST: Final = 1_000
"""Files in one transaction: each that is unlinked takes a lock, and the server's table of locks is small."""

_POLL: Final = 0.05


class CannotErase(Exception):
    """A batch cannot be erased, as the message says; nothing of it was."""


class Step(NamedTuple):
    """What was erased, or would be: rows by their model, and files; ``updated`` rows only refer to nothing now."""

    database: str
    rows: Counter[str]
    updated: Counter[str]
    files: list[Erased]


class Erasure:
    """Rows of one model on a database that are to be erased: those of the query ``rows``.

    :param receipt: what is to say what was erased.
    """

    def __init__(self, alias: str, rows: "models.QuerySet[models.Model]", receipt: Receipt | None = None) -> None:
        self.alias = alias
        self._model = concrete(rows.model)
        self._rows = rows
        self._receipt = receipt
        self._files = Files(alias, with_digests=receipt is not None)

    def count(self) -> int:
        """Return how many rows of the query there are, without what goes with them."""
        return self._rows.values("pk").distinct().count()

    def examine(self) -> Iterator[Step]:
        """Change nothing, and yield what would be erased.

        :raises CannotErase: a row cannot be deleted.
        """
        for keys in self._pages():
            collector = self._collected(list(rows_of(self._model, self.alias).filter(pk__in=keys)))
            cells = self._cells(collector)
            yield self._step(collector, self._files.expected(cells))

    def run(self) -> Iterator[Step]:
        """Erase the rows, at most 1,000 files in a transaction, and yield what each has erased.

        :raises CannotErase: a row cannot be deleted; nothing of its transaction was.
        :raises RuntimeError: a transaction is open already.
        """
        for keys in self._pages():
            left: Sequence[Any] = keys
            while left:
                step, left = self._batch(left)
                if step is not None:
                    yield step

    def _pages(self) -> Iterator[Sequence[Any]]:
        # By its columns: of a key that has several, Django's DISTINCT and ORDER BY make another one.
        columns = keys_of(self._model)
        page = self._rows.order_by(*columns).values_list(*columns).distinct()
        size = MOST // max(1, len(naming_fields(self._model)))
        while found := list(page[:size]):
            keys = list(map(key_in, found))
            yield keys
            page = page.filter(pk__gt=keys[-1])

    def _batch(self, keys: Sequence[Any]) -> tuple[Step | None, Sequence[Any]]:
        """Erase as much of these rows as goes in one transaction; return the keys that are left."""
        with noticing_loss(self.alias), transaction.atomic(using=self.alias, durable=True):
            see_what_is_committed(self.alias)
            wanted = self._locked(keys)
            collector = self._fitting(wanted)
            going = collector.data.get(self._model, ())
            left = [row.pk for row in wanted if row not in going]
            step = self._delete(collector) if collector.data else None
        return (None if step is None else _finish(step, self._receipt)), left

    def _locked(self, keys: Sequence[Any]) -> list[models.Model]:
        """Lock the rows, which no other can come to refer to then; return those that the query still has."""
        rows = rows_of(self._model, self.alias).filter(pk__in=keys).order_by("pk").select_for_update()
        locked = [row.pk for row in rows.only("pk")]
        wanted = set(self._rows.filter(pk__in=locked).values_list("pk", flat=True))
        return list(rows_of(self._model, self.alias).filter(pk__in=list(wanted)).order_by("pk"))

    def _fitting(self, rows: Sequence[models.Model], *split: models.Model) -> Collector:
        """Collect what goes with the rows, or with some of them, or a part of that, so that the files are not too many.

        What takes too many by itself, as its cascade has thousands of files, goes from below.
        """
        collector = self._collected(rows)
        if len({cell.name for cell in self._cells(collector)}) <= MOST:
            return collector
        if len(rows) > 1:
            return self._fitting(rows[: len(rows) // 2], *split)
        below = [
            row
            for model, found in collector.data.items()
            if naming_fields(model)
            for row in found
            if row not in {*rows, *split}
        ]
        model = type(below[0]) if below else None
        return self._fitting([row for row in below if type(row) is model][:MOST], *rows, *split) if below else collector

    def _collected(self, rows: Sequence[models.Model]) -> Collector:
        collector = Collector(using=self.alias, origin=self._rows)
        try:
            if rows:
                collector.collect(cast("Any", rows))  # the stubs know no lists
        except (ProtectedError, RestrictedError) as error:
            found = error.protected_objects if isinstance(error, ProtectedError) else error.restricted_objects
            named = ", ".join(sorted({f"{row._meta.label} {row.pk}" for row in found})[:5])
            message = f"{error.args[0]} (such as {named}): delete these first, or leave their rows out"
            raise CannotErase(message) from error
        return collector

    def _cells(self, collector: Collector, *, lock: bool = False) -> list[Cell]:
        """Return the names in the rows that are collected."""
        cells: list[Cell] = []
        for model, rows in collector.data.items():
            keys = [row.pk for row in rows]
            for start in range(0, len(keys), MOST):
                part = rows_of(concrete(model), self.alias).filter(pk__in=keys[start : start + MOST])
                cells += cells_of(part, self.alias, lock=lock)
        for query in collector.fast_deletes:
            cells += cells_of(query, self.alias, lock=lock)
        return cells

    def _delete(self, collector: Collector) -> Step:
        """Delete what is collected, and unlink its files; note it, if the transaction commits."""
        files = self._files.known(self._cells(collector, lock=True), lock=True)
        step = self._step(collector, files)
        keys = {
            str(model._meta.db_table): sorted(key_of(row.pk) for row in rows) for model, rows in collector.data.items()
        }
        collector.delete()
        release(self.alias, [file.name for file in files if file.database == self.alias], using=self.alias)
        # What is deferred to the end would fail when all is noted.
        connections[self.alias].check_constraints()
        step = step._replace(files=judged(files, self.alias))
        if self._receipt is not None:
            self._receipt.write(
                "batch",
                batch=self._receipt.batches + 1,
                database=self.alias,
                transaction=_xid(self.alias),
                rows=step.rows,
                keys=keys,
                updated=step.updated,
                files=[file.as_record() for file in step.files],
            )
        return step

    def _step(self, collector: Collector, files: list[Erased]) -> Step:
        rows: Counter[str] = Counter()
        for model, found in collector.data.items():
            rows[model._meta.label] += len(found)
        for query in collector.fast_deletes:
            rows[query.model._meta.label] += query.count()
        updated: Counter[str] = Counter()
        # By field and value Django gives queries, and lists of rows.
        changes = cast(
            "Mapping[tuple[object, object], list[models.QuerySet[Any] | list[Any]]]", collector.field_updates
        )
        for (field, _), parts in changes.items():
            updated[str(field)] += sum(len(part) if isinstance(part, list) else part.count() for part in parts)
        return Step(self.alias, +rows, +updated, files)


def _finish(step: Step, receipt: Receipt | None) -> Step:
    """Now that the rows are gone, have files of other places go too; note that it is committed."""
    files = delete_old(step.files, step.database)
    others = sorted({file.database for file in files} - {step.database, ""})
    for alias in others:
        with noticing_loss(alias), transaction.atomic(using=alias):
            release(alias, [file.name for file in files if file.database == alias], using=step.database)
            files = judged(files, alias)
    if receipt is not None:
        records = [file.as_record() for file in files if file.field or file.database in others]
        receipt.write("committed", batch=receipt.batches, files=records)
    return step._replace(files=files)


def committed(records: Iterable[Mapping[str, Any]]) -> Iterator[Step]:
    """Yield what a receipt says was erased, by its batches."""
    batch: Mapping[str, Any] = {}
    for record in records:
        if record["kind"] == "batch":
            batch = record
        elif record["kind"] == "committed":
            yield _step_of(batch, record["files"])


def settle(receipt: Receipt) -> Step | None:
    """Find out how the transaction ended of which the receipt says nothing, and note it; return what it erased.

    :raises CannotErase: the server does not know it any more.
    """
    pending = receipt.pending
    if pending is None:
        return None
    alias, batch = str(pending["database"]), pending["batch"]
    message = f"{receipt.path}: the server does not know any more how the transaction of batch {batch} ended"
    try:
        while (status := _status(alias, pending["transaction"])) == "in progress":
            time.sleep(_POLL)
    except DataError as error:
        raise CannotErase(message) from error
    if status == "aborted":
        receipt.write("undone", batch=batch)
        return None
    if status != "committed":
        raise CannotErase(message)
    return _finish(_step_of(pending), receipt)


def _step_of(batch: Mapping[str, Any], later: Iterable[Mapping[str, Any]] = ()) -> Step:
    """Make a step of its record, and of what was found of files after its commit."""
    files = {(file["database"], file["name"], file["field"]): file for file in (*batch["files"], *later)}
    erased = [Erased.of_record(file) for file in files.values()]
    return Step(str(batch["database"]), Counter(batch["rows"]), Counter(batch["updated"]), erased)


def _xid(alias: str) -> str:
    [(xid,)] = ask(alias, "select pg_current_xact_id()::text")
    return str(xid)


def _status(alias: str, xid: str) -> str | None:
    [(status,)] = ask(alias, "select pg_xact_status(%s::text::xid8)", xid)
    return cast("str | None", status)
