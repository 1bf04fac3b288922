"""Crashes and full disks at random moments: what was acknowledged is there with its bytes, and nothing else is.

``PG_LO_TEST_FAULT_ROUNDS`` says how many there are of each kind, ``PG_LO_TEST_FAULT_SEED`` makes them others.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from example.cluster import Cluster, find_bindir
from tests.faults.client import NOTHING, Changes, State, changed, digest_of
from tests.faults.support import NoDisk, filled, is_running, small_disk, survives
from tests.fixtures.connections import INSTALLED, RawConnection, open_connection, run

ROUNDS = int(os.environ.get("PG_LO_TEST_FAULT_ROUNDS", "20"))
SEED = int(os.environ.get("PG_LO_TEST_FAULT_SEED", "0"))

FILES = """
    select i.id, i.data, m.oid::int8, f.loid::text || coalesce(f.extension, ''), f.size, f.sha256::text
    from invoices_invoice as i
    left join pg_largeobject_metadata as m on m.oid = split_part(i.data, '.', 1)::oid
    left join pg_lo_storage_file as f on f.loid = m.oid
    where i.data <> ''
"""


class World:
    """A server, a client that changes rows on it, and the rows that there must be."""

    def __init__(self, cluster: Cluster, client: "subprocess.Popen[str]", folder: Path) -> None:
        self.cluster = cluster
        self.client = client
        self._folder = folder
        self.worker = 0
        self.rows: dict[int, State] = {}
        self.errors: list[str] = []
        self.counts = Counter[str]()

    def live(self, seed: str, fault: "Fault") -> None:
        """Have the client work, and the fault happen in the middle; look what is there then."""
        moment = random.Random(seed)
        log = self._folder / seed
        log.touch()
        task = {"seed": seed, "log": str(log), "port": self.cluster.port, "rows": [*self.rows.items()]}
        print(json.dumps(task), file=self.client.stdin, flush=True)
        self.worker = int(self.told())
        steps = moment.randrange(1, 16)
        while (written := log.read_text()).count("\n") < steps:
            assert '"error"' not in written, written
            time.sleep(0.001)
        time.sleep(moment.random() * 0.004)
        fault(self)
        assert self.told() == "ended"
        self._look([json.loads(line) for line in log.read_text().splitlines()], fault)

    def told(self) -> str:
        assert self.client.stdout
        return self.client.stdout.readline().strip()

    def _look(self, records: list[dict[str, Any]], fault: "Fault") -> None:
        before, pending, what = self.rows, Changes(), ""
        for record in records:
            if "changes" in record:
                what = record["what"]
                pending = {pk: state and (state[0], state[1]) for pk, state in record["changes"]}
            elif "done" in record:
                before, pending = changed(before, pending), {}
                self.counts["acknowledged"] += 1
            else:
                assert record["is_of_the_database"], record
                self.counts["errors"] += 1
                self.errors.append(record["error"])
        assert ("error" in records[-1]) is (fault is not kill_the_client)
        self.rows, after = self.found(), changed(before, pending)
        assert self.rows in (before, after)
        if after != before:
            self.counts[f"in flight and {'done' if self.rows == after else 'not done'}: {what}"] += 1

    def found(self) -> dict[int, State]:
        """Return the rows that there are, after a look whether objects, catalogue and rows are the same."""
        with closing(self.connect()) as connection:
            rows = {pk: NOTHING for (pk,) in run(connection, "select id from invoices_invoice")}
            objects = {oid for (oid,) in run(connection, "select oid::int8 from pg_largeobject_metadata")}
            entries = {loid for (loid,) in run(connection, "select loid::int8 from pg_lo_storage_file")}
            named, catalogued = set[int](), set[int]()
            for pk, name, oid, entry, size, sha256 in run(connection, FILES):
                assert oid is not None, f"{name} has no object"
                [(data,)] = run(connection, f"select lo_get({oid})")
                digest = digest_of(bytes(data))
                assert entry in {None, name}
                assert size in {None, len(data)}
                assert sha256 in {None, digest}
                rows[pk] = digest, entry is not None
                named.add(oid)
                catalogued |= {oid} if entry else set()
        assert objects == named
        assert entries == catalogued
        return rows

    def connect(self) -> RawConnection:
        """Return a superuser's connection, once the server takes one, and has none of the client's any more."""
        lost: type[Exception] = import_module(INSTALLED[0]).OperationalError
        while True:
            with suppress(lost):
                connection = open_connection(INSTALLED[0], self.cluster.dsn("app", "postgres"), autocommit=True)
                while self.backends(connection):
                    time.sleep(0.001)
                return connection
            time.sleep(0.005)

    def backends(self, connection: RawConnection) -> list[int]:
        return [pid for (pid,) in run(connection, "select pid from pg_stat_activity where usename = 'app'")]


Fault = Callable[[World], None]


def kill_the_client(world: World) -> None:
    os.kill(world.worker, signal.SIGKILL)


def kill_the_backend(world: World) -> None:
    """The server then ends all others, too, and recovers."""
    with closing(open_connection(INSTALLED[0], world.cluster.dsn("app", "postgres"), autocommit=True)) as connection:
        while not (backends := world.backends(connection)):
            time.sleep(0.001)
    [backend] = backends
    os.kill(backend, signal.SIGKILL)


def stop_the_server(world: World) -> None:
    world.cluster.crash()


class FullDisk:
    """Fills the server's disk while the client works, and makes room again."""

    def __init__(self, disk: Path, room: int) -> None:
        self._disk = disk
        self._room = room

    def __call__(self, world: World) -> None:
        with filled(self._disk, self._room):
            # The client ends at its first error.
            while is_running(world.worker):
                time.sleep(0.001)
        if survives(world.cluster):
            world.counts["full disks that the server outlived"] += 1
        else:
            world.cluster.crash()  # it starts again


