"""Downloads from gunicorn, as it comes, by a client that only counts what it gets."""

import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.building import ROOT
from benchmarks.jobs import Job, Sample
from benchmarks.processes import Failed, RoundTrips, environment
from benchmarks.workers.usage import Usage

GUNICORN = ["-m", "gunicorn", "--workers=1", "--timeout=900", "--log-level=error", "--no-control-socket"]
BUFFER = bytearray(1 << 20)
REQUESTS = 10
TIMEOUT = 900  # seconds
PATIENCE = 5
PAUSE = 0.05


def serve(python: Path, job: Job) -> Sample:
    """Download the job's file; the first byte is told over that of an empty view, each in a connection of its own."""
    with website(python, job) as (port, worker):
        get(port, f"/files/{job.small_name}")
        usage, begin = Usage(worker), time.perf_counter()
        _, received = get(port, f"/files/{job.name}")
        seconds, client_cpu, memory = time.perf_counter() - begin, usage.cpu(), usage.memory()
        first = first_byte(port, f"/files/{job.name}") - first_byte(port, "/empty/")
        return Sample(seconds, received, first_byte=first, client_cpu=client_cpu, memory=memory)


def first_byte(port: int, path: str) -> float:
    """Return the seconds to the first byte of the answer, by the median of some requests."""
    seconds: list[float] = []
    while len(seconds) < REQUESTS and sum(seconds) < PATIENCE:
        seconds.append(get(port, path, whole=False)[0])
        time.sleep(PAUSE)  # while the server finds out that the client has left
    return median(seconds)


def count(python: Path, job: Job, round_trips: RoundTrips) -> Sample:
    """Download the job's file, untimed, and count the round trips, with those that open the connection."""
    with website(python, job) as (port, _):
        get(port, f"/files/{job.small_name}")
        before = round_trips()
        _, received = get(port, f"/files/{job.name}")
        return Sample(0, received, round_trips=round_trips() - before)


@contextmanager
def website(python: Path, job: Job) -> Generator[tuple[int, int]]:
    """Run gunicorn with one worker; give its port and the worker's process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        process = subprocess.Popen(
            [str(python), *GUNICORN, f"--bind=fd://{listener.fileno()}", "benchmarks.workers.site.wsgi"],
            cwd=ROOT,
            env=environment(job),
            pass_fds=[listener.fileno()],
        )
        try:
            # The listener is open already: the answer comes when the server does.
            get(port, "/empty/")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield port, int(children[0])
        finally:
            process.send_signal(signal.SIGQUIT)  # without waiting for requests
            process.wait()


def get(port: int, path: str, *, whole: bool = True) -> tuple[float, int]:
    """Return the seconds until the first byte of the answer's body, and how many bytes it has.

    Where the ``whole`` is not wanted the client leaves after the first.
    """
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
        begin = time.perf_counter()
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer, head, body = b"", b"", b""
        while not body:
            if not (block := client.recv(65_536)):
                raise Failed(f"GET {path}: {answer[:100]!r}")
            answer += block
            head, _, body = answer.partition(b"\r\n\r\n")
        seconds, received = time.perf_counter() - begin, len(body)
        if not head.startswith(b"HTTP/1.1 200"):
            raise Failed(f"GET {path}: {head[:100]!r}")
        # Counted, not copied: the client is not what is measured.
        while whole and (count := client.recv_into(BUFFER, len(BUFFER), socket.MSG_TRUNC)):
            received += count
    return seconds, received
