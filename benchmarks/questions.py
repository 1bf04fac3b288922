"""What is asked, each with a table and a plot of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.jobs import CHANGES, Operation
from benchmarks.records import Cell

KB, MB, GB = 1_000, 1_000_000, 1_000_000_000
CORE = ("c", "c-keeps", "own-psycopg", "own-psycopg2", "old-psycopg", "old-psycopg2", "lobject")
OURS = ("own-psycopg", "own-psycopg2")
WRITTEN: dict[Operation, int] = {"save": MB, "replace": 20 * KB}


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    sizes: tuple[int, ...] = (KB, 100 * KB, 10 * MB, 256 * MB)
    contents: tuple[str, ...] = ("random", "text")
    rounds: int = 5
    few: int = 3
    """The most rounds of a question that takes long."""
    memory: int = GB
    """The size that shows the peak of memory."""
    flat: tuple[int, ...] = (10 * MB, 100 * MB, 500 * MB, 2 * GB)
    """The sizes that show what a byte costs."""
    objects: tuple[int, ...] = (1_000, 10_000, 200_000)
    """How many objects the database has while it is shown what a file costs."""
    rows: int = 1_000
    named: tuple[int, ...] = (0, 1_000, 30_000, 1_000_000)
    """How many rows each table has that may name a file which is replaced or deleted."""
    writers: tuple[int, ...] = (1, 2, 4, 8, 16)
    """How many processes write at the same time."""
    servers: tuple[str, ...] = ("gthread", "uvicorn", "uvicorn-pool")
    """The web servers of small downloads."""
    thrift: int = 1
    """The factor by which small files are done less often in one measurement."""
    contenders: tuple[str, ...] = tuple(contender.key for contender in CONTENDERS)

    @property
    def large(self) -> int:
        """The largest of the sizes."""
        return max(self.sizes)


FULL = Scale()
QUICK = Scale(
    sizes=(KB, 100 * KB, 10 * MB, 64 * MB),
    contents=("random",),
    rounds=3,
    few=1,
    memory=64 * MB,
    flat=(10 * MB, 64 * MB),
    objects=(1_000, 5_000),
    rows=200,
    named=(0, 10_000),
    writers=(1, 4),
    servers=("gthread",),
    thrift=8,
    contenders=(
        "c",
        "c-keeps",
        "c-alone",
        "own-psycopg",
        "own-psycopg2",
        "old-psycopg",
        "files",
        "files-psycopg2",
        "nginx",
    ),
)


@dataclass(frozen=True)
class Question:
    """One of them."""

    key: str
    title: str
    text: str
    cells: Callable[[Scale], list[Cell]]
    contenders: tuple[str, ...] = ()
    """Who takes part, if not all that can."""
    reference: str = "c"
    """Whom the others are compared with; empty: each with itself in the first cell, for each byte."""
    rounds: int = 0
    """How many, if not as many as elsewhere."""
    counted: bool = True
    """Whether round trips are counted, which takes a run more."""
    by: Literal["byte", "request", "file"] = "byte"
    """By what it is told."""
    interleaved: bool = False
    """Whether a round goes over all cells, since these are compared with each other."""

    def field(self, scale: Scale, cell: Cell) -> list[Contender]:
        """Return who is measured in a cell."""
        return [contender for contender in CONTENDERS if self._takes_part(contender, scale, cell)]

    def rounds_of(self, scale: Scale) -> int:
        """Return how many rounds there are."""
        return min(self.rounds, scale.few) if self.rounds else scale.rounds

    def _takes_part(self, contender: Contender, scale: Scale, cell: Cell) -> bool:
        if contender.key not in scale.contenders or not contender.does(cell.operation, cell.size):
            return False
        if self.contenders and contender.key not in self.contenders:
            return False
        if cell.server:
            return (
                contender.has_pool if cell.server == "uvicorn-pool" else cell.server == "gthread" or contender.is_django
            )
        if self.contenders:
            return True
        # What text, and saving or holding what is large, are to the others is shown by less.
        is_long = cell.operation in {"save", "read"} and cell.size == scale.large
        return (cell.content == "random" and not is_long) or contender.key in CORE


def grid(
    *operations: Operation, least: int = 0, most: int = 10**12, only_random: bool = False, delayed: bool = False
) -> Callable[[Scale], list[Cell]]:
    """Return a question's cells: the operations at each of the sizes within the bounds."""

    def cells(scale: Scale) -> list[Cell]:
        contents = scale.contents[:1] if only_random else scale.contents
        sizes = [size for size in scale.sizes if least <= size <= most]
        return [
            Cell(operation, size, content, delayed=delayed)
            for operation, content, size in product(operations, contents, sizes)
            if content == scale.contents[0] or size == 10 * MB
        ]

    return cells


