"""Commands that end with the program, when it is interrupted, and with all that they have started."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

GRACE: Final = ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0))
"""How a process is asked to end, and how many seconds it has until it is asked with the next."""

_PR_SET_CHILD_SUBREAPER: Final = 36


class Interrupted(BaseException):
    """The program is to end, by that signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number
        """The exit status, as shells have it."""


class Processes:
    """Runs commands, each in a process group of its own, and ends them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups = set[int]()
        self._is_over = False

    def run(
        self, argv: Sequence[str], cwd: Path, environment: Mapping[str, str], *, capture: bool
    ) -> tuple[int, bytes]:
        """Run a command to its end; return its exit status, and all that it wrote where that is captured."""
        with self._lock:
            if self._is_over:
                return 1, b""
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=environment,
                stdout=subprocess.PIPE if capture else None,
                stderr=subprocess.STDOUT if capture else None,
                process_group=0,
            )
            self._groups.add(process.pid)
        written, _ = process.communicate()
        with self._lock:
            if not self._is_over:
                self._groups.remove(process.pid)
        return process.returncode, written or b""

    def end(self) -> None:
        """End what runs, and start nothing any more."""
        with self._lock:
            self._is_over = True
        for number, seconds in GRACE:
            for group in self._groups:
                with suppress(ProcessLookupError):
                    os.killpg(group, number)
            # Those in other groups, such as a server with a session of its own, which it stops when it is asked to.
            for process in descendants():
                with suppress(ProcessLookupError):
                    os.kill(process, number)
            deadline = time.monotonic() + seconds
            while descendants():
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            else:
                return


def adopt_orphans() -> None:
    """Become, on Linux, the parent of every descendant whose own parent ends, so that it stays a descendant."""
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants() -> set[int]:
    """Return the processes that this one has started, and those that they have, without those that have ended."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(path.parent.name)] = int(parent)
    found = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def interrupt_on_signals() -> None:
    """Have the signals by which programs are ended raise Interrupted, the first of them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # What is ended already is not to be kept from it.
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)
