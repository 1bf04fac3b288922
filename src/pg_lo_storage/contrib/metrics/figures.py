"""The figures of stored files that monitoring sees: asked for seldom, and whatever happens no error of who asks."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from django.db import connections

from pg_lo_storage.databases.atomic_blocks import apart
from pg_lo_storage.databases.file_fields import databases_with_files
from pg_lo_storage.maintenance.statistics import Totals, orphans, totals

__all__ = ["BUCKETS", "ERRORS", "GAUGES", "ORPHANS", "TRANSFERRED", "Figure", "Figures"]

BUCKETS: Final = (0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""The bounds, in seconds, of the histogram of reads and writes, each of which is a statement or few."""

T = TypeVar("T")

_logger: Final = logging.getLogger("pg_lo_storage")


class Figure(NamedTuple):
    """A metric's name, its unit as OpenTelemetry has it, and as a part of Prometheus's names, and what it is."""

    name: str
    unit: str
    suffix: str
    text: str


def _oldest(found: Totals) -> float | None:
    return None if found.oldest_undigested is None else found.oldest_undigested.timestamp()


GAUGES: Final[dict[Figure, Callable[[Totals], float | None]]] = {
    Figure("files", "{file}", "", "Stored files."): lambda found: found.files,
    Figure("size", "By", "_bytes", "Their size, without files of unknown size."): lambda found: found.bytes,
    Figure("unmeasured_files", "{file}", "", "Files of unknown size."): lambda found: found.unmeasured,
    Figure("undigested_files", "{file}", "", "Files that cannot be verified."): lambda found: found.undigested,
    Figure("oldest_undigested", "s", "_timestamp_seconds", "The Unix time of the oldest of these."): _oldest,
    Figure("objects", "{object}", "", "All large objects of the database."): lambda found: found.objects,
    Figure("disk", "By", "_bytes", "What pg_largeobject and its index take on disk."): lambda found: found.disk_bytes,
    Figure("dead", "1", "_ratio", "The dead part of pg_largeobject, as estimated."): lambda found: found.dead_share,
}
"""What each gauge shows of the totals; ``None`` where it is not known."""
ORPHANS: Final = Figure("orphans", "{file}", "", "Files that no row names.")
ERRORS: Final = Figure("statistics_errors", "{error}", "", "How often a database gave no figures.")
TRANSFERRED: Final = Figure("transferred", "By", "_bytes", "Bytes of files read and written.")


class _Kept(Generic[T]):
    """What a function has returned, for ``max_age`` seconds; ``None`` where it failed."""

    def __init__(self, count: Callable[[str], T], alias: str, max_age: float) -> None:
        self._count = count
        self._alias = alias
        self._max_age = max_age
        self._until = float("-inf")
        self._lock = threading.Lock()
        self._found: T | None = None
        self.errors: int = 0

    def get(self) -> T | None:
        """Return it, as of before where another thread is asking."""
        if time.monotonic() >= self._until and self._lock.acquire(blocking=False):
            try:
                with _disconnecting(), apart(self._alias):
                    self._found = self._count(self._alias)
            except Exception:
                # Whoever is asked for metrics answers with all others.
                _logger.warning("no figures of the files on %r", self._alias, exc_info=True)
                self._found = None
                self.errors += 1
            finally:
                self._until = time.monotonic() + self._max_age
                self._lock.release()
        return self._found


class Figures:
    """The figures of databases."""

    def __init__(self, databases: Sequence[str] | None, max_age: float, orphans_max_age: float | None) -> None:
        self._databases = databases
        self._max_age = max_age
        self._orphans_max_age = orphans_max_age
        self._totals: dict[str, _Kept[Totals]] = {}
        self._orphans: dict[str, _Kept[int | None]] = {}

    def of(self, figure: Figure) -> Iterator[tuple[str, float]]:
        """Yield each database that knows the figure, with the value."""
        for alias in databases_with_files() if self._databases is None else self._databases:
            if (value := self._value(alias, figure)) is not None:
                yield alias, value

    def _value(self, alias: str, figure: Figure) -> float | None:
        totals_ = self._totals.setdefault(alias, _Kept(totals, alias, self._max_age))
        orphans_ = None
        if self._orphans_max_age is not None:
            orphans_ = self._orphans.setdefault(alias, _Kept(orphans, alias, self._orphans_max_age))
        if figure == ERRORS:
            return totals_.errors + (orphans_.errors if orphans_ else 0)
        if figure == ORPHANS:
            return orphans_.get() if orphans_ else None
        found = totals_.get()
        return None if found is None else GAUGES[figure](found)


@contextlib.contextmanager
def _disconnecting() -> Generator[None]:
    """Leave no connection open that was not: there may be a thread for each scrape."""
    before = {wrapper for wrapper in connections.all(initialized_only=True) if wrapper.connection is not None}
    try:
        yield
    finally:
        for wrapper in connections.all(initialized_only=True):
            if wrapper not in before:
                wrapper.close()
