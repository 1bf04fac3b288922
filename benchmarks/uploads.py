"""What an upload costs, by Django's own handlers and by the one into the database: time, memory and temporary files.

    uv run python -m benchmarks.uploads [MEGABYTES]

A form with one file is posted to a real server, which saves it by a row's form. The disk is what temporary files take
at most; the database takes the file in any case. Best on a machine that does nothing else.
"""

import contextlib
import http.client
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import django
from django.core.management import call_command
from django.db import connection

from benchmarks.serving import MEGABYTE, set_up
from example.cluster import open_server

HANDLERS = {
    "MemoryFileUploadHandler": "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "TemporaryFileUploadHandler": "django.core.files.uploadhandler.TemporaryFileUploadHandler",
    "DbFileUploadHandler": "pg_lo_storage.uploadhandler.DbFileUploadHandler",
}
BOUNDARY = "----a"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="data"; filename="a.bin"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n"
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


def main(megabytes: int) -> None:
    """Print the figures of each server and handler."""
    with open_server() as server, tempfile.TemporaryDirectory() as folder:
        set_up(server)
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("migrate", run_syncdb=True, verbosity=0)
        connection.close()
        from tests.serving.servers import UPLOADS, serving

        for name in UPLOADS:
            for label, handler in HANDLERS.items():
                memory = str(2 * megabytes * MEGABYTE) if label.startswith("Memory") else "2621440"
                environment = {"PG_LO_TEST_HANDLER": handler, "PG_LO_TEST_MEMORY": memory, "TMPDIR": folder}
                environment["GUNICORN_CMD_ARGS"] = "--timeout 900"
                with serving(name, **environment) as web:
                    post(web.port, 1)
                    web.forget_peak()
                    idle, disk = web.peak_memory(), Disk(web.worker(), folder)
                    with disk:
                        sending, seconds = post(web.port, megabytes)
                    growth = (web.peak_memory() - idle) / MEGABYTE
                    print(f"{name}, {label}: {megabytes} MB in {seconds:.1f} s,", end=" ")
                    print(f"{seconds - sending:.1f} s of them after the last byte was sent;", end=" ")
                    print(f"{growth:+.0f} MB of memory, {disk.peak / MEGABYTE:.0f} MB of temporary files", flush=True)


def post(port: int, megabytes: int) -> tuple[float, float]:
    """Post a form; return the seconds until all is sent, and until the answer."""
    block = os.urandom(MEGABYTE)
    length = len(HEAD) + megabytes * MEGABYTE + len(TAIL)
    begin = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=900)) as client:
        client.putrequest("POST", "/form/")
        client.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        client.putheader("Content-Length", str(length))
        client.endheaders()
        client.send(HEAD)
        for _ in range(megabytes):
            client.send(block)
        client.send(TAIL)
        sent = time.perf_counter()
        response = client.getresponse()
        answer = response.read()
    assert response.status == 200, answer  # noqa: S101 -- else the figures mean nothing
    return sent - begin, time.perf_counter() - begin


class Disk:
    """Watches how large a process's files in a folder are together."""

    def __init__(self, pid: int, folder: str) -> None:
        self._pid = pid
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.peak = max(self.peak, sum(self._sizes()))

    def _sizes(self) -> Iterator[int]:
        for file in Path(f"/proc/{self._pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found = file.stat()
                if stat.S_ISREG(found.st_mode) and str(file.readlink()).startswith(self._folder):
                    yield found.st_size


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
