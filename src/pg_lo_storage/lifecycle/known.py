"""What an instance knows, without asking, of the file names that its row holds.

It stands in the instance's state, in a dictionary that is replaced and never changed: copies of an instance share it,
and it is pickled with them.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from django.db import connections, models
from django.db.models.fields.files import FieldFile, FileDescriptor, ImageFileDescriptor
from typing_extensions import override

if TYPE_CHECKING:
    _Descriptor = FileDescriptor
else:
    _Descriptor = object

__all__ = [
    "Known",
    "RememberingFileDescriptor",
    "RememberingImageFileDescriptor",
    "Scope",
    "forget",
    "is_committed",
    "key_of",
    "known",
    "learn",
    "learn_key",
    "memory_of",
    "name_of",
    "restore_memory",
    "stored_name",
]

_KEY: Final = "pg_lo_known"


class Scope:
    """A transaction that is still open, up to its next savepoint that is rolled back."""

    def __init__(self, using: str | None = None) -> None:
        # Django replaces the list whenever it ends a transaction or rolls a savepoint back.
        self._hooks = connections[using].run_on_commit if using else None

    def is_open(self, using: str) -> bool:
        """Tell whether what was written in it still stands."""
        return self._hooks is connections[using].run_on_commit

    @override
    def __reduce__(self) -> tuple[type["Scope"], tuple[()]]:
        return Scope, ()  # over


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one field of an instance."""

    pk: object = None
    """The row that :attr:`name` is about; ``None`` where nothing is known."""
    name: str | None = None
    """What that row holds."""
    taken: str | None = None
    """A file that another row held when it was assigned."""
    left: tuple[str, ...] = ()
    """Files that were saved, or given up, through the instance while its row held another."""

    scope: Scope | None = None
    """The transaction in which the instance wrote the name, and which may be rolled back."""

    def is_of_a_row(self, instance: models.Model, name: str) -> bool:
        """Tell whether the instance has that name from a row, its own or another one's."""
        return self.taken == name or (self.name == name and instance._state.db is not None)


_NOTHING: Final = Known()


def known(instance: models.Model, field: "models.FileField") -> Known:
    """Return what is known of the field."""
    found: dict[str, Known] = vars(instance._state).get(_KEY, {})
    return found.get(field.attname, _NOTHING)


def learn(instance: models.Model, field: "models.FileField", **changes: Any) -> None:
    """Change what is known of the field, by the names of :class:`Known`."""
    state = vars(instance._state)
    changed = replace(known(instance, field), **changes)
    state[_KEY] = {**state.get(_KEY, {}), field.attname: changed}


def key_of(instance: models.Model, field: "models.FileField") -> object:
    """Return the primary key of the row, in the field's own table, that the instance stands for; ``None`` of no row.

    Of several columns it is a tuple.
    """
    # Of a child model it is the parent's.
    key = [vars(instance).get(column.attname) for column in field.model._meta.pk_fields]
    if None in key:
        return None
    return key[0] if len(key) == 1 else tuple(key)


def stored_name(instance: models.Model, field: "models.FileField", using: str) -> Known | None:
    """Return what is known of the field in the instance's row on ``using``; ``None`` where nothing is sure."""
    state, what = instance._state, known(instance, field)
    if state.adding or state.db != using or what.pk is None or what.pk != key_of(instance, field):
        return None
    return what if what.scope is None or what.scope.is_open(using) else None


def name_of(value: object) -> str | None:
    """Return the name that an attribute holds, as a string or as a file."""
    name: str | None = value if isinstance(value, str) else getattr(value, "name", None)
    return name


def forget(instance: models.Model, field: "models.FileField", name: str | None) -> None:
    """Know nothing of the row any more, written past a :class:`RowSave`; the instance has ``name``."""
    learn(instance, field, pk=None, name=name, scope=None)


def learn_key(sender: type[models.Model], instance: models.Model, **_signal: object) -> None:
    """Learn the key of a new instance whose model declares it after a file."""
    fields = {field.attname: field for field in sender._meta.concrete_fields}
    for attribute, what in vars(instance._state).get(_KEY, {}).items():
        if what.pk is None:
            field = cast("models.FileField", fields[attribute])
            learn(instance, field, pk=key_of(instance, field))


def is_committed(file: object) -> bool:
    """Tell whether a field's file is stored: of an upload that is not, only the content is there."""
    return bool(vars(file).get("_committed"))


def memory_of(instance: models.Model) -> object:
    """Return all that is known of the instance, for :func:`restore_memory`."""
    return vars(instance._state).get(_KEY)


def restore_memory(instance: models.Model, memory: object) -> None:
    """Know of the instance what was known before."""
    vars(instance._state)[_KEY] = memory or {}


class _Remembering(_Descriptor):
    """Remembers what an instance is loaded with; nothing is asked for, and deferred fields stay deferred."""

    if TYPE_CHECKING:
        field: Any  # a FileField to one base, an ImageField to the other

    @override
    def __get__(self, instance: models.Model | None, owner: type[models.Model] | None = None) -> Any:
        if instance is not None:
            file: object = vars(instance).get(self.field.attname)
            if isinstance(file, FieldFile) and file.instance is not instance and is_committed(file):
                # A file object for each instance: with Django's one for both, what is saved through one of them
                # is in the other, too, and its next save would have its own file unlinked.
                vars(instance)[self.field.attname] = self.field.attr_class(instance, self.field, file.name)
        return super().__get__(instance, owner)

    @override
    def __set__(self, instance: models.Model, value: object) -> None:
        field = self.field
        if value is None or isinstance(value, str):
            if instance._state.adding and field.attname not in vars(instance):
                # In __init__. Of a new row too: that the row is there is asked where it matters.
                # As learn() does, for every instance that is loaded: nobody shares its dictionary yet.
                vars(instance._state).setdefault(_KEY, {})[field.attname] = Known(key_of(instance, field), value)
        elif isinstance(value, FieldFile) and is_committed(value) and value.instance is not instance:
            origin = known(value.instance, field) if isinstance(value.instance, type(instance)) else _NOTHING
            if origin.pk is not None and origin.name == value.name and origin.pk == key_of(instance, field):
                learn(instance, field, pk=origin.pk, name=origin.name)  # refresh_from_db, and deferred loading
            else:
                learn(instance, field, taken=value.name)
        super().__set__(instance, value)


class RememberingFileDescriptor(_Remembering, FileDescriptor):
    """Django's descriptor, with a memory."""


class RememberingImageFileDescriptor(_Remembering, ImageFileDescriptor):
    """Django's descriptor, with a memory."""
