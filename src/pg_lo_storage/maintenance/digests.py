"""Reads files, and compares their bytes with the digests that the catalogue has.

Of small files the server makes the digests, many in one statement; others are read in blocks. No transaction is open in
between: a file that is changed meanwhile is passed over, since its digest changes with it.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Generator, Mapping
from typing import Final, NamedTuple

from django.db import DataError, InternalError, NotSupportedError
from typing_extensions import Buffer

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import Entry
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.atomic_blocks import apart
from pg_lo_storage.databases.columns import ask
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.maintenance.findings import Finding
from pg_lo_storage.maintenance.passes import DIGESTS, WITH_DIGEST

__all__ = ["DAMAGED", "Digests", "Pace", "Read", "digest_of"]

_PAGE: Final = 1_000
_SMALL: Final = 1_048_576
"""The digests of files of up to so many bytes are the server's."""

_TOGETHER: Final = 8 * 1_048_576
"""So many bytes are read at a time."""

DAMAGED: Final = (DataError, InternalError, NotSupportedError)
"""What the server raises where it cannot read its own pages."""


class Read(NamedTuple):
    """How many files and bytes were read, and what was found."""

    files: int
    bytes: int
    found: list[Finding]


class Pace:
    """Keeps to so many bytes a second, by waiting; ``None`` is as fast as it goes."""

    def __init__(self, rate: float | None = None) -> None:
        self.step: int = _TOGETHER if rate is None else int(min(_TOGETHER, max(rate / 4, BLOCK)))
        """So many bytes are read at a time, so that no wait is long."""
        self._rate = rate
        self._last = time.monotonic()

    def wait(self, size: int) -> None:
        """Wait for what is left of the time that so many bytes are to take; what took longer is not made up for."""
        if self._rate is not None:
            time.sleep(max(0.0, size / self._rate - (time.monotonic() - self._last)))
            self._last = time.monotonic()


class Digests:
    """Reads the files of a database, by their oids; ``sample`` is the share of them that is read."""

    def __init__(self, alias: str, pace: Pace, *, sample: float = 1.0) -> None:
        self._alias = alias
        self._database = DatabaseDriver(alias)
        self._pace = pace
        self._sample = sample
        # What a driver without SQL stores may be other bytes than the file's.
        self._most = min(_SMALL, pace.step) if self._database.sql is not None else -1

    def total(self) -> int:
        """Return about how many files will be read."""
        [(count,)] = ask(self._alias, "select count(*) from pg_lo_storage_file where sha256 is not null")
        return round(int(count) * self._sample)

    def read(self) -> Generator[Read]:
        """Yield what was read: one file, or many small ones."""
        together: list[int] = []
        size = after = 0
        while page := ask(self._alias, WITH_DIGEST, after, self._sample, self._sample, _PAGE):
            after = page[-1][0]
            entries = catalogue.find_all(self._database, [loid for loid, _ in page])
            for loid, length in [each for each in page if each[0] in entries]:
                if length > self._most:
                    yield self._alone(entries[loid])
                    continue
                if together and size + length > self._pace.step:
                    yield self._together(together, entries, size)
                    together, size = [], 0
                together.append(loid)
                size += length
            if together:
                yield self._together(together, entries, size)
                together, size = [], 0

    def _together(self, loids: Collection[int], entries: Mapping[int, Entry], size: int) -> Read:
        try:
            with apart(self._alias):
                rows = ask(self._alias, DIGESTS, list(loids))
        except DAMAGED:
            reads = [self._alone(entries[loid]) for loid in loids]
            return Read(len(loids), size, [finding for read in reads for finding in read.found])
        self._pace.wait(size)
        found = [
            _finding(self._alias, entry, sha256)
            for loid, version, sha256 in rows
            if (entry := entries[loid]).version == version and entry.sha256 != sha256
        ]
        return Read(len(loids), size, found)

    def _alone(self, entry: Entry) -> Read:
        unchanged = True

        def read(offset: int, sink: Sink) -> None:
            nonlocal unchanged
            unchanged &= catalogue.stream_version(self._database, entry, offset, self._pace.step, sink)

        try:
            with apart(self._alias):
                size, sha256 = digest_of(read, self._pace)
        except DAMAGED as error:
            return Read(1, 0, [_finding(self._alias, entry, None, str(error).strip())])
        if not unchanged or sha256 == entry.sha256:
            return Read(1, size, [])
        return Read(1, size, [_finding(self._alias, entry, sha256)])


def digest_of(read: Callable[[int, Sink], object], pace: Pace) -> tuple[int, str]:
    """Return size and SHA-256 of what ``read`` hands to a sink: ``pace.step`` bytes from an offset, or the rest."""
    digest, size = hashlib.sha256(), 0
    while True:
        taken = 0

        def take(block: Buffer) -> None:
            nonlocal taken
            digest.update(block)
            taken += memoryview(block).nbytes

        read(size, take)
        size += taken
        pace.wait(taken)
        if taken < pace.step:
            return size, digest.hexdigest()


def _finding(alias: str, entry: Entry, sha256: str | None, error: str = "") -> Finding:
    name = f"{entry.loid}{entry.extension or ''}"
    detail = f"has the SHA-256 {sha256}, and {entry.sha256} in the catalogue" if sha256 else f"cannot be read: {error}"
    return Finding("digest", alias, name, entry.loid, key=(("loid", str(entry.loid)),), detail=detail)
