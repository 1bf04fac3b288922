"""The files of rows, as attributes of the fields of :mod:`pg_lo_storage.fields`."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Self, cast

from django.core.files import File
from django.core.files.storage import Storage
from django.db import models, router
from django.db.models.fields.files import FieldFile, ImageFieldFile
from typing_extensions import override

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import Entry
from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.atomic_blocks import atomic
from pg_lo_storage.databases.file_fields import (
    FILE_DATABASE,
    ROW_DATABASE,
    databases_of,
    place,
    row_database,
    stores_large_objects,
    write_alias_of,
)
from pg_lo_storage.lifecycle.known import AS_IT_WAS, Known, Left, as_it_is, known, learn
from pg_lo_storage.lifecycle.leaving import cleans, give_up
from pg_lo_storage.lifecycle.old_files import following, is_old
from pg_lo_storage.lifecycle.saves import RowSave, current_save
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFile, DbFileStorage

if TYPE_CHECKING:

    class _ImageFieldFile(ImageFieldFile):  # with what is missing from the stubs
        def _get_image_dimensions(self) -> tuple[int | None, int | None]: ...

    _BinaryFile = File[bytes]
else:
    _ImageFieldFile = ImageFieldFile
    _BinaryFile = File

__all__ = ["DbFieldFile", "DbImageFieldFile", "prefetch_stored_files"]


class DbFieldFile(FieldFile):
    """The file of one row.

    Its entry in the catalogue is loaded once; see :func:`prefetch_stored_files`.

    :raises FileNotFoundError: when it is used, the file is missing.
    """

    __module__ = "pg_lo_storage.fields"

    entry: Entry | None = None
    """The file's entry in the catalogue; ``None`` where it is not loaded."""

    # The transaction in which the file was opened for writing: the entry may change until it ends.
    _written_in: object = None

    if TYPE_CHECKING:  # used as Django's own subclasses use them, and missing from its stubs
        _committed: bool
        name: str | None

        def _require_file(self) -> None: ...
        def __enter__(self) -> Self: ...
        def __iter__(self) -> Iterator[bytes]: ...
        @property
        def read(self) -> Callable[..., bytes]:
            """Return the file's bytes."""
            ...

    def _get_storage(self) -> Storage:
        own: Storage = vars(self)["storage"]
        databases = databases_of(self)
        return own if databases is None else cast("DbFileStorage", own).on(databases)

    def _set_storage(self, storage: Storage) -> None:
        vars(self)["storage"] = storage

    # The field's own, on the database of the row.
    storage: Storage = cast("Storage", property(_get_storage, _set_storage))

    def __getstate__(self) -> dict[str, object]:
        state: dict[str, object] = super().__getstate__()
        return state | {ROW_DATABASE: row_database(self), FILE_DATABASE: vars(self).get(FILE_DATABASE)}

    def _get_file(self) -> "File[bytes]":
        is_new = getattr(self, "_file", None) is None
        opened = FieldFile.file.fget
        file: File[bytes] = following(self, lambda: opened(self)) if is_new else opened(self)
        if is_new and isinstance(file, DbFile):
            # It was opened by being used: nobody would know to open it again.
            file.stored.reopens = True
        return file

    file: _BinaryFile = FieldFile.file.getter(_get_file)

    @property
    def loid(self) -> int | None:
        """The oid of the stored file; ``None`` where the field is empty, or has an upload or an old file."""
        if not self._committed or (loid := parse_name(self.name)) is None or is_old(self):
            return None
        return loid

    @property
    @override
    def size(self) -> int:
        """The file's size in bytes: the loaded entry's, or else as the server has it now."""
        entry = self.entry
        if self._committed and entry is not None and entry.size is not None and entry.is_named(self.name or ""):
            return entry.size
        return following(self, lambda: super(DbFieldFile, self).size)

    @property
    def original_name(self) -> str | None:
        """The name that the file was saved under; ``None`` without the catalogue, or where the field is empty."""
        entry = self._catalogued
        return entry.original_name if entry else None

    @property
    def content_type(self) -> str | None:
        """The catalogue's media type; without the catalogue, the extension's; ``None`` where the field is empty."""
        entry = self._catalogued
        return entry.content_type if entry else content_type_of(self.name) if self.name else None

    @property
    def sha256(self) -> str | None:
        """The content's digest in hexadecimal; ``None`` as above, after a write in place, and for an adopted file."""
        entry = self._catalogued
        return entry.sha256 if entry else None

    @property
    def created_at(self) -> datetime | None:
        """When the file was saved; ``None`` without the catalogue, or where the field is empty."""
        entry = self._catalogued
        return entry.created_at if entry else None

    @property
    def _catalogued(self) -> Entry | None:
        storage = cast("object", self.storage)
        if not (self.name and self._committed and isinstance(storage, DbFileStorage) and catalogue.is_installed()):
            return None
        if self.entry is not None and self.entry.is_named(self.name):
            return self.entry
        if storage.legacy is not None and is_old(self):
            return None
        entry = following(self, lambda: storage.entry(cast("str", self.name)))
        if self._written_in is None or self._written_in is not DatabaseDriver(storage.write_alias).transaction_marker:
            self.entry = entry
        return entry

    @override
    def open(self, mode: str = "rb") -> Self:  # type: ignore[override]  # FieldFile's signature, not File's
        """Open the stored file anew, at its start; rewind an upload that is not saved yet."""
        self._require_file()
        if not self._committed:
            super().open(mode)
            return self
        if mode not in {"rb", "r"}:
            self.entry = None  # writing changes it
            if isinstance(storage := cast("object", self.storage), DbFileStorage):
                self._written_in = DatabaseDriver(storage.write_alias).transaction_marker
        current: File[bytes] | None = getattr(self, "_file", None)
        if isinstance(current, DbFile) and current.name == self.name:
            current.open(mode)
        else:
            if current is not None:
                current.close()
            self.file = following(self, lambda: self.storage.open(cast("str", self.name), mode))
        return self

    @override
    def save(self, name: str, content: "File[bytes] | File[str]", save: bool = True) -> None:
        """Store ``content`` and, with ``save``, its row: both or neither."""
        instance, field, going_on = self.instance, self.field, current_save(self.instance)
        alias = (going_on and going_on.aliases.get(field.attname)) or self._alias_with_row(going_on)
        with self._one_transaction(alias if save else None) as memory:
            vars(self).update({ROW_DATABASE: alias, FILE_DATABASE: None})
            super().save(name, content, save=False)
            self.entry = None
            if alias is not None:
                if going_on is None or instance._state.db not in {None, alias}:
                    place(getattr(instance, field.attname), alias)  # Django has made another file of the name
                # If another file takes its place before the row is saved, no row will ever have named this one.
                learn(instance, field, replace(memory, left=(*memory.left, Left(alias, cast("str", self.name)))))
            if save:
                learn(instance, field, own=self.name)
                try:
                    instance.save()
                finally:
                    learn(instance, field, own=None)

    @override
    def delete(self, save: bool = True) -> None:
        """Delete the file and, with ``save``, save the row without it: both or neither.

        A file that another row names stays, where the field has ``cleanup``.
        """
        alias = self._alias_with_row(current_save(self.instance)) if save else None
        if not self or not cleans(self.field) or not stores_large_objects(self.field):
            with self._one_transaction(alias):
                super().delete(save)
            return
        with self._one_transaction(alias):
            if self._committed and hasattr(self, "_file"):
                self.close()
            vars(self).pop("_file", None)
            if self._committed:
                left = Left(cast("DbFileStorage", self.storage).write_alias, cast("str", self.name))
                give_up(self.instance, self.field, left, now=not save)
            self.name = None
            setattr(self.instance, self.field.attname, None)
            self._committed = False
            if save:
                self.instance.save()

    def _alias_with_row(self, going_on: RowSave | None) -> str | None:
        """Return the database that a file is stored on when the row is saved; ``None`` where it is no large object."""
        if going_on is not None:
            return write_alias_of(self.field, going_on.using)
        instance = self.instance if isinstance(cast("object", self.instance), models.Model) else None
        model = self.field.model if instance is None else type(instance)
        return write_alias_of(self.field, router.db_for_write(model, instance=instance))

    @contextmanager
    def _one_transaction(self, alias: str | None) -> Generator[Known]:
        """Do both or neither, in a transaction on ``alias``, if any; yield what is known of the field before."""
        before = as_it_is(self) if self._committed else (self.name, False, None)
        vars(self).setdefault(AS_IT_WAS, before)
        memory = known(self.instance, self.field)
        upload = None if self._committed else vars(self).get("_file")
        attributes: dict[str, object] = {}
        for dimension in (getattr(self.field, "width_field", None), getattr(self.field, "height_field", None)):
            if dimension:
                attributes[dimension] = getattr(self.instance, dimension)
        try:
            with atomic(alias) if alias else nullcontext():
                yield memory
        except BaseException:
            # The instance is as its row again; else a later save would store the name of a file that was rolled back.
            self.name, self._committed, before_on = before
            place(self, before_on)
            if upload is not None:
                vars(self)["_file"] = upload
            learn(self.instance, self.field, memory)
            # Django's descriptor is passed by: it would open an image for its dimensions, in a transaction that may be
            # broken.
            vars(self.instance).update(attributes | {self.field.attname: self})
            raise


