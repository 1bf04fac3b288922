"""Who looks after the files: the fields, triggers that are installed as a migration does it, or both."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest
from django.apps import apps
from django.db import connections, models
from django.db.migrations.state import ProjectState

from pg_lo_storage.databases.file_fields import write_alias_of
from pg_lo_storage.operations import ManageLargeObjects
from tests.lifecycle.support import file_fields, sql

FIELD, TRIGGERS, BOTH = GUARDS = ("field", "triggers", "both")
LABEL: Final = "papers"

EVERY_GUARD: Final = pytest.mark.parametrize("guard", GUARDS, indirect=True)
"""Of tests in which triggers have a part."""


@contextmanager
def guarded(guard: str, *, catalogue: bool, aliases: Sequence[str] = ("default", "other")) -> Generator[None]:
    """Have the app's files be looked after in that way, on these databases."""
    with pytest.MonkeyPatch.context() as monkeypatch, ExitStack() as stack:
        if guard == TRIGGERS:
            for field in file_fields():
                monkeypatch.setattr(field, "cleanup", False, raising=False)
        if guard != FIELD:
            for alias in aliases:
                if not catalogue:
                    stack.enter_context(without_catalogue_s_table(alias))
                stack.enter_context(_triggers(alias))
        yield


@contextmanager
def without_catalogue_s_table(alias: str) -> Generator[None]:
    """Have triggers find no catalogue."""
    sql("alter table pg_lo_storage_file rename to pg_lo_storage_file_away", using=alias)
    try:
        yield
    finally:
        sql("alter table pg_lo_storage_file_away rename to pg_lo_storage_file", using=alias)


@contextmanager
def _triggers(alias: str) -> Generator[None]:
    state = ProjectState.from_apps(apps)
    managed = [_operation(field) for field in file_fields() if write_alias_of(field, alias) == alias]
    with connections[alias].schema_editor() as editor:
        for operation in managed:
            operation.database_forwards(LABEL, editor, state, state)
    try:
        yield
    finally:
        with connections[alias].schema_editor() as editor:
            for operation in managed:
                operation.database_backwards(LABEL, editor, state, state)
        # A backend keeps what it compiled of functions that are gone, and slows down with it.
        connections[alias].close()


def _operation(field: "models.FileField") -> ManageLargeObjects:
    return ManageLargeObjects(field.model.__name__, field.name)
