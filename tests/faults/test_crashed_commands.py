"""The server crashes, or has its disk full, while ``largeobjects`` repairs, prunes or moves: run again, it finishes.

Meanwhile all is as it was before, or as the command has it; what it has told of is as it told.
``PG_LO_TEST_FAULT_ROUNDS`` says how often each is tried, six times as many; ``PG_LO_TEST_FAULT_SEED`` has it happen at
other moments.
"""

import hashlib
import itertools
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import pytest
from typing_extensions import override

from example.cluster import Cluster, find_bindir
from tests.faults.commands import LETTERS, content_of
from tests.faults.support import NoDisk, filled, small_disk, survives
from tests.fixtures.connections import INSTALLED, RawConnection, open_connection, run
from tests.test_cluster import process_exists

IS_LONG: Final = "PG_LO_TEST_FAULT_ROUNDS" in os.environ
ROUNDS: Final = max(1, int(os.environ.get("PG_LO_TEST_FAULT_ROUNDS", "1")) // 6)
SEED: Final = int(os.environ.get("PG_LO_TEST_FAULT_SEED", "0"))
FRESH: Final = "fresh"
"""The database that a command changes, a copy of the one that was planted."""
ROOT: Final = Path(__file__).parents[2]

LIBPQ: Final = ("WARNING:  ", "DETAIL:  ", "HINT:  ")
"""What libpq itself prints of a server that crashes while a new connection is made."""

NO_SPACE: Final = "No space left on device"

Facts = dict[tuple[str, str], object]
"""What there is, each thing by its kind and key."""


class Run(NamedTuple):
    """How a command ended, what it printed, and how many statements it had sent."""

    status: int
    records: list[dict[str, Any]]
    stderr: list[str]
    statements: int


@dataclass
class Server:
    """A cluster of this module's own, and the processes that run commands on it."""

    cluster: Cluster
    folder: Path
    disk: Path | None
    """The disk that the server has for itself."""
    gate: int = 0
    """Before which statement the command waits, if any."""
    processes: "dict[str, subprocess.Popen[str]]" = field(default_factory=dict[str, "subprocess.Popen[str]"])

    def told(self, kind: str) -> str:
        stdout = self.processes[kind].stdout
        assert stdout
        return stdout.readline().strip()

    def connect(self, dbname: str = "postgres") -> RawConnection:
        """Return a superuser's connection, once the server takes one."""
        lost: type[Exception] = import_module(INSTALLED[0]).OperationalError
        while True:
            with suppress(lost):
                return open_connection(INSTALLED[0], self.cluster.dsn(dbname, "postgres"), autocommit=True)
            time.sleep(0.005)

    def copy(self, database: str) -> None:
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"drop database if exists {FRESH} with (force)")
            cursor.execute(f"create database {FRESH} template {database} owner app")

    def start(self, kind: str, *arguments: str, gate: int = 0) -> None:
        """Have a command begin, which waits before that statement until the gate is opened."""
        (self.folder / "statements").write_bytes(b"")
        task = {"port": self.cluster.port, "database": FRESH, "folder": str(self.folder), "arguments": arguments}
        task["gate"] = self.gate = gate
        print(json.dumps(task), file=self.processes[kind].stdin, flush=True)

    @property
    def statements(self) -> int:
        return (self.folder / "statements").stat().st_size

    def wait_for(self, kind: str, statements: int) -> None:
        """Wait until the command has sent so many; it may send fewer, as its steps depend on the time."""
        ended = self.processes[kind].stdout
        assert ended
        while self.statements < statements and not select.select([ended], [], [], 0.0005)[0]:
            pass

    def ended(self, kind: str) -> Run:
        status = int(self.told(kind))
        printed, errors = ((self.folder / name).read_text().splitlines() for name in ("stdout", "stderr"))
        errors = [line for line in errors if not line.startswith(LIBPQ)]
        return Run(status, [json.loads(line) for line in printed], errors, self.statements)

    @contextmanager
    def killed_backend(self) -> Generator[None]:
        """The server then ends all others, too, and recovers; it takes no connection before that, once it knows."""
        with closing(self.connect()) as connection:
            pids = [pid for (pid,) in run(connection, "select pid from pg_stat_activity where usename = 'app'")]
            for pid in pids:
                with suppress(ProcessLookupError):  # its client was done
                    os.kill(pid, signal.SIGKILL)
            while any(map(process_exists, pids)):
                time.sleep(0.001)
        yield

    @contextmanager
    def stopped_server(self) -> Generator[None]:
        self.cluster.crash()
        yield

    @contextmanager
    def full_of_tables(self) -> Generator[None]:
        """No table grows; the log has the rest of a file."""
        with self._full("select pg_switch_wal(), pg_logical_emit_message(true, '', '')"):
            yield

    @contextmanager
    def full_of_log(self) -> Generator[None]:
        """What is to be written to the log next ends the server."""
        with self._full("select pg_switch_wal()"):
            yield

    @contextmanager
    def _full(self, before: str) -> Generator[None]:
        assert self.disk
        with closing(self.connect()) as connection:
            run(connection, before)
        with filled(self.disk):
            if self.statements >= self.gate:  # else it had ended before
                (self.folder / "gate").write_bytes(b"")
            yield
        if not survives(self.cluster):
            self.cluster.crash()  # it starts again