QUESTIONS = (
    Question(
        "read",
        "Reading block by block",
        "`for block in storage.open(name).chunks()`: the program has control between blocks.",
        grid("chunks"),
    ),
    Question(
        "whole",
        "Reading a file as a whole",
        "`storage.open(name).read()`, against C's `lo_read` loop that keeps nothing. pg-lo-storage 0.2.2 is left out "
        "above 10 MB: its time grows with the square of the size.",
        grid("read"),
    ),
    Question(
        "export",
        "Exporting to a file on disk",
        "`pg_lo_storage.lo_export()`, against C that writes what `lo_read` gives to a file.",
        grid("export", least=10 * MB),
    ),
    Question(
        "save",
        "Saving",
        "`storage.save(name, File(open(path)))` with its commit, from a file that is in the page cache.",
        grid("save"),
    ),
    Question(
        "distance",
        "A server that is 1 ms away",
        "`chunks()` and `save()` where each round trip takes 1 ms more: half of it each way.",
        grid("chunks", "save", most=10 * MB, only_random=True, delayed=True),
        contenders=CORE,
    ),
    Question(
        "serve",
        "Serving a download",
        "`db_serve` under gunicorn, with one synchronous worker and a connection for each request, to a client that "
        "takes all it gets. The first byte is told over that of an empty view, each by the median of ten requests to a "
        "worker that has served before.",
        lambda scale: [Cell("serve", scale.large)],
        contenders=("own-psycopg", "own-psycopg2", "old-psycopg"),
        reference="old-psycopg",
    ),
    Question(
        "downloads",
        "Small downloads",
        "A view that asks for the row, and answers with its file, to four clients that ask again as soon as they are "
        "answered. Under gunicorn with four threads each has a connection that stays; under uvicorn each request opens "
        "one, or takes it from Django's pool. Prepared is with psycopg's `prepare_threshold` in `OPTIONS`. From a disk "
        "`FileResponse` sends the file, of a `BinaryField` it comes with the row; nginx has neither row nor Python.",
        lambda scale: [
            Cell("downloads", size, server=server) for server in scale.servers for size in (20 * KB, 200 * KB)
        ],
        contenders=(
            *OURS,
            "view-psycopg",
            "view-psycopg2",
            "prepared-psycopg",
            "view-prepared",
            "old-psycopg",
            "bytea",
            "db-file-storage",
            "files",
            "files-psycopg2",
            "nginx",
        ),
        reference="files",
        counted=False,
        by="request",
    ),
    Question(
        "memory",
        "The peak of memory",
        "By how much the process has grown at most.",
        lambda scale: [Cell(operation, scale.memory) for operation in ("chunks", "save", "serve")],
        contenders=("own-psycopg", "own-psycopg2", "old-psycopg"),
        reference="old-psycopg",
        rounds=2,
        counted=False,
    ),
    Question(
        "rows",
        "Small files with their rows",
        "Rows with a file of 20 KB each, saved in one transaction, against files on disk that are synced.",
        lambda scale: [Cell("rows", 20 * KB, rows=scale.rows)],
        reference="files",
    ),
    Question(
        "writers",
        "Many writers",
        "Processes, each with a connection of its own, that save files of 1 MB, or give rows other files of 20 KB, "
        "each in a transaction of its own. C does what the files alone take: `lo_creat`, `lo_write`, and for a "
        "replaced file `lo_unlink`, without rows.",
        lambda scale: [
            Cell(operation, size, writers=writers) for operation, size in WRITTEN.items() for writers in scale.writers
        ],
        contenders=("c", *OURS),
        rounds=3,
        counted=False,
        by="file",
    ),
    Question(
        "growth",
        "What a replaced or deleted file costs, by the number of rows",
        "One row of a table is given another file of 20 KB, or is deleted, where two tables of so many rows each, with "
        "a `DbFileField` as it comes, may name that file; with `listed` a third one, whose column is listed in "
        "`PG_LO_STORAGE_REFERENCES` and has an index. In comparison with empty tables, which have a database of their "
        "own beside: 1 is the same, 2 twice as fast. C has no rows: it makes the new object, and unlinks the old one.",
        lambda scale: [
            Cell(operation, 20 * KB, named=named, listed=listed)
            for named in scale.named
            for operation in CHANGES
            for listed in (False, True)
        ],
        contenders=("c", *OURS),
        reference="",
        interleaved=True,
        counted=False,
        by="file",
    ),
    Question(
        "flat",
        "What a byte costs, by size",
        "The time for each byte in comparison with that of the smallest size: 1 is the same, 2 twice as fast.",
        lambda scale: [Cell(operation, size) for operation in ("chunks", "save") for size in scale.flat],
        contenders=("c", *OURS),
        reference="",
        rounds=3,
        interleaved=True,
        counted=False,
    ),
    Question(
        "objects",
        "What a file costs, by the number of files",
        "`chunks()` and `save()` of 20 KB in a database with more and more large objects, in comparison with the "
        "fewest: 1 is the same, 2 twice as fast.",
        lambda scale: [
            Cell(operation, 20 * KB, objects=objects) for objects in scale.objects for operation in ("chunks", "save")
        ],
        contenders=OURS,
        reference="",
    ),
)