FAULTS = [kill_the_client, kill_the_backend, stop_the_server]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with living(tmp_path_factory.mktemp("faults")) as world:
        yield world


@contextmanager
def living(folder: Path) -> Generator[World]:
    try:
        find_bindir()
    except LookupError as error:
        pytest.skip(str(error))
    # Each file of the log is a new one.
    with Cluster(options=("-c", "wal_recycle=off", "-c", "max_wal_size=32MB")) as cluster:
        environment = {**os.environ, "PG_LO_TEST_DATABASES": json.dumps({"default": cluster.django_database()})}
        with subprocess.Popen(
            [sys.executable, "-m", "tests.faults.client"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            text=True,
        ) as client:
            world = World(cluster, client, folder)
            assert world.told() == "ready"
            yield world
            client.kill()
            sys.stdout.write("".join(f"\n{count} {kind}" for kind, count in sorted(world.counts.items())))


@pytest.mark.timeout(120 + 10 * ROUNDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_acknowledged_is_there_and_nothing_else_is(fault: Fault, world: World) -> None:
    for n in range(ROUNDS):
        world.live(f"{SEED + n}.{fault.__name__}", fault)
    # Something was in the middle of it, and something was done.
    assert world.counts["acknowledged"] > ROUNDS


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small disk, on which servers are made."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(small_disk())
        except NoDisk as error:
            pytest.skip(str(error))
        monkeypatch.setenv("TMPDIR", str(folder))
        yield folder


@pytest.mark.timeout(120 + 10 * ROUNDS)
def test_a_full_disk_loses_nothing_and_all_goes_on_when_there_is_room(disk: Path, tmp_path: Path) -> None:
    rounds = max(2, ROUNDS // 10)
    with living(tmp_path) as world:
        for n in range(rounds):
            # None is left for a file of the tables; or enough for that and too little for the next of the log.
            world.live(f"{SEED + n}.full_disk", FullDisk(disk, room=(15 << 20) * (n % 2)))
        assert any("No space left on device" in error for error in world.errors), world.errors
        assert world.counts["acknowledged"] > rounds
