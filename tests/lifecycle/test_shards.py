"""A model whose rows are on three databases, by a router that asks who the thread works for.

Whatever is done, each file is on the database of its row, byte for byte, and when all rows are gone nothing is left on
any. ``PG_LO_TEST_SHARD_OPERATIONS`` is how much is done in each world.
"""

import os
import random
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections, models, transaction
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from example.cluster import Server
from tests.lifecycle.guards import EVERY_GUARD, FIELD, TRIGGERS, guarded
from tests.lifecycle.papers.models import Contract, Paper
from tests.lifecycle.support import FILES, column, entries, named, upload

SHARDS: Final = ("default", "other", "third")
OPERATIONS: Final = int(os.environ.get("PG_LO_TEST_SHARD_OPERATIONS", "60"))
LENGTH: Final = 20
EVERY_APP: Final = list(settings.INSTALLED_APPS)

_working_for = threading.local()


class ByThread:
    """The router of the tenants' databases, in projects that have one for each."""

    def db_for_read(self, _model: type[models.Model], **_hints: object) -> str | None:
        return cast("str | None", getattr(_working_for, "alias", None))

    db_for_write = db_for_read


@contextmanager
def working_for(alias: str) -> Generator[None]:
    before = getattr(_working_for, "alias", None)
    _working_for.alias = alias
    try:
        yield
    finally:
        _working_for.alias = before


