"""Ratios of measurements that were made in the same round."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from benchmarks.jobs import Sample
from benchmarks.records import COUNTING, Cell, Record

Value = Callable[[Sample], float | None]


class Spread(NamedTuple):
    """The median over the rounds, and the bounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{digits(self.median)} [{digits(self.low)} to {digits(self.high)}]"


@dataclass(frozen=True)
class Answer:
    """All that was measured for one question."""

    records: tuple[Record, ...]

    def cells(self) -> list[Cell]:
        """Return the cells, in the order in which they were measured."""
        return list(dict.fromkeys(record.cell for record in self.records))

    def contenders(self, cell: Cell) -> list[str]:
        """Return who was measured in a cell."""
        return list(dict.fromkeys(record.contender for record in self.records if record.cell == cell))

    def samples(self, cell: Cell, contender: str) -> dict[int, Sample]:
        """Return the timed samples by round."""
        found = self._of(cell, contender)
        return {record.round: record.sample for record in found if record.round != COUNTING}

    def round_trips(self, cell: Cell, contender: str) -> int | None:
        """Return how many there were."""
        counts = [record.sample.round_trips for record in self._of(cell, contender) if record.round == COUNTING]
        return counts[0] if counts else None

    def errors(self) -> list[tuple[str, Cell, str]]:
        """Return who was left out of which cell, and why."""
        failed = (record for record in self.records if record.sample.error)
        return [(record.contender, record.cell, record.sample.error) for record in failed]

    def speed(self, cell: Cell, contender: str, reference: str, to: Cell | None = None) -> Spread | None:
        """Return how many times as fast as the reference the contender was, for each byte, round by round.

        ``to`` is the reference's cell, where it is another.
        """
        theirs = self.samples(to or cell, reference)
        mine = self.samples(cell, contender)
        ratios = (seconds(theirs[number]) / seconds(sample) for number, sample in mine.items() if number in theirs)
        return spread_of(ratios)

    def times(self, cell: Cell, contender: str, value: Value) -> Spread | None:
        """Return how many times as much a value is as in the first cell of the kind, round by round."""
        before, now = (
            {number: value(sample) for number, sample in self.samples(each, contender).items()}
            for each in (self.first(cell), cell)
        )
        return spread_of(mine / theirs for number, mine in now.items() if mine and (theirs := before.get(number)))

    def first(self, cell: Cell) -> Cell:
        """Return the first cell of the same kind, with which the later ones are compared."""
        return next(each for each in self.cells() if (each.operation, each.listed) == (cell.operation, cell.listed))

    def spread(self, cell: Cell, contender: str, value: Value) -> Spread | None:
        """Return the spread of a value."""
        values = map(value, self.samples(cell, contender).values())
        return spread_of(each for each in values if each is not None)

    def _of(self, cell: Cell, contender: str) -> list[Record]:
        return [
            record
            for record in self.records
            if record.cell == cell and record.contender == contender and not record.sample.error
        ]


def seconds(sample: Sample) -> float:
    """Return the seconds for each byte."""
    return sample.seconds / sample.bytes


def client_cpu(sample: Sample) -> float | None:
    """Return the client's milliseconds for each megabyte."""
    return None if sample.client_cpu is None else sample.client_cpu * 1e9 / sample.bytes


def server_cpu(sample: Sample) -> float | None:
    """Return the server's milliseconds for each megabyte."""
    return None if sample.server_cpu is None else sample.server_cpu * 1e9 / sample.bytes


def memory(sample: Sample) -> float | None:
    """Return the megabytes by which the process grew."""
    return None if sample.memory is None else sample.memory / 1e6


def first_byte(sample: Sample) -> float | None:
    """Return the milliseconds until the first byte."""
    return None if sample.first_byte is None else sample.first_byte * 1e3


def rate(sample: Sample) -> float | None:
    """Return the requests, or files, a second."""
    return 1 / sample.seconds if sample.seconds else None


def throughput(sample: Sample) -> float | None:
    """Return the megabytes a second."""
    return sample.bytes / 1e6 / sample.seconds if sample.seconds else None


def in_ms(name: str) -> Value:
    """Return what gives a time of the sample in milliseconds."""

    def value(sample: Sample) -> float | None:
        seconds: float | None = getattr(sample, name)
        return None if seconds is None else seconds * 1e3

    return value


def spread_of(values: Iterable[float]) -> Spread | None:
    """Return the median and the bounds, or ``None`` where there are no values."""
    found = sorted(values)
    return Spread(median(found), found[0], found[-1]) if found else None


def digits(value: float) -> str:
    """Return a number with about three digits that count."""
    if abs(value) >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
