"""Model fields whose files are large objects: https://docs.djangoproject.com/en/stable/ref/models/fields/#filefield."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Self, cast

from django.core.files import File
from django.core.files.storage import Storage, default_storage
from django.db import models, transaction
from django.db.models.fields.files import FieldFile, FileDescriptor, ImageFieldFile, ImageFileDescriptor
from typing_extensions import override

from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFile, DbFileStorage, db_file_storage

if TYPE_CHECKING:
    from typing import overload

__all__ = ["DbFieldFile", "DbFileField", "DbImageField", "DbImageFieldFile"]


class DbFieldFile(FieldFile):
    """The file of one row."""

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

    @override
    def open(self, mode: str = "rb") -> Self:  # type: ignore[override]  # FieldFile's signature, not File's
        """Open the stored file with a fresh handle, at its start; an upload not saved yet is rewound."""
        self._require_file()
        if not self._committed:
            super().open(mode)
            return self
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
            super().save(name, content, save)

    @override
    def delete(self, save: bool = True) -> None:
        """Delete the file and, with ``save``, save the row without it: both or neither."""
        with self._one_transaction(save):
            super().delete(save)

    @contextmanager
    def _one_transaction(self, save: bool) -> Generator[None]:
        before, storage = (self.name, self._committed), self.storage
        dimensions = (getattr(self.field, "width_field", None), getattr(self.field, "height_field", None))
        attributes = {name: getattr(self.instance, name) for name in dimensions if name}
        alias = storage.write_alias if isinstance(storage, DbFileStorage) else None
        try:
            with transaction.atomic(using=alias) if save and alias else nullcontext():
                yield
        except BaseException:
            # The instance is as its row again, or saving it later would store the name of what was rolled back.
            self.name, self._committed = before
            # Past the descriptor, which would open an image for its dimensions, in a transaction that may be broken.
            vars(self.instance).update(attributes | {self.field.attname: self})
            raise


class DbImageFieldFile(DbFieldFile, ImageFieldFile):
    """The image of one row."""


def get_default_storage() -> Storage:
    """Return Django's own default storage: what a migration names where a field was given just that."""
    return default_storage


if TYPE_CHECKING:

    class _DefaultStorage:
        """Nothing to a checker: Django's own signatures say that storage is optional."""
else:

    class _DefaultStorage:
        """What both fields add to Django's: the storage they default to."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            *before, storage = args if len(args) > self._storage_position else (*args, kwargs.pop("storage", None))
            super().__init__(*before, storage=storage or db_file_storage, **kwargs)

        def deconstruct(self) -> tuple[str, str, list[object], dict[str, object]]:
            name, path, args, kwargs = super().deconstruct()
            if self.storage is db_file_storage:
                kwargs.pop("storage", None)
            elif self.storage is default_storage:
                # FileField leaves out its own default, which is not this one's.
                kwargs["storage"] = get_default_storage
            return name, path, args, kwargs


class DbFileField(_DefaultStorage, models.FileField):
    """A :class:`~django.db.models.FileField` whose ``storage`` defaults to :data:`db_file_storage`.

    ``upload_to`` is accepted and has no effect: a name is ``<loid>.<original extension>``.
    """

    attr_class: type[FieldFile] = DbFieldFile
    _storage_position = 3

    if TYPE_CHECKING:

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
    _storage_position = 4

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # a file's descriptor, where Field promises its own
        def __get__(self, instance: None, owner: object) -> ImageFileDescriptor: ...
        @overload
        def __get__(self, instance: models.Model, owner: object) -> DbImageFieldFile: ...
        @overload
        def __get__(self, instance: object, owner: object) -> Self: ...
        def __get__(self, instance: object, owner: object) -> object: ...
        def __set__(self, instance: models.Model, value: "File[bytes] | str | None") -> None: ...
