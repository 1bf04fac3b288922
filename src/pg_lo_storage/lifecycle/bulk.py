"""The names that statements for many rows write: ``bulk_create()``, ``bulk_update()`` and ``update()``.

Django asks a field for each value, and then executes the statement; just before, the files that it names are held.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import partial
from typing import cast
from weakref import WeakKeyDictionary

from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.files import FieldFile

from pg_lo_storage.databases.file_fields import is_known_elsewhere, known_alias_of, write_alias_of
from pg_lo_storage.lifecycle.known import Known, Scope, key_of, known, learn
from pg_lo_storage.lifecycle.old_files import Place, is_old
from pg_lo_storage.lifecycle.sharing import require
from pg_lo_storage.lifecycle.statements import before_next_statement

__all__ = ["hold_with_next"]


@dataclass
class _Names:
    """The names that go into one table, by the files' place, and those files that belong to instances."""

    by_place: dict[Place, set[str]] = dataclass_field(default_factory=dict[Place, set[str]])
    files: list[tuple["models.FileField", FieldFile]] = dataclass_field(
        default_factory=list[tuple["models.FileField", FieldFile]]
    )


_waiting: "WeakKeyDictionary[BaseDatabaseWrapper, dict[str, _Names]]" = WeakKeyDictionary()


def hold_with_next(connection: BaseDatabaseWrapper, field: "models.FileField", value: FieldFile | str) -> None:
    """Hold a file whose name the connection's next statement writes, together with its other files.

    An empty value names no file. Where it is an instance's, the instance learns with the statement that its row has
    none.
    """
    alias = cast("str", write_alias_of(field, connection.alias))
    _require_on(alias, field, value)
    if connection not in _waiting:
        before_next_statement(connection, partial(_held, connection))
    table = connection.ops.quote_name(field.model._meta.db_table)
    names = _waiting.setdefault(connection, {}).setdefault(table, _Names())
    if value:
        names.by_place.setdefault(Place.of(field, alias), set()).add(str(value))
    if isinstance(value, FieldFile) and vars(value).get("field") is field:
        names.files.append((field, value))


def _require_on(alias: str, field: "models.FileField", value: FieldFile | str) -> None:
    """Require that the file is on that database, as far as its instance knows; a plain name says nothing."""
    if isinstance(value, FieldFile) and is_known_elsewhere(value, alias) and not is_old(value):
        message = (
            f"{field.model.__name__}.{field.name}: {str(value)!r} is a file on the database {known_alias_of(value)!r},"
            f" and a row that keeps its files on {alias!r} cannot name it: save(using={alias!r}) the rows one by one,"
            " which copies their files; bulk_create(), bulk_update() and update() copy none"
        )
        raise ValueError(message)


@contextmanager
def _held(connection: BaseDatabaseWrapper, sql: str, params: object) -> Generator[None]:
    waiting = _waiting.pop(connection)
    # This may be another statement, where the bulk statement failed before it was executed.
    starts = {table: (f"INSERT INTO {table} ", f"UPDATE {table} ") for table in waiting}
    names = next((waiting[table] for table, start in starts.items() if sql.startswith(start)), None)
    if names is None:
        yield
        return
    using = connection.alias
    values = cast("Sequence[object]", params)
    given = set(_strings(values))
    scope = None if connection.get_autocommit() else Scope(using)
    # Django 6 runs bulk_create() in autocommit where it is one statement.
    with transaction.atomic(using=using, savepoint=False) if names.by_place else nullcontext():
        for (alias, storage), some in names.by_place.items():
            with transaction.atomic(using=alias, savepoint=False):
                require(alias, some & given, using, storage=storage)
        yield
    is_insert, written = sql.startswith("INSERT "), _written(sql, values, names.files)
    for field, file in names.files:
        instance, key = file.instance, key_of(file.instance, field)
        left = tuple(left for left in known(instance, field).leaves(using) if left.name != file.name)
        if is_insert and file.name and " ON CONFLICT " in sql:
            learn(instance, field, name=...)  # another row may exist, and have another file
        elif is_insert:
            learn(instance, field, Known(file.name, left=left))  # of the row that it comes to be
        elif _said(key, file.name) in written:
            past = known(instance, field).all() if scope else ()
            learn(instance, field, Known(file.name, key, left=left, scope=scope, past=past))


def _strings(params: Sequence[object]) -> Iterator[str]:
    """Yield the strings among a statement's parameters; one parameter may be the column of many rows."""
    for value in params:
        for part in cast("list[object]", value) if isinstance(value, list) else (value,):
            if isinstance(part, str):
                yield part


def _said(key: object, name: str | None) -> tuple[object, ...]:
    """Return the parameters of WHEN key THEN name; Django writes the empty string for no file."""
    return *cast("tuple[object, ...]", key if isinstance(key, tuple) else (key,)), name or ""


def _written(
    sql: str, params: Sequence[object], files: Sequence[tuple["models.FileField", FieldFile]]
) -> set[tuple[object, ...]]:
    """Return what a statement of bulk_update() may say of rows: each run of a key and a name in its parameters."""
    found = set[tuple[object, ...]]()
    if files and " CASE WHEN " in sql.replace("(", " "):
        size = len(files[0][0].model._meta.pk_fields) + 1
        for end in range(size, len(params) + 1):
            with suppress(TypeError):  # no key is of such a type
                found.add(tuple(params[end - size : end]))
    return found
