"""Rounds: each contender once, one after another, and in each round another one first."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from benchmarks.building import CannotBuild
from benchmarks.contenders import Contender
from benchmarks.jobs import CHANGES, Sample
from benchmarks.processes import Failed
from benchmarks.questions import Question, Scale
from benchmarks.records import COUNTING, Cell, Record
from benchmarks.tables import cell_title

if TYPE_CHECKING:
    from benchmarks.measuring import Bench

_T = TypeVar("_T")


def ask(bench: "Bench", question: Question, scale: Scale) -> Iterator[Record]:
    """Measure what a question asks for, in rounds, after each contender has done it once to count round trips."""
    plan = [(cell, question.field(scale, cell)) for cell in question.cells(scale)]
    rounds = question.rounds_of(scale)
    total = sum(len(contenders) for _, contenders in plan) * (rounds + question.counted)
    with tqdm(total=total, desc=question.key, file=sys.stderr, mininterval=2) as progress:
        for part in [plan] if question.interleaved else [[entry] for entry in plan]:
            able: dict[Cell, list[Contender]] = {}
            for cell, contenders in part:
                bench.fill(cell.objects)
                if not question.counted:
                    able[cell] = contenders
                    continue
                for contender in contenders:
                    record = attempt(bench.count, contender, cell, COUNTING)
                    progress.update()
                    if not record.sample.error:
                        able.setdefault(cell, []).append(contender)
                    yield record
            for number in range(rounds):
                for cell, contenders in able.items():
                    bench.checkpoint()
                    for contender in rotated(contenders, number):
                        yield attempt(bench.measure, contender, cell, number)
                        progress.update()
                    if cell.operation in {"save", "rows", *CHANGES}:
                        bench.tidy(cell)


def attempt(do: Callable[[Contender, Cell], Sample], contender: Contender, cell: Cell, number: int) -> Record:
    """Have a contender do it; where it fails, the record tells how."""
    try:
        sample = do(contender, cell)
    except (Failed, CannotBuild) as error:
        tqdm.write(f"{contender.label}: {cell_title(cell)}: {error}", file=sys.stderr)
        sample = Sample(0, 0, error=str(error))
    return Record(cell, contender.key, number, sample)


def rotated(items: Sequence[_T], number: int) -> list[_T]:
    """Return the order of a round."""
    start = number % max(1, len(items))
    return [*items[start:], *items[:start]]
