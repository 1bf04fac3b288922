"""What an instance knows, without a query, of the stored names in its row.

It is kept in a dictionary in the instance's state, and is pickled with it. The dictionary is replaced and never
changed, because copies of an instance share it.
"""

from dataclasses import dataclass, replace
from operator import attrgetter
from types import EllipsisType
from typing import Any, Final, NamedTuple, TypeAlias, cast

from django.db import connections, models, transaction
from django.db.models.fields.files import FieldFile
from typing_extensions import override

from pg_lo_storage.databases.aliases import is_one_database
from pg_lo_storage.databases.file_fields import FILE_DATABASE, follows_rows, row_database

__all__ = [
    "AS_IT_WAS",
    "AsItWas",
    "Known",
    "Left",
    "Scope",
    "as_it_is",
    "in_step",
    "is_committed",
    "is_same",
    "key_of",
    "known",
    "learn",
    "learn_first",
    "learn_given",
    "learn_key",
    "name_of",
]

_KEY: Final = "pg_lo_known"
_ATTNAME: Final = attrgetter("attname")

AS_IT_WAS: Final = "_pg_lo_as_it_was"
"""The attribute of a field's file for what it was before a save or delete."""

AsItWas: TypeAlias = tuple[str | None, bool, str | None]
"""A file's name, whether it was stored, and the database of the row that the name is from, or that has the file."""


class Left(NamedTuple):
    """A file that no row may name any more, and its database."""

    alias: str
    name: str


class Scope:
    """The part of a transaction in which something was written.

    It ends with the transaction, or with the next savepoint that is rolled back.
    """

    def __init__(self, using: str | None = None, *, is_committed: bool = False) -> None:
        self._is_committed = is_committed
        # Django replaces the list whenever it ends a transaction or rolls a savepoint back.
        self._hooks = connections[using].run_on_commit if using else None
        self._block = _outermost(using) if using else None
        # A test case's block is never committed, and its tests may count the hooks for after a commit.
        if using and self._block is not None and not getattr(self._block, "_from_testcase", False):
            self._place = len(connections[using].run_on_commit)
            transaction.on_commit(self._commit, using=using, robust=True)

    def _commit(self) -> None:
        # Rolling a savepoint back replaces the list, and this hook keeps its place in the old one. Then nobody knows
        # that the write was committed: Django does not know what a savepoint covered that atomic() did not make.
        hooks = self._hooks or []
        self._is_committed = not any(hook[1] == self._commit for hook in hooks[self._place : self._place + 1])

    def is_of_this_transaction(self, using: str) -> bool:
        """Tell whether the transaction is still open, though a savepoint in it may have been rolled back."""
        return self._hooks is not None and self._block is _outermost(using)

    def stands(self, using: str) -> bool:
        """Tell whether what was written in it certainly stands, committed or not."""
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
    """The instance's name when it was last in step with its row; ``...`` where it never was."""
    row: object = None
    """The key of that row; ``None`` where it is the row that the instance became."""
    is_loaded: bool = False
    """Whether the name is the row's, though Django takes the instance for a new one."""
    left: tuple[Left, ...] = ()
    """Files that were saved, or given up, through the instance while its row had another name."""
    own: str | None = None
    """The file that is being saved together with its row."""
    scope: Scope | None = None
    """The transaction in which the instance wrote :attr:`name`, and which may be rolled back."""
    past: "tuple[Known, ...]" = ()
    """What was known before that, the latest first: a rollback may make it true again."""
    moved: AsItWas | None = None
    """What the file was before the instance took it along to another database, which may be rolled back."""

    def stands(self, using: str) -> bool:
        """Tell whether what the instance wrote cannot have been rolled back."""
        return self.scope is None or self.scope.stands(using)

    def all(self) -> "tuple[Known, ...]":
        """Return this, and what a rollback may make true again, the latest first; each without its own past."""
        return replace(self, past=()), *self.past

    def leaves(self, using: str) -> tuple[Left, ...]:
        """Return the files that were left and that perhaps no row names; after a rollback the earlier ones, too."""
        if not self.past or self.stands(using):
            return self.left
        return tuple(dict.fromkeys(left for memory in self.all() for left in memory.left))


