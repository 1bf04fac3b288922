"""What a download costs: time to the first byte, memory of the worker, and what slow clients leave behind.

    uv run python -m benchmarks.serving [MEGABYTES]

Each figure is a ratio to something of the same run, or a number of bytes or sessions, so that runs on different
machines can be compared. Best on a machine that does nothing else.
"""

import http.client
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import django
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection

from example.cluster import Server, open_server

if TYPE_CHECKING:
    from tests.serving.servers import WebServer

MEGABYTE = 1_000_000
ROUNDS = 20
SLOW_CLIENTS = 50
SLOW_BYTES = 10_000  # a second


def main(megabytes: int) -> None:
    """Print the figures of each server, gunicorn's with a connection for each request, and with one that stays."""
    with open_server() as server:
        set_up(server)
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("migrate", run_syncdb=True, verbosity=0)
        # These need Django to be set up.
        from pg_lo_storage.storage import db_file_storage
        from tests.serving.downloads import save
        from tests.serving.servers import SERVERS, serving

        small = db_file_storage.save("small.bin", ContentFile(b"x" * 10_000))
        large, _ = save(megabytes)
        connection.close()
        for name, max_age in [*((name, 0) for name in SERVERS), ("gunicorn-sync", 60), ("gunicorn-gthread", 60)]:
            set_up(server, max_age)
            with serving(name) as web:
                label = f"{name}, CONN_MAX_AGE={max_age}"
                first_bytes(label, web, small, large)
                memory(label, web, large, megabytes)
                if name != "gunicorn-sync" and not max_age:
                    slow_clients(label, web, server, large)


def set_up(server: Server, max_age: int = 0) -> None:
    """Say in the environment, for tests/settings.py, where the databases are."""
    database = server.django_database() | {"CONN_MAX_AGE": max_age}
    databases = dict.fromkeys(("default", "other", "replica", "wired"), database)
    os.environ["PG_LO_TEST_DATABASES"] = json.dumps(databases)


def first_bytes(name: str, web: "WebServer", small: str, large: str) -> None:
    """Print how long the first byte takes, in times of an empty view, and of one that asks the database once."""
    paths = {"empty": "/empty/", "one query": "/query/", "small": f"/files/{small}", "large": f"/files/{large}"}
    seconds = {label: statistics.median(first_byte(web, path) for _ in range(ROUNDS)) for label, path in paths.items()}
    for label in ("small", "large"):
        to_empty, to_query = seconds[label] / seconds["empty"], seconds[label] / seconds["one query"]
        print(f"{name}: first byte of a {label} file: {to_empty:.1f} x an empty view, {to_query:.1f} x one query")


def first_byte(web: "WebServer", path: str) -> float:
    """Return the seconds until the first byte of the answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)) as client:
        begin = time.perf_counter()
        client.request("GET", path)
        client.getresponse().read(1)
        return time.perf_counter() - begin


def memory(name: str, web: "WebServer", large: str, megabytes: int) -> None:
    """Print by how much the worker's memory grows while it serves the file."""
    web.forget_peak()
    idle = web.peak_memory()
    begin = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", web.port, timeout=600)) as client:
        client.request("GET", f"/files/{large}")
        response = client.getresponse()
        received = sum(len(block) for block in iter(lambda: response.read(MEGABYTE), b""))
    seconds = time.perf_counter() - begin
    assert received == megabytes * MEGABYTE  # noqa: S101 -- else the figures mean nothing
    growth = (web.peak_memory() - idle) / 2**20
    print(f"{name}: {megabytes} MB: {growth:+.1f} MB of memory over idle, {megabytes / seconds:.0f} MB/s")


def slow_clients(name: str, web: "WebServer", server: Server, large: str) -> None:
    """Print what slow clients do to another request, and how many sessions they keep."""
    sessions = sessions_of(server)
    alone = statistics.median(first_byte(web, "/empty/") for _ in range(ROUNDS))
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(begin_download(web, large))) for _ in range(SLOW_CLIENTS)]
        among: list[float] = []
        kept: list[str] = []
        for _ in range(5):
            begin = time.monotonic()
            for client in clients:
                client.recv(SLOW_BYTES)
            among += [first_byte(web, "/empty/") for _ in range(3)]
            kept = sessions()
            time.sleep(max(0.0, 1 - (time.monotonic() - begin)))
    in_transaction = sum("transaction" in state for state in kept)
    print(f"{name}: among {SLOW_CLIENTS} slow clients: {statistics.median(among) / alone:.1f} x as long;", end=" ")
    print(f"{len(kept)} sessions, {in_transaction} of them idle in transaction;", end=" ")
    deadline = time.monotonic() + 30
    while (left := sessions()) and time.monotonic() < deadline:
        time.sleep(0.1)
    print(f"{len(left)} once they left")


def sessions_of(server: Server) -> Callable[[], list[str]]:
    """Return what tells the states of the database's sessions."""
    from tests.serving.downloads import watch_sessions

    return watch_sessions(server)


def begin_download(web: "WebServer", name: str) -> socket.socket:
    """Return a connection that holds little of what it asked for."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    client.settimeout(60)
    client.connect(("127.0.0.1", web.port))
    client.sendall(f"GET /files/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
