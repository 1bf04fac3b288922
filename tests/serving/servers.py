"""Real web servers for the tests' project and the examples, and what their workers cost."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 90  # on a busy machine; it takes one on another
GUNICORN: Final = [
    *("gunicorn", "--no-control-socket", "--log-level=error"),
    *("--graceful-timeout=1", f"--timeout={START_SECONDS}"),
]
THREADS: Final = [*GUNICORN, "--workers=1", "--threads=64"]
UVICORN: Final = ["uvicorn", "--log-level=error"]
SERVERS: Final = {
    "gunicorn-sync": [*GUNICORN, "--workers=1", "tests.serving.site:wsgi"],
    "gunicorn-gthread": [*THREADS, "tests.serving.site:wsgi"],
    "uvicorn": [*UVICORN, "--lifespan=off", "tests.serving.site:asgi"],
}
# Of example/web; they answer that there is no such page.
EXAMPLES: Final = {
    "FastAPI": [*UVICORN, "example.web.fastapi_files:app"],
    "Flask": [*THREADS, "example.web.flask_files:app"],
    "ASGI": [*UVICORN, "--lifespan=off", "example.web.asgi_files:app"],
    "WSGI": [*THREADS, "example.web.wsgi_files:app"],
}
OTHERS: Final = {"moving": [*THREADS, "tests.moving.site:wsgi"]}
"""Those of single tests; there is no such page either."""
# Of tests/uploads; they answer that there is no such page.
UPLOADS: Final = {
    "uploads-gunicorn": [*GUNICORN, "--workers=1", "tests.uploads.served:wsgi"],
    "uploads-uvicorn": [*UVICORN, "--lifespan=off", "tests.uploads.served:asgi"],
}
_ALL: Final = SERVERS | EXAMPLES | OTHERS | UPLOADS


class WebServer:
    """A server that listens on ``127.0.0.1``."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.is_asynchronous = "uvicorn" in _ALL[name]
        self.process = process
        self.port = port
        self._log = log

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def worker(self) -> int:
        """Return the process that answers: gunicorn's first has a child for it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else self.process.pid

    def peak_memory(self) -> int:
        """Return the most bytes that the worker has had in memory, since :meth:`forget_peak`."""
        status = Path(f"/proc/{self.worker()}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def forget_peak(self) -> None:
        """Have the peak begin at what the worker has in memory now."""
        Path(f"/proc/{self.worker()}/clear_refs").write_text("5")


@contextmanager
def serving(name: str, **environment: str) -> Generator[WebServer]:
    """Run one of SERVERS, EXAMPLES, OTHERS or UPLOADS; what it writes to its log is for :attr:`WebServer.log`."""
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile() as log:
        port: int = listener.getsockname()[1]
        program, *arguments = _ALL[name]
        address = ["--bind", f"fd://{listener.fileno()}"] if program == "gunicorn" else ["--fd", str(listener.fileno())]
        process = subprocess.Popen(
            [sys.executable, "-m", program, *address, *arguments],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            env=os.environ | environment,
        )
        server = WebServer(name, process, port, Path(log.name))
        try:
            _wait_until_it_answers(server, b" 200 " if name in SERVERS else b" 404 ")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(server: WebServer, status: bytes) -> None:
    deadline = time.monotonic() + START_SECONDS
    with closing(socket.create_connection(("127.0.0.1", server.port))) as client:
        # The listener is open already: the answer comes when the server does.
        client.settimeout(START_SECONDS)
        client.sendall(b"GET /empty/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = client.recv(100)
    assert status in answer, f"{answer!r} after {time.monotonic() - deadline + START_SECONDS:.1f} s: {server.log}"
