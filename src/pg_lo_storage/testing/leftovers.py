"""The large objects that a test leaves in Django's databases; what the plugin's fixtures are made of."""

import itertools
from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FileField, Model, QuerySet

from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileStorage

__all__ = ["Leftovers"]

# The server's lock table holds some thousands of unlinks in one transaction.
_BATCH: Final = 1000


class Leftovers:
    """What large objects there are since this was made, on each database that the test may use."""

    def __init__(self) -> None:
        self._before = {alias: _oids(connection) for alias, connection in _usable()}

    def created(self) -> dict[str, set[int]]:
        """Return the oids of the new objects by alias."""
        return {
            alias: _oids(connection) - self._before.get(alias, set())
            for alias, connection in _usable()
            # What is to be rolled back is not left; nor can it be asked for.
            if not connection.needs_rollback
        }

    def orphaned(self) -> dict[str, set[int]]:
        """Return the oids of the new objects that no file field's row names, by alias, where there are any."""
        created = self.created()
        if not any(created.values()):
            return {}
        named = set(_named())
        return {alias: orphans for alias, oids in created.items() if (orphans := oids - named)}

    def unlink(self) -> None:
        """Unlink the new objects, but for those that a test's transaction takes along when it is rolled back."""
        for alias, oids in self.created().items():
            connection = connections[alias]
            if connection.in_atomic_block:
                continue
            for batch in _batches(sorted(oids)):
                with connection.cursor() as cursor:
                    cursor.execute(
                        qualified("select lo_unlink(oid) from pg_largeobject_metadata where oid = any(%s::oid[])"),
                        [batch],
                    )
                    cursor.execute(qualified("select to_regclass('pg_lo_storage_file') is not null"))
                    if cursor.fetchall()[0][0]:
                        entries = "delete from pg_lo_storage_file where loid = any(%s::oid[])"
                        cursor.execute(qualified(entries), [batch])


def _usable() -> Iterator[tuple[str, BaseDatabaseWrapper]]:
    """Yield the PostgreSQL databases that the test has not been forbidden to use."""
    for alias in connections:
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        try:
            connection.cursor().close()
        except AssertionError:  # how Django's test cases refuse databases that they do not declare
            continue
        yield alias, connection


def _oids(connection: BaseDatabaseWrapper) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(qualified("select oid::int8 from pg_largeobject_metadata"))
        return {int(oid) for (oid,) in cursor.fetchall()}


def _named() -> Iterator[int]:
    """Yield the oid in each value of each file field on large objects, of every model, whatever its managers hide."""
    fields = [
        (model, field)
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
        if isinstance(field, FileField) and isinstance(field.storage, DbFileStorage)
    ]
    for alias, connection in _usable():
        for model, field in fields:
            if not connection.needs_rollback and _has_table(connection, model):
                rows: QuerySet[Model] = QuerySet(model=model, using=alias)
                names = rows.values_list(field.attname, flat=True)
                yield from (oid for name in names.iterator() if (oid := parse_name(str(name))) is not None)


def _has_table(connection: BaseDatabaseWrapper, model: type[Model]) -> bool:
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(qualified("select to_regclass(%s::text) is not null"), [table])
        return bool(cursor.fetchall()[0][0])


def _batches(oids: list[int]) -> Iterator[list[int]]:
    remaining = iter(oids)
    while batch := list(itertools.islice(remaining, _BATCH)):
        yield batch