Fault = Callable[[Server], AbstractContextManager[None]]
"""Begins it; when the command has ended, the server is to come up again."""
CRASHES: Final[list[Fault]] = [Server.killed_backend, Server.stopped_server]
FULL_DISKS: Final[list[Fault]] = [Server.full_of_tables, Server.full_of_log]


class Command(ABC):
    """A command, and what there is before and after it."""

    plant: ClassVar[str]
    database: ClassVar[str]

    def __init__(self, server: Server) -> None:
        self.server = server
        self.prepare()
        self.before = self.look()
        self.run = self.finish()
        self.after = self.look()

    @property
    @abstractmethod
    def arguments(self) -> list[str]: ...

    @abstractmethod
    def facts(self, connection: RawConnection) -> Facts: ...

    @abstractmethod
    def acknowledged(self, record: dict[str, Any]) -> list[tuple[str, str]]: ...

    def said(self, run: Run) -> list[str]:
        """Return what a run has told of what it could not do, its end last."""
        return run.stderr

    def prepare(self) -> None:
        """Have all as it is before."""
        self.server.copy(self.database)

    def look(self) -> Facts:
        with closing(self.server.connect(FRESH)) as connection:
            return self.facts(connection)

    def finish(self) -> Run:
        self.server.start(self.plant, *self.arguments)
        return self.server.ended(self.plant)

    def disturb(self, fault: Fault, seed: str, counts: Counter[str]) -> None:
        """Have it happen at a moment; look what is there then, and whether the command finishes after it."""
        chance = random.Random(seed)
        self.prepare()
        moment = chance.randrange(1, self.run.statements)
        self.server.start(self.plant, *self.arguments, gate=moment if fault in FULL_DISKS else 0)
        self.server.wait_for(self.plant, moment)
        if fault in CRASHES:
            time.sleep(chance.random() * 0.003)
        with fault(self.server):
            ended = self.server.ended(self.plant)
        found = self.look()
        if self.said(ended) == self.said(self.run):
            counts["it was done"] += 1
            assert ended.status == self.run.status
            assert found == self.after
        else:
            counts["disturbed"] += 1
            assert ended.status == 1
            usual = self.said(self.run)
            self.look_at_the_errors([line for line in self.said(ended) if line not in usual], fault, counts)
            told = {key for record in ended.records for key in self.acknowledged(record)}
            counts["acknowledged"] += len(told)
            assert {key: found.get(key) for key in told} == {key: self.after.get(key) for key in told}
            for key in self.before.keys() | self.after.keys() | found.keys():
                assert found.get(key) in (self.before.get(key), self.after.get(key)), key
            differing = {key for key in self.before | self.after if self.before.get(key) != self.after.get(key)}
            changing = {key for key in differing if key[0] != "file"}  # which its row stands for
            counts["changed by then"] += sum(found.get(key) == self.after.get(key) for key in changing)
            counts["of"] += len(changing)
        again = self.finish()
        assert (again.status, self.said(again)) == (self.run.status, self.said(self.run))
        found = self.look()
        # An old file whose deletion did not come to pass stays, and nothing names it.
        staying = {key for key in found.keys() - self.after.keys() if key[0] == "file" and key in self.before}
        counts["old files that stay"] += len(staying)
        assert {key: value for key, value in found.items() if key not in staying} == self.after

    def look_at_the_errors(self, lines: list[str], fault: Fault, counts: Counter[str]) -> None:
        """One ends the command, in a line; on a full disk it may tell of each file that has no room, and go on."""
        *warnings, last = lines
        if fault in FULL_DISKS and not last.startswith("CommandError: "):
            warnings = lines
        else:
            assert last.startswith("CommandError: "), lines
        reasons = (": the old file stays: ",) if fault in CRASHES else (": the old file stays: ", NO_SPACE)
        assert all(any(reason in warning for reason in reasons) for warning in warnings), lines
        counts["told that the disk was full"] += any(NO_SPACE in line for line in lines)


