"""Files that an instance takes along when it is saved to another database: each is stored there as an upload."""

from collections.abc import Callable
from typing import cast

from django.db import models
from django.db.models.fields.files import FieldFile

from pg_lo_storage import catalogue
from pg_lo_storage.databases.aliases import is_one_database
from pg_lo_storage.databases.file_fields import ROW_DATABASE, database_of, follows_rows, place, stored_fields_of
from pg_lo_storage.lifecycle.known import AsItWas, as_it_is, is_committed, learn
from pg_lo_storage.storage import DbFile, DbFileStorage

__all__ = ["become_upload", "moves", "pin", "put_back", "refreshing", "source_of"]


def moves(instance: models.Model, using: str) -> bool:
    """Tell whether an instance that is saved there goes to another database, and not back from a replica of it."""
    database = database_of(instance)
    return database is not None and not is_one_database(type(instance), database, using)


def pin(instance: models.Model) -> None:
    """Have the instance's files know the database that they are on, before the instance goes to another."""
    for field in stored_fields_of(type(instance)):
        if field.attname in vars(instance):
            file: object = getattr(instance, field.attname)
            if isinstance(file, FieldFile) and is_committed(file):
                place(file, as_it_is(file)[2])


def refreshing(instance: models.Model, refresh: Callable[[], None]) -> None:
    """Refresh an instance, which may go to another database by that; its other files stay where they are."""
    before, values = database_of(instance), {**vars(instance)}
    refresh()
    if before is None or before == instance._state.db or not moves(instance, before):
        return
    for field in stored_fields_of(type(instance)):
        value = vars(instance).get(field.attname)
        if field.attname not in values or value is not values[field.attname]:
            continue
        file: object = getattr(instance, field.attname)
        if isinstance(file, FieldFile) and is_committed(file) and follows_rows(field):
            place(file, vars(file).get(ROW_DATABASE) or before)
        # Nobody knows what the row there has.
        learn(instance, field, name=...)


def source_of(file: FieldFile) -> str:
    """Return the database that the file is read from."""
    return cast("DbFileStorage", file.storage).read_alias


def become_upload(file: FieldFile) -> DbFile:
    """Make of a stored file an upload of its bytes, with its original name and type; return these, opened.

    They are read while the upload is stored, block by block.

    :raises LargeObjectNotFound: there is no such file.
    """
    storage, name = cast("DbFileStorage", file.storage), cast("str", file.name)
    entry = storage.entry(name) if catalogue.is_installed() else None
    upload, opened = storage.open(name), vars(file).get("_file")
    if isinstance(opened, DbFile):
        opened.close()  # nobody else would
    if entry is not None:
        file.name = entry.original_name or name
        vars(upload)["content_type"] = entry.content_type
    vars(file).update(_file=upload, _committed=False)
    return upload


def put_back(file: FieldFile, was: AsItWas) -> None:
    """Make the file what it was, where what was saved of it is rolled back."""
    file.name, vars(file)["_committed"], alias = was
    if was[1]:
        vars(file).pop("_file", None)
        place(file, alias)
    vars(file.instance)[file.field.attname] = file
