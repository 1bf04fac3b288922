"""How files follow rows that are saved; :mod:`.deletions` is for rows that are deleted.

A save writes the name of a file only where the user changed it since the instance was in step with its row. It reads
the row's earlier name under the row's lock, writes the row, and unlinks the earlier file where no row names it any
more, all in the row's transaction. The file whose name is written must exist, and is held.
"""

from collections import defaultdict
from contextlib import ExitStack, closing
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from types import EllipsisType, TracebackType
from typing import Any, Self, cast

from django.db import connections, models, transaction
from django.db.models.fields.files import FieldFile

from pg_lo_storage.databases.atomic_blocks import notice_loss
from pg_lo_storage.databases.file_fields import (
    is_known_elsewhere,
    rows_of,
    stored_fields,
    stored_fields_of,
    write_alias_of,
)
from pg_lo_storage.databases.locking import locked
from pg_lo_storage.lifecycle.expecting import expect, expect_again
from pg_lo_storage.lifecycle.known import (
    AsItWas,
    Known,
    Left,
    Scope,
    as_it_is,
    in_step,
    is_committed,
    is_same,
    key_of,
    known,
    learn,
    learn_given,
    name_of,
)
from pg_lo_storage.lifecycle.leaving import cleans, release_with
from pg_lo_storage.lifecycle.moving import become_upload, moves, pin, put_back, source_of
from pg_lo_storage.lifecycle.old_files import Place, is_old, transitional
from pg_lo_storage.lifecycle.raw import end_raw_save
from pg_lo_storage.lifecycle.sharing import require
from pg_lo_storage.lifecycle.statements import repeating_update_of
from pg_lo_storage.names import parse_name

__all__ = ["RowSave", "current_save", "finish_save"]

_saves: ContextVar[tuple["RowSave", ...]] = ContextVar("_saves", default=())

_Row = dict[str, str | None]


@dataclass(slots=True)
class _FieldSave:
    """What a save does with one field."""

    field: "models.FileField"
    is_written: bool = False
    """Whether the instance's name is written into the row; otherwise the row has that name, or a newer one."""
    upload: tuple[FieldFile, AsItWas] | None = None
    """The file that the save stored, and what it was before."""
    before: Known | None = None
    """What was known of the field before the save was finished, where the save has changed it."""