class Repair(Command):
    """Mends damage of every kind."""

    plant = "damage"
    database = "app"
    options: ClassVar[tuple[str, ...]] = (
        *("repair", "--extensions", "--entries", "--sizes", "--digests", "--orphans", "--dangling", "null"),
    )

    @property
    @override
    def arguments(self) -> list[str]:
        return [*self.options, "--older-than", "1d", "--database", "default", "--yes", "--json"]

    @override
    def facts(self, connection: RawConnection) -> Facts:
        from tests.damage.planting import CATALOGUE, state

        found = state(connection)
        facts: Facts = {}
        for table, rows in found.tables.items():
            for row in rows:
                key = next(row[name] for name in ("id", "loid", "book_ptr_id", "page", "photo", "image") if name in row)
                facts[table, str(key)] = row | {"modified_at": None, "created_at": None}
        # An object and its entry go together.
        for oid, about in found.objects.items():
            facts[CATALOGUE, str(oid)] = about, facts.get((CATALOGUE, str(oid)))
        return facts

    @override
    def said(self, run: Run) -> list[str]:
        return [*(record["left"] for record in run.records if record["left"]), *run.stderr]

    @override
    def acknowledged(self, record: dict[str, Any]) -> list[tuple[str, str]]:
        if not record["mended"]:
            return []
        if record["kind"] == "dangling":
            return [(record["table"], str(next(iter(record["key"].values()))))]
        return [("pg_lo_storage_file", record["name"].partition(".")[0])]


class Prune(Repair):
    """Unlinks orphans."""

    options = ("prune",)


