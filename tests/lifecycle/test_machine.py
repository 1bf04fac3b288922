"""Random histories of rows and instances, against a simple model of what is allowed.

Each of six worlds has histories of its own, the same on every run. ``PG_LO_TEST_HISTORIES=450`` plays so many in each,
about 100,000 operations in all, from the one that ``PG_LO_TEST_FIRST_HISTORY`` says: a failure tells its number.
``PG_LO_TEST_FAILURES`` is after how many failures a world stops.
"""

import os
import sys
import time
from collections.abc import Iterator

import pytest

from tests.lifecycle.guards import EVERY_GUARD
from tests.lifecycle.histories import play, random_history, shortest
from tests.lifecycle.worlds import World

HISTORIES = int(os.environ.get("PG_LO_TEST_HISTORIES", "24"))
FIRST = int(os.environ.get("PG_LO_TEST_FIRST_HISTORY", "0"))
FAILURES = int(os.environ.get("PG_LO_TEST_FAILURES", "1"))


@pytest.fixture
def world(guard: str, catalogue: bool) -> Iterator[World]:
    world = World(guard, catalogue=catalogue)
    try:
        yield world
    finally:
        world.close()


@EVERY_GUARD
@pytest.mark.timeout(10 * HISTORIES)
def test_at_every_commit_there_is_what_rows_name(world: World) -> None:
    failures: list[str] = []
    begun = time.monotonic()
    for number in range(FIRST, FIRST + HISTORIES):
        history = random_history(number, world.guard, world.catalogue)
        failure = play(world, history)
        if failure is not None and "lock timeout" in str(failure):
            # The server's own vacuum may hold a table for longer than a session waits; the history's own waits recur.
            failure = play(world, history)
        if failure is not None:
            failures.append(f"history {number}: {shortest(world, failure)}")
            sys.stderr.write(f"{failures[-1]}\n")
            if len(failures) >= FAILURES:
                break
    seconds = time.monotonic() - begun
    sys.stderr.write(f"{world.operations} operations, {world.refused} refused, {seconds:.1f} s: {dict(world.done)}\n")
    assert not failures, "\n\n".join(failures)
