"""What a history of operations does to rows and files, and what of it is allowed: a simple model beside the database.

Of each instance the model knows what its user gave each field, and the name that the field was last loaded or saved
with. Before and after each operation it asks what the session sees. A save writes what its user changed, and nothing
else; a name that it writes is of a file that is there; and what cannot be done is refused, and changes nothing.
"""

import copy
import itertools
import pickle
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, cast

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.files import File
from django.db import DatabaseError, IntegrityError, OperationalError, connections, models, transaction
from django.db.models.fields.files import FieldFile
from django.db.models.signals import post_save

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.lifecycle.known import is_committed
from pg_lo_storage.storage import db_file_storage
from tests.lifecycle.guards import FIELD, TRIGGERS
from tests.lifecycle.papers.models import DEFAULTS, Badge, Contract, Draft, Paper, Profile, Receipt, Unique, Version
from tests.lifecycle.support import upload

__all__ = ["KINDS", "Operation", "Violation", "World"]

FIELDS: Final[dict[type[models.Model], tuple[str, ...]]] = {
    Paper: ("data", "scan"),
    Draft: ("data", "scan"),
    Contract: ("data", "scan", "signed"),
    Version: ("data",),
    Receipt: ("data",),
    Profile: ("literal", "called"),
    Badge: ("data",),
    Unique: ("data",),
}
KINDS: Final = (Paper, Contract, Version, Receipt, Profile, Badge, Unique)
STRICT: Final = (Profile, Badge, Unique)
"""Models with columns that the database checks."""
REFUSALS: Final = (LargeObjectNotFound, ValueError, ValidationError, ObjectDoesNotExist, DatabaseError)
"""With what something may be refused that names a file that is gone, or a row."""
INSERTS: Final[dict[type[models.Model], str]] = {
    Paper: "insert into papers_paper (title, count, data) values ('', 0, %s) returning id",
    Contract: (
        "with p as (insert into papers_paper (title, count, data) values ('', 0, %s) returning id)"
        " insert into papers_contract (paper_ptr_id) select id from p returning paper_ptr_id"
    ),
    Version: "insert into papers_version (data) values (%s) returning id",
    Receipt: "insert into papers_receipt (id, data) values (gen_random_uuid(), %s) returning id",
    Profile: "insert into papers_profile (title, literal) values ('', coalesce(%s, '')) returning id",
    Badge: "insert into papers_badge (title, data) values ('', coalesce(%s, '')) returning id",
    Unique: "insert into papers_unique (data) values (%s) returning id",
}

Operation = tuple[Any, ...]
"""Its name, and small numbers."""
Cell = tuple[str, str, str]
"""Table, primary key and column."""


class Violation(AssertionError):
    """What is not allowed has happened."""


class Stop(Exception):
    """What a block is left with, to roll it back."""


class Upload(NamedTuple):
    """A value that is still to be stored."""

    content: bytes


Value = Upload | str | None


class View(NamedTuple):
    """What a session sees."""

    cells: dict[Cell, str | None]
    objects: dict[int, bytes]

    def content(self, name: str | None) -> bytes | None:
        return self.objects.get(loid_of(name)) if name else None

    def reads(self, name: str | None) -> bool:
        return not name or loid_of(name) in self.objects

    def named(self) -> set[int]:
        return {loid_of(name) for name in self.cells.values() if name}


@dataclass
class Instance:
    """An instance, and what the model knows of it."""

    row: Any
    session: int
    place: int
    """Which of the history's rows it stands for."""
    value: dict[str, Value] = field(default_factory=dict[str, Value])
    base: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    left: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    unsure: frozenset[str] = frozenset()
    """Fields that were saved or loaded in a transaction that was rolled back."""

    @property
    def model(self) -> type[models.Model]:
        return cast("type[models.Model]", type(self.row))

    @property
    def fields(self) -> tuple[str, ...]:
        return FIELDS[self.model]

    @property
    def key(self) -> object:
        """The key of the row that it would be saved to."""
        # A deleted child has its parent's key still.
        row: Any = self.row
        key: object = row.id if row.pk is None and self.model is Contract else row.pk
        return key

    def cell(self, name: str) -> Cell:
        return cell_of(self.model, self.key, name)

    def copied(self, row: Any, **changes: Any) -> "Instance":
        return replace(self, row=row, value=dict(self.value), base=dict(self.base), left=dict(self.left), **changes)


def cell_of(model: type[models.Model], pk: object, name: str) -> Cell:
    return model._meta.get_field(name).model._meta.db_table, str(pk), name


def loid_of(name: str) -> int:
    return int(name.partition(".")[0])


def held(row: models.Model, name: str) -> Any:
    """Return what an attribute has, without loading it, or making a file of a name."""
    value: Any = vars(row).get(name)
    # A copy of an instance has files of its own as soon as they are looked at.
    return getattr(row, name) if isinstance(value, FieldFile) else value


def held_name(row: models.Model, name: str) -> str | None:
    """Return the name that an attribute has."""
    value = held(row, name)
    return (value if isinstance(value, str) else getattr(value, "name", None)) or None


