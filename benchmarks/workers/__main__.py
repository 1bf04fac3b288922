"""Do the jobs that come on standard input, and answer each with what it cost; both are lines of JSON.

The job of the environment says for which store, on which database. Each is done in a process that was just forked
from this one, which has loaded what a store needs and has no connection: fresh, and at once.
"""

import gc
import os
import sys
import time
from typing import cast

from benchmarks.jobs import CHANGES, VARIABLE, Job, Sample
from benchmarks.workers.operations import run
from benchmarks.workers.stores import RowStore, Store, get_store
from benchmarks.workers.usage import Usage, cpu_seconds


def main() -> None:
    """Fork for each job."""
    store = get_store(Job.from_json(os.environ[VARIABLE]))
    gc.collect()
    gc.freeze()
    while line := sys.stdin.readline():
        if (pid := os.fork()) == 0:
            answer(store, Job.from_json(line))
            break
        _, status = os.waitpid(pid, 0)
        if status:
            print(Sample(0, 0, error="see standard error").to_json(), flush=True)


def answer(store: Store, job: Job) -> None:
    """Do the job on something small first, then measure it on a fresh connection."""
    try:
        store.connect(job)
        if job.operation == "migrate":
            migrate()
            sample = Sample(0, 0)
        else:
            rehearse(store, job)
            store.disconnect()
            store.connect(job)
            sample = measure(store, job)
        store.disconnect()
    except Exception as error:  # noqa: BLE001 -- whatever a contender raises is its result
        reason = str(error).strip().splitlines()
        sample = Sample(0, 0, error=f"{type(error).__name__}: {reason[0] if reason else ''}")
    print(sample.to_json(), flush=True)


def migrate() -> None:
    """Make the tables of the Django project."""
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)


def rehearse(store: Store, job: Job) -> None:
    """Have loaded and cached in Python what the first operation of a process loads and caches."""
    if job.operation == "rows":
        store.save_rows(1, job.size)
    elif job.operation in CHANGES:
        cast("RowStore", store).make_rows(1, job.size)
        run(store, job, "", "")
    elif job.small_name or job.operation == "save":
        outcome = run(store, job, job.small_name, job.small_path)
        if outcome.name:
            store.delete(outcome.name)


def measure(store: Store, job: Job) -> Sample:
    """Do the operation as often as the job says."""
    backend = store.backend()
    if job.operation in CHANGES:
        cast("RowStore", store).make_rows(job.repeats, job.size)
    if job.wait:
        print("ready", flush=True)
        sys.stdin.readline()
    gc.collect()
    usage, server, begin = Usage(), cpu_seconds(backend), time.perf_counter()
    outcomes = [run(store, job, job.name, job.path) for _ in range(job.repeats)]
    seconds = time.perf_counter() - begin
    client, server, memory = usage.cpu(), cpu_seconds(backend) - server, usage.memory()
    if job.wait:
        print("done", flush=True)  # what follows is not to be counted
        sys.stdin.readline()
    if job.operation == "save" and not job.keep:
        for outcome in outcomes:
            store.delete(outcome.name)
    if job.operation in CHANGES:
        cast("RowStore", store).make_rows(0, 0)
    firsts = [outcome.first_byte for outcome in outcomes if outcome.first_byte is not None]
    return Sample(
        seconds=seconds / job.repeats,
        bytes=outcomes[-1].bytes,
        first_byte=sum(firsts) / len(firsts) if firsts else None,
        client_cpu=client / job.repeats,
        server_cpu=server / job.repeats if backend else None,
        memory=memory,
        name=outcomes[-1].name,
        digest=outcomes[-1].digest,
    )


if __name__ == "__main__":
    main()
