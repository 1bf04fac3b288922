"""Sessions that change and read the same few rows at once, and what they saw.

Reads a task as JSON from each line of standard input: the ``world``, the ``mutant`` if any, the ``seed``, and how many
``rounds``. A child does it, and writes a line of JSON: ``faults``, what must not be, and ``counts``.
"""

import hashlib
import itertools
import json
import multiprocessing
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import django
from django.apps import apps
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import Error, IntegrityError, OperationalError, connections, transaction
from django.db.migrations.state import ProjectState
from django.test import RequestFactory, override_settings
from typing_extensions import override

from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.watching import OfDjangosStatements
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectError, LargeObjectNotFound
from pg_lo_storage.operations import ManageLargeObjects
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve
from tests.faults.versions import content_of, version_of

if TYPE_CHECKING:
    from tests.faults.hot.models import Copy, Hot, Remote

    Row: TypeAlias = Hot | Copy | Remote

PROCESSES: Final = 4
EACH: Final = 2  # writers, and as many readers, in each process
KEYS: Final = (1, 2, 3)
TRANSACTIONS: Final = 10
READS: Final = 8
# What a session may be told that was not first: unique, named file gone, serialization, deadlock.
REFUSALS: Final = {"23505", "23503", "40001", "40P01"}


@dataclass(frozen=True)
class World:
    """How the rows' files are looked after."""

    isolation: str = "READ_COMMITTED"
    fields: bool = True
    triggers: bool = False
    catalogue: bool = True
    remote: bool = False

    @property
    def unlinks(self) -> bool:
        """Whether at the end there is no object that no row names."""
        return self.isolation == "READ_COMMITTED" and not self.remote


WORLDS: Final = {
    "fields": World(),
    "triggers": World(fields=False, triggers=True),
    "both": World(triggers=True),
    "fields, bare": World(catalogue=False),
    "triggers, bare": World(fields=False, triggers=True, catalogue=False),
    "repeatable read": World(isolation="REPEATABLE_READ", triggers=True),
    "serializable": World(isolation="SERIALIZABLE"),
    "serializable, triggers": World(isolation="SERIALIZABLE", triggers=True),
    "remote": World(remote=True),
}


class Undo(Exception):
    """Rolls back what the writer does not want."""


@dataclass
class Seen:
    """What became of a session."""

    committed: set[str] = field(default_factory=set[str])
    read: set[str] = field(default_factory=set[str])
    faults: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: "Seen") -> None:
        self.committed |= other.committed
        self.read |= other.read
        self.faults += other.faults
        self.counts += other.counts

    def take(self, content: bytes, what: str) -> None:
        """Note the version that was read."""
        version = version_of(content)
        if version is None:
            self.faults.append(f"{what}: {len(content)} bytes of no one version")
        else:
            self.read.add(version)
        self.counts[f"read {what}"] += 1


class Session:
    """One writer or reader, in a thread of its own."""

    def __init__(self, world: World, seed: str) -> None:
        self.world = world
        self.seed = seed
        self.random = random.Random(seed)
        self.seen = Seen()

    def run(self) -> Seen:
        for alias in connections:
            wrapper = connections[alias]
            wrapper.settings_dict["OPTIONS"]["isolation_level"] = isolation_of(self.world)
            wrapper.execute_wrappers.append(slowed(self.pause))
        try:
            self.work()
        except (LargeObjectError, Error) as error:
            self.seen.faults.append(f"{type(self).__name__} {self.seed}: {error!r}")
        finally:
            connections.close_all()
        return self.seen

    def pause(self) -> None:
        time.sleep(self.random.choice((0, 0, 0, 0.001, 0.005)))

    def work(self) -> None:
        raise NotImplementedError

    @contextmanager
    def refused(self, what: str) -> Generator[None]:
        """Go on where the session was not first."""
        try:
            yield
        except (FileNotFoundError, LargeObjectNotFound, LargeObjectConflict) as error:
            self.seen.counts[f"{what}: {type(error).__name__}"] += 1
        except (OperationalError, IntegrityError) as error:
            state = str(getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None))
            if state not in REFUSALS:
                raise
            self.seen.counts[f"{what}: {state}"] += 1


