"""Real web servers for the tests' project, and what their workers cost."""

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
START_SECONDS: Final = 30
GUNICORN: Final = ["gunicorn", "--no-control-socket", "--log-level=error", "--graceful-timeout=1"]
SERVERS: Final = {
    "gunicorn-sync": [*GUNICORN, "--workers=1", "tests.serving.site:wsgi"],
    "gunicorn-gthread": [*GUNICORN, "--workers=1", "--threads=64", "tests.serving.site:wsgi"],
    "uvicorn": ["uvicorn", "--log-level=error", "--lifespan=off", "tests.serving.site:asgi"],
}


class WebServer:
    """A server that listens on ``127.0.0.1``."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.is_asynchronous = name == "uvicorn"
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
def serving(name: str) -> Generator[WebServer]:
    """Run one of SERVERS; what it writes to its log is for :attr:`WebServer.log`."""
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile() as log:
        port: int = listener.getsockname()[1]
        program, *arguments = SERVERS[name]
        address = ["--bind", f"fd://{listener.fileno()}"] if program == "gunicorn" else ["--fd", str(listener.fileno())]
        process = subprocess.Popen(
            [sys.executable, "-m", program, *address, *arguments],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
        )
        server = WebServer(name, process, port, Path(log.name))
        try:
            _wait_until_it_answers(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(server: WebServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    with closing(socket.create_connection(("127.0.0.1", server.port))) as client:
        # The listener is open already: the answer comes when the server does.
        client.settimeout(START_SECONDS)
        client.sendall(b"GET /empty/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = client.recv(100)
    assert b" 200 " in answer, f"{answer!r} after {time.monotonic() - deadline + START_SECONDS:.1f} s: {server.log}"
