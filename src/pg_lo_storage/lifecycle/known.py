"""What an instance knows, without asking, of the file names that its row holds.

It stands in the instance's state, in a dictionary that is replaced and never changed: copies of an instance share it,
and it is pickled with them.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, cast

from django.db import connections, models, transaction
from django.db.models.fields.files import FieldFile, FileDescriptor, ImageFileDescriptor
from typing_extensions import override

__all__ = [
    "AS_IT_WAS",
    "Known",
    "RememberingFileDescriptor",
    "RememberingImageFileDescriptor",
    "Scope",
    "in_step",
    "is_committed",
    "is_same",
    "key_of",
    "known",
    "learn",
    "learn_given",
    "learn_key",
    "loading",
    "name_of",
]

_KEY: Final = "pg_lo_known"

AS_IT_WAS: Final = "_pg_lo_as_it_was"
"""The attribute of a field's file for its name, and whether it was stored, before it was saved or deleted."""

# The instance, or the field, whose values are being set as the database has them.
_loading: "ContextVar[models.Model | models.FileField | None]" = ContextVar("_loading", default=None)


class Scope:
    """A transaction in which something was written: while it is open, up to its next savepoint that is rolled back."""

    def __init__(self, using: str | None = None, *, is_committed: bool = False) -> None:
        self._is_committed = is_committed
        # Django replaces the list whenever it ends a transaction or rolls a savepoint back.
        self._hooks = connections[using].run_on_commit if using else None
        self._block = _outermost(using) if using else None
        # A test case's block is never committed, and its tests may count what is to be done after one.
        if using and self._block is not None and not getattr(self._block, "_from_testcase", False):
            self._place = len(connections[using].run_on_commit)
            transaction.on_commit(self._commit, using=using, robust=True)

    def _commit(self) -> None:
        # A list that was replaced since, by a savepoint that was rolled back, still has this in its place. Whether it
        # was done under that savepoint Django does not tell where that is none of atomic()'s: the row will.
        hooks = self._hooks or []
        self._is_committed = not any(hook[1] == self._commit for hook in hooks[self._place : self._place + 1])

    def is_of_this_transaction(self, using: str) -> bool:
        """Tell whether the transaction goes on, though perhaps without what was done since a savepoint."""
        return self._hooks is not None and self._block is _outermost(using)

    def stands(self, using: str) -> bool:
        """Tell whether what was written in it still stands, or was committed."""
        return self._is_committed or self._hooks is connections[using].run_on_commit

    @override
    def __reduce__(self) -> tuple[object, tuple[bool]]:
        return _ended, (self._is_committed,)


def _ended(is_committed: bool) -> Scope:
    return Scope(is_committed=is_committed)


def _outermost(using: str) -> object:
    return next(iter(connections[using].atomic_blocks), None)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one field of an instance."""

    name: str | EllipsisType | None = ...
    """What the instance had when it was last in step with its row; ``...`` where it never was."""
    row: object = None
    """The key of that row; ``None`` where it is the one that the instance came to be."""
    is_loaded: bool = False
    """Whether the name is the row's, though Django takes the instance for a new one."""
    left: tuple[str, ...] = ()
    """Files that were saved, or given up, through the instance while its row held another."""
    own: str | None = None
    """The file that is being saved together with its row."""
    scope: Scope | None = None
    """The transaction in which the instance wrote :attr:`name`, and which may be rolled back."""
    past: "tuple[Known, ...]" = ()
    """What was known before that, the latest first: what is so again where it was rolled back."""

    def stands(self, using: str) -> bool:
        """Tell whether what the instance wrote cannot have been rolled back unseen."""
        return self.scope is None or self.scope.stands(using)

    def all(self) -> "tuple[Known, ...]":
        """Return this, and what may be so again after a rollback, the latest first; each without its own past."""
        return replace(self, past=()), *self.past

    def leaves(self, using: str) -> tuple[str, ...]:
        """Return the files that no row may come to name, those of before a rollback too."""
        every = (self,) if self.stands(using) else self.all()
        return tuple(dict.fromkeys(name for what in every for name in what.left))


_NOTHING: Final = Known()


def _state(instance: object) -> dict[str, Any]:
    # Packages hand a FieldFile stand-ins that are no models, and have no state.
    state: object = getattr(instance, "_state", None)
    return {} if state is None else vars(state)


