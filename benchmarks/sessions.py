"""What must not grow: the cost of an open in a long session, the memory of many names, the time until a refusal.

    uv run python -m benchmarks.sessions [--rounds N] [--only FIGURE]

Each figure is a ratio within one run, or seconds and megabytes, with both drivers, which take turns: median [least to
most]. The server is that of ``just bench``: Debian's, or that of ``PG_LO_TEST_BINDIR``.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence

import psycopg
from tqdm import tqdm

from benchmarks.building import ROOT, Workshop
from benchmarks.cluster import open_cluster
from benchmarks.contenders import OWN_CONTENDERS, Contender
from benchmarks.jobs import Job
from benchmarks.processes import environment
from benchmarks.ratios import spread_of
from benchmarks.tables import markdown
from benchmarks.workers.session import OPEN, OTHERS, ROWS
from example.cluster import Cluster

ENTRIES = 1_000_000
ENTER = (
    "insert into pg_lo_storage_file (loid, extension, original_name, content_type)"
    " select lo_create((3000000000 + n)::oid), '.bin', '', '' from generate_series(1, %s) as n"
)
REFUSED = (("refused", "`QuerySet.delete()`"), ("refused_by_triggers", "one `DELETE`, with triggers"))
LINES = (
    (
        "others",
        "ratio",
        f"backend CPU of an open after {OTHERS:,} other objects, x that of a new one",
        "at most 1.1",
    ),
    ("opened", "ratio", f"backend CPU of an open beside {OPEN:,} open ones, x that beside none", "at most 1.3"),
    *((key, "seconds", f"{ROWS:,} rows deleted by {how}: refused after, s", "at most 1") for key, how in REFUSED),
    *((key, "times", f"{how}: `delete_in_batches()` takes, x the refusal", "") for key, how in REFUSED),
    ("names", "megabytes", f"`storage.names()` of {ENTRIES:,} files: memory, MB", "at most 2"),
    ("listed", "megabytes", f'`storage.listdir("")` of {ENTRIES:,} files: memory, MB', "documented"),
)
FIGURES = tuple(dict.fromkeys(figure for figure, *_ in LINES))
"""What is measured, each in a process of its own."""


class Run:
    """One run: a server, and what was found."""

    def __init__(self, cluster: Cluster) -> None:
        self._workshop = Workshop(ROOT / ".bench")
        self._cluster = cluster
        self._found = defaultdict[tuple[str, str, str], list[float]](list)

    def measure(self, contender: Contender, figure: str) -> None:
        """Have the contender find a figure."""
        argv = [str(self._workshop.python(contender.environment)), "-m", "benchmarks.workers.session", figure]
        job = Job(contender.store, self._cluster.parameters())
        answer = subprocess.run(argv, cwd=ROOT, env=environment(job), stdout=subprocess.PIPE, text=True, check=True)
        for unit, values in json.loads(answer.stdout).items():
            self._found[contender.key, figure, unit] += values

    def measure_all(self, figures: Sequence[str], rounds: int) -> None:
        """Have all contenders find figures, in rounds."""
        self.measure(OWN_CONTENDERS[0], "migrate")
        plan = [(figure, contender) for figure in figures for _ in range(rounds) for contender in OWN_CONTENDERS]
        entered = False
        for figure, contender in tqdm(plan, file=sys.stderr, mininterval=2):
            if figure in {"names", "listed"} and not entered:
                with psycopg.connect(self._cluster.dsn(user="postgres"), autocommit=True) as connection:
                    connection.execute(ENTER, [ENTRIES])
                    connection.execute("vacuum analyze pg_lo_storage_file, pg_largeobject_metadata")
                entered = True
            self.measure(contender, figure)

    def table(self, figures: Sequence[str]) -> str:
        """Return what was found."""
        rows = [
            [text, goal, *(str(spread_of(self._found[contender.key, figure, unit])) for contender in OWN_CONTENDERS)]
            for figure, unit, text, goal in LINES
            if figure in figures
        ]
        return markdown(("", "goal", "psycopg 3", "psycopg2"), rows)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sessions", description=__doc__)
    parser.add_argument("--only", action="append", choices=FIGURES, help="one figure; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures: Sequence[str] = options.only or FIGURES
    with open_cluster() as cluster:
        run = Run(cluster)
        run.measure_all(figures, options.rounds)
        with psycopg.connect(cluster.dsn()) as connection:
            version = connection.info.server_version // 10_000
    print(f"PostgreSQL {version}, rounds: {options.rounds}\n\n{run.table(figures)}")


if __name__ == "__main__":
    main()
