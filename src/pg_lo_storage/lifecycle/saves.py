"""How the files of a model's fields follow its rows when they are saved; :mod:`.deletions` is for when they go.

A save writes the name of a file only where the user changed it since the instance was in step with its row. What the
row named before is read under the row's lock, and is unlinked once the row is written and no row names it any more,
all in the row's transaction. A name that is written is of a file that is there, and stays.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import replace
from functools import partial, wraps
from types import EllipsisType, TracebackType
from typing import Any, Final, Self, cast

from django.db import connections, models, router, transaction
from django.db.models.fields.files import FieldFile

from pg_lo_storage import catalogue
from pg_lo_storage.databases.atomic_blocks import noticing_loss
from pg_lo_storage.databases.references import (
    Cell,
    FileColumn,
    concrete,
    reaches,
    rows_of,
    stored_fields,
    stored_fields_of,
    write_alias_of,
)
from pg_lo_storage.lifecycle.expecting import expect, expect_again
from pg_lo_storage.lifecycle.known import (
    Known,
    Scope,
    in_step,
    is_committed,
    is_same,
    key_of,
    known,
    learn,
    learn_given,
    loading,
    name_of,
)
from pg_lo_storage.lifecycle.raw import end_raw_save, no_raw_save
from pg_lo_storage.lifecycle.sharing import release, require
from pg_lo_storage.lifecycle.statements import repeating_update_of
from pg_lo_storage.names import parse_name

__all__ = ["RowSave", "cleans", "current_save", "finish_save", "follow_rows", "give_up", "release_with"]

# The attribute of a method that has been wrapped: children and proxies inherit it.
_FOLLOWS: Final = "pg_lo_follows"

_saves: ContextVar[tuple["RowSave", ...]] = ContextVar("_saves", default=())

_Row = dict[str, str | None]


class RowSave:
    """One ``save`` of one instance: in a transaction where a file changes, and put back where it fails."""

    def __init__(self, instance: models.Model, using: str, update_fields: Iterable[str] | None = None) -> None:
        self.instance = instance
        self._using = using
        self._scope = ExitStack()
        # What fails to be committed in a transaction of its own is put back here.
        self._is_outer = not connections[using].get_autocommit()
        self._rows: dict[type[models.Model], _Row | None] = {}
        self._written: dict[str, models.FileField] = {}
        self._settled: dict[str, models.FileField] = {}
        self._uploads: list[tuple[FieldFile, str | None]] = []
        self._update_fields = None if update_fields is None else set(update_fields)
        self._expected: dict[str, str] = {}
        self._has_expected = False
        self._learnt: dict[str, tuple[models.FileField, Known]] = {}
        learn_given(instance)

    def __enter__(self) -> Self:
        self._scope.enter_context(noticing_loss(self._using))
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
        """Prepare for a field's being written; ``False`` where the user did not change it, or the row has it already.

        :raises LargeObjectNotFound: the file that it names is not there.
        """
        self._expect_what_moves()
        what = known(self.instance, field)
        if not add and is_committed(file) and self._is_unchanged(field, file.name) and not what.left:
            self._settled[field.attname] = field
            return False
        if add and is_committed(file) and not file.name:
            self._written[field.attname] = field
            return True
        self._begin(self._using, cast("str", write_alias_of(field)))
        row = None if add else self._read(field.model)
        if row is not None and is_committed(file) and not self._is_changed(field, file, row[field.attname]):
            self._settled[field.attname] = field
            return False
        if not is_committed(file):
            self._uploads.append((file, file.name))
        elif file.name and field.attname not in self._written and file.name != what.own:
            require(cast("str", write_alias_of(field)), [file.name], kept=row[field.attname] if row else None)
        self._written[field.attname] = field
        return True

    def finish(self) -> None:
        """Unlink what the row named before, where nothing names it now."""
        while self._expected:
            expect_again(*self._expected.popitem())
        left: defaultdict[str, set[str]] = defaultdict(set)
        for attribute, field in (self._settled | self._written).items():
            now = name_of(vars(self.instance).get(attribute))
            gone = {now, None, ""}
            left[cast("str", write_alias_of(field))] |= cast("set[str]", self._left(field) - gone)
            self._learn(field, now)
        self._rows, self._written, self._settled = {}, {}, {}
        release_with(self._using, left, type(self.instance))

    def _left(self, field: "models.FileField") -> set[str | None]:
        if not cleans(field):
            return set()
        row = self._rows.get(field.model) if field.attname in self._written else None
        return {(row or {}).get(field.attname), *known(self.instance, field).leaves(self._using)}

    def _learn(self, field: "models.FileField", now: str | None) -> None:
        before = known(self.instance, field)
        row = self._rows.get(field.model)
        is_written = field.attname in self._written
        if not is_written and row is None and not before.left:
            return  # in step as it was
        self._learnt.setdefault(field.attname, (field, before))
        scope, past = None, tuple[Known, ...]()
        if self._is_outer:
            scope = Scope(self._using)
            was: str | EllipsisType | None = now if not is_written else ... if row is None else row[field.attname]
            if before.scope is not None and before.scope.is_of_this_transaction(self._using):
                past = (Known(was), *before.all())
            else:
                # With a rollback a row that was not found may come back, and this is what was known of it.
                gone = (replace(before, past=()),) if is_written and row is None else ()
                past = (Known(was, left=before.leaves(self._using)), *gone)
        key = key_of(self.instance, field)
        learn(self.instance, field, Known(now, key, is_loaded=True, scope=scope, past=past))

    def _begin(self, *aliases: str) -> None:
        for alias in dict.fromkeys(aliases):
            if not connections[alias].in_atomic_block:
                self._scope.enter_context(transaction.atomic(using=alias))

    def _expect_what_moves(self) -> None:
        """Tell triggers which files the statement for one table may leave, and that for another then names.

        Once, when the first file is about to be written: receivers of ``pre_save`` have changed what they change.
        """
        if self._has_expected or not concrete(type(self.instance))._meta.parents:
            return
        self._has_expected = True
        moved: defaultdict[str, set[str]] = defaultdict(set)
        for field in stored_fields_of(type(self.instance)):
            if self._update_fields is not None and not self._update_fields & {field.name, field.attname}:
                continue
            value: object = vars(self.instance).get(field.attname)
            if not isinstance(value, FieldFile | str) or (isinstance(value, FieldFile) and not is_committed(value)):
                continue
            if (name := name_of(value)) and not self._is_unchanged(field, name):
                moved[cast("str", write_alias_of(field))].add(name)
        for alias, names in moved.items():
            self._begin(alias)
            self._expected[alias] = expect(alias, names)

    def _is_unchanged(self, field: "models.FileField", name: str | None) -> bool:
        """Tell whether it is certain, without asking, that the user changed nothing that is not stored."""
        what = in_step(self.instance, field, self._using)
        return what is not None and is_same(what.name, name) and what.stands(self._using)

    def _is_changed(self, field: "models.FileField", file: FieldFile, stored: str | None) -> bool:
        """Tell whether the user changed what the row has, and did not see his change stored."""
        what = in_step(self.instance, field, self._using)
        if stored == file.name:
            return False
        if what is None or not is_same(what.name, file.name):
            return True
        # A row that is as it was before lost this instance's change to a rollback; any other was changed since.
        return not what.stands(self._using) and any(is_same(past.name, stored) for past in what.all())

    def _read(self, model: type[models.Model]) -> _Row | None:
        """Return what the row in the model's table names, now that it is locked; ``None`` where there is no row."""
        key = key_of(self.instance, stored_fields(model)[0])
        if key is not None and model not in self._rows:
            look = partial(self._look, model, key)
            if look() is None:
                # An upload may take its time: somebody may insert the row meanwhile.
                self._scope.enter_context(repeating_update_of(connections[self._using], model._meta.db_table, look))
        return self._rows.get(model)

    def _look(self, model: type[models.Model], key: object) -> _Row | None:
        attributes = [field.attname for field in stored_fields(model)]
        rows = rows_of(model, self._using).filter(pk=key)
        found = rows.select_for_update(no_key=True).values_list(*attributes)
        self._rows[model] = next((dict(zip(attributes, row, strict=True)) for row in found), None)
        return self._rows[model]

    def _put_back(self) -> None:
        """Make the instance what it was: what it saved is rolled back, or will be."""
        for file, name in self._uploads:
            file.name, vars(file)["_committed"] = name, False
            vars(self.instance)[file.field.attname] = file
        for field, before in self._learnt.values():
            learn(self.instance, field, before)


