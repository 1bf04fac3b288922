"""What the demo prints: a table of files, a table of steps, and a bar on what takes long."""

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, NoReturn

from django.core.exceptions import ObjectDoesNotExist
from tqdm import tqdm

from example.demo.files import Source

if TYPE_CHECKING:
    Bar = tqdm[NoReturn]
else:
    Bar = tqdm

# What a lost row, file or connection raises.
LOSSES = (OSError, HTTPException, ObjectDoesNotExist)


class Step:
    """What was found wrong while one row of a table was made."""

    def __init__(self) -> None:
        self.oid: int | None = None
        self.problems: list[str] = []

    def same(self, what: str, found: object, expected: object) -> None:
        """Note a problem unless ``found`` is what was expected."""
        if found != expected:
            self.problems.append(f"{what}: {found!r} where {expected!r} was expected")


class Report:
    """Prints a row when its step is over, and counts what was wrong."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._width = max(24, *map(len, labels))
        self.problems = 0

    def start_files(self) -> None:
        print(f"\n{'file':{self._width}}  {'oid':>10}  {'bytes':>14}  sha256   seconds", flush=True)

    def file(self, source: Source) -> AbstractContextManager[Step]:
        """Run the block as one row of the table of files."""

        def cells(step: Step) -> str:
            result = "DIFFERS" if step.problems else "matches"
            return f"{source.label:{self._width}}  {step.oid or '-':>10}  {source.size:14,}  {result}"

        return self._row(cells)

    def start_steps(self, label: str) -> None:
        print(f"\n{label:{self._width + 28}}  result   seconds", flush=True)

    def step(self, what: str) -> AbstractContextManager[Step]:
        """Run the block as one row of the table of steps."""
        return self._row(
            lambda step: f"{what:{self._width + 28}}  {'FAILED' if step.problems else 'ok':7}",
        )

    @contextmanager
    def _row(self, cells: Callable[[Step], str]) -> Generator[Step]:
        step, start = Step(), time.perf_counter()
        try:
            yield step
        except LOSSES as error:
            step.problems.append(f"{type(error).__name__}: {error}")
        print(f"{cells(step)}  {time.perf_counter() - start:7.2f}", flush=True)
        for problem in step.problems:
            print(f"    {problem}", flush=True)
        self.problems += len(step.problems)


def progress(label: str, size: int) -> Bar:
    """Return a bar over so many bytes, seen on a terminal only, and only once it took a while."""
    return tqdm(desc=label, total=size, unit="B", unit_scale=True, leave=False, disable=None, delay=0.3)
