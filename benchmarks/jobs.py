"""What the harness asks of a worker process, and what the worker answers; both as JSON.

This module is loaded in the environments of all contenders: it needs the standard library only.
"""

import json
from dataclasses import asdict, dataclass
from typing import Literal

Operation = Literal["chunks", "read", "export", "save", "rows", "replace", "delete", "serve", "downloads", "migrate"]

CHANGES: tuple[Operation, ...] = ("replace", "delete")
"""The operations on rows whose files follow them."""

VARIABLE = "BENCHMARK_JOB"
"""The environment variable that carries the job."""


@dataclass(frozen=True)
class Job:
    """One operation of one store, done ``repeats`` times in a fresh process on a fresh connection."""

    store: str
    parameters: dict[str, str]
    """libpq's connection parameters."""
    operation: Operation = "chunks"
    repeats: int = 1
    name: str = ""
    """The stored file to read."""
    small_name: str = ""
    """A small stored file, for what is loaded when it is first used."""
    path: str = ""
    """The file to save."""
    small_path: str = ""
    """A small one, for the same purpose."""
    rows: int = 0
    """How many ``rows`` saves."""
    size: int = 0
    """The bytes of the file of each."""
    folder: str = ""
    """Where exports and files on disk go."""
    listed: bool = False
    """Whether ``PG_LO_STORAGE_REFERENCES`` lists a column."""
    keep: bool = False
    """Whether what is saved stays, and its name is told; of C, whether it keeps what it reads."""
    wait: bool = False
    """Whether the worker says ``ready`` and waits for a line before it begins."""
    server: str = ""
    """The web server that ``downloads`` runs, if not gunicorn with one synchronous worker."""
    prepares: bool = False
    """Whether psycopg prepares statements."""
    check: bool = False
    """Whether what is read is digested, which takes time."""

    @property
    def dsn(self) -> str:
        """The connection parameters as a string; none has a quote in it."""
        return " ".join(f"{name}='{value}'" for name, value in self.parameters.items())

    def to_json(self) -> str:
        """Return it as :meth:`from_json` takes it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Return the job that :meth:`to_json` wrote."""
        return cls(**json.loads(text))


@dataclass
class Sample:
    """What one operation cost: the mean over the job's repetitions, but the growth of memory over all of them."""

    seconds: float
    bytes: int
    first_byte: float | None = None
    """Seconds until the first byte was there."""
    client_cpu: float | None = None
    """Seconds of processor time of the client."""
    server_cpu: float | None = None
    """Seconds of processor time of the backend."""
    p50: float | None = None
    """Seconds that one request in two takes at most."""
    p99: float | None = None
    """Seconds that 99 requests in 100 take at most."""
    memory: int | None = None
    """Bytes by which the process grew over what it had before, at its highest."""
    name: str = ""
    digest: str = ""
    round_trips: int | None = None
    error: str = ""
    """Why there is nothing else."""

    def to_json(self) -> str:
        """Return it as :meth:`from_json` takes it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Sample":
        """Return the sample that :meth:`to_json`, or the C program, wrote."""
        return cls(**json.loads(text))