def current_save(instance: models.Model) -> RowSave | None:
    """Return the save of the instance that is going on."""
    return next((save for save in reversed(_saves.get()) if save.instance is instance), None)


def follow_rows(model: type[models.Model]) -> None:
    """Have each save of the model's instances be a :class:`RowSave`, and know what they are refreshed with.

    Those of its children and proxies are, too.
    """
    save_original, refresh_original = model.save_base, model.refresh_from_db

    @wraps(save_original)
    def save_base(  # noqa: PLR0917 -- Django's signature
        self: models.Model,
        raw: bool = False,
        force_insert: bool | tuple[type[models.Model], ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        using = using or router.db_for_write(type(self), instance=self)
        # Django takes any iterable, and goes through it once.
        update_fields = None if update_fields is None else frozenset(update_fields)
        save = partial(save_original, self, raw, force_insert, force_update, using, update_fields)
        if raw:
            try:
                save()
            finally:
                no_raw_save(self)
            return
        with RowSave(self, using, update_fields) as row:
            save()
            row.finish()

    @wraps(refresh_original)
    def refresh_from_db(self: models.Model, *args: Any, **options: Any) -> None:
        with loading(self):
            refresh_original(self, *args, **options)

    _replace(model, save_base)
    _replace(model, refresh_from_db)


def _replace(model: type[models.Model], method: Callable[..., None]) -> None:
    if not hasattr(getattr(model, method.__name__), _FOLLOWS):
        vars(method)[_FOLLOWS] = True
        setattr(model, method.__name__, method)


def finish_save(instance: models.Model, raw: bool = False, **_signal: Any) -> None:
    """Finish the save before the receivers of ``post_save``: one of them may save the instance again, or fail."""
    if raw:
        end_raw_save(instance)
    elif (save := current_save(instance)) is not None:
        save.finish()


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
    alias = cast("str", write_alias_of(field))
    loid = parse_name(name)
    if loid is None or not (catalogue.is_installed() or reaches(alias, name, loid)):
        return
    if not hasattr(instance, "_state"):
        release(alias, [name], field.model._meta.apps)  # a stand-in, which packages clean up with, has no row
        return
    using = instance._state.db
    key = {
        str(part.column): part.get_db_prep_value(vars(instance).get(part.attname), connections[using or alias])
        for part in field.model._meta.pk_fields
    }
    cell = Cell(FileColumn(field.model._meta.db_table, str(field.column)), key)
    release(alias, [name], instance._meta.apps, using=using, besides=cell if None not in key.values() else None)