def known(instance: models.Model, field: "models.FileField") -> Known:
    """Return what is known of the field."""
    found: dict[str, Known] = _state(instance).get(_KEY, {})
    return found.get(field.attname, _NOTHING)


def learn(instance: models.Model, field: "models.FileField", what: Known | None = None, **changes: Any) -> None:
    """Know that of the field, or what was known with ``changes``, by the names of :class:`Known`."""
    state = _state(instance)
    state[_KEY] = {**state.get(_KEY, {}), field.attname: what or replace(known(instance, field), **changes)}


def key_of(instance: models.Model, field: "models.FileField") -> object:
    """Return the primary key of the row, in the field's own table, that the instance stands for; ``None`` of no row.

    Of several columns it is a tuple.
    """
    # Of a child model it is the parent's.
    key = [vars(instance).get(column.attname) for column in field.model._meta.pk_fields]
    if None in key:
        return None
    return key[0] if len(key) == 1 else tuple(key)


def in_step(instance: models.Model, field: "models.FileField", using: str) -> Known | None:
    """Return what is known of the field since the instance was in step with its row on ``using``.

    ``None`` where it never was: then whatever it has is what the user gave it.
    """
    state, what = instance._state, known(instance, field)
    if what.name is ... or state.db != using or (state.adding and not what.is_loaded):
        return None
    return what if what.row is None or what.row == key_of(instance, field) else None


def name_of(value: object) -> str | None:
    """Return the name that an attribute holds, as a string or as a file."""
    name: str | None = value if isinstance(value, str) else getattr(value, "name", None)
    return name


def is_same(one: "str | EllipsisType | None", other: str | None) -> bool:
    """Tell whether the names are one; an empty one is none."""
    return (one or None) == (other or None)


def learn_given(instance: models.Model) -> None:
    """Learn, before a new instance is saved, that what it was made with is its user's and no row's.

    Afterwards Django takes it for no new one, whether it was saved as a whole, in part, or failed to be.
    """
    state = _state(instance)
    if instance._state.adding and _KEY in state:
        found: dict[str, Known] = state[_KEY]
        state[_KEY] = {name: what if what.is_loaded else replace(what, name=...) for name, what in found.items()}


def learn_key(sender: type[models.Model], instance: models.Model, **_signal: object) -> None:
    """Learn the key of a new instance whose model declares it after a file."""
    fields = {field.attname: field for field in sender._meta.concrete_fields}
    for attribute, what in _state(instance).get(_KEY, {}).items():
        if what.row is None:
            field = cast("models.FileField", fields[attribute])
            learn(instance, field, row=key_of(instance, field))


def is_committed(file: object) -> bool:
    """Tell whether a field's file is stored: of an upload that is not, only the content is there."""
    return bool(vars(file).get("_committed"))


@contextmanager
def loading(what: "models.Model | models.FileField") -> Generator[None]:
    """Take what is set meanwhile, on that instance or of that field, for what the row has."""
    token = _loading.set(what)
    try:
        yield
    finally:
        _loading.reset(token)


class _Remembering(FileDescriptor):
    """Remembers what an instance is loaded with; nothing is asked for, and deferred fields stay deferred."""

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
            # A copy of an instance shares its files with it, and has them as they were when it was made.
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
            # In __init__. Of a new row too: that the row is there is asked where it matters.
            # As learn() does, for every instance that is loaded: nobody shares its dictionary yet.
            vars(instance._state).setdefault(_KEY, {})[field.attname] = Known(value, key_of(instance, field))
        super().__set__(instance, value)

    def _own(
        self, instance: models.Model, file: FieldFile, as_it_was: tuple[str | None, bool] | None = None
    ) -> FieldFile:
        """Return the file as one of this field of this instance.

        With Django's one object for both, what is saved through one of them is in the other, too, and its next save
        would have its own file unlinked.
        """
        if vars(file).get("instance") is instance and vars(file).get("field") is self.field:
            return file
        name, committed = as_it_was or (file.name, is_committed(file))
        own: FieldFile = self.field.attr_class(instance, self.field, name)
        if not committed:
            vars(own).update(_file=vars(file).get("_file"), _committed=False)
        return own


class RememberingFileDescriptor(_Remembering, FileDescriptor):
    """Django's descriptor, with a memory."""


class RememberingImageFileDescriptor(_Remembering, ImageFileDescriptor):
    """Django's descriptor, with a memory."""
