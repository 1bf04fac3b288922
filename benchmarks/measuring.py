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
from benchmarks.jobs import CHANGES, Job, Sample
from benchmarks.processes import Failed, RoundTrips, Worker, together
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
FILES_IN_ALL = {MB: 96, 20 * KB: 800}
"""How many files of a size several writers write together."""
NAMING = ("papers_letter", "papers_copy", "papers_mention")
FILL_TABLE = "insert into {table} (data) select {first} + n || '.bin' from generate_series(1, {rows}) as n"
NO_OBJECTS = 3_000_000_000
"""Names are given from here on: no object of the benchmark has such an oid."""


class Bench:
    """A server, what was built, and the files that are stored for reading."""

    def __init__(self, cluster: Cluster, workshop: Workshop, thrift: int = 1) -> None:
        """Repeat what is small less often by the factor ``thrift``."""
        self.cluster = cluster
        self.workshop = workshop
        self._thrift = thrift
        self._migrated: set[tuple[str, str]] = set()
        self._grown: dict[int, dict[str, str]] = {}
        self._names: dict[tuple[str, str, int], str] = {}
        self._others = 0
        self._workers: dict[str, list[Worker]] = {}
        self._sites: dict[tuple[str, str, str, bool], webs.Site] = {}
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

    def admin(self, *statements: str, dbname: str = "app") -> list[tuple[object, ...]]:
        """Run statements as superuser; return the rows of the last."""
        with psycopg.connect(self.cluster.dsn(dbname, "postgres"), autocommit=True) as connection:
            rows: list[tuple[object, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def checkpoint(self) -> None:
        """Have the server write what it has not yet written."""
        self.admin("checkpoint")

    def tidy(self, cell: Cell) -> None:
        """Give the space of deleted objects back, so that the next round begins where this one did."""
        dbname = self._parameters(cell)["dbname"]
        self.admin("vacuum pg_largeobject, pg_largeobject_metadata", dbname=dbname)

    def measure(self, contender: Contender, cell: Cell) -> Sample:
        """Do it, as often as is worth it, in a fresh process."""
        job = self.job(contender, cell)
        if cell.operation == "downloads":
            return _checked(self._download(contender, cell, job), cell)
        if cell.operation == "serve":
            return _checked(webs.serve(self.workshop.python(contender.environment), job), cell)
        buffer = self._buffer(cell) if contender.store == "c" else 0
        if cell.writers:
            return _checked(self._write_together(contender, job, buffer, cell.writers), cell)
        sample = self._run(contender, job, buffer)
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
        parameters = self._parameters(cell)
        self.migrate(contender, parameters["dbname"])
        repeats = REPEATS.get(cell.size, 1) // (4 if cell.delayed else 1)
        if cell.writers:
            repeats = FILES_IN_ALL[cell.size] // cell.writers
        repeats = max(1, repeats // self._thrift)
        job = Job(contender.store, parameters, cell.operation, repeats, folder=str(self.folder), server=cell.server)
        job = replace(job, prepares=contender.prepares)
        if contender.store == "nginx":
            return replace(job, path=str(self.workshop.content(cell.content, cell.size)))
        if cell.operation == "rows":
            return replace(job, repeats=1, rows=cell.rows, size=cell.size)
        if cell.operation in CHANGES:
            path = str(self.workshop.content(cell.content, cell.size))
            return replace(job, size=cell.size, listed=cell.listed, path=path)
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

    def migrate(self, contender: Contender, dbname: str = "app") -> None:
        """Make the tables of the contender's Django project."""
        key = (contender.store, dbname)
        if contender.is_django and key not in self._migrated:
            job = Job(contender.store, self.cluster.parameters(dbname), "migrate", folder=str(self.folder))
            self._run(contender, job)
            self._migrated.add(key)

    def _parameters(self, cell: Cell) -> dict[str, str]:
        """Return the way to the cell's database, which is made where it has tables of so many rows."""
        if cell.delayed:
            return self._delayed.parameters
        if cell.named is None:
            return self.cluster.parameters()
        if cell.named not in self._grown:
            dbname = f"named{cell.named}"
            parameters = self.cluster.parameters(dbname)
            self.admin(f"create database {dbname} owner {parameters['user']}")
            self.migrate(OWN_CONTENDERS[0], dbname)
            for number, table in enumerate(NAMING):
                fill = FILL_TABLE.format(table=table, first=NO_OBJECTS + number * 100 * MB, rows=cell.named)
                self.admin(fill, f"vacuum analyze {table}", dbname=dbname)
            self._grown[cell.named] = parameters
        return self._grown[cell.named]

    def _write_together(self, contender: Contender, job: Job, buffer: int, writers: int) -> Sample:
        """Have several processes do the job at once; what it cost is told by the file."""
        job = replace(job, wait=True)
        with ExitStack() as stack:
            if contender.is_python:
                workers = self._python_workers(contender, job, writers)
                for worker in workers:
                    worker.give(job)
            else:
                argv = self._c_argv(job, buffer)
                workers = [stack.enter_context(Worker(argv, job)) for _ in range(writers)]
            return together(workers, job.repeats)

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
        key = (contender.environment.name, contender.store, job.server, job.prepares)
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
        if cell.operation in CHANGES:
            return BUFFERS[0]  # it holds all
        key = replace(cell, operation="save" if cell.operation == "save" else "chunks", size=min(cell.size, 256 * MB))
        key = replace(key, writers=0)
        if key not in self._buffers:
            job = self.job(REFERENCE, key)
            sizes = [size for size in BUFFERS if size <= max(key.size, BUFFERS[0])]
            tries = 1 if key.operation == "save" and key.size > 10 * MB else 2
            tried = {size: min(self._run(REFERENCE, job, size).seconds for _ in range(tries)) for size in sizes}
            self._buffers[key] = min(sizes, key=lambda size: tried[size])
            if key.operation == "save":
                self.tidy(key)
        return self._buffers[key]

    def _run(self, contender: Contender, job: Job, buffer: int = 0, round_trips: RoundTrips | None = None) -> Sample:
        if contender.key == "c-alone":
            job = replace(job, operation="chunks")
        if contender.key == "c-keeps":
            job = replace(job, keep=True)
        if not contender.is_python:
            argv = self._c_argv(job, buffer) if contender.store == "c" else self._argv(contender, "psql")
            with Worker(argv, job) as worker:
                return worker.answer(round_trips)
        [worker] = self._python_workers(contender, job, 1)
        worker.give(job)
        return worker.answer(round_trips)

    def _python_workers(self, contender: Contender, job: Job, count: int) -> list[Worker]:
        """Return so many processes that fork for each job."""
        workers = self._workers.setdefault(contender.key, [])
        while len(workers) < count:
            workers.append(self._stack.enter_context(Worker(self._argv(contender, "__main__"), job)))
        return workers[:count]

    def _argv(self, contender: Contender, module: str) -> list[str]:
        return [str(self.workshop.python(contender.environment)), "-m", f"benchmarks.workers.{module}"]

    def _c_argv(self, job: Job, buffer: int) -> list[str]:
        if job.operation in {"save", *CHANGES}:
            what = ["write" if job.operation == "save" else job.operation, job.path]
        else:
            what = ["keep" if job.keep else "read", job.name.partition(".")[0]]
        argv = [str(self.workshop.program("lo")), job.dsn, *what]
        argv += [str(buffer), str(job.repeats), str(int(job.wait))]
        return [*argv, str(self.folder / "export.bin")] if job.operation == "export" else argv


def _checked(sample: Sample, cell: Cell) -> Sample:
    expected = cell.size * (cell.rows or 1)
    if sample.bytes != expected:
        raise Failed(f"{sample.bytes} bytes instead of {expected}")
    return sample
