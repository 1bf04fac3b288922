"""What a session costs that goes on, and what takes many rows: ``python -m benchmarks.workers.session FIGURE``.

The job of the environment says on which database. A line of JSON has the figures; see :mod:`benchmarks.sessions`.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, cast

from benchmarks.jobs import VARIABLE, Job
from benchmarks.workers.django_storage import make_store
from benchmarks.workers.usage import Usage, cpu_seconds

if TYPE_CHECKING:
    from pg_lo_storage.drivers import LargeObjectDriver

OTHERS, OPEN, ROWS = 100_000, 4_000, 10_000
OPENED = 200  # in one measurement
STEP = 1_000  # the lock table has room for so many
TURNS = 15
MAKE = "select lo_from_bytea(0, 'content')::int8 from generate_series(1, %s)"
MAKE_ROWS = (
    "with made as (insert into pg_lo_storage_file (loid, extension, original_name, content_type)"
    " select lo_from_bytea(0, 'content'), '', '', '' from generate_series(1, %s) returning loid)"
    " insert into papers_letter (data) select loid::text from made"
)

Figures = dict[str, list[float]]


class Session:
    """A connection of its own, and its driver; each transaction begins by itself."""

    def __init__(self, job: Job) -> None:
        # What these import stands in this library's environments only.
        from django.db import connection

        from pg_lo_storage.drivers import get_driver

        self.connection: Any = cast("Any", connection).Database.connect(job.dsn)  # the driver's module
        self.driver: LargeObjectDriver = get_driver(self.connection)
        self.backend: int = self.connection.info.backend_pid

    def close(self) -> None:
        """End the transaction and the session."""
        self.connection.close()

    def open(self, oids: list[int]) -> float:
        """Open objects; return the seconds of processor time that the backend takes for each."""
        from pg_lo_storage.drivers import AccessMode

        begin = cpu_seconds(self.backend)
        for oid in oids:
            self.driver.open(oid, AccessMode.READ)
        return (cpu_seconds(self.backend) - begin) / len(oids)


def make(job: Job, count: int) -> list[int]:
    """Make objects, and return their oids."""
    with closing(Session(job)) as session, session.connection.cursor() as cursor:
        cursor.execute(MAKE, [count])
        oids = [oid for (oid,) in cursor.fetchall()]
        session.connection.commit()
    return oids


def unlink(job: Job, oids: list[int]) -> None:
    """Unlink objects."""
    with closing(Session(job)) as session, session.connection.cursor() as cursor:
        for start in range(0, len(oids), STEP):
            cursor.execute("select count(lo_unlink(oid)) from unnest(%s::oid[]) as oid", [oids[start : start + STEP]])
            session.connection.commit()


def migrate(_job: Job) -> Figures:
    """Make the tables."""
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    return {}


def others(job: Job) -> Figures:
    """Compare a session that has opened many other objects, one after another, with one that has not."""
    oids = make(job, OTHERS + OPENED)
    few, oids = oids[:OPENED], oids[OPENED:]
    with closing(Session(job)) as long, closing(Session(job)) as new:
        for start in range(0, OTHERS, OPENED):
            long.open(oids[start : start + OPENED])
            long.connection.rollback()
        found = compare(long, new, few)
    unlink(job, oids + few)
    return {"ratio": found}


def opened(job: Job) -> Figures:
    """Compare a transaction that has many objects open with one that has none."""
    oids = make(job, OPEN + OPENED)
    few, oids = oids[:OPENED], oids[OPENED:]
    found: list[float] = []
    with closing(Session(job)) as many, closing(Session(job)) as none:
        for session in (many, none):
            session.open(oids)  # for either backend the largest that it gets
            session.connection.rollback()
        for _ in range(TURNS):
            many.open(oids)
            found += compare(many, none, few, turns=1)
    unlink(job, oids + few)
    return {"ratio": found}


def compare(one: Session, other: Session, oids: list[int], turns: int = TURNS) -> list[float]:
    """Return how many times as much an open costs in a session as in another, turn by turn."""
    ratios: list[float] = []
    for turn in range(turns + 1):
        costs = one.open(oids), other.open(oids)
        for session in (one, other):
            session.connection.rollback()
        if turn or turns == 1:  # the first is not counted: a backend learns
            ratios.append(costs[0] / costs[1])
    return ratios


def refused(_job: Job, *, triggers: bool = False) -> Figures:
    """Tell in how many seconds the deletion of many rows is refused, and how many times as long deleting them takes."""
    from django.db import DatabaseError, connection, transaction

    from benchmarks.workers.site.letters import Letter
    from pg_lo_storage.exceptions import LargeObjectError
    from pg_lo_storage.lifecycle import delete_in_batches
    from pg_lo_storage.triggers import install, remove

    with connection.cursor() as cursor:
        for _ in range(ROWS // STEP):
            cursor.execute(MAKE_ROWS, [STEP])
    with ExitStack() as stack:
        if triggers:
            install(connection.connection, "papers_letter", "data")
            stack.callback(remove, connection.connection, "papers_letter", "data")
        begin = time.perf_counter()
        try:
            with transaction.atomic():
                if triggers:
                    with connection.cursor() as cursor:
                        cursor.execute("delete from papers_letter")
                else:
                    Letter.objects.all().delete()
        except (LargeObjectError, DatabaseError) as error:
            seconds = time.perf_counter() - begin
            if "delete_in_batches" not in str(error):
                raise
        else:
            raise RuntimeError("it was not refused")
        begin = time.perf_counter()
        delete_in_batches(Letter.objects.all())
        return {"seconds": [seconds], "times": [(time.perf_counter() - begin) / seconds]}


def refused_by_triggers(job: Job) -> Figures:
    """Tell the same of one statement in SQL, with triggers."""
    return refused(job, triggers=True)


def names(_job: Job) -> Figures:
    """Tell the megabytes by which the process grows while all names pass."""
    from pg_lo_storage.storage import db_file_storage

    next(iter(db_file_storage.names()))
    usage = Usage()
    count = sum(1 for _ in db_file_storage.names())
    return {"megabytes": [usage.memory() / 1e6], "count": [count]}


def listed(_job: Job) -> Figures:
    """Tell the same of one list."""
    from pg_lo_storage.storage import db_file_storage

    next(iter(db_file_storage.names()))
    usage = Usage()
    count = len(db_file_storage.listdir("")[1])
    return {"megabytes": [usage.memory() / 1e6], "count": [count]}


FIGURES: dict[str, Callable[[Job], Figures]] = {
    each.__name__: each for each in (migrate, others, opened, refused, refused_by_triggers, names, listed)
}


def main() -> None:
    """Print a figure."""
    job = Job.from_json(os.environ[VARIABLE])
    store = make_store(job)
    store.connect(job)
    print(json.dumps(FIGURES[sys.argv[1]](job)), flush=True)
    store.disconnect()


if __name__ == "__main__":
    main()
