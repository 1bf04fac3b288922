"""Model fields whose files are large objects: https://docs.djangoproject.com/en/stable/ref/models/fields/#filefield."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Self, cast

from django.core.files import File
from django.core.files.storage import Storage, default_storage
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.files import FieldFile, FileDescriptor, ImageFieldFile, ImageFileDescriptor
from django.db.models.signals import class_prepared, post_init, post_save
from typing_extensions import override

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import Entry
from pg_lo_storage.checks import register_checks
from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.lifecycle.deletions import follow_deletions
from pg_lo_storage.lifecycle.known import (
    RememberingFileDescriptor,
    RememberingImageFileDescriptor,
    forget,
    is_committed,
    known,
    learn,
    learn_key,
    memory_of,
    restore_memory,
)
from pg_lo_storage.lifecycle.references import write_alias_of
from pg_lo_storage.lifecycle.saves import cleans, current_save, finish_save, follow_saves, give_up, hold_with_next
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFile, DbFileStorage, db_file_storage

if TYPE_CHECKING:
    from typing import Unpack, overload

    from pg_lo_storage.field_options import FieldOptions

    _StorageOption = Storage | Callable[[], Storage] | None

__all__ = ["DbFieldFile", "DbFileField", "DbImageField", "DbImageFieldFile", "prefetch_stored_files"]


class DbFieldFile(FieldFile):
    """The file of one row.

    What the catalogue says of it is asked for once; see :func:`prefetch_stored_files`. It raises
    :exc:`FileNotFoundError` where the file is missing.
    """

    entry: Entry | None = None
    """What the catalogue was found to say; ``None`` where it has not been asked."""

    if TYPE_CHECKING:  # used as Django's own subclasses use them, and missing from its stubs
        _committed: bool
        name: str | None
        file: File[bytes]

        def _require_file(self) -> None: ...
        def __enter__(self) -> Self: ...
        def __iter__(self) -> Iterator[bytes]: ...
        @property
        def read(self) -> Callable[..., bytes]:
            """Return the file's bytes."""
            ...

    @property
    def loid(self) -> int | None:
        """The oid of the stored file; ``None`` where the field is empty or the upload is not saved yet."""
        return parse_name(self.name) if self._committed else None

    @property
    def original_name(self) -> str | None:
        """The name that the file was saved under; without the catalogue, or empty, ``None``."""
        entry = self._catalogued
        return entry.original_name if entry else None

    @property
    def content_type(self) -> str | None:
        """The media type that the catalogue has; without one, what the extension means; empty, ``None``."""
        entry = self._catalogued
        return entry.content_type if entry else content_type_of(self.name) if self.name else None

    @property
    def sha256(self) -> str | None:
        """The content's digest in hexadecimal; ``None`` after a write in place, of an adopted file, or as above."""
        entry = self._catalogued
        return entry.sha256 if entry else None

    @property
    def created_at(self) -> datetime | None:
        """When the file was saved; without the catalogue, or empty, ``None``."""
        entry = self._catalogued
        return entry.created_at if entry else None

    @property
    def _catalogued(self) -> Entry | None:
        storage = cast("object", self.storage)
        if not (self.name and self._committed and isinstance(storage, DbFileStorage) and catalogue.is_installed()):
            return None
        if self.entry is None or not self.entry.is_named(self.name):
            self.entry = storage.entry(self.name)
        return self.entry

    @override
    def open(self, mode: str = "rb") -> Self:  # type: ignore[override]  # FieldFile's signature, not File's
        """Open the stored file with a fresh handle, at its start; an upload not saved yet is rewound."""
        self._require_file()
        if not self._committed:
            super().open(mode)
            return self
        if mode not in {"rb", "r"}:
            self.entry = None  # writing makes it say something else
        current: File[bytes] | None = getattr(self, "_file", None)
        if isinstance(current, DbFile) and current.loid == self.loid:
            current.open(mode)
        else:
            if current is not None:
                current.close()
            self.file = self.storage.open(cast("str", self.name), mode)
        return self

    @override
    def save(self, name: str, content: "File[bytes] | File[str]", save: bool = True) -> None:
        """Store ``content`` and, with ``save``, its row: both or neither."""
        with self._one_transaction(save):
            super().save(name, content, save=False)
            if write_alias_of(self.field) is not None:
                # Should another take its place before the row is saved, no row will ever have named it.
                learn(self.instance, self.field, left=(*known(self.instance, self.field).left, cast("str", self.name)))
            if save:
                self.instance.save()

    @override
    def delete(self, save: bool = True) -> None:
        """Delete the file and, with ``save``, save the row without it: both or neither.

        Of a field with ``cleanup`` a file that another row names stays.
        """
        if not self or not cleans(self.field) or write_alias_of(self.field) is None:
            with self._one_transaction(save):
                super().delete(save)
            return
        with self._one_transaction(save):
            if hasattr(self, "_file"):
                self.close()
                del self.file
            if self._committed:
                give_up(self.instance, self.field, cast("str", self.name), now=not save)
            self.name = None
            setattr(self.instance, self.field.attname, None)
            self._committed = False
            if save:
                self.instance.save()

    @contextmanager
    def _one_transaction(self, save: bool) -> Generator[None]:
        before, storage, memory = (self.name, self._committed), self.storage, memory_of(self.instance)
        dimensions = (getattr(self.field, "width_field", None), getattr(self.field, "height_field", None))
        attributes = {name: getattr(self.instance, name) for name in dimensions if name}
        alias = storage.write_alias if isinstance(storage, DbFileStorage) else None
        try:
            with transaction.atomic(using=alias) if save and alias else nullcontext():
                yield
        except BaseException:
            # The instance is as its row again, or saving it later would store the name of what was rolled back.
            self.name, self._committed = before
            restore_memory(self.instance, memory)
            # Past the descriptor, which would open an image for its dimensions, in a transaction that may be broken.
            vars(self.instance).update(attributes | {self.field.attname: self})
            raise


