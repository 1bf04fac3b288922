"""Model fields whose files are large objects: https://docs.djangoproject.com/en/stable/ref/models/fields/#filefield."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import django
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.storage import Storage, default_storage
from django.db import models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.files import FieldFile, FileDescriptor, ImageFieldFile, ImageFileDescriptor
from django.db.models.signals import class_prepared, post_init, post_save, pre_save
from django.utils.translation import gettext_lazy as _

from pg_lo_storage.checks import register_checks
from pg_lo_storage.databases.references import write_alias_of
from pg_lo_storage.fields.files import DbFieldFile, DbImageFieldFile, prefetch_stored_files
from pg_lo_storage.lifecycle.bulk import hold_with_next
from pg_lo_storage.lifecycle.deletions import follow_deletions
from pg_lo_storage.lifecycle.known import (
    RememberingFileDescriptor,
    RememberingImageFileDescriptor,
    in_step,
    is_committed,
    learn_key,
)
from pg_lo_storage.lifecycle.raw import begin_raw_save, is_saved_raw
from pg_lo_storage.lifecycle.saves import current_save, finish_save, follow_rows
from pg_lo_storage.lifecycle.statements import before_update
from pg_lo_storage.names import LONGEST_NAME, parse_name
from pg_lo_storage.storage import db_file_storage

if TYPE_CHECKING:
    from typing import Unpack, overload

    from pg_lo_storage.fields.options import FieldOptions

    _StorageOption = Storage | Callable[[], Storage] | None

__all__ = ["DbFieldFile", "DbFileField", "DbImageField", "DbImageFieldFile", "prefetch_stored_files"]

# Django's, which it leaves out of migrations.
_DEFAULT_LENGTH: Final = 100


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

        @property
        def max_length(self) -> int | None:
            """How long a name may be; ``None`` where the column, whatever its length, has room for each that is made.

            Forms and serializers take it for the limit of an upload's own name, which is not what is stored.
            """
            length: int | None = vars(self)["max_length"]
            is_enough = length is None or length >= LONGEST_NAME
            return None if is_enough and write_alias_of(self) is not None else length

        @max_length.setter
        def max_length(self, length: int | None) -> None:
            vars(self)["max_length"] = length  # where Django looks for the column's

        def formfield(self, **kwargs: object) -> object:
            unlimited = {} if write_alias_of(self) is None else {"max_length": None}
            return super().formfield(**unlimited | kwargs)

        def generate_filename(self, instance: models.Model, filename: str) -> str:
            if write_alias_of(self) is None:
                return super().generate_filename(instance, filename)
            return self.storage.generate_filename(filename)

        def contribute_to_class(self, cls: type[models.Model], name: str, **kwargs: object) -> None:
            super().contribute_to_class(cls, name, **kwargs)
            if not cls._meta.abstract:
                follow_rows(cls)
                if cls._meta.apps.ready and cls._meta.pk:
                    _follow(cls)  # added to a class that is there already

        def pre_save(self, model_instance: models.Model, add: bool) -> object:
            if write_alias_of(self) is None:
                return super().pre_save(model_instance, add)
            file = getattr(model_instance, self.attname)
            if not isinstance(file, FieldFile):
                message = (
                    f"{self.model.__name__}.{self.name} takes a django.core.files.File, such as"
                    f" ContentFile(data, name=...) or File(opened, name=...), the name of a stored file, or None;"
                    f" not {type(file).__name__}"
                )
                raise TypeError(message)
            save = current_save(model_instance)
            if save is not None:
                # What did not change is not written: another session may have replaced the file since it was read.
                return super().pre_save(model_instance, add) if save.changes(self, file, add=add) else _Unchanged(self)
            # What is not stored yet get_db_prep_save refuses.
            return super().pre_save(model_instance, add) if is_committed(file) else file

        def validate(self, value: object, model_instance: models.Model) -> None:
            super().validate(value, model_instance)
            if write_alias_of(self) is None or not isinstance(value, FieldFile) or not is_committed(value):
                return
            using = model_instance._state.db or router.db_for_write(type(model_instance), instance=model_instance)
            what = in_step(model_instance, self, using)
            stored = what.name if what and what.name is not ... else None
            # As it is saved: a name that can be no stored file's is refused only in the place of one that is.
            is_checked = parse_name(value.name) is not None or parse_name(stored) is not None
            if value.name and value.name != stored and is_checked and not value.storage.exists(value.name):
                message = _("There is no stored file %(name)s any more: choose the file again.")
                raise ValidationError(message, code="missing", params={"name": value.name})

        def get_db_prep_save(self, value: object, connection: BaseDatabaseWrapper) -> object:
            if isinstance(value, File) and not getattr(value, "_committed", False):
                message = (
                    f"{self.model.__name__}.{self.name}: an upload has no stored name yet, and bulk_create(),"
                    f" bulk_update() and update() store no files: save() the rows one by one, or store each file first,"
                    f" with instance.{self.name}.save(name, content, save=False)"
                )
                raise ValueError(message)
            # An instance's is told though it is empty: bulk_update() may clear it.
            if isinstance(value, FieldFile) or (isinstance(value, str) and value):
                self._hold(value, connection)
            prepared = self.get_prep_value(value) if isinstance(value, File) else value
            return super().get_db_prep_save(prepared, connection)

        def get_db_prep_value(self, value: object, connection: BaseDatabaseWrapper, prepared: bool = False) -> object:
            if django.VERSION < (5, 2, 4) and not prepared and isinstance(value, File):
                # There bulk_update() passes get_db_prep_save() by; the validation of constraints comes here rightly.
                if isinstance(value, FieldFile) and is_committed(value):
                    self._hold(value, connection)
                else:
                    before_update(connection, partial(self.get_db_prep_save, value, connection))
            return super().get_db_prep_value(value, connection, prepared)

        def _hold(self, value: FieldFile | str, connection: BaseDatabaseWrapper) -> None:
            is_saved = isinstance(value, FieldFile) and (current_save(value.instance) or is_saved_raw(value))
            if not is_saved and write_alias_of(self) is not None:
                hold_with_next(connection, self, value)

        def deconstruct(self) -> tuple[str, str, list[object], dict[str, object]]:
            name, path, args, kwargs = super().deconstruct()
            if (length := vars(self)["max_length"]) != _DEFAULT_LENGTH:
                kwargs["max_length"] = length
            if "_storage_callable" in vars(self):
                pass  # it stands for whatever it will return
            elif self.storage is db_file_storage:
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

    ``upload_to`` is accepted and has no effect, nor is it called: a name is ``<loid>.<original extension>``.
    """

    __module__ = "pg_lo_storage.fields"

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

    __module__ = "pg_lo_storage.fields"

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
        pre_save.connect(begin_raw_save, sender=sender)
        follow_deletions(sender)


class_prepared.connect(_follow)
