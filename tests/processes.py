"""Processes that end together: each with all that it has started, when the program is interrupted."""

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

GRACE: Final = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
"""How one asks a process to end, and how many seconds it has until it is asked with the next."""


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
            deadline = time.monotonic() + seconds
            while any(map(_is_there, self._groups)):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            else:
                return


def interrupt_on_signals() -> None:
    """Have the signals by which programs are ended raise Interrupted, the first of them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # What is ended already is not to be kept from it.
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
