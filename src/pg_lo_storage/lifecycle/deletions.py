"""How files go with the rows that Django deletes: one by one, by a query, by cascade.

Django sends ``pre_delete`` for all rows of a collection before its first statement.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.signals import pre_delete
from django.db.transaction import Atomic

from pg_lo_storage.databases.atomic_blocks import noticing_loss
from pg_lo_storage.databases.columns import FileColumn, existing_columns
from pg_lo_storage.databases.columns_in_sql import IS_GUARDED
from pg_lo_storage.databases.file_fields import concrete, stored_fields, write_alias_of
from pg_lo_storage.databases.watching import Execute, OfDjangosStatements
from pg_lo_storage.lifecycle.known import known, name_of
from pg_lo_storage.lifecycle.leaving import cleans, release_with
from pg_lo_storage.lifecycle.old_files import Place
from pg_lo_storage.lifecycle.receivers import connect
from pg_lo_storage.lifecycle.sharing import FEW, require_room

__all__ = ["delete_in_batches", "follow_deletions"]


class Deletion:
    """The rows of one collection, from the first ``pre_delete`` to the statement that deletes the last of them."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._going: Counter[type[models.Model]] = Counter()
        self._left: defaultdict[Place, set[str]] = defaultdict(set)
        self._named: defaultdict[models.FileField, list[str]] = defaultdict(list)
        self._has_room = True

    def expect(self, model: type[models.Model], instance: models.Model, fields: "Iterable[models.FileField]") -> None:
        """Expect a row of the model's table to be deleted, and note its files, and others that the instance leaves."""
        self._has_room = False
        cleaned = [field for field in fields if cleans(field)]
        if cleaned:
            self._going[concrete(model)] += 1
        for field in fields:
            if name := name_of(vars(instance).get(field.attname)):
                self._named[field].append(name)
        for field in cleaned:
            for alias, name in known(instance, field).leaves(self._using):
                self._left[Place.of(field, alias)].add(name)

    def execute(self, execute: Execute, sql: str, params: object, context: dict[str, object]) -> object:
        """Execute a statement; where it deletes some of the rows, note the files that they name.

        The rows may name other files than when they were loaded. RETURNING tells which, without another statement.
        """
        if not self._has_room and sql.startswith("DELETE "):
            self._has_room = True
            self._require_room()
        cursor = cast("CursorWrapper", context["cursor"])
        quote = cursor.db.ops.quote_name
        for model in self._going:
            is_of_model = sql.startswith(f"DELETE FROM {quote(model._meta.db_table)} WHERE ")  # noqa: S608 -- compared
            if is_of_model and "RETURNING" not in sql.upper():
                fields = _cleaned_fields(model)
                columns = ", ".join(quote(str(field.column)) for field in fields)
                result = execute(f"{sql} RETURNING {columns}", params, False, context)
                for names in cursor.fetchall():
                    for field, name in zip(fields, names, strict=True):
                        if name:
                            self._left[Place.of(field, cast("str", write_alias_of(field, self._using)))].add(name)
                self._deleted(model, len(cast("Sequence[object]", params)))
                return result
        return execute(sql, params, False, context)

    def _require_room(self) -> None:
        """Refuse, before the first row is deleted, what the server's lock table does not hold.

        Triggers alone would see it too late: Django deletes a hundred rows at once.
        """
        if sum(map(len, self._named.values())) <= FEW:
            return
        columns = {FileColumn.of(field): field for field in self._named}
        guarded = {found.column for found in existing_columns(self._using, list(columns), IS_GUARDED) if found.more[0]}
        going: defaultdict[str, list[str]] = defaultdict(list)
        for column, field in columns.items():
            if cleans(field) or column in guarded:
                going[write_alias_of(field, self._using) or self._using] += self._named[field]
        registries = {field.model._meta.apps for field in self._named}
        for alias, names in going.items():
            require_room(alias, names, *registries, using=self._using)

    def _deleted(self, model: type[models.Model], values: int) -> None:
        """Count the rows that a statement deleted by so many key values; after the last statement release the files.

        The signal ``post_delete`` will not do: projects mute it.
        """
        self._going[model] -= values // len(model._meta.pk_fields)
        if not any(rows > 0 for rows in self._going.values()):
            left, self._left = self._left, defaultdict(set)
            release_with(self._using, left, model)


def delete_in_batches(queryset: "models.QuerySet[models.Model]", size: int = 1000) -> tuple[int, dict[str, int]]:
    """Delete the rows of a query as ``QuerySet.delete()`` does, ``size`` of them in each transaction.

    Use it where the server's lock table is too small: each file that is unlinked takes a lock until its transaction
    ends. An interruption leaves whole batches deleted. Return how many rows were deleted, and how many of each model.

    :raises RuntimeError: a transaction is open already, as with ``atomic(durable=True)``.
    """
    using: str = vars(queryset)["_db"] or router.db_for_write(queryset.model)
    ordered = queryset.using(using).order_by("pk")
    total: Counter[str] = Counter()
    keys = list(ordered.values_list("pk", flat=True)[:size])
    while keys:
        with transaction.atomic(using=using, durable=True):
            total.update(queryset.using(using).filter(pk__in=keys).delete()[1])
        keys = list(ordered.filter(pk__gt=keys[-1]).values_list("pk", flat=True)[:size])
    return total.total(), dict(total)


# By the atomic block that Django runs each collection in: a deletion ends with its block, however that ends.
_deletions: WeakKeyDictionary[Atomic, Deletion] = WeakKeyDictionary()


def follow_deletions(model: type[models.Model]) -> None:
    """Have files go with the rows that are deleted as instances of that very class, a proxy or not."""
    connect(pre_delete, _expect, model)


def _expect(sender: type[models.Model], instance: models.Model, using: str, **_signal: Any) -> None:
    connection = connections[using]
    fields = stored_fields(sender)
    # On other databases nobody knows which rows name a file, and it stays.
    if not fields or not connection.atomic_blocks or connection.vendor != "postgresql":
        return
    block = connection.atomic_blocks[-1]
    if block not in _deletions:
        _deletions[block] = Deletion(using)
        if _watch not in connection.execute_wrappers:
            # Outermost: whoever wraps statements for a block takes the last wrapper off again.
            connection.execute_wrappers.insert(0, _watch)
    _deletions[block].expect(sender, instance, fields)


@OfDjangosStatements
def _watch(execute: Execute, sql: str, params: object, many: bool, context: dict[str, object]) -> object:
    connection = cast("BaseDatabaseWrapper", context["connection"])
    deletions = [_deletions[block] for block in connection.atomic_blocks if block in _deletions]
    if not deletions:
        connection.execute_wrappers.remove(_watch)
    elif not many and connection.atomic_blocks[-1] in _deletions:
        with noticing_loss(connection.alias):
            return deletions[-1].execute(execute, sql, params, context)
    return execute(sql, params, many, context)


def _cleaned_fields(model: type[models.Model]) -> "list[models.FileField]":
    return [field for field in stored_fields(model) if cleans(field)]
