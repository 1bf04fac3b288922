"""Random histories of rows and instances: whenever something is committed, what there is is what rows name."""

import copy
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import cast

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.core.files.base import ContentFile
from django.db import DatabaseError, transaction
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from pg_lo_storage.exceptions import LargeObjectNotFound
from tests.lifecycle.guards import BOTH, FIELD, TRIGGERS, guarded
from tests.lifecycle.papers.models import Contract, Paper, Receipt, Version
from tests.lifecycle.support import FILES, column, empty_tables, entries, named, shared, sql, upload

MODELS = (Paper, Contract, Version, Receipt)
Row = Paper | Version | Receipt

numbers = itertools.count()
pick = st.integers(0, 1000)
kinds = st.sampled_from(MODELS)


class Histories(RuleBasedStateMachine):
    """Each rule is done to some instance, which may be of a row that is gone, or that others have changed since."""

    catalogue = False
    guard = FIELD

    @initialize()
    def begin_empty(self) -> None:
        self.instances: list[Row] = []
        self.blocks: list[ExitStack] = []
        self.content: dict[int, bytes] = {}

    def teardown(self) -> None:
        while self.blocks:
            self.leave(commit=True)
        empty_tables()

    @precondition(lambda self: len(self.blocks) < 3)
    @rule()
    def enter(self) -> None:
        block = ExitStack()
        block.enter_context(transaction.atomic())
        self.blocks.append(block)

    @precondition(lambda self: self.blocks)
    @rule(commit=st.booleans())
    def leave(self, *, commit: bool) -> None:
        if not commit:
            transaction.set_rollback(True)
        self.blocks.pop().close()
        self.check()

    @rule(model=kinds, has_file=st.booleans())
    def create(self, model: type[Row], *, has_file: bool) -> None:
        row = model(data=self.upload() if has_file else None)
        self.instances.append(row)
        self.save(row)

    @rule(model=kinds, n=pick)
    def load(self, model: type[Row], n: int) -> None:
        if rows := list(model._default_manager.order_by("pk")):
            self.instances.append(cast("Row", rows[n % len(rows)]))  # pyright: ignore[reportUnnecessaryCast]  # mypy needs it

    @rule(n=pick)
    def load_deferred(self, n: int) -> None:
        if rows := list(Paper.objects.only("title").order_by("pk")):
            self.instances.append(cast("Row", rows[n % len(rows)]))

    @precondition(lambda self: self.instances)
    @rule(n=pick)
    def save_again(self, n: int) -> None:
        self.save(self.instance(n))

    @precondition(lambda self: self.instances)
    @rule(n=pick)
    def replace(self, n: int) -> None:
        row = self.instance(n)
        row.data = self.upload()
        self.save(row)

    @precondition(lambda self: self.instances)
    @rule(n=pick)
    def replace_through_the_field(self, n: int) -> None:
        row = self.instance(n)
        with self.step():
            row.data.save("b.pdf", self.upload())

    @precondition(lambda self: self.instances)
    @rule(n=pick)
    def clear(self, n: int) -> None:
        row = self.instance(n)
        row.data = None
        self.save(row)

    @precondition(lambda self: self.instances)
    @rule(n=pick)
    def clear_through_the_field(self, n: int) -> None:
        row = self.instance(n)
        if self.guard == TRIGGERS and row.data and shared(row.data):
            return  # without cleanup it is deleted whoever else names it, as with every other FileField
        with self.step(), suppress(FileNotFoundError):
            row.data.delete()

    @precondition(lambda self: self.instances)
    @rule(n=pick)
    def copy_the_row(self, n: int) -> None:
        row = copy.copy(self.instance(n))
        if row.get_deferred_fields():
            return
        if isinstance(row, Contract):
            vars(row)["paper_ptr_id"] = None
        row.pk = None
        row._state.adding = True
        self.instances.append(row)
        self.save(row)

    @precondition(lambda self: self.instances)
    @rule(n=pick, m=pick)
    def share_a_file(self, n: int, m: int) -> None:
        row, other = self.instance(n), self.instance(m)
        if row is not other:
            row.data = other.data
            self.save(row)

    @precondition(lambda self: self.instances)
    @rule(n=pick, m=pick)
    def share_a_name(self, n: int, m: int) -> None:
        row = self.instance(n)
        if names := sorted(name for name in column("select data from papers_paper") if name):
            row.data = names[m % len(names)]
            self.save(row)

    @precondition(lambda self: self.instances)
    @rule(n=pick)
    def refresh(self, n: int) -> None:
        row = self.instance(n)
        try:
            row.refresh_from_db()
        except (ObjectDoesNotExist, ValueError):
            self.instances.remove(row)

    @precondition(lambda self: self.instances)
    @rule(n=pick)
    def delete(self, n: int) -> None:
        row = self.instance(n)
        if row.pk is not None:
            with self.step():
                row.delete()
            if row.get_deferred_fields():
                self.instances.remove(row)  # Django does not insert what it has in part only

    @rule(model=kinds, odd=st.booleans())
    def delete_many(self, model: type[Row], *, odd: bool) -> None:
        keys = list(model._default_manager.order_by("pk").values_list("pk", flat=True))
        with self.step():
            model._default_manager.filter(pk__in=keys[odd::2]).delete()

    @precondition(lambda self: self.guard != FIELD)
    @rule(model=kinds, odd=st.booleans())
    def update_many(self, model: type[Row], *, odd: bool) -> None:
        keys = list(model._default_manager.order_by("pk").values_list("pk", flat=True))
        with self.step():
            model._default_manager.filter(pk__in=keys[odd::2]).update(data=None)

    def instance(self, n: int) -> Row:
        return self.instances[n % len(self.instances)]

    def upload(self) -> "ContentFile[bytes]":
        return upload(b"%d" % next(numbers))

    def save(self, row: Row) -> None:
        with self.step():
            try:
                row.save()
            except DatabaseError as error:
                # Django's own, of a row that is gone and an instance with deferred fields.
                if str(error) != "Save with update_fields did not affect any rows.":
                    raise

    def step(self) -> "Step":
        return Step(self)

    def check(self) -> None:
        if self.blocks:
            return
        objects = column(FILES)
        assert objects == named()
        assert entries() == (objects if self.catalogue else set())
        for loid in objects:
            [(data,)] = sql("select lo_get(%s)", loid)
            assert self.content.setdefault(loid, bytes(data)) == bytes(data)


class Step:
    """One thing that is done, in a savepoint where there is a transaction; a file that is gone is refused."""

    def __init__(self, machine: Histories) -> None:
        self._machine = machine
        self._stack = ExitStack()

    def __enter__(self) -> None:
        self._stack.enter_context(suppress(LargeObjectNotFound))
        if self._machine.blocks:
            self._stack.enter_context(transaction.atomic())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        handled = self._stack.__exit__(kind, error, traceback)
        self._machine.check()
        return bool(handled)


@pytest.fixture(params=[FIELD, TRIGGERS, BOTH])
def guard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, catalogue: bool) -> Iterator[str]:
    name: str = request.param
    with guarded(name, monkeypatch, catalogue=catalogue):
        yield name


def test_at_every_commit_there_is_what_rows_name(guard: str, catalogue: bool) -> None:
    class Variant(Histories):
        pass

    Variant.guard, Variant.catalogue = guard, catalogue
    run_state_machine_as_test(
        Variant, settings=settings(max_examples=60, stateful_step_count=25, phases=[Phase.generate])
    )
