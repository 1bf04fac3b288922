"""Mends what entries say of their files' bytes: the size, and the digest."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar, Final

from typing_extensions import override

from pg_lo_storage import catalogue
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.atomic_blocks import apart
from pg_lo_storage.databases.columns import ask
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.digests import DAMAGED, Pace, digest_of
from pg_lo_storage.maintenance.findings import Finding, Kind
from pg_lo_storage.maintenance.repairs import EntryMender

__all__ = ["Contents", "Sizes"]

_SAME: Final = "it is as its entry says by now"


class Sizes(EntryMender):
    """Gives an entry the size of its object, and no digest, since that was of other bytes; as a write in place does."""

    kinds: ClassVar[tuple[Kind, ...]] = ("size",)

    @override
    def judge(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Measure the objects again."""
        sizes = self._sizes(batch)
        return {finding: _SAME for finding in batch if finding.oid not in sizes}

    @override
    def change(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        sizes = self._sizes(batch)
        ask(
            self.alias,
            "update pg_lo_storage_file set size = given_size, sha256 = null, modified_at = clock_timestamp()"
            " from rows from (unnest(%s::oid[]), unnest(%s::int8[])) as given (given_loid, given_size)"
            " where loid = given_loid returning 1",
            list(sizes),
            list(sizes.values()),
        )
        return {}

    def _sizes(self, batch: Sequence[Finding]) -> dict[int, int]:
        """Return the sizes of those objects that have another than their entries say."""
        wanted = {finding.oid for finding in batch}
        return {oid: measured for oid, _, _, measured in self.check.sizes(sorted(oid for oid in wanted if oid))}


class Contents(EntryMender):
    """Gives an entry the digest and the size of the bytes that are there: whoever says so knows that they are right."""

    kinds: ClassVar[tuple[Kind, ...]] = ("digest",)
    # The entry is locked while a file of any size is read.
    most: ClassVar[int] = 1

    def __init__(self, check: Check, found: Iterable[Finding], pace: Pace) -> None:
        super().__init__(check)
        self._found = found
        self._pace = pace
        self._read: dict[Finding, tuple[int, str]] = {}

    @override
    def findings(self) -> Iterable[Finding]:
        return self._found

    @override
    def judge(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Read the files again."""
        database = DatabaseDriver(self.alias)
        entries = catalogue.find_all(database, [finding.oid for finding in batch if finding.oid is not None])
        left: dict[Finding, str] = {}
        for finding in batch:
            entry = entries.get(finding.oid or 0)
            if entry is None:
                left[finding] = "it is gone"
                continue
            try:
                with apart(self.alias):
                    size, sha256 = self._read[finding] = digest_of(
                        partial(self._stream, database, entry.loid), self._pace
                    )
            except DAMAGED:
                left[finding] = "it cannot be read: restore it from a backup"
                continue
            if entry.sha256 is None or (entry.sha256, entry.size) == (sha256, size):
                left[finding] = _SAME
        return left

    @override
    def change(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        for finding in batch:
            size, sha256 = self._read.pop(finding)
            ask(
                self.alias,
                "update pg_lo_storage_file set size = %s::int8, sha256 = %s::text, modified_at = clock_timestamp()"
                " where loid = %s::oid returning 1",
                size,
                sha256,
                finding.oid,
            )
        return {}

    def _stream(self, database: DatabaseDriver, loid: int, offset: int, sink: Sink) -> None:
        database.stream(loid, offset, self._pace.step, sink, BLOCK)
