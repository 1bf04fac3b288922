"""How the files of a model's fields follow its rows when they are saved; :mod:`.deletions` is for when they go.

A save writes the name of a file only where it changed. There, what the row named before is read under the row's lock,
and is unlinked once the row is written and no row names it any more, all in the row's transaction.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from types import TracebackType
from typing import Any, Final, Self, cast
from weakref import WeakKeyDictionary

from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.files import FieldFile

from pg_lo_storage.lifecycle.known import (
    Scope,
    forget,
    is_committed,
    key_of,
    known,
    learn,
    memory_of,
    name_of,
    restore_memory,
    stored_name,
)
from pg_lo_storage.lifecycle.references import (
    Cell,
    FileColumn,
    concrete,
    rows_of,
    stored_fields,
    stored_fields_of,
    write_alias_of,
)
from pg_lo_storage.lifecycle.sharing import hold, release
from pg_lo_storage.lifecycle.statements import before_next_statement

__all__ = [
    "RowSave",
    "cleans",
    "current_save",
    "finish_save",
    "follow_saves",
    "give_up",
    "hold_with_next",
    "release_with",
]

# The attribute of a save_base that has been wrapped: children and proxies inherit it.
_FOLLOWS: Final = "pg_lo_follows"

_saves: ContextVar[tuple["RowSave", ...]] = ContextVar("_saves", default=())
# Of each table the names, and whether they are known to be of a row.
_waiting: "WeakKeyDictionary[BaseDatabaseWrapper, dict[str, dict[str, bool]]]" = WeakKeyDictionary()


class RowSave:
    """One ``save`` of one instance: in a transaction where a file changes, and put back where it fails."""

    def __init__(self, instance: models.Model, using: str) -> None:
        self.instance = instance
        self._using = using
        self._scope = ExitStack()
        self._begun: set[str] = set()
        self._before: dict[type[models.Model], dict[str, str | None]] = {}
        self._written: dict[str, models.FileField] = {}
        self._settled: dict[str, models.FileField] = {}
        self._adding = instance._state.adding
        self._uploads: list[tuple[FieldFile, str | None]] = []
        self._known = memory_of(instance)

    def __enter__(self) -> Self:
        # Django begins a transaction itself where a row is in several tables.
        if concrete(type(self.instance))._meta.parents:
            self._begin(self._using)
        self._token = _saves.set((*_saves.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _saves.reset(self._token)
        failed = True
        try:
            self._scope.__exit__(kind, error, traceback)
            failed = kind is not None
        finally:
            if failed:
                self._put_back()

    def changes(self, field: "models.FileField", file: FieldFile, *, add: bool) -> bool:
        """Prepare for a field's being written; ``False`` where the row holds that name already.

        :raises LargeObjectNotFound: the file is another row's, or was this one's, and was unlinked meanwhile.
        """
        alias = cast("str", write_alias_of(field))
        left = known(self.instance, field).left
        if not add and not left and is_committed(file) and self._is_stored(field, file.name):
            self._settled[field.attname] = field
            return False
        if add and is_committed(file) and not file.name:
            self._written[field.attname] = field
            return True
        self._begin(self._using, alias)
        if not add and self._read_before(field).get(field.attname, file) == file.name and is_committed(file):
            self._settled[field.attname] = field
            return False
        if not is_committed(file):
            self._uploads.append((file, file.name))
        elif file.name and field.attname not in self._written and file.name not in known(self.instance, field).left:
            is_of_a_row = known(self.instance, field).is_of_a_row(self.instance, file.name)
            hold(alias, [file.name], required=[file.name] if is_of_a_row else [])
        self._written[field.attname] = field
        return True

    def finish(self) -> None:
        """Unlink what the row named before, where nothing names it now."""
        left: defaultdict[str, set[str]] = defaultdict(set)
        # What fails to be committed here is put back here.
        outer = connections[self._using].in_atomic_block and self._using not in self._begun
        scope = Scope(self._using) if outer else None
        for attribute, field in (self._settled | self._written).items():
            now = name_of(vars(self.instance).get(attribute))
            if cleans(field):
                before = self._before.get(field.model, {}).get(attribute)
                candidates = {before, *known(self.instance, field).left} - {now, None, ""}
                left[cast("str", write_alias_of(field))] |= cast("set[str]", candidates)
            pk = key_of(self.instance, field)
            learn(self.instance, field, pk=pk, name=now, taken=None, left=(), scope=scope)
        if self._adding:
            # What it was made with is known of it, not of the row that it was saved to in part.
            for field in stored_fields_of(type(self.instance)):
                if field.attname not in self._settled and field.attname not in self._written:
                    forget(self.instance, field, known(self.instance, field).name)
        self._written, self._settled, self._adding = {}, {}, False
        release_with(self._using, left, type(self.instance))

    def _begin(self, *aliases: str) -> None:
        for alias in dict.fromkeys(aliases):
            if not connections[alias].in_atomic_block:
                self._begun.add(alias)
                self._scope.enter_context(transaction.atomic(using=alias))

    def _is_stored(self, field: "models.FileField", name: str | None) -> bool:
        what = stored_name(self.instance, field, self._using)
        return what is not None and what.name == name

    def _read_before(self, field: "models.FileField") -> dict[str, str | None]:
        """Return what the row in the field's table names, now that it is locked."""
        model = field.model
        key = key_of(self.instance, field)
        if key is None:
            return {}
        if model not in self._before:
            attributes = [other.attname for other in stored_fields(model)]
            rows = rows_of(model, self._using).filter(pk=key)
            found = rows.select_for_update(no_key=True).values_list(*attributes)
            self._before[model] = {}
            for row in found:
                self._before[model] = dict(zip(attributes, row, strict=True))
        return self._before[model]

    def _put_back(self) -> None:
        """Make the instance what it was: what it saved is rolled back, or will be."""
        for file, name in self._uploads:
            file.name, vars(file)["_committed"] = name, False
            vars(self.instance)[file.field.attname] = file
        restore_memory(self.instance, self._known)


