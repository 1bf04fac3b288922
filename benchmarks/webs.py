"""Downloads from web servers, as they come, by clients that only count what they get."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.building import ROOT, CannotBuild
from benchmarks.jobs import Job, Sample
from benchmarks.processes import Failed, RoundTrips, environment
from benchmarks.workers.usage import Usage, cpu_seconds, tree_cpu

GUNICORN = ["-m", "gunicorn", "--workers=1", "--timeout=900", "--log-level=error", "--no-control-socket"]
UVICORN = ["-m", "uvicorn", "--log-level=error", "--no-access-log", "--lifespan=off"]
SITE = "benchmarks.workers.site"
NGINX = """
daemon off;
error_log stderr crit;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    sendfile on;
    {temporary}
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {root}; }}
    }}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
CLIENTS = 4
WARMING = 40
BUFFER = bytearray(1 << 20)
REQUESTS = 10
TIMEOUT = 900  # seconds
PATIENCE = 5
PAUSE = 0.05
START = 30


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


class Load(NamedTuple):
    """Asks again and again for one file of so many bytes."""

    program: Path
    size: int
    requests: int
    postmaster: int
    """PostgreSQL's first process."""


Site = tuple[int, int]
"""A web server's port, and the process of its worker."""


def row_of(site: Site, name: str) -> str:
    """Make a row for a stored file, and return its key."""
    return ask(site[0], f"/new/{name}").decode()


def downloads(site: Site, path: str, load: Load) -> Sample:
    """Ask for a file by several clients; what it cost is told by the request."""
    port, worker = site
    _run_load(port, path, load._replace(requests=WARMING))
    cpu, server = cpu_seconds(worker), tree_cpu(load.postmaster)
    sample = _run_load(port, path, load)
    cpu, server = cpu_seconds(worker) - cpu, tree_cpu(load.postmaster) - server
    each = 1 / load.requests
    return replace(sample, seconds=sample.seconds * each, client_cpu=cpu * each, server_cpu=server * each)


def _run_load(port: int, path: str, load: Load) -> Sample:
    numbers = (port, path, load.size, CLIENTS, load.requests)
    argv = [str(load.program), *map(str, numbers)]
    sample = Sample.from_json(subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout)
    if sample.error:
        raise Failed(f"GET {path}: {sample.error}")
    return sample


@contextmanager
def nginx(job: Job) -> Generator[Site]:
    """Run nginx for the folder of the job's file; give its port and the worker's process."""
    if (program := shutil.which("nginx", path=f"{os.defpath}:/usr/sbin")) is None:
        raise CannotBuild("nginx is not installed: apt-get install nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
        root = Path(folder, "files")
        root.mkdir()
        shutil.copy(job.path, root)
        for part in (Path(folder), root):
            part.chmod(0o755)  # as root it serves files as another user
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, temporary=temporary, port=port, root=root))
        process = subprocess.Popen([program, "-e", "stderr", "-c", str(config)])
        try:
            _wait_for(port)
            yield port, _worker_of(process.pid)
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise Failed("nginx does not start") from None
            time.sleep(PAUSE)
        else:
            return


def _worker_of(pid: int) -> int:
    """Return the process that answers: the first one, or its child."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


def _command(server: str, descriptor: int) -> list[str]:
    if server.startswith("uvicorn"):
        return [*UVICORN, f"--fd={descriptor}", f"{SITE}.asgi:application"]
    return [*GUNICORN, f"--threads={CLIENTS if server else 1}", f"--bind=fd://{descriptor}", f"{SITE}.wsgi"]


@contextmanager
def website(python: Path, job: Job) -> Generator[Site]:
    """Run the job's web server, or gunicorn, with one worker; give its port and the worker's process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        process = subprocess.Popen(
            [str(python), *_command(job.server, listener.fileno())],
            cwd=ROOT,
            env=environment(job),
            pass_fds=[listener.fileno()],
        )
        try:
            # The listener is open already: the answer comes when the server does.
            get(port, "/empty/")
            yield port, _worker_of(process.pid)
        finally:
            # Without waiting for requests.
            process.send_signal(signal.SIGKILL if job.server.startswith("uvicorn") else signal.SIGQUIT)
            process.wait()


def ask(port: int, path: str) -> bytes:
    """Return the body of a short answer."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as client:
        client.request("GET", path)
        response = client.getresponse()
        body = response.read()
        if response.status != 200:
            raise Failed(f"GET {path}: status {response.status}")
        return body


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
