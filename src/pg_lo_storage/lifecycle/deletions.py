"""How the files of rows go with the rows that Django deletes: one by one, by a query, by cascade.

Django sends all ``pre_delete`` of a collection before its first statement, and ``post_delete`` after the rows are gone.
"""

from collections import Counter, defaultdict
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, ref

from django.db import connections, models, router, transaction
from django.db.models.signals import post_delete, pre_delete
from django.db.transaction import Atomic

from pg_lo_storage.lifecycle.known import known, stored_name
from pg_lo_storage.lifecycle.references import concrete, rows_of, stored_fields, write_alias_of
from pg_lo_storage.lifecycle.saves import cleans, release_with
from pg_lo_storage.lifecycle.statements import before_next_statement

__all__ = ["delete_in_batches", "follow_deletions"]

# Rows that are locked and read by one statement.
_BATCH: Final = 1000

_Rows = defaultdict[type[models.Model], set[object]]


class Deletion:
    """The rows of one collection, between the first ``pre_delete`` and the last ``post_delete``."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.unread: _Rows = defaultdict(set)
        self.going: _Rows = defaultdict(set)
        self.left: defaultdict[str, set[str]] = defaultdict(set)

    def read(self) -> None:
        """Lock the rows and note what files they name, which is not what they named when they were loaded."""
        for model, keys in self.unread.items():
            fields = _cleaned_fields(model)
            ordered = sorted(keys, key=str)
            for start in range(0, len(ordered), _BATCH):
                some = ordered[start : start + _BATCH]
                rows = rows_of(model, self.using).filter(pk__in=some)
                for names in rows.order_by("pk").select_for_update().values_list(*(field.attname for field in fields)):
                    for field, name in zip(fields, names, strict=True):
                        if name:
                            self.left[cast("str", write_alias_of(field))].add(name)
        self.unread.clear()


def delete_in_batches(queryset: "models.QuerySet[models.Model]", size: int = 1000) -> tuple[int, dict[str, int]]:
    """Delete the rows of a query as ``QuerySet.delete()`` does, ``size`` of them in each transaction.

    For more files than the server's lock table holds: each that is unlinked takes a lock until its transaction ends.
    Interrupted, it has deleted whole batches. Returns how many rows were deleted, and how many of each model.

    :raises RuntimeError: in a transaction, as ``atomic(durable=True)`` does.
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


# By the block that Django runs each collection in: it ends with it, however that ends.
_deletions: WeakKeyDictionary[Atomic, Deletion] = WeakKeyDictionary()


def follow_deletions(model: type[models.Model]) -> None:
    """Have the files go with the rows that are deleted as instances of that very class, a proxy or not."""
    pre_delete.connect(_expect, sender=model)
    post_delete.connect(_end, sender=model)


def _expect(
    sender: type[models.Model], instance: models.Model, using: str, origin: object = None, **_signal: Any
) -> None:
    blocks = connections[using].atomic_blocks
    fields = _cleaned_fields(sender)
    # What a query or a cascade deletes was loaded just now, an instance that is deleted itself may be any time old.
    is_old = bool(fields) and origin is instance
    if not blocks or not (is_old or any(_may_have_file(instance, using, field) for field in fields)):
        return
    deletion = _deletions.setdefault(blocks[-1], Deletion(using))
    if not deletion.unread:
        before_next_statement(connections[using], _Reading(blocks[-1], deletion))
    model = concrete(sender)
    deletion.unread[model].add(instance.pk)
    deletion.going[model].add(instance.pk)
    for field in fields:
        deletion.left[cast("str", write_alias_of(field))].update(known(instance, field).left)


def _end(sender: type[models.Model], instance: models.Model, using: str, **_signal: Any) -> None:
    blocks = connections[using].atomic_blocks
    deletion = _deletions.get(blocks[-1]) if blocks else None
    if deletion is None:
        return
    model = concrete(sender)
    deletion.going[model].discard(instance.pk)
    if not any(deletion.going.values()):
        del _deletions[blocks[-1]]
        release_with(using, deletion.left, model)


class _Reading:
    """Reads the rows before the next statement, unless the collection failed before it had one."""

    def __init__(self, block: Atomic, deletion: Deletion) -> None:
        self._block = ref(block)
        self._deletion = deletion

    def __call__(self, _sql: str) -> AbstractContextManager[None]:
        if self._block() in connections[self._deletion.using].atomic_blocks:
            self._deletion.read()
        return nullcontext()


def _cleaned_fields(model: type[models.Model]) -> "list[models.FileField]":
    return [field for field in stored_fields(model) if cleans(field)]


def _may_have_file(instance: models.Model, using: str, field: "models.FileField") -> bool:
    """Tell whether the row may name a file: it did when it was loaded, or nobody knows."""
    what = stored_name(instance, field, using)
    return what is None or bool(what.name or what.left)
