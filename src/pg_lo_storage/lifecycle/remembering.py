"""Attributes that remember what an instance is loaded with, for :mod:`.known`."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.fields.files import FieldFile, FileDescriptor, ImageFileDescriptor
from typing_extensions import override

from pg_lo_storage.databases.file_fields import follows_rows, known_alias_of, place
from pg_lo_storage.lifecycle.known import (
    AS_IT_WAS,
    AsItWas,
    Known,
    as_it_is,
    key_of,
    known,
    learn,
    learn_first,
    name_of,
)

__all__ = ["RememberingFileDescriptor", "RememberingImageFileDescriptor", "loading"]

# The instance, or the field, whose values are being set as the database has them.
_loading: "ContextVar[models.Model | models.FileField | None]" = ContextVar("_loading", default=None)


@contextmanager
def loading(what: "models.Model | models.FileField") -> Generator[None]:
    """Take what is set meanwhile, on that instance or for that field, as the row's values."""
    token = _loading.set(what)
    try:
        yield
    finally:
        _loading.reset(token)


class _Remembering(FileDescriptor):
    """Remembers what an instance is loaded with; this takes no query, and deferred fields stay deferred."""

    if TYPE_CHECKING:
        field: Any  # a FileField to one base, an ImageField to the other

    @override
    def __get__(self, instance: models.Model | None, owner: type[models.Model] | None = None) -> Any:
        if instance is None:
            return super().__get__(instance, owner)
        if self.field.attname not in vars(instance):
            with loading(self.field):
                super().__get__(instance, owner)
        value: object = vars(instance)[self.field.attname]
        if isinstance(value, FieldFile):
            # A copy of an instance shares the instance's files; it gets its own, as they were when it was made.
            vars(instance)[self.field.attname] = self._own(instance, value, vars(value).get(AS_IT_WAS))
        return super().__get__(instance, owner)

    @override
    def __set__(self, instance: models.Model, value: object) -> None:
        field = self.field
        if isinstance(value, FieldFile):
            value = self._own(instance, value)
        if _loading.get() is instance or _loading.get() is field:
            left = known(instance, field).leaves(instance._state.db or "")
            learn(instance, field, Known(name_of(value), key_of(instance, field), is_loaded=True, left=left))
        elif instance._state.adding and field.attname not in vars(instance) and isinstance(value, str | None):
            # In __init__, of a new instance, too: whether there is a row is asked where it matters.
            learn_first(instance, field, Known(value, key_of(instance, field)))
        super().__set__(instance, value)

    def _own(self, instance: models.Model, file: FieldFile, as_it_was: AsItWas | None = None) -> FieldFile:
        """Return the file as this instance's own, for this field.

        If two instances shared one object, as in Django, a save through one would change the other, whose next save
        would unlink its own file.
        """
        if vars(file).get("instance") is instance and vars(file).get("field") is self.field:
            return file
        name, committed, using = as_it_was or as_it_is(file)
        own: FieldFile = self.field.attr_class(instance, self.field, name)
        if not committed:
            vars(own).update(_file=vars(file).get("_file"), _committed=False)
        elif name:
            # Its name is of a file there, wherever this instance is, or goes.
            place(own, using if follows_rows(file.field) else known_alias_of(file))
        return own


class RememberingFileDescriptor(_Remembering, FileDescriptor):
    """Django's descriptor, with a memory."""


class RememberingImageFileDescriptor(_Remembering, ImageFileDescriptor):
    """Django's descriptor, with a memory."""