class DbImageFieldFile(DbFieldFile, ImageFieldFile):
    """The image of one row."""


def prefetch_stored_files(instances: Iterable[models.Model], *fields: str) -> None:
    """Load what the catalogue says of the files of many rows, in one query a storage.

    ``fields`` are the names of their file fields. Files that are missing are left out; without the catalogue this does
    nothing.
    """
    if not catalogue.is_installed():
        return
    files: defaultdict[DbFileStorage, list[DbFieldFile]] = defaultdict(list)
    for instance in instances:
        for field in fields:
            file: object = getattr(instance, field)
            if isinstance(file, DbFieldFile) and file.loid and isinstance(file.storage, DbFileStorage):
                files[file.storage].append(file)
    for storage, some in files.items():
        entries = storage.entries({cast("str", file.name) for file in some})
        for file in some:
            file.entry = entries.get(cast("str", file.name))


class _Unchanged:
    """The column itself, where an UPDATE is to leave it as it is.

    Not ``F()``: Django 6.0 reads back what expressions gave, and an image would be opened for its dimensions.
    """

    def __init__(self, field: "models.FileField") -> None:
        self._column = str(field.column)

    def as_sql(self, _compiler: object, connection: BaseDatabaseWrapper) -> tuple[str, list[object]]:
        return connection.ops.quote_name(self._column), []


def get_default_storage() -> Storage:
    """Return Django's own default storage: what a migration names where a field was given just that."""
    return default_storage


if TYPE_CHECKING:

    class _DefaultStorage:
        """Nothing to a checker: Django's own signatures say that storage is optional."""