class Move(Command):
    """Moves old files in, and deletes them where they were."""

    plant = "letters"
    database = "other"
    way: ClassVar[tuple[str, str]] = ("--from", "old")

    @property
    @override
    def arguments(self) -> list[str]:
        return self.moving(*self.way)

    def moving(self, *way: str) -> list[str]:
        return ["move", "letters.Letter.data", *way, "--delete-source", "--yes", "--json"]

    @property
    def old(self) -> Path:
        return (self.server.disk or self.server.folder) / "old"

    @override
    def prepare(self) -> None:
        super().prepare()
        shutil.rmtree(self.old, ignore_errors=True)
        self.old.mkdir()
        for number in range(LETTERS):
            (self.old / f"{number}.txt").write_bytes(content_of(number))

    @override
    def facts(self, connection: RawConnection) -> Facts:
        """Return where each row's file is, and its content."""
        objects = {
            str(oid): bytes(data)
            for oid, data in run(connection, "select oid::int8, lo_get(oid) from pg_largeobject_metadata")
        }
        entries = run(connection, "select loid::text, size, sha256::text from pg_lo_storage_file")
        about = {loid: (size, sha256) for loid, size, sha256 in entries}
        assert about == {oid: (len(data), hashlib.sha256(data).hexdigest()) for oid, data in objects.items()}
        facts: Facts = {}
        new = set[str]()
        for key, name in run(connection, "select id, data from letters_letter"):
            is_old = (self.old / name).exists()
            content = (self.old / name).read_bytes() if is_old else objects[name.partition(".")[0]]
            new |= set() if is_old else {name.partition(".")[0]}
            facts["row", str(key)] = ("old" if is_old else "new", content)
        assert objects.keys() == new
        files = (path for path in self.old.rglob("*") if path.is_file())
        return facts | {("file", path.name): path.read_bytes() for path in files}

    @override
    def acknowledged(self, record: dict[str, Any]) -> list[tuple[str, str]]:
        return [("row", str(key)) for key in record["rows"] if record["outcome"] == "moved"]


class MoveOut(Move):
    """Moves them out again."""

    way = ("--to", "old")

    @override
    def prepare(self) -> None:
        super().prepare()
        self.server.start(self.plant, *self.moving(*Move.way))
        self.server.ended(self.plant)


KINDS: Final[list[type[Command]]] = [Repair, Prune, Move, MoveOut]
SETTINGS: Final = {"damage": ("app", "tests.damage.settings"), "letters": ("other", "tests.moving.settings")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        find_bindir()
    except LookupError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("commands")
    os.mkfifo(folder / "gate")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patched:
        disk = None
        with suppress(NoDisk):
            disk = stack.enter_context(small_disk())
            patched.setenv("TMPDIR", str(disk))
        cluster = stack.enter_context(Cluster(options=("-c", "wal_recycle=off", "-c", "max_wal_size=64MB")))
        server = Server(cluster, folder, disk)
        for plant, (database, settings) in SETTINGS.items():
            server.processes[plant] = process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.commands", plant],
                cwd=ROOT,
                env=os.environ
                | {
                    "DJANGO_SETTINGS_MODULE": settings,
                    "PG_LO_TEST_DATABASES": json.dumps({"default": cluster.django_database(database)}),
                    "PG_LO_TEST_OLD": str((disk or folder) / "old"),
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
        for plant in SETTINGS:
            assert server.told(plant) == "ready"
        yield server


@pytest.fixture(scope="module")
def command(server: Server, request: pytest.FixtureRequest) -> Command:
    kind: type[Command] = request.param
    command = kind(server)
    assert command.before != command.after
    return command


@pytest.mark.timeout(120 + 20 * ROUNDS)
@pytest.mark.parametrize("command", KINDS, indirect=True)
def test_what_is_interrupted_is_done_or_not_and_the_next_run_finishes(command: Command) -> None:
    disturb(command, CRASHES)


@pytest.mark.timeout(120 + 20 * ROUNDS)
@pytest.mark.parametrize("command", KINDS if IS_LONG else [Move], indirect=True)
def test_so_is_what_finds_the_disk_full(command: Command) -> None:
    if command.server.disk is None:
        pytest.skip("no disk can be mounted here")
    disturb(command, FULL_DISKS)


def disturb(command: Command, faults: list[Fault]) -> None:
    """Disturb the command as often as is asked for; say what came of it."""
    counts = Counter[str]()
    for n in itertools.count():
        # On a busy machine the command may end before it happens: then there is another.
        if n >= ROUNDS and counts["disturbed"]:
            break
        for fault in faults:
            command.disturb(fault, f"{SEED + n}.{type(command).__name__}.{fault.__name__}", counts)
    sys.stdout.write(f"\n{type(command).__name__}, {command.run.statements} statements: {dict(counts)}")
