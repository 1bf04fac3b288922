"""Mends what a check has found, in batches, each in a transaction of its own.

A finding is old when it is mended: a row may have come to name the file, or another session may have mended it. So in
the transaction that changes something it is locked, judged anew by what is committed by then, and only then changed.
What another transaction has locked is left for the next run.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import ClassVar, Final, NamedTuple

from django.db import DatabaseError, connections

from pg_lo_storage.databases.atomic_blocks import atomic
from pg_lo_storage.databases.columns import ask
from pg_lo_storage.databases.locking import see_what_is_committed
from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.maintenance.checking import BATCH, Check
from pg_lo_storage.maintenance.findings import Finding, Kind

__all__ = ["IN_USE", "EntryMender", "Mender", "Outcome", "repair", "seeing_what_is_committed"]

IN_USE: Final = "another transaction has it in use, or has mended it"
_MAY_BE_OLD: Final = "files of this column still move: its file may be at the old place"


PATIENCE: float = 5
"""So many seconds a statement waits for what another transaction has locked, unless the session says otherwise."""


class Outcome(NamedTuple):
    """What became of a finding: ``left`` says why it was left; it is empty where it was, or would be, mended."""

    finding: Finding
    left: str = ""


class Mender(ABC):
    """Mends one kind of findings."""

    kinds: ClassVar[tuple[Kind, ...]]
    most: ClassVar[int] = BATCH
    """So many are mended in a transaction."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.alias: str = check.alias

    def findings(self) -> Iterable[Finding]:
        """Return what there is to mend."""
        return self.check.findings(*self.kinds)

    def prepare(self) -> str:
        """Get ready for a batch; return why nothing can be mended, if so."""
        return ""

    @abstractmethod
    def lock(self, batch: Sequence[Finding]) -> Collection[Finding]:
        """Lock what is to be changed, and wait for nobody; return those findings that are locked."""

    def look(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Judge the findings, less those of which nobody here can tell: an old place may be out of reach."""
        left = {finding: _MAY_BE_OLD for finding in batch if finding.may_be_old}
        return left | self.judge([finding for finding in batch if not finding.may_be_old])

    @abstractmethod
    def judge(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Look again; return why findings are to be left, of those that are."""

    @abstractmethod
    def change(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Mend these; return why some were left after all."""

    def mend(self, batch: Sequence[Finding]) -> list[Outcome]:
        """Mend a batch in one transaction; where the server refuses that, find what it refuses by halves."""
        try:
            return self._mend(batch)
        except (DatabaseError, LargeObjectError) as error:
            if not connections[self.alias].is_usable():
                raise
            if len(batch) == 1:
                return [Outcome(batch[0], f"the server refuses it: {' '.join(str(error).split())}")]
        middle = len(batch) // 2
        return [*self.mend(batch[:middle]), *self.mend(batch[middle:])]

    def _mend(self, batch: Sequence[Finding]) -> list[Outcome]:
        with seeing_what_is_committed(self.alias):
            locked = set(self.lock(batch))
            left = {finding: IN_USE for finding in batch if finding not in locked}
            left |= self.look([finding for finding in batch if finding not in left])
            left |= self.change([finding for finding in batch if finding not in left])
        return [Outcome(finding, left.get(finding, "")) for finding in batch]


class EntryMender(Mender):
    """Mends entries of the catalogue."""

    def lock(self, batch: Sequence[Finding]) -> Collection[Finding]:
        """Lock the entries."""
        rows = ask(
            self.alias,
            "select loid::int8 from pg_lo_storage_file where loid = any(%s::oid[])"
            " order by loid for update skip locked",
            oids_of(batch),
        )
        locked = {oid for (oid,) in rows}
        return [finding for finding in batch if finding.oid in locked]


def repair(mender: Mender, *, dry_run: bool = True) -> Generator[Outcome]:
    """Yield what becomes of each finding; with ``dry_run`` nothing is changed."""
    findings = iter(mender.findings())
    while batch := list(islice(findings, mender.most)):
        if dry_run:
            left = mender.look(batch)
            yield from (Outcome(finding, left.get(finding, "")) for finding in batch)
        elif reason := mender.prepare():
            yield from (Outcome(finding, reason) for finding in batch)
        else:
            yield from mender.mend(batch)


def oids_of(batch: Iterable[Finding]) -> list[int]:
    """Return the objects of the findings."""
    return [finding.oid for finding in batch if finding.oid is not None]


@contextmanager
def seeing_what_is_committed(alias: str) -> Generator[None]:
    """Begin a transaction in which each statement sees what was committed before it, and none waits for long."""
    is_outermost = not connections[alias].in_atomic_block
    with atomic(alias):
        if is_outermost:
            see_what_is_committed(alias, PATIENCE)
        yield