else:

    class _DefaultStorage:
        """What both fields add to Django's: the storage they default to, and the files' life with their rows."""

        def __init__(self, *args: object, cleanup: bool = True, **kwargs: object) -> None:
            *before, storage = args if len(args) > self._storage_position else (*args, kwargs.pop("storage", None))
            super().__init__(*before, storage=storage or db_file_storage, **kwargs)
            self.cleanup = cleanup

        def contribute_to_class(self, cls: type[models.Model], name: str, **kwargs: object) -> None:
            super().contribute_to_class(cls, name, **kwargs)
            if not cls._meta.abstract:
                follow_saves(cls)
                if cls._meta.apps.ready and cls._meta.pk:
                    _follow(cls)  # added to a class that is there already

        def pre_save(self, model_instance: models.Model, add: bool) -> object:
            if write_alias_of(self) is None:
                return super().pre_save(model_instance, add)
            file = getattr(model_instance, self.attname)
            save = current_save(model_instance)
            if save is not None:
                # What did not change is not written: another session may have replaced the file since it was read.
                return super().pre_save(model_instance, add) if save.changes(self, file, add=add) else _Unchanged(self)
            if not is_committed(file):
                return file  # get_db_prep_save refuses it
            if file.name:
                hold_with_next(self, model_instance, file.name)
            return super().pre_save(model_instance, add)

        def get_db_prep_save(self, value: object, connection: BaseDatabaseWrapper) -> object:
            if isinstance(value, File) and not getattr(value, "_committed", False):
                message = (
                    f"{self.model.__name__}.{self.name}: an upload has no stored name yet, and bulk_create(),"
                    f" bulk_update() and update() store no files: save() the rows one by one, or store each file first,"
                    f" with instance.{self.name}.save(name, content, save=False)"
                )
                raise ValueError(message)
            if isinstance(value, FieldFile) and current_save(value.instance) is None:
                forget(value.instance, self, value.name)  # a bulk statement writes it
            return super().get_db_prep_save(value, connection)

        def deconstruct(self) -> tuple[str, str, list[object], dict[str, object]]:
            name, path, args, kwargs = super().deconstruct()
            if self.storage is db_file_storage:
                kwargs.pop("storage", None)
            elif self.storage is default_storage:
                # FileField leaves out its own default, which is not this one's.
                kwargs["storage"] = get_default_storage
            if not self.cleanup:
                kwargs["cleanup"] = False
            return name, path, args, kwargs


register_checks()


class DbFileField(_DefaultStorage, models.FileField):
    """A :class:`~django.db.models.FileField` whose ``storage`` defaults to :data:`db_file_storage`.

    ``upload_to`` is accepted and has no effect: a name is ``<loid>.<original extension>``.
    """

    attr_class: type[FieldFile] = DbFieldFile
    descriptor_class: type[FileDescriptor] = RememberingFileDescriptor
    _storage_position = 3

    if TYPE_CHECKING:

        def __init__(
            self,
            verbose_name: object = None,
            name: str | None = None,
            upload_to: object = "",
            storage: _StorageOption = None,
            **options: Unpack[FieldOptions],
        ) -> None: ...

        @overload  # type: ignore[override]  # a file's descriptor, where Field promises its own
        def __get__(self, instance: None, owner: object) -> FileDescriptor: ...
        @overload
        def __get__(self, instance: models.Model, owner: object) -> DbFieldFile: ...
        @overload
        def __get__(self, instance: object, owner: object) -> Self: ...
        def __get__(self, instance: object, owner: object) -> object: ...
        def __set__(self, instance: models.Model, value: "File[bytes] | File[str] | str | None") -> None: ...


class DbImageField(_DefaultStorage, models.ImageField):
    """An :class:`~django.db.models.ImageField` whose ``storage`` defaults to :data:`db_file_storage`."""

    attr_class: type[ImageFieldFile] = DbImageFieldFile
    descriptor_class: type[ImageFileDescriptor] = RememberingImageFileDescriptor
    _storage_position = 4

    if TYPE_CHECKING:

        def __init__(
            self,
            verbose_name: object = None,
            name: str | None = None,
            width_field: str | None = None,
            height_field: str | None = None,
            *,
            upload_to: object = "",
            storage: _StorageOption = None,
            **options: Unpack[FieldOptions],
        ) -> None: ...

        @overload  # type: ignore[override]  # a file's descriptor, where Field promises its own
        def __get__(self, instance: None, owner: object) -> ImageFileDescriptor: ...
        @overload
        def __get__(self, instance: models.Model, owner: object) -> DbImageFieldFile: ...
        @overload
        def __get__(self, instance: object, owner: object) -> Self: ...
        def __get__(self, instance: object, owner: object) -> object: ...
        def __set__(self, instance: models.Model, value: "File[bytes] | str | None") -> None: ...


def _follow(sender: type[models.Model], **_signal: object) -> None:
    fields = sender._meta.concrete_fields
    files = [index for index, field in enumerate(fields) if isinstance(field, DbFileField | DbImageField)]
    if files:
        if any(fields.index(part) > files[0] for part in sender._meta.pk_fields):
            post_init.connect(learn_key, sender=sender)
        # Before any receiver of the project's own: the class was not there to be named.
        post_save.connect(finish_save, sender=sender)
        follow_deletions(sender)


class_prepared.connect(_follow)
