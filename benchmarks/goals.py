"""What was promised, and what was measured of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.jobs import CHANGES, Operation
from benchmarks.ratios import Answer, Spread, Value, first_byte, memory, seconds, server_cpu
from benchmarks.records import Cell
from benchmarks.tables import NOTHING, markdown, size_name

DRIVERS = ("psycopg", "psycopg2")
Answers = Mapping[str, Answer]


class Finding(NamedTuple):
    """A figure that a goal is about."""

    value: float
    text: str


Measure = Callable[[Answer, Cell, str], Finding | None]
"""Takes an answer, one of its cells and a driver."""


@dataclass(frozen=True)
class Goal:
    """One line: a figure for each driver, and its bound for each."""

    what: str
    """``{size}`` is the size that was measured, ``{rows}`` how many rows the tables had."""
    bounds: tuple[float, float]
    question: str
    operation: Operation
    measure: Measure
    server: str = ""
    """The web server, where there are several."""
    size: int | None = None
    """The largest, where there is none."""
    at_most: bool = False
    listed: bool = False
    """Whether a column is listed in ``PG_LO_STORAGE_REFERENCES``."""

    def row(self, answers: Answers) -> list[str]:
        """Return the goal, what was promised, and what was measured with each driver."""
        sign = "at most" if self.at_most else "at least"
        promise = f"{sign} {' / '.join(dict.fromkeys(f'{bound:g}' for bound in self.bounds))}"
        answer = answers.get(self.question)
        cell = self._cell(answer) if answer else None
        size, rows = size_name(cell.size if cell else self.size or 0), f"{cell.named or 0:,}" if cell else "many"
        what = self.what.format(size=size, rows=rows)
        if answer is None or cell is None:
            return [what, promise, NOTHING, NOTHING]
        return [what, promise, *(self._result(answer, cell, number) for number in range(len(DRIVERS)))]

    def is_reached(self, value: float, driver: int) -> bool:
        """Tell whether the figure is what was promised."""
        bound = self.bounds[driver]
        return value <= bound if self.at_most else value >= bound

    def _result(self, answer: Answer, cell: Cell, driver: int) -> str:
        found = self.measure(answer, cell, DRIVERS[driver])
        if found is None:
            return NOTHING
        return found.text if self.is_reached(found.value, driver) else f"{found.text}, **not reached**"

    def _cell(self, answer: Answer) -> Cell | None:
        """Return the last cell of the operation, of that size or the largest: the last has the most objects."""
        found = [cell for cell in answer.cells() if cell.operation == self.operation and cell.content == "random"]
        found = [cell for cell in found if self.size in {None, cell.size} and cell.server == self.server]
        found = [cell for cell in found if cell.listed == self.listed]
        largest = max((cell.size for cell in found), default=0)
        return next((cell for cell in reversed(found) if cell.size == largest), None)


def speed(reference: str = "c", contender: str = "own-{driver}") -> Measure:
    """Return what measures the speed in comparison with a contender; ``{driver}`` in a key is the driver."""

    def measure(answer: Answer, cell: Cell, driver: str) -> Finding | None:
        return _finding(answer.speed(cell, contender.format(driver=driver), reference.format(driver=driver)))

    return measure


def same_speed(answer: Answer, cell: Cell, driver: str) -> Finding | None:
    """Measure the speed in comparison with that in the operation's first cell."""
    first = answer.first(cell)
    return _finding(answer.speed(cell, f"own-{driver}", f"own-{driver}", to=first)) if first != cell else None


def cost(value: Value) -> Measure:
    """Return what measures a value in comparison with that in the first cell of the kind."""

    def measure(answer: Answer, cell: Cell, driver: str) -> Finding | None:
        return _finding(answer.times(cell, f"own-{driver}", value)) if answer.first(cell) != cell else None

    return measure


def amount(value: Value) -> Measure:
    """Return what measures a value of the samples."""

    def measure(answer: Answer, cell: Cell, driver: str) -> Finding | None:
        return _finding(answer.spread(cell, f"own-{driver}", value))

    return measure


def round_trips(answer: Answer, cell: Cell, driver: str) -> Finding | None:
    """Measure the round trips."""
    count = answer.round_trips(cell, f"own-{driver}")
    return None if count is None else Finding(count, str(count))


KB, MB = 1_000, 1_000_000
FLAT: tuple[Operation, ...] = ("chunks", "save")
MEMORY: tuple[Operation, ...] = ("chunks", "save", "serve")
OLD, OLD_NAME = speed("old-{driver}"), "pg-lo-storage 0.2.2"