COLUMNS: Final = sorted({(model._meta.get_field(n).model, n) for model in KINDS for n in FIELDS[model]}, key=str)
TABLES: Final = (Contract._meta.db_table, *(kind._meta.db_table for kind in KINDS if kind is not Contract))
LOOK: Final = (
    " union all ".join(
        f"select '{model._meta.db_table}', {model._meta.pk.column}::text, '{name}', {name}, null::bytea"
        f" from {model._meta.db_table}"
        for model, name in COLUMNS
    )
    + " union all select '', '', '', oid::text, lo_get(oid) from pg_largeobject_metadata"
)

numbers = itertools.count()


class Blocks(NamedTuple):
    """A block of a session, and what is to be as it was where that is rolled back."""

    stack: ExitStack
    bases: list[tuple[Instance, dict[str, str | None], dict[str, frozenset[str]]]]
    loose: set[str]


class World:
    """Does the operations of one history after the other."""

    def __init__(self, guard: str, *, catalogue: bool) -> None:
        self.guard, self.catalogue = guard, catalogue
        self.cleans = guard != TRIGGERS
        self.triggers = guard != FIELD
        self._own = connections["default"]
        self._connections = [self._own, *(connections.create_connection("default") for _ in range(2))]
        self.operations = 0
        self.refused = 0
        self.done: Counter[str] = Counter()
        self.blocks: list[list[Blocks]] = [[], []]
        self._seen: dict[int, View] = {}
        for connection in self._connections[:2]:
            with connection.cursor() as cursor:
                cursor.execute("set lock_timeout = 10")
        self.begin(())

    def close(self) -> None:
        self.empty()
        connections["default"] = self._own
        with self._own.cursor() as cursor:
            cursor.execute("set lock_timeout = 0")
        for connection in self._connections[1:]:
            connection.close()

    def begin(self, kinds: Iterable[type[models.Model]]) -> None:
        """Begin a history with rows of these kinds, none of which is there yet."""
        self.empty()
        self.kinds = tuple(kinds)
        self.keys: list[object] = [None for _ in self.kinds]
        self.instances: dict[int, Instance] = {}
        self.was: dict[tuple[int, str], list[str]] = {}
        self.loose: set[str] = set()

    def empty(self) -> None:
        for session in (0, 1):
            self._use(session)
            while self.blocks[session]:
                transaction.set_rollback(True)
                self.blocks[session].pop().stack.close()
        self._use(0)
        self._seen.clear()
        with transaction.atomic(), self._own.cursor() as cursor:
            # The server's own vacuum may hold a table for longer than a session waits.
            cursor.execute("set local lock_timeout = 0")
            cursor.execute(";".join(f"delete from {table}" for table in TABLES))
            there = ", ".join(str(loid_of(name)) for name in DEFAULTS)
            if self.catalogue:
                cursor.execute(f"delete from pg_lo_storage_file where loid not in ({there})")
            cursor.execute(f"select lo_unlink(oid) from pg_largeobject_metadata where oid not in ({there})")
            for name in DEFAULTS:
                loid = loid_of(name)
                cursor.execute(
                    "select lo_from_bytea(%s, 'default') where not exists"
                    " (select from pg_largeobject_metadata where oid = %s)",
                    (loid, loid),
                )
                if self.catalogue:
                    cursor.execute(
                        "insert into pg_lo_storage_file (loid, extension, original_name, content_type)"
                        " values (%s, '.png', 'default.png', 'image/png') on conflict do nothing",
                        (loid,),
                    )

    # What is done.

    def do(self, operation: Operation) -> None:
        """Do one thing; what it would need and is not there makes it nothing."""
        name, *arguments = operation
        self.operations += 1
        try:
            getattr(self, f"do_{name}")(*arguments)
        except Skip:
            return
        self.done[name] += 1
        self.check_quiet()

    def do_enter(self, session: int) -> None:
        self._use(session)
        if len(self.blocks[session]) > 2:
            raise Skip
        stack = ExitStack()
        stack.enter_context(transaction.atomic())
        bases = [
            (some, dict(some.base), dict(some.left)) for some in self.instances.values() if some.session == session
        ]
        self.blocks[session].append(Blocks(stack, bases, set(self.loose)))

    def do_leave(self, session: int, commit: int) -> None:
        self._use(session)
        if not self.blocks[session]:
            raise Skip
        mine, before = self.look(session), self.look(2)
        if not commit:
            transaction.set_rollback(True)
        block = self.blocks[session].pop()
        block.stack.close()
        self._seen.clear()
        after = self.look(2)
        wanted = before if self.blocks[session] or not commit else mine
        if wanted != after:
            raise Violation(f"the end of a block changed {difference(wanted, after)}")
        if not commit:
            self._roll_back(session, block, self.look(session))

    def _roll_back(self, session: int, block: Blocks, now: View) -> None:
        self.loose |= block.loose
        known = {id(some): (base, left) for some, base, left in block.bases}
        for some in self.instances.values():
            if some.session != session:
                continue
            if id(some) in known:
                base, left = known[id(some)]
                changed = {name for name in some.base if some.base[name] != base.get(name, some.base[name])}
                some.base.update(base)
                some.left = left
            else:
                changed = {name for name in some.value if now.cells.get(some.cell(name)) != some.base.get(name)}
            some.unsure |= changed
        self._doubt(session)

    def _doubt(self, session: int) -> None:
        """Allow that what was written in the transaction is taken for rolled back: a savepoint of it was."""
        if not self.blocks[session]:
            return
        before = {id(some): base for some, base, _ in self.blocks[session][0].bases}
        for some in self.instances.values():
            base = before.get(id(some), {})
            if some.session == session:
                some.unsure |= {name for name, value in some.base.items() if value != base.get(name)}

    # Instances.

    def do_new(self, session: int, slot: int, place: int) -> None:
        kind = self.kinds[place]
        values = {"data": self.upload()} if kind in {Badge, Unique} else {}
        row: Any = kind(**{name: upload(value.content) for name, value in values.items()})
        some = Instance(row, session, place)
        for name in some.fields:
            some.value[name] = values.get(name) or held_name(row, name)
            some.base[name] = None
        self._put(slot, some)

    def do_new_of_key(self, session: int, slot: int, place: int) -> None:
        kind = self.kinds[place]
        if self.keys[place] is None or kind in {Badge, Unique}:
            raise Skip
        # Of a child both keys, without which Django does not delete it.
        row = kind(pk=self.keys[place], **({"id": self.keys[place]} if kind is Contract else {}))
        some = Instance(row, session, place)
        for name in some.fields:
            some.value[name] = held_name(row, name)
            some.base[name] = MISSING
        self._put(slot, some)

    def do_get(self, session: int, slot: int, place: int, how: int) -> None:
        self._use(session)
        kind, key = self.kinds[place], self.keys[place]
        first = FIELDS[kind][0]
        last = FIELDS[kind][-1]
        if how == 1 and kind is Paper:
            kind = Draft
        elif how == 1 and kind is Contract:
            kind = Paper
        rows = kind._default_manager.filter(pk=key)
        rows = {2: rows.defer(first), 3: rows.only(first), 4: rows.defer(last), 5: rows.only("pk")}.get(how, rows)
        before = self.look(session)
        row = rows.first()
        if row is None:
            raise Skip
        self._put(slot, self._loaded(row, session, place, before))

    def do_copy(self, slot: int, to: int) -> None:
        some = self._instance(slot)
        self._put(to, some.copied(copy.copy(some.row)))

    def do_duplicate(self, slot: int, to: int) -> None:
        some = self._instance(slot)
        if some.row.get_deferred_fields():
            raise Skip
        row = copy.copy(some.row)
        self._as_new(row)
        self._put(to, some.copied(row))

    def do_become_new(self, slot: int) -> None:
        some = self._instance(slot)
        if some.row.get_deferred_fields():
            raise Skip
        self._as_new(some.row)

    def do_pickle(self, slot: int, to: int, session: int) -> None:
        some = self._instance(slot)
        if any(isinstance(value, Upload) for value in some.value.values()):
            raise Skip  # Django pickles no content
        self._put(to, some.copied(pickle.loads(pickle.dumps(some.row)), session=session))

    def do_refresh(self, slot: int) -> None:
        some = self._instance(slot)
        before = self.look(some.session)
        if not self._is_loadable(some, before):
            raise Skip
        some.row.refresh_from_db()
        self._sync(some, before, some.fields)

    def do_touch(self, slot: int, number: int) -> None:
        some = self._instance(slot)
        name = self._field(some, number)
        before = self.look(some.session)
        if not self._is_loadable(some, before):
            raise Skip
        getattr(some.row, name)
        self._sync(some, before, ())

    # Assigned.

    def do_assign_upload(self, slot: int, number: int) -> None:
        some = self._instance(slot)
        name, value = self._field(some, number), self.upload()
        setattr(some.row, name, upload(value.content))
        self._assigned(some, name, value)

    def do_assign_none(self, slot: int, number: int) -> None:
        some = self._instance(slot)
        name = self._field(some, number)
        setattr(some.row, name, None)
        self._assigned(some, name, None)

    def do_assign_name(self, slot: int, number: int, source: Operation) -> None:
        some = self._instance(slot)
        name, value = self._field(some, number), self._name(source)
        if value is None:
            raise Skip
        setattr(some.row, name, value)
        self._assigned(some, name, value)

    def do_assign_file(self, slot: int, number: int, other: int, from_number: int) -> None:
        some, another = self._instance(slot), self._instance(other)
        name, origin = self._field(some, number), self._field(another, from_number)
        if some is another or origin not in another.value:
            raise Skip
        value = another.value[origin]
        self._use(another.session)
        setattr(some.row, name, getattr(another.row, origin))
        self._assigned(some, name, value)

    def do_move(self, slot: int, number: int, from_number: int) -> None:
        some = self._instance(slot)
        name, origin = self._field(some, number), self._field(some, from_number)
        if name == origin or {name, origin} - some.value.keys():
            raise Skip
        setattr(some.row, name, getattr(some.row, origin))
        setattr(some.row, origin, None)
        self._assigned(some, name, some.value[origin])
        self._assigned(some, origin, None)

    def do_swap(self, slot: int, number: int, from_number: int) -> None:
        some = self._instance(slot)
        name, origin = self._field(some, number), self._field(some, from_number)
        if name == origin or {name, origin} - some.value.keys():
            raise Skip
        first, second = getattr(some.row, name), getattr(some.row, origin)
        setattr(some.row, name, second)
        setattr(some.row, origin, first)
        one, two = some.value[name], some.value[origin]
        self._assigned(some, name, two)
        self._assigned(some, origin, one)

    # Saved.

    def do_save(self, slot: int) -> None:
        some = self._instance(slot)
        if hasattr(some.model, "title") and "title" not in some.row.get_deferred_fields():
            some.row.title = f"title {next(numbers)}"
        self._save(some, some.row.save)

    def do_save_field(self, slot: int, number: int) -> None:
        some = self._instance(slot)
        name = self._field(some, number)
        self._save(some, lambda: some.row.save(update_fields=[name]), only=[name])

    def do_save_other(self, slot: int) -> None:
        some = self._instance(slot)
        if not hasattr(some.model, "title"):
            raise Skip
        some.row.title = f"title {next(numbers)}"
        self._save(some, lambda: some.row.save(update_fields=["title"]), only=[])

    def do_fail(self, slot: int, whole: int) -> None:
        some = self._instance(slot)
        before = self.look(some.session)
        if not self._is_there(some, before):
            raise Skip  # Django inserts it all the same in autocommit, where it has no file

        def fail() -> None:
            post_save.connect(_stop)
            try:
                some.row.save() if whole else some.row.save(update_fields=some.fields)
            finally:
                post_save.disconnect(_stop)

        self._save(some, fail, only=None if whole else some.fields, fails=True)

    def do_file_save(self, slot: int, number: int, save: int) -> None:
        some = self._instance(slot)
        name, value = self._field(some, number), self.upload()
        if name not in some.value and not self._is_loadable(some, self.look(some.session)):
            raise Skip
        if save:
            self._save(
                some, lambda: getattr(some.row, name).save("a.pdf", upload(value.content)), changes={name: value}
            )
            return
        with self._step(some.session, [some], {}) as step:
            getattr(some.row, name).save("a.pdf", upload(value.content), save=False)
        if step.succeeded:
            self._sync(some, step.before, ())
            now = held_name(some.row, name)
            if step.after.content(now) != value.content:
                raise Violation(f"{name} is {self.call(now)}, which does not have what was stored")
            self._assigned(some, name, now)
            some.left[name] = some.left.get(name, frozenset()) | {str(now)}
            self.loose.add(str(now))

    def do_file_delete(self, slot: int, number: int, save: int) -> None:
        some = self._instance(slot)
        name = self._field(some, number)
        value = some.value.get(name)
        if value is None:
            raise Skip
        before, mine = self.look(some.session), some.cell(name)
        if not self.cleans and isinstance(value, str):
            for view in map(self.look, range(3)):
                if any(now == value for cell, now in view.cells.items() if cell != mine) or value in DEFAULTS:
                    raise Skip  # without cleanup it is deleted whoever names it, as with every other FileField
        # Its own file, which the row names until it is saved.
        losing = {mine} if before.cells.get(mine) == value and (not save or not self.cleans) else set[Cell]()
        if save:
            self._save(some, lambda: getattr(some.row, name).delete(), changes={name: None}, losing=losing)
            return
        with self._step(some.session, [some], {}, losing=losing) as step:
            getattr(some.row, name).delete(save=False)
        if step.succeeded:
            self._assigned(some, name, None)

    def do_raw(self, slot: int) -> None:
        some = self._instance(slot)
        before = self.look(some.session)
        kind = some.model._meta.concrete_model
        fields = [name for name in some.fields if some.model._meta.get_field(name).model is kind]
        if some.row.get_deferred_fields() or (kind is Contract and not self._is_there(some, before)):
            raise Skip
        refusable = any(is_refusable(some.value[name], before) for name in fields)
        old = [before.cells.get(some.cell(name)) for name in fields]
        allowed = {name: {some.value[name]} for name in fields}
        with self._step(some.session, [some], allowed, dangling=True, refusable=refusable) as step:
            some.row.save_base(raw=True)
        if step.succeeded:
            for name in fields:
                self._stored(some, name)
            self._leave(old)
            self.keys[some.place] = some.row.pk

    # Deleted.

    def do_delete(self, slot: int) -> None:
        some = self._instance(slot)
        if some.row.pk is None:
            raise Skip
        self._delete(some.session, some.place, some.row.delete, some.row.pk, some)

    def do_delete_query(self, session: int, place: int) -> None:
        rows = self.kinds[place]._default_manager.filter(pk=self.keys[place])
        if any(cell not in self.look(session).cells for cell in self._cells(place)):
            raise Skip
        self._delete(session, place, rows.delete, self.keys[place])

    def do_delete_all(self, session: int, place: int) -> None:
        kind = self.kinds[place]
        tables = {Paper._meta.db_table, Contract._meta.db_table} if issubclass(kind, Paper) else {kind._meta.db_table}
        cells = self.look(session).cells
        keys = {key for table, key, _ in cells if table == kind._meta.db_table}
        gone = {cell for cell in cells if cell[0] in tables and cell[1] in keys}
        with self._step(session, (), {}, deleting=gone):
            kind._default_manager.all().delete()

    def do_sql_delete(self, session: int, place: int) -> None:
        old = [self.look(session).cells.get(cell) for cell in self._cells(place)]
        tables = list(dict.fromkeys(table for table, _, _ in self._cells(place)))

        def delete() -> None:
            with transaction.atomic():
                for table in reversed(tables):
                    column = "paper_ptr_id" if table == "papers_contract" else "id"
                    self._sql(f"delete from {table} where {column} = %s", self.keys[place])

        if self._delete(session, place, delete, self.keys[place]):
            self._leave(old)

    def do_storage_delete(self, session: int, source: Operation) -> None:
        name = self._name(source)
        if name is None or name in DEFAULTS:
            raise Skip
        losing = {cell for cell, now in self.look(session).cells.items() if now == name}
        with self._step(session, [], {}, losing=losing):
            db_file_storage.delete(name)

    # Many at a time.

    def do_update(self, session: int, place: int, number: int, source: Operation, as_file: int) -> None:
        name = FIELDS[self.kinds[place]][number % len(FIELDS[self.kinds[place]])]
        value: Any = self._name(source)
        wanted: str | None = value
        if as_file:
            some = self._instance(source[1])
            origin = self._field(some, source[2])
            if origin not in some.value or isinstance(some.value[origin], Upload):
                raise Skip
            value = getattr(some.row, origin)
            wanted = held_name(some.row, origin)
        cell = cell_of(self.kinds[place], self.keys[place], name)
        before = self.look(session)
        if cell not in before.cells:
            raise Skip
        with self._step(session, [], {cell: {wanted}}, refusable=not before.reads(wanted)) as step:
            self.kinds[place]._default_manager.filter(pk=self.keys[place]).update(**{name: value})
        if step.succeeded:
            self._leave([before.cells[cell]])

    def do_clear_all(self, session: int, place: int, number: int) -> None:
        kind = self.kinds[place]
        name = FIELDS[kind][number % len(FIELDS[kind])]
        table = cell_of(kind, None, name)[0]
        cells = self.look(session).cells
        keys = {key for of, key, _ in cells if of == kind._meta.db_table}
        old = {(table, key, name): cells[table, key, name] for key in keys}
        with self._step(session, [], {cell: {None} for cell in old}) as step:
            kind._default_manager.update(**{name: None})
        if step.succeeded:
            self._leave(old.values())

    def do_bulk_update(self, slot: int, number: int) -> None:
        some = self._instance(slot)
        if some.row.pk is None or some.row.get_deferred_fields():
            raise Skip
        fields = some.fields if number == 9 else [self._field(some, number)]
        before = self.look(some.session)
        is_there = self._is_there(some, before)
        old = [before.cells.get(some.cell(name)) for name in fields]
        allowed = {name: {some.value[name]} for name in fields} if is_there else {}
        refusable = any(is_refusable(some.value[name], before) for name in fields)
        # One statement a table: triggers unlink what the first leaves, before the second names it.
        moves = len({some.cell(name)[0] for name in fields}) > 1 and any(some.value[name] in old for name in fields)
        refusable = refusable or (self.triggers and moves)
        with self._step(some.session, [some], allowed, refusable=refusable) as step:
            some.model._default_manager.bulk_update([some.row], list(fields))
        if step.succeeded and is_there:
            for name in fields:
                self._stored(some, name)
            self._leave(old)

    def do_bulk_create(self, slot: int) -> None:
        some = self._instance(slot)
        if isinstance(some.row, Contract) or some.row.get_deferred_fields():
            raise Skip
        before = self.look(some.session)
        if self._is_there(some, before):
            some = some.copied(copy.copy(some.row))
            self._as_new(some.row)
            self._put(slot, some)
        refusable = any(is_refusable(value, before) for value in some.value.values())
        allowed = {name: {some.value[name]} for name in some.fields}
        with self._step(some.session, [some], allowed, refusable=refusable) as step:
            some.model._default_manager.bulk_create([some.row])
        if step.succeeded:
            self.keys[some.place] = some.row.pk
            for name in some.fields:
                self._stored(some, name)

    def do_get_or_create(self, session: int, slot: int, place: int, number: int) -> None:
        self._through_the_manager(session, slot, place, number, value=self.upload(), method="get_or_create")

    def do_update_or_create(self, session: int, slot: int, place: int, number: int, source: Operation) -> None:
        value = self.upload() if source[0] == "upload" else self._name(source)
        self._through_the_manager(session, slot, place, number, value=value, method="update_or_create")

    def _through_the_manager(
        self,
        session: int,
        slot: int,
        place: int,
        number: int,
        *,
        value: Value,
        method: str,
    ) -> None:
        kind = self.kinds[place]
        name = FIELDS[kind][number % len(FIELDS[kind])]
        key = self.keys[place]
        given: Any = upload(value.content) if isinstance(value, Upload) else value
        before = self.look(session)
        is_there = key is not None and all(cell in before.cells for cell in self._cells(place))
        if not is_there and kind is Badge and not given:
            raise Skip
        writes = not is_there or method == "update_or_create"
        some = Instance(kind(), session, place)
        for other in some.fields:
            some.base[other] = before.cells.get(cell_of(kind, key, other)) if is_there else None
            some.value[other] = some.base[other] if is_there else held_name(some.row, other)
        if writes:
            some.value[name] = value
        allowed, refusable = self._allowed(some, before, some.fields, key=key) if writes else ({}, False)
        with self._step(session, [], {}, refusable=refusable) as step:
            lookup = {"pk": key} if key is not None else {"pk__isnull": True}
            some.row, created = getattr(kind._default_manager, method)(**lookup, defaults={name: given})
            if created == is_there:
                raise Violation(f"created is {created}")
            step.allowed = {some.cell(other): values for other, values in allowed.items()}
        if step.succeeded:
            self.keys[place] = some.row.pk
            self._put(slot, some)
            for other in some.fields:
                self._stored(some, other)

    # Raw.

    def do_sql_update(self, session: int, place: int, number: int, source: Operation) -> None:
        name = FIELDS[self.kinds[place]][number % len(FIELDS[self.kinds[place]])]
        value = self._name(source)
        cell = cell_of(self.kinds[place], self.keys[place], name)
        before = self.look(session)
        if cell not in before.cells:
            raise Skip
        old = before.cells[cell]
        # Triggers refuse the name of a file that is gone in the place of one that is there.
        refusable = self.triggers and not before.reads(value)
        with self._step(session, [], {cell: {value}}, refusable=refusable, dangling=True) as step:
            column = "paper_ptr_id" if cell[0] == "papers_contract" else "id"
            self._sql(f"update {cell[0]} set {name} = %s where {column} = %s", value, self.keys[place])
        if step.succeeded:
            if self.triggers and not before.reads(value) and old and before.reads(old):
                raise Violation(f"triggers let {self.call(value)}, which is gone, take the place of {self.call(old)}")
            self._leave([old])

    def do_sql_insert(self, session: int, place: int, source: Operation) -> None:
        value = self._name(source)
        kind = self.kinds[place]
        if value is None and kind is Unique:
            raise Skip
        refusable = self.triggers and not self.look(session).reads(value)
        key: list[object] = []
        with self._step(session, [], {}, refusable=refusable, dangling=True) as step:
            key = [self._sql(INSERTS[kind], value)]
            step.allowed = {cell_of(kind, key[0], name): None for name in FIELDS[kind]}
        if step.succeeded:
            self.keys[place] = key[0]

    # How.

    def _save(
        self,
        some: Instance,
        save: Callable[[], object],
        *,
        only: Collection[str] | None = None,
        changes: dict[str, Value] | None = None,
        losing: Collection[Cell] = (),
        fails: bool = False,
    ) -> None:
        """Save the instance: what its user changed is written, and nothing else."""
        before = self.look(some.session)
        values = dict(some.value)
        there = self._is_there(some, before)
        if there:
            for name in {*(only or ()), *(changes or ())} - some.value.keys():
                some.value[name] = some.base[name] = before.cells[some.cell(name)]  # saving loads it
        some.value |= changes or {}
        fields = [name for name in (some.fields if only is None else only) if name in some.value]
        allowed, refusable = self._allowed(some, before, fields)
        deferred = bool(some.row.get_deferred_fields())
        refusable = refusable or (not self._is_loadable(some, before) and (only is not None or deferred))
        with self._step(
            some.session, [some], {} if fails else allowed, refusable=refusable, losing=losing, fails=fails
        ) as step:
            save()
        if not step.succeeded:
            some.value = {name: value for name, value in some.value.items() if name in values} | values
            self._sync(some, step.before, ())
            self._check_unchanged(some, values)
            return
        if some.row.pk is not None:
            self.keys[some.place] = some.row.pk
        if fails:
            raise Violation("a receiver's error was swallowed")
        self._sync(some, step.after, ())
        self._check_saved(some, fields, step, is_new=not there)
        if self.cleans:
            for name in fields:
                self.loose -= some.left.pop(name, frozenset())

    def _check_saved(self, some: Instance, fields: Iterable[str], step: "Step", *, is_new: bool) -> None:
        for name in fields:
            value, now = some.value[name], step.after.cells[some.cell(name)]
            if not is_new and value == some.base.get(name) and now != value:
                continue  # somebody else has changed it, and this save did not
            if name in some.unsure and now != value and not isinstance(value, Upload):
                some.value[name] = held_name(some.row, name)
                continue
            self._stored(some, name, now)
            if held_name(some.row, name) != now:
                raise Violation(f"{name} is {self.call(held_name(some.row, name))}, the row has {self.call(now)}")

    def _check_unchanged(self, some: Instance, values: dict[str, Value]) -> None:
        for name, value in values.items():
            file: object = held(some.row, name)
            is_upload = isinstance(file, File) and not (isinstance(file, FieldFile) and is_committed(file))
            if is_upload != isinstance(value, Upload) or (not is_upload and held_name(some.row, name) != value):
                raise Violation(f"refused, and yet {name} is {file!r}, not {self.call(value)}")

    def _allowed(
        self, some: Instance, before: View, fields: Iterable[str], *, key: object = None
    ) -> tuple[dict[str, set[Value]], bool]:
        """Return what each field may have after a save, and whether that may be refused."""
        kind = some.model
        key = key if key is not None else some.key
        cells = {name: cell_of(kind, key, name) for name in some.fields}
        new = key is None or any(cell not in before.cells for cell in cells.values())
        allowed: dict[str, set[Value]] = {}
        refusable = False
        for name in fields:
            value = some.value[name]
            now = before.cells.get(cells[name])
            known = some.base.get(name)
            if isinstance(value, Upload) or new:
                allowed[name] = {value}
            elif some.row._state.adding and key == some.key:
                allowed[name] = {value, now} if value == known else {value}  # one that was refreshed is as loaded
            elif name in some.unsure and not (value != known and now == known):
                allowed[name] = {value, now}
            elif value == known:
                allowed[name] = {now}
                continue
            else:
                allowed[name] = {value}
            refusable = refusable or not (isinstance(value, Upload) or before.reads(value))
        return allowed, refusable

    def _delete(
        self, session: int, place: int, delete: Callable[[], object], key: object, *instances: Instance
    ) -> bool:
        before = self.look(session)
        tables = {table for table, _, _ in self._cells(place)}
        gone = {cell for cell in before.cells if cell[1] == str(key) and cell[0] in tables}
        if not gone:
            raise Skip
        with self._step(session, instances, {}, deleting=gone) as step:
            delete()
        return step.succeeded

    @contextmanager
    def _step(
        self,
        session: int,
        instances: Iterable[Instance],
        allowed: dict[str, set[Value]] | dict[Cell, set[Value]] | dict[Any, Any],
        *,
        refusable: bool = False,
        dangling: bool = False,
        losing: Collection[Cell] = (),
        deleting: Collection[Cell] = (),
        fails: bool = False,
    ) -> "Generator[Step]":
        """Do one thing in a savepoint, and compare what there is before and after it."""
        self._use(session)
        before = self.look(session)
        step = Step(before, before)
        step.allowed = allowed
        try:
            with transaction.atomic() if self.blocks[session] else nullcontext():
                yield step
        except Violation:
            raise
        except Exception as error:
            if not self._may_raise(error, refusable=refusable, fails=fails):
                raise Violation(f"{type(error).__name__}: {error}") from error
        else:
            step.succeeded = True
        self._use(session)
        self._seen.clear()
        step.after = after = self.look(session)
        if not step.succeeded:
            self.refused += 1
            self._doubt(session)
            if after.cells != before.cells:
                raise Violation(f"refused, and yet changed {difference(before, after)}")
            self._compare(before, after, {}, (), ())
            return
        cells = dict[Cell, "set[Value] | None"]()
        for name, values in step.allowed.items():
            if isinstance(name, tuple):
                cells[name] = values
            else:
                for some in instances:
                    cells[some.cell(name)] = values
        self._remember(before, after)
        self._compare(before, after, cells, losing, deleting, dangling=dangling)
        self.loose -= {name for cell, name in after.cells.items() if name and name != before.cells.get(cell)}

    def _may_raise(self, error: Exception, *, refusable: bool, fails: bool) -> bool:
        if isinstance(error, OperationalError):
            return "lock timeout" in str(error)
        if isinstance(error, IntegrityError):
            return refusable or any(kind in STRICT or kind is Receipt for kind in self.kinds)
        if isinstance(error, REFUSALS):
            return refusable
        if isinstance(error, AttributeError):  # Django 6, of an instance whose row it deleted
            return refusable and "Cannot retrieve deferred field" in str(error)
        return fails and isinstance(error, Stop)

    def _compare(
        self,
        before: View,
        after: View,
        allowed: "dict[Cell, set[Value] | None]",
        losing: Collection[Cell],
        deleting: Collection[Cell],
        *,
        dangling: bool = False,
    ) -> None:
        for cell in deleting:
            if cell in after.cells:
                raise Violation(f"{cell} is still there")
        for cell in (before.cells.keys() | after.cells.keys() | allowed.keys()) - set(deleting):
            if cell not in after.cells:
                raise Violation(f"{cell} is gone")
            was, now = before.cells.get(cell), after.cells[cell]
            values = allowed.get(cell, {was})
            if values is not None and not any(is_so(value, was, now, after) for value in values):
                wanted = " or ".join(self.call(value) for value in values)
                raise Violation(f"{cell} is {self.call(now)}, not {wanted}; it was {self.call(was)}")
            if not after.reads(now) and not (dangling if was != now else cell in losing or not before.reads(was)):
                raise Violation(f"{cell} names {self.call(now)}, which is gone; it was {self.call(was)}")
        self._compare_objects(before, after)

    def _compare_objects(self, before: View, after: View) -> None:
        for loid, data in after.objects.items():
            if before.objects.get(loid, data) != data:
                raise Violation(f"the content of {loid} changed")
        for name in DEFAULTS:
            if loid_of(name) not in after.objects:
                raise Violation(f"the file of a default, {name}, was unlinked")

    def check_quiet(self) -> None:
        """Where all is committed: no orphan but those that are known, and a catalogue of what there is."""
        if any(self.blocks):
            return
        view = self.look(2)
        allowed = {loid_of(name) for name in (*self.loose, *DEFAULTS)}
        if orphans := view.objects.keys() - view.named() - allowed:
            raise Violation(f"orphans: {[view.objects[loid] for loid in orphans]}")
        if self.catalogue:
            with self._connections[2].cursor() as cursor:
                cursor.execute("select loid::int8 from pg_lo_storage_file")
                entries = {loid for (loid,) in cursor.fetchall()}
            if entries != view.objects.keys():
                raise Violation(f"entries {entries ^ view.objects.keys()} are not of objects, or missing")

    def look(self, session: int) -> View:
        """Return what the session sees; the third has no part in the history, and sees what is committed."""
        if not any(self.blocks):
            session = 2
        if session not in self._seen:
            self._seen[session] = self._look(session)
        return self._seen[session]

    def _look(self, session: int) -> View:
        cells: dict[Cell, str | None] = {}
        objects: dict[int, bytes] = {}
        with self._connections[session].cursor() as cursor:
            cursor.execute(LOOK)
            for table, key, name, value, data in cursor.fetchall():
                if table:
                    cells[table, key, name] = value or None
                else:
                    objects[int(value)] = bytes(data)
        return View(cells, objects)

    def call(self, value: Value) -> str:
        return repr(value.content) if isinstance(value, Upload) else str(value)

    def upload(self) -> Upload:
        return Upload(b"content %d" % next(numbers))

    def _use(self, session: int) -> None:
        connections["default"] = self._connections[session]

    def _sql(self, query: str, *params: Any) -> Any:
        with connections["default"].cursor() as cursor:
            cursor.execute(query, params)
            return cursor.fetchone()[0] if cursor.description else None

    def _instance(self, slot: int) -> Instance:
        if slot not in self.instances:
            raise Skip
        some = self.instances[slot]
        self._use(some.session)
        return some

    def _field(self, some: Instance, number: int) -> str:
        return some.fields[number % len(some.fields)]

    def _put(self, slot: int, some: Instance) -> None:
        self.instances[slot] = some

    def _loaded(self, row: Any, session: int, place: int, view: View) -> Instance:
        some = Instance(row, session, place)
        self._sync(some, view, ())
        return some

    def _sync(self, some: Instance, view: View, fields: Collection[str]) -> None:
        """Learn what was loaded."""
        for name in some.fields:
            if name in vars(some.row) and (name in fields or name not in some.value):
                some.value[name] = some.base[name] = view.cells.get(some.cell(name))
                some.unsure -= {name}

    def _assigned(self, some: Instance, name: str, value: Value) -> None:
        if name not in some.base:
            some.base[name] = MISSING
        some.value[name] = value

    def _stored(self, some: Instance, name: str, now: str | None = None) -> None:
        value = now if now is not None else held_name(some.row, name)
        some.value[name] = some.base[name] = value
        some.unsure -= {name}

    def _leave(self, names: Iterable[str | None]) -> None:
        if not self.triggers:
            self.loose |= {name for name in names if name}

    def _cells(self, place: int) -> list[Cell]:
        return [cell_of(self.kinds[place], self.keys[place], name) for name in FIELDS[self.kinds[place]]]

    def _is_there(self, some: Instance, view: View) -> bool:
        return some.key is not None and all(some.cell(name) in view.cells for name in some.fields)

    def _is_loadable(self, some: Instance, view: View) -> bool:
        # A child that was deleted has its parent's key still, and Django does not load it by that.
        return some.row.pk is not None and self._is_there(some, view)

    def _as_new(self, row: Any) -> None:
        if isinstance(row, Contract):
            vars(row)["id"] = None
        row.pk = None
        if isinstance(row, Receipt):
            row.pk = Receipt._meta.pk.get_default()
        row._state.adding = True

    def _remember(self, before: View, after: View) -> None:
        for place, key in enumerate(self.keys):
            for name in FIELDS[self.kinds[place]]:
                cell = cell_of(self.kinds[place], key, name)
                old = before.cells.get(cell)
                if old and old != after.cells.get(cell):
                    self.was.setdefault((place, name), []).append(old)

    def _name(self, source: Operation) -> str | None:
        kind: str = source[0]
        one: int = source[1]
        two: int = source[2]
        if kind == "none":
            return None
        if kind == "of":
            some = self._instance(one)
            value = some.value.get(self._field(some, two))
            if not isinstance(value, str):
                raise Skip
            return value
        place = one % len(self.kinds)
        name = FIELDS[self.kinds[place]][two % len(FIELDS[self.kinds[place]])]
        if kind == "was":
            if not self.was.get((place, name)):
                raise Skip
            return self.was[place, name][-1]
        value = self.look(0).cells.get(cell_of(self.kinds[place], self.keys[place], name))
        if value is None:
            raise Skip
        return value


MISSING: Final = "(not loaded)"


class Skip(Exception):
    """An operation that cannot be done now, and is left out."""


class Step:
    """What was done, and what was seen before and after it."""

    def __init__(self, before: View, after: View) -> None:
        self.before, self.after = before, after
        self.succeeded = False
        self.allowed: dict[Any, Any] = {}


def is_refusable(value: Value, view: View) -> bool:
    """Tell whether a bulk statement may refuse it."""
    return isinstance(value, Upload) or not view.reads(value)


def is_so(value: Value, was: str | None, now: str | None, view: View) -> bool:
    """Tell whether a cell has become what it was given."""
    return view.content(now) == value.content and now != was if isinstance(value, Upload) else now == value


def difference(before: View, after: View) -> str:
    cells = sorted(set(before.cells.items()) ^ set(after.cells.items()), key=str)
    return f"{cells}, {before.objects.keys() ^ after.objects.keys()}"


def _stop(**_signal: object) -> None:
    raise Stop
