"""Sessions with the same few rows: every read is one committed version, and what is left fits together.

``PG_LO_TEST_FAULT_ROUNDS`` says how many rounds there are, six times as many; it has all worlds and mutants run.
``PG_LO_TEST_FAULT_SEED`` makes them others.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from example.cluster import Cluster, find_bindir
from tests.faults.mutants import MUTANTS
from tests.faults.racers import WORLDS

# By default few of the worlds and mutants: each takes a second or two.
IS_LONG = "PG_LO_TEST_FAULT_ROUNDS" in os.environ
ROUNDS = max(1, int(os.environ.get("PG_LO_TEST_FAULT_ROUNDS", "1")) // 6)
SOME = ("fields", "triggers", "fields, bare", "serializable, triggers")
SEED = int(os.environ.get("PG_LO_TEST_FAULT_SEED", "0"))
SOME_MUTANTS = ("no row lock", "no search", "no guard")
# So many rounds are enough to notice any mutant.
MOST = 40


class Racers:
    """The process whose children race."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def race(self, world: str, rounds: int, mutant: str | None = None) -> dict[str, Any]:
        task = {"world": world, "rounds": rounds, "mutant": mutant, "seed": SEED}
        print(json.dumps(task), file=self._process.stdin, flush=True)
        result: dict[str, Any] = json.loads(self.told())
        sys.stdout.write(f"\n{world}, {mutant}: {result}")
        return result

    def told(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    try:
        find_bindir()
    except LookupError as error:
        pytest.skip(str(error))
    # Deadlocks are many; who waits a second to notice one does nothing else.
    with Cluster(options=("-c", "deadlock_timeout=20ms")) as cluster:
        databases = {"default": cluster.django_database(), "other": cluster.django_database("other")}
        with subprocess.Popen(
            [sys.executable, "-m", "tests.faults.racers"],
            env={
                **os.environ,
                "PG_LO_TEST_DATABASES": json.dumps(databases),
                "DJANGO_SETTINGS_MODULE": "tests.settings",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            racers = Racers(process)
            assert racers.told() == "ready"
            yield racers
            process.kill()


@pytest.mark.timeout(60 + 20 * ROUNDS)
@pytest.mark.parametrize("world", WORLDS if IS_LONG else SOME)
def test_every_read_is_one_committed_version_and_what_is_left_fits_together(world: str, racers: Racers) -> None:
    result = racers.race(world, ROUNDS)
    assert not result["faults"]
    # Of those that are serializable most are refused: the busier the machine, the more.
    assert result["counts"]["committed"] > ROUNDS


@pytest.mark.timeout(60 + 10 * MOST)
@pytest.mark.once
@pytest.mark.parametrize("mutant", MUTANTS if IS_LONG else SOME_MUTANTS)
def test_a_broken_copy_of_the_library_is_noticed(mutant: str, racers: Racers) -> None:
    assert racers.race(MUTANTS[mutant].world, MOST, mutant)["faults"]