@pytest.fixture(scope="module")
def _third(server: Server, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001 -- it comes first
    """Have Django know the third database, and make the tables there."""
    database = server.django_database("third")
    connections.settings["third"] = connections.configure_settings({"default": database, "third": database})["third"]
    with django_db_blocker.unblock(), override_settings(INSTALLED_APPS=EVERY_APP):
        call_command("migrate", database="third", verbosity=0)
        call_command("migrate", run_syncdb=True, database="third", verbosity=0)
    yield
    with django_db_blocker.unblock():
        connections["third"].close()
    del connections["third"], connections.settings["third"]


@pytest.fixture(scope="module", autouse=True)
def guard(
    request: pytest.FixtureRequest,
    catalogue: bool,
    _third: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """As everywhere in this folder, on three databases."""
    name: str = getattr(request, "param", FIELD)
    with django_db_blocker.unblock(), guarded(name, catalogue=catalogue, aliases=SHARDS):
        yield name


class Shards:
    """What rows there should be on each database, by key, with their files' bytes."""

    def __init__(self, guard: str, *, catalogue: bool) -> None:
        self._guard = guard
        self._catalogue = catalogue
        self._rows: dict[str, dict[int, bytes | None]] = {alias: {} for alias in SHARDS}
        self.done = 0

    def do(self, name: str, here: str, there: str, place: int, size: int, *inner: Any) -> None:
        """Do it, and check what there is then."""
        self.done += 1
        row = self._row(here, place)
        if row is not None or name in {"create", "create_contract", "roll_back"}:
            getattr(self, name)(here, there, row, b"%d." % self.done * size, *inner)

    def check(self) -> None:
        for alias, rows in self._rows.items():
            objects = column(FILES, using=alias)
            assert objects == named(alias, files=alias)
            assert entries(alias) == (objects if self._catalogue else set())
            with working_for(alias):
                found = {row.pk: row.data for row in Paper.objects.all()}
            assert found.keys() == rows.keys()
            for key, data in rows.items():
                file = found[key]
                assert (file.open().read() if file else None) == data
                file.close()

    def end(self) -> None:
        """Delete all rows: nothing is left."""
        for alias in SHARDS:
            with working_for(alias):
                Paper.objects.all().delete()
            self._rows[alias] = {}
        self.check()

    def create(self, here: str, _there: str, _row: Paper | None, data: bytes) -> None:
        self._create(Paper, here, data)

    def create_contract(self, here: str, _there: str, _row: Paper | None, data: bytes) -> None:
        self._create(Contract, here, data)

    def _create(self, model: type[Paper], here: str, data: bytes) -> None:
        with working_for(here):
            # Past those that sequences give to copies.
            row = model.objects.create(pk=1_000_000 + self.done, data=upload(data))
        self._rows[here][row.pk] = data

    def replace(self, here: str, _there: str, row: Paper, data: bytes) -> None:
        with working_for(here):
            row.data = upload(data)
            row.save()
        self._rows[here][row.pk] = data

    def save_file(self, here: str, _there: str, row: Paper, data: bytes) -> None:
        with working_for(here):
            row.data.save("b.pdf", upload(data))
        self._rows[here][row.pk] = data

    def clear(self, here: str, _there: str, row: Paper, _data: bytes) -> None:
        with working_for(here):
            row.data.delete()
        self._rows[here][row.pk] = None

    def copy(self, here: str, there: str, row: Paper, _data: bytes) -> None:
        kept = self._rows[here][row.pk]
        row.pk = None
        with working_for(there):
            row.save()
        self._rows[there][row.pk] = kept

    def move(self, here: str, there: str, row: Paper, _data: bytes) -> None:
        with working_for(there):
            row.save()
        self._rows[there][row.pk] = self._rows[here][row.pk]
        if here != there:
            with working_for(here):
                Paper.objects.filter(pk=row.pk).delete()
            del self._rows[here][row.pk]

    def share(self, here: str, there: str, row: Paper, _data: bytes) -> None:
        """Give the row's file to another row, of any database."""
        for other in filter(None, [self._row(there, row.pk)]):
            other.data = row.data
            with working_for(there):
                other.save()
            self._rows[there][other.pk] = self._rows[here][row.pk]

    def store_first(self, here: str, there: str, row: Paper, data: bytes) -> None:
        """Store a file for the row here, and save the row there; triggers know only of files that a row has named."""
        there = here if self._guard == TRIGGERS else there
        with working_for(here):
            row.data.save("c.pdf", upload(data), save=False)
        with working_for(there):
            row.save()
        self._rows[there][row.pk] = data

    def delete(self, here: str, _there: str, row: Paper, _data: bytes) -> None:
        with working_for(here):
            del self._rows[here][row.pk]
            row.delete()

    def delete_some(self, here: str, _there: str, row: Paper, _data: bytes) -> None:
        with working_for(here):
            Paper.objects.filter(pk__gte=row.pk).delete()
        self._rows[here] = {key: data for key, data in self._rows[here].items() if key < row.pk}

    def roll_back(self, here: str, _there: str, _row: Paper | None, _data: bytes, *inner: Any) -> None:
        """Do the rest in a transaction here, which is rolled back; what is done on others stays."""
        before = dict(self._rows[here])
        with transaction.atomic(using=here):
            for operation in inner:
                self.do(*operation)
            transaction.set_rollback(True, using=here)
        self._rows[here] = before

    def _row(self, alias: str, place: int) -> Paper | None:
        """Return one of the rows there are, as it is now."""
        keys = sorted(self._rows[alias])
        with working_for(alias):
            return Paper.objects.get(pk=keys[place % len(keys)]) if keys else None


NAMES: Final = (
    *("create", "create", "create", "create_contract"),
    *("replace", "save_file", "clear", "copy", "copy", "move", "move", "share", "store_first", "delete", "delete_some"),
    "roll_back",
)


def drawn(some: random.Random, *, nested: bool = False) -> tuple[Any, ...]:
    """Return an operation; one that rolls back has others inside.

    A file that is stored on one database for a row whose save is rolled back on another was never any row's.
    """
    name = some.choice([name for name in NAMES if not nested or name not in {"store_first", "roll_back"}])
    inner = [drawn(some, nested=True) for _ in range(some.randint(1, 4))] if name == "roll_back" else []
    return name, some.choice(SHARDS), some.choice(SHARDS), some.randrange(9), some.choice([1, 5, 100_000]), *inner


@EVERY_GUARD
@pytest.mark.usefixtures("guard")
@pytest.mark.timeout(120 + OPERATIONS)
@override_settings(DATABASE_ROUTERS=[ByThread()])
def test_each_file_is_on_the_database_of_its_row(guard: str, catalogue: bool) -> None:
    shards, some = Shards(guard, catalogue=catalogue), random.Random(f"{guard} {catalogue}")
    history: list[tuple[Any, ...]] = []
    try:
        while shards.done < OPERATIONS:
            history.append(drawn(some))
            shards.do(*history[-1])
            shards.check()
            if len(history) % LENGTH == 0:
                shards.end()
    except BaseException as error:
        error.add_note("\n".join(map(str, history[-LENGTH:])))
        raise
    shards.end()
