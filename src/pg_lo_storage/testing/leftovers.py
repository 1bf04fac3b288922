"""The large objects that a test leaves in Django's databases, for the plugin's fixtures."""

import itertools
from collections.abc import Iterator
from typing import Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from pg_lo_storage.databases.columns import FileColumn, ask, existing_columns, has_catalogue
from pg_lo_storage.databases.file_fields import file_fields, rows_of
from pg_lo_storage.names import parse_name

__all__ = ["Leftovers"]

# The server's lock table holds some thousands of unlinks in one transaction.
_BATCH: Final = 1000


class Leftovers:
    """The large objects created since this was made, on each database that the test may use."""

    def __init__(self) -> None:
        self._before = {alias: _oids(alias) for alias, _ in _usable()}

    def created(self) -> dict[str, set[int]]:
        """Return the oids of the new objects by alias."""
        return {
            alias: _oids(alias) - self._before.get(alias, set())
            for alias, connection in _usable()
            # What will be rolled back is not left, and a failed transaction takes no query.
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
        """Unlink the new objects, except those that the rollback of the test's transaction removes."""
        for alias, oids in self.created().items():
            if connections[alias].in_atomic_block:
                continue
            for batch in _batches(sorted(oids)):
                ask(alias, "select lo_unlink(oid) from pg_largeobject_metadata where oid = any(%s::oid[])", batch)
                if has_catalogue(alias):
                    ask(alias, "delete from pg_lo_storage_file where loid = any(%s::oid[]) returning loid", batch)


def _usable() -> Iterator[tuple[str, BaseDatabaseWrapper]]:
    """Yield the PostgreSQL databases that the test may use."""
    for alias in connections:
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        try:
            connection.cursor().close()
        except AssertionError:  # how Django's test cases refuse databases that they do not declare
            continue
        yield alias, connection


def _oids(alias: str) -> set[int]:
    return {int(oid) for (oid,) in ask(alias, "select oid::int8 from pg_largeobject_metadata")}


def _named() -> Iterator[int]:
    """Yield the oids that rows name in file fields on large objects, also rows that a model's managers hide."""
    fields = {FileColumn.of(field): field for field in file_fields()}
    for alias, connection in _usable():
        if connection.needs_rollback:
            continue
        for found in existing_columns(alias, list(fields)):
            field = fields[found.column]
            names = rows_of(field.model, alias).values_list(field.attname, flat=True)
            yield from (oid for name in names.iterator() if (oid := parse_name(str(name))) is not None)


def _batches(oids: list[int]) -> Iterator[list[int]]:
    remaining = iter(oids)
    while batch := list(itertools.islice(remaining, _BATCH)):
        yield batch