class Writer(Session):
    """Changes rows, one or two steps in a transaction."""

    @override
    def work(self) -> None:
        self.versions = itertools.count()
        self.names: list[str] = []  # that rows had
        for _ in range(TRANSACTIONS):
            self.made: set[str] = set()
            with self.refused("write"):
                try:
                    with transaction.atomic():
                        for _ in range(self.random.choice((1, 1, 2))):
                            self.step()
                            self.pause()
                        self.undo(0.1)
                except Undo:
                    self.seen.counts["rolled back"] += 1
                else:
                    self.seen.committed |= self.made
                    self.seen.counts["committed"] += 1

    def undo(self, chance: float) -> None:
        if self.random.random() < chance:
            raise Undo

    def step(self) -> None:
        model = self.model()
        row = model.objects.filter(pk=self.random.choice(KEYS)).first()
        choices: list[Callable[[], object]] = [self.put, self.put, self.create]
        if row is not None:
            if row.data.name:
                self.names.append(row.data.name)
                choices += [partial(self.write, row)] * 2
            changes = (self.replace, self.replace, self.share, self.share, self.revert, self.clear, self.delete)
            choices += [partial(each, row) for each in (*changes, self.again)]
        if self.names and not self.world.remote:
            choices += [self.copy, self.drop_a_copy]
            if self.world.triggers:
                choices += [self.update] * 2
        change = self.random.choice(choices)
        if self.random.random() < 0.8:
            change()
            return
        # A savepoint, which the writer may roll back; then the version is not made.
        made = set(self.made)
        try:
            with transaction.atomic():
                change()
                self.undo(0.5)
        except (Undo, FileNotFoundError):
            self.made = made

    def model(self) -> "type[Any]":
        from tests.faults.hot.models import Hot, Remote

        return Remote if self.world.remote else Hot

    def new(self) -> bytes:
        version = f"{self.seed}.{next(self.versions)}"
        self.made.add(version)
        sizes = (300, 5_000, 20_000, 600_000) if self.world.catalogue else (300, 5_000, 20_000)
        return content_of(version, self.random.choice(sizes))

    def upload(self) -> "ContentFile[bytes]":
        return ContentFile(self.new(), name=self.random.choice(("a.pdf", "none", "a.tar.gz")))

    def create(self) -> None:
        pk = self.random.choice(KEYS)
        if not self.model().objects.filter(pk=pk).exists():
            self.model()(pk=pk, data=self.upload()).save(force_insert=True)

    def put(self) -> None:
        """Save, whether there is such a row or not."""
        self.model()(pk=self.random.choice(KEYS), data=self.upload()).save()

    def replace(self, row: "Row") -> None:
        row.data = self.upload()
        row.save()

    def clear(self, row: "Row") -> None:
        row.data = None
        row.save()

    def delete(self, row: "Row") -> None:
        row.delete()

    def again(self, row: "Row") -> None:
        """Insert a row with the same key, and sometimes the same file."""
        pk, name = row.pk, row.data.name
        if self.random.random() < 0.5:
            row.delete()
            type(row)(pk=pk, data=self.upload()).save(force_insert=True)
        else:
            type(row).objects.filter(pk=pk).delete()
            with self.found():
                type(row)(pk=pk, data=name).save(force_insert=True)

    def share(self, row: "Row") -> None:
        other = type(row)(pk=self.random.choice(KEYS), data=row.data.name)
        with self.found():
            other.save()

    def revert(self, row: "Row") -> None:
        """Have the row name what it named before, which may be gone."""
        before = row.data.name
        self.replace(row)
        row.data = self.random.choice([before, before, *self.names])
        with self.found():
            row.save()

    @contextmanager
    def found(self) -> Generator[None]:
        try:
            with transaction.atomic():
                yield
        except LargeObjectNotFound:
            self.seen.counts["no such file any more"] += 1

    def copy(self) -> None:
        from tests.faults.hot.models import Copy

        with self.found():
            Copy.objects.bulk_create([Copy(data=self.random.choice(self.names[-3:]))])

    def drop_a_copy(self) -> None:
        from tests.faults.hot.models import Copy

        Copy.objects.filter(pk__in=Copy.objects.values("pk")[: self.random.randint(1, 3)]).delete()

    def update(self) -> None:
        """Share and clear past the field: triggers alone look after it."""
        share = "update hot_hot set data = (select data from hot_hot where id = %s) where id = %s"
        clear = "update hot_hot set data = '' where id in (%s, %s)"
        query(self.random.choice((share, share, clear)), *self.random.sample(KEYS, 2))

    def write(self, row: "Row") -> None:
        """Write in place, in two halves."""
        data = self.new()
        half = len(data) // 2
        files = "other" if self.world.remote else "default"
        with transaction.atomic(using=files), row.data.open("rb+") as file:
            file.write(data[:half])
            self.pause()
            file.write(data[half:])
            file.truncate(len(data))
        if self.world.remote:  # committed, whatever becomes of the rows
            self.seen.committed.add(version_of(data) or "")


