"""What both fields add to Django's: another default storage, and files that follow their rows."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Final, cast

import django
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.storage import Storage, default_storage
from django.db import models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.files import FieldFile
from django.db.models.signals import class_prepared, post_init, post_save, pre_save
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from pg_lo_storage.databases.file_fields import stores_large_objects
from pg_lo_storage.fields.indexes import bring_indexes
from pg_lo_storage.lifecycle.bulk import hold_with_next
from pg_lo_storage.lifecycle.deletions import follow_deletions
from pg_lo_storage.lifecycle.known import in_step, is_committed, learn_key
from pg_lo_storage.lifecycle.methods import follow_rows
from pg_lo_storage.lifecycle.raw import begin_raw_save, is_saved_raw
from pg_lo_storage.lifecycle.receivers import connect
from pg_lo_storage.lifecycle.saves import current_save, finish_save
from pg_lo_storage.lifecycle.statements import before_update
from pg_lo_storage.names import LONGEST_NAME, parse_name
from pg_lo_storage.storage import db_file_storage

__all__ = ["FollowingField", "get_default_storage"]

# Django's default, which it leaves out of migrations.
_DEFAULT_LENGTH: Final = 100


class _Unchanged:
    """The column itself, with which an UPDATE leaves it as it is.

    ``F()`` will not do: Django 6.0 reads the values of expressions back, and would open an image for its dimensions.
    """

    def __init__(self, field: "models.FileField") -> None:
        self._column = str(field.column)

    def as_sql(self, _compiler: object, connection: BaseDatabaseWrapper) -> tuple[str, list[object]]:
        return connection.ops.quote_name(self._column), []


def get_default_storage() -> Storage:
    """Return Django's own default storage; a migration names this function where a field was given that storage."""
    return default_storage


class FollowingField(models.FileField):
    """A file field whose files are large objects, unless it is given another storage, and follow its rows.

    :class:`DbImageField` inherits from Django's image field after this one.
    """

    follows_rows: ClassVar[bool] = True
    """Whether a file is on the database of its row, where neither the storage nor the settings name another."""

    # How many positional arguments there may be before the storage.
    _storage_position: ClassVar[int]

    def __init__(self, *args: Any, cleanup: bool = True, db_index: bool | None = None, **kwargs: Any) -> None:
        *before, storage = args if len(args) > self._storage_position else (*args, kwargs.pop("storage", None))
        kwargs["storage"] = storage or db_file_storage
        super().__init__(*before, db_index=bool(db_index), **kwargs)
        self.cleanup = cleanup
        self.brings_index: bool = db_index is None
        self._declines_index = db_index is False

    @property
    def max_length(self) -> int | None:
        """How long a name may be; ``None`` where the column has room for every stored name.

        Forms and serializers would take a number for the limit of an upload's own name, which is not stored.
        """
        length: int | None = vars(self)["max_length"]
        is_enough = length is None or length >= LONGEST_NAME
        return None if is_enough and stores_large_objects(self) else length

    @max_length.setter
    def max_length(self, length: int | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]  # as one
        vars(self)["max_length"] = length  # where Django looks for the column's

    @override
    def formfield(self, **kwargs: Any) -> Any:
        if stores_large_objects(self):
            kwargs.setdefault("max_length", None)
        return super().formfield(**kwargs)

    @override
    def generate_filename(self, instance: models.Model, filename: Any) -> str:
        if not stores_large_objects(self):
            return super().generate_filename(instance, filename)
        return self.storage.generate_filename(filename)

    @override
    def contribute_to_class(
        self, cls: type[models.Model], name: str, private_only: bool = False, **kwargs: Any
    ) -> None:
        super().contribute_to_class(cls, name, private_only=private_only, **kwargs)
        if not cls._meta.abstract:
            follow_rows(cls)
            if cls._meta.apps.models_ready and vars(cls._meta)["pk"]:
                _follow(cls)  # added to a class that exists already

    @override
    def pre_save(self, model_instance: models.Model, add: bool) -> object:
        if not stores_large_objects(self):
            return super().pre_save(model_instance, add)
        file: object = getattr(model_instance, self.attname)
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
        # get_db_prep_save refuses what is not stored yet.
        return super().pre_save(model_instance, add) if is_committed(file) else file

    @override
    def validate(self, value: object, model_instance: models.Model | None) -> None:
        super().validate(value, model_instance)
        if model_instance is None or not stores_large_objects(self):
            return
        if not isinstance(value, FieldFile) or not is_committed(value):
            return
        using = model_instance._state.db or router.db_for_write(type(model_instance), instance=model_instance)
        memory = in_step(model_instance, self, using)
        stored = memory.name if memory and memory.name is not ... else None
        # As when it is saved: a name that is no stored name is refused only where it would replace one.
        is_checked = parse_name(value.name) is not None or parse_name(stored) is not None
        if value.name and value.name != stored and is_checked and not value.storage.exists(value.name):
            message = _("There is no stored file %(name)s any more: choose the file again.")
            raise ValidationError(message, code="missing", params={"name": value.name})

    @override
    def get_db_prep_save(self, value: object, connection: BaseDatabaseWrapper) -> object:
        if isinstance(value, File) and not getattr(cast("object", value), "_committed", False):
            message = (
                f"{self.model.__name__}.{self.name}: an upload has no stored name yet, and bulk_create(),"
                f" bulk_update() and update() store no files: save() the rows one by one, or store each file first,"
                f" with instance.{self.name}.save(name, content, save=False)"
            )
            raise ValueError(message)
        # An instance's file counts though it is empty: bulk_update() may clear the column.
        if isinstance(value, FieldFile) or (isinstance(value, str) and value):
            self._hold(value, connection)
        prepared = self.get_prep_value(value) if isinstance(value, File) else value
        return super().get_db_prep_save(prepared, connection)

    if django.VERSION < (5, 2, 4):

        @override
        def get_db_prep_value(self, value: object, connection: BaseDatabaseWrapper, prepared: bool = False) -> object:
            # In these releases bulk_update() does not call get_db_prep_save(). The validation of constraints may call
            # this, too.
            if not prepared and isinstance(value, File):
                if isinstance(value, FieldFile) and is_committed(value):
                    self._hold(value, connection)
                else:
                    before_update(connection, partial(self.get_db_prep_save, value, connection))
            return super().get_db_prep_value(value, connection, prepared)

    def _hold(self, value: FieldFile | str, connection: BaseDatabaseWrapper) -> None:
        is_saved = isinstance(value, FieldFile) and (current_save(value.instance) or is_saved_raw(value))
        if not is_saved and stores_large_objects(self):
            hold_with_next(connection, self, value)

    @override
    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
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
        if self._declines_index:
            kwargs["db_index"] = False
        return name, path, args, kwargs


def _follow(sender: type[models.Model], **_signal: object) -> None:
    fields = sender._meta.concrete_fields
    files = [index for index, field in enumerate(fields) if isinstance(field, FollowingField)]
    if files:
        if any(fields.index(part) > files[0] for part in sender._meta.pk_fields):
            connect(post_init, learn_key, sender)
        # This comes before the project's own receivers, which cannot name the class before it exists.
        connect(post_save, finish_save, sender)
        connect(pre_save, begin_raw_save, sender)
        follow_deletions(sender)
        own = sender._meta.local_concrete_fields
        bring_indexes(sender, [field for field in own if isinstance(field, FollowingField) and field.brings_index])


class_prepared.connect(_follow)