def files(contender: str = "own-{driver}") -> Measure:
    """Return what measures the speed in comparison with files on disk, whose rows come by the same driver."""
    with_psycopg, with_psycopg2 = speed("files", contender), speed("files-psycopg2", contender)
    return lambda answer, cell, driver: (with_psycopg if driver == "psycopg" else with_psycopg2)(answer, cell, driver)


VIEWS = {"`db_serve`": "own-{driver}", "`DbFileView`": "view-{driver}"}
GOALS = (
    Goal("`chunks()` of {size}, x C `lo_read`", (0.95, 0.95), "read", "chunks", speed()),
    Goal("`read()` of {size}, x C `lo_read`", (1.1, 1.0), "whole", "read", speed()),
    Goal("`read()` of {size}, x C that keeps what it reads", (1.1, 1.0), "whole", "read", speed("c-keeps")),
    Goal("export of {size}, x C `lo_read` that keeps nothing", (1.1, 1.0), "export", "export", speed("c-alone")),
    Goal("export of {size}, x C that writes a file too", (1.1, 1.0), "export", "export", speed()),
    Goal(f"`chunks()` of {{size}}, x {OLD_NAME}", (4.5, 4), "read", "chunks", OLD, size=10 * MB),
    Goal(f"`chunks()` of {{size}}, x {OLD_NAME}", (4.5, 4), "read", "chunks", OLD),
    Goal("save of {size}, random, x C `lo_write`", (1.5, 1.4), "save", "save", speed()),
    *(
        Goal(f"save of {{size}}, x {OLD_NAME}", (3, 2.5), "save", "save", OLD, size=size)
        for size in (KB, 100 * KB, 10 * MB, None)
    ),
    Goal("`read()` of {size}, round trips", (1, 1), "whole", "read", round_trips, size=KB, at_most=True),
    Goal("save of {size}, round trips", (1, 1), "save", "save", round_trips, size=KB, at_most=True),
    Goal(f"`chunks()` of {{size}} behind 1 ms, x {OLD_NAME}", (12, 6), "distance", "chunks", OLD),
    Goal(f"`db_serve` of {{size}}, x {OLD_NAME}, psycopg 3", (9, 7), "serve", "serve", speed("old-psycopg")),
    Goal(
        "`db_serve` of {size}, first byte over an empty view, ms",
        (10, 10),
        "serve",
        "serve",
        amount(first_byte),
        at_most=True,
    ),
    *(
        Goal(f"peak of memory, {name} of {{size}}, MB", (8, 8), "memory", name, amount(memory), at_most=True)
        for name in MEMORY
    ),
    Goal(
        "rows with files of {size}, x FileSystemStorage with fsync",
        (1, 1),
        "rows",
        "rows",
        files(),
    ),
    *(
        Goal(
            f"{view} of {{size}} under {server}, x `FileResponse` from a disk",
            (0.9, 0.9),
            "downloads",
            "downloads",
            files(contender),
            server,
            size,
        )
        for server in ("gthread", "uvicorn", "uvicorn-pool")
        for view, contender in VIEWS.items()
        for size in (20 * KB, 200 * KB)
    ),
    *(
        Goal(
            f"{what} for a file of {{size}} that is {name}d, {where}, x that with empty ones",
            (1.3, 1.3),
            "growth",
            name,
            cost(value),
            listed=listed,
            at_most=True,
        )
        for listed, where in ((False, "two tables of {rows} rows"), (True, "a listed column beside"))
        for what, value in {"time": seconds, "backend CPU": server_cpu}.items()
        for name in CHANGES
    ),
    *(
        Goal(f"cost of a byte, {name} of {{size}}: speed, x that of the smallest", (0.9, 0.9), "flat", name, same_speed)
        for name in FLAT
    ),
    *(
        Goal(
            f"cost of a file, {name}: speed among the most, x that among the fewest",
            (0.9, 0.9),
            "objects",
            name,
            same_speed,
        )
        for name in FLAT
    ),
)


def goals_table(answers: Answers) -> str:
    """Return the table of the goals that were measured, and how many were not."""
    every = [goal.row(answers) for goal in GOALS]
    rows = [row for row in every if any(cell != NOTHING for cell in row[2:])]
    left = len(GOALS) - len(rows)
    table = markdown(("", "goal", "psycopg 3", "psycopg2"), rows)
    return f"{table}\n\nNot measured in this run: {left} goals of other questions." if left else table


def _finding(spread: Spread | None) -> Finding | None:
    return Finding(spread.median, str(spread)) if spread else None
