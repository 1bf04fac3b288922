"""``--max-rate`` holds for every moment, and for all that reads."""

import pytest
from django.core.files.base import ContentFile

from pg_lo_storage.maintenance import digests
from pg_lo_storage.maintenance.digests import Pace
from tests.damage.planting import BOOK, sql
from tests.damage.shelf.models import Book
from tests.damage.support import largeobjects


class Clock:
    """Stands still but for sleeps, which it counts."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(digests, "time", clock)
    return clock


@pytest.mark.once
def test_it_waits_for_what_reading_did_not_take(clock: Clock) -> None:
    pace = Pace(10)
    clock.now += 4
    pace.wait(100)
    assert clock.slept == 6


@pytest.mark.once
def test_what_took_long_is_not_made_up_for(clock: Clock) -> None:
    pace = Pace(10)
    clock.now += 1_000
    pace.wait(100)
    assert clock.slept == 0
    pace.wait(100)
    assert clock.slept == 10


@pytest.mark.django_db(transaction=True, databases=["default", "other", "replica"])
@pytest.mark.parametrize(("command", "times"), [(("check", "--deep"), 1), (("repair", "--digests", "--yes"), 2)])
def test_every_reading_keeps_to_it(clock: Clock, command: tuple[str, ...], times: int) -> None:
    """What is wrong is read again, under a lock."""
    for size in (1_000, 2_000_000):
        Book.objects.create(data=ContentFile(bytes(size), "a.txt"))
    sql("update pg_lo_storage_file set sha256 = repeat('0', 64)")
    largeobjects(*command, "--database", "default", "--max-rate", "1MB/s")
    assert clock.slept == pytest.approx(2.001 * times)
    sql(f"truncate {BOOK} cascade")
