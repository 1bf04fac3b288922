"""What the subcommands of ``manage.py largeobjects`` print."""

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from django.core.management.base import OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder

from pg_lo_storage.maintenance.charts import plain
from pg_lo_storage.maintenance.findings import escaped

__all__ = ["Console", "Progress"]

_SECONDS: Final = 2.0
"""How often a line tells how far the work is, where there is no bar."""


class Progress(Protocol):
    """Tells how far a piece of work is."""

    def advance(self, count: int) -> None:
        """Say that ``count`` more are done."""


class Console:
    """A command's two streams: results on stdout, all else on stderr.

    No terminal obeys what stands in a text, and none begins a line of its own.


    :param as_json: print each result as a line of JSON, and no text on stdout.
    """

    def __init__(
        self, stdout: OutputWrapper, stderr: OutputWrapper, *, verbosity: int = 1, as_json: bool = False
    ) -> None:
        self.as_json = as_json
        self.verbosity = verbosity
        self._stdout = stdout
        self._stderr = stderr

    def say(self, text: str) -> None:
        """Print a line for people, but with ``-v 0`` and ``--json``."""
        if self.verbosity and not self.as_json:
            self.show(text)

    def show(self, text: str) -> None:
        """Print a line that was asked for, with ``-v 0`` as well, but with ``--json``."""
        if not self.as_json:
            self._stdout.write(_fitted(_escaped(text), self._stdout))

    def record(self, values: Mapping[str, object]) -> None:
        """Print one result as a line of JSON, with ``--json`` only."""
        if self.as_json:
            self._stdout.write(json.dumps(values, cls=DjangoJSONEncoder))

    def warn(self, text: str) -> None:
        """Print a line on stderr, always."""
        self._stderr.write(_fitted(_escaped(text), self._stderr))

    @property
    def shows_progress(self) -> bool:
        """Whether somebody looks on: stderr is a terminal, and ``-v 0`` was not given."""
        return bool(self.verbosity) and self._stderr.isatty()

    @contextmanager
    def progress(self, label: str, total: int | None, unit: str = "files") -> Generator[Progress]:
        """Show how far the work in this block is, with its rate and the time left; nothing where nobody looks on.

        :param total: how many there are, where that is known; there may come to be more.
        """
        if not self.shows_progress:
            yield _Silence()
            return
        try:
            from tqdm import tqdm
        except ImportError:
            lines = _Lines(self._stderr, label, total, unit)
            yield lines
            lines.end()
            return
        stream = _WithoutLines(self._stderr)
        with tqdm(desc=label, total=total, unit=f" {unit}", file=stream, leave=False, dynamic_ncols=True) as bar:
            yield _Bar(bar.update)


def _escaped(text: str) -> str:
    """Return a text as one line whose control characters are shown, but for its tabs."""
    return "\t".join(map(escaped, text.split("\t")))


def _fitted(text: str, stream: OutputWrapper) -> str:
    """Return the text with other letters for those that the stream cannot encode."""
    encoding: str | None = getattr(stream, "encoding", None)
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return plain(text).encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
    return text


class _Silence:
    def advance(self, count: int) -> None:
        pass


class _Bar:
    def __init__(self, update: Callable[[float], object]) -> None:
        self._update = update

    def advance(self, count: int) -> None:
        self._update(count)


class _WithoutLines:
    """A stream as tqdm wants it, which ends no line by itself."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(text, str, "")

    def flush(self) -> None:
        self._stream.flush()


class _Lines:
    """How far the work is, a line every other second."""

    def __init__(self, stream: OutputWrapper, label: str, total: int | None, unit: str) -> None:
        self._stream = stream
        self._label = label
        self._total = total
        self._unit = unit
        self._done = 0
        self._began = self._told = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._told >= _SECONDS:
            self._told = now
            self._tell(now)

    def end(self) -> None:
        self._tell(time.monotonic())

    def _tell(self, now: float) -> None:
        rate = self._done / max(now - self._began, 0.001)
        text = f"{self._label}: {self._done}"
        if self._total is not None:
            text += f" of {max(self._total, self._done)}"
        text += f" {self._unit}, {rate:,.0f} a second"
        if self._total is not None and rate and self._total > self._done:
            text += f", {(self._total - self._done) / rate:,.0f} seconds left"
        self._stream.write(text)
