"""One measurement: a fresh process of a contender, on a fresh connection."""

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from benchmarks import webs
from benchmarks.building import Workshop
from benchmarks.contenders import OWN_CONTENDERS, REFERENCE, Contender, keeper_of
from benchmarks.jobs import Job, Sample
from benchmarks.processes import Failed, RoundTrips, Worker
from benchmarks.records import Cell
from benchmarks.wires import Wire
from example.cluster import Cluster

KB, MB = 1_000, 1_000_000
BUFFERS = (65_536, 131_072, 262_144, 524_288, 1_048_576)
DELAY = 500  # microseconds, each way
# A single small operation would show little but what a backend looks up when it is new.
REPEATS = {KB: 200, 20 * KB: 100, 100 * KB: 50, 10 * MB: 5}
REQUESTS = 400
STEP = 10_000
FILL = """
    insert into pg_lo_storage_file (loid, extension, original_name, content_type, size, sha256)
    select lo_from_bytea(0, data), '.bin', 'file.bin', 'application/octet-stream', length(data),
        encode(sha256(data), 'hex')
    from (select convert_to(repeat(md5(random()::text), 3), 'UTF8') as data from generate_series(1, %(objects)s)) s
"""


class Bench:
    """A server, what was built, and the files that are stored for reading."""

    def __init__(self, cluster: Cluster, workshop: Workshop, thrift: int = 1) -> None:
        """Repeat what is small less often by the factor ``thrift``."""
        self.cluster = cluster
        self.workshop = workshop
        self._thrift = thrift
        self._migrated: set[str] = set()
        self._names: dict[tuple[str, str, int], str] = {}
        self._others = 0
        self._workers: dict[str, Worker] = {}
        self._sites: dict[tuple[str, str, str], webs.Site] = {}
        self._buffers: dict[Cell, int] = {}
        self._counted: dict[tuple[str, Cell], Sample] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="files-", dir=self.workshop.folder))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            wire, server = self.workshop.program("wire"), self.cluster.parameters()
            self._counting = stack.enter_context(Wire(wire, server))
            self._delayed = stack.enter_context(Wire(wire, server, DELAY))
            # Only a superuser, or whom it lets, can use pg-lo-storage 0.2.2.
            self.admin(f"grant select on pg_largeobject to {server['user']}")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def admin(self, *statements: str) -> list[tuple[object, ...]]:
        """Run statements as superuser; return the rows of the last."""
        with psycopg.connect(self.cluster.dsn(user="postgres"), autocommit=True) as connection:
            rows: list[tuple[object, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def checkpoint(self) -> None:
        """Have the server write what it has not yet written."""
        self.admin("checkpoint")

    def tidy(self) -> None:
        """Give the space of deleted objects back, so that the next round begins where this one did."""
        self.admin("vacuum pg_largeobject, pg_largeobject_metadata")

    def measure(self, contender: Contender, cell: Cell) -> Sample:
        """Do it, as often as is worth it, in a fresh process."""
        job = self.job(contender, cell)
        if cell.operation == "downloads":
            return _checked(self._download(contender, cell, job), cell)
        if cell.operation == "serve":
            return _checked(webs.serve(self.workshop.python(contender.environment), job), cell)
        sample = self._run(contender, job, self._buffer(cell) if contender.store == "c" else 0)
        if cell.operation == "save" and cell.size >= 10 * MB:
            self.checkpoint()
        return _checked(sample, cell)

    def count(self, contender: Contender, cell: Cell) -> Sample:
        """Do it once, untimed, through a proxy that counts round trips; what ``chunks`` reads is what was saved."""
        key = (contender.key, cell)
        if key not in self._counted:
            self._counted[key] = _checked(self._count(contender, cell), cell)
        return self._counted[key]

    def fill(self, objects: int) -> None:
        """Have at least so many other objects in the database, small ones, catalogued."""
        self.migrate(OWN_CONTENDERS[0])
        with psycopg.connect(self.cluster.dsn(), autocommit=True) as connection:
            while (missing := objects - self._others) > 0:
                step = min(missing, STEP)
                connection.execute(FILL, {"objects": step})
                self._others += step

    def job(self, contender: Contender, cell: Cell) -> Job:
        """Return what the contender is to do for a cell; the file to read is stored before."""
        self.migrate(contender)
        parameters = self._delayed.parameters if cell.delayed else self.cluster.parameters()
        repeats = max(1, REPEATS.get(cell.size, 1) // (4 if cell.delayed else 1) // self._thrift)
        job = Job(contender.store, parameters, cell.operation, repeats, folder=str(self.folder), server=cell.server)
        if contender.store == "nginx":
            return replace(job, path=str(self.workshop.content(cell.content, cell.size)))
        if cell.operation == "rows":
            return replace(job, repeats=1, rows=cell.rows, size=cell.size)
        if cell.operation == "save":
            small = self.workshop.content("random", KB)
            return replace(job, path=str(self.workshop.content(cell.content, cell.size)), small_path=str(small))
        small_name = self.stored(contender, "random", KB)
        return replace(job, name=self.stored(contender, cell.content, cell.size), small_name=small_name)

    def stored(self, contender: Contender, content: str, size: int) -> str:
        """Return the name of a stored file to read, stored once."""
        keeper = keeper_of(contender)
        key = (keeper.key, content, size)
        if key not in self._names:
            self.migrate(keeper)
            path, small = self.workshop.content(content, size), self.workshop.content("random", KB)
            job = Job(keeper.store, self.cluster.parameters(), "save", path=str(path), small_path=str(small), keep=True)
            job = replace(job, folder=str(self.folder))
            self._names[key] = self._run(keeper, job).name
        return self._names[key]

    def migrate(self, contender: Contender) -> None:
        """Make the tables of the contender's Django project."""
        if contender.is_django and contender.store not in self._migrated:
            job = Job(contender.store, self.cluster.parameters(), "migrate", folder=str(self.folder))
            self._run(contender, job)
            self._migrated.add(contender.store)

    def _download(self, contender: Contender, cell: Cell, job: Job) -> Sample:
        folder = str(self.admin("show data_directory")[0][0])
        postmaster = int(Path(folder, "postmaster.pid").read_text().split()[0])
        load = webs.Load(self.workshop.program("load"), cell.size, REQUESTS // self._thrift, postmaster)
        if contender.store == "nginx":
            with webs.nginx(job) as site:
                return webs.downloads(site, f"/{Path(job.path).name}", load)
        site = self._site(contender, job)
        view = "view" if contender.key.startswith("view-") else "row"
        return webs.downloads(site, f"/{view}/{webs.row_of(site, job.name)}", load)

    def _site(self, contender: Contender, job: Job) -> webs.Site:
        """Return a web server that is started once: rounds may follow each other quickly then."""
        key = (contender.environment.name, contender.store, job.server)
        if key not in self._sites:
            site = webs.website(self.workshop.python(contender.environment), job)
            self._sites[key] = self._stack.enter_context(site)
        return self._sites[key]

    def _count(self, contender: Contender, cell: Cell) -> Sample:
        job = self.job(contender, cell)
        buffer = self._buffer(cell) if contender.store == "c" else 0
        job = replace(job, repeats=1, wait=True, check=cell.operation == "chunks")
        job = replace(job, parameters=self._counting.parameters)
        if cell.operation == "serve":
            return webs.count(self.workshop.python(contender.environment), job, self._counting.round_trips)
        sample = self._run(contender, job, buffer, self._counting.round_trips)
        if sample.digest and sample.digest != self.workshop.digest(cell.content, cell.size):
            raise Failed("what it reads is not what was saved")
        return sample

    def _buffer(self, cell: Cell) -> int:
        """Return the buffer with which C is fastest, tried once for each kind of cell."""
        key = replace(cell, operation="save" if cell.operation == "save" else "chunks", size=min(cell.size, 256 * MB))
        if key not in self._buffers:
            job = self.job(REFERENCE, key)
            sizes = [size for size in BUFFERS if size <= max(key.size, BUFFERS[0])]
            tries = 1 if key.operation == "save" and key.size > 10 * MB else 2
            tried = {size: min(self._run(REFERENCE, job, size).seconds for _ in range(tries)) for size in sizes}
            self._buffers[key] = min(sizes, key=lambda size: tried[size])
            if key.operation == "save":
                self.tidy()
        return self._buffers[key]

    def _run(self, contender: Contender, job: Job, buffer: int = 0, round_trips: RoundTrips | None = None) -> Sample:
        if contender.key == "c-alone":
            job = replace(job, operation="chunks")
        if not contender.is_python:
            argv = self._c_argv(job, buffer) if contender.store == "c" else self._argv(contender, "psql")
            with Worker(argv, job) as worker:
                return worker.answer(round_trips)
        if contender.key not in self._workers:
            worker = Worker(self._argv(contender, "__main__"), job)
            self._workers[contender.key] = self._stack.enter_context(worker)
        self._workers[contender.key].give(job)
        return self._workers[contender.key].answer(round_trips)

    def _argv(self, contender: Contender, module: str) -> list[str]:
        return [str(self.workshop.python(contender.environment)), "-m", f"benchmarks.workers.{module}"]

    def _c_argv(self, job: Job, buffer: int) -> list[str]:
        what = ["write", job.path] if job.operation == "save" else ["read", job.name.partition(".")[0]]
        argv = [str(self.workshop.program("lo")), job.dsn, *what]
        argv += [str(buffer), str(job.repeats), str(int(job.wait))]
        return [*argv, str(self.folder / "export.bin")] if job.operation == "export" else argv


def _checked(sample: Sample, cell: Cell) -> Sample:
    expected = cell.size * (cell.rows or 1)
    if sample.bytes != expected:
        raise Failed(f"{sample.bytes} bytes instead of {expected}")
    return sample