def current_save(instance: models.Model) -> RowSave | None:
    """Return the save of the instance that is going on."""
    return next((save for save in reversed(_saves.get()) if save.instance is instance), None)


def follow_saves(model: type[models.Model]) -> None:
    """Have each save of the model's instances be a :class:`RowSave`; those of its children and proxies are, too."""
    original = model.save_base
    if vars(original).get(_FOLLOWS):
        return

    @wraps(original)
    def save_base(  # noqa: PLR0917 -- Django's signature
        self: models.Model,
        raw: bool = False,
        force_insert: bool | tuple[type[models.Model], ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        using = using or router.db_for_write(type(self), instance=self)
        save = partial(original, self, raw, force_insert, force_update, using, update_fields)
        # A fixture is stored as it is; while it is loaded, not every row that names a file is there yet.
        if raw:
            save()
            return
        with RowSave(self, using) as row:
            save()
            row.finish()

    vars(save_base)[_FOLLOWS] = True
    setattr(model, "save_base", save_base)  # noqa: B010 -- a method, which checkers would not have replaced


def finish_save(instance: models.Model, raw: bool = False, **_signal: Any) -> None:
    """Finish the save before the receivers of ``post_save``: one of them may save the instance again, or fail."""
    if raw:
        for field in stored_fields_of(type(instance)):
            forget(instance, field, name_of(vars(instance).get(field.attname)))
    elif (save := current_save(instance)) is not None:
        save.finish()


def hold_with_next(field: "models.FileField", instance: models.Model, name: str) -> None:
    """Hold a file that a row of a bulk statement names, before the statement, with those of the other rows."""
    alias = cast("str", write_alias_of(field))
    connection = connections[alias]
    if connection not in _waiting:
        before_next_statement(connection, partial(_held, alias))
    table = connection.ops.quote_name(field.model._meta.db_table)
    waiting = _waiting.setdefault(connection, {}).setdefault(table, {})
    waiting[name] = known(instance, field).is_of_a_row(instance, name)


@contextmanager
def _held(alias: str, sql: str) -> Generator[None]:
    waiting = _waiting.pop(connections[alias])
    # The bulk statement may have failed before it was one; then this is another.
    names = next((some for table, some in waiting.items() if sql.startswith(f"INSERT INTO {table} ")), None)
    if names is None:
        yield
        return
    # Django 6 has bulk_create() in autocommit where it is one statement.
    with transaction.atomic(using=alias, savepoint=False):
        hold(alias, names, required=[name for name, is_of_a_row in names.items() if is_of_a_row])
        yield


def release_with(using: str, left: dict[str, set[str]], model: type[models.Model]) -> None:
    """Release files of each alias in the transaction of rows on ``using``; on another database, after its commit."""
    for alias, names in left.items():

        def release_them(alias: str = alias, names: set[str] = names) -> None:
            release(alias, names, model._meta.apps, using=using)

        if alias == using:
            release_them()
        elif names:
            # The rows are committed: what fails then is logged (by its name, which a partial has not), and an orphan.
            transaction.on_commit(release_them, using=using, robust=True)


def cleans(field: "models.FileField") -> bool:
    """Tell whether the field has its files unlinked."""
    return bool(getattr(field, "cleanup", False))


def give_up(instance: models.Model, field: "models.FileField", name: str, *, now: bool) -> None:
    """Release a file that the instance's row names: with the row's next save, or at once, whatever the row says."""
    if not now:
        learn(instance, field, left=(*known(instance, field).left, name))
        return
    alias, using = cast("str", write_alias_of(field)), instance._state.db
    key = {
        str(part.column): part.get_db_prep_value(vars(instance).get(part.attname), connections[using or alias])
        for part in field.model._meta.pk_fields
    }
    cell = Cell(FileColumn(field.model._meta.db_table, str(field.column)), key)
    release(alias, [name], instance._meta.apps, using=using, besides=cell if None not in key.values() else None)
