"""Measurements, as they are kept between a run and a report."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.jobs import Operation, Sample


@dataclass(frozen=True, order=True)
class Cell:
    """What is compared within: one operation on one kind of file."""

    operation: Operation
    size: int
    content: str = "random"
    rows: int = 0
    """How many rows with files are saved."""
    objects: int = 0
    """How many other objects the database has."""
    named: int | None = None
    """How many rows each table has that may name files, in a database of its own."""
    listed: bool = False
    """Whether one more of them is listed in ``PG_LO_STORAGE_REFERENCES``."""
    writers: int = 0
    """How many processes do it at the same time, where that is what is asked."""
    server: str = ""
    """Under which web server."""
    delayed: bool = False
    """Whether a round trip takes 1 ms more."""


@dataclass(frozen=True)
class Record:
    """One measurement."""

    cell: Cell
    contender: str
    round: int
    """Those of the same round were made one after another. Round -1 is the one that counts round trips, untimed."""
    sample: Sample


COUNTING = -1


class Records:
    """A folder with a file for each question."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, question: str, records: Iterable[Record]) -> None:
        """Replace what is known of a question."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(asdict(record)) for record in records]
        self._path(question).write_text("\n".join(lines) + "\n")

    def read(self, question: str) -> list[Record]:
        """Return what is known of a question."""
        path = self._path(question)
        return [_record(line) for line in path.read_text().splitlines()] if path.exists() else []

    def write_facts(self, facts: dict[str, str]) -> None:
        """Keep what is to be told of the machine."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.joinpath("machine.json").write_text(json.dumps(facts, indent=1))

    def read_facts(self) -> dict[str, str]:
        """Return what is to be told of the machine."""
        facts: dict[str, str] = json.loads(self.folder.joinpath("machine.json").read_text())
        return facts

    def _path(self, question: str) -> Path:
        return self.folder / f"{question}.jsonl"


def _record(line: str) -> Record:
    values = json.loads(line)
    return Record(**values | {"cell": Cell(**values["cell"]), "sample": Sample(**values["sample"])})
