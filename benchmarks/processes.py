"""The processes of contenders, which answer with what an operation cost."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from types import TracebackType
from typing import Self

from benchmarks.building import ROOT
from benchmarks.jobs import VARIABLE, Job, Sample

RoundTrips = Callable[[], int]


class Failed(Exception):
    """A contender could not do it; the message tells why."""


def environment(job: Job) -> dict[str, str]:
    """Return the variables for a process that does the job."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DJANGO"))}
    return kept | {VARIABLE: job.to_json()}


class Worker:
    """A process that does one job, or where it forks many, one after another."""

    def __init__(self, argv: list[str], job: Job) -> None:
        self._process = subprocess.Popen(
            argv, cwd=ROOT, env=environment(job), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def give(self, job: Job) -> None:
        """Have a process that forks begin a job."""
        self._say(job.to_json())

    def reach(self, line: str) -> None:
        """Wait until a process whose job has it wait says ``line``."""
        if (found := self._line()) != f"{line}\n":
            raise Failed(Sample.from_json(found).error if found.startswith("{") else f"no answer but {found!r}")

    def resume(self) -> None:
        """Have it go on."""
        self._say("")

    def answer(self, round_trips: RoundTrips | None = None) -> Sample:
        """Return what the job cost; with ``round_trips`` it must be one that waits, and they are counted."""
        line, counts = self._line(), list[int]()
        while round_trips and line in {"ready\n", "done\n"}:
            counts.append(round_trips())
            self._say("")
            line = self._line()
        if not line.startswith("{"):
            raise Failed(f"no answer but {line!r}")
        sample = Sample.from_json(line)
        if sample.error:
            raise Failed(sample.error)
        return replace(sample, round_trips=counts[1] - counts[0] if counts else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type:
            self._process.kill()
        self._process.communicate()

    def _say(self, line: str) -> None:
        assert self._process.stdin  # noqa: S101 -- a pipe was asked for
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout  # noqa: S101 -- a pipe was asked for
        return self._process.stdout.readline()


def together(workers: Sequence[Worker], repeats: int) -> Sample:
    """Have workers that wait begin at the same time; tell what they cost until the last is ready, by the repetition."""
    for worker in workers:
        worker.reach("ready")
    begin = time.perf_counter()
    for worker in workers:
        worker.resume()
    for worker in workers:
        worker.reach("done")
    seconds = time.perf_counter() - begin
    for worker in workers:
        worker.resume()
    samples = [worker.answer() for worker in workers]
    client, server = ([getattr(sample, name) or 0 for sample in samples] for name in ("client_cpu", "server_cpu"))
    return replace(
        samples[0],
        seconds=seconds / repeats / len(workers),
        client_cpu=fmean(client),
        server_cpu=fmean(server),
        memory=None,
    )
