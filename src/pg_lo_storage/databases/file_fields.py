"""The file fields whose files are large objects, and the databases that have the files.

Which one has a file is decided by :mod:`.aliases`; here it is asked for a field, and for the file of an instance.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

from django.apps import apps
from django.apps.registry import Apps
from django.core.files.storage import InvalidStorageError, Storage
from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.db.models.fields.files import FieldFile
from django.db.models.query import QuerySet

from pg_lo_storage.databases.aliases import Aliases, LargeObjectStorage, db_for_write, is_one_database

__all__ = [
    "FILE_DATABASE",
    "ROW_DATABASE",
    "being_read",
    "concrete",
    "database_of",
    "databases_of",
    "databases_with_files",
    "file_fields",
    "follows_rows",
    "is_known_elsewhere",
    "known_alias_of",
    "legacy_of",
    "place",
    "row_database",
    "rows_of",
    "stored_fields",
    "stored_fields_of",
    "stores_large_objects",
    "write_alias_of",
]


ROW_DATABASE: Final = "_pg_lo_row_database"
"""The attribute of a field's file for the database of the row that its name is from, where the instance may go on."""

FILE_DATABASE: Final = "_pg_lo_file_database"
"""The attribute of a field's file for its database, where a field whose files are elsewhere was given it."""

_being_read: ContextVar[tuple[type[models.Model] | None, str | None]] = ContextVar("_being_read", default=(None, None))


def follows_rows(field: "models.FileField") -> bool:
    """Tell whether each of the field's files is on the database of its row."""
    storage = cast("object", field.storage)
    return getattr(field, "follows_rows", False) and isinstance(storage, LargeObjectStorage) and storage.follows_rows


def write_alias_of(field: "models.FileField", using: str) -> str | None:
    """Return the database of the files of rows on ``using``; ``None`` where they are not large objects."""
    # isinstance() takes a lazy storage for what it stands for.
    storage = cast("object", field.storage)
    if not isinstance(storage, LargeObjectStorage):
        return None
    return using if follows_rows(field) else storage.write_alias


def row_database(file: FieldFile) -> str | None:
    """Return the database of the row that a file's name is from; ``None`` where that is not known yet."""
    using: str | None = vars(file).get(ROW_DATABASE)
    return using or database_of(file.instance)


def database_of(instance: models.Model) -> str | None:
    """Return the database that the instance was, or is being, read from, or was saved to; ``None`` if there is none.

    To a new instance that is given a related one Django gives that one's database, though it may be saved to another.
    """
    # Packages give a FieldFile stand-ins that are no models.
    state = getattr(instance, "_state", None)
    if state is None:
        return None
    if "adding" not in vars(state):
        model, alias = _being_read.get()
        return alias if type(instance) is model else None
    using: str | None = state.db
    return using


@contextmanager
def being_read(model: type[models.Model], alias: str) -> Generator[None]:
    """Have an instance of the model that is made meanwhile know its database, which Django says afterwards."""
    token = _being_read.set((model, alias))
    try:
        yield
    finally:
        _being_read.reset(token)


def databases_of(file: FieldFile) -> Aliases | None:
    """Return the databases of an instance's file; ``None`` where they are those of its field's storage."""
    if (alias := vars(file).get(FILE_DATABASE)) is not None:
        return Aliases(alias)
    using: str | None = vars(file).get(ROW_DATABASE) or database_of(file.instance)
    if (using == DEFAULT_DB_ALIAS and not router.routers) or not follows_rows(file.field):
        return None
    instance = file.instance if isinstance(cast("object", file.instance), models.Model) else None
    model = file.field.model
    if using is None:
        return Aliases(router.db_for_write(model, instance=instance))
    return Aliases(using, model, instance)


def known_alias_of(file: FieldFile) -> str | None:
    """Return the database that a stored file is known to be on; ``None`` for a name that only its user gave."""
    storage = cast("object", file.field.storage)
    if not file.name or not isinstance(storage, LargeObjectStorage):
        return None
    databases = databases_of(file)
    if databases is None:
        return storage.write_alias
    return databases.read if vars(file).get(FILE_DATABASE) or row_database(file) else None


def is_known_elsewhere(file: FieldFile, alias: str) -> bool:
    """Tell whether a stored file is known to be on another database than that one, or than one that it replicates."""
    found = known_alias_of(file)
    return found is not None and not is_one_database(file.field.model, found, alias)


def place(file: FieldFile, alias: str | None) -> None:
    """Have a stored file know its database, wherever its instance is, or goes."""
    vars(file).update({ROW_DATABASE: None, FILE_DATABASE: None})
    if follows_rows(file.field):
        vars(file)[ROW_DATABASE] = alias
    elif alias is not None and alias != write_alias_of(file.field, alias):
        vars(file)[FILE_DATABASE] = alias


def stores_large_objects(field: "models.FileField") -> bool:
    """Tell whether a field's files are large objects; those of a storage that cannot be made are none."""
    try:
        return isinstance(cast("object", field.storage), LargeObjectStorage)
    except InvalidStorageError:  # the default storage is made when it is used first, and Django says so then
        return False


def legacy_of(field: "models.Field[Any, Any]") -> Storage | None:
    """Return the storage in which some of the field's files are until they have moved; ``None`` where there is none."""
    storage = cast("object", getattr(field, "storage", None))
    return storage.legacy if isinstance(storage, LargeObjectStorage) else None


def concrete(model: type[models.Model]) -> type[models.Model]:
    """Return the model, or, for a proxy, the model that it stands for."""
    return cast("type[models.Model]", model._meta.concrete_model)


def stored_fields(model: type[models.Model]) -> "list[models.FileField]":
    """Return the file fields of the model's own table whose files are large objects."""
    return _stored(concrete(model)._meta.local_concrete_fields)


def stored_fields_of(model: type[models.Model]) -> "list[models.FileField]":
    """Return the file fields of the model, in all of its tables, whose files are large objects."""
    return _stored(model._meta.concrete_fields)


def file_fields(alias: str | None = None, *registries: Apps) -> "list[models.FileField]":
    """Return the file fields whose files are large objects, of all models of the project and of ``registries``.

    With ``alias``, only those that may have files on that database. A migration's state has its own registry of models.
    """
    fields = {
        field: None
        for registry in (apps, *registries)
        for model in registry.get_models(include_auto_created=True, include_swapped=True)
        for field in stored_fields(model)
    }
    return [field for field in fields if alias is None or write_alias_of(field, alias) == alias]


def databases_with_files() -> list[str]:
    """Return each database that a storage, a setting or a router has for files, in the order of ``DATABASES``."""
    named = {write_alias_of(field, router.db_for_write(field.model)) for field in file_fields()}
    return [alias for alias in connections if alias in named] or [db_for_write()]


def rows_of(model: type[models.Model], using: str) -> "models.QuerySet[models.Model]":
    """Return all rows of the model's table, past its managers."""
    return QuerySet[models.Model](model, using=using)


def _stored(fields: "Iterable[models.Field[object, object]]") -> "list[models.FileField]":
    return [field for field in fields if isinstance(field, models.FileField) and stores_large_objects(field)]