class DbImageFieldFile(DbFieldFile, _ImageFieldFile):
    """The image of one row."""

    __module__ = "pg_lo_storage.fields"

    @override
    def _get_image_dimensions(self) -> tuple[int | None, int | None]:
        file: object = getattr(self, "_file", None)
        own = file if isinstance(file, DbFile) and file.stored.reopens else None
        dimensions = super()._get_image_dimensions()
        if own is not None and own.stored.closed is False and not own.stored.reopens:
            # Asking for the dimensions opened the file again: nobody else would close it.
            own.close()
            vars(self)["_file"] = None
        return dimensions


def prefetch_stored_files(instances: Iterable[models.Model], *fields: str) -> None:
    """Load the entries of many rows' files, in one query per storage and database.

    ``fields`` are the names of the file fields. Missing files are left out; without the catalogue nothing is done.
    """
    if not catalogue.is_installed():
        return
    files: defaultdict[tuple[object, str | None], list[DbFieldFile]] = defaultdict(list)
    for instance in instances:
        for field in fields:
            file: object = getattr(instance, field)
            if isinstance(file, DbFieldFile) and parse_name(file.name) and stores_large_objects(file.field):
                databases = databases_of(file)
                files[vars(file)["storage"], databases.read if databases else None].append(file)
    for some in files.values():
        storage = cast("DbFileStorage", some[0].storage)
        entries = storage.entries({cast("str", file.name) for file in some})
        for file in some:
            file.entry = entries.get(cast("str", file.name))