_NOTHING: Final = Known()


class _Stateless:
    """The state of an object that has none: packages give a FieldFile stand-ins that are no models."""


def known(instance: models.Model, field: "models.FileField") -> Known:
    """Return what is known of the field."""
    found: dict[str, Known] = vars(getattr(instance, "_state", _Stateless)).get(_KEY, {})
    return found.get(field.attname, _NOTHING)


def learn(instance: models.Model, field: "models.FileField", memory: Known | None = None, **changes: Any) -> None:
    """Remember ``memory`` for the field, or else what was known before, with ``changes`` to it."""
    state = vars(getattr(instance, "_state", _Stateless()))
    state[_KEY] = {**state.get(_KEY, {}), field.attname: memory or replace(known(instance, field), **changes)}


def learn_first(instance: models.Model, field: "models.FileField", memory: Known) -> None:
    """Remember ``memory`` for a field of an instance that is being made: no copy shares its dictionary yet."""
    vars(instance._state).setdefault(_KEY, {})[field.attname] = memory


def key_of(instance: models.Model, field: "models.FileField") -> object:
    """Return the primary key of the instance's row in the field's own table; ``None`` where there is no row.

    A key of several columns is a tuple.
    """
    # A child model has its parent's key. This runs for each instance that is loaded, so it calls no Python function.
    key = tuple(map(vars(instance).get, map(_ATTNAME, field.model._meta.pk_fields)))
    if None in key:
        return None
    return key[0] if len(key) == 1 else key


def in_step(instance: models.Model, field: "models.FileField", using: str) -> Known | None:
    """Return what is known of the field since the instance was in step with its row on ``using``.

    ``None`` where it never was: then the user gave it all that it has.
    """
    state, memory = instance._state, known(instance, field)
    if memory.name is ... or (state.adding and not memory.is_loaded):
        return None
    if memory.row is not None and memory.row != key_of(instance, field):
        return None
    # What was read from a replica is its primary's.
    is_there = state.db is not None and is_one_database(type(instance), state.db, using)
    return memory if is_there else None


def name_of(value: object) -> str | None:
    """Return the name that an attribute holds, as a string or as a file."""
    name: str | None = value if isinstance(value, str) else getattr(value, "name", None)
    return name


def is_same(one: "str | EllipsisType | None", other: str | None) -> bool:
    """Tell whether the names are equal; an empty name is like ``None``."""
    return (one or None) == (other or None)


def learn_given(instance: models.Model) -> None:
    """Learn that a new instance was made with its user's values, not with a row's.

    This is called before the save: afterwards Django no longer says that the instance is new, even where only some
    fields were saved, or the save failed.
    """
    state = vars(instance._state)
    if instance._state.adding and _KEY in state:
        found: dict[str, Known] = state[_KEY]
        state[_KEY] = {
            name: memory if memory.is_loaded else replace(memory, name=...) for name, memory in found.items()
        }


def learn_key(sender: type[models.Model], instance: models.Model, **_signal: object) -> None:
    """Learn the key of a new instance whose model declares it after a file."""
    fields = {field.attname: field for field in sender._meta.concrete_fields}
    for attribute, memory in vars(instance._state).get(_KEY, {}).items():
        if memory.row is None:
            field = cast("models.FileField", fields[attribute])
            learn(instance, field, row=key_of(instance, field))


def is_committed(file: object) -> bool:
    """Tell whether a field's file is stored, and no upload that is still to be saved."""
    return bool(vars(file).get("_committed"))


def as_it_is(file: FieldFile) -> AsItWas:
    """Return what the file is now."""
    is_of_row = follows_rows(file.field)
    return file.name, is_committed(file), row_database(file) if is_of_row else vars(file).get(FILE_DATABASE)
