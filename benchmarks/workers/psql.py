r"""psql's ``\lo_export`` and ``\lo_import``: ``python -m benchmarks.workers.psql``, with the job in the environment.

psql copies between an object and a file on disk; its process, not this one, is what is measured.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.jobs import VARIABLE, Job, Sample
from benchmarks.workers.usage import Usage, cpu_seconds


class Psql:
    """A session of psql."""

    def __init__(self, dsn: str) -> None:
        argv = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", dsn]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.backend = int(self.run("select pg_backend_pid();")[0])

    def run(self, command: str) -> list[str]:
        """Return the lines that a command prints."""
        assert self._process.stdin  # noqa: S101 -- pipes were asked for
        assert self._process.stdout  # noqa: S101
        self._process.stdin.write(f"{command}\n\\echo done\n")
        self._process.stdin.flush()
        lines: list[str] = []
        while (line := self._process.stdout.readline()) != "done\n":
            if not line:
                raise RuntimeError(f"psql ended at {command!r}")
            lines.append(line)
        return lines

    def close(self) -> None:
        """End it."""
        self._process.communicate("\\q\n")


def main() -> None:
    """Export or import a file as often as the job says, and print what it cost."""
    job = Job.from_json(os.environ[VARIABLE])
    target = Path(job.folder, "export.bin")
    saving = job.operation == "save"
    command = f"\\lo_export {job.name.partition('.')[0]} '{target}'"
    if saving:
        command = f"\\lo_import '{job.path}'\n\\echo :LASTOID"
    psql = Psql(job.dsn)
    if job.wait:
        print("ready", flush=True)
        sys.stdin.readline()
    usage, server, begin = Usage(psql.pid), cpu_seconds(psql.backend), time.perf_counter()
    outputs = [psql.run(command) for _ in range(job.repeats)]
    seconds = time.perf_counter() - begin
    client, server, memory = usage.cpu(), cpu_seconds(psql.backend) - server, usage.memory()
    if job.wait:
        print("done", flush=True)
        sys.stdin.readline()
    sample = Sample(
        seconds=seconds / job.repeats,
        bytes=Path(job.path if saving else target).stat().st_size,
        client_cpu=client / job.repeats,
        server_cpu=server / job.repeats,
        memory=memory,
    )
    print(sample.to_json(), flush=True)
    if saving:
        for oid in outputs:
            psql.run(f"\\lo_unlink {oid[0]}")
    psql.close()


if __name__ == "__main__":
    main()