class Reader(Session):
    """Reads rows' files."""

    @override
    def work(self) -> None:
        kinds = [self.snapshot, self.serve if self.world.catalogue else self.open]
        if self.world.remote:
            kinds = [self.serve]  # no snapshot is of two databases
        for _ in range(READS):
            self.pause()
            self.random.choice(kinds)()

    def rows(self) -> "list[Row]":
        from tests.faults.hot.models import Copy, Hot, Remote

        models: list[Any] = [Remote] if self.world.remote else [Hot, Copy]
        return [row for model in models for row in model.objects.exclude(data=None).exclude(data="")[:4]]

    def snapshot(self) -> None:
        """Read all as it was at one moment: nothing is missing there."""
        with transaction.atomic():
            query("set transaction isolation level repeatable read")
            for row in self.rows():
                self.pause()
                with row.data.open() as file:
                    data = file.read()
                self.seen.take(data, "in a snapshot")
                if self.world.catalogue and row.data.sha256 not in {None, hashlib.sha256(data).hexdigest()}:
                    self.seen.faults.append("the catalogue has another digest")

    def serve(self) -> None:
        for row in self.rows()[:2]:
            storage = DbFileStorage(alias="other") if self.world.remote else db_file_storage
            response = db_serve(RequestFactory().get("/"), row.data.name or "", storage=storage)
            if response.status_code in {404, 503}:  # it is gone, or others keep changing it
                self.seen.counts[f"download: {response.status_code}"] += 1
                continue
            with self.refused("download"):
                self.seen.take(b"".join(self.blocks(response)), "as a download")
            response.close()

    def blocks(self, response: object) -> Iterator[bytes]:
        for block in cast("Iterable[bytes]", response):
            yield bytes(block)
            self.pause()

    def open(self) -> None:
        for row in self.rows()[:2]:
            with self.refused("open"), row.data.open() as file:
                self.seen.take(file.read(), "by itself")


def query(statement: str, *params: str | int, alias: str = "default") -> list[tuple[Any, ...]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, params or None)
        return cursor.fetchall() if cursor.description else []


def isolation_of(world: World) -> Any:
    from django.db.backends.postgresql.psycopg_any import IsolationLevel

    return getattr(IsolationLevel, world.isolation)


def slowed(pause: Callable[[], None]) -> Any:
    """Return an execute wrapper that waits before Django's statements; the library's own are not watched for that."""

    def run(execute: Callable[..., object], *arguments: object) -> object:
        pause()
        return execute(*arguments)

    return OfDjangosStatements(run)


def slow_the_library() -> None:
    """Wait before each statement of the library's own, too."""
    run = DatabaseDriver.run

    def slow_run(self: DatabaseDriver, *arguments: Any, **options: Any) -> Any:
        time.sleep(random.choice((0, 0, 0.001, 0.004)))
        return run(self, *arguments, **options)

    DatabaseDriver.run = slow_run  # type: ignore[method-assign]
    # In triggers between those of one statement of the user's.
    for before in (
        "-- An earlier snapshot shows none",
        "execute format('select %1$s.pg_lo_storage_kept()",
        "if catalogue is not null then\n        execute format('delete",
    ):
        change_function("settle", before, f"perform pg_sleep(random() * 0.004);\n{before}")


def change_function(name: str, before: str, after: str) -> None:
    """Change the text of a trigger's function, where there are triggers."""
    for (source,) in query(f"select pg_get_functiondef(oid) from pg_proc where proname = 'pg_lo_storage_{name}'"):
        assert before in source, before
        query(source.replace(before, after))


def live(world: World, seed: str) -> Seen:
    """Have writers and readers of one process do their work at once."""
    sessions = [kind(world, f"{seed}.{n}") for n in range(EACH) for kind in (Writer, Reader)]
    seen = Seen()
    with ThreadPoolExecutor(len(sessions)) as threads:
        for done in [threads.submit(session.run) for session in sessions]:
            seen.add(done.result())
    return seen


