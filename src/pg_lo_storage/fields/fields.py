"""Model fields whose files are large objects: https://docs.djangoproject.com/en/stable/ref/models/fields/#filefield."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from django.core.files import File
from django.core.files.storage import Storage
from django.db import models
from django.db.models.fields.files import FieldFile, FileDescriptor, ImageFieldFile, ImageFileDescriptor

from pg_lo_storage.checks import register_checks
from pg_lo_storage.fields.files import DbFieldFile, DbImageFieldFile
from pg_lo_storage.fields.following import FollowingField
from pg_lo_storage.lifecycle.remembering import RememberingFileDescriptor, RememberingImageFileDescriptor

if TYPE_CHECKING:
    from typing import Unpack, overload

    from pg_lo_storage.fields.options import FieldOptions

    _StorageOption = Storage | Callable[[], Storage] | None

__all__ = ["DbFileField", "DbImageField"]

register_checks()


class DbFileField(FollowingField):
    """A :class:`~django.db.models.FileField` whose ``storage`` defaults to :data:`db_file_storage`.

    ``upload_to`` is accepted, never called, and has no effect: a name is ``<oid>.<original extension>``.
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


class DbImageField(FollowingField, models.ImageField):  # pyright: ignore[reportIncompatibleVariableOverride]  # as there
    """An :class:`~django.db.models.ImageField` whose ``storage`` defaults to :data:`db_file_storage`."""

    __module__ = "pg_lo_storage.fields"

    attr_class: type[ImageFieldFile] = DbImageFieldFile  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django's
    descriptor_class: type[ImageFileDescriptor] = RememberingImageFileDescriptor  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django's
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