class RowSave:
    """One ``save`` of one instance, in a transaction where a file changes; where it fails, the instance is put back."""

    def __init__(self, instance: models.Model, using: str, update_fields: frozenset[str] | None = None) -> None:
        self.instance = instance
        self.using = using
        self._is_moving = instance._state.db not in {None, using} and moves(instance, using)
        if self._is_moving:
            pin(instance)
        self._blocks = ExitStack()
        self._is_outer = not connections[using].get_autocommit()
        self._fields: dict[str, _FieldSave] = {}
        self._finished: list[_FieldSave] = []
        self._rows: dict[type[models.Model], _Row | None] = {}
        # The databases of files, by field.
        self.aliases: dict[str, str] = {}
        self._update_fields = update_fields
        # What triggers expected before, by alias; None until they are told. A row in one table needs no telling.
        model = cast("type[models.Model]", instance._meta.concrete_model)
        self._expected: dict[str, str] | None = None if model._meta.parents else {}
        learn_given(instance)

    def __enter__(self) -> Self:
        # Django begins a transaction itself where a row is in several tables.
        if self._expected is None:
            self._begin(self.using)
        self._token = _saves.set((*_saves.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _saves.reset(self._token)
        failed = True
        try:
            self._blocks.__exit__(kind, error, traceback)
            failed = kind is not None
        finally:
            if failed:
                notice_loss(self.using)
                self._put_back()

    def changes(self, field: "models.FileField", file: FieldFile, *, add: bool) -> bool:
        """Prepare to write a field; ``False`` where the user did not change it, or the row has the change already.

        :raises LargeObjectNotFound: the file that it names does not exist.
        """
        # Not before the first field: by then the receivers of pre_save have made their changes.
        if self._expected is None:
            self._expected = self._expect_what_moves()
        saved = self._fields.setdefault(field.attname, _FieldSave(field))
        is_changed = self._is_to_write(saved, file, add=add)
        saved.is_written |= is_changed  # an UPDATE that finds no row is followed by an INSERT
        return is_changed

    def finish(self) -> None:
        """Unlink the files that the row named before and that nothing names now."""
        for alias, before in (self._expected or {}).items():
            expect_again(alias, before)
        left: defaultdict[Place, set[str]] = defaultdict(set)
        # A save in a transaction of its own needs no scope: where the commit fails, __exit__ puts the instance back.
        scope = Scope(self.using) if self._is_outer and self._fields else None
        for saved in self._fields.values():
            if gone := self._finish_field(saved, scope):
                for alias, name in gone:
                    left[Place.of(saved.field, alias)].add(name)
        if self._is_moving:
            # Of what was not written nobody knows what the row there has.
            for field in stored_fields_of(type(self.instance)):
                if field.attname not in self._fields:
                    learn(self.instance, field, name=...)
            self._is_moving = False
        self._finished += self._fields.values()
        self._fields, self._rows, self._expected = {}, {}, {}
        if left:
            release_with(self.using, left, type(self.instance))

    def _is_to_write(self, saved: _FieldSave, file: FieldFile, *, add: bool) -> bool:
        field, is_stored = saved.field, is_committed(file)
        # Django 6.0 asks twice for one INSERT.
        if add and is_stored and (saved.is_written or not file.name):
            return True
        alias = self.aliases[field.attname] = cast("str", write_alias_of(field, self.using))
        if is_stored and (memory := known(self.instance, field)).moved and _is_undone(memory, file):
            put_back(file, memory.moved)
        is_elsewhere = is_stored and _is_elsewhere(file, alias)
        is_kept = is_stored and not is_elsewhere
        if not add and is_kept and self._is_unchanged(field, file.name) and not known(self.instance, field).left:
            return False
        self._begin(self.using, alias)  # the files are committed first: a row names nothing that may still be undone
        row = None if add else self._read(field.model)
        if row is not None and is_kept and not self._is_changed(field, file, row[field.attname]):
            return False
        if not is_kept:
            saved.upload = file, as_it_is(file) if is_stored else (file.name, False, None)
        if is_elsewhere:
            # In one transaction there, too, so that nobody changes the file meanwhile.
            self._begin(source_of(file))
            self._blocks.enter_context(closing(become_upload(file)))
        elif is_stored and file.name and not saved.is_written and file.name != known(self.instance, field).own:
            kept = row[field.attname] if row else None
            require(alias, [file.name], self.using, kept=kept, storage=transitional(field))
        return True

    def _finish_field(self, saved: _FieldSave, scope: Scope | None) -> set[Left]:
        """Learn what the field's row has now, and return the files that it no longer names."""
        field, row = saved.field, self._rows.get(saved.field.model)
        before, now = known(self.instance, field), name_of(vars(self.instance).get(field.attname))
        given_up = before.leaves(self.using) if before.past else before.left
        if saved.is_written or row is not None or before.left:  # else in step as it was
            saved.before = before
            past = self._past(saved, before, given_up, now) if scope else ()
            key = key_of(self.instance, field)
            moved = before.moved if not saved.is_written else saved.upload[1] if scope and saved.upload else None
            moved = moved if moved and moved[1] else None
            learn(self.instance, field, Known(now, key, is_loaded=True, scope=scope, past=past, moved=moved))
        alias, gone = self.aliases.get(field.attname), set(given_up)
        if alias is not None:  # else nothing of it was written
            if row and saved.is_written and (stored := row[field.attname]):
                gone.add(Left(alias, stored))
            gone.discard(Left(alias, now or ""))
        return gone if gone and cleans(field) else set()

    def _past(self, saved: _FieldSave, before: Known, given_up: tuple[Left, ...], now: str | None) -> tuple[Known, ...]:
        """Return what will be true again if the user's transaction rolls this save back."""
        if self._is_moving:
            return (Known(left=given_up),)  # its name is another database's
        row = self._rows.get(saved.field.model)
        was: str | EllipsisType | None = (
            now if not saved.is_written else ... if row is None else row[saved.field.attname]
        )
        if before.scope is not None and before.scope.is_of_this_transaction(self.using):
            return Known(was), *before.all()
        # A rollback may bring back a row that was not found, and with it what was known of that row.
        gone = (replace(before, past=()),) if saved.is_written and row is None else ()
        return Known(was, left=given_up), *gone

    def _begin(self, *aliases: str) -> None:
        for alias in dict.fromkeys(aliases):
            if not connections[alias].in_atomic_block:
                self._blocks.enter_context(transaction.atomic(using=alias))

    def _expect_what_moves(self) -> dict[str, str]:
        """Tell triggers which files one table's statement may take from a row before another table's names them.

        Return what they expected before, by alias.
        """
        moved: defaultdict[str, set[str]] = defaultdict(set)
        for field in stored_fields_of(type(self.instance)):
            if self._update_fields is not None and not self._update_fields & {field.name, field.attname}:
                continue
            value: object = vars(self.instance).get(field.attname)
            if not isinstance(value, FieldFile | str) or (isinstance(value, FieldFile) and not is_committed(value)):
                continue
            alias = cast("str", write_alias_of(field, self.using))
            is_elsewhere = isinstance(value, FieldFile) and _is_elsewhere(value, alias)
            if (name := name_of(value)) and not is_elsewhere and not self._is_unchanged(field, name):
                moved[alias].add(name)
        self._begin(*moved)
        return {alias: expect(alias, names) for alias, names in moved.items()}

    def _is_unchanged(self, field: "models.FileField", name: str | None) -> bool:
        """Tell, without a query, whether all that the user changed is certainly stored."""
        memory = in_step(self.instance, field, self.using)
        return memory is not None and is_same(memory.name, name) and memory.stands(self.using)

    def _is_changed(self, field: "models.FileField", file: FieldFile, stored: str | None) -> bool:
        """Tell whether the user changed the name since the instance was in step, and the change is not stored yet."""
        memory = in_step(self.instance, field, self.using)
        if stored == file.name:
            return False
        if memory is None or not is_same(memory.name, file.name):
            return True
        # A row that has an earlier name again lost this instance's change to a rollback; any other was changed since.
        return not memory.stands(self.using) and any(is_same(past.name, stored) for past in memory.all())

    def _read(self, model: type[models.Model]) -> _Row | None:
        """Lock the row in the model's table and return the names in it; ``None`` where there is no row."""
        key = key_of(self.instance, stored_fields(model)[0])
        if key is not None and model not in self._rows:
            look = partial(self._look, model, key)
            if look() is None:
                # An upload may take long: somebody may insert the row meanwhile.
                self._blocks.enter_context(repeating_update_of(connections[self.using], model._meta.db_table, look))
        return self._rows.get(model)

    def _look(self, model: type[models.Model], key: object) -> _Row | None:
        attributes = [field.attname for field in stored_fields(model)]
        rows = rows_of(model, self.using).filter(pk=key)
        found = locked(rows, *attributes)
        self._rows[model] = dict(zip(attributes, found[0], strict=True)) if found else None
        return self._rows[model]

    def _put_back(self) -> None:
        """Make the instance what it was: what it saved is, or will be, rolled back."""
        for saved in reversed([*self._finished, *self._fields.values()]):
            if saved.upload is not None:
                put_back(*saved.upload)
            if saved.before is not None:
                learn(self.instance, saved.field, saved.before)


def _is_elsewhere(file: FieldFile, alias: str) -> bool:
    """Tell whether the stored file is known to be on another database than that one."""
    return parse_name(file.name) is not None and is_known_elsewhere(file, alias) and not is_old(file)


def _is_undone(memory: Known, file: FieldFile) -> bool:
    """Tell whether the file is the copy that a move made, and was rolled back with it."""
    is_copy = is_same(memory.name, file.name) and not memory.stands(source_of(file))
    return is_copy and not file.storage.exists(cast("str", file.name))


def current_save(instance: models.Model) -> RowSave | None:
    """Return the save of the instance that is going on, if any."""
    for save in reversed(_saves.get()):
        if save.instance is instance:
            return save
    return None


def finish_save(instance: models.Model, raw: bool = False, **_signal: Any) -> None:
    """Finish the save before the receivers of ``post_save``: one of them may save the instance again, or fail."""
    if raw:
        end_raw_save(instance)
    elif (save := current_save(instance)) is not None:
        save.finish()