def race(task: dict[str, Any]) -> dict[str, Any]:
    """Run rounds until one shows a fault."""
    from tests.faults.mutants import MUTANTS

    world = WORLDS[task["world"]]
    seen = Seen()
    with prepared(world):
        slow_the_library()
        if task["mutant"]:
            MUTANTS[task["mutant"]].apply()
        connections.close_all()
        with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("fork")) as processes:
            for n in range(task["rounds"]):
                seeds = [f"{task['seed']}.{n}.{process}" for process in range(PROCESSES)]
                for result in processes.map(live, [world] * PROCESSES, seeds):
                    seen.add(result)
                check(world, seen)
                seen.counts["rounds"] += 1
                if seen.faults:
                    break
        connections.close_all()
    return {"faults": seen.faults[:5], "counts": dict(sorted(seen.counts.items()))}


def check(world: World, seen: Seen) -> None:
    """Compare rows, objects and catalogue, when all is still."""
    if other := seen.read - seen.committed:
        seen.faults.append(f"read what was not committed: {sorted(other)[:3]}")
    alias = "other" if world.remote else "default"
    tables = ("hot_remote",) if world.remote else ("hot_hot", "hot_copy")
    names = {name for table in tables for (name,) in query(f"select data from {table} where data <> ''")}
    objects = {
        oid: bytes(data)
        for oid, data in query("select oid::int8, lo_get(oid) from pg_largeobject_metadata", alias=alias)
    }
    named = {int(name.partition(".")[0]) for name in names}
    if lost := named - objects.keys():
        seen.faults.append(f"rows name what is not there: {sorted(lost)}")
    if world.unlinks and (left := objects.keys() - named):
        seen.faults.append(f"no row names {sorted(left)}")
    for oid in named & objects.keys():
        if (version := version_of(objects[oid])) not in seen.committed:
            seen.faults.append(f"object {oid} of {version} is not as it was committed")
    if world.catalogue:
        check_the_catalogue(alias, objects, names, seen)


def check_the_catalogue(alias: str, objects: dict[int, bytes], names: set[str], seen: Seen) -> None:
    columns = "loid::int8, loid::text || coalesce(extension, ''), size, sha256::text"
    entries = query(f"select {columns} from pg_lo_storage_file", alias=alias)
    if {loid for loid, *_ in entries} != objects.keys():
        seen.faults.append("the catalogue has others than there are")
    for loid, name, size, sha256 in entries:
        data = objects.get(loid, b"")
        if size not in {None, len(data)} or sha256 not in {None, hashlib.sha256(data).hexdigest()}:
            seen.faults.append(f"the catalogue has another size or digest of {loid}")
        if any(other != name and other.startswith(f"{loid}.") for other in names):
            seen.faults.append(f"rows name {loid} otherwise")


@contextmanager
def prepared(world: World) -> Generator[None]:
    """Have empty tables, no objects, and the triggers that the world has."""
    from tests.faults.hot.models import Copy, Hot

    for alias in ("default", "other"):
        query(
            "delete from hot_hot; delete from hot_copy; delete from hot_remote; delete from pg_lo_storage_file",
            alias=alias,
        )
        query("select lo_unlink(oid) from pg_largeobject_metadata", alias=alias)
    managed = [ManageLargeObjects(model.__name__, "data") for model in (Hot, Copy)] if world.triggers else []
    if not world.fields:
        for model in (Hot, Copy):
            vars(model._meta.get_field("data"))["cleanup"] = False
    if not world.catalogue:
        override_settings(INSTALLED_APPS=["django.contrib.contenttypes", "tests.faults.hot"]).enable()
        query("alter table pg_lo_storage_file rename to pg_lo_storage_away")
    state = ProjectState.from_apps(apps)
    with connections["default"].schema_editor() as editor:
        for operation in managed:
            operation.database_forwards("hot", editor, state, state)
    try:
        yield
    finally:
        with connections["default"].schema_editor() as editor:
            for operation in managed:
                operation.database_backwards("hot", editor, state, state)
        if not world.catalogue:
            query("alter table pg_lo_storage_away rename to pg_lo_storage_file")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "pg_lo_storage", "tests.faults.hot"]
    django.setup()
    for alias in ("default", "other"):
        call_command("migrate", verbosity=0, run_syncdb=True, database=alias)
    say("ready")
    for line in sys.stdin:
        connections.close_all()
        child = os.fork()
        if not child:
            try:
                say(json.dumps(race(json.loads(line))))
            except BaseException:  # noqa: BLE001 -- said, and the process ends
                traceback.print_exc()
                say("")
            finally:
                os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
